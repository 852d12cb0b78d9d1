// SPDX-License-Identifier: Apache-2.0
// The program under an MPI launcher: any number of ranks prints one result, with the digest of one process; bad input is told once; and a rank
// that is killed ends all, with what a study had committed.
#include <fmt/format.h>

#include <atomic>
#include <fstream>

#include "tests/cli/study_runs.h"

namespace fryer::cli {
namespace {

// More ranks than processors, and as root, which Open MPI wants to be asked for. MPI libraries keep memory until the end, which is no leak
// of ours.
RunOptions on_ranks(int count) {
  return {{"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "OMPI_MCA_rmaps_base_oversubscribe=1",
           "ASAN_OPTIONS=detect_leaks=0"},
          "",
          0,
          {FRYER_MPIEXEC, "-n", std::to_string(count)}};
}

std::string digest_of(const Words& words, const RunOptions& options = {}) {
  Words all = words;
  all.insert(all.end(), {"--json", "--quiet", "--threads", "1"});
  const Outcome outcome = run_program(all, options);
  EXPECT_EQ(outcome.code, 0) << line_of(all) << '\n' << outcome.err;
  return outcome.code == 0 ? outcome.document()["digest"].get<std::string>() : "";
}

TEST(Ranks, GiveTheDigestOfOneProcess) {
  const std::vector<Words> runs = {
      {"gradient", "FryShack-v0", "--episodes", "300000"},
      {"gradient", "CartPole-v1", "--episodes", "100001"},  // parts long enough for messages beside them
      {"evaluate", "CartPole-v1", "--random", "--episodes", "1000"},
      {"train", "FryShack-v0", "--batch", "20000", "--updates", "100"},                     // one policy
      {"train", "CartPole-v1", "--batch", "4096", "--updates", "5", "--hidden", "4"},       // one policy
      {"train", "FryShack-v0", "--replicas", "50000"},                                      // a population
      {"train", "CartPole-v1", "--preset", "solve", "--until", "475", "--replicas", "70"},  // whose trainings end early
      {"train", "CartPole-v0", "--preset", "workshop", "--episodes", "12", "--replicas", "5"},
  };
  for (const Words& words : runs) {
    const std::string alone = digest_of(words);
    for (int ranks : {1, 2, 3, 4}) EXPECT_EQ(digest_of(words, on_ranks(ranks)), alone) << ranks << ": " << line_of(words);
  }
}

TEST(Ranks, RootAlonePrintsAndWrites) {
  const Folder folder;
  const Outcome outcome = run_program(
      {"train", "FryShack-v0", "--replicas", "3000", "--threads", "1", "--json", "--save-replicas", folder / "rows.csv"},
      on_ranks(3));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.document()["backend"]["ranks"], 3);
  EXPECT_EQ(outcome.document()["backend"]["threads"], 3);
  const std::string rows = read_bytes(folder / "rows.csv");
  EXPECT_EQ(std::count(rows.begin(), rows.end(), '\n'), 3001);
  EXPECT_EQ(folder.files(), 1u);
  const Outcome version = run_program({"--version"}, on_ranks(3));
  EXPECT_EQ(version.out, run_program({"--version"}).out);
  const Outcome plan = run_program({"train", "FryShack-v0", "--dry-run"}, on_ranks(3));
  EXPECT_EQ(plan.code, 0) << plan.err;
  EXPECT_EQ(plan.out.find("would run"), plan.out.rfind("would run"));
}

TEST(Ranks, BadInputIsToldOnce) {
  struct Case {
    Words words;
    int code;
    std::string error;
  };
  const Folder folder;
  const std::vector<Case> cases = {
      {{"train", "CartPole-v1", "--gamma", "7"}, 2, "fryer: error: --gamma: 7 is not accepted"},
      {{"train", "CartPole-v1", "--save-replicas", folder / "no/x.npy"}, 4, "fryer: error: --save-replicas: cannot write"},
      {{"train", "CartPole-v1", "--device", "cuda:1000"}, 3, "fryer: error: "},
      {{"study", "run", folder / "none.toml"}, 4, "fryer: error: study: cannot read"},
      {{"study", "resume", folder / "none.db"}, 4, "fryer: error: "},
  };
  for (const Case& one : cases) {
    const Outcome outcome = run_program(one.words, on_ranks(3));
    EXPECT_FALSE(outcome.hung) << line_of(one.words);
    EXPECT_EQ(outcome.code, one.code) << line_of(one.words) << '\n' << outcome.err;
    EXPECT_NE(outcome.err.find(one.error), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find("fryer: error:"), outcome.err.rfind("fryer: error:")) << outcome.err;
  }
}

// All ranks come to the same parameters, and to the same failure.
TEST(Ranks, TrainingThatFailsIsToldOnce) {
  const Words words = {"train",       "CartPole-v1", "--batch",         "4096", "--updates",      "5",
                       "--optimizer", "sgd",         "--learning-rate", "1e38", "--reward-scale", "1e6"};
  const Outcome alone = run_program(words), outcome = run_program(words, on_ranks(3));
  EXPECT_EQ(alone.code, 1) << alone.err;
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  const std::string error = alone.err.substr(alone.err.find("fryer: error:"));
  EXPECT_NE(outcome.err.find(error), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("fryer: error:"), outcome.err.rfind("fryer: error:")) << outcome.err;
  EXPECT_EQ(outcome.err.find("MPI_ABORT"), std::string::npos) << outcome.err;
}

TEST(Ranks, RetryIsRefused) {
  const Outcome outcome = run_study({"run", "s.toml", "--retry", "2"}, on_ranks(2));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("--retry: 2 is not accepted under an MPI launcher"), std::string::npos) << outcome.err;
}

