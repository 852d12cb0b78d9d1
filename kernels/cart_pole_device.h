// SPDX-License-Identifier: Apache-2.0
// CartPole's part of the CUDA backend (device_backend.h): numbered episodes and trainings cut into launches, a population's rows in
// device memory until its statistics are made. A template over the Device, so that tests run it on warps of host threads.
#pragma once

#include <map>

#include "fryer/engine/replica_queues.h"
#include "kernels/cart_pole_bodies.h"
#include "kernels/device_runs.h"

namespace fryer {

// All rows of a population, for the statistics over them.
struct CartPoleColumns {
  const std::uint8_t* status;
  const std::uint32_t* updates;
  const std::uint64_t* steps;
  std::vector<const float*> parameters;
  const std::uint32_t* outcome;
  std::uint64_t stride;
  const std::uint64_t* episodes = nullptr;  // of value learners
};

template <class Device>
class CartPoleRuns {
 public:
  template <class T>
  using Buffer = typename Device::template Buffer<T>;

  explicit CartPoleRuns(DeviceRuns<Device>& runs) : runs_(runs), sums_(CartPoleSlots<HiddenLayerPolicy>::kCount) {}

  template <class Policy>
  CartPoleSumsOf<Policy> gradient(const CartPoleWorkOf<Policy>& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                                  const RunControl& control) {
    constexpr std::uint32_t kSlots = CartPoleSlots<Policy>::kCount;
    check_finite(work);
    CartPoleSumsOf<Policy> total;
    runs_.run_episodes(first, count, first_episodes(work), kMostEpisodesPerLaunch, control, [&](EpisodeRange range) {
      runs_.device.clear(sums_.data(), kSlots);
      runs_.device.launch_gradient(work, range, task, sums_.data());
      std::uint64_t sums[kSlots];
      runs_.device.copy_to_host(sums, sums_.data(), kSlots);
      total.add(to_cart_pole_sums<Policy>(sums, range.count));
    });
    return total;
  }

  template <class Policy>
  std::vector<std::uint64_t> evaluate(const CartPoleWorkOf<Policy>& work, std::uint64_t first, std::uint64_t count,
                                      const RunControl& control) {
    check_finite(work);
    runs_.device.use();
    const Buffer<std::uint64_t> counts(outcome_count(work.game.max_steps));
    runs_.device.clear(counts.data(), counts.size());
    runs_.run_episodes(first, count, first_episodes(work), kMostEpisodesPerLaunch, control, [&](EpisodeRange range) {
      runs_.device.launch_evaluate(work, range, counts.data());
      runs_.device.wait();
    });
    std::vector<std::uint64_t> total;
    runs_.copy_column(total, counts);
    return total;
  }

  template <class Policy>
  Population train(const CartPoleTrainRequestOf<Policy>& request, const RunControl& control) {
    runs_.device.use();
    TrainingStates* const states = request.states;
    const std::uint64_t replicas = request.replicas(), updates = request.updates();
    const bool outcomes = states != nullptr ? !states->outcomes.empty() : request.detail.keeps_outcomes();
    check_memory(request, outcomes);

    const Settings<Policy> settings(runs_, request.trainings);
    const Rows rows(replicas, request.work.shape.parameters(), outcomes ? updates * replicas : 0);
    const StateMemory state_memory = states != nullptr ? copy_states(*states, rows) : StateMemory{};
    const Buffer<std::uint64_t> curve(states == nullptr ? 4 * updates : 0);
    CartPoleCurveMemory curve_memory{};
    if (states == nullptr) {
      runs_.device.clear(curve.data(), curve.size());
      const auto column = [&](std::uint64_t i) { return curve.data() + i * updates; };
      curve_memory = {column(0), column(1), column(2), column(3)};
    }
    std::vector<LeftTraining> left;
    for (const ReplicaQueuePart& part : queues_of(request.ranges, kMostReplicas)) {
      CartPoleLaunchOf<Policy> launch{};
      launch.training = settings.trainings.data();
      launch.rows = rows.template from<Policy>(part.first_row);
      if (states != nullptr) {
        launch.rows.m = state_memory.m.data() + part.first_row;
        launch.rows.v = state_memory.v.data() + part.first_row;
        launch.rows.recent = state_memory.recent.data() + part.first_row;
      }
      launch.curve = curve_memory;
      train_part(request, part, launch, control, left);
    }

    Population population;
    ReplicaTable& table = states != nullptr ? states->table : population.table;
    if (states == nullptr) table.first_seed = request.ranges[0].first_seed;
    runs_.copy_column(table.status, rows.status);
    runs_.copy_column(table.updates, rows.updates);
    runs_.copy_column(table.steps, rows.steps);
    table.parameters.resize(rows.parameter.size());
    for (std::size_t i = 0; i < rows.parameter.size(); ++i) runs_.copy_column(table.parameters[i], rows.parameter[i]);
    if (states != nullptr) {
      if (outcomes) runs_.copy_column(states->outcomes, rows.outcome);
      for (const LeftTraining& training : left) store(training, *states);
      return population;
    }
    std::vector<std::uint64_t> sums;
    runs_.copy_column(sums, curve);
    CurveTotals& totals = population.curve;
    totals.count.assign(sums.begin(), sums.begin() + static_cast<std::ptrdiff_t>(updates));
    totals.correct.resize(updates);
    totals.squared.resize(updates);
    for (std::uint64_t u = 0; u < updates; ++u) {
      const auto at = [&](std::uint64_t i) { return static_cast<std::int64_t>(sums[i * updates + u]); };
      totals.correct[u].add(at(1));
      totals.squared[u].add(WideSum{at(2), at(3)});
    }
    const CartPoleColumns columns = rows.columns();
    if (request.detail.summaries) {
      PopulationSummaries summaries = runs_.device.summarise_rows(columns, replicas);
      population.parameters = std::move(summaries.parameters);
      population.solved_updates = summaries.solved_updates;
      population.solved_steps = summaries.solved_steps;
    }
    if (request.detail.outcomes) runs_.copy_column(population.outcomes, rows.outcome);
    if (request.detail.curve_quantiles)
      population.curve_quantiles = runs_.device.curve_quantiles(columns, replicas, totals.count);
    return population;
  }

