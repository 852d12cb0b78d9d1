// SPDX-License-Identifier: Apache-2.0
// The bodies of CartPole's CUDA kernels, as templates over a Warp like those of warp_bodies.h and over the policy: episodes for their
// gradient or outcomes, and replicas that a lane trains from its first episode to its last. A linear policy's parameters are registers;
// arrays by the parameters of a hidden layer, whose number is a run-time setting, are a thread's own memory. A lane plays blocks of four
// steps; episodes end at different times, so each warp has one loop with a vote in it, and what happens once an episode or seldomer
// stands behind that vote. Knows nothing of CUDA.
#pragma once

#include "fryer/lane/cart_pole_episode.h"
#include "kernels/warp_bodies.h"

namespace fryer {

// ---- one lane's episode

// Kind: of policy, LinearPolicy or HiddenLayerPolicy.
template <class Kind, bool kGeneral, Track kTrack>
struct CartPoleLane {
  using Programs = EpisodePrograms<Kind, float, kGeneral, kTrack>;
  typename Programs::Block block;
  typename Programs::Learner learner;
  EpisodeRandom random;
  std::uint32_t blocks;  // played of this episode

  // The state before the first step is in block.observation[0].
  template <class Policy, class Key>
  FRYER_LANE void begin(const CartPoleGame& game, const Policy& policy, std::uint32_t number_low, std::uint32_t number_high,
                        const Key& key) {
    random.begin(game.action_word, number_low, number_high, key);
    clear_if(learner, policy, true);
    blocks = 0;
  }
  // Four steps. Afterwards block.live[kStepsPerBlock] says whether the episode goes on, but for the limit of steps, which only the
  // general program looks at (it may lie within a block).
  template <class Policy, class Key>
  FRYER_LANE void play(const CartPoleGame& game, const Policy& policy, const Key& key) {
    const RandomBlock<std::uint32_t> words = random.block(blocks, key);
    const std::uint32_t steps = steps_of(blocks);
    block.live[0] = true;
    block.advance(0, game, policy, words.x, steps);
    block.advance(1, game, policy, words.y, steps);
    block.advance(2, game, policy, words.z, steps);
    block.advance(3, game, policy, words.w, steps);
    accumulate(learner, game, policy, block, Everywhere());
    block.next();
    ++blocks;
  }
  FRYER_LANE bool goes_on() const { return block.live[kStepsPerBlock]; }
  // Of an episode that has ended. A counter in the loop would cost 8 instructions a block.
  FRYER_LANE std::uint32_t steps() const { return block.steps_of_ended(blocks); }
};

// ---- episodes under one policy

// Start states of a warp's next 64 episodes, in memory that its lanes share.
struct StartMemory {
  float field[4][2 * kWarpLanes];
};

// Deals a warp's episodes out to its lanes. Group g of 32 consecutive ones belongs to warp g modulo the number of warps; position p of
// the warp is episode p % 32 of its group p / 32, and lies in slot p % 64. 32 lanes make 32 start states at once, ended lanes take
// the next ones in lane order: 3 to 6 % fewer instructions than making them where they are needed (simulated with episodes' lengths).
template <WarpLike Warp, class Kind>
class StartQueue {
 public:
  FRYER_LANE StartQueue(const Warp& warp, WarpPlace place, const CartPoleWorkOf<Kind>& work, const UniformKey& key,
                        EpisodeRange range, StartMemory& memory)
      : warp_(warp), work_(work), key_(key), memory_(memory), high_(range.high) {
    const auto groups = static_cast<std::uint32_t>((range.count + (kWarpLanes - 1)) / kWarpLanes);
    const std::uint32_t mine = place.warp < groups ? (groups - 1 - place.warp) / place.warps + 1 : 0;
    const bool has_last = mine != 0 && (groups - 1 - place.warp) % place.warps == 0;
    end_ = kWarpLanes * mine - (has_last ? kWarpLanes * groups - static_cast<std::uint32_t>(range.count) : 0);
    first_ = range.first + kWarpLanes * place.warp;
    stride_ = kWarpLanes * place.warps;
  }

