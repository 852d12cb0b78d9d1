// SPDX-License-Identifier: Apache-2.0
// One update of a value learner: a batch of transitions in, gradient, optimiser step and target mixing; the scalar reference whose bits
// the executors reproduce (host/q_network_lanes.h). Between updates a learner's whole state is its four arrays, its replay ring
// and its counters, so that a training can be saved and resumed there. No heap, no environment.
#pragma once

#include "fryer/algo/optimizer.h"
#include "fryer/algo/q_learning.h"
#include "fryer/algo/replay.h"
#include "fryer/policy/q_network.h"

namespace fryer {

// What is the same for all updates of a training.
template <class Scalar>
struct QUpdateRules {
  QNetworkShape shape;
  QLearningConstants<Scalar> learning;
  OptimizerConstants<Scalar> optimizer;
  OptimizerSettings::Kind optimizer_kind;
  std::uint32_t batch;  // 1 .. kMostBatch; 1 with Bootstrap::residual
};

template <class Scalar>
QUpdateRules<Scalar> make_q_update_rules(const QNetworkShape& shape, const QLearningSettings& learning,
                                         const OptimizerSettings& optimizer, std::uint32_t batch) {
  return {shape, make_q_learning_constants<Scalar>(learning, batch), make_optimizer_constants<Scalar>(optimizer), optimizer.kind,
          batch};
}

// Arrays of shape.parameters() numbers in the parameters' order. target: null where there is no target network.
template <class Real>
struct QLearner {
  Real *weight, *target, *m, *v;
};

// What an update needs besides the batch. step, root_scale: AdamSchedule's factors of this update.
template <class Scalar>
struct QStep {
  Scalar step, root_scale;
  bool mixes_target;
};

template <class Scalar>
struct QUpdateResult {
  Scalar loss;
  // Every value, target, error and differentiated first activation was finite, and so is every weight of both networks after the
  // step. Where not, the replica has failed and its numbers mean nothing.
  bool finite;
};

template <class Real>
FRYER_LANE bool finite_values(const Real (&value)[QNetworkShape::kActions]) {
  return is_finite(value[0]) && is_finite(value[1]);
}

template <class Real>
FRYER_LANE bool all_finite(const Real* x, int n) {
  bool finite = true;
  for (int i = 0; i < n; ++i) finite = finite && is_finite(x[i]);
  return finite;
}

// What a sample's values come to. slope: of the mean loss by the value of the action taken.
template <class Scalar>
struct QSample {
  Scalar loss, slope;
  bool finite;  // its error is
};
template <class Real>
FRYER_LANE QSample<Real> q_sample(const QLearningConstants<Real>& c, Real value, Real reward, Real bootstraps, Real next_value) {
  const Real error = value - td_target(c, reward, bootstraps, next_value);
  return {sample_loss(c, error), loss_slope(c, error), is_finite(error)};
}

// Gradient of the mean loss by every parameter: gradient (shape.parameters()), overwritten. batch: (rules.batch).
template <class Real>
FRYER_LANE QUpdateResult<Real> q_gradient(const QUpdateRules<Real>& rules, const Transition* batch, const Real* weight,
                                          const Real* target, Real* gradient) {
  const QNetworkShape& shape = rules.shape;
  const QLearningConstants<Real>& c = rules.learning;
  QActivations<Real> here, there;
  MeanLoss<Real> loss;
  bool finite = true;
  for (int i = 0; i < shape.parameters(); ++i) gradient[i] = Real(0.0f);
  for (std::uint32_t n = 0; n < rules.batch; ++n) {
    const Transition& t = batch[n];
    Real observation[QNetworkShape::kInputs], next[QNetworkShape::kInputs];
    for (int i = 0; i < QNetworkShape::kInputs; ++i) {
      observation[i] = Real(t.observation[i]);
      next[i] = Real(t.next_observation[i]);
    }
    const Real reward = Real(t.reward), bootstraps = Real(t.bootstraps);

    q_forward(shape, c.bootstrap == Bootstrap::target_network ? target : weight, next, there);
    bool next_action = greedy_action(there.value);
    finite = finite && finite_values(there.value);
    if (c.bootstrap == Bootstrap::double_q) {
      q_forward(shape, target, next, there);
      finite = finite && finite_values(there.value);
    }
    const Real next_value = next_action ? there.value[1] : there.value[0];
    q_forward(shape, weight, observation, here);
    finite = finite && finite_values(here.value) && all_finite(here.hidden1, shape.hidden1);

    const QSample<Real> sample = q_sample(c, here.value[t.action], reward, bootstraps, next_value);
    loss.add(n, sample.loss);
    Real slope[QNetworkShape::kActions] = {Real(0.0f), Real(0.0f)};
    slope[t.action] = sample.slope;
    finite = finite && sample.finite;
    q_backward(shape, weight, observation, here, slope, gradient);
    if (c.bootstrap == Bootstrap::residual) {  // the next observation as a second sample
      finite = finite && all_finite(there.hidden1, shape.hidden1);
      Real next_slope[QNetworkShape::kActions] = {Real(0.0f), Real(0.0f)};
      next_slope[next_action ? 1 : 0] = residual_slope(c, bootstraps, slope[t.action]);
      q_backward(shape, weight, next, there, next_slope, gradient);
    }
  }
  const Real mean = loss.mean(c);
  return {mean, finite && is_finite(mean)};
}

// One parameter's step. gradient + 0 makes a zero's sign +, or stochastic gradient descent could carry it into a parameter.
template <class Real>
FRYER_LANE void q_parameter_step(const OptimizerConstants<ScalarOf<Real>>& optimizer, OptimizerSettings::Kind kind, Real step,
                                 Real root_scale, Real gradient, Real& m, Real& v, Real& weight) {
  if (kind == OptimizerSettings::Kind::adam) {
    adam_step(optimizer, step, root_scale, gradient, m, v, weight);
  } else {
    sgd_step(optimizer, gradient + Real(0.0f), weight);
  }
}

// Clipping, optimiser and target mixing. gradient is changed where it is clipped. True if all weights are finite afterwards.
template <class Real>
FRYER_LANE bool q_step(const QUpdateRules<Real>& rules, const QStep<Real>& update, Real* gradient,
                       const QLearner<Real>& learner) {
  const int parameters = rules.shape.parameters();
  if (rules.learning.clip_norm > 0) {
    GradientNorm norm;
    for (int i = 0; i < parameters; ++i) norm.add(gradient[i]);
    const auto factor = static_cast<Real>(norm.clip_factor(rules.learning.clip_norm));
    for (int i = 0; i < parameters; ++i) gradient[i] = gradient[i] * factor;
  }
  bool finite = true;
  const bool has_target = rules.learning.has_target_network();
  for (int i = 0; i < parameters; ++i) {
    q_parameter_step(rules.optimizer, rules.optimizer_kind, update.step, update.root_scale, gradient[i], learner.m[i],
                     learner.v[i], learner.weight[i]);
    finite = finite && is_finite(learner.weight[i]);
    if (has_target && update.mixes_target) {
      learner.target[i] = mix_target(rules.learning, learner.weight[i], learner.target[i]);
      finite = finite && is_finite(learner.target[i]);
    }
  }
  return finite;
}

// One update. gradient: scratch (shape.parameters()).
template <class Real>
FRYER_LANE QUpdateResult<Real> q_update(const QUpdateRules<Real>& rules, const Transition* batch, const QStep<Real>& update,
                                        const QLearner<Real>& learner, Real* gradient) {
  QUpdateResult<Real> result = q_gradient(rules, batch, learner.weight, learner.target, gradient);
  const bool finite = q_step(rules, update, gradient, learner);
  result.finite = result.finite && finite;
  return result;
}

}  // namespace fryer
