// SPDX-License-Identifier: Apache-2.0
// CartPole's part of the CUDA backend (device_backend.h): numbered episodes and trainings cut into launches, a population's rows in
// device memory until its statistics are made. A template over the Device, so that tests run it on warps of host threads.
#pragma once

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

  // Work: CartPoleReplicaWork or HiddenReplicaWork.
  template <class Work>
  Population train(const CartPoleTrainRequestOf<Work>& request, const RunControl& control) {
    runs_.device.use();
    Work work = request.work;
    const std::uint64_t replicas = request.replicas, updates = work.updates;
    const bool outcomes = request.detail.keeps_outcomes();
    check_memory(work, replicas, outcomes);

    const auto table_memory = runs_.copy_table(*request.table);
    work.step = table_memory.step.data();
    work.root_scale = table_memory.root_scale.data();
    const Rows rows(replicas, work.shape.parameters(), outcomes ? updates * replicas : 0);
    const Buffer<std::uint64_t> curve(4 * updates);
    runs_.device.clear(curve.data(), curve.size());
    const auto column = [&](std::uint64_t i) { return curve.data() + i * updates; };
    const CartPoleCurveMemory curve_memory = {column(0), column(1), column(2), column(3)};
    runs_.for_each_piece(request.first_seed, replicas, kMostReplicas,
                         [&](const Piece& piece) { train_piece(work, piece, rows, curve_memory, control); });

    Population population;
    ReplicaTable& table = population.table;
    table.first_seed = request.first_seed;
    runs_.copy_column(table.status, rows.status);
    runs_.copy_column(table.updates, rows.updates);
    runs_.copy_column(table.steps, rows.steps);
    for (const Buffer<float>& parameter : rows.parameter) runs_.copy_column(table.parameters.emplace_back(), parameter);
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
      CartPoleRowMemoryOf<Policy> memory = {
          status.data() + first, updates.data() + first, steps.data() + first, {}, nullptr, replicas};
      for (std::size_t i = 0; i < parameter.size(); ++i) memory.parameter[i] = parameter[i].data() + first;
      if (outcome.size() != 0) memory.outcome = outcome.data() + first;
      return memory;
    }
    CartPoleColumns columns() const {
      CartPoleColumns c = {status.data(), updates.data(), steps.data(), {}, outcome.data(), replicas};
      for (const Buffer<float>& column : parameter) c.parameters.push_back(column.data());
      return c;
    }
  };

  // All memory of a training at once, before it starts.
  template <class Work>
  void check_memory(const Work& work, std::uint64_t replicas, bool outcomes) {
    const double n = static_cast<double>(replicas), updates = static_cast<double>(work.updates);
    const auto lanes = static_cast<double>(runs_.device.cart_pole_lanes(work, replicas));
    runs_.check_memory(replicas,
                       Rows::bytes(work.shape.parameters()) * n + 40 * updates + (outcomes ? 4 * n * updates : 0) +
                           lanes * (sizeof(CartPoleWarpMemoryOf<typename Work::Kind>) / kWarpLanes + 4.0 * work.window) +
                           static_cast<double>(runs_.device.cart_pole_statistics_bytes(work.updates, replicas, outcomes)));
  }

  template <class Work>
  void train_piece(const Work& work, const Piece& piece, const Rows& rows, const CartPoleCurveMemory& curve,
                   const RunControl& control) {
    using Policy = typename Work::Kind;
    const std::uint64_t lanes = runs_.device.cart_pole_lanes(work, piece.replicas);
    const Buffer<CartPoleWarpMemoryOf<Policy>> memory(lanes / kWarpLanes);
    const Buffer<std::uint32_t> ring(lanes * work.window);
    const Buffer<std::uint64_t> counters(2);  // replicas taken, lanes still running
    runs_.device.clear(counters.data(), 2);
    CartPoleLaunchOf<Policy> launch{};
    launch.seed_low = static_cast<std::uint32_t>(piece.first_seed);
    launch.seed_high = static_cast<std::uint32_t>(piece.first_seed >> 32);
    runs_.copy_key(launch.key_high, piece.first_seed);
    launch.replicas = static_cast<std::uint32_t>(piece.replicas);
    launch.next = counters.data();
    launch.running = counters.data() + 1;
    launch.rows = rows.template from<Policy>(piece.first_row);
    launch.curve = curve;
    launch.lanes = memory.data();
    launch.ring = ring.data();
    // In blocks of one lane.
    const std::uint64_t fixed =
        runs_.options.chunk != 0 ? std::max<std::uint64_t>(runs_.options.chunk / (kStepsPerBlock * lanes), 1) : 0;
    Pacer pacer(for_parameters(work.shape, kFirstBlocks), fixed, runs_.options.seconds_per_launch);
    std::uint64_t now[2];
    do {
      runs_.check_stop(control);
      launch.blocks = static_cast<std::uint32_t>(std::min(pacer.size(), kMostBlocks));
      const auto start = DeviceRuns<Device>::Clock::now();
      runs_.device.clear(launch.running, 1);
      runs_.device.launch_train(work, launch, lanes);
      runs_.device.copy_to_host(now, counters.data(), 2);
      pacer.took(launch.blocks, runs_.seconds_since(start));
      launch.resume = true;
      const std::uint64_t ended = std::min(now[0], piece.replicas) - now[1];
      runs_.report(control, (piece.first_row + ended) * work.updates, piece.all * work.updates);
    } while (now[1] != 0);
  }

  DeviceRuns<Device>& runs_;
  Buffer<std::uint64_t> sums_;
};

}  // namespace fryer
