// SPDX-License-Identifier: Apache-2.0
// What plots of a study have in common: thinned curves, bands and lines, dots with bars a row a cell, and which cells share a panel. At
// most kMostLines lines share a panel, at most kMostPanels panels a figure; what is left out is said in the caption. Curves are thinned to
// a few hundred points, which is more than the pixels they cross. Nothing but the files plot*.cpp includes this.
#pragma once

#include <cstddef>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/study/analysis.h"
#include "host/study/figure.h"
#include "host/study/palette.h"
#include "host/study/report.h"

namespace fryer::study {

using Rows = std::vector<std::vector<double>>;

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

inline constexpr std::size_t kMostLines = std::size(kSeries);
inline constexpr std::size_t kMostPanels = 12;
inline constexpr std::size_t kMostPoints = 240;    // of a curve or step function
inline constexpr std::size_t kMostQuantities = 6;  // parameters with a panel of their own

std::string line_style(std::size_t series);
std::string_view colour(std::size_t series);

// At most kMostPoints of n, the first and the last among them.
std::vector<std::size_t> thinned(std::size_t n);
// A step function through (x, values...), which holds its values until the next x.
Rows as_steps(const Rows& points);

// What a panel draws of columns of a block of numbers.
std::string band(const std::string& data, int low, int high, std::string_view colour, double opacity);
std::string line(const std::string& data, int column, std::size_t series);

// Says which cells a figure does not show; they are all in the table.
std::string left_out(const StudySummary& summary, const std::vector<std::size_t>& all, const std::vector<std::size_t>& shown);

Plot finish(std::string name, std::string title, std::string caption, const Figure& figure);

// An axis of a training's time: "updates made".
std::string made_label(const StudySummary& summary);

// ---- dots with bars, a row a cell

// Rows from the top in the study's order.
Axis cell_axis(const StudySummary& summary, const std::vector<std::size_t>& cells);
// As many cells as have a row each, by merit; then in the study's order.
std::vector<std::size_t> row_cells(std::vector<std::size_t> cells);

struct Dot {
  double row, value, low, high;                        // low .. high: a thin bar
  double inner_low = kNothing, inner_high = kNothing;  // a thick one, where there is one
};

void add_dots(Figure& figure, Panel& panel, const std::vector<Dot>& dots, std::size_t series, bool filled);
double dots_height(std::size_t cells, std::size_t series);

// ---- lines: which cells share a panel

struct LinePanel {
  std::string title;
  std::vector<std::pair<std::size_t, std::size_t>> lines;  // cell, series
};
struct LineLayout {
  std::vector<LinePanel> panels;
  std::vector<std::pair<std::string, std::size_t>> legend;  // label, series
  std::string legend_title;
  std::vector<std::size_t> shown;
};

// All cells in one panel if they are few; else those of one axis in each panel; else the best few.
LineLayout lay_out(const StudySummary& summary, const std::vector<std::size_t>& by_merit);
// Width, columns and height of a figure with so many panels.
void shape(Figure& figure, std::size_t panels);
void add_legend(Figure& figure, const LineLayout& layout);

// ---- quantities

// A quantity of some cells: the result, or a parameter.
struct Quantity {
  std::string name;
  std::vector<std::pair<std::size_t, const Distribution*>> cells;
};

// The parameters in the order in which cells name them.
std::vector<Quantity> parameters_of(const StudySummary& summary, const std::vector<std::size_t>& by_merit);

// ---- families of plots, each where the summary has what it shows; cells by merit

void add_success_rate(const StudySummary& summary, const std::vector<std::size_t>& by_merit, std::vector<Plot>& plots);
void add_heat_maps(const StudySummary& summary, std::vector<Plot>& plots);
void add_survival(const StudySummary& summary, const std::vector<std::size_t>& by_merit, std::vector<Plot>& plots);
void add_curves(const StudySummary& summary, const std::vector<std::size_t>& by_merit, std::vector<Plot>& plots);
void add_distributions(const StudySummary& summary, const std::vector<std::size_t>& by_merit, std::vector<Plot>& plots);
void add_gradients(const StudySummary& summary, const std::vector<std::size_t>& by_merit, std::vector<Plot>& plots);

}  // namespace fryer::study
