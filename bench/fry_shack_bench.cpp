// SPDX-License-Identifier: Apache-2.0
// Fry-shack throughput by instruction set and thread count. Every benchmark checks its digest against the committed one first, so a
// fast wrong answer prints an error instead of a rate. Rates are work per second of wall time; compare rows of one run only.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <string>

#include "fryer/engine/api.h"
#include "host/cpu_backend.h"
#include "host/cpu_features.h"

namespace fryer {
namespace {

// Golden digests of what is timed (numerics_version 1).
constexpr std::uint64_t kBiasGradientSum = 0x01e6e2f7b1c5305c;
constexpr std::uint64_t kGradientDigest = 0x16472d766d9a9486;
constexpr std::uint64_t kEvaluationDigest = 0x5987b1f0bb20e5a9;
constexpr std::uint64_t kPopulationDigest = 0x52f479b7f136dd88;

std::unique_ptr<Backend> make(const std::string& isa, unsigned threads) {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.isa = isa;
  choice.threads = threads;
  return make_backend(choice);
}

// True if the digest is the expected one; else the benchmark is marked as failed.
bool check(benchmark::State& state, std::uint64_t digest, std::uint64_t expected) {
  if (digest == expected) return true;
  state.SkipWithError(fmt::format("digest {:016x} instead of {:016x}: wrong bits", digest, expected).c_str());
  return false;
}

void count_work(benchmark::State& state, const char* what, double per_iteration) {
  state.counters[what] = benchmark::Counter(per_iteration * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

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

using Program = void (*)(benchmark::State&, const std::string&, unsigned);

void add(const char* name, Program program) {
  for (const CpuExecutorReport& report : cpu_executors()) {
    if (!report.unavailable.empty() || report.isa == "scalar") continue;  // the scalar reference would take minutes
    for (const unsigned threads : {1u, 2u}) {
      benchmark::RegisterBenchmark(fmt::format("{}/{}/threads:{}", name, report.isa, threads).c_str(), program, report.isa,
                                   threads)
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
  }
}

[[maybe_unused]] const bool registered = [] {
  add("bias_gradient", bias_gradient);
  add("full_gradient", full_gradient);
  add("evaluation", evaluation);
  add("population", population);
  return true;
}();

}  // namespace
}  // namespace fryer
