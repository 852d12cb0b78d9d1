// SPDX-License-Identifier: Apache-2.0
// See json.h.
#include "host/cli/output/json.h"

#include <fmt/format.h>

#include <algorithm>

namespace fryer::cli {
namespace {

std::string leaf(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

// Of a container with more elements than people read, each takes one line: indenting the statistics of 67,000 parameters costs
// megabytes.
constexpr std::size_t kManyElements = 1000;

void append(std::string& text, const Json& value, std::size_t indent) {
  const bool nested = value.is_object() || (value.is_array() && std::any_of(value.begin(), value.end(),
                                                                            [](const Json& e) { return e.is_structured(); }));
  if (!nested || value.empty()) {
    text += leaf(value);
    return;
  }
  text += value.is_object() ? "{" : "[";
  bool first = true;
  for (const auto& [key, element] : value.items()) {
    text += first ? "\n" : ",\n";
    first = false;
    text.append(indent + 2, ' ');
    if (value.is_object()) text += leaf(Json(key)) + ": ";
    if (value.size() > kManyElements) {
      text += leaf(element);
    } else {
      append(text, element, indent + 2);
    }
  }
  text += '\n';
  text.append(indent, ' ');
  text += value.is_object() ? "}" : "]";
}

}  // namespace

std::string to_text(const Json& document) {
  std::string text;
  append(text, document, 0);
  return text + '\n';
}

std::string quantile_name(std::size_t i) { return fmt::format("{}", kQuantiles[i]); }

Json quantiles_json(const std::array<double, kQuantiles.size()>& quantiles, double scale) {
  Json json = Json::object();
  for (std::size_t i = 0; i < kQuantiles.size(); ++i) json[quantile_name(i)] = finite(quantiles[i] * scale);
  return json;
}

Json summary_json(const Summary& s, double scale) {
  if (s.count == 0) return Json();
  return {{"mean", finite(s.mean * scale)},
          {"sd", finite(s.sd * scale)},
          {"min", finite(s.min * scale)},
          {"max", finite(s.max * scale)},
          {"quantiles", quantiles_json(s.quantiles, scale)}};
}

}  // namespace fryer::cli
