// SPDX-License-Identifier: Apache-2.0
// [distribution] of a study file: parameters and real-valued settings that each replica draws, which of the command's options these can be,
// and that a cell can run with whatever may be drawn for it.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <tuple>

#include "fryer/engine/run.h"
#include "host/cli/study_reader.h"
#include "host/study/draws.h"

namespace fryer::cli {
namespace {

// All combinations of both ends are checked: 2^10 of them.
constexpr std::size_t kMostDrawnSettings = 10;

// Why this option, which is no real number or must be the same for all replicas of a cell, cannot be drawn.
std::string why_not_drawn(const Option& option) {
  static const std::vector<std::pair<std::vector<std::string>, const char*>> reasons = {
      {{"updates", "batch", "episodes"},
       "curves, thresholds and counts are of as many updates and episodes for every replica of a cell"},
      {{"until"}, "it is what a cell's replicas are counted by"},
      {{"max-steps"}, "it bounds the returns that a cell's replicas are compared by"},
      {{"hidden"}, "a cell's replicas have the same parameters"},
      {{"buffer", "warmup-steps", "train-every", "gradient-steps", "target-every", "epsilon-decay-steps"},
       "it is a whole number"},
  };
  for (const auto& [names, reason] : reasons) {
    if (std::find(names.begin(), names.end(), option.name) != names.end()) return reason;
  }
  return "only numbers can be";
}

// One command of the plan's kind, by whose option table a configuration is changed.
class SettingWriter {
 public:
  explicit SettingWriter(std::unique_ptr<Command> command) : command_(std::move(command)) {}
  double* find(const std::string& setting) const { return command_->table().find_real(option_of(setting)); }
  // `variable`: of find().
  void write(study::CellConfiguration& cell, double* variable, double value) {
    const std::lock_guard lock(mutex_);
    command_->take(cell);
    *variable = value;
    cell = *command_->cell();
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<Command> command_;
};

void validate_cell(const study::CellConfiguration& cell) {
  std::visit([](const auto& c) { validate(c); }, cell);
}

// Of ranges that go through zero: what is drawn right beside it, where some settings have a gap.
std::vector<double> beside_zero(const study::Draw& draw) {
  constexpr double kTiny = std::numeric_limits<double>::min();
  std::vector<double> values;
  if (draw.low <= 0 && draw.high > 0) values.push_back(kTiny);
  if (draw.low < 0 && draw.high >= 0) values.push_back(-kTiny);
  return values;
}

}  // namespace

const StudyReader::Place* StudyReader::find_draw(const std::string& name) const {
  for (std::size_t i = 0; i < draw_places_.size(); ++i) {
    if (draw_places_[i].first == name || plan_.distribution[i].name() == name) return &draw_places_[i].second;
  }
  return nullptr;
}

study::Draw StudyReader::read_draw(const toml::key& key, const toml::node& value) const {
  using Scale = study::Draw::Scale;
  const std::string name(key.str());
  const Place place = place_of(key.source());
  const char* const accepted =
      "\"uniform(LOW, HIGH)\" or \"log_uniform(LOW, HIGH)\" with two finite numbers, the first below the second, and above 0 for "
      "log_uniform";
  const auto given = value.value_exact<std::string>();
  if (!given) refuse(place, name, fmt::format("is not accepted; {}", accepted));
  std::string text;  // without spaces
  for (const char c : *given) {
    if (c != ' ') text += c;
  }
  const std::size_t open = text.find('('), comma = text.find(',');
  const std::string head = text.substr(0, open);
  study::Draw draw;
  draw.scale = head == "log_uniform" ? Scale::log_uniform : Scale::uniform;
  bool good = (head == "uniform" || head == "log_uniform") && open != std::string::npos && text.ends_with(')') &&
              comma != std::string::npos && comma > open;
  if (good) {
    const auto low = parse_number(text.substr(open + 1, comma - open - 1));
    const auto high = parse_number(text.substr(comma + 1, text.size() - comma - 2));
    good = low && high && *low < *high && (draw.scale == Scale::uniform || *low > 0);
    if (good) draw.low = *low, draw.high = *high;
  }
  if (!good) {
    const std::vector<std::string> heads = {"uniform", "log_uniform"};
    const bool known = std::find(heads.begin(), heads.end(), head) != heads.end();
    refuse(place, name, fmt::format("{} is not accepted; {}{}", shown(*given), accepted, known ? "" : suggestion(head, heads)));
  }
  return draw;
}

// Refuses what is neither a parameter nor a setting with a real value.
void StudyReader::check_drawn_key(const toml::key& key) const {
  const std::string name(key.str());
  const Place place = place_of(key.source());
  const OptionTable& options = scratch_->table();
  if (const Option* option = options.find(option_of(name))) {
    const std::string reason = why_not_in_a_study(name);
    if (!reason.empty()) refuse(place, name, reason);
    if (option->real == nullptr) {
      if (option->inner)
        refuse(place, name, fmt::format("cannot be drawn, but the number in its value can, as {}", key_of(option->inner->name)));
      const char* const grid = name == "algorithm" ? "" : "; it can vary in [grid]";
      refuse(place, name, fmt::format("cannot be drawn: {}{}", why_not_drawn(*option), grid));
    }
    return;
  }
  if (options.find_real(option_of(name)) != nullptr) return;
  const std::string why = scratch_->why_not(option_of(name));
  if (!why.empty()) refuse(place, name, with_keys(why, options));
  std::vector<std::string> known;
  if (!parameters_of(plan_).empty()) known.emplace_back("parameters");
  for (const std::string_view parameter : parameters_of(plan_)) known.emplace_back(parameter);
  for (const std::string& setting : options.real_names()) {
    if (std::find(known.begin(), known.end(), key_of(setting)) == known.end()) known.push_back(key_of(setting));
  }
  unknown_key(key, "[distribution]", known);
}

void StudyReader::read_distribution(const toml::key& key, const toml::node& value) {
  const auto names = parameters_of(plan_);
  const toml::table& given = table(key, value);
  distribution_place_ = place_of(key.source());
  if (given.empty())
    refuse(distribution_place_, "distribution", "is empty; parameters = \"uniform(-1, 1)\", or no [distribution]");
  struct Read {
    study::Draw draw;
    std::string key;
    Place place;
    auto order() const { return std::tuple(draw.is_setting(), draw.index, draw.setting); }
  };
  std::vector<Read> all;
  bool parameters = false;  // all of them together
  for (const auto& [part, text] : given) {
    const std::string name(part.str());
    const Place place = place_of(part.source());
    const bool single = std::find(names.begin(), names.end(), name) != names.end();
    if (!single && (name != "parameters" || names.empty())) {
      check_drawn_key(part);
      study::Draw draw = read_draw(part, text);
      draw.setting = name;
      all.push_back({std::move(draw), name, place});
      continue;
    }
    parameters = parameters || !single;
    const study::Draw draw = read_draw(part, text);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (single && name != names[i]) continue;
      all.push_back({draw, name, place});
      all.back().draw.parameter = names[i];
      all.back().draw.index = i;
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const Read& a, const Read& b) { return a.order() < b.order(); });
  std::size_t settings = 0;
  for (Read& read : all) {
    settings += read.draw.is_setting() ? 1 : 0;
    plan_.distribution.push_back(std::move(read.draw));
    draw_places_.emplace_back(std::move(read.key), read.place);
  }
  if (parameters && plan_.distribution.size() - settings > names.size())
    refuse(*find_draw("parameters"), "parameters", "cannot be combined with single parameters; it is all of them");
  if (settings > kMostDrawnSettings) {
    refuse(distribution_place_, "distribution",
           fmt::format("{} settings are not accepted; at most {}, besides parameters", settings, kMostDrawnSettings));
  }
}

void bind_draws(study::Plan& plan, const CommandEntry& entry) {
  const auto writer = std::make_shared<SettingWriter>(entry.make({plan.environment, plan.algorithm}));
  for (study::Draw& draw : plan.distribution) {
    if (!draw.is_setting()) continue;
    double* const variable = writer->find(draw.setting);
    if (variable == nullptr) {
      throw DamagedFileError(fmt::format("study: {} is no setting of {} {} that could be drawn", shown(draw.setting),
                                         plan.command, plan.environment));
    }
    draw.apply = [writer, variable](study::CellConfiguration& cell, double value) { writer->write(cell, variable, value); };
  }
}

std::vector<Assignment> lowest_values(const study::Plan& plan, const OptionTable& table,
                                      const std::function<std::string(const std::string&)>& label) {
  std::vector<Assignment> assignments;
  for (const study::Draw& draw : plan.distribution) {
    if (!draw.is_setting() || table.find(option_of(draw.setting)) == nullptr) continue;
    assignments.push_back({option_of(draw.setting), fmt::format("{}", draw.low), label(draw.setting)});
  }
  return assignments;
}

void set_lowest_inner(const study::Plan& plan, const OptionTable& table, study::CellConfiguration& cell) {
  for (const study::Draw& draw : plan.distribution) {
    const Option* const outer = draw.is_setting() ? table.find_outer(option_of(draw.setting)) : nullptr;
    if (outer == nullptr) continue;
    if (!outer->inner->is_there()) {
      throw ConfigurationError(
          fmt::format("{}: has no meaning with --{} {}", draw.setting, outer->name, outer->value().get<std::string>()));
    }
    draw.apply(cell, draw.low);
  }
}

void check_draws(const study::Plan& plan, const study::CellConfiguration& cell) {
  std::vector<const study::Draw*> settings;
  for (const study::Draw& draw : plan.distribution) {
    if (draw.is_setting()) settings.push_back(&draw);
  }
  if (settings.empty()) return;
  for (std::size_t corner = 0; corner < std::size_t{1} << settings.size(); ++corner) {
    const auto is_high = [&](std::size_t i) { return (corner >> i & 1) != 0; };
    study::CellConfiguration at = cell;
    for (std::size_t i = 0; i < settings.size(); ++i) settings[i]->apply(at, is_high(i) ? settings[i]->high : settings[i]->low);
    validate_cell(at);
    for (std::size_t i = 0; i < settings.size(); ++i) {
      if (is_high(i)) continue;
      for (const double value : beside_zero(*settings[i])) {
        study::CellConfiguration beside = at;
        settings[i]->apply(beside, value);
        try {
          validate_cell(beside);
        } catch (const ConfigurationError& error) {
          throw ConfigurationError(fmt::format("{} ({} comes that near to 0)", error.what(), study::to_text(*settings[i])));
        }
      }
    }
  }
}

}  // namespace fryer::cli
