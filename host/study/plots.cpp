// SPDX-License-Identifier: Apache-2.0
// Which plots a summary's data allow, and what each shows. At most kMostLines lines share a panel, at most kMostPanels panels a
// figure; what is left out is said in the caption. Curves are thinned to a few hundred points, which is more than the pixels
// they cross.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <set>

#include "fryer/core/error.h"
#include "host/study/cell_order.h"
#include "host/study/figure.h"
#include "host/study/gnuplot.h"
#include "host/study/html.h"
#include "host/study/palette.h"
#include "host/study/report.h"
#include "host/study/wording.h"
#include "host/text.h"

namespace fryer::study {
namespace {

using Rows = std::vector<std::vector<double>>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

constexpr std::size_t kMostLines = std::size(kSeries);
constexpr std::size_t kMostPanels = 12;
constexpr std::size_t kMostRows = 60;     // cells of a dot-and-bar chart
constexpr std::size_t kMostPoints = 240;  // of a curve or step function
constexpr std::size_t kMostThresholds = 3;
constexpr std::size_t kMostQuantities = 6;  // parameters with a panel of their own
constexpr double kRowHeight = 20;           // of a dot-and-bar chart
constexpr const char* kDashes[] = {"1", "(14,4)", "(4,3)", "(14,4,3,4)", "(8,3)", "(2,2)"};

std::string line_style(std::size_t series) { return fmt::format("lw 2 dt {}", kDashes[series % std::size(kDashes)]); }
std::string_view colour(std::size_t series) { return kSeries[series % std::size(kSeries)].light; }

// At most kMostPoints of n, the first and the last among them.
std::vector<std::size_t> thinned(std::size_t n) {
  std::vector<std::size_t> indices;
  const std::size_t kept = std::min(n, kMostPoints);
  for (std::size_t i = 0; i < kept; ++i) indices.push_back(kept == 1 ? 0 : i * (n - 1) / (kept - 1));
  return indices;
}

// A step function through (x, values...), which holds its values until the next x.
Rows as_steps(const Rows& points) {
  Rows rows;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (i > 0) {
      rows.push_back(points[i - 1]);
      rows.back()[0] = points[i][0];
    }
    rows.push_back(points[i]);
  }
  return rows;
}

std::string band(const std::string& data, int low, int high, std::string_view colour, double opacity) {
  return fmt::format("{} using 1:{}:{} with filledcurves fs transparent solid {} noborder lc rgb '{}'", data, low, high, opacity,
                     colour);
}

std::string line(const std::string& data, int column, std::size_t series) {
  return fmt::format("{} using 1:{} with lines {} lc rgb '{}'", data, column, line_style(series), colour(series));
}

std::string names_of(const StudySummary& summary, const std::vector<std::size_t>& cells) {
  std::string text;
  for (std::size_t i = 0; i < cells.size() && i < 8; ++i) text += (i == 0 ? "" : "; ") + short_label(summary.cells[cells[i]]);
  return cells.size() > 8 ? fmt::format("{}; and {} more", text, cells.size() - 8) : text;
}

// Says which cells a figure does not show; they are all in the table.
std::string left_out(const StudySummary& summary, const std::vector<std::size_t>& all, const std::vector<std::size_t>& shown) {
  std::vector<std::size_t> missing;
  for (const std::size_t cell : all) {
    if (std::find(shown.begin(), shown.end(), cell) == shown.end()) missing.push_back(cell);
  }
  if (missing.empty()) return "";
  return fmt::format(" Shown are the best {} of {} cells; left out, and in the table: {}.", shown.size(), all.size(),
                     names_of(summary, missing));
}

Plot finish(std::string name, std::string title, std::string caption, const Figure& figure) {
  return {std::move(name), std::move(title), std::move(caption), figure.script(), figure.width, figure.height()};
}

// ---- dots with bars, a row a cell

// Rows from the top in the study's order.
Axis cell_axis(const StudySummary& summary, const std::vector<std::size_t>& cells) {
  Axis axis = {axes_label(summary), 0.4, static_cast<double>(cells.size()) + 0.6};
  for (std::size_t i = 0; i < cells.size(); ++i) {
    axis.names.emplace_back(static_cast<double>(cells.size() - i), short_label(summary.cells[cells[i]]));
  }
  return axis;
}

// The first kMostRows cells by merit, in the study's order.
std::vector<std::size_t> row_cells(std::vector<std::size_t> cells) {
  if (cells.size() > kMostRows) cells.resize(kMostRows);
  std::sort(cells.begin(), cells.end());
  return cells;
}

struct Dot {
  double row, value, low, high;                        // low .. high: a thin bar
  double inner_low = kNothing, inner_high = kNothing;  // a thick one, where there is one
};

void add_dots(Figure& figure, Panel& panel, const std::vector<Dot>& dots, std::size_t series, bool filled) {
  Rows outer, inner, middle;
  for (const Dot& dot : dots) {
    const double low = std::max(dot.low, panel.x.low), high = std::min(dot.high, panel.x.high);  // an end that is not covered
    outer.push_back({low, dot.row, high - low});
    inner.push_back({dot.inner_low, dot.row, dot.inner_high - dot.inner_low});
    middle.push_back({dot.value, dot.row});
  }
  const auto bars = [&](const Rows& rows, int width) {
    const std::string data = figure.data(rows);
    if (data.empty()) return;
    panel.layers.push_back(fmt::format("{} using 1:2:3:(0) with vectors nohead lw {} lc rgb '{}'", data, width, colour(series)));
  };
  bars(outer, 2);
  bars(inner, 6);
  const std::string data = figure.data(middle);
  if (data.empty()) return;
  const auto points = [&](double size, std::string_view fill) {
    panel.layers.push_back(fmt::format("{} using 1:2 with points pt 7 ps {} lc rgb '{}'", data, size, fill));
  };
  points(filled ? 0.7 : 0.9, colour(series));
  if (!filled) points(0.45, kBackground.light);  // visible on its own thick bar
}

double dots_height(std::size_t cells, std::size_t series) {
  return std::max(80.0, static_cast<double>(cells) * (kRowHeight + 8 * static_cast<double>(series - 1)));
}

// ---- shares

std::string threshold_text(double threshold) { return "a mean return of " + short_number(threshold); }

void add_success_rate(const StudySummary& summary, const std::vector<std::size_t>& by_merit, std::vector<Plot>& plots) {
  std::set<double> values;
  for (const CellSummary& cell : summary.cells) {
    for (const ThresholdSummary& threshold : cell.thresholds) values.insert(threshold.threshold);
  }
  const std::vector<std::size_t> cells = row_cells(by_merit);
  if (values.empty() || cells.empty()) return;
  std::vector<double> shown(values.begin(), values.end());
  if (shown.size() > kMostThresholds) shown.erase(shown.begin(), shown.end() - kMostThresholds);

  Figure figure;
  Panel panel;
  panel.x = {"seeds that reached the return", 0, 100, true};
  panel.y = cell_axis(summary, cells);
  for (std::size_t series = 0; series < shown.size(); ++series) {
    std::vector<Dot> dots;
    const double offset = (static_cast<double>(shown.size() - 1) / 2 - static_cast<double>(series)) * 0.24;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      for (const ThresholdSummary& threshold : summary.cells[cells[i]].thresholds) {
        if (threshold.threshold != shown[series]) continue;
        dots.push_back({static_cast<double>(cells.size() - i) + offset, 100 * threshold.share.estimate,
                        100 * threshold.share.lower, 100 * threshold.share.upper});
      }
    }
    add_dots(figure, panel, dots, series, true);
    if (shown.size() > 1) figure.legend.push_back({short_number(shown[series]), colour(series), "lw 2"});
  }
  figure.legend_title = "mean return of";
  figure.panel_height = dots_height(cells.size(), shown.size());
  figure.panels = {panel};
  plots.push_back(finish(
      "success_rate", "Share of seeds that reached the threshold",
      fmt::format(
          "Share of the finished seeds whose mean return reached {}; bars: 95 % interval (Wilson; Clopper-Pearson for none and "
          "all). "
          "Failed seeds count as not reached.{}{}",
          shown.size() == 1 ? short_number(shown[0]) : "each threshold",
          values.size() > shown.size() ? fmt::format(" The {} highest of {} thresholds.", shown.size(), values.size()) : "",
          left_out(summary, by_merit, cells)),
      figure));
}

