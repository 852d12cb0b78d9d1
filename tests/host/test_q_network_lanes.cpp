// SPDX-License-Identifier: Apache-2.0
// Q networks in every executor that this machine runs, against the reference (lane/q_update.h), bit by bit: every width, batch, loss and way
// to bootstrap, several updates each; saving and resuming, between executors too; failures; padding.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "fryer/lane/q_update.h"
#include "host/cpu_features.h"
#include "tests/lane/random_transitions.h"

namespace fryer {
namespace {

std::vector<const LaneExecutor*> executors() {
  std::vector<const LaneExecutor*> usable;
  for (const CpuExecutorReport& report : cpu_executors()) {
    if (report.unavailable.empty()) usable.push_back(report.executor);
  }
  return usable;
}

struct State {
  std::vector<float> weight, target, m, v;

  explicit State(std::size_t n = 0) : weight(n), target(n), m(n), v(n) {}
  QLearner<float> view() { return {weight.data(), target.data(), m.data(), v.data()}; }
};

// NaN is as good as another: after a failure nothing is compared.
testing::AssertionResult same_bits(const std::vector<float>& a, const std::vector<float>& b, const char* what) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (to_bits(a[i]) != to_bits(b[i])) {
      return testing::AssertionFailure() << what << " " << i << ": " << a[i] << " instead of " << b[i];
    }
  }
  return testing::AssertionSuccess();
}
testing::AssertionResult same_bits(const State& a, const State& b) {
  const auto weight = same_bits(a.weight, b.weight, "weight"), target = same_bits(a.target, b.target, "target");
  const auto m = same_bits(a.m, b.m, "m"), v = same_bits(a.v, b.v, "v");
  return !weight ? weight : !target ? target : !m ? m : v;
}

// A learner in an executor's memory.
class Learner {
 public:
  Learner(const QNetworkFunctions& functions, const QUpdateRules<float>& rules, State& state)
      : functions_(functions), rules_(rules), memory_(::operator new (functions.bytes(rules), std::align_val_t{64})) {
    functions.load(rules, memory_.get(), {state.weight.data(), state.target.data(), state.m.data(), state.v.data()});
  }
  void* memory() { return memory_.get(); }
  QUpdateResult<float> update(const std::vector<Transition>& slots, const std::vector<std::uint32_t>& index,
                              const QStep<float>& step) {
    return functions_.update(rules_, memory(), slots.data(), index.data(), step);
  }
  State state() {
    State s(static_cast<std::size_t>(rules_.shape.parameters()));
    functions_.save(rules_, memory(), s.view());
    return s;
  }

 private:
  struct Free {
    void operator()(void* memory) const { ::operator delete (memory, std::align_val_t{64}); }
  };
  const QNetworkFunctions& functions_;
  QUpdateRules<float> rules_;
  std::unique_ptr<void, Free> memory_;
};

State network(std::mt19937_64& random, const QNetworkShape& shape) {
  State s(static_cast<std::size_t>(shape.parameters()));
  const QInitialBounds bounds = initial_bounds(Initialisation::torch, shape);
  initialise_q_network(shape, bounds, random(), s.weight.data());
  initialise_q_network(shape, bounds, random(), s.target.data());
  for (int k = 0; k < shape.hidden2; k += 3) s.weight[static_cast<std::size_t>(shape.bias_2(k))] = -5;
  for (int j = 0; j < shape.hidden1; j += 5) s.weight[static_cast<std::size_t>(shape.bias_1(j))] = -7;
  return s;
}
std::vector<std::uint32_t> choose(std::mt19937_64& random, std::uint32_t batch, std::size_t of) {
  std::vector<std::uint32_t> index(batch);
  for (std::uint32_t& i : index) i = static_cast<std::uint32_t>(random() % of);
  return index;
}

struct Case {
  QNetworkShape shape;
  std::uint32_t batch = 128;
  QLearningSettings learning;
  OptimizerSettings optimizer;
  int updates = 3;
};

OptimizerSettings adam(double learning_rate, double epsilon) {
  OptimizerSettings s;
  s.learning_rate = learning_rate;
  s.epsilon = epsilon;
  return s;
}

