// SPDX-License-Identifier: Apache-2.0
// A chunk of a study is the trainings, evaluations and gradients that the commands of the same name make: value for value, however the
// replicas are cut into chunks and whichever backend runs them.
#include "host/study/run_chunk.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fryer/core/philox.h"
#include "host/driver.h"
#include "tests/study/chunk_columns.h"

namespace fryer::study {
namespace {

using test::find, test::has;

std::unique_ptr<Backend> backend(const std::string& isa = "", unsigned threads = 1) {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.isa = isa;
  choice.threads = threads;
  return make_backend(choice);
}

// A study of one cell.
Plan plan_of(const std::string& command, const std::string& environment, const CellConfiguration& run) {
  Plan plan;
  plan.command = command;
  plan.environment = environment;
  plan.first_seed = 7;
  plan.seeds = 40;
  plan.cells.push_back({"{}", "{}", {}, run});
  return plan;
}

CartPoleTrainConfiguration cart_pole() {
  CartPoleTrainConfiguration c;
  c.problem.environment.max_steps = 200;
  c.updates = 27;
  c.until = 170;
  return c;
}

TEST(TrainingChunk, HasTheRowsOfTrain) {
  CartPoleTrainConfiguration c = cart_pole();
  const Plan plan = plan_of("train", "CartPole-v0", c);
  const Chunk chunk = run_chunk(plan, 0, {3, 20}, *backend(), {});
  c.seed = 10;
  c.replicas = 20;
  const TrainResult r = train(c, *backend());
  EXPECT_EQ(chunk.solved, r.solved);
  EXPECT_GT(r.solved, 0u);
  EXPECT_LT(r.solved, 20u);
  EXPECT_EQ(chunk.failed, 0u);
  const std::vector<std::string> names = parameter_names(HiddenLayer());
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(find(chunk, ColumnKind::status).bits[i], r.table.status[i]);
    EXPECT_EQ(find(chunk, ColumnKind::updates).bits[i], r.table.updates[i]);
    EXPECT_EQ(find(chunk, ColumnKind::episodes).bits[i], r.table.updates[i] * 16u);
    EXPECT_EQ(find(chunk, ColumnKind::steps).bits[i], r.table.steps[i]);
    for (std::size_t j = 0; j < names.size(); ++j)
      EXPECT_EQ(find(chunk, ColumnKind::parameter, names[j]).bits[i], to_bits(r.table.parameters[j][i]));
  }
}

// What --until says of a replica, a recorded threshold says of the same training without it.
TEST(TrainingChunk, ThresholdsAreReachedWhenUntilWouldStop) {
  CartPoleTrainConfiguration c = cart_pole();
  c.seed = 7;
  c.replicas = 40;
  const TrainResult stopped = train(c, *backend());
  c.until.reset();
  Plan plan = plan_of("train", "CartPole-v0", c);
  plan.record.thresholds = {170, 1e9};
  const Chunk chunk = run_chunk(plan, 0, {0, 40}, *backend(), {});
  std::uint64_t reached = 0;
  for (std::size_t i = 0; i < 40; ++i) {
    const bool solved = stopped.table.status[i] == static_cast<std::uint8_t>(ReplicaStatus::solved);
    reached += solved;
    EXPECT_EQ(find(chunk, ColumnKind::threshold_updates, "", 170).bits[i], solved ? stopped.table.updates[i] : 0);
    EXPECT_EQ(find(chunk, ColumnKind::threshold_steps, "", 170).bits[i], solved ? stopped.table.steps[i] : 0);
    EXPECT_EQ(find(chunk, ColumnKind::threshold_updates, "", 1e9).bits[i], 0u);
  }
  EXPECT_GT(reached, 0u);
  EXPECT_LT(reached, 40u);
}

TEST(TrainingChunk, CurveAndFinalReturnAreMeansOfTheBatches) {
  CartPoleTrainConfiguration c = cart_pole();
  c.until.reset();
  c.updates = 20;
  Plan plan = plan_of("train", "CartPole-v0", c);
  plan.record.curve_every = 1;
  const Chunk chunk = run_chunk(plan, 0, {0, 40}, *backend(), {});
  c.seed = 7;
  c.replicas = 40;
  const TrainResult r = train(c, *backend());
  for (const CurvePoint& point : r.curve) {
    const Column& column = find(chunk, ColumnKind::curve, "", static_cast<double>(point.update));
    double sum = 0;
    for (std::size_t i = 0; i < 40; ++i) sum += column.value(i);
    EXPECT_NEAR(sum / 40, point.mean_return, 1e-12 * sum) << point.update;
  }
  // The last 7 updates of 16 episodes: 112, at least 100.
  for (std::size_t i = 0; i < 40; ++i) {
    double sum = 0;
    for (int update = 14; update <= 20; ++update) sum += find(chunk, ColumnKind::curve, "", update).value(i);
    EXPECT_NEAR(find(chunk, ColumnKind::final_return).value(i), sum / 7, 1e-12 * sum);
  }
  plan.record.curve_every = 8;  // the first, and every eighth
  const Chunk sparse = run_chunk(plan, 0, {0, 40}, *backend(), {});
  for (const int update : {1, 8, 16}) {
    EXPECT_EQ(find(sparse, ColumnKind::curve, "", update).bits, find(chunk, ColumnKind::curve, "", update).bits);
  }
  EXPECT_THROW(find(sparse, ColumnKind::curve, "", 20), std::runtime_error);
}

TEST(TrainingChunk, EvaluatesTheFinalPolicyAsEvaluateDoes) {
  CartPoleTrainConfiguration c = cart_pole();
  c.updates = 10;
  Plan plan = plan_of("train", "CartPole-v0", c);
  plan.record.evaluation_episodes = 30;
  plan.record.parameters = false;
  const Chunk chunk = run_chunk(plan, 0, {0, 5}, *backend(), {});
  EXPECT_FALSE(has(chunk, ColumnKind::parameter));
  EXPECT_FALSE(has(chunk, ColumnKind::final_return));  // the evaluation says it better
  for (std::size_t i = 0; i < 5; ++i) {
    c.seed = 7 + i;
    c.replicas = 1;
    const TrainResult r = train(c, *backend());
    CartPoleEvaluateConfiguration e;
    e.problem = c.problem;
    for (std::size_t j = 0; j < 5; ++j) e.problem.parameters[j] = static_cast<double>(r.table.parameters[j][0]);
    e.episodes = 30;
    e.seed = c.seed;
    const EvaluateResult evaluated = evaluate(e, *backend());
    EXPECT_EQ(find(chunk, ColumnKind::evaluation_mean).value(i), evaluated.mean);
    EXPECT_EQ(find(chunk, ColumnKind::evaluation_sd).value(i), evaluated.sd);
    EXPECT_EQ(find(chunk, ColumnKind::evaluation_min).value(i), evaluated.min);
    EXPECT_EQ(find(chunk, ColumnKind::evaluation_max).value(i), evaluated.max);
  }
}

// A batch whose outcome does not fit 32 bits has no curve and no last return, rather than a wrong one.
TEST(TrainingChunk, KeepsNoReturnsOfBatchesThatAreTooLarge) {
  CartPoleTrainConfiguration c;
  c.updates = 1;
  c.batch = 200'000'000;
  const Plan plan = plan_of("train", "CartPole-v1", c);
  EXPECT_FALSE(outcomes_can_be_kept(plan.cells[0]));
  EXPECT_THROW(fresh_states(c, true), ConfigurationError);
  c.batch = 0xffffffffu / 500;
  EXPECT_TRUE(outcomes_can_be_kept(plan_of("train", "CartPole-v1", c).cells[0]));
  EXPECT_FALSE(outcomes_can_be_kept(plan_of("train", "FryShack-v0",
                                            [] {
                                              TrainConfiguration f;
                                              f.batch = std::uint64_t{1} << 32;
                                              return f;
                                            }())
                                        .cells[0]));
}

TEST(TrainingChunk, KnowsTheFryShacksExpectedReturn) {
  TrainConfiguration c;
  c.updates = 50;
  const Plan plan = plan_of("train", "FryShack-v0", c);
  const Chunk chunk = run_chunk(plan, 0, {0, 10}, *backend(), {});
  for (std::size_t i = 0; i < 10; ++i) {
    Problem problem = c.problem;
    problem.bias = find(chunk, ColumnKind::parameter, "bias").value(i);
    EXPECT_EQ(find(chunk, ColumnKind::expected_return).value(i), fry_shack_exact(problem).mean_return);
  }
}

TEST(TrainingChunk, FailedReplicasAreRowsWithoutAResult) {
  CartPoleTrainConfiguration c = cart_pole();
  c.optimizer.kind = OptimizerSettings::Kind::sgd;
  c.optimizer.learning_rate = 1e30;
  Plan plan = plan_of("train", "CartPole-v0", c);
  const Chunk chunk = run_chunk(plan, 0, {0, 6}, *backend(), {});
  EXPECT_EQ(chunk.failed, 6u);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(find(chunk, ColumnKind::status).bits[i], static_cast<std::uint64_t>(ReplicaStatus::failed));
    EXPECT_TRUE(std::isnan(find(chunk, ColumnKind::final_return).value(i)));
    EXPECT_TRUE(std::isnan(find(chunk, ColumnKind::parameter, "bias").value(i)));
  }
  plan.record.evaluation_episodes = 3;
  EXPECT_TRUE(std::isnan(find(run_chunk(plan, 0, {0, 2}, *backend(), {}), ColumnKind::evaluation_mean).value(1)));
}

