// SPDX-License-Identifier: Apache-2.0
// Which of its machine's devices a rank takes, and all ranks' devices as one backend.
#pragma once

#include <memory>
#include <vector>

#include "fryer/engine/backend.h"
#include "host/ranks/ranks.h"

namespace fryer::ranks {

// Ranks of a machine that may run on the same processors: the launcher did not bind them to some of their own.
struct SharedProcessors {
  unsigned ranks = 1, rank = 0;  // how many, and which of them this one is
};
// Of all ranks.
SharedProcessors shared_processors(Ranks& ranks);

// GPUs of a machine go to its ranks in turn: those named, or those of `gpus`, the numbers of those that can be used, of which a rank takes one
// only, unless all are asked for. Threads (`usable` by this
// process), unless given, are divided among the ranks that share them.
BackendChoice choice_of_rank(BackendChoice choice, const Ranks::Place& place, const std::vector<int>& gpus, unsigned usable,
                             SharedProcessors shared);
// The same of this machine; of all ranks.
BackendChoice choice_of_rank(const BackendChoice& choice, Ranks& ranks);

// Of all ranks: each makes the same. choice.work and choice.parallelism are of the whole. Throws RankError where one has no such device.
std::unique_ptr<Backend> make_backend(const BackendChoice& choice, Ranks& ranks);

}  // namespace fryer::ranks
