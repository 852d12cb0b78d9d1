// SPDX-License-Identifier: Apache-2.0
// The value learners' part of the CUDA backend (device_backend.h): trainings in slots, one a team of threads, that stay in device memory from
// launch to launch; a population's rows until its statistics are made; episodes of a trained network. A template over the Device,
// so that tests run it on teams of host threads.
#pragma once

#include "fryer/engine/memory.h"
#include "fryer/engine/replica_queues.h"
#include "kernels/cart_pole_device.h"
#include "kernels/q_evaluate_bodies.h"
#include "kernels/q_training_bodies.h"

namespace fryer {

template <class Device>
class QRuns {
 public:
  template <class T>
  using Buffer = typename Device::template Buffer<T>;

  explicit QRuns(DeviceRuns<Device>& runs) : runs_(runs) {}

  std::vector<std::uint64_t> evaluate(const QEpisodeWork& work, std::uint64_t first, std::uint64_t count,
                                      const RunControl& control) {
    runs_.device.use();
    const QTeams teams = runs_.device.q_teams(QKind::evaluation, work.shape, 0);
    QEvaluateLaunch launch{};
    launch.episodes = work.episodes;
    launch.shape = QTeamShape(work.shape);
    launch.plan = teams.plan;
    launch.places = QEvaluatePlaces(launch.shape, launch.plan);
    const std::vector<float> weight = team_array(launch.shape, work.parameter);
    const Buffer<float> device_weight(weight.size());
    const Buffer<std::uint64_t> next(1), counts(outcome_count(work.episodes.max_steps));
    runs_.device.copy_to_device(device_weight, weight.data());
    runs_.device.clear(counts.data(), counts.size());
    launch.weight = device_weight.data();
    launch.next = next.data();
    launch.counts = counts.data();
    runs_.run_episodes(first, count, std::max<std::uint64_t>(kFirstSteps / std::max(work.episodes.max_steps, 1u), 1),
                       kMostEpisodesPerLaunch, control, [&](EpisodeRange range) {
                         launch.first = std::uint64_t{range.high} << 32 | range.first;
                         launch.count = range.count;
                         runs_.device.clear(next.data(), 1);
                         runs_.device.launch_q_evaluate(launch, teams);
                         runs_.device.wait();
                       });
    std::vector<std::uint64_t> total;
    runs_.copy_column(total, counts);
    return total;
  }

  Population train(const QTrainRequest& request, const RunControl& control) {
    runs_.device.use();
    check_memory(request, 0);
    Job job(runs_, request, control);
    for (const QKind kind : {QKind::with_replay, QKind::online}) {
      if (!train_rows(job, kind)) break;
    }
    return job.result();
  }

 private:
  // Work of the first launch: a millisecond or so on a large GPU. Turns of a team, and steps of episodes.
  static constexpr std::uint64_t kFirstTurns = 256, kFirstSteps = std::uint64_t{1} << 22;

  // A network's parameters as teams have them; none: all 0.
  static std::vector<float> team_array(const QTeamShape& shape, const std::vector<float>& parameter) {
    std::vector<float> array(static_cast<std::size_t>(shape.numbers));
    for (std::size_t i = 0; i < parameter.size(); ++i)
      array[static_cast<std::size_t>(team_place(shape, static_cast<int>(i)))] = parameter[i];
    return array;
  }
  static std::vector<float> parameters_of(const QTeamShape& shape, const float* array, int parameters) {
    std::vector<float> parameter;
    for (int i = 0; i < parameters; ++i) parameter.push_back(array[team_place(shape, i)]);
    return parameter;
  }

  // How many turns without an update take as long as one with it, about: an update is bound by arithmetic, a step by latency.
  static std::uint32_t update_cost(const QTrainingRules& rules) {
    const auto parameters = static_cast<std::uint64_t>(rules.update.shape.parameters());
    return static_cast<std::uint32_t>(1 + rules.update.batch * parameters / 32768);
  }

