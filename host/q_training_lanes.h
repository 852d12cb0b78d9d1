// SPDX-License-Identifier: Apache-2.0
// The training loop of lane/q_training.h around an executor's Q network: one replica with a replay ring, the next update's transitions fetched
// while an update runs; or online replicas, two in flight. Included only by host/q_training_executor.cpp, which is compiled once
// per instruction set.
#pragma once

#include "fryer/lane/q_episode.h"
#include "fryer/lane/q_training.h"
#include "host/q_network_executor.h"
#include "host/q_training_executor.h"

namespace fryer::FRYER_EXECUTOR {

// ---- with replay

// The executor's way to compute values and updates. Which transitions the next update uses follows from its number and how many will be
// stored then: they are chosen before an update and are in the cache after it (80 ns instead of 750 to gather 128 of a ring of 1e6,
// Zen 5). A guess that was wrong is made anew: no bit depends on it.
class ReplayNetwork {
 public:
  FRYER_LANE ReplayNetwork(const QTrainingRules& rules, const QReplica& replica)
      : rules_(rules), replica_(replica), key_(make_uniform_key(replica.state->seed)) {}

  FRYER_LANE void values(const float (&observation)[4], float (&value)[2]) const {
    kQNetworkFunctions.values(rules_.update, replica_.memory, observation, 1, value);
  }
  FRYER_LANE void store(std::uint64_t slot, const Transition& transition) const { replica_.slots[slot] = transition; }
  FRYER_LANE bool update(const QTrainingState& state, const QStep<float>& step) {
    const std::uint64_t number = state.updates - 1, stored = rules_.stored(state.steps);
    const std::uint32_t* const index = choose(number, stored);
    const std::uint64_t steps_until_next = state.updates_due != 0 ? 0 : rules_.train_every;
    const std::uint32_t* const next = choose(number + 1, rules_.stored(state.steps + steps_until_next));
    for (std::uint32_t n = 0; n < rules_.update.batch; ++n) {
      if (next[n] < stored) __builtin_prefetch(replica_.slots + next[n]);
    }
    return kQNetworkFunctions.update(rules_.update, replica_.memory, replica_.slots, index, step).finite;
  }

 private:
  struct Choice {
    std::uint64_t update = 0, stored = 0;  // stored 0: none yet
    std::uint32_t index[kMostBatch];
  };

  FRYER_LANE const std::uint32_t* choose(std::uint64_t update, std::uint64_t stored) {
    Choice& choice = choices_[update % 2];
    if (choice.update != update || choice.stored != stored) {
      kQNetworkFunctions.sample(key_, update, stored, rules_.update.batch, choice.index);
      choice.update = update;
      choice.stored = stored;
    }
    return choice.index;
  }

  const QTrainingRules& rules_;
  const QReplica& replica_;
  const UniformKey key_;
  Choice choices_[2];
};

inline void train_with_replay(const QTrainingRules& rules, const QReplica& replica, std::uint64_t turns) {
  ReplayNetwork network(rules, replica);
  train_q_replica(rules, network, *replica.state, replica.outcomes, turns);
}

// ---- online

// train_q_replica() for replicas that go through a turn together; what each does in it is the same.
class OnlineTrainer {
 public:
  FRYER_LANE OnlineTrainer(const QTrainingRules& rules, const QReplica* replicas, std::uint32_t count)
      : rules_(rules), replicas_(replicas), count_(count) {}

  // Each replica makes `turns` turns, or ends before: all of a pair before the next replica is taken, so that a learner stays in the cache.
  FRYER_LANE void train(std::uint64_t turns) {
    if (turns == 0) return;
    take_replicas(turns);
    while (in_flight_ != 0) {
      turn();
      std::uint32_t kept = 0;
      for (std::uint32_t i = 0; i < in_flight_; ++i) {
        if (--turns_[i] == 0 || flight_[i]->state->status != ReplicaStatus::unfinished) continue;
        flight_[kept] = flight_[i];
        turns_[kept++] = turns_[i];
      }
      if (kept == in_flight_) continue;
      in_flight_ = kept;
      take_replicas(turns);
    }
  }

