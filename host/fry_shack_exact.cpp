// SPDX-License-Identifier: Apache-2.0
// FryShack-v0 in closed form: expected return, policy gradient and second moments for any weight, bias, probabilities, rewards,
// threshold and reward scale, in double. Everything is elementary (sigmoid, log1p(exp)) except the second moment by the weight,
// which needs a dilogarithm, and the first one where the logit spans less than 1 on an interval: those two are Gauss-Legendre sums,
// good to 1e-14 of themselves. Host only; enters no digest.
//
// Lanes play a discrete shack: hunger, choice and portion are multiples of 2^-24, parameters and gains are floats. Probabilities
// and lengths therefore differ from these by up to 2^-24, a moment of contributions of magnitude c by a few 2^-24 c (c^2 for second
// moments): below 1e-6 of the result unless the policy is so sure of itself that the result is of that size.
#include <algorithm>
#include <cmath>
#include <utility>

#include "fryer/engine/run.h"

namespace fryer {
namespace {

// Both keep their relative precision down to the smallest numbers.
double sigmoid_of(double z) {
  const double e = std::exp(-std::fabs(z));
  return (z >= 0 ? 1 : e) / (1 + e);
}
double softplus_of(double z) { return std::fmax(z, 0) + std::log1p(std::exp(-std::fabs(z))); }

// Gauss-Legendre with 20 nodes on [-1, 1], symmetric. An integrand made of sigmoids has its poles at distance pi, so a panel over
// which the logit moves by 4 leaves a relative error of about 1e-20.
struct Node {
  double abscissa, weight;
};
constexpr Node kNodes[] = {
    {0.076526521133497333751, 0.1527533871307258507},  {0.22778585114164507808, 0.14917298647260374679},
    {0.37370608871541956066, 0.14209610931838205133},  {0.51086700195082709799, 0.1316886384491766269},
    {0.63605368072651502547, 0.11819453196151841731},  {0.74633190646015079263, 0.10193011981724043504},
    {0.83911697182221882342, 0.083276741576704748726}, {0.91223442825132590586, 0.062672048334109063566},
    {0.96397192727791379129, 0.040601429800386941332}, {0.99312859918509492478, 0.017614007139152118311},
};
constexpr double kPanel = 4, kNegligible = 50;  // in logits; e^-50 of the largest value is dropped

// Hunger in [start, start + length), over which the logit rises from `low` to `high` by `rise` = weight * length >= 0. Means below
// are over u in [0, 1], hunger = start + length u. p is the sigmoid of the logit, q = 1 - p; p q is its derivative.
struct Interval {
  double start, length, low, high, rise;

  Interval(double from, double to, double weight, double bias)
      : start(from), length(to - from), low(weight * from + bias), high(weight * to + bias), rise(weight * (to - from)) {}

  // Mean of the sigmoid between two logits with low + high <= 0, where a difference of softplus loses nothing. For a small rise,
  // (1 + e^high) / (1 + e^low) = 1 + sigmoid(low) (e^rise - 1).
  static double mean_small(double low, double high, double rise) {
    if (rise == 0) return sigmoid_of(low);
    if (rise < 1) return std::log1p(sigmoid_of(low) * std::expm1(rise)) / rise;
    return (softplus_of(high) - softplus_of(low)) / rise;
  }
  double mean_p() const { return low + high <= 0 ? mean_small(low, high, rise) : 1 - mean_small(-high, -low, rise); }

  // Mean of p q = (p(high) - p(low)) / rise; p(high) - p(low) = p(high) q(low) (1 - e^-rise).
  double mean_pq() const { return sigmoid_of(high) * sigmoid_of(-low) * (rise == 0 ? 1 : -std::expm1(-rise) / rise); }
  // Means of p q p = (p(high)^2 - p(low)^2) / (2 rise) and of p q q.
  double mean_pqp() const { return mean_pq() * 0.5 * (sigmoid_of(low) + sigmoid_of(high)); }
  double mean_pqq() const { return mean_pq() * 0.5 * (sigmoid_of(-low) + sigmoid_of(-high)); }

  // Mean of u p q = (p(high) - mean p) / rise by parts, or with q on the side where q is the small one.
  double mean_u_pq() const {
    if (rise < 1) {
      return sum([](double u, double p, double q) { return u * p * q; });
    }
    if (low + high <= 0) return (sigmoid_of(high) - mean_small(low, high, rise)) / rise;
    return (mean_small(-high, -low, rise) - sigmoid_of(-high)) / rise;
  }
  double mean_hunger_pq() const { return start * mean_pq() + length * mean_u_pq(); }