  static bool keeps_outcomes_of(const QTrainRequest& request) {
    return request.states != nullptr ? !request.states->outcomes.empty() : request.detail.keeps_outcomes();
  }
  // Before anything is taken: rows, curve and statistics, and so much more.
  void check_memory(const QTrainRequest& request, double more) {
    const std::uint64_t replicas = request.replicas(), episodes = request.episodes();
    const double n = static_cast<double>(replicas), points = static_cast<double>(episodes);
    const bool outcomes = keeps_outcomes_of(request);
    double needed = n * (1 + 4 + 4 + 8 + 8 + 4.0 * request.parameters()) + (outcomes ? 4 * n * points : 0) +
                    static_cast<double>(sizeof(QDeviceTraining) * request.trainings.size()) + more;
    if (request.states == nullptr)
      needed += 32 * points + static_cast<double>(runs_.device.cart_pole_statistics_bytes(episodes, replicas, outcomes));
    runs_.check_memory(replicas, needed);
  }

  // Everything of a request but the slots in which it is trained.
  struct Job {
    DeviceRuns<Device>& runs;
    const QTrainRequest& request;
    const RunControl& control;
    const QTeamShape shape;
    const std::uint64_t replicas, episodes;
    const bool keeps_outcomes;
    const std::uint64_t behind;
    std::vector<QDeviceTraining> trainings;
    Buffer<QDeviceTraining> device_trainings;
    Buffer<std::uint8_t> status;
    Buffer<std::uint32_t> updates, counted, outcome;
    Buffer<std::uint64_t> row_episodes, steps, curve;
    Buffer<float> parameter;
    Buffer<std::uint64_t> counters;  // rows taken, teams still at work, episodes finished, those of warm-ups
    enum : std::uint64_t { kNext, kRunning, kFinished, kWarmup, kCounters };

    Job(DeviceRuns<Device>& device_runs, const QTrainRequest& r, const RunControl& c)
        : runs(device_runs),
          request(r),
          control(c),
          shape(r.trainings[0].shape),
          replicas(r.replicas()),
          episodes(r.episodes()),
          keeps_outcomes(keeps_outcomes_of(r)),
          behind(episodes_behind(r)),
          device_trainings(r.trainings.size()),
          status(replicas),
          updates(replicas),
          counted(replicas),
          outcome(keeps_outcomes ? episodes * replicas : 0),
          row_episodes(replicas),
          steps(replicas),
          curve(r.states == nullptr ? 4 * episodes : 0),
          parameter(static_cast<std::uint64_t>(r.parameters()) * replicas),
          counters(kCounters) {
      for (QTrainingSettings settings : request.trainings) {
        settings.keeps_every_outcome = request.states == nullptr || keeps_outcomes;
        QDeviceTraining training{};
        training.rules = make_q_training_rules(settings);
        training.start = start_q_training(settings, training.rules, 0);
        training.bounds = initial_bounds(settings.initialisation, settings.shape);
        training.update_cost = update_cost(training.rules);
        trainings.push_back(training);
      }
      Device& device = runs.device;
      device.copy_to_device(device_trainings, trainings.data());
      const std::vector<std::uint8_t> unfinished(replicas, static_cast<std::uint8_t>(ReplicaStatus::unfinished));
      device.copy_to_device(status, unfinished.data());
      device.clear(counters.data(), counters.size());
      device.clear(curve.data(), curve.size());
      device.wait();
    }

    QRowMemory rows() const {
      return {status.data(),
              updates.data(),
              row_episodes.data(),
              steps.data(),
              counted.data(),
              parameter.data(),
              outcome.size() != 0 ? outcome.data() : nullptr,
              replicas,
              episodes,
              kNoOutcome};
    }
    QCurveMemory curve_memory() const {
      if (curve.size() == 0) return {};
      const auto column = [&](std::uint64_t i) { return curve.data() + i * episodes; };
      return {column(0), column(1), column(2), column(3)};
    }
    void report(std::uint64_t finished) const {
      std::uint64_t planned = 0;
      for (const SeedRange& range : request.ranges) planned += range.replicas * request.trainings[range.training].episodes;
      runs.report(control, behind + finished, planned);
    }

