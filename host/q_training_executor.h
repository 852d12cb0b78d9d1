// SPDX-License-Identifier: Apache-2.0
// What each build of the CPU executor offers for trainings of value learners, defined in host/q_training_executor.cpp, which is compiled once
// per instruction set; host/lane_executor.cpp puts it into that build's table.
#pragma once

#include "host/executor_lanes.h"
#include "host/lane_executor.h"

namespace fryer::FRYER_EXECUTOR {

// LaneExecutor::q_train
void train_q_replicas(const QTrainingRules& rules, const QReplica* replicas, std::uint32_t count, std::uint64_t turns);
// LaneExecutor::q_evaluate
void evaluate_q_network(const QUpdateRules<float>& rules, void* memory, const QEpisodes& episodes, std::uint64_t first,
                        std::uint64_t count, std::uint64_t* counts);

}  // namespace fryer::FRYER_EXECUTOR
