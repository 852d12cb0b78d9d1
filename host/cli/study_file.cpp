// SPDX-License-Identifier: Apache-2.0
// What a study file says, but for its grid and what is drawn: command, environment, settings, seeds, what is recorded; and what it may
// not say.
// Parts that depend on others are read after them, whatever their order in the file.
#include "host/cli/study_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>

#include "fryer/engine/registry.h"
#include "host/cli/files.h"
#include "host/cli/study_reader.h"

namespace fryer::cli {
namespace {

// Keys of the file itself, besides the command's options.
const std::vector<std::string>& own_keys() {
  static const std::vector<std::string> keys = {"title",  "question", "command", "environment", "grid",
                                                "points", "seeds",    "record",  "distribution"};
  return keys;
}

}  // namespace

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

const std::vector<std::string>& study_commands() {
  static const std::vector<std::string> names = {"train", "evaluate", "gradient"};
  return names;
}

const CommandEntry* find_entry(const std::string& command) {
  const auto& names = study_commands();
  if (std::find(names.begin(), names.end(), command) == names.end()) return nullptr;
  const auto found =
      std::find_if(commands().begin(), commands().end(), [&](const CommandEntry& entry) { return command == entry.name; });
  return &*found;
}

std::span<const std::string_view> parameters_of(const study::Plan& plan) {
  for (const EnvironmentEntry& entry : kEnvironments) {
    if (entry.name == plan.environment && (plan.algorithm.empty() || plan.algorithm == "reinforce")) return entry.parameters;
  }
  return {};
}

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

StudyReader::StudyReader(const std::string& path, const std::string& text, std::vector<std::string>* warnings)
    : file_(shown(path)), warnings_(warnings), document_(parse_toml(file_, text)) {
  plan_.title = shown(std::filesystem::path(path).stem().string());
  plan_.source = text;
}

std::string StudyReader::label(const Place& place, const std::string& key) const {
  return fmt::format("{}: line {}, column {}: {}", file_, place.line, place.column, shown(key));
}

void StudyReader::refuse(const Place& place, const std::string& key, const std::string& what) const {
  throw ConfigurationError(label(place, key) + ": " + what);
}

std::string StudyReader::word(const toml::key& key, const toml::node& value) const {
  const auto text = value.value_exact<std::string>();
  if (!text || text->empty()) refuse(place_of(key.source()), std::string(key.str()), "is not accepted; a text in quotes");
  return *text;
}

// TOML's whole numbers are signed: from 2^63 on they can only be said in quotes.
void StudyReader::refuse_quotes(const Place& place, const std::string& key, const toml::node& value) const {
  constexpr std::uint64_t kMostOfToml = std::numeric_limits<std::int64_t>::max();
  const auto text = value.value_exact<std::string>();
  if (!text) return;
  const std::optional<std::uint64_t> whole = parse_integer(*text);
  if (whole ? *whole > kMostOfToml : !parse_number(*text)) return;
  refuse(place, key, fmt::format("\"{}\" is not accepted; a number, not a text in quotes", shown(*text)));
}

std::uint64_t StudyReader::whole(const toml::key& key, const toml::node& value, std::uint64_t least, std::uint64_t most) const {
  refuse_quotes(place_of(key.source()), std::string(key.str()), value);
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
  refuse_quotes(place_of(value.source()), std::string(key.str()), value);
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
  bind_draws(plan_, *entry_);
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
  read_algorithm();
  scratch_ = entry_->make({plan_.environment, plan_.algorithm});
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

// Before the settings are, which depend on it.
void StudyReader::read_algorithm() {
  std::optional<Assignment> algorithm, preset;
  for (const auto& [key, value] : document_) {
    if (key.str() != "algorithm" && key.str() != "preset") continue;
    const std::string name(key.str());
    Assignment given{name, word(key, value), label(place_of(key.source()), name)};
    (name == "algorithm" ? algorithm : preset) = std::move(given);
  }
  if (!algorithm && !preset) {  // presets that vary are all of one algorithm (check_values)
    for (const auto& varying : {document_["grid"]["preset"][0], document_["points"][0]["preset"]}) {
      const auto name = varying.value_exact<std::string>();
      if (name) preset.emplace(Assignment{"preset", *name, ""});
    }
  }
  plan_.algorithm = choose_algorithm(*entry_, plan_.environment, algorithm ? &*algorithm : nullptr, preset ? &*preset : nullptr);
  plan_.algorithm = entry_->make({plan_.environment, plan_.algorithm})->algorithm();
  plan_.record.parameters =
      !study::counts_episodes(plan_.algorithm);  // unless [record] says otherwise: thousands, of a Q network
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

StudyReader::Value StudyReader::read_value(const std::string& key, const Place& place, const toml::node& value) const {
  const bool may_be_list = scratch_->table().find(option_of(key))->list;
  std::optional<std::string> text = may_be_list ? setting_text(value) : scalar_text(value);
  if (text && text->empty() && value.is_array()) refuse(place, key, "an empty list is not accepted");
  if (!text && value.is_array() && !may_be_list) refuse(place, key, "a list is not accepted here; what varies belongs in [grid]");
  if (!text) refuse(place, key, kNoSetting);
  if (scratch_->table().find(option_of(key))->numeric) refuse_quotes(place, key, value);
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
  for (const auto& [key, value] : document_) {
    if (key.str() == "distribution") read_distribution(key, value);
  }
  if (plan_.command != "train" && !plan_.draws_parameters()) plan_.record.parameters = false;
  for (const auto& [key, value] : document_) {
    if (key.str() == "record") read_record(key, value);
  }
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
    if (!training && !of_policies) refuse(place, name, fmt::format("has no meaning for {}; it is of trainings", plan_.command));
    if (!training && name == "parameters" && !plan_.draws_parameters())
      refuse(place, name, "has no meaning unless [distribution] draws them; all replicas have the same parameters");
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

study::Plan parse_study(const std::string& path, const std::string& text, std::vector<std::string>* warnings) {
  return StudyReader(path, text, warnings).read();
}

study::Plan read_study_file(const std::string& path, std::vector<std::string>* warnings) {
  return parse_study(path, read_file("study", path), warnings);
}

}  // namespace fryer::cli
