// SPDX-License-Identifier: Apache-2.0
// Stands in for kernels/ in a build without CUDA and says so.
#include "fryer/core/error.h"
#include "fryer/engine/backend.h"
#include "fryer/engine/gpu_clock.h"

namespace fryer {

std::string cuda_unavailable_reason() { return "this program was built without CUDA (no nvcc was found, or FRYER_CUDA=OFF)"; }

std::unique_ptr<Backend> make_cuda_backend(int, const std::string&) {
  throw DeviceError("--device cuda: " + cuda_unavailable_reason());
}

GpuClock gpu_clock(int) { throw DeviceError("--device cuda: " + cuda_unavailable_reason()); }

std::vector<DeviceReport> list_cuda_devices() { return {}; }

}  // namespace fryer
