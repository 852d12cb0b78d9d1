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

// A policy's file that is being read, and how what is wrong with it is refused.
class PolicyFile {
 public:
  PolicyFile(const std::string& option, const std::string& path) : name_(fmt::format("{}: {}", option, shown(path))) {}

  [[noreturn]] void refuse(const std::string& what) const { throw DamagedFileError(fmt::format("{}: {}", name_, what)); }
  [[noreturn]] void damaged(const std::string& what) const {
    refuse(what + "; accepted: a whole file as train --save-policy writes it");
  }

  nlohmann::json parse(const std::string& text) const {
    try {
      return nlohmann::json::parse(text, [&](int depth, auto, const auto&) {
        if (depth > kDeepest) damaged("not a policy: too deeply nested");
        return true;
      });
    } catch (const nlohmann::json::parse_error& error) {
      const bool at_end = error.byte > text.size();
      damaged(text.empty() ? "the file is empty"
              : at_end     ? fmt::format("the file ends too early, after {} bytes", text.size())
                           : fmt::format("not JSON at byte {}", error.byte));
    } catch (const nlohmann::json::out_of_range&) {
      damaged("a number in it is too large");
    }
  }

  const nlohmann::json& member(const nlohmann::json& of, const std::string& key) const {
    const auto found = of.find(key);
    if (found == of.end()) damaged(fmt::format("it has no {}", key));
    return *found;
  }
  std::string text(const nlohmann::json& document, const std::string& key) const {
    const nlohmann::json& value = member(document, key);
    if (!value.is_string()) damaged(fmt::format("its {} is not a text", key));
    return value.get<std::string>();
  }
  std::uint64_t whole(const nlohmann::json& value, const std::string& what) const {
    if (!value.is_number_unsigned()) damaged(fmt::format("its {} is not a whole number", what));
    return value.get<std::uint64_t>();
  }
  float parameter(const nlohmann::json& value, const std::string& name) const {
    if (!value.is_number() || !(std::abs(value.get<double>()) <= static_cast<double>(FLT_MAX)))
      damaged(fmt::format("its {} is not a finite float", name));
    return static_cast<float>(value.get<double>());
  }

 private:
  std::string name_;
};

HiddenLayer read_hidden_layer(const nlohmann::json& document, const PolicyFile& file) {
  HiddenLayer hidden;
  if (!document.contains("hidden")) return hidden;
  hidden.units = file.whole(document["hidden"], "hidden");
  const std::string activation = file.text(document, "activation");
  if (activation != "tanh" && activation != "sigmoid")
    file.damaged(fmt::format("its activation {} is neither tanh nor sigmoid", shown(activation)));
  hidden.activation = activation == "tanh" ? Activation::tanh : Activation::sigmoid;
  if (hidden.units > kMostHiddenUnits || (hidden.units != 0 && file.text(document, "policy") != kWithHiddenLayer))
    file.damaged("its hidden layer is not one of this program's");
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

void read_q_network(const nlohmann::json& document, SavedPolicy& policy, const PolicyFile& file) {
  std::vector<std::uint64_t> sizes;
  for (const nlohmann::json& size : file.member(document, "hidden")) sizes.push_back(file.whole(size, "hidden"));
  const auto is_size = [](std::uint64_t n) { return n >= 1 && n <= QNetworkShape::kMostUnits; };
  if (file.text(document, "policy") != kQNetwork || sizes.size() != 2 || !is_size(sizes[0]) || !is_size(sizes[1]))
    file.damaged("its network is not one of this program's");
  const QNetworkShape shape = {static_cast<int>(sizes[0]), static_cast<int>(sizes[1])};
  policy.q_network = shape;
  policy.parameters.resize(static_cast<std::size_t>(shape.parameters()));
  const auto list = [&](const nlohmann::json& value, std::size_t size, const std::string& what) -> const nlohmann::json& {
    if (!value.is_array() || value.size() != size)
      file.damaged(
          fmt::format("its {} should have {} of them, for hidden layers of {} and {} units", what, size, sizes[0], sizes[1]));
    return value;
  };
  const nlohmann::json& layers = list(file.member(document, "layers"), 3, "layers");
  for (std::size_t l = 0; const QLayer& layer : layers_of(shape)) {
    const nlohmann::json& here = layers[l];
    const std::string of = fmt::format("of layer {}", ++l);
    const nlohmann::json& weight = list(file.member(here, "weight"), layer.outputs, "rows of weights " + of);
    const nlohmann::json& bias = list(file.member(here, "bias"), layer.outputs, "biases " + of);
    for (std::size_t output = 0; output < layer.outputs; ++output) {
      const nlohmann::json& row = list(weight[output], layer.inputs, "weights in a row " + of);
      for (std::size_t input = 0; input < layer.inputs; ++input)
        policy.parameters[layer.weight(output, input)] = file.parameter(row[input], "weight " + of);
      policy.parameters[layer.bias(output)] = file.parameter(bias[output], "bias " + of);
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
  const PolicyFile file(option, path);
  const nlohmann::json document = file.parse(text);
  if (!document.is_object() || !document.contains("format") || document["format"] != kFormat)
    file.damaged("this is not a policy that train --save-policy wrote");
  const std::uint64_t version = file.whole(file.member(document, "version"), "version");
  if (version != kVersionOfFormat && version != kVersionOfQNetworks) {
    file.refuse(fmt::format("version {} of the format is not accepted; this program reads versions {} and {}", version,
                            kVersionOfFormat, kVersionOfQNetworks));
  }
  if (file.text(document, "checksum") != checksum_of(document))
    file.damaged("the checksum does not fit: the file was damaged or edited");
  SavedPolicy policy;
  policy.environment = file.text(document, "environment");
  if (!plays(policy.environment, environment)) {
    file.refuse(fmt::format("this is a policy for {}, not for {}; accepted: one for an environment with the same observation",
                            shown(policy.environment), environment));
  }
  policy.training = document.value("training", nlohmann::json());
  if (version == kVersionOfQNetworks) {
    if (entry_of(environment).parameters.size() != QNetworkShape::kInputs + 1)
      file.refuse(fmt::format("a Q network does not play {}; accepted: a sigmoid policy", environment));
    read_q_network(document, policy, file);
    return policy;
  }
  policy.hidden = read_hidden_layer(document, file);
  const nlohmann::json& parameters = file.member(document, "parameters");
  for (const std::string& name : names_of(entry_of(environment), policy.hidden))
    policy.parameters.push_back(file.parameter(file.member(parameters, name), name));
  return policy;
}

SavedPolicy read_policy_file(const std::string& option, const std::string& path, const std::string& environment) {
  return parse_policy(option, path, read_file(option, path), environment);
}

}  // namespace fryer::cli
