// SPDX-License-Identifier: Apache-2.0
// Lane program: a whole training in a lane. A replica is one seed's training of a sigmoid policy on one-block episodes by REINFORCE
// and Adam or SGD; parameters, moments and sums stay in registers or L1 from the first update to the last. Executors number the
// replicas, refill lanes and store results.
#pragma once

#include "fryer/algo/optimizer.h"
#include "fryer/lane/one_block_episode.h"

namespace fryer {

// How a replica ended; part of its row and of the digest. `unfinished` never stands in a result: a training that was interrupted.
enum class ReplicaStatus : std::uint8_t { finished = 0, solved = 1, failed = 2, unfinished = 3 };

// What every parameter of a failed replica's row is: a NaN whose bits are the same everywhere.
inline constexpr std::uint32_t kFailedParameterBits = 0x7fc00000u;

// Settings shared by all replicas of a run. Trivially copyable: it is a kernel argument; the tables are the executor's memory.
struct ReplicaWork {
  OneBlockRules rules;
  FixedPoint fixed_point;
  OptimizerConstants<float> optimizer;
  OptimizerSettings::Kind optimizer_kind;
  bool learn_weight;
  float initial_weight, initial_bias;
  std::uint32_t updates, batch;    // updates * batch < 2^32
  const float *step, *root_scale;  // AdamTable's, entries 0 .. table_last
  std::uint32_t table_last;        // later updates use the last entry
  // Stop once the last `window` updates have `window_target` successes or more; window 0: never. A success is the outcome that
  // pays more: a correct order if correct_pays_more, else a wrong one.
  std::uint32_t window, window_target;
  bool correct_pays_more;
};

// One bundle of replicas. Counter: std::uint32_t where all lanes make the same update (they started together), else a Word.
template <class Real, class Counter, OptimizerSettings::Kind kOptimizer, bool kLearnWeight, bool kSingle>
struct ReplicaLanes {
  using Word = WordOf<Real>;
  static constexpr int kFirst = kLearnWeight ? 0 : 1;  // parameters: 0 weight, 1 bias

  LaneKey<Real> key;
  Real theta[2], m[2], v[2];
  LaneFixedSum<Real> sums[2];

  // Every lane at the start of its training; lanes' seeds have the low words seed_low.
  FRYER_LANE void start(const ReplicaWork& work, Word seed_low, std::uint32_t seed_high) {
    key.schedule(seed_low, seed_high);
    theta[0] = Real(work.initial_weight);
    theta[1] = Real(work.initial_bias);
    FRYER_UNROLL for (int i = 0; i < 2; ++i) m[i] = v[i] = Real(0.0f);
  }

  // Plays the batch of update number `update` and steps the parameters. Returns the successes (correct orders) of each lane's batch.
  FRYER_LANE Word update(const ReplicaWork& work, Counter update) {
    SigmoidPolicy<Real, 1> policy;
    policy.weight[0] = theta[0] * Real(static_cast<float>(FryShack::kObservationUnit));
    policy.bias = theta[1];
    Word correct = Word(0u);
    Real gradient[2];
    if constexpr (kSingle) {
      const auto words = philox<Real>(0u, work.rules.purpose_word, update, 0u, key);
      const OneBlockEpisode<Real> episode = play<Real>(work.rules.environment, policy, words);
      const Real bias = loss_gradient24(work.rules, episode);
      const Real tiny = Real(work.fixed_point.tiny24);
      gradient[1] = round_single_term(bias, tiny) * Real(0x1p-24f);
      if constexpr (kLearnWeight) {
        gradient[0] = round_single_term(bias * (episode.hunger24 * Real(0x1p-24f)), tiny) * Real(0x1p-24f);
      }
      correct = increment_if(episode.correct, correct);
    } else {
      FRYER_UNROLL for (int i = kFirst; i < 2; ++i) sums[i].clear();
      Counter number = multiply_low(update, work.batch);
      for (std::uint32_t position = 0; position < work.batch; ++position) {
        const auto words = philox<Real>(0u, work.rules.purpose_word, number, 0u, key);
        number = number + Counter(1u);
        const OneBlockEpisode<Real> episode = play<Real>(work.rules.environment, policy, words);
        const Real bias = loss_gradient24(work.rules, episode);
        sums[1].add(bias, work.fixed_point.bias_scale);
        if constexpr (kLearnWeight) sums[0].add(bias * episode.hunger24, work.fixed_point.weight_scale);
        correct = increment_if(episode.correct, correct);
      }
      FRYER_UNROLL for (int i = kFirst; i < 2; ++i) gradient[i] = sums[i].mean(work.fixed_point.unit);
    }
    if constexpr (kOptimizer == OptimizerSettings::Kind::adam) {
      const Counter entry = at_most(update, work.table_last);
      const Real step = lookup<Real>(work.step, entry), root_scale = lookup<Real>(work.root_scale, entry);
      FRYER_UNROLL for (int i = kFirst; i < 2; ++i)
          adam_step(work.optimizer, step, root_scale, gradient[i], m[i], v[i], theta[i]);
    } else {
      FRYER_UNROLL for (int i = kFirst; i < 2; ++i) sgd_step(work.optimizer, gradient[i], theta[i]);
    }
    return correct;
  }

  FRYER_LANE MaskOf<Real> finite() const {
    if constexpr (kLearnWeight) return both(is_finite(theta[0]), is_finite(theta[1]));
    return is_finite(theta[1]);
  }
};

}  // namespace fryer
