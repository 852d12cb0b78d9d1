// SPDX-License-Identifier: Apache-2.0
// What there is: environments, their policies and parameters, algorithms and presets, by the names of the command line. A new one
// is a line here; `fryer list`, the option parser and the parity tests read it.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "fryer/env/cart_pole.h"
#include "fryer/env/fry_shack.h"

namespace fryer {

struct EnvironmentEntry {
  std::string_view name, summary, policy;
  std::span<const std::string_view> parameters;  // of the linear policy, in the order of results
  std::string_view algorithms;                   // comma separated; the first is the one that runs unless another is asked for
  std::uint32_t max_steps;                       // of an episode, unless a setting says otherwise
};
inline constexpr std::array<std::string_view, 2> kFryShackParameters = {"weight", "bias"};
inline constexpr std::array<std::string_view, 5> kCartPoleParameterNames = {"w_position", "w_velocity", "w_angle",
                                                                            "w_angular_velocity", "bias"};
inline constexpr std::string_view kCartPolePolicies = "sigmoid (linear, or --hidden); Q network of dqn and q-learning";
inline constexpr std::string_view kCartPoleAlgorithms = "reinforce, dqn, q-learning";
inline constexpr std::array kEnvironments = {
    EnvironmentEntry{FryShack::kName, "StatQuest's fry shack: one step, hunger in, Norm or Squatch out", "sigmoid (linear)",
                     kFryShackParameters, "reinforce", 1},
    EnvironmentEntry{CartPole::kNameV1, "Gymnasium's pole on a cart, at most 500 steps", kCartPolePolicies,
                     kCartPoleParameterNames, kCartPoleAlgorithms, CartPole::kMaxStepsV1},
    EnvironmentEntry{CartPole::kNameV0, "the same, at most 200 steps", kCartPolePolicies, kCartPoleParameterNames,
                     kCartPoleAlgorithms, CartPole::kMaxStepsV0},
};

// The step limit of a registered environment.
constexpr std::uint32_t default_max_steps(std::string_view environment) {
  for (const EnvironmentEntry& entry : kEnvironments) {
    if (entry.name == environment) return entry.max_steps;
  }
  return 0;
}

struct AlgorithmEntry {
  std::string_view name, summary;
};
inline constexpr std::array kAlgorithms = {
    AlgorithmEntry{"reinforce", "policy gradient of sampled episodes, Adam or SGD (Williams 1992)"},
    AlgorithmEntry{"dqn", "Q network with replay buffer and target network, or double DQN (Mnih et al. 2015)"},
    AlgorithmEntry{"q-learning", "Q network that learns online, from each transition as it is made (Watkins 1989)"},
};

struct PresetEntry {
  std::string_view name, environments, algorithm, summary;  // environments: comma separated
};
inline constexpr std::string_view kCartPoleNames = "CartPole-v1, CartPole-v0";
inline constexpr std::array kPresets = {
    PresetEntry{"notebook", FryShack::kName, "reinforce",
                "the notebook's settings: weight 20, Adam 0.1, batch 1, 280 updates, reward scale 0.99"},
    PresetEntry{"solve", kCartPoleNames, "reinforce", "settings that solve CartPole on every seed that was tried"},
    PresetEntry{"workshop", kCartPoleNames, "dqn", "the VTHacks workshop's DQN, which it runs on CartPole-v0"},
    PresetEntry{"zoo", kCartPoleNames, "dqn", "RL Baselines3 Zoo's DQN, tuned for CartPole-v1"},
    PresetEntry{"cleanrl", kCartPoleNames, "dqn", "CleanRL's dqn.py, which it runs on CartPole-v1"},
    PresetEntry{"tensorflow", kCartPoleNames, "q-learning", "the TensorFlow post's online Q-learning, on CartPole-v1"},
};

}  // namespace fryer
