// SPDX-License-Identifier: Apache-2.0
// Teams of CUDA threads as the bodies of value learners see them (q_team.h): a block of kThreads, or a warp. Blocks are one-dimensional.
#pragma once

#include "kernels/cuda_warp.cuh"
#include "kernels/q_team.h"

namespace fryer {

// What either team does with memory that others share.
struct CudaAtomics {
  __device__ __forceinline__ void add(std::uint64_t* to, std::uint64_t x) const { CudaWarp{}.add(to, x); }
  __device__ __forceinline__ std::uint64_t take(std::uint64_t* counter) const { return CudaWarp{}.take(counter); }
};

__device__ __forceinline__ double sum_over_warp(double x) {
  FRYER_UNROLL for (int distance = kWarpLanes / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(CudaWarp::kAll, x, distance);
  return x;
}

template <int kThreads>
struct CudaBlock : CudaAtomics {
  static_assert(kThreads % kWarpLanes == 0);
  static constexpr int kWarps = kThreads / static_cast<int>(kWarpLanes);

  __device__ __forceinline__ std::uint32_t thread() const { return threadIdx.x; }
  __device__ __forceinline__ std::uint32_t threads() const { return kThreads; }
  __device__ __forceinline__ void sync() const { __syncthreads(); }
  __device__ __forceinline__ bool any(bool vote) const { return __syncthreads_or(vote) != 0; }
  __device__ __forceinline__ TeamVotes count(bool vote) const {
    __shared__ std::uint32_t counts[kWarps];
    const std::uint32_t ballot = __ballot_sync(CudaWarp::kAll, vote), lane = threadIdx.x % kWarpLanes;
    if (lane == 0) counts[threadIdx.x / kWarpLanes] = count_votes(ballot);
    __syncthreads();
    TeamVotes votes = {count_votes(ballot & ((1u << lane) - 1)), 0};
    FRYER_UNROLL for (int warp = 0; warp < kWarps; ++warp) {
      votes.all += counts[warp];
      if (warp < static_cast<int>(threadIdx.x / kWarpLanes)) votes.before += counts[warp];
    }
    __syncthreads();  // before the next call writes
    return votes;
  }
  __device__ __forceinline__ double sum(double x) const {
    __shared__ double sums[kWarps];
    x = sum_over_warp(x);
    if (threadIdx.x % kWarpLanes == 0) sums[threadIdx.x / kWarpLanes] = x;
    __syncthreads();
    double total = 0;
    FRYER_UNROLL for (int warp = 0; warp < kWarps; ++warp) total += sums[warp];
    __syncthreads();
    return total;
  }
};

struct CudaWarpTeam : CudaAtomics {
  __device__ __forceinline__ std::uint32_t thread() const { return threadIdx.x % kWarpLanes; }
  __device__ __forceinline__ std::uint32_t threads() const { return kWarpLanes; }
  __device__ __forceinline__ void sync() const { __syncwarp(); }
  __device__ __forceinline__ bool any(bool vote) const {
    __syncwarp();
    return __any_sync(CudaWarp::kAll, vote) != 0;
  }
  __device__ __forceinline__ TeamVotes count(bool vote) const {
    __syncwarp();
    const std::uint32_t ballot = __ballot_sync(CudaWarp::kAll, vote);
    return {count_votes(ballot & ((1u << thread()) - 1)), count_votes(ballot)};
  }
  __device__ __forceinline__ double sum(double x) const {
    __syncwarp();
    return sum_over_warp(x);
  }
};
static_assert(TeamLike<CudaBlock<128>> && TeamLike<CudaWarpTeam>);

}  // namespace fryer
