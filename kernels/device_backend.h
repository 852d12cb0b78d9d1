// SPDX-License-Identifier: Apache-2.0
// The CUDA backend but for CUDA: cuts numbered work into launches that are short enough for progress and Ctrl-C, keeps a population's
// rows in device memory until the statistics over them are made, and brings them back once. A template over a Device, which is a GPU
// (cuda_backend.cu) or, in the tests, 32 host threads a warp: so all of this is tested where there is no GPU.
#pragma once

#include "kernels/cart_pole_device.h"
#include "kernels/device_runs.h"
#include "kernels/q_device.h"

namespace fryer {

// Trainings until a threshold: the grid is the same in all launches of a run, since lanes live on from one to the next.
struct UntilShape {
  std::uint64_t lanes;
  std::uint32_t most_steps;  // of one launch, so that 32-bit curve sums cannot overflow
  std::size_t curve_bytes;   // a block's curves; 0: they do not fit
};

// What a Device offers, all of it asynchronous until wait() but copy_to_host and the statistics:
//   Buffer<T>(size), data(), size(): device memory with an owner;
//   use(): everything below is about this device from here on; wait(); free_bytes();
//   clear(pointer, size), copy_to_device(buffer, host pointer), copy_to_device(device pointer, host pointer, size), copy_to_host(host pointer, device pointer, size);
//   launch_gradient, launch_evaluate, step_lanes, launch_step, until_shape, launch_until (what they run: warp_bodies.h);
//   for CartPole launch_gradient, launch_evaluate, cart_pole_lanes, launch_train of either policy (cart_pole_bodies.h);
//   for value learners q_teams, launch_q_train, launch_q_evaluate (q_training_bodies.h, q_evaluate_bodies.h);
//   summarise_rows, curve_quantiles, of both; statistics_bytes, cart_pole_statistics_bytes.
template <class Device>
class DeviceBackend final : public Backend {
 public:
  template <class T>
  using Buffer = typename Device::template Buffer<T>;

  DeviceBackend(Device device, BackendInfo info, const CudaOptions& options)
      : runs_(std::move(device), std::move(info), options), cart_pole_(runs_), q_(runs_), sums_(kSums) {}
  ~DeviceBackend() override { runs_.device.use_if_possible(); }  // for the members that free memory of it
  DeviceBackend(const DeviceBackend&) = delete;
  DeviceBackend& operator=(const DeviceBackend&) = delete;

  const BackendInfo& info() const override { return runs_.info; }

  GradientSums gradient(const EpisodeWork& work, std::uint64_t first, std::uint64_t count, bool weight, Moments moments,
                        const RunControl& control) override {
    if (!has_finite_numbers(work)) throw RunError("gradient: a parameter or gain is not finite");
    GradientSums total;
    run_episodes(
        first, count, control,
        [&](EpisodeRange range) { runs_.device.launch_gradient(work, range, weight, moments, sums_.data()); },
        [&](const std::uint64_t* sums, std::uint64_t episodes) { total.add(to_gradient_sums(sums, episodes)); });
    return total;
  }

  std::array<std::uint64_t, FryShack::kOutcomes> evaluate(const EpisodeWork& work, std::uint64_t first, std::uint64_t count,
                                                          const RunControl& control) override {
    std::array<std::uint64_t, FryShack::kOutcomes> total{};
    run_episodes(
        first, count, control, [&](EpisodeRange range) { runs_.device.launch_evaluate(work, range, sums_.data()); },
        [&](const std::uint64_t* counts, std::uint64_t) {
          for (std::size_t i = 0; i < total.size(); ++i) total[i] += counts[i];
        });
    return total;
  }

