// SPDX-License-Identifier: Apache-2.0
// What the parts of the CUDA backend share (device_backend.h, cart_pole_device.h): one device, launches that are short enough for
// progress and Ctrl-C, and a refusal of what does not fit in its memory. A template over the Device, like them.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>

#include "fryer/core/error.h"
#include "fryer/engine/backend.h"
#include "kernels/cuda_backend.h"
#include "kernels/pacer.h"
#include "kernels/warp_bodies.h"

namespace fryer {

// Bytes as people read them.
inline std::string gibibytes(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GiB", static_cast<double>(bytes) * 0x1p-30);
  return text;
}

// Over replicas that did not fail; solved_*: over solved ones, steps and episodes where rows have them.
struct PopulationSummaries {
  std::vector<Summary> parameters;
  Summary solved_updates, solved_steps, solved_episodes;
};

// Replicas with seeds from first_seed on, of one high word; they are rows first_row on of `all`.
struct Piece {
  std::uint64_t first_seed, first_row, replicas, all;
};

template <class Device>
class DeviceRuns {
 public:
  template <class T>
  using Buffer = typename Device::template Buffer<T>;

  DeviceRuns(Device device_used, BackendInfo backend_info, const CudaOptions& backend_options)
      : device(std::move(device_used)), info(std::move(backend_info)), options(backend_options) {}
  ~DeviceRuns() { device.use_if_possible(); }  // for the members that free memory of it
  DeviceRuns(const DeviceRuns&) = delete;
  DeviceRuns& operator=(const DeviceRuns&) = delete;

  using Clock = std::chrono::steady_clock;
  static double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

  static void check_stop(const RunControl& control) {
    if (is_set(control.stop)) throw Stopped();
  }
  static void report(const RunControl& control, std::uint64_t finished, std::uint64_t planned) {
    if (control.progress) control.progress(finished, planned);
  }

  // Calls launch(range) over episodes first .. first + count - 1, in ranges of at most `most` that no multiple of 2^32 lies within. It
  // returns when the range is done. in_first_launch: episodes that take little time on any GPU.
  template <class Launch>
  void run_episodes(std::uint64_t first, std::uint64_t count, std::uint64_t in_first_launch, std::uint64_t most,
                    const RunControl& control, const Launch& launch) {
    device.use();
    Pacer pacer(in_first_launch, options.chunk, options.seconds_per_launch);
    for (std::uint64_t finished = 0; finished < count;) {
      check_stop(control);
      const std::uint64_t number = first + finished;
      const std::uint64_t episodes = std::min({count - finished, kSpan - (number & (kSpan - 1)), pacer.size(), most});
      const auto start = Clock::now();
      launch({static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(number >> 32), episodes});
      pacer.took(episodes, seconds_since(start));
      finished += episodes;
      report(control, finished, count);
    }
  }

  // Calls train(piece) for replicas with seeds first_seed on, cut where the seed's high word changes and after `most`.
  template <class Train>
  static void for_each_piece(std::uint64_t first_seed, std::uint64_t replicas, std::uint64_t most, const Train& train) {
    for (std::uint64_t finished = 0; finished < replicas;) {
      const std::uint64_t first = first_seed + finished;
      const Piece piece = {first, finished, std::min({replicas - finished, kSpan - (first & (kSpan - 1)), most}), replicas};
      train(piece);
      finished += piece.replicas;
    }
  }

  // Throws DeviceError if a training of so many replicas needs more bytes than are free.
  void check_memory(std::uint64_t replicas, double needed) {
    const std::uint64_t free = device.free_bytes();
    if (needed <= static_cast<double>(free)) return;
    const std::uint64_t bytes = needed < 0x1p63 ? static_cast<std::uint64_t>(needed) : std::numeric_limits<std::int64_t>::max();
    throw DeviceError("out of memory on " + info.device + ": " + std::to_string(replicas) + " replicas need " +
                      std::to_string(bytes) + " bytes (" + gibibytes(bytes) + "), and " + gibibytes(free) +
                      " are free; run fewer replicas at once, or on the CPU");
  }

  template <class T>
  void copy_column(std::vector<T>& host, const Buffer<T>& column) {
    host.resize(column.size());
    device.copy_to_host(host.data(), column.data(), column.size());
  }

  // An optimiser's table on the device.
  struct TableMemory {
    Buffer<float> step{0}, root_scale{0};
  };
  TableMemory copy_table(const float* step, const float* root_scale, std::size_t entries) {
    TableMemory memory = {Buffer<float>(entries), Buffer<float>(entries)};
    device.copy_to_device(memory.step, step);
    device.copy_to_device(memory.root_scale, root_scale);
    return memory;
  }

  static void copy_key(std::uint32_t (&high)[kPhiloxRounds], std::uint64_t seed) {
    const UniformKey key = make_uniform_key(seed);
    std::copy(key.high, key.high + kPhiloxRounds, high);
  }

  static constexpr std::uint64_t kSpan = std::uint64_t{1} << 32;

  Device device;
  const BackendInfo info;
  const CudaOptions options;
};

}  // namespace fryer
