// SPDX-License-Identifier: Apache-2.0
// The interface between what is run and where: a backend takes numbered work and returns integer sums, counts and rows, which are
// the same bits from every backend. Implemented in host/ (CPU) and kernels/ (CUDA); chosen by make_backend().
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fryer/engine/results.h"

namespace fryer {

// Polled between pieces of work (at least about once a second); a stopped run throws Stopped.
using StopToken = std::atomic<bool>;
// Of a token that may be missing.
inline bool is_set(const StopToken* token) { return token != nullptr && token->load(std::memory_order_relaxed); }

// Finished and planned work in units of one update (of a value learner: one counted episode) of one replica, or one episode. Called from one thread at a time.
using Progress = std::function<void(std::uint64_t finished, std::uint64_t planned)>;

// Counted episodes first, first + 1, ... of a value learner that trains alone have ended, with these outcomes.
using EpisodeWatch = std::function<void(std::uint64_t first, std::span<const std::uint32_t> outcomes)>;

struct RunControl {
  const StopToken* stop = nullptr;
  Progress progress;
  const StopToken* pause = nullptr;  // polled likewise by trainings that can be gone on with; they are left between two updates
  EpisodeWatch episodes = {};        // of a single value learner, called soon after they ended
};

struct BackendInfo {
  std::string device;        // "cpu" or "cuda:0"; several: "cuda:0,1" or "cpu:3"
  std::string isa;           // scalar, avx2, avx512, or sm_90
  unsigned threads = 1;      // CPU workers
  std::string reason;        // why this one, in one line
  std::string warning = {};  // why it has fewer threads than were asked for; ""
  unsigned ranks = 1;        // processes that have such devices and work together; `threads` are of all of them
};

// What Backend::train() gives besides rows and the curve's sums.
struct TrainDetail {
  bool summaries = true;         // of the final parameters and of solved replicas
  bool curve_quantiles = false;  // keeps (updates, replicas) numbers of 4 bytes while running
  bool outcomes = false;         // Population::outcomes: these numbers themselves
  bool keeps_outcomes() const { return curve_quantiles || outcomes; }
};

struct TrainRequest {
  ReplicaWork work;  // its table pointers are ignored: the backend takes them from `table`
  const AdamTable* table = nullptr;
  std::uint64_t first_seed = 0, replicas = 0;
  TrainDetail detail;
};

// Seeds first_seed .. first_seed + replicas - 1, with the same settings.
struct SeedRange {
  std::uint64_t first_seed, replicas;
  std::uint32_t training;  // index of its settings
};

// Replicas that train side by side: rows are those of the ranges, one after another.
template <class Policy>
struct CartPoleTrainRequestOf {
  CartPoleReplicaWorkOf<Policy> work;
  std::vector<CartPoleTrainingOf<Policy>> trainings;  // tables in the host's memory
  std::vector<SeedRange> ranges;                      // none is empty
  TrainDetail detail;
  // Where given, rows, outcomes and what else a training has between its updates stand there: those unfinished are gone on with until
  // they end, or until RunControl::pause. The population is then empty, without curve and summaries.
  TrainingStates* states = nullptr;

  std::uint64_t replicas() const {
    std::uint64_t n = 0;
    for (const SeedRange& range : ranges) n += range.replicas;
    return n;
  }
  // The most of any training.
  std::uint64_t updates() const {
    std::uint64_t n = 0;
    for (const auto& training : trainings) n = std::max<std::uint64_t>(n, training.updates);
    return n;
  }
  std::uint64_t window() const {
    std::uint64_t n = 0;
    for (const auto& training : trainings) n = std::max<std::uint64_t>(n, training.window);
    return n;
  }
};
using CartPoleTrainRequest = CartPoleTrainRequestOf<LinearPolicy>;
using HiddenTrainRequest = CartPoleTrainRequestOf<HiddenLayerPolicy>;

// Value learners: rows are those of the ranges, one after another.
struct QTrainRequest {
  std::vector<QTrainingSettings> trainings;  // networks of one shape
  std::vector<SeedRange> ranges;             // none is empty
  TrainDetail detail;                        // outcomes are of counted episodes: (episodes, replicas)
  TrainingStates* states = nullptr;          // as CartPoleTrainRequestOf::states

