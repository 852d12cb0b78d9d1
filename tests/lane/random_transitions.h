// SPDX-License-Identifier: Apache-2.0
// Transitions made up for the tests of value learners.
#pragma once

#include <random>
#include <vector>

#include "fryer/algo/replay.h"

namespace fryer {

// Observations and rewards of ordinary size; a quarter does not bootstrap.
inline std::vector<Transition> random_transitions(std::mt19937_64& random, std::size_t n) {
  std::uniform_real_distribution<float> uniform(-1.5f, 1.5f);
  std::vector<Transition> all(n);
  for (Transition& t : all) {
    for (int i = 0; i < 4; ++i) {
      t.observation[i] = uniform(random);
      t.next_observation[i] = uniform(random);
    }
    t.reward = uniform(random);
    t.bootstraps = random() % 4 == 0 ? 0.0f : 1.0f;
    t.action = static_cast<std::uint32_t>(random() % 2);
  }
  return all;
}

}  // namespace fryer
