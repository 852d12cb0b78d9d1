// SPDX-License-Identifier: Apache-2.0
// Q networks: DQN with 64-64 units and batch 128, online learning with 32-32 units and two replicas in flight. Updates alone, without
// environment, exploration or sampling; then whole trainings, which have all of it. One core; each checks the bits of its first updates
// against the reference before it is timed.
#include <benchmark/benchmark.h>

#include <memory>
#include <new>
#include <random>
#include <vector>

#include "bench/bench_support.h"
#include "fryer/lane/q_training.h"
#include "host/cpu_features.h"

namespace fryer::bench {
namespace {

struct Free {
  void operator()(void* memory) const { ::operator delete (memory, std::align_val_t{64}); }
};
using Memory = std::unique_ptr<void, Free>;

// Steps of random play, more or less, and a network fresh from its seed.
std::vector<Transition> some_transitions(std::size_t n) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<Transition> all(n);
  for (Transition& t : all) {
    for (int i = 0; i < 4; ++i) {
      t.observation[i] = uniform(random);
      t.next_observation[i] = uniform(random);
    }
    t.reward = 1;
    t.bootstraps = random() % 20 == 0 ? 0.0f : 1.0f;
    t.action = static_cast<std::uint32_t>(random() % 2);
  }
  return all;
}

struct Learner {
  const QNetworkFunctions& functions;
  QUpdateRules<float> rules;
  std::vector<float> weight, target, m, v, gradient;  // the reference's
  Memory memory;

  Learner(const LaneExecutor& executor, const QUpdateRules<float>& r, Initialisation initialisation, std::uint64_t seed)
      : functions(*executor.q_network), rules(r), memory(::operator new (functions.bytes(r), std::align_val_t{64})) {
    weight.resize(static_cast<std::size_t>(r.shape.parameters()));
    initialise_q_network(r.shape, initial_bounds(initialisation, r.shape), seed, weight.data());
    target = weight;
    m.resize(weight.size());
    v = gradient = m;
    functions.load(r, memory.get(), {weight.data(), target.data(), m.data(), v.data()});
  }
  bool has_the_references_bits() {
    std::vector<float> now(weight.size());
    functions.save(rules, memory.get(), {now.data(), nullptr, nullptr, nullptr});
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (to_bits(now[i]) != to_bits(weight[i])) return false;
    }
    return true;
  }
  QUpdateResult<float> reference(const Transition* batch, const QStep<float>& step) {
    return q_update(rules, batch, step, {weight.data(), target.data(), m.data(), v.data()}, gradient.data());
  }
};

QStep<float> next_step(AdamSchedule& schedule) {
  const AdamSchedule::Factors f = schedule.next();
  return {static_cast<float>(f.step), static_cast<float>(f.root_scale), true};
}

constexpr int kCheckedUpdates = 5;

void dqn_update(benchmark::State& state, const std::string& isa, double clip_norm) {
  QLearningSettings learning;
  learning.loss = Loss::mse;
  learning.clip_norm = clip_norm;
  OptimizerSettings optimizer;
  optimizer.learning_rate = 1e-3;
  constexpr std::uint32_t kBatch = 128, kBatches = 64;
  const auto rules = make_q_update_rules<float>({64, 64}, learning, optimizer, kBatch);
  Learner learner(find_cpu_executor(isa), rules, Initialisation::torch, 7);
  const auto slots = some_transitions(4096);
  std::vector<std::uint32_t> index(kBatch * kBatches);
  for (std::uint32_t k = 0; k < kBatches; ++k) {
    sample_replay<float>(make_uniform_key(7), k, slots.size(), kBatch, &index[k * kBatch]);
  }
  AdamSchedule schedule(optimizer);
  std::uint32_t update = 0;
  const auto one = [&](const QStep<float>& step) {
    return learner.functions.update(rules, learner.memory.get(), slots.data(), &index[update++ % kBatches * kBatch], step);
  };
  for (int k = 0; k < kCheckedUpdates; ++k) {
    std::vector<Transition> batch;
    for (std::uint32_t i = 0; i < kBatch; ++i) batch.push_back(slots[index[update % kBatches * kBatch + i]]);
    const QStep<float> step = next_step(schedule);
    learner.reference(batch.data(), step);
    one(step);
  }
  if (!learner.has_the_references_bits()) return state.SkipWithError("wrong bits");
  for (auto _ : state) benchmark::DoNotOptimize(one(next_step(schedule)).loss);
  count_work(state, "updates/s", 1);
}

