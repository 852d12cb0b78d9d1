// SPDX-License-Identifier: Apache-2.0
// Q networks: DQN with 64-64 units and batch 128, online learning with 32-32 units and two replicas in flight. Updates alone, without
// environment, exploration or sampling; then whole trainings, which have all of it. One core; each checks the bits of its first updates
// against the reference before it is timed.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <memory>
#include <new>
#include <random>
#include <tuple>
#include <vector>

#include "bench/bench_support.h"
#include "fryer/engine/configuration.h"
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

// Of an update with a target network if nothing is left out: two forward passes, the gradients by the parameters and by the hidden units; 2 a
// fused multiply-add. Without the optimiser.
double operations(const QNetworkShape& shape, std::uint32_t batch) {
  const double first = 4.0 * shape.hidden1, middle = double{1} * shape.hidden1 * shape.hidden2, last = 2.0 * shape.hidden2;
  return 2.0 * batch * (3 * (first + middle + last) + middle + last);
}

void dqn_update(benchmark::State& state, const std::string& isa, const QNetworkShape& shape, std::uint32_t batch_size,
                double clip_norm) {
  QLearningSettings learning;
  learning.loss = Loss::mse;
  learning.clip_norm = clip_norm;
  OptimizerSettings optimizer;
  optimizer.learning_rate = 1e-3;
  constexpr std::uint32_t kBatches = 64;
  const auto rules = make_q_update_rules<float>(shape, learning, optimizer, batch_size);
  Learner learner(find_cpu_executor(isa), rules, Initialisation::torch, 7);
  const auto slots = some_transitions(4096);
  std::vector<std::uint32_t> index(batch_size * kBatches);
  for (std::uint32_t k = 0; k < kBatches; ++k) {
    sample_replay<float>(make_uniform_key(7), k, slots.size(), batch_size, &index[k * batch_size]);
  }
  AdamSchedule schedule(optimizer);
  std::uint32_t update = 0;
  const auto one = [&](const QStep<float>& step) {
    return learner.functions.update(rules, learner.memory.get(), slots.data(), &index[update++ % kBatches * batch_size], step);
  };
  for (int k = 0; k < kCheckedUpdates; ++k) {
    std::vector<Transition> batch;
    for (std::uint32_t i = 0; i < batch_size; ++i) batch.push_back(slots[index[update % kBatches * batch_size + i]]);
    const QStep<float> step = next_step(schedule);
    learner.reference(batch.data(), step);
    one(step);
  }
  if (!learner.has_the_references_bits()) return state.SkipWithError("wrong bits");
  for (auto _ : state) benchmark::DoNotOptimize(one(next_step(schedule)).loss);
  count_work(state, "updates/s", 1);
  count_work(state, "FLOP/s", operations(shape, batch_size));
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

// A preset, but that it never ends and keeps nothing.
QTrainingSettings endless(const QTrainConfiguration& preset) {
  QTrainingSettings s = preset.training;
  s.keeps_every_outcome = false;
  s.episodes = ~std::uint64_t{0};
  return s;
}
QTrainingSettings workshop() { return endless(workshop_preset(CartPole::kMaxStepsV0)); }
QTrainingSettings tensorflow(Bootstrap bootstrap) {
  QTrainingSettings s = endless(tensorflow_preset(CartPole::kMaxStepsV1));
  s.learning.bootstrap = bootstrap;
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
    add_one("dqn_update", [](benchmark::State& s, const std::string& i) { dqn_update(s, i, {64, 64}, 128, 0); });
    add_one("dqn_update_clipped", [](benchmark::State& s, const std::string& i) { dqn_update(s, i, {64, 64}, 128, 0.01); });
    // Other sizes: the zoo's, CleanRL's, the largest, and what fills no vector.
    for (const auto& [h1, h2, batch] : {std::tuple{256, 256, 64u},
                                        {120, 84, 128u},
                                        {256, 256, 256u},
                                        {128, 128, 128u},
                                        {32, 32, 128u},
                                        {16, 16, 32u},
                                        {64, 64, 32u},
                                        {64, 64, 8u},
                                        {50, 30, 100u}}) {
      add_one(fmt::format("dqn_update_sizes/{}x{}x{}", h1, h2, batch),
              [h1 = h1, h2 = h2, batch = batch](benchmark::State& s, const std::string& i) {
                dqn_update(s, i, {h1, h2}, batch, 0);
              });
    }
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
