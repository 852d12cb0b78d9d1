// SPDX-License-Identifier: Apache-2.0
// `fryer trace` as a user runs it: its document, its table and CSV, the drawing, who plays, policies from files, and what it refuses.
#include <algorithm>
#include <cmath>
#include <sstream>

#include "host/cli/output/policy_file.h"
#include "tests/cli/program.h"

namespace fryer::cli {
namespace {

const std::string kEnvironment = "CartPole-v1";

Outcome run_trace(const Words& words) {
  Words all = {"trace", kEnvironment};
  all.insert(all.end(), words.begin(), words.end());
  return run_program(all);
}

nlohmann::json document_of(Words words) {
  words.insert(words.end(), {"--json", "--quiet"});
  const Outcome outcome = run_trace(words);
  EXPECT_EQ(outcome.code, 0) << line_of(words) << '\n' << outcome.err;
  EXPECT_EQ(outcome.err, "") << line_of(words);
  return outcome.code == 0 ? outcome.document() : nlohmann::json();
}

const Words kFourPushes = {"--actions", "0110", "--state", "0,0,0.05,0"};

TEST(TraceDocument, HasEveryStep) {
  const auto d = document_of(kFourPushes);
  for (const char* key : {"command", "environment", "configuration", "seed", "numerics_version", "digest", "backend",
                          "wall_seconds", "episodes", "initial_state", "steps", "length", "return"})
    EXPECT_TRUE(d.contains(key)) << key;
  EXPECT_EQ(d["command"], "trace");
  EXPECT_EQ(d["environment"], kEnvironment);
  EXPECT_EQ(d["initial_state"], nlohmann::json({0.0, 0.0, 0.05, 0.0}));
  ASSERT_EQ(d["steps"].size(), 4u);
  EXPECT_EQ(d["length"], 4);
  EXPECT_EQ(d["return"], 4.0);
  for (std::size_t t = 0; t < 4; ++t) {
    const auto& step = d["steps"][t];
    EXPECT_EQ(step.size(), 5u);
    EXPECT_EQ(step["action"], t == 1 || t == 2 ? 1 : 0);
    EXPECT_EQ(step["state"].size(), 4u);
    EXPECT_EQ(step["reward"], 1.0);
    EXPECT_EQ(step["terminated"], false);
    EXPECT_EQ(step["truncated"], false);
  }
  // Gymnasium's equations by hand, pushed left: positions have not moved yet, the pole speeds to the right.
  EXPECT_EQ(d["steps"][0]["state"][0], 0.0);
  EXPECT_NEAR(d["steps"][0]["state"][1], -0.19580204225688186, 1e-15);
  EXPECT_EQ(d["steps"][0]["state"][2], 0.05);
  EXPECT_NEAR(d["steps"][0]["state"][3], 0.30802988680046994, 1e-15);
}

TEST(TraceDocument, FedToConfigRepeatsTheRun) {
  const Folder folder;
  const std::string file = folder / "run.json";
  const std::vector<Words> runs = {
      kFourPushes,
      {"--random", "--seed", "18446744073709551615", "--precision", "float"},
      {"--parameters", "0.5,1,8,-2e-3,0.125", "--greedy", "--max-steps", "77", "--integrator", "semi-implicit"},
      {"--random", "--sutton-barto-reward", "--continue", "--max-steps", "60", "--gravity", "1.62", "--dt", "0.05"},
  };
  for (const Words& words : runs) {
    const auto first = document_of(words);
    write_bytes(file, first.dump());
    const auto again = document_of({"--config", file});
    EXPECT_EQ(again["configuration"], first["configuration"]) << line_of(words);
    EXPECT_EQ(again["digest"], first["digest"]) << line_of(words);
    EXPECT_EQ(again["steps"], first["steps"]) << line_of(words);
    for (const char* absent : {"format", "output", "policy", "device", "threads", "json"})
      EXPECT_FALSE(first["configuration"].contains(absent)) << absent;
  }
}

// Who plays on the command line takes the place of who plays in the file.
TEST(TraceDocument, PlayersOnTheCommandLineReplaceAFiles) {
  const Folder folder;
  const std::string file = folder / "settings.toml";
  write_bytes(file, "actions = \"0110\"\nstate = [0, 0, 0.05, 0]\nseed = 7\n");
  EXPECT_EQ(document_of({"--config", file})["length"], 4);
  const auto random = document_of({"--config", file, "--random"});
  EXPECT_FALSE(random["configuration"].contains("actions"));
  EXPECT_EQ(random["configuration"]["random"], true);
  EXPECT_EQ(random["initial_state"], nlohmann::json({0.0, 0.0, 0.05, 0.0}));
  EXPECT_NE(document_of({"--config", file, "--random", "--state", "none"})["initial_state"], random["initial_state"]);
  write_bytes(file, "random = true\n");
  EXPECT_EQ(document_of({"--config", file, "--actions", "01"})["length"], 2);
  EXPECT_EQ(document_of({"--config", file, "--parameters", "0,0,0,0,1", "--random=false"})["configuration"]["random"], false);
}

std::vector<std::vector<std::string>> read_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string>& row = rows.emplace_back(1);
    for (const char c : line) c == ',' ? rows.back().emplace_back() : row.back() += c, static_cast<void>(0);
  }
  return rows;
}

