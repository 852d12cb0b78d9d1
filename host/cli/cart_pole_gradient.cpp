// SPDX-License-Identifier: Apache-2.0
// `fryer gradient CartPole-v1` and -v0: the policy gradient at given parameters.
#include <fmt/format.h>

#include <algorithm>

#include "fryer/engine/registry.h"
#include "host/cli/command.h"
#include "host/cli/output/json.h"
#include "host/cli/output/train_report.h"
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
      "standard error. With --gamma below 1 it is the mean of sum_t G_t grad log pi_t with G_t discounted from step t on: what "
      "REINFORCE "
      "steps along, but not the gradient of any expected return (that would weigh step t by gamma^t too).";
  d.examples = {{"of the random policy", "gradient CartPole-v1 --episodes 1e6"},
                {"of a policy that balances", "gradient CartPole-v1 --parameters 0.5,1,10,3,0 --episodes 1e6 --json"}};
  return d;
}

Json estimate_json(const Estimate& e) { return {{"estimate", finite(e.estimate)}, {"standard_error", finite(e.standard_error)}}; }

class CartPoleGradient : public Command {
 public:
  explicit CartPoleGradient(const std::string& environment) : Command(describe(), environment) {
    c_.problem.environment.max_steps = default_max_steps(environment);
    table_.integer("episodes", "N", c_.episodes, "a whole number from 1 to 2^40", "episodes", "episodes to average over");
    add_seed(table_, c_.seed, "seed of the episodes");
    add_cart_pole_policy_choice(table_, {c_.problem.parameters, c_.problem.hidden}, policy_);
    table_.number("gamma", "G", c_.problem.gamma, "a number from 0 to 1", "a factor",
                  "discount of later rewards; only 1 gives the gradient of the expected return");
    add_reward_scale(table_, c_.problem.reward_scale);
    add_cart_pole(table_, c_.problem.environment);
    add_backend_options();
  }
  bool takes_environment() const override { return true; }
  void resolve() override {
    resolve_cart_pole_policy(table_, environment_, {c_.problem.parameters, c_.problem.hidden}, policy_);
    validate(c_);
  }
  int run(const Console& console) override;

 private:
  Plan plan() const {
    Plan plan;
    plan.what = fmt::format("the gradient from {} episodes", with_separators(c_.episodes));
    plan.work = estimate(c_);
    plan.episodes = static_cast<double>(c_.episodes);
    plan.pilot = [this](Backend& backend, std::uint64_t wanted) {
      CartPoleGradientConfiguration part = c_;
      part.episodes = std::min(c_.episodes, wanted);
      return static_cast<double>(gradient(part, backend).episodes);
    };
    return plan;
  }
  std::string text(const Console& console, const CartPoleGradientResult& r) const;

  CartPoleGradientConfiguration c_;
  PolicyChoice policy_;
};

std::string CartPoleGradient::text(const Console& console, const CartPoleGradientResult& r) const {
  Table table;
  table.headings = {"<", "estimate", "standard error", "second moment"};
  const std::vector<std::string> names = parameter_names(c_.problem.hidden);
  const std::size_t first = common_.verbose ? 0 : first_shown(names.size());
  for (std::size_t i = first; i < names.size(); ++i) {
    table.rows.push_back({fmt::format("gradient of {}", names[i]), fmt::format("{:.6g}", r.gradient[i].estimate),
                          fmt::format("{:.2g}", r.gradient[i].standard_error), fmt::format("{:.6g}", r.second_moment[i])});
  }
  table.rows.push_back(
      {"mean return", fmt::format("{:.6g}", r.mean_return.estimate), fmt::format("{:.2g}", r.mean_return.standard_error), ""});
  return render(console.out, table) + shown_of_all(console.out, names.size() - first, names.size(), "-v and --json have all");
}

int CartPoleGradient::run(const Console& console) {
  if (common_.dry_run) return run_dry(*this, console, c_.seed, plan());
  const Stopwatch watch;
  const std::unique_ptr<Backend> backend = open_backend(*this, estimate(c_), console);
  const CartPoleGradientResult r =
      run_watched(*this, console, "episodes", 1, [&](const RunControl& control) { return gradient(c_, *backend, control); });
  const double seconds = watch.seconds();
  if (common_.json) {
    Json document = document_head(*this, c_.seed);
    document["digest"] = hex16(r.digest);
    document["backend"] = backend_json(backend->info());
    document["wall_seconds"] = seconds;
    document["episodes"] = r.episodes;
    document["steps"] = r.steps;
    document["gradient"] = Json::object();
    document["second_moment"] = Json::object();
    const std::vector<std::string> names = parameter_names(c_.problem.hidden);
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::string& name = names[i];
      document["gradient"][name] = estimate_json(r.gradient[i]);
      document["second_moment"][name] = {{"estimate", finite(r.second_moment[i])}};
    }
    document["mean_return"] = estimate_json(r.mean_return);
    console.print(to_text(document));
    return 0;
  }
  console.print(text(console, r) + closing_text(r.episodes, seconds, backend->info(), r.digest, r.steps));
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_cart_pole_gradient_command(const std::string& environment) {
  return std::make_unique<CartPoleGradient>(environment);
}

}  // namespace fryer::cli
