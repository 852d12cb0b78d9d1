// SPDX-License-Identifier: Apache-2.0
// From words to a command ready to run: which command, its options from a file's preset, the --config file, the command line's preset and
// its options, in this order, each overriding what came before. A new command is a line in commands().
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "fryer/core/version.h"
#include "fryer/engine/registry.h"
#include "host/cli/arguments.h"
#include "host/cli/command.h"
#include "host/cli/config_file.h"

namespace fryer::cli {

namespace {

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

const std::vector<CommandEntry>& commands() {
  static const std::vector<CommandEntry> entries = {
      {"train", make_train_command},
      {"gradient", make_gradient_command},
      {"evaluate", make_evaluate_command},
      {"trace", make_trace_command},
      {"notebook", make_notebook_command},
      {"study check", make_study_check_command},
      {"study run", make_study_run_command},
      {"study resume", make_study_resume_command},
      {"study status", make_study_status_command},
      {"study report", make_study_report_command},
      {"study export", make_study_export_command},
      {"study merge", make_study_merge_command},
      {"bench", make_bench_command},
      {"devices", make_devices_command},
      {"list", make_list_command},
      {"version", make_version_command},
  };
  return entries;
}

std::vector<std::string> environments_of(const CommandEntry& entry) {
  std::vector<std::string> names;
  for (const EnvironmentEntry& environment : kEnvironments) {
    const std::unique_ptr<Command> command = entry.make({std::string(environment.name), ""});
    if (command->takes_environment() && command->supports_environment()) names.emplace_back(environment.name);
  }
  return names;
}

std::vector<std::string> known_algorithms(const std::string& environment) {
  for (const EnvironmentEntry& entry : kEnvironments) {
    if (entry.name == environment) return split_list(entry.algorithms);
  }
  return {""};
}

std::vector<std::string> algorithms_of(const CommandEntry& entry, const std::string& environment) {
  if (entry.make({environment, ""})->algorithm().empty()) return {""};
  return known_algorithms(environment);
}

std::vector<Subject> subjects_of(const CommandEntry& entry) {
  std::vector<Subject> subjects;
  for (const std::string& environment : environments_of(entry)) {
    for (const std::string& algorithm : algorithms_of(entry, environment)) subjects.push_back({environment, algorithm});
  }
  if (subjects.empty()) subjects.emplace_back();
  return subjects;
}

std::string why_not_trained_by(const std::string& algorithm, const std::string& environment) {
  const std::vector<std::string> accepted = known_algorithms(environment);
  if (contains(accepted, algorithm)) return "";
  return fmt::format("{} is not accepted; accepted on {}: {}{}", shown(algorithm), environment, either(accepted),
                     suggestion(algorithm, accepted));
}

std::string choose_algorithm(const CommandEntry& entry, const std::string& environment, const Assignment* algorithm,
                             const Assignment* preset) {
  if (algorithms_of(entry, environment).front().empty()) return "";
  if (algorithm != nullptr) {
    const std::string why = why_not_trained_by(algorithm->text, environment);
    if (!why.empty()) throw ConfigurationError(algorithm->label + ": " + why);
    return algorithm->text;
  }
  for (const PresetEntry& known : kPresets) {
    if (preset != nullptr && known.name == preset->text && contains(split_list(known.environments), environment))
      return std::string(known.algorithm);
  }
  return "";
}

namespace {
bool is_cart_pole(const std::string& environment) { return environment != FryShack::kName; }
bool is_value_learner(const std::string& algorithm) { return algorithm == "dqn" || algorithm == "q-learning"; }
}  // namespace

std::unique_ptr<Command> make_train_command(const Subject& subject) {
  if (!is_cart_pole(subject.environment)) return make_fry_shack_train_command();
  return is_value_learner(subject.algorithm) ? make_cart_pole_q_train_command(subject)
                                             : make_cart_pole_train_command(subject.environment);
}
std::unique_ptr<Command> make_gradient_command(const Subject& subject) {
  return is_cart_pole(subject.environment) ? make_cart_pole_gradient_command(subject.environment)
                                           : make_fry_shack_gradient_command();
}
std::unique_ptr<Command> make_evaluate_command(const Subject& subject) {
  return is_cart_pole(subject.environment) ? make_cart_pole_evaluate_command(subject.environment)
                                           : make_fry_shack_evaluate_command();
}

namespace {

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const CommandEntry& entry : commands()) names.emplace_back(entry.name);
  return names;
}

// Whether commands of two words begin with this one.
bool is_group(const std::string& word) {
  return std::any_of(commands().begin(), commands().end(),
                     [&](const CommandEntry& entry) { return std::string_view(entry.name).starts_with(word + ' '); });
}
// The command that words begin with: "train", or "study run".
std::string name_in(const std::vector<std::string>& words) {
  if (!is_group(words[0])) return words[0];
  std::vector<std::string> seconds;
  for (const std::string& name : command_names()) {
    if (name.starts_with(words[0] + ' ')) seconds.push_back(name.substr(words[0].size() + 1));
  }
  const std::string second = words.size() > 1 ? words[1] : "";
  if (std::find(seconds.begin(), seconds.end(), second) == seconds.end()) {
    throw ConfigurationError(
        second.empty() ? fmt::format("fryer {0}: missing: {1} (fryer {0} --help explains them)", words[0], either(seconds))
                       : fmt::format("{} {}: no such command; accepted: {}{}", words[0], shown(second), either(seconds),
                                     suggestion(second, seconds)));
  }
  return words[0] + ' ' + second;
}

const CommandEntry& find_command(const std::string& name) {
  for (const CommandEntry& entry : commands()) {
    if (name == entry.name) return entry;
  }
  const std::vector<std::string> names = command_names();
  throw ConfigurationError(
      fmt::format("{}: no such command; accepted: {}{}", shown(name), either(names), suggestion(name, names)));
}

}  // namespace