    Population result() {
      Population population;
      std::vector<std::uint64_t> numbers;
      runs.copy_column(numbers, counters);
      population.warmup_episodes = numbers[kWarmup];
      ReplicaTable table;
      runs.copy_column(table.status, status);
      runs.copy_column(table.updates, updates);
      runs.copy_column(table.episodes, row_episodes);
      runs.copy_column(table.steps, steps);
      if (request.states != nullptr) {
        store(table, *request.states);
        return population;
      }
      table.first_seed = request.ranges[0].first_seed;
      for (int i = 0; i < request.parameters(); ++i) table.parameters.push_back(parameter_column(i));
      population.table = std::move(table);
      std::vector<std::uint64_t> sums;
      runs.copy_column(sums, curve);
      CurveTotals& totals = population.curve;
      totals.count.assign(sums.begin(), sums.begin() + static_cast<std::ptrdiff_t>(episodes));
      totals.correct.resize(episodes);
      totals.squared.resize(episodes);
      for (std::uint64_t e = 0; e < episodes; ++e) {
        const auto at = [&](std::uint64_t i) { return static_cast<std::int64_t>(sums[i * episodes + e]); };
        totals.correct[e].add(at(1));
        totals.squared[e].add(WideSum{at(2), at(3)});
      }
      CartPoleColumns columns = {status.data(), updates.data(), steps.data(), {}, outcome.data(), replicas, row_episodes.data()};
      if (request.detail.summaries) {
        for (int i = 0; i < request.parameters(); ++i)
          columns.parameters.push_back(parameter.data() + static_cast<std::uint64_t>(i) * replicas);
        PopulationSummaries summaries = runs.device.summarise_rows(columns, replicas);
        population.parameters = std::move(summaries.parameters);
        population.solved_updates = summaries.solved_updates;
        population.solved_steps = summaries.solved_steps;
        population.solved_episodes = summaries.solved_episodes;
      }
      if (request.detail.outcomes) runs.copy_column(population.outcomes, outcome);
      if (request.detail.curve_quantiles) {
        columns.updates = counted.data();
        population.curve_quantiles = runs.device.curve_quantiles(columns, replicas, totals.count);
      }
      return population;
    }

   private:
    std::vector<float> parameter_column(int i) {
      std::vector<float> column(replicas);
      runs.device.copy_to_host(column.data(), parameter.data() + static_cast<std::uint64_t>(i) * replicas, replicas);
      return column;
    }
    // Rows that ended in this run; those that a pause left stand already.
    void store(const ReplicaTable& now, TrainingStates& states) {
      std::vector<std::uint64_t> ended;
      for (std::uint64_t row = 0; row < replicas; ++row) {
        if (now.status[row] != static_cast<std::uint8_t>(ReplicaStatus::unfinished)) ended.push_back(row);
      }
      if (ended.empty()) return;
      ReplicaTable& table = states.table;
      for (const std::uint64_t row : ended) {
        table.status[row] = now.status[row];
        table.updates[row] = now.updates[row];
        table.episodes[row] = now.episodes[row];
        table.steps[row] = now.steps[row];
        states.value_learners[row] = {};
      }
      for (int i = 0; i < request.parameters(); ++i) {
        const std::vector<float> column = parameter_column(i);
        for (const std::uint64_t row : ended) table.parameters[static_cast<std::size_t>(i)][row] = column[row];
      }
      if (!keeps_outcomes) return;
      std::vector<std::uint32_t> outcomes;
      runs.copy_column(outcomes, outcome);
      for (const std::uint64_t row : ended) {
        for (std::uint64_t e = 0; e < now.episodes[row]; ++e) states.outcomes[e * replicas + row] = outcomes[e * replicas + row];
      }
    }
  };

