// SPDX-License-Identifier: Apache-2.0
// A command's options as a table: one row says an option's name, how its text is read, what is in force, and what --help says of it.
// The command line, --config files, --help and the `configuration` in JSON are all made from it, so they cannot disagree.
// It checks how a value is written; which values make sense is for the library's validate().
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fryer/core/error.h"
#include "host/cli/text.h"
#include "host/text.h"

namespace fryer::cli {

using Json = nlohmann::ordered_json;

// Who set an option last. A later one wins.
enum class Source { standard, preset, file, command_line };

struct Option {
  std::string name;         // without the dashes
  std::string placeholder;  // what stands for the value in --help; a flag has none
  std::string accepted;     // after "X is not accepted; ", and in --help
  std::string unit;         // of the value, for --help; empty for names and files
  std::string help;
  std::function<void(const std::string&)> read;  // throws ConfigurationError without the option's name
  std::function<Json()> value;                   // what is in force
  std::string default_text;                      // for --help, where the value of a new command is not what it does by default
  bool setting = true;                           // can change the result: part of `configuration`
  double* real = nullptr;                        // the variable of a setting with a real value, which a study may draw
  // A number within the value's text that a study may draw under a name of its own: baseline-value, of --baseline constant=V.
  struct Inner {
    std::string name;
    double* real = nullptr;
    std::function<bool()> is_there;
  };
  std::optional<Inner> inner;
  bool numeric = false;  // a number: where files have types, a text in quotes is none
  bool list = false;     // numbers with commas between: files may write a list
  // The option means nothing next to the value of another unless this holds.
  struct Condition {
    std::function<bool()> holds;
    std::function<std::string()> other;
  };
  std::vector<Condition> conditions;
  std::vector<std::string> choices;
  std::string bare;  // the value where the option stands alone; "" where it needs one, and of a flag
  std::string short_name;
  Source source = Source::standard;
  std::string label;  // how the user named it: --batch, or FILE: batch

  bool is_flag() const { return placeholder.empty(); }
  void needs(std::function<bool()> holds, const char* other) {
    conditions.push_back({std::move(holds), [other] { return std::string(other); }});
  }
  bool applies() const {
    return std::all_of(conditions.begin(), conditions.end(), [](const Condition& c) { return c.holds(); });
  }
};

class OptionTable {
 public:
  // Each binds a row to a variable, whose value now is the default. The default of a setting never changes without a new numerics_version,
  // and that of a new one means what was done before (study_cells.cpp says why).
  Option& integer(std::string name, std::string placeholder, std::uint64_t& target, std::string accepted, std::string unit,
                  std::string help);
  Option& integer(std::string name, std::string placeholder, std::uint32_t& target, std::string accepted, std::string unit,
                  std::string help);
  Option& number(std::string name, std::string placeholder, double& target, std::string accepted, std::string unit,
                 std::string help);
  Option& flag(std::string name, bool& target, std::string help);
  // A setting that can be switched off: NAME, NAME on or NAME off. Files say true or false too.
  Option& toggle(std::string name, bool& target, std::string help);
  Option& toggle(std::string name, std::function<bool()> is_on, std::function<void(bool)> set, std::string help);
  Option& text(std::string name, std::string placeholder, std::string& target, std::string accepted, std::string help);
  template <class Enum>
  Option& choice(std::string name, Enum& target, std::vector<std::pair<std::string, Enum>> choices, std::string help);
  Option& add(Option option);

  const std::vector<Option>& options() const { return options_; }
  Option* find(std::string_view name);
  const Option* find(std::string_view name) const { return const_cast<OptionTable*>(this)->find(name); }
  std::vector<std::string> names() const;
  // Names of what a study may draw: settings with a real value, and numbers within others.
  std::vector<std::string> real_names() const;
  // The variable of such a name; null for any other.
  double* find_real(std::string_view name) const;
  // The option within whose text this number stands; null where it is an option itself, or nothing at all.
  const Option* find_outer(std::string_view name) const;

  void set(std::string_view name, const std::string& text, Source source, const std::string& label);

  // Options that say the same thing in different ways: only one of them may be given in one place.
  void exclude(std::string a, std::string b) { exclusions_.emplace_back(std::move(a), std::move(b)); }
  // Refuses excluded pairs, and options that mean nothing next to others of the same source or an earlier one.
  void check() const;

  // Every setting in force that can change the result, by its name in a --config file.
  Json configuration() const;

 private:
  template <class Whole>
  Option& whole(std::string name, std::string placeholder, Whole& target, std::string accepted, std::string unit,
                std::string help);

  std::vector<Option> options_;
  std::vector<std::pair<std::string, std::string>> exclusions_;
};

// The name of an option in a --config file.
std::string key_of(std::string_view option);
// The option that a key names: learning_rate is learning-rate; a key with a dash names none.
std::string option_of(std::string_view key);

[[noreturn]] void not_accepted(std::string_view text, const std::string& accepted, const std::vector<std::string>& choices = {});

template <class Enum>
Option& OptionTable::choice(std::string name, Enum& target, std::vector<std::pair<std::string, Enum>> choices, std::string help) {
  Option option;
  option.name = std::move(name);
  for (const auto& [word, value] : choices) {
    option.placeholder += (option.placeholder.empty() ? "" : "|") + word;
    option.choices.push_back(word);
  }
  option.accepted = either(option.choices);
  option.help = std::move(help);
  option.value = [&target, choices] {
    for (const auto& [word, value] : choices) {
      if (value == target) return Json(word);
    }
    return Json();
  };
  option.read = [&target, choices, accepted = "accepted: " + option.accepted, words = option.choices](const std::string& text) {
    for (const auto& [word, value] : choices) {
      if (word == text) {
        target = value;
        return;
      }
    }
    not_accepted(text, accepted, words);
  };
  return add(std::move(option));
}

}  // namespace fryer::cli
