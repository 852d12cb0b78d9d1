// SPDX-License-Identifier: Apache-2.0
// What plots and page both ask of a study's cells: which threshold counts, how a cell is called.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "host/study/analysis.h"

namespace fryer::study {

// The threshold that a cell is judged by: the stopping rule, else the highest; null without any.
const ThresholdSummary* main_threshold(const CellSummary& cell);

// "0.1, 16": the values of what the grid varies; the whole label where it varies nothing.
std::string short_label(const CellSummary& cell);
// "learning_rate, batch": what short_label lists; "" where the grid varies nothing.
std::string axes_label(const StudySummary& summary);

// The result's name, with its unit where the name does not say it.
std::string result_label(const StudySummary& summary);

}  // namespace fryer::study
