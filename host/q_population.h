// SPDX-License-Identifier: Apache-2.0
// Value learners on the CPU: workers take replicas from one queue, each with its own memory, and train them to their end; online learners
// two at a time, as an executor's core runs them best. What a replica comes to does not depend on the worker or its neighbour.
#pragma once

#include <functional>
#include <memory>
#include <new>

#include "fryer/engine/backend.h"
#include "host/lane_executor.h"

namespace fryer {

// Of an executor's learner, aligned as it wants (QNetworkFunctions).
class LearnerMemory {
 public:
  explicit LearnerMemory(std::uint64_t bytes) : memory_(::operator new(bytes, kAlignment)) {}
  void* get() const { return memory_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(void* memory) const { ::operator delete(memory, kAlignment); }
  };
  std::unique_ptr<void, Free> memory_;
};

// Runs body() on so many threads at once and waits for all of them.
using RunWorkers = std::function<void(unsigned workers, const std::function<void()>& body)>;

// Backend::train(). The population's summaries and quantiles are left to the caller; population.outcomes stands if they are needed for them.
// threads: workers at most. Throws Stopped, std::bad_alloc.
Population train_q_population(const LaneExecutor& executor, unsigned threads, const RunWorkers& run_workers,
                              const QTrainRequest& request, const RunControl& control);

}  // namespace fryer
