// SPDX-License-Identifier: Apache-2.0
// Plots of how the result, the parameters and gradient estimates are distributed over seeds: histograms, distribution functions, quantiles
// by cell, estimates with their intervals.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "host/study/cell_order.h"
#include "host/study/plot_parts.h"
#include "host/text.h"

namespace fryer::study {
namespace {

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
    const auto at = std::find_if(quantity.cells.begin(), quantity.cells.end(),
                                 [wanted = cell](const auto& pair) { return pair.first == wanted; });
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
      const auto q = [&of = *d](std::size_t k) { return of.quantiles[k].second.estimate; };
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

}  // namespace

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

}  // namespace fryer::study
