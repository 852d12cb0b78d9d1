// SPDX-License-Identifier: Apache-2.0
// The lane programs' parts (episode, policy, loss, gradient, exact sum, optimiser) against PyTorch: trainings recorded by
// tests/data/make_fryshack.py from autograd and torch.optim in float32 and float64. The recorded uniform numbers become Philox words.
// Tolerances are those of tests/data/README.md. First one update at a time, then whole runs.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "fryer/algo/optimizer.h"
#include "fryer/lane/one_block_episode.h"

namespace fryer {
namespace {

using Json = nlohmann::json;

// The word whose uniform number is `value`, a multiple of 2^-24.
std::uint32_t word_of(double value) { return static_cast<std::uint32_t>(value * 0x1p24) << 8; }

template <class Real>
constexpr double kEps = std::is_same_v<Real, float> ? 0x1p-24 : 0x1p-53;

template <class Real>
struct Parameters {
  Real weight, bias;  // weight per unit of hunger
};

template <class Real>
struct EpisodeOutcome {
  Real p, loss, gradient24_bias, gradient48_weight;  // gradients scaled by 2^24 and 2^48, as lanes have them
  int action;
  double reward;
};

template <class Real>
class Shack {
 public:
  explicit Shack(const Json& settings)
      : reward_correct_(settings["reward_correct"].get<double>()), reward_wrong_(settings["reward_wrong"].get<double>()) {
    const double scale = settings["reward_scale"].get<double>();
    gain_correct_ = static_cast<Real>(scale * reward_correct_);
    gain_wrong_ = static_cast<Real>(scale * reward_wrong_);
    rules_.environment = FryShack::make_rules({});
    rules_.gain_correct = static_cast<float>(gain_correct_);
    rules_.gain_wrong = static_cast<float>(gain_wrong_);
  }

  EpisodeOutcome<Real> play_one(const Parameters<Real>& theta, const Json& numbers) const {
    const RandomBlock<std::uint32_t> words{word_of(numbers[0]), word_of(numbers[1]), word_of(numbers[2]), 0u};
    SigmoidPolicy<Real, 1> policy;
    policy.weight[0] = theta.weight * static_cast<Real>(FryShack::kObservationUnit);
    policy.bias = theta.bias;
    const OneBlockEpisode<Real> episode = play<Real>(rules_.environment, policy, words);
    const Real observation[1] = {episode.hunger24};
    const Real z = policy.logit(observation);
    const Real gain = episode.correct ? gain_correct_ : gain_wrong_;
    EpisodeOutcome<Real> outcome;
    outcome.p = sigmoid24(z) * static_cast<Real>(0x1p-24);
    outcome.loss = softplus(episode.action ? -z : z) * gain;
    // loss_gradient24 has the gains as floats; what double adds is the gains' own precision.
    outcome.gradient24_bias = std::is_same_v<Real, float> ? loss_gradient24(rules_, episode) : episode.error24 * gain;
    outcome.gradient48_weight = outcome.gradient24_bias * episode.hunger24;
    outcome.action = episode.action ? 1 : 0;
    outcome.reward = episode.correct ? reward_correct_ : reward_wrong_;
    return outcome;
  }

  const OneBlockRules& rules() const { return rules_; }

 private:
  double reward_correct_, reward_wrong_;
  Real gain_correct_, gain_wrong_;
  OneBlockRules rules_{};
};

// The mean gradient of a batch: in float as every lane makes it, through the exact sum; in double a plain mean.
template <class Real>
class MeanGradient {
 public:
  MeanGradient(const OneBlockRules& rules, std::size_t batch)
      : fixed_point_(make_fixed_point(batch, rules.gain_correct, rules.gain_wrong)), batch_(static_cast<double>(batch)) {}
  void add(const EpisodeOutcome<Real>& outcome) {
    if constexpr (std::is_same_v<Real, float>) {
      fixed_[0] += to_fixed(static_cast<double>(outcome.gradient48_weight), fixed_point_.weight_scale);
      fixed_[1] += to_fixed(static_cast<double>(outcome.gradient24_bias), fixed_point_.bias_scale);
    } else {
      plain_[0] += outcome.gradient48_weight * 0x1p-48;
      plain_[1] += outcome.gradient24_bias * 0x1p-24;
    }
  }
  Real weight() const { return mean(0); }
  Real bias() const { return mean(1); }

