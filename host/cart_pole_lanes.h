// SPDX-License-Identifier: Apache-2.0
// The CPU executor for CartPole, for every policy: lanes play episodes of four-step blocks and are refilled as episodes end, or train
// whole replicas. Included by the files that instantiate it for a policy, which are compiled once per instruction set; everything here
// is in fryer::<FRYER_EXECUTOR> (the test isa_symbols checks).
//
// A step is a dependency chain of about 110 cycles, so several bundles advance step k before any advances step k + 1, with their state in
// the first-level cache; the block's four transitions are then learnt from in registers.
#pragma once

#include "host/cart_pole_executor.h"

namespace fryer::FRYER_EXECUTOR {

// Whether an operation under a mask is more than one instruction.
#if defined(__AVX512F__)
inline constexpr bool kMasksCost = false;
#else
inline constexpr bool kMasksCost = true;
#endif

// Learns from a block, where the learner holds each lane's own episode so far. kAsks: without masks if no lane's episode ended. Of two
// answers one is guessed wrongly, so that it has to pay. AVX2: trainings 1.02 to 1.15 times as fast, gradients with scores 0.98 (random play)
// and 1.14 (balancing), without 0.94 and 1.00; AVX-512: 0.95 to 1.00 in all of these.
template <bool kAsks, class Learner, class Policy, class Block>
FRYER_LANE void learn(Learner& learner, const CartPoleGame& game, const Policy& policy, const Block& block, bool some_ended) {
  if constexpr (kMasksCost && kAsks && requires { accumulate_whole_block(learner, game, block); }) {
    if (!some_ended) return accumulate_whole_block(learner, game, block);
  }
  accumulate(learner, game, policy, block, Everywhere());
}

// Vectors in a bundle and bundles in flight, by the policy and what lanes keep of an episode.
template <class Policy, Track kTrack>
struct EpisodeFlight {
#if FRYER_SCALAR_EXECUTOR
  using Real = float;
  static constexpr int kBundles = 1;
#elif defined(__AVX512F__)
  using Real = VReal<kTrack == Track::gradient_and_scores ? 1 : 3>;
  static constexpr int kBundles = kTrack == Track::gradient_and_scores ? 6 : 2;
#else
  using Real = VReal<1>;
  static constexpr int kBundles = 6;
#endif
};
// A hidden layer's traces, gradient and activations are hundreds of vectors, and its units are independent chains. AVX-512, one core,
// gradients with 1, 8, 16 units: 277, 115, 66 M steps/s with two bundles, 175, 104, 63 with one.
template <Track kTrack>
struct EpisodeFlight<HiddenLayerPolicy, kTrack> {
#if FRYER_SCALAR_EXECUTOR
  using Real = float;
#else
  using Real = VReal<1>;
#endif
  static constexpr int kBundles = 2;
};

// Start states of the next episodes, made a vector of consecutive ones at a time; ended lanes take them in lane order.
template <class Vector>
class StartQueue {
 public:
  template <class Work>
  FRYER_LANE StartQueue(const Work& work, std::uint32_t first, std::uint32_t high)
      : game_(work.game), key_(work.key), number_(first), high_(high) {
    fill(0, number_);
    fill(kLanes, number_ + kLanes);
  }
  // The lanes of m take the next episodes: their numbers and start states.
  FRYER_LANE void take(MaskOf<Vector> m, WordOf<Vector>& number, Vector (&state)[4]) {
    number = expand_numbers(m, number_, number);
    FRYER_UNROLL for (int i = 0; i < 4; ++i) state[i] = expand(m, &field_[i][head_], state[i]);
    const auto taken = static_cast<std::uint32_t>(__builtin_popcount(mask_bits(m)));
    head_ += taken;
    number_ += taken;
    if (head_ >= kLanes) {
      head_ -= kLanes;
      FRYER_UNROLL for (int i = 0; i < 4; ++i) {
        Vector x;
        load(&field_[i][kLanes], x);
        store(x, field_[i]);
      }
      fill(kLanes, number_ - head_ + kLanes);
    }
  }

