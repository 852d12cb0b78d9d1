// SPDX-License-Identifier: Apache-2.0
// The page: what was asked, what came out, plots, tables, methods, and everything needed to repeat it. All text that comes from
// a file passes escape_html; what is already markup is only joined here.
#include "host/study/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <exception>
#include <iterator>
#include <map>
#include <system_error>
#include <thread>

#include "host/study/cell_order.h"
#include "host/study/gnuplot.h"
#include "host/study/html.h"
#include "host/study/svg.h"
#include "host/study/wording.h"
#include "host/text.h"

namespace fryer::study {
namespace {

using Row = std::vector<TableCell>;

TableCell count_cell(std::uint64_t n) { return {with_separators(n), static_cast<double>(n)}; }
TableCell number_cell(double x) { return {short_number(x), x}; }

// Written as a number from its first to its last character.
std::optional<double> as_number(const std::string& text) {
  double x = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), x);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(x) ? std::optional(x) : std::nullopt;
}

TableCell interval_cell(const Interval& interval) {
  return {as_precise_as(interval, interval.estimate), interval.estimate, bounds_cell(interval)};
}

TableCell share_cell(const Interval& share) { return {percent_cell(share.estimate), share.estimate, percent_bounds_cell(share)}; }

TableCell median_cell(const Survival& survival) {
  if (survival.n == 0) return {"\u2013", std::nullopt};
  const std::string bounds = bounds_cell(survival.lower, survival.upper);
  if (survival.median) return {short_number(*survival.median), *survival.median, bounds};
  return {"not reached", std::nullopt, bounds};
}

std::string section(std::string_view id, std::string_view heading, std::string_view content) {
  return content.empty() ? "" : fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n{}</section>\n", id, heading, content);
}

std::string paragraph(std::string_view text, std::string_view kind = "") {
  if (text.empty()) return "";
  return fmt::format("<p{}>{}</p>\n", kind.empty() ? "" : fmt::format(" class=\"{}\"", kind), escape_html(text));
}

// ---- columns that several tables share: which cell a row is about

// The axes that the grid varies, as columns; a study of one cell has its label instead.
void add_cell_columns(const StudySummary& summary, std::vector<TableColumn>& columns) {
  if (summary.axes.empty()) {
    columns.push_back({"cell"});
    return;
  }
  columns.push_back({"cell", true});
  for (const auto& [key, values] : summary.axes) {
    columns.push_back(
        {key, std::all_of(values.begin(), values.end(), [](const std::string& value) { return as_number(value).has_value(); })});
  }
}

void add_cell(const StudySummary& summary, const CellSummary& cell, Row& row) {
  if (summary.axes.empty()) {
    row.push_back({cell.label, std::nullopt});
    return;
  }
  row.push_back(count_cell(cell.number));
  for (const auto& [key, values] : summary.axes) {
    const auto at =
        std::find_if(cell.point.begin(), cell.point.end(), [&, &name = key](const auto& pair) { return pair.first == name; });
    const std::string value = at == cell.point.end() ? "\u2013" : at->second;
    row.push_back({value, as_number(value)});
  }
}

std::string seed_range(const StudySummary& summary) {
  return fmt::format("{} to {}", with_separators(summary.first_seed), with_separators(summary.first_seed + (summary.seeds - 1)));
}

// ---- parts

std::string banner(const StudySummary& summary) {
  std::string text;
  if (!summary.complete) {
    text =
        fmt::format("This study is not complete: {} of {} trainings are finished. What follows is about those, and may change.",
                    with_separators(summary.finished), with_separators(summary.planned));
    if (summary.command != "train") text.replace(text.find("trainings"), 9, "replicas");
  }
  if (summary.shard.shards > 1) {
    text += fmt::format("{}This file is shard {} of {}: a part of the study's seeds. Merge the shards to see it whole.",
                        text.empty() ? "" : " ", summary.shard.index, summary.shard.shards);
  }
  return text.empty() ? "" : fmt::format("<p class=\"banner\" role=\"note\"><strong>{}</strong></p>\n", escape_html(text));
}

