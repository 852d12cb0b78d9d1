// SPDX-License-Identifier: Apache-2.0
// Kernels over numbered episodes of one policy: gradient sums and outcome counts. Everything but where a warp stands and where its
// sums go is in warp_bodies.h.
#include "kernels/cuda_warp.cuh"
#include "kernels/launches.cuh"

namespace fryer {
namespace {

// 20 warps a multiprocessor: three a scheduler hide an episode's latencies, more buy nothing (stall counts, sm_90). A minimum of
// blocks also keeps ptxas from squeezing the loop into 32 registers, which costs 5 instructions an episode.
inline constexpr int kThreads = block_threads(128), kBlocks = blocks_of(kThreads, 128, 5);

template <bool kWeight, Moments kMoments>
__global__ void __launch_bounds__(kThreads, kBlocks)
    gradient_kernel(const __grid_constant__ EpisodeWork work, const EpisodeRange range, std::uint64_t* sums) {
  gradient_body<kWeight, kMoments>(CudaWarp{}, warp_place(), work, work.rules.environment, work.policy, range, sums);
}

template <bool kWeight, Moments kMoments>
__global__ void __launch_bounds__(kThreads, kBlocks)
    bounded_gradient_kernel(const __grid_constant__ EpisodeWork work, const __grid_constant__ FryShack::WordRules rules,
                            const __grid_constant__ BoundedPolicy<float, 1> policy, const EpisodeRange range,
                            std::uint64_t* sums) {
  gradient_body<kWeight, kMoments>(CudaWarp{}, warp_place(), work, rules, policy, range, sums);
}

template <class Policy>
__global__ void __launch_bounds__(kThreads, kBlocks)
    evaluate_kernel(const __grid_constant__ EpisodeWork work, const __grid_constant__ Policy policy, const EpisodeRange range,
                    std::uint64_t* counts) {
  evaluate_body(CudaWarp{}, warp_place(), work, work.rules.environment, policy, range, counts);
}

__global__ void __launch_bounds__(kThreads, kBlocks)
    bounded_evaluate_kernel(const __grid_constant__ EpisodeWork work, const __grid_constant__ FryShack::WordRules rules,
                            const __grid_constant__ BoundedPolicy<float, 1> policy, const EpisodeRange range,
                            std::uint64_t* counts) {
  evaluate_body(CudaWarp{}, warp_place(), work, rules, policy, range, counts);
}

template <bool kWeight, Moments kMoments>
void launch_gradient_of(const Grid& grid, const EpisodeWork& work, EpisodeRange range, std::uint64_t* sums) {
  if (is_bounded(work)) {
    auto* const kernel = &bounded_gradient_kernel<kWeight, kMoments>;
    const unsigned blocks = grid_blocks(grid, kernel, kThreads, 0, range.count);
    kernel<<<blocks, kThreads, 0, grid.stream>>>(work, FryShack::make_word_rules(work.rules.environment), {work.policy}, range,
                                                 sums);
    FRYER_CUDA_CHECK_LAUNCH("bounded_gradient_kernel");
  } else {
    auto* const kernel = &gradient_kernel<kWeight, kMoments>;
    const unsigned blocks = grid_blocks(grid, kernel, kThreads, 0, range.count);
    kernel<<<blocks, kThreads, 0, grid.stream>>>(work, range, sums);
    FRYER_CUDA_CHECK_LAUNCH("gradient_kernel");
  }
}

template <class Policy>
void launch_evaluate_of(const Grid& grid, const EpisodeWork& work, const Policy& policy, EpisodeRange range,
                        std::uint64_t* counts) {
  auto* const kernel = &evaluate_kernel<Policy>;
  const unsigned blocks = grid_blocks(grid, kernel, kThreads, 0, range.count);
  kernel<<<blocks, kThreads, 0, grid.stream>>>(work, policy, range, counts);
  FRYER_CUDA_CHECK_LAUNCH("evaluate_kernel");
}

}  // namespace

void launch_gradient(const Grid& grid, const EpisodeWork& work, EpisodeRange range, bool weight, Moments moments,
                     std::uint64_t* sums) {
  if (moments == Moments::first) {
    weight ? launch_gradient_of<true, Moments::first>(grid, work, range, sums)
           : launch_gradient_of<false, Moments::first>(grid, work, range, sums);
  } else {
    weight ? launch_gradient_of<true, Moments::first_and_second>(grid, work, range, sums)
           : launch_gradient_of<false, Moments::first_and_second>(grid, work, range, sums);
  }
}

void launch_evaluate(const Grid& grid, const EpisodeWork& work, EpisodeRange range, std::uint64_t* counts) {
  if (work.greedy) {
    launch_evaluate_of(grid, work, GreedyPolicy<float, 1>{work.policy}, range, counts);
  } else if (is_bounded(work)) {
    const unsigned blocks = grid_blocks(grid, &bounded_evaluate_kernel, kThreads, 0, range.count);
    bounded_evaluate_kernel<<<blocks, kThreads, 0, grid.stream>>>(work, FryShack::make_word_rules(work.rules.environment),
                                                                  {work.policy}, range, counts);
    FRYER_CUDA_CHECK_LAUNCH("bounded_evaluate_kernel");
  } else {
    launch_evaluate_of(grid, work, work.policy, range, counts);
  }
}

void check_kernels_run_here() {
  cudaFuncAttributes attributes;
  FRYER_CUDA_CHECK(cudaFuncGetAttributes(&attributes, &bounded_evaluate_kernel));
}

}  // namespace fryer
