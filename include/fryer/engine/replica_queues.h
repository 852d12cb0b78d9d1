// SPDX-License-Identifier: Apache-2.0
// How backends cut a request for trainings into queues that lanes take rows from: a lane's key schedule shares the seed's high word.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "fryer/engine/backend.h"

namespace fryer {

// Rows first_row .. first_row + rows - 1 of a request, whose seeds have one high word; groups count rows from first_row.
struct ReplicaQueuePart {
  std::uint64_t first_row = 0, rows = 0;
  std::vector<ReplicaGroup> groups;
};

// Parts of at most `most` rows, in order.
inline std::vector<ReplicaQueuePart> queues_of(const std::vector<SeedRange>& ranges,
                                               std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
  constexpr std::uint64_t kSpan = std::uint64_t{1} << 32;
  std::vector<ReplicaQueuePart> parts;
  std::uint64_t high = 0;
  for (const SeedRange& range : ranges) {
    for (std::uint64_t taken = 0; taken < range.replicas;) {
      const std::uint64_t seed = range.first_seed + taken;
      if (parts.empty() || seed / kSpan != high || parts.back().rows == most) {
        const std::uint64_t first_row = parts.empty() ? 0 : parts.back().first_row + parts.back().rows;
        parts.push_back({first_row, 0, {}});
        high = seed / kSpan;
      }
      ReplicaQueuePart& part = parts.back();
      const std::uint64_t count = std::min({range.replicas - taken, kSpan - seed % kSpan, most - part.rows});
      part.groups.push_back({part.rows, seed, range.training});
      part.rows += count;
      taken += count;
    }
  }
  return parts;
}

// What the trainings of a request had made before it: of those that ended, all that they needed.
template <class Policy>
inline std::uint64_t updates_behind(const CartPoleTrainRequestOf<Policy>& request) {
  if (request.states == nullptr) return 0;
  const ReplicaTable& table = request.states->table;
  std::uint64_t sum = 0, row = 0;
  for (const SeedRange& range : request.ranges) {
    for (const std::uint64_t end = row + range.replicas; row < end; ++row) {
      const bool unfinished = table.status[row] == static_cast<std::uint8_t>(ReplicaStatus::unfinished);
      sum += unfinished ? table.updates[row] : request.trainings[range.training].updates;
    }
  }
  return sum;
}

// The same of value learners, in counted episodes.
inline std::uint64_t episodes_behind(const QTrainRequest& request) {
  if (request.states == nullptr) return 0;
  std::uint64_t sum = 0, row = 0;
  for (const SeedRange& range : request.ranges) {
    for (const std::uint64_t end = row + range.replicas; row < end; ++row) {
      const bool unfinished = request.states->table.status[row] == static_cast<std::uint8_t>(ReplicaStatus::unfinished);
      const QTrainingRecord& record = request.states->value_learners[row];
      sum += !unfinished             ? request.trainings[range.training].episodes
             : record.weight.empty() ? 0
                                     : record.state.counted_episodes();
    }
  }
  return sum;
}

// Rows of `replicas` seeds, to be filled.
inline ReplicaTable empty_rows(std::uint64_t first_seed, std::uint64_t replicas, std::size_t parameters) {
  ReplicaTable table;
  table.first_seed = first_seed;
  table.status.resize(replicas);
  table.updates.resize(replicas);
  table.steps.resize(replicas);
  table.parameters.assign(parameters, std::vector<float>(replicas));
  return table;
}
// Of value learners, none of which has begun.
inline ReplicaTable empty_q_rows(std::uint64_t first_seed, std::uint64_t replicas, const QNetworkShape& shape) {
  ReplicaTable table = empty_rows(first_seed, replicas, static_cast<std::size_t>(shape.parameters()));
  std::fill(table.status.begin(), table.status.end(), static_cast<std::uint8_t>(ReplicaStatus::unfinished));
  table.episodes.resize(replicas);
  return table;
}

}  // namespace fryer
