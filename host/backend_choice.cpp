// SPDX-License-Identifier: Apache-2.0
// Which backend runs: what was asked for, or an error; for `auto` the GPU if there is one and the work fills it, with the reason in
// one line. Speed alone is at stake, never a bit of the result.
#include <fmt/format.h>

#include <cstdlib>

#include "fryer/core/error.h"
#include "fryer/engine/backend.h"
#include "host/cpu_backend.h"
#include "host/cpu_features.h"

namespace fryer {
namespace {

// Work below this takes about a tenth of a second on one AVX-512 core: judged not worth starting a GPU for, not measured on one.
constexpr double kSmallWork = 5e7;
// Fewer lanes than this leave a large GPU idle: one warp a scheduler (132 SM x 4 x 32 lanes).
constexpr std::uint64_t kGpuLanes = 16896;

// The CPU instruction set that was asked for, or "".
std::string forced_isa(const BackendChoice& choice) {
  const char* forced = std::getenv("FRYER_ISA");
  return !choice.isa.empty() ? choice.isa : forced != nullptr ? forced : "";
}

std::unique_ptr<Backend> cpu(const BackendChoice& choice, const std::string& reason) {
  return make_cpu_backend(find_cpu_executor(forced_isa(choice)), choice.threads != 0 ? choice.threads : usable_threads(),
                          choice.chunk, reason);
}

}  // namespace

std::unique_ptr<Backend> make_backend(const BackendChoice& choice) {
  switch (choice.device) {
    case BackendChoice::Device::cpu:
      return cpu(choice, "the CPU was asked for");
    case BackendChoice::Device::cuda:
      return make_cuda_backend(choice.cuda_device, "the GPU was asked for");
    case BackendChoice::Device::automatic:
      break;
  }
  // The work is weighed first: asking the driver for GPUs takes longer than a small run.
  if (!forced_isa(choice).empty()) return cpu(choice, "FRYER_ISA names a CPU instruction set");
  if (choice.work < kSmallWork) return cpu(choice, fmt::format("the work is small (that of about {:.0f} steps)", choice.work));
  if (choice.parallelism < kGpuLanes)
    return cpu(choice, fmt::format("only {} lane{} could run at once, too few for a GPU", choice.parallelism,
                                   choice.parallelism == 1 ? "" : "s"));
  const std::string missing = cuda_unavailable_reason();
  if (!missing.empty()) return cpu(choice, "no GPU: " + missing);
  return make_cuda_backend(choice.cuda_device, "there is a GPU and the work fills it");
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
