// SPDX-License-Identifier: Apache-2.0
// The Q network 4 - h1 - h2 - 2 with ReLU: forward and backward pass with every sum in a written order, which scalar code, SIMD lanes and
// CUDA threads follow alike. This is the reference, one observation after the other (one a lane, where Real is a bundle);
// host/q_network_lanes.h spreads the same chains over lanes. Knows no environment and no algorithm.
//
// The order of sums. A dot product is one ascending chain of fma: forward from the bias, the gradient of a hidden layer from +0 over
// the layer above, then masked by ReLU. The output layer is bias + tree16 (core/tree_sum.h) for any width, so that a saved network gives
// the same bits wherever it runs. Gradients of parameters start at +0 and take samples in ascending order: weights by fma, biases by
// addition. Terms whose activation or slope is 0 may be left out while weights and first activations are finite: fma(0, w, c) = c, and
// the sign of a zero, which alone could differ, reaches no result (ReLU, Adam's flush and q_parameter_step remove it).
#pragma once

#include "fryer/core/tree_sum.h"
#include "fryer/policy/initialisation.h"

namespace fryer {

// Parameters stand in the order weight (out, in) row-major then bias, layer by layer, as torch.nn.Linear has them.
struct QNetworkShape {
  static constexpr int kInputs = 4, kActions = 2, kMostUnits = 256;
  int hidden1 = 64, hidden2 = 64;  // units of each hidden layer, 1 .. kMostUnits