TEST(Ranks, RunAStudy) {
  const std::string policies = R"(environment = "CartPole-v0"
updates = 30
until = 120
[grid]
learning_rate = [0.02, 0.2]
baseline = ["none", "mean"]
[seeds]
count = 100
[record]
curve_every = 10
evaluation_episodes = 5
)";
  const std::string values = R"(environment = "CartPole-v0"
algorithm = "dqn"
preset = "workshop"
episodes = 12
[grid]
learning_rate = [0.0005, 0.001]
[seeds]
count = 6
)";
  for (const std::string& text : {policies, values}) {
    const std::string alone = digest_of_run(text, {"--threads", "1"});
    for (int ranks : {1, 2, 3, 4}) EXPECT_EQ(digest_of_run(text, {"--threads", "2"}, on_ranks(ranks)), alone) << ranks;
  }
}

TEST(Ranks, GoOnWithOthersStudies) {
  const Folder folder;
  write_bytes(folder / "s.toml", kLongerStudy);
  ASSERT_EQ(run_study({"run", folder / "s.toml", "--quiet"}, on_ranks(2)).code, 0);
  const Outcome again = run_study({"resume", folder / "s.db", "--json"}, on_ranks(3));
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.document()["complete"], true);
  EXPECT_EQ(again.document()["backend"]["reason"], "nothing was left to do");
}

// The process of a rank whose words have `part` among them, or 0.
pid_t process_of(const std::string& part, int rank) {
  const std::string number = std::to_string(rank);
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string words = read_bytes(entry.path() / "cmdline");
    if (words.find(part) == std::string::npos || !words.starts_with(FRYER_PROGRAM)) continue;
    const std::string environment = '\0' + read_bytes(entry.path() / "environ");
    for (const char* variable : {"OMPI_COMM_WORLD_RANK=", "PMI_RANK="}) {
      if (environment.find('\0' + (variable + number) + '\0') != std::string::npos) return std::stoi(name);
    }
  }
  return 0;
}

TEST(Ranks, KilledOneEndsAllAndNothingCommittedIsLost) {
  for (int victim : {2, 0}) {
    // On a fast machine a study may have ended before the kill: then a larger one is killed.
    for (std::uint64_t seeds = 100'000;; seeds *= 4) {
      ASSERT_LT(seeds, 10'000'000u) << "never killed in the middle";
      const std::string study = fmt::format(
          "environment = \"FryShack-v0\"\nupdates = 2000\n[grid]\nlearning_rate = [0.05, 0.1, 0.2]\n[seeds]\ncount = {}\n",
          seeds);
      const Folder folder;
      write_bytes(folder / "s.toml", study);
      Outcome killed;
      std::uint64_t committed = 0;
      {
        const std::jthread run([&] { killed = run_study({"run", folder / "s.toml", "--quiet", "--threads", "1"}, on_ranks(4)); });
        for (int looks = 0; looks < 5000 && committed == 0; ++looks) {
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
          if (!std::filesystem::exists(folder / "s.db")) continue;
          const Outcome status = run_study({"status", folder / "s.db", "--json"});
          if (status.code == 0) committed = status.document()["trainings"]["finished"];
        }
        const pid_t process = process_of(folder / "s.toml", victim);
        if (process != 0) ::kill(process, SIGKILL);
      }
      EXPECT_FALSE(killed.hung);
      EXPECT_GT(committed, 0u);
      if (killed.code == 0) continue;
      EXPECT_FALSE(killed.err.empty());
      for (int rank = 0; rank < 4; ++rank) EXPECT_EQ(process_of(folder / "s.toml", rank), 0) << rank;
      EXPECT_GE(status_of(folder / "s.db")["trainings"]["finished"], committed);
      const Outcome resumed = run_study({"resume", folder / "s.db", "--json"}, on_ranks(3));
      ASSERT_EQ(resumed.code, 0) << resumed.err;
      EXPECT_EQ(resumed.document()["digest"], digest_of_run(study));
      break;
    }
  }
}

}  // namespace
}  // namespace fryer::cli
