// SPDX-License-Identifier: Apache-2.0
// `fryer --help` and `fryer COMMAND --help`, made from the commands' descriptions and option tables: every option with its default,
// unit and accepted values, and two examples.
#include <fmt/format.h>

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

std::string command_help(const Terminal& terminal, const Command& command) {
  const Description& d = command.description();
  std::string text = fmt::format("fryer {}: {}\n\n", d.name, wrapped(d.summary, 8, terminal.width));
  text += fmt::format("usage: fryer {}{}{} [options]\n\n", d.name, d.arguments.empty() ? "" : " ", d.arguments);
  if (!d.text.empty()) text += wrapped(d.text, 0, terminal.width) + "\n\n";
  if (command.takes_environment()) text += "ENV is an environment: FryShack-v0 (fryer list shows them all).\n\n";
  text += paint(terminal, Style::bold, "Options") + '\n';
  for (const Option& option : command.table().options()) text += option_text(terminal, option);
  text += '\n' + paint(terminal, Style::bold, "Examples") + '\n';
  for (const auto& [what, words] : d.examples) text += fmt::format("  # {}\n  fryer {}\n", what, words);
  return text;
}

std::string program_help(const Terminal& terminal) {
  std::string text =
      "fryer: reinforcement-learning episodes by the million, with the same bits everywhere\n\nusage: fryer COMMAND "
      "[options]\n\n";
  text += paint(terminal, Style::bold, "Commands") + '\n';
  for (const CommandEntry& entry : commands()) {
    const std::unique_ptr<Command> command = entry.make();
    const Description& d = command->description();
    text += fmt::format("  {:<14}{}\n", d.arguments.empty() ? d.name : d.name + ' ' + d.arguments,
                        wrapped(d.summary, 16, terminal.width));
  }
  text += "\nfryer COMMAND --help explains every option. fryer --version says what this program is.\n\n";
  text += paint(terminal, Style::bold, "Examples") + '\n';
  text += "  # the StatQuest notebook, and how unusual its result is\n  fryer notebook\n";
  text += "  # a million independent trainings\n  fryer train FryShack-v0 --replicas 1e6\n\n";
  text +=
      "Exit codes: 0 ok, 1 the run failed, 2 usage or configuration, 3 device not available, 4 file or disk,\n"
      "5 damaged or incompatible file, 130 and 143 stopped by a signal.\n"
      "Environment: FRYER_ISA=scalar|avx2|avx512 forces the CPU's instruction set; NO_COLOR switches colours off.\n";
  return text;
}

class HelpCommand : public Command {
 public:
  explicit HelpCommand(std::string of) : Command(Description{"help", "", "", "", {}}), of_(std::move(of)) {}
  int run(const Console& console) override {
    for (const CommandEntry& entry : commands()) {
      if (entry.name == of_) {
        console.print(command_help(console.out, *entry.make()));
        return 0;
      }
    }
    console.print(program_help(console.out));
    return 0;
  }

 private:
  std::string of_;
};

}  // namespace

std::unique_ptr<Command> make_help_command(const std::string& command) { return std::make_unique<HelpCommand>(command); }

}  // namespace fryer::cli
