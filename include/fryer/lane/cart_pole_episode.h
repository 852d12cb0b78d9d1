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

  // steps: made so far, this block's included.
  FRYER_LANE MaskOf<Real> ended(const CartPoleGame& game, WordOf<Real> steps) const {
    if constexpr (kGeneral) return negate(live[kStepsPerBlock]);
    return negate(both(live[kStepsPerBlock], less(steps, WordOf<Real>(game.max_steps))));
  }
  // Of an episode that ended in this block: whether it was terminated (else it was only truncated).
  FRYER_LANE MaskOf<Real> terminated() const {
    if constexpr (kGeneral) return fell;
    return negate(live[kStepsPerBlock]);
  }
  FRYER_LANE WordOf<Real> count_steps(WordOf<Real> steps) const {
    FRYER_UNROLL for (int k = 0; k < kStepsPerBlock; ++k) steps = increment_if(live[k], steps);
    return steps;
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

  // A linear policy's parameters: d logit / d weight_i is observation i, d logit / d bias is 1.
  template <bool kGeneral>
  FRYER_LANE void accumulate(const CartPoleGame& game, const CartPoleBlock<Real, kGeneral>& block) {
    if constexpr (kTrack == Track::nothing) return;
    const Real gamma = Real(game.gamma), reward = Real(game.reward_inside);
    FRYER_UNROLL for (int i = 0; i < kParameters; ++i) {
      Real t = trace[i], g = gradient[i];
      FRYER_UNROLL for (int k = 0; k < kStepsPerBlock; ++k) {
        const Real f = i < 4 ? block.error24[k] * block.observation[k][i < 4 ? i : 0] : block.error24[k];
        t = fma(gamma, t, f);
        if constexpr (kGeneral) {
          g = fma_if(block.live[k], block.reward[k], t, g);
          if (game.entropy_bonus != 0) {
            const Real one = Real(1.0f);
            g = fma_if(block.live[k], block.entropy24[k], i < 4 ? block.observation[k][i < 4 ? i : 0] : one, g);
          }
        } else {
          g = fma_if(block.live[k], reward, t, g);
        }
      }
      trace[i] = t;
      gradient[i] = g;
    }
    if constexpr (kTrack == Track::gradient_and_scores) {
      FRYER_UNROLL for (int i = 0; i < kParameters; ++i) {
        Real s = score[i];
        FRYER_UNROLL for (int k = 0; k < kStepsPerBlock; ++k) {
          s = i < 4 ? add_if(block.live[k], s, block.error24[k] * block.observation[k][i < 4 ? i : 0])
                    : add_if(block.live[k], s, block.error24[k]);
        }
        score[i] = s;
      }
      ReturnMoments<Real> m = moments;
      FRYER_UNROLL for (int k = 0; k < kStepsPerBlock; ++k) {
        if constexpr (kGeneral) {
          m.add(block.live[k], gamma, Real(game.gamma_squared), block.unit_reward[k]);
        } else {
          m.add(block.live[k], gamma, Real(game.gamma_squared));
        }
      }
      moments = m;
    }
  }
};

// ---- work and sums

inline constexpr int kCartPoleParameters = 5;  // w_position, w_velocity, w_angle, w_angular_velocity, bias

// Beyond this magnitude a parameter counts as no longer finite: a logit of finite observations could then be infinite or NaN.
inline constexpr float kLargestParameter = 0x1p96f;
template <class Real>
FRYER_LANE MaskOf<Real> is_usable(Real parameter) {
  return negate(either(less(Real(kLargestParameter), absolute(parameter)), negate(is_finite(parameter))));
}

struct CartPoleFixedPoint {
  ParameterScale parameter[kCartPoleParameters];
  double square_scale[kCartPoleParameters];  // of the squared contributions, scaled as lanes have them
  double square_unit[kCartPoleParameters];
  ReturnScale returns;
};

// One policy, episodes numbered within a training, a gradient or an evaluation. Trivially copyable: it is a kernel argument.
struct CartPoleWork {
  UniformKey key;
  CartPoleGame game;
  SigmoidPolicy<float, 4> policy;
  CartPoleFixedPoint fixed_point;
};

inline bool has_finite_numbers(const CartPoleWork& work) {
  bool usable = is_usable(work.policy.bias);
  for (const float w : work.policy.weight) usable = usable && is_usable(w);
  return usable;
}

// What is wanted of episodes: their gradient alone, with its squares (for standard errors), or with scores and returns' moments (for
// baselines).
enum class CartPoleTask { gradient, gradient_and_squares, gradient_and_scores };

