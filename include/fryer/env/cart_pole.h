// SPDX-License-Identifier: Apache-2.0
// CartPole-v0 and v1 as Gymnasium has them (classic_control/cartpole.py; Barto, Sutton, Anderson 1983; equations of Florian 2007). A
// pole on a cart: state (position m, velocity m/s, angle rad, angular velocity rad/s), action 1 pushes right, 0 left. Written once for
// float, double and SIMD lanes. Positions advance with the old velocities (euler) or the new ones (semi_implicit). An episode is
// terminated when |position| or |angle| exceeds its limit, and truncated after max_steps; both may be true on the last step.
// Run by lanes, one episode each; knows no policy.
#pragma once

#include <cmath>
#include <compare>

#include "fryer/core/math.h"
#include "fryer/core/philox.h"

namespace fryer {

struct CartPole {
  static constexpr const char* kNameV0 = "CartPole-v0";
  static constexpr const char* kNameV1 = "CartPole-v1";
  static constexpr int kObservations = 4;
  static constexpr std::uint32_t kMaxStepsV0 = 200, kMaxStepsV1 = 500;

  enum class Integrator { euler, semi_implicit };

  // What a user sets; SI units, angles in radians.
  struct Settings {
    double gravity = 9.8;
    double mass_cart = 1.0, mass_pole = 0.1;
    double half_length = 0.5;  // of the pole
    double force = 10.0;       // of a push
    double dt = 0.02;          // time step
    double position_limit = 2.4;
    double angle_limit = 12 * 2 * 3.141592653589793 / 360;  // Gymnasium's double
    double start_range = 0.05;                              // start states are uniform in [-start_range, start_range)^4
    Integrator integrator = Integrator::euler;
    // Reward 1 on every step; or, if this is set, 0, and -1 on the step that terminates (a truncated step has 0).
    bool sutton_barto_reward = false;
    std::uint32_t max_steps = kMaxStepsV1;
    auto operator<=>(const Settings&) const = default;
  };

  // The settings as lanes use them, narrowed once.
  template <class Scalar>
  struct Rules {
    Scalar gravity;
    Scalar pole_share;  // mass_pole half_length / total mass
    Scalar inertia;     // 4/3 half_length
    Scalar push;        // force / total mass
    Scalar dt;
    Scalar position_limit, angle_limit;
    Scalar start_scale, start_low;  // start state = start_scale (word >> 8) + start_low
    bool semi_implicit;
    bool small_angles;  // no step starts from an angle beyond kLargestSmallAngle
  };

  // small_angles holds where no step is made from a state beyond the limit, and the limit allows it: a choice of configuration, so
  // that lanes never differ in it.
  template <class Scalar>
  static Rules<Scalar> make_rules(const Settings& s, bool beyond_the_end = false) {
    const double total = s.mass_cart + s.mass_pole;
    Rules<Scalar> r;
    r.gravity = static_cast<Scalar>(s.gravity);
    r.pole_share = static_cast<Scalar>(s.mass_pole * s.half_length / total);
    r.inertia = static_cast<Scalar>(s.half_length * 4 / 3);
    r.push = static_cast<Scalar>(s.force / total);
    r.dt = static_cast<Scalar>(s.dt);
    r.position_limit = static_cast<Scalar>(s.position_limit);
    r.angle_limit = static_cast<Scalar>(s.angle_limit);
    r.start_scale = static_cast<Scalar>(2 * s.start_range * 0x1p-24);
    r.start_low = static_cast<Scalar>(-s.start_range);
    r.semi_implicit = s.integrator == Integrator::semi_implicit;
    r.small_angles = !beyond_the_end && s.angle_limit <= kLargestSmallAngle && s.start_range <= kLargestSmallAngle;
    return r;
  }

  // The start state of the episode whose reset block this is: words position, velocity, angle, angular velocity.
  template <class Real>
  static FRYER_LANE void start(const Rules<ScalarOf<Real>>& rules, const RandomBlock<WordOf<Real>>& words, Real (&state)[4]) {
    const WordOf<Real> word[4] = {words.x, words.y, words.z, words.w};
    FRYER_UNROLL for (int i = 0; i < 4; ++i) {
      state[i] = fma(uniform24<Real>(word[i]), Real(rules.start_scale), Real(rules.start_low));
    }
  }

