// SPDX-License-Identifier: Apache-2.0
// The linear sigmoid policy: forward pass, sampling at its edges, and the backward pass against finite differences in double.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "fryer/policy/sigmoid_policy.h"

namespace fryer {
namespace {

template <class Real>
SigmoidPolicy<Real, 1> policy_of(double weight, double bias) {
  SigmoidPolicy<Real, 1> policy;
  policy.weight[0] = static_cast<Real>(weight);
  policy.bias = static_cast<Real>(bias);
  return policy;
}

std::uint32_t word_of(std::uint32_t units) { return units << 8 | 0xffu; }

TEST(SigmoidPolicy, LogitIsAChainOfFmaFromTheBias) {
  SigmoidPolicy<float, 3> policy;
  policy.weight[0] = 0.1f;
  policy.weight[1] = -3e5f;
  policy.weight[2] = 7.77f;
  policy.bias = 1e-3f;
  const float observation[3] = {1.1f, 2.3f, -5e4f};
  const float expected = std::fmaf(7.77f, -5e4f, std::fmaf(-3e5f, 2.3f, std::fmaf(0.1f, 1.1f, 1e-3f)));
  EXPECT_EQ(policy.logit(observation), expected);
}

// Action 1 exactly where the uniform number is below p: at the neighbours of p for many p, and p of exactly 0 and 1 never err.
template <class Real>
void sampling_edges() {
  for (double bias = -120; bias <= 40; bias += 0.173) {
    const SigmoidPolicy<Real, 1> policy = policy_of<Real>(0, bias);
    const Real observation[1] = {0};
    const double p24 = static_cast<double>(sigmoid24(static_cast<Real>(bias)));
    const auto units = static_cast<std::int64_t>(p24);
    for (const std::int64_t u : {std::int64_t{0}, units - 1, units, units + 1, std::int64_t{0xffffff}}) {
      if (u < 0 || u > 0xffffff) continue;
      const Decision<Real> decision = policy.sample(observation, word_of(static_cast<std::uint32_t>(u)));
      ASSERT_EQ(decision.action, static_cast<double>(u) < p24) << bias << ' ' << u;
      ASSERT_EQ(decision.error24, static_cast<Real>(p24 - (decision.action ? kTwo24 : 0.0))) << bias << ' ' << u;
    }
  }
}
TEST(SigmoidPolicy, SamplesBelowP) {
  sampling_edges<float>();
  sampling_edges<double>();
}

TEST(SigmoidPolicy, CertainPoliciesNeverErr) {
  const float observation[1] = {0};
  for (const double bias : {17.5, 88.0, 1e9, 1e38}) {
    EXPECT_TRUE(policy_of<float>(0, bias).sample(observation, 0xffffffffu).action) << bias;
    EXPECT_EQ(policy_of<float>(0, bias).sample(observation, 0xffffffffu).error24, 0.0f) << bias;
    EXPECT_FALSE(policy_of<float>(0, -bias * 6).sample(observation, 0u).action) << -bias * 6;
    EXPECT_EQ(policy_of<float>(0, -bias * 6).sample(observation, 0u).error24, 0.0f) << -bias * 6;
  }
}

// A policy that is not a number must not look like one.
TEST(SigmoidPolicy, NotANumberStaysOne) {
  const float observation[1] = {3};
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::uint32_t word : {0u, 0x80000000u, 0xffffffffu}) {
    EXPECT_TRUE(std::isnan(policy_of<float>(0, static_cast<double>(nan)).sample(observation, word).error24));
    EXPECT_TRUE(std::isnan(policy_of<float>(static_cast<double>(nan), 0).sample(observation, word).error24));
  }
}

// -log pi(action) in long double, from the definition.
long double loss(double weight, double bias, double hunger24, bool action) {
  const long double z = static_cast<long double>(weight) * static_cast<long double>(hunger24) + static_cast<long double>(bias);
  const long double u = action ? -z : z;
  return (u > 0 ? u : 0) + std::log1p(std::exp(-std::fabs(u)));
}

// Detects a wrong derivative, sign or scaling: error24 is 2^24 times the derivative of -log pi(action) by the bias; times the
// observation, by the weight. Central differences of step 1e-4 are good to 1e-9 of 1 here, the double policy to 1e-15.
TEST(SigmoidPolicy, BackwardPassIsTheDerivativeOfTheLoss) {
  for (const double weight : {20.0, 1.0, -3.0, 0.0}) {
    for (double bias = -30; bias <= 30; bias += 0.77) {
      for (const std::uint32_t units : {0u, 1000u, 0x200000u, 0x800000u, 0xc00001u, 0xffffffu}) {
        const SigmoidPolicy<double, 1> policy = policy_of<double>(weight * 0x1p-24, bias);
        const double observation[1] = {static_cast<double>(units)};
        for (const std::uint32_t word : {0u, 0xffffffffu}) {  // either action, where both can happen
          const Decision<double> decision = policy.sample(observation, word);
          const double step = 1e-4;
          const auto by_bias = (loss(weight, bias + step, units * 0x1p-24, decision.action) -
                                loss(weight, bias - step, units * 0x1p-24, decision.action)) /
                               (2 * static_cast<long double>(step));
          const auto by_weight = (loss(weight + step, bias, units * 0x1p-24, decision.action) -
                                  loss(weight - step, bias, units * 0x1p-24, decision.action)) /
                                 (2 * static_cast<long double>(step));
          ASSERT_NEAR(decision.error24 * 0x1p-24, static_cast<double>(by_bias), 2e-9);
          ASSERT_NEAR(decision.error24 * observation[0] * 0x1p-48, static_cast<double>(by_weight), 2e-9);
          // and the float lanes agree with double to float's rounding: z to 2^-24 |z|, p to 2 ULP, p - action to 2^-24
          const SigmoidPolicy<float, 1> lane = policy_of<float>(weight * 0x1p-24, static_cast<double>(static_cast<float>(bias)));
          const float lane_observation[1] = {static_cast<float>(units)};
          const Decision<float> lane_decision = lane.sample(lane_observation, word);
          if (lane_decision.action == decision.action) {
            const double size = std::fabs(weight) + std::fabs(bias);
            ASSERT_NEAR(static_cast<double>(lane_decision.error24), decision.error24, (0.25 * size + 3) * 1.01);
          }
        }
      }
    }
  }
}

// Without clamping: the same decisions wherever it may be used, its ends included.
TEST(SigmoidPolicy, BoundedPolicyIsTheSamePolicy) {
  const float observation[1] = {0};
  for (float bias = kSigmoidZeroBelow; bias <= kSigmoidOneFrom; bias += 0.0123f) {
    for (const float b : {bias, kSigmoidOneFrom}) {
      const SigmoidPolicy<float, 1> policy = policy_of<float>(0, static_cast<double>(b));
      for (const std::uint32_t word : {0u, 0x7fffffffu, 0xffffffffu}) {
        const Decision<float> expected = policy.sample(observation, word);
        const Decision<float> bounded = BoundedPolicy<float, 1>{policy}.sample(observation, word);
        ASSERT_EQ(bounded.action, expected.action) << b;
        ASSERT_EQ(to_bits(bounded.error24), to_bits(expected.error24)) << b;
      }
    }
  }
}

// The more probable action, whatever the word.
TEST(SigmoidPolicy, GreedyPolicyTakesTheMoreProbableAction) {
  for (double bias = -30; bias <= 30; bias += 0.37) {
    const SigmoidPolicy<float, 1> policy = policy_of<float>(0, bias);
    const float observation[1] = {0};
    for (const std::uint32_t word : {0u, 0x80000000u, 0xffffffffu}) {
      const Decision<float> decision = GreedyPolicy<float, 1>{policy}.sample(observation, word);
      EXPECT_EQ(decision.action, sigmoid24(static_cast<float>(bias)) > 0x1p23f) << bias;
      EXPECT_EQ(decision.error24, 0.0f);
    }
  }
  const float observation[1] = {5};
  EXPECT_FALSE((GreedyPolicy<float, 1>{policy_of<float>(0, 0)}.sample(observation, 0u).action));  // p = 1/2 is not above it
}

// One policy shared by all lanes and one a lane are the same arithmetic.
TEST(SigmoidPolicy, SharedAndPerLaneParametersAgree) {
  const SigmoidPolicy<float, 1> shared = policy_of<float>(20 * 0x1p-24, -7.3);
  for (std::uint32_t units = 0; units < 0x1000000u; units += 99991u) {
    const float observation[1] = {static_cast<float>(units)};
    EXPECT_EQ(shared.logit(observation), std::fmaf(20 * 0x1p-24f, static_cast<float>(units), -7.3f));
  }
}

}  // namespace
}  // namespace fryer
