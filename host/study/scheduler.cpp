// SPDX-License-Identifier: Apache-2.0
// See scheduler.h. A worker is a thread with a backend of its own. It takes a chunk that should last about two seconds, or as much as its share of
// what is left, by the rate that replicas of the cell had so far; a chunk's last trainings leave lanes idle, so chunks are not smaller.
#include "host/study/scheduler.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "fryer/core/error.h"
#include "host/cpu_backend.h"
#include "host/study/run_chunk.h"

namespace fryer::study {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr double kChunkSeconds = 2;
// The first chunk of a study measures: a set of lanes.
constexpr std::uint64_t kFirstChunk = 128;

// What is left to do, handed out piece by piece.
class Work {
 public:
  Work(const Plan& plan, const Store& store, std::size_t workers) : plan_(plan), workers_(workers) {
    for (std::uint64_t cell = 0; cell < plan.cells.size(); ++cell) {
      missing_.push_back(store.missing(cell));
      for (const Range& range : missing_.back()) left_ += range.count;
    }
    rates_.resize(plan.cells.size());
  }

  struct Piece {
    std::uint64_t cell;
    Range range;
  };
  std::optional<Piece> take() {
    const std::lock_guard lock(mutex_);
    while (cell_ < missing_.size() && missing_[cell_].empty()) ++cell_;
    if (cell_ == missing_.size()) return std::nullopt;
    Range& range = missing_[cell_].front();
    const Piece piece = {cell_, {range.first, std::min(range.count, chunk_size(cell_))}};
    range.first += piece.range.count;
    range.count -= piece.range.count;
    if (range.count == 0) missing_[cell_].erase(missing_[cell_].begin());
    left_ -= piece.range.count;
    in_flight_ += piece.range.count;
    return piece;
  }
  void took(const Piece& piece, double seconds) {
    const std::lock_guard lock(mutex_);
    in_flight_ -= piece.range.count;
    for (Rate* rate : {&rates_[piece.cell], &all_}) {
      rate->replicas += static_cast<double>(piece.range.count);
      rate->seconds += seconds;
    }
  }

 private:
  struct Rate {
    double replicas = 0, seconds = 0;
  };
  std::uint64_t chunk_size(std::uint64_t cell) const {
    const Rate& rate = rates_[cell].seconds > 0 ? rates_[cell] : all_;
    // No worker takes more than its share. Where replicas train in lanes no chunk is below a set of them otherwise: it takes as long as its
    // longest training.
    const double share = std::ceil(static_cast<double>(left_ + in_flight_) / static_cast<double>(workers_));
    const double least = std::min(share, trains_in_lanes(plan_, cell) ? static_cast<double>(kFirstChunk) : 1.0);
    double wanted = least;
    if (rate.seconds > 0) {
      // Rounds of equal chunks, the last of which no worker starts alone.
      const double rounds = std::max(1.0, std::floor(share / (kChunkSeconds * rate.replicas / rate.seconds)));
      wanted = std::ceil(share / rounds);
    }
    const auto size = static_cast<std::uint64_t>(std::min(std::max(wanted, least), 1e9));
    return std::min(size, largest_chunk(plan_, cell));
  }

