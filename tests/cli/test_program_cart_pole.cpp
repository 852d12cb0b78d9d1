// SPDX-License-Identifier: Apache-2.0
// CartPole on the command line: what is refused and how, the keys of its documents, that documents repeat their runs, rows and
// policies in files, and what people see.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>

#include "tests/cli/program.h"

namespace fryer::cli {
namespace {

const std::vector<std::string> kParameters = {"w_position", "w_velocity", "w_angle", "w_angular_velocity", "bias"};
const std::vector<std::string> kQuantileNames = {"0.001", "0.01", "0.05", "0.1",  "0.25", "0.5",
                                                 "0.75",  "0.9",  "0.95", "0.99", "0.999"};

nlohmann::json document_of(Words words, int code = 0) {
  words.push_back("--json");
  words.push_back("--quiet");
  const Outcome outcome = run_program(words);
  EXPECT_EQ(outcome.code, code) << line_of(words) << '\n' << outcome.err;
  return outcome.code == code ? outcome.document() : nlohmann::json();
}

void expect_keys(const nlohmann::json& document, const std::vector<std::string>& keys) {
  for (const std::string& key : keys)
    EXPECT_TRUE(document.contains(key)) << key << " is missing in " << document.dump().substr(0, 2000);
}

void expect_says(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << "lacks: " << part << '\n' << text;
}

std::vector<std::vector<std::string>> read_csv(const std::string& path) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(read_bytes(path));
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string>& row = rows.emplace_back();
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, ',');) row.push_back(cell);
    if (line.ends_with(',')) row.emplace_back();
  }
  return rows;
}

// ---- refusals

