// SPDX-License-Identifier: Apache-2.0
// What one build of the CPU executor offers: lane programs over ranges of numbered work, on one thread, with sums and rows out.
// host/lane_executor.cpp is compiled once per instruction set and fills one table each; the CPU backend picks a table when the
// program starts and calls it from its workers. Plain pointers and no exceptions: nothing of the standard library may be compiled
// for an instruction set.
#pragma once

#include "fryer/lane/cart_pole_episode.h"
#include "fryer/lane/episode_gradient.h"
#include "fryer/lane/q_episode.h"
#include "fryer/lane/q_training.h"
#include "fryer/lane/replica_training.h"

namespace fryer {

// Sums over replicas for each update, arrays of ReplicaWork::updates elements, added to.
struct CurveSums {
  std::uint64_t* count;    // replicas that made the update
  std::uint64_t* correct;  // sum over them of the batch's correct orders
  std::uint64_t* squared;  // sum of the squares of that
};

// Where replicas' results go; element i belongs to seed first_seed + i.
struct ReplicaRows {
  std::uint8_t* status;    // ReplicaStatus
  std::uint32_t* updates;  // updates made; for a failed replica the number of the update after which a parameter was not finite
  float *weight, *bias;    // final parameters; NaN (0x7fc00000) in both where failed
  std::uint32_t* correct;  // (updates, stride): correct orders of each batch, or null; not written past a replica's end
  std::uint64_t stride;
};

// The same for CartPole, which has more parameters and counts its steps.
struct CartPoleRows {
  std::uint8_t* status;
  std::uint32_t* updates;
  std::uint64_t* steps;
  float* const* parameter;  // one array for each
  std::uint32_t* outcome;   // batch_outcome() of each batch, (updates, stride), or null
  std::uint64_t stride;
  // Where trainings start in their middle and may be left there: then only rows whose status is `unfinished` are trained, from their
  // updates, steps and parameters as they stand, and these. Or null.
  float *const *m, *const *v;  // Adam's moments
  std::uint64_t* recent;       // (window, stride): outcomes of the last updates, update u in row u % window
};

// Sums over replicas for each update; squares in two limbs of 32 bits; or null.
struct CartPoleCurve {
  std::uint64_t *count, *outcome, *square_high, *square_low;
};

// Rows that several workers share: a lane takes the next one when its own has ended. Counters are changed atomically.
struct ReplicaQueue {
  std::uint64_t replicas;   // rows; all seeds have one high word
  std::uint64_t* next;      // the first replica not yet taken
  std::uint64_t* finished;  // updates made, and those that a training which stopped early did not need
};

// What rows train with. The first group begins at row 0.
template <class Policy>
struct CartPoleGroups {
  const CartPoleTrainingOf<Policy>* training;
  const ReplicaGroup* group;
  std::uint32_t groups;
  std::uint32_t window;  // the largest of any training
};

// Whether to stop at once: asked by trainings every few milliseconds. Their rows then mean nothing, but for those that CartPoleRows::m is
// given for: they stand after the last whole update.
struct StopQuestion {
  bool (*ask)(const void* context);
  const void* context;
};

// Q networks and their updates, with the bits of lane/q_update.h. A learner lives in `bytes` of memory, aligned to 64, in the executor's own
// layout; `save` and `load` give and take its arrays in the parameters' order, between updates, so that a training can be resumed, by
// another executor too. Memory holds no pointers and may be moved as it is.
struct QNetworkFunctions {
  std::uint64_t (*bytes)(const QUpdateRules<float>& rules);
  // Arrays that are null count as all 0.
  void (*load)(const QUpdateRules<float>& rules, void* memory, const QLearner<const float>& from);
  // Arrays that are null are left out.
  void (*save)(const QUpdateRules<float>& rules, void* memory, const QLearner<float>& to);
  // values (count, 2) of observations (count, 4).
  void (*values)(const QUpdateRules<float>& rules, void* memory, const float* observations, std::uint32_t count, float* values);
  // One update by the transitions slots[index[0 .. rules.batch - 1]]; any Bootstrap but residual.
  QUpdateResult<float> (*update)(const QUpdateRules<float>& rules, void* memory, const Transition* slots,
                                 const std::uint32_t* index, const QStep<float>& step);
  // sample_replay() of algo/replay.h, several blocks of random numbers at once.
  bool (*sample)(const UniformKey& key, std::uint64_t update, std::uint64_t size, std::uint32_t batch, std::uint32_t* index);

