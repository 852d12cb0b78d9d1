// SPDX-License-Identifier: Apache-2.0
// One chunk of a study on one backend: replicas of a cell, run and turned into columns. What it gives depends on the plan, the cell and the
// range alone, never on the backend or on how the study was cut.
#pragma once

#include "fryer/engine/run.h"
#include "host/study/store.h"

namespace fryer::study {

// `plan`'s cells have `run`. Throws what train(), evaluate() and gradient() throw; a replica that fails is a row. Progress is
// in units of its own: updates or replicas.
Chunk run_chunk(const Plan& plan, std::uint64_t cell, const Range& range, Backend& backend, const RunControl& control);

// Replicas that a chunk of this cell may have at most, by what it keeps in memory while it runs (about 128 MB) and what a chunk may hold.
std::uint64_t largest_chunk(const Plan& plan, std::uint64_t cell);

// Whether the return of each update can be kept for curves and thresholds; false for batches of some 10^7 episodes of CartPole and more.
bool outcomes_can_be_kept(const Cell& cell);

// Whether a cell's replicas train together in lanes, rather than one after another.
bool trains_in_lanes(const Plan& plan, std::uint64_t cell);

// Of the cell with all its seeds, to choose a backend.
WorkEstimate estimate(const Plan& plan, std::uint64_t cell, std::uint64_t replicas);

}  // namespace fryer::study
