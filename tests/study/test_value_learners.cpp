// SPDX-License-Identifier: Apache-2.0
// Value learners in a study: rows are those of `train`, curves and thresholds what follows from a training's episodes one by one, trainings
// left in their middle come back from bytes with their replay memory and go on to the same bits, and what is said of them is in episodes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>

#include "fryer/core/error.h"
#include "host/driver.h"
#include "host/study/analysis.h"
#include "host/study/draws.h"
#include "host/study/run_chunk.h"
#include "host/study/scheduler.h"
#include "host/study/unfinished.h"
#include "tests/study/chunk_columns.h"
#include "tests/study/store_support.h"

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

QTrainConfiguration dqn() {
  QTrainConfiguration c = dqn_defaults(200);
  c.training.shape = {8, 8};
  c.training.batch = 16;
  c.training.replay_capacity = 700;  // goes round
  c.training.warmup_steps = 300;
  c.training.episodes = 150;
  c.training.optimizer.learning_rate = 0.005;
  c.training.epsilon.decay_steps = 1000;
  return c;
}
QTrainConfiguration online() {
  QTrainConfiguration c = q_learning_defaults(200);
  c.training.shape = {8, 8};
  c.training.episodes = 150;
  c.training.epsilon = {EpsilonSettings::Schedule::exponential, 0.5, 0.01, 500};
  return c;
}

Plan plan_of(const std::vector<QTrainConfiguration>& cells) {
  Plan plan;
  plan.command = "train";
  plan.environment = "CartPole-v0";
  plan.algorithm = learns_online(cells[0]) ? "q-learning" : "dqn";
  plan.first_seed = 7;
  plan.seeds = 12;
  for (const QTrainConfiguration& c : cells) {
    const std::string number = std::to_string(plan.cells.size());
    const std::string settings = fmt::format(R"({{"episodes":{},"number":{},"until":{}}})", c.training.episodes, number,
                                             c.until ? std::to_string(*c.until) : "null");
    plan.cells.push_back({settings, settings, {{"number", number}}, c});
  }
  plan.record.parameters = false;
  return plan;
}

Draw draw_of(const std::string& setting, double low, double high, const std::function<double&(QTrainingSettings&)>& where) {
  Draw draw;
  draw.low = low;
  draw.high = high;
  draw.setting = setting;
  draw.apply = [where](CellConfiguration& cell, double value) { where(std::get<QTrainConfiguration>(cell).training) = value; };
  return draw;
}
// Its gamma and learning rate are each replica's own.
Plan drawn(Plan plan) {
  plan.distribution = {
      draw_of("gamma", 0.9, 1, [](QTrainingSettings& t) -> double& { return t.learning.gamma; }),
      draw_of("learning_rate", 0.001, 0.01, [](QTrainingSettings& t) -> double& { return t.optimizer.learning_rate; })};
  return plan;
}

// The returns of a training's episodes that count, as `train --seed` has them.
std::vector<double> returns_of(QTrainConfiguration c, std::uint64_t seed) {
  c.seed = seed;
  c.replicas = 1;
  std::vector<double> returns;
  for (const CurvePoint& point : train(c, *backend()).curve) {
    if (point.count != 0) returns.push_back(point.mean_return);
  }
  return returns;
}
double mean_of(const std::vector<double>& returns, std::size_t first, std::size_t count) {
  double sum = 0;
  for (std::size_t i = first; i < first + count; ++i) sum += returns[i];
  return sum / static_cast<double>(count);
}

// ---- rows

class ValueLearnerChunk : public testing::TestWithParam<bool> {
 protected:
  const QTrainConfiguration configuration_ = GetParam() ? online() : dqn();
};
INSTANTIATE_TEST_SUITE_P(Algorithm, ValueLearnerChunk, testing::Bool(),
                         [](const auto& parameter) { return parameter.param ? "QLearning" : "Dqn"; });

