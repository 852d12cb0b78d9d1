// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them on a page. Pure functions; no locale enters. Infinity and NaN never come out as such.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "host/study/statistics.h"

namespace fryer::study {

std::string readable_count(std::uint64_t n);  // 1,000,000
// With as many decimals as asked for, or four significant digits: 1,234.5, 0.00123, -3.2e-7; "not a number" and "unbounded" in
// words.
std::string readable_number(double x, std::optional<int> decimals = std::nullopt);
// Of a share from 0 to 1. Never "100 %" for less than all, never "0 %" for more than none.
std::string readable_percent(double share);
std::string readable_seconds(double seconds);  // 0.3 ms, 4.2 s, 3 min 20 s, 2 h 5 min
std::string readable_p(double p);              // 0.032, < 0.0001

// Decimals that show two significant digits of the interval's half width.
int readable_decimals(const Interval& interval);
// "[472.9, 473.5]", "at least 12", "at most 12" where the other end is not covered; "" where neither is.
std::string readable_bounds(const Interval& interval);
std::string readable_bounds(std::optional<double> lower, std::optional<double> upper);
std::string readable_percent_bounds(const Interval& interval);  // "[99.2 %, 99.9 %]"

}  // namespace fryer::study
