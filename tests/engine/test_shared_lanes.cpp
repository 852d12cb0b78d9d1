// SPDX-License-Identifier: Apache-2.0
// Trainings that share lanes with others, and trainings left in their middle: each is what it is alone and in one go. On every executor of
// this machine, and on the CUDA backend's warps of host threads.
#include <gtest/gtest.h>

#include <random>

#include "fryer/core/error.h"
#include "host/driver.h"
#include "host/group_backend.h"
#include "host/training_states.h"
#include "host/training_support.h"
#include "kernels/device_backend.h"
#include "tests/engine/effort.h"
#include "tests/kernels/host_warp.h"

namespace fryer::test {
namespace {

std::unique_ptr<Backend> make_cpu(const std::string& isa, unsigned threads) {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.isa = isa;
  choice.threads = threads;
  return make_backend(choice);
}
// The instruction sets of this build that this machine has.
std::vector<std::string> isas_here() {
  std::vector<std::string> isas;
  for (const char* isa : {"scalar", "avx2", "avx512"}) {
    try {
      make_cpu(isa, 1);
      isas.push_back(isa);
    } catch (const DeviceError&) {
    }
  }
  return isas;
}
std::unique_ptr<Backend> warp_backend(std::uint64_t chunk) {
  CudaOptions options;
  options.chunk = chunk;
  return std::make_unique<DeviceBackend<HostWarps>>(HostWarps(2), BackendInfo{"warps", "host", 1, ""}, options);
}

CartPoleTrainConfiguration cell(double learning_rate, Baseline baseline, std::uint64_t updates, std::uint64_t seed,
                                std::uint64_t replicas) {
  CartPoleTrainConfiguration c;
  c.problem.environment.max_steps = 40;
  c.problem.baseline = baseline;
  c.problem.baseline_value = baseline == Baseline::constant ? 5 : 0;
  c.optimizer.learning_rate = learning_rate;
  c.updates = updates;
  c.batch = 4;
  c.seed = seed;
  c.replicas = replicas;
  return c;
}

// Cells whose trainings may share lanes: other rates, optimisers, lengths, stopping rules and starts; seeds on both sides of 2^32.
std::vector<CartPoleTrainConfiguration> cells() {
  std::vector<CartPoleTrainConfiguration> all = {
      cell(0.2, Baseline::mean, 9, 1, 7), cell(0.05, Baseline::standardize, 14, (std::uint64_t{1} << 32) - 3, 8),
      cell(0.3, Baseline::constant, 6, 77, 1), cell(1e38, Baseline::mean, 9, 5, 6), cell(0.4, Baseline::mean, 12, 1, 20)};
  all[1].optimizer.kind = OptimizerSettings::Kind::sgd;
  all[2].problem.parameters = {0.1, -0.2, 0.3, 0.4, 0.5};
  all[4].until = 20;
  return all;
}

std::vector<CartPoleTrainConfiguration> hidden_cells() {
  std::vector<CartPoleTrainConfiguration> all = cells();
  for (CartPoleTrainConfiguration& c : all) {
    c.problem.hidden.units = 3;
    c.problem.parameters = {};
    c.updates /= 2;
  }
  all[0].problem.hidden.initialisation = Initialisation::glorot;
  all[2].problem.hidden.parameters.assign(19, 0.25);
  return all;
}

void expect_equal(const TrainingStates& got, const TrainingStates& expected) {
  EXPECT_EQ(got.table.status, expected.table.status);
  EXPECT_EQ(got.table.updates, expected.table.updates);
  EXPECT_EQ(got.table.steps, expected.table.steps);
  ASSERT_EQ(got.table.parameters.size(), expected.table.parameters.size());
  for (std::size_t i = 0; i < expected.table.parameters.size(); ++i) {
    for (std::size_t row = 0; row < expected.table.size(); ++row)
      ASSERT_EQ(to_bits(got.table.parameters[i][row]), to_bits(expected.table.parameters[i][row])) << i << " of row " << row;
  }
  const std::uint64_t rows = expected.table.size();
  for (std::uint64_t row = 0; row < rows; ++row) {
    for (std::uint64_t u = 0; u < expected.table.updates[row]; ++u)
      ASSERT_EQ(got.outcomes[u * rows + row], expected.outcomes[u * rows + row]) << "update " << u << " of row " << row;
  }
}

// Each cell alone, and in one go; the driver's other way of training, which the digests' tests know to be right.
std::vector<TrainingStates> alone(const std::vector<CartPoleTrainConfiguration>& configurations) {
  const std::unique_ptr<Backend> backend = make_cpu("scalar", 1);
  std::vector<TrainingStates> all;
  for (const CartPoleTrainConfiguration& c : configurations) {
    all.push_back(fresh_states(c, true));
    train_on(std::vector{c}, all.back(), *backend, {}, Spread::episodes);
  }
  return all;
}

// All cells in the same lanes. pauses: how often, at any moment, they are left and gone on with; between, they are taken apart, as a
// study's file has them.
std::vector<TrainingStates> together(const std::vector<CartPoleTrainConfiguration>& configurations, Backend& backend,
                                     int pauses) {
  std::vector<TrainingStates> parts;
  for (const CartPoleTrainConfiguration& c : configurations) parts.push_back(fresh_states(c, true));
  std::mt19937 random(7);
  for (int run = 0;; ++run) {
    TrainingStates all = join(std::move(parts));
    StopToken pause{false};
    std::uint64_t until = random() % 40;
    const auto progress = [&](std::uint64_t, std::uint64_t) {
      if (run < pauses && until-- == 0) pause = true;
    };
    if (run < pauses && run % 3 == 0) pause = true;  // at once
    train_on(configurations, all, backend, {nullptr, progress, &pause}, Spread::replicas);
    parts.clear();
    for (std::uint64_t row = 0; const CartPoleTrainConfiguration& c : configurations) {
      parts.push_back(take_rows(all, row, c.replicas, c.updates, window_of(c)));
      row += c.replicas;
    }
    if (run == pauses) return parts;
  }
}

void expect_all_equal(const std::vector<TrainingStates>& got, const std::vector<TrainingStates>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "cell " << i);
    expect_equal(got[i], expected[i]);
  }
}