 private:
  static constexpr std::uint32_t kLanes = LaneTypes<Vector>::kLanes;
  FRYER_LANE void fill(std::uint32_t at, std::uint32_t number) {
    const auto words = philox<Vector>(0u, game_.reset_word, LaneNumbers<WordOf<Vector>>::from(number), high_, key_);
    Vector state[4];
    CartPole::start<Vector>(game_.rules, words, state);
    FRYER_UNROLL for (int i = 0; i < 4; ++i) store(state[i], &field_[i][at]);
  }
  alignas(64) float field_[4][2 * kLanes];
  const CartPoleGame& game_;
  const UniformKey& key_;
  std::uint32_t number_, high_, head_ = 0;  // field_[.][head_] is episode number_
};

// Sums over ended lanes, a vector at a time.
template <class Policy, class Vector, Track kTrack, bool kSquares>
struct EpisodeSums {
  static constexpr int kParameters = Policy::kParameters;
  FixedSum<Vector> gradient[kParameters], score[kTrack == Track::gradient_and_scores ? kParameters : 1];
  FixedSum<Vector> return_sum, return_square, steps;
  FixedSquares<Vector> squared[kSquares ? kParameters : 1], steps_squared;
  std::uint64_t terminated;
  typename Policy::Shape shape;

  FRYER_LANE void clear() {
    for (auto& s : gradient) s.clear();
    for (auto& s : score) s.clear();
    for (auto& s : squared) s.clear();
    return_sum.clear();
    return_square.clear();
    steps.clear();
    steps_squared.clear();
    terminated = 0;
  }
  // Where m holds, the episodes that ended in vector g of the bundle whose learner this is; made, fell: that vector's steps and ends. Terms
  // are bounded as CartPoleFixedPoint's scales assume.
  template <class Learner>
  FRYER_LANE void add(const CartPoleFixedPointOf<Policy>& f, MaskOf<Vector> m, int g, const Learner& learner,
                      const WordOf<Vector>& made, const MaskOf<Vector>& fell) {
    for_each_parameter(shape, [&](int i) FRYER_INLINE_LAMBDA {
      const Vector x = keep_if(m, vector_of(learner.gradient[i], g));
      gradient[i].add(x, f.parameter[i].gradient_scale);
      if constexpr (kSquares) squared[i].add(x, f.square_scale[i]);
    });
    if constexpr (kTrack == Track::gradient_and_scores) {
      for_each_parameter(shape, [&](int i) FRYER_INLINE_LAMBDA {
        score[i].add(keep_if(m, vector_of(learner.score[i], g)), f.parameter[i].score_scale);
      });
      return_sum.add(keep_if(m, vector_of(learner.moments.sum, g)), f.returns.sum_scale);
      return_square.add(keep_if(m, vector_of(learner.moments.square, g)), f.returns.square_scale);
    }
    const Vector length = keep_if(m, to_real<Vector>(made));  // < 2^24: exact
    steps.add(length, 1.0);
    if constexpr (kSquares) steps_squared.add(length, 1.0);
    terminated += static_cast<std::uint32_t>(__builtin_popcount(mask_bits(both(m, fell))));
  }
  FRYER_LANE void total(CartPoleSumsOf<Policy>& sums) const {
    for (int i = 0; i < kParameters; ++i) {
      sums.gradient[i] = gradient[i].total();
      if constexpr (kSquares) sums.squared[i] = squared[i].total();
      if constexpr (kTrack == Track::gradient_and_scores) sums.score[i] = score[i].total();
    }
    if constexpr (kTrack == Track::gradient_and_scores) {
      sums.return_sum = return_sum.total();
      sums.return_square = return_square.total();
    }
    sums.steps = static_cast<std::uint64_t>(steps.total());
    if constexpr (kSquares) sums.steps_squared = steps_squared.total();
    sums.terminated = terminated;
  }
};

// Evaluations: a histogram by length and end.
struct OutcomeCounts {
  std::uint64_t* counts;
  template <class FixedPoint, class Learner, class Word, class Mask>
  FRYER_LANE void add(const FixedPoint&, const Mask& m, int, const Learner&, const Word& made, const Mask& fell) {
    const std::uint32_t terminated = mask_bits(fell);
    for (std::uint32_t bits = mask_bits(m); bits != 0; bits &= bits - 1) {
      const auto lane = static_cast<std::uint32_t>(__builtin_ctz(bits));
      const auto length = get_lane<std::uint32_t>(made, lane);
      ++counts[2 * length + (terminated >> lane & 1)];
    }
  }
};

// One bundle's episodes.
template <class Policy, class Real, bool kGeneral, Track kTrack>
struct EpisodeLanes {
  using Programs = EpisodePrograms<Policy, Real, kGeneral, kTrack>;
  typename Programs::Block block;
  typename Programs::Learner learner;
  WordOf<Real> number, blocks;  // of the episode; played of it
  MaskOf<Real> ended;           // with this block
  MaskOf<Real> going;           // the episode began before this block
  bool all_going;

