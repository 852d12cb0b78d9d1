// SPDX-License-Identifier: Apache-2.0
// Trainings of value learners by the executor's Q network. Compiled once per instruction set, and apart from the network itself, so
// that the loop does not change what the compiler makes of an update.
#include "host/q_training_lanes.h"

namespace fryer::FRYER_EXECUTOR {

void train_q_replicas(const QTrainingRules& rules, const QReplica* replicas, std::uint32_t count, std::uint64_t turns) {
  if (rules.learns_online()) {
    OnlineTrainer(rules, replicas, count).train(turns);
  } else {
    for (std::uint32_t i = 0; i < count; ++i) train_with_replay(rules, replicas[i], turns);
  }
}

void evaluate_q_network(const QUpdateRules<float>& rules, void* memory, const QEpisodes& episodes, std::uint64_t first,
                        std::uint64_t count, std::uint64_t* counts) {
  play_q_episodes(rules, memory, episodes, first, count, counts);
}

}  // namespace fryer::FRYER_EXECUTOR
