// SPDX-License-Identifier: Apache-2.0
// See policy_gradient_train.h.
#include "host/cli/policy_gradient_train.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/cli/settings.h"
#include "host/training_support.h"

namespace fryer::cli {

void PolicyGradientTrain::add_training_options() {
  add_population_options();
  Option& updates = table_.integer("updates", "U", training_.updates, "a whole number from 1 to 2147483647", "updates",
                                   "steps of the optimiser");
  updates.read = [this, read = updates.read](const std::string& text) {
    read(text);
    episodes_.reset();
  };
  add_episodes();
  table_.integer("batch", "B", training_.batch, "a whole number from 1 to 2^40", "episodes", "episodes per update");
  add_optimizer(table_, training_.optimizer);
}

void PolicyGradientTrain::add_episodes() {
  Option episodes;
  episodes.name = "episodes";
  episodes.placeholder = "E";
  episodes.accepted = "a whole number from 1, a multiple of --batch";
  episodes.unit = "training episodes";
  episodes.help = "how long to train, instead of --updates";
  episodes.setting = false;
  episodes.numeric = true;
  episodes.value = [] { return Json(); };
  episodes.read = [this, accepted = episodes.accepted](const std::string& text) {
    episodes_ = parse_integer(text);
    if (!episodes_ || *episodes_ == 0) not_accepted(text, accepted + ", written 1000000, 1e6 or 1_000_000");
  };
  table_.add(episodes);
  table_.exclude("updates", "episodes");
}

void PolicyGradientTrain::add_until(const std::string& accepted) {
  TrainCommand::add_until(accepted, "ceil(100 / batch) updates");
}

std::string PolicyGradientTrain::why_not(const std::string& option) const {
  if (option == "random" || option == "greedy")
    return "train has no such option: actions are sampled from the policy that is being trained";
  return TrainCommand::why_not(option);
}

void PolicyGradientTrain::resolve() {
  if (episodes_ && training_.batch != 0) {
    if (*episodes_ % training_.batch != 0) {
      throw ConfigurationError(fmt::format("{}: {} is not accepted; a multiple of --batch {}, such as {}",
                                           table_.find("episodes")->label, *episodes_, training_.batch,
                                           std::max(*episodes_ / training_.batch, std::uint64_t{1}) * training_.batch));
    }
    training_.updates = *episodes_ / training_.batch;
    if (training_.updates > 2147483647) {
      throw ConfigurationError(fmt::format("{}: {} is not accepted; at most 2147483647 updates of --batch {}",
                                           table_.find("episodes")->label, *episodes_, training_.batch));
    }
  }
  TrainCommand::resolve();
  if (training_.until && training_.updates < window_of(training_.batch)) {
    warnings.push_back(fmt::format("--until looks back on {} updates of --batch {}: with {} no training can meet it",
                                   window_of(training_.batch), training_.batch, training_.updates));
  }
}

Plan PolicyGradientTrain::plan() const {
  const TrainingSettings& c = training_;
  Plan plan;
  plan.what = fmt::format("{} of {} of {}{}", counted(c.replicas, "trainings"), counted(c.updates, "updates"),
                          counted(c.batch, "episodes"), c.until ? " (or fewer, by --until)" : "");
  plan.work = work();
  plan.episodes = static_cast<double>(c.updates) * static_cast<double>(c.batch) * static_cast<double>(c.replicas);
  plan.pilot = [this](Backend& backend, std::uint64_t wanted) {
    const std::uint64_t batch = std::min(training_.batch, wanted);
    const std::uint64_t updates = std::clamp<std::uint64_t>(wanted / batch, 1, std::min<std::uint64_t>(training_.updates, 256));
    const std::uint64_t replicas = std::clamp<std::uint64_t>(wanted / (batch * updates), 1, training_.replicas);
    return train_part(backend, updates, batch, replicas);
  };
  return plan;
}

}  // namespace fryer::cli
