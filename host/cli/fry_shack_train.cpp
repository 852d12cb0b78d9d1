// SPDX-License-Identifier: Apache-2.0
// `fryer train FryShack-v0`: its options and what is said of its result.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "fryer/engine/registry.h"
#include "host/cli/policy_gradient_train.h"
#include "host/cli/settings.h"

namespace fryer::cli {
namespace {

constexpr std::array<double, 2> kHungers = {0.1, 0.9};

// The probability of going to Norm's, for people and JSON: in double, from the parameters' floats.
double norm_probability(float weight, float bias, double hunger) {
  return sigmoid(static_cast<double>(weight) * hunger + static_cast<double>(bias));
}

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
  d.examples = {{"the notebook's recipe a million times, and where the bias ends", "train FryShack-v0 --replicas 1e6"},
                {"both parameters by SGD, 64 episodes an update, every row saved",
                 "train FryShack-v0 --learn-weight --optimizer sgd --learning-rate 0.5 --batch 64 --replicas 1000 "
                 "--save-replicas rows.npy"}};
  return d;
}

class FryShackTrain : public PolicyGradientTrain {
 public:
  FryShackTrain();
  std::string why_not(const std::string& option) const override {
    if (option == "parameters" || option == "policy") return "train has no such option: training starts from --weight and --bias";
    return PolicyGradientTrain::why_not(option);
  }
  std::optional<study::CellConfiguration> cell() const override { return c_; }
  void take(const study::CellConfiguration& cell) override { c_ = std::get<TrainConfiguration>(cell); }
  void apply_preset(const std::string& name) override {
    if (name != "notebook") return;
    const auto replicas = c_.replicas, seed = c_.seed;
    c_ = TrainConfiguration();
    c_.replicas = replicas;
    c_.seed = seed;
  }

 private:
  TrainView view() const override {
    const FryShack::Settings& s = c_.problem.environment;
    return {c_,
            c_.batch,
            {kFryShackParameters.begin(), kFryShackParameters.end()},
            {c_.problem.learn_weight, true},
            std::min(s.reward_correct, s.reward_wrong),
            std::max(s.reward_correct, s.reward_wrong)};
  }
  void check() const override { validate(c_); }
  WorkEstimate work() const override { return estimate(c_); }
  TrainResult train_with(Backend& backend, const RunControl& control) const override { return train(c_, backend, control); }
  double train_part(Backend& backend, std::uint64_t updates, std::uint64_t batch, std::uint64_t replicas) const override {
    return train_part_of(c_, backend, updates, batch, replicas);
  }
  std::string result_text(const Console& console, const TrainResult& r) const override {
    return c_.replicas > 1 ? population_text(console.out, view(), r) : single_text(r);
  }
  void add_to_document(Json& document, const TrainResult& r) const override;
  std::string remedy() const override { return failure_remedy(c_.optimizer, c_.problem.reward_scale, false); }
  std::string single_text(const TrainResult& r) const;
  void add_baseline();

  TrainConfiguration c_;
};

FryShackTrain::FryShackTrain() : PolicyGradientTrain(describe(), FryShack::kName, c_) {
  add_training_options();
  add_reward_scale(table_, c_.problem.reward_scale);
  add_baseline();
  add_until("a finite mean return, or none");
  add_parameters(table_, c_.problem, "the policy's initial");
  table_.toggle("learn-weight", c_.problem.learn_weight, "learn the weight too; the bias is always learned");
  add_fry_shack(table_, c_.problem.environment);
  add_files(fmt::format("{}", fmt::join(kFryShackParameters, ", ")));
  add_backend_options();
}

void FryShackTrain::add_baseline() {
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

void FryShackTrain::add_to_document(Json& document, const TrainResult& r) const {
  Json json = Json::object();
  const ReplicaTable& table = r.table;
  for (const double hunger : kHungers) {
    std::vector<double> values;
    values.reserve(table.size());
    for (std::size_t i = 0; i < table.size(); ++i) {
      if (table.status[i] != static_cast<std::uint8_t>(ReplicaStatus::failed))
        values.push_back(norm_probability(table.parameters[0][i], table.parameters[1][i], hunger));
    }
    Json& entry = json[fmt::format("{}", hunger)];
    if (c_.replicas > 1) {
      entry = summary_json(summarise(values));
    } else {
      entry = values.empty() ? Json() : finite(values[0]);
    }
  }
  document["norm_probability"] = json;
}

std::string FryShackTrain::single_text(const TrainResult& r) const {
  const ReplicaTable& table = r.table;
  if (table.status[0] == static_cast<std::uint8_t>(ReplicaStatus::failed)) return "The training failed.\n";
  const float weight = table.parameters[0][0], bias = table.parameters[1][0];
  std::string text = fmt::format(
      "Final parameters: weight {}, bias {}\n",
      c_.problem.learn_weight ? short_number(static_cast<double>(weight)) : fmt::format("{} (fixed)", c_.problem.weight),
      short_number(static_cast<double>(bias)));
  Problem learned = c_.problem;
  learned.weight = static_cast<double>(weight);
  learned.bias = static_cast<double>(bias);
  text +=
      fmt::format("Goes to Norm's with probability {:.3g} at hunger 0.1 and {:.3g} at hunger 0.9; expected return {:.4g}\n",
                  norm_probability(weight, bias, 0.1), norm_probability(weight, bias, 0.9), fry_shack_exact(learned).mean_return);
  return text + threshold_text(view(), r);
}

}  // namespace

std::unique_ptr<Command> make_fry_shack_train_command() { return std::make_unique<FryShackTrain>(); }

}  // namespace fryer::cli
