// SPDX-License-Identifier: Apache-2.0
// The animated drawing of an episode: well-formed, of a sane size, every animation as long as the others, and cart, pole, pushes and
// time where the episode has them.
#include "host/cli/output/episode_svg.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <vector>

#include "fryer/engine/api.h"

namespace fryer::cli {
namespace {

// Every tag is closed by its own name, every attribute quoted, one root. No entities are used.
void expect_well_formed(const std::string& text) {
  std::vector<std::string> open;
  int roots = 0;
  for (std::size_t at = text.find('<'); at != std::string::npos; at = text.find('<', at)) {
    const std::size_t end = text.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = text.substr(at + 1, end - at - 1), name = tag.substr(0, tag.find_first_of(" /", 1));
    at = end;
    EXPECT_EQ(std::count(tag.begin(), tag.end(), '"') % 2, 0) << tag;
    EXPECT_EQ(std::count(tag.begin(), tag.end(), '"'), 2 * std::count(tag.begin(), tag.end(), '=')) << tag;
    if (tag.starts_with('/')) {
      ASSERT_FALSE(open.empty());
      EXPECT_EQ("/" + open.back(), tag);
      open.pop_back();
    } else {
      roots += open.empty() ? 1 : 0;
      if (!tag.ends_with('/')) open.push_back(name);
    }
  }
  EXPECT_TRUE(open.empty());
  EXPECT_EQ(roots, 1);
  EXPECT_EQ(text.find('&'), std::string::npos);
}

struct Animation {
  std::string tag;  // without the values
  std::vector<std::string> values;
};
std::vector<Animation> animations_of(const std::string& svg) {
  std::vector<Animation> all;
  for (std::size_t at = svg.find("<animate"); at != std::string::npos; at = svg.find("<animate", at + 1)) {
    const std::size_t values = svg.find("values=\"", at), begin = values + 8, end = svg.find('"', begin);
    Animation& animation = all.emplace_back();
    animation.tag = svg.substr(at, values - at);
    std::istringstream list(svg.substr(begin, end - begin));
    for (std::string value; std::getline(list, value, ';');) animation.values.push_back(value);
  }
  return all;
}
double duration_of(const Animation& animation) { return std::stod(animation.tag.substr(animation.tag.find("dur=\"") + 5)); }

TraceConfiguration balanced() {
  TraceConfiguration c;
  c.source = TraceConfiguration::Actions::policy;
  c.parameters = {1, 2, 20, 6, 0};
  return c;
}

TEST(EpisodeSvg, MovesCartPoleAndTimeAsTheEpisodeDoes) {
  const TraceConfiguration c = balanced();
  const TraceResult r = trace(c);
  ASSERT_EQ(r.steps.size(), 500u);
  const std::string svg = episode_svg(CartPole::kNameV1, c.environment, r);
  expect_well_formed(svg);
  EXPECT_LT(svg.size(), 60'000u);
  EXPECT_NE(svg.find("<title>CartPole-v1: step 500, return 500, truncated</title>"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);

  const EpisodeScale scale = episode_scale(c.environment);
  EXPECT_EQ(scale.pole, scale.pixels_per_metre);  // a metre long
  const std::vector<Animation> all = animations_of(svg);
  ASSERT_EQ(all.size(), 6u);  // cart, pushes to either side, pole, labels, time
  constexpr std::size_t kHeld = 50;
  for (const Animation& animation : all) {
    EXPECT_NEAR(duration_of(animation), (500 + kHeld) * 0.02, 1e-9);
    EXPECT_NE(animation.tag.find("repeatCount=\"indefinite\""), std::string::npos);
    const bool discrete = animation.tag.find("discrete") != std::string::npos;
    EXPECT_EQ(animation.values.size(), 500 + kHeld + (discrete ? 0 : 1)) << animation.tag;
  }
  const Animation &cart = all[0], &left = all[1], &right = all[2], &pole = all[3], &labels = all[4], &time = all[5];
  for (std::size_t t = 0; t < cart.values.size(); ++t) {
    const std::size_t step = std::min<std::size_t>(t, 500);
    const std::array<double, 4>& state = step == 0 ? r.initial_state : r.steps[step - 1].state;
    EXPECT_NEAR(std::stod(cart.values[t]), 320 + scale.pixels_per_metre * state[0], 0.0051) << t;
    EXPECT_TRUE(cart.values[t].ends_with(" 225")) << "on the track";
    EXPECT_NEAR(std::stod(pole.values[t]), state[2] * 180 / M_PI, 0.0051) << t;
    EXPECT_NEAR(std::stod(time.values[t]), 560.0 * static_cast<double>(step) / 500, 0.0051) << t;
    if (t >= labels.values.size()) continue;
    EXPECT_EQ(labels.values[t], step == 0 ? "0 0" : fmt::format("0 -{}", 24 * step));
    EXPECT_EQ(left.values[t], step < 500 && !r.steps[step].action ? "1" : "0") << t;
    EXPECT_EQ(right.values[t], step < 500 && r.steps[step].action ? "1" : "0") << t;
  }
  for (const int side : {-1, 1}) {  // the limits stand where a cart at the limit would
    const std::string x = fmt::format("<line x1=\"{:g}\"", 320 + side * 2.4 * scale.pixels_per_metre);
    EXPECT_NE(svg.find(x), std::string::npos) << x;
  }
}

TEST(EpisodeSvg, OfOneStepAndOfNone) {
  TraceConfiguration c;
  c.actions = "1";
  c.state = {{2.5, 0, 0.3, 0}};
  TraceResult r = trace(c);
  const std::string svg = episode_svg(CartPole::kNameV0, c.environment, r);
  expect_well_formed(svg);
  EXPECT_NE(svg.find("<title>CartPole-v0: step 1, return 1, terminated</title>"), std::string::npos);
  r.steps.clear();
  expect_well_formed(episode_svg(CartPole::kNameV0, c.environment, r));
}

// Long and strange episodes stay of a sane size, and cart and pole can be seen.
TEST(EpisodeSvg, OfLongEpisodesAndOddSettings) {
  TraceConfiguration c;
  c.actions.assign(20'000, '1');
  c.continue_past_end = true;
  const std::string svg = episode_svg(CartPole::kNameV1, c.environment, trace(c));
  expect_well_formed(svg);
  EXPECT_LT(svg.size(), 120'000u);
  EXPECT_EQ(animations_of(svg)[0].values[999], "9999 225") << "a cart far outside";

  c = balanced();
  for (const double limit : {1e-3, 0.1, 1e6}) {
    for (const double half_length : {1e-3, 0.5, 1e3}) {
      c.environment.position_limit = limit;
      c.environment.half_length = half_length;
      const EpisodeScale scale = episode_scale(c.environment);
      EXPECT_GE(scale.pole, 40);
      EXPECT_LE(scale.pole, 160 * (1 + 1e-12));
      EXPECT_LE(scale.pixels_per_metre * limit, 280 * (1 + 1e-12));
      expect_well_formed(episode_svg(CartPole::kNameV1, c.environment, trace(c)));
    }
  }
}

}  // namespace
}  // namespace fryer::cli
