// SPDX-License-Identifier: Apache-2.0
// TOML for --config files and study files: parsed with the precautions that toml++ 3.3.0 needs, which ends the program on some damaged
// files (its assertions are off, and what trips it is refused first), and values as text that the option table reads. Include this, not
// toml++.
#pragma once

#include <optional>
#include <string>

#define TOML_ASSERT(expression) static_cast<void>(0)
#include <toml++/toml.h>

namespace fryer::cli {

// Throws ConfigurationError "NAME: line L, column C: ..." for what is no TOML, or not ASCII.
toml::table parse_toml(const std::string& name, const std::string& text);

// A setting's value as it would stand on the command line: a number, a flag, a word, or a list of numbers with commas between. Nothing for
// everything else; kNoSetting says what that was.
std::optional<std::string> setting_text(const toml::node& value);
inline constexpr const char* kNoSetting =
    "is a table, a date or a list of other things; a setting is a number, true, false, a string or a list of numbers";

// The same without lists.
std::optional<std::string> scalar_text(const toml::node& value);

}  // namespace fryer::cli