std::string unknown_option(const Command& command, const std::string& name, bool key) {
  const std::string& own = command.description().name;
  const std::string why = command.why_not(name);
  if (!why.empty()) return why;
  const auto has_it = [&](const CommandEntry& entry, const std::string& environment) {
    std::vector<std::string> algorithms;
    for (const std::string& algorithm : algorithms_of(entry, environment)) {
      if (entry.make({environment, algorithm})->table().find(name) != nullptr) algorithms.push_back(algorithm);
    }
    return algorithms;
  };
  if (command.takes_environment()) {  // of the same command, for other algorithms or environments?
    const std::vector<std::string> algorithms = has_it(find_command(own), command.environment());
    if (!algorithms.empty()) return fmt::format("not an option of {}, but of {}", command.algorithm(), either(algorithms));
    std::vector<std::string> elsewhere;
    for (const std::string& environment : environments_of(find_command(own))) {
      if (!has_it(find_command(own), environment).empty()) elsewhere.push_back(environment);
    }
    if (!elsewhere.empty()) {
      return fmt::format("not an option of {} {}, but of {}", own, command.environment(), either(elsewhere));
    }
  }
  std::vector<std::string> others;
  for (const CommandEntry& entry : commands()) {
    if (entry.name != own && !has_it(entry, command.environment()).empty()) others.emplace_back(entry.name);
  }
  std::vector<std::string> names = command.table().names();
  for (std::string& candidate : names) candidate = key ? key_of(candidate) : "--" + candidate;
  const std::string near = suggestion(key ? key_of(name) : "--" + name, names);
  if (!others.empty() && near.empty()) return fmt::format("not an option of {}, but of {}", own, either(others));
  return fmt::format("no such option of {}{}", own, near.empty() ? fmt::format("; fryer {} --help shows them all", own) : near);
}