std::string key_figures(const StudySummary& summary, const std::vector<std::size_t>& by_merit) {
  std::string html = "<dl class=\"key\">\n";
  const auto add = [&](std::string_view name, std::string_view value, std::string_view detail) {
    fmt::format_to(std::back_inserter(html), "<div><dt>{}</dt><dd>{}{}</dd></div>\n", escape_html(name), escape_html(value),
                   detail.empty() ? "" : fmt::format("<small>{}</small>", escape_html(detail)));
  };
  add("cells", with_separators(summary.cells.size()), summary.axes.empty() ? "one configuration" : "over " + axes_label(summary));
  add("seeds a cell", with_separators(summary.seeds), summary.seeds == 0 ? "" : seed_range(summary));
  add("finished", with_separators(summary.finished), fmt::format("of {} planned", with_separators(summary.planned)));
  add("failed", with_separators(summary.failed),
      summary.failed == 0 ? "all numbers stayed finite"
                          : fmt::format("{} of the finished", percent_cell(static_cast<double>(summary.failed) /
                                                                           static_cast<double>(summary.finished))));
  if (!by_merit.empty()) {
    const CellSummary& best = summary.cells[by_merit[0]];
    const std::string which = summary.cells.size() > 1 ? "best cell: " + best.label : "";
    if (const ThresholdSummary* threshold = main_threshold(best)) {
      add(fmt::format("reached {}", short_number(threshold->threshold)), percent_cell(threshold->share.estimate),
          percent_bounds_cell(threshold->share) + (which.empty() ? "" : "; " + which));
      if (threshold->time.median) {
        add(fmt::format("median {}s to it", summary.time_unit), short_number(*threshold->time.median),
            bounds_cell(threshold->time.lower, threshold->time.upper));
      }
    } else if (best.result) {
      const Interval& mean = best.result->mean_interval;
      add(summary.result_name, as_precise_as(mean, mean.estimate),
          "mean " + bounds_cell(mean) + (which.empty() ? "" : "; " + which));
    }
  }
  add("computing time", human_seconds(summary.worker_seconds), "summed over workers");
  return html + "</dl>\n";
}

