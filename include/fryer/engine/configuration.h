// SPDX-License-Identifier: Apache-2.0
// What to run: every setting that can change a result, with the defaults of the command line. Backend, threads and output paths are
// not here, since they cannot. validate() refuses what cannot be run, naming the field as the command line names its option.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fryer/algo/optimizer.h"
#include "fryer/env/fry_shack.h"

namespace fryer {

// A sigmoid policy on an environment: what all commands share.
struct Problem {
  FryShack::Settings environment;
  double weight = 20.0, bias = 0.0;  // the policy's (initial) parameters
  bool learn_weight = false;         // the bias is always learned
  double reward_scale = 0.99;        // multiplies rewards in gradients, not in reported returns
};

struct TrainConfiguration {
  Problem problem;
  OptimizerSettings optimizer;
  std::uint64_t updates = 280;
  std::uint64_t batch = 1;  // episodes per update
  // Stop a replica once the mean return over its last ceil(100 / batch) updates reaches this.
  std::optional<double> until;
  std::uint64_t seed = 42;
  std::uint64_t replicas = 1;  // seeds seed .. seed + replicas - 1
};

struct GradientConfiguration {
  Problem problem;
  std::uint64_t episodes = 1'000'000;
  std::uint64_t seed = 42;
};

struct EvaluateConfiguration {
  Problem problem;      // reward_scale is not used
  bool random = false;  // action 1 with probability 1/2 instead of the policy
  bool greedy = false;  // action 1 where p > 1/2 instead of sampling
  std::uint64_t episodes = 1'000'000;
  std::uint64_t seed = 42;
};

// The StatQuest notebook: one training of FryShack-v0 with batch 1.
struct NotebookConfiguration {
  enum class Generator { torch, philox };
  Generator generator = Generator::torch;
  std::uint64_t updates = 280;  // epochs of four; a last one may be shorter
  double learning_rate = 0.1;
  double reward_correct = 1.0, reward_wrong = -1.0;
  std::uint64_t seed = 42;  // torch takes the low 32 bits
};

// Throw ConfigurationError naming the option, the value and what is accepted.
void validate(const Problem& problem);
void validate(const TrainConfiguration& configuration);
void validate(const GradientConfiguration& configuration);
void validate(const EvaluateConfiguration& configuration);
void validate(const NotebookConfiguration& configuration);

}  // namespace fryer
