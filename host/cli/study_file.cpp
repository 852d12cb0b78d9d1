// SPDX-License-Identifier: Apache-2.0
// See study_file.h. The file is read in three steps: what it says, with the place of each word (this is all that knows TOML); the product
// of what varies; and each combination through the command's own option table.
#include "host/cli/study_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <string_view>
#include <unordered_map>

#include "fryer/engine/registry.h"
#include "fryer/engine/run.h"
#include "host/cli/command.h"
#include "host/cli/config_file.h"
#include "host/cli/files.h"
#include "host/cli/toml_text.h"
#include "host/training_support.h"

namespace fryer::cli {
namespace {

struct Place {
  std::size_t line = 1, column = 1;
  friend auto operator<=>(const Place&, const Place&) = default;
};
Place place_of(const toml::source_region& source) { return {source.begin.line, source.begin.column}; }

struct Value {
  std::string text;
  Place place;
};
struct Setting {
  std::string key;
  Value value;
};
// What varies together: one key of [grid], or the keys of [[points]]. rows[i] has a value for each key.
struct Axis {
  Place place;
  std::vector<std::string> keys;
  std::vector<std::vector<Value>> rows;
};

const std::vector<std::string>& study_commands() {
  static const std::vector<std::string> names = {"train", "evaluate", "gradient"};
  return names;
}

// Keys of the file itself, besides the command's options.
const std::vector<std::string>& own_keys() {
  static const std::vector<std::string> keys = {"title",  "question", "command", "environment", "grid",
                                                "points", "seeds",    "record",  "distribution"};
  return keys;
}

// Options that a study cannot have, and what to say instead.
std::string why_not_in_a_study(const std::string& key) {
  static const std::vector<std::pair<std::vector<std::string>, const char*>> reasons = {
      {{"seed", "replicas"}, "not a setting of a study; [seeds] has first and count"},
      {{"save_policy", "save_replicas"},
       "not a setting of a study, which keeps its results in its own file; [record] says which"},
      {{"config"}, "a study file has its settings itself"},
      {{"policy"}, "a study carries its policy itself; parameters = [...]"},
      {{"json", "quiet", "verbose", "dry_run", "device", "threads"},
       "not a setting of a study, but an option of fryer study run"},
  };
  for (const auto& [keys, reason] : reasons) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) return reason;
  }
  return "";
}

const CommandEntry* find_entry(const std::string& command) {
  const auto& names = study_commands();
  if (std::find(names.begin(), names.end(), command) == names.end()) return nullptr;
  const auto found =
      std::find_if(commands().begin(), commands().end(), [&](const CommandEntry& entry) { return command == entry.name; });
  return &*found;
}

