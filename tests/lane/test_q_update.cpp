// SPDX-License-Identifier: Apache-2.0
// Whole updates of the value learners against PyTorch (tests/data/dqn_updates.json), in double and float: Q values, targets, losses, every
// gradient, weights after one and after five Adam steps, target mixing. Then what the file does not cover: clipping, hard
// targets, double DQN, gradients against central differences of the loss, failures, saving and resuming.
//
// Tolerances (tests/data/README.md): double 1e-12; float 2e-6 on values, losses, gradients and weights, 1e-5 on digests.
#include "fryer/lane/q_update.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>
#include "tests/lane/random_transitions.h"

namespace fryer {
namespace {

using Json = nlohmann::json;
const char* const kTensors[] = {"weight_1", "bias_1", "weight_2", "bias_2", "weight_3", "bias_3"};

template <class Real>
constexpr double kTolerance = sizeof(Real) == 8 ? 1e-12 : 2e-6;
template <class Real>
constexpr double kDigestTolerance = sizeof(Real) == 8 ? 1e-12 : 1e-5;

void flatten(const Json& json, std::vector<double>& to) {
  if (json.is_array()) {
    for (const Json& element : json) flatten(element, to);
  } else {
    to.push_back(json.get<double>());
  }
}

template <class Real>
std::vector<Real> parameters_of(const Json& tensors) {
  std::vector<double> all;
  for (const char* name : kTensors) flatten(tensors[name], all);
  return {all.begin(), all.end()};
}

// A recorded tensor, or its digest, against ours.
template <class Real>
void expect_tensors(const QNetworkShape& shape, const std::vector<Real>& ours, const Json& recorded, const std::string& what) {
  const int begin[7] = {
      0, shape.bias_1(0), shape.weight_2(0, 0), shape.bias_2(0), shape.weight_3(0, 0), shape.bias_3(0), shape.parameters()};
  for (int tensor = 0; tensor < 6; ++tensor) {
    SCOPED_TRACE(what + ", " + kTensors[tensor]);
    const Json& expected = recorded[kTensors[tensor]];
    const std::vector<double> x(ours.begin() + begin[tensor], ours.begin() + begin[tensor + 1]);
    if (expected.is_array()) {
      std::vector<double> values;
      flatten(expected, values);
      ASSERT_EQ(values.size(), x.size());
      for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], values[i], kTolerance<Real>) << i;
      continue;
    }
    double sum = 0, squares = 0, ramp = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      sum += x[i];
      squares += x[i] * x[i];
      ramp += x[i] * static_cast<double>(i + 1) / static_cast<double>(x.size());
    }
    EXPECT_NEAR(sum, expected["sum"].get<double>(), kDigestTolerance<Real>);
    EXPECT_NEAR(squares, expected["sum_of_squares"].get<double>(), kDigestTolerance<Real>);
    EXPECT_NEAR(ramp, expected["ramp_sum"].get<double>(), kDigestTolerance<Real>);
    for (std::size_t i = 0; i < expected["index"].size(); ++i) {
      EXPECT_NEAR(x[expected["index"][i].get<std::size_t>()], expected["value"][i].get<double>(), kTolerance<Real>);
    }
  }
}

std::vector<Transition> transitions_of(const Json& batch, bool masked) {
  std::vector<Transition> transitions(batch["action"].size());
  for (std::size_t n = 0; n < transitions.size(); ++n) {
    Transition& t = transitions[n];
    for (std::size_t i = 0; i < 4; ++i) {
      t.observation[i] = batch["observation"][n][i].get<float>();
      t.next_observation[i] = batch["next_observation"][n][i].get<float>();
    }
    t.reward = batch["reward"][n].get<float>();
    t.bootstraps = masked && batch["terminated"][n].get<bool>() ? 0 : 1;
    t.action = batch["action"][n].get<std::uint32_t>();
  }
  return transitions;
}

template <class Real>
struct Training {
  QUpdateRules<Real> rules;
  AdamSchedule schedule;
  std::vector<Real> weight, target, m, v, gradient;

