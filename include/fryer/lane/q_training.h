// SPDX-License-Identifier: Apache-2.0
// Lane program: a whole training of a value learner on CartPole. DQN (Mnih et al. 2015) with a replay ring, and online Q-learning, which is the
// same with a ring of one transition. What happens when stands here once, as a loop over turns; how values and updates are computed is
// a parameter: the reference below, or an executor's (host/q_training_lanes.h). Between two turns a training's whole state is
// QTrainingState, the learner's four arrays, the ring and the outcomes: it may be left, saved and gone on with there. No heap.
//
// A turn: (1) unless updates are due, one step: explore or take the greedy action, store the transition; (2) one update, if any is due;
// (3) when the episode has ended and no update is due, count it and reset. Random numbers: an episode's number counts from 0, warm-up
// included (purposes reset and exploration, whose block t is of step t); updates count from 0 too (replay sampling).
#pragma once

#include "fryer/env/cart_pole.h"
#include "fryer/lane/q_update.h"
#include "fryer/lane/replica_training.h"

namespace fryer {

// Whether an episode that was cut off by max_steps still has a future.
enum class Truncation {
  bootstrap,  // its last target uses the next observation's value, as any other's does
  terminal,   // it has none: the workshop's treatment
};

// What a user sets. Defaults: the field's DQN. Counts are 1 or more unless said otherwise; nothing is checked here.
struct QTrainingSettings {
  CartPole::Settings environment;
  QNetworkShape shape;
  Initialisation initialisation = Initialisation::torch;
  QLearningSettings learning;
  OptimizerSettings optimizer{.learning_rate = 1e-3};
  EpsilonSettings epsilon;                 // its steps count from the training's first, warm-up included
  std::uint32_t batch = 128;               // 1 .. kMostBatch; Bootstrap::residual takes 1, and learns online
  std::uint64_t replay_capacity = 100000;  // transitions, 1 .. kMostTransitions; 1 with a batch of 1: online learning
  std::uint64_t warmup_steps = 1000;       // random steps without updates; may be 0
  bool warmup_in_whole_episodes = false;   // the warm-up's last episode is played to its end
  std::uint64_t train_every = 1;           // steps, warm-up included, between two rounds of updates
  std::uint32_t gradient_steps = 1;        // updates a round
  bool updates_after_last_step = true;     // of an episode
  bool terminal_mask = true;               // targets of an episode's end have no future; false: as if it went on
  Truncation truncation = Truncation::bootstrap;
  double reward_scale = 1;       // multiplies each step's reward, not what is reported
  std::uint64_t episodes = 500;  // that do not lie in the warm-up as a whole
  // Stop once the last `window` of them have outcomes that sum to window_target or more; window 0: never.
  std::uint32_t window = 0;
  std::uint64_t window_target = 0;
  bool keeps_every_outcome = true;  // or only the window's
};

// The same narrowed once; what is the same for all turns of a training. Trivially copyable.
struct QTrainingRules {
  QUpdateRules<float> update;
  CartPole::Rules<float> environment;
  std::uint32_t max_steps;
  float reward_inside, reward_outside;  // of a step that ends within, or beyond, the limits
  bool counts_steps;                    // an episode's outcome is its length; else 1 if it was not terminated, 0 if it was
  std::uint64_t replay_capacity, warmup_steps, train_every, target_every;
  std::uint32_t gradient_steps;
  bool warmup_in_whole_episodes, updates_after_last_step, terminal_mask, truncation_bootstraps;
  std::uint64_t episodes, window_target;
  std::uint32_t window;
  std::uint64_t kept_outcomes;  // outcome of counted episode e is in place e % kept_outcomes

