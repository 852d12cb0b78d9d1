// SPDX-License-Identifier: Apache-2.0
// What a study is: cells (settings) times seeds, and what is recorded of each training. Made from a study file by the command line, or
// from the document that a store keeps of it. Nothing here runs anything.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "fryer/engine/configuration.h"

namespace fryer::study {

using Json = nlohmann::ordered_json;

// What one cell runs, for each of the study's seeds. `seed` and `replicas` inside are not used.
using CellConfiguration =
    std::variant<TrainConfiguration, CartPoleTrainConfiguration, GradientConfiguration, CartPoleGradientConfiguration,
                 EvaluateConfiguration, CartPoleEvaluateConfiguration, QTrainConfiguration>;

// What the grid sets of a cell, as written: key (with _), value.
using Point = std::vector<std::pair<std::string, std::string>>;
// "learning_rate 0.1, baseline mean"; "" of an empty one.
std::string to_text(const Point& point);

struct Cell {
  // JSON: every setting that can change a result, but seed, replicas and those that are drawn; for people and programs.
  std::string configuration;
  // JSON: those of them that differ from their defaults, sorted by name. This is what digests and fingerprints are made of, so that they
  // outlast versions with more options (host/cli/study_cells.cpp has the rule).
  std::string key;
  Point point;
  std::optional<CellConfiguration> run;  // absent in plans that are only looked at
};

// What is kept of each replica besides its status, updates, episodes and steps.
struct Record {
  bool parameters = true;  // final ones
  // The mean return of updates k, 2k, ... and of the first; of value learners, of each k episodes that count. 0: none.
  std::uint64_t curve_every = 0;
  std::uint64_t evaluation_episodes = 0;  // played by the final policy, as `evaluate --seed` of that replica
  // Of the mean return over the last ceil(100 / batch) updates, or 100 episodes of value learners: when each was first reached.
  std::vector<double> thresholds;
};

// What each replica draws from its own seed: a parameter of the policy, or a real-valued setting of the command. draws.h has the values.
struct Draw {
  enum class Scale { uniform, log_uniform };
  std::string parameter;     // its name; "" of a setting
  std::size_t index = 0;     // of a parameter, in the registry's order
  double low = 0, high = 0;  // finite, low <= high; 0 < low where log-uniform
  Scale scale = Scale::uniform;
  std::string setting = {};  // its key in a study file; "" of a parameter
  // Of a setting: gives a cell's configuration this value. Absent in plans that are only looked at; any number of threads may call it.
  std::function<void(CellConfiguration&, double)> apply = {};

  bool is_setting() const { return !setting.empty(); }
  const std::string& name() const { return is_setting() ? setting : parameter; }
};

struct Plan {
  std::string title;  // a line; the study file's name where it has none
  std::string question;
  std::string command, environment, algorithm;  // algorithm "" where the command has none
  std::vector<Cell> cells;
  std::uint64_t first_seed = 1, seeds = 0;
  Record record;
  std::vector<Draw> distribution;  // parameters in the registry's order, then settings by key
  std::string source;              // the study file's text

  std::uint64_t replicas() const { return cells.size() * seeds; }
  bool draws_parameters() const {
    return std::any_of(distribution.begin(), distribution.end(), [](const Draw& draw) { return !draw.is_setting(); });
  }
  bool draws(const std::string& name) const {
    return std::any_of(distribution.begin(), distribution.end(), [&](const Draw& draw) { return draw.name() == name; });
  }
};

// Whether an algorithm's trainings are as long as their episodes that count, as value learners' are; others are as their updates.
inline bool counts_episodes(const std::string& algorithm) { return algorithm == "dqn" || algorithm == "q-learning"; }

// The plan as a store keeps it; `run` and `source` are not in it.
Json to_json(const Plan& plan);
// Throws DamagedFileError.
Plan plan_from_json(const Json& document);
// What two studies must share to be one: to_json without title and question, and of cells' settings the keys alone.
std::uint64_t fingerprint(const Plan& plan);

// Replicas first .. first + count - 1 of a cell, of indices 0 .. seeds - 1.
struct Range {
  std::uint64_t first = 0, count = 0;
  friend bool operator==(const Range&, const Range&) = default;
};

// Shard `index` (1 .. shards) of `seeds` replicas of every cell. Together the shards are all of them, each once.
inline Range shard_of(std::uint64_t seeds, std::uint64_t index, std::uint64_t shards) {
  const auto begin = [&](std::uint64_t i) {  // floor(seeds * i / shards) without overflow
    return seeds / shards * i + seeds % shards * i / shards;
  };
  return {begin(index - 1), begin(index) - begin(index - 1)};
}

}  // namespace fryer::study
