// SPDX-License-Identifier: Apache-2.0
// tree16: a sum of products in the one order that a 16-lane vector, two 8-lane vectors, a warp and a loop can all follow without
// reordering. Used where few numbers are made of many, as in a network's output layer.
#pragma once

#include "fryer/core/real.h"

namespace fryer {

inline constexpr int kTreeLanes = 16;

// The total of 16 partial sums: p[l] + p[l + 8], then + 4, + 2, + 1. Changes p.
template <class Real>
FRYER_LANE Real fold16(Real (&p)[kTreeLanes]) {
  for (int width = kTreeLanes / 2; width != 0; width /= 2) {
    for (int l = 0; l < width; ++l) p[l] = p[l] + p[l + width];
  }
  return p[0];
}

// Partial sum l of tree16, for threads that have one each.
template <class Real, class Parameter>
FRYER_LANE Real tree16_partial(const Real* x, const Parameter* w, int n, int l) {
  Real p = l < n ? x[l] * Real(w[l]) : Real(0.0f);
  for (int k = l + kTreeLanes; k - l < n; k += kTreeLanes) {
    const bool inside = k < n;
    p = fma(inside ? x[k] : Real(0.0f), inside ? Real(w[k]) : Real(0.0f), p);
  }
  return p;
}

// Sum over k < n of x(k) w[k]: p[l] = x(l) w[l], then fma for k = l + 16, l + 32, ..., then fold16. Where n is no multiple of 16 both
// are followed by +0 (which decides the sign of a sum of zeros, and no more).
template <class Real, class X, class Parameter>
FRYER_LANE Real tree16_of(const X& x, const Parameter* w, int n) {
  Real p[kTreeLanes];
  for (int l = 0; l < kTreeLanes; ++l) p[l] = l < n ? x(l) * Real(w[l]) : Real(0.0f);
  for (int first = kTreeLanes; first < n; first += kTreeLanes) {
    for (int l = 0; l < kTreeLanes; ++l) {
      const bool inside = first + l < n;
      p[l] = fma(inside ? x(first + l) : Real(0.0f), inside ? Real(w[first + l]) : Real(0.0f), p[l]);
    }
  }
  return fold16(p);
}
// The same of two arrays.
template <class Real, class Parameter>
FRYER_LANE Real tree16(const Real* x, const Parameter* w, int n) {
  return tree16_of<Real>([x](int k) FRYER_INLINE_LAMBDA { return x[k]; }, w, n);
}

}  // namespace fryer
