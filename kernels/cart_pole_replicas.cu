// SPDX-License-Identifier: Apache-2.0
// Kernels that train whole CartPole replicas, a lane each, and give lanes the next replica as theirs end. The body is in
// cart_pole_bodies.h.
#include "kernels/cuda_warp.cuh"
#include "kernels/launches.cuh"

namespace fryer {
namespace {

// As for episodes: 96 registers at most, so that five blocks fit, but for the general program.
inline constexpr int kThreads = block_threads(128), kBlocks = blocks_of(kThreads, 128, 4);

// With fewer replicas a lane than this the last ones to end decide, and a lane alone runs 1.7 times as fast among 12 warps a
// multiprocessor as among 20, at the same throughput (stall counts, sm_90).
inline constexpr std::uint64_t kReplicasForFullGrid = 10;
inline constexpr unsigned kBlocksForTheTail = 3;

template <bool kGeneral, Track kTrack>
__global__ void __launch_bounds__(kThreads, kBlocks)
    cart_pole_train_kernel(const __grid_constant__ CartPoleReplicaWork work, const __grid_constant__ CartPoleLaunch launch) {
  cart_pole_train_body<kGeneral, kTrack>(CudaWarp{}, warp_place(), work, launch);
}

// Calls body.operator()<general program, what lanes keep>() for the work's kind.
template <class Body>
void with_kind(const CartPoleReplicaWork& work, const Body& body) {
  const bool general = work.game.general;
  if (work.track == Track::gradient) {
    general ? body.template operator()<true, Track::gradient>() : body.template operator()<false, Track::gradient>();
  } else {
    general ? body.template operator()<true, Track::gradient_and_scores>()
            : body.template operator()<false, Track::gradient_and_scores>();
  }
}

}  // namespace

std::uint64_t cart_pole_lanes(const Grid& grid, const CartPoleReplicaWork& work, std::uint64_t replicas) {
  unsigned blocks = 0;
  with_kind(work, [&]<bool kGeneral, Track kTrack>() {
    auto* const kernel = &cart_pole_train_kernel<kGeneral, kTrack>;
    blocks = grid_blocks(grid, kernel, kThreads, 0, replicas);
    const unsigned most = kBlocksForTheTail * static_cast<unsigned>(grid.multiprocessors);
    if (replicas < kReplicasForFullGrid * blocks * kThreads) blocks = std::min(blocks, most);
  });
  return std::uint64_t{blocks} * kThreads;
}

void launch_train(const Grid& grid, const CartPoleReplicaWork& work, const CartPoleLaunch& launch, std::uint64_t lanes) {
  with_kind(work, [&]<bool kGeneral, Track kTrack>() {
    cart_pole_train_kernel<kGeneral, kTrack><<<static_cast<unsigned>(lanes / kThreads), kThreads, 0, grid.stream>>>(work, launch);
    FRYER_CUDA_CHECK_LAUNCH("cart_pole_train_kernel");
  });
}

}  // namespace fryer
