// SPDX-License-Identifier: Apache-2.0
// The check that CartPole's gradient is that of the expected return, with as many episodes as the caller has time for: estimates
// at four points against differences of returns that were evaluated with seeds of their own.
#pragma once

#include <gtest/gtest.h>

#include <cmath>

#include "fryer/engine/api.h"

namespace fryer::test {

// The random policy; one that leans; one that balances for a while; a good one that truncation ends.
inline constexpr std::array<std::array<double, 5>, 4> kGradientPoints = {
    {{0, 0, 0, 0, 0}, {-0.3, 0.2, 1, -0.1, 0.5}, {0.05, 0.1, 2, 0.8, 0.1}, {0.3, 0.6, 6, 2, -0.1}}};

// Five standard errors for each of twenty numbers: another seed would fail by chance once in 80,000. Differences over h and 2 h
// cancel the third derivative; what is left of the fifth was measured at the most curved place, w_position of the third point:
// -5.248 at h = 0.25, -5.478 at 0.125 (errors 0.045), and the gradient there is -5.523.
inline void expect_gradient_of_the_return(Backend& backend, std::uint64_t episodes) {
  constexpr std::array<double, 5> kStep = {0.125, 0.08, 0.5, 0.08, 0.05};
  std::uint64_t seed = 1'000;
  for (const std::array<double, 5>& point : kGradientPoints) {
    CartPoleGradientConfiguration g;
    g.problem.environment.max_steps = CartPole::kMaxStepsV0;
    g.problem.parameters = point;
    g.episodes = episodes;
    g.seed = ++seed;
    const CartPoleGradientResult r = gradient(g, backend);
    for (std::size_t i = 0; i < 5; ++i) {
      double slope = 0, variance = 0;
      for (const auto& [steps, weight] : {std::pair{1, 8.0}, {-1, -8.0}, {2, -1.0}, {-2, 1.0}}) {
        CartPoleEvaluateConfiguration e;
        e.problem = g.problem;
        e.problem.parameters[i] += steps * kStep[i];
        e.episodes = episodes;
        e.seed = ++seed;
        const EvaluateResult at = evaluate(e, backend);
        const double factor = weight / (12 * kStep[i]);
        slope += factor * at.mean;
        variance += factor * factor * at.standard_error * at.standard_error;
      }
      const double error = std::sqrt(variance + r.gradient[i].standard_error * r.gradient[i].standard_error);
      EXPECT_LT(std::fabs(r.gradient[i].estimate - slope), 5 * error)
          << "w_angle " << point[2] << " parameter " << i << ": " << r.gradient[i].estimate << " +- "
          << r.gradient[i].standard_error << ", differences " << slope << " +- " << std::sqrt(variance);
    }
    EXPECT_GT(std::fabs(r.gradient[3].estimate), 5 * r.gradient[3].standard_error) << "or the comparison shows nothing";
  }
}

}  // namespace fryer::test
