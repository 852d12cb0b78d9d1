// SPDX-License-Identifier: Apache-2.0
// See launch_queue.h.
#include "host/study/launch_queue.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fryer::study {
namespace {

constexpr double kLaunchSeconds = 2;
// A launch ends with lanes idle for about the length of a training (10 to 30 ms for CartPole's solve on a CPU).
constexpr double kLeastSeconds = 0.1;
// Of a cell whose replicas run one after another, to measure it by.
constexpr std::uint64_t kReplicasToMeasure = 16;
// Each has its settings and their tables in memory.
constexpr std::size_t kMostPieces = 1024;

}  // namespace

LaunchQueue::LaunchQueue(const Plan& plan, const Store& store, std::size_t workers, const BackendInfo& backend,
                         std::vector<Unfinished> begun)
    : plan_(plan), kind_(kinds_of_cells(plan)), workers_(workers) {
  rates_.resize(plan.cells.size());
  at_once_.resize(plan.cells.size());
  for (std::uint64_t cell = 0; cell < plan.cells.size(); ++cell) {
    missing_.push_back(store.missing(cell));
    for (const Range& range : missing_.back()) left_ += range.count;
    order_.push_back(cell);
    if (cell == 0 || kind_[cell] > kind_[order_[cell - 1]]) at_once_[kind_[cell]] = replicas_at_once(plan, cell, backend);
  }
  const auto by_kind = [&](std::uint64_t a, std::uint64_t b) { return kind_[a] < kind_[b]; };
  std::stable_sort(order_.begin(), order_.end(), by_kind);
  for (Unfinished& one : begun) {
    const Piece piece = {one.cell, one.range};
    if (!remove(piece)) continue;
    const double share = share_made(plan, piece, one.trainings);
    begun_share_ += share;
    begun_.push_back({std::move(one), share});
  }
  std::stable_sort(begun_.begin(), begun_.end(),
                   [&](const Begun& a, const Begun& b) { return by_kind(a.unfinished.cell, b.unfinished.cell); });
}

std::optional<Launch> LaunchQueue::take(std::size_t worker) {
  const std::lock_guard lock(mutex_);
  Launch launch;
  std::uint64_t replicas = 0, wanted = std::numeric_limits<std::uint64_t>::max();
  const auto add = [&](const Piece& piece) {
    launch.pieces.push_back(piece);
    replicas += piece.range.count;
  };
  // All rows of a launch are as long as those of its longest cell: `wanted` is the least that any of its cells allows.
  while (!begun_.empty() && launch.pieces.size() < kMostPieces) {
    const Unfinished& next = begun_.back().unfinished;
    wanted = std::min(wanted, launch_size(worker, next.cell));
    if (!launch.pieces.empty() && (!may_join(launch, next.cell) || replicas + next.range.count > wanted)) break;
    add({next.cell, next.range});
    launch.begun.push_back(std::move(begun_.back().unfinished.trainings));
    begun_share_ -= begun_.back().share;
    begun_.pop_back();
  }
  if (launch.begun.empty()) {
    for (; at_ < order_.size() && launch.pieces.size() < kMostPieces; ++at_) {
      const std::uint64_t cell = order_[at_];
      if (!may_join(launch, cell)) break;
      std::vector<Range>& missing = missing_[cell];
      if (!missing.empty()) wanted = std::min(wanted, launch_size(worker, cell));
      while (!missing.empty() && replicas < wanted) {
        Range& range = missing.front();
        const Range taken = {range.first, std::min(range.count, wanted - replicas)};
        add({cell, taken});
        range.first += taken.count;
        range.count -= taken.count;
        if (range.count == 0) missing.erase(missing.begin());
      }
      if (replicas >= wanted) break;
    }
  }
  if (launch.pieces.empty()) return std::nullopt;
  left_ -= replicas;
  in_flight_ += replicas;
  return launch;
}

void LaunchQueue::took(std::size_t worker, const std::vector<Piece>& pieces, double replicas, double seconds) {
  const std::lock_guard lock(mutex_);
  for (const Piece& piece : pieces) in_flight_ -= piece.range.count;
  const std::uint64_t kind = kind_[pieces[0].cell];
  if (workers_[worker].kind != kind) workers_[worker] = {kind, {}};
  for (Rate* rate : {&workers_[worker].rate, &rates_[kind], &all_}) rate->add(replicas, seconds);
}

double LaunchQueue::begun_share() {
  const std::lock_guard lock(mutex_);
  return std::max(begun_share_, 0.0);
}

// Takes a piece out of what is missing; false if that lacks a part of it.
bool LaunchQueue::remove(const Piece& piece) {
  std::vector<Range>& missing = missing_[piece.cell];
  const std::uint64_t end = piece.range.first + piece.range.count;
  for (auto it = missing.begin(); it != missing.end(); ++it) {
    if (piece.range.first < it->first || end > it->first + it->count) continue;
    const Range before = {it->first, piece.range.first - it->first}, after = {end, it->first + it->count - end};
    it = missing.erase(it);
    if (after.count != 0) it = missing.insert(it, after);
    if (before.count != 0) missing.insert(it, before);
    return true;
  }
  return false;
}

std::uint64_t LaunchQueue::launch_size(std::size_t worker, std::uint64_t cell) const {
  const std::uint64_t kind = kind_[cell];
  const Rate& of_kind = rates_[kind].is_known() ? rates_[kind] : all_;
  const auto a_second = [&](const WorkerRate& one) {
    const Rate& rate = one.kind == kind && one.rate.is_known() ? one.rate : of_kind;
    return rate.is_known() ? rate.a_second() : 1.0;
  };
  const double own = a_second(workers_[worker]);
  double all = 0;
  for (const WorkerRate& one : workers_) all += a_second(one);
  // No worker takes more than its share. No launch is below what runs at once otherwise: it takes as long as its longest training.
  const double share = std::ceil(static_cast<double>(left_ + in_flight_) * own / all);
  double wanted = std::min(share, static_cast<double>(at_once_[kind]));
  if (of_kind.is_known()) {
    // Halves of what is left towards the end, so that workers end together however far each had come.
    const double half = static_cast<double>(left_) * own / ((workers_.size() > 1 ? 2 : 1) * all);
    wanted = std::max(wanted, std::ceil(std::min(share, std::clamp(half, kLeastSeconds * own, kLaunchSeconds * own))));
  }
  const auto size = static_cast<std::uint64_t>(std::min(wanted, 1e9));
  return std::min(size, largest_chunk(plan_, cell));
}

std::uint64_t fill_for_measuring(const Plan& plan, const std::vector<std::uint64_t>& kinds, std::uint64_t cell,
                                 const BackendInfo& backend, Launch& launch) {
  // A value learner's training alone may take longer than there is.
  std::uint64_t replicas = 0, wanted = replicas_at_once(plan, cell, backend);
  if (!has_value_learners(plan, cell)) wanted = std::max(wanted, kReplicasToMeasure);
  for (std::uint64_t next = cell; next < kinds.size() && replicas < wanted; ++next) {
    if (kinds[next] != kinds[cell]) continue;
    wanted = std::min(wanted, largest_chunk(plan, next));
    if (replicas >= wanted) break;
    const Range range = {0, std::min(plan.seeds, wanted - replicas)};
    launch.pieces.push_back({next, range});
    replicas += range.count;
  }
  return replicas;
}

}  // namespace fryer::study
