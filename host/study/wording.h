// SPDX-License-Identifier: Apache-2.0
// Intervals, shares with intervals and p-values as a study's sentences and tables have them; numbers alone are in host/text.h. Used by the
// analysis and by what shows it; takes numbers, returns text.
#pragma once

#include <optional>
#include <string>

#include "host/study/statistics.h"

namespace fryer::study {

// ---- in sentences

// "97.8 to 99.2 %".
std::string percent_range(const Interval& share);
// "12.31 (95 % interval 12.27 to 12.35)"; where no data bound it, that is said.
std::string with_interval(const Interval& interval);
// "p = 0.031", "p < 0.0001".
std::string p_value(double p);

// ---- in tables

// A number with as many digits as the interval's width is worth: two of half the width. As short_number() where it has
// none, or all of it is next to 0.
std::string as_precise_as(const Interval& interval, double x);
// "[472.9, 473.5]", "at least 12", "at most 12" where the other end is not covered; "" where neither is.
std::string bounds_cell(const Interval& interval);
std::string bounds_cell(std::optional<double> lower, std::optional<double> upper);
std::string percent_bounds_cell(const Interval& share);  // "[97.8 %, 99.2 %]"
std::string p_cell(double p);                            // "0.031", "< 0.0001"

}  // namespace fryer::study
