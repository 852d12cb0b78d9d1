// SPDX-License-Identifier: Apache-2.0
// The bodies of CartPole's CUDA kernels on warps of 32 host threads against the scalar executor, bit for bit: every sum, count, row and
// curve value, whatever the number of warps, the split into launches and the odd ends of the work. Then the CUDA backend itself, with
// these warps in the place of a GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "fryer/engine/api.h"
#include "host/lane_executor.h"
#include "tests/engine/effort.h"
#include "tests/engine/expect_equal.h"
#include "tests/kernels/host_warp.h"

namespace fryer::test {
namespace {

std::unique_ptr<Backend> warp_backend(std::uint32_t warps, const CudaOptions& options = {}, bool local_counts = true,
                                      std::uint64_t free_bytes = std::uint64_t{1} << 40) {
  BackendInfo info;
  info.device = "warps of threads";
  return std::make_unique<DeviceBackend<HostWarps>>(HostWarps(warps, local_counts, free_bytes), info, options);
}
std::unique_ptr<Backend> scalar_backend() {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.isa = "scalar";
  choice.threads = 1;
  return make_backend(choice);
}

CartPole::Settings settings(std::uint32_t max_steps) {
  CartPole::Settings s;
  s.max_steps = max_steps;
  return s;
}

CartPoleGame make_game(const CartPole::Settings& s, double gamma, bool general, double reward_scale = 1,
                       double entropy_bonus = 0) {
  CartPoleGame game{};
  game.rules = CartPole::make_rules<float>(s);
  game.reset_word = purpose_word(Purpose::reset);
  game.action_word = purpose_word(Purpose::action);
  game.max_steps = s.max_steps;
  game.gamma = static_cast<float>(gamma);
  game.gamma_squared = static_cast<float>(gamma * gamma);
  game.unit_inside = s.sutton_barto_reward ? 0.0f : 1.0f;
  game.unit_outside = s.sutton_barto_reward ? -1.0f : 1.0f;
  game.reward_inside = static_cast<float>(reward_scale) * game.unit_inside;
  game.reward_outside = static_cast<float>(reward_scale) * game.unit_outside;
  game.entropy_bonus = static_cast<float>(entropy_bonus);
  game.general = general;
  return game;
}

// ---- episodes

constexpr std::uint64_t kSeed = 0x123456789abcdefull;
constexpr SigmoidPolicy<float, 4> kRandomPolicy = {{0, 0, 0, 0}, 0};
constexpr SigmoidPolicy<float, 4> kBalancingPolicy = {{0.3f, 0.8f, 9, 3}, 0.05f};
constexpr SigmoidPolicy<float, 4> kSteepPolicy = {{20, 60, 900, 300}, 0.05f};
constexpr SigmoidPolicy<float, 4> kClumsyPolicy = {{-1, 0.5f, 2, -0.25f}, -0.5f};

struct EpisodeCase {
  const char* name;
  CartPoleWork work;
};

EpisodeCase episode_case(const char* name, const CartPole::Settings& s, const CartPoleGame& game,
                         const SigmoidPolicy<float, 4>& policy) {
  CartPoleWork work{};
  work.key = make_uniform_key(kSeed);
  work.game = game;
  work.policy = policy;
  work.fixed_point = make_fixed_point(s, game, static_cast<double>(game.gamma), 2000);
  return {name, work};
}

std::vector<EpisodeCase> episode_cases() {
  const CartPole::Settings usual = settings(500), brief = settings(20), odd = settings(23);
  CartPole::Settings semi_implicit = settings(60), wide = settings(90), sutton = settings(40);
  semi_implicit.integrator = CartPole::Integrator::semi_implicit;
  wide.angle_limit = 1.2;
  wide.start_range = 0.4;
  sutton.sutton_barto_reward = true;
  std::vector<EpisodeCase> cases = {
      episode_case("random", usual, make_game(usual, 0.99, false), kRandomPolicy),
      episode_case("logits that are clamped", usual, make_game(usual, 0.99, false), kSteepPolicy),
      episode_case("clumsy, general program", usual, make_game(usual, 0.99, true), kClumsyPolicy),
      episode_case("balancing, to the limit of steps", brief, make_game(brief, 0.9, false, 0.5), kBalancingPolicy),
      episode_case("the same, general program", brief, make_game(brief, 0.9, true, 0.5), kBalancingPolicy),
      episode_case("a limit within a block", odd, make_game(odd, 1, true), kBalancingPolicy),
      episode_case("semi-implicit", semi_implicit, make_game(semi_implicit, 0.95, true), kClumsyPolicy),
      episode_case("wide angles, entropy", wide, make_game(wide, 0.97, true, -2, 0.125), kClumsyPolicy),
      episode_case("Sutton and Barto's reward", sutton, make_game(sutton, 0.99, true, 3), kBalancingPolicy),
  };
  return cases;
}

template <class Policy>
void expect_equal(const CartPoleSumsOf<Policy>& a, const CartPoleSumsOf<Policy>& b) {
  for (int i = 0; i < Policy::kParameters; ++i) {
    EXPECT_EQ(a.gradient[i], b.gradient[i]) << i;
    EXPECT_EQ(a.score[i], b.score[i]) << i;
    EXPECT_TRUE(a.squared[i] == b.squared[i]) << i;
  }
  EXPECT_EQ(a.return_sum, b.return_sum);
  EXPECT_EQ(a.return_square, b.return_square);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.terminated, b.terminated);
  EXPECT_EQ(a.episodes, b.episodes);
  EXPECT_TRUE(a.steps_squared == b.steps_squared);
}

constexpr CartPoleTask kTasks[] = {CartPoleTask::gradient, CartPoleTask::gradient_and_squares, CartPoleTask::gradient_and_scores};
constexpr std::uint64_t kHighWord = std::uint64_t{5} << 32;

TEST(CartPoleBodies, GradientEqualsTheScalarExecutor) {
  for (const EpisodeCase& c : episode_cases()) {
    for (const CartPoleTask task : kTasks) {
      for (const auto& [count, warps] : {std::pair{1u, 1u}, std::pair{97u, 1u}, std::pair{33u, 3u}, std::pair{205u, 3u}}) {
        if (little_effort() && count > 100) continue;
        const std::uint64_t first = kHighWord + (count == 97 ? (std::uint64_t{1} << 32) - count : 7);
        CartPoleSums expected;
        scalar::lane_executor().cart_pole_gradient(c.work, first, count, task, expected);
        SCOPED_TRACE(testing::Message() << c.name << ", task " << static_cast<int>(task) << ", " << count << " episodes, "
                                        << warps << " warps");
        expect_equal(warp_backend(warps)->gradient(c.work, first, count, task, {}), expected);
      }
    }
  }
}

TEST(CartPoleBodies, EvaluationEqualsTheScalarExecutor) {
  for (EpisodeCase c : episode_cases()) {
    c.work.game.reset_word = purpose_word(Purpose::evaluation_reset);
    c.work.game.action_word = purpose_word(Purpose::evaluation_action);
    for (const bool greedy : {false, true}) {
      c.work.game.greedy = greedy;
      for (const auto& [count, warps] : {std::pair{65u, 1u}, std::pair{130u, 3u}}) {
        std::vector<std::uint64_t> expected(outcome_count(c.work.game.max_steps));
        scalar::lane_executor().cart_pole_evaluate(c.work, kHighWord, count, expected.data());
        EXPECT_EQ(warp_backend(warps, {}, warps == 1)->evaluate(c.work, kHighWord, count, {}), expected)
            << c.name << (greedy ? ", greedy, " : ", ") << warps << " warps";
      }
    }
  }
}

// Which kernel a policy gets: usual ones the cheaper, unless a logit may be clamped.
TEST(CartPoleBodies, PoliciesWhoseLogitsAreBounded) {
  const CartPole::Settings usual = settings(500);
  const auto bounded = [&](const SigmoidPolicy<float, 4>& policy, bool general = false) {
    return is_bounded(episode_case("", usual, make_game(usual, 0.99, general), policy).work);
  };
  for (const auto& policy : {kRandomPolicy, kBalancingPolicy, kClumsyPolicy}) {
    EXPECT_TRUE(bounded(policy));
    EXPECT_FALSE(bounded(policy, true));
  }
  EXPECT_FALSE(bounded(kSteepPolicy));
  EXPECT_TRUE(bounded({{0, 0, 0, 0}, 68}));
  EXPECT_FALSE(bounded({{0, 0, 0, 0}, 70}));
  EXPECT_FALSE(bounded({{0, 0, 0, 0}, std::numeric_limits<float>::quiet_NaN()}));
  CartPole::Settings fine = usual;
  fine.dt = 1e-6;  // too many steps for the bound's margin of rounding
  EXPECT_FALSE(is_bounded(episode_case("", fine, make_game(fine, 0.99, false), kBalancingPolicy).work));
  EXPECT_TRUE(is_bounded(episode_case("", fine, make_game(fine, 0.99, false), {{1, 0, 1, 0}, 1}).work));
}

// The cases above do end in every way.
TEST(CartPoleBodies, EpisodesAreTerminatedAndTruncated) {
  std::uint64_t terminated = 0, truncated = 0;
  for (const EpisodeCase& c : episode_cases()) {
    CartPoleSums sums;
    scalar::lane_executor().cart_pole_gradient(c.work, 0, 200, CartPoleTask::gradient, sums);
    terminated += sums.terminated;
    truncated += sums.episodes - sums.terminated;
  }
  EXPECT_GT(terminated, 100u);
  EXPECT_GT(truncated, 100u);
}

// Ranges across multiples of 2^32, in launches of a few episodes.
TEST(CartPoleBodies, EpisodeRangesAreCutAtTheNumbersHighWord) {
  const CartPoleWork work = episode_cases()[2].work;
  CudaOptions options;
  options.chunk = 70;
  const std::unique_ptr<Backend> warps = warp_backend(2, options), scalar = scalar_backend();
  for (const std::uint64_t first : {(std::uint64_t{1} << 32) - 100, ~std::uint64_t{0} - 149}) {
    expect_equal(warps->gradient(work, first, 150, CartPoleTask::gradient_and_squares, {}),
                 scalar->gradient(work, first, 150, CartPoleTask::gradient_and_squares, {}));
    EXPECT_EQ(warps->evaluate(work, first, 150, {}), scalar->evaluate(work, first, 150, {}));
  }
}

// ---- the queue of start states

// Every position is dealt out once, in order, and the warps' positions before their ends are all of the range's episodes.
TEST(CartPoleBodies, StartQueueDealsOutEveryEpisodeOnce) {
  const CartPoleWork work = episode_cases()[0].work;
  for (const std::uint64_t count : {1u, 32u, 33u, 64u, 100u, 129u, 1000u}) {
    constexpr std::uint32_t warps = 3;
    std::vector<std::vector<std::uint32_t>> played(warps * kWarpLanes);
    std::vector<StartMemory> starts(warps);
    run_warps(warps, [&](const HostWarp& warp, WarpPlace place) {
      StartQueue<HostWarp, LinearPolicy> queue(warp, place, work, work.key, {7, 1, count}, starts[place.warp]);
      std::uint32_t position = 0;
      bool wants = true;
      for (std::uint32_t turn = 0;; ++turn) {
        const std::uint32_t next = queue.take(warp.ballot(wants));
        if (wants) position = next;
        if (wants && position < queue.end()) {
          played[place.warp * kWarpLanes + warp.lane()].push_back(queue.number(position));
          float state[4], expected[4];
          queue.start(position, state);
          CartPole::start<float>(
              work.game.rules, random_block(kSeed, Purpose::reset, (std::uint64_t{1} << 32) + queue.number(position)), expected);
          for (int i = 0; i < 4; ++i) EXPECT_EQ(state[i], expected[i]);
        }
        wants = turn % 5 == 0 || (turn * 2654435761u >> (warp.lane() % 8) & 1) != 0;  // all lanes, or some
        if (!warp.any(position < queue.end())) break;
      }
    });
    std::vector<std::uint32_t> all;
    for (const auto& numbers : played) all.insert(all.end(), numbers.begin(), numbers.end());
    std::sort(all.begin(), all.end());
    ASSERT_EQ(all.size(), count);
    for (std::uint32_t i = 0; i < count; ++i) EXPECT_EQ(all[i], 7 + i);
  }
}

// ---- replicas

template <class Policy>
struct TrainingCaseOf {
  std::string name;
  CartPoleTrainRequestOf<Policy> request;  // of one training and one range of seeds
  std::shared_ptr<AdamTable> table;
  CartPoleTrainingOf<Policy>& settings() { return request.trainings[0]; }
  const CartPoleTrainingOf<Policy>& settings() const { return request.trainings[0]; }
};
using TrainingCase = TrainingCaseOf<LinearPolicy>;
using HiddenTrainingCase = TrainingCaseOf<HiddenLayerPolicy>;

struct Stop {
  std::uint32_t window;
  double mean_outcome;
};

template <class Policy>
TrainingCaseOf<Policy> training_of(const std::string& name, const CartPole::Settings& s, bool general,
                                   const typename Policy::Shape& shape, Baseline baseline, std::uint32_t batch,
                                   std::uint32_t updates, double learning_rate, Stop stop, double entropy_bonus) {
  OptimizerSettings optimizer;
  optimizer.learning_rate = learning_rate;
  if (batch == 1) optimizer.kind = OptimizerSettings::Kind::sgd;
  TrainingCaseOf<Policy> c;
  c.name = name;
  c.table = std::make_shared<AdamTable>(optimizer, updates / 2 + 1);  // later updates take its last entry
  CartPoleReplicaWorkOf<Policy>& work = c.request.work;
  work.shape = shape;
  work.game = make_game(s, 0.99, general, 1, entropy_bonus);
  work.fixed_point = make_fixed_point<Policy>(s, work.game, 0.99, batch, shape);
  work.track = track_of(baseline);
  work.batch = batch;
  CartPoleTrainingOf<Policy> t{};
  t.baseline = baseline;
  t.baseline_value = 5.5;
  t.optimizer = make_optimizer_constants<float>(optimizer);
  t.optimizer_kind = optimizer.kind;
  t.updates = updates;
  t.step = c.table->step.data();
  t.root_scale = c.table->root_scale.data();
  t.table_last = static_cast<std::uint32_t>(c.table->step.size() - 1);
  t.window = stop.window;
  t.window_target = static_cast<std::uint64_t>(std::ceil(stop.mean_outcome * stop.window * batch));
  c.request.trainings = {t};
  c.request.ranges = {{(std::uint64_t{3} << 32) + 11, 1, 0}};
  return c;
}

TrainingCase training(const std::string& name, const CartPole::Settings& s, bool general, Baseline baseline, std::uint32_t batch,
                      std::uint32_t updates, double learning_rate, Stop stop, double entropy_bonus = 0) {
  TrainingCase c = training_of<LinearPolicy>(name, s, general, {}, baseline, batch, updates, learning_rate, stop, entropy_bonus);
  c.settings().initial.parameter[2] = 0.5f;
  c.settings().initial.parameter[4] = -0.25f;
  return c;
}

std::vector<TrainingCase> training_cases() {
  const CartPole::Settings brief = settings(40), odd = settings(30);
  CartPole::Settings sutton = settings(24), semi_implicit = settings(28);
  sutton.sutton_barto_reward = true;
  semi_implicit.integrator = CartPole::Integrator::semi_implicit;
  return {
      training("plain", brief, false, Baseline::none, 3, 6, 0.2, {0, 0}),
      training("plain, general program", brief, true, Baseline::none, 3, 6, 0.2, {0, 0}),
      training("SGD, batch 1", brief, false, Baseline::none, 1, 12, 0.01, {0, 0}),
      training("until", brief, false, Baseline::none, 3, 9, 0.3, {2, 21}),
      training("until, standardised", brief, false, Baseline::standardize, 4, 8, 0.3, {3, 22}),
      training("constant baseline, a limit within a block", odd, true, Baseline::constant, 2, 6, 0.2, {2, 25}),
      training("mean, entropy", semi_implicit, true, Baseline::mean, 2, 6, 0.2, {0, 0}, 0.01),
      training("Sutton and Barto's reward", sutton, true, Baseline::none, 3, 8, 0.3, {2, 0.6}),
      training("a window longer than the training", brief, false, Baseline::mean, 2, 4, 0.2, {9, 1}),
      training("all fail at once", brief, false, Baseline::none, 2, 5, 1e38, {0, 0}),
      training("all that fall fail", sutton, true, Baseline::none, 1, 8, 1e38, {5, 1}),
  };
}

// Everything that a training of a range leaves behind.
struct Trained {
  std::vector<std::uint8_t> status;
  std::vector<std::uint32_t> updates, outcome;
  std::vector<std::uint64_t> steps, curve;
  std::vector<std::vector<float>> parameter;

