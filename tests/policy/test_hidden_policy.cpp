// SPDX-License-Identifier: Apache-2.0
// The policy with a hidden layer: forward pass in its written order, the backward pass of the lanes' learner against finite differences
// in double and against PyTorch (tests/data/hidden_policy.json), and where a replica starts.
#include "fryer/policy/hidden_policy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "fryer/lane/cart_pole_episode.h"

namespace fryer {
namespace {

using Policy = HiddenPolicy<double, 4>;
using Learner = HiddenLearner<double, Track::gradient_and_scores>;

Policy policy_of(int units, Activation activation, const std::vector<double>& parameters) {
  Policy policy{};
  policy.network = {units, activation};
  EXPECT_EQ(parameters.size(), static_cast<std::size_t>(policy.network.parameters()));
  std::copy(parameters.begin(), parameters.end(), policy.parameter);
  return policy;
}

// A step as lanes record it, with its action given.
void record(HiddenBlock<double, false>& block, int k, const Policy& policy, const std::vector<double>& observation, bool action) {
  std::copy(observation.begin(), observation.end(), block.observation[k]);
  const double p24 = sigmoid24(policy.logit(block.observation[k], block.activation[k]));
  block.error24[k] = action ? p24 - kTwo24 : p24;
}

// What the learner makes of one episode: the gradient of -sum_t G_t log pi_t, and that of -sum_t log pi_t, in `score`.
Learner learn(const Policy& policy, double gamma, const std::vector<std::vector<double>>& observations,
              const std::vector<int>& actions) {
  CartPoleGame game{};
  game.gamma = static_cast<float>(gamma);
  game.gamma_squared = static_cast<float>(gamma * gamma);
  game.reward_inside = 1;
  Learner learner{};
  for (std::size_t begin = 0; begin < actions.size(); begin += kStepsPerBlock) {
    HiddenBlock<double, false> block{};
    for (int k = 0; k < kStepsPerBlock; ++k) {
      const std::size_t t = begin + static_cast<std::size_t>(k);
      block.live[k] = t < actions.size();
      record(block, k, policy, observations[std::min(t, actions.size() - 1)], actions[std::min(t, actions.size() - 1)] != 0);
    }
    learner.accumulate(game, policy, block);
  }
  return learner;
}

double log_prob(const Policy& policy, const std::vector<double>& observation, bool action) {
  double x[4];
  std::copy(observation.begin(), observation.end(), x);
  const double z = policy.logit(x);
  return -softplus(action ? -z : z);
}

std::vector<double> random_numbers(std::mt19937_64& generator, std::size_t n, double scale) {
  std::normal_distribution<double> normal(0, scale);
  std::vector<double> numbers(n);
  for (double& x : numbers) x = static_cast<double>(static_cast<float>(normal(generator)));
  return numbers;
}

TEST(HiddenPolicy, ParametersStandLayerByLayer) {
  const HiddenShape<4> shape{3, Activation::tanh};
  EXPECT_EQ(shape.weight(2, 1), 9);
  EXPECT_EQ(shape.bias(0), 12);
  EXPECT_EQ(shape.output_weight(2), 17);
  EXPECT_EQ(shape.output_bias(), 18);
  EXPECT_EQ(shape.parameters(), 19);
  EXPECT_EQ((HiddenShape<4>{kMostHiddenUnits, Activation::tanh}.parameters()), Policy::kParameters);
  for (int i = 0; i < shape.parameters(); ++i) EXPECT_EQ(shape.is_output_weight(i), i >= 15 && i < 18) << i;
}

TEST(HiddenPolicy, LogitIsChainsOfFmaFromTheBiases) {
  HiddenPolicy<float, 4> policy{};
  policy.network = {2, Activation::tanh};
  const float x[4] = {0.3f, -1.7f, 0.02f, 5.5f};
  for (int i = 0; i < 13; ++i) policy.parameter[i] = 0.37f * static_cast<float>(i) - 2.1f;
  const float* const w = policy.parameter;
  for (const Activation activation : {Activation::tanh, Activation::sigmoid}) {
    policy.network.activation = activation;
    float units[2];
    for (int j = 0; j < 2; ++j) {
      float z = w[8 + j];
      for (int i = 0; i < 4; ++i) z = std::fmaf(w[4 * j + i], x[i], z);
      units[j] = activation == Activation::tanh ? tanh(z) : sigmoid(z);
    }
    EXPECT_EQ(policy.logit(x), std::fmaf(w[11], units[1], std::fmaf(w[10], units[0], w[12])));
    float kept[2];
    EXPECT_EQ(policy.logit(x, kept), policy.logit(x));
    EXPECT_EQ(policy.logit_of(kept), policy.logit(x));
    const Decision<float> decision = policy.sample(x, 0x12345678u);
    const Decision<float> expected = SigmoidPolicy<float, 4>::decide(sigmoid24(policy.logit(x)), 0x12345678u);
    EXPECT_EQ(decision.action, expected.action);
    EXPECT_EQ(decision.error24, expected.error24);
  }
}

TEST(HiddenPolicy, NotANumberStaysOne) {
  HiddenPolicy<float, 4> policy{};
  policy.network = {2, Activation::tanh};
  for (const float x : {1.0f, -0.5f}) policy.parameter[policy.network.output_weight(x > 0 ? 0 : 1)] = x;
  const float observation[4] = {1, 2, 3, 4};
  for (int i = 0; i < policy.network.parameters(); ++i) {
    HiddenPolicy<float, 4> broken = policy;
    broken.parameter[i] = std::nanf("");
    EXPECT_TRUE(std::isnan(broken.sample(observation, 0u).error24)) << i;
  }
}

// Every parameter's gradient of log pi against central differences.
TEST(HiddenLearner, BackwardPassIsTheDerivative) {
  std::mt19937_64 generator(7);
  for (const Activation activation : {Activation::tanh, Activation::sigmoid}) {
    for (const int units : {1, 2, 7, 16}) {
      const auto parameters = random_numbers(generator, static_cast<std::size_t>(6 * units + 1), 1);
      const auto observation = random_numbers(generator, 4, 1);
      const Policy policy = policy_of(units, activation, parameters);
      for (const int action : {0, 1}) {
        const Learner learner = learn(policy, 0.5, {observation}, {action});
        for (std::size_t i = 0; i < parameters.size(); ++i) {
          const double step = 1e-5;
          const auto at = [&](double change) {
            std::vector<double> moved = parameters;
            moved[i] += change;
            return log_prob(policy_of(units, activation, moved), observation, action != 0);
          };
          const double expected = (at(step) - at(-step)) / (2 * step);
          EXPECT_NEAR(-learner.score[i] / kTwo24, expected, 2e-9) << units << ' ' << i;
          EXPECT_EQ(learner.gradient[i], learner.score[i]);  // one step, whose return is 1
        }
      }
    }
  }
}

// Probability, log-probability, gradients and one update, all in double: PyTorch's to rounding.
TEST(HiddenLearner, IsPyTorchs) {
  std::ifstream file(FRYER_TEST_DATA "/hidden_policy.json");
  const auto data = nlohmann::json::parse(file);
  const double gamma = data["gamma"];
  OptimizerSettings settings;
  settings.learning_rate = data["learning_rate"];
  const AdamSchedule::Factors factors = AdamSchedule(settings).next();
  const auto constants = make_optimizer_constants<double>(settings);
  ASSERT_EQ(data["policies"].size(), 8u);
  for (const auto& entry : data["policies"]) {
    const int units = entry["hidden"];
    const Activation activation = entry["activation"] == "tanh" ? Activation::tanh : Activation::sigmoid;
    const std::vector<double> parameters = entry["parameters"];
    const Policy policy = policy_of(units, activation, parameters);
    for (const auto& step : entry["steps"]) {
      const std::vector<double> observation = step["observation"], gradient = step["gradient"];
      const bool action = step["action"] != 0;
      double x[4];
      std::copy(observation.begin(), observation.end(), x);
      EXPECT_NEAR(sigmoid(policy.logit(x)), step["probability"].get<double>(), 1e-14);
      EXPECT_NEAR(log_prob(policy, observation, action), step["log_prob"].get<double>(), 1e-13);
      const Learner learner = learn(policy, gamma, {observation}, {action ? 1 : 0});
      for (std::size_t i = 0; i < parameters.size(); ++i)
        EXPECT_NEAR(-learner.score[i] / kTwo24, gradient[i], 1e-13 * (1 + std::fabs(gradient[i]))) << units << ' ' << i;
    }
    std::vector<double> gradient(parameters.size());
    for (const auto& episode : entry["update"]["episodes"]) {
      const Learner learner = learn(policy, gamma, episode["observations"].get<std::vector<std::vector<double>>>(),
                                    episode["actions"].get<std::vector<int>>());
      for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] += learner.gradient[i] / kTwo24 / 2;
    }
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      const double expected = entry["update"]["gradient"][i];
      EXPECT_NEAR(gradient[i], expected, 1e-12 * (1 + std::fabs(expected))) << units << ' ' << i;
      double m = 0, v = 0, theta = parameters[i];
      adam_step(constants, factors.step, factors.root_scale, gradient[i], m, v, theta);
      EXPECT_NEAR(theta, entry["update"]["parameters"][i].get<double>(), 1e-9) << units << ' ' << i;
    }
  }
}

