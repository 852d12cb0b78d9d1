// SPDX-License-Identifier: Apache-2.0
// REINFORCE over whole episodes in one pass with constant memory (Williams 1992). With the eligibility trace z <- gamma z + grad log
// pi_t, the sum of reward_t z_t equals sum_t G_t grad log pi_t (Baxter & Bartlett 2001); the mean and standard deviation of all
// returns-to-go G_t come from forward recurrences too, so no baseline needs a stored trajectory. Knows no environment.
#pragma once

#include <cmath>

#include "fryer/core/exact_sum.h"
#include "fryer/core/real.h"

namespace fryer {

// The advantage that a step's score is multiplied with: G_t; G_t - V for a given V; G_t less the mean of all G_t of the update's
// episodes; that divided by their (population) standard deviation + 1e-8.
enum class Baseline { none, constant, mean, standardize };

// What lanes keep of an episode: nothing; the gradient; the gradient, the sum of scores and the returns' moments.
enum class Track { nothing, gradient, gradient_and_scores };
constexpr Track track_of(Baseline baseline) { return baseline == Baseline::none ? Track::gradient : Track::gradient_and_scores; }

// The moments of returns-to-go by forward recurrences: c = sum_{k<=t} gamma^k, q the same of gamma^2, h = sum_k gamma^(t-k) r_k q_k.
// Rewards here are those of the environment, without the reward scale: with rewards of 1 and gamma 0 or 1 they are exact integers,
// so that equal returns have a standard deviation of exactly 0.
template <class Real>
struct ReturnMoments {
  Real c, q, h;
  Real sum, square;  // of G_t and G_t^2 over the episode's steps

  FRYER_LANE void clear_if(MaskOf<Real> m) {
    const Real zero = Real(0.0f);
    c = select(m, zero, c);
    q = select(m, zero, q);
    h = select(m, zero, h);
    sum = select(m, zero, sum);
    square = select(m, zero, square);
  }
  // A step whose reward is 1. `live`: whether it is one of the episode.
  template <class Live>
  FRYER_LANE void add(Live live, Real gamma, Real gamma_squared) {
    c = fma(gamma, c, Real(1.0f));
    q = fma(gamma_squared, q, Real(1.0f));
    sum = add_if(live, sum, c);
    const Real before = h * gamma;
    square = add_if(live, square, fma(Real(2.0f), before, q));
    h = before + q;
  }
  // The same for any reward: sum G += r c; sum G^2 += 2 r gamma h + r^2 q; h <- gamma h + r q. Equal bits for a reward of 1.
  template <class Live>
  FRYER_LANE void add(Live live, Real gamma, Real gamma_squared, Real reward) {
    c = fma(gamma, c, Real(1.0f));
    q = fma(gamma_squared, q, Real(1.0f));
    sum = fma_if(live, reward, c, sum);
    const Real before = h * gamma;
    square = fma_if(live, reward, fma(Real(2.0f), before, reward * q), square);
    h = fma(reward, q, before);
  }
};

// ---- from exact sums over a batch to the gradient that the optimiser steps against

// Scale of one kind of parameter: lanes' contributions (2^24 times their value) times gradient_scale or score_scale are integers; a
// sum times gradient_unit or score_unit is the mean over the batch.
struct ParameterScale {
  double gradient_scale, score_scale;
  double gradient_unit, score_unit;
};
struct ReturnScale {
  double sum_scale, square_scale;  // of ReturnMoments::sum and ::square
  double sum_unit, square_unit;    // from integers back to their values
  double reward_scale;             // the factor that ReturnMoments leaves out
};

// gradient = (sum of G grad - shift * sum of scores) * factor, each a mean over the batch's episodes.
struct AdvantageTransform {
  double shift, factor;
};

// sum, square, steps: over all episodes of the batch. value: the constant baseline's. A standard deviation of 0 gives advantages of 0.
FRYER_LANE AdvantageTransform advantage_transform(Baseline baseline, double value, const ReturnScale& scale, std::int64_t sum,
                                                  std::int64_t square, std::uint64_t steps) {
  if (baseline == Baseline::none) return {0.0, 1.0};
  if (baseline == Baseline::constant) return {value, 1.0};
  const double n = static_cast<double>(steps);
  const double mean = to_double(sum) * scale.sum_unit / n;
  const double shift = scale.reward_scale * mean;
  if (baseline == Baseline::mean) return {shift, 1.0};
  const double variance = fma(-mean, mean, to_double(square) * scale.square_unit / n);
  const double sd = variance > 0 ? absolute(scale.reward_scale) * square_root(variance) : 0.0;
  return {shift, sd > 0 ? 1.0 / (sd + 1e-8) : 0.0};
}

// Combined in double, rounded to float once.
FRYER_LANE float batch_gradient(Baseline baseline, const AdvantageTransform& a, const ParameterScale& scale,
                                std::int64_t gradient, std::int64_t score) {
  if (baseline == Baseline::none) return mean_from_fixed(gradient, scale.gradient_unit);
  return static_cast<float>(fma(-a.shift, to_double(score) * scale.score_unit, to_double(gradient) * scale.gradient_unit) *
                            a.factor);
}

// ---- bounds, for the number of binary digits of each sum

// Of an episode of at most `steps` steps with rewards of magnitude 1 at most.
struct ReturnBounds {
  double discounted;       // sum_{k < steps} gamma^k: one return-to-go
  double return_sum;       // sum of all returns-to-go
  double return_square;    // sum of their squares
  double rounding_margin;  // floats accumulate with a relative error of at most 2^-24 an operation
};
inline ReturnBounds return_bounds(double gamma, std::uint32_t steps) {
  ReturnBounds b{0, 0, 0, 1 + steps * 0x1p-20};
  for (std::uint32_t t = 0; t < steps; ++t) {
    b.discounted = gamma * b.discounted + 1;
    b.return_sum += b.discounted;
    b.return_square += b.discounted * b.discounted;
  }
  return b;
}

}  // namespace fryer
