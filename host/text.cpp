// SPDX-License-Identifier: Apache-2.0
// See text.h. fmt formats numbers without a locale; what is added here are commas, words and the rules about percentages.
#include "host/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

namespace fryer {
namespace {

constexpr double kTooLong = 1e15;  // digits beyond a double's

// A comma after each three digits of the whole part.
std::string separated(std::string digits) {
  const std::size_t start = digits.starts_with('-') ? 1 : 0;
  for (std::size_t i = std::min(digits.find('.'), digits.size()); i > start + 3;) digits.insert(i -= 3, 1, ',');
  return digits;
}

// 3.2e-07 is 3.2e-7, and 1e+20 is 1e20.
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

// Of a share between 0 and 1, with as few digits after the point, from one on, as say neither none nor all; nothing if `most` do not.
std::optional<std::string> percent_digits(double share, int most) {
  for (int decimals = 1; decimals <= most; ++decimals) {
    std::string text = fmt::format("{:.{}f}", 100 * share, decimals);
    if (!text.starts_with("100") && text.find_first_of("123456789") != std::string::npos) return text;
  }
  return std::nullopt;
}

}  // namespace

std::string shown(std::string_view text, std::size_t most) {
  if (text.empty()) return "''";
  std::string result;
  for (const char c : text.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  if (text.size() > most) result += fmt::format("... ({} characters)", text.size());
  return result;
}

std::string shown_path(std::string_view path) { return shown(path, 1000); }

std::string with_separators(std::uint64_t n) { return separated(std::to_string(n)); }

std::string fixed_number(double x, int decimals) {
  if (!(std::abs(x) < kTooLong)) return short_number(x);
  std::string text = fmt::format("{:.{}f}", x, decimals);
  if (text.starts_with('-') && text.find_first_of("123456789") == std::string::npos) text.erase(0, 1);
  return separated(text);
}

std::string short_number(double x) {
  if (std::isnan(x)) return "not a number";
  if (std::isinf(x)) return "unbounded";
  constexpr double kWhole = 999.95;  // four digits are 1,000
  if (std::abs(x) >= kWhole && std::abs(x) < kTooLong) return fixed_number(x, 0);
  return short_exponent(fmt::format("{:.4g}", x + 0.0));  // not -0
}

std::string percent(double share) {
  if (share <= 0) return "0";
  if (share >= 1) return "100";
  if (const auto digits = percent_digits(share, 8)) return *digits;
  // So near to one of them that 100 times it is rounded to it, or nearer to 0 than any count of replicas gives.
  return share > 0.5 ? "99.99999999" : fmt::format("{:.1e}", 100 * share);
}

std::string percent_cell(double share) {
  if (std::isnan(share)) return "not known";
  if (share <= 0 || share >= 1) return percent(share) + " %";
  if (const auto digits = percent_digits(share, 4)) return *digits + " %";
  return share > 0.5 ? "> 99.9999 %" : "< 0.0001 %";
}

std::string human_bytes(double bytes) {
  const char* const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1000) return fmt::format("{:.0f} bytes", bytes);
  std::size_t unit = 0;
  for (bytes /= 1000; bytes >= 999.5 && unit + 1 < std::size(units); bytes /= 1000) ++unit;
  return fmt::format("{:.3g} {}", bytes, units[unit]);
}

std::string human_seconds(double seconds) {
  if (!(seconds < 1e9)) return "more than 30 years";
  if (seconds < 1e-3) return fmt::format("{:.2g} ms", seconds * 1e3);
  if (seconds < 0.9995) return fmt::format("{:.3g} ms", seconds * 1e3);
  if (seconds < 59.95) return fmt::format("{:.3g} s", seconds);
  const auto whole = static_cast<std::uint64_t>(seconds + 0.5);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
  return fmt::format("{} days {} h", whole / 86400, whole % 86400 / 3600);
}

std::string human_count(double n) {
  if (n < 1e6) return with_separators(static_cast<std::uint64_t>(n + 0.5));
  if (n < 999.5e6) return fmt::format("{:.3g} million", n / 1e6);
  if (n < 999.5e9) return fmt::format("{:.3g} billion", n / 1e9);
  return fmt::format("{:.2e}", n);
}

std::string human_rate(double per_second, std::string_view units) {
  if (per_second >= 0.95 || !(per_second > 0)) return fmt::format("{} {}/s", human_count(per_second), units);
  return fmt::format("{} a {}", human_seconds(1 / per_second), units.substr(0, units.size() - (units.ends_with('s') ? 1 : 0)));
}

std::string counted(std::uint64_t n, std::string_view units) {
  return fmt::format("{} {}", with_separators(n), n == 1 && units.ends_with('s') ? units.substr(0, units.size() - 1) : units);
}

std::string last_of(std::uint64_t n, std::string_view units) {
  const std::string text = counted(n, units);
  return "last " + (n == 1 ? text.substr(2) : text);
}

std::string hex16(std::uint64_t word) { return fmt::format("{:016x}", word); }

}  // namespace fryer