// The same updates by the reference and by every executor.
void compare_updates(std::mt19937_64& random, const Case& c) {
  const auto slots = random_transitions(random, 300);
  State initial = network(random, c.shape);
  const auto rules = make_q_update_rules<float>(c.shape, c.learning, c.optimizer, c.batch);
  State reference = initial;
  std::vector<float> gradient(initial.weight.size());
  std::vector<Learner> learners;
  const auto all = executors();
  for (const LaneExecutor* executor : all) learners.emplace_back(*executor->q_network, rules, initial);
  AdamSchedule schedule(c.optimizer);
  for (int update = 0; update < c.updates; ++update) {
    const auto index = choose(random, c.batch, slots.size());
    std::vector<Transition> batch;
    for (const std::uint32_t i : index) batch.push_back(slots[i]);
    const AdamSchedule::Factors f = schedule.next();
    const QStep<float> step{static_cast<float>(f.step), static_cast<float>(f.root_scale), update % 2 == 0};
    const auto expected = q_update(rules, batch.data(), step, reference.view(), gradient.data());
    for (std::size_t e = 0; e < all.size(); ++e) {
      SCOPED_TRACE(std::string(all[e]->name) + ", 4-" + std::to_string(c.shape.hidden1) + "-" + std::to_string(c.shape.hidden2) +
                   "-2, batch " + std::to_string(c.batch) + ", update " + std::to_string(update));
      const auto result = learners[e].update(slots, index, step);
      ASSERT_EQ(result.finite, expected.finite);
      if (!expected.finite) continue;
      ASSERT_EQ(to_bits(result.loss), to_bits(expected.loss));
      ASSERT_TRUE(same_bits(learners[e].state(), reference));
    }
    if (!expected.finite) break;
  }
}

TEST(QNetworkLanes, EveryWidth) {
  std::mt19937_64 random(1);
  for (int width = 1; width <= QNetworkShape::kMostUnits; width += width < 40 ? 1 : 7) {
    const int other = 1 + static_cast<int>(random() % QNetworkShape::kMostUnits);
    Case c;
    c.batch = 1 + static_cast<std::uint32_t>(random() % 40);
    c.updates = 2;
    c.shape = {width, width < 70 ? other : 1 + other % 64};
    compare_updates(random, c);
    std::swap(c.shape.hidden1, c.shape.hidden2);
    compare_updates(random, c);
  }
  for (const QNetworkShape shape : {QNetworkShape{64, 64}, {256, 256}, {32, 32}, {60, 50}, {255, 64}, {64, 193}}) {
    Case c;
    c.shape = shape;
    compare_updates(random, c);
  }
}

TEST(QNetworkLanes, EveryBatch) {
  std::mt19937_64 random(2);
  for (std::uint32_t batch = 1; batch <= kMostBatch; batch += batch < 20 || batch > 250 ? 1 : 5) {
    Case c;
    c.batch = batch;
    c.updates = 2;
    c.shape = batch % 3 == 0 ? QNetworkShape{64, 64} : QNetworkShape{24, 37};
    compare_updates(random, c);
  }
}

TEST(QNetworkLanes, EverySetting) {
  std::mt19937_64 random(3);
  for (const Bootstrap bootstrap : {Bootstrap::target_network, Bootstrap::double_q, Bootstrap::semi_gradient}) {
    for (const Loss loss : {Loss::mse, Loss::huber}) {
      for (const double clip : {0.0, 1e-3, 0.3, 1e9}) {
        for (const double tau : {0.005, 1.0}) {
          for (const int optimizer : {0, 1, 2, 3}) {
            Case c;
            c.shape = optimizer == 0 ? QNetworkShape{64, 64} : QNetworkShape{20, 12};
            c.batch = 70;
            c.learning = {bootstrap, loss, 0.97, clip, tau, 1};
            c.optimizer = optimizer == 1 ? adam(0.01, 1e-7) : adam(0.003, 1e-8);
            if (optimizer == 1) c.optimizer.form = OptimizerSettings::Form::keras;
            if (optimizer == 2) c.optimizer.kind = OptimizerSettings::Kind::sgd;
            c.optimizer.beta1 = optimizer == 3 ? 0 : 0.9;
            compare_updates(random, c);
          }
        }
      }
    }
  }
}

