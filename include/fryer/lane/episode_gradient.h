// SPDX-License-Identifier: Apache-2.0
// Lane program: the policy gradient of one-block episodes under one policy, as exact integer sums, and the count of each outcome.
// Run by executors over ranges of episode numbers; sums of ranges add up to the sums of the whole, in any order and split.
#pragma once

#include "fryer/lane/one_block_episode.h"

namespace fryer {

// One policy, episodes numbered within a training, a gradient or an evaluation. Trivially copyable: it is a kernel argument.
struct EpisodeWork {
  UniformKey key;
  OneBlockRules rules;
  SigmoidPolicy<float, 1> policy;  // weight per 2^-24 of hunger
  FixedPoint fixed_point;
  double square_scale_bias,
      square_scale_weight;  // of the second moments: 2^square_digits from squares of the scaled contributions
  bool greedy;              // evaluations: the more probable action instead of a sampled one
};

// What the sums' proof needs and backends check before they start: NaN or infinite parameters would give sums that mean nothing.
inline bool has_finite_numbers(const EpisodeWork& work) {
  return is_finite(work.policy.weight[0]) && is_finite(work.policy.bias) && is_finite(work.rules.gain_correct) &&
         is_finite(work.rules.gain_wrong);
}

// Sums over episodes; parameters in the order weight, bias.
struct GradientSums {
  std::int64_t gradient[2] = {0, 0};  // of the loss, multiples of 2^-fixed_point.digits
  WideSum squared[2];                 // squares of the contributions, multiples of 2^-square_digits
  std::uint64_t correct = 0;          // episodes whose order suited the hunger
  std::uint64_t episodes = 0;

  FRYER_LANE void add(const GradientSums& other) {
    for (int i = 0; i < 2; ++i) {
      gradient[i] =
          static_cast<std::int64_t>(static_cast<std::uint64_t>(gradient[i]) + static_cast<std::uint64_t>(other.gradient[i]));
      squared[i].add(other.squared[i]);
    }
    correct += other.correct;
    episodes += other.episodes;
  }
};

// Which sums are wanted: fewer is faster, and every one that is made has the same bits.
enum class Moments { first, first_and_second };

// The running sums of a lane or bundle.
template <class Real, bool kWeight, Moments kMoments>
struct GradientAccumulator {
  FixedSum<Real> gradient[2];
  FixedSquares<Real> squared[2];
  std::uint64_t correct;

  FRYER_LANE void clear() {
    FRYER_UNROLL for (int i = 0; i < 2; ++i) {
      gradient[i].clear();
      squared[i].clear();
    }
    correct = 0;
  }

  // |contribution * scale| <= 2^51 by FixedPoint's choice of digits and the bound of loss_gradient24; parameters are finite.
  FRYER_LANE void add(const EpisodeWork& work, const OneBlockEpisode<Real>& episode, Real bias) {
    if constexpr (kWeight) {
      const Real weight = bias * episode.hunger24;
      gradient[0].add(weight, work.fixed_point.weight_scale);
      if constexpr (kMoments == Moments::first_and_second) squared[0].add(weight, work.square_scale_weight);
    }
    gradient[1].add(bias, work.fixed_point.bias_scale);
    if constexpr (kMoments == Moments::first_and_second) squared[1].add(bias, work.square_scale_bias);
  }

  FRYER_LANE void total(GradientSums& sums) const {
    if constexpr (kWeight) sums.gradient[0] = gradient[0].total();
    sums.gradient[1] = gradient[1].total();
    if constexpr (kMoments == Moments::first_and_second) {
      if constexpr (kWeight) sums.squared[0] = squared[0].total();
      sums.squared[1] = squared[1].total();
    }
    sums.correct = correct;
  }
};

// The digits of the second moments of contributions bounded by 2^magnitude: one square is at most 2^51 of their units.
inline int square_digits(float gain_correct, float gain_wrong) {
  return 51 - 2 * contribution_magnitude(gain_correct, gain_wrong);
}

}  // namespace fryer
