// SPDX-License-Identifier: Apache-2.0
// Results of one piece of work from two places: whatever a test asks of them, all numbers must have the same bits.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "fryer/core/real.h"
#include "fryer/engine/results.h"

namespace fryer::test {

inline void expect_equal(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(to_bits(a[i]), to_bits(b[i])) << i;
}

inline void expect_equal(const Summary& a, const Summary& b) {
  EXPECT_EQ(a.count, b.count);
  EXPECT_EQ(a.mean, b.mean);
  EXPECT_EQ(a.sd, b.sd);
  EXPECT_EQ(a.min, b.min);
  EXPECT_EQ(a.max, b.max);
  EXPECT_EQ(a.quantiles, b.quantiles);
}
inline void expect_equal(const std::vector<Summary>& a, const std::vector<Summary>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    SCOPED_TRACE(i);
    expect_equal(a[i], b[i]);
  }
}

// The first `points` of two curves.
inline void expect_equal_beginnings(const std::vector<CurvePoint>& a, const std::vector<CurvePoint>& b, std::size_t points) {
  ASSERT_GE(a.size(), points);
  ASSERT_GE(b.size(), points);
  for (std::size_t i = 0; i < points; ++i) {
    ASSERT_EQ(a[i].update, b[i].update) << i;
    ASSERT_EQ(a[i].count, b[i].count) << i;
    ASSERT_EQ(a[i].mean_return, b[i].mean_return) << i;
    ASSERT_EQ(a[i].sd, b[i].sd) << i;
    ASSERT_EQ(a[i].quantiles, b[i].quantiles) << i;
  }
}

inline void expect_equal(const ReplicaTable& a, const ReplicaTable& b) {
  EXPECT_EQ(a.first_seed, b.first_seed);
  EXPECT_EQ(a.status, b.status);
  EXPECT_EQ(a.updates, b.updates);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.episodes, b.episodes);
  ASSERT_EQ(a.parameters.size(), b.parameters.size());
  for (std::size_t i = 0; i < a.parameters.size(); ++i) expect_equal(a.parameters[i], b.parameters[i]);
}

// Of trainings between two updates: what came of them so far.
inline void expect_equal(const TrainingStates& a, const TrainingStates& b) {
  expect_equal(a.table, b.table);
  EXPECT_EQ(a.outcomes, b.outcomes);
}

// Of every update that a replica made, or episode: what stands behind them was never set.
inline void expect_equal_outcomes(const Population& a, const Population& b) {
  ASSERT_EQ(a.outcomes.size(), b.outcomes.size());
  const std::uint64_t replicas = b.table.size();
  for (std::uint64_t i = 0; i < b.outcomes.size(); ++i) {
    if (i / replicas >= b.table.episodes_of(i % replicas, 1)) continue;
    ASSERT_EQ(a.outcomes[i], b.outcomes[i]) << "update " << i / replicas << ", replica " << i % replicas;
  }
}

inline void expect_equal(const Population& a, const Population& b) {
  expect_equal(a.table, b.table);
  EXPECT_EQ(a.curve.count, b.curve.count);
  EXPECT_TRUE(a.curve.correct == b.curve.correct);
  EXPECT_TRUE(a.curve.squared == b.curve.squared);
  expect_equal(a.parameters, b.parameters);
  expect_equal(a.solved_updates, b.solved_updates);
  expect_equal(a.solved_steps, b.solved_steps);
  expect_equal(a.solved_episodes, b.solved_episodes);
  EXPECT_EQ(a.warmup_episodes, b.warmup_episodes);
  EXPECT_EQ(a.curve_quantiles, b.curve_quantiles);
  expect_equal_outcomes(a, b);
}

inline void expect_equal(const TrainResult& a, const TrainResult& b) {
  EXPECT_EQ(a.digest, b.digest);
  expect_equal(a.table, b.table);
  expect_equal(a.parameters, b.parameters);
  ASSERT_EQ(a.curve.size(), b.curve.size());
  expect_equal_beginnings(a.curve, b.curve, a.curve.size());
  EXPECT_EQ(a.solved, b.solved);
  expect_equal(a.solved_updates, b.solved_updates);
  expect_equal(a.solved_steps, b.solved_steps);
  expect_equal(a.solved_episodes, b.solved_episodes);
  EXPECT_EQ(a.failed.count, b.failed.count);
  EXPECT_EQ(a.failed.seed, b.failed.seed);
  EXPECT_EQ(a.failed.update, b.failed.update);
  EXPECT_EQ(a.failed.quantity, b.failed.quantity);
  ASSERT_EQ(a.final_return.size(), b.final_return.size());
  for (std::size_t i = 0; i < a.final_return.size(); ++i) ASSERT_EQ(to_bits(a.final_return[i]), to_bits(b.final_return[i])) << i;
  EXPECT_EQ(a.episodes, b.episodes);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.optimizer_updates, b.optimizer_updates);
}

}  // namespace fryer::test