  // Of vector g's episodes that ended in this block, before others take their place.
  FRYER_LANE auto steps(int g) const {
    return steps_of_ended(vector_of(blocks, g), [&](int k) FRYER_INLINE_LAMBDA { return vector_of(block.live[k], g); });
  }
  FRYER_LANE auto fell(int g) const { return vector_of(block.terminated(), g); }
};

// Plays episodes first .. first + count - 1 (of one high word; count < 2^31) and adds those that end to `sums`. Lanes go on with
// episodes beyond the range, which nobody counts, until the last one of the range has ended.
template <bool kGeneral, Track kTrack, class Kind, class Policy, class Sums>
__attribute__((noinline)) void run_episodes(const CartPoleWorkOf<Kind>& given, const Policy& policy_given, std::uint64_t first,
                                            std::uint64_t count, Sums& sums) {
  using Real = typename EpisodeFlight<Kind, kTrack>::Real;
  using Lanes = EpisodeLanes<Kind, Real, kGeneral, kTrack>;
  using Vector = VectorOf<Real>;
  using Word = WordOf<Real>;
  using Mask = MaskOf<Real>;
  using Flight = EpisodeFlight<Kind, kTrack>;
  constexpr int kBundles = Flight::kBundles, kVectors = LaneTypes<Real>::kVectors;
  // Copies that no store through a pointer can change: their numbers stay where they are.
  const CartPoleWorkOf<Kind> work = given;
  const Policy policy = policy_given;
  const CartPoleGame& game = work.game;
  const auto low = static_cast<std::uint32_t>(first), high = static_cast<std::uint32_t>(first >> 32);
  StartQueue<Vector> starts(work, low, high);
  Lanes lanes[kBundles];
  RandomBlock<Word> words[kBundles];
  const Mask every = less(Real(0.0f), Real(1.0f));
  std::uint64_t finished = 0;

  // The lanes of m in vector g of a bundle take the next episodes.
  const auto refill = [&](Lanes& l, int g, MaskOf<Vector> m) FRYER_INLINE_LAMBDA {
    Vector state[4];
    FRYER_UNROLL for (int i = 0; i < 4; ++i) state[i] = vector_of(l.block.observation[0][i], g);
    auto number = vector_of(l.number, g);
    starts.take(m, number, state);
    set_vector(l.number, g, number);
    FRYER_UNROLL for (int i = 0; i < 4; ++i) set_vector(l.block.observation[0][i], g, state[i]);
    set_vector(l.blocks, g, select(m, WordOf<Vector>(0u), vector_of(l.blocks, g)));
    set_vector(l.going, g, negate(m));
    l.all_going = false;
  };
  for (auto& l : lanes) {
    l.block.live[0] = every;
    FRYER_UNROLL for (int i = 0; i < 4; ++i) l.block.observation[0][i] = Real(0.0f);
    l.number = l.blocks = Word(0u);
    if constexpr (kTrack != Track::nothing) clear_if(l.learner, work.policy, every);
    l.going = every;
    for (int g = 0; g < kVectors; ++g) refill(l, g, vector_of(every, g));
  }

  constexpr std::uint64_t kLanes = LaneTypes<Real>::kLanes;
  while (finished < count) {
    FRYER_KEEP_LOOP for (int b = 0; b < kBundles; ++b) {
      auto& l = lanes[b];
      words[b] = philox<Real>(l.blocks, game.action_word, l.number, high, work.key);
    }
    FRYER_KEEP_LOOP for (int b = 0; b < kBundles; ++b) lanes[b].block.advance(0, game, policy, words[b].x,
                                                                              steps_of(lanes[b].blocks));
    FRYER_KEEP_LOOP for (int b = 0; b < kBundles; ++b) lanes[b].block.advance(1, game, policy, words[b].y,
                                                                              steps_of(lanes[b].blocks));
    FRYER_KEEP_LOOP for (int b = 0; b < kBundles; ++b) lanes[b].block.advance(2, game, policy, words[b].z,
                                                                              steps_of(lanes[b].blocks));
    FRYER_KEEP_LOOP for (int b = 0; b < kBundles; ++b) lanes[b].block.advance(3, game, policy, words[b].w,
                                                                              steps_of(lanes[b].blocks));
    // One branch for all bundles, after the learning: whether an episode ended nobody can predict, and what was begun after a wrong guess is
    // thrown away.
    std::uint32_t ended_vectors = 0;  // bit b kVectors + g: in vector g of bundle b one did
    static_assert(kBundles * kVectors <= 32);
    FRYER_KEEP_LOOP for (int b = 0; b < kBundles; ++b) {
      auto& l = lanes[b];
      l.blocks = l.blocks + Word(1u);
      l.ended = l.block.ended(game, l.blocks);
      if constexpr (kTrack != Track::nothing) {
        l.all_going ? learn<kTrack == Track::gradient_and_scores>(l.learner, game, policy, l.block, any(l.ended))
                    : accumulate(l.learner, game, policy, l.block, l.going);
      }
      ended_vectors |= vectors_with_any(l.ended) << (b * kVectors);
      l.block.next();
      l.going = every;
      l.all_going = true;
    }
    for (; ended_vectors != 0; ended_vectors &= ended_vectors - 1) {
      const int v = __builtin_ctz(ended_vectors), g = v % kVectors;
      auto& l = lanes[v / kVectors];
      const auto ended = vector_of(l.ended, g);
      auto m = ended;
      if (finished + kLanes * kBundles > count) {  // from now on an episode beyond the range may be among these
        const auto position = vector_of(l.number, g) - WordOf<Vector>(low);
        m = both(m, less(position, WordOf<Vector>(static_cast<std::uint32_t>(count))));
      }
      sums.add(work.fixed_point, m, g, l.learner, l.steps(g), l.fell(g));
      finished += static_cast<std::uint32_t>(__builtin_popcount(mask_bits(m)));
      refill(l, g, ended);
    }
  }
}

template <bool kGeneral, Track kTrack, bool kSquares, class Policy>
void gradient_of(const CartPoleWorkOf<Policy>& work, std::uint64_t first, std::uint64_t count, CartPoleSumsOf<Policy>& sums) {
  EpisodeSums<Policy, VectorOf<typename EpisodeFlight<Policy, kTrack>::Real>, kTrack, kSquares> accumulator;
  accumulator.clear();
  accumulator.shape = work.policy.shape();
  run_episodes<kGeneral, kTrack>(work, work.policy, first, count, accumulator);
  CartPoleSumsOf<Policy> part;
  accumulator.total(part);
  part.episodes = count;
  sums.add(part);
}

template <class Policy>
void gradient_of_task(const CartPoleWorkOf<Policy>& work, std::uint64_t first, std::uint64_t count, CartPoleTask task,
                      CartPoleSumsOf<Policy>& sums) {
  const bool general = work.game.general;
  switch (task) {
    case CartPoleTask::gradient:
      return general ? gradient_of<true, Track::gradient, false>(work, first, count, sums)
                     : gradient_of<false, Track::gradient, false>(work, first, count, sums);
    case CartPoleTask::gradient_and_squares:
      return general ? gradient_of<true, Track::gradient, true>(work, first, count, sums)
                     : gradient_of<false, Track::gradient, true>(work, first, count, sums);
    case CartPoleTask::gradient_and_scores:
      return general ? gradient_of<true, Track::gradient_and_scores, false>(work, first, count, sums)
                     : gradient_of<false, Track::gradient_and_scores, false>(work, first, count, sums);
  }
}

template <class Policy>
void evaluate_work(const CartPoleWorkOf<Policy>& work, std::uint64_t first, std::uint64_t count, std::uint64_t* counts) {
  OutcomeCounts outcomes{counts};
  const LikelierAction<Policy> greedy{work.policy};
  const bool general = work.game.general;
  if (work.game.greedy) {
    general ? run_episodes<true, Track::nothing>(work, greedy, first, count, outcomes)
            : run_episodes<false, Track::nothing>(work, greedy, first, count, outcomes);
  } else {
    general ? run_episodes<true, Track::nothing>(work, work.policy, first, count, outcomes)
            : run_episodes<false, Track::nothing>(work, work.policy, first, count, outcomes);
  }
}

// ---- replicas

// One bundle of replicas, each in its own episode of its own update.
template <class Policy, class Real, bool kGeneral, Track kTrack>
struct ReplicaBundle {
  static constexpr int kParameters = Policy::kParameters;
  static constexpr std::uint32_t kLanes = LaneTypes<Real>::kLanes;
  using Programs = EpisodePrograms<Policy, Real, kGeneral, kTrack>;
  typename Programs::Block block;
  typename Programs::Learner learner;
  typename Policy::template With<Real> policy;
  LaneKey<Real> key;
  WordOf<Real> number, blocks;  // of the episode; played of it
  MaskOf<Real> ended;           // with this block
  // A lane's own from here on, since episodes and updates end at different times.
  struct Batch {  // so far
    std::int64_t gradient[kParameters], score[kParameters], returns[2];
    std::uint32_t episodes, steps, terminated;
  };
  Batch batch[kLanes];
  CartPoleLearnerOf<Policy> learners[kLanes];
  const CartPoleTrainingOf<Policy>* training[kLanes];
  std::uint32_t seed_low[kLanes], updates[kLanes];
  std::uint64_t row[kLanes], total_steps[kLanes], in_window[kLanes];
  bool busy[kLanes];  // idle lanes go on training a seed that nobody counts, until the last busy one ends
  std::uint32_t busy_lanes;
  RandomBlock<WordOf<Real>> words;
};

template <class Policy, bool kGeneral, Track kTrack>
class ReplicaTrainer {
 public:
  using ReplicaReal = typename ReplicaFlight<Policy>::Real;
  using ReplicaWord = WordOf<ReplicaReal>;
  using ReplicaMask = MaskOf<ReplicaReal>;
  using Bundle = ReplicaBundle<Policy, ReplicaReal, kGeneral, kTrack>;
  static constexpr std::uint32_t kBundleLanes = LaneTypes<ReplicaReal>::kLanes;
  static constexpr int kReplicaVectors = LaneTypes<ReplicaReal>::kVectors, kReplicaBundles = ReplicaFlight<Policy>::kBundles;
  static constexpr int kParameters = Policy::kParameters;

