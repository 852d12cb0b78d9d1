// SPDX-License-Identifier: Apache-2.0
// The bodies of the CUDA kernels on warps of 32 host threads against the scalar executor, bit for bit: every sum, count, row and curve
// value, whatever the number of warps, the split into launches and the odd ends of the work. Then the CUDA backend itself, with these
// warps in the place of a GPU, on the reference runs.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <tuple>

#include "host/lane_executor.h"
#include "tests/engine/effort.h"
#include "tests/engine/reference_runs.h"
#include "tests/kernels/host_warp.h"

namespace fryer::test {
namespace {

constexpr std::uint64_t kCounts[] = {1, 31, 32, 33, 65, 1003};
constexpr std::uint32_t kWarps[] = {1, 3};

std::unique_ptr<Backend> warp_backend(std::uint32_t warps, const CudaOptions& options = {}, bool local_curves = true,
                                      std::uint64_t free_bytes = std::uint64_t{1} << 40) {
  BackendInfo info;
  info.device = "warps of threads";
  return std::make_unique<DeviceBackend<HostWarps>>(HostWarps(warps, local_curves, free_bytes), info, options);
}

// ---- episodes

EpisodeWork episode_work(double weight, double bias, const FryShack::Settings& settings = {}) {
  EpisodeWork work{};
  work.key = make_uniform_key(0x123456789abcdefull);
  work.rules = {FryShack::make_rules(settings), purpose_word(Purpose::action), static_cast<float>(0.99 * settings.reward_correct),
                static_cast<float>(0.99 * settings.reward_wrong)};
  work.policy = {{static_cast<float>(weight) * 0x1p-24f}, static_cast<float>(bias)};
  work.fixed_point = make_fixed_point(2000, work.rules.gain_correct, work.rules.gain_wrong);
  const int digits = square_digits(work.rules.gain_correct, work.rules.gain_wrong);
  work.square_scale_bias = std::ldexp(1.0, digits - 48);
  work.square_scale_weight = std::ldexp(1.0, digits - 96);
  return work;
}

struct EpisodeCase {
  const char* name;
  EpisodeWork work;
  bool bounded;
};
std::vector<EpisodeCase> episode_cases() {
  FryShack::Settings certain, unusual{2, -0.5, 0.3, 0.9, 0.1};
  certain.large_order_norm = 1;
  certain.large_order_squatch = 0;
  std::vector<EpisodeCase> cases = {
      {"the notebook's", episode_work(20, -7), true},
      {"unusual settings", episode_work(-3, 2, unusual), true},
      {"certain orders", episode_work(20, -10, certain), false},
      {"p from 1 down", episode_work(-60, 95), false},
      {"p from 0 up", episode_work(60, -95), false},
      {"p is 0", episode_work(0, -1e9), false},
  };
  return cases;
}

std::uint64_t first_of(std::uint64_t count, bool at_the_end) {
  return (std::uint64_t{5} << 32) + (at_the_end ? (std::uint64_t{1} << 32) - count : 7);
}

void expect_equal(const GradientSums& a, const GradientSums& b) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(a.gradient[i], b.gradient[i]);
    EXPECT_TRUE(a.squared[i] == b.squared[i]);
  }
  EXPECT_EQ(a.correct, b.correct);
  EXPECT_EQ(a.episodes, b.episodes);
}

TEST(WarpBodies, GradientEqualsTheScalarExecutor) {
  for (const EpisodeCase& c : episode_cases()) {
    EXPECT_EQ(is_bounded(c.work), c.bounded) << c.name;
    for (const std::uint64_t count : kCounts) {
      for (const bool at_the_end : {false, true}) {
        if (at_the_end && count != 33 && count != 1003) continue;
        const std::uint64_t first = first_of(count, at_the_end);
        for (const auto& [weight, moments] :
             {std::pair{false, Moments::first}, std::pair{true, Moments::first}, std::pair{false, Moments::first_and_second},
              std::pair{true, Moments::first_and_second}}) {
          GradientSums expected;
          scalar::lane_executor().gradient(c.work, first, count, weight, moments, expected);
          for (const std::uint32_t warps : kWarps) {
            SCOPED_TRACE(testing::Message() << c.name << ", " << count << " from " << first << ", " << warps << " warps");
            expect_equal(warp_backend(warps)->gradient(c.work, first, count, weight, moments, {}), expected);
          }
        }
      }
    }
  }
}

