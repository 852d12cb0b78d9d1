// SPDX-License-Identifier: Apache-2.0
// How a study is handed out: every replica once, in launches that are long enough and end together, whatever the workers' speeds. Workers
// here only count; their time is what they say it is.
#include "host/study/launch_queue.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <queue>

#include "host/cli/study_file.h"
#include "tests/study/store_support.h"

namespace fryer::study {
namespace {

struct HandedOut {
  std::vector<double> ends;              // of the workers, in seconds
  std::vector<std::uint64_t> launches;   // replicas, in the order of their beginnings
  std::vector<std::vector<bool>> taken;  // of each cell: its replicas
};

// replicas_a_second: of each worker.
HandedOut hand_out(const Plan& plan, const std::vector<double>& replicas_a_second) {
  const test::Folder folder;
  const Store store = Store::create(folder / "s.db", plan, {});
  BackendInfo backend;
  backend.device = "cpu";
  LaunchQueue queue(plan, store, replicas_a_second.size(), backend, {});
  struct Ending {
    double when;
    std::size_t worker;
    std::vector<Piece> pieces;
    double seconds;
    bool operator<(const Ending& other) const { return when > other.when; }
  };
  std::priority_queue<Ending> under_way;
  HandedOut run;
  run.ends.resize(replicas_a_second.size());
  run.taken.assign(plan.cells.size(), std::vector<bool>(plan.seeds));
  const auto take = [&](std::size_t worker, double now) {
    run.ends[worker] = now;
    const std::optional<Launch> launch = queue.take(worker);
    if (!launch) return;
    std::uint64_t replicas = 0;
    for (const Piece& piece : launch->pieces) {
      replicas += piece.range.count;
      for (std::uint64_t i = 0; i < piece.range.count; ++i) {
        EXPECT_FALSE(run.taken[piece.cell][piece.range.first + i]) << piece.cell << ", " << piece.range.first + i;
        run.taken[piece.cell][piece.range.first + i] = true;
      }
    }
    run.launches.push_back(replicas);
    const double seconds = static_cast<double>(replicas) / replicas_a_second[worker];
    under_way.push({now + seconds, worker, launch->pieces, seconds});
  };
  for (std::size_t worker = 0; worker < replicas_a_second.size(); ++worker) take(worker, 0);
  while (!under_way.empty()) {
    const Ending ending = under_way.top();
    under_way.pop();
    double replicas = 0;
    for (const Piece& piece : ending.pieces) replicas += static_cast<double>(piece.range.count);
    queue.took(ending.worker, ending.pieces, replicas, ending.seconds);
    take(ending.worker, ending.when);
  }
  for (const std::vector<bool>& cell : run.taken) EXPECT_TRUE(std::ranges::all_of(cell, [](bool taken) { return taken; }));
  return run;
}

Plan plan_of(std::uint64_t seeds, const std::string& grid = "") {
  return cli::parse_study("s.toml", fmt::format("environment = \"CartPole-v1\"\n{}[seeds]\ncount = {}\n", grid, seeds));
}

TEST(LaunchQueue, WorkersEndTogether) {
  for (const std::vector<double>& speeds :
       {std::vector<double>{1000}, {1000, 1000}, {1000, 300}, {1000, 1000, 1000, 1000, 50}, std::vector<double>(64, 500)}) {
    double all = 0;
    for (const double speed : speeds) all += speed;
    for (const double seconds : {5.0, 10.0, 60.0}) {
      SCOPED_TRACE(fmt::format("{} workers, {} s", speeds.size(), seconds));
      const HandedOut run =
          hand_out(plan_of(static_cast<std::uint64_t>(all * seconds / 2), "[grid]\nlearning_rate = [0.1, 0.2]\n"), speeds);
      const auto [first, last] = std::ranges::minmax_element(run.ends);
      EXPECT_LE(*last - *first, 2.6) << "a set of lanes takes the slowest 2.56 s";
      if (*std::ranges::min_element(speeds) >= 300) {
        EXPECT_LE(*last - *first, 0.45);
      }
      EXPECT_LE(*last, seconds * 1.3 + 0.3);
    }
  }
}

TEST(LaunchQueue, LaunchesAreNeitherLongNorManyAndShort) {
  const HandedOut run = hand_out(plan_of(200'000), {1000, 1000});
  const auto most = *std::ranges::max_element(run.launches);
  EXPECT_GE(most, 1900u);
  EXPECT_LE(most, 2100u);
  // The first of each worker, to measure the rate; the last is what is left.
  for (std::size_t i = 2; i + 1 < run.launches.size(); ++i) EXPECT_GE(run.launches[i], 100u) << i;
  EXPECT_LE(run.launches.size(), 130u);
}

// A GPU beside a CPU: each is handed what it does in about two seconds.
TEST(LaunchQueue, UnlikeWorkersHaveTheirOwnLaunches) {
  const HandedOut run = hand_out(plan_of(1'000'000), {50'000, 500});
  const auto [first, last] = std::ranges::minmax_element(run.ends);
  EXPECT_LE(*last - *first, 0.5);
  EXPECT_GE(*std::ranges::max_element(run.launches), 95'000u);
}

TEST(LaunchQueue, FewReplicasAreShared) {
  const HandedOut run = hand_out(plan_of(10), {1000, 1000});
  EXPECT_EQ(run.launches, (std::vector<std::uint64_t>{5, 5}));
}

}  // namespace
}  // namespace fryer::study
