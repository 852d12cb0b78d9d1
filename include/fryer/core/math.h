// SPDX-License-Identifier: Apache-2.0
// The maths leaves of lane programs: fixed sequences of correctly rounded operations, so every target gives the same bits.
// Each states its range and its largest error in units in the last place (ULP); tests/core asserts the same numbers.
// For every leaf NaN gives NaN and nothing else does. Each algorithm is written once: only constants differ between float lanes
// (scalar, CUDA thread, SIMD) and double, which is there to be compared with PyTorch's and Gymnasium's float64.
// No libm here: its results differ between machines.
#pragma once

#include "fryer/core/real.h"

namespace fryer {

// 2^24: uniform numbers and probabilities are kept as multiples of 2^-24 scaled by it, which saves the multiplication.
inline constexpr double kTwo24 = 16777216.0;

// Below this logit the probability would be a subnormal float: it is exactly 0 there.
inline constexpr float kSigmoidZeroBelow = -87.33654f;

// From here on it counts as this logit, whose probability is 1.
inline constexpr float kSigmoidOneFrom = 70.0f;

// sin and cos are good to here (radians); a larger angle counts as this one.
inline constexpr double kLargestAngle = 1e5;

// sin_small and cos_small are good to here (radians): 12 degrees are 0.2094.
inline constexpr double kLargestSmallAngle = 0.21;

namespace math_detail {

// Second constants of fused multiply-adds. A GPU's instruction has room for one: of two literals nvcc moves one into a register anew in
// each round of a loop, while what it cannot know, from constant memory, stays there (CartPole: 81.25 to 80.25 instructions a step).
enum class Held { log2_e, exp_tail, sin_small_tail, cos_small_tail };
inline constexpr float kHeld[] = {1.44269504f, -0.00019790243823081255f, 0.008320975117385387f, 0.04158017784357071f};
#if defined(__CUDACC__)
static __constant__ float device_held[] = {kHeld[0], kHeld[1], kHeld[2], kHeld[3]};
#endif
FRYER_LANE float held(Held which) {
#if defined(__CUDA_ARCH__)
  return device_held[static_cast<int>(which)];
#else
  return kHeld[static_cast<int>(which)];
#endif
}

// c0 + c1 x + c2 x^2 + ... by Horner's rule, one fma a coefficient.
template <class Real>
FRYER_LANE Real polynomial(Real, ScalarOf<Real> c0) {
  return Real(c0);
}
template <class Real, class... Scalars>
FRYER_LANE Real polynomial(Real x, ScalarOf<Real> c0, Scalars... higher) {
  return fma(polynomial(x, higher...), x, Real(c0));
}

// What the leaves need of a precision. The polynomials are minimax (Remez exchange in 300 bits, then rounded; in float each rounded
// coefficient was held while the rest was fitted again) on the intervals that the range reductions leave.
template <class Scalar>
struct Constants;

template <>
struct Constants<float> {
  static constexpr int kMantissaBits = 23, kSignBit = 31;
  static constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to the nearest integer, found in the low bits
  static constexpr float kExponentBias = 127.0f;
  static constexpr float kInfinity = __builtin_inff();
  static constexpr float kSmallest = 0x1p-149f, kSmallestNormal = 0x1p-126f;

  static constexpr float kSigmoidZeroBelow = fryer::kSigmoidZeroBelow;
  static constexpr float kExpInfiniteAbove = 89.0f, kExpZeroBelow = -104.0f;  // both beyond the last finite and positive result
  static FRYER_LANE float log2_e() { return held(Held::log2_e); }
  static constexpr float kLn2 = 0.693147182f, kLn2Rest = -1.904654323148236e-09f;
  static constexpr float kLn2Short = 0x1.62e4p-1f, kLn2ShortRest = 0x1.7f7d1cp-20f;  // times an exponent: exact
  static constexpr float kTwoOverPi = 0x1.45f306p-1f;
  static constexpr float kHalfPi = 0x1.921fb6p+0f, kHalfPiRest = -0x1.777a5cp-25f, kHalfPiRestOfRest = -0x1.ee59dap-50f;