namespace {

std::string explain(const Command& command, const std::string& word) {
  const std::size_t dashes = word.starts_with("--") ? 2 : 1;
  const std::string name = word.substr(dashes, word.find('=') - dashes);
  return fmt::format("{}: {}", shown(word.substr(0, word.find('='))), unknown_option(command, name, false));
}

bool is_environment(const std::string& word) {
  return std::any_of(kEnvironments.begin(), kEnvironments.end(), [&](const EnvironmentEntry& e) { return e.name == word; });
}

bool is_algorithm(const std::string& word) {
  return std::any_of(kAlgorithms.begin(), kAlgorithms.end(), [&](const AlgorithmEntry& e) { return e.name == word; });
}

// What words that ask for help name, wherever it stands.
Subject subject_in(const std::vector<std::string>& words) {
  const auto environment = std::find_if(words.begin(), words.end(), is_environment);
  const auto algorithm = std::find_if(words.begin(), words.end(), is_algorithm);
  return {environment == words.end() ? "" : *environment, algorithm == words.end() ? "" : *algorithm};
}

// What the words say before a command's options are known: its environment, and options on which the others depend. An option's value is
// no environment, whatever it says.
struct Positions {
  std::optional<std::string> environment, config;
  std::optional<Assignment> algorithm, preset;
};
Positions find_positions(const CommandEntry& entry, const std::vector<std::string>& words) {
  std::vector<std::unique_ptr<Command>> variants;
  for (const Subject& subject : subjects_of(entry)) variants.push_back(entry.make(subject));
  const auto takes_value = [&](const std::string& name) {
    return std::any_of(variants.begin(), variants.end(), [&](const auto& variant) {
      const auto& options = variant->table().options();
      return std::any_of(options.begin(), options.end(), [&](const Option& option) {
        return !option.is_flag() &&
               (name == "--" + option.name || (!option.short_name.empty() && name == "-" + option.short_name));
      });
    });
  };
  Positions found;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const auto value_of = [&](const std::string& option) -> std::optional<std::string> {
      if (word.starts_with(option + '=')) return word.substr(option.size() + 1);
      if (word == option && i + 1 < words.size()) return words[i + 1];
      return std::nullopt;
    };
    if (const auto value = value_of("--config")) found.config = value;
    if (const auto value = value_of("--algorithm")) found.algorithm = {"algorithm", *value, "--algorithm"};
    if (const auto value = value_of("--preset")) found.preset = {"preset", *value, "--preset"};
    if (takes_value(word)) {
      ++i;
    } else if (!word.starts_with('-') && !found.environment) {
      found.environment = word;
    }
  }
  return found;
}

// Words in which every option has its value: those that may stand alone (--terminal-mask) have theirs where an option, an environment or
// nothing follows.
std::vector<std::string> with_bare_values(const CommandEntry& entry, std::vector<std::string> words) {
  for (const Subject& subject : subjects_of(entry)) {
    const std::unique_ptr<Command> variant = entry.make(subject);
    for (const Option& option : variant->table().options()) {
      if (option.bare.empty()) continue;
      for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] != "--" + option.name) continue;
        const bool is_last = i + 1 == words.size();
        if (is_last || words[i + 1].starts_with('-') || is_environment(words[i + 1])) words[i] += '=' + option.bare;
      }
    }
  }
  return words;
}

void check_environment(const Command& command, const CommandEntry& entry, const std::vector<std::string>& words,
                       const ConfigFile& file) {
  if (!command.takes_environment()) {
    const auto [least, most] = command.file_count();
    if (words.size() > most && most != 0) {
      throw ConfigurationError(fmt::format("{}: one FILE too many; fryer {} {}", shown(words[most]), command.description().name,
                                           command.description().arguments));
    }
    if (words.size() < least) {
      throw ConfigurationError(
          fmt::format("FILE: missing; fryer {} {}", command.description().name, command.description().arguments));
    }
    if (!words.empty() && most == 0)
      throw ConfigurationError(fmt::format("{}: {} takes no argument of this kind", shown(words[0]), command.description().name));
    if (file.environment && *file.environment != command.environment()) {
      throw ConfigurationError(
          fmt::format("--config: it is for the environment {}, not for {}", shown(*file.environment), command.environment()));
    }
    return;
  }
  const std::vector<std::string> names = environments_of(entry);
  if (words.size() > 1)
    throw ConfigurationError(
        fmt::format("{}: one environment at a time; {} was given before it", shown(words[1]), shown(words[0])));
  if (words.empty() && !file.environment) {
    throw ConfigurationError(fmt::format("ENV: missing; fryer {} {} [options]", command.description().name, either(names)));
  }
  const std::string& name = words.empty() ? *file.environment : words[0];
  if (!is_environment(name)) {
    throw ConfigurationError(
        fmt::format("{}: no such environment; accepted: {}{}", shown(name), either(names), suggestion(name, names)));
  }
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    throw ConfigurationError(
        fmt::format("{}: not an environment of {}; accepted: {}", name, command.description().name, either(names)));
  }
  if (file.environment && *file.environment != name) {
    throw ConfigurationError(fmt::format("{}: cannot be combined with a --config file for {}", name, shown(*file.environment)));
  }
}

