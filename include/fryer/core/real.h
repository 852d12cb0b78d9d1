// SPDX-License-Identifier: Apache-2.0
// The vocabulary of lane programs for one lane: a float (scalar executor, CUDA thread) or a double (conformance tests).
// host/simd.h gives the same names for bundles of SIMD vectors, found by argument-dependent lookup. Every operation is exact or
// correctly rounded by IEEE 754, so every Real built on float gives the same bits. Masks are combined by named functions, since
// `bool & bool` is an int.
#pragma once

#include <cmath>
#include <cstdint>

#include "fryer/core/portability.h"

namespace fryer {

// The types that go with a Real: Word (32 random bits), Mask (a truth value a lane), Wide (a Word in a 64-bit slot, or a 64-bit
// product), Scalar (one lane's number), kLanes (lanes in a Real).
template <class Real>
struct LaneTypes;

// One word, or the 64-bit product of two, in a 64-bit slot.
struct WideWord {
  std::uint64_t value;
};

template <>
struct LaneTypes<float> {
  using Scalar = float;
  using Word = std::uint32_t;
  using Mask = bool;
  using Wide = WideWord;
  static constexpr int kLanes = 1;
  static constexpr int kVectors = 1;
};

template <>
struct LaneTypes<double> {
  using Scalar = double;
  using Word = std::uint32_t;
  using Mask = bool;
  using Wide = WideWord;
  static constexpr int kLanes = 1;
  static constexpr int kVectors = 1;
};

template <class Real>
using ScalarOf = typename LaneTypes<Real>::Scalar;
template <class Real>
using WordOf = typename LaneTypes<Real>::Word;
template <class Real>
using MaskOf = typename LaneTypes<Real>::Mask;
template <class Real>
using WideOf = typename LaneTypes<Real>::Wide;

// ---- bits

FRYER_LANE std::uint32_t to_bits(float x) { return __builtin_bit_cast(std::uint32_t, x); }
FRYER_LANE std::uint64_t to_bits(double x) { return __builtin_bit_cast(std::uint64_t, x); }
FRYER_LANE float from_bits(std::uint32_t x) { return __builtin_bit_cast(float, x); }
FRYER_LANE double from_bits(std::uint64_t x) { return __builtin_bit_cast(double, x); }

// The number whose bits are those of x shifted left: makes a power of two of a biased exponent held in the low bits.
template <int bits>
FRYER_LANE float shift_bits_left(float x) {
  return from_bits(to_bits(x) << bits);
}
template <int bits>
FRYER_LANE double shift_bits_left(double x) {
  return from_bits(to_bits(x) << bits);
}

// ---- arithmetic: one rounding each

#if defined(__CUDA_ARCH__)
FRYER_LANE float fma(float a, float b, float c) { return __fmaf_rn(a, b, c); }
FRYER_LANE double fma(double a, double b, double c) { return __fma_rn(a, b, c); }
FRYER_LANE float square_root(float a) { return __fsqrt_rn(a); }
FRYER_LANE double square_root(double a) { return __dsqrt_rn(a); }
#else
FRYER_LANE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
FRYER_LANE double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
FRYER_LANE float square_root(float a) { return __builtin_sqrtf(a); }
FRYER_LANE double square_root(double a) { return __builtin_sqrt(a); }
#endif
// c - a * b
FRYER_LANE float fnma(float a, float b, float c) { return fma(-a, b, c); }
FRYER_LANE double fnma(double a, double b, double c) { return fma(-a, b, c); }
#if defined(__CUDA_ARCH__)
// An operand's modifier, free in comparisons; a mask would be an instruction.
FRYER_LANE float absolute(float a) { return fabsf(a); }
FRYER_LANE double absolute(double a) { return fabs(a); }
#else
FRYER_LANE float absolute(float a) { return from_bits(to_bits(a) & 0x7fffffffu); }
FRYER_LANE double absolute(double a) { return from_bits(to_bits(a) & std::uint64_t{0x7fffffffffffffff}); }
#endif
// a, negated where the sign bit of s is set.
FRYER_LANE float flip_sign(float a, float s) { return from_bits(to_bits(a) ^ (to_bits(s) & 0x80000000u)); }
FRYER_LANE double flip_sign(double a, double s) {
  return from_bits(to_bits(a) ^ (to_bits(s) & std::uint64_t{0x8000000000000000}));
}
// A positive normal number x is significand_of(x) 2^exponent_of(x), the significand in [1, 2). Any other x gives finite numbers.
FRYER_LANE float exponent_of(float x) { return static_cast<float>(static_cast<std::int32_t>(to_bits(x) >> 23) - 127); }
FRYER_LANE double exponent_of(double x) { return static_cast<double>(static_cast<std::int64_t>(to_bits(x) >> 52) - 1023); }
FRYER_LANE float significand_of(float x) { return from_bits((to_bits(x) & 0x007fffffu) | 0x3f800000u); }
FRYER_LANE double significand_of(double x) {
  return from_bits((to_bits(x) & std::uint64_t{0x000fffffffffffff}) | std::uint64_t{0x3ff0000000000000});
}

// magnitude (not negative) with the sign of x
FRYER_LANE float copy_sign(float magnitude, float x) { return from_bits(to_bits(magnitude) | (to_bits(x) & 0x80000000u)); }
FRYER_LANE double copy_sign(double magnitude, double x) {
  return from_bits(to_bits(magnitude) | (to_bits(x) & std::uint64_t{0x8000000000000000}));
}

// a < b ? a : b and a > b ? a : b: the second argument where either is NaN, as the x86 instructions do. Put the value whose NaN
// must survive second.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
// FMNMX drops NaN; its .NAN form keeps one from either side. The bound is never NaN, so both forms agree with the CPU.
FRYER_LANE float minimum(float bound, float x) {
  float r;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(bound), "f"(x));
  return r;
}
FRYER_LANE float maximum(float bound, float x) {
  float r;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(bound), "f"(x));
  return r;
}
#else
FRYER_LANE float minimum(float bound, float x) { return bound < x ? bound : x; }
FRYER_LANE float maximum(float bound, float x) { return bound > x ? bound : x; }
#endif
FRYER_LANE double minimum(double bound, double x) { return bound < x ? bound : x; }
FRYER_LANE double maximum(double bound, double x) { return bound > x ? bound : x; }

