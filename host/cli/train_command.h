// SPDX-License-Identifier: Apache-2.0
// What `fryer train` is for every environment: how long, how many, by which optimiser, until when, and where results are written. An
// environment's class adds its own options and says how to train.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/cli/command.h"
#include "host/cli/files.h"
#include "host/cli/output/policy_file.h"
#include "host/cli/output/train_report.h"
#include "host/cli/run_support.h"

namespace fryer::cli {

class TrainCommand : public Command {
 public:
  bool takes_environment() const override { return true; }
  std::string algorithm() const override { return algorithm_; }
  std::string why_not(const std::string& option) const override;
  void resolve() override;
  int run(const Console& console) override;

 protected:
  // settings: the environment's class's own, which outlives this.
  TrainCommand(Description description, std::string environment, TrainingSettings& settings)
      : Command(std::move(description), std::move(environment)), settings_(settings) {}

  // Rows of the option table, to be called in this order with the environment's own between.
  void add_algorithm_options();  // --algorithm, --preset, --replicas, --seed, --updates, --episodes, --batch, the optimiser's
  void add_until(const std::string& accepted);
  void add_files();

  // What the environment's class knows.
  virtual TrainView view() const = 0;
  virtual void check() const = 0;  // validate() of its configuration
  virtual WorkEstimate work() const = 0;
  virtual TrainResult train_with(Backend& backend, const RunControl& control) const = 0;
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
  virtual std::string result_text(const Console& console, const TrainResult& result) const = 0;
  virtual void add_to_document(Json&, const TrainResult&) const {}
  virtual void describe_policy(SavedPolicy&) const {}  // what it is besides its parameters

  TrainingSettings& settings_;
  std::string algorithm_ = "reinforce", preset_;

 private:
  void add_episodes();
  Plan plan() const;
  std::unique_ptr<OutputFile> open(const char* option, const std::string& path) const {
    return path.empty() ? nullptr : std::make_unique<OutputFile>(option, path);
  }
  void save_replicas(OutputFile& file, const ReplicaTable& table) const;
  void save_policy(OutputFile& file, const TrainResult& result) const;

  std::string save_replicas_, save_policy_;
  std::optional<std::uint64_t> episodes_;  // --episodes, instead of --updates
};

}  // namespace fryer::cli
