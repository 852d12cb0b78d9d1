// SPDX-License-Identifier: Apache-2.0
// Where a network's parameters start: the practised initialisations by name, from addressed random numbers, for any policy made of
// linear layers. Bounds are made on the host, parameters anywhere.
#pragma once

#include <cmath>

#include "fryer/core/philox.h"

namespace fryer {

// From a replica's seed: torch (PyTorch's Linear), uniform within +-1/sqrt(fan_in), biases too; glorot within +-sqrt(6 / (fan_in +
// fan_out)) and he within +-sqrt(6 / fan_in), biases 0; or all 0.
enum class Initialisation { torch, glorot, he, zero };

// Largest magnitudes of a layer's initial parameters, narrowed once.
struct InitialBounds {
  float weight, bias;
};
inline InitialBounds initial_bounds(Initialisation initialisation, int fan_in, int fan_out) {
  const double in = fan_in, out = fan_out;
  switch (initialisation) {
    case Initialisation::torch: {
      const auto bound = static_cast<float>(1 / std::sqrt(in));
      return {bound, bound};
    }
    case Initialisation::glorot:
      return {static_cast<float>(std::sqrt(6 / (in + out))), 0};
    case Initialisation::he:
      return {static_cast<float>(std::sqrt(6 / in)), 0};
    case Initialisation::zero:
      break;
  }
  return {0, 0};
}

// Parameter i of a replica is made of word i % 4 of block i / 4 of its seed's initialisation: bound (2 u - 1), u = (word >> 8) 2^-24, one
// rounding; +0 where the bound is 0.
FRYER_LANE float initial_parameter(std::uint32_t word, float bound) {
  return bound == 0 ? 0.0f : bound * fma(uniform24<float>(word), 0x1p-23f, -1.0f);
}

}  // namespace fryer
