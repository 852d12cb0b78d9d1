// SPDX-License-Identifier: Apache-2.0
// A backend that does something before each call of another: it counts them, or fails as a device does. For tests, and for what
// FRYER_FAIL_CPU_CALL asks for.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "fryer/engine/backend.h"

namespace fryer {

class WatchedBackend : public Backend {
 public:
  using Before = std::function<void(unsigned call)>;  // from 1
  WatchedBackend(std::unique_ptr<Backend> inner, Before before) : inner_(std::move(inner)), before_(std::move(before)) {}

  const BackendInfo& info() const override { return inner_->info(); }

  GradientSums gradient(const EpisodeWork& work, std::uint64_t first, std::uint64_t count, bool weight, Moments moments,
                        const RunControl& control) override {
    return watched().gradient(work, first, count, weight, moments, control);
  }
  CartPoleSums gradient(const CartPoleWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                        const RunControl& control) override {
    return watched().gradient(work, first, count, task, control);
  }
  HiddenSums gradient(const HiddenWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                      const RunControl& control) override {
    return watched().gradient(work, first, count, task, control);
  }
  std::array<std::uint64_t, FryShack::kOutcomes> evaluate(const EpisodeWork& work, std::uint64_t first, std::uint64_t count,
                                                          const RunControl& control) override {
    return watched().evaluate(work, first, count, control);
  }
  std::vector<std::uint64_t> evaluate(const CartPoleWork& work, std::uint64_t first, std::uint64_t count,
                                      const RunControl& control) override {
    return watched().evaluate(work, first, count, control);
  }
  std::vector<std::uint64_t> evaluate(const HiddenWork& work, std::uint64_t first, std::uint64_t count,
                                      const RunControl& control) override {
    return watched().evaluate(work, first, count, control);
  }
  std::vector<std::uint64_t> evaluate(const QEpisodeWork& work, std::uint64_t first, std::uint64_t count,
                                      const RunControl& control) override {
    return watched().evaluate(work, first, count, control);
  }
  Population train(const TrainRequest& request, const RunControl& control) override { return watched().train(request, control); }
  Population train(const CartPoleTrainRequest& request, const RunControl& control) override {
    return watched().train(request, control);
  }
  Population train(const HiddenTrainRequest& request, const RunControl& control) override {
    return watched().train(request, control);
  }
  Population train(const QTrainRequest& request, const RunControl& control) override { return watched().train(request, control); }

 private:
  Backend& watched() {
    before_(++calls_);
    return *inner_;
  }
  std::unique_ptr<Backend> inner_;
  Before before_;
  unsigned calls_ = 0;
};

}  // namespace fryer
