// SPDX-License-Identifier: Apache-2.0
// Study files: what they mean, that each refusal names line, column and key, that a setting has one canonical text, and that no damage to
// a file does more than make it refused.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "fryer/core/error.h"
#include "host/cli/command.h"
#include "host/cli/option_table.h"
#include "host/cli/study_file.h"

namespace fryer::cli {
namespace {

const char* const kExample = R"toml(command = "train"                # or "evaluate", "gradient"
environment = "CartPole-v1"
algorithm = "reinforce"
updates = 60
batch = 16
until = 475
[grid]                           # every combination
learning_rate = [0.1, 0.2, 0.3]
baseline = ["none", "mean"]
[seeds]
first = 1
count = 1000
[record]
parameters = true                # of each replica
curve_every = 1                  # updates
evaluation_episodes = 100        # with the final policy
[distribution]                   # optional
parameters = "uniform(-1, 1)"
)toml";

study::Plan parse(const std::string& text) { return parse_study("folder/luck.toml", text); }

// What a text is refused with.
std::string refusal(const std::string& text) {
  try {
    parse(text);
  } catch (const ConfigurationError& error) {
    return error.what();
  }
  return "accepted";
}

const std::string kCannotVary = ": cannot vary in a study; it stands above the tables, once";
const std::string kNoList = ": a list is not accepted here; what varies belongs in [grid]";
const std::string kInQuotes = " is not accepted; a number, not a text in quotes";
const std::string kTrain = "environment = \"CartPole-v1\"\n";
const std::string kSeeds = "[seeds]\ncount = 10\n";
std::string grid(const std::string& lines, const std::string& fixed = "") { return kTrain + fixed + kSeeds + "[grid]\n" + lines; }

std::vector<std::string> values(const study::Plan& plan, const std::string& key) {
  std::vector<std::string> texts;
  for (const study::Cell& cell : plan.cells) {
    for (const auto& [name, value] : cell.point) {
      if (name == key) texts.push_back(value);
    }
  }
  return texts;
}

TEST(StudyFile, the_example_is_six_cells_of_a_thousand_seeds) {
  const study::Plan plan = parse(kExample);
  ASSERT_EQ(plan.cells.size(), 6u);
  EXPECT_EQ(plan.title, "luck");
  EXPECT_EQ(plan.command, "train");
  EXPECT_EQ(plan.environment, "CartPole-v1");
  EXPECT_EQ(plan.algorithm, "reinforce");
  EXPECT_EQ(plan.first_seed, 1u);
  EXPECT_EQ(plan.seeds, 1000u);
  EXPECT_EQ(plan.replicas(), 6000u);
  EXPECT_EQ(plan.record.curve_every, 1u);
  EXPECT_EQ(plan.record.evaluation_episodes, 100u);
  EXPECT_TRUE(plan.record.parameters);
  EXPECT_EQ(plan.source, kExample);
  ASSERT_EQ(plan.distribution.size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(plan.distribution[i].index, i);
    EXPECT_EQ(plan.distribution[i].low, -1);
    EXPECT_EQ(plan.distribution[i].high, 1);
  }
  EXPECT_EQ(plan.distribution[2].parameter, "w_angle");
  // The first key of the file varies slowest.
  const std::vector<std::pair<std::string, std::string>> second = {{"learning_rate", "0.1"}, {"baseline", "mean"}};
  EXPECT_EQ(plan.cells[1].point, second);
  const auto& run = std::get<CartPoleTrainConfiguration>(*plan.cells[5].run);
  EXPECT_EQ(run.optimizer.learning_rate, 0.3);
  EXPECT_EQ(run.problem.baseline, Baseline::mean);
  EXPECT_EQ(run.updates, 60u);
  EXPECT_EQ(run.batch, 16u);
  EXPECT_EQ(run.until, 475);
  EXPECT_EQ(plan.cells[5].configuration.find("\"seed\""), std::string::npos);
  EXPECT_EQ(plan.cells[5].configuration.find("\"replicas\""), std::string::npos);
  EXPECT_NE(plan.cells[5].configuration.find("\"gamma\":0.99"), std::string::npos);  // a default
}

TEST(StudyFile, algorithm_or_preset_choose_the_options) {
  const std::string varied = "[grid]\nhidden = [[32, 16], [64, 64]]\ntarget_mix = [0.005, 1]\n";
  const study::Plan plan =
      parse(kTrain + "algorithm = 'dqn'\nepisodes = 300\nterminal_mask = false\nuntil = 475\n" + kSeeds + varied);
  EXPECT_EQ(plan.algorithm, "dqn");
  ASSERT_EQ(plan.cells.size(), 4u);
  const auto& run = std::get<QTrainConfiguration>(*plan.cells[1].run);
  EXPECT_EQ(run.training.episodes, 300u);
  EXPECT_EQ(run.training.shape.hidden1, 32);
  EXPECT_EQ(run.training.shape.hidden2, 16);
  EXPECT_EQ(run.training.learning.tau, 1);
  EXPECT_FALSE(run.training.terminal_mask);
  EXPECT_EQ(run.until, 475);
  EXPECT_EQ(plan.cells[1].key, R"({"episodes":300,"hidden":[32,16],"target_mix":1.0,"terminal_mask":false,"until":475.0})");

  const study::Plan preset = parse("preset = 'tensorflow'\n" + kTrain + "epsilon_start = 0.1\n" + kSeeds);
  EXPECT_EQ(preset.algorithm, "q-learning");
  const auto& online = std::get<QTrainConfiguration>(*preset.cells[0].run);
  EXPECT_EQ(online.training.learning.bootstrap, Bootstrap::residual);
  EXPECT_EQ(online.training.epsilon.start, 0.1);

  for (const char* const vary :
       {"[grid]\npreset = ['workshop', 'zoo']\n", "[[points]]\npreset = 'workshop'\n[[points]]\npreset = 'zoo'\n"}) {
    const study::Plan presets = parse(kTrain + "episodes = 300\n" + kSeeds + vary);
    EXPECT_EQ(presets.algorithm, "dqn");
    ASSERT_EQ(presets.cells.size(), 2u);
    const auto& zoo = std::get<QTrainConfiguration>(*presets.cells[1].run).training;
    EXPECT_EQ(zoo.shape.hidden1, 256);
    EXPECT_EQ(zoo.episodes, 300u) << "what the file says beside them";
  }

  const study::Plan drawn = parse(kTrain + "algorithm = 'dqn'\n" + kSeeds + "[distribution]\nepsilon_end = 'uniform(0, 0.1)'\n");
  study::CellConfiguration cell = *drawn.cells[0].run;
  drawn.distribution[0].apply(cell, 0.0625);
  EXPECT_EQ(std::get<QTrainConfiguration>(cell).training.epsilon.end, 0.0625);

  // A stored plan becomes runnable by its algorithm's options.
  study::Plan stored = study::plan_from_json(study::to_json(plan));
  make_runnable(stored);
  EXPECT_EQ(std::get<QTrainConfiguration>(*stored.cells[1].run).training.shape.hidden2, 16);
  stored.algorithm = "q-learning";
  EXPECT_THROW(make_runnable(stored), DamagedFileError);
  stored.algorithm = "sarsa";
  EXPECT_THROW(make_runnable(stored), DamagedFileError);
}

TEST(StudyFile, every_command_and_environment) {
  for (const char* environment : {"CartPole-v1", "CartPole-v0", "FryShack-v0"}) {
    for (const char* command : {"train", "evaluate", "gradient"}) {
      const study::Plan plan =
          parse("command = '" + std::string(command) + "'\nenvironment = '" + environment + "'\nquestion = \"why?\"\n" + kSeeds);
      ASSERT_EQ(plan.cells.size(), 1u);
      EXPECT_TRUE(plan.cells[0].run);
      EXPECT_EQ(plan.cells[0].point.size(), 0u);
      EXPECT_EQ(plan.question, "why?");
      EXPECT_EQ(plan.algorithm, command == std::string("train") ? "reinforce" : "");
      EXPECT_EQ(plan.record.parameters, command == std::string("train"));
      const bool cart_pole = environment != std::string("FryShack-v0");
      const std::size_t index = plan.cells[0].run->index(), of_command = command == std::string("train")      ? 0
                                                                         : command == std::string("gradient") ? 2
                                                                                                              : 4;
      EXPECT_EQ(index, of_command + (cart_pole ? 1 : 0));
    }
  }
}

TEST(StudyFile, ranges_have_exact_ends_and_short_decimals) {
  EXPECT_EQ(values(parse(grid("learning_rate = {from = 0.1, to = 0.5, steps = 5}")), "learning_rate"),
            (std::vector<std::string>{"0.1", "0.2", "0.3", "0.4", "0.5"}));
  EXPECT_EQ(values(parse(grid("learning_rate = {from = 1e-4, to = 1, steps = 5, scale = 'log'}")), "learning_rate"),
            (std::vector<std::string>{"0.0001", "0.001", "0.01", "0.1", "1"}));
  EXPECT_EQ(values(parse(grid("gamma = {from = 1, to = 0.9, steps = 3, scale = 'linear'}")), "gamma"),
            (std::vector<std::string>{"1", "0.95", "0.9"}));
  EXPECT_EQ(values(parse(grid("batch = {from = 2, to = 8, steps = 3}")), "batch"), (std::vector<std::string>{"2", "5", "8"}));
  EXPECT_EQ(values(parse(grid("batch = {from = 3, to = 3, steps = 1}")), "batch"), (std::vector<std::string>{"3"}));
  // Ends with more digits than the middle keeps.
  const study::Plan plan = parse(grid("gamma = {from = 0.12345678901234567, to = 0.9876543210987654, steps = 3, scale = 'log'}"));
  EXPECT_EQ(std::get<CartPoleTrainConfiguration>(*plan.cells[0].run).problem.gamma, 0.12345678901234567);
  EXPECT_EQ(std::get<CartPoleTrainConfiguration>(*plan.cells[2].run).problem.gamma, 0.9876543210987654);
  EXPECT_EQ(values(plan, "gamma")[1], "0.349188532368");
}

TEST(StudyFile, points_are_one_more_axis) {
  const study::Plan plan = parse(kTrain + R"(
[[points]]
batch = 8
learning_rate = 0.1
[[points]]
learning_rate = 0.2
batch = 16
[grid]
gamma = [0.9, 1]
)" + kSeeds);
  ASSERT_EQ(plan.cells.size(), 4u);
  EXPECT_EQ(values(plan, "batch"), (std::vector<std::string>{"8", "8", "16", "16"}));
  EXPECT_EQ(values(plan, "learning_rate"), (std::vector<std::string>{"0.1", "0.1", "0.2", "0.2"}));
  EXPECT_EQ(values(plan, "gamma"), (std::vector<std::string>{"0.9", "1", "0.9", "1"}));
}

TEST(StudyFile, lists_of_parameters_vary) {
  const study::Plan plan =
      parse("command = 'evaluate'\n" + grid("parameters = [[0, 0, 1, 1, 0], [0.5, 1, 10, 3, 0]]", "episodes = 10\n"));
  ASSERT_EQ(plan.cells.size(), 2u);
  EXPECT_EQ(std::get<CartPoleEvaluateConfiguration>(*plan.cells[1].run).problem.parameters[2], 10);
}

TEST(StudyFile, presets_and_seeds_beyond_signed_numbers) {
  const study::Plan plan =
      parse("environment = 'CartPole-v1'\nbatch = 32\npreset = 'solve'\n[seeds]\nfirst = '18446744073709551606'\ncount = 10\n");
  EXPECT_EQ(plan.first_seed, 18446744073709551606u);
  const auto& run = std::get<CartPoleTrainConfiguration>(*plan.cells[0].run);
  EXPECT_EQ(run.batch, 32u);
  EXPECT_EQ(run.until, 475);
}

TEST(StudyFile, one_configuration_has_one_text) {
  const std::string once = parse(kTrain + "learning_rate = 0.1\nbatch = 1000\ngamma = 1\n" + kSeeds).cells[0].configuration;
  const std::string again = parse("gamma = 1.0\nbatch = 1e3\nlearning_rate = 1e-1\n" + kTrain + kSeeds).cells[0].configuration;
  EXPECT_EQ(once, again);
  EXPECT_EQ(once,
            parse(kTrain + "learning_rate = 0.1\nepisodes = 200_000\nbatch = 1000\ngamma = 1\n" + kSeeds).cells[0].configuration);
  EXPECT_NE(once, parse(kTrain + "learning_rate = 0.1\nbatch = 1000\ngamma = 0.99\n" + kSeeds).cells[0].configuration);
}

TEST(StudyFile, parameters_drawn_one_by_one_keep_the_registrys_order) {
  const study::Plan plan =
      parse("environment = 'FryShack-v0'\n[distribution]\nweight = 'uniform(10,30)'\nbias = 'uniform(-1e1, 0)'\n" + kSeeds);
  ASSERT_EQ(plan.distribution.size(), 2u);
  EXPECT_EQ(plan.distribution[0].parameter, "weight");
  EXPECT_EQ(plan.distribution[0].index, 0u);
  EXPECT_EQ(plan.distribution[0].high, 30);
  EXPECT_EQ(plan.distribution[1].low, -10);
}

TEST(StudyFile, a_stored_cell_runs_again) {
  std::vector<std::string> files = {
      kExample,
      kTrain + "hidden = 4\nactivation = 'sigmoid'\noptimizer = 'sgd'\n" + kSeeds,
      kTrain + "baseline = 'constant=-5.5'\nreward_scale = 0.3333333333333333\nsutton_barto_reward = true\n" + kSeeds,
      "command = 'evaluate'\nenvironment = 'CartPole-v0'\nrandom = true\n" + kSeeds,
      "command = 'evaluate'\nenvironment = 'CartPole-v0'\nhidden = 1\nparameters = [1, 2, 3, 4, 5, 6, 7]\ngreedy = true\n" +
          kSeeds,
      "command = 'evaluate'\nenvironment = 'FryShack-v0'\nparameters = [1, 2]\n" + kSeeds,
      "command = 'evaluate'\nenvironment = 'FryShack-v0'\nrandom = true\n" + kSeeds,
      "command = 'gradient'\nenvironment = 'CartPole-v1'\nhidden = 1\nparameters = [1, 2, 3, 4, 5, 6, 7]\n" + kSeeds,
      "command = 'gradient'\nenvironment = 'FryShack-v0'\nbias = -0.1\n" + kSeeds,
      "environment = 'FryShack-v0'\nlearn_weight = true\npreset = 'notebook'\nuntil = 0.5\n" + kSeeds,
  };
  for (const std::string& file : files) {
    const study::Plan plan = parse(file);
    study::Plan stored = study::plan_from_json(study::Json::parse(study::to_json(plan).dump()));
    EXPECT_EQ(study::fingerprint(stored), study::fingerprint(plan));
    make_runnable(stored);
    ASSERT_EQ(stored.cells.size(), plan.cells.size());
    for (std::size_t i = 0; i < plan.cells.size(); ++i) {
      EXPECT_EQ(stored.cells[i].configuration, plan.cells[i].configuration);
      ASSERT_TRUE(stored.cells[i].run);
      EXPECT_EQ(stored.cells[i].run->index(), plan.cells[i].run->index());
    }
  }
}

// What digests are made of says nothing of settings that have their defaults, so versions with more options leave it as it is.
TEST(StudyFile, a_cells_key_has_what_differs_from_the_defaults) {
  const auto key = [](const std::string& text) { return parse(text).cells.at(0).key; };
  EXPECT_EQ(key("environment = 'FryShack-v0'\npreset = 'notebook'\n" + kSeeds), "{}");
  for (const char* command : {"train", "evaluate", "gradient"}) {
    for (const char* environment : {"FryShack-v0", "CartPole-v0", "CartPole-v1"})
      EXPECT_EQ(key(fmt::format("command = '{}'\nenvironment = '{}'\n", command, environment) + kSeeds), "{}");
  }
  EXPECT_EQ(
      key(kTrain + "optimizer = 'adam'\nepisodes = 32_000\nbatch = 32\nadam_beta2 = 0.99\nactivation = 'tanh'\nhidden = 2\n" +
          "reward_scale = 1.0\n" + kSeeds),
      R"({"adam_beta2":0.99,"batch":32,"hidden":2,"parameters":null,"updates":1000})");
  EXPECT_EQ(key(kTrain + "max_steps = 500\n" + kSeeds), "{}");  // of CartPole-v1
  EXPECT_EQ(key("environment = 'CartPole-v0'\nmax_steps = 500\n" + kSeeds), R"({"max_steps":500})");
}

// Puts `to` in the place of `from` in the stored settings of one cell.
study::Plan with_stored_setting(study::Plan plan, const std::string& from, const std::string& to) {
  std::string& text = plan.cells[3].configuration;
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  return plan;
}

// As of a store that was made before there was an option.
TEST(StudyFile, settings_that_a_store_lacks_have_their_defaults) {
  const study::Plan good = parse(kExample);
  study::Plan stored = with_stored_setting(good, "\"gamma\":0.99,", "");
  EXPECT_EQ(study::fingerprint(stored), study::fingerprint(good));
  make_runnable(stored);
  EXPECT_EQ(std::get<CartPoleTrainConfiguration>(*stored.cells[3].run).problem.gamma, 0.99);
  EXPECT_EQ(stored.cells[3].key, good.cells[3].key);
}

TEST(StudyFile, settings_of_a_store_that_this_version_does_not_take_are_damage) {
  const study::Plan good = parse(kExample);
  std::vector<study::Plan> plans;
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{{"\"gamma\":0.99", "\"gamma\":2"},
                                                                                 {"\"gamma\":0.99", "\"gamma\":\"0.99\""},
                                                                                 {"\"gamma\":0.99", "\"gama\":0.99"},
                                                                                 {"\"gamma\":0.99", "\"gamma\":0.98"},
                                                                                 {"\"baseline\":\"mean\",", ""},
                                                                                 {"\"gamma\":0.99", "\"save_policy\":\"/x\""},
                                                                                 {"{", ""},
                                                                                 {"\"gamma\":0.99", "\"config\":\"/x\""},
                                                                                 {"\"gamma\":0.99", "\"seed\":42"},
                                                                                 {"\"gamma\":0.99", "\"gamma\":{}"}})
    plans.push_back(with_stored_setting(good, from, to));
  plans.push_back(good);
  plans.back().cells[3].key = "{}";
  plans.push_back(good);
  plans.back().command = "version";
  plans.push_back(good);
  plans.back().environment = "CartPole-v7";
  plans.push_back(good);
  plans.back().distribution[0].index = 5;
  for (std::size_t i = 0; i < plans.size(); ++i) EXPECT_THROW(make_runnable(plans[i]), DamagedFileError) << i;
}