std::string cells_table(const StudySummary& summary) {
  std::vector<TableColumn> columns;
  add_cell_columns(summary, columns);
  bool thresholds = false, results = false;
  for (const CellSummary& cell : summary.cells) {
    thresholds = thresholds || !cell.thresholds.empty();

    results = results || cell.result.has_value();
  }
  for (const char* heading : {"finished", "failed"}) columns.push_back({heading, true});
  if (thresholds) {
    columns.push_back({"reached the threshold", true});
    columns.push_back({fmt::format("median {}s to it", summary.time_unit), true});
  }
  if (results) {
    for (const char* heading : {"mean result", "standard deviation", "interquartile mean", "median result"})
      columns.push_back({heading, true});
  }

  std::vector<Row> rows;
  for (const CellSummary& cell : summary.cells) {
    Row row;
    add_cell(summary, cell, row);
    row.push_back({with_separators(cell.finished), static_cast<double>(cell.finished), "of " + with_separators(cell.planned)});
    row.push_back(count_cell(cell.failed));
    const TableCell none = {"\u2013", std::nullopt};
    if (thresholds) {
      const ThresholdSummary* threshold = cell.finished > 0 ? main_threshold(cell) : nullptr;
      row.push_back(threshold ? share_cell(threshold->share) : none);
      row.push_back(threshold ? median_cell(threshold->time) : none);
    }
    if (results) {
      const bool some = cell.result && cell.result->count > 0;
      row.push_back(some ? interval_cell(cell.result->mean_interval) : none);
      row.push_back(some ? number_cell(cell.result->sd) : none);
      row.push_back(some && cell.result->iqm ? interval_cell(*cell.result->iqm) : none);
      const auto* median =
          some && cell.result->quantiles.size() == std::size(kReportQuantiles) ? &cell.result->quantiles[2].second : nullptr;
      row.push_back(median ? interval_cell(*median) : none);
    }
    rows.push_back(std::move(row));
  }
  std::string html = html_table("cells", columns, rows, true);
  if (results || thresholds)
    html += paragraph(fmt::format("{}In brackets: 95 % intervals, each cell's own.",
                                  results ? fmt::format("Result: {}. ", result_label(summary)) : ""),
                      "note");
  if (!thresholds || summary.finished == 0) return html;

  html += "<h3>Thresholds: when they were reached</h3>\n";
  columns.clear();
  rows.clear();
  add_cell_columns(summary, columns);
  for (const char* heading : {"threshold", "reached by", "share"}) columns.push_back({heading, true});
  const bool in_updates = summary.time_unit == "update";  // else a training's time is its episodes
  if (in_updates) columns.push_back({"median updates", true});
  for (const char* heading : {"median episodes", "median steps"}) columns.push_back({heading, true});
  for (const CellSummary& cell : summary.cells) {
    if (cell.finished == 0) continue;
    for (const ThresholdSummary& threshold : cell.thresholds) {
      Row row;
      add_cell(summary, cell, row);
      row.push_back({short_number(threshold.threshold) + (threshold.stops ? " (stops)" : ""), threshold.threshold});
      row.push_back(count_cell(threshold.reached));
      row.push_back(share_cell(threshold.share));
      if (in_updates) row.push_back(median_cell(threshold.time));
      for (const Survival* survival : {&threshold.episodes, &threshold.steps}) row.push_back(median_cell(*survival));
      rows.push_back(std::move(row));
    }
  }
  return html + html_table("thresholds", columns, rows, true);
}

std::string comparisons_table(const StudySummary& summary) {
  if (summary.comparisons.empty()) return "";
  std::vector<Row> rows;
  for (const Comparison& comparison : summary.comparisons) {
    rows.push_back({{short_label(summary.cells[comparison.b]), std::nullopt},
                    {short_label(summary.cells[comparison.a]), std::nullopt},
                    count_cell(comparison.pairs),
                    share_cell(comparison.improvement),
                    {p_cell(comparison.p), comparison.p},
                    {p_cell(comparison.p_holm), comparison.p_holm}});
  }
  return paragraph(fmt::format("Compared by {}, seed by seed, since cells share their seeds. {}", summary.compared_by,
                               summary.comparison_note)) +
         html_table("comparisons",
                    {{"this cell"},
                     {"than this one"},
                     {"seeds of both", true},
                     {"probability of being better", true},
                     {"p", true},
                     {"p, corrected", true}},
                    rows, true) +
         paragraph(
             "The probability that the first cell is better with the same seed, ties counted half, with its 95 % interval. p: "
             "two-sided exact sign "
             "test; corrected by Holm's method for all the comparisons here.",
             "note");
}

std::string gradient_table(const StudySummary& summary) {
  if (summary.command != "gradient") return "";
  std::vector<TableColumn> columns;
  add_cell_columns(summary, columns);
  columns.push_back({"of"});
  for (const char* heading : {"estimates", "mean", "standard deviation over seeds", "second moment"})
    columns.push_back({heading, true});
  std::vector<Row> rows;
  for (const CellSummary& cell : summary.cells) {
    for (const auto& [name, d] : cell.parameters) {
      if (d.count == 0) continue;
      const auto moment = std::find_if(cell.second_moments.begin(), cell.second_moments.end(),
                                       [&, &wanted = name](const auto& pair) { return pair.first == wanted; });
      Row row;
      add_cell(summary, cell, row);
      row.push_back({name, std::nullopt});
      row.push_back(count_cell(d.count));
      row.push_back(interval_cell(d.mean_interval));
      row.push_back(number_cell(d.sd));
      row.push_back(moment == cell.second_moments.end() ? TableCell{"\u2013", std::nullopt} : number_cell(moment->second));
      rows.push_back(std::move(row));
    }
  }
  return rows.empty() ? "" : html_table("gradient estimates", columns, rows, true);
}