TEST(CartPoleRefusals, NameOptionValueAndWhatIsAccepted) {
  const std::string env = "CartPole-v1";
  struct Refusal {
    int code;
    Words words;
    std::vector<std::string> says;
  };
  const std::vector<Refusal> refusals = {
      {2,
       {"evaluate", env, "--parameters", "1,2,3,4"},
       {"--parameters", "1,2,3,4", "five finite numbers", "w_angle", "here are 4"}},
      {2, {"gradient", env, "--parameters", "1,2,3,4,5,6"}, {"--parameters", "five finite numbers", "here are 6"}},
      {2, {"train", env, "--parameters", "1,2,x,4,5"}, {"--parameters", "x in 1,2,x,4,5", "five finite numbers"}},
      {2, {"train", env, "--parameters", "0,0,0,0,1e30"}, {"--parameters", "1e+30", "2^94"}},
      {2, {"train", env, "--gamma", "1.5"}, {"--gamma", "1.5", "from 0 to 1"}},
      {2, {"train", env, "--gamma", "-0.1"}, {"--gamma", "-0.1", "from 0 to 1"}},
      {2, {"gradient", env, "--gamma", "nan"}, {"--gamma", "nan", "from 0 to 1"}},
      {2, {"train", env, "--batch", "0"}, {"--batch", "0 is not accepted", "from 1"}},
      {2, {"train", env, "--episodes", "17"}, {"--episodes", "17", "multiple of --batch 16"}},
      {2, {"train", env, "--until", "501"}, {"--until", "501", "at most 500"}},
      {2, {"train", "CartPole-v0", "--until", "201"}, {"--until", "201", "at most 200"}},
      {2, {"train", env, "--max-steps", "100", "--until", "100.5"}, {"--until", "100.5", "at most 100"}},
      {2, {"train", env, "--until", "0"}, {"--until", "0 is not accepted", "above 0"}},
      {2, {"train", env, "--sutton-barto-reward", "--until", "1"}, {"--until", "--sutton-barto-reward"}},
      {2, {"train", env, "--baseline", "standardise"}, {"--baseline", "standardise", "did you mean standardize?"}},
      {2, {"train", env, "--baseline", "meen"}, {"--baseline", "meen", "did you mean mean?"}},
      {2, {"train", env, "--baseline", "constant=nan"}, {"--baseline", "constant=nan", "finite V"}},
      {2, {"train", env, "--baseline", "constant="}, {"--baseline", "constant=", "finite V"}},
      {2, {"train", env, "--baseline", "constant=1e10"}, {"--baseline", "1e9"}},
      {2, {"train", env, "--entropy-bonus", "inf"}, {"--entropy-bonus", "inf", "finite"}},
      {2, {"train", env, "--entropy-bonus", "0.1", "--baseline", "standardize"}, {"--entropy-bonus", "0.1", "standardize"}},
      {2, {"train", env, "--reward-scale", "-1"}, {"--reward-scale", "-1", "1e9"}},
      {2, {"train", env, "--max-steps", "0"}, {"--max-steps", "0", "from 1 to 100000"}},
      {2, {"evaluate", env, "--gravity", "-1"}, {"--gravity", "-1", "from 0 to 1000"}},
      {2, {"evaluate", env, "--dt", "0"}, {"--dt", "0", "1e-6"}},
      {2, {"evaluate", env, "--angle-limit", "nan"}, {"--angle-limit", "nan"}},
      {2, {"evaluate", env, "--integrator", "verlet"}, {"--integrator", "verlet", "semi-implicit"}},
      {2, {"evaluate", env, "--random", "--greedy"}, {"--greedy", "--random"}},
      {2, {"evaluate", env, "--policy", "a", "--parameters", "1,2,3,4,5"}, {"--policy", "--parameters"}},
      {2, {"train", env, "--policy", "a"}, {"--policy", "--parameters"}},
      {2, {"train", env, "--preset", "solv"}, {"--preset", "solv", "did you mean solve?"}},
      {2, {"train", env, "--preset", "notebook"}, {"--preset", "notebook", env, "solve"}},
      {2, {"train", "CartPole-v2"}, {"CartPole-v2", "CartPole-v1"}},
      {2, {"train", env, "--seed", "18446744073709551615", "--replicas", "2"}, {"--seed", "2^64"}},
      // Options of another environment or command say where they belong.
      {2, {"train", env, "--weight", "3"}, {"--weight", env, "of FryShack-v0"}},
      {2, {"evaluate", env, "--bias", "3"}, {"--bias", env, "of FryShack-v0"}},
      {2, {"gradient", env, "--reward-correct", "2"}, {"--reward-correct", env, "of FryShack-v0"}},
      {2, {"train", "FryShack-v0", "--gamma", "0.9"}, {"--gamma", "FryShack-v0", "one step"}},
      {2, {"train", "FryShack-v0", "--max-steps", "9"}, {"--max-steps", "FryShack-v0", "of CartPole-v1 or CartPole-v0"}},
      {2, {"gradient", "FryShack-v0", "--gravity", "9"}, {"--gravity", "FryShack-v0", "CartPole-v1"}},
      {2, {"gradient", env, "--baseline", "mean"}, {"--baseline", "gradient", "of train"}},
      {2, {"evaluate", env, "--gamma", "0.9"}, {"--gamma", "evaluate", "train or gradient"}},
      {4, {"evaluate", env, "--policy", "/nowhere/policy"}, {"--policy", "/nowhere/policy"}},
      {5, {"evaluate", env, "--policy", "/dev/null"}, {"--policy", "/dev/null"}},
  };
  for (Refusal refusal : refusals) {
    refusal.words.push_back("--json");
    const Outcome outcome = run_program(refusal.words);
    SCOPED_TRACE(line_of(refusal.words));
    EXPECT_EQ(outcome.code, refusal.code);
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(outcome.err.starts_with("fryer: error: ")) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    expect_says(outcome.err, refusal.says);
  }
}

// ---- documents

const std::vector<std::string> kEveryRun = {"command", "environment", "configuration", "seed",     "numerics_version",
                                            "digest",  "backend",     "wall_seconds",  "episodes", "steps"};
const std::vector<std::string> kEveryEnvironment = {"max_steps",   "gravity",     "mass_cart",  "mass_pole",
                                                    "half_length", "force",       "dt",         "position_limit",
                                                    "angle_limit", "start_range", "integrator", "sutton_barto_reward"};

void expect_head(const nlohmann::json& document) {
  expect_keys(document, kEveryRun);
  expect_keys(document["backend"], {"device", "isa", "threads", "reason"});
  expect_keys(document["configuration"], kEveryEnvironment);
  EXPECT_EQ(document["configuration"]["seed"], document["seed"]);
  EXPECT_EQ(document["digest"].get<std::string>().size(), 16u);
}

