// SPDX-License-Identifier: Apache-2.0
// A warp without a GPU: 32 threads and a barrier run the bodies of the CUDA kernels, one warp of the grid after another. HostWarps is
// the Device of kernels/device_backend.h made of them, so that the whole CUDA backend but for CUDA runs in tests.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <barrier>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "host/statistics.h"
#include "kernels/device_backend.h"
#include "tests/engine/expect_equal.h"
#include "tests/kernels/host_team.h"

namespace fryer::test {

// What the lanes of a warp share: a place each for the number that they exchange, twice, so that one barrier an exchange is enough
// (a lane that is one exchange ahead writes to the other set, and none can be two ahead).
struct HostWarpState {
  std::barrier<> barrier{kWarpLanes};
  std::uint64_t numbers[2][kWarpLanes];
};

class HostWarp {
 public:
  HostWarp(HostWarpState& state, std::uint32_t lane) : state_(&state), lane_(lane) {}

  std::uint32_t lane() const { return lane_; }
  std::uint32_t ballot(bool vote) const {
    const std::uint64_t* const votes = exchange(vote);
    std::uint32_t bits = 0;
    for (std::uint32_t i = 0; i < kWarpLanes; ++i) bits |= static_cast<std::uint32_t>(votes[i]) << i;
    return bits;
  }
  bool any(bool vote) const { return ballot(vote) != 0; }
  void sync() const { state_->barrier.arrive_and_wait(); }
  std::uint32_t sum(std::uint32_t x) const { return static_cast<std::uint32_t>(sum(std::uint64_t{x})); }
  std::uint64_t sum(std::uint64_t x) const {
    const std::uint64_t* const numbers = exchange(x);
    std::uint64_t total = 0;
    for (std::uint32_t i = 0; i < kWarpLanes; ++i) total += numbers[i];
    return total;
  }
  template <class T>
  void add(T* to, T x) const {
    std::atomic_ref<T>(*to).fetch_add(x, std::memory_order_relaxed);
  }
  std::uint64_t take(std::uint64_t* counter) const {
    return std::atomic_ref<std::uint64_t>(*counter).fetch_add(1, std::memory_order_relaxed);
  }

 private:
  const std::uint64_t* exchange(std::uint64_t x) const {
    std::uint64_t* const numbers = state_->numbers[turn_];
    turn_ ^= 1;
    numbers[lane_] = x;
    sync();
    return numbers;
  }
  HostWarpState* state_;
  std::uint32_t lane_;
  mutable int turn_ = 0;
};
static_assert(WarpLike<HostWarp>);

// Calls body(warp, place) as each of 32 lanes of each of `warps` warps.
template <class Body>
void run_warps(std::uint32_t warps, const Body& body) {
  for (std::uint32_t w = 0; w < warps; ++w) {
    HostWarpState state;
    std::array<std::thread, kWarpLanes> lanes;
    for (std::uint32_t i = 0; i < kWarpLanes; ++i) {
      lanes[i] = std::thread([&state, &body, w, warps, i] { body(HostWarp(state, i), WarpPlace{w, warps}); });
    }
    for (std::thread& lane : lanes) lane.join();
  }
}

// Calls body.operator()<optimizer, learn weight, batch of one>() for the work's kind.
template <class Body>
void with_kind(const ReplicaWork& work, const Body& body) {
  using Kind = OptimizerSettings::Kind;
  const auto kind = [&]<Kind kKind>() {
    if (work.learn_weight) {
      work.batch == 1 ? body.template operator()<kKind, true, true>() : body.template operator()<kKind, true, false>();
    } else {
      work.batch == 1 ? body.template operator()<kKind, false, true>() : body.template operator()<kKind, false, false>();
    }
  };
  work.optimizer_kind == Kind::adam ? kind.template operator()<Kind::adam>() : kind.template operator()<Kind::sgd>();
}

// Calls body.operator()<general program, what lanes keep>() for the work's kind.
template <class Policy, class Body>
void with_kind(const CartPoleReplicaWorkOf<Policy>& work, const Body& body) {
  const auto track = [&]<bool kGeneral>() {
    work.track == Track::gradient ? body.template operator()<kGeneral, Track::gradient>()
                                  : body.template operator()<kGeneral, Track::gradient_and_scores>();
  };
  work.game.general ? track.template operator()<true>() : track.template operator()<false>();
}

// A device whose grid has so many warps. local_curves: threshold trainings sum their curve, and evaluations of CartPole count their
// outcomes, in memory of their own first.
class HostWarps {
 public:
  template <class T>
  class Buffer {
   public:
    explicit Buffer(std::uint64_t size) : data_(std::make_unique<T[]>(size)), size_(size) {
      std::memset(static_cast<void*>(data_.get()), 0xee, size * sizeof(T));  // not cleared on a GPU either
    }
    T* data() const { return data_.get(); }
    std::uint64_t size() const { return size_; }

