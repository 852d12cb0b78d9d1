// SPDX-License-Identifier: Apache-2.0
// Sums over episodes that do not depend on their order: a contribution is rounded once to a multiple of 2^-s and added as int64
// (as AMBER's SPFP and OpenMM do), so any split over lanes, threads, blocks or ranks gives the same bits. s is chosen from the
// number of terms and a proved bound on one of them, so that overflow cannot happen. Second moments take two int64 limbs.
#pragma once

#include <cmath>
#include <cstdint>

#include "fryer/core/error.h"
#include "fryer/core/real.h"

namespace fryer {

// Adding 1.5 * 2^52 to a double below 2^51 in magnitude rounds it to an integer, half to even, which then stands in the low bits.
inline constexpr double kRoundingConstant = 0x1.8p52;
inline constexpr std::uint64_t kRoundingConstantBits = 0x4338000000000000ull;

// Smallest e with x <= 2^e; x > 0 and finite.
inline int ceil_log2(double x) {
  int exponent;
  const double mantissa = std::frexp(x, &exponent);  // x = mantissa 2^exponent, mantissa in [0.5, 1)
  return mantissa == 0.5 ? exponent - 1 : exponent;
}
inline int ceil_log2(std::uint64_t n) { return n <= 1 ? 0 : 64 - __builtin_clzll(n - 1); }

// Binary digits after the point for a sum of up to `terms` numbers of magnitude <= bound: 62 - ceil(log2 terms) - ceil(log2 bound),
// at most 51 - ceil(log2 bound), so that the total stays within +-2^62 and one term within +-2^51. bound 0 counts as 1.
inline int fixed_point_digits(std::uint64_t terms, double bound) {
  const int magnitude = bound > 0 ? ceil_log2(bound) : 0;
  const int digits = 62 - ceil_log2(terms) - magnitude;
  const int most = 51 - magnitude;
  return digits < most ? digits : most;
}

// round(x * scale) as int64, half to even; |x * scale| <= 2^51, scale a power of two.
FRYER_LANE std::int64_t to_fixed(double x, double scale) {
  return static_cast<std::int64_t>(to_bits(fma(x, scale, kRoundingConstant)) - kRoundingConstantBits);
}

// The double nearest to any int64 (a plain conversion; spelled out where SIMD lanes have none).
FRYER_LANE double to_double(std::int64_t sum) { return static_cast<double>(sum); }

// What an update uses: float(double(sum) * unit), with unit = 2^-digits / batch. Every gradient passes through it, batch 1 included.
FRYER_LANE float mean_from_fixed(std::int64_t sum, double unit) { return static_cast<float>(to_double(sum) * unit); }

// For a batch of one the same number without the integer: x rounded to a multiple of 2^-digits, digits = 51 - e, e = ceil(log2
// bound). tiny = 2^(e - 28): a float of that magnitude or more is such a multiple already, a smaller one is rounded half to even
// by adding and subtracting tiny. Never -0. Equal to mean_from_fixed(to_fixed(x, 2^digits), 2^-digits) for every |x| <= bound (tested).
template <class Real>
FRYER_LANE Real round_single_term(Real x, Real tiny) {
  const Real magic = copy_sign(tiny, x);
  return select(less(absolute(x), tiny), (x + magic) - magic, x);
}

// An integer of up to 128 bits in two int64 limbs: high * 2^32 + low. Limbs add in any order; normalised before a low limb can
// pass 2^63: at most 2^31 terms between two calls of normalise().
struct WideSum {
  std::int64_t high = 0, low = 0;

  FRYER_LANE void add(std::int64_t x) {
    high += x >> 32;
    low += x & 0xffffffffll;
  }
  FRYER_LANE void add(const WideSum& other) {
    high += other.high;
    low += other.low;
    normalise();
  }
  // Low limb back into [0, 2^32).
  FRYER_LANE void normalise() {
    high += low >> 32;
    low &= 0xffffffffll;
  }
  // The nearest double to within one rounding of each limb (below 2^85; the limbs are exact integers).
  double value() const {
    WideSum n = *this;
    n.normalise();
    return std::fma(static_cast<double>(n.high), 0x1p32, static_cast<double>(n.low));
  }
  friend bool operator==(const WideSum& a, const WideSum& b) {
    WideSum x = a, y = b;
    x.normalise();
    y.normalise();
    return x.high == y.high && x.low == y.low;
  }
};

// ---- sums inside lane programs. No check in the loop: the caller's comment proves |x * scale| <= 2^51 for finite parameters.
// These are for one lane; host/simd.h specialises them for bundles.

// Sum over all lanes.
template <class Real>
struct FixedSum {
  std::int64_t sum;
  FRYER_LANE void clear() { sum = 0; }
  FRYER_LANE void add(Real x, double scale) { sum += to_fixed(static_cast<double>(x), scale); }
  FRYER_LANE std::int64_t total() const { return sum; }
};

// Sum of squares over all lanes: x^2 is exact in double, scale rounds it to an integer of at most 2^51. At most 2^31 terms.
template <class Real>
struct FixedSquares {
  WideSum sum;
  FRYER_LANE void clear() { sum.high = sum.low = 0; }
  FRYER_LANE void add(Real x, double scale) { sum.add(to_fixed(static_cast<double>(x) * static_cast<double>(x), scale)); }
  FRYER_LANE WideSum total() const { return sum; }
};

// A sum in each lane.
template <class Real>
struct LaneFixedSum {
  std::int64_t sum;
  FRYER_LANE void clear() { sum = 0; }
  FRYER_LANE void add(Real x, double scale) { sum += to_fixed(static_cast<double>(x), scale); }
  FRYER_LANE Real mean(double unit) const { return mean_from_fixed(sum, unit); }
  // The sum of one lane, which begins anew.
  FRYER_LANE std::int64_t take(std::uint32_t) {
    const std::int64_t total = sum;
    sum = 0;
    return total;
  }
};

// A checked sum for code outside the lanes: contributions beyond the bound, infinite or NaN are counted instead of added, and
// more terms than promised are refused.
class ExactSum {
 public:
  // terms: the largest number of contributions; bound: proved bound on each one's magnitude (finite, >= 0).
  ExactSum(std::uint64_t terms, double bound) : terms_(terms), bound_(bound) {
    if (terms == 0) throw ConfigurationError("exact sum: terms = 0; at least 1 is needed");
    if (!(bound >= 0) || !is_finite(bound)) throw ConfigurationError("exact sum: the bound must be finite and not negative");
    digits_ = fixed_point_digits(terms, bound);
    scale_ = std::ldexp(1.0, digits_);
  }
  void add(double x) {
    if (count_ == terms_) throw RunError("exact sum: more contributions than the number it was made for");
    ++count_;
    if (!(absolute(x) <= bound_)) {
      ++faults_;
      return;
    }
    sum_ += to_fixed(x, scale_);
  }
  std::int64_t sum() const { return sum_; }  // multiples of 2^-digits()
  int digits() const { return digits_; }
  double value() const { return std::ldexp(to_double(sum_), -digits_); }
  std::uint64_t count() const { return count_; }
  std::uint64_t faults() const { return faults_; }  // above 0: the run has failed

 private:
  std::uint64_t terms_, count_ = 0, faults_ = 0;
  double bound_, scale_;
  int digits_;
  std::int64_t sum_ = 0;
};

}  // namespace fryer
