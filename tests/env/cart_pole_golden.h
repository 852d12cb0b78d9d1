// SPDX-License-Identifier: Apache-2.0
// The CartPole episodes and single steps that tests/data/make_cartpole.py recorded from Gymnasium, parsed once, and the tolerances of
// tests/data/README.md. For tests; throws where a file is not there or not whole.
#pragma once

#include <array>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "fryer/env/cart_pole.h"

namespace fryer::test {

using CartPoleState = std::array<double, 4>;

struct GoldenEpisode {
  std::string name;  // for messages
  CartPole::Settings settings;
  CartPoleState initial_state;
  std::string actions;
  std::vector<CartPoleState> states;  // after each step
  std::vector<double> rewards;
  bool terminated, truncated;  // after the last step; both false before
  bool starts_on_a_limit;      // to the last bit or within 1e-9, where a rounding decides
};

struct GoldenStep {
  std::string kind;
  CartPole::Settings settings;
  CartPoleState state, next_state;
  bool action;
  double reward;
  bool terminated, truncated;
};

inline CartPole::Integrator integrator_named(const std::string& name) {
  return name == "euler" ? CartPole::Integrator::euler : CartPole::Integrator::semi_implicit;
}

inline std::vector<nlohmann::json> read_lines(const std::string& path, std::size_t count) {
  std::vector<nlohmann::json> rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) rows.push_back(nlohmann::json::parse(line));
  if (rows.size() != count) throw std::runtime_error(path + ": not there, or not whole");
  return rows;
}

inline const std::vector<GoldenEpisode>& golden_episodes() {
  static const std::vector<GoldenEpisode> all = [] {
    std::vector<GoldenEpisode> episodes;
    for (const nlohmann::json& row : read_lines(FRYER_TEST_DATA "/cartpole_episodes.jsonl", 62)) {
      GoldenEpisode& e = episodes.emplace_back();
      e.name = std::to_string(episodes.size() - 1) + ": " + row["env_id"].get<std::string>() + ", " +
               row["integrator"].get<std::string>() + ", " + row["policy"].get<std::string>();
      e.settings.integrator = integrator_named(row["integrator"]);
      e.settings.sutton_barto_reward = row["sutton_barto_reward"];
      e.settings.max_steps = row["env_id"] == CartPole::kNameV0 ? CartPole::kMaxStepsV0 : CartPole::kMaxStepsV1;
      e.initial_state = row["initial_state"];
      e.actions = row["actions"];
      e.states = row["states"].get<std::vector<CartPoleState>>();
      e.rewards = row["rewards"].get<std::vector<double>>();
      e.terminated = row["terminated"];
      e.truncated = row["truncated"];
      const auto near = [](double x, double limit) { return std::abs(std::abs(x) - limit) < 1e-8; };
      e.starts_on_a_limit =
          near(e.initial_state[0], e.settings.position_limit) || near(e.initial_state[2], e.settings.angle_limit);
    }
    return episodes;
  }();
  return all;
}

inline const std::vector<GoldenStep>& golden_steps() {
  static const std::vector<GoldenStep> all = [] {
    std::vector<GoldenStep> steps;
    for (const nlohmann::json& row : read_lines(FRYER_TEST_DATA "/cartpole_steps.jsonl", 2000)) {
      GoldenStep& s = steps.emplace_back();
      s.kind = row["kind"];
      s.settings.integrator = integrator_named(row["integrator"]);
      s.state = row["state"];
      s.next_state = row["next_state"];
      s.action = row["action"] == 1;
      s.reward = row["reward"];
      s.terminated = row["terminated"];
      s.truncated = row["truncated"];
    }
    return steps;
  }();
  return all;
}

// One step from the recorded state before it.
inline double step_tolerance(double value) { return 2e-15 * (1 + std::abs(value)); }
// `t` steps after the recorded start, at most 100: the unstable pole multiplies every rounding by e^0.08 a step.
inline double open_loop_tolerance(std::size_t t, double value) {
  return 5e-15 * std::exp(0.08 * static_cast<double>(t)) * (1 + std::abs(value));
}

}  // namespace fryer::test