TEST(SharedLanes, TrainingsAreWhatTheyAreAlone) {
  for (const auto& configurations : {cells(), hidden_cells()}) {
    const std::vector<TrainingStates> expected = alone(configurations);
    for (const std::string& isa : isas_here()) {
      for (const unsigned threads : {1u, 3u}) {
        SCOPED_TRACE(testing::Message() << isa << ", " << threads << " threads, " << configurations[0].problem.hidden.units
                                        << " units");
        expect_all_equal(together(configurations, *make_cpu(isa, threads), 0), expected);
      }
    }
    SCOPED_TRACE("warps");
    expect_all_equal(together(configurations, *warp_backend(0), 0), expected);
  }
}

TEST(SharedLanes, LeavingAndGoingOnChangesNothing) {
  for (const auto& configurations : {cells(), hidden_cells()}) {
    const std::vector<TrainingStates> expected = alone(configurations);
    SCOPED_TRACE(testing::Message() << configurations[0].problem.hidden.units << " units");
    expect_all_equal(together(configurations, *warp_backend(2000), 6), expected);
    expect_all_equal(together(configurations, *make_cpu("scalar", 2), 6), expected);
  }
}

// Devices of different kinds, as a machine may have different GPUs: each part is some device's, and is left on one and gone on with on another.
TEST(SharedLanes, DifferentDevicesShareThem) {
  for (const auto& configurations : {cells(), hidden_cells()}) {
    SCOPED_TRACE(testing::Message() << configurations[0].problem.hidden.units << " units");
    std::vector<GroupDevice> devices;
    devices.push_back({"warps", warp_backend(2000)});
    devices.push_back({"scalar", make_cpu("scalar", 1)});
    devices.push_back({"cpu", make_cpu("", 2)});
    const auto group = make_group_backend(std::move(devices), "all", "a test");
    expect_all_equal(together(configurations, *group, 4), alone(configurations));
  }
}

// Long enough that the CPU's lanes are asked in their middle; what was made before a pause is not made again.
TEST(SharedLanes, ALongTrainingIsLeftInItsMiddle) {
  CartPoleTrainConfiguration c = cell(0.01, Baseline::mean, little_effort() ? 20'000 : 60'000, 3, 4);
  c.until = 39.9;
  std::vector<TrainingStates> expected = {fresh_states(c, true)};
  train_on(std::vector{c}, expected[0], *make_cpu("scalar", 1), {}, Spread::replicas);
  for (const std::string& isa : isas_here()) {
    SCOPED_TRACE(isa);
    TrainingStates states = fresh_states(c, true);
    const std::unique_ptr<Backend> backend = make_cpu(isa, 1);
    int pauses = 0;
    std::uint64_t made = 0;
    while (!all_ended(states)) {
      StopToken pause{false};
      int calls = 0;
      const auto progress = [&](std::uint64_t finished, std::uint64_t planned) {
        EXPECT_GE(finished, made);
        EXPECT_LE(finished, planned);
        if (++calls == 1) pause = true;
      };
      train_on(std::vector{c}, states, *backend, {nullptr, progress, &pause}, Spread::replicas);
      made = 0;
      for (const std::uint32_t updates : states.table.updates) made += updates;
      ++pauses;
    }
    EXPECT_GT(pauses, 3);
    expect_equal(states, expected[0]);
  }
}

