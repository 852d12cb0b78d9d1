// SPDX-License-Identifier: Apache-2.0
// See text.h.
#include "host/cli/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace fryer::cli {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Takes out underscores between digits; any other underscore makes the text no number.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      plain += text[i];
    } else if (i == 0 || i + 1 == text.size() || !is_digit(text[i - 1]) || !is_digit(text[i + 1])) {
      return std::nullopt;
    }
  }
  return plain;
}

constexpr std::size_t kLongestNumber = 400;  // digits; any sensible number has fewer

}  // namespace

std::optional<std::uint64_t> parse_integer(std::string_view text) {
  const std::optional<std::string> plain = without_underscores(text);
  if (!plain || plain->size() > kLongestNumber) return std::nullopt;
  std::string_view rest = *plain;
  if (!rest.empty() && rest.front() == '+') rest.remove_prefix(1);

  // digits [. digits] [e [+-] digits] as an integer `digits` times ten to the `exponent`.
  std::string digits;
  int exponent = 0;
  bool seen_digit = false, seen_point = false;
  for (; !rest.empty() && (is_digit(rest.front()) || (rest.front() == '.' && !seen_point)); rest.remove_prefix(1)) {
    if (rest.front() == '.') {
      seen_point = true;
      continue;
    }
    seen_digit = true;
    if (seen_point) --exponent;
    if (!digits.empty() || rest.front() != '0') digits += rest.front();
  }
  if (!seen_digit) return std::nullopt;
  if (!rest.empty() && lower(rest.front()) == 'e') {
    rest.remove_prefix(1);
    if (!rest.empty() && rest.front() == '+') {
      rest.remove_prefix(1);
      if (rest.empty() || !is_digit(rest.front())) return std::nullopt;
    }
    int power = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), power);
    if (error != std::errc{} || power < -1000 || power > 1000) return std::nullopt;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    exponent += power;
  }
  if (!rest.empty()) return std::nullopt;
  if (digits.empty()) return 0;
  for (; exponent < 0; ++exponent) {
    if (digits.back() != '0') return std::nullopt;  // a fraction
    digits.pop_back();
    if (digits.empty()) return std::nullopt;
  }
  if (digits.size() + static_cast<std::size_t>(exponent) > 20) return std::nullopt;
  digits.append(static_cast<std::size_t>(exponent), '0');
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_number(std::string_view text) {
  const std::optional<std::string> plain = without_underscores(text);
  if (!plain || plain->size() > kLongestNumber) return std::nullopt;
  const char* begin = plain->data();
  const char* const last = begin + plain->size();
  if (begin != last && *begin == '+') {
    ++begin;
    if (begin != last && *begin == '-') return std::nullopt;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(begin, last, value);
  if (error != std::errc{} || end != last || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<bool> parse_flag(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Optimal string alignment: three rows of the Damerau-Levenshtein table.
  std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const char x = lower(a[i - 1]), y = lower(b[j - 1]);
      row[j] = std::min({previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (x == y ? 0 : 1)});
      if (i > 1 && j > 1 && x == lower(b[j - 2]) && lower(a[i - 2]) == y) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, previous);
    std::swap(previous, row);
  }
  return previous[b.size()];
}

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& names) {
  if (word.empty() || word.size() > 100) return std::nullopt;
  const std::string* best = nullptr;
  std::size_t smallest = 0;
  for (const std::string& name : names) {
    const std::size_t distance = edit_distance(word, name);
    if (distance <= std::max<std::size_t>(1, std::max(word.size(), name.size()) / 3) &&
        (best == nullptr || distance < smallest)) {
      best = &name;
      smallest = distance;
    }
  }
  if (best != nullptr) return *best;
  const auto letters = std::count_if(word.begin(), word.end(), [](char c) { return c != '-'; });
  const auto begins = [&](const std::string& name) {
    return name.size() > word.size() && edit_distance(word, std::string_view(name).substr(0, word.size())) == 0;
  };
  const auto longer = std::find_if(names.begin(), names.end(), begins);
  if (letters < 3 || longer == names.end()) return std::nullopt;
  return *longer;
}

std::string suggestion(std::string_view word, const std::vector<std::string>& names) {
  const std::optional<std::string> name = nearest(word, names);
  return name ? fmt::format("; did you mean {}?", *name) : "";
}

std::vector<std::string> split_list(std::string_view list) {
  std::vector<std::string> words;
  while (!list.empty()) {
    list.remove_prefix(std::min(list.find_first_not_of(' '), list.size()));
    const std::size_t comma = std::min(list.find(','), list.size());
    words.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return words;
}

std::string either(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i != 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return text;
}

std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
  std::string result;
  std::size_t column = indent;
  bool first_in_line = true;
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    if (!first_in_line && column + 1 + word.size() > width) {
      result += '\n';
      result.append(indent, ' ');
      column = indent;
      first_in_line = true;
    }
    if (!first_in_line) {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
    first_in_line = false;
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  }
  return result;
}

std::string shell_word(const std::string& word) {
  const bool plain =
      !word.empty() &&
      word.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=.,:/@%") == std::string::npos;
  if (plain) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace fryer::cli
