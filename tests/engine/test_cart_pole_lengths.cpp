// SPDX-License-Identifier: Apache-2.0
// How long CartPole episodes last: the random policy's known mean and deviation, policies that need no sampling, and the whole
// distribution of five policies against an independent implementation in plain double with another generator. Fixed seeds: a
// failure is a change, not chance.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "fryer/engine/api.h"
#include "tests/engine/effort.h"

namespace fryer {
namespace {

// Detects a wrong start distribution, force, limit or off-by-one in the length: each moves the mean by more than 0.01. Over 6
// 10^8 episodes mean and deviation are 22.2533 and 11.8611; 1.2 10^7 of an independent program in double have 22.253 and 11.863
// (standard errors 0.0034, 0.0048). The mean that is known of old, 22.246, is that of fewer.
TEST(Lengths, OfTheRandomPolicyAreTheKnownOnes) {
  const auto backend = make_backend({});
  CartPoleEvaluateConfiguration c;
  c.random = true;
  c.episodes = test::little_effort() ? 200'000 : 10'000'000;
  const EvaluateResult r = evaluate(c, *backend);
  const double more =
      test::little_effort() ? 5 / std::sqrt(static_cast<double>(c.episodes)) : 0;  // standard errors of fewer episodes
  EXPECT_NEAR(r.mean, 22.246, 0.01 + more * 11.861);
  EXPECT_NEAR(r.sd, 11.861, 0.02 + more * 1.5 * 11.861);  // its error is sqrt(kurtosis - 1) / 2 = 1.4 that of the mean
  EXPECT_NEAR(r.standard_error, r.sd / std::sqrt(static_cast<double>(c.episodes)), 1e-6);
  EXPECT_EQ(r.min, 8);
  EXPECT_EQ(r.terminated, c.episodes) << "chance never balances 500 steps";
  EXPECT_EQ(r.truncated, 0u);
  // v0 is the same game, cut off.
  c.problem.environment.max_steps = 20;
  const EvaluateResult cut = evaluate(c, *backend);
  std::uint64_t longer = 0;
  for (std::size_t n = 21; n < r.length_histogram.size(); ++n) longer += r.length_histogram[n];
  for (std::size_t n = 0; n < 20; ++n) ASSERT_EQ(cut.length_histogram[n], r.length_histogram[n]) << n;
  EXPECT_EQ(cut.length_histogram[20], r.length_histogram[20] + longer);
  EXPECT_EQ(cut.truncated, cut.length_histogram[20]);
  EXPECT_EQ(cut.terminated, c.episodes - longer) << "those that fall with their last allowed step count as both";
}

TEST(Lengths, OfPoliciesThatAlwaysPushOneWay) {
  const auto backend = make_backend({});
  CartPoleEvaluateConfiguration c;
  c.episodes = 1'000'000;
  for (const double bias : {1e4, -1e4}) {
    c.problem.parameters = {0, 0, 0, 0, bias};
    const EvaluateResult r = evaluate(c, *backend);
    EXPECT_NEAR(r.mean, 9.356, 0.005) << bias;
    EXPECT_EQ(r.min, 8);
    EXPECT_LE(r.max, 11);
    // Nothing is left to chance, so sampling changes nothing.
    c.greedy = true;
    EXPECT_EQ(evaluate(c, *backend).length_histogram, r.length_histogram);
    c.greedy = false;
  }
}

// CartPole as its equations stand in Gymnasium, and nothing of fryer's.
class PlainCartPole {
 public:
  explicit PlainCartPole(std::uint64_t seed) : random_(seed) {}

