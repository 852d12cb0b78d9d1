// SPDX-License-Identifier: Apache-2.0
// See rank_workers.h. The letters that messages begin with stand below; then comes the worker's number on its rank.
#include "host/study/rank_workers.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>

#include "fryer/core/error.h"
#include "host/bytes.h"
#include "host/ranks/place_backend.h"
#include "host/ranks/rank_backend.h"
#include "host/study/scheduler.h"
#include "host/study/unfinished.h"

namespace fryer::study {
namespace {

using ranks::Outcome;
using ranks::Ranks;

// From the root: a launch; leave your trainings between two updates; leave them at once; nothing more to do.
constexpr char kLaunch = 'l', kPause = 'p', kStop = 's', kDismissed = 'd';
// To it: chunks; trainings that were left (seconds of packing, the trainings); how far a launch is; it was stopped; it failed (code, why).
constexpr char kChunks = 'c', kLeft = 'b', kProgress = 'g', kStopped = 'S', kFailed = 'f';

constexpr std::chrono::milliseconds kBetweenReports{200};
// What trainings of a rank that a signal stops are given to come to the end of their update, as the root's are.
constexpr double kSecondsToLeave = 3;

std::string begin(char letter, std::uint32_t worker) {
  std::string message(1, letter);
  put(message, worker);
  return message;
}
void put_bytes(std::string& message, std::string_view bytes) {
  put(message, std::uint64_t{bytes.size()});
  message += bytes;
}
std::string_view take_bytes(Reader& reader) { return reader.take(reader.number<std::uint64_t>()); }

void put_piece(std::string& message, const Piece& piece) {
  for (const std::uint64_t number : {piece.cell, piece.range.first, piece.range.count}) put(message, number);
}
Piece take_piece(Reader& reader) {
  Piece piece;
  for (std::uint64_t* number : {&piece.cell, &piece.range.first, &piece.range.count}) *number = reader.number<std::uint64_t>();
  return piece;
}

// Where the trainings of a launch's pieces stand: those of all pieces, or none.
void put_begun(std::string& message, const Plan& plan, const Launch& launch) {
  put(message, std::uint64_t{launch.begun.size()});
  for (std::size_t i = 0; i < launch.begun.size(); ++i)
    put_bytes(message, launch.begun[i].table.size() == 0 ? "" : encode(plan, launch.pieces[i].range, launch.begun[i]));
}
void take_begun(Reader& reader, Launch& launch) {
  launch.begun.clear();
  for (auto left = reader.number<std::uint64_t>(); left != 0; --left) {
    const std::string_view bytes = take_bytes(reader);
    launch.begun.push_back(bytes.empty() ? TrainingStates() : decode_states(bytes));
  }
}

void put_chunk(std::string& message, const Chunk& chunk) {
  put_piece(message, {chunk.cell, chunk.range});
  for (const std::uint64_t number : {chunk.digest, chunk.failed, chunk.solved}) put(message, number);
  put_bytes(message, encode(chunk.columns, chunk.range.count));
}
Chunk take_chunk(Reader& reader) {
  Chunk chunk;
  const Piece piece = take_piece(reader);
  chunk.cell = piece.cell;
  chunk.range = piece.range;
  for (std::uint64_t* number : {&chunk.digest, &chunk.failed, &chunk.solved}) *number = reader.number<std::uint64_t>();
  chunk.columns = decode(take_bytes(reader), piece.range.count);
  return chunk;
}

}  // namespace

// ---- the root

RankWorkers::RankWorkers(const Plan& plan, Ranks& ranks, const std::vector<unsigned>& of_rank) : plan_(plan), ranks_(ranks) {
  first_of_.push_back(0);
  for (std::size_t rank = 1; rank < of_rank.size(); ++rank) {
    first_of_.push_back(workers_.size());
    for (std::uint32_t i = 0; i < of_rank[rank]; ++i) {
      Worker& worker = workers_.emplace_back();
      worker.rank = static_cast<int>(rank);
      worker.number = i;
    }
  }
  first_of_.push_back(workers_.size());
}

RankWorkers::~RankWorkers() {
  for (int rank = 1; rank < ranks_.count(); ++rank) ranks_.send(rank, begin(kDismissed, 0));
}

void RankWorkers::look() {
  while (const auto message = ranks_.receive()) {
    Reader reader(message->bytes, "a rank's message");
    const char letter = reader.number<char>();
    const auto number = reader.number<std::uint32_t>();
    const auto from = static_cast<std::size_t>(message->from);
    const std::size_t index = first_of_[from] + number;
    if (index >= first_of_[from + 1])
      throw RunError(fmt::format("rank {} tells of worker {}, which it lacks: a defect of the program", from, number));
    Worker& worker = workers_[index];
    if (letter == kProgress) {
      worker.finished = reader.number<double>();
      continue;
    }
    const std::lock_guard lock(mutex_);
    worker.answers.push_back(message->bytes);
    worker.answered.notify_one();
  }
  const std::lock_guard lock(mutex_);
  for (Worker& worker : workers_) {
    for (; !worker.to_send.empty(); worker.to_send.pop_front()) ranks_.send(worker.rank, std::move(worker.to_send.front()));
  }
}

void RankWorkers::hurry() {
  const std::lock_guard lock(mutex_);
  for (Worker& worker : workers_) worker.answered.notify_one();
}

void RankWorkers::abandon() {
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
  }
  hurry();
}

