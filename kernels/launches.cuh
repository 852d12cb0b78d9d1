// SPDX-License-Identifier: Apache-2.0
// What cuda_backend.cu may launch, as plain functions, so that each kernel is compiled in one file and no other sees its template.
// Launches are asynchronous on the device's stream and checked.
#pragma once

#include <algorithm>
#include <vector>

#include "fryer/engine/results.h"
#include "kernels/cuda_check.cuh"
#include "kernels/warp_bodies.h"

namespace fryer {

struct CudaDevice {
  int multiprocessors;
  cudaStream_t stream;
  unsigned most_blocks;  // of a launch; 0: as many as run at once. For tests: no result depends on it.
};

// Blocks of a persistent grid for a number of lanes' work items: at most what runs at once, and no more than give every lane
// equally many items (a last round with few warps would wait for latency, not for arithmetic).
template <class Kernel>
unsigned grid_blocks(const CudaDevice& device, Kernel* kernel, int threads, std::size_t shared_bytes, std::uint64_t items) {
  int resident = 0;
  FRYER_CUDA_CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, threads, shared_bytes));
  std::uint64_t most = static_cast<std::uint64_t>(std::max(resident, 1)) * static_cast<std::uint64_t>(device.multiprocessors);
  if (device.most_blocks != 0) most = std::min<std::uint64_t>(most, device.most_blocks);
  const std::uint64_t lanes = static_cast<std::uint64_t>(threads);
  const std::uint64_t blocks = std::max<std::uint64_t>((items + lanes - 1) / lanes, 1);
  const std::uint64_t rounds = (blocks + most - 1) / most;
  return static_cast<unsigned>((blocks + rounds - 1) / rounds);
}

// ---- episodes.cu. sums: kGradientSlots numbers; counts: FryShack::kOutcomes. Added to.
void launch_gradient(const CudaDevice& device, const EpisodeWork& work, EpisodeRange range, bool weight, Moments moments,
                     std::uint64_t* sums);
void launch_evaluate(const CudaDevice& device, const EpisodeWork& work, EpisodeRange range, std::uint64_t* counts);
// Throws DeviceError where this build has no machine code for the current device.
void check_kernels_run_here();

// ---- replicas.cu
// Lanes that run at once, trainings in step.
std::uint64_t step_lanes(const CudaDevice& device, const ReplicaWork& work);
void launch_step(const CudaDevice& device, const ReplicaWork& work, const StepLaunch& launch);

// Trainings until a threshold: the grid is the same in all launches of a run, since lanes live on from one to the next.
struct UntilShape {
  unsigned blocks;
  std::uint64_t lanes;
  std::uint32_t most_steps;   // of one launch, so that 32-bit curve sums cannot overflow
  std::size_t shared_bytes;   // a block's curves; 0: they do not fit
};
UntilShape until_shape(const CudaDevice& device, const ReplicaWork& work, std::uint64_t replicas);
void launch_until(const CudaDevice& device, const ReplicaWork& work, const UntilLaunch& launch, const UntilShape& shape);

// ---- statistics.cu
struct PopulationSummaries {
  Summary weight, bias, solved_updates;
};
// rows: columns of `replicas` elements in device memory, left as they are.
PopulationSummaries summarise_rows(const CudaDevice& device, const RowMemory& rows, std::uint64_t replicas);
// (updates, kQuantiles.size()): order statistics of the successes of each update's batch over the replicas that made it, from
// rows.correct.
std::vector<std::uint32_t> curve_quantiles(const CudaDevice& device, const ReplicaWork& work, const RowMemory& rows,
                                           std::uint64_t replicas);
// Device memory that the two need beside the rows.
std::uint64_t statistics_bytes(const ReplicaWork& work, std::uint64_t replicas, bool quantiles);

}  // namespace fryer