  ReplicaTrainer(const CartPoleReplicaWorkOf<Policy>& work, const CartPoleGroups<Policy>& groups, const ReplicaQueue& queue,
                 std::uint32_t lanes, const CartPoleRows& rows, const CartPoleCurve& curve, std::uint64_t* scratch)
      : work_(work),
        groups_(groups),
        seed_high_(static_cast<std::uint32_t>(groups.group[0].first_seed >> 32)),
        queue_(queue),
        rows_(rows),
        curve_(curve),
        scratch_(scratch) {
    const ReplicaMask every = less(ReplicaReal(0.0f), ReplicaReal(1.0f));
    for (Bundle& r : bundles_) {
      if (lanes == 0) return;
      r.block.live[0] = every;
      r.number = r.blocks = ReplicaWord(0u);
      FRYER_UNROLL for (int i = 0; i < 4; ++i) r.block.observation[0][i] = ReplicaReal(0.0f);
      clear_if(r.learner, r.policy, every);
      if constexpr (!Policy::Shape::kFixed) r.policy.network = work.shape;
      r.busy_lanes = 0;
      for (std::uint32_t lane = 0; lane < kBundleLanes; ++lane) take(r, lane, lane < lanes);
      if (r.busy_lanes == 0) return;
      lanes -= lanes < kBundleLanes ? lanes : kBundleLanes;
      schedule_keys(r);
      for (std::uint32_t lane = 0; lane < kBundleLanes; ++lane) begin_episode(r, lane);
      active_[count_++] = &r;
    }
  }
  bool running() const { return count_ != 0; }

