// SPDX-License-Identifier: Apache-2.0
// Rows of option tables that several commands share: the seed, FryShack-v0's rules, the policy's parameters.
#pragma once

#include "fryer/engine/configuration.h"
#include "host/cli/option_table.h"

namespace fryer::cli {

void add_seed(OptionTable& table, std::uint64_t& seed, const std::string& help);
void add_rewards(OptionTable& table, double& correct, double& wrong);
void add_fry_shack(OptionTable& table, FryShack::Settings& settings);
void add_reward_scale(OptionTable& table, double& scale);
void add_learning_rate(OptionTable& table, double& rate);
void add_optimizer(OptionTable& table, OptimizerSettings& optimizer);
// --weight and --bias. `what` says what they are.
void add_parameters(OptionTable& table, Problem& problem, const std::string& what);

// --parameters W,B and --policy FILE, two other ways to say --weight and --bias.
struct PolicyChoice {
  std::string file;
};
void add_policy_choice(OptionTable& table, Problem& problem, PolicyChoice& choice);
// Reads the policy's file, if one was given, unless a later source said otherwise.
void resolve_policy(const OptionTable& table, const std::string& environment, Problem& problem, const PolicyChoice& choice);

// Who spoke last about the policy's parameters.
Source policy_source(const OptionTable& table);

}  // namespace fryer::cli