// ---- heat maps

// One number a cell; NaN where there is none.
void add_heat_map(const StudySummary& summary, const std::vector<double>& values, bool percent, std::string name,
                  std::string title, std::string caption, std::vector<Plot>& plots) {
  std::vector<const std::pair<std::string, std::vector<std::string>>*> axes;
  for (const auto& axis : summary.axes) {
    if (axis.second.size() > 1) axes.push_back(&axis);
  }
  if (axes.size() != 2) return;
  if (axes[0]->second.size() > axes[1]->second.size()) std::swap(axes[0], axes[1]);
  const auto& [y_key, y_values] = *axes[0];
  const auto& [x_key, x_values] = *axes[1];
  if (x_values.size() > 40) return;  // no longer readable

  double low = kInfinity, high = -kInfinity;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (!(low <= high)) return;
  if (percent) low = 0, high = 100;  // so that pictures of shares can be compared
  if (high - low <= 1e-6 * std::max(std::abs(low), std::abs(high))) high = low + std::max(1.0, std::abs(low));

  Figure figure;
  figure.width = x_values.size() > 8 ? kWide : kNarrow;
  figure.panel_height = std::clamp(static_cast<double>(y_values.size()) * 46, 90.0, 560.0);
  Panel panel;
  const auto axis = [](const std::string& key, const std::vector<std::string>& names) {
    Axis a = {key, 0.5, static_cast<double>(names.size()) + 0.5};
    for (std::size_t i = 0; i < names.size(); ++i) a.names.emplace_back(static_cast<double>(i + 1), names[i]);
    return a;
  };
  panel.x = axis(x_key, x_values);
  panel.y = axis(y_key, y_values);
  const auto position = [](const CellSummary& cell, const std::string& key, const std::vector<std::string>& names) -> double {
    for (const auto& [point_key, value] : cell.point) {
      if (point_key != key) continue;
      const auto at = std::find(names.begin(), names.end(), value);
      if (at != names.end()) return static_cast<double>(at - names.begin() + 1);
    }
    return kNothing;
  };
  Rows boxes;
  const bool written = x_values.size() <= 16;
  for (std::size_t i = 0; i < summary.cells.size(); ++i) {
    const double x = position(summary.cells[i], x_key, x_values), y = position(summary.cells[i], y_key, y_values);
    if (!std::isfinite(values[i]) || !std::isfinite(x) || !std::isfinite(y)) continue;
    boxes.push_back({x, y, values[i]});
    if (!written) continue;
    const bool dark = (values[i] - low) / (high - low) >= kHeatDarkLetters;
    const std::string text = percent ? percent_cell(values[i] / 100) : short_number(values[i]);
    panel.settings.push_back(
        fmt::format("set label {} at {},{} center front tc rgb '{}'", gnuplot_string(text), x, y, dark ? "#101010" : "#f6f6f6"));
  }
  const std::string data = figure.data(boxes);
  if (data.empty()) return;
  std::string palette = "set palette defined (";
  for (std::size_t i = 0; i < std::size(kHeat); ++i) palette += fmt::format("{}{} '{}'", i == 0 ? "" : ", ", i, kHeat[i]);
  panel.settings.push_back(palette + ")");
  panel.settings.push_back(fmt::format("set cbrange [{:.9g}:{:.9g}]\nunset grid", low, high));
  panel.layers.push_back(fmt::format("{} using 1:2:(0.48):(0.48):3 with boxxyerror fs solid 1 noborder lc palette", data));
  figure.panels = {panel};
  caption += fmt::format(" Dark is low, light is high; from {} to {}.", percent ? "0 %" : short_number(low),
                         percent ? "100 %" : short_number(high));
  plots.push_back(finish(std::move(name), std::move(title), std::move(caption), figure));
}

