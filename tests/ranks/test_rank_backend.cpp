// SPDX-License-Identifier: Apache-2.0
// Ranks, which here are threads: every number of them gives the bits of one process, and what ends one of them ends all, with one reason.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>

#include "fryer/engine/run.h"
#include "host/driver.h"
#include "host/ranks/place_backend.h"
#include "host/ranks/population_bytes.h"
#include "host/ranks/rank_backend.h"
#include "host/watched_backend.h"
#include "tests/engine/effort.h"
#include "tests/engine/expect_equal.h"
#include "tests/engine/hidden_reference_runs.h"
#include "tests/engine/q_reference_runs.h"
#include "tests/ranks/thread_ranks.h"

namespace fryer {
namespace {

using ranks::Dismissed;
using ranks::RankError;
using ranks::Ranks;
using test::ThreadRanks;

std::unique_ptr<Backend> one_thread() {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.threads = 1;
  return make_backend(choice);
}
std::string hex(std::uint64_t digest) { return fmt::format("{:#018x}", digest); }

std::string what(const std::exception_ptr& error) { return error ? ranks::outcome_of(error).message : ""; }
bool is_dismissed(const std::exception_ptr& error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const Dismissed&) {
    return true;
  } catch (...) {
  }
  return false;
}

// Before each call of a rank's devices.
using Before = std::function<void(int rank, unsigned call)>;

// Runs body on `count` ranks that take parts as short as a row. Returns what each threw.
std::vector<std::exception_ptr> on_ranks(int count, const std::function<void(Ranks&, Backend&)>& body,
                                         const Before& before = {}) {
  return ThreadRanks::run(count, [&](Ranks& ranks) {
    std::unique_ptr<Backend> local = one_thread();
    if (before) {
      local = std::make_unique<WatchedBackend>(std::move(local),
                                               [&before, rank = ranks.rank()](unsigned call) { before(rank, call); });
    }
    const auto backend = ranks::make_rank_backend(std::move(local), ranks, {});
    body(ranks, *backend);
  });
}

class RanksOf : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (test::little_effort() && GetParam() != 3) GTEST_SKIP() << "three ranks are enough here";
  }
};
INSTANTIATE_TEST_SUITE_P(Count, RanksOf, testing::Values(1, 2, 3, 5), [](const auto& n) { return fmt::format("Of{}", n.param); });

TEST_P(RanksOf, AgreeOnTheFirstThatDidNotEndWell) {
  const int last = GetParam() - 1;
  const auto outcome = [&](const ranks::Outcome& of_last) {
    return ThreadRanks::run(GetParam(), [&](Ranks& ranks) {
      ranks.agree({});
      EXPECT_TRUE(ranks.together());
      ranks.agree(ranks.rank() == last ? of_last : ranks::Outcome());
    });
  };
  for (const std::exception_ptr& error : outcome({4, "no room"})) {
    EXPECT_EQ(ranks::outcome_of(error).code, 4);
    EXPECT_EQ(what(error), last == 0 ? "no room" : fmt::format("rank {}: no room", last));
  }
  // A stop stays one: the program knows the signal, and what to print.
  for (const std::exception_ptr& error : outcome(ranks::outcome_of(std::make_exception_ptr(Stopped()))))
    EXPECT_THROW(std::rethrow_exception(error), Stopped);
}

TEST_P(RanksOf, GiveTheGoldenDigests) {
  const auto check = [&](const auto& references) {
    for (const auto& reference : references) {
      std::uint64_t digest = 0;
      const auto thrown = on_ranks(GetParam(), [&](Ranks& ranks, Backend& backend) {
        const std::uint64_t own = reference.run(backend);
        if (ranks.is_root())
          digest = own;
        else
          EXPECT_EQ(hex(own), hex(reference.digest)) << reference.name;  // all have the sums
      });
      EXPECT_EQ(hex(digest), hex(reference.digest)) << reference.name;
      EXPECT_FALSE(thrown[0]) << what(thrown[0]);
      for (std::size_t i = 1; i < thrown.size(); ++i) EXPECT_TRUE(!thrown[i] || is_dismissed(thrown[i])) << what(thrown[i]);
    }
  };
  check(test::reference_runs());
  check(test::cart_pole_reference_runs());
  check(test::hidden_reference_runs());
  check(test::q_reference_runs());
}

TrainConfiguration notebooks(std::uint64_t replicas) {
  TrainConfiguration c;
  c.replicas = replicas;
  return c;
}
// One policy whose batches are worth splitting: every rank steps it.
TrainConfiguration large_batches() {
  TrainConfiguration c;
  c.batch = 10'000;
  c.updates = 130;  // policies are compared three times
  return c;
}

