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
  std::string text;             // of --parameters, as it was given,
  std::vector<double> numbers;  // and read (CartPole: how many there should be, --hidden says)
};
void add_policy_choice(OptionTable& table, Problem& problem, PolicyChoice& choice);
// Reads the policy's file, if one was given, unless a later source said otherwise.
void resolve_policy(const OptionTable& table, const std::string& environment, Problem& problem, const PolicyChoice& choice);

// Who spoke last about the policy's parameters.
Source policy_source(const OptionTable& table);

// ---- CartPole

// Its rules: --max-steps, --gravity, ..., --integrator, --sutton-barto-reward. validate() knows their ranges.
void add_cart_pole(OptionTable& table, CartPole::Settings& settings);
// The policy that a command's settings have: the linear one's parameters, a hidden layer, or a Q network.
struct CartPolePolicy {
  std::array<double, 5>& parameters;
  HiddenLayer& hidden;
  std::optional<QNetworkPolicy>* q_network;  // null where none can be used

  bool is_q_network() const { return q_network != nullptr && q_network->has_value(); }
};
// --hidden, --activation, and --parameters in the order of results. `what` says what they are. The settings and `choice` outlive the table.
void add_cart_pole_parameters(OptionTable& table, CartPolePolicy policy, PolicyChoice& choice, const std::string& what);
// Sizes of a Q network's hidden layers, "64,64", and what is accepted of them.
inline constexpr const char* kHiddenSizes = "two whole numbers from 1 to 256 with a comma between";
QNetworkShape read_hidden_sizes(const std::string& text, const std::string& accepted);
Json hidden_sizes(const QNetworkShape& shape);
// Where a network's training starts: --initialisation. `of_what`: said before the choices are explained.
Option& add_initialisation_choice(OptionTable& table, Initialisation& initialisation, const std::string& of_what);
// Where a training that was given no parameters starts.
void add_initialisation(OptionTable& table, HiddenLayer& hidden, const PolicyChoice& choice);
// --hidden, --activation, --parameters, and --policy FILE as another way to say them all.
void add_cart_pole_policy_choice(OptionTable& table, CartPolePolicy policy, PolicyChoice& choice);
// Who spoke last about the policy.
Source cart_pole_policy_source(const OptionTable& table);
// Gives the policy the parameters of --parameters, if there are any; unless --hidden was set by a later source.
void resolve_cart_pole_parameters(const OptionTable& table, CartPolePolicy policy, const PolicyChoice& choice);
// The same, or reads the policy's file, whichever was said last. A hidden layer and a Q network need one of the two.
void resolve_cart_pole_policy(const OptionTable& table, const std::string& environment, CartPolePolicy policy,
                              const PolicyChoice& choice);
// A Q network acts greedily, whether --greedy said so or not. Throws ConfigurationError where it was switched off beside the network.
void resolve_greedy(const OptionTable& table, bool& greedy);
// "a Q network 4-64-64-2", for people.
std::string policy_words(const QNetworkPolicy& network);
// "0.5, 1, 10, 3, 0", or "8 tanh units", for people.
std::string policy_words(const std::array<double, 5>& parameters, const HiddenLayer& hidden, const char* separator);

// As many finite numbers as the array has, with commas between. `accepted` says what they are; it stands in the refusal.
template <std::size_t kCount>
std::array<double, kCount> read_numbers(const std::string& text, const std::string& accepted);

// ---- implementation

// All numbers of the text. Throws ConfigurationError; the second form also where there are not `count` of them.
std::vector<double> split_numbers(const std::string& text, const std::string& accepted);
std::vector<double> split_numbers(const std::string& text, std::size_t count, const std::string& accepted);

template <std::size_t kCount>
std::array<double, kCount> read_numbers(const std::string& text, const std::string& accepted) {
  const std::vector<double> numbers = split_numbers(text, kCount, accepted);
  std::array<double, kCount> array;
  for (std::size_t i = 0; i < kCount; ++i) array[i] = numbers[i];
  return array;
}

}  // namespace fryer::cli
