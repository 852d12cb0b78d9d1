// SPDX-License-Identifier: Apache-2.0
// A figure of one or more panels as a gnuplot script: axes, legend and margins in CSS pixels. Knows nothing of studies.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fryer::study {

inline constexpr double kNarrow = 480, kWide = 960;  // widths of figures

struct Axis {
  std::string label;
  double low = 0, high = 1;                                // low < high
  bool percent = false;                                    // values are percentages: tics say so
  std::vector<std::pair<double, std::string>> names = {};  // tics with names instead of numbers
};

// low and high with a little room around them, never an empty range.
Axis axis_around(std::string label, double low, double high);

struct Panel {
  std::string title;
  Axis x, y;
  std::vector<std::string> layers;    // what `plot` draws, in order: "$data3 using 1:2 with lines ..."
  std::vector<std::string> settings;  // further commands
};

struct LegendEntry {
  std::string label;
  std::string_view colour;
  std::string style;  // of its line: "lw 2 dt 1"
};

class Figure {
 public:
  // A block of numbers that layers may name; rows that are not finite are left out. An empty block cannot be plotted: "".
  std::string data(const std::vector<std::vector<double>>& rows);

  std::vector<Panel> panels;
  std::vector<LegendEntry> legend;
  std::string legend_title;
  std::size_t columns = 1;
  bool shared_x = true, shared_y = true;  // by all panels: the axes are then written once
  double width = kNarrow, panel_height = 260;

  double height() const;
  std::string script() const;

 private:
  struct Margins {
    double left, right, top, bottom;
  };
  Margins margins() const;
  double column_gap() const;
  double row_gap() const;
  std::vector<std::vector<std::size_t>> legend_rows() const;
  std::string legend_commands() const;
  std::size_t rows() const { return (panels.size() + columns - 1) / columns; }

  std::string blocks_;
  std::size_t block_count_ = 0;
};

// `text` cut to `most` characters, with an ellipsis where something is missing.
std::string shortened(std::string_view text, std::size_t most);

}  // namespace fryer::study
