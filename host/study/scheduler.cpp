// SPDX-License-Identifier: Apache-2.0
// See scheduler.h. A worker is a thread with a backend of its own. It takes a launch that should last about two seconds, or as much as its
// share of what is left, by the rate that replicas of its kind had so far; a launch's last trainings leave lanes idle, so launches are not
// smaller. Small cells whose trainings may share lanes make up a launch together.
#include "host/study/scheduler.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <exception>
#include <limits>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>

#include "fryer/core/error.h"
#include "host/cpu_backend.h"
#include "host/study/run_chunk.h"
#include "host/study/unfinished.h"

namespace fryer::study {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr double kChunkSeconds = 2;
// The first chunk of a study measures: a set of lanes.
constexpr std::uint64_t kFirstChunk = 128;

// The share of the time that writing down long trainings may take.
constexpr double kSaveShare = 0.02;
// What a training is given to come to the end of its update when the user stops a study.
constexpr double kSecondsToLeave = 3;
// Each has its settings and their tables in memory.
constexpr std::size_t kMostPieces = 1024;

// What is left to do, handed out launch by launch.
class Work {
 public:
  // begun: trainings that an earlier run left in their middle.
  Work(const Plan& plan, const Store& store, std::size_t workers, std::vector<Unfinished> begun)
      : plan_(plan), workers_(workers), kind_(kinds_of_cells(plan)) {
    for (std::uint64_t cell = 0; cell < plan.cells.size(); ++cell) {
      missing_.push_back(store.missing(cell));
      for (const Range& range : missing_.back()) left_ += range.count;
      order_.push_back(cell);
    }
    rates_.resize(plan.cells.size());
    std::stable_sort(order_.begin(), order_.end(), [&](std::uint64_t a, std::uint64_t b) { return kind_[a] < kind_[b]; });
    for (Unfinished& one : begun) {
      if (fits(plan, {one.cell, one.range}, one.trainings) && remove({one.cell, one.range})) begun_.push_back(std::move(one));
    }
    std::stable_sort(begun_.begin(), begun_.end(),
                     [&](const Unfinished& a, const Unfinished& b) { return kind_[a.cell] < kind_[b.cell]; });
  }

