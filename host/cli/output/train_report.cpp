// SPDX-License-Identifier: Apache-2.0
// See train_report.h.
#include "host/cli/output/train_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/study/statistics.h"
#include "host/text.h"

namespace fryer::cli {
namespace {

Json final_parameters(const TrainView& view, const TrainResult& r) {
  Json::object_t object;  // appended to: json[name] looks through all there are, and there may be tens of thousands
  for (std::size_t i = 0; i < view.parameters.size(); ++i) {
    object.Json::object_t::Container::emplace_back(
        view.parameters[i],
        view.settings.replicas > 1 ? summary_json(r.parameters[i]) : finite(static_cast<double>(r.table.parameters[i][0])));
  }
  return Json(std::move(object));
}

Json curve_json(const TrainView& view, const std::vector<CurvePoint>& curve) {
  Json number = Json::array(), mean = Json::array(), count = Json::array(), sd = Json::array();
  std::array<Json, kQuantiles.size()> quantiles;
  quantiles.fill(Json::array());
  for (const CurvePoint& point : curve) {
    number.push_back(point.update);
    mean.push_back(point.count != 0 ? finite(point.mean_return) : Json());
    count.push_back(point.count);
    sd.push_back(point.count != 0 ? finite(point.sd) : Json());
    for (std::size_t i = 0; point.quantiles && i < kQuantiles.size(); ++i) quantiles[i].push_back(finite((*point.quantiles)[i]));
  }
  const bool have_quantiles = quantiles[0].size() == curve.size() && !curve.empty();
  Json json = {{view.by_episodes() ? "episode" : "update", std::move(number)},
               {"mean_return", std::move(mean)},
               {"count", std::move(count)},
               {"sd", std::move(sd)}};
  if (have_quantiles) {
    Json& all = json["quantiles"] = Json::object();
    for (std::size_t i = 0; i < kQuantiles.size(); ++i) all[quantile_name(i)] = std::move(quantiles[i]);
  }
  return json;
}

// Failed trainings have NaN.
Summary summary_of_finite(std::vector<double> values) {
  std::erase_if(values, [](double x) { return !std::isfinite(x); });
  return summarise(values);
}

// "Steps until then: mean 143,052; 5 % within 110,714, half within ...": of whole numbers.
std::string until_then(const char* what, const Summary& s) {
  const auto number = [](double x) { return with_separators(static_cast<std::uint64_t>(x)); };
  return fmt::format("{} until then: mean {}; 5 % within {}, half within {}, 95 % within {}, the slowest {}\n", what,
                     number(s.mean + 0.5), number(s.quantiles[2]), number(s.quantiles[5]), number(s.quantiles[8]), number(s.max));
}

}  // namespace

// About twelve rows, each the mean over a range of updates, or of episodes.
std::string curve_text(const Terminal& terminal, const TrainView& view, const std::vector<CurvePoint>& curve, bool verbose) {
  const std::size_t rows = verbose ? std::min<std::size_t>(curve.size(), 1000) : std::min<std::size_t>(curve.size(), 12);
  if (rows == 0) return "";
  const double low = view.lowest, high = view.highest;
  const bool trainings = view.settings.replicas > 1 && curve.back().count != curve.front().count;  // some stopped early
  Table table;
  table.headings = view.by_episodes() ? std::vector<std::string>{"episodes", "mean return"}
                                      : std::vector<std::string>{"updates", "episodes", "mean return"};
  if (trainings) table.headings.push_back("trainings");
  table.headings.push_back(fmt::format("<{} .. {}", low, high));
  const std::size_t room = terminal.width - std::min<std::size_t>(terminal.width - 10, trainings ? 60 : 48);
  std::uint64_t episodes = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t begin = curve.size() * row / rows, end = curve.size() * (row + 1) / rows;
    double sum = 0, weight = 0;
    for (std::size_t i = begin; i < end; ++i) {
      sum += curve[i].mean_return * static_cast<double>(curve[i].count);
      weight += static_cast<double>(curve[i].count);
      episodes += curve[i].count * view.batch;
    }
    const double mean = weight > 0 ? sum / weight : 0;
    std::vector<std::string> cells = {begin + 1 == end ? fmt::format("{}", end) : fmt::format("{} - {}", begin + 1, end)};
    if (!view.by_episodes()) cells.push_back(human_count(static_cast<double>(episodes)));
    cells.push_back(fmt::format("{:.4g}", mean));
    if (trainings) cells.push_back(with_separators(curve[end - 1].count));
    cells.push_back(high > low ? bar((mean - low) / (high - low) * static_cast<double>(room), room) : "");
    table.rows.push_back(cells);
  }
  return render(terminal, table);
}