// "--batch 16" in a message of the option table is "batch 16" in a file.
std::string with_keys(const std::string& message, const OptionTable& table) {
  std::string text;
  for (std::size_t i = 0; i < message.size();) {
    if (message.compare(i, 2, "--") == 0) {
      const std::size_t end = std::min(message.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-", i + 2), message.size());
      const std::string name = message.substr(i + 2, end - i - 2);
      if (table.find(name) != nullptr) {
        text += key_of(name);
        i = end;
        continue;
      }
    }
    text += message[i++];
  }
  return text;
}

// Number i of `steps` from `from` to `to`. The ends are exact; between them decimals are short, and the same on every machine: the last
// bits, where mathematics libraries differ, are rounded away.
double step_of(double from, double to, std::uint64_t steps, std::uint64_t i, bool logarithmic) {
  if (i == 0) return from;
  if (i == steps - 1) return to;
  const double last = static_cast<double>(steps - 1), a = static_cast<double>(steps - 1 - i) / last,
               b = static_cast<double>(i) / last;
  return *parse_number(logarithmic ? fmt::format("{:.12g}", std::exp(std::log(from) * a + std::log(to) * b))
                                   : fmt::format("{:.15g}", from * a + to * b));
}

bool has_hidden_layer(const study::CellConfiguration& cell) {
  return std::visit(
      [](const auto& c) {
        if constexpr (requires { c.problem.hidden; }) {
          return c.problem.hidden.units != 0;
        } else {
          return false;
        }
      },
      cell);
}

// Plays at random, without a policy.
bool is_random(const study::CellConfiguration& cell) {
  return std::visit(
      [](const auto& c) {
        if constexpr (requires { c.random; }) {
          return c.random;
        } else {
          return false;
        }
      },
      cell);
}

// The training's settings, if it is one.
const TrainingSettings* training_of(const study::CellConfiguration& cell) {
  return std::visit(
      [](const auto& c) -> const TrainingSettings* {
        if constexpr (std::is_base_of_v<TrainingSettings, std::decay_t<decltype(c)>>) {
          return &c;
        } else {
          return nullptr;
        }
      },
      cell);
}

// A training of the environment that a cell's replicas play in.
TrainConfiguration training_in(const Problem& problem) {
  TrainConfiguration c;
  c.problem.environment = problem.environment;
  return c;
}
CartPoleTrainConfiguration training_in(const CartPoleProblem& problem) {
  CartPoleTrainConfiguration c;
  c.problem.environment = problem.environment;
  return c;
}
// Throws ConfigurationError, naming --until, for a mean return that episodes of this cell cannot have.
void check_threshold(const study::CellConfiguration& cell, double threshold) {
  std::visit(
      [&](const auto& c) {
        auto training = training_in(c.problem);
        training.until = threshold;
        validate(training);
      },
      cell);
}

// Throws ConfigurationError for an initial parameter that the policy cannot have.
void check_parameter(study::CellConfiguration cell, std::size_t index, double value) {
  std::visit(
      [&](auto& c) {
        if constexpr (requires { c.problem.weight; }) {
          (index == 0 ? c.problem.weight : c.problem.bias) = value;
        } else {
          c.problem.parameters[index] = value;
        }
        validate(c);
      },
      cell);
}

std::span<const std::string_view> parameters_of(const std::string& environment) {
  for (const EnvironmentEntry& entry : kEnvironments) {
    if (entry.name == environment) return entry.parameters;
  }
  return {};
}

// "learning_rate 0.1, batch 16".
std::string words_of(const std::vector<std::pair<std::string, std::string>>& point) {
  std::string text;
  for (const auto& [key, value] : point) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", key, shown(value));
  return text;
}

// Every setting of a resolved command that can change a result, but seed and replicas, which the study has: one text for one configuration.
std::string canonical(const Command& command) {
  Json configuration = command.table().configuration();
  configuration.erase("seed");
  configuration.erase("replicas");
  return configuration.dump();
}

class StudyReader {
 public:
  StudyReader(const std::string& path, const std::string& text, std::vector<std::string>* warnings)
      : file_(shown(path)), text_(text), warnings_(warnings), document_(parse_toml(file_, text)) {
    plan_.title = shown(std::filesystem::path(path).stem().string());
    plan_.source = text;
  }
  study::Plan read();

 private:
  using Choice = std::vector<const std::vector<Value>*>;  // one row of each axis

  std::string label(const Place& place, const std::string& key) const {
    return fmt::format("{}: line {}, column {}: {}", file_, place.line, place.column, shown(key));
  }
  [[noreturn]] void refuse(const Place& place, const std::string& key, const std::string& what) const {
    throw ConfigurationError(label(place, key) + ": " + what);
  }

  // ---- what the file says
  std::string word(const toml::key& key, const toml::node& value) const;
  std::uint64_t whole(const toml::key& key, const toml::node& value, std::uint64_t least, std::uint64_t most) const;
  bool flag(const toml::key& key, const toml::node& value) const;
  double number(const toml::key& key, const toml::node& value) const;
  const toml::table& table(const toml::key& key, const toml::node& value) const;
  [[noreturn]] void unknown_key(const toml::key& key, const std::string& where, const std::vector<std::string>& known) const;
  void read_head();
  void read_command();
  void read_environment();
  void read_settings();
  void check_key(const toml::key& key, bool varies) const;
  Value read_value(const std::string& key, const Place& place, const toml::node& value) const;
  void read_grid(const toml::key& key, const toml::node& value);
  std::vector<std::vector<Value>> read_list(const toml::key& key, const toml::array& list) const;
  std::vector<std::vector<Value>> read_range(const toml::key& key, const toml::table& range) const;
  void read_points(const toml::key& key, const toml::node& value);
  void read_seeds(const toml::key& key, const toml::node& value);
  void read_record(const toml::key& key, const toml::node& value);
  void read_thresholds(const toml::key& key, const toml::node& value);
  void read_distribution(const toml::key& key, const toml::node& value);
  study::Draw read_draw(const toml::key& key, const toml::node& value) const;

  // ---- what follows from it
  void check_values();
  void check_combined();
  void check_size();
  void make_cells();
  study::Cell make_cell(const Choice& choice);
  void check_cell(const study::Cell& cell, const Choice& choice);
  void warn(const Choice& choice, const std::string& warning);
  void check_curve() const;
  Place find_place(const std::string& key, const Choice& choice) const;
  [[noreturn]] void refuse_cell(const std::string& message, const Choice& choice, const OptionTable& table) const;
  std::string words(const Choice& choice) const;
  std::vector<std::pair<std::string, std::string>> point(const Choice& choice) const;

  const std::string file_;
  const std::string& text_;
  std::vector<std::string>* warnings_;
  const toml::table document_;

  study::Plan plan_;
  const CommandEntry* entry_ = nullptr;
  std::unique_ptr<Command> scratch_;  // knows the options; its values mean nothing
  std::vector<Setting> fixed_;
  std::vector<Axis> axes_;
  Place environment_place_, count_place_, curve_place_, distribution_place_;
  std::vector<Place> threshold_places_;
  std::vector<std::pair<std::string, Place>> draw_places_;  // in the order of plan_.distribution
  std::uint64_t most_updates_ = 0;
  struct Warning {
    std::string text;  // of the first cell that has it
    std::uint64_t cells = 0;
  };
  std::map<std::string, Warning> warned_;  // by the word it begins with
};

std::string StudyReader::word(const toml::key& key, const toml::node& value) const {
  const auto text = value.value_exact<std::string>();
  if (!text || text->empty()) refuse(place_of(key.source()), std::string(key.str()), "is not accepted; a text in quotes");
  return *text;
}

std::uint64_t StudyReader::whole(const toml::key& key, const toml::node& value, std::uint64_t least, std::uint64_t most) const {
  const std::optional<std::string> text = scalar_text(value);
  const std::optional<std::uint64_t> read = text ? parse_integer(*text) : std::nullopt;
  if (!read || *read < least || *read > most) {
    refuse(place_of(key.source()), std::string(key.str()),
           fmt::format("{} is not accepted; a whole number from {} to {}", text ? shown(*text) : "a list, a table or a date",
                       least, most));
  }
  return *read;
}

bool StudyReader::flag(const toml::key& key, const toml::node& value) const {
  const auto read = value.value_exact<bool>();
  if (!read) refuse(place_of(key.source()), std::string(key.str()), "is not accepted; true or false");
  return *read;
}

double StudyReader::number(const toml::key& key, const toml::node& value) const {
  const std::optional<std::string> text = scalar_text(value);
  const std::optional<double> read = value.is_number() ? parse_number(*text) : std::nullopt;
  if (!read) {
    refuse(place_of(value.source()), std::string(key.str()),
           fmt::format("{} is not accepted; a finite number", text ? shown(*text) : "a list, a table or a date"));
  }
  return *read;
}

const toml::table& StudyReader::table(const toml::key& key, const toml::node& value) const {
  const toml::table* table = value.as_table();
  if (table == nullptr) refuse(place_of(key.source()), std::string(key.str()), fmt::format("is not a table; [{}]", key.str()));
  return *table;
}

void StudyReader::unknown_key(const toml::key& key, const std::string& where, const std::vector<std::string>& known) const {
  const std::string name(key.str()), near = suggestion(name, known);
  refuse(place_of(key.source()), name,
         fmt::format("no such key of {}{}", where, near.empty() ? "; accepted: " + either(known) : near));
}

study::Plan StudyReader::read() {
  read_head();
  read_settings();
  check_combined();
  check_size();
  check_values();
  make_cells();
  check_curve();
  if (warnings_ != nullptr) {
    for (const auto& [kind, warning] : warned_) {
      const std::uint64_t others = warning.cells - 1;
      warnings_->push_back(
          warning.text +
          (others == 0 ? "" : fmt::format(" (and in {} more cell{})", with_separators(others), others == 1 ? "" : "s")));
    }
  }
  return std::move(plan_);
}

void StudyReader::read_head() {
  for (const auto& [key, value] : document_) {
    if (key.str() == "title") {
      plan_.title = word(key, value);
      if (std::any_of(plan_.title.begin(), plan_.title.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
        refuse(place_of(key.source()), "title", "is not accepted; one line, without control characters");
    } else if (key.str() == "question") {
      plan_.question = word(key, value);
    }
  }
  read_command();
  read_environment();
  scratch_ = entry_->make(plan_.environment);
}

void StudyReader::read_command() {
  plan_.command = "train";
  for (const auto& [key, value] : document_) {
    if (key.str() != "command") continue;
    plan_.command = word(key, value);
    if (find_entry(plan_.command) == nullptr) {
      refuse(place_of(key.source()), "command",
             fmt::format("{} is not accepted; {}{}", shown(plan_.command), either(study_commands()),
                         suggestion(plan_.command, study_commands())));
    }
  }
  entry_ = find_entry(plan_.command);
}

void StudyReader::read_environment() {
  const std::vector<std::string> names = environments_of(*entry_);
  for (const auto& [key, value] : document_) {
    if (key.str() != "environment") continue;
    environment_place_ = place_of(key.source());
    plan_.environment = word(key, value);
    if (std::find(names.begin(), names.end(), plan_.environment) == names.end()) {
      refuse(
          environment_place_, "environment",
          fmt::format("{} is not accepted; {}{}", shown(plan_.environment), either(names), suggestion(plan_.environment, names)));
    }
  }
  if (plan_.environment.empty()) {
    for (const auto& [key, value] : document_) {  // misspelt, rather than missing?
      if (nearest(key.str(), {"environment"})) unknown_key(key, "a study file", {"environment"});
    }
    refuse(environment_place_, "environment", "missing; " + either(names));
  }
}

void StudyReader::check_key(const toml::key& key, bool varies) const {
  const std::string name(key.str());
  const Place place = place_of(key.source());
  const std::string reason = why_not_in_a_study(name);
  if (scratch_->table().find(option_of(name)) != nullptr && !reason.empty()) refuse(place, name, reason);
  const auto& own = own_keys();
  if (varies && (std::find(own.begin(), own.end(), name) != own.end() || name == "algorithm"))
    refuse(place, name, "cannot vary in a study; it stands above the tables, once");
  if (scratch_->table().find(option_of(name)) != nullptr) return;
  if (!reason.empty()) refuse(place, name, reason);
  std::vector<std::string> known = scratch_->table().names();
  for (std::string& option : known) option = key_of(option);
  std::erase_if(known, [](const std::string& option) { return !why_not_in_a_study(option).empty(); });
  if (!varies) known.insert(known.end(), own.begin(), own.end());
  const std::string why = scratch_->why_not(option_of(name));
  const std::string near = why.empty() ? suggestion(name, known) : "";
  refuse(place, name,
         near.empty() ? with_keys(unknown_option(*scratch_, option_of(name), true), scratch_->table())
                      : "no such key of a study file" + near);
}

Value StudyReader::read_value(const std::string& key, const Place& place, const toml::node& value) const {
  const bool may_be_list = key == "parameters";
  std::optional<std::string> text = may_be_list ? setting_text(value) : scalar_text(value);
  if (text && text->empty() && value.is_array()) refuse(place, key, "an empty list is not accepted");
  if (!text && value.is_array() && !may_be_list) refuse(place, key, "a list is not accepted here; what varies belongs in [grid]");
  if (!text) refuse(place, key, kNoSetting);
  return {std::move(*text), place};
}

void StudyReader::read_settings() {
  for (const auto& [key, value] : document_) {
    const std::string name(key.str());
    if (name == "grid") {
      read_grid(key, value);
    } else if (name == "points") {
      read_points(key, value);
    } else if (name == "seeds") {
      read_seeds(key, value);
    } else if (std::find(own_keys().begin(), own_keys().end(), name) == own_keys().end()) {
      check_key(key, false);
      fixed_.push_back({name, read_value(name, place_of(key.source()), value)});
    }
  }
  if (plan_.seeds == 0) refuse({1, 1}, "seeds", "missing; [seeds] with count, and first unless it is 1");
  std::sort(axes_.begin(), axes_.end(), [](const Axis& a, const Axis& b) { return a.place < b.place; });
  // What is recorded depends on the command, and what is drawn on the environment: after the rest, whatever the order in the file.
  if (plan_.command == "gradient") plan_.record.parameters = false;
  for (const auto& [key, value] : document_) {
    if (key.str() == "distribution") read_distribution(key, value);
  }
  if (plan_.command == "evaluate" && plan_.distribution.empty()) plan_.record.parameters = false;
  for (const auto& [key, value] : document_) {
    if (key.str() == "record") read_record(key, value);
  }
}

void StudyReader::read_grid(const toml::key& key, const toml::node& value) {
  const toml::table& grid = table(key, value);
  if (grid.empty()) refuse(place_of(key.source()), "grid", "is empty; a key with the list of its values, or no [grid]");
  for (const auto& [name, values] : grid) {
    check_key(name, true);
    Axis axis;
    axis.place = place_of(name.source());
    axis.keys = {std::string(name.str())};
    if (const toml::array* list = values.as_array()) {
      axis.rows = read_list(name, *list);
    } else if (const toml::table* range = values.as_table()) {
      axis.rows = read_range(name, *range);
    } else {
      refuse(axis.place, axis.keys[0], "is not accepted; a list of values, or {from, to, steps, scale}");
    }
    axes_.push_back(std::move(axis));
  }
}

std::vector<std::vector<Value>> StudyReader::read_list(const toml::key& key, const toml::array& list) const {
  const std::string name(key.str());
  if (list.empty()) refuse(place_of(key.source()), name, "an empty list is not accepted; at least one value");
  std::vector<std::vector<Value>> rows;
  for (const toml::node& element : list) rows.push_back({read_value(name, place_of(element.source()), element)});
  return rows;
}

std::vector<std::vector<Value>> StudyReader::read_range(const toml::key& key, const toml::table& range) const {
  const std::string name(key.str());
  const Place place = place_of(key.source());
  std::optional<double> from, to;
  std::optional<std::uint64_t> steps;
  bool logarithmic = false;
  for (const auto& [part, value] : range) {
    if (part.str() == "from" || part.str() == "to") {
      const double end = number(part, value);
      const auto integer = value.value_exact<std::int64_t>();
      if (integer && std::abs(end) >= 0x1p53) refuse(place_of(part.source()), name, "a range of whole numbers stays below 2^53");
      (part.str() == "from" ? from : to) = end;
    } else if (part.str() == "steps") {
      steps = whole(part, value, 1, kMostCells);
    } else if (part.str() == "scale") {
      const std::vector<std::string> scales = {"linear", "log"};
      const std::string scale = word(part, value);
      if (std::find(scales.begin(), scales.end(), scale) == scales.end()) {
        refuse(place_of(part.source()), "scale",
               fmt::format("{} is not accepted; {}{}", shown(scale), either(scales), suggestion(scale, scales)));
      }
      logarithmic = scale == "log";
    } else {
      unknown_key(part, "a range", {"from", "to", "steps", "scale"});
    }
  }
  if (!from || !to || !steps)
    refuse(place, name,
           fmt::format("{} missing in the range; {{from, to, steps, scale}}", !from ? "from"
                                                                              : !to ? "to"
                                                                                    : "steps"));
  if (*steps == 1 && *from != *to) refuse(place, name, "1 step cannot be both ends of a range; steps from 2");
  if (*steps > 1 && *from == *to) refuse(place, name, fmt::format("a range of {} steps needs two different ends", *steps));
  if (logarithmic && !(*from > 0 && *to > 0)) refuse(place, name, "a log range needs both ends above 0");
  std::vector<std::vector<Value>> rows;
  double previous = 0;
  for (std::uint64_t i = 0; i < *steps; ++i) {
    const double x = step_of(*from, *to, *steps, i, logarithmic);
    if (i != 0 && !(*from < *to ? x > previous : x < previous))
      refuse(place, name, fmt::format("{} steps from {} to {} lie too close to each other", *steps, *from, *to));
    previous = x;
    rows.push_back({{fmt::format("{}", x), place}});
  }
  return rows;
}

void StudyReader::read_points(const toml::key& key, const toml::node& value) {
  const toml::array* list = value.as_array();
  if (list == nullptr || list->empty() ||
      !std::all_of(list->begin(), list->end(), [](const toml::node& n) { return n.is_table(); }))
    refuse(place_of(key.source()), "points", "is not accepted; [[points]] before each point's keys, at least one");
  std::vector<Setting> first;
  for (const auto& [name, setting] : *list->front().as_table()) {
    check_key(name, true);
    first.push_back({std::string(name.str()), {"", place_of(name.source())}});
  }
  if (first.empty()) refuse(place_of(list->front().source()), "points", "an empty point is not accepted; at least one key");
  std::sort(first.begin(), first.end(), [](const Setting& a, const Setting& b) { return a.value.place < b.value.place; });
  Axis axis;
  axis.place = first[0].value.place;
  for (const Setting& setting : first) axis.keys.push_back(setting.key);
  for (const toml::node& node : *list) {
    const toml::table& given = *node.as_table();
    for (const auto& [name, setting] : given) {
      check_key(name, true);
      if (std::find(axis.keys.begin(), axis.keys.end(), name.str()) == axis.keys.end())
        refuse(place_of(name.source()), std::string(name.str()),
               "the first of the points does not have it; all points have the same keys");
    }
    std::vector<Value> row;
    for (const std::string& name : axis.keys) {
      const auto found = given.find(name);
      if (found == given.end()) refuse(place_of(node.source()), name, "missing in this point; all points have the same keys");
      row.push_back(read_value(name, place_of(found->first.source()), found->second));
    }
    axis.rows.push_back(std::move(row));
  }
  axes_.push_back(std::move(axis));
}

void StudyReader::read_seeds(const toml::key& key, const toml::node& value) {
  constexpr std::uint64_t kLast = std::numeric_limits<std::uint64_t>::max();
  for (const auto& [part, given] : table(key, value)) {
    if (part.str() == "first") {
      plan_.first_seed = whole(part, given, 0, kLast);
    } else if (part.str() == "count") {
      count_place_ = place_of(part.source());
      plan_.seeds = whole(part, given, 1, kLast);
    } else {
      unknown_key(part, "[seeds]", {"first", "count"});
    }
  }
  if (plan_.seeds == 0) refuse(place_of(key.source()), "seeds", "count is missing; how many seeds");
  if (plan_.seeds - 1 > kLast - plan_.first_seed) {
    refuse(count_place_, "count",
           fmt::format("{} seeds from {} on are not accepted; first + count - 1 must stay below 2^64", plan_.seeds,
                       plan_.first_seed));
  }
}

void StudyReader::read_record(const toml::key& key, const toml::node& value) {
  const bool training = plan_.command == "train";
  for (const auto& [part, given] : table(key, value)) {
    const std::string name(part.str());
    const Place place = place_of(part.source());
    const std::vector<std::string> known = {"parameters", "curve_every", "evaluation_episodes", "thresholds"};
    if (std::find(known.begin(), known.end(), name) == known.end()) unknown_key(part, "[record]", known);
    const bool of_policies = name == "parameters" || (name == "thresholds" && plan_.command == "evaluate");
    if (!training && !of_policies)
      refuse(place, name, fmt::format("has no meaning for {}; it is of trainings", plan_.command));
    if (plan_.command == "gradient") refuse(place, name, "has no meaning for gradient; all estimates are kept");
    if (plan_.command == "evaluate" && name == "parameters" && plan_.distribution.empty())
      refuse(place, name, "has no meaning without [distribution]; all replicas have the same parameters");
    if (name == "parameters") {
      plan_.record.parameters = flag(part, given);
    } else if (name == "curve_every") {
      curve_place_ = place;
      plan_.record.curve_every = whole(part, given, 0, 2147483647);
    } else if (name == "evaluation_episodes") {
      plan_.record.evaluation_episodes = whole(part, given, 0, kMostEvaluationEpisodes);
    } else {
      read_thresholds(part, given);
    }
  }
}

void StudyReader::read_thresholds(const toml::key& key, const toml::node& value) {
  const toml::array* list = value.as_array();
  const Place place = place_of(key.source());
  if (list == nullptr || list->empty()) refuse(place, "thresholds", "is not accepted; a list of returns, at least one");
  if (list->size() > kMostThresholds)
    refuse(place, "thresholds", fmt::format("{} are not accepted; at most {}", list->size(), kMostThresholds));
  std::vector<double>& thresholds = plan_.record.thresholds;
  for (const toml::node& element : *list) {
    const double threshold = number(key, element);
    if (std::find(thresholds.begin(), thresholds.end(), threshold) != thresholds.end())
      refuse(place_of(element.source()), "thresholds", fmt::format("{} stands there twice", threshold));
    thresholds.push_back(threshold);
    threshold_places_.push_back(place_of(element.source()));
  }
}

study::Draw StudyReader::read_draw(const toml::key& key, const toml::node& value) const {
  const std::string name(key.str());
  const Place place = place_of(key.source());
  const char* const accepted = "\"uniform(LOW, HIGH)\" with two finite numbers, the first below the second";
  const auto given = value.value_exact<std::string>();
  if (!given) refuse(place, name, fmt::format("is not accepted; {}", accepted));
  std::string text;  // without spaces
  for (const char c : *given) {
    if (c != ' ') text += c;
  }
  constexpr std::string_view kHead = "uniform(";
  const std::size_t comma = text.find(',');
  study::Draw draw;
  bool good = text.starts_with(kHead) && text.ends_with(')') && comma != std::string::npos && comma >= kHead.size();
  if (good) {
    const auto low = parse_number(text.substr(kHead.size(), comma - kHead.size()));
    const auto high = parse_number(text.substr(comma + 1, text.size() - comma - 2));
    good = low && high && *low < *high;
    if (good) draw.low = *low, draw.high = *high;
  }
  if (!good) refuse(place, name, fmt::format("{} is not accepted; {}", shown(*given), accepted));
  draw.parameter = name;
  return draw;
}

void StudyReader::read_distribution(const toml::key& key, const toml::node& value) {
  const auto names = parameters_of(plan_.environment);
  const toml::table& given = table(key, value);
  distribution_place_ = place_of(key.source());
  if (plan_.command == "gradient")
    refuse(distribution_place_, "distribution", "has no meaning for gradient; its parameters are fixed");
  if (given.empty())
    refuse(distribution_place_, "distribution", "is empty; parameters = \"uniform(-1, 1)\", or no [distribution]");
  std::vector<std::string> known(names.begin(), names.end());
  known.emplace_back("parameters");
  for (const auto& [part, text] : given) {
    const auto found = std::find(names.begin(), names.end(), part.str());
    if (part.str() != "parameters" && found == names.end()) unknown_key(part, "[distribution]", known);
    if (part.str() == "parameters" && given.size() > 1)
      refuse(place_of(part.source()), "parameters", "cannot be combined with single parameters; it is all of them");
    const study::Draw draw = read_draw(part, text);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (part.str() != "parameters" && part.str() != names[i]) continue;
      plan_.distribution.push_back({std::string(names[i]), i, draw.low, draw.high});
      draw_places_.emplace_back(part.str(), place_of(part.source()));
    }
  }
  // In the registry's order; TOML's tables are in alphabetical order.
  std::vector<std::size_t> order(plan_.distribution.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return plan_.distribution[a].index < plan_.distribution[b].index; });
  const auto draws = plan_.distribution;
  const auto places = draw_places_;
  for (std::size_t i = 0; i < order.size(); ++i) {
    plan_.distribution[i] = draws[order[i]];
    draw_places_[i] = places[order[i]];
  }
}

// How each value is written, before any are combined.
void StudyReader::check_values() {
  const auto check = [&](const std::string& key, const Value& value) {
    try {
      scratch_->table().find(option_of(key))->read(value.text);
    } catch (const ConfigurationError& error) {
      refuse(value.place, key, with_keys(error.what(), scratch_->table()));
    }
  };
  for (const Setting& setting : fixed_) check(setting.key, setting.value);
  for (const Axis& axis : axes_) {
    std::set<std::vector<std::string>> seen;
    for (const std::vector<Value>& row : axis.rows) {
      std::vector<std::string> texts;
      for (std::size_t i = 0; i < row.size(); ++i) {
        check(axis.keys[i], row[i]);
        const auto number = parse_number(row[i].text);  // 1000 and "1e3" are one
        texts.push_back(number ? fmt::format("{}", *number) : row[i].text);
      }
      if (!seen.insert(texts).second) {
        refuse(
            row[0].place, axis.keys[0],
            axis.keys.size() == 1 ? fmt::format("{} stands there twice", shown(row[0].text)) : "this point stands there twice");
      }
    }
  }
}

// Keys that are said in two places.
void StudyReader::check_combined() {
  std::vector<std::pair<std::string, Place>> varying;
  for (const Axis& axis : axes_) {
    for (const std::string& key : axis.keys) {
      const auto twice = std::find_if(varying.begin(), varying.end(), [&](const auto& other) { return other.first == key; });
      if (twice != varying.end()) refuse(axis.place, key, "varies in [grid] and in [[points]]; one of them");
      varying.emplace_back(key, axis.place);
    }
  }
  for (const auto& [key, place] : varying) {
    for (const Setting& setting : fixed_) {
      if (setting.key == key)
        refuse(place, key, fmt::format("varies here and is fixed on line {}; one of them", setting.value.place.line));
    }
  }
  // A drawn parameter has no other value.
  for (const Setting& setting : fixed_) varying.emplace_back(setting.key, setting.value.place);
  const bool all = plan_.distribution.size() == parameters_of(plan_.environment).size();
  for (const auto& [key, place] : varying) {
    const bool drawn = std::any_of(plan_.distribution.begin(), plan_.distribution.end(),
                                   [&](const study::Draw& draw) { return draw.parameter == key; });
    if (drawn || (all && key == "parameters")) refuse(place, key, "is drawn by [distribution]; it cannot be given too");
  }
}

void StudyReader::check_size() {
  double cells = 1;  // exact where it matters
  for (const Axis& axis : axes_) cells *= static_cast<double>(axis.rows.size());
  const double trainings = cells * static_cast<double>(plan_.seeds);
  const auto count = [](double n) {
    return n < 1e15 ? with_separators(static_cast<std::uint64_t>(n)) : fmt::format("{:.3g}", n);
  };
  const std::string size =
      fmt::format("{} cell{} of {} seeds would be {} {}s", count(cells), cells == 1 ? "" : "s", with_separators(plan_.seeds),
                  count(trainings), plan_.command == "train" ? "training" : "run");
  if (cells > static_cast<double>(kMostCells))
    refuse(axes_.front().place, "grid", fmt::format("{}; a study has at most {} cells", size, with_separators(kMostCells)));
  if (trainings > static_cast<double>(kMostTrainings))
    refuse(count_place_, "count", fmt::format("{}; a study has at most {}", size, with_separators(kMostTrainings)));
}

std::vector<std::pair<std::string, std::string>> StudyReader::point(const Choice& choice) const {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (std::size_t a = 0; a < axes_.size(); ++a) {
    for (std::size_t i = 0; i < axes_[a].keys.size(); ++i) pairs.emplace_back(axes_[a].keys[i], (*choice[a])[i].text);
  }
  return pairs;
}

std::string StudyReader::words(const Choice& choice) const { return words_of(point(choice)); }

Place StudyReader::find_place(const std::string& key, const Choice& choice) const {
  for (std::size_t a = 0; a < choice.size(); ++a) {
    for (std::size_t i = 0; i < axes_[a].keys.size(); ++i) {
      if (axes_[a].keys[i] == key) return (*choice[a])[i].place;
    }
  }
  for (const Setting& setting : fixed_) {
    if (setting.key == key) return setting.value.place;
  }
  return environment_place_;
}

// What the option table or validate() say, of one combination, with the place of what they name.
void StudyReader::refuse_cell(const std::string& message, const Choice& choice, const OptionTable& table) const {
  const std::string at = axes_.empty() ? "" : fmt::format("at {}: ", words(choice));
  // "LABEL: what", of an option that the file sets.
  const auto with_label = [&](const std::string& key, const Place& place) {
    const std::string head = label(place, key) + ": ";
    if (message.starts_with(head)) throw ConfigurationError(head + at + with_keys(message.substr(head.size()), table));
  };
  for (const Setting& setting : fixed_) with_label(setting.key, setting.value.place);
  for (const auto& [key, value] : point(choice)) with_label(key, find_place(key, choice));
  // "--option: what", or of several options.
  std::string text = with_keys(message, table);
  const std::string key = text.substr(0, text.find_first_of(":, "));
  if (text.starts_with(key + ": ")) text.erase(0, key.size() + 2);
  if (text.starts_with(key + ' ')) text.erase(0, key.size() + 1);  // --baseline constant: ...
  refuse(find_place(key, choice), key, at + text);
}

study::Cell StudyReader::make_cell(const Choice& choice) {
  std::vector<Assignment> settings;
  settings.reserve(fixed_.size() + axes_.size());
  const auto add = [&](const std::string& key, const Value& value) {
    settings.push_back({option_of(key), value.text, label(value.place, key)});
  };
  for (const Setting& setting : fixed_) add(setting.key, setting.value);
  for (std::size_t a = 0; a < axes_.size(); ++a) {
    for (std::size_t i = 0; i < axes_[a].keys.size(); ++i) add(axes_[a].keys[i], (*choice[a])[i]);
  }
  const std::unique_ptr<Command> command = entry_->make(plan_.environment);
  study::Cell cell;
  cell.point = point(choice);
  try {
    configure(*command, settings, {});
    cell.run = command->cell();
  } catch (const ConfigurationError& error) {
    refuse_cell(error.what(), choice, command->table());
  }
  check_cell(cell, choice);
  cell.configuration = canonical(*command);
  plan_.algorithm = command->algorithm();
  for (const std::string& warning : command->warnings) warn(choice, with_keys(warning, command->table()));
  return cell;
}

void StudyReader::make_cells() {
  std::uint64_t count = 1;
  for (const Axis& axis : axes_) count *= axis.rows.size();
  plan_.cells.reserve(count);
  std::unordered_map<std::string_view, std::size_t> seen;
  for (std::uint64_t number = 0; number < count; ++number) {
    Choice choice(axes_.size());
    std::uint64_t rest = number;
    for (std::size_t a = axes_.size(); a-- > 0; rest /= axes_[a].rows.size())
      choice[a] = &axes_[a].rows[rest % axes_[a].rows.size()];
    plan_.cells.push_back(make_cell(choice));
    const auto [same, is_new] = seen.emplace(plan_.cells.back().configuration, number);
    if (!is_new) {
      refuse(
          axes_.front().place, axes_.front().keys.front(),
          fmt::format("two cells have the same settings: {}; and {}", words_of(plan_.cells[same->second].point), words(choice)));
    }
  }
}

// What is drawn and recorded, beside the settings of one cell.
void StudyReader::check_cell(const study::Cell& cell, const Choice& choice) {
  const std::string at = axes_.empty() ? "" : fmt::format("at {}: ", words(choice));
  const auto reason = [](const ConfigurationError& error) {  // without the option's name
    const std::string text = error.what();
    return text.substr(std::min(text.find(": ") + 2, text.size()));
  };
  if (!plan_.distribution.empty()) {
    if (has_hidden_layer(*cell.run))
      refuse(distribution_place_, "distribution",
             at + "not supported with a hidden layer, whose trainings draw their own start (initialisation)");
    if (is_random(*cell.run))
      refuse(distribution_place_, "distribution", at + "has no meaning with random, which has no parameters");
    if (plan_.cells.empty()) {  // the same for all cells
      for (std::size_t i = 0; i < plan_.distribution.size(); ++i) {
        const study::Draw& draw = plan_.distribution[i];
        try {
          check_parameter(*cell.run, draw.index, draw.low);
          check_parameter(*cell.run, draw.index, draw.high);
        } catch (const ConfigurationError& error) {
          refuse(draw_places_[i].second, draw_places_[i].first, reason(error));
        }
      }
    }
  }
  const std::vector<double>& thresholds = plan_.record.thresholds;
  for (std::size_t i = 0; i < thresholds.size(); ++i) {
    try {
      check_threshold(*cell.run, thresholds[i]);
    } catch (const ConfigurationError& error) {
      refuse(threshold_places_[i], "thresholds", at + reason(error));
    }
  }
  const TrainingSettings* training = training_of(*cell.run);
  if (training == nullptr) return;
  most_updates_ = std::max(most_updates_, training->updates);
  const std::uint64_t window = window_of(training->batch);
  if (!thresholds.empty() && training->updates < window) {
    warn(choice, fmt::format("thresholds look back on {} updates of batch {}: with {} no training can meet them", window,
                             training->batch, training->updates));
  }
  if (plan_.record.curve_every != 0) {
    const std::uint64_t every = plan_.record.curve_every, points = training->updates / every + (every > 1 ? 1 : 0);
    if (points > kMostCurvePoints) {
      refuse(curve_place_, "curve_every",
             at + fmt::format("{} points of {} updates are not accepted; at most {}, so curve_every from {}", points,
                              training->updates, kMostCurvePoints, training->updates / (kMostCurvePoints - 1) + 1));
    }
  }
}

void StudyReader::check_curve() const {
  if (plan_.record.curve_every > most_updates_) {
    refuse(curve_place_, "curve_every",
           fmt::format("{} is not accepted; at most {}, the updates of a training", plan_.record.curve_every, most_updates_));
  }
}

// One line for a warning, however many cells have it.
void StudyReader::warn(const Choice& choice, const std::string& warning) {
  const std::string at = axes_.empty() ? "" : fmt::format("at {}: ", words(choice));
  const std::string kind = warning.substr(0, warning.find(' '));
  const auto [found, is_new] = warned_.try_emplace(kind, Warning{fmt::format("{}: {}{}", file_, at, warning), 0});
  ++found->second.cells;
}

// ---- a plan of a store

[[noreturn]] void damaged(const std::string& what) { throw DamagedFileError("study: " + what); }

// `defaults`: what a new command of this kind has. Only what differs is set: most of a cell does not, and setting is what takes time.
void make_runnable(Command& command, const std::map<std::string, std::string>& defaults, std::size_t number, study::Cell& cell) {
  const std::string name = fmt::format("cell {}", number + 1);
  try {
    ConfigFile file = parse_config(name, cell.configuration);
    for (const Assignment& assignment : file.assignments) {
      if (!defaults.contains(assignment.name)) {
        const Option* option = command.table().find(assignment.name);
        if (option == nullptr || !option->setting) damaged(assignment.label + ": not a setting of this version");
      }
    }
    std::erase_if(file.assignments, [&](const Assignment& assignment) {
      const auto found = defaults.find(assignment.name);
      return found != defaults.end() && found->second == assignment.text;
    });
    configure(command, file.assignments, {});
  } catch (const ConfigurationError& error) {
    damaged(error.what());
  }
  if (canonical(command) != cell.configuration) damaged(name + ": its settings are not those of this version, as it writes them");
  cell.run = command.cell();
}

}  // namespace

