// SPDX-License-Identifier: Apache-2.0
// Chunks of a study on one backend: replicas of a cell, run and turned into columns. What a chunk has depends on the plan, the cell and
// the range alone, never on the backend, on what ran beside it, or on how the study was cut.
#pragma once

#include "host/driver.h"
#include "host/study/store.h"

namespace fryer::study {

// Replicas of a cell.
struct Piece {
  std::uint64_t cell = 0;
  Range range;
};

// Pieces that run together, each to become a chunk: one of any cell, or several of cells whose trainings may share lanes.
struct Launch {
  std::vector<Piece> pieces;
  // Where the trainings of each piece stand, if they were begun before; else empty.
  std::vector<TrainingStates> begun;
};

// Runs a launch to its end: then there is a chunk for each piece, and nothing is begun any more. Or until control.pause: then there are
// none, and launch.begun says where the trainings stand, which are gone on with by another call. (So too where pause is given and long
// trainings have ended that are to be evaluated.) `plan`'s cells have `run`. Throws what train_on(), evaluate() and
// gradient() throw; a replica that fails is a row. Progress is in units of its own: updates, episodes of value learners, or replicas.
std::vector<Chunk> run_launch(const Plan& plan, Launch& launch, Backend& backend, const RunControl& control);
// One piece.
Chunk run_chunk(const Plan& plan, std::uint64_t cell, const Range& range, Backend& backend, const RunControl& control);

// Whether states can be those of the piece's trainings: a size that is not theirs would lead beyond the end of a column.
bool fits(const Plan& plan, const Piece& piece, const TrainingStates& states);

// What the trainings have come to, in replicas.
double share_made(const Plan& plan, const Piece& piece, const TrainingStates& states);

// Equal numbers: cells whose trainings may share lanes, or a launch. Numbers ascend with the first cell of each kind.
std::vector<std::uint64_t> kinds_of_cells(const Plan& plan);

// Replicas that a chunk of this cell may have at most, by what it keeps in memory while it runs (about 128 MB) and what a chunk may hold.
std::uint64_t largest_chunk(const Plan& plan, std::uint64_t cell);

// Whether the return of each update, or episode, can be kept for curves and thresholds; false for batches of some 10^7 episodes of CartPole and more.
bool outcomes_can_be_kept(const Cell& cell);

// Whether a cell's replicas are trainings that can be left in their middle: all but the fry shack's that lanes train (driver.h).
bool may_be_left(const Plan& plan, std::uint64_t cell);

// Whether they are trainings of value learners: each is a worker's alone, and of the same network whatever the cell.
bool has_value_learners(const Plan& plan, std::uint64_t cell);

// Replicas of a cell that a backend runs at once: a set of lanes, value learners in as many places, or one after another.
std::uint64_t replicas_at_once(const Plan& plan, std::uint64_t cell, const BackendInfo& backend);

// Of the cell with all its seeds, to choose a backend.
WorkEstimate estimate(const Plan& plan, std::uint64_t cell, std::uint64_t replicas);

}  // namespace fryer::study
