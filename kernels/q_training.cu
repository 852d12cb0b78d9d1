// SPDX-License-Identifier: Apache-2.0
// Kernels of value learners: with a replay ring a block trains a replica, online a warp does; a block plays a network's episodes. Their
// bodies are in q_training_bodies.h and q_evaluate_bodies.h. How the memory of a team is divided follows from what the device has.
#include "kernels/cuda_team.cuh"
#include "kernels/launches.cuh"
#include "kernels/q_plan.h"

namespace fryer {
namespace {

// Four warps: a network of 64-64 units and 64 samples have 128 tiles. Two blocks a multiprocessor fill its shared memory then (97 KB
// each), and leave a thread the registers that a tile takes; chunks of 128 samples would leave room for one.
inline constexpr int kBlockThreads = 128, kBlocks = kWantedTeams;
// A warp is a block of its own, so that shared memory goes out in small pieces: 18 KB for 32-32 units, 12 warps on sm_90.
inline constexpr int kOnlineThreads = static_cast<int>(kWarpLanes), kOnlineBlocks = 10;

template <bool kFast>
__global__ void __launch_bounds__(kBlockThreads, kBlocks) dqn_train_kernel(const __grid_constant__ QLaunch launch) {
  extern __shared__ Four memory[];
  q_train_body<BlockLearner<kFast>>(CudaBlock<kBlockThreads>{}, blockIdx.x, launch, memory->v);
}

template <bool kFast>
__global__ void __launch_bounds__(kOnlineThreads, kOnlineBlocks) online_q_train_kernel(const __grid_constant__ QLaunch launch) {
  extern __shared__ Four memory[];
  q_train_body<OnlineLearner<kFast>>(CudaWarpTeam{}, blockIdx.x, launch, memory->v);
}

template <bool kFast>
__global__ void __launch_bounds__(kBlockThreads, kBlocks) q_evaluate_kernel(const __grid_constant__ QEvaluateLaunch launch) {
  extern __shared__ Four memory[];
  q_evaluate_body<kFast>(CudaBlock<kBlockThreads>{}, launch, memory->v);
}

// Calls body(kernel, threads) for the kernel of a kind, with its parameters in shared memory or not.
template <class Body>
void with_kernel(QKind kind, bool fast, const Body& body) {
  switch (kind) {
    case QKind::with_replay:
      return fast ? body(&dqn_train_kernel<true>, kBlockThreads) : body(&dqn_train_kernel<false>, kBlockThreads);
    case QKind::online:
      return fast ? body(&online_q_train_kernel<true>, kOnlineThreads) : body(&online_q_train_kernel<false>, kOnlineThreads);
    case QKind::evaluation:
      return fast ? body(&q_evaluate_kernel<true>, kBlockThreads) : body(&q_evaluate_kernel<false>, kBlockThreads);
  }
}

// Teams that run at once on a multiprocessor; 0 if the memory of one does not fit. The kernel may take all there is from here on,
// whatever the plan: other plans are tried after the one that is launched, and by other backends of this process meanwhile.
int resident_teams(QKind kind, const QTeamShape& shape, const QPlan& plan) {
  const std::size_t bytes = q_shared_bytes(kind, shape, plan);
  int device = 0, most = 0, resident = 0;
  FRYER_CUDA_CHECK(cudaGetDevice(&device));
  FRYER_CUDA_CHECK(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  with_kernel(kind, plan.weights, [&](auto* kernel, int threads) {
    cudaFuncAttributes attributes;
    FRYER_CUDA_CHECK(cudaFuncGetAttributes(&attributes, kernel));
    if (bytes + attributes.sharedSizeBytes > static_cast<std::size_t>(most)) return;
    FRYER_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                          most - static_cast<int>(attributes.sharedSizeBytes)));
    if (plan.weights)  // else the first-level cache, which is the same memory, is worth more
      FRYER_CUDA_CHECK(
          cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxShared));
    FRYER_CUDA_CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, threads, bytes));
  });
  return resident;
}

template <class Launch>
void launch_teams(const Grid& grid, QKind kind, const Launch& launch, const QTeams& teams, const char* name) {
  const std::size_t bytes = q_shared_bytes(kind, launch.shape, launch.plan);
  with_kernel(kind, launch.plan.weights, [&](auto* kernel, int threads) {
    if constexpr (std::is_invocable_v<decltype(kernel), Launch>)
      kernel<<<static_cast<unsigned>(teams.teams), static_cast<unsigned>(threads), bytes, grid.stream>>>(launch);
  });
  check_cuda(cudaGetLastError(), name);
}

}  // namespace

QTeams q_teams(const Grid& grid, QKind kind, const QNetworkShape& network, std::uint32_t batch) {
  const QTeamShape shape(network);
  const auto [plan, resident] =
      choose_q_plan(kind, batch, [&](const QPlan& tried) { return resident_teams(kind, shape, tried); });
  if (resident == 0) throw DeviceError("CUDA: this device has too little shared memory for a Q network");
  std::uint64_t teams = static_cast<std::uint64_t>(resident) * static_cast<std::uint64_t>(grid.multiprocessors);
  if (grid.most_blocks != 0) teams = std::min<std::uint64_t>(teams, grid.most_blocks);
  return {teams, plan};
}

void launch_q_train(const Grid& grid, const QLaunch& launch, QKind kind, const QTeams& teams) {
  launch_teams(grid, kind, launch, teams,
               kind == QKind::online ? "launch of online_q_train_kernel" : "launch of dqn_train_kernel");
}
void launch_q_evaluate(const Grid& grid, const QEvaluateLaunch& launch, const QTeams& teams) {
  launch_teams(grid, QKind::evaluation, launch, teams, "launch of q_evaluate_kernel");
}

}  // namespace fryer
