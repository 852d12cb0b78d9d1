// SPDX-License-Identifier: Apache-2.0
// Inside of study_file.h: a study file is read in steps, each in a file of its own. study_file.cpp: what the file says, with the
// place of each word (with study_axes.cpp, this is all that knows TOML). study_axes.cpp: what varies, and the size of its product.
// study_draws.cpp: what each replica draws. study_cells.cpp: each combination through the command's own option table. Nothing else includes
// this.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/cli/command.h"
#include "host/cli/study_file.h"
#include "host/cli/toml_text.h"

namespace fryer::cli {

// The commands that a study may run.
const std::vector<std::string>& study_commands();
// Nothing for a command that is none of these.
const CommandEntry* find_entry(const std::string& command);
// Why a study cannot have this option, and what it has instead; "" where it can.
std::string why_not_in_a_study(const std::string& key);
// Names of the parameters that a plan's [distribution] may draw, in the registry's order: a Q network's are none of them.
std::span<const std::string_view> parameters_of(const study::Plan& plan);
// "--batch 16" in a message of the option table is "batch 16" in a file.
std::string with_keys(const std::string& message, const OptionTable& table);

// Gives the settings that a plan draws what they need to run: their `apply`. Throws DamagedFileError for a name that is none of the
// command's.
void bind_draws(study::Plan& plan, const CommandEntry& entry);
// The settings that are drawn and that are options, at their lowest values, as if they were given: so a cell is checked and made with them.
// label(key): how a message names one.
std::vector<Assignment> lowest_values(const study::Plan& plan, const OptionTable& table,
                                      const std::function<std::string(const std::string&)>& label);
// The same of numbers within other options, in a cell. Throws ConfigurationError where the option's value in the command has no such number.
void set_lowest_inner(const study::Plan& plan, const OptionTable& table, study::CellConfiguration& cell);
// Throws ConfigurationError, naming the option, for settings that could be drawn together but that this cell cannot run with.
void check_draws(const study::Plan& plan, const study::CellConfiguration& cell);
// Of each setting of a new command but seed and replicas, by its key: its value as JSON writes it.
using Defaults = std::map<std::string, std::string>;

class StudyReader {
 public:
  // Of read_study_file(); `warnings` may be null.
  StudyReader(const std::string& path, const std::string& text, std::vector<std::string>* warnings);
  study::Plan read();

 private:
  struct Place {
    std::size_t line = 1, column = 1;
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  struct Value {
    std::string text;
    Place place;
  };
  struct Setting {
    std::string key;
    Value value;
  };
  using Rows = std::vector<std::vector<Value>>;
  // What varies together: one key of [grid], or the keys of [[points]]. rows[i] has a value for each key.
  struct Axis {
    Place place;
    std::vector<std::string> keys;
    Rows rows;
  };
  using Choice = std::vector<const std::vector<Value>*>;  // one row of each axis

  static Place place_of(const toml::source_region& source) { return {source.begin.line, source.begin.column}; }

  std::string label(const Place& place, const std::string& key) const;
  [[noreturn]] void refuse(const Place& place, const std::string& key, const std::string& what) const;

  // ---- what the file says: study_file.cpp
  std::string word(const toml::key& key, const toml::node& value) const;
  void refuse_quotes(const Place& place, const std::string& key, const toml::node& value) const;
  std::uint64_t whole(const toml::key& key, const toml::node& value, std::uint64_t least, std::uint64_t most) const;
  bool flag(const toml::key& key, const toml::node& value) const;
  double number(const toml::key& key, const toml::node& value) const;
  const toml::table& table(const toml::key& key, const toml::node& value) const;
  [[noreturn]] void unknown_key(const toml::key& key, const std::string& where, const std::vector<std::string>& known) const;
  void read_head();
  void read_command();
  void read_environment();
  void read_algorithm();
  void read_settings();
  void check_key(const toml::key& key, bool varies) const;
  Value read_value(const std::string& key, const Place& place, const toml::node& value) const;
  void read_seeds(const toml::key& key, const toml::node& value);
  void read_record(const toml::key& key, const toml::node& value);
  void read_thresholds(const toml::key& key, const toml::node& value);

  // ---- what varies: study_axes.cpp
  void read_grid(const toml::key& key, const toml::node& value);
  Rows read_list(const toml::key& key, const toml::array& list) const;
  Rows read_range(const toml::key& key, const toml::table& range) const;
  void read_points(const toml::key& key, const toml::node& value);
  void check_varying_preset(const Value& value) const;
  void check_values();
  void check_combined();
  void check_size();

  // ---- what is drawn: study_draws.cpp
  void read_distribution(const toml::key& key, const toml::node& value);
  study::Draw read_draw(const toml::key& key, const toml::node& value) const;
  void check_drawn_key(const toml::key& key) const;
  const Place* find_draw(const std::string& name) const;

  // ---- its cells: study_cells.cpp
  void make_cells();
  study::Cell make_cell(const Choice& choice, const Defaults& defaults);
  void check_cell(const study::Cell& cell, const Choice& choice);
  void warn(const Choice& choice, const std::string& warning);
  void check_curve() const;
  Place find_place(const std::string& key, const Choice& choice) const;
  [[noreturn]] void refuse_cell(const std::string& message, const Choice& choice, const OptionTable& table) const;
  std::string words(const Choice& choice) const;
  std::vector<std::pair<std::string, std::string>> point(const Choice& choice) const;

  const std::string file_;
  std::vector<std::string>* warnings_;
  const toml::table document_;

  study::Plan plan_;
  const CommandEntry* entry_ = nullptr;
  std::unique_ptr<Command> scratch_;  // knows the options; its values mean nothing
  std::vector<Setting> fixed_;
  std::vector<Axis> axes_;
  Place environment_place_, count_place_, curve_place_, distribution_place_;
  std::vector<Place> threshold_places_;
  std::vector<std::pair<std::string, Place>> draw_places_;  // of each in plan_.distribution, in its order: its key in the file
  std::uint64_t most_outcomes_ = 0;                         // of any cell's training: updates, or episodes
  std::string outcome_units_;
  struct Warning {
    std::string text;  // of the first cell that has it
    std::uint64_t cells = 0;
  };
  std::map<std::string, Warning> warned_;  // by the word it begins with
};

}  // namespace fryer::cli