 private:
  static constexpr std::uint32_t kInFlight = 2;  // as QNetworkFunctions::online_values pairs them

  FRYER_LANE void take_replicas(std::uint64_t turns) {
    for (; in_flight_ < kInFlight && next_ < count_; ++next_) {
      if (replicas_[next_].state->status != ReplicaStatus::unfinished) continue;
      flight_[in_flight_] = &replicas_[next_];
      turns_[in_flight_++] = turns;
    }
  }

  FRYER_LANE void turn() {
    void* memory[kInFlight];
    float observation[kInFlight][4], value[kInFlight][2];
    for (std::uint32_t i = 0; i < in_flight_; ++i) {
      const QReplica& r = *flight_[i];
      memory[i] = r.memory;
      // A further update by the same transition begins with its observation's values, too.
      const float(&from)[4] = r.state->updates_due == 0 ? r.state->observation : r.slots->observation;
      for (int k = 0; k < 4; ++k) observation[i][k] = from[k];
    }
    kQNetworkFunctions.online_values(rules_.update, memory, observation[0], in_flight_, value[0]);

    std::uint32_t updating = 0;
    QReplica const* updated[kInFlight];
    Transition transition[kInFlight];
    QStep<float> step[kInFlight];
    for (std::uint32_t i = 0; i < in_flight_; ++i) {
      const QReplica& r = *flight_[i];
      QTrainingState& state = *r.state;
      if (state.updates_due == 0) {
        const Exploration choice = explore(rules_, state);
        if (!choice.random && !finite_values(value[i])) {
          state.status = ReplicaStatus::failed;
          continue;
        }
        *r.slots = make_step(rules_, state, choice.random ? choice.action : greedy_action(value[i]));
      }
      if (state.updates_due == 0) continue;
      memory[updating] = r.memory;
      transition[updating] = *r.slots;
      step[updating] = begin_update(rules_, state);
      updated[updating++] = &r;
    }
    QUpdateResult<float> result[kInFlight];
    if (updating != 0) kQNetworkFunctions.online_update(rules_.update, memory, transition, step, updating, result);
    for (std::uint32_t u = 0; u < updating; ++u) {
      if (!result[u].finite) updated[u]->state->status = ReplicaStatus::failed;
    }
    for (std::uint32_t i = 0; i < in_flight_; ++i) end_turn(rules_, *flight_[i]->state, flight_[i]->outcomes);
  }

  const QTrainingRules& rules_;
  const QReplica* const replicas_;
  const std::uint32_t count_;
  std::uint32_t next_ = 0, in_flight_ = 0;
  const QReplica* flight_[kInFlight];
  std::uint64_t turns_[kInFlight];
};

// ---- greedy episodes

// So many are in flight at once, for their values together; one that ends gives its place to the next.
inline void play_q_episodes(const QUpdateRules<float>& rules, void* memory, const QEpisodes& episodes, std::uint64_t first,
                            std::uint64_t count, std::uint64_t* counts) {
  constexpr std::uint32_t kInFlight = 64;
  QEpisode flight[kInFlight];
  float observation[kInFlight][4], value[kInFlight][2];
  std::uint32_t in_flight = 0;
  const std::uint64_t end = first + count;
  while (true) {
    for (; in_flight < kInFlight && first < end; ++first) begin_q_episode(episodes, first, flight[in_flight++]);
    if (in_flight == 0) return;
    for (std::uint32_t i = 0; i < in_flight; ++i) {
      for (int k = 0; k < 4; ++k) observation[i][k] = flight[i].observation[k];
    }
    kQNetworkFunctions.values(rules, memory, observation[0], in_flight, value[0]);
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < in_flight; ++i) {
      QEpisode& e = flight[i];
      if (advance_q_episode(episodes, value[i], e)) {
        ++counts[2 * std::uint64_t{e.steps} + (e.terminated ? 1 : 0)];
      } else {
        flight[kept++] = e;
      }
    }
    in_flight = kept;
  }
}

}  // namespace fryer::FRYER_EXECUTOR
