// SPDX-License-Identifier: Apache-2.0
// Text in and out of the command line: numbers as people write them, values quoted in messages, quantities as people read them, and
// the nearest name to a misspelt one. Pure functions; nothing here prints.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fryer::cli {

// A whole number written 1000000, 1e6, 1.5e6 or 1_000_000, exactly, from 0 to 2^64 - 1. Nothing for fractions, negative numbers,
// larger ones and everything else.
std::optional<std::uint64_t> parse_integer(std::string_view text);

// A finite number that a double can hold, correctly rounded. Nothing for inf, nan, 1e400 and everything else.
std::optional<double> parse_number(std::string_view text);

// true or false, and nothing else.
std::optional<bool> parse_flag(std::string_view text);

// A value as it stands in an error message: control characters and bytes beyond ASCII as \xNN, shortened if long, '' if empty.
std::string shown(std::string_view text, std::size_t most = 100);

// Changes of one letter, or of two neighbours' order, that make one word the other; capital letters count as small.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The nearest of `names` if it is near enough to be a misspelling, else nothing.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& names);

// "; did you mean NAME?", or nothing.
std::string suggestion(std::string_view word, const std::vector<std::string>& names);

// "a, b or c".
std::string either(const std::vector<std::string>& names);

std::string with_separators(std::uint64_t n);                      // 1,000,000
std::string human_bytes(double bytes);                             // 17 MB
std::string human_seconds(double seconds);                         // 0.3 ms, 4.2 s, 3 min 20 s, 2 h 5 min
std::string human_count(double n);                                 // 950, 1.23 million, 4.5e+12
std::string human_rate(double per_second, std::string_view unit);  // 1.23 billion episodes/s
std::string hex16(std::uint64_t word);                             // 16 digits

// Text broken at spaces to lines of at most `width` columns, each after the first indented.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width);

// As a shell would read it back: quoted where needed.
std::string shell_word(const std::string& word);

}  // namespace fryer::cli
