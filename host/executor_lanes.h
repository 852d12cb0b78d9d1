// SPDX-License-Identifier: Apache-2.0
// What the CPU executors' files share: which lanes they are compiled for (FRYER_EXECUTOR: scalar, avx2, avx512), and access to single
// vectors and lanes of a bundle for the rare work between blocks. One lane has the same names, so that an executor is written once.
#pragma once

#include <cstring>

#define FRYER_IS_scalar 1
#define FRYER_CONCATENATE_(a, b) a##b
#define FRYER_CONCATENATE(a, b) FRYER_CONCATENATE_(a, b)
#define FRYER_SCALAR_EXECUTOR FRYER_CONCATENATE(FRYER_IS_, FRYER_EXECUTOR)

#include "fryer/core/exact_sum.h"
#include "fryer/core/real.h"
#if !FRYER_SCALAR_EXECUTOR
#include "host/simd.h"
#endif

// A loop over bundles stays a loop: unrolled, the state of all of them would not fit the registers.
#if defined(__clang__)
#define FRYER_KEEP_LOOP _Pragma("clang loop unroll(disable)")
#else
#define FRYER_KEEP_LOOP _Pragma("GCC unroll 1")
#endif

namespace fryer::FRYER_EXECUTOR {

#if FRYER_SCALAR_EXECUTOR
inline constexpr int kVectorLanes = 1;
template <class Real>
using VectorOf = Real;
template <class T>
FRYER_LANE T vector_of(T x, int) {
  return x;
}
template <class T>
FRYER_LANE void set_vector(T& x, int, T part) {
  x = part;
}
FRYER_LANE std::uint32_t mask_bits(bool m) { return m ? 1u : 0u; }
FRYER_LANE std::uint32_t vectors_with_any(bool m) { return m ? 1u : 0u; }
FRYER_LANE float expand(bool m, const float* from, float old) { return m ? *from : old; }
FRYER_LANE std::uint32_t expand_numbers(bool m, std::uint32_t first, std::uint32_t old) { return m ? first : old; }
#else
template <class Real>
using VectorOf = VReal<1>;
#endif

// One lane of a bundle in memory.
template <class Number, class Bundle>
FRYER_LANE Number get_lane(const Bundle& bundle, std::uint32_t lane) {
  static_assert(sizeof(Bundle) % sizeof(Number) == 0);
  Number x;
  __builtin_memcpy(&x, reinterpret_cast<const char*>(&bundle) + lane * sizeof(Number), sizeof(Number));
  return x;
}
template <class Number, class Bundle>
FRYER_LANE void set_lane(Bundle& bundle, std::uint32_t lane, Number x) {
  static_assert(sizeof(Bundle) % sizeof(Number) == 0);
  __builtin_memcpy(reinterpret_cast<char*>(&bundle) + lane * sizeof(Number), &x, sizeof(Number));
}

// Bit i: lane i of a bundle of 32 lanes at most.
template <int kVectors, class Mask>
FRYER_LANE std::uint32_t lane_bits(const Mask& m) {
  static_assert(kVectors * kVectorLanes <= 32);
  std::uint32_t bits = 0;
  FRYER_UNROLL for (int g = 0; g < kVectors; ++g) bits |= mask_bits(vector_of(m, g)) << (g * kVectorLanes);
  return bits;
}

}  // namespace fryer::FRYER_EXECUTOR