void online_update(benchmark::State& state, const std::string& isa, Bootstrap bootstrap) {
  QLearningSettings learning;
  learning.bootstrap = bootstrap;
  learning.loss = Loss::mse;
  learning.clip_norm = 0;
  OptimizerSettings optimizer;
  optimizer.learning_rate = 1e-3;
  optimizer.epsilon = 1e-7;
  optimizer.form = OptimizerSettings::Form::keras;
  constexpr std::uint32_t kReplicas = 2;
  const auto rules = make_q_update_rules<float>({32, 32}, learning, optimizer, 1);
  const LaneExecutor& executor = find_cpu_executor(isa);
  Learner learners[kReplicas] = {{executor, rules, Initialisation::glorot, 7}, {executor, rules, Initialisation::glorot, 8}};
  void* const memory[kReplicas] = {learners[0].memory.get(), learners[1].memory.get()};
  const auto slots = some_transitions(4096);
  std::vector<float> observations;
  for (const Transition& t : slots) observations.insert(observations.end(), t.observation, t.observation + 4);
  AdamSchedule schedule(optimizer);
  std::size_t at = 0;
  float values[2 * kReplicas];
  QUpdateResult<float> results[kReplicas];
  const auto one = [&](const QStep<float>& step) {
    const QStep<float> steps[kReplicas] = {step, step};
    executor.q_network->online_values(rules, memory, &observations[4 * at], kReplicas, values);
    executor.q_network->online_update(rules, memory, &slots[at], steps, kReplicas, results);
    at = (at + kReplicas) % slots.size();
  };
  for (int k = 0; k < kCheckedUpdates; ++k) {
    const QStep<float> step = next_step(schedule);
    for (std::size_t r = 0; r < kReplicas; ++r) learners[r].reference(&slots[at + r], step);
    one(step);
  }
  for (Learner& learner : learners) {
    if (!learner.has_the_references_bits()) return state.SkipWithError("wrong bits");
  }
  for (auto _ : state) {
    one(next_step(schedule));
    benchmark::DoNotOptimize(results[0].loss);
  }
  count_work(state, "updates/s", kReplicas);
}

// ---- whole trainings, by turns

// As `workshop`, but that it never ends.
QTrainingSettings workshop() {
  QTrainingSettings s;
  s.environment.max_steps = CartPole::kMaxStepsV0;
  s.epsilon = {EpsilonSettings::Schedule::constant, 0.01, 0.01, 1};
  s.replay_capacity = 1'000'000;
  s.warmup_steps = 10'000;
  s.warmup_in_whole_episodes = true;
  s.updates_after_last_step = false;
  s.truncation = Truncation::terminal;
  s.learning.loss = Loss::mse;
  s.learning.clip_norm = 0;
  s.keeps_every_outcome = false;
  s.episodes = ~std::uint64_t{0};
  return s;
}
// As `tensorflow`, the same.
QTrainingSettings tensorflow(Bootstrap bootstrap) {
  QTrainingSettings s = workshop();
  s.environment.max_steps = CartPole::kMaxStepsV1;
  s.shape = {32, 32};
  s.initialisation = Initialisation::glorot;
  s.learning.bootstrap = bootstrap;
  s.optimizer.form = OptimizerSettings::Form::keras;
  s.optimizer.epsilon = 1e-7;
  s.epsilon.start = 0;
  s.batch = 1;
  s.replay_capacity = 1;
  s.warmup_steps = 0;
  s.updates_after_last_step = true;
  s.terminal_mask = false;
  return s;
}

