// SPDX-License-Identifier: Apache-2.0
// The fry shacks at which closed form, numerical integration and simulation are held against each other: every setting away from
// its default, alone and together, weights of either sign, none and tiny, policies from undecided to sure of themselves.
#pragma once

#include <string>
#include <vector>

#include "fryer/engine/configuration.h"

namespace fryer::test {

struct Point {
  std::string name;
  double weight = 20, bias = 0;
  double norm = 0.8, squatch = 0.2;
  double correct = 1, wrong = -1;
  double hungry_above = 0.5;
  double scale = 0.99;

  Problem problem() const {
    Problem p;
    p.environment = {correct, wrong, norm, squatch, hungry_above};
    p.weight = weight;
    p.bias = bias;
    p.learn_weight = true;
    p.reward_scale = scale;
    return p;
  }
};

inline std::vector<Point> fry_shack_points() {
  return {
      {.name = "notebook at the start"},
      {.name = "notebook at the optimum", .bias = -10},
      {.name = "notebook where seed 42 ends", .bias = -10.34},
      {.name = "notebook beyond the optimum", .bias = -15},
      {.name = "rewards 2 and -2", .bias = -7, .correct = 2, .wrong = -2},
      {.name = "scale 1", .weight = 10, .bias = -3, .scale = 1},
      {.name = "weight 0", .weight = 0, .bias = 0.3},
      {.name = "weight 0, undecided", .weight = 0},
      {.name = "weight 1e-6", .weight = 1e-6, .bias = -0.7},
      {.name = "weight 0.05", .weight = 0.05, .bias = 1.5, .hungry_above = 0.25},
      {.name = "weight 1", .weight = 1, .bias = -0.5, .hungry_above = 0.7},
      {.name = "weight -1", .weight = -1, .bias = 2, .norm = 0.3, .squatch = 0.9},
      {.name = "weight -20", .weight = -20, .bias = 12},
      {.name = "weight -300", .weight = -300, .bias = 100, .hungry_above = 0.4},
      {.name = "weight 1000, a step", .weight = 1000, .bias = -500},
      {.name = "weight 5e4, all steps", .weight = 5e4, .bias = -1.7e4, .norm = 0.6, .hungry_above = 0.3},
      {.name = "shops alike", .bias = -8, .norm = 0.6, .squatch = 0.6},
      {.name = "shops exchanged", .bias = -12, .norm = 0.2, .squatch = 0.8},
      {.name = "certain shops", .bias = -10, .norm = 1, .squatch = 0},
      {.name = "equal rewards", .bias = -9, .correct = 0.5, .wrong = 0.5},
      {.name = "only wrong orders count", .bias = -6, .correct = 0, .wrong = -3, .scale = 0.5},
      {.name = "unequal rewards",
       .weight = 7,
       .bias = -2,
       .norm = 0.95,
       .squatch = 0.4,
       .correct = 2,
       .wrong = -0.5,
       .hungry_above = 0.3,
       .scale = 0.5},
      {.name = "small rewards", .bias = -11, .correct = 1e-3, .wrong = -2e-3},
      {.name = "never hungry", .weight = 5, .bias = -2, .hungry_above = 1},
      {.name = "always hungry", .weight = 5, .bias = -3, .hungry_above = 0},
      {.name = "scale 1.5", .weight = 4, .bias = -1, .scale = 1.5},
      {.name = "sure of Norm's", .weight = 3, .bias = 11},
      {.name = "sure of Squatch's", .weight = 2, .bias = -13},
      {.name = "very sure of Norm's", .weight = 5, .bias = 30},
      {.name = "very sure of Squatch's", .weight = 1, .bias = -25},
  };
}

}  // namespace fryer::test
