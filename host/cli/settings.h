// SPDX-License-Identifier: Apache-2.0
// Rows of option tables that several commands share: the seed, the environments' rules, the policies' parameters.
#pragma once

#include <array>

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

// ---- CartPole

// Its rules: --max-steps, --gravity, ..., --integrator, --sutton-barto-reward. validate() knows their ranges.
void add_cart_pole(OptionTable& table, CartPole::Settings& settings);
// --parameters with five numbers, in the registry's order. `what` says what they are.
void add_cart_pole_parameters(OptionTable& table, std::array<double, 5>& parameters, const std::string& what);
// --parameters, and --policy FILE as another way to say them.
void add_cart_pole_policy_choice(OptionTable& table, std::array<double, 5>& parameters, PolicyChoice& choice);
// Who spoke last about the policy.
Source cart_pole_policy_source(const OptionTable& table);
// Reads the policy's file, if one was given, unless a later source said otherwise.
void resolve_cart_pole_policy(const OptionTable& table, const std::string& environment, std::array<double, 5>& parameters,
                              const PolicyChoice& choice);

// As many finite numbers as the array has, with commas between. `accepted` says what they are; it stands in the refusal.
template <std::size_t kCount>
std::array<double, kCount> read_numbers(const std::string& text, const std::string& accepted);

// ---- implementation

// All numbers of the text, for refusing the wrong number of them. Throws ConfigurationError.
std::vector<double> split_numbers(const std::string& text, std::size_t count, const std::string& accepted);

template <std::size_t kCount>
std::array<double, kCount> read_numbers(const std::string& text, const std::string& accepted) {
  const std::vector<double> numbers = split_numbers(text, kCount, accepted);
  std::array<double, kCount> array;
  for (std::size_t i = 0; i < kCount; ++i) array[i] = numbers[i];
  return array;
}

}  // namespace fryer::cli
