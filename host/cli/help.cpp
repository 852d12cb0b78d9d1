// SPDX-License-Identifier: Apache-2.0
// `fryer --help` and `fryer COMMAND --help`, made from the commands' descriptions and option tables: every option with its default,
// unit and accepted values, and two examples.
#include <fmt/format.h>

#include <algorithm>

#include "host/cli/command.h"

namespace fryer::cli {
namespace {

std::string default_text(const Option& option) {
  const Json value = option.value();
  if (value.is_null()) return "none";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "on" : "off";
  return value.dump();
}

std::string option_text(const Terminal& terminal, const Option& option) {
  constexpr std::size_t kIndent = 6;
  std::string name = "--" + option.name;
  if (!option.short_name.empty()) name = "-" + option.short_name + ", " + name;
  if (!option.is_flag()) name += ' ' + option.placeholder;
  std::string text = fmt::format("  {}\n{:{}}{}\n", paint(terminal, Style::bold, name), "", kIndent,
                                 wrapped(option.help, kIndent, terminal.width));
  std::string facts;
  if (!option.is_flag()) {
    facts = fmt::format("default {}; ", default_text(option));
    if (!option.unit.empty()) facts += fmt::format("unit: {}; ", option.unit);
    facts += "accepted: " + option.accepted;
  } else {
    facts = fmt::format("default {}", default_text(option));
  }
  return text + fmt::format("{:{}}{}\n", "", kIndent, paint(terminal, Style::dim, wrapped(facts, kIndent, terminal.width)));
}

std::string options_text(const Terminal& terminal, const OptionTable& table, const std::function<bool(const Option&)>& wanted) {
  std::string text;
  for (const Option& option : table.options()) {
    if (wanted(option)) text += option_text(terminal, option);
  }
  return text;
}

// The same words in --help.
bool reads_alike(const Option& a, const Option& b) {
  return a.help == b.help && a.accepted == b.accepted && a.placeholder == b.placeholder && default_text(a) == default_text(b);
}

// environments: those to explain; several share a table where their options read alike.
std::string command_help(const Terminal& terminal, const CommandEntry& entry, const std::vector<std::string>& environments) {
  std::vector<std::unique_ptr<Command>> variants;
  for (const std::string& name : environments) variants.push_back(entry.make(name));
  if (variants.empty()) variants.push_back(entry.make(""));
  const Command& command = *variants.front();
  const Description& d = command.description();
  std::string text = fmt::format("fryer {}: {}\n\n", d.name, wrapped(d.summary, 8, terminal.width));
  text += fmt::format("usage: fryer {}{}{} [options]\n\n", d.name, d.arguments.empty() ? "" : " ", d.arguments);
  if (command.takes_environment()) {
    text += wrapped(fmt::format("ENV is an environment: {} (fryer list explains them{}).", either(environments),
                                variants.size() > 1
                                    ? fmt::format("; fryer {} {} --help shows its options alone", d.name, environments.back())
                                    : ""),
                    0, terminal.width) +
            "\n\n";
  }
  std::vector<std::string> told;
  for (const auto& variant : variants) {
    const std::string& paragraph = variant->description().text;
    if (paragraph.empty() || std::find(told.begin(), told.end(), paragraph) != told.end()) continue;
    told.push_back(paragraph);
    text += wrapped(paragraph, 0, terminal.width) + "\n\n";
  }
  const auto everywhere = [&](const Option& option) {
    return std::all_of(variants.begin(), variants.end(), [&](const auto& variant) {
      const Option* same = variant->table().find(option.name);
      return same != nullptr && reads_alike(*same, option);
    });
  };
  text += paint(terminal, Style::bold, "Options") + '\n' + options_text(terminal, command.table(), everywhere);
  for (auto variant = variants.begin(); variant != variants.end(); ++variant) {
    // An environment much like one that was explained before it: only what differs.
    const Command* like = nullptr;
    for (auto other = variants.begin(); other != variant; ++other) {
      if ((*other)->table().names() == (*variant)->table().names()) like = other->get();
    }
    const std::string own = options_text(terminal, (*variant)->table(), [&](const Option& option) {
      return !everywhere(option) && (like == nullptr || !reads_alike(option, *like->table().find(option.name)));
    });
    if (own.empty()) continue;
    const std::string heading =
        "Options of " + (*variant)->environment() + (like != nullptr ? ", the others as of " + like->environment() : "");
    text += '\n' + paint(terminal, Style::bold, heading) + '\n' + own;
  }
  text += '\n' + paint(terminal, Style::bold, "Examples") + '\n';
  told.clear();
  for (const auto& variant : variants) {
    for (const auto& [what, words] : variant->description().examples) {
      if (std::find(told.begin(), told.end(), words) != told.end()) continue;
      told.push_back(words);
      text += fmt::format("  # {}\n  fryer {}\n", what, words);
    }
  }
  return text;
}

// A line for each command whose name begins with this.
std::string command_list(const Terminal& terminal, const std::string& beginning) {
  constexpr std::size_t kIndent = 29;
  std::string text;
  for (const CommandEntry& entry : commands()) {
    if (!std::string_view(entry.name).starts_with(beginning)) continue;
    const std::unique_ptr<Command> command = entry.make("");
    const Description& d = command->description();
    const std::string name = d.arguments.empty() ? d.name : d.name + ' ' + d.arguments;
    text += fmt::format("  {:<{}}{}\n", name, kIndent - 2, wrapped(d.summary, kIndent, terminal.width));
  }
  return text;
}

std::string group_help(const Terminal& terminal, const std::string& group) {
  return fmt::format("usage: fryer {0} COMMAND [options]\n\n{1}\n{2}\nfryer {0} COMMAND --help explains every option.\n", group,
                     paint(terminal, Style::bold, "Commands"), command_list(terminal, group + ' '));
}

std::string program_help(const Terminal& terminal) {
  std::string text =
      "fryer: reinforcement-learning episodes by the million, with the same bits everywhere\n\nusage: fryer COMMAND "
      "[options]\n\n";
  text += paint(terminal, Style::bold, "Commands") + '\n' + command_list(terminal, "");
  text += "\nfryer COMMAND --help explains every option. fryer --version says what this program is.\n\n";
  text += paint(terminal, Style::bold, "Examples") + '\n';
  text += "  # the StatQuest notebook, and how unusual its result is\n  fryer notebook\n";
  text += "  # a million independent trainings\n  fryer train FryShack-v0 --replicas 1e6\n\n";
  text +=
      "Exit codes: 0 ok, 1 the run failed, 2 usage or configuration, 3 device not available, 4 file or disk,\n"
      "5 damaged or incompatible file, 75 file in use, 130 and 143 stopped by a signal.\n"
      "Environment: FRYER_ISA=scalar|avx2|avx512 forces the CPU's instruction set; NO_COLOR switches colours off.\n";
  return text;
}

class HelpCommand : public Command {
 public:
  HelpCommand(std::string of, std::string environment)
      : Command(Description{"help", "", "", "", {}}), of_(std::move(of)), about_(std::move(environment)) {}
  int run(const Console& console) override {
    for (const CommandEntry& entry : commands()) {
      if (entry.name == of_) {
        console.print(command_help(console.out, entry, about_.empty() ? environments_of(entry) : std::vector{about_}));
        return 0;
      }
    }
    console.print(of_.empty() ? program_help(console.out) : group_help(console.out, of_));
    return 0;
  }

 private:
  std::string of_, about_;
};

}  // namespace

std::unique_ptr<Command> make_help_command(const std::string& command, const std::string& environment) {
  return std::make_unique<HelpCommand>(command, environment);
}

}  // namespace fryer::cli
