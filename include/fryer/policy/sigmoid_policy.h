// SPDX-License-Identifier: Apache-2.0
// The linear sigmoid policy: action 1 with probability p = sigmoid(weight . observation + bias). Forward pass, sampling, and the
// backward pass of -log pi, for one policy shared by all lanes or one a lane. Knows no environment.
#pragma once

#include "fryer/core/math.h"
#include "fryer/core/philox.h"

namespace fryer {

template <class Real>
struct Decision {
  MaskOf<Real> action;  // true: action 1
  Real error24;         // 2^24 (p - action): the derivative of -log pi(action) by the logit, scaled by 2^24
};

// Parameter: a scalar (shared by all lanes) or a Real (one policy a lane). Weights are per unit of the lane observation.
template <class Parameter, int kInputs>
struct SigmoidPolicy {
  static constexpr int kParameters = kInputs + 1;  // weights, then bias
  // How many parameters there are: the same for all such policies.
  struct Shape {
    static constexpr bool kFixed = true;
    static FRYER_LANE constexpr int parameters() { return kParameters; }
  };
  static FRYER_LANE constexpr Shape shape() { return {}; }
  template <class Other>
  using With = SigmoidPolicy<Other, kInputs>;

  Parameter weight[kInputs];
  Parameter bias;

  template <class Real>
  FRYER_LANE Real logit(const Real (&observation)[kInputs]) const {
    Real z = Real(bias);
    FRYER_UNROLL for (int i = 0; i < kInputs; ++i) z = fma(Real(weight[i]), observation[i], z);
    return z;
  }

  // u < p with u = (word >> 8) 2^-24: a probability of exactly 0 or 1 never errs.
  template <class Real>
  FRYER_LANE Decision<Real> sample(const Real (&observation)[kInputs], WordOf<Real> word) const {
    return decide(sigmoid24(logit(observation)), word);
  }

  template <class Real>
  static FRYER_LANE Decision<Real> decide(Real p24, WordOf<Real> word) {
    const MaskOf<Real> action = less(uniform24<Real>(word), p24);
    return {action, subtract_if(action, p24, Real(static_cast<ScalarOf<Real>>(kTwo24)))};
  }
};

// The same policy and bits where no logit can leave [kSigmoidZeroBelow, kSigmoidOneFrom], which whoever chooses it has to know
// beforehand: no clamping in the lanes (3 of the 76 instructions of an episode on a GPU, 3 of 80 of a step).
template <class Parameter, int kInputs>
struct BoundedPolicy {
  SigmoidPolicy<Parameter, kInputs> policy;

  template <class Real>
  FRYER_LANE Decision<Real> sample(const Real (&observation)[kInputs], WordOf<Real> word) const {
    return policy.decide(sigmoid24_between(policy.logit(observation)), word);
  }
};

// A policy's more probable action, taken always: action 1 where p > 1/2, that is where the logit is above 0. For evaluation.
template <class Policy>
struct LikelierAction {
  Policy policy;

  template <class Real, int kInputs>
  FRYER_LANE Real logit(const Real (&observation)[kInputs]) const {
    return policy.logit(observation);
  }
  template <class Real, int kInputs>
  FRYER_LANE Decision<Real> sample(const Real (&observation)[kInputs], WordOf<Real>) const {
    return {less(Real(0.0f), policy.logit(observation)), Real(0.0f)};
  }
};
template <class Parameter, int kInputs>
using GreedyPolicy = LikelierAction<SigmoidPolicy<Parameter, kInputs>>;

}  // namespace fryer
