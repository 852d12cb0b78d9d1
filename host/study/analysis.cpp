// SPDX-License-Identifier: Apache-2.0
// The numbers of analysis.h from decoded columns. Columns are read one cell after another while the cells before are summarised; a cell's
// columns are kept in the narrowest type that holds them and dropped with it. Reads no file itself and never draws a random number.
#include "host/study/analysis.h"

#include <fmt/format.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <variant>

#include "fryer/core/error.h"
#include "fryer/engine/results.h"
#include "host/cpu_backend.h"
#include "host/startable_threads.h"
#include "host/study/cell_order.h"
#include "host/study/draws.h"
#include "host/study/sentences.h"
#include "host/study/wording.h"
#include "host/text.h"
#include "host/training_support.h"

namespace fryer::study {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// ---- columns of a whole cell

// One column of all of a cell's chunks.
class CellColumn {
 public:
  explicit CellColumn(const Column& column) : meaning_{column.kind, column.type, column.name, column.at, {}} {
    if (column.type == ColumnType::real32) values_.emplace<Singles>();
    if (column.type == ColumnType::real64) values_.emplace<Doubles>();
  }

  const Column& meaning() const { return meaning_; }
  std::size_t size() const {
    return std::visit([](const auto& values) { return values.size(); }, values_);
  }
  double operator[](std::size_t row) const {
    return std::visit([row](const auto& values) { return static_cast<double>(values[row]); }, values_);
  }

  void append(const Column& column) {
    const std::size_t rows = column.bits.size();
    if (std::holds_alternative<Integers>(values_) &&
        std::any_of(column.bits.begin(), column.bits.end(), [](std::uint64_t x) { return x > 0xffffffffu; })) {
      const Integers before = std::get<Integers>(values_);
      values_.emplace<Doubles>(before.begin(), before.end());  // counts are exact up to 2^53
    }
    std::visit(
        [&](auto& values) {
          using Value = typename std::decay_t<decltype(values)>::value_type;
          for (std::size_t row = 0; row < rows; ++row) values.push_back(static_cast<Value>(column.value(row)));
        },
        values_);
  }

  // The values of the rows for which keep(row) and that are numbers, ascending.
  template <class Keep>
  std::vector<double> sorted(const Keep& keep) const {
    return std::visit(
        [&](const auto& values) {
          // Single precision sorts in half the time.
          using Stored = typename std::decay_t<decltype(values)>::value_type;
          using Value = std::conditional_t<std::is_same_v<Stored, float>, float, double>;
          std::vector<Value> kept;
          kept.reserve(values.size());
          for (std::size_t row = 0; row < values.size(); ++row) {
            const auto x = static_cast<Value>(values[row]);
            if (keep(row) && std::isfinite(x)) kept.push_back(x);
          }
          sort_values(kept);
          return std::vector<double>(kept.begin(), kept.end());
        },
        values_);
  }