 private:
  Real mean(int i) const {
    if constexpr (std::is_same_v<Real, float>) return mean_from_fixed(fixed_[i], fixed_point_.unit);
    return static_cast<Real>(plain_[i] / batch_);
  }
  FixedPoint fixed_point_;
  double batch_, plain_[2] = {0, 0};
  std::int64_t fixed_[2] = {0, 0};
};

// How the powers of beta are made. The library's are running products in double, far finer than its floats; against float64 they
// stand out (1 - 0.999^t loses three digits of its rounding), so that comparisons of single steps in double make them afresh.
enum class Powers { running, exact };

template <class Real>
class Optimizer {
 public:
  Optimizer(const Json& settings, Powers powers)
      : settings_(read(settings)), constants_(make_optimizer_constants<Real>(settings_)), schedule_(settings_), powers_(powers) {}

  void step(const Parameters<Real>& gradient, bool learn_weight, Parameters<Real>& theta) {
    if (settings_.kind == OptimizerSettings::Kind::sgd) {
      sgd_step(constants_, gradient.bias, theta.bias);
      if (learn_weight) sgd_step(constants_, gradient.weight, theta.weight);
      return;
    }
    AdamSchedule::Factors factors = schedule_.next();
    if (std::is_same_v<Real, double> && powers_ == Powers::exact) factors = exact_factors();
    const Real size = static_cast<Real>(factors.step), root_scale = static_cast<Real>(factors.root_scale);
    adam_step(constants_, size, root_scale, gradient.bias, m_.bias, v_.bias, theta.bias);
    if (learn_weight) adam_step(constants_, size, root_scale, gradient.weight, m_.weight, v_.weight, theta.weight);
  }

 private:
  static OptimizerSettings read(const Json& settings) {
    OptimizerSettings s;
    s.kind = settings["optimizer"] == "adam" ? OptimizerSettings::Kind::adam : OptimizerSettings::Kind::sgd;
    s.learning_rate = settings["learning_rate"];
    s.beta1 = settings["adam_betas"][0];
    s.beta2 = settings["adam_betas"][1];
    s.epsilon = settings["adam_epsilon"];
    return s;
  }
  AdamSchedule::Factors exact_factors() {
    ++updates_;
    return {settings_.learning_rate / (1 - std::pow(settings_.beta1, updates_)),
            1 / std::sqrt(1 - std::pow(settings_.beta2, updates_))};
  }

