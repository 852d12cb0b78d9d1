// SPDX-License-Identifier: Apache-2.0
// The maths leaves against their comments: largest error (float sampled over its whole range against libm in double, double against
// MPFR), edge cases, and bits that no compiler may change. test_math_exhaustive.cpp does every float.
#include <gtest/gtest.h>
#include <mpfr.h>

#include <random>

#include "math_leaves.h"

namespace fryer::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr double kDoubleInfinity = std::numeric_limits<double>::infinity();
constexpr std::uint32_t kInfinityBits = 0x7f800000u;

// ---- float

class FloatLeaves : public testing::TestWithParam<FloatLeaf> {};
INSTANTIATE_TEST_SUITE_P(Math, FloatLeaves, testing::ValuesIn(float_leaves()), [](const auto& leaf) { return leaf.param.name; });

// Detects a wrong coefficient, a lost term of a range reduction, a wrong edge of the range.
TEST_P(FloatLeaves, ErrorIsAsStated) {
  const WorstError worst = worst_error(GetParam(), 0, kInfinityBits - 1, 1009);
  EXPECT_LE(worst.ulp, GetParam().max_ulp) << "at " << std::hexfloat << worst.at << std::defaultfloat << " = " << worst.at;
  EXPECT_GT(worst.arguments, 900'000u);
}

// Detects the ends of the range, which a stride may miss.
TEST_P(FloatLeaves, ErrorIsAsStatedAtTheEndsOfTheRange) {
  const FloatLeaf& leaf = GetParam();
  for (const float x :
       {leaf.lowest, std::nextafter(leaf.lowest, leaf.highest), leaf.highest, std::nextafter(leaf.highest, leaf.lowest)}) {
    EXPECT_LE(error_in_ulp(leaf.leaf(x), leaf.reference(static_cast<double>(x))), leaf.max_ulp) << "at " << x;
  }
}

// Detects NaN made of numbers (infinity minus infinity, 0 times infinity), infinities included.
TEST_P(FloatLeaves, OnlyNaNGivesNaN) {
  for (std::uint64_t pattern = 0; pattern <= 0xffffffffu; pattern += 4099) {
    const float x = from_bits(static_cast<std::uint32_t>(pattern));
    ASSERT_EQ(std::isnan(GetParam().leaf(x)), std::isnan(x)) << "at " << x;
  }
  for (const float x : {kInfinity, -kInfinity, 0.0f, -0.0f}) EXPECT_FALSE(std::isnan(GetParam().leaf(x))) << "at " << x;
  EXPECT_TRUE(std::isnan(GetParam().leaf(kNaN)));
}

// Detects a compiler that fuses, reorders or approximates, and an unintended change of a leaf (which would need a new
// kNumericsVersion).
TEST_P(FloatLeaves, BitsAreThoseOfEveryCompiler) {
  std::uint64_t hash = kHashStart;
  for (std::uint64_t pattern = 0; pattern <= 0xffffffffu; pattern += 10007) {
    const float x = from_bits(static_cast<std::uint32_t>(pattern));
    if (x >= GetParam().lowest && x <= GetParam().highest) hash = hash_number(hash, GetParam().leaf(x));
  }
  EXPECT_EQ(hash, GetParam().bits) << std::hex << "0x" << hash;
}

// ---- double

using MpfrFunction = int (*)(mpfr_t, const mpfr_t, mpfr_rnd_t);

// A double leaf. Its reference is MPFR in 256 bits.
struct DoubleLeaf {
  const char* name;
  double (*leaf)(double);
  MpfrFunction reference;
  double lowest, highest;
  double max_ulp;
  std::uint64_t bits;
};

std::ostream& operator<<(std::ostream& out, const DoubleLeaf& leaf) { return out << leaf.name; }

int mpfr_softplus(mpfr_t result, const mpfr_t z, mpfr_rnd_t rounding) {
  mpfr_exp(result, z, rounding);
  return mpfr_log1p(result, result, rounding);
}
int mpfr_sigmoid(mpfr_t result, const mpfr_t z, mpfr_rnd_t rounding) {
  mpfr_neg(result, z, rounding);
  mpfr_exp(result, result, rounding);
  mpfr_add_ui(result, result, 1, rounding);
  return mpfr_ui_div(result, 1, result, rounding);
}

const std::vector<DoubleLeaf>& double_leaves() {
  constexpr double largest = std::numeric_limits<double>::max(), smallest = std::numeric_limits<double>::denorm_min();
  static const std::vector<DoubleLeaf> leaves = {
      {"exp", [](double x) { return fryer::exp(x); }, mpfr_exp, -745.2, 709.78, 1.0, 0xd66f19a10e73b22ull},
      {"log", [](double x) { return fryer::log(x); }, mpfr_log, smallest, largest, 0.96, 0xc07b7cb537cdbbf5ull},
      {"log_near_1", [](double x) { return fryer::log(x); }, mpfr_log, 0.25, 4.0, 0.96, 0xfc8b266e3a92c5ccull},
      {"softplus", [](double z) { return softplus(z); }, mpfr_softplus, -745.2, 745.2, 1.7, 0x5141667b0efc6021ull},
      {"softplus_near_0", [](double z) { return softplus(z); }, mpfr_softplus, -4.0, 2.0, 1.7, 0xa2296364d2174f35ull},
      {"sigmoid", [](double z) { return sigmoid(z); }, mpfr_sigmoid, -708.396, 745.2, 2.5, 0x30af0b16955c5022ull},
      {"sigmoid_near_0", [](double z) { return sigmoid(z); }, mpfr_sigmoid, -40.0, 40.0, 2.5, 0x1b212d679686e07dull},
      {"sigmoid_from_0", [](double z) { return sigmoid(z); }, mpfr_sigmoid, 0.0, 40.0, 1.5, 0xf068eeb523aebd0bull},
      {"sin", [](double x) { return fryer::sin(x); }, mpfr_sin, -kLargestAngle, kLargestAngle, 1.55, 0xf2986c9f4cc8bcf6ull},
      {"sin_near_0", [](double x) { return fryer::sin(x); }, mpfr_sin, -10.0, 10.0, 1.55, 0x776571ed8a938fc2ull},
      {"cos", [](double x) { return fryer::cos(x); }, mpfr_cos, -kLargestAngle, kLargestAngle, 1.55, 0x8049dccb6c4a5eb1ull},
      {"cos_near_0", [](double x) { return fryer::cos(x); }, mpfr_cos, -10.0, 10.0, 1.55, 0xaef473a46e851ac9ull},
      {"sin_small", [](double x) { return sin_small(x, x * x); }, mpfr_sin, -kLargestSmallAngle, kLargestSmallAngle, 0.6,
       0x12155a822a42e540ull},
      {"cos_small", [](double x) { return cos_small(x * x); }, mpfr_cos, -kLargestSmallAngle, kLargestSmallAngle, 0.6,
       0x1ddd1c39f9c280edull},
  };
  return leaves;
}

// Argument i of a leaf's test: the ends of its range, then by turns spread evenly over the range and over the bit patterns (evenly
// over the logarithm, down to 2^-80).
double argument(const DoubleLeaf& leaf, int i, std::mt19937_64& generator) {
  const std::uint64_t random = generator();
  const double u = static_cast<double>(random >> 11) * 0x1p-53;
  if (i == 0) return leaf.lowest;
  if (i == 1) return leaf.highest;
  if (i % 2 == 0) return std::clamp(leaf.lowest + u * leaf.highest - u * leaf.lowest, leaf.lowest, leaf.highest);
  const bool negative = leaf.lowest < 0 && (random & 1) != 0;
  const std::uint64_t first = to_bits(leaf.lowest > 0 ? leaf.lowest : 0x1p-80),
                      last = to_bits(negative ? -leaf.lowest : leaf.highest);
  const double magnitude = from_bits(first + static_cast<std::uint64_t>(u * static_cast<double>(last - first)));
  return negative ? -magnitude : magnitude;
}

class DoubleLeaves : public testing::TestWithParam<DoubleLeaf> {};
INSTANTIATE_TEST_SUITE_P(Math, DoubleLeaves, testing::ValuesIn(double_leaves()),
                         [](const auto& leaf) { return leaf.param.name; });

// The error of results against MPFR, in units of the last place of a double as large as the reference.
class MpfrReference {
 public:
  MpfrReference() { mpfr_inits2(256, x_, reference_, static_cast<mpfr_ptr>(nullptr)); }
  ~MpfrReference() { mpfr_clears(x_, reference_, static_cast<mpfr_ptr>(nullptr)); }
  MpfrReference(const MpfrReference&) = delete;
  MpfrReference& operator=(const MpfrReference&) = delete;

  double error_in_ulp(double result, MpfrFunction function, double x) {
    mpfr_set_d(x_, x, MPFR_RNDN);
    function(reference_, x_, MPFR_RNDN);
    const long ulp_exponent = mpfr_zero_p(reference_) ? -1074 : std::max<long>(mpfr_get_exp(reference_) - 53, -1074);
    mpfr_sub_d(reference_, reference_, result, MPFR_RNDN);
    mpfr_mul_2si(reference_, reference_, -ulp_exponent, MPFR_RNDN);
    return std::fabs(mpfr_get_d(reference_, MPFR_RNDN));
  }
  // The double nearest to k pi / 2.
  double multiple_of_half_pi(unsigned long k) {
    mpfr_const_pi(x_, MPFR_RNDN);
    mpfr_mul_ui(x_, x_, k, MPFR_RNDN);
    return mpfr_get_d(x_, MPFR_RNDN) / 2;
  }

 private:
  mpfr_t x_, reference_;
};

// Detects a wrong digit in any of double's own coefficients and a range reduction that loses bits.
TEST_P(DoubleLeaves, ErrorIsAsStated) {
  const DoubleLeaf& leaf = GetParam();
  std::mt19937_64 generator(1);
  MpfrReference reference;
  double worst = 0, at = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double x = argument(leaf, i, generator);
    const double error = reference.error_in_ulp(leaf.leaf(x), leaf.reference, x);
    if (!(error <= worst)) worst = error, at = x;
  }
  EXPECT_LE(worst, leaf.max_ulp) << "at " << std::hexfloat << at << std::defaultfloat << " = " << at;
}