// 1 / d, correctly rounded; d must be a normal number in [2^-126, 2^126].
FRYER_LANE float reciprocal(float d) {
#if defined(__CUDA_ARCH__)
  // The fast path of rcp.rn.f32 without its range check (19 % of an episode): one Newton step from an approximation good to 1 ULP
  // rounds correctly for every mantissa; tests/kernels checks all 2^23 of them on a GPU.
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(d));
  return fma(fma(-d, y, 1.0f), y, y);
#else
  return 1.0f / d;
#endif
}
FRYER_LANE double reciprocal(double d) { return 1.0 / d; }

// a / d, correctly rounded, for d as in `reciprocal` and a quotient that is 0 or far from the ends of the exponent range.
FRYER_LANE float divide_normal(float a, float d) {
#if defined(__CUDA_ARCH__)
  // The fast path of div.rn.f32 without its range check (19 % of a CartPole step with the sigmoid's).
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(d));
  y = fma(fma(-d, y, 1.0f), y, y);
  const float q = a * y;
  return fma(fma(-d, q, a), y, q);
#else
  return a / d;
#endif
}
FRYER_LANE double divide_normal(double a, double d) { return a / d; }

// ---- masks and choices

FRYER_LANE float select(bool m, float a, float b) { return m ? a : b; }
FRYER_LANE double select(bool m, double a, double b) { return m ? a : b; }
FRYER_LANE std::uint32_t select(bool m, std::uint32_t a, std::uint32_t b) { return m ? a : b; }
// x where m holds, else +0.
FRYER_LANE float keep_if(bool m, float x) { return m ? x : 0.0f; }
FRYER_LANE double keep_if(bool m, double x) { return m ? x : 0.0; }
FRYER_LANE bool less(float a, float b) { return a < b; }
FRYER_LANE bool less(double a, double b) { return a < b; }
FRYER_LANE bool not_less(float a, float b) { return !(a < b); }  // true for NaN
FRYER_LANE bool not_less(double a, double b) { return !(a < b); }
FRYER_LANE bool less(std::uint32_t a, std::uint32_t b) { return a < b; }  // words below 2^31 (SIMD compares them as signed)
FRYER_LANE bool both(bool a, bool b) { return a && b; }
FRYER_LANE bool either(bool a, bool b) { return a || b; }
FRYER_LANE bool negate(bool a) { return !a; }
FRYER_LANE bool same(bool a, bool b) { return a == b; }
FRYER_LANE bool any(bool a) { return a; }
FRYER_LANE bool all(bool a) { return a; }
FRYER_LANE std::uint32_t count(bool a) { return a ? 1u : 0u; }
FRYER_LANE bool and_at_most(bool m, float a, float bound) { return m && a <= bound; }  // false for NaN
FRYER_LANE bool and_at_most(bool m, double a, double bound) { return m && a <= bound; }
FRYER_LANE float add_if(bool m, float a, float b) { return m ? a + b : a; }
FRYER_LANE double add_if(bool m, double a, double b) { return m ? a + b : a; }
// a * b + c where m holds, else c.
FRYER_LANE float fma_if(bool m, float a, float b, float c) { return m ? fma(a, b, c) : c; }
FRYER_LANE double fma_if(bool m, double a, double b, double c) { return m ? fma(a, b, c) : c; }
FRYER_LANE float subtract_if(bool m, float a, float b) { return m ? a - b : a; }
FRYER_LANE double subtract_if(bool m, double a, double b) { return m ? a - b : a; }
FRYER_LANE std::uint32_t increment_if(bool m, std::uint32_t n) {
#if defined(__CUDA_ARCH__)
  // One predicated add; of the expression below nvcc makes an add and a move.
  asm("{ .reg .pred p; setp.ne.u32 p, %1, 0; @p add.u32 %0, %0, 1; }" : "+r"(n) : "r"(static_cast<std::uint32_t>(m)));
  return n;
#else
  return m ? n + 1 : n;
#endif
}