TEST(StudyFile, warnings_name_what_no_training_can_meet) {
  std::vector<std::string> warnings;
  parse_study("a.toml", grid("batch = [1, 2, 200]", "updates = 20\nuntil = 475\n"), &warnings);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(
      warnings[0],
      "a.toml: at batch 1: until looks back on 100 updates of batch 1: with 20 no training can meet it (and in 1 more cell)");
}

TEST(StudyFile, thresholds_that_would_say_nothing_are_refused) {
  const std::string short_text = kTrain + "updates = 3\n" + kSeeds + "[record]\nthresholds = [200, 400]";
  EXPECT_TRUE(
      refusal(short_text).ends_with("thresholds: they look back on 7 updates of batch 16: with 3 no training can meet them"))
      << refusal(short_text);
  const std::string beyond = kTrain + "until = 195\n" + kSeeds + "[record]\nthresholds = [100, 400]";
  EXPECT_TRUE(refusal(beyond).ends_with(
      "thresholds: 400 is beyond until 195, where trainings are stopped: whether they would reach it is never seen"))
      << refusal(beyond);
  const std::string large = kTrain + "updates = 1\nbatch = 200_000_000\n" + kSeeds + "[record]\n";
  EXPECT_TRUE(refusal(large + "thresholds = [100]")
                  .ends_with("thresholds: a batch of 200000000 is too large for the return of each update to be kept"))
      << refusal(large + "thresholds = [100]");
  EXPECT_NE(refusal(large + "curve_every = 1").find("too large"), std::string::npos);
  parse_study("a.toml", large + "parameters = true", nullptr);
}

