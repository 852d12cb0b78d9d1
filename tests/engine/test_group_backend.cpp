// SPDX-License-Identifier: Apache-2.0
// Several devices in one process, which here are the CPU's: work that is cut into numbered parts and put together again has the bits of one
// device, trainings are left and gone on with by other numbers of devices, and a device that fails or a stop ends all of them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <thread>

#include "host/driver.h"
#include "host/group_backend.h"
#include "host/split_work.h"
#include "host/training_states.h"
#include "host/watched_backend.h"
#include "tests/engine/effort.h"
#include "tests/engine/expect_equal.h"
#include "tests/engine/hidden_reference_runs.h"
#include "tests/engine/q_reference_runs.h"

namespace fryer {
namespace {

BackendChoice choice_of(unsigned devices) {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.cpu_devices = devices;
  choice.threads = devices;
  return choice;
}
std::unique_ptr<Backend> plain() { return make_backend(choice_of(1)); }

// Before each call of a device.
using Before = std::function<void(unsigned device, unsigned call)>;

// Devices that take parts of a population as short as a row.
std::unique_ptr<Backend> group_of(unsigned count, const Before& before = {}) {
  std::vector<GroupDevice> devices = make_devices(choice_of(count));
  for (unsigned i = 0; before && i < count; ++i) {
    devices[i].backend =
        std::make_unique<WatchedBackend>(std::move(devices[i].backend), [before, i](unsigned call) { before(i, call); });
  }
  return make_group_backend(std::move(devices), fmt::format("cpu:{}", count), "a test");
}

std::string hex(std::uint64_t digest) { return fmt::format("{:#018x}", digest); }

// ---- cutting

std::vector<std::pair<std::uint64_t, std::uint64_t>> pairs(const std::vector<NumberRange>& ranges) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> all;
  for (const NumberRange& range : ranges) all.emplace_back(range.first, range.count);
  return all;
}

TEST(Cut, IsEvenAndWhole) {
  using Pairs = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
  EXPECT_EQ(pairs(cut({5, 10}, 3)), (Pairs{{5, 4}, {9, 3}, {12, 3}}));
  EXPECT_EQ(pairs(cut({5, 2}, 3)), (Pairs{{5, 1}, {6, 1}}));
  EXPECT_EQ(pairs(cut({7, 9}, 1)), (Pairs{{7, 9}}));
  EXPECT_TRUE(cut({7, 0}, 4).empty());
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(pairs(cut({0, kMost}, 2)), (Pairs{{0, kMost / 2 + 1}, {kMost / 2 + 1, kMost / 2}}));
}

TEST(Cut, ForTakersIsWholeAndEndsInSmallParts) {
  for (std::uint64_t rows = 0; rows < 2000; rows += rows < 200 ? 1 : 7) {
    for (const std::uint64_t takers : {1u, 2u, 3u, 7u, 39u}) {
      for (const std::uint64_t least : {0u, 1u, 2u, 10u, 100u}) {
        SCOPED_TRACE(fmt::format("{} rows for {}, at least {}", rows, takers, least));
        const std::vector<NumberRange> parts = cut_for_takers({11, rows}, takers, least);
        std::uint64_t next = 11, smallest = rows;
        for (const NumberRange& part : parts) {
          ASSERT_EQ(part.first, next);
          ASSERT_GT(part.count, 0u);
          next += part.count;
          smallest = std::min(smallest, part.count);
        }
        ASSERT_EQ(next, 11 + rows);
        ASSERT_LE(parts.size(), 5 * takers);
        ASSERT_EQ(parts.size() % takers, rows < takers ? rows : 0u);
        if (parts.size() <= takers) continue;
        ASSERT_GE(smallest, least);
        if (parts.size() == 5 * takers) {
          ASSERT_LE(parts.back().count, rows / (16 * takers) + 1);
        }
        ASSERT_LE(parts.front().count, rows / (2 * takers) + 1);
      }
    }
  }
}

TEST(Cut, RowsKeepSeedAndSettings) {
  const std::vector<SeedRange> ranges = {{100, 3, 0}, {7, 1, 2}, {50, 5, 1}};
  struct Row {
    std::uint64_t seed;
    std::uint32_t training;
    bool operator==(const Row&) const = default;
  };
  const auto rows = [](const std::vector<SeedRange>& all) {
    std::vector<Row> each;
    for (const SeedRange& range : all) {
      EXPECT_NE(range.replicas, 0u);
      for (std::uint64_t i = 0; i < range.replicas; ++i) each.push_back({range.first_seed + i, range.training});
    }
    return each;
  };
  const std::vector<Row> whole = rows(ranges);
  for (std::uint64_t parts = 1; parts <= 9; ++parts) {
    std::vector<Row> together;
    for (const NumberRange& part : cut({0, 9}, parts)) {
      const std::vector<Row> more = rows(rows_of_ranges(ranges, part));
      EXPECT_EQ(more.size(), part.count);
      together.insert(together.end(), more.begin(), more.end());
    }
    EXPECT_EQ(together, whole) << parts;
  }
}

// ---- the bits of one device

class Devices : public testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
    if (test::little_effort() && GetParam() != 3) GTEST_SKIP() << "three devices are enough here";
  }
};
INSTANTIATE_TEST_SUITE_P(Group, Devices, testing::Values(1, 2, 3, 5), [](const auto& n) { return fmt::format("Of{}", n.param); });

