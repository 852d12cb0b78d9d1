// SPDX-License-Identifier: Apache-2.0
// See train_command.h.
#include "host/cli/train_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "fryer/engine/registry.h"
#include "host/cli/output/policy_file.h"
#include "host/cli/output/replica_file.h"
#include "host/cli/settings.h"

namespace fryer::cli {

void TrainCommand::add_population_options() {
  Option algorithm;
  algorithm.name = "algorithm";
  algorithm.placeholder = "A";
  algorithm.choices = known_algorithms(environment_);
  algorithm.accepted = either(algorithm.choices);
  algorithm.help = "how to learn; most options depend on it";
  algorithm.default_text = algorithm.choices.front();
  algorithm.value = [this] { return Json(algorithm_); };
  algorithm.read = [this](const std::string& text) {  // the command was made for the one that counts
    const std::string why = why_not_trained_by(text, environment_);
    if (!why.empty()) throw ConfigurationError(why);
  };
  table_.add(algorithm);
  add_preset();
  table_.integer("replicas", "N", settings_.replicas, "a whole number from 1 to 4294967296", "trainings",
                 "independent trainings, seeds S to S+N-1");
  add_seed(table_, settings_.seed, "seed of the (first) training; seed + replicas - 1 must stay below 2^64");
}

void TrainCommand::add_preset() {
  std::vector<std::string> presets, of_any;  // of this algorithm, and of all
  for (const PresetEntry& entry : kPresets) {
    const std::vector<std::string> environments = split_list(entry.environments);
    const bool here = std::find(environments.begin(), environments.end(), environment_) != environments.end();
    if (here) of_any.emplace_back(entry.name);
    if (here && entry.algorithm == algorithm_) presets.emplace_back(entry.name);
  }
  Option& preset = table_.text(
      "preset", "NAME", preset_, either(of_any),
      "how to learn, as a named set of settings says (fryer list shows them), algorithm included; other options override it, "
      "and it overrides what a --config file says of that");
  preset.choices = presets;
  preset.read = [this, presets, of_any](const std::string& text) {
    if (std::find(of_any.begin(), of_any.end(), text) == of_any.end())
      not_accepted(text, fmt::format("accepted on {}: {}", environment_, either(of_any)), of_any);
    if (std::find(presets.begin(), presets.end(), text) == presets.end()) {
      throw ConfigurationError(fmt::format("{} is a preset of another algorithm than --algorithm {}; accepted: {}", text,
                                           algorithm_, either(presets)));
    }
    preset_ = text;
  };
}

// How to learn, whole, and until when if it says so; not which trainings, nor the rules that CartPole is played by.
bool TrainCommand::preset_sets(const Option& option) const {
  if (option.name == "until") return settings_.until.has_value();
  if (option.name == "seed" || option.name == "replicas") return false;
  CartPole::Settings settings;
  OptionTable rules;
  add_cart_pole(rules, settings);
  return option.name == "episodes" || (option.setting && rules.find(option.name) == nullptr);
}

void TrainCommand::add_until(const std::string& accepted, const std::string& over) {
  Option until;
  until.name = "until";
  until.placeholder = "RETURN";
  until.accepted = accepted;
  until.unit = "reward";
  until.numeric = true;
  until.help = fmt::format("stop a replica once the mean return over its last {} reaches this", over);
  until.read = [this, accepted = until.accepted](const std::string& text) {
    settings_.until = text == "none" ? std::nullopt : parse_number(text);
    if (!settings_.until && text != "none") not_accepted(text, accepted);
  };
  until.value = [this] { return settings_.until ? Json(*settings_.until) : Json(); };
  table_.add(until);
}

void TrainCommand::add_files(const std::string& parameters) {
  Option& replicas =
      table_.text("save-replicas", "FILE", save_replicas_, "a file name that ends in .npy or .csv",
                  "write a row for each replica, in seed order: seed, status, updates, episodes, steps, " + parameters);
  replicas.read = [this, accepted = replicas.accepted](const std::string& text) {
    if (!text.ends_with(".npy") && !text.ends_with(".csv")) not_accepted(text, accepted);
    save_replicas_ = text;
  };
  table_.text("save-policy", "FILE", save_policy_, "a file name",
              "write the trained policy, for evaluate --policy; needs --replicas 1");
}

void TrainCommand::resolve() {
  check();
  if (!save_policy_.empty() && settings_.replicas > 1) {
    throw ConfigurationError(
        fmt::format("{}: cannot be combined with --replicas {}: which policy? --save-replicas keeps all their parameters",
                    table_.find("save-policy")->label, settings_.replicas));
  }
  for (const auto& [option, path] : {std::pair{"save-policy", save_policy_}, std::pair{"save-replicas", save_replicas_}}) {
    if (common_.json && !path.empty() && is_standard_output(path)) {
      throw ConfigurationError(
          fmt::format("{}: {} is where the document of --json goes; another file", table_.find(option)->label, shown(path)));
    }
  }
  for (const auto& [option, path] : {std::pair{"save-policy", save_policy_}, std::pair{"save-replicas", save_replicas_}}) {
    if (!path.empty() && !common_.config.empty() && is_same_file(path, common_.config))
      throw ConfigurationError(fmt::format("{}: {} is the file of --config", table_.find(option)->label, shown(path)));
  }
  if (!save_policy_.empty() && !save_replicas_.empty() && is_same_file(save_policy_, save_replicas_)) {
    throw ConfigurationError(
        fmt::format("{}: {} is the file of --save-replicas too", table_.find("save-policy")->label, shown(save_policy_)));
  }
}

void TrainCommand::save_replicas(OutputFile& file, const ReplicaTable& table) const {
  const TrainView training = view();
  const ReplicaRows rows{table, training.batch, training.parameters};
  file.path().ends_with(".npy") ? write_npy(file, rows) : write_csv(file, rows);
  file.commit();
}

void TrainCommand::save_policy(OutputFile& file, const TrainResult& result) const {
  SavedPolicy policy;
  policy.environment = environment_;
  for (const std::vector<float>& column : result.table.parameters) policy.parameters.push_back(column[0]);
  describe_policy(policy);
  policy.training = {{"algorithm", algorithm_}, {"configuration", table_.configuration()}, {"digest", hex16(result.digest)}};
  file.write(policy_text(policy));
  file.commit();
}

int TrainCommand::run(const Console& console) {
  // Places for the files first: work without a place for its result is lost.
  const std::unique_ptr<OutputFile> replicas_file = open("--save-replicas", save_replicas_),
                                    policy_file = open("--save-policy", save_policy_);
  if (common_.dry_run) {
    Plan planned = plan();
    for (const std::string& path : {save_replicas_, save_policy_}) {
      if (!path.empty()) planned.outputs.push_back(path);
    }
    return run_dry(*this, console, settings_.seed, planned);
  }
  const Stopwatch watch;
  const std::unique_ptr<Backend> backend = open_backend(*this, work(), console);
  const TrainView training = view();
  const double episodes_of_unit = training.by_episodes() ? 1 : static_cast<double>(training.batch);
  const TrainResult result =
      run_watched(*this, console, "episodes", episodes_of_unit, [&](RunControl control, ProgressMeter& meter) {
        control.episodes = episode_watch(meter);
        return train_with(*backend, control);
      });
  const double seconds = watch.seconds();
  if (replicas_file) save_replicas(*replicas_file, result.table);
  if (policy_file && result.failed.count == 0) save_policy(*policy_file, result);

  if (common_.json) {
    Json document = document_head(*this, settings_.seed);
    document["digest"] = hex16(result.digest);
    document["backend"] = backend_json(backend->info());
    document["wall_seconds"] = seconds;
    document.update(train_json(training, result));
    add_to_document(document, result);
    console.print(to_text(document));
  } else {
    std::string text = curve_text(console.out, training, result.curve, common_.verbose) + '\n' + result_text(console, result);
    const std::uint64_t updates = training.by_episodes() ? result.optimizer_updates : 0;
    text += closing_text({result.episodes, result.steps, updates}, seconds, backend->info(), result.digest);
    console.print(text);
  }
  if (result.failed.count != 0) throw RunError(failure_text(settings_, result.failed, remedy()));
  return 0;
}

}  // namespace fryer::cli
