// SPDX-License-Identifier: Apache-2.0
// A sigmoid policy with one hidden layer: action 1 with probability p = sigmoid(output weights . units + bias), each unit sigmoid or tanh
// of its weights . observation + bias. Forward pass, sampling, and what the backward pass of -log pi needs, for one policy shared by
// all lanes or one a lane. The number of units is a run-time setting, the same for all lanes. Knows no environment.
#pragma once

#include "fryer/policy/initialisation.h"
#include "fryer/policy/sigmoid_policy.h"

namespace fryer {

// What a hidden unit makes of its sum.
enum class Activation { sigmoid, tanh };

inline constexpr int kMostHiddenUnits = 16;

// A network kInputs - units - 1. Its parameters stand in the order weight (out, in) row-major then bias, layer by layer: of unit j
// weights j kInputs .. j kInputs + kInputs - 1, after all of those the units' biases, the output's weights, its bias.
template <int kInputs>
struct HiddenShape {
  static constexpr bool kFixed = false;
  int units = 1;  // 1 .. kMostHiddenUnits
  Activation activation = Activation::tanh;

  FRYER_LANE int weight(int unit, int input) const { return unit * kInputs + input; }
  FRYER_LANE int bias(int unit) const { return units * kInputs + unit; }
  FRYER_LANE int output_weight(int unit) const { return units * (kInputs + 1) + unit; }
  FRYER_LANE int output_bias() const { return units * (kInputs + 2); }
  FRYER_LANE int parameters() const { return output_bias() + 1; }
  FRYER_LANE bool is_output_weight(int parameter) const { return parameter >= output_weight(0) && parameter < output_bias(); }
};

// Parameter: a scalar (shared by all lanes) or a Real (one policy a lane).
template <class Parameter, int kInputs>
struct HiddenPolicy {
  using Shape = HiddenShape<kInputs>;
  static constexpr int kParameters = kMostHiddenUnits * (kInputs + 2) + 1;  // at most
  template <class Other>
  using With = HiddenPolicy<Other, kInputs>;
  Shape network;
  Parameter parameter[kParameters];

  FRYER_LANE Shape shape() const { return network; }

  // The activation of a unit: of a chain of fma in the order of the inputs, from the bias.
  template <class Real>
  FRYER_LANE Real unit(int j, const Real (&observation)[kInputs]) const {
    Real z = Real(parameter[network.bias(j)]);
    FRYER_UNROLL for (int i = 0; i < kInputs; ++i) z = fma(Real(parameter[network.weight(j, i)]), observation[i], z);
    return network.activation == Activation::tanh ? fryer::tanh(z) : fryer::sigmoid(z);
  }
  template <class Real>
  FRYER_LANE Real logit(const Real (&observation)[kInputs]) const {
    Real z = Real(parameter[network.output_bias()]);
    for (int j = 0; j < network.units; ++j) z = fma(Real(parameter[network.output_weight(j)]), unit(j, observation), z);
    return z;
  }
  // The same, keeping the units' activations; and from activations that were kept.
  template <class Real>
  FRYER_LANE Real logit(const Real (&observation)[kInputs], Real* activations) const {
    for (int j = 0; j < network.units; ++j) activations[j] = unit(j, observation);
    return logit_of(activations);
  }
  template <class Real>
  FRYER_LANE Real logit_of(const Real* activations) const {
    Real z = Real(parameter[network.output_bias()]);
    for (int j = 0; j < network.units; ++j) z = fma(Real(parameter[network.output_weight(j)]), activations[j], z);
    return z;
  }
  // d logit / d the sum of unit j, whose activation is a: its output weight times the activation's derivative, 1 - a^2 (tanh) or
  // a - a^2 (sigmoid), one fma and one product. By the unit's bias it is that, by its weights that times an input, by its output weight
  // a, by the output's bias 1.
  template <class Real>
  FRYER_LANE Real slope(int j, Real a) const {
    const Real derivative = fnma(a, a, network.activation == Activation::tanh ? Real(1.0f) : a);
    return Real(parameter[network.output_weight(j)]) * derivative;
  }

  // As SigmoidPolicy samples.
  template <class Real>
  FRYER_LANE Decision<Real> sample(const Real (&observation)[kInputs], WordOf<Real> word) const {
    return decide(sigmoid24(logit(observation)), word);
  }
  template <class Real>
  static FRYER_LANE Decision<Real> decide(Real p24, WordOf<Real> word) {
    return SigmoidPolicy<Parameter, kInputs>::decide(p24, word);
  }
};

// The policy for one step whose activations are kept for the backward pass. logit() is of the observation sampled last.
template <class Policy, class Real>
struct RecordedPolicy {
  const Policy& policy;
  Real* activations;

  template <int kInputs>
  FRYER_LANE Decision<Real> sample(const Real (&observation)[kInputs], WordOf<Real> word) const {
    return policy.decide(sigmoid24(policy.logit(observation, activations)), word);
  }
  template <int kInputs>
  FRYER_LANE Real logit(const Real (&)[kInputs]) const {
    return policy.logit_of(activations);
  }
};

}  // namespace fryer