struct Refused {
  std::string text, says;  // after "folder/luck.toml: "
};
std::ostream& operator<<(std::ostream& out, const Refused& refused) { return out << refused.text; }
class StudyFileRefusal : public testing::TestWithParam<Refused> {};

TEST_P(StudyFileRefusal, names_line_column_and_key) {
  EXPECT_EQ(refusal(GetParam().text), "folder/luck.toml: " + GetParam().says);
}

const std::string kGrid = kSeeds + "[grid]\n", kEvaluate = "command = \"evaluate\"\n" + kTrain,
                  kGradient = "command = \"gradient\"\n" + kTrain, kDrawn = kTrain + kSeeds + "[distribution]\n",
                  kAccepted =
                      " is not accepted; \"uniform(LOW, HIGH)\" or \"log_uniform(LOW, HIGH)\" with two finite numbers, the first "
                      "below the second, and above 0 for log_uniform";

INSTANTIATE_TEST_SUITE_P(
    all, StudyFileRefusal,
    testing::ValuesIn(std::vector<Refused>{
        Refused{"a = \n", "line 1, column 5: Error while parsing key-value pair: expected value, saw '\\n'"},
        Refused{kTrain + "title = \"x\n",
                "line 2, column 11: Error while parsing string: unescaped control characters other than TAB (U+0009) are "
                "explicitly prohibited"},
        Refused{kTrain + "environment = \"CartPole-v1\"\n" + kSeeds,
                "line 2, column 15: Error while parsing key-value pair: cannot redefine existing string 'environment'"},
        Refused{kTrain, "line 1, column 1: seeds: missing; [seeds] with count, and first unless it is 1"},
        Refused{"enviroment = \"CartPole-v1\"\n" + kSeeds,
                "line 1, column 1: enviroment: no such key of a study file; did you mean environment?"},
        Refused{"environment = \"CartPole-v2\"\n" + kSeeds,
                "line 1, column 1: environment: CartPole-v2 is not accepted; FryShack-v0, CartPole-v1 or CartPole-v0; did you "
                "mean CartPole-v1?"},
        Refused{"environment = 3\n" + kSeeds, "line 1, column 1: environment: is not accepted; a text in quotes"},
        Refused{kTrain + "command = \"trian\"\n" + kSeeds,
                "line 2, column 1: command: trian is not accepted; train, evaluate or gradient; did you mean train?"},
        Refused{kTrain + "command = 1\n" + kSeeds, "line 2, column 1: command: is not accepted; a text in quotes"},
        Refused{kTrain + "title = 3\n" + kSeeds, "line 2, column 1: title: is not accepted; a text in quotes"},
        Refused{kTrain + "title = \"\"\n" + kSeeds, "line 2, column 1: title: is not accepted; a text in quotes"},
        Refused{kTrain + "title = \"a\\nb\"\n" + kSeeds,
                "line 2, column 1: title: is not accepted; one line, without control characters"},
        Refused{kTrain + "question = true\n" + kSeeds, "line 2, column 1: question: is not accepted; a text in quotes"},
        Refused{kTrain + "titel = \"x\"\n" + kSeeds, "line 2, column 1: titel: no such key of a study file; did you mean title?"},
        Refused{kTrain + "  learning_rte = 0.1\n" + kSeeds,
                "line 2, column 3: learning_rte: no such key of a study file; did you mean learning_rate?"},
        Refused{kTrain + "learning-rate = 0.1\n" + kSeeds,
                "line 2, column 1: learning-rate: no such key of a study file; did you mean learning_rate?"},
        Refused{kTrain + "bananas = 1\n" + kSeeds,
                "line 2, column 1: bananas: no such option of train; fryer train --help shows them all"},
        Refused{"environment = \"FryShack-v0\"\ngamma = 1\n" + kSeeds,
                "line 2, column 1: gamma: FryShack-v0 has no such setting: an episode is one step, so there is nothing to "
                "discount (reward_scale scales the rewards)"},
        Refused{kEvaluate + "updates = 3\n" + kSeeds,
                "line 3, column 1: updates: not an option of evaluate, but of train or notebook"},
        Refused{kTrain + "weight = 3\n" + kSeeds,
                "line 2, column 1: weight: not an option of train CartPole-v1, but of FryShack-v0"},
        Refused{kTrain + "seed = 1\n" + kSeeds, "line 2, column 1: seed: not a setting of a study; [seeds] has first and count"},
        Refused{kTrain + "replicas = 10\n" + kSeeds,
                "line 2, column 1: replicas: not a setting of a study; [seeds] has first and count"},
        Refused{kTrain + "save_policy = \"x\"\n" + kSeeds,
                "line 2, column 1: save_policy: not a setting of a study, which keeps its results in its own file; [record] says "
                "which"},
        Refused{kTrain + "config = \"x\"\n" + kSeeds, "line 2, column 1: config: a study file has its settings itself"},
        Refused{kTrain + "device = \"cpu\"\n" + kSeeds,
                "line 2, column 1: device: not a setting of a study, but an option of fryer study run"},
        Refused{kEvaluate + "policy = \"x\"\n" + kSeeds,
                "line 3, column 1: policy: a study carries its policy itself; parameters = [...]"},
        Refused{kTrain + "policy = \"x\"\n" + kSeeds,
                "line 2, column 1: policy: a study carries its policy itself; parameters = [...]"},
        Refused{
            kTrain + "algorithm = \"dpn\"\n" + kSeeds,
            "line 2, column 1: algorithm: dpn is not accepted; accepted on CartPole-v1: reinforce, dqn or q-learning; did you "
            "mean dqn?"},
        Refused{"environment = \"FryShack-v0\"\nalgorithm = \"dqn\"\n" + kSeeds,
                "line 2, column 1: algorithm: dqn is not accepted; accepted on FryShack-v0: reinforce"},
        Refused{kTrain + "preset = \"workshop\"\nalgorithm = \"reinforce\"\n" + kSeeds,
                "line 2, column 1: preset: workshop is a preset of another algorithm than algorithm reinforce; accepted: solve"},
        Refused{
            kTrain + kSeeds + "[grid]\npreset = [\"workshop\", \"tensorflow\"]\n",
            "line 5, column 23: preset: tensorflow is a preset of q-learning, and this study is of dqn: presets that vary have "
            "one algorithm, here workshop, zoo or cleanrl; another study file for tensorflow"},
        Refused{kTrain + "algorithm = \"reinforce\"\n" + kSeeds + "[grid]\npreset = [\"workshop\"]\n",
                "line 6, column 11: preset: workshop is a preset of dqn, and this study is of reinforce: presets that vary have "
                "one algorithm, here solve; another study file for workshop"},
        Refused{kTrain + "algorithm = \"dqn\"\n" + kSeeds + "[grid]\ndouble = [\"on\", \"yes\"]\n",
                "line 6, column 17: double: yes is not accepted; on or off; in files true or false too"},
        Refused{kTrain + "algorithm = \"dqn\"\nbaseline = \"mean\"\n" + kSeeds,
                "line 3, column 1: baseline: not an option of dqn, but of reinforce"},
        Refused{kTrain + "algorithm = \"dqn\"\nupdates = 100\n" + kSeeds,
                "line 3, column 1: updates: not an option of dqn, which trains for episodes"},
        Refused{kTrain + "algorithm = \"dqn\"\nbatch = 257\n" + kSeeds,
                "line 3, column 1: batch: 257 is not accepted; a whole number from 1 to 256"},
        Refused{kTrain + "algorithm = \"dqn\"\nhidden = [64]\n" + kSeeds,
                "line 3, column 1: hidden: 64 is not accepted; two whole numbers from 1 to 256 with a comma between"},
        Refused{kTrain + "algorithm = \"dqn\"\n" + kSeeds + "[distribution]\nbuffer = \"uniform(1, 2)\"\n",
                "line 6, column 1: buffer: cannot be drawn: it is a whole number; it can vary in [grid]"},
        Refused{kTrain + "algorithm = \"dqn\"\n" + kSeeds + "[distribution]\nw_angle = \"uniform(1, 2)\"\n",
                "line 6, column 1: w_angle: no such key of [distribution]; accepted: learning_rate, adam_beta1, adam_beta2, "
                "adam_epsilon, gamma, reward_scale, epsilon_start, epsilon_end, target_mix, clip_norm, gravity, mass_cart, "
                "mass_pole, half_length, force, dt, position_limit, angle_limit or start_range"},
        Refused{kTrain + "algorithm = \"dqn\"\n" + kSeeds + "[distribution]\nparameters = \"uniform(1, 2)\"\n",
                "line 6, column 1: parameters: train has no such option: a Q network's training starts from initialisation"},
        Refused{kTrain + "algorithm = \"dqn\"\nepisodes = 200\n" + kSeeds + "[record]\ncurve_every = 201\n",
                "line 7, column 1: curve_every: 201 is not accepted; at most 200, the episodes of a training"},
        Refused{kTrain + "preset = \"solv\"\n" + kSeeds,
                "line 2, column 1: preset: solv is not accepted; accepted on CartPole-v1: solve, workshop, zoo, cleanrl or "
                "tensorflow; did "
                "you mean solve?"},
        Refused{kTrain + "learning_rate = \"fast\"\n" + kSeeds,
                "line 2, column 1: learning_rate: fast is not accepted; a finite number above 0 that a float can hold (from "
                "1.5e-45 to 3.4e38)"},
        Refused{kTrain + "learning_rate = [0.1]\n" + kSeeds, "line 2, column 1: learning_rate" + kNoList},
        Refused{kTrain + "learning_rate = {from = 1}\n" + kSeeds,
                "line 2, column 1: learning_rate: is a table, a date or a list of other things; a setting is a number, true, "
                "false, a string or a list of "
                "numbers"},
        Refused{kTrain + "learning_rate = 1979-05-27\n" + kSeeds,
                "line 2, column 1: learning_rate: is a table, a date or a list of other things; a setting is a number, true, "
                "false, a string or a list of "
                "numbers"},
        Refused{kTrain + "learning_rate = nan\n" + kSeeds,
                "line 2, column 1: learning_rate: nan is not accepted; a finite number above 0 that a float can hold (from "
                "1.5e-45 to 3.4e38)"},
        Refused{kTrain + "updates = 1.5\n" + kSeeds,
                "line 2, column 1: updates: 1.5 is not accepted; a whole number from 1 to 2147483647, written 1000000, 1e6 or "
                "1_000_000"},
        Refused{kTrain + "updates = -1\n" + kSeeds,
                "line 2, column 1: updates: -1 is not accepted; a whole number from 1 to 2147483647, written 1000000, 1e6 or "
                "1_000_000"},
        Refused{kTrain + "sutton_barto_reward = 1\n" + kSeeds,
                "line 2, column 1: sutton_barto_reward: 1 is not accepted; on or off; in files true or false too"},
        Refused{kTrain + "learning_rate = 0\n" + kSeeds,
                "line 2, column 1: learning_rate: 0 is not accepted; a finite number above 0 that a float can hold (from 1.5e-45 "
                "to 3.4e38)"},
        Refused{kTrain + "until = 501\n" + kSeeds,
                "line 2, column 1: until: 501 is not accepted; a mean return above 0, at most 500: no episode is longer"},
        Refused{kTrain + "updates = 5\nepisodes = 80\n" + kSeeds,
                "line 3, column 1: episodes: cannot be combined with updates; give one of them"},
        Refused{kTrain + "episodes = 81\n" + kSeeds,
                "line 2, column 1: episodes: 81 is not accepted; a multiple of batch 16, such as 80"},
        Refused{kTrain + "optimizer = \"sgd\"\nadam_beta1 = 0.5\n" + kSeeds,
                "line 3, column 1: adam_beta1: has no meaning with optimizer sgd"},
        Refused{kTrain + "baseline = \"standardize\"\nentropy_bonus = 0.1\n" + kSeeds,
                "line 3, column 1: entropy_bonus: 0.1 is not accepted; 0 with baseline standardize, which would divide it by the "
                "returns' standard deviation"},
        Refused{kTrain + "baseline = \"constant=1e10\"\n" + kSeeds,
                "line 2, column 1: baseline: constant: 10000000000 is not accepted; a finite number, at most 1e9 in magnitude"},
        Refused{kTrain +
                    "force = 1e6\ndt = 1\nmass_cart = 0.001\nmass_pole = 0.001\nhalf_length = 0.001\nposition_limit = 1e6\n" +
                    kSeeds,
                "line 3, column 1: dt: dt, position_limit, angle_limit, force: with these, observations may reach 6e+11; at most "
                "2.1e+09 is accepted (a larger dt, smaller limits or a smaller force)"},
        Refused{kTrain + "parameters = [1, 2]\n" + kSeeds,
                "line 2, column 1: parameters: 1,2 is not accepted; five finite numbers with commas between: w_position, "
                "w_velocity, w_angle, w_angular_velocity, bias, and here are 2"},
        Refused{kTrain + "parameters = []\n" + kSeeds, "line 2, column 1: parameters: an empty list is not accepted"},
        Refused{kTrain + "parameters = [1, \"a\"]\n" + kSeeds,
                "line 2, column 1: parameters: is a table, a date or a list of other things; a setting is a number, true, false, "
                "a string or a list of "
                "numbers"},
        Refused{kEvaluate + "hidden = 2\n" + kSeeds,
                "line 3, column 1: hidden: 2 needs the network's 13 parameters, or policy instead"},
        Refused{kEvaluate + "random = true\ngreedy = true\n" + kSeeds, "line 4, column 1: greedy: has no meaning with random"},
        Refused{kTrain + "activation = \"tanh\"\n" + kSeeds, "line 2, column 1: activation: has no meaning with hidden 0"},
        Refused{kTrain + "hidden = 17\n" + kSeeds,
                "line 2, column 1: hidden: 17 is not accepted; a whole number from 0 (none) to 16"},
        Refused{kTrain + "[seeds]\n", "line 2, column 2: seeds: count is missing; how many seeds"},
        Refused{kTrain + "seeds = 10\n", "line 2, column 1: seeds: is not a table; [seeds]"},
        Refused{kTrain + "[seeds]\ncount = 0\n",
                "line 3, column 1: count: 0 is not accepted; a whole number from 1 to 18446744073709551615"},
        Refused{kTrain + "[seeds]\ncount = -1\n",
                "line 3, column 1: count: -1 is not accepted; a whole number from 1 to 18446744073709551615"},
        Refused{kTrain + "[seeds]\ncount = 1.5\n",
                "line 3, column 1: count: 1.5 is not accepted; a whole number from 1 to 18446744073709551615"},
        Refused{kTrain + "[seeds]\ncount = true\n",
                "line 3, column 1: count: true is not accepted; a whole number from 1 to 18446744073709551615"},
        Refused{
            kTrain + "[seeds]\ncount = [1]\n",
            "line 3, column 1: count: a list, a table or a date is not accepted; a whole number from 1 to 18446744073709551615"},
        Refused{kTrain + "[seeds]\ncuont = 1\n", "line 3, column 1: cuont: no such key of [seeds]; did you mean count?"},
        Refused{kTrain + "[seeds]\nfrist = 1\ncount = 1\n",
                "line 3, column 1: frist: no such key of [seeds]; did you mean first?"},
        Refused{kTrain + "[seeds]\nfirst = \"18446744073709551615\"\ncount = 2\n",
                "line 4, column 1: count: 2 seeds from 18446744073709551615 on are not accepted; first + count - 1 must stay "
                "below 2^64"},
        Refused{kTrain + "[seeds]\nfirst = 18446744073709551615\ncount = 2\n",
                "line 3, column 29: Error while parsing decimal integer: '18446744073709551615' is not representable in 64 bits "
                "as TOML has them, signed; in quotes it is read as unsigned"},
        Refused{kTrain + "[seeds]\ncount = 4_000_000_001\n",
                "line 3, column 1: count: 1 cell of 4,000,000,001 seeds would be 4,000,000,001 trainings, at a thousand a second "
                "46 days 7 h; a study has at most "
                "4,000,000,000"},
        Refused{kTrain + "[seeds]\ncount = \"18446744073709551615\"\n",
                "line 3, column 1: count: 1 cell of 18,446,744,073,709,551,615 seeds would be 1.84e+19 trainings, at a thousand "
                "a second more than 30 years; a study has at "
                "most 4,000,000,000"},
        Refused{kTrain + "grid = 1\n" + kSeeds, "line 2, column 1: grid: is not a table; [grid]"},
        Refused{kTrain + kGrid, "line 4, column 2: grid: is empty; a key with the list of its values, or no [grid]"},
        Refused{kTrain + kGrid + "learning_rate = []\n",
                "line 5, column 1: learning_rate: an empty list is not accepted; at least one value"},
        Refused{kTrain + kGrid + "learning_rate = 0.1\n",
                "line 5, column 1: learning_rate: is not accepted; a list of values, or {from, to, steps, scale}"},
        Refused{kTrain + kGrid + "learning_rate = [0.1, \"fast\"]\n",
                "line 5, column 23: learning_rate: fast is not accepted; a finite number above 0 that a float can hold (from "
                "1.5e-45 to 3.4e38)"},
        Refused{kTrain + kGrid + "learning_rate = [0.1, [1, 2]]\n", "line 5, column 23: learning_rate" + kNoList},
        Refused{kTrain + kGrid + "learning_rate = [0.1, 0.2, 1e-1]\n",
                "line 5, column 28: learning_rate: 0.1 stands there twice"},
        Refused{kTrain + kGrid + "batch = [1000, 1e3]\n", "line 5, column 16: batch: 1000 stands there twice"},
        Refused{kTrain + "learning_rate = \"0.1\"\n" + kSeeds, "line 2, column 1: learning_rate: \"0.1\"" + kInQuotes},
        Refused{kTrain + "until = \"475\"\n" + kSeeds, "line 2, column 1: until: \"475\"" + kInQuotes},
        Refused{kTrain + "episodes = \"1e3\"\n" + kSeeds, "line 2, column 1: episodes: \"1e3\"" + kInQuotes},
        Refused{kTrain + "max_steps = \"1_000\"\n" + kSeeds, "line 2, column 1: max_steps: \"1_000\"" + kInQuotes},
        Refused{kTrain + kGrid + "learning_rate = [0.1, \"0.2\"]\n", "line 5, column 23: learning_rate: \"0.2\"" + kInQuotes},
        Refused{kTrain + kSeeds + "[[points]]\ngamma = \"1\"\n", "line 5, column 1: gamma: \"1\"" + kInQuotes},
        Refused{kTrain + "[seeds]\ncount = \"10\"\n", "line 3, column 1: count: \"10\"" + kInQuotes},
        Refused{kTrain + kSeeds + "[record]\nthresholds = [100, \"200\"]\n",
                "line 5, column 20: thresholds: \"200\"" + kInQuotes},
        Refused{kTrain + kGrid + "learning_rte = [0.1]\n",
                "line 5, column 1: learning_rte: no such key of a study file; did you mean learning_rate?"},
        Refused{kTrain + kGrid + "environment = [\"CartPole-v0\"]\n", "line 5, column 1: environment" + kCannotVary},
        Refused{kTrain + kGrid + "algorithm = [\"reinforce\"]\n", "line 5, column 1: algorithm" + kCannotVary},
        Refused{kTrain + kGrid + "seed = [1, 2]\n",
                "line 5, column 1: seed: not a setting of a study; [seeds] has first and count"},
        Refused{kTrain + kGrid + "title = [\"a\"]\n", "line 5, column 1: title" + kCannotVary},
        Refused{kTrain + "learning_rate = 0.2\n" + kGrid + "learning_rate = [0.1]\n",
                "line 6, column 1: learning_rate: varies here and is fixed on line 2; one of them"},
        Refused{kTrain + kGrid + "gamma = [0.3, 1]\nbaseline = [\"none\", \"standardize\"]\n",
                "line 5, column 10: gamma: at gamma 0.3, baseline standardize: 0.3 is not accepted; 0, or a number from 0.5 to 1 "
                "with baseline standardize: between them the returns' standard deviation drowns in rounding"},
        Refused{kTrain + kGrid + "learning_rate = [0.1, 0]\n",
                "line 5, column 23: learning_rate: at learning_rate 0: 0 is not accepted; a finite number above 0 that a float "
                "can hold (from 1.5e-45 to 3.4e38)"},
        Refused{kTrain + kGrid + "hidden = [0, 2]\nactivation = [\"tanh\", \"sigmoid\"]\n",
                "line 6, column 15: activation: at hidden 0, activation tanh: has no meaning with hidden 0"},
        Refused{kTrain + kGrid + "until = [475, 501]\n",
                "line 5, column 15: until: at until 501: 501 is not accepted; a mean return above 0, at most 500: no episode is "
                "longer"},
        Refused{kTrain + kGrid + "episodes = [160, 81]\n",
                "line 5, column 18: episodes: at episodes 81: 81 is not accepted; a multiple of batch 16, such as 80"},
        Refused{kTrain + "updates = 3\n" + kGrid + "episodes = [160]\n",
                "line 6, column 13: episodes: at episodes 160: cannot be combined with updates; give one of them"},
        Refused{kTrain + kGrid + "baseline = [\"constant=1\", \"constant=1.0\"]\n",
                "line 5, column 1: baseline: two cells have the same settings: baseline constant=1; and baseline constant=1.0"},
        Refused{kTrain + kGrid + "learning_rate = {from = 0.1, steps = 2}\n",
                "line 5, column 1: learning_rate: to missing in the range; {from, to, steps, scale}"},
        Refused{kTrain + kGrid + "learning_rate = {from = 0.1, to = 1, stps = 2}\n",
                "line 5, column 38: stps: no such key of a range; did you mean steps?"},
        Refused{kTrain + kGrid + "learning_rate = {from = 0.1, to = 1, steps = 1}\n",
                "line 5, column 1: learning_rate: 1 step cannot be both ends of a range; steps from 2"},
        Refused{kTrain + kGrid + "learning_rate = {from = 1, to = 1, steps = 2}\n",
                "line 5, column 1: learning_rate: a range of 2 steps needs two different ends"},
        Refused{kTrain + kGrid + "learning_rate = {from = 0, to = 1, steps = 3, scale = \"log\"}\n",
                "line 5, column 1: learning_rate: a log range needs both ends above 0"},
        Refused{kTrain + kGrid + "learning_rate = {from = 0.1, to = 1, steps = 3, scale = \"lin\"}\n",
                "line 5, column 49: scale: lin is not accepted; linear or log; did you mean linear?"},
        Refused{kTrain + kGrid + "learning_rate = {from = \"0.1\", to = 1, steps = 3}\n",
                "line 5, column 25: from: \"0.1\"" + kInQuotes},
        Refused{kTrain + kGrid + "learning_rate = {from = 0.1, to = inf, steps = 3}\n",
                "line 5, column 35: to: inf is not accepted; a finite number"},
        Refused{kTrain + kGrid + "learning_rate = {from = 0.1, to = 1, steps = 100001}\n",
                "line 5, column 38: steps: 100001 is not accepted; a whole number from 1 to 100000"},
        Refused{kTrain + kGrid + "batch = {from = 1, to = 4, steps = 3}\n",
                "line 5, column 1: batch: 2.5 is not accepted; a whole number from 1 to 2^40, written 1000000, 1e6 or 1_000_000"},
        Refused{kTrain + kGrid + "batch = {from = 1, to = 9007199254740993, steps = 2}\n",
                "line 5, column 20: batch: a range of whole numbers stays below 2^53"},
        Refused{kTrain + kGrid + "learning_rate = {from = 1, to = 1.0000000000000002, steps = 3}\n",
                "line 5, column 1: learning_rate: 3 steps from 1 to 1.0000000000000002 lie too close to each other"},
        Refused{kTrain + kGrid + "baseline = {from = 1, to = 2, steps = 2}\n",
                "line 5, column 1: baseline: 1 is not accepted; none, mean, standardize or constant=V with a finite V of at most "
                "1e9 in magnitude"},
        Refused{kTrain + kGrid + "learning_rate = {from = -1e308, to = 1.7e308, steps = 3}\n",
                "line 5, column 1: learning_rate: at learning_rate -1e+308: -1e+308 is not accepted; a finite number above 0 "
                "that a float can hold (from 1.5e-45 to 3.4e38)"},
        Refused{
            kTrain + kGrid + "learning_rate = {from = 0.1, to = 1, steps = 1000}\ngamma = {from = 0.6, to = 1, steps = 1000}\n",
            "line 5, column 1: grid: 1,000,000 cells of 10 seeds would be 10,000,000 trainings, at a thousand a second 2 h 46 "
            "min; a study has at most 100,000 "
            "cells"},
        Refused{kTrain + kGrid +
                    "learning_rate = {from = 0.1, to = 0.9, steps = 100000}\ngamma = {from = 0.1, to = 0.9, steps = "
                    "100000}\nadam_beta1 = {from = 0.1, to = 0.9, steps = 100000}\nadam_beta2 = {from = 0.1, to = 0.9, steps = "
                    "100000}\ndt = {from = 0.1, to = 0.9, steps = 100000}\n",
                "line 5, column 1: grid: 1e+25 cells of 10 seeds would be 1e+26 trainings, at a thousand a second more than 30 "
                "years; a study has at most 100,000 cells"},
        Refused{kTrain + "points = []\n" + kSeeds,
                "line 2, column 1: points: is not accepted; [[points]] before each point's keys, at least one"},
        Refused{kTrain + "points = [1]\n" + kSeeds,
                "line 2, column 1: points: is not accepted; [[points]] before each point's keys, at least one"},
        Refused{kTrain + kSeeds + "[[points]]\n", "line 4, column 1: points: an empty point is not accepted; at least one key"},
        Refused{kTrain + kSeeds + "[[points]]\nbatch = 1\n[[points]]\ngamma = 1\n",
                "line 7, column 1: gamma: the first of the points does not have it; all points have the same keys"},
        Refused{kTrain + kSeeds + "[[points]]\nbatch = 1\ngamma = 1\n[[points]]\ngamma = 1\n",
                "line 7, column 1: batch: missing in this point; all points have the same keys"},
        Refused{kTrain + kSeeds + "[[points]]\nbatch = 1\n[[points]]\nbatch = 1\n",
                "line 7, column 1: batch: 1 stands there twice"},
        Refused{kTrain + kSeeds + "[[points]]\nbatch = 1\n[grid]\nbatch = [2]\n",
                "line 7, column 1: batch: varies in [grid] and in [[points]]; one of them"},
        Refused{kTrain + "batch = 3\n" + kSeeds + "[[points]]\nbatch = 1\n",
                "line 6, column 1: batch: varies here and is fixed on line 2; one of them"},
        Refused{kTrain + kSeeds + "[[points]]\nbatch = [1]\n", "line 5, column 1: batch" + kNoList},
        Refused{kTrain + kSeeds + "[[points]]\nbatch = 1\ncommand = \"train\"\n", "line 6, column 1: command" + kCannotVary},
        Refused{kTrain + kSeeds + "[[points]]\nbatch = 0\ngamma = 1\n",
                "line 5, column 1: batch: at batch 0, gamma 1: 0 is not accepted; a whole number from 1 to 2^40"},
        Refused{kTrain + kSeeds + "record = 1\n", "line 4, column 1: record: no such key of [seeds]; accepted: first or count"},
        Refused{kTrain + kSeeds + "[record]\nparameters = 1\n", "line 5, column 1: parameters: is not accepted; true or false"},
        Refused{kTrain + kSeeds + "[record]\nparametres = true\n",
                "line 5, column 1: parametres: no such key of [record]; did you mean parameters?"},
        Refused{kTrain + kSeeds + "[record]\ncurve_every = -1\n",
                "line 5, column 1: curve_every: -1 is not accepted; a whole number from 0 to 2147483647"},
        Refused{kTrain + kSeeds + "[record]\ncurve_every = 201\n",
                "line 5, column 1: curve_every: 201 is not accepted; at most 200, the updates of a training"},
        Refused{kTrain + "updates = 20000\n" + kSeeds + "[record]\ncurve_every = 1\n",
                "line 6, column 1: curve_every: 20000 points of 20000 updates are not accepted; at most 10000, so curve_every "
                "from 3"},
        Refused{kTrain + kSeeds + "[record]\nevaluation_episodes = 4294967297\n",
                "line 5, column 1: evaluation_episodes: 4294967297 is not accepted; a whole number from 0 to 4294967296"},
        Refused{kTrain + kSeeds + "[record]\nthresholds = []\n",
                "line 5, column 1: thresholds: is not accepted; a list of returns, at least one"},
        Refused{kTrain + kSeeds + "[record]\nthresholds = 3\n",
                "line 5, column 1: thresholds: is not accepted; a list of returns, at least one"},
        Refused{kTrain + kSeeds + "[record]\nthresholds = [100, 100.0]\n",
                "line 5, column 20: thresholds: 100 stands there twice"},
        Refused{kTrain + kSeeds + "[record]\nthresholds = [100, nan]\n",
                "line 5, column 20: thresholds: nan is not accepted; a finite number"},
        Refused{kTrain + kSeeds + "[record]\nthresholds = [100, \"a\"]\n",
                "line 5, column 20: thresholds: a is not accepted; a finite number"},
        Refused{kTrain + kSeeds + "[record]\nthresholds = [100, 501]\n",
                "line 5, column 20: thresholds: 501 is not accepted; a mean return above 0, at most 500: no episode is longer"},
        Refused{kEvaluate + kSeeds + "[record]\ncurve_every = 1\n",
                "line 6, column 1: curve_every: has no meaning for evaluate; it is of trainings"},
        Refused{kEvaluate + kSeeds + "[record]\nparameters = true\n",
                "line 6, column 1: parameters: has no meaning unless [distribution] draws them; all replicas have the same "
                "parameters"},
        Refused{kGradient + kSeeds + "[record]\nparameters = true\n",
                "line 6, column 1: parameters: has no meaning unless [distribution] draws them; all replicas have the same "
                "parameters"},
        Refused{kTrain + kSeeds + "[distribution]\n",
                "line 4, column 2: distribution: is empty; parameters = \"uniform(-1, 1)\", or no [distribution]"},
        Refused{kTrain + kSeeds + "distribution = \"uniform(0, 1)\"\n",
                "line 4, column 1: distribution: no such key of [seeds]; accepted: first or count"},
        Refused{kDrawn + "parameters = \"uniform(1, 1)\"\n", "line 5, column 1: parameters: uniform(1, 1)" + kAccepted},
        Refused{kDrawn + "parameters = \"uniform(1)\"\n", "line 5, column 1: parameters: uniform(1)" + kAccepted},
        Refused{kDrawn + "parameters = \"normal(0, 1)\"\n", "line 5, column 1: parameters: normal(0, 1)" + kAccepted},
        Refused{kDrawn + "parameters = \"uniform(0, inf)\"\n", "line 5, column 1: parameters: uniform(0, inf)" + kAccepted},
        Refused{kDrawn + "parameters = \"uniform 0, 1)\"\n", "line 5, column 1: parameters: uniform 0, 1)" + kAccepted},
        Refused{kDrawn + "parameters = \"uniform(0, 1\"\n", "line 5, column 1: parameters: uniform(0, 1" + kAccepted},
        Refused{kDrawn + "parameters = \"log_uniform(-1, 1)\"\n", "line 5, column 1: parameters: log_uniform(-1, 1)" + kAccepted},
        Refused{kDrawn + "dt = \"log_uniform(0, 1)\"\n", "line 5, column 1: dt: log_uniform(0, 1)" + kAccepted},
        Refused{kDrawn + "dt = \"loguniform(0.1, 1)\"\n",
                "line 5, column 1: dt: loguniform(0.1, 1)" + kAccepted + "; did you mean log_uniform?"},
        Refused{kDrawn + "parameters = 3\n", "line 5, column 1: parameters:" + kAccepted},
        Refused{kDrawn + "parameters = \"uniform(0, 1e30)\"\n",
                "line 5, column 1: parameters: 1e+30 is not accepted; finite numbers, at most 2^94 (2.0e28) in magnitude"},
        Refused{kDrawn + "w_angel = \"uniform(0, 1)\"\n",
                "line 5, column 1: w_angel: no such key of [distribution]; did you mean w_angle?"},
        Refused{kDrawn + "learning_rat = \"uniform(0.1, 1)\"\n",
                "line 5, column 1: learning_rat: no such key of [distribution]; did you mean learning_rate?"},
        Refused{kDrawn + "w_angle = \"uniform(0, 1)\"\nparameters = \"uniform(0, 1)\"\n",
                "line 6, column 1: parameters: cannot be combined with single parameters; it is all of them"},
        Refused{kTrain + "hidden = 2\n" + kSeeds + "[distribution]\nparameters = \"uniform(0, 1)\"\n",
                "line 5, column 2: distribution: not supported with a hidden layer, whose trainings draw their own start "
                "(initialisation)"},
        Refused{kEvaluate + "random = true\n" + kSeeds + "[distribution]\nparameters = \"uniform(0, 1)\"\n",
                "line 6, column 2: distribution: has no meaning with random, which has no parameters"},
        Refused{kTrain + "parameters = [1, 2, 3, 4, 5]\n" + kSeeds + "[distribution]\nparameters = \"uniform(0, 1)\"\n",
                "line 2, column 1: parameters: is drawn by [distribution] on line 6; one of them"},
        Refused{"environment = \"FryShack-v0\"\nbias = 1\n" + kSeeds + "[distribution]\nbias = \"uniform(0, 1)\"\n",
                "line 2, column 1: bias: is drawn by [distribution] on line 6; one of them"},
        Refused{"environment = \"FryShack-v0\"\n" + kSeeds + "[distribution]\nbias = \"uniform(0, 1e39)\"\n",
                "line 5, column 1: bias: 1e+39 is not accepted; a finite number that a float can hold"},
        Refused{"environment = \"FryShack-v0\"\n" + kGrid + "bias=[0,1]\n[distribution]\nbias = \"uniform(0, 1)\"\n",
                "line 5, column 1: bias: is drawn by [distribution] on line 7; one of them"},
        Refused{kTrain + kGrid + "gamma=[0,1]\n[distribution]\ngamma = \"uniform(0, 1)\"\n",
                "line 5, column 1: gamma: is drawn by [distribution] on line 7; one of them"},
        Refused{kTrain + kSeeds + "[[points]]\ngamma=1\n[distribution]\ngamma = \"uniform(0, 1)\"\n",
                "line 5, column 1: gamma: is drawn by [distribution] on line 7; one of them"},
        // Settings: each end is one that every cell can have.
        Refused{
            kDrawn + "learning_rate = \"uniform(0, 1)\"\n",
            "line 5, column 1: learning_rate: 0 is not accepted; a finite number above 0 that a float can hold (from 1.5e-45 to "
            "3.4e38)"},
        Refused{kDrawn + "adam_beta1 = \"uniform(0.5, 1)\"\n",
                "line 5, column 1: adam_beta1: 1 is not accepted; a number from 0 up to, not including, 1"},
        Refused{
            kDrawn + "gravity = \"uniform(0, 20)\"\n",
            "line 5, column 1: gravity: 2.2250738585072014e-308 is not accepted; 0, or a number from 1e-9 (uniform(0, 20) comes "
            "that near to 0)"},
        Refused{
            kTrain + kGrid + "baseline = [\"none\", \"standardize\"]\n[distribution]\ngamma = \"uniform(0.4, 1)\"\n",
            "line 7, column 1: gamma: at baseline standardize: 0.4 is not accepted; 0, or a number from 0.5 to 1 with baseline "
            "standardize: between them the returns' standard deviation drowns in rounding"},
        // The ends alone would do, not together.
        Refused{"environment = \"FryShack-v0\"\nreward_wrong = 0\n" + kSeeds +
                    "[distribution]\nreward_correct = \"uniform(1e-5, 1)\"\nreward_scale = \"uniform(1e-8, 1)\"\n",
                "line 6, column 1: reward_correct: 1e-05 is not accepted; 0, or a number that times the reward scale is at least "
                "1e-9 "
                "in magnitude"},
        Refused{kTrain + "optimizer = \"sgd\"\n" + kSeeds + "[distribution]\nadam_beta1 = \"uniform(0, 0.9)\"\n",
                "line 6, column 1: adam_beta1: has no meaning with optimizer sgd"},
        Refused{kTrain + kGrid + "baseline = [\"constant=3\", \"mean\"]\n[distribution]\nbaseline_value = \"uniform(0, 9)\"\n",
                "line 7, column 1: baseline_value: at baseline mean: has no meaning with baseline mean"},
        Refused{kDrawn + "baseline = \"uniform(0, 9)\"\n",
                "line 5, column 1: baseline: cannot be drawn, but the number in its value can, as baseline_value"},
        Refused{kDrawn + "batch = \"uniform(1, 9)\"\n",
                "line 5, column 1: batch: cannot be drawn: curves, thresholds and counts are of as many updates and episodes for "
                "every "
                "replica of a cell; it can vary in [grid]"},
        Refused{kDrawn + "until = \"uniform(1, 9)\"\n",
                "line 5, column 1: until: cannot be drawn: it is what a cell's replicas are counted by; it can vary in [grid]"},
        Refused{kDrawn + "max_steps = \"uniform(100, 200)\"\n",
                "line 5, column 1: max_steps: cannot be drawn: it bounds the returns that a cell's replicas are compared by; it "
                "can vary "
                "in [grid]"},
        Refused{kDrawn + "hidden = \"uniform(1, 9)\"\n",
                "line 5, column 1: hidden: cannot be drawn: a cell's replicas have the same parameters; it can vary in [grid]"},
        Refused{kDrawn + "optimizer = \"uniform(1, 9)\"\n",
                "line 5, column 1: optimizer: cannot be drawn: only numbers can be; it can vary in [grid]"},
        Refused{kDrawn + "seed = \"uniform(1, 9)\"\n",
                "line 5, column 1: seed: not a setting of a study; [seeds] has first and count"},
        Refused{
            "environment = \"FryShack-v0\"\n" + kSeeds + "[distribution]\ngamma = \"uniform(0, 1)\"\n",
            "line 5, column 1: gamma: FryShack-v0 has no such setting: an episode is one step, so there is nothing to discount "
            "(reward_scale scales the rewards)"},
        Refused{kDrawn + "gamma = \"uniform(0, 1)\"\nentropy_bonus = \"uniform(0, 1)\"\ngravity = \"uniform(1, 2)\"\n"
                         "mass_cart = \"uniform(1, 2)\"\nmass_pole = \"uniform(1, 2)\"\nhalf_length = \"uniform(1, 2)\"\n"
                         "force = \"uniform(1, 2)\"\ndt = \"uniform(0.1, 0.2)\"\nposition_limit = \"uniform(1, 2)\"\n"
                         "angle_limit = \"uniform(1, 2)\"\nstart_range = \"uniform(0.1, 0.2)\"\n",
                "line 4, column 2: distribution: 11 settings are not accepted; at most 10, besides parameters"},
        Refused{"", "line 1, column 1: environment: missing; FryShack-v0, CartPole-v1 or CartPole-v0"},
        Refused{"# \xc3\xa9\n", "line 1, column 3: the byte 0xc3; only ASCII text is accepted, in comments too"}}));

