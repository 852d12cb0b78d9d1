// SPDX-License-Identifier: Apache-2.0
// The training loop of the value learners. Its order of events is held against another loop, written plainly here, to the bit; then what the
// options promise one by one, leaving and going on, --until, the prefix rule, failures.
#include "fryer/lane/q_training.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <type_traits>

#include "tests/lane/q_training_cases.h"

namespace fryer {
namespace {

static_assert(std::is_trivially_copyable_v<QTrainingState> && std::is_trivially_copyable_v<QTrainingRules>);

// ---- the same training, written as a textbook would

struct Plain {
  std::vector<float> weight, target;
  std::vector<std::uint32_t> lengths;  // of episodes that are not warm-up as a whole
  std::uint64_t updates = 0, steps = 0, episodes = 0;
};

double plain_epsilon(const EpsilonSettings& e, std::uint64_t step, double& product) {
  if (e.schedule == EpsilonSettings::Schedule::constant) return e.start;
  if (e.schedule == EpsilonSettings::Schedule::linear) {
    if (step >= e.decay_steps) return e.end;
    return std::fma(e.end - e.start, static_cast<double>(step) / static_cast<double>(e.decay_steps), e.start);
  }
  const double epsilon = std::fma(e.start - e.end, product, e.end);
  product *= fryer::exp(-1.0 / static_cast<double>(e.decay_steps));
  return epsilon;
}

Plain plain_training(const QTrainingSettings& c, std::uint64_t seed) {
  const auto rules = make_q_update_rules<float>(c.shape, c.learning, c.optimizer, c.batch);
  const auto physics = CartPole::make_rules<float>(c.environment);
  const auto n = static_cast<std::size_t>(c.shape.parameters());
  Plain result;
  std::vector<float>&w = result.weight, &target = result.target;
  w.resize(n);
  initialise_q_network(c.shape, initial_bounds(c.initialisation, c.shape), seed, w.data());
  target = w;
  std::vector<float> m(n), v(n), gradient(n);
  std::vector<Transition> ring;
  double power1 = 1, power2 = 1, product = 1;

  while (result.lengths.size() < c.episodes) {
    const std::uint64_t episode = result.episodes++;
    float state[4];
    CartPole::start<float>(physics, random_block(seed, Purpose::reset, episode), state);
    const bool warm_episode = result.steps < c.warmup_steps;
    for (std::uint32_t t = 0;; ++t) {
      const bool warm = c.warmup_in_whole_episodes ? warm_episode : result.steps < c.warmup_steps;
      const double epsilon = plain_epsilon(c.epsilon, result.steps, product);
      const auto block = random_block(seed, Purpose::exploration, episode, t);
      bool action = (block.y >> 8) * 0x1p-24 < 0.5;
      if (!warm && !((block.x >> 8) * 0x1p-24 < epsilon)) {
        QActivations<float> a;
        q_forward(c.shape, w.data(), state, a);
        action = a.value[1] > a.value[0];
      }
      Transition transition{};
      float next[4];
      CartPole::step_by_rules<float>(physics, state, action, next);
      const bool terminated = !(std::fabs(next[0]) <= physics.position_limit && std::fabs(next[2]) <= physics.angle_limit);
      const bool truncated = t + 1 == c.environment.max_steps;
      std::copy_n(state, 4, transition.observation);
      std::copy_n(next, 4, transition.next_observation);
      std::copy_n(next, 4, state);
      const double reward = c.environment.sutton_barto_reward ? (terminated ? -1.0 : 0.0) : 1.0;
      transition.reward = static_cast<float>(c.reward_scale * reward);
      const bool no_future = terminated || (truncated && c.truncation == Truncation::terminal);
      transition.bootstraps = c.terminal_mask && no_future ? 0.0f : 1.0f;
      transition.action = action ? 1 : 0;
      if (ring.size() < c.replay_capacity) {
        ring.push_back(transition);
      } else {
        ring[result.steps % c.replay_capacity] = transition;
      }
      ++result.steps;

      const bool last = terminated || truncated;
      const bool round = !warm && result.steps % c.train_every == 0 && ring.size() >= c.batch;
      if (round && (c.updates_after_last_step || !last)) {
        for (std::uint32_t g = 0; g < c.gradient_steps; ++g) {
          std::vector<std::uint32_t> index(c.batch);
          sample_replay<float>(make_uniform_key(seed), result.updates, ring.size(), c.batch, index.data());
          std::vector<Transition> batch;
          for (const std::uint32_t i : index) batch.push_back(ring[i]);
          power1 *= c.optimizer.beta1;
          power2 *= c.optimizer.beta2;
          const bool keras = c.optimizer.form == OptimizerSettings::Form::keras;
          const double rate = c.optimizer.learning_rate;
          const double step = keras ? rate * std::sqrt(1 - power2) / (1 - power1) : rate / (1 - power1);
          const double root_scale = keras ? 1 : 1 / std::sqrt(1 - power2);
          ++result.updates;
          const QStep<float> q_step{static_cast<float>(step), static_cast<float>(root_scale),
                                    result.updates % c.learning.target_every == 0};
          EXPECT_TRUE(
              q_update(rules, batch.data(), q_step, {w.data(), target.data(), m.data(), v.data()}, gradient.data()).finite);
        }
      }
      if (!last) continue;
      if (!warm) result.lengths.push_back(t + 1);
      break;
    }
  }
  return result;
}

void compare_with_plain(const QCase& c) {
  SCOPED_TRACE(c.name);
  QTrainingSettings settings = c.settings;
  settings.window = 0;  // the plain loop knows no --until
  settings.episodes = std::min<std::uint64_t>(settings.episodes, 20);
  settings.keeps_every_outcome = true;
  for (const std::uint64_t seed : {1ull, 0x1234567890ull}) {
    const Plain plain = plain_training(settings, seed);
    QReplicaMemory ours(settings, seed);
    ours.train_to_the_end();
    EXPECT_EQ(ours.state.status, ReplicaStatus::finished);
    EXPECT_EQ(ours.state.updates, plain.updates);
    EXPECT_GT(plain.updates, 20u);
    EXPECT_EQ(ours.state.steps, plain.steps);
    EXPECT_EQ(ours.state.episodes, plain.episodes);
    EXPECT_EQ(ours.state.counted_episodes(), settings.episodes);
    EXPECT_TRUE(same_bits(ours.weight, plain.weight, "weight"));
    if (ours.rules.update.learning.has_target_network()) {
      EXPECT_TRUE(same_bits(ours.target, plain.target, "target"));
    }
    if (!settings.environment.sutton_barto_reward) {
      EXPECT_EQ(ours.outcomes, plain.lengths);
    }
  }
}

TEST(QTraining, DqnIsThePlainLoop) {
  for (const QCase& c : dqn_cases()) compare_with_plain(c);
}
TEST(QTraining, OnlineLearningIsThePlainLoop) {
  for (const QCase& c : online_cases()) compare_with_plain(c);
}

// ---- what happens in a training, written down as it happens

struct Event {
  bool is_update;
  Transition transition;  // of a step
  std::uint32_t updates;  // made before it
  std::uint32_t episode;  // that it belongs to
  std::uint32_t step;     // of the episode, from 0; of an update: the step that it follows
  bool mixes_target;
};

// The reference's network, with a log.
struct Logging {
  ReferenceQNetwork network;
  const QTrainingState& state;
  std::vector<Event>& log;

