// SPDX-License-Identifier: Apache-2.0
// `fryer evaluate CartPole-v1` and -v0: episodes of a fixed policy.
#include <fmt/format.h>

#include <algorithm>

#include "fryer/engine/registry.h"
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
      "A policy samples its actions unless --greedy. Episodes of an evaluation are others than a training's with the same seed.";
  d.examples = {{"a policy that train --save-policy wrote", "evaluate CartPole-v1 --policy policy.json --episodes 1e6"},
                {"how long chance balances the pole", "evaluate CartPole-v1 --random --episodes 1e7"}};
  return d;
}

class CartPoleEvaluate : public Command {
 public:
  explicit CartPoleEvaluate(const std::string& environment);
  bool takes_environment() const override { return true; }
  void settle() override {
    // A policy named on the command line replaces a file's `random = true`.
    const Source policy = std::max(cart_pole_policy_source(table_), table_.find("greedy")->source);
    if (c_.random && policy > table_.find("random")->source) c_.random = false;
    // With --random a file's hidden layer has been overtaken, activation and all.
    table_.find("activation")->applies_with = c_.random ? "random" : "hidden";
  }
  void resolve() override {
    if (c_.random) {
      c_.greedy = false;
      c_.problem.hidden = {};
    } else {
      resolve_cart_pole_policy(table_, environment_, {c_.problem.parameters, c_.problem.hidden}, policy_);
    }
    validate(c_);
  }
  int run(const Console& console) override;

 private:
  Plan plan() const;
  std::string text(const Console& console, const EvaluateResult& r) const;
  std::string policy_name() const {
    if (c_.random) return "the random policy";
    return fmt::format("the policy with {}{}{}", c_.problem.hidden.units == 0 ? "parameters " : "",
                       policy_words(c_.problem.parameters, c_.problem.hidden, ", "), c_.greedy ? ", greedy" : "");
  }

  CartPoleEvaluateConfiguration c_;
  PolicyChoice policy_;
};

CartPoleEvaluate::CartPoleEvaluate(const std::string& environment) : Command(describe(), environment) {
  c_.problem.environment.max_steps = default_max_steps(environment);
  table_.integer("episodes", "N", c_.episodes, "a whole number from 1 to 2^40", "episodes", "episodes to play");
  add_seed(table_, c_.seed, "seed of the episodes");
  add_cart_pole_policy_choice(table_, {c_.problem.parameters, c_.problem.hidden}, policy_);
  table_.flag("random", c_.random, "either action with probability 1/2, instead of a policy");
  table_.flag("greedy", c_.greedy, "take the likelier action instead of sampling");
  add_cart_pole(table_, c_.problem.environment);
  add_backend_options();
  for (const char* name : {"parameters", "policy", "hidden", "activation", "greedy"}) {
    Option& option = *table_.find(name);
    const std::string other = option.applies_with;
    option.applies = [this, before = option.applies] { return !c_.random && (!before || before()); };
    option.applies_with = other.empty() ? "random" : other;
  }
}

Plan CartPoleEvaluate::plan() const {
  Plan plan;
  plan.what = fmt::format("{} episodes of {}", with_separators(c_.episodes), policy_name());
  plan.work = estimate(c_);
  plan.episodes = static_cast<double>(c_.episodes);
  plan.pilot = [this](Backend& backend, std::uint64_t wanted) {
    CartPoleEvaluateConfiguration part = c_;
    part.episodes = std::min(c_.episodes, wanted);
    return static_cast<double>(evaluate(part, backend).episodes);
  };
  return plan;
}

// The distribution of lengths: about ten rows of equal width.
std::string length_rows(const Terminal& terminal, const EvaluateResult& r) {
  std::size_t first = 0, last = r.length_histogram.size() - 1;
  while (first < last && r.length_histogram[first] == 0) ++first;
  while (last > first && r.length_histogram[last] == 0) --last;
  const std::size_t width = (last - first) / 10 + 1;
  Table table;
  table.headings = {"length", "episodes", "share", "<"};
  std::vector<std::pair<std::string, std::uint64_t>> rows;
  std::uint64_t most = 1;
  for (std::size_t begin = first; begin <= last; begin += width) {
    const std::size_t end = std::min(begin + width - 1, last);
    std::uint64_t n = 0;
    for (std::size_t i = begin; i <= end; ++i) n += r.length_histogram[i];
    rows.emplace_back(begin == end ? fmt::format("{}", begin) : fmt::format("{} - {}", begin, end), n);
    most = std::max(most, n);
  }
  const std::size_t room = terminal.width > 60 ? terminal.width - 45 : 15;
  for (const auto& [name, n] : rows) {
    table.rows.push_back({name, human_count(static_cast<double>(n)),
                          fmt::format("{:.2f} %", 100 * static_cast<double>(n) / static_cast<double>(r.episodes)),
                          bar(static_cast<double>(n) / static_cast<double>(most) * static_cast<double>(room), room)});
  }
  return render(terminal, table);
}

std::string CartPoleEvaluate::text(const Console& console, const EvaluateResult& r) const {
  std::string text = fmt::format("Mean return of {}: {:.6g} (standard error {:.2g}); sd {:.4g}, from {:g} to {:g}\n\n",
                                 policy_name(), r.mean, r.standard_error, r.sd, r.min, r.max);
  text += length_rows(console.out, r);
  text += fmt::format("\n{} episodes, {} steps: {} terminated, {} truncated\n", with_separators(r.episodes),
                      with_separators(r.steps), with_separators(r.terminated), with_separators(r.truncated));
  return text;
}

int CartPoleEvaluate::run(const Console& console) {
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
    document["steps"] = r.steps;
    document["return"] = return_json(r);
    document["terminated"] = r.terminated;
    document["truncated"] = r.truncated;
    document["length_histogram"] = r.length_histogram;
    console.print(to_text(document));
    return 0;
  }
  console.print(text(console, r) + closing_text(r.episodes, seconds, backend->info(), r.digest, r.steps));
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_cart_pole_evaluate_command(const std::string& environment) {
  return std::make_unique<CartPoleEvaluate>(environment);
}

}  // namespace fryer::cli
