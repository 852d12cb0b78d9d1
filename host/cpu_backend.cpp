// SPDX-License-Identifier: Apache-2.0
// Pieces, workers, progress and stopping. Results are integer sums and rows by number, so which worker runs which piece is of no
// consequence. oneTBB's arena bounds the workers; a piece takes milliseconds, so that stopping is prompt and the tail short.
#include "host/cpu_backend.h"

#include <fmt/format.h>
#include <oneapi/tbb/enumerable_thread_specific.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <mutex>

#include "fryer/core/error.h"
#include "fryer/engine/replica_queues.h"
#include "host/floating_environment.h"
#include "host/q_population.h"
#include "host/startable_threads.h"
#include "host/statistics.h"
#include "host/training_support.h"

namespace fryer {
namespace {

// Numbers first .. first + count - 1 cut into pieces of at most `size` that never cross a multiple of 2^32, where the high word of
// an episode number or seed changes.
class Pieces {
 public:
  Pieces(std::uint64_t first, std::uint64_t count, std::uint64_t size) : count_(count), size_(std::min(size, kLargestPiece)) {
    const std::uint64_t to_boundary = kSpan - (first & (kSpan - 1));
    head_ = std::min(count, to_boundary);
    head_pieces_ = (head_ + size_ - 1) / size_;
    per_span_ = (kSpan + size_ - 1) / size_;
    const std::uint64_t rest = count - head_;
    pieces_ = head_pieces_ + rest / kSpan * per_span_ + (rest % kSpan + size_ - 1) / size_;
  }
  std::uint64_t size() const { return pieces_; }
  // Offset from `first` and length of piece i.
  std::pair<std::uint64_t, std::uint64_t> operator[](std::uint64_t i) const {
    if (i < head_pieces_) return cut(0, i * size_, head_);
    i -= head_pieces_;
    const std::uint64_t span = i / per_span_;
    const std::uint64_t begin = head_ + span * kSpan;
    return cut(begin, i % per_span_ * size_, std::min(kSpan, count_ - begin));
  }

 private:
  static constexpr std::uint64_t kSpan = std::uint64_t{1} << 32;
  static constexpr std::uint64_t kLargestPiece = std::uint64_t{1} << 30;  // second moments allow 2^31 terms a sum
  std::pair<std::uint64_t, std::uint64_t> cut(std::uint64_t begin, std::uint64_t at, std::uint64_t length) const {
    return {begin + at, std::min(size_, length - at)};
  }
  std::uint64_t count_, size_, head_, head_pieces_, per_span_, pieces_;
};

template <class Work>
void check_finite(const Work& work) {
  if (!has_finite_numbers(work)) throw RunError("a parameter or gain of the policy is not finite");
}

// The stop token as lane executors ask for it.
bool is_stopped(const void* stop) { return is_set(static_cast<const StopToken*>(stop)); }

class CpuBackend final : public Backend {
 public:
  CpuBackend(const LaneExecutor& executor, unsigned threads, std::uint64_t chunk, const std::string& reason,
             unsigned threads_of_all)
      : executor_(executor),
        chunk_(chunk),
        parallelism_(oneapi::tbb::global_control::max_allowed_parallelism, std::max<std::size_t>({threads, threads_of_all, 1})),
        arena_(static_cast<int>(threads)) {
    info_ = {"cpu", executor.name, threads, reason};
  }

  const BackendInfo& info() const override { return info_; }
  void warn(const std::string& warning) { info_.warning = warning; }

  GradientSums gradient(const EpisodeWork& work, std::uint64_t first, std::uint64_t count, bool weight, Moments moments,
                        const RunControl& control) override {
    check_finite(work);
    Workers<GradientSums> sums;
    run(first, count, chunk_ != 0 ? chunk_ : kEpisodesPerPiece, 1, control, [&](std::uint64_t offset, std::uint64_t length) {
      executor_.gradient(work, first + offset, length, weight, moments, sums.local());
    });
    GradientSums total;
    for (const GradientSums& part : sums) total.add(part);
    return total;
  }

  std::array<std::uint64_t, FryShack::kOutcomes> evaluate(const EpisodeWork& work, std::uint64_t first, std::uint64_t count,
                                                          const RunControl& control) override {
    using Counts = std::array<std::uint64_t, FryShack::kOutcomes>;
    check_finite(work);
    Workers<Counts> counts(Counts{});
    run(first, count, chunk_ != 0 ? chunk_ : kEpisodesPerPiece, 1, control, [&](std::uint64_t offset, std::uint64_t length) {
      executor_.evaluate(work, first + offset, length, counts.local().data());
    });
    Counts total{};
    for (const Counts& part : counts) {
      for (std::size_t i = 0; i < total.size(); ++i) total[i] += part[i];
    }
    return total;
  }