const Assignment* find(const std::vector<Assignment>& assignments, std::string_view name) {
  const auto found = std::find_if(assignments.begin(), assignments.end(), [&](const Assignment& a) { return a.name == name; });
  return found == assignments.end() ? nullptr : &*found;
}

// Whether a --config file suits the command.
void check_config(Command& command, const std::string& path, const ConfigFile& file) {
  const std::string& own = command.description().name;
  if (file.command && *file.command != own) {
    throw ConfigurationError(
        fmt::format("--config: {} is for `fryer {}`, not for `fryer {}`", shown(path), shown(*file.command), own));
  }
  for (const Assignment& assignment : file.assignments) {
    if (assignment.name == "config") throw ConfigurationError(assignment.label + ": a --config file cannot name another");
    if (command.table().find(assignment.name) == nullptr) {
      throw ConfigurationError(fmt::format("{}: {}", assignment.label, unknown_option(command, assignment.name, true)));
    }
  }
  if (file.numerics_version && *file.numerics_version != kNumericsVersion) {
    command.warnings.push_back(
        fmt::format("{} was made with numerics version {}, this is version {}: results will differ in their bits", shown(path),
                    *file.numerics_version, kNumericsVersion));
  }
}

// Whether a file's text of a setting means this value.
bool says(const std::string& text, const Json& value) {
  if (value.is_number()) return parse_number(text) == value.get<double>();
  if (value.is_string()) return text == value.get<std::string>();
  if (value.is_boolean()) return text == (value.get<bool>() ? "true" : "false") || text == (value.get<bool>() ? "on" : "off");
  if (value.is_null()) return text == "none";
  const std::string list = value.dump();
  return text == list.substr(1, list.size() - 2);
}

// The first few of several names.
std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 5;
  const std::size_t count = std::min(names.size(), kMost);
  std::string text = fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(count), ", "));
  return count == names.size() ? text : fmt::format("{} and {} more", text, names.size() - count);
}

// Refuses what a file says of these of its keys, though a preset of the command line replaces it: all that the file says is set in a command
// of its own. What it refuses of other keys counts where they count.
void check_replaced(const Command& command, const std::vector<Assignment>& file, const std::vector<const Assignment*>& replaced) {
  const CommandEntry& entry = find_command(command.description().name);
  const std::unique_ptr<Command> alone = entry.make({command.environment(), command.algorithm()});
  if (const Assignment* const preset = find(file, "preset")) {
    const std::string algorithm = choose_algorithm(entry, command.environment(), nullptr, preset);
    if (algorithm.empty() || algorithm == command.algorithm()) {
      alone->table().set("preset", preset->text, Source::preset, preset->label);  // refuses a name that there is not
      alone->apply_preset(preset->text);
    }
  }
  for (const Assignment& a : file) {
    if (a.name != "preset") alone->table().set(a.name, a.text, Source::file, a.label);
  }
  try {
    alone->settle();
    alone->resolve();
  } catch (const ConfigurationError& error) {
    const std::string what = error.what();
    for (const Assignment* a : replaced) {
      const std::string option = "--" + a->name;
      if (what.starts_with(a->label)) throw;
      if (what.starts_with(option) && what.find_first_of(": ") == option.size())
        throw ConfigurationError(a->label + what.substr(option.size()));
    }
  }
}

}  // namespace