 private:
  // Work of the first launch: under a millisecond on a large GPU, under a second on the smallest. Episodes of so many steps at most; of
  // trainings so many blocks of four steps a lane. Of a policy with more parameters than the linear one as much less.
  static constexpr std::uint64_t kFirstSteps = std::uint64_t{1} << 28, kFirstBlocks = 256;
  template <class Shape>
  static std::uint64_t for_parameters(const Shape& shape, std::uint64_t of_the_linear_policy) {
    const auto parameters = static_cast<std::uint64_t>(shape.parameters());
    return std::max<std::uint64_t>(of_the_linear_policy * kCartPoleParameters / parameters, 1);
  }
  template <class Policy>
  static std::uint64_t first_episodes(const CartPoleWorkOf<Policy>& work) {
    return for_parameters(work.policy.shape(), kFirstSteps / std::max(work.game.max_steps, 1u));
  }
  static constexpr std::uint64_t kMostBlocks = std::uint64_t{1} << 30, kMostReplicas = (std::uint64_t{1} << 31) - 1;

  template <class Policy>
  static void check_finite(const CartPoleWorkOf<Policy>& work) {
    if (!has_finite_numbers(work)) throw RunError("a parameter or gain of the policy is not finite");
  }

  // A population's rows on the device.
  struct Rows {
    Buffer<std::uint8_t> status;
    Buffer<std::uint32_t> updates, outcome;
    Buffer<std::uint64_t> steps;
    std::vector<Buffer<float>> parameter;
    std::uint64_t replicas;

    // Of a replica.
    static double bytes(int parameters) { return 1 + 4 + 8 + 4 * parameters; }
    Rows(std::uint64_t n, int parameters, std::uint64_t curve_numbers)
        : status(n), updates(n), outcome(curve_numbers), steps(n), replicas(n) {
      for (int i = 0; i < parameters; ++i) parameter.emplace_back(n);
    }
    template <class Policy>
    CartPoleRowMemoryOf<Policy> from(std::uint64_t first) const {
      CartPoleRowMemoryOf<Policy> memory{};
      memory.status = status.data() + first;
      memory.updates = updates.data() + first;
      memory.steps = steps.data() + first;
      memory.stride = replicas;
      for (std::size_t i = 0; i < parameter.size(); ++i) memory.parameter[i] = parameter[i].data() + first;
      if (outcome.size() != 0) memory.outcome = outcome.data() + first;
      return memory;
    }
    CartPoleColumns columns() const {
      CartPoleColumns c = {status.data(), updates.data(), steps.data(), {}, outcome.data(), replicas, nullptr};
      for (const Buffer<float>& column : parameter) c.parameters.push_back(column.data());
      return c;
    }
  };

