// SPDX-License-Identifier: Apache-2.0
// Learning curves: the cells' medians together, and the spread over seeds of each.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "host/study/cell_order.h"
#include "host/study/plot_parts.h"

namespace fryer::study {
namespace {

constexpr std::size_t kMedian = 2;  // of kReportQuantiles

struct CurveRange {
  Axis time, values;
};
CurveRange curve_range(const StudySummary& summary, const std::vector<std::size_t>& cells, bool with_bands) {
  double last = 1, low = kInfinity, high = -kInfinity;
  for (const std::size_t i : cells) {
    for (const CurveSummary& point : summary.cells[i].curve) {
      last = std::max(last, static_cast<double>(point.at));
      for (const double value : {point.quantiles[with_bands ? 0 : kMedian], point.quantiles[with_bands ? 4 : kMedian]}) {
        if (!std::isfinite(value)) continue;
        low = std::min(low, value);
        high = std::max(high, value);
      }
    }
  }
  if (!(low <= high)) low = 0, high = 1;
  return {{made_label(summary), 0, last}, axis_around(summary.curve_name, low, high)};
}

}  // namespace

void add_curves(const StudySummary& summary, const std::vector<std::size_t>& by_merit, std::vector<Plot>& plots) {
  std::vector<std::size_t> cells;
  for (const std::size_t i : by_merit) {
    if (!summary.cells[i].curve.empty()) cells.push_back(i);
  }
  if (cells.empty()) return;
  const std::string stopped = fmt::format(
      " Each point is over the seeds that made that {}: those that had stopped before are not in it.", summary.time_unit);

  if (cells.size() > 1) {
    Figure figure;
    const LineLayout layout = lay_out(summary, cells);
    shape(figure, layout.panels.size());
    const CurveRange range = curve_range(summary, layout.shown, false);
    for (const LinePanel& lines : layout.panels) {
      Panel panel;
      panel.title = lines.title;
      panel.x = range.time;
      panel.y = range.values;
      for (const auto& [cell, series] : lines.lines) {
        const std::vector<CurveSummary>& curve = summary.cells[cell].curve;
        Rows rows;
        for (const std::size_t k : thinned(curve.size()))
          rows.push_back({static_cast<double>(curve[k].at), curve[k].quantiles[kMedian]});
        const std::string data = figure.data(rows);
        if (!data.empty()) panel.layers.push_back(line(data, 2, series));
      }
      if (!panel.layers.empty()) figure.panels.push_back(panel);
    }
    add_legend(figure, layout);
    if (!figure.panels.empty()) {
      plots.push_back(finish("learning_curves", "Learning curves",
                             fmt::format("The median over seeds of the {}, against {}s.", summary.curve_name, summary.time_unit) +
                                 stopped + left_out(summary, cells, layout.shown),
                             figure));
    }
  }

  std::vector<std::size_t> shown = cells;
  if (shown.size() > kMostPanels) shown.resize(kMostPanels);
  std::sort(shown.begin(), shown.end());
  Figure figure;
  shape(figure, shown.size());
  const CurveRange range = curve_range(summary, shown, true);
  for (const std::size_t cell : shown) {
    Panel panel;
    panel.title = shown.size() > 1 ? shortened(summary.cells[cell].label, 36) : "";
    panel.x = range.time;
    panel.y = range.values;
    const std::vector<CurveSummary>& curve = summary.cells[cell].curve;
    Rows rows;
    for (const std::size_t k : thinned(curve.size())) {
      rows.push_back({static_cast<double>(curve[k].at)});
      rows.back().insert(rows.back().end(), std::begin(curve[k].quantiles), std::end(curve[k].quantiles));
    }
    const std::string data = figure.data(rows);
    if (data.empty()) continue;
    panel.layers = {band(data, 2, 6, colour(0), 0.16), band(data, 3, 5, colour(0), 0.28), line(data, 4, 0)};
    figure.panels.push_back(panel);
  }
  if (figure.panels.empty()) return;
  const std::string axes = shown.size() > 1 ? axes_label(summary) : "";
  plots.push_back(finish("learning_curve_bands", "Learning curves: the spread over seeds",
                         fmt::format("Line: median over seeds; dark band: 25 to 75 %; light band: 5 to 95 %.{}{}{}",
                                     axes.empty() ? "" : fmt::format(" Panels by {}, with the same axes.", axes), stopped,
                                     left_out(summary, cells, shown)),
                         figure));
}

}  // namespace fryer::study