TEST_P(Devices, GiveTheGoldenDigests) {
  const auto backend = group_of(GetParam());
  const auto check = [&](const auto& references) {
    for (const auto& reference : references) EXPECT_EQ(hex(reference.run(*backend)), hex(reference.digest)) << reference.name;
  };
  check(test::reference_runs());
  check(test::cart_pole_reference_runs());
  check(test::hidden_reference_runs());
  check(test::q_reference_runs());
}

// Trains every request on one device and on a group, and compares all there is to ask for.
class ComparingBackend final : public WatchedBackend {
 public:
  explicit ComparingBackend(unsigned devices) : WatchedBackend(plain(), [](unsigned) {}), group_(group_of(devices)) {}
  Population train(const TrainRequest& request, const RunControl& control) override { return compare(request, control); }
  Population train(const CartPoleTrainRequest& request, const RunControl& control) override { return compare(request, control); }
  Population train(const HiddenTrainRequest& request, const RunControl& control) override { return compare(request, control); }
  Population train(const QTrainRequest& request, const RunControl& control) override { return compare(request, control); }
  int compared = 0;

 private:
  template <class Request>
  Population compare(Request request, const RunControl& control) {
    const TrainDetail wanted = request.detail;
    for (const TrainDetail detail : {TrainDetail{false, false, false}, TrainDetail{true, false, false},
                                     TrainDetail{false, true, false}, TrainDetail{true, true, true}}) {
      request.detail = detail;
      const Population one = WatchedBackend::train(request, {}), several = group_->train(request, {});
      test::expect_equal(several, one);
      EXPECT_EQ(several.outcomes.empty(), !detail.outcomes);
      EXPECT_EQ(several.curve_quantiles.empty(), !detail.curve_quantiles);
      EXPECT_EQ(several.parameters.empty(), !detail.summaries);
      ++compared;
    }
    request.detail = wanted;
    return WatchedBackend::train(request, control);
  }
  std::unique_ptr<Backend> group_;
};

TEST_P(Devices, GiveThePopulationsOfOne) {
  ComparingBackend backend(GetParam());
  const auto check = [&](const auto& references) {
    for (const auto& reference : references) {
      SCOPED_TRACE(reference.name);
      if (reference.training) train(*reference.training, backend, {}, Spread::replicas);
    }
  };
  check(test::reference_runs());
  check(test::cart_pole_reference_runs());
  check(test::hidden_reference_runs());
  for (const auto& reference : test::q_reference_runs()) {
    SCOPED_TRACE(reference.name);
    if (reference.training) train(*reference.training, backend);
  }
  EXPECT_GT(backend.compared, 100);
}