 private:
  using Integers = std::vector<std::uint32_t>;
  using Singles = std::vector<float>;
  using Doubles = std::vector<double>;
  Column meaning_;  // without values
  std::variant<Integers, Singles, Doubles> values_;
};

// A cell's columns of one reading.
struct CellColumns {
  std::vector<CellColumn> columns;
  const CellColumn* find(ColumnKind kind) const {
    const auto found =
        std::find_if(columns.begin(), columns.end(), [kind](const CellColumn& c) { return c.meaning().kind == kind; });
    return found == columns.end() ? nullptr : &*found;
  }
  const CellColumn* find(ColumnKind kind, double at) const {
    const auto found = std::find_if(columns.begin(), columns.end(),
                                    [&](const CellColumn& c) { return c.meaning().kind == kind && c.meaning().at == at; });
    return found == columns.end() ? nullptr : &*found;
  }
  std::vector<ReplicaStatus> status;  // of each row; empty where it was not read
  bool failed(std::size_t row) const { return status[row] == ReplicaStatus::failed; }
};

// The columns of a training's time: how long it was, when it reached a threshold, its curve.
struct TimeColumns {
  ColumnKind made = ColumnKind::updates, threshold = ColumnKind::threshold_updates, curve = ColumnKind::curve;
};
TimeColumns time_columns(const Plan& plan) {
  if (!counts_episodes(plan.algorithm)) return {};
  return {ColumnKind::episodes, ColumnKind::threshold_episodes, ColumnKind::curve_episodes};
}

// What one cell is and where its rows are.
struct CellPlan {
  Json configuration;
  TimeColumns time;
  std::vector<const Chunk*> chunks;
  std::vector<Column> schema;  // without values
  std::optional<double> until;
  bool records(ColumnKind kind) const {
    return std::any_of(schema.begin(), schema.end(), [kind](const Column& c) { return c.kind == kind; });
  }
};

template <class Value>
Value setting(const Json& configuration, const char* key, Value otherwise) {
  const auto found = configuration.find(key);
  return found != configuration.end() && found->is_number() ? found->get<Value>() : otherwise;
}

Json parse_configuration(const Cell& cell, std::size_t number) {
  Json configuration = Json::parse(cell.configuration, nullptr, false);
  if (!configuration.is_object()) throw DamagedFileError(fmt::format("cell {}: its configuration is not a JSON object", number));
  return configuration;
}

CellColumns read_columns(const StudyRows& rows, const CellPlan& cell, const std::function<bool(const Column&)>& wanted) {
  CellColumns read;
  for (const Chunk* chunk : cell.chunks) {
    const std::vector<Column> columns = rows.columns(*chunk, wanted);
    if (chunk == cell.chunks.front()) {
      for (const Column& column : columns) read.columns.emplace_back(column);
    }
    if (columns.size() != read.columns.size()) {
      throw DamagedFileError(fmt::format("cell {}: its chunks have different columns", chunk->cell));
    }
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!columns[i].same_column(read.columns[i].meaning()) || columns[i].bits.size() != chunk->range.count) {
        throw DamagedFileError(fmt::format("cell {}: its chunks have different columns", chunk->cell));
      }
      read.columns[i].append(columns[i]);
      if (columns[i].kind != ColumnKind::status) continue;
      for (const std::uint64_t status : columns[i].bits) read.status.push_back(static_cast<ReplicaStatus>(status));
    }
  }
  return read;
}

// ---- what is known before any row is read

bool is_fry_shack(const Plan& plan) { return plan.environment == "FryShack-v0"; }

// "100 episodes", or "100 to 112 episodes" where cells differ.
std::string spread(const std::set<std::uint64_t>& values, const char* units) {
  if (values.size() == 1) return counted(*values.begin(), units);
  return with_separators(*values.begin()) + " to " + counted(*values.rbegin(), units);
}

// How long a training may be, in its unit of time, and the episodes of one of that.
struct TrainingLength {
  std::uint64_t length, episodes;
};
TrainingLength length_of(const Plan& plan, const Json& configuration) {
  if (counts_episodes(plan.algorithm)) return {setting<std::uint64_t>(configuration, "episodes", 0), 1};
  return {setting<std::uint64_t>(configuration, "updates", 0),
          std::max<std::uint64_t>(setting<std::uint64_t>(configuration, "batch", 1), 1)};
}

struct ResultChoice {
  ColumnKind kind;
  std::string name;
};

// What replicas are compared by: the first of these that all cells have.
std::optional<ResultChoice> choose_result(const Plan& plan, const std::vector<CellPlan>& cells) {
  if (plan.command == "gradient") return std::nullopt;
  for (const ColumnKind kind : {ColumnKind::evaluation_mean, ColumnKind::expected_return, ColumnKind::final_return}) {
    bool all = false;
    std::set<std::uint64_t> episodes;
    for (const CellPlan& cell : cells) {
      if (cell.chunks.empty()) continue;
      all = cell.records(kind);
      if (!all) break;
      const auto [length, batch] = length_of(plan, cell.configuration);
      episodes.insert(kind == ColumnKind::final_return ? std::min(window_of(batch), std::max<std::uint64_t>(length, 1)) * batch
                      : plan.command == "evaluate"     ? setting<std::uint64_t>(cell.configuration, "episodes", 0)
                                                       : plan.record.evaluation_episodes);
    }
    if (!all) continue;
    switch (kind) {
      case ColumnKind::evaluation_mean:
        return ResultChoice{
            kind, "mean return of " + spread(episodes, plan.command == "evaluate" ? "episodes" : "evaluation episodes")};
      case ColumnKind::expected_return:
        return ResultChoice{kind, "exact expected return"};
      default:
        return ResultChoice{kind,
                            "mean return of the " + (*episodes.rbegin() == 1 ? last_of(1, "training episodes")
                                                                             : "last " + spread(episodes, "training episodes"))};
    }
  }
  return std::nullopt;
}