TEST(CartPoleDocument, OfOneTraining) {
  const auto d = document_of({"train", "CartPole-v1", "--updates", "20"});
  expect_head(d);
  expect_keys(d, {"algorithm", "optimizer_updates", "final_parameters", "curve", "solved", "updates_to_threshold",
                  "episodes_to_threshold", "steps_to_threshold", "failed"});
  expect_keys(d["configuration"],
              {"algorithm", "replicas", "seed", "updates", "batch", "optimizer", "learning_rate", "adam_beta1", "adam_beta2",
               "adam_epsilon", "adam_form", "gamma", "reward_scale", "baseline", "entropy_bonus", "until", "parameters"});
  EXPECT_EQ(d["environment"], "CartPole-v1");
  EXPECT_EQ(d["algorithm"], "reinforce");
  EXPECT_EQ(d["configuration"]["learning_rate"], 0.2);
  EXPECT_EQ(d["configuration"]["gamma"], 0.99);
  EXPECT_EQ(d["configuration"]["batch"], 16);
  EXPECT_EQ(d["configuration"]["baseline"], "none");
  EXPECT_EQ(d["configuration"]["max_steps"], 500);
  EXPECT_EQ(d["optimizer_updates"], 20);
  EXPECT_EQ(d["episodes"], 320);
  ASSERT_EQ(d["curve"]["mean_return"].size(), 20u);
  double steps = 0;
  for (const double mean : d["curve"]["mean_return"]) steps += 16 * mean;
  EXPECT_EQ(d["steps"].get<double>(), steps) << "returns are numbers of steps";
  expect_keys(d["final_parameters"], kParameters);
  for (const std::string& name : kParameters) {
    const double value = d["final_parameters"][name];
    EXPECT_EQ(static_cast<double>(static_cast<float>(value)), value) << name << " is a float, as the double it equals";
    EXPECT_NE(value, 0) << name;
  }
  EXPECT_TRUE(d["solved"].is_null()) << "without --until";
  EXPECT_EQ(d["failed"], nlohmann::json({{"count", 0}, {"first", nullptr}}));
}

TEST(CartPoleDocument, OfAPopulation) {
  const auto d = document_of({"train", "CartPole-v0", "--replicas", "40", "--until", "150", "--updates", "28"});
  expect_head(d);
  EXPECT_EQ(d["configuration"]["max_steps"], 200);
  for (const std::string& name : kParameters) {
    expect_keys(d["final_parameters"][name], {"mean", "sd", "min", "max", "quantiles"});
    expect_keys(d["final_parameters"][name]["quantiles"], kQuantileNames);
  }
  expect_keys(d["curve"], {"update", "mean_return", "count", "sd", "quantiles"});
  expect_keys(d["curve"]["quantiles"], kQuantileNames);
  EXPECT_EQ(d["curve"]["count"][0], 40);
  expect_keys(d["solved"], {"count", "fraction", "lower", "upper"});
  EXPECT_GT(d["solved"]["count"], 0);
  EXPECT_LT(d["solved"]["count"], 40);
  for (const char* key : {"updates_to_threshold", "episodes_to_threshold", "steps_to_threshold"}) {
    expect_keys(d[key], {"mean", "sd", "min", "max", "quantiles"});
    expect_keys(d[key]["quantiles"], kQuantileNames);
  }
  EXPECT_EQ(d["episodes_to_threshold"]["quantiles"]["0.5"], 16 * d["updates_to_threshold"]["quantiles"]["0.5"].get<int>());
  EXPECT_GT(d["steps_to_threshold"]["min"].get<double>(), 1000);
}

TEST(CartPoleDocument, OfAGradient) {
  const auto d = document_of({"gradient", "CartPole-v1", "--episodes", "10000", "--parameters", "0,0,1,0.5,0.2"});
  expect_head(d);
  EXPECT_EQ(d["configuration"]["gamma"], 1.0);
  for (const std::string& name : kParameters) {
    expect_keys(d["gradient"][name], {"estimate", "standard_error"});
    EXPECT_GT(d["gradient"][name]["standard_error"], 0) << name;
    EXPECT_GT(d["second_moment"][name]["estimate"], 0) << name;
  }
  EXPECT_NEAR(d["mean_return"]["estimate"].get<double>(), d["steps"].get<double>() / 10000, 1e-9);
  EXPECT_GT(d["mean_return"]["standard_error"], 0);
}

