// SPDX-License-Identifier: Apache-2.0
// `fryer gradient FryShack-v0`: the policy gradient at given parameters, beside its closed form.
#include <fmt/format.h>

#include "host/cli/episode_command.h"

namespace fryer::cli {
namespace {

const Description kDescription = {
    "gradient",
    "ENV",
    "estimate the policy gradient at given parameters",
    "The ascent direction: the derivative of reward_scale times the expected return, estimated by REINFORCE from N episodes, "
    "with its "
    "standard error, the exact value where a closed form exists, and z, the difference in standard errors. FryShack-v0's "
    "episodes are "
    "one step, so gamma does not come into it.",
    {{"the gradient where the notebook starts, from a billion episodes", "gradient FryShack-v0 --episodes 1e9"},
     {"near the optimum", "gradient FryShack-v0 --bias -10 --episodes 100_000_000 --json"}}};

Json estimate_json(const Estimate& e) {
  return {{"estimate", finite(e.estimate)},
          {"standard_error", finite(e.standard_error)},
          {"exact", finite(*e.exact)},
          {"z", e.z ? finite(*e.z) : Json()}};
}
Json moment_json(double estimate, double exact) { return {{"estimate", finite(estimate)}, {"exact", finite(exact)}}; }

class FryShackGradient : public EpisodeCommand<GradientConfiguration, GradientResult> {
 public:
  FryShackGradient() : EpisodeCommand(kDescription, FryShack::kName) {
    add_episodes("episodes to average over");
    add_parameters(table_, c_.problem, "the policy's");
    add_policy_choice(table_, c_.problem, policy_);
    add_reward_scale(table_, c_.problem.reward_scale);
    add_fry_shack(table_, c_.problem.environment);
    add_backend_options();
  }
  void resolve() override {
    resolve_policy(table_, environment_, c_.problem, policy_);
    validate(c_);
  }

 private:
  std::string what() const override { return "for the gradient"; }
  std::string text(const Console& console, const GradientResult& r) const override {
    Table table;
    table.headings = {"<", "estimate", "standard error", "exact", "z"};
    const auto add = [&](const char* name, const Estimate& e) {
      table.rows.push_back({name, fmt::format("{:.6g}", e.estimate), error_text(e), fmt::format("{:.6g}", *e.exact),
                            e.z ? fmt::format("{:.2f}", *e.z) : "-"});
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
  void add_to_document(Json& document, const GradientResult& r) const override {
    document["gradient"] = {{"weight", estimate_json(r.weight)}, {"bias", estimate_json(r.bias)}};
    document["second_moment"] = {{"weight", moment_json(r.second_moment_weight, r.second_moment_weight_exact)},
                                 {"bias", moment_json(r.second_moment_bias, r.second_moment_bias_exact)}};
    document["mean_return"] = estimate_json(r.mean_return);
  }

  PolicyChoice policy_;
};

}  // namespace

std::unique_ptr<Command> make_fry_shack_gradient_command() { return std::make_unique<FryShackGradient>(); }

}  // namespace fryer::cli
