// SPDX-License-Identifier: Apache-2.0
// Operations as lanes that note them tell: on programs small enough to count by hand, and of the lane programs where design and formulas say how
// many there must be. Noting changes no bit. And what limits follow from counts.
#include <gtest/gtest.h>

#include "fryer/core/math.h"
#include "fryer/env/fry_shack.h"
#include "fryer/policy/q_network.h"
#include "fryer/policy/sigmoid_policy.h"
#include "host/throughput/counted.h"
#include "host/throughput/row_counts.h"

namespace fryer::throughput {
namespace {

using Op = Operation;

double total(const Counts& counts) {
  double sum = 0;
  for (const double n : counts.of) sum += n;
  return sum;
}

TEST(Counted, CountsWhatAProgramDoes) {
  const Recording recording;
  const Counted x = varying(2.0f), y = varying(3.0f);
  const Counted z = fma(x, y, x * y) / square_root(y);
  result(select(less(x, y), z, x - y));
  Recording::current().result(narrow_high(multiply_wide(widen(varying(5u)), 7u)).node);
  const Counts counts = Recording::current().counts();
  for (const Op op : {Op::fused, Op::multiply, Op::divide, Op::square_root, Op::compare, Op::select, Op::add, Op::widen,
                      Op::wide_multiply, Op::narrow_high})
    EXPECT_EQ(counts[op], 1) << static_cast<int>(op);
  EXPECT_EQ(total(counts), 10);
}

TEST(Counted, LeavesOutConstantsTheUnusedAndTheSecondOfTwo) {
  const Recording recording;
  const Counted x = varying(2.0f);
  const Counted constant = Counted(3.0f) * Counted(4.0f);  // outside the loop
  const Counted unused = x / Counted(3.0f);
  EXPECT_EQ(unused.value, 2.0f / 3.0f);
  result(x * constant + x * (Counted(3.0f) * Counted(4.0f)));
  const Counts counts = Recording::current().counts();
  EXPECT_EQ(counts[Op::multiply], 1);
  EXPECT_EQ(counts[Op::add], 1);
  EXPECT_EQ(total(counts), 2);
}

TEST(Counted, TellsOppositeOperationsApart) {
  const Recording recording;
  const Counted x = varying(2.0f), y = varying(3.0f);
  result((x + y) * (x - y));
  result(minimum(x, y) * maximum(x, y));
  result(shift_bits_left<1>(x) * shift_bits_left<2>(x));
  const Counts counts = Recording::current().counts();
  EXPECT_EQ(counts[Op::add], 2);
  EXPECT_EQ(counts[Op::bits], 4);
  EXPECT_EQ(counts[Op::multiply], 3);
}

TEST(Counted, AChoiceOfZeroIsAMaskedForm) {
  const Recording recording;
  const Counted x = varying(2.0f), y = varying(3.0f);
  result(select(less(x, y), x, y) + select(less(x, y), Counted(0.0f), y));
  const Counts counts = Recording::current().counts();
  EXPECT_EQ(counts[Op::select], 1);
  EXPECT_EQ(counts[Op::merge], 1);
  EXPECT_EQ(counts[Op::compare], 1);
}

TEST(Counted, LeavesOutProductsWithZeroWhereExecutorsDo) {
  for (const bool skips : {false, true}) {
    const Recording recording(skips);
    result(fma(varying(0.0f), varying(2.0f), fma(varying(1.0f), varying(2.0f), varying(3.0f))));
    EXPECT_EQ(Recording::current().counts()[Op::fused], skips ? 1 : 2);
  }
}

TEST(Counted, HasTheBitsOfFloats) {
  const Recording recording;
  for (const float x : {-80.0f, -3.25f, -0.1f, 0.0f, 1e-30f, 0.2f, 1.0f, 7.5f, 1e4f}) {
    const Counted c = varying(x);
    const auto expect_equal = [&](Counted counted, float plain) { EXPECT_EQ(to_bits(counted.value), to_bits(plain)) << x; };
    expect_equal(sigmoid24(c), sigmoid24(x));
    expect_equal(tanh(c), tanh(x));
    expect_equal(exp(c), exp(x));
    expect_equal(log(c), log(x));
    expect_equal(softplus(c), softplus(x));
    expect_equal(sin(c), sin(x));
    expect_equal(cos(c), cos(x));
  }
  const UniformKey key = make_uniform_key(7);
  const auto block = philox<Counted>(varying(1u), 2u, varying(3u), 4u, key);
  const auto plain = philox<float>(1u, 2u, 3u, 4u, key);
  EXPECT_EQ(block.x.value, plain.x);
  EXPECT_EQ(block.y.value, plain.y);
  EXPECT_EQ(block.z.value, plain.z);
  EXPECT_EQ(block.w.value, plain.w);
  const SigmoidPolicy<float, 1> policy{{20 * 0x1p-24f}, -1};
  const Counted observation[1] = {FryShack::observe<Counted>(block)};
  const float plain_observation[1] = {FryShack::observe<float>(plain)};
  const Decision<Counted> decision = policy.sample(observation, block.y);
  const Decision<float> plain_decision = policy.sample(plain_observation, plain.y);
  EXPECT_EQ(decision.action.value, plain_decision.action);
  EXPECT_EQ(to_bits(decision.error24.value), to_bits(plain_decision.error24));
}

TEST(Counted, ABlockOfPhiloxHasTwentyMultiplications) {
  {
    const Recording recording;
    const auto b = philox<Counted>(varying(1u), varying(2u), varying(3u), varying(4u), make_uniform_key(7));
    for (const CountedWord& word : {b.x, b.y, b.z, b.w}) result(word);
    const Counts counts = Recording::current().counts();
    EXPECT_EQ(counts[Op::wide_multiply], 20);
    EXPECT_EQ(counts[Op::wide_mix], 18);
    EXPECT_EQ(counts[Op::word_mix], 2);
  }
  EXPECT_EQ(count_philox_word()[Op::wide_multiply], 18 / 4.0);  // a counter that moves in one word alone
}

TEST(RowCounts, OfTheFryShack) {
  const Counts evaluation = count_fry_shack_evaluation(), bias = count_fry_shack_bias_gradient(),
               gradient = count_fry_shack_gradient();
  for (const Counts& counts : {evaluation, bias, gradient}) {
    EXPECT_EQ(counts[Op::wide_multiply], 18);
    EXPECT_EQ(counts[Op::divide], 1);  // the sigmoid's
    EXPECT_EQ(counts[Op::square_root], 0);
    EXPECT_GE(counts[Op::fused], 10);  // the sigmoid's polynomial alone has eight
  }
  EXPECT_EQ(evaluation[Op::exact_sum], 0);
  EXPECT_EQ(bias[Op::exact_sum], 1);
  EXPECT_EQ(bias[Op::exact_square], 0);
  EXPECT_EQ(gradient[Op::exact_sum], 2);
  EXPECT_EQ(gradient[Op::exact_square], 2);
  const Counts training = count_fry_shack_training();
  EXPECT_EQ(training[Op::wide_multiply], 17);  // all lanes make the same update
  EXPECT_EQ(training[Op::divide], 2);          // and Adam's
  EXPECT_EQ(training[Op::square_root], 1);
}

TEST(RowCounts, OfAStepOfCartPole) {
  const Counts evaluation = count_cart_pole_evaluation(), gradient = count_cart_pole_gradient(),
               training = count_cart_pole_training();
  for (const Counts& counts : {evaluation, gradient, training}) {
    EXPECT_EQ(counts[Op::wide_multiply], 5);  // a quarter of a block
    EXPECT_EQ(counts[Op::divide], 2);         // the sigmoid's and the angular acceleration's
    EXPECT_EQ(counts[Op::square_root], 0);
  }
  EXPECT_EQ(gradient[Op::fused] - evaluation[Op::fused], 10);       // trace and gradient of five parameters
  EXPECT_EQ(gradient[Op::multiply] - evaluation[Op::multiply], 4);  // errors times observations
  EXPECT_EQ(training[Op::fused] - gradient[Op::fused], 3);          // the returns' moments, which the baseline needs
  EXPECT_EQ(training[Op::multiply] - gradient[Op::multiply], 1);    // gamma h
  EXPECT_EQ(training[Op::add] - gradient[Op::add], 8);              // five scores, sum, square and h
}

TEST(RowCounts, OfValueLearners) {
  const QTrainConfiguration dqn = dqn_defaults(500), online = tensorflow_preset(500);
  for (const QTrainConfiguration& c : {dqn, online}) {
    const Counts counts = count_q_update(c);
    const QNetworkShape& shape = c.training.shape;
    EXPECT_EQ(counts[Op::divide], shape.parameters());
    EXPECT_EQ(counts[Op::square_root], shape.parameters());
    // No more than all products of five passes, and no fewer than a tenth.
    const double dense = 5.0 * c.training.batch * shape.parameters() + 10.0 * shape.parameters();
    EXPECT_LT(counts[Op::fused], dense);
    EXPECT_GT(counts[Op::fused], dense / 10);
  }
}

TEST(Limits, AreWhatBinds) {
  Rates needed, peaks;
  needed.fused = 10;
  needed.issue = 20;
  needed.divide = 1;
  needed.square_root = 1;
  peaks = {100, 100, 10, 10, 100};  // 0.1 s of fma, 0.2 s of issue, 0.2 of one unit for both divisions and square roots
  needed.issue = 21;
  Limit limit = limit_of(needed, peaks);
  EXPECT_STREQ(limit.kind, "issue");
  EXPECT_DOUBLE_EQ(limit.rate, 100 / 21.0);
  needed.issue = 19;
  limit = limit_of(needed, peaks);
  EXPECT_STREQ(limit.kind, "divide");
  EXPECT_DOUBLE_EQ(limit.rate, 5);
  needed = {};
  needed.wide_multiply = 4;
  limit = limit_of(needed, peaks);
  EXPECT_STREQ(limit.kind, "multiply");
  EXPECT_DOUBLE_EQ(limit.rate, 25);
  EXPECT_EQ(limit_of({}, peaks).rate, 0);
}

TEST(Limits, InstructionsDependOnTheInstructionSet) {
  Counts counts;
  counts[Op::wide_mix] = 1;
  EXPECT_EQ(needs(counts, "scalar").issue, 2);
  EXPECT_EQ(needs(counts, "avx2").issue, 4);
  EXPECT_EQ(needs(counts, "avx512").issue, 2);
  counts = {};
  counts[Op::exact_sum] = 3;
  EXPECT_EQ(needs(counts, "avx512").fused, 6);
  EXPECT_EQ(needs(counts, "scalar").fused, 3);
}

}  // namespace
}  // namespace fryer::throughput
