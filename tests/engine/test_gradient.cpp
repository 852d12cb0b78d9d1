// SPDX-License-Identifier: Apache-2.0
// The simulated gradient, return and second moments against the truth: the closed form, and the expectation over the discrete shack
// that the lanes play (numbers are multiples of 2^-24), enumerated. One fixed seed: a failure is a change, not chance.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "fryer/engine/api.h"
#include "fryer/lane/one_block_episode.h"
#include "tests/engine/effort.h"
#include "tests/engine/fry_shack_points.h"

namespace fryer {
namespace {

using test::Point;

// Moments of a contribution or a return.
struct Moments {
  double first = 0, second = 0, fourth = 0;
  void add(double x, double weight) {
    first += weight * x;
    second += weight * x * x;
    fourth += weight * x * x * x * x;
  }
  double error_of_mean(double n) const { return std::sqrt(std::fmax(0, second - first * first) / n); }
  double error_of_square(double n) const { return std::sqrt(std::fmax(0, fourth - second * second) / n); }
};
struct Expectation {
  Moments mean_return, weight, bias;
};

// Every so many multiples of 2^-24 a hunger is enumerated, which moves an expectation by no more than that share of a contribution.
std::uint32_t stride() { return test::little_effort() ? 256 : 16; }

// Over hunger, both actions and both orders, with the lanes' float probabilities and gains. In the ascent direction.
Expectation enumerate(const Problem& problem) {
  const FryShack::Rules rules = FryShack::make_rules(problem.environment);
  const FryShack::Settings& s = problem.environment;
  SigmoidPolicy<float, 1> policy;
  policy.weight[0] = static_cast<float>(problem.weight) * 0x1p-24f;
  policy.bias = static_cast<float>(problem.bias);
  const std::uint32_t step = stride();
  Expectation e;
  for (std::uint32_t hunger = step / 2; hunger < 0x1000000u; hunger += step) {
    const float observation[1] = {static_cast<float>(hunger)};
    const double p24 = static_cast<double>(sigmoid24(policy.logit(observation)));
    const bool hungry = hunger > rules.hungry_above;
    for (const bool norm : {false, true}) {
      const double chosen = norm ? std::ceil(p24) * 0x1p-24 : 1 - std::ceil(p24) * 0x1p-24;
      const double error = (norm ? 1 : 0) - p24 * 0x1p-24;
      const double large = (norm ? rules.norm_large : rules.squatch_large) * 0x1p-24;
      for (const bool correct : {false, true}) {
        const double probability = chosen * (correct == hungry ? large : 1 - large) * (step * 0x1p-24);
        const double reward = correct ? s.reward_correct : s.reward_wrong;
        const double gradient = error * static_cast<double>(static_cast<float>(problem.reward_scale * reward));
        e.mean_return.add(reward, probability);
        e.bias.add(gradient, probability);
        e.weight.add(gradient * hunger * 0x1p-24, probability);
      }
    }
  }
  return e;
}

void expect_within(const char* what, double value, double truth, double standard_error) {
  EXPECT_LE(std::fabs(value - truth), 5 * standard_error + 1e-9 * std::fabs(truth))
      << what << ": " << value << ", truth " << truth << ", standard error " << standard_error;
}

// Detects a biased estimate, a wrong standard error or a wrong second moment: 2^26 episodes at each of thirty points, five
// quantities, five standard errors; another seed would fail by chance once in 10,000. The sharpest is 1e-4 of one contribution.
TEST(Gradient, AgreesWithTheTruthEverywhere) {
  const std::uint64_t episodes = std::uint64_t{1} << (test::little_effort() ? 20 : 26);
  const auto n = static_cast<double>(episodes);
  const auto backend = make_backend({});
  int compared_with_closed_form = 0;
  for (const Point& point : test::fry_shack_points()) {
    SCOPED_TRACE(point.name);
    GradientConfiguration c;
    c.problem = point.problem();
    c.episodes = episodes;
    c.seed = 20'240'601;
    const GradientResult r = gradient(c, *backend);
    const Expectation truth = enumerate(c.problem);
    expect_within("return", r.mean_return.estimate, truth.mean_return.first, truth.mean_return.error_of_mean(n));
    expect_within("gradient by weight", r.weight.estimate, truth.weight.first, truth.weight.error_of_mean(n));
    expect_within("gradient by bias", r.bias.estimate, truth.bias.first, truth.bias.error_of_mean(n));
    expect_within("second moment by weight", r.second_moment_weight, truth.weight.second, truth.weight.error_of_square(n));
    expect_within("second moment by bias", r.second_moment_bias, truth.bias.second, truth.bias.error_of_square(n));

    // The closed form differs from the discrete shack by a few 2^-24 of a contribution (here plus the enumeration's step).
    const double gain = std::fabs(point.scale) * std::fmax(std::fabs(point.correct), std::fabs(point.wrong));
    const double grid = 2 * stride() * 0x1p-24;
    const FryShackExact exact = fry_shack_exact(c.problem);
    EXPECT_NEAR(exact.mean_return, truth.mean_return.first, grid * (std::fabs(point.correct) + std::fabs(point.wrong)));
    EXPECT_NEAR(exact.gradient_weight, truth.weight.first, grid * gain);
    EXPECT_NEAR(exact.gradient_bias, truth.bias.first, grid * gain);
    EXPECT_NEAR(exact.second_moment_weight, truth.weight.second, grid * gain * gain);
    EXPECT_NEAR(exact.second_moment_bias, truth.bias.second, grid * gain * gain);

    // So where contributions are not that small, the closed form is the truth, and the result says so itself.
    if (truth.bias.second < 1e-3 * gain * gain) continue;
    ++compared_with_closed_form;
    for (const Estimate* e : {&r.mean_return, &r.weight, &r.bias}) {
      if (e->standard_error == 0) continue;
      ASSERT_TRUE(e->z.has_value());
      EXPECT_LT(std::fabs(*e->z), 5);
      EXPECT_DOUBLE_EQ(*e->z, (e->estimate - *e->exact) / e->standard_error);
    }
    EXPECT_EQ(r.mean_return.exact, exact.mean_return);
    EXPECT_EQ(r.weight.exact, exact.gradient_weight);
    EXPECT_EQ(r.bias.exact, exact.gradient_bias);
    EXPECT_EQ(r.second_moment_weight_exact, exact.second_moment_weight);
    EXPECT_EQ(r.second_moment_bias_exact, exact.second_moment_bias);
    EXPECT_NEAR(r.mean_return.standard_error, truth.mean_return.error_of_mean(n), 0.02 * truth.mean_return.error_of_mean(n));
    EXPECT_NEAR(r.weight.standard_error, truth.weight.error_of_mean(n), 0.02 * truth.weight.error_of_mean(n));
    EXPECT_NEAR(r.bias.standard_error, truth.bias.error_of_mean(n), 0.02 * truth.bias.error_of_mean(n));
    EXPECT_EQ(r.sums.episodes, episodes);
    EXPECT_EQ(r.episodes, episodes);
  }
  EXPECT_GE(compared_with_closed_form, 24);
}

// The error of the gradient over 400 seeds falls as N^-0.5 and is as large as the second moment says. Correlated episodes would fall
// more slowly, a wrong standard error would lie on another line. Chance moves the slope by 0.008 and the level by 3.5 %.
TEST(Gradient, ErrorFallsAsTheRootOfTheEpisodes) {
  const auto backend = make_backend({});
  const int seeds = 400, first = test::little_effort() ? 4 : 10;
  GradientConfiguration c;
  c.problem.bias = -7;
  const FryShackExact exact = fry_shack_exact(c.problem);
  const double sd = std::sqrt(exact.second_moment_bias - exact.gradient_bias * exact.gradient_bias);
  std::vector<double> x, y;
  for (int power = first; power <= first + 8; power += 2) {
    c.episodes = std::uint64_t{1} << power;
    double squares = 0;
    for (int seed = 0; seed < seeds; ++seed) {
      c.seed = static_cast<std::uint64_t>(seed) * 1'000'003;
      squares += std::pow(gradient(c, *backend).bias.estimate - exact.gradient_bias, 2);
    }
    const double error = std::sqrt(squares / seeds);
    EXPECT_NEAR(error * std::sqrt(static_cast<double>(c.episodes)) / sd, 1, 5 / std::sqrt(2.0 * seeds)) << c.episodes;
    x.push_back(std::log(static_cast<double>(c.episodes)));
    y.push_back(std::log(error));
  }
  const double mean_x = std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
  const double mean_y = std::accumulate(y.begin(), y.end(), 0.0) / static_cast<double>(y.size());
  double xy = 0, xx = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean_x) * (y[i] - mean_y);
    xx += (x[i] - mean_x) * (x[i] - mean_x);
  }
  EXPECT_NEAR(xy / xx, -0.5, 0.05);
}

