// SPDX-License-Identifier: Apache-2.0
// Statistics over replicas that are still in device memory: the templates of engine/statistics.h on Thrust's CUDA backend, and the
// curve's quantiles by histograms where outcomes are small numbers, by sorting where they are not.
#include <thrust/copy.h>
#include <thrust/device_ptr.h>
#include <thrust/execution_policy.h>
#include <thrust/gather.h>
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

// Copies the values whose stencil fulfils the predicate to `kept`; returns their end.
template <class Value, class Stencil, class Predicate>
auto keep_where(cudaStream_t stream, DeviceBuffer<Value>& kept, const Value* values, const Stencil* stencil,
                std::uint64_t replicas, Predicate predicate) {
  const auto first = thrust::device_pointer_cast(values);
  return thrust::copy_if(thrust::cuda::par.on(stream), first, first + static_cast<std::ptrdiff_t>(replicas),
                         thrust::device_pointer_cast(stencil), thrust::device_pointer_cast(kept.data()), predicate);
}

template <class Value, class Rows, class Predicate>
Summary summarise_where(cudaStream_t stream, DeviceBuffer<Value>& kept, const Value* values, const Rows& rows,
                        std::uint64_t replicas, Predicate predicate) {
  const std::uint8_t* const status = rows.status;
  const auto end = keep_where(stream, kept, values, status, replicas, predicate);
  const auto out = thrust::device_pointer_cast(kept.data());
  return summarise_sorting(thrust::cuda::par.on(stream), out, static_cast<std::uint64_t>(end - out));
}

// Calls body() with Thrust's errors as this program's.
template <class Body>
auto with_thrust_errors(const Body& body) {
  try {
    return body();
  } catch (const thrust::system_error& error) {
    throw DeviceError(std::string("CUDA: statistics over replicas: ") + error.what());
  } catch (const std::bad_alloc& error) {  // Thrust's, for its scratch memory
    throw DeviceError(std::string("CUDA: out of memory: statistics over replicas: ") + error.what());
  }
}

template <class Rows>
PopulationSummaries summarise(cudaStream_t stream, const Rows& rows, std::uint64_t replicas,
                              const std::vector<const float*>& parameters) {
  PopulationSummaries s;
  {
    DeviceBuffer<float> kept(replicas);
    for (const float* parameter : parameters) {
      s.parameters.push_back(summarise_where<float>(stream, kept, parameter, rows, replicas, DidNotFail{}));
    }
  }
  DeviceBuffer<std::uint32_t> kept(replicas);
  s.solved_updates = summarise_where<std::uint32_t>(stream, kept, rows.updates, rows, replicas, Solved{});
  return s;
}

// Thousands of short columns: sorting one on the device takes several launches and a copy for each number of a summary.
inline constexpr std::uint64_t kShortColumn = 4096;
inline constexpr std::size_t kManyColumns = 256;

std::vector<Summary> summarise_on_the_host(cudaStream_t stream, const CartPoleColumns& rows, std::uint64_t replicas) {
  std::vector<std::uint8_t> status(replicas);
  std::vector<float> column(replicas), kept(replicas);
  const auto copy = [&](auto& to, const auto* from) {
    FRYER_CUDA_CHECK(cudaMemcpyAsync(to.data(), from, replicas * sizeof to[0], cudaMemcpyDeviceToHost, stream));
    FRYER_CUDA_CHECK(cudaStreamSynchronize(stream));
  };
  copy(status, rows.status);
  std::vector<Summary> summaries;
  for (const float* parameter : rows.parameters) {
    copy(column, parameter);
    const auto end = thrust::copy_if(thrust::seq, column.begin(), column.end(), status.begin(), kept.begin(), DidNotFail{});
    summaries.push_back(summarise_sorting(thrust::seq, kept.data(), static_cast<std::uint64_t>(end - kept.begin())));
  }
  return summaries;
}

struct MadeMoreThan {
  std::uint32_t update;
  __host__ __device__ bool operator()(std::uint32_t made) const { return made > update; }
};

// Positions of the quantiles among the replicas that made each update, (updates, kQuantiles.size()).
std::vector<std::uint64_t> quantile_positions(const std::vector<std::uint64_t>& made) {
  constexpr std::uint64_t count = kQuantiles.size();
  std::vector<std::uint64_t> positions(made.size() * count);
  for (std::uint64_t u = 0; u < made.size(); ++u) {
    if (made[u] == 0) continue;
    for (std::uint64_t i = 0; i < count; ++i) positions[u * count + i] = quantile_position(kQuantiles[i], made[u]);
  }
  return positions;
}

}  // namespace