TEST(TraceCsv, HasTheDocumentsNumbers) {
  const auto d = document_of({"--random", "--precision", "float"});
  const Outcome outcome = run_trace({"--random", "--precision", "float", "--format", "csv", "--quiet"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto rows = read_csv(outcome.out);
  ASSERT_EQ(rows.size(), d["steps"].size() + 2);
  EXPECT_EQ(rows[0], (std::vector<std::string>{"step", "action", "position", "velocity", "angle", "angular_velocity", "reward",
                                               "terminated", "truncated"}));
  for (std::size_t i = 1; i < rows.size(); ++i) {
    ASSERT_EQ(rows[i].size(), 9u);
    const auto& state = i == 1 ? d["initial_state"] : d["steps"][i - 2]["state"];
    for (std::size_t k = 0; k < 4; ++k) EXPECT_EQ(std::stod(rows[i][2 + k]), state[k].get<double>());
    EXPECT_EQ(rows[i][0], std::to_string(i - 1));
    EXPECT_EQ(rows[i][1], i == 1 ? "" : d["steps"][i - 2]["action"].dump());
    EXPECT_EQ(rows[i][7], i == 1 ? "" : i + 1 == rows.size() ? "1" : "0");
  }
}

TEST(TraceFile, IsWhatItsNameSays) {
  const Folder folder;
  const std::string svg = folder / "episode.svg", csv = folder / "episode.csv", json = folder / "episode.json";
  const Words random = {"--random", "--seed", "3", "--quiet"};
  const auto with = [&](Words more) {
    more.insert(more.end(), random.begin(), random.end());
    return run_trace(more);
  };
  const Outcome outcome = with({"-o", svg});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("Return "), std::string::npos) << "the table is printed all the same";
  const std::string drawing = read_bytes(svg);
  EXPECT_TRUE(drawing.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_TRUE(drawing.ends_with("</svg>\n"));
  EXPECT_EQ(drawing.find("<script"), std::string::npos);
  ASSERT_EQ(with({"--output", csv}).code, 0);
  EXPECT_EQ(read_bytes(csv), with({"--format", "csv"}).out);
  ASSERT_EQ(with({"--output", json}).code, 0);
  EXPECT_EQ(nlohmann::json::parse(read_bytes(json))["steps"], with({"--format", "json"}).document()["steps"]);
  EXPECT_EQ(folder.files(), 3u);
  EXPECT_EQ(with({"-o", folder / "other.svg", "--dry-run"}).code, 0);
  EXPECT_EQ(folder.files(), 3u);
}

TEST(TraceText, SaysHowItEnded) {
  const auto text = [](const Words& words) {
    const Outcome outcome = run_trace(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.out;
  };
  EXPECT_NE(text(kFourPushes).find("Return 4 after 4 steps; the actions end here"), std::string::npos);
  EXPECT_NE(text({"--actions", "0", "--state", "2.5,0,0,0"}).find("Return 1 after 1 step; terminated: the cart is beyond 2.4 m"),
            std::string::npos);
  EXPECT_NE(text({"--actions", "0", "--state", "0,0,0.3,0"}).find("(12 degrees)"), std::string::npos);
  EXPECT_NE(text({"--actions", "00", "--max-steps", "1", "--continue"}).find("ended at step 1, truncated at 1 step"),
            std::string::npos);
  // The first and the last rows, and all of them with -v.
  const Words balanced = {"--parameters", "1,2,20,6,0"};
  const std::string few = text(balanced), all = text({"--parameters", "1,2,20,6,0", "-v"});
  EXPECT_LT(std::count(few.begin(), few.end(), '\n'), 40);
  EXPECT_GT(std::count(all.begin(), all.end(), '\n'), 500);
  EXPECT_NE(few.find("truncated at 500 steps"), std::string::npos) << few;
}

TEST(TraceState, OutsideTheLimitsEndsAtOnce) {
  for (const std::string state : {"2.5,0,0,0", "-2.5,0,0,0", "0,0,0.3,0", "0,0,-3,0"}) {
    const auto d = document_of({"--actions", "0110", "--state", state});
    ASSERT_EQ(d["steps"].size(), 1u) << state;
    EXPECT_EQ(d["steps"][0]["terminated"], true) << state;
    EXPECT_EQ(d["steps"][0]["reward"], 1.0) << state;
    EXPECT_EQ(document_of({"--actions", "0110", "--state", state, "--sutton-barto-reward"})["return"], -1.0);
    EXPECT_EQ(document_of({"--actions", "0110", "--state", state, "--continue"})["length"], 4);
  }
}

TEST(TraceMaxSteps, IsTheEnvironments) {
  const Words balanced = {"trace", "CartPole-v0", "--parameters", "1,2,20,6,0", "--json", "--quiet"};
  const auto d = run_program(balanced).document();
  EXPECT_EQ(d["length"], 200);
  EXPECT_EQ(d["steps"].back()["truncated"], true);
  EXPECT_EQ(d["steps"].back()["terminated"], false);
  EXPECT_EQ(document_of({"--parameters", "1,2,20,6,0"})["length"], 500);
}

// A trace in float is the first episode of an evaluation.
TEST(TraceSeed, IsTheFirstEpisodeOfEvaluate) {
  for (const Words& player :
       {Words{"--random"}, Words{"--parameters", "0.2,0.5,3,1,0"}, Words{"--parameters", "1,2,20,6,0", "--greedy"}}) {
    for (const char* seed : {"42", "43", "18446744073709551615"}) {
      Words words = player;
      words.insert(words.end(), {"--precision", "float", "--seed", seed});
      const auto traced = document_of(words);
      words = {"evaluate", kEnvironment, "--episodes", "1", "--seed", seed, "--json", "--quiet"};
      words.insert(words.end(), player.begin(), player.end());
      const auto evaluated = run_program(words).document();
      const std::size_t length = traced["length"];
      EXPECT_EQ(evaluated["length_histogram"].at(length), 1) << line_of(words);
      EXPECT_EQ(evaluated["terminated"], traced["steps"].back()["terminated"] ? 1 : 0);
      EXPECT_EQ(evaluated["truncated"], traced["steps"].back()["truncated"] ? 1 : 0);
      EXPECT_EQ(evaluated["return"]["mean"], traced["return"]);
    }
  }
}

TEST(TracePolicy, IsReadFromFilesOfEitherCartPole) {
  const Folder folder;
  const std::string file = folder / "policy.json";
  const auto by_hand = document_of({"--parameters", "0.25,1,8.5,-0.125,0.0625"});
  const auto save = [&](const std::string& environment, const std::vector<float>& parameters) {
    write_bytes(file, policy_text({environment, parameters, Json()}));
  };
  for (const char* environment : {"CartPole-v0", "CartPole-v1"}) {
    save(environment, {0.25f, 1, 8.5f, -0.125f, 0.0625f});
    const auto from_file = document_of({"--policy", file});
    EXPECT_EQ(from_file["configuration"], by_hand["configuration"]);
    EXPECT_EQ(from_file["digest"], by_hand["digest"]);
  }
  const std::string text = read_bytes(file);
  std::string edited = text;
  edited.replace(edited.find("8.5"), 3, "8.6");
  for (const std::string& damaged : {edited, text.substr(0, text.size() / 2), std::string()}) {
    write_bytes(file, damaged);
    EXPECT_EQ(run_trace({"--policy", file}).code, 5);
  }
  save("FryShack-v0", {20, -10});
  const Outcome other = run_trace({"--policy", file});
  EXPECT_EQ(other.code, 5);
  EXPECT_NE(other.err.find("this is a policy for FryShack-v0, not for CartPole-v1"), std::string::npos) << other.err;
  write_bytes(file, policy_text({"CartPole-v1", {1, 2, 3, 4, 5}, Json()}));
  const Outcome shack = run_program({"evaluate", "FryShack-v0", "--policy", file, "--episodes", "10"});
  EXPECT_EQ(shack.code, 5) << shack.err;
}

TEST(TraceRefusals, NameOptionValueAndWhatIsAccepted) {
  struct Refusal {
    int code;
    Words words;
    std::vector<std::string> says;
  };
  const std::vector<Refusal> refusals = {
      {2, {}, {"--actions", "--parameters", "--policy", "--random"}},
      {2, {"--actions", ""}, {"--actions", "0 (push left) or 1 (push right)"}},
      {2, {"--actions", "0120"}, {"--actions", "'2' at position 3", "0 (push left)"}},
      {2, {"--actions", "01 1"}, {"--actions", "position 3"}},
      {2, {"--actions", "01", "--random"}, {"--random", "--actions"}},
      {2, {"--actions", "01", "--parameters", "1,2,3,4,5"}, {"--parameters", "--actions"}},
      {2, {"--policy", "a", "--random"}, {"--random", "--policy"}},
      {2, {"--policy", "a", "--parameters", "1,2,3,4,5"}, {"--policy", "--parameters"}},
      {2, {"--random", "--greedy"}, {"--greedy", "no meaning", "--random"}},
      {2, {"--actions", "01", "--greedy"}, {"--greedy", "no meaning", "--actions"}},
      {2, {"--parameters", "1,2,3,4"}, {"--parameters", "1,2,3,4", "five", "w_angular_velocity", "are 4"}},
      {2, {"--parameters", "1,2,3,4,5,6"}, {"--parameters", "five", "are 6"}},
      {2, {"--parameters", "1"}, {"--parameters", "five", "is 1"}},
      {2, {"--parameters", "1,2,nan,4,5"}, {"--parameters", "nan in 1,2,nan,4,5", "finite"}},
      {2, {"--parameters", "1,2,,4,5"}, {"--parameters", "five"}},
      {2, {"--parameters", "1e30,2,3,4,5"}, {"--parameters", "1e+30", "2^94"}},
      {2, {"--random", "--state", "nan,0,0,0"}, {"--state", "nan", "finite"}},
      {2, {"--random", "--state", "0,0,inf,0"}, {"--state", "inf", "finite"}},
      {2, {"--random", "--state", "0,0,0"}, {"--state", "0,0,0", "four"}},
      {2, {"--random", "--state", "0,0,1e6,0"}, {"--state", "1000000", "1e5"}},
      {2, {"--random", "--precision", "half"}, {"--precision", "half", "double or float"}},
      {2, {"--random", "--integrator", "rk4"}, {"--integrator", "rk4", "euler or semi-implicit"}},
      {2, {"--random", "--max-steps", "0"}, {"--max-steps", "0 is not accepted", "1 to 100000"}},
      {2, {"--random", "--max-steps", "4294967297"}, {"--max-steps", "4294967297", "1 to 100000"}},
      {2, {"--random", "--dt", "0"}, {"--dt", "0 is not accepted", "1e-6 to 1"}},
      {2, {"--random", "--mass-pole", "-1"}, {"--mass-pole", "-1", "0.001"}},
      {2, {"--random", "--gravity", "nan"}, {"--gravity", "nan"}},
      {2, {"--random", "--format", "csv"}, {"--format", "csv", "--json"}},
      {2, {"--random", "--output", "episode.gif"}, {"--output", "episode.gif", ".svg"}},
      {2, {"--random", "--device", "cuda"}, {"--device", "CPU"}},
      {2, {"--random", "--episodes", "3"}, {"--episodes", "one episode"}},
      {2, {"--random", "--action", "3"}, {"--action", "--actions"}},
      {4, {"--random", "--output", "/nowhere/episode.svg"}, {"--output", "/nowhere/episode.svg", "No such file"}},
      {4, {"--policy", "/nowhere/policy"}, {"--policy", "/nowhere/policy"}},
      {5, {"--policy", "/dev/null"}, {"--policy", "/dev/null"}},
  };
  for (const Refusal& refusal : refusals) {
    Words words = refusal.words;
    words.push_back("--json");
    const Outcome outcome = run_trace(words);
    EXPECT_EQ(outcome.code, refusal.code) << line_of(words) << '\n' << outcome.err;
    EXPECT_EQ(outcome.out, "") << line_of(words);
    EXPECT_TRUE(outcome.err.starts_with("fryer: error: ")) << line_of(words) << '\n' << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    for (const std::string& text : refusal.says)
      EXPECT_NE(outcome.err.find(text), std::string::npos) << line_of(words) << "\nlacks: " << text << '\n' << outcome.err;
  }
  const Outcome shack = run_program({"trace", "FryShack-v0", "--random"});
  EXPECT_EQ(shack.code, 2);
  EXPECT_NE(shack.err.find("FryShack-v0: not an environment of trace; accepted: CartPole-v1 or CartPole-v0"), std::string::npos)
      << shack.err;
}

TEST(TraceFailure, IsAFailedRun) {
  const Outcome outcome =
      run_trace({"--actions", std::string(400, '1'), "--state", "0,0,0.5,1e6", "--dt", "1", "--continue", "--json"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find("not finite"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace fryer::cli