// ---- initialisation

HiddenTraining training_of(int units, Initialisation initialisation) {
  HiddenTraining training{};
  training.initial.from_seed = true;
  training.initial.hidden = initial_bounds(initialisation, 4, units);
  training.initial.output = initial_bounds(initialisation, units, 1);
  return training;
}

TEST(Initialisation, IsByTheAddressOfEachParameter) {
  const std::uint64_t seed = (std::uint64_t{5} << 32) + 77;
  const HiddenShape<4> shape{6, Activation::tanh};
  CartPoleLearnerOf<HiddenLayerPolicy> learner;
  learner.start(shape, training_of(6, Initialisation::torch), seed);
  for (int i = 0; i < shape.parameters(); ++i) {
    const auto words = random_block(seed, Purpose::initialisation, 0, static_cast<std::uint64_t>(i / 4));
    const std::uint32_t word[4] = {words.x, words.y, words.z, words.w};
    const double u = static_cast<double>(word[i % 4] >> 8) * 0x1p-24;
    const double bound = i < 30 ? 0.5 : static_cast<double>(static_cast<float>(1 / std::sqrt(6.0)));
    EXPECT_EQ(learner.theta[i], static_cast<float>(bound * (2 * u - 1))) << i;
    EXPECT_EQ(learner.m[i], 0.0f);
    EXPECT_EQ(learner.v[i], 0.0f);
  }
}

