// SPDX-License-Identifier: Apache-2.0
// A study as a page and as plots. Takes a summary and returns text; gnuplot draws.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "host/study/analysis.h"

namespace fryer::study {

struct Plot {
  std::string name;  // file name without extension: success_rate, learning_curves, ...
  std::string title, caption;
  std::string script;                // gnuplot commands after `set terminal` and `set output`, data inline
  double width = 480, height = 320;  // CSS pixels
};

// The plots that the data allow, in the page's order. Runs nothing.
std::vector<Plot> make_plots(const StudySummary& summary);
// Runs gnuplot on a plot. format: "svg", "pdf" or "png" (two pixels a CSS pixel, on white). Throws Error: without gnuplot it
// says what to install (require_gnuplot() in gnuplot.h says so before any work).
std::string draw(const Plot& plot, const std::string& format, const StopToken* stop = nullptr);
// One self-contained page. Its plots are drawn in parallel. Throws Error as draw(), and Stopped.
std::string report_html(const StudySummary& summary, const std::string& repeat_command, const StopToken* stop = nullptr);

}  // namespace fryer::study
