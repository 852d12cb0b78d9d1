// SPDX-License-Identifier: Apache-2.0
// See arguments.h.
#include "host/cli/arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

namespace fryer::cli {
namespace {

bool looks_like_option(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && !parse_number(word) && (word[1] < '0' || word[1] > '9');
}

}  // namespace

Arguments split_arguments(const OptionTable& table, const std::vector<std::string>& words,
                          const std::function<std::string(const std::string&)>& explain) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::vector<const CLI::Option*> handles;
  for (const Option& option : table.options()) {
    const std::string names = (option.short_name.empty() ? "" : "-" + option.short_name + ",") + "--" + option.name;
    CLI::Option* handle = option.is_flag() ? app.add_flag(names) : app.add_option(names)->expected(1);
    handles.push_back(handle->multi_option_policy(CLI::MultiOptionPolicy::TakeAll));
  }
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // CLI11 takes them from the back
  } catch (const CLI::ParseError& error) {
    // The only thing that can go wrong here: the last word is an option that needs a value.
    const std::string name = words.empty() ? "" : words.back().substr(0, words.back().find('='));
    const Option* option = name.size() > 2 ? table.find(name.substr(2)) : nullptr;
    if (option == nullptr) throw ConfigurationError(fmt::format("{}: {}", shown(name), error.what()));
    throw ConfigurationError(fmt::format("--{}: needs a value; {}", option->name, option->accepted));
  }
  Arguments arguments;
  arguments.others = app.remaining();
  for (const std::string& word : arguments.others) {
    if (looks_like_option(word)) throw ConfigurationError(explain(word));
  }
  for (std::size_t i = 0; i < handles.size(); ++i) {
    const Option& option = table.options()[i];
    const std::vector<std::string>& values = handles[i]->results();
    if (values.empty()) continue;
    const std::string label = "--" + option.name;
    if (values.size() > 1 && !option.is_flag()) {
      throw ConfigurationError(fmt::format("{}: given {} times, as {} and {}; give it once", label, values.size(),
                                           shown(values.front()), shown(values.back())));
    }
    if (!option.is_flag() && values.back().starts_with("--")) {
      throw ConfigurationError(
          fmt::format("{}: needs a value, but {} follows; {}", label, shown(values.back()), option.accepted));
    }
    arguments.assignments.push_back({option.name, values.back(), label});
  }
  return arguments;
}

}  // namespace fryer::cli
