// SPDX-License-Identifier: Apache-2.0
// Online Q-learning's network and update by a team of threads, with the bits of lane/q_update.h: one transition an update, so that a
// parameter's gradient is a product or two and is never stored. Runs in a warp of a CUDA grid (q_training.cu) and in host threads
// (tests). Knows nothing of CUDA.
#pragma once

#include "fryer/lane/q_training.h"
#include "kernels/q_team.h"

namespace fryer {

// What an observation leaves for the gradient: its activations, the slopes by them, and what else a parameter's gradient is made of.
struct QOnlineSample {
  enum : int { kObservation = 0, kSlope = 4, kOne = 8, kInputs = 12 };  // places in `inputs`: slope: by the values; 1
  QUnits units;
  float *slope1, *slope2;  // (rows1), (rows2)
  float* inputs;           // (kInputs)
};

// A replica's memory. Arrays of QTeamShape::numbers numbers.
struct QOnlineMemory {
  const QTeamShape& shape;
  float *weight, *m, *v;
  QOnlineSample here, there;  // of an observation, and of the next one
  Transition* slots;          // one
};

// Semi-gradient and residual learning from the transition just made; all members are called by all threads.
template <TeamLike Team>
class QOnlineNetwork {
 public:
  FRYER_LANE QOnlineNetwork(const Team& team, const QTrainingRules& rules, const QOnlineMemory& memory)
      : team_(team), rules_(rules), memory_(memory) {}

  FRYER_LANE void values(const float (&observation)[4], float (&value)[2]) {
    team_forward(team_, memory_.shape, memory_.weight, observation, memory_.here.units, value_, finite1_);
    value[0] = value_[0];
    value[1] = value_[1];
  }

  // Whether everything was finite: the same in all threads. knows_values: values() was called for the transition that was made.
  FRYER_LANE bool update(const QTrainingState&, const QStep<float>& step, bool knows_values) {
    const Transition& t = *memory_.slots;
    const QLearningConstants<float>& c = rules_.update.learning;
    const bool residual = c.bootstrap == Bootstrap::residual;
    float observation[4], next[4];
    FRYER_UNROLL for (int i = 0; i < 4; ++i) {
      observation[i] = t.observation[i];
      next[i] = t.next_observation[i];
    }
    if (!knows_values) team_forward(team_, memory_.shape, memory_.weight, observation, memory_.here.units, value_, finite1_);
    float next_value[2];
    bool next_finite1;
    team_forward(team_, memory_.shape, memory_.weight, next, memory_.there.units, next_value, next_finite1);
    bool finite = finite_values(value_) && finite_values(next_value) && finite1_ && (next_finite1 || !residual);

    const bool action = t.action != 0, next_action = greedy_action(next_value);
    const QSample<float> sample =
        q_sample(c, action ? value_[1] : value_[0], t.reward, t.bootstraps, next_action ? next_value[1] : next_value[0]);
    finite = finite && sample.finite;
    MeanLoss<float> loss;
    loss.add(0, sample.loss);
    finite = finite && is_finite(loss.mean(c));
    const float next_slope = residual ? residual_slope(c, t.bootstraps, sample.slope) : 0.0f;
    find_slopes(memory_.here, observation, action, sample.slope);
    if (residual) find_slopes(memory_.there, next, next_action, next_slope);
    team_.sync();
    find_slopes1(residual);
    team_.sync();
    const bool fine = make_step(step, residual);
    return !team_.any(!(finite && fine));
  }

 private:
  // slope: by the value of the action.
  FRYER_LANE void find_slopes(const QOnlineSample& sample, const float (&observation)[4], bool action, float slope) {
    const QTeamShape& shape = memory_.shape;
    const float both[2] = {action ? 0.0f : slope, action ? slope : 0.0f};
    if (team_.thread() == 0) {
      store_four(sample.inputs + QOnlineSample::kObservation,
                 Four{{observation[0], observation[1], observation[2], observation[3]}});
      store_four(sample.inputs + QOnlineSample::kSlope, Four{{both[0], both[1], 0, 0}});
      sample.inputs[QOnlineSample::kOne] = 1;
    }
    for_each_of(team_, shape.hidden2, [&](int k) FRYER_INLINE_LAMBDA {
      const float weight[2] = {memory_.weight[shape.weight_3(0, k)], memory_.weight[shape.weight_3(1, k)]};
      sample.slope2[k] = q_slope2(both, weight, sample.units.hidden2[k]);
    });
  }
  // Of both samples at once: they share the weights.
  FRYER_LANE void find_slopes1(bool residual) {
    const QTeamShape& shape = memory_.shape;
    const QOnlineSample &here = memory_.here, &there = memory_.there;
    for_each_of(team_, shape.hidden1, [&](int j) FRYER_INLINE_LAMBDA {
      float d = 0, next_d = 0;
      for (int k = 0; k < shape.hidden2; ++k) {
        const float w = memory_.weight[shape.weight_2(k, j)];
        d = fma(here.slope2[k], w, d);
        if (residual) next_d = fma(there.slope2[k], w, next_d);
      }
      here.slope1[j] = select(less(0.0f, here.units.hidden1[j]), d, 0.0f);
      if (residual) there.slope1[j] = select(less(0.0f, there.units.hidden1[j]), next_d, 0.0f);
    });
  }