TEST(CartPoleDocument, OfAnEvaluation) {
  const auto d = document_of({"evaluate", "CartPole-v0", "--parameters", "0.05,0.1,2,0.8,0", "--episodes", "10000"});
  expect_head(d);
  expect_keys(d["return"], {"mean", "sd", "standard_error", "min", "max", "quantiles"});
  expect_keys(d["return"]["quantiles"], kQuantileNames);
  ASSERT_EQ(d["length_histogram"].size(), 201u);
  std::uint64_t episodes = 0, steps = 0;
  for (std::size_t n = 0; n < 201; ++n) {
    episodes += d["length_histogram"][n].get<std::uint64_t>();
    steps += n * d["length_histogram"][n].get<std::uint64_t>();
  }
  EXPECT_EQ(episodes, 10000u);
  EXPECT_EQ(d["steps"], steps);
  EXPECT_NEAR(d["return"]["mean"].get<double>(), static_cast<double>(steps) / 10000, 1e-9);
  EXPECT_EQ(d["truncated"], d["length_histogram"][200]);
  EXPECT_GE(d["terminated"].get<int>() + d["truncated"].get<int>(), 10000);
}

TEST(CartPoleDocument, OfADryRun) {
  for (const Words& words : {Words{"train", "CartPole-v1", "--preset", "solve", "--replicas", "1e5"},
                             Words{"gradient", "CartPole-v1"}, Words{"evaluate", "CartPole-v0", "--random"}}) {
    Words all = words;
    all.push_back("--dry-run");
    const auto d = document_of(all);
    EXPECT_EQ(d["dry_run"], true);
    EXPECT_FALSE(d.contains("digest"));
    expect_keys(d["plan"], {"what", "episodes", "episodes_per_second", "seconds", "memory_bytes", "outputs"});
    EXPECT_EQ(d["plan"]["episodes"], words[0] == "train" ? 16e5 * 200 : 1e6);
  }
}

TEST(CartPoleConfigFile, TheDocumentOfARunRepeatsIt) {
  const Folder folder;
  const std::vector<Words> runs = {
      {"train", "CartPole-v1", "--replicas", "7", "--updates", "12", "--seed", "18446744073709551000", "--until", "30",
       "--baseline", "constant=12.625", "--learning-rate", "0.3", "--gamma", "0.97"},
      {"train", "CartPole-v0", "--updates", "9", "--optimizer", "sgd", "--learning-rate", "0.01", "--batch", "5", "--baseline",
       "mean", "--entropy-bonus", "0.125", "--reward-scale", "0.3", "--parameters", "0.1,-0.2,3,0.4,1e-3"},
      {"train", "CartPole-v1", "--preset", "solve", "--updates", "5"},
      {"train", "CartPole-v1", "--updates", "6", "--max-steps", "43", "--integrator", "semi-implicit", "--sutton-barto-reward",
       "--gravity", "9.7", "--angle-limit", "1.1", "--baseline", "mean", "--adam-form", "keras"},
      {"gradient", "CartPole-v0", "--episodes", "1234", "--parameters", "0.1,0.2,3,0.4,-0.5", "--gamma", "0.9"},
      {"evaluate", "CartPole-v1", "--episodes", "1234", "--parameters", "0.1,0.2,3,0.4,-0.5", "--greedy", "--force", "9.5"},
      {"evaluate", "CartPole-v0", "--episodes", "1234", "--random", "--start-range", "0.1"},
  };
  for (const Words& words : runs) {
    const auto first = document_of(words);
    const std::string file = folder / "run.json";
    write_bytes(file, first.dump());
    const auto again = document_of({words[0], "--config", file});
    EXPECT_EQ(again["digest"], first["digest"]) << line_of(words);
    EXPECT_EQ(again["configuration"], first["configuration"]) << line_of(words);
    EXPECT_EQ(again["environment"], first["environment"]);
    const auto changed = document_of({words[0], "--config", file, "--seed", "5"});
    EXPECT_EQ(changed["seed"], 5);
    EXPECT_NE(changed["digest"], first["digest"]) << line_of(words);
  }
}

