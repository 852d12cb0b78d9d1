// SPDX-License-Identifier: Apache-2.0
// `fryer --help` and `fryer COMMAND --help`, made from the commands' descriptions and option tables: every option with its default,
// unit and accepted values, and two examples.
#include <fmt/format.h>

#include <algorithm>

#include "host/cli/command.h"

namespace fryer::cli {
namespace {

std::string default_text(const Option& option) {
  if (!option.default_text.empty()) return option.default_text;
  const Json value = option.value();
  if (value.is_null()) return "none";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "on" : "off";
  const std::string text = value.dump();
  return value.is_array() ? text.substr(1, text.size() - 2) : text;
}

// "CartPole-v1 and CartPole-v0".
std::string all_of(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  return text;
}

// One of the commands that a help text explains: of an environment and an algorithm.
using Variants = std::vector<const Command*>;

template <class Name>
std::vector<std::string> names_in(const Variants& variants, const Name& name) {
  std::vector<std::string> names;
  for (const Command* variant : variants) {
    if (std::find(names.begin(), names.end(), name(*variant)) == names.end()) names.push_back(name(*variant));
  }
  return names;
}
std::vector<std::string> environments_in(const Variants& variants) {
  return names_in(variants, [](const Command& command) { return command.environment(); });
}
std::vector<std::string> algorithms_in(const Variants& variants) {
  return names_in(variants, [](const Command& command) { return command.algorithm(); });
}

// Some of `all`, in the fewest words: by environments, by algorithms, or by both; "" for all of them.
std::string name_of(const Variants& some, const Variants& all) {
  if (some.size() == all.size()) return "";
  const std::vector<std::string> environments = environments_in(some), algorithms = algorithms_in(some);
  const auto is_in = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  const auto count = [&](bool by_environment, bool by_algorithm) {  // of those with the same names
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const Command* command) {
      return (!by_environment || is_in(environments, command->environment())) &&
             (!by_algorithm || is_in(algorithms, command->algorithm()));
    }));
  };
  if (count(true, false) == some.size()) return all_of(environments);
  if (count(false, true) == some.size()) return all_of(algorithms);
  if (count(true, true) == some.size()) return fmt::format("{} of {}", all_of(algorithms), all_of(environments));
  std::vector<std::string> pairs;
  for (const Command* command : some) pairs.push_back(command->algorithm() + " of " + command->environment());
  return all_of(pairs);
}

// The default, or where variants differ each one and whose it is.
std::string defaults_text(const std::string& name, const Variants& variants) {
  std::vector<std::pair<std::string, Variants>> defaults;
  for (const Command* variant : variants) {
    const std::string text = default_text(*variant->table().find(name));
    const auto same = std::find_if(defaults.begin(), defaults.end(), [&](const auto& other) { return other.first == text; });
    (same == defaults.end() ? defaults.emplace_back(text, Variants()) : *same).second.push_back(variant);
  }
  if (defaults.size() == 1) return "default " + defaults[0].first;
  std::string text;
  for (const auto& [value, of] : defaults)
    text += fmt::format("{}{} ({})", text.empty() ? "default " : ", ", value, name_of(of, variants));
  return text;
}

// `option`: any of theirs that reads like it.
std::string option_text(const Terminal& terminal, const Option& option, const Variants& variants) {
  constexpr std::size_t kIndent = 6;
  std::string name = "--" + option.name;
  if (!option.short_name.empty()) name = "-" + option.short_name + ", " + name;
  if (!option.is_flag()) name += ' ' + option.placeholder;
  std::string text = fmt::format("  {}\n{:{}}{}\n", paint(terminal, Style::bold, name), "", kIndent,
                                 wrapped(option.help, kIndent, terminal.width));
  std::string facts = defaults_text(option.name, variants);
  if (!option.is_flag()) {
    if (!option.unit.empty()) facts += fmt::format("; unit: {}", option.unit);
    facts += "; accepted: " + option.accepted;
  }
  return text + fmt::format("{:{}}{}\n", "", kIndent, paint(terminal, Style::dim, wrapped(facts, kIndent, terminal.width)));
}

// The same words in --help, but for the default.
bool reads_alike(const Option& a, const Option& b) {
  return a.help == b.help && a.accepted == b.accepted && a.placeholder == b.placeholder;
}

