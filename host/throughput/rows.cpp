// SPDX-License-Identifier: Apache-2.0
// See rows.h.
#include "host/throughput/rows.h"

#include <algorithm>
#include <mutex>

#include "fryer/engine/run.h"
#include "host/driver.h"
#include "host/throughput/gpu_instructions.h"
#include "host/throughput/parallel.h"
#include "host/throughput/philox_words.h"
#include "host/throughput/row_counts.h"

namespace fryer::throughput {
namespace {

constexpr std::uint64_t kMillion = 1'000'000;
constexpr std::array<double, 5> kBalancing = {0.5, 1, 10, 3, 0};  // a policy that lasts 462 steps of 500 on average
constexpr std::array<double, 5> kRandom = {};                     // 22 steps

double number(std::uint64_t n) { return static_cast<double>(n); }

// Where the unit of work is also what operations are counted of: episodes, steps.
Finished units(std::uint64_t n, std::uint64_t digest) { return {number(n), number(n), digest}; }

Finished philox(const Site& site, const Size& size, const RunControl&) {
  const std::uint64_t share = (size.work + site.threads - 1) / site.threads;
  std::vector<std::uint32_t> sums(site.threads);
  time_together(site.threads, [&](unsigned i) {
    const std::uint64_t first = std::min(size.work, i * share);
    sums[i] = site.programs->philox(first, std::min(size.work, first + share) - first);
  });
  std::uint32_t sum = 0;
  for (const std::uint32_t part : sums) sum += part;
  return units(size.work * kWordsPerBlock, sum);
}

Finished evaluate_fry_shack(const Site& site, const Size& size, const RunControl& control) {
  EvaluateConfiguration c;
  c.episodes = size.work;
  return units(c.episodes, evaluate(c, site.backend, control).digest);
}

Finished fry_shack_gradient(const Site& site, const Size& size, const RunControl& control) {
  GradientConfiguration c;
  c.episodes = size.work;
  return units(c.episodes, gradient(c, site.backend, control).digest);
}

Finished update_fry_shack(const Site& site, const Size& size, const RunControl& control) {
  TrainConfiguration c;
  c.updates = 1;
  c.batch = size.work;
  c.optimizer.kind = OptimizerSettings::Kind::sgd;  // Adam's first step hides all of a gradient but its sign
  return units(c.batch, train(c, site.backend, control, Spread::episodes).digest);
}

Finished train_fry_shack(const Site& site, const Size& size, const RunControl& control) {
  TrainConfiguration c;
  c.replicas = size.work;
  const TrainResult r = train(c, site.backend, control);
  return {number(size.work), number(r.optimizer_updates), r.digest};
}

template <const std::array<double, 5>& kPolicy>
Finished evaluate_cart_pole(const Site& site, const Size& size, const RunControl& control) {
  CartPoleEvaluateConfiguration c;
  c.problem.parameters = kPolicy;
  c.episodes = size.work;
  const EvaluateResult r = evaluate(c, site.backend, control);
  return units(r.steps, r.digest);
}

Finished cart_pole_gradient(const Site& site, const Size& size, const RunControl& control) {
  CartPoleGradientConfiguration c;
  c.problem.parameters = kBalancing;
  c.episodes = size.work;
  const CartPoleGradientResult r = gradient(c, site.backend, control);
  return units(r.steps, r.digest);
}

Finished update_cart_pole(const Site& site, const Size& size, const RunControl& control) {
  CartPoleTrainConfiguration c;
  c.updates = 1;
  c.batch = size.work;
  c.optimizer.kind = OptimizerSettings::Kind::sgd;
  const TrainResult r = train(c, site.backend, control, Spread::episodes);
  return units(r.steps, r.digest);
}

// The preset that solves CartPole-v1; `updates` at most, 0: to the end.
Finished train_cart_pole(const Site& site, const Size& size, const RunControl& control, std::uint64_t updates) {
  CartPoleTrainConfiguration c = solve_preset(CartPole::kMaxStepsV1);
  if (updates != 0) {
    c.updates = updates;
    c.until.reset();
  }
  c.replicas = std::max<std::uint64_t>(size.work, size.workers);
  const TrainResult r = train(c, site.backend, control, Spread::replicas);
  return {number(c.replicas), number(r.steps), r.digest};
}
Finished begin_cart_pole(const Site& site, const Size& size, const RunControl& control) {
  return train_cart_pole(site, size, control, 20);
}
Finished solve_cart_pole(const Site& site, const Size& size, const RunControl& control) {
  return train_cart_pole(site, size, control, 0);
}

// So many updates, about, by trainings of `episodes` episodes at most of `steps` steps on average.
Finished train_q(const Site& site, const Size& size, const RunControl& control, QTrainConfiguration c, std::uint64_t episodes,
                 std::uint64_t steps) {
  c.replicas = std::max<std::uint64_t>(size.work / (episodes * steps), size.workers);
  c.training.episodes = std::clamp<std::uint64_t>(size.work / (c.replicas * steps), 1, episodes);
  const TrainResult r = train(c, site.backend, control);
  return {number(r.optimizer_updates), number(r.optimizer_updates), r.digest};
}

// The field's DQN, but for a short warm-up and a memory that suits it.
QTrainConfiguration dqn() {
  QTrainConfiguration c = dqn_defaults(CartPole::kMaxStepsV1);
  c.training.warmup_steps = c.training.batch;
  c.training.replay_capacity = 10'000;
  return c;
}
QTrainConfiguration online_q() { return tensorflow_preset(CartPole::kMaxStepsV1); }

Finished train_dqn(const Site& site, const Size& size, const RunControl& control) {
  return train_q(site, size, control, dqn(), 20, 20);
}
// Two trainings a worker: they share its core.
Finished train_online_q(const Site& site, const Size& size, const RunControl& control) {
  return train_q(site, {size.work, 2 * size.workers}, control, online_q(), 50, 35);
}

constexpr Row kRows[] = {
    {"philox", "random words", "words", true, 1 << 14, 1 << 30, 100'001, philox, "word", count_philox_word, 0},
    {"fry-shack-evaluate", "fry shack: evaluation", "episodes", true, 1 << 14, 1 << 30, 100'001, evaluate_fry_shack, "episode",
     count_fry_shack_evaluation, gpu::kFryShackEvaluation},
    {"fry-shack-gradient", "fry shack: gradient, second moments", "episodes", true, 1 << 14, 1 << 30, 100'001, fry_shack_gradient,
     "episode", count_fry_shack_gradient, gpu::kFryShackGradient},
    {"fry-shack-update", "fry shack: a large batch's update", "episodes", false, 1 << 14, 1 << 30, 100'001, update_fry_shack,
     "episode", count_fry_shack_bias_gradient, gpu::kFryShackBiasGradient},
    {"fry-shack-train", "fry shack: trainings of 280 updates", "trainings", true, 64, kMillion, 301, train_fry_shack, "update",
     count_fry_shack_training, gpu::kFryShackTraining},
    {"cart-pole-evaluate", "CartPole: evaluation, balancing", "steps", true, 64, 10 * kMillion, 301,
     evaluate_cart_pole<kBalancing>, "step", count_cart_pole_evaluation, gpu::kCartPoleEvaluation},
    {"cart-pole-evaluate-random", "CartPole: evaluation, random play", "steps", false, 1024, 100 * kMillion, 6001,
     evaluate_cart_pole<kRandom>, "step", count_cart_pole_evaluation, gpu::kCartPoleEvaluation},
    {"cart-pole-gradient", "CartPole: gradient, second moments, balancing", "steps", true, 64, 10 * kMillion, 301,
     cart_pole_gradient, "step", count_cart_pole_gradient, gpu::kCartPoleGradient},
    {"cart-pole-update-random", "CartPole: a large batch's update, random play", "steps", false, 1024, 4 * kMillion, 6001,
     update_cart_pole, "step", count_cart_pole_gradient, gpu::kCartPoleUpdate},
    {"cart-pole-train", "CartPole: trainings of 20 updates", "trainings", true, 4, kMillion, 41, begin_cart_pole, "step",
     count_cart_pole_training, gpu::kCartPoleTraining},
    {"cart-pole-solve", "CartPole: trainings to 475 of 500 steps", "trainings", false, 4, kMillion, 5, solve_cart_pole, "step",
     count_cart_pole_training, gpu::kCartPoleTraining},
    {"dqn-train", "CartPole: DQN, 64-64 units, batch 128", "updates", true, 20, kMillion, 40, train_dqn, "update",
     [] { return count_q_update(dqn()); }, gpu::kDqnUpdate},
    {"q-learning-train", "CartPole: online Q-learning, 32-32 units", "updates", true, 100, 100 * kMillion, 2000, train_online_q,
     "update", [] { return count_q_update(online_q()); }, gpu::kOnlineQUpdate},
};

}  // namespace

std::span<const Row> rows() { return kRows; }

std::vector<const Row*> find_rows(Suite suite, const std::string& filter) {
  std::vector<const Row*> found;
  for (const Row& row : kRows) {
    if ((suite == Suite::full || row.quick) && std::string_view(row.name).find(filter) != std::string_view::npos)
      found.push_back(&row);
  }
  return found;
}

}  // namespace fryer::throughput
