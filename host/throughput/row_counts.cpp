// SPDX-License-Identifier: Apache-2.0
// See row_counts.h.
#include "host/throughput/row_counts.h"

#include <vector>

#include "fryer/lane/cart_pole_episode.h"
#include "fryer/lane/episode_gradient.h"
#include "fryer/lane/q_training.h"
#include "fryer/lane/replica_training.h"
#include "host/throughput/counted.h"
#include "host/throughput/philox_words.h"

namespace fryer::throughput {
namespace {

EpisodeWork fry_shack_work() {
  EpisodeWork work{};
  work.key = make_uniform_key(kSeed);
  work.rules.environment = FryShack::make_rules({});
  work.rules.purpose_word = purpose_word(Purpose::action);
  work.rules.gain_correct = 1;
  work.rules.gain_wrong = -1;
  work.policy = {{20 * 0x1p-24f}, 0};
  work.fixed_point = make_fixed_point(1, 1, -1);
  return work;
}

OneBlockEpisode<Counted> played(const EpisodeWork& work) {
  const auto words = philox<Counted>(0u, work.rules.purpose_word, varying(7u), 0u, work.key);
  return play<Counted>(work.rules.environment, work.policy, words);
}

template <bool kWeight, Moments kMoments>
Counts count_gradient() {
  Recording recording;
  const EpisodeWork work = fry_shack_work();
  GradientAccumulator<Counted, kWeight, kMoments> sums;
  sums.clear();
  const auto episode = played(work);
  sums.add(work, episode, loss_gradient24(work.rules, episode));
  count(episode.correct);
  return recording.counts();
}

CartPoleGame cart_pole_game() {
  CartPoleGame game{};
  game.rules = CartPole::make_rules<float>({});
  game.action_word = purpose_word(Purpose::action);
  game.max_steps = CartPole::kMaxStepsV1;
  game.gamma = 0.99f;
  game.reward_inside = game.reward_outside = 1;
  return game;
}

// A block of four steps.
template <Track kTrack, class Key, class Policy>
Counts count_block(Recording& recording, const Key& key, const Policy& policy) {
  const CartPoleGame game = cart_pole_game();
  CartPoleBlock<Counted, false> block;
  EpisodeLearner<Counted, kCartPoleParameters, kTrack> learner;
  for (int i = 0; i < kCartPoleParameters; ++i) {
    learner.trace[i] = varying(0.0f);
    learner.gradient[i] = varying(0.0f);
    if (kTrack == Track::gradient_and_scores) learner.score[i] = varying(0.0f);
  }
  ReturnMoments<Counted>& moments = learner.moments;
  const auto each_moment = [&moments](const auto& body) {
    if (kTrack != Track::gradient_and_scores) return;
    for (Counted* const x : {&moments.c, &moments.q, &moments.h, &moments.sum, &moments.square}) body(*x);
  };
  each_moment([](Counted& x) { x = varying(0.0f); });
  for (int i = 0; i < 4; ++i) block.observation[0][i] = varying(0.01f);
  block.live[0] = varying(true);
  const CountedWord number = varying(3u), block_number = varying(2u);
  const auto words = philox<Counted>(block_number, game.action_word, number, 0u, key);
  const CountedWord blocks = block_number + CountedWord(1u);
  result(blocks);
  const CountedWord word[kStepsPerBlock] = {words.x, words.y, words.z, words.w};
  for (int k = 0; k < kStepsPerBlock; ++k) block.advance(k, game, policy, word[k], steps_of(block_number));
  accumulate_whole_block(learner, game, block);
  if (kTrack != Track::nothing) {
    for (int i = 0; i < kCartPoleParameters; ++i) {
      result(learner.trace[i]);
      result(learner.gradient[i]);
      if (kTrack == Track::gradient_and_scores) result(learner.score[i]);
    }
  }
  each_moment([](const Counted& x) { result(x); });
  any(block.ended(game, blocks));
  for (int i = 0; i < 4; ++i) result(block.observation[kStepsPerBlock][i]);
  return recording.counts() * (1.0 / kStepsPerBlock);
}

template <Track kTrack>
Counts count_cart_pole() {
  Recording recording;
  return count_block<kTrack>(recording, make_uniform_key(kSeed), LinearPolicy{{0.5f, 1, 10, 3}, 0});
}

}  // namespace

Counts count_philox_word() {
  Recording recording;
  result(add_philox_words<Counted>(make_uniform_key(kSeed), varying(7u), varying(0u)));
  return recording.counts() * (1.0 / kWordsPerBlock);
}

Counts count_fry_shack_evaluation() {
  Recording recording;
  const auto episode = played(fry_shack_work());
  count(episode.action);
  count(episode.correct);
  count(both(episode.correct, episode.action));
  return recording.counts();
}
Counts count_fry_shack_gradient() { return count_gradient<true, Moments::first_and_second>(); }
Counts count_fry_shack_bias_gradient() { return count_gradient<false, Moments::first>(); }

Counts count_fry_shack_training() {
  Recording recording;
  constexpr auto kAdam = OptimizerSettings::Kind::adam;
  const TrainConfiguration c;
  const AdamTable table(c.optimizer, c.updates);
  const EpisodeWork episodes = fry_shack_work();
  ReplicaWork work{};
  work.rules = episodes.rules;
  work.fixed_point = episodes.fixed_point;
  work.optimizer = make_optimizer_constants<float>(c.optimizer);
  work.batch = 1;
  work.step = table.step.data();
  work.root_scale = table.root_scale.data();
  work.table_last = static_cast<std::uint32_t>(table.step.size() - 1);
  ReplicaLanes<Counted, std::uint32_t, kAdam, false, true> lanes;
  for (int round = 0; round < kPhiloxRounds; ++round) {
    lanes.key.low[round] = {1, recording.input()};
    lanes.key.high[round] = 1;
  }
  lanes.key.last_low = varying(1u);
  lanes.theta[0] = Counted(20.0f);  // the same for all, and not learnt
  lanes.theta[1] = varying(0.0f);
  lanes.m[1] = varying(0.1f);
  lanes.v[1] = varying(0.1f);
  const CountedWord correct = lanes.update(work, 5);
  count(less(CountedWord(0u), correct));
  any(lanes.finite());
  result(lanes.theta[1]);
  result(lanes.m[1]);
  result(lanes.v[1]);
  return recording.counts();
}

Counts count_cart_pole_evaluation() { return count_cart_pole<Track::nothing>(); }
Counts count_cart_pole_gradient() { return count_cart_pole<Track::gradient>(); }
Counts count_cart_pole_training() {
  Recording recording;
  LaneKey<Counted> key;
  for (int round = 0; round < kPhiloxRounds; ++round) {
    key.low[round] = {1, recording.input()};
    key.high[round] = 1;
  }
  key.last_low = varying(1u);
  LinearPolicy::With<Counted> policy;
  for (Counted& weight : policy.weight) weight = varying(1.0f);
  policy.bias = varying(0.0f);
  return count_block<Track::gradient_and_scores>(recording, key, policy);
}

namespace {

using Network = std::vector<float>;

std::vector<Counted> varying_all(const Network& numbers) {
  std::vector<Counted> all;
  for (const float x : numbers) all.push_back(varying(x));
  return all;
}
void observe(const float (&from)[4], Counted (&to)[4]) {
  for (int i = 0; i < 4; ++i) to[i] = varying(from[i]);
}

// The values of one network for an observation.
Counts count_forward(const QNetworkShape& shape, const Network& network, const float (&given)[4]) {
  Recording recording(true);
  Counted observation[4];
  observe(given, observation);
  QActivations<Counted> a;
  q_forward(shape, varying_all(network).data(), observation, a);
  for (const Counted& value : a.value) result(value);
  return recording.counts();
}

// A sample's share of the gradient: both forward passes and the backward ones.
Counts count_sample(const QTrainingRules& rules, const Network& network, const Transition& t) {
  const QNetworkShape& shape = rules.update.shape;
  const QLearningConstants<float>& learning = rules.update.learning;
  Recording recording(true);
  const std::vector<Counted> weight = varying_all(network);
  Counted observation[4], next[4];
  observe(t.observation, observation);
  observe(t.next_observation, next);
  QActivations<Counted> here, there;
  q_forward(shape, weight.data(), next, there);
  q_forward(shape, weight.data(), observation, here);
  const Counted reward = varying(t.reward), bootstraps = varying(t.bootstraps);
  const CountedMask next_action = greedy_action(there.value);
  const Counted next_value = select(next_action, there.value[1], there.value[0]);
  const Counted error = here.value[t.action] - td_target(learning, reward, bootstraps, next_value);
  result(sample_loss(learning, error));
  Counted slope[2], next_slope[2];
  slope[t.action] = loss_slope(learning, error);
  std::vector<Counted> gradient(weight.size());
  q_backward(shape, weight.data(), observation, here, slope, gradient.data());
  if (learning.bootstrap == Bootstrap::residual) {
    next_slope[next_action.value ? 1 : 0] = residual_slope(learning, bootstraps, slope[t.action]);
    q_backward(shape, weight.data(), next, there, next_slope, gradient.data());
  }
  for (const Counted& g : gradient) result(g);
  return recording.counts();
}

// What steps one parameter.
Counts count_parameter_step(const QTrainingRules& rules) {
  Recording recording;
  Counted m = varying(0.1f), v = varying(0.1f), weight = varying(1.0f);
  q_parameter_step(rules.update.optimizer, rules.update.optimizer_kind, Counted(0.001f), Counted(1.0f), varying(0.1f), m, v,
                   weight);
  for (const Counted& x : {m, v, weight}) result(x);
  if (rules.update.learning.has_target_network()) result(mix_target(rules.update.learning, weight, varying(1.0f)));
  return recording.counts();
}

}  // namespace

Counts count_q_update(const QTrainConfiguration& configuration) {
  const QTrainingSettings& settings = configuration.training;
  const QTrainingRules rules = make_q_training_rules(settings);
  Network network(static_cast<std::size_t>(settings.shape.parameters()));
  start_q_learner(settings, kSeed, {network.data(), nullptr, nullptr, nullptr});
  QTrainingState state = start_q_training(settings, rules, kSeed);
  Counts counts;
  if (!rules.learns_online()) counts = count_forward(settings.shape, network, state.observation);  // else the update's own
  constexpr std::uint32_t kSamples = 16;  // of a batch of many, as many tell enough
  const std::uint32_t samples = settings.batch < kSamples ? settings.batch : kSamples;
  Counts of_samples;
  std::vector<std::uint32_t> outcomes(rules.kept_outcomes);
  for (std::uint32_t n = 0; n < samples; ++n) {
    state.updates_due = 0;
    of_samples += count_sample(rules, network, make_step(rules, state, n % 2 == 1));
    state.updates_due = 0;
    end_turn(rules, state, outcomes.data());
  }
  counts += of_samples * (static_cast<double>(settings.batch) / samples);
  counts += count_parameter_step(rules) * settings.shape.parameters();
  return counts;
}

}  // namespace fryer::throughput