void configure(Command& command, const std::vector<Assignment>& file, const std::vector<Assignment>& words) {
  OptionTable& table = command.table();
  const Assignment* const named = find(words, "preset");
  const Assignment* const preset = named != nullptr ? named : find(file, "preset");
  if (preset != nullptr) {
    table.set("preset", preset->text, Source::preset, preset->label);
    command.apply_preset(preset->text);
  }
  std::vector<const Assignment*> replaced;  // of the file, that say something else than the command line's preset
  for (const Assignment& a : file) {
    if (a.name == "preset") continue;
    const Option& option = *table.find(a.name);
    if (named == nullptr || !command.preset_sets(option)) {
      table.set(a.name, a.text, Source::file, a.label);
    } else if (!says(a.text, option.value())) {
      replaced.push_back(&a);
    }
  }
  if (named != nullptr && !file.empty()) check_replaced(command, file, replaced);
  if (!replaced.empty()) {
    std::vector<std::string> keys;
    for (const Assignment* a : replaced) keys.push_back(key_of(a->name));
    command.warnings.push_back(fmt::format("--preset: {} replaces what --config says of {}", named->text, some_of(keys)));
  }
  for (const Assignment& a : words) {
    if (a.name != "preset") table.set(a.name, a.text, Source::command_line, a.label);
  }
  command.settle();
  table.check();
  command.resolve();
}

std::unique_ptr<Command> parse_command_line(const std::vector<std::string>& words) {
  if (words.empty()) {
    throw ConfigurationError(fmt::format("COMMAND: missing; {} (fryer --help explains them)", either(command_names())));
  }
  const auto asks_for_help = [](const std::string& word) { return word == "--help" || word == "-h"; };
  if (asks_for_help(words[0])) return make_help_command("", {});
  if (words[0] == "help") {
    const std::vector<std::string> of(words.begin() + 1, words.end());
    const bool group = of.size() == 1 && is_group(of[0]);
    return make_help_command(of.empty() ? "" : group ? of[0] : find_command(name_in(of)).name, subject_in(of));
  }
  if (words[0].starts_with('-') && words[0] != "--version") {
    throw ConfigurationError(
        fmt::format("{}: options come after the command; fryer COMMAND [options], and fryer --help", shown(words[0])));
  }
  if (is_group(words[0]) && words.size() > 1 && asks_for_help(words[1])) return make_help_command(words[0], {});
  const std::string name = words[0] == "--version" ? "version" : name_in(words);
  const CommandEntry& entry = find_command(name);
  const std::vector<std::string> rest =
      with_bare_values(entry, {words.begin() + (name.find(' ') == std::string::npos ? 1 : 2), words.end()});
  if (std::any_of(rest.begin(), rest.end(), asks_for_help)) return make_help_command(entry.name, subject_in(rest));
  const Positions positions = find_positions(entry, rest);
  ConfigFile file;
  if (positions.config) file = read_config_file(*positions.config);
  const std::string environment = positions.environment.value_or(file.environment.value_or(""));
  const std::vector<std::string> known = environments_of(entry);
  if (!known.empty() && !environment.empty() && !is_environment(environment)) {
    throw ConfigurationError(fmt::format("{}: no such environment; accepted: {}{}", shown(environment), either(known),
                                         suggestion(environment, known)));
  }
  Subject subject = {is_environment(environment) ? environment : std::string(kEnvironments[0].name), ""};
  if (is_environment(environment)) {
    const auto given = [](const std::optional<Assignment>& word) { return word ? &*word : nullptr; };
    subject.algorithm = choose_algorithm(entry, environment, given(positions.algorithm), given(positions.preset));
    if (subject.algorithm.empty())
      subject.algorithm =
          choose_algorithm(entry, environment, find(file.assignments, "algorithm"), find(file.assignments, "preset"));
  }
  std::unique_ptr<Command> command = entry.make(subject);

  const Arguments arguments =
      split_arguments(command->table(), rest, [&](const std::string& word) { return explain(*command, word); });
  if (positions.config) check_config(*command, *positions.config, file);
  check_environment(*command, entry, arguments.others, file);
  if (command->file_count().most != 0) command->files = arguments.others;

  configure(*command, file.assignments, arguments.assignments);
  command->command_line = "fryer";
  for (const std::string& word : words) command->command_line += ' ' + shell_word(word);
  return command;
}

}  // namespace fryer::cli
