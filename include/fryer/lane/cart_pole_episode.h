// SPDX-License-Identifier: Apache-2.0
// Lane program: CartPole episodes in blocks of four steps, one Philox block each. `advance` writes a step's transition and nothing
// else, `accumulate` then runs the block's four transitions through eligibility traces and gradient in registers (record, then learn: it
// lets executors advance several bundles a step before any advances the next). An episode starts on a block boundary, so lanes never
// need words of two blocks. Shared by every executor; what differs is who numbers episodes and refills lanes.
#pragma once

#include "fryer/algo/optimizer.h"
#include "fryer/algo/reinforce.h"
#include "fryer/env/cart_pole.h"
#include "fryer/lane/replica_training.h"
#include "fryer/policy/hidden_policy.h"
#include "fryer/policy/sigmoid_policy.h"

namespace fryer {

inline constexpr int kStepsPerBlock = 4;

// What lanes need to play and learn: settings narrowed once. Trivially copyable: it is part of kernel arguments.
struct CartPoleGame {
  CartPole::Rules<float> rules;
  std::uint32_t reset_word, action_word;  // purpose words of the episodes' addresses
  std::uint32_t max_steps;                // < 2^24
  float gamma, gamma_squared;
  float reward_inside, reward_outside;  // reward_scale times the reward of a step that ends within, or beyond, the limits
  float unit_inside, unit_outside;      // the same without reward_scale: for ReturnMoments
  float entropy_bonus;                  // a step; 0: none
  // Whether lanes need the general program; without it: explicit Euler, small angles, one reward for all steps, which is 1 before
  // scaling, max_steps a multiple of 4, no entropy bonus. Both give the same bits where both apply.
  bool general;
  bool greedy;  // evaluations: the more probable action instead of a sampled one
};

// Blocks after which an episode has ended in any case.
FRYER_LANE std::uint32_t most_blocks(const CartPoleGame& game) { return (game.max_steps + kStepsPerBlock - 1) / kStepsPerBlock; }

// Steps of whole blocks. Vectors of words are slow to multiply.
FRYER_LANE std::uint32_t steps_of(std::uint32_t blocks) { return kStepsPerBlock * blocks; }
template <class Word>
FRYER_LANE Word steps_of(Word blocks) {
  static_assert(kStepsPerBlock == 4);
  const Word twice = blocks + blocks;
  return twice + twice;
}
// Steps of an episode that ended in its last of `blocks` blocks. live(k): whether step k of that one is the episode's.
template <class Word, class Live>
FRYER_LANE Word steps_of_ended(Word blocks, const Live& live) {
  Word steps = steps_of(blocks - Word(1u));
  FRYER_UNROLL for (int k = 0; k < kStepsPerBlock; ++k) steps = increment_if(live(k), steps);
  return steps;
}

// Four steps of an episode in each lane. Dead lanes compute rubbish that nobody reads.
template <class Real, bool kGeneral>
struct CartPoleBlock {
  Real observation[kStepsPerBlock + 1][4];  // before each step and after the last
  Real error24[kStepsPerBlock];             // 2^24 (p - action)
  MaskOf<Real> live[kStepsPerBlock + 1];    // the step is one of the episode; the last: the episode goes on
  // General program only.
  Real reward[kGeneral ? kStepsPerBlock : 1], unit_reward[kGeneral ? kStepsPerBlock : 1],
      entropy24[kGeneral ? kStepsPerBlock : 1];
  MaskOf<Real> fell;  // the episode left the limits in this block

  // Step k of the block. steps: made before the block.
  template <class Policy>
  FRYER_LANE void advance(int k, const CartPoleGame& game, const Policy& policy, WordOf<Real> word, WordOf<Real> steps) {
    const Decision<Real> decision = policy.sample(observation[k], word);
    error24[k] = decision.error24;
    if constexpr (!kGeneral) {
      CartPole::step<true, false>(game.rules, observation[k], decision.action, observation[k + 1]);
      live[k + 1] = CartPole::inside(game.rules, live[k], observation[k + 1]);
    } else {
      using Word = WordOf<Real>;
      CartPole::step_by_rules(game.rules, observation[k], decision.action, observation[k + 1]);
      const MaskOf<Real> inside = CartPole::inside(game.rules, live[k], observation[k + 1]);
      reward[k] = select(inside, Real(game.reward_inside), Real(game.reward_outside));
      unit_reward[k] = select(inside, Real(game.unit_inside), Real(game.unit_outside));
      const MaskOf<Real> falls = both(live[k], negate(inside));
      fell = k == 0 ? falls : either(fell, falls);
      live[k + 1] = both(inside, less(steps + Word(static_cast<std::uint32_t>(k + 1)), Word(game.max_steps)));
      if (game.entropy_bonus != 0) {  // d(-H) / d logit = z p (1 - p)
        const Real z = policy.logit(observation[k]), p24 = sigmoid24(z);
        entropy24[k] = Real(game.entropy_bonus) * (z * (p24 * fnma(p24, Real(0x1p-24f), Real(1.0f))));
      }
    }
  }

