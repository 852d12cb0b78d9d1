// SPDX-License-Identifier: Apache-2.0
// `fryer train CartPole-v1` and -v0 by policy gradients: their options and what is said of the result.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fryer/engine/registry.h"
#include "host/cli/policy_gradient_train.h"
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
      "stop "
      "being finite has failed (on CartPole also beyond 2.0e28 in magnitude, a hidden layer's output weights beyond 1024): the "
      "others go on, and fryer ends with exit code 1.";
  d.examples = {
      {"until the mean return of the last 112 episodes is 475", "train CartPole-v1 --until 475 --save-policy policy.json"},
      {"how many of 10,000 seeds solve it, and how fast", "train CartPole-v1 --preset solve --replicas 10000"}};
  return d;
}

class CartPoleTrain : public PolicyGradientTrain {
 public:
  explicit CartPoleTrain(const std::string& environment);
  std::string why_not(const std::string& option) const override {
    if (option == "policy") return "train has no such option: training starts from --parameters";
    return PolicyGradientTrain::why_not(option);
  }
  std::optional<study::CellConfiguration> cell() const override { return c_; }
  void take(const study::CellConfiguration& cell) override { c_ = std::get<CartPoleTrainConfiguration>(cell); }
  void apply_preset(const std::string& name) override;

 private:
  TrainView view() const override {
    const CartPole::Settings& s = c_.problem.environment;
    const std::vector<std::string> names = parameter_names(c_.problem.hidden);
    return {c_,
            c_.batch,
            names,
            std::vector<bool>(names.size(), true),
            s.sutton_barto_reward ? -1.0 : 0.0,
            s.sutton_barto_reward ? 0.0 : static_cast<double>(s.max_steps)};
  }
  void settle() override {
    // Parameters of a file give way to --hidden on the command line, and to --initialisation.
    const Source parameters = table_.find("parameters")->source;
    if (parameters < std::max(table_.find("hidden")->source, table_.find("initialisation")->source)) policy_.numbers.clear();
  }
  void resolve() override {
    resolve_cart_pole_parameters(table_, {c_.problem.parameters, c_.problem.hidden, nullptr}, policy_);
    PolicyGradientTrain::resolve();
  }
  void check() const override { validate(c_); }
  WorkEstimate work() const override { return estimate(c_); }
  TrainResult train_with(Backend& backend, const RunControl& control) const override { return train(c_, backend, control); }
  double train_part(Backend& backend, std::uint64_t updates, std::uint64_t batch, std::uint64_t replicas) const override {
    return train_part_of(c_, backend, updates, batch, replicas);
  }
  std::string result_text(const Console& console, const TrainResult& r) const override {
    if (c_.replicas > 1) return population_text(console.out, view(), r);
    if (r.failed.count != 0) return "The training failed.\n";
    const std::vector<std::string> names = parameter_names(c_.problem.hidden);
    const std::size_t first = first_shown(names.size());
    std::string text = "Final parameters:";
    for (std::size_t i = first; i < names.size(); ++i) {
      text +=
          fmt::format("{} {} {}", i == first ? "" : ",", names[i], short_number(static_cast<double>(r.table.parameters[i][0])));
    }
    return text + '\n' + shown_of_all(console.out, names.size() - first, names.size(), "--json and --save-policy have all") +
           threshold_text(view(), r);
  }
  void add_baseline();
  void describe_policy(SavedPolicy& policy) const override { policy.hidden = c_.problem.hidden; }
  std::string remedy() const override { return failure_remedy(c_.optimizer, c_.problem.reward_scale, false); }

  CartPoleTrainConfiguration c_;
  PolicyChoice policy_;
};

CartPoleTrain::CartPoleTrain(const std::string& environment) : PolicyGradientTrain(describe(), environment, c_) {
  c_.problem.environment.max_steps = default_max_steps(environment);
  add_training_options();
  table_.number("gamma", "G", c_.problem.gamma, "a number from 0 to 1", "a factor", "discount of later rewards");
  add_reward_scale(table_, c_.problem.reward_scale);
  add_baseline();
  table_.number(
      "entropy-bonus", "E", c_.problem.entropy_bonus, "a finite number, at most 1e9 in magnitude", "reward per nat",
      "adds E times each step's policy entropy to what is maximised (its direct gradient, in constant memory); not with "
      "--baseline standardize");
  add_until("a mean return that episodes can have, or none");
  add_cart_pole_parameters(table_, {c_.problem.parameters, c_.problem.hidden, nullptr}, policy_,
                           "the policy's initial parameters: action 1 with probability sigmoid(w . state + bias)");
  add_initialisation(table_, c_.problem.hidden, policy_);
  add_cart_pole(table_, c_.problem.environment);
  add_files(fmt::format("{}", fmt::join(kCartPoleParameterNames, ", ")));
  add_backend_options();
}

void CartPoleTrain::add_baseline() {
  Option option;
  option.name = "baseline";
  option.placeholder = "none|mean|standardize|constant=V";
  option.accepted = "none, mean, standardize or constant=V with a finite V of at most 1e9 in magnitude";
  option.help =
      "what a step's score is multiplied with: G, the discounted return from that step on; G less the mean of all G of the "
      "update; "
      "that divided by their standard deviation + 1e-8; or G - V";
  option.choices = {"none", "mean", "standardize", "constant=0"};
  option.read = [this, accepted = option.accepted, choices = option.choices](const std::string& text) {
    constexpr std::string_view kConstant = "constant=";
    CartPoleProblem& p = c_.problem;
    if (text.starts_with(kConstant)) {
      const std::optional<double> value = parse_number(text.substr(kConstant.size()));
      if (!value) not_accepted(text, accepted);
      p.baseline = Baseline::constant;
      p.baseline_value = *value;
      return;
    }
    if (text != "none" && text != "mean" && text != "standardize") not_accepted(text, accepted, choices);
    p.baseline = text == "none" ? Baseline::none : text == "mean" ? Baseline::mean : Baseline::standardize;
    p.baseline_value = 0;
  };
  option.value = [this] {
    switch (c_.problem.baseline) {
      case Baseline::none:
        return Json("none");
      case Baseline::mean:
        return Json("mean");
      case Baseline::standardize:
        return Json("standardize");
      case Baseline::constant:
        break;
    }
    return Json(fmt::format("constant={}", c_.problem.baseline_value));
  };
  option.inner = {"baseline-value", &c_.problem.baseline_value, [this] { return c_.problem.baseline == Baseline::constant; }};
  table_.add(option);
}

void CartPoleTrain::apply_preset(const std::string& name) {
  if (name != "solve") return;
  const auto replicas = c_.replicas, seed = c_.seed;
  c_ = solve_preset(default_max_steps(environment_));
  c_.replicas = replicas;
  c_.seed = seed;
}

}  // namespace

std::unique_ptr<Command> make_cart_pole_train_command(const std::string& environment) {
  return std::make_unique<CartPoleTrain>(environment);
}

}  // namespace fryer::cli