TEST_P(ValueLearnerChunk, HasTheRowsOfTrain) {
  Plan plan = plan_of({configuration_});
  plan.record.parameters = true;
  const Chunk chunk = run_chunk(plan, 0, {2, 5}, *backend(), {});
  const std::vector<std::string> names = parameter_names(configuration_.training.shape);
  for (std::size_t i = 0; i < 5; ++i) {
    QTrainConfiguration c = configuration_;
    c.seed = 9 + i;
    const ReplicaTable table = train(c, *backend()).table;
    EXPECT_EQ(find(chunk, ColumnKind::status).bits[i], table.status[0]);
    EXPECT_EQ(find(chunk, ColumnKind::updates).bits[i], table.updates[0]);
    EXPECT_EQ(find(chunk, ColumnKind::episodes).bits[i], 150u);
    EXPECT_EQ(find(chunk, ColumnKind::steps).bits[i], table.steps[0]);
    for (std::size_t j = 0; j < names.size(); ++j)
      ASSERT_EQ(find(chunk, ColumnKind::parameter, names[j]).bits[i], to_bits(table.parameters[j][0])) << names[j];
  }
  plan.record.parameters = false;
  const Chunk without = run_chunk(plan, 0, {2, 5}, *backend(), {});
  EXPECT_FALSE(has(without, ColumnKind::parameter));
  EXPECT_EQ(without.digest, chunk.digest);  // which is of the networks, kept or not
}

TEST_P(ValueLearnerChunk, CurveAndFinalReturnAreMeansOfEpisodes) {
  Plan plan = plan_of({configuration_});
  plan.record.curve_every = 40;
  const Chunk chunk = run_chunk(plan, 0, {0, 4}, *backend(), {});
  for (std::size_t i = 0; i < 4; ++i) {
    const std::vector<double> returns = returns_of(configuration_, 7 + i);
    ASSERT_EQ(returns.size(), 150u);
    for (const unsigned end : {40u, 80u, 120u})
      EXPECT_EQ(find(chunk, ColumnKind::curve_episodes, "", end).value(i), mean_of(returns, end - 40, 40));
    EXPECT_EQ(find(chunk, ColumnKind::final_return).value(i), mean_of(returns, 50, 100));
  }
  EXPECT_FALSE(has(chunk, ColumnKind::curve));
  EXPECT_THROW(find(chunk, ColumnKind::curve_episodes, "", 1), std::runtime_error);
  EXPECT_EQ(column_name(find(chunk, ColumnKind::curve_episodes, "", 40)), "return_at_episode_40");
}

TEST_P(ValueLearnerChunk, ThresholdsAreReachedWhenUntilWouldStop) {
  // A mean that some reach and some do not, and none at the same episode.
  const double threshold = GetParam() ? 12.5 : 24;
  Plan plan = plan_of({configuration_});
  plan.record.thresholds = {threshold, 1e9};
  const Chunk chunk = run_chunk(plan, 0, {0, 12}, *backend(), {});
  QTrainConfiguration c = configuration_;
  c.seed = 7;
  c.replicas = 12;
  c.until = threshold;
  const ReplicaTable stopped = train(c, *backend()).table;
  std::uint64_t reached = 0;
  for (std::size_t i = 0; i < 12; ++i) {
    const bool solved = stopped.status[i] == static_cast<std::uint8_t>(ReplicaStatus::solved);
    reached += solved;
    EXPECT_EQ(find(chunk, ColumnKind::threshold_episodes, "", threshold).bits[i], solved ? stopped.episodes[i] : 0);
    EXPECT_EQ(find(chunk, ColumnKind::threshold_steps, "", threshold).bits[i], solved ? stopped.steps[i] : 0);
    EXPECT_EQ(find(chunk, ColumnKind::threshold_episodes, "", 1e9).bits[i], 0u);
  }
  EXPECT_GT(reached, 0u);
  EXPECT_LT(reached, 12u) << threshold;
  EXPECT_FALSE(has(chunk, ColumnKind::threshold_updates));
  EXPECT_EQ(column_name(find(chunk, ColumnKind::threshold_episodes, "", threshold)), fmt::format("episodes_to_{}", threshold));
}