  // blocks: of the episode, this one included.
  FRYER_LANE MaskOf<Real> ended(const CartPoleGame& game, WordOf<Real> blocks) const {
    if constexpr (kGeneral) return negate(live[kStepsPerBlock]);
    return negate(both(live[kStepsPerBlock], less(blocks, WordOf<Real>(most_blocks(game)))));
  }
  // Of an episode that ended in this block: whether it was terminated (else it was only truncated).
  FRYER_LANE MaskOf<Real> terminated() const {
    if constexpr (kGeneral) return fell;
    return negate(live[kStepsPerBlock]);
  }
  // Steps of an episode that ended in this block. blocks: as above.
  FRYER_LANE WordOf<Real> steps_of_ended(WordOf<Real> blocks) const {
    return fryer::steps_of_ended(blocks, [this](int k) FRYER_INLINE_LAMBDA { return live[k]; });
  }
  FRYER_LANE void next() { FRYER_UNROLL for (int i = 0; i < 4; ++i) observation[0][i] = observation[kStepsPerBlock][i]; }
};

// What an episode's learner has summed, 2^24 times the values: gradient of the loss -sum_t G_t log pi_t, and -sum_t log pi_t.
template <class Real, int kParameters, Track kTrack>
struct EpisodeLearner {
  static constexpr int kScores = kTrack == Track::gradient_and_scores ? kParameters : 1;
  Real trace[kParameters], gradient[kParameters];
  Real score[kScores];
  ReturnMoments<Real> moments;

  FRYER_LANE void clear_if(MaskOf<Real> m) {
    if constexpr (kTrack != Track::nothing) {
      FRYER_UNROLL for (int i = 0; i < kParameters; ++i) {
        trace[i] = select(m, Real(0.0f), trace[i]);
        gradient[i] = select(m, Real(0.0f), gradient[i]);
      }
    }
    if constexpr (kTrack == Track::gradient_and_scores) {
      FRYER_UNROLL for (int i = 0; i < kParameters; ++i) score[i] = select(m, Real(0.0f), score[i]);
      moments.clear_if(m);
    }
  }

  // A linear policy's parameters: d logit / d weight_i is observation i, d logit / d bias is 1. live(k): where step k is one of the
  // episode's. before(x): what a lane had of x before this block, 0 where the episode began with it.
  template <bool kGeneral, class Live, class Before>
  FRYER_LANE void accumulate(const CartPoleGame& game, const CartPoleBlock<Real, kGeneral>& block, const Live& live,
                             const Before& before) {
    if constexpr (kTrack == Track::nothing) return;
    const Real gamma = Real(game.gamma), reward = Real(game.reward_inside);
    FRYER_UNROLL for (int i = 0; i < kParameters; ++i) {
      Real t = before(trace[i]), g = before(gradient[i]);
      FRYER_UNROLL for (int k = 0; k < kStepsPerBlock; ++k) {
        const Real f = i < 4 ? block.error24[k] * block.observation[k][i < 4 ? i : 0] : block.error24[k];
        t = fma(gamma, t, f);
        if constexpr (kGeneral) {
          g = fma_if(live(k), block.reward[k], t, g);
          if (game.entropy_bonus != 0) {
            const Real one = Real(1.0f);
            g = fma_if(live(k), block.entropy24[k], i < 4 ? block.observation[k][i < 4 ? i : 0] : one, g);
          }
        } else {
          g = k == 0 ? fma(reward, t, g) : fma_if(live(k), reward, t, g);  // a block's first step always is
        }
      }
      trace[i] = t;
      gradient[i] = g;
    }
    if constexpr (kTrack == Track::gradient_and_scores) {
      FRYER_UNROLL for (int i = 0; i < kParameters; ++i) {
        Real s = before(score[i]);
        FRYER_UNROLL for (int k = 0; k < kStepsPerBlock; ++k) {
          s = add_if(live(k), s, i < 4 ? block.error24[k] * block.observation[k][i < 4 ? i : 0] : block.error24[k]);
        }
        score[i] = s;
      }
      ReturnMoments<Real> m{before(moments.c), before(moments.q), before(moments.h), before(moments.sum), before(moments.square)};
      FRYER_UNROLL for (int k = 0; k < kStepsPerBlock; ++k) {
        if constexpr (kGeneral) {
          m.add(live(k), gamma, Real(game.gamma_squared), block.unit_reward[k]);
        } else {
          m.add(live(k), gamma, Real(game.gamma_squared));
        }
      }
      moments = m;
    }
  }
};

// ---- the same for a policy with a hidden layer

// Four steps, with the activations of every unit in each.
template <class Real, bool kGeneral>
struct HiddenBlock : CartPoleBlock<Real, kGeneral> {
  Real activation[kStepsPerBlock][kMostHiddenUnits];

