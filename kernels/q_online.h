// SPDX-License-Identifier: Apache-2.0
// Online Q-learning's network and update by a team of threads, with the bits of lane/q_update.h: one transition an update, so that a
// parameter's gradient is a product or two and is never stored. Runs in a warp of a CUDA grid (q_training.cu) and in host threads
// (tests). Knows nothing of CUDA.
#pragma once

#include <vector>

#include "fryer/lane/q_training.h"
#include "kernels/q_team.h"

namespace fryer {

// What an observation leaves for the gradient, in one piece of memory: its activations, the slopes by them, and what else a parameter's
// gradient is made of. Places of these, in floats. Made on the host.
struct QOnlineSamplePlaces {
  int hidden1, hidden2, slope1, slope2;  // (rows1), (rows2), (rows1), (rows2)
  int observation, slope, one;           // (4); (4): by the values; 1
  int size;

  QOnlineSamplePlaces() = default;
  explicit QOnlineSamplePlaces(const QTeamShape& shape) {
    Places places(0);
    hidden1 = places.take(shape.rows1);
    hidden2 = places.take(shape.rows2);
    slope1 = places.take(shape.rows1);
    slope2 = places.take(shape.rows2);
    observation = places.take(4);
    slope = places.take(4);
    one = places.take(1);
    size = places.size();
  }
};

// Four parameters side by side, and what their gradient by a sample is made of: numbers[x] numbers[y + 0 .. 3].
struct QOnlineQuad {
  std::uint16_t x, y;
  std::uint32_t at : 24, count : 8;  // at: of QTeamShape's numbers; count: those that are there
};
static_assert(4 * QNetworkShape::kMostUnits + 16 <= 0xffff, "places of a sample");
static_assert((QNetworkShape::kMostUnits + 8) * (QNetworkShape::kMostUnits + 16) <= 0xffffff, "places of parameters");
// All of them, in the parameters' order: one list, so that threads share small matrices. On the host.
inline std::vector<QOnlineQuad> make_online_quads(const QTeamShape& shape) {
  const QOnlineSamplePlaces p(shape);
  struct Factors {
    int x, x_step, y;
  };
  const Factors factors[kQSegments] = {{p.slope1, 1, p.observation}, {p.one, 0, p.slope1},    {p.slope2, 1, p.hidden1},
                                       {p.one, 0, p.slope2},         {p.slope, 1, p.hidden2}, {p.one, 0, p.slope}};
  std::vector<QOnlineQuad> quads;
  for (int s = 0; s < kQSegments; ++s) {
    const QSegment segment = q_segment(shape, s);
    for (int row = 0; row < segment.rows; ++row) {
      for (int column = 0; column < segment.columns; column += 4) {
        const int left = segment.columns - column;
        quads.push_back({static_cast<std::uint16_t>(factors[s].x + row * factors[s].x_step),
                         static_cast<std::uint16_t>(factors[s].y + column),
                         static_cast<std::uint32_t>(segment.first + row * segment.stride + column) & 0xffffffu,
                         static_cast<std::uint8_t>(left < 4 ? left : 4)});
      }
    }
  }
  return quads;
}

// A replica's memory. Arrays of QTeamShape::numbers.
struct QOnlineMemory {
  const QTeamShape& shape;
  const QOnlineSamplePlaces& places;
  float *weight, *m, *v;
  float *here, *there;  // of an observation, and of the next one
  float* partial;       // as QUnits has it
  const QOnlineQuad* quads;
  int quad_count;
  Transition* slots;  // one
};

// Semi-gradient and residual learning from the transition just made; all members are called by all threads.
template <TeamLike Team>
class QOnlineNetwork {
 public:
  FRYER_LANE QOnlineNetwork(const Team& team, const QTrainingRules& rules, const QOnlineMemory& memory)
      : team_(team), rules_(rules), memory_(memory) {}