  Training(const QNetworkShape& shape, const QLearningSettings& learning, const OptimizerSettings& optimizer, std::uint32_t batch,
           const std::vector<Real>& weights, const std::vector<Real>& target_weights)
      : rules(make_q_update_rules<Real>(shape, learning, optimizer, batch)),
        schedule(optimizer),
        weight(weights),
        target(target_weights),
        m(weights.size()),
        v(weights.size()),
        gradient(weights.size()) {}

  QUpdateResult<Real> update(const Transition* batch, bool mixes_target = true) {
    const AdamSchedule::Factors f = schedule.next();
    return q_update(rules, batch, {static_cast<Real>(f.step), static_cast<Real>(f.root_scale), mixes_target},
                    {weight.data(), target.data(), m.data(), v.data()}, gradient.data());
  }
};

const Json& golden() {
  static const Json data = [] {
    std::ifstream file(FRYER_TEST_DATA "/dqn_updates.json");
    return Json::parse(file);
  }();
  return data;
}

OptimizerSettings adam_of(const Json& c, double epsilon, OptimizerSettings::Form form) {
  OptimizerSettings s;
  s.learning_rate = c["learning_rate"];
  s.beta1 = c["adam_betas"][0];
  s.beta2 = c["adam_betas"][1];
  s.epsilon = epsilon;
  s.form = form;
  return s;
}

template <class Real>
void check_dqn(const Json& c) {
  SCOPED_TRACE(c["name"].get<std::string>() + (sizeof(Real) == 8 ? ", double" : ", float"));
  const Json& expected = c["results"][sizeof(Real) == 8 ? "float64" : "float32"];
  const QNetworkShape shape{c["network"][1], c["network"][2]};
  QLearningSettings learning;
  learning.loss = c["loss"] == "mse" ? Loss::mse : Loss::huber;
  learning.gamma = c["gamma"];
  learning.tau = c["tau"];
  learning.clip_norm = 0;
  const auto first = transitions_of(c["batches"][0], true);
  Training<Real> training(shape, learning, adam_of(c, c["adam_epsilon"], OptimizerSettings::Form::torch),
                          static_cast<std::uint32_t>(first.size()), parameters_of<Real>(c["weights"]),
                          parameters_of<Real>(c["target_weights"]));
  for (std::size_t n = 0; n < first.size(); ++n) {
    const Transition& t = first[n];
    Real here[4], next[4];
    std::copy(t.observation, t.observation + 4, here);
    std::copy(t.next_observation, t.next_observation + 4, next);
    QActivations<Real> a, b;
    q_forward(shape, training.weight.data(), here, a);
    q_forward(shape, training.target.data(), next, b);
    for (std::size_t action = 0; action < 2; ++action) {
      EXPECT_NEAR(a.value[action], expected["q"][n][action].get<double>(), kTolerance<Real>);
      EXPECT_NEAR(b.value[action], expected["next_q_target"][n][action].get<double>(), kTolerance<Real>);
    }
    const Real y =
        td_target(training.rules.learning, Real(t.reward), Real(t.bootstraps), greedy_action(b.value) ? b.value[1] : b.value[0]);
    EXPECT_NEAR(y, expected["target"][n].get<double>(), kTolerance<Real>);
  }
  for (std::size_t k = 0; k < c["batches"].size(); ++k) {
    const QUpdateResult<Real> result = training.update(transitions_of(c["batches"][k], true).data());
    EXPECT_TRUE(result.finite);
    EXPECT_NEAR(result.loss, expected["loss"][k].get<double>(), kTolerance<Real>) << k;
    if (k != 0) continue;
    expect_tensors(shape, training.gradient, expected["gradient"], "gradient");
    expect_tensors(shape, training.weight, expected["weights_after_1"], "weights after 1");
    expect_tensors(shape, training.target, expected["target_weights_after_1"], "target weights after 1");
  }
  expect_tensors(shape, training.weight, expected["weights_after_5"], "weights after 5");
  expect_tensors(shape, training.target, expected["target_weights_after_5"], "target weights after 5");
}