std::vector<std::pair<std::string, std::vector<std::string>>> axes_of(const Plan& plan) {
  std::vector<std::pair<std::string, std::vector<std::string>>> axes;
  std::map<std::string, std::pair<std::size_t, std::set<std::string>>> known;  // where a key's axis is, and its values
  for (const Cell& cell : plan.cells) {
    for (const auto& [key, value] : cell.point) {
      const auto [axis, is_new] = known.try_emplace(key, axes.size(), std::set<std::string>());
      if (is_new) axes.emplace_back(key, std::vector<std::string>());
      if (axis->second.second.insert(value).second) axes[axis->second.first].second.push_back(value);
    }
  }
  return axes;
}

// `plan` may draw the policy's parameters, which the option `parameters` has all of.
std::vector<std::pair<std::string, std::string>> fixed_settings(const Plan& plan, const std::vector<CellPlan>& cells,
                                                                const StudySummary& summary) {
  std::vector<std::pair<std::string, std::string>> fixed;
  if (cells.empty()) return fixed;
  for (const auto& [key, value] : cells.front().configuration.items()) {
    const bool varied =
        std::any_of(summary.axes.begin(), summary.axes.end(), [&key = key](const auto& a) { return a.first == key; });
    const bool same = std::all_of(cells.begin(), cells.end(), [&key = key, &value = value](const CellPlan& cell) {
      const auto found = cell.configuration.find(key);
      return found != cell.configuration.end() && *found == value;
    });
    const bool drawn = plan.draws(key) || (key == "parameters" && plan.draws_parameters());
    if (varied || drawn || !same) continue;
    fixed.emplace_back(key, value.is_string() ? value.get<std::string>() : value.is_null() ? "none" : value.dump());
  }
  return fixed;
}

// ---- distributions and curves

// The empirical distribution function at no more than 512 of its steps.
std::vector<std::pair<double, double>> distribution_points(std::span<const double> sorted) {
  constexpr std::size_t kPoints = 511;  // and the smallest value
  std::vector<std::pair<double, double>> points;
  const std::size_t n = sorted.size();
  for (std::size_t i = 0; i <= kPoints; ++i) {
    const std::size_t rank = i == 0 ? 0 : (i * n + kPoints - 1) / kPoints - 1;
    const double value = sorted[rank];
    if (!points.empty() && points.back().first == value) continue;
    const auto upto = std::upper_bound(sorted.begin() + static_cast<std::ptrdiff_t>(rank), sorted.end(), value) - sorted.begin();
    points.emplace_back(value, static_cast<double>(upto) / static_cast<double>(n));
  }
  return points;
}

std::optional<Distribution> distribution_of(const std::vector<double>& sorted) {
  if (sorted.empty()) return std::nullopt;
  Distribution d;
  d.count = sorted.size();
  const Moments m = moments(sorted);
  d.mean = m.mean;
  d.sd = m.sd;
  d.min = sorted.front();
  d.max = sorted.back();
  d.mean_interval = mean_interval(sorted);
  d.iqm = interquartile_mean(sorted);
  for (const double q : kReportQuantiles) d.quantiles.emplace_back(q, quantile(sorted, q));
  d.low = d.min;
  d.high = d.max;
  if (d.low < d.high) {
    // Rice's rule, within what a plot can show.
    const auto bins = static_cast<std::size_t>(std::clamp(std::ceil(2 * std::cbrt(static_cast<double>(d.count))), 5.0, 60.0));
    d.histogram = histogram(sorted, d.low, d.high, bins);
  }
  d.distribution = distribution_points(sorted);
  d.band = dkw_half_width(d.count);
  return d;
}

CurveSummary curve_point(const CellColumn& column) {
  const std::vector<double> sorted = column.sorted([](std::size_t) { return true; });
  CurveSummary point;
  point.at = static_cast<std::uint64_t>(column.meaning().at);
  point.count = sorted.size();
  if (sorted.empty()) return point;
  point.mean = moments(sorted).mean;
  point.iqm = interquartile_mean_of(sorted);
  for (std::size_t i = 0; i < std::size(kReportQuantiles); ++i) {
    point.quantiles[i] = sorted[quantile_position(kReportQuantiles[i], sorted.size())];
  }
  return point;
}

// ---- times to a threshold

// The same times in another unit.
Survival scaled(Survival survival, double factor) {
  for (SurvivalStep& step : survival.steps) step.time *= factor;
  for (std::optional<double>* end : {&survival.median, &survival.lower, &survival.upper}) {
    if (*end) **end *= factor;
  }
  return survival;
}