TEST(RankBackend, AllRanksStepOnePolicy) {
  const std::uint64_t alone = train(large_batches(), *one_thread(), {}).digest;
  std::mutex mutex;
  std::map<int, std::uint64_t> digests;
  std::map<int, unsigned> calls;
  on_ranks(
      4,
      [&](Ranks& ranks, Backend& backend) {
        EXPECT_EQ(backend.info().ranks, 4u);
        EXPECT_EQ(backend.info().threads, 4u);
        const std::uint64_t digest = train(large_batches(), backend, {}).digest;
        const std::lock_guard lock(mutex);
        digests[ranks.rank()] = digest;
      },
      [&](int rank, unsigned call) {
        const std::lock_guard lock(mutex);
        calls[rank] = call;
      });
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_EQ(hex(digests[rank]), hex(alone)) << rank;
    EXPECT_EQ(calls[rank], 130u) << rank;
  }
}

TEST(RankBackend, ReplicasGoToWhoeverIsFree) {
  const std::uint64_t alone = train(notebooks(1000), *one_thread(), {}).digest;
  std::uint64_t digest = 0, planned = 0, finished = 0;
  std::mutex mutex;
  std::condition_variable called;
  std::map<int, unsigned> calls;
  const auto thrown = on_ranks(
      3,
      [&](Ranks& ranks, Backend& backend) {
        RunControl control;
        if (ranks.is_root()) {
          control.progress = [&](std::uint64_t n, std::uint64_t all) {
            EXPECT_GE(n, finished);
            finished = n;
            planned = all;
          };
        }
        try {
          digest = train(notebooks(1000), backend, control).digest;
        } catch (const Dismissed&) {
          EXPECT_FALSE(ranks.together());
          throw;
        }
        EXPECT_FALSE(ranks.together());
      },
      [&](int rank, unsigned call) {
        std::unique_lock lock(mutex);
        calls[rank] = call;
        called.notify_all();
        if (rank == 1 && call == 1) called.wait_for(lock, std::chrono::seconds(60), [&] { return calls[2] > 2; });
        if (rank == 0 && call == 1) called.wait_for(lock, std::chrono::seconds(60), [&] { return calls[2] > 3; });
      });
  EXPECT_EQ(hex(digest), hex(alone));
  EXPECT_EQ(planned, 1000 * notebooks(1).updates);
  EXPECT_EQ(finished, planned);
  EXPECT_EQ(calls[0] + calls[1] + calls[2], 15u);
  EXPECT_GT(calls[2], 3u);
  EXPECT_TRUE(is_dismissed(thrown[1]) && is_dismissed(thrown[2]));
}

TEST(RankBackend, FewerReplicasThanRanks) {
  const std::uint64_t alone = train(notebooks(2), *one_thread(), {}).digest;
  for (int count : {2, 5}) {
    std::uint64_t digest = 0;
    on_ranks(count, [&](Ranks&, Backend& backend) { digest = train(notebooks(2), backend, {}).digest; });
    EXPECT_EQ(hex(digest), hex(alone)) << count;
  }
}

// Ranks with other devices would cut otherwise, if the root did not say how.
TEST(RankBackend, UnlikeRanksCutAlike) {
  CartPoleTrainConfiguration policies;
  policies.replicas = 100;
  policies.updates = 3;
  CartPoleEvaluateConfiguration episodes;
  episodes.episodes = 1000;
  const std::uint64_t trained = train(policies, *one_thread(), {}).digest, played = evaluate(episodes, *one_thread(), {}).digest;
  const auto unlike = [](Ranks& ranks) {
    const auto n = static_cast<std::uint64_t>(ranks.rank());
    return ranks::make_rank_backend(one_thread(), ranks, {5 + n, 300 + 300 * n, 300 + 300 * n, 2 + n});
  };
  std::uint64_t digest = 0;
  auto thrown = ThreadRanks::run(3, [&](Ranks& ranks) { digest = train(policies, *unlike(ranks), {}).digest; });
  EXPECT_EQ(hex(digest), hex(trained)) << what(thrown[0]);
  std::mutex mutex;
  thrown = ThreadRanks::run(3, [&](Ranks& ranks) {
    const std::uint64_t own = evaluate(episodes, *unlike(ranks), {}).digest;
    const std::lock_guard lock(mutex);
    EXPECT_EQ(hex(own), hex(played)) << ranks.rank();
  });
  for (const auto& error : thrown) EXPECT_FALSE(error) << what(error);
}

// ---- ends

class EveryRank : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(RankBackend, EveryRank, testing::Values(0, 1, 2), testing::PrintToStringParamName());

