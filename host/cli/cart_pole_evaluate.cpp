// SPDX-License-Identifier: Apache-2.0
// `fryer evaluate CartPole-v1` and -v0: episodes of a fixed policy.
#include <fmt/format.h>

#include "fryer/engine/registry.h"
#include "host/cli/episode_command.h"

namespace fryer::cli {
namespace {

const Description kDescription = {
    "evaluate",
    "ENV",
    "play episodes of a fixed policy and report their returns",
    "A sigmoid policy samples its actions unless --greedy, a Q network acts greedily. Episodes of an evaluation are others than "
    "a training's with the same seed.",
    {{"a policy that train --save-policy wrote", "evaluate CartPole-v1 --policy policy.json --episodes 1e6"},
     {"how long chance balances the pole", "evaluate CartPole-v1 --random --episodes 1e7"}}};

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

class CartPoleEvaluate : public EvaluateCommand<CartPoleEvaluateConfiguration> {
 public:
  explicit CartPoleEvaluate(const std::string& environment) : EvaluateCommand(kDescription, environment) {
    c_.problem.environment.max_steps = default_max_steps(environment);
    add_episodes("episodes to play");
    add_cart_pole_policy_choice(table_, policy(), policy_);
    add_players({"parameters", "policy", "hidden", "activation"});
    add_cart_pole(table_, c_.problem.environment);
    add_backend_options();
  }
  void resolve() override {
    if (c_.random) {
      c_.problem.hidden = {};
      c_.q_network.reset();
    } else {
      resolve_cart_pole_policy(table_, environment_, policy(), policy_);
      if (c_.q_network) resolve_greedy(table_, c_.greedy);
    }
    validate(c_);
  }

 private:
  CartPolePolicy policy() { return {c_.problem.parameters, c_.problem.hidden, &c_.q_network}; }
  std::string policy_text() const override {
    if (c_.q_network) return policy_words(*c_.q_network);
    return fmt::format("the policy with {}{}", c_.problem.hidden.units == 0 ? "parameters " : "",
                       policy_words(c_.problem.parameters, c_.problem.hidden, ", "));
  }
  std::string text(const Console& console, const EvaluateResult& r) const override {
    return first_line(r) + length_rows(console.out, r) +
           fmt::format("\n{}, {}: {} terminated, {} truncated\n", counted(r.episodes, "episodes"), counted(r.steps, "steps"),
                       with_separators(r.terminated), with_separators(r.truncated));
  }

  PolicyChoice policy_;
};

}  // namespace

std::unique_ptr<Command> make_cart_pole_evaluate_command(const std::string& environment) {
  return std::make_unique<CartPoleEvaluate>(environment);
}

}  // namespace fryer::cli