// The sums of a run are what a loop over its numbered episodes gives, written with the scalar templates.
TEST(Gradient, IsTheSumOfItsEpisodes) {
  GradientConfiguration c;
  c.problem.bias = -9;
  c.problem.environment.reward_correct = 2;
  c.seed = (std::uint64_t{77} << 32) + 5;
  c.episodes = 10'007;
  const GradientResult r = gradient(c, *make_backend({}));
  OneBlockRules rules{};
  rules.environment = FryShack::make_rules(c.problem.environment);
  rules.gain_correct = static_cast<float>(0.99 * 2);
  rules.gain_wrong = static_cast<float>(0.99 * -1);
  const FixedPoint fixed = make_fixed_point(c.episodes, rules.gain_correct, rules.gain_wrong);
  SigmoidPolicy<float, 1> policy;
  policy.weight[0] = 20 * 0x1p-24f;
  policy.bias = -9;
  std::int64_t weight = 0, bias = 0;
  std::uint64_t correct = 0;
  for (std::uint64_t i = 0; i < c.episodes; ++i) {
    const auto episode = play<float>(rules.environment, policy, random_block(c.seed, Purpose::action, i));
    const float g = loss_gradient24(rules, episode);
    bias += to_fixed(static_cast<double>(g), fixed.bias_scale);
    weight += to_fixed(static_cast<double>(g * episode.hunger24), fixed.weight_scale);
    correct += episode.correct ? 1 : 0;
  }
  EXPECT_EQ(r.sums.gradient[0], weight);
  EXPECT_EQ(r.sums.gradient[1], bias);
  EXPECT_EQ(r.sums.correct, correct);
  EXPECT_EQ(r.bias.estimate, -std::ldexp(static_cast<double>(bias), -fixed.digits) / static_cast<double>(c.episodes));
}