  OptimizerSettings settings_;
  OptimizerConstants<Real> constants_;
  AdamSchedule schedule_;
  Powers powers_;
  int updates_ = 0;
  Parameters<Real> m_{0, 0}, v_{0, 0};
};

template <class Real>
Parameters<Real> initial(const Json& settings) {
  return {static_cast<Real>(settings["weight"].get<double>()), static_cast<Real>(settings["initial_bias"].get<double>())};
}

// Detects a wrong p, choice, reward, loss, gradient or step beyond a few roundings, in each of some 2,700 updates a precision.
template <class Real>
void compare_one_update_at_a_time(const Json& run) {
  const Json& settings = run["settings"];
  const double eps = kEps<Real>;
  const double learning_rate = settings["learning_rate"];
  const bool learn_weight = settings["learn_weight"];
  const std::size_t batch = settings["batch_size"];
  const Shack<Real> shack(settings);
  Optimizer<Real> optimizer(settings, Powers::exact);
  Parameters<Real> before = initial<Real>(settings);

  for (std::size_t update = 0; update < run["updates"].size(); ++update) {
    SCOPED_TRACE("update " + std::to_string(update));
    const Json& row = run["updates"][update];
    MeanGradient<Real> gradient(shack.rules(), batch);
    double loss = 0, loss_tolerance = 0, gradient_tolerance = 0;
    for (std::size_t i = 0; i < batch; ++i) {
      const Json& numbers = run["tape"][update * batch + i];
      const EpisodeOutcome<Real> outcome = shack.play_one(before, numbers);
      gradient.add(outcome);
      loss += static_cast<double>(outcome.loss) / static_cast<double>(batch);

      const double p = row["p"][i], hunger = numbers[0];
      const double size = std::fabs(static_cast<double>(before.weight) * hunger) + std::fabs(static_cast<double>(before.bias));
      EXPECT_NEAR(static_cast<double>(outcome.p), p, 4 * eps * (p * (1 - p) * size + 2 * p));
      EXPECT_EQ(outcome.action, row["action"][i].get<int>());
      EXPECT_EQ(outcome.reward, row["reward"][i].get<double>());
      const double c = std::fabs(settings["reward_scale"].get<double>() * outcome.reward);
      // The probability of the action taken, which is 0 in float where 1 - p rounds to it: from the logit.
      const double z = static_cast<double>(before.weight) * hunger + static_cast<double>(before.bias);
      const double taken = 1 / (1 + std::exp(outcome.action != 0 ? -z : z));
      gradient_tolerance += 4 * eps * c * (p * (1 - p) * size + 2 * p + 1) / static_cast<double>(batch);
      loss_tolerance += 4 * eps * c * (size + 1 + 1 / taken + std::fabs(std::log(taken))) / static_cast<double>(batch);
    }
    EXPECT_NEAR(static_cast<double>(gradient.bias()), row["gradient_bias"].get<double>(), gradient_tolerance);
    if (learn_weight) {
      EXPECT_NEAR(static_cast<double>(gradient.weight()), row["gradient_weight"].get<double>(), gradient_tolerance);
    }
    EXPECT_NEAR(loss, row["loss"].get<double>(), loss_tolerance);

    Parameters<Real> recorded = before, after = before;
    recorded.bias = static_cast<Real>(row["bias"].get<double>());
    Parameters<Real> recorded_gradient{0, static_cast<Real>(row["gradient_bias"].get<double>())};
    if (learn_weight) {
      recorded.weight = static_cast<Real>(row["weight"].get<double>());
      recorded_gradient.weight = static_cast<Real>(row["gradient_weight"].get<double>());
    }
    optimizer.step(recorded_gradient, learn_weight, after);
    const auto expect_step = [&](Real from, Real to, Real expected) {
      EXPECT_NEAR(static_cast<double>(to), static_cast<double>(expected),
                  4 * eps * (std::fabs(static_cast<double>(from)) + std::fabs(static_cast<double>(expected)) + learning_rate));
    };
    expect_step(before.bias, after.bias, recorded.bias);
    expect_step(before.weight, after.weight, recorded.weight);
    before = recorded;
  }
}

// Detects what single steps cannot show: a moment, a count or a sum that is carried over wrongly.
template <class Real>
void compare_whole_run(const Json& run) {
  const Json& settings = run["settings"];
  const bool learn_weight = settings["learn_weight"];
  const std::size_t batch = settings["batch_size"];
  const double tolerance = std::is_same_v<Real, float> ? 4 * run["bias_spread"].get<double>() + 1e-5 : 1e-8;
  const Shack<Real> shack(settings);
  Optimizer<Real> optimizer(settings, Powers::running);
  Parameters<Real> theta = initial<Real>(settings);
  for (std::size_t update = 0; update < run["updates"].size(); ++update) {
    MeanGradient<Real> gradient(shack.rules(), batch);
    for (std::size_t i = 0; i < batch; ++i) gradient.add(shack.play_one(theta, run["tape"][update * batch + i]));
    optimizer.step({gradient.weight(), gradient.bias()}, learn_weight, theta);
    const Json& row = run["updates"][update];
    ASSERT_NEAR(static_cast<double>(theta.bias), row["bias"].get<double>(), tolerance) << "update " << update;
    if (learn_weight) {
      ASSERT_NEAR(static_cast<double>(theta.weight), row["weight"].get<double>(), tolerance) << "update " << update;
    }
  }
}

// All runs of the file, parsed once.
const std::vector<Json>& runs() {
  static const std::vector<Json> all = [] {
    std::vector<Json> r;
    std::ifstream file(FRYER_TEST_DATA "/fryshack_traces.jsonl");
    for (std::string line; std::getline(file, line);) r.push_back(Json::parse(line));
    return r;
  }();
  return all;
}

template <class Body>
void for_each_run(Body body) {
  std::size_t floats = 0, doubles = 0;
  for (const Json& run : runs()) {
    SCOPED_TRACE(run["name"].get<std::string>() + ", " + run["dtype"].get<std::string>());
    if (run["dtype"] == "float32") {
      ++floats;
      body(run, float());
    } else {
      ++doubles;
      body(run, double());
    }
  }
  EXPECT_EQ(floats, 14u);  // the file is there, and whole
  EXPECT_EQ(doubles, 14u);
}

TEST(GoldenTraces, OneUpdateAtATime) {
  for_each_run([](const Json& run, auto real) { compare_one_update_at_a_time<decltype(real)>(run); });
}

TEST(GoldenTraces, WholeRuns) {
  for_each_run([](const Json& run, auto real) { compare_whole_run<decltype(real)>(run); });
}

}  // namespace
}  // namespace fryer