  // The gradient of a segment by one sample is x[row * x_step] y[column], in one fma.
  struct Factors {
    const float *x, *y;
    int x_step;
  };
  FRYER_LANE Factors factors(const QOnlineSample& sample, int segment) const {
    const float* const one = sample.inputs + QOnlineSample::kOne;
    switch (segment) {
      case 0:
        return {sample.slope1, sample.inputs + QOnlineSample::kObservation, 1};
      case 1:
        return {one, sample.slope1, 0};
      case 2:
        return {sample.slope2, sample.units.hidden1, 1};
      case 3:
        return {one, sample.slope2, 0};
      case 4:
        return {sample.inputs + QOnlineSample::kSlope, sample.units.hidden2, 1};
      default:
        return {one, sample.inputs + QOnlineSample::kSlope, 0};
    }
  }
  FRYER_LANE static void add_product(const Factors& f, int row, int column, Four& sum) {
    const float x = f.x[row * f.x_step];
    const Four y = load_four(f.y + column);
    FRYER_UNROLL for (int e = 0; e < 4; ++e) sum.v[e] = fma(x, y.v[e], sum.v[e]);
  }
  // Calls body(segment, gradient_of) for each segment; gradient_of(row, column): of four parameters, both samples in their order, from +0.
  template <class Body>
  FRYER_LANE void for_each_segment(bool residual, const Body& body) const {
#if defined(__CUDA_ARCH__)
#pragma unroll 1
#endif
    for (int s = 0; s < kQSegments; ++s) {
      const Factors here = factors(memory_.here, s), there = factors(memory_.there, s);
      body(q_segment(memory_.shape, s), [&](int row, int column) FRYER_INLINE_LAMBDA {
        Four sum{};
        add_product(here, row, column, sum);
        if (residual) add_product(there, row, column, sum);
        return sum;
      });
    }
  }

  // q_step() of lane/q_update.h. Whether this thread's weights are finite.
  FRYER_LANE bool make_step(const QStep<float>& step, bool residual) {
    const QUpdateRules<float>& update = rules_.update;
    const float factor = update.learning.clip_norm > 0 ? clip_factor(update.learning.clip_norm, residual) : 1.0f;
    bool finite = true;
    for_each_segment(residual, [&](const QSegment& segment, const auto& gradient_of) FRYER_INLINE_LAMBDA {
      for_each_quad(team_, segment, [&](const QQuad& quad) FRYER_INLINE_LAMBDA {
        const Four gradient = gradient_of(quad.row, quad.column);
        Four weight = load_four(memory_.weight + quad.at), m = load_four(memory_.m + quad.at), v = load_four(memory_.v + quad.at);
        FRYER_UNROLL for (int e = 0; e < 4; ++e) {
          if (e >= quad.count) continue;
          q_parameter_step(update.optimizer, update.optimizer_kind, step.step, step.root_scale, gradient.v[e] * factor, m.v[e],
                           v.v[e], weight.v[e]);
          finite = finite && is_finite(weight.v[e]);
        }
        store_four(memory_.weight + quad.at, weight);
        store_four(memory_.m + quad.at, m);
        store_four(memory_.v + quad.at, v);
      });
    });
    return finite;
  }
  // The ascending sum is made only where the norm may be near what it is clipped to, by all threads alike.
  FRYER_LANE float clip_factor(double clip_norm, bool residual) {
    GradientNorm norm;
    for_each_segment(residual, [&](const QSegment& segment, const auto& gradient_of) FRYER_INLINE_LAMBDA {
      for_each_quad(team_, segment, [&](const QQuad& quad) FRYER_INLINE_LAMBDA {
        add_squares(gradient_of(quad.row, quad.column), quad.count, norm);
      });
    });
    norm.sum_of_squares = team_.sum(norm.sum_of_squares);
    if (norm.surely_within(clip_norm)) return 1.0f;
    GradientNorm ascending;
    for_each_segment(residual, [&](const QSegment& segment, const auto& gradient_of) FRYER_INLINE_LAMBDA {
      for (int row = 0; row < segment.rows; ++row) {
        for (int column = 0; column < segment.columns; column += 4)
          add_squares(gradient_of(row, column), segment.columns - column, ascending);
      }
    });
    return static_cast<float>(ascending.clip_factor(clip_norm));
  }

  FRYER_LANE static void add_squares(const Four& gradient, int count, GradientNorm& norm) {
    FRYER_UNROLL for (int e = 0; e < 4; ++e) {
      if (e < count) norm.add(gradient.v[e]);
    }
  }

  const Team& team_;
  const QTrainingRules& rules_;
  const QOnlineMemory& memory_;
  bool finite1_ = true;
  float value_[2] = {0, 0};
};

}  // namespace fryer
