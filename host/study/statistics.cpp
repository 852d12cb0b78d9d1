// SPDX-License-Identifier: Apache-2.0
// Intervals, quantiles and pairs of statistics.h. Called by the analysis; pure functions without state. Sums are over sorted values in
// a fixed order, so that the order in which replicas were finished cannot change a bit.
#include "host/study/statistics.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include "fryer/engine/results.h"

namespace fryer::study {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A quantile of a discrete distribution is the smallest k whose cumulative probability is at least p.
using RoundUp = boost::math::policies::policy<boost::math::policies::discrete_quantile<boost::math::policies::integer_round_up>>;
using Binomial = boost::math::binomial_distribution<double, RoundUp>;

double real(std::uint64_t n) { return static_cast<double>(n); }
double tail(double confidence) { return (1 - confidence) / 2; }

// Sum of term(x), pairwise: an error that grows with log n instead of n.
template <class Term>
double sum(std::span<const double> values, const Term& term) {
  constexpr std::size_t kBlock = 256;
  if (values.size() > kBlock) {
    const std::size_t half = values.size() / 2;
    return sum(values.first(half), term) + sum(values.subspan(half), term);
  }
  double total = 0;
  for (const double x : values) total += term(x);
  return total;
}

// Deviations are from the middle value, not from 0: equal values have exactly their mean, and large ones lose no digits.
double mean_of(std::span<const double> sorted) {
  const double pivot = sorted[sorted.size() / 2];
  return pivot + sum(sorted, [&](double x) { return x - pivot; }) / real(sorted.size());
}

Interval student(double estimate, double standard_error, double degrees, double confidence, std::string_view method) {
  if (!(degrees > 0)) return {estimate, -kInfinity, kInfinity, method};
  if (standard_error == 0) return {estimate, estimate, estimate, method};
  const boost::math::students_t_distribution<double> t(degrees);
  const double half = boost::math::quantile(boost::math::complement(t, tail(confidence))) * standard_error;
  return {estimate, estimate - half, estimate + half, method};
}

}  // namespace

double normal_quantile(double confidence) {
  return boost::math::quantile(boost::math::complement(boost::math::normal_distribution<double>(), tail(confidence)));
}

Interval wilson(std::uint64_t successes, std::uint64_t n, double confidence) {
  const double z = normal_quantile(confidence), k = real(successes), rest = real(n - successes), total = real(n);
  const double center = k + z * z / 2, half = z * std::sqrt(k * (rest / total) + z * z / 4), scale = total + z * z;
  return {k / total, successes == 0 ? 0 : (center - half) / scale, successes == n ? 1 : (center + half) / scale, "Wilson"};
}

Interval clopper_pearson(std::uint64_t successes, std::uint64_t n, double confidence) {
  const double k = real(successes), total = real(n), alpha = tail(confidence);
  return {k / total, Binomial::find_lower_bound_on_p(total, k, alpha), Binomial::find_upper_bound_on_p(total, k, alpha),
          "Clopper-Pearson"};
}

Interval share(std::uint64_t successes, std::uint64_t n, double confidence) {
  return successes == 0 || successes == n ? clopper_pearson(successes, n, confidence) : wilson(successes, n, confidence);
}

Moments moments(std::span<const double> sorted) {
  Moments m;
  m.mean = mean_of(sorted);
  if (sorted.size() > 1) {
    const double squares = sum(sorted, [&](double x) { return (x - m.mean) * (x - m.mean); });
    m.sd = std::sqrt(squares / real(sorted.size() - 1));
  }
  return m;
}

Interval mean_interval(std::span<const double> sorted, double confidence) {
  const Moments m = moments(sorted);
  const double n = real(sorted.size());
  return student(m.mean, m.sd / std::sqrt(n), n - 1, confidence, "Student's t");
}

std::optional<double> interquartile_mean_of(std::span<const double> sorted) {
  const std::size_t n = sorted.size(), cut = n / 4;
  if (n < 4) return std::nullopt;
  // Of the observations at the two ends of the middle half, (n % 4) / 4 is trimmed.
  const double kept = 1 - real(n % 4) / 4;
  const std::span<const double> inside = sorted.subspan(cut + 1, n - 2 * (cut + 1));
  const double pivot = sorted[n / 2];
  const double total =
      sum(inside, [&](double x) { return x - pivot; }) + kept * (sorted[cut] - pivot) + kept * (sorted[n - 1 - cut] - pivot);
  return pivot + total / (real(n) / 2);
}

