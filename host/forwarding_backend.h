// SPDX-License-Identifier: Apache-2.0
// A backend that hands calls on to others, in whole or in parts, and does so alike for every environment and policy. What it does stands once,
// in Derived:
//   gradient_of(work, episodes, control, play), counts_of(work, episodes, control, play): what play(a backend, a part of the episodes, its control)
//     gives, summed over parts that make up `episodes`
//   train_all(request, control): the request's population
#pragma once

#include "fryer/engine/backend.h"
#include "host/split_work.h"

namespace fryer {

template <class Derived>
class ForwardingBackend : public Backend {
 public:
  GradientSums gradient(const EpisodeWork& work, std::uint64_t first, std::uint64_t count, bool weight, Moments moments,
                        const RunControl& control) override {
    return derived().gradient_of(work, NumberRange{first, count}, control,
                                 [&](Backend& to, NumberRange part, const RunControl& inner) {
                                   return to.gradient(work, part.first, part.count, weight, moments, inner);
                                 });
  }
  CartPoleSums gradient(const CartPoleWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                        const RunControl& control) override {
    return gradient_by_task(work, {first, count}, task, control);
  }
  HiddenSums gradient(const HiddenWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                      const RunControl& control) override {
    return gradient_by_task(work, {first, count}, task, control);
  }

  std::array<std::uint64_t, FryShack::kOutcomes> evaluate(const EpisodeWork& work, std::uint64_t first, std::uint64_t count,
                                                          const RunControl& control) override {
    return counts(work, {first, count}, control);
  }
  std::vector<std::uint64_t> evaluate(const CartPoleWork& work, std::uint64_t first, std::uint64_t count,
                                      const RunControl& control) override {
    return counts(work, {first, count}, control);
  }
  std::vector<std::uint64_t> evaluate(const HiddenWork& work, std::uint64_t first, std::uint64_t count,
                                      const RunControl& control) override {
    return counts(work, {first, count}, control);
  }
  std::vector<std::uint64_t> evaluate(const QEpisodeWork& work, std::uint64_t first, std::uint64_t count,
                                      const RunControl& control) override {
    return counts(work, {first, count}, control);
  }

  Population train(const TrainRequest& request, const RunControl& control) override {
    return derived().train_all(request, control);
  }
  Population train(const CartPoleTrainRequest& request, const RunControl& control) override {
    return derived().train_all(request, control);
  }
  Population train(const HiddenTrainRequest& request, const RunControl& control) override {
    return derived().train_all(request, control);
  }
  Population train(const QTrainRequest& request, const RunControl& control) override {
    return derived().train_all(request, control);
  }

 private:
  Derived& derived() { return static_cast<Derived&>(*this); }

  template <class Work>
  auto gradient_by_task(const Work& work, NumberRange episodes, CartPoleTask task, const RunControl& control) {
    return derived().gradient_of(work, episodes, control, [&](Backend& to, NumberRange part, const RunControl& inner) {
      return to.gradient(work, part.first, part.count, task, inner);
    });
  }
  template <class Work>
  auto counts(const Work& work, NumberRange episodes, const RunControl& control) {
    return derived().counts_of(work, episodes, control, [&](Backend& to, NumberRange part, const RunControl& inner) {
      return to.evaluate(work, part.first, part.count, inner);
    });
  }
};

}  // namespace fryer
