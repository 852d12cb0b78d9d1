// SPDX-License-Identifier: Apache-2.0
// Small reference runs and the digest that each must have on every backend, instruction set, compiler, optimisation level, number of
// threads and split of the work. A change here is a change of bits: raise kNumericsVersion (core/version.h), on purpose, and put the
// digests in that the failing test prints.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fryer/core/version.h"
#include "fryer/engine/api.h"
#include "host/driver.h"

namespace fryer::test {

static_assert(kNumericsVersion == 1, "the digests below are those of another numerics version");

struct ReferenceRun {
  std::string name;
  std::uint64_t digest;
  std::function<std::uint64_t(Backend&)> run;
  std::optional<TrainConfiguration> training;  // if it is one
};

inline Problem unusual_problem() {
  Problem p;
  p.environment = {2.0, -0.5, 0.95, 0.4, 0.3};
  p.weight = 7.25;
  p.bias = -2.125;
  p.reward_scale = 0.5;
  return p;
}

inline std::vector<ReferenceRun> reference_runs() {
  std::vector<ReferenceRun> runs;
  const auto add_gradient = [&](const char* name, std::uint64_t digest, const GradientConfiguration& c) {
    runs.push_back({name, digest, [c](Backend& backend) { return gradient(c, backend).digest; }, {}});
  };
  const auto add_evaluate = [&](const char* name, std::uint64_t digest, const EvaluateConfiguration& c) {
    runs.push_back({name, digest, [c](Backend& backend) { return evaluate(c, backend).digest; }, {}});
  };
  const auto add_train = [&](const char* name, std::uint64_t digest, const TrainConfiguration& c,
                             Spread spread = Spread::automatic) {
    runs.push_back({name, digest, [c, spread](Backend& backend) { return train(c, backend, {}, spread).digest; }, c});
  };

  GradientConfiguration g;
  g.problem.bias = -7;
  g.episodes = 20'011;
  add_gradient("gradient", 0xc217f948417c0b47, g);
  g.problem = unusual_problem();
  g.episodes = 4099;
  g.seed = (std::uint64_t{1} << 40) + 7;
  add_gradient("gradient of an unusual shack", 0x81ea11e6616ccb50, g);
  g.problem = {};
  g.problem.weight = -60;
  g.problem.bias = 95;  // p from exactly 1 down to 1 - 2^-24 and below
  add_gradient("gradient where p rounds to 1", 0x8166f77e1c7aa802, g);

  EvaluateConfiguration e;
  e.problem.bias = -10;
  e.episodes = 20'011;
  add_evaluate("evaluation", 0x4980bea588b49ca4, e);
  e.random = true;
  add_evaluate("evaluation at random", 0xe74812ef920e2b79, e);
  e.random = false;
  e.greedy = true;
  add_evaluate("greedy evaluation", 0x6e25560cba95fecd, e);

  TrainConfiguration adam;
  adam.replicas = 300;
  add_train("Adam, batch 1", 0x69f7962d69192b07, adam);

  TrainConfiguration sgd;
  sgd.optimizer.kind = OptimizerSettings::Kind::sgd;
  sgd.optimizer.learning_rate = 1;
  sgd.batch = 4;
  sgd.updates = 60;
  sgd.replicas = 200;
  add_train("SGD, batch 4", 0x702c4467e441737e, sgd);

  TrainConfiguration learned = adam;
  learned.problem = unusual_problem();
  learned.problem.learn_weight = true;
  learned.updates = 100;
  learned.replicas = 200;
  add_train("learned weight, batch 1", 0xca2e8c9a80462a95, learned);
  learned.batch = 3;
  add_train("learned weight, batch 3", 0x9bfb321ae9060287, learned);

  TrainConfiguration until = adam;
  until.until = 0.4;
  until.replicas = 200;
  until.updates = 400;
  add_train("until 0.4, batch 1", 0x4f39e2d486a40217, until);
  until = learned;
  until.until = 1.5;
  until.batch = 8;
  until.optimizer.kind = OptimizerSettings::Kind::sgd;
  until.optimizer.learning_rate = 2;
  add_train("until 1.5, learned weight, SGD, batch 8", 0x4ef9b8704759e57c, until);

  TrainConfiguration keras = adam;
  keras.optimizer = {OptimizerSettings::Kind::adam, OptimizerSettings::Form::keras, 0.05, 0.8, 0.99, 1e-7};
  keras.updates = 100;
  keras.replicas = 100;
  add_train("Keras's Adam", 0x720cae38b41d08a2, keras);

  TrainConfiguration crossing = adam;
  crossing.seed = (std::uint64_t{1} << 32) - 50;
  crossing.updates = 50;
  crossing.replicas = 100;
  add_train("seeds across 2^32", 0xa3a61f9bb1a5aa14, crossing);

  TrainConfiguration failing = adam;  // a few overflow, after one to three updates
  failing.optimizer.kind = OptimizerSettings::Kind::sgd;
  failing.optimizer.learning_rate = 3.4e38;
  failing.problem.environment.reward_correct = 2;
  failing.problem.environment.reward_wrong = -2;
  failing.updates = 40;
  failing.replicas = 200;
  add_train("trainings that fail", 0x09f16faa8361752e, failing);

  TrainConfiguration large = adam;
  large.batch = 5000;
  large.updates = 10;
  large.replicas = 2;
  add_train("batch 5000, lanes are episodes", 0x5b46f7d92b476cf9, large, Spread::episodes);
  add_train("batch 5000, lanes are replicas", 0x5b46f7d92b476cf9, large, Spread::replicas);
  return runs;
}

}  // namespace fryer::test
