// SPDX-License-Identifier: Apache-2.0
// See episode_svg.h. Every animation has the same duration and one value a frame, so that all of them keep step; the last frame is
// held for a second before the loop starts again.
#include "host/cli/output/episode_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace fryer::cli {
namespace {

using Scale = EpisodeScale;

constexpr std::size_t kMostFrames = 1000;
constexpr double kHold = 1;  // seconds
constexpr double kMargin = 40;
constexpr double kTimeBarY = 296;
constexpr double kLabelHeight = 24;

// At most two decimals, none that are zero.
std::string pixels(double x) {
  std::string text = fmt::format("{:.2f}", x);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text == "-0" ? "0" : text;
}

// Where things are after `step` steps.
struct Frame {
  std::size_t step;
  double x, degrees;
  int push;  // of the next step: -1 left, 1 right, 0 none
  std::string label;
};

std::string end_of(const TraceResult::Step& step) {
  return std::string(step.terminated ? ", terminated" : "") + (step.truncated ? ", truncated" : "");
}

std::vector<Frame> make_frames(const Scale& scale, const TraceResult& trace, std::size_t stride) {
  std::vector<Frame> frames;
  const std::size_t steps = trace.steps.size();
  double total = 0;
  for (std::size_t t = 0; t <= steps; ++t) {
    if (t > 0) total += trace.steps[t - 1].reward;
    if (t % stride != 0 && t != steps) continue;
    const std::array<double, 4>& state = t == 0 ? trace.initial_state : trace.steps[t - 1].state;
    // Far outside is outside: no need for long numbers.
    const double x = std::clamp(Scale::kMiddle + scale.pixels_per_metre * state[0], -9999.0, 9999.0);
    const int push = t == steps ? 0 : trace.steps[t].action ? 1 : -1;
    frames.push_back({t, x, std::fmod(state[2], 2 * 3.141592653589793 * 1000) * 180 / 3.141592653589793, push,
                      fmt::format("step {}, return {}{}", t, total, t > 0 ? end_of(trace.steps[t - 1]) : "")});
  }
  return frames;
}

// One value for each frame, and the last one again for each held frame.
class Timeline {
 public:
  Timeline(const std::vector<Frame>& frames, double seconds_per_frame) : frames_(frames) {
    held_ = static_cast<std::size_t>(std::ceil(kHold / seconds_per_frame));
    // Values of a linear animation stand at the ends of the intervals, those of a discrete one fill them.
    duration_ = fmt::format("{:.2f}s", static_cast<double>(frames.size() - 1 + held_) * seconds_per_frame);
  }
  // `tag` is animate or animateTransform with its attributes, `value` a function of a frame.
  template <class Value>
  std::string linear(const std::string& tag, Value value) const {
    return animation(tag, value, held_ + 1, "");
  }
  template <class Value>
  std::string discrete(const std::string& tag, Value value) const {
    return animation(tag, value, held_, " calcMode=\"discrete\"");
  }

 private:
  template <class Value>
  std::string animation(const std::string& tag, Value value, std::size_t last, const char* mode) const {
    std::string text = fmt::format("<{}{} dur=\"{}\" repeatCount=\"indefinite\" values=\"", tag, mode, duration_);
    for (std::size_t i = 0; i + 1 < frames_.size(); ++i) text += value(i) + ';';
    const std::string held = value(frames_.size() - 1);
    for (std::size_t i = 0; i < last; ++i) text += (i == 0 ? "" : ";") + held;
    return text + "\"/>\n";
  }

  const std::vector<Frame>& frames_;
  std::size_t held_;
  std::string duration_;
};

std::string line(double x1, double y1, double x2, double y2, const char* style) {
  return fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" {}/>\n", pixels(x1), pixels(y1), pixels(x2), pixels(y2),
                     style);
}

std::string track(const Scale& scale, const CartPole::Settings& settings) {
  const double reach = scale.pixels_per_metre * settings.position_limit;
  std::string text = line(0, Scale::kTrackY, Scale::kWidth, Scale::kTrackY, "stroke=\"#888\" stroke-width=\"1\"");
  for (const int side : {-1, 1}) {
    const double x = Scale::kMiddle + side * reach;
    text += line(x, Scale::kTrackY - 14, x, Scale::kTrackY + 14, "stroke=\"#c0392b\" stroke-width=\"2\"");
    text += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#c0392b\">{:g} m</text>\n", pixels(x),
                        pixels(Scale::kTrackY + 30), side * settings.position_limit);
  }
  return text;
}

// A triangle beside the cart that points where it is pushed.
std::string arrow(const Timeline& time, const std::vector<Frame>& frames, int side) {
  const double edge = side * (Scale::kCartWidth / 2 + 6);
  const auto opacity = [&](std::size_t i) { return std::string(frames[i].push == side ? "1" : "0"); };
  return fmt::format("<path d=\"M{} -8l{} 8l{} 8z\" fill=\"#e67e22\" opacity=\"{}\">", pixels(edge), side * 12, side * -12,
                     opacity(0)) +
         time.discrete("animate attributeName=\"opacity\"", opacity) + "</path>\n";
}