  std::optional<Launch> take() {
    const std::lock_guard lock(mutex_);
    Launch launch;
    std::uint64_t replicas = 0;
    const auto add = [&](const Piece& piece) {
      launch.pieces.push_back(piece);
      replicas += piece.range.count;
    };
    while (!begun_.empty() && may_join(launch, begun_.back().cell) && replicas < kFirstChunk &&
           launch.pieces.size() < kMostPieces) {
      add({begun_.back().cell, begun_.back().range});
      launch.begun.push_back(std::move(begun_.back().trainings));
      begun_.pop_back();
    }
    if (launch.begun.empty()) {
      std::uint64_t wanted = std::numeric_limits<std::uint64_t>::max();
      for (; at_ < order_.size() && launch.pieces.size() < kMostPieces; ++at_) {
        const std::uint64_t cell = order_[at_];
        if (!may_join(launch, cell)) break;
        std::vector<Range>& missing = missing_[cell];
        if (!missing.empty()) wanted = std::min(wanted, launch_size(cell));  // all rows are as long as the longest cell's
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
  void took(const std::vector<Piece>& pieces, double seconds) {
    const std::lock_guard lock(mutex_);
    double replicas = 0;
    for (const Piece& piece : pieces) {
      in_flight_ -= piece.range.count;
      replicas += static_cast<double>(piece.range.count);
    }
    for (Rate* rate : {&rates_[kind_[pieces[0].cell]], &all_}) {
      rate->replicas += replicas;
      rate->seconds += seconds;
    }
  }

 private:
  struct Rate {
    double replicas = 0, seconds = 0;
  };
  bool may_join(const Launch& launch, std::uint64_t cell) const {
    return launch.pieces.empty() || kind_[launch.pieces[0].cell] == kind_[cell];
  }
  // Takes a piece out of what is missing; false if that lacks a part of it.
  bool remove(const Piece& piece) {
    std::vector<Range>& missing = missing_[piece.cell];
    const std::uint64_t end = piece.range.first + piece.range.count;
    for (auto it = missing.begin(); it != missing.end(); ++it) {
      const Range before = {it->first, piece.range.first - it->first}, after = {end, it->first + it->count - end};
      if (piece.range.first < it->first || end > it->first + it->count) continue;
      it = missing.erase(it);
      if (after.count != 0) it = missing.insert(it, after);
      if (before.count != 0) missing.insert(it, before);
      return true;
    }
    return false;
  }
  std::uint64_t launch_size(std::uint64_t cell) const {
    const Rate& of_kind = rates_[kind_[cell]];
    const Rate& rate = of_kind.seconds > 0 ? of_kind : all_;
    // No worker takes more than its share. Where replicas train in lanes no launch is below a set of them otherwise: it takes as long as its
    // longest training.
    const double share = std::ceil(static_cast<double>(left_ + in_flight_) / static_cast<double>(workers_));
    const double least = std::min(share, trains_in_lanes(plan_, cell) ? static_cast<double>(kFirstChunk) : 1.0);
    double wanted = least;
    if (rate.seconds > 0) {
      // Rounds of equal launches, the last of which no worker starts alone.
      const double rounds = std::max(1.0, std::floor(share / (kChunkSeconds * rate.replicas / rate.seconds)));
      wanted = std::ceil(share / rounds);
    }
    const auto size = static_cast<std::uint64_t>(std::min(std::max(wanted, least), 1e9));
    return std::min(size, largest_chunk(plan_, cell));
  }

  const Plan& plan_;
  const std::size_t workers_;
  std::mutex mutex_;
  const std::vector<std::uint64_t> kind_;    // of each cell
  std::vector<std::uint64_t> order_;         // of cells: kind by kind
  std::vector<std::vector<Range>> missing_;  // by cell, ascending
  std::vector<Rate> rates_;                  // by kind
  std::vector<Unfinished> begun_;            // kind by kind
  Rate all_;
  std::uint64_t left_ = 0, in_flight_ = 0;
  std::size_t at_ = 0;  // of order_: cells before it have nothing missing
};

// What workers have for the one thread that writes: finished chunks, and trainings that they left in their middle and go on with. They wait
// while it is far behind, so memory stays bounded.
class Finished {
 public:
  struct Item {
    std::vector<Chunk> chunks;
    std::vector<std::string> bytes;  // encode() of each one's columns
    Launch left;
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

namespace {

// A worker as the calling thread sees it.
struct Worker {
  StopToken stop{false}, pause{false};
  std::atomic<double> share{0};     // of its launch that is finished, in replicas
  std::atomic<double> deadline{0};  // when its trainings are to be left, in seconds of run_study; 0: nothing to leave
};

// Tells what replica-equivalents a launch has come to.
Progress share_of(const Launch& launch, std::atomic<double>& share) {
  double replicas = 0;
  for (const Piece& piece : launch.pieces) replicas += static_cast<double>(piece.range.count);
  return [&share, replicas](std::uint64_t finished, std::uint64_t planned) {
    share.store(replicas * static_cast<double>(finished) / static_cast<double>(planned), std::memory_order_relaxed);
  };
}

}  // namespace

void run_study(const Plan& plan, Store& store, const Workers& workers, const StudyControl& control) {
  const auto began = Clock::now();
  UnfinishedFile unfinished(store);
  UnfinishedFile::Loaded begun = unfinished.load();
  if (!begun.lost.empty() && control.warn) control.warn(begun.lost);
  const double begun_share =
      std::accumulate(begun.pieces.begin(), begun.pieces.end(), 0.0, [&](double sum, const Unfinished& one) {
        return sum + share_made(plan, {one.cell, one.range}, one.trainings);
      });
  bool written_down = !begun.pieces.empty() || !begun.lost.empty();  // whether there may be a file of trainings begun
  Work work(plan, store, workers.backends.size(), std::move(begun.pieces));
  Finished finished;
  std::vector<Worker> states(workers.backends.size());
  std::atomic<bool> ending_soon{false};  // the caller's wish, or a failure here
  const auto stop_all = [&] {
    ending_soon = true;
    for (Worker& worker : states) worker.stop = true;
  };
  StudyProgress progress = progress_so_far(plan, store);
  progress.earlier = static_cast<double>(progress.finished) + begun_share;
  std::vector<std::uint64_t> left_of(plan.cells.size());
  for (std::uint64_t cell = 0; cell < plan.cells.size(); ++cell) {
    for (const Range& range : store.missing(cell)) left_of[cell] += range.count;
    progress.cells_done += left_of[cell] == 0;
  }

  // Runs one launch to its end, leaving it now and then to be written down.
  const auto run_to_the_end = [&](Launch& launch, Backend& backend, Worker& worker) {
    const auto start = Clock::now();
    const bool may_leave = is_training(plan, launch.pieces[0].cell);
    double least_between_saves = 0;
    for (;;) {
      worker.pause = false;
      if (may_leave) worker.deadline = seconds_since(began) + std::max(control.seconds_between_saves, least_between_saves);
      std::vector<Chunk> chunks =
          run_launch(plan, launch, backend, {&worker.stop, share_of(launch, worker.share), &worker.pause});
      worker.deadline = 0;
      if (!chunks.empty()) {
        Finished::Item item;
        double replicas = 0;
        for (const Chunk& chunk : chunks) replicas += static_cast<double>(chunk.range.count);
        for (Chunk& chunk : chunks) {
          item.bytes.push_back(encode(chunk.columns, chunk.range.count));
          chunk.columns.clear();
        }
        const double seconds = seconds_since(start);
        for (Chunk& chunk : chunks) chunk.seconds = seconds * static_cast<double>(chunk.range.count) / replicas;
        item.chunks = std::move(chunks);
        work.took(launch.pieces, seconds);
        worker.share = 0;
        return finished.push(std::move(item));
      }
      const auto saving = Clock::now();
      if (!finished.push({{}, {}, launch})) return false;
      if (ending_soon) return false;
      least_between_saves = seconds_since(saving) / kSaveShare;
    }
  };
  const auto serve = [&](Backend& backend, Worker& worker) {
    std::exception_ptr error;
    try {
      while (!ending_soon) {
        std::optional<Launch> launch = work.take();
        if (!launch || !run_to_the_end(*launch, backend, worker)) break;
      }
    } catch (const Stopped&) {  // asked to
    } catch (...) {
      error = std::current_exception();
      stop_all();
    }
    worker.deadline = 0;
    finished.leave(error);
  };
  struct Ending {  // whatever ends this function, the workers end first, and wait for nobody
    const std::function<void()> stop_all;
    Finished& finished;
    std::vector<std::jthread> threads;
    ~Ending() {
      stop_all();
      finished.close();
    }
  } ending{stop_all, finished, {}};
  std::vector<std::jthread>& threads = ending.threads;
  for (std::size_t i = 0; i < states.size(); ++i) {
    finished.enter();
    threads.emplace_back([&serve, &states, &workers, i] { serve(*workers.backends[i], states[i]); });
  }

  std::exception_ptr failure;
  auto last_told = Clock::now();
  const auto tell = [&] {
    progress.under_way = 0;
    for (const Worker& worker : states) progress.under_way += worker.share.load(std::memory_order_relaxed);
    progress.under_way = std::min(progress.under_way, static_cast<double>(progress.planned - progress.finished));
    if (control.progress) control.progress(progress);
    last_told = Clock::now();
  };
  const auto write = [&](const Finished::Item& item) {
    for (std::size_t i = 0; i < item.chunks.size(); ++i) {
      const Chunk& chunk = item.chunks[i];
      store.append(chunk, item.bytes[i]);
      unfinished.erase(chunk.cell, chunk.range.first);
      progress.finished += chunk.range.count;
      progress.failed += chunk.failed;
      progress.solved += chunk.solved;
      left_of[chunk.cell] -= chunk.range.count;
      progress.cells_done += left_of[chunk.cell] == 0;
    }
    for (std::size_t i = 0; i < item.left.pieces.size(); ++i)
      unfinished.set(item.left.pieces[i].cell, item.left.pieces[i].range, item.left.begun[i]);
    written_down |= !item.left.pieces.empty();
    if (written_down) unfinished.write();
  };
  std::optional<double> asked_to_stop;
  while (!finished.all_left()) {
    const double now = seconds_since(began);
    if (!asked_to_stop && control.stop != nullptr && control.stop->load()) {
      asked_to_stop = now;
      ending_soon = true;
    }
    for (Worker& worker : states) {
      const double deadline = worker.deadline;
      if (asked_to_stop && (deadline == 0 || now > *asked_to_stop + kSecondsToLeave)) worker.stop = true;
      if (deadline != 0 && (asked_to_stop || now > deadline)) worker.pause = true;
    }
    const auto item = finished.pop(std::chrono::milliseconds(50));
    if (item && !failure) {
      try {
        write(*item);
      } catch (...) {  // a full disk: what is committed stays
        failure = std::current_exception();
        stop_all();
        finished.close();
        continue;
      }
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