  // The settings of all trainings, with their tables one behind the other; several may share one.
  template <class Policy>
  struct Settings {
    typename DeviceRuns<Device>::TableMemory tables;
    Buffer<CartPoleTrainingOf<Policy>> trainings;

    Settings(DeviceRuns<Device>& runs, std::vector<CartPoleTrainingOf<Policy>> given) : trainings(given.size()) {
      std::vector<float> step, root_scale;
      std::map<const float*, std::size_t> first;  // of each table, by where it is in the host's memory
      for (const CartPoleTrainingOf<Policy>& training : given) {
        const std::size_t entries = std::size_t{training.table_last} + 1;
        if (!first.try_emplace(training.step, step.size()).second) continue;
        step.insert(step.end(), training.step, training.step + entries);
        root_scale.insert(root_scale.end(), training.root_scale, training.root_scale + entries);
      }
      tables = runs.copy_table(step.data(), root_scale.data(), step.size());
      for (CartPoleTrainingOf<Policy>& training : given) {
        const std::size_t begin = first.at(training.step);
        training.step = tables.step.data() + begin;
        training.root_scale = tables.root_scale.data() + begin;
      }
      runs.device.copy_to_device(trainings, given.data());
    }
  };

  // What trainings need besides their rows to start in their middle.
  struct StateMemory {
    Buffer<float> m{0}, v{0};
    Buffer<std::uint32_t> recent{0};
  };
  // Fills the rows too.
  StateMemory copy_states(const TrainingStates& states, const Rows& rows) {
    const ReplicaTable& table = states.table;
    Device& device = runs_.device;
    device.copy_to_device(rows.status, table.status.data());
    device.copy_to_device(rows.updates, table.updates.data());
    device.copy_to_device(rows.steps, table.steps.data());
    if (!states.outcomes.empty()) device.copy_to_device(rows.outcome, states.outcomes.data());
    std::vector<float> m, v;
    for (std::size_t i = 0; i < rows.parameter.size(); ++i) {
      device.copy_to_device(rows.parameter[i], table.parameters[i].data());
      m.insert(m.end(), states.m[i].begin(), states.m[i].end());
      v.insert(v.end(), states.v[i].begin(), states.v[i].end());
    }
    // An outcome of a batch that lanes play is below 2^31.
    const std::vector<std::uint32_t> recent(states.recent.begin(), states.recent.end());
    StateMemory memory = {Buffer<float>(m.size()), Buffer<float>(v.size()), Buffer<std::uint32_t>(recent.size())};
    device.copy_to_device(memory.m, m.data());
    device.copy_to_device(memory.v, v.data());
    device.copy_to_device(memory.recent, recent.data());
    device.wait();
    return memory;
  }

  // A training that a pause left between two updates.
  struct LeftTraining {
    std::uint64_t row;
    std::uint32_t updates;
    std::uint64_t steps;
    std::vector<float> theta, m, v;
    std::vector<std::uint32_t> recent;  // update u at u % window of its training
  };
  static void store(const LeftTraining& training, TrainingStates& states) {
    states.table.updates[training.row] = training.updates;
    states.table.steps[training.row] = training.steps;
    for (std::size_t i = 0; i < training.theta.size(); ++i) {
      states.table.parameters[i][training.row] = training.theta[i];
      states.m[i][training.row] = training.m[i];
      states.v[i][training.row] = training.v[i];
    }
    for (std::size_t i = 0; i < training.recent.size(); ++i)
      states.recent[i * states.table.size() + training.row] = training.recent[i];
  }
  // Of every lane that still trains a row.
  template <class Policy>
  void leave(const CartPoleTrainRequestOf<Policy>& request, const ReplicaQueuePart& part,
             const Buffer<CartPoleWarpMemoryOf<Policy>>& memory, const Buffer<std::uint32_t>& ring,
             std::vector<LeftTraining>& left) {
    std::vector<CartPoleWarpMemoryOf<Policy>> warps;
    std::vector<std::uint32_t> outcomes;
    runs_.copy_column(warps, memory);
    runs_.copy_column(outcomes, ring);
    const std::uint64_t lanes = warps.size() * kWarpLanes;
    for (std::uint64_t at = 0; at < lanes; ++at) {
      const CartPoleWarpMemoryOf<Policy>& warp = warps[at / kWarpLanes];
      const std::uint64_t lane = at % kWarpLanes;
      if (warp.row[lane] >= part.rows) continue;
      LeftTraining training = {part.first_row + warp.row[lane], warp.updates[lane], warp.total_steps[lane], {}, {}, {}, {}};
      for (int i = 0; i < request.work.shape.parameters(); ++i) {
        training.theta.push_back(warp.theta[i][lane]);
        training.m.push_back(warp.m[i][lane]);
        training.v.push_back(warp.v[i][lane]);
      }
      const std::uint32_t window = request.trainings[warp.training[lane]].window;
      for (std::uint64_t slot = 0; slot < std::min(window, training.updates); ++slot)
        training.recent.push_back(outcomes[slot * lanes + at]);
      left.push_back(std::move(training));
    }
  }

