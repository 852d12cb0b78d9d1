// SPDX-License-Identifier: Apache-2.0
// See programs.h. Twelve chains hide the latency of any processor's fma and leave registers for constants, also where there are sixteen. Everything it
// emits is in fryer::<FRYER_EXECUTOR> (the test isa_symbols checks).
#include "host/throughput/programs.h"

#include <type_traits>

#include "host/executor_lanes.h"
#include "host/throughput/philox_words.h"

namespace fryer::FRYER_EXECUTOR {
namespace {

inline constexpr int kChains = 12;

#if FRYER_SCALAR_EXECUTOR
using One = float;
using PhiloxReal = float;
#else
using One = VReal<1>;
using PhiloxReal = VReal<3>;  // as episodes have it
#endif
using Word = WordOf<One>;
inline constexpr double kLanes = LaneTypes<One>::kLanes;

#define FRYER_CHAINS FRYER_UNROLL for (int i = 0; i < kChains; ++i)

// A number that the compiler does not know.
template <class Number>
FRYER_LANE Number unknown(Number x) {
  asm volatile("" : "+m"(x));
  return x;
}

// Where a float can be, in the words of inline assembly.
#if defined(__x86_64__)
#define FRYER_FLOAT_REGISTER "+x"
#elif defined(__aarch64__)
#define FRYER_FLOAT_REGISTER "+w"
#else
#define FRYER_FLOAT_REGISTER "+m"
#endif

// A value of its own: chains of single numbers would else become a vector.
template <class Value>
FRYER_LANE Value apart(Value x) {
#if FRYER_SCALAR_EXECUTOR
  if constexpr (std::is_same_v<Value, float>) {
    asm volatile("" : FRYER_FLOAT_REGISTER(x));
  } else if constexpr (std::is_same_v<Value, WideWord>) {
    asm volatile("" : "+r"(x.value));
  } else {
    asm volatile("" : "+r"(x));
  }
#endif
  return x;
}

FRYER_LANE float total(One x) {
  float lane[LaneTypes<One>::kLanes];
  store(x, lane);
  float sum = 0;
  for (const float l : lane) sum += l;
  return sum;
}

// step(x) of each chain, `rounds` times.
template <class Step>
FRYER_LANE float run_chains(std::uint64_t rounds, Step step) {
  One x[kChains];
  FRYER_CHAINS x[i] = One(unknown(1.1f + 0.01f * static_cast<float>(i)));
  FRYER_KEEP_LOOP for (std::uint64_t round = 0; round < rounds; ++round) { FRYER_CHAINS x[i] = apart(step(x[i])); }
  One sum = x[0];
  FRYER_UNROLL for (int i = 1; i < kChains; ++i) sum = sum + x[i];
  return total(sum);
}

float fused(std::uint64_t rounds) {
  const One a = One(unknown(0.999f)), b = One(unknown(0.001f));
  return run_chains(rounds, [=](One x) FRYER_INLINE_LAMBDA { return fma(x, a, b); });
}
float divide(std::uint64_t rounds) {
  const One a = One(unknown(1.7f));
  return run_chains(rounds, [=](One x) FRYER_INLINE_LAMBDA { return a / x; });
}
// With a product, or all would soon be 1.
float roots(std::uint64_t rounds) {
  const One a = One(unknown(1.7f));
  return run_chains(rounds, [=](One x) FRYER_INLINE_LAMBDA { return square_root(a * x); });
}

float wide_multiply(std::uint64_t rounds) {
  WideOf<One> x[kChains / 2];  // a vector takes two registers
  FRYER_UNROLL for (int i = 0; i < kChains / 2; ++i) x[i] = widen(Word(unknown(12345u + static_cast<std::uint32_t>(i))));
  const std::uint32_t m = unknown(kPhiloxMultiplier0);
  FRYER_KEEP_LOOP for (std::uint64_t round = 0; round < rounds; ++round) {
    FRYER_UNROLL for (int i = 0; i < kChains / 2; ++i) x[i] = apart(multiply_wide(x[i], m));
  }
  Word sum = Word(0u);
  FRYER_UNROLL for (int i = 0; i < kChains / 2; ++i) sum = sum + narrow_high(x[i]);
  return total(to_real<One>(sum));
}

// Operations on integers that any vector unit takes, an addition and an exclusive or a chain; of one lane, integers' and floats' additions.
#if FRYER_SCALAR_EXECUTOR
inline constexpr int kIntegers = 10, kFloats = 6;
inline constexpr double kIssued = kIntegers + kFloats;
float issue(std::uint64_t rounds) {
  Word x[kIntegers];
  float y[kFloats];
  FRYER_UNROLL for (int i = 0; i < kIntegers; ++i) x[i] = unknown(static_cast<std::uint32_t>(i));
  FRYER_UNROLL for (int i = 0; i < kFloats; ++i) y[i] = unknown(static_cast<float>(i));
  const Word a = unknown(12345u);
  const float b = unknown(0.001f);
  FRYER_KEEP_LOOP for (std::uint64_t round = 0; round < rounds; ++round) {
    FRYER_UNROLL for (int i = 0; i < kIntegers; ++i) x[i] = apart(x[i] + a);
    FRYER_UNROLL for (int i = 0; i < kFloats; ++i) y[i] = apart(y[i] + b);
  }
  float sum = 0;
  for (const Word n : x) sum += to_real<float>(n);
  for (const float l : y) sum += l;
  return sum;
}
#else
inline constexpr double kIssued = 2 * kChains * kLanes;
float issue(std::uint64_t rounds) {
  Word x[kChains];
  FRYER_CHAINS x[i] = Word(unknown(static_cast<std::uint32_t>(i)));
  const Word a = Word(unknown(12345u)), b = Word(unknown(54321u)), c = Word(0u);
  FRYER_KEEP_LOOP for (std::uint64_t round = 0; round < rounds; ++round) { FRYER_CHAINS x[i] = exclusive_or(x[i] + a, b, c); }
  Word sum = x[0];
  FRYER_UNROLL for (int i = 1; i < kChains; ++i) sum = sum + x[i];
  return total(to_real<One>(sum));
}
#endif

std::uint32_t philox_words(std::uint64_t first, std::uint64_t count) {
  constexpr std::uint64_t lanes = LaneTypes<PhiloxReal>::kLanes;
  using PhiloxWord = WordOf<PhiloxReal>;
  const UniformKey key = make_uniform_key(throughput::kSeed);
  const auto low = static_cast<std::uint32_t>(first);
  PhiloxWord sum = PhiloxWord(0u);
  std::uint64_t made = 0;
  FRYER_KEEP_LOOP for (; made + lanes <= count; made += lanes) {
    const PhiloxWord number = LaneNumbers<PhiloxWord>::from(low + static_cast<std::uint32_t>(made));
    sum = throughput::add_philox_words<PhiloxReal>(key, number, sum);
  }
  std::uint32_t lane[lanes], total = 0;
  store(sum, lane);
  for (const std::uint32_t s : lane) total += s;
  for (; made < count; ++made) total = throughput::add_philox_words<float>(key, low + static_cast<std::uint32_t>(made), total);
  return total;
}

// Initialised by the compiler: nothing compiled for an instruction set may run before the program has asked for it.
constinit const ThroughputPrograms kPrograms = {{kChains * kLanes, fused},  {kChains / 2 * kLanes, wide_multiply},
                                                {kChains * kLanes, divide}, {kChains * kLanes, roots},
                                                {kIssued, issue},           philox_words};

}  // namespace

const ThroughputPrograms& throughput_programs() { return kPrograms; }

}  // namespace fryer::FRYER_EXECUTOR