  // Rows of one kind of learner: those that have not begun, and those that have a record.
  struct Rows {
    std::vector<std::uint64_t> seed;
    std::vector<std::uint32_t> row, training;
    struct Begun {
      std::uint32_t row, training;
    };
    std::vector<Begun> begun;
    std::uint32_t batch = 0;                  // the most of any
    std::uint64_t transitions = 1, kept = 1;  // the same
  };
  static Rows rows_of(const Job& job, QKind kind) {
    Rows rows;
    std::uint32_t row = 0;
    for (const SeedRange& range : job.request.ranges) {
      const QTrainingRules& rules = job.trainings[range.training].rules;
      for (std::uint64_t i = 0; i < range.replicas; ++i, ++row) {
        if (rules.learns_online() != (kind == QKind::online)) continue;
        const TrainingStates* const states = job.request.states;
        if (states != nullptr && states->table.status[row] != static_cast<std::uint8_t>(ReplicaStatus::unfinished)) continue;
        if (states != nullptr && !states->value_learners[row].weight.empty()) {
          rows.begun.push_back({row, range.training});
        } else {
          rows.seed.push_back(range.first_seed + i);
          rows.row.push_back(row);
          rows.training.push_back(range.training);
        }
        rows.batch = std::max(rows.batch, rules.update.batch);
        rows.transitions = std::max(rows.transitions, most_transitions(job.request.trainings[range.training]));
        rows.kept = std::max(rows.kept, rules.kept_outcomes);
      }
    }
    return rows;
  }

  // What a number of teams have in device memory.
  struct Slots {
    Buffer<QSlot> slot;
    Buffer<float> learner;
    Buffer<Transition> replay;
    Buffer<std::uint32_t> outcomes;
    std::uint64_t slots, numbers, transitions, kept;

    static double bytes(const QTeamShape& shape, const Rows& rows) {
      return static_cast<double>(sizeof(QSlot)) + 4.0 * kQSlotArrays * shape.numbers +
             static_cast<double>(rows.transitions) * sizeof(Transition) + 4.0 * static_cast<double>(rows.kept);
    }
    Slots(DeviceRuns<Device>& runs, const QTeamShape& shape, const Rows& rows, std::uint64_t count)
        : slot(count),
          learner(count * kQSlotArrays * static_cast<std::uint64_t>(shape.numbers)),
          replay(count * rows.transitions),
          outcomes(count * rows.kept),
          slots(count),
          numbers(static_cast<std::uint64_t>(shape.numbers)),
          transitions(rows.transitions),
          kept(rows.kept) {
      runs.device.clear(learner.data(), learner.size());
      runs.device.clear(outcomes.data(), outcomes.size());
    }
    float* array(std::uint64_t i, int which) const {
      return learner.data() + (i * kQSlotArrays + static_cast<std::uint64_t>(which)) * numbers;
    }
  };

