// SPDX-License-Identifier: Apache-2.0
// `fryer train FryShack-v0`: its options, its run, its files.
#include <fmt/format.h>

#include <algorithm>

#include "fryer/engine/registry.h"
#include "host/cli/command.h"
#include "host/cli/output/policy_file.h"
#include "host/cli/output/replica_file.h"
#include "host/cli/output/train_report.h"
#include "host/cli/run_support.h"
#include "host/cli/settings.h"

namespace fryer::cli {
namespace {

Description describe() {
  Description d;
  d.name = "train";
  d.arguments = "ENV";
  d.summary = "train one policy, or N independent ones with seeds S, S+1, ..., S+N-1";
  d.text =
      "Replica k of a population is the training of --seed S+k alone, to the bit, on every device. A training whose parameters "
      "stop being "
      "finite has failed: the others go on, and fryer ends with exit code 1.";
  d.examples = {{"the notebook's recipe a million times, and where the bias ends", "train FryShack-v0 --replicas 1e6"},
                {"both parameters by SGD, 64 episodes an update, every row saved",
                 "train FryShack-v0 --learn-weight --optimizer sgd --learning-rate 0.5 --batch 64 --replicas 1000 "
                 "--save-replicas rows.npy"}};
  return d;
}

class TrainCommand : public Command {
 public:
  TrainCommand();
  bool takes_environment() const override { return true; }
  std::string algorithm() const override { return algorithm_; }
  std::string why_not(const std::string& option) const override;
  void apply_preset(const std::string& name) override;
  void resolve() override;
  int run(const Console& console) override;

 private:
  void add_episodes();
  void add_until();
  void add_baseline();
  void add_files();
  Plan plan() const;
  // How many episodes all updates of all replicas are, at most.
  double episodes() const {
    return static_cast<double>(c_.updates) * static_cast<double>(c_.batch) * static_cast<double>(c_.replicas);
  }
  std::unique_ptr<OutputFile> open(const char* option, const std::string& path) const {
    return path.empty() ? nullptr : std::make_unique<OutputFile>(option, path);
  }
  void save_replicas(OutputFile& file, const ReplicaTable& table) const;
  void save_policy(OutputFile& file, const TrainResult& result) const;

