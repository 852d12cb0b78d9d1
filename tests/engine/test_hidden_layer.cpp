// SPDX-License-Identifier: Apache-2.0
// CartPole with a hidden layer: the same bits from every executor, number of threads and spread; replica k of a population is its seed's
// training alone; and it learns.
#include <gtest/gtest.h>

#include <algorithm>

#include "fryer/core/error.h"
#include "fryer/engine/api.h"
#include "host/driver.h"
#include "tests/engine/effort.h"
#include "tests/engine/hidden_reference_runs.h"

namespace fryer {
namespace {

std::vector<std::unique_ptr<Backend>> backends() {
  std::vector<std::unique_ptr<Backend>> all;
  for (const char* isa : {"scalar", "avx2", "avx512"}) {
    for (const std::uint64_t chunk : {0u, 77u}) {
      BackendChoice choice;
      choice.device = BackendChoice::Device::cpu;
      choice.isa = isa;
      choice.threads = 3;
      choice.chunk = chunk;
      try {
        all.push_back(make_backend(choice));
      } catch (const DeviceError&) {  // this machine lacks it
      }
    }
  }
  return all;
}
std::unique_ptr<Backend> fastest() {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  return make_backend(choice);
}

using test::hidden_layer, test::hidden_training;

constexpr Activation kActivations[] = {Activation::sigmoid, Activation::tanh};
constexpr std::uint64_t kUnits[] = {1, 8, 16};

TEST(HiddenExecutors, EqualToTheBitInGradientAndEvaluate) {
  const auto all = backends();
  for (const Activation activation : kActivations) {
    for (const std::uint64_t units : kUnits) {
      CartPoleGradientConfiguration g;
      g.problem.hidden = hidden_layer(units, activation, 3);
      g.episodes = 333;
      CartPoleEvaluateConfiguration e;
      e.problem.hidden = g.problem.hidden;
      e.episodes = 333;
      for (const bool unusual : {false, true}) {
        if (unusual) {  // the general program
          g.problem.environment.integrator = CartPole::Integrator::semi_implicit;
          g.problem.environment.sutton_barto_reward = true;
          g.problem.environment.max_steps = 101;
          g.problem.entropy_bonus = 0.125;
          e.problem.environment = g.problem.environment;
        }
        const CartPoleGradientResult gradient_there = gradient(g, *all[0]);
        const EvaluateResult evaluated_there = evaluate(e, *all[0]);
        EXPECT_EQ(gradient_there.gradient.size(), 6 * units + 1);
        e.greedy = true;
        const EvaluateResult greedy_there = evaluate(e, *all[0]);
        for (std::size_t b = 1; b < all.size(); ++b) {
          EXPECT_EQ(gradient(g, *all[b]).digest, gradient_there.digest) << all[b]->info().isa << ' ' << units;
          EXPECT_EQ(evaluate(e, *all[b]).digest, greedy_there.digest) << all[b]->info().isa << ' ' << units;
        }
        e.greedy = false;
        for (std::size_t b = 1; b < all.size(); ++b) EXPECT_EQ(evaluate(e, *all[b]).digest, evaluated_there.digest);
        EXPECT_NE(greedy_there.digest, evaluated_there.digest);
      }
    }
  }
}

TEST(HiddenExecutors, EqualToTheBitInTraining) {
  const auto all = backends();
  for (const Activation activation : kActivations) {
    for (const std::uint64_t units : kUnits) {
      CartPoleTrainConfiguration c = hidden_training(units, activation);
      for (const Baseline baseline : {Baseline::none, Baseline::mean, Baseline::standardize}) {
        c.problem.baseline = baseline;
        c.problem.entropy_bonus = baseline == Baseline::mean ? 0.0625 : 0;  // the general program
        const TrainResult there = train(c, *all[0]);
        EXPECT_EQ(there.failed.count, 0u);
        for (std::size_t b = 1; b < all.size(); ++b) EXPECT_EQ(train(c, *all[b]).digest, there.digest) << all[b]->info().isa;
      }
    }
  }
}

// The bits themselves: a change here is a change of kNumericsVersion.
TEST(HiddenExecutors, DigestsAreThoseOfThisNumericsVersion) {
  const auto backend = fastest();
  for (const test::CartPoleReferenceRun& reference : test::hidden_reference_runs())
    EXPECT_EQ(reference.run(*backend), reference.digest) << reference.name;
}

TEST(HiddenTraining, BothSpreadsAreEqual) {
  const auto backend = fastest();
  for (const Activation activation : kActivations) {
    for (const std::uint64_t units : kUnits) {
      CartPoleTrainConfiguration c = hidden_training(units, activation);
      c.until = 40;  // some stop early
      c.updates = 30;
      c.problem.baseline = units == 8 ? Baseline::mean : Baseline::none;
      const TrainResult replicas = train(c, *backend, {}, Spread::replicas), episodes = train(c, *backend, {}, Spread::episodes);
      EXPECT_EQ(replicas.digest, episodes.digest) << units;
      EXPECT_EQ(replicas.table.parameters, episodes.table.parameters);
      EXPECT_EQ(replicas.table.steps, episodes.table.steps);
      EXPECT_EQ(replicas.solved, episodes.solved);
    }
  }
}

TEST(HiddenTraining, ReplicaIsItsSeedsTrainingAlone) {
  const auto backend = fastest();
  CartPoleTrainConfiguration c = hidden_training(5, Activation::tanh);
  c.problem.hidden.initialisation = Initialisation::glorot;
  c.replicas = 40;
  const TrainResult all = train(c, *backend);
  for (const std::uint64_t k : {0u, 17u, 39u}) {
    CartPoleTrainConfiguration one = c;
    one.seed = c.seed + k;
    one.replicas = 1;
    const TrainResult alone = train(one, *backend);
    for (std::size_t i = 0; i < all.table.parameters.size(); ++i)
      EXPECT_EQ(to_bits(all.table.parameters[i][k]), to_bits(alone.table.parameters[i][0])) << k << ' ' << i;
    EXPECT_EQ(all.table.steps[k], alone.table.steps[0]);
  }
}

// A training that starts from given parameters, and the first update as `gradient` has it: the same episodes, the same direction.
TEST(HiddenTraining, StepsAlongTheGradient) {
  const auto backend = fastest();
  CartPoleTrainConfiguration c = hidden_training(4, Activation::sigmoid);
  c.problem.hidden = hidden_layer(4, Activation::sigmoid, 9);
  c.optimizer.kind = OptimizerSettings::Kind::sgd;
  c.optimizer.learning_rate = 0x1p-10;
  c.updates = 1;
  c.batch = 64;
  c.replicas = 1;
  const TrainResult trained = train(c, *backend);
  CartPoleGradientConfiguration g;
  g.problem = c.problem;
  g.episodes = c.batch;
  g.seed = c.seed;
  const CartPoleGradientResult there = gradient(g, *backend);
  for (std::size_t i = 0; i < there.gradient.size(); ++i) {
    const double expected = c.problem.hidden.parameters[i] + 0x1p-10 * there.gradient[i].estimate;
    EXPECT_NEAR(static_cast<double>(trained.table.parameters[i][0]), expected, 2e-7) << i;
    EXPECT_GT(there.gradient[i].standard_error, 0) << i;
  }
}

TEST(HiddenTraining, FailsWhereOutputWeightsLeaveTheirBound) {
  const auto backend = fastest();
  CartPoleTrainConfiguration c = hidden_training(2, Activation::tanh);
  c.optimizer.learning_rate = 600;
  c.problem.environment.max_steps = 40;
  const TrainResult replicas = train(c, *backend, {}, Spread::replicas), episodes = train(c, *backend, {}, Spread::episodes);
  EXPECT_EQ(replicas.digest, episodes.digest);
  ASSERT_GT(replicas.failed.count, 0u);
  EXPECT_EQ(replicas.failed.quantity.substr(0, 8), "w_output");
}

TEST(HiddenTraining, Learns) {
  CartPoleTrainConfiguration c = hidden_training(8, Activation::tanh);
  c.problem.baseline = Baseline::mean;
  c.updates = 150;
  c.batch = 16;
  c.until = 195;
  c.replicas = test::little_effort() ? 4 : 100;
  const TrainResult r = train(c, *fastest());
  EXPECT_EQ(r.failed.count, 0u);
  EXPECT_GE(r.solved, c.replicas * 9 / 10) << "of " << c.replicas;
}

TEST(HiddenLayerNames, AreOfEachLayer) {
  HiddenLayer hidden;
  EXPECT_EQ(parameter_names(hidden).size(), 5u);
  hidden.units = 2;
  EXPECT_EQ(parameter_names(hidden),
            (std::vector<std::string>{"w_hidden0_position", "w_hidden0_velocity", "w_hidden0_angle", "w_hidden0_angular_velocity",
                                      "w_hidden1_position", "w_hidden1_velocity", "w_hidden1_angle", "w_hidden1_angular_velocity",
                                      "b_hidden0", "b_hidden1", "w_output0", "w_output1", "bias"}));
}

TEST(HiddenValidation, RefusesWhatCannotBeRun) {
  const auto refused = [](CartPoleProblem problem) {
    CartPoleGradientConfiguration c;
    c.problem = std::move(problem);
    try {
      validate(c);
    } catch (const ConfigurationError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CartPoleProblem problem;
  problem.hidden = hidden_layer(3, Activation::tanh, 1);
  EXPECT_EQ(refused(problem), "");
  CartPoleProblem bad = problem;
  bad.hidden.units = 17;
  EXPECT_NE(refused(bad).find("--hidden: 17 is not accepted"), std::string::npos);
  bad = problem;
  bad.hidden.parameters.pop_back();
  EXPECT_NE(refused(bad).find("--hidden 3 has 19 parameters"), std::string::npos);
  bad = problem;
  bad.hidden.parameters[15] = 1025;
  EXPECT_NE(refused(bad).find("--parameters: 1025"), std::string::npos);
  bad = problem;
  bad.hidden.parameters[0] = 1025;
  EXPECT_EQ(refused(bad), "");
  bad.hidden.parameters.clear();
  EXPECT_NE(refused(bad), "");
}

}  // namespace
}  // namespace fryer