// Of the result and the final parameters: what the plots show, as numbers.
std::string distributions_table(const StudySummary& summary) {
  constexpr std::size_t kMostCells = 100;  // beyond that only of the result
  if (summary.command == "gradient") return "";
  std::vector<TableColumn> columns;
  add_cell_columns(summary, columns);
  columns.push_back({"of"});
  for (const char* heading : {"seeds", "mean", "standard deviation", "smallest"}) columns.push_back({heading, true});
  for (const double q : kReportQuantiles) columns.push_back({fmt::format("{:g} %", 100 * q), true});
  columns.push_back({"largest", true});
  std::vector<Row> rows;
  const auto add = [&](const CellSummary& cell, const std::string& name, const Distribution& d) {
    if (d.count == 0) return;
    Row row;
    add_cell(summary, cell, row);
    row.push_back({name, std::nullopt});
    row.push_back(count_cell(d.count));
    row.push_back(interval_cell(d.mean_interval));
    row.push_back(number_cell(d.sd));
    row.push_back(number_cell(d.min));
    for (const auto& [q, interval] : d.quantiles) row.push_back(interval_cell(interval));
    row.resize(columns.size() - 1, {"\u2013", std::nullopt});
    row.push_back(number_cell(d.max));
    rows.push_back(std::move(row));
  };
  for (const CellSummary& cell : summary.cells) {
    if (cell.result) add(cell, result_label(summary), *cell.result);
    if (summary.cells.size() > kMostCells) continue;
    for (const auto& [name, d] : cell.parameters) add(cell, name, d);
  }
  if (rows.empty()) return "";
  return html_table("distributions", columns, rows, true) +
         paragraph("Over the seeds that did not fail. In brackets: 95 % intervals of the mean and of each quantile.", "note");
}

// The plots as figures, drawn by as many processes at once as there are processors.
std::string figures(const std::vector<Plot>& plots, const StopToken* stop) {
  std::vector<std::string> drawn(plots.size());
  std::vector<std::exception_ptr> errors(plots.size());
  std::atomic<std::size_t> next = 0;
  std::atomic<bool> failed = false;  // then the others are of no use
  const auto work = [&] {
    for (std::size_t i = next++; i < plots.size() && !failed; i = next++) {
      try {
        drawn[i] = inline_svg(draw(plots[i], "svg", stop), plots[i].name, plots[i].title, plots[i].caption);
      } catch (...) {
        errors[i] = std::current_exception();
        failed = true;
      }
    }
  };
  {
    std::vector<std::jthread> workers;
    try {
      for (std::size_t i = 1; i < std::min<std::size_t>(plots.size(), std::thread::hardware_concurrency()); ++i)
        workers.emplace_back(work);
    } catch (const std::system_error&) {  // no more threads to be had: it takes longer
    }
    work();
  }
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  std::string html;
  for (std::size_t i = 0; i < plots.size(); ++i) {
    const bool wide = plots[i].width > 600;
    fmt::format_to(std::back_inserter(html), "<figure{}>\n{}{}{}<figcaption><strong>{}</strong> {}</figcaption>\n</figure>\n",
                   wide ? " class=\"wide\"" : "",
                   wide ? fmt::format("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{}\">\n",
                                      escape_html(plots[i].title))
                        : "",
                   drawn[i], wide ? "</div>\n" : "", escape_html(plots[i].title), escape_html(plots[i].caption));
  }
  return html.empty() ? "" : "<div class=\"figures\">\n" + html + "</div>\n";
}

