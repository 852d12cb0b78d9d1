// SPDX-License-Identifier: Apache-2.0
// See policy_file.h.
#include "host/cli/output/policy_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>

#include "fryer/core/version.h"
#include "fryer/engine/registry.h"
#include "fryer/engine/run.h"
#include "host/cli/files.h"
#include "host/cli/output/json.h"

namespace fryer::cli {
namespace {

constexpr const char* kFormat = "fryer policy";
constexpr std::uint64_t kVersionOfFormat = 1, kVersionOfQNetworks = 2;

constexpr int kDeepest = 32;  // levels of JSON

// 64-bit FNV-1a over the document without its checksum, written compactly with sorted keys: layout and order do not count, every
// value does.
std::string checksum_of(nlohmann::json document) {
  document.erase("checksum");
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  return hex16(hash);
}

const EnvironmentEntry* find_entry(const std::string& environment) {
  for (const EnvironmentEntry& entry : kEnvironments) {
    if (entry.name == environment) return &entry;
  }
  return nullptr;
}
const EnvironmentEntry& entry_of(const std::string& environment) {
  const EnvironmentEntry* entry = find_entry(environment);
  return entry != nullptr ? *entry : kEnvironments.front();
}

// Whether a policy saved for one environment can play the other: they have the same observation, and parameters that mean the same.
bool plays(const std::string& saved_for, const std::string& environment) {
  const EnvironmentEntry* entry = find_entry(saved_for);
  if (entry == nullptr) return false;
  const auto &there = entry->parameters, &here = entry_of(environment).parameters;
  return entry->policy == entry_of(environment).policy && std::equal(there.begin(), there.end(), here.begin(), here.end());
}

constexpr const char* kLinear = "sigmoid (linear)";
constexpr const char* kWithHiddenLayer = "sigmoid (one hidden layer)";
constexpr const char* kQNetwork = "Q network (ReLU)";

// The parameters' names: the environment's, or a network's.
std::vector<std::string> names_of(const EnvironmentEntry& entry, const HiddenLayer& hidden) {
  if (hidden.units != 0) return parameter_names(hidden);
  return {entry.parameters.begin(), entry.parameters.end()};
}

HiddenLayer read_hidden_layer(const nlohmann::json& document) {
  HiddenLayer hidden;
  if (!document.contains("hidden")) return hidden;
  hidden.units = document.at("hidden").get<std::uint64_t>();
  const std::string activation = document.at("activation").get<std::string>();
  if (activation != "tanh" && activation != "sigmoid")
    throw nlohmann::json::other_error::create(501, "no such activation", nullptr);
  hidden.activation = activation == "tanh" ? Activation::tanh : Activation::sigmoid;
  return hidden;
}

// A layer of a Q network: its numbers of outputs and inputs, and where its weights (out, in), then its biases stand among the parameters.
struct QLayer {
  std::size_t outputs, inputs, begin;
  std::size_t weight(std::size_t output, std::size_t input) const { return begin + output * inputs + input; }
  std::size_t bias(std::size_t output) const { return begin + outputs * inputs + output; }
};
std::array<QLayer, 3> layers_of(const QNetworkShape& shape) {
  const auto size = [](int n) { return static_cast<std::size_t>(n); };
  return {{{size(shape.hidden1), size(QNetworkShape::kInputs), size(shape.weight_1(0, 0))},
           {size(shape.hidden2), size(shape.hidden1), size(shape.weight_2(0, 0))},
           {size(QNetworkShape::kActions), size(shape.hidden2), size(shape.weight_3(0, 0))}}};
}

Json layers_json(const QNetworkShape& shape, const std::vector<float>& parameters) {
  const auto number = [&](std::size_t i) { return static_cast<double>(parameters[i]); };
  Json layers = Json::array();
  for (const QLayer& layer : layers_of(shape)) {
    Json weight = Json::array(), bias = Json::array();
    for (std::size_t output = 0; output < layer.outputs; ++output) {
      Json row = Json::array();
      for (std::size_t input = 0; input < layer.inputs; ++input) row.push_back(number(layer.weight(output, input)));
      weight.push_back(std::move(row));
      bias.push_back(number(layer.bias(output)));
    }
    layers.push_back({{"weight", std::move(weight)}, {"bias", std::move(bias)}});
  }
  return layers;
}

// Throws by `damaged`, or what the JSON library throws.
template <class Damaged>
void read_q_network(const nlohmann::json& document, SavedPolicy& policy, const Damaged& damaged) {
  const auto sizes = document.at("hidden").get<std::vector<std::uint64_t>>();
  const auto is_size = [](std::uint64_t n) { return n >= 1 && n <= QNetworkShape::kMostUnits; };
  if (document.at("policy") != kQNetwork || sizes.size() != 2 || !is_size(sizes[0]) || !is_size(sizes[1]))
    damaged("its network is not one of this program's");
  const QNetworkShape shape = {static_cast<int>(sizes[0]), static_cast<int>(sizes[1])};
  policy.q_network = shape;
  policy.parameters.resize(static_cast<std::size_t>(shape.parameters()));
  const nlohmann::json& layers = document.at("layers");
  const auto expect = [&](const nlohmann::json& list, std::size_t size, const std::string& what) {
    if (!list.is_array() || list.size() != size)
      damaged(fmt::format("its {} should have {} of them, for hidden layers of {} and {} units", what, size, sizes[0], sizes[1]));
  };
  const auto take = [&](std::size_t i, const nlohmann::json& value) {
    const double number = value.get<double>();
    if (!(std::abs(number) <= static_cast<double>(FLT_MAX))) damaged("a parameter is not a finite float");
    policy.parameters[i] = static_cast<float>(number);
  };
  expect(layers, 3, "layers");
  for (std::size_t l = 0; const QLayer& layer : layers_of(shape)) {
    const nlohmann::json &weight = layers[l].at("weight"), &bias = layers[l].at("bias");
    const std::string of = fmt::format("of layer {}", ++l);
    expect(weight, layer.outputs, "rows of weights " + of);
    expect(bias, layer.outputs, "biases " + of);
    for (std::size_t output = 0; output < layer.outputs; ++output) {
      expect(weight[output], layer.inputs, "weights in a row " + of);
      for (std::size_t input = 0; input < layer.inputs; ++input) take(layer.weight(output, input), weight[output][input]);
      take(layer.bias(output), bias[output]);
    }
  }
}

}  // namespace

std::string policy_text(const SavedPolicy& policy) {
  Json document = {{"format", kFormat}, {"version", kVersionOfFormat}, {"environment", policy.environment}, {"policy", kLinear}};
  if (policy.q_network) {
    document["version"] = kVersionOfQNetworks;
    document["policy"] = kQNetwork;
    document["hidden"] = {policy.q_network->hidden1, policy.q_network->hidden2};
    document["layers"] = layers_json(*policy.q_network, policy.parameters);
  } else {
    const std::vector<std::string> names = names_of(entry_of(policy.environment), policy.hidden);
    Json parameters = Json::object();
    for (std::size_t i = 0; i < names.size(); ++i) parameters[names[i]] = static_cast<double>(policy.parameters[i]);
    document["parameters"] = std::move(parameters);
  }
  document["numerics_version"] = kNumericsVersion;
  document["training"] = policy.training;
  if (policy.hidden.units != 0) {
    document["policy"] = kWithHiddenLayer;
    document["hidden"] = policy.hidden.units;
    document["activation"] = policy.hidden.activation == Activation::tanh ? "tanh" : "sigmoid";
  }
  document["checksum"] = checksum_of(nlohmann::json::parse(document.dump()));
  return to_text(document);
}

SavedPolicy parse_policy(const std::string& option, const std::string& path, const std::string& text,
                         const std::string& environment) {
  const auto damaged = [&](const std::string& what) {
    throw DamagedFileError(fmt::format("{}: {}: {}", option, shown(path), what));
  };
  SavedPolicy policy;
  try {
    const nlohmann::json document = nlohmann::json::parse(text, [&](int depth, auto, const auto&) {
      if (depth > kDeepest) damaged("not a policy: too deeply nested");
      return true;
    });
    if (!document.is_object() || document.value("format", "") != kFormat)
      damaged("this is not a policy that train --save-policy wrote");
    const std::uint64_t version = document.at("version").get<std::uint64_t>();
    if (version != kVersionOfFormat && version != kVersionOfQNetworks)
      damaged(fmt::format("version {} of the format; this program reads versions {} and {}", version, kVersionOfFormat,
                          kVersionOfQNetworks));
    if (document.at("checksum").get<std::string>() != checksum_of(document))
      damaged("the checksum does not fit: the file was damaged or edited");
    policy.environment = document.at("environment").get<std::string>();
    if (!plays(policy.environment, environment))
      damaged(fmt::format("this is a policy for {}, not for {}", shown(policy.environment), environment));
    policy.training = document.value("training", nlohmann::json());
    if (version == kVersionOfQNetworks) {
      if (entry_of(environment).parameters.size() != QNetworkShape::kInputs + 1)
        damaged(fmt::format("a Q network does not play {}", environment));
      read_q_network(document, policy, damaged);
      return policy;
    }
    policy.hidden = read_hidden_layer(document);
    if (policy.hidden.units > kMostHiddenUnits || (policy.hidden.units != 0 && document.at("policy") != kWithHiddenLayer))
      damaged("its hidden layer is not one of this program's");
    for (const std::string& name : names_of(entry_of(environment), policy.hidden)) {
      const double value = document.at("parameters").at(name).get<double>();
      if (!(std::abs(value) <= static_cast<double>(FLT_MAX))) damaged(fmt::format("its {} is not a finite float", name));
      policy.parameters.push_back(static_cast<float>(value));
    }
  } catch (const nlohmann::json::exception& error) {
    damaged(fmt::format("not a whole policy file: {}", shown(error.what(), 300)));
  }
  return policy;
}

SavedPolicy read_policy_file(const std::string& option, const std::string& path, const std::string& environment) {
  return parse_policy(option, path, read_file(option, path), environment);
}

}  // namespace fryer::cli