  Population train(const TrainRequest& request, const RunControl& control) override {
    ReplicaWork work = request.work;
    work.step = request.table->step.data();
    work.root_scale = request.table->root_scale.data();
    const std::uint64_t updates = work.updates, replicas = request.replicas;
    Population population;
    ReplicaTable& table = population.table;
    table.first_seed = request.first_seed;
    table.status.resize(replicas);
    table.updates.resize(replicas);
    table.parameters.assign(2, std::vector<float>(replicas));
    std::vector<std::uint32_t>& correct = population.outcomes;
    if (request.detail.keeps_outcomes()) correct.resize(updates * replicas);

    struct Worker {
      std::vector<std::uint64_t> count, correct, squared;
      std::vector<std::uint32_t> scratch;
    };
    Workers<Worker> workers([&] {
      Worker w;
      w.count.resize(updates);
      w.correct.resize(updates);
      w.squared.resize(updates);
      w.scratch.resize(executor_.train_scratch(work));
      return w;
    });
    const std::uint64_t piece = chunk_ != 0 ? chunk_ : replicas_per_piece(work, replicas);
    run(request.first_seed, replicas, piece, updates, control, [&](std::uint64_t offset, std::uint64_t length) {
      Worker& w = workers.local();
      const ReplicaRows rows = {table.status.data() + offset,
                                table.updates.data() + offset,
                                table.parameters[0].data() + offset,
                                table.parameters[1].data() + offset,
                                correct.empty() ? nullptr : correct.data() + offset,
                                replicas};
      executor_.train(work, request.first_seed + offset, length, rows, {w.count.data(), w.correct.data(), w.squared.data()},
                      w.scratch.data(), {is_stopped, control.stop});
    });

    CurveTotals& curve = population.curve;
    curve.count.resize(updates);
    curve.correct.resize(updates);
    curve.squared.resize(updates);
    for (const Worker& w : workers) {
      for (std::uint64_t u = 0; u < updates; ++u) {
        curve.count[u] += w.count[u];
        WideSum part;
        part.add(static_cast<std::int64_t>(w.correct[u]));
        curve.correct[u].add(part);
        part = {};
        part.add(static_cast<std::int64_t>(w.squared[u]));
        curve.squared[u].add(part);
      }
    }
    arena_.execute([&] { complete_population(request, population); });
    return population;
  }

  CartPoleSums gradient(const CartPoleWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                        const RunControl& control) override {
    return cart_pole_gradient(executor_.cart_pole_gradient, work, first, count, task, control);
  }
  HiddenSums gradient(const HiddenWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                      const RunControl& control) override {
    return cart_pole_gradient(executor_.hidden_gradient, work, first, count, task, control);
  }
  std::vector<std::uint64_t> evaluate(const CartPoleWork& work, std::uint64_t first, std::uint64_t count,
                                      const RunControl& control) override {
    return cart_pole_evaluate(executor_.cart_pole_evaluate, work, first, count, control);
  }
  std::vector<std::uint64_t> evaluate(const HiddenWork& work, std::uint64_t first, std::uint64_t count,
                                      const RunControl& control) override {
    return cart_pole_evaluate(executor_.hidden_evaluate, work, first, count, control);
  }
  Population train(const CartPoleTrainRequest& request, const RunControl& control) override {
    return cart_pole_train(executor_.cart_pole_train, executor_.cart_pole_replica_lanes, request, control);
  }
  Population train(const HiddenTrainRequest& request, const RunControl& control) override {
    return cart_pole_train(executor_.hidden_train, executor_.hidden_replica_lanes, request, control);
  }

