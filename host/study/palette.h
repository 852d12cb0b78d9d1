// SPDX-License-Identifier: Apache-2.0
// The colours of plots and pages, in one place. Gnuplot draws with the light ones; a page replaces each by its CSS variable, so
// that a plot follows the reader's colour scheme. Okabe & Ito's hues, darkened or lightened until each has a contrast of 3 to
// both of its backgrounds (WCAG 2.1, 1.4.11).
#pragma once

#include <string_view>

namespace fryer::study {

struct PageColour {
  std::string_view variable;     // of CSS
  std::string_view light, dark;  // #rrggbb
};

inline constexpr PageColour kSeries[] = {
    {"--series-1", "#0072b2", "#4da9e8"},  // blue
    {"--series-2", "#d05a00", "#ff8242"},  // vermilion
    {"--series-3", "#00805d", "#2bbf91"},  // bluish green
    {"--series-4", "#b0548a", "#e08cbe"},  // reddish purple
    {"--series-5", "#9c6a00", "#e6a817"},  // ochre
    {"--series-6", "#5b6770", "#a9b4bd"},  // grey
};
inline constexpr PageColour kAxis = {"--axis", "#7d8790", "#7f8a94"};
inline constexpr PageColour kGrid = {"--grid", "#e3e6e9", "#2c3238"};
inline constexpr PageColour kBackground = {"--background", "#ffffff", "#14171a"};
inline constexpr PageColour kInk = {"--ink", "#1b1f23", "#e4e7ea"};
inline constexpr PageColour kMuted = {"--muted", "#57616b", "#a1abb5"};
inline constexpr PageColour kLine = {"--line", "#d5dade", "#373e45"};
inline constexpr PageColour kSoft = {"--soft", "#f4f6f7", "#1d2126"};

// Of heat maps, dark to light: five points of cividis (Nunez, Anderton & Renslow 2018), the same in both schemes.
inline constexpr std::string_view kHeat[] = {"#00224e", "#434e6c", "#7d7c78", "#bcae6c", "#fee838"};
// From this part of the scale on, dark letters are easier to read than light ones.
inline constexpr double kHeatDarkLetters = 0.45;

}  // namespace fryer::study