  TrainConfiguration c_;
  std::string algorithm_ = "reinforce", preset_, save_replicas_, save_policy_;
  std::optional<std::uint64_t> episodes_;  // --episodes, instead of --updates
};

TrainCommand::TrainCommand() : Command(describe(), FryShack::kName) {
  std::vector<std::pair<std::string, std::string>> algorithms;
  for (const AlgorithmEntry& entry : kAlgorithms) algorithms.emplace_back(entry.name, entry.name);
  table_.choice<std::string>("algorithm", algorithm_, algorithms, "how to learn");
  Option& preset = table_.text("preset", "NAME", preset_, "notebook",
                               "all settings from a named set (fryer list shows them); other options override them");
  for (const PresetEntry& entry : kPresets) preset.choices.emplace_back(entry.name);
  preset.read = [this, choices = preset.choices](const std::string& text) {
    if (std::find(choices.begin(), choices.end(), text) == choices.end())
      not_accepted(text, "accepted: " + either(choices), choices);
    preset_ = text;
  };
  table_.integer("replicas", "N", c_.replicas, "a whole number from 1 to 4294967296", "trainings",
                 "independent trainings, seeds S to S+N-1");
  add_seed(table_, c_.seed, "seed of the (first) training; seed + replicas - 1 must stay below 2^64");
  Option& updates =
      table_.integer("updates", "U", c_.updates, "a whole number from 1 to 2147483647", "updates", "steps of the optimiser");
  updates.read = [this, read = updates.read](const std::string& text) {
    read(text);
    episodes_.reset();
  };
  add_episodes();
  table_.integer("batch", "B", c_.batch, "a whole number from 1 to 2^40", "episodes", "episodes per update");
  add_optimizer(table_, c_.optimizer);
  add_reward_scale(table_, c_.problem.reward_scale);
  add_baseline();
  add_until();
  add_parameters(table_, c_.problem, "the policy's initial");
  table_.flag("learn-weight", c_.problem.learn_weight, "learn the weight too; the bias is always learned");
  add_fry_shack(table_, c_.problem.environment);
  add_files();
  add_backend_options();
}

void TrainCommand::add_episodes() {
  Option episodes;
  episodes.name = "episodes";
  episodes.placeholder = "E";
  episodes.accepted = "a whole number from 1, a multiple of --batch";
  episodes.unit = "training episodes";
  episodes.help = "how long to train, instead of --updates";
  episodes.setting = false;
  episodes.value = [] { return Json(); };
  episodes.read = [this, accepted = episodes.accepted](const std::string& text) {
    episodes_ = parse_integer(text);
    if (!episodes_ || *episodes_ == 0) not_accepted(text, accepted + ", written 1000000, 1e6 or 1_000_000");
  };
  table_.add(episodes);
  table_.exclude("updates", "episodes");
}

void TrainCommand::add_until() {
  Option until;
  until.name = "until";
  until.placeholder = "RETURN";
  until.accepted = "a finite mean return, or none";
  until.unit = "reward";
  until.help = "stop a replica once the mean return over its last ceil(100 / batch) updates reaches this";
  until.read = [this, accepted = until.accepted](const std::string& text) {
    c_.until = text == "none" ? std::nullopt : parse_number(text);
    if (!c_.until && text != "none") not_accepted(text, accepted);
  };
  until.value = [this] { return c_.until ? Json(*c_.until) : Json(); };
  table_.add(until);
}

void TrainCommand::add_baseline() {
  Option baseline;
  baseline.name = "baseline";
  baseline.placeholder = "none";
  baseline.accepted = "none, the only one that reinforce has on FryShack-v0, whose episodes are one step";
  baseline.help = "what is subtracted from returns";
  baseline.read = [accepted = baseline.accepted](const std::string& text) {
    if (text != "none") not_accepted(text, accepted);
  };
  baseline.value = [] { return Json("none"); };
  table_.add(baseline);
}

void TrainCommand::add_files() {
  Option& replicas =
      table_.text("save-replicas", "FILE", save_replicas_, "a file name that ends in .npy or .csv",
                  "write a row for each replica, in seed order: seed, status, updates, episodes, steps, weight, bias");
  replicas.read = [this, accepted = replicas.accepted](const std::string& text) {
    if (!text.ends_with(".npy") && !text.ends_with(".csv")) not_accepted(text, accepted);
    save_replicas_ = text;
  };
  table_.text("save-policy", "FILE", save_policy_, "a file name",
              "write the trained policy, for evaluate --policy; needs --replicas 1");
}

std::string TrainCommand::why_not(const std::string& option) const {
  if (option == "parameters" || option == "policy") return "train has no such option: training starts from --weight and --bias";
  if (option == "random" || option == "greedy")
    return "train has no such option: actions are sampled from the policy that is being trained";
  return Command::why_not(option);
}

void TrainCommand::apply_preset(const std::string& name) {
  if (name != "notebook") return;
  const TrainConfiguration notebook;
  const auto replicas = c_.replicas, seed = c_.seed;
  c_ = notebook;
  c_.replicas = replicas;
  c_.seed = seed;
}

void TrainCommand::resolve() {
  if (episodes_ && c_.batch != 0) {
    if (*episodes_ % c_.batch != 0) {
      throw ConfigurationError(fmt::format("{}: {} is not accepted; a multiple of --batch {}, such as {}",
                                           table_.find("episodes")->label, *episodes_, c_.batch,
                                           std::max(*episodes_ / c_.batch, std::uint64_t{1}) * c_.batch));
    }
    c_.updates = *episodes_ / c_.batch;
    if (c_.updates > 2147483647) {
      throw ConfigurationError(fmt::format("{}: {} is not accepted; at most 2147483647 updates of --batch {}",
                                           table_.find("episodes")->label, *episodes_, c_.batch));
    }
  }
  validate(c_);
  if (!save_policy_.empty() && c_.replicas > 1) {
    throw ConfigurationError(
        fmt::format("{}: cannot be combined with --replicas {}: which policy? --save-replicas keeps all their parameters",
                    table_.find("save-policy")->label, c_.replicas));
  }
  for (const auto& [option, path] : {std::pair{"save-policy", save_policy_}, std::pair{"save-replicas", save_replicas_}}) {
    if (common_.json && !path.empty() && is_standard_output(path)) {
      throw ConfigurationError(
          fmt::format("{}: {} is where the document of --json goes; another file", table_.find(option)->label, shown(path)));
    }
  }
  if (!save_policy_.empty() && is_same_file(save_policy_, save_replicas_)) {
    throw ConfigurationError(
        fmt::format("{}: {} is the file of --save-replicas too", table_.find("save-policy")->label, shown(save_policy_)));
  }
}

Plan TrainCommand::plan() const {
  Plan plan;
  plan.what = fmt::format("{} training{} of {} update{} of {} episode{}{}", with_separators(c_.replicas),
                          c_.replicas == 1 ? "" : "s", with_separators(c_.updates), c_.updates == 1 ? "" : "s",
                          with_separators(c_.batch), c_.batch == 1 ? "" : "s", c_.until ? " (or fewer, by --until)" : "");
  plan.work = estimate(c_);
  plan.episodes = episodes();
  for (const std::string& path : {save_replicas_, save_policy_}) {
    if (!path.empty()) plan.outputs.push_back(path);
  }
  plan.pilot = [this](Backend& backend, std::uint64_t wanted) {
    TrainConfiguration part = c_;
    part.until.reset();
    part.batch = std::min(c_.batch, wanted);
    part.updates = std::clamp<std::uint64_t>(wanted / part.batch, 1, std::min<std::uint64_t>(c_.updates, 256));
    part.replicas = std::clamp<std::uint64_t>(wanted / (part.batch * part.updates), 1, c_.replicas);
    return static_cast<double>(train(part, backend).episodes);
  };
  return plan;
}

void TrainCommand::save_replicas(OutputFile& file, const ReplicaTable& table) const {
  const ReplicaRows rows{table, c_.batch, FryShack::kStepsPerEpisode};
  file.path().ends_with(".npy") ? write_npy(file, rows) : write_csv(file, rows);
  file.commit();
}

void TrainCommand::save_policy(OutputFile& file, const TrainResult& result) const {
  SavedPolicy policy;
  policy.environment = environment_;
  policy.parameters = {result.table.parameters[0][0], result.table.parameters[1][0]};
  policy.training = {{"algorithm", algorithm_}, {"configuration", table_.configuration()}, {"digest", hex16(result.digest)}};
  file.write(policy_text(policy));
  file.commit();
}

int TrainCommand::run(const Console& console) {
  // Places for the files first: work without a place for its result is lost.
  const std::unique_ptr<OutputFile> replicas_file = open("--save-replicas", save_replicas_),
                                    policy_file = open("--save-policy", save_policy_);
  if (common_.dry_run) return run_dry(*this, console, c_.seed, plan());
  const Stopwatch watch;
  const std::unique_ptr<Backend> backend = open_backend(*this, estimate(c_), console);
  const TrainResult result = run_watched(*this, console, "episodes", static_cast<double>(c_.batch),
                                         [&](const RunControl& control) { return train(c_, *backend, control); });
  const double seconds = watch.seconds();
  if (replicas_file) save_replicas(*replicas_file, result.table);
  if (policy_file && result.failed.count == 0) save_policy(*policy_file, result);

  if (common_.json) {
    Json document = document_head(*this, c_.seed);
    document["digest"] = hex16(result.digest);
    document["backend"] = backend_json(backend->info());
    document["wall_seconds"] = seconds;
    document.update(train_json(c_, result));
    console.print(to_text(document));
  } else {
    std::string text = train_text(console.out, c_, result, common_.verbose);
    text += closing_text(result.episodes, seconds, backend->info(), result.digest);
    console.print(text);
  }
  if (result.failed.count != 0) throw RunError(failure_text(c_, result.failed));
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_fry_shack_train_command() { return std::make_unique<TrainCommand>(); }

}  // namespace fryer::cli