// ---- one promise: neither the cut nor the executor enters

void expect_same_rows(const Plan& plan) {
  const Chunk whole = run_chunk(plan, 0, {0, 12}, *backend(), {});
  std::uint64_t digest = 0;
  std::vector<std::uint64_t> rows(whole.columns.size());
  for (const Range& range : {Range{0, 1}, Range{1, 7}, Range{8, 4}}) {
    const Chunk part = run_chunk(plan, 0, range, *backend("scalar", 2), {});
    digest += part.digest;
    ASSERT_EQ(part.columns.size(), whole.columns.size());
    for (std::size_t j = 0; j < part.columns.size(); ++j) {
      ASSERT_TRUE(part.columns[j].same_column(whole.columns[j]));
      for (std::uint64_t i = 0; i < range.count; ++i)
        EXPECT_EQ(part.columns[j].bits[i], whole.columns[j].bits[range.first + i]) << "column " << j << ", row " << i;
    }
  }
  EXPECT_EQ(digest, whole.digest);
}

TEST(Chunks, AreTheSameHoweverTheyAreCut) {
  CartPoleTrainConfiguration c = cart_pole();
  c.updates = 12;
  c.optimizer.kind = OptimizerSettings::Kind::sgd;
  c.optimizer.learning_rate = 0.01;
  Plan plan = plan_of("train", "CartPole-v0", c);
  plan.record = {true, 3, 5, {20}};
  expect_same_rows(plan);
  plan.distribution = {{"w_angle", 2, -1, 1}, {"bias", 4, 0.5, 2}};
  expect_same_rows(plan);

  CartPoleEvaluateConfiguration e;
  e.episodes = 10;
  plan = plan_of("evaluate", "CartPole-v1", e);
  plan.distribution = {{"w_position", 0, -1, 1}};
  expect_same_rows(plan);

  CartPoleGradientConfiguration g;
  g.episodes = 100;
  expect_same_rows(plan_of("gradient", "CartPole-v1", g));

  TrainConfiguration f;
  f.updates = 30;
  f.batch = 4;
  plan = plan_of("train", "FryShack-v0", f);
  plan.record = {true, 10, 6, {0.2}};
  expect_same_rows(plan);
}

