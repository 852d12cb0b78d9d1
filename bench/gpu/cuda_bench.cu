// SPDX-License-Identifier: Apache-2.0
// Throughput on a GPU, beside the roof that the kernels' instruction counts allow (bench/results/sass_sm90.md) and cuRAND's
// bulk rate. Every benchmark checks its digest against the committed one first. Without a GPU each says why it did not run.
#include <benchmark/benchmark.h>
#include <cuda_runtime.h>

#include <array>
#include <string>

#include "fryer/engine/api.h"
#include "host/throughput/gpu_instructions.h"
#include "kernels/device_buffer.cuh"
#ifdef FRYER_HAVE_CURAND
#include <curand.h>
#endif

namespace fryer {
namespace {

// The fry shack's runs are those of bench/fry_shack_bench.cpp (numerics_version 1).
constexpr std::uint64_t kBiasGradientSum = 0x01e6e2f7b1c5305c;
constexpr std::uint64_t kGradientDigest = 0x16472d766d9a9486;
constexpr std::uint64_t kEvaluationDigest = 0x5987b1f0bb20e5a9;
constexpr std::uint64_t kPopulationDigest = 0x52f479b7f136dd88;
constexpr std::uint64_t kCheckedEpisodes = std::uint64_t{1} << 26;
// CartPole-v1: gradients of 2^20 random and 2^17 balancing episodes, evaluation of the latter, 500 trainings of the preset `solve`.
constexpr std::uint64_t kRandomPoleDigest = 0x816baed181b5152b, kBalancingPoleDigest = 0x0f9d008439ca7126;
constexpr std::uint64_t kPoleEvaluationDigest = 0x98eea5f00a0bb3d7, kSolveDigest = 0x1c8810cec59b6e51;
// Value learners: two of tests/engine/q_reference_runs.h.
constexpr std::uint64_t kDqnDigest = 0xd48d5f668301c208, kOnlineDigest = 0x967b8637b86233f5;
constexpr std::array<double, 5> kBalancing = {0.3, 0.8, 9, 3, 0.05};

// null, and the benchmark marked as skipped, where there is no GPU.
std::unique_ptr<Backend> gpu(benchmark::State& state) {
  const std::string missing = cuda_unavailable_reason();
  if (missing.empty()) return make_cuda_backend(0, "a benchmark");
  state.SkipWithError(missing.c_str());
  return nullptr;
}

bool check(benchmark::State& state, std::uint64_t digest, std::uint64_t expected) {
  if (digest == expected) return true;
  state.SkipWithError("wrong bits: the digest is not the committed one");
  return false;
}

void count_work(benchmark::State& state, const char* what, double per_iteration) {
  state.counters[what] = benchmark::Counter(per_iteration * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
// The share of what a multiprocessor's schedulers issue at the GPU's highest clock. instructions: a unit's, of a warp.
void count_units(benchmark::State& state, const char* what, double units, double instructions) {
  count_work(state, what, units);
  int multiprocessors = 0, kilohertz = 0;
  if (cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0) != cudaSuccess) return;
  if (cudaDeviceGetAttribute(&kilohertz, cudaDevAttrClockRate, 0) != cudaSuccess) return;
  const double roof = throughput::gpu::kSchedulers * multiprocessors * (1e3 * kilohertz) / instructions;
  state.counters["roof"] = roof;
  state.counters["of roof"] =
      benchmark::Counter(units * static_cast<double>(state.iterations()) / roof, benchmark::Counter::kIsRate);
}
void count_episodes(benchmark::State& state, double episodes, double instructions) {
  count_units(state, "episodes/s", episodes, instructions);
}

void bias_gradient(benchmark::State& state) {
  const auto backend = gpu(state);
  if (!backend) return;
  EpisodeWork work{};
  work.key = make_uniform_key(42);
  work.rules = {FryShack::make_rules({}), purpose_word(Purpose::action), 0.99f, -0.99f};
  work.policy = {{20 * 0x1p-24f}, 0};
  work.fixed_point = make_fixed_point(kCheckedEpisodes, 0.99f, -0.99f);
  const auto sum = [&](std::uint64_t n) { return backend->gradient(work, 0, n, false, Moments::first, {}).gradient[1]; };
  if (!check(state, static_cast<std::uint64_t>(sum(kCheckedEpisodes)), kBiasGradientSum)) return;
  const auto episodes = static_cast<std::uint64_t>(state.range(0));
  work.fixed_point = make_fixed_point(episodes, 0.99f, -0.99f);
  for (auto _ : state) benchmark::DoNotOptimize(sum(episodes));
  count_episodes(state, static_cast<double>(episodes), throughput::gpu::kFryShackBiasGradient);
}

void full_gradient(benchmark::State& state) {
  const auto backend = gpu(state);
  if (!backend) return;
  GradientConfiguration c;
  c.episodes = kCheckedEpisodes;
  if (!check(state, gradient(c, *backend).digest, kGradientDigest)) return;
  c.episodes = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(gradient(c, *backend).digest);
  count_episodes(state, static_cast<double>(c.episodes), throughput::gpu::kFryShackGradient);
}

void evaluation(benchmark::State& state) {
  const auto backend = gpu(state);
  if (!backend) return;
  EvaluateConfiguration c;
  c.episodes = kCheckedEpisodes;
  if (!check(state, evaluate(c, *backend).digest, kEvaluationDigest)) return;
  c.episodes = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(evaluate(c, *backend).digest);
  count_episodes(state, static_cast<double>(c.episodes), throughput::gpu::kFryShackEvaluation);
}

// Notebooks, results and statistics included; until > 0: with a threshold, in hundredths.
void population(benchmark::State& state) {
  const auto backend = gpu(state);
  if (!backend) return;
  TrainConfiguration c;
  c.replicas = 1'000'000;
  if (!check(state, train(c, *backend).digest, kPopulationDigest)) return;
  c.replicas = static_cast<std::uint64_t>(state.range(0));
  if (state.range(1) != 0) c.until = 0.01 * static_cast<double>(state.range(1));
  double updates = 0;
  for (auto _ : state) updates = static_cast<double>(train(c, *backend).optimizer_updates);
  count_work(state, "updates/s", updates);
  count_work(state, "trainings/s", static_cast<double>(c.replicas));
}

// ---- CartPole-v1. balancing: long episodes instead of random ones.

void pole_gradient(benchmark::State& state) {
  const auto backend = gpu(state);
  if (!backend) return;
  const bool balancing = state.range(1) != 0;
  CartPoleGradientConfiguration c;
  if (balancing) c.problem.parameters = kBalancing;
  c.episodes = std::uint64_t{1} << (balancing ? 17 : 20);
  if (!check(state, gradient(c, *backend).digest, balancing ? kBalancingPoleDigest : kRandomPoleDigest)) return;
  c.episodes = static_cast<std::uint64_t>(state.range(0));
  double steps = 0;
  for (auto _ : state) steps = static_cast<double>(gradient(c, *backend).steps);
  count_units(state, "steps/s", steps, throughput::gpu::kCartPoleGradient);
}

void pole_evaluation(benchmark::State& state) {
  const auto backend = gpu(state);
  if (!backend) return;
  CartPoleEvaluateConfiguration c;
  c.problem.parameters = kBalancing;
  c.episodes = std::uint64_t{1} << 17;
  if (!check(state, evaluate(c, *backend).digest, kPoleEvaluationDigest)) return;
  c.episodes = static_cast<std::uint64_t>(state.range(0));
  double steps = 0;
  for (auto _ : state) steps = static_cast<double>(evaluate(c, *backend).steps);
  count_units(state, "steps/s", steps, throughput::gpu::kCartPoleEvaluation);
}

// Trainings until CartPole is solved, results and statistics included.
void pole_population(benchmark::State& state) {
  const auto backend = gpu(state);
  if (!backend) return;
  CartPoleTrainConfiguration c = solve_preset(CartPole::kMaxStepsV1);
  c.replicas = 500;
  if (!check(state, train(c, *backend).digest, kSolveDigest)) return;
  c.replicas = static_cast<std::uint64_t>(state.range(0));
  double steps = 0;
  for (auto _ : state) steps = static_cast<double>(train(c, *backend).steps);
  count_work(state, "trainings/s", static_cast<double>(c.replicas));
  count_units(state, "steps/s", steps, throughput::gpu::kCartPoleTraining);
}

// ---- value learners

// Trainings of a preset without the statistics over them. Updates a second, and their multiplications and additions beside what 128
// lanes of fma a multiprocessor and clock could do at the GPU's highest clock.
void value_learners(benchmark::State& state, const QTrainConfiguration& checked, std::uint64_t digest,
                    const QTrainConfiguration& preset) {
  const auto backend = gpu(state);
  if (!backend) return;
  if (!check(state, train(checked, *backend).digest, digest)) return;
  QTrainRequest request;
  request.trainings = {preset.training};
  request.ranges = {{1, static_cast<std::uint64_t>(state.range(0)), 0}};
  request.detail.summaries = false;
  double updates = 0;
  for (auto _ : state) {
    const Population population = backend->train(request, {});
    updates = 0;
    for (const std::uint32_t n : population.table.updates) updates += n;
  }
  count_work(state, "updates/s", updates);
  count_work(state, "trainings/s", static_cast<double>(state.range(0)));
  const QTrainingSettings& t = preset.training;
  const double h1 = t.shape.hidden1, h2 = t.shape.hidden2;
  const bool differentiates_twice = t.learning.bootstrap == Bootstrap::residual;
  const double forward = 4 * h1 + h1 * h2 + 2 * h2, backward = 4 * h1 + 2 * h1 * h2 + 4 * h2;
  const double passes = t.learning.bootstrap == Bootstrap::double_q ? 3 : 2;
  const double flop = 2 * t.batch * (passes * forward + (differentiates_twice ? 2 : 1) * backward);
  count_work(state, "FLOP/s", updates * flop);
  int multiprocessors = 0, kilohertz = 0;
  if (cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0) != cudaSuccess) return;
  if (cudaDeviceGetAttribute(&kilohertz, cudaDevAttrClockRate, 0) != cudaSuccess) return;
  const double peak = 2.0 * 128 * multiprocessors * (1e3 * kilohertz);
  state.counters["of FP32 peak"] =
      benchmark::Counter(updates * flop * static_cast<double>(state.iterations()) / peak, benchmark::Counter::kIsRate);
}

void dqn(benchmark::State& state) {
  QTrainConfiguration c = dqn_defaults(CartPole::kMaxStepsV1);
  c.training.episodes = 30;
  QTrainConfiguration longer = c;
  longer.training.episodes = 100;
  value_learners(state, c, kDqnDigest, longer);
}
// Rounds of 128 updates of 256-256 units.
void dqn_zoo(benchmark::State& state) {
  QTrainConfiguration c = dqn_defaults(CartPole::kMaxStepsV1);
  c.training.episodes = 30;
  QTrainConfiguration zoo = zoo_preset(CartPole::kMaxStepsV1);
  zoo.training.episodes = 100;
  value_learners(state, c, kDqnDigest, zoo);
}
void online_q(benchmark::State& state) {
  QTrainConfiguration c = tensorflow_preset(CartPole::kMaxStepsV1);
  c.replicas = 5;
  c.seed = (std::uint64_t{1} << 32) - 2;
  value_learners(state, c, kOnlineDigest, tensorflow_preset(CartPole::kMaxStepsV1));
}

constexpr std::int64_t kSmall = 1 << 16, kLarge = std::int64_t{1} << 36;
BENCHMARK(bias_gradient)->Name("cuda/bias_gradient")->Arg(kSmall)->Arg(kLarge)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(full_gradient)->Name("cuda/full_gradient")->Arg(kLarge)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(evaluation)->Name("cuda/evaluation")->Arg(kLarge)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(population)
    ->Name("cuda/population")
    ->Args({1'000'000, 0})
    ->Args({1 << 25, 0})
    ->Args({1'000'000, 40})
    ->Args({1 << 25, 40})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

BENCHMARK(pole_gradient)
    ->Name("cuda/pole_gradient")
    ->Args({1 << 28, 0})
    ->Args({1 << 24, 1})
    ->Args({1 << 16, 1})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(pole_evaluation)->Name("cuda/pole_evaluation")->Arg(1 << 24)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(pole_population)
    ->Name("cuda/pole_population")
    ->Arg(10'000)
    ->Arg(100'000)
    ->Arg(1'000'000)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

BENCHMARK(dqn)->Name("cuda/dqn")->Arg(1)->Arg(264)->Arg(1056)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(dqn_zoo)->Name("cuda/dqn_zoo")->Arg(264)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(online_q)->Name("cuda/online_q")->Arg(1)->Arg(1584)->Arg(20'000)->Unit(benchmark::kMillisecond)->UseRealTime();

#ifdef FRYER_HAVE_CURAND
// cuRAND's own Philox filling memory: words a second. A fry-shack episode uses four and stores none.
void curand_bulk(benchmark::State& state) {
  if (const auto backend = gpu(state); !backend) return;
  constexpr std::uint64_t words = std::uint64_t{1} << 28;
  DeviceBuffer<unsigned> out(words);
  curandGenerator_t generator;
  if (curandCreateGenerator(&generator, CURAND_RNG_PSEUDO_PHILOX4_32_10) != CURAND_STATUS_SUCCESS) {
    state.SkipWithError("curandCreateGenerator failed");
    return;
  }
  for (auto _ : state) {
    if (curandGenerate(generator, out.data(), words) != CURAND_STATUS_SUCCESS || cudaDeviceSynchronize() != cudaSuccess) {
      state.SkipWithError("curandGenerate failed");
      break;
    }
  }
  curandDestroyGenerator(generator);
  count_work(state, "words/s", static_cast<double>(words));
}
BENCHMARK(curand_bulk)->Name("cuda/curand_bulk")->Unit(benchmark::kMillisecond)->UseRealTime();
#endif

}  // namespace
}  // namespace fryer
