// SPDX-License-Identifier: Apache-2.0
// See policy_file.h.
#include "host/cli/output/policy_file.h"

#include <fmt/format.h>

#include <algorithm>
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
constexpr std::uint64_t kVersionOfFormat = 1;

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

}  // namespace

std::string policy_text(const SavedPolicy& policy) {
  const EnvironmentEntry& entry = entry_of(policy.environment);
  const std::vector<std::string> names = names_of(entry, policy.hidden);
  Json parameters = Json::object();
  for (std::size_t i = 0; i < names.size(); ++i) parameters[names[i]] = static_cast<double>(policy.parameters[i]);
  Json document = {{"format", kFormat},          {"version", kVersionOfFormat}, {"environment", policy.environment},
                   {"policy", kLinear},          {"parameters", parameters},    {"numerics_version", kNumericsVersion},
                   {"training", policy.training}};
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
    if (version != kVersionOfFormat)
      damaged(fmt::format("version {} of the format; this program reads version {}", version, kVersionOfFormat));
    if (document.at("checksum").get<std::string>() != checksum_of(document))
      damaged("the checksum does not fit: the file was damaged or edited");
    policy.environment = document.at("environment").get<std::string>();
    if (!plays(policy.environment, environment))
      damaged(fmt::format("this is a policy for {}, not for {}", shown(policy.environment), environment));
    policy.hidden = read_hidden_layer(document);
    if (policy.hidden.units > kMostHiddenUnits || (policy.hidden.units != 0 && document.at("policy") != kWithHiddenLayer))
      damaged("its hidden layer is not one of this program's");
    for (const std::string& name : names_of(entry_of(environment), policy.hidden)) {
      const double value = document.at("parameters").at(name).get<double>();
      if (!(std::abs(value) <= static_cast<double>(FLT_MAX))) damaged(fmt::format("its {} is not a finite float", name));
      policy.parameters.push_back(static_cast<float>(value));
    }
    policy.training = document.value("training", nlohmann::json());
  } catch (const nlohmann::json::exception& error) {
    damaged(fmt::format("not a whole policy file: {}", shown(error.what(), 300)));
  }
  return policy;
}

SavedPolicy read_policy_file(const std::string& option, const std::string& path, const std::string& environment) {
  return parse_policy(option, path, read_file(option, path), environment);
}

}  // namespace fryer::cli
