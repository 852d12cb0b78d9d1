// SPDX-License-Identifier: Apache-2.0
// What there is: environments, their policies and parameters, algorithms and presets, by the names of the command line. A new one
// is a line here; `fryer list`, the option parser and the parity tests read it.
#pragma once

#include <array>
#include <string_view>

#include "fryer/env/fry_shack.h"

namespace fryer {

struct EnvironmentEntry {
  std::string_view name, summary, policy;
  std::array<std::string_view, 2> parameters;  // in the order of results
  std::string_view algorithms;                 // comma separated
};
inline constexpr std::array kEnvironments = {
    EnvironmentEntry{FryShack::kName,
                     "StatQuest's fry shack: one step, hunger in, Norm or Squatch out",
                     "sigmoid (linear)",
                     {"weight", "bias"},
                     "reinforce"},
};

struct AlgorithmEntry {
  std::string_view name, summary;
};
inline constexpr std::array kAlgorithms = {
    AlgorithmEntry{"reinforce", "policy gradient of sampled episodes, Adam or SGD (Williams 1992)"},
};

struct PresetEntry {
  std::string_view name, environment, algorithm, summary;
};
inline constexpr std::array kPresets = {
    PresetEntry{"notebook", FryShack::kName, "reinforce",
                "the notebook's settings: weight 20, Adam 0.1, batch 1, 280 updates, reward scale 0.99"},
};

}  // namespace fryer