// The way that spreads an update's episodes over the backend leaves trainings too.
TEST(SharedLanes, AnUpdateSpreadOverTheBackendIsNeverCut) {
  CartPoleTrainConfiguration poles = cell(0.1, Baseline::standardize, 12, 9, 3);
  poles.until = 25;
  TrainConfiguration shack;
  shack.updates = 30;
  shack.batch = 7;
  shack.replicas = 3;
  shack.until = 0.6;
  const std::unique_ptr<Backend> backend = make_cpu("scalar", 1);
  const auto check = [&](const auto& c, const auto& go_on) {
    TrainingStates expected = fresh_states(c, true), states = expected;
    go_on(expected, RunControl{});
    int pauses = 0;
    for (; !all_ended(states); ++pauses) {
      StopToken pause{false};
      int calls = 0;
      go_on(states, RunControl{nullptr, [&](std::uint64_t, std::uint64_t) { pause = ++calls == 3; }, &pause});
    }
    EXPECT_GT(pauses, 4);
    expect_equal(states, expected);
  };
  check(poles, [&](TrainingStates& states, const RunControl& control) {
    train_on(std::vector{poles}, states, *backend, control, Spread::episodes);
  });
  check(shack,
        [&](TrainingStates& states, const RunControl& control) { train_on(shack, states, *backend, control, Spread::episodes); });
  // And the fry shack's lanes give the same.
  TrainingStates lanes = fresh_states(shack, true), episodes = lanes;
  train_on(shack, lanes, *backend, {}, Spread::replicas);
  train_on(shack, episodes, *backend, {}, Spread::episodes);
  expect_equal(lanes, episodes);
}

TEST(SharedLanes, OnlyWhatLanesShareMustAgree) {
  const CartPoleTrainConfiguration c = cell(0.2, Baseline::mean, 9, 1, 7);
  for (const CartPoleTrainConfiguration& other : cells()) EXPECT_EQ(shared_by_lanes(other), shared_by_lanes(c));
  CartPoleTrainConfiguration other = c;
  const auto expect_apart = [&] {
    EXPECT_NE(shared_by_lanes(other), shared_by_lanes(c));
    other = c;
  };
  other.problem.gamma = 0.9;
  expect_apart();
  other.batch = 5;
  expect_apart();
  other.problem.environment.gravity = 9;
  expect_apart();
  other.problem.baseline = Baseline::none;
  expect_apart();
  other.problem.reward_scale = 2;
  expect_apart();
  other.problem.entropy_bonus = 0.1;
  expect_apart();
  other.problem.hidden.units = 2;
  expect_apart();
}

TEST(SharedLanes, QueuesAreCutAtTheSeedsHighWord) {
  constexpr std::uint64_t kSpan = std::uint64_t{1} << 32;
  const auto parts = queues_of({{5, 3, 0}, {kSpan - 2, 4, 1}, {kSpan + 10, 1, 2}, {7, 2, 0}}, 4);
  ASSERT_EQ(parts.size(), 4u);
  const auto expect = [&](std::size_t i, std::uint64_t first_row, std::uint64_t rows, const std::vector<ReplicaGroup>& groups) {
    EXPECT_EQ(parts[i].first_row, first_row);
    EXPECT_EQ(parts[i].rows, rows);
    ASSERT_EQ(parts[i].groups.size(), groups.size());
    for (std::size_t g = 0; g < groups.size(); ++g) {
      EXPECT_EQ(parts[i].groups[g].first_row, groups[g].first_row);
      EXPECT_EQ(parts[i].groups[g].first_seed, groups[g].first_seed);
      EXPECT_EQ(parts[i].groups[g].training, groups[g].training);
    }
  };
  expect(0, 0, 4, {{0, 5, 0}, {3, kSpan - 2, 1}});
  expect(1, 4, 1, {{0, kSpan - 1, 1}});
  expect(2, 5, 3, {{0, kSpan, 1}, {2, kSpan + 10, 2}});
  expect(3, 8, 2, {{0, 7, 0}});
  for (std::uint64_t row = 0; row < 3; ++row) EXPECT_EQ(group_of(parts[2].groups.data(), 2, row).training, row < 2 ? 1u : 2u);
}

}  // namespace
}  // namespace fryer::test