  std::vector<std::uint64_t> evaluate(const QEpisodeWork& work, std::uint64_t first, std::uint64_t count,
                                      const RunControl& control) override {
    const QNetworkFunctions& network = *executor_.q_network;
    QLearningSettings learning;
    learning.bootstrap = Bootstrap::semi_gradient;  // no second network
    const QUpdateRules<float> rules = make_q_update_rules<float>(work.shape, learning, {}, 1);
    const auto load = [&] {
      LearnerMemory memory(network.bytes(rules));
      network.load(rules, memory.get(), {work.parameter.data(), nullptr, nullptr, nullptr});
      return memory;
    };
    Workers<LearnerMemory> networks(load);
    return outcome_counts(work.episodes.max_steps, first, count, q_episodes_per_piece(work, count), control,
                          [&](std::uint64_t begin, std::uint64_t length, std::uint64_t* counts) {
                            executor_.q_evaluate(rules, networks.local().get(), work.episodes, begin, length, counts);
                          });
  }
  Population train(const QTrainRequest& request, const RunControl& control) override {
    const RunWorkers run_workers = [&](unsigned workers, const std::function<void()>& body) {
      if (workers == 1) return body();
      arena_.execute([&] {
        oneapi::tbb::parallel_for(
            0u, workers, [&](unsigned) { body(); }, oneapi::tbb::simple_partitioner());
      });
    };
    Population population = train_q_population(executor_, info_.threads, run_workers, request, control);
    if (request.states != nullptr) return population;
    arena_.execute([&] { complete_population(request, population); });
    return population;
  }

 private:
  template <class T>
  using Workers = oneapi::tbb::enumerable_thread_specific<T>;

  // CartPole with either policy: the executor's function for it, and its work.
  template <class Policy>
  using GradientFunction = void (*)(const CartPoleWorkOf<Policy>&, std::uint64_t, std::uint64_t, CartPoleTask,
                                    CartPoleSumsOf<Policy>&);
  template <class Policy>
  CartPoleSumsOf<Policy> cart_pole_gradient(GradientFunction<Policy> program, const CartPoleWorkOf<Policy>& work,
                                            std::uint64_t first, std::uint64_t count, CartPoleTask task,
                                            const RunControl& control) {
    check_finite(work);
    Workers<CartPoleSumsOf<Policy>> sums;
    run(first, count, long_episodes_per_piece(count, work.game.max_steps), 1, control,
        [&](std::uint64_t offset, std::uint64_t length) { program(work, first + offset, length, task, sums.local()); });
    CartPoleSumsOf<Policy> total;
    for (const CartPoleSumsOf<Policy>& part : sums) total.add(part);
    return total;
  }

  template <class Work>
  std::vector<std::uint64_t> cart_pole_evaluate(void (*program)(const Work&, std::uint64_t, std::uint64_t, std::uint64_t*),
                                                const Work& work, std::uint64_t first, std::uint64_t count,
                                                const RunControl& control) {
    check_finite(work);
    return outcome_counts(
        work.game.max_steps, first, count, long_episodes_per_piece(count, work.game.max_steps), control,
        [&](std::uint64_t begin, std::uint64_t length, std::uint64_t* counts) { program(work, begin, length, counts); });
  }

  // body(first, count, counts) plays a piece of the episodes, which has `piece` of them.
  template <class Body>
  std::vector<std::uint64_t> outcome_counts(std::uint32_t max_steps, std::uint64_t first, std::uint64_t count,
                                            std::uint64_t piece, const RunControl& control, const Body& body) {
    Workers<std::vector<std::uint64_t>> counts([&] { return std::vector<std::uint64_t>(outcome_count(max_steps)); });
    run(first, count, piece, 1, control,
        [&](std::uint64_t offset, std::uint64_t length) { body(first + offset, length, counts.local().data()); });
    std::vector<std::uint64_t> total(outcome_count(max_steps));
    for (const std::vector<std::uint64_t>& part : counts) {
      for (std::size_t i = 0; i < total.size(); ++i) total[i] += part[i];
    }
    return total;
  }

  template <class Policy>
  using TrainFunction = void (*)(const CartPoleReplicaWorkOf<Policy>&, const CartPoleGroups<Policy>&, const ReplicaQueue&,
                                 std::uint32_t, const CartPoleRows&, const CartPoleCurve&, std::uint64_t*, const StopQuestion&);
  // replica_lanes: in flight on a worker.
  template <class Policy>
  Population cart_pole_train(TrainFunction<Policy> program, std::uint32_t replica_lanes,
                             const CartPoleTrainRequestOf<Policy>& request, const RunControl& control);

  // A piece of CartPole is a few milliseconds, or a second of the scalar executor where episodes are long; lanes idle at its end for
  // about half an episode each.
  std::uint64_t long_episodes_per_piece(std::uint64_t count, std::uint32_t max_steps) const {
    if (chunk_ != 0) return chunk_;
    const std::uint64_t longest = std::clamp<std::uint64_t>(8'000'000 / max_steps, 256, 16384);
    return std::clamp<std::uint64_t>(count / (8 * info_.threads), 256, longest);
  }