// A limit of one's own on v1 makes v0's game, to the last bit.
TEST(CartPoleDigest, DependsOnTheGameAndNotOnItsNameThreadsOrDevice) {
  const Words settings = {"--replicas", "20", "--updates", "6"};
  const auto digest_of = [&](Words words) {
    words.insert(words.end(), settings.begin(), settings.end());
    return document_of(words)["digest"];
  };
  const auto v0 = digest_of({"train", "CartPole-v0"});
  EXPECT_EQ(digest_of({"train", "CartPole-v1", "--max-steps", "200"}), v0);
  EXPECT_EQ(digest_of({"train", "CartPole-v0", "--threads", "1"}), v0);
  EXPECT_EQ(digest_of({"train", "CartPole-v0", "--threads", "3", "--device", "cpu"}), v0);
  EXPECT_NE(digest_of({"train", "CartPole-v0", "--force", "10.001"}), v0);
}

// ---- files

TEST(CartPoleReplicas, RowsHaveFiveParametersAndTrueSteps) {
  const Folder folder;
  const std::string csv = folder / "rows.csv", npy = folder / "rows.npy";
  const Words settings = {"--updates", "23", "--until", "100"};
  nlohmann::json population;
  for (const std::string& file : {csv, npy}) {
    Words words = {"train", "CartPole-v0", "--replicas", "30", "--seed", "1000", "--save-replicas", file};
    words.insert(words.end(), settings.begin(), settings.end());
    population = document_of(words);
  }
  const auto rows = read_csv(csv);
  ASSERT_EQ(rows.size(), 31u);
  std::vector<std::string> headings = {"seed", "status", "updates", "episodes", "steps"};
  headings.insert(headings.end(), kParameters.begin(), kParameters.end());
  EXPECT_EQ(rows[0], headings);
  std::uint64_t steps = 0, solved = 0;
  for (std::size_t k = 0; k < 30; ++k) {
    steps += std::stoull(rows[k + 1][4]);
    solved += rows[k + 1][1] == "solved" ? 1 : 0;
  }
  EXPECT_EQ(population["steps"], steps);
  EXPECT_EQ(population["solved"]["count"], solved);
  EXPECT_TRUE(solved > 0 && solved < 30) << solved;
  for (const std::size_t k : {0u, 13u, 29u}) {
    Words words = {"train", "CartPole-v0", "--seed", std::to_string(1000 + k)};
    words.insert(words.end(), settings.begin(), settings.end());
    const auto alone = document_of(words);
    const auto& row = rows[k + 1];
    EXPECT_EQ(row[0], std::to_string(1000 + k));
    EXPECT_EQ(row[1], alone["solved"]["count"] == 1 ? "solved" : "finished");
    EXPECT_EQ(row[2], alone["optimizer_updates"].dump());
    EXPECT_EQ(row[3], alone["episodes"].dump());
    EXPECT_EQ(row[4], alone["steps"].dump());
    for (std::size_t i = 0; i < 5; ++i)
      EXPECT_EQ(std::stod(row[5 + i]), alone["final_parameters"][kParameters[i]].get<double>()) << kParameters[i];
  }

  const std::string bytes = read_bytes(npy);
  ASSERT_GT(bytes.size(), 10u);
  const std::size_t header = 10 + static_cast<unsigned char>(bytes[8]) + 256u * static_cast<unsigned char>(bytes[9]);
  constexpr std::size_t kRow = 8 + 8 + 3 * 8 + 5 * 4;
  ASSERT_EQ(bytes.size(), header + 30 * kRow);
  expect_says(bytes.substr(0, header), {"'shape': (30,)", "'seed'", "'steps'", "'w_angular_velocity'", "'bias'"});
  for (std::size_t k = 0; k < 30; ++k) {
    const char* row = bytes.data() + header + k * kRow;
    std::uint64_t numbers[3];
    float parameters[5];
    std::memcpy(numbers, row + 16, sizeof numbers);
    std::memcpy(parameters, row + 40, sizeof parameters);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(std::to_string(numbers[i]), rows[k + 1][2 + i]) << k;
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(static_cast<double>(parameters[i]), std::stod(rows[k + 1][5 + i])) << k;
  }
}

