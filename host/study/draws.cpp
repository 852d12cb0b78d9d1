// SPDX-License-Identifier: Apache-2.0
// See draws.h.
#include "host/study/draws.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <type_traits>

#include "fryer/core/error.h"
#include "fryer/core/math.h"
#include "fryer/core/philox.h"
#include "host/floating_environment.h"

namespace fryer::study {
namespace {

// In [0, 1), of parameter `index`.
double uniform_of_parameter(std::uint64_t seed, std::size_t index) {
  const RandomBlock<std::uint32_t> words = random_block(seed, Purpose::initialisation, 0, index / 4);
  const std::uint32_t word[] = {words.x, words.y, words.z, words.w};
  return static_cast<double>(word[index % 4] >> 8) * 0x1p-24;
}

// In [0, 1), of the setting with this key: a hash, so that a setting's address is its own, whatever else is drawn.
double uniform_of_setting(std::uint64_t seed, const std::string& key) {
  const RandomBlock<std::uint32_t> words = random_block(seed, Purpose::study_setting, XXH3_64bits(key.data(), key.size()));
  return static_cast<double>((std::uint64_t{words.x} << 21) + (words.y >> 11)) * 0x1p-53;
}

// The share u of the way from low to high, on the draw's scale.
double between(const Draw& draw, double u) {
  double value = 0;
  switch (draw.scale) {
    case Draw::Scale::uniform:
      value = draw.low + u * (draw.high - draw.low);
      break;
    case Draw::Scale::log_uniform: {
      const double from = fryer::log(draw.low), to = fryer::log(draw.high);
      value = fryer::exp(from + u * (to - from));
      break;
    }
  }
  return std::clamp(value, draw.low, draw.high);
}

}  // namespace

double drawn_value(const Draw& draw, std::uint64_t seed) {
  const FloatingEnvironment environment;
  if (draw.is_setting()) return between(draw, uniform_of_setting(seed, draw.setting));
  return static_cast<double>(static_cast<float>(between(draw, uniform_of_parameter(seed, draw.index))));
}

std::string to_text(const Draw& draw) {
  return fmt::format("{}({}, {})", draw.scale == Draw::Scale::uniform ? "uniform" : "log_uniform", draw.low, draw.high);
}

std::string key_text(const std::vector<Draw>& distribution) {
  std::string text;
  for (const Draw& draw : distribution) {
    if (draw.is_setting()) text += "setting ";
    text += draw.name() + ' ';
    if (draw.scale == Draw::Scale::log_uniform) text += "log_uniform ";
    text += Json(draw.low).dump() + ' ' + Json(draw.high).dump() + '\n';
  }
  return text;
}

void set_parameter(Problem& problem, std::size_t i, double value) { (i == 0 ? problem.weight : problem.bias) = value; }
void set_parameter(CartPoleProblem& problem, std::size_t i, double value) {
  if (problem.hidden.units == 0) {
    problem.parameters[i] = value;
  } else {
    problem.hidden.parameters.resize(parameter_count(problem.hidden));
    problem.hidden.parameters[i] = value;
  }
}

DrawnReplica draw_replica(const Plan& plan, const Cell& cell, std::uint64_t seed) {
  DrawnReplica replica{*cell.run, {}};
  replica.values.reserve(plan.distribution.size());
  for (const Draw& draw : plan.distribution) {
    const double value = drawn_value(draw, seed);
    replica.values.push_back(value);
    if (draw.is_setting()) {
      draw.apply(replica.configuration, value);
    } else {
      std::visit(
          [&]<class Configuration>(Configuration& c) {
            if constexpr (std::is_same_v<Configuration, QTrainConfiguration>) {
              throw Error("the parameters of a Q network are drawn by its initialisation alone");
            } else {
              set_parameter(c.problem, draw.index, value);
            }
          },
          replica.configuration);
    }
  }
  std::visit(
      [&](auto& c) {
        c.seed = seed;
        if constexpr (requires { c.replicas; }) c.replicas = 1;
      },
      replica.configuration);
  return replica;
}

}  // namespace fryer::study
