// SPDX-License-Identifier: Apache-2.0
// What the program prints: the keys of its JSON documents, that a document fed to --config repeats the run, that a population's rows
// are its seeds' own trainings, and what people see.
#include <algorithm>
#include <cmath>

#include "tests/cli/program.h"

namespace fryer::cli {
namespace {

nlohmann::json document_of(Words words) {
  words.push_back("--json");
  words.push_back("--quiet");
  const Outcome outcome = run_program(words);
  EXPECT_EQ(outcome.code, 0) << line_of(words) << '\n' << outcome.err;
  EXPECT_EQ(outcome.err, "") << line_of(words);
  return outcome.code == 0 ? outcome.document() : nlohmann::json();
}

void expect_keys(const nlohmann::json& document, const std::vector<std::string>& keys) {
  for (const std::string& key : keys)
    EXPECT_TRUE(document.contains(key)) << key << " is missing in " << document.dump().substr(0, 2000);
}

// No number of the document is anything but finite; JSON has no other way to say so than null.
std::size_t count_nulls(const nlohmann::json& value) {
  if (value.is_null()) return 1;
  std::size_t nulls = 0;
  if (value.is_structured()) {
    for (const auto& element : value) nulls += count_nulls(element);
  }
  return nulls;
}

const std::vector<std::string> kEveryRun = {"command", "environment", "configuration", "seed",     "numerics_version",
                                            "digest",  "backend",     "wall_seconds",  "episodes", "steps"};

void expect_head(const nlohmann::json& document) {
  expect_keys(document, kEveryRun);
  expect_keys(document["backend"], {"device", "isa", "threads", "reason"});
  EXPECT_EQ(document["digest"].get<std::string>().size(), 16u);
  EXPECT_EQ(document["configuration"]["seed"], document["seed"]);
  for (const char* absent : {"device", "threads", "json", "config", "save_replicas"})
    EXPECT_FALSE(document["configuration"].contains(absent)) << absent;
}

const std::vector<std::string> kSummary = {"mean", "sd", "min", "max", "quantiles"};
const std::vector<std::string> kQuantileNames = {"0.001", "0.01", "0.05", "0.1",  "0.25", "0.5",
                                                 "0.75",  "0.9",  "0.95", "0.99", "0.999"};

TEST(Document, OfOneTraining) {
  const auto d = document_of({"train", "FryShack-v0", "--learn-weight"});
  expect_head(d);
  expect_keys(d, {"algorithm", "optimizer_updates", "final_parameters", "curve", "solved", "updates_to_threshold",
                  "episodes_to_threshold", "steps_to_threshold", "failed", "norm_probability"});
  EXPECT_EQ(d["algorithm"], "reinforce");
  EXPECT_EQ(d["episodes"], 280);
  EXPECT_EQ(d["optimizer_updates"], 280);
  EXPECT_TRUE(d["final_parameters"]["weight"].is_number());
  EXPECT_TRUE(d["final_parameters"]["bias"].is_number());
  const double bias = d["final_parameters"]["bias"];
  EXPECT_EQ(static_cast<double>(static_cast<float>(bias)), bias) << "a float, printed as the double it equals";
  EXPECT_TRUE(d["norm_probability"]["0.1"].is_number());
  EXPECT_TRUE(d["norm_probability"]["0.9"].is_number());
  EXPECT_EQ(d["curve"]["update"].size(), 280u);
  EXPECT_EQ(d["curve"]["mean_return"].size(), 280u);
  EXPECT_EQ(d["failed"], nlohmann::json({{"count", 0}, {"first", nullptr}}));
  EXPECT_TRUE(d["solved"].is_null()) << "without --until";
  expect_keys(
      d["configuration"],
      {"algorithm",   "replicas",   "seed",         "updates",        "batch",        "optimizer",        "learning_rate",
       "adam_beta1",  "adam_beta2", "adam_epsilon", "adam_form",      "reward_scale", "baseline",         "until",
       "weight",      "bias",       "learn_weight", "reward_correct", "reward_wrong", "large_order_norm", "large_order_squatch",
       "hungry_above"});
}

TEST(Document, OfAPopulation) {
  const auto d = document_of({"train", "FryShack-v0", "--replicas", "500", "--until", "0.6", "--updates", "400"});
  expect_head(d);
  expect_keys(d["final_parameters"]["bias"], kSummary);
  expect_keys(d["final_parameters"]["bias"]["quantiles"], kQuantileNames);
  expect_keys(d["norm_probability"]["0.1"], kSummary);
  expect_keys(d["curve"], {"update", "mean_return", "count", "sd", "quantiles"});
  expect_keys(d["curve"]["quantiles"], kQuantileNames);
  expect_keys(d["solved"], {"count", "fraction", "lower", "upper"});
  const double fraction = d["solved"]["fraction"];
  EXPECT_EQ(fraction, d["solved"]["count"].get<double>() / 500);
  EXPECT_LT(d["solved"]["lower"], fraction);
  EXPECT_GT(d["solved"]["upper"], fraction);
  for (const char* key : {"updates_to_threshold", "episodes_to_threshold", "steps_to_threshold"}) expect_keys(d[key], kSummary);
  EXPECT_EQ(d["curve"]["count"][0], 500);
  EXPECT_EQ(count_nulls(d["final_parameters"]), 0u);
}

TEST(Document, OfAGradient) {
  const auto d = document_of({"gradient", "FryShack-v0", "--episodes", "1e5", "--bias", "-8"});
  expect_head(d);
  for (const char* parameter : {"weight", "bias"}) {
    expect_keys(d["gradient"][parameter], {"estimate", "standard_error", "exact", "z"});
    expect_keys(d["second_moment"][parameter], {"estimate", "exact"});
    EXPECT_LT(std::abs(d["gradient"][parameter]["z"].get<double>()), 6);
  }
  expect_keys(d["mean_return"], {"estimate", "standard_error", "exact", "z"});
  EXPECT_EQ(d["episodes"], 100000);
}

TEST(Document, OfAGradientWithoutErrorHasNoZ) {
  const auto d = document_of({"gradient", "FryShack-v0", "--episodes", "1000", "--reward-correct", "1", "--reward-wrong", "1"});
  EXPECT_TRUE(d["mean_return"]["z"].is_null());
  EXPECT_EQ(d["mean_return"]["estimate"], 1.0);
}

// One episode says nothing of the spread of others: neither 0 nor a number.
TEST(Document, OfOneEpisodeHasNoError) {
  for (const char* environment : {"FryShack-v0", "CartPole-v1"}) {
    const auto gradient = document_of({"gradient", environment, "--episodes", "1"});
    EXPECT_TRUE(gradient["gradient"]["bias"]["standard_error"].is_null());
    EXPECT_TRUE(gradient["mean_return"]["standard_error"].is_null());
    const auto evaluation = document_of({"evaluate", environment, "--episodes", "1"});
    EXPECT_TRUE(evaluation["return"]["sd"].is_null());
    EXPECT_TRUE(evaluation["return"]["standard_error"].is_null());
    EXPECT_EQ(evaluation["return"]["min"], evaluation["return"]["mean"]);
    for (const char* command : {"gradient", "evaluate"}) {
      const Outcome outcome = run_program({command, environment, "--episodes", "1"});
      EXPECT_EQ(outcome.code, 0);
      EXPECT_EQ(outcome.out.find("nan"), std::string::npos) << outcome.out;
    }
  }
}

TEST(Document, OfAnEvaluation) {
  const auto d = document_of({"evaluate", "FryShack-v0", "--parameters", "20,-10", "--episodes", "1e5"});
  expect_head(d);
  expect_keys(d["return"], {"mean", "sd", "standard_error", "min", "max", "quantiles"});
  expect_keys(d["return"]["quantiles"], kQuantileNames);
  EXPECT_NEAR(d["return"]["mean"], 0.51683, 0.02);
  EXPECT_EQ(d["terminated"], 100000);
  EXPECT_EQ(d["truncated"], 0);
  EXPECT_EQ(d["length_histogram"], nlohmann::json({0, 100000}));
}

TEST(Document, OfTheNotebook) {
  const auto d = document_of({"notebook", "--population", "2000"});
  expect_head(d);
  expect_keys(d, {"final_bias", "norm_visits", "bias_history", "population", "optimizer_updates"});
  EXPECT_NEAR(d["final_bias"], -10.336363792419434, 1e-4);
  EXPECT_EQ(d["norm_visits"], 197);
  ASSERT_EQ(d["bias_history"].size(), 280u);
  EXPECT_EQ(d["bias_history"].back(), d["final_bias"]);
  expect_keys(d["population"],
              {"replicas", "first_seed", "mean", "sd", "min", "max", "quantiles", "fraction_at_or_below", "digest"});
  EXPECT_NEAR(d["population"]["mean"], -7.317, 0.2);
  EXPECT_LT(d["population"]["fraction_at_or_below"], 0.02);
  EXPECT_TRUE(document_of({"notebook", "--population", "0"})["population"].is_null());
}

TEST(Document, OfDevicesListAndVersion) {
  const auto devices = document_of({"devices"});
  ASSERT_GE(devices["devices"].size(), 2u);
  for (const auto& device : devices["devices"]) expect_keys(device, {"name", "available", "detail"});
  const auto list = document_of({"list"});
  expect_keys(list, {"environments", "policies", "algorithms", "presets"});
  EXPECT_EQ(list["environments"][0]["name"], "FryShack-v0");
  expect_keys(document_of({"version"}), {"version", "numerics_version", "compiler", "build"});
}

TEST(Document, OfADryRun) {
  const auto d = document_of({"train", "FryShack-v0", "--replicas", "1e6", "--dry-run"});
  EXPECT_EQ(d["dry_run"], true);
  EXPECT_FALSE(d.contains("digest"));
  expect_keys(d["plan"], {"what", "episodes", "episodes_per_second", "seconds", "memory_bytes", "outputs"});
  EXPECT_EQ(d["plan"]["episodes"], 280e6);
}

TEST(ConfigFile, TheDocumentOfARunRepeatsIt) {
  const Folder folder;
  const std::vector<Words> runs = {
      {"train", "FryShack-v0", "--replicas", "20", "--learn-weight", "--updates", "50", "--seed", "18446744073709551000",
       "--learning-rate", "0.3", "--until", "0.9"},
      {"train", "FryShack-v0", "--optimizer", "sgd", "--batch", "16", "--updates", "30", "--hungry-above", "0.3",
       "--reward-wrong", "-0.1"},
      {"train", "FryShack-v0", "--adam-form", "keras", "--adam-epsilon", "1e-7", "--episodes", "40", "--large-order-norm", "0.7"},
      {"gradient", "FryShack-v0", "--episodes", "12345", "--weight", "3.3", "--bias", "-0.1", "--reward-scale", "0.5"},
      {"evaluate", "FryShack-v0", "--episodes", "12345", "--parameters", "20,-9.1", "--greedy", "--seed", "7"},
      {"evaluate", "FryShack-v0", "--episodes", "12345", "--random"},
      {"notebook", "--seed", "1", "--population", "100", "--generator", "philox", "--updates", "33"},
  };
  for (const Words& words : runs) {
    const auto first = document_of(words);
    const std::string file = folder / "run.json";
    write_bytes(file, first.dump());
    const auto again = document_of({words[0], "--config", file});
    EXPECT_EQ(again["digest"], first["digest"]) << line_of(words);
    EXPECT_EQ(again["configuration"], first["configuration"]) << line_of(words);
    EXPECT_EQ(again["environment"], first["environment"]);
    // The settings alone will do, and the command line wins.
    write_bytes(file, first["configuration"].dump());
    Words other = {words[0], "--config", file, "--seed", "5"};
    if (words[0] != "notebook") other.insert(other.begin() + 1, "FryShack-v0");
    const auto changed = document_of(other);
    EXPECT_EQ(changed["seed"], 5);
    EXPECT_NE(changed["digest"], first["digest"]) << line_of(words);
  }
}

TEST(Digest, DoesNotDependOnThreadsOrDeviceOption) {
  const Words words = {"train", "FryShack-v0", "--replicas", "300", "--updates", "40"};
  const auto expected = document_of(words);
  for (const Words& more : {Words{"--threads", "1"}, Words{"--threads", "7"}, Words{"--device", "cpu"},
                            Words{"--device", "cpu:1"}, Words{"--device", "cpu:3"}, Words{"--device=cpu:2", "--threads", "5"}}) {
    Words all = words;
    all.insert(all.end(), more.begin(), more.end());
    const auto d = document_of(all);
    EXPECT_EQ(d["digest"], expected["digest"]);
    EXPECT_EQ(d["configuration"], expected["configuration"]);
  }
}

TEST(Devices, OfTheCpuAreNamedWithAllTheirThreads) {
  const Outcome outcome =
      run_program({"train", "FryShack-v0", "--replicas", "30", "--device", "cpu:3", "--threads", "4", "--json", "--verbose"});
  const auto backend = outcome.document()["backend"];
  EXPECT_EQ(backend["device"], "cpu:3");
  EXPECT_EQ(backend["threads"], 4);
  EXPECT_NE(outcome.err.find("running on cpu:3 ("), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("several CPU devices were asked for"), std::string::npos) << outcome.err;
}

TEST(Auto, SaysWhichDeviceAndWhyUnlessQuiet) {
  const Outcome outcome = run_program({"train", "FryShack-v0", "--json"});
  EXPECT_TRUE(outcome.err.starts_with("fryer: running on ")) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  EXPECT_EQ(run_program({"train", "FryShack-v0", "--json", "--quiet"}).err, "");
  EXPECT_EQ(run_program({"train", "FryShack-v0", "--json", "--device", "cpu"}).err, "");
}

TEST(Text, OfTheNotebookEndsWithItsBiasAndItsContext) {
  const Outcome outcome = run_program({"notebook", "--population", "20000", "--quiet"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.out.find("Final bias: -10.34\n"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("The seeds 1 to 20,000 of fryer's own generator end at -7.3"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("end at -10.34 or below"), std::string::npos) << outcome.out;
  const Outcome all = run_program({"notebook", "--population", "0", "-v"});
  EXPECT_GT(std::count(all.out.begin(), all.out.end(), '\n'), 70);
  EXPECT_EQ(all.out.find("The seeds 1 to"), std::string::npos);
}

TEST(Text, OfAPopulationFitsTheTerminal) {
  for (const std::size_t width : {60u, 80u, 120u}) {
    const Outcome outcome = run_program({"train", "FryShack-v0", "--replicas", "2000", "--learn-weight", "--quiet"},
                                        {{"COLUMNS=" + std::to_string(width)}, "", 0});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_NE(outcome.out.find("Where the bias ends"), std::string::npos);
    EXPECT_NE(outcome.out.find("█"), std::string::npos);
    EXPECT_EQ(outcome.out.find('\x1b'), std::string::npos) << "no colours in a file";
    bool histogram = false;
    for (std::size_t begin = 0; begin < outcome.out.size();) {
      const std::size_t end = outcome.out.find('\n', begin);
      const std::string line = outcome.out.substr(begin, end - begin);
      histogram = line.starts_with("Where the") || (histogram && !line.empty());
      const auto columns =
          std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
      EXPECT_TRUE(!histogram || columns <= static_cast<std::ptrdiff_t>(width)) << line;
      begin = end + 1;
    }
  }
}

TEST(Help, ShowsEveryCommandWithExitCodeZero) {
  for (const Words& words : {Words{"--help"}, Words{"-h"}, Words{"help"}, Words{"train", "--help"}, Words{"help", "gradient"},
                             Words{"train", "--learning-rat", "-h"}, Words{"--version"}}) {
    const Outcome outcome = run_program(words);
    EXPECT_EQ(outcome.code, 0) << line_of(words);
    EXPECT_EQ(outcome.err, "");
    EXPECT_GT(outcome.out.size(), 50u);
  }
  const std::string help = run_program({"train", "--help"}).out;
  EXPECT_NE(help.find("--learning-rate RATE\n"), std::string::npos) << help;
  EXPECT_NE(help.find("default 0.1;"), std::string::npos) << help;
}

}  // namespace
}  // namespace fryer::cli
