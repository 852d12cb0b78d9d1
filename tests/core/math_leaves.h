// SPDX-License-Identifier: Apache-2.0
// The table of maths leaves for test_math.cpp (sampled, every build) and test_math_exhaustive.cpp (every float, slow suite): each
// with its reference, the range its comment in math.h promises and the error that comment states. The numbers stand here and there,
// nowhere else.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>
#include <vector>

#include "fryer/core/math.h"

namespace fryer::test {

// A float leaf. Its reference is libm in double, whose own error of a few 2^-53 is below 1e-8 ULP of a float.
struct FloatLeaf {
  const char* name;
  float (*leaf)(float);
  double (*reference)(double);
  float lowest, highest;  // the range of the promise
  double max_ulp;         // as math.h states it
  std::uint64_t bits;     // hash of the results at fixed arguments: the same from every compiler at every optimisation level
};

inline std::ostream& operator<<(std::ostream& out, const FloatLeaf& leaf) { return out << leaf.name; }

inline const std::vector<FloatLeaf>& float_leaves() {
  constexpr float largest = std::numeric_limits<float>::max(), smallest = std::numeric_limits<float>::denorm_min();
  constexpr auto angle = static_cast<float>(kLargestAngle), small_angle = static_cast<float>(kLargestSmallAngle);
  constexpr auto reference_sigmoid = [](double z) { return 1.0 / (1.0 + std::exp(-z)); };
  static const std::vector<FloatLeaf> leaves = {
      {"exp", [](float x) { return fryer::exp(x); }, [](double x) { return std::exp(x); }, -largest, 88.72283f, 0.99,
       0xa6a4edb39b28cb08ull},
      {"log", [](float x) { return fryer::log(x); }, [](double x) { return std::log(x); }, smallest, largest, 0.96,
       0x51998544734b5440ull},
      {"softplus", [](float z) { return softplus(z); },
       [](double z) { return std::max(z, 0.0) + std::log1p(std::exp(-std::fabs(z))); }, -largest, largest, 1.65,
       0x2911d47abfdb5a8bull},
      {"sigmoid", [](float z) { return sigmoid(z); }, reference_sigmoid, kSigmoidZeroBelow, largest, 2.5, 0x9d71ab9d97e0cdd1ull},
      {"sigmoid_from_0", [](float z) { return sigmoid(z); }, reference_sigmoid, 0.0f, largest, 1.5, 0xa4e1d03d3fa653aaull},
      {"sin", [](float x) { return fryer::sin(x); }, [](double x) { return std::sin(x); }, -angle, angle, 1.55,
       0xab74c517b18a82e7ull},
      {"cos", [](float x) { return fryer::cos(x); }, [](double x) { return std::cos(x); }, -angle, angle, 1.55,
       0x918e11fb9eaa701dull},
      {"sin_small", [](float x) { return sin_small(x, x * x); }, [](double x) { return std::sin(x); }, -small_angle, small_angle,
       0.52, 0x840ccb0d9a783edcull},
      {"cos_small", [](float x) { return cos_small(x * x); }, [](double x) { return std::cos(x); }, -small_angle, small_angle,
       0.61, 0x487287e150d76337ull},
  };
  return leaves;
}

// |result - reference| in units of the last place of a float as large as the reference.
inline double error_in_ulp(float result, double reference) {
  const auto exponent = static_cast<int>((to_bits(reference) >> 52) & 0x7ff) - 1023;
  const double ulp = from_bits(static_cast<std::uint64_t>(std::max(exponent - 23, -149) + 1023) << 52);
  return std::fabs(static_cast<double>(result) - reference) / ulp;
}

struct WorstError {
  double ulp = 0;
  float at = 0;
  std::uint64_t arguments = 0;
  void join(const WorstError& other) {
    if (!(other.ulp <= ulp)) ulp = other.ulp, at = other.at;  // a NaN wins
    arguments += other.arguments;
  }
};

// The leaf's largest error over the floats whose magnitude has one of the bit patterns first, first + stride, ... up to last, of
// either sign, as far as they are in its range.
inline WorstError worst_error(const FloatLeaf& leaf, std::uint32_t first, std::uint32_t last, std::uint32_t stride) {
  WorstError worst;
  for (const std::uint32_t sign : {0u, 0x80000000u}) {
    for (std::uint64_t magnitude = first; magnitude <= last; magnitude += stride) {
      const float x = from_bits(static_cast<std::uint32_t>(magnitude) | sign);
      if (x < leaf.lowest || x > leaf.highest) continue;
      const double error = error_in_ulp(leaf.leaf(x), leaf.reference(static_cast<double>(x)));
      if (!(error <= worst.ulp)) worst.ulp = error, worst.at = x;
      ++worst.arguments;
    }
  }
  return worst;
}

// One more number into a hash (64-bit FNV-1a, a word at a time); all NaN are one.
inline std::uint64_t hash_bits(std::uint64_t hash, std::uint64_t bits) { return (hash ^ bits) * 0x100000001b3ull; }
inline std::uint64_t hash_number(std::uint64_t hash, float x) {
  return hash_bits(hash, std::isnan(x) ? 0x7fc00000u : to_bits(x));
}
inline std::uint64_t hash_number(std::uint64_t hash, double x) {
  return hash_bits(hash, std::isnan(x) ? 0x7ff8000000000000ull : to_bits(x));
}
inline constexpr std::uint64_t kHashStart = 0xcbf29ce484222325ull;

}  // namespace fryer::test