  // Positions from here on are nobody's episodes.
  FRYER_LANE std::uint32_t end() const { return end_; }
  // The low word of a position's number.
  FRYER_LANE std::uint32_t number(std::uint32_t position) const {
    return first_ + position / kWarpLanes * stride_ + position % kWarpLanes;
  }
  // By all lanes: the lanes of `wanting` get the next positions, in lane order. They read their start states before the next call.
  FRYER_LANE std::uint32_t take(std::uint32_t wanting) {
    const std::uint32_t position = next_ + count_votes(wanting & ((1u << warp_.lane()) - 1));
    next_ += count_votes(wanting);
    if (next_ > filled_) fill();
    return position;
  }
  FRYER_LANE void start(std::uint32_t position, float (&state)[4]) const {
    FRYER_UNROLL for (int i = 0; i < 4; ++i) state[i] = memory_.field[i][position % (2 * kWarpLanes)];
  }

 private:
  FRYER_LANE void fill() {
    const std::uint32_t position = filled_ + warp_.lane();
    float state[4];
    CartPole::start<float>(work_.game.rules, philox<float>(0u, work_.game.reset_word, number(position), high_, key_), state);
    warp_.sync();
    FRYER_UNROLL for (int i = 0; i < 4; ++i) memory_.field[i][position % (2 * kWarpLanes)] = state[i];
    warp_.sync();
    filled_ += kWarpLanes;
  }
  const Warp& warp_;
  const CartPoleWorkOf<Kind>& work_;
  const UniformKey& key_;
  StartMemory& memory_;
  std::uint32_t high_, first_, stride_, end_;
  std::uint32_t next_ = 0, filled_ = 0;  // positions, the same in all lanes
};

// Most episodes of a launch, so that positions and 32-bit counts cannot overflow, nor a sum of squares' low limb.
inline constexpr std::uint64_t kMostEpisodesPerLaunch = std::uint64_t{1} << 31;

// Plays a range's episodes (at most kMostEpisodesPerLaunch) and calls finish(lane) in the lane and at the end of each. Past the end
// of the work lanes go on with episodes that nobody counts, until all of the warp are past it: there is no idle state in the loop.
template <bool kGeneral, Track kTrack, WarpLike Warp, class Kind, class Policy, class Finish>
FRYER_LANE void run_cart_pole_episodes(const Warp& warp, WarpPlace place, const CartPoleWorkOf<Kind>& work, const UniformKey& key,
                                       const Policy& policy, EpisodeRange range, StartMemory& memory, const Finish& finish) {
  StartQueue<Warp, Kind> queue(warp, place, work, key, range, memory);
  const std::uint32_t limit = most_blocks(work.game);
  CartPoleLane<Kind, kGeneral, kTrack> lane{};
  std::uint32_t position = queue.take(~0u);
  const auto begin = [&]() FRYER_INLINE_LAMBDA {
    queue.start(position, lane.block.observation[0]);
    lane.begin(work.game, policy, queue.number(position), range.high, key);
  };
  begin();
  for (;;) {
    lane.play(work.game, policy, key);
    const bool ended = !lane.goes_on() || (!kGeneral && lane.blocks >= limit);
    if (!warp.any(ended)) continue;
    const std::uint32_t next = queue.take(warp.ballot(ended));
    if (ended) {
      if (position < queue.end()) finish(lane);
      position = next;
      begin();
    }
    if (!warp.any(position < queue.end())) return;
  }
}

// Where a launch's sums are added, in an array of kCount numbers; limbs are high before low.
template <class Policy>
struct CartPoleSlots {
  enum : std::uint32_t {
    kGradient,
    kScore = kGradient + Policy::kParameters,
    kSquaredHigh = kScore + Policy::kParameters,
    kSquaredLow = kSquaredHigh + Policy::kParameters,
    kReturnSum = kSquaredLow + Policy::kParameters,
    kReturnSquare,
    kSteps,
    kTerminated,
    kStepsSquaredHigh,
    kStepsSquaredLow,
    kCount
  };
};

// True where a cheaper kernel gives the same bits: no logit of a step that counts is clamped by the sigmoid. What lanes compute beyond
// an episode's end nobody reads.
inline bool is_bounded(const CartPoleWork& work) {
  if (work.game.general) return false;
  const CartPole::Bounds bounds = CartPole::swing_bounds(work.game.rules);
  double logit = absolute(static_cast<double>(work.policy.bias));
  for (int i = 0; i < 4; ++i) {
    if (work.policy.weight[i] != 0) logit += absolute(static_cast<double>(work.policy.weight[i])) * bounds.observation[i];
  }
  static_assert(-kSigmoidZeroBelow > kSigmoidOneFrom);
  return logit < static_cast<double>(kSigmoidOneFrom) - 1;
}

// Adds the sums of a range to sums[CartPoleSlots<Kind>::kCount]. Policy: work's own, or its cheaper form (see is_bounded).
template <bool kGeneral, Track kTrack, bool kSquares, WarpLike Warp, class Kind, class Policy>
FRYER_LANE void cart_pole_gradient_body(const Warp& warp, WarpPlace place, const CartPoleWorkOf<Kind>& work,
                                        const UniformKey& key, const Policy& policy, EpisodeRange range, StartMemory& memory,
                                        std::uint64_t* sums) {
  constexpr bool kScores = kTrack == Track::gradient_and_scores;
  constexpr int kParameters = Kind::kParameters;
  using Slots = CartPoleSlots<Kind>;
  const auto shape = work.policy.shape();
  FixedSum<float> gradient[kParameters], score[kScores ? kParameters : 1], returns[2];
  FixedSquares<float> squared[kSquares ? kParameters : 1], steps_squared;
  for_each_parameter(shape, [&](int i) FRYER_INLINE_LAMBDA {
    gradient[i].clear();
    if constexpr (kScores) score[i].clear();
    if constexpr (kSquares) squared[i].clear();
  });
  FRYER_UNROLL for (auto& s : returns) s.clear();
  steps_squared.clear();
  std::uint64_t steps = 0;
  std::uint32_t terminated = 0;
  run_cart_pole_episodes<kGeneral, kTrack>(warp, place, work, key, policy, range, memory,
                                           [&](const CartPoleLane<Kind, kGeneral, kTrack>& lane) FRYER_INLINE_LAMBDA {
                                             const CartPoleFixedPointOf<Kind>& f = work.fixed_point;
                                             for_each_parameter(shape, [&](int i) FRYER_INLINE_LAMBDA {
                                               gradient[i].add(lane.learner.gradient[i], f.parameter[i].gradient_scale);
                                               if constexpr (kScores)
                                                 score[i].add(lane.learner.score[i], f.parameter[i].score_scale);
                                               if constexpr (kSquares)
                                                 squared[i].add(lane.learner.gradient[i], f.square_scale[i]);
                                             });
                                             if constexpr (kScores) {
                                               returns[0].add(lane.learner.moments.sum, f.returns.sum_scale);
                                               returns[1].add(lane.learner.moments.square, f.returns.square_scale);
                                             }
                                             const std::uint32_t length = lane.steps();
                                             steps += length;
                                             if constexpr (kSquares)
                                               steps_squared.sum.add(static_cast<std::int64_t>(std::uint64_t{length} * length));
                                             terminated = increment_if(lane.block.terminated(), terminated);
                                           });

  // A lane's low limbs are below 2^32 after normalising, and a launch has fewer than 2^31 lanes.
  const auto add_limbs = [&](std::uint32_t high, std::uint32_t low, WideSum x) FRYER_INLINE_LAMBDA {
    x.normalise();
    add_to(warp, sums, high, static_cast<std::uint64_t>(x.high));
    add_to(warp, sums, low, static_cast<std::uint64_t>(x.low));
  };
  for_each_parameter(shape, [&](int i) FRYER_INLINE_LAMBDA {
    const auto slot = static_cast<std::uint32_t>(i);
    add_to(warp, sums, Slots::kGradient + slot, static_cast<std::uint64_t>(gradient[i].total()));
    if constexpr (kScores) add_to(warp, sums, Slots::kScore + slot, static_cast<std::uint64_t>(score[i].total()));
    if constexpr (kSquares) add_limbs(Slots::kSquaredHigh + slot, Slots::kSquaredLow + slot, squared[i].total());
  });
  if constexpr (kScores) {
    add_to(warp, sums, Slots::kReturnSum, static_cast<std::uint64_t>(returns[0].total()));
    add_to(warp, sums, Slots::kReturnSquare, static_cast<std::uint64_t>(returns[1].total()));
  }
  add_to(warp, sums, Slots::kSteps, steps);
  add_to(warp, sums, Slots::kTerminated, std::uint64_t{terminated});
  if constexpr (kSquares) add_limbs(Slots::kStepsSquaredHigh, Slots::kStepsSquaredLow, steps_squared.total());
}

// The sums of a launch as results have them. Launches add nothing beyond the policy's parameters.
template <class Policy>
CartPoleSumsOf<Policy> to_cart_pole_sums(const std::uint64_t* sums, std::uint64_t episodes) {
  using Slots = CartPoleSlots<Policy>;
  const auto number = [&](std::uint32_t slot) { return static_cast<std::int64_t>(sums[slot]); };
  const auto limbs = [&](std::uint32_t high, std::uint32_t low) {
    WideSum x{number(high), number(low)};
    x.normalise();
    return x;
  };
  CartPoleSumsOf<Policy> s;
  for (std::uint32_t i = 0; i < Policy::kParameters; ++i) {
    s.gradient[i] = number(Slots::kGradient + i);
    s.score[i] = number(Slots::kScore + i);
    s.squared[i] = limbs(Slots::kSquaredHigh + i, Slots::kSquaredLow + i);
  }
  s.return_sum = number(Slots::kReturnSum);
  s.return_square = number(Slots::kReturnSquare);
  s.steps = sums[Slots::kSteps];
  s.terminated = sums[Slots::kTerminated];
  s.episodes = episodes;
  s.steps_squared = limbs(Slots::kStepsSquaredHigh, Slots::kStepsSquaredLow);
  return s;
}

// Adds the outcomes of a range to local (32-bit counters that a block's lanes share) or, where that is null, to counts: element
// 2 * length + terminated of outcome_count(max_steps).
template <bool kGeneral, WarpLike Warp, class Kind, class Policy>
FRYER_LANE void cart_pole_evaluate_body(const Warp& warp, WarpPlace place, const CartPoleWorkOf<Kind>& work,
                                        const UniformKey& key, const Policy& policy, EpisodeRange range, StartMemory& memory,
                                        std::uint32_t* local, std::uint64_t* counts) {
  run_cart_pole_episodes<kGeneral, Track::nothing>(
      warp, place, work, key, policy, range, memory,
      [&](const CartPoleLane<Kind, kGeneral, Track::nothing>& lane) FRYER_INLINE_LAMBDA {
        const std::uint32_t outcome = increment_if(lane.block.terminated(), 2 * lane.steps());
        local != nullptr ? warp.add(local + outcome, std::uint32_t{1}) : warp.add(counts + outcome, std::uint64_t{1});
      });
}

// ---- replicas: a lane trains one from its first episode to its last, then takes the next

// Where rows go, element i for the launch's replica i. A failed replica has NaN (0x7fc00000) in every parameter and the number of the
// update after which one was not usable.
template <class Policy>
struct CartPoleRowMemoryOf {
  std::uint8_t* status;
  std::uint32_t* updates;
  std::uint64_t* steps;
  float* parameter[Policy::kParameters];  // those beyond the policy's parameters are not used
  std::uint32_t* outcome;                 // (updates, stride): batch_outcome() of each batch made, or null
  std::uint64_t stride;
  // Where trainings start in their middle: then only rows whose status is `unfinished` are trained, from their updates, steps and
  // parameters as they stand, and these. Or null.
  const float *m, *v;           // (parameters, stride): Adam's moments
  const std::uint32_t* recent;  // (window, stride): outcomes of the last updates, update u in row u % window
};

// Sums over the replicas that made each update, as many elements each, added to; squares in two limbs of 32 bits; or null.
struct CartPoleCurveMemory {
  std::uint64_t *count, *outcome, *square_high, *square_low;
};

// What the 32 lanes of a warp keep in memory. An episode's end touches the first part, a batch's the second; the third is written and
// read between launches alone. A column's lanes are side by side, and every column at a constant distance from the first.
template <class Policy>
struct CartPoleWarpMemoryOf {
  static constexpr int kParameters = Policy::kParameters;
  template <class T>
  using Column = T[kWarpLanes];

