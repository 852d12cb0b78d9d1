// SPDX-License-Identifier: Apache-2.0
// The bodies of the kernels that train value learners, on teams of host threads, against the reference loop (lane/q_training.h), bit by
// bit: every option, networks and batches that fit no tile, chunks of a batch, either memory, left and gone on with, failures. Then the
// backend around them against the CPU's: the committed digests, any number of slots, trainings that go from one to the other.
#include <gtest/gtest.h>

#include <random>

#include "host/driver.h"
#include "kernels/q_plan.h"
#include "tests/engine/effort.h"
#include "tests/engine/expect_equal.h"
#include "tests/engine/q_reference_runs.h"
#include "tests/kernels/host_warp.h"
#include "tests/lane/q_training_cases.h"

namespace fryer::test {
namespace {

// How a team is made.
struct Team {
  std::uint32_t threads;
  int chunk;
  bool fast;  // parameters in fast memory
};

// What shows of a training that has ended.
void expect_same_row(const QReplicaMemory& a, const QReplicaMemory& b) {
  ASSERT_EQ(a.state.status, b.state.status);
  EXPECT_EQ(a.state.updates, b.state.updates);
  EXPECT_EQ(a.state.episodes, b.state.episodes);
  EXPECT_EQ(a.state.steps, b.state.steps);
  EXPECT_EQ(a.state.window_sum, b.state.window_sum);
  EXPECT_EQ(a.outcomes, b.outcomes);
  std::vector<float> shown = b.weight;
  hide_failed_parameters(b.state, static_cast<int>(shown.size()), shown.data());
  EXPECT_TRUE(same_bits(a.weight, shown, "weight"));
}

// The memory of a launch that has one slot, which may have a replica already; what it leaves goes back into that.
class OneSlot {
 public:
  OneSlot(QReplicaMemory& replica, const Team& team) : replica_(replica), team_(team) {
    const QTeamShape shape(replica.settings.shape);
    const bool has_target = replica.rules.update.learning.has_target_network();
    learner_.resize(static_cast<std::size_t>(kQSlotArrays * shape.numbers));
    for (int i = 0; i < replica.settings.shape.parameters(); ++i) {
      const auto at = static_cast<std::size_t>(team_place(shape, i)), from = static_cast<std::size_t>(i);
      array(kWeightArray)[at] = replica.weight[from];
      if (has_target) array(kTargetArray)[at] = replica.target[from];
      array(kMArray)[at] = replica.m[from];
      array(kVArray)[at] = replica.v[from];
    }
    training_.rules = replica.rules;
    training_.update_cost = 1;
    slot_.state = replica.state;
    slot_.row = 0;
    slot_.training = 0;
    launch_.network = replica.settings.shape;
    launch_.shape = shape;
    launch_.plan = {team.chunk, team.fast, team.fast};
    launch_.block = QBlockPlaces(launch_.shape, launch_.plan);
    launch_.online = QOnlinePlaces(launch_.shape, launch_.plan);
    quads_ = make_online_quads(launch_.shape);
    launch_.quads = quads_.data();
    launch_.quad_count = static_cast<int>(quads_.size());
    launch_.training = &training_;
    launch_.next = &next_;
    launch_.running = &running_;
    launch_.finished = &finished_;
    launch_.warmup_episodes = &warmup_episodes_;
    parameter_.resize(replica.weight.size());
    launch_.rows = {&status_, &updates_, &episodes_, &steps_, &counted_, parameter_.data(), nullptr, 1, 0, 0};
    launch_.slot = &slot_;
    launch_.learner = learner_.data();
    launch_.replay = replica.slots.data();
    launch_.outcomes = replica.outcomes.data();
    launch_.transitions = replica.slots.size();
    launch_.kept = replica.outcomes.size();
  }
  ~OneSlot() {
    const QTeamShape shape(replica_.settings.shape);
    replica_.state = slot_.state;
    for (int i = 0; i < replica_.settings.shape.parameters(); ++i) {
      const auto at = static_cast<std::size_t>(team_place(shape, i)), to = static_cast<std::size_t>(i);
      replica_.weight[to] = slot_.row == kNoRow ? parameter_[to] : array(kWeightArray)[at];
      replica_.target[to] = array(kTargetArray)[at];
      replica_.m[to] = array(kMArray)[at];
      replica_.v[to] = array(kVArray)[at];
    }
  }
  OneSlot(const OneSlot&) = delete;
  OneSlot& operator=(const OneSlot&) = delete;