TEST(CartPolePolicy, OfATrainingGivesItsReturnOnBothVersions) {
  const Folder folder;
  const std::string file = folder / "policy.json";
  const auto trained = document_of({"train", "CartPole-v1", "--preset", "solve", "--seed", "7", "--save-policy", file});
  ASSERT_EQ(trained["solved"]["count"], 1);
  const auto policy = nlohmann::json::parse(read_bytes(file));
  EXPECT_EQ(policy["environment"], "CartPole-v1");
  EXPECT_EQ(policy["parameters"], trained["final_parameters"]);
  // The last seven updates had 475 on average, while they still learned; new episodes of the last policy do about as well.
  const auto v1 = document_of({"evaluate", "CartPole-v1", "--policy", file, "--episodes", "2000"});
  EXPECT_GT(v1["return"]["mean"].get<double>(), 450);
  const auto v0 = document_of({"evaluate", "CartPole-v0", "--policy", file, "--episodes", "2000"});
  EXPECT_GT(v0["return"]["mean"].get<double>(), 190);
  EXPECT_EQ(v0["length_histogram"].size(), 201u);
  std::string parameters;
  for (const std::string& name : kParameters) parameters += (parameters.empty() ? "" : ",") + policy["parameters"][name].dump();
  for (const char* command : {"evaluate", "gradient"}) {
    const auto from_file = document_of({command, "CartPole-v1", "--policy", file, "--episodes", "500"});
    const auto by_hand = document_of({command, "CartPole-v1", "--parameters", parameters, "--episodes", "500"});
    EXPECT_EQ(from_file["digest"], by_hand["digest"]);
    EXPECT_EQ(from_file["configuration"], by_hand["configuration"]);
  }
}

TEST(CartPolePolicy, IsRefusedIfDamagedOrOfAnotherEnvironment) {
  const Folder folder;
  const std::string cart_pole = folder / "cart_pole.json", fry_shack = folder / "fry_shack.json",
                    damaged = folder / "damaged.json";
  document_of({"train", "CartPole-v1", "--updates", "1", "--save-policy", cart_pole});
  document_of({"train", "FryShack-v0", "--updates", "1", "--save-policy", fry_shack});
  std::string text = read_bytes(cart_pole);
  const auto refused = [](const std::string& environment, const std::string& file, const std::vector<std::string>& says) {
    const Outcome outcome = run_program({"evaluate", environment, "--policy", file, "--episodes", "10", "--json"});
    EXPECT_EQ(outcome.code, 5) << environment << ' ' << outcome.err;
    EXPECT_EQ(outcome.out, "");
    expect_says(outcome.err, {"fryer: error: --policy", file});
    expect_says(outcome.err, says);
  };
  refused("CartPole-v1", fry_shack, {"FryShack-v0"});
  refused("FryShack-v0", cart_pole, {"CartPole-v1"});
  write_bytes(damaged, text.substr(0, text.size() / 2));
  refused("CartPole-v1", damaged, {});
  auto edited = nlohmann::json::parse(text);
  edited["parameters"]["w_angle"] = 1.0;
  write_bytes(damaged, edited.dump());
  refused("CartPole-v1", damaged, {"checksum"});
  edited = nlohmann::json::parse(text);
  edited["parameters"].erase("w_angle");
  write_bytes(damaged, edited.dump());
  refused("CartPole-v1", damaged, {});
}

// ---- failures