TEST_P(ValueLearnerChunk, EvaluatesTheFinalNetworkAsEvaluateDoes) {
  Plan plan = plan_of({configuration_});
  plan.record.evaluation_episodes = 15;
  const Chunk chunk = run_chunk(plan, 0, {0, 3}, *backend(), {});
  EXPECT_FALSE(has(chunk, ColumnKind::final_return));
  for (std::size_t i = 0; i < 3; ++i) {
    QTrainConfiguration c = configuration_;
    c.seed = 7 + i;
    const TrainResult r = train(c, *backend());
    CartPoleEvaluateConfiguration e;
    e.problem.environment = c.training.environment;
    e.q_network = QNetworkPolicy{c.training.shape, {}};
    for (const std::vector<float>& column : r.table.parameters) e.q_network->parameters.push_back(static_cast<double>(column[0]));
    e.episodes = 15;
    e.seed = c.seed;
    const EvaluateResult evaluated = evaluate(e, *backend());
    EXPECT_EQ(find(chunk, ColumnKind::evaluation_mean).value(i), evaluated.mean);
    EXPECT_EQ(find(chunk, ColumnKind::evaluation_max).value(i), evaluated.max);
  }
}

TEST_P(ValueLearnerChunk, FailedReplicasAreRowsWithoutAResult) {
  QTrainConfiguration c = configuration_;
  c.training.optimizer.kind = OptimizerSettings::Kind::sgd;
  c.training.optimizer.learning_rate = 1e30;
  c.training.learning.clip_norm = 0;
  c.training.learning.loss = Loss::mse;
  Plan plan = plan_of({c});
  plan.record.curve_every = 10;
  plan.record.thresholds = {1};
  const Chunk chunk = run_chunk(plan, 0, {0, 3}, *backend(), {});
  EXPECT_EQ(chunk.failed, 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(find(chunk, ColumnKind::status).bits[i], static_cast<std::uint64_t>(ReplicaStatus::failed));
    EXPECT_LT(find(chunk, ColumnKind::episodes).bits[i], 150u);
    EXPECT_TRUE(std::isnan(find(chunk, ColumnKind::final_return).value(i)));
    EXPECT_TRUE(std::isnan(find(chunk, ColumnKind::curve_episodes, "", 150).value(i)));
    EXPECT_EQ(find(chunk, ColumnKind::threshold_steps, "", 1).bits[i], 0u);
  }
}

// Where steps cannot be known from an episode's outcome there are none.
TEST(ValueLearnerChunks, KnowNoStepsToAThresholdWithOtherRewards) {
  QTrainConfiguration c = online();
  c.training.environment.sutton_barto_reward = true;
  c.training.episodes = 100;
  Plan plan = plan_of({c});
  plan.record.thresholds = {-0.5};
  const Chunk chunk = run_chunk(plan, 0, {0, 2}, *backend(), {});
  EXPECT_TRUE(has(chunk, ColumnKind::threshold_episodes));
  EXPECT_FALSE(has(chunk, ColumnKind::threshold_steps));
  EXPECT_GE(find(chunk, ColumnKind::final_return).value(0), -1);
  EXPECT_LT(find(chunk, ColumnKind::final_return).value(0), 0);
}

