// SPDX-License-Identifier: Apache-2.0
// The bodies of the kernels that train value learners: a team of threads trains a replica for so many turns of lane/q_training.h, and takes
// the next one when it has ended. One thread makes a turn's decisions, all of them compute values and updates (q_block.h, q_online.h).
// Between launches replicas lie in slots, one a team. Knows nothing of CUDA.
#pragma once

#include "kernels/q_block.h"
#include "kernels/q_online.h"

namespace fryer {

// What one thread decides and all read: what it decides before values are computed, and after.
struct QTurn {
  bool ended, acts, random, action;
  bool updates;
  QStep<float> step;
};
struct QControl {
  QTrainingState state;
  QTurn turn;
  std::uint64_t turns;  // left of this launch
  std::uint32_t row, training;
  bool begins;
};
inline constexpr int kControlNumbers = (sizeof(QControl) + 15) / 16 * 4;  // in floats

struct QBlockPlaces {
  int weight, target, hidden1, hidden2, value, observation, next, reward, bootstraps, slope, loss, action, loss_sum, index,
      candidate;
  int unit1, unit2, partial, gradient, size;

  QBlockPlaces() = default;
  QBlockPlaces(const QTeamShape& shape, const QPlan& plan) {
    Places places(kControlNumbers);
    const int stride = plan.chunk + 4;
    weight = places.take(plan.weights ? shape.numbers : 0);
    target = places.take(plan.weights ? shape.numbers : 0);
    hidden1 = places.take(shape.rows1 * stride);
    hidden2 = places.take(shape.rows2 * stride);
    value = places.take(2 * plan.chunk);
    observation = places.take(4 * stride);
    next = places.take(4 * stride);
    reward = places.take(plan.chunk);
    bootstraps = places.take(plan.chunk);
    slope = places.take(2 * plan.chunk);
    loss = places.take(plan.chunk);
    action = places.take(plan.chunk);
    loss_sum = places.take(kTreeLanes);
    index = places.take(kMostBatch);
    candidate = places.take(kMostBatch);
    unit1 = places.take(shape.rows1);
    unit2 = places.take(shape.rows2);
    partial = places.take(QNetworkShape::kActions * kTreeLanes);
    gradient = places.take(plan.gradient ? shape.numbers : 0);
    size = places.size();
  }
};

struct QOnlinePlaces {
  QOnlineSamplePlaces sample;
  int weight, m, v, here, there, partial, size;

