// SPDX-License-Identifier: Apache-2.0
// Kernels over numbered CartPole episodes of one policy: gradient sums and outcome counts. Everything but where a warp stands and
// where its sums go is in cart_pole_bodies.h.
#include "kernels/cuda_warp.cuh"
#include "kernels/launches.cuh"

namespace fryer {
namespace {

// 20 warps a multiprocessor: a block of four steps waits about 700 clocks for its own results and has 330 instructions to issue, so
// three warps a scheduler keep it busy (stall counts, sm_90); more only take registers away.
inline constexpr int kThreads = block_threads(128), kBlocks = blocks_of(kThreads, 128, 4);
inline constexpr int kWarpsPerBlock = kThreads / static_cast<int>(kWarpLanes);
// What ptxas may use, not what it does: the gradient takes 88 registers, so that five blocks fit; told five, it takes 84 and loads constants
// anew in every block of steps (323 instructions instead of 321). Scores, squares and the general program need more than five leave.

// Outcome counts of a block in shared memory: up to what a block has without asking for more, beside the start states.
inline constexpr std::size_t kStartBytes = kWarpsPerBlock * sizeof(StartMemory);
inline constexpr std::size_t kMostCountBytes = 48 * 1024 - std::min<std::size_t>(48 * 1024, kStartBytes);

template <bool kGeneral, Track kTrack, bool kSquares, class Policy>
__global__ void __launch_bounds__(kThreads, kBlocks)
    cart_pole_gradient_kernel(const __grid_constant__ CartPoleWork work, const __grid_constant__ UniformKey key,
                              const __grid_constant__ Policy policy, const EpisodeRange range, std::uint64_t* sums) {
  __shared__ StartMemory starts[kWarpsPerBlock];
  cart_pole_gradient_body<kGeneral, kTrack, kSquares>(CudaWarp{}, warp_place(), work, key, policy, range,
                                                      starts[threadIdx.x / kWarpLanes], sums);
}

// local: outcomes that are counted in shared memory first; 0: none.
template <bool kGeneral, class Policy>
__global__ void __launch_bounds__(kThreads, kBlocks)
    cart_pole_evaluate_kernel(const __grid_constant__ CartPoleWork work, const __grid_constant__ UniformKey key,
                              const __grid_constant__ Policy policy, const EpisodeRange range, std::uint64_t* counts,
                              const std::uint32_t local) {
  __shared__ StartMemory starts[kWarpsPerBlock];
  extern __shared__ std::uint32_t outcomes[];
  for (std::uint32_t i = threadIdx.x; i < local; i += blockDim.x) outcomes[i] = 0;
  __syncthreads();
  cart_pole_evaluate_body<kGeneral>(CudaWarp{}, warp_place(), work, key, policy, range, starts[threadIdx.x / kWarpLanes],
                                    local != 0 ? outcomes : nullptr, counts);
  __syncthreads();
  for (std::uint32_t i = threadIdx.x; i < local; i += blockDim.x) {
    if (outcomes[i] != 0) CudaWarp{}.add(counts + i, std::uint64_t{outcomes[i]});
  }
}

template <bool kGeneral, Track kTrack, bool kSquares, class Policy>
void launch_gradient_of(const Grid& grid, const CartPoleWork& work, const Policy& policy, EpisodeRange range,
                        std::uint64_t* sums) {
  auto* const kernel = &cart_pole_gradient_kernel<kGeneral, kTrack, kSquares, Policy>;
  const unsigned blocks = grid_blocks(grid, kernel, kThreads, 0, range.count);
  kernel<<<blocks, kThreads, 0, grid.stream>>>(work, work.key, policy, range, sums);
  FRYER_CUDA_CHECK_LAUNCH("cart_pole_gradient_kernel");
}
template <Track kTrack, bool kSquares>
void launch_gradient_of(const Grid& grid, const CartPoleWork& work, EpisodeRange range, std::uint64_t* sums) {
  if (work.game.general) {
    launch_gradient_of<true, kTrack, kSquares>(grid, work, work.policy, range, sums);
  } else if (is_bounded(work)) {
    launch_gradient_of<false, kTrack, kSquares>(grid, work, BoundedPolicy<float, 4>{work.policy}, range, sums);
  } else {
    launch_gradient_of<false, kTrack, kSquares>(grid, work, work.policy, range, sums);
  }
}

template <bool kGeneral, class Policy>
void launch_evaluate_of(const Grid& grid, const CartPoleWork& work, const Policy& policy, EpisodeRange range,
                        std::uint64_t* counts) {
  auto* const kernel = &cart_pole_evaluate_kernel<kGeneral, Policy>;
  const std::uint64_t bytes = outcome_count(work.game.max_steps) * sizeof(std::uint32_t);
  const std::size_t local = bytes <= kMostCountBytes ? bytes : 0;
  const unsigned blocks = grid_blocks(grid, kernel, kThreads, local, range.count);
  kernel<<<blocks, kThreads, local, grid.stream>>>(work, work.key, policy, range, counts,
                                                   static_cast<std::uint32_t>(local / sizeof(std::uint32_t)));
  FRYER_CUDA_CHECK_LAUNCH("cart_pole_evaluate_kernel");
}

}  // namespace

void launch_gradient(const Grid& grid, const CartPoleWork& work, EpisodeRange range, CartPoleTask task, std::uint64_t* sums) {
  switch (task) {
    case CartPoleTask::gradient:
      return launch_gradient_of<Track::gradient, false>(grid, work, range, sums);
    case CartPoleTask::gradient_and_squares:
      return launch_gradient_of<Track::gradient, true>(grid, work, range, sums);
    case CartPoleTask::gradient_and_scores:
      return launch_gradient_of<Track::gradient_and_scores, false>(grid, work, range, sums);
  }
}

void launch_evaluate(const Grid& grid, const CartPoleWork& work, EpisodeRange range, std::uint64_t* counts) {
  const auto launch = [&](const auto& policy) {
    work.game.general ? launch_evaluate_of<true>(grid, work, policy, range, counts)
                      : launch_evaluate_of<false>(grid, work, policy, range, counts);
  };
  if (work.game.greedy) {
    launch(GreedyPolicy<float, 4>{work.policy});
  } else if (is_bounded(work)) {
    launch_evaluate_of<false>(grid, work, BoundedPolicy<float, 4>{work.policy}, range, counts);
  } else {
    launch(work.policy);
  }
}

}  // namespace fryer