  // Leaves every training after the last update it made.
  void leave() {
    if (rows_.m == nullptr) return;
    for (int b = 0; b < count_; ++b) {
      for (std::uint32_t lane = 0; lane < kBundleLanes; ++lane) {
        if (active_[b]->busy[lane]) save_row(*active_[b], lane);
      }
    }
  }

  // Not inlined, and the question whether to stop stands outside: no vector register survives a call.
  __attribute__((noinline)) void advance(std::uint32_t blocks) {
    const CartPoleGame game = work_.game;
    for (; blocks != 0 && count_ != 0; --blocks) {
      const int n = count_;
      FRYER_KEEP_LOOP for (int b = 0; b < n; ++b) {
        Bundle& r = *active_[b];
        r.words = philox<ReplicaReal>(r.blocks, game.action_word, r.number, 0u, r.key);
      }
      FRYER_KEEP_LOOP for (int b = 0; b < n; ++b) step(*active_[b], 0, game, active_[b]->words.x);
      FRYER_KEEP_LOOP for (int b = 0; b < n; ++b) step(*active_[b], 1, game, active_[b]->words.y);
      FRYER_KEEP_LOOP for (int b = 0; b < n; ++b) step(*active_[b], 2, game, active_[b]->words.z);
      FRYER_KEEP_LOOP for (int b = 0; b < n; ++b) step(*active_[b], 3, game, active_[b]->words.w);
      bool some_ended = false;  // one branch, as in run_episodes
      FRYER_KEEP_LOOP for (int b = 0; b < n; ++b) {
        Bundle& r = *active_[b];
        r.blocks = r.blocks + ReplicaWord(1u);
        r.ended = r.block.ended(game, r.blocks);
        const bool ended = any(r.ended);
        learn<true>(r.learner, game, r.policy, r.block, ended);
        some_ended |= ended;
        r.block.next();
      }
      if (some_ended) end_episodes();
    }
  }

