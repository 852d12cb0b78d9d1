// SPDX-License-Identifier: Apache-2.0
// Adam and SGD against their papers' formulas in long double, the schedule of bias corrections, and the flush of tiny moments.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "fryer/algo/optimizer.h"

namespace fryer {
namespace {

using Extended = long double;
using Form = OptimizerSettings::Form;

OptimizerSettings adam(double learning_rate, double beta1, double beta2, double epsilon, Form form) {
  OptimizerSettings s;
  s.learning_rate = learning_rate;
  s.beta1 = beta1;
  s.beta2 = beta2;
  s.epsilon = epsilon;
  s.form = form;
  return s;
}

const OptimizerSettings kAdams[] = {
    adam(0.1, 0.9, 0.999, 1e-8, Form::torch),      adam(0.1, 0.9, 0.999, 1e-8, Form::keras),
    adam(1e-3, 0.9, 0.999, 1e-7, Form::keras),     adam(0.05, 0.8, 0.99, 1e-6, Form::torch),
    adam(0.5, 0.0, 0.5, 1e-3, Form::torch),        adam(0.1, 0.99, 0.0, 1e-8, Form::torch),
    adam(0.01, 0.999, 0.9999, 1e-12, Form::keras),
};

// Kingma & Ba 2015, algorithm 1 (torch), or the end of their section 2 (keras).
struct Reference {
  OptimizerSettings s;
  Extended m = 0, v = 0, theta = 0;
  int t = 0;

