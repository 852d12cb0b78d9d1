// SPDX-License-Identifier: Apache-2.0
// The bodies of the CUDA kernels, as templates over a Warp: 32 lanes that advance together. On a GPU that is a CUDA warp
// (cuda_warp.cuh); in the tests it is 32 host threads with a barrier, so the code that numbers, refills and reduces is checked bit
// for bit where there is no GPU. Knows nothing of CUDA: a kernel adds where its warp stands and where its memory is.
//
// Loops that data can leave have a vote (`if (!warp.any(ended)) continue;`): without it nvcc builds "advance until ended", where
// ended lanes wait for the longest of 32 (2.2 times as slow on CartPole's prototype).
#pragma once

#include <concepts>

#include "fryer/lane/episode_gradient.h"
#include "fryer/lane/replica_training.h"

namespace fryer {

inline constexpr std::uint32_t kWarpLanes = 32;

// What the bodies ask of 32 lanes that all call it. sum: over the lanes, the same in all. add: atomically to shared memory.
template <class W>
concept WarpLike = requires(const W& warp, bool vote, std::uint32_t word, std::uint64_t number, std::uint32_t* words,
                            std::uint64_t* numbers) {
  { warp.lane() } -> std::same_as<std::uint32_t>;
  { warp.ballot(vote) } -> std::same_as<std::uint32_t>;  // bit i: lane i's vote
  { warp.any(vote) } -> std::same_as<bool>;
  warp.sync();  // memory written by a lane before is seen by the others after
  { warp.sum(word) } -> std::same_as<std::uint32_t>;
  { warp.sum(number) } -> std::same_as<std::uint64_t>;
  warp.add(words, word);
  warp.add(numbers, number);
  { warp.take(numbers) } -> std::same_as<std::uint64_t>;  // adds 1 atomically, returns the value before; by any subset of lanes
};

// Which of the launch's warps this is.
struct WarpPlace {
  std::uint32_t warp, warps;
};

FRYER_LANE std::uint32_t count_votes(std::uint32_t ballot) {
#if defined(__CUDA_ARCH__)
  return static_cast<std::uint32_t>(__popc(static_cast<int>(ballot)));
#else
  return static_cast<std::uint32_t>(__builtin_popcount(ballot));
#endif
}

// ---- episodes under one policy: group g of 32 consecutive episodes belongs to warp g modulo the number of warps

// Episodes high 2^32 + first ... first + count - 1; first + count <= 2^32.
struct EpisodeRange {
  std::uint32_t first, high;
  std::uint64_t count;
};

// Where a launch's sums are added, in an array of this many numbers.
enum GradientSlot : std::uint32_t {
  kGradientWeight,
  kGradientBias,
  kSquaredWeightHigh,
  kSquaredWeightLow,
  kSquaredBiasHigh,
  kSquaredBiasLow,
  kCorrect,
  kGradientSlots
};

// True where a cheaper kernel gives the same bits: no logit that an episode can have is clamped by the sigmoid, and no large order
// is certain. The logit is monotone in hunger, rounding included.
inline bool is_bounded(const EpisodeWork& work) {
  const auto inside = [&](float hunger24) {
    const float observation[1] = {hunger24};
    const float z = work.policy.logit(observation);
    return z >= kSigmoidZeroBelow && z <= kSigmoidOneFrom;
  };
  return inside(0.0f) && inside(0x1.fffffep23f) && !FryShack::large_order_may_be_certain(work.rules.environment);
}

// Episodes in flight in a lane. Counted on sm_90, bounded gradient: 72.8 instructions an episode at 4, 72.1 at 8, 71.7 at 10, 71.6 at
// 12, 72.0 at 16. The loop of 10 has 11.5 KB, within the 12 KB of the smallest first-level instruction cache that was measured
// (Volta: Jia et al. 2018).
inline constexpr int kEpisodesInFlight = 10;

// Calls body(low word of the episode's number) for each episode of this lane; returns how many.
template <class Warp, class Body>
FRYER_LANE std::uint32_t for_each_episode(const Warp& warp, WarpPlace place, EpisodeRange range, const Body& body) {
  const std::uint32_t stride = place.warps * kWarpLanes, index = place.warp * kWarpLanes + warp.lane();
  const std::uint32_t episodes = index < range.count ? static_cast<std::uint32_t>((range.count - 1 - index) / stride) + 1 : 0;
  std::uint32_t number = range.first + index;
#if defined(__CUDA_ARCH__)
#pragma unroll kEpisodesInFlight
#endif
  for (std::uint32_t i = 0; i < episodes; ++i, number += stride) body(number);
  return episodes;
}

// Adds this lane's part to sums[slot], one atomic addition a warp. int64 sums wrap as they do on the host.
template <class Warp>
FRYER_LANE void add_to(const Warp& warp, std::uint64_t* sums, std::uint32_t slot, std::uint64_t part) {
  const std::uint64_t sum = warp.sum(part);
  if (warp.lane() == 0) warp.add(sums + slot, sum);
}

// Adds the gradient sums of a range to sums[kGradientSlots]. Rules, Policy: work's own, or their cheaper forms (see is_bounded).
template <bool kWeight, Moments kMoments, WarpLike Warp, class Rules, class Policy>
FRYER_LANE void gradient_body(const Warp& warp, WarpPlace place, const EpisodeWork& work, const Rules& rules,
                              const Policy& policy, EpisodeRange range, std::uint64_t* sums) {
  GradientAccumulator<float, kWeight, kMoments> accumulator;
  accumulator.clear();
  std::uint32_t correct = 0;
  for_each_episode(warp, place, range, [&](std::uint32_t number) FRYER_INLINE_LAMBDA {
    const auto words = philox<float>(0u, work.rules.purpose_word, number, range.high, work.key);
    const auto episode = play<float>(rules, policy, words);
    accumulator.add(work, episode, loss_gradient24(work.rules, episode));
    correct = increment_if(episode.correct, correct);
  });
  accumulator.correct = correct;
  GradientSums part;
  accumulator.total(part);
  if constexpr (kWeight) add_to(warp, sums, kGradientWeight, static_cast<std::uint64_t>(part.gradient[0]));
  add_to(warp, sums, kGradientBias, static_cast<std::uint64_t>(part.gradient[1]));
  if constexpr (kMoments == Moments::first_and_second) {
    // A lane has at most 2^27 terms; normalised, its low limb is below 2^32, and 2^31 of them may be added.
    FRYER_UNROLL for (int i = kWeight ? 0 : 1; i < 2; ++i) {
      part.squared[i].normalise();
      add_to(warp, sums, i == 0 ? kSquaredWeightHigh : kSquaredBiasHigh, static_cast<std::uint64_t>(part.squared[i].high));
      add_to(warp, sums, i == 0 ? kSquaredWeightLow : kSquaredBiasLow, static_cast<std::uint64_t>(part.squared[i].low));
    }
  }
  add_to(warp, sums, kCorrect, part.correct);
}

// The sums of a launch as results have them.
inline GradientSums to_gradient_sums(const std::uint64_t* sums, std::uint64_t episodes) {
  const auto number = [&](GradientSlot slot) { return static_cast<std::int64_t>(sums[slot]); };
  GradientSums g;
  g.gradient[0] = number(kGradientWeight);
  g.gradient[1] = number(kGradientBias);
  g.squared[0].high = number(kSquaredWeightHigh);
  g.squared[0].low = number(kSquaredWeightLow);
  g.squared[1].high = number(kSquaredBiasHigh);
  g.squared[1].low = number(kSquaredBiasLow);
  g.squared[0].normalise();
  g.squared[1].normalise();
  g.correct = sums[kCorrect];
  g.episodes = episodes;
  return g;
}

// Adds the outcomes of a range to counts[2 * action + correct].
template <WarpLike Warp, class Rules, class Policy>
FRYER_LANE void evaluate_body(const Warp& warp, WarpPlace place, const EpisodeWork& work, const Rules& rules,
                              const Policy& policy, EpisodeRange range, std::uint64_t* counts) {
  std::uint32_t norm = 0, correct = 0, norm_correct = 0;
  const std::uint32_t episodes = for_each_episode(warp, place, range, [&](std::uint32_t number) FRYER_INLINE_LAMBDA {
    const auto words = philox<float>(0u, work.rules.purpose_word, number, range.high, work.key);
    const auto episode = play<float>(rules, policy, words);
    norm = increment_if(episode.action, norm);
    correct = increment_if(episode.correct, correct);
    norm_correct = increment_if(both(episode.action, episode.correct), norm_correct);
  });
  add_to(warp, counts, 3, norm_correct);
  add_to(warp, counts, 2, norm - norm_correct);
  add_to(warp, counts, 1, correct - norm_correct);
  add_to(warp, counts, 0, episodes - norm - (correct - norm_correct));
}

// ---- replicas: a lane trains one from its first update to its last

// Where rows go, element i for the launch's replica i. A failed replica has NaN (0x7fc00000) in both parameters and the number of
// the update after which one was not finite.
struct RowMemory {
  std::uint8_t* status;
  std::uint32_t* updates;
  float *weight, *bias;
  std::uint32_t* correct;  // (updates, stride): correct orders of each batch made, or null
  std::uint64_t stride;
};

// Sums over the replicas that made each update, ReplicaWork::updates elements each, added to.
struct CurveMemory {
  std::uint64_t *count, *correct, *squared;
};

// What a lane keeps from one launch to the next, a column each: parameters and moments, weight before bias.
struct LaneMemory {
  float *theta[2], *m[2], *v[2];
  std::uint32_t* made;       // updates made; in step: the number of the update after which it failed, 0 if it has not
  std::uint32_t* successes;  // of the last `window` updates
  std::uint32_t* replica;    // which one it trains
  std::uint32_t* busy;       // 1 if it trains one
  std::uint32_t* ring;  // (window, lanes): successes of the last updates. 4 bytes a slot: at most 34 MB on an H200, in its L2
};

FRYER_LANE void store_row(const RowMemory& rows, std::uint64_t row, ReplicaStatus status, std::uint32_t updates, float weight,
                          float bias) {
  const bool failed = status == ReplicaStatus::failed;
  rows.status[row] = static_cast<std::uint8_t>(status);
  rows.updates[row] = updates;
  rows.weight[row] = failed ? from_bits(kFailedParameterBits) : weight;
  rows.bias[row] = failed ? from_bits(kFailedParameterBits) : bias;
}

template <class Lanes>
FRYER_LANE void save_lane(const LaneMemory& memory, std::uint64_t i, const Lanes& lanes) {
  FRYER_UNROLL for (int j = 0; j < 2; ++j) {
    memory.theta[j][i] = lanes.theta[j];
    memory.m[j][i] = lanes.m[j];
    memory.v[j][i] = lanes.v[j];
  }
}
template <class Lanes>
FRYER_LANE void load_lane(const LaneMemory& memory, std::uint64_t i, Lanes& lanes) {
  FRYER_UNROLL for (int j = 0; j < 2; ++j) {
    lanes.theta[j] = memory.theta[j][i];
    lanes.m[j] = memory.m[j][i];
    lanes.v[j] = memory.v[j][i];
  }
}

// One launch of trainings that all make every update: replicas seed_low ... of one high word, updates first_update .. end_update - 1
// of each (`lanes` has the state at both ends, unless they are the first and the last).
struct StepLaunch {
  std::uint32_t seed_low, seed_high;
  std::uint32_t key_high[kPhiloxRounds];  // seed_high's part of the key schedule: as an argument it costs no instruction
  std::uint32_t replicas;                 // below 2^31
  std::uint32_t first_update, end_update;
  RowMemory rows;
  CurveMemory curve;
  LaneMemory lanes;
};

// Lanes of a warp are in step: one update number for all. Its curve sums stay in registers, lane i keeping those of the updates that
// are i modulo 32, so that a lane makes one atomic addition a quantity for 32 updates of 32 replicas. (All warps of the grid are at
// about the same update: an atomic a warp and update would queue up at one address, ten times slower than the training.)
template <OptimizerSettings::Kind kOptimizer, bool kLearnWeight, bool kSingle, WarpLike Warp>
FRYER_LANE void train_in_step_body(const Warp& warp, WarpPlace place, const ReplicaWork& work, const StepLaunch& launch) {
  const std::uint32_t stride = place.warps * kWarpLanes;
  std::uint32_t base = place.warp * kWarpLanes;
  if (base >= launch.replicas) return;

  ReplicaLanes<float, std::uint32_t, kOptimizer, kLearnWeight, kSingle> lanes;
  std::uint32_t index, update, failed_after, live_lanes;
  bool used, live;
  const auto begin = [&]() FRYER_INLINE_LAMBDA {
    index = base + warp.lane();
    used = index < launch.replicas;
    lanes.start(work, launch.seed_low + index, launch.seed_high);
    FRYER_UNROLL for (int round = 0; round < kPhiloxRounds; ++round) lanes.key.high[round] = launch.key_high[round];
    update = launch.first_update;
    failed_after = 0;
    if (update != 0 && used) {
      load_lane(launch.lanes, index, lanes);
      failed_after = launch.lanes.made[index];
    }
    live = used && failed_after == 0;
    live_lanes = count_votes(warp.ballot(live));
  };

  std::uint32_t kept_count = 0, kept_correct = 0;
  std::uint64_t kept_squared = 0;
  const auto flush = [&]() FRYER_INLINE_LAMBDA {  // of the 32 updates that `update` is one of
    if (kept_count == 0) return;
    const std::uint32_t mine = (update & ~(kWarpLanes - 1)) + warp.lane();
    warp.add(launch.curve.count + mine, std::uint64_t{kept_count});
    warp.add(launch.curve.correct + mine, std::uint64_t{kept_correct});
    warp.add(launch.curve.squared + mine, kSingle ? std::uint64_t{kept_correct} : kept_squared);
    kept_count = 0;
  };

  begin();
  for (;;) {  // one loop over replicas and updates: key schedules that change in it stay in registers instead of being made anew
    const std::uint32_t correct = lanes.update(work, update);
    std::uint32_t sum;
    std::uint64_t squares = 0;
    if constexpr (kSingle) {
      sum = count_votes(warp.ballot(live && correct != 0));
    } else {
      const std::uint32_t counted = live ? correct : 0;
      sum = warp.sum(counted);
      squares = work.batch <= 8192 ? std::uint64_t{warp.sum(counted * counted)} : warp.sum(std::uint64_t{counted} * counted);
    }
    if (warp.lane() == update % kWarpLanes) {
      kept_count = live_lanes;
      kept_correct = sum;
      kept_squared = squares;
    }
    if (launch.rows.correct != nullptr && live) launch.rows.correct[update * launch.rows.stride + index] = correct;
    const bool failing = live && !lanes.finite();
    if (warp.any(failing)) {
      if (failing) {
        failed_after = update + 1;
        live = false;
      }
      live_lanes = count_votes(warp.ballot(live));
    }
    const bool last = update + 1 == launch.end_update || live_lanes == 0;
    if (last || update % kWarpLanes == kWarpLanes - 1) flush();
    ++update;
    if (!last) continue;

    if (used) {
      if (launch.end_update != work.updates) {
        save_lane(launch.lanes, index, lanes);
        launch.lanes.made[index] = failed_after;
      } else if (failed_after != 0) {
        store_row(launch.rows, index, ReplicaStatus::failed, failed_after, 0.0f, 0.0f);
      } else {
        store_row(launch.rows, index, ReplicaStatus::finished, work.updates, lanes.theta[0], lanes.theta[1]);
      }
    }
    base += stride;
    if (base >= launch.replicas) return;
    begin();
  }
}

// One launch of trainings that may stop early. Lanes live from launch to launch in `lanes` and take replicas from `next`.
struct UntilLaunch {
  std::uint32_t seed_low, seed_high;
  std::uint32_t key_high[kPhiloxRounds];
  std::uint64_t replicas;
  std::uint64_t* next;     // the first replica not yet taken
  std::uint64_t* running;  // lanes that still train one at the end of the launch are added to it
  std::uint32_t steps;     // updates each lane makes in this launch, at most
  bool resume;             // false: no lane has a replica yet
  std::uint32_t slot;      // of the window, for the first of them: steps of all launches before, modulo the window
  RowMemory rows;
  CurveMemory curve;
  LaneMemory lanes;
};

// local: this warp's memory for the curve of this launch, local_curve_words(updates) words, or null to add straight to launch.curve
// (correct, but the lanes of all warps queue up at the same addresses). Its 32 bits must hold 32 * steps * batch^2.
FRYER_LANE constexpr std::uint64_t local_curve_words(std::uint64_t updates, bool single) { return updates * (single ? 2 : 3); }

// A lane whose replica ends stores the row and takes the next one at once. The window's slot is the same in all lanes: a lane's
// successes of before its replica began are 0.
template <OptimizerSettings::Kind kOptimizer, bool kLearnWeight, bool kSingle, WarpLike Warp>
FRYER_LANE void train_until_body(const Warp& warp, WarpPlace place, const ReplicaWork& work, const UntilLaunch& launch,
                                 std::uint32_t* local) {
  const std::uint32_t lane_count = place.warps * kWarpLanes, self = place.warp * kWarpLanes + warp.lane();
  const auto words = static_cast<std::uint32_t>(local_curve_words(work.updates, kSingle));
  if (local != nullptr) {
    for (std::uint32_t i = warp.lane(); i < words; i += kWarpLanes) local[i] = 0;
    warp.sync();
  }

  ReplicaLanes<float, std::uint32_t, kOptimizer, kLearnWeight, kSingle> lanes;
  std::uint32_t replica = 0, made = 0, successes = 0;
  bool busy = false;
  const auto start = [&]() FRYER_INLINE_LAMBDA {
    lanes.start(work, launch.seed_low + replica, launch.seed_high);
    FRYER_UNROLL for (int round = 0; round < kPhiloxRounds; ++round) lanes.key.high[round] = launch.key_high[round];
  };
  const auto take = [&]() FRYER_INLINE_LAMBDA {
    const std::uint64_t taken = warp.take(launch.next);
    busy = taken < launch.replicas;
    replica = static_cast<std::uint32_t>(taken);
    made = successes = 0;
    for (std::uint32_t slot = 0; slot < work.window; ++slot) launch.lanes.ring[slot * lane_count + self] = 0;
    start();
  };
  if (launch.resume) {
    busy = launch.lanes.busy[self] != 0;
    replica = launch.lanes.replica[self];
    made = launch.lanes.made[self];
    successes = launch.lanes.successes[self];
    start();
    load_lane(launch.lanes, self, lanes);
  } else {
    take();
  }

  std::uint32_t slot = launch.slot;
  bool left = warp.any(busy);
  for (std::uint32_t step = 0; left && step < launch.steps; ++step) {
    std::uint32_t* const oldest = launch.lanes.ring + (slot * lane_count + self);
    slot = slot + 1 == work.window ? 0 : slot + 1;
    const std::uint32_t leaving = *oldest;
    const std::uint32_t update = made;
    const std::uint32_t correct = lanes.update(work, update);
    if (busy) {
      ++made;
      if (local != nullptr) {
        warp.add(local + update, std::uint32_t{1});
        if (correct != 0) {
          warp.add(local + work.updates + update, correct);
          if constexpr (!kSingle) warp.add(local + 2 * work.updates + update, correct * correct);
        }
      } else {
        warp.add(launch.curve.count + update, std::uint64_t{1});
        warp.add(launch.curve.correct + update, std::uint64_t{correct});
        warp.add(launch.curve.squared + update, std::uint64_t{correct} * correct);
      }
      if (launch.rows.correct != nullptr) launch.rows.correct[update * launch.rows.stride + replica] = correct;
    }
    const std::uint32_t success = work.correct_pays_more ? correct : work.batch - correct;
    successes += success - leaving;
    *oldest = success;
    const bool failed = !lanes.finite(), solved = made >= work.window && successes >= work.window_target;
    const bool ended = busy && (failed || solved || made == work.updates);
    if (!warp.any(ended)) continue;
    if (ended) {
      const ReplicaStatus status = failed ? ReplicaStatus::failed : solved ? ReplicaStatus::solved : ReplicaStatus::finished;
      store_row(launch.rows, replica, status, made, lanes.theta[0], lanes.theta[1]);
      take();
    }
    left = warp.any(busy);
  }

  if (left) {  // the launch ends, the replicas do not
    save_lane(launch.lanes, self, lanes);
    launch.lanes.busy[self] = busy ? 1u : 0u;
    launch.lanes.replica[self] = replica;
    launch.lanes.made[self] = made;
    launch.lanes.successes[self] = successes;
    const std::uint32_t running = count_votes(warp.ballot(busy));
    if (warp.lane() == 0) warp.add(launch.running, std::uint64_t{running});
  } else {
    launch.lanes.busy[self] = 0;
  }
  if (local != nullptr) {
    warp.sync();
    for (std::uint32_t i = warp.lane(); i < work.updates; i += kWarpLanes) {
      if (local[i] == 0) continue;
      const std::uint64_t correct = local[work.updates + i];
      warp.add(launch.curve.count + i, std::uint64_t{local[i]});
      warp.add(launch.curve.correct + i, correct);
      warp.add(launch.curve.squared + i, kSingle ? correct : std::uint64_t{local[2 * work.updates + i]});
    }
  }
}

// ---- the curve's quantiles

// Order statistics of the successes of each update's batch over the replicas that made it: an update a warp, a histogram (successes
// are small integers) and a walk along it. histograms: batch + 1 words a warp of the launch. positions, quantiles: (updates, count);
// positions are 0-based, count at most 32, and an update that no replica made has quantiles 0.
struct CurveQuantiles {
  std::uint64_t replicas;
  std::uint32_t count;
  std::uint32_t* histograms;
  const std::uint64_t *made, *positions;  // replicas that made each update; which of them to report
  std::uint32_t* quantiles;
};

template <WarpLike Warp>
FRYER_LANE void curve_quantiles_body(const Warp& warp, WarpPlace place, const ReplicaWork& work, const RowMemory& rows,
                                     const CurveQuantiles& task) {
  std::uint32_t* const histogram = task.histograms + place.warp * (std::uint64_t{work.batch} + 1);
  for (std::uint32_t update = place.warp; update < work.updates; update += place.warps) {
    for (std::uint32_t i = warp.lane(); i <= work.batch; i += kWarpLanes) histogram[i] = 0;
    warp.sync();
    for (std::uint64_t row = warp.lane(); row < task.replicas; row += kWarpLanes) {
      if (rows.updates[row] <= update) continue;
      const std::uint32_t correct = rows.correct[update * rows.stride + row];
      warp.add(histogram + (work.correct_pays_more ? correct : work.batch - correct), std::uint32_t{1});
    }
    warp.sync();
    if (warp.lane() < task.count) {
      const std::uint64_t out = std::uint64_t{update} * task.count + warp.lane();
      std::uint32_t value = 0;
      if (task.made[update] != 0) {
        std::uint64_t below = histogram[0];
        while (below <= task.positions[out]) below += histogram[++value];
      }
      task.quantiles[out] = value;
    }
    warp.sync();
  }
}

}  // namespace fryer