  FRYER_LANE void values(const float (&observation)[4], float (&value)[2]) {
    forward(memory_.here, observation, value_, finite1_);
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
    if (!knows_values) forward(memory_.here, observation, value_, finite1_);
    float next_value[2];
    bool next_finite1;
    forward(memory_.there, next, next_value, next_finite1);
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
  FRYER_LANE void forward(float* sample, const float (&observation)[4], float (&value)[2], bool& finite1) const {
    const QOnlineSamplePlaces& p = memory_.places;
    team_forward(team_, memory_.shape, memory_.weight, observation, {sample + p.hidden1, sample + p.hidden2, memory_.partial},
                 value, finite1);
  }

  // slope: by the value of the action.
  FRYER_LANE void find_slopes(float* sample, const float (&observation)[4], bool action, float slope) {
    const QTeamShape& shape = memory_.shape;
    const QOnlineSamplePlaces& p = memory_.places;
    const float both[2] = {action ? 0.0f : slope, action ? slope : 0.0f};
    if (team_.thread() == 0) {
      store_four(sample + p.observation, Four{{observation[0], observation[1], observation[2], observation[3]}});
      store_four(sample + p.slope, Four{{both[0], both[1], 0, 0}});
      sample[p.one] = 1;
    }
    for_each_of(team_, shape.hidden2, [&](int k) FRYER_INLINE_LAMBDA {
      const float weight[2] = {memory_.weight[shape.weight_3(0, k)], memory_.weight[shape.weight_3(1, k)]};
      sample[p.slope2 + k] = q_slope2(both, weight, sample[p.hidden2 + k]);
    });
  }
  // Of both samples at once: they share the weights.
  FRYER_LANE void find_slopes1(bool residual) {
    const QTeamShape& shape = memory_.shape;
    const QOnlineSamplePlaces& p = memory_.places;
    float *const here = memory_.here, *const there = memory_.there;
    for_each_of(team_, shape.hidden1, [&](int j) FRYER_INLINE_LAMBDA {
      float d = 0, next_d = 0;
      for (int k = 0; k < shape.hidden2; ++k) {
        const float w = memory_.weight[shape.weight_2(k, j)];
        d = fma(here[p.slope2 + k], w, d);
        if (residual) next_d = fma(there[p.slope2 + k], w, next_d);
      }
      here[p.slope1 + j] = select(less(0.0f, here[p.hidden1 + j]), d, 0.0f);
      if (residual) there[p.slope1 + j] = select(less(0.0f, there[p.hidden1 + j]), next_d, 0.0f);
    });
  }

  FRYER_LANE static void add_product(const float* sample, const QOnlineQuad& quad, Four& sum) {
    const float x = sample[quad.x];
    const Four y = load_four(sample + quad.y);
    FRYER_UNROLL for (int e = 0; e < 4; ++e) sum.v[e] = fma(x, y.v[e], sum.v[e]);
  }
  // Of both samples in their order, from +0.
  FRYER_LANE Four gradient_of(const QOnlineQuad& quad, bool residual) const {
    Four sum{};
    add_product(memory_.here, quad, sum);
    if (residual) add_product(memory_.there, quad, sum);
    return sum;
  }

  // q_step() of lane/q_update.h. Whether this thread's weights are finite.
  FRYER_LANE bool make_step(const QStep<float>& made, bool residual) {
    const QStep<float> step =
        made;  // read once, like the rules: what is stored below might be them, for all that a compiler knows
    const QUpdateRules<float> update = rules_.update;
    const float factor = update.learning.clip_norm > 0 ? clip_factor(update.learning.clip_norm, residual) : 1.0f;
    bool finite = true;
    for_each_of(team_, memory_.quad_count, [&](int i) FRYER_INLINE_LAMBDA {
      const QOnlineQuad quad = memory_.quads[i];
      const int at = static_cast<int>(quad.at), count = static_cast<int>(quad.count);
      const Four gradient = gradient_of(quad, residual);
      Four weight = load_four(memory_.weight + at), m = load_four(memory_.m + at), v = load_four(memory_.v + at);
      FRYER_UNROLL for (int e = 0; e < 4; ++e) {
        q_parameter_step(update.optimizer, update.optimizer_kind, step.step, step.root_scale, gradient.v[e] * factor, m.v[e],
                         v.v[e], weight.v[e]);
        if (e >= count) weight.v[e] = 0;  // without an epsilon it would be 0 / 0; all else of it is 0 and stays so
      }
      finite = finite && all_finite(weight.v, 4);
      store_four(memory_.weight + at, weight);
      store_four(memory_.m + at, m);
      store_four(memory_.v + at, v);
    });
    return finite;
  }
  // The ascending sum is made only where the norm may be near what it is clipped to, by all threads alike.
  FRYER_LANE float clip_factor(double clip_norm, bool residual) {
    const auto add_squares = [&](int i, GradientNorm& norm) FRYER_INLINE_LAMBDA {
      const QOnlineQuad quad = memory_.quads[i];
      const Four gradient = gradient_of(quad, residual);
      FRYER_UNROLL for (int e = 0; e < 4; ++e) {
        if (e < static_cast<int>(quad.count)) norm.add(gradient.v[e]);
      }
    };
    GradientNorm norm;
    for_each_of(team_, memory_.quad_count, [&](int i) FRYER_INLINE_LAMBDA { add_squares(i, norm); });
    norm.sum_of_squares = team_.sum(norm.sum_of_squares);
    if (norm.surely_within(clip_norm)) return 1.0f;
    GradientNorm ascending;
    for (int i = 0; i < memory_.quad_count; ++i) add_squares(i, ascending);
    return static_cast<float>(ascending.clip_factor(clip_norm));
  }

  const Team& team_;
  const QTrainingRules& rules_;
  const QOnlineMemory& memory_;
  bool finite1_ = true;
  float value_[2] = {0, 0};
};

}  // namespace fryer
