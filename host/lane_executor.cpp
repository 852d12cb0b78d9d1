// SPDX-License-Identifier: Apache-2.0
// The CPU executor: runs the lane programs over bundles of SIMD lanes, or one lane at a time for FRYER_EXECUTOR=scalar (the
// reference). Compiled once per instruction set; everything it emits is in fryer::<FRYER_EXECUTOR> (the test isa_symbols checks).
#include "host/lane_executor.h"

#include "host/cart_pole_executor.h"
#include "host/executor_lanes.h"
#include "host/q_network_executor.h"
#include "host/q_training_executor.h"

#define FRYER_TEXT_(x) #x
#define FRYER_TEXT(x) FRYER_TEXT_(x)

namespace fryer::FRYER_EXECUTOR {
namespace {

#if FRYER_SCALAR_EXECUTOR
using EpisodeReal = float;
using ReplicaReal = float;
#else
// Vectors in flight: 6 hide the chain of one episode. A replica's state is larger: AVX-512 460 M updates/s with 4, 415 with 2, 405 with
// 3, 275 with 6 (g++ 12, Zen 4, alternating); AVX2 with g++ is best at 2 (207 against 190), with clang at 4 (350 against 270).
using EpisodeReal = VReal<6>;
#if defined(__AVX512F__) || defined(__clang__)
using ReplicaReal = VReal<4>;
#else
using ReplicaReal = VReal<2>;
#endif
// Philox of a wide bundle runs three vectors at a time: more would spill its state.
inline constexpr int kPhiloxVectors = 3;
#endif

// The block of consecutive episodes from `low` on; one high word for all.
template <class Real>
FRYER_LANE RandomBlock<WordOf<Real>> episode_words(const EpisodeWork& work, std::uint32_t low, std::uint32_t high) {
#if !FRYER_SCALAR_EXECUTOR
  if constexpr (LaneTypes<Real>::kVectors > kPhiloxVectors) {
    RandomBlock<WordOf<Real>> all;
    FRYER_UNROLL for (int first = 0; first < LaneTypes<Real>::kVectors; first += kPhiloxVectors) {
      using Part = VReal<kPhiloxVectors>;
      const auto b =
          philox<Part>(0u, work.rules.purpose_word,
                       LaneNumbers<WordOf<Part>>::from(low + static_cast<std::uint32_t>(first * kVectorLanes)), high, work.key);
      FRYER_UNROLL for (int i = 0; i < kPhiloxVectors; ++i) {
        all.x.v[first + i] = b.x.v[i];
        all.y.v[first + i] = b.y.v[i];
        all.z.v[first + i] = b.z.v[i];
        all.w.v[first + i] = b.w.v[i];
      }
    }
    return all;
  }
#endif
  return philox<Real>(0u, work.rules.purpose_word, LaneNumbers<WordOf<Real>>::from(low), high, work.key);
}

// Calls body(low word of the first episode, mask of the lanes inside the range, whether that is all of them) bundle by bundle.
template <class Real, class Body>
FRYER_LANE void for_each_bundle(std::uint64_t first, std::uint64_t count, Body body) {
  constexpr std::uint64_t lanes = LaneTypes<Real>::kLanes;
  const auto low = static_cast<std::uint32_t>(first);
  std::uint64_t done_lanes = 0;
  for (; done_lanes + lanes <= count; done_lanes += lanes) {
    body(
        low + static_cast<std::uint32_t>(done_lanes), [](auto&& x) FRYER_INLINE_LAMBDA { return x; },
        [](auto mask) FRYER_INLINE_LAMBDA { return mask; });
  }
  if (done_lanes < count) {
    const auto inside = less(LaneNumbers<WordOf<Real>>::from(0u), WordOf<Real>(static_cast<std::uint32_t>(count - done_lanes)));
    body(
        low + static_cast<std::uint32_t>(done_lanes),
        [inside](auto&& x) FRYER_INLINE_LAMBDA { return select(inside, x, Real(0.0f)); },
        [inside](auto mask) FRYER_INLINE_LAMBDA { return both(mask, inside); });
  }
}

template <bool kWeight, Moments kMoments>
void gradient_episodes(const EpisodeWork& work, std::uint64_t first, std::uint64_t count_of_episodes, GradientSums& sums) {
  using Real = EpisodeReal;
  GradientAccumulator<Real, kWeight, kMoments> accumulator;
  accumulator.clear();
  const auto high = static_cast<std::uint32_t>(first >> 32);
  for_each_bundle<Real>(first, count_of_episodes, [&](std::uint32_t low, auto keep, auto keep_mask) FRYER_INLINE_LAMBDA {
    const auto episode = play<Real>(work.rules.environment, work.policy, episode_words<Real>(work, low, high));
    accumulator.add(work, episode, keep(loss_gradient24(work.rules, episode)));
    accumulator.correct += count(keep_mask(episode.correct));
  });
  GradientSums part;
  accumulator.total(part);
  part.episodes = count_of_episodes;
  sums.add(part);
}

void gradient(const EpisodeWork& work, std::uint64_t first, std::uint64_t count_of_episodes, bool weight, Moments moments,
              GradientSums& sums) {
  if (moments == Moments::first) {
    weight ? gradient_episodes<true, Moments::first>(work, first, count_of_episodes, sums)
           : gradient_episodes<false, Moments::first>(work, first, count_of_episodes, sums);
  } else {
    weight ? gradient_episodes<true, Moments::first_and_second>(work, first, count_of_episodes, sums)
           : gradient_episodes<false, Moments::first_and_second>(work, first, count_of_episodes, sums);
  }
}

template <class Policy>
void evaluate_episodes(const EpisodeWork& work, const Policy& policy, std::uint64_t first, std::uint64_t count_of_episodes,
                       std::uint64_t* counts) {
  using Real = EpisodeReal;
  std::uint64_t norm = 0, correct = 0, norm_correct = 0;
  const auto high = static_cast<std::uint32_t>(first >> 32);
  for_each_bundle<Real>(first, count_of_episodes, [&](std::uint32_t low, auto, auto keep_mask) FRYER_INLINE_LAMBDA {
    const auto episode = play<Real>(work.rules.environment, policy, episode_words<Real>(work, low, high));
    const auto right = keep_mask(episode.correct);
    norm += count(keep_mask(episode.action));
    correct += count(right);
    norm_correct += count(both(right, episode.action));
  });
  counts[3] += norm_correct;
  counts[2] += norm - norm_correct;
  counts[1] += correct - norm_correct;
  counts[0] += count_of_episodes - norm - (correct - norm_correct);
}

void evaluate(const EpisodeWork& work, std::uint64_t first, std::uint64_t count_of_episodes,
              std::uint64_t counts[FryShack::kOutcomes]) {
  if (work.greedy) {
    evaluate_episodes(work, GreedyPolicy<float, 1>{work.policy}, first, count_of_episodes, counts);
  } else {
    evaluate_episodes(work, work.policy, first, count_of_episodes, counts);
  }
}

// ---- replicas

inline constexpr std::uint32_t kReplicaLanes = LaneTypes<ReplicaReal>::kLanes;

// Updates between two questions whether to stop: about 16,384 episodes a lane, milliseconds. The question is a call, so it stands outside
// the loop over updates (inside it cost 30 %: no vector register survives a call).
FRYER_LANE std::uint32_t updates_between_questions(const ReplicaWork& work) {
  return work.batch < 16384 ? 16384 / work.batch : 1;
}

FRYER_LANE void store_row(const ReplicaRows& rows, std::uint64_t row, ReplicaStatus status, std::uint32_t updates, float weight,
                          float bias) {
  rows.status[row] = static_cast<std::uint8_t>(status);
  rows.updates[row] = updates;
  const bool failed = status == ReplicaStatus::failed;
  rows.weight[row] = failed ? from_bits(kFailedParameterBits) : weight;
  rows.bias[row] = failed ? from_bits(kFailedParameterBits) : bias;
}

// A bundle of consecutive seeds that train in step.
template <class Lanes>
struct Bundle {
  Lanes lanes;
  MaskOf<ReplicaReal> live;  // lanes that have not failed
  std::uint32_t live_lanes, used;
  std::uint32_t failed_after[kReplicaLanes];
};

// Updates begin .. end - 1 of a bundle whose rows start at `base`. Not inlined: around it stands the question whether to stop, and
// gcc would keep the state in memory all through the loop because of that call (30 % slower).
template <class Lanes, bool kSingle>
__attribute__((noinline)) void train_stretch(const ReplicaWork& work, Bundle<Lanes>& bundle, std::uint32_t begin,
                                             std::uint32_t end, std::uint64_t base, const ReplicaRows& rows,
                                             const CurveSums& curve) {
  using Word = WordOf<ReplicaReal>;
  Lanes lanes = bundle.lanes;
  MaskOf<ReplicaReal> live = bundle.live;
  std::uint32_t live_lanes = bundle.live_lanes;
  const std::uint32_t used = bundle.used;
  for (std::uint32_t update = begin; update < end; ++update) {
    const Word correct = lanes.update(work, update);
    std::uint32_t each[kReplicaLanes];
    if constexpr (kSingle) {
      const std::uint32_t n = count(both(live, less(Word(0u), correct)));
      curve.correct[update] += n;
      curve.squared[update] += n;
      if (rows.correct != nullptr) store(correct, each);
    } else {
      store(select(live, correct, Word(0u)), each);
      for (std::uint32_t i = 0; i < used; ++i) {
        curve.correct[update] += each[i];
        curve.squared[update] += static_cast<std::uint64_t>(each[i]) * each[i];
      }
    }
    curve.count[update] += live_lanes;
    if (rows.correct != nullptr) {
      for (std::uint32_t i = 0; i < used; ++i) {
        if (bundle.failed_after[i] == 0) rows.correct[update * rows.stride + base + i] = each[i];
      }
    }
    const MaskOf<ReplicaReal> failing = both(live, negate(lanes.finite()));
    if (any(failing)) {
      std::uint32_t now[kReplicaLanes];
      store_mask(failing, now);
      for (std::uint32_t i = 0; i < used; ++i) {
        if (now[i] != 0) bundle.failed_after[i] = update + 1;
      }
      live = both(live, lanes.finite());
      live_lanes = count(live);
      if (live_lanes == 0) break;
    }
  }
  bundle.lanes = lanes;
  bundle.live = live;
  bundle.live_lanes = live_lanes;
}

// Trainings that all make every update: one number of the update for all lanes. A lane that fails goes on unseen.
template <OptimizerSettings::Kind kOptimizer, bool kLearnWeight, bool kSingle>
void train_in_step(const ReplicaWork& work, std::uint64_t first_seed, std::uint64_t replicas, const ReplicaRows& rows,
                   const CurveSums& curve, const StopQuestion& stop) {
  using Lanes = ReplicaLanes<ReplicaReal, std::uint32_t, kOptimizer, kLearnWeight, kSingle>;
  using Word = WordOf<ReplicaReal>;
  const std::uint32_t stretch = updates_between_questions(work);
  for (std::uint64_t base = 0; base < replicas; base += kReplicaLanes) {
    const std::uint64_t left = replicas - base;
    Bundle<Lanes> bundle;
    bundle.used = bundle.live_lanes = left < kReplicaLanes ? static_cast<std::uint32_t>(left) : kReplicaLanes;
    bundle.live = less(LaneNumbers<Word>::from(0u), Word(bundle.used));
    for (std::uint32_t i = 0; i < kReplicaLanes; ++i) bundle.failed_after[i] = 0;
    bundle.lanes.start(work, LaneNumbers<Word>::from(static_cast<std::uint32_t>(first_seed + base)),
                       static_cast<std::uint32_t>(first_seed >> 32));
    for (std::uint32_t begin = 0, end; begin < work.updates && bundle.live_lanes != 0; begin = end) {
      if (begin != 0 && stop.ask(stop.context)) return;
      end = work.updates - begin > stretch ? begin + stretch : work.updates;
      train_stretch<Lanes, kSingle>(work, bundle, begin, end, base, rows, curve);
    }
    float weight[kReplicaLanes], bias[kReplicaLanes];
    store(bundle.lanes.theta[0], weight);
    store(bundle.lanes.theta[1], bias);
    for (std::uint32_t i = 0; i < bundle.used; ++i) {
      const std::uint32_t failed_after = bundle.failed_after[i];
      store_row(rows, base + i, failed_after != 0 ? ReplicaStatus::failed : ReplicaStatus::finished,
                failed_after != 0 ? failed_after : work.updates, weight[i], bias[i]);
    }
  }
}

// Trainings that stop at a threshold: each lane counts its own updates and takes the next seed when its replica ends. scratch:
// (window, lanes) successes of the last updates.
template <OptimizerSettings::Kind kOptimizer, bool kLearnWeight, bool kSingle>
void train_until(const ReplicaWork& work, std::uint64_t first_seed, std::uint64_t replicas, const ReplicaRows& rows,
                 const CurveSums& curve, std::uint32_t* scratch, const StopQuestion& stop) {
  using Real = ReplicaReal;
  using Word = WordOf<Real>;
  constexpr std::uint32_t lane_count = kReplicaLanes;
  ReplicaLanes<Real, Word, kOptimizer, kLearnWeight, kSingle> lanes;
  std::uint32_t seed_low[lane_count];
  std::uint64_t row[lane_count];
  bool busy[lane_count];  // idle lanes go on training seeds that nobody counts, until the last busy one ends
  std::uint64_t next = 0;
  std::uint32_t running = 0;
  const auto take = [&](std::uint32_t i) FRYER_INLINE_LAMBDA {
    busy[i] = next < replicas;
    row[i] = next;
    seed_low[i] = static_cast<std::uint32_t>(first_seed + next);
    for (std::uint32_t slot = 0; slot < work.window; ++slot) scratch[slot * lane_count + i] = 0;
    if (busy[i]) {
      ++next;
      ++running;
    }
  };
  const std::uint32_t high = static_cast<std::uint32_t>(first_seed >> 32);
  for (std::uint32_t i = 0; i < lane_count; ++i) take(i);
  Word seeds;
  load(seed_low, seeds);
  lanes.start(work, seeds, high);
  Word updates = Word(0u), in_window = Word(0u);  // updates made; successes of the last `window` of them
  const std::uint32_t stretch = updates_between_questions(work);
  std::uint32_t slot = 0;
  const auto updates_of_a_stretch = [&]() FRYER_INLINE_LAMBDA {
    for (std::uint32_t tick = 0; tick < stretch && running != 0; ++tick, slot = slot + 1 == work.window ? 0 : slot + 1) {
      const Word correct = lanes.update(work, updates);
      const Word success = work.correct_pays_more ? correct : Word(work.batch) - correct;
      std::uint32_t* const oldest_slot = scratch + slot * lane_count;
      Word oldest;
      load(oldest_slot, oldest);
      store(success, oldest_slot);
      in_window = in_window + success - oldest;

      std::uint32_t each[lane_count], update[lane_count];
      store(correct, each);
      store(updates, update);
      for (std::uint32_t i = 0; i < lane_count; ++i) {
        if (!busy[i]) continue;
        curve.correct[update[i]] += each[i];
        curve.squared[update[i]] += static_cast<std::uint64_t>(each[i]) * each[i];
        if (rows.correct != nullptr) rows.correct[update[i] * rows.stride + row[i]] = each[i];
      }

      updates = updates + Word(1u);
      const MaskOf<Real> failed = negate(lanes.finite());
      const MaskOf<Real> solved = negate(either(less(updates, Word(work.window)), less(in_window, Word(work.window_target))));
      const MaskOf<Real> ended = either(either(failed, solved), negate(less(updates, Word(work.updates))));
      if (!any(ended)) continue;

      // Rare: one lane at a time.
      std::uint32_t is_ended[lane_count], is_failed[lane_count], is_solved[lane_count], made[lane_count], window[lane_count];
      store_mask(ended, is_ended);
      store_mask(failed, is_failed);
      store_mask(solved, is_solved);
      store(updates, made);
      store(in_window, window);
      float theta[2][lane_count], m[2][lane_count], v[2][lane_count];
      FRYER_UNROLL for (int j = 0; j < 2; ++j) {
        store(lanes.theta[j], theta[j]);
        store(lanes.m[j], m[j]);
        store(lanes.v[j], v[j]);
      }
      for (std::uint32_t i = 0; i < lane_count; ++i) {
        if (is_ended[i] == 0) continue;
        if (busy[i]) {
          const ReplicaStatus status = is_failed[i] != 0   ? ReplicaStatus::failed
                                       : is_solved[i] != 0 ? ReplicaStatus::solved
                                                           : ReplicaStatus::finished;
          store_row(rows, row[i], status, made[i], theta[0][i], theta[1][i]);
          for (std::uint32_t u = 0; u < made[i]; ++u) curve.count[u] += 1;
          --running;
        }
        take(i);
        made[i] = window[i] = 0;
        theta[0][i] = work.initial_weight;
        theta[1][i] = work.initial_bias;
        m[0][i] = m[1][i] = v[0][i] = v[1][i] = 0.0f;
      }
      load(made, updates);
      load(window, in_window);
      FRYER_UNROLL for (int j = 0; j < 2; ++j) {
        load(theta[j], lanes.theta[j]);
        load(m[j], lanes.m[j]);
        load(v[j], lanes.v[j]);
      }
      load(seed_low, seeds);
      lanes.key.schedule(seeds, high);
    }
  };
  for (updates_of_a_stretch(); running != 0; updates_of_a_stretch()) {
    if (stop.ask(stop.context)) return;
  }
}

template <OptimizerSettings::Kind kOptimizer, bool kLearnWeight, bool kSingle>
void train_kind(const ReplicaWork& work, std::uint64_t first_seed, std::uint64_t replicas, const ReplicaRows& rows,
                const CurveSums& curve, std::uint32_t* scratch, const StopQuestion& stop) {
  if (work.window == 0) {
    train_in_step<kOptimizer, kLearnWeight, kSingle>(work, first_seed, replicas, rows, curve, stop);
  } else {
    train_until<kOptimizer, kLearnWeight, kSingle>(work, first_seed, replicas, rows, curve, scratch, stop);
  }
}

void train(const ReplicaWork& work, std::uint64_t first_seed, std::uint64_t replicas, const ReplicaRows& rows,
           const CurveSums& curve, std::uint32_t* scratch, const StopQuestion& stop) {
  using Kind = OptimizerSettings::Kind;
  const bool single = work.batch == 1;
  const auto call = [&](auto* program) FRYER_INLINE_LAMBDA { program(work, first_seed, replicas, rows, curve, scratch, stop); };
  if (work.optimizer_kind == Kind::adam) {
    if (work.learn_weight) {
      call(single ? &train_kind<Kind::adam, true, true> : &train_kind<Kind::adam, true, false>);
    } else {
      call(single ? &train_kind<Kind::adam, false, true> : &train_kind<Kind::adam, false, false>);
    }
  } else {
    if (work.learn_weight) {
      call(single ? &train_kind<Kind::sgd, true, true> : &train_kind<Kind::sgd, true, false>);
    } else {
      call(single ? &train_kind<Kind::sgd, false, true> : &train_kind<Kind::sgd, false, false>);
    }
  }
}

std::uint64_t train_scratch(const ReplicaWork& work) { return static_cast<std::uint64_t>(work.window) * kReplicaLanes; }

constexpr LaneExecutor kExecutor = {FRYER_TEXT(FRYER_EXECUTOR),
                                    LaneTypes<EpisodeReal>::kLanes,
                                    kReplicaLanes,
                                    gradient,
                                    evaluate,
                                    train,
                                    train_scratch,
                                    cart_pole_gradient,
                                    cart_pole_evaluate,
                                    ReplicaFlight<LinearPolicy>::kLanes,
                                    cart_pole_train,
                                    hidden_gradient,
                                    hidden_evaluate,
                                    ReplicaFlight<HiddenLayerPolicy>::kLanes,
                                    hidden_train,
                                    &kQNetworkFunctions,
                                    train_q_replicas,
                                    evaluate_q_network};

}  // namespace

const LaneExecutor& lane_executor() { return kExecutor; }

}  // namespace fryer::FRYER_EXECUTOR