  // (exp(-r) - 1 + r) / r^2, |r| <= 0.3466
  template <class Real>
  static FRYER_LANE Real exp_tail(Real r) {
    return polynomial(r, 0.5f, -0.1666666567325592f, 0.04166629537940025f, -0.008333497680723667f, 0.0013944758102297783f,
                      held(Held::exp_tail));
  }
  // (2 atanh(s) / s - 2) / s^2, s^2 = w <= 0.04
  template <class Real>
  static FRYER_LANE Real log_tail(Real w) {
    return polynomial(w, 0x1.5555b4p-1f, 0x1.992a9cp-2f, 0x1.36eea6p-2f);
  }
  // (sin(x) / x - 1) / x^2 and (cos(x) - 1 + x^2 / 2) / x^4, x^2 = t, |x| <= 0.8
  template <class Real>
  static FRYER_LANE Real sin_tail(Real t) {
    return polynomial(t, -0x1.555544p-3f, 0x1.1106aep-7f, -0x1.990f96p-13f);
  }
  template <class Real>
  static FRYER_LANE Real cos_tail(Real t) {
    return polynomial(t, 0x1.555548p-5f, -0x1.6c0af4p-10f, 0x1.999112p-16f);
  }
  // (sin(x) / x - 1) / x^2 and (cos(x) - 1) / x^2, |x| <= 0.21
  template <class Real>
  static FRYER_LANE Real sin_small_tail(Real t) {
    return polynomial(t, -0.16666649281978607f, held(Held::sin_small_tail));
  }
  template <class Real>
  static FRYER_LANE Real cos_small_tail(Real t) {
    return polynomial(t, -0.4999988079071045f, held(Held::cos_small_tail));
  }
};

template <>
struct Constants<double> {
  static constexpr int kMantissaBits = 52, kSignBit = 63;
  static constexpr double kMagic = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double kExponentBias = 1023.0;
  static constexpr double kInfinity = __builtin_inf();
  static constexpr double kSmallest = 0x1p-1074, kSmallestNormal = 0x1p-1022;

  static constexpr double kSigmoidZeroBelow = -708.396;
  static constexpr double kExpInfiniteAbove = 710.0, kExpZeroBelow = -746.0;
  static FRYER_LANE double log2_e() { return 0x1.71547652b82fep+0; }
  static constexpr double kLn2 = 0x1.62e42fefa39efp-1, kLn2Rest = 0x1.abc9e3b39803fp-56;
  static constexpr double kLn2Short = 0x1.62e42fefa3800p-1, kLn2ShortRest = 0x1.ef35793c76730p-45;
  static constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;
  static constexpr double kHalfPi = 0x1.921fb54442d18p+0, kHalfPiRest = 0x1.1a62633145c07p-54,
                          kHalfPiRestOfRest = -0x1.f1976b7ed8fbcp-110;

