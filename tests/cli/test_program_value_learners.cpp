// SPDX-License-Identifier: Apache-2.0
// train by dqn and q-learning: what the program refuses, which words choose the algorithm, what its documents have, that they repeat their
// run, rows, and a Q network's file from train to evaluate and trace.
#include <algorithm>
#include <sstream>

#include "fryer/engine/configuration.h"
#include "host/cli/command.h"
#include "tests/cli/program.h"

namespace fryer::cli {
namespace {

const Words kDqn = {"train", "CartPole-v1", "--algorithm", "dqn",        "--hidden", "12,8",           "--batch",
                    "8",     "--buffer",    "300",         "--episodes", "25",       "--warmup-steps", "60"};
const Words kOnline = {"train", "CartPole-v1", "--algorithm", "q-learning", "--hidden", "12,8", "--episodes", "25"};

// The words with more of them, which replace options of the same name.
Words with(Words words, const Words& more) {
  for (const std::string& word : more) {
    const auto same = std::find(words.begin() + 2, words.end(), word);
    if (word.starts_with("--") && same != words.end()) words.erase(same, same + 2);
  }
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

nlohmann::json document_of(const Words& words) {
  const Outcome outcome = run_program(with(words, {"--json", "--quiet"}));
  EXPECT_EQ(outcome.code, 0) << line_of(words) << '\n' << outcome.err;
  EXPECT_EQ(outcome.err, "") << line_of(words);
  return outcome.code == 0 ? outcome.document() : nlohmann::json();
}

std::string refusal(const Words& words) {
  try {
    parse_command_line(words);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}
Json configuration(const Words& words) { return parse_command_line(words)->table().configuration(); }

void expect_says(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << "lacks: " << part << '\n' << text;
}

// ---- words

TEST(ValueLearnerOptions, RefusalsNameOptionValueAndWhatIsAccepted) {
  struct Refusal {
    Words more;
    std::vector<std::string> says;
  };
  const Words dqn = {"train", "CartPole-v1", "--algorithm", "dqn"},
              online = {"train", "CartPole-v1", "--algorithm", "q-learning"};
  const auto expect = [](const Words& words, const std::vector<Refusal>& refusals) {
    for (const Refusal& r : refusals) {
      const std::string said = refusal(with(words, r.more));
      EXPECT_TRUE(said.starts_with(r.more[0] + ": ")) << line_of(with(words, r.more)) << '\n' << said;
      expect_says(said, r.says);
    }
  };
  expect(dqn, {{{"--hidden", "0,64"}, {"0,64", "from 1 to 256"}},
               {{"--hidden", "64,257"}, {"64,257", "from 1 to 256"}},
               {{"--hidden", "64"}, {"64", "two whole numbers"}},
               {{"--hidden", "64,64,64"}, {"two whole numbers"}},
               {{"--hidden", "64,64,"}, {"two whole numbers"}},
               {{"--hidden", "a,b"}, {"a,b", "two whole numbers"}},
               {{"--activation", "tanh"}, {"tanh", "relu"}},
               {{"--batch", "0"}, {"0", "from 1 to 256"}},
               {{"--batch", "257"}, {"257", "from 1 to 256"}},
               {{"--batch", "1e12"}, {"1e12", "from 1 to 256"}},
               {{"--batch", "200", "--buffer", "100"}, {"200", "--buffer 100"}},
               {{"--buffer", "0"}, {"0", "from 1"}},
               {{"--buffer", "4294967296"}, {"4294967296", "4294967295"}},
               {{"--epsilon-start", "1.5"}, {"1.5", "from 0 to 1"}},
               {{"--epsilon-start", "-0.1"}, {"-0.1", "from 0 to 1"}},
               {{"--epsilon-end", "nan"}, {"nan", "from 0 to 1"}},
               {{"--epsilon-decay-steps", "0"}, {"0", "from 1"}},
               {{"--epsilon-end", "0.1", "--epsilon-schedule", "constant"}, {"no meaning with --epsilon-schedule constant"}},
               {{"--epsilon-schedule", "cosine"}, {"cosine", "constant, linear or exponential"}},
               {{"--target-mix", "0"}, {"0", "above 0 that a float can hold, at most 1"}},
               {{"--target-mix", "1.1"}, {"1.1", "above 0 that a float can hold, at most 1"}},
               {{"--target-every", "0"}, {"0", "from 1"}},
               {{"--gamma", "1.5"}, {"1.5", "from 0 to 1"}},
               {{"--gamma", "-1"}, {"-1", "from 0 to 1"}},
               {{"--reward-scale", "-1"}, {"-1", "1e-9"}},
               {{"--warmup-steps", "1e18"}, {"2^40"}},
               {{"--train-every", "0"}, {"0", "from 1"}},
               {{"--gradient-steps", "0"}, {"0", "from 1"}},
               {{"--gradient-steps", "4294967296"}, {"4294967296"}},
               {{"--clip-norm", "-1"}, {"-1", "off"}},
               {{"--clip-norm", "none"}, {"none", "off"}},
               {{"--loss", "l1"}, {"l1", "mse or huber"}},
               {{"--terminal-mask", "maybe"}, {"maybe", "on or off"}},
               {{"--truncation", "cut"}, {"cut", "bootstrap or terminal"}},
               {{"--truncation", "terminal", "--terminal-mask", "off"}, {"no meaning with --terminal-mask off"}},
               {{"--episodes", "0"}, {"0", "from 1"}},
               {{"--episodes", "3e9"}, {"2147483647"}},
               {{"--until", "501"}, {"501", "at most 500"}},
               {{"--learning-rate", "0"}, {"0", "above 0"}},
               {{"--updates", "3"}, {"not an option of dqn", "--episodes"}},
               {{"--baseline", "mean"}, {"not an option of dqn, but of reinforce"}},
               {{"--entropy-bonus", "1"}, {"not an option of dqn, but of reinforce"}},
               {{"--target", "residual"}, {"not an option of dqn, but of q-learning"}},
               {{"--parameters", "1,2,3,4,5"}, {"--initialisation"}},
               {{"--greedy"}, {"--epsilon-start"}},
               {{"--weight", "20"}, {"not an option of train CartPole-v1, but of FryShack-v0"}},
               {{"--bufer", "3"}, {"did you mean --buffer?"}},
               {{"--preset", "tensorflow"}, {"another algorithm than --algorithm dqn", "workshop, zoo or cleanrl"}},
               {{"--preset", "solve"}, {"another algorithm than --algorithm dqn"}},
               {{"--preset", "workshp"}, {"did you mean workshop?"}},
               {{"--save-policy", "x.json", "--replicas", "2"}, {"--replicas 2"}}});
  expect(online, {{{"--batch", "2"}, {"2", "1, the only one"}},
                  {{"--buffer", "5"}, {"not an option of q-learning, but of dqn", "without buffer"}},
                  {{"--warmup-steps", "5"}, {"not an option of q-learning, but of dqn"}},
                  {{"--target-mix", "0.1"}, {"not an option of q-learning, but of dqn"}},
                  {{"--double"}, {"not an option of q-learning, but of dqn"}},
                  {{"--target", "full"}, {"full", "residual or semi-gradient"}},
                  {{"--preset", "workshop"}, {"another algorithm than --algorithm q-learning"}}});
  expect({"train", "CartPole-v1"}, {{{"--algorithm", "dpn"}, {"dpn", "accepted on CartPole-v1", "did you mean dqn?"}},
                                    {{"--buffer", "5"}, {"not an option of reinforce, but of dqn"}},
                                    {{"--clip-norm", "5"}, {"not an option of reinforce, but of dqn or q-learning"}}});
  expect({"train", "FryShack-v0"}, {{{"--algorithm", "dqn"}, {"dqn", "accepted on FryShack-v0: reinforce"}},
                                    {{"--preset", "workshop"}, {"workshop", "accepted on FryShack-v0: notebook"}}});
  expect({"evaluate", "CartPole-v1"}, {{{"--algorithm", "dqn"}, {"not an option of evaluate, but of train"}},
                                       {{"--epsilon-start", "1"}, {"not an option of evaluate, but of train"}},
                                       {{"--hidden", "64,64"}, {"64,64 needs the network's 4610 --parameters", "--policy"}},
                                       {{"--parameters", "1,2,3", "--hidden", "2,2"}, {"--hidden 2,2 has 22", "are 3"}}});
}

TEST(ValueLearnerOptions, DefaultsAndPresetsAreTheLibrarys) {
  const Json dqn = configuration({"train", "CartPole-v1", "--algorithm", "dqn"});
  EXPECT_EQ(dqn["episodes"], 500);
  EXPECT_EQ(dqn["batch"], 128);
  EXPECT_EQ(dqn["hidden"], Json::array({64, 64}));
  EXPECT_EQ(dqn["epsilon_end"], 0.05);
  EXPECT_EQ(dqn["epsilon_decay_steps"], 10000);
  EXPECT_EQ(dqn["loss"], "huber");
  EXPECT_EQ(dqn["terminal_mask"], true);
  EXPECT_FALSE(dqn.contains("updates"));
  const Json online = configuration({"train", "CartPole-v0", "--algorithm", "q-learning"});
  EXPECT_EQ(online["episodes"], 200);
  EXPECT_EQ(online["batch"], 1);
  EXPECT_EQ(online["target"], "semi-gradient");
  EXPECT_EQ(online["adam_form"], "keras");
  EXPECT_EQ(online["max_steps"], 200);
  EXPECT_FALSE(online.contains("buffer"));
  EXPECT_FALSE(online.contains("epsilon_end"));
  const auto cell_of = [](const Words& words) { return std::get<QTrainConfiguration>(*parse_command_line(words)->cell()); };
  const std::vector<std::pair<std::string, QTrainConfiguration>> presets = {{"workshop", workshop_preset(500)},
                                                                            {"zoo", zoo_preset(500)},
                                                                            {"cleanrl", cleanrl_preset(500)},
                                                                            {"tensorflow", tensorflow_preset(500)}};
  for (const auto& [name, expected] : presets) {
    const QTrainConfiguration c = cell_of({"train", "CartPole-v1", "--preset", name, "--seed", "7"});
    EXPECT_EQ(c.seed, 7u);
    EXPECT_EQ(c.training.replay_capacity, expected.training.replay_capacity) << name;
    EXPECT_EQ(c.training.shape.hidden1, expected.training.shape.hidden1) << name;
    EXPECT_EQ(c.training.terminal_mask, expected.training.terminal_mask) << name;
    EXPECT_EQ(c.training.learning.bootstrap, expected.training.learning.bootstrap) << name;
    EXPECT_EQ(c.training.epsilon.start, expected.training.epsilon.start) << name;
    EXPECT_EQ(c.training.environment.max_steps, 500u);
  }
  const QTrainConfiguration changed = cell_of({"train", "CartPole-v0", "--preset", "workshop", "--double", "--clip-norm", "off",
                                               "--update-after-last-step", "on", "--warmup-whole-episodes=false"});
  EXPECT_EQ(changed.training.learning.bootstrap, Bootstrap::double_q);
  EXPECT_EQ(changed.training.learning.clip_norm, 0);
  EXPECT_TRUE(changed.training.updates_after_last_step);
  EXPECT_FALSE(changed.training.warmup_in_whole_episodes);
  EXPECT_EQ(changed.training.environment.max_steps, 200u);
  // An option that is on or off may stand alone, wherever.
  for (const Words& words : {Words{"train", "CartPole-v1", "--preset", "tensorflow", "--terminal-mask"},
                             Words{"train", "CartPole-v1", "--preset", "tensorflow", "--terminal-mask", "--seed", "7"},
                             Words{"train", "--terminal-mask", "CartPole-v1", "--preset", "tensorflow"},
                             Words{"train", "CartPole-v1", "--terminal-mask=on", "--preset", "tensorflow"}})
    EXPECT_TRUE(cell_of(words).training.terminal_mask) << line_of(words);
}

// All in the same ways: alone, on, off, and true and false for files.
TEST(ValueLearnerOptions, SwitchesAreAlike) {
  const Folder folder;
  const std::string file = folder / "settings.toml";
  for (const auto& [learner, names] : std::vector<std::pair<std::string, Words>>{
           {"dqn", {"double", "warmup-whole-episodes", "update-after-last-step", "terminal-mask", "sutton-barto-reward"}},
           {"q-learning", {"terminal-mask", "sutton-barto-reward"}},
           {"reinforce", {"sutton-barto-reward"}}}) {
    const std::string algorithm = learner;
    for (const std::string& name : names) {
      const std::string key = key_of(name), option = "--" + name;
      const auto value = [&](const Words& more) {
        return configuration(with({"train", "CartPole-v1", "--algorithm", algorithm}, more))[key].get<bool>();
      };
      const auto of_file = [&](const std::string& text) {
        write_bytes(file, key + " = " + text + "\n");
        return value({"--config", file});
      };
      for (const Words& on : {Words{option}, Words{option, "on"}, Words{option + "=true"}, Words{option, "--seed", "1"}})
        EXPECT_TRUE(value(on)) << line_of(on);
      for (const Words& off : {Words{option, "off"}, Words{option + "=off"}, Words{option, "false"}})
        EXPECT_FALSE(value(off)) << line_of(off);
      for (const char* text : {"true", "'on'"}) EXPECT_TRUE(of_file(text)) << key << text;
      for (const char* text : {"false", "'off'"}) EXPECT_FALSE(of_file(text)) << key << text;
      expect_says(refusal({"train", "CartPole-v1", "--algorithm", algorithm, option, "yes"}),
                  {option + ": yes is not accepted; on or off; in files true or false too"});
    }
  }
}

TEST(ValueLearnerOptions, TheAlgorithmIsChosenByWordsThenFileThenPreset) {
  const Folder folder;
  const std::string file = folder / "settings.toml";
  const auto algorithm = [&](const Words& more) { return parse_command_line(with({"train", "CartPole-v1"}, more))->algorithm(); };
  EXPECT_EQ(algorithm({}), "reinforce");
  EXPECT_EQ(algorithm({"--preset", "solve"}), "reinforce");
  EXPECT_EQ(algorithm({"--preset=cleanrl"}), "dqn");
  EXPECT_EQ(algorithm({"--algorithm=q-learning", "--preset", "tensorflow"}), "q-learning");
  EXPECT_EQ(algorithm({"--save-policy", "dqn"}), "reinforce");
  write_bytes(file, "algorithm = 'dqn'\nbuffer = 700\nhidden = [16, 8]\nterminal_mask = false\n");
  EXPECT_EQ(algorithm({"--config", file}), "dqn");
  const Json c = configuration({"train", "CartPole-v1", "--config", file});
  EXPECT_EQ(c["buffer"], 700);
  EXPECT_EQ(c["hidden"], Json::array({16, 8}));
  EXPECT_EQ(c["terminal_mask"], false);
  expect_says(refusal({"train", "CartPole-v1", "--config", file, "--algorithm", "reinforce"}),
              {"buffer: not an option of reinforce, but of dqn"});
  expect_says(refusal({"train", "CartPole-v1", "--config", file, "--preset", "solve"}),
              {"buffer: not an option of reinforce, but of dqn"});
  write_bytes(file, "preset = 'tensorflow'\nepisodes = 30\n");
  EXPECT_EQ(algorithm({"--config", file}), "q-learning");
  EXPECT_EQ(configuration({"train", "CartPole-v1", "--config", file})["target"], "residual");
  EXPECT_EQ(algorithm({"--config", file, "--preset", "zoo"}), "dqn");
  write_bytes(file, "algorithm = 'sarsa'\n");
  expect_says(refusal({"train", "CartPole-v1", "--config", file}), {"settings.toml: algorithm: sarsa is not accepted"});
}

TEST(ValueLearnerOptions, AreInHelpAndList) {
  const std::string all = run_program({"train", "--help"}).out, one = run_program({"help", "train", "CartPole-v1"}).out,
                    dqn = run_program({"train", "CartPole-v1", "--algorithm", "dqn", "--help"}).out;
  for (const std::string& help : {all, one})
    expect_says(help, {"Options of dqn and q-learning", "Options of q-learning", "--hidden H1,H2", "--target-mix TAU",
                       "--terminal-mask [on|off]", "default 64,64 (dqn), 32,32 (q-learning)", "--baseline", "--preset workshop",
                       "--preset tensorflow"});
  expect_says(all, {"Options of FryShack-v0", "default 500 (CartPole-v1), 200 (CartPole-v0);", "--large-order-norm"});
  expect_says(dqn, {"--buffer N", "default 100000;", "unit: transitions", "--algorithm dqn --episodes"});
  EXPECT_EQ(dqn.find("--baseline"), std::string::npos);
  EXPECT_EQ(one.find("--large-order-norm"), std::string::npos);
  expect_says(run_program({"list"}).out, {"dqn", "q-learning", "workshop", "zoo", "cleanrl", "tensorflow"});
}

// ---- documents

TEST(ValueLearnerDocument, HasACurveByEpisode) {
  const auto d = document_of(kDqn);
  EXPECT_EQ(d["algorithm"], "dqn");
  EXPECT_EQ(d["final_parameters"].size(), 4u * 12 + 12 + 12 * 8 + 8 + 8 * 2 + 2);
  EXPECT_TRUE(d["final_parameters"].contains("b3_action1"));
  EXPECT_FALSE(d["curve"].contains("update"));
  ASSERT_EQ(d["curve"]["episode"].size(), 25u);
  EXPECT_EQ(d["curve"]["episode"][0], 1);
  EXPECT_EQ(d["curve"]["episode"][24], 25);
  double counted = 0;
  for (const auto& length : d["curve"]["mean_return"]) counted += length.get<double>();
  EXPECT_LE(counted, d["steps"].get<double>());
  EXPECT_GE(d["episodes"], 25);
  EXPECT_GT(d["optimizer_updates"], 0);
  EXPECT_EQ(d["failed"]["count"], 0);
  EXPECT_TRUE(d["solved"].is_null());
  EXPECT_TRUE(d["episodes_to_threshold"].is_null());
}

TEST(ValueLearnerDocument, OfAPopulationThatMeetsUntil) {
  const auto d = document_of(with(kDqn, {"--replicas", "6", "--episodes", "130", "--until", "9.5"}));
  EXPECT_EQ(d["solved"]["count"], 6);
  EXPECT_TRUE(d["final_parameters"]["b3_action0"].contains("quantiles"));
  EXPECT_TRUE(d["curve"].contains("quantiles"));
  const auto &episodes = d["episodes_to_threshold"], &updates = d["updates_to_threshold"], &steps = d["steps_to_threshold"];
  EXPECT_GE(episodes["min"], 100);
  EXPECT_LE(episodes["max"], 130);
  EXPECT_GT(updates["mean"], episodes["mean"]);
  EXPECT_GE(steps["mean"], updates["mean"]);
  EXPECT_EQ(d["curve"]["count"][0], 6);
  const auto& final_return = d["final_return"];
  EXPECT_GE(final_return["min"].get<double>(), 9.5) << "each was stopped where it reached that";
  EXPECT_LE(final_return["min"], final_return["quantiles"]["0.5"]);
  EXPECT_LE(final_return["quantiles"]["0.5"], final_return["max"]);
}

// Of each replica as of the same training alone.
TEST(ValueLearnerDocument, HasTheMeanOfTheLastEpisodes) {
  std::vector<double> alone;
  for (const char* seed : {"9", "10", "11"}) {
    const auto d = document_of(with(kOnline, {"--seed", seed, "--episodes", "120"}));
    const auto returns = d["curve"]["mean_return"].get<std::vector<double>>();
    double sum = 0;
    for (std::size_t e = 20; e < 120; ++e) sum += returns[e];
    EXPECT_EQ(d["final_return"], sum / 100);
    alone.push_back(sum / 100);
  }
  std::sort(alone.begin(), alone.end());
  const Words population = with(kOnline, {"--seed", "9", "--replicas", "3", "--episodes", "120"});
  const auto spread = document_of(population)["final_return"];
  EXPECT_EQ(spread["min"], alone[0]);
  EXPECT_EQ(spread["quantiles"]["0.5"], alone[1]);
  EXPECT_EQ(spread["max"], alone[2]);
  EXPECT_DOUBLE_EQ(spread["mean"].get<double>(), (alone[0] + alone[1] + alone[2]) / 3);
  expect_says(run_program(population).out,
              {"Mean return of a training's last 100 episodes: mean ", "5 % of the trainings have "});
  const auto few = document_of(with(kOnline, {"--episodes", "7"}));
  double sum = 0;
  for (const double x : few["curve"]["mean_return"]) sum += x;
  EXPECT_EQ(few["final_return"], sum / 7);
}

// The statistics of each of thousands of parameters take a line.
TEST(ValueLearnerDocument, OfManyParametersHasOneLineEach) {
  const Outcome outcome = run_program(with(kOnline, {"--hidden", "64,64", "--replicas", "2", "--episodes", "2", "--json"}));
  EXPECT_EQ(outcome.document()["final_parameters"].size(), 4610u);
  const auto lines = std::count(outcome.out.begin(), outcome.out.end(), '\n');
  EXPECT_GT(lines, 4610);
  EXPECT_LT(lines, 4610 + 300);
}

TEST(ValueLearnerDocument, RepeatsItsRun) {
  const Folder folder;
  const std::string file = folder / "run.json";
  const auto preset = [](const char* environment, const char* name) {
    return Words{"train", environment, "--preset", name, "--episodes", "3", "--warmup-steps", "400", "--batch", "16"};
  };
  for (const Words& words :
       {with(kDqn, {"--double", "--target-every", "7", "--target-mix", "1"}), with(kDqn, {"--replicas", "3", "--seed", "9"}),
        with(kDqn, {"--sutton-barto-reward", "--loss", "mse", "--clip-norm", "off", "--terminal-mask", "off"}), kOnline,
        with(kOnline, {"--target", "residual", "--epsilon-schedule", "exponential", "--epsilon-start", "0.5"}),
        preset("CartPole-v0", "workshop"), preset("CartPole-v1", "zoo"), preset("CartPole-v1", "cleanrl"),
        Words{"train", "CartPole-v1", "--preset", "tensorflow", "--episodes", "5"}}) {
    const auto d = document_of(words);
    write_bytes(file, d.dump());
    const auto again = document_of({"train", "--config", file});
    EXPECT_EQ(again["digest"], d["digest"]) << line_of(words);
    EXPECT_EQ(again["configuration"], d["configuration"]) << line_of(words);
    EXPECT_EQ(again["algorithm"], d["algorithm"]);
  }
}

TEST(ValueLearnerDocument, OfAFailedTraining) {
  const Outcome outcome = run_program(with(kDqn, {"--learning-rate", "1e38", "--replicas", "2", "--json", "--quiet"}));
  EXPECT_EQ(outcome.code, 1);
  expect_says(outcome.err, {"2 of 2 trainings failed", "seed 42"});
  EXPECT_EQ(outcome.document()["failed"]["count"], 2);
  EXPECT_TRUE(outcome.document()["final_return"].is_null());
}

// What may help depends on what failed; and it helps.
TEST(ValueLearnerFailure, AdvisesWhatHelps) {
  const auto advice = [](const Words& words) {
    const Outcome outcome = run_program(with(words, {"--quiet"}));
    EXPECT_EQ(outcome.code, 1) << line_of(words) << '\n' << outcome.err;
    return outcome.err.substr(outcome.err.rfind('('));
  };
  const Words sgd = with(kOnline, {"--optimizer", "sgd", "--learning-rate", "10"});
  EXPECT_EQ(advice(sgd), "(--clip-norm 10 or a smaller --learning-rate may help)\n");
  EXPECT_EQ(run_program(with(sgd, {"--clip-norm", "10", "--quiet"})).code, 0);
  EXPECT_EQ(advice(with(kOnline, {"--optimizer", "sgd", "--reward-scale", "1e9"})),
            "(--clip-norm 10, a smaller --reward-scale or a smaller --learning-rate may help)\n");
  EXPECT_EQ(advice(with(kDqn, {"--learning-rate", "1e38"})), "(a smaller --learning-rate may help)\n");
  EXPECT_EQ(advice(with(kDqn, {"--adam-epsilon", "0"})), "(an --adam-epsilon above 0 or a smaller --learning-rate may help)\n");
}

// ---- text

TEST(ValueLearnerText, DoesNotDrownInParameters) {
  const Outcome one = run_program(with(kDqn, {"--hidden", "64,64", "--device", "cpu"}));
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_LT(std::count(one.out.begin(), one.out.end(), '\n'), 30) << one.out;
  expect_says(one.out, {"episodes", "of the last 10 episodes", "4,610 parameters", " updates in ", "updates/s"});
  const Outcome many = run_program(with(kDqn, {"--replicas", "5", "--episodes", "120", "--until", "9.5", "--device", "cpu"}));
  ASSERT_EQ(many.code, 0) << many.err;
  EXPECT_LT(std::count(many.out.begin(), many.out.end(), '\n'), 50) << many.out;
  expect_says(many.out, {"5 of 5 trainings", "95 % interval", "Episodes until then: mean ", "Steps until then: mean "});
}

TEST(ValueLearnerText, TellsEveryTenEpisodesOfOneTraining) {
  const auto told = [](const Words& words) {
    std::istringstream lines(run_program(words).err);
    std::vector<std::string> found;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("episode ")) found.push_back(line);
    }
    return found;
  };
  const auto lines = told(with(kDqn, {"-v"}));
  ASSERT_EQ(lines.size(), 2u);
  const auto curve = document_of(kDqn)["curve"]["mean_return"];
  double sum = 0;
  for (std::size_t i = 10; i < 20; ++i) sum += curve[i].get<double>();
  char expected[100];
  std::snprintf(expected, sizeof expected, "episode 20: mean return of the last ten %.1f", sum / 10);
  EXPECT_EQ(lines[1], expected);
  expect_says(told(with(kOnline, {"-v", "--sutton-barto-reward"}))[0], {"episode 10: mean return of the last ten -1.0"});
  EXPECT_EQ(told(kDqn).size(), 0u);
  EXPECT_EQ(told(with(kDqn, {"-v", "--quiet"})).size(), 0u);
  EXPECT_EQ(told(with(kDqn, {"-v", "--replicas", "2"})).size(), 0u);
}

TEST(ValueLearnerDryRun, TellsMemoryOfAReplica) {
  const Outcome text = run_program(with(kDqn, {"--dry-run", "--device", "cpu"}));
  EXPECT_EQ(text.code, 0) << text.err;
  expect_says(text.out, {"1 training of 25 episodes with a Q network of 182 parameters", "steps/s", "per replica that trains"});
  const auto d = document_of(with(kDqn, {"--dry-run"}));
  EXPECT_GT(d["plan"]["memory_bytes_per_replica"], 0);
  EXPECT_GT(d["plan"]["steps_per_second"], 0);
}

TEST(ValueLearnerUntil, WarnsWhereNoTrainingCanMeetIt) {
  const Outcome outcome = run_program(with(kDqn, {"--until", "20"}));
  EXPECT_EQ(outcome.code, 0);
  expect_says(outcome.err, {"--until looks back on 100 episodes: with --episodes 25 no training can meet it"});
}

// ---- files

TEST(ValueLearnerReplicas, EachRowIsTheTrainingOfItsSeed) {
  const Folder folder;
  const std::string file = folder / "rows.csv";
  ASSERT_EQ(run_program(with(kDqn, {"--replicas", "3", "--save-replicas", file, "--quiet"})).code, 0);
  std::istringstream lines(read_bytes(file));
  std::string head, row;
  std::getline(lines, head);
  EXPECT_TRUE(head.starts_with("seed,status,updates,episodes,steps,w1_unit0_position,")) << head;
  for (int k = 0; k < 3; ++k) {
    ASSERT_TRUE(std::getline(lines, row));
    const auto alone = document_of(with(kDqn, {"--seed", std::to_string(42 + k)}));
    EXPECT_TRUE(row.starts_with(std::to_string(42 + k) + ",finished," + alone["optimizer_updates"].dump() + ",25," +
                                alone["steps"].dump() + ','))
        << row.substr(0, 60);
    EXPECT_EQ(std::stod(row.substr(row.rfind(',') + 1)), alone["final_parameters"]["b3_action1"].get<double>());
  }
}

TEST(ValueLearnerReplicas, NumpyReadsThousandsOfParameters) {
  const Folder folder;
  const std::string npy = folder / "rows.npy";
  ASSERT_EQ(run_program(with(kDqn, {"--hidden", "64,64", "--replicas", "2", "--save-replicas", npy, "--quiet"})).code, 0);
  EXPECT_EQ(read_bytes(npy).substr(0, 8), std::string("\x93NUMPY\x02\0", 8));
  if (std::system("python3 -c 'import numpy' >/dev/null 2>&1") != 0) GTEST_SKIP() << "python3 with numpy is not installed";
  const std::string check =
      "import numpy, sys; a = numpy.load(sys.argv[1], max_header_size=10**6); assert len(a.dtype.names) == 5 + 4610; assert "
      "list(a['episodes']) == [25, 25]; assert a['b3_action1'].dtype == numpy.float32";
  EXPECT_EQ(std::system(("python3 -c \"" + check + "\" '" + npy + "'").c_str()), 0);
}

TEST(QNetworkFile, GoesFromTrainToEvaluateAndTrace) {
  const Folder folder;
  const std::string file = folder / "policy.json", earlier = folder / "evaluated.json";
  const auto trained = document_of(with(kDqn, {"--save-policy", file}));
  const auto policy = nlohmann::json::parse(read_bytes(file));
  EXPECT_EQ(policy["version"], 2);
  EXPECT_EQ(policy["hidden"], nlohmann::json::array({12, 8}));
  ASSERT_EQ(policy["layers"].size(), 3u);
  EXPECT_EQ(policy["layers"][1]["weight"].size(), 8u);
  EXPECT_EQ(policy["layers"][1]["weight"][0].size(), 12u);
  EXPECT_EQ(policy["layers"][1]["weight"][7][11], trained["final_parameters"]["w2_unit7_unit11"]);
  EXPECT_EQ(policy["layers"][0]["bias"][3], trained["final_parameters"]["b1_unit3"]);
  EXPECT_EQ(policy["layers"][2]["weight"][1][0], trained["final_parameters"]["w3_action1_unit0"]);

  const auto evaluated = document_of({"evaluate", "CartPole-v0", "--policy", file, "--episodes", "200"});
  EXPECT_EQ(evaluated["configuration"]["greedy"], true);
  EXPECT_EQ(evaluated["configuration"]["hidden"], nlohmann::json::array({12, 8}));
  EXPECT_EQ(evaluated["configuration"]["parameters"].size(), 182u);
  EXPECT_FALSE(evaluated["configuration"].contains("activation"));
  write_bytes(earlier, evaluated.dump());
  EXPECT_EQ(document_of({"evaluate", "--config", earlier})["digest"], evaluated["digest"]);
  EXPECT_EQ(document_of({"evaluate", "--config", earlier, "--random"})["configuration"]["random"], true);
  EXPECT_EQ(document_of({"evaluate", "CartPole-v0", "--policy", file, "--episodes", "200", "--greedy"})["digest"],
            evaluated["digest"]);

  const auto traced = document_of({"trace", "CartPole-v1", "--precision", "float", "--policy", file});
  const auto first = document_of({"evaluate", "CartPole-v1", "--episodes", "1", "--policy", file});
  EXPECT_EQ(first["return"]["mean"], traced["return"]);
  write_bytes(earlier, traced.dump());
  EXPECT_EQ(document_of({"trace", "--config", earlier})["digest"], traced["digest"]);
  expect_says(run_program({"trace", "CartPole-v1", "--policy", file}).out, {"a Q network 4-12-8-2, greedy on CartPole-v1"});

  struct Refusal {
    int code;
    Words words;
    const char* says;
  };
  for (const Refusal& r :
       {Refusal{2, {"evaluate", "CartPole-v1", "--policy", file, "--hidden", "12,8"}, "cannot be combined with --hidden"},
        Refusal{2,
                {"evaluate", "CartPole-v1", "--policy", file, "--parameters", "1,2,3,4,5"},
                "cannot be combined with --parameters"},
        Refusal{2, {"evaluate", "CartPole-v1", "--policy", file, "--greedy=false"}, "acts greedily"},
        Refusal{2, {"evaluate", "CartPole-v1", "--policy", file, "--random"}, "--random"},
        Refusal{2, {"gradient", "CartPole-v1", "--policy", file}, "no policy gradient"},
        Refusal{2, {"trace", "CartPole-v1", "--policy", file, "--actions", "01"}, "--actions"},
        Refusal{5, {"evaluate", "FryShack-v0", "--policy", file}, "not for FryShack-v0"}}) {
    const Outcome outcome = run_program(r.words);
    EXPECT_EQ(outcome.code, r.code) << line_of(r.words) << '\n' << outcome.err;
    expect_says(outcome.err, {r.says});
  }
}

// The document with the checksum that fits it: 64-bit FNV-1a of all else, compact and with sorted keys.
std::string with_checksum(nlohmann::json document) {
  document.erase("checksum");
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : document.dump()) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  document["checksum"] = text;
  return document.dump();
}

TEST(QNetworkFile, IsRefusedIfDamagedOrOfAnotherShape) {
  const Folder folder;
  const std::string file = folder / "policy.json", other = folder / "other.json";
  ASSERT_EQ(run_program(with(kDqn, {"--save-policy", file, "--quiet"})).code, 0);
  const std::string text = read_bytes(file);
  const auto expect = [&](int code, const std::string& changed, const std::string& says) {
    write_bytes(other, changed);
    const Outcome outcome = run_program({"evaluate", "CartPole-v1", "--policy", other, "--episodes", "10", "--quiet"});
    EXPECT_EQ(outcome.code, code) << says << '\n' << outcome.err;
    expect_says(outcome.err, {says});
    EXPECT_EQ(outcome.err.find("exception"), std::string::npos) << "the JSON library's words: " << outcome.err;
    EXPECT_EQ(outcome.out.empty(), code != 0);
  };
  const auto changed = [&](const auto& change) {
    nlohmann::json document = nlohmann::json::parse(text);
    change(document);
    return with_checksum(document);
  };
  using Document = nlohmann::json;
  expect(0, changed([](Document&) {}), "");
  expect(5, text.substr(0, text.size() / 2), "the file ends too early, after");
  expect(5, "{\"format\" \"fryer policy\"}", "not JSON at byte 24; accepted: a whole file as train --save-policy writes it");
  expect(5, "{\"format\": 1e999}", "a number in it is too large");
  expect(5, "", "the file is empty");
  expect(5, "{\"format\": 3}", "not a policy that train --save-policy wrote");
  Document edited = Document::parse(text);
  edited["layers"][0]["weight"][0][0] = 0.5;
  expect(5, edited.dump(), "the checksum does not fit");
  expect(5, changed([](Document& d) { d["hidden"] = {12, 9}; }), "rows of weights of layer 2 should have 9");
  expect(5, changed([](Document& d) { d["hidden"] = {13, 8}; }), "rows of weights of layer 1 should have 13");
  expect(5, changed([](Document& d) { d["hidden"] = {12}; }), "not one of this program's");
  expect(5, changed([](Document& d) { d["hidden"] = {12, 257}; }), "not one of this program's");
  expect(5, changed([](Document& d) { d["hidden"] = {0, 8}; }), "not one of this program's");
  expect(5, changed([](Document& d) { d["hidden"] = 12; }), "not one of this program's");
  expect(5, changed([](Document& d) { d["policy"] = "sigmoid (linear)"; }), "not one of this program's");
  expect(5, changed([](Document& d) { d["version"] = 1; }), "its hidden is not a whole number");
  expect(5, changed([](Document& d) { d["version"] = 3; }), "version 3");
  expect(5, changed([](Document& d) { d["layers"].erase(2); }), "layers should have 3");
  expect(5, changed([](Document& d) { d["layers"][1]["weight"].erase(0); }), "rows of weights of layer 2 should have 8");
  expect(5, changed([](Document& d) { d["layers"][1]["weight"][3].erase(0); }), "weights in a row of layer 2 should have 12");
  expect(5, changed([](Document& d) { d["layers"][2]["bias"].push_back(0); }), "biases of layer 3 should have 2");
  expect(5, changed([](Document& d) { d["layers"][2]["bias"] = 0; }), "biases of layer 3 should have 2");
  expect(5, changed([](Document& d) { d["layers"][2].erase("bias"); }), "it has no bias");
  expect(5, changed([](Document& d) { d["layers"][0]["weight"][0][0] = 1e39; }), "not a finite float");
  expect(5, changed([](Document& d) { d["layers"][0]["weight"][0][0] = nullptr; }), "weight of layer 1 is not a finite float");
}

}  // namespace
}  // namespace fryer::cli
