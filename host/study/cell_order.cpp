// SPDX-License-Identifier: Apache-2.0
// See cell_order.h. Nothing here is a statistic: it only picks and orders what the analysis has computed.
#include "host/study/cell_order.h"

namespace fryer::study {

const ThresholdSummary* main_threshold(const CellSummary& cell) {
  const ThresholdSummary* main = nullptr;
  for (const ThresholdSummary& threshold : cell.thresholds) {
    if (threshold.stops) return &threshold;
    if (main == nullptr || threshold.threshold > main->threshold) main = &threshold;
  }
  return main;
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