TEST(Group, SumsAreThoseOfOneDevice) {
  CartPoleGradientConfiguration c;
  c.problem.parameters = test::kShakyPolicy;
  c.episodes = 1001;
  c.problem.environment.max_steps = CartPole::kMaxStepsV0;
  const CartPoleGradientResult one = gradient(c, *plain()), several = gradient(c, *group_of(3));
  EXPECT_EQ(several.digest, one.digest);
  EXPECT_EQ(several.mean_return.estimate, one.mean_return.estimate);
  EXPECT_EQ(several.mean_return.standard_error, one.mean_return.standard_error);
  EXPECT_EQ(several.second_moment, one.second_moment);
  EXPECT_EQ(several.steps, one.steps);
}

// Nobody is asked for nothing, and one row or episode is one device's.
TEST(Group, MayHaveMoreDevicesThanRowsOrEpisodes) {
  std::atomic<unsigned> calls{0};
  const auto backend = group_of(5, [&](unsigned, unsigned) { ++calls; });
  for (const std::uint64_t n : {1u, 2u, 4u}) {
    calls = 0;
    CartPoleTrainConfiguration c;
    c.updates = 3;
    c.replicas = n;
    EXPECT_EQ(train(c, *backend, {}, Spread::replicas).digest, train(c, *plain()).digest);
    EXPECT_EQ(calls, n);
    calls = 0;
    EvaluateConfiguration e;
    e.episodes = n;
    EXPECT_EQ(evaluate(e, *backend).digest, evaluate(e, *plain()).digest);
    EXPECT_EQ(calls, n);
    calls = 0;
    QTrainConfiguration q = test::small_online_population();
    q.replicas = n;
    EXPECT_EQ(train(q, *backend).digest, train(q, *plain()).digest);
    EXPECT_EQ(calls, n);
  }
}

// Several parts a device where there are rows enough, and never more than a few.
TEST(Group, DevicesTakeFurtherParts) {
  std::atomic<unsigned> calls{0};
  const auto backend = group_of(2, [&](unsigned, unsigned) { ++calls; });
  TrainConfiguration c;
  c.updates = 5;
  for (const auto& [rows, parts] : {std::pair{3u, 2u}, std::pair{4u, 4u}, std::pair{7u, 4u}, std::pair{500u, 10u}}) {
    calls = 0;
    c.replicas = rows;
    train(c, *backend, {}, Spread::replicas);
    EXPECT_EQ(calls, parts) << rows;
  }
}

// What one device plays at once is not cut.
TEST(Group, CutsNothingSmall) {
  std::atomic<unsigned> calls{0};
  std::vector<GroupDevice> devices = make_devices(choice_of(3));
  for (GroupDevice& device : devices)
    device.backend = std::make_unique<WatchedBackend>(std::move(device.backend), [&](unsigned) { ++calls; });
  const auto backend = make_group_backend(std::move(devices), "cpu:3", "a test", {100, 1, 1000});
  EvaluateConfiguration e;
  for (const auto& [episodes, parts] : {std::pair{1999u, 1u}, std::pair{2000u, 2u}, std::pair{9000u, 3u}}) {
    calls = 0;
    e.episodes = episodes;
    EXPECT_EQ(evaluate(e, *backend).digest, evaluate(e, *plain()).digest);
    EXPECT_EQ(calls, parts) << episodes;
  }
  TrainConfiguration c;
  c.updates = 5;
  for (const auto& [rows, parts] : {std::pair{90u, 3u}, std::pair{599u, 3u}, std::pair{600u, 6u}, std::pair{9000u, 15u}}) {
    calls = 0;
    c.replicas = rows;
    EXPECT_EQ(train(c, *backend, {}, Spread::replicas).digest, train(c, *plain()).digest);
    EXPECT_EQ(calls, parts) << rows;
  }
}

TEST(Group, SaysWhatItIs) {
  BackendChoice choice = choice_of(3);
  choice.threads = 7;
  const auto seven = make_backend(choice);
  EXPECT_EQ(seven->info().device, "cpu:3");
  EXPECT_EQ(seven->info().threads, 7u);
  EXPECT_EQ(seven->info().isa, plain()->info().isa);
  choice.threads = 1;  // a device has one at least
  EXPECT_EQ(make_backend(choice)->info().threads, 3u);
  EXPECT_EQ(plain()->info().device, "cpu");
}

