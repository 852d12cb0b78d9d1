// SPDX-License-Identifier: Apache-2.0
// See split_work.h.
#include "host/split_work.h"

#include <utility>

#include "host/training_states.h"

namespace fryer {
namespace {

template <class T>
void place_column(const std::vector<T>& part, NumberRange rows, std::uint64_t replicas, std::vector<T>& whole) {
  if (part.empty()) return;
  whole.resize(replicas);
  std::copy(part.begin(), part.end(), whole.begin() + static_cast<std::ptrdiff_t>(rows.first));
}

void add_curve(CurveTotals&& part, CurveTotals& whole) {
  if (whole.count.empty()) {
    whole = std::move(part);
    return;
  }
  for (std::size_t u = 0; u < whole.count.size(); ++u) {
    whole.count[u] += part.count[u];
    whole.correct[u].add(part.correct[u]);
    whole.squared[u].add(part.squared[u]);
  }
}

}  // namespace

std::vector<NumberRange> cut(NumberRange whole, std::uint64_t parts) {
  std::vector<NumberRange> all;
  parts = std::min(parts, whole.count);
  for (std::uint64_t i = 0, first = whole.first; i < parts; ++i) {
    const std::uint64_t count = whole.count / parts + (i < whole.count % parts ? 1 : 0);
    all.push_back({first, count});
    first += count;
  }
  return all;
}

std::vector<NumberRange> cut_for_takers(NumberRange whole, std::uint64_t takers, std::uint64_t least) {
  constexpr int kMostRounds = 5;  // each part ends with lanes idle for a while, so there are not many
  int rounds = 1;
  while (rounds < kMostRounds && (whole.count >> rounds) / takers >= std::max<std::uint64_t>(least, 1)) ++rounds;
  std::vector<NumberRange> all;
  std::uint64_t begin = 0;
  for (int round = 1; round <= rounds; ++round) {
    const std::uint64_t end = round == rounds ? whole.count : whole.count - (whole.count >> round);
    for (const NumberRange& part : cut({whole.first + begin, end - begin}, takers)) all.push_back(part);
    begin = end;
  }
  return all;
}

std::vector<SeedRange> rows_of_ranges(const std::vector<SeedRange>& ranges, NumberRange rows) {
  std::vector<SeedRange> part;
  std::uint64_t row = 0;
  for (const SeedRange& range : ranges) {
    const std::uint64_t begin = std::max(row, rows.first), end = std::min(row + range.replicas, rows.first + rows.count);
    if (begin < end) part.push_back({range.first_seed + (begin - row), end - begin, range.training});
    row += range.replicas;
  }
  return part;
}

JoinedPopulation::JoinedPopulation(std::uint64_t first_seed, std::uint64_t replicas) : replicas_(replicas) {
  whole_.table.first_seed = first_seed;
}

void JoinedPopulation::add(NumberRange rows, Population part) {
  ReplicaTable& table = whole_.table;
  place_column(part.table.status, rows, replicas_, table.status);
  place_column(part.table.updates, rows, replicas_, table.updates);
  place_column(part.table.steps, rows, replicas_, table.steps);
  place_column(part.table.episodes, rows, replicas_, table.episodes);
  table.parameters.resize(part.table.parameters.size());
  for (std::size_t i = 0; i < table.parameters.size(); ++i)
    place_column(part.table.parameters[i], rows, replicas_, table.parameters[i]);
  add_curve(std::move(part.curve), whole_.curve);
  whole_.warmup_episodes += part.warmup_episodes;
  const std::uint64_t points = part.outcomes.size() / rows.count;
  whole_.outcomes.resize(points * replicas_);
  for (std::uint64_t u = 0; u < points; ++u)
    std::copy_n(part.outcomes.data() + u * rows.count, rows.count, whole_.outcomes.data() + u * replicas_ + rows.first);
}

std::vector<TrainingStates> take_parts(TrainingStates& whole, const std::vector<NumberRange>& parts) {
  const std::uint64_t replicas = whole.table.size();
  std::vector<TrainingStates> all;
  for (const NumberRange& rows : parts) {
    all.push_back(take_rows(whole, rows.first, rows.count, whole.outcomes.size() / replicas, whole.recent.size() / replicas));
  }
  const std::uint64_t first_seed = whole.table.first_seed;
  whole = {};
  whole.table.first_seed = first_seed;
  return all;
}

void join_parts(std::vector<TrainingStates> parts, TrainingStates& whole) {
  const std::uint64_t first_seed = whole.table.first_seed;
  whole = join(std::move(parts));
  whole.table.first_seed = first_seed;
}

}  // namespace fryer
