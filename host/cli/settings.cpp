// SPDX-License-Identifier: Apache-2.0
// See settings.h. Ranges are said here for people and enforced by the library's validate().
#include "host/cli/settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "fryer/engine/registry.h"
#include "host/cli/output/policy_file.h"

namespace fryer::cli {
namespace {
const char* const kFloat = "a finite number that a float can hold (at most 3.4e38)";
}

void add_seed(OptionTable& table, std::uint64_t& seed, const std::string& help) {
  table.integer("seed", "S", seed, "a whole number from 0 to 18446744073709551615", "", help);
}

void add_rewards(OptionTable& table, double& correct, double& wrong) {
  const char* const accepted = "a finite number, at most 1e9 in magnitude";
  table.number("reward-correct", "R", correct, accepted, "reward", "reward when the order suits the hunger");
  table.number("reward-wrong", "R", wrong, accepted, "reward", "reward when it does not");
}

void add_fry_shack(OptionTable& table, FryShack::Settings& settings) {
  add_rewards(table, settings.reward_correct, settings.reward_wrong);
  const char* const probability = "a probability from 0 to 1";
  table.number("large-order-norm", "P", settings.large_order_norm, probability, "probability",
               "how often Norm's serves a large order");
  table.number("large-order-squatch", "P", settings.large_order_squatch, probability, "probability", "how often Squatch's does");
  table.number("hungry-above", "H", settings.hungry_above, "a hunger from 0 to 1", "hunger",
               "a customer is hungry above this, and then wants a large order");
}

void add_reward_scale(OptionTable& table, double& scale) {
  table.number(
      "reward-scale", "C", scale, "0, or a number from 1e-9 to 1e9", "a factor",
      "multiplies rewards that are learned from, not reported returns (the notebook calls it gamma; it discounts nothing)");
}

void add_learning_rate(OptionTable& table, double& rate) {
  table.number("learning-rate", "RATE", rate, "a finite number above 0 that a float can hold (from 1.5e-45 to 3.4e38)",
               "a factor", "step size of the optimiser");
}

void add_optimizer(OptionTable& table, OptimizerSettings& optimizer) {
  using Kind = OptimizerSettings::Kind;
  using Form = OptimizerSettings::Form;
  table.choice<Kind>("optimizer", optimizer.kind, {{"adam", Kind::adam}, {"sgd", Kind::sgd}}, "how parameters follow gradients");
  add_learning_rate(table, optimizer.learning_rate);
  const auto of_adam = [&](Option& option) { option.needs([&optimizer] { return optimizer.kind == Kind::adam; }, "optimizer"); };
  const char* const beta = "a number from 0 up to, not including, 1";
  of_adam(table.number("adam-beta1", "B", optimizer.beta1, beta, "a factor", "Adam's decay of the mean gradient"));
  of_adam(table.number("adam-beta2", "B", optimizer.beta2, beta, "a factor", "Adam's decay of the mean squared gradient"));
  of_adam(table.number("adam-epsilon", "E", optimizer.epsilon, "a finite number, 0 or more, that a float can hold",
                       "as a gradient", "Adam's guard against division by zero"));
  of_adam(table.choice<Form>("adam-form", optimizer.form, {{"torch", Form::torch}, {"keras", Form::keras}},
                             "whose formula: they differ in where epsilon stands"));
}

void add_parameters(OptionTable& table, Problem& problem, const std::string& what) {
  table.number("weight", "W", problem.weight, kFloat, "logits per unit of hunger", what + " weight");
  table.number("bias", "B", problem.bias, kFloat, "logits", what + " bias");
}

void add_policy_choice(OptionTable& table, Problem& problem, PolicyChoice& choice) {
  Option parameters;
  parameters.name = "parameters";
  parameters.placeholder = "W,B";
  parameters.accepted = "two finite numbers, weight and bias, with a comma between";
  parameters.help = "the policy's weight and bias in one option";
  parameters.list = true;
  parameters.setting = false;
  parameters.value = [] { return Json(); };
  parameters.read = [&problem, accepted = parameters.accepted](const std::string& text) {
    const std::size_t comma = text.find(',');
    const auto weight = parse_number(text.substr(0, comma));
    const auto bias = comma == std::string::npos ? std::nullopt : parse_number(text.substr(comma + 1));
    if (!weight || !bias) not_accepted(text, accepted);
    problem.weight = *weight;
    problem.bias = *bias;
  };
  table.add(parameters);
  table.text("policy", "FILE", choice.file, "a policy's file, as train --save-policy writes it",
             "the policy that train --save-policy wrote to FILE");
  for (const char* other : {"weight", "bias", "parameters"}) table.exclude(other, "policy");
  for (const char* other : {"weight", "bias"}) table.exclude(other, "parameters");
}

Source policy_source(const OptionTable& table) {
  Source source = Source::standard;
  for (const char* name : {"weight", "bias", "parameters", "policy"}) source = std::max(source, table.find(name)->source);
  return source;
}

void resolve_policy(const OptionTable& table, const std::string& environment, Problem& problem, const PolicyChoice& choice) {
  const Option& option = *table.find("policy");
  if (choice.file.empty() || option.source != policy_source(table)) return;
  const SavedPolicy policy = read_policy_file(option.label, choice.file, environment);
  problem.weight = static_cast<double>(policy.parameters[0]);
  problem.bias = static_cast<double>(policy.parameters[1]);
}

// ---- CartPole

void add_cart_pole(OptionTable& table, CartPole::Settings& s) {
  using Integrator = CartPole::Integrator;
  Option steps;
  steps.name = "max-steps";
  steps.placeholder = "N";
  steps.accepted = "a whole number from 1 to 100000";
  steps.unit = "steps";
  steps.help = "an episode that is still going on after so many steps is truncated";
  steps.numeric = true;
  steps.value = [&s] { return Json(s.max_steps); };
  steps.read = [&s, accepted = steps.accepted](const std::string& text) {
    const std::optional<std::uint64_t> n = parse_integer(text);
    if (!n || *n < 1 || *n > 100'000) not_accepted(text, accepted);
    s.max_steps = static_cast<std::uint32_t>(*n);
  };
  table.add(steps);
  table.number("gravity", "G", s.gravity, "0, or a number from 1e-9 to 1000", "m/s^2", "acceleration of free fall");
  const char* const mass = "a number from 0.001 to 1000";
  table.number("mass-cart", "M", s.mass_cart, mass, "kg", "mass of the cart");
  table.number("mass-pole", "M", s.mass_pole, mass, "kg", "mass of the pole");
  table.number("half-length", "L", s.half_length, mass, "m", "half the pole's length");
  table.number("force", "F", s.force, "0, or a number from 1e-9 to 1e6", "N",
               "force of a push, to the right (action 1) or left (0)");
  table.number("dt", "T", s.dt, "a number from 1e-6 to 1", "s", "time step (Gymnasium's tau)");
  table.number("position-limit", "X", s.position_limit, "a number from 0.001 to 1e6", "m",
               "the episode is terminated when the cart is farther from the middle");
  table.number("angle-limit", "A", s.angle_limit, "a number from 0.001 to 10000", "rad",
               "the episode is terminated when the pole leans farther; 12 degrees unless given");
  table.number("start-range", "R", s.start_range, "0, or a number from 1e-9 to 1000", "m, m/s, rad, rad/s",
               "each of the four numbers of a start state is uniform from -R to R");
  table.choice<Integrator>("integrator", s.integrator,
                           {{"euler", Integrator::euler}, {"semi-implicit", Integrator::semi_implicit}},
                           "whether positions advance with the old velocities or the new ones");
  table.toggle("sutton-barto-reward", s.sutton_barto_reward,
               "reward 0, and -1 on the step that terminates, instead of 1 on every step");
}

std::vector<double> split_numbers(const std::string& text, const std::string& accepted) {
  std::vector<double> numbers;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    std::string word = text.substr(begin, comma - begin);
    word.erase(0, word.find_first_not_of(' '));
    word.erase(word.find_last_not_of(' ') + 1);
    const std::optional<double> number = parse_number(word);
    if (!number && comma - begin == text.size()) not_accepted(text, accepted);
    if (!number) throw ConfigurationError(fmt::format("{} in {} is not accepted; {}", shown(word), shown(text), accepted));
    numbers.push_back(*number);
    begin = comma + 1;
  }
  return numbers;
}

std::vector<double> split_numbers(const std::string& text, std::size_t count, const std::string& accepted) {
  std::vector<double> numbers = split_numbers(text, accepted);
  if (numbers.size() != count) {
    throw ConfigurationError(fmt::format("{} is not accepted; {}, and here {} {}", shown(text), accepted,
                                         numbers.size() == 1 ? "is" : "are", numbers.size()));
  }
  return numbers;
}

namespace {

std::string five_numbers() {
  static_assert(kCartPoleParameterNames.size() == 5);
  std::string text = "five finite numbers with commas between:";
  for (const std::string_view name : kCartPoleParameterNames)
    text += fmt::format("{}{}", name == kCartPoleParameterNames.front() ? " " : ", ", name);
  return text;
}

Json numbers_or_null(const std::vector<double>& numbers) { return numbers.empty() ? Json() : Json(numbers); }

// --hidden with two sizes: a Q network's.
void add_q_network(Option& hidden, CartPolePolicy policy) {
  hidden.placeholder = "N|H1,H2";
  hidden.accepted += fmt::format("; {} for a Q network", kHiddenSizes);
  hidden.help += "; two sizes: the policy is a Q network 4 - H1 - H2 - 2 of ReLU units, each layer's weights and biases in turn";
  hidden.list = true;
  hidden.value = [policy, units = hidden.value] {
    return policy.is_q_network() ? hidden_sizes((*policy.q_network)->shape) : units();
  };
  hidden.read = [policy, units = hidden.read, accepted = hidden.accepted](const std::string& text) {
    if (text.find(',') == std::string::npos) {
      units(text);
      policy.q_network->reset();
    } else {
      policy.q_network->emplace(QNetworkPolicy{read_hidden_sizes(text, accepted), {}});
      policy.hidden.units = 0;
    }
  };
}

}  // namespace

QNetworkShape read_hidden_sizes(const std::string& text, const std::string& accepted) {
  std::vector<int> sizes;
  for (const std::string& word : split_list(text)) {
    const std::optional<std::uint64_t> units = parse_integer(word);
    if (!units || *units < 1 || *units > QNetworkShape::kMostUnits) not_accepted(text, accepted);
    sizes.push_back(static_cast<int>(*units));
  }
  if (sizes.size() != 2 || text.ends_with(',')) not_accepted(text, accepted);
  return {sizes[0], sizes[1]};
}

Json hidden_sizes(const QNetworkShape& shape) { return Json::array({shape.hidden1, shape.hidden2}); }

void add_cart_pole_parameters(OptionTable& table, CartPolePolicy policy, PolicyChoice& choice, const std::string& what) {
  Option parameters;
  parameters.name = "parameters";
  parameters.placeholder = "W,W,W,W,B";
  parameters.accepted =
      five_numbers() +
      "; with --hidden N 6 N + 1 numbers: each unit's four weights in that order, the units' biases, the output's "
      "weights, its bias";
  parameters.unit = "logits per m, m/s, rad, rad/s, and logits";
  parameters.help = what;
  parameters.list = true;
  parameters.value = [policy] {
    if (policy.is_q_network()) return numbers_or_null((*policy.q_network)->parameters);
    if (policy.hidden.units == 0) return Json(policy.parameters);
    return numbers_or_null(policy.hidden.parameters);
  };
  parameters.read = [&choice](const std::string& text) {
    choice.numbers = text == "none" ? std::vector<double>() : split_numbers(text, five_numbers());
    choice.text = text;
  };
  table.add(parameters);
  Option& hidden = table.integer("hidden", "N", policy.hidden.units, "a whole number from 0 (none) to 16", "units",
                                 "gives the policy a hidden layer of N units between observation and logit: a network 4 - N - 1");
  if (policy.q_network != nullptr) add_q_network(hidden, policy);
  Option& activation = table.choice<Activation>("activation", policy.hidden.activation,
                                                {{"sigmoid", Activation::sigmoid}, {"tanh", Activation::tanh}},
                                                "what a hidden unit makes of its weighted sum");
  activation.needs([&hidden = policy.hidden] { return hidden.units != 0; }, "hidden");
}

Option& add_initialisation_choice(OptionTable& table, Initialisation& initialisation, const std::string& of_what) {
  using I = Initialisation;
  return table.choice<I>(
      "initialisation", initialisation, {{"torch", I::torch}, {"glorot", I::glorot}, {"he", I::he}, {"zero", I::zero}},
      of_what +
          " starts, from its own seed: torch, weights and biases uniform within 1 / sqrt(inputs) as PyTorch's Linear; glorot, "
          "weights within sqrt(6 / (inputs + outputs)), biases 0; he, within sqrt(6 / inputs); or all 0");
}

void add_initialisation(OptionTable& table, HiddenLayer& hidden, const PolicyChoice& choice) {
  Option& option = add_initialisation_choice(table, hidden.initialisation, "where a hidden layer's training");
  option.help += ". The linear policy starts from --parameters";
  option.needs([&hidden] { return hidden.units != 0; }, "hidden");
  option.needs([&choice] { return choice.numbers.empty(); }, "parameters");
}

void add_cart_pole_policy_choice(OptionTable& table, CartPolePolicy policy, PolicyChoice& choice) {
  add_cart_pole_parameters(table, policy, choice,
                           "the policy: action 1 with probability sigmoid(w . state + bias), w and bias as given here");
  table.text(
      "policy", "FILE", choice.file, "a policy's file, as train --save-policy writes it",
      policy.q_network != nullptr
          ? "the policy that train --save-policy wrote to FILE: with a hidden layer if that one has it, or a Q network, which "
            "acts greedily"
          : "the policy that train --save-policy wrote to FILE, with a hidden layer if that one has it");
  for (const char* name : {"parameters", "hidden", "activation"}) table.exclude(name, "policy");
}

Source cart_pole_policy_source(const OptionTable& table) {
  Source source = Source::standard;
  for (const char* name : {"parameters", "policy", "hidden", "activation"}) source = std::max(source, table.find(name)->source);
  return source;
}

namespace {

bool has_network(CartPolePolicy policy) { return policy.is_q_network() || policy.hidden.units != 0; }
// Of a policy that has one: how many parameters, those there are, and its sizes as --hidden has them.
std::uint64_t network_parameters(CartPolePolicy policy) {
  if (!policy.is_q_network()) return parameter_count(policy.hidden);
  return static_cast<std::uint64_t>((*policy.q_network)->shape.parameters());
}
std::vector<double>& network_numbers(CartPolePolicy policy) {
  return policy.is_q_network() ? (*policy.q_network)->parameters : policy.hidden.parameters;
}
std::string network_sizes(const OptionTable& table) {
  std::string text = table.find("hidden")->value().dump();
  std::erase_if(text, [](char c) { return c == '[' || c == ']'; });
  return text;
}

// The policy of a file.
void take_saved(const SavedPolicy& saved, CartPolePolicy policy) {
  const std::vector<double> parameters(saved.parameters.begin(), saved.parameters.end());
  if (policy.q_network != nullptr) policy.q_network->reset();
  policy.hidden.units = saved.hidden.units;
  policy.hidden.activation = saved.hidden.activation;
  if (saved.q_network) {
    policy.q_network->emplace(QNetworkPolicy{*saved.q_network, parameters});
  } else if (saved.hidden.units != 0) {
    policy.hidden.parameters = parameters;
  } else {
    std::copy(parameters.begin(), parameters.end(), policy.parameters.begin());
  }
}

}  // namespace

void resolve_cart_pole_parameters(const OptionTable& table, CartPolePolicy policy, const PolicyChoice& choice) {
  const Option& option = *table.find("parameters");
  if (choice.numbers.empty() || option.source < table.find("hidden")->source) return;
  const auto check = [&](std::uint64_t wanted, const std::string& what) {
    if (choice.numbers.size() == wanted) return;
    throw ConfigurationError(fmt::format("{}: {} is not accepted; {}, and here {} {}", option.label, shown(choice.text), what,
                                         choice.numbers.size() == 1 ? "is" : "are", choice.numbers.size()));
  };
  if (!has_network(policy)) {
    check(policy.parameters.size(), five_numbers());
    std::copy(choice.numbers.begin(), choice.numbers.end(), policy.parameters.begin());
    return;
  }
  const std::uint64_t wanted = network_parameters(policy);
  if (policy.hidden.units <= kMostHiddenUnits)
    check(wanted, fmt::format("--hidden {} has {} parameters", network_sizes(table), wanted));
  network_numbers(policy) = choice.numbers;
}

void resolve_cart_pole_policy(const OptionTable& table, const std::string& environment, CartPolePolicy policy,
                              const PolicyChoice& choice) {
  const Option& option = *table.find("policy");
  if (!choice.file.empty() && option.source == cart_pole_policy_source(table)) {
    const SavedPolicy saved = read_policy_file(option.label, choice.file, environment);
    if (saved.q_network && policy.q_network == nullptr) {
      throw ConfigurationError(
          fmt::format("{}: {} is a Q network, which acts greedily and has no policy gradient; a sigmoid policy is accepted",
                      option.label, shown(choice.file)));
    }
    take_saved(saved, policy);
    return;
  }
  resolve_cart_pole_parameters(table, policy, choice);
  if (has_network(policy) && policy.hidden.units <= kMostHiddenUnits && network_numbers(policy).empty()) {
    throw ConfigurationError(fmt::format("{}: {} needs the network's {} --parameters, or --policy instead",
                                         table.find("hidden")->label, network_sizes(table), network_parameters(policy)));
  }
}

void resolve_greedy(const OptionTable& table, bool& greedy) {
  const Option& option = *table.find("greedy");
  if (!greedy && option.source != Source::standard && option.source >= cart_pole_policy_source(table))
    throw ConfigurationError(option.label + ": false is not accepted; a Q network acts greedily");
  greedy = true;
}

std::string policy_words(const QNetworkPolicy& network) {
  return fmt::format("a Q network {}-{}-{}-{}", QNetworkShape::kInputs, network.shape.hidden1, network.shape.hidden2,
                     QNetworkShape::kActions);
}

std::string policy_words(const std::array<double, 5>& parameters, const HiddenLayer& hidden, const char* separator) {
  if (hidden.units != 0) {
    return fmt::format("{} hidden {} unit{}", hidden.units, hidden.activation == Activation::tanh ? "tanh" : "sigmoid",
                       hidden.units == 1 ? "" : "s");
  }
  std::string text;
  for (const double parameter : parameters) text += fmt::format("{}{:g}", text.empty() ? "" : separator, parameter);
  return text;
}

}  // namespace fryer::cli