// `reached` (row): when the row reached it, in the unit of `made`; 0: never. `made` is what each row did of that unit, and `planned` how far the
// longest went or could have gone. A failed replica is never said to have reached it, and is watched to the planned end: it will not reach
// it with any number of updates, and to censor it where it failed would count it among those that still might, so that diverging early
// would flatter the curve. Where the unit is not the one in which the training's length is given (`by_length`), so is one that went its whole
// length without: how many steps its episodes took says how it played, and those who play badly would leave the curve first.
template <class Reached>
Survival time_to(const CellColumns& cell, const CellColumn& made, double planned, bool by_length, const Reached& reached) {
  const std::size_t n = made.size();
  std::vector<double> times(n);
  std::vector<std::uint8_t> event(n);
  for (std::size_t row = 0; row < n; ++row) planned = std::max(planned, made[row]);
  for (std::size_t row = 0; row < n; ++row) {
    const bool failed = cell.failed(row);
    const double time = failed ? 0 : reached(row);
    event[row] = time > 0 ? 1 : 0;
    times[row] = time > 0 ? time : failed || !by_length ? planned : made[row];
  }
  return kaplan_meier(times, event);
}

std::vector<ThresholdSummary> summarise_thresholds(const CellColumns& columns, const CellPlan& plan, const CellSummary& cell) {
  std::vector<ThresholdSummary> thresholds;
  if (plan.until) thresholds.push_back({*plan.until, true, 0, {}, {}, {}, {}});
  for (const CellColumn& column : columns.columns) {
    const Column& c = column.meaning();
    if (c.kind == plan.time.threshold && c.at != plan.until) thresholds.push_back({c.at, false, 0, {}, {}, {}, {}});
  }
  const CellColumn *made = columns.find(plan.time.made), *steps = columns.find(ColumnKind::steps);
  oneapi::tbb::parallel_for(std::size_t{0}, thresholds.size(), [&](std::size_t i) {
    ThresholdSummary& t = thresholds[i];
    // The stopping rule was reached where a replica stopped, the others where their columns say.
    const auto when = [&](const CellColumn& all, const CellColumn* recorded) {
      return [&all, recorded, &status = columns.status, stops = t.stops](std::size_t row) {
        if (!stops) return (*recorded)[row];
        return status[row] == ReplicaStatus::solved ? all[row] : 0;
      };
    };
    t.time = time_to(columns, *made, static_cast<double>(cell.planned_length), true,
                     when(*made, columns.find(plan.time.threshold, t.threshold)));
    const CellColumn* recorded_steps = columns.find(ColumnKind::threshold_steps, t.threshold);
    if (steps != nullptr && (t.stops || recorded_steps != nullptr))
      t.steps = time_to(columns, *steps, 0, false, when(*steps, recorded_steps));
    t.episodes = scaled(t.time, static_cast<double>(cell.batch));
    t.reached = t.time.events;
    t.share = share(t.reached, cell.finished);
  });
  return thresholds;
}

// ---- cells

// with_parameters: where there are few enough of them to be looked at.
bool belongs_to_summary(const Column& c, const TimeColumns& time, const std::optional<ResultChoice>& result, bool with_steps,
                        bool with_parameters) {
  if (c.kind == time.made || c.kind == time.threshold) return true;
  switch (c.kind) {
    case ColumnKind::parameter:
      return with_parameters;
    case ColumnKind::status:
    case ColumnKind::estimate:
    case ColumnKind::second_moment:
      return true;
    case ColumnKind::steps:
    case ColumnKind::threshold_steps:
      return with_steps;
    default:
      return result && c.kind == result->kind;
  }
}

