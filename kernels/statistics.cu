// SPDX-License-Identifier: Apache-2.0
// Statistics over replicas that are still in device memory: the templates of engine/statistics.h on Thrust's CUDA backend, and the
// curve's quantiles by histograms.
#include <thrust/copy.h>
#include <thrust/device_ptr.h>
#include <thrust/system/cuda/execution_policy.h>
#include <thrust/system_error.h>

#include <new>

#include "fryer/engine/statistics.h"
#include "kernels/cuda_warp.cuh"
#include "kernels/device_buffer.cuh"
#include "kernels/launches.cuh"

namespace fryer {
namespace {

inline constexpr int kThreads = 128;
inline constexpr std::uint64_t kHistogramBytes = std::uint64_t{64} << 20;

__global__ void __launch_bounds__(kThreads)
    curve_quantiles_kernel(const __grid_constant__ ReplicaWork work, const __grid_constant__ RowMemory rows,
                           const __grid_constant__ CurveQuantiles task) {
  curve_quantiles_body(CudaWarp{}, warp_place(), work, rows, task);
}

// Warps that the histograms have room for, whole blocks.
std::uint64_t histogram_warps(const ReplicaWork& work) {
  constexpr std::uint64_t per_block = kThreads / kWarpLanes;
  const std::uint64_t fit = kHistogramBytes / (sizeof(std::uint32_t) * (std::uint64_t{work.batch} + 1));
  const std::uint64_t warps = std::min<std::uint64_t>(fit, work.updates);
  return std::max<std::uint64_t>(warps / per_block, 1) * per_block;
}

template <class Value, class Predicate>
Summary summarise_where(cudaStream_t stream, DeviceBuffer<Value>& kept, const Value* values, const RowMemory& rows,
                        std::uint64_t replicas, Predicate predicate) {
  const auto policy = thrust::cuda::par.on(stream);
  const auto first = thrust::device_pointer_cast(values);
  const auto status = thrust::device_pointer_cast(static_cast<const std::uint8_t*>(rows.status));
  const auto out = thrust::device_pointer_cast(kept.data());
  const auto end = thrust::copy_if(policy, first, first + static_cast<std::ptrdiff_t>(replicas), status, out, predicate);
  return summarise_sorting(policy, out, static_cast<std::uint64_t>(end - out));
}

}  // namespace

PopulationSummaries summarise_rows(const Grid& grid, const RowMemory& rows, std::uint64_t replicas) {
  try {
    PopulationSummaries s;
    {
      DeviceBuffer<float> kept(replicas);
      s.weight = summarise_where<float>(grid.stream, kept, rows.weight, rows, replicas, DidNotFail{});
      s.bias = summarise_where<float>(grid.stream, kept, rows.bias, rows, replicas, DidNotFail{});
    }
    DeviceBuffer<std::uint32_t> kept(replicas);
    s.solved_updates = summarise_where<std::uint32_t>(grid.stream, kept, rows.updates, rows, replicas, Solved{});
    return s;
  } catch (const thrust::system_error& error) {
    throw DeviceError(std::string("CUDA: statistics over replicas: ") + error.what());
  } catch (const std::bad_alloc& error) {  // Thrust's, for its scratch memory
    throw DeviceError(std::string("CUDA: out of memory: statistics over replicas: ") + error.what());
  }
}

std::vector<std::uint32_t> curve_quantiles(const Grid& grid, const ReplicaWork& work, const RowMemory& rows,
                                           std::uint64_t replicas, const std::vector<std::uint64_t>& made) {
  constexpr std::uint64_t count = kQuantiles.size();
  const std::uint64_t updates = work.updates;
  std::vector<std::uint64_t> positions(updates * count);
  for (std::uint64_t u = 0; u < updates; ++u) {
    if (made[u] == 0) continue;
    for (std::uint64_t i = 0; i < count; ++i) positions[u * count + i] = quantile_position(kQuantiles[i], made[u]);
  }
  const std::uint64_t warps = histogram_warps(work);
  DeviceBuffer<std::uint64_t> device_made(updates), device_positions(updates * count);
  DeviceBuffer<std::uint32_t> histograms(warps * (std::uint64_t{work.batch} + 1)), quantiles(updates * count);
  FRYER_CUDA_CHECK(
      cudaMemcpyAsync(device_made.data(), made.data(), made.size() * sizeof made[0], cudaMemcpyHostToDevice, grid.stream));
  FRYER_CUDA_CHECK(cudaMemcpyAsync(device_positions.data(), positions.data(), positions.size() * sizeof positions[0],
                                   cudaMemcpyHostToDevice, grid.stream));
  const CurveQuantiles task = {replicas,           static_cast<std::uint32_t>(count), histograms.data(),
                               device_made.data(), device_positions.data(),           quantiles.data()};
  curve_quantiles_kernel<<<static_cast<unsigned>(warps * kWarpLanes / kThreads), kThreads, 0, grid.stream>>>(work, rows, task);
  FRYER_CUDA_CHECK_LAUNCH("curve_quantiles_kernel");
  std::vector<std::uint32_t> result(updates * count);
  FRYER_CUDA_CHECK(
      cudaMemcpyAsync(result.data(), quantiles.data(), result.size() * sizeof result[0], cudaMemcpyDeviceToHost, grid.stream));
  FRYER_CUDA_CHECK(cudaStreamSynchronize(grid.stream));
  return result;
}

// A copy of a column, as much again and a little for the sort, and the histograms.
std::uint64_t statistics_bytes(const ReplicaWork& work, std::uint64_t replicas, bool quantiles) {
  const std::uint64_t summaries = 12 * replicas + (std::uint64_t{16} << 20);
  if (!quantiles) return summaries;
  const std::uint64_t histograms = sizeof(std::uint32_t) * histogram_warps(work) * (std::uint64_t{work.batch} + 1);
  return std::max(summaries, histograms + std::uint64_t{work.updates} * (8 + kQuantiles.size() * 12));
}

}  // namespace fryer
