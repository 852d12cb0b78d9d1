// SPDX-License-Identifier: Apache-2.0
// See q_population.h.
#include "host/q_population.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>

#include "fryer/engine/replica_queues.h"
#include "host/floating_environment.h"
#include "host/training_support.h"

namespace fryer {
namespace {

// Rows of a request, by number.
struct Row {
  std::uint64_t number, seed;
  std::uint32_t training;
};

// Shared by the workers; calls are rare, since a training takes milliseconds and more.
class RowQueue {
 public:
  RowQueue(const QTrainRequest& request, const ReplicaTable& table) : ranges_(request.ranges), table_(table) {}

  // The next row that has not ended; only one of this training, if one is given.
  std::optional<Row> take(std::optional<std::uint32_t> training) {
    const std::lock_guard lock(mutex_);
    while (range_ < ranges_.size()) {
      const SeedRange& range = ranges_[range_];
      if (at_ == range.replicas) {
        ++range_;
        at_ = 0;
        continue;
      }
      if (table_.status[row_] != static_cast<std::uint8_t>(ReplicaStatus::unfinished)) {
        ++row_;
        ++at_;
        continue;
      }
      if (training && *training != range.training) return std::nullopt;
      return Row{row_++, range.first_seed + at_++, range.training};
    }
    return std::nullopt;
  }

 private:
  const std::vector<SeedRange>& ranges_;
  const ReplicaTable& table_;  // its statuses of rows that are still in the queue
  std::mutex mutex_;
  std::size_t range_ = 0;
  std::uint64_t at_ = 0, row_ = 0;
};

// What is told while workers train: progress in counted episodes, and the episodes of a training that is alone.
class Watch {
 public:
  Watch(const QTrainRequest& request, const RunControl& control) : control_(control), finished_(episodes_behind(request)) {
    for (const SeedRange& range : request.ranges) planned_ += range.replicas * request.trainings[range.training].episodes;
    alone_ = request.replicas() == 1;
  }

  // `episodes` more have ended, or will not be needed.
  void add(std::uint64_t episodes) {
    finished_.fetch_add(episodes, std::memory_order_relaxed);
    if (!control_.progress) return;
    const std::unique_lock lock(reporting_, std::try_to_lock);
    if (lock) control_.progress(finished_.load(std::memory_order_relaxed), planned_);
  }
  void tell(std::uint64_t first, std::span<const std::uint32_t> outcomes) const {
    if (alone_ && control_.episodes && !outcomes.empty()) control_.episodes(first, outcomes);
  }
  void finish() {
    if (control_.progress) control_.progress(planned_, planned_);
  }

 private:
  const RunControl& control_;
  std::atomic<std::uint64_t> finished_;
  std::uint64_t planned_ = 0;
  bool alone_ = false;
  std::mutex reporting_;
};

// A worker's place for one replica, used by one after the other: a ring that has been filled is not asked of the system again.
class Place {
 public:
  // From the seed, or from where the record stands.
  void begin(const LaneExecutor& executor, const QTrainingSettings& settings, const QTrainingRules& rules, const Row& row,
             QTrainingRecord* record) {
    row_ = row;
    rules_ = &rules;
    const std::uint64_t transitions = most_transitions(settings);
    if (!ring_ || ring_->capacity() < transitions) {
      ring_.reset();  // first, so that there is never more than one
      ring_.emplace(transitions);
    }
    outcomes_.assign(rules.kept_outcomes, 0);
    const QNetworkFunctions& network = *executor.q_network;
    if (!memory_ || bytes_ < network.bytes(rules.update)) {
      bytes_ = network.bytes(rules.update);
      memory_.emplace(bytes_);
    }
    const auto parameters = static_cast<std::size_t>(settings.shape.parameters());
    if (record == nullptr || record->weight.empty()) {
      std::vector<float> weight(parameters);
      start_q_learner(settings, row.seed, {weight.data(), nullptr, nullptr, nullptr});
      const float* const target = rules.update.learning.has_target_network() ? weight.data() : nullptr;
      network.load(rules.update, memory_->get(), {weight.data(), target, nullptr, nullptr});
      state_ = start_q_training(settings, rules, row.seed);
    } else {
      const float* const target = record->target.empty() ? nullptr : record->target.data();
      network.load(rules.update, memory_->get(), {record->weight.data(), target, record->m.data(), record->v.data()});
      std::copy(record->replay.begin(), record->replay.end(), ring_->slots());
      std::copy(record->outcomes.begin(), record->outcomes.end(), outcomes_.begin());
      state_ = record->state;
      *record = {};  // its replay memory is here now
    }
    told_ = state_->counted_episodes();
  }

  QReplica view() { return {&*state_, memory_->get(), ring_->slots(), outcomes_.data()}; }
  const Row& row() const { return row_; }
  const QTrainingState& state() const { return *state_; }
  const std::vector<std::uint32_t>& outcomes() const { return outcomes_; }
  const QTrainingRules& rules() const { return *rules_; }

