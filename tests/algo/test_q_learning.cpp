// SPDX-License-Identifier: Apache-2.0
// Targets, losses, clipping and target mixing against their formulas in double; epsilon's schedules and the choice between exploring
// and not.
#include "fryer/algo/q_learning.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace fryer {
namespace {

QLearningSettings with(Loss loss) {
  QLearningSettings s;
  s.loss = loss;
  return s;
}

TEST(QLearning, TargetBootstrapsUnlessTheEpisodeEnded) {
  QLearningSettings s;
  s.gamma = 0.9;
  const auto c = make_q_learning_constants<double>(s, 1);
  EXPECT_DOUBLE_EQ(td_target(c, 1.5, 1.0, 10.0), 10.5);
  EXPECT_DOUBLE_EQ(td_target(c, 1.5, 0.0, 10.0), 1.5);
  const auto narrow = make_q_learning_constants<float>(s, 1);
  EXPECT_EQ(td_target(narrow, 0.1f, 1.0f, 3.7f), std::fmaf(0.9f, 3.7f, 0.1f));
}

TEST(QLearning, TiesTakeActionZero) {
  EXPECT_FALSE(greedy_action<float>({2, 2}));
  EXPECT_FALSE(greedy_action<float>({0.0f, -0.0f}));
  EXPECT_FALSE(greedy_action<float>({-0.0f, 0.0f}));
  EXPECT_FALSE(greedy_action<float>({3, 2}));
  EXPECT_TRUE(greedy_action<float>({2, 3}));
}

// The slope is the derivative of the mean loss, on both sides of Huber's corners and at them.
TEST(QLearning, SlopeIsTheDerivativeOfTheLoss) {
  for (const Loss loss : {Loss::mse, Loss::huber}) {
    for (const std::uint32_t batch : {1u, 7u, 128u}) {
      const auto c = make_q_learning_constants<double>(with(loss), batch);
      for (const double error : {-3.0, -1.01, -0.99, -0.3, 0.0, 0.5, 0.99, 1.01, 40.0}) {
        const double step = 1e-6;
        const double expected = (sample_loss(c, error + step) - sample_loss(c, error - step)) / (2 * step) / batch;
        EXPECT_NEAR(loss_slope(c, error), expected, 1e-8 * (1 + std::fabs(expected))) << error;
      }
    }
  }
  const auto huber = make_q_learning_constants<double>(with(Loss::huber), 1);
  EXPECT_EQ(sample_loss(huber, 1.0), 0.5);
  EXPECT_EQ(sample_loss(huber, -3.0), 2.5);
  EXPECT_EQ(sample_loss(huber, 0.5), 0.125);
  EXPECT_EQ(loss_slope(huber, -1.0), -1.0);
  const auto mse = make_q_learning_constants<float>(with(Loss::mse), 128);
  EXPECT_EQ(sample_loss(mse, -3.0f), 9.0f);
  EXPECT_EQ(loss_slope(mse, 1.0f), 2.0f / 128);
}

TEST(QLearning, NotANumberStaysOne) {
  const float nan = std::nanf("");
  for (const Loss loss : {Loss::mse, Loss::huber}) {
    const auto c = make_q_learning_constants<float>(with(loss), 4);
    EXPECT_TRUE(std::isnan(loss_slope(c, nan)));
    EXPECT_TRUE(std::isnan(sample_loss(c, nan)));
    EXPECT_TRUE(std::isnan(td_target(c, 1.0f, 1.0f, nan)));
    MeanLoss<float> mean;
    for (std::uint32_t i = 0; i < 4; ++i) mean.add(i, i == 2 ? nan : 1.0f);
    EXPECT_TRUE(std::isnan(mean.mean(c)));
  }
}

TEST(QLearning, ResidualSlopeIsMinusGammaTimesTheSlope) {
  const auto c = make_q_learning_constants<float>(with(Loss::mse), 1);
  EXPECT_EQ(residual_slope(c, 1.0f, 0.7f), -0.99f * 0.7f);
  EXPECT_EQ(residual_slope(c, 0.0f, 0.7f), 0.0f);
}

TEST(QLearning, MeanLossIsTheMean) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> uniform(0, 3);
  for (const std::uint32_t batch : {1u, 15u, 16u, 17u, 128u, 200u}) {
    const auto c = make_q_learning_constants<double>(with(Loss::mse), batch);
    MeanLoss<double> mean;
    double sum = 0;
    for (std::uint32_t i = 0; i < batch; ++i) {
      const double loss = uniform(random);
      mean.add(i, loss);
      sum += loss;
    }
    EXPECT_NEAR(mean.mean(c), sum / batch, 1e-13);
  }
}

TEST(QLearning, ClipsAsTorchDoes) {
  GradientNorm norm;
  for (const float g : {3.0f, -4.0f, 12.0f}) norm.add(g);
  EXPECT_EQ(norm.sum_of_squares, 169.0);
  EXPECT_DOUBLE_EQ(norm.clip_factor(6.5), 6.5 / (13 + 1e-6));
  EXPECT_EQ(norm.clip_factor(13.1), 1.0);
  EXPECT_LT(norm.clip_factor(13), 1.0);  // PyTorch's 1e-6 in the denominator
  norm.add(std::nanf(""));
  EXPECT_TRUE(std::isnan(norm.sum_of_squares));
}

