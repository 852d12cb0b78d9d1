// SPDX-License-Identifier: Apache-2.0
// What `fryer train` by policy gradients is for every environment: updates of a batch of episodes each, by an optimiser. An environment's
// class adds its own options and says how to train.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "host/cli/train_command.h"

namespace fryer::cli {

class PolicyGradientTrain : public TrainCommand {
 public:
  std::string why_not(const std::string& option) const override;
  void resolve() override;

 protected:
  // settings: the environment's class's own, which outlives this.
  PolicyGradientTrain(Description description, std::string environment, TrainingSettings& settings)
      : TrainCommand(std::move(description), {std::move(environment), "reinforce"}, settings), training_(settings) {}

  void add_training_options();  // those of every training, --updates, --episodes, --batch, the optimiser's
  void add_until(const std::string& accepted);

  Plan plan() const override;
  // A training with other sizes and without --until, for --dry-run; returns its episodes.
  virtual double train_part(Backend& backend, std::uint64_t updates, std::uint64_t batch, std::uint64_t replicas) const = 0;
  template <class Configuration>
  static double train_part_of(Configuration part, Backend& backend, std::uint64_t updates, std::uint64_t batch,
                              std::uint64_t replicas) {
    part.until.reset();
    part.updates = updates;
    part.batch = batch;
    part.replicas = replicas;
    return static_cast<double>(train(part, backend).episodes);
  }

 private:
  void add_episodes();

  TrainingSettings& training_;
  std::optional<std::uint64_t> episodes_;  // --episodes, instead of --updates
};

}  // namespace fryer::cli
