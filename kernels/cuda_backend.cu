// SPDX-License-Identifier: Apache-2.0
// A GPU as device_backend.h sees one, and the functions of engine/backend.h that say which GPUs there are. Every CUDA error becomes a
// DeviceError.
#include "fryer/engine/gpu_clock.h"
#include "kernels/device_buffer.cuh"
#include "kernels/launches.cuh"

namespace fryer {
namespace {

// The driver's answer to how many GPUs there are. Without a driver it is cudaErrorInsufficientDriver, without a GPU
// cudaErrorNoDevice; both mean the same to a user.
int count_devices(std::string& reason) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    cudaGetLastError();
    count = 0;
    reason = (error == cudaErrorInsufficientDriver ? "no NVIDIA driver, or one too old for this program: " : "no NVIDIA GPU: ") +
             cuda_error_text(error);
  } else if (count == 0) {
    reason = "no NVIDIA GPU is visible to this process";
  }
  return count;
}

int attribute_of(int device, cudaDeviceAttr attribute) {
  int value = 0;
  FRYER_CUDA_CHECK(cudaDeviceGetAttribute(&value, attribute, device));
  return value;
}
// 90 for sm_90
int capability_of(int device) {
  return 10 * attribute_of(device, cudaDevAttrComputeCapabilityMajor) + attribute_of(device, cudaDevAttrComputeCapabilityMinor);
}

// One GPU and a stream of its own.
class Gpu {
 public:
  template <class T>
  using Buffer = DeviceBuffer<T>;

  Gpu(int device, unsigned most_blocks) : device_(device) {
    use();
    grid_.multiprocessors = attribute_of(device, cudaDevAttrMultiProcessorCount);
    grid_.most_blocks = most_blocks;
    FRYER_CUDA_CHECK(cudaStreamCreateWithFlags(&grid_.stream, cudaStreamNonBlocking));
  }
  ~Gpu() {
    if (grid_.stream != nullptr) cudaStreamDestroy(grid_.stream);
  }
  Gpu(Gpu&& other) noexcept : device_(other.device_), grid_(other.grid_) { other.grid_.stream = nullptr; }
  Gpu& operator=(Gpu&&) = delete;

  void use() { FRYER_CUDA_CHECK(cudaSetDevice(device_)); }
  void use_if_possible() noexcept { cudaSetDevice(device_); }
  void wait() { FRYER_CUDA_CHECK(cudaStreamSynchronize(grid_.stream)); }
  std::uint64_t free_bytes() {
    std::size_t free = 0, total = 0;
    FRYER_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    return free;
  }

  template <class T>
  void clear(T* data, std::uint64_t size) {
    FRYER_CUDA_CHECK(cudaMemsetAsync(data, 0, size * sizeof(T), grid_.stream));
  }
  // From pageable memory, so the host's copy may change as soon as this returns.
  template <class T>
  void copy_to_device(const Buffer<T>& buffer, const T* host) {
    FRYER_CUDA_CHECK(cudaMemcpyAsync(buffer.data(), host, buffer.size() * sizeof(T), cudaMemcpyHostToDevice, grid_.stream));
  }
  template <class T>
  void copy_to_device(T* data, const T* host, std::uint64_t size) {
    FRYER_CUDA_CHECK(cudaMemcpyAsync(data, host, size * sizeof(T), cudaMemcpyHostToDevice, grid_.stream));
  }
  template <class T>
  void copy_to_host(T* host, const T* data, std::uint64_t size) {
    FRYER_CUDA_CHECK(cudaMemcpyAsync(host, data, size * sizeof(T), cudaMemcpyDeviceToHost, grid_.stream));
    wait();
  }

