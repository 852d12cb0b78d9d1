// SPDX-License-Identifier: Apache-2.0
// The promise, for CartPole: one digest for each reference run, whatever the instruction set, the number of threads and the split
// of the work, and that digest is the committed one; the fast and the general program agree bit for bit; the two ways to spread a
// training agree; replicas are the trainings of their seeds alone; and a longer run starts with the shorter one.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "host/lane_executor.h"
#include "tests/engine/cart_pole_reference_runs.h"
#include "tests/engine/cart_pole_trajectory.h"
#include "tests/engine/effort.h"
#include "tests/engine/expect_equal.h"

namespace fryer {
namespace {

std::unique_ptr<Backend> backend_on(const std::string& isa, unsigned threads, std::uint64_t chunk) {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.isa = isa;
  choice.threads = threads;
  choice.chunk = chunk;
  return make_backend(choice);
}

std::string hex(std::uint64_t digest) { return fmt::format("{:#018x}", digest); }

class CartPoleDigests : public testing::TestWithParam<const char*> {};

// Detects any dependence of any result on instruction set, threads or split.
TEST_P(CartPoleDigests, AreTheGoldenOnesForEverySplit) {
  try {
    backend_on(GetParam(), 1, 0);
  } catch (const DeviceError& error) {
    GTEST_SKIP() << error.what();
  }
  const bool slow = test::little_effort() || std::string(GetParam()) == "scalar";
  struct Split {
    unsigned threads;
    std::uint64_t chunk;
  };
  const std::vector<Split> splits =
      slow ? std::vector<Split>{{1, 0}, {3, 7}} : std::vector<Split>{{1, 0}, {1, 1}, {2, 0}, {2, 4096}, {3, 7}, {3, 64}};
  for (const test::CartPoleReferenceRun& reference : test::cart_pole_reference_runs()) {
    for (const Split& split : splits) {
      const auto backend = backend_on(GetParam(), split.threads, split.chunk);
      ASSERT_EQ(backend->info().isa, GetParam());
      ASSERT_EQ(backend->info().threads, split.threads);
      EXPECT_EQ(hex(reference.run(*backend)), hex(reference.digest))
          << reference.name << ", " << split.threads << " threads, pieces of " << split.chunk;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Isa, CartPoleDigests, testing::Values("scalar", "avx2", "avx512"),
                         [](const auto& isa) { return std::string(isa.param); });

// Runs named after stopping or failing do so for some replicas and not for others, or their digests would cover less than they
// seem to.
TEST(CartPoleReferenceRuns, CoverWhatTheyAreNamedAfter) {
  const auto backend = make_backend({});
  int stopping = 0, failing = 0;
  std::vector<std::uint64_t> digests;
  for (const test::CartPoleReferenceRun& reference : test::cart_pole_reference_runs()) {
    digests.push_back(reference.digest);
    if (!reference.training) continue;
    SCOPED_TRACE(reference.name);
    const TrainResult r = train(*reference.training, *backend);
    const std::uint64_t replicas = reference.training->replicas;
    const bool stops = reference.name.find("until") != std::string::npos,
               fails = reference.name.find("fail") != std::string::npos;
    EXPECT_EQ(r.solved != 0, stops);
    EXPECT_LT(r.solved, replicas);
    EXPECT_EQ(r.failed.count != 0, fails);
    EXPECT_LT(r.failed.count, replicas);
    stopping += stops ? 1 : 0;
    failing += fails ? 1 : 0;
  }
  EXPECT_EQ(stopping, 3);
  EXPECT_EQ(failing, 2);
  std::sort(digests.begin(), digests.end());
  // One is there twice: for both ways to spread it.
  EXPECT_EQ(std::unique(digests.begin(), digests.end()) - digests.begin(), static_cast<std::ptrdiff_t>(digests.size()) - 1);
}

// A digest that did not depend on the result would pass everything above.
TEST(CartPoleDigest, DependsOnTheResult) {
  const auto backend = make_backend({});
  CartPoleTrainConfiguration c;
  c.updates = 5;
  c.replicas = 4;
  const std::uint64_t digest = train(c, *backend).digest;
  EXPECT_EQ(train(c, *backend).digest, digest);
  for (const auto change :
       {+[](CartPoleTrainConfiguration& x) { x.seed += 1; }, +[](CartPoleTrainConfiguration& x) { x.updates += 1; },
        +[](CartPoleTrainConfiguration& x) { x.replicas += 1; }, +[](CartPoleTrainConfiguration& x) { x.batch += 1; },
        +[](CartPoleTrainConfiguration& x) { x.problem.parameters[3] += 1e-6; },
        +[](CartPoleTrainConfiguration& x) { x.problem.gamma = 0.98; },
        +[](CartPoleTrainConfiguration& x) { x.problem.baseline = Baseline::mean; },
        +[](CartPoleTrainConfiguration& x) { x.problem.entropy_bonus = 1e-3; },
        +[](CartPoleTrainConfiguration& x) { x.problem.environment.gravity = 9.81; },
        +[](CartPoleTrainConfiguration& x) { x.optimizer.learning_rate *= 1.0000002; }}) {
    CartPoleTrainConfiguration other = c;
    change(other);
    EXPECT_NE(train(other, *backend).digest, digest);
  }
}

// ---- fast and general program

// The executors of this build that this machine can run.
std::vector<const LaneExecutor*> executors() {
  std::vector<const LaneExecutor*> all = {&scalar::lane_executor()};
  for (const char* isa : {"avx2", "avx512"}) {
    try {
      backend_on(isa, 1, 0);
    } catch (const DeviceError&) {
      continue;
    }
    all.push_back(std::string(isa) == "avx2" ? &avx2::lane_executor() : &avx512::lane_executor());
  }
  return all;
}

void expect_equal_sums(const CartPoleSums& a, const CartPoleSums& b) {
  for (int i = 0; i < kCartPoleParameters; ++i) {
    EXPECT_EQ(a.gradient[i], b.gradient[i]) << i;
    EXPECT_EQ(a.score[i], b.score[i]) << i;
    EXPECT_TRUE(a.squared[i] == b.squared[i]) << i;
  }
  EXPECT_EQ(a.return_sum, b.return_sum);
  EXPECT_EQ(a.return_square, b.return_square);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.terminated, b.terminated);
  EXPECT_EQ(a.episodes, b.episodes);
  EXPECT_TRUE(a.steps_squared == b.steps_squared);
}

// Detects any difference between the two programs where both apply, on every executor; and between executors, whose sums are
// compared one by one here, not by digest.
TEST(CartPolePrograms, FastAndGeneralGiveTheSameBits) {
  const std::uint64_t episodes = test::little_effort() ? 100 : 1000;
  for (const auto& parameters : {std::array<double, 5>{}, test::kShakyPolicy, std::array<double, 5>{0.5, 1, 10, 3, 0}}) {
    for (const double scale : {1.0, 0.3}) {
      CartPoleProblem problem;
      problem.parameters = parameters;
      problem.environment.max_steps = CartPole::kMaxStepsV0;
      problem.reward_scale = scale;
      CartPoleWork work = test::cart_pole_work(problem, 5, episodes);
      ASSERT_FALSE(work.game.general);
      for (const CartPoleTask task :
           {CartPoleTask::gradient, CartPoleTask::gradient_and_squares, CartPoleTask::gradient_and_scores}) {
        CartPoleSums first;
        for (const LaneExecutor* executor : executors()) {
          for (const bool general : {false, true}) {
            SCOPED_TRACE(fmt::format("{}, task {}, {}", executor->name, static_cast<int>(task), general ? "general" : "fast"));
            work.game.general = general;
            CartPoleSums sums;
            executor->cart_pole_gradient(work, (std::uint64_t{1} << 33) + 17, episodes, task, sums);
            EXPECT_EQ(sums.episodes, episodes);
            EXPECT_NE(sums.gradient[0], 0);
            if (executor == executors().front() && !general) first = sums;
            expect_equal_sums(sums, first);
          }
        }
      }
      for (const bool greedy : {false, true}) {
        std::vector<std::uint64_t> first;
        for (const LaneExecutor* executor : executors()) {
          for (const bool general : {false, true}) {
            work.game.general = general;
            work.game.greedy = greedy;
            std::vector<std::uint64_t> counts(outcome_count(problem.environment.max_steps));
            executor->cart_pole_evaluate(work, 0, episodes, counts.data());
            if (first.empty()) first = counts;
            EXPECT_EQ(counts, first) << executor->name << (general ? " general" : " fast") << (greedy ? " greedy" : "");
          }
        }
      }
    }
  }
}

// The same for whole trainings: a limit of 499 steps takes the general program and is no other game while no episode gets there.
TEST(CartPolePrograms, TrainTheSameParameters) {
  const auto backend = make_backend({});
  for (const Baseline baseline : {Baseline::none, Baseline::standardize}) {
    CartPoleTrainConfiguration c;
    c.problem.baseline = baseline;
    c.updates = 3;  // no episode reaches 500 steps so early
    c.replicas = 40;
    const TrainResult fast = train(c, *backend);
    for (const double steps : fast.curve.back().quantiles.value()) ASSERT_LT(steps, 400);
    // The scales of exact sums are powers of two that both limits share.
    c.problem.environment.max_steps = 499;
    const TrainResult general = train(c, *backend);
    EXPECT_EQ(general.table.steps, fast.table.steps);
    for (std::size_t i = 0; i < 5; ++i) {
      for (std::size_t row = 0; row < c.replicas; ++row)
        ASSERT_EQ(to_bits(general.table.parameters[i][row]), to_bits(fast.table.parameters[i][row])) << i << ' ' << row;
    }
  }
}

// Ranges of episodes across 2^32, where the counter's high word changes.
TEST(CartPoleEpisodes, RangesCrossTheNumbersHighWord) {
  CartPoleProblem problem;
  problem.parameters = test::kShakyPolicy;
  const CartPoleWork work = test::cart_pole_work(problem, 3, 1000);
  const std::uint64_t first = (std::uint64_t{1} << 32) - 400;
  const auto backend = make_backend({});
  const CartPoleSums whole = backend->gradient(work, first, 1000, CartPoleTask::gradient_and_scores, {});
  CartPoleSums parts = backend->gradient(work, first, 400, CartPoleTask::gradient_and_scores, {});
  parts.add(backend->gradient(work, first + 400, 600, CartPoleTask::gradient_and_scores, {}));
  expect_equal_sums(whole, parts);
}

// ---- trainings

void expect_equal_rows(const ReplicaTable& a, std::uint64_t row_a, const ReplicaTable& b, std::uint64_t row_b) {
  ASSERT_EQ(a.status[row_a], b.status[row_b]) << row_a;
  ASSERT_EQ(a.updates[row_a], b.updates[row_b]) << row_a;
  ASSERT_EQ(a.steps[row_a], b.steps[row_b]) << row_a;
  for (std::size_t i = 0; i < 5; ++i)
    ASSERT_EQ(to_bits(a.parameters[i][row_a]), to_bits(b.parameters[i][row_b])) << row_a << " parameter " << i;
}

// Every training among the reference runs.
std::vector<CartPoleTrainConfiguration> trainings() {
  std::vector<CartPoleTrainConfiguration> all;
  for (const test::CartPoleReferenceRun& reference : test::cart_pole_reference_runs()) {
    if (reference.training) all.push_back(*reference.training);
  }
  for (CartPoleTrainConfiguration& c : all) c.replicas = std::min<std::uint64_t>(c.replicas, test::little_effort() ? 5 : 35);
  return all;
}

// Lanes that are episodes, reduced and stepped by the host, against lanes that are replicas: rows, curves, statistics, the same
// bits.
TEST(CartPoleSpreads, GiveTheSameBits) {
  const auto backend = make_backend({});
  int with_failures = 0;
  for (const CartPoleTrainConfiguration& c : trainings()) {
    const TrainResult replicas = train(c, *backend, {}, Spread::replicas);
    test::expect_equal(replicas, train(c, *backend, {}, Spread::episodes));
    with_failures += replicas.failed.count != 0 ? 1 : 0;
  }
  EXPECT_GT(with_failures, 0);
}

// Replica k of a population is `train` with seed S + k, to the bit.
TEST(CartPolePopulation, ReplicasAreTrainingsOfTheirSeedAlone) {
  const auto backend = make_backend({});
  for (const CartPoleTrainConfiguration& c : trainings()) {
    const TrainResult population = train(c, *backend);
    std::uint64_t digests = 0, steps = 0;
    for (std::uint64_t k = 0; k < c.replicas; ++k) {
      CartPoleTrainConfiguration alone = c;
      alone.replicas = 1;
      alone.seed = c.seed + k;
      const TrainResult r = train(alone, *backend);
      expect_equal_rows(r.table, 0, population.table, k);
      EXPECT_EQ(r.steps, population.table.steps[k]);
      digests += r.digest;
      steps += r.steps;
    }
    EXPECT_EQ(digests, population.digest) << "the digest is the sum of its replicas'";
    EXPECT_EQ(steps, population.steps);
  }
}

// No bit depends on how many updates were asked for, nor on `until`: the first k updates of a longer run are the run of k
// updates.
TEST(CartPolePrefix, LongerRunsStartWithShorterOnes) {
  const auto backend = make_backend({});
  for (const Spread spread : {Spread::replicas, Spread::episodes}) {
    for (const Baseline baseline : {Baseline::none, Baseline::standardize}) {
      CartPoleTrainConfiguration c;
      c.problem.environment.max_steps = CartPole::kMaxStepsV0;
      c.problem.baseline = baseline;
      c.replicas = test::little_effort() ? 3 : 20;
      c.updates = 30;
      const TrainResult longer = train(c, *backend, {}, spread);
      c.updates = 11;
      const TrainResult shorter = train(c, *backend, {}, spread);
      test::expect_equal_beginnings(shorter.curve, longer.curve, 11);
      EXPECT_EQ(shorter.curve.size(), 11u);

      // A stopped replica is the training of as many updates as it made; until nobody stops, the curve is that without `until`.
      c.updates = 30;
      c.until = 60;
      const TrainResult stopped = train(c, *backend, {}, spread);
      ASSERT_GT(stopped.solved, 0u);
      const auto first = *std::min_element(stopped.table.updates.begin(), stopped.table.updates.end());
      test::expect_equal_beginnings(stopped.curve, longer.curve, first);
      for (std::size_t i = 0; i < stopped.table.size(); ++i) {
        CartPoleTrainConfiguration alone = c;
        alone.until.reset();
        alone.replicas = 1;
        alone.seed = c.seed + i;
        alone.updates = stopped.table.updates[i];
        const TrainResult again = train(alone, *backend, {}, spread);
        EXPECT_EQ(again.table.steps[0], stopped.table.steps[i]);
        for (std::size_t p = 0; p < 5; ++p)
          ASSERT_EQ(to_bits(again.table.parameters[p][0]), to_bits(stopped.table.parameters[p][i])) << i;
      }
    }
  }
}

}  // namespace
}  // namespace fryer