std::vector<Chunk> RankWorkers::run(std::size_t index, Launch& launch, const RunControl& control) {
  // How soon a pause is handed on, and how often progress; an answer wakes at once.
  constexpr std::chrono::milliseconds kBetweenWishes{200};
  Worker& worker = workers_[index];
  std::string message = begin(kLaunch, worker.number);
  put(message, std::uint64_t{launch.pieces.size()});
  for (const Piece& piece : launch.pieces) put_piece(message, piece);
  put(message, static_cast<std::uint8_t>(control.pause != nullptr));
  put_begun(message, plan_, launch);
  std::string answer;
  {
    std::unique_lock lock(mutex_);
    worker.finished = 0;
    worker.to_send.push_back(std::move(message));
    bool told_to_pause = false, told_to_stop = false;
    while (worker.answers.empty()) {
      if (abandoned_) throw Stopped();
      if (!told_to_pause && is_set(control.pause)) {
        told_to_pause = true;
        worker.to_send.push_back(begin(kPause, worker.number));
      }
      if (!told_to_stop && is_set(control.stop)) {
        told_to_stop = true;
        worker.to_send.push_back(begin(kStop, worker.number));
      }
      constexpr std::uint64_t kWhole = 1 << 20;
      if (control.progress) control.progress(static_cast<std::uint64_t>(worker.finished * static_cast<double>(kWhole)), kWhole);
      worker.answered.wait_for(lock, kBetweenWishes);
    }
    answer = std::move(worker.answers.front());
    worker.answers.pop_front();
  }
  Reader reader(answer, "a rank's message");
  const char letter = reader.number<char>();
  reader.number<std::uint32_t>();
  std::vector<Chunk> chunks;
  switch (letter) {
    case kChunks:
      for (auto left = reader.number<std::uint64_t>(); left != 0; --left) chunks.push_back(take_chunk(reader));
      launch.begun.clear();
      return chunks;
    case kLeft: {
      const auto start = std::chrono::steady_clock::now();
      const auto packing = reader.number<double>();
      take_begun(reader, launch);
      worker.seconds_of_packing = packing + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      return chunks;
    }
    case kFailed: {
      const auto code = reader.number<std::int32_t>();
      throw ranks::RankError({code, fmt::format("rank {}: {}", worker.rank, reader.take(reader.left()))});
    }
    default:
      throw Stopped();
  }
}

Workers make_workers(const Plan& plan, std::uint64_t missing, const BackendChoice& choice, Ranks& ranks) {
  ranks.agree({});  // the store is there
  std::string bytes;
  put(bytes, missing);
  bytes += to_json(plan).dump(-1, ' ', false, Json::error_handler_t::replace);
  ranks.broadcast(bytes, 0);
  return make_workers_of_rank(plan, missing, choice, ranks);
}