TEST_P(ValueLearnerChunk, IsTheSameHoweverItIsCut) {
  QTrainConfiguration c = configuration_;
  c.training.warmup_steps /= 3;
  c.training.episodes = 50;
  Plan plan = plan_of({c});
  plan.record.curve_every = 20;
  plan.record.evaluation_episodes = 3;
  for (const Plan& one : {plan, drawn(plan)}) {
    const Chunk whole = run_chunk(one, 0, {0, 9}, *backend("", 2), {});
    std::uint64_t digest = 0;
    for (const Range& range : {Range{0, 1}, Range{1, 5}, Range{6, 3}}) {
      const Chunk part = run_chunk(one, 0, range, *backend("scalar"), {});
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
}

// A replica with drawn settings is `train` with them.
TEST_P(ValueLearnerChunk, TrainsWithWhatIsDrawn) {
  const Plan plan = drawn(plan_of({configuration_}));
  const Chunk chunk = run_chunk(plan, 0, {0, 3}, *backend(), {});
  for (std::size_t i = 0; i < 3; ++i) {
    QTrainConfiguration c = configuration_;
    c.training.learning.gamma = drawn_value(plan.distribution[0], 7 + i);
    c.training.optimizer.learning_rate = drawn_value(plan.distribution[1], 7 + i);
    EXPECT_EQ(find(chunk, ColumnKind::setting, "gamma").value(i), c.training.learning.gamma);
    EXPECT_EQ(find(chunk, ColumnKind::final_return).value(i), mean_of(returns_of(c, 7 + i), 50, 100));
  }
}

// ---- launches

// Cells with one network make up launches together, whatever else they differ in.
TEST(ValueLearnerLaunches, KindsOfCells) {
  QTrainConfiguration other = dqn(), wide = dqn(), batch = dqn();
  other.training.episodes = 20;
  other.training.learning.gamma = 0.5;
  wide.training.shape = {16, 8};
  batch.training.batch = 32;
  EXPECT_EQ(kinds_of_cells(plan_of({dqn(), wide, other, batch, dqn()})), (std::vector<std::uint64_t>{0, 1, 0, 2, 0}));
}

TEST(ValueLearnerLaunches, HoldOneWorkersPlaces) {
  const Plan plan = plan_of({dqn(), online()});
  EXPECT_EQ(replicas_at_once(plan, 0, {"cpu", "avx2", 1, ""}), 1u);
  EXPECT_EQ(replicas_at_once(plan, 1, {"cpu", "avx2", 1, ""}), 2u);
  // Few seeds in all still have a worker each.
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.threads = 3;
  EXPECT_EQ(make_workers(plan, 2, choice).backends.size(), 3u);
}

// ---- left in their middle

// Trains a piece in launches that are left after a few looks at the pause, and gives back the states as bytes each time.
Chunk run_through_bytes(const Plan& plan, const Piece& piece, Backend& on, int& left) {
  Launch launch = {{piece}, {}};
  for (;;) {
    StopToken pause{false};
    int looks = 0;
    std::vector<Chunk> chunks =
        run_launch(plan, launch, on, {nullptr, [&](std::uint64_t, std::uint64_t) { pause = ++looks >= 4; }, &pause});
    if (!chunks.empty()) return std::move(chunks[0]);
    ++left;
    EXPECT_TRUE(fits(plan, piece, launch.begun[0]));
    const double share = share_made(plan, piece, launch.begun[0]);
    EXPECT_GE(share, 0);
    EXPECT_LE(share, static_cast<double>(piece.range.count));
    const std::string bytes = encode(plan, piece.range, launch.begun[0]);
    launch.begun[0] = decode_states(bytes);
    EXPECT_TRUE(fits(plan, piece, launch.begun[0]));
    EXPECT_EQ(encode(launch.begun[0]), bytes);
  }
}

TEST(ValueLearnerStates, GoOnFromBytesToTheSameBits) {
  QTrainConfiguration twice = dqn(), sgd = dqn(), stopping = dqn(), online_stopping = online();
  twice.training.learning.bootstrap = Bootstrap::double_q;
  twice.training.warmup_in_whole_episodes = true;
  twice.training.updates_after_last_step = false;
  twice.training.gradient_steps = 3;
  sgd.training.optimizer.kind = OptimizerSettings::Kind::sgd;
  sgd.training.epsilon = {EpsilonSettings::Schedule::exponential, 1, 0.05, 400};
  stopping.until = 24;
  online_stopping.until = 10;
  for (const QTrainConfiguration& c : {dqn(), twice, sgd, stopping, online(), online_stopping}) {
    Plan plan = plan_of({c});
    for (const std::uint64_t curve_every : {0u, 50u}) {  // with evaluations and no curve, outcomes are not kept
      plan.record.curve_every = curve_every;
      plan.record.evaluation_episodes = 2;
      for (const Plan& one : {plan, drawn(plan)}) {
        int left = 0;
        const Piece piece = {0, {1, 3}};
        const Chunk chunk = run_through_bytes(one, piece, *backend("", 2), left);
        EXPECT_GT(left, 3);
        const Chunk expected = run_chunk(one, 0, piece.range, *backend(), {});
        EXPECT_EQ(chunk.digest, expected.digest);
        EXPECT_TRUE(test::same_columns(chunk.columns, expected.columns));
      }
    }
  }
}

// A training in its middle, in which every part of a record is there.
TrainingStates in_the_middle(const Plan& plan, const Piece& piece) {
  Launch launch = {{piece}, {}};
  StopToken pause{false};
  const auto look = [&](std::uint64_t finished, std::uint64_t) { pause = finished >= 40; };
  EXPECT_TRUE(run_launch(plan, launch, *backend(), {nullptr, look, &pause}).empty());
  return std::move(launch.begun[0]);
}

// Sizes that are not theirs, indices beyond an end, settings of another cell: such trainings are begun again.
TEST(ValueLearnerStates, ThatDoNotFitAreRefused) {
  QTrainConfiguration c = dqn();
  c.until = 199;
  const Plan plan = plan_of({c});
  const Piece piece = {0, {0, 1}};
  const TrainingStates good = in_the_middle(plan, piece);
  ASSERT_TRUE(fits(plan, piece, good));
  ASSERT_FALSE(good.value_learners[0].weight.empty());
  ASSERT_EQ(good.value_learners[0].replay.size(), 700u);
  using Change = std::function<void(QTrainingRecord&)>;
  const std::vector<Change> changes = {
      [](QTrainingRecord& r) { r.weight.pop_back(); },
      [](QTrainingRecord& r) { r.weight.push_back(0); },
      [](QTrainingRecord& r) { r.target.clear(); },
      [](QTrainingRecord& r) { r.m.pop_back(); },
      [](QTrainingRecord& r) { r.v.clear(); },
      [](QTrainingRecord& r) { r.replay.pop_back(); },
      [](QTrainingRecord& r) { r.replay.push_back({}); },
      [](QTrainingRecord& r) { r.replay[3].action = 2; },
      [](QTrainingRecord& r) { r.outcomes.pop_back(); },
      [](QTrainingRecord& r) { r.state.seed += 1; },
      [](QTrainingRecord& r) { r.state.steps = 10; },
      [](QTrainingRecord& r) { r.state.steps += 1; },
      [](QTrainingRecord& r) { r.state.episodes += 1; },
      [](QTrainingRecord& r) { r.state.warmup_episodes = r.state.episodes + 1; },
      [](QTrainingRecord& r) { r.state.updates += 1; },
      [](QTrainingRecord& r) { r.state.updates_due = 1000; },
      [](QTrainingRecord& r) { r.state.episode_steps = 201; },
      [](QTrainingRecord& r) { r.state.status = ReplicaStatus::solved; },
      [](QTrainingRecord& r) { r.state.epsilon.settings.end = 0.5; },
      [](QTrainingRecord& r) { r.state.adam = AdamSchedule(OptimizerSettings()); },
      [](QTrainingRecord& r) { r = {}; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    TrainingStates states = good;
    changes[i](states.value_learners[0]);
    EXPECT_FALSE(fits(plan, piece, states)) << i;
  }
  TrainingStates states = good;  // an update is due, but not a batch is stored
  QTrainingRecord& early = states.value_learners[0];
  states.table.steps[0] = early.state.steps = 3;
  early.replay.resize(3);
  early.state.updates_due = 0;
  EXPECT_TRUE(fits(plan, piece, states));
  early.state.updates_due = 1;
  EXPECT_FALSE(fits(plan, piece, states));
  states = good;
  states.table.episodes[0] = 150;
  EXPECT_FALSE(fits(plan, piece, states));
  states = good;
  states.value_learners.clear();
  EXPECT_FALSE(fits(plan, piece, states));
  states = good;
  states.m = states.table.parameters;
  EXPECT_FALSE(fits(plan, piece, states));
}

// A ring costs little more than the observations in it, of which most are one transition's next and the other's first.
TEST(ValueLearnerStates, KeepEachObservationOnce) {
  const Plan plan = plan_of({dqn()});
  const TrainingStates states = in_the_middle(plan, {0, {0, 1}});
  TrainingStates without = states;
  without.value_learners[0].replay.clear();
  EXPECT_LT(encode(states).size() - encode(without).size(), 700u * 22u);
}

bool same_bytes(const TrainingStates& a, const TrainingStates& b) { return encode(a) == encode(b); }

TEST(ValueLearnerStates, SurviveAnyBytes) {
  QTrainConfiguration c = dqn();
  c.training.shape = {2, 2};
  c.training.replay_capacity = 40;
  c.training.batch = 4;
  const Plan plan = plan_of({c});
  const TrainingStates states = in_the_middle(plan, {0, {0, 2}});
  const std::string good = encode(states);
  std::uint64_t refused = 0, accepted = 0;
  const auto attempt = [&](const std::string& bytes) {
    try {
      const TrainingStates read = decode_states(bytes);
      EXPECT_TRUE(same_bytes(decode_states(encode(read)), read));
      fits(plan, {0, {0, 2}}, read);
      ++accepted;
    } catch (const DamagedFileError&) {
      ++refused;
    }
  };
  for (std::size_t length = 0; length < good.size(); ++length) attempt(good.substr(0, length));
  attempt(good + "x");
  EXPECT_EQ(accepted, 0u);
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const char change : {'\x01', '\x40', '\xff'}) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ change);
      attempt(bytes);
    }
  }
  EXPECT_GT(refused, 500u);
  EXPECT_GT(accepted, 500u);
}