TEST(WarpBodies, EvaluationEqualsTheScalarExecutor) {
  for (EpisodeCase c : episode_cases()) {
    c.work.rules.purpose_word = purpose_word(Purpose::evaluation_action);
    for (const bool greedy : {false, true}) {
      c.work.greedy = greedy;
      for (const std::uint64_t count : kCounts) {
        const std::uint64_t first = first_of(count, greedy);
        std::array<std::uint64_t, FryShack::kOutcomes> expected{};
        scalar::lane_executor().evaluate(c.work, first, count, expected.data());
        for (const std::uint32_t warps : kWarps) {
          EXPECT_EQ(warp_backend(warps)->evaluate(c.work, first, count, {}), expected) << c.name << ", " << count;
        }
      }
    }
  }
}

// So that 2^32 of them cannot overflow: a lane's low limb is below 2^32 when the warps add theirs.
TEST(WarpBodies, SquaresAreNormalisedBeforeTheyAreAdded) {
  std::array<std::uint64_t, kGradientSlots> sums{};
  HostWarps(1).launch_gradient(episode_work(20, -7), {0, 0, 1003}, true, Moments::first_and_second, sums.data());
  EXPECT_LE(sums[kSquaredWeightLow], std::uint64_t{kWarpLanes} << 32);
  EXPECT_LE(sums[kSquaredBiasLow], std::uint64_t{kWarpLanes} << 32);
}

// Ranges across multiples of 2^32, in launches of a few episodes.
TEST(WarpBodies, EpisodeRangesAreCutAtTheNumbersHighWord) {
  const EpisodeWork work = episode_work(20, -7);
  for (const std::uint64_t first : {(std::uint64_t{1} << 32) - 100, ~std::uint64_t{0} - 299}) {
    GradientSums expected;
    std::array<std::uint64_t, FryShack::kOutcomes> counts{};
    for (std::uint64_t i = 0; i < 300; ++i) {
      scalar::lane_executor().gradient(work, first + i, 1, true, Moments::first_and_second, expected);
      scalar::lane_executor().evaluate(work, first + i, 1, counts.data());
    }
    for (const std::uint64_t chunk : {0u, 37u, 100u}) {
      CudaOptions options;
      options.chunk = chunk;
      expect_equal(warp_backend(2, options)->gradient(work, first, 300, true, Moments::first_and_second, {}), expected);
      EXPECT_EQ(warp_backend(2, options)->evaluate(work, first, 300, {}), counts);
    }
  }
}

// The cheaper kernels' leaves where they may be chosen: the same bits.
TEST(WarpBodies, BoundedFormsGiveTheSameBits) {
  for (std::uint32_t bits = 0; bits < 0x43000000u; bits += 1009) {  // up to 128, both signs
    for (const float z : {from_bits(bits), -from_bits(bits)}) {
      if (z >= kSigmoidZeroBelow && z <= kSigmoidOneFrom) {
        ASSERT_EQ(to_bits(sigmoid24_between(z)), to_bits(sigmoid24(z))) << z;
      }
    }
  }
  for (const float z : {kSigmoidZeroBelow, kSigmoidOneFrom}) EXPECT_EQ(to_bits(sigmoid24_between(z)), to_bits(sigmoid24(z)));

  std::mt19937_64 random(1);
  for (const auto& [norm, squatch] : {std::pair{0.0, 0.5}, std::pair{0.8, 0.2}, std::pair{1 - 0x1p-24, 0x1p-24}}) {
    FryShack::Settings settings;
    settings.large_order_norm = norm;
    settings.large_order_squatch = squatch;
    const FryShack::Rules rules = FryShack::make_rules(settings);
    ASSERT_FALSE(FryShack::large_order_may_be_certain(rules));
    for (int i = 0; i < 20000; ++i) {
      RandomBlock<std::uint32_t> words = {static_cast<std::uint32_t>(random()), 0, static_cast<std::uint32_t>(random()), 0};
      if (i % 3 == 0) words.z = (rules.norm_large << 8) + static_cast<std::uint32_t>(i % 7) - 3;  // around a threshold
      for (const bool action : {false, true}) {
        ASSERT_EQ(FryShack::correct<float>(rules, words, action),
                  FryShack::correct<float>(FryShack::make_word_rules(rules), words, action));
      }
    }
  }
}

