// SPDX-License-Identifier: Apache-2.0
// The CPU backend's own duties: cutting work where high words change, stopping, progress, refusing what is not there, and computing
// with the floating-point mode that the promise needs whatever the process had set.
#include "host/cpu_backend.h"

#include <gtest/gtest.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "fryer/engine/api.h"
#include "host/cpu_features.h"
#include "host/driver.h"
#include "tests/engine/stopped.h"

namespace fryer {
namespace {

std::unique_ptr<Backend> backend(unsigned threads = 2, std::uint64_t chunk = 0, const std::string& isa = "") {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.threads = threads;
  choice.chunk = chunk;
  choice.isa = isa;
  return make_backend(choice);
}

// Seeds on both sides of 2^32 and up to 2^64 - 1: each replica equals the training of that seed alone.
TEST(CpuBackend, PopulationsCrossTheSeedsHighWord) {
  for (const std::uint64_t first : {(std::uint64_t{1} << 32) - 70, (std::uint64_t{7} << 32) - 1, ~std::uint64_t{0} - 150}) {
    TrainConfiguration c;
    c.updates = 40;
    c.seed = first;
    c.replicas = 151;
    const TrainResult population = train(c, *backend(2, 50));
    for (std::uint64_t k = 0; k < c.replicas; ++k) {
      TrainConfiguration one = c;
      one.seed = first + k;
      one.replicas = 1;
      const TrainResult alone = train(one, *backend(1));
      ASSERT_EQ(to_bits(population.table.parameters[1][k]), to_bits(alone.table.parameters[1][0])) << "seed " << one.seed;
    }
  }
}

// Returns of 100 episodes at +-1 are multiples of 0.02: a threshold of exactly 0.4 asks for 70 correct orders, as 0.39 does, and not for
// 71, as 0.41 does. Detects a threshold that rounding moves by one.
TEST(CpuBackend, ThresholdsThatAreExactReturnsAreReached) {
  TrainConfiguration c;
  c.replicas = 500;
  c.updates = 400;
  const auto run = [&](double until, double correct, double wrong) {
    c.until = until;
    c.problem.environment.reward_correct = correct;
    c.problem.environment.reward_wrong = wrong;
    return train(c, *backend()).digest;
  };
  for (const double exact : {0.2, 0.3, 0.4, 0.44}) {
    EXPECT_EQ(run(exact, 1, -1), run(exact - 0.01, 1, -1)) << exact;
    EXPECT_NE(run(exact, 1, -1), run(exact + 0.01, 1, -1)) << exact;
  }
  EXPECT_EQ(run(-0.4, -1, 1), run(-0.41, -1, 1));  // where a wrong order pays more
}

// A lone bundle with a huge batch must not keep Ctrl-C waiting for its end (minutes): the lanes themselves ask.
TEST(CpuBackend, StopsWithinAPiece) {
  TrainConfiguration c;
  c.replicas = 128;
  c.batch = 65'535;
  c.updates = 60'000;
  test::expect_stopped([&](const RunControl& control) { train(c, *backend(2), control, Spread::replicas); });
}

TEST(CpuBackend, RefusesParametersThatAreNotFinite) {
  EpisodeWork work{};
  work.policy.bias = from_bits(std::uint32_t{0x7fc00000});
  EXPECT_THROW(backend()->gradient(work, 0, 10, true, Moments::first, {}), RunError);
  EXPECT_THROW(backend()->evaluate(work, 0, 10, {}), RunError);
}

// Ranges of episodes across 2^32 and near 2^64: the sums of a range are the sums of its parts.
TEST(CpuBackend, EpisodeRangesCrossTheNumbersHighWord) {
  EpisodeWork work{};
  work.key = make_uniform_key(3);
  work.rules.environment = FryShack::make_rules({});
  work.rules.purpose_word = purpose_word(Purpose::action);
  work.rules.gain_correct = 1;
  work.rules.gain_wrong = -1;
  work.policy = {{20 * 0x1p-24f}, -3};
  work.fixed_point = make_fixed_point(1000, 1, -1);
  work.square_scale_bias = work.square_scale_weight = 1;
  for (const std::uint64_t first : {(std::uint64_t{1} << 32) - 400, (std::uint64_t{1} << 63) - 7, ~std::uint64_t{0} - 999}) {
    const GradientSums whole = backend(2, 96)->gradient(work, first, 1000, true, Moments::first, {});
    GradientSums parts;
    for (std::uint64_t i = 0; i < 1000; ++i) parts.add(backend(1)->gradient(work, first + i, 1, true, Moments::first, {}));
    EXPECT_EQ(whole.gradient[0], parts.gradient[0]);
    EXPECT_EQ(whole.gradient[1], parts.gradient[1]);
    EXPECT_EQ(whole.correct, parts.correct);
    EXPECT_EQ(whole.episodes, 1000u);
  }
}

TEST(CpuBackend, StopsWhenAsked) {
  const StopToken stop{true};
  GradientConfiguration c;
  c.episodes = std::uint64_t{1} << 36;  // minutes, if it did not stop
  EXPECT_THROW(gradient(c, *backend(), {&stop, nullptr}), Stopped);
  TrainConfiguration t;
  t.replicas = 1'000'000;
  t.updates = 10'000;
  EXPECT_THROW(train(t, *backend(), {&stop, nullptr}), Stopped);
}

TEST(CpuBackend, ReportsProgressUpToTheEnd) {
  TrainConfiguration c;
  c.replicas = 3000;
  std::uint64_t last = 0, planned = 0, calls = 0;
  train(c, *backend(1, 256), {nullptr, [&](std::uint64_t finished, std::uint64_t of) {
                                EXPECT_GE(finished, last);
                                last = finished;
                                planned = of;
                                ++calls;
                              }});
  EXPECT_EQ(planned, c.replicas * c.updates);
  EXPECT_EQ(last, planned);
  EXPECT_GT(calls, 5u);
}

TEST(CpuBackend, RefusesInstructionSetsItLacks) {
  EXPECT_THROW(backend(1, 0, "avx1024"), DeviceError);
  for (const CpuExecutorReport& report : cpu_executors()) {
    if (report.unavailable.empty()) {
      EXPECT_EQ(backend(1, 0, report.isa)->info().isa, report.isa);  // the forced one really runs
    } else {
      EXPECT_THROW(backend(1, 0, report.isa), DeviceError);
    }
  }
}

#if defined(__x86_64__)
// Another library's fast-math start-up code may have set flush-to-zero, or a program may round upward: same bits all the same.
TEST(CpuBackend, IgnoresTheProcessFloatingPointMode) {
  TrainConfiguration c;
  c.replicas = 40;
  const std::uint64_t digest = train(c, *backend(2)).digest;
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040u | 0x4000u);  // flush to zero, subnormals are zero, round upward
  const unsigned changed = _mm_getcsr();
  EXPECT_EQ(train(c, *backend(2)).digest, digest);
  EXPECT_EQ(train(c, *backend(1)).digest, digest);
  EXPECT_EQ(_mm_getcsr() & 0xffc0u, changed & 0xffc0u);  // and put back
  _mm_setcsr(before);
}
#endif

}  // namespace
}  // namespace fryer