constexpr std::string_view kMethods[][2] = {
    {"Shares",
     "Wilson's score interval (Wilson 1927); Clopper and Pearson's exact interval where none or all reached the threshold "
     "(Clopper & Pearson 1934)."},
    {"Time to a threshold",
     "Kaplan-Meier estimate (Kaplan & Meier 1958): a seed that did not reach it is censored at its last update or episode, not "
     "dropped; one that failed is kept as never reaching it, to the planned end. Interval of the curve: "
     "Greenwood's variance with the log-log transform; of the median: Brookmeyer & Crowley 1982 with the same transform."},
    {"Means", "Student's t interval."},
    {"Interquartile mean",
     "The mean of the middle half (Agarwal et al. 2021); interval of the trimmed mean from the winsorised variance (Tukey & "
     "McLaughlin 1963; Yuen 1974)."},
    {"Quantiles",
     "Order statistics, with the interval between two order statistics whose binomial coverage is at least 95 % (David & "
     "Nagaraja 2003, section 7.1)."},
    {"Distribution functions", "Band of Dvoretzky, Kiefer & Wolfowitz 1956 with Massart's constant (Massart 1990)."},
    {"Pairs of cells",
     "Probability of improvement over pairs of equal seeds, ties counted half, with a score interval; two-sided exact sign test "
     "(Conover 1999, section 3.4); "
     "p-values corrected by Holm's method (Holm 1979)."},
    {"Failed seeds",
     "A seed whose numbers stopped being finite has failed: it counts as finished and as not reaching a threshold, and is in no "
     "mean or quantile."},
    {"No resampling",
     "All intervals are exact or asymptotic, two-sided, at 95 %. None is corrected for the number of cells; the comparisons' "
     "corrected p-values are."},
};

template <class Pairs>
std::string definition_list(const Pairs& pairs) {
  std::string html = "<dl class=\"list\">\n";
  for (const auto& [name, text] : pairs) {
    fmt::format_to(std::back_inserter(html), "<dt>{}</dt><dd>{}</dd>\n", escape_html(name), escape_html(text));
  }
  return html + "</dl>\n";
}

// What each cell's data do and do not show; of a study of one cell the page's head says it.
std::string sentences(const StudySummary& summary) {
  if (summary.cells.size() < 2) return "";
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const CellSummary& cell : summary.cells) pairs.emplace_back(fmt::format("{}: {}", cell.number, cell.label), cell.sentence);
  return definition_list(pairs);
}

std::string configuration(const StudySummary& summary) {
  std::vector<std::pair<std::string, std::string>> settings = {{"command", summary.command},
                                                               {"environment", summary.environment}};
  if (!summary.algorithm.empty()) settings.emplace_back("algorithm", summary.algorithm);
  for (const auto& [key, values] : summary.axes) {
    std::string list;
    for (const std::string& value : values) list += (list.empty() ? "" : ", ") + value;
    settings.emplace_back("grid: " + key, list);
  }
  for (const auto& [name, range] : summary.drawn) settings.emplace_back("drawn by each seed: " + name, range);
  if (summary.seeds > 0) {
    settings.emplace_back("seeds", seed_range(summary) + ", for each cell");
  }
  std::string html = definition_list(settings);
  if (!summary.fixed.empty()) html += "<h3>Settings that all cells share</h3>\n" + definition_list(summary.fixed);
  if (!summary.source.empty()) {
    html += "<h3>The study file</h3>\n<pre tabindex=\"0\"><code>" + escape_html(summary.source) + "</code></pre>\n";
  }
  return html;
}

std::string where_it_ran(const StudySummary& summary) {
  if (summary.runs.empty()) return "<p>No process has written to this file yet.</p>\n";
  std::vector<Row> rows;
  for (const Provenance& run : summary.runs) {
    rows.push_back({{run.started, std::nullopt},
                    {run.host, std::nullopt},
                    {run.processor, std::nullopt},
                    {run.operating_system, std::nullopt},
                    {run.device, std::nullopt},
                    {run.isa, std::nullopt},
                    count_cell(run.threads),
                    {run.program_version, std::nullopt},
                    {run.compiler, std::nullopt},
                    count_cell(run.numerics_version),
                    {run.command_line, std::nullopt}});
  }
  return html_table("where it ran",
                    {{"started (UTC)"},
                     {"host"},
                     {"processor"},
                     {"operating system"},
                     {"device"},
                     {"instruction set"},
                     {"threads", true},
                     {"fryer"},
                     {"compiler"},
                     {"numerics", true},
                     {"command", false, true}},
                    rows, false);
}