// Every option of all variants, once for all that have it in the same words; those of the same variants stand together.
std::string options_text(const Terminal& terminal, const Variants& all) {
  std::vector<std::pair<Variants, std::string>> sections;
  for (const Command* variant : all) {
    for (const Option& option : variant->table().options()) {
      Variants alike;
      for (const Command* other : all) {
        const Option* same = other->table().find(option.name);
        if (same != nullptr && reads_alike(*same, option)) alike.push_back(other);
      }
      if (alike.front() != variant) continue;  // told already
      const auto section = std::find_if(sections.begin(), sections.end(), [&](const auto& s) { return s.first == alike; });
      (section == sections.end() ? sections.emplace_back(alike, "") : *section).second += option_text(terminal, option, alike);
    }
  }
  std::stable_sort(sections.begin(), sections.end(),
                   [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
  std::string text;
  for (const auto& [variants, options] : sections) {
    const std::string of = name_of(variants, all);
    text += fmt::format("{}{}\n{}", text.empty() ? "" : "\n",
                        paint(terminal, Style::bold, of.empty() ? "Options" : "Options of " + of), options);
  }
  return text;
}

// about: the environment and algorithm to explain, all where it names none.
std::string command_help(const Terminal& terminal, const CommandEntry& entry, const Subject& about) {
  std::vector<std::unique_ptr<Command>> made;
  Variants variants;
  for (const Subject& subject : subjects_of(entry)) {
    const bool wanted = (about.environment.empty() || subject.environment.empty() || subject.environment == about.environment) &&
                        (about.algorithm.empty() || subject.algorithm.empty() || subject.algorithm == about.algorithm);
    if (wanted) variants.push_back(made.emplace_back(entry.make(subject)).get());
  }
  if (variants.empty()) return command_help(terminal, entry, {});  // there is no such thing
  const Command& command = *variants.front();
  const Description& d = command.description();
  std::string text = fmt::format("fryer {}: {}\n\n", d.name, wrapped(d.summary, 8, terminal.width));
  text += fmt::format("usage: fryer {}{}{} [options]\n\n", d.name, d.arguments.empty() ? "" : " ", d.arguments);
  if (command.takes_environment()) {
    const std::vector<std::string> environments = environments_in(variants), algorithms = algorithms_in(variants);
    std::string alone;
    if (environments.size() > 1) {
      alone = fmt::format("; fryer {} {} --help shows its options alone", d.name, environments.back());
    } else if (algorithms.size() > 1) {
      alone = fmt::format("; fryer {} {} --algorithm {} --help shows those of one algorithm", d.name, environments.back(),
                          algorithms.back());
    }
    text += wrapped(fmt::format("ENV is an environment: {} (fryer list explains them{}).", either(environments), alone), 0,
                    terminal.width) +
            "\n\n";
  }
  std::vector<std::string> told;
  for (const Command* variant : variants) {
    const std::string& paragraph = variant->description().text;
    if (paragraph.empty() || std::find(told.begin(), told.end(), paragraph) != told.end()) continue;
    told.push_back(paragraph);
    text += wrapped(paragraph, 0, terminal.width) + "\n\n";
  }
  text += options_text(terminal, variants);
  text += '\n' + paint(terminal, Style::bold, "Examples") + '\n';
  told.clear();
  for (const Command* variant : variants) {
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
    const std::unique_ptr<Command> command = entry.make({});
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
      "mpirun -n N fryer COMMAND ...: N processes share the work of train, evaluate, gradient, study run and study resume.\n"
      "Environment: FRYER_ISA=scalar|avx2|avx512 forces the CPU's instruction set; NO_COLOR switches colours off.\n";
  return text;
}

class HelpCommand : public Command {
 public:
  HelpCommand(std::string of, Subject about)
      : Command(Description{"help", "", "", "", {}}), of_(std::move(of)), about_(std::move(about)) {}
  int run(const Console& console) override {
    for (const CommandEntry& entry : commands()) {
      if (entry.name == of_) {
        console.print(command_help(console.out, entry, about_));
        return 0;
      }
    }
    console.print(of_.empty() ? program_help(console.out) : group_help(console.out, of_));
    return 0;
  }

 private:
  std::string of_;
  Subject about_;
};

}  // namespace

std::unique_ptr<Command> make_help_command(const std::string& command, const Subject& about) {
  return std::make_unique<HelpCommand>(command, about);
}

}  // namespace fryer::cli
