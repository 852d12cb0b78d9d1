// SPDX-License-Identifier: Apache-2.0
// Lane program: an episode of CartPole played by a Q network that acts greedily, from an evaluation's start states. Executors differ in
// how they compute the values of observations, and in how many episodes they have in flight.
#pragma once

#include "fryer/algo/q_learning.h"
#include "fryer/env/cart_pole.h"

namespace fryer {

// What is the same for all episodes of an evaluation.
struct QEpisodes {
  std::uint64_t seed;
  CartPole::Rules<float> environment;
  std::uint32_t max_steps;
};

struct QEpisode {
  float observation[4];
  std::uint32_t steps;
  bool terminated;
};

FRYER_LANE void begin_q_episode(const QEpisodes& episodes, std::uint64_t number, QEpisode& e) {
  CartPole::start<float>(episodes.environment, random_block(episodes.seed, Purpose::evaluation_reset, number), e.observation);
  e.steps = 0;
  e.terminated = false;
}

// A step by the values of the current observation; whether the episode has ended.
FRYER_LANE bool advance_q_episode(const QEpisodes& episodes, const float (&value)[2], QEpisode& e) {
  float next[4];
  CartPole::step_by_rules<float>(episodes.environment, e.observation, greedy_action(value), next);
  for (int i = 0; i < 4; ++i) e.observation[i] = next[i];
  ++e.steps;
  e.terminated = !CartPole::inside<float>(episodes.environment, true, next);
  return e.terminated || e.steps == episodes.max_steps;
}

}  // namespace fryer