  template <class Policy>
  FRYER_LANE void advance(int k, const CartPoleGame& game, const Policy& policy, WordOf<Real> word, WordOf<Real> steps) {
    const RecordedPolicy<Policy, Real> recorded{policy, activation[k]};
    CartPoleBlock<Real, kGeneral>::advance(k, game, recorded, word, steps);
  }
};

// What EpisodeLearner sums, by each parameter of a HiddenPolicy: a step's score is 2^24 (p - action) times d logit / d parameter, as
// HiddenPolicy::slope has it. Unit by unit, a parameter's four steps in registers.
template <class Real, Track kTrack>
struct HiddenLearner {
  static constexpr int kParameters = HiddenPolicy<Real, 4>::kParameters;
  static constexpr int kScores = kTrack == Track::gradient_and_scores ? kParameters : 1;
  Real trace[kParameters], gradient[kParameters];
  Real score[kScores];
  ReturnMoments<Real> moments;

  FRYER_LANE void clear_if(const HiddenShape<4>& shape, MaskOf<Real> m) {
    const int parameters = shape.parameters();
    for (int i = 0; i < parameters; ++i) {
      trace[i] = select(m, Real(0.0f), trace[i]);
      gradient[i] = select(m, Real(0.0f), gradient[i]);
      if constexpr (kTrack == Track::gradient_and_scores) score[i] = select(m, Real(0.0f), score[i]);
    }
    if constexpr (kTrack == Track::gradient_and_scores) moments.clear_if(m);
  }

  template <bool kGeneral, class Policy>
  FRYER_LANE void accumulate(const CartPoleGame& game, const Policy& policy, const HiddenBlock<Real, kGeneral>& block) {
    const HiddenShape<4> shape = policy.shape();
    const bool entropy = kGeneral && game.entropy_bonus != 0;
    Real observation[4][kStepsPerBlock];
    FRYER_UNROLL for (int i = 0; i < 4; ++i) {
      FRYER_UNROLL for (int k = 0; k < kStepsPerBlock; ++k) observation[i][k] = block.observation[k][i];
    }
    for (int j = 0; j < shape.units; ++j) {
      Real activation[kStepsPerBlock], error[kStepsPerBlock], bonus[kStepsPerBlock];
      FRYER_UNROLL for (int k = 0; k < kStepsPerBlock; ++k) {
        activation[k] = block.activation[k][j];
        const Real slope = policy.slope(j, activation[k]);
        error[k] = block.error24[k] * slope;
        bonus[k] = Real(0.0f);
        if constexpr (kGeneral) {
          if (entropy) bonus[k] = block.entropy24[k] * slope;
        }
      }
      FRYER_UNROLL for (int i = 0; i < 4; ++i) learn(game, block, shape.weight(j, i), error, bonus, observation[i]);
      learn(game, block, shape.bias(j), error, bonus);
      learn(game, block, shape.output_weight(j), block.error24, block.entropy24, activation);
    }
    learn(game, block, shape.output_bias(), block.error24, block.entropy24);
    if constexpr (kTrack == Track::gradient_and_scores) {
      const Real gamma = Real(game.gamma), gamma_squared = Real(game.gamma_squared);
      ReturnMoments<Real> m = moments;
      FRYER_UNROLL for (int k = 0; k < kStepsPerBlock; ++k) {
        if constexpr (kGeneral) {
          m.add(block.live[k], gamma, gamma_squared, block.unit_reward[k]);
        } else {
          m.add(block.live[k], gamma, gamma_squared);
        }
      }
      moments = m;
    }
  }