std::string cart_and_pole(const Timeline& time, const std::vector<Frame>& frames, const Scale& scale) {
  const double y = Scale::kTrackY - Scale::kCartHeight / 2;
  const auto place = [&](std::size_t i) { return pixels(frames[i].x) + ' ' + pixels(y); };
  const auto lean = [&](std::size_t i) { return pixels(frames[i].degrees); };
  std::string text = fmt::format("<g transform=\"translate({})\">\n", place(0));
  text += time.linear("animateTransform attributeName=\"transform\" type=\"translate\"", place);
  text += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\" fill=\"#34495e\"/>\n",
                      pixels(-Scale::kCartWidth / 2), pixels(-Scale::kCartHeight / 2), pixels(Scale::kCartWidth),
                      pixels(Scale::kCartHeight));
  for (const int side : {-1, 1}) text += arrow(time, frames, side);
  // The pole turns about the cart's middle; a positive angle leans to the right, as rotate() turns.
  text += fmt::format("<g transform=\"rotate({})\">\n", lean(0));
  text += time.linear("animateTransform attributeName=\"transform\" type=\"rotate\"", lean);
  text += line(0, 0, 0, -scale.pole, "stroke=\"#ca9865\" stroke-width=\"10\" stroke-linecap=\"round\"");
  return text + "</g>\n<circle r=\"5\" fill=\"#8184cb\"/>\n</g>\n";
}

// One line of text for each frame, of which a window shows one.
std::string labels(const Timeline& time, const std::vector<Frame>& frames) {
  std::string text = fmt::format("<clipPath id=\"window\"><rect width=\"{}\" height=\"{}\"/></clipPath>\n", pixels(Scale::kWidth),
                                 pixels(kLabelHeight));
  text += "<g transform=\"translate(0 12)\" clip-path=\"url(#window)\"><text font-size=\"16\">\n";
  text += time.discrete("animateTransform attributeName=\"transform\" type=\"translate\"",
                        [](std::size_t i) { return "0 " + pixels(-kLabelHeight * static_cast<double>(i)); });
  for (std::size_t i = 0; i < frames.size(); ++i) {
    text += fmt::format("<tspan x=\"{}\" y=\"{}\">{}</tspan>\n", pixels(kMargin),
                        pixels(17 + kLabelHeight * static_cast<double>(i)), frames[i].label);
  }
  return text + "</text></g>\n";
}

std::string time_bar(const Timeline& time, const std::vector<Frame>& frames) {
  const double width = Scale::kWidth - 2 * kMargin, steps = static_cast<double>(std::max<std::size_t>(frames.back().step, 1));
  const auto bar = [&](const char* fill, const std::string& content) {
    return fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"4\" fill=\"{}\">{}</rect>\n", pixels(kMargin),
                       pixels(kTimeBarY), pixels(width), fill, content);
  };
  return bar("#ddd", "") + bar("#2980b9", time.linear("animate attributeName=\"width\"", [&](std::size_t i) {
           return pixels(width * static_cast<double>(frames[i].step) / steps);
         }));
}

}  // namespace

EpisodeScale episode_scale(const CartPole::Settings& settings) {
  constexpr double kLongest = 160, kShortest = 40;
  const double length = 2 * settings.half_length;
  EpisodeScale scale;
  scale.pixels_per_metre = std::min((EpisodeScale::kMiddle - kMargin) / settings.position_limit, kLongest / length);
  scale.pole = std::max(scale.pixels_per_metre * length, kShortest);
  return scale;
}

std::string episode_svg(const std::string& environment, const CartPole::Settings& settings, const TraceResult& trace) {
  const std::size_t steps = trace.steps.size(), stride = (steps + kMostFrames - 1) / kMostFrames + (steps == 0 ? 1 : 0);
  const Scale scale = episode_scale(settings);
  const std::vector<Frame> frames = make_frames(scale, trace, stride);
  const Timeline time(frames, std::clamp(settings.dt, 0.01, 0.1));
  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n",
      pixels(Scale::kWidth), pixels(Scale::kHeight));
  text += fmt::format("<title>{}: {}</title>\n", environment, frames.back().label);
  text += "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
  text += track(scale, settings) + cart_and_pole(time, frames, scale) + labels(time, frames) + time_bar(time, frames);
  text += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#888\">{}, {:g} s{}</text>\n",
                      pixels(Scale::kWidth - kMargin), pixels(29), environment, static_cast<double>(steps) * settings.dt,
                      stride > 1 ? fmt::format(", every {} steps", stride) : "");
  return text + "</svg>\n";
}

}  // namespace fryer::cli
