// SPDX-License-Identifier: Apache-2.0
// Fry-shack throughput by instruction set and thread count. Every benchmark checks its digest against the committed one first, so a
// fast wrong answer prints an error instead of a rate. Rates are work per second of wall time; compare rows of one run only.
#include "bench/bench_support.h"

namespace fryer::bench {
namespace {

// Golden digests of what is timed (numerics_version 1).
constexpr std::uint64_t kBiasGradientSum = 0x01e6e2f7b1c5305c;
constexpr std::uint64_t kGradientDigest = 0x16472d766d9a9486;
constexpr std::uint64_t kEvaluationDigest = 0x5987b1f0bb20e5a9;
constexpr std::uint64_t kPopulationDigest = 0x52f479b7f136dd88;

// What an update of one policy sums: the gradient of the bias, first moments.
void bias_gradient(benchmark::State& state, const std::string& isa, unsigned threads) {
  const auto backend = make(isa, threads);
  EpisodeWork work{};
  work.key = make_uniform_key(42);
  work.rules.environment = FryShack::make_rules({});
  work.rules.purpose_word = purpose_word(Purpose::action);
  work.rules.gain_correct = 0.99f;
  work.rules.gain_wrong = -0.99f;
  work.policy = {{20 * 0x1p-24f}, 0};
  const std::uint64_t episodes = std::uint64_t{1} << 26;
  work.fixed_point = make_fixed_point(episodes, 0.99f, -0.99f);
  for (auto _ : state) {
    const GradientSums sums = backend->gradient(work, 0, episodes, false, Moments::first, {});
    if (!check(state, static_cast<std::uint64_t>(sums.gradient[1]), kBiasGradientSum)) return;
  }
  count_work(state, "episodes/s", static_cast<double>(episodes));
}

// The command `fryer gradient`: both parameters, first and second moments, returns.
void full_gradient(benchmark::State& state, const std::string& isa, unsigned threads) {
  const auto backend = make(isa, threads);
  GradientConfiguration c;
  c.episodes = std::uint64_t{1} << 26;
  for (auto _ : state) {
    if (!check(state, gradient(c, *backend).digest, kGradientDigest)) return;
  }
  count_work(state, "episodes/s", static_cast<double>(c.episodes));
}

void evaluation(benchmark::State& state, const std::string& isa, unsigned threads) {
  const auto backend = make(isa, threads);
  EvaluateConfiguration c;
  c.episodes = std::uint64_t{1} << 26;
  for (auto _ : state) {
    if (!check(state, evaluate(c, *backend).digest, kEvaluationDigest)) return;
  }
  count_work(state, "episodes/s", static_cast<double>(c.episodes));
}

// A million notebooks, results and statistics included.
void population(benchmark::State& state, const std::string& isa, unsigned threads) {
  const auto backend = make(isa, threads);
  TrainConfiguration c;
  c.replicas = 1'000'000;
  for (auto _ : state) {
    if (!check(state, train(c, *backend).digest, kPopulationDigest)) return;
  }
  count_work(state, "updates/s", static_cast<double>(c.replicas * c.updates));
  count_work(state, "trainings/s", static_cast<double>(c.replicas));
}

[[maybe_unused]] const bool registered = [] {
  add("bias_gradient", bias_gradient);
  add("full_gradient", full_gradient);
  add("evaluation", evaluation);
  add("population", population);
  return true;
}();

}  // namespace
}  // namespace fryer::bench