TEST(StudyFile, options_are_settings_or_have_a_reason_why_not) {
  for (const CommandEntry& entry : commands()) {
    const std::string name = entry.name;
    if (name != "train" && name != "evaluate" && name != "gradient") continue;
    for (const Subject& subject : subjects_of(entry)) {
      const std::unique_ptr<Command> command = entry.make(subject);
      const std::string algorithm = subject.algorithm.empty() ? "" : "algorithm = '" + subject.algorithm + "'";
      for (const Option& option : command->table().options()) {
        if (option.setting && option.name != "seed" && option.name != "replicas") continue;
        const std::string key = key_of(option.name);
        if (key == "preset" || key == "episodes" || key == "parameters") continue;
        const std::string text = "command = '" + name + "'\nenvironment = '" + subject.environment + "'\n" + algorithm + "\n" +
                                 key + " = 1\n" + kSeeds;
        EXPECT_TRUE(refusal(text).starts_with("folder/luck.toml: line 4, column 1: " + key + ": ")) << refusal(text);
        EXPECT_NE(refusal(text).find("study"), std::string::npos) << refusal(text);
      }
    }
  }
}

TEST(StudyFile, damage_is_refused_and_nothing_worse) {
  std::uint64_t state = 1;
  const auto random = [&](std::uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  const std::string pieces = "[]{}=\"'.,#\n\t -+eE0123456789xnaift\\uU_:\x7f\x80";
  const std::string good =
      std::string(kExample) + "thresholds = [100]\n[[points]]\ngamma = 0.9\nbatch = {from = 1, to = 2, steps = 2}\n";
  std::size_t accepted = 0, refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text = i % 2 == 0 ? kExample : good;
    for (std::uint64_t n = 1 + random(3); n-- > 0;) {
      const std::size_t at = random(text.size());
      switch (random(3)) {
        case 0:
          text[at] = pieces[random(pieces.size())];
          break;
        case 1:
          text.erase(at, 1 + random(4));
          break;
        default:
          text.insert(at, 1, pieces[random(pieces.size())]);
      }
    }
    try {
      const study::Plan plan = parse(text);
      ++accepted;
      EXPECT_GE(plan.cells.size(), 1u);
    } catch (const ConfigurationError& error) {
      ++refused;
      EXPECT_TRUE(std::string(error.what()).starts_with("folder/luck.toml: line ")) << error.what();
    }
  }
  EXPECT_GT(accepted, 100u);
  EXPECT_GT(refused, 1000u);
}