  Population train(const TrainRequest& request, const RunControl& control) override {
    runs_.device.use();
    ReplicaWork work = request.work;
    const std::uint64_t replicas = request.replicas, updates = work.updates;
    const bool outcomes = request.detail.keeps_outcomes();
    if (work.batch > kLargestBatch) {
      throw DeviceError("a lane of " + runs_.info.device + " plays batches of at most " + std::to_string(kLargestBatch) +
                        " episodes, not " + std::to_string(work.batch));
    }
    check_memory(work, replicas, outcomes);

    const auto table_memory =
        runs_.copy_table(request.table->step.data(), request.table->root_scale.data(), request.table->step.size());
    work.step = table_memory.step.data();
    work.root_scale = table_memory.root_scale.data();
    const Rows rows(replicas, outcomes ? updates * replicas : 0);
    Buffer<std::uint64_t> curve(3 * updates);
    runs_.device.clear(curve.data(), curve.size());
    const CurveMemory curve_memory = {curve.data(), curve.data() + updates, curve.data() + 2 * updates};

    runs_.for_each_piece(request.first_seed, replicas, DeviceRuns<Device>::kSpan, [&](const Piece& piece) {
      if (work.window == 0) {
        train_in_step(work, piece, rows, curve_memory, control);
      } else {
        train_until(work, piece, rows, curve_memory, control);
      }
    });

    Population population;
    ReplicaTable& table = population.table;
    table.first_seed = request.first_seed;
    runs_.copy_column(table.status, rows.status);
    runs_.copy_column(table.updates, rows.updates);
    table.parameters.resize(2);
    runs_.copy_column(table.parameters[0], rows.weight);
    runs_.copy_column(table.parameters[1], rows.bias);
    std::vector<std::uint64_t> sums;
    runs_.copy_column(sums, curve);
    CurveTotals& totals = population.curve;
    totals.count.assign(sums.begin(), sums.begin() + static_cast<std::ptrdiff_t>(updates));
    totals.correct.resize(updates);
    totals.squared.resize(updates);
    for (std::uint64_t u = 0; u < updates; ++u) {
      totals.correct[u].add(static_cast<std::int64_t>(sums[updates + u]));
      totals.squared[u].add(static_cast<std::int64_t>(sums[2 * updates + u]));
    }
    if (request.detail.summaries) {
      PopulationSummaries summaries = runs_.device.summarise_rows(rows.from(0), replicas);
      population.parameters = std::move(summaries.parameters);
      population.solved_updates = summaries.solved_updates;
    }
    if (request.detail.outcomes) runs_.copy_column(population.outcomes, rows.correct);
    if (request.detail.curve_quantiles)
      population.curve_quantiles = runs_.device.curve_quantiles(work, rows.from(0), replicas, totals.count);
    return population;
  }

  CartPoleSums gradient(const CartPoleWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                        const RunControl& control) override {
    return cart_pole_.gradient(work, first, count, task, control);
  }
  std::vector<std::uint64_t> evaluate(const CartPoleWork& work, std::uint64_t first, std::uint64_t count,
                                      const RunControl& control) override {
    return cart_pole_.evaluate(work, first, count, control);
  }
  Population train(const CartPoleTrainRequest& request, const RunControl& control) override {
    return cart_pole_.train(request, control);
  }

  HiddenSums gradient(const HiddenWork& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                      const RunControl& control) override {
    return cart_pole_.gradient(work, first, count, task, control);
  }
  std::vector<std::uint64_t> evaluate(const HiddenWork& work, std::uint64_t first, std::uint64_t count,
                                      const RunControl& control) override {
    return cart_pole_.evaluate(work, first, count, control);
  }
  Population train(const HiddenTrainRequest& request, const RunControl& control) override {
    return cart_pole_.train(request, control);
  }

  std::vector<std::uint64_t> evaluate(const QEpisodeWork& work, std::uint64_t first, std::uint64_t count,
                                      const RunControl& control) override {
    return q_.evaluate(work, first, count, control);
  }
  Population train(const QTrainRequest& request, const RunControl& control) override { return q_.train(request, control); }

 private:
  using Clock = typename DeviceRuns<Device>::Clock;
  static constexpr std::uint64_t kSums = std::max<std::uint64_t>(kGradientSlots, FryShack::kOutcomes);

