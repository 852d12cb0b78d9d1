// SPDX-License-Identifier: Apache-2.0
// Text for people, in one place for studies and the command line: numbers, shares, times, quantities, and values quoted in messages.
// Pure functions; no locale enters, and nothing here prints.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fryer {

// A value as it stands in a message: control characters and bytes beyond ASCII as \xNN, shortened if long, '' if empty.
std::string shown(std::string_view text, std::size_t most = 100);
// The same of a path, which is only worth something when it is whole.
std::string shown_path(std::string_view path);

std::string with_separators(std::uint64_t n);  // 1,000,000
// With that many digits after the point, thousands separated; as short_number() where those are beyond a double's digits.
std::string fixed_number(double x, int decimals);
// Four significant digits, whole from 1,000 on: 0.01235, 475, 1,235, 3.2e-7, 1e20; "not a number" and "unbounded" in words.
std::string short_number(double x);

// A share from 0 to 1 as a percentage without its sign: one digit after the point, and as many more as it takes not to say 100 of less
// than all or 0 of more than none. "100" and "0" are exact.
std::string percent(double share);
// The same for a table, with its sign and at most four digits after the point: "98.7 %", "> 99.9999 %", "< 0.0001 %"; "not known" of NaN.
std::string percent_cell(double share);

std::string human_bytes(double bytes);      // 17 MB
std::string human_seconds(double seconds);  // 0.3 ms, 4.2 s, 3 min 20 s, 2 h 5 min
std::string human_count(double n);          // 950, 1.23 million, 4.5e+12
// 1.23 billion episodes/s; below one a second: 1 min 57 s a training. units: plural.
std::string human_rate(double per_second, std::string_view units);
std::string counted(std::uint64_t n, std::string_view units);  // 12,345 episodes, 1 episode
std::string last_of(std::uint64_t n, std::string_view units);  // last 10 episodes, last episode
std::string hex16(std::uint64_t word);                         // 16 digits

}  // namespace fryer
