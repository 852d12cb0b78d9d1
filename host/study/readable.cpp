// SPDX-License-Identifier: Apache-2.0
// See readable.h. fmt formats numbers without a locale; what is added here are commas, words and the rules about percentages.
#include "host/study/readable.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fryer::study {
namespace {

// A comma after each three digits of the whole part.
std::string separated(std::string digits) {
  const std::size_t begin = digits.starts_with('-') ? 1 : 0;
  std::size_t end = std::min(digits.find('.'), digits.size());
  while (end > begin + 3) {
    end -= 3;
    digits.insert(end, ",");
  }
  return digits;
}

// 3.2e-07 is 3.2e-7.
std::string short_exponent(std::string text) {
  const std::size_t e = text.find('e');
  if (e == std::string::npos) return text;
  std::size_t digit = e + 1;
  if (text[digit] == '+')
    text.erase(digit, 1);
  else
    ++digit;
  while (digit + 1 < text.size() && text[digit] == '0') text.erase(digit, 1);
  return text;
}

std::string bounds(const std::optional<std::string>& lower, const std::optional<std::string>& upper) {
  if (lower && upper) return fmt::format("[{}, {}]", *lower, *upper);
  if (lower) return "at least " + *lower;
  if (upper) return "at most " + *upper;
  return "";
}

}  // namespace

std::string readable_count(std::uint64_t n) { return separated(std::to_string(n)); }

std::string readable_number(double x, std::optional<int> decimals) {
  if (std::isnan(x)) return "not a number";
  if (std::isinf(x)) return "unbounded";
  const double size = std::abs(x);
  if (size >= 1e15 || (size > 0 && size < 1e-4)) return short_exponent(fmt::format("{:.3g}", x));
  if (!decimals) {
    if (x == std::floor(x)) {
      decimals = 0;
    } else {
      decimals = std::clamp(3 - static_cast<int>(std::floor(std::log10(size))), 0, 7);
    }
  }
  std::string text = fmt::format("{:.{}f}", x, *decimals);
  if (text.find_first_not_of("-0.") == std::string::npos && text.starts_with('-')) text.erase(0, 1);
  return separated(text);
}

std::string readable_percent(double share) {
  if (std::isnan(share)) return "not known";
  if (share <= 0) return "0 %";
  if (share >= 1) return "100 %";
  for (int decimals = 1; decimals <= 4; ++decimals) {
    const std::string text = fmt::format("{:.{}f}", 100 * share, decimals);
    if (text.find_first_not_of("0.") != std::string::npos && !text.starts_with("100")) return text + " %";
  }
  return share < 0.5 ? "< 0.0001 %" : "> 99.9999 %";
}

std::string readable_seconds(double seconds) {
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1000);
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", readable_count(whole / 3600), whole % 3600 / 60);
}

std::string readable_p(double p) { return p < 1e-4 ? "< 0.0001" : fmt::format("{:.2g}", p); }

int readable_decimals(const Interval& interval) {
  const double half = (interval.upper - interval.lower) / 2;
  if (!std::isfinite(half) || half <= 0) return interval.estimate == std::floor(interval.estimate) ? 0 : 3;
  return std::clamp(1 - static_cast<int>(std::floor(std::log10(half))), 0, 7);
}

std::string readable_bounds(const Interval& interval) {
  const int decimals = readable_decimals(interval);
  const auto end = [&](double x) { return std::isfinite(x) ? std::optional(readable_number(x, decimals)) : std::nullopt; };
  return bounds(end(interval.lower), end(interval.upper));
}

std::string readable_bounds(std::optional<double> lower, std::optional<double> upper) {
  const auto end = [](std::optional<double> x) { return x ? std::optional(readable_number(*x)) : std::nullopt; };
  return bounds(end(lower), end(upper));
}

std::string readable_percent_bounds(const Interval& interval) {
  return fmt::format("[{}, {}]", readable_percent(interval.lower), readable_percent(interval.upper));
}

}  // namespace fryer::study
