// SPDX-License-Identifier: Apache-2.0
// Statistics over replicas on the CPU: the templates of engine/statistics.h on Thrust's TBB backend.
#pragma once

#include "fryer/engine/backend.h"

namespace fryer {

// Fills the summaries of a population from its table.
void summarise_population(Population& population);

// (updates, kQuantiles.size()): order statistics of the successes of each update's batch, over the replicas that made it.
// correct: (updates, replicas) correct orders.
std::vector<std::uint32_t> curve_quantiles(const ReplicaWork& work, const ReplicaTable& table,
                                           const std::vector<std::uint32_t>& correct);

// The same of any outcomes, by partial sorting.
std::vector<std::uint32_t> curve_quantiles_sorting(std::uint64_t updates, const ReplicaTable& table,
                                                   const std::vector<std::uint32_t>& outcomes);

// The same of value learners: (episodes, replicas) outcomes, or kNoOutcome.
std::vector<std::uint32_t> episode_quantiles(std::uint64_t episodes, std::uint64_t replicas,
                                             const std::vector<std::uint32_t>& outcomes);

// What a request asks for besides rows and curve, of a population that has these and the outcomes that it takes. The outcomes go unless
// they were asked for.
void complete_population(const TrainRequest& request, Population& population);
void complete_population(const CartPoleTrainRequest& request, Population& population);
void complete_population(const HiddenTrainRequest& request, Population& population);
void complete_population(const QTrainRequest& request, Population& population);

}  // namespace fryer