TEST(Initialisation, HasItsBoundsAndBiases) {
  struct Case {
    Initialisation initialisation;
    double hidden, output;
    bool biases;
  };
  const int units = 8;
  const HiddenShape<4> shape{units, Activation::tanh};
  const std::vector<Case> cases = {{Initialisation::torch, 0.5, 1 / std::sqrt(8.0), true},
                                   {Initialisation::glorot, std::sqrt(6.0 / 12), std::sqrt(6.0 / 9), false},
                                   {Initialisation::he, std::sqrt(6.0 / 4), std::sqrt(6.0 / 8), false},
                                   {Initialisation::zero, 0, 0, false}};
  for (const Case& c : cases) {
    const HiddenTraining training = training_of(units, c.initialisation);
    double largest_hidden = 0, largest_output = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      CartPoleLearnerOf<HiddenLayerPolicy> learner;
      learner.start(shape, training, seed);
      for (int i = 0; i < shape.parameters(); ++i) {
        const double x = std::fabs(static_cast<double>(learner.theta[i]));
        const bool hidden = i < shape.output_weight(0), bias = i == shape.output_bias() || (hidden && i >= 4 * units);
        double& largest = hidden ? largest_hidden : largest_output;
        if (bias && !c.biases) {
          ASSERT_EQ(to_bits(learner.theta[i]), 0u) << i;
        }
        largest = std::max(largest, x);
      }
    }
    EXPECT_LE(largest_hidden, c.hidden * (1 + 1e-7));
    EXPECT_GE(largest_hidden, c.hidden * 0.99);
    EXPECT_LE(largest_output, c.output * (1 + 1e-7));
    EXPECT_GE(largest_output, c.output * 0.97);
  }
}

TEST(HiddenReplicas, OutputWeightsBeyondTheBoundFail) {
  const HiddenShape<4> shape{2, Activation::tanh};
  EXPECT_TRUE(is_usable(shape, shape.output_weight(1), -1024.0f));
  EXPECT_FALSE(is_usable(shape, shape.output_weight(1), 1024.001f));
  EXPECT_FALSE(is_usable(shape, shape.output_weight(0), std::nanf("")));
  EXPECT_TRUE(is_usable(shape, shape.output_bias(), 1e6f));
  EXPECT_TRUE(is_usable(shape, 0, 1e6f));
  EXPECT_FALSE(is_usable(shape, 0, 1e30f));
}

}  // namespace
}  // namespace fryer
