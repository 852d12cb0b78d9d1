// SPDX-License-Identifier: Apache-2.0
// Kernels that train whole replicas, a lane each: in step, where all make every update, and until a threshold, where lanes take the
// next replica as theirs end. The bodies are in warp_bodies.h.
#include "kernels/cuda_warp.cuh"
#include "kernels/launches.cuh"

namespace fryer {
namespace {

// As for episodes: 20 warps a multiprocessor. All of a replica stays in registers.
inline constexpr int kThreads = block_threads(128), kBlocks = blocks_of(kThreads, 128, 5);
inline constexpr int kWarpsPerBlock = kThreads / static_cast<int>(kWarpLanes);

// Curves of a launch in shared memory, one a warp: up to what a block has without asking for more.
inline constexpr std::size_t kMostCurveBytes = 48 * 1024;

template <OptimizerSettings::Kind kOptimizer, bool kLearnWeight, bool kSingle>
__global__ void __launch_bounds__(kThreads, kBlocks)
    train_in_step_kernel(const __grid_constant__ ReplicaWork work, const __grid_constant__ StepLaunch launch) {
  train_in_step_body<kOptimizer, kLearnWeight, kSingle>(CudaWarp{}, warp_place(), work, launch);
}

template <OptimizerSettings::Kind kOptimizer, bool kLearnWeight, bool kSingle>
__global__ void __launch_bounds__(kThreads, kBlocks)
    train_until_kernel(const __grid_constant__ ReplicaWork work, const __grid_constant__ UntilLaunch launch,
                       const bool local_curve) {
  extern __shared__ std::uint32_t curves[];
  std::uint32_t* const curve = curves + threadIdx.x / kWarpLanes * local_curve_words(work.updates, kSingle);
  train_until_body<kOptimizer, kLearnWeight, kSingle>(CudaWarp{}, warp_place(), work, launch, local_curve ? curve : nullptr);
}

// Calls body.operator()<optimizer, learn weight, batch of one>() for the work's kind.
template <class Body>
void with_kind(const ReplicaWork& work, const Body& body) {
  using Kind = OptimizerSettings::Kind;
  const bool single = work.batch == 1;
  if (work.optimizer_kind == Kind::adam) {
    if (work.learn_weight) {
      single ? body.template operator()<Kind::adam, true, true>() : body.template operator()<Kind::adam, true, false>();
    } else {
      single ? body.template operator()<Kind::adam, false, true>() : body.template operator()<Kind::adam, false, false>();
    }
  } else {
    if (work.learn_weight) {
      single ? body.template operator()<Kind::sgd, true, true>() : body.template operator()<Kind::sgd, true, false>();
    } else {
      single ? body.template operator()<Kind::sgd, false, true>() : body.template operator()<Kind::sgd, false, false>();
    }
  }
}

}  // namespace

std::uint64_t step_lanes(const Grid& grid, const ReplicaWork& work) {
  unsigned blocks = 0;
  with_kind(work, [&]<OptimizerSettings::Kind kOptimizer, bool kLearnWeight, bool kSingle>() {
    blocks = grid_blocks(grid, &train_in_step_kernel<kOptimizer, kLearnWeight, kSingle>, kThreads, 0, std::uint64_t{1} << 31);
  });
  return std::uint64_t{blocks} * kThreads;
}

void launch_step(const Grid& grid, const ReplicaWork& work, const StepLaunch& launch) {
  with_kind(work, [&]<OptimizerSettings::Kind kOptimizer, bool kLearnWeight, bool kSingle>() {
    auto* const kernel = &train_in_step_kernel<kOptimizer, kLearnWeight, kSingle>;
    const unsigned blocks = grid_blocks(grid, kernel, kThreads, 0, launch.replicas);
    kernel<<<blocks, kThreads, 0, grid.stream>>>(work, launch);
    FRYER_CUDA_CHECK_LAUNCH("train_in_step_kernel");
  });
}

UntilShape until_shape(const Grid& grid, const ReplicaWork& work, std::uint64_t replicas) {
  UntilShape shape{};
  const std::uint64_t bytes = sizeof(std::uint32_t) * kWarpsPerBlock * local_curve_words(work.updates, work.batch == 1);
  // A warp adds at most 32 * steps * batch^2 to one of its 32-bit sums.
  const std::uint64_t square = std::uint64_t{work.batch} * work.batch;
  const std::uint64_t steps = 0xffffffffu / (kWarpLanes * square);
  shape.curve_bytes = bytes <= kMostCurveBytes && steps != 0 ? bytes : 0;
  shape.most_steps = shape.curve_bytes != 0 ? static_cast<std::uint32_t>(steps) : 0xffffffffu;
  with_kind(work, [&]<OptimizerSettings::Kind kOptimizer, bool kLearnWeight, bool kSingle>() {
    auto* const kernel = &train_until_kernel<kOptimizer, kLearnWeight, kSingle>;
    shape.lanes = std::uint64_t{grid_blocks(grid, kernel, kThreads, shape.curve_bytes, replicas)} * kThreads;
  });
  return shape;
}

void launch_until(const Grid& grid, const ReplicaWork& work, const UntilLaunch& launch, const UntilShape& shape) {
  with_kind(work, [&]<OptimizerSettings::Kind kOptimizer, bool kLearnWeight, bool kSingle>() {
    auto* const kernel = &train_until_kernel<kOptimizer, kLearnWeight, kSingle>;
    const auto blocks = static_cast<unsigned>(shape.lanes / kThreads);
    kernel<<<blocks, kThreads, shape.curve_bytes, grid.stream>>>(work, launch, shape.curve_bytes != 0);
    FRYER_CUDA_CHECK_LAUNCH("train_until_kernel");
  });
}

}  // namespace fryer