  // All memory of a training at once, before it starts.
  template <class Policy>
  void check_memory(const CartPoleTrainRequestOf<Policy>& request, bool outcomes) {
    const std::uint64_t replicas = request.replicas(), most_updates = request.updates();
    const double n = static_cast<double>(replicas), updates = static_cast<double>(most_updates);
    const int parameters = request.work.shape.parameters();
    const double window = static_cast<double>(request.window());
    const auto lanes = static_cast<double>(runs_.device.cart_pole_lanes(request.work, replicas));
    double settings = static_cast<double>(request.ranges.size() * sizeof(ReplicaGroup)), curve = 0, states = 0;
    for (const CartPoleTrainingOf<Policy>& training : request.trainings)
      settings += static_cast<double>(sizeof training) + 8.0 * (training.table_last + 1);
    if (request.states != nullptr) {
      states = n * (8 * parameters + 4 * window);
    } else {
      curve = 32 * updates + static_cast<double>(runs_.device.cart_pole_statistics_bytes(most_updates, replicas, outcomes));
    }
    runs_.check_memory(replicas, Rows::bytes(parameters) * n + states + settings + curve + (outcomes ? 4 * n * updates : 0) +
                                     lanes * (sizeof(CartPoleWarpMemoryOf<Policy>) / kWarpLanes + 4.0 * window));
  }

  // launch: but for what is of the part.
  template <class Policy>
  void train_part(const CartPoleTrainRequestOf<Policy>& request, const ReplicaQueuePart& part, CartPoleLaunchOf<Policy>& launch,
                  const RunControl& control, std::vector<LeftTraining>& left) {
    const std::uint64_t lanes = runs_.device.cart_pole_lanes(request.work, part.rows);
    const std::uint64_t updates = request.updates(), replicas = request.replicas(), behind = updates_behind(request);
    const Buffer<CartPoleWarpMemoryOf<Policy>> memory(lanes / kWarpLanes);
    const Buffer<std::uint32_t> ring(lanes * request.window());
    const Buffer<ReplicaGroup> groups(part.groups.size());
    const Buffer<std::uint64_t> counters(2);  // rows taken, lanes still running
    runs_.device.copy_to_device(groups, part.groups.data());
    runs_.device.clear(counters.data(), 2);
    launch.group = groups.data();
    launch.groups = static_cast<std::uint32_t>(part.groups.size());
    launch.seed_high = static_cast<std::uint32_t>(part.groups[0].first_seed >> 32);
    runs_.copy_key(launch.key_high, part.groups[0].first_seed);
    launch.replicas = static_cast<std::uint32_t>(part.rows);
    launch.next = counters.data();
    launch.running = counters.data() + 1;
    launch.lanes = memory.data();
    launch.ring = ring.data();
    // In blocks of one lane.
    const std::uint64_t fixed =
        runs_.options.chunk != 0 ? std::max<std::uint64_t>(runs_.options.chunk / (kStepsPerBlock * lanes), 1) : 0;
    Pacer pacer(for_parameters(request.work.shape, kFirstBlocks), fixed, runs_.options.seconds_per_launch);
    std::uint64_t now[2];
    do {
      runs_.check_stop(control);
      if (request.states != nullptr && is_set(control.pause)) {
        if (launch.resume) leave(request, part, memory, ring, left);
        return;
      }
      launch.blocks = static_cast<std::uint32_t>(std::min(pacer.size(), kMostBlocks));
      const auto start = DeviceRuns<Device>::Clock::now();
      runs_.device.clear(launch.running, 1);
      runs_.device.launch_train(request.work, launch, lanes);
      runs_.device.copy_to_host(now, counters.data(), 2);
      pacer.took(launch.blocks, runs_.seconds_since(start));
      launch.resume = true;
      const std::uint64_t ended = std::min(now[0], part.rows) - now[1];
      runs_.report(control, std::max(behind, (part.first_row + ended) * updates), replicas * updates);
    } while (now[1] != 0);
  }

  DeviceRuns<Device>& runs_;
  Buffer<std::uint64_t> sums_;
};

}  // namespace fryer
