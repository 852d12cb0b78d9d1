// SPDX-License-Identifier: Apache-2.0
// See figure.h. Every position is computed here, from the width of text as it was measured, since gnuplot's own layout differs from
// one terminal to the next. Legends and axis labels are labels at fixed places.
#include "host/study/figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "host/study/gnuplot.h"
#include "host/study/html.h"
#include "host/study/palette.h"

namespace fryer::study {
namespace {

// Measured on what gnuplot and browsers make of 13 pixels sans-serif: the mean width of a character, and a line.
constexpr double kCharacter = 7.3, kTextLine = 19;
constexpr double kLegendSample = 42, kLegendGap = 18;
constexpr std::size_t kMostLabel = 30;  // characters of a tic's name
constexpr double kGap = 26;             // between panels
constexpr double kLabelRoom = 20;       // of an axis's label
constexpr double kTicRoom = 28;         // of the x axis's tics

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// Of the longest number that `%.8g` writes on an axis with tics of 10^-decimals.
double number_width(const Axis& axis, int decimals) {
  const double longest = std::max(std::abs(axis.low), std::abs(axis.high));
  const std::size_t digits = longest >= 1e8 ? 6 : fmt::format("{:.{}f}", longest, std::clamp(decimals, 0, 7)).size();
  return kCharacter * static_cast<double>(digits + (axis.low < 0 ? 1 : 0) + (axis.percent ? 2 : 0));
}

double text_width(std::string_view text) { return kCharacter * static_cast<double>(characters(text)); }

// 1, 2 or 5 times a power of ten: the smallest step at which the tics' numbers do not touch.
double tic_step(const Axis& axis, double pixels) {
  const double range = axis.high - axis.low;
  for (int exponent = static_cast<int>(std::floor(std::log10(range))) - 2;; ++exponent) {
    for (const double digit : {1.0, 2.0, 5.0}) {
      const double step = digit * std::pow(10.0, exponent);
      const double width = number_width(axis, -exponent) + 10;
      if (range / step * width <= pixels || step > range) return step;
    }
  }
}

// `step` between tics, 0: gnuplot's choice; written: with the tics' names or numbers.
void add_axis(std::string& text, const char* name, const Axis& axis, double step, bool written) {
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "set {}range [{:.9g}:{:.9g}]\n", name, axis.low, axis.high);
  if (axis.names.empty()) {
    fmt::format_to(out, "set format {} '{}'\nset {}tics {}\n", name,
                   !written       ? ""
                   : axis.percent ? "%g %%"
                                  : "%.8g",
                   name, step > 0 ? fmt::format("{:.9g}", step) : "autofreq");
  } else {
    fmt::format_to(out, "set format {} '%g'\nset {}tics (", name, name);
    for (std::size_t i = 0; i < axis.names.size(); ++i) {
      const auto& [at, label] = axis.names[i];
      fmt::format_to(out, "{}{} {:.9g}", i == 0 ? "" : ", ", gnuplot_tic(written ? shortened(label, kMostLabel) : ""), at);
    }
    text += ")\n";
  }
}

}  // namespace

std::string shortened(std::string_view text, std::size_t most) {
  const std::string clean = clean_text(text);
  if (characters(clean) <= most) return clean;
  std::size_t end = 0;
  for (std::size_t count = 0; end < clean.size(); ++end) {
    if ((clean[end] & 0xC0) != 0x80 && count++ == most - 1) break;
  }
  return clean.substr(0, end) + "\u2026";
}

Axis axis_around(std::string label, double low, double high) {
  const double size = std::max(std::abs(low), std::abs(high));
  // Gnuplot refuses ranges whose ends it cannot tell apart.
  const double room = high > low ? std::max(0.04 * (high - low), 1e-6 * size) : std::max(0.05 * size, 0.5);
  return {std::move(label), low - room, high + room};
}

std::string Figure::data(const std::vector<std::vector<double>>& rows) {
  std::string block;
  for (const std::vector<double>& row : rows) {
    if (!std::all_of(row.begin(), row.end(), [](double x) { return std::isfinite(x); })) continue;
    for (std::size_t i = 0; i < row.size(); ++i) fmt::format_to(std::back_inserter(block), "{}{:.7g}", i == 0 ? "" : " ", row[i]);
    block += '\n';
  }
  if (block.empty()) return "";
  const std::string name = fmt::format("$data{}", ++block_count_);
  blocks_ += fmt::format("{} << END\n{}END\n", name, block);
  return name;
}

Figure::Margins Figure::margins() const {
  Margins m = {16, 26, 10, kTicRoom};
  double tics = 0;
  bool titles = false;
  for (const Panel& panel : panels) {
    for (const auto& [at, label] : panel.y.names) tics = std::max(tics, text_width(shortened(label, kMostLabel)));
    if (panel.y.names.empty()) tics = std::max({tics, 42.0, number_width(panel.y, 1)});
    if (!panel.y.label.empty()) m.left = 20 + kLabelRoom;
    if (!panel.x.label.empty()) m.bottom = kTicRoom + kLabelRoom;
    if (!panel.title.empty()) titles = true;
  }
  m.left += tics;
  if (titles) m.top += kTextLine + 2;
  return m;
}