struct TrainedReplica {
  Learner learner;
  QTrainingState state, reference;
  ReplayBuffer replay, reference_replay;
  std::vector<Transition> batch;
  std::uint32_t outcome = 0, reference_outcome = 0;

  TrainedReplica(const LaneExecutor& executor, const QTrainingSettings& s, const QTrainingRules& rules, std::uint64_t seed)
      : learner(executor, rules.update, s.initialisation, seed),
        state(start_q_training(s, rules, seed)),
        reference(state),
        replay(s.replay_capacity),
        reference_replay(s.replay_capacity),
        batch(s.batch) {}
  QReplica view() { return {&state, learner.memory.get(), replay.slots(), &outcome}; }
  void train_reference(const QTrainingRules& rules, std::uint64_t turns) {
    ReferenceQNetwork network{rules,
                              {learner.weight.data(), learner.target.data(), learner.m.data(), learner.v.data()},
                              reference_replay.slots(),
                              batch.data(),
                              learner.gradient.data()};
    train_q_replica(rules, network, reference, &reference_outcome, turns);
  }
};

void whole_training(benchmark::State& state, const std::string& isa, const QTrainingSettings& settings, std::uint32_t replicas) {
  const QTrainingRules rules = make_q_training_rules(settings);
  const LaneExecutor& executor = find_cpu_executor(isa);
  std::vector<std::unique_ptr<TrainedReplica>> all;
  std::vector<QReplica> views;
  for (std::uint32_t r = 0; r < replicas; ++r) {
    all.push_back(std::make_unique<TrainedReplica>(executor, settings, rules, 7 + r));
    views.push_back(all.back()->view());
  }
  const auto train = [&](std::uint64_t turns) { executor.q_train(rules, views.data(), replicas, turns); };
  const auto updates = [&] {
    std::uint64_t sum = 0;
    for (const auto& r : all) sum += r->state.updates;
    return sum;
  };
  while (updates() < kCheckedUpdates * replicas) {
    train(100);
    for (const auto& r : all) r->train_reference(rules, 100);
  }
  for (const auto& r : all) {
    if (!r->learner.has_the_references_bits()) return state.SkipWithError("wrong bits");
  }
  const std::uint64_t before = updates();
  for (auto _ : state) train(1000);
  for (const auto& r : all) {
    if (r->state.status != ReplicaStatus::unfinished) return state.SkipWithError("a training ended");
  }
  state.counters["updates/s"] = benchmark::Counter(static_cast<double>(updates() - before), benchmark::Counter::kIsRate);
}

[[maybe_unused]] const bool registered = [] {
  for (const CpuExecutorReport& report : cpu_executors()) {
    if (!report.unavailable.empty()) continue;
    const std::string isa = report.isa;
    const auto add_one = [&](const std::string& name, auto body) {
      benchmark::RegisterBenchmark((name + "/" + isa).c_str(), [isa, body](benchmark::State& state) { body(state, isa); });
    };
    add_one("dqn_update", [](benchmark::State& s, const std::string& i) { dqn_update(s, i, 0); });
    add_one("dqn_update_clipped", [](benchmark::State& s, const std::string& i) { dqn_update(s, i, 0.01); });
    add_one("online_update/semi_gradient",
            [](benchmark::State& s, const std::string& i) { online_update(s, i, Bootstrap::semi_gradient); });
    add_one("online_update/residual",
            [](benchmark::State& s, const std::string& i) { online_update(s, i, Bootstrap::residual); });
    add_one("dqn_training/workshop", [](benchmark::State& s, const std::string& i) { whole_training(s, i, workshop(), 1); });
    add_one("online_training/residual",
            [](benchmark::State& s, const std::string& i) { whole_training(s, i, tensorflow(Bootstrap::residual), 2); });
    add_one("online_training/semi_gradient",
            [](benchmark::State& s, const std::string& i) { whole_training(s, i, tensorflow(Bootstrap::semi_gradient), 2); });
  }
  return true;
}();

}  // namespace
}  // namespace fryer::bench
