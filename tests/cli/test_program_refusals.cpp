// SPDX-License-Identifier: Apache-2.0
// What the program refuses: exit code, one line on stderr that names option, value and what is accepted, and nothing on stdout.
#include <algorithm>

#include "tests/cli/program.h"

namespace fryer::cli {
namespace {

struct Refusal {
  int code;
  Words words;
  std::vector<std::string> says;
};

// One line, starting as errors do.
void expect_error_line(const Outcome& outcome, const Words& words) {
  EXPECT_TRUE(outcome.err.starts_with("fryer: error: ")) << line_of(words) << '\n' << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << line_of(words) << '\n' << outcome.err;
}

void expect_refused(const Refusal& refusal, const RunOptions& options = {}) {
  Words words = refusal.words;
  words.push_back("--json");
  const Outcome outcome = run_program(words, options);
  EXPECT_EQ(outcome.code, refusal.code) << line_of(words) << '\n' << outcome.err;
  EXPECT_EQ(outcome.out, "") << line_of(words);
  expect_error_line(outcome, words);
  for (const std::string& text : refusal.says)
    EXPECT_NE(outcome.err.find(text), std::string::npos) << line_of(words) << "\nlacks: " << text << '\n' << outcome.err;
}

TEST(Refusals, OfBadValuesNameOptionValueAndWhatIsAccepted) {
  const std::string env = "FryShack-v0";
  const std::vector<Refusal> refusals = {
      {2, {"train", env, "--episodes", "0"}, {"--episodes", "0 is not accepted", "whole number from 1"}},
      {2, {"train", env, "--episodes", "-1"}, {"--episodes", "-1", "whole number"}},
      {2, {"train", env, "--episodes", "1e30"}, {"--episodes", "1e30", "whole number"}},
      {2, {"train", env, "--episodes", "nan"}, {"--episodes", "nan", "whole number"}},
      {2, {"gradient", env, "--episodes", "0"}, {"--episodes", "0 is not accepted", "2^40"}},
      {2, {"gradient", env, "--episodes", "-1"}, {"--episodes", "-1", "2^40"}},
      {2, {"gradient", env, "--episodes", "1e30"}, {"--episodes", "1e30", "2^40"}},
      {2, {"evaluate", env, "--episodes", "nan"}, {"--episodes", "nan", "2^40"}},
      {2, {"evaluate", env, "--episodes", "1.5"}, {"--episodes", "1.5", "whole number"}},
      {2, {"train", env, "--learning-rate", "inf"}, {"--learning-rate", "inf", "finite"}},
      {2, {"train", env, "--learning-rate", "1e39"}, {"--learning-rate", "1e+39", "float"}},
      {2, {"train", env, "--learning-rate", "0"}, {"--learning-rate", "0", "above 0"}},
      {2, {"train", env, "--learning-rate", "1e-46"}, {"--learning-rate", "1e-46", "float"}},
      {2, {"evaluate", env, "--reward-correct", "1e-10"}, {"--reward-correct", "1e-10", "1e-9"}},
      {2, {"train", env, "--save-policy", "./rows.csv", "--save-replicas", "rows.csv"}, {"--save-policy", "--save-replicas"}},
      {2, {"train", env, "--save-policy", "/dev/stdout"}, {"--save-policy", "--json"}},
      {2, {"train", env, "--hungry-above", "2"}, {"--hungry-above", "2", "from 0 to 1"}},
      {2, {"train", env, "--large-order-norm", "1.5"}, {"--large-order-norm", "1.5", "probability"}},
      {2, {"train", env, "--leraning-rate", "1"}, {"--leraning-rate", "--learning-rate"}},
      {2, {"train", "FryShak-v0"}, {"FryShak-v0", "FryShack-v0"}},
      {2, {"trian", env}, {"trian", "train"}},
      {2, {"train"}, {"ENV", env}},
      {2, {"train", env, env}, {env}},
      {2, {"train", env, "--threads", "0"}, {"--threads", "0", "1 to 1024"}},
      {2, {"train", env, "--threads", "1025"}, {"--threads", "1025", "1 to 1024"}},
      {2, {"train", env, "--device", "gpu"}, {"--device", "gpu", "auto, cpu, cuda"}},
      {2, {"train", env, "--device", "cpu:0"}, {"--device", "cpu:0 is not accepted", "N from 1 to 64"}},
      {2, {"train", env, "--device", "cpu:65"}, {"--device", "cpu:65 is not accepted", "N from 1 to 64"}},
      {2, {"train", env, "--device", "cpu:-1"}, {"--device", "cpu:-1 is not accepted", "N from 1 to 64"}},
      {2, {"train", env, "--device", "cpu:1,2"}, {"--device", "cpu:1,2 is not accepted", "N from 1 to 64"}},
      {2, {"train", env, "--device", "cpu:"}, {"--device", "cpu: is not accepted", "N from 1 to 64"}},
      {2, {"train", env, "--device", "cuda:0,0"}, {"--device", "cuda:0,0 is not accepted", "different ones"}},
      {2, {"train", env, "--device", "cuda:1,-1"}, {"--device", "cuda:1,-1 is not accepted", "I from 0"}},
      {2, {"train", env, "--device", "cuda:"}, {"--device", "cuda: is not accepted", "cuda:I,J"}},
      {2, {"train", env, "--device", "cuda:0,"}, {"--device", "cuda:0, is not accepted", "cuda:I,J"}},
      {2, {"train", env, "--device", "cuda:0,all"}, {"--device", "cuda:0,all is not accepted", "cuda:all"}},
      {2, {"train", env, "--seed", "18446744073709551616"}, {"--seed", "18446744073709551616", "18446744073709551615"}},
      {2, {"train", env, "--seed", "18446744073709551615", "--replicas", "2"}, {"--seed", "2^64"}},
      {2, {"train", env, "--seed", "1", "--seed", "2"}, {"--seed", "given 2 times"}},
      {2, {"train", env, "--seed"}, {"--seed", "needs a value"}},
      {2, {"train", env, "--replicas", "1e12"}, {"--replicas", "1000000000000"}},
      {2, {"train", env, "--updates", "3", "--episodes", "3"}, {"--episodes", "--updates"}},
      {2, {"train", env, "--batch", "8", "--episodes", "12"}, {"--episodes", "12", "multiple of --batch 8"}},
      {2, {"train", env, "--gamma", "0.9"}, {"--gamma", env, "discount"}},
      {2, {"train", env, "--hidden", "64,64"}, {"--hidden", env, "hidden layers"}},
      {2, {"train", env, "--entropy-bonus", "0.1"}, {"--entropy-bonus", env}},
      {2, {"train", env, "--epsilon-start", "1"}, {"--epsilon-start", env, "value learners"}},
      {2, {"train", env, "--baseline", "mean"}, {"--baseline", "mean", "none"}},
      {2, {"train", env, "--algorithm", "dqn"}, {"--algorithm", "dqn", "reinforce"}},
      {2, {"train", env, "--preset", "notebok"}, {"--preset", "notebok", "notebook"}},
      {2, {"train", env, "--optimizer", "sgd", "--adam-beta1", "0.5"}, {"--adam-beta1", "sgd"}},
      {2, {"train", env, "--save-replicas", "rows.txt"}, {"--save-replicas", "rows.txt", ".npy or .csv"}},
      {2, {"train", env, "--save-policy", "policy.json", "--replicas", "2"}, {"--save-policy", "--replicas 2"}},
      {2, {"evaluate", env, "--random", "--greedy"}, {"--greedy", "--random"}},
      {2, {"evaluate", env, "--parameters", "1"}, {"--parameters", "1", "weight and bias"}},
      {2, {"evaluate", env, "--policy", "a", "--parameters", "1,2"}, {"--policy", "--parameters"}},
      {2, {"evaluate", env, "--updates", "1"}, {"--updates", "train"}},
      {2, {"notebook", "--population", "1e13"}, {"--population", "10000000000000", "4294967296"}},
      {2, {"notebook", "--population", "0", "--device", "cuda"}, {"--device", "--population"}},
      {2, {"bench", "--suite", "ful"}, {"--suite", "ful", "quick or full", "did you mean full?"}},
      {2, {"bench", "--filter", "dqn-trian"}, {"--filter", "dqn-trian", "did you mean dqn-train?"}},
      {2, {"bench", "--filter", "cart-pole-solve"}, {"--filter", "quick suite"}},
      {2, {"bench", "--compare", "f.json", "--tolerance", "1"}, {"--tolerance", "above 0 and below 1"}},
      {2, {"bench", "--compare", "f.json", "--tolerance", "0"}, {"--tolerance", "above 0 and below 1"}},
      {2, {"bench", "--tolerance", "0.2"}, {"--tolerance", "--compare"}},
      {2, {"bench", "CartPole-v1"}, {"CartPole-v1"}},
      {2, {"list", "--seed", "1"}, {"--seed", "list"}},
      {4, {"train", env, "--save-replicas", "/nowhere/rows.csv"}, {"--save-replicas", "/nowhere/rows.csv", "No such file"}},
      {4, {"train", env, "--save-policy", "/"}, {"--save-policy", "/", "directory"}},
      {4, {"train", env, "--config", "/nowhere/settings.toml"}, {"--config", "/nowhere/settings.toml"}},
      {4, {"train", env, "--config", "/"}, {"--config", "directory"}},
      {4, {"evaluate", env, "--policy", "/nowhere/policy"}, {"--policy", "/nowhere/policy"}},
      {5, {"evaluate", env, "--policy", "/dev/null"}, {"--policy", "/dev/null"}},
  };
  for (const Refusal& refusal : refusals) expect_refused(refusal);
}

TEST(Refusals, OfOptionsWithoutACommandAndOfNothing) {
  for (const Words& words : {Words{}, Words{"--seed", "1", "train"}, Words{""}, Words{"-x"}}) {
    const Outcome outcome = run_program(words);
    EXPECT_EQ(outcome.code, 2) << line_of(words);
    EXPECT_EQ(outcome.out, "");
    expect_error_line(outcome, words);
  }
}

TEST(Refusals, OfAGpuWhereThereIsNone) {
  const nlohmann::json devices = run_program({"devices", "--json"}).document()["devices"];
  for (const auto& device : devices) {
    if (device["name"].get<std::string>().starts_with("cuda") && device["available"].get<bool>())
      GTEST_SKIP() << "this machine has a GPU";
  }
  expect_refused({3, {"train", "FryShack-v0", "--device", "cuda"}, {"--device cuda"}});
  expect_refused({3, {"gradient", "FryShack-v0", "--device", "cuda:1"}, {"--device cuda"}});
  expect_refused({3, {"train", "FryShack-v0", "--device", "cuda:0,1"}, {"--device cuda"}});
  expect_refused({3, {"train", "FryShack-v0", "--device", "cuda:all"}, {"--device cuda:all: ", "auto, cpu and cpu:N"}});
}

TEST(Refusals, OfInstructionSetsThatDoNotExist) {
  expect_refused({3, {"train", "FryShack-v0"}, {"FRYER_ISA", "sse9", "scalar"}}, {{"FRYER_ISA=sse9"}, "", 0});
  expect_refused({3, {"notebook", "--population", "0"}, {"FRYER_ISA", "sse9"}}, {{"FRYER_ISA=sse9"}, "", 0});
}

TEST(Refusals, OfAFullDiskAndAClosedPipe) {
  for (const Words& words : {Words{"train", "FryShack-v0", "--quiet"}, Words{"train", "FryShack-v0", "--json", "--quiet"},
                             Words{"--help"}, Words{"devices"}, Words{"notebook", "--population", "0"}}) {
    const Outcome outcome = run_program(words, {{}, "/dev/full", 0});
    EXPECT_EQ(outcome.code, 4) << line_of(words);
    EXPECT_NE(outcome.err.find("standard output: cannot write: No space left on device"), std::string::npos) << outcome.err;
    expect_error_line(outcome, words);
  }
}

TEST(FailedRun, SaysWhichSeedAndUpdateAndPrintsNoNan) {
  const Outcome outcome =
      run_program({"train", "FryShack-v0", "--learning-rate", "1e38", "--replicas", "3", "--json", "--quiet"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("3 of 3 trainings failed"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("seed 42"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("at update "), std::string::npos) << outcome.err;
  const nlohmann::json document = outcome.document();
  EXPECT_EQ(document["failed"]["count"], 3);
  EXPECT_EQ(document["failed"]["first"]["seed"], 42);
  EXPECT_GE(document["failed"]["first"]["update"], 1);
  EXPECT_TRUE(document["final_parameters"]["bias"].is_null());

  const Outcome text = run_program({"train", "FryShack-v0", "--learning-rate", "1e38"});
  EXPECT_EQ(text.code, 1);
  EXPECT_EQ(text.out.find("nan"), std::string::npos) << text.out;
  EXPECT_EQ(text.out.find("inf"), std::string::npos) << text.out;
}

}  // namespace
}  // namespace fryer::cli