TEST_P(EveryRank, ThatFailsEndsAllWhileTheyStepOnePolicy) {
  const auto thrown = on_ranks(
      3, [&](Ranks&, Backend& backend) { train(large_batches(), backend, {}); },
      [&](int rank, unsigned call) {
        if (rank == GetParam() && call == 70) throw DeviceError("the device is gone");
      });
  const std::string expected = GetParam() == 0 ? "the device is gone" : fmt::format("rank {}: the device is gone", GetParam());
  for (const auto& error : thrown) {
    ASSERT_TRUE(error);
    EXPECT_EQ(ranks::outcome_of(error).code, 3);
    EXPECT_EQ(what(error), expected);
  }
}

TEST_P(EveryRank, ThatFailsEndsAllWhileTheyTrainReplicas) {
  const auto thrown = on_ranks(
      3, [&](Ranks&, Backend& backend) { train(notebooks(1000), backend, {}); },
      [&](int rank, unsigned call) {
        if (rank == GetParam() && call == 1) throw DeviceError("the device is gone");
      });
  ASSERT_TRUE(thrown[0]);
  EXPECT_EQ(ranks::outcome_of(thrown[0]).code, 3);
  EXPECT_EQ(what(thrown[0]), GetParam() == 0 ? "the device is gone" : fmt::format("rank {}: the device is gone", GetParam()));
  EXPECT_TRUE(is_dismissed(thrown[1]) && is_dismissed(thrown[2]));
}

TEST_P(EveryRank, ThatIsStoppedStopsAllWhileTheyStepOnePolicy) {
  const auto thrown = ThreadRanks::run(3, [&](Ranks& ranks) {
    StopToken stop{ranks.rank() == GetParam()};
    train(large_batches(), *ranks::make_rank_backend(one_thread(), ranks, {}), RunControl{&stop, nullptr, nullptr});
  });
  for (const auto& error : thrown) EXPECT_THROW(std::rethrow_exception(error), Stopped);
}

