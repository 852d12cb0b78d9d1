// SPDX-License-Identifier: Apache-2.0
// The closed forms of the fry shack against adaptive Gauss-Kronrod integration of their definitions in long double, which share
// no formula, and against the special case printed in the documentation.
#include <gtest/gtest.h>

#include <boost/math/quadrature/gauss_kronrod.hpp>
#include <cmath>

#include "fryer/engine/run.h"
#include "tests/engine/fry_shack_points.h"

namespace {

using fryer::Problem;
using fryer::test::Point;
using Extended = long double;

Extended sigmoid_of(Extended z) { return z >= 0 ? 1 / (1 + std::exp(-z)) : std::exp(z) / (1 + std::exp(z)); }

// Integrals over hunger of the definitions: expectation over action and portion of each quantity, and the same of its magnitude,
// which is what rounding is relative to.
struct Expected {
  Extended value = 0, magnitude = 0;
};
struct Integrals {
  Expected mean_return, gradient_weight, gradient_bias, second_weight, second_bias;
};

template <class Function>
Expected integrate(const Problem& problem, Function f) {
  // Pieces on which the integrand is smooth and its scale is known: cut at the threshold and around the logit's zero.
  std::vector<Extended> cuts = {0, 1, static_cast<Extended>(problem.environment.hungry_above)};
  if (problem.weight != 0) {
    for (const Extended logit : {-60.0L, -20.0L, -5.0L, 0.0L, 5.0L, 20.0L, 60.0L}) {
      const Extended cut = (logit - static_cast<Extended>(problem.bias)) / static_cast<Extended>(problem.weight);
      if (cut > 0 && cut < 1) cuts.push_back(cut);
    }
  }
  std::sort(cuts.begin(), cuts.end());
  Expected result;
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
    if (cuts[i] == cuts[i + 1]) continue;
    using boost::math::quadrature::gauss_kronrod;
    const bool hungry = cuts[i] >= static_cast<Extended>(problem.environment.hungry_above);
    const Extended part = gauss_kronrod<Extended, 61>::integrate([&](Extended hunger) { return f(hunger, hungry); }, cuts[i],
                                                                 cuts[i + 1], 4, 1e-16L);
    result.value += part;
    result.magnitude += std::fabs(part);
  }
  return result;
}

Integrals integrals(const Problem& problem) {
  const auto& s = problem.environment;
  const auto p_at = [&](Extended hunger) {
    return sigmoid_of(static_cast<Extended>(problem.weight) * hunger + static_cast<Extended>(problem.bias));
  };
  const auto q_at = [&](Extended hunger) {
    return sigmoid_of(-(static_cast<Extended>(problem.weight) * hunger + static_cast<Extended>(problem.bias)));
  };
  // Probability that the order is correct, by action.
  const auto correct = [&](bool norm, bool hungry) {
    const Extended large = static_cast<Extended>(norm ? s.large_order_norm : s.large_order_squatch);
    return hungry ? large : 1 - large;
  };
  const auto power = [&](bool norm, bool hungry, int n, Extended scale) {  // E[(scale reward)^n | action]
    const Extended c = correct(norm, hungry);
    return c * std::pow(scale * static_cast<Extended>(s.reward_correct), n) +
           (1 - c) * std::pow(scale * static_cast<Extended>(s.reward_wrong), n);
  };
  const Extended scale = static_cast<Extended>(problem.reward_scale);
  // E[((action - p) gain hunger^weighted)^n | hunger]
  const auto moment = [&](int n, bool weighted) {
    return integrate(problem, [&, n, weighted](Extended hunger, bool hungry) {
      const Extended p = p_at(hunger), q = q_at(hunger), factor = weighted ? std::pow(hunger, n) : 1;
      return factor * (p * std::pow(q, n) * power(true, hungry, n, scale) + q * std::pow(-p, n) * power(false, hungry, n, scale));
    });
  };
  Integrals r;
  r.mean_return = integrate(problem, [&](Extended hunger, bool hungry) {
    return p_at(hunger) * power(true, hungry, 1, 1) + q_at(hunger) * power(false, hungry, 1, 1);
  });
  r.gradient_bias = moment(1, false);
  r.gradient_weight = moment(1, true);
  r.second_bias = moment(2, false);
  r.second_weight = moment(2, true);
  return r;
}

void expect_close(const char* name, double value, const Expected& expected, double floor) {
  const double tolerance = 2e-14 * static_cast<double>(expected.magnitude) + 2e-14 * floor;
  EXPECT_NEAR(value, static_cast<double>(expected.value), tolerance) << name;
}

// Detects any error of the closed form above 2e-14 relative (first moments: relative to the sum of the magnitudes of their hungry and
// not hungry part), in thirty shacks; 2e-14 is six times what is seen.
TEST(FryShackExact, AgreesWithNumericalIntegration) {
  const auto points = fryer::test::fry_shack_points();
  ASSERT_GE(points.size(), 24u);
  for (const Point& point : points) {
    SCOPED_TRACE(point.name);
    const Problem problem = point.problem();
    const fryer::FryShackExact exact = fryer::fry_shack_exact(problem);
    const Integrals numeric = integrals(problem);
    // First moments cancel between the two actions, all of them if the shops are alike: the integrals then are rounding.
    const double square_root_bias = std::sqrt(static_cast<double>(numeric.second_bias.value));
    expect_close("mean return", exact.mean_return, numeric.mean_return, std::fabs(point.correct) + std::fabs(point.wrong));
    expect_close("gradient by bias", exact.gradient_bias, numeric.gradient_bias, 1e-2 * square_root_bias);
    expect_close("gradient by weight", exact.gradient_weight, numeric.gradient_weight, 1e-2 * square_root_bias);
    expect_close("second moment by bias", exact.second_moment_bias, numeric.second_bias, 0);
    expect_close("second moment by weight", exact.second_moment_weight, numeric.second_weight, 0);
  }
}