void dismiss_ranks(Ranks& ranks) {
  ranks.agree({});
  std::string nothing;
  ranks.broadcast(nothing, 0);
  ranks.part();
}

// ---- every rank

Workers make_workers_of_rank(const Plan& plan, std::uint64_t missing, const BackendChoice& choice, Ranks& ranks) {
  const auto count = static_cast<std::uint64_t>(ranks.count());
  const BackendChoice own = ranks::choice_of_rank(choice, ranks);
  Workers workers;
  Outcome made;
  try {
    workers = make_workers(plan, (missing + count - 1) / count, own);
  } catch (...) {
    made = ranks::outcome_of(std::current_exception());
  }
  ranks.agree(made);
  std::vector<std::int64_t> numbers(count);  // of workers, of each rank
  numbers[static_cast<std::size_t>(ranks.rank())] = static_cast<std::int64_t>(workers.backends.size());
  ranks.sum(numbers);
  workers.info = ranks::info_of_ranks(workers.info, ranks);
  if (ranks.is_root()) {
    ranks.part();
    workers.others = std::make_unique<RankWorkers>(plan, ranks, std::vector<unsigned>(numbers.begin(), numbers.end()));
  }
  return workers;
}

// ---- the others

namespace {

// One worker of this rank: a thread that runs what it is handed. The thread that is MPI's talks with it under the mutex.
struct ServingWorker {
  std::optional<std::string> launch;  // to be run
  std::vector<std::string> answers;   // to be sent
  StopToken stop{false}, pause{false};
  std::atomic<double> finished{0};
  bool busy = false;
};

class Serving {
 public:
  Serving(const Plan& plan, Ranks& ranks, Workers workers)
      : plan_(plan), ranks_(ranks), backends_(std::move(workers.backends)), workers_(backends_.size()) {}

  // Until the root dismisses this rank.
  void serve(const StopToken* stop) {
    struct Ending {  // whatever ends this, the workers end first
      Serving& serving;
      std::vector<std::jthread> threads;
      ~Ending() { serving.end(); }
    } ending{*this, {}};
    stop_ = stop;
    try {
      for (std::size_t i = 0; i < workers_.size(); ++i) ending.threads.emplace_back([this, i] { work(i); });
    } catch (const std::system_error& error) {
      throw RunError(fmt::format("{} of {} workers' threads could be started ({})", ending.threads.size(), workers_.size(),
                                 error.code().message()));
    }
    auto last_told = std::chrono::steady_clock::now();
    std::optional<std::chrono::steady_clock::time_point> stopped_since;
    for (;;) {
      while (const auto message = ranks_.receive()) {
        if (message->bytes[0] == kDismissed) return;
        heed(message->bytes);
      }
      const bool tell = std::chrono::steady_clock::now() - last_told >= kBetweenReports;
      if (tell) last_told = std::chrono::steady_clock::now();
      std::unique_lock lock(mutex_);
      bool busy = false;
      for (std::size_t i = 0; i < workers_.size(); ++i) {
        ServingWorker& worker = workers_[i];
        // What was made comes back to the root, which hears of the stop when it hands out the next launch.
        if (is_set(stop) && worker.busy) {
          worker.pause = true;
          if (!stopped_since) stopped_since = std::chrono::steady_clock::now();
          const std::chrono::duration<double> since = std::chrono::steady_clock::now() - *stopped_since;
          if (since.count() > kSecondsToLeave) worker.stop = true;
        }
        for (std::string& answer : worker.answers) ranks_.send(0, std::move(answer));
        worker.answers.clear();
        busy |= worker.busy;
        if (!tell || !worker.busy) continue;
        std::string message = begin(kProgress, static_cast<std::uint32_t>(i));
        put(message, worker.finished.load());
        ranks_.send(0, std::move(message));
      }
      answered_.wait_for(lock, busy ? Ranks::kBetweenLooksBesideWork : Ranks::kBetweenLooks);
    }
  }

 private:
  void end() {
    const std::lock_guard lock(mutex_);
    over_ = true;
    for (ServingWorker& worker : workers_) worker.stop = true;
    handed_.notify_all();
  }