  const Plan& plan_;
  const std::size_t workers_;
  std::mutex mutex_;
  std::vector<std::vector<Range>> missing_;  // by cell, ascending
  std::vector<Rate> rates_;                  // by cell
  Rate all_;
  std::uint64_t left_ = 0, in_flight_ = 0, cell_ = 0;
};

// Finished chunks on their way to the one thread that writes. Workers wait while it is far behind, so memory stays bounded.
class Finished {
 public:
  struct Item {
    Chunk chunk;
    std::string bytes;
  };
  // Returns false where nobody will write it any more.
  bool push(Item item) {
    std::unique_lock lock(mutex_);
    space_.wait(lock, [&] { return items_.size() < kMostWaiting || closed_; });
    if (closed_) return false;
    items_.push_back(std::move(item));
    filled_.notify_one();
    return true;
  }
  // The next one; nothing after `timeout`, or when all workers have left.
  std::optional<Item> pop(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    filled_.wait_for(lock, timeout, [&] { return !items_.empty() || working_ == 0; });
    if (items_.empty()) return std::nullopt;
    Item item = std::move(items_.front());
    items_.pop_front();
    space_.notify_one();
    return item;
  }
  void enter() {
    const std::lock_guard lock(mutex_);
    ++working_;
  }
  void leave(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (error && !error_) error_ = error;
    --working_;
    filled_.notify_one();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    space_.notify_all();
  }
  bool all_left() {
    const std::lock_guard lock(mutex_);
    return working_ == 0 && items_.empty();
  }
  std::exception_ptr error() {
    const std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  static constexpr std::size_t kMostWaiting = 16;
  std::mutex mutex_;
  std::condition_variable filled_, space_;
  std::deque<Item> items_;
  std::size_t working_ = 0;
  bool closed_ = false;
  std::exception_ptr error_;
};

StudyProgress progress_so_far(const Plan& plan, const Store& store) {
  StudyProgress p;
  p.cells = plan.cells.size();
  p.planned = p.cells * shard_of(plan.seeds, store.shard().index, store.shard().shards).count;
  for (const Chunk& chunk : store.chunks()) {
    p.finished += chunk.range.count;
    p.failed += chunk.failed;
    p.solved += chunk.solved;
  }
  return p;
}

}  // namespace

std::uint64_t missing_replicas(const Store& store) {
  std::uint64_t missing = 0;
  for (std::uint64_t cell = 0; cell < store.plan().cells.size(); ++cell) {
    for (const Range& range : store.missing(cell)) missing += range.count;
  }
  return missing;
}

Workers make_workers(const Plan& plan, std::uint64_t missing, BackendChoice choice) {
  const WorkEstimate one = estimate(plan, 0, 1);
  choice.work = one.steps * static_cast<double>(missing);
  choice.parallelism = std::max(one.parallelism, std::min(missing, plan.seeds));
  Workers workers;
  workers.backends.push_back(make_backend(choice));
  workers.info = workers.backends[0]->info();
  if (workers.info.device == "cpu") {
    const unsigned threads = workers.info.threads;
    // Fewer replicas than a few a thread: all threads work on one after another.
    if (threads == 1 || missing < 4 * std::uint64_t{threads}) return workers;
    workers.backends.clear();
    choice.device = BackendChoice::Device::cpu;
    choice.threads = 1;
    for (unsigned i = 0; i < threads; ++i) workers.backends.push_back(make_backend(choice));
  } else {
    constexpr std::size_t kStreams = 4;
    while (workers.backends.size() < std::min(kStreams, plan.cells.size())) workers.backends.push_back(make_backend(choice));
  }
  return workers;
}

void run_study(const Plan& plan, Store& store, const Workers& workers, const StudyControl& control) {
  Work work(plan, store, workers.backends.size());
  Finished finished;
  StopToken stop{false};  // the caller's, or a failure here
  StudyProgress progress = progress_so_far(plan, store);
  std::vector<std::uint64_t> left_of(plan.cells.size());
  for (std::uint64_t cell = 0; cell < plan.cells.size(); ++cell) {
    for (const Range& range : store.missing(cell)) left_of[cell] += range.count;
    progress.cells_done += left_of[cell] == 0;
  }

  const auto serve = [&](Backend& backend) {
    std::exception_ptr error;
    try {
      while (!stop.load(std::memory_order_relaxed)) {
        const auto piece = work.take();
        if (!piece) break;
        const auto start = Clock::now();
        Finished::Item item{run_chunk(plan, piece->cell, piece->range, backend, {&stop, nullptr}), {}};
        item.bytes = encode(item.chunk.columns, piece->range.count);
        item.chunk.columns.clear();
        item.chunk.seconds = seconds_since(start);
        work.took(*piece, item.chunk.seconds);
        if (!finished.push(std::move(item))) break;
      }
    } catch (const Stopped&) {  // asked to
    } catch (...) {
      error = std::current_exception();
      stop = true;
    }
    finished.leave(error);
  };
  struct Ending {  // whatever ends this function, the workers end first, and wait for nobody
    StopToken& stop;
    Finished& finished;
    std::vector<std::jthread> threads;
    ~Ending() {
      stop = true;
      finished.close();
    }
  } ending{stop, finished, {}};
  std::vector<std::jthread>& threads = ending.threads;
  for (const std::unique_ptr<Backend>& worker : workers.backends) {
    finished.enter();
    threads.emplace_back([&serve, &worker] { serve(*worker); });
  }

  std::exception_ptr failure;
  auto last_told = Clock::now();
  const auto tell = [&] {
    if (control.progress) control.progress(progress);
    last_told = Clock::now();
  };
  while (!finished.all_left()) {
    if (control.stop != nullptr && control.stop->load()) stop = true;
    const auto item = finished.pop(std::chrono::milliseconds(50));
    if (item && !failure) {
      try {
        store.append(item->chunk, item->bytes);
      } catch (...) {  // a full disk: what is committed stays
        failure = std::current_exception();
        stop = true;
        finished.close();
        continue;
      }
      const Chunk& chunk = item->chunk;
      progress.finished += chunk.range.count;
      progress.failed += chunk.failed;
      progress.solved += chunk.solved;
      left_of[chunk.cell] -= chunk.range.count;
      progress.cells_done += left_of[chunk.cell] == 0;
    }
    if (seconds_since(last_told) > 0.2) tell();
  }
  threads.clear();
  tell();
  if (failure) std::rethrow_exception(failure);
  if (finished.error()) std::rethrow_exception(finished.error());
  if (progress.finished != progress.planned) throw Stopped();
}

StudyEstimate estimate_study(const Plan& plan, const Workers& workers) {
  constexpr std::uint64_t kMostCells = 8;
  constexpr double kSeconds = 2;
  const std::uint64_t sampled = std::min<std::uint64_t>(plan.cells.size(), kMostCells);
  StudyEstimate total;
  double seconds_a_replica = 0, bytes_a_replica = 0;
  for (std::uint64_t i = 0; i < sampled; ++i) {
    const std::uint64_t cell = i * plan.cells.size() / sampled;
    const std::uint64_t count =
        std::min({plan.seeds, trains_in_lanes(plan, cell) ? kFirstChunk : kFirstChunk / 8, largest_chunk(plan, cell)});
    StopToken stop{false};
    const auto start = Clock::now();
    // A timer stops what takes too long; how far it had come tells the rest.
    std::mutex mutex;
    std::condition_variable ended;
    bool over = false;
    double share = 0;  // finished
    std::jthread timer([&] {
      std::unique_lock lock(mutex);
      if (!ended.wait_for(lock, std::chrono::duration<double>(kSeconds / static_cast<double>(sampled)), [&] { return over; }))
        stop = true;
    });
    const auto end = [&] {
      const std::lock_guard lock(mutex);
      over = true;
      ended.notify_one();
    };
    try {
      const Chunk chunk = run_chunk(
          plan, cell, {0, count}, *workers.backends[0],
          {&stop, [&](std::uint64_t n, std::uint64_t all) { share = static_cast<double>(n) / static_cast<double>(all); }});
      seconds_a_replica += seconds_since(start) / static_cast<double>(count);
      bytes_a_replica += static_cast<double>(encode(chunk.columns, count).size()) / static_cast<double>(count);
      end();
    } catch (const Stopped&) {
      total.at_least = true;
      // Nothing told: all that is known is that it takes longer than this.
      seconds_a_replica += seconds_since(start) / (static_cast<double>(count) * (share > 0 ? share : 1));
    } catch (...) {
      end();
      throw;
    }
  }
  const double replicas = static_cast<double>(plan.replicas()), cells = static_cast<double>(sampled);
  constexpr double kBytesAChunk = 4096;
  total.seconds = seconds_a_replica / cells * replicas / static_cast<double>(workers.backends.size());
  total.bytes = bytes_a_replica / cells * replicas + kBytesAChunk * static_cast<double>(plan.cells.size() + 8);
  return total;
}

}  // namespace fryer::study
