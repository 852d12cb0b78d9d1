// SPDX-License-Identifier: Apache-2.0
// CartPole against Gymnasium: recorded episodes and steps in double, one at a time and open loop; the equations once more, in
// Gymnasium's order of operations, for other settings; float beside double; start states; the limits' edges; and the proved bounds of
// observations against everything that episodes do.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "tests/engine/effort.h"
#include "tests/env/cart_pole_golden.h"

namespace fryer {
namespace {

using test::CartPoleState;
using test::GoldenEpisode;
using test::GoldenStep;

enum class Leaf { general, small };

template <class Real>
void step(const CartPole::Settings& settings, Leaf leaf, const Real (&state)[4], bool action, Real (&next)[4]) {
  CartPole::Rules<Real> rules = CartPole::make_rules<Real>(settings);
  rules.small_angles = leaf == Leaf::small;
  CartPole::step_by_rules(rules, state, action, next);
}

CartPoleState step_in_double(const CartPole::Settings& settings, Leaf leaf, const CartPoleState& from, bool action) {
  const double state[4] = {from[0], from[1], from[2], from[3]};
  double next[4];
  step(settings, leaf, state, action, next);
  return {next[0], next[1], next[2], next[3]};
}

bool is_terminated(const CartPole::Settings& settings, const CartPoleState& s) {
  const double state[4] = {s[0], s[1], s[2], s[3]};
  return !CartPole::inside(CartPole::make_rules<double>(settings), true, state);
}

double reward_of(const CartPole::Settings& settings, bool terminated) {
  if (settings.sutton_barto_reward) return terminated ? -1.0 : 0.0;
  return 1.0;
}

// With both leaves where both apply.
void expect_step(const CartPole::Settings& settings, const CartPoleState& state, bool action, const CartPoleState& expected) {
  for (const Leaf leaf : {Leaf::general, Leaf::small}) {
    if (leaf == Leaf::small && std::abs(state[2]) > kLargestSmallAngle) continue;
    const CartPoleState next = step_in_double(settings, leaf, state, action);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(next[i], expected[i], test::step_tolerance(expected[i]))
          << "coordinate " << i << (leaf == Leaf::small ? ", small angles" : "");
    }
    EXPECT_EQ(is_terminated(settings, next), is_terminated(settings, expected));
  }
}

// Detects a wrong term, sign, order of integration, limit, reward or flag in any of 3,622 steps.
TEST(CartPole, MakesEveryStepOfGymnasiumsEpisodes) {
  std::size_t steps = 0, semi_implicit = 0, both_flags = 0;
  for (const GoldenEpisode& e : test::golden_episodes()) {
    SCOPED_TRACE(e.name);
    for (std::size_t t = 0; t < e.actions.size(); ++t) {
      SCOPED_TRACE("step " + std::to_string(t));
      expect_step(e.settings, t == 0 ? e.initial_state : e.states[t - 1], e.actions[t] == '1', e.states[t]);
      const bool last = t + 1 == e.actions.size(), terminated = is_terminated(e.settings, e.states[t]);
      EXPECT_EQ(terminated, last && e.terminated);
      EXPECT_EQ(t + 1 == e.settings.max_steps, last && e.truncated);
      EXPECT_EQ(reward_of(e.settings, terminated), e.rewards[t]);
    }
    steps += e.actions.size();
    semi_implicit += e.settings.integrator == CartPole::Integrator::semi_implicit;
    both_flags += e.terminated && e.truncated;
  }
  EXPECT_EQ(steps, 3622u);
  EXPECT_EQ(semi_implicit, 8u);
  EXPECT_EQ(both_flags, 1u);
}

// States that play does not reach: the limits themselves and their neighbours, angles up to pi, high speeds.
TEST(CartPole, MakesGymnasiumsSingleSteps) {
  std::size_t edges = 0, terminated = 0;
  for (const GoldenStep& s : test::golden_steps()) {
    SCOPED_TRACE(s.kind + " step from " + nlohmann::json(s.state).dump());
    expect_step(s.settings, s.state, s.action, s.next_state);
    EXPECT_EQ(is_terminated(s.settings, s.next_state), s.terminated);
    EXPECT_EQ(is_terminated(s.settings, step_in_double(s.settings, Leaf::general, s.state, s.action)), s.terminated);
    EXPECT_EQ(reward_of(s.settings, s.terminated), s.reward);
    EXPECT_FALSE(s.truncated);
    edges += s.kind == "edge";
    terminated += s.terminated;
  }
  EXPECT_EQ(edges, 48u);
  EXPECT_GT(terminated, 300u);
}

// Detects what single steps cannot: a state carried over wrongly.
TEST(CartPole, ReplaysEpisodesFromTheirActions) {
  std::size_t compared = 0;
  for (const GoldenEpisode& e : test::golden_episodes()) {
    if (e.starts_on_a_limit) continue;
    SCOPED_TRACE(e.name);
    CartPoleState state = e.initial_state;
    const bool fits = std::abs(state[2]) <= kLargestSmallAngle;
    for (std::size_t t = 0; t < e.actions.size() && t < 200; ++t) {
      state = step_in_double(e.settings, fits ? Leaf::small : Leaf::general, state, e.actions[t] == '1');
      if (t < 100) {
        for (std::size_t i = 0; i < 4; ++i) {
          ASSERT_NEAR(state[i], e.states[t][i], test::open_loop_tolerance(t + 1, e.states[t][i])) << "step " << t << ", " << i;
        }
        ++compared;
      }
      ASSERT_EQ(is_terminated(e.settings, state), e.terminated && t + 1 == e.actions.size()) << "step " << t;
    }
  }
  EXPECT_GT(compared, 1500u);
}

// Gymnasium's cartpole.py, line by line, with the standard library's sine and cosine.
CartPoleState gymnasium_step(const CartPole::Settings& s, const CartPoleState& state, bool action) {
  const double total_mass = s.mass_pole + s.mass_cart, polemass_length = s.mass_pole * s.half_length;
  const double force = action ? s.force : -s.force;
  const double costheta = std::cos(state[2]), sintheta = std::sin(state[2]);
  const double temp = (force + polemass_length * (state[3] * state[3]) * sintheta) / total_mass;
  const double thetaacc =
      (s.gravity * sintheta - costheta * temp) / (s.half_length * (4.0 / 3.0 - s.mass_pole * (costheta * costheta) / total_mass));
  const double xacc = temp - polemass_length * thetaacc * costheta / total_mass;
  CartPoleState next;
  next[1] = state[1] + s.dt * xacc;
  next[3] = state[3] + s.dt * thetaacc;
  const bool semi_implicit = s.integrator == CartPole::Integrator::semi_implicit;
  next[0] = state[0] + s.dt * (semi_implicit ? next[1] : state[1]);
  next[2] = state[2] + s.dt * (semi_implicit ? next[3] : state[3]);
  return next;
}

// Random states: a block of Philox is one.
CartPoleState random_state(std::uint64_t seed, std::uint64_t number, const CartPoleState& largest) {
  const auto words = random_block(seed, Purpose::reset, number);
  const std::uint32_t word[4] = {words.x, words.y, words.z, words.w};
  CartPoleState state;
  for (std::size_t i = 0; i < 4; ++i) state[i] = (2 * uniform24<double>(word[i]) * 0x1p-24 - 1) * largest[i];
  return state;
}

struct NamedSettings {
  const char* name;
  CartPole::Settings settings;
};
std::vector<NamedSettings> odd_settings() {
  std::vector<NamedSettings> all(8);
  const auto make = [&](std::size_t i, const char* name, auto change) {
    all[i].name = name;
    change(all[i].settings);
  };
  make(0, "default", [](CartPole::Settings&) {});
  make(1, "moon", [](CartPole::Settings& s) { s.gravity = 1.62, s.dt = 0.05; });
  make(2, "heavy pole", [](CartPole::Settings& s) { s.mass_pole = 20, s.mass_cart = 0.5, s.half_length = 0.2; });
  make(3, "long pole, weak push", [](CartPole::Settings& s) { s.half_length = 5, s.force = 0.5, s.angle_limit = 1.2; });
  make(4, "coarse time", [](CartPole::Settings& s) { s.dt = 0.5, s.position_limit = 30, s.angle_limit = 2.5; });
  make(5, "no gravity", [](CartPole::Settings& s) { s.gravity = 0, s.force = 3, s.mass_cart = 7; });
  make(6, "starts beyond the angle limit", [](CartPole::Settings& s) { s.dt = 1, s.force = 0, s.start_range = 0.5; });
  make(7, "hard push", [](CartPole::Settings& s) { s.force = 500, s.start_range = 0.2, s.position_limit = 0.3; });
  const std::size_t count = all.size();
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(all[i]);
    all.back().settings.integrator = CartPole::Integrator::semi_implicit;
  }
  return all;
}