// Only where no logit can leave the range: at both ends of hunger, with infinite and NaN parameters.
TEST(WarpBodies, KnowsWhereTheBoundedFormsMayBeChosen) {
  EXPECT_TRUE(is_bounded(episode_work(0, 70)));
  EXPECT_FALSE(is_bounded(episode_work(0, 70.0001)));
  EXPECT_FALSE(is_bounded(episode_work(20, 51)));
  EXPECT_TRUE(is_bounded(episode_work(20, 49)));
  EXPECT_TRUE(is_bounded(episode_work(0, static_cast<double>(kSigmoidZeroBelow))));
  EXPECT_FALSE(is_bounded(episode_work(0, -87.34)));
  EXPECT_FALSE(is_bounded(episode_work(-20, -70)));
  for (const double z : {HUGE_VAL, -HUGE_VAL, std::nan("")}) {
    EXPECT_FALSE(is_bounded(episode_work(z, 0)));
    EXPECT_FALSE(is_bounded(episode_work(0, z)));
  }
}

// ---- replicas

struct TrainingCase {
  std::string name;
  TrainRequest request;
  std::shared_ptr<AdamTable> table;
};

TrainingCase training(const std::string& name, const OptimizerSettings& optimizer, bool learn_weight, std::uint32_t batch,
                      std::uint32_t updates, std::uint32_t window, double share) {
  TrainingCase c;
  c.name = name;
  c.table = std::make_shared<AdamTable>(optimizer, updates / 2 + 1);  // later updates take its last entry
  ReplicaWork& work = c.request.work;
  work = {};
  work.rules = {FryShack::make_rules({}), purpose_word(Purpose::action), 0.99f, -0.99f};
  work.fixed_point = make_fixed_point(batch, 0.99f, -0.99f);
  work.optimizer = make_optimizer_constants<float>(optimizer);
  work.optimizer_kind = optimizer.kind;
  work.learn_weight = learn_weight;
  work.initial_weight = 20;
  work.updates = updates;
  work.batch = batch;
  work.table_last = static_cast<std::uint32_t>(c.table->step.size() - 1);
  work.window = window;
  work.window_target = static_cast<std::uint32_t>(std::ceil(share * window * batch));
  work.correct_pays_more = true;
  c.request.table = c.table.get();
  c.request.first_seed = (std::uint64_t{3} << 32) + 11;
  return c;
}

std::vector<TrainingCase> training_cases() {
  const OptimizerSettings adam;
  OptimizerSettings sgd, wild;
  sgd.kind = wild.kind = OptimizerSettings::Kind::sgd;
  sgd.learning_rate = 1;
  wild.learning_rate = 3.4e38;
  OptimizerSettings hopeless;
  hopeless.learning_rate = 1e38;  // all do, at once: Adam's first step is infinite
  std::vector<TrainingCase> cases;
  for (const bool weight : {false, true}) {
    for (const std::uint32_t batch : {1u, 3u}) {
      const std::string of = std::string(weight ? "weight learned" : "bias only") + ", batch " + std::to_string(batch);
      cases.push_back(training("adam, " + of, adam, weight, batch, 45, 0, 0));
      cases.push_back(training("sgd, " + of, sgd, weight, batch, 35, 0, 0));
      cases.push_back(training("adam until, " + of, adam, weight, batch, 45, 10, 0.7));
      cases.push_back(training("sgd until, " + of, sgd, weight, batch, 33, 7, 0.8));
    }
    cases.push_back(training("all fail", hopeless, weight, 1, 40, 0, 0));
    cases.push_back(training("all fail until", hopeless, weight, 2, 40, 5, 0.9));
    for (const std::uint32_t window : {0u, 3u}) {
      for (const std::uint32_t batch : {1u, 2u}) {
        cases.push_back(training("failing at the first wrong order", wild, weight, batch, 20, window, 1));
        ReplicaWork& work = cases.back().request.work;
        work.initial_weight = 0;
        work.rules.gain_correct = 0;
        work.rules.gain_wrong = -5;
        work.fixed_point = make_fixed_point(batch, work.rules.gain_correct, work.rules.gain_wrong);
      }
    }
  }
  cases.push_back(training("until the worse outcome", adam, false, 2, 20, 4, 0.6));
  cases.back().request.work.correct_pays_more = false;
  cases.push_back(training("a window longer than the training", adam, false, 1, 5, 9, 0.1));
  return cases;
}

