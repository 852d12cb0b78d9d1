// SPDX-License-Identifier: Apache-2.0
// See toml_text.h.
#include "host/cli/toml_text.h"

#include <fmt/format.h>

#include "fryer/core/error.h"
#include "host/text.h"

namespace fryer::cli {

toml::table parse_toml(const std::string& name, const std::string& text) {
  std::size_t line = 1, column = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    ++column;
    if (c == '\n') {
      ++line;
      column = 0;
    } else if (byte >= 0x7f || (byte < 0x20 && c != '\t' && c != '\r')) {
      throw ConfigurationError(fmt::format(
          "{}: line {}, column {}: the byte 0x{:02x}; only ASCII text is accepted, in comments too", name, line, column, byte));
    }
  }
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    // TOML's integers are signed; a seed from 2^63 on goes in as text.
    const bool unsigned_number = error.description().find("not representable") != std::string_view::npos;
    throw ConfigurationError(fmt::format("{}: line {}, column {}: {}{}", name, error.source().begin.line,
                                         error.source().begin.column, shown(error.description(), 300),
                                         unsigned_number ? " as TOML has them, signed; in quotes it is read as unsigned" : ""));
  }
}

std::optional<std::string> scalar_text(const toml::node& value) {
  if (const auto integer = value.value_exact<std::int64_t>()) return fmt::format("{}", *integer);
  if (const auto number = value.value_exact<double>()) return fmt::format("{}", *number);
  if (const auto flag = value.value_exact<bool>()) return *flag ? "true" : "false";
  if (const auto word = value.value_exact<std::string_view>()) return std::string(*word);
  return std::nullopt;
}

std::optional<std::string> setting_text(const toml::node& value) {
  const toml::array* list = value.as_array();
  if (list == nullptr) return scalar_text(value);
  std::string text;
  for (const toml::node& element : *list) {
    if (!element.is_number()) return std::nullopt;
    text += (text.empty() ? "" : ",") + *scalar_text(element);
  }
  return text;
}

}  // namespace fryer::cli