TEST(Chunks, OfOtherCellsHaveOtherDigests) {
  TrainConfiguration f;
  Plan plan = plan_of("train", "FryShack-v0", f);
  plan.cells.push_back(plan.cells[0]);
  plan.cells[1].key = "{\"a\":1}";
  EXPECT_NE(run_chunk(plan, 0, {0, 3}, *backend(), {}).digest, run_chunk(plan, 1, {0, 3}, *backend(), {}).digest);
}

// Word i % 4 of block i / 4 of purpose initialisation, number 0.
TEST(Draws, AreAddressedByTheSeedAlone) {
  CartPoleEvaluateConfiguration e;
  e.episodes = 4;
  Plan plan = plan_of("evaluate", "CartPole-v1", e);
  plan.distribution = {{"w_velocity", 1, -2, 3}, {"bias", 4, 10, 11}};
  const Chunk chunk = run_chunk(plan, 0, {5, 2}, *backend(), {});
  for (std::size_t i = 0; i < 2; ++i) {
    const std::uint64_t seed = 12 + i;
    const std::uint32_t first = random_block(seed, Purpose::initialisation, 0, 0).y;
    const std::uint32_t second = random_block(seed, Purpose::initialisation, 0, 1).x;
    const auto expected = [](std::uint32_t word, double low, double high) {
      return static_cast<double>(static_cast<float>(low + static_cast<double>(word >> 8) / 16777216.0 * (high - low)));
    };
    EXPECT_EQ(find(chunk, ColumnKind::parameter, "w_velocity").value(i), expected(first, -2, 3));
    EXPECT_EQ(find(chunk, ColumnKind::parameter, "bias").value(i), expected(second, 10, 11));
    CartPoleEvaluateConfiguration one = e;
    one.seed = seed;
    one.problem.parameters[1] = expected(first, -2, 3);
    one.problem.parameters[4] = expected(second, 10, 11);
    EXPECT_EQ(find(chunk, ColumnKind::evaluation_mean).value(i), evaluate(one, *backend()).mean);
  }
}

