// SPDX-License-Identifier: Apache-2.0
// What a study's summary says in plain sentences. Takes the numbers of a summary and returns text; computes no statistics.
#pragma once

#include <string>

#include "host/study/analysis.h"

namespace fryer::study {

// What the data of a cell do and do not show. Everything of `cell` but its sentence is filled in, and study.result_name.
std::string cell_sentence(const StudySummary& study, const CellSummary& cell);
// The whole study: its best cell, and whether the data separate it from the next. Everything but the sentence is filled in.
std::string study_sentence(const StudySummary& study);

}  // namespace fryer::study