  // Sums of the batch so far.
  Column<std::int64_t> gradient[kParameters], score[kParameters], returns[2];
  Column<std::uint32_t> episodes, steps, terminated;

  Column<float> theta[kParameters], m[kParameters], v[kParameters];
  Column<std::uint32_t> training, seed_low;  // training: index
  Column<std::uint32_t> updates, slot;       // slot: of the window, for the next update
  Column<std::uint64_t> total_steps, in_window;

  Column<std::uint32_t> row, number, blocks;
  Column<float> observation[4], trace[kParameters], partial_gradient[kParameters], partial_score[kParameters], moments[5];
};

// One launch of trainings. Lanes live from launch to launch in `lanes` and take replicas from `next`.
template <class Policy>
struct CartPoleLaunchOf {
  const CartPoleTrainingOf<Policy>* training;
  const ReplicaGroup* group;  // the first begins at row 0
  std::uint32_t groups;
  std::uint32_t seed_high;                // of all seeds
  std::uint32_t key_high[kPhiloxRounds];  // its part of the key schedule: as an argument it costs no instruction
  std::uint32_t replicas;                 // below 2^31
  std::uint64_t* next;                    // the first replica not yet taken
  std::uint64_t* running;                 // lanes that still train one at the end of the launch are added to it
  std::uint32_t blocks;                   // of four steps, that each lane plays in this launch at most; below 2^31
  bool resume;                            // false: no lane has a replica yet
  CartPoleRowMemoryOf<Policy> rows;
  CartPoleCurveMemory curve;
  CartPoleWarpMemoryOf<Policy>* lanes;  // one a warp
  std::uint32_t* ring;                  // (window, lanes): outcomes of the last updates
};

using CartPoleLaunch = CartPoleLaunchOf<LinearPolicy>;
using HiddenLaunch = CartPoleLaunchOf<HiddenLayerPolicy>;

// The rare part of a lane's training: what an episode's and a batch's end change.
template <bool kGeneral, Track kTrack, WarpLike Warp, class Policy>
class CartPoleBatches {
 public:
  using Work = CartPoleReplicaWorkOf<Policy>;
  using Launch = CartPoleLaunchOf<Policy>;
  using Lane = CartPoleLane<Policy, kGeneral, kTrack>;