 private:
  // Parameter i, whose step's score is error times an input (or 1), and its entropy's gradient bonus times that.
  template <bool kGeneral, class... Input>
  FRYER_LANE void learn(const CartPoleGame& game, const HiddenBlock<Real, kGeneral>& block, int i, const Real* error,
                        const Real* bonus, const Input*... input) {
    const Real gamma = Real(game.gamma), reward = Real(game.reward_inside);
    Real t = trace[i], g = gradient[i], f[kStepsPerBlock];
    FRYER_UNROLL for (int k = 0; k < kStepsPerBlock; ++k) {
      if constexpr (sizeof...(input) == 0) {
        f[k] = error[k];
      } else {
        f[k] = error[k] * (..., input[k]);
      }
      t = fma(gamma, t, f[k]);
      if constexpr (kGeneral) {
        g = fma_if(block.live[k], block.reward[k], t, g);
        if (game.entropy_bonus != 0) {
          if constexpr (sizeof...(input) == 0) {
            g = add_if(block.live[k], g, bonus[k]);
          } else {
            g = fma_if(block.live[k], bonus[k], (..., input[k]), g);
          }
        }
      } else {
        g = fma_if(block.live[k], reward, t, g);
      }
    }
    trace[i] = t;
    gradient[i] = g;
    if constexpr (kTrack == Track::gradient_and_scores) {
      Real s = score[i];
      FRYER_UNROLL for (int k = 0; k < kStepsPerBlock; ++k) s = add_if(block.live[k], s, f[k]);
      score[i] = s;
    }
  }
};

// ---- work and sums, for either policy

using LinearPolicy = SigmoidPolicy<float, 4>;
using HiddenLayerPolicy = HiddenPolicy<float, 4>;

inline constexpr int kCartPoleParameters =
    LinearPolicy::kParameters;  // w_position, w_velocity, w_angle, w_angular_velocity, bias

// What lanes need for a policy: its block and, unless nothing is learnt, its learner.
template <class Policy, class Real, bool kGeneral, Track kTrack>
struct EpisodePrograms {
  using Block = CartPoleBlock<Real, kGeneral>;
  using Learner = EpisodeLearner<Real, kCartPoleParameters, kTrack>;
};
template <class Real, bool kGeneral, Track kTrack>
requires(kTrack != Track::nothing) struct EpisodePrograms<HiddenLayerPolicy, Real, kGeneral, kTrack> {
  using Block = HiddenBlock<Real, kGeneral>;
  using Learner = HiddenLearner<Real, kTrack>;
};
template <class Real, int kParameters, Track kTrack, class Policy>
FRYER_LANE void clear_if(EpisodeLearner<Real, kParameters, kTrack>& learner, const Policy&, MaskOf<Real> m) {
  learner.clear_if(m);
}
template <class Real, Track kTrack, class Policy>
FRYER_LANE void clear_if(HiddenLearner<Real, kTrack>& learner, const Policy& policy, MaskOf<Real> m) {
  learner.clear_if(policy.shape(), m);
}
// A block's steps, learnt from. going: where what the learner holds is this episode's, be it cleared when that began; in other lanes the
// episode begins with this block, and what it holds counts as 0.
template <class Real, int kParameters, Track kTrack, class Policy, bool kGeneral, class Going>
FRYER_LANE void accumulate(EpisodeLearner<Real, kParameters, kTrack>& learner, const CartPoleGame& game, const Policy&,
                           const CartPoleBlock<Real, kGeneral>& block, Going going) {
  learner.accumulate(
      game, block, [&](int k) FRYER_INLINE_LAMBDA { return block.live[k]; },
      [&](Real x) FRYER_INLINE_LAMBDA { return keep_if(going, x); });
}
template <class Real, Track kTrack, class Policy, bool kGeneral>
FRYER_LANE void accumulate(HiddenLearner<Real, kTrack>& learner, const CartPoleGame& game, const Policy& policy,
                           const HiddenBlock<Real, kGeneral>& block, Everywhere) {
  learner.accumulate(game, policy, block);
}
template <class Real, Track kTrack, class Policy, bool kGeneral>
FRYER_LANE void accumulate(HiddenLearner<Real, kTrack>& learner, const CartPoleGame& game, const Policy& policy,
                           const HiddenBlock<Real, kGeneral>& block, MaskOf<Real> going) {
  learner.clear_if(policy.shape(), negate(going));
  learner.accumulate(game, policy, block);
}
// The same, without a mask, of a block in which no lane's episode ended and what the learner holds is every lane's episode's.
template <class Real, int kParameters, Track kTrack, bool kGeneral>
FRYER_LANE void accumulate_whole_block(EpisodeLearner<Real, kParameters, kTrack>& learner, const CartPoleGame& game,
                                       const CartPoleBlock<Real, kGeneral>& block) {
  learner.accumulate(
      game, block, [](int) FRYER_INLINE_LAMBDA { return Everywhere(); }, [](Real x) FRYER_INLINE_LAMBDA { return x; });
}

// Calls body(i) for each parameter; unrolled where their number is known beforehand.
template <class Shape, class Body>
FRYER_LANE void for_each_parameter(const Shape& shape, Body body) {
  if constexpr (Shape::kFixed) {
    constexpr int kParameters = Shape::parameters();
    FRYER_UNROLL for (int i = 0; i < kParameters; ++i) body(i);
  } else {
    const int parameters = shape.parameters();
    for (int i = 0; i < parameters; ++i) body(i);
  }
}

// Beyond this magnitude a parameter counts as no longer finite: a logit of finite observations could then be infinite or NaN.
inline constexpr float kLargestParameter = 0x1p94f;
template <class Real>
FRYER_LANE MaskOf<Real> is_usable(Real parameter) {
  return negate(either(less(Real(kLargestParameter), absolute(parameter)), negate(is_finite(parameter))));
}
// The same of a hidden layer's output weights: they bound the gradients of the weights before it, and so the digits of exact sums. (Their
// initial magnitude is 2.5 at most; 6,000 trainings of 8 units that solved CartPole-v1 at learning rates of 0.02 to 0.1 ended below 5.)
inline constexpr float kLargestOutputWeight = 1024.0f;

// Whether parameter i may have the value x.
template <class Shape>
FRYER_LANE bool is_usable(const Shape& shape, int i, float x) {
  if constexpr (!Shape::kFixed) {
    if (shape.is_output_weight(i)) return absolute(x) <= kLargestOutputWeight;
  }
  return is_usable(x);
}

template <class Policy>
struct CartPoleFixedPointOf {
  ParameterScale parameter[Policy::kParameters];
  double square_scale[Policy::kParameters];  // of the squared contributions, scaled as lanes have them
  double square_unit[Policy::kParameters];
  ReturnScale returns;
};

// One policy, episodes numbered within a training, a gradient or an evaluation. Trivially copyable: it is a kernel argument.
template <class Policy>
struct CartPoleWorkOf {
  UniformKey key;
  CartPoleGame game;
  Policy policy;
  CartPoleFixedPointOf<Policy> fixed_point;
};

inline bool has_finite_numbers(const CartPoleWorkOf<LinearPolicy>& work) {
  bool usable = is_usable(work.policy.bias);
  for (const float w : work.policy.weight) usable = usable && is_usable(w);
  return usable;
}
inline bool has_finite_numbers(const CartPoleWorkOf<HiddenLayerPolicy>& work) {
  const auto shape = work.policy.shape();
  bool usable = true;
  for (int i = 0; i < shape.parameters(); ++i) usable = usable && is_usable(shape, i, work.policy.parameter[i]);
  return usable;
}

// What is wanted of episodes: their gradient alone, with its squares (for standard errors), or with scores and returns' moments (for
// baselines).
enum class CartPoleTask { gradient, gradient_and_squares, gradient_and_scores };

// Exact sums over episodes. Which are made depends on what was asked for; the others stay 0, as do those beyond the policy's parameters.
template <class Policy>
struct CartPoleSumsOf {
  static constexpr int kParameters = Policy::kParameters;
  std::int64_t gradient[kParameters] = {}, score[kParameters] = {};
  WideSum squared[kParameters];                    // of the episodes' gradient contributions
  std::int64_t return_sum = 0, return_square = 0;  // ReturnMoments
  std::uint64_t steps = 0, terminated = 0, episodes = 0;
  WideSum steps_squared;

