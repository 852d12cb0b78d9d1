// SPDX-License-Identifier: Apache-2.0
// How much a GPU can issue at most: for whoever holds a measured rate against it.
#pragma once

namespace fryer {

struct GpuClock {
  int multiprocessors;
  double hertz;  // the highest that it may run at
};

// Defined beside make_cuda_backend(). Throws DeviceError where there is no such GPU.
GpuClock gpu_clock(int device);

}  // namespace fryer
