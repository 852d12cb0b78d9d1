// SPDX-License-Identifier: Apache-2.0
// What the tests of value learners' trainings share: a replica's memory run by the reference, small trainings with every option switched on
// in turn, and the comparison of two replicas to the bit.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fryer/lane/q_training.h"

namespace fryer {

struct QCase {
  std::string name;
  QTrainingSettings settings;
};

// A replica in plain memory.
struct QReplicaMemory {
  QTrainingSettings settings;
  QTrainingRules rules;
  QTrainingState state;
  std::vector<float> weight, target, m, v, gradient;
  std::vector<Transition> slots, batch;
  std::vector<std::uint32_t> outcomes;

  QReplicaMemory(const QTrainingSettings& s, std::uint64_t seed)
      : settings(s), rules(make_q_training_rules(s)), state(start_q_training(s, rules, seed)) {
    weight.resize(static_cast<std::size_t>(s.shape.parameters()));
    target = m = v = gradient = weight;
    slots.resize(s.replay_capacity);
    batch.resize(s.batch);
    outcomes.resize(rules.kept_outcomes);
    start_q_learner(s, seed, learner());
  }
  QLearner<float> learner() { return {weight.data(), target.data(), m.data(), v.data()}; }
  ReferenceQNetwork reference() { return {rules, learner(), slots.data(), batch.data(), gradient.data()}; }
  bool unfinished() const { return state.status == ReplicaStatus::unfinished; }

  void train(std::uint64_t turns) {
    ReferenceQNetwork network = reference();
    train_q_replica(rules, network, state, outcomes.data(), turns);
  }
  QReplicaMemory& train_to_the_end() {
    while (unfinished()) train(1'000'000);
    return *this;
  }
};

inline testing::AssertionResult same_bits(const std::vector<float>& a, const std::vector<float>& b, const char* what) {
  if (a.size() != b.size()) return testing::AssertionFailure() << what << ": " << a.size() << " and " << b.size();
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (to_bits(a[i]) != to_bits(b[i]))
      return testing::AssertionFailure() << what << ' ' << i << ": " << a[i] << " instead of " << b[i];
  }
  return testing::AssertionSuccess();
}

// Counters, outcomes and, unless the training failed, the learner and where it stands.
inline void expect_same_replica(const QReplicaMemory& a, const QReplicaMemory& b) {
  ASSERT_EQ(a.state.status, b.state.status);
  ASSERT_EQ(a.state.updates, b.state.updates);
  ASSERT_EQ(a.state.episodes, b.state.episodes);
  ASSERT_EQ(a.state.warmup_episodes, b.state.warmup_episodes);
  ASSERT_EQ(a.state.steps, b.state.steps);
  ASSERT_EQ(a.state.window_sum, b.state.window_sum);
  ASSERT_EQ(a.state.episode_steps, b.state.episode_steps);
  ASSERT_EQ(a.state.updates_due, b.state.updates_due);
  ASSERT_EQ(a.state.epsilon.step, b.state.epsilon.step);
  ASSERT_EQ(to_bits(a.state.epsilon.product), to_bits(b.state.epsilon.product));
  ASSERT_EQ(a.outcomes, b.outcomes);
  if (a.state.status == ReplicaStatus::failed) return;
  for (int i = 0; i < 4; ++i) ASSERT_EQ(to_bits(a.state.observation[i]), to_bits(b.state.observation[i]));
  ASSERT_TRUE(same_bits(a.weight, b.weight, "weight"));
  if (a.rules.update.learning.has_target_network()) {
    ASSERT_TRUE(same_bits(a.target, b.target, "target"));
  }
  ASSERT_TRUE(same_bits(a.m, b.m, "m"));
  ASSERT_TRUE(same_bits(a.v, b.v, "v"));
}

// DQN, small: a ring that wraps, updates from the first step after the warm-up on.
inline QTrainingSettings small_dqn() {
  QTrainingSettings s;
  s.shape = {20, 12};
  s.batch = 8;
  s.replay_capacity = 150;
  s.warmup_steps = 70;
  s.epsilon.decay_steps = 300;
  s.episodes = 12;
  s.environment.max_steps = 60;
  return s;
}
// As `workshop`, in small.
inline QTrainingSettings small_workshop() {
  QTrainingSettings s = small_dqn();
  s.epsilon = {EpsilonSettings::Schedule::constant, 0.01, 0.01, 1};
  s.warmup_in_whole_episodes = true;
  s.updates_after_last_step = false;
  s.truncation = Truncation::terminal;
  s.learning.loss = Loss::mse;
  s.learning.clip_norm = 0;
  return s;
}
// As `tensorflow`, in small.
inline QTrainingSettings small_online() {
  QTrainingSettings s;
  s.shape = {32, 32};
  s.initialisation = Initialisation::glorot;
  s.learning = {Bootstrap::residual, Loss::mse, 0.99, 0, 0.005, 1};
  s.optimizer.form = OptimizerSettings::Form::keras;
  s.optimizer.epsilon = 1e-7;
  s.batch = 1;
  s.replay_capacity = 1;
  s.warmup_steps = 0;
  s.epsilon = {EpsilonSettings::Schedule::constant, 0, 0, 1};
  s.terminal_mask = false;
  s.episodes = 20;
  s.environment.max_steps = 60;
  return s;
}