  FRYER_LANE void add(const CartPoleSumsOf& other) {
    const auto add_wrapping = [](std::int64_t& to, std::int64_t x) {
      to = static_cast<std::int64_t>(static_cast<std::uint64_t>(to) + static_cast<std::uint64_t>(x));
    };
    for (int i = 0; i < kParameters; ++i) {
      add_wrapping(gradient[i], other.gradient[i]);
      add_wrapping(score[i], other.score[i]);
      squared[i].add(other.squared[i]);
    }
    add_wrapping(return_sum, other.return_sum);
    add_wrapping(return_square, other.return_square);
    steps += other.steps;
    terminated += other.terminated;
    episodes += other.episodes;
    steps_squared.add(other.steps_squared);
  }
};

// Evaluations count episodes by length and end: element 2 * length + terminated of 2 * (max_steps + 1).
inline std::uint64_t outcome_count(std::uint32_t max_steps) { return 2 * (std::uint64_t{max_steps} + 1); }

// Largest magnitudes of d logit / d parameter in a step that counts, for parameters 0 .. shape.parameters() - 1. Of a linear policy: the
// observations, and 1.
inline void bound_slopes(const CartPole::Settings& settings, LinearPolicy::Shape, const float*, double* slope) {
  const CartPole::Bounds bounds = CartPole::bounds(settings);
  for (int i = 0; i < 4; ++i) slope[i] = bounds.observation[i];
  slope[4] = 1;
}
// Of a hidden layer: |activation| <= 1 by an output weight and 1 by the output's bias, both exactly; by a unit's bias |output weight| times
// the activation's derivative, at most 1 (tanh) or 1/4 (sigmoid), and by its weights that times the observation. Rounding can add 2^-23
// of it, which ReturnBounds' margin has room for. output_weights: the policy's own, or null for any that a training may come to.
inline void bound_slopes(const CartPole::Settings& settings, const HiddenLayerPolicy::Shape& shape, const float* output_weights,
                         double* slope) {
  const CartPole::Bounds bounds = CartPole::bounds(settings);
  const double steepest = shape.activation == Activation::tanh ? 1.0 : 0.25;
  for (int j = 0; j < shape.units; ++j) {
    const float weight = output_weights != nullptr ? output_weights[j] : kLargestOutputWeight;
    const double at_unit = absolute(static_cast<double>(weight)) * steepest;
    for (int i = 0; i < 4; ++i) slope[shape.weight(j, i)] = at_unit * bounds.observation[i];
    slope[shape.bias(j)] = at_unit;
    slope[shape.output_weight(j)] = 1;
  }
  slope[shape.output_bias()] = 1;
}

// The scales of a batch of `batch` episodes, from the bounds of one episode's contributions: |reward| times the sum of all discounted
// lengths times the largest d logit / d parameter (entropy: |z p (1 - p)| < 0.2239 a step).
template <class Policy>
CartPoleFixedPointOf<Policy> make_fixed_point(const CartPole::Settings& settings, const CartPoleGame& game, double gamma,
                                              std::uint64_t batch, const typename Policy::Shape& shape,
                                              const float* output_weights = nullptr) {
  const ReturnBounds returns = return_bounds(gamma, settings.max_steps);
  double slopes[Policy::kParameters];
  bound_slopes(settings, shape, output_weights, slopes);
  const double inside = absolute(static_cast<double>(game.reward_inside)),
               outside = absolute(static_cast<double>(game.reward_outside));
  const double n = static_cast<double>(batch), length = static_cast<double>(settings.max_steps);
  CartPoleFixedPointOf<Policy> f{};
  for (int i = 0; i < shape.parameters(); ++i) {
    const double slope = slopes[i];
    const double score = slope * length * returns.rounding_margin;
    // A reward that only a fall pays is paid once.
    const double paid = inside == 0 ? outside * returns.discounted : (inside > outside ? inside : outside) * returns.return_sum;
    const double gradient =
        slope * returns.rounding_margin * (paid + 0.2239 * absolute(static_cast<double>(game.entropy_bonus)) * length);
    const int digits = fixed_point_digits(batch, gradient), score_digits = fixed_point_digits(batch, score);
    const int square_digits = 51 - 2 * (gradient > 0 ? ceil_log2(gradient) : 0);
    f.parameter[i] = {std::ldexp(1.0, digits - 24), std::ldexp(1.0, score_digits - 24), std::ldexp(1.0, -digits) / n,
                      std::ldexp(1.0, -score_digits) / n};
    f.square_scale[i] = std::ldexp(1.0, square_digits - 48);
    f.square_unit[i] = std::ldexp(1.0, -square_digits);
  }
  const int sum_digits = fixed_point_digits(batch, returns.return_sum * returns.rounding_margin);
  const int square_digits = fixed_point_digits(batch, returns.return_square * returns.rounding_margin);
  // Rewards beyond the limits are 1 or -1 before they are scaled, so that `outside` is the scale as lanes have it.
  f.returns = {std::ldexp(1.0, sum_digits), std::ldexp(1.0, square_digits), std::ldexp(1.0, -sum_digits),
               std::ldexp(1.0, -square_digits), outside};
  return f;
}
inline CartPoleFixedPointOf<LinearPolicy> make_fixed_point(const CartPole::Settings& settings, const CartPoleGame& game,
                                                           double gamma, std::uint64_t batch) {
  return make_fixed_point<LinearPolicy>(settings, game, gamma, batch, {});
}

// ---- replicas

// What replicas have in common that train side by side in lanes. Trivially copyable: it is a kernel argument.
template <class Policy>
struct CartPoleReplicaWorkOf {
  using Kind = Policy;
  CartPoleGame game;
  CartPoleFixedPointOf<Policy> fixed_point;
  Track track;          // of every training's baseline
  std::uint32_t batch;  // batch * max_steps < 2^31
  typename Policy::Shape shape;
};

// The parameters that a replica starts from: the same for all,
template <class Policy>
struct InitialParameters {
  float parameter[Policy::kParameters];
};
// or, with a hidden layer, drawn from its own seed.
template <>
struct InitialParameters<HiddenLayerPolicy> {
  float parameter[HiddenLayerPolicy::kParameters];
  bool from_seed;
  InitialBounds hidden, output;  // of the layers
};

// The settings of a training that may differ between neighbouring lanes. The tables are the executor's memory.
template <class Policy>
struct CartPoleTrainingOf {
  Baseline baseline;
  double baseline_value;
  OptimizerConstants<float> optimizer;
  OptimizerSettings::Kind optimizer_kind;
  InitialParameters<Policy> initial;
  std::uint32_t updates;           // updates * batch < 2^32
  const float *step, *root_scale;  // AdamTable's, entries 0 .. table_last
  std::uint32_t table_last;        // later updates use the last entry
  // Stop once the last `window` updates' outcomes sum to window_target or more; window 0: never.
  std::uint32_t window;
  std::uint64_t window_target;
};

// Rows first_row on of a launch, up to the next group's: consecutive seeds from first_seed on that train with the same settings.
struct ReplicaGroup {
  std::uint64_t first_row, first_seed;
  std::uint32_t training;  // index of a CartPoleTrainingOf
};

// The group of a row, of `count` groups in ascending order the first of which begins at row 0.
FRYER_LANE const ReplicaGroup& group_of(const ReplicaGroup* groups, std::uint32_t count, std::uint64_t row) {
  std::uint32_t first = 0;
  while (count > 1) {
    const std::uint32_t half = count / 2;
    if (groups[first + half].first_row <= row) {
      first += half;
      count -= half;
    } else {
      count = half;
    }
  }
  return groups[first];
}

// What a batch counts towards its mean return: its steps; or with the Sutton-Barto reward its episodes that were not terminated.
FRYER_LANE std::uint64_t batch_outcome(const CartPoleGame& game, std::uint64_t batch, std::uint64_t steps,
                                       std::uint64_t terminated) {
  return game.unit_inside != 0 ? steps : batch - terminated;
}

// The parameters that the replica with this seed starts from.
FRYER_LANE void start_parameters(const LinearPolicy::Shape&, const InitialParameters<LinearPolicy>& initial, std::uint64_t,
                                 float* theta) {
  FRYER_UNROLL for (int i = 0; i < kCartPoleParameters; ++i) theta[i] = initial.parameter[i];
}
FRYER_LANE void start_parameters(const HiddenLayerPolicy::Shape& shape, const InitialParameters<HiddenLayerPolicy>& initial,
                                 std::uint64_t seed, float* theta) {
  const int parameters = shape.parameters();
  RandomBlock<std::uint32_t> words{};
  for (int i = 0; i < parameters; ++i) {
    if (!initial.from_seed) {
      theta[i] = initial.parameter[i];
      continue;
    }
    if (i % 4 == 0) words = random_block(seed, Purpose::initialisation, 0, static_cast<std::uint64_t>(i / 4));
    const std::uint32_t word = i % 4 == 0 ? words.x : i % 4 == 1 ? words.y : i % 4 == 2 ? words.z : words.w;
    const InitialBounds& layer = i < shape.output_weight(0) ? initial.hidden : initial.output;
    const bool is_bias = i >= shape.output_bias() || (i >= shape.bias(0) && i < shape.output_weight(0));
    theta[i] = initial_parameter(word, is_bias ? layer.bias : layer.weight);
  }
}

// A training between its updates: what changes once a batch. One for a lane, one for a whole training on the host.
template <class Policy>
struct CartPoleLearnerOf {
  float theta[Policy::kParameters], m[Policy::kParameters], v[Policy::kParameters];

