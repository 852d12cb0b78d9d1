// SPDX-License-Identifier: Apache-2.0
// Small reference runs of CartPole and the digest that each must have on every backend, instruction set, compiler, optimisation
// level, number of threads and split of the work: reference_runs.h, whose rules hold here. A few million steps in all, since the
// scalar executor and kernels without a GPU play them too.
#pragma once

#include "tests/engine/reference_runs.h"

namespace fryer::test {

struct CartPoleReferenceRun {
  std::string name;
  std::uint64_t digest;
  std::function<std::uint64_t(Backend&)> run;
  std::optional<CartPoleTrainConfiguration> training;  // if it is one
};

// A policy that balances for a while.
inline constexpr std::array<double, 5> kShakyPolicy = {0.05, 0.1, 2, 0.8, 0.1};

// Needs the general program in every way.
inline CartPoleProblem unusual_cart_pole() {
  CartPoleProblem p;
  p.environment = {9.0, 1.5, 0.2, 0.6, 12.0, 0.025, 1.75, 1.25, 0.3, CartPole::Integrator::semi_implicit, true, 75};
  p.parameters = {0.1, 0.25, 3, 1, -0.125};
  p.gamma = 0.9;
  p.reward_scale = 0.75;
  return p;
}

inline std::vector<CartPoleReferenceRun> cart_pole_reference_runs() {
  std::vector<CartPoleReferenceRun> runs;
  const auto add_gradient = [&](const char* name, std::uint64_t digest, const CartPoleGradientConfiguration& c) {
    runs.push_back({name, digest, [c](Backend& backend) { return gradient(c, backend).digest; }, {}});
  };
  const auto add_evaluate = [&](const char* name, std::uint64_t digest, const CartPoleEvaluateConfiguration& c) {
    runs.push_back({name, digest, [c](Backend& backend) { return evaluate(c, backend).digest; }, {}});
  };
  const auto add_train = [&](const char* name, std::uint64_t digest, const CartPoleTrainConfiguration& c,
                             Spread spread = Spread::automatic) {
    runs.push_back({name, digest, [c, spread](Backend& backend) { return train(c, backend, {}, spread).digest; }, c});
  };

  CartPoleGradientConfiguration g;
  g.episodes = 2003;
  add_gradient("gradient of the random policy", 0x2d75b1f477122b23, g);
  g.problem.parameters = kShakyPolicy;
  g.problem.gamma = 0.97;
  g.problem.environment.max_steps = CartPole::kMaxStepsV0;
  g.episodes = 997;
  g.seed = (std::uint64_t{1} << 40) + 7;
  add_gradient("gradient of a shaky policy, gamma 0.97", 0x7c50df074e944008, g);
  g.problem = unusual_cart_pole();
  add_gradient("gradient of an unusual cart", 0xa8dbedd8635abc13, g);
  g.problem.entropy_bonus = 0.25;
  g.problem.environment.sutton_barto_reward = false;
  add_gradient("gradient with an entropy bonus", 0xb5a04271c98dfcf7, g);
  g.problem = {};
  g.problem.parameters = {-3e4, 2e5, 8e5, 1e5, -7e3};  // p of exactly 0 and 1
  add_gradient("gradient where p is 0 or 1", 0x129be3944f485388, g);

  CartPoleEvaluateConfiguration e;
  e.episodes = 3001;
  e.random = true;
  add_evaluate("evaluation at random", 0x028799dde767f34e, e);
  e.random = false;
  e.problem.parameters = kShakyPolicy;
  add_evaluate("evaluation", 0x2d3dc4eff5ecc040, e);
  e.problem.environment.max_steps = 43;
  add_evaluate("evaluation of 43 steps", 0x0a3c01543d738dea, e);
  e.problem.environment.sutton_barto_reward = true;
  e.problem.environment.max_steps = CartPole::kMaxStepsV0;
  e.episodes = 500;
  add_evaluate("evaluation with the Sutton-Barto reward", 0x2a492ef015a61f98, e);
  e.problem.environment = {};
  e.problem.environment.integrator = CartPole::Integrator::semi_implicit;
  add_evaluate("semi-implicit evaluation", 0x60a4e4b581eda445, e);
  e.problem.environment = {};
  e.greedy = true;
  add_evaluate("greedy evaluation", 0xd04b8efcf78f1361, e);
  e.greedy = false;
  e.problem = unusual_cart_pole();
  e.problem.environment.angle_limit = 1e4;  // the pole turns over and over
  e.seed = ~std::uint64_t{0};
  add_evaluate("evaluation without an angle limit", 0x7a1042d2b4a5d353, e);

  CartPoleTrainConfiguration adam;
  adam.replicas = 40;
  adam.updates = 12;
  add_train("Adam, batch 16", 0x00bd58cc3cdc05e6, adam);

  CartPoleTrainConfiguration baseline = adam;
  baseline.problem.environment.max_steps = CartPole::kMaxStepsV0;
  baseline.problem.baseline = Baseline::constant;
  baseline.problem.baseline_value = 12.5;
  add_train("constant baseline", 0xa2b0100adbf46aa1, baseline);
  baseline.problem.baseline = Baseline::mean;
  baseline.problem.reward_scale = 0.3;
  add_train("mean baseline, reward scale 0.3", 0x218f4404de0097f1, baseline);
  baseline.problem.baseline = Baseline::standardize;
  baseline.problem.gamma = 0.95;
  add_train("standardised, reward scale 0.3", 0xa345acb34d0e7574, baseline);
  baseline.problem.gamma = 1;
  baseline.batch = 1;
  baseline.updates = 40;
  add_train("standardised, batch 1, gamma 1", 0x160f273dced15c95, baseline);

  CartPoleTrainConfiguration sgd = adam;
  sgd.optimizer.kind = OptimizerSettings::Kind::sgd;
  sgd.optimizer.learning_rate = 0.01;
  sgd.batch = 7;
  sgd.updates = 20;
  add_train("SGD, batch 7", 0x9c795bc15f738fa9, sgd);
  sgd.batch = 1;
  sgd.updates = 50;
  add_train("SGD, batch 1", 0x94a25b0df83ecbb3, sgd);

  CartPoleTrainConfiguration keras = adam;
  keras.optimizer = {OptimizerSettings::Kind::adam, OptimizerSettings::Form::keras, 0.05, 0.8, 0.99, 1e-7};
  keras.problem.entropy_bonus = 0.125;
  keras.batch = 7;
  add_train("Keras's Adam, entropy bonus", 0xa33ac3c6e1813b4e, keras);

  CartPoleTrainConfiguration unusual = adam;
  unusual.problem = unusual_cart_pole();
  unusual.updates = 20;
  add_train("an unusual cart", 0x8c2dac8efa857836, unusual);
  unusual.problem.baseline = Baseline::standardize;
  unusual.until = -0.68;
  add_train("an unusual cart, standardised, until -0.68", 0x55d4060ce324b1be, unusual);

  CartPoleTrainConfiguration until = adam;
  until.replicas = 30;
  until.problem.environment.max_steps = CartPole::kMaxStepsV0;
  until.updates = 24;
  until.until = 100;
  add_train("until 100, batch 16", 0x07449abc5a6cd089, until);
  until.batch = 100;
  until.updates = 12;
  until.until = 62;
  until.replicas = 6;
  until.problem.baseline = Baseline::mean;
  add_train("until 62, batch 100, mean baseline", 0x27aff0596a27c564, until);

  CartPoleTrainConfiguration crossing = adam;
  crossing.seed = (std::uint64_t{1} << 32) - 11;
  crossing.updates = 5;
  crossing.replicas = 33;
  add_train("seeds across 2^32", 0x4a49f89ba5cb2006, crossing);
  crossing.seed = ~std::uint64_t{0} - 32;
  add_train("the last seeds", 0x8f90ba502185faa9, crossing);

  CartPoleTrainConfiguration failing = adam;  // the first step goes too far for some
  failing.optimizer.kind = OptimizerSettings::Kind::sgd;
  failing.optimizer.learning_rate = 1.25e27;
  failing.batch = 3;
  failing.updates = 4;
  add_train("trainings that fail at once", 0x2df3e59a141f741f, failing);
  failing.problem.environment.sutton_barto_reward = true;  // no gradient until an episode falls
  failing.problem.environment.max_steps = 12;
  failing.optimizer.learning_rate = 1.25e28;
  failing.batch = 1;
  failing.updates = 6;
  add_train("trainings that fail later", 0xccd00d84b0e05f59, failing);

  CartPoleTrainConfiguration large = adam;
  large.batch = 300;
  large.updates = 4;
  large.replicas = 2;
  add_train("batch 300, lanes are episodes", 0x5bffe114e43dfdd9, large, Spread::episodes);
  add_train("batch 300, lanes are replicas", 0x5bffe114e43dfdd9, large, Spread::replicas);
  return runs;
}

}  // namespace fryer::test
