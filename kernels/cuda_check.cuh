// SPDX-License-Identifier: Apache-2.0
// Every CUDA call and every launch is checked: a failure is a DeviceError with the call's text and CUDA's name and words for it. For tests
// FRYER_FAIL_CUDA_CALL=K makes the K-th checked call of the process fail.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "fryer/core/error.h"
#include "fryer/engine/failing_call.h"

namespace fryer {

inline std::string cuda_error_text(cudaError_t error) {
  return std::string(cudaGetErrorString(error)) + " (" + cudaGetErrorName(error) + ")";
}

inline void check_cuda(cudaError_t error, const char* call) {
  static FailingCall failing("FRYER_FAIL_CUDA_CALL");
  const bool on_purpose = failing.fails_now();
  if (error == cudaSuccess && !on_purpose) return;
  cudaGetLastError();  // or an error that is no longer of interest would be found by the next check of a launch
  throw DeviceError("CUDA: " + std::string(call) + ": " +
                    (error != cudaSuccess ? cuda_error_text(error) : "made to fail by FRYER_FAIL_CUDA_CALL"));
}

}  // namespace fryer

#define FRYER_CUDA_CHECK(call) ::fryer::check_cuda((call), #call)

// After a launch; faults while it runs are found by the next call that waits for it.
#define FRYER_CUDA_CHECK_LAUNCH(kernel) ::fryer::check_cuda(cudaGetLastError(), "launch of " kernel)
