// SPDX-License-Identifier: Apache-2.0
// Text in and out of the command line: numbers as people write them, the nearest name to a misspelt one, and words as a terminal and a
// shell want them. What is said of numbers is in host/text.h. Pure functions; nothing here prints.
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

// Changes of one letter, or of two neighbours' order, that make one word the other; capital letters count as small.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The nearest of `names` if it is near enough to be a misspelling, else the first that begins with the word's three letters or more, else
// nothing.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& names);

// "; did you mean NAME?", or nothing.
std::string suggestion(std::string_view word, const std::vector<std::string>& names);

// The words of a list with commas between: "a, b, c".
std::vector<std::string> split_list(std::string_view list);

// "a, b or c".
std::string either(const std::vector<std::string>& names);

// Text broken at spaces to lines of at most `width` columns, each after the first indented.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width);

// As a shell would read it back: quoted where needed.
std::string shell_word(const std::string& word);

}  // namespace fryer::cli
