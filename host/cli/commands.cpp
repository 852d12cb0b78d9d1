// SPDX-License-Identifier: Apache-2.0
// From words to a command ready to run: which command, its options from the preset, the --config file and the command line, in this
// order, each overriding what came before. A new command is a line in commands().
#include <fmt/format.h>

#include <algorithm>

#include "fryer/core/version.h"
#include "fryer/engine/registry.h"
#include "host/cli/arguments.h"
#include "host/cli/command.h"
#include "host/cli/config_file.h"

namespace fryer::cli {

const std::vector<CommandEntry>& commands() {
  static const std::vector<CommandEntry> entries = {
      {"train", make_train_command},       {"gradient", make_gradient_command}, {"evaluate", make_evaluate_command},
      {"notebook", make_notebook_command}, {"devices", make_devices_command},   {"list", make_list_command},
      {"version", make_version_command},
  };
  return entries;
}

namespace {

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const CommandEntry& entry : commands()) names.emplace_back(entry.name);
  return names;
}

std::unique_ptr<Command> make_command(const std::string& name) {
  for (const CommandEntry& entry : commands()) {
    if (name == entry.name) return entry.make();
  }
  const std::vector<std::string> names = command_names();
  throw ConfigurationError(
      fmt::format("{}: no such command; accepted: {}{}", shown(name), either(names), suggestion(name, names)));
}

// Why `name` (without dashes) is no option or key of this command, with the nearest that is.
std::string unknown_option(const Command& command, const std::string& name, bool key) {
  const std::string& own = command.description().name;
  const std::string why = command.why_not(name);
  if (!why.empty()) return why;
  std::vector<std::string> others;
  for (const CommandEntry& entry : commands()) {
    if (entry.name != own && entry.make()->table().find(name) != nullptr) others.emplace_back(entry.name);
  }
  std::vector<std::string> names = command.table().names();
  for (std::string& candidate : names) candidate = key ? key_of(candidate) : "--" + candidate;
  const std::string near = suggestion(key ? key_of(name) : "--" + name, names);
  if (!others.empty() && near.empty()) return fmt::format("not an option of {}, but of {}", own, either(others));
  return fmt::format("no such option of {}{}", own, near.empty() ? fmt::format("; fryer {} --help shows them all", own) : near);
}

std::string explain(const Command& command, const std::string& word) {
  const std::size_t dashes = word.starts_with("--") ? 2 : 1;
  const std::string name = word.substr(dashes, word.find('=') - dashes);
  return fmt::format("{}: {}", shown(word.substr(0, word.find('='))), unknown_option(command, name, false));
}

void choose_environment(Command& command, const std::vector<std::string>& words, const ConfigFile& file) {
  if (!command.takes_environment()) {
    if (!words.empty())
      throw ConfigurationError(fmt::format("{}: {} takes no argument of this kind", shown(words[0]), command.description().name));
    if (file.environment && *file.environment != command.environment()) {
      throw ConfigurationError(
          fmt::format("--config: it is for the environment {}, not for {}", shown(*file.environment), command.environment()));
    }
    return;
  }
  std::vector<std::string> names;
  for (const EnvironmentEntry& entry : kEnvironments) names.emplace_back(entry.name);
  if (words.size() > 1)
    throw ConfigurationError(
        fmt::format("{}: one environment at a time; {} was given before it", shown(words[1]), shown(words[0])));
  if (words.empty() && !file.environment) {
    throw ConfigurationError(fmt::format("ENV: missing; fryer {} {} [options]", command.description().name, either(names)));
  }
  const std::string& name = words.empty() ? *file.environment : words[0];
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    throw ConfigurationError(
        fmt::format("{}: no such environment; accepted: {}{}", shown(name), either(names), suggestion(name, names)));
  }
  if (file.environment && *file.environment != name) {
    throw ConfigurationError(fmt::format("{}: cannot be combined with a --config file for {}", name, shown(*file.environment)));
  }
  command.set_environment(name);
}

// A shell would read it back as the same word.
std::string shell_word(const std::string& word) {
  const bool plain =
      !word.empty() &&
      word.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=.,:/@%") == std::string::npos;
  if (plain) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

const Assignment* find(const std::vector<Assignment>& assignments, std::string_view name) {
  const auto found = std::find_if(assignments.begin(), assignments.end(), [&](const Assignment& a) { return a.name == name; });
  return found == assignments.end() ? nullptr : &*found;
}

ConfigFile read_config(Command& command, const std::string& path) {
  ConfigFile file = read_config_file(path);
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
  return file;
}

}  // namespace

std::unique_ptr<Command> parse_command_line(const std::vector<std::string>& words) {
  if (words.empty()) {
    throw ConfigurationError(fmt::format("COMMAND: missing; {} (fryer --help explains them)", either(command_names())));
  }
  const auto asks_for_help = [](const std::string& word) { return word == "--help" || word == "-h"; };
  if (asks_for_help(words[0])) return make_help_command("");
  if (words[0] == "help") return make_help_command(words.size() > 1 ? make_command(words[1])->description().name : "");
  if (words[0].starts_with('-') && words[0] != "--version") {
    throw ConfigurationError(
        fmt::format("{}: options come after the command; fryer COMMAND [options], and fryer --help", shown(words[0])));
  }
  std::unique_ptr<Command> command = make_command(words[0] == "--version" ? "version" : words[0]);
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  if (std::any_of(rest.begin(), rest.end(), asks_for_help)) return make_help_command(command->description().name);

  OptionTable& table = command->table();
  const Arguments arguments = split_arguments(table, rest, [&](const std::string& word) { return explain(*command, word); });
  ConfigFile file;
  if (const Assignment* config = find(arguments.assignments, "config")) file = read_config(*command, config->text);
  choose_environment(*command, arguments.others, file);

  const Assignment* preset = find(arguments.assignments, "preset");
  if (preset == nullptr) preset = find(file.assignments, "preset");
  if (preset != nullptr) {
    table.set("preset", preset->text, Source::preset, preset->label);
    command->apply_preset(preset->text);
  }
  for (const Assignment& a : file.assignments) table.set(a.name, a.text, Source::file, a.label);
  for (const Assignment& a : arguments.assignments) table.set(a.name, a.text, Source::command_line, a.label);
  command->settle();
  table.check();
  command->resolve();
  command->command_line = "fryer";
  for (const std::string& word : words) command->command_line += ' ' + shell_word(word);
  return command;
}

}  // namespace fryer::cli
