// SPDX-License-Identifier: Apache-2.0
// See plot_parts.h.
#include "host/study/plot_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "host/study/cell_order.h"

namespace fryer::study {
namespace {

constexpr std::size_t kMostRows = 60;  // cells of a dot-and-bar chart
constexpr double kRowHeight = 20;      // of a dot-and-bar chart
constexpr const char* kDashes[] = {"1", "(14,4)", "(4,3)", "(14,4,3,4)", "(8,3)", "(2,2)"};

std::string names_of(const StudySummary& summary, const std::vector<std::size_t>& cells) {
  std::string text;
  for (std::size_t i = 0; i < cells.size() && i < 8; ++i) text += (i == 0 ? "" : "; ") + short_label(summary.cells[cells[i]]);
  return cells.size() > 8 ? fmt::format("{}; and {} more", text, cells.size() - 8) : text;
}

}  // namespace

std::string line_style(std::size_t series) { return fmt::format("lw 2 dt {}", kDashes[series % std::size(kDashes)]); }
std::string_view colour(std::size_t series) { return kSeries[series % std::size(kSeries)].light; }

std::vector<std::size_t> thinned(std::size_t n) {
  std::vector<std::size_t> indices;
  const std::size_t kept = std::min(n, kMostPoints);
  for (std::size_t i = 0; i < kept; ++i) indices.push_back(kept == 1 ? 0 : i * (n - 1) / (kept - 1));
  return indices;
}

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

std::string left_out(const StudySummary& summary, const std::vector<std::size_t>& all, const std::vector<std::size_t>& shown) {
  std::vector<std::size_t> missing;
  for (const std::size_t cell : all) {
    if (std::find(shown.begin(), shown.end(), cell) == shown.end()) missing.push_back(cell);
  }
  if (missing.empty()) return "";
  return fmt::format(" Shown are the best {} of {} cells; left out, and in the table: {}.", shown.size(), all.size(),
                     names_of(summary, missing));
}

std::string made_label(const StudySummary& summary) { return summary.time_unit + "s made"; }

Plot finish(std::string name, std::string title, std::string caption, const Figure& figure) {
  return {std::move(name), std::move(title), std::move(caption), figure.script(), figure.width, figure.height()};
}

// ---- dots with bars, a row a cell

Axis cell_axis(const StudySummary& summary, const std::vector<std::size_t>& cells) {
  Axis axis = {axes_label(summary), 0.4, static_cast<double>(cells.size()) + 0.6};
  for (std::size_t i = 0; i < cells.size(); ++i) {
    axis.names.emplace_back(static_cast<double>(cells.size() - i), short_label(summary.cells[cells[i]]));
  }
  return axis;
}

std::vector<std::size_t> row_cells(std::vector<std::size_t> cells) {
  if (cells.size() > kMostRows) cells.resize(kMostRows);
  std::sort(cells.begin(), cells.end());
  return cells;
}

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

// ---- lines: which cells share a panel

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

std::vector<Quantity> parameters_of(const StudySummary& summary, const std::vector<std::size_t>& by_merit) {
  std::vector<Quantity> quantities;
  for (const std::size_t cell : by_merit) {
    for (const auto& [name, d] : summary.cells[cell].parameters) {
      if (d.count == 0) continue;
      auto at =
          std::find_if(quantities.begin(), quantities.end(), [&wanted = name](const Quantity& q) { return q.name == wanted; });
      if (at == quantities.end()) at = quantities.insert(at, {name, {}});
      at->cells.emplace_back(cell, &d);
    }
  }
  if (quantities.size() > kMostQuantities) quantities.resize(kMostQuantities);
  return quantities;
}

}  // namespace fryer::study