  // Work of the first launch: under a millisecond on a large GPU, under a second on the smallest. Of a training in step a quarter of
  // the episodes; of one with a threshold so many updates a lane.
  static constexpr std::uint64_t kFirstEpisodes = std::uint64_t{1} << 28, kFirstSteps = 512;
  // Larger batches belong to gradient(): a lane would play one for seconds, and its 32-bit counters would not suffice.
  static constexpr std::uint32_t kLargestBatch = 65536;

  // A population's rows on the device.
  struct Rows {
    Buffer<std::uint8_t> status;
    Buffer<std::uint32_t> updates, correct;
    Buffer<float> weight, bias;
    std::uint64_t replicas;

    Rows(std::uint64_t n, std::uint64_t curve_numbers)
        : status(n), updates(n), correct(curve_numbers), weight(n), bias(n), replicas(n) {}
    RowMemory from(std::uint64_t first) const {
      return {status.data() + first,
              updates.data() + first,
              weight.data() + first,
              bias.data() + first,
              correct.size() != 0 ? correct.data() + first : nullptr,
              replicas};
    }
  };

  // What lanes keep between launches.
  struct Lanes {
    static constexpr std::uint64_t kFloats = 6, kStepWords = 1, kUntilWords = 4;  // a lane, without the window
    Buffer<float> floats;
    Buffer<std::uint32_t> words;
    std::uint64_t lanes;

    Lanes(std::uint64_t n, std::uint64_t words_a_lane) : floats(kFloats * n), words(words_a_lane * n), lanes(n) {}
    LaneMemory memory() const {
      const auto f = [&](std::uint64_t column) { return floats.data() + column * lanes; };
      const auto w = [&](std::uint64_t column) {
        return column * lanes < words.size() ? words.data() + column * lanes : nullptr;
      };
      return {{f(0), f(1)}, {f(2), f(3)}, {f(4), f(5)}, w(0), w(1), w(2), w(3), w(4)};
    }
  };

  // Runs launch(range) and add(sums of it, episodes) over first .. first + count - 1.
  template <class Launch, class Add>
  void run_episodes(std::uint64_t first, std::uint64_t count, const RunControl& control, const Launch& launch, const Add& add) {
    runs_.run_episodes(first, count, kFirstEpisodes, DeviceRuns<Device>::kSpan, control, [&](EpisodeRange range) {
      runs_.device.clear(sums_.data(), kSums);
      launch(range);
      std::uint64_t sums[kSums];
      runs_.device.copy_to_host(sums, sums_.data(), kSums);
      add(sums, range.count);
    });
  }

  // All memory of a training at once, before it starts.
  void check_memory(const ReplicaWork& work, std::uint64_t replicas, bool outcomes) {
    const double n = static_cast<double>(replicas), updates = static_cast<double>(work.updates);
    const std::uint64_t lanes =
        work.window == 0 ? std::min(runs_.device.step_lanes(work), replicas) : runs_.device.until_shape(work, replicas).lanes;
    const std::uint64_t words = work.window == 0 ? Lanes::kStepWords : Lanes::kUntilWords + work.window;
    const double needed = 13 * n + 32 * updates + (outcomes ? 4 * n * updates : 0) +
                          4.0 * static_cast<double>(lanes * (Lanes::kFloats + words)) +
                          static_cast<double>(runs_.device.statistics_bytes(work, replicas, outcomes));
    runs_.check_memory(replicas, needed);
  }

