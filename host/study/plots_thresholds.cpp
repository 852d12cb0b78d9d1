// SPDX-License-Identifier: Apache-2.0
// Plots of how many seeds reached a threshold and when: shares by cell, the time to it, and maps of shares and results over a grid of two
// settings.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "host/study/cell_order.h"
#include "host/study/gnuplot.h"
#include "host/study/plot_parts.h"
#include "host/text.h"

namespace fryer::study {
namespace {

constexpr std::size_t kMostThresholds = 3;

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

// The share not yet there just after each of some times: the last step of each of kMostPoints equal parts of the time axis, so
// that every point drawn is one of the data. The line ends where nobody was watched any longer, at `watched`.
Rows survival_rows(const Survival& survival, double end, double watched) {
  Rows points = {{0, 100, 100, 100}};
  double part = -1;
  for (const SurvivalStep& step : survival.steps) {
    const double this_part = std::floor(step.time / end * static_cast<double>(kMostPoints));
    if (this_part == part && points.size() > 1) points.pop_back();
    part = this_part;
    points.push_back({step.time, 100 * step.survival, 100 * step.lower, 100 * step.upper});
  }
  points.push_back(points.back());
  points.back()[0] = std::max(points.back()[0], std::min(end, watched));
  return as_steps(points);
}

std::string threshold_text(double threshold) { return "a mean return of " + short_number(threshold); }

}  // namespace

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

void add_survival(const StudySummary& summary, const std::vector<std::size_t>& by_merit, std::vector<Plot>& plots) {
  std::vector<std::size_t> cells;
  double end = 0;
  std::set<double> thresholds;
  for (const std::size_t i : by_merit) {
    const ThresholdSummary* threshold = main_threshold(summary.cells[i]);
    if (threshold == nullptr || threshold->time.n == 0) continue;
    cells.push_back(i);
    thresholds.insert(threshold->threshold);
    if (!threshold->time.steps.empty()) end = std::max(end, threshold->time.steps.back().time);
    if (!summary.cells[i].curve.empty()) end = std::max(end, static_cast<double>(summary.cells[i].curve.back().at));
  }
  if (cells.empty() || end <= 0) return;  // no seed of any cell got there: the shares say so

  Figure figure;
  const LineLayout layout = lay_out(summary, cells);
  shape(figure, layout.panels.size());
  const bool with_bands = layout.shown.size() <= kMostLines;
  for (const LinePanel& lines : layout.panels) {
    Panel panel;
    panel.title = lines.title;
    panel.x = {made_label(summary), 0, end};
    panel.y = {"seeds not there yet", 0, 100, true};
    for (const auto& [cell, series] : lines.lines) {
      const CellSummary& of = summary.cells[cell];
      const std::string data = figure.data(survival_rows(main_threshold(of)->time, end, static_cast<double>(of.planned_length)));
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
    if (summary.time_unit == "update") add(threshold.time, "updates");
    add(threshold.episodes, "episodes");
    add(threshold.steps, "steps");
    if (!medians.empty()) medians = " Half of the seeds were there after " + medians + ".";
  }
  plots.push_back(finish("time_to_threshold", "Time to the threshold",
                         fmt::format("Share of seeds that have not yet reached {}, against {}s (Kaplan-Meier: seeds that "
                                     "never do are counted as long as "
                                     "they were watched){}.{}{}{}",
                                     thresholds.size() == 1 ? threshold_text(*thresholds.begin()) : "their threshold",
                                     summary.time_unit, with_bands ? "; bands: 95 % intervals at each time (log-log)" : "",
                                     medians, cells.size() > 1 ? " Medians in episodes and steps are in the table." : "",
                                     left_out(summary, cells, layout.shown)),
                         figure));
}

}  // namespace fryer::study
