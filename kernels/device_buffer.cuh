// SPDX-License-Identifier: Apache-2.0
// Device memory with an owner. Kernels and lane structs get plain pointers, which are trivially copyable; the owner stays on the
// host and frees.
#pragma once

#include <cstdint>
#include <utility>

#include "kernels/cuda_check.cuh"

namespace fryer {

// size elements of T, not initialised. Throws DeviceError naming the bytes if they are not to be had.
template <class T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::uint64_t size) : size_(size) {
    if (size == 0) return;
    const cudaError_t error = cudaMalloc(reinterpret_cast<void**>(&data_), size * sizeof(T));
    if (error == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      throw DeviceError("CUDA: out of memory: " + std::to_string(size * sizeof(T)) + " bytes were asked for");
    }
    check_cuda(error, "cudaMalloc");
  }
  ~DeviceBuffer() { cudaFree(data_); }  // a destructor cannot throw; an error that matters shows up in the next checked call
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  T* data() const { return data_; }
  std::uint64_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  std::uint64_t size_ = 0;
};

}  // namespace fryer
