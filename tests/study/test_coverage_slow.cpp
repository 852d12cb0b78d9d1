// SPDX-License-Identifier: Apache-2.0
// How often the 95 % intervals of studies hold what they estimate, over 10^4 samples each with fixed seeds: 95 % +- 1 % where the method is
// exact on average or its approximation should hold at the sample size, at least 94.5 % where it is conservative. Where the binomial
// distribution gives the coverage exactly, that is checked too. The error of a simulated coverage is 0.2 % (one standard deviation).
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "host/study/statistics.h"

namespace fryer::study {
namespace {

constexpr int kRepetitions = 10'000;
using Random = std::mt19937_64;
using Draw = std::function<double(Random&)>;

bool holds(const Interval& interval, double truth) { return interval.lower <= truth && truth <= interval.upper; }

// Share of repetitions for which hit(random) is true.
double simulated(const std::function<bool(Random&)>& hit) {
  Random random(20261122);
  int hits = 0;
  for (int i = 0; i < kRepetitions; ++i) hits += hit(random) ? 1 : 0;
  return static_cast<double>(hits) / kRepetitions;
}
void expect_nominal(double coverage) {
  EXPECT_GE(coverage, 0.94);
  EXPECT_LE(coverage, 0.96);
}

std::vector<double> sample(Random& random, const Draw& draw, std::size_t n) {
  std::vector<double> values(n);
  for (double& x : values) x = draw(random);
  std::sort(values.begin(), values.end());
  return values;
}

double normal(Random& random) { return std::normal_distribution<double>()(random); }
double uniform(Random& random) { return std::uniform_real_distribution<double>()(random); }
double exponential(Random& random) { return std::exponential_distribution<double>()(random); }
// Returns as CartPole's are: 60 % of the seeds at the limit of 500, the others anywhere below.
double saturated(Random& random) { return std::min(500.0, 1250 * uniform(random)); }

// P(interval holds p) over all outcomes of n trials.
double exact_coverage(const std::function<Interval(std::uint64_t, std::uint64_t)>& method, std::uint64_t n, double p) {
  const boost::math::binomial_distribution<double> trials(static_cast<double>(n), p);
  double coverage = 0;
  for (std::uint64_t k = 0; k <= n; ++k) {
    if (holds(method(k, n), p)) coverage += boost::math::pdf(trials, static_cast<double>(k));
  }
  return coverage;
}
double simulated_share(const std::function<Interval(std::uint64_t, std::uint64_t)>& method, std::uint64_t n, double p) {
  std::binomial_distribution<std::uint64_t> trials(n, p);
  return simulated([&](Random& random) { return holds(method(trials(random), n), p); });
}

const auto kWilson = [](std::uint64_t k, std::uint64_t n) { return wilson(k, n); };
const auto kClopperPearson = [](std::uint64_t k, std::uint64_t n) { return clopper_pearson(k, n); };

// A count of successes goes in steps, so that at a given n and p any interval misses 95 % by up to half a step of its distribution. These
// have a standard deviation of 14 or more, a step of 0.4 %. At fewer, Wilson's interval has its 95 % on average over p (next test).
TEST(CoverageOfShares, Wilson) {
  const std::pair<std::uint64_t, double> cases[] = {{1000, 0.5}, {1000, 0.3}, {10000, 0.049}, {100'000, 0.987}};
  for (const auto& [n, p] : cases) {
    SCOPED_TRACE(std::to_string(n) + " " + std::to_string(p));
    expect_nominal(exact_coverage(kWilson, n, p));
    EXPECT_NEAR(simulated_share(kWilson, n, p), exact_coverage(kWilson, n, p), 0.008);
    expect_nominal(simulated_share(kWilson, n, p));
  }
}

TEST(CoverageOfShares, WilsonOnAverageOverShares) {
  for (const std::uint64_t n : {10u, 30u, 100u}) {
    double mean = 0;
    constexpr int kPoints = 999;
    for (int i = 1; i <= kPoints; ++i) mean += exact_coverage(kWilson, n, i / (kPoints + 1.0)) / kPoints;
    expect_nominal(mean);
    expect_nominal(simulated([n](Random& random) {
      const double p = uniform(random);
      return holds(wilson(std::binomial_distribution<std::uint64_t>(n, p)(random), n), p);
    }));
  }
}

TEST(CoverageOfShares, ClopperPearsonIsConservative) {
  for (const std::uint64_t n : {1u, 10u, 100u, 1000u}) {
    for (const double p : {0.001, 0.05, 0.3, 0.5, 0.999}) {
      SCOPED_TRACE(std::to_string(n) + " " + std::to_string(p));
      EXPECT_GE(exact_coverage(kClopperPearson, n, p), 0.95);
      EXPECT_GE(simulated_share(kClopperPearson, n, p), 0.945);
    }
  }
}

// Exact for normal values of any number; for skewed ones the central limit theorem needs some.
TEST(CoverageOfMeans, Student) {
  for (const std::size_t n : {2u, 5u, 30u, 200u}) {
    expect_nominal(simulated([n](Random& random) { return holds(mean_interval(sample(random, normal, n)), 0); }));
  }
  expect_nominal(simulated([](Random& random) { return holds(mean_interval(sample(random, uniform, 30)), 0.5); }));
  expect_nominal(simulated([](Random& random) { return holds(mean_interval(sample(random, exponential, 300)), 1); }));
}

TEST(CoverageOfMeans, InterquartileMean) {
  const double a = std::log(4.0 / 3), b = std::log(4.0);
  const double of_exponential = 2 * ((a + 1) * 0.75 - (b + 1) * 0.25), of_saturated = 471.875;
  const auto coverage = [](const Draw& draw, double truth, std::size_t n) {
    return simulated([&](Random& random) { return holds(*interquartile_mean(sample(random, draw, n)), truth); });
  };
  for (const std::size_t n : {20u, 21u, 22u, 23u, 24u, 50u, 101u, 500u}) {
    SCOPED_TRACE(n);
    expect_nominal(coverage(normal, 0, n));
    expect_nominal(coverage(uniform, 0.5, n));
  }
  for (const std::size_t n : {20u, 50u, 99u, 400u}) {
    SCOPED_TRACE(n);
    expect_nominal(coverage(exponential, of_exponential, n));
  }
  for (const std::size_t n : {400u, 1000u}) {
    SCOPED_TRACE(n);
    expect_nominal(coverage(saturated, of_saturated, n));
  }
}

// The exact coverage between two order statistics is a sum of binomial probabilities, whatever the distribution.
TEST(CoverageOfQuantiles, OrderStatisticsAreConservative) {
  for (const auto& [n, q] : {std::pair<std::size_t, double>{20, 0.5}, {99, 0.05}, {100, 0.25}, {1000, 0.95}, {10, 0.95}}) {
    SCOPED_TRACE(std::to_string(n) + " " + std::to_string(q));
    std::vector<double> ranks(n);
    for (std::size_t i = 0; i < n; ++i) ranks[i] = static_cast<double>(i + 1);
    const Interval interval = quantile(ranks, q);
    const boost::math::binomial_distribution<double> below(static_cast<double>(n), q);
    const double upper = std::isinf(interval.upper) ? 1 : boost::math::cdf(below, interval.upper - 1);
    const double lower = std::isinf(interval.lower) ? 0 : boost::math::cdf(below, interval.lower - 1);
    const double exact = upper - lower;
    EXPECT_GE(exact, 0.95);
    const double coverage =
        simulated([n = n, q = q](Random& random) { return holds(quantile(sample(random, uniform, n), q), q); });
    EXPECT_GE(coverage, 0.945);
    EXPECT_NEAR(coverage, exact, 0.008);
  }
  // Values that repeat: more often still.
  EXPECT_GE(simulated([](Random& random) { return holds(quantile(sample(random, saturated, 100), 0.25), 312.5); }), 0.945);
}

// The whole band at once; by Kolmogorov's limit 95.0 % for large n.
TEST(CoverageOfBands, DvoretzkyKieferWolfowitz) {
  for (const std::size_t n : {5u, 30u, 1000u}) {
    const double half_width = dkw_half_width(n);
    const double coverage = simulated([&](Random& random) {
      const std::vector<double> values = sample(random, uniform, n);
      double distance = 0;
      for (std::size_t i = 0; i < n; ++i) {
        distance = std::max({distance, values[i] - static_cast<double>(i) / static_cast<double>(n),
                             static_cast<double>(i + 1) / static_cast<double>(n) - values[i]});
      }
      return distance <= half_width;
    });
    EXPECT_GE(coverage, 0.945) << n;
    EXPECT_LE(coverage, n == 1000 ? 0.96 : 0.98) << n;
  }
}

// n subjects with exponential times of mean 1, censored at a time from censor(random).
Survival censored_sample(Random& random, std::size_t n, const Draw& censor) {
  std::vector<double> times(n);
  std::vector<std::uint8_t> event(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double time = exponential(random), end = censor(random);
    times[i] = std::min(time, end);
    event[i] = time <= end ? 1 : 0;
  }
  return kaplan_meier(times, event);
}
double two_at_most(Random& random) { return 2 * uniform(random); }
double until_one(Random&) { return 1; }
double never(Random&) { return std::numeric_limits<double>::infinity(); }

TEST(CoverageOfSurvival, AtATime) {
  for (const Draw& censor : {Draw(two_at_most), Draw(until_one), Draw(never)}) {
    for (const double at : {0.2, 0.7, 0.95}) {
      SCOPED_TRACE(at);
      expect_nominal(simulated([&](Random& random) {
        const Survival survival = censored_sample(random, 200, censor);
        const auto after =
            std::find_if(survival.steps.begin(), survival.steps.end(), [at](const SurvivalStep& step) { return step.time > at; });
        const SurvivalStep& step = *(after - 1);
        return step.lower <= std::exp(-at) && std::exp(-at) <= step.upper;
      }));
    }
  }
}

TEST(CoverageOfSurvival, Median) {
  for (const Draw& censor : {Draw(two_at_most), Draw(until_one), Draw(never)}) {
    expect_nominal(simulated([&](Random& random) {
      const Survival survival = censored_sample(random, 500, censor);
      const double truth = std::log(2.0);
      return survival.lower && *survival.lower <= truth && (!survival.upper || truth <= *survival.upper);
    }));
  }
}

PairCounts drawn_pairs(Random& random, std::uint64_t n, double ties, double improvement) {
  PairCounts counts;
  for (std::uint64_t i = 0; i < n; ++i) {
    const double u = uniform(random);
    ++(u < ties ? counts.equal : u < ties + (improvement - ties / 2) ? counts.better : counts.worse);
  }
  return counts;
}

TEST(CoverageOfPairs, ProbabilityOfImprovement) {
  const std::tuple<std::uint64_t, double, double> cases[] = {{100, 0, 0.5},   {200, 0.3, 0.6},  {200, 0.02, 0.7},
                                                             {500, 0.9, 0.5}, {500, 0.5, 0.71}, {1000, 0.95, 0.515}};
  for (const auto& [n, ties, improvement] : cases) {
    SCOPED_TRACE(std::to_string(n) + " " + std::to_string(ties) + " " + std::to_string(improvement));
    expect_nominal(simulated([&, n = n, ties = ties, improvement = improvement](Random& random) {
      return holds(probability_of_improvement(drawn_pairs(random, n, ties, improvement)), improvement);
    }));
  }
}

// Where hardly a pair differs, the interval may be too wide, never too narrow.
TEST(CoverageOfPairs, AlmostOnlyTies) {
  for (const std::uint64_t n : {20u, 100u, 1000u}) {
    EXPECT_GE(
        simulated([n](Random& random) { return holds(probability_of_improvement(drawn_pairs(random, n, 0.995, 0.5)), 0.5); }),
        0.945);
  }
}

// No more than 5 % false alarms, one comparison or ten.
TEST(CoverageOfPairs, SignTestAndHolm) {
  for (const double ties : {0.0, 0.7}) {
    EXPECT_LE(simulated([ties](Random& random) { return sign_test(drawn_pairs(random, 100, ties, 0.5)) <= 0.05; }), 0.055);
  }
  const double any = simulated([](Random& random) {
    std::vector<double> p(10);
    for (double& x : p) x = sign_test(drawn_pairs(random, 400, 0.1, 0.5));
    const std::vector<double> adjusted = holm(p);
    return *std::min_element(adjusted.begin(), adjusted.end()) <= 0.05;
  });
  EXPECT_LE(any, 0.055);
  EXPECT_GE(any, 0.02);
}

}  // namespace
}  // namespace fryer::study