template <class Real>
void check_online(const Json& c, OptimizerSettings::Form form) {
  const std::string name = form == OptimizerSettings::Form::torch ? "torch" : "keras";
  SCOPED_TRACE(c["name"].get<std::string>() + ", " + name + (sizeof(Real) == 8 ? ", double" : ", float"));
  const Json& expected = c["results"][sizeof(Real) == 8 ? "float64" : "float32"][name];
  const QNetworkShape shape{c["network"][1], c["network"][2]};
  QLearningSettings learning;
  learning.bootstrap = c["variant"] == "residual" ? Bootstrap::residual : Bootstrap::semi_gradient;
  learning.loss = Loss::mse;
  learning.gamma = c["gamma"];
  learning.clip_norm = 0;
  Training<Real> training(shape, learning, adam_of(c, 1e-7, form), 1, parameters_of<Real>(c["weights"]), {});
  for (std::size_t k = 0; k < c["batches"].size(); ++k) {
    const Transition t = transitions_of(c["batches"][k], false)[0];
    Real here[4], next[4];
    std::copy(t.observation, t.observation + 4, here);
    std::copy(t.next_observation, t.next_observation + 4, next);
    QActivations<Real> a, b;
    q_forward(shape, training.weight.data(), here, a);
    q_forward(shape, training.weight.data(), next, b);
    for (std::size_t action = 0; action < 2; ++action) {
      EXPECT_NEAR(a.value[action], expected["q"][k][action].get<double>(), kTolerance<Real>);
      EXPECT_NEAR(b.value[action], expected["next_q"][k][action].get<double>(), kTolerance<Real>);
    }
    const QUpdateResult<Real> result = training.update(&t);
    EXPECT_TRUE(result.finite);
    EXPECT_NEAR(result.loss, expected["loss"][k].get<double>(), kTolerance<Real>) << k;
    if (k != 0) continue;
    expect_tensors(shape, training.gradient, expected["gradient"], "gradient");
    expect_tensors(shape, training.weight, expected["weights_after_1"], "weights after 1");
  }
  expect_tensors(shape, training.weight, expected["weights_after_5"], "weights after 5");
}

TEST(QUpdate, IsPyTorchs) {
  int dqn = 0, online = 0;
  for (const Json& c : golden()["cases"]) {
    if (c["kind"] == "dqn") {
      check_dqn<double>(c);
      check_dqn<float>(c);
      ++dqn;
    } else {
      for (const auto form : {OptimizerSettings::Form::torch, OptimizerSettings::Form::keras}) {
        check_online<double>(c, form);
        check_online<float>(c, form);
      }
      ++online;
    }
  }
  EXPECT_EQ(dqn, 4);
  EXPECT_EQ(online, 2);
}

// ---- beyond the file

template <class Real>
std::vector<Real> random_network(std::mt19937_64& random, const QNetworkShape& shape) {
  std::uniform_real_distribution<double> uniform(-0.6, 0.6);
  std::vector<Real> w(static_cast<std::size_t>(shape.parameters()));
  for (Real& x : w) x = static_cast<Real>(uniform(random));
  return w;
}

