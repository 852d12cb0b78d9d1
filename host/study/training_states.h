// SPDX-License-Identifier: Apache-2.0
// Trainings between two updates, put side by side to share lanes and taken apart again.
#pragma once

#include "fryer/engine/results.h"

namespace fryer::study {

bool all_ended(const TrainingStates& states);

// The rows of all parts, one after another. Columns whose length depends on a configuration (outcomes, recent) get that of the longest.
TrainingStates join(std::vector<TrainingStates> parts);

// Rows first .. first + count - 1, of a configuration with so many updates and so long a window. Their first seed is left to the caller.
TrainingStates slice(const TrainingStates& states, std::uint64_t first, std::uint64_t count, std::uint64_t updates,
                     std::uint64_t window);

}  // namespace fryer::study