// Everything that a training of a range leaves behind.
struct Trained {
  std::vector<std::uint8_t> status;
  std::vector<std::uint32_t> updates, correct;
  std::vector<float> weight, bias;
  std::vector<std::uint64_t> curve;

  Trained(std::uint64_t replicas, std::uint64_t made)
      : status(replicas, 9),
        updates(replicas, 9),
        correct(replicas * made, 0xffffffffu),
        weight(replicas),
        bias(replicas),
        curve(3 * made) {}
  RowMemory rows() { return {status.data(), updates.data(), weight.data(), bias.data(), correct.data(), status.size()}; }
  CurveMemory curves() {
    const std::size_t n = curve.size() / 3;
    return {curve.data(), curve.data() + n, curve.data() + 2 * n};
  }
  void expect_equal(const Trained& other) const {
    EXPECT_EQ(status, other.status);
    EXPECT_EQ(updates, other.updates);
    EXPECT_EQ(correct, other.correct);  // also that nothing was written past a replica's end
    EXPECT_EQ(curve, other.curve);
    for (std::size_t i = 0; i < weight.size(); ++i) {
      ASSERT_EQ(to_bits(weight[i]), to_bits(other.weight[i])) << i;
      ASSERT_EQ(to_bits(bias[i]), to_bits(other.bias[i])) << i;
    }
  }
};

ReplicaWork with_table(const TrainingCase& c) {
  ReplicaWork work = c.request.work;
  work.step = c.table->step.data();
  work.root_scale = c.table->root_scale.data();
  return work;
}

Trained train_scalar(const TrainingCase& c, std::uint64_t replicas) {
  const ReplicaWork work = with_table(c);
  Trained t(replicas, work.updates);
  std::vector<std::uint32_t> scratch(scalar::lane_executor().train_scratch(work) + 1);
  const RowMemory rows = t.rows();
  const CurveMemory curve = t.curves();
  scalar::lane_executor().train(
      work, c.request.first_seed, replicas, {rows.status, rows.updates, rows.weight, rows.bias, rows.correct, rows.stride},
      {curve.count, curve.correct, curve.squared}, scratch.data(), {[](const void*) { return false; }, nullptr});
  return t;
}

