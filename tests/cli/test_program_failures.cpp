// SPDX-License-Identifier: Apache-2.0
// A device that fails in the middle of the program's work, which here is a CPU's, made to fail: a study keeps what it committed and goes on
// later, or at once in a fresh process; everything else ends without a result.
#include "tests/cli/study_runs.h"

namespace fryer::cli {
namespace {

// Five launches of a worker: cells of different batches share no lanes.
const char* const kFiveLaunches = R"(environment = "CartPole-v0"
max_steps = 40
updates = 3
[grid]
batch = [2, 3, 4, 5, 6]
[seeds]
count = 9
)";

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(DeviceFailure, KeepsWhatAStudyCommitted) {
  const std::string digest = digest_of_run(kFiveLaunches);
  for (const Words& device :
       {Words{"--threads", "1"}, Words{"--threads", "3"}, Words{"--device", "cpu:1"}, Words{"--device", "cpu:2"}}) {
    const Folder folder;
    write_bytes(folder / "s.toml", kFiveLaunches);
    Words words = {"run", folder / "s.toml", "--json"};
    words.insert(words.end(), device.begin(), device.end());
    const Outcome failed = run_study(words, {{"FRYER_FAIL_CPU_CALL=4"}, "", 0});
    EXPECT_EQ(failed.code, 3) << failed.err;
    EXPECT_EQ(failed.out, "");
    const std::string why =
        std::string(device[1].starts_with("cpu:2") ? "of cpu:2" : "cpu") + ": made to fail by FRYER_FAIL_CPU_CALL; ";
    EXPECT_NE(failed.err.find(why + (folder / "s.db") + " holds "), std::string::npos) << failed.err;
    EXPECT_NE(failed.err.find(". To go on: fryer study resume " + (folder / "s.db") + "\n"), std::string::npos) << failed.err;
    const auto status = status_of(folder / "s.db");
    EXPECT_GT(status["trainings"]["finished"].get<std::uint64_t>(), 0u);
    EXPECT_EQ(status["complete"], false);
    EXPECT_EQ(run_study({"resume", folder / "s.db", "--device", "cpu:2", "--json"}).document()["digest"], digest);
  }
}

// Each process fails at its third launch.
TEST(DeviceFailure, WithRetryAFreshProcessGoesOn) {
  const std::string digest = digest_of_run(kFiveLaunches);
  const Folder folder;
  write_bytes(folder / "s.toml", kFiveLaunches);
  const Words words = {"run", folder / "s.toml", "--threads", "1", "--json", "--quiet"};
  const RunOptions failing = {{"FRYER_FAIL_CPU_CALL=3"}, "", 0};
  Words once = words;
  once.insert(once.end(), {"--retry", "1"});
  const Outcome failed = run_study(once, failing);
  EXPECT_EQ(failed.code, 3) << failed.err;
  EXPECT_NE(failed.err.find("s.db holds 18 of 45 replicas. A fresh process goes on in 0.5 s (try 1 of 1)\n"), std::string::npos)
      << failed.err;
  EXPECT_NE(failed.err.find("s.db holds 36 of 45 replicas. To go on: fryer study resume "), std::string::npos) << failed.err;
  std::filesystem::remove(folder / "s.db");
  Words twice = words;
  twice.insert(twice.end(), {"--retry=2"});
  const Outcome outcome = run_study(twice, failing);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.document()["digest"], digest);
  EXPECT_EQ(outcome.document()["complete"], true);
  EXPECT_EQ(count_of(outcome.err, "A fresh process goes on"), 2u) << outcome.err;
}

// What a retry cannot mend, and a user who has had enough.
TEST(DeviceFailure, IsNotRetriedForEver) {
  const Folder folder;
  write_bytes(folder / "s.toml", kFiveLaunches);
  const Outcome missing = run_study({"run", folder / "s.toml", "--retry", "5"}, {{"FRYER_ISA=pentium"}, "", 0});
  EXPECT_EQ(missing.code, 3) << missing.err;
  EXPECT_EQ(count_of(missing.err, "fresh process"), 0u) << missing.err;
  const Outcome stopped =
      run_study({"run", folder / "s.toml", "--retry", "5", "--quiet"}, {{"FRYER_FAIL_CPU_CALL=1"}, "", SIGINT});
  EXPECT_EQ(stopped.code, 130) << stopped.err;
  EXPECT_NE(stopped.err.find("fryer: stopped: "), std::string::npos) << stopped.err;
  EXPECT_NE(stopped.err.find("To go on: fryer study resume "), std::string::npos) << stopped.err;
}

TEST(DeviceFailure, LeavesNothingOfASingleRun) {
  const Folder folder;
  for (const Words& words :
       {Words{"train", "FryShack-v0", "--replicas", "1000", "--save-replicas", folder / "rows.npy"},
        Words{"train", "CartPole-v1", "--save-policy", folder / "policy.json"},
        Words{"train", "CartPole-v1", "--algorithm", "dqn", "--episodes", "5", "--device", "cpu:2"},
        Words{"gradient", "CartPole-v1", "--episodes", "1000"}, Words{"evaluate", "FryShack-v0", "--episodes", "1e5"}}) {
    Words all = words;
    all.emplace_back("--json");
    const Outcome outcome = run_program(all, {{"FRYER_FAIL_CPU_CALL=1"}, "", 0});
    EXPECT_EQ(outcome.code, 3) << line_of(all) << ": " << outcome.err;
    EXPECT_EQ(outcome.out, "") << line_of(all);
    EXPECT_NE(outcome.err.find("cpu"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find(": made to fail by FRYER_FAIL_CPU_CALL\n"), std::string::npos) << outcome.err;
  }
  // In the middle of a training that is updated step by step.
  EXPECT_EQ(run_program({"train", "CartPole-v1", "--batch", "20000", "--updates", "5"}, {{"FRYER_FAIL_CPU_CALL=3"}, "", 0}).code,
            3);
  EXPECT_EQ(folder.files(), 0u);
}

TEST(DeviceFailure, IsAskedForByTheNumberOfACall) {
  for (const char* number : {"0", "-1", "x", "", "1e3"}) {
    const Outcome outcome = run_program({"evaluate", "FryShack-v0"}, {{std::string("FRYER_FAIL_CPU_CALL=") + number}, "", 0});
    EXPECT_EQ(outcome.code, 2) << number;
    EXPECT_NE(outcome.err.find("FRYER_FAIL_CPU_CALL: '" + std::string(number) + "' is not accepted"), std::string::npos)
        << outcome.err;
  }
}

}  // namespace
}  // namespace fryer::cli