PopulationSummaries summarise_rows(const Grid& grid, const RowMemory& rows, std::uint64_t replicas) {
  return with_thrust_errors([&] { return summarise(grid.stream, rows, replicas, {rows.weight, rows.bias}); });
}

PopulationSummaries summarise_rows(const Grid& grid, const CartPoleColumns& rows, std::uint64_t replicas) {
  return with_thrust_errors([&] {
    const bool on_the_host = replicas <= kShortColumn && rows.parameters.size() >= kManyColumns;
    PopulationSummaries s = summarise(grid.stream, rows, replicas, on_the_host ? std::vector<const float*>{} : rows.parameters);
    if (on_the_host) s.parameters = summarise_on_the_host(grid.stream, rows, replicas);
    DeviceBuffer<std::uint64_t> kept(replicas);
    s.solved_steps = summarise_where<std::uint64_t>(grid.stream, kept, rows.steps, rows, replicas, Solved{});
    if (rows.episodes != nullptr)
      s.solved_episodes = summarise_where<std::uint64_t>(grid.stream, kept, rows.episodes, rows, replicas, Solved{});
    return s;
  });
}

std::vector<std::uint32_t> curve_quantiles(const Grid& grid, const ReplicaWork& work, const RowMemory& rows,
                                           std::uint64_t replicas, const std::vector<std::uint64_t>& made) {
  constexpr std::uint64_t count = kQuantiles.size();
  const std::uint64_t updates = work.updates;
  const std::vector<std::uint64_t> positions = quantile_positions(made);
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

std::vector<std::uint32_t> curve_quantiles(const Grid& grid, const CartPoleColumns& rows, std::uint64_t replicas,
                                           const std::vector<std::uint64_t>& made) {
  constexpr std::uint64_t count = kQuantiles.size();
  const std::vector<std::uint64_t> positions = quantile_positions(made);
  std::vector<std::uint32_t> result(positions.size());
  with_thrust_errors([&] {
    DeviceBuffer<std::uint64_t> device_positions(positions.size());
    DeviceBuffer<std::uint32_t> kept(replicas), quantiles(positions.size());
    FRYER_CUDA_CHECK(cudaMemcpyAsync(device_positions.data(), positions.data(), positions.size() * sizeof positions[0],
                                     cudaMemcpyHostToDevice, grid.stream));
    FRYER_CUDA_CHECK(cudaMemsetAsync(quantiles.data(), 0, result.size() * sizeof result[0], grid.stream));
    const auto policy = thrust::cuda::par.on(grid.stream);
    const auto out = thrust::device_pointer_cast(kept.data());
    for (std::uint64_t u = 0; u < made.size() && made[u] != 0; ++u) {  // no replica makes an update that none made before it
      const std::uint32_t *outcomes = rows.outcome + u * rows.stride, *const updates = rows.updates;
      const auto end = keep_where(grid.stream, kept, outcomes, updates, replicas, MadeMoreThan{static_cast<std::uint32_t>(u)});
      thrust::sort(policy, out, end);
      const auto first = thrust::device_pointer_cast(device_positions.data()) + static_cast<std::ptrdiff_t>(u * count);
      thrust::gather(policy, first, first + static_cast<std::ptrdiff_t>(count), out,
                     thrust::device_pointer_cast(quantiles.data()) + static_cast<std::ptrdiff_t>(u * count));
    }
    FRYER_CUDA_CHECK(
        cudaMemcpyAsync(result.data(), quantiles.data(), result.size() * sizeof result[0], cudaMemcpyDeviceToHost, grid.stream));
    FRYER_CUDA_CHECK(cudaStreamSynchronize(grid.stream));
  });
  return result;
}

// A copy of a column, as much again and a little for the sort, and the histograms.
std::uint64_t statistics_bytes(const ReplicaWork& work, std::uint64_t replicas, bool quantiles) {
  const std::uint64_t summaries = 12 * replicas + (std::uint64_t{16} << 20);
  if (!quantiles) return summaries;
  const std::uint64_t histograms = sizeof(std::uint32_t) * histogram_warps(work) * (std::uint64_t{work.batch} + 1);
  return std::max(summaries, histograms + std::uint64_t{work.updates} * (8 + kQuantiles.size() * 12));
}

// The column of steps has 8 bytes a replica.
std::uint64_t cart_pole_statistics_bytes(std::uint64_t updates, std::uint64_t replicas, bool quantiles) {
  return 16 * replicas + (std::uint64_t{16} << 20) + (quantiles ? updates * kQuantiles.size() * 12 : 0);
}

}  // namespace fryer