std::string repeating(const StudySummary& summary, const std::string& repeat_command) {
  return "<pre tabindex=\"0\"><code>" + escape_html(repeat_command) + "</code></pre>\n" +
         definition_list(
             std::vector<std::pair<std::string, std::string>>{{"digest of the results", fmt::format("{:016x}", summary.digest)},
                                                              {"numerics version", std::to_string(summary.numerics_version)},
                                                              {"report written by", "fryer " + summary.program_version}}) +
         paragraph(
             "The same study file and numerics version give the same digest on every machine, straight through or resumed, in "
             "whatever order its parts were computed.",
             "note");
}

}  // namespace

namespace {

constexpr std::size_t kMostCellsInTables = 2000;

// The study with the best of its cells, in the study's order: what a page of tables can hold.
StudySummary best_part(const StudySummary& summary) {
  std::vector<std::size_t> kept = summary.ranking;
  kept.resize(std::min(kept.size(), kMostCellsInTables));
  std::sort(kept.begin(), kept.end());
  StudySummary part = summary;
  part.cells.clear();
  part.comparisons.clear();
  std::map<std::size_t, std::size_t> place;
  for (const std::size_t cell : kept) {
    place.emplace(cell, part.cells.size());
    part.cells.push_back(summary.cells[cell]);
  }
  for (Comparison c : summary.comparisons) {
    const auto a = place.find(c.a), b = place.find(c.b);
    if (a == place.end() || b == place.end()) continue;
    c.a = a->second;
    c.b = b->second;
    part.comparisons.push_back(c);
  }
  return part;
}

}  // namespace

std::string report_html(const StudySummary& summary, const std::string& repeat_command, const StopToken* stop) {
  const std::vector<std::size_t> by_merit = summary.ranking;
  const bool too_many = summary.cells.size() > kMostCellsInTables;
  const StudySummary part = too_many ? best_part(summary) : StudySummary();
  const StudySummary& shown = too_many ? part : summary;
  std::string body = "<header>\n";
  body += paragraph(fmt::format("fryer study \u00b7 {} \u00b7 {}{}", summary.command, summary.environment,
                                summary.algorithm.empty() ? "" : " \u00b7 " + summary.algorithm),
                    "kind");
  body += "<h1>" + escape_html(summary.title) + "</h1>\n";
  body += paragraph(summary.question, "question");
  body += banner(summary);
  body += paragraph(summary.sentence, "lead");
  body += "</header>\n<main>\n" + key_figures(summary, by_merit);
  const std::string left_out =
      too_many ? paragraph(fmt::format("The tables show the best {} of {} cells; fryer study export has them all.",
                                       with_separators(shown.cells.size()), with_separators(summary.cells.size())),
                           "note")
               : "";
  body += section("cells", "Cells", left_out + cells_table(shown));
  const std::string plots = figures(make_plots(summary), stop);
  body += section("plots", "Plots", plots.empty() ? "<p>There is nothing to draw yet.</p>\n" : plots);
  body += section("words", "Cell by cell, in words", sentences(shown));
  body += section("distributions", "Distributions in numbers", distributions_table(shown));
  body += section("comparisons", "Comparisons", comparisons_table(shown));
  body += section("gradients", "Gradient estimates", gradient_table(shown));
  body += section("methods", "Methods", definition_list(kMethods));
  body += section("configuration", "Configuration", configuration(summary));
  body += section("provenance", "Where it ran", where_it_ran(summary));
  body += section("repeat", "To repeat it", repeating(summary, repeat_command));
  return html_page(summary.title, body + "</main>\n");
}

}  // namespace fryer::study