// A Q network's parameters are thousands: kept where the file asks for them, and never drawn.
TEST(StudyFile, ParametersOfValueLearnersAreKeptOnRequest) {
  const std::string head = kTrain + "preset = \"workshop\"\n" + kSeeds;
  EXPECT_FALSE(parse_study("s.toml", head).record.parameters);
  EXPECT_FALSE(parse_study("s.toml", head + "[record]\ncurve_every = 10\n").record.parameters);
  EXPECT_TRUE(parse_study("s.toml", head + "[record]\nparameters = true\n").record.parameters);
  EXPECT_NE(refusal(head + "[distribution]\nparameters = \"uniform(-1, 1)\"\n").find("initialisation"), std::string::npos);
}

// A curve of value learners has no point for the first episode alone.
TEST(StudyFile, PointsOfACurveOfValueLearners) {
  const std::string head = kTrain + "algorithm = \"q-learning\"\nepisodes = 20000\n" + kSeeds + "[record]\ncurve_every = ";
  EXPECT_EQ(parse_study("s.toml", head + "2\n").record.curve_every, 2u);
  EXPECT_NE(refusal(head + "1\n").find("20000 points of 20000 episodes are not accepted"), std::string::npos)
      << refusal(head + "1\n");
}

}  // namespace
}  // namespace fryer::cli
