// SPDX-License-Identifier: Apache-2.0
// The CUDA backend against the committed digests and against the CPU backend, bit for bit, and how it refuses. Without a GPU every
// test is skipped with the reason; the same logic on warps of host threads is tested in test_warp_bodies.cpp.
#include <gtest/gtest.h>

#include "host/driver.h"
#include "tests/engine/expect_equal.h"
#include "tests/engine/hidden_reference_runs.h"
#include "tests/engine/q_reference_runs.h"
#include "tests/engine/reference_runs.h"

namespace fryer::test {
namespace {

class CudaBackend : public testing::Test {
 protected:
  void SetUp() override {
    const std::string missing = cuda_unavailable_reason();
    if (!missing.empty()) GTEST_SKIP() << missing;
    gpu = make_cuda_backend(0, "a test asked for it");
    BackendChoice choice;
    choice.device = BackendChoice::Device::cpu;
    cpu = make_backend(choice);
  }
  std::unique_ptr<Backend> gpu, cpu;
};

TEST_F(CudaBackend, SaysWhatItIs) {
  EXPECT_EQ(gpu->info().device, "cuda:0");
  EXPECT_EQ(gpu->info().isa.substr(0, 3), "sm_");
  EXPECT_EQ(gpu->info().reason, "a test asked for it");
  const std::vector<DeviceReport> reports = list_cuda_devices();
  ASSERT_FALSE(reports.empty());
  EXPECT_EQ(reports[0].name, "cuda:0");
  EXPECT_TRUE(reports[0].available) << reports[0].detail;
  EXPECT_NE(reports[0].detail.find(gpu->info().isa), std::string::npos) << reports[0].detail;
}

TEST_F(CudaBackend, GivesTheReferenceDigests) {
  for (const ReferenceRun& run : reference_runs()) EXPECT_EQ(run.run(*gpu), run.digest) << run.name;
}
TEST_F(CudaBackend, GivesTheReferenceDigestsOfCartPole) {
  for (const CartPoleReferenceRun& run : cart_pole_reference_runs()) EXPECT_EQ(run.run(*gpu), run.digest) << run.name;
}
TEST_F(CudaBackend, GivesTheReferenceDigestsOfHiddenLayers) {
  for (const CartPoleReferenceRun& run : hidden_reference_runs()) EXPECT_EQ(run.run(*gpu), run.digest) << run.name;
}

// Sums of many episodes: every lane of the grid, several launches, counts across a multiple of 2^32.
TEST_F(CudaBackend, SumsManyEpisodesAsTheCpuDoes) {
  EpisodeWork work{};
  work.key = make_uniform_key(5);
  work.rules = {FryShack::make_rules({}), purpose_word(Purpose::action), 0.99f, -0.99f};
  const std::uint64_t count = (std::uint64_t{1} << 26) + 12345, first = (std::uint64_t{1} << 32) - (count / 3);
  work.fixed_point = make_fixed_point(count, 0.99f, -0.99f);
  const int digits = square_digits(0.99f, -0.99f);
  work.square_scale_bias = std::ldexp(1.0, digits - 48);
  work.square_scale_weight = std::ldexp(1.0, digits - 96);
  for (const float bias : {-7.0f, -200.0f}) {  // the second saturates: another kernel
    work.policy = {{20 * 0x1p-24f}, bias};
    for (const bool weight : {false, true}) {
      for (const Moments moments : {Moments::first, Moments::first_and_second}) {
        const GradientSums a = gpu->gradient(work, first, count, weight, moments, {});
        const GradientSums b = cpu->gradient(work, first, count, weight, moments, {});
        for (int i = 0; i < 2; ++i) {
          EXPECT_EQ(a.gradient[i], b.gradient[i]);
          EXPECT_TRUE(a.squared[i] == b.squared[i]);
        }
        EXPECT_EQ(a.correct, b.correct);
        EXPECT_EQ(a.episodes, b.episodes);
      }
    }
    for (const bool greedy : {false, true}) {
      work.greedy = greedy;
      EXPECT_EQ(gpu->evaluate(work, first, count, {}), cpu->evaluate(work, first, count, {}));
    }
    work.greedy = false;
  }
}

// Rows, curve, summaries and quantiles of populations that fill the GPU, with and without a threshold.
TEST_F(CudaBackend, TrainsPopulationsAsTheCpuDoes) {
  for (const bool until : {false, true}) {
    for (const std::uint64_t batch : {1u, 4u}) {
      TrainConfiguration c;
      c.batch = batch;
      c.updates = batch == 1 ? 280 : 100;
      c.replicas = 300'000;
      c.seed = (std::uint64_t{1} << 32) - 100'000;
      if (until) c.until = 0.3;
      if (batch == 4) c.problem.learn_weight = true;
      const TrainResult a = train(c, *gpu), b = train(c, *cpu);
      const std::string what = std::string(until ? "until" : "in step") + ", batch " + std::to_string(batch);
      SCOPED_TRACE(what);
      test::expect_equal(a, b);
    }
  }
}

// ---- CartPole

struct CartPoleCase {
  const char* name;
  CartPoleProblem problem;
};
// Fast and general programs, short and long episodes.
std::vector<CartPoleCase> cart_pole_cases() {
  CartPoleProblem random, balancing, odd, semi_implicit, wide, sutton;
  balancing.parameters = {0.3, 0.8, 9, 3, 0.05};
  odd.parameters = balancing.parameters;
  odd.environment.max_steps = 203;
  semi_implicit.environment.integrator = CartPole::Integrator::semi_implicit;
  semi_implicit.parameters = {-1, 0.5, 2, -0.25, -0.5};
  wide.environment.angle_limit = 1.2;
  wide.environment.start_range = 0.4;
  wide.reward_scale = 0.5;
  sutton.environment.sutton_barto_reward = true;
  sutton.environment.max_steps = 100;
  sutton.parameters = balancing.parameters;
  return {{"random", random},    {"balancing", balancing},
          {"203 steps", odd},    {"semi-implicit", semi_implicit},
          {"wide angles", wide}, {"Sutton and Barto's reward", sutton}};
}

TEST_F(CudaBackend, SumsManyCartPoleEpisodesAsTheCpuDoes) {
  for (const CartPoleCase& c : cart_pole_cases()) {
    CartPoleGradientConfiguration g;
    g.problem = c.problem;
    g.problem.gamma = 0.99;
    g.episodes = 300'007;
    const CartPoleGradientResult a = gradient(g, *gpu), b = gradient(g, *cpu);
    EXPECT_EQ(a.digest, b.digest) << c.name;
    EXPECT_EQ(a.steps, b.steps) << c.name;
    CartPoleEvaluateConfiguration e;
    e.problem = c.problem;
    e.episodes = 300'007;
    for (const bool greedy : {false, true}) {
      e.greedy = greedy;
      EXPECT_EQ(evaluate(e, *gpu).digest, evaluate(e, *cpu).digest) << c.name << (greedy ? ", greedy" : "");
    }
  }
}

// An update whose episodes are spread over the device, with scores and returns' moments.
TEST_F(CudaBackend, SpreadsCartPoleUpdatesAsTheCpuDoes) {
  for (const Baseline baseline : {Baseline::none, Baseline::constant, Baseline::mean, Baseline::standardize}) {
    CartPoleTrainConfiguration c;
    c.problem.baseline = baseline;
    c.problem.entropy_bonus = baseline == Baseline::mean ? 0.01 : 0;  // the general program
    c.batch = 20'000;
    c.updates = 12;
    EXPECT_EQ(train(c, *gpu).digest, train(c, *cpu).digest) << static_cast<int>(baseline);
  }
}

// Rows, curve, summaries and quantiles of trainings in lanes, ending in every way but failure, seeds across 2^32.
TEST_F(CudaBackend, TrainsCartPolePopulationsAsTheCpuDoes) {
  for (const Baseline baseline : {Baseline::none, Baseline::standardize}) {
    for (const bool until : {false, true}) {
      CartPoleTrainConfiguration c;
      c.problem.baseline = baseline;
      c.problem.environment.max_steps = until ? 200 : 102;  // not a multiple of four: the general program
      c.replicas = 20'000;
      c.updates = until ? 60 : 20;
      c.seed = (std::uint64_t{1} << 32) - 7'000;
      if (until) c.until = 150;
      const TrainResult a = train(c, *gpu), b = train(c, *cpu);
      const std::string what =
          std::string(until ? "until" : "all updates") + ", baseline " + std::to_string(static_cast<int>(baseline));
      SCOPED_TRACE(what);
      test::expect_equal(a, b);
    }
  }
}

// The first fall, which alone has a reward, ends a training: the same replicas fail after the same updates.
TEST_F(CudaBackend, FailsCartPoleTrainingsAsTheCpuDoes) {
  CartPoleTrainConfiguration c;
  c.problem.environment.sutton_barto_reward = true;
  c.problem.environment.max_steps = 24;
  c.optimizer.kind = OptimizerSettings::Kind::sgd;
  c.optimizer.learning_rate = 1e38;
  c.batch = 1;
  c.updates = 30;
  c.replicas = 5'000;
  const TrainResult a = train(c, *gpu), b = train(c, *cpu);
  EXPECT_EQ(a.digest, b.digest);
  EXPECT_EQ(a.failed.count, b.failed.count);
  EXPECT_EQ(a.failed.seed, b.failed.seed);
  EXPECT_GT(a.failed.count, 0u);
}

// ---- CartPole with a hidden layer

// The smallest and largest networks, both activations, both programs; with fixed parameters where episodes have one policy.
std::vector<CartPoleProblem> hidden_problems(bool with_parameters) {
  std::vector<CartPoleProblem> problems;
  for (const std::uint64_t units : {1u, 8u, 16u}) {
    for (const Activation activation : {Activation::tanh, Activation::sigmoid}) {
      for (const std::uint32_t max_steps : {200u, 102u}) {  // the latter not a multiple of four: the general program
        CartPoleProblem p;
        p.environment.max_steps = max_steps;
        p.hidden.units = units;
        p.hidden.activation = activation;
        if (with_parameters) {
          for (std::uint64_t i = 0; i < 6 * units + 1; ++i) {
            p.hidden.parameters.push_back(0.25 * static_cast<double>(i % 7) - 0.625);
          }
        }
        problems.push_back(p);
      }
    }
  }
  return problems;
}
std::string name_of(const CartPoleProblem& p) {
  return std::to_string(p.hidden.units) + (p.hidden.activation == Activation::tanh ? " tanh, " : " sigmoid, ") +
         std::to_string(p.environment.max_steps) + " steps";
}

TEST_F(CudaBackend, SumsEpisodesWithAHiddenLayerAsTheCpuDoes) {
  for (const CartPoleProblem& p : hidden_problems(true)) {
    CartPoleGradientConfiguration g;
    g.problem = p;
    g.episodes = 100'007;
    EXPECT_EQ(gradient(g, *gpu).digest, gradient(g, *cpu).digest) << name_of(p);
    CartPoleEvaluateConfiguration e;
    e.problem = p;
    e.episodes = 100'007;
    for (const bool greedy : {false, true}) {
      e.greedy = greedy;
      EXPECT_EQ(evaluate(e, *gpu).digest, evaluate(e, *cpu).digest) << name_of(p) << (greedy ? ", greedy" : "");
    }
  }
}

// Replicas in lanes, and one replica whose updates are spread over the device.
TEST_F(CudaBackend, TrainsHiddenLayersAsTheCpuDoes) {
  for (const CartPoleProblem& p : hidden_problems(false)) {
    for (const Baseline baseline : {Baseline::none, Baseline::standardize}) {
      CartPoleTrainConfiguration c;
      c.problem = p;
      c.problem.baseline = baseline;
      c.replicas = 5'000;
      c.updates = 12;
      c.seed = (std::uint64_t{1} << 32) - 2'000;
      if (p.environment.max_steps == 200) c.until = 30;
      const TrainResult a = train(c, *gpu), b = train(c, *cpu);
      const std::string what = name_of(p) + ", baseline " + std::to_string(static_cast<int>(baseline));
      SCOPED_TRACE(what);
      test::expect_equal(a, b);
      c.replicas = 1;
      c.batch = 5'000;
      c.updates = 4;
      EXPECT_EQ(train(c, *gpu).digest, train(c, *cpu).digest) << "one replica";
    }
  }
}

// ---- value learners

TEST_F(CudaBackend, GivesTheReferenceDigestsOfValueLearners) {
  for (const QReferenceRun& run : q_reference_runs()) EXPECT_EQ(run.run(*gpu), run.digest) << run.name;
}

// Networks and batches that fit no tile, in shared memory and beyond it; more replicas than run at once.
TEST_F(CudaBackend, TrainsValueLearnersOfAnyShapeAsTheCpuDoes) {
  for (const QNetworkShape shape : {QNetworkShape{1, 1}, {5, 3}, {33, 17}, {64, 64}, {128, 96}, {256, 256}}) {
    const bool large = shape.hidden1 > 64;
    for (const std::uint32_t batch : {1u, 7u, 128u, 250u}) {
      QTrainConfiguration c = small_dqn_population();
      QTrainingSettings& t = c.training;
      t.shape = shape;
      t.batch = batch;
      t.replay_capacity = 2 * batch + 40;
      t.warmup_steps = batch + 5;
      t.learning.bootstrap = batch == 7 ? Bootstrap::double_q : Bootstrap::target_network;
      t.learning.clip_norm = batch == 128 ? 0.5 : 10;
      t.episodes = large ? 2 : 6;
      c.replicas = large ? 20 : 700;
      EXPECT_EQ(train(c, *gpu).digest, train(c, *cpu).digest) << shape.hidden1 << '-' << shape.hidden2 << ", batch " << batch;
    }
    for (const Bootstrap bootstrap : {Bootstrap::residual, Bootstrap::semi_gradient}) {
      QTrainConfiguration c = small_online_population();
      c.training.shape = shape;
      c.training.learning.bootstrap = bootstrap;
      c.training.learning.clip_norm = bootstrap == Bootstrap::residual ? 0 : 1;
      c.training.epsilon = {EpsilonSettings::Schedule::exponential, 0.5, 0.02, 100};
      c.replicas = large ? 300 : 5000;
      EXPECT_EQ(train(c, *gpu).digest, train(c, *cpu).digest) << shape.hidden1 << '-' << shape.hidden2 << ", online";
    }
  }
}

// Curve, summaries and quantiles, with replicas that solve it, fail and do neither.
TEST_F(CudaBackend, TrainsPopulationsOfValueLearnersAsTheCpuDoes) {
  for (QTrainConfiguration c : {small_dqn_population(), small_online_population()}) {
    c.replicas = 2000;
    c.seed = (std::uint64_t{1} << 32) - 700;
    c.until = 11;
    c.training.episodes = 130;
    c.training.environment.max_steps = 25;
    const TrainResult a = train(c, *gpu), b = train(c, *cpu);
    test::expect_equal(a, b);
  }
}

TEST_F(CudaBackend, PlaysNetworksAsTheCpuDoes) {
  for (const QNetworkShape shape : {QNetworkShape{1, 1}, {5, 3}, {64, 64}, {256, 256}}) {
    CartPoleEvaluateConfiguration e;
    e.q_network.emplace();
    e.q_network->shape = shape;
    std::vector<float> parameters(static_cast<std::size_t>(shape.parameters()));
    initialise_q_network(shape, initial_bounds(Initialisation::torch, shape), 3, parameters.data());
    e.q_network->parameters.assign(parameters.begin(), parameters.end());
    e.episodes = 20'011;
    EXPECT_EQ(evaluate(e, *gpu).digest, evaluate(e, *cpu).digest) << shape.hidden1 << '-' << shape.hidden2;
  }
}

TEST_F(CudaBackend, StopsWhenAskedAndReportsProgress) {
  const StopToken stop{true};
  GradientConfiguration g;
  g.episodes = std::uint64_t{1} << 40;
  EXPECT_THROW(gradient(g, *gpu, {&stop, nullptr}), Stopped);
  CartPoleTrainConfiguration poles;
  poles.replicas = 1'000'000;
  EXPECT_THROW(train(poles, *gpu, {&stop, nullptr}), Stopped);
  TrainConfiguration c;
  c.replicas = 1'000'000;
  EXPECT_THROW(train(c, *gpu, {&stop, nullptr}), Stopped);
  std::uint64_t last = 0;
  train(c, *gpu, {nullptr, [&](std::uint64_t finished, std::uint64_t planned) {
                    EXPECT_GE(finished, last);
                    EXPECT_EQ(planned, c.replicas * c.updates);
                    last = finished;
                  }});
  EXPECT_EQ(last, c.replicas * c.updates);
}

// Refused before anything starts, with the bytes; the backend works on.
TEST_F(CudaBackend, RefusesWhatDoesNotFitInMemory) {
  const AdamTable table(OptimizerSettings{}, 10);
  TrainRequest request{};
  request.work.rules = {FryShack::make_rules({}), purpose_word(Purpose::action), 1.0f, -1.0f};
  request.work.fixed_point = make_fixed_point(1, 1.0f, -1.0f);
  request.work.updates = 10;
  request.work.batch = 1;
  request.work.table_last = 9;
  request.table = &table;
  request.replicas = std::uint64_t{1} << 41;
  try {
    gpu->train(request, {});
    FAIL() << "2^41 replicas";
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("out of memory on cuda:0: 2199023255552 replicas need "), std::string::npos)
        << error.what();
  }
  request.replicas = 1000;
  EXPECT_EQ(gpu->train(request, {}).table.size(), 1000u);
}

TEST(CudaDevices, ThatAreNotThereAreRefused) {
  const std::string missing = cuda_unavailable_reason();
  for (const int device : {-1, 99}) {
    try {
      make_cuda_backend(device, "");
      FAIL() << device;
    } catch (const DeviceError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find(missing.empty() ? "--device cuda:" + std::to_string(device) : missing), std::string::npos) << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    }
  }
  EXPECT_EQ(list_cuda_devices().empty(), !missing.empty());
}

}  // namespace
}  // namespace fryer::test