  void train_in_step(const ReplicaWork& work, const Piece& piece, const Rows& rows, const CurveMemory& curve,
                     const RunControl& control) {
    const std::uint64_t updates = work.updates, most_lanes = runs_.device.step_lanes(work);
    // Lanes that are kept waiting between launches, where a whole training would be too long for one.
    const Lanes lanes(std::min(most_lanes, piece.replicas), Lanes::kStepWords);
    StepLaunch launch{};
    launch.seed_high = static_cast<std::uint32_t>(piece.first_seed >> 32);
    runs_.copy_key(launch.key_high, piece.first_seed);
    launch.curve = curve;
    launch.lanes = lanes.memory();
    // In updates of one replica, which are `batch` episodes each.
    Pacer pacer(std::max<std::uint64_t>(kFirstEpisodes / 4 / work.batch, 1), runs_.options.chunk,
                runs_.options.seconds_per_launch);
    const auto run = [&](std::uint64_t replicas, std::uint64_t first_update, std::uint64_t end_update) {
      runs_.check_stop(control);
      launch.replicas = static_cast<std::uint32_t>(replicas);
      launch.first_update = static_cast<std::uint32_t>(first_update);
      launch.end_update = static_cast<std::uint32_t>(end_update);
      const auto start = Clock::now();
      runs_.device.launch_step(work, launch);
      runs_.device.wait();
      pacer.took(replicas * (end_update - first_update), runs_.seconds_since(start));
    };
    for (std::uint64_t finished = 0; finished < piece.replicas;) {
      const std::uint64_t left = piece.replicas - finished, waiting = std::min(left, lanes.lanes);
      launch.seed_low = static_cast<std::uint32_t>(piece.first_seed + finished);
      launch.rows = rows.from(piece.first_row + finished);
      std::uint64_t replicas = std::min({left, pacer.size() / updates, DeviceRuns<Device>::kSpan / 2});
      if (replicas >= waiting) {                                 // whole trainings,
        if (replicas < left) replicas -= replicas % most_lanes;  // and whole rounds of lanes
        run(replicas, 0, updates);
      } else {
        replicas = waiting;
        for (std::uint64_t update = 0; update < updates;) {
          const std::uint64_t end = std::min(updates, update + std::max<std::uint64_t>(pacer.size() / waiting, 1));
          run(replicas, update, end);
          update = end;
          if (update < updates)
            runs_.report(control, (piece.first_row + finished) * updates + replicas * update, piece.all * updates);
        }
      }
      finished += replicas;
      runs_.report(control, (piece.first_row + finished) * updates, piece.all * updates);
    }
  }

  void train_until(const ReplicaWork& work, const Piece& piece, const Rows& rows, const CurveMemory& curve,
                   const RunControl& control) {
    const UntilShape shape = runs_.device.until_shape(work, piece.replicas);
    const Lanes lanes(shape.lanes, Lanes::kUntilWords + work.window);
    Buffer<std::uint64_t> counters(2);  // replicas taken, lanes still running
    runs_.device.clear(counters.data(), 2);
    UntilLaunch launch{};
    launch.seed_low = static_cast<std::uint32_t>(piece.first_seed);
    launch.seed_high = static_cast<std::uint32_t>(piece.first_seed >> 32);
    runs_.copy_key(launch.key_high, piece.first_seed);
    launch.replicas = piece.replicas;
    launch.next = counters.data();
    launch.running = counters.data() + 1;
    launch.rows = rows.from(piece.first_row);
    launch.curve = curve;
    launch.lanes = lanes.memory();
    // In updates of one lane.
    const std::uint64_t fixed = runs_.options.chunk != 0 ? std::max<std::uint64_t>(runs_.options.chunk / shape.lanes, 1) : 0;
    Pacer pacer(std::max<std::uint64_t>(kFirstSteps / work.batch, 1), fixed, runs_.options.seconds_per_launch);
    std::uint64_t now[2];
    do {
      runs_.check_stop(control);
      launch.steps = static_cast<std::uint32_t>(std::min<std::uint64_t>(pacer.size(), shape.most_steps));
      const auto start = Clock::now();
      runs_.device.clear(launch.running, 1);
      runs_.device.launch_until(work, launch, shape);
      runs_.device.copy_to_host(now, counters.data(), 2);
      pacer.took(launch.steps, runs_.seconds_since(start));
      launch.resume = true;
      launch.slot = (launch.slot + launch.steps % work.window) % work.window;
      const std::uint64_t ended = std::min(now[0], piece.replicas) - now[1];
      runs_.report(control, (piece.first_row + ended) * work.updates, piece.all * work.updates);
    } while (now[1] != 0);
  }

  DeviceRuns<Device> runs_;
  CartPoleRuns<Device> cart_pole_;
  QRuns<Device> q_;
  Buffer<std::uint64_t> sums_;
};

}  // namespace fryer
