// SPDX-License-Identifier: Apache-2.0
// The StatQuest notebook: the same training as a replica with batch 1, one scalar update after another, with every number recorded;
// either on Philox (then it is `train --seed`, to the bit) or on PyTorch's CPU generator in the notebook's order of draws.
#include <random>

#include "fryer/engine/run.h"
#include "host/digest.h"
#include "host/floating_environment.h"

namespace fryer {
namespace {

constexpr int kUpdatesPerEpoch = 4;  // the notebook's DataLoader of four dummy items

// PyTorch's CPU generator as the notebook drives it: mt19937; at the start of an epoch the data loader takes one 64-bit number (two
// outputs); an update takes hunger, choice, portion, each (output & 0xffffff) 2^-24.
class TorchWords {
 public:
  explicit TorchWords(std::uint64_t seed) : generator_(static_cast<std::uint32_t>(seed)) {}
  RandomBlock<std::uint32_t> operator()(std::uint64_t update) {
    if (update % kUpdatesPerEpoch == 0) generator_.discard(2);
    const std::uint32_t hunger = next(), choice = next(), portion = next();
    return {hunger, choice, portion, 0};
  }

 private:
  // As a word whose upper 24 bits are the uniform number.
  std::uint32_t next() { return (static_cast<std::uint32_t>(generator_()) & 0xffffffu) << 8; }
  std::mt19937 generator_;
};

template <class Words>
NotebookResult run(const NotebookConfiguration& c, Words words_of) {
  const TrainConfiguration defaults;  // weight 20, bias 0, Adam, reward scale 0.99
  OptimizerSettings settings;
  settings.learning_rate = c.learning_rate;
  FryShack::Settings shack;
  shack.reward_correct = c.reward_correct;
  shack.reward_wrong = c.reward_wrong;
  const double scale = defaults.problem.reward_scale;
  const OneBlockRules rules = {FryShack::make_rules(shack), 0, static_cast<float>(scale * c.reward_correct),
                               static_cast<float>(scale * c.reward_wrong)};
  const FixedPoint fixed = make_fixed_point(1, rules.gain_correct, rules.gain_wrong);
  const OptimizerConstants<float> constants = make_optimizer_constants<float>(settings);
  AdamSchedule schedule(settings);
  float bias = static_cast<float>(defaults.problem.bias), m = 0, v = 0;
  NotebookResult result;
  result.updates.reserve(c.updates);
  for (std::uint64_t update = 0; update < c.updates; ++update) {
    const RandomBlock<std::uint32_t> words = words_of(update);
    const SigmoidPolicy<float, 1> policy = {{static_cast<float>(defaults.problem.weight * FryShack::kObservationUnit)}, bias};
    const auto episode = play<float>(rules.environment, policy, words);
    const float observation[1] = {episode.hunger24};
    const float logit = policy.logit(observation);
    const float gain = episode.correct ? rules.gain_correct : rules.gain_wrong;
    const float gradient =
        mean_from_fixed(to_fixed(static_cast<double>(loss_gradient24(rules, episode)), fixed.bias_scale), fixed.unit);
    const AdamSchedule::Factors factors = schedule.next();
    adam_step(constants, static_cast<float>(factors.step), static_cast<float>(factors.root_scale), gradient, m, v, bias);
    if (!is_finite(bias)) throw RunError("notebook: the bias stopped being finite at update " + std::to_string(update + 1));
    NotebookResult::Update u;
    u.p = sigmoid24(logit) * 0x1p-24f;
    u.norm = episode.action;
    u.hunger = static_cast<double>(episode.hunger24) * FryShack::kObservationUnit;
    u.large = episode.correct == (u.hunger > shack.hungry_above);
    u.reward = episode.correct ? c.reward_correct : c.reward_wrong;
    u.loss = softplus(episode.action ? -logit : logit) * gain;
    u.bias = bias;
    result.updates.push_back(u);
    result.norm_visits += episode.action ? 1 : 0;
  }
  result.final_bias = bias;
  result.digest = digest_of(result);
  return result;
}

}  // namespace

NotebookResult notebook(const NotebookConfiguration& c) {
  const FloatingEnvironment environment;
  validate(c);
  if (c.generator == NotebookConfiguration::Generator::torch) return run(c, TorchWords(c.seed));
  return run(c, [&](std::uint64_t update) { return random_block(c.seed, Purpose::action, update); });
}

}  // namespace fryer