  // Transitions stored after so many steps: every step stores one.
  FRYER_LANE std::uint64_t stored(std::uint64_t steps) const { return steps < replay_capacity ? steps : replay_capacity; }
  // Every update uses the transition just made, and the network is its own target.
  FRYER_LANE bool learns_online() const {
    return replay_capacity == 1 && update.batch == 1 && !update.learning.has_target_network();
  }
};

inline QTrainingRules make_q_training_rules(const QTrainingSettings& s) {
  QTrainingRules r;
  r.update = make_q_update_rules<float>(s.shape, s.learning, s.optimizer, s.batch);
  r.environment = CartPole::make_rules<float>(s.environment);
  r.max_steps = s.environment.max_steps;
  const bool sutton_barto = s.environment.sutton_barto_reward;
  r.reward_inside = static_cast<float>(sutton_barto ? 0.0 : s.reward_scale);
  r.reward_outside = static_cast<float>(sutton_barto ? -s.reward_scale : s.reward_scale);
  r.counts_steps = !sutton_barto;
  r.replay_capacity = s.replay_capacity;
  r.warmup_steps = s.warmup_steps;
  r.train_every = s.train_every;
  r.target_every = s.learning.target_every;
  r.gradient_steps = s.gradient_steps;
  r.warmup_in_whole_episodes = s.warmup_in_whole_episodes;
  r.updates_after_last_step = s.updates_after_last_step;
  r.terminal_mask = s.terminal_mask;
  r.truncation_bootstraps = s.truncation == Truncation::bootstrap;
  r.episodes = s.episodes;
  r.window = s.window;
  r.window_target = s.window_target;
  const std::uint64_t fewest = s.window == 0 ? 1 : s.window;
  r.kept_outcomes = s.keeps_every_outcome && s.episodes > fewest ? s.episodes : fewest;
  return r;
}

// The most transitions that a training ever stores at once: what its ring needs, which is less than the capacity where that is never
// reached.
inline std::uint64_t most_transitions(const QTrainingSettings& s) {
  const std::uint64_t longest = s.environment.max_steps;
  const auto capacity = s.replay_capacity;
  if (s.warmup_steps >= capacity || s.episodes >= capacity) return capacity;  // every episode has a step
  const std::uint64_t most = s.warmup_steps + longest + s.episodes * longest;
  return most < capacity ? most : capacity;
}

// A training between two turns. Trivially copyable: it is saved as it is.
struct QTrainingState {
  std::uint64_t seed;
  EpsilonSchedule epsilon;
  AdamSchedule adam;
  ReplicaStatus status = ReplicaStatus::unfinished;
  // Made so far; of a failed training: the number of the update after which a number was not finite, or before the step that found one.
  std::uint64_t updates = 0;
  std::uint64_t episodes = 0, warmup_episodes = 0;  // ended; those of them that lie in the warm-up as a whole
  std::uint64_t steps = 0;       // also the transitions ever stored: the next goes to slot steps % replay_capacity
  std::uint64_t window_sum = 0;  // outcomes of the last QTrainingRules::window counted episodes
  float observation[4] = {};
  std::uint32_t episode_steps = 0;  // of the current episode
  std::uint32_t updates_due = 0;
  bool terminated = false, truncated = false;  // the last step ended its episode, which is not counted yet