  FRYER_LANE int weight_1(int unit, int input) const { return unit * kInputs + input; }
  FRYER_LANE int bias_1(int unit) const { return hidden1 * kInputs + unit; }
  FRYER_LANE int weight_2(int unit, int below) const { return hidden1 * (kInputs + 1) + unit * hidden1 + below; }
  FRYER_LANE int bias_2(int unit) const { return weight_2(hidden2, 0) + unit; }
  FRYER_LANE int weight_3(int action, int unit) const { return bias_2(hidden2) + action * hidden2 + unit; }
  FRYER_LANE int bias_3(int action) const { return weight_3(kActions, 0) + action; }
  FRYER_LANE int parameters() const { return bias_3(kActions); }
};

// What a forward pass leaves for the backward pass; value: Q(observation, action).
template <class Real>
struct QActivations {
  Real hidden1[QNetworkShape::kMostUnits], hidden2[QNetworkShape::kMostUnits];
  Real value[QNetworkShape::kActions];
};

// h > 0 ? h : +0, which makes 0 of NaN: failures are looked for in Q values, first activations and weights.
template <class Real>
FRYER_LANE Real relu(Real sum) {
  return select(less(Real(0.0f), sum), sum, Real(0.0f));
}

// The first layer's unit j. Shape: QNetworkShape, or another arrangement of the same parameters.
template <class Shape, class Real, class Parameter>
FRYER_LANE Real q_unit1(const Shape& shape, const Parameter* parameter, const Real (&observation)[QNetworkShape::kInputs],
                        int j) {
  Real z = Real(parameter[shape.bias_1(j)]);
  FRYER_UNROLL for (int i = 0; i < QNetworkShape::kInputs; ++i) z = fma(observation[i], Real(parameter[shape.weight_1(j, i)]), z);
  return relu(z);
}

// Forward pass. Parameter: a scalar (one network for all lanes) or a Real; parameter: shape.parameters() of them.
template <class Real, class Parameter>
FRYER_LANE void q_forward(const QNetworkShape& shape, const Parameter* parameter,
                          const Real (&observation)[QNetworkShape::kInputs], QActivations<Real>& a) {
  for (int j = 0; j < shape.hidden1; ++j) a.hidden1[j] = q_unit1(shape, parameter, observation, j);
  for (int k = 0; k < shape.hidden2; ++k) {
    Real z = Real(parameter[shape.bias_2(k)]);
    for (int j = 0; j < shape.hidden1; ++j) z = fma(a.hidden1[j], Real(parameter[shape.weight_2(k, j)]), z);
    a.hidden2[k] = relu(z);
  }
  for (int n = 0; n < QNetworkShape::kActions; ++n) {
    a.value[n] = Real(parameter[shape.bias_3(n)]) + tree16(a.hidden2, parameter + shape.weight_3(n, 0), shape.hidden2);
  }
}

// Derivative of a loss by the sum of a unit of the second layer, whose activation is hidden2 and whose weights in the output layer
// are `weight`; slope: by the values.
template <class Real>
FRYER_LANE Real q_slope2(const Real (&slope)[QNetworkShape::kActions], const Real (&weight)[QNetworkShape::kActions],
                         Real hidden2) {
  Real d = Real(0.0f);
  FRYER_UNROLL for (int n = 0; n < QNetworkShape::kActions; ++n) d = fma(slope[n], weight[n], d);
  return select(less(Real(0.0f), hidden2), d, Real(0.0f));
}

// Backward pass of one sample: adds to `gradient` (in the parameters' order, +0 before the first sample) that of a loss whose
// derivative by the values is `slope`.
template <class Real>
FRYER_LANE void q_backward(const QNetworkShape& shape, const Real* parameter, const Real (&observation)[QNetworkShape::kInputs],
                           const QActivations<Real>& a, const Real (&slope)[QNetworkShape::kActions], Real* gradient) {
  Real slope2[QNetworkShape::kMostUnits];
  for (int n = 0; n < QNetworkShape::kActions; ++n) {
    gradient[shape.bias_3(n)] = gradient[shape.bias_3(n)] + slope[n];
    for (int k = 0; k < shape.hidden2; ++k) {
      Real& g = gradient[shape.weight_3(n, k)];
      g = fma(slope[n], a.hidden2[k], g);
    }
  }
  for (int k = 0; k < shape.hidden2; ++k) {
    const Real weight[QNetworkShape::kActions] = {parameter[shape.weight_3(0, k)], parameter[shape.weight_3(1, k)]};
    slope2[k] = q_slope2(slope, weight, a.hidden2[k]);
    gradient[shape.bias_2(k)] = gradient[shape.bias_2(k)] + slope2[k];
    for (int j = 0; j < shape.hidden1; ++j) {
      Real& g = gradient[shape.weight_2(k, j)];
      g = fma(slope2[k], a.hidden1[j], g);
    }
  }
  for (int j = 0; j < shape.hidden1; ++j) {
    Real d = Real(0.0f);
    for (int k = 0; k < shape.hidden2; ++k) d = fma(slope2[k], parameter[shape.weight_2(k, j)], d);
    d = select(less(Real(0.0f), a.hidden1[j]), d, Real(0.0f));
    gradient[shape.bias_1(j)] = gradient[shape.bias_1(j)] + d;
    for (int i = 0; i < QNetworkShape::kInputs; ++i) {
      Real& g = gradient[shape.weight_1(j, i)];
      g = fma(observation[i], d, g);
    }
  }
}

// Largest magnitudes of the three layers' initial parameters.
struct QInitialBounds {
  InitialBounds layer[3];
};
inline QInitialBounds initial_bounds(Initialisation initialisation, const QNetworkShape& shape) {
  return {{initial_bounds(initialisation, QNetworkShape::kInputs, shape.hidden1),
           initial_bounds(initialisation, shape.hidden1, shape.hidden2),
           initial_bounds(initialisation, shape.hidden2, QNetworkShape::kActions)}};
}

// The network a seed starts from: parameter i is made of word i % 4 of block i / 4 of the seed's initialisation. This is block
// `block`: calls put(i, parameter i) for those of its four that there are.
template <class Put>
FRYER_LANE void initialise_q_parameters(const QNetworkShape& shape, const QInitialBounds& bounds, std::uint64_t seed, int block,
                                        const Put& put) {
  const RandomBlock<std::uint32_t> words = random_block(seed, Purpose::initialisation, 0, static_cast<std::uint64_t>(block));
  const std::uint32_t word[4] = {words.x, words.y, words.z, words.w};
  FRYER_UNROLL for (int offset = 0; offset < 4; ++offset) {
    const int i = 4 * block + offset;
    if (i >= shape.parameters()) continue;
    const int layer = i < shape.weight_2(0, 0) ? 0 : i < shape.weight_3(0, 0) ? 1 : 2;
    const bool is_bias = layer == 0 ? i >= shape.bias_1(0) : layer == 1 ? i >= shape.bias_2(0) : i >= shape.bias_3(0);
    put(i, initial_parameter(word[offset], is_bias ? bounds.layer[layer].bias : bounds.layer[layer].weight));
  }
}
// All of it. parameter: shape.parameters() numbers.
FRYER_LANE void initialise_q_network(const QNetworkShape& shape, const QInitialBounds& bounds, std::uint64_t seed,
                                     float* parameter) {
  for (int block = 0; 4 * block < shape.parameters(); ++block)
    initialise_q_parameters(shape, bounds, seed, block, [&](int i, float p) FRYER_INLINE_LAMBDA { parameter[i] = p; });
}

}  // namespace fryer
