// SPDX-License-Identifier: Apache-2.0
// Studies run by the program, for tests: run, killed and resumed.
#pragma once

#include <random>

#include "tests/cli/program.h"

namespace fryer::cli {

// A study that takes some tenths of a second.
inline const char* const kLongerStudy = R"(environment = "FryShack-v0"
updates = 2000
[grid]
learning_rate = [0.05, 0.1, 0.2]
[seeds]
count = 30_000
)";

inline Outcome run_study(const Words& words, const RunOptions& options = {}) {
  Words all = {"study"};
  all.insert(all.end(), words.begin(), words.end());
  const Outcome outcome = run_program(all, options);
  EXPECT_FALSE(outcome.hung) << line_of(all);
  return outcome;
}

inline nlohmann::json status_of(const std::string& db) {
  const Outcome outcome = run_study({"status", db, "--json"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return outcome.document();
}

// Runs the text as a study and gives its digest.
inline std::string digest_of_run(const std::string& text, const Words& options = {}, const RunOptions& how = {}) {
  const Folder folder;
  write_bytes(folder / "s.toml", text);
  Words words = {"run", folder / "s.toml", "--json"};
  words.insert(words.end(), options.begin(), options.end());
  const Outcome outcome = run_study(words, how);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return outcome.document()["digest"];
}

// kill -9 at random moments, each time on other devices: what was committed stays, and the end is that of an uninterrupted run.
inline void kill_and_resume(int kills) {
  const std::string digest = digest_of_run(kLongerStudy);
  const std::vector<std::vector<const char*>> devices = {
      {}, {"--device", "cpu:3"}, {"--threads", "1"}, {"--device", "cpu:2", "--threads", "5"}};
  std::mt19937_64 random(20261122);
  int done = 0, studies = 0;
  while (done < kills) {
    const Folder folder;
    write_bytes(folder / "s.toml", kLongerStudy);
    std::uint64_t finished = 0;
    for (bool complete = false; !complete && done < kills;) {
      const std::string toml = folder / "s.toml";
      std::vector<const char*> words = {"fryer", "study", "run", toml.c_str(), "--quiet"};
      const std::vector<const char*>& device = devices[random() % devices.size()];
      words.insert(words.end(), device.begin(), device.end());
      words.push_back(nullptr);
      const pid_t child = ::fork();
      if (child == 0) {
        const int null = ::open("/dev/null", O_RDWR);
        ::dup2(null, 1);
        ::dup2(null, 2);
        ::execv(FRYER_PROGRAM, const_cast<char* const*>(words.data()));
        ::_exit(127);
      }
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 250'000));
      ::kill(child, SIGKILL);
      int status = 0;
      ::waitpid(child, &status, 0);
      done += WIFSIGNALED(status);
      if (!std::filesystem::exists(folder / "s.db")) continue;  // killed before it was made
      const auto after = status_of(folder / "s.db");
      const std::uint64_t now = after["trainings"]["finished"];
      EXPECT_GE(now, finished) << "committed replicas were lost";
      finished = now;
      complete = after["complete"];
    }
    const Outcome last = run_study({"resume", folder / "s.db", "--device", "cpu:4", "--json"});
    ASSERT_EQ(last.code, 0) << last.err;
    EXPECT_EQ(last.document()["digest"], digest);
    EXPECT_EQ(last.document()["trainings"]["finished"], 90'000);
    ++studies;
  }
  EXPECT_GT(studies, 0);
}
}  // namespace fryer::cli
