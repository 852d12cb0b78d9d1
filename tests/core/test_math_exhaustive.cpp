// SPDX-License-Identifier: Apache-2.0
// Every float: the largest errors that math.h states, and the sigmoid's order. Slow suite: about three minutes of processor time on
// two threads, the references (libm in double) taking most of it. Magnitudes below 2^-26 are left to the sample in test_math.cpp:
// there exp, cos, sigmoid and softplus are constant and sin(x) is x.
#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "math_leaves.h"

namespace fryer::test {
namespace {

constexpr float kFirst = 0x1p-26f, kLast = 0x1p26f;

class FloatLeavesExhaustive : public testing::TestWithParam<FloatLeaf> {};
INSTANTIATE_TEST_SUITE_P(Math, FloatLeavesExhaustive, testing::ValuesIn(float_leaves()),
                         [](const auto& leaf) { return leaf.param.name; });

// Detects the one float in four thousand million whose error is beyond the comment's figure; and a figure more than 0.05 ULP above
// the truth, so that the comments stay measurements.
TEST_P(FloatLeavesExhaustive, ErrorIsAsStated) {
  const FloatLeaf& leaf = GetParam();
  // Outside +-104 exp is 0 or infinite, softplus 0 or its argument, the sigmoid 0 or 1.
  const bool exponential = leaf.lowest < -1e6f || leaf.highest > 1e6f;
  const bool logarithm = leaf.lowest > 0;
  const float last = logarithm ? kLast : exponential ? 104.0f : std::max(-leaf.lowest, leaf.highest);
  std::array<WorstError, 2> parts;
  const auto sweep = [&](std::uint32_t part) { parts[part] = worst_error(leaf, to_bits(kFirst) + part, to_bits(last), 2); };
  std::thread second(sweep, 1u);
  sweep(0);
  second.join();
  WorstError worst = parts[0];
  worst.join(parts[1]);
  RecordProperty("worst_ulp", std::to_string(worst.ulp));
  RecordProperty("arguments", std::to_string(worst.arguments));
  EXPECT_LE(worst.ulp, leaf.max_ulp) << "at " << std::hexfloat << worst.at << std::defaultfloat << " = " << worst.at;
  EXPECT_GT(worst.ulp, leaf.max_ulp - 0.05) << "the stated error is too large";
  EXPECT_GT(worst.arguments, 200'000'000u);
}

// Detects two neighbouring logits whose probabilities are in the wrong order, a pair of logits z and -z whose probabilities miss 1
// by more than 1 ULP of 1, and any change of a bit anywhere.
TEST(SigmoidExhaustive, IsMonotoneAndAddsUpToOneAndKeepsItsBits) {
  struct Part {
    std::uint64_t falls = 0, far_from_one = 0, bits = 0;
    float at = 0;
  };
  const auto sweep = [](std::uint32_t first, std::uint32_t last) {
    Part part;
    float rising = sigmoid(from_bits(first)), falling = sigmoid(-from_bits(first));
    for (std::uint32_t magnitude = first; magnitude <= last; ++magnitude) {
      const float z = from_bits(magnitude), p = sigmoid(z), mirror = sigmoid(-z);
      const bool fall = p < rising || mirror > falling;
      const bool far = !(std::fabs(static_cast<double>(p) + static_cast<double>(mirror) - 1.0) <= 0x1p-23);
      if (fall || far) part.at = z;
      part.falls += fall;
      part.far_from_one += far;
      // A sum of mixed words, so that the parts may be added in any order.
      part.bits += hash_number(hash_number(hash_bits(kHashStart, magnitude), p), mirror);
      rising = p;
      falling = mirror;
    }
    return part;
  };
  constexpr std::uint64_t kBits = 0xb2ad2b8238d8bf2bull;
  const std::uint32_t first = to_bits(kFirst), last = to_bits(104.0f), middle = first + (last - first) / 2;
  Part low, high;
  std::thread second([&] { low = sweep(first, middle); });
  high = sweep(middle, last);  // the middle twice, so that no pair of neighbours is left out
  second.join();
  EXPECT_EQ(low.falls + high.falls, 0u) << "near " << low.at << " or " << high.at;
  EXPECT_EQ(low.far_from_one + high.far_from_one, 0u) << "near " << low.at << " or " << high.at;
  EXPECT_EQ(low.bits + high.bits, kBits) << std::hex << "0x" << low.bits + high.bits;
}

}  // namespace
}  // namespace fryer::test
