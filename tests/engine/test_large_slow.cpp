// SPDX-License-Identifier: Apache-2.0
// More than 2^32 episodes in one batch: all of them are counted and numbered with 64 bits.
#include <gtest/gtest.h>

#include <cmath>

#include "fryer/engine/api.h"
#include "fryer/lane/one_block_episode.h"

namespace fryer {
namespace {

constexpr std::uint64_t kMany = (std::uint64_t{1} << 32) + 5;

EpisodeWork work_of(const Problem& problem, std::uint64_t seed, std::uint64_t batch) {
  EpisodeWork work{};
  work.key = make_uniform_key(seed);
  work.rules.environment = FryShack::make_rules(problem.environment);
  work.rules.purpose_word = purpose_word(Purpose::action);
  work.rules.gain_correct = static_cast<float>(problem.reward_scale * problem.environment.reward_correct);
  work.rules.gain_wrong = static_cast<float>(problem.reward_scale * problem.environment.reward_wrong);
  work.policy.weight[0] = static_cast<float>(problem.weight) * 0x1p-24f;
  work.policy.bias = static_cast<float>(problem.bias);
  work.fixed_point = make_fixed_point(batch, work.rules.gain_correct, work.rules.gain_wrong);
  const int digits = square_digits(work.rules.gain_correct, work.rules.gain_wrong);
  work.square_scale_bias = std::ldexp(1.0, digits - 48);
  work.square_scale_weight = std::ldexp(1.0, digits - 96);
  return work;
}

// Detects a counter of 32 bits anywhere between configuration and sum: a batch of 2^32 + 5 is its two parts, counts them all, its
// last episodes are those numbered from 2^32 on, and one update of a training steps by their mean.
TEST(LargeBatch, CountsEveryEpisode) {
  const auto backend = make_backend({});
  GradientConfiguration c;
  c.problem.bias = -6;
  c.episodes = kMany;
  const GradientResult r = gradient(c, *backend);
  EXPECT_EQ(r.episodes, kMany);
  EXPECT_EQ(r.sums.episodes, kMany);
  EXPECT_LT(std::fabs(*r.bias.z), 5);  // of the closed form, which is off by less than 0.02 standard errors here
  EXPECT_LT(std::fabs(*r.weight.z), 5);
  EXPECT_LT(std::fabs(*r.mean_return.z), 5);

  const EpisodeWork work = work_of(c.problem, c.seed, kMany);
  const auto sum = [&](std::uint64_t first, std::uint64_t count) {
    return backend->gradient(work, first, count, true, Moments::first_and_second, {});
  };
  const std::uint64_t cut = (std::uint64_t{1} << 31) + 12'345;
  GradientSums parts = sum(0, cut);
  parts.add(sum(cut, kMany - cut));
  EXPECT_EQ(parts.episodes, kMany);
  EXPECT_EQ(parts.correct, r.sums.correct);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(parts.gradient[i], r.sums.gradient[i]);
    EXPECT_TRUE(parts.squared[i] == r.sums.squared[i]);
  }

  const std::uint64_t high = std::uint64_t{1} << 32;
  const GradientSums last = sum(high, 5);
  std::int64_t bias = 0;
  for (std::uint64_t number = high; number < kMany; ++number) {
    const auto episode = play<float>(work.rules.environment, work.policy, random_block(c.seed, Purpose::action, number));
    bias += to_fixed(static_cast<double>(loss_gradient24(work.rules, episode)), work.fixed_point.bias_scale);
  }
  EXPECT_EQ(last.gradient[1], bias);
  EXPECT_EQ(last.episodes, 5u);

  TrainConfiguration t;
  t.problem = c.problem;
  t.seed = c.seed;
  t.batch = kMany;
  t.updates = 1;
  t.optimizer.kind = OptimizerSettings::Kind::sgd;
  t.optimizer.learning_rate = 1;
  const TrainResult training = train(t, *backend);
  EXPECT_EQ(training.episodes, kMany);
  EXPECT_EQ(to_bits(training.table.parameters[1][0]), to_bits(-6 - mean_from_fixed(r.sums.gradient[1], work.fixed_point.unit)));
  const double returns = static_cast<double>(r.sums.correct) - static_cast<double>(kMany - r.sums.correct);  // an exact integer
  EXPECT_EQ(training.curve[0].mean_return, returns / static_cast<double>(kMany));
}

}  // namespace
}  // namespace fryer