void add_heat_maps(const StudySummary& summary, std::vector<Plot>& plots) {
  std::vector<double> shares, results;
  bool some_share = false;
  for (const CellSummary& cell : summary.cells) {
    const ThresholdSummary* threshold = cell.finished > 0 ? main_threshold(cell) : nullptr;
    shares.push_back(threshold ? 100 * threshold->share.estimate : kNothing);
    results.push_back(cell.result && cell.result->count > 0 ? cell.result->mean : kNothing);
    some_share = some_share || threshold != nullptr;
  }
  if (some_share) {
    add_heat_map(summary, shares, true, "success_rate_map", "Share of seeds that reached the threshold, by settings",
                 "The same shares as numbers in the grid of settings; their intervals are in the table.", plots);
  }
  add_heat_map(summary, results, false, "result_map", "Mean result, by settings",
               fmt::format("Mean over seeds of the {}.", result_label(summary)), plots);
}

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
LineLayout lay_out(const StudySummary& summary, const std::vector<std::size_t>& by_merit) {
  LineLayout layout;
  std::vector<std::size_t> cells = by_merit;
  if (cells.size() > kMostLines) {
    const std::pair<std::string, std::vector<std::string>>* chosen = nullptr;
    for (const auto& axis : summary.axes) {
      const std::size_t size = axis.second.size();
      if (size < 2 || size > kMostLines || (summary.cells.size() + size - 1) / size > kMostPanels) continue;
      if (chosen == nullptr || size > chosen->second.size()) chosen = &axis;
    }
    if (chosen != nullptr) {
      std::sort(cells.begin(), cells.end());
      std::vector<std::string> order;
      std::map<std::string, LinePanel> panels;
      for (const std::size_t i : cells) {
        std::string title;
        std::size_t series = 0;
        for (const auto& [key, value] : summary.cells[i].point) {
          if (key == chosen->first) {
            series =
                static_cast<std::size_t>(std::find(chosen->second.begin(), chosen->second.end(), value) - chosen->second.begin());
          } else {
            title += fmt::format("{}{} {}", title.empty() ? "" : ", ", key, value);
          }
        }
        if (!panels.contains(title)) order.push_back(title);
        panels[title].lines.emplace_back(i, series);
      }
      if (order.size() <= kMostPanels) {
        for (const std::string& title : order) {
          layout.panels.push_back(panels[title]);
          layout.panels.back().title = title;
        }
        layout.legend_title = chosen->first + ":";
        for (std::size_t i = 0; i < chosen->second.size(); ++i) layout.legend.emplace_back(chosen->second[i], i);
        layout.shown = cells;
        return layout;
      }
    }
    cells.resize(kMostLines);
  }
  std::sort(cells.begin(), cells.end());
  layout.shown = cells;
  layout.panels.emplace_back();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    layout.panels[0].lines.emplace_back(cells[i], i);
    if (cells.size() > 1) layout.legend.emplace_back(short_label(summary.cells[cells[i]]), i);
  }
  const std::string axes = axes_label(summary);
  if (!axes.empty()) layout.legend_title = axes + ":";
  return layout;
}