// Every option in turn.
inline std::vector<QCase> dqn_cases() {
  std::vector<QCase> all;
  const auto add = [&](const char* name, const auto& change) {
    QTrainingSettings s = small_dqn();
    change(s);
    all.push_back({name, s});
  };
  add("the field's", [](QTrainingSettings&) {});
  all.push_back({"workshop", small_workshop()});
  add("double, hard target", [](QTrainingSettings& s) {
    s.learning.bootstrap = Bootstrap::double_q;
    s.learning.tau = 1;
    s.learning.target_every = 7;
  });
  add("bursts of updates", [](QTrainingSettings& s) {
    s.train_every = 16;
    s.gradient_steps = 5;
  });
  add("every third step, not the last", [](QTrainingSettings& s) {
    s.train_every = 3;
    s.updates_after_last_step = false;
  });
  add("exponential epsilon", [](QTrainingSettings& s) {
    s.epsilon.schedule = EpsilonSettings::Schedule::exponential;
    s.epsilon.decay_steps = 90;
  });
  add("no mask", [](QTrainingSettings& s) { s.terminal_mask = false; });
  add("truncation terminal", [](QTrainingSettings& s) {
    s.truncation = Truncation::terminal;
    s.environment.max_steps = 12;
  });
  add("truncation bootstraps", [](QTrainingSettings& s) { s.environment.max_steps = 12; });
  add("own network as target", [](QTrainingSettings& s) { s.learning.bootstrap = Bootstrap::semi_gradient; });
  add("no warm-up: the ring is too empty at first", [](QTrainingSettings& s) {
    s.warmup_steps = 0;
    s.batch = 33;
  });
  add("stochastic gradient descent, Sutton and Barto's reward", [](QTrainingSettings& s) {
    s.optimizer.kind = OptimizerSettings::Kind::sgd;
    s.environment.sutton_barto_reward = true;
    s.reward_scale = 0.5;
  });
  add("semi-implicit, clipped, scaled rewards", [](QTrainingSettings& s) {
    s.environment.integrator = CartPole::Integrator::semi_implicit;
    s.learning.clip_norm = 1e-3;
    s.reward_scale = 2.5;
  });
  add("batch of one from a ring", [](QTrainingSettings& s) { s.batch = 1; });
  add("until", [](QTrainingSettings& s) {
    s.episodes = 200;
    s.window = 10;
    s.window_target = 10 * 22;
    s.keeps_every_outcome = false;
  });
  return all;
}
inline std::vector<QCase> online_cases() {
  std::vector<QCase> all;
  const auto add = [&](const char* name, const auto& change) {
    QTrainingSettings s = small_online();
    change(s);
    all.push_back({name, s});
  };
  add("tensorflow", [](QTrainingSettings&) {});
  add("semi-gradient, masked, exploring", [](QTrainingSettings& s) {
    s.learning.bootstrap = Bootstrap::semi_gradient;
    s.terminal_mask = true;
    s.epsilon = {EpsilonSettings::Schedule::linear, 0.9, 0.1, 200};
  });
  add("warm-up, Huber, clipped", [](QTrainingSettings& s) {
    s.shape = {9, 40};
    s.warmup_steps = 50;
    s.warmup_in_whole_episodes = true;
    s.learning.loss = Loss::huber;
    s.learning.clip_norm = 0.5;
    s.epsilon = {EpsilonSettings::Schedule::exponential, 0.5, 0.02, 100};
  });
  add("every other step, two updates, not the last", [](QTrainingSettings& s) {
    s.train_every = 2;
    s.gradient_steps = 2;
    s.updates_after_last_step = false;
    s.epsilon.start = 0.3;
  });
  add("until", [](QTrainingSettings& s) {
    s.episodes = 300;
    s.window = 5;
    s.window_target = 5 * 14;
    s.epsilon.start = 0.2;
  });
  return all;
}

}  // namespace fryer