  QOnlinePlaces() = default;
  QOnlinePlaces(const QTeamShape& shape, const QPlan& plan) : sample(shape) {
    Places places(kControlNumbers);
    const int parameters = plan.weights ? shape.numbers : 0;
    weight = places.take(parameters);
    m = places.take(parameters);
    v = places.take(parameters);
    here = places.take(sample.size);
    there = places.take(sample.size);
    partial = places.take(QNetworkShape::kActions * kTreeLanes);
    size = places.size();
  }
};

// ---- what a launch is about

// The settings of replicas.
struct QDeviceTraining {
  QTrainingRules rules;
  QTrainingState start{.seed = 0, .epsilon = EpsilonSchedule({}), .adam = AdamSchedule({})};  // but for seed and first episode
  QInitialBounds bounds;
  std::uint32_t update_cost;  // of a turn with an update, in turns without
};

// Replicas that have not begun, and where their rows are.
struct QFreshReplicas {
  const std::uint64_t* seed;
  const std::uint32_t *row, *training;
  std::uint64_t count;
};

// Where rows go. A failed replica has NaN (0x7fc00000) in every parameter.
struct QRowMemory {
  std::uint8_t* status;
  std::uint32_t* updates;
  std::uint64_t *episodes, *steps;  // episodes: those that count
  std::uint32_t* counted;           // the same
  float* parameter;                 // (parameters, stride)
  std::uint32_t* outcome;           // (episodes, stride), `none` beyond those played; or null
  std::uint64_t stride, outcomes;   // outcomes: episodes that there are rows for
  std::uint32_t none;
};

// Sums over the replicas that ended each counted episode, added to; squares in two limbs of 32 bits; or null.
struct QCurveMemory {
  std::uint64_t *count, *outcome, *square_high, *square_low;
};

// A team's replica between two launches.
struct QSlot {
  QTrainingState state{.seed = 0, .epsilon = EpsilonSchedule({}), .adam = AdamSchedule({})};
  std::uint32_t row, training;
};
inline constexpr std::uint32_t kNoRow = 0xffffffffu;

struct QLaunch {
  QNetworkShape network;  // of all replicas
  QTeamShape shape;
  QPlan plan;
  QBlockPlaces block;  // of either kind of learner that one
  QOnlinePlaces online;
  const QOnlineQuad* quads;  // of the shape
  int quad_count;
  const QDeviceTraining* training;
  QFreshReplicas fresh;
  std::uint64_t* next;             // the first fresh replica not yet taken
  std::uint64_t* running;          // teams that have a replica at the end of the launch are added to it
  std::uint64_t* finished;         // counted episodes that ended, or that a training which ended did not need, are added to it
  std::uint64_t* warmup_episodes;  // those of trainings that ended are added to it
  std::uint64_t turns;             // of each team, at most, but for the cost of its last
  QRowMemory rows;
  QCurveMemory curve;
  // By slot.
  QSlot* slot;
  float* learner;  // (slots, kQSlotArrays, QTeamShape::numbers)
  Transition* replay;
  std::uint64_t transitions;  // a slot
  std::uint32_t* outcomes;
  std::uint64_t kept;  // a slot
};

// Arrays of a slot, in their order; of online learning without the second and the last.
inline constexpr int kWeightArray = 0, kTargetArray = 1, kMArray = 2, kVArray = 3, kGradientArray = 4, kQSlotArrays = 5;

// ---- a team's memory

// A slot's arrays, and which of them live in fast memory while a replica is trained: made of memory by either kind of learner.
template <bool kFast>
struct BlockLearner {
  template <TeamLike Team>
  using Network = QBlockNetwork<Team>;
  using Memory = QBlockMemory;

  static FRYER_LANE Memory memory(const QLaunch& launch, float* fast, float* slow, Transition* slots) {
    const QBlockPlaces& p = launch.block;
    const auto array = [&](int i) FRYER_INLINE_LAMBDA { return slow + i * launch.shape.numbers; };
    const auto words = [&](int place) FRYER_INLINE_LAMBDA { return reinterpret_cast<std::uint32_t*>(fast + place); };
    return {launch.shape,
            kFast ? fast + p.weight : array(kWeightArray),
            kFast ? fast + p.target : array(kTargetArray),
            array(kMArray),
            array(kVArray),
            launch.plan.gradient ? fast + p.gradient : array(kGradientArray),
            {launch.plan.chunk, fast + p.hidden1, fast + p.hidden2, fast + p.value},
            fast + p.observation,
            fast + p.next,
            fast + p.reward,
            fast + p.bootstraps,
            fast + p.slope,
            fast + p.loss,
            words(p.action),
            fast + p.loss_sum,
            words(p.index),
            words(p.candidate),
            {fast + p.unit1, fast + p.unit2, fast + p.partial},
            slots};
  }
  static FRYER_LANE int size(const QLaunch& launch) { return launch.block.size; }
  // Calls body(fast array, slow array) for those that are in both.
  template <class Body>
  static FRYER_LANE void for_each_array(const Memory& memory, float* slow, const Body& body) {
    if (!kFast) return;
    body(memory.weight, slow + kWeightArray * memory.shape.numbers);
    body(memory.target, slow + kTargetArray * memory.shape.numbers);
  }
};

template <bool kFast>
struct OnlineLearner {
  template <TeamLike Team>
  using Network = QOnlineNetwork<Team>;
  using Memory = QOnlineMemory;

