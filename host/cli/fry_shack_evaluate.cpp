// SPDX-License-Identifier: Apache-2.0
// `fryer evaluate FryShack-v0`: episodes of a fixed policy.
#include <fmt/format.h>

#include "host/cli/episode_command.h"

namespace fryer::cli {
namespace {

const Description kDescription = {
    "evaluate",
    "ENV",
    "play episodes of a fixed policy and report their returns",
    "The policy is the one at --weight and --bias, of --policy FILE, or --random. It samples its actions unless --greedy. "
    "Episodes of "
    "an evaluation are others than a training's with the same seed.",
    {{"a policy that train --save-policy wrote", "evaluate FryShack-v0 --policy policy.json --episodes 1e8"},
     {"what chance gives", "evaluate FryShack-v0 --random"}}};

class FryShackEvaluate : public EvaluateCommand<EvaluateConfiguration> {
 public:
  FryShackEvaluate() : EvaluateCommand(kDescription, FryShack::kName) {
    add_episodes("episodes to play");
    add_parameters(table_, c_.problem, "the policy's");
    add_policy_choice(table_, c_.problem, policy_);
    add_players({"weight", "bias", "parameters", "policy"});
    add_fry_shack(table_, c_.problem.environment);
    add_backend_options();
  }
  std::string why_not(const std::string& option) const override {
    return option == "reward-scale" ? "evaluate has no such option: returns are reported unscaled" : Command::why_not(option);
  }
  void resolve() override {
    if (!c_.random) resolve_policy(table_, environment_, c_.problem, policy_);
    validate(c_);
  }

 private:
  std::string policy_text() const override {
    return fmt::format("the policy with weight {}, bias {}", c_.problem.weight, c_.problem.bias);
  }
  std::string text(const Console& console, const EvaluateResult& r) const override {
    const double n = static_cast<double>(r.episodes);
    std::string text = first_line(r);
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
  void add_to_document(Json& document, const EvaluateResult& r) const override {
    EvaluateCommand::add_to_document(document, r);
    document["outcomes"] = {{"norm", {{"right", r.outcomes[3]}, {"wrong", r.outcomes[2]}}},
                            {"squatch", {{"right", r.outcomes[1]}, {"wrong", r.outcomes[0]}}}};
  }

  PolicyChoice policy_;
};

}  // namespace

std::unique_ptr<Command> make_fry_shack_evaluate_command() { return std::make_unique<FryShackEvaluate>(); }

}  // namespace fryer::cli
