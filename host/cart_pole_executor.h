// SPDX-License-Identifier: Apache-2.0
// What each build of the CPU executor offers for CartPole, defined in host/cart_pole_executor.cpp (linear policy) and
// host/hidden_executor.cpp, which are compiled once per instruction set; host/lane_executor.cpp puts these functions into that build's table. Plain pointers and no exceptions: nothing of the standard
// library may be compiled for an instruction set.
#pragma once

#include "host/executor_lanes.h"
#include "host/lane_executor.h"

namespace fryer::FRYER_EXECUTOR {

// Replicas in flight: vectors in a bundle, and bundles. A step is a chain of about 110 cycles, so several bundles advance together.
template <class Policy>
struct ReplicaFlight {
#if FRYER_SCALAR_EXECUTOR
  using Real = float;
  static constexpr int kBundles = 1;
#elif defined(__AVX512F__)
  using Real = VReal<2>;
  static constexpr int kBundles = 3;
#else
  using Real = VReal<1>;
  static constexpr int kBundles = 6;
#endif
  static constexpr std::uint32_t kLanes = static_cast<std::uint32_t>(kBundles * LaneTypes<Real>::kLanes);
};
// A hidden layer's state is hundreds of vectors, and its units are independent chains. AVX-512, one core, whole trainings with 1, 8, 16
// units: 245, 85, 53 M steps/s with two bundles, 178, 83, 55 with one (on a shared machine, best of four).
template <>
struct ReplicaFlight<HiddenLayerPolicy> {
#if FRYER_SCALAR_EXECUTOR
  using Real = float;
#else
  using Real = VReal<1>;
#endif
  static constexpr int kBundles = 2;
  static constexpr std::uint32_t kLanes = static_cast<std::uint32_t>(kBundles * LaneTypes<Real>::kLanes);
};

void cart_pole_gradient(const CartPoleWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                        CartPoleSums& sums);
void cart_pole_evaluate(const CartPoleWork& work, std::uint64_t first, std::uint64_t count, std::uint64_t* counts);
void cart_pole_train(const CartPoleReplicaWork& work, const CartPoleGroups<LinearPolicy>& groups, const ReplicaQueue& queue,
                     std::uint32_t lanes, const CartPoleRows& rows, const CartPoleCurve& curve, std::uint64_t* scratch,
                     const StopQuestion& stop);

void hidden_gradient(const HiddenWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task, HiddenSums& sums);
void hidden_evaluate(const HiddenWork& work, std::uint64_t first, std::uint64_t count, std::uint64_t* counts);
void hidden_train(const HiddenReplicaWork& work, const CartPoleGroups<HiddenLayerPolicy>& groups, const ReplicaQueue& queue,
                  std::uint32_t lanes, const CartPoleRows& rows, const CartPoleCurve& curve, std::uint64_t* scratch,
                  const StopQuestion& stop);

}  // namespace fryer::FRYER_EXECUTOR