// Instead of a mask, where it is known to hold in all lanes.
struct Everywhere {};
template <class Real>
FRYER_LANE Real keep_if(Everywhere, Real x) {
  return x;
}
template <class Real>
FRYER_LANE Real add_if(Everywhere, Real a, Real b) {
  return a + b;
}
template <class Real>
FRYER_LANE Real fma_if(Everywhere, Real a, Real b, Real c) {
  return fma(a, b, c);
}

// True in lanes whose value is neither infinite nor NaN.
FRYER_LANE bool is_finite(float a) { return absolute(a) <= 0x1.fffffep127f; }
FRYER_LANE bool is_finite(double a) { return absolute(a) <= 0x1.fffffffffffffp1023; }

// ---- words

template <int bits>
FRYER_LANE std::uint32_t shift_right(std::uint32_t w) {
  return w >> bits;
}

FRYER_LANE std::uint32_t multiply_low(std::uint32_t a, std::uint32_t b) { return a * b; }
// The smaller of a word and a bound, both below 2^31.
FRYER_LANE std::uint32_t at_most(std::uint32_t w, std::uint32_t bound) { return w < bound ? w : bound; }

// A word below 2^31 as a Real: exact below 2^24 (float) or always (double).
template <class Real>
FRYER_LANE Real to_real(std::uint32_t w) {
  return static_cast<Real>(static_cast<std::int32_t>(w));
}

// 64-bit slots for Philox: products of 32-bit words.
FRYER_LANE WideWord widen(std::uint32_t w) { return {w}; }
FRYER_LANE WideWord multiply_wide(WideWord a, std::uint32_t m) {
  return {static_cast<std::uint64_t>(static_cast<std::uint32_t>(a.value)) * m};
}
FRYER_LANE WideWord high_word(WideWord p) { return {p.value >> 32}; }
FRYER_LANE WideWord exclusive_or(WideWord a, WideWord b, std::uint32_t k) {
  return {static_cast<std::uint32_t>(a.value) ^ static_cast<std::uint32_t>(b.value) ^ k};
}
FRYER_LANE WideWord exclusive_or(WideWord a, WideWord b, WideWord k) {
  return exclusive_or(a, b, static_cast<std::uint32_t>(k.value));
}
FRYER_LANE std::uint32_t exclusive_or(std::uint32_t a, std::uint32_t b, std::uint32_t k) { return a ^ b ^ k; }
FRYER_LANE std::uint32_t narrow_low(WideWord p) { return static_cast<std::uint32_t>(p.value); }
FRYER_LANE std::uint32_t narrow_high(WideWord p) { return static_cast<std::uint32_t>(p.value >> 32); }

// base + lane number, as Words.
template <class Word>
struct LaneNumbers;
template <>
struct LaneNumbers<std::uint32_t> {
  static FRYER_LANE std::uint32_t from(std::uint32_t base) { return base; }
};

// ---- lane by lane access, for the rare work between blocks (a lane taking new work, results)

FRYER_LANE void store(float x, float* to) { *to = x; }
FRYER_LANE void store(std::uint32_t x, std::uint32_t* to) { *to = x; }
FRYER_LANE void store_mask(bool x, std::uint32_t* to) { *to = x ? 1u : 0u; }
FRYER_LANE void load(const float* from, float& x) { x = *from; }
FRYER_LANE void load(const std::uint32_t* from, std::uint32_t& x) { x = *from; }

// ---- one lane of a table: the same index in all lanes (a broadcast), or one a lane (a gather)

template <class Real>
FRYER_LANE Real lookup(const ScalarOf<Real>* table, std::uint32_t index) {
  return Real(table[index]);
}

}  // namespace fryer