// ---- what is said

TEST(ValueLearnerReport, CountsEpisodes) {
  QTrainConfiguration c = dqn();
  c.until = 24;
  Plan plan = plan_of({c});
  plan.cells[0].point.clear();
  plan.record.curve_every = 30;
  plan.record.thresholds = {22};
  const test::Folder folder;
  Store store = Store::create(folder / "s.db", plan, {});
  store.begin_run(test::make_run());
  store.append(run_chunk(plan, 0, {0, 12}, *backend(), {}));
  const StudySummary summary = analyse(store);
  EXPECT_EQ(summary.time_unit, "episode");
  EXPECT_EQ(summary.curve_name, "mean return of 30 episodes");
  EXPECT_EQ(summary.result_name, "mean return of the last 100 training episodes");
  const CellSummary& cell = summary.cells[0];
  EXPECT_EQ(cell.planned_length, 150u);
  ASSERT_EQ(cell.thresholds.size(), 2u);
  const Chunk chunk = run_chunk(plan, 0, {0, 12}, *backend(), {});
  for (const ThresholdSummary& t : cell.thresholds) {
    EXPECT_GT(t.reached, 0u);
    EXPECT_EQ(t.time.median, t.episodes.median);
    EXPECT_EQ(t.time.n, 12u);
    EXPECT_EQ(t.steps.n, 12u);
  }
  EXPECT_EQ(cell.thresholds[0].reached, chunk.solved);
  ASSERT_FALSE(cell.curve.empty());
  EXPECT_EQ(cell.curve[0].at, 30u);
  EXPECT_NE(cell.sentence.find("within 150 episodes"), std::string::npos) << cell.sentence;
  EXPECT_EQ(cell.sentence.find("update"), std::string::npos) << cell.sentence;
}

}  // namespace
}  // namespace fryer::study