  // Counted episodes that ended since the last call.
  std::uint64_t newly_counted() {
    const std::uint64_t counted = state_->counted_episodes(), before = told_;
    told_ = counted;
    return counted - before;
  }

  void save(const LaneExecutor& executor, QTrainingRecord& record) const {
    record.state = *state_;
    const auto parameters = static_cast<std::size_t>(rules_->update.shape.parameters());
    record.weight.resize(parameters);
    record.m.resize(parameters);
    record.v.resize(parameters);
    record.target.resize(rules_->update.learning.has_target_network() ? parameters : 0);
    executor.q_network->save(
        rules_->update, memory_->get(),
        {record.weight.data(), record.target.empty() ? nullptr : record.target.data(), record.m.data(), record.v.data()});
    record.replay.assign(ring_->slots(), ring_->slots() + rules_->stored(state_->steps));
    record.outcomes = outcomes_;
  }

 private:
  Row row_{};
  const QTrainingRules* rules_ = nullptr;
  std::optional<QTrainingState> state_;
  std::optional<ReplayBuffer> ring_;
  std::optional<LearnerMemory> memory_;
  std::uint64_t bytes_ = 0, told_ = 0;
  std::vector<std::uint32_t> outcomes_;
};

// What all workers of a request share.
struct Job {
  const LaneExecutor& executor;
  const QTrainRequest& request;
  const RunControl& control;
  const std::vector<QTrainingRules>& rules;
  RowQueue& queue;
  Watch& watch;
  ReplicaTable& table;
  std::vector<std::uint32_t>& outcomes;  // (episodes, rows), or empty
  std::atomic<std::uint64_t>& warmup_episodes;
  bool pairs;  // online learners may go two at a time: there are more replicas than workers

  StopToken& failed;  // a worker has thrown: the others need not go on

  bool is_stopping() const {
    return is_set(control.stop) || is_set(&failed) || (request.states != nullptr && is_set(control.pause));
  }

  // Where a training stands, whether it has ended or not.
  void write_row(Place& place, std::vector<float>& parameter) const {
    const QTrainingState& state = place.state();
    const std::uint64_t row = place.row().number;
    table.updates[row] = static_cast<std::uint32_t>(state.updates);
    table.episodes[row] = state.counted_episodes();
    table.steps[row] = state.steps;
    executor.q_network->save(place.rules().update, place.view().memory, {parameter.data(), nullptr, nullptr, nullptr});
    hide_failed_parameters(state, static_cast<int>(parameter.size()), parameter.data());
    for (std::size_t i = 0; i < parameter.size(); ++i) table.parameters[i][row] = parameter[i];
    for (std::uint64_t e = 0; !outcomes.empty() && e < state.counted_episodes(); ++e)
      outcomes[e * table.size() + row] = place.outcomes()[e];
    table.status[row] = static_cast<std::uint8_t>(state.status);
  }
};

// Turns that a training certainly makes before its next update, and whether they are the warm-up's.
struct Quiet {
  std::uint64_t turns;
  bool warmup;
};
Quiet quiet_turns(const QTrainingRules& rules, const QTrainingState& s) {
  if (s.updates_due != 0) return {0, false};
  if (is_warmup(rules, s.steps,
                s.episode_steps))  // perhaps of whole episodes: then it may go on for as long as the last of these
    return {s.steps < rules.warmup_steps ? rules.warmup_steps - s.steps : 1, true};
  // After the step that makes this number of them, a multiple of train_every, updates may be due.
  const std::uint64_t next = std::max<std::uint64_t>(s.steps + 1, rules.update.batch), every = rules.train_every;
  return {(next + every - 1) / every * every - s.steps - 1, false};
}

// Turns between two looks at the clock: about 10 ms of them, of each kind apart. An update may take a million times as long as a random step, or
// a thousand times as long as a greedy one.
class TurnCount {
 public:
  // body(turns): of trainings of which the one that is nearest to an update has `quiet` turns before it.
  template <class Body>
  void run(const Quiet& quiet, const Body& body) {
    std::uint64_t& turns = turns_[quiet.warmup ? kRandom : quiet.turns != 0 ? kSteps : kUpdates];
    const auto start = std::chrono::steady_clock::now();
    body(quiet.turns != 0 ? std::min(turns, quiet.turns) : turns);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (seconds < 0.005 && turns < kMost) turns *= 2;
    if (seconds > 0.02 && turns > 1) turns /= 2;
  }

