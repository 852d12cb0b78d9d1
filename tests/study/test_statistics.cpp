// SPDX-License-Identifier: Apache-2.0
// The statistics of studies against R, SciPy and second implementations (tests/data/make_study_statistics.py says which is which), at
// their edges, and at a million values. How often their intervals cover what they estimate is test_coverage_slow.cpp's.
#include "host/study/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

namespace fryer::study {
namespace {

using Json = nlohmann::json;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

const Json& reference() {
  static const Json document = [] {
    std::ifstream file(FRYER_TEST_DATA "/study_statistics.json");
    return Json::parse(file);
  }();
  return document;
}

// Relative; 0 only equals 0.
void expect_close(double value, double expected, double relative = 1e-9) {
  EXPECT_LE(std::abs(value - expected), relative * std::abs(expected)) << value << ", expected " << expected;
}
void expect_limits(const Interval& interval, const Json& expected, double relative = 1e-9) {
  expect_close(interval.lower, expected[0], relative);
  expect_close(interval.upper, expected[1], relative);
}
// estimate, lower, upper; the width to 1e-9 of itself however far from 0 the values lie.
void expect_interval(const Interval& interval, const Json& expected) {
  const double estimate = expected[0], lower = expected[1], upper = expected[2];
  const double tolerance = 1e-9 * (upper - lower) + 4e-16 * std::abs(estimate);
  EXPECT_NEAR(interval.estimate, estimate, tolerance);
  EXPECT_NEAR(interval.lower, lower, tolerance);
  EXPECT_NEAR(interval.upper, upper, tolerance);
}
void expect_optional(const std::optional<double>& value, const Json& expected) {
  ASSERT_EQ(value.has_value(), !expected.is_null());
  if (!value) return;
  EXPECT_EQ(*value, expected.get<double>());
}

std::vector<double> sorted_values(const Json& row) {
  auto values = row["values"].get<std::vector<double>>();
  sort_values(values);
  return values;
}
std::vector<double> counting(std::size_t n) {
  std::vector<double> values(n);
  std::iota(values.begin(), values.end(), 1.0);
  return values;
}
PairCounts pairs_of(const Json& row) { return {row["better"], row["equal"], row["worse"]}; }

TEST(Shares, EqualRAndSciPy) {
  for (const Json& row : reference()["shares"]) {
    SCOPED_TRACE(row.dump());
    const std::uint64_t k = row["k"], n = row["n"];
    const double confidence = row["confidence"];
    const Interval score = wilson(k, n, confidence), exact = clopper_pearson(k, n, confidence);
    expect_limits(score, row["wilson"]);
    expect_limits(exact, row["clopper_pearson"]);
    EXPECT_EQ(score.estimate, static_cast<double>(k) / static_cast<double>(n));
    const Interval chosen = share(k, n, confidence);
    EXPECT_EQ(chosen.method, k == 0 || k == n ? "Clopper-Pearson" : "Wilson");
    EXPECT_EQ(chosen.lower, k == 0 || k == n ? exact.lower : score.lower);
    EXPECT_EQ(chosen.upper, k == 0 || k == n ? exact.upper : score.upper);
  }
  EXPECT_EQ(reference()["shares"].size(), 34u);
}

TEST(Shares, NoneAndAllEndExactly) {
  for (const std::uint64_t n : {std::uint64_t{1}, std::uint64_t{7}, std::uint64_t{1'000'000}, std::uint64_t{1} << 40}) {
    for (const auto& interval : {wilson(0, n), clopper_pearson(0, n)}) EXPECT_EQ(interval.lower, 0);
    for (const auto& interval : {wilson(n, n), clopper_pearson(n, n)}) EXPECT_EQ(interval.upper, 1);
  }
}

TEST(Samples, EqualSecondImplementations) {
  for (const Json& row : reference()["samples"]) {
    SCOPED_TRACE(row["name"].get<std::string>());
    const std::vector<double> values = sorted_values(row);
    if (values.size() > 1) {
      const Moments m = moments(values);
      EXPECT_EQ(m.mean, mean_interval(values).estimate);
      expect_close(m.sd, row["sd"]);
      expect_interval(mean_interval(values), row["mean"]);
    }
    const std::optional<Interval> iqm = interquartile_mean(values);
    ASSERT_EQ(iqm.has_value(), !row["interquartile_mean"].is_null());
    EXPECT_EQ(iqm.has_value(), values.size() >= 4);
    if (!iqm) continue;
    EXPECT_EQ(iqm->estimate, interquartile_mean_of(values));
    expect_interval(*iqm, row["interquartile_mean"]);
  }
  EXPECT_EQ(reference()["samples"].size(), 10u);
}

TEST(Samples, OneValueSaysNothingOfOthers) {
  const std::vector<double> one = {3.25};
  EXPECT_EQ(moments(one).mean, 3.25);
  EXPECT_EQ(moments(one).sd, 0);
  for (const Interval& interval : {mean_interval(one), quantile(one, 0.5)}) {
    EXPECT_EQ(interval.estimate, 3.25);
    EXPECT_EQ(interval.lower, -kInfinity);
    EXPECT_EQ(interval.upper, kInfinity);
  }
}

TEST(Samples, EqualValuesAreTheirMeanExactly) {
  const std::vector<double> equal(1001, 0.1);
  EXPECT_EQ(moments(equal).mean, 0.1);
  EXPECT_EQ(moments(equal).sd, 0);
  for (const Interval& interval : {mean_interval(equal), *interquartile_mean(equal), quantile(equal, 0.25)}) {
    EXPECT_EQ(interval.estimate, 0.1);
    EXPECT_EQ(interval.lower, 0.1);
    EXPECT_EQ(interval.upper, 0.1);
  }
}

// Of the values 1, 2, ..., n each is its own rank.
TEST(Quantiles, HaveTheRanksOfRsBinomialDistribution) {
  for (const Json& row : reference()["quantile_ranks"]) {
    SCOPED_TRACE(row.dump());
    const std::uint64_t n = row["n"], lower = row["lower"], upper = row["upper"];
    const Interval interval = quantile(counting(n), row["q"].get<double>());
    EXPECT_EQ(interval.estimate, row["rank"].get<double>());
    EXPECT_EQ(interval.lower, lower == 0 ? -kInfinity : static_cast<double>(lower));
    EXPECT_EQ(interval.upper, upper == n + 1 ? kInfinity : static_cast<double>(upper));
  }
  EXPECT_EQ(reference()["quantile_ranks"].size(), 48u);
}

TEST(Bands, HaveMassartsConstant) {
  for (const Json& row : reference()["dkw"]) expect_close(dkw_half_width(row["n"]), row["half_width"]);
  EXPECT_EQ(dkw_half_width(1), 1);
}

TEST(KaplanMeier, EqualsSurvfit) {
  for (const Json& row : reference()["survival"]) {
    SCOPED_TRACE(row["name"].get<std::string>());
    const auto times = row["times"].get<std::vector<double>>();
    const auto event = row["event"].get<std::vector<std::uint8_t>>();
    const Survival survival = kaplan_meier(times, event);
    EXPECT_EQ(survival.n, times.size());
    EXPECT_EQ(survival.events, static_cast<std::uint64_t>(std::count(event.begin(), event.end(), 1)));
    ASSERT_EQ(survival.steps.size(), row["time"].size());
    for (std::size_t i = 0; i < survival.steps.size(); ++i) {
      const SurvivalStep& step = survival.steps[i];
      EXPECT_EQ(step.time, row["time"][i].get<double>());
      EXPECT_EQ(step.at_risk, row["at_risk"][i].get<std::uint64_t>());
      EXPECT_EQ(step.events, row["events"][i].get<std::uint64_t>());
      expect_close(step.survival, row["survival"][i]);
      if (row["lower"][i].is_null()) {  // survival is 0
        EXPECT_EQ(step.survival, 0);
        EXPECT_EQ(step.lower, 0);
        EXPECT_EQ(step.upper, (i == 0 ? 1 : survival.steps[i - 1].upper) * clopper_pearson(0, step.at_risk).upper);
      } else {
        expect_close(step.lower, row["lower"][i]);
        expect_close(step.upper, row["upper"][i]);
      }
    }
    expect_optional(survival.median, row["median"][0]);
    // R has no limits where survival is 0, so that they never fall to 1/2 there.
    if (!survival.steps.empty() && survival.steps.back().survival == 0 && row["median"][2].is_null()) {
      const double last = survival.steps.back().time;
      EXPECT_EQ(survival.upper, survival.steps.back().upper <= 0.5 ? std::optional(last) : std::nullopt);
      EXPECT_EQ(survival.lower, row["median"][1].is_null() ? last : row["median"][1].get<double>());
    } else {
      expect_optional(survival.lower, row["median"][1]);
      expect_optional(survival.upper, row["median"][2]);
    }
  }
  EXPECT_EQ(reference()["survival"].size(), 10u);
}

TEST(KaplanMeier, WithoutCensoringIsTheDistributionExactly) {
  std::vector<double> times = counting(49);
  const Survival survival = kaplan_meier(times, std::vector<std::uint8_t>(49, 1));
  for (std::size_t i = 0; i < 49; ++i) EXPECT_EQ(survival.steps[i].survival, static_cast<double>(48 - i) / 49.0);
  for (const double q : {0.05, 0.25, 0.5, 0.75, 0.95}) EXPECT_EQ(survival_quantile(survival, q), std::ceil(q * 49));
  EXPECT_EQ(survival_quantile(survival, 1), 49);
}

// Six of six at once: the median is there, since all six would be below a later one with probability 1/64 only. Of five that is 1/32.
TEST(KaplanMeier, AllAtOnceHaveAMedianIntervalFromSixOn) {
  const auto all_at_3 = [](std::size_t n) { return kaplan_meier(std::vector<double>(n, 3.0), std::vector<std::uint8_t>(n, 1)); };
  EXPECT_EQ(all_at_3(6).upper, 3);
  EXPECT_EQ(all_at_3(5).upper, std::nullopt);
  EXPECT_EQ(all_at_3(5).lower, 3);
}

TEST(KaplanMeier, CensoredAtTheTimeOfAnEventIsStillAtRisk) {
  const Survival survival = kaplan_meier(std::vector<double>{2, 2, 2, 5}, std::vector<std::uint8_t>{0, 1, 0, 1});
  ASSERT_EQ(survival.steps.size(), 2u);
  EXPECT_EQ(survival.steps[0].at_risk, 4u);
  EXPECT_EQ(survival.steps[0].survival, 0.75);
  EXPECT_EQ(survival.steps[1].at_risk, 1u);
  EXPECT_EQ(survival.median, 5);
}

TEST(KaplanMeier, NobodyAndNoEvents) {
  for (const std::size_t n : {std::size_t{0}, std::size_t{5}}) {
    const Survival survival = kaplan_meier(std::vector<double>(n, 3.0), std::vector<std::uint8_t>(n, 0));
    EXPECT_EQ(survival.n, n);
    EXPECT_EQ(survival.events, 0u);
    EXPECT_TRUE(survival.steps.empty());
    EXPECT_FALSE(survival.median || survival.lower || survival.upper || survival_quantile(survival, 0.01));
  }
}

TEST(Pairs, ImprovementIsTheRootOfItsScoreEquation) {
  for (const Json& row : reference()["improvements"]) {
    SCOPED_TRACE(row.dump());
    expect_interval(probability_of_improvement(pairs_of(row)), row["interval"]);
  }
  EXPECT_EQ(reference()["improvements"].size(), 7u);
}

TEST(Pairs, WithoutTiesImprovementIsWilsons) {
  const Interval score = probability_of_improvement({38, 0, 12}), share = wilson(38, 50);
  EXPECT_EQ(score.estimate, share.estimate);
  EXPECT_NEAR(score.lower, share.lower, 1e-15);
  EXPECT_NEAR(score.upper, share.upper, 1e-15);
}

// Ten equal pairs do not prove that no pair differs.
TEST(Pairs, AllTiesLeaveRoom) {
  const Interval interval = probability_of_improvement({0, 10, 0});
  const double differ = clopper_pearson(0, 10).upper;
  EXPECT_EQ(interval.estimate, 0.5);
  EXPECT_EQ(interval.lower, 0.5 - differ / 2);
  EXPECT_EQ(interval.upper, 0.5 + differ / 2);
}

TEST(Pairs, SignTestEqualsR) {
  for (const Json& row : reference()["sign_tests"]) {
    SCOPED_TRACE(row.dump());
    expect_close(sign_test(pairs_of(row)), row["p"]);
    EXPECT_EQ(sign_test({row["worse"], row["equal"], row["better"]}), sign_test(pairs_of(row)));
  }
  EXPECT_EQ(reference()["sign_tests"].size(), 7u);
}

TEST(Pairs, HolmEqualsR) {
  for (const Json& row : reference()["holm"]) {
    SCOPED_TRACE(row.dump());
    const std::vector<double> adjusted = holm(row["p"].get<std::vector<double>>());
    ASSERT_EQ(adjusted.size(), row["adjusted"].size());
    for (std::size_t i = 0; i < adjusted.size(); ++i) expect_close(adjusted[i], row["adjusted"][i]);
  }
  EXPECT_EQ(reference()["holm"].size(), 5u);
  EXPECT_TRUE(holm({}).empty());
}

TEST(Sorting, SortsAndHidesTheSignOfZero) {
  std::mt19937_64 random(1);
  std::vector<double> values(300'000);
  for (double& x : values) x = static_cast<double>(static_cast<std::int64_t>(random())) * 1e-18;
  values[17] = -0.0;
  std::vector<double> expected = values;
  std::sort(expected.begin(), expected.end());
  sort_values(values);
  EXPECT_EQ(values, expected);
  EXPECT_FALSE(std::signbit(*std::find(values.begin(), values.end(), 0.0)));
}

TEST(Histogram, CountsEdgesOnceAndTheLastOneToo) {
  const std::vector<double> values = {-1, 0, 0, 0.5, 1, 1.5, 2, 2, 2, 3};
  EXPECT_EQ(histogram(values, 0, 2, 4), (std::vector<std::uint64_t>{2, 1, 1, 4}));
  EXPECT_EQ(histogram(values, -1, 3, 1), (std::vector<std::uint64_t>{10}));
  EXPECT_EQ(histogram({}, 0, 1, 2), (std::vector<std::uint64_t>{0, 0}));
}

TEST(Samples, AMillionValuesAgree) {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  std::vector<double> values(1'000'000);
  for (double& x : values) x = normal(random);
  sort_values(values);
  const Interval mean = mean_interval(values), iqm = *interquartile_mean(values), median = quantile(values, 0.5);
  const std::uint64_t counted = histogram(values, -6, 6, 40)[20];
  EXPECT_NEAR(mean.upper - mean.lower, 2 * 1.96e-3, 1e-5);
  EXPECT_NEAR(iqm.estimate, median.estimate, 5e-3);
  EXPECT_NEAR(static_cast<double>(counted), 1e6 * 0.1179, 2e3);  // Phi(0.3) - Phi(0)
}

}  // namespace
}  // namespace fryer::study