  void step(Extended g) {
    ++t;
    const auto beta1 = static_cast<Extended>(s.beta1), beta2 = static_cast<Extended>(s.beta2);
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    const Extended correction1 = 1 - std::pow(beta1, t), correction2 = 1 - std::pow(beta2, t);
    if (s.form == Form::torch) {
      theta -= static_cast<Extended>(s.learning_rate) * (m / correction1) /
               (std::sqrt(v / correction2) + static_cast<Extended>(s.epsilon));
    } else {
      theta -= static_cast<Extended>(s.learning_rate) * std::sqrt(correction2) / correction1 * m /
               (std::sqrt(v) + static_cast<Extended>(s.epsilon));
    }
  }
};

// Detects a wrong formula, order or constant: 400 random gradients of changing size, each form, float and double. The parameter is
// set to the reference's before each step; the tolerances follow each rounding of the written formula through moments and step.
template <class Real>
void compare_adam(const OptimizerSettings& settings, Extended eps) {
  const OptimizerConstants<Real> constants = make_optimizer_constants<Real>(settings);
  const auto beta1 = static_cast<Extended>(settings.beta1), beta2 = static_cast<Extended>(settings.beta2);
  AdamSchedule schedule(settings);
  Reference reference{settings};
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal;
  Real m = 0, v = 0;
  Extended error_m = 0, error_v = 0;
  for (int t = 1; t <= 400; ++t) {
    const auto g = static_cast<Real>(normal(random) * std::exp2(static_cast<double>(t % 23) - 12));
    const AdamSchedule::Factors f = schedule.next();
    Real theta = static_cast<Real>(reference.theta);
    const auto before = static_cast<Extended>(theta), gradient = static_cast<Extended>(g);
    reference.theta = before;
    error_m = beta1 * error_m + 2 * eps * (std::fabs(reference.m) + std::fabs(gradient));
    error_v = beta2 * error_v + 3 * eps * (beta2 * reference.v + (1 - beta2) * gradient * gradient);
    adam_step(constants, static_cast<Real>(f.step), static_cast<Real>(f.root_scale), g, m, v, theta);
    reference.step(gradient);
    ASSERT_NEAR(static_cast<double>(m), static_cast<double>(reference.m), static_cast<double>(error_m)) << t;
    ASSERT_NEAR(static_cast<double>(v), static_cast<double>(reference.v), static_cast<double>(error_v)) << t;
    const Extended power1 = std::pow(beta1, t), power2 = std::pow(beta2, t);
    const Extended corrections =
        0x1p-53L * t * (power1 / (1 - power1) + power2 / (1 - power2));  // AdamSchedule's running products
    const Extended moved = std::fabs(reference.theta - before);
    const Extended error = moved * (error_m / std::fabs(reference.m) + error_v / (2 * reference.v) + corrections + 6 * eps) +
                           2 * eps * (std::fabs(before) + moved);
    ASSERT_NEAR(static_cast<double>(theta), static_cast<double>(reference.theta), static_cast<double>(error)) << t;
  }
}

TEST(Adam, FollowsThePaper) {
  for (const OptimizerSettings& settings : kAdams) {
    SCOPED_TRACE(settings.beta1);
    SCOPED_TRACE(settings.beta2);
    compare_adam<float>(settings, 0x1p-24L);
    compare_adam<double>(settings, 0x1p-53L);
  }
}

// The bias corrections: running products of beta in double, t roundings in all.
TEST(Adam, ScheduleIsAccurate) {
  for (const OptimizerSettings& s : kAdams) {
    AdamSchedule schedule(s);
    for (int t = 1; t <= 5000; ++t) {
      const AdamSchedule::Factors f = schedule.next();
      const Extended power1 = std::pow(static_cast<Extended>(s.beta1), t), power2 = std::pow(static_cast<Extended>(s.beta2), t);
      Extended step = static_cast<Extended>(s.learning_rate) / (1 - power1), root_scale = 1 / std::sqrt(1 - power2);
      const Extended rounding = 0x1p-53L * (4 + t * (power1 / (1 - power1) + power2 / (1 - power2)));
      if (s.form == Form::keras) {
        step *= std::sqrt(1 - power2);
        root_scale = 1;
      }
      ASSERT_NEAR(f.step, static_cast<double>(step), static_cast<double>(rounding * step)) << t;
      ASSERT_NEAR(f.root_scale, static_cast<double>(root_scale), static_cast<double>(rounding * root_scale)) << t;
    }
  }
}

// The prefix rule: a table's entries do not depend on its length, and it ends where the factors have settled.
TEST(Adam, TableIsAPrefixOfALongerOne) {
  const OptimizerSettings s;
  const AdamTable shorter(s, 280), longer(s, 5000);
  ASSERT_EQ(shorter.step.size(), 280u);
  for (std::size_t i = 0; i < 280; ++i) {
    ASSERT_EQ(to_bits(shorter.step[i]), to_bits(longer.step[i]));
    ASSERT_EQ(to_bits(shorter.root_scale[i]), to_bits(longer.root_scale[i]));
  }
  // The first entries by hand: 0.1 / (1 - 0.9), 1 / sqrt(1 - 0.999).
  EXPECT_FLOAT_EQ(longer.step[0], 1.0f);
  EXPECT_FLOAT_EQ(longer.root_scale[0], 31.622776f);
}

// Constants are narrowed once from double: 1 - beta is not 1 - float(beta).
TEST(Adam, ConstantsAreNarrowedOnce) {
  const OptimizerConstants<float> c = make_optimizer_constants<float>({});
  EXPECT_EQ(c.one_minus_beta1, static_cast<float>(1.0 - 0.9));
  EXPECT_EQ(c.one_minus_beta2, static_cast<float>(1.0 - 0.999));
  EXPECT_NE(c.one_minus_beta2, 1.0f - static_cast<float>(0.999));
  EXPECT_EQ(c.beta2, 0.999f);
  EXPECT_EQ(c.epsilon, 1e-8f);
}

// The operations of design's "To the bit", spelled out with the standard library's fma.
TEST(Adam, HasTheStatedRoundings) {
  const OptimizerConstants<float> c = make_optimizer_constants<float>({});
  std::mt19937 random(11);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (int i = 0; i < 100'000; ++i) {
    const float g = uniform(random), step = 1 + uniform(random), root_scale = 2 + uniform(random);
    float m = uniform(random), v = 0.5f + 0.5f * uniform(random), theta = 20 * uniform(random);
    const float expected_m = std::fmaf(c.one_minus_beta1, g - m, m);
    const float scaled = c.one_minus_beta2 * g, kept = c.beta2 * v;
    const float expected_v = std::fmaf(scaled, g, kept);
    const float quotient = expected_m / std::fmaf(std::sqrt(expected_v), root_scale, c.epsilon);
    const float expected_theta = std::fmaf(-step, quotient, theta);
    adam_step(c, step, root_scale, g, m, v, theta);
    ASSERT_EQ(to_bits(m), to_bits(expected_m));
    ASSERT_EQ(to_bits(v), to_bits(expected_v));
    ASSERT_EQ(to_bits(theta), to_bits(expected_theta));
  }
}

// A gradient that stays 0 leaves no subnormal moments behind, and moves nothing once they are gone.
TEST(Adam, FlushesTinyMoments) {
  EXPECT_EQ(to_bits(flush_subnormal(0x1p-126f)), to_bits(0x1p-126f));
  EXPECT_EQ(to_bits(flush_subnormal(-0x1p-126f)), to_bits(-0x1p-126f));
  for (const float tiny : {0x1.fffffcp-127f, 0x1p-149f, 0.0f, -0.0f, -0x1p-140f, -0x1.fffffcp-127f}) {
    EXPECT_EQ(to_bits(flush_subnormal(tiny)), 0u) << tiny;
  }
  EXPECT_TRUE(std::isnan(flush_subnormal(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_EQ(flush_subnormal(-std::numeric_limits<float>::infinity()), -std::numeric_limits<float>::infinity());

  const OptimizerConstants<float> c = make_optimizer_constants<float>({});
  float m = 1e-3f, v = 1e-6f, theta = -1;
  for (int t = 0; t < 2000; ++t) {
    adam_step(c, 0.1f, 1.0f, 0.0f, m, v, theta);
    ASSERT_FALSE(std::fpclassify(m) == FP_SUBNORMAL || std::fpclassify(v) == FP_SUBNORMAL) << t;
  }
  EXPECT_EQ(m, 0.0f);
  v = 0x1.0001p-126f;  // the next step takes it below 2^-126
  adam_step(c, 0.1f, 1.0f, 0.0f, m, v, theta);
  EXPECT_EQ(to_bits(v), 0u);
  const float settled = theta;
  adam_step(c, 0.1f, 1.0f, 0.0f, m, v, theta);
  EXPECT_EQ(theta, settled);
}

// A gradient of 0 from the start moves nothing (0 / (0 + epsilon) = 0), even with an epsilon that is no float.
TEST(Adam, ZeroGradientMovesNothing) {
  const OptimizerConstants<float> c = make_optimizer_constants<float>({});
  float m = 0, v = 0, theta = 3.25f;
  for (int t = 0; t < 10; ++t) adam_step(c, 1.0f, 31.6f, 0.0f, m, v, theta);
  EXPECT_EQ(theta, 3.25f);
}

TEST(Sgd, IsOneFma) {
  OptimizerSettings s;
  s.kind = OptimizerSettings::Kind::sgd;
  s.learning_rate = 0.3;
  const OptimizerConstants<float> c = make_optimizer_constants<float>(s);
  std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform(-10, 10);
  for (int i = 0; i < 10'000; ++i) {
    const float g = uniform(random), before = uniform(random);
    float theta = before;
    sgd_step(c, g, theta);
    ASSERT_EQ(to_bits(theta), to_bits(std::fmaf(-0.3f, g, before)));
  }
}

// A parameter that overflows must show it.
TEST(Optimizer, NonFiniteNumbersAreNotHidden) {
  OptimizerSettings s;
  s.learning_rate = 1e38;
  const OptimizerConstants<float> c = make_optimizer_constants<float>(s);
  float m = 0, v = 0, theta = 0;
  adam_step(c, std::numeric_limits<float>::infinity(), 1.0f, 0.5f, m, v, theta);
  EXPECT_FALSE(is_finite(theta));
  m = v = theta = 0;
  adam_step(c, 0.1f, 1.0f, std::numeric_limits<float>::quiet_NaN(), m, v, theta);
  EXPECT_TRUE(std::isnan(m) && std::isnan(v) && std::isnan(theta));
}

}  // namespace
}  // namespace fryer