  FRYER_LANE void start(const typename Policy::Shape& shape, const CartPoleTrainingOf<Policy>& training, std::uint64_t seed) {
    start_parameters(shape, training.initial, seed, theta);
    FRYER_UNROLL for (int i = 0; i < Policy::kParameters; ++i) m[i] = v[i] = 0.0f;
  }
  // The step of update number `update` (from 0). Returns whether every parameter is usable after it.
  FRYER_LANE bool update(const CartPoleReplicaWorkOf<Policy>& work, const CartPoleTrainingOf<Policy>& training,
                         std::uint32_t update, const std::int64_t* gradient, const std::int64_t* score, std::int64_t return_sum,
                         std::int64_t return_square, std::uint64_t steps) {
    const AdvantageTransform a = advantage_transform(training.baseline, training.baseline_value, work.fixed_point.returns,
                                                     return_sum, return_square, steps);
    const std::uint32_t entry = at_most(update, training.table_last);
    bool usable = true;
    for_each_parameter(work.shape, [&](int i) FRYER_INLINE_LAMBDA {
      usable = step(work, training, a, entry, i, gradient[i], score[i]) && usable;
    });
    return usable;
  }

 private:
  FRYER_LANE bool step(const CartPoleReplicaWorkOf<Policy>& work, const CartPoleTrainingOf<Policy>& training,
                       const AdvantageTransform& a, std::uint32_t entry, int i, std::int64_t gradient, std::int64_t score) {
    const float g = batch_gradient(training.baseline, a, work.fixed_point.parameter[i], gradient, score);
    if (training.optimizer_kind == OptimizerSettings::Kind::adam) {
      adam_step(training.optimizer, training.step[entry], training.root_scale[entry], g, m[i], v[i], theta[i]);
    } else {
      sgd_step(training.optimizer, g, theta[i]);
    }
    return is_usable(work.shape, i, theta[i]);
  }
};

// ---- names: of the linear policy, and with a hidden layer

using CartPoleFixedPoint = CartPoleFixedPointOf<LinearPolicy>;
using CartPoleWork = CartPoleWorkOf<LinearPolicy>;
using CartPoleSums = CartPoleSumsOf<LinearPolicy>;
using CartPoleReplicaWork = CartPoleReplicaWorkOf<LinearPolicy>;
using CartPoleTraining = CartPoleTrainingOf<LinearPolicy>;
using CartPoleLearner = CartPoleLearnerOf<LinearPolicy>;
using HiddenWork = CartPoleWorkOf<HiddenLayerPolicy>;
using HiddenSums = CartPoleSumsOf<HiddenLayerPolicy>;
using HiddenReplicaWork = CartPoleReplicaWorkOf<HiddenLayerPolicy>;
using HiddenTraining = CartPoleTrainingOf<HiddenLayerPolicy>;

}  // namespace fryer
