// SPDX-License-Identifier: Apache-2.0
// A trained policy in a file: JSON that names its format, version, environment and parameters, with a checksum over all of it, so
// that an edited or damaged file is noticed. A sigmoid policy has its parameters by name (version 1), a Q network as layers of weights (out,
// in) and biases (version 2). Written by `train --save-policy`, read by `evaluate --policy`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fryer/engine/configuration.h"
#include "host/cli/option_table.h"

namespace fryer::cli {

struct SavedPolicy {
  std::string environment;
  std::vector<float> parameters;                // in the order of results: the registry's, or the network's
  Json training;                                // how it came about; informative
  HiddenLayer hidden{};                         // its units and activation, on CartPole; without parameters
  std::optional<QNetworkShape> q_network = {};  // if it is one
};

std::string policy_text(const SavedPolicy& policy);

// Throws FileError if it cannot be read, and DamagedFileError if it is not a whole policy file of a version this program knows, or one
// for an environment with other observations (CartPole-v0 and v1 have the same). `option` names whose file it is.
SavedPolicy read_policy_file(const std::string& option, const std::string& path, const std::string& environment);
SavedPolicy parse_policy(const std::string& option, const std::string& path, const std::string& text,
                         const std::string& environment);

}  // namespace fryer::cli