  FRYER_LANE CartPoleBatches(const Warp& warp, WarpPlace place, const Work& work, const Launch& launch)
      : warp_(warp),
        work_(work),
        launch_(launch),
        memory_(launch.lanes[place.warp]),
        ring_(launch.ring + (place.warp * kWarpLanes + warp.lane())),
        lanes_(place.warps * kWarpLanes),
        lane_(warp.lane()) {}

  // The next replica, or launch.replicas if there is none. Everything of it but key and episode.
  FRYER_LANE std::uint32_t take() {
    const CartPoleRowMemoryOf<Policy>& rows = launch_.rows;
    const bool from_rows = rows.m != nullptr;
    std::uint64_t taken;
    do {
      taken = warp_.take(launch_.next);
    } while (from_rows && taken < launch_.replicas && rows.status[taken] != static_cast<std::uint8_t>(ReplicaStatus::unfinished));
    const auto row = static_cast<std::uint32_t>(taken < launch_.replicas ? taken : launch_.replicas);
    clear_batch();
    const ReplicaGroup& group = group_of(launch_.group, launch_.groups, row);
    const std::uint64_t seed = group.first_seed + (row - group.first_row);
    const CartPoleTrainingOf<Policy>& training = launch_.training[group.training];
    memory_.training[lane_] = group.training;
    memory_.seed_low[lane_] = static_cast<std::uint32_t>(seed);
    memory_.updates[lane_] = memory_.slot[lane_] = 0;
    memory_.total_steps[lane_] = memory_.in_window[lane_] = 0;
    Learner learner;
    learner.start(work_.shape, training, seed);
    if (from_rows && row < launch_.replicas) load_row(row, training, learner);
    store(learner);
    return row;
  }
  // Of the replica in this lane: its seed, and the number of its next episode.
  FRYER_LANE std::uint32_t seed_low() const { return memory_.seed_low[lane_]; }
  FRYER_LANE std::uint32_t next_number() const { return memory_.updates[lane_] * work_.batch; }

