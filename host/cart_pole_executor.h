// SPDX-License-Identifier: Apache-2.0
// What each build of the CPU executor offers for CartPole; host/cart_pole_executor.cpp is compiled once per instruction set and
// host/lane_executor.cpp puts these functions into that build's table. Plain pointers and no exceptions: nothing of the standard
// library may be compiled for an instruction set.
#pragma once

#include "host/executor_lanes.h"
#include "host/lane_executor.h"

namespace fryer::FRYER_EXECUTOR {

#if FRYER_SCALAR_EXECUTOR
using CartPoleReplicaReal = float;
inline constexpr int kReplicaBundles = 1;
#elif defined(__AVX512F__)
using CartPoleReplicaReal = VReal<2>;
inline constexpr int kReplicaBundles = 3;
#else
using CartPoleReplicaReal = VReal<1>;
inline constexpr int kReplicaBundles = 6;
#endif

void cart_pole_gradient(const CartPoleWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                        CartPoleSums& sums);
void cart_pole_evaluate(const CartPoleWork& work, std::uint64_t first, std::uint64_t count, std::uint64_t* counts);
void cart_pole_train(const CartPoleReplicaWork& work, std::uint64_t first_seed, const ReplicaQueue& queue, std::uint32_t lanes,
                     const CartPoleRows& rows, const CartPoleCurve& curve, std::uint64_t* scratch, const StopQuestion& stop);
// Replicas in flight: bundles of vectors. A step is a chain of about 110 cycles, so several bundles advance together.
constexpr std::uint32_t cart_pole_replica_lanes() {
  return static_cast<std::uint32_t>(kReplicaBundles * LaneTypes<CartPoleReplicaReal>::kLanes);
}

}  // namespace fryer::FRYER_EXECUTOR
