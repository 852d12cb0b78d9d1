// SPDX-License-Identifier: Apache-2.0
// See config_file.h. toml++ 3.3.0 ends the program on some damaged files, so its assertions are off and what trips it is refused first.
#include "host/cli/config_file.h"

#define TOML_ASSERT(expression) static_cast<void>(0)
#include <toml++/toml.h>

#include <fmt/format.h>

#include "host/cli/files.h"

namespace fryer::cli {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  throw ConfigurationError(fmt::format("--config {}: {}", shown(path), what));
}

// The option that a key names: learning_rate is --learning-rate; a key with a dash names none.
std::string option_of(std::string_view key) {
  std::string name(key);
  for (char& c : name) c = c == '_' ? '-' : c == '-' ? '_' : c;
  return name;
}

void assign(ConfigFile& file, const std::string& path, std::string_view key, std::string text) {
  if (key == "command") {
    file.command = std::move(text);
  } else if (key == "environment") {
    file.environment = std::move(text);
  } else {
    file.assignments.push_back({option_of(key), std::move(text), fmt::format("{}: {}", shown(path), shown(key))});
  }
}

std::string text_of(const nlohmann::json& value, const std::string& path, const std::string& key) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "none";
  if (value.is_boolean() || value.is_number()) return value.dump();
  if (!value.is_array()) refuse(path, shown(key) + " is an object; a setting is a number, true, false or a string");
  std::string text;
  for (const nlohmann::json& element : value) {
    if (!element.is_number()) refuse(path, shown(key) + " may have numbers in its list, and nothing else");
    text += (text.empty() ? "" : ",") + element.dump();
  }
  return text;
}

ConfigFile parse_json(const std::string& path, const std::string& text) {
  nlohmann::json document;
  try {
    document = nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    refuse(path, fmt::format("damaged JSON: {}", shown(error.what(), 300)));
  }
  ConfigFile file;
  const auto found = document.find("configuration");
  if (found != document.end()) {
    if (!found->is_object()) refuse(path, "its `configuration` is not an object");
    for (const char* key : {"command", "environment"}) {
      const auto value = document.find(key);
      if (value != document.end() && value->is_string()) assign(file, path, key, value->get<std::string>());
    }
    const auto version = document.find("numerics_version");
    if (version != document.end() && version->is_number_unsigned()) file.numerics_version = version->get<std::uint64_t>();
  }
  for (const auto& [key, value] : (found != document.end() ? *found : document).items())
    assign(file, path, key, text_of(value, path, key));
  return file;
}

std::string text_of(const toml::node& value, const std::string& path, std::string_view key) {
  if (const auto integer = value.value_exact<std::int64_t>()) return fmt::format("{}", *integer);
  if (const auto number = value.value_exact<double>()) return fmt::format("{}", *number);
  if (const auto flag = value.value_exact<bool>()) return *flag ? "true" : "false";
  if (const auto word = value.value_exact<std::string_view>()) return std::string(*word);
  const toml::array* list = value.as_array();
  if (list == nullptr)
    refuse(path, shown(key) + " is a table or a date; a setting is a number, true, false, a string or a list of numbers");
  std::string text;
  for (const toml::node& element : *list) {
    if (!element.is_number()) refuse(path, shown(key) + " may have numbers in its list, and nothing else");
    text += (text.empty() ? "" : ",") + text_of(element, path, key);
  }
  return text;
}

ConfigFile parse_toml(const std::string& path, const std::string& text) {
  std::size_t line = 1;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      ++line;
    } else if (byte >= 0x7f || (byte < 0x20 && c != '\t' && c != '\r')) {
      refuse(path, fmt::format("line {} has the byte 0x{:02x}; only ASCII text is accepted, in comments too", line, byte));
    }
  }
  ConfigFile file;
  try {
    const toml::table table = toml::parse(text);
    for (const auto& [key, value] : table) assign(file, path, key.str(), text_of(value, path, key.str()));
  } catch (const toml::parse_error& error) {
    // TOML's integers are signed; a seed from 2^63 on goes in as text.
    const bool unsigned_number = error.description().find("not representable") != std::string_view::npos;
    refuse(path, fmt::format("line {}, column {}: {}{}", error.source().begin.line, error.source().begin.column,
                             shown(error.description(), 300),
                             unsigned_number ? " as TOML has them, signed; in quotes it is read as unsigned" : ""));
  }
  return file;
}

}  // namespace

ConfigFile parse_config(const std::string& path, const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string::npos && text[first] == '{' ? parse_json(path, text) : parse_toml(path, text);
}

ConfigFile read_config_file(const std::string& path) { return parse_config(path, read_file("--config", path)); }

}  // namespace fryer::cli