   private:
    std::unique_ptr<T[]> data_;
    std::uint64_t size_;
  };

  explicit HostWarps(std::uint32_t warps, bool local_curves = true, std::uint64_t free_bytes = std::uint64_t{1} << 40)
      : warps_(warps), local_curves_(local_curves), free_bytes_(free_bytes) {}

  void use() {}
  void use_if_possible() {}
  void wait() {}
  std::uint64_t free_bytes() { return free_bytes_; }
  template <class T>
  void clear(T* data, std::uint64_t size) {
    std::fill(data, data + size, T{});
  }
  template <class T>
  void copy_to_device(const Buffer<T>& buffer, const T* host) {
    std::copy(host, host + buffer.size(), buffer.data());
  }
  template <class T>
  void copy_to_device(T* data, const T* host, std::uint64_t size) {
    std::copy(host, host + size, data);
  }
  template <class T>
  void copy_to_host(T* host, const T* data, std::uint64_t size) {
    std::copy(data, data + size, host);
  }

  void launch_gradient(const EpisodeWork& work, EpisodeRange range, bool weight, Moments moments, std::uint64_t* sums) {
    if (moments == Moments::first) {
      weight ? gradient<true, Moments::first>(work, range, sums) : gradient<false, Moments::first>(work, range, sums);
    } else {
      weight ? gradient<true, Moments::first_and_second>(work, range, sums)
             : gradient<false, Moments::first_and_second>(work, range, sums);
    }
  }
  void launch_evaluate(const EpisodeWork& work, EpisodeRange range, std::uint64_t* counts) {
    run_warps(warps_, [&](const HostWarp& warp, WarpPlace place) {
      if (work.greedy) {
        evaluate_body(warp, place, work, work.rules.environment, GreedyPolicy<float, 1>{work.policy}, range, counts);
      } else if (is_bounded(work)) {
        evaluate_body(warp, place, work, FryShack::make_word_rules(work.rules.environment), BoundedPolicy<float, 1>{work.policy},
                      range, counts);
      } else {
        evaluate_body(warp, place, work, work.rules.environment, work.policy, range, counts);
      }
    });
  }

  std::uint64_t step_lanes(const ReplicaWork&) { return std::uint64_t{warps_} * kWarpLanes; }
  void launch_step(const ReplicaWork& work, const StepLaunch& launch) {
    with_kind(work, [&]<OptimizerSettings::Kind kOptimizer, bool kLearnWeight, bool kSingle>() {
      run_warps(warps_, [&](const HostWarp& warp, WarpPlace place) {
        train_in_step_body<kOptimizer, kLearnWeight, kSingle>(warp, place, work, launch);
      });
    });
  }
  UntilShape until_shape(const ReplicaWork& work, std::uint64_t) {
    const std::size_t bytes = local_curves_ ? sizeof(std::uint32_t) * local_curve_words(work.updates, work.batch == 1) : 0;
    return {std::uint64_t{warps_} * kWarpLanes, 0xffffffffu, bytes};
  }
  void launch_until(const ReplicaWork& work, const UntilLaunch& launch, const UntilShape& shape) {
    std::vector<std::vector<std::uint32_t>> curves(warps_);
    for (auto& curve : curves)
      curve.assign(shape.curve_bytes / sizeof(std::uint32_t), 0xdeadbeefu);  // not cleared on a GPU either
    with_kind(work, [&]<OptimizerSettings::Kind kOptimizer, bool kLearnWeight, bool kSingle>() {
      run_warps(warps_, [&](const HostWarp& warp, WarpPlace place) {
        train_until_body<kOptimizer, kLearnWeight, kSingle>(warp, place, work, launch,
                                                            shape.curve_bytes != 0 ? curves[place.warp].data() : nullptr);
      });
    });
  }

