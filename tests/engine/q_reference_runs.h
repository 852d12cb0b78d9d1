// SPDX-License-Identifier: Apache-2.0
// Small runs of value learners and the digest that each must have on every backend, instruction set, compiler, optimisation level and number
// of threads. As in reference_runs.h: a change here is a change of bits.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fryer/core/version.h"
#include "fryer/engine/api.h"

namespace fryer::test {

static_assert(kNumericsVersion == 1, "the digests below are those of another numerics version");

struct QReferenceRun {
  std::string name;
  std::uint64_t digest;
  std::function<std::uint64_t(Backend&)> run;
  std::optional<QTrainConfiguration> training;  // if it is one
};

// DQN of a small network, with updates from the 70th step on and a ring that wraps.
inline QTrainConfiguration small_dqn_population() {
  QTrainConfiguration c = dqn_defaults(60);
  QTrainingSettings& t = c.training;
  t.shape = {20, 12};
  t.batch = 8;
  t.replay_capacity = 150;
  t.warmup_steps = 70;
  t.epsilon.decay_steps = 300;
  t.episodes = 12;
  c.replicas = 7;
  return c;
}
inline QTrainConfiguration small_online_population() {
  QTrainConfiguration c = tensorflow_preset(60);
  c.training.episodes = 20;
  c.replicas = 9;
  return c;
}

inline std::vector<QReferenceRun> q_reference_runs() {
  std::vector<QReferenceRun> runs;
  const auto add = [&](const char* name, std::uint64_t digest, const QTrainConfiguration& c) {
    runs.push_back({name, digest, [c](Backend& backend) { return train(c, backend).digest; }, c});
  };

  QTrainConfiguration c = dqn_defaults(CartPole::kMaxStepsV1);
  c.training.episodes = 30;
  add("30 episodes of dqn", 0xd48d5f668301c208, c);
  c = workshop_preset(CartPole::kMaxStepsV0);
  c.training.warmup_steps = 200;
  c.training.episodes = 8;
  c.replicas = 2;
  add("the workshop's, after a short warm-up", 0x0bfa021f9fb8ccd6, c);
  c = tensorflow_preset(CartPole::kMaxStepsV1);
  c.replicas = 5;
  c.seed = (std::uint64_t{1} << 32) - 2;
  add("the post's online learning", 0x967b8637b86233f5, c);
  c = q_learning_defaults(CartPole::kMaxStepsV1);
  c.training.episodes = 60;
  c.training.epsilon.start = 0.1;
  c.replicas = 5;
  add("semi-gradient online learning, exploring", 0x1d3c2a8b8f2d6473, c);

  c = small_dqn_population();
  add("small dqn", 0x9025efc52b690c38, c);
  c.until = 11;
  c.training.episodes = 130;
  c.training.environment.max_steps = 25;
  add("small dqn until 11", 0x8ea9932b280256c9, c);
  c = small_dqn_population();
  c.training.learning.bootstrap = Bootstrap::double_q;
  c.training.learning.tau = 1;
  c.training.learning.target_every = 7;
  c.training.train_every = 16;
  c.training.gradient_steps = 5;
  c.training.optimizer.kind = OptimizerSettings::Kind::sgd;
  c.training.environment.sutton_barto_reward = true;
  add("double, hard target, bursts of updates, sgd, Sutton and Barto's reward", 0x387bfb5f969e7974, c);
  c = small_dqn_population();
  c.training.shape = {3, 37};
  c.training.batch = 33;
  c.training.epsilon.schedule = EpsilonSettings::Schedule::exponential;
  c.training.truncation = Truncation::terminal;
  c.training.environment.max_steps = 15;
  c.training.learning.clip_norm = 1e-3;
  add("odd sizes, clipped, exponential epsilon", 0x822ce2b2f21e9d53, c);
  c = small_online_population();
  add("small online learning", 0xc7363c0d8321b27e, c);
  c = small_dqn_population();
  c.training.optimizer.learning_rate = 2.4;
  c.training.optimizer.kind = OptimizerSettings::Kind::sgd;
  c.training.episodes = 6;
  c.training.learning.clip_norm = 0;
  c.training.learning.loss = Loss::mse;
  add("small dqn, of which some fail", 0x43d3987031cbb0b8, c);

  runs.push_back({"evaluation of a network",
                  0x97f68f3d1910991b,
                  [](Backend& backend) {
                    QTrainConfiguration training = small_dqn_population();
                    training.replicas = 1;
                    const TrainResult trained = train(training, backend);
                    CartPoleEvaluateConfiguration e;
                    e.q_network.emplace();
                    e.q_network->shape = training.training.shape;
                    for (const auto& column : trained.table.parameters)
                      e.q_network->parameters.push_back(static_cast<double>(column[0]));
                    e.episodes = 1003;
                    return evaluate(e, backend).digest;
                  },
                  {}});
  return runs;
}

}  // namespace fryer::test
