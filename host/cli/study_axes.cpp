// SPDX-License-Identifier: Apache-2.0
// What varies in a study file: [grid] with lists and ranges, [[points]]; that every value can be read, stands there once and is not fixed
// or drawn too; and that the product of all is of a size that can be run.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "host/cli/study_reader.h"

namespace fryer::cli {
namespace {

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

}  // namespace

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

StudyReader::Rows StudyReader::read_list(const toml::key& key, const toml::array& list) const {
  const std::string name(key.str());
  if (list.empty()) refuse(place_of(key.source()), name, "an empty list is not accepted; at least one value");
  std::vector<std::vector<Value>> rows;
  for (const toml::node& element : list) rows.push_back({read_value(name, place_of(element.source()), element)});
  return rows;
}

StudyReader::Rows StudyReader::read_range(const toml::key& key, const toml::table& range) const {
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

// A study has one algorithm, and so have the presets that vary in it.
void StudyReader::check_varying_preset(const Value& value) const {
  const Assignment preset{"preset", value.text, ""};
  const std::string algorithm = choose_algorithm(*entry_, plan_.environment, nullptr, &preset);
  if (algorithm.empty() || algorithm == plan_.algorithm) return;
  refuse(
      value.place, "preset",
      fmt::format("{} is a preset of {}, and this study is of {}: presets that vary have one algorithm, here {}; another study "
                  "file for {}",
                  value.text, algorithm, plan_.algorithm, either(scratch_->table().find("preset")->choices), value.text));
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
        if (axis.keys[i] == "preset") check_varying_preset(row[i]);
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
  // What is drawn has no other value.
  for (const Setting& setting : fixed_) varying.emplace_back(setting.key, setting.value.place);
  const auto parameters = parameters_of(plan_);
  const bool all =
      std::all_of(parameters.begin(), parameters.end(), [&](std::string_view name) { return plan_.draws(std::string(name)); });
  for (const auto& [key, place] : varying) {
    const Place* const drawn = find_draw(all && key == "parameters" ? plan_.distribution.front().name() : key);
    if (drawn != nullptr) refuse(place, key, fmt::format("is drawn by [distribution] on line {}; one of them", drawn->line));
  }
}

void StudyReader::check_size() {
  double cells = 1;  // exact where it matters
  for (const Axis& axis : axes_) cells *= static_cast<double>(axis.rows.size());
  const double trainings = cells * static_cast<double>(plan_.seeds);
  const auto count = [](double n) {
    return n < 1e15 ? with_separators(static_cast<std::uint64_t>(n)) : fmt::format("{:.3g}", n);
  };
  const std::string size = fmt::format("{} cell{} of {} seeds would be {} {}s, at a thousand a second {}", count(cells),
                                       cells == 1 ? "" : "s", with_separators(plan_.seeds), count(trainings),
                                       plan_.command == "train" ? "training" : "run", human_seconds(trainings / 1000));
  if (cells > static_cast<double>(kMostCells))
    refuse(axes_.front().place, "grid", fmt::format("{}; a study has at most {} cells", size, with_separators(kMostCells)));
  if (trainings > static_cast<double>(kMostTrainings))
    refuse(count_place_, "count", fmt::format("{}; a study has at most {}", size, with_separators(kMostTrainings)));
}

}  // namespace fryer::cli
