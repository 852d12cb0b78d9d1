// SPDX-License-Identifier: Apache-2.0
// CartPole's policy gradient: unbiased against differences of the expected return, with a standard error that says how far it may
// be off; the sum of its episodes; scores with mean zero; and, one update at a time, what each baseline makes of a batch, against
// its definition over stored trajectories in double.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "host/driver.h"
#include "tests/engine/cart_pole_gradient.h"
#include "tests/engine/cart_pole_trajectory.h"
#include "tests/engine/effort.h"

namespace fryer {
namespace {

using test::Trajectory;

// Detects a biased estimate or one that is not the gradient of the return. The slow test of the same name is sharper.
TEST(CartPoleGradient, IsThatOfTheExpectedReturn) {
  test::expect_gradient_of_the_return(*make_backend({}), test::little_effort() ? 10'000 : 100'000);
}

// Over 200 seeds the estimate scatters as its standard error says (chance moves the ratio by 5 %), and so does the mean return.
TEST(CartPoleGradient, ScattersAsItsStandardErrorSays) {
  const auto backend = make_backend({});
  const int seeds = 200;
  CartPoleGradientConfiguration c;
  c.problem.parameters = {0.05, 0.1, 2, 0.8, 0.1};
  c.problem.environment.max_steps = CartPole::kMaxStepsV0;
  c.episodes = 256;
  std::array<double, 6> sum{}, squares{}, variance{};
  for (int seed = 0; seed < seeds; ++seed) {
    c.seed = static_cast<std::uint64_t>(seed) * 1'000'003;
    const CartPoleGradientResult r = gradient(c, *backend);
    for (std::size_t i = 0; i < 6; ++i) {
      const Estimate& e = i < 5 ? r.gradient[i] : r.mean_return;
      sum[i] += e.estimate;
      squares[i] += e.estimate * e.estimate;
      variance[i] += e.standard_error * e.standard_error;
    }
  }
  for (std::size_t i = 0; i < 6; ++i) {
    const double scatter = squares[i] - sum[i] * sum[i] / seeds;
    EXPECT_NEAR(std::sqrt(scatter / variance[i]), 1, 5 / std::sqrt(2.0 * seeds)) << i;
  }
}

// Sums, moments, steps and ends of a run are what a loop over its numbered episodes gives. reward_scale multiplies the gradient
// alone.
TEST(CartPoleGradient, IsTheSumOfItsEpisodes) {
  const auto backend = make_backend({});
  for (const double scale : {1.0, 0.25}) {
    CartPoleGradientConfiguration c;
    c.problem.parameters = {0.05, 0.1, 2, 0.8, 0.1};
    c.problem.gamma = 0.95;
    c.problem.reward_scale = scale;
    c.seed = (std::uint64_t{77} << 32) + 5;
    c.episodes = 3001;
    const CartPoleGradientResult r = gradient(c, *backend);
    test::TrajectoryGradient sum;
    std::array<double, 5> squares{};
    std::uint64_t steps = 0, terminated = 0;
    double squared_steps = 0;
    for (std::uint64_t number = 0; number < c.episodes; ++number) {
      const Trajectory trajectory = test::play_trajectory(c.problem, c.seed, number);
      std::vector<double> g = trajectory.returns_to_go(c.problem.gamma);
      for (double& x : g) x *= scale;
      const auto one = test::gradient_of(trajectory, c.problem.parameters, g, g);
      sum.add(one);
      for (std::size_t i = 0; i < 5; ++i) squares[i] += one.value[i] * one.value[i];
      steps += trajectory.size();
      squared_steps += static_cast<double>(trajectory.size() * trajectory.size());
      terminated += trajectory.terminated ? 1 : 0;
    }
    const double n = static_cast<double>(c.episodes);
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_NEAR(r.gradient[i].estimate, sum.value[i] / n, sum.error[i] / n) << i;
      EXPECT_NEAR(r.second_moment[i], squares[i] / n, 1e-5 * squares[i] / n) << i;
      const double mean = sum.value[i] / n, variance = squares[i] / n - mean * mean;
      EXPECT_NEAR(r.gradient[i].standard_error, std::sqrt(variance / (n - 1)), 1e-5 * std::sqrt(variance / n)) << i;
    }
    EXPECT_EQ(r.steps, steps);
    EXPECT_EQ(r.sums.terminated, terminated);
    EXPECT_EQ(r.sums.episodes, c.episodes);
    EXPECT_EQ(r.sums.steps_squared.value(), squared_steps);
    EXPECT_EQ(r.mean_return.estimate, static_cast<double>(steps) / n);
  }
}

// Detects a score that is not one: whatever the policy, its expectation is 0, which is why a constant baseline leaves the
// expected gradient as it is. Errors from 64 independent parts.
TEST(CartPoleGradient, ScoresHaveMeanZero) {
  const auto backend = make_backend({});
  const int parts = 64;
  const std::uint64_t each = test::little_effort() ? 128 : 4096;
  for (const std::array<double, 5>& parameters : test::kGradientPoints) {
    CartPoleProblem problem;
    problem.parameters = parameters;
    problem.environment.max_steps = CartPole::kMaxStepsV0;
    const CartPoleWork work = test::cart_pole_work(problem, 11, each * parts);
    std::array<double, 5> sum{}, squares{};
    for (std::uint64_t part = 0; part < parts; ++part) {
      const CartPoleSums s = backend->gradient(work, part * each, each, CartPoleTask::gradient_and_scores, {});
      for (std::size_t i = 0; i < 5; ++i) {
        const double score = static_cast<double>(s.score[i]) * work.fixed_point.parameter[i].score_unit * parts;
        sum[i] += score;
        squares[i] += score * score;
      }
    }
    for (std::size_t i = 0; i < 5; ++i) {
      const double mean = sum[i] / parts, error = std::sqrt((squares[i] / parts - mean * mean) / (parts - 1));
      EXPECT_GT(error, 0) << i;
      EXPECT_LT(std::fabs(mean / error), 5) << kCartPoleParameters << " parameter " << i << ' ' << mean << " +- " << error;
    }
  }
}

// ---- one update

// The change of the parameters by one update of SGD with learning rate 1 from 0: the batch's gradient, to the last bit.
std::array<double, 5> step_of(const CartPoleTrainConfiguration& c, Spread spread) {
  const TrainResult r = train(c, *make_backend({}), {}, spread);
  std::array<double, 5> step;
  for (std::size_t i = 0; i < 5; ++i)
    step[i] = static_cast<double>(r.table.parameters[i][0]) - static_cast<double>(static_cast<float>(c.problem.parameters[i]));
  return step;
}

CartPoleTrainConfiguration one_update(const CartPoleProblem& problem, std::uint64_t batch) {
  CartPoleTrainConfiguration c;
  c.problem = problem;
  c.optimizer.kind = OptimizerSettings::Kind::sgd;
  c.optimizer.learning_rate = 1;
  c.updates = 1;
  c.batch = batch;
  c.seed = 20'240'601;
  return c;
}

// By the definition: the mean over episodes of sum_t A_t grad log pi_t, A_t from all returns-to-go of the batch.
test::TrajectoryGradient defined_step(const CartPoleTrainConfiguration& c) {
  const CartPoleProblem& p = c.problem;
  std::vector<Trajectory> episodes;
  double sum = 0, squares = 0, n = 0;
  for (std::uint64_t i = 0; i < c.batch; ++i) {
    episodes.push_back(test::play_trajectory(p, c.seed, i));
    for (const double g : episodes.back().returns_to_go(p.gamma)) {
      sum += p.reward_scale * g;
      squares += p.reward_scale * g * p.reward_scale * g;
      n += 1;
    }
  }
  const double mean = sum / n, sd = std::sqrt(std::fmax(0, squares / n - mean * mean));
  const double shift = p.baseline == Baseline::none ? 0 : p.baseline == Baseline::constant ? p.baseline_value : mean;
  const double factor = p.baseline == Baseline::standardize ? 1 / (sd + 1e-8) : 1;
  test::TrajectoryGradient total;
  for (const Trajectory& episode : episodes) {
    std::vector<double> advantage = episode.returns_to_go(p.gamma), magnitude;
    for (double& g : advantage) {
      magnitude.push_back((std::fabs(p.reward_scale * g) + std::fabs(shift)) * factor);
      g = (p.reward_scale * g - shift) * factor;
    }
    total.add(test::gradient_of(episode, p.parameters, advantage, magnitude, p.entropy_bonus));
  }
  for (std::size_t i = 0; i < 5; ++i) {
    total.value[i] /= static_cast<double>(c.batch);
    // Over the lanes' bound: one rounding to float, and where the policy was not 0 that of the sum.
    total.error[i] =
        total.error[i] / static_cast<double>(c.batch) + 0x1p-23 * (std::fabs(total.value[i]) + std::fabs(p.parameters[i]));
  }
  return total;
}

// Detects any baseline that is not what it says, in every way a batch is summed, with the fast and the general program.
TEST(CartPoleUpdate, IsTheOneThatItsBaselineDefines) {
  struct Variant {
    const char* name;
    void (*change)(CartPoleProblem&);
  };
  const Variant variants[] = {
      {"CartPole-v1", [](CartPoleProblem&) {}},
      {"reward scale", [](CartPoleProblem& p) { p.reward_scale = 0.05; }},
      {"Sutton-Barto reward", [](CartPoleProblem& p) { p.environment.sutton_barto_reward = true; }},
      {"semi-implicit, 43 steps",
       [](CartPoleProblem& p) {
         p.environment.integrator = CartPole::Integrator::semi_implicit;
         p.environment.max_steps = 43;
       }},
  };
  for (const Variant& variant : variants) {
    for (const Baseline baseline : {Baseline::none, Baseline::constant, Baseline::mean, Baseline::standardize}) {
      for (const std::uint64_t batch : {1u, 5u, 64u}) {
        for (const double gamma : {0.9, 0.99, 1.0}) {
          for (const std::array<double, 5>& parameters : {test::kGradientPoints[0], test::kGradientPoints[2]}) {
            CartPoleProblem problem;
            problem.parameters = parameters;
            problem.gamma = gamma;
            problem.baseline = baseline;
            problem.baseline_value = 7.5;
            variant.change(problem);
            const CartPoleTrainConfiguration c = one_update(problem, batch);
            const test::TrajectoryGradient expected = defined_step(c);
            for (const Spread spread : {Spread::replicas, Spread::episodes}) {
              const std::array<double, 5> step = step_of(c, spread);
              for (std::size_t i = 0; i < 5; ++i) {
                EXPECT_NEAR(step[i], expected.value[i], expected.error[i])
                    << fmt::format("{}, baseline {}, batch {}, gamma {}, parameter {}", variant.name, static_cast<int>(baseline),
                                   batch, gamma, i);
              }
            }
          }
        }
      }
    }
  }
}

// The entropy bonus is a term of its own beside the returns.
TEST(CartPoleUpdate, AddsTheGradientOfTheEntropy) {
  for (const Baseline baseline : {Baseline::none, Baseline::constant, Baseline::mean}) {
    CartPoleProblem problem;
    problem.parameters = test::kGradientPoints[2];
    problem.baseline = baseline;
    problem.baseline_value = 20;
    for (const double bonus : {5.0, -0.5}) {
      problem.entropy_bonus = bonus;
      const CartPoleTrainConfiguration c = one_update(problem, 16);
      const test::TrajectoryGradient expected = defined_step(c);
      const std::array<double, 5> step = step_of(c, Spread::automatic);
      for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(step[i], expected.value[i], expected.error[i]) << bonus << ' ' << i;
    }
  }
  // It pulls towards chance where nothing else does: with a reward scale of 0 the logit's weights shrink.
  CartPoleProblem problem;
  problem.parameters = {0, 0, 0, 0, 2};
  problem.reward_scale = 0;
  problem.entropy_bonus = 0.1;
  EXPECT_LT(step_of(one_update(problem, 16), Spread::automatic)[4], -0.1);
}

// Equal returns have no deviation, and then no advantage: gamma 0 makes every return 1, batch 1 of one step as well.
TEST(CartPoleUpdate, StandardizesEqualReturnsToNothing) {
  for (const double gamma : {0.0, 1.0}) {
    CartPoleProblem problem;
    problem.gamma = gamma;
    problem.baseline = Baseline::standardize;
    if (gamma != 0) problem.environment.max_steps = 1;
    for (const std::uint64_t batch : {1u, 16u}) {
      for (const Spread spread : {Spread::replicas, Spread::episodes}) {
        for (const double x : step_of(one_update(problem, batch), spread)) EXPECT_EQ(x, 0) << gamma << ' ' << batch;
      }
    }
    problem.baseline = Baseline::none;
    EXPECT_NE(step_of(one_update(problem, 16), Spread::automatic)[0], 0) << "while the plain gradient is not 0";
  }
}

// A power of two scales plain gradients exactly; standardised ones stay as they are up to the 1e-8 beside the deviation.
TEST(CartPoleUpdate, RewardScaleScalesOrIsStandardisedAway) {
  for (const Baseline baseline : {Baseline::none, Baseline::mean, Baseline::standardize}) {
    CartPoleProblem problem;
    problem.baseline = baseline;
    const std::array<double, 5> plain = step_of(one_update(problem, 16), Spread::automatic);
    for (const double scale : {0.25, 8.0}) {
      problem.reward_scale = scale;
      const std::array<double, 5> scaled = step_of(one_update(problem, 16), Spread::automatic);
      for (std::size_t i = 0; i < 5; ++i) {
        if (baseline == Baseline::standardize) {
          EXPECT_NEAR(scaled[i], plain[i], 2e-7 * std::fabs(plain[i])) << i;
        } else {
          EXPECT_EQ(scaled[i], scale * plain[i]) << i;
        }
      }
    }
    problem.reward_scale = 0;
    for (const double x : step_of(one_update(problem, 16), Spread::automatic)) EXPECT_EQ(x, 0);
  }
}

}  // namespace
}  // namespace fryer
