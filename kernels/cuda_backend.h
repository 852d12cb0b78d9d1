// SPDX-License-Identifier: Apache-2.0
// The CUDA backend with its inner settings, for tests and benchmarks; everyone else takes make_cuda_backend() of engine/backend.h.
#pragma once

#include "fryer/engine/backend.h"

namespace fryer {

// How work is cut into launches and lanes. None of it changes a bit of any result.
struct CudaOptions {
  // Work of one launch in episodes, or updates over all replicas (CartPole: steps over all lanes); 0: what takes seconds_per_launch.
  std::uint64_t chunk = 0;
  unsigned most_blocks = 0;  // of a launch; 0: as many as run at once
  double seconds_per_launch = 0.25;
  // Of the host's memory: what value learners that a pause leaves in the device may take there; 0: half of usable_memory().
  double bytes_of_left_trainings = 0;
};

std::unique_ptr<Backend> make_cuda_backend(int device, const std::string& reason, const CudaOptions& options);

}  // namespace fryer
