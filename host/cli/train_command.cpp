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
#include "host/training_support.h"

namespace fryer::cli {

void TrainCommand::add_algorithm_options() {
  std::vector<std::pair<std::string, std::string>> algorithms;
  for (const AlgorithmEntry& entry : kAlgorithms) algorithms.emplace_back(entry.name, entry.name);
  table_.choice<std::string>("algorithm", algorithm_, algorithms, "how to learn");
  std::vector<std::string> presets;
  for (const PresetEntry& entry : kPresets) {
    if (entry.environments.find(environment_) != std::string_view::npos) presets.emplace_back(entry.name);
  }
  Option& preset = table_.text("preset", "NAME", preset_, either(presets),
                               "all settings from a named set (fryer list shows them); other options override them");
  preset.choices = presets;
  preset.read = [this, presets](const std::string& text) {
    if (std::find(presets.begin(), presets.end(), text) == presets.end())
      not_accepted(text, fmt::format("accepted on {}: {}", environment_, either(presets)), presets);
    preset_ = text;
  };
  table_.integer("replicas", "N", settings_.replicas, "a whole number from 1 to 4294967296", "trainings",
                 "independent trainings, seeds S to S+N-1");
  add_seed(table_, settings_.seed, "seed of the (first) training; seed + replicas - 1 must stay below 2^64");
  Option& updates = table_.integer("updates", "U", settings_.updates, "a whole number from 1 to 2147483647", "updates",
                                   "steps of the optimiser");
  updates.read = [this, read = updates.read](const std::string& text) {
    read(text);
    episodes_.reset();
  };
  add_episodes();
  table_.integer("batch", "B", settings_.batch, "a whole number from 1 to 2^40", "episodes", "episodes per update");
  add_optimizer(table_, settings_.optimizer);
}

void TrainCommand::add_episodes() {
  Option episodes;
  episodes.name = "episodes";
  episodes.placeholder = "E";
  episodes.accepted = "a whole number from 1, a multiple of --batch";
  episodes.unit = "training episodes";
  episodes.help = "how long to train, instead of --updates";
  episodes.setting = false;
  episodes.numeric = true;
  episodes.value = [] { return Json(); };
  episodes.read = [this, accepted = episodes.accepted](const std::string& text) {
    episodes_ = parse_integer(text);
    if (!episodes_ || *episodes_ == 0) not_accepted(text, accepted + ", written 1000000, 1e6 or 1_000_000");
  };
  table_.add(episodes);
  table_.exclude("updates", "episodes");
}

void TrainCommand::add_until(const std::string& accepted) {
  Option until;
  until.name = "until";
  until.placeholder = "RETURN";
  until.accepted = accepted;
  until.unit = "reward";
  until.numeric = true;
  until.help = "stop a replica once the mean return over its last ceil(100 / batch) updates reaches this";
  until.read = [this, accepted = until.accepted](const std::string& text) {
    settings_.until = text == "none" ? std::nullopt : parse_number(text);
    if (!settings_.until && text != "none") not_accepted(text, accepted);
  };
  until.value = [this] { return settings_.until ? Json(*settings_.until) : Json(); };
  table_.add(until);
}

void TrainCommand::add_files() {
  Option& replicas =
      table_.text("save-replicas", "FILE", save_replicas_, "a file name that ends in .npy or .csv",
                  fmt::format("write a row for each replica, in seed order: seed, status, updates, episodes, steps, {}",
                              fmt::join(view().parameters, ", ")));
  replicas.read = [this, accepted = replicas.accepted](const std::string& text) {
    if (!text.ends_with(".npy") && !text.ends_with(".csv")) not_accepted(text, accepted);
    save_replicas_ = text;
  };
  table_.text("save-policy", "FILE", save_policy_, "a file name",
              "write the trained policy, for evaluate --policy; needs --replicas 1");
}

std::string TrainCommand::why_not(const std::string& option) const {
  if (option == "random" || option == "greedy")
    return "train has no such option: actions are sampled from the policy that is being trained";
  return Command::why_not(option);
}

void TrainCommand::resolve() {
  if (episodes_ && settings_.batch != 0) {
    if (*episodes_ % settings_.batch != 0) {
      throw ConfigurationError(fmt::format("{}: {} is not accepted; a multiple of --batch {}, such as {}",
                                           table_.find("episodes")->label, *episodes_, settings_.batch,
                                           std::max(*episodes_ / settings_.batch, std::uint64_t{1}) * settings_.batch));
    }
    settings_.updates = *episodes_ / settings_.batch;
    if (settings_.updates > 2147483647) {
      throw ConfigurationError(fmt::format("{}: {} is not accepted; at most 2147483647 updates of --batch {}",
                                           table_.find("episodes")->label, *episodes_, settings_.batch));
    }
  }
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
  if (settings_.until && settings_.updates < window_of(settings_.batch)) {
    warnings.push_back(fmt::format("--until looks back on {} updates of --batch {}: with {} no training can meet it",
                                   window_of(settings_.batch), settings_.batch, settings_.updates));
  }
  if (!save_policy_.empty() && !save_replicas_.empty() && is_same_file(save_policy_, save_replicas_)) {
    throw ConfigurationError(
        fmt::format("{}: {} is the file of --save-replicas too", table_.find("save-policy")->label, shown(save_policy_)));
  }
}

Plan TrainCommand::plan() const {
  const TrainingSettings& c = settings_;
  Plan plan;
  plan.what = fmt::format("{} training{} of {} update{} of {} episode{}{}", with_separators(c.replicas),
                          c.replicas == 1 ? "" : "s", with_separators(c.updates), c.updates == 1 ? "" : "s",
                          with_separators(c.batch), c.batch == 1 ? "" : "s", c.until ? " (or fewer, by --until)" : "");
  plan.work = work();
  plan.episodes = static_cast<double>(c.updates) * static_cast<double>(c.batch) * static_cast<double>(c.replicas);
  for (const std::string& path : {save_replicas_, save_policy_}) {
    if (!path.empty()) plan.outputs.push_back(path);
  }
  plan.pilot = [this](Backend& backend, std::uint64_t wanted) {
    const std::uint64_t batch = std::min(settings_.batch, wanted);
    const std::uint64_t updates = std::clamp<std::uint64_t>(wanted / batch, 1, std::min<std::uint64_t>(settings_.updates, 256));
    const std::uint64_t replicas = std::clamp<std::uint64_t>(wanted / (batch * updates), 1, settings_.replicas);
    return train_part(backend, updates, batch, replicas);
  };
  return plan;
}

void TrainCommand::save_replicas(OutputFile& file, const ReplicaTable& table) const {
  const TrainView training = view();
  const ReplicaRows rows{table, settings_.batch, training.parameters};
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
  if (common_.dry_run) return run_dry(*this, console, settings_.seed, plan());
  const Stopwatch watch;
  const std::unique_ptr<Backend> backend = open_backend(*this, work(), console);
  const TrainResult result = run_watched(*this, console, "episodes", static_cast<double>(settings_.batch),
                                         [&](const RunControl& control) { return train_with(*backend, control); });
  const double seconds = watch.seconds();
  if (replicas_file) save_replicas(*replicas_file, result.table);
  if (policy_file && result.failed.count == 0) save_policy(*policy_file, result);

  if (common_.json) {
    Json document = document_head(*this, settings_.seed);
    document["digest"] = hex16(result.digest);
    document["backend"] = backend_json(backend->info());
    document["wall_seconds"] = seconds;
    document.update(train_json(view(), result));
    add_to_document(document, result);
    console.print(to_text(document));
  } else {
    std::string text = curve_text(console.out, view(), result.curve, common_.verbose) + '\n' + result_text(console, result);
    text += closing_text(result.episodes, result.steps, seconds, backend->info(), result.digest);
    console.print(text);
  }
  if (result.failed.count != 0) throw RunError(failure_text(settings_, result.failed));
  return 0;
}

}  // namespace fryer::cli
