// SPDX-License-Identifier: Apache-2.0
// What DQN and online Q-learning compute between a network's forward and backward pass: targets, errors, losses, clipping, target
// mixing; and how they explore. One template for lanes, host and CUDA threads. Knows no network and no environment.
#pragma once

#include <cstdint>

#include "fryer/core/math.h"
#include "fryer/core/philox.h"
#include "fryer/core/tree_sum.h"

namespace fryer {

// How the value of the next observation s' is estimated.
enum class Bootstrap {
  target_network,  // max over a of Q_target(s', a) (Mnih et al. 2015)
  double_q,        // Q_target(s', argmax of Q(s')) (van Hasselt, Guez, Silver 2016)
  semi_gradient,   // max of the network's own Q(s', a), held fixed: online Q-learning
  residual,        // the same, but differentiated as well (Baird 1995): what TensorFlow's post computes
};
enum class Loss {
  mse,
  huber
};  // of one sample d^2, or d^2 / 2 to |d| = 1 and |d| - 1/2 beyond (torch.nn.HuberLoss); mean over the batch

struct QLearningSettings {
  Bootstrap bootstrap = Bootstrap::target_network;
  Loss loss = Loss::huber;
  double gamma = 0.99;
  double clip_norm = 10;           // largest norm of the gradient (torch.nn.utils.clip_grad_norm_); 0: as it is
  double tau = 0.005;              // target <- target + tau (online - target); 1: copied
  std::uint64_t target_every = 1;  // mixed after every so many updates
};

// Settings narrowed once from double to the lanes' numbers.
template <class Scalar>
struct QLearningConstants {
  Bootstrap bootstrap;
  Loss loss;
  bool copies_target;
  Scalar gamma, tau;
  Scalar slope_scale;  // derivative of the mean loss by a sample's value, in units of its (clamped) error: 2 / batch or 1 / batch
  Scalar mean_scale;   // 1 / batch
  double clip_norm;

  FRYER_LANE bool has_target_network() const {
    return bootstrap == Bootstrap::target_network || bootstrap == Bootstrap::double_q;
  }
};

template <class Scalar>
QLearningConstants<Scalar> make_q_learning_constants(const QLearningSettings& s, std::uint32_t batch) {
  const double samples = batch;
  return {s.bootstrap,
          s.loss,
          s.tau == 1,
          static_cast<Scalar>(s.gamma),
          static_cast<Scalar>(s.tau),
          static_cast<Scalar>((s.loss == Loss::mse ? 2 : 1) / samples),
          static_cast<Scalar>(1 / samples),
          s.clip_norm};
}

// The greedy action is 1 where this holds; ties take action 0.
template <class Real>
FRYER_LANE MaskOf<Real> greedy_action(const Real (&value)[2]) {
  return less(value[0], value[1]);
}

// The target r + gamma Q(s', a'), in one fma from the rounded product gamma * bootstraps. bootstraps: 1, or 0 where s' ends the episode.
template <class Real>
FRYER_LANE Real td_target(const QLearningConstants<ScalarOf<Real>>& c, Real reward, Real bootstraps, Real next_value) {
  return fma(Real(c.gamma) * bootstraps, next_value, reward);
}

// Derivative of the mean loss by the value of the action taken; error = value - target. NaN gives NaN.
template <class Real>
FRYER_LANE Real loss_slope(const QLearningConstants<ScalarOf<Real>>& c, Real error) {
  if (c.loss == Loss::huber) error = minimum(Real(1.0f), maximum(Real(-1.0f), error));
  return error * Real(c.slope_scale);
}

// Derivative of the same by the value of s' that the target was made of, where the gradient flows through it.
template <class Real>
FRYER_LANE Real residual_slope(const QLearningConstants<ScalarOf<Real>>& c, Real bootstraps, Real slope) {
  return Real(-c.gamma) * bootstraps * slope;
}

template <class Real>
FRYER_LANE Real sample_loss(const QLearningConstants<ScalarOf<Real>>& c, Real error) {
  if (c.loss == Loss::mse) return error * error;
  const Real size = absolute(error);
  return select(less(Real(1.0f), size), size - Real(0.5f), Real(0.5f) * error * error);
}

// The mean loss of a batch: sample i into partial sum i mod 16, then fold16.
template <class Real>
struct MeanLoss {
  Real partial[kTreeLanes] = {};
  FRYER_LANE void add(std::uint32_t sample, Real loss) { partial[sample % kTreeLanes] = partial[sample % kTreeLanes] + loss; }
  FRYER_LANE Real mean(const QLearningConstants<Real>& c) { return fold16(partial) * c.mean_scale; }
};

// The gradient's norm, summed in double in ascending order of the parameters, and the factor that brings it to clip_norm: PyTorch's
// clip_norm / (norm + 1e-6), at most 1.
struct GradientNorm {
  double sum_of_squares = 0;

