// SPDX-License-Identifier: Apache-2.0
// See plan.h. The document of a plan is written and read by this program only, so reading is strict: every key, no other, of the
// type that was written. Locale plays no part: nlohmann-json writes and reads doubles so that they come back to the same bits.
#include "host/study/plan.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <cmath>
#include <limits>

#include "fryer/core/error.h"

namespace fryer::study {
namespace {

// The keys of the document, each once.
constexpr const char *kTitle = "title", *kQuestion = "question", *kCommand = "command", *kEnvironment = "environment",
                     *kAlgorithm = "algorithm", *kCells = "cells", *kConfiguration = "configuration", *kKey = "key",
                     *kPoint = "point", *kSeeds = "seeds", *kFirst = "first", *kCount = "count", *kRecord = "record",
                     *kParameters = "parameters", *kCurveEvery = "curve_every", *kEvaluationEpisodes = "evaluation_episodes",
                     *kThresholds = "thresholds", *kDistribution = "distribution", *kParameter = "parameter", *kIndex = "index",
                     *kLow = "low", *kHigh = "high", *kSetting = "setting", *kScale = "scale", *kLog = "log";

[[noreturn]] void damaged(const std::string& where, const std::string& what) {
  throw DamagedFileError(fmt::format("the study's plan is damaged: {} {}", where, what));
}

void expect_keys(const Json& object, const std::string& where, std::initializer_list<const char*> keys) {
  if (!object.is_object()) damaged(where, "is not an object");
  for (const char* key : keys) {
    if (!object.contains(key)) damaged(where, fmt::format("lacks {}", key));
  }
  if (object.size() != keys.size()) damaged(where, fmt::format("has {} keys instead of {}", object.size(), keys.size()));
}

std::string text(const Json& value, const std::string& where) {
  if (!value.is_string()) damaged(where, "is not a text");
  return value.get<std::string>();
}

std::uint64_t integer(const Json& value, const std::string& where) {
  if (!value.is_number_unsigned()) damaged(where, "is not a whole number from 0 to 2^64 - 1");
  return value.get<std::uint64_t>();
}

double real(const Json& value, const std::string& where) {
  if (!value.is_number_float() || !std::isfinite(value.get<double>()))
    damaged(where, "is not a finite number with a decimal point");
  return value.get<double>();
}

const Json& list(const Json& value, const std::string& where) {
  if (!value.is_array()) damaged(where, "is not a list");
  return value;
}

Cell cell_from_json(const Json& document, const std::string& where) {
  expect_keys(document, where, {kConfiguration, kKey, kPoint});
  Cell cell;
  cell.configuration = text(document[kConfiguration], where + ".configuration");
  cell.key = text(document[kKey], where + ".key");
  for (const Json& pair : list(document[kPoint], where + ".point")) {
    if (!pair.is_array() || pair.size() != 2) damaged(where + ".point", "is not a list of key and value");
    cell.point.emplace_back(text(pair[0], where + ".point"), text(pair[1], where + ".point"));
  }
  return cell;
}

// What drew parameters uniformly before settings could be drawn has the same text, and so the same fingerprint, still: a scale is written
// where it is not the uniform one.
Json to_json(const Draw& draw) {
  Json document;
  if (draw.is_setting()) {
    document = {{kSetting, draw.setting}, {kLow, draw.low}, {kHigh, draw.high}};
  } else {
    document = {{kParameter, draw.parameter}, {kIndex, draw.index}, {kLow, draw.low}, {kHigh, draw.high}};
  }
  if (draw.scale == Draw::Scale::log_uniform) document[kScale] = kLog;
  return document;
}

Draw draw_from_json(const Json& document, const std::string& where) {
  Draw draw;
  Json rest = document;
  if (rest.is_object() && rest.contains(kScale)) {
    if (text(rest[kScale], where + ".scale") != kLog) damaged(where + ".scale", "is not log");
    draw.scale = Draw::Scale::log_uniform;
    rest.erase(kScale);
  }
  if (rest.is_object() && rest.contains(kSetting)) {
    expect_keys(rest, where, {kSetting, kLow, kHigh});
    draw.setting = text(rest[kSetting], where + ".setting");
    if (draw.setting.empty()) damaged(where + ".setting", "is empty");
  } else {
    expect_keys(rest, where, {kParameter, kIndex, kLow, kHigh});
    draw.parameter = text(rest[kParameter], where + ".parameter");
    draw.index = integer(rest[kIndex], where + ".index");
  }
  draw.low = real(rest[kLow], where + ".low");
  draw.high = real(rest[kHigh], where + ".high");
  if (draw.low > draw.high) damaged(where, fmt::format("has low {} above high {}", draw.low, draw.high));
  if (draw.scale == Draw::Scale::log_uniform && draw.low <= 0) damaged(where, fmt::format("has the log of low {}", draw.low));
  return draw;
}

}  // namespace

Json to_json(const Plan& plan) {
  Json cells = Json::array();
  for (const Cell& cell : plan.cells) {
    Json point = Json::array();
    for (const auto& [key, value] : cell.point) point.push_back(Json::array({key, value}));
    cells.push_back({{kConfiguration, cell.configuration}, {kKey, cell.key}, {kPoint, std::move(point)}});
  }
  Json distribution = Json::array();
  for (const Draw& draw : plan.distribution) distribution.push_back(to_json(draw));
  Json thresholds = Json::array();
  for (const double threshold : plan.record.thresholds) thresholds.push_back(threshold);
  Json document;
  document[kTitle] = plan.title;
  document[kQuestion] = plan.question;
  document[kCommand] = plan.command;
  document[kEnvironment] = plan.environment;
  document[kAlgorithm] = plan.algorithm;
  document[kCells] = std::move(cells);
  document[kSeeds] = {{kFirst, plan.first_seed}, {kCount, plan.seeds}};
  document[kRecord] = {{kParameters, plan.record.parameters},
                       {kCurveEvery, plan.record.curve_every},
                       {kEvaluationEpisodes, plan.record.evaluation_episodes},
                       {kThresholds, std::move(thresholds)}};
  document[kDistribution] = std::move(distribution);
  return document;
}

Plan plan_from_json(const Json& document) {
  expect_keys(document, "it", {kTitle, kQuestion, kCommand, kEnvironment, kAlgorithm, kCells, kSeeds, kRecord, kDistribution});
  Plan plan;
  plan.title = text(document[kTitle], kTitle);
  plan.question = text(document[kQuestion], kQuestion);
  plan.command = text(document[kCommand], kCommand);
  plan.environment = text(document[kEnvironment], kEnvironment);
  plan.algorithm = text(document[kAlgorithm], kAlgorithm);
  for (const Json& cell : list(document[kCells], kCells)) {
    plan.cells.push_back(cell_from_json(cell, fmt::format("cells[{}]", plan.cells.size())));
  }
  if (plan.cells.empty()) damaged(kCells, "is empty");

  const Json& seeds = document[kSeeds];
  expect_keys(seeds, kSeeds, {kFirst, kCount});
  plan.first_seed = integer(seeds[kFirst], "seeds.first");
  plan.seeds = integer(seeds[kCount], "seeds.count");
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  if (plan.seeds == 0) damaged("seeds.count", "is 0");
  if (plan.seeds - 1 > most - plan.first_seed) damaged(kSeeds, "go beyond 2^64 - 1");
  if (plan.seeds > most / plan.cells.size()) damaged(kSeeds, "times cells go beyond 2^64 - 1");

  const Json& record = document[kRecord];
  expect_keys(record, kRecord, {kParameters, kCurveEvery, kEvaluationEpisodes, kThresholds});
  if (!record[kParameters].is_boolean()) damaged("record.parameters", "is neither true nor false");
  plan.record.parameters = record[kParameters].get<bool>();
  plan.record.curve_every = integer(record[kCurveEvery], "record.curve_every");
  plan.record.evaluation_episodes = integer(record[kEvaluationEpisodes], "record.evaluation_episodes");
  for (const Json& threshold : list(record[kThresholds], "record.thresholds")) {
    plan.record.thresholds.push_back(real(threshold, "record.thresholds"));
  }
  for (const Json& draw : list(document[kDistribution], kDistribution)) {
    plan.distribution.push_back(draw_from_json(draw, fmt::format("distribution[{}]", plan.distribution.size())));
  }
  return plan;
}

std::uint64_t fingerprint(const Plan& plan) {
  Json document = to_json(plan);
  document.erase(kTitle);
  document.erase(kQuestion);
  for (Json& cell : document[kCells]) cell.erase(kConfiguration);
  const std::string bytes = document.dump();
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::string to_text(const Point& point) {
  std::string text;
  for (const auto& [key, value] : point) text += (text.empty() ? "" : ", ") + key + ' ' + value;
  return text;
}

}  // namespace fryer::study
