// SPDX-License-Identifier: Apache-2.0
// What `fryer train` is for every environment and algorithm: how many, from which seed, until when, and where results are written. A
// class of an algorithm adds how long and by which optimiser, one of an environment its own options, and how to train.
#pragma once

#include <memory>
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
  bool preset_sets(const Option& option) const override;
  void resolve() override;
  bool runs_on_ranks() const override { return !common_.dry_run; }
  int run(const Console& console) override;

 protected:
  // settings: the derived class's own, which outlives this.
  TrainCommand(Description description, Subject subject, PopulationSettings& settings)
      : Command(std::move(description), std::move(subject.environment)),
        settings_(settings),
        algorithm_(std::move(subject.algorithm)) {}

  // Rows of the option table, to be called in this order with the derived class's own between.
  void add_population_options();  // --algorithm, --preset, --replicas, --seed
  void add_until(const std::string& accepted, const std::string& over);
  void add_files(const std::string& parameters);  // what a row has of them, for --help

  // What the derived class knows.
  virtual TrainView view() const = 0;
  virtual void check() const = 0;  // validate() of its configuration
  virtual WorkEstimate work() const = 0;
  virtual TrainResult train_with(Backend& backend, const RunControl& control) const = 0;
  // For --dry-run: what would run, how much of it, and its pilot.
  virtual Plan plan() const = 0;
  // What it tells of episodes while it trains; nothing unless there is something to tell.
  virtual EpisodeWatch episode_watch(ProgressMeter&) const { return {}; }
  virtual std::string result_text(const Console& console, const TrainResult& result) const = 0;
  virtual void add_to_document(Json&, const TrainResult&) const {}
  virtual void describe_policy(SavedPolicy&) const {}  // what it is besides its parameters
  virtual std::string remedy() const = 0;              // what may help a training that failed

  PopulationSettings& settings_;

 private:
  void add_preset();
  std::unique_ptr<OutputFile> open(const char* option, const std::string& path) const {
    return path.empty() || !is_root() ? nullptr : std::make_unique<OutputFile>(option, path);
  }
  void save_replicas(OutputFile& file, const ReplicaTable& table) const;
  void save_policy(OutputFile& file, const TrainResult& result) const;

  const std::string algorithm_;
  std::string preset_, save_replicas_, save_policy_;
};

}  // namespace fryer::cli