  // Trains the rows of a kind to their end. False if a pause left them.
  bool train_rows(Job& job, QKind kind) {
    const Rows rows = rows_of(job, kind);
    const std::uint64_t all = rows.row.size() + rows.begun.size();
    if (all == 0) return true;
    const QNetworkShape network = job.request.trainings[0].shape;
    const QTeams teams = runs_.device.q_teams(kind, network, rows.batch);
    const double bytes = Slots::bytes(job.shape, rows);
    // A quarter of what is left stays free for the rows' numbers and the statistics.
    const double room = 0.75 * static_cast<double>(runs_.device.free_bytes()) / bytes;
    std::uint64_t count = std::min(teams.teams, all);
    if (room < static_cast<double>(count)) count = static_cast<std::uint64_t>(room);
    if (job.request.states != nullptr) count = std::min(count, most_to_be_left(bytes));
    if (count == 0) check_memory(job.request, bytes / 0.75);
    count = std::max<std::uint64_t>(count, 1);

    const Slots slots(runs_, job.shape, rows, count);
    const Buffer<std::uint64_t> seed(rows.seed.size());
    const Buffer<std::uint32_t> row(rows.row.size()), training(rows.training.size());
    Device& device = runs_.device;
    device.copy_to_device(seed, rows.seed.data());
    device.copy_to_device(row, rows.row.data());
    device.copy_to_device(training, rows.training.data());
    QLaunch launch{};
    launch.network = network;
    launch.shape = job.shape;
    launch.plan = teams.plan;
    std::vector<QOnlineQuad> quads;
    if (kind == QKind::online) quads = make_online_quads(launch.shape);
    const Buffer<QOnlineQuad> device_quads(quads.size());
    device.copy_to_device(device_quads, quads.data());
    launch.quads = device_quads.data();
    launch.quad_count = static_cast<int>(quads.size());
    if (kind == QKind::online) {
      launch.online = QOnlinePlaces(launch.shape, launch.plan);
    } else {
      launch.block = QBlockPlaces(launch.shape, launch.plan);
    }
    launch.training = job.device_trainings.data();
    launch.fresh = {seed.data(), row.data(), training.data(), 0};
    launch.next = job.counters.data() + Job::kNext;
    launch.running = job.counters.data() + Job::kRunning;
    launch.finished = job.counters.data() + Job::kFinished;
    launch.warmup_episodes = job.counters.data() + Job::kWarmup;
    launch.rows = job.rows();
    launch.curve = job.curve_memory();
    launch.slot = slots.slot.data();
    launch.learner = slots.learner.data();
    launch.replay = slots.replay.data();
    launch.transitions = slots.transitions;
    launch.outcomes = slots.outcomes.data();
    launch.kept = slots.kept;

    const std::uint64_t fixed = runs_.options.chunk != 0 ? std::max<std::uint64_t>(runs_.options.chunk / count, 1) : 0;
    Pacer pacer(kFirstTurns, fixed, runs_.options.seconds_per_launch);
    // Trainings that were begun come first, as many at a time as there are slots; with the last of them, those that were not.
    for (std::size_t begun = 0;;) {
      const std::size_t some = std::min<std::size_t>(count, rows.begun.size() - begun);
      fill(job, slots, rows.begun.data() + begun, some);
      begun += some;
      launch.fresh.count = begun == rows.begun.size() ? rows.row.size() : 0;
      device.clear(launch.next, 1);
      if (!run(job, slots, launch, {count, teams.plan}, kind, pacer)) {
        leave(job, slots);
        return false;
      }
      if (begun == rows.begun.size()) return true;
    }
  }

  // Trainings of so many bytes that the host has room for, should a pause leave them.
  std::uint64_t most_to_be_left(double bytes) const {
    double room = runs_.options.bytes_of_left_trainings;
    if (room == 0) room = 0.5 * usable_memory();
    return static_cast<std::uint64_t>(std::clamp(room / bytes, 1.0, 0x1p32));
  }

  // Launches until no team has work left. False if a pause stopped it.
  bool run(const Job& job, const Slots& slots, QLaunch& launch, const QTeams& teams, QKind kind, Pacer& pacer) {
    std::uint64_t now[Job::kCounters], told = 0;
    const bool alone = job.replicas == 1 && job.control.episodes && job.trainings[0].rules.kept_outcomes >= job.episodes;
    if (alone && job.request.states != nullptr) told = job.behind;
    do {
      runs_.check_stop(job.control);
      if (job.request.states != nullptr && is_set(job.control.pause)) return false;
      launch.turns = pacer.size();
      const auto start = DeviceRuns<Device>::Clock::now();
      runs_.device.clear(launch.running, 1);
      runs_.device.launch_q_train(launch, kind, teams);
      runs_.device.copy_to_host(now, job.counters.data(), Job::kCounters);
      pacer.took(launch.turns, runs_.seconds_since(start));
      if (alone) told = tell(job, slots, told);
      job.report(now[Job::kFinished]);
    } while (now[Job::kRunning] != 0 || now[Job::kNext] < launch.fresh.count);
    return true;
  }

