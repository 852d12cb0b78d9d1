// SPDX-License-Identifier: Apache-2.0
// --hidden on CartPole: what the program refuses, what its documents have, that they repeat their run, and a policy's file from train to
// evaluate, gradient and trace.
#include <algorithm>

#include "tests/cli/program.h"

namespace fryer::cli {
namespace {

const Words kTrain = {"train", "CartPole-v0", "--updates", "4", "--learning-rate", "0.05"};

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

nlohmann::json document_of(const Words& words) {
  const Outcome outcome = run_program(with(words, {"--json", "--quiet"}));
  EXPECT_EQ(outcome.code, 0) << line_of(words) << '\n' << outcome.err;
  return outcome.code == 0 ? outcome.document() : nlohmann::json();
}

TEST(HiddenOptions, RefusalsNameOptionValueAndWhatIsAccepted) {
  struct Refusal {
    Words words;
    std::vector<std::string> says;
  };
  const std::string seven = "1,2,3,4,5,6,7";
  const std::vector<Refusal> refusals = {
      {{"train", "CartPole-v1", "--hidden", "17"}, {"--hidden", "17", "0 (none) to 16"}},
      {{"train", "CartPole-v1", "--hidden", "x"}, {"--hidden", "x"}},
      {{"train", "CartPole-v1", "--hidden", "2", "--parameters", seven}, {"--parameters", "--hidden 2 has 13", "are 7"}},
      {{"train", "CartPole-v1", "--parameters", seven}, {"--parameters", "five", "are 7"}},
      {{"train", "CartPole-v1", "--hidden", "1", "--parameters", "1,2,3,4,5,1e4,7"}, {"--parameters", "10000", "1024"}},
      {{"train", "CartPole-v1", "--activation", "relu", "--hidden", "2"}, {"--activation", "relu", "tanh"}},
      {{"train", "CartPole-v1", "--activation", "tanh"}, {"--activation", "no meaning", "--hidden 0"}},
      {{"train", "CartPole-v1", "--initialisation", "he"}, {"--initialisation", "no meaning", "--hidden 0"}},
      {{"train", "CartPole-v1", "--hidden", "1", "--parameters", seven, "--initialisation", "he"},
       {"--initialisation", "--parameters"}},
      {{"evaluate", "CartPole-v1", "--hidden", "2"}, {"--hidden", "2 needs", "13 --parameters", "--policy"}},
      {{"evaluate", "CartPole-v1", "--hidden", "2", "--random"}, {"--hidden", "--random"}},
      {{"gradient", "CartPole-v1", "--hidden", "1", "--parameters", "1,2,3,4,5"}, {"--parameters", "--hidden 1 has 7", "are 5"}},
      {{"trace", "CartPole-v1", "--hidden", "1", "--policy", "x"}, {"--policy", "--hidden"}},
      {{"train", "FryShack-v0", "--hidden", "1"}, {"--hidden"}},
  };
  for (const Refusal& refusal : refusals) {
    const Outcome outcome = run_program(refusal.words);
    EXPECT_EQ(outcome.code, 2) << line_of(refusal.words) << '\n' << outcome.err;
    for (const std::string& part : refusal.says)
      EXPECT_NE(outcome.err.find(part), std::string::npos) << line_of(refusal.words) << '\n' << part << '\n' << outcome.err;
  }
}

TEST(HiddenOptions, AreInHelp) {
  const Outcome outcome = run_program({"train", "CartPole-v1", "--help"});
  for (const char* part : {"--hidden", "--activation", "--initialisation", "torch|glorot|he|zero"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part;
}

TEST(HiddenDocument, HasItsSettingsAndRepeatsItsRun) {
  const Folder folder;
  for (const Words& more : {Words{"--hidden", "3"},
                            Words{"--hidden", "3", "--activation", "sigmoid", "--initialisation", "glorot", "--replicas", "20"},
                            Words{"--hidden", "1", "--parameters", "1,2,3,4,0,-0.5,0.25"}}) {
    const auto d = document_of(with(kTrain, more));
    const std::size_t units = d["configuration"]["hidden"];
    EXPECT_EQ(d["final_parameters"].size(), 6 * units + 1);
    EXPECT_TRUE(d["final_parameters"].contains("w_hidden0_angular_velocity"));
    EXPECT_TRUE(d["final_parameters"].contains("bias"));
    const bool given = more.size() > 2 && more[2] == "--parameters";
    EXPECT_EQ(d["configuration"].contains("initialisation"), !given);
    EXPECT_EQ(d["configuration"]["parameters"].is_null(), !given);
    write_bytes(folder / "run.json", d.dump());
    const auto again = document_of({"train", "CartPole-v0", "--config", folder / "run.json"});
    EXPECT_EQ(again["digest"], d["digest"]);
    EXPECT_EQ(again["configuration"], d["configuration"]);
    // Another layer on the command line: the file's parameters are of the one before.
    const auto other = document_of({"train", "CartPole-v0", "--config", folder / "run.json", "--hidden", "2"});
    EXPECT_EQ(other["final_parameters"].size(), 13u);
    const auto linear = document_of({"train", "CartPole-v0", "--config", folder / "run.json", "--hidden", "0"});
    EXPECT_EQ(linear["final_parameters"].size(), 5u);
  }
}

TEST(HiddenPolicyFile, GoesFromTrainToEvaluateGradientAndTrace) {
  const Folder folder;
  const std::string file = folder / "policy.json";
  const auto trained = document_of(with(kTrain, {"--hidden", "3", "--activation", "sigmoid", "--save-policy", file}));
  std::string parameters;
  std::vector<std::string> names;
  for (int unit = 0; unit < 3; ++unit) {
    for (const char* input : {"position", "velocity", "angle", "angular_velocity"})
      names.push_back("w_hidden" + std::to_string(unit) + '_' + input);
  }
  for (const char* kind : {"b_hidden", "w_output"}) {
    for (int unit = 0; unit < 3; ++unit) names.push_back(kind + std::to_string(unit));
  }
  names.emplace_back("bias");
  for (const std::string& name : names)
    parameters += (parameters.empty() ? "" : ",") + trained["final_parameters"].at(name).dump();
  const Words by_hand = {"--hidden", "3", "--activation", "sigmoid", "--parameters", parameters};
  for (const Words& command :
       {Words{"evaluate", "CartPole-v1", "--episodes", "100"}, Words{"gradient", "CartPole-v0", "--episodes", "100"},
        Words{"trace", "CartPole-v1", "--precision", "float"}, Words{"trace", "CartPole-v1", "--greedy"}}) {
    const auto from_file = document_of(with(command, {"--policy", file}));
    const auto from_words = document_of(with(command, by_hand));
    EXPECT_EQ(from_file["digest"], from_words["digest"]) << line_of(command);
    EXPECT_EQ(from_file["configuration"], from_words["configuration"]);
    EXPECT_EQ(from_file["configuration"]["hidden"], 3);
  }
  // A trace in float is the first episode of an evaluation.
  const auto traced = document_of({"trace", "CartPole-v1", "--precision", "float", "--policy", file});
  const auto evaluated = document_of({"evaluate", "CartPole-v1", "--episodes", "1", "--policy", file});
  EXPECT_EQ(evaluated["return"]["mean"], traced["return"]);
  // A document of it gives way to --random.
  const std::string earlier = folder / "evaluated.json";
  write_bytes(earlier, evaluated.dump());
  EXPECT_EQ(document_of({"evaluate", "--config", earlier, "--random"})["configuration"]["random"], true);
  std::string edited = read_bytes(file);
  edited.replace(edited.find("\"sigmoid\""), 9, "\"tanh\"   ");
  write_bytes(file, edited);
  EXPECT_EQ(run_program({"evaluate", "CartPole-v1", "--policy", file}).code, 5);
}

TEST(HiddenReport, ShowsAFewOfManyParameters) {
  const Outcome many =
      run_program({"train", "CartPole-v0", "--hidden", "16", "--updates", "2", "--replicas", "20", "--device", "cpu"});
  ASSERT_EQ(many.code, 0) << many.err;
  EXPECT_LT(std::count(many.out.begin(), many.out.end(), '\n'), 40) << many.out;
  EXPECT_NE(many.out.find("5 of 97 parameters"), std::string::npos) << many.out;
}

}  // namespace
}  // namespace fryer::cli
