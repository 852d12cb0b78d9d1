// SPDX-License-Identifier: Apache-2.0
// CartPole's kernels for a policy with a hidden layer: gradient sums, outcome counts and trainings. Everything but where a warp stands
// and where its sums go is in cart_pole_bodies.h. The number of units is a run-time setting, the same for all lanes: what a lane has by
// parameter or unit is in its local memory, of which a small network touches the beginning alone; one policy of all lanes is a
// kernel argument.
#include "kernels/cuda_warp.cuh"
#include "kernels/launches.cuh"

namespace fryer {
namespace {

// Small blocks, since a block's local memory is large: all of a network of 16 units are 2 to 6 KB a lane. 16 warps a multiprocessor leave
// 128 registers, so that nothing is spilled.
inline constexpr int kThreads = block_threads(64), kBlocks = blocks_of(kThreads, 64, 8);
inline constexpr int kWarpsPerBlock = kThreads / static_cast<int>(kWarpLanes);

// Outcome counts of a block in shared memory: up to a block's share of the smallest multiprocessor's 64 KB.
inline constexpr std::size_t kStartBytes = kWarpsPerBlock * sizeof(StartMemory);
inline constexpr std::size_t kMostCountBytes = 8 * 1024 - std::min<std::size_t>(8 * 1024, kStartBytes);

template <bool kGeneral, Track kTrack, bool kSquares>
__global__ void __launch_bounds__(kThreads, kBlocks)
    hidden_gradient_kernel(const __grid_constant__ HiddenWork work, const EpisodeRange range, std::uint64_t* sums) {
  __shared__ StartMemory starts[kWarpsPerBlock];
  cart_pole_gradient_body<kGeneral, kTrack, kSquares>(CudaWarp{}, warp_place(), work, work.key, work.policy, range,
                                                      starts[threadIdx.x / kWarpLanes], sums);
}

// local: outcomes that are counted in shared memory first; 0: none.
template <bool kGeneral, class Policy>
__global__ void __launch_bounds__(kThreads, kBlocks)
    hidden_evaluate_kernel(const __grid_constant__ HiddenWork work, const __grid_constant__ Policy policy,
                           const EpisodeRange range, std::uint64_t* counts, const std::uint32_t local) {
  __shared__ StartMemory starts[kWarpsPerBlock];
  extern __shared__ std::uint32_t outcomes[];
  for (std::uint32_t i = threadIdx.x; i < local; i += blockDim.x) outcomes[i] = 0;
  __syncthreads();
  cart_pole_evaluate_body<kGeneral>(CudaWarp{}, warp_place(), work, work.key, policy, range, starts[threadIdx.x / kWarpLanes],
                                    local != 0 ? outcomes : nullptr, counts);
  __syncthreads();
  for (std::uint32_t i = threadIdx.x; i < local; i += blockDim.x) {
    if (outcomes[i] != 0) CudaWarp{}.add(counts + i, std::uint64_t{outcomes[i]});
  }
}

template <bool kGeneral, Track kTrack>
__global__ void __launch_bounds__(kThreads, kBlocks)
    hidden_train_kernel(const __grid_constant__ HiddenReplicaWork work, const __grid_constant__ HiddenLaunch launch) {
  cart_pole_train_body<kGeneral, kTrack>(CudaWarp{}, warp_place(), work, launch);
}

template <bool kGeneral, Track kTrack, bool kSquares>
void launch_gradient_of(const Grid& grid, const HiddenWork& work, EpisodeRange range, std::uint64_t* sums) {
  auto* const kernel = &hidden_gradient_kernel<kGeneral, kTrack, kSquares>;
  const unsigned blocks = grid_blocks(grid, kernel, kThreads, 0, range.count);
  kernel<<<blocks, kThreads, 0, grid.stream>>>(work, range, sums);
  FRYER_CUDA_CHECK_LAUNCH("hidden_gradient_kernel");
}

template <bool kGeneral, class Policy>
void launch_evaluate_of(const Grid& grid, const HiddenWork& work, const Policy& policy, EpisodeRange range,
                        std::uint64_t* counts) {
  auto* const kernel = &hidden_evaluate_kernel<kGeneral, Policy>;
  const std::uint64_t bytes = outcome_count(work.game.max_steps) * sizeof(std::uint32_t);
  const std::size_t local = bytes <= kMostCountBytes ? bytes : 0;
  const unsigned blocks = grid_blocks(grid, kernel, kThreads, local, range.count);
  kernel<<<blocks, kThreads, local, grid.stream>>>(work, policy, range, counts,
                                                   static_cast<std::uint32_t>(local / sizeof(std::uint32_t)));
  FRYER_CUDA_CHECK_LAUNCH("hidden_evaluate_kernel");
}

// Calls body.operator()<general program, what lanes keep>() for the work's kind.
template <class Body>
void with_kind(const HiddenReplicaWork& work, const Body& body) {
  const bool general = work.game.general;
  if (work.track == Track::gradient) {
    general ? body.template operator()<true, Track::gradient>() : body.template operator()<false, Track::gradient>();
  } else {
    general ? body.template operator()<true, Track::gradient_and_scores>()
            : body.template operator()<false, Track::gradient_and_scores>();
  }
}

}  // namespace

void launch_gradient(const Grid& grid, const HiddenWork& work, EpisodeRange range, CartPoleTask task, std::uint64_t* sums) {
  const bool general = work.game.general;
  switch (task) {
    case CartPoleTask::gradient:
      return general ? launch_gradient_of<true, Track::gradient, false>(grid, work, range, sums)
                     : launch_gradient_of<false, Track::gradient, false>(grid, work, range, sums);
    case CartPoleTask::gradient_and_squares:
      return general ? launch_gradient_of<true, Track::gradient, true>(grid, work, range, sums)
                     : launch_gradient_of<false, Track::gradient, true>(grid, work, range, sums);
    case CartPoleTask::gradient_and_scores:
      return general ? launch_gradient_of<true, Track::gradient_and_scores, false>(grid, work, range, sums)
                     : launch_gradient_of<false, Track::gradient_and_scores, false>(grid, work, range, sums);
  }
}

void launch_evaluate(const Grid& grid, const HiddenWork& work, EpisodeRange range, std::uint64_t* counts) {
  const auto launch = [&](const auto& policy) {
    work.game.general ? launch_evaluate_of<true>(grid, work, policy, range, counts)
                      : launch_evaluate_of<false>(grid, work, policy, range, counts);
  };
  work.game.greedy ? launch(LikelierAction<HiddenLayerPolicy>{work.policy}) : launch(work.policy);
}

std::uint64_t cart_pole_lanes(const Grid& grid, const HiddenReplicaWork& work, std::uint64_t replicas) {
  unsigned blocks = 0;
  with_kind(work, [&]<bool kGeneral, Track kTrack>() {
    blocks = grid_blocks(grid, &hidden_train_kernel<kGeneral, kTrack>, kThreads, 0, replicas);
  });
  return std::uint64_t{blocks} * kThreads;
}

void launch_train(const Grid& grid, const HiddenReplicaWork& work, const HiddenLaunch& launch, std::uint64_t lanes) {
  with_kind(work, [&]<bool kGeneral, Track kTrack>() {
    hidden_train_kernel<kGeneral, kTrack><<<static_cast<unsigned>(lanes / kThreads), kThreads, 0, grid.stream>>>(work, launch);
    FRYER_CUDA_CHECK_LAUNCH("hidden_train_kernel");
  });
}

}  // namespace fryer
