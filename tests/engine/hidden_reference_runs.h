// SPDX-License-Identifier: Apache-2.0
// Small runs of policies with a hidden layer and the digest that each must have on every backend: cart_pole_reference_runs.h, whose rules hold
// here.
#pragma once

#include <random>

#include "tests/engine/cart_pole_reference_runs.h"

namespace fryer::test {

inline HiddenLayer hidden_layer(std::uint64_t units, Activation activation, unsigned seed) {
  HiddenLayer hidden;
  hidden.units = units;
  hidden.activation = activation;
  std::mt19937 generator(seed);
  for (std::uint64_t i = 0; i < 6 * units + 1; ++i)
    hidden.parameters.push_back(static_cast<double>(generator() >> 20) / 2048 - 1);
  return hidden;
}

inline CartPoleTrainConfiguration hidden_training(std::uint64_t units, Activation activation) {
  CartPoleTrainConfiguration c;
  c.problem.environment.max_steps = CartPole::kMaxStepsV0;
  c.problem.hidden.units = units;
  c.problem.hidden.activation = activation;
  c.optimizer.learning_rate = 0.05;
  c.updates = 6;
  c.batch = 5;
  c.replicas = 21;
  c.seed = 11;
  return c;
}

inline std::vector<CartPoleReferenceRun> hidden_reference_runs() {
  std::vector<CartPoleReferenceRun> runs;
  CartPoleGradientConfiguration g;
  g.problem.hidden = hidden_layer(3, Activation::tanh, 5);
  g.episodes = 1000;
  runs.push_back({"gradient of three units", 0xdd9ea68b65009dea, [g](Backend& b) { return gradient(g, b).digest; }, {}});
  const auto add_train = [&](const char* name, std::uint64_t digest, const CartPoleTrainConfiguration& c) {
    runs.push_back({name, digest, [c](Backend& b) { return train(c, b).digest; }, c});
  };
  CartPoleTrainConfiguration c = hidden_training(8, Activation::tanh);
  add_train("eight units", 0x2184500283f16163, c);
  c = hidden_training(16, Activation::sigmoid);
  c.problem.hidden.initialisation = Initialisation::he;
  c.problem.baseline = Baseline::mean;
  c.problem.entropy_bonus = 0.03125;
  add_train("sixteen units, entropy bonus", 0xd6ef9c3b3110193e, c);
  return runs;
}

}  // namespace fryer::test
