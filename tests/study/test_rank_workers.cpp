// SPDX-License-Identifier: Apache-2.0
// A study on several ranks, which here are threads: what it comes to does not depend on their number, on what is left and gone on with by
// others, or on a rank that fails, but for what is missing then.
#include "host/study/rank_workers.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "host/cli/study_file.h"
#include "host/study/scheduler.h"
#include "host/study/unfinished.h"
#include "tests/ranks/thread_ranks.h"
#include "tests/study/store_support.h"

namespace fryer::study {
namespace {

using fryer::test::ThreadRanks;
using ranks::Ranks;
using test::Folder;

const char* const kPolicies = R"toml(environment = "CartPole-v0"
max_steps = 40
[grid]
learning_rate = [0.05, 0.3]
batch = [2, 3]
[seeds]
count = 40
[record]
curve_every = 20
evaluation_episodes = 3
)toml";
const char* const kValues = R"toml(environment = "CartPole-v0"
algorithm = "q-learning"
preset = "tensorflow"
episodes = 8
[grid]
learning_rate = [0.0005, 0.001]
[seeds]
count = 6
)toml";
const char* const kEvaluations = R"toml(command = "evaluate"
environment = "CartPole-v0"
episodes = 20
[seeds]
count = 10
[distribution]
parameters = "uniform(-1, 1)"
)toml";

Plan parse(const std::string& text) { return cli::parse_study("s.toml", text); }

BackendChoice cpu(unsigned threads) {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.threads = threads;
  return choice;
}

std::uint64_t alone(const Plan& plan) {
  const Folder folder;
  Store store = Store::create(folder / "s.db", plan, {});
  store.begin_run(test::make_run());
  run_study(plan, store, make_workers(plan, plan.replicas(), cpu(1)), {});
  return digest_of(store.chunks());
}

struct How {
  unsigned threads = 1;  // of each rank
  StudyControl control;
  std::function<void(int rank, Plan&)> tamper;    // with what a rank runs
  std::function<BackendChoice(int rank)> choice;  // unless it is `threads` of the CPU
};

// Runs what the study at `path` lacks. Returns what each rank threw.
std::vector<std::exception_ptr> run_on_ranks(int count, const std::string& path, const How& how = {}) {
  return ThreadRanks::run(count, [&](Ranks& ranks) {
    const BackendChoice choice = how.choice ? how.choice(ranks.rank()) : cpu(how.threads);
    if (!ranks.is_root()) {
      serve_study(ranks, choice, nullptr, [&](Plan& plan) {
        cli::make_runnable(plan);
        if (how.tamper) how.tamper(ranks.rank(), plan);
      });
    }
    Store store = Store::open(path, Access::write);
    Plan plan = store.plan();
    cli::make_runnable(plan);
    const std::uint64_t missing = missing_replicas(store);
    if (missing == 0) return dismiss_ranks(ranks);
    const Workers workers = make_workers(plan, missing, choice, ranks);
    EXPECT_EQ(workers.info.ranks, static_cast<unsigned>(count));
    store.begin_run(test::make_run());
    run_study(plan, store, workers, how.control);
  });
}

std::string what(const std::exception_ptr& error) { return error ? ranks::outcome_of(error).message : ""; }
void expect_dismissed(const std::vector<std::exception_ptr>& thrown) {
  for (std::size_t i = 1; i < thrown.size(); ++i)
    EXPECT_THROW(std::rethrow_exception(thrown[i]), ranks::Dismissed) << what(thrown[i]);
}
std::uint64_t digest_at(const std::string& path) { return digest_of(Store::open(path, Access::read).chunks()); }

