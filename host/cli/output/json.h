// SPDX-License-Identifier: Apache-2.0
// JSON as the program writes it: objects over several lines, lists of numbers on one, numbers with the fewest digits that read back
// as the same double, a float as the double it equals. What is not finite is null, so NaN and infinity never appear.
#pragma once

#include <cmath>
#include <string>

#include "fryer/engine/results.h"
#include "host/cli/option_table.h"

namespace fryer::cli {

// The document's text, newline at the end. Strings that are not UTF-8 have their bad bytes replaced.
std::string to_text(const Json& document);

// null where the number is not finite.
inline Json finite(double x) { return std::isfinite(x) ? Json(x) : Json(); }

// {mean, sd, min, max, quantiles} of a summary times `scale`; null if it covers nothing.
Json summary_json(const Summary& summary, double scale = 1);
Json quantiles_json(const std::array<double, kQuantiles.size()>& quantiles, double scale = 1);

// "0.001" .. "0.999".
std::string quantile_name(std::size_t i);

}  // namespace fryer::cli