  // An episode of replica `row` has ended. Returns whether its batch is full.
  FRYER_LANE bool add(const Lane& lane) const {
    const CartPoleFixedPointOf<Policy>& f = work_.fixed_point;
    for_each([&](int i) FRYER_INLINE_LAMBDA {
      add_fixed(memory_.gradient[i], lane.learner.gradient[i], f.parameter[i].gradient_scale);
      if constexpr (kScores) add_fixed(memory_.score[i], lane.learner.score[i], f.parameter[i].score_scale);
    });
    if constexpr (kScores) {
      add_fixed(memory_.returns[0], lane.learner.moments.sum, f.returns.sum_scale);
      add_fixed(memory_.returns[1], lane.learner.moments.square, f.returns.square_scale);
    }
    memory_.steps[lane_] += lane.steps();
    memory_.terminated[lane_] = increment_if(lane.block.terminated(), memory_.terminated[lane_]);
    return ++memory_.episodes[lane_] == work_.batch;
  }

  // The step of a full batch. Returns whether the training ended with it; then its row is written.
  FRYER_LANE bool update(std::uint32_t row) const {
    const CartPoleTrainingOf<Policy>& training = launch_.training[memory_.training[lane_]];
    const std::uint32_t update = memory_.updates[lane_], made = update + 1, steps = memory_.steps[lane_];
    const std::uint64_t outcome = batch_outcome(work_.game, work_.batch, steps, memory_.terminated[lane_]);
    std::int64_t gradient[kParameters], score[kParameters] = {}, returns[2] = {};
    Learner learner;
    for_each([&](int i) FRYER_INLINE_LAMBDA {
      gradient[i] = memory_.gradient[i][lane_];
      if constexpr (kScores) score[i] = memory_.score[i][lane_];
      learner.theta[i] = memory_.theta[i][lane_];
      learner.m[i] = memory_.m[i][lane_];
      learner.v[i] = memory_.v[i][lane_];
    });
    if constexpr (kScores) FRYER_UNROLL
      for (int i = 0; i < 2; ++i) returns[i] = memory_.returns[i][lane_];
    const bool usable = learner.update(work_, training, update, gradient, score, returns[0], returns[1], steps);
    store(learner);
    clear_batch();
    const std::uint64_t total_steps = memory_.total_steps[lane_] + steps;
    memory_.total_steps[lane_] = total_steps;
    memory_.updates[lane_] = made;

    if (launch_.curve.count != nullptr) {
      const std::uint64_t square = outcome * outcome;
      warp_.add(launch_.curve.count + update, std::uint64_t{1});
      warp_.add(launch_.curve.outcome + update, outcome);
      warp_.add(launch_.curve.square_high + update, square >> 32);
      warp_.add(launch_.curve.square_low + update, square & 0xffffffffu);
    }
    if (launch_.rows.outcome != nullptr) {
      launch_.rows.outcome[update * launch_.rows.stride + row] = static_cast<std::uint32_t>(outcome);
    }

    bool solved = false;
    if (training.window != 0) {
      const std::uint32_t slot = memory_.slot[lane_];
      std::uint32_t* const oldest = ring_ + std::uint64_t{slot} * lanes_;
      const std::uint64_t in_window = memory_.in_window[lane_] + outcome - (made > training.window ? *oldest : 0);
      *oldest = static_cast<std::uint32_t>(outcome);
      memory_.in_window[lane_] = in_window;
      memory_.slot[lane_] = slot + 1 == training.window ? 0 : slot + 1;
      solved = made >= training.window && in_window >= training.window_target;
    }
    if (usable && !solved && made < training.updates) return false;
    const ReplicaStatus status = !usable ? ReplicaStatus::failed : solved ? ReplicaStatus::solved : ReplicaStatus::finished;
    launch_.rows.status[row] = static_cast<std::uint8_t>(status);
    launch_.rows.updates[row] = made;
    launch_.rows.steps[row] = total_steps;
    for_each([&](int i) FRYER_INLINE_LAMBDA {
      launch_.rows.parameter[i][row] = usable ? learner.theta[i] : from_bits(kFailedParameterBits);
    });
    return true;
  }

