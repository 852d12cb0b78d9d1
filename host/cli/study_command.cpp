// SPDX-License-Identifier: Apache-2.0
// See study_command.h.
#include "host/cli/study_command.h"

#include <fmt/format.h>

#include "fryer/core/version.h"
#include "host/study/statistics.h"
#include "host/study/unfinished.h"

namespace fryer::cli {

Option& StudyCommand::add_output(std::string& path, const std::string& accepted, const std::string& help) {
  Option& option = table_.text("output", "FILE", path, accepted, help);
  option.short_name = "o";
  return option;
}

StudyState state_of(const study::Store& store) {
  const study::Plan& plan = store.plan();
  StudyState state;
  state.cells.resize(plan.cells.size());
  const std::uint64_t of_cell = study::shard_of(plan.seeds, store.shard().index, store.shard().shards).count;
  state.planned = of_cell * plan.cells.size();
  const std::vector<study::Chunk> chunks = store.chunks();
  for (const study::Chunk& chunk : chunks) {
    StudyState::OfCell& cell = state.cells[chunk.cell];
    cell.finished += chunk.range.count;
    cell.failed += chunk.failed;
    cell.solved += chunk.solved;
    state.worker_seconds += chunk.seconds;
    const auto counts = store.columns(chunk, [](const study::Column& column) {
      return column.kind == study::ColumnKind::updates || column.kind == study::ColumnKind::episodes ||
             column.kind == study::ColumnKind::steps;
    });
    for (const study::Column& column : counts) {
      std::uint64_t& sum = column.kind == study::ColumnKind::updates    ? state.updates
                           : column.kind == study::ColumnKind::episodes ? state.episodes
                                                                        : state.steps;
      for (const std::uint64_t n : column.bits) sum += n;
    }
  }
  for (const StudyState::OfCell& cell : state.cells) {
    state.finished += cell.finished;
    state.failed += cell.failed;
    state.solved += cell.solved;
    state.cells_done += cell.finished == of_cell;
  }
  if (!state.complete()) {
    const study::UnfinishedFile::Begun begun = study::UnfinishedFile(store).count();
    state.unfinished = begun.trainings;
    state.waiting = begun.ended;
    state.lost = begun.lost;
  }
  state.digest = study::digest_of(chunks);
  return state;
}

namespace {

// Of the file's results; this program's where it has none yet.
std::uint64_t numerics_version_of(const study::Store& store) {
  const std::vector<study::Provenance> runs = store.runs();
  return runs.empty() ? kNumericsVersion : runs.back().numerics_version;
}

// Whether trainings can be solved: they have a threshold to stop at.
bool has_stopping_rule(const study::Cell& cell) {
  const Json configuration = Json::parse(cell.configuration, nullptr, false);
  return configuration.is_object() && configuration.contains("until") && !configuration["until"].is_null();
}

Json share_json(std::uint64_t successes, std::uint64_t n) {
  if (n == 0) return {};
  const study::Interval share = study::share(successes, n);
  return {{"count", successes}, {"fraction", share.estimate}, {"lower", share.lower}, {"upper", share.upper}};
}

}  // namespace

Json configuration_json(const study::Plan& plan) {
  Json document = study::to_json(plan);
  if (plan.algorithm.empty()) document.erase("algorithm");
  for (Json& cell : document["cells"]) {
    const Json settings = Json::parse(cell["configuration"].get<std::string>(), nullptr, false);
    cell["configuration"] = settings.is_discarded() ? Json() : settings;  // damaged: resuming says so
    cell.erase("key");
  }
  return document;
}

Json study_json(const Command& command, const study::Store& store, const StudyState& state, double wall_seconds) {
  const study::Plan& plan = store.plan();
  const study::Shard& shard = store.shard();
  Json document = Json::object();
  document["command"] = command.description().name;
  document["environment"] = plan.environment;
  if (!plan.algorithm.empty()) document["algorithm"] = plan.algorithm;
  document["configuration"] = configuration_json(plan);
  document["seed"] = plan.first_seed;
  document["numerics_version"] = numerics_version_of(store);
  document["digest"] = hex16(state.digest);
  document["wall_seconds"] = wall_seconds;
  document["episodes"] = state.episodes;
  document["steps"] = state.steps;
  document["optimizer_updates"] = state.updates;
  document["cells"] = plan.cells.size();
  document["cells_complete"] = state.cells_done;
  document["trainings"] = {{"planned", state.planned}, {"finished", state.finished},     {"failed", state.failed},
                           {"solved", state.solved},   {"unfinished", state.unfinished}, {"waiting", state.waiting}};
  document["complete"] = state.complete();
  document["shard"] = {{"index", shard.index}, {"shards", shard.shards}};
  document["worker_seconds"] = state.worker_seconds;
  document["results"] = Json::array();
  for (std::size_t i = 0; i < plan.cells.size(); ++i) {
    const StudyState::OfCell& of = state.cells[i];
    Json cell = {{"cell", i}, {"point", Json::object()}, {"finished", of.finished}, {"failed", of.failed}};
    for (const auto& [key, value] : plan.cells[i].point) cell["point"][key] = value;
    cell["solved"] = has_stopping_rule(plan.cells[i]) ? share_json(of.solved, of.finished) : Json();
    document["results"].push_back(cell);
  }
  return document;
}

std::string study_text(const Console& console, const study::Store& store, const StudyState& state, bool every_cell) {
  const study::Plan& plan = store.plan();
  const study::Shard& shard = store.shard();
  constexpr std::size_t kMostRows = 20;
  std::string text = paint(console.out, Style::bold, plan.title) + '\n';
  Table table{{"<cell", "finished", "failed", "solved", "95 % interval"}, {}};
  const std::size_t rows = every_cell ? plan.cells.size() : std::min(plan.cells.size(), kMostRows);
  bool stops = false;
  for (std::size_t i = 0; i < rows; ++i) {
    const StudyState::OfCell& of = state.cells[i];
    const std::string point = study::to_text(plan.cells[i].point);
    std::vector<std::string> row = {point.empty() ? plan.environment : point, with_separators(of.finished),
                                    with_separators(of.failed), "", ""};
    if (has_stopping_rule(plan.cells[i]) && of.finished != 0) {
      const study::Interval share = study::share(of.solved, of.finished);
      row[3] = with_separators(of.solved);
      row[4] = fmt::format("{:.2f} to {:.2f} %", 100 * share.lower, 100 * share.upper);
      stops = true;
    }
    table.rows.push_back(std::move(row));
  }
  if (!stops) {
    table.headings.resize(3);
    for (auto& row : table.rows) row.resize(3);
  }
  text += render(console.out, table);
  if (rows != plan.cells.size())
    text += fmt::format("... {} more cells (-v shows all)\n", with_separators(plan.cells.size() - rows));
  text += fmt::format("\n{} of {} of {}", with_separators(state.finished), counted(state.planned, "replicas"),
                      counted(plan.cells.size(), "cells"));
  if (shard.shards != 1) text += fmt::format(" (shard {} of {})", shard.index, shard.shards);
  text += fmt::format("{}: {} episodes, {} steps\ndigest {} (numerics version {})\n", state.complete() ? "" : " so far",
                      human_count(static_cast<double>(state.episodes)), human_count(static_cast<double>(state.steps)),
                      hex16(state.digest), numerics_version_of(store));
  return text;
}

}  // namespace fryer::cli