  int length(const std::array<double, 5>& parameters, int max_steps) {
    std::uniform_real_distribution<double> start(-0.05, 0.05), unit(0, 1);
    double x = start(random_), x_dot = start(random_), theta = start(random_), theta_dot = start(random_);
    const double limit = 12 * 2 * std::acos(-1.0) / 360;
    for (int steps = 1;; ++steps) {
      const double logit =
          parameters[0] * x + parameters[1] * x_dot + parameters[2] * theta + parameters[3] * theta_dot + parameters[4];
      const double force = unit(random_) < 1 / (1 + std::exp(-logit)) ? 10 : -10;
      const double cosine = std::cos(theta), sine = std::sin(theta);
      const double temp = (force + 0.1 * 0.5 * theta_dot * theta_dot * sine) / 1.1;
      const double theta_acceleration = (9.8 * sine - cosine * temp) / (0.5 * (4.0 / 3 - 0.1 * cosine * cosine / 1.1));
      const double x_acceleration = temp - 0.1 * 0.5 * theta_acceleration * cosine / 1.1;
      x += 0.02 * x_dot;
      x_dot += 0.02 * x_acceleration;
      theta += 0.02 * theta_dot;
      theta_dot += 0.02 * theta_acceleration;
      if (std::abs(x) > 2.4 || std::abs(theta) > limit || steps == max_steps) return steps;
    }
  }

