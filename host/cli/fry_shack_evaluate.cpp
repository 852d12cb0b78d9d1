// SPDX-License-Identifier: Apache-2.0
// `fryer evaluate FryShack-v0`: episodes of a fixed policy.
#include <fmt/format.h>

#include <algorithm>

#include "host/cli/command.h"
#include "host/cli/output/json.h"
#include "host/cli/run_support.h"
#include "host/cli/settings.h"

namespace fryer::cli {
namespace {

Description describe() {
  Description d;
  d.name = "evaluate";
  d.arguments = "ENV";
  d.summary = "play episodes of a fixed policy and report their returns";
  d.text =
      "The policy is the one at --weight and --bias, of --policy FILE, or --random. It samples its actions unless --greedy. "
      "Episodes of an "
      "evaluation are others than a training's with the same seed.";
  d.examples = {{"a policy that train --save-policy wrote", "evaluate FryShack-v0 --policy policy.json --episodes 1e8"},
                {"what chance gives", "evaluate FryShack-v0 --random"}};
  return d;
}

class EvaluateCommand : public Command {
 public:
  EvaluateCommand();
  bool takes_environment() const override { return true; }
  std::string why_not(const std::string& option) const override {
    return option == "reward-scale" ? "evaluate has no such option: returns are reported unscaled" : Command::why_not(option);
  }
  void settle() override;
  void resolve() override;
  int run(const Console& console) override;

 private:
  Plan plan() const;
  std::string text(const Console& console, const EvaluateResult& r) const;
  std::string policy_name() const;

  EvaluateConfiguration c_;
  PolicyChoice policy_;
};

EvaluateCommand::EvaluateCommand() : Command(describe(), FryShack::kName) {
  table_.integer("episodes", "N", c_.episodes, "a whole number from 1 to 2^40", "episodes", "episodes to play");
  add_seed(table_, c_.seed, "seed of the episodes");
  add_parameters(table_, c_.problem, "the policy's");
  add_policy_choice(table_, c_.problem, policy_);
  table_.flag("random", c_.random, "either action with probability 1/2, instead of a policy");
  table_.flag("greedy", c_.greedy, "take the likelier action instead of sampling");
  add_fry_shack(table_, c_.problem.environment);
  add_backend_options();
  for (const char* name : {"weight", "bias", "parameters", "policy", "greedy"}) {
    Option& option = *table_.find(name);
    option.applies = [this] { return !c_.random; };
    option.applies_with = "random";
  }
}

void EvaluateCommand::settle() {
  // A policy named on the command line replaces a file's `random = true`.
  const Source policy = std::max(policy_source(table_), table_.find("greedy")->source);
  if (c_.random && policy > table_.find("random")->source) c_.random = false;
}

void EvaluateCommand::resolve() {
  if (c_.random) {
    c_.greedy = false;
  } else {
    resolve_policy(table_, environment_, c_.problem, policy_);
  }
  validate(c_);
}

Plan EvaluateCommand::plan() const {
  Plan plan;
  plan.what = fmt::format("{} episodes of {}", with_separators(c_.episodes), policy_name());
  plan.work = estimate(c_);
  plan.episodes = static_cast<double>(c_.episodes);
  plan.pilot = [this](Backend& backend, std::uint64_t wanted) {
    EvaluateConfiguration part = c_;
    part.episodes = std::min(c_.episodes, wanted);
    return static_cast<double>(evaluate(part, backend).episodes);
  };
  return plan;
}

std::string EvaluateCommand::policy_name() const {
  if (c_.random) return "the random policy";
  return fmt::format("the policy with weight {}, bias {}{}", c_.problem.weight, c_.problem.bias, c_.greedy ? ", greedy" : "");
}

std::string EvaluateCommand::text(const Console& console, const EvaluateResult& r) const {
  const double n = static_cast<double>(r.episodes);
  std::string text = fmt::format("Mean return of {}: {:.6g} (standard error {:.2g}); sd {:.4g}, from {:g} to {:g}\n\n",
                                 policy_name(), r.mean, r.standard_error, r.sd, r.min, r.max);
  Table table;
  table.headings = {"<", "visits", "share", "right order", "wrong order"};
  for (const int action : {1, 0}) {
    const double wrong = static_cast<double>(r.outcomes[static_cast<std::size_t>(2 * action)]),
                 right = static_cast<double>(r.outcomes[static_cast<std::size_t>(2 * action + 1)]);
    const double visits = wrong + right;
    const auto share = [&](double part) { return visits > 0 ? fmt::format("{:.2f} %", 100 * part / visits) : "-"; };
    table.rows.push_back({action == 1 ? "Norm's" : "Squatch's", human_count(visits), fmt::format("{:.2f} %", 100 * visits / n),
                          share(right), share(wrong)});
  }
  text += render(console.out, table);
  text += fmt::format("\n{} episodes of one step: {} terminated, {} truncated\n", with_separators(r.episodes),
                      with_separators(r.terminated), with_separators(r.truncated));
  return text;
}

int EvaluateCommand::run(const Console& console) {
  if (common_.dry_run) return run_dry(*this, console, c_.seed, plan());
  const Stopwatch watch;
  const std::unique_ptr<Backend> backend = open_backend(*this, estimate(c_), console);
  const EvaluateResult r =
      run_watched(*this, console, "episodes", 1, [&](const RunControl& control) { return evaluate(c_, *backend, control); });
  const double seconds = watch.seconds();
  if (common_.json) {
    Json document = document_head(*this, c_.seed);
    document["digest"] = hex16(r.digest);
    document["backend"] = backend_json(backend->info());
    document["wall_seconds"] = seconds;
    document["episodes"] = r.episodes;
    document["steps"] = r.episodes * FryShack::kStepsPerEpisode;
    document["return"] = return_json(r);
    document["terminated"] = r.terminated;
    document["truncated"] = r.truncated;
    document["length_histogram"] = r.length_histogram;
    document["outcomes"] = {{"norm", {{"right", r.outcomes[3]}, {"wrong", r.outcomes[2]}}},
                            {"squatch", {{"right", r.outcomes[1]}, {"wrong", r.outcomes[0]}}}};
    console.print(to_text(document));
    return 0;
  }
  console.print(text(console, r) + closing_text(r.episodes, seconds, backend->info(), r.digest));
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_fry_shack_evaluate_command() { return std::make_unique<EvaluateCommand>(); }

}  // namespace fryer::cli