// Detects a digit missing from pi / 2: next to its multiples nearly all of the angle cancels, which no random angle does. (For
// floats the exhaustive test meets these.)
TEST(DoubleAngles, NextToMultiplesOfHalfPi) {
  constexpr auto last = static_cast<unsigned long>(kLargestAngle / 1.5707964);
  MpfrReference reference;
  for (unsigned long k = 1; k <= last; k += 5) {
    const double x = reference.multiple_of_half_pi(k);
    ASSERT_LE(reference.error_in_ulp(fryer::sin(x), mpfr_sin, x), 1.55) << "at " << k << " pi / 2";
    ASSERT_LE(reference.error_in_ulp(fryer::cos(x), mpfr_cos, x), 1.55) << "at " << k << " pi / 2";
  }
}

TEST_P(DoubleLeaves, OnlyNaNGivesNaN) {
  constexpr std::uint64_t spread = ~std::uint64_t{0} / 1'000'000;
  for (std::uint64_t i = 0; i < 1'000'000; ++i) {
    const double x = from_bits(i * spread);
    ASSERT_EQ(std::isnan(GetParam().leaf(x)), std::isnan(x)) << "at " << x;
  }
  for (const double x : {kDoubleInfinity, -kDoubleInfinity, 0.0, -0.0})
    EXPECT_FALSE(std::isnan(GetParam().leaf(x))) << "at " << x;
  EXPECT_TRUE(std::isnan(GetParam().leaf(std::numeric_limits<double>::quiet_NaN())));
}