  void heed(const std::string& message) {
    Reader reader(message, "the root's message");
    const char letter = reader.number<char>();
    const auto number = reader.number<std::uint32_t>();
    if (number >= workers_.size()) reader.damaged(fmt::format("there is no worker {}", number));
    const std::lock_guard lock(mutex_);
    ServingWorker& worker = workers_[number];
    if (letter == kLaunch) {
      worker.stop = worker.pause = false;
      worker.finished = 0;
      if (is_set(stop_)) {  // what the root hears of this rank's stop
        worker.answers.push_back(begin(kStopped, number));
        return;
      }
      worker.busy = true;
      worker.launch = message;
      handed_.notify_all();
    } else if (worker.busy) {  // else its answer is under way
      (letter == kPause ? worker.pause : worker.stop) = true;
    }
  }

  void work(std::size_t index) {
    ServingWorker& worker = workers_[index];
    for (;;) {
      std::string message;
      {
        std::unique_lock lock(mutex_);
        handed_.wait(lock, [&] { return over_ || worker.launch; });
        if (over_) return;
        message = std::move(*worker.launch);
        worker.launch.reset();
      }
      std::string answer = answer_to(message, index);
      const std::lock_guard lock(mutex_);
      worker.busy = false;
      worker.answers.push_back(std::move(answer));
      answered_.notify_one();
    }
  }

  std::string answer_to(const std::string& message, std::size_t index) {
    ServingWorker& worker = workers_[index];
    const auto number = static_cast<std::uint32_t>(index);
    try {
      Reader reader(message, "the root's message");
      reader.number<char>();
      reader.number<std::uint32_t>();
      Launch launch;
      for (auto left = reader.number<std::uint64_t>(); left != 0; --left) launch.pieces.push_back(take_piece(reader));
      const bool may_pause = reader.number<std::uint8_t>() != 0;
      take_begun(reader, launch);
      const Progress progress = [&worker](std::uint64_t finished, std::uint64_t planned) {
        worker.finished = static_cast<double>(finished) / static_cast<double>(planned);
      };
      const std::vector<Chunk> chunks =
          run_launch(plan_, launch, *backends_[index], {&worker.stop, progress, may_pause ? &worker.pause : nullptr});
      std::string answer = begin(chunks.empty() ? kLeft : kChunks, number);
      if (chunks.empty()) {
        const auto start = std::chrono::steady_clock::now();
        std::string begun;
        put_begun(begun, plan_, launch);
        put(answer, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
        answer += begun;
      } else {
        put(answer, std::uint64_t{chunks.size()});
        for (const Chunk& chunk : chunks) put_chunk(answer, chunk);
      }
      return answer;
    } catch (const Stopped&) {
      return begin(kStopped, number);
    } catch (...) {
      const Outcome outcome = ranks::outcome_of(std::current_exception());
      std::string answer = begin(kFailed, number);
      put(answer, std::int32_t{outcome.code});
      return answer + outcome.message;
    }
  }

  const Plan& plan_;
  Ranks& ranks_;
  std::vector<std::unique_ptr<Backend>> backends_;
  std::mutex mutex_;
  std::condition_variable handed_, answered_;
  std::deque<ServingWorker> workers_;
  const StopToken* stop_ = nullptr;
  bool over_ = false;
};

}  // namespace

void serve_study(Ranks& ranks, const BackendChoice& choice, const StopToken* stop,
                 const std::function<void(Plan&)>& make_runnable) {
  ranks.agree({});
  std::string bytes;
  ranks.broadcast(bytes, 0);
  if (bytes.empty()) {
    ranks.part();
    throw ranks::Dismissed();
  }
  Reader reader(bytes, "the root's plan");
  const auto missing = reader.number<std::uint64_t>();
  Plan plan = plan_from_json(Json::parse(reader.take(reader.left())));
  make_runnable(plan);
  Serving(plan, ranks, make_workers_of_rank(plan, missing, choice, ranks)).serve(stop);
  ranks.part();
  throw ranks::Dismissed();
}

}  // namespace fryer::study
