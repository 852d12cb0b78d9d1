// SPDX-License-Identifier: Apache-2.0
// fryer::trace(): Gymnasium's episodes replayed, going on past the end as Gymnasium does, the seed's players against the lanes'
// episode program, digests, and what is refused.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "fryer/engine/api.h"
#include "tests/env/cart_pole_golden.h"

namespace fryer {
namespace {

using test::CartPoleState;
using test::GoldenEpisode;
using test::GoldenStep;
using Actions = TraceConfiguration::Actions;
using Precision = TraceConfiguration::Precision;

TraceConfiguration replay(const CartPole::Settings& settings, const CartPoleState& state, const std::string& actions) {
  TraceConfiguration c;
  c.environment = settings;
  c.actions = actions;
  c.state = state;
  return c;
}

void expect_near(const CartPoleState& state, const CartPoleState& expected, double tolerance(double)) {
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(state[i], expected[i], tolerance(expected[i])) << "coordinate " << i;
}

TEST(Trace, MakesEveryRecordedStep) {
  for (const GoldenEpisode& e : test::golden_episodes()) {
    SCOPED_TRACE(e.name);
    for (std::size_t t = 0; t < e.actions.size(); ++t) {
      SCOPED_TRACE("step " + std::to_string(t));
      const TraceResult r = trace(replay(e.settings, t == 0 ? e.initial_state : e.states[t - 1], e.actions.substr(t, 1)));
      ASSERT_EQ(r.steps.size(), 1u);
      EXPECT_EQ(r.steps[0].action, e.actions[t] == '1');
      expect_near(r.steps[0].state, e.states[t], test::step_tolerance);
      EXPECT_EQ(r.steps[0].reward, e.rewards[t]);
      EXPECT_EQ(r.steps[0].terminated, e.terminated && t + 1 == e.actions.size());
      EXPECT_FALSE(r.steps[0].truncated);
    }
  }
  for (const GoldenStep& s : test::golden_steps()) {
    SCOPED_TRACE(s.kind + " step from " + nlohmann::json(s.state).dump());
    const TraceResult r = trace(replay(s.settings, s.state, s.action ? "1" : "0"));
    ASSERT_EQ(r.steps.size(), 1u);
    EXPECT_EQ(r.initial_state, s.state);
    expect_near(r.steps[0].state, s.next_state, test::step_tolerance);
    EXPECT_EQ(r.steps[0].reward, s.reward);
    EXPECT_EQ(r.steps[0].terminated, s.terminated);
  }
}

// A step too many is given: the episode stops by itself.
TEST(Trace, EndsEpisodesWhereTheyEnded) {
  int whole = 0;
  for (const GoldenEpisode& e : test::golden_episodes()) {
    if (e.starts_on_a_limit || e.actions.size() > 200) continue;
    SCOPED_TRACE(e.name);
    const TraceResult r = trace(replay(e.settings, e.initial_state, e.actions + "01"));
    ASSERT_EQ(r.steps.size(), e.actions.size());
    for (std::size_t t = 0; t < r.steps.size(); ++t) {
      const TraceResult::Step& step = r.steps[t];
      const bool last = t + 1 == r.steps.size();
      EXPECT_EQ(step.terminated, last && e.terminated) << t;
      EXPECT_EQ(step.truncated, last && e.truncated) << t;
      EXPECT_EQ(step.reward, e.rewards[t]) << t;
      for (std::size_t i = 0; i < 4 && t < 100; ++i) {
        EXPECT_NEAR(step.state[i], e.states[t][i], test::open_loop_tolerance(t + 1, e.states[t][i])) << t;
      }
    }
    ++whole;
  }
  EXPECT_EQ(whole, 54);
}

TEST(Trace, StopsWhereTheActionsDo) {
  const TraceResult r = trace(replay({}, {0, 0, 0.01, 0}, "0110"));
  ASSERT_EQ(r.steps.size(), 4u);
  EXPECT_FALSE(r.steps.back().terminated || r.steps.back().truncated);
  CartPole::Settings settings;
  settings.max_steps = 3;
  const TraceResult truncated = trace(replay(settings, {0, 0, 0.01, 0}, "0110"));
  ASSERT_EQ(truncated.steps.size(), 3u);
  EXPECT_TRUE(truncated.steps[2].truncated);
  EXPECT_FALSE(truncated.steps[1].truncated || truncated.steps[2].terminated);
}

// A cart that leaves to the right and comes back: outside for some steps, then inside, then out at the left.
TraceConfiguration excursion() {
  TraceConfiguration c = replay({}, {2.39, 0.6, 0, 0}, std::string(200, '0'));
  c.environment.angle_limit = 1e4;
  c.environment.max_steps = 20;
  c.continue_past_end = true;
  return c;
}

// Gymnasium's cartpole.py: the first step that ends outside is paid, no other one outside is, and a step that ends inside is again.
TEST(Trace, GoesOnPastTheEndAsGymnasiumDoes) {
  TraceConfiguration c = excursion();
  const TraceResult r = trace(c);
  ASSERT_EQ(r.steps.size(), 200u);
  std::vector<bool> outside;
  for (const TraceResult::Step& step : r.steps) outside.push_back(std::abs(step.state[0]) > 2.4);
  const auto first = static_cast<std::size_t>(std::find(outside.begin(), outside.end(), true) - outside.begin());
  const auto back = std::find(outside.begin() + static_cast<std::ptrdiff_t>(first), outside.end(), false);
  ASSERT_NE(back, outside.end());
  ASSERT_NE(std::find(back, outside.end(), true), outside.end());
  c.environment.sutton_barto_reward = true;
  const TraceResult sutton = trace(c);
  for (std::size_t t = 0; t < r.steps.size(); ++t) {
    EXPECT_EQ(r.steps[t].terminated, outside[t]) << t;
    EXPECT_EQ(r.steps[t].truncated, t + 1 >= 20) << t;
    EXPECT_EQ(r.steps[t].reward, outside[t] && t != first ? 0.0 : 1.0) << t;
    EXPECT_EQ(sutton.steps[t].reward, outside[t] ? -1.0 : 0.0) << t;
    EXPECT_EQ(sutton.steps[t].state, r.steps[t].state) << t;
  }
  c.continue_past_end = false;
  EXPECT_EQ(trace(c).steps.size(), first + 1);
}

// Beyond 0.21 rad the general sine has to serve: every step that goes on is the one that starts afresh from there.
TEST(Trace, KeepsTheEquationsAtLargeAngles) {
  for (const Precision precision : {Precision::float64, Precision::float32}) {
    TraceConfiguration c = replay({}, {0, 0, 0.1, 0}, std::string(150, '1'));
    c.precision = precision;
    c.continue_past_end = true;
    const TraceResult r = trace(c);
    EXPECT_LT(r.steps.back().state[2], -3);
    TraceConfiguration one = c;
    for (std::size_t t = 1; t < r.steps.size(); ++t) {
      one.state = r.steps[t - 1].state;
      one.actions = "1";
      ASSERT_EQ(trace(one).steps[0].state, r.steps[t].state) << t;
    }
  }
}

TEST(Trace, OfAStateOutsideEndsAtOnce) {
  for (const CartPoleState& state : {CartPoleState{2.5, 0, 0, 0}, CartPoleState{0, 0, -0.3, 0}, CartPoleState{-900, 3, 50, 1}}) {
    const TraceResult r = trace(replay({}, state, "0110"));
    EXPECT_EQ(r.initial_state, state);
    ASSERT_EQ(r.steps.size(), 1u);
    EXPECT_TRUE(r.steps[0].terminated);
    EXPECT_EQ(r.steps[0].reward, 1.0);
  }
}

// Float: its own arithmetic, near the double's, and every number a float.
TEST(Trace, InFloatIsMadeOfFloats) {
  TraceConfiguration c;
  c.source = Actions::random;
  for (c.seed = 0; c.seed < 20; ++c.seed) {
    c.precision = Precision::float32;
    const TraceResult r = trace(c);
    TraceConfiguration one = c;
    one.source = Actions::given;
    one.precision = Precision::float64;
    one.state = r.initial_state;
    for (const TraceResult::Step& step : r.steps) {
      one.actions = step.action ? "1" : "0";
      const TraceResult exact = trace(one);
      for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(static_cast<double>(static_cast<float>(step.state[i])), step.state[i]);
        EXPECT_NEAR(step.state[i], exact.steps[0].state[i], 4 * 0x1p-24 * (1 + std::abs(step.state[i])));
      }
      one.state = step.state;
    }
  }
}

struct Greedy : GreedyPolicy<float, 4> {
  float logit(const float (&observation)[4]) const { return policy.logit(observation); }
};

// Episode 0 of an evaluation, as the lanes play it.
template <bool kGeneral>
TraceResult lane_episode(const TraceConfiguration& c) {
  CartPoleGame game{};
  game.rules = CartPole::make_rules<float>(c.environment);
  game.max_steps = c.environment.max_steps;
  game.unit_inside = c.environment.sutton_barto_reward ? 0.0f : 1.0f;
  game.unit_outside = c.environment.sutton_barto_reward ? -1.0f : 1.0f;
  SigmoidPolicy<float, 4> policy{};
  for (std::size_t i = 0; i < 4 && c.source == Actions::policy; ++i) policy.weight[i] = static_cast<float>(c.parameters[i]);
  policy.bias = static_cast<float>(c.source == Actions::policy ? c.parameters[4] : 0.0);
  CartPoleBlock<float, kGeneral> block{};
  CartPole::start(game.rules, random_block(c.seed, Purpose::evaluation_reset, 0), block.observation[0]);
  TraceResult r;
  for (std::size_t i = 0; i < 4; ++i) r.initial_state[i] = static_cast<double>(block.observation[0][i]);
  block.live[0] = true;
  for (std::uint32_t blocks = 0; block.live[0]; ++blocks) {
    const auto words = random_block(c.seed, Purpose::evaluation_action, 0, blocks);
    const std::uint32_t steps = steps_of(blocks);
    const std::uint32_t word[4] = {words.x, words.y, words.z, words.w};
    for (int k = 0; k < 4; ++k) {
      if (c.greedy) {
        block.advance(k, game, Greedy{{policy}}, word[k], steps);
      } else {
        block.advance(k, game, policy, word[k], steps);
      }
      if (!block.live[k]) continue;
      TraceResult::Step& step = r.steps.emplace_back();
      for (std::size_t i = 0; i < 4; ++i) step.state[i] = static_cast<double>(block.observation[k + 1][i]);
    }
    block.live[0] = !block.ended(game, blocks + 1);
    block.next();
    r.steps.back().terminated = block.terminated();
  }
  return r;
}

// Detects another random number, another order of them, another leaf or another policy than an evaluation's.
TEST(Trace, InFloatIsTheEvaluationsFirstEpisode) {
  std::size_t steps = 0, truncated = 0;
  for (const Actions source : {Actions::random, Actions::policy}) {
    for (const bool greedy : {false, true}) {
      for (const bool general : {false, true}) {
        TraceConfiguration c;
        c.precision = Precision::float32;
        c.source = source;
        c.greedy = greedy && source == Actions::policy;
        c.parameters = {0.3, 0.9, 6.5, 2.5, 0.1};
        if (general) {
          c.environment.integrator = CartPole::Integrator::semi_implicit;
          c.environment.angle_limit = 0.5;
          c.environment.sutton_barto_reward = true;
          c.environment.max_steps = 203;
        }
        for (c.seed = 42; c.seed < 62; ++c.seed) {
          SCOPED_TRACE(
              fmt::format("seed {}, source {}, greedy {}, general {}", c.seed, static_cast<int>(source), greedy, general));
          const TraceResult r = trace(c), expected = general ? lane_episode<true>(c) : lane_episode<false>(c);
          ASSERT_EQ(r.initial_state, expected.initial_state);
          ASSERT_EQ(r.steps.size(), expected.steps.size());
          for (std::size_t t = 0; t < r.steps.size(); ++t) ASSERT_EQ(r.steps[t].state, expected.steps[t].state) << t;
          EXPECT_EQ(r.steps.back().terminated, expected.steps.back().terminated);
          EXPECT_EQ(r.steps.back().truncated, r.steps.size() == c.environment.max_steps);
          steps += r.steps.size();
          truncated += r.steps.back().truncated;
        }
      }
    }
  }
  EXPECT_GT(steps, 5000u);
  EXPECT_GT(truncated, 10u);
}

// The same words in double: the same actions as in float until roundings part the two.
TEST(Trace, InDoubleStartsWithTheSameActions) {
  TraceConfiguration c;
  c.source = Actions::policy;
  c.parameters = {0.3, 0.9, 6.5, 2.5, 0.1};
  const TraceResult exact = trace(c);
  c.precision = Precision::float32;
  const TraceResult narrow = trace(c);
  ASSERT_GT(exact.steps.size(), 20u);
  for (std::size_t t = 0; t < 20; ++t) {
    EXPECT_EQ(exact.steps[t].action, narrow.steps[t].action) << t;
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(exact.steps[t].state[i], narrow.steps[t].state[i], 1e-5);
  }
}

// A policy that goes on past the end goes to max_steps.
TEST(Trace, OfAPolicyGoesOnToMaxSteps) {
  TraceConfiguration c;
  c.source = Actions::random;
  const std::size_t length = trace(c).steps.size();
  EXPECT_LT(length, 200u);
  c.continue_past_end = true;
  const TraceResult r = trace(c);
  ASSERT_EQ(r.steps.size(), 500u);
  EXPECT_TRUE(r.steps[length - 1].terminated);
  EXPECT_FALSE(r.steps[498].truncated);
  EXPECT_TRUE(r.steps[499].truncated);
}

std::string hex(std::uint64_t digest) { return fmt::format("{:#018x}", digest); }

// Held by every compiler and optimisation level that builds this test.
TEST(TraceDigest, IsTheGoldenOne) {
  TraceConfiguration c;
  c.source = Actions::random;
  EXPECT_EQ(hex(trace(c).digest), hex(0x8d3ba20bbada16a3));
  c.precision = Precision::float32;
  EXPECT_EQ(hex(trace(c).digest), hex(0x44eb04d02b3f9d03));
  EXPECT_EQ(hex(trace(excursion()).digest), hex(0x63ae971f188de603));
}

TEST(TraceDigest, DependsOnEveryRecordedNumber) {
  const TraceConfiguration c = replay({}, {0, 0, 0.01, 0}, "0110");
  const std::uint64_t digest = trace(c).digest;
  EXPECT_EQ(trace(c).digest, digest);
  for (const auto change :
       {+[](TraceConfiguration& x) { x.actions = "0111"; }, +[](TraceConfiguration& x) { x.actions = "01101"; },
        +[](TraceConfiguration& x) { (*x.state)[1] = 1e-12; }, +[](TraceConfiguration& x) { x.precision = Precision::float32; },
        +[](TraceConfiguration& x) { x.environment.sutton_barto_reward = true; },
        +[](TraceConfiguration& x) { x.environment.max_steps = 4; }, +[](TraceConfiguration& x) { x.environment.gravity = 9.81; },
        +[](TraceConfiguration& x) { x.environment.integrator = CartPole::Integrator::semi_implicit; }}) {
    TraceConfiguration other = c;
    change(other);
    EXPECT_NE(trace(other).digest, digest);
  }
  // What cannot be seen in the numbers does not count.
  TraceConfiguration other = c;
  other.seed = 7;
  other.environment.start_range = 0.1;
  EXPECT_EQ(trace(other).digest, digest);
}

std::string refusal(const TraceConfiguration& c) {
  try {
    trace(c);
    return "";
  } catch (const ConfigurationError& error) {
    return error.what();
  }
}

TEST(Trace, RefusesWhatItCannotPlay) {
  const TraceConfiguration good = replay({}, {0, 0, 0, 0}, "0110");
  EXPECT_EQ(refusal(good), "");
  const auto says = [&](auto change, const std::string& text) {
    TraceConfiguration c = good;
    change(c);
    EXPECT_NE(refusal(c).find(text), std::string::npos) << refusal(c);
  };
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  says([](auto& c) { c.actions = ""; }, "--actions: ''");
  says([](auto& c) { c.actions = "0120"; }, "--actions: '2' at position 3");
  says([](auto& c) { c.actions = "01\n"; }, "--actions: '\\x0a' at position 3");
  says([](auto& c) { c.actions.assign(1'000'001, '1'); }, "--actions: 1000001");
  for (std::size_t i = 0; i < 4; ++i) {
    for (const double bad : {nan, infinity, -infinity, 1e7}) says([&](auto& c) { (*c.state)[i] = bad; }, "--state: ");
  }
  says([](auto& c) { (*c.state)[2] = 100'001; }, "--state: 100001");
  const auto policy = [&](double parameter) {
    return [=](auto& c) {
      c.source = Actions::policy;
      c.parameters[2] = parameter;
    };
  };
  says(policy(nan), "--parameters: nan");
  says(policy(1e30), "--parameters: 1e+30");
  const auto setting = [&](double CartPole::Settings::*field, const std::string& option, std::initializer_list<double> bad) {
    for (const double value : bad) says([&](auto& c) { c.environment.*field = value; }, option + ": ");
    for (const double value : {nan, infinity, -infinity}) says([&](auto& c) { c.environment.*field = value; }, option + ": ");
  };
  setting(&CartPole::Settings::gravity, "--gravity", {-1e-9, 1001});
  setting(&CartPole::Settings::mass_cart, "--mass-cart", {0, 1001});
  setting(&CartPole::Settings::mass_pole, "--mass-pole", {0, -1, 1001});
  setting(&CartPole::Settings::half_length, "--half-length", {0, 1001});
  setting(&CartPole::Settings::force, "--force", {-1, 1.1e6});
  setting(&CartPole::Settings::dt, "--dt", {0, 1e-7, 1.5});
  setting(&CartPole::Settings::position_limit, "--position-limit", {0, 1.1e6});
  setting(&CartPole::Settings::angle_limit, "--angle-limit", {0, 10001});
  setting(&CartPole::Settings::start_range, "--start-range", {-0.01, 1001});
  for (const std::uint32_t steps : {0u, 100'001u}) says([&](auto& c) { c.environment.max_steps = steps; }, "--max-steps: ");
}

// Numbers that grow beyond what can be stepped are a failed run, not a NaN in the result.
TEST(Trace, FailsWhereTheStateRunsAway) {
  TraceConfiguration c = replay({}, {0, 0, 0.5, 1e6}, std::string(400, '1'));
  c.environment.dt = 1;
  c.continue_past_end = true;
  for (const Precision precision : {Precision::float64, Precision::float32}) {
    c.precision = precision;
    EXPECT_THROW(trace(c), RunError);
  }
}

}  // namespace
}  // namespace fryer
