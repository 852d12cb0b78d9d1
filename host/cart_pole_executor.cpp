// SPDX-License-Identifier: Apache-2.0
// The CPU executor for CartPole with the linear policy. Compiled once per instruction set.
#include "host/cart_pole_executor.h"

#include "host/cart_pole_lanes.h"

namespace fryer::FRYER_EXECUTOR {

void cart_pole_gradient(const CartPoleWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                        CartPoleSums& sums) {
  gradient_of_task(work, first, count, task, sums);
}

void cart_pole_evaluate(const CartPoleWork& work, std::uint64_t first, std::uint64_t count, std::uint64_t* counts) {
  evaluate_work(work, first, count, counts);
}

void cart_pole_train(const CartPoleReplicaWork& work, const CartPoleGroups<LinearPolicy>& groups, const ReplicaQueue& queue,
                     std::uint32_t lanes, const CartPoleRows& rows, const CartPoleCurve& curve, std::uint64_t* scratch,
                     const StopQuestion& stop) {
  train_work(work, groups, queue, lanes, rows, curve, scratch, stop);
}

}  // namespace fryer::FRYER_EXECUTOR