void shape(Figure& figure, std::size_t panels) {
  if (panels <= 1) return;
  figure.width = kWide;
  figure.columns = panels == 2 || panels == 4 ? 2 : panels <= 9 ? 3 : 4;
  figure.panel_height = figure.columns == 2 ? 240 : 180;
}

void add_legend(Figure& figure, const LineLayout& layout) {
  for (const auto& [label, series] : layout.legend) {
    figure.legend.push_back({shortened(label, 24), colour(series), line_style(series)});
  }
  figure.legend_title = layout.legend_title;
}

// ---- learning curves

constexpr std::size_t kMedian = 2;  // of kReportQuantiles

struct CurveRange {
  Axis updates, values;
};
CurveRange curve_range(const StudySummary& summary, const std::vector<std::size_t>& cells, bool with_bands) {
  double last = 1, low = kInfinity, high = -kInfinity;
  for (const std::size_t i : cells) {
    for (const CurveSummary& point : summary.cells[i].curve) {
      last = std::max(last, static_cast<double>(point.update));
      for (const double value : {point.quantiles[with_bands ? 0 : kMedian], point.quantiles[with_bands ? 4 : kMedian]}) {
        if (!std::isfinite(value)) continue;
        low = std::min(low, value);
        high = std::max(high, value);
      }
    }
  }
  if (!(low <= high)) low = 0, high = 1;
  return {{"updates made", 0, last}, axis_around("mean return of the batch", low, high)};
}

