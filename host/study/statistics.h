// SPDX-License-Identifier: Apache-2.0
// The statistics of studies: intervals, quantiles, survival, pairs. Exact or asymptotic, never resampled; every function names its
// method and its source. All intervals are two-sided with the confidence given. Distributions come from Boost.Math.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace fryer::study {

inline constexpr double kConfidence = 0.95;

struct Interval {
  double estimate = 0, lower = 0, upper = 0;
  std::string_view method;  // "Wilson", "Clopper-Pearson", ...
};

// z with P(|Z| <= z) = confidence for a standard normal Z.
double normal_quantile(double confidence);

// ---- shares. n >= 1, successes <= n.
Interval wilson(std::uint64_t successes, std::uint64_t n, double confidence = kConfidence);           // Wilson 1927
Interval clopper_pearson(std::uint64_t successes, std::uint64_t n, double confidence = kConfidence);  // Clopper & Pearson 1934
// Clopper-Pearson for none and all, Wilson between.
Interval share(std::uint64_t successes, std::uint64_t n, double confidence = kConfidence);

// ---- samples. `sorted` ascending, finite, n >= 1.
struct Moments {
  double mean = 0, sd = 0;  // sd of the sample (n - 1); 0 for n = 1
};
Moments moments(std::span<const double> sorted);
// Student's t; the whole line for n = 1.
Interval mean_interval(std::span<const double> sorted, double confidence = kConfidence);
// Interquartile mean: of the middle half, whole observations and fractions of the two at its ends (as Agarwal et al. 2021 mean it): n / 4
// of an observation is cut at each end, so of x_(floor(n / 4) + 1) the part (n % 4) / 4. None below 4 values.
std::optional<double> interquartile_mean_of(std::span<const double> sorted);
// With the interval of a trimmed mean from the winsorised variance (Tukey & McLaughlin 1963, Yuen 1974): winsorised at Hazen's quartiles
// (Hyndman & Fan 1996, type 5), Student's t with n / 2 - 1 degrees of freedom. Covers 95 % +- 1 % from 20 values on, from 400 where more
// than half of them are equal (returns at their limit).
std::optional<Interval> interquartile_mean(std::span<const double> sorted, double confidence = kConfidence);
// x_(ceil(q n)) with the interval between two order statistics whose binomial coverage is at least `confidence` (David & Nagaraja
// 2003, section 7.1). An end that no order statistic covers is -infinity or +infinity.
Interval quantile(std::span<const double> sorted, double q, double confidence = kConfidence);
// Half width of the band around the empirical distribution function (Dvoretzky, Kiefer & Wolfowitz 1956 with Massart's 1990 constant).
double dkw_half_width(std::uint64_t n, double confidence = kConfidence);

// ---- times to an event, some of them censored
struct SurvivalStep {
  double time = 0;
  std::uint64_t at_risk = 0, events = 0;
  // After this time; log-log interval (Kalbfleisch & Prentice), as R's conf.type "log-log". Where survival is 0, and R has none: from 0
  // to the upper limit of the step before times Clopper and Pearson's for none of those at risk.
  double survival = 1, lower = 1, upper = 1;
};
struct Survival {
  std::vector<SurvivalStep> steps;  // at each time with an event, ascending
  std::uint64_t n = 0, events = 0;
  // Kaplan & Meier 1958; interval by Brookmeyer & Crowley 1982 with the log-log transform. Absent ends: not reached by the data.
  std::optional<double> median, lower, upper;
};
// times: of each of the n subjects; event[i]: whether it happened then, or the subject was only watched until then.
Survival kaplan_meier(std::span<const double> times, std::span<const std::uint8_t> event, double confidence = kConfidence);
// The first time at which survival is <= 1 - q.
std::optional<double> survival_quantile(const Survival& survival, double q);

// ---- pairs: value a_i and b_i of the same seed
struct PairCounts {
  std::uint64_t better = 0, equal = 0, worse = 0;
};
// P(B > A) + P(B = A) / 2, score interval with the share of ties at its estimate (Wilson's, of the scores 0, 1/2, 1). At least one
// pair; where all are ties, from Clopper & Pearson's limit of the share of pairs that differ.
Interval probability_of_improvement(const PairCounts& counts, double confidence = kConfidence);
// Two-sided exact sign test over the pairs that differ (Conover 1999, section 3.4); 1 where none does.
double sign_test(const PairCounts& counts);
// Two-sided p-values adjusted by Holm 1979, in the order given.
std::vector<double> holm(std::span<const double> p);

// ---- sorting and counting, on Thrust (TBB)
void sort_values(std::vector<double>& values);
void sort_values(std::vector<float>& values);  // in half the time
// Counts of values in `bins` equal parts of [low, high]; the last one includes high. low < high; values outside are not counted.
std::vector<std::uint64_t> histogram(std::span<const double> sorted, double low, double high, std::size_t bins);

}  // namespace fryer::study
