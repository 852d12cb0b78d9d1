// SPDX-License-Identifier: Apache-2.0
// Thrust on TBB, over replicas in host memory.
#include "host/statistics.h"

#include <oneapi/tbb/parallel_for.h>
#include <thrust/system/tbb/execution_policy.h>

#include <algorithm>

#include "fryer/engine/statistics.h"

namespace fryer {
namespace {

template <class Value, class Predicate>
Summary summarise_where(const std::vector<Value>& values, const std::vector<std::uint8_t>& status, Predicate predicate) {
  std::vector<Value> kept(values.size());
  const auto end = thrust::copy_if(thrust::tbb::par, values.begin(), values.end(), status.begin(), kept.begin(), predicate);
  return summarise_sorting(thrust::tbb::par, kept.data(), static_cast<std::uint64_t>(end - kept.begin()));
}

}  // namespace

void summarise_population(Population& population) {
  const ReplicaTable& table = population.table;
  population.parameters.clear();
  for (const std::vector<float>& column : table.parameters) {
    population.parameters.push_back(summarise_where(column, table.status, DidNotFail{}));
  }
  population.solved_updates = summarise_where(table.updates, table.status, Solved{});
  if (!table.steps.empty()) population.solved_steps = summarise_where(table.steps, table.status, Solved{});
  if (!table.episodes.empty()) population.solved_episodes = summarise_where(table.episodes, table.status, Solved{});
}

// Successes are small integers, so a histogram gives the order statistics without a sort.
std::vector<std::uint32_t> curve_quantiles(const ReplicaWork& work, const ReplicaTable& table,
                                           const std::vector<std::uint32_t>& correct) {
  const std::uint64_t replicas = table.size(), updates = work.updates;
  std::vector<std::uint32_t> quantiles(updates * kQuantiles.size());
  oneapi::tbb::parallel_for(std::uint64_t{0}, updates, [&](std::uint64_t u) {
    std::vector<std::uint64_t> histogram(std::uint64_t{work.batch} + 1);
    std::uint64_t n = 0;
    for (std::uint64_t r = 0; r < replicas; ++r) {
      if (table.updates[r] <= u) continue;
      const std::uint32_t k = correct[u * replicas + r];
      ++histogram[work.correct_pays_more ? k : work.batch - k];
      ++n;
    }
    if (n == 0) return;
    std::uint64_t below = 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < kQuantiles.size(); ++i) {
      const std::uint64_t position = quantile_position(kQuantiles[i], n);
      while (below + histogram[value] <= position) below += histogram[value++];
      quantiles[u * kQuantiles.size() + i] = value;
    }
  });
  return quantiles;
}

namespace {

// is_made(point, replica): whether the replica has an outcome there.
template <class IsMade>
std::vector<std::uint32_t> quantiles_of_points(std::uint64_t points, std::uint64_t replicas,
                                               const std::vector<std::uint32_t>& outcomes, const IsMade& is_made) {
  std::vector<std::uint32_t> quantiles(points * kQuantiles.size());
  oneapi::tbb::parallel_for(std::uint64_t{0}, points, [&](std::uint64_t u) {
    std::vector<std::uint32_t> values;
    for (std::uint64_t r = 0; r < replicas; ++r) {
      if (is_made(u, r)) values.push_back(outcomes[u * replicas + r]);
    }
    if (values.empty()) return;
    auto begin = values.begin();
    for (std::size_t i = 0; i < kQuantiles.size(); ++i) {
      const auto middle = values.begin() + static_cast<std::ptrdiff_t>(quantile_position(kQuantiles[i], values.size()));
      std::nth_element(begin, middle, values.end());  // what came before is smaller already
      quantiles[u * kQuantiles.size() + i] = *middle;
      begin = middle;
    }
  });
  return quantiles;
}

}  // namespace

std::vector<std::uint32_t> curve_quantiles_sorting(std::uint64_t updates, const ReplicaTable& table,
                                                   const std::vector<std::uint32_t>& outcomes) {
  return quantiles_of_points(updates, table.size(), outcomes,
                             [&](std::uint64_t u, std::uint64_t r) { return table.updates[r] > u; });
}
std::vector<std::uint32_t> episode_quantiles(std::uint64_t episodes, std::uint64_t replicas,
                                             const std::vector<std::uint32_t>& outcomes) {
  return quantiles_of_points(episodes, replicas, outcomes,
                             [&](std::uint64_t e, std::uint64_t r) { return outcomes[e * replicas + r] != kNoOutcome; });
}

namespace {

// quantiles(outcomes): of the request's kind of curve.
template <class Quantiles>
void complete_with(const TrainDetail& detail, Population& population, const Quantiles& quantiles) {
  if (detail.summaries) summarise_population(population);
  if (detail.curve_quantiles) population.curve_quantiles = quantiles(population.outcomes);
  if (!detail.outcomes) population.outcomes = {};
}

}  // namespace

void complete_population(const TrainRequest& request, Population& population) {
  complete_with(request.detail, population,
                [&](const auto& outcomes) { return curve_quantiles(request.work, population.table, outcomes); });
}
void complete_population(const CartPoleTrainRequest& request, Population& population) {
  complete_with(request.detail, population,
                [&](const auto& outcomes) { return curve_quantiles_sorting(request.updates(), population.table, outcomes); });
}
void complete_population(const HiddenTrainRequest& request, Population& population) {
  complete_with(request.detail, population,
                [&](const auto& outcomes) { return curve_quantiles_sorting(request.updates(), population.table, outcomes); });
}
void complete_population(const QTrainRequest& request, Population& population) {
  complete_with(request.detail, population,
                [&](const auto& outcomes) { return episode_quantiles(request.episodes(), request.replicas(), outcomes); });
}

}  // namespace fryer
