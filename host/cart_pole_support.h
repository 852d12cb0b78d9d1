// SPDX-License-Identifier: Apache-2.0
// What CartPole's learners have in common: outcomes of episodes as whole numbers, their mean returns, and curves of them.
#pragma once

#include "fryer/env/cart_pole.h"
#include "host/training_support.h"

namespace fryer {

// The largest outcome (batch_outcome) of one episode.
inline std::uint64_t largest_outcome(const CartPole::Settings& s) { return s.sutton_barto_reward ? 1 : s.max_steps; }

// Mean return of n episodes whose outcomes sum to k.
inline double cart_pole_mean_return(const CartPole::Settings& s, double k, double n) {
  return s.sutton_barto_reward ? (k - n) / n : k / n;
}

// The smallest sum of outcomes of so many episodes whose mean return reaches `until`; above what can be reached if none does.
std::uint64_t cart_pole_window_target(const CartPole::Settings& settings, std::uint64_t episodes, double until);

// Points of so many episodes each, up to the last that a replica made.
std::vector<CurvePoint> cart_pole_curve(const CartPole::Settings& settings, std::uint64_t episodes_a_point,
                                        const Population& population);

}  // namespace fryer