  void launch_gradient(const EpisodeWork& work, EpisodeRange range, bool weight, Moments moments, std::uint64_t* sums) {
    fryer::launch_gradient(grid_, work, range, weight, moments, sums);
  }
  void launch_evaluate(const EpisodeWork& work, EpisodeRange range, std::uint64_t* counts) {
    fryer::launch_evaluate(grid_, work, range, counts);
  }
  std::uint64_t step_lanes(const ReplicaWork& work) { return fryer::step_lanes(grid_, work); }
  void launch_step(const ReplicaWork& work, const StepLaunch& launch) { fryer::launch_step(grid_, work, launch); }
  UntilShape until_shape(const ReplicaWork& work, std::uint64_t replicas) { return fryer::until_shape(grid_, work, replicas); }
  void launch_until(const ReplicaWork& work, const UntilLaunch& launch, const UntilShape& shape) {
    fryer::launch_until(grid_, work, launch, shape);
  }
  template <class Policy>
  void launch_gradient(const CartPoleWorkOf<Policy>& work, EpisodeRange range, CartPoleTask task, std::uint64_t* sums) {
    fryer::launch_gradient(grid_, work, range, task, sums);
  }
  template <class Policy>
  void launch_evaluate(const CartPoleWorkOf<Policy>& work, EpisodeRange range, std::uint64_t* counts) {
    fryer::launch_evaluate(grid_, work, range, counts);
  }
  template <class Work>
  std::uint64_t cart_pole_lanes(const Work& work, std::uint64_t replicas) {
    return fryer::cart_pole_lanes(grid_, work, replicas);
  }
  template <class Work, class Launch>
  void launch_train(const Work& work, const Launch& launch, std::uint64_t lanes) {
    fryer::launch_train(grid_, work, launch, lanes);
  }
  QTeams q_teams(QKind kind, const QNetworkShape& network, std::uint32_t batch) {
    return fryer::q_teams(grid_, kind, network, batch);
  }
  void launch_q_train(const QLaunch& launch, QKind kind, const QTeams& teams) {
    fryer::launch_q_train(grid_, launch, kind, teams);
  }
  void launch_q_evaluate(const QEvaluateLaunch& launch, const QTeams& teams) { fryer::launch_q_evaluate(grid_, launch, teams); }
  template <class Rows>
  PopulationSummaries summarise_rows(const Rows& rows, std::uint64_t replicas) {
    return fryer::summarise_rows(grid_, rows, replicas);
  }
  std::vector<std::uint32_t> curve_quantiles(const ReplicaWork& work, const RowMemory& rows, std::uint64_t replicas,
                                             const std::vector<std::uint64_t>& made) {
    return fryer::curve_quantiles(grid_, work, rows, replicas, made);
  }
  std::vector<std::uint32_t> curve_quantiles(const CartPoleColumns& rows, std::uint64_t replicas,
                                             const std::vector<std::uint64_t>& made) {
    return fryer::curve_quantiles(grid_, rows, replicas, made);
  }
  std::uint64_t statistics_bytes(const ReplicaWork& work, std::uint64_t replicas, bool quantiles) {
    return fryer::statistics_bytes(work, replicas, quantiles);
  }
  std::uint64_t cart_pole_statistics_bytes(std::uint64_t updates, std::uint64_t replicas, bool quantiles) {
    return fryer::cart_pole_statistics_bytes(updates, replicas, quantiles);
  }

 private:
  int device_;
  Grid grid_{};
};

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(int device, const std::string& reason, const CudaOptions& options) {
  std::string missing;
  const int count = count_devices(missing);
  if (!missing.empty()) throw DeviceError("--device cuda: " + missing);
  if (device < 0 || device >= count) {
    throw DeviceError("--device cuda:" + std::to_string(device) + ": there is no such GPU; this process sees " +
                      std::to_string(count) + ", numbered from 0");
  }
  FRYER_CUDA_CHECK(cudaSetDevice(device));
  check_kernels_run_here();
  BackendInfo info;
  info.device = "cuda:" + std::to_string(device);
  info.isa = "sm_" + std::to_string(capability_of(device));
  info.reason = reason;
  return std::make_unique<DeviceBackend<Gpu>>(Gpu(device, options.most_blocks), info, options);
}

std::unique_ptr<Backend> make_cuda_backend(int device, const std::string& reason) {
  return make_cuda_backend(device, reason, CudaOptions{});
}

std::string cuda_unavailable_reason() {
  std::string reason;
  count_devices(reason);
  return reason;
}

GpuClock gpu_clock(int device) {
  constexpr double kKilohertz = 1000;
  return {attribute_of(device, cudaDevAttrMultiProcessorCount), kKilohertz * attribute_of(device, cudaDevAttrClockRate)};
}

std::vector<DeviceReport> list_cuda_devices() {
  std::string missing;
  const int count = count_devices(missing);
  std::vector<DeviceReport> reports;
  for (int device = 0; device < count; ++device) {
    DeviceReport report = {"cuda:" + std::to_string(device), false, ""};
    try {
      cudaDeviceProp properties;
      FRYER_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
      int driver = 0;
      FRYER_CUDA_CHECK(cudaDriverGetVersion(&driver));
      report.detail = std::string(properties.name) + ", " + gibibytes(properties.totalGlobalMem) + ", " +
                      std::to_string(properties.multiProcessorCount) + " multiprocessors, sm_" +
                      std::to_string(10 * properties.major + properties.minor) + ", driver for CUDA " +
                      std::to_string(driver / 1000) + "." + std::to_string(driver % 1000 / 10);
      FRYER_CUDA_CHECK(cudaSetDevice(device));
      check_kernels_run_here();
      report.available = true;
    } catch (const DeviceError& error) {
      report.detail += (report.detail.empty() ? "" : "; ") + std::string(error.what());
    }
    reports.push_back(report);
  }
  return reports;
}

}  // namespace fryer
