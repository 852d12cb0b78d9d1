// SPDX-License-Identifier: Apache-2.0
// The promise: one digest for each reference run, whatever the instruction set, the number of threads and the split of the work, and
// that digest is the committed one, so every compiler and optimisation level that builds this test is held to it as well. Then what
// the promise says of trainings: the two ways to spread them agree, and a longer run starts with the shorter one.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/engine/effort.h"
#include "tests/engine/expect_equal.h"
#include "tests/engine/reference_runs.h"

namespace fryer {
namespace {

// The backend of an instruction set, or none where this machine or build lacks it.
std::unique_ptr<Backend> backend_on(const std::string& isa, unsigned threads, std::uint64_t chunk) {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.isa = isa;
  choice.threads = threads;
  choice.chunk = chunk;
  return make_backend(choice);
}

std::string hex(std::uint64_t digest) { return fmt::format("{:#018x}", digest); }

class Digests : public testing::TestWithParam<const char*> {};

// Detects any dependence of any result on instruction set, threads or split.
TEST_P(Digests, AreTheGoldenOnesForEverySplit) {
  try {
    backend_on(GetParam(), 1, 0);
  } catch (const DeviceError& error) {
    GTEST_SKIP() << error.what();
  }
  for (const test::ReferenceRun& reference : test::reference_runs()) {
    for (const unsigned threads : {1u, 2u, 7u}) {
      for (const std::uint64_t chunk : {1u, 7u, 4096u, 0u}) {
        if (test::little_effort() && !(threads == 1 && chunk == 0) && !(threads == 7 && chunk == 4096)) continue;
        const auto backend = backend_on(GetParam(), threads, chunk);
        // The choice took effect, or this test compares one executor with itself.
        ASSERT_EQ(backend->info().isa, GetParam());
        ASSERT_EQ(backend->info().threads, threads);
        EXPECT_EQ(hex(reference.run(*backend)), hex(reference.digest))
            << reference.name << ", " << threads << " threads, pieces of " << chunk;
        if (HasNonfatalFailure()) break;
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Isa, Digests, testing::Values("scalar", "avx2", "avx512"),
                         [](const auto& isa) { return std::string(isa.param); });

// A forced instruction set that is not there is an error, never another one.
TEST(Isa, ThatIsNotThereIsAnError) {
  EXPECT_THROW(backend_on("avx10", 1, 0), DeviceError);
  EXPECT_THROW(backend_on("AVX2", 1, 0), DeviceError);
}

// Runs named after stopping or failing do so for some replicas and not for others, or their digests would cover less than they seem to.
TEST(ReferenceRuns, CoverWhatTheyAreNamedAfter) {
  const auto backend = make_backend({});
  int stopping = 0, failing = 0;
  for (const test::ReferenceRun& reference : test::reference_runs()) {
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
  EXPECT_EQ(stopping, 2);
  EXPECT_EQ(failing, 1);
}

// The notebook runs on no backend; compilers and optimisation levels are what could change it.
TEST(NotebookDigest, IsTheGoldenOne) {
  NotebookConfiguration c;
  EXPECT_EQ(hex(notebook(c).digest), hex(0xac38fc632abca6d3));
  c.generator = NotebookConfiguration::Generator::philox;
  EXPECT_EQ(hex(notebook(c).digest), hex(0x9af250362d1cf0c9));
}

// A digest that did not depend on the result would pass everything above.
TEST(Digest, DependsOnTheResult) {
  const auto backend = make_backend({});
  TrainConfiguration c;
  c.updates = 20;
  c.replicas = 10;
  const std::uint64_t digest = train(c, *backend).digest;
  EXPECT_EQ(train(c, *backend).digest, digest);
  for (const auto change : {+[](TrainConfiguration& x) { x.seed += 1; }, +[](TrainConfiguration& x) { x.updates += 1; },
                            +[](TrainConfiguration& x) { x.replicas += 1; }, +[](TrainConfiguration& x) { x.batch += 1; },
                            +[](TrainConfiguration& x) { x.problem.bias += 1e-6; },
                            +[](TrainConfiguration& x) { x.optimizer.learning_rate *= 1.0000002; }}) {
    TrainConfiguration other = c;
    change(other);
    EXPECT_NE(train(other, *backend).digest, digest);
  }
}

// A population's digest is the sum of its replicas' alone.
TEST(Digest, OfAPopulationIsTheSumOfItsReplicas) {
  const auto backend = make_backend({});
  TrainConfiguration c;
  c.updates = 50;
  c.replicas = 100;
  const std::uint64_t whole = train(c, *backend).digest;
  std::uint64_t sum = 0;
  c.replicas = 1;
  for (int i = 0; i < 100; ++i, ++c.seed) sum += train(c, *backend).digest;
  EXPECT_EQ(sum, whole);
}

// Lanes that are episodes, reduced and stepped by the host, against lanes that are replicas: rows, curves, statistics, the same
// bits. Batch 1 takes the lanes' shortcut around the integer sum.
TEST(Spreads, GiveTheSameBits) {
  const auto backend = make_backend({});
  for (const std::uint64_t batch : {1u, 4u, 100u, 5000u}) {
    for (const bool adam : {true, false}) {
      for (const bool learn_weight : {false, true}) {
        for (const bool until : {false, true}) {
          SCOPED_TRACE(fmt::format("batch {} {} {} {}", batch, adam ? "Adam" : "SGD", learn_weight ? "learned weight" : "",
                                   until ? "until" : ""));
          TrainConfiguration c;
          c.batch = batch;
          c.updates = batch == 5000 ? 8 : test::little_effort() ? 40 : 120;
          c.replicas = test::little_effort() ? 2 : 9;
          c.seed = 77;
          c.problem.learn_weight = learn_weight;
          if (!adam) c.optimizer = {OptimizerSettings::Kind::sgd, OptimizerSettings::Form::torch, 3.0, 0.9, 0.999, 1e-8};
          if (until) c.until = 0.25;
          test::expect_equal(train(c, *backend, {}, Spread::replicas), train(c, *backend, {}, Spread::episodes));
        }
      }
    }
  }
}

TEST(Spreads, FailAlike) {
  const auto backend = make_backend({});
  TrainConfiguration c;
  c.replicas = 200;
  c.updates = 30;
  c.problem.environment.reward_correct = 4;
  c.problem.environment.reward_wrong = -4;
  c.optimizer.kind = OptimizerSettings::Kind::sgd;
  c.optimizer.learning_rate = 3.4e38;  // overflows for a few seeds
  for (const std::uint64_t batch : {1u, 2u}) {
    c.batch = batch;
    const TrainResult replicas = train(c, *backend, {}, Spread::replicas);
    EXPECT_GT(replicas.failed.count, 0u);
    EXPECT_LT(replicas.failed.count, 200u);
    test::expect_equal(replicas, train(c, *backend, {}, Spread::episodes));
  }
}

// No bit depends on how many updates were asked for, nor on `until`: a longer run starts with the shorter one.
TEST(Prefix, LongerRunsStartWithShorterOnes) {
  const auto backend = make_backend({});
  for (const Spread spread : {Spread::replicas, Spread::episodes}) {
    for (const std::uint64_t batch : {1u, 6u}) {
      TrainConfiguration c;
      c.replicas = test::little_effort() ? 5 : 30;
      c.batch = batch;
      c.updates = 90;
      const TrainResult longer = train(c, *backend, {}, spread);
      c.updates = 37;
      const TrainResult shorter = train(c, *backend, {}, spread);
      for (std::size_t i = 0; i < shorter.curve.size(); ++i) {
        ASSERT_EQ(shorter.curve[i].mean_return, longer.curve[i].mean_return);
        ASSERT_EQ(shorter.curve[i].sd, longer.curve[i].sd);
      }
      // A stopped replica is the training of as many updates as it made.
      c.updates = 300;
      c.until = 0.3;
      const TrainResult stopped = train(c, *backend, {}, spread);
      EXPECT_GT(stopped.solved, 0u);
      for (std::size_t i = 0; i < stopped.table.size(); ++i) {
        TrainConfiguration alone = c;
        alone.until.reset();
        alone.replicas = 1;
        alone.seed = c.seed + i;
        alone.updates = stopped.table.updates[i];
        const TrainResult again = train(alone, *backend, {}, spread);
        ASSERT_EQ(to_bits(again.table.parameters[1][0]), to_bits(stopped.table.parameters[1][i])) << i;
      }
    }
  }
}

}  // namespace
}  // namespace fryer
