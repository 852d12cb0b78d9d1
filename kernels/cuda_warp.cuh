// SPDX-License-Identifier: Apache-2.0
// A CUDA warp as the kernel bodies see it (warp_bodies.h). Blocks are one-dimensional and a multiple of 32 threads; all lanes of a
// warp call every member but `add` and `take`.
#pragma once

#include "kernels/warp_bodies.h"

namespace fryer {

struct CudaWarp {
  static constexpr unsigned kAll = 0xffffffffu;

  __device__ __forceinline__ std::uint32_t lane() const { return threadIdx.x % kWarpLanes; }
  __device__ __forceinline__ std::uint32_t ballot(bool vote) const { return __ballot_sync(kAll, vote); }
  __device__ __forceinline__ bool any(bool vote) const { return __any_sync(kAll, vote) != 0; }
  __device__ __forceinline__ void sync() const { __syncwarp(); }

  __device__ __forceinline__ std::uint32_t sum(std::uint32_t x) const {
#if __CUDA_ARCH__ >= 800
    return __reduce_add_sync(kAll, x);
#else
    FRYER_UNROLL for (int distance = kWarpLanes / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(kAll, x, distance);
    return x;
#endif
  }
  __device__ __forceinline__ std::uint64_t sum(std::uint64_t x) const {
    FRYER_UNROLL for (int distance = kWarpLanes / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(kAll, x, distance);
    return x;
  }

  __device__ __forceinline__ void add(std::uint32_t* to, std::uint32_t x) const { atomicAdd(to, x); }
  __device__ __forceinline__ void add(std::uint64_t* to, std::uint64_t x) const {
    atomicAdd(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(x));
  }
  __device__ __forceinline__ std::uint64_t take(std::uint64_t* counter) const {
    return atomicAdd(reinterpret_cast<unsigned long long*>(counter), 1ull);
  }
};
static_assert(WarpLike<CudaWarp>);

__device__ __forceinline__ WarpPlace warp_place() {
  const std::uint32_t warps_per_block = blockDim.x / kWarpLanes;
  return {blockIdx.x * warps_per_block + threadIdx.x / kWarpLanes, gridDim.x * warps_per_block};
}

}  // namespace fryer
