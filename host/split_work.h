// SPDX-License-Identifier: Apache-2.0
// Numbered work cut into parts, and what came of the parts put together: the bits of the whole, since sums are integers and rows have
// numbers. Nothing here knows who runs a part: a device of this process (group_backend.h), or another process.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "fryer/engine/backend.h"
#include "fryer/engine/replica_queues.h"

namespace fryer {

// Numbers first .. first + count - 1: of episodes, or of a request's rows.
struct NumberRange {
  std::uint64_t first = 0, count = 0;
};
// At most so many parts, one after another, whose sizes differ by one at most; none is empty.
std::vector<NumberRange> cut(NumberRange whole, std::uint64_t parts);
// Parts for so many takers, each of which takes the next when it has finished one: for each of them a half of its share, a quarter, and so on
// to two sixteenths, so that all finish at about the same time; fewer where parts would have less than `least`. Less have only those of a
// whole that is not enough for all takers.
std::vector<NumberRange> cut_for_takers(NumberRange whole, std::uint64_t takers, std::uint64_t least);

// ---- episodes: adds what came of a part

template <class Sums>
void add_part(Sums& to, const Sums& part) {
  to.add(part);
}
template <std::size_t kCounts>
void add_part(std::array<std::uint64_t, kCounts>& to, const std::array<std::uint64_t, kCounts>& part) {
  for (std::size_t i = 0; i < kCounts; ++i) to[i] += part[i];
}
inline void add_part(std::vector<std::uint64_t>& to, const std::vector<std::uint64_t>& part) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += part[i];
}

// ---- trainings

inline std::uint64_t rows_of(const TrainRequest& request) { return request.replicas; }
template <class Request>
std::uint64_t rows_of(const Request& request) {
  return request.replicas();
}
inline std::uint64_t first_seed_of(const TrainRequest& request) { return request.first_seed; }
template <class Request>
std::uint64_t first_seed_of(const Request& request) {
  return request.ranges[0].first_seed;
}

// These rows of the ranges.
std::vector<SeedRange> rows_of_ranges(const std::vector<SeedRange>& ranges, NumberRange rows);

// What a part is asked for: rows, curve, and the outcomes where the whole's quantiles need them. What is made of sorted rows is made of all
// of them (JoinedPopulation).
inline TrainDetail detail_of_part(const TrainDetail& whole) { return {false, false, whole.keeps_outcomes()}; }

// The request for these rows alone, with all settings of the whole, so that curves and outcomes are as long. Without states.
inline TrainRequest part_of(const TrainRequest& whole, NumberRange rows) {
  TrainRequest part = whole;
  part.first_seed = whole.first_seed + rows.first;
  part.replicas = rows.count;
  part.detail = detail_of_part(whole.detail);
  return part;
}
template <class Request>
Request part_of(const Request& whole, NumberRange rows) {
  Request part = whole;
  part.ranges = rows_of_ranges(whole.ranges, rows);
  part.detail = detail_of_part(whole.detail);
  part.states = nullptr;
  return part;
}

// Progress of a request: what it is planned to come to, and what was made before it.
struct PlannedWork {
  std::uint64_t planned = 0, behind = 0;
};
inline PlannedWork planned_work(const TrainRequest& request) { return {request.replicas * request.work.updates, 0}; }
template <class Policy>
PlannedWork planned_work(const CartPoleTrainRequestOf<Policy>& request) {
  PlannedWork work{0, updates_behind(request)};
  for (const SeedRange& range : request.ranges) work.planned += range.replicas * request.trainings[range.training].updates;
  return work;
}
inline PlannedWork planned_work(const QTrainRequest& request) {
  PlannedWork work{0, episodes_behind(request)};
  for (const SeedRange& range : request.ranges) work.planned += range.replicas * request.trainings[range.training].episodes;
  return work;
}

// Populations of parts, put together in whatever order they come.
class JoinedPopulation {
 public:
  JoinedPopulation(std::uint64_t first_seed, std::uint64_t replicas);
  void add(NumberRange rows, Population part);
  // When all rows are there: their table, curve, outcomes and warm-up episodes. The rest is complete_population()'s (statistics.h).
  Population take() { return std::move(whole_); }

 private:
  std::uint64_t replicas_;
  Population whole_;
};

// Trainings between two updates, taken apart; they are gone from `whole` until join_parts() puts them back.
std::vector<TrainingStates> take_parts(TrainingStates& whole, const std::vector<NumberRange>& parts);
void join_parts(std::vector<TrainingStates> parts, TrainingStates& whole);

}  // namespace fryer
