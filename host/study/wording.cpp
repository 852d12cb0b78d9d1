// SPDX-License-Identifier: Apache-2.0
// See wording.h.
#include "host/study/wording.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fryer::study {
namespace {

// Commas between groups of three digits before the point.
std::string with_commas(std::string text) {
  const std::size_t start = text.starts_with('-') ? 1 : 0;
  const std::size_t point = std::min(text.find('.'), text.size());
  for (std::size_t i = point; i > start + 3;) text.insert(i -= 3, 1, ',');
  return text;
}

constexpr double kTooLong = 1e15;  // digits beyond a double's

}  // namespace

std::string grouped(std::uint64_t n) { return with_commas(fmt::format("{}", n)); }

std::string fixed_number(double x, int decimals) {
  if (!std::isfinite(x) || std::abs(x) >= kTooLong) return fmt::format("{:.4g}", x);
  std::string text = fmt::format("{:.{}f}", x, decimals);
  if (text.starts_with('-') && text.find_first_of("123456789") == std::string::npos) text.erase(0, 1);
  return with_commas(text);
}

std::string number(double x) { return std::abs(x) >= 999.95 ? fixed_number(x, 0) : fmt::format("{:.4g}", x + 0.0); }

std::string percent(double share) {
  if (share <= 0) return "0";
  if (share >= 1) return "100";
  constexpr int kMostDecimals = 17;
  std::string text;
  for (int decimals = 1; decimals <= kMostDecimals; ++decimals) {
    text = fmt::format("{:.{}f}", 100 * share, decimals);
    if (!text.starts_with("100") && text.find_first_of("123456789") != std::string::npos) return text;
  }
  // So near to one of them that 100 times it is rounded to it, or nearer to 0 than any count of replicas gives.
  return share > 0.5 ? "99.99999999999999" : fmt::format("{:.1e}", 100 * share);
}

std::string percent_range(const Interval& share) { return percent(share.lower) + " to " + percent(share.upper) + " %"; }

std::string with_interval(const Interval& interval) {
  const double width = interval.upper - interval.lower;
  if (!std::isfinite(width)) return number(interval.estimate) + " (one value gives no interval)";
  if (width <= 0) return number(interval.estimate) + " (no spread)";
  // Two digits of half the width.
  const int decimals = std::clamp(1 - static_cast<int>(std::floor(std::log10(width / 2))), 0, 15);
  return fmt::format("{} (95 % interval {} to {})", fixed_number(interval.estimate, decimals),
                     fixed_number(interval.lower, decimals), fixed_number(interval.upper, decimals));
}

std::string p_value(double p) {
  constexpr double kSmallest = 1e-4;
  return p < kSmallest ? "p < 0.0001" : fmt::format("p = {:.2g}", p);
}

}  // namespace fryer::study