// The gradient of the loss by every weight against central differences in double, for each way to bootstrap. What is held fixed stays
// fixed: the semi-gradient's target is that of the unmoved weights, so its loss is taken with them. A step of 1e-7 crosses a
// corner in few of the cases; those show as outliers, of which at most one weight in 200 may be.
TEST(QUpdate, GradientIsTheDerivativeOfTheLoss) {
  std::mt19937_64 random(9);
  const QNetworkShape shape{6, 5};
  for (const Bootstrap bootstrap :
       {Bootstrap::target_network, Bootstrap::double_q, Bootstrap::semi_gradient, Bootstrap::residual}) {
    for (const Loss loss : {Loss::mse, Loss::huber}) {
      QLearningSettings learning;
      learning.bootstrap = bootstrap;
      learning.loss = loss;
      int outliers = 0, checked = 0;
      for (int trial = 0; trial < 20; ++trial) {
        const std::uint32_t n = bootstrap == Bootstrap::residual ? 1 : 1 + static_cast<std::uint32_t>(trial) * 3;
        const auto batch = random_transitions(random, n);
        const auto target = random_network<double>(random, shape);
        auto weight = random_network<double>(random, shape);
        const auto rules = make_q_update_rules<double>(shape, learning, {}, n);
        std::vector<double> gradient(weight.size());
        q_gradient(rules, batch.data(), weight.data(), target.data(), gradient.data());
        const std::vector<double> unmoved = weight;
        const auto loss_of = [&] {
          MeanLoss<double> mean;
          for (std::uint32_t i = 0; i < n; ++i) {
            double here[4], next[4];
            std::copy(batch[i].observation, batch[i].observation + 4, here);
            std::copy(batch[i].next_observation, batch[i].next_observation + 4, next);
            QActivations<double> a, b, chooser;
            q_forward(shape, weight.data(), here, a);
            const std::vector<double>& evaluating = rules.learning.has_target_network() ? target
                                                    : bootstrap == Bootstrap::residual  ? weight
                                                                                        : unmoved;
            q_forward(shape, evaluating.data(), next, b);
            q_forward(shape, bootstrap == Bootstrap::double_q ? unmoved.data() : evaluating.data(), next, chooser);
            const double value = greedy_action(chooser.value) ? b.value[1] : b.value[0];
            mean.add(i, sample_loss(rules.learning, a.value[batch[i].action] - td_target(rules.learning, double(batch[i].reward),
                                                                                         double(batch[i].bootstraps), value)));
          }
          return mean.mean(rules.learning);
        };
        for (std::size_t i = 0; i < weight.size(); ++i) {
          const double step = 1e-7;
          weight[i] = unmoved[i] + step;
          const double above = loss_of();
          weight[i] = unmoved[i] - step;
          const double below = loss_of();
          weight[i] = unmoved[i];
          outliers += std::fabs(gradient[i] - (above - below) / (2 * step)) > 2e-7 ? 1 : 0;
          ++checked;
        }
      }
      EXPECT_LE(outliers, checked / 200) << static_cast<int>(bootstrap) << ' ' << static_cast<int>(loss);
    }
  }
}

// Clipped gradients have the norm asked for, and smaller ones are untouched.
TEST(QUpdate, ClipsTheWholeGradient) {
  std::mt19937_64 random(10);
  const QNetworkShape shape{9, 7};
  const auto weight = random_network<float>(random, shape), target = random_network<float>(random, shape);
  const auto batch = random_transitions(random, 32);
  const auto gradient_of = [&](double clip) {
    QLearningSettings learning;
    learning.clip_norm = clip;
    Training<float> training(shape, learning, {}, 32, weight, target);
    training.update(batch.data());
    return training.gradient;
  };
  const auto whole = gradient_of(0), clipped = gradient_of(0.01), untouched = gradient_of(1e6);
  double norm = 0, clipped_norm = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    norm += static_cast<double>(whole[i]) * static_cast<double>(whole[i]);
    clipped_norm += static_cast<double>(clipped[i]) * static_cast<double>(clipped[i]);
  }
  ASSERT_GT(std::sqrt(norm), 0.02);
  EXPECT_NEAR(std::sqrt(clipped_norm), 0.01, 1e-6);
  const auto factor = static_cast<float>(0.01 / (std::sqrt(norm) + 1e-6));
  for (std::size_t i = 0; i < whole.size(); ++i) {
    EXPECT_EQ(to_bits(clipped[i]), to_bits(whole[i] * factor));
    EXPECT_EQ(to_bits(untouched[i]), to_bits(whole[i]));
  }
}

TEST(QUpdate, HardTargetsAreCopiesWhenAskedFor) {
  std::mt19937_64 random(11);
  const QNetworkShape shape{5, 4};
  const auto weight = random_network<float>(random, shape), target = random_network<float>(random, shape);
  QLearningSettings learning;
  learning.tau = 1;
  Training<float> training(shape, learning, {}, 8, weight, target);
  training.update(random_transitions(random, 8).data(), false);
  EXPECT_EQ(training.target, target);
  EXPECT_NE(training.weight, weight);
  training.update(random_transitions(random, 8).data(), true);
  EXPECT_EQ(training.target, training.weight);
}

