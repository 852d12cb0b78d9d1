// SPDX-License-Identifier: Apache-2.0
// The fry shack's rules, word by word: hunger, order, reward, and the edges of every threshold.
#include <gtest/gtest.h>

#include <cmath>

#include "fryer/env/fry_shack.h"

namespace fryer {
namespace {

using Words = RandomBlock<std::uint32_t>;

// A word whose uniform number is `units` * 2^-24; the low 8 bits must not matter.
std::uint32_t word_of(std::uint32_t units, std::uint32_t low = 0xffu) { return units << 8 | low; }

// The rule as the notebook words it, in double on the uniform numbers themselves.
bool correct_by_definition(const FryShack::Settings& s, double hunger, double portion, bool norm) {
  const bool large = portion < (norm ? s.large_order_norm : s.large_order_squatch);
  const bool hungry = hunger > s.hungry_above;
  return large == hungry;
}

// Detects a wrong comparison, a wrong shop or a threshold off by one: all neighbours of each threshold, for settings on and
// between multiples of 2^-24, in every combination.
TEST(FryShack, FollowsItsDefinitionAtEveryEdge) {
  const double odd = 3 * 0x1p-26;  // between two multiples
  for (const double norm : {0.0, odd, 0x1p-24, 0.2, 0.5, 0.8, 1 - 0x1p-24, 1 - odd, 1.0}) {
    for (const double squatch : {0.0, 0.2, 0.75, 1.0}) {
      for (const double hungry_above : {0.0, odd, 0x1p-24, 0.3, 0.5, 1 - 0x1p-24, 1.0}) {
        const FryShack::Settings settings{1, -1, norm, squatch, hungry_above};
        const FryShack::Rules rules = FryShack::make_rules(settings);
        std::vector<std::uint32_t> edges = {0, 1, 2, 0xfffffe, 0xffffff};
        for (const double threshold : {norm, squatch, hungry_above}) {
          const auto units = static_cast<std::int64_t>(threshold * 0x1p24);
          for (std::int64_t i = units - 2; i <= units + 2; ++i) {
            if (i >= 0 && i < 0x1000000) edges.push_back(static_cast<std::uint32_t>(i));
          }
        }
        for (const std::uint32_t hunger : edges) {
          for (const std::uint32_t portion : edges) {
            for (const bool action : {false, true}) {
              const Words words{word_of(hunger), 0, word_of(portion), 0}, lowest{word_of(hunger, 0), 0, word_of(portion, 0), 0};
              const bool correct = FryShack::correct<float>(rules, words, action);
              ASSERT_EQ(correct, correct_by_definition(settings, hunger * 0x1p-24, portion * 0x1p-24, action))
                  << "hunger " << hunger << " portion " << portion << " Norm " << action << " settings " << norm << ' ' << squatch
                  << ' ' << hungry_above;
              ASSERT_EQ(FryShack::correct<float>(rules, lowest, action), correct);
              // whole words compared, where no large order is certain
              if (!FryShack::large_order_may_be_certain(rules)) {
                const FryShack::WordRules word_rules = FryShack::make_word_rules(rules);
                ASSERT_EQ(FryShack::correct<float>(word_rules, words, action), correct);
                ASSERT_EQ(FryShack::correct<float>(word_rules, lowest, action), correct);
              }
            }
          }
        }
      }
    }
  }
}

// The short cut for whole words is taken for every probability but 1 (or so near that it is 1 in multiples of 2^-24).
TEST(FryShack, KnowsWhereALargeOrderIsCertain) {
  const auto certain = [](double norm, double squatch) {
    return FryShack::large_order_may_be_certain(FryShack::make_rules({1, -1, norm, squatch, 0.5}));
  };
  EXPECT_FALSE(certain(0.8, 0.2));
  EXPECT_FALSE(certain(0, 1 - 0x1p-24));
  EXPECT_TRUE(certain(0, 1 - 0x1p-25));
  EXPECT_TRUE(certain(0.8, 1));
  EXPECT_TRUE(certain(1, 0));
}

// A probability of 0 or 1 never errs; one below 2^-24 happens for exactly one word.
TEST(FryShack, ExtremeProbabilities) {
  FryShack::Settings settings;
  settings.large_order_norm = 0;
  EXPECT_EQ(FryShack::make_rules(settings).norm_large, 0u);
  settings.large_order_norm = 1;
  EXPECT_EQ(FryShack::make_rules(settings).norm_large, 0x1000000u);
  for (const double tiny : {5e-324, 1e-30, 0x1p-25, 0x1p-24}) {
    settings.large_order_squatch = tiny;
    EXPECT_EQ(FryShack::make_rules(settings).squatch_large, 1u) << tiny;
  }
  settings.large_order_norm = 0.8;  // 0.8 * 2^24 = 13421772.8
  EXPECT_EQ(FryShack::make_rules(settings).norm_large, 13421773u);
}

// Hunger is word x without its low 8 bits, exact in float up to the largest.
TEST(FryShack, ObservesHunger) {
  for (const std::uint32_t units : {0u, 1u, 0x7fffffu, 0x800000u, 0x800001u, 0xfffffeu, 0xffffffu}) {
    const Words words{word_of(units), 0x12345678, 0x9abcdef0, 0xffffffff};
    EXPECT_EQ(FryShack::observe<float>(words), static_cast<float>(units));
    EXPECT_EQ(FryShack::observe<double>(words), static_cast<double>(units));
  }
}

TEST(FryShack, ReturnsOfOutcomes) {
  const FryShack::Settings settings{2.5, -0.75, 0.8, 0.2, 0.5};
  for (const int action : {0, 1}) {
    EXPECT_EQ(FryShack::outcome_return(settings, 2 * action + 1), 2.5);
    EXPECT_EQ(FryShack::outcome_return(settings, 2 * action), -0.75);
  }
}

}  // namespace
}  // namespace fryer