// ---- trainings that are left

// Leaves the trainings after about a twelfth of them, or at once, and goes on with them on other numbers of devices. Returns how often
// some were left.
template <class Configurations>
int go_on_in_turn(const Configurations& configurations, TrainingStates& states) {
  int left = 0;
  for (int run = 0; !all_ended(states); ++run) {
    const auto backend = group_of(std::array{3u, 1u, 5u, 2u}[static_cast<std::size_t>(run % 4)]);
    StopToken pause{run % 5 == 0};
    std::uint64_t first = 0, last = 0;
    const auto progress = [&](std::uint64_t finished, std::uint64_t planned) {
      EXPECT_GE(finished, last);
      EXPECT_LE(finished, planned);
      last = finished;
      if (first == 0) first = finished;
      if (finished - first > planned / 12) pause = true;
    };
    train_on(configurations, states, *backend, {nullptr, progress, &pause});
    left += all_ended(states) ? 0 : 1;
  }
  return left;
}

TEST(GroupStates, AreGoneOnWithByAnyNumberOfDevices) {
  const std::uint32_t updates = test::little_effort() ? 8000 : 20'000;
  for (const std::uint64_t units : {0u, 2u}) {
    CartPoleTrainConfiguration c;
    c.problem.environment.max_steps = 40;
    c.problem.hidden.units = units;
    c.optimizer.learning_rate = 0.001;
    c.batch = 4;
    c.updates = units == 0 ? updates : updates / 2;
    c.replicas = 4;
    std::vector<CartPoleTrainConfiguration> all = {c, c};
    all[1].updates /= 2;
    all[1].seed = (std::uint64_t{1} << 32) - 2;
    all[1].replicas = 5;
    all[1].until = 39.9;  // has a window
    std::vector<TrainingStates> parts;
    for (const CartPoleTrainConfiguration& one : all) parts.push_back(fresh_states(one, true));
    TrainingStates expected = join(std::move(parts)), states = expected;
    train_on(all, expected, *plain(), {}, Spread::replicas);
    EXPECT_GT(go_on_in_turn(all, states), 1) << units;
    test::expect_equal(states, expected);
  }
}

TEST(GroupStates, OfValueLearnersToo) {
  const std::uint64_t share = test::little_effort() ? 5 : 1;
  for (QTrainConfiguration c : {test::small_dqn_population(), test::small_online_population()}) {
    c.training.episodes = (c.training.replay_capacity == 1 ? 6000 : 600) / share;
    c.replicas = 5;
    const std::vector<QTrainConfiguration> all = {c};
    TrainingStates expected = fresh_states(c, true), states = expected;
    train_on(all, expected, *plain(), {});
    EXPECT_GT(go_on_in_turn(all, states), 1);
    test::expect_equal(states, expected);
    ASSERT_EQ(states.value_learners.size(), c.replicas);
    for (const QTrainingRecord& record : states.value_learners) EXPECT_TRUE(record.weight.empty());
  }
}

// ---- failures

constexpr std::uint64_t kMinutes = std::uint64_t{1} << 36;  // of episodes, if nobody stopped

TEST(GroupFailure, NamesTheDeviceAndStopsTheOthers) {
  const auto backend = group_of(3, [](unsigned device, unsigned) {
    if (device == 1) throw DeviceError("it fell off the bus");
  });
  EvaluateConfiguration c;
  c.episodes = kMinutes;
  try {
    evaluate(c, *backend);
    ADD_FAILURE() << "the failure was lost";
  } catch (const DeviceError& error) {
    EXPECT_STREQ(error.what(), "device 1 of cpu:3: it fell off the bus");
  }
}

TEST(GroupFailure, OfADeviceThatIsAloneNamesItToo) {
  std::vector<GroupDevice> devices = make_devices(choice_of(1));
  const auto fail = [](unsigned) { throw DeviceError("out of memory"); };
  const auto backend = make_named_backend({"cuda:7", std::make_unique<WatchedBackend>(std::move(devices[0].backend), fail)});
  EXPECT_EQ(backend->info().device, "cpu");
  try {
    evaluate(EvaluateConfiguration{}, *backend);
    ADD_FAILURE() << "the failure was lost";
  } catch (const DeviceError& error) {
    EXPECT_STREQ(error.what(), "cuda:7: out of memory");
  }
}