 private:
  enum { kRandom, kSteps, kUpdates, kKinds };
  static constexpr std::uint64_t kMost = std::uint64_t{1} << 20;
  std::uint64_t turns_[kKinds] = {16, 1, 1};
};

void work(const Job& job, CurveTotals* curve) {
  const FloatingEnvironment environment;
  constexpr std::size_t kPlaces = 2;
  Place place[kPlaces];
  Place* busy[kPlaces] = {&place[0], &place[1]};  // the first `count` of them are
  std::size_t count = 0;
  std::vector<float> parameter(static_cast<std::size_t>(job.request.parameters()));
  TurnCount turns;
  while (true) {
    const auto wanted = [&] {
      return count != 0 && job.pairs && job.rules[busy[0]->row().training].learns_online() ? kPlaces : 1u;
    };
    while (count < wanted() && !job.is_stopping()) {
      const auto row = job.queue.take(count == 0 ? std::nullopt : std::optional(busy[0]->row().training));
      if (!row) break;
      QTrainingRecord* const record = job.request.states != nullptr ? &job.request.states->value_learners[row->number] : nullptr;
      busy[count++]->begin(job.executor, job.request.trainings[row->training], job.rules[row->training], *row, record);
    }
    if (count == 0) return;
    if (job.is_stopping()) break;
    QReplica views[kPlaces];
    for (std::size_t i = 0; i < count; ++i) views[i] = busy[i]->view();
    Quiet quiet = quiet_turns(busy[0]->rules(), busy[0]->state());
    for (std::size_t i = 1; i < count; ++i) {
      const Quiet other = quiet_turns(busy[i]->rules(), busy[i]->state());
      if (other.turns < quiet.turns) quiet = other;
    }
    turns.run(quiet,
              [&](std::uint64_t n) { job.executor.q_train(busy[0]->rules(), views, static_cast<std::uint32_t>(count), n); });
    for (std::size_t i = count; i-- > 0;) {
      Place& p = *busy[i];
      const QTrainingState& state = p.state();
      const std::uint64_t counted = state.counted_episodes(), more = p.newly_counted();
      if (p.rules().kept_outcomes >= p.rules().episodes)
        job.watch.tell(counted - more, std::span(p.outcomes()).subspan(counted - more, more));
      const bool ended = state.status != ReplicaStatus::unfinished;
      job.watch.add(ended ? more + p.rules().episodes - counted : more);
      if (!ended) continue;
      job.write_row(p, parameter);
      job.warmup_episodes += state.warmup_episodes;
      for (std::uint64_t e = 0; curve != nullptr && e < counted; ++e) add_to_curve(*curve, e, p.outcomes()[e]);
      if (job.request.states != nullptr) job.request.states->value_learners[p.row().number] = {};
      std::swap(busy[i], busy[--count]);
    }
  }
  if (job.request.states == nullptr || is_set(job.control.stop) || is_set(&job.failed)) return;
  for (std::size_t i = 0; i < count; ++i) {
    busy[i]->save(job.executor, job.request.states->value_learners[busy[i]->row().number]);
    job.write_row(*busy[i], parameter);
  }
}

}  // namespace

Population train_q_population(const LaneExecutor& executor, unsigned threads, const RunWorkers& run_workers,
                              const QTrainRequest& request, const RunControl& control) {
  const std::uint64_t replicas = request.replicas(), episodes = request.episodes();
  TrainingStates* const states = request.states;
  Population population;
  if (states == nullptr) population.table = empty_q_rows(request.ranges[0].first_seed, replicas, request.trainings[0].shape);
  ReplicaTable& table = states != nullptr ? states->table : population.table;
  if (states == nullptr && request.detail.keeps_outcomes()) population.outcomes.resize(episodes * replicas, kNoOutcome);
  std::vector<std::uint32_t>& outcomes = states != nullptr ? states->outcomes : population.outcomes;

  std::vector<QTrainingRules> rules;
  for (QTrainingSettings training : request.trainings) {
    training.keeps_every_outcome = states == nullptr || !outcomes.empty();
    rules.push_back(make_q_training_rules(training));
  }
  RowQueue queue(request, table);
  Watch watch(request, control);
  std::atomic<std::uint64_t> warmup_episodes{0};
  StopToken failed{false};
  const Job job = {executor, request, control, rules, queue, watch, table, outcomes, warmup_episodes, replicas > threads, failed};
  if (states == nullptr) population.curve = empty_curve(episodes);
  std::mutex merging;
  run_workers(static_cast<unsigned>(std::min<std::uint64_t>(threads, replicas)), [&] {
    CurveTotals curve;
    try {
      if (states == nullptr) curve = empty_curve(episodes);
      work(job, states == nullptr ? &curve : nullptr);
    } catch (...) {
      failed = true;
      throw;
    }
    if (states != nullptr) return;
    const std::lock_guard lock(merging);
    for (std::uint64_t e = 0; e < episodes; ++e) {
      population.curve.count[e] += curve.count[e];
      population.curve.correct[e].add(curve.correct[e]);
      population.curve.squared[e].add(curve.squared[e]);
    }
  });
  if (is_set(control.stop)) throw Stopped();
  if (states == nullptr) watch.finish();
  population.warmup_episodes = warmup_episodes;
  return population;
}

}  // namespace fryer