  FRYER_LANE void show(LinearPolicy& p) const {
    FRYER_UNROLL for (int i = 0; i < 4; ++i) p.weight[i] = memory_.theta[i][lane_];
    p.bias = memory_.theta[4][lane_];
  }
  FRYER_LANE void show(HiddenLayerPolicy& p) const {
    for_each([&](int i) FRYER_INLINE_LAMBDA { p.parameter[i] = memory_.theta[i][lane_]; });
  }

  // A lane between launches.
  FRYER_LANE void save(const Lane& lane, std::uint32_t row, std::uint32_t number) const {
    memory_.row[lane_] = row;
    memory_.number[lane_] = number;
    memory_.blocks[lane_] = lane.blocks;
    FRYER_UNROLL for (int i = 0; i < 4; ++i) memory_.observation[i][lane_] = lane.block.observation[0][i];
    for_each([&](int i) FRYER_INLINE_LAMBDA {
      memory_.trace[i][lane_] = lane.learner.trace[i];
      memory_.partial_gradient[i][lane_] = lane.learner.gradient[i];
      if constexpr (kScores) memory_.partial_score[i][lane_] = lane.learner.score[i];
    });
    if constexpr (kScores) {
      const ReturnMoments<float>& r = lane.learner.moments;
      const float moments[5] = {r.c, r.q, r.h, r.sum, r.square};
      FRYER_UNROLL for (int i = 0; i < 5; ++i) memory_.moments[i][lane_] = moments[i];
    }
  }
  FRYER_LANE std::uint32_t saved_row() const { return memory_.row[lane_]; }
  FRYER_LANE std::uint32_t saved_number() const { return memory_.number[lane_]; }
  // After lane.begin().
  FRYER_LANE void load(Lane& lane) const {
    lane.blocks = memory_.blocks[lane_];
    FRYER_UNROLL for (int i = 0; i < 4; ++i) lane.block.observation[0][i] = memory_.observation[i][lane_];
    for_each([&](int i) FRYER_INLINE_LAMBDA {
      lane.learner.trace[i] = memory_.trace[i][lane_];
      lane.learner.gradient[i] = memory_.partial_gradient[i][lane_];
      if constexpr (kScores) lane.learner.score[i] = memory_.partial_score[i][lane_];
    });
    if constexpr (kScores) {
      ReturnMoments<float>& r = lane.learner.moments;
      float* const moments[5] = {&r.c, &r.q, &r.h, &r.sum, &r.square};
      FRYER_UNROLL for (int i = 0; i < 5; ++i) * moments[i] = memory_.moments[i][lane_];
    }
  }