void summarise_cell(const CellColumns& columns, const CellPlan& plan, const std::optional<ResultChoice>& result, bool gradient,
                    const std::vector<double>& evaluation_thresholds, CellSummary& cell) {
  const auto did_not_fail = [&](std::size_t row) { return !columns.failed(row); };
  std::vector<std::optional<Distribution>> parameters(columns.columns.size());
  std::vector<std::optional<double>> second_moments(columns.columns.size());
  oneapi::tbb::parallel_for(std::size_t{0}, columns.columns.size() + 1, [&](std::size_t i) {
    if (i == columns.columns.size()) {
      cell.thresholds = summarise_thresholds(columns, plan, cell);
      return;
    }
    const CellColumn& column = columns.columns[i];
    const ColumnKind kind = column.meaning().kind;
    if (result && kind == result->kind) {
      cell.result = distribution_of(column.sorted(did_not_fail));
    } else if (kind == (gradient ? ColumnKind::estimate : ColumnKind::parameter)) {
      parameters[i] = distribution_of(column.sorted(did_not_fail));
    } else if (kind == ColumnKind::second_moment) {
      const std::vector<double> sorted = column.sorted(did_not_fail);
      if (!sorted.empty()) second_moments[i] = moments(sorted).mean;
    }
  });
  // Of an evaluation: how many policies are that good.
  if (const CellColumn* means = columns.find(ColumnKind::evaluation_mean); means != nullptr && cell.thresholds.empty()) {
    for (const double threshold : evaluation_thresholds) {
      ThresholdSummary t;
      t.threshold = threshold;
      for (std::size_t row = 0; row < means->size(); ++row) t.reached += (*means)[row] >= threshold ? 1 : 0;
      t.share = share(t.reached, cell.finished);
      cell.thresholds.push_back(std::move(t));
    }
  }
  for (std::size_t i = 0; i < columns.columns.size(); ++i) {
    const std::string& name = columns.columns[i].meaning().name;
    if (parameters[i]) cell.parameters.emplace_back(name, std::move(*parameters[i]));
    if (second_moments[i]) cell.second_moments.emplace_back(name, *second_moments[i]);
  }
}

// What is read of a cell together, and summarised while the next is read.
struct Portion {
  std::size_t cell = 0;
  bool curve = false;
  double first = 0, last = 0;  // of a curve: its points
  std::size_t point = 0;       // where the first of them goes
};

// Curves have one column a point: as many at once as keep a portion below this many values.
constexpr std::uint64_t kPortionValues = std::uint64_t{1} << 23;

std::vector<Portion> make_portions(const std::vector<CellPlan>& plans, std::vector<CellSummary>& cells) {
  std::vector<Portion> portions;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    if (plans[i].chunks.empty()) continue;
    portions.push_back({i, false, 0, 0, 0});
    std::vector<double> points;
    for (const Column& c : plans[i].schema) {
      if (c.kind == plans[i].time.curve) points.push_back(c.at);
    }
    std::sort(points.begin(), points.end());
    cells[i].curve.resize(points.size());
    const std::size_t at_once = std::max(std::uint64_t{1}, kPortionValues / std::max(std::uint64_t{1}, cells[i].finished));
    for (std::size_t begin = 0; begin < points.size(); begin += at_once) {
      const std::size_t end = std::min(begin + at_once, points.size());
      portions.push_back({i, true, points[begin], points[end - 1], begin});
    }
  }
  return portions;
}

void summarise_cells(const StudyRows& rows, const std::vector<CellPlan>& plans, const std::optional<ResultChoice>& result,
                     std::vector<CellSummary>& cells) {
  const std::vector<Portion> portions = make_portions(plans, cells);
  const bool with_parameters = !counts_episodes(rows.plan.algorithm);  // of a Q network there are thousands
  const bool with_steps = !is_fry_shack(rows.plan), gradient = rows.plan.command == "gradient";
  const std::vector<double> evaluation_thresholds =
      rows.plan.command == "evaluate" ? rows.plan.record.thresholds : std::vector<double>();
  struct Read {
    const Portion* portion;
    CellColumns columns;
  };
  using ReadPointer = std::shared_ptr<Read>;
  std::size_t next = 0;
  const auto read = [&](oneapi::tbb::flow_control& control) -> ReadPointer {
    if (next == portions.size()) {
      control.stop();
      return nullptr;
    }
    const Portion& p = portions[next++];
    const TimeColumns& time = plans[p.cell].time;
    return std::make_shared<Read>(Read{&p, read_columns(rows, plans[p.cell], [&](const Column& c) {
                                         if (p.curve) return c.kind == time.curve && p.first <= c.at && c.at <= p.last;
                                         return belongs_to_summary(c, time, result, with_steps, with_parameters);
                                       })});
  };
  const auto summarise = [&](const ReadPointer& r) {
    const Portion& p = *r->portion;
    CellSummary& cell = cells[p.cell];
    // Isolated: waiting for a column must not start another cell's portion on top of this one.
    oneapi::tbb::this_task_arena::isolate([&] {
      if (!p.curve) {
        summarise_cell(r->columns, plans[p.cell], result, gradient, evaluation_thresholds, cell);
        return;
      }
      std::vector<CellColumn>& columns = r->columns.columns;
      std::sort(columns.begin(), columns.end(), [](const auto& a, const auto& b) { return a.meaning().at < b.meaning().at; });
      oneapi::tbb::parallel_for(std::size_t{0}, columns.size(),
                                [&](std::size_t i) { cell.curve[p.point + i] = curve_point(columns[i]); });
    });
  };
  // Large cells two at a time, for the memory's sake; small ones as many as there are workers.
  std::uint64_t largest = 0;
  for (const CellSummary& cell : cells) largest = std::max(largest, cell.finished);
  constexpr std::uint64_t kSmall = 50'000;
  const std::size_t tokens = largest > kSmall ? 2 : 2 * static_cast<std::size_t>(oneapi::tbb::this_task_arena::max_concurrency());
  oneapi::tbb::parallel_pipeline(tokens,
                                 oneapi::tbb::make_filter<void, ReadPointer>(oneapi::tbb::filter_mode::serial_in_order, read) &
                                     oneapi::tbb::make_filter<ReadPointer, void>(oneapi::tbb::filter_mode::parallel, summarise));
  for (CellSummary& cell : cells) {  // where every replica had stopped there is nothing to say
    std::erase_if(cell.curve, [](const CurveSummary& point) { return point.count == 0; });
  }
}