 private:
  std::mt19937_64 random_;
};

// Largest difference of two empirical distribution functions.
double kolmogorov_smirnov(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b, double n, double m) {
  double largest = 0, at_a = 0, at_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    at_a += static_cast<double>(a[i]) / n;
    at_b += static_cast<double>(b[i]) / m;
    largest = std::fmax(largest, std::fabs(at_a - at_b));
  }
  return largest;
}

// Detects whatever the mean forgives. Random play, two biased ones, one that often balances and one that nearly always does;
// beyond 2.2 sqrt((n + m) / (n m)) a difference of equal distributions would come by chance once in 8,000.
TEST(Lengths, AreDistributedAsInAnIndependentImplementation) {
  const auto backend = make_backend({});
  const std::vector<std::array<double, 5>> policies = {
      {0, 0, 0, 0, 0}, {0, 0, 0, 0, 1}, {-0.5, 0.3, -3, 1, -0.4}, {0.05, 0.1, 2, 0.8, 0}, {0.5, 1, 10, 3, 0}};
  double longest_mean = 0;
  for (const auto& parameters : policies) {
    CartPoleEvaluateConfiguration c;
    c.problem.parameters = parameters;
    c.episodes = test::little_effort() ? 10'000 : 300'000;
    const EvaluateResult r = evaluate(c, *backend);
    longest_mean = std::fmax(longest_mean, r.mean);

    std::vector<std::uint64_t> lengths(r.length_histogram.size());
    PlainCartPole plain(20'240'601);
    const int episodes = test::little_effort() ? 5'000 : r.mean > 150 ? 6'000 : 60'000;
    for (int i = 0; i < episodes; ++i) ++lengths[static_cast<std::size_t>(plain.length(parameters, 500))];
    const double n = static_cast<double>(c.episodes), m = episodes;
    EXPECT_LT(kolmogorov_smirnov(r.length_histogram, lengths, n, m), 2.2 * std::sqrt((n + m) / (n * m)))
        << "w_angle " << parameters[2] << " bias " << parameters[4] << " mean " << r.mean;
  }
  EXPECT_GT(longest_mean, 400) << "one of the policies balances, or truncated episodes are not compared";
}

// Such a comparison notices a push of 10.5 N instead of 10, or lengths that are off by one.
TEST(Lengths, ComparisonOfDistributionsIsSharp) {
  const auto backend = make_backend({});
  CartPoleEvaluateConfiguration c;
  c.problem.parameters = {0.05, 0.1, 2, 0.8, 0};
  c.episodes = 200'000;
  const EvaluateResult r = evaluate(c, *backend);
  c.seed = 43;
  const double n = static_cast<double>(c.episodes), bound = 2.2 * std::sqrt(2 / n);
  EXPECT_LT(kolmogorov_smirnov(r.length_histogram, evaluate(c, *backend).length_histogram, n, n), bound);
  std::vector<std::uint64_t> shifted(r.length_histogram.begin() + 1, r.length_histogram.end());
  shifted.push_back(0);
  EXPECT_GT(kolmogorov_smirnov(r.length_histogram, shifted, n, n), bound);
  c.problem.environment.force = 10.5;
  EXPECT_GT(kolmogorov_smirnov(r.length_histogram, evaluate(c, *backend).length_histogram, n, n), bound);
}

// Every number of an evaluation follows from its histogram and counts.
TEST(Evaluation, SummaryFollowsTheHistogram) {
  const auto backend = make_backend({});
  for (const bool sutton : {false, true}) {
    CartPoleEvaluateConfiguration c;
    c.problem.environment.max_steps = CartPole::kMaxStepsV0;
    c.problem.environment.sutton_barto_reward = sutton;
    c.problem.parameters = {0.1, 0.4, 4, 1.2, 0};
    c.episodes = 20'011;
    const EvaluateResult r = evaluate(c, *backend);
    ASSERT_EQ(r.length_histogram.size(), 201u);
    std::vector<double> returns;
    std::uint64_t steps = 0;
    for (std::size_t n = 0; n < 201; ++n) {
      steps += n * r.length_histogram[n];
      if (!sutton) returns.insert(returns.end(), r.length_histogram[n], static_cast<double>(n));
    }
    if (sutton) {
      returns.assign(r.terminated, -1);
      returns.resize(c.episodes, 0);
    }
    ASSERT_EQ(returns.size(), c.episodes);
    double sum = 0, squares = 0;
    for (const double x : returns) sum += x;
    const double n = static_cast<double>(c.episodes), mean = sum / n;
    for (const double x : returns) squares += (x - mean) * (x - mean);
    EXPECT_EQ(r.steps, steps);
    EXPECT_EQ(r.episodes, c.episodes);
    EXPECT_NEAR(r.mean, mean, 1e-12 * std::fabs(mean));
    EXPECT_NEAR(r.sd, std::sqrt(squares / n), 1e-9);
    EXPECT_NEAR(r.standard_error, std::sqrt(squares / n / (n - 1)), 1e-9);
    EXPECT_EQ(r.min, returns.front());
    EXPECT_EQ(r.max, returns.back());
    for (std::size_t i = 0; i < kQuantiles.size(); ++i)
      EXPECT_EQ(r.quantiles[i], returns[quantile_position(kQuantiles[i], c.episodes)]) << kQuantiles[i];
    EXPECT_EQ(r.truncated, r.length_histogram[200]);
    EXPECT_GE(r.terminated + r.truncated, c.episodes);
    EXPECT_GT(r.truncated, 100u);
    EXPECT_GT(r.terminated, 100u);
  }
}

// Greedy takes the likelier action always: for a policy with a tiny weight that is its sign, and longer play.
TEST(Evaluation, GreedyTakesTheLikelierAction) {
  const auto backend = make_backend({});
  CartPoleEvaluateConfiguration c;
  c.episodes = 10'000;
  c.problem.parameters = {0.05, 0.1, 2, 0.8, 0};
  const double sampled = evaluate(c, *backend).mean;
  c.greedy = true;
  const EvaluateResult greedy = evaluate(c, *backend);
  EXPECT_GT(greedy.mean, 2 * sampled);
  for (double& parameter : c.problem.parameters) parameter *= 1e-3;
  EXPECT_NEAR(evaluate(c, *backend).mean, greedy.mean, 5 * greedy.standard_error) << "a policy's scale does not matter to it";
  for (double& parameter : c.problem.parameters) parameter *= 1e7;
  c.greedy = false;
  EXPECT_NEAR(evaluate(c, *backend).mean, greedy.mean, 5 * greedy.standard_error) << "steep enough, sampling is greedy";
}

}  // namespace
}  // namespace fryer