// Detects a setting that is ignored, misplaced or folded into a constant wrongly. Ten times the recorded data's rounding, scaled by
// what the step adds, since odd settings make large terms.
TEST(CartPole, FollowsItsSettings) {
  for (const NamedSettings& named : odd_settings()) {
    const CartPole::Settings& s = named.settings;
    SCOPED_TRACE(named.name);
    for (std::uint64_t n = 0; n < 2000; ++n) {
      const CartPoleState state = random_state(11, n, {2 * s.position_limit, 5, 1.5 * s.angle_limit, 5});
      for (const bool action : {false, true}) {
        const CartPoleState expected = gymnasium_step(s, state, action), next = step_in_double(s, Leaf::general, state, action);
        for (std::size_t i = 0; i < 4; ++i) {
          const double size = 1 + std::abs(expected[i]) + std::abs(state[i]) + std::abs(expected[i - i % 2 + 1]);
          ASSERT_NEAR(next[i], expected[i], 2e-15 * size) << "state " << n << ", coordinate " << i;
        }
      }
    }
  }
}

// Float follows double to a few roundings, from the same float states; where a rounding may decide a flag, that is counted.
TEST(CartPole, InFloatIsTheDoubleStepRounded) {
  struct Count {
    int close = 0, differ = 0;
  } counts[2];
  const std::uint64_t states = test::little_effort() ? 20'000 : 1'000'000;
  const double worst = 4 * 0x1p-24;
  for (const auto integrator : {CartPole::Integrator::euler, CartPole::Integrator::semi_implicit}) {
    CartPole::Settings settings;
    settings.integrator = integrator;
    const CartPole::Rules<double> exact = CartPole::make_rules<double>(settings);
    CartPole::Rules<float> rules = CartPole::make_rules<float>(settings);
    Count& count = counts[integrator == CartPole::Integrator::semi_implicit];
    for (std::uint64_t n = 0; n < states; ++n) {
      CartPoleState at = random_state(12, n, {2.4, 3, 0.2094, 3});
      if (n % 4 == 0) at[2] = settings.angle_limit - settings.dt * at[3] + 1e-5 * at[2];  // the next angle is about the limit
      if (at[2] > kLargestSmallAngle) at[2] = 0;
      float state[4], next[4];
      double wide[4], expected[4];
      for (std::size_t i = 0; i < 4; ++i) wide[i] = static_cast<double>(state[i] = static_cast<float>(at[i]));
      const bool action = n % 2 != 0;
      CartPole::step_by_rules(exact, wide, action, expected);
      const bool inside = CartPole::inside(exact, true, expected);
      for (const bool small : {true, false}) {
        rules.small_angles = small;
        CartPole::step_by_rules(rules, state, action, next);
        for (std::size_t i = 0; i < 4; ++i) {
          ASSERT_NEAR(static_cast<double>(next[i]), expected[i], worst * (1 + std::abs(expected[i])))
              << "state " << n << ", coordinate " << i << ", small angles " << small;
        }
        const auto close = [&](std::size_t i, double limit) {
          return std::abs(std::abs(expected[i]) - limit) <= worst * (1 + limit);
        };
        const bool on_the_edge = close(0, settings.position_limit) || close(2, settings.angle_limit);
        count.close += on_the_edge;
        if (CartPole::inside(rules, true, next) != inside) {
          ++count.differ;
          ASSERT_TRUE(on_the_edge) << "state " << n;
        }
      }
    }
  }
  if (states != 1'000'000) return;
  EXPECT_EQ(counts[0].close, 34594);
  EXPECT_EQ(counts[0].differ, 796);
  EXPECT_EQ(counts[1].close, 6);
  EXPECT_EQ(counts[1].differ, 0);
}