// launches: of so many updates each, or steps of each lane.
Trained train_in_warps(const TrainingCase& c, std::uint64_t replicas, std::uint32_t warps, std::uint32_t steps,
                       bool local_curves) {
  const ReplicaWork work = with_table(c);
  Trained t(replicas, work.updates);
  HostWarps device(warps, local_curves);
  const std::uint64_t lanes = std::max<std::uint64_t>(std::uint64_t{warps} * kWarpLanes, replicas);
  std::vector<float> floats(6 * lanes, std::nanf(""));
  std::vector<std::uint32_t> words((4 + work.window) * lanes, 0xdeadbeefu);
  float* const f = floats.data();
  std::uint32_t* const w = words.data();
  const LaneMemory memory = {
      {f, f + lanes}, {f + 2 * lanes, f + 3 * lanes}, {f + 4 * lanes, f + 5 * lanes}, w, w + lanes, w + 2 * lanes, w + 3 * lanes,
      w + 4 * lanes};
  const auto low = static_cast<std::uint32_t>(c.request.first_seed),
             high = static_cast<std::uint32_t>(c.request.first_seed >> 32);
  const UniformKey key = make_uniform_key(c.request.first_seed);
  if (work.window == 0) {
    StepLaunch launch{low, high, {}, static_cast<std::uint32_t>(replicas), 0, 0, t.rows(), t.curves(), memory};
    std::copy(std::begin(key.high), std::end(key.high), launch.key_high);
    while (launch.end_update < work.updates) {
      launch.first_update = launch.end_update;
      launch.end_update = std::min(work.updates, launch.first_update + steps);
      device.launch_step(work, launch);
    }
  } else {
    std::uint64_t next = 0, running = 0;
    UntilLaunch launch{low, high, {}, replicas, &next, &running, steps, false, 0, t.rows(), t.curves(), memory};
    std::copy(std::begin(key.high), std::end(key.high), launch.key_high);
    do {
      running = 0;
      device.launch_until(work, launch, device.until_shape(work, replicas));
      launch.resume = true;
      launch.slot = (launch.slot + steps) % work.window;
    } while (running != 0);
    EXPECT_GE(next, replicas);
  }
  return t;
}

TEST(WarpBodies, TrainingEqualsTheScalarExecutor) {
  for (const TrainingCase& c : training_cases()) {
    const Trained expected = train_scalar(c, 65);
    for (const std::uint32_t warps : kWarps) {
      for (const std::uint32_t steps : {1000u, 13u}) {
        SCOPED_TRACE(testing::Message() << c.name << ", " << warps << " warps, " << steps << " updates a launch");
        train_in_warps(c, 65, warps, steps, steps != 13).expect_equal(expected);
      }
    }
  }
}

TEST(WarpBodies, TrainingOfAnyNumberOfReplicas) {
  for (const TrainingCase& c : training_cases()) {
    if (c.name != "adam, bias only, batch 1" && c.name != "adam until, weight learned, batch 3") continue;
    for (const std::uint64_t replicas : kCounts) {
      if (little_effort() && replicas > 100) continue;
      const Trained expected = train_scalar(c, replicas);
      for (const std::uint32_t warps : kWarps) {
        SCOPED_TRACE(testing::Message() << c.name << ", " << replicas << " replicas, " << warps << " warps");
        train_in_warps(c, replicas, warps, 1000, true).expect_equal(expected);
      }
    }
  }
}

// The cases above do finish, solve, fail at once and fail later.
TEST(WarpBodies, CasesCoverEveryEnding) {
  std::array<int, 4> endings{};
  for (const TrainingCase& c : training_cases()) {
    const Trained t = train_scalar(c, 65);
    for (std::size_t i = 0; i < 65; ++i) {
      ++endings[t.status[i]];
      if (t.status[i] == static_cast<std::uint8_t>(ReplicaStatus::failed)) {
        EXPECT_EQ(to_bits(t.bias[i]), kFailedParameterBits);
        if (t.updates[i] > 1) ++endings[3];
      }
    }
  }
  EXPECT_TRUE(std::all_of(endings.begin(), endings.end(), [](int n) { return n > 5; }))
      << endings[0] << " finished, " << endings[1] << " solved, " << endings[2] << " failed, " << endings[3] << " of them later";
}

TEST(WarpBodies, CurveQuantilesEqualTheCpus) {
  for (const TrainingCase& c : training_cases()) {
    if (c.request.work.batch == 1) continue;
    Trained t = train_scalar(c, 65);
    ReplicaTable table;
    table.status = t.status;
    table.updates = t.updates;
    const std::vector<std::uint64_t> made(t.curve.begin(), t.curve.begin() + c.request.work.updates);
    const std::vector<std::uint32_t> expected = curve_quantiles(c.request.work, table, t.correct);
    for (const std::uint32_t warps : kWarps) {
      EXPECT_EQ(HostWarps(warps).curve_quantiles(c.request.work, t.rows(), 65, made), expected) << c.name;
    }
  }
}