  // The episodes of a training that is alone, from number `told` on; returns the number of the first that has not ended.
  std::uint64_t tell(const Job& job, const Slots& slots, std::uint64_t told) {
    QSlot slot;
    runs_.device.copy_to_host(&slot, slots.slot.data(), 1);
    const std::uint64_t counted = slot.state.counted_episodes();
    if (counted == told) return told;
    std::vector<std::uint32_t> outcomes(counted - told);
    runs_.device.copy_to_host(outcomes.data(), slots.outcomes.data() + told, outcomes.size());
    job.control.episodes(told, outcomes);
    return counted;
  }

  // Gives the first slots the trainings that were begun; the others have none.
  void fill(const Job& job, const Slots& slots, const typename Rows::Begun* begun, std::size_t count) {
    Device& device = runs_.device;
    std::vector<QSlot> all(slots.slots);
    for (QSlot& slot : all) slot.row = kNoRow;
    for (std::size_t i = 0; i < count; ++i) {
      const QTrainingRecord& record = job.request.states->value_learners[begun[i].row];
      all[i].state = record.state;
      all[i].row = begun[i].row;
      all[i].training = begun[i].training;
      const auto put = [&](int which, const std::vector<float>& parameter) {
        const std::vector<float> array = team_array(job.shape, parameter);
        device.copy_to_device(slots.array(i, which), array.data(), array.size());
        device.wait();
      };
      put(kWeightArray, record.weight);
      put(kTargetArray, record.target);
      put(kMArray, record.m);
      put(kVArray, record.v);
      device.copy_to_device(slots.replay.data() + i * slots.transitions, record.replay.data(), record.replay.size());
      device.copy_to_device(slots.outcomes.data() + i * slots.kept, record.outcomes.data(), record.outcomes.size());
    }
    device.copy_to_device(slots.slot, all.data());
    device.wait();
  }

  // Records of the trainings in slots, and their rows as they stand.
  void leave(const Job& job, const Slots& slots) {
    Device& device = runs_.device;
    TrainingStates& states = *job.request.states;
    std::vector<QSlot> all;
    runs_.copy_column(all, slots.slot);
    std::vector<float> array(slots.numbers);
    for (std::uint64_t i = 0; i < all.size(); ++i) {
      const std::uint32_t row = all[i].row;
      if (row == kNoRow) continue;
      const QTrainingRules& rules = job.trainings[all[i].training].rules;
      QTrainingRecord& record = states.value_learners[row];
      record.state = all[i].state;
      const auto get = [&](int which) {
        device.copy_to_host(array.data(), slots.array(i, which), array.size());
        return parameters_of(job.shape, array.data(), job.request.parameters());
      };
      record.weight = get(kWeightArray);
      record.target = rules.update.learning.has_target_network() ? get(kTargetArray) : std::vector<float>{};
      record.m = get(kMArray);
      record.v = get(kVArray);
      record.replay.resize(rules.stored(record.state.steps));
      device.copy_to_host(record.replay.data(), slots.replay.data() + i * slots.transitions, record.replay.size());
      record.outcomes.resize(rules.kept_outcomes);
      device.copy_to_host(record.outcomes.data(), slots.outcomes.data() + i * slots.kept, record.outcomes.size());

      ReplicaTable& table = states.table;
      table.updates[row] = static_cast<std::uint32_t>(record.state.updates);
      table.episodes[row] = record.state.counted_episodes();
      table.steps[row] = record.state.steps;
      for (std::size_t p = 0; p < record.weight.size(); ++p) table.parameters[p][row] = record.weight[p];
      if (!job.keeps_outcomes) continue;
      for (std::uint64_t e = 0; e < record.state.counted_episodes(); ++e)
        states.outcomes[e * job.replicas + row] = record.outcomes[e];
    }
  }

  DeviceRuns<Device>& runs_;
};

}  // namespace fryer