// surely_within may only say yes where nothing is clipped, and says it well below the limit.
TEST(QLearning, ShortcutOfTheNormIsSafe) {
  std::mt19937_64 random(6);
  std::uniform_real_distribution<double> exponent(-30, 30), error(-0.001, 0.001);
  int within = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double clip = std::exp2(exponent(random));
    GradientNorm exact;
    const double relative = i % 2 == 0 ? 1 + 3 * error(random) : std::exp2(exponent(random) / 10);
    exact.sum_of_squares = clip * clip * relative;
    GradientNorm estimate = exact;
    estimate.sum_of_squares *= 1 + error(random);
    if (!estimate.surely_within(clip)) continue;
    ++within;
    ASSERT_EQ(exact.clip_factor(clip), 1.0) << clip << ' ' << relative;
  }
  EXPECT_GT(within, 10'000);
  GradientNorm broken;
  broken.sum_of_squares = std::nan("");
  EXPECT_FALSE(broken.surely_within(10));
  broken.sum_of_squares = HUGE_VAL;
  EXPECT_FALSE(broken.surely_within(10));
  EXPECT_TRUE(GradientNorm{99.0}.surely_within(10));
}

TEST(QLearning, MixesOrCopiesTheTarget) {
  QLearningSettings s;
  s.tau = 0.25;
  const auto soft = make_q_learning_constants<float>(s, 1);
  EXPECT_EQ(mix_target(soft, 5.0f, 1.0f), 2.0f);
  s.tau = 1;
  const auto copy = make_q_learning_constants<float>(s, 1);
  // online - target rounds here: a copy is no fma
  EXPECT_EQ(mix_target(copy, 1.0f, 0x1.8p24f), 1.0f);
}

TEST(QLearning, KnowsWhoHasATargetNetwork) {
  const auto has = [](Bootstrap bootstrap) {
    QLearningSettings s;
    s.bootstrap = bootstrap;
    return make_q_learning_constants<float>(s, 1).has_target_network();
  };
  EXPECT_TRUE(has(Bootstrap::target_network));
  EXPECT_TRUE(has(Bootstrap::double_q));
  EXPECT_FALSE(has(Bootstrap::semi_gradient));
  EXPECT_FALSE(has(Bootstrap::residual));
}

// ---- exploration

TEST(Epsilon, SchedulesFollowTheirFormulas) {
  using Schedule = EpsilonSettings::Schedule;
  EpsilonSchedule constant({Schedule::constant, 0.01, 0.5, 100});
  EpsilonSchedule linear({Schedule::linear, 1, 0.05, 100});
  EpsilonSchedule exponential({Schedule::exponential, 0.9, 0.05, 1000});
  for (int t = 0; t < 5000; ++t) {
    EXPECT_EQ(constant.next(), 0.01);
    EXPECT_NEAR(linear.next(), t < 100 ? 1 - 0.95 * t / 100 : 0.05, 1e-15);
    EXPECT_NEAR(exponential.next(), 0.05 + 0.85 * std::exp(-t / 1000.0), 1e-12);
  }
  EpsilonSchedule at_once({Schedule::linear, 1, 0.2, 0});
  EXPECT_EQ(at_once.next(), 0.2);
}

TEST(Epsilon, GoesOnFromACopy) {
  EpsilonSchedule whole({EpsilonSettings::Schedule::exponential, 1, 0.01, 300});
  for (int t = 0; t < 777; ++t) whole.next();
  EpsilonSchedule resumed = whole;
  for (int t = 0; t < 777; ++t) EXPECT_EQ(resumed.next(), whole.next());
}

// Shares of 200,000 steps within 5 standard errors; 0 never explores, 1 always does.
TEST(Exploration, HappensWithProbabilityEpsilon) {
  constexpr int kSteps = 200'000;
  int explored = 0, ones = 0;
  for (int t = 0; t < kSteps; ++t) {
    const auto block = exploration_block(11, 3, static_cast<std::uint64_t>(t));
    ASSERT_FALSE(explores(block, 0));
    ASSERT_TRUE(explores(block, 1));
    explored += explores(block, 0.05) ? 1 : 0;
    ones += random_action(block) ? 1 : 0;
  }
  EXPECT_NEAR(explored, 0.05 * kSteps, 5 * std::sqrt(0.05 * 0.95 * kSteps));
  EXPECT_NEAR(ones, 0.5 * kSteps, 5 * std::sqrt(0.25 * kSteps));
}

TEST(Exploration, WordsDecideAtTheirEdges) {
  EXPECT_TRUE(random_action({0, 0x7fffffffu, 0, 0}));
  EXPECT_FALSE(random_action({0, 0x80000000u, 0, 0}));
  EXPECT_TRUE(explores({0x3fffffffu, 0, 0, 0}, 0.25));
  EXPECT_FALSE(explores({0x40000000u, 0, 0, 0}, 0.25));
  EXPECT_TRUE(explores({0xffu, 0, 0, 0}, 1e-30));  // u = 0: an event rarer than 2^-24 happens there
}

}  // namespace
}  // namespace fryer