  template <class Real>
  static FRYER_LANE Real exp_tail(Real r) {
    return polynomial(r, 0.5, -0x1.5555555555556p-3, 0x1.55555555556fcp-5, -0x1.11111111104fap-7, 0x1.6c16c16bb62c7p-10,
                      -0x1.a01a01aac58dap-13, 0x1.a01a02da9eda0p-16, -0x1.71de042b41c9ep-19, 0x1.27e31ac79db4bp-22,
                      -0x1.af4b97a91005cp-26, 0x1.21561fd8bea67p-29);
  }
  template <class Real>
  static FRYER_LANE Real log_tail(Real w) {
    return polynomial(w, 0x1.555555555554fp-1, 0x1.999999999c179p-2, 0x1.24924921e4536p-2, 0x1.c71c748fbadfdp-3,
                      0x1.745c4adbafae8p-3, 0x1.3b35c0fc13951p-3, 0x1.0dcb8e9f7d8ddp-3, 0x1.1b81dfb5c3a1fp-3);
  }
  template <class Real>
  static FRYER_LANE Real sin_tail(Real t) {
    return polynomial(t, -0x1.5555555555555p-3, 0x1.111111111106ep-7, -0x1.a01a019fffedep-13, 0x1.71de3a367fc5bp-19,
                      -0x1.ae6430dde442ap-26, 0x1.610d15665c8a9p-33, -0x1.a1d5eec1e058fp-41);
  }
  template <class Real>
  static FRYER_LANE Real cos_tail(Real t) {
    return polynomial(t, 0x1.5555555555548p-5, -0x1.6c16c16c149a6p-10, 0x1.a01a019bef2c8p-16, -0x1.27e4f77e50f06p-22,
                      0x1.1ee98d98afba4p-29, -0x1.8f7e11ca500e4p-37);
  }
  template <class Real>
  static FRYER_LANE Real sin_small_tail(Real t) {
    return polynomial(t, -0x1.5555555555467p-3, 0x1.11111110440cfp-7, -0x1.a019f3eac34cfp-13, 0x1.7181bc7d3242bp-19);
  }
  template <class Real>
  static FRYER_LANE Real cos_small_tail(Real t) {
    return polynomial(t, -0.5, 0x1.55555555554aep-5, -0x1.6c16c16b41094p-10, 0x1.a019f5e659ae5p-16, -0x1.27a056e6e24cdp-22);
  }
};

template <class Real>
using ConstantsOf = Constants<ScalarOf<Real>>;

// exp(-z) 2^-n for n = round(-z / ln 2), in [0.70, 1.42]. With r = z + n ln 2 (two terms of ln 2, the first fma exact) it is
// 1 - (r - r^2 q(r)). Measured: with one term of ln 2, or Horner's rule to the end, the sigmoid is no longer monotone.
template <class Real>
FRYER_LANE Real exp_minus_mantissa(Real z, Real n) {
  using C = ConstantsOf<Real>;
  const Real r = fma(n, Real(C::kLn2Rest), fma(n, Real(C::kLn2), z));
  return Real(1) - fnma(r * r, C::exp_tail(r), r);
}

// exp(-z) for any z: 2^n in two factors, so that the result may overflow or be rounded once to a subnormal.
template <class Real>
FRYER_LANE Real exp_minus(Real z) {
  using C = ConstantsOf<Real>;
  z = maximum(Real(-C::kExpInfiniteAbove), minimum(Real(-C::kExpZeroBelow), z));
  const Real n = fma(z, Real(-C::log2_e()), Real(C::kMagic)) - Real(C::kMagic);
  constexpr auto magic = C::kMagic + C::kExponentBias;
  const Real biased = fma(n, Real(0.5f), Real(magic));
  const Real rest = n - (biased - Real(magic));
  return exp_minus_mantissa(z, n) * shift_bits_left<C::kMantissaBits>(biased) *
         shift_bits_left<C::kMantissaBits>(rest + Real(magic));
}

// log(1 + f) = f - log_shortfall(f) for -0.25 <= f <= 0.5: with s = f / (2 + f) it is 2 atanh(s), and f - f^2/2 + s (f^2/2 + R(s))
// (K. C. Ng's arrangement in FDLIBM) leaves all the rounding to terms that are small beside f.
template <class Real>
FRYER_LANE Real log_shortfall(Real f) {
  const Real half_square = Real(0.5f) * f * f;
  const Real s = f / (Real(2) + f);
  const Real w = s * s;
  return fnma(s, fma(w, ConstantsOf<Real>::log_tail(w), half_square), half_square);
}

// |x| less the nearest multiple of pi/2, in [-0.8, 0.8], and that multiple as an integer in the low bits of a Real. Cody and Waite
// with three terms: the first fma is exact.
template <class Real>
struct ReducedAngle {
  Real remainder, quadrant;
};
template <class Real>
FRYER_LANE ReducedAngle<Real> reduce_angle(Real x) {
  using C = ConstantsOf<Real>;
  const Real a = minimum(Real(static_cast<ScalarOf<Real>>(kLargestAngle)), absolute(x));
  const Real biased = fma(a, Real(C::kTwoOverPi), Real(C::kMagic));
  const Real n = biased - Real(C::kMagic);
  return {fnma(n, Real(C::kHalfPiRestOfRest), fnma(n, Real(C::kHalfPiRest), fnma(n, Real(C::kHalfPi), a))), biased};
}

// sin(remainder + quadrant pi/2). Bit 0 of the quadrant chooses sine or cosine of the remainder, bit 1 is the sign: shifted to the
// top of a number they make it +0, +2, -0, -2.
template <class Real>
FRYER_LANE Real sin_of_reduced(Real remainder, Real quadrant) {
  using C = ConstantsOf<Real>;
  const Real t = remainder * remainder;
  const Real sine = fma(C::sin_tail(t) * t, remainder, remainder);
  const Real cosine = fma(fma(C::cos_tail(t), t, Real(-0.5f)), t, Real(1));
  const Real top = shift_bits_left<C::kSignBit - 1>(quadrant);
  return flip_sign(select(less(Real(1), absolute(top)), cosine, sine), top);
}

}  // namespace math_detail

// 2^24 / (1 + exp(-z)). Scaled back by 2^-24: error <= 2.5 ULP (1.5 for z >= 0) for every z >= kSigmoidZeroBelow (double: -708.396),
// +0 below, 1 above 17.4 (double: 36.8); float is monotone; sigmoid(z) + sigmoid(-z) within 1 ULP of 1.
//
// As PyTorch rounds it: 1 / (1 + exp(-z)), each operation rounded (near p = 1 that rounding decides whether a gradient is 0 or
// 6e-8). The numerator 2^24 sits in the exponent of both summands of the denominator, which keeps that in the range of `reciprocal`.
//
// This one is for kSigmoidZeroBelow <= z <= kSigmoidOneFrom only (or NaN); sigmoid24 takes any z and gives the same bits there.
template <class Real>
FRYER_LANE Real sigmoid24_between(Real z) {
  using C = math_detail::ConstantsOf<Real>;
  constexpr auto magic = C::kMagic + C::kExponentBias - 24;
  const Real biased = fma(z, Real(-C::log2_e()), Real(magic));  // its low bits: exponent bias - 24 + n
  const Real e = math_detail::exp_minus_mantissa(z, biased - Real(magic));
  return reciprocal(fma(e, shift_bits_left<C::kMantissaBits>(biased), Real(0x1p-24f)));
}
template <class Real>
FRYER_LANE Real sigmoid24(Real logit) {
  using C = math_detail::ConstantsOf<Real>;
  return keep_if(not_less(logit, Real(C::kSigmoidZeroBelow)), sigmoid24_between(minimum(Real(kSigmoidOneFrom), logit)));
}

// 1 / (1 + exp(-z)): sigmoid24 times 2^-24, exactly.
template <class Real>
FRYER_LANE Real sigmoid(Real z) {
  return sigmoid24(z) * Real(0x1p-24f);
}

// tanh(x) = 2 sigmoid(2x) - 1 for every x, by one fma: within [-1, 1], +0 at both zeros, monotone in float. Absolute error <= 1.5 *
// 2^-23 (1.8e-7; double: 1.5 * 2^-52), near 0 not a small relative one: for activations, which are multiplied and summed. 1 from 8.7 on
// (double: 18.4), -1 below -43.7 (double: -354.2) and by rounding from -9.1 (-19.1) on.
template <class Real>
FRYER_LANE Real tanh(Real x) {
  return fma(sigmoid24(x + x), Real(0x1p-23f), Real(-1));
}

// e^x for every x: error <= 0.99 ULP (double: 1), subnormal results included; +infinity above 88.72283 (double: 709.7827), +0 below
// -103.9721 (double: -745.1332).
template <class Real>
FRYER_LANE Real exp(Real x) {
  return math_detail::exp_minus(Real(0) - x);
}

// Natural logarithm: error <= 0.96 ULP for every x > 0, subnormal ones included; log(1) = +0, log(infinity) = infinity. -infinity
// for zero and also for every negative x: not NaN, but not finite either, so a run that gets there fails.
template <class Real>
FRYER_LANE Real log(Real x) {
  using C = math_detail::ConstantsOf<Real>;
  const auto subnormal = less(x, Real(C::kSmallestNormal));
  const Real normal = select(subnormal, x * Real(0x1p60f), x);
  // x = 2^e (1 + f), f in [-0.25, 0.5)
  const Real significand = significand_of(normal);
  const auto low = less(significand, Real(1.5f));
  const Real f = select(low, significand, Real(0.5f) * significand) - Real(1);
  const Real e = exponent_of(normal) + select(low, Real(0), Real(1)) - select(subnormal, Real(60), Real(0));
  const Real leading = e * Real(C::kLn2Short);  // exact
  const Real sum = leading + f;
  const Real lost = (leading - sum) + f;
  const Real result = sum + (fma(e, Real(C::kLn2ShortRest), lost) - math_detail::log_shortfall(f));
  return select(less(x, Real(C::kSmallest)), Real(-C::kInfinity), select(less(x, Real(C::kInfinity)), result, x));
}

// log(1 + e^z) for every z: error <= 1.65 ULP (double: 1.7), subnormal results included; z above 104 (double: 746) gives z, below
// -104 (-746) +0. -softplus(-z) is the logarithm of sigmoid(z), without the cancellation.
template <class Real>
FRYER_LANE Real softplus(Real z) {
  using C = math_detail::ConstantsOf<Real>;
  const Real u = math_detail::exp_minus(absolute(z));
  // max(0, z) + log(1 + u), with 1 + u = 2 (1 + (u - 1) / 2) where u > 0.5
  const auto large = less(Real(0.5f), u);
  const Real f = select(large, fma(u, Real(0.5f), Real(-0.5f)), u);
  const Real leading = select(large, Real(C::kLn2Short), Real(0));
  const Real sum = leading + f;
  const Real lost = (leading - sum) + f;
  const Real tail = (select(large, Real(C::kLn2ShortRest), Real(0)) + lost) - math_detail::log_shortfall(f);
  return maximum(Real(0), z) + (sum + tail);
}

// sin(x) and cos(x): error <= 1.55 ULP for |x| <= kLargestAngle (1e5 rad); a larger angle, infinity included, counts as that one.
// Odd and even to the bit, never beyond 1. The two together cost little more than one: the compiler shares the reduction.
template <class Real>
FRYER_LANE Real sin(Real x) {
  const auto angle = math_detail::reduce_angle(x);
  return flip_sign(math_detail::sin_of_reduced(angle.remainder, angle.quadrant), x);
}
template <class Real>
FRYER_LANE Real cos(Real x) {
  const auto angle = math_detail::reduce_angle(x);
  return math_detail::sin_of_reduced(angle.remainder, angle.quadrant + Real(1));
}

// sin(x) and cos(x) for |x| <= kLargestSmallAngle (0.21 rad) from x and t = x * x, without range reduction: error <= 0.52 and 0.61 ULP
// (double: 0.6). Beyond that range they are polynomials without meaning, though still not NaN. sin_small(-0, 0) is +0.
template <class Real>
FRYER_LANE Real sin_small(Real x, Real t) {
  return fma(math_detail::ConstantsOf<Real>::sin_small_tail(t) * t, x, x);
}
template <class Real>
FRYER_LANE Real cos_small(Real t) {
  return fma(math_detail::ConstantsOf<Real>::cos_small_tail(t), t, Real(1));
}

}  // namespace fryer
