// SPDX-License-Identifier: Apache-2.0
// What value learners do unless told otherwise, and the settings of those who made them known. Where each is found: README, value learners.
#include "fryer/engine/configuration.h"

namespace fryer {

QTrainConfiguration dqn_defaults(std::uint32_t max_steps) {
  QTrainConfiguration c;  // the field's: QTrainingSettings has it
  c.training.environment.max_steps = max_steps;
  return c;
}

QTrainConfiguration q_learning_defaults(std::uint32_t max_steps) {
  QTrainConfiguration c;
  QTrainingSettings& t = c.training;
  t.environment.max_steps = max_steps;
  t.shape = {32, 32};
  t.initialisation = Initialisation::glorot;
  t.learning.bootstrap = Bootstrap::semi_gradient;
  t.learning.loss = Loss::mse;
  t.learning.clip_norm = 0;
  t.optimizer.form = OptimizerSettings::Form::keras;
  t.optimizer.epsilon = 1e-7;
  t.epsilon.schedule = EpsilonSettings::Schedule::constant;
  t.epsilon.start = 0;
  t.batch = 1;
  t.replay_capacity = 1;
  t.warmup_steps = 0;
  t.episodes = 200;
  return c;
}

// VTHacks' workshop, as its code does it (not its slides, which have the mask the other way round).
QTrainConfiguration workshop_preset(std::uint32_t max_steps) {
  QTrainConfiguration c = dqn_defaults(max_steps);
  QTrainingSettings& t = c.training;
  t.learning.loss = Loss::mse;
  t.learning.clip_norm = 0;
  t.epsilon.schedule = EpsilonSettings::Schedule::constant;
  t.epsilon.start = 0.01;
  t.replay_capacity = 1'000'000;
  t.warmup_steps = 10'000;
  t.warmup_in_whole_episodes = true;
  t.updates_after_last_step = false;
  t.truncation = Truncation::terminal;
  return c;
}

// RL Baselines3 Zoo, hyperparams/dqn.yml, CartPole-v1: 128 updates after every 256th step, the target copied after every 10 steps (here: with
// every round of updates, before which no step uses it). Its 50,000 steps are some 500 episodes.
QTrainConfiguration zoo_preset(std::uint32_t max_steps) {
  QTrainConfiguration c = dqn_defaults(max_steps);
  QTrainingSettings& t = c.training;
  t.shape = {256, 256};
  t.optimizer.learning_rate = 2.3e-3;
  t.batch = 64;
  t.replay_capacity = 100'000;
  t.warmup_steps = 1000;
  t.train_every = 256;
  t.gradient_steps = 128;
  t.learning.tau = 1;
  t.learning.target_every = 128;
  t.epsilon = {EpsilonSettings::Schedule::linear, 1, 0.04, 8000};  // 16 % of 50,000 steps
  return c;
}

// CleanRL, dqn.py: 4-120-84-2, an update after every 10th step from step 10,000 on, the target copied every 500 steps. Its 500,000 steps are
// some 4,000 episodes: the first 3,000, most of them explored, have 164,000.
QTrainConfiguration cleanrl_preset(std::uint32_t max_steps) {
  QTrainConfiguration c = dqn_defaults(max_steps);
  QTrainingSettings& t = c.training;
  t.shape = {120, 84};
  t.optimizer.learning_rate = 2.5e-4;
  t.batch = 128;
  t.replay_capacity = 10'000;
  t.warmup_steps = 10'000;
  t.train_every = 10;
  t.learning.loss = Loss::mse;
  t.learning.clip_norm = 0;
  t.learning.tau = 1;
  t.learning.target_every = 50;                                       // updates
  t.epsilon = {EpsilonSettings::Schedule::linear, 1, 0.05, 250'000};  // half of 500,000 steps
  t.episodes = 4000;
  return c;
}

// The TensorFlow post: it differentiates its target as well, and knows no end of an episode.
QTrainConfiguration tensorflow_preset(std::uint32_t max_steps) {
  QTrainConfiguration c = q_learning_defaults(max_steps);
  c.training.learning.bootstrap = Bootstrap::residual;
  c.training.terminal_mask = false;
  return c;
}

}  // namespace fryer