 private:
  static constexpr bool kScores = kTrack == Track::gradient_and_scores;
  static constexpr int kParameters = Policy::kParameters;
  using Memory = CartPoleWarpMemoryOf<Policy>;
  using Learner = CartPoleLearnerOf<Policy>;

  template <class Body>
  FRYER_LANE void for_each(const Body& body) const {
    for_each_parameter(work_.shape, body);
  }
  FRYER_LANE void add_fixed(typename Memory::template Column<std::int64_t>& column, float x, double scale) const {
    column[lane_] += to_fixed(static_cast<double>(x), scale);
  }
  FRYER_LANE void clear_batch() const {
    for_each([&](int i) FRYER_INLINE_LAMBDA {
      memory_.gradient[i][lane_] = 0;
      if constexpr (kScores) memory_.score[i][lane_] = 0;
    });
    if constexpr (kScores) FRYER_UNROLL
      for (int i = 0; i < 2; ++i) memory_.returns[i][lane_] = 0;
    memory_.episodes[lane_] = memory_.steps[lane_] = memory_.terminated[lane_] = 0;
  }
  // A training as its row has it, but for its key and episode.
  FRYER_LANE void load_row(std::uint32_t row, const CartPoleTrainingOf<Policy>& training, Learner& learner) const {
    const CartPoleRowMemoryOf<Policy>& rows = launch_.rows;
    for_each([&](int i) FRYER_INLINE_LAMBDA {
      learner.theta[i] = rows.parameter[i][row];
      learner.m[i] = rows.m[static_cast<std::uint64_t>(i) * rows.stride + row];
      learner.v[i] = rows.v[static_cast<std::uint64_t>(i) * rows.stride + row];
    });
    const std::uint32_t updates = rows.updates[row], window = training.window;
    memory_.updates[lane_] = updates;
    memory_.total_steps[lane_] = rows.steps[row];
    memory_.slot[lane_] = window != 0 ? updates % window : 0;
    std::uint64_t in_window = 0;
    for (std::uint32_t i = 0; i < window; ++i) {
      const std::uint32_t outcome = rows.recent[i * rows.stride + row];
      ring_[std::uint64_t{i} * lanes_] = outcome;
      in_window += outcome;
    }
    memory_.in_window[lane_] = in_window;
  }
  FRYER_LANE void store(const Learner& learner) const {
    for_each([&](int i) FRYER_INLINE_LAMBDA {
      memory_.theta[i][lane_] = learner.theta[i];
      memory_.m[i][lane_] = learner.m[i];
      memory_.v[i][lane_] = learner.v[i];
    });
  }