// ---- comparisons

constexpr std::size_t kMostCellsInAllPairs = 10;

// What a replica is compared by: its result, or the time it took to meet the stopping rule.
struct Measure {
  ColumnKind kind;
  bool is_time;
};

// One number a seed of the file's part of the study, larger is better: -infinity of a failed replica and of one that never reached the
// threshold, NaN of one that is not finished.
std::vector<double> scores_of(const StudyRows& rows, const CellPlan& plan, const Measure& measure, Range part) {
  const CellColumns columns =
      read_columns(rows, plan, [&](const Column& c) { return c.kind == ColumnKind::status || c.kind == measure.kind; });
  const CellColumn* found = columns.find(measure.kind);
  if (found == nullptr) throw DamagedFileError("a cell without the column that cells are compared by");
  const CellColumn& values = *found;
  std::vector<double> scores(part.count, kNone);
  std::size_t row = 0;
  for (const Chunk* chunk : plan.chunks) {
    for (std::uint64_t i = 0; i < chunk->range.count; ++i, ++row) {
      const std::uint64_t seed = chunk->range.first + i - part.first;
      if (seed >= part.count)
        throw DamagedFileError(fmt::format("cell {}: a replica outside the file's part of the study", chunk->cell));
      const ReplicaStatus state = columns.status[row];
      const bool worst =
          measure.is_time ? state != ReplicaStatus::solved : state == ReplicaStatus::failed || std::isnan(values[row]);
      scores[seed] = worst ? -kInfinity : measure.is_time ? -values[row] : values[row];
    }
  }
  return scores;
}

// How often `b` is better than `a`, over the seeds that both have.
PairCounts count_pairs(const std::vector<double>& a, const std::vector<double>& b) {
  PairCounts counts;
  for (std::size_t i = 0; i < a.size(); ++i) {
    counts.better += b[i] > a[i] ? 1 : 0;
    counts.equal += b[i] == a[i] ? 1 : 0;
    counts.worse += b[i] < a[i] ? 1 : 0;
  }
  return counts;
}

// How long the half of a cell's replicas took to the stopping rule: in steps, or in episodes where these are the same.
const Survival& time_of(const ThresholdSummary& t) { return t.steps.n != 0 ? t.steps : t.episodes; }

// The cells with finished replicas, best first: by the share that reached the main threshold and then its median time, or by the result, of
// which a failed replica has the study's lowest; equal ones in the study's order.
std::vector<std::size_t> rank_cells(const std::vector<CellSummary>& cells, bool by_time) {
  double lowest = kInfinity;
  for (const CellSummary& cell : cells) {
    if (cell.result) lowest = std::min(lowest, cell.result->min);
  }
  using Standing = std::pair<double, double>;  // larger is better; then the second
  const auto by_threshold = [](const CellSummary& cell) -> Standing {
    const ThresholdSummary* t = main_threshold(cell);
    if (t == nullptr) return {-kInfinity, -kInfinity};
    return {t->share.estimate, time_of(*t).median ? -*time_of(*t).median : -kInfinity};
  };
  const auto by_result = [&](const CellSummary& cell) -> Standing {
    if (!cell.result) return {-kInfinity, 0};
    const double had = static_cast<double>(cell.result->count), all = static_cast<double>(cell.finished);
    return {had == all ? cell.result->mean : cell.result->mean * (had / all) + lowest * ((all - had) / all), 0};
  };
  std::vector<Standing> standing(cells.size());
  std::vector<std::size_t> ranking;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells[i].finished == 0) continue;
    ranking.push_back(i);
    standing[i] = by_time || lowest == kInfinity ? by_threshold(cells[i]) : by_result(cells[i]);
  }
  std::stable_sort(ranking.begin(), ranking.end(), [&](std::size_t a, std::size_t b) { return standing[a] > standing[b]; });
  return ranking;
}