// Rewards enter the return as they are and the gradient times reward_scale; policies that cannot learn have no gradient.
TEST(Gradient, Corners) {
  const auto backend = make_backend({});
  GradientConfiguration c;
  c.episodes = 4096;
  c.problem.reward_scale = 0;  // gains of 0
  const GradientResult none = gradient(c, *backend);
  EXPECT_EQ(none.bias.estimate, 0);
  EXPECT_EQ(none.bias.standard_error, 0);
  EXPECT_FALSE(none.bias.z.has_value());
  EXPECT_NE(none.mean_return.estimate, 0);
  c.problem.reward_scale = 0.99;
  c.problem.weight = 0;
  c.problem.bias = 90;  // p is exactly 1
  const GradientResult certain = gradient(c, *backend);
  EXPECT_EQ(certain.bias.estimate, 0);
  EXPECT_EQ(certain.second_moment_bias, 0);
  c.episodes = 1;
  c.problem.bias = 0;
  const GradientResult one = gradient(c, *backend);
  for (const Estimate& e : {one.weight, one.bias, one.mean_return}) EXPECT_TRUE(std::isnan(e.standard_error));  // unknown, not 0
  EXPECT_FALSE(one.bias.z.has_value());
  EXPECT_EQ(std::fabs(one.bias.estimate), static_cast<double>(0.5f * 0.99f));
}

// An evaluation has the return of the closed form, and its episodes are not those of a training or gradient with its seed.
TEST(Evaluate, AgreesWithTheClosedForm) {
  const auto backend = make_backend({});
  EvaluateConfiguration c;
  c.episodes = std::uint64_t{1} << (test::little_effort() ? 18 : 24);
  for (const Point& point : test::fry_shack_points()) {
    SCOPED_TRACE(point.name);
    c.problem = point.problem();
    const EvaluateResult r = evaluate(c, *backend);
    const double exact = fry_shack_exact(c.problem).mean_return;
    EXPECT_LE(std::fabs(r.mean - exact), 5 * r.standard_error + 0x1p-23 * (std::fabs(point.correct) + std::fabs(point.wrong)));
    EXPECT_EQ(r.outcomes[0] + r.outcomes[1] + r.outcomes[2] + r.outcomes[3], c.episodes);
    EXPECT_EQ(r.terminated, c.episodes);
    EXPECT_EQ(r.truncated, 0u);
  }
  c.problem = {};
  c.problem.bias = -10;
  GradientConfiguration g;
  g.problem = c.problem;
  g.episodes = c.episodes = 100'000;
  const EvaluateResult r = evaluate(c, *backend);
  EXPECT_NE(r.outcomes[1] + r.outcomes[3], gradient(g, *backend).sums.correct);

  // Random: half of each action. Greedy: the best that the policy's own choice gives, hunger above -bias / weight to Norm's.
  c.random = true;
  const EvaluateResult random = evaluate(c, *backend);
  EXPECT_NEAR(static_cast<double>(random.outcomes[2] + random.outcomes[3]) / 1e5, 0.5, 5 * std::sqrt(0.25 / 1e5));
  EXPECT_LE(std::fabs(random.mean), 5 * random.standard_error);
  c.random = false;
  c.greedy = true;
  const EvaluateResult greedy = evaluate(c, *backend);
  EXPECT_NEAR(greedy.mean, 0.6, 5 * greedy.standard_error);
}

}  // namespace
}  // namespace fryer