// Long enough for dead units' moments to meet the flush, and for units to be grouped anew (every 64 updates).
TEST(QNetworkLanes, ManyUpdates) {
  std::mt19937_64 random(4);
  Case c;
  c.shape = {33, 48};
  c.batch = 16;
  c.updates = 1200;
  compare_updates(random, c);
}

// With epsilon 0 what pads the rows divides 0 by 0, and so does every parameter whose gradient was always 0: here none has, or only
// padding has.
TEST(QNetworkLanes, EpsilonZeroSparesThePadding) {
  std::mt19937_64 random(5);
  const QNetworkShape shape{3, 5};
  auto slots = random_transitions(random, 64);
  State initial(static_cast<std::size_t>(shape.parameters()));
  for (std::size_t i = 0; i < initial.weight.size(); ++i)
    initial.weight[i] = initial.target[i] = 0.2f + 0.01f * static_cast<float>(i);
  for (Transition& t : slots) {
    for (float& x : t.observation) x = std::fabs(x);  // every unit is active
  }
  const OptimizerSettings settings = adam(1e-3, 0);
  const auto rules = make_q_update_rules<float>(shape, {}, settings, 64);
  std::vector<std::uint32_t> index(64);
  for (std::uint32_t i = 0; i < 64; ++i) index[i] = i;
  State reference = initial;
  std::vector<float> gradient(initial.weight.size());
  AdamSchedule schedule(settings);
  const auto all = executors();
  std::vector<Learner> learners;
  for (const LaneExecutor* executor : all) learners.emplace_back(*executor->q_network, rules, initial);
  for (int update = 0; update < 3; ++update) {
    const AdamSchedule::Factors f = schedule.next();
    const QStep<float> step{static_cast<float>(f.step), static_cast<float>(f.root_scale), true};
    ASSERT_TRUE(q_update(rules, slots.data(), step, reference.view(), gradient.data()).finite);
    for (std::size_t e = 0; e < all.size(); ++e) {
      ASSERT_TRUE(learners[e].update(slots, index, step).finite) << all[e]->name;
      ASSERT_TRUE(same_bits(learners[e].state(), reference)) << all[e]->name;
    }
  }
  Case dead;  // and where real parameters divide 0 by 0, all say so
  dead.shape = {20, 20};
  dead.optimizer = settings;
  compare_updates(random, dead);
}

// The same numbers fail wherever they are computed.
TEST(QNetworkLanes, FailuresAreTheSame) {
  std::mt19937_64 random(6);
  const float infinity = std::numeric_limits<float>::infinity();
  const QNetworkShape shape{18, 21};
  const std::uint32_t batch = 67;
  const auto slots = random_transitions(random, batch);
  std::vector<std::uint32_t> index(batch);
  for (std::uint32_t i = 0; i < batch; ++i) index[i] = i;
  const auto check = [&](const State& initial, const std::vector<Transition>& sick, Bootstrap bootstrap, bool finite) {
    QLearningSettings learning;
    learning.bootstrap = bootstrap;
    const auto rules = make_q_update_rules<float>(shape, learning, {}, batch);
    const QStep<float> step{0.1f, 1.0f, true};
    State state = initial;
    std::vector<float> gradient(state.weight.size());
    EXPECT_EQ(q_update(rules, sick.data(), step, state.view(), gradient.data()).finite, finite);
    for (const LaneExecutor* executor : executors()) {
      State copy = initial;
      Learner learner(*executor->q_network, rules, copy);
      EXPECT_EQ(learner.update(sick, index, step).finite, finite) << executor->name;
    }
  };
  const State sound = network(random, shape);
  for (const Bootstrap bootstrap : {Bootstrap::target_network, Bootstrap::double_q, Bootstrap::semi_gradient}) {
    check(sound, slots, bootstrap, true);
    for (const float bad : {std::nanf(""), infinity, -infinity, 3e38f}) {
      auto sick = slots;
      sick[66].reward = bad;
      check(sound, sick, bootstrap, bad == 3e38f);
      for (int i = 0; i < shape.parameters(); i += 29) {
        State state = sound;
        state.weight[static_cast<std::size_t>(i)] = bad;
        if (bad != 3e38f) check(state, slots, bootstrap, false);
      }
    }
  }
  // A first activation that overflows behind a second layer that is off: all values are finite.
  State hidden(sound.weight.size());
  hidden.weight[static_cast<std::size_t>(shape.bias_1(0))] = 3e38f;
  hidden.weight[static_cast<std::size_t>(shape.weight_1(0, 0))] = 3e38f;
  for (int k = 0; k < shape.hidden2; ++k) hidden.weight[static_cast<std::size_t>(shape.weight_2(k, 0))] = -1;
  auto far = slots;
  far[64].observation[0] = 5;
  check(hidden, far, Bootstrap::target_network, false);
}

