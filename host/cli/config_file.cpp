// SPDX-License-Identifier: Apache-2.0
// See config_file.h.
#include "host/cli/config_file.h"

#include <fmt/format.h>

#include "host/cli/files.h"
#include "host/cli/option_table.h"
#include "host/cli/toml_text.h"

namespace fryer::cli {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  throw ConfigurationError(fmt::format("--config {}: {}", shown(path), what));
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
  } catch (const nlohmann::json::parse_error& error) {
    refuse(path,
           error.byte > text.size() ? "damaged JSON: it ends too early" : fmt::format("damaged JSON at byte {}", error.byte));
  } catch (const nlohmann::json::out_of_range&) {
    refuse(path, "a number in it is too large");
  }
  ConfigFile file;
  const auto found = document.find("configuration");
  const auto whose = document.find("command");
  if (whose != document.end() && whose->is_string() && whose->get<std::string>().starts_with("study "))
    refuse(path, "is of a study; take the `configuration` of one of its cells");
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

ConfigFile read_toml(const std::string& path, const std::string& text) {
  ConfigFile file;
  const toml::table table = parse_toml(fmt::format("--config {}", shown(path)), text);
  for (const auto& [key, value] : table) {
    std::optional<std::string> setting = setting_text(value);
    if (!setting) refuse(path, fmt::format("{} {}", shown(key.str()), kNoSetting));
    assign(file, path, key.str(), std::move(*setting));
  }
  return file;
}

}  // namespace

ConfigFile parse_config(const std::string& path, const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string::npos && text[first] == '{' ? parse_json(path, text) : read_toml(path, text);
}

ConfigFile read_config_file(const std::string& path) { return parse_config(path, read_file("--config", path)); }

}  // namespace fryer::cli
