// SPDX-License-Identifier: Apache-2.0
// Which backend runs: what was asked for, or an error; for `auto` the GPU if there is one and the work fills it, with the reason in
// one line. Speed alone is at stake, never a bit of the result.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "fryer/core/error.h"
#include "fryer/engine/backend.h"
#include "fryer/engine/failing_call.h"
#include "host/cpu_backend.h"
#include "host/cpu_features.h"
#include "host/group_backend.h"
#include "host/watched_backend.h"

namespace fryer {
namespace {

// Work below this takes about a tenth of a second on one AVX-512 core: judged not worth starting a GPU for, not measured on one.
constexpr double kSmallWork = 5e7;
// Fewer lanes than this leave a large GPU idle: one warp a scheduler (132 SM x 4 x 32 lanes).
constexpr std::uint64_t kGpuLanes = 16896;
// A device's part of a population ends with a few trainings in otherwise idle lanes: parts are so many rounds of lanes long, or more.
constexpr std::uint64_t kRounds = 16;
// Value learners, each a block's or a team's, that a large GPU has at once.
constexpr std::uint64_t kGpuLearners = 132;
// Of a thread: the lanes that it has in flight, about, since fewer are no faster; and of episodes of one step some microseconds, since adding up
// over ranks takes one or two (4,096 of them: 7.7 us alone, 4.9 on two ranks).
constexpr std::uint64_t kThreadsEpisodes = 64, kThreadsOneStepEpisodes = 1024;

// The CPU instruction set that was asked for, or "".
std::string forced_isa(const BackendChoice& choice) {
  const char* forced = std::getenv("FRYER_ISA");
  return !choice.isa.empty() ? choice.isa : forced != nullptr ? forced : "";
}

unsigned threads_of(const BackendChoice& choice) { return choice.threads != 0 ? choice.threads : usable_threads(); }

// A CPU device; for tests FRYER_FAIL_CPU_CALL=K makes the K-th call of all that the process has fail.
std::unique_ptr<Backend> breakable(std::unique_ptr<Backend> device, const std::string& name) {
  static FailingCall failing("FRYER_FAIL_CPU_CALL");
  if (!failing.is_set()) return device;
  return std::make_unique<WatchedBackend>(std::move(device), [name](unsigned) {
    if (failing.fails_now()) throw DeviceError(name + ": made to fail by FRYER_FAIL_CPU_CALL");
  });
}

std::unique_ptr<Backend> cpu(const BackendChoice& choice, const std::string& reason) {
  return breakable(make_cpu_backend(find_cpu_executor(forced_isa(choice)), threads_of(choice), choice.chunk, reason), "cpu");
}

std::vector<int> gpus_of(const BackendChoice& choice) {
  if (!choice.cuda_devices.empty()) return choice.cuda_devices;
  std::vector<int> usable;
  std::string missing = cuda_unavailable_reason();
  if (missing.empty()) {
    const std::vector<DeviceReport> reports = list_cuda_devices();
    for (std::size_t i = 0; i < reports.size(); ++i) {
      if (reports[i].available) usable.push_back(static_cast<int>(i));
      if (missing.empty()) missing = reports[i].detail;
    }
  }
  if (usable.empty()) throw DeviceError(fmt::format("--device cuda:all: {}; auto, cpu and cpu:N need no GPU", missing));
  return usable;
}

// What was asked for by name.
std::unique_ptr<Backend> named(const BackendChoice& choice) {
  std::vector<GroupDevice> devices = make_devices(choice);
  if (devices.size() == 1) return std::move(devices[0].backend);
  const LeastPart least = least_part(devices[0].backend->info());
  if (choice.device == BackendChoice::Device::cpu) {
    return make_group_backend(std::move(devices), fmt::format("cpu:{}", choice.cpu_devices), "several CPU devices were asked for",
                              least);
  }
  std::string name = devices[0].name;
  for (std::size_t i = 1; i < devices.size(); ++i) name += "," + devices[i].name.substr(std::string_view("cuda:").size());
  return make_group_backend(std::move(devices), name, "several GPUs were asked for", least);
}

}  // namespace

std::vector<GroupDevice> make_devices(const BackendChoice& choice) {
  std::vector<GroupDevice> devices;
  if (choice.device == BackendChoice::Device::cuda) {
    for (const int gpu : gpus_of(choice))
      devices.push_back({fmt::format("cuda:{}", gpu), make_cuda_backend(gpu, "the GPU was asked for")});
    return devices;
  }
  const LaneExecutor& executor = find_cpu_executor(forced_isa(choice));
  const unsigned count = std::max(choice.cpu_devices, 1u), threads = std::max(threads_of(choice), count);
  for (unsigned i = 0; i < count; ++i) {
    const std::string name = count == 1 ? "cpu" : fmt::format("device {} of cpu:{}", i, count);
    const unsigned share = threads / count + (i < threads % count ? 1 : 0);
    devices.push_back({name, breakable(make_cpu_backend(executor, share, choice.chunk, "the CPU was asked for", threads), name)});
  }
  return devices;
}

LeastPart least_part(const BackendInfo& device) {
  if (!device.device.starts_with("cpu")) return {kRounds * kGpuLanes, kGpuLanes, kGpuLanes, kGpuLearners};
  const LaneExecutor& executor = find_cpu_executor(device.isa);
  const std::uint64_t threads = device.threads;
  return {kRounds * executor.cart_pole_replica_lanes * threads, kThreadsEpisodes * threads, kThreadsOneStepEpisodes * threads,
          threads};
}

std::unique_ptr<Backend> make_backend(const BackendChoice& choice) {
  if (choice.device != BackendChoice::Device::automatic) return named(choice);
  // The work is weighed first: asking the driver for GPUs takes longer than a small run.
  if (!forced_isa(choice).empty()) return cpu(choice, "FRYER_ISA names a CPU instruction set");
  if (choice.work < kSmallWork) return cpu(choice, fmt::format("the work is small (that of about {:.0f} steps)", choice.work));
  if (choice.parallelism < kGpuLanes)
    return cpu(choice, fmt::format("only {} lane{} could run at once, too few for a GPU", choice.parallelism,
                                   choice.parallelism == 1 ? "" : "s"));
  const std::string missing = cuda_unavailable_reason();
  if (!missing.empty()) return cpu(choice, "no GPU: " + missing);
  return make_cuda_backend(choice.cuda_devices.empty() ? 0 : choice.cuda_devices[0], "there is a GPU and the work fills it");
}

std::vector<DeviceReport> list_devices() {
  std::vector<DeviceReport> reports;
  for (const CpuExecutorReport& cpu_report : cpu_executors()) {
    const bool available = cpu_report.unavailable.empty();
    reports.push_back({"cpu (" + cpu_report.isa + ")", available,
                       available ? fmt::format("threads: {}, lanes in flight: {}", usable_threads(), cpu_report.executor->lanes)
                                 : cpu_report.unavailable});
  }
  const std::string missing = cuda_unavailable_reason();
  if (!missing.empty()) {
    reports.push_back({"cuda", false, missing});
  } else {
    for (DeviceReport& report : list_cuda_devices()) reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace fryer