// Double DQN takes the other network's value of the network's own choice: with networks that prefer different actions the targets
// differ, and the difference is that of the target's two values.
TEST(QUpdate, DoubleDqnChoosesWithTheOnlineNetwork) {
  const QNetworkShape shape{1, 1};
  const std::size_t n = static_cast<std::size_t>(shape.parameters());
  std::vector<double> weight(n), target(n);
  weight[static_cast<std::size_t>(shape.bias_3(0))] = 2;  // prefers action 0
  weight[static_cast<std::size_t>(shape.bias_3(1))] = 1;
  target[static_cast<std::size_t>(shape.bias_3(0))] = 3;
  target[static_cast<std::size_t>(shape.bias_3(1))] = 5;  // prefers action 1
  Transition t{};
  t.reward = 1;
  t.bootstraps = 1;
  const auto loss_with = [&](Bootstrap bootstrap) {
    QLearningSettings learning;
    learning.bootstrap = bootstrap;
    learning.loss = Loss::mse;
    learning.gamma = 0.5;
    std::vector<double> gradient(n);
    return q_gradient(make_q_update_rules<double>(shape, learning, {}, 1), &t, weight.data(), target.data(), gradient.data())
        .loss;
  };
  EXPECT_EQ(loss_with(Bootstrap::target_network), (2 - 3.5) * (2 - 3.5));
  EXPECT_EQ(loss_with(Bootstrap::double_q), (2 - 2.5) * (2 - 2.5));
  EXPECT_EQ(loss_with(Bootstrap::semi_gradient), 0);
}

// A number that is not finite, anywhere, is a failure, although ReLU makes 0 of NaN.
TEST(QUpdate, FailsOnNonFiniteNumbers) {
  std::mt19937_64 random(12);
  const QNetworkShape shape{6, 5};
  const auto weight = random_network<float>(random, shape), target = random_network<float>(random, shape);
  const auto batch = random_transitions(random, 16);
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  Training<float> sound(shape, {}, {}, 16, weight, target);
  EXPECT_TRUE(sound.update(batch.data()).finite);
  for (const float bad : {nan, infinity, -infinity}) {
    for (std::size_t i = 0; i < weight.size(); ++i) {
      Training<float> training(shape, {}, {}, 16, weight, target);
      training.weight[i] = bad;
      EXPECT_FALSE(training.update(batch.data()).finite) << i;
      training = Training<float>(shape, {}, {}, 16, weight, target);
      training.target[i] = bad;
      EXPECT_FALSE(training.update(batch.data()).finite) << i;
    }
    for (std::size_t n = 0; n < batch.size(); ++n) {
      auto broken = batch;
      broken[n].reward = bad;
      Training<float> training(shape, {}, {}, 16, weight, target);
      EXPECT_FALSE(training.update(broken.data()).finite) << n;
    }
  }
  // A first activation that overflows behind a second layer that is off: every value is finite, and still it is a failure.
  std::vector<float> hidden(weight.size());
  hidden[static_cast<std::size_t>(shape.bias_1(0))] = 3e38f;
  hidden[static_cast<std::size_t>(shape.weight_1(0, 0))] = 3e38f;
  for (int k = 0; k < shape.hidden2; ++k) hidden[static_cast<std::size_t>(shape.weight_2(k, 0))] = -1;
  auto far = batch;
  far[3].observation[0] = 5;
  Training<float> training(shape, {}, {}, 16, hidden, target);
  EXPECT_FALSE(training.update(far.data()).finite);
}

// A training goes on from its four arrays and its count of updates as if it had never stopped.
TEST(QUpdate, ResumesFromItsArrays) {
  std::mt19937_64 random(13);
  const QNetworkShape shape{12, 10};
  const auto weight = random_network<float>(random, shape), target = random_network<float>(random, shape);
  std::vector<std::vector<Transition>> batches;
  for (int k = 0; k < 20; ++k) batches.push_back(random_transitions(random, 16));
  Training<float> whole(shape, {}, {}, 16, weight, target);
  for (const auto& batch : batches) whole.update(batch.data());
  Training<float> first(shape, {}, {}, 16, weight, target);
  for (std::size_t k = 0; k < 7; ++k) first.update(batches[k].data());
  Training<float> second(shape, {}, {}, 16, first.weight, first.target);
  second.m = first.m;
  second.v = first.v;
  for (int k = 0; k < 7; ++k) second.schedule.next();
  for (std::size_t k = 7; k < 20; ++k) second.update(batches[k].data());
  EXPECT_EQ(second.weight, whole.weight);
  EXPECT_EQ(second.target, whole.target);
  EXPECT_EQ(second.m, whole.m);
  EXPECT_EQ(second.v, whole.v);
}

}  // namespace
}  // namespace fryer