 private:
  static FRYER_LANE void step(Bundle& r, int k, const CartPoleGame& game, ReplicaWord word) {
    r.block.advance(k, game, r.policy, word, steps_of(r.blocks));
  }

  // One lane at a time: in 32 lanes one ends every third block, and vectors would do all of this, a start state's random numbers above all,
  // for 32 (16 % of the time instead of 8, before that one branch).
  __attribute__((noinline)) void end_episodes() {
    bool idle = false;
    for (int b = 0; b < count_; ++b) {
      Bundle& r = *active_[b];
      std::uint32_t ended = lane_bits<kReplicaVectors>(r.ended);
      if (ended == 0) continue;
      const std::uint32_t fell = lane_bits<kReplicaVectors>(r.block.terminated());
      std::uint32_t live[kStepsPerBlock];
      FRYER_UNROLL for (int k = 0; k < kStepsPerBlock; ++k) live[k] = lane_bits<kReplicaVectors>(r.block.live[k]);
      bool renewed = false;
      for (; ended != 0; ended &= ended - 1) {
        const auto lane = static_cast<std::uint32_t>(__builtin_ctz(ended));
        const auto is_set = [lane](std::uint32_t bits) FRYER_INLINE_LAMBDA { return (bits >> lane & 1) != 0; };
        const std::uint32_t steps =
            steps_of_ended(get_lane<std::uint32_t>(r.blocks, lane), [&](int k) FRYER_INLINE_LAMBDA { return is_set(live[k]); });
        add_episode(r, lane, steps, is_set(fell));
        set_lane(r.number, lane, get_lane<std::uint32_t>(r.number, lane) + 1);
        if (r.batch[lane].episodes == work_.batch) renewed |= end_batch(r, lane);
        begin_episode(r, lane);
      }
      if (renewed) schedule_keys(r);
      idle |= r.busy_lanes == 0;
    }
    if (idle) drop_idle_bundles();
  }

  FRYER_LANE void add_episode(Bundle& r, std::uint32_t lane, std::uint32_t steps, bool terminated) {
    const CartPoleFixedPointOf<Policy>& f = work_.fixed_point;
    auto& batch = r.batch[lane];
    const auto add = [&](std::int64_t& sum, ReplicaReal& x, double scale)
                         FRYER_INLINE_LAMBDA { sum += to_fixed(static_cast<double>(get_lane<float>(x, lane)), scale); };
    for_each_parameter(work_.shape, [&](int i) FRYER_INLINE_LAMBDA {
      add(batch.gradient[i], r.learner.gradient[i], f.parameter[i].gradient_scale);
      if constexpr (kTrack == Track::gradient_and_scores) add(batch.score[i], r.learner.score[i], f.parameter[i].score_scale);
    });
    if constexpr (kTrack == Track::gradient_and_scores) {
      add(batch.returns[0], r.learner.moments.sum, f.returns.sum_scale);
      add(batch.returns[1], r.learner.moments.square, f.returns.square_scale);
    }
    ++batch.episodes;
    batch.steps += steps;
    batch.terminated += terminated ? 1 : 0;
  }

  // A fresh episode in a lane.
  FRYER_LANE void begin_episode(Bundle& r, std::uint32_t lane) {
    const std::uint64_t seed = std::uint64_t{seed_high_} << 32 | r.seed_low[lane];
    const auto number = get_lane<std::uint32_t>(r.number, lane);
    float state[4];
    CartPole::start<float>(work_.game.rules, philox<float>(0u, work_.game.reset_word, number, 0u, make_uniform_key(seed)), state);
    FRYER_UNROLL for (int i = 0; i < 4; ++i) set_lane(r.block.observation[0][i], lane, state[i]);
    const auto clear = [&](ReplicaReal& x) FRYER_INLINE_LAMBDA { set_lane(x, lane, 0.0f); };
    for_each_parameter(work_.shape, [&](int i) FRYER_INLINE_LAMBDA {
      clear(r.learner.trace[i]);
      clear(r.learner.gradient[i]);
      if constexpr (kTrack == Track::gradient_and_scores) clear(r.learner.score[i]);
    });
    if constexpr (kTrack == Track::gradient_and_scores) {
      ReturnMoments<ReplicaReal>& m = r.learner.moments;
      for (ReplicaReal* const x : {&m.c, &m.q, &m.h, &m.sum, &m.square}) clear(*x);
    }
    set_lane(r.blocks, lane, std::uint32_t{0});
  }

