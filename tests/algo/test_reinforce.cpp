// SPDX-License-Identifier: Apache-2.0
// REINFORCE by eligibility traces, one CartPole episode at a time: what a lane has after an episode, against the sums over its
// stored trajectory in double; then the arithmetic from exact sums to advantages and gradients.
#include "fryer/algo/reinforce.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/engine/cart_pole_trajectory.h"

namespace fryer {
namespace {

using test::Trajectory;

// What a lane has summed when its episode ends, in the ascent direction.
struct LaneEpisode {
  std::array<double, 5> gradient{}, score{};
  double return_sum = 0, return_square = 0;
  std::uint32_t steps = 0;
  bool terminated = false;
};

template <bool kGeneral>
LaneEpisode play_in_lane(const CartPoleGame& game, const SigmoidPolicy<float, 4>& policy, std::uint64_t seed,
                         std::uint64_t number) {
  const UniformKey key = make_uniform_key(seed);
  const auto low = static_cast<std::uint32_t>(number), high = static_cast<std::uint32_t>(number >> 32);
  CartPoleBlock<float, kGeneral> block{};
  EpisodeLearner<float, kCartPoleParameters, Track::gradient_and_scores> learner{};
  CartPole::start<float>(game.rules, philox<float>(0u, game.reset_word, low, high, key), block.observation[0]);
  block.live[0] = true;
  learner.clear_if(true);
  LaneEpisode episode;
  for (std::uint32_t number_of_block = 0;; ++number_of_block) {
    const RandomBlock<std::uint32_t> words = philox<float>(number_of_block, game.action_word, low, high, key);
    const std::uint32_t steps = steps_of(number_of_block);
    block.advance(0, game, policy, words.x, steps);
    block.advance(1, game, policy, words.y, steps);
    block.advance(2, game, policy, words.z, steps);
    block.advance(3, game, policy, words.w, steps);
    const bool ended = block.ended(game, number_of_block + 1);
    auto without_masks = learner;
    accumulate(learner, game, policy, block, Everywhere());
    if (ended) {
      episode.steps = block.steps_of_ended(number_of_block + 1);
      break;
    }
    accumulate_whole_block(without_masks, game, block);
    EXPECT_EQ(std::memcmp(&without_masks, &learner, sizeof learner), 0);
    block.next();
  }
  for (std::size_t i = 0; i < 5; ++i) {
    episode.gradient[i] = -static_cast<double>(learner.gradient[i]) * 0x1p-24;
    episode.score[i] = -static_cast<double>(learner.score[i]) * 0x1p-24;
  }
  episode.return_sum = static_cast<double>(learner.moments.sum);
  episode.return_square = static_cast<double>(learner.moments.square);
  episode.terminated = block.terminated();
  return episode;
}

struct Case {
  const char* name;
  CartPoleProblem problem;
};

// Settings that need the general program, and some that do not.
std::vector<Case> cases() {
  CartPoleProblem v1, v0;
  v0.environment.max_steps = CartPole::kMaxStepsV0;
  std::vector<Case> all = {{"CartPole-v1", v1}, {"CartPole-v0", v0}};
  CartPoleProblem p = v0;
  p.environment.sutton_barto_reward = true;
  all.push_back({"Sutton-Barto reward", p});
  p = v1;
  p.entropy_bonus = 0.3;
  all.push_back({"entropy bonus", p});
  for (const std::uint32_t steps : {1u, 2u, 9u, 23u, 43u, 501u}) {
    p = v1;
    p.environment.max_steps = steps;
    all.push_back({"max_steps not a multiple of 4", p});
  }
  p = v1;
  p.environment.integrator = CartPole::Integrator::semi_implicit;
  all.push_back({"semi-implicit", p});
  p = v0;
  p.environment.angle_limit = 1.5;
  p.environment.start_range = 0.5;
  p.environment.sutton_barto_reward = true;
  p.environment.max_steps = 197;
  p.entropy_bonus = -0.05;
  p.reward_scale = 0.3;
  all.push_back({"everything at once", p});
  return all;
}

const std::vector<std::array<double, 5>> kPolicies = {
    {0, 0, 0, 0, 0}, {0.1, 0.4, 4, 1.2, 0.05}, {0.5, 1, 10, 3, 0}, {-1, 0.3, -2, 0.5, -0.7}, {0, 0, 0, 0, 40}};

std::vector<double> magnitudes_of(const std::vector<double>& x, double factor = 1) {
  std::vector<double> m;
  for (const double value : x) m.push_back(std::fabs(factor * value));
  return m;
}

// Detects a trace, reward or entropy term of a dead step, a wrong order of discounting and adding, a block's end taken for the
// episode's, and any error in the forward recurrences of the returns' moments.
TEST(Reinforce, TracesSumWhatTheStoredTrajectoryGives) {
  int terminated = 0, truncated = 0, both = 0, whole_blocks = 0, parts = 0;
  for (Case c : cases()) {
    for (const double gamma : {0.0, 0.5, 0.9, 0.99, 1.0}) {
      for (const auto& parameters : kPolicies) {
        c.problem.gamma = gamma;
        c.problem.parameters = parameters;
        const CartPoleGame game = test::cart_pole_game(c.problem);
        const SigmoidPolicy<float, 4> policy = test::cart_pole_policy(parameters);
        for (const std::uint64_t number : {0ull, 1ull, 2ull, 3ull, (1ull << 32) + 5}) {
          SCOPED_TRACE(fmt::format("{}, {} steps, gamma {}, w_angle {}, episode {}", c.name, c.problem.environment.max_steps,
                                   gamma, parameters[2], number));
          const Trajectory stored = test::play_trajectory(c.problem, 77, number);
          const LaneEpisode lane =
              game.general ? play_in_lane<true>(game, policy, 77, number) : play_in_lane<false>(game, policy, 77, number);
          ASSERT_EQ(lane.steps, stored.size());
          ASSERT_EQ(lane.terminated, stored.terminated);
          const bool at_limit = stored.size() == c.problem.environment.max_steps;
          terminated += stored.terminated;
          truncated += at_limit;
          both += stored.terminated && at_limit;
          (stored.size() % 4 == 0 ? whole_blocks : parts) += 1;

          std::vector<double> advantage = stored.returns_to_go(gamma);
          double sum = 0, square = 0;
          for (double& g : advantage) {
            sum += g;
            square += g * g;
            g *= c.problem.reward_scale;
          }
          const auto gradient =
              test::gradient_of(stored, parameters, advantage, magnitudes_of(advantage), c.problem.entropy_bonus);
          const std::vector<double> ones(stored.size(), 1);
          const auto score = test::gradient_of(stored, parameters, ones, ones);
          const double rounding = static_cast<double>(stored.size() + 1) * 0x1p-22;
          for (std::size_t i = 0; i < 5; ++i) {
            EXPECT_NEAR(lane.gradient[i], gradient.value[i], gradient.error[i]) << i;
            EXPECT_NEAR(lane.score[i], score.value[i], score.error[i]) << i;
          }
          EXPECT_NEAR(lane.return_sum, sum, rounding * std::fabs(sum));
          EXPECT_NEAR(lane.return_square, square, rounding * square);
        }
      }
    }
  }
  // Episodes of every kind were among them.
  EXPECT_GT(terminated, 100);
  EXPECT_GT(truncated, 100);
  EXPECT_GT(both, 0);
  EXPECT_GT(whole_blocks, 50);
  EXPECT_GT(parts, 100);
}

// The bound above is no licence: it is a ten-thousandth of the sum of the terms' magnitudes at most.
TEST(Reinforce, BoundsOfTheComparisonAreTight) {
  CartPoleProblem problem;
  problem.parameters = kPolicies[1];
  for (std::uint64_t number = 0; number < 20; ++number) {
    const Trajectory stored = test::play_trajectory(problem, 1, number);
    const std::vector<double> g = stored.returns_to_go(problem.gamma);
    const auto gradient = test::gradient_of(stored, problem.parameters, g, magnitudes_of(g));
    for (std::size_t i = 0; i < 5; ++i) {
      double terms = 0;
      for (std::size_t t = 0; t < stored.size(); ++t) terms += g[t] * std::fabs(stored.input[t][i]);
      EXPECT_LT(gradient.error[i], 1e-4 * terms) << i;
    }
  }
}

// With rewards of 1 and gamma 0 or 1 the returns' moments are exact integers, so equal returns have a deviation of exactly 0.
TEST(ReturnMoments, AreExactIntegersForGammaZeroAndOne) {
  for (const float gamma : {0.0f, 1.0f}) {
    ReturnMoments<float> m{};
    double sum = 0, square = 0;
    for (int t = 1; t <= 200; ++t) {
      m.add(true, gamma, gamma * gamma);
      const double g = gamma == 0 ? 1 : t;
      sum += g;
      square += g * g;
      ASSERT_EQ(static_cast<double>(m.sum), sum);
      ASSERT_EQ(static_cast<double>(m.square), square);
    }
  }
}

// Both forms of add give the same bits for rewards of 1, and steps that are not live add nothing to the sums.
TEST(ReturnMoments, FormsAgreeAndDeadStepsDoNotCount) {
  const float gamma = 0.97f, gamma_squared = static_cast<float>(0.97 * 0.97);
  ReturnMoments<float> plain{}, any{};
  for (int t = 0; t < 500; ++t) {
    plain.add(t < 400, gamma, gamma_squared);
    any.add(t < 400, gamma, gamma_squared, 1.0f);
    ASSERT_EQ(to_bits(plain.sum), to_bits(any.sum)) << t;
    ASSERT_EQ(to_bits(plain.square), to_bits(any.square)) << t;
    ASSERT_EQ(to_bits(plain.h), to_bits(any.h)) << t;
  }
  const ReturnMoments<float> before = plain;
  plain.add(false, gamma, gamma_squared);
  EXPECT_EQ(plain.sum, before.sum);
  EXPECT_EQ(plain.square, before.square);
  plain.clear_if(false);
  EXPECT_EQ(plain.sum, before.sum);
  plain.clear_if(true);
  EXPECT_EQ(plain.sum + plain.square + plain.c + plain.q + plain.h, 0.0f);
}

// ---- from sums to advantages

// Sums of two returns, 3 and 7, with 4 binary digits, scaled by 2: mean 5, deviation 2.
constexpr ReturnScale kScale = {16, 16, 1.0 / 16, 1.0 / 16, 2};
constexpr std::int64_t kSum = 16 * (3 + 7), kSquare = 16 * (9 + 49);

TEST(Advantage, FollowsItsDefinition) {
  const auto transform = [](Baseline baseline) { return advantage_transform(baseline, 1.25, kScale, kSum, kSquare, 2); };
  EXPECT_EQ(transform(Baseline::none).shift, 0);
  EXPECT_EQ(transform(Baseline::none).factor, 1);
  EXPECT_EQ(transform(Baseline::constant).shift, 1.25) << "in units of the scaled return";
  EXPECT_EQ(transform(Baseline::constant).factor, 1);
  EXPECT_EQ(transform(Baseline::mean).shift, 10);
  EXPECT_EQ(transform(Baseline::mean).factor, 1);
  EXPECT_EQ(transform(Baseline::standardize).shift, 10);
  EXPECT_EQ(transform(Baseline::standardize).factor, 1 / (4 + 1e-8));
}

TEST(Advantage, OfEqualReturnsIsZeroWhenStandardized) {
  const AdvantageTransform a = advantage_transform(Baseline::standardize, 0, kScale, 16 * 5 * 3, 16 * 25 * 3, 3);
  EXPECT_EQ(a.factor, 0);
  const ParameterScale scale = {1, 1, 1, 1};
  EXPECT_EQ(batch_gradient(Baseline::standardize, a, scale, 12345, 678), 0.0f);
  // Rounding that makes the variance negative counts as no deviation as well.
  EXPECT_EQ(advantage_transform(Baseline::standardize, 0, kScale, 16 * 5 * 3, 16 * 25 * 3 - 1, 3).factor, 0);
}

TEST(Advantage, GradientIsCombinedInDoubleAndRoundedOnce) {
  const ParameterScale scale = {0, 0, 0x1p-40, 0x1p-30};
  const std::int64_t gradient = 0x123456789abcdefll, score = -0x2345678912345ll;
  const AdvantageTransform a = {3.7, 0.3};
  const double exact = (static_cast<double>(gradient) * 0x1p-40 - 3.7 * (static_cast<double>(score) * 0x1p-30)) * 0.3;
  EXPECT_EQ(batch_gradient(Baseline::mean, a, scale, gradient, score), static_cast<float>(exact));
  EXPECT_EQ(batch_gradient(Baseline::none, {0, 1}, scale, gradient, score),
            static_cast<float>(static_cast<double>(gradient) * 0x1p-40))
      << "without a baseline scores do not enter";
}

// The bounds that exact sums are built on, against the sums themselves.
TEST(ReturnBounds, AreTheSumsOfTheLongestEpisode) {
  for (const double gamma : {0.0, 0.3, 0.99, 1.0}) {
    const ReturnBounds bounds = return_bounds(gamma, 500);
    double sum = 0, square = 0, largest = 0;
    for (int t = 0; t < 500; ++t) {
      double g = 0;
      for (int k = t; k < 500; ++k) g += std::pow(gamma, k - t);
      sum += g;
      square += g * g;
      largest = std::fmax(largest, g);
    }
    EXPECT_NEAR(bounds.discounted, largest, 1e-9 * largest);
    EXPECT_NEAR(bounds.return_sum, sum, 1e-9 * sum);
    EXPECT_NEAR(bounds.return_square, square, 1e-9 * square);
    EXPECT_GT(bounds.rounding_margin, 1);
  }
}

// Parameters too large for finite logits count as failures, and so does everything that is not a number.
TEST(Usable, ParametersAreThoseWithFiniteLogits) {
  EXPECT_TRUE(is_usable(0.0f));
  EXPECT_TRUE(is_usable(kLargestParameter));
  EXPECT_TRUE(is_usable(-kLargestParameter));
  EXPECT_FALSE(is_usable(std::nextafter(kLargestParameter, std::numeric_limits<float>::infinity())));
  EXPECT_FALSE(is_usable(-std::numeric_limits<float>::infinity()));
  EXPECT_FALSE(is_usable(std::numeric_limits<float>::quiet_NaN()));
}

}  // namespace
}  // namespace fryer
