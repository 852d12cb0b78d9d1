// SPDX-License-Identifier: Apache-2.0
// CartPole throughput by instruction set and thread count, in steps per second of wall time. Every benchmark checks its digest against
// the committed one first. "random" is the policy of zeros (episodes of 22 steps), "balancing" one that lasts 462 steps on average.
#include "bench/bench_support.h"
#include "host/driver.h"

namespace fryer::bench {
namespace {

constexpr std::array<double, 5> kBalancing = {0.5, 1, 10, 3, 0};

// Golden digests of what is timed (numerics_version 1).
struct Golden {
  std::uint64_t random, balancing;
};
constexpr Golden kUpdate = {0xfa7eae6b77e33d49, 0xfb058cff624c1a20};
constexpr Golden kStandardised = {0xa14a96662f756aec, 0x5f5813276a61bf07};
constexpr Golden kGradient = {0x53543bbe472f5c5e, 0xfd97af6f31c3a9e9};
constexpr Golden kEvaluation = {0x32c406cf8315d6c2, 0x2680e25a9c265012};
constexpr std::uint64_t kPlainPopulation = 0xa76a5f8958ebe483, kSolvePopulation = 0x2595329a523c2931,
                        kFortyUpdates = 0x82e4e910b7496680;

// What an update of one policy sums: gamma 0.99, the gradient alone, or scores and the moments of returns with it.
void update_of(benchmark::State& state, const std::string& isa, unsigned threads, bool balancing, Baseline baseline,
               const Golden& golden) {
  const auto backend = make(isa, threads);
  CartPoleTrainConfiguration c;
  if (balancing) c.problem.parameters = kBalancing;
  c.problem.baseline = baseline;
  c.batch = balancing ? 400'000 : 4'000'000;
  c.updates = 1;
  c.optimizer.kind = OptimizerSettings::Kind::sgd;  // Adam's first step hides all of a gradient but its sign
  double steps = 0;
  for (auto _ : state) {
    const TrainResult r = train(c, *backend, {}, Spread::episodes);
    if (!check(state, r.digest, balancing ? golden.balancing : golden.random)) return;
    steps = static_cast<double>(r.steps);
  }
  count_work(state, "steps/s", steps);
}

// The command `fryer gradient`: gamma 1, second moments.
void gradient_of(benchmark::State& state, const std::string& isa, unsigned threads, bool balancing) {
  const auto backend = make(isa, threads);
  CartPoleGradientConfiguration c;
  if (balancing) c.problem.parameters = kBalancing;
  c.episodes = balancing ? 400'000 : 4'000'000;
  double steps = 0;
  for (auto _ : state) {
    const CartPoleGradientResult r = gradient(c, *backend);
    if (!check(state, r.digest, balancing ? kGradient.balancing : kGradient.random)) return;
    steps = static_cast<double>(r.steps);
  }
  count_work(state, "steps/s", steps);
}

void evaluation_of(benchmark::State& state, const std::string& isa, unsigned threads, bool balancing) {
  const auto backend = make(isa, threads);
  CartPoleEvaluateConfiguration c;
  if (balancing) c.problem.parameters = kBalancing;
  c.episodes = balancing ? 400'000 : 4'000'000;
  double steps = 0;
  for (auto _ : state) {
    const EvaluateResult r = evaluate(c, *backend);
    if (!check(state, r.digest, balancing ? kEvaluation.balancing : kEvaluation.random)) return;
    steps = static_cast<double>(r.steps);
  }
  count_work(state, "steps/s", steps);
}

CartPoleTrainConfiguration until_solved(CartPoleTrainConfiguration c) {
  c.until = 475;
  return c;
}
CartPoleTrainConfiguration forty_updates() {
  CartPoleTrainConfiguration c;
  c.updates = 40;
  return c;
}

// Whole trainings, results and statistics included.
void population_of(benchmark::State& state, const std::string& isa, unsigned threads, CartPoleTrainConfiguration c,
                   std::uint64_t golden) {
  const auto backend = make(isa, threads);
  c.replicas = 6000;
  double steps = 0;
  for (auto _ : state) {
    const TrainResult r = train(c, *backend);
    if (!check(state, r.digest, golden)) return;
    steps = static_cast<double>(r.steps);
  }
  count_work(state, "steps/s", steps);
  count_work(state, "trainings/s", static_cast<double>(c.replicas));
}

[[maybe_unused]] const bool registered = [] {
  using State = benchmark::State;
  using Isa = const std::string&;
  add("cart_pole_update/random", [](State& s, Isa i, unsigned t) { update_of(s, i, t, false, Baseline::none, kUpdate); });
  add("cart_pole_update/balancing", [](State& s, Isa i, unsigned t) { update_of(s, i, t, true, Baseline::none, kUpdate); });
  add("cart_pole_standardised/random",
      [](State& s, Isa i, unsigned t) { update_of(s, i, t, false, Baseline::standardize, kStandardised); });
  add("cart_pole_standardised/balancing",
      [](State& s, Isa i, unsigned t) { update_of(s, i, t, true, Baseline::standardize, kStandardised); });
  add("cart_pole_gradient/random", [](State& s, Isa i, unsigned t) { gradient_of(s, i, t, false); });
  add("cart_pole_gradient/balancing", [](State& s, Isa i, unsigned t) { gradient_of(s, i, t, true); });
  add("cart_pole_evaluation/random", [](State& s, Isa i, unsigned t) { evaluation_of(s, i, t, false); });
  add("cart_pole_evaluation/balancing", [](State& s, Isa i, unsigned t) { evaluation_of(s, i, t, true); });
  add("cart_pole_population/plain",
      [](State& s, Isa i, unsigned t) { population_of(s, i, t, until_solved({}), kPlainPopulation); });
  add("cart_pole_population/solve", [](State& s, Isa i, unsigned t) {
    population_of(s, i, t, until_solved(solve_preset(CartPole::kMaxStepsV1)), kSolvePopulation);
  });
  add("cart_pole_population/forty_updates",
      [](State& s, Isa i, unsigned t) { population_of(s, i, t, forty_updates(), kFortyUpdates); });
  return true;
}();

}  // namespace
}  // namespace fryer::bench
