// SPDX-License-Identifier: Apache-2.0
// The program where the system refuses it threads: it goes on with fewer and says so, with the same digest; and what no caller can catch is
// an error like another.
#include <exception>
#include <stdexcept>

#include "host/cli/signals.h"
#include "tests/cli/program.h"
#include "tests/engine/effort.h"

namespace fryer::cli {
namespace {

// Room for the program and some tens of threads' stacks.
Outcome run_limited(const Words& words, const std::string& folder) {
  const std::string out = folder + "/out", err = folder + "/err";
  std::string line = "ulimit -s 8192; ulimit -v 1200000; '" FRYER_PROGRAM "'";
  for (const std::string& word : words) line += " '" + word + "'";
  line += " >'" + out + "' 2>'" + err + "'";
  const int status = std::system(line.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 1000, false, read_bytes(out), read_bytes(err)};
}

void expect_same_with_fewer_threads(const Words& words) {
  const Folder folder;
  Words alone = words, many = words;
  for (const char* word : {"--json", "--threads", "1"}) alone.emplace_back(word);
  for (const char* word : {"--json", "--threads", "1000"}) many.emplace_back(word);
  const Outcome expected = run_program(alone), outcome = run_limited(many, folder / "");
  ASSERT_EQ(expected.code, 0) << expected.err;
  ASSERT_EQ(outcome.code, 0) << line_of(many) << '\n' << outcome.err;
  EXPECT_NE(outcome.err.find("fryer: warning: "), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("threads are used: so many cannot be started"), std::string::npos) << outcome.err;
  EXPECT_LT(outcome.document()["backend"]["threads"], 500);
  EXPECT_EQ(outcome.document()["digest"], expected.document()["digest"]);
}

TEST(FewThreads, AreEnough) {
  if (test::little_effort()) GTEST_SKIP() << "sanitizers need address space of their own";
  expect_same_with_fewer_threads({"train", "FryShack-v0", "--replicas", "20000", "--updates", "50"});
  expect_same_with_fewer_threads({"evaluate", "CartPole-v1", "--random", "--episodes", "20000", "--device", "cpu"});
  expect_same_with_fewer_threads({"train", "FryShack-v0", "--replicas", "20000", "--updates", "50", "--device", "cpu:4"});
}

TEST(FewThreads, AreEnoughForAStudy) {
  if (test::little_effort()) GTEST_SKIP() << "sanitizers need address space of their own";
  const Folder folder;
  write_bytes(folder / "s.toml", "environment = 'FryShack-v0'\nupdates = 50\n[seeds]\ncount = 20_000\n");
  const Words run = {"study", "run", folder / "s.toml", "--threads", "1000"};
  const Outcome outcome = run_limited(run, folder / "");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("of 1000 threads are used"), std::string::npos) << outcome.err;
}

TEST(FewThreads, AreTooFewForARateOfMany) {
  if (test::little_effort()) GTEST_SKIP() << "sanitizers need address space of their own";
  const Folder folder;
  const Outcome outcome = run_limited({"bench", "--filter", "philox", "--threads", "1000", "--device", "cpu"}, folder / "");
  EXPECT_EQ(outcome.code, 3) << outcome.err;
  EXPECT_NE(outcome.err.find("fryer: error: --threads: "), std::string::npos) << outcome.err;
}

TEST(Uncatchable, IsTold) {
  const auto thrown_where_nobody_catches = [] {
    install_signal_handlers();
    try {
      throw std::runtime_error("no thread for you");
    } catch (...) {
      std::terminate();
    }
  };
  EXPECT_EXIT(thrown_where_nobody_catches(), testing::ExitedWithCode(1), "fryer: error: no thread for you");
}

}  // namespace
}  // namespace fryer::cli