TEST(QNetworkLanes, ResumesInAnyExecutor) {
  std::mt19937_64 random(7);
  const QNetworkShape shape{40, 30};
  const auto slots = random_transitions(random, 200);
  State initial = network(random, shape);
  const auto rules = make_q_update_rules<float>(shape, {}, {}, 32);
  std::vector<std::vector<std::uint32_t>> indices;
  for (int k = 0; k < 12; ++k) indices.push_back(choose(random, 32, slots.size()));
  const QStep<float> step{0.01f, 1.5f, true};
  const auto all = executors();
  Learner whole(*all[0]->q_network, rules, initial);
  for (const auto& index : indices) whole.update(slots, index, step);
  State state = initial;
  for (std::size_t k = 0; k < indices.size(); ++k) {  // another executor for each update
    Learner learner(*all[k % all.size()]->q_network, rules, state);
    learner.update(slots, indices[k], step);
    state = learner.state();
  }
  EXPECT_TRUE(same_bits(state, whole.state()));
}

TEST(QNetworkLanes, ValuesAreTheReferences) {
  std::mt19937_64 random(8);
  for (const QNetworkShape shape : {QNetworkShape{64, 64}, {32, 32}, {1, 1}, {17, 33}, {256, 256}}) {
    State state = network(random, shape);
    const auto rules = make_q_update_rules<float>(shape, {}, {}, 1);
    std::uniform_real_distribution<float> uniform(-2, 2);
    std::vector<float> observations(4 * 9);
    for (float& x : observations) x = uniform(random);
    for (const LaneExecutor* executor : executors()) {
      Learner learner(*executor->q_network, rules, state);
      std::vector<float> values(2 * 9), online(2);
      executor->q_network->values(rules, learner.memory(), observations.data(), 9, values.data());
      for (std::size_t n = 0; n < 9; ++n) {
        float x[4];
        std::copy_n(&observations[4 * n], 4, x);
        QActivations<float> a;
        q_forward(shape, state.weight.data(), x, a);
        void* const memory = learner.memory();
        executor->q_network->online_values(rules, &memory, x, 1, online.data());
        for (std::size_t action = 0; action < 2; ++action) {
          EXPECT_EQ(to_bits(values[2 * n + action]), to_bits(a.value[action])) << executor->name;
          EXPECT_EQ(to_bits(online[action]), to_bits(a.value[action])) << executor->name;
        }
      }
    }
  }
}

TEST(QNetworkLanes, SamplesAreTheReferences) {
  std::mt19937_64 random(10);
  for (const LaneExecutor* executor : executors()) {
    for (int trial = 0; trial < 400; ++trial) {
      const UniformKey key = make_uniform_key(random());
      const std::uint32_t batch = 1 + static_cast<std::uint32_t>(random() % kMostBatch);
      const std::uint64_t update = random() >> random() % 64, size = std::min(random() >> random() % 64, kMostTransitions);
      std::vector<std::uint32_t> expected(batch, 5), index(batch, 5);
      ASSERT_EQ(sample_replay<float>(key, update, size, batch, expected.data()), size >= batch);
      ASSERT_EQ(executor->q_network->sample(key, update, size, batch, index.data()), size >= batch) << executor->name;
      ASSERT_EQ(index, expected) << executor->name << ' ' << size << ' ' << batch;
    }
  }
}