  // The same of a Q network's greedy episodes: no longer than a second of the scalar executor's products either, unless one episode is. Others
  // have 64 episodes in flight.
  std::uint64_t q_episodes_per_piece(const QEpisodeWork& work, std::uint64_t count) const {
    constexpr std::uint64_t kMostProducts = std::uint64_t{1} << 28;
    const std::uint64_t products = std::uint64_t{work.episodes.max_steps} * static_cast<std::uint64_t>(work.shape.parameters());
    const std::uint64_t least = executor_.lanes == 1 ? 1 : 64;
    return std::min(long_episodes_per_piece(count, work.episodes.max_steps), std::max(kMostProducts / products, least));
  }

  // About a millisecond of the fastest executor.
  static constexpr std::uint64_t kEpisodesPerPiece = std::uint64_t{96} << 12;

  // Whole bundles, enough pieces that the last ones even out, and none much longer than 0.2 s unless one bundle is.
  std::uint64_t replicas_per_piece(const ReplicaWork& work, std::uint64_t replicas) const {
    const double episodes = static_cast<double>(work.updates) * work.batch;
    const double longest = std::max(1.0, 4e7 / std::max(1.0, episodes));
    const double even = static_cast<double>(replicas) / (16.0 * info_.threads);
    const auto bundles = static_cast<std::uint64_t>(std::min(longest, even) / executor_.replica_lanes) + 1;
    return bundles * executor_.replica_lanes;
  }

  // Calls body(offset, length) for each piece on the workers. unit: what one item adds to progress.
  template <class Body>
  void run(std::uint64_t first, std::uint64_t count, std::uint64_t piece, std::uint64_t unit, const RunControl& control,
           const Body& body) {
    const Pieces pieces(first, count, piece);
    std::atomic<std::uint64_t> finished{0};
    std::mutex reporting;
    const auto stopped = [&] { return is_set(control.stop); };
    const auto one = [&](std::uint64_t i) {
      if (stopped()) return;
      const FloatingEnvironment environment;  // each worker thread has its own mode
      const auto [offset, length] = pieces[i];
      body(offset, length);
      finished.fetch_add(length, std::memory_order_relaxed);
      if (control.progress) {
        const std::unique_lock lock(reporting, std::try_to_lock);
        if (lock) control.progress(finished.load(std::memory_order_relaxed) * unit, count * unit);
      }
    };
    if (pieces.size() == 1 || info_.threads == 1) {  // no workers to wake
      for (std::uint64_t i = 0; i < pieces.size(); ++i) one(i);
    } else {
      arena_.execute([&] { oneapi::tbb::parallel_for(std::uint64_t{0}, pieces.size(), one); });
    }
    if (stopped()) throw Stopped();
    if (control.progress) control.progress(count * unit, count * unit);
  }

