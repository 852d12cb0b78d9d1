// SPDX-License-Identifier: Apache-2.0
// A team without a GPU: any number of host threads and a barrier run the bodies of the kernels that train value learners.
#pragma once

#include <atomic>
#include <barrier>
#include <cstddef>
#include <thread>
#include <vector>

#include "kernels/q_training_bodies.h"

namespace fryer::test {

// What a team's threads share: a place each for the number that they exchange, twice, so that one barrier an exchange is enough.
struct HostTeamState {
  explicit HostTeamState(std::uint32_t threads)
      : barrier(threads), numbers{std::vector<double>(threads), std::vector<double>(threads)} {}
  std::barrier<> barrier;
  std::vector<double> numbers[2];
};

class HostTeam {
 public:
  HostTeam(HostTeamState& state, std::uint32_t thread) : state_(&state), thread_(thread) {}

  std::uint32_t thread() const { return thread_; }
  std::uint32_t threads() const { return static_cast<std::uint32_t>(state_->numbers[0].size()); }
  void sync() const {
    if (threads() > 1) state_->barrier.arrive_and_wait();
  }
  bool any(bool vote) const { return count(vote).all != 0; }
  TeamVotes count(bool vote) const {
    const std::vector<double>& votes = exchange(vote ? 1 : 0);
    TeamVotes result{0, 0};
    for (std::uint32_t i = 0; i < threads(); ++i) {
      const auto one = static_cast<std::uint32_t>(votes[i]);
      result.all += one;
      if (i < thread_) result.before += one;
    }
    return result;
  }
  double sum(double x) const {
    double total = 0;
    for (const double y : exchange(x)) total += y;
    return total;
  }
  void add(std::uint64_t* to, std::uint64_t x) const {
    std::atomic_ref<std::uint64_t>(*to).fetch_add(x, std::memory_order_relaxed);
  }
  std::uint64_t take(std::uint64_t* counter) const {
    return std::atomic_ref<std::uint64_t>(*counter).fetch_add(1, std::memory_order_relaxed);
  }

 private:
  const std::vector<double>& exchange(double x) const {
    std::vector<double>& numbers = state_->numbers[turn_];
    turn_ ^= 1;
    numbers[thread_] = x;
    sync();
    return numbers;
  }
  HostTeamState* state_;
  std::uint32_t thread_;
  mutable int turn_ = 0;
};
static_assert(TeamLike<HostTeam>);

// Calls body(team) in each thread of a team.
template <class Body>
void run_team(std::uint32_t threads, const Body& body) {
  HostTeamState state(threads);
  if (threads == 1) return body(HostTeam(state, 0));
  std::vector<std::thread> all;
  for (std::uint32_t i = 0; i < threads; ++i) all.emplace_back([&state, &body, i] { body(HostTeam(state, i)); });
  for (std::thread& thread : all) thread.join();
}

}  // namespace fryer::test