// Exact sums over episodes. Which are made depends on what was asked for; the others stay 0.
struct CartPoleSums {
  std::int64_t gradient[kCartPoleParameters] = {}, score[kCartPoleParameters] = {};
  WideSum squared[kCartPoleParameters];            // of the episodes' gradient contributions
  std::int64_t return_sum = 0, return_square = 0;  // ReturnMoments
  std::uint64_t steps = 0, terminated = 0, episodes = 0;
  WideSum steps_squared;

  FRYER_HOST_DEVICE void add(const CartPoleSums& other) {
    const auto add_wrapping = [](std::int64_t& to, std::int64_t x) {
      to = static_cast<std::int64_t>(static_cast<std::uint64_t>(to) + static_cast<std::uint64_t>(x));
    };
    for (int i = 0; i < kCartPoleParameters; ++i) {
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

// The scales of a batch of `batch` episodes, from the bounds of one episode's contributions: |reward| times the sum of all discounted
// lengths times the largest observation (entropy: |z p (1 - p)| < 0.2239 a step).
inline CartPoleFixedPoint make_fixed_point(const CartPole::Settings& settings, const CartPoleGame& game, double gamma,
                                           std::uint64_t batch) {
  const ReturnBounds returns = return_bounds(gamma, settings.max_steps);
  const CartPole::Bounds bounds = CartPole::bounds(settings);
  const double inside = absolute(static_cast<double>(game.reward_inside)),
               outside = absolute(static_cast<double>(game.reward_outside));
  const double n = static_cast<double>(batch), length = static_cast<double>(settings.max_steps);
  CartPoleFixedPoint f{};
  for (int i = 0; i < kCartPoleParameters; ++i) {
    const double observation = i < 4 ? bounds.observation[i] : 1.0;
    const double score = observation * length * returns.rounding_margin;
    // A reward that only a fall pays is paid once.
    const double paid = inside == 0 ? outside * returns.discounted : (inside > outside ? inside : outside) * returns.return_sum;
    const double gradient =
        observation * returns.rounding_margin * (paid + 0.2239 * absolute(static_cast<double>(game.entropy_bonus)) * length);
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

// ---- replicas

// Settings shared by all replicas of a run; the tables are the executor's memory.
struct CartPoleReplicaWork {
  CartPoleGame game;
  CartPoleFixedPoint fixed_point;
  Baseline baseline;
  double baseline_value;
  OptimizerConstants<float> optimizer;
  OptimizerSettings::Kind optimizer_kind;
  float initial[kCartPoleParameters];
  std::uint32_t updates, batch;    // updates * batch < 2^32, batch * max_steps < 2^31
  const float *step, *root_scale;  // AdamTable's, entries 0 .. table_last
  std::uint32_t table_last;        // later updates use the last entry
  // Stop once the last `window` updates' outcomes sum to window_target or more; window 0: never.
  std::uint32_t window;
  std::uint64_t window_target;
};

// What a batch counts towards its mean return: its steps; or with the Sutton-Barto reward its episodes that were not terminated.
FRYER_LANE std::uint64_t batch_outcome(const CartPoleGame& game, std::uint32_t batch, std::uint64_t steps,
                                       std::uint64_t terminated) {
  return game.unit_inside != 0 ? steps : batch - terminated;
}

// A training between its updates: what changes once a batch. One for a lane, one for a whole training on the host.
struct CartPoleLearner {
  float theta[kCartPoleParameters], m[kCartPoleParameters], v[kCartPoleParameters];

  FRYER_LANE void start(const CartPoleReplicaWork& work) {
    FRYER_UNROLL for (int i = 0; i < kCartPoleParameters; ++i) {
      theta[i] = work.initial[i];
      m[i] = v[i] = 0.0f;
    }
  }
  // The step of update number `update` (from 0). Returns whether every parameter is usable after it.
  FRYER_LANE bool update(const CartPoleReplicaWork& work, std::uint32_t update, const std::int64_t* gradient,
                         const std::int64_t* score, std::int64_t return_sum, std::int64_t return_square, std::uint64_t steps) {
    const AdvantageTransform a =
        advantage_transform(work.baseline, work.baseline_value, work.fixed_point.returns, return_sum, return_square, steps);
    const std::uint32_t entry = at_most(update, work.table_last);
    bool usable = true;
    FRYER_UNROLL for (int i = 0; i < kCartPoleParameters; ++i) {
      const float g = batch_gradient(work.baseline, a, work.fixed_point.parameter[i], gradient[i], score[i]);
      if (work.optimizer_kind == OptimizerSettings::Kind::adam) {
        adam_step(work.optimizer, work.step[entry], work.root_scale[entry], g, m[i], v[i], theta[i]);
      } else {
        sgd_step(work.optimizer, g, theta[i]);
      }
      usable = usable && is_usable(theta[i]);
    }
    return usable;
  }
};

}  // namespace fryer
