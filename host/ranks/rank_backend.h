// SPDX-License-Identifier: Apache-2.0
// All ranks' devices as one backend, with the bits of one. The driver runs on every rank with the same configuration. Episodes are cut into
// a part for each rank, whose integer sums are added over all ranks, so every rank makes the same steps of the optimizer. Replicas are
// handed out in numbered parts by the root, which alone gets their rows: the others are Dismissed when none is left.
#pragma once

#include <memory>

#include "fryer/engine/backend.h"
#include "host/group_backend.h"
#include "host/ranks/ranks.h"

namespace fryer::ranks {

// A rank's own with the devices, executors, threads and warnings of all; of all ranks, as what follows.
BackendInfo info_of_ranks(BackendInfo info, Ranks& ranks);

// local: this rank's devices. least: as for devices of a group; the root's counts. `ranks` must outlive it. Of all ranks: each makes it.
//
// What ends one rank ends all: with the RankError, or Stopped, on each of them (while replicas are handed out on the root; the others are
// Dismissed). Policies are compared over the ranks at their first batch and
// every 64th: a difference, which only a defect or broken hardware could make, is a RankError too.
std::unique_ptr<Backend> make_rank_backend(std::unique_ptr<Backend> local, Ranks& ranks, const LeastPart& least);

}  // namespace fryer::ranks