std::string threshold_text(const TrainView& view, const TrainResult& r) {
  const PopulationSettings& c = view.settings;
  if (!c.until) return "";
  if (r.table.status[0] != static_cast<std::uint8_t>(ReplicaStatus::solved))
    return fmt::format("Did not reach a mean return of {}\n", *c.until);
  const std::string steps = r.table.steps.empty() ? "" : fmt::format(", {} steps", with_separators(r.steps));
  return fmt::format("Reached a mean return of {} after {} updates, {} episodes{}\n", *c.until,
                     with_separators(r.table.updates[0]), with_separators(view.by_episodes() ? r.table.episodes[0] : r.episodes),
                     steps);
}

std::string solved_text(const TrainView& view, const TrainResult& r) {
  const PopulationSettings& c = view.settings;
  if (!c.until) return "";
  const study::Interval interval = study::wilson(r.solved, c.replicas);
  std::string text = fmt::format("Reached a mean return of {}: {} of {} trainings, {:.2f} % (95 % interval {:.2f} to {:.2f} %)\n",
                                 *c.until, with_separators(r.solved), with_separators(c.replicas),
                                 100 * static_cast<double>(r.solved) / static_cast<double>(c.replicas), 100 * interval.lower,
                                 100 * interval.upper);
  if (r.solved == 0) return text;
  if (view.by_episodes()) {
    text += until_then("Episodes", r.solved_episodes);
  } else {
    text += fmt::format("after {:.1f} updates on average, half of them within {:.0f}\n", r.solved_updates.mean,
                        r.solved_updates.quantiles[5]);
  }
  if (!r.table.steps.empty()) text += until_then("Steps", r.solved_steps);
  return text;
}

std::string threshold_histogram(const Terminal& terminal, const TrainView& view, const TrainResult& r) {
  if (!view.settings.until) return "";
  std::vector<float> values;
  for (std::size_t i = 0; i < r.table.size(); ++i) {
    if (r.table.status[i] != static_cast<std::uint8_t>(ReplicaStatus::solved)) continue;
    values.push_back(static_cast<float>(view.by_episodes() ? r.table.episodes[i] : r.table.updates[i]));
  }
  const std::string rows =
      values.empty() ? "" : histogram(terminal, values, view.by_episodes() ? r.solved_episodes : r.solved_updates, 1);
  const char* const heading = view.by_episodes() ? "Episodes until then" : "Updates until then";
  return rows.empty() ? "" : '\n' + paint(terminal, Style::bold, heading) + '\n' + rows;
}

std::string population_text(const Terminal& terminal, const TrainView& view, const TrainResult& r) {
  std::string text = solved_text(view, r);
  if (!text.empty()) text += '\n';
  if (r.parameters.back().count == 0) return text + "No training ended with finite parameters.\n";
  std::vector<NamedSummary> summaries;
  std::vector<std::size_t> columns;
  const std::size_t first = first_shown(view.parameters.size());
  for (std::size_t i = first; i < view.parameters.size(); ++i) {
    if (!view.learned[i]) continue;
    summaries.push_back({view.parameters[i], r.parameters[i]});
    columns.push_back(i);
  }
  for (const auto& [name, s] : summaries) {
    text += fmt::format("Final {}: mean {}, sd {}, from {} to {}\n", name, short_number(s.mean), short_number(s.sd),
                        short_number(s.min), short_number(s.max));
  }
  text += quantile_table(terminal, summaries);
  text += shown_of_all(terminal, view.parameters.size() - first, view.parameters.size(), "--json and --save-replicas have all");
  constexpr std::size_t kMostHistograms = 2;
  for (std::size_t i = 0; i < summaries.size() && summaries.size() <= kMostHistograms; ++i) {
    const std::string rows = histogram(terminal, r.table.parameters[columns[i]], summaries[i].summary);
    if (!rows.empty()) {
      text += '\n' + paint(terminal, Style::bold, fmt::format("Where the {} ends", summaries[i].name)) + '\n' + rows;
    }
  }
  if (!r.table.steps.empty()) text += threshold_histogram(terminal, view, r);
  return text;
}

std::size_t first_shown(std::size_t parameters) {
  constexpr std::size_t kMost = 8, kShown = 5;
  return parameters <= kMost ? 0 : parameters - kShown;
}