TEST_P(DoubleLeaves, BitsAreThoseOfEveryCompiler) {
  std::mt19937_64 generator(2);
  std::uint64_t hash = kHashStart;
  for (int i = 0; i < 100'000; ++i) hash = hash_number(hash, GetParam().leaf(argument(GetParam(), i, generator)));
  EXPECT_EQ(hash, GetParam().bits) << std::hex << "0x" << hash;
}

// ---- edges, for float and double

template <class Real>
class LeafEdges : public testing::Test {};
using Precisions = testing::Types<float, double>;
TYPED_TEST_SUITE(LeafEdges, Precisions);

template <class Real>
bool equal_bits(Real a, Real b) {
  return to_bits(a) == to_bits(b);
}

TYPED_TEST(LeafEdges, Exp) {
  using Real = TypeParam;
  using Limits = std::numeric_limits<Real>;
  EXPECT_EQ(fryer::exp(Real(0)), Real(1));
  EXPECT_EQ(fryer::exp(Real(-0.0f)), Real(1));
  EXPECT_EQ(fryer::exp(Limits::denorm_min()), Real(1));
  EXPECT_EQ(fryer::exp(Limits::infinity()), Limits::infinity());
  EXPECT_EQ(fryer::exp(Limits::max()), Limits::infinity());
  EXPECT_TRUE(equal_bits(fryer::exp(-Limits::infinity()), Real(0)));
  EXPECT_TRUE(equal_bits(fryer::exp(Limits::lowest()), Real(0)));
  EXPECT_TRUE(equal_bits(fryer::exp(Real(-1e9f)), Real(0)));
  // The last finite result and the first infinite one; the last positive result and the first zero.
  const bool single = sizeof(Real) == sizeof(float);
  const Real last_finite = single ? Real(88.72283172607422) : Real(709.782712893384);
  const Real last_positive = single ? Real(-103.97207641601562) : Real(-745.1332191019411);
  EXPECT_TRUE(std::isfinite(fryer::exp(last_finite)));
  EXPECT_EQ(fryer::exp(std::nextafter(last_finite, Limits::max())), Limits::infinity());
  EXPECT_EQ(fryer::exp(last_positive), Limits::denorm_min());
  EXPECT_TRUE(equal_bits(fryer::exp(std::nextafter(last_positive, Limits::lowest())), Real(0)));
}

TYPED_TEST(LeafEdges, Log) {
  using Real = TypeParam;
  using Limits = std::numeric_limits<Real>;
  EXPECT_TRUE(equal_bits(fryer::log(Real(1)), Real(0)));
  EXPECT_EQ(fryer::log(Limits::infinity()), Limits::infinity());
  for (const Real x : {Real(0), Real(-0.0f), -Limits::denorm_min(), Real(-1), Limits::lowest(), -Limits::infinity()}) {
    EXPECT_EQ(fryer::log(x), -Limits::infinity()) << x;
  }
  // Exact powers of two, subnormal ones included: nothing is left but the exponent.
  for (int e = Limits::min_exponent - Limits::digits; e < Limits::max_exponent; ++e) {
    const Real x = std::ldexp(Real(1), e);
    ASSERT_NEAR(static_cast<double>(fryer::log(x)), e * 0.6931471805599453, std::abs(e) * static_cast<double>(Limits::epsilon()))
        << e;
  }
}

TYPED_TEST(LeafEdges, Softplus) {
  using Real = TypeParam;
  using Limits = std::numeric_limits<Real>;
  EXPECT_EQ(softplus(Real(0)), Real(0.693147180559945309417));
  EXPECT_EQ(softplus(Limits::infinity()), Limits::infinity());
  EXPECT_EQ(softplus(Limits::max()), Limits::max());
  EXPECT_EQ(softplus(Real(1e9f)), Real(1e9f));
  EXPECT_TRUE(equal_bits(softplus(-Limits::infinity()), Real(0)));
  EXPECT_TRUE(equal_bits(softplus(Real(-1e9f)), Real(0)));
  EXPECT_EQ(softplus(Real(-60)), fryer::exp(Real(-60)));  // relative accuracy far down, where 1 + e^z is 1
}

TYPED_TEST(LeafEdges, SigmoidSaturates) {
  using Real = TypeParam;
  using Limits = std::numeric_limits<Real>;
  for (const Real z : {Real(1e9f), Limits::max(), Limits::infinity()}) {
    EXPECT_EQ(sigmoid(z), Real(1));
    EXPECT_EQ(sigmoid24(z), Real(kTwo24));
    EXPECT_TRUE(equal_bits(sigmoid(-z), Real(0)));
    EXPECT_TRUE(equal_bits(sigmoid24(-z), Real(0)));
  }
  EXPECT_EQ(sigmoid(Real(0)), Real(0.5f));
  EXPECT_EQ(sigmoid(Real(-0.0f)), Real(0.5f));
  const bool single = sizeof(Real) == sizeof(float);
  EXPECT_EQ(sigmoid(single ? Real(17.4f) : Real(36.8)), Real(1));
  // The last logit with a probability above 0; that is still a normal number.
  const Real last = single ? Real(kSigmoidZeroBelow) : Real(-708.396);
  EXPECT_GE(sigmoid(last), Limits::min());
  EXPECT_TRUE(equal_bits(sigmoid(std::nextafter(last, Limits::lowest())), Real(0)));
}

TYPED_TEST(LeafEdges, SinAndCos) {
  using Real = TypeParam;
  using Limits = std::numeric_limits<Real>;
  EXPECT_TRUE(equal_bits(fryer::sin(Real(0)), Real(0)));
  EXPECT_TRUE(equal_bits(fryer::sin(Real(-0.0f)), Real(-0.0f)));
  EXPECT_TRUE(equal_bits(fryer::sin(Limits::denorm_min()), Limits::denorm_min()));
  EXPECT_EQ(fryer::cos(Real(0)), Real(1));
  EXPECT_EQ(cos_small(Real(0)), Real(1));
  EXPECT_TRUE(equal_bits(sin_small(Real(0), Real(0)), Real(0)));
  EXPECT_EQ(sin_small(Limits::denorm_min(), Real(0)), Limits::denorm_min());
  // Beyond the range: the value at its end, of either sign.
  const auto end = static_cast<Real>(kLargestAngle);
  for (const Real x : {std::nextafter(end, Limits::max()), Limits::max(), Limits::infinity()}) {
    EXPECT_EQ(fryer::sin(x), fryer::sin(end));
    EXPECT_EQ(fryer::sin(-x), -fryer::sin(end));
    EXPECT_EQ(fryer::cos(x), fryer::cos(end));
    EXPECT_EQ(fryer::cos(-x), fryer::cos(end));
  }
  // Odd and even to the bit, and never beyond 1, whatever the angle.
  for (int i = 1; i <= 200'000; ++i) {
    const Real x = Real(0.503f) * static_cast<Real>(i);
    ASSERT_TRUE(equal_bits(fryer::sin(-x), -fryer::sin(x))) << x;
    ASSERT_TRUE(equal_bits(fryer::cos(-x), fryer::cos(x))) << x;
    ASSERT_LE(absolute(fryer::sin(x)), Real(1)) << x;
    ASSERT_LE(absolute(fryer::cos(x)), Real(1)) << x;
  }
}

// ---- the sigmoid as a probability

// Detects a sigmoid that falls somewhere: 2^20 neighbouring floats at each of several places, and a stride over everything.
TEST(Sigmoid, IsMonotone) {
  for (const float from : {-87.4f, -40.0f, -17.3f, -1.0f, -0x1p-24f, 0.0f, 0.3465f, 1.0396f, 16.0f}) {
    float z = from, before = sigmoid(z);
    for (int i = 0; i < 1 << 20; ++i) {
      z = std::nextafter(z, kInfinity);
      const float p = sigmoid(z);
      ASSERT_GE(p, before) << "at " << z;
      before = p;
    }
  }
  float before = 0;
  for (std::uint32_t magnitude = kInfinityBits; magnitude > 1009; magnitude -= 1009) {
    const float p = sigmoid(from_bits(magnitude | 0x80000000u));
    ASSERT_GE(p, before);
    before = p;
  }
  for (std::uint32_t magnitude = 0; magnitude < kInfinityBits; magnitude += 1009) {
    const float p = sigmoid(from_bits(magnitude));
    ASSERT_GE(p, before);
    before = p;
  }
  EXPECT_EQ(before, 1.0f);
}

// Detects a bias between the two actions: p(z) and p(-z) must add up to 1 within the spacing of floats at 1.
// Every 509th float, both signs; and in double on a grid.
TEST(Tanh, AbsoluteErrorIsAsStated) {
  double largest = 0, largest_double = 0;
  for (std::uint64_t bits = 0; bits <= 0x7f800000u; bits += 509) {
    for (const float x : {from_bits(static_cast<std::uint32_t>(bits)), -from_bits(static_cast<std::uint32_t>(bits))}) {
      const float y = tanh(x);
      ASSERT_TRUE(y >= -1 && y <= 1) << x;
      largest = std::fmax(largest, std::fabs(static_cast<double>(y) - std::tanh(static_cast<double>(x))));
    }
  }
  for (double x = -40; x <= 40; x += 0.000137) {
    const long double exact = std::tanh(static_cast<long double>(x));
    largest_double = std::fmax(largest_double, std::fabs(static_cast<double>(static_cast<long double>(tanh(x)) - exact)));
  }
  EXPECT_LE(largest, 0x1.8p-23) << std::log2(largest);
  EXPECT_LE(largest_double, 0x1.8p-52) << std::log2(largest_double);
}

TEST(Tanh, AtItsEnds) {
  EXPECT_EQ(to_bits(tanh(0.0f)), 0u);
  EXPECT_EQ(to_bits(tanh(-0.0f)), 0u);
  EXPECT_EQ(tanh(8.7f), 1.0f);
  EXPECT_EQ(tanh(-9.1f), -1.0f);
  EXPECT_EQ(tanh(18.4), 1.0);
  EXPECT_EQ(tanh(-19.1), -1.0);
  const float infinity = std::numeric_limits<float>::infinity(), largest = std::numeric_limits<float>::max();
  for (const float x : {largest, infinity}) {
    EXPECT_EQ(tanh(x), 1.0f);
    EXPECT_EQ(tanh(-x), -1.0f);
  }
  EXPECT_TRUE(std::isnan(tanh(std::nanf(""))));
  EXPECT_TRUE(std::isnan(tanh(std::nan(""))));
}

TEST(Sigmoid, AndItsMirrorAddUpToOne) {
  for (std::uint32_t magnitude = 0; magnitude < kInfinityBits; magnitude += 1009) {
    const float z = from_bits(magnitude);
    ASSERT_LE(std::fabs(static_cast<double>(sigmoid(z)) + static_cast<double>(sigmoid(-z)) - 1.0), 0x1p-23) << "at " << z;
  }
}

// Detects a scale that is not the same power of two on both sides.
TEST(Sigmoid, IsTheScaledOne) {
  for (float z = -80.0f; z < 80.0f; z += 0.37f) EXPECT_EQ(sigmoid(z) * 16777216.0f, sigmoid24(z));
  for (double z = -700.0; z < 80.0; z += 0.37) EXPECT_EQ(sigmoid(z) * kTwo24, sigmoid24(z));
}

}  // namespace
}  // namespace fryer::test
