// SPDX-License-Identifier: Apache-2.0
// See scheduler.h. A worker is a thread with a backend of its own, which takes launch after launch (launch_queue.h), and leaves long
// trainings now and then, so that they can be written down.
#include "host/study/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <system_error>
#include <thread>

#include "fryer/core/error.h"
#include "host/cpu_backend.h"
#include "host/group_backend.h"
#include "host/study/launch_queue.h"
#include "host/study/run_chunk.h"
#include "host/study/temporary_path.h"
#include "host/study/unfinished.h"

namespace fryer::study {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The share of the time that writing down long trainings may take.
constexpr double kSaveShare = 0.02;
// How long saving takes, in times of packing: a value learner's replay memory is copied out and in again too, which takes as long as to pack
// it (100 ms of each for a million transitions).
constexpr double kValueLearnersSaving = 2;
// What a training is given to come to the end of its update when the user stops a study.
constexpr double kSecondsToLeave = 3;

// What workers have for the one thread that writes: finished chunks, and trainings that they left in their middle and go on with. They wait
// while it is far behind, so memory stays bounded.
class Finished {
 public:
  struct Item {
    std::vector<Chunk> chunks;
    std::vector<std::string> bytes;  // encode() of each one's columns
    struct Left {
      Piece piece;
      std::string bytes;  // encode() of its trainings
    };
    std::vector<Left> left;
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
  std::optional<Item> pop(std::chrono::microseconds timeout) {
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
  const bool value_learners = has_value_learners(plan, 0);
  choice.parallelism = value_learners ? one.parallelism * missing : std::max(one.parallelism, std::min(missing, plan.seeds));
  Workers workers;
  workers.backends.push_back(make_backend(choice));
  workers.info = workers.backends[0]->info();
  const std::size_t streams = std::min<std::size_t>(4, plan.cells.size());  // of a GPU
  std::vector<GroupDevice> devices;
  if (may_name_several(choice)) devices = make_devices(choice);
  if (devices.size() > 1) {
    // Fewer replicas than a few a device: all devices work on one launch after another.
    if (missing < 4 * devices.size()) return workers;
    workers.backends.clear();
    const std::size_t wanted = devices.size() * (choice.device == BackendChoice::Device::cpu ? 1 : streams);
    for (;; devices = make_devices(choice)) {
      for (GroupDevice& device : devices) workers.backends.push_back(make_named_backend(std::move(device)));
      if (workers.backends.size() >= wanted) return workers;
    }
  }
  if (workers.info.device == "cpu") {
    const unsigned threads = workers.info.threads;
    // Fewer replicas than a few a thread: all threads work on one after another. A value learner's training is one thread's anyway.
    if (threads == 1 || (!value_learners && missing < 4 * std::uint64_t{threads})) return workers;
    workers.backends.clear();
    choice.device = BackendChoice::Device::cpu;
    choice.cpu_devices = choice.threads = 1;
    for (unsigned i = 0; i < threads; ++i) workers.backends.push_back(make_backend(choice));
  } else {
    while (workers.backends.size() < streams) workers.backends.push_back(make_backend(choice));
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

double share_made(const Plan& plan, const Launch& launch) {
  double share = 0;
  for (std::size_t i = 0; i < launch.begun.size(); ++i) share += share_made(plan, launch.pieces[i], launch.begun[i]);
  return share;
}
// Grows with each update, and with each step of a value learner's warm-up.
std::uint64_t work_made(const Launch& launch) {
  std::uint64_t made = 0;
  for (const TrainingStates& states : launch.begun) {
    made = std::accumulate(states.table.updates.begin(), states.table.updates.end(), made);
    made = std::accumulate(states.table.steps.begin(), states.table.steps.end(), made);
  }
  return made;
}

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
  TemporaryPath::remove_stale(unfinished.path(), TemporaryPath::Kind::file);
  const auto unfit = std::erase_if(begun.pieces, [&](const Unfinished& one) {
    if (fits(plan, {one.cell, one.range}, one.trainings)) return false;
    unfinished.erase(one.cell, one.range.first);
    return true;
  });
  if (unfit != 0 && begun.lost.empty()) begun.lost = fmt::format("{} holds trainings of other shapes", unfinished.path());
  bool dirty = !begun.lost.empty();  // whether the file of trainings begun is to be written again
  if (dirty) {
    const std::string kept = unfinished.set_aside();
    if (control.warn) control.warn(fmt::format("{}; it is kept as {}", begun.lost, kept));
  }
  RankWorkers* const others = workers.others.get();
  const std::size_t own = workers.backends.size(), all = own + (others != nullptr ? others->count() : 0);
  LaunchQueue work(plan, store, all, workers.backends[0]->info(), std::move(begun.pieces));
  Finished finished;
  std::vector<Worker> states(all);
  std::atomic<bool> ending_soon{false};  // the caller's wish, or a failure here
  const auto stop_all = [&] {
    ending_soon = true;
    for (Worker& worker : states) worker.stop = true;
  };
  StudyProgress progress = progress_so_far(plan, store);
  progress.earlier = static_cast<double>(progress.finished) + work.begun_share();
  std::vector<std::uint64_t> left_of(plan.cells.size());
  for (std::uint64_t cell = 0; cell < plan.cells.size(); ++cell) {
    for (const Range& range : store.missing(cell)) left_of[cell] += range.count;
    progress.cells_done += left_of[cell] == 0;
  }

  // Runs one launch to its end, leaving it now and then to be written down.
  const auto run_to_the_end = [&](Launch& launch, std::size_t index) {
    Worker& worker = states[index];
    const auto start = Clock::now();
    const bool may_leave = may_be_left(plan, launch.pieces[0].cell);
    const double earlier = share_made(plan, launch);
    worker.share = earlier;
    double between_saves = control.seconds_between_saves;
    for (;;) {
      const std::uint64_t made = work_made(launch);
      worker.pause = false;
      if (may_leave) worker.deadline = seconds_since(began) + between_saves;
      const RunControl inner{&worker.stop, share_of(launch, worker.share), &worker.pause};
      std::vector<Chunk> chunks =
          index < own ? run_launch(plan, launch, *workers.backends[index], inner) : others->run(index - own, launch, inner);
      worker.deadline = 0;
      Finished::Item item;
      if (!chunks.empty()) {
        double replicas = 0;
        for (Chunk& chunk : chunks) {
          replicas += static_cast<double>(chunk.range.count);
          item.bytes.push_back(encode(chunk.columns, chunk.range.count));
          chunk.columns.clear();
        }
        const double seconds = seconds_since(start);
        for (Chunk& chunk : chunks) chunk.seconds = seconds * static_cast<double>(chunk.range.count) / replicas;
        item.chunks = std::move(chunks);
        work.took(index, launch.pieces, replicas - earlier, seconds);
        worker.share = 0;
        return finished.push(std::move(item));
      }
      const auto saving = Clock::now();
      for (std::size_t i = 0; i < launch.pieces.size(); ++i)
        item.left.push_back({launch.pieces[i], encode(plan, launch.pieces[i].range, launch.begun[i])});
      if (!finished.push(std::move(item)) || ending_soon) return false;
      // An update that takes longer than this would never be finished.
      if (work_made(launch) == made) between_saves *= 2;
      double took = seconds_since(saving) * (has_value_learners(plan, launch.pieces[0].cell) ? kValueLearnersSaving : 1);
      if (index >= own) took += 2 * others->seconds_of_packing(index - own);  // there, and again when they are back
      between_saves = std::max(between_saves, took / kSaveShare);
    }
  };
  const auto serve = [&](std::size_t index) {
    std::exception_ptr error;
    try {
      while (!ending_soon) {
        std::optional<Launch> launch = work.take(index);
        if (!launch || !run_to_the_end(*launch, index)) break;
      }
    } catch (const Stopped&) {  // asked to, or a rank was
      ending_soon = true;
    } catch (...) {
      error = std::current_exception();
      ending_soon = true;  // the others leave their trainings
    }
    states[index].deadline = 0;
    finished.leave(error);
  };
  struct Ending {  // whatever ends this function, the workers end first, and wait for nobody
    const std::function<void()> stop_all;
    Finished& finished;
    RankWorkers* others;
    std::vector<std::jthread> threads;
    ~Ending() {
      stop_all();
      finished.close();
      if (others != nullptr) others->abandon();
    }
  } ending{stop_all, finished, others, {}};
  std::vector<std::jthread>& threads = ending.threads;
  for (std::size_t i = 0; i < states.size(); ++i) {
    finished.enter();
    try {
      threads.emplace_back([&serve, i] { serve(i); });
    } catch (const std::system_error& error) {
      finished.leave(nullptr);
      const std::string what =
          fmt::format("{} of {} workers' threads could be started ({})", i, states.size(), error.code().message());
      if (i == 0) throw RunError(what);
      if (control.warn) control.warn(what + "; going on with these");
      break;
    }
  }

  std::exception_ptr failure;
  auto last_told = Clock::now();
  const auto tell = [&] {
    progress.under_way = work.begun_share();
    for (const Worker& worker : states) progress.under_way += worker.share.load(std::memory_order_relaxed);
    progress.under_way = std::min(progress.under_way, static_cast<double>(progress.planned - progress.finished));
    if (control.progress) control.progress(progress);
    last_told = Clock::now();
  };
  const auto write = [&](Finished::Item& item) {
    if (!item.chunks.empty()) store.append(item.chunks, item.bytes);
    for (const Chunk& chunk : item.chunks) {
      dirty |= unfinished.erase(chunk.cell, chunk.range.first);
      progress.finished += chunk.range.count;
      progress.failed += chunk.failed;
      progress.solved += chunk.solved;
      left_of[chunk.cell] -= chunk.range.count;
      progress.cells_done += left_of[chunk.cell] == 0;
    }
    for (Finished::Item::Left& left : item.left) {
      unfinished.set(left.piece.cell, left.piece.range, std::move(left.bytes));
      dirty = true;
    }
  };
  // What stands in that file can be computed again: that it cannot be written is no reason to end.
  auto last_written = Clock::now();
  double seconds_of_writing = 0;
  bool warned = false;
  const auto write_unfinished = [&](bool now) {
    const double least = std::max(std::min(1.0, control.seconds_between_saves), seconds_of_writing / kSaveShare);
    if (!dirty || (!now && seconds_since(last_written) < least)) return;
    const auto start = Clock::now();
    try {
      unfinished.write();
      dirty = false;
    } catch (const FileError& error) {
      if (!warned && control.warn) control.warn(fmt::format("{}; long trainings would begin again after a kill", error.what()));
      warned = true;
    }
    last_written = Clock::now();
    seconds_of_writing = seconds_since(start);
  };
  std::optional<double> asked_to_stop;
  while (!finished.all_left()) {
    const double now = seconds_since(began);
    if (control.stop != nullptr && control.stop->load()) ending_soon = true;
    if (ending_soon && !asked_to_stop) asked_to_stop = now;
    bool wished = false;
    for (Worker& worker : states) {
      const double deadline = worker.deadline;
      if (asked_to_stop && (deadline == 0 || now > *asked_to_stop + kSecondsToLeave)) worker.stop = true;
      if (deadline != 0 && (asked_to_stop || now > deadline)) wished |= !worker.pause.exchange(true);
    }
    if (others != nullptr) {
      if (wished || asked_to_stop == now) others->hurry();
      others->look();
    }
    auto item = finished.pop(others != nullptr ? ranks::Ranks::kBetweenLooksBesideWork : std::chrono::milliseconds(50));
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
    if (!failure) write_unfinished(false);
    if (seconds_since(last_told) > 0.2) tell();
  }
  threads.clear();
  if (progress.finished == progress.planned) dirty = true;  // whatever is there is of no use
  write_unfinished(true);
  tell();
  if (failure) std::rethrow_exception(failure);
  if (finished.error()) std::rethrow_exception(finished.error());
  if (progress.finished != progress.planned) throw Stopped();
}

namespace {

// Sets `token` after so many seconds, or soon after the caller's, unless it is gone by then.
class Timer {
 public:
  Timer(StopToken& token, double seconds, const StopToken* stop) try
      : thread_([this, &token, seconds, stop] {
          const auto start = Clock::now();
          std::unique_lock lock(mutex_);
          while (!over_ && !is_set(stop) && seconds_since(start) < seconds) ended_.wait_for(lock, std::chrono::milliseconds(20));
          token = true;
        }) {
  } catch (const std::system_error& error) {
    throw RunError(fmt::format("the thread that ends a measurement in time cannot be started: {}", error.code().message()));
  }
  ~Timer() {
    const std::lock_guard lock(mutex_);
    over_ = true;
    ended_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool over_ = false;
  std::jthread thread_;
};

}  // namespace

StudyEstimate estimate_study(const Plan& plan, const Workers& workers, const StopToken* stop) {
  constexpr std::uint64_t kMostCells = 8;
  constexpr double kSeconds = 2;
  const std::uint64_t sampled = std::min<std::uint64_t>(plan.cells.size(), kMostCells);
  StudyEstimate total;
  double seconds_a_replica = 0, bytes_a_replica = 0;
  const std::vector<std::uint64_t> kinds = kinds_of_cells(plan);
  for (std::uint64_t i = 0; i < sampled; ++i) {
    const std::uint64_t cell = i * plan.cells.size() / sampled;
    Launch launch;
    const std::uint64_t count = fill_for_measuring(plan, kinds, cell, workers.backends[0]->info(), launch);
    StopToken enough{false};
    const auto start = Clock::now();
    // A timer stops what takes too long; how far it had come tells the rest.
    const Timer timer(enough, kSeconds / static_cast<double>(sampled), stop);
    double share = 0;  // finished
    try {
      const std::vector<Chunk> chunks = run_launch(
          plan, launch, *workers.backends[0],
          {&enough, [&](std::uint64_t n, std::uint64_t all) { share = static_cast<double>(n) / static_cast<double>(all); },
           nullptr});
      seconds_a_replica += seconds_since(start) / static_cast<double>(count);
      for (const Chunk& chunk : chunks)
        bytes_a_replica += static_cast<double>(encode(chunk.columns, chunk.range.count).size()) / static_cast<double>(count);
    } catch (const Stopped&) {
      if (is_set(stop)) throw;
      total.at_least = true;
      // Nothing told: all that is known is that it takes longer than this.
      seconds_a_replica += seconds_since(start) / (static_cast<double>(count) * (share > 0 ? share : 1));
    }
  }
  const double replicas = static_cast<double>(plan.replicas()), cells = static_cast<double>(sampled);
  constexpr double kBytesAChunk = 4096;
  total.seconds = seconds_a_replica / cells * replicas / static_cast<double>(workers.backends.size());
  total.bytes = bytes_a_replica / cells * replicas + kBytesAChunk * static_cast<double>(plan.cells.size() + 8);
  return total;
}

}  // namespace fryer::study