// The formulas printed in the documentation, for weight 20, 0.8 and 0.2, +1 and -1.
TEST(FryShackExact, AgreesWithTheNotebooksFormulas) {
  const auto sp = [](double x) { return std::log1p(std::exp(-std::fabs(x))) + std::fmax(x, 0); };
  const auto sigma = [](double x) { return 1 / (1 + std::exp(-x)); };
  for (double bias = -30; bias <= 10; bias += 0.37) {
    Problem problem;
    problem.bias = bias;
    problem.reward_scale = 1;
    const fryer::FryShackExact exact = fryer::fry_shack_exact(problem);
    EXPECT_NEAR(exact.mean_return, 0.06 * (sp(20 + bias) - 2 * sp(10 + bias) + sp(bias)), 1e-14);
    EXPECT_NEAR(exact.gradient_bias, 0.06 * (sigma(20 + bias) - 2 * sigma(10 + bias) + sigma(bias)), 1e-15);
    EXPECT_NEAR(exact.second_moment_bias, (sigma(20 + bias) - sigma(bias)) / 20, 1e-15);
  }
  Problem optimum;
  optimum.bias = -10;
  EXPECT_NEAR(fryer::fry_shack_exact(optimum).mean_return, 0.51683, 5e-6);
  EXPECT_NEAR(fryer::fry_shack_exact(optimum).gradient_bias, 0, 1e-16);
}

// The gradient is the derivative of the mean return: central differences in weight and bias, 1e-6 of what moves.
TEST(FryShackExact, GradientIsTheDerivativeOfTheReturn) {
  for (const Point& point : fryer::test::fry_shack_points()) {
    if (std::fabs(point.weight) > 300) continue;  // too steep for differences
    SCOPED_TRACE(point.name);
    const Problem problem = point.problem();
    const fryer::FryShackExact exact = fryer::fry_shack_exact(problem);
    const auto difference = [&](double Problem::*parameter) {
      const double step = 1e-4;
      Problem up = problem, down = problem;
      up.*parameter += step;
      down.*parameter -= step;
      return problem.reward_scale * (fryer::fry_shack_exact(up).mean_return - fryer::fry_shack_exact(down).mean_return) /
             (2 * step);
    };
    const double size = std::fabs(point.scale) * (std::fabs(point.correct) + std::fabs(point.wrong));
    EXPECT_NEAR(exact.gradient_bias, difference(&Problem::bias), 1e-8 * size);
    EXPECT_NEAR(exact.gradient_weight, difference(&Problem::weight), 1e-8 * size);
  }
}

// Nothing is lost far out, where a naive 1 - p is 0: contributions fall by e^-1 for each unit of the bias, on both sides alike.
TEST(FryShackExact, KeepsItsPrecisionForSaturatedPolicies) {
  for (const double weight : {0.0, 1e-9, 0.5, 20.0, -20.0}) {
    for (const double side : {-1.0, 1.0}) {
      Problem near, far;
      near.weight = far.weight = weight;
      near.environment.hungry_above = far.environment.hungry_above = 0.3;  // at 0.5 and weight 0 the gradient is 0
      near.bias = side * 100;
      far.bias = side * 600;
      const fryer::FryShackExact a = fryer::fry_shack_exact(near), b = fryer::fry_shack_exact(far);
      const double fall = std::exp(-500.0);
      EXPECT_NEAR(b.gradient_bias / (a.gradient_bias * fall), 1, 1e-11);
      EXPECT_NEAR(b.gradient_weight / (a.gradient_weight * fall), 1, 1e-11);
      EXPECT_NEAR(b.second_moment_bias / (a.second_moment_bias * fall), 1, 1e-11);
      EXPECT_NEAR(b.second_moment_weight / (a.second_moment_weight * fall), 1, 1e-11);
    }
  }
}

// The two ways to compute a small rise of the logit meet where they change over.
TEST(FryShackExact, IsContinuousWhereTheMethodChanges) {
  for (const double at : {2.0, 8.0}) {  // intervals of length 1/2: rises of 1 and 4
    for (const double bias : {-40.0, -1.0, 0.0, 3.0, 40.0}) {
      Problem below, above;
      below.weight = at * (1 - 1e-14);
      above.weight = at * (1 + 1e-14);
      below.bias = above.bias = bias;
      below.environment.hungry_above = above.environment.hungry_above = 0.5;
      const fryer::FryShackExact a = fryer::fry_shack_exact(below), b = fryer::fry_shack_exact(above);
      EXPECT_NEAR(a.mean_return, b.mean_return, 1e-13);
      EXPECT_NEAR(a.gradient_weight, b.gradient_weight, 1e-12 * std::sqrt(a.second_moment_weight));
      EXPECT_NEAR(a.second_moment_weight, b.second_moment_weight, 1e-12 * a.second_moment_weight);
    }
  }
}

}  // namespace