  static FRYER_LANE Memory memory(const QLaunch& launch, float* fast, float* slow, Transition* slots) {
    const QOnlinePlaces& p = launch.online;
    const auto array = [&](int place, int i)
                           FRYER_INLINE_LAMBDA { return kFast ? fast + place : slow + i * launch.shape.numbers; };
    return {launch.shape,
            p.sample,
            array(p.weight, kWeightArray),
            array(p.m, kMArray),
            array(p.v, kVArray),
            fast + p.here,
            fast + p.there,
            fast + p.partial,
            launch.quads,
            launch.quad_count,
            slots};
  }
  static FRYER_LANE int size(const QLaunch& launch) { return launch.online.size; }
  template <class Body>
  static FRYER_LANE void for_each_array(const Memory& memory, float* slow, const Body& body) {
    if (!kFast) return;
    body(memory.weight, slow + kWeightArray * memory.shape.numbers);
    body(memory.m, slow + kMArray * memory.shape.numbers);
    body(memory.v, slow + kVArray * memory.shape.numbers);
  }
};

// ---- a team at work

// Turns of the replica in control, until it has ended or those of the launch are spent.
template <TeamLike Team, class Network>
FRYER_LANE void run_turns(const Team& team, const QDeviceTraining& training, Network& network, QControl& control,
                          Transition* slots, std::uint32_t* outcomes) {
  const QTrainingRules& rules = training.rules;
  QTrainingState& state = control.state;
  QTurn& turn = control.turn;
  const bool decides = team.thread() == 0;
  for (;;) {
    if (decides) {
      turn.ended = state.status != ReplicaStatus::unfinished || control.turns == 0;
      turn.acts = !turn.ended && state.updates_due == 0;
      if (turn.acts) {
        const Exploration choice = explore(rules, state);
        turn.random = choice.random;
        turn.action = choice.action;
      }
    }
    team.sync();
    if (turn.ended) break;
    float value[QNetworkShape::kActions] = {0, 0};
    const bool knows_values = turn.acts && !turn.random;
    if (knows_values) network.values(state.observation, value);
    if (decides) {
      if (turn.acts) {
        if (!turn.random) turn.action = greedy_action(value);
        if (turn.random || finite_values(value)) {
          const std::uint64_t slot = state.steps % rules.replay_capacity;
          slots[slot] = fryer::make_step(rules, state, turn.action);
        } else {
          state.status = ReplicaStatus::failed;
        }
      }
      turn.updates = state.status == ReplicaStatus::unfinished && state.updates_due != 0;
      if (turn.updates) turn.step = begin_update(rules, state);
    }
    team.sync();
    const bool updates = turn.updates;
    const bool finite = !updates || network.update(state, turn.step, knows_values);
    if (decides) {
      if (!finite) state.status = ReplicaStatus::failed;
      end_turn(rules, state, outcomes);
      const std::uint64_t cost = updates ? training.update_cost : 1;
      control.turns = control.turns > cost ? control.turns - cost : 0;
    }
  }
  team.sync();
}

// The learner of a seed before its first update, in slow memory: the arrays' numbers beyond the parameters stay as they are, 0.
template <TeamLike Team>
FRYER_LANE void begin_learner(const Team& team, const QLaunch& launch, const QInitialBounds& bounds, std::uint64_t seed,
                              float* slow) {
  const QTeamShape& here = launch.shape;
  const int size = here.numbers;
  for_each_of(team, (launch.network.parameters() + 3) / 4, [&](int block) FRYER_INLINE_LAMBDA {
    initialise_q_parameters(launch.network, bounds, seed, block, [&](int i, float p) FRYER_INLINE_LAMBDA {
      const int at = team_place(here, i);
      slow[kWeightArray * size + at] = slow[kTargetArray * size + at] = p;
    });
  });
  for_each_of(team, size, [&](int i) FRYER_INLINE_LAMBDA { slow[kMArray * size + i] = slow[kVArray * size + i] = 0; });
}

// What came of a training that has ended.
template <TeamLike Team>
FRYER_LANE void write_row(const Team& team, const QLaunch& launch, const QControl& control, const float* weight,
                          const std::uint32_t* outcomes) {
  const QTrainingState& state = control.state;
  const QRowMemory& rows = launch.rows;
  const std::uint64_t row = control.row, counted = state.counted_episodes();
  const bool failed = state.status == ReplicaStatus::failed;
  if (team.thread() == 0) {
    rows.status[row] = static_cast<std::uint8_t>(state.status);
    rows.updates[row] = static_cast<std::uint32_t>(state.updates);
    rows.episodes[row] = counted;
    rows.counted[row] = static_cast<std::uint32_t>(counted);
    rows.steps[row] = state.steps;
    team.add(launch.warmup_episodes, state.warmup_episodes);
  }
  for_each_parameter_of(team, launch.shape, [&](int i, int at) FRYER_INLINE_LAMBDA {
    rows.parameter[static_cast<std::uint64_t>(i) * rows.stride + row] = failed ? from_bits(kFailedParameterBits) : weight[at];
  });
  if (rows.outcome != nullptr) {
    for (std::uint64_t e = team.thread(); e < rows.outcomes; e += team.threads())
      rows.outcome[e * rows.stride + row] = e < counted ? outcomes[e] : rows.none;
  }
  if (launch.curve.count != nullptr) {
    for (std::uint64_t e = team.thread(); e < counted; e += team.threads()) {
      const std::uint64_t outcome = outcomes[e], square = outcome * outcome;
      team.add(launch.curve.count + e, std::uint64_t{1});
      team.add(launch.curve.outcome + e, outcome);
      team.add(launch.curve.square_high + e, square >> 32);
      team.add(launch.curve.square_low + e, square & 0xffffffffu);
    }
  }
}

// A launch's part of one team. fast: Learner::size() numbers, aligned to 16 bytes.
template <class Learner, TeamLike Team>
FRYER_LANE void q_train_body(const Team& team, std::uint32_t place, const QLaunch& launch, float* fast) {
  QControl& control = *reinterpret_cast<QControl*>(fast);
  QSlot& slot = launch.slot[place];
  float* const slow = launch.learner + std::uint64_t{place} * kQSlotArrays * static_cast<std::uint64_t>(launch.shape.numbers);
  Transition* const slots = launch.replay + place * launch.transitions;
  std::uint32_t* const outcomes = launch.outcomes + place * launch.kept;
  const typename Learner::Memory memory = Learner::memory(launch, fast, slow, slots);
  const bool decides = team.thread() == 0;

  const auto take = [&]() FRYER_INLINE_LAMBDA {
    const std::uint64_t taken = team.take(launch.next);
    if (taken >= launch.fresh.count) return;
    control.row = launch.fresh.row[taken];
    control.training = launch.fresh.training[taken];
    const QDeviceTraining& training = launch.training[control.training];
    control.state = training.start;
    control.state.seed = launch.fresh.seed[taken];
    begin_episode(training.rules, control.state);
    control.begins = true;
  };

  for (int i = kControlNumbers + static_cast<int>(team.thread()); i < Learner::size(launch);
       i += static_cast<int>(team.threads()))
    fast[i] = 0;
  if (decides) {
    control.begins = false;
    control.turns = launch.turns;
    control.row = slot.row;
    control.training = slot.training;
    if (slot.row == kNoRow) {
      take();
    } else {
      control.state = slot.state;
    }
  }
  team.sync();
  while (control.row != kNoRow) {
    const QDeviceTraining& training = launch.training[control.training];
    if (control.begins) {
      begin_learner(team, launch, training.bounds, control.state.seed, slow);
      team.sync();
    }
    const auto copy = [&](float* to, const float* from) FRYER_INLINE_LAMBDA {
      for_each_of(team, memory.shape.numbers / 4,
                  [&](int i) FRYER_INLINE_LAMBDA { store_four(to + 4 * i, load_four(from + 4 * i)); });
    };
    Learner::for_each_array(memory, slow, copy);
    const std::uint64_t counted = control.state.counted_episodes();
    team.sync();
    typename Learner::template Network<Team> network(team, training.rules, memory);
    run_turns(team, training, network, control, slots, outcomes);

    const bool ended = control.state.status != ReplicaStatus::unfinished;
    const std::uint64_t now = ended ? training.rules.episodes : control.state.counted_episodes();
    if (decides && now != counted) team.add(launch.finished, now - counted);
    if (!ended) {
      Learner::for_each_array(memory, slow, [&](const float* from, float* to) FRYER_INLINE_LAMBDA { copy(to, from); });
      break;
    }
    write_row(team, launch, control, memory.weight, outcomes);
    team.sync();
    if (decides) {
      control.row = kNoRow;
      if (control.turns != 0) take();
    }
    team.sync();
  }
  if (!decides) return;
  slot.row = control.row;
  slot.training = control.training;
  slot.state = control.state;
  if (control.row != kNoRow) team.add(launch.running, std::uint64_t{1});
}

}  // namespace fryer