  const Warp& warp_;
  const Work& work_;
  const Launch& launch_;
  Memory& memory_;
  std::uint32_t* const ring_;
  const std::uint32_t lanes_, lane_;
};

// In the loop stand an episode's state, the policy and the seed's key; all else is in memory. A lane without a replica goes on playing
// episodes that nobody counts, until its warp has none either. Blocks of the launch are counted without an instruction: all lanes of a
// warp have played equally many, `began` + the episode's, so each episode's limit is also the launch's.
template <bool kGeneral, Track kTrack, WarpLike Warp, class Policy>
FRYER_LANE void cart_pole_train_body(const Warp& warp, WarpPlace place, const CartPoleReplicaWorkOf<Policy>& work,
                                     const CartPoleLaunchOf<Policy>& launch) {
  CartPoleBatches<kGeneral, kTrack, Warp, Policy> batches(warp, place, work, launch);
  const CartPoleGame& game = work.game;
  CartPoleLane<Policy, kGeneral, kTrack> lane{};
  LaneKey<float> key;
  Policy policy;
  if constexpr (!Policy::Shape::kFixed) policy.network = work.shape;
  std::uint32_t row, number, began, limit;
  const auto begin_replica = [&]() FRYER_INLINE_LAMBDA {
    key.schedule(batches.seed_low(), launch.seed_high);
    FRYER_UNROLL for (int round = 0; round < kPhiloxRounds; ++round) key.high[round] = launch.key_high[round];
  };
  const auto begin_episode = [&](std::uint32_t now) FRYER_INLINE_LAMBDA {
    CartPole::start<float>(game.rules, philox<float>(0u, game.reset_word, number, 0u, key), lane.block.observation[0]);
    lane.begin(game, policy, number, 0u, key);
    began = now;
  };
  const auto set_limit = [&]() FRYER_INLINE_LAMBDA { limit = at_most(most_blocks(game), launch.blocks - began); };

  if (launch.resume) {
    row = batches.saved_row();
    number = batches.saved_number();
    begin_replica();
    begin_episode(0);
    batches.load(lane);
    began = 0 - lane.blocks;
  } else {
    row = batches.take();
    number = batches.next_number();
    begin_replica();
    begin_episode(0);
  }
  batches.show(policy);
  set_limit();

  while (warp.any(row < launch.replicas)) {
    bool ended;
    warp.sync();  // nvcc does not see that the lanes are together, and would ask before each vote (2 instructions a block)
    do {
      lane.play(game, policy, key);
      ended = !lane.goes_on() || lane.blocks >= limit;
    } while (!warp.any(ended));
    const std::uint32_t now = began + lane.blocks;  // the same in all lanes
    if (!lane.goes_on() || lane.blocks >= most_blocks(game)) {
      ++number;
      if (row < launch.replicas && batches.add(lane)) {
        if (batches.update(row)) {
          row = batches.take();
          number = batches.next_number();
          begin_replica();
        }
        batches.show(policy);
      }
      begin_episode(now);
      set_limit();
    }
    if (warp.any(now == launch.blocks)) break;
  }

  batches.save(lane, row, number);
  const std::uint32_t running = count_votes(warp.ballot(row < launch.replicas));
  if (warp.lane() == 0 && running != 0) warp.add(launch.running, std::uint64_t{running});
}

}  // namespace fryer