TEST(GradientChunk, HasTheEstimatesOfGradient) {
  GradientConfiguration c;
  c.episodes = 1000;
  const Plan plan = plan_of("gradient", "FryShack-v0", c);
  const Chunk chunk = run_chunk(plan, 0, {0, 3}, *backend(), {});
  for (std::size_t i = 0; i < 3; ++i) {
    c.seed = 7 + i;
    const GradientResult r = gradient(c, *backend());
    EXPECT_EQ(find(chunk, ColumnKind::estimate, "bias").value(i), r.bias.estimate);
    EXPECT_EQ(find(chunk, ColumnKind::standard_error, "weight").value(i), r.weight.standard_error);
    EXPECT_EQ(find(chunk, ColumnKind::second_moment, "bias").value(i), r.second_moment_bias);
    EXPECT_EQ(find(chunk, ColumnKind::estimate, "mean_return").value(i), r.mean_return.estimate);
  }
}

TEST(Chunks, StopWhenAsked) {
  StopToken stop{true};
  CartPoleEvaluateConfiguration e;
  EXPECT_THROW(run_chunk(plan_of("evaluate", "CartPole-v1", e), 0, {0, 3}, *backend(), {&stop, nullptr}), Stopped);
  EXPECT_THROW(run_chunk(plan_of("train", "CartPole-v0", cart_pole()), 0, {0, 3}, *backend(), {&stop, nullptr}), Stopped);
}

TEST(Shards, ArePartsOfAllReplicas) {
  for (const std::uint64_t seeds : {1ull, 5ull, 16ull, 1000ull, 0xffffffffffffffffull}) {
    for (const std::uint64_t shards : {1ull, 2ull, 3ull, 7ull, 16ull}) {
      std::uint64_t next = 0;
      for (std::uint64_t i = 1; i <= shards; ++i) {
        const Range range = shard_of(seeds, i, shards);
        EXPECT_EQ(range.first, next);
        next += range.count;
      }
      EXPECT_EQ(next, seeds);
    }
  }
}

}  // namespace
}  // namespace fryer::study