  template <class Policy>
  void launch_gradient(const CartPoleWorkOf<Policy>& work, EpisodeRange range, CartPoleTask task, std::uint64_t* sums) {
    switch (task) {
      case CartPoleTask::gradient:
        return work.game.general ? gradient<true, Track::gradient, false>(work, range, sums)
                                 : gradient<false, Track::gradient, false>(work, range, sums);
      case CartPoleTask::gradient_and_squares:
        return work.game.general ? gradient<true, Track::gradient, true>(work, range, sums)
                                 : gradient<false, Track::gradient, true>(work, range, sums);
      case CartPoleTask::gradient_and_scores:
        return work.game.general ? gradient<true, Track::gradient_and_scores, false>(work, range, sums)
                                 : gradient<false, Track::gradient_and_scores, false>(work, range, sums);
    }
  }
  template <class Policy>
  void launch_evaluate(const CartPoleWorkOf<Policy>& work, EpisodeRange range, std::uint64_t* counts) {
    std::vector<std::uint32_t> outcomes(local_curves_ ? outcome_count(work.game.max_steps) : 0);
    std::uint32_t* const local = local_curves_ ? outcomes.data() : nullptr;
    std::vector<StartMemory> starts(warps_);
    const auto play = [&]<bool kGeneral>(const auto& policy) {
      run_warps(warps_, [&](const HostWarp& warp, WarpPlace place) {
        cart_pole_evaluate_body<kGeneral>(warp, place, work, work.key, policy, range, starts[place.warp], local, counts);
      });
    };
    const auto play_any = [&](const auto& policy) {
      work.game.general ? play.template operator()<true>(policy) : play.template operator()<false>(policy);
    };
    bool bounded = false;
    if constexpr (std::is_same_v<Policy, LinearPolicy>) {
      bounded = !work.game.greedy && is_bounded(work);
      if (bounded) play.template operator()<false>(BoundedPolicy<float, 4>{work.policy});
    }
    if (!bounded) work.game.greedy ? play_any(LikelierAction<Policy>{work.policy}) : play_any(work.policy);
    for (std::size_t i = 0; i < outcomes.size(); ++i) counts[i] += outcomes[i];
  }
  template <class Policy>
  std::uint64_t cart_pole_lanes(const CartPoleReplicaWorkOf<Policy>&, std::uint64_t) {
    return std::uint64_t{warps_} * kWarpLanes;
  }
  template <class Policy>
  void launch_train(const CartPoleReplicaWorkOf<Policy>& work, const CartPoleLaunchOf<Policy>& launch, std::uint64_t lanes) {
    with_kind(work, [&]<bool kGeneral, Track kTrack>() {
      run_warps(static_cast<std::uint32_t>(lanes / kWarpLanes), [&](const HostWarp& warp, WarpPlace place) {
        cart_pole_train_body<kGeneral, kTrack>(warp, place, work, launch);
      });
    });
  }

  // As many teams as warps, of one thread each, which is fastest here; others are tested apart.
  QTeams q_teams(QKind kind, const QNetworkShape&, std::uint32_t) {
    return {warps_, {kind == QKind::evaluation ? 24 : 8, local_curves_, local_curves_}};
  }
  void launch_q_train(const QLaunch& launch, QKind kind, const QTeams& teams) {
    if (kind == QKind::online) {
      launch.plan.weights ? q_train<OnlineLearner<true>>(launch, teams) : q_train<OnlineLearner<false>>(launch, teams);
    } else {
      launch.plan.weights ? q_train<BlockLearner<true>>(launch, teams) : q_train<BlockLearner<false>>(launch, teams);
    }
  }
  void launch_q_evaluate(const QEvaluateLaunch& launch, const QTeams& teams) {
    for (std::uint64_t place = 0; place < teams.teams; ++place) {
      std::vector<Four> fast = uncleared(launch.places.size);
      run_team(kTeamThreads, [&](const HostTeam& team) {
        launch.plan.weights ? q_evaluate_body<true>(team, launch, fast.data()->v)
                            : q_evaluate_body<false>(team, launch, fast.data()->v);
      });
    }
  }

