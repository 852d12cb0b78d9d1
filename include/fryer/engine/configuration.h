// SPDX-License-Identifier: Apache-2.0
// What to run: every setting that can change a result, with the defaults of the command line. Backend, threads and output paths are
// not here, since they cannot. validate() refuses what cannot be run, naming the field as the command line names its option.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fryer/algo/optimizer.h"
#include "fryer/algo/reinforce.h"
#include "fryer/env/cart_pole.h"
#include "fryer/env/fry_shack.h"
#include "fryer/lane/q_training.h"
#include "fryer/policy/hidden_policy.h"

namespace fryer {

// What every training has, whatever it learns.
struct PopulationSettings {
  // Stop a replica once its mean return reaches this: over the last ceil(100 / batch) updates, or, of value learners, the last 100
  // episodes that count.
  std::optional<double> until;
  std::uint64_t seed = 42;
  std::uint64_t replicas = 1;  // seeds seed .. seed + replicas - 1
};

// What trainings by policy gradients have.
struct TrainingSettings : PopulationSettings {
  OptimizerSettings optimizer;
  std::uint64_t updates = 280;
  std::uint64_t batch = 1;  // episodes per update
};

// ---- FryShack-v0

// A sigmoid policy on the fry shack: what all commands share.
struct Problem {
  FryShack::Settings environment;
  double weight = 20.0, bias = 0.0;  // the policy's (initial) parameters
  bool learn_weight = false;         // the bias is always learned
  double reward_scale = 0.99;        // multiplies rewards in gradients, not in reported returns
};

struct TrainConfiguration : TrainingSettings {
  Problem problem;
};

struct GradientConfiguration {
  Problem problem;
  std::uint64_t episodes = 1'000'000;
  std::uint64_t seed = 42;
};

struct EvaluateConfiguration {
  Problem problem;      // reward_scale is not used
  bool random = false;  // action 1 with probability 1/2 instead of the policy
  bool greedy = false;  // action 1 where p > 1/2 instead of sampling
  std::uint64_t episodes = 1'000'000;
  std::uint64_t seed = 42;
};

// The StatQuest notebook: one training of FryShack-v0 with batch 1.
struct NotebookConfiguration {
  enum class Generator { torch, philox };
  Generator generator = Generator::torch;
  std::uint64_t updates = 280;  // epochs of four; a last one may be shorter
  double learning_rate = 0.1;
  double reward_correct = 1.0, reward_wrong = -1.0;
  std::uint64_t seed = 42;  // torch takes the low 32 bits
};

// ---- CartPole-v0 and v1

// A hidden layer between CartPole's observation and the policy's logit: a network 4 - units - 1 in place of the linear policy.
struct HiddenLayer {
  std::uint64_t units = 0;  // 0: none; at most kMostHiddenUnits
  Activation activation = Activation::tanh;
  // (Initial) parameters: each unit's four weights, the units' biases, the output's weights, its bias: 6 units + 1. A training without
  // any starts each replica from its own seed.
  std::vector<double> parameters;
  Initialisation initialisation = Initialisation::torch;  // of such trainings
};
// Of the policy with this layer; 5 of the linear one.
inline std::uint64_t parameter_count(const HiddenLayer& hidden) {
  if (hidden.units == 0) return SigmoidPolicy<float, 4>::kParameters;
  return static_cast<std::uint64_t>(HiddenShape<4>{static_cast<int>(hidden.units), hidden.activation}.parameters());
}

// A sigmoid policy on CartPole: action 1 with probability sigmoid(w . observation + bias), or that of a network with a hidden layer.
struct CartPoleProblem {
  CartPole::Settings environment;
  // (Initial) parameters of the linear policy: w_position, w_velocity, w_angle, w_angular_velocity, bias.
  std::array<double, 5> parameters{};
  HiddenLayer hidden;
  double gamma = 0.99;  // discount
  Baseline baseline = Baseline::none;
  double baseline_value = 0;  // of Baseline::constant, in units of the scaled return
  double entropy_bonus = 0;   // times the entropy of each step's action, added to what is maximised
  double reward_scale = 1;    // multiplies each step's reward in gradients, not in reported returns
};

struct CartPoleTrainConfiguration : TrainingSettings {
  CartPoleProblem problem;
  CartPoleTrainConfiguration() {
    optimizer.learning_rate = 0.2;
    updates = 200;
    batch = 16;
  }
};

// The preset `solve`: settings that solved CartPole on every one of 100,000 seeds; until 475 of 500 steps, or 195 of 200.
CartPoleTrainConfiguration solve_preset(std::uint32_t max_steps);

// A value learner on CartPole: DQN with a replay buffer, or online Q-learning, which learns from each transition as it is made.
struct QTrainConfiguration : PopulationSettings {
  QTrainingSettings training;  // but for window, window_target and keeps_every_outcome, which the driver sets
};
// Whether it is online Q-learning: the network is its own target.
inline bool learns_online(const QTrainConfiguration& c) {
  return c.training.learning.bootstrap == Bootstrap::semi_gradient || c.training.learning.bootstrap == Bootstrap::residual;
}
// Episodes of a value learner that --until looks back on.
inline constexpr std::uint32_t kValueLearnerWindow = 100;

// What the algorithms `dqn` and `q-learning` do unless told otherwise, on an environment of so many steps at most.
QTrainConfiguration dqn_defaults(std::uint32_t max_steps);
QTrainConfiguration q_learning_defaults(std::uint32_t max_steps);
// Presets. workshop: VTHacks' DQN. zoo: RL Baselines3 Zoo's DQN on CartPole. cleanrl: CleanRL's dqn.py. tensorflow: the TensorFlow
// post's online Q-learning.
QTrainConfiguration workshop_preset(std::uint32_t max_steps);
QTrainConfiguration zoo_preset(std::uint32_t max_steps);
QTrainConfiguration cleanrl_preset(std::uint32_t max_steps);
QTrainConfiguration tensorflow_preset(std::uint32_t max_steps);

// A trained Q network, as an evaluation or a trace plays it.
struct QNetworkPolicy {
  QNetworkShape shape;
  std::vector<double> parameters;  // shape.parameters() floats, in the parameters' order
};

struct CartPoleGradientConfiguration {
  CartPoleProblem problem;  // gamma 1, no baseline and no entropy bonus: the gradient of the expected return
  std::uint64_t episodes = 1'000'000;
  std::uint64_t seed = 42;
  CartPoleGradientConfiguration() { problem.gamma = 1; }
};

struct CartPoleEvaluateConfiguration {
  CartPoleProblem problem;  // its environment and parameters are used
  // Plays instead of the problem's policy, greedily: the action of the larger value, 0 where both are equal.
  std::optional<QNetworkPolicy> q_network;
  bool random = false;  // action 1 with probability 1/2 instead of the policy
  bool greedy = false;  // action 1 where p > 1/2 instead of sampling
  std::uint64_t episodes = 1'000'000;
  std::uint64_t seed = 42;
};

// One CartPole episode, step by step.
struct TraceConfiguration {
  enum class Precision { float64, float32 };
  enum class Actions { given, policy, random };
  CartPole::Settings environment;
  Precision precision = Precision::float64;
  Actions source = Actions::given;
  std::string actions;                         // given: 0s and 1s, one a step
  std::array<double, 5> parameters{};          // policy: as in CartPoleProblem
  HiddenLayer hidden;                          // policy: the same
  std::optional<QNetworkPolicy> q_network;     // policy: plays instead, greedily
  bool greedy = false;                         // policy: action 1 where p > 1/2 instead of sampling
  std::optional<std::array<double, 4>> state;  // the start state; without it the seed's first evaluation episode's
  bool continue_past_end = false;              // go on past the end: to the last action given, or to max_steps
  std::uint64_t seed = 42;
};

// Throw ConfigurationError naming the option, the value and what is accepted.
void validate(const Problem& problem);
void validate(const TrainConfiguration& configuration);
void validate(const GradientConfiguration& configuration);
void validate(const EvaluateConfiguration& configuration);
void validate(const NotebookConfiguration& configuration);
void validate(const CartPole::Settings& settings);
void validate(const CartPoleProblem& problem);
void validate(const CartPoleTrainConfiguration& configuration);
// workers: how many replicas may train at once, for the memory that they take.
void validate(const QTrainConfiguration& configuration, unsigned workers = 1);
void validate(const CartPoleGradientConfiguration& configuration);
void validate(const CartPoleEvaluateConfiguration& configuration);
void validate(const TraceConfiguration& configuration);

}  // namespace fryer