// Which entries stand side by side; the title takes the room of an entry.
std::vector<std::vector<std::size_t>> Figure::legend_rows() const {
  std::vector<std::vector<std::size_t>> rows;
  double x = width;
  for (std::size_t i = 0; i < legend.size(); ++i) {
    const double entry = kLegendSample + text_width(legend[i].label) + kLegendGap;
    if (rows.empty() || x + entry > width) {
      rows.emplace_back();
      x = 14;
      if (i == 0 && !legend_title.empty()) {
        x += text_width(legend_title) + kLegendGap;
        if (x + entry > width) {
          rows.emplace_back();
          x = 14;
        }
      }
    }
    rows.back().push_back(i);
    x += entry;
  }
  return rows;
}

double Figure::height() const {
  const Margins m = margins();
  const auto row_count = static_cast<double>(rows());
  return static_cast<double>(legend_rows().size()) * kTextLine + (legend.empty() ? 0 : 6) + row_count * (panel_height + m.top) +
         m.bottom + (row_count - 1) * row_gap();
}

double Figure::column_gap() const { return shared_y ? kGap : kGap + margins().left; }
double Figure::row_gap() const { return shared_x ? kGap + 10 : margins().bottom + 12; }

std::string Figure::legend_commands() const {
  std::string text;
  const auto out = std::back_inserter(text);
  const double total = height();
  const auto screen = [&](double x, double y) { return fmt::format("screen {:.6f}, screen {:.6f}", x / width, 1 - y / total); };
  double y = 6 + kTextLine / 2;
  bool first = true;
  for (const std::vector<std::size_t>& row : legend_rows()) {
    double x = 14;
    if (first && !legend_title.empty()) {
      fmt::format_to(out, "set label {} at {} left\n", gnuplot_string(legend_title), screen(x, y));
      x += text_width(legend_title) + kLegendGap;
    }
    first = false;
    for (const std::size_t i : row) {
      fmt::format_to(out, "set arrow from {} to {} nohead {} lc rgb '{}'\n", screen(x, y), screen(x + kLegendSample - 6, y),
                     legend[i].style, legend[i].colour);
      fmt::format_to(out, "set label {} at {} left\n", gnuplot_string(legend[i].label), screen(x + kLegendSample, y));
      x += kLegendSample + text_width(legend[i].label) + kLegendGap;
    }
    y += kTextLine;
  }
  return text;
}

std::string Figure::script() const {
  const Margins m = margins();
  const double total = height();
  const double legend_height = static_cast<double>(legend_rows().size()) * kTextLine + (legend.empty() ? 0 : 6);
  std::string text = blocks_;
  const auto out = std::back_inserter(text);
  fmt::format_to(out,
                 "set encoding utf8\nunset key\nunset colorbox\nset border 3 lw 1 lc rgb '{0}'\nset tics out nomirror scale 0.5 "
                 "textcolor rgb '{2}'\n"
                 "set grid xtics ytics back lt 1 lw 1 lc rgb '{1}', lt 1 lw 1 lc rgb '{1}'\nset style fill solid 1 noborder\nset "
                 "xtics offset 0,0.3\n",
                 kAxis.light, kGrid.light, kMuted.light);
  if (panels.size() > 1) text += "set multiplot\n";
  text += legend_commands();
  const auto column_count = static_cast<double>(columns);
  const double panel_width = (width - m.left - m.right - (column_count - 1) * column_gap()) / column_count;
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const Panel& panel = panels[i];
    const auto column = static_cast<double>(i % columns), row = static_cast<double>(i / columns);
    const double left = m.left + column * (panel_width + column_gap());
    const double top = legend_height + m.top + row * (panel_height + m.top + row_gap());
    const bool lowest = i + columns >= panels.size();
    fmt::format_to(out,
                   "set lmargin at screen {:.6f}\nset rmargin at screen {:.6f}\nset tmargin at screen {:.6f}\nset bmargin at "
                   "screen {:.6f}\n",
                   left / width, (left + panel_width) / width, 1 - top / total, 1 - (top + panel_height) / total);
    const bool leftmost = i % columns == 0;
    add_axis(text, "x", panel.x, tic_step(panel.x, panel_width), true);
    add_axis(text, "y", panel.y, 0, leftmost || !shared_y);
    // The axes' labels, at the same place in every terminal.
    fmt::format_to(out, "set label 1001 {} at screen {:.6f}, screen {:.6f} center\n",
                   gnuplot_string(lowest || !shared_x ? panel.x.label : ""), (left + panel_width / 2) / width,
                   1 - (top + panel_height + kTicRoom + 10) / total);
    fmt::format_to(
        out, "set label 1002 {} at screen {:.6f}, screen {:.6f} center rotate by 90\n",
        gnuplot_string(leftmost || !shared_y ? shortened(panel.y.label, static_cast<std::size_t>(1.3 * panel_height / kCharacter))
                                             : ""),
        (left - m.left + 15) / width, 1 - (top + panel_height / 2) / total);
    fmt::format_to(out, "set title {} offset 0,-0.6\n", gnuplot_string(panel.title));
    for (const std::string& setting : panel.settings) text += setting + "\n";
    text += "plot ";
    for (std::size_t layer = 0; layer < panel.layers.size(); ++layer) text += (layer == 0 ? "" : ", ") + panel.layers[layer];
    text += "\n";
    if (i == 0 && panels.size() > 1) text += "unset label\nunset arrow\n";
  }
  if (panels.size() > 1) text += "unset multiplot\n";
  return text;
}

}  // namespace fryer::study
