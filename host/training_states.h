// SPDX-License-Identifier: Apache-2.0
// Trainings between two updates, put side by side to share lanes and taken apart again.
#pragma once

#include "fryer/engine/results.h"

namespace fryer {

bool all_ended(const TrainingStates& states);

// The rows of all parts, one after another. Columns whose length depends on a configuration (outcomes, recent) get that of the longest.
TrainingStates join(std::vector<TrainingStates> parts);

// Rows first .. first + count - 1, of a configuration with so many rows of outcomes, if they are kept, and so long a window. Their first
// seed is left to the caller; value learners are taken out of `states`, since their replay memories may be large.
TrainingStates take_rows(TrainingStates& states, std::uint64_t first, std::uint64_t count, std::uint64_t outcomes,
                         std::uint64_t window);

}  // namespace fryer
