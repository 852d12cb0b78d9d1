// SPDX-License-Identifier: Apache-2.0
// Text for people: tables, bars and histograms fitted to the terminal, in colour where it can show one and NO_COLOR does not forbid
// it. Makes strings; console.h prints them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fryer/engine/results.h"

namespace fryer::cli {

// What stands behind a descriptor. Not a terminal: 80 columns (or $COLUMNS), no colour.
struct Terminal {
  bool interactive = false;
  bool color = false;
  std::size_t width = 80;
};
Terminal inspect_terminal(int descriptor);

enum class Style { plain, bold, dim, bar, good, bad };
std::string paint(const Terminal& terminal, Style style, std::string_view text);

// A bar of `length` columns out of `width`, by eighths of a character.
std::string bar(double length, std::size_t width);

// Columns right-aligned under their headings, two blanks between; a column whose heading starts with '<' is left-aligned.
struct Table {
  std::vector<std::string> headings;
  std::vector<std::vector<std::string>> rows;
};
std::string render(const Terminal& terminal, const Table& table);

// How often values fall where: a row for each interval of a round width, about 16, the outer 0.1 % at each end in one row each.
// Values that are not finite are left out. `summary` is theirs. least_width: of an interval, such as 1 for whole numbers.
std::string histogram(const Terminal& terminal, const std::vector<float>& values, const Summary& summary, double least_width = 0);

// min, quantiles, max of named summaries, one row each.
struct NamedSummary {
  std::string name;
  Summary summary;
};
std::string quantile_table(const Terminal& terminal, const std::vector<NamedSummary>& summaries);

// A number in at most about five digits, aligned well in columns: -7.317, 0.004900, 1.2e+20.
std::string short_number(double x);

}  // namespace fryer::cli
