// SPDX-License-Identifier: Apache-2.0
// `fryer gradient CartPole-v1` and -v0: the policy gradient at given parameters.
#include <fmt/format.h>

#include "fryer/engine/registry.h"
#include "host/cli/episode_command.h"
#include "host/cli/output/train_report.h"

namespace fryer::cli {
namespace {

const Description kDescription = {
    "gradient",
    "ENV",
    "estimate the policy gradient at given parameters",
    "The ascent direction: the derivative of reward_scale times the expected return, estimated by REINFORCE from N episodes, "
    "with its "
    "standard error. With --gamma below 1 it is the mean of sum_t G_t grad log pi_t with G_t discounted from step t on: what "
    "REINFORCE "
    "steps along, but not the gradient of any expected return (that would weigh step t by gamma^t too).",
    {{"of the random policy", "gradient CartPole-v1 --episodes 1e6"},
     {"of a policy that balances", "gradient CartPole-v1 --parameters 0.5,1,10,3,0 --episodes 1e6 --json"}}};

Json estimate_json(const Estimate& e) { return {{"estimate", finite(e.estimate)}, {"standard_error", finite(e.standard_error)}}; }

class CartPoleGradient : public EpisodeCommand<CartPoleGradientConfiguration, CartPoleGradientResult> {
 public:
  explicit CartPoleGradient(const std::string& environment) : EpisodeCommand(kDescription, environment) {
    c_.problem.environment.max_steps = default_max_steps(environment);
    add_episodes("episodes to average over");
    add_cart_pole_policy_choice(table_, {c_.problem.parameters, c_.problem.hidden, nullptr}, policy_);
    table_.number("gamma", "G", c_.problem.gamma, "a number from 0 to 1", "a factor",
                  "discount of later rewards; only 1 gives the gradient of the expected return");
    add_reward_scale(table_, c_.problem.reward_scale);
    add_cart_pole(table_, c_.problem.environment);
    add_backend_options();
  }
  void resolve() override {
    resolve_cart_pole_policy(table_, environment_, {c_.problem.parameters, c_.problem.hidden, nullptr}, policy_);
    validate(c_);
  }

 private:
  std::string what() const override { return "for the gradient"; }
  std::string text(const Console& console, const CartPoleGradientResult& r) const override {
    Table table;
    table.headings = {"<", "estimate", "standard error", "second moment"};
    const std::vector<std::string> names = parameter_names(c_.problem.hidden);
    const std::size_t first = common_.verbose ? 0 : first_shown(names.size());
    for (std::size_t i = first; i < names.size(); ++i) {
      table.rows.push_back({fmt::format("gradient of {}", names[i]), fmt::format("{:.6g}", r.gradient[i].estimate),
                            error_text(r.gradient[i]), fmt::format("{:.6g}", r.second_moment[i])});
    }
    table.rows.push_back({"mean return", fmt::format("{:.6g}", r.mean_return.estimate), error_text(r.mean_return), ""});
    return render(console.out, table) + shown_of_all(console.out, names.size() - first, names.size(), "-v and --json have all");
  }
  void add_to_document(Json& document, const CartPoleGradientResult& r) const override {
    Json gradients = Json::object(), moments = Json::object();
    const std::vector<std::string> names = parameter_names(c_.problem.hidden);
    for (std::size_t i = 0; i < names.size(); ++i) {
      gradients[names[i]] = estimate_json(r.gradient[i]);
      moments[names[i]] = {{"estimate", finite(r.second_moment[i])}};
    }
    document["gradient"] = std::move(gradients);
    document["second_moment"] = std::move(moments);
    document["mean_return"] = estimate_json(r.mean_return);
  }

  PolicyChoice policy_;
};

}  // namespace

std::unique_ptr<Command> make_cart_pole_gradient_command(const std::string& environment) {
  return std::make_unique<CartPoleGradient>(environment);
}

}  // namespace fryer::cli