  // One step. kSmallAngles, kSemiImplicit: as the rules have them; compile-time so that a lane program can leave the choice outside.
  template <bool kSmallAngles, bool kSemiImplicit, class Real>
  static FRYER_LANE void step(const Rules<ScalarOf<Real>>& rules, const Real (&state)[4], MaskOf<Real> action, Real (&next)[4]) {
    const Real velocity = state[1], angle = state[2], spin = state[3];
    const Real square = angle * angle;
    Real s, c;
    if constexpr (kSmallAngles) {
      s = sin_small(angle, square);
      c = cos_small(square);
    } else {
      s = fryer::sin(angle);
      c = fryer::cos(angle);
    }
    const Real share = Real(rules.pole_share), dt = Real(rules.dt);
    const Real push = select(action, Real(rules.push), Real(-rules.push));
    const Real drive = fma(spin * spin * share, s, push);
    const Real angular = divide_normal(fnma(c, drive, Real(rules.gravity) * s), fnma(c * c, share, Real(rules.inertia)));
    const Real linear = fnma(angular * share, c, drive);
    next[1] = fma(dt, linear, velocity);
    next[3] = fma(dt, angular, spin);
    next[0] = fma(dt, kSemiImplicit ? next[1] : velocity, state[0]);
    next[2] = fma(dt, kSemiImplicit ? next[3] : spin, angle);
  }
  // The same, chosen by the rules.
  template <class Real>
  static FRYER_LANE void step_by_rules(const Rules<ScalarOf<Real>>& rules, const Real (&state)[4], MaskOf<Real> action,
                                       Real (&next)[4]) {
    if (rules.small_angles) {
      rules.semi_implicit ? step<true, true>(rules, state, action, next) : step<true, false>(rules, state, action, next);
    } else {
      rules.semi_implicit ? step<false, true>(rules, state, action, next) : step<false, false>(rules, state, action, next);
    }
  }

  // Where `live` holds and the state is within the limits (they are inside; NaN is not).
  template <class Real>
  static FRYER_LANE MaskOf<Real> inside(const Rules<ScalarOf<Real>>& rules, MaskOf<Real> live, const Real (&state)[4]) {
    return and_at_most(and_at_most(live, absolute(state[0]), Real(rules.position_limit)), absolute(state[2]),
                       Real(rules.angle_limit));
  }

  // Largest magnitude of each observation in a step that counts, for the proofs of exact sums. Position and angle were inside before
  // the step. With euler, velocity v_t = (x_{t+1} - x_t) / dt where both are inside; the last step's was one acceleration before such
  // a one, so |v| <= 2 limit / dt + dt * largest acceleration, and that acceleration is of a state whose spin was 2 limit / dt at most.
  // Semi-implicit velocities reach 2 limit / dt. The start state may be larger than any.
  struct Bounds {
    double observation[4];
  };
  static Bounds bounds(const Settings& s) {
    const double total = s.mass_cart + s.mass_pole, share = s.mass_pole * s.half_length / total;
    const auto larger = [](double a, double b) { return a > b ? a : b; };
    const double spin = larger(2 * s.angle_limit / s.dt, s.start_range);
    const double angle = larger(s.angle_limit, s.start_range), sine = angle < 1 ? angle : 1.0;
    const double drive = s.force / total + share * spin * spin * sine;
    const double angular = (s.gravity * sine + drive) / (s.half_length * 4 / 3 - share);
    const double linear = drive + share * angular;
    return {{larger(s.position_limit, s.start_range), larger(2 * s.position_limit / s.dt, s.start_range) + s.dt * linear, angle,
             spin + s.dt * angular}};
  }

  // The same, tighter, of Euler steps: for choosing a program, not for sums, whose scales must stay what they are. With |q| <= Q in every
  // step and velocities w that change by dt a a step at most, w_t = s + dt a u, |w_0| <= s, means u (u - 1) / 2 <= 2 Q / (dt^2 a): looking
  // back n = floor(u) steps, or to the start, q has moved by dt^2 a (u n - n (n + 1) / 2) at least, and by 2 Q at most. The spin's bound
  // bounds its own acceleration, so it shrinks. 1 %: rounding. Infinite where that argument does not hold.
  static Bounds swing_bounds(const Rules<float>& r) {
    const auto wide = [](float x) { return static_cast<double>(x); };
    const auto larger = [](double a, double b) { return a > b ? a : b; };
    const double infinite = __builtin_inf(), dt = wide(r.dt), share = wide(r.pole_share), inertia = wide(r.inertia);
    const double start = absolute(wide(r.start_low)), push = absolute(wide(r.push)), gravity = absolute(wide(r.gravity));
    const double position = larger(wide(r.position_limit), start), angle = larger(wide(r.angle_limit), start);
    const Bounds none = {{position, infinite, angle, infinite}};
    if (r.semi_implicit || !(dt > 0) || !(share >= 0) || !(inertia > share) || !(angle < 1)) return none;
    const auto drive = [&](double spin) { return push + share * spin * spin * angle; };
    const auto angular = [&](double spin) { return (gravity * angle + drive(spin)) / (inertia - share); };
    const auto fastest = [&](double reach, double acceleration) {
      const double change = dt * acceleration, root = std::sqrt(0.25 * change * change + 4 * reach * acceleration);
      const double steps = 0.5 + root / change;
      return steps < 1e4 ? 1.01 * (start + 0.5 * change + root) : infinite;  // else rounding might add up
    };
    double spin = 1.01 * (larger(2 * angle / dt, start) + dt * angular(larger(2 * angle / dt, start)));
    for (int i = 0; i < 20; ++i) {
      const double next = fastest(angle, angular(spin));
      if (next < spin) spin = next;
    }
    return {{position, fastest(position, drive(spin) + share * angular(spin)), angle, spin}};
  }
};

}  // namespace fryer