  void values(const float (&observation)[4], float (&value)[2]) const { network.values(observation, value); }
  void store(std::uint64_t slot, const Transition& t) const {
    log.push_back({false, t, static_cast<std::uint32_t>(state.updates), static_cast<std::uint32_t>(state.episodes),
                   state.episode_steps - 1, false});
    network.store(slot, t);
  }
  bool update(const QTrainingState& s, const QStep<float>& step) const {
    log.push_back({true,
                   {},
                   static_cast<std::uint32_t>(s.updates - 1),
                   static_cast<std::uint32_t>(s.episodes),
                   s.episode_steps - 1,
                   step.mixes_target});
    return network.update(s, step);
  }
};
std::vector<Event> log_of(QReplicaMemory& replica) {
  std::vector<Event> log;
  Logging network{replica.reference(), replica.state, log};
  train_q_replica(replica.rules, network, replica.state, replica.outcomes.data(), 10'000'000);
  EXPECT_FALSE(replica.unfinished());
  return log;
}

TEST(QTraining, WorkshopsWarmUpEndsWithAnEpisode) {
  QReplicaMemory replica(small_workshop(), 3);
  const auto log = log_of(replica);
  std::uint64_t steps_before = 0, steps_before_its_episode = 0;
  const auto first = std::find_if(log.begin(), log.end(), [](const Event& e) { return e.is_update; });
  ASSERT_NE(first, log.end());
  for (auto e = log.begin(); e != first; ++e) {
    ++steps_before;
    if (e->episode < first->episode) ++steps_before_its_episode;
  }
  EXPECT_EQ(first->step, 0u);  // after the first step of an episode
  EXPECT_EQ(steps_before, steps_before_its_episode + 1);
  EXPECT_GE(steps_before_its_episode, replica.settings.warmup_steps);
  EXPECT_EQ(first->episode, replica.state.warmup_episodes);
  // The last episode of the warm-up began before its steps were made.
  const auto last_warm = std::find_if(log.begin(), log.end(), [&](const Event& e) { return e.episode + 1 == first->episode; });
  EXPECT_LT(static_cast<std::uint64_t>(last_warm - log.begin()), replica.settings.warmup_steps);
}

// An episode that ends with the warm-up's last step is no training episode; one step less of warm-up, and it is.
TEST(QTraining, WarmUpThatEndsWithAnEpisodeByChance) {
  QTrainingSettings s = small_dqn();
  s.warmup_steps = 1000;
  QReplicaMemory random(s, 14);
  while (random.state.episodes < 3) random.train(1);
  for (const bool whole : {false, true}) {
    s.warmup_in_whole_episodes = whole;
    for (const std::uint64_t less : {0u, 1u}) {
      s.warmup_steps = random.state.steps - less;
      QReplicaMemory replica(s, 14);
      while (replica.state.episodes < 3) replica.train(1);
      EXPECT_EQ(replica.state.steps, random.state.steps);
      EXPECT_EQ(replica.state.warmup_episodes, less == 0 || whole ? 3u : 2u);
      EXPECT_EQ(replica.state.updates, less == 0 || whole ? 0u : 1u);
    }
  }
}

TEST(QTraining, WorkshopUpdatesAfterEveryStepButTheLast) {
  QReplicaMemory replica(small_workshop(), 4);
  const auto log = log_of(replica);
  std::uint64_t expected = 0;
  for (const std::uint32_t length : replica.outcomes) expected += length - 1;
  EXPECT_EQ(replica.state.updates, expected);
  for (const Event& e : log) {
    if (!e.is_update) continue;
    EXPECT_LT(e.step + 1, replica.outcomes[e.episode - replica.state.warmup_episodes]);
    EXPECT_TRUE(e.mixes_target);
  }
}

TEST(QTraining, TheRingHoldsTheLatestTransitions) {
  QReplicaMemory replica(small_workshop(), 5);
  const auto log = log_of(replica);
  std::vector<Transition> made;
  for (const Event& e : log) {
    if (!e.is_update) made.push_back(e.transition);
  }
  const std::uint64_t capacity = replica.settings.replay_capacity;
  ASSERT_EQ(made.size(), replica.state.steps);
  ASSERT_GT(made.size(), capacity);
  for (std::uint64_t i = made.size() - capacity; i < made.size(); ++i) {
    const Transition& t = replica.slots[i % capacity];
    for (int k = 0; k < 4; ++k) {
      ASSERT_EQ(to_bits(t.observation[k]), to_bits(made[i].observation[k]));
      ASSERT_EQ(to_bits(t.next_observation[k]), to_bits(made[i].next_observation[k]));
    }
    ASSERT_EQ(t.action, made[i].action);
  }
}

TEST(QTraining, CountsTransitionsBeyond32Bits) {
  QTrainingSettings s;
  s.replay_capacity = kMostTransitions;
  const QTrainingRules rules = make_q_training_rules(s);
  EXPECT_EQ(rules.stored(kMostTransitions - 1), kMostTransitions - 1);
  EXPECT_EQ(rules.stored(std::uint64_t{1} << 40), kMostTransitions);
  s.episodes = std::uint64_t{1} << 40;
  EXPECT_EQ(most_transitions(s), kMostTransitions);
}

// Rewards and futures of every step, for each way to treat ends.
TEST(QTraining, EndsOfEpisodes) {
  bool saw_terminated = false, saw_truncated = false;
  for (const bool mask : {true, false}) {
    for (const Truncation truncation : {Truncation::bootstrap, Truncation::terminal}) {
      for (const bool sutton_barto : {true, false}) {
        QTrainingSettings s = small_dqn();
        s.terminal_mask = mask;
        s.truncation = truncation;
        s.environment.sutton_barto_reward = sutton_barto;
        s.environment.max_steps = 14;
        s.reward_scale = 3;
        s.episodes = 30;
        s.learning.gamma = 0.5;
        QReplicaMemory replica(s, 6);
        for (const Event& e : log_of(replica)) {
          if (e.is_update) continue;
          const float* const next = e.transition.next_observation;
          const bool terminated = std::fabs(next[0]) > replica.rules.environment.position_limit ||
                                  std::fabs(next[2]) > replica.rules.environment.angle_limit;
          const bool truncated = e.step == 13;
          saw_terminated |= terminated;
          saw_truncated |= truncated && !terminated;
          const bool cut = mask && (terminated || (truncated && truncation == Truncation::terminal));
          EXPECT_EQ(e.transition.bootstraps, cut ? 0 : 1);
          EXPECT_EQ(e.transition.reward, !sutton_barto ? 3 : terminated ? -3 : 0);
          if (sutton_barto && terminated && e.episode >= replica.state.warmup_episodes) {
            EXPECT_EQ(replica.outcomes[e.episode - replica.state.warmup_episodes], 0u);
          }
          if (sutton_barto && truncated && !terminated && e.episode >= replica.state.warmup_episodes) {
            EXPECT_EQ(replica.outcomes[e.episode - replica.state.warmup_episodes], 1u);
          }
        }
      }
    }
  }
  EXPECT_TRUE(saw_terminated && saw_truncated);
}

TEST(QTraining, RoundsOfUpdates) {
  QTrainingSettings s = small_dqn();
  s.train_every = 10;
  s.gradient_steps = 4;
  s.learning.target_every = 3;
  QReplicaMemory replica(s, 7);
  std::uint64_t steps = 0, round = 0, updates = 0;
  for (const Event& e : log_of(replica)) {
    if (!e.is_update) {
      EXPECT_TRUE(round == 0 || round == 4) << steps;
      round = 0;
      ++steps;
      continue;
    }
    EXPECT_EQ(steps % 10, 0u);
    EXPECT_GT(steps, s.warmup_steps);
    EXPECT_EQ(e.updates, updates);
    EXPECT_EQ(e.mixes_target, ++updates % 3 == 0);
    ++round;
  }
  // The warm-up's last step makes no update; nor does one after the last round.
  EXPECT_EQ(updates, 4 * (steps / 10 - s.warmup_steps / 10));
}

// ---- leaving, limits, ends

TEST(QTraining, LeavingChangesNothing) {
  std::mt19937_64 random(8);
  auto cases = dqn_cases();
  for (QCase& c : online_cases()) cases.push_back(c);
  for (const QCase& c : cases) {
    SCOPED_TRACE(c.name);
    QReplicaMemory whole(c.settings, 9), pieces(c.settings, 9);
    whole.train_to_the_end();
    while (pieces.unfinished()) {
      QReplicaMemory elsewhere = pieces;
      elsewhere.train(1 + random() % (random() % 3 == 0 ? 200 : 4));
      pieces = elsewhere;
    }
    expect_same_replica(pieces, whole);
  }
}

TEST(QTraining, TheFirstEpisodesOfALongerTraining) {
  for (const QTrainingSettings& settings : {small_dqn(), small_workshop(), small_online()}) {
    QTrainingSettings s = settings;
    s.episodes = 15;
    QReplicaMemory longer(s, 10);
    for (const std::uint64_t k : {1u, 4u, 14u}) {
      QTrainingSettings first = s;
      first.episodes = k;
      QReplicaMemory shorter(first, 10);
      shorter.train_to_the_end();
      while (longer.state.counted_episodes() < k) longer.train(1);
      EXPECT_TRUE(same_bits(shorter.weight, longer.weight, "weight"));
      EXPECT_TRUE(same_bits(shorter.v, longer.v, "v"));
      EXPECT_EQ(shorter.state.updates, longer.state.updates);
      EXPECT_EQ(shorter.state.steps, longer.state.steps);
      EXPECT_TRUE(std::equal(shorter.outcomes.begin(), shorter.outcomes.end(), longer.outcomes.begin()));
    }
  }
}

TEST(QTraining, UntilTheWindowReachesTheTarget) {
  QTrainingSettings s = small_dqn();
  s.episodes = 150;
  QReplicaMemory whole(s, 11);
  whole.train_to_the_end();
  const std::uint32_t window = 20;
  std::uint64_t largest = 0;
  for (std::size_t e = window; e <= whole.outcomes.size(); ++e) {
    std::uint64_t sum = 0;
    for (std::size_t i = e - window; i < e; ++i) sum += whole.outcomes[i];
    largest = std::max(largest, sum);
  }
  for (const std::uint64_t target : {std::uint64_t{1}, largest / 2, largest, largest + 1}) {
    std::uint64_t expected = 0;  // the first episodes whose last 20 reach the target
    for (std::uint64_t e = window; e <= whole.outcomes.size() && expected == 0; ++e) {
      std::uint64_t sum = 0;
      for (std::uint64_t i = e - window; i < e; ++i) sum += whole.outcomes[i];
      if (sum >= target) expected = e;
    }
    for (const bool keeps : {true, false}) {
      QTrainingSettings until = s;
      until.window = window;
      until.window_target = target;
      until.keeps_every_outcome = keeps;
      QReplicaMemory replica(until, 11);
      EXPECT_EQ(replica.outcomes.size(), keeps ? 150u : window);
      replica.train_to_the_end();
      EXPECT_EQ(replica.state.status, expected != 0 ? ReplicaStatus::solved : ReplicaStatus::finished);
      EXPECT_EQ(replica.state.counted_episodes(), expected != 0 ? expected : 150);
      for (std::uint64_t e = replica.state.counted_episodes() - window; e < replica.state.counted_episodes(); ++e) {
        EXPECT_EQ(replica.outcomes[e % replica.outcomes.size()], whole.outcomes[e]);
      }
    }
  }
}

TEST(QTraining, DivergenceIsAFailure) {
  QTrainingSettings s = small_dqn();
  s.optimizer.kind = OptimizerSettings::Kind::sgd;
  s.optimizer.learning_rate = 1e3;
  s.learning.loss = Loss::mse;
  s.learning.clip_norm = 0;
  QReplicaMemory replica(s, 12);
  replica.train_to_the_end();
  ASSERT_EQ(replica.state.status, ReplicaStatus::failed);
  EXPECT_GE(replica.state.updates, 1u);
  EXPECT_LT(replica.state.updates, 30u);
  const QTrainingState before = replica.state;
  replica.train(100);  // has ended
  EXPECT_EQ(replica.state.steps, before.steps);
  EXPECT_EQ(replica.state.updates, before.updates);
  hide_failed_parameters(replica.state, s.shape.parameters(), replica.weight.data());
  for (const float w : replica.weight) EXPECT_EQ(to_bits(w), kFailedParameterBits);
}

// Weights that are finite but too large for the values of an observation: found when it acts, before the step.
TEST(QTraining, ValuesThatAreNotFiniteAreAFailure) {
  QReplicaMemory replica(small_online(), 13);
  for (float& w : replica.weight) w = 3e38f;
  replica.train(1);
  EXPECT_EQ(replica.state.status, ReplicaStatus::failed);
  EXPECT_EQ(replica.state.steps, 0u);
  EXPECT_EQ(replica.state.updates, 0u);
}

// What a seed means, whatever compiler and machine: FNV-1a of counters, outcomes and final weights.
TEST(QTraining, TheBitsOfSmallTrainings) {
  const auto hash_of = [](const QTrainingSettings& s) {
    QReplicaMemory replica(s, 42);
    replica.train_to_the_end();
    std::uint64_t hash = 0xcbf29ce484222325u;
    const auto add = [&](std::uint64_t word) {
      for (int byte = 0; byte < 8; ++byte) hash = (hash ^ (word >> (8 * byte) & 0xff)) * 0x100000001b3u;
    };
    add(replica.state.updates);
    add(replica.state.steps);
    for (const std::uint32_t outcome : replica.outcomes) add(outcome);
    for (const float w : replica.weight) add(to_bits(w));
    return hash;
  };
  EXPECT_EQ(hash_of(small_dqn()), 0x17e0639ebbb40e88u);
  EXPECT_EQ(hash_of(small_workshop()), 0xdb8fb338a90aa761u);
  EXPECT_EQ(hash_of(small_online()), 0xf8a3a1e048548990u);
}

TEST(QTraining, LearnsOnlineOnlyWithARingOfOne) {
  EXPECT_TRUE(make_q_training_rules(small_online()).learns_online());
  EXPECT_FALSE(make_q_training_rules(small_dqn()).learns_online());
  QTrainingSettings s = small_dqn();
  s.batch = 1;
  s.replay_capacity = 1;  // but with a target network
  EXPECT_FALSE(make_q_training_rules(s).learns_online());
}

}  // namespace
}  // namespace fryer