void compare(const StudyRows& rows, const std::vector<CellPlan>& plans, const std::optional<ResultChoice>& result,
             StudySummary& summary) {
  if (plans.empty()) return;
  const std::optional<double> until = plans.front().until;
  const bool same_until = std::all_of(plans.begin(), plans.end(), [&](const CellPlan& plan) { return plan.until == until; });
  // A training's last return says little where reaching one return ends it: then the time to it is compared.
  const bool by_time = until && same_until && (!result || result->kind == ColumnKind::final_return);
  summary.ranking = rank_cells(summary.cells, by_time);
  if (plans.size() < 2) return;
  if (!result && !by_time) {
    summary.comparison_note = until || !same_until ? "the cells have different stopping rules and record no result"
                                                   : "the study records nothing that could be compared";
    return;
  }
  if (summary.ranking.size() < 2) {
    summary.comparison_note = "fewer than two cells have replicas";
    return;
  }
  const char* const unit = is_fry_shack(rows.plan) ? "episodes" : "steps";
  const Measure measure =
      by_time ? Measure{is_fry_shack(rows.plan) ? ColumnKind::episodes : ColumnKind::steps, true} : Measure{result->kind, false};
  summary.compared_by_time = by_time;
  summary.compared_by = by_time ? fmt::format("{} to {} (never counts as worst)", unit, short_number(*until)) : result->name;
  const std::string worst = by_time ? "" : "; a failed replica is worse than any other";
  const Range part = shard_of(rows.plan.seeds, rows.shard.index, rows.shard.shards);

  const auto add = [&](std::size_t a, std::size_t b, const PairCounts& counts) {
    Comparison c;
    c.a = a;
    c.b = b;
    c.pairs = counts.better + counts.equal + counts.worse;
    if (c.pairs == 0) return;
    c.improvement = probability_of_improvement(counts);
    c.p = sign_test(counts);
    summary.comparisons.push_back(c);
  };
  if (plans.size() <= kMostCellsInAllPairs) {
    std::vector<std::vector<double>> scores(plans.size());
    for (const std::size_t i : summary.ranking) scores[i] = scores_of(rows, plans[i], measure, part);
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    for (std::size_t a = 0; a < plans.size(); ++a) {
      for (std::size_t b = a + 1; b < plans.size(); ++b) {
        if (!scores[a].empty() && !scores[b].empty()) pairs.emplace_back(a, b);
      }
    }
    std::vector<PairCounts> counts(pairs.size());
    oneapi::tbb::parallel_for(std::size_t{0}, pairs.size(),
                              [&](std::size_t i) { counts[i] = count_pairs(scores[pairs[i].first], scores[pairs[i].second]); });
    for (std::size_t i = 0; i < pairs.size(); ++i) add(pairs[i].first, pairs[i].second, counts[i]);
    summary.comparison_note = "all pairs of cells, by the seeds that both have finished" + worst;
  } else {
    const std::size_t best = summary.ranking.front();
    const std::vector<double> scores = scores_of(rows, plans[best], measure, part);
    for (std::size_t i = 0; i < plans.size(); ++i) {
      if (i != best && !plans[i].chunks.empty()) add(i, best, count_pairs(scores_of(rows, plans[i], measure, part), scores));
    }
    summary.comparison_note =
        "each other cell with the best, chosen from the same data, by the seeds that both have finished" + worst;
  }
  std::vector<double> p;
  for (const Comparison& c : summary.comparisons) p.push_back(c.p);
  const std::vector<double> adjusted = holm(p);
  for (std::size_t i = 0; i < adjusted.size(); ++i) summary.comparisons[i].p_holm = adjusted[i];
}

