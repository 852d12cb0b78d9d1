// SPDX-License-Identifier: Apache-2.0
// The body of the kernel that plays episodes of a Q network: a team of threads has as many in flight as a chunk has observations, and takes
// their values together (q_block.h); where one has ended the next begins. Knows nothing of CUDA.
#pragma once

#include "fryer/lane/q_episode.h"
#include "kernels/q_block.h"

namespace fryer {

// Places in fast memory, in floats; each is a multiple of four. Made on the host.
struct QEvaluatePlaces {
  int weight, hidden1, hidden2, value, observation, steps, size;

  QEvaluatePlaces() = default;
  QEvaluatePlaces(const QTeamShape& shape, const QPlan& plan) {
    Places places(0);
    weight = places.take(plan.weights ? shape.numbers : 0);
    hidden1 = places.take(shape.rows1 * (plan.chunk + 4));
    hidden2 = places.take(shape.rows2 * (plan.chunk + 4));
    value = places.take(2 * plan.chunk);
    observation = places.take(4 * plan.chunk);
    steps = places.take(plan.chunk);
    size = places.size();
  }
};

struct QEvaluateLaunch {
  QEpisodes episodes;
  QTeamShape shape;
  QPlan plan;
  QEvaluatePlaces places;
  const float* weight;         // (QTeamShape::numbers)
  std::uint64_t first, count;  // episodes first ... first + count - 1
  std::uint64_t* next;         // those that are taken
  std::uint64_t* counts;       // element 2 * length + terminated, added to
};

// fast: QEvaluatePlaces::size numbers, aligned to 16 bytes. kFast: the parameters lie there too.
template <bool kFast, TeamLike Team>
FRYER_LANE void q_evaluate_body(const Team& team, const QEvaluateLaunch& launch, float* fast) {
  constexpr std::uint32_t kNoEpisode = 0xffffffffu;  // in place of an episode's steps
  const QEvaluatePlaces& p = launch.places;
  const QEpisodes& episodes = launch.episodes;
  const int chunk = launch.plan.chunk;
  const QChunkMemory memory = {chunk, fast + p.hidden1, fast + p.hidden2, fast + p.value};
  float* const observations = fast + p.observation;
  std::uint32_t* const steps = reinterpret_cast<std::uint32_t*>(fast + p.steps);
  const float* const weight = kFast ? fast + p.weight : launch.weight;

  for_each_of(team, p.size, [&](int i) FRYER_INLINE_LAMBDA { fast[i] = 0; });
  team.sync();
  if (kFast) {
    for_each_of(team, launch.shape.numbers / 4,
                [&](int i) FRYER_INLINE_LAMBDA { store_four(fast + p.weight + 4 * i, load_four(launch.weight + 4 * i)); });
  }
  // A thread has the same places all along.
  const auto begin = [&](int n) FRYER_INLINE_LAMBDA {
    const std::uint64_t taken = team.take(launch.next);
    steps[n] = kNoEpisode;
    if (taken >= launch.count) return false;
    QEpisode e;
    begin_q_episode(episodes, launch.first + taken, e);
    store_four(observations + 4 * n, Four{{e.observation[0], e.observation[1], e.observation[2], e.observation[3]}});
    steps[n] = e.steps;
    return true;
  };
  bool plays = false;
  for_each_of(team, chunk, [&](int n) FRYER_INLINE_LAMBDA {
    const bool begun = begin(n);
    plays = plays || begun;
  });
  while (team.any(plays)) {
    chunk_forward(team, launch.shape, weight, observations, chunk, memory);
    team.sync();
    plays = false;
    for_each_of(team, chunk, [&](int n) FRYER_INLINE_LAMBDA {
      if (steps[n] == kNoEpisode) return;
      const Four o = load_four(observations + 4 * n);
      QEpisode e = {{o.v[0], o.v[1], o.v[2], o.v[3]}, steps[n], false};
      const float value[2] = {memory.value[n], memory.value[chunk + n]};
      bool goes_on = true;
      if (advance_q_episode(episodes, value, e)) {
        team.add(launch.counts + (2 * e.steps + (e.terminated ? 1 : 0)), std::uint64_t{1});
        goes_on = begin(n);
      } else {
        store_four(observations + 4 * n, Four{{e.observation[0], e.observation[1], e.observation[2], e.observation[3]}});
        steps[n] = e.steps;
      }
      plays = plays || goes_on;
    });
  }
}

}  // namespace fryer