std::string shown_of_all(const Terminal& terminal, std::size_t shown, std::size_t all, const char* where) {
  if (shown == all) return "";
  return paint(terminal, Style::dim, fmt::format("({} of {} parameters; {})", shown, all, where)) + '\n';
}

std::string final_return_text(const TrainResult& r) {
  const Summary s = summary_of_finite(r.final_return);
  if (s.count == 0) return "";
  const auto number = [&](std::size_t i) { return short_number(s.quantiles[i]); };
  const std::size_t episodes = std::min<std::size_t>(r.curve.size(), kValueLearnerWindow);
  return fmt::format("Mean return of a training's {}: mean {}, sd {}, from {} to {};\n", last_of(episodes, "episodes"),
                     short_number(s.mean), short_number(s.sd), short_number(s.min), short_number(s.max)) +
         fmt::format("5 % of the trainings have {} or less, 25 % {}, half {}, 75 % {}, 95 % {}\n", number(2), number(4),
                     number(5), number(6), number(8));
}

Summary summarise(std::vector<double>& values) {
  Summary summary;
  summary.count = values.size();
  if (values.empty()) return summary;
  const double n = static_cast<double>(values.size());
  for (const double x : values) summary.mean += x / n;
  double squares = 0;
  for (const double x : values) squares += (x - summary.mean) * (x - summary.mean);
  summary.sd = std::sqrt(squares / n);
  auto begin = values.begin();
  for (std::size_t i = 0; i < kQuantiles.size(); ++i) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(quantile_position(kQuantiles[i], values.size()));
    std::nth_element(begin, middle, values.end());  // what came before is smaller already
    summary.quantiles[i] = *middle;
    begin = middle;
  }
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  summary.min = *least;
  summary.max = *most;
  return summary;
}

std::string failure_text(const PopulationSettings& c, const Failure& failure, const std::string& remedy) {
  return fmt::format("{} of {} failed; the first: seed {}, whose {} stopped being finite at update {} ({} may help)",
                     with_separators(failure.count), counted(c.replicas, "trainings"), failure.seed, failure.quantity,
                     failure.update, remedy);
}

// Adam's steps are about as long as the learning rate, whatever the gradient; but a gradient that was always 0 is divided by its epsilon.
std::string failure_remedy(const OptimizerSettings& optimizer, double reward_scale, bool unclipped) {
  const bool adam = optimizer.kind == OptimizerSettings::Kind::adam;
  std::vector<std::string> remedies;
  if (adam && optimizer.epsilon == 0) remedies.emplace_back("an --adam-epsilon above 0");
  if (!adam && unclipped) remedies.emplace_back("--clip-norm 10");
  if (!adam && reward_scale > 1) remedies.emplace_back("a smaller --reward-scale");
  remedies.emplace_back("a smaller --learning-rate");
  return either(remedies);
}

Json train_json(const TrainView& view, const TrainResult& r) {
  const PopulationSettings& c = view.settings;
  Json json = Json::object();
  json["episodes"] = r.episodes;
  json["steps"] = r.steps;
  json["optimizer_updates"] = r.optimizer_updates;
  json["final_parameters"] = final_parameters(view, r);
  json["failed"] = {{"count", r.failed.count}, {"first", Json()}};
  if (r.failed.count != 0)
    json["failed"]["first"] = {{"seed", r.failed.seed}, {"update", r.failed.update}, {"quantity", r.failed.quantity}};
  json["solved"] = Json();
  const Summary none;
  const Summary& solved = c.until ? r.solved_updates : none;
  if (c.until) {
    const study::Interval interval = study::wilson(r.solved, c.replicas);
    json["solved"] = {{"count", r.solved},
                      {"fraction", static_cast<double>(r.solved) / static_cast<double>(c.replicas)},
                      {"lower", interval.lower},
                      {"upper", interval.upper}};
  }
  const double batch = static_cast<double>(view.batch);
  json["updates_to_threshold"] = summary_json(solved);
  json["episodes_to_threshold"] = view.by_episodes() ? summary_json(r.solved_episodes) : summary_json(solved, batch);
  json["steps_to_threshold"] = r.table.steps.empty() ? summary_json(solved, batch) : summary_json(r.solved_steps);
  if (view.by_episodes()) {
    const Summary final_return = summary_of_finite(r.final_return);
    const bool known = final_return.count != 0;
    json["final_return"] = !known ? Json() : c.replicas > 1 ? summary_json(final_return) : finite(final_return.mean);
  }
  json["curve"] = curve_json(view, r.curve);
  return json;
}

}  // namespace fryer::cli
