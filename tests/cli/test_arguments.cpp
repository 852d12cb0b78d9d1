// SPDX-License-Identifier: Apache-2.0
// The command line without running anything: what --help promises, precedence of sources, and that no words or files, however
// broken, do anything but parse or be refused with one of the library's errors.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "host/cli/command.h"
#include "host/cli/config_file.h"
#include "host/cli/files.h"
#include "tests/cli/program.h"

namespace fryer::cli {
namespace {

std::string refusal(const Words& words) {
  try {
    parse_command_line(words);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

// Every command, for each environment and algorithm it takes.
std::vector<std::pair<const CommandEntry*, Subject>> every_command() {
  std::vector<std::pair<const CommandEntry*, Subject>> all;
  for (const CommandEntry& entry : commands()) {
    for (const Subject& subject : subjects_of(entry)) all.emplace_back(&entry, subject);
  }
  return all;
}

TEST(Table, EveryOptionHasADefaultAndSaysWhatIsAccepted) {
  for (const auto& [command_entry, subject] : every_command()) {
    const CommandEntry& entry = *command_entry;
    const auto command = entry.make(subject);
    EXPECT_GE(command->description().examples.size(), 2u) << entry.name;
    for (const Option& option : command->table().options()) {
      EXPECT_FALSE(option.help.empty()) << entry.name << " --" << option.name;
      EXPECT_FALSE(option.accepted.empty()) << entry.name << " --" << option.name;
      ASSERT_TRUE(option.value && option.read) << entry.name << " --" << option.name;
      EXPECT_NO_THROW(option.value()) << entry.name << " --" << option.name;
    }
  }
}

TEST(Table, ExamplesOfHelpAreAccepted) {
  for (const auto& [entry, subject] : every_command()) {
    const auto command = entry->make(subject);
    for (const auto& [what, line] : command->description().examples) {
      Words words;
      for (std::size_t begin = 0; begin < line.size();) {
        const std::size_t end = std::min(line.find(' ', begin), line.size());
        words.push_back(line.substr(begin, end - begin));
        begin = end + 1;
      }
      const std::string error = refusal(words);
      // The one file that an example reads does not exist here.
      EXPECT_TRUE(error.empty() || error.find("cannot read policy.json") != std::string::npos) << line << '\n' << error;
    }
  }
}

// What a command's configuration says once `words` are parsed.
Json configuration(const Words& words) { return parse_command_line(words)->table().configuration(); }

TEST(Precedence, CommandLineOverridesFileOverridesItsPreset) {
  const Folder folder;
  const std::string file = folder / "settings.toml";
  write_bytes(file,
              "updates = 7\nbatch = 4\nlearning_rate = 0.25\nlearn_weight = true\nuntil = 0.5\nenvironment = "
              "\"FryShack-v0\"\ncommand = \"train\"\npreset = \"notebook\"\n");
  const Json c = configuration({"train", "--config", file, "--batch", "8", "--learn-weight=false", "--until=none"});
  EXPECT_EQ(c["updates"], 7);
  EXPECT_EQ(c["batch"], 8);
  EXPECT_EQ(c["learning_rate"], 0.25);
  EXPECT_EQ(c["learn_weight"], false);
  EXPECT_EQ(c["until"], nullptr);
  EXPECT_EQ(c["reward_scale"], 0.99);
}

// What the preset replaces is refused all the same, where it can be no value of its key.
TEST(Precedence, APresetReplacesNoNonsense) {
  const Folder folder;
  const std::string file = folder / "settings.toml";
  const auto with_preset = [&](const std::string& text, const char* preset) {
    write_bytes(file, text);
    return refusal({"train", "CartPole-v1", "--config", file, "--preset", preset});
  };
  const auto expect_refused = [&](const std::string& text, const char* preset, const std::string& key, const char* why) {
    const std::string error = with_preset(text, preset);
    EXPECT_TRUE(error.starts_with(file + ": " + key + ": ")) << text << '\n' << error;
    EXPECT_NE(error.find(why), std::string::npos) << text << '\n' << error;
  };
  expect_refused("learning_rate = 'fast'\n", "solve", "learning_rate", "fast is not accepted");
  expect_refused("learning_rate = -1\n", "solve", "learning_rate", "above 0");
  expect_refused("gamma = 7\nseed = 3\n", "zoo", "gamma", "from 0 to 1");
  expect_refused("baseline = 'median'\n", "solve", "baseline", "median");
  expect_refused("buffer = 64\nbatch = 128\n", "zoo", "batch", "at most --buffer 64");
  expect_refused("preset = 'zooo'\n", "zoo", "preset", "did you mean zoo?");
  // Only what the file says counts, and what it says of the rules is judged where they apply.
  EXPECT_EQ(with_preset("buffer = 64\n", "zoo"), "");
  EXPECT_EQ(with_preset("preset = 'solve'\nseed = 3\n", "zoo"), "") << "replaced by another";
  EXPECT_EQ(with_preset("preset = 'cleanrl'\nbatch = 32\n", "zoo"), "");
  EXPECT_NE(with_preset("gravity = -1\nbatch = 32\n", "zoo").find("--gravity: -1"), std::string::npos);
}

// As if its settings were given there; what it does not say is the file's.
TEST(Precedence, ThePresetOfTheCommandLineOverridesTheFile) {
  const Folder folder;
  const std::string file = folder / "settings.toml";
  write_bytes(
      file,
      "episodes = 3200\nbatch = 4\nlearning_rate = 0.25\nhidden = 8\ninitialisation = 'he'\nuntil = 100\nseed = 7\nreplicas = "
      "3\ngravity = 5\nbaseline = 'none'\n");
  const Words words = {"train", "CartPole-v1", "--config", file, "--preset", "solve"};
  const auto command = parse_command_line(words);
  Json expected =
      configuration({"train", "CartPole-v1", "--preset", "solve", "--seed", "7", "--replicas", "3", "--gravity", "5"});
  EXPECT_EQ(command->table().configuration(), expected);
  ASSERT_EQ(command->warnings.size(), 1u);
  EXPECT_EQ(command->warnings[0],
            "--preset: solve replaces what --config says of baseline, batch, episodes, hidden, initialisation and 2 more");
  Words more = words;
  for (const char* word : {"--learning-rate", "0.3", "--until", "400"}) more.emplace_back(word);
  expected["learning_rate"] = 0.3;
  expected["until"] = 400.0;
  EXPECT_EQ(configuration(more), expected);
  write_bytes(file, "preset = 'zoo'\nalgorithm = 'dqn'\nuntil = 300\nmax_steps = 400\nlearning_rate = 0.5\n");
  const Json workshop = configuration({"train", "CartPole-v1", "--config", file, "--preset", "workshop"});
  EXPECT_EQ(workshop, configuration({"train", "CartPole-v1", "--preset", "workshop", "--until", "300", "--max-steps", "400"}));
  EXPECT_EQ(configuration({"train", "CartPole-v1", "--config", file})["learning_rate"], 0.5);
  EXPECT_EQ(configuration({"train", "CartPole-v1", "--config", file})["hidden"], Json::array({256, 256}));
}

TEST(Precedence, ThePresetOfTheCommandLineOverridesTheJsonOfARun) {
  const Folder folder;
  const std::string file = folder / "run.json";
  const auto write = [&](const Words& words) {
    const auto run = parse_command_line(words);
    write_bytes(file,
                Json({{"command", "train"}, {"environment", run->environment()}, {"configuration", run->table().configuration()}})
                    .dump());
  };
  write({"train", "FryShack-v0", "--learning-rate", "0.5", "--batch", "3", "--reward-wrong", "-2", "--seed", "9"});
  EXPECT_EQ(configuration({"train", "--config", file, "--preset", "notebook"}),
            configuration({"train", "FryShack-v0", "--preset", "notebook", "--seed", "9"}));
  write({"train", "CartPole-v1", "--algorithm", "dqn", "--double", "--hidden", "8,8"});
  EXPECT_EQ(configuration({"train", "--config", file, "--preset", "cleanrl", "--double", "on"}),
            configuration({"train", "CartPole-v1", "--preset", "cleanrl", "--double"}));
  const auto same = [&] { return parse_command_line({"train", "--config", file, "--preset", "zoo"})->warnings; };
  EXPECT_EQ(same().size(), 1u);
  write({"train", "CartPole-v1", "--preset", "zoo"});
  EXPECT_EQ(same(), std::vector<std::string>()) << "it says the same";
  write({"train", "CartPole-v1", "--preset", "solve"});
  EXPECT_NE(
      refusal({"train", "--config", file, "--preset", "zoo"}).find("run.json: baseline: not an option of dqn, but of reinforce"),
      std::string::npos);
}

TEST(Environment, IsFoundByPositionWhateverOptionsSay) {
  for (const Words& words : {Words{"train", "--save-policy", "CartPole-v0", "CartPole-v1"},
                             Words{"train", "CartPole-v1", "--save-policy", "CartPole-v0"},
                             Words{"train", "--save-policy=CartPole-v0", "CartPole-v1"}}) {
    EXPECT_EQ(parse_command_line(words)->environment(), "CartPole-v1");
  }
  // A misspelt one is told before options that another environment lacks.
  EXPECT_NE(refusal({"train", "cartpole-v1", "--gamma", "0.9"}).find("did you mean CartPole-v1?"), std::string::npos);
}

TEST(Precedence, EpisodesAndUpdatesReplaceEachOther) {
  const Folder folder;
  const std::string file = folder / "settings.toml";
  write_bytes(file, "updates = 7\nbatch = 4\n");
  EXPECT_EQ(configuration({"train", "FryShack-v0", "--config", file, "--episodes", "40"})["updates"], 10);
  write_bytes(file, "episodes = 40\nbatch = 4\n");
  EXPECT_EQ(configuration({"train", "FryShack-v0", "--config", file})["updates"], 10);
  EXPECT_EQ(configuration({"train", "FryShack-v0", "--config", file, "--updates", "3"})["updates"], 3);
  EXPECT_NE(refusal({"train", "FryShack-v0", "--config", file, "--batch", "7"}).find("a multiple of --batch 7, such as 35"),
            std::string::npos);
}

TEST(Precedence, SgdDropsAFilesAdamSettingsAndRefusesOnesGivenBesideIt) {
  const Folder folder;
  const std::string file = folder / "settings.toml";
  write_bytes(file, "adam_beta1 = 0.5\n");
  const Json c = configuration({"train", "FryShack-v0", "--config", file, "--optimizer", "sgd"});
  EXPECT_FALSE(c.contains("adam_beta1"));
  write_bytes(file, "adam_beta1 = 0.5\noptimizer = 'sgd'\n");
  EXPECT_NE(refusal({"train", "FryShack-v0", "--config", file}).find("adam_beta1: has no meaning with --optimizer sgd"),
            std::string::npos);
}

TEST(Precedence, APolicyOnTheCommandLineReplacesAFilesRandom) {
  const Folder folder;
  const std::string file = folder / "settings.toml";
  write_bytes(file, "random = true\n");
  const Json c = configuration({"evaluate", "FryShack-v0", "--config", file, "--parameters", "20,-10"});
  EXPECT_EQ(c["random"], false);
  EXPECT_EQ(c["bias"], -10.0);
  EXPECT_FALSE(configuration({"evaluate", "FryShack-v0", "--config", file}).contains("bias"));
}

TEST(Integers, AreTheSameInEveryNotationAndSource) {
  const Folder folder;
  const std::string file = folder / "settings.toml";
  write_bytes(file, "seed = \"18446744073709551615\"\nupdates = 1e3\nbatch = 1_000\n");
  const Json c = configuration({"train", "FryShack-v0", "--config", file});
  EXPECT_EQ(c["seed"], std::uint64_t{18446744073709551615u});
  EXPECT_EQ(c["updates"], 1000);
  EXPECT_EQ(c["batch"], 1000);
}

TEST(ConfigFile, RefusesUnknownKeysWithTheNearest) {
  const Folder folder;
  const std::string file = folder / "settings.toml";
  const auto refused = [&](const std::string& text) {
    write_bytes(file, text);
    return refusal({"train", "FryShack-v0", "--config", file});
  };
  EXPECT_NE(refused("leraning_rate = 1").find("leraning_rate: no such option of train; did you mean learning_rate?"),
            std::string::npos);
  EXPECT_NE(refused("learning-rate = 1").find("did you mean learning_rate?"), std::string::npos);
  EXPECT_NE(refused("gamma = 0.9").find("nothing to discount"), std::string::npos);
  EXPECT_NE(refused("batch = -1").find("settings.toml: batch: -1 is not accepted"), std::string::npos);
  EXPECT_NE(refused("batch = [1, 2]").find("1,2 is not accepted"), std::string::npos);
  EXPECT_NE(refused("[grid]\nbatch = [1]").find("is a table"), std::string::npos);
  EXPECT_NE(refused("batch = \n").find("line 1"), std::string::npos);
  EXPECT_NE(refused("# caf\xc3\xa9\n").find("ASCII"), std::string::npos);
  EXPECT_NE(refused("{\"configuration\": 3}").find("not an object"), std::string::npos);
  EXPECT_NE(refused("{\"command\": \"gradient\", \"configuration\": {}}").find("`fryer gradient`"), std::string::npos);
  EXPECT_NE(refused("{").find("damaged JSON: it ends too early"), std::string::npos);
  EXPECT_NE(refused("{\"batch\": }").find("damaged JSON at byte 11"), std::string::npos);
  EXPECT_NE(refused("{\"batch\": 1e999}").find("too large"), std::string::npos);
  for (const char* text : {"{", "{\"batch\": }", "{\"batch\": 1e999}"})
    EXPECT_EQ(refused(text).find("exception"), std::string::npos) << "the library's words";
  EXPECT_NE(refused("environment = 'CartPole-v1'").find("CartPole-v1"), std::string::npos);
}

// ---- broken input

const std::vector<Words> kValid = {
    {"train", "FryShack-v0", "--replicas", "1e3", "--updates", "28", "--json"},
    {"train", "--seed", "18446744073709551615", "FryShack-v0", "--optimizer=sgd", "--batch", "4", "--learn-weight", "--until",
     "0.5"},
    {"train", "FryShack-v0", "--episodes", "1_000", "--adam-beta1", "0.5", "--adam-form", "keras", "--save-replicas", "rows.npy",
     "-v"},
    {"gradient", "FryShack-v0", "--episodes", "1e9", "--weight", "-3", "--bias=-.5", "--threads", "2", "--quiet"},
    {"evaluate", "FryShack-v0", "--parameters", "20,-10", "--greedy", "--hungry-above", "0.25", "--device", "cpu"},
    {"evaluate", "FryShack-v0", "--random", "--reward-correct", "2", "--reward-wrong", "-2"},
    {"train", "CartPole-v1", "--algorithm", "dqn", "--episodes", "300", "--hidden", "32,16", "--terminal-mask", "off",
     "--double"},
    {"train", "CartPole-v0", "--preset=workshop", "--clip-norm", "off", "--epsilon-schedule", "linear", "--epsilon-end", "0.1"},
    {"train", "CartPole-v1", "--algorithm=q-learning", "--target", "residual", "--update-after-last-step=off"},
    {"notebook", "--generator", "philox", "--updates", "40", "--population", "0", "--learning-rate", "1e-2"},
    {"devices", "--json"},
    {"list", "-v"},
    {"help", "train"},
    {"--version"},
};

const std::vector<std::string> kStrange = {"",
                                           "-",
                                           "--",
                                           "---",
                                           "=",
                                           "--=",
                                           "-v",
                                           "-vv",
                                           "-vq",
                                           "-h",
                                           "--json=",
                                           "--seed=",
                                           "--seed",
                                           "-1",
                                           "1e30",
                                           "nan",
                                           "-inf",
                                           "1e400",
                                           "0x10",
                                           "[1,2]",
                                           "[",
                                           "]",
                                           "{}",
                                           "@file",
                                           "%s%n",
                                           "\xff\xfe",
                                           "\n",
                                           "--config",
                                           "/",
                                           "/dev/null",
                                           "--policy=/dev/null",
                                           "--config=/dev/null",
                                           "train",
                                           "FryShack-v0",
                                           "CartPole-v1",
                                           "--no-json",
                                           "--preset",
                                           "notebook",
                                           "18446744073709551616"};

Words mutated(std::mt19937_64& random) {
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  Words words = kValid[below(kValid.size())];
  for (std::size_t changes = 1 + below(4); changes != 0; --changes) {
    const std::size_t at = below(words.size() + 1);
    const auto place = words.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(7)) {
      case 0:
        words.insert(place, kStrange[below(kStrange.size())]);
        break;
      case 1: {
        const Words& other = kValid[below(kValid.size())];
        words.insert(place, other[below(other.size())]);
        break;
      }
      case 2:
        if (place != words.end()) words.erase(place);
        break;
      case 3:
        if (!words.empty()) words.insert(place, words[below(words.size())]);
        break;
      case 4:
        if (!words.empty()) std::swap(words[below(words.size())], words[below(words.size())]);
        break;
      case 5:
        words.insert(place, std::string(1 + below(2000), static_cast<char>(33 + below(94))));
        break;
      default:
        if (place != words.end() && !place->empty()) {
          const std::size_t letter = below(place->size());
          if (below(2) == 0) {
            (*place)[letter] = static_cast<char>(1 + below(255));
          } else {
            place->erase(letter, 1);
          }
        }
    }
  }
  return words;
}

TEST(BrokenInput, TenThousandRandomVectorsParseOrAreRefused) {
  std::mt19937_64 random(1);
  int accepted = 0, refused = 0;
  for (int i = 0; i < 10000; ++i) {
    const Words words = mutated(random);
    try {
      parse_command_line(words);
      ++accepted;
    } catch (const Error& error) {  // anything else ends the test
      ++refused;
      EXPECT_GT(std::string(error.what()).size(), 10u) << line_of(words);
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << line_of(words);
    }
  }
  EXPECT_GT(accepted, 500);
  EXPECT_GT(refused, 500);
}

TEST(BrokenInput, TenThousandRandomFilesParseOrAreRefused) {
  const std::vector<std::string> valid = {
      "updates = 7\nbatch = 4 # four\nlearning_rate = 0.25\nlearn_weight = true\nuntil = 1e-3\n",
      "parameters = [20.0, -10]\nseed = \"18446744073709551615\"\n[grid]\nx = { a = 1979-05-27T07:32:00Z }\n",
      R"({"command": "train", "environment": "FryShack-v0", "configuration": {"updates": 7, "until": null, "seed": 18446744073709551615}})",
  };
  const std::string alphabet = "=[]{}\"'\n#.,-_eE+0123456789 \\u\tabtrue\x01\x7f\xc3";
  std::mt19937_64 random(2);
  int accepted = 0;
  for (int i = 0; i < 10000; ++i) {
    std::string text = valid[random() % valid.size()];
    for (std::uint64_t changes = 1 + random() % 6; changes != 0 && !text.empty(); --changes) {
      const std::size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = alphabet[random() % alphabet.size()];
          break;
        case 1:
          text.insert(at, std::string(1 + random() % (random() % 50 == 0 ? 3000 : 3), alphabet[random() % alphabet.size()]));
          break;
        case 2:
          text.erase(at, 1 + random() % 5);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), 20));
      }
    }
    try {
      parse_config("FILE", text);
      ++accepted;
    } catch (const ConfigurationError&) {
    }
  }
  EXPECT_GT(accepted, 100);
}

TEST(BrokenInput, DeeplyNestedFilesAreRefused) {
  for (const char* open : {"[", "{\"a\":[", "a = [", "a = {b=["}) {
    std::string text = open;
    for (int i = 0; i < 200000; ++i) text += open[std::string(open).size() - 1];
    EXPECT_THROW(parse_config("FILE", text), ConfigurationError);
  }
}

}  // namespace
}  // namespace fryer::cli