// ---- the CUDA backend on these warps

TEST(WarpBackend, GivesTheReferenceDigests) {
  for (const ReferenceRun& run : reference_runs()) {
    EXPECT_EQ(run.run(*warp_backend(2)), run.digest) << run.name;
    if (little_effort()) continue;
    CudaOptions options;
    options.chunk = 20'000;
    EXPECT_EQ(run.run(*warp_backend(3, options, false)), run.digest) << run.name << ", in launches of 20,000";
  }
}

// Curves, summaries and quantiles are not in the digest.
TEST(WarpBackend, GivesTheCpusPopulation) {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  const std::unique_ptr<Backend> cpu = make_backend(choice);
  for (TrainingCase& c : training_cases()) {
    if (c.request.work.batch == 1 && c.request.work.window == 0) continue;
    c.request.replicas = 70;
    c.request.first_seed = (std::uint64_t{1} << 32) - 41;
    c.request.detail.curve_quantiles = c.request.detail.outcomes = true;
    const Population expected = cpu->train(c.request, {}), got = warp_backend(2)->train(c.request, {});
    SCOPED_TRACE(c.name);
    test::expect_equal(got, expected);
  }
}

TEST(WarpBackend, StopsBetweenLaunches) {
  CudaOptions options;
  options.chunk = 32;
  TrainConfiguration c;
  c.replicas = 100;
  for (const bool until : {false, true}) {
    if (until) c.until = 2;
    StopToken stop{false};
    int calls = 0;
    const RunControl control = {&stop, [&](std::uint64_t, std::uint64_t) { stop = ++calls == 3; }};
    EXPECT_THROW(train(c, *warp_backend(1, options), control), Stopped);
    EXPECT_EQ(calls, 3);
  }
}

TEST(WarpBackend, ReportsProgressUpToTheEnd) {
  CudaOptions options;
  options.chunk = 1000;
  TrainConfiguration c;
  c.updates = 60;
  c.replicas = 100;
  c.seed = (std::uint64_t{1} << 32) - 40;
  for (const bool until : {false, true}) {
    if (until) c.until = 0.5;
    std::uint64_t last = 0, planned = 0, calls = 0;
    train(c, *warp_backend(1, options), {nullptr, [&](std::uint64_t finished, std::uint64_t of) {
                                           EXPECT_GE(finished, last);
                                           last = finished;
                                           planned = of;
                                           ++calls;
                                         }});
    EXPECT_EQ(last, c.replicas * c.updates);
    EXPECT_EQ(planned, last);
    EXPECT_GT(calls, 3u);
  }
}

TEST(WarpBackend, RefusesWhatDoesNotFit) {
  TrainConfiguration c;
  c.replicas = 1'000'000;
  try {
    train(c, *warp_backend(1, {}, true, 20'000'000));
    FAIL() << "25 MB in 20 MB";
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("1000000 replicas need 25"), std::string::npos) << error.what();
  }
}

TEST(Pacer, FindsTheWantedTimeInAFewLaunches) {
  Pacer pacer(1000, 0, 0.25);
  int launches = 0;
  for (; launches < 12; ++launches) {
    const double seconds = 20e-6 + static_cast<double>(pacer.size()) / 1e9;  // a launch's own time, then 1e9 a second
    if (seconds > 0.2 && seconds < 0.3) break;
    EXPECT_LT(seconds, 0.5);
    pacer.took(pacer.size(), seconds);
  }
  EXPECT_LT(launches, 9);
  pacer.took(pacer.size(), 100);  // the device was busy
  EXPECT_GE(pacer.size(), 1u);
  Pacer fixed(1000, 7, 0.25);
  fixed.took(7, 1e-3);
  EXPECT_EQ(fixed.size(), 7u);
  Pacer slow(1, 0, 0.25);
  slow.took(1, 50);
  EXPECT_EQ(slow.size(), 1u);
}

}  // namespace
}  // namespace fryer::test