TEST(StudyOnRanks, HasOneDigest) {
  for (const char* text : {kPolicies, kValues, kEvaluations}) {
    const Plan plan = parse(text);
    const std::uint64_t digest = alone(plan);
    for (int count : {1, 2, 3}) {
      for (unsigned threads : {1u, 2u}) {
        const Folder folder;
        Store::create(folder / "s.db", plan, {});
        const auto thrown = run_on_ranks(count, folder / "s.db", {threads, {}, {}, {}});
        EXPECT_FALSE(thrown[0]) << what(thrown[0]);
        expect_dismissed(thrown);
        EXPECT_EQ(digest_at(folder / "s.db"), digest) << text << count << " ranks, " << threads << " threads";
        expect_dismissed(run_on_ranks(count, folder / "s.db"));  // nothing is left to do
      }
    }
  }
}

// Trainings that take longer than is waited for are left, travel, and are gone on with.
TEST(StudyOnRanks, LeavesTrainingsAndGoesOnWithOtherRanks) {
  const Plan plan = parse(
      "environment = \"CartPole-v0\"\nmax_steps = 40\nbatch = 2\nupdates = 20000\nlearning_rate = 0.001\n[seeds]\ncount = 6\n");
  const std::uint64_t digest = alone(plan);
  const Folder folder;
  Store::create(folder / "s.db", plan, {});
  bool complete = false;
  double seconds = 0.05;
  std::uint64_t begun = 0;
  for (int count = 2; !complete; count = count % 3 + 1, seconds *= 1.5) {
    ASSERT_LT(seconds, 600) << "no end of it";
    StopToken stop{false};
    How how;
    how.control.stop = &stop;
    how.control.seconds_between_saves = 0.02;
    how.control.warn = [](const std::string& warning) { ADD_FAILURE() << warning; };
    std::jthread timer([&] {
      std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
      stop = true;
    });
    const auto thrown = run_on_ranks(count, folder / "s.db", how);
    expect_dismissed(thrown);
    complete = !thrown[0];
    if (thrown[0]) {
      ASSERT_THROW(std::rethrow_exception(thrown[0]), Stopped) << what(thrown[0]);
    }
    const Store store = Store::open(folder / "s.db", Access::read);
    begun = std::max(begun, UnfinishedFile(store).count().trainings);
  }
  EXPECT_GT(begun, 0u);
  EXPECT_EQ(digest_at(folder / "s.db"), digest);
}

TEST(StudyOnRanks, RankThatFailsEndsAllAndNothingCommittedIsLost) {
  const Plan plan = parse(kPolicies);
  const std::uint64_t digest = alone(plan);
  const Folder folder;
  Store::create(folder / "s.db", plan, {});
  How how;
  how.tamper = [](int rank, Plan& of_rank) {
    if (rank != 2) return;
    for (Cell& cell : of_rank.cells) std::get<CartPoleTrainConfiguration>(*cell.run).batch = 0;
  };
  const auto thrown = run_on_ranks(3, folder / "s.db", how);
  EXPECT_EQ(what(thrown[0]).find("rank 2: "), 0u) << what(thrown[0]);
  EXPECT_EQ(ranks::outcome_of(thrown[0]).code, 2);
  expect_dismissed(thrown);
  EXPECT_FALSE(run_on_ranks(2, folder / "s.db")[0]);
  EXPECT_EQ(digest_at(folder / "s.db"), digest);
}

TEST(StudyOnRanks, RankWithoutTheDeviceEndsAllBeforeWorkStarts) {
  const Plan plan = parse(kPolicies);
  const Folder folder;
  Store::create(folder / "s.db", plan, {});
  How how;
  how.choice = [](int rank) {
    BackendChoice choice = cpu(1);
    if (rank == 1) choice.isa = "abacus";
    return choice;
  };
  for (const auto& error : run_on_ranks(3, folder / "s.db", how)) {
    EXPECT_THROW(std::rethrow_exception(error), ranks::RankError);
    EXPECT_EQ(what(error).find("rank 1: "), 0u) << what(error);
  }
  EXPECT_TRUE(Store::open(folder / "s.db", Access::read).chunks().empty());
}

}  // namespace
}  // namespace fryer::study
