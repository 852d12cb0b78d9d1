// SPDX-License-Identifier: Apache-2.0
// What cuda_backend.cu may launch, as plain functions, so that each kernel is compiled in one file and no other sees its template.
// Launches are asynchronous on the grid's stream and checked.
#pragma once

#include <algorithm>

#include "kernels/cuda_check.cuh"
#include "kernels/device_backend.h"

namespace fryer {

// Threads of a block whose warps are on their own: as the kernel's file says, unless all have this number (a multiple of 32 up to 1024). For
// bench/gpu/verify.sh, which compares launch shapes: no result depends on it.
#ifndef FRYER_CUDA_BLOCK_THREADS
#define FRYER_CUDA_BLOCK_THREADS 0
#endif
static_assert(FRYER_CUDA_BLOCK_THREADS >= 0 && FRYER_CUDA_BLOCK_THREADS <= 1024 && FRYER_CUDA_BLOCK_THREADS % 32 == 0);
constexpr int block_threads(int usual) { return FRYER_CUDA_BLOCK_THREADS != 0 ? FRYER_CUDA_BLOCK_THREADS : usual; }
// Blocks of so many threads that make up the warps of `usual_blocks` blocks of `usual` threads.
constexpr int blocks_of(int threads, int usual, int usual_blocks) { return std::max(1, usual * usual_blocks / threads); }

// What launches are made for.
struct Grid {
  int multiprocessors;
  cudaStream_t stream;
  unsigned most_blocks;  // of a launch; 0: as many as run at once. For tests: no result depends on it.
};

// Blocks of a persistent grid for a number of lanes' work items: at most what runs at once, and no more than give every lane
// equally many items (a last round with few warps would wait for latency, not for arithmetic).
template <class Kernel>
unsigned grid_blocks(const Grid& grid, Kernel* kernel, int threads, std::size_t shared_bytes, std::uint64_t items) {
  int resident = 0;
  FRYER_CUDA_CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, threads, shared_bytes));
  std::uint64_t most = static_cast<std::uint64_t>(std::max(resident, 1)) * static_cast<std::uint64_t>(grid.multiprocessors);
  if (grid.most_blocks != 0) most = std::min<std::uint64_t>(most, grid.most_blocks);
  const std::uint64_t lanes = static_cast<std::uint64_t>(threads);
  const std::uint64_t blocks = std::max<std::uint64_t>((items + lanes - 1) / lanes, 1);
  const std::uint64_t rounds = (blocks + most - 1) / most;
  return static_cast<unsigned>((blocks + rounds - 1) / rounds);
}

// ---- episodes.cu. sums: kGradientSlots numbers; counts: FryShack::kOutcomes. Added to.
void launch_gradient(const Grid& grid, const EpisodeWork& work, EpisodeRange range, bool weight, Moments moments,
                     std::uint64_t* sums);
void launch_evaluate(const Grid& grid, const EpisodeWork& work, EpisodeRange range, std::uint64_t* counts);
// Throws DeviceError where this build has no machine code for the current device.
void check_kernels_run_here();

// ---- replicas.cu
// Lanes that run at once, trainings in step.
std::uint64_t step_lanes(const Grid& grid, const ReplicaWork& work);
void launch_step(const Grid& grid, const ReplicaWork& work, const StepLaunch& launch);
UntilShape until_shape(const Grid& grid, const ReplicaWork& work, std::uint64_t replicas);
void launch_until(const Grid& grid, const ReplicaWork& work, const UntilLaunch& launch, const UntilShape& shape);

// ---- cart_pole_episodes.cu. sums: CartPoleSlots<LinearPolicy>::kCount numbers; counts: outcome_count(max_steps). Added to.
void launch_gradient(const Grid& grid, const CartPoleWork& work, EpisodeRange range, CartPoleTask task, std::uint64_t* sums);
void launch_evaluate(const Grid& grid, const CartPoleWork& work, EpisodeRange range, std::uint64_t* counts);

// ---- cart_pole_replicas.cu
// Lanes that train so many replicas.
std::uint64_t cart_pole_lanes(const Grid& grid, const CartPoleReplicaWork& work, std::uint64_t replicas);
void launch_train(const Grid& grid, const CartPoleReplicaWork& work, const CartPoleLaunch& launch, std::uint64_t lanes);

// ---- cart_pole_hidden.cu: the same with a hidden layer. sums: CartPoleSlots<HiddenLayerPolicy>::kCount numbers.
void launch_gradient(const Grid& grid, const HiddenWork& work, EpisodeRange range, CartPoleTask task, std::uint64_t* sums);
void launch_evaluate(const Grid& grid, const HiddenWork& work, EpisodeRange range, std::uint64_t* counts);
std::uint64_t cart_pole_lanes(const Grid& grid, const HiddenReplicaWork& work, std::uint64_t replicas);
void launch_train(const Grid& grid, const HiddenReplicaWork& work, const HiddenLaunch& launch, std::uint64_t lanes);

// ---- q_training.cu. batch: the most of any replica.
QTeams q_teams(const Grid& grid, QKind kind, const QNetworkShape& network, std::uint32_t batch);
void launch_q_train(const Grid& grid, const QLaunch& launch, QKind kind, const QTeams& teams);
void launch_q_evaluate(const Grid& grid, const QEvaluateLaunch& launch, const QTeams& teams);

// ---- statistics.cu. rows: columns of `replicas` elements in device memory.
PopulationSummaries summarise_rows(const Grid& grid, const RowMemory& rows, std::uint64_t replicas);
// (updates, kQuantiles.size()): order statistics of the successes of each update's batch over the replicas that made it, from
// rows.correct. made: the curve's counts.
std::vector<std::uint32_t> curve_quantiles(const Grid& grid, const ReplicaWork& work, const RowMemory& rows,
                                           std::uint64_t replicas, const std::vector<std::uint64_t>& made);
// Device memory that the two need beside the rows, at most.
std::uint64_t statistics_bytes(const ReplicaWork& work, std::uint64_t replicas, bool quantiles);
// The same for CartPole, whose outcomes are large numbers: each update's are sorted.
PopulationSummaries summarise_rows(const Grid& grid, const CartPoleColumns& rows, std::uint64_t replicas);
std::vector<std::uint32_t> curve_quantiles(const Grid& grid, const CartPoleColumns& rows, std::uint64_t replicas,
                                           const std::vector<std::uint64_t>& made);
std::uint64_t cart_pole_statistics_bytes(std::uint64_t updates, std::uint64_t replicas, bool quantiles);

}  // namespace fryer