void add_curves(const StudySummary& summary, const std::vector<std::size_t>& by_merit, std::vector<Plot>& plots) {
  std::vector<std::size_t> cells;
  for (const std::size_t i : by_merit) {
    if (!summary.cells[i].curve.empty()) cells.push_back(i);
  }
  if (cells.empty()) return;
  const std::string stopped = " Each point is over the seeds that made that update: those that had stopped before are not in it.";

  if (cells.size() > 1) {
    Figure figure;
    const LineLayout layout = lay_out(summary, cells);
    shape(figure, layout.panels.size());
    const CurveRange range = curve_range(summary, layout.shown, false);
    for (const LinePanel& lines : layout.panels) {
      Panel panel;
      panel.title = lines.title;
      panel.x = range.updates;
      panel.y = range.values;
      for (const auto& [cell, series] : lines.lines) {
        const std::vector<CurveSummary>& curve = summary.cells[cell].curve;
        Rows rows;
        for (const std::size_t k : thinned(curve.size()))
          rows.push_back({static_cast<double>(curve[k].update), curve[k].quantiles[kMedian]});
        const std::string data = figure.data(rows);
        if (!data.empty()) panel.layers.push_back(line(data, 2, series));
      }
      if (!panel.layers.empty()) figure.panels.push_back(panel);
    }
    add_legend(figure, layout);
    if (!figure.panels.empty()) {
      plots.push_back(finish(
          "learning_curves", "Learning curves",
          "The median over seeds of the batch's mean return, against updates." + stopped + left_out(summary, cells, layout.shown),
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
    panel.x = range.updates;
    panel.y = range.values;
    const std::vector<CurveSummary>& curve = summary.cells[cell].curve;
    Rows rows;
    for (const std::size_t k : thinned(curve.size())) {
      rows.push_back({static_cast<double>(curve[k].update)});
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

// ---- distributions

// A quantity of some cells: the result, or a parameter.
struct Quantity {
  std::string name;
  std::vector<std::pair<std::size_t, const Distribution*>> cells;
};

void add_histograms(const std::vector<Quantity>& quantities, const std::string& name, const std::string& title,
                    std::vector<Plot>& plots) {
  Figure figure;
  for (const Quantity& quantity : quantities) {
    const Distribution& d = *quantity.cells[0].second;
    if (d.histogram.empty() || !(d.high > d.low)) continue;
    Panel panel;
    const double bin = (d.high - d.low) / static_cast<double>(d.histogram.size());
    double highest = 0;
    Rows rows;
    for (std::size_t i = 0; i < d.histogram.size(); ++i) {
      const double share = 100 * static_cast<double>(d.histogram[i]) / static_cast<double>(d.count);
      highest = std::max(highest, share);
      rows.push_back({d.low + (static_cast<double>(i) + 0.5) * bin, share, bin});
    }
    panel.x = axis_around(quantity.name, d.low, d.high);
    panel.y = {"share of seeds per bin", 0, highest > 0 ? 1.06 * highest : 1, true};
    const std::string data = figure.data(rows);
    if (data.empty()) continue;
    panel.layers = {fmt::format("{} using 1:2:3 with boxes fs solid 0.75 noborder lc rgb '{}'", data, colour(0))};
    figure.panels.push_back(panel);
  }
  if (figure.panels.empty()) return;
  shape(figure, figure.panels.size());
  figure.shared_x = figure.shared_y = false;
  plots.push_back(finish(name, title,
                         fmt::format("Histogram over {} seeds, in equal bins from the smallest to the largest value.",
                                     with_separators(quantities[0].cells[0].second->count)),
                         figure));
}

void add_distribution_function(const StudySummary& summary, const Quantity& quantity, const std::string& name,
                               const std::string& title, std::vector<Plot>& plots) {
  std::vector<std::size_t> cells;
  double low = kInfinity, high = -kInfinity;
  for (const auto& [cell, d] : quantity.cells) {
    cells.push_back(cell);
    low = std::min(low, d->min);
    high = std::max(high, d->max);
  }
  if (cells.size() > kMostLines || !(low < high)) return;
  const LineLayout layout = lay_out(summary, cells);
  Figure figure;
  Panel panel;
  panel.x = axis_around(quantity.name, low, high);
  panel.y = {"share of seeds at or below", 0, 100, true};
  for (const auto& [cell, series] : layout.panels[0].lines) {
    const auto at =
        std::find_if(quantity.cells.begin(), quantity.cells.end(), [&](const auto& pair) { return pair.first == cell; });
    const Distribution& d = *at->second;
    const auto row = [&](double x, double share) {
      return std::vector<double>{x, 100 * share, 100 * std::max(0.0, share - d.band), 100 * std::min(1.0, share + d.band)};
    };
    Rows points = {row(panel.x.low, 0)};
    for (const std::size_t k : thinned(d.distribution.size()))
      points.push_back(row(d.distribution[k].first, d.distribution[k].second));
    points.push_back(row(panel.x.high, 1));
    const std::string data = figure.data(as_steps(points));
    if (data.empty()) continue;
    panel.layers.insert(panel.layers.begin(), band(data, 3, 4, colour(series), 0.18));
    panel.layers.push_back(line(data, 2, series));
  }
  if (panel.layers.empty()) return;
  figure.panels = {panel};
  add_legend(figure, layout);
  plots.push_back(finish(
      name, title,
      "Empirical distribution function: the share of seeds at or below each value. Band: where the true function lies as a "
      "whole with 95 % confidence (Dvoretzky-Kiefer-Wolfowitz).",
      figure));
}

void add_quantile_bars(const StudySummary& summary, const std::vector<std::size_t>& by_merit,
                       const std::vector<Quantity>& quantities, const std::string& name, const std::string& title,
                       std::vector<Plot>& plots) {
  const std::vector<std::size_t> cells = row_cells(by_merit);
  Figure figure;
  for (const Quantity& quantity : quantities) {
    Panel panel;
    std::vector<Dot> dots;
    double low = kInfinity, high = -kInfinity;
    for (const auto& [cell, d] : quantity.cells) {
      const auto at = std::find(cells.begin(), cells.end(), cell);
      if (at == cells.end() || d->quantiles.size() != std::size(kReportQuantiles)) continue;
      const auto q = [&](std::size_t k) { return d->quantiles[k].second.estimate; };
      dots.push_back({static_cast<double>(cells.end() - at), q(2), q(0), q(4), q(1), q(3)});
      low = std::min(low, q(0));
      high = std::max(high, q(4));
    }
    if (dots.empty()) continue;
    panel.x = axis_around(quantity.name, low, high);
    panel.y = cell_axis(summary, cells);
    add_dots(figure, panel, dots, 0, false);
    figure.panels.push_back(panel);
  }
  if (figure.panels.empty()) return;
  shape(figure, figure.panels.size());
  figure.shared_x = false;
  figure.panel_height = dots_height(cells.size(), 1);
  plots.push_back(
      finish(name, title,
             "Dot: median over seeds; thick bar: 25 to 75 %; thin bar: 5 to 95 %." + left_out(summary, by_merit, cells), figure));
}

// The parameters in the order in which cells name them.
std::vector<Quantity> parameters_of(const StudySummary& summary, const std::vector<std::size_t>& by_merit) {
  std::vector<Quantity> quantities;
  for (const std::size_t cell : by_merit) {
    for (const auto& [name, d] : summary.cells[cell].parameters) {
      if (d.count == 0) continue;
      auto at = std::find_if(quantities.begin(), quantities.end(), [&](const Quantity& q) { return q.name == name; });
      if (at == quantities.end()) at = quantities.insert(at, {name, {}});
      at->cells.emplace_back(cell, &d);
    }
  }
  if (quantities.size() > kMostQuantities) quantities.resize(kMostQuantities);
  return quantities;
}

void add_distributions(const StudySummary& summary, const std::vector<std::size_t>& by_merit, std::vector<Plot>& plots) {
  Quantity result = {result_label(summary), {}};
  for (const std::size_t cell : by_merit) {
    const auto& d = summary.cells[cell].result;
    if (d && d->count > 0) result.cells.emplace_back(cell, &*d);
  }
  if (!result.cells.empty()) {
    if (summary.cells.size() == 1) {
      add_histograms({result}, "result_histogram", "Distribution of the result", plots);
    } else {
      add_quantile_bars(summary, by_merit, {result}, "result_quantiles", "Distribution of the result, by cell", plots);
    }
    add_distribution_function(summary, result, "result_distribution", "Distribution function of the result", plots);
  }
  if (summary.command == "gradient") return;  // its parameters are estimates, with plots of their own
  const std::vector<Quantity> parameters = parameters_of(summary, by_merit);
  if (parameters.empty()) return;
  if (summary.cells.size() == 1) {
    add_histograms(parameters, "parameter_histograms", "Distribution of the final parameters", plots);
    if (parameters.size() == 1) {
      add_distribution_function(summary, parameters[0], "parameter_distribution", "Distribution function of the final parameter",
                                plots);
    }
  } else {
    add_quantile_bars(summary, by_merit, parameters, "parameter_quantiles", "Final parameters, by cell", plots);
  }
}

// ---- survival

// The share not yet there just after each of some times: the last step of each of kMostPoints equal parts of the time axis, so
// that every point drawn is one of the data.
Rows survival_rows(const Survival& survival, double end) {
  Rows points = {{0, 100, 100, 100}};
  double part = -1;
  for (const SurvivalStep& step : survival.steps) {
    const double this_part = std::floor(step.time / end * static_cast<double>(kMostPoints));
    if (this_part == part && points.size() > 1) points.pop_back();
    part = this_part;
    points.push_back({step.time, 100 * step.survival, 100 * step.lower, 100 * step.upper});
  }
  points.push_back(points.back());
  points.back()[0] = end;
  return as_steps(points);
}

void add_survival(const StudySummary& summary, const std::vector<std::size_t>& by_merit, std::vector<Plot>& plots) {
  std::vector<std::size_t> cells;
  double end = 0;
  std::set<double> thresholds;
  for (const std::size_t i : by_merit) {
    const ThresholdSummary* threshold = main_threshold(summary.cells[i]);
    if (threshold == nullptr || threshold->updates.n == 0) continue;
    cells.push_back(i);
    thresholds.insert(threshold->threshold);
    if (!threshold->updates.steps.empty()) end = std::max(end, threshold->updates.steps.back().time);
    if (!summary.cells[i].curve.empty()) end = std::max(end, static_cast<double>(summary.cells[i].curve.back().update));
  }
  if (cells.empty() || end <= 0) return;  // no seed of any cell got there: the shares say so

  Figure figure;
  const LineLayout layout = lay_out(summary, cells);
  shape(figure, layout.panels.size());
  const bool with_bands = layout.shown.size() <= kMostLines;
  for (const LinePanel& lines : layout.panels) {
    Panel panel;
    panel.title = lines.title;
    panel.x = {"updates made", 0, end};
    panel.y = {"seeds not there yet", 0, 100, true};
    for (const auto& [cell, series] : lines.lines) {
      const std::string data = figure.data(survival_rows(main_threshold(summary.cells[cell])->updates, end));
      if (with_bands) panel.layers.insert(panel.layers.begin(), band(data, 3, 4, colour(series), 0.16));
      panel.layers.push_back(line(data, 2, series));
    }
    figure.panels.push_back(panel);
  }
  add_legend(figure, layout);
  std::string medians;
  if (cells.size() == 1) {
    const ThresholdSummary& threshold = *main_threshold(summary.cells[cells[0]]);
    const auto add = [&](const Survival& survival, const char* unit) {
      if (survival.median) medians += fmt::format("{}{} {}", medians.empty() ? "" : ", ", short_number(*survival.median), unit);
    };
    add(threshold.updates, "updates");
    add(threshold.episodes, "episodes");
    add(threshold.steps, "steps");
    if (!medians.empty()) medians = " Half of the seeds were there after " + medians + ".";
  }
  plots.push_back(finish("time_to_threshold", "Time to the threshold",
                         fmt::format("Share of seeds that have not yet reached {}, against updates (Kaplan-Meier: seeds that "
                                     "never do are counted as long as "
                                     "they were watched){}.{}{}{}",
                                     thresholds.size() == 1 ? threshold_text(*thresholds.begin()) : "their threshold",
                                     with_bands ? "; bands: 95 % intervals at each time (log-log)" : "", medians,
                                     cells.size() > 1 ? " Medians in episodes and steps are in the table." : "",
                                     left_out(summary, cells, layout.shown)),
                         figure));
}

// ---- gradient cells

void add_gradients(const StudySummary& summary, const std::vector<std::size_t>& by_merit, std::vector<Plot>& plots) {
  if (summary.command != "gradient") return;
  const std::vector<std::size_t> cells = row_cells(by_merit);
  const auto row = [&](std::size_t cell) -> double {
    return static_cast<double>(cells.end() - std::find(cells.begin(), cells.end(), cell));  // 0: not shown
  };
  Figure estimates;
  for (const Quantity& quantity : parameters_of(summary, by_merit)) {
    Panel panel;
    std::vector<Dot> dots;
    double low = kInfinity, high = -kInfinity;
    for (const auto& [cell, d] : quantity.cells) {
      if (row(cell) == 0) continue;
      const Interval& mean = d->mean_interval;
      dots.push_back({row(cell), mean.estimate, mean.lower, mean.upper});
      for (const double end : {mean.estimate, mean.lower, mean.upper}) {
        if (!std::isfinite(end)) continue;
        low = std::min(low, end);
        high = std::max(high, end);
      }
    }
    if (!(low <= high)) continue;
    panel.x = axis_around("estimate of " + quantity.name, low, high);
    panel.y = cell_axis(summary, cells);
    add_dots(estimates, panel, dots, 0, true);
    estimates.panels.push_back(panel);
  }
  Figure moments;
  std::vector<std::string> names;
  for (const std::size_t cell : cells) {
    for (const auto& [name, value] : summary.cells[cell].second_moments) {
      if (std::find(names.begin(), names.end(), name) == names.end() && names.size() < kMostQuantities) names.push_back(name);
    }
  }
  for (const std::string& name : names) {
    Panel panel;
    Rows rows;
    double high = 0;
    for (const std::size_t cell : cells) {
      for (const auto& [key, value] : summary.cells[cell].second_moments) {
        if (key != name) continue;
        rows.push_back({0, row(cell), value, row(cell) - 0.3, row(cell) + 0.3});
        if (std::isfinite(value)) high = std::max(high, value);
      }
    }
    panel.x = {"second moment of " + name, 0, high > 0 ? 1.06 * high : 1};
    panel.y = cell_axis(summary, cells);
    const std::string data = moments.data(rows);
    if (data.empty()) continue;
    panel.layers = {fmt::format("{} using 1:2:1:3:4:5 with boxxyerror fs solid 0.75 noborder lc rgb '{}'", data, colour(0))};
    moments.panels.push_back(panel);
  }
  const auto add = [&](Figure& figure, const char* name, const char* title, const std::string& caption) {
    if (figure.panels.empty()) return;
    shape(figure, figure.panels.size());
    figure.shared_x = false;
    figure.panel_height = dots_height(cells.size(), 1);
    plots.push_back(finish(name, title, caption + left_out(summary, by_merit, cells), figure));
  };
  add(estimates, "gradient_estimates", "Gradient estimates",
      "Mean over seeds of each estimate; bars: 95 % interval of the mean (Student's t).");
  add(moments, "gradient_second_moments", "Second moments of one episode's gradient",
      "Mean over seeds of the squared contribution of one episode: the smaller, the less the estimate scatters.");
}

}  // namespace

std::vector<Plot> make_plots(const StudySummary& summary) {
  std::vector<Plot> plots;
  const std::vector<std::size_t> cells = cells_by_merit(summary);
  add_success_rate(summary, cells, plots);
  add_heat_maps(summary, plots);
  add_curves(summary, cells, plots);
  add_distributions(summary, cells, plots);
  add_survival(summary, cells, plots);
  add_gradients(summary, cells, plots);
  return plots;
}

std::string draw(const Plot& plot, const std::string& format) {
  std::string terminal;
  if (format == "svg") {
    terminal = fmt::format("svg size {:.0f},{:.0f} dynamic font 'sans,13' noenhanced", plot.width, plot.height);
  } else if (format == "pdf") {
    terminal = fmt::format("pdfcairo size {:.4f}in,{:.4f}in font 'sans,9.75' noenhanced", plot.width / 96, plot.height / 96);
  } else if (format == "png") {
    terminal = fmt::format("pngcairo size {:.0f},{:.0f} font 'sans,9.75' fontscale 2 linewidth 2 pointscale 2 noenhanced",
                           2 * plot.width, 2 * plot.height);
  } else {
    throw ConfigurationError(fmt::format("plot format: {} is none of svg, pdf, png", format));
  }
  GnuplotOutput drawn = run_gnuplot(fmt::format("set terminal {}\nset output\n{}unset output\n", terminal, plot.script));
  if (drawn.output.empty()) throw Error(fmt::format("gnuplot drew nothing for {}: {}", plot.name, drawn.messages));
  return std::move(drawn.output);
}

}  // namespace fryer::study