  // Rare: an update is 16 episodes, say. Whether another training is in the lane now.
  __attribute__((noinline)) bool end_batch(Bundle& r, std::uint32_t lane) {
    auto& batch = r.batch[lane];
    const std::uint64_t outcome = batch_outcome(work_.game, work_.batch, batch.steps, batch.terminated);
    const std::uint32_t update = r.updates[lane]++;
    const bool usable = r.learners[lane].update(work_, *r.training[lane], update, batch.gradient, batch.score, batch.returns[0],
                                                batch.returns[1], batch.steps);
    r.total_steps[lane] += batch.steps;
    if (r.busy[lane]) count_update(r, lane, update, outcome);
    batch = {};
    const bool ended = ended_training(r, lane, usable, outcome);
    ended ? take(r, lane, true) : show_policy(r, lane);
    return ended;
  }

  void count_update(const Bundle& r, std::uint32_t lane, std::uint32_t update, std::uint64_t outcome) const {
    __atomic_fetch_add(queue_.finished, std::uint64_t{1}, __ATOMIC_RELAXED);
    if (curve_.count != nullptr) {
      const std::uint64_t square = outcome * outcome;
      curve_.count[update] += 1;
      curve_.outcome[update] += outcome;
      curve_.square_high[update] += square >> 32;
      curve_.square_low[update] += square & 0xffffffffu;
    }
    if (rows_.outcome != nullptr) rows_.outcome[update * rows_.stride + r.row[lane]] = static_cast<std::uint32_t>(outcome);
  }

  // Whether the lane's training ended with the update just made; then its row is written.
  bool ended_training(Bundle& r, std::uint32_t lane, bool usable, std::uint64_t outcome) {
    const CartPoleTrainingOf<Policy>& training = *r.training[lane];
    const std::uint32_t made = r.updates[lane];
    bool solved = false;
    if (training.window != 0) {
      std::uint64_t& oldest = window(r, lane)[(made - 1) % training.window];
      r.in_window[lane] += outcome - oldest;
      oldest = outcome;
      solved = made >= training.window && r.in_window[lane] >= training.window_target;
    }
    if (usable && !solved && made < training.updates) return false;
    if (r.busy[lane]) {
      const ReplicaStatus status = !usable ? ReplicaStatus::failed : solved ? ReplicaStatus::solved : ReplicaStatus::finished;
      const std::uint64_t row = r.row[lane];
      rows_.status[row] = static_cast<std::uint8_t>(status);
      rows_.updates[row] = made;
      rows_.steps[row] = r.total_steps[lane];
      for (int i = 0; i < work_.shape.parameters(); ++i) {
        rows_.parameter[i][row] = status == ReplicaStatus::failed ? from_bits(kFailedParameterBits) : r.learners[lane].theta[i];
      }
      --r.busy_lanes;
      __atomic_fetch_add(queue_.finished, std::uint64_t{training.updates - made}, __ATOMIC_RELAXED);
    }
    return true;
  }

  std::uint64_t* window(const Bundle& r, std::uint32_t lane) const {
    const auto bundle = static_cast<std::uint32_t>(&r - bundles_);
    return scratch_ + std::uint64_t{bundle * kBundleLanes + lane} * groups_.window;
  }