  // Mean of hunger^2 p q (q if_norm + p if_squatch).
  double mean_hunger2_pq(double if_norm, double if_squatch) const {
    return sum([&](double u, double p, double q) {
      const double hunger = start + length * u;
      return hunger * hunger * p * q * (q * if_norm + p * if_squatch);
    });
  }

 private:
  // Mean of f(u, p, q), where f falls off like p q: panels around the logit nearest to 0.
  template <class Function>
  double sum(Function f) const {
    double from = 0, to = 1;
    if (rise > kPanel) {
      const double nearest = std::clamp(0.0, low, high);
      from = std::fmax(0, (nearest - kNegligible - low) / rise);
      to = std::fmin(1, (nearest + kNegligible - low) / rise);
    }
    const int panels = std::max(1, static_cast<int>(std::ceil((to - from) * rise / kPanel)));
    const double half = (to - from) / (2 * panels);
    double total = 0;
    for (int panel = 0; panel < panels; ++panel) {
      const double centre = from + half * (2 * panel + 1);
      for (const Node& node : kNodes) {
        for (const double side : {-node.abscissa, node.abscissa}) {
          const double u = centre + half * side;
          const double z = low + rise * u;
          total += half * node.weight * f(u, sigmoid_of(z), sigmoid_of(-z));
        }
      }
    }
    return total;
  }
};

// The shack with the weight's sign taken out, in its two halves: hungry or not. Calls
// body(hunger, direction of a correct order, probability of a correct order at Norm's, at Squatch's).
template <class Body>
void for_each_half(const Problem& problem, const Body& body) {
  const FryShack::Settings& s = problem.environment;
  double weight = problem.weight, bias = problem.bias, norm = s.large_order_norm, squatch = s.large_order_squatch, sign = 1;
  if (weight < 0) {  // the same shack with the shops' names exchanged
    weight = -weight;
    bias = -bias;
    std::swap(norm, squatch);
    sign = -1;
  }
  for (const bool hungry : {false, true}) {
    const Interval hunger = hungry ? Interval(s.hungry_above, 1, weight, bias) : Interval(0, s.hungry_above, weight, bias);
    if (hunger.length == 0) continue;
    // An order is correct if it is large exactly when hungry.
    body(hunger, (hungry ? sign : -sign) * (norm - squatch), hungry ? norm : 1 - norm, hungry ? squatch : 1 - squatch);
  }
}

}  // namespace

double fry_shack_expected_return(const Problem& problem) {
  const FryShack::Settings& s = problem.environment;
  double probability_correct = 0;
  for_each_half(problem, [&](const Interval& hunger, double, double correct_norm, double correct_squatch) {
    const double p = hunger.mean_p();
    probability_correct += hunger.length * (p * correct_norm + (1 - p) * correct_squatch);
  });
  return probability_correct * s.reward_correct + (1 - probability_correct) * s.reward_wrong;
}

FryShackExact fry_shack_exact(const Problem& problem) {
  const FryShack::Settings& s = problem.environment;
  const double gain_correct = problem.reward_scale * s.reward_correct, gain_wrong = problem.reward_scale * s.reward_wrong;
  FryShackExact exact{};
  exact.mean_return = fry_shack_expected_return(problem);
  for_each_half(problem, [&](const Interval& hunger, double direction, double correct_norm, double correct_squatch) {
    const double difference = direction * (gain_correct - gain_wrong);
    exact.gradient_bias += hunger.length * difference * hunger.mean_pq();
    exact.gradient_weight += hunger.length * difference * hunger.mean_hunger_pq();
    // Of the contribution (action - p) gain: Norm's is chosen with p and leaves q^2, Squatch's with q and leaves p^2.
    const double norm_square = correct_norm * gain_correct * gain_correct + (1 - correct_norm) * gain_wrong * gain_wrong;
    const double squatch_square = correct_squatch * gain_correct * gain_correct + (1 - correct_squatch) * gain_wrong * gain_wrong;
    exact.second_moment_bias += hunger.length * (hunger.mean_pqq() * norm_square + hunger.mean_pqp() * squatch_square);
    exact.second_moment_weight += hunger.length * hunger.mean_hunger2_pq(norm_square, squatch_square);
  });
  return exact;
}

}  // namespace fryer
