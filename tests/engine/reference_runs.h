// SPDX-License-Identifier: Apache-2.0
// Small reference runs and the digest that each must have on every backend, instruction set, compiler, optimisation level, number of
// threads and split of the work. A change here is a change of bits: raise kNumericsVersion (core/version.h), on purpose, and put the
// digests in that the failing test prints.
#pragma once

#include <functional>
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
    runs.push_back({name, digest, [c](Backend& backend) { return gradient(c, backend).digest; }});
  };
  const auto add_evaluate = [&](const char* name, std::uint64_t digest, const EvaluateConfiguration& c) {
    runs.push_back({name, digest, [c](Backend& backend) { return evaluate(c, backend).digest; }});
  };
  const auto add_train = [&](const char* name, std::uint64_t digest, const TrainConfiguration& c,
                             Spread spread = Spread::automatic) {
    runs.push_back({name, digest, [c, spread](Backend& backend) { return train(c, backend, {}, spread).digest; }});
  };

  GradientConfiguration g;
  g.problem.bias = -7;
  g.episodes = 20'011;
  add_gradient("gradient", 0, g);
  g.problem = unusual_problem();
  g.episodes = 4099;
  g.seed = (std::uint64_t{1} << 40) + 7;
  add_gradient("gradient of an unusual shack", 0, g);
  g.problem = {};
  g.problem.weight = -60;
  g.problem.bias = 95;  // p from exactly 1 down to 1 - 2^-24 and below
  add_gradient("gradient where p rounds to 1", 0, g);

  EvaluateConfiguration e;
  e.problem.bias = -10;
  e.episodes = 20'011;
  add_evaluate("evaluation", 0, e);
  e.random = true;
  add_evaluate("evaluation at random", 0, e);
  e.random = false;
  e.greedy = true;
  add_evaluate("greedy evaluation", 0, e);

  TrainConfiguration adam;
  adam.replicas = 300;
  add_train("Adam, batch 1", 0, adam);

  TrainConfiguration sgd;
  sgd.optimizer.kind = OptimizerSettings::Kind::sgd;
  sgd.optimizer.learning_rate = 1;
  sgd.batch = 4;
  sgd.updates = 60;
  sgd.replicas = 200;
  add_train("SGD, batch 4", 0, sgd);

  TrainConfiguration learned = adam;
  learned.problem = unusual_problem();
  learned.problem.learn_weight = true;
  learned.updates = 100;
  learned.replicas = 200;
  add_train("learned weight, batch 1", 0, learned);
  learned.batch = 3;
  add_train("learned weight, batch 3", 0, learned);

  TrainConfiguration until = adam;
  until.until = 0.4;
  until.replicas = 200;
  until.updates = 400;
  add_train("until 0.4, batch 1", 0, until);
  until = learned;
  until.until = 1.1;
  until.batch = 8;
  until.optimizer.kind = OptimizerSettings::Kind::sgd;
  until.optimizer.learning_rate = 2;
  add_train("until 1.1, learned weight, SGD, batch 8", 0, until);

  TrainConfiguration keras = adam;
  keras.optimizer = {OptimizerSettings::Kind::adam, OptimizerSettings::Form::keras, 0.05, 0.8, 0.99, 1e-7};
  keras.updates = 100;
  keras.replicas = 100;
  add_train("Keras's Adam", 0, keras);

  TrainConfiguration crossing = adam;
  crossing.seed = (std::uint64_t{1} << 32) - 50;
  crossing.updates = 50;
  crossing.replicas = 100;
  add_train("seeds across 2^32", 0, crossing);

  TrainConfiguration failing = adam;
  failing.optimizer.learning_rate = 1e38;
  failing.updates = 40;
  failing.replicas = 100;
  add_train("trainings that fail", 0, failing);

  TrainConfiguration large = adam;
  large.batch = 5000;
  large.updates = 10;
  large.replicas = 2;
  add_train("batch 5000, lanes are episodes", 0, large, Spread::episodes);
  add_train("batch 5000, lanes are replicas", 0, large, Spread::replicas);
  return runs;
}

}  // namespace fryer::test
