// SPDX-License-Identifier: Apache-2.0
// Studies that nobody ran: summaries of any size with plausible numbers, for the tests of what is printed and drawn. Their
// intervals are made up; the statistics have tests of their own.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "host/study/analysis.h"
#include "tests/study/provenance.h"

namespace fryer::study::fabricated {

inline Interval around(double x, double half) { return {x, x - half, x + half, "fabricated"}; }

inline Interval share_of(std::uint64_t count, std::uint64_t n) {
  const double p = static_cast<double>(count) / static_cast<double>(n),
               half = 1.96 * std::sqrt((p * (1 - p) + 1e-4) / static_cast<double>(n));
  return {p, std::max(0.0, p - half), std::min(1.0, p + half), "fabricated"};
}

// A bell of n values around `middle`.
inline Distribution bell(double middle, double width, std::uint64_t n) {
  Distribution d;
  const double root = std::sqrt(static_cast<double>(n));
  d.count = n;
  d.mean = middle;
  d.sd = width;
  d.min = d.low = middle - 4 * width;
  d.max = d.high = middle + 4 * width;
  d.mean_interval = around(middle, 1.96 * width / root);
  if (n >= 4) d.iqm = around(middle + 0.05 * width, 2.1 * width / root);
  const double z[] = {-1.645, -0.674, 0, 0.674, 1.645};
  for (std::size_t i = 0; i < 5; ++i)
    d.quantiles.emplace_back(kReportQuantiles[i], around(middle + z[i] * width, 2 * width / root));
  if (n < 20) d.quantiles[0].second.lower = -std::numeric_limits<double>::infinity();
  for (int bin = 0; bin < 40; ++bin) {
    const double x = -4 + 8 * (bin + 0.5) / 40;
    d.histogram.push_back(static_cast<std::uint64_t>(std::llround(static_cast<double>(n) * 0.08 * std::exp(-x * x / 2))));
  }
  for (int i = 0; i < 512; ++i) {
    const double x = -4 + 8 * i / 511.0;
    d.distribution.emplace_back(middle + x * width, 0.5 * std::erfc(-x / std::sqrt(2.0)));
  }
  d.band = std::sqrt(std::log(2 / 0.05) / (2 * static_cast<double>(n)));
  return d;
}

// Times around `scale`; `reached` of n get there.
inline Survival times(double scale, std::uint64_t reached, std::uint64_t n, double unit) {
  Survival s;
  s.n = n;
  s.events = reached;
  const double p = static_cast<double>(reached) / static_cast<double>(n);
  const int points = static_cast<int>(std::min<std::uint64_t>(reached, 60));
  for (int i = 1; i <= points; ++i) {
    SurvivalStep step;
    const double part = static_cast<double>(i) / points;
    step.time = std::floor(unit * scale * (0.3 + 2.2 * std::pow(part, 1.5)));
    step.survival = 1 - p * part;
    const double half = 1.96 * std::sqrt(step.survival * (1 - step.survival) / static_cast<double>(n));
    step.lower = std::max(0.0, step.survival - half);
    step.upper = std::min(1.0, step.survival + half);
    if (!s.median && step.survival <= 0.5) s.median = step.time;
    s.steps.push_back(step);
  }
  if (s.median) {
    s.lower = *s.median * 0.9;
    s.upper = *s.median * 1.1;
  }
  return s;
}

struct Shape {
  std::vector<std::pair<std::string, std::vector<std::string>>> axes;
  std::uint64_t seeds = 1000;
  std::vector<double> thresholds = {475};
  bool curves = true, results = true, parameters = true;
};

// A training study on CartPole-v1.
inline StudySummary training(const Shape& shape) {
  StudySummary s;
  s.title = "Learning rate and batch size on CartPole-v1";
  s.question =
      "How often, and after how many updates, does REINFORCE reach a mean return of 475, and how does that depend on the "
      "learning rate and the batch?";
  s.command = "train";
  s.environment = "CartPole-v1";
  s.algorithm = "reinforce";
  s.program_version = "0.5.0";
  s.numerics_version = 5;
  s.digest = 0x0123456789abcdefULL;
  s.first_seed = 1;
  s.seeds = shape.seeds;
  s.axes = shape.axes;
  s.complete = true;
  s.result_name = shape.results ? "mean return of 100 evaluation episodes" : "";
  s.result_unit = "return";
  s.fixed = {{"updates", "60"}, {"until", "475"}, {"optimizer", "adam"}, {"gamma", "0.99"}, {"baseline", "none"}};
  s.source =
      "command = \"train\"\nenvironment = \"CartPole-v1\"\nupdates = 60\n[grid]\nlearning_rate = [0.1, 0.2]\n[seeds]\nfirst = "
      "1\ncount = 1000\n";
  s.worker_seconds = 83.4;
  s.runs = {test::make_run("lab-7")};

  std::vector<double> merits;
  std::size_t count = 1;
  for (const auto& axis : shape.axes) count *= axis.second.size();
  for (std::size_t i = 0; i < count; ++i) {
    CellSummary cell;
    cell.number = i;
    std::size_t rest = i;
    for (auto axis = shape.axes.rbegin(); axis != shape.axes.rend(); ++axis) {
      cell.point.insert(cell.point.begin(), {axis->first, axis->second[rest % axis->second.size()]});
      rest /= axis->second.size();
    }
    for (const auto& [key, value] : cell.point) cell.label += fmt::format("{}{} {}", cell.label.empty() ? "" : ", ", key, value);
    if (cell.label.empty()) cell.label = "all replicas";
    const double merit = 0.5 + 0.49 * std::sin(1.0 + 0.7 * static_cast<double>(i));  // 0 .. 1
    cell.planned = cell.finished = shape.seeds;
    cell.planned_length = 60;
    s.ranking.push_back(i);
    merits.push_back(merit);
    cell.failed = i % 4 == 3 ? shape.seeds / 100 : 0;
    double part = 1;
    for (const double threshold : shape.thresholds) {
      ThresholdSummary t;
      t.threshold = threshold;
      t.stops = threshold == shape.thresholds.back();
      t.reached = static_cast<std::uint64_t>(merit * part * static_cast<double>(shape.seeds));
      t.share = share_of(t.reached, shape.seeds);
      t.time = times(24 + 20 * (1 - merit), t.reached, shape.seeds, 1);
      t.episodes = times(24 + 20 * (1 - merit), t.reached, shape.seeds, 16);
      t.steps = times(24 + 20 * (1 - merit), t.reached, shape.seeds, 3000);
      cell.thresholds.push_back(t);
      part *= 0.9;
    }
    if (shape.results) cell.result = bell(120 + 340 * merit, 20 + 30 * (1 - merit), shape.seeds - cell.failed);
    if (shape.parameters) {
      double middle = 0.4;
      for (const char* name : {"w_position", "w_velocity", "w_angle", "w_angular_velocity", "bias"}) {
        cell.parameters.emplace_back(name, bell(middle * (1 + merit), 0.3, shape.seeds - cell.failed));
        middle = -1.4 * middle + 0.3;
      }
    }
    for (std::uint64_t update = 1; shape.curves && update <= 60; ++update) {
      CurveSummary point;
      point.at = update;
      point.count = shape.seeds;
      const double level = 20 + (440 * merit + 20) * (1 - std::exp(-static_cast<double>(update) / (14 + 10 * (1 - merit))));
      for (int q = 0; q < 5; ++q) point.quantiles[q] = std::min(500.0, level * (0.5 + 0.25 * q));
      point.mean = level;
      point.iqm = level;
      cell.curve.push_back(point);
    }
    if (shape.thresholds.empty()) {
      cell.sentence = fmt::format("The mean result of {} seeds was {:.1f}.", cell.finished, cell.result ? cell.result->mean : 0);
    } else {
      cell.sentence = fmt::format(
          "{} of {} seeds reached 475 within 60 updates; that the others would with more updates, these data do not say.",
          cell.thresholds.back().reached, cell.finished);
    }
    s.planned += cell.planned;
    s.finished += cell.finished;
    s.failed += cell.failed;
    s.cells.push_back(std::move(cell));
  }
  std::stable_sort(s.ranking.begin(), s.ranking.end(), [&](std::size_t a, std::size_t b) { return merits[a] > merits[b]; });
  s.sentence =
      "With 1,000 seeds a cell, the share of seeds that reach 475 lies between 1 % and 99 %, depending on the learning rate and "
      "the batch.";
  if (count > 1) {
    s.compared_by = "updates to 475 (never counts as worst)";
    s.comparison_note = count <= 6 ? "All pairs." : "Each cell with the best one.";
    for (std::size_t a = 0; a < count; ++a) {
      for (std::size_t b = a + 1; b < (count <= 6 ? count : 1); ++b)
        s.comparisons.push_back({a, b, shape.seeds, {0.62, 0.59, 0.65, "fabricated"}, 0.0012, 0.0072});
      if (count > 6 && a > 0) s.comparisons.push_back({a, 0, shape.seeds, {0.71, 0.68, 0.74, "fabricated"}, 3e-9, 9e-8});
    }
  }
  return s;
}

inline StudySummary one_cell() { return training({}); }
inline StudySummary four_cells() { return training({{{"learning_rate", {"0.05", "0.1", "0.2", "0.3"}}}, 1000, {100, 195, 475}}); }
inline StudySummary grid() {
  return training({{{"learning_rate", {"0.02", "0.05", "0.1", "0.2", "0.3"}}, {"batch", {"4", "8", "16", "32"}}}, 1000});
}
inline StudySummary thirty_cells() {
  Shape shape;
  shape.axes = {{"gamma", {}}};
  for (int i = 0; i < 30; ++i) shape.axes[0].second.push_back(fmt::format("{:.2f}", 0.7 + 0.01 * i));
  shape.seeds = 200;
  return training(shape);
}

// The notebook: one parameter, a million seeds, no curve.
inline StudySummary notebook() {
  Shape shape;
  shape.seeds = 1000000;
  shape.thresholds.clear();
  shape.curves = false;
  StudySummary s = training(shape);
  s.title = "The notebook's luck";
  s.question = "How unusual is the bias that seed 42 ends with?";
  s.environment = "FryShack-v0";
  s.result_name = "exact expected return";
  s.cells[0].parameters = {{"bias", bell(-10.1, 0.9, shape.seeds)}};
  s.cells[0].result = bell(0.97, 0.01, shape.seeds);
  return s;
}

inline StudySummary gradients() {
  Shape shape;
  shape.axes = {{"baseline", {"none", "constant=-5", "constant=-10"}}};
  shape.thresholds.clear();
  shape.curves = shape.results = false;
  StudySummary s = training(shape);
  s.title = "Baselines and the variance of the gradient";
  s.question = "How much does a constant baseline change the variance of one episode's gradient?";
  s.command = "gradient";
  s.environment = "FryShack-v0";
  s.compared_by = "";
  s.comparisons.clear();
  for (std::size_t i = 0; i < s.cells.size(); ++i) {
    s.cells[i].parameters = {{"weight", bell(0.021, 0.004 * static_cast<double>(i + 1), 1000)},
                             {"bias", bell(-0.05, 0.002, 1000)}};
    s.cells[i].second_moments = {{"weight", 0.04 * static_cast<double>(i + 1)}, {"bias", 0.2}};
  }
  return s;
}

// Planned, and nothing finished.
inline StudySummary empty() {
  StudySummary s = four_cells();
  s.complete = false;
  s.finished = s.failed = 0;
  s.runs.clear();
  s.comparisons.clear();
  s.ranking.clear();
  s.compared_by.clear();
  s.worker_seconds = 0;
  s.sentence = "Nothing is finished yet.";
  for (CellSummary& cell : s.cells) {
    const CellSummary old = std::move(cell);
    cell = {};
    cell.number = old.number;
    cell.point = old.point;
    cell.label = old.label;
    cell.planned = old.planned;
    cell.sentence = "Nothing is finished yet.";
  }
  return s;
}

}  // namespace fryer::study::fabricated
