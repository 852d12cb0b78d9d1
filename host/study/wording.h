// SPDX-License-Identifier: Apache-2.0
// Numbers as sentences and tables have them: plain ASCII, whatever the locale. Used by the analysis and by what shows it; takes numbers,
// returns text.
#pragma once

#include <cstdint>
#include <string>

#include "host/study/statistics.h"

namespace fryer::study {

// 1234567 as "1,234,567".
std::string grouped(std::uint64_t n);
// With that many digits after the point, thousands grouped; "inf" and "-inf" for what no data bound.
std::string fixed_number(double x, int decimals);
// Four significant digits, whole from 1,000 on.
std::string number(double x);
// A share as a percentage without its sign: one digit after the point, and as many more as it takes not to say 100 of less than all or 0
// of more than none. "100" and "0" are exact.
std::string percent(double share);
// "97.8 to 99.2 %".
std::string percent_range(const Interval& share);
// "12.31 (95 % interval 12.27 to 12.35)" with as many digits as the interval's width is worth; where no data bound it, that is said.
std::string with_interval(const Interval& interval);
// "p = 0.031", "p < 0.0001".
std::string p_value(double p);

}  // namespace fryer::study