TEST(CartPoleFailedRun, SaysWhichParameterUpdateAndSeedAndGoesOn) {
  const Folder folder;
  const std::string file = folder / "rows.csv";
  const Words words = {"train",     "CartPole-v1", "--optimizer", "sgd", "--learning-rate", "1.25e27", "--batch", "3",
                       "--updates", "4",           "--replicas",  "20",  "--save-replicas", file,      "--json",  "--quiet"};
  const Outcome outcome = run_program(words);
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  const nlohmann::json d = outcome.document();
  const std::uint64_t failed = d["failed"]["count"];
  ASSERT_TRUE(failed > 0 && failed < 20) << failed;
  const auto rows = read_csv(file);
  ASSERT_EQ(rows.size(), 21u);
  std::uint64_t in_rows = 0;
  std::vector<std::string> first;
  for (std::size_t k = 1; k < rows.size(); ++k) {
    const bool row_failed = rows[k][1] == "failed";
    if (row_failed && in_rows++ == 0) first = rows[k];
    for (std::size_t i = 5; i < 10; ++i) EXPECT_EQ(rows[k][i].empty(), row_failed) << k;
    EXPECT_EQ(rows[k][2], row_failed ? "1" : "4") << "too large a step fails at once, or makes the policy certain";
  }
  EXPECT_EQ(in_rows, failed);
  EXPECT_EQ(d["failed"]["first"]["seed"].dump(), first[0]);
  EXPECT_EQ(d["failed"]["first"]["update"].dump(), first[2]);
  const std::string quantity = d["failed"]["first"]["quantity"];
  EXPECT_NE(std::find(kParameters.begin(), kParameters.end(), quantity), kParameters.end()) << quantity;
  expect_says(outcome.err,
              {std::to_string(failed) + " of 20 trainings failed", "seed " + first[0], quantity, "update " + first[2]});
  for (const std::string& name : kParameters) EXPECT_TRUE(d["final_parameters"][name]["mean"].is_number()) << name;
}

// ---- text and help

TEST(CartPoleText, OfAPopulationHasQuantilesOfStepsAndFitsTheTerminal) {
  const Outcome outcome = run_program(
      {"train", "CartPole-v0", "--replicas", "50", "--until", "100", "--updates", "60", "--quiet"}, {{"COLUMNS=100"}, "", 0});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  expect_says(outcome.out, {"Reached a mean return of 100", "50 trainings", "Steps until then: mean", "half within", "w_position",
                            "w_angular_velocity", "█", "digest "});
  EXPECT_EQ(outcome.out.find('\x1b'), std::string::npos) << "no colours in a file";
}

TEST(CartPoleText, OfOneTrainingGradientAndEvaluation) {
  expect_says(run_program({"train", "CartPole-v1", "--updates", "3", "--quiet"}).out, {"Final parameters: w_position", "bias "});
  expect_says(run_program({"gradient", "CartPole-v1", "--episodes", "100", "--quiet"}).out,
              {"gradient of w_angle", "standard error", "mean return"});
  expect_says(run_program({"evaluate", "CartPole-v1", "--random", "--episodes", "100", "--quiet"}).out,
              {"Mean return of the random policy", "100 terminated, 0 truncated"});
}

TEST(CartPoleHelp, ShowsTheDefaultsOfItsEnvironment) {
  const auto help = [](const std::string& command, const std::string& environment) {
    const Outcome outcome = run_program({command, environment, "--help"});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.err, "");
    return outcome.out;
  };
  const std::string train = help("train", "CartPole-v1");
  expect_says(train, {"--learning-rate RATE", "default 0.2 (reinforce), 0.001 (dqn and q-learning);", "--batch B", "default 16;",
                      "--gamma G", "default 0.99;", "--baseline none|mean|standardize|constant=V", "default none;",
                      "--entropy-bonus E", "--max-steps N", "default 500;", "--angle-limit A", "default 0.20943951023931953;",
                      "--until RETURN", "accepted: solve"});
  EXPECT_EQ(train.find("--weight"), std::string::npos);
  expect_says(help("train", "CartPole-v0"), {"default 200;"});
  expect_says(help("gradient", "CartPole-v1"), {"--gamma G", "default 1.0;", "--episodes N", "default 1000000;", "--parameters"});
  expect_says(help("evaluate", "CartPole-v0"), {"--greedy", "--random", "--policy FILE", "--max-steps N", "default 200;"});
  expect_says(run_program({"list"}).out, {"CartPole-v1", "CartPole-v0", "solve"});
}

TEST(CartPoleAuto, CountsStepsWhereEpisodesHaveMany) {
  const auto d = document_of({"evaluate", "CartPole-v1", "--random", "--episodes", "1000"});
  EXPECT_EQ(d["backend"]["reason"].get<std::string>().find("episodes"), std::string::npos) << d["backend"]["reason"];
}

}  // namespace
}  // namespace fryer::cli
