// SPDX-License-Identifier: Apache-2.0
// `fryer gradient FryShack-v0`: the policy gradient at given parameters, beside its closed form.
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
  d.name = "gradient";
  d.arguments = "ENV";
  d.summary = "estimate the policy gradient at given parameters";
  d.text =
      "The ascent direction: the derivative of reward_scale times the expected return, estimated by REINFORCE from N episodes, "
      "with its "
      "standard error, the exact value where a closed form exists, and z, the difference in standard errors. FryShack-v0's "
      "episodes are "
      "one step, so gamma does not come into it.";
  d.examples = {{"the gradient where the notebook starts, from a billion episodes", "gradient FryShack-v0 --episodes 1e9"},
                {"near the optimum", "gradient FryShack-v0 --bias -10 --episodes 100_000_000 --json"}};
  return d;
}

Json estimate_json(const Estimate& e) {
  return {{"estimate", finite(e.estimate)},
          {"standard_error", finite(e.standard_error)},
          {"exact", finite(*e.exact)},
          {"z", e.z ? finite(*e.z) : Json()}};
}
Json moment_json(double estimate, double exact) { return {{"estimate", finite(estimate)}, {"exact", finite(exact)}}; }

class GradientCommand : public Command {
 public:
  GradientCommand() : Command(describe(), FryShack::kName) {
    table_.integer("episodes", "N", c_.episodes, "a whole number from 1 to 2^40", "episodes", "episodes to average over");
    add_seed(table_, c_.seed, "seed of the episodes");
    add_parameters(table_, c_.problem, "the policy's");
    add_policy_choice(table_, c_.problem, policy_);
    add_reward_scale(table_, c_.problem.reward_scale);
    add_fry_shack(table_, c_.problem.environment);
    add_backend_options();
  }
  bool takes_environment() const override { return true; }
  void resolve() override {
    resolve_policy(table_, environment_, c_.problem, policy_);
    validate(c_);
  }
  int run(const Console& console) override;

 private:
  Plan plan() const;
  std::string text(const Console& console, const GradientResult& r) const;

  GradientConfiguration c_;
  PolicyChoice policy_;
};

Plan GradientCommand::plan() const {
  Plan plan;
  plan.what = fmt::format("the gradient from {} episodes", with_separators(c_.episodes));
  plan.work = estimate(c_);
  plan.episodes = static_cast<double>(c_.episodes);
  plan.pilot = [this](Backend& backend, std::uint64_t wanted) {
    GradientConfiguration part = c_;
    part.episodes = std::min(c_.episodes, wanted);
    return static_cast<double>(gradient(part, backend).episodes);
  };
  return plan;
}

std::string GradientCommand::text(const Console& console, const GradientResult& r) const {
  Table table;
  table.headings = {"<", "estimate", "standard error", "exact", "z"};
  const auto add = [&](const char* name, const Estimate& e) {
    table.rows.push_back({name, fmt::format("{:.6g}", e.estimate), fmt::format("{:.2g}", e.standard_error),
                          fmt::format("{:.6g}", *e.exact), e.z ? fmt::format("{:.2f}", *e.z) : "-"});
  };
  const auto add_moment = [&](const char* name, double estimate, double exact) {
    table.rows.push_back({name, fmt::format("{:.6g}", estimate), "", fmt::format("{:.6g}", exact), ""});
  };
  add("gradient of weight", r.weight);
  add("gradient of bias", r.bias);
  add_moment("second moment of weight", r.second_moment_weight, r.second_moment_weight_exact);
  add_moment("second moment of bias", r.second_moment_bias, r.second_moment_bias_exact);
  add("mean return", r.mean_return);
  return fmt::format("At weight {}, bias {}:\n", c_.problem.weight, c_.problem.bias) + render(console.out, table);
}

int GradientCommand::run(const Console& console) {
  if (common_.dry_run) return run_dry(*this, console, c_.seed, plan());
  const Stopwatch watch;
  const std::unique_ptr<Backend> backend = open_backend(*this, estimate(c_), console);
  const GradientResult r =
      run_watched(*this, console, "episodes", 1, [&](const RunControl& control) { return gradient(c_, *backend, control); });
  const double seconds = watch.seconds();
  if (common_.json) {
    Json document = document_head(*this, c_.seed);
    document["digest"] = hex16(r.digest);
    document["backend"] = backend_json(backend->info());
    document["wall_seconds"] = seconds;
    document["episodes"] = r.episodes;
    document["steps"] = r.episodes * FryShack::kStepsPerEpisode;
    document["gradient"] = {{"weight", estimate_json(r.weight)}, {"bias", estimate_json(r.bias)}};
    document["second_moment"] = {{"weight", moment_json(r.second_moment_weight, r.second_moment_weight_exact)},
                                 {"bias", moment_json(r.second_moment_bias, r.second_moment_bias_exact)}};
    document["mean_return"] = estimate_json(r.mean_return);
    console.print(to_text(document));
    return 0;
  }
  console.print(text(console, r) + closing_text(r.episodes, seconds, backend->info(), r.digest));
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_fry_shack_gradient_command() { return std::make_unique<GradientCommand>(); }

}  // namespace fryer::cli
