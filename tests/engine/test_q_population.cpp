// SPDX-License-Identifier: Apache-2.0
// The promise, for value learners: one digest for each reference run, whatever the instruction set and the number of threads; replicas are
// the trainings of their seeds alone; a training that was left and gone on with is the one that was not; failures, thresholds and
// curves are what the reference loop (lane/q_training.h) says; and bad settings are refused.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <numeric>
#include <random>

#include "host/driver.h"
#include "tests/engine/effort.h"
#include "tests/engine/q_reference_runs.h"
#include "tests/engine/stopped.h"
#include "tests/lane/q_training_cases.h"

namespace fryer {
namespace {

std::unique_ptr<Backend> backend_on(const std::string& isa, unsigned threads) {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.isa = isa;
  choice.threads = threads;
  return make_backend(choice);
}
std::unique_ptr<Backend> cpu(unsigned threads = 2) { return backend_on("", threads); }

std::string hex(std::uint64_t digest) { return fmt::format("{:#018x}", digest); }

class QDigests : public testing::TestWithParam<const char*> {};

TEST_P(QDigests, AreTheGoldenOnesForAnyNumberOfThreads) {
  try {
    backend_on(GetParam(), 1);
  } catch (const DeviceError& error) {
    GTEST_SKIP() << error.what();
  }
  const bool slow = test::little_effort() || std::string(GetParam()) == "scalar";
  for (const test::QReferenceRun& reference : test::q_reference_runs()) {
    for (const unsigned threads : slow ? std::vector<unsigned>{3} : std::vector<unsigned>{1, 2, 3}) {
      const auto backend = backend_on(GetParam(), threads);
      EXPECT_EQ(hex(reference.run(*backend)), hex(reference.digest)) << reference.name << ", " << threads << " threads";
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Isa, QDigests, testing::Values("scalar", "avx2", "avx512"),
                         [](const auto& isa) { return std::string(isa.param); });

TEST(QReferenceRuns, CoverWhatTheyAreNamedAfter) {
  const auto backend = cpu();
  for (const test::QReferenceRun& reference : test::q_reference_runs()) {
    if (!reference.training) continue;
    SCOPED_TRACE(reference.name);
    const TrainResult r = train(*reference.training, *backend);
    const std::uint64_t replicas = reference.training->replicas;
    EXPECT_EQ(r.solved != 0, reference.name.find("until") != std::string::npos);
    EXPECT_EQ(r.failed.count != 0, reference.name.find("fail") != std::string::npos);
    EXPECT_LT(r.solved, replicas);
    EXPECT_LT(r.failed.count, replicas);
    EXPECT_GT(r.optimizer_updates, 0u);
  }
}

// Every number of a row, a curve and the totals, against the loop that they are made with.
TEST(QPopulation, IsItsReplicasAlone) {
  for (QTrainConfiguration c : {test::small_dqn_population(), test::small_online_population()}) {
    c.seed = 0xffffffffffffff00u;
    const TrainResult r = train(c, *cpu());
    ASSERT_EQ(r.table.size(), c.replicas);
    std::vector<double> sums(c.training.episodes);
    std::uint64_t episodes = 0, steps = 0, updates = 0;
    for (std::uint64_t i = 0; i < c.replicas; ++i) {
      QReplicaMemory alone(c.training, c.seed + i);
      alone.train_to_the_end();
      EXPECT_EQ(r.table.status[i], static_cast<std::uint8_t>(alone.state.status));
      EXPECT_EQ(r.table.updates[i], alone.state.updates);
      EXPECT_EQ(r.table.episodes[i], c.training.episodes);
      EXPECT_EQ(r.table.steps[i], alone.state.steps);
      for (std::size_t p = 0; p < alone.weight.size(); ++p)
        ASSERT_EQ(to_bits(r.table.parameters[p][i]), to_bits(alone.weight[p]));
      for (std::size_t e = 0; e < sums.size(); ++e) sums[e] += alone.outcomes[e];
      episodes += alone.state.episodes;
      steps += alone.state.steps;
      updates += alone.state.updates;
    }
    EXPECT_EQ(r.episodes, episodes);
    EXPECT_EQ(r.steps, steps);
    EXPECT_EQ(r.optimizer_updates, updates);
    ASSERT_EQ(r.curve.size(), sums.size());
    for (std::size_t e = 0; e < sums.size(); ++e) {
      EXPECT_EQ(r.curve[e].update, e + 1);
      EXPECT_EQ(r.curve[e].count, c.replicas);
      EXPECT_DOUBLE_EQ(r.curve[e].mean_return, sums[e] / static_cast<double>(c.replicas));
      ASSERT_TRUE(r.curve[e].quantiles);
      EXPECT_LE(r.curve[e].quantiles->front(), r.curve[e].mean_return);
      EXPECT_GE(r.curve[e].quantiles->back(), r.curve[e].mean_return);
    }
  }
}

// The first k episodes of a longer training are the training of k.
TEST(QPopulation, ALongerTrainingStartsWithTheShorterOne) {
  QTrainConfiguration c = test::small_dqn_population();
  const TrainResult shorter = train(c, *cpu());
  c.training.episodes *= 2;
  const TrainResult longer = train(c, *cpu());
  for (std::size_t e = 0; e < shorter.curve.size(); ++e) EXPECT_EQ(longer.curve[e].mean_return, shorter.curve[e].mean_return);
}

TEST(QPopulation, StopsAtItsThreshold) {
  QTrainConfiguration c = test::small_dqn_population();
  c.until = 20;
  c.training.episodes = 300;
  c.training.environment.max_steps = 25;
  const TrainResult r = train(c, *cpu());
  ASSERT_GT(r.solved, 0u);
  EXPECT_EQ(r.solved_episodes.count, r.solved);
  for (std::uint64_t i = 0; i < c.replicas; ++i) {
    QTrainingSettings forever = c.training;
    QReplicaMemory alone(forever, c.seed + i);
    alone.train_to_the_end();
    std::uint64_t reached = 0;
    for (std::uint64_t e = kValueLearnerWindow; e <= forever.episodes && reached == 0; ++e) {
      const auto end = alone.outcomes.begin() + static_cast<std::ptrdiff_t>(e);
      if (std::accumulate(end - kValueLearnerWindow, end, 0.0) / kValueLearnerWindow >= *c.until) reached = e;
    }
    EXPECT_EQ(r.table.episodes[i], reached != 0 ? reached : forever.episodes);
    EXPECT_EQ(r.table.status[i], static_cast<std::uint8_t>(reached != 0 ? ReplicaStatus::solved : ReplicaStatus::finished));
  }
}

TEST(QPopulation, ReplicasThatDivergeFailAndTheOthersGoOn) {
  QTrainConfiguration c = test::small_dqn_population();
  c.training.learning.loss = Loss::mse;
  c.training.learning.clip_norm = 0;
  c.training.optimizer.learning_rate = 1e3;
  const TrainResult adam = train(c, *cpu());
  EXPECT_EQ(adam.failed.count, 0u);  // its steps are bounded: the networks are useless, and finite
  c.training.optimizer.kind = OptimizerSettings::Kind::sgd;
  EXPECT_EQ(train(c, *cpu()).failed.count, c.replicas);
  c.training.optimizer.learning_rate = 2.4;
  c.training.episodes = 6;
  const TrainResult some = train(c, *cpu());
  ASSERT_GT(some.failed.count, 0u);
  ASSERT_LT(some.failed.count, c.replicas);
  EXPECT_EQ(some.failed.quantity, "Q network");
  const std::uint64_t row = some.failed.seed - c.seed;
  EXPECT_EQ(some.failed.update, some.table.updates[row]);
  for (std::uint64_t i = 0; i < c.replicas; ++i) {
    const bool failed = some.table.status[i] == static_cast<std::uint8_t>(ReplicaStatus::failed);
    EXPECT_EQ(is_finite(some.table.parameters[0][i]), !failed);
    EXPECT_EQ(some.table.episodes[i] == c.training.episodes, !failed);
  }
  EXPECT_EQ(some.parameters[0].count, c.replicas - some.failed.count);
}

// An update may take a million times as long as a step of the warm-up: whoever waits for a thousand of them waits for an hour.
TEST(QPopulation, StopsSoonWhereUpdatesFollowAShortWarmUp) {
  QTrainConfiguration c = dqn_defaults(500);
  c.training.shape = {256, 256};
  c.training.batch = kMostBatch;
  c.training.warmup_steps = 100'000;
  c.training.episodes = 100'000;
  for (const bool whole_episodes : {false, true}) {
    c.training.warmup_in_whole_episodes = whole_episodes;
    test::expect_stopped([&](const RunControl& control) { train(c, *backend_on("scalar", 1), control); });
  }
}

// The same of long episodes of a large network.
TEST(QPopulation, StopsWithinAPieceOfAnEvaluation) {
  CartPoleEvaluateConfiguration c;
  QNetworkPolicy network;
  network.shape = {256, 256};
  network.parameters.assign(static_cast<std::size_t>(network.shape.parameters()), 0.01);
  c.q_network = network;
  c.episodes = 100'000;
  c.problem.environment.max_steps = 5000;
  c.problem.environment.position_limit = c.problem.environment.angle_limit = 1e4;  // which no episode reaches
  test::expect_stopped([&](const RunControl& control) { evaluate(c, *backend_on("scalar", 2), control); });
}

// Left again and again, on other executors and numbers of threads.
TEST(QPopulation, GoesOnWhereItWasLeft) {
  std::mt19937_64 random(1);
  for (QTrainConfiguration c : {test::small_dqn_population(), test::small_online_population()}) {
    c.training.episodes *= 4;
    const TrainResult straight = train(c, *cpu());
    QTrainConfiguration second = c;  // two configurations side by side
    second.training.optimizer.learning_rate *= 2;
    second.seed = 1000;
    second.replicas = 2;
    const TrainResult straight_second = train(second, *cpu());

    TrainingStates states = fresh_states(c, true), more = fresh_states(second, true);
    const std::uint64_t rows = c.replicas + second.replicas;
    TrainingStates all = states;
    all.table = fresh_states(
                    [&] {
                      QTrainConfiguration both = c;
                      both.replicas = rows;
                      return both;
                    }(),
                    false)
                    .table;
    all.value_learners.resize(rows);
    all.outcomes.assign(c.training.episodes * rows, kNoOutcome);
    const auto unfinished = [&] {
      return std::count(all.table.status.begin(), all.table.status.end(), static_cast<std::uint8_t>(ReplicaStatus::unfinished)) !=
             0;
    };
    const char* const isas[] = {"scalar", "avx2", "avx512"};
    int rounds = 0;
    while (unfinished()) {
      StopToken pause{false};
      const std::uint64_t after = 1 + random() % 3;
      std::uint64_t calls = 0;
      RunControl control;
      control.pause = &pause;
      control.progress = [&](std::uint64_t finished, std::uint64_t planned) {
        EXPECT_LE(finished, planned);
        if (++calls >= after && rounds < 40) pause = true;
      };
      std::unique_ptr<Backend> backend;
      try {
        backend = backend_on(isas[random() % 3], 1 + static_cast<unsigned>(random() % 3));
      } catch (const DeviceError&) {
        backend = cpu();
      }
      train_on({c, second}, all, *backend, control);
      ++rounds;
    }
    EXPECT_GT(rounds, 1);
    const auto expect_rows = [&](std::uint64_t first, const TrainResult& r) {
      for (std::uint64_t i = 0; i < r.table.size(); ++i) {
        SCOPED_TRACE(fmt::format("row {}", first + i));
        EXPECT_EQ(all.table.status[first + i], r.table.status[i]);
        EXPECT_EQ(all.table.updates[first + i], r.table.updates[i]);
        EXPECT_EQ(all.table.episodes[first + i], r.table.episodes[i]);
        EXPECT_EQ(all.table.steps[first + i], r.table.steps[i]);
        for (std::size_t p = 0; p < r.table.parameters.size(); ++p)
          ASSERT_EQ(to_bits(all.table.parameters[p][first + i]), to_bits(r.table.parameters[p][i]));
      }
      for (const CurvePoint& point : r.curve) {
        double sum = 0;
        for (std::uint64_t i = 0; i < r.table.size(); ++i) sum += all.outcomes[(point.update - 1) * rows + first + i];
        EXPECT_DOUBLE_EQ(point.mean_return, sum / static_cast<double>(r.table.size()));
      }
    };
    expect_rows(0, straight);
    expect_rows(c.replicas, straight_second);
    for (const QTrainingRecord& record : all.value_learners) EXPECT_TRUE(record.weight.empty());
  }
}

TEST(QPopulation, StopsWhenAsked) {
  StopToken stop{true};
  EXPECT_THROW(train(test::small_dqn_population(), *cpu(), {&stop, nullptr}), Stopped);
}

// What a training that is alone tells while it runs.
TEST(QPopulation, TellsTheEpisodesOfATrainingAlone) {
  QTrainConfiguration c = test::small_dqn_population();
  std::vector<double> told;
  RunControl control;
  control.episodes = [&](std::uint64_t first, std::span<const std::uint32_t> outcomes) {
    EXPECT_EQ(first, told.size());
    told.insert(told.end(), outcomes.begin(), outcomes.end());
  };
  train(c, *cpu(), control);
  EXPECT_TRUE(told.empty());
  c.replicas = 1;
  const TrainResult r = train(c, *cpu(), control);
  ASSERT_EQ(told.size(), r.curve.size());
  for (std::size_t e = 0; e < told.size(); ++e) EXPECT_EQ(told[e], r.curve[e].mean_return);
}

// ---- a network that plays

QNetworkPolicy trained_network() {
  QTrainConfiguration c = test::small_dqn_population();
  c.replicas = 1;
  const TrainResult r = train(c, *cpu());
  QNetworkPolicy network;
  network.shape = c.training.shape;
  for (const auto& column : r.table.parameters) network.parameters.push_back(static_cast<double>(column[0]));
  return network;
}

TEST(QEvaluation, IsItsTraces) {
  CartPoleEvaluateConfiguration e;
  e.problem.environment.max_steps = 40;
  e.q_network = trained_network();
  e.episodes = 1;
  TraceConfiguration t;
  t.environment = e.problem.environment;
  t.precision = TraceConfiguration::Precision::float32;
  t.source = TraceConfiguration::Actions::policy;
  t.q_network = e.q_network;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    e.seed = t.seed = seed;
    const EvaluateResult r = evaluate(e, *cpu());
    const TraceResult trace_result = trace(t);
    EXPECT_EQ(r.mean, static_cast<double>(trace_result.steps.size()));
    EXPECT_EQ(r.terminated, trace_result.steps.back().terminated ? 1u : 0u);
    EXPECT_EQ(r.truncated, trace_result.steps.back().truncated ? 1u : 0u);
  }
}

TEST(QEvaluation, CountsEveryEpisodeOnce) {
  CartPoleEvaluateConfiguration e;
  e.q_network = trained_network();
  e.episodes = 1000;
  const EvaluateResult r = evaluate(e, *cpu());
  std::uint64_t episodes = 0;
  for (const std::uint64_t n : r.length_histogram) episodes += n;
  EXPECT_EQ(episodes, e.episodes);
  // The first half alone is a part of it.
  e.episodes = 500;
  const EvaluateResult half = evaluate(e, *cpu(1));
  for (std::size_t i = 0; i < r.length_histogram.size(); ++i) EXPECT_LE(half.length_histogram[i], r.length_histogram[i]);
}

// ---- refusals

void expect_refused(const QTrainConfiguration& c, const std::string& option, const std::string& what) {
  try {
    validate(c);
    ADD_FAILURE() << option << " was accepted";
  } catch (const ConfigurationError& error) {
    const std::string message = error.what();
    EXPECT_TRUE(message.starts_with(option + ": ")) << message;
    EXPECT_NE(message.find(what), std::string::npos) << message;
  }
}

TEST(QConfiguration, RefusesWhatCannotBeRun) {
  const QTrainConfiguration good = dqn_defaults(500);
  validate(good);
  const auto refused = [&](const auto& change, const char* option, const char* what) {
    QTrainConfiguration c = good;
    change(c.training, c);
    expect_refused(c, option, what);
  };
  using T = QTrainingSettings;
  using C = QTrainConfiguration;
  refused([](T& t, C&) { t.shape.hidden1 = 0; }, "--hidden", "0,64");
  refused([](T& t, C&) { t.shape.hidden2 = 257; }, "--hidden", "from 1 to 256");
  refused([](T& t, C&) { t.batch = 0; }, "--batch", "from 1 to 256");
  refused([](T& t, C&) { t.batch = 257; }, "--batch", "from 1 to 256");
  refused([](T& t, C&) { t.replay_capacity = 127; }, "--batch", "at most --buffer 127");
  refused([](T& t, C&) { t.replay_capacity = 0; }, "--buffer", "from 1 to 4294967295");
  refused([](T& t, C&) { t.replay_capacity = std::uint64_t{1} << 32; }, "--buffer", "4294967296");
  refused([](T& t, C&) { t.epsilon.start = 1.01; }, "--epsilon-start", "from 0 to 1");
  refused([](T& t, C&) { t.epsilon.end = -0.01; }, "--epsilon-end", "from 0 to 1");
  refused([](T& t, C&) { t.epsilon.decay_steps = 0; }, "--epsilon-decay-steps", "from 1");
  refused([](T& t, C&) { t.learning.tau = 0; }, "--target-mix", "above 0 that a float can hold, at most 1");
  refused([](T& t, C&) { t.learning.tau = 1.5; }, "--target-mix", "1.5");
  refused([](T& t, C&) { t.learning.target_every = 0; }, "--target-every", "from 1");
  refused([](T& t, C&) { t.learning.gamma = 1.1; }, "--gamma", "from 0 to 1");
  refused([](T& t, C&) { t.learning.clip_norm = -1; }, "--clip-norm", "off");
  refused([](T& t, C&) { t.train_every = 0; }, "--train-every", "from 1");
  refused([](T& t, C&) { t.gradient_steps = 0; }, "--gradient-steps", "from 1");
  refused([](T& t, C&) { t.episodes = 0; }, "--episodes", "from 1");
  refused([](T& t, C&) { t.episodes = 2'000'000'000; }, "--episodes", "4294967295");
  refused([](T& t, C&) { t.optimizer.learning_rate = 0; }, "--learning-rate", "above 0");
  refused([](T& t, C&) { t.optimizer.learning_rate = std::nan(""); }, "--learning-rate", "finite");
  refused([](T& t, C&) { t.reward_scale = -1; }, "--reward-scale", "from 1e-9");
  refused([](T&, C& c) { c.replicas = 0; }, "--replicas", "from 1");
  refused([](T&, C& c) { c.seed = ~std::uint64_t{0}, c.replicas = 2; }, "--seed", "below 2^64");
  refused([](T&, C& c) { c.until = 501; }, "--until", "at most 500");
  refused([](T& t, C&) { t.environment.max_steps = 0; }, "--max-steps", "from 1");
  QTrainConfiguration large = good;
  large.training.replay_capacity = 4'294'967'295;
  large.training.warmup_steps = 4'294'967'295;
  expect_refused(large, "--buffer", "GB of memory");
  QTrainConfiguration online = q_learning_defaults(500);
  validate(online);
  online.training.batch = 2;
  online.training.replay_capacity = 2;
  expect_refused(online, "--batch", "online Q-learning");
}

TEST(QConfiguration, PresetsAreAccepted) {
  for (const std::uint32_t steps : {CartPole::kMaxStepsV0, CartPole::kMaxStepsV1}) {
    for (const auto preset : {dqn_defaults, q_learning_defaults, workshop_preset, zoo_preset, cleanrl_preset, tensorflow_preset})
      EXPECT_NO_THROW(validate(preset(steps)));
  }
}

// What a ring needs is known beforehand, and is no more than can be stored.
TEST(QMemory, IsThatOfTheTransitionsThatCanBeStored) {
  QTrainConfiguration c = workshop_preset(200);
  const std::uint64_t most = 10'000 + 200 + 500 * 200;
  EXPECT_EQ(memory_of_replica(c).replay, most * sizeof(Transition));
  c.training.replay_capacity = 5000;
  EXPECT_EQ(memory_of_replica(c).replay, 5000 * sizeof(Transition));
  c.training.replay_capacity = 1'000'000;
  c.training.episodes = 1'000'000'000;
  EXPECT_EQ(memory_of_replica(c).replay, 1'000'000 * sizeof(Transition));
  // Weights, target, two moments and the gradient at least, and what an executor has beside them.
  const std::uint64_t parameters = static_cast<std::uint64_t>(c.training.shape.parameters());
  EXPECT_GT(memory_of_replica(c).learner, 5 * 4 * parameters);
  EXPECT_LT(memory_of_replica(c).learner, 20 * 4 * parameters);
  EXPECT_EQ(memory_of_replica(c).outcomes, 4 * c.training.episodes);
}

// Bytes of this process in memory.
double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// A ring's memory is touched as it fills, and no more is taken once it is full.
TEST(QMemory, GrowsAsTheRingFillsAndNotBeyond) {
  if (test::little_effort()) GTEST_SKIP() << "sanitizers keep memory of their own";
  QTrainConfiguration c = dqn_defaults(200);
  QTrainingSettings& t = c.training;
  t.shape = {1, 1};
  t.batch = 1;
  t.replay_capacity = 600'000;
  t.train_every = 1000;  // little else to do
  t.epsilon = {EpsilonSettings::Schedule::constant, 1, 1, 1};
  t.episodes = 100'000;
  const double ring = static_cast<double>(t.replay_capacity * sizeof(Transition));
  std::uint64_t steps = 0;
  const double before = resident_bytes();
  double at_a_third = 0, when_full = 0, at_the_end = 0;
  RunControl control;
  control.episodes = [&](std::uint64_t, std::span<const std::uint32_t> outcomes) {
    for (const std::uint32_t n : outcomes) steps += n;
    at_the_end = resident_bytes();
    if (steps < t.replay_capacity / 3) at_a_third = at_the_end;
    if (steps > t.replay_capacity && when_full == 0) when_full = at_the_end;
  };
  train(c, *cpu(1), control);
  ASSERT_GT(steps, 3 * t.replay_capacity);
  EXPECT_LT(at_a_third - before, 0.6 * ring);
  EXPECT_GT(when_full - before, 0.9 * ring);
  EXPECT_LT(std::abs(at_the_end - when_full), 0.05 * ring);
}

TEST(QParameterNames, AreThoseOfTheParameters) {
  const QNetworkShape shape{3, 5};
  const std::vector<std::string> names = parameter_names(shape);
  ASSERT_EQ(names.size(), static_cast<std::size_t>(shape.parameters()));
  const auto at = [&](int i) { return names[static_cast<std::size_t>(i)]; };
  EXPECT_EQ(at(shape.weight_1(2, 3)), "w1_unit2_angular_velocity");
  EXPECT_EQ(at(shape.bias_1(1)), "b1_unit1");
  EXPECT_EQ(at(shape.weight_2(4, 2)), "w2_unit4_unit2");
  EXPECT_EQ(at(shape.bias_2(3)), "b2_unit3");
  EXPECT_EQ(at(shape.weight_3(1, 4)), "w3_action1_unit4");
  EXPECT_EQ(at(shape.bias_3(1)), "b3_action1");
}

}  // namespace
}  // namespace fryer
