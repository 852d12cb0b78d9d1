// SPDX-License-Identifier: Apache-2.0
// Adam and SGD, one template for lanes, host and value learners (design: "To the bit"). Loss gradients in, parameters stepped
// against them. Adam's bias corrections depend on the update's number alone: the host makes them in double, once, as a schedule.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "fryer/core/real.h"

namespace fryer {

struct OptimizerSettings {
  enum class Kind { adam, sgd };
  enum class Form { torch, keras };  // where Adam's epsilon stands: Kingma & Ba 2015, algorithm 1, or the end of their section 2
  Kind kind = Kind::adam;
  Form form = Form::torch;
  double learning_rate = 0.1;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  auto operator<=>(const OptimizerSettings&) const = default;
};

// Settings narrowed once from double to the lanes' numbers.
template <class Scalar>
struct OptimizerConstants {
  Scalar one_minus_beta1, beta2, one_minus_beta2, epsilon, learning_rate;
};

template <class Scalar>
OptimizerConstants<Scalar> make_optimizer_constants(const OptimizerSettings& s) {
  return {static_cast<Scalar>(1.0 - s.beta1), static_cast<Scalar>(s.beta2), static_cast<Scalar>(1.0 - s.beta2),
          static_cast<Scalar>(s.epsilon), static_cast<Scalar>(s.learning_rate)};
}

// The two factors of Adam's update t = 1, 2, ...: step and root_scale, theta -= step m / (sqrt(v) root_scale + epsilon). Powers of
// beta are running double products. torch: lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t). keras: lr sqrt(1 - beta2^t) / (1 - beta1^t), 1.
class AdamSchedule {
 public:
  // beta1^t and beta2^t after t updates: all that moves, so that a schedule can be saved and gone on with.
  struct Powers {
    double first = 1, second = 1;
    bool operator==(const Powers&) const = default;
  };
  FRYER_LANE explicit AdamSchedule(const OptimizerSettings& settings) : settings_(settings) {}
  FRYER_LANE AdamSchedule(const OptimizerSettings& settings, const Powers& powers) : settings_(settings), powers_(powers) {}
  FRYER_LANE const OptimizerSettings& settings() const { return settings_; }
  FRYER_LANE const Powers& powers() const { return powers_; }

  struct Factors {
    double step, root_scale;
  };
  FRYER_LANE Factors next() {
    powers_.first *= settings_.beta1;
    powers_.second *= settings_.beta2;
    if (settings_.form == OptimizerSettings::Form::keras)
      return {settings_.learning_rate * square_root(1 - powers_.second) / (1 - powers_.first), 1.0};
    return {settings_.learning_rate / (1 - powers_.first), 1 / square_root(1 - powers_.second)};
  }
  // No later update's factors differ from the last ones: both powers have vanished beside 1.
  FRYER_LANE bool settled() const { return powers_.first < 0x1p-54 && powers_.second < 0x1p-54; }

 private:
  OptimizerSettings settings_;
  Powers powers_;
};

// The factors of updates 0, 1, ... as lanes read them; updates past the table's end use its last entry, which is exact (usual betas
// settle within 40,000 updates).
struct AdamTable {
  std::vector<float> step, root_scale;
  AdamTable(const OptimizerSettings& settings, std::uint64_t updates) {
    AdamSchedule schedule(settings);
    for (std::uint64_t i = 0; i < updates && !schedule.settled(); ++i) {
      const AdamSchedule::Factors f = schedule.next();
      step.push_back(static_cast<float>(f.step));
      root_scale.push_back(static_cast<float>(f.root_scale));
    }
  }
};

// Moments below 2^-126 become +0: a parameter whose gradient stays 0 would else crawl through subnormal numbers.
template <class Real>
FRYER_LANE Real flush_subnormal(Real x) {
  return select(less(absolute(x), Real(0x1p-126f)), Real(0.0f), x);
}

// One Adam step of one parameter. gradient: of the loss. step, root_scale: AdamSchedule's, narrowed.
template <class Real>
FRYER_LANE void adam_step(const OptimizerConstants<ScalarOf<Real>>& c, Real step, Real root_scale, Real gradient, Real& m,
                          Real& v, Real& theta) {
  m = flush_subnormal(fma(Real(c.one_minus_beta1), gradient - m, m));
  v = flush_subnormal(fma(Real(c.one_minus_beta2) * gradient, gradient, Real(c.beta2) * v));
  theta = fnma(step, m / fma(square_root(v), root_scale, Real(c.epsilon)), theta);
}

template <class Real>
FRYER_LANE void sgd_step(const OptimizerConstants<ScalarOf<Real>>& c, Real gradient, Real& theta) {
  theta = fnma(Real(c.learning_rate), gradient, theta);
}

}  // namespace fryer