std::optional<Interval> interquartile_mean(std::span<const double> sorted, double confidence) {
  const std::optional<double> estimate = interquartile_mean_of(sorted);
  if (!estimate) return std::nullopt;
  const double n = real(sorted.size());
  // Winsorised at quartiles between two order statistics (Hazen's). At those of the usual rule, x_(floor(n / 4) + 1), the interval covers
  // 93 to 97 % for n near 20, depending on n % 4; so 95 to 96 %.
  const double position = n / 4 - 0.5;  // counted from 0
  const auto below = static_cast<std::size_t>(position);
  const double weight = position - real(below);
  const auto between = [weight](double outer, double inner) { return outer + weight * (inner - outer); };
  const double low = between(sorted[below], sorted[below + 1]);
  const double high = between(sorted[sorted.size() - 1 - below], sorted[sorted.size() - 2 - below]);
  const double pivot = sorted[sorted.size() / 2];
  const double mean = pivot + sum(sorted, [&](double x) { return std::clamp(x, low, high) - pivot; }) / n;
  const auto square = [&](double x) { return (std::clamp(x, low, high) - mean) * (std::clamp(x, low, high) - mean); };
  const double winsorised_sd = std::sqrt(sum(sorted, square) / (n - 1));
  return student(*estimate, winsorised_sd / (0.5 * std::sqrt(n)), n / 2 - 1, confidence, "trimmed mean");
}

Interval quantile(std::span<const double> sorted, double q, double confidence) {
  // Of n values, B ~ Binomial(n, q) lie below the quantile; x_(lower) is above it with P(B < lower), x_(upper) below with P(B >= upper).
  const Binomial below(real(sorted.size()), q);
  const double lower = boost::math::quantile(below, tail(confidence));
  const double upper = boost::math::quantile(boost::math::complement(below, tail(confidence))) + 1;
  const auto at = [&](double rank) { return sorted[static_cast<std::size_t>(rank) - 1]; };
  return {sorted[quantile_position(q, sorted.size())], lower < 1 ? -kInfinity : at(lower),
          upper > real(sorted.size()) ? kInfinity : at(upper), "order statistics"};
}

double dkw_half_width(std::uint64_t n, double confidence) {
  return std::min(1.0, std::sqrt(std::log(2 / (1 - confidence)) / (2 * real(n))));
}

Interval probability_of_improvement(const PairCounts& counts, double confidence) {
  const double n = real(counts.better) + real(counts.equal) + real(counts.worse);
  const double mean = (real(counts.better) + real(counts.equal) / 2) / n, ties = real(counts.equal) / n;
  constexpr std::string_view kMethod = "score";
  if (counts.better == 0 && counts.worse == 0) {
    // The score interval has no width here, as if no pair could ever differ: the share that could has Clopper and Pearson's limit.
    const double differ = clopper_pearson(0, counts.equal, confidence).upper;
    return {mean, (1 - differ) / 2, (1 + differ) / 2, kMethod};
  }
  // |mean - p| <= z sqrt((p (1 - p) - ties / 4) / n): the variance of scores with mean p and that share of halves.
  const double z = normal_quantile(confidence), a = z * z / n;
  const double center = 2 * mean + a, half = std::sqrt(a * (4 * mean * (1 - mean) - ties + a * (1 - ties)));
  return {mean, std::max(0.0, (center - half) / (2 * (1 + a))), std::min(1.0, (center + half) / (2 * (1 + a))), kMethod};
}

double sign_test(const PairCounts& counts) {
  if (counts.better == counts.worse) return 1;
  const Binomial fair(real(counts.better + counts.worse), 0.5);
  return std::min(1.0, 2 * boost::math::cdf(fair, real(std::min(counts.better, counts.worse))));
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double largest = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    largest = std::max(largest, std::min(1.0, real(p.size() - i) * p[order[i]]));
    adjusted[order[i]] = largest;
  }
  return adjusted;
}

}  // namespace fryer::study