  const LaneExecutor& executor_;
  std::uint64_t chunk_;
  oneapi::tbb::global_control parallelism_;
  oneapi::tbb::task_arena arena_;
  BackendInfo info_;
};

// Workers share one queue of replicas, so that early stoppers leave no lane idle while there are others to train.
template <class Policy>
Population CpuBackend::cart_pole_train(TrainFunction<Policy> program, std::uint32_t replica_lanes,
                                       const CartPoleTrainRequestOf<Policy>& request, const RunControl& control) {
  const std::uint64_t updates = request.updates(), replicas = request.replicas(), window = request.window();
  const auto parameters = static_cast<std::size_t>(request.work.shape.parameters());
  TrainingStates* const states = request.states;
  Population population;
  if (states == nullptr) population.table = empty_rows(request.ranges[0].first_seed, replicas, parameters);
  ReplicaTable& table = states != nullptr ? states->table : population.table;
  if (states == nullptr && request.detail.keeps_outcomes()) population.outcomes.resize(updates * replicas);
  std::vector<std::uint32_t>& outcomes = states != nullptr ? states->outcomes : population.outcomes;

  struct Curve {
    std::vector<std::uint64_t> sums;  // count, outcome, square_high, square_low of each update
  };
  const std::uint64_t curve_updates = states == nullptr ? updates : 0;
  Workers<Curve> curves([&] { return Curve{std::vector<std::uint64_t>(4 * curve_updates)}; });
  std::mutex reporting;
  std::uint64_t finished = 0, planned = 0;
  for (const SeedRange& range : request.ranges) planned += range.replicas * request.trainings[range.training].updates;
  finished = updates_behind(request);
  for (const ReplicaQueuePart& part : queues_of(request.ranges)) {
    std::uint64_t next = 0;
    const ReplicaQueue queue = {part.rows, &next, &finished};
    const CartPoleGroups<Policy> groups = {request.trainings.data(), part.groups.data(),
                                           static_cast<std::uint32_t>(part.groups.size()), static_cast<std::uint32_t>(window)};
    const auto pointers = [&](std::vector<std::vector<float>>& columns) {
      std::vector<float*> all;
      for (std::vector<float>& column : columns) all.push_back(column.data() + part.first_row);
      return all;
    };
    std::vector<float*> theta = pointers(table.parameters), m, v;
    CartPoleRows rows = {table.status.data() + part.first_row,
                         table.updates.data() + part.first_row,
                         table.steps.data() + part.first_row,
                         theta.data(),
                         outcomes.empty() ? nullptr : outcomes.data() + part.first_row,
                         replicas,
                         nullptr,
                         nullptr,
                         nullptr};
    if (states != nullptr) {
      m = pointers(states->m);
      v = pointers(states->v);
      rows.m = m.data();
      rows.v = v.data();
      rows.recent = states->recent.data() + part.first_row;
    }

    // Asked by every worker every few milliseconds; tells the progress too.
    const auto question = [&] {
      if (control.progress) {
        const std::unique_lock lock(reporting, std::try_to_lock);
        if (lock) control.progress(__atomic_load_n(&finished, __ATOMIC_RELAXED), planned);
      }
      return is_set(control.stop) || (states != nullptr && is_set(control.pause));
    };
    using Question = decltype(question);
    const StopQuestion stop = {[](const void* context) { return (*static_cast<const Question*>(context))(); }, &question};

    // Few replicas are dealt out evenly; each worker's lanes are filled from the first on, and idle bundles cost nothing.
    const std::uint64_t workers = std::min<std::uint64_t>(info_.threads, part.rows);
    const auto lanes = static_cast<std::uint32_t>(std::min<std::uint64_t>(replica_lanes, (part.rows + workers - 1) / workers));
    const auto work_on = [&](std::uint64_t) {
      const FloatingEnvironment environment;
      std::vector<std::uint64_t> scratch(std::uint64_t{replica_lanes} * window);
      CartPoleCurve curve{};
      if (curve_updates != 0) {
        std::uint64_t* const sums = curves.local().sums.data();
        curve = {sums, sums + updates, sums + 2 * updates, sums + 3 * updates};
      }
      program(request.work, groups, queue, lanes, rows, curve, scratch.data(), stop);
    };
    if (workers == 1) {
      work_on(0);
    } else {
      arena_.execute([&] { oneapi::tbb::parallel_for(std::uint64_t{0}, workers, work_on, oneapi::tbb::simple_partitioner()); });
    }
    if (is_set(control.stop)) throw Stopped();
  }
  if (states != nullptr) return population;
  if (control.progress) control.progress(planned, planned);

  CurveTotals& curve = population.curve;
  curve = empty_curve(updates);
  for (const Curve& part : curves) {
    const auto at = [&](std::uint64_t column, std::uint64_t u) { return part.sums[column * updates + u]; };
    for (std::uint64_t u = 0; u < updates; ++u) {
      curve.count[u] += at(0, u);
      WideSum sum;
      sum.add(static_cast<std::int64_t>(at(1, u)));
      curve.correct[u].add(sum);
      curve.squared[u].add(WideSum{static_cast<std::int64_t>(at(2, u)), static_cast<std::int64_t>(at(3, u))});
    }
  }
  arena_.execute([&] { complete_population(request, population); });
  return population;
}

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const LaneExecutor& executor, unsigned threads, std::uint64_t chunk,
                                          const std::string& reason, unsigned threads_of_all) {
  const unsigned all = std::max(threads, threads_of_all);
  const StartableThreads startable = startable_threads(all);
  const unsigned granted = std::max(1u, static_cast<unsigned>(std::uint64_t{threads} * startable.threads / all));
  auto backend = std::make_unique<CpuBackend>(executor, granted, chunk, reason, threads_of_all);
  if (!startable.refusal.empty()) {
    backend->warn(
        fmt::format("{} of {} threads are used: so many cannot be started here ({})", granted, threads, startable.refusal));
  }
  return backend;
}

unsigned usable_threads() { return static_cast<unsigned>(std::max(1, oneapi::tbb::info::default_concurrency())); }

}  // namespace fryer
