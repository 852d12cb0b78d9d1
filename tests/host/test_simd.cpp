// SPDX-License-Identifier: Apache-2.0
// The vocabulary of bundles (host/simd.h) against that of one lane (core/real.h), operation by operation on special and random values,
// bit by bit; then what is built of it: leaves, Philox, exact sums, the episode. Compiled once per instruction set with FRYER_EXECUTOR
// set to its name, for bundles of two vectors.
#include "host/simd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "fryer/core/math.h"
#include "fryer/lane/replica_training.h"

namespace fryer {
namespace {

using FRYER_EXECUTOR::VMask;
using FRYER_EXECUTOR::VReal;
using FRYER_EXECUTOR::VWord;

// Values where operations differ if they are wrong, then random bit patterns (every exponent, NaN included), then ordinary numbers.
const std::vector<float>& numbers() {
  static const std::vector<float> all = [] {
    constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> r = {0.0f, 0x1p-149f, 0x1.fffffcp-127f, 0x1p-126f, 0x1p-25f, 0x1p-24f,        0.5f, 1.0f,     1.5f, 2.0f,
                            3.0f, 0x1p23f,   0x1p24f,          0x1p31f,   0x1p126f, 0x1.fffffep127f, 0.1f, infinity, nan};
    const std::size_t specials = r.size();
    for (std::size_t i = 0; i < specials; ++i) r.push_back(from_bits(to_bits(r[i]) ^ 0x80000000u));
    std::mt19937 random(17);
    for (int i = 0; i < 3000; ++i) r.push_back(from_bits(static_cast<std::uint32_t>(random())));
    std::uniform_real_distribution<float> uniform(-100, 100);
    for (int i = 0; i < 3000; ++i) r.push_back(uniform(random));
    return r;
  }();
  return all;
}
const std::vector<std::uint32_t>& words() {
  static const std::vector<std::uint32_t> all = [] {
    std::vector<std::uint32_t> r = {0,         1,          2,          255,        256,        0xffffff,  0x1000000,
                                    0x1000001, 0x7fffff7f, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    std::mt19937 random(18);
    for (int i = 0; i < 3000; ++i) r.push_back(static_cast<std::uint32_t>(random()));
    return r;
  }();
  return all;
}

// NaN results may differ in their bits between instructions; what moves or edits bits may not.
enum class Nan { any, exact };
bool equal(float a, float b, Nan nan) {
  if (nan == Nan::any && std::isnan(a) && std::isnan(b)) return true;
  return to_bits(a) == to_bits(b);
}
bool equal(std::uint32_t a, std::uint32_t b, Nan) { return a == b; }

// One lane's type and a bundle's, and the way between.
template <int G>
struct Bundle {
  using Real = VReal<G>;
  using Word = VWord<G>;
  static constexpr std::size_t kLanes = static_cast<std::size_t>(LaneTypes<Real>::kLanes);

  static Real pack(const float* from) {
    Real x;
    load(from, x);
    return x;
  }
  static Word pack(const std::uint32_t* from) {
    Word x;
    load(from, x);
    return x;
  }
  static std::vector<float> unpack(Real x) {
    std::vector<float> to(kLanes);
    store(x, to.data());
    return to;
  }
  static std::vector<std::uint32_t> unpack(Word x) {
    std::vector<std::uint32_t> to(kLanes);
    store(x, to.data());
    return to;
  }
  static std::vector<std::uint32_t> unpack(VMask<G> x) {
    std::vector<std::uint32_t> to(kLanes);
    store_mask(x, to.data());
    return to;
  }
  static float scalar(float x) { return x; }
  static std::uint32_t scalar(std::uint32_t x) { return x; }
  static std::uint32_t scalar(bool x) { return x ? 1u : 0u; }
};

// `bundle` and `lane` are the same generic lambda. Every element of the first list meets others of the further lists, in every lane.
template <int G, class Operation, class... Lists>
void compare(const char* name, Nan nan, Operation operation, const Lists&... lists) {
  using B = Bundle<G>;
  const std::size_t size = std::max({lists.size()...});
  for (const std::size_t stride : {std::size_t{1}, std::size_t{7}, std::size_t{41}}) {
    for (std::size_t first = 0; first < size; first += B::kLanes) {
      std::size_t argument = 0;  // counted up in the braces below, left to right
      const auto gather = [&](const auto& list) {
        auto chosen = list;
        chosen.resize(B::kLanes);
        for (std::size_t lane = 0; lane < B::kLanes; ++lane) {
          chosen[lane] = list[(first + lane) * (argument == 0 ? 1 : stride + argument) % list.size()];
        }
        ++argument;
        return chosen;
      };
      const auto arguments = std::tuple{gather(lists)...};
      const auto bundle =
          std::apply([&](const auto&... each) { return B::unpack(operation(B::pack(each.data())...)); }, arguments);
      for (std::size_t lane = 0; lane < B::kLanes; ++lane) {
        const auto expected = std::apply([&](const auto&... each) { return B::scalar(operation(each[lane]...)); }, arguments);
        ASSERT_TRUE(equal(bundle[lane], expected, nan))
            << name << " with " << G << " vectors, lane " << lane << ": " << bundle[lane] << " instead of " << expected
            << ", first argument " << std::get<0>(arguments)[lane];
      }
    }
  }
}

// Bundles of two vectors: every number of them is the same template, and each one tested costs 10 s of compilation.
template <class Body>
void for_each_width(Body body) {
  body(std::integral_constant<int, 2>());
}

TEST(Simd, Arithmetic) {
  for_each_width([](auto width) {
    constexpr int G = decltype(width)::value;
    const auto& x = numbers();
    compare<G>(
        "+", Nan::any, [](auto a, auto b) { return a + b; }, x, x);
    compare<G>(
        "-", Nan::any, [](auto a, auto b) { return a - b; }, x, x);
    compare<G>(
        "*", Nan::any, [](auto a, auto b) { return a * b; }, x, x);
    compare<G>(
        "/", Nan::any, [](auto a, auto b) { return a / b; }, x, x);
    compare<G>(
        "fma", Nan::any, [](auto a, auto b, auto c) { return fma(a, b, c); }, x, x, x);
    compare<G>(
        "fnma", Nan::any, [](auto a, auto b, auto c) { return fnma(a, b, c); }, x, x, x);
    compare<G>(
        "square_root", Nan::any, [](auto a) { return square_root(a); }, x);
    std::vector<float> normal;
    for (const float v : x) {
      if (std::fabs(v) >= 0x1p-126f && std::fabs(v) <= 0x1p126f) normal.push_back(v);
    }
    compare<G>(
        "reciprocal", Nan::any, [](auto a) { return reciprocal(a); }, normal);
  });
}

// Products that a fused and an unfused multiply-add round differently: that there are such among the values shows that the
// comparison above can fail.
TEST(Simd, FusedIsNotTheSameAsUnfused) {
  std::size_t different = 0;
  const auto& x = numbers();
  for (std::size_t i = 0; i + 2 < x.size(); ++i) {
    const float product = x[i] * x[i + 1];
    const float unfused = product + x[i + 2];
    different += to_bits(fma(x[i], x[i + 1], x[i + 2])) != to_bits(unfused) && !std::isnan(unfused) ? 1 : 0;
  }
  EXPECT_GT(different, 100u);
}

TEST(Simd, SignsAndChoices) {
  for_each_width([](auto width) {
    constexpr int G = decltype(width)::value;
    const auto& x = numbers();
    std::vector<float> positive;
    for (const float v : x) positive.push_back(from_bits(to_bits(v) & 0x7fffffffu));
    compare<G>(
        "absolute", Nan::exact, [](auto a) { return absolute(a); }, x);
    compare<G>(
        "flip_sign", Nan::exact, [](auto a, auto b) { return flip_sign(a, b); }, x, x);
    std::vector<float> positive_normal;
    for (const float v : x) {
      if (v >= 0x1p-126f && v <= 0x1.fffffep127f) positive_normal.push_back(v);
    }
    compare<G>(
        "exponent_of", Nan::exact, [](auto a) { return exponent_of(a); }, positive_normal);
    compare<G>(
        "significand_of", Nan::exact, [](auto a) { return significand_of(a); }, positive_normal);
    compare<G>(
        "copy_sign", Nan::exact, [](auto a, auto b) { return copy_sign(a, b); }, positive, x);
    // which NaN, if either is one, is part of the contract
    compare<G>(
        "minimum", Nan::exact, [](auto a, auto b) { return minimum(a, b); }, x, x);
    compare<G>(
        "maximum", Nan::exact, [](auto a, auto b) { return maximum(a, b); }, x, x);
    compare<G>(
        "less", Nan::exact, [](auto a, auto b) { return less(a, b); }, x, x);
    compare<G>(
        "is_finite", Nan::exact, [](auto a) { return is_finite(a); }, x);
    compare<G>(
        "select", Nan::exact, [](auto a, auto b, auto c, auto d) { return select(less(a, b), c, d); }, x, x, x, x);
    compare<G>(
        "subtract_if", Nan::any, [](auto a, auto b, auto c, auto d) { return subtract_if(less(a, b), c, d); }, x, x, x, x);
    compare<G>(
        "not_less", Nan::exact, [](auto a, auto b) { return not_less(a, b); }, x, x);
    compare<G>(
        "keep_if", Nan::exact, [](auto a, auto b, auto c) { return keep_if(less(a, b), c); }, x, x, x);
    compare<G>(
        "add_if", Nan::any, [](auto a, auto b, auto c, auto d) { return add_if(less(a, b), c, d); }, x, x, x, x);
    compare<G>(
        "fma_if", Nan::any, [](auto a, auto b, auto c, auto d) { return fma_if(less(a, b), a, c, d); }, x, x, x, x);
    compare<G>(
        "and_at_most", Nan::exact, [](auto a, auto b, auto c) { return and_at_most(less(a, b), c, a); }, x, x, x);
  });
}

TEST(Simd, Masks) {
  for_each_width([](auto width) {
    constexpr int G = decltype(width)::value;
    const auto& x = numbers();
    compare<G>(
        "both", Nan::exact, [](auto a, auto b, auto c) { return both(less(a, b), less(b, c)); }, x, x, x);
    compare<G>(
        "either", Nan::exact, [](auto a, auto b, auto c) { return either(less(a, b), less(b, c)); }, x, x, x);
    compare<G>(
        "same", Nan::exact, [](auto a, auto b, auto c) { return same(less(a, b), less(b, c)); }, x, x, x);
    compare<G>(
        "negate", Nan::exact, [](auto a, auto b) { return negate(less(a, b)); }, x, x);
    using B = Bundle<G>;
    // Every single lane set, every single lane clear, none, all, random.
    std::mt19937 random(3);
    for (std::size_t pattern = 0; pattern < 2 * B::kLanes + 100; ++pattern) {
      std::vector<float> value(B::kLanes, 1.0f);
      if (pattern < 2 * B::kLanes) {
        for (std::size_t lane = 0; lane < B::kLanes; ++lane)
          value[lane] = (lane == pattern / 2) == (pattern % 2 == 0) ? -1.0f : 1.0f;
      } else if (pattern == 2 * B::kLanes) {
        value.assign(B::kLanes, -1.0f);
      } else if (pattern > 2 * B::kLanes + 1) {
        for (float& v : value) v = random() % 3 == 0 ? -1.0f : 1.0f;
      }
      const auto set = static_cast<std::uint32_t>(std::count(value.begin(), value.end(), -1.0f));
      const VMask<G> mask = less(B::pack(value.data()), VReal<G>(0.0f));
      ASSERT_EQ(count(mask), set);
      ASSERT_EQ(any(mask), set != 0);
      ASSERT_EQ(all(mask), set == B::kLanes);
      VMask<G> copy = less(VReal<G>(0.0f), VReal<G>(0.0f));
      for (int g = 0; g < G; ++g) {
        ASSERT_EQ(vectors_with_any(mask) >> g & 1, mask_bits(vector_of(mask, g)) != 0 ? 1u : 0u);
        set_vector(copy, g, vector_of(mask, g));
      }
      ASSERT_EQ(vectors_with_any(mask) >> G, 0u);
      ASSERT_TRUE(all(same(copy, mask)));
    }
  });
}

TEST(Simd, Words) {
  for_each_width([](auto width) {
    constexpr int G = decltype(width)::value;
    using B = Bundle<G>;
    const auto& w = words();
    std::vector<std::uint32_t> small;  // below 2^31
    for (const std::uint32_t v : w) small.push_back(v & 0x7fffffffu);
    compare<G>(
        "+", Nan::exact, [](auto a, auto b) { return a + b; }, w, w);
    compare<G>(
        "-", Nan::exact, [](auto a, auto b) { return a - b; }, w, w);
    compare<G>(
        "shift_right<8>", Nan::exact, [](auto a) { return shift_right<8>(a); }, w);
    compare<G>(
        "shift_right<31>", Nan::exact, [](auto a) { return shift_right<31>(a); }, w);
    compare<G>(
        "shift_bits_left<23>", Nan::exact, [](auto a) { return shift_bits_left<23>(a); }, numbers());
    compare<G>(
        "exclusive_or", Nan::exact, [](auto a, auto b) { return exclusive_or(a, b, 0x9e3779b9u); }, w, w);
    compare<G>(
        "exclusive_or", Nan::exact, [](auto a, auto b, auto c) { return exclusive_or(a, b, c); }, w, w, w);
    compare<G>(
        "less", Nan::exact, [](auto a, auto b) { return less(a, b); }, small, small);
    compare<G>(
        "select", Nan::exact, [](auto a, auto b, auto c, auto d) { return select(less(a, b), c, d); }, small, small, w, w);
    compare<G>(
        "increment_if", Nan::exact, [](auto a, auto b, auto n) { return increment_if(less(a, b), n); }, small, small, w);
    for (const std::uint32_t k : {0u, 1u, 280u, 0x10000u, 0x7fffffffu}) {
      compare<G>(
          "multiply_low", Nan::exact, [k](auto a) { return multiply_low(a, k); }, w);
      compare<G>(
          "at_most", Nan::exact, [k](auto a) { return at_most(a, k); }, small);
    }
    for (const std::uint32_t m : {kPhiloxMultiplier0, kPhiloxMultiplier1, 0xffffffffu, 1u}) {
      compare<G>(
          "multiply_wide, low", Nan::exact, [m](auto a) { return narrow_low(multiply_wide(widen(a), m)); }, w);
      compare<G>(
          "multiply_wide, high", Nan::exact, [m](auto a) { return narrow_high(multiply_wide(widen(a), m)); }, w);
      compare<G>(
          "high_word", Nan::exact, [m](auto a) { return narrow_low(high_word(multiply_wide(widen(a), m))); }, w);
    }
    compare<G>(
        "wide exclusive_or", Nan::exact, [](auto a, auto b) { return narrow_low(exclusive_or(widen(a), widen(b), 0x9e3779b9u)); },
        w, w);
    compare<G>(
        "wide exclusive_or", Nan::exact,
        [](auto a, auto b, auto c) { return narrow_low(exclusive_or(widen(a), widen(b), widen(c))); }, w, w, w);
    // to_real and lookup name the type they return, so they are compared by hand
    std::vector<float> table(1000);
    for (std::size_t i = 0; i < table.size(); ++i) table[i] = numbers()[i + 100];
    for (std::size_t first = 0; first + B::kLanes <= small.size(); first += B::kLanes) {
      const auto real = B::unpack(to_real<VReal<G>>(B::pack(&small[first])));
      const auto uniform = B::unpack(uniform24<VReal<G>>(B::pack(&w[first])));
      std::vector<std::uint32_t> index(B::kLanes);
      for (std::size_t lane = 0; lane < B::kLanes; ++lane) index[lane] = small[first + lane] % 1000;
      const auto gathered = B::unpack(lookup<VReal<G>>(table.data(), B::pack(index.data())));
      const auto broadcast = B::unpack(lookup<VReal<G>>(table.data(), index[0]));
      for (std::size_t lane = 0; lane < B::kLanes; ++lane) {
        ASSERT_EQ(to_bits(real[lane]), to_bits(to_real<float>(small[first + lane])));
        ASSERT_EQ(to_bits(uniform[lane]), to_bits(uniform24<float>(w[first + lane])));
        ASSERT_EQ(to_bits(gathered[lane]), to_bits(table[index[lane]]));
        ASSERT_EQ(to_bits(broadcast[lane]), to_bits(table[index[0]]));
      }
    }
    for (const std::uint32_t base : {0u, 12345u, 0x80000000u, 0xfffffff5u}) {  // the last one wraps
      const auto number = B::unpack(LaneNumbers<VWord<G>>::from(base));
      for (std::size_t lane = 0; lane < B::kLanes; ++lane) ASSERT_EQ(number[lane], base + static_cast<std::uint32_t>(lane));
    }
  });
}

TEST(Simd, Leaves) {
  for_each_width([](auto width) {
    constexpr int G = decltype(width)::value;
    const auto& x = numbers();
    compare<G>(
        "sigmoid24", Nan::any, [](auto a) { return sigmoid24(a); }, x);
    std::mt19937 random(23);
    std::uniform_real_distribution<float> uniform(-110, 40);
    std::vector<float> logits(5'000);
    for (float& z : logits) z = uniform(random);
    compare<G>(
        "sigmoid24", Nan::any, [](auto a) { return sigmoid24(a); }, logits);
    std::vector<float> all = x;
    all.insert(all.end(), logits.begin(), logits.end());
    compare<G>(
        "exp", Nan::any, [](auto a) { return exp(a); }, all);
    compare<G>(
        "log", Nan::any, [](auto a) { return log(a); }, all);
    compare<G>(
        "softplus", Nan::any, [](auto a) { return softplus(a); }, all);
    compare<G>(
        "sin", Nan::any, [](auto a) { return sin(a); }, all);
    compare<G>(
        "cos", Nan::any, [](auto a) { return cos(a); }, all);
    std::vector<float> contributions(5'000);
    std::uniform_real_distribution<float> exponent(-70, 0);
    for (float& c : contributions) c = std::exp2(exponent(random)) * (random() % 2 == 0 ? 1.0f : -1.0f);
    compare<G>(
        "round_single_term", Nan::any, [](auto a) { return round_single_term(a, decltype(a)(0x1p-28f)); }, contributions);
    compare<G>(
        "flush_subnormal", Nan::any, [](auto a) { return flush_subnormal(a); }, x);
  });
}

template <int G>
void compare_philox(std::uint64_t seed, std::uint32_t low, std::uint32_t high) {
  using B = Bundle<G>;
  using Real = VReal<G>;
  const std::uint32_t purpose = purpose_word(Purpose::action);
  const auto shared = philox<Real>(7u, purpose, LaneNumbers<VWord<G>>::from(low), high, make_uniform_key(seed));
  LaneKey<Real> key;
  key.schedule(LaneNumbers<VWord<G>>::from(low), high);
  const auto keyed = philox<Real>(3u, purpose, static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32), key);
  const auto check = [&](const auto& bundle, auto expected_at) {
    const auto x = B::unpack(bundle.x), y = B::unpack(bundle.y), z = B::unpack(bundle.z), w = B::unpack(bundle.w);
    for (std::size_t lane = 0; lane < B::kLanes; ++lane) {
      const RandomBlock<std::uint32_t> expected =
          expected_at(std::uint64_t{high} << 32 | (low + static_cast<std::uint32_t>(lane)));
      ASSERT_EQ(x[lane], expected.x);
      ASSERT_EQ(y[lane], expected.y);
      ASSERT_EQ(z[lane], expected.z);
      ASSERT_EQ(w[lane], expected.w);
    }
  };
  check(shared, [&](std::uint64_t number) { return random_block(seed, Purpose::action, number, 7); });
  check(keyed, [&](std::uint64_t lane_seed) { return random_block(lane_seed, Purpose::action, seed, 3); });
}

TEST(Simd, Philox) {
  for_each_width([](auto width) {
    constexpr int G = decltype(width)::value;
    std::mt19937_64 random(29);
    for (int i = 0; i < 300; ++i) {
      const std::uint64_t number = random();
      compare_philox<G>(random(), static_cast<std::uint32_t>(number) & 0xffffff00u, static_cast<std::uint32_t>(number >> 32));
    }
    compare_philox<G>(0, 0, 0);
    compare_philox<G>(~std::uint64_t{0}, 0xffffff00u, 0xffffffffu);
  });
}

// Exact sums of bundles against sums of single lanes. Terms go up to the limit of 2^51 units and totals to 2^62, so that the
// conversion to double rounds; units make ties and ordinary roundings to float.
TEST(Simd, ExactSums) {
  for_each_width([](auto width) {
    constexpr int G = decltype(width)::value;
    using B = Bundle<G>;
    using Real = VReal<G>;
    std::mt19937_64 random(31);
    for (const int terms : {1, 2, 5, 100, 2047}) {
      for (const double scale : {0x1p27, 0x1p20, 0x1p-3, 1.0}) {
        FixedSum<Real> sum;
        FixedSquares<Real> squares;
        LaneFixedSum<Real> lanes;
        sum.clear();
        squares.clear();
        lanes.clear();
        std::vector<FixedSum<float>> expected_sum(1);
        std::vector<FixedSquares<float>> expected_squares(1);
        std::vector<LaneFixedSum<float>> expected_lanes(B::kLanes);
        expected_sum[0].clear();
        expected_squares[0].clear();
        for (auto& one : expected_lanes) one.clear();
        std::vector<float> x(B::kLanes);
        std::uint64_t wrapped = 0;  // the bundle's total is a sum modulo 2^64
        for (int term = 0; term < terms; ++term) {
          for (std::size_t lane = 0; lane < B::kLanes; ++lane) {
            const auto uniform = static_cast<float>(std::uniform_real_distribution<double>(-0x1p24, 0x1p24)(random));
            // some lanes pile up, some stay near 0, some hit the limit
            x[lane] = lane % 4 == 0   ? uniform
                      : lane % 4 == 1 ? std::fabs(uniform)
                      : lane % 4 == 2 ? -0x1p24f
                                      : uniform * 0x1p-40f;
            wrapped += static_cast<std::uint64_t>(to_fixed(static_cast<double>(x[lane]), scale));
            expected_squares[0].add(x[lane], std::fmin(scale, 0x1p3));
            expected_lanes[lane].add(x[lane], scale);
          }
          sum.add(B::pack(x.data()), scale);
          squares.add(B::pack(x.data()), std::fmin(scale, 0x1p3));
          lanes.add(B::pack(x.data()), scale);
        }
        ASSERT_EQ(static_cast<std::uint64_t>(sum.total()), wrapped);
        ASSERT_TRUE(squares.total() == expected_squares[0].total());
        for (const double unit : {0x1p-51, 0x1p-51 / 3, 0x1p-75 / static_cast<double>(terms), 1.0}) {
          const auto mean = B::unpack(lanes.mean(unit));
          for (std::size_t lane = 0; lane < B::kLanes; ++lane)
            ASSERT_EQ(to_bits(mean[lane]), to_bits(expected_lanes[lane].mean(unit)));
        }
      }
    }
  });
}

// One training per lane, the whole lane program: parameters, moments and counts after each update.
template <int G, OptimizerSettings::Kind kKind, bool kLearnWeight, bool kSingle>
void compare_training(std::uint32_t batch) {
  using B = Bundle<G>;
  OptimizerSettings settings;
  settings.learning_rate = 0.3;
  const AdamTable table(settings, 60);
  ReplicaWork work{};
  work.rules.environment = FryShack::make_rules({});
  work.rules.purpose_word = purpose_word(Purpose::action);
  work.rules.gain_correct = 1.98f;
  work.rules.gain_wrong = -0.99f;
  work.fixed_point = make_fixed_point(batch, work.rules.gain_correct, work.rules.gain_wrong);
  work.optimizer = make_optimizer_constants<float>(settings);
  work.initial_weight = 20;
  work.initial_bias = -1;
  work.batch = batch;
  work.step = table.step.data();
  work.root_scale = table.root_scale.data();
  work.table_last = 59;
  ReplicaLanes<VReal<G>, std::uint32_t, kKind, kLearnWeight, kSingle> bundle;
  bundle.start(work, LaneNumbers<VWord<G>>::from(1000), 5);
  std::vector<ReplicaLanes<float, std::uint32_t, kKind, kLearnWeight, kSingle>> single(B::kLanes);
  for (std::size_t lane = 0; lane < B::kLanes; ++lane) single[lane].start(work, 1000 + static_cast<std::uint32_t>(lane), 5);
  for (std::uint32_t update = 0; update < 80; ++update) {  // beyond the table's end as well
    const auto correct = B::unpack(bundle.update(work, update));
    const auto bias = B::unpack(bundle.theta[1]), weight = B::unpack(bundle.theta[0]), v = B::unpack(bundle.v[1]);
    for (std::size_t lane = 0; lane < B::kLanes; ++lane) {
      ASSERT_EQ(correct[lane], single[lane].update(work, update));
      ASSERT_EQ(to_bits(bias[lane]), to_bits(single[lane].theta[1])) << update;
      ASSERT_EQ(to_bits(weight[lane]), to_bits(single[lane].theta[0])) << update;
      ASSERT_EQ(to_bits(v[lane]), to_bits(single[lane].v[1])) << update;
    }
  }
}

TEST(Simd, ReplicaTraining) {
  using Kind = OptimizerSettings::Kind;
  for_each_width([](auto width) {
    constexpr int G = decltype(width)::value;
    compare_training<G, Kind::adam, false, true>(1);
    compare_training<G, Kind::adam, true, true>(1);
    compare_training<G, Kind::sgd, true, false>(4);
    compare_training<G, Kind::adam, true, false>(3);
    compare_training<G, Kind::adam, false, false>(1);  // the exact sum of one term, the long way
  });
}

}  // namespace
}  // namespace fryer