TEST_P(EveryRank, ThatIsStoppedStopsAllWhileTheyTrainReplicas) {
  const auto thrown = ThreadRanks::run(3, [&](Ranks& ranks) {
    StopToken stop{ranks.rank() == GetParam()};
    TrainConfiguration c = notebooks(100'000);
    train(c, *ranks::make_rank_backend(one_thread(), ranks, {}), RunControl{&stop, nullptr, nullptr});
  });
  EXPECT_THROW(std::rethrow_exception(thrown[0]), Stopped);
  EXPECT_TRUE(is_dismissed(thrown[1]) && is_dismissed(thrown[2]));
}

TEST_P(EveryRank, ThatFailsEndsLongPartsEarly) {
  CartPoleEvaluateConfiguration c;
  c.episodes = std::uint64_t{1} << 32;  // hours
  const auto thrown = on_ranks(
      3, [&](Ranks&, Backend& backend) { evaluate(c, backend, {}); },
      [&](int rank, unsigned) {
        if (rank == GetParam()) throw DeviceError("the device is gone");
      });
  for (const auto& error : thrown) {
    ASSERT_TRUE(error);
    EXPECT_EQ(ranks::outcome_of(error).code, 3);
  }
}

TEST(RankBackend, AnotherPolicyOnARankIsFound) {
  const auto thrown = on_ranks(3, [&](Ranks& ranks, Backend& backend) {
    TrainConfiguration c = large_batches();
    if (ranks.rank() == 1) c.problem.bias = 0.25;
    train(c, backend, {});
  });
  for (const auto& error : thrown)
    EXPECT_NE(what(error).find("rank 1 has other parameters than rank 0 before batch 1"), std::string::npos) << what(error);
}

// ---- agreements

TEST(Ranks, AgreeOnTheLowestThatFailed) {
  const auto thrown = ThreadRanks::run(4, [](Ranks& ranks) {
    ranks.agree({});
    ranks.agree(ranks.rank() >= 2 ? ranks::Outcome{ranks.rank() + 3, fmt::format("reason {}", ranks.rank())} : ranks::Outcome());
  });
  for (const auto& error : thrown) {
    ASSERT_TRUE(error);
    EXPECT_EQ(ranks::outcome_of(error).code, 5);
    EXPECT_EQ(what(error), "rank 2: reason 2");
  }
}

TEST(Ranks, EveryExceptionHasItsCode) {
  const auto code_of = [](const auto& error) { return ranks::outcome_of(std::make_exception_ptr(error)).code; };
  EXPECT_EQ(code_of(ConfigurationError("")), 2);
  EXPECT_EQ(code_of(DeviceError("")), 3);
  EXPECT_EQ(code_of(FileError("")), 4);
  EXPECT_EQ(code_of(DamagedFileError("")), 5);
  EXPECT_EQ(code_of(FileInUseError("")), 75);
  EXPECT_EQ(code_of(RunError("")), 1);
  EXPECT_EQ(code_of(Stopped()), 130);
  EXPECT_EQ(code_of(RankError({7, ""})), 7);
  EXPECT_EQ(ranks::outcome_of(std::make_exception_ptr(std::bad_alloc())).message.substr(0, 15), "out of memory: ");
}

// ---- places

TEST(ChoiceOfRank, DividesAMachine) {
  using Device = BackendChoice::Device;
  const auto gpu_of = [](std::vector<int> named, int local_rank, int local_ranks, std::vector<int> gpus, bool by_number = true) {
    BackendChoice choice;
    choice.device = Device::cuda;
    choice.cuda_devices = std::move(named);
    choice.cuda_named = by_number;
    return ranks::choice_of_rank(choice, {10 + local_rank, 20, local_rank, local_ranks, 10}, gpus, 8, {}).cuda_devices;
  };
  EXPECT_EQ(gpu_of({0}, 3, 4, {0, 1, 2, 3}, false), (std::vector{3}));  // cuda
  EXPECT_EQ(gpu_of({0}, 3, 4, {0, 1}, false), (std::vector{1}));
  EXPECT_EQ(gpu_of({0}, 1, 4, {1, 2}, false), (std::vector{2}));       // 0 cannot be used
  EXPECT_EQ(gpu_of({0}, 1, 4, {}, false), (std::vector{0}));           // none can: it will be told
  EXPECT_EQ(gpu_of({}, 2, 4, {0, 1, 2, 3}, false), (std::vector{2}));  // cuda:all
  EXPECT_EQ(gpu_of({0}, 3, 4, {0, 1, 2, 3}), (std::vector{0}));        // cuda:0
  EXPECT_EQ(gpu_of({4, 6}, 3, 4, {0, 1, 2, 3, 4, 5, 6, 7}), (std::vector{6}));
  EXPECT_EQ(gpu_of({}, 1, 2, {0, 1, 2, 3, 4}, false), (std::vector{1, 3}));
  EXPECT_EQ(gpu_of({}, 0, 2, {0, 1, 2, 3, 4}, false), (std::vector{0, 2, 4}));
  EXPECT_EQ(gpu_of({3, 5, 6}, 0, 2, {0, 1, 2, 3}), (std::vector{3, 6}));
  EXPECT_EQ(gpu_of({0}, 1, 2, {0, 1, 2, 3}, false), (std::vector{1}));  // cuda: one each
  EXPECT_EQ(gpu_of({}, 0, 1, {0, 1}, false), (std::vector<int>{}));     // alone on its machine: all of it
  EXPECT_EQ(gpu_of({1, 2}, 0, 1, {0, 1, 2}), (std::vector{1, 2}));

  const auto threads_of = [](unsigned usable, unsigned given, ranks::SharedProcessors shared) {
    BackendChoice choice;
    choice.threads = given;
    return ranks::choice_of_rank(choice, {0, 20, 0, 4, 0}, {}, usable, shared).threads;
  };
  EXPECT_EQ(threads_of(8, 0, {3, 0}), 3u);
  EXPECT_EQ(threads_of(8, 0, {3, 2}), 2u);
  EXPECT_EQ(threads_of(8, 0, {20, 2}), 1u);
  EXPECT_EQ(threads_of(8, 0, {1, 0}), 0u);  // its own processors: all that it may use
  EXPECT_EQ(threads_of(8, 5, {4, 2}), 5u);
}

TEST(SharedProcessors, AreThoseOfThisProcess) {
  std::mutex mutex;
  std::map<int, ranks::SharedProcessors> all;
  ThreadRanks::run(3, [&](Ranks& ranks) {
    const ranks::SharedProcessors own = ranks::shared_processors(ranks);
    const std::lock_guard lock(mutex);
    all[ranks.rank()] = own;
  });
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(all[rank].ranks, 3u);
    EXPECT_EQ(all[rank].rank, static_cast<unsigned>(rank));
  }
}

// ---- messages

TEST(PopulationBytes, AreReadBackAndNothingElse) {
  CartPoleTrainConfiguration c;
  c.replicas = 5;
  c.updates = 3;
  const auto backend = one_thread();
  Population part;
  part.table = train(c, *backend, {}).table;
  part.table.first_seed = 0;  // which is the whole's
  part.curve.count = {5, 5, 4};
  part.curve.correct = {{1, 2}, {3, 4}, {-5, 6}};
  part.curve.squared = {{7, 8}, {9, 10}, {11, 12}};
  part.outcomes = {1, 2, 3};
  part.warmup_episodes = 77;
  std::string bytes;
  ranks::put_population(bytes, part);
  const Population read = ranks::population_from(bytes);
  test::expect_equal(read, part);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_THROW(ranks::population_from(std::string_view(bytes).substr(0, size)), DamagedFileError) << size;
}

}  // namespace
}  // namespace fryer