study::Plan parse_study(const std::string& path, const std::string& text, std::vector<std::string>* warnings) {
  return StudyReader(path, text, warnings).read();
}

study::Plan read_study_file(const std::string& path, std::vector<std::string>* warnings) {
  return parse_study(path, read_file("study", path), warnings);
}

void make_runnable(study::Plan& plan) {
  const CommandEntry* entry = find_entry(plan.command);
  if (entry == nullptr) damaged(fmt::format("its command {} is none of {}", shown(plan.command), either(study_commands())));
  const std::vector<std::string> environments = environments_of(*entry);
  if (std::find(environments.begin(), environments.end(), plan.environment) == environments.end())
    damaged(fmt::format("its environment {} is none of {}", shown(plan.environment), either(environments)));
  const auto names = parameters_of(plan.environment);
  for (const study::Draw& draw : plan.distribution) {
    if (draw.index >= names.size() || names[draw.index] != draw.parameter)
      damaged(fmt::format("{} is no parameter of {}", shown(draw.parameter), plan.environment));
  }
  std::map<std::string, std::string> defaults;
  for (const Assignment& a : parse_config("defaults", canonical(*entry->make(plan.environment))).assignments)
    defaults[a.name] = a.text;
  for (std::size_t i = 0; i < plan.cells.size(); ++i) make_runnable(*entry->make(plan.environment), defaults, i, plan.cells[i]);
}

}  // namespace fryer::cli
