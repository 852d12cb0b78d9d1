// SPDX-License-Identifier: Apache-2.0
// See wording.h.
#include "host/study/wording.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/text.h"

namespace fryer::study {
namespace {

std::string bracketed(const std::optional<std::string>& lower, const std::optional<std::string>& upper) {
  if (lower && upper) return fmt::format("[{}, {}]", *lower, *upper);
  if (lower) return "at least " + *lower;
  if (upper) return "at most " + *upper;
  return "";
}

}  // namespace

std::string percent_range(const Interval& share) { return percent(share.lower) + " to " + percent(share.upper) + " %"; }

std::string with_interval(const Interval& interval) {
  const double width = interval.upper - interval.lower;
  const auto text = [&](double x) { return as_precise_as(interval, x); };
  if (!std::isfinite(width)) return text(interval.estimate) + " (one value gives no interval)";
  if (width <= 0) return text(interval.estimate) + " (no spread)";
  return fmt::format("{} (95 % interval {} to {})", text(interval.estimate), text(interval.lower), text(interval.upper));
}

std::string p_value(double p) {
  const std::string text = p_cell(p);
  return text.starts_with('<') ? "p " + text : "p = " + text;
}

std::string as_precise_as(const Interval& interval, double x) {
  const double half = (interval.upper - interval.lower) / 2;
  constexpr double kSmall = 1e-4;  // nothing but zeros, written out
  const bool small = std::max(std::abs(interval.lower), std::abs(interval.upper)) < kSmall;
  if (!std::isfinite(half) || half <= 0 || small) return short_number(x);
  return fixed_number(x, std::clamp(1 - static_cast<int>(std::floor(std::log10(half))), 0, 15));
}

std::string bounds_cell(const Interval& interval) {
  const auto end = [&](double x) { return std::isfinite(x) ? std::optional(as_precise_as(interval, x)) : std::nullopt; };
  return bracketed(end(interval.lower), end(interval.upper));
}

std::string bounds_cell(std::optional<double> lower, std::optional<double> upper) {
  const auto end = [](std::optional<double> x) { return x ? std::optional(short_number(*x)) : std::nullopt; };
  return bracketed(end(lower), end(upper));
}

std::string percent_bounds_cell(const Interval& share) {
  return fmt::format("[{}, {}]", percent_cell(share.lower), percent_cell(share.upper));
}

std::string p_cell(double p) {
  constexpr double kSmallest = 1e-4;
  return p < kSmallest ? "< 0.0001" : fmt::format("{:.2g}", p);
}

}  // namespace fryer::study
