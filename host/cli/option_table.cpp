// SPDX-License-Identifier: Apache-2.0
// See option_table.h.
#include "host/cli/option_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace fryer::cli {
namespace {

Option row(std::string name, std::string placeholder, std::string accepted, std::string unit, std::string help) {
  Option option;
  option.name = std::move(name);
  option.placeholder = std::move(placeholder);
  option.accepted = std::move(accepted);
  option.unit = std::move(unit);
  option.help = std::move(help);
  return option;
}

}  // namespace

void not_accepted(std::string_view text, const std::string& accepted, const std::vector<std::string>& choices) {
  throw ConfigurationError(fmt::format("{} is not accepted; {}{}", shown(text), accepted, suggestion(text, choices)));
}

std::string key_of(std::string_view option) {
  std::string key(option);
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

std::string option_of(std::string_view key) {
  std::string name(key);
  for (char& c : name) c = c == '_' ? '-' : c == '-' ? '_' : c;
  return name;
}

Option& OptionTable::add(Option option) {
  options_.push_back(std::move(option));
  return options_.back();
}

template <class Whole>
Option& OptionTable::whole(std::string name, std::string placeholder, Whole& target, std::string accepted, std::string unit,
                           std::string help) {
  Option option = row(std::move(name), std::move(placeholder), std::move(accepted), std::move(unit), std::move(help));
  option.numeric = true;
  option.value = [&target] { return Json(target); };
  option.read = [&target, accepted = option.accepted](const std::string& text) {
    const std::optional<std::uint64_t> value = parse_integer(text);
    if (!value) not_accepted(text, accepted + ", written 1000000, 1e6 or 1_000_000");
    if (*value > std::numeric_limits<Whole>::max()) not_accepted(text, accepted);
    target = static_cast<Whole>(*value);
  };
  return add(std::move(option));
}

Option& OptionTable::integer(std::string name, std::string placeholder, std::uint64_t& target, std::string accepted,
                             std::string unit, std::string help) {
  return whole(std::move(name), std::move(placeholder), target, std::move(accepted), std::move(unit), std::move(help));
}

Option& OptionTable::integer(std::string name, std::string placeholder, std::uint32_t& target, std::string accepted,
                             std::string unit, std::string help) {
  return whole(std::move(name), std::move(placeholder), target, std::move(accepted), std::move(unit), std::move(help));
}

Option& OptionTable::number(std::string name, std::string placeholder, double& target, std::string accepted, std::string unit,
                            std::string help) {
  Option option = row(std::move(name), std::move(placeholder), std::move(accepted), std::move(unit), std::move(help));
  option.real = &target;
  option.numeric = true;
  option.value = [&target] { return Json(target); };
  option.read = [&target, accepted = option.accepted](const std::string& text) {
    const std::optional<double> value = parse_number(text);
    if (!value) not_accepted(text, accepted);
    target = *value;
  };
  return add(std::move(option));
}

Option& OptionTable::flag(std::string name, bool& target, std::string help) {
  Option option = row(std::move(name), "", "true or false", "", std::move(help));
  option.value = [&target] { return Json(target); };
  option.read = [&target](const std::string& text) {
    const std::optional<bool> value = parse_flag(text);
    if (!value) not_accepted(text, "true or false");
    target = *value;
  };
  return add(std::move(option));
}

Option& OptionTable::toggle(std::string name, bool& target, std::string help) {
  return toggle(
      std::move(name), [&target] { return target; }, [&target](bool on) { target = on; }, std::move(help));
}

Option& OptionTable::toggle(std::string name, std::function<bool()> is_on, std::function<void(bool)> set, std::string help) {
  Option option = row(std::move(name), "[on|off]", "on or off; in files true or false too", "", std::move(help));
  option.choices = {"on", "off"};
  option.bare = "on";
  option.value = [is_on = std::move(is_on)] { return Json(is_on()); };
  option.read = [set = std::move(set), accepted = option.accepted, choices = option.choices](const std::string& text) {
    const std::optional<bool> value = text == "on"    ? std::optional(true)
                                      : text == "off" ? std::optional(false)
                                                      : parse_flag(text);
    if (!value) not_accepted(text, accepted, choices);
    set(*value);
  };
  return add(std::move(option));
}

Option& OptionTable::text(std::string name, std::string placeholder, std::string& target, std::string accepted,
                          std::string help) {
  Option option = row(std::move(name), std::move(placeholder), std::move(accepted), "", std::move(help));
  option.value = [&target] { return target.empty() ? Json() : Json(target); };
  option.read = [&target, accepted = option.accepted](const std::string& value) {
    if (value.empty()) not_accepted(value, accepted);
    target = value;
  };
  option.setting = false;
  return add(std::move(option));
}

Option* OptionTable::find(std::string_view name) {
  const auto found = std::find_if(options_.begin(), options_.end(), [&](const Option& option) { return option.name == name; });
  return found == options_.end() ? nullptr : &*found;
}

std::vector<std::string> OptionTable::names() const {
  std::vector<std::string> names;
  for (const Option& option : options_) names.push_back(option.name);
  return names;
}

std::vector<std::string> OptionTable::real_names() const {
  std::vector<std::string> names;
  for (const Option& option : options_) {
    if (option.real != nullptr) names.push_back(option.name);
    if (option.inner) names.push_back(option.inner->name);
  }
  return names;
}

double* OptionTable::find_real(std::string_view name) const {
  if (const Option* option = find(name)) return option->real;
  const Option* outer = find_outer(name);
  return outer == nullptr ? nullptr : outer->inner->real;
}

const Option* OptionTable::find_outer(std::string_view name) const {
  const auto found = std::find_if(options_.begin(), options_.end(),
                                  [&](const Option& option) { return option.inner && option.inner->name == name; });
  return found == options_.end() ? nullptr : &*found;
}

void OptionTable::set(std::string_view name, const std::string& text, Source source, const std::string& label) {
  Option& option = *find(name);
  try {
    option.read(text);
  } catch (const ConfigurationError& error) {
    throw ConfigurationError(label + ": " + error.what());
  }
  option.source = source;
  option.label = label;
}

void OptionTable::check() const {
  const auto given = [](const Option& option) { return option.source == Source::file || option.source == Source::command_line; };
  for (const auto& [a, b] : exclusions_) {
    const Option &first = *find(a), &second = *find(b);
    if (!given(first) || first.source != second.source) continue;
    throw ConfigurationError(fmt::format("{}: cannot be combined with --{}; give one of them", second.label, first.name));
  }
  for (const Option& option : options_) {
    if (!given(option)) continue;
    const auto unmet = [&](const Option::Condition& condition) { return !condition.holds(); };
    // An earlier setting that has been overtaken by any of the others is no contradiction.
    const bool overtaken = std::any_of(
        option.conditions.begin(), option.conditions.end(),
        [&](const Option::Condition& condition) { return unmet(condition) && option.source < find(condition.other())->source; });
    const auto first = std::find_if(option.conditions.begin(), option.conditions.end(), unmet);
    if (overtaken || first == option.conditions.end()) continue;
    const Option& other = *find(first->other());
    const Json in_force = other.value();
    const std::string value = other.is_flag()         ? ""
                              : in_force.is_string()  ? ' ' + in_force.get<std::string>()
                              : in_force.is_number()  ? ' ' + in_force.dump()
                              : in_force.is_boolean() ? (in_force.get<bool>() ? " on" : " off")
                                                      : "";
    throw ConfigurationError(fmt::format("{}: has no meaning with --{}{}", option.label, other.name, value));
  }
}

Json OptionTable::configuration() const {
  Json configuration = Json::object();
  for (const Option& option : options_) {
    if (option.setting && option.applies()) configuration[key_of(option.name)] = option.value();
  }
  return configuration;
}

}  // namespace fryer::cli
