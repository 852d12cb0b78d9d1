// SPDX-License-Identifier: Apache-2.0
// Threads of one process that act as ranks.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "host/ranks/ranks.h"

namespace fryer::test {

// Runs body(rank) on each of `count` threads, and returns what each threw.
class ThreadRanks {
 public:
  // abort() of a rank throws this on it.
  struct Aborted {
    int code;
  };

  static std::vector<std::exception_ptr> run(int count, const std::function<void(ranks::Ranks&)>& body) {
    Shared shared(count);
    std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(count));
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < count; ++i) {
        threads.emplace_back([&, i] {
          Rank rank(i, shared);
          try {
            body(rank);
          } catch (...) {
            thrown[static_cast<std::size_t>(i)] = std::current_exception();
          }
        });
      }
    }
    return thrown;
  }

 private:
  struct Shared {
    explicit Shared(int n) : count(n), inbox(static_cast<std::size_t>(n)) {}
    const int count;
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::deque<ranks::Ranks::Message>> inbox;
    // Of collective calls: what has been given so far, how many have come, and how many such calls are over.
    std::vector<std::int64_t> sums, results;
    std::string given;
    int come = 0;
    std::uint64_t over = 0;
  };

  class Rank final : public ranks::Ranks {
   public:
    Rank(int rank, Shared& shared) : Ranks({rank, shared.count, rank, shared.count, 0}), shared_(shared) {}

    void sum(std::span<std::int64_t> numbers) override {
      std::unique_lock lock(shared_.mutex);
      shared_.sums.resize(std::max(shared_.sums.size(), numbers.size()));
      for (std::size_t i = 0; i < numbers.size(); ++i)
        shared_.sums[i] =
            static_cast<std::int64_t>(static_cast<std::uint64_t>(shared_.sums[i]) + static_cast<std::uint64_t>(numbers[i]));
      meet(lock, [&] {
        shared_.results = std::move(shared_.sums);
        shared_.sums.clear();
      });
      std::copy_n(shared_.results.begin(), numbers.size(), numbers.begin());
      leave(lock);
    }
    void broadcast(std::string& bytes, int from) override {
      std::unique_lock lock(shared_.mutex);
      if (from == rank()) shared_.given = bytes;
      meet(lock, [] {});
      bytes = shared_.given;
      leave(lock);
    }
    void send(int to, std::string bytes) override {
      const std::lock_guard lock(shared_.mutex);
      shared_.inbox[static_cast<std::size_t>(to)].push_back({rank(), std::move(bytes)});
    }
    std::optional<Message> receive() override {
      const std::lock_guard lock(shared_.mutex);
      auto& inbox = shared_.inbox[static_cast<std::size_t>(rank())];
      if (inbox.empty()) return std::nullopt;
      Message message = std::move(inbox.front());
      inbox.pop_front();
      return message;
    }

   private:
    void end_all(int code) override { throw Aborted{code}; }
    // Waits until all have come; the last does something first.
    template <class Last>
    void meet(std::unique_lock<std::mutex>& lock, const Last& last) {
      const std::uint64_t now = shared_.over;
      if (++shared_.come == shared_.count) {
        last();
        shared_.come = 0;
        ++shared_.over;
        shared_.changed.notify_all();
      } else {
        shared_.changed.wait(lock, [&] { return shared_.over != now; });
      }
    }
    // What was given stays until all have it.
    void leave(std::unique_lock<std::mutex>& lock) {
      meet(lock, [] {});
    }
    Shared& shared_;
  };
};

}  // namespace fryer::test