// Word by word: [-r, r), in the order position, velocity, angle, angular velocity; the low 8 bits do not matter.
TEST(CartPole, StartsAreUniformInTheirRange) {
  for (const double range : {0.05, 0.0, 1.0}) {
    CartPole::Settings settings;
    settings.start_range = range;
    const auto rules = CartPole::make_rules<double>(settings);
    const auto narrow = CartPole::make_rules<float>(settings);
    const auto start = [&](const RandomBlock<std::uint32_t>& words) {
      double state[4];
      float floats[4];
      CartPole::start(rules, words, state);
      CartPole::start(narrow, words, floats);
      for (int i = 0; i < 4; ++i) {
        EXPECT_NEAR(static_cast<double>(floats[i]), state[i], 0x1p-24 * 2 * range);
        EXPECT_GE(floats[i], static_cast<float>(-range));
        EXPECT_TRUE(floats[i] < static_cast<float>(range) || range == 0);
      }
      return CartPoleState{state[0], state[1], state[2], state[3]};
    };
    const CartPoleState ends = start({0, 0xffffffffu, 0x800000ffu, 0xffu});
    const double last = (0x1p24 - 1) * 0x1p-24;
    EXPECT_EQ(ends[0], -range);
    EXPECT_NEAR(ends[1], range * (2 * last - 1), 1e-17);
    EXPECT_NEAR(ends[2], 0, 1e-17);
    EXPECT_EQ(ends[3], -range);
    CartPoleState sum{};
    for (std::uint64_t n = 0; n < 20'000; ++n) {
      const CartPoleState state = start(random_block(3, Purpose::reset, n));
      for (std::size_t i = 0; i < 4; ++i) sum[i] += state[i] / 20'000;
    }
    for (const double mean : sum) EXPECT_NEAR(mean, 0, 4 * range / std::sqrt(3.0 * 20'000));
  }
}

// The test is strict, and NaN is outside.
TEST(CartPole, LimitsAreStrictAndNanIsOutside) {
  const CartPole::Settings settings;
  const auto check = [&](auto real) {
    using Real = decltype(real);
    const auto rules = CartPole::make_rules<Real>(settings);
    const auto inside = [&](Real position, Real angle) {
      const Real state[4] = {position, Real(100), angle, Real(-100)};
      EXPECT_FALSE(CartPole::inside(rules, false, state)) << "an episode that has ended stays ended";
      return CartPole::inside(rules, true, state);
    };
    const Real infinity = std::numeric_limits<Real>::infinity(), nan = std::numeric_limits<Real>::quiet_NaN();
    const Real x = rules.position_limit, a = rules.angle_limit;
    for (const Real sign : {Real(1), Real(-1)}) {
      EXPECT_TRUE(inside(sign * x, 0));
      EXPECT_TRUE(inside(0, sign * a));
      EXPECT_TRUE(inside(sign * x, -sign * a));
      EXPECT_FALSE(inside(sign * std::nextafter(x, infinity), 0));
      EXPECT_FALSE(inside(0, sign * std::nextafter(a, infinity)));
      EXPECT_FALSE(inside(sign * infinity, 0));
      EXPECT_FALSE(inside(0, sign * infinity));
    }
    EXPECT_FALSE(inside(nan, 0));
    EXPECT_FALSE(inside(0, nan));
  };
  check(double());
  check(float());
}

// Where an angle may go beyond 0.21 the general sine is chosen, for all lanes alike.
TEST(CartPole, SmallAnglesAreAChoiceOfConfiguration) {
  CartPole::Settings settings;
  EXPECT_TRUE(CartPole::make_rules<float>(settings).small_angles);
  EXPECT_FALSE(CartPole::make_rules<float>(settings, true).small_angles);
  settings.angle_limit = 0.2100001;
  EXPECT_FALSE(CartPole::make_rules<float>(settings).small_angles);
  settings = {};
  settings.start_range = 0.3;
  EXPECT_FALSE(CartPole::make_rules<float>(settings).small_angles);
}

// The bounds carry the proofs that sums cannot overflow. Detects one that is too small, for players who do their worst: always one
// way, with the fall, against it, at random; and starts beyond the limit, whose first step counts.
TEST(CartPole, ObservationsStayWithinTheirBounds) {
  const std::uint64_t episodes = test::little_effort() ? 100 : 2'000;
  for (const NamedSettings& named : odd_settings()) {
    const CartPole::Settings& s = named.settings;
    SCOPED_TRACE(std::string(named.name) + (s.integrator == CartPole::Integrator::euler ? "" : ", semi-implicit"));
    const CartPole::Bounds bounds = CartPole::bounds(s);
    const CartPole::Bounds swing = CartPole::swing_bounds(CartPole::make_rules<float>(s));
    const CartPole::Rules<double> rules = CartPole::make_rules<double>(s, true);
    CartPoleState largest{};
    for (std::uint64_t n = 0; n < episodes; ++n) {
      double state[4], next[4];
      CartPole::start(rules, random_block(5, Purpose::reset, n), state);
      RandomBlock<std::uint32_t> words{};
      for (std::uint32_t t = 0; t < 500; ++t) {
        for (std::size_t i = 0; i < 4; ++i) largest[i] = std::max(largest[i], std::abs(state[i]));
        if (t % 32 == 0) words = random_block(5, Purpose::action, n, t / 32);
        bool action = (words.x >> (t % 32) & 1) != 0;
        if (n % 5 == 1) action = true;
        if (n % 5 == 2) action = state[3] < 0;                       // adds to the spin
        if (n % 5 == 3) action = state[2] > 0;                       // balances, and swings
        if (n % 5 == 4) action = state[2] + 0.25 * state[3] > 0.06;  // runs away to the right, the pole up
        CartPole::step_by_rules(rules, state, action, next);
        std::copy(next, next + 4, state);
        if (!CartPole::inside(rules, true, state)) break;
      }
    }
    for (std::size_t i = 0; i < 4; ++i) EXPECT_LE(largest[i], bounds.observation[i] * (1 + 1e-12)) << "coordinate " << i;
    for (std::size_t i = 0; i < 4; ++i) EXPECT_LE(largest[i], swing.observation[i] * (1 + 1e-6)) << "coordinate " << i;
    if (std::string(named.name) == "default") {
      if (s.integrator == CartPole::Integrator::euler) {
        EXPECT_LT(swing.observation[1], 10.2);
        EXPECT_LT(swing.observation[3], 4.3);
      }
      EXPECT_GT(largest[0], 0.9 * bounds.observation[0]);
      EXPECT_GT(largest[2], 0.9 * bounds.observation[2]);
    }
  }
}

}  // namespace
}  // namespace fryer