  template <class Scalar>
  FRYER_LANE void add(Scalar gradient) {
    const auto g = static_cast<double>(gradient);
    sum_of_squares = fma(g, g, sum_of_squares);
  }
  FRYER_LANE double clip_factor(double clip_norm) const {
    const double factor = clip_norm / (square_root(sum_of_squares) + 1e-6);
    return factor < 1 ? factor : 1.0;
  }
  // True only if clip_factor is 1 for every gradient whose sum of squares is within 0.1 % (and 1e-30) of this one, however that was
  // summed. It saves the ascending sum, which no lane can share, wherever nothing is clipped.
  FRYER_LANE bool surely_within(double clip_norm) const {
    const double room = clip_norm - 1e-6;
    return room > 0 && fma(sum_of_squares, 1.001, 1e-30) < 0.999 * (room * room);
  }
};

// target <- target + tau (online - target)
template <class Real>
FRYER_LANE Real mix_target(const QLearningConstants<ScalarOf<Real>>& c, Real online, Real target) {
  return c.copies_target ? online : fma(Real(c.tau), online - target, target);
}

// ---- exploration

struct EpsilonSettings {
  // linear: from start to end in decay_steps, then end. exponential: end + (start - end) e^(-t / decay_steps), as in PyTorch's DQN tutorial.
  enum class Schedule { constant, linear, exponential };
  Schedule schedule = Schedule::linear;
  double start = 1, end = 0.05;
  std::uint64_t decay_steps = 10000;
  bool operator==(const EpsilonSettings&) const = default;
};

// Epsilon of step t = 0, 1, ...: a line, or a running double product. Its whole state is itself: saved and resumed as it is.
struct EpsilonSchedule {
  EpsilonSettings settings;
  double factor;       // of the running product, each step
  double product = 1;  // factor^t
  std::uint64_t step = 0;

  explicit EpsilonSchedule(const EpsilonSettings& s)
      : settings(s), factor(fryer::exp(-1.0 / static_cast<double>(s.decay_steps == 0 ? 1 : s.decay_steps))) {}

  FRYER_LANE double next() {
    const double start = settings.start, end = settings.end;
    double epsilon = start;
    if (settings.schedule == EpsilonSettings::Schedule::linear) {
      epsilon = step < settings.decay_steps
                    ? fma(end - start, static_cast<double>(step) / static_cast<double>(settings.decay_steps), start)
                    : end;
    } else if (settings.schedule == EpsilonSettings::Schedule::exponential) {
      epsilon = fma(start - end, product, end);
      product *= factor;
    }
    ++step;
    return epsilon;
  }
};

// Where step `step` of episode `episode` of a training finds whether it explores (word x) and which action then (word y).
FRYER_LANE RandomBlock<std::uint32_t> exploration_block(std::uint64_t seed, std::uint64_t episode, std::uint64_t step) {
  return random_block(seed, Purpose::exploration, episode, step);
}
FRYER_LANE bool explores(const RandomBlock<std::uint32_t>& block, double epsilon) {
  return uniform24<double>(block.x) < kTwo24 * epsilon;
}
// Either action with probability 1/2.
FRYER_LANE bool random_action(const RandomBlock<std::uint32_t>& block) { return uniform24<double>(block.y) < 0.5 * kTwo24; }

}  // namespace fryer
