// SPDX-License-Identifier: Apache-2.0
// The CPU executor for CartPole with a hidden layer. Compiled once per instruction set; apart from the linear policy's, so that neither
// changes what the compiler makes of the other.
#include "host/cart_pole_executor.h"

#include "host/cart_pole_lanes.h"

namespace fryer::FRYER_EXECUTOR {

void hidden_gradient(const HiddenWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task, HiddenSums& sums) {
  gradient_of_task(work, first, count, task, sums);
}

void hidden_evaluate(const HiddenWork& work, std::uint64_t first, std::uint64_t count, std::uint64_t* counts) {
  evaluate_work(work, first, count, counts);
}

void hidden_train(const HiddenReplicaWork& work, const CartPoleGroups<HiddenLayerPolicy>& groups, const ReplicaQueue& queue,
                  std::uint32_t lanes, const CartPoleRows& rows, const CartPoleCurve& curve, std::uint64_t* scratch,
                  const StopQuestion& stop) {
  train_work(work, groups, queue, lanes, rows, curve, scratch, stop);
}

}  // namespace fryer::FRYER_EXECUTOR
