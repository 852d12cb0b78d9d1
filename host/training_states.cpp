// SPDX-License-Identifier: Apache-2.0
// See training_states.h.
#include "host/training_states.h"

#include <algorithm>
#include <iterator>

namespace fryer {
namespace {

// Tables of (rows, replicas) numbers: copies rows x count numbers from column first_from to column first_to.
template <class T>
void copy_columns(const std::vector<T>& from, std::uint64_t from_replicas, std::uint64_t first_from, std::vector<T>& to,
                  std::uint64_t to_replicas, std::uint64_t first_to, std::uint64_t rows, std::uint64_t count) {
  for (std::uint64_t row = 0; row < rows; ++row)
    std::copy_n(from.data() + row * from_replicas + first_from, count, to.data() + row * to_replicas + first_to);
}

// A row of columns of a table.
template <class Visit>
void visit_columns(TrainingStates& to, const TrainingStates& from, const Visit& visit) {
  visit(to.table.status, from.table.status);
  visit(to.table.updates, from.table.updates);
  visit(to.table.steps, from.table.steps);
  visit(to.table.episodes, from.table.episodes);
  for (std::size_t i = 0; i < from.table.parameters.size(); ++i) {
    visit(to.table.parameters[i], from.table.parameters[i]);
  }
  for (std::size_t i = 0; i < from.m.size(); ++i) {
    visit(to.m[i], from.m[i]);
    visit(to.v[i], from.v[i]);
  }
}

TrainingStates like(const TrainingStates& from) {
  TrainingStates states;
  states.table.first_seed = from.table.first_seed;
  states.table.parameters.resize(from.table.parameters.size());
  states.m.resize(from.m.size());
  states.v.resize(from.v.size());
  return states;
}

}  // namespace

bool all_ended(const TrainingStates& states) {
  return std::none_of(states.table.status.begin(), states.table.status.end(),
                      [](std::uint8_t status) { return status == static_cast<std::uint8_t>(ReplicaStatus::unfinished); });
}

TrainingStates join(std::vector<TrainingStates> parts) {
  if (parts.size() == 1) return std::move(parts[0]);
  TrainingStates all = like(parts[0]);
  std::uint64_t replicas = 0, outcomes = 0, recent = 0;
  for (const TrainingStates& part : parts) {
    visit_columns(all, part, [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); });
    const std::uint64_t n = part.table.size();
    replicas += n;
    outcomes = std::max<std::uint64_t>(outcomes, part.outcomes.size() / n);
    recent = std::max<std::uint64_t>(recent, part.recent.size() / n);
  }
  all.outcomes.resize(outcomes * replicas);
  all.recent.resize(recent * replicas);
  std::uint64_t at = 0;
  for (TrainingStates& part : parts) {
    const std::uint64_t n = part.table.size();
    copy_columns(part.outcomes, n, 0, all.outcomes, replicas, at, part.outcomes.size() / n, n);
    copy_columns(part.recent, n, 0, all.recent, replicas, at, part.recent.size() / n, n);
    std::move(part.value_learners.begin(), part.value_learners.end(), std::back_inserter(all.value_learners));
    at += n;
    part = {};
  }
  return all;
}

TrainingStates take_rows(TrainingStates& states, std::uint64_t first, std::uint64_t count, std::uint64_t outcomes,
                         std::uint64_t window) {
  TrainingStates part = like(states);
  visit_columns(part, states, [&](auto& to, const auto& from) {
    if (from.empty()) return;
    const auto begin = from.begin() + static_cast<std::ptrdiff_t>(first);
    to.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
  });
  const std::uint64_t replicas = states.table.size();
  if (!states.outcomes.empty()) {
    part.outcomes.resize(outcomes * count);
    copy_columns(states.outcomes, replicas, first, part.outcomes, count, 0, outcomes, count);
  }
  part.recent.resize(window * count);
  copy_columns(states.recent, replicas, first, part.recent, count, 0, window, count);
  if (!states.value_learners.empty()) {
    const auto begin = states.value_learners.begin() + static_cast<std::ptrdiff_t>(first);
    std::move(begin, begin + static_cast<std::ptrdiff_t>(count), std::back_inserter(part.value_learners));
  }
  return part;
}

}  // namespace fryer