std::vector<CellPlan> plan_cells(const StudyRows& rows) {
  std::vector<CellPlan> plans(rows.plan.cells.size());
  for (std::size_t i = 0; i < plans.size(); ++i) {
    plans[i].configuration = parse_configuration(rows.plan.cells[i], i);
    plans[i].time = time_columns(rows.plan);
    const auto until = plans[i].configuration.find("until");
    if (rows.plan.command == "train" && until != plans[i].configuration.end() && until->is_number())
      plans[i].until = until->get<double>();
  }
  for (const Chunk& chunk : rows.chunks) {
    if (chunk.cell >= plans.size())
      throw DamagedFileError(fmt::format("a chunk of cell {}; the study has {}", chunk.cell, plans.size()));
    if (chunk.range.count != 0) plans[chunk.cell].chunks.push_back(&chunk);
  }
  for (CellPlan& plan : plans) {
    if (plan.chunks.empty()) continue;
    rows.columns(*plan.chunks.front(), [&](const Column& c) {
      plan.schema.push_back({c.kind, c.type, c.name, c.at, {}});
      return false;
    });
    const bool timed = plan.until || plan.records(plan.time.threshold);
    if (!plan.records(ColumnKind::status) || (timed && !plan.records(plan.time.made))) {
      throw DamagedFileError(fmt::format("cell {}: a chunk without status or updates", plan.chunks.front()->cell));
    }
  }
  return plans;
}

void describe_study(const StudyRows& rows, StudySummary& s) {
  const Plan& plan = rows.plan;
  s.title = plan.title;
  s.question = plan.question;
  s.command = plan.command;
  s.environment = plan.environment;
  s.algorithm = plan.algorithm;
  s.source = plan.source;
  s.first_seed = plan.first_seed;
  s.seeds = plan.seeds;
  s.digest = rows.digest;
  s.shard = rows.shard;
  s.runs = rows.runs;
  if (!rows.runs.empty()) {
    s.program_version = rows.runs.back().program_version;
    s.numerics_version = rows.runs.back().numerics_version;
  }
  for (const Chunk& chunk : rows.chunks) s.worker_seconds += chunk.seconds;
  if (counts_episodes(plan.algorithm)) {
    s.time_unit = "episode";
    s.curve_name = plan.record.curve_every == 1
                       ? "return of an episode"
                       : fmt::format("mean return of {} episodes", with_separators(plan.record.curve_every));
  } else {
    s.curve_name = "mean return of the batch";
  }
  s.axes = axes_of(plan);
  for (const Draw& draw : plan.distribution) {
    const bool is_start = plan.command == "train" && !draw.is_setting();
    s.drawn.emplace_back((is_start ? "initial " : "") + draw.name(), to_text(draw));
  }
}

}  // namespace

StudySummary analyse(const StudyRows& rows) {
  const oneapi::tbb::global_control parallelism(oneapi::tbb::global_control::max_allowed_parallelism,
                                                startable_threads(usable_threads()).threads);
  StudySummary summary;
  describe_study(rows, summary);
  const std::vector<CellPlan> plans = plan_cells(rows);
  summary.fixed = fixed_settings(rows.plan, plans, summary);
  const std::optional<ResultChoice> result = choose_result(rows.plan, plans);
  if (result) {
    summary.result_name = result->name;
    summary.result_unit = "return";
  }
  const std::uint64_t planned = shard_of(rows.plan.seeds, rows.shard.index, rows.shard.shards).count;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    CellSummary cell;
    cell.number = i;
    cell.point = rows.plan.cells[i].point;
    cell.label = cell.point.empty() ? "all replicas" : to_text(cell.point);
    cell.planned = planned;
    for (const Chunk* chunk : plans[i].chunks) {
      cell.finished += chunk->range.count;
      cell.failed += chunk->failed;
    }
    if (rows.plan.command == "train") {
      const TrainingLength length = length_of(rows.plan, plans[i].configuration);
      cell.planned_length = length.length;
      cell.batch = length.episodes;
    }
    summary.planned += cell.planned;
    summary.finished += cell.finished;
    summary.failed += cell.failed;
    summary.cells.push_back(std::move(cell));
  }
  summary.complete = summary.finished == summary.planned;
  summarise_cells(rows, plans, result, summary.cells);
  compare(rows, plans, result, summary);
  for (CellSummary& cell : summary.cells) cell.sentence = cell_sentence(summary, cell);
  summary.sentence = study_sentence(summary);
  return summary;
}

}  // namespace fryer::study
