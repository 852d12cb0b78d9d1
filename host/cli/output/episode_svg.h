// SPDX-License-Identifier: Apache-2.0
// A CartPole episode as an animated drawing: cart, pole, track with its limits, the pushes, a bar of the time and the running return.
// One SVG file with SMIL animation, which any browser plays in a loop, without script. Made by `trace -o FILE.svg`.
#pragma once

#include <string>

#include "fryer/engine/results.h"
#include "fryer/env/cart_pole.h"

namespace fryer::cli {

// What is drawn where, in pixels; the drawing is kWidth x kHeight.
struct EpisodeScale {
  static constexpr double kWidth = 640, kHeight = 320, kMiddle = 320, kTrackY = 240;
  static constexpr double kCartWidth = 50, kCartHeight = 30;
  double pixels_per_metre;
  double pole;  // drawn length: to scale, unless that would be too short to see
};
EpisodeScale episode_scale(const CartPole::Settings& settings);

// `environment` is a registry's name. Plays at the episode's own speed where dt is from 0.01 to 0.1 s, and no faster or slower than
// those (frames; a longer episode than 1,000 steps skips some, and plays faster). About 70 bytes a frame. What leaves the drawing is
// cut off.
std::string episode_svg(const std::string& environment, const CartPole::Settings& settings, const TraceResult& trace);

}  // namespace fryer::cli