  // Online learning (batch 1; Bootstrap::semi_gradient or residual) of several replicas in flight, with a memory each. First the values
  // (replicas, 2) of their observations (replicas, 4); then an update of each by the transition that began there.
  void (*online_values)(const QUpdateRules<float>& rules, void* const* memory, const float* observations, std::uint32_t replicas,
                        float* values);
  void (*online_update)(const QUpdateRules<float>& rules, void* const* memory, const Transition* transitions,
                        const QStep<float>* steps, std::uint32_t replicas, QUpdateResult<float>* results);
};

// A value learner in training: memory that QNetworkFunctions loaded with it, slots (most_transitions()), outcomes
// (rules.kept_outcomes). All of it stays the caller's, who may save it between two calls and go on elsewhere.
struct QReplica {
  QTrainingState* state;
  void* memory;
  Transition* slots;
  std::uint32_t* outcomes;
};

struct LaneExecutor {
  const char* name;             // as in FRYER_ISA
  std::uint32_t lanes;          // episodes in flight
  std::uint32_t replica_lanes;  // replicas in flight: a range that is a multiple of it wastes nothing

  // Episodes first .. first + count - 1 under work.policy; the range must not cross a multiple of 2^32. Adds to sums.
  void (*gradient)(const EpisodeWork& work, std::uint64_t first, std::uint64_t count, bool weight, Moments moments,
                   GradientSums& sums);
  // The same range played for its outcomes: counts[2 * action + correct].
  void (*evaluate)(const EpisodeWork& work, std::uint64_t first, std::uint64_t count, std::uint64_t counts[FryShack::kOutcomes]);
  // Trainings with seeds first_seed .. first_seed + count - 1, which must not cross a multiple of 2^32.
  void (*train)(const ReplicaWork& work, std::uint64_t first_seed, std::uint64_t count, const ReplicaRows& rows,
                const CurveSums& curve, std::uint32_t* scratch, const StopQuestion& stop);
  // 32-bit words of scratch memory that train() needs.
  std::uint64_t (*train_scratch)(const ReplicaWork& work);

  // CartPole. counts: outcome_count(max_steps) numbers, element 2 * length + terminated, added to.
  void (*cart_pole_gradient)(const CartPoleWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                             CartPoleSums& sums);
  void (*cart_pole_evaluate)(const CartPoleWork& work, std::uint64_t first, std::uint64_t count, std::uint64_t* counts);
  // Trains replicas of the queue, `lanes` at once (at most cart_pole_replica_lanes), until none is left. scratch: 64-bit words, `window`
  // for each lane that there is.
  std::uint32_t cart_pole_replica_lanes;
  void (*cart_pole_train)(const CartPoleReplicaWork& work, const CartPoleGroups<LinearPolicy>& groups, const ReplicaQueue& queue,
                          std::uint32_t lanes, const CartPoleRows& rows, const CartPoleCurve& curve, std::uint64_t* scratch,
                          const StopQuestion& stop);

  // The same with a hidden layer.
  void (*hidden_gradient)(const HiddenWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task, HiddenSums& sums);
  void (*hidden_evaluate)(const HiddenWork& work, std::uint64_t first, std::uint64_t count, std::uint64_t* counts);
  std::uint32_t hidden_replica_lanes;
  void (*hidden_train)(const HiddenReplicaWork& work, const CartPoleGroups<HiddenLayerPolicy>& groups, const ReplicaQueue& queue,
                       std::uint32_t lanes, const CartPoleRows& rows, const CartPoleCurve& curve, std::uint64_t* scratch,
                       const StopQuestion& stop);

  const QNetworkFunctions* q_network;
  // Trains each unfinished replica for at most `turns` turns (lane/q_training.h: a step, an update, or one of each), so that the caller may
  // ask to stop or save in between. Those that learn online share the core in pairs: give several; others follow one another.
  void (*q_train)(const QTrainingRules& rules, const QReplica* replicas, std::uint32_t count, std::uint64_t turns);
  // Episodes first .. first + count - 1 of a loaded network; counts as cart_pole_evaluate's.
  void (*q_evaluate)(const QUpdateRules<float>& rules, void* memory, const QEpisodes& episodes, std::uint64_t first,
                     std::uint64_t count, std::uint64_t* counts);
};

namespace scalar {
const LaneExecutor& lane_executor();
}
namespace avx2 {
const LaneExecutor& lane_executor();
}
namespace avx512 {
const LaneExecutor& lane_executor();
}

}  // namespace fryer