  Trained(std::uint64_t replicas, std::uint64_t made, int parameters)
      : status(replicas, 9),
        updates(replicas, 9),
        outcome(replicas * made, 0xffffffffu),
        steps(replicas, 9),
        curve(4 * made),
        parameter(static_cast<std::size_t>(parameters), std::vector<float>(replicas)) {}
  template <class Policy>
  CartPoleRowMemoryOf<Policy> rows() {
    CartPoleRowMemoryOf<Policy> r = {status.data(), updates.data(), steps.data(), {},     outcome.data(),
                                     status.size(), nullptr,        nullptr,      nullptr};
    for (std::size_t i = 0; i < parameter.size(); ++i) r.parameter[i] = parameter[i].data();
    return r;
  }
  CartPoleCurveMemory curves() {
    const auto column = [&](std::size_t i) { return curve.data() + i * (curve.size() / 4); };
    return {column(0), column(1), column(2), column(3)};
  }
  void expect_equal(const Trained& other) const {
    EXPECT_EQ(status, other.status);
    EXPECT_EQ(updates, other.updates);
    EXPECT_EQ(steps, other.steps);
    EXPECT_EQ(outcome, other.outcome);  // also that nothing was written past a replica's end
    EXPECT_EQ(curve, other.curve);
    for (std::size_t i = 0; i < parameter.size(); ++i) {
      for (std::size_t r = 0; r < status.size(); ++r) {
        ASSERT_EQ(to_bits(parameter[i][r]), to_bits(other.parameter[i][r])) << i << " of replica " << r;
      }
    }
  }
};

auto train_program(const CartPoleReplicaWork&) { return scalar::lane_executor().cart_pole_train; }
auto train_program(const HiddenReplicaWork&) { return scalar::lane_executor().hidden_train; }

template <class Policy>
Trained train_scalar(const TrainingCaseOf<Policy>& c, std::uint64_t replicas) {
  const CartPoleTrainingOf<Policy>& training = c.settings();
  Trained t(replicas, training.updates, c.request.work.shape.parameters());
  std::vector<std::uint64_t> scratch(scalar::lane_executor().cart_pole_replica_lanes * std::size_t{training.window} + 1);
  std::uint64_t next = 0, finished = 0;
  const auto r = t.rows<Policy>();
  const CartPoleCurveMemory curve = t.curves();
  const CartPoleRows rows = {r.status, r.updates, r.steps, r.parameter, r.outcome, r.stride, nullptr, nullptr, nullptr};
  const ReplicaGroup group = {0, c.request.ranges[0].first_seed, 0};
  train_program(c.request.work)(c.request.work, {&training, &group, 1, training.window}, {replicas, &next, &finished}, 1, rows,
                                {curve.count, curve.outcome, curve.square_high, curve.square_low}, scratch.data(),
                                {[](const void*) { return false; }, nullptr});
  EXPECT_EQ(finished, replicas * training.updates);
  return t;
}

// blocks: that each lane plays in a launch.
template <class Policy>
Trained train_in_warps(const TrainingCaseOf<Policy>& c, std::uint64_t replicas, std::uint32_t warps, std::uint32_t blocks) {
  const CartPoleTrainingOf<Policy>& training = c.settings();
  const std::uint64_t first_seed = c.request.ranges[0].first_seed;
  Trained t(replicas, training.updates, c.request.work.shape.parameters());
  HostWarps device(warps);
  const std::uint64_t lanes = std::uint64_t{warps} * kWarpLanes;
  const HostWarps::Buffer<CartPoleWarpMemoryOf<Policy>> memory(warps);
  const HostWarps::Buffer<std::uint32_t> ring(lanes * training.window);
  const ReplicaGroup group = {0, first_seed, 0};
  std::uint64_t next = 0, running = 0;
  CartPoleLaunchOf<Policy> launch{};
  launch.training = &training;
  launch.group = &group;
  launch.groups = 1;
  launch.seed_high = static_cast<std::uint32_t>(first_seed >> 32);
  const UniformKey key = make_uniform_key(first_seed);
  std::copy(std::begin(key.high), std::end(key.high), launch.key_high);
  launch.replicas = static_cast<std::uint32_t>(replicas);
  launch.next = &next;
  launch.running = &running;
  launch.blocks = blocks;
  launch.rows = t.rows<Policy>();
  launch.curve = t.curves();
  launch.lanes = memory.data();
  launch.ring = ring.data();
  do {
    running = 0;
    device.launch_train(c.request.work, launch, lanes);
    launch.resume = true;
  } while (running != 0);
  EXPECT_GE(next, replicas);
  return t;
}

TEST(CartPoleBodies, TrainingEqualsTheScalarExecutor) {
  for (const TrainingCase& c : training_cases()) {
    const Trained expected = train_scalar(c, 65);
    for (const auto& [warps, blocks] :
         {std::pair{1u, 1u << 20}, std::pair{1u, 13u}, std::pair{3u, 1u << 20}, std::pair{3u, 30u}}) {
      if (little_effort() && blocks > 100) continue;
      SCOPED_TRACE(testing::Message() << c.name << ", " << warps << " warps, " << blocks << " blocks a launch");
      train_in_warps(c, 65, warps, blocks).expect_equal(expected);
    }
  }
}

TEST(CartPoleBodies, TrainingOfAnyNumberOfReplicas) {
  const TrainingCase c = training_cases()[4];
  for (const std::uint64_t replicas : {1u, 31u, 32u, 33u, 100u}) {
    SCOPED_TRACE(replicas);
    train_in_warps(c, replicas, 2, 17).expect_equal(train_scalar(c, replicas));
  }
}

// A launch ends after so many blocks of each lane, whatever its episodes do.
TEST(CartPoleBodies, LaunchesOfOneBlock) {
  const TrainingCase c = training("one block", settings(8), false, Baseline::standardize, 2, 2, 0.2, {0, 0});
  train_in_warps(c, 40, 1, 1).expect_equal(train_scalar(c, 40));
}

// The cases above do finish, solve, fail at once and fail later.
TEST(CartPoleBodies, CasesCoverEveryEnding) {
  std::array<int, 4> endings{};
  for (const TrainingCase& c : training_cases()) {
    const Trained t = train_scalar(c, 65);
    for (std::size_t i = 0; i < 65; ++i) {
      ++endings[t.status[i]];
      if (t.status[i] == static_cast<std::uint8_t>(ReplicaStatus::failed)) {
        for (const std::vector<float>& parameter : t.parameter) EXPECT_EQ(to_bits(parameter[i]), kFailedParameterBits);
        if (t.updates[i] > 1) ++endings[3];
      }
    }
  }
  EXPECT_TRUE(std::all_of(endings.begin(), endings.end(), [](int n) { return n > 5; }))
      << endings[0] << " finished, " << endings[1] << " solved, " << endings[2] << " failed, " << endings[3] << " of them later";
}

// ---- a policy with a hidden layer

constexpr HiddenShape<4> kShapes[] = {{1, Activation::tanh}, {1, Activation::sigmoid}, {8, Activation::sigmoid},
                                      {8, Activation::tanh}, {16, Activation::tanh},   {16, Activation::sigmoid}};

std::string name_of(const HiddenShape<4>& shape) {
  return std::to_string(shape.units) + (shape.activation == Activation::tanh ? " tanh" : " sigmoid");
}

// Balances about as well as the linear policy of that name, with every parameter at work.
HiddenWork hidden_work(const HiddenShape<4>& shape, const CartPole::Settings& s, const CartPoleGame& game) {
  HiddenWork work{};
  work.key = make_uniform_key(kSeed);
  work.game = game;
  work.policy.network = shape;
  float* const parameter = work.policy.parameter;
  for (int j = 0; j < shape.units; ++j) {
    const float sign = j % 2 == 0 ? 1.0f : -1.0f, size = sign / (1 + 0.25f * static_cast<float>(j));
    for (int i = 0; i < 4; ++i) parameter[shape.weight(j, i)] = size * (i == 2 ? 6.0f : 0.5f * static_cast<float>(i));
    parameter[shape.bias(j)] = 0.0625f * static_cast<float>(j % 5 - 2);
    parameter[shape.output_weight(j)] = 4 * sign / static_cast<float>(shape.units);
  }
  parameter[shape.output_bias()] = shape.activation == Activation::tanh ? -0.125f : -2.0f * static_cast<float>(shape.units % 2);
  work.fixed_point = make_fixed_point<HiddenLayerPolicy>(s, game, static_cast<double>(game.gamma), 2000, shape,
                                                         parameter + shape.output_weight(0));
  return work;
}

struct HiddenCase {
  std::string name;
  HiddenWork work;
};
// Both programs, with an entropy bonus too; limits of steps on and within a block.
std::vector<HiddenCase> hidden_cases() {
  const CartPole::Settings brief = settings(40), odd = settings(39);
  std::vector<HiddenCase> cases;
  for (const HiddenShape<4>& shape : kShapes) {
    const bool general = shape.activation == Activation::sigmoid;
    cases.push_back({name_of(shape), hidden_work(shape, brief, make_game(brief, 0.97, false))});
    cases.push_back({name_of(shape) + ", general program",
                     hidden_work(shape, odd, make_game(odd, 0.97, true, general ? -2 : 1, general ? 0.125 : 0))});
  }
  return cases;
}

TEST(HiddenBodies, GradientEqualsTheScalarExecutor) {
  std::uint64_t terminated = 0, truncated = 0;
  for (const HiddenCase& c : hidden_cases()) {
    for (const CartPoleTask task : kTasks) {
      const std::uint64_t first = kHighWord + 7, count = 75;
      HiddenSums expected;
      scalar::lane_executor().hidden_gradient(c.work, first, count, task, expected);
      SCOPED_TRACE(testing::Message() << c.name << ", task " << static_cast<int>(task));
      expect_equal(warp_backend(2)->gradient(c.work, first, count, task, {}), expected);
      EXPECT_NE(expected.gradient[c.work.policy.shape().output_bias()], 0);
      terminated += expected.terminated;
      truncated += expected.episodes - expected.terminated;
    }
  }
  EXPECT_GT(terminated, 500u);
  EXPECT_GT(truncated, 500u);
}

TEST(HiddenBodies, EvaluationEqualsTheScalarExecutor) {
  for (HiddenCase c : hidden_cases()) {
    c.work.game.reset_word = purpose_word(Purpose::evaluation_reset);
    c.work.game.action_word = purpose_word(Purpose::evaluation_action);
    for (const bool greedy : {false, true}) {
      c.work.game.greedy = greedy;
      std::vector<std::uint64_t> expected(outcome_count(c.work.game.max_steps));
      scalar::lane_executor().hidden_evaluate(c.work, kHighWord, 97, expected.data());
      EXPECT_EQ(warp_backend(2, {}, c.work.game.general)->evaluate(c.work, kHighWord, 97, {}), expected)
          << c.name << (greedy ? ", greedy" : "");
    }
  }
}

HiddenTrainingCase hidden_training(const HiddenShape<4>& shape, bool general, Baseline baseline, std::uint32_t batch,
                                   std::uint32_t updates, double learning_rate, Stop stop, double entropy_bonus = 0) {
  const CartPole::Settings s = settings(general ? 30 : 32);
  const std::string name = name_of(shape) + (general ? ", general program, " : ", ") + "baseline " +
                           std::to_string(static_cast<int>(baseline)) + ", batch " + std::to_string(batch);
  HiddenTrainingCase c =
      training_of<HiddenLayerPolicy>(name, s, general, shape, baseline, batch, updates, learning_rate, stop, entropy_bonus);
  InitialParameters<HiddenLayerPolicy>& initial = c.settings().initial;
  initial.from_seed = true;
  initial.hidden = initial_bounds(Initialisation::torch, CartPole::kObservations, shape.units);
  initial.output = initial_bounds(Initialisation::torch, shape.units, 1);
  return c;
}

std::vector<HiddenTrainingCase> hidden_training_cases() {
  HiddenTrainingCase given = hidden_training(kShapes[2], false, Baseline::mean, 2, 5, 0.1, {0, 0});
  given.name += ", parameters given";
  given.settings().initial.from_seed = false;
  for (int i = 0; i < kShapes[2].parameters(); ++i)
    given.settings().initial.parameter[i] = 0.125f * static_cast<float>(i % 7 - 3);
  return {hidden_training(kShapes[0], false, Baseline::none, 3, 6, 0.1, {0, 0}),
          hidden_training(kShapes[1], true, Baseline::standardize, 2, 6, 0.2, {2, 23}),
          hidden_training(kShapes[3], false, Baseline::standardize, 3, 6, 0.1, {2, 24}),
          hidden_training(kShapes[2], true, Baseline::mean, 2, 5, 0.1, {0, 0}, 0.01),
          hidden_training(kShapes[4], false, Baseline::none, 1, 8, 0.01, {3, 22}),
          hidden_training(kShapes[5], true, Baseline::constant, 2, 5, 0.1, {2, 24}),
          hidden_training(kShapes[4], false, Baseline::none, 2, 4, 1e38, {0, 0}),
          given};
}

TEST(HiddenBodies, TrainingEqualsTheScalarExecutor) {
  std::array<int, 3> endings{};
  for (const HiddenTrainingCase& c : hidden_training_cases()) {
    const Trained expected = train_scalar(c, 45);
    for (const auto& [warps, blocks] : {std::pair{1u, 13u}, std::pair{2u, 1u << 20}}) {
      if (little_effort() && blocks > 100) continue;
      SCOPED_TRACE(testing::Message() << c.name << ", " << warps << " warps, " << blocks << " blocks a launch");
      train_in_warps(c, 45, warps, blocks).expect_equal(expected);
    }
    for (const std::uint8_t status : expected.status) ++endings[status];
  }
  EXPECT_TRUE(std::all_of(endings.begin(), endings.end(), [](int n) { return n > 5; }))
      << endings[0] << " finished, " << endings[1] << " solved, " << endings[2] << " failed";
}

TEST(HiddenBodies, EpisodeRangesAreCutAtTheNumbersHighWord) {
  const HiddenWork work = hidden_cases()[4].work;
  CudaOptions options;
  options.chunk = 70;
  const std::unique_ptr<Backend> warps = warp_backend(2, options), scalar = scalar_backend();
  const std::uint64_t first = (std::uint64_t{1} << 32) - 50;
  expect_equal(warps->gradient(work, first, 100, CartPoleTask::gradient_and_squares, {}),
               scalar->gradient(work, first, 100, CartPoleTask::gradient_and_squares, {}));
  EXPECT_EQ(warps->evaluate(work, first, 100, {}), scalar->evaluate(work, first, 100, {}));
}

// ---- the CUDA backend on these warps

// Curves, summaries and quantiles too; seeds across a multiple of 2^32, in several launches.
template <class Policy>
void expect_the_cpus_population(TrainingCaseOf<Policy> c) {
  SCOPED_TRACE(c.name);
  CudaOptions options;
  options.chunk = 20'000;
  c.request.ranges = {{(std::uint64_t{1} << 32) - 41, 70, 0}};
  c.request.detail.curve_quantiles = c.request.detail.outcomes = true;
  const Population expected = scalar_backend()->train(c.request, {}), got = warp_backend(2, options)->train(c.request, {});
  test::expect_equal(got, expected);
}

TEST(CartPoleWarpBackend, GivesTheCpusPopulation) {
  for (const TrainingCase& c : training_cases()) {
    if (c.settings().window != 0 || c.name == "all fail at once") expect_the_cpus_population(c);
  }
}

TEST(HiddenWarpBackend, GivesTheCpusPopulation) {
  for (const HiddenTrainingCase& c : hidden_training_cases()) {
    if (c.settings().window != 0) expect_the_cpus_population(c);
  }
}

// A whole configuration, as users give it: a replica a lane, then an update's episodes spread over the lanes.
TEST(HiddenWarpBackend, GivesTheCpusDigests) {
  const std::unique_ptr<Backend> cpu = scalar_backend(), warps = warp_backend(2);
  CartPoleTrainConfiguration c;
  c.problem.environment.max_steps = 40;
  c.problem.hidden.units = 8;
  c.problem.baseline = Baseline::standardize;
  c.updates = 3;
  c.batch = 4;
  c.replicas = 40;
  EXPECT_EQ(train(c, *warps).digest, train(c, *cpu).digest);
  c.replicas = 1;
  c.batch = 70;
  EXPECT_EQ(train(c, *warps).digest, train(c, *cpu).digest);
  CartPoleGradientConfiguration g;
  g.problem = c.problem;
  g.problem.baseline = Baseline::none;
  g.problem.hidden.parameters.assign(49, 0.25);
  g.episodes = 100;
  EXPECT_EQ(gradient(g, *warps).digest, gradient(g, *cpu).digest);
  CartPoleEvaluateConfiguration e;
  e.problem = g.problem;
  e.episodes = 100;
  EXPECT_EQ(evaluate(e, *warps).digest, evaluate(e, *cpu).digest);
}

// A whole configuration, as users give it: whichever way it is spread.
TEST(CartPoleWarpBackend, GivesTheCpusDigests) {
  const std::unique_ptr<Backend> cpu = scalar_backend(), warps = warp_backend(2);
  CartPoleTrainConfiguration c;
  c.problem.environment.max_steps = 60;
  c.problem.baseline = Baseline::standardize;
  c.updates = 4;
  c.batch = 5;
  c.replicas = 40;
  EXPECT_EQ(train(c, *warps).digest, train(c, *cpu).digest);
  c.replicas = 1;
  c.batch = 100;
  EXPECT_EQ(train(c, *warps).digest, train(c, *cpu).digest);
  CartPoleGradientConfiguration g;
  g.episodes = 150;
  EXPECT_EQ(gradient(g, *warps).digest, gradient(g, *cpu).digest);
  CartPoleEvaluateConfiguration e;
  e.episodes = 150;
  EXPECT_EQ(evaluate(e, *warps).digest, evaluate(e, *cpu).digest);
}

TEST(CartPoleWarpBackend, StopsBetweenLaunches) {
  CudaOptions options;
  options.chunk = 256;
  StopToken stop{false};
  int calls = 0;
  const RunControl control = {&stop, [&](std::uint64_t, std::uint64_t) { stop = ++calls == 3; }};
  TrainingCase c = training_cases()[0];
  c.request.ranges[0].replicas = 100;
  EXPECT_THROW(warp_backend(1, options)->train(c.request, control), Stopped);
  EXPECT_EQ(calls, 3);
}

TEST(CartPoleWarpBackend, ReportsProgressUpToTheEnd) {
  CudaOptions options;
  options.chunk = 5000;
  TrainingCase c = training_cases()[3];
  c.request.ranges[0].replicas = 70;
  std::uint64_t last = 0, planned = 0, calls = 0;
  warp_backend(1, options)->train(c.request, {nullptr, [&](std::uint64_t finished, std::uint64_t of) {
                                                EXPECT_GE(finished, last);
                                                last = finished;
                                                planned = of;
                                                ++calls;
                                              }});
  EXPECT_EQ(last, c.request.replicas() * c.settings().updates);
  EXPECT_EQ(planned, last);
  EXPECT_GT(calls, 3u);
}

TEST(CartPoleWarpBackend, RefusesWhatItCannotDo) {
  TrainingCase c = training_cases()[0];
  c.request.ranges[0].replicas = 1'000'000;
  try {
    warp_backend(1, {}, true, 20'000'000)->train(c.request, {});
    FAIL() << "45 MB in 20 MB";
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("out of memory on warps of threads: 1000000 replicas need 45"), std::string::npos)
        << error.what();
  }
  CartPoleWork work = episode_cases()[0].work;
  work.policy.weight[3] = 0x1p97f;
  EXPECT_THROW(warp_backend(1)->gradient(work, 0, 10, CartPoleTask::gradient, {}), RunError);
  EXPECT_THROW(warp_backend(1)->evaluate(work, 0, 10, {}), RunError);
  HiddenWork hidden = hidden_cases()[0].work;
  hidden.policy.parameter[hidden.policy.shape().output_weight(0)] = 1025;
  EXPECT_THROW(warp_backend(1)->gradient(hidden, 0, 10, CartPoleTask::gradient, {}), RunError);
}

}  // namespace
}  // namespace fryer::test
