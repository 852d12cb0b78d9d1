// SPDX-License-Identifier: Apache-2.0
// What a study's data say: everything that status and report print or draw, computed once. Reads a store, writes nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/study/statistics.h"
#include "host/study/store.h"

namespace fryer::study {

// Of one number a replica, over the replicas that have it.
struct Distribution {
  std::uint64_t count = 0;
  double mean = 0, sd = 0, min = 0, max = 0;
  Interval mean_interval;
  std::optional<Interval> iqm;
  std::vector<std::pair<double, Interval>> quantiles;  // at kReportQuantiles
  double low = 0, high = 0;                            // ends of the histogram
  std::vector<std::uint64_t> histogram;                // equal bins; empty if low == high
  std::vector<std::pair<double, double>>
      distribution;  // (value, share of replicas <= value): the ECDF at no more than 512 points
  double band = 0;   // DKW half width
};
inline constexpr double kReportQuantiles[] = {0.05, 0.25, 0.5, 0.75, 0.95};

struct CurveSummary {
  std::uint64_t at = 0, count = 0;  // the update, or the last of the point's episodes (StudySummary::time_unit)
  double mean = 0;
  std::optional<double> iqm;
  double quantiles[5] = {};  // at kReportQuantiles
};

// When a return was reached: by the stopping rule, or one of the recorded thresholds. A replica that did not reach it is watched to its last
// update or episode, also where the stopping rule ended it; one that failed counts as not reached and is watched to the planned end.
struct ThresholdSummary {
  double threshold = 0;
  bool stops = false;  // it is --until
  std::uint64_t reached = 0;
  Interval share;  // of the finished replicas, failed ones counting as not reached
  // time: in StudySummary::time_unit. Steps are empty where they are not known (FryShack-v0: equal to episodes).
  Survival time, episodes, steps;
};

struct CellSummary {
  std::uint64_t number = 0;
  std::vector<std::pair<std::string, std::string>> point;
  std::string label;  // "learning_rate 0.1, batch 16"; "all replicas" for a study of one cell
  std::uint64_t planned = 0, finished = 0, failed = 0;
  std::uint64_t planned_length = 0, batch = 0;  // of a training: in StudySummary::time_unit, and episodes of one of that
  std::vector<ThresholdSummary> thresholds;     // the stopping rule's first
  std::optional<Distribution> result;           // what replicas are compared by: StudySummary::result_name
  std::vector<std::pair<std::string, Distribution>>
      parameters;  // final, of replicas that did not fail; estimates of a gradient cell
  std::vector<std::pair<std::string, double>> second_moments;  // of a gradient cell: mean over replicas
  std::vector<CurveSummary> curve;
  std::string sentence;  // what the data do and do not show, plainly
};

// Two cells by the seeds that both have finished: is `b` better than `a`?
struct Comparison {
  std::size_t a = 0, b = 0;  // indices of cells
  std::uint64_t pairs = 0;
  Interval improvement;
  double p = 1, p_holm = 1;
};

struct StudySummary {
  std::string title, question, command, environment, algorithm, program_version;
  std::uint64_t numerics_version = 0, digest = 0;
  std::uint64_t first_seed = 0, seeds = 0;
  std::uint64_t planned = 0, finished = 0, failed = 0;
  bool complete = false;
  Shard shard;
  std::vector<std::pair<std::string, std::vector<std::string>>> axes;  // what the grid varies: key, its values in order
  std::string
      result_name;  // "mean return of 100 evaluation episodes", "exact expected return", "mean return of the last 112 training episodes", ... or ""
  std::string result_unit;           // "return", "steps", ...
  std::string time_unit = "update";  // what trainings are as long as; "episode" of value learners: those that count
  std::string curve_name;            // what curves show: "mean return of the batch", "mean return of 10 episodes"
  std::vector<CellSummary> cells;
  bool compared_by_time = false;  // to the stopping rule, which all cells share
  std::string compared_by;        // result_name, or "steps to 475 (never counts as worst)"; "" without comparisons
  std::string comparison_note;    // which pairs: all, or each with the best
  std::vector<Comparison> comparisons;
  // Indices of cells, best first: by the mean result, failed replicas counting as the lowest result of the study; else by the share that
  // met the stopping rule, then by the median time to it. Empty without comparisons.
  std::vector<std::size_t> ranking;
  std::string sentence;                                    // the whole study in one
  std::vector<std::pair<std::string, std::string>> fixed;  // settings that all cells and seeds share: key, value
  std::vector<std::pair<std::string, std::string>> drawn;  // what each seed draws: "learning_rate", "log_uniform(0.001, 1)"
  std::vector<Provenance> runs;
  double worker_seconds = 0;
  std::string source;  // the study file
};

// What is analysed: a store's content, or rows made up by a test.
struct StudyRows {
  const Plan& plan;
  Shard shard;
  std::vector<Provenance> runs;
  std::vector<Chunk> chunks;  // by cell and first replica, without columns
  std::uint64_t digest = 0;
  // As Store::columns. Called by one thread at a time, not always the same.
  std::function<std::vector<Column>(const Chunk&, const std::function<bool(const Column&)>&)> columns;
};

// Reads the columns that it needs cell by cell and works on all cores. Throws DamagedFileError for columns that do not belong together, and
// what reading throws.
StudySummary analyse(const StudyRows& rows);
StudySummary analyse(const Store& store);

}  // namespace fryer::study