  // The queue's next unfinished row in a lane, if it may have one and there is one: everything of it but its key and its episode.
  void take(Bundle& r, std::uint32_t lane, bool may) {
    std::uint64_t row = queue_.replicas;
    while (may) {
      row = __atomic_fetch_add(queue_.next, std::uint64_t{1}, __ATOMIC_RELAXED);
      may = rows_.m != nullptr && row < queue_.replicas &&
            rows_.status[row] != static_cast<std::uint8_t>(ReplicaStatus::unfinished);
    }
    const bool busy = row < queue_.replicas;
    const ReplicaGroup& group = group_of(groups_.group, groups_.groups, busy ? row : 0);
    const std::uint64_t seed = group.first_seed + (row - group.first_row);
    const CartPoleTrainingOf<Policy>& training = groups_.training[group.training];
    r.busy[lane] = busy;
    r.row[lane] = row;
    r.seed_low[lane] = static_cast<std::uint32_t>(seed);
    r.training[lane] = &training;
    r.updates[lane] = 0;
    r.total_steps[lane] = r.in_window[lane] = 0;
    for (std::uint32_t i = 0; i < training.window; ++i) window(r, lane)[i] = 0;
    r.busy_lanes += busy ? 1 : 0;
    r.batch[lane] = {};
    if (busy && rows_.m != nullptr) {
      load_row(r, lane);
    } else {
      r.learners[lane].start(work_.shape, training, seed);
    }
    set_lane<std::uint32_t>(r.number, lane, r.updates[lane] * work_.batch);
    show_policy(r, lane);
  }
  // A training as its row has it.
  void load_row(Bundle& r, std::uint32_t lane) const {
    const std::uint64_t row = r.row[lane];
    CartPoleLearnerOf<Policy>& learner = r.learners[lane];
    for (int i = 0; i < work_.shape.parameters(); ++i) {
      learner.theta[i] = rows_.parameter[i][row];
      learner.m[i] = rows_.m[i][row];
      learner.v[i] = rows_.v[i][row];
    }
    r.updates[lane] = rows_.updates[row];
    r.total_steps[lane] = rows_.steps[row];
    for (std::uint32_t i = 0; i < r.training[lane]->window; ++i)
      r.in_window[lane] += window(r, lane)[i] = rows_.recent[i * rows_.stride + row];
  }
  void save_row(const Bundle& r, std::uint32_t lane) const {
    const std::uint64_t row = r.row[lane];
    const CartPoleLearnerOf<Policy>& learner = r.learners[lane];
    for (int i = 0; i < work_.shape.parameters(); ++i) {
      rows_.parameter[i][row] = learner.theta[i];
      rows_.m[i][row] = learner.m[i];
      rows_.v[i][row] = learner.v[i];
    }
    rows_.updates[row] = r.updates[lane];
    rows_.steps[row] = r.total_steps[lane];
    for (std::uint32_t i = 0; i < r.training[lane]->window; ++i) rows_.recent[i * rows_.stride + row] = window(r, lane)[i];
  }
  static void show_policy(Bundle& r, std::uint32_t lane) {
    const float* const theta = r.learners[lane].theta;
    if constexpr (Policy::Shape::kFixed) {
      for (int i = 0; i < 4; ++i) set_lane<float>(r.policy.weight[i], lane, theta[i]);
      set_lane<float>(r.policy.bias, lane, theta[4]);
    } else {
      for (int i = 0; i < r.policy.network.parameters(); ++i) set_lane<float>(r.policy.parameter[i], lane, theta[i]);
    }
  }
  void schedule_keys(Bundle& r) const {
    ReplicaWord seeds;
    load(r.seed_low, seeds);
    r.key.schedule(seeds, seed_high_);
  }
  void drop_idle_bundles() {
    int kept = 0;
    for (int b = 0; b < count_; ++b) {
      if (active_[b]->busy_lanes != 0) active_[kept++] = active_[b];
    }
    count_ = kept;
  }

  const CartPoleReplicaWorkOf<Policy> work_;
  const CartPoleGroups<Policy> groups_;
  const std::uint32_t seed_high_;
  const ReplicaQueue queue_;
  const CartPoleRows rows_;
  const CartPoleCurve curve_;
  std::uint64_t* const scratch_;
  int count_ = 0;
  Bundle* active_[kReplicaBundles];  // the first count_: those with a busy lane
  Bundle bundles_[kReplicaBundles];
};

// Blocks between two questions whether to stop: milliseconds.
constexpr std::uint32_t kBlocksBetweenQuestions = 8192;

template <bool kGeneral, Track kTrack, class Policy>
void train_of(const CartPoleReplicaWorkOf<Policy>& work, const CartPoleGroups<Policy>& groups, const ReplicaQueue& queue,
              std::uint32_t lanes, const CartPoleRows& rows, const CartPoleCurve& curve, std::uint64_t* scratch,
              const StopQuestion& stop) {
  ReplicaTrainer<Policy, kGeneral, kTrack> trainer(work, groups, queue, lanes, rows, curve, scratch);
  for (trainer.advance(kBlocksBetweenQuestions); trainer.running(); trainer.advance(kBlocksBetweenQuestions)) {
    if (stop.ask(stop.context)) return trainer.leave();
  }
}

template <class Policy>
void train_work(const CartPoleReplicaWorkOf<Policy>& work, const CartPoleGroups<Policy>& groups, const ReplicaQueue& queue,
                std::uint32_t lanes, const CartPoleRows& rows, const CartPoleCurve& curve, std::uint64_t* scratch,
                const StopQuestion& stop) {
  const bool general = work.game.general;
  const auto call = [&](auto* program) FRYER_INLINE_LAMBDA { program(work, groups, queue, lanes, rows, curve, scratch, stop); };
  if (work.track == Track::gradient) {
    call(general ? &train_of<true, Track::gradient, Policy> : &train_of<false, Track::gradient, Policy>);
  } else {
    call(general ? &train_of<true, Track::gradient_and_scores, Policy> : &train_of<false, Track::gradient_and_scores, Policy>);
  }
}

}  // namespace fryer::FRYER_EXECUTOR
