// SPDX-License-Identifier: Apache-2.0
// See cell_order.h. Nothing here is a statistic: it only picks and orders what the analysis has computed.
#include "host/study/cell_order.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace fryer::study {

const ThresholdSummary* main_threshold(const CellSummary& cell) {
  const ThresholdSummary* main = nullptr;
  for (const ThresholdSummary& threshold : cell.thresholds) {
    if (threshold.stops) return &threshold;
    if (main == nullptr || threshold.threshold > main->threshold) main = &threshold;
  }
  return main;
}

std::vector<std::size_t> cells_by_merit(const StudySummary& summary) {
  constexpr double kNever = std::numeric_limits<double>::infinity();
  const auto merit = [&](std::size_t i) {  // smaller is better
    const CellSummary& cell = summary.cells[i];
    const ThresholdSummary* threshold = main_threshold(cell);
    return std::tuple(threshold ? -threshold->share.estimate : 0, threshold ? threshold->updates.median.value_or(kNever) : kNever,
                      cell.result ? -cell.result->mean : kNever);
  };
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < summary.cells.size(); ++i) {
    if (summary.cells[i].finished > 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return merit(a) < merit(b); });
  return order;
}

std::string short_label(const CellSummary& cell) {
  std::string label;
  for (const auto& [key, value] : cell.point) label += (label.empty() ? "" : ", ") + value;
  return label.empty() ? cell.label : label;
}

std::string axes_label(const StudySummary& summary) {
  std::string label;
  for (const auto& [key, values] : summary.axes) label += (label.empty() ? "" : ", ") + key;
  return label;
}

std::string result_label(const StudySummary& summary) {
  const bool said = summary.result_unit.empty() || summary.result_name.find(summary.result_unit) != std::string::npos;
  return said ? summary.result_name : summary.result_name + " (" + summary.result_unit + ")";
}

}  // namespace fryer::study