  std::uint64_t replicas() const {
    std::uint64_t n = 0;
    for (const SeedRange& range : ranges) n += range.replicas;
    return n;
  }
  // The most of any training.
  std::uint64_t episodes() const {
    std::uint64_t n = 0;
    for (const QTrainingSettings& training : trainings) n = std::max(n, training.episodes);
    return n;
  }
  int parameters() const { return trainings[0].shape.parameters(); }
};

// Episodes of a Q network that acts greedily.
struct QEpisodeWork {
  QEpisodes episodes;
  QNetworkShape shape;
  std::vector<float> parameter;  // (shape.parameters())
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const BackendInfo& info() const = 0;

  // Sums over episodes first .. first + count - 1.
  virtual GradientSums gradient(const EpisodeWork& work, std::uint64_t first, std::uint64_t count, bool weight, Moments moments,
                                const RunControl& control) = 0;
  // Outcomes of the same range.
  virtual std::array<std::uint64_t, FryShack::kOutcomes> evaluate(const EpisodeWork& work, std::uint64_t first,
                                                                  std::uint64_t count, const RunControl& control) = 0;
  // Whole trainings, one seed each.
  virtual Population train(const TrainRequest& request, const RunControl& control) = 0;

  // The same for CartPole. Evaluations: outcome_count(max_steps) numbers of episodes, element 2 * length + terminated.
  virtual CartPoleSums gradient(const CartPoleWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                                const RunControl& control) = 0;
  virtual std::vector<std::uint64_t> evaluate(const CartPoleWork& work, std::uint64_t first, std::uint64_t count,
                                              const RunControl& control) = 0;
  virtual Population train(const CartPoleTrainRequest& request, const RunControl& control) = 0;

  // The same with a hidden layer.
  virtual HiddenSums gradient(const HiddenWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                              const RunControl& control) = 0;
  virtual std::vector<std::uint64_t> evaluate(const HiddenWork& work, std::uint64_t first, std::uint64_t count,
                                              const RunControl& control) = 0;
  virtual Population train(const HiddenTrainRequest& request, const RunControl& control) = 0;

  // Value learners, and what their networks do.
  virtual std::vector<std::uint64_t> evaluate(const QEpisodeWork& work, std::uint64_t first, std::uint64_t count,
                                              const RunControl& control) = 0;
  virtual Population train(const QTrainRequest& request, const RunControl& control) = 0;
};

// Which backend, and how it may split work; none of it changes a bit of any result.
struct BackendChoice {
  enum class Device { automatic, cpu, cuda };
  Device device = Device::automatic;
  std::vector<int> cuda_devices = {0};  // GPUs by number, which share the work; none: all that can be used
  bool cuda_named = false;              // whether these were asked for by number: else each rank may take another
  unsigned cpu_devices = 1;       // the CPU as so many devices, among which the threads are divided: several GPUs without any
  unsigned threads = 0;           // 0: all this process may use
  std::string isa;                // "": the environment's FRYER_ISA, else the best of this machine
  std::uint64_t chunk = 0;        // work items per piece; 0: the backend's own choice. For tests.
  double work = 0;                // steps to be simulated, about: what `automatic` weighs
  std::uint64_t parallelism = 0;  // how many of them can run at once
};

// Throws DeviceError with the reason where the device or instruction set asked for is not available.
std::unique_ptr<Backend> make_backend(const BackendChoice& choice);

// One line of `fryer devices`.
struct DeviceReport {
  std::string name;  // cpu, cuda:0, ...
  bool available;
  std::string detail;  // what it is, or why it is not available
};
std::vector<DeviceReport> list_devices();

// ---- the CUDA side: defined in kernels/, or in a stub that says why it is not there

// Throws DeviceError.
std::unique_ptr<Backend> make_cuda_backend(int device, const std::string& reason);
// Why no GPU can be used, or "" and what there is in `reports`.
std::string cuda_unavailable_reason();
std::vector<DeviceReport> list_cuda_devices();

}  // namespace fryer