  PopulationSummaries summarise_rows(const RowMemory& rows, std::uint64_t replicas) {
    return summarise(rows, replicas, {rows.weight, rows.bias}, {}, {});
  }
  PopulationSummaries summarise_rows(const CartPoleColumns& rows, std::uint64_t replicas) {
    std::vector<std::uint64_t> episodes;
    if (rows.episodes != nullptr) episodes.assign(rows.episodes, rows.episodes + replicas);
    return summarise(rows, replicas, rows.parameters, std::vector<std::uint64_t>(rows.steps, rows.steps + replicas), episodes);
  }
  std::vector<std::uint32_t> curve_quantiles(const CartPoleColumns& rows, std::uint64_t replicas,
                                             const std::vector<std::uint64_t>& made) {
    ReplicaTable table;
    table.status.assign(rows.status, rows.status + replicas);
    table.updates.assign(rows.updates, rows.updates + replicas);
    return curve_quantiles_sorting(made.size(), table,
                                   std::vector<std::uint32_t>(rows.outcome, rows.outcome + replicas * made.size()));
  }
  std::vector<std::uint32_t> curve_quantiles(const ReplicaWork& work, const RowMemory& rows, std::uint64_t replicas,
                                             const std::vector<std::uint64_t>& made) {
    constexpr std::uint32_t count = kQuantiles.size();
    std::vector<std::uint64_t> positions(work.updates * std::size_t{count});
    for (std::size_t u = 0; u < work.updates; ++u) {
      for (std::size_t i = 0; i < count; ++i) {
        if (made[u] != 0) positions[u * count + i] = quantile_position(kQuantiles[i], made[u]);
      }
    }
    std::vector<std::uint32_t> histograms(warps_ * (std::size_t{work.batch} + 1), 0xdeadbeefu), quantiles(positions.size());
    const CurveQuantiles task = {replicas, count, histograms.data(), made.data(), positions.data(), quantiles.data()};
    run_warps(warps_, [&](const HostWarp& warp, WarpPlace place) { curve_quantiles_body(warp, place, work, rows, task); });
    return quantiles;
  }
  std::uint64_t statistics_bytes(const ReplicaWork&, std::uint64_t replicas, bool) { return 12 * replicas; }
  std::uint64_t cart_pole_statistics_bytes(std::uint64_t, std::uint64_t replicas, bool) { return 12 * replicas; }

 private:
  static constexpr std::uint32_t kTeamThreads = 1;

  static std::vector<Four> uncleared(int numbers) {
    return std::vector<Four>(static_cast<std::size_t>(numbers) / 4, Four{{1e30f, 1e30f, 1e30f, 1e30f}});
  }
  template <class Learner>
  void q_train(const QLaunch& launch, const QTeams& teams) {
    for (std::uint64_t place = 0; place < teams.teams; ++place) {
      std::vector<Four> fast = uncleared(Learner::size(launch));
      run_team(kTeamThreads, [&](const HostTeam& team) {
        q_train_body<Learner>(team, static_cast<std::uint32_t>(place), launch, fast.data()->v);
      });
    }
  }

  template <class Rows>
  PopulationSummaries summarise(const Rows& rows, std::uint64_t replicas, const std::vector<const float*>& parameters,
                                const std::vector<std::uint64_t>& steps, const std::vector<std::uint64_t>& episodes) {
    Population population;
    ReplicaTable& table = population.table;
    table.status.assign(rows.status, rows.status + replicas);
    table.updates.assign(rows.updates, rows.updates + replicas);
    table.steps = steps;
    table.episodes = episodes;
    for (const float* parameter : parameters) table.parameters.emplace_back(parameter, parameter + replicas);
    summarise_population(population);
    return {population.parameters, population.solved_updates, population.solved_steps, population.solved_episodes};
  }

  template <bool kGeneral, Track kTrack, bool kSquares, class Policy>
  void gradient(const CartPoleWorkOf<Policy>& work, EpisodeRange range, std::uint64_t* sums) {
    std::vector<StartMemory> starts(warps_);
    run_warps(warps_, [&](const HostWarp& warp, WarpPlace place) {
      const auto play = [&](const auto& policy) {
        cart_pole_gradient_body<kGeneral, kTrack, kSquares>(warp, place, work, work.key, policy, range, starts[place.warp], sums);
      };
      if constexpr (!kGeneral && std::is_same_v<Policy, LinearPolicy>) {
        if (is_bounded(work)) return play(BoundedPolicy<float, 4>{work.policy});
      }
      play(work.policy);
    });
  }

  template <bool kWeight, Moments kMoments>
  void gradient(const EpisodeWork& work, EpisodeRange range, std::uint64_t* sums) {
    run_warps(warps_, [&](const HostWarp& warp, WarpPlace place) {
      if (is_bounded(work)) {
        gradient_body<kWeight, kMoments>(warp, place, work, FryShack::make_word_rules(work.rules.environment),
                                         BoundedPolicy<float, 1>{work.policy}, range, sums);
      } else {
        gradient_body<kWeight, kMoments>(warp, place, work, work.rules.environment, work.policy, range, sums);
      }
    });
  }

  std::uint32_t warps_;
  bool local_curves_;
  std::uint64_t free_bytes_;
};

}  // namespace fryer::test
