// SPDX-License-Identifier: Apache-2.0
// Which plots a summary's data allow, in the page's order, and how one is drawn. Families of plots are in plots_*.cpp.
#include <fmt/format.h>

#include "fryer/core/error.h"
#include "host/study/cell_order.h"
#include "host/study/gnuplot.h"
#include "host/study/plot_parts.h"

namespace fryer::study {

std::vector<Plot> make_plots(const StudySummary& summary) {
  std::vector<Plot> plots;
  const std::vector<std::size_t> cells = summary.ranking;
  add_success_rate(summary, cells, plots);
  add_heat_maps(summary, plots);
  add_curves(summary, cells, plots);
  add_distributions(summary, cells, plots);
  add_survival(summary, cells, plots);
  add_gradients(summary, cells, plots);
  return plots;
}

std::string draw(const Plot& plot, const std::string& format, const StopToken* stop) {
  std::string terminal;
  if (format == "svg") {
    terminal = fmt::format("svg size {:.0f},{:.0f} dynamic font 'sans,13' noenhanced", plot.width, plot.height);
  } else if (format == "pdf") {
    terminal = fmt::format("pdfcairo size {:.4f}in,{:.4f}in font 'sans,9.75' noenhanced", plot.width / 96, plot.height / 96);
  } else if (format == "png") {
    terminal = fmt::format("pngcairo size {:.0f},{:.0f} font 'sans,9.75' fontscale 2 linewidth 2 pointscale 2 noenhanced",
                           2 * plot.width, 2 * plot.height);
  } else {
    throw ConfigurationError(fmt::format("plot format: {} is none of svg, pdf, png", format));
  }
  constexpr std::chrono::seconds kLimit(20);  // a hundred times what the largest plot takes
  GnuplotOutput drawn =
      run_gnuplot(fmt::format("set terminal {}\nset output\n{}unset output\n", terminal, plot.script), kLimit, stop);
  if (drawn.output.empty()) throw Error(fmt::format("gnuplot drew nothing for {}: {}", plot.name, drawn.messages));
  return std::move(drawn.output);
}

}  // namespace fryer::study
