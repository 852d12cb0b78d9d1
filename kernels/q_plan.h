// SPDX-License-Identifier: Apache-2.0
// How the fast memory of a team of threads is divided, by what a device has room for. Runs on the host, and is tested there.
#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/q_evaluate_bodies.h"
#include "kernels/q_training_bodies.h"

namespace fryer {

inline constexpr int kMostChunk = 64;
// Teams of a block that a multiprocessor is to have at once, if its memory allows.
inline constexpr int kWantedTeams = 2;
// With smaller chunks than this, a network that does not fit otherwise is better off in the caches.
inline constexpr int kFewestFastSamples = 16;
// With fewer warps a multiprocessor than this, an online learner is better off in the second-level cache.
inline constexpr int kFewestFastWarps = 2;

// Fast memory that a team needs.
inline std::size_t q_shared_bytes(QKind kind, const QTeamShape& shape, const QPlan& plan) {
  const int numbers = kind == QKind::with_replay ? QBlockPlaces(shape, plan).size
                      : kind == QKind::online    ? QOnlinePlaces(shape, plan).size
                                                 : QEvaluatePlaces(shape, plan).size;
  return sizeof(float) * static_cast<std::size_t>(numbers);
}

struct QPlanChoice {
  QPlan plan;
  int resident;  // teams at once on a multiprocessor; 0: none fits
};

// Parameters in fast memory if they fit there with a chunk that is worth it; whole chunks and kWantedTeams teams if there are, else the first that
// fits. resident(plan): teams that fit at once.
template <class Resident>
QPlanChoice choose_q_plan(QKind kind, std::uint32_t batch, const Resident& resident) {
  const bool online = kind == QKind::online;
  const int whole = online                      ? 8
                    : kind == QKind::evaluation ? kMostChunk
                                                : std::min(kMostChunk, round_up(static_cast<int>(batch), 8));
  QPlanChoice choice{};
  for (const bool weights : {true, false}) {
    const int fewest = weights ? std::min(whole, kFewestFastSamples) : 8;
    for (int chunk = whole; chunk >= fewest && choice.resident < kWantedTeams; chunk = chunk / 2 / 8 * 8) {
      for (const bool gradient : {true, false}) {
        const QPlan next = {chunk, weights, gradient};
        const int teams = resident(next);
        if (teams < (online && weights ? kFewestFastWarps : 1)) continue;
        if (choice.resident != 0 && (chunk != whole || teams < kWantedTeams)) continue;
        choice = {next, teams};
        if (teams >= kWantedTeams) break;
      }
    }
    if (choice.resident != 0) break;
  }
  return choice;
}

}  // namespace fryer