  void train(std::uint64_t turns) {
    launch_.turns = turns;
    const bool online = replica_.rules.learns_online();
    if (online) {
      team_.fast ? run<OnlineLearner<true>>() : run<OnlineLearner<false>>();
    } else {
      team_.fast ? run<BlockLearner<true>>() : run<BlockLearner<false>>();
    }
  }

 private:
  float* array(int i) { return learner_.data() + i * QTeamShape(replica_.settings.shape).numbers; }
  template <class Learner>
  void run() {
    // Not cleared on a GPU either.
    std::vector<Four> fast(static_cast<std::size_t>(Learner::size(launch_)) / 4, Four{{1e30f, 1e30f, 1e30f, 1e30f}});
    run_team(team_.threads, [&](const HostTeam& team) { q_train_body<Learner>(team, 0, launch_, fast.data()->v); });
  }

  QReplicaMemory& replica_;
  Team team_;
  std::vector<float> learner_, parameter_;
  std::vector<QOnlineQuad> quads_;
  QDeviceTraining training_{};
  QSlot slot_{};
  QLaunch launch_{};
  std::uint64_t next_ = 0, running_ = 0, finished_ = 0, warmup_episodes_ = 0, episodes_ = 0, steps_ = 0;
  std::uint32_t updates_ = 0, counted_ = 0;
  std::uint8_t status_ = 0;
};

// The row of a whole training, and the replica a few turns before its end.
void compare(const QCase& c, std::uint64_t seed, const std::vector<Team>& teams) {
  QReplicaMemory reference(c.settings, seed), before = reference;
  std::uint64_t turns = 0;
  for (; reference.unfinished(); ++turns) reference.train(1);
  const std::uint64_t left = turns < 5 ? 1 : turns - 3;
  EXPECT_GT(reference.state.updates, 0u);
  before.train(left);
  for (const Team& team : teams) {
    SCOPED_TRACE(c.name + ", " + std::to_string(team.threads) + " threads, chunks of " + std::to_string(team.chunk) +
                 (team.fast ? ", fast" : ""));
    QReplicaMemory replica(c.settings, seed);
    OneSlot(replica, team).train(left);
    expect_same_replica(replica, before);
    OneSlot(replica, team).train(100'000'000);
    ASSERT_FALSE(replica.unfinished());
    expect_same_row(replica, reference);
  }
}

TEST(QTrainingBodies, DqnWithEveryOption) {
  for (const QCase& c : dqn_cases()) {
    for (const std::uint64_t seed : {1ull, 0xfedcba9876543210ull}) compare(c, seed, {{1, 8, true}, {1, 16, false}});
    compare(c, 2, {{3, 8, false}});
  }
}
TEST(QTrainingBodies, OnlineLearningWithEveryOption) {
  for (const QCase& c : online_cases()) {
    for (const std::uint64_t seed : {2ull, 0xfedcba9876543210ull}) compare(c, seed, {{1, 8, true}, {1, 8, false}});
    compare(c, 3, {{5, 8, true}});
  }
}

// Networks, batches and chunks that fit no tile, and what a block and a warp have.
TEST(QTrainingBodies, DqnOfAnyShape) {
  const auto settings = [](QNetworkShape shape, std::uint32_t batch) {
    QTrainingSettings s = small_dqn();
    s.shape = shape;
    s.batch = batch;
    s.replay_capacity = 2 * batch + 40;
    s.warmup_steps = batch + 5;
    s.episodes = 4;
    s.environment.max_steps = 30;
    s.optimizer.epsilon = 0;  // numbers beside the parameters are not stepped
    s.initialisation = Initialisation::torch;
    return s;
  };
  for (const QNetworkShape shape : {QNetworkShape{1, 1}, {5, 3}, {9, 40}, {32, 32}, {64, 64}, {33, 17}}) {
    for (const std::uint32_t batch : {1u, 7u, 30u, 128u}) {
      const QCase c = {std::to_string(shape.hidden1) + "-" + std::to_string(shape.hidden2) + ", batch " + std::to_string(batch),
                       settings(shape, batch)};
      compare(c, 4, {{1, 64, true}, {1, 24, true}});
    }
  }
  QTrainingSettings large = settings({256, 256}, 9);
  large.episodes = 2;
  large.environment.max_steps = 15;
  large.learning.bootstrap = Bootstrap::double_q;
  compare({"256-256", large}, 5, {{1, 8, false}, {4, 16, true}});
  QTrainingSettings usual = settings({64, 64}, 128);
  usual.episodes = 2;
  compare({"64-64 by 128 threads", usual}, 6, {{128, 64, true}});
}
TEST(QTrainingBodies, OnlineLearningOfAnyShape) {
  for (const QNetworkShape shape : {QNetworkShape{1, 1}, {5, 3}, {3, 70}, {32, 32}, {256, 256}}) {
    for (const Bootstrap bootstrap : {Bootstrap::residual, Bootstrap::semi_gradient}) {
      QTrainingSettings s = small_online();
      s.shape = shape;
      s.learning.bootstrap = bootstrap;
      s.episodes = shape.hidden1 > 100 ? 2 : 6;
      s.epsilon = {EpsilonSettings::Schedule::linear, 0.9, 0.1, 200};
      compare({std::to_string(shape.hidden1) + "-" + std::to_string(shape.hidden2), s}, 7, {{1, 8, true}, {2, 8, false}});
    }
  }
  QTrainingSettings usual = small_online();
  usual.episodes = 3;
  compare({"32-32 by 32 threads", usual}, 8, {{32, 8, true}});
}

// Left between two of any turns: steps, or updates of one round.
TEST(QTrainingBodies, GoesOnWhereItWasLeft) {
  std::mt19937_64 random(4);
  auto cases = dqn_cases();
  for (const QCase& c : online_cases()) cases.push_back(c);
  for (const QCase& c : cases) {
    SCOPED_TRACE(c.name);
    QReplicaMemory reference(c.settings, 5), replica(c.settings, 5);
    while (replica.unfinished()) {
      const std::uint64_t turns = 1 + random() % (random() % 3 == 0 ? 100 : 5);
      reference.train(turns);
      OneSlot(replica, {1, 8, random() % 2 == 0}).train(turns);
      if (replica.unfinished()) expect_same_replica(replica, reference);
    }
    expect_same_row(replica, reference);
  }
}

TEST(QTrainingBodies, FailuresAreTheSame) {
  QTrainingSettings dqn = small_dqn();
  dqn.optimizer.learning_rate = 1e3;
  dqn.learning.loss = Loss::mse;
  dqn.learning.clip_norm = 0;
  dqn.optimizer.kind = OptimizerSettings::Kind::sgd;
  QTrainingSettings online = small_online();
  online.optimizer.kind = OptimizerSettings::Kind::sgd;
  online.optimizer.learning_rate = 1e3;
  for (const QTrainingSettings& s : {dqn, online}) {
    for (std::uint64_t seed = 7; seed < 12; ++seed) {
      QReplicaMemory reference(s, seed);
      reference.train_to_the_end();
      ASSERT_EQ(reference.state.status, ReplicaStatus::failed);
      compare({"diverges", s}, seed, {{1, 8, true}, {3, 8, false}});
    }
    QReplicaMemory sick(s, 9);
    for (float& w : sick.weight) w = 3e38f;  // found before the first step, if it does not explore
    QReplicaMemory reference = sick;
    reference.train_to_the_end();
    OneSlot(sick, {2, 8, true}).train(1'000'000);
    EXPECT_EQ(sick.state.status, ReplicaStatus::failed);
    expect_same_row(sick, reference);
  }
}

// ---- parts

TEST(QTrainingBodies, SamplesAreSampleReplays) {
  for (const std::uint32_t batch : {1u, 2u, 7u, 128u, 256u}) {
    for (const std::uint64_t size :
         {std::uint64_t{batch}, std::uint64_t{batch} + 1, std::uint64_t{1000}, std::uint64_t{0xffffffff}}) {
      for (const std::uint32_t threads : {1u, 5u}) {
        std::uint32_t expected[kMostBatch];
        alignas(16) std::uint32_t index[kMostBatch], candidate[kMostBatch];
        ASSERT_TRUE(sample_replay<float>(make_uniform_key(11), 12, size, batch, expected));
        run_team(threads, [&](const HostTeam& team) { team_sample(team, 11, 12, size, batch, index, candidate); });
        for (std::uint32_t i = 0; i < batch; ++i) ASSERT_EQ(index[i], expected[i]) << batch << " of " << size;
      }
    }
  }
}

// A gradient that is clipped, or almost: which sum of squares is taken shows in no bit.
TEST(QTrainingBodies, ClippingIsTheSame) {
  for (const double clip_norm : {1e-3, 0.3, 1.0, 3.0, 1e4}) {
    QTrainingSettings dqn = small_dqn(), online = small_online();
    dqn.learning.clip_norm = online.learning.clip_norm = clip_norm;
    dqn.learning.loss = Loss::mse;
    compare({"clipped", dqn}, 13, {{1, 8, true}, {3, 8, false}});
    compare({"clipped", online}, 13, {{1, 8, true}, {3, 8, false}});
  }
}

// Every parameter has a place of its own in a team's memory, rows begin at multiples of 16 bytes.
TEST(QTrainingBodies, ParametersHaveTheirPlaces) {
  for (const QNetworkShape shape : {QNetworkShape{1, 1}, {5, 3}, {64, 64}, {33, 256}}) {
    const QTeamShape here(shape);
    std::vector<int> visited(static_cast<std::size_t>(here.numbers), -1);
    for (const std::uint32_t threads : {1u, 3u}) {
      run_team(threads, [&](const HostTeam& team) {
        for_each_parameter_of(team, here, [&](int i, int at) {
          visited[static_cast<std::size_t>(at)] = i;
          EXPECT_EQ(team_place(here, i), at);
        });
      });
      int parameters = 0;
      for (const int i : visited) parameters += i >= 0 ? 1 : 0;
      EXPECT_EQ(parameters, shape.parameters());
    }
    EXPECT_EQ(visited[static_cast<std::size_t>(here.weight_2(shape.hidden2 - 1, 0))], shape.weight_2(shape.hidden2 - 1, 0));
    EXPECT_EQ(visited[static_cast<std::size_t>(here.bias_3(1))], shape.bias_3(1));
    for (int s = 0; s < kQSegments; ++s) {
      EXPECT_EQ(q_segment(here, s).first % 4, 0);
      EXPECT_EQ(q_segment(here, s).stride % 4, 0);
    }
  }
}

// ---- the backend

std::unique_ptr<Backend> team_backend(std::uint32_t teams, std::uint64_t chunk = 0, bool fast = true,
                                      std::uint64_t free_bytes = std::uint64_t{1} << 40) {
  CudaOptions options;
  options.chunk = chunk;
  return std::make_unique<DeviceBackend<HostWarps>>(HostWarps(teams, fast, free_bytes), BackendInfo{"teams", "host", 1, ""},
                                                    options);
}
std::unique_ptr<Backend> cpu_backend() {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  return make_backend(choice);
}

TEST(TeamBackend, GivesTheReferenceDigests) {
  for (const QReferenceRun& run : q_reference_runs()) {
    if (run.training && run.training->training.batch > 64 && little_effort()) continue;
    EXPECT_EQ(run.run(*team_backend(2)), run.digest) << run.name;
  }
}

// Fewer slots than replicas and more, launches of few turns and of many, either memory.
TEST(TeamBackend, AnyCutGivesTheReferenceDigests) {
  for (const QReferenceRun& run : q_reference_runs()) {
    if (run.training && (run.training->training.batch > 64 || run.training->training.episodes > 60)) continue;
    EXPECT_EQ(run.run(*team_backend(1, 60, false)), run.digest) << run.name;
    EXPECT_EQ(run.run(*team_backend(20, 20 * 1000)), run.digest) << run.name;
  }
}

// All that a population has besides its rows.
TEST(TeamBackend, PopulationsAreTheCpus) {
  std::vector<QTrainConfiguration> all = {small_dqn_population(), small_online_population()};
  all[0].until = 11;
  all[0].training.episodes = 130;
  all[0].training.environment.max_steps = 25;
  for (const QTrainConfiguration& c : all) {
    expect_equal(train(c, *team_backend(3, 3000)), train(c, *cpu_backend()));
  }
}

// Left again and again and gone on with by either backend, in more slots and in fewer.
TEST(TeamBackend, GoesOnWhereItWasLeft) {
  std::mt19937_64 random(14);
  for (QTrainConfiguration c : {small_dqn_population(), small_online_population()}) {
    c.training.episodes *= 3;
    for (const bool outcomes : {true, false}) {
      TrainingStates straight = fresh_states(c, outcomes), states = fresh_states(c, outcomes);
      train_on(std::vector{c}, straight, *cpu_backend(), {});
      int rounds = 0;
      const auto unfinished = [&] {
        return std::count(states.table.status.begin(), states.table.status.end(),
                          static_cast<std::uint8_t>(ReplicaStatus::unfinished)) != 0;
      };
      for (; unfinished(); ++rounds) {
        StopToken pause{false};
        const std::uint64_t after = 1 + random() % 3;
        std::uint64_t calls = 0, last = 0;
        RunControl control;
        control.pause = &pause;
        control.progress = [&](std::uint64_t finished, std::uint64_t planned) {
          EXPECT_GE(finished, last);
          EXPECT_EQ(planned, c.replicas * c.training.episodes);
          EXPECT_LE(finished, planned);
          last = finished;
          if (++calls == after && rounds < 60) pause = true;
        };
        const std::unique_ptr<Backend> backend =
            random() % 4 == 0 ? cpu_backend()
                              : team_backend(1 + static_cast<std::uint32_t>(random() % 5), 1 + random() % 400, random() % 2 == 0);
        train_on(std::vector{c}, states, *backend, control);
      }
      EXPECT_GT(rounds, 3);
      EXPECT_EQ(states.table.status, straight.table.status);
      EXPECT_EQ(states.table.updates, straight.table.updates);
      EXPECT_EQ(states.table.episodes, straight.table.episodes);
      EXPECT_EQ(states.table.steps, straight.table.steps);
      EXPECT_EQ(states.outcomes, straight.outcomes);
      for (std::size_t i = 0; i < straight.table.parameters.size(); ++i)
        EXPECT_TRUE(same_bits(states.table.parameters[i], straight.table.parameters[i], "parameter"));
      for (const QTrainingRecord& record : states.value_learners) EXPECT_TRUE(record.weight.empty());
    }
  }
}

// So few trainings are in the device at once that the host has room for those that a pause leaves there.
TEST(TeamBackend, LeavesNoMoreThanTheHostHasRoomFor) {
  const QTrainConfiguration c = small_dqn_population();
  ASSERT_GT(c.replicas, 2u);
  for (const double bytes : {1.0, 1e9}) {
    CudaOptions options;
    options.chunk = 8;
    options.bytes_of_left_trainings = bytes;
    DeviceBackend<HostWarps> backend(HostWarps(static_cast<std::uint32_t>(c.replicas), true, std::uint64_t{1} << 40),
                                     BackendInfo{"teams", "host", 1, ""}, options);
    StopToken pause{false};
    RunControl control;
    control.pause = &pause;
    control.progress = [&](std::uint64_t, std::uint64_t) { pause = true; };
    TrainingStates states = fresh_states(c, true);
    train_on(std::vector{c}, states, backend, control);
    const auto left = std::count_if(states.value_learners.begin(), states.value_learners.end(),
                                    [](const QTrainingRecord& record) { return !record.weight.empty(); });
    EXPECT_EQ(left, bytes == 1.0 ? 1 : static_cast<std::ptrdiff_t>(c.replicas));
  }
}

// Learners of both kinds side by side.
TEST(TeamBackend, TrainsBothKindsInOneRequest) {
  QTrainConfiguration replay = small_online_population();
  replay.training.learning.bootstrap = Bootstrap::semi_gradient;
  QTrainConfiguration online = replay;
  replay.training.batch = 4;
  replay.training.replay_capacity = 50;
  QTrainRequest request;
  request.trainings = {replay.training, online.training};
  request.ranges = {{5, 2, 1}, {1, 3, 0}, {100, 2, 1}};
  const Population a = team_backend(2, 5000)->train(request, {}), b = cpu_backend()->train(request, {});
  EXPECT_EQ(a.table.status, b.table.status);
  EXPECT_EQ(a.table.updates, b.table.updates);
  EXPECT_EQ(a.table.steps, b.table.steps);
  for (std::size_t i = 0; i < a.table.parameters.size(); ++i)
    EXPECT_TRUE(same_bits(a.table.parameters[i], b.table.parameters[i], "parameter"));
}

TEST(TeamBackend, StopsAndTells) {
  QTrainConfiguration c = small_dqn_population();
  StopToken stop{false};
  int calls = 0;
  const RunControl stopping = {&stop, [&](std::uint64_t, std::uint64_t) { stop = ++calls == 3; }};
  EXPECT_THROW(train(c, *team_backend(1, 32), stopping), Stopped);
  EXPECT_EQ(calls, 3);

  c.replicas = 1;
  std::vector<double> told;
  std::uint64_t last = 0;
  RunControl control;
  control.episodes = [&](std::uint64_t first, std::span<const std::uint32_t> outcomes) {
    EXPECT_EQ(first, told.size());
    told.insert(told.end(), outcomes.begin(), outcomes.end());
  };
  control.progress = [&](std::uint64_t finished, std::uint64_t) { last = finished; };
  const TrainResult r = train(c, *team_backend(3, 90), control);
  EXPECT_EQ(last, c.training.episodes);
  ASSERT_EQ(told.size(), r.curve.size());
  for (std::size_t e = 0; e < told.size(); ++e) EXPECT_EQ(told[e], r.curve[e].mean_return);
}

// Memory decides how many replicas are trained at a time; where there is none for one, the request is refused.
TEST(TeamBackend, TakesAsManyReplicasAtATimeAsFit) {
  QTrainConfiguration c = small_dqn_population();
  const std::uint64_t digest = train(c, *cpu_backend()).digest;
  EXPECT_EQ(train(c, *team_backend(50, 0, true, 80'000)).digest, digest);
  try {
    train(c, *team_backend(50, 0, true, 20'000));
    FAIL() << "a replica has more than 20 kB";
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("7 replicas need "), std::string::npos) << error.what();
  }
}

// ---- how memory is divided

// Of a multiprocessor that has so many bytes of shared memory, of which a block may have all but one kilobyte.
int teams_that_fit(std::size_t bytes, std::size_t shared) {
  constexpr std::size_t kReserved = 1024;
  return bytes + kReserved > shared ? 0 : static_cast<int>(shared / (bytes + kReserved));
}

// Every network has a plan on every generation, and one that fits.
TEST(QPlans, FitTheSharedMemoryOfEveryGeneration) {
  for (const std::size_t kilobytes : {64u, 100u, 164u, 228u}) {  // sm_75; 86, 89 and 120; 80; 90 and 100
    const std::size_t shared = kilobytes * 1024;
    for (const QNetworkShape& network :
         {QNetworkShape{1, 1}, {32, 32}, {64, 64}, {120, 84}, {128, 96}, {5, 256}, {256, 5}, {256, 256}}) {
      const QTeamShape shape(network);
      for (const QKind kind : {QKind::with_replay, QKind::online, QKind::evaluation}) {
        for (const std::uint32_t batch : {1u, 7u, 64u, 128u, 256u}) {
          SCOPED_TRACE(testing::Message() << kilobytes << " KB, " << network.hidden1 << '-' << network.hidden2 << ", kind "
                                          << static_cast<int>(kind) << ", batch " << batch);
          const auto resident = [&](const QPlan& plan) { return teams_that_fit(q_shared_bytes(kind, shape, plan), shared); };
          const QPlanChoice choice = choose_q_plan(kind, batch, resident);
          ASSERT_GE(choice.resident, 1);
          EXPECT_EQ(choice.resident, resident(choice.plan));
          EXPECT_EQ(choice.plan.chunk % 8, 0);
          EXPECT_GE(choice.plan.chunk, 8);
          EXPECT_LE(choice.plan.chunk, kMostChunk);
          if (kind == QKind::online && choice.plan.weights) {
            EXPECT_GE(choice.resident, kFewestFastWarps);
          }
        }
      }
    }
  }
}

// The usual network lies in shared memory as a whole, two replicas a multiprocessor, where there are 228 KB.
TEST(QPlans, TheUsualNetworkIsFast) {
  const QTeamShape shape(QNetworkShape{64, 64});
  const auto resident = [&](const QPlan& plan) {
    return teams_that_fit(q_shared_bytes(QKind::with_replay, shape, plan), 228 * 1024);
  };
  const QPlanChoice choice = choose_q_plan(QKind::with_replay, 128, resident);
  EXPECT_TRUE(choice.plan.weights);
  EXPECT_TRUE(choice.plan.gradient);
  EXPECT_EQ(choice.plan.chunk, kMostChunk);
  EXPECT_EQ(choice.resident, kWantedTeams);
}

}  // namespace
}  // namespace fryer::test
