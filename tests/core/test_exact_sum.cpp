// SPDX-License-Identifier: Apache-2.0
// Exact sums: the bound at its limit and one beyond, faults, order and split, two limbs, and the float shortcut for a batch of one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "fryer/core/exact_sum.h"

namespace fryer {
namespace {

__extension__ using Int128 = __int128;

TEST(FixedPointDigits, FollowTheFormula) {
  EXPECT_EQ(ceil_log2(1.0), 0);
  EXPECT_EQ(ceil_log2(0x1.000001p0), 1);
  EXPECT_EQ(ceil_log2(2.0), 1);
  EXPECT_EQ(ceil_log2(0.99), 0);
  EXPECT_EQ(ceil_log2(0.5), -1);
  EXPECT_EQ(ceil_log2(5e-324), -1074);
  EXPECT_EQ(ceil_log2(std::uint64_t{1}), 0);
  EXPECT_EQ(ceil_log2(std::uint64_t{2}), 1);
  EXPECT_EQ(ceil_log2(std::uint64_t{3}), 2);
  EXPECT_EQ(ceil_log2(std::uint64_t{1} << 40), 40);
  EXPECT_EQ(ceil_log2((std::uint64_t{1} << 40) + 1), 41);
  EXPECT_EQ(ceil_log2(~std::uint64_t{0}), 64);

  EXPECT_EQ(fixed_point_digits(1, 0.99), 51);        // one term: 51 bits, as adding 1.5 * 2^52 needs
  EXPECT_EQ(fixed_point_digits(1 << 11, 0.99), 51);  // 62 - 11
  EXPECT_EQ(fixed_point_digits((1 << 11) + 1, 0.99), 50);
  EXPECT_EQ(fixed_point_digits(1 << 20, 1.0), 42);
  EXPECT_EQ(fixed_point_digits(1 << 20, 1.01), 41);
  EXPECT_EQ(fixed_point_digits(1, 0.0), 51);
  EXPECT_EQ(fixed_point_digits(std::uint64_t{1} << 40, 1e9), 62 - 40 - 30);
  EXPECT_EQ(fixed_point_digits(1, 1e-9), 51 + 29);
}

// to_fixed rounds to nearest, ties to even, of either sign, up to its limit of 2^51.
TEST(ToFixed, RoundsHalfToEven) {
  for (const double sign : {1.0, -1.0}) {
    EXPECT_EQ(to_fixed(sign * 0.5, 1), 0);
    EXPECT_EQ(to_fixed(sign * 1.5, 1), static_cast<std::int64_t>(sign) * 2);
    EXPECT_EQ(to_fixed(sign * 2.5, 1), static_cast<std::int64_t>(sign) * 2);
    EXPECT_EQ(to_fixed(sign * 0x1.0000000000001p-1, 1), static_cast<std::int64_t>(sign));
    EXPECT_EQ(to_fixed(sign * 0x1p51, 1), static_cast<std::int64_t>(sign * 0x1p51));
    EXPECT_EQ(to_fixed(sign * 0x1.fffffffffffffp50, 1), static_cast<std::int64_t>(sign * 0x1p51));
    EXPECT_EQ(to_fixed(sign * 0.99, 0x1p51), static_cast<std::int64_t>(std::nearbyint(sign * 0.99 * 0x1p51)));
  }
  EXPECT_EQ(to_fixed(-0.0, 1), 0);
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> uniform(-0x1p51, 0x1p51);
  for (int i = 0; i < 100'000; ++i) {
    const double x = uniform(random) * std::exp2(-static_cast<double>(i % 60));
    ASSERT_EQ(to_fixed(x, 1), static_cast<std::int64_t>(std::nearbyint(x))) << x;
  }
}

// The largest sum there can be: N terms at the bound, for N at a power of two and one beyond it, bounds at a power of two and
// around it. 2^20 + 1 terms are added one by one, more than that as the product that they are.
TEST(ExactSum, HoldsNTermsAtTheBound) {
  for (const double bound : {1.0, 0.99, 0x1.fffffffffffffp0, 2.0, 1e9, 1e-9, 3.5}) {
    for (const std::uint64_t terms : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{2048}, std::uint64_t{2049},
                                      std::uint64_t{1} << 20, (std::uint64_t{1} << 20) + 1}) {
      for (const double sign : {1.0, -1.0}) {
        ExactSum sum(terms, bound);
        for (std::uint64_t i = 0; i < terms; ++i) sum.add(sign * bound);
        ASSERT_EQ(sum.faults(), 0u);
        ASSERT_EQ(sum.count(), terms);
        const std::int64_t one = to_fixed(sign * bound, std::ldexp(1.0, sum.digits()));
        ASSERT_EQ(static_cast<Int128>(sum.sum()), static_cast<Int128>(one) * terms);
        ASSERT_LE(std::fabs(to_double(sum.sum())), 0x1p62);
        ASSERT_NEAR(sum.value(), sign * bound * static_cast<double>(terms), bound * static_cast<double>(terms) * 0x1p-40);
      }
    }
    for (const std::uint64_t terms : {std::uint64_t{1} << 32, (std::uint64_t{1} << 32) + 5, std::uint64_t{1} << 40}) {
      const int digits = fixed_point_digits(terms, bound);
      const Int128 total = static_cast<Int128>(to_fixed(bound, std::ldexp(1.0, digits))) * terms;
      ASSERT_LE(total, static_cast<Int128>(1) << 62);
      ASSERT_GE(total, static_cast<Int128>(1) << 59);  // and no digit is given away
    }
  }
}

TEST(ExactSum, RefusesOneTermBeyondItsNumber) {
  ExactSum sum(3, 1.0);
  for (int i = 0; i < 3; ++i) sum.add(1.0);
  EXPECT_THROW(sum.add(0.0), RunError);
  EXPECT_EQ(sum.count(), 3u);
  EXPECT_THROW(ExactSum(0, 1.0), ConfigurationError);
  EXPECT_THROW(ExactSum(1, -1.0), ConfigurationError);
  EXPECT_THROW(ExactSum(1, std::numeric_limits<double>::infinity()), ConfigurationError);
  EXPECT_THROW(ExactSum(1, std::numeric_limits<double>::quiet_NaN()), ConfigurationError);
}

TEST(ExactSum, CountsWhatIsBeyondTheBound) {
  ExactSum sum(10, 1.5);
  sum.add(1.5);
  sum.add(std::nextafter(1.5, 2.0));
  sum.add(std::nextafter(-1.5, -2.0));
  sum.add(std::numeric_limits<double>::infinity());
  sum.add(-std::numeric_limits<double>::infinity());
  sum.add(std::numeric_limits<double>::quiet_NaN());
  sum.add(-1.25);
  EXPECT_EQ(sum.faults(), 5u);
  EXPECT_EQ(sum.count(), 7u);
  EXPECT_EQ(sum.value(), 0.25);  // faults are not in it
}

// What it is for: any order and any split give the same bits, which a floating-point sum of the same numbers does not.
TEST(ExactSum, DoesNotDependOnOrder) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  std::vector<double> x(10'000);
  for (double& value : x) value = std::clamp(normal(random), -4.0, 4.0);
  const auto exact = [&] {
    ExactSum sum(x.size(), 4.0);
    for (const double value : x) sum.add(value);
    return sum.sum();
  };
  const std::int64_t first = exact();
  const double plain = std::accumulate(x.begin(), x.end(), 0.0);
  bool plain_differs = false;
  for (int shuffle = 0; shuffle < 20; ++shuffle) {
    std::shuffle(x.begin(), x.end(), random);
    ASSERT_EQ(exact(), first);
    plain_differs = plain_differs || std::accumulate(x.begin(), x.end(), 0.0) != plain;
  }
  EXPECT_TRUE(plain_differs);  // or this test shows nothing
}

// int64 to double is rounded to nearest for every sum, and the mean is one multiplication and one rounding to float away.
TEST(MeanFromFixed, IsRoundedAsStated) {
  const std::int64_t odd = (std::int64_t{1} << 53) + 1;
  EXPECT_EQ(to_double(odd), 0x1p53);  // a tie, to even
  EXPECT_EQ(to_double(odd + 2), 0x1p53 + 4);
  EXPECT_EQ(to_double(std::int64_t{1} << 62), 0x1p62);
  EXPECT_EQ(to_double(-(std::int64_t{1} << 62)), -0x1p62);
  EXPECT_EQ(mean_from_fixed(3 << 20, 0x1p-20 / 7), static_cast<float>(static_cast<double>(3 << 20) * (0x1p-20 / 7)));
}

// The shortcut for a batch of one gives the bits of the long way, for gains whose bounds are a power of two and others: over 10^6
// random values of every magnitude, and the neighbourhood of the threshold, of ties, of the bound, of zero.
TEST(RoundSingleTerm, EqualsTheExactSumOfOneTerm) {
  std::mt19937_64 random(9);
  for (const float bound : {1.0f, 0.99f, 1.98f, 2.0f, 0.5f, 3.7e-3f, 1e9f, 1e-9f}) {
    const int magnitude = ceil_log2(static_cast<double>(bound));
    const int digits = fixed_point_digits(1, static_cast<double>(bound));
    ASSERT_EQ(digits, 51 - magnitude);
    const double scale = std::ldexp(1.0, digits), unit = std::ldexp(1.0, -digits);
    const auto tiny = static_cast<float>(std::ldexp(1.0, magnitude - 28));
    const auto check = [&](float x) {
      if (!(std::fabs(x) <= bound)) return;
      const float expected = mean_from_fixed(to_fixed(static_cast<double>(x), scale), unit);
      ASSERT_EQ(to_bits(round_single_term(x, tiny)), to_bits(expected)) << x << " of bound " << bound;
    };
    for (int i = 0; i < 150'000; ++i) {
      const auto mantissa = static_cast<float>(std::uniform_real_distribution<double>(0.5, 1)(random));
      const int down = i % 64;
      check(std::ldexp(bound * mantissa, -down));
      check(-std::ldexp(bound * mantissa, -down));
    }
    const float quantum = std::ldexp(1.0f, -digits);  // ties lie at odd multiples of half of it
    for (int i = 0; i < 2000; ++i) {
      for (const float x : {quantum * 0.5f * static_cast<float>(i), quantum * 0.25f * static_cast<float>(i)}) {
        for (const float near : {x, std::nextafter(x, bound), std::nextafter(x, -bound)}) {
          check(near);
          check(-near);
        }
      }
    }
    for (const float centre : {tiny, tiny * 0.5f, tiny * 2, bound, quantum}) {
      float up = centre, down = centre;
      for (int i = 0; i < 2000; ++i) {
        for (const float x : {up, down}) {
          check(x);
          check(-x);
        }
        up = std::nextafter(up, std::numeric_limits<float>::infinity());
        down = std::nextafter(down, 0.0f);
      }
    }
    check(0.0f);
    check(-0.0f);
    check(std::numeric_limits<float>::denorm_min());
    check(-std::numeric_limits<float>::min());
  }
}

// In the lanes' scaling (by 2^24) nothing changes, and NaN and infinity are not hidden.
TEST(RoundSingleTerm, KeepsWhatIsNotFinite) {
  EXPECT_TRUE(std::isnan(round_single_term(std::numeric_limits<float>::quiet_NaN(), 0x1p-28f)));
  EXPECT_EQ(round_single_term(std::numeric_limits<float>::infinity(), 0x1p-28f), std::numeric_limits<float>::infinity());
}

// Two limbs against 128-bit integers: random terms of up to 2^62 of either sign, added in pieces.
TEST(WideSum, Is128BitAddition) {
  std::mt19937_64 random(4);
  WideSum total;
  Int128 expected = 0;
  for (int part = 0; part < 50; ++part) {
    WideSum sum;
    for (int i = 0; i < 1000; ++i) {
      auto x = static_cast<std::int64_t>(random()) >> (i % 50 + 1);
      if (part == 7) x = -(std::int64_t{1} << 62);
      sum.add(x);
      expected += x;
    }
    total.add(sum);
    WideSum n = total;
    n.normalise();
    ASSERT_EQ((static_cast<Int128>(n.high) << 32) + n.low, expected);
    ASSERT_GE(n.low, 0);
    ASSERT_LT(n.low, std::int64_t{1} << 32);
    const double value = static_cast<double>(expected);
    ASSERT_NEAR(total.value(), value, std::fabs(value) * 0x1p-51);
  }
}

// 2^31 terms at the limit fit in the low limb before a normalisation, as promised.
TEST(WideSum, LowLimbHolds2To31Terms) {
  const Int128 most = (static_cast<Int128>(1) << 31) * 0xffffffffll;
  EXPECT_LT(most, static_cast<Int128>(1) << 63);
  WideSum sum;
  sum.low = static_cast<std::int64_t>(most);
  sum.high = 5;
  const Int128 before = (static_cast<Int128>(sum.high) << 32) + sum.low;
  sum.normalise();
  EXPECT_EQ((static_cast<Int128>(sum.high) << 32) + sum.low, before);
}

TEST(WideSum, EqualityLooksThroughTheLimbs) {
  WideSum a, b;
  a.high = 1;
  b.low = std::int64_t{1} << 32;
  EXPECT_TRUE(a == b);
  b.low += 1;
  EXPECT_FALSE(a == b);
}

// The sums of a lane program are the plain sum of to_fixed, squares of their exact doubles.
TEST(LaneSums, ScalarSumsFollowTheirDefinition) {
  std::mt19937 random(6);
  std::uniform_real_distribution<float> uniform(-0x1p24f, 0x1p24f);
  FixedSum<float> sum;
  FixedSquares<float> squares;
  LaneFixedSum<float> lane;
  sum.clear();
  squares.clear();
  lane.clear();
  std::int64_t expected = 0;
  Int128 expected_squares = 0;
  for (int i = 0; i < 10'000; ++i) {
    const float x = uniform(random);
    sum.add(x, 0x1p10);
    squares.add(x, 0x1p2);
    lane.add(x, 0x1p10);
    expected += static_cast<std::int64_t>(std::nearbyint(static_cast<double>(x) * 0x1p10));
    expected_squares += static_cast<std::int64_t>(std::nearbyint(static_cast<double>(x) * static_cast<double>(x) * 0x1p2));
  }
  EXPECT_EQ(sum.total(), expected);
  EXPECT_EQ(lane.mean(0x1p-34 / 10'000), static_cast<float>(static_cast<double>(expected) * (0x1p-34 / 10'000)));
  WideSum n = squares.total();
  n.normalise();
  EXPECT_EQ((static_cast<Int128>(n.high) << 32) + n.low, expected_squares);
}

}  // namespace
}  // namespace fryer