// Online learning: one to five replicas in flight, each with the bits of a reference alone.
TEST(QNetworkLanes, OnlineUpdates) {
  std::mt19937_64 random(9);
  for (const Bootstrap bootstrap : {Bootstrap::semi_gradient, Bootstrap::residual}) {
    for (const double clip : {0.0, 0.2}) {
      for (const QNetworkShape shape : {QNetworkShape{32, 32}, {5, 3}, {17, 64}, {64, 64}, {130, 100}}) {
        for (const std::uint32_t replicas : {1u, 2u, 5u}) {
          const bool keras = replicas != 2;
          QLearningSettings learning;
          learning.bootstrap = bootstrap;
          learning.loss = replicas == 5 ? Loss::huber : Loss::mse;
          learning.clip_norm = clip;
          OptimizerSettings optimizer = adam(1e-3, 1e-7);
          optimizer.form = keras ? OptimizerSettings::Form::keras : OptimizerSettings::Form::torch;
          const auto rules = make_q_update_rules<float>(shape, learning, optimizer, 1);
          std::vector<State> reference;
          for (std::uint32_t r = 0; r < replicas; ++r) reference.push_back(network(random, shape));
          const auto all = executors();
          std::vector<std::vector<Learner>> learners(all.size());
          for (std::size_t e = 0; e < all.size(); ++e) {
            for (State& state : reference) learners[e].emplace_back(*all[e]->q_network, rules, state);
          }
          std::vector<float> gradient(reference[0].weight.size());
          AdamSchedule schedule(optimizer);
          for (int update = 0; update < 6; ++update) {
            const auto batch = random_transitions(random, replicas);
            const AdamSchedule::Factors f = schedule.next();
            const std::vector<QStep<float>> steps(replicas,
                                                  {static_cast<float>(f.step), static_cast<float>(f.root_scale), false});
            std::vector<float> observations;
            for (const Transition& t : batch) observations.insert(observations.end(), t.observation, t.observation + 4);
            std::vector<QUpdateResult<float>> expected;
            for (std::uint32_t r = 0; r < replicas; ++r) {
              expected.push_back(q_update(rules, &batch[r], steps[r], reference[r].view(), gradient.data()));
              ASSERT_TRUE(expected[r].finite);
            }
            for (std::size_t e = 0; e < all.size(); ++e) {
              SCOPED_TRACE(all[e]->name);
              std::vector<void*> memory;
              for (Learner& learner : learners[e]) memory.push_back(learner.memory());
              std::vector<float> values(2 * replicas);
              std::vector<QUpdateResult<float>> results(replicas);
              all[e]->q_network->online_values(rules, memory.data(), observations.data(), replicas, values.data());
              all[e]->q_network->online_update(rules, memory.data(), batch.data(), steps.data(), replicas, results.data());
              for (std::uint32_t r = 0; r < replicas; ++r) {
                ASSERT_TRUE(results[r].finite);
                ASSERT_EQ(to_bits(results[r].loss), to_bits(expected[r].loss));
                ASSERT_TRUE(same_bits(learners[e][r].state().weight, reference[r].weight, "weight")) << shape.hidden1 << ' ' << r;
                ASSERT_TRUE(same_bits(learners[e][r].state().m, reference[r].m, "m"));
                ASSERT_TRUE(same_bits(learners[e][r].state().v, reference[r].v, "v"));
              }
            }
          }
        }
      }
    }
  }
}

// Memory that another learner was in, as populations use it.
TEST(QNetworkLanes, ArraysThatAreMissingCountAsZeros) {
  std::mt19937_64 random(11);
  const QNetworkShape shape{20, 12};
  const auto rules = make_q_update_rules<float>(shape, QLearningSettings{}, OptimizerSettings{}, 8);
  for (const LaneExecutor* executor : executors()) {
    SCOPED_TRACE(executor->name);
    State before = network(random, shape);
    Learner learner(*executor->q_network, rules, before);
    const QLearner<const float> weights_alone = {before.weight.data(), nullptr, nullptr, nullptr};
    executor->q_network->load(rules, learner.memory(), weights_alone);
    const State after = learner.state();
    EXPECT_TRUE(same_bits(after.weight, before.weight, "weight"));
    const std::vector<float> zeros(before.weight.size());
    EXPECT_TRUE(same_bits(after.target, zeros, "target"));
    EXPECT_TRUE(same_bits(after.m, zeros, "m"));
    EXPECT_TRUE(same_bits(after.v, zeros, "v"));
  }
}

}  // namespace
}  // namespace fryer