// In the middle of a training, and of several parts of a population; the group is whole again for the next call.
TEST(GroupFailure, LaterLeavesTheGroupUsable) {
  for (const unsigned k : {1u, 3u}) {
    bool failed = false;
    const auto backend = group_of(2, [&](unsigned device, unsigned call) {
      if (device != 1 || call != k || std::exchange(failed, true)) return;
      throw DeviceError("once");
    });
    CartPoleTrainConfiguration c;
    c.batch = 20;
    c.updates = 6;
    EXPECT_THROW(train(c, *backend, {}, Spread::episodes), DeviceError) << k;
    EXPECT_EQ(train(c, *backend, {}, Spread::episodes).digest, train(c, *plain()).digest) << k;
  }
  TrainConfiguration c;
  c.replicas = 1'000'000;
  c.updates = 10'000;
  const auto backend = group_of(3, [](unsigned device, unsigned) {
    if (device == 2) throw DeviceError("at once");
  });
  EXPECT_THROW(train(c, *backend, {}, Spread::replicas), DeviceError);
}

TEST(GroupFailure, OtherErrorsStayWhatTheyAre) {
  EpisodeWork work{};
  work.policy.bias = from_bits(std::uint32_t{0x7fc00000});
  EXPECT_THROW(group_of(3)->gradient(work, 0, 10, true, Moments::first, {}), RunError);
  const auto backend = group_of(2, [](unsigned device, unsigned) {
    if (device == 0) throw std::bad_alloc();
  });
  EvaluateConfiguration c;
  c.episodes = kMinutes;
  EXPECT_THROW(evaluate(c, *backend), std::bad_alloc);
}

TEST(GroupStop, StopsAllDevices) {
  const StopToken stopped{true};
  EvaluateConfiguration c;
  c.episodes = kMinutes;
  EXPECT_THROW(evaluate(c, *group_of(3), {&stopped, nullptr}), Stopped);
  StopToken stop{false};
  const auto backend = group_of(3, [&](unsigned device, unsigned) {
    if (device == 2) stop = true;
  });
  EXPECT_THROW(evaluate(c, *backend, {&stop, nullptr}), Stopped);
  TrainConfiguration t;
  t.replicas = 1'000'000;
  t.updates = 10'000;
  stop = false;
  EXPECT_THROW(train(t, *backend, {&stop, nullptr}, Spread::replicas), Stopped);
}

// ---- what is told meanwhile

TEST(GroupProgress, IsOfTheWholeAndToldByOneThreadAtATime) {
  TrainConfiguration c;
  c.replicas = 4001;
  c.until = 0.4;
  std::uint64_t last = 0, planned = 0, calls = 0;
  std::atomic<int> inside{0};
  train(c, *group_of(3), {nullptr, [&](std::uint64_t finished, std::uint64_t of) {
                            EXPECT_EQ(++inside, 1);
                            EXPECT_GE(finished, last);
                            last = finished;
                            planned = of;
                            ++calls;
                            --inside;
                          }});
  EXPECT_EQ(planned, c.replicas * c.updates);
  EXPECT_EQ(last, planned);
  EXPECT_GT(calls, 5u);
}

// Episodes are told of a value learner that trains alone, and not of one that only has a device of its own.
TEST(GroupProgress, EpisodesAreToldOfALoneLearner) {
  QTrainConfiguration c = test::small_online_population();
  std::uint64_t told = 0;
  RunControl control;
  control.episodes = [&](std::uint64_t first, std::span<const std::uint32_t> outcomes) {
    EXPECT_EQ(first, told);
    told += outcomes.size();
  };
  c.replicas = 1;
  train(c, *group_of(3), control);
  EXPECT_EQ(told, c.training.episodes);
  told = 0;
  c.replicas = 3;
  train(c, *group_of(3), control);
  EXPECT_EQ(told, 0u);
}

}  // namespace
}  // namespace fryer