  FRYER_LANE std::uint64_t counted_episodes() const { return episodes - warmup_episodes; }
};

// ---- what a turn is made of

FRYER_LANE void begin_episode(const QTrainingRules& rules, QTrainingState& s) {
  CartPole::start<float>(rules.environment, random_block(s.seed, Purpose::reset, s.episodes), s.observation);
  s.episode_steps = 0;
  s.terminated = s.truncated = false;
}

// Whether step number `step` of the training, which the current episode had `before` steps before, is one of the warm-up.
FRYER_LANE bool is_warmup(const QTrainingRules& rules, std::uint64_t step, std::uint64_t before) {
  return (rules.warmup_in_whole_episodes ? step - before : step) < rules.warmup_steps;
}

// Whether the next action is random, and which one it is then. Moves the epsilon schedule on, which counts every step of the training.
struct Exploration {
  bool random, action;
};
FRYER_LANE Exploration explore(const QTrainingRules& rules, QTrainingState& s) {
  const double epsilon = s.epsilon.next();
  const bool warmup = is_warmup(rules, s.steps, s.episode_steps);
  if (!warmup && !(epsilon > 0)) return {false, false};
  const RandomBlock<std::uint32_t> block = exploration_block(s.seed, s.episodes, s.episode_steps);
  return {warmup || explores(block, epsilon), random_action(block)};
}

// One step of the environment; says how many updates are due after it.
FRYER_LANE Transition make_step(const QTrainingRules& rules, QTrainingState& s, bool action) {
  Transition t{};
  float next[4];
  CartPole::step_by_rules<float>(rules.environment, s.observation, action, next);
  const bool inside = CartPole::inside<float>(rules.environment, true, next);
  const bool warmup = is_warmup(rules, s.steps, s.episode_steps);
  ++s.steps;
  ++s.episode_steps;
  s.terminated = !inside;
  s.truncated = s.episode_steps == rules.max_steps;
  const bool future = inside && (!s.truncated || rules.truncation_bootstraps);
  for (int i = 0; i < 4; ++i) {
    t.observation[i] = s.observation[i];
    t.next_observation[i] = s.observation[i] = next[i];
  }
  t.reward = inside ? rules.reward_inside : rules.reward_outside;
  t.bootstraps = future || !rules.terminal_mask ? 1.0f : 0.0f;
  t.action = action ? 1 : 0;
  const bool updates = !warmup && s.steps % rules.train_every == 0 && rules.stored(s.steps) >= rules.update.batch &&
                       (rules.updates_after_last_step || !(s.terminated || s.truncated));
  s.updates_due = updates ? rules.gradient_steps : 0;
  return t;
}

// What the next update needs besides its batch; counts it.
FRYER_LANE QStep<float> begin_update(const QTrainingRules& rules, QTrainingState& s) {
  const AdamSchedule::Factors f = s.adam.next();
  ++s.updates;
  --s.updates_due;
  return {static_cast<float>(f.step), static_cast<float>(f.root_scale), s.updates % rules.target_every == 0};
}

// After a turn: if the episode ended and no update of it is due, count it, and begin the next one or end the training.
// outcomes: (rules.kept_outcomes).
FRYER_LANE void end_turn(const QTrainingRules& rules, QTrainingState& s, std::uint32_t* outcomes) {
  if (s.status != ReplicaStatus::unfinished || s.updates_due != 0 || !(s.terminated || s.truncated)) return;
  const std::uint32_t outcome = rules.counts_steps ? s.episode_steps : s.terminated ? 0u : 1u;
  const std::uint64_t counted = s.counted_episodes();
  ++s.episodes;
  if (is_warmup(rules, s.steps - 1, s.episode_steps - 1)) {
    ++s.warmup_episodes;
  } else {
    bool solved = false;
    if (rules.window != 0) {
      const std::uint32_t oldest = counted >= rules.window ? outcomes[(counted - rules.window) % rules.kept_outcomes] : 0u;
      s.window_sum += outcome - std::uint64_t{oldest};
      solved = counted + 1 >= rules.window && s.window_sum >= rules.window_target;
    }
    outcomes[counted % rules.kept_outcomes] = outcome;
    if (solved) {
      s.status = ReplicaStatus::solved;
    } else if (counted + 1 == rules.episodes) {
      s.status = ReplicaStatus::finished;
    }
  }
  begin_episode(rules, s);
}

// Trains one replica for at most `turns` turns; it has ended when state.status says so. Network:
//   void values(const float (&observation)[4], float (&value)[2])        the online network's
//   void store(std::uint64_t slot, const Transition& transition)
//   bool update(const QTrainingState& state, const QStep<float>& step)   update state.updates - 1; whether everything was finite
template <class Network>
FRYER_LANE void train_q_replica(const QTrainingRules& rules, Network& network, QTrainingState& state, std::uint32_t* outcomes,
                                std::uint64_t turns) {
  for (; turns != 0 && state.status == ReplicaStatus::unfinished; --turns) {
    if (state.updates_due == 0) {
      Exploration choice = explore(rules, state);
      if (!choice.random) {
        float value[QNetworkShape::kActions];
        network.values(state.observation, value);
        if (!finite_values(value)) {
          state.status = ReplicaStatus::failed;
          return;
        }
        choice.action = greedy_action(value);
      }
      const std::uint64_t slot = state.steps % rules.replay_capacity;
      network.store(slot, make_step(rules, state, choice.action));
    }
    if (state.updates_due != 0) {
      const QStep<float> step = begin_update(rules, state);
      if (!network.update(state, step)) state.status = ReplicaStatus::failed;
    }
    end_turn(rules, state, outcomes);
  }
}

// ---- a replica's start and end, on the host

// The learner of a seed before its first update. Arrays as QLearner has them; null ones are left out.
inline void start_q_learner(const QTrainingSettings& settings, std::uint64_t seed, const QLearner<float>& learner) {
  initialise_q_network(settings.shape, initial_bounds(settings.initialisation, settings.shape), seed, learner.weight);
  for (int i = 0; i < settings.shape.parameters(); ++i) {
    if (learner.target != nullptr) learner.target[i] = learner.weight[i];
    if (learner.m != nullptr) learner.m[i] = 0;
    if (learner.v != nullptr) learner.v[i] = 0;
  }
}

// The training of a seed before its first turn.
inline QTrainingState start_q_training(const QTrainingSettings& settings, const QTrainingRules& rules, std::uint64_t seed) {
  QTrainingState state{.seed = seed, .epsilon = EpsilonSchedule(settings.epsilon), .adam = AdamSchedule(settings.optimizer)};
  begin_episode(rules, state);
  return state;
}

// The parameters that a training's row shows: those of a failed one mean nothing.
inline void hide_failed_parameters(const QTrainingState& state, int parameters, float* parameter) {
  if (state.status != ReplicaStatus::failed) return;
  for (int i = 0; i < parameters; ++i) parameter[i] = from_bits(kFailedParameterBits);
}

// ---- the reference

// The scalar reference's way to compute values and updates. batch: (rules.update.batch), gradient: (shape.parameters()), both scratch;
// slots: (rules.replay_capacity).
struct ReferenceQNetwork {
  const QTrainingRules& rules;
  QLearner<float> learner;
  Transition *slots, *batch;
  float* gradient;

  void values(const float (&observation)[4], float (&value)[2]) const {
    QActivations<float> a;
    q_forward(rules.update.shape, learner.weight, observation, a);
    value[0] = a.value[0];
    value[1] = a.value[1];
  }
  void store(std::uint64_t slot, const Transition& transition) const { slots[slot] = transition; }
  bool update(const QTrainingState& state, const QStep<float>& step) const {
    std::uint32_t index[kMostBatch];
    sample_replay<float>(make_uniform_key(state.seed), state.updates - 1, rules.stored(state.steps), rules.update.batch, index);
    for (std::uint32_t n = 0; n < rules.update.batch; ++n) batch[n] = slots[index[n]];
    return q_update(rules.update, batch, step, learner, gradient).finite;
  }
};

}  // namespace fryer
