// SPDX-License-Identifier: Apache-2.0
// What a study's data say, from rows made up here: who counts as what, what is compared with what, and every sentence. That the numbers of
// single statistics are right is test_statistics.cpp's.
#include "host/study/analysis.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <random>

#include "fryer/core/error.h"
#include "fryer/engine/results.h"
#include "host/study/wording.h"

namespace fryer::study {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr std::uint64_t kFinished = 0, kSolved = 1, kFailed = 2;

Column integers(ColumnKind kind, std::vector<std::uint64_t> values, double at = 0) {
  return {kind, ColumnType::integer, "", at, values};
}
Column reals(ColumnKind kind, const std::vector<double>& values, const std::string& name = "", double at = 0) {
  Column column = {kind, ColumnType::real64, name, at, {}};
  for (const double x : values) column.bits.push_back(std::bit_cast<std::uint64_t>(x));
  return column;
}
Column singles(ColumnKind kind, const std::vector<double>& values, const std::string& name = "", double at = 0) {
  Column column = {kind, ColumnType::real32, name, at, {}};
  for (const double x : values) column.bits.push_back(std::bit_cast<std::uint32_t>(static_cast<float>(x)));
  return column;
}

// A study in memory.
class Made {
 public:
  explicit Made(std::uint64_t seeds, const std::string& environment = "CartPole-v1", const std::string& command = "train") {
    plan.title = "made up";
    plan.command = command;
    plan.environment = environment;
    plan.seeds = seeds;
  }

  Made& cell(const std::string& configuration, std::vector<std::pair<std::string, std::string>> point = {}) {
    plan.cells.push_back({configuration, configuration, std::move(point), {}});
    return *this;
  }
  // Rows of the last cell: replicas first, first + 1, ...
  Made& rows(std::vector<Column> columns, std::uint64_t first = 0) {
    Chunk chunk;
    chunk.cell = plan.cells.size() - 1;
    chunk.range = {first, columns.front().bits.size()};
    for (const Column& column : columns) {
      if (column.kind != ColumnKind::status) continue;
      chunk.failed = static_cast<std::uint64_t>(std::count(column.bits.begin(), column.bits.end(), kFailed));
      chunk.solved = static_cast<std::uint64_t>(std::count(column.bits.begin(), column.bits.end(), kSolved));
    }
    chunks.push_back(chunk);
    data.push_back(std::move(columns));
    return *this;
  }
  StudySummary analyse() const {
    StudyRows study = {plan, shard, {}, chunks, 17, {}};
    study.columns = [this](const Chunk& chunk, const std::function<bool(const Column&)>& wanted) {
      std::vector<Column> found;
      for (std::size_t i = 0; i < chunks.size(); ++i) {
        if (chunks[i].cell != chunk.cell || chunks[i].range != chunk.range) continue;
        for (const Column& column : data[i]) {
          if (wanted({column.kind, column.type, column.name, column.at, {}})) found.push_back(column);
        }
      }
      return found;
    };
    return fryer::study::analyse(study);
  }

  Plan plan;
  Shard shard;
  std::vector<Chunk> chunks;
  std::vector<std::vector<Column>> data;
};

const char* const kUntil475 = R"({"updates": 200, "batch": 16, "until": 475.0, "gamma": 0.99})";

// 987 of 1,000 solved, at update 51 in the middle; of the others `failed` failed at update 3.
Made thousand(std::uint64_t failed) {
  std::vector<std::uint64_t> status(1000, kSolved), updates(1000), steps(1000);
  for (std::size_t i = 0; i < 1000; ++i) updates[i] = 1 + i / 10;
  for (std::size_t i = 987; i < 1000; ++i) {
    status[i] = i < 987 + failed ? kFailed : kFinished;
    updates[i] = status[i] == kFailed ? 3 : 200;
  }
  for (std::size_t i = 0; i < 1000; ++i) steps[i] = updates[i] * 100 + i;
  Made study(1000);
  study.cell(kUntil475).rows(
      {integers(ColumnKind::status, status), integers(ColumnKind::updates, updates), integers(ColumnKind::steps, steps)});
  return study;
}

// Of numbers alone: tests/cli/test_text.cpp.
TEST(Wording, IntervalsShowWhereTheirEndsDiffer) {
  EXPECT_EQ(percent_range({0.5, 0.9779, 0.9923, ""}), "97.8 to 99.2 %");
  EXPECT_EQ(with_interval({12.3456, 12.3111, 12.3801, ""}), "12.346 (95 % interval 12.311 to 12.380)");
  EXPECT_EQ(with_interval({12345, 12000, 12690, ""}), "12,345 (95 % interval 12,000 to 12,690)");
  EXPECT_EQ(with_interval({3, 3, 3, ""}), "3 (no spread)");
  EXPECT_EQ(with_interval({475, 475 - 2e-9, 475 + 2e-9, ""}), "475.0000000000 (95 % interval 474.9999999980 to 475.0000000020)");
  EXPECT_EQ(with_interval({3e-7, 2e-7, 4e-7, ""}), "3e-7 (95 % interval 2e-7 to 4e-7)");
  EXPECT_EQ(p_value(0.0312), "p = 0.031");
  EXPECT_EQ(p_value(1e-9), "p < 0.0001");
}

TEST(Sentences, OfThresholds) {
  EXPECT_EQ(thousand(0).analyse().cells[0].sentence,
            "987 of 1,000 seeds (98.7 %, 95 % interval 97.8 to 99.2 %) reached a mean return of 475 within 200 updates; half of "
            "all seeds "
            "had by update 50 (47 to 54). The data do not show what the 13 others would do with more updates.");
  EXPECT_EQ(thousand(3).analyse().cells[0].sentence,
            "987 of 1,000 seeds (98.7 %, 95 % interval 97.8 to 99.2 %) reached a mean return of 475 within 200 updates; half of "
            "all seeds "
            "had by update 50 (47 to 54). Of the 13 others, 3 failed: parameters stopped being finite. The data do not show what "
            "the 10 "
            "that did not fail would do with more updates.");
  EXPECT_EQ(thousand(13).analyse().cells[0].sentence,
            "987 of 1,000 seeds (98.7 %, 95 % interval 97.8 to 99.2 %) reached a mean return of 475 within 200 updates; half of "
            "all seeds "
            "had by update 50 (47 to 54). The 13 others failed: their parameters stopped being finite.");
  EXPECT_EQ(thousand(0).analyse().sentence, thousand(0).analyse().cells[0].sentence);
}

std::string sentence_of(std::uint64_t seeds, std::uint64_t status, std::uint64_t updates) {
  Made study(seeds);
  study.cell(kUntil475).rows({integers(ColumnKind::status, std::vector<std::uint64_t>(seeds, status)),
                              integers(ColumnKind::updates, std::vector<std::uint64_t>(seeds, updates))});
  return study.analyse().sentence;
}

TEST(Sentences, OfNoneAndAll) {
  EXPECT_EQ(sentence_of(1000, kSolved, 20),
            "All of 1,000 seeds reached a mean return of 475 within 200 updates; with 95 % confidence at least 99.6 % would; "
            "half of all "
            "seeds had by update 20 (20 to 20).");
  EXPECT_EQ(sentence_of(1000, kFinished, 200),
            "None of 1,000 seeds reached a mean return of 475 within 200 updates; with 95 % confidence at most 0.4 % would. The "
            "data do "
            "not show what they would do with more updates.");
  EXPECT_EQ(sentence_of(2, kFailed, 5),
            "None of 2 seeds reached a mean return of 475 within 200 updates; with 95 % confidence at most 84.2 % would. All "
            "of them failed: their parameters stopped being finite.");
  EXPECT_EQ(sentence_of(1, kSolved, 20),
            "The one seed reached a mean return of 475 within 200 updates; with 95 % confidence at least 2.5 % would.");
  EXPECT_EQ(sentence_of(1, kFinished, 200),
            "The one seed never reached a mean return of 475 within 200 updates; with 95 % confidence at most 97.5 % would. The "
            "data do not "
            "show what it would do with more updates.");
}

TEST(Sentences, OfWhatIsMissing) {
  Made study(10);
  study.cell(kUntil475);
  EXPECT_EQ(study.analyse().sentence, "None of 10 trainings is finished yet.");
  study.rows({integers(ColumnKind::status, {1, 1}), integers(ColumnKind::updates, {7, 9})}, 4);
  const StudySummary summary = study.analyse();
  EXPECT_FALSE(summary.complete);
  EXPECT_TRUE(summary.sentence.ends_with(" 8 of 10 seeds are still missing.")) << summary.sentence;
}

TEST(Thresholds, CountFailedReplicasAsWatchedToTheEnd) {
  Made study(6);
  study.cell(R"({"updates": 100, "batch": 4, "until": 475})")
      .rows({integers(ColumnKind::status, {kSolved, kFailed, kFinished, kSolved}),
             integers(ColumnKind::updates, {10, 5, 100, 30}), integers(ColumnKind::steps, {1000, 100, 90000, 3000})})
      .rows({integers(ColumnKind::status, {kSolved, kFailed}), integers(ColumnKind::updates, {30, 20}),
             integers(ColumnKind::steps, {4000, 95000})},
            4);
  const CellSummary cell = study.analyse().cells[0];
  EXPECT_EQ(cell.finished, 6u);
  EXPECT_EQ(cell.failed, 2u);
  ASSERT_EQ(cell.thresholds.size(), 1u);
  const ThresholdSummary& t = cell.thresholds[0];
  EXPECT_TRUE(t.stops);
  EXPECT_EQ(t.threshold, 475);
  EXPECT_EQ(t.reached, 3u);
  EXPECT_EQ(t.share.estimate, 0.5);
  // Censored where they failed, the curve would end at 0.3: as if diverging made the others faster.
  ASSERT_EQ(t.time.steps.size(), 2u);
  EXPECT_EQ(t.time.steps[0].time, 10);
  EXPECT_EQ(t.time.steps[0].at_risk, 6u);
  EXPECT_EQ(t.time.steps[1].time, 30);
  EXPECT_EQ(t.time.steps[1].at_risk, 5u);
  EXPECT_EQ(t.time.steps[1].survival, 0.5);
  EXPECT_EQ(t.time.median, 30);
  EXPECT_EQ(t.episodes.median, 120);
  EXPECT_EQ(t.episodes.steps[0].time, 40);
  ASSERT_EQ(t.steps.steps.size(), 3u);
  EXPECT_EQ(t.steps.steps[2].time, 4000);
  EXPECT_EQ(t.steps.steps[2].at_risk, 4u);
}

TEST(Thresholds, RecordedOnesAreListedOnceAndCensoredWhereAReplicaStopped) {
  Made study(4);
  study.cell(R"({"updates": 100, "batch": 1, "until": 475.0})")
      .rows({integers(ColumnKind::status, {kSolved, kFailed, kFinished, kSolved}),
             integers(ColumnKind::updates, {40, 50, 100, 60}), integers(ColumnKind::steps, {400, 500, 1000, 600}),
             integers(ColumnKind::threshold_updates, {10, 20, 0, 30}, 195),
             integers(ColumnKind::threshold_steps, {100, 200, 0, 300}, 195),
             integers(ColumnKind::threshold_updates, {40, 0, 0, 60}, 475),
             integers(ColumnKind::threshold_steps, {400, 0, 0, 600}, 475),
             integers(ColumnKind::threshold_updates, {0, 0, 90, 55}, 490),
             integers(ColumnKind::threshold_steps, {0, 0, 900, 550}, 490)});
  const std::vector<ThresholdSummary> t = study.analyse().cells[0].thresholds;
  ASSERT_EQ(t.size(), 3u);
  EXPECT_TRUE(t[0].stops);
  EXPECT_EQ(t[0].threshold, 475);
  EXPECT_EQ(t[1].threshold, 195);
  EXPECT_FALSE(t[1].stops);
  EXPECT_EQ(t[1].reached, 2u);  // the replica that failed later is not one
  EXPECT_EQ(t[1].steps.steps[1].time, 300);
  EXPECT_EQ(t[2].threshold, 490);
  ASSERT_EQ(t[2].time.steps.size(), 2u);
  EXPECT_EQ(t[2].time.steps[0].at_risk, 3u);  // the first stopped at 40
  EXPECT_EQ(t[2].time.steps[1].time, 90);
  EXPECT_EQ(t[2].time.steps[1].at_risk, 2u);
}

TEST(Thresholds, OfFryShackHaveNoSteps) {
  Made study(2, "FryShack-v0");
  study.cell(R"({"updates": 280, "batch": 1, "until": 0.6})")
      .rows({integers(ColumnKind::status, {1, 0}), integers(ColumnKind::updates, {120, 280}),
             integers(ColumnKind::steps, {120, 280}), reals(ColumnKind::expected_return, {0.5, 0.25}),
             reals(ColumnKind::final_return, {0.6, 0.5})});
  const StudySummary summary = study.analyse();
  EXPECT_EQ(summary.cells[0].thresholds[0].steps.n, 0u);
  EXPECT_EQ(summary.cells[0].thresholds[0].episodes.median, 120);
  EXPECT_EQ(summary.result_name, "exact expected return");
  EXPECT_EQ(summary.cells[0].result->mean, 0.375);
}

TEST(Results, AreTheBestThatIsRecorded) {
  const auto named = [](std::vector<Column> extra, const std::string& configuration) {
    Made study(3);
    study.plan.record.evaluation_episodes = 100;
    std::vector<Column> columns = {integers(ColumnKind::status, {0, 2, 0}), integers(ColumnKind::updates, {60, 7, 60})};
    columns.insert(columns.end(), extra.begin(), extra.end());
    study.cell(configuration).rows(columns);
    return study.analyse();
  };
  const Column last = reals(ColumnKind::final_return, {400, 3, 300}),
               evaluated = reals(ColumnKind::evaluation_mean, {410, 4, 310});
  const StudySummary trained = named({last}, R"({"updates": 60, "batch": 16, "until": null})");
  EXPECT_EQ(trained.result_name, "mean return of the last 112 training episodes");
  EXPECT_EQ(trained.result_unit, "return");
  ASSERT_TRUE(trained.cells[0].result);
  EXPECT_EQ(trained.cells[0].result->count, 2u);  // a failed replica has none
  EXPECT_EQ(trained.cells[0].result->mean, 350);
  EXPECT_TRUE(trained.cells[0].thresholds.empty());
  EXPECT_EQ(named({last}, R"({"updates": 3, "batch": 16})").result_name, "mean return of the last 48 training episodes");
  const StudySummary played = named({last, evaluated}, R"({"updates": 60, "batch": 16})");
  EXPECT_EQ(played.result_name, "mean return of 100 evaluation episodes");
  EXPECT_EQ(played.cells[0].result->mean, 360);
  EXPECT_EQ(named({}, R"({"updates": 60})").result_name, "");
}

TEST(Results, OfAnEvaluation) {
  Made study(5, "CartPole-v1", "evaluate");
  study.cell(R"({"episodes": 1000})")
      .rows({integers(ColumnKind::status, {0, 0, 0, 0, 0}), reals(ColumnKind::evaluation_mean, {19, 20, 21, 22, 24}),
             singles(ColumnKind::parameter, {0.5, -0.5, 0.25, 0.125, 1}, "w_angle")});
  const StudySummary summary = study.analyse();
  EXPECT_EQ(summary.result_name, "mean return of 1,000 episodes");
  EXPECT_EQ(summary.cells[0].sentence,
            "Mean return of 1,000 episodes: 21.2 (95 % interval 18.8 to 23.6) over 5 seeds; of the middle half of them 21.0 "
            "(95 % interval 14.5 to 27.5); single seeds from 19 to 24.");
  ASSERT_EQ(summary.cells[0].parameters.size(), 1u);
  EXPECT_EQ(summary.cells[0].parameters[0].first, "w_angle");
  EXPECT_EQ(summary.cells[0].parameters[0].second.max, 1);
}

TEST(Results, OfAGradient) {
  Made study(2, "FryShack-v0", "gradient");
  study.cell(R"({"episodes": 1000})")
      .rows({integers(ColumnKind::status, {0, 0}), reals(ColumnKind::estimate, {0.25, 0.75}, "bias"),
             reals(ColumnKind::standard_error, {0.1, 0.1}, "bias"), reals(ColumnKind::second_moment, {1, 4}, "bias"),
             reals(ColumnKind::evaluation_mean, {1, 2})});
  const StudySummary summary = study.analyse();
  EXPECT_EQ(summary.result_name, "");
  EXPECT_FALSE(summary.cells[0].result);
  ASSERT_EQ(summary.cells[0].parameters.size(), 1u);
  EXPECT_EQ(summary.cells[0].parameters[0].second.mean, 0.5);
  EXPECT_EQ(summary.cells[0].second_moments, (std::vector<std::pair<std::string, double>>{{"bias", 2.5}}));
  EXPECT_EQ(summary.cells[0].sentence,
            "Gradient of bias 0.5 (95 % interval -2.7 to 3.7), mean square of an episode's 2.5. From 2 seeds.");
}

TEST(Results, OfAnEvaluationAreCountedByThreshold) {
  Made study(4, "CartPole-v1", "evaluate");
  study.plan.record.thresholds = {475};
  study.cell(R"({"episodes": 100})")
      .rows({integers(ColumnKind::status, {0, 0, 0, 0}), reals(ColumnKind::evaluation_mean, {475, 474.99, 20, 500})});
  const StudySummary summary = study.analyse();
  ASSERT_EQ(summary.cells[0].thresholds.size(), 1u);
  EXPECT_EQ(summary.cells[0].thresholds[0].reached, 2u);
  EXPECT_EQ(summary.cells[0].thresholds[0].share.estimate, 0.5);
  EXPECT_EQ(summary.cells[0].sentence.substr(0, summary.cells[0].sentence.find(". ")),
            "2 of 4 seeds (50.0 %, 95 % interval 15.0 to 85.0 %) reached a mean return of 475");
}

TEST(Curves, EndWhereNoReplicaMadeTheUpdate) {
  Made study(2);
  study.cell(R"({"updates": 3})")
      .rows({integers(ColumnKind::status, {1, 1}), integers(ColumnKind::updates, {1, 2}), reals(ColumnKind::curve, {5, 7}, "", 1),
             reals(ColumnKind::curve, {kNan, 9}, "", 2), reals(ColumnKind::curve, {kNan, kNan}, "", 3)});
  const StudySummary summary = study.analyse();
  ASSERT_EQ(summary.cells[0].curve.size(), 2u);
  EXPECT_EQ(summary.cells[0].curve[1].count, 1u);
  EXPECT_EQ(summary.cells[0].curve[1].mean, 9);
}

TEST(Distributions, AreWholeAndBinned) {
  std::vector<double> values(2000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i % 1000);
  Made study(2000);
  study.cell(R"({"updates": 1})")
      .rows({integers(ColumnKind::status, std::vector<std::uint64_t>(2000)), reals(ColumnKind::evaluation_mean, values)});
  const Distribution d = *study.analyse().cells[0].result;
  EXPECT_EQ(d.low, 0);
  EXPECT_EQ(d.high, 999);
  std::uint64_t counted = 0;
  for (const std::uint64_t n : d.histogram) counted += n;
  EXPECT_EQ(counted, 2000u);
  EXPECT_LE(d.distribution.size(), 512u);
  EXPECT_EQ(d.distribution.front(), (std::pair{0.0, 0.001}));
  EXPECT_EQ(d.distribution.back(), (std::pair{999.0, 1.0}));
  for (const auto& [value, share] : d.distribution) EXPECT_DOUBLE_EQ(share, (value + 1) / 1000);
  ASSERT_EQ(d.quantiles.size(), 5u);
  EXPECT_EQ(d.quantiles[2].first, 0.5);
  EXPECT_EQ(d.quantiles[2].second.estimate, 499);
  EXPECT_EQ(d.band, dkw_half_width(2000));
}

TEST(Curves, CoverTheReplicasThatMadeTheUpdate) {
  Made study(5);
  study.cell(R"({"updates": 20})")
      .rows({integers(ColumnKind::status, {0, 0, 0}), singles(ColumnKind::curve, {kNan, 8, 9}, "", 10),
             singles(ColumnKind::curve, {1, 2, 3}, "", 1)})
      .rows({integers(ColumnKind::status, {0, 2}), singles(ColumnKind::curve, {10, kNan}, "", 10),
             singles(ColumnKind::curve, {4, 5}, "", 1)},
            3);
  const std::vector<CurveSummary> curve = study.analyse().cells[0].curve;
  ASSERT_EQ(curve.size(), 2u);
  EXPECT_EQ(curve[0].at, 1u);
  EXPECT_EQ(curve[0].count, 5u);
  EXPECT_EQ(curve[0].mean, 3);
  EXPECT_EQ(curve[0].iqm, 3);
  EXPECT_EQ(curve[0].quantiles[0], 1);
  EXPECT_EQ(curve[0].quantiles[2], 3);
  EXPECT_EQ(curve[0].quantiles[4], 5);
  EXPECT_EQ(curve[1].at, 10u);
  EXPECT_EQ(curve[1].count, 3u);
  EXPECT_EQ(curve[1].mean, 9);
  EXPECT_FALSE(curve[1].iqm);
}

// So many values that they are read in several portions: each point is still its own.
TEST(Curves, MayBeLargerThanOneReading) {
  constexpr std::size_t kSeeds = 200'000, kPoints = 50;
  Made study(kSeeds);
  std::vector<Column> columns = {integers(ColumnKind::status, std::vector<std::uint64_t>(kSeeds))};
  for (std::size_t i = 0; i < kPoints; ++i) {
    const double update = static_cast<double>(kPoints - i);
    columns.push_back(singles(ColumnKind::curve, std::vector<double>(kSeeds, 10 * update), "", update));
  }
  study.cell(R"({"updates": 50})").rows(std::move(columns));
  const std::vector<CurveSummary> curve = study.analyse().cells[0].curve;
  ASSERT_EQ(curve.size(), kPoints);
  for (std::size_t i = 0; i < kPoints; ++i) {
    EXPECT_EQ(curve[i].at, i + 1);
    EXPECT_EQ(curve[i].count, kSeeds);
    EXPECT_EQ(curve[i].mean, 10 * static_cast<double>(i + 1));
    EXPECT_EQ(curve[i].iqm, curve[i].mean);
  }
}

TEST(Comparisons, ArePairedBySeedAndFailedIsWorst) {
  Made study(6);
  study.cell(R"({"updates": 5, "learning_rate": 0.1, "batch": 4})", {{"learning_rate", "0.1"}})
      .rows({integers(ColumnKind::status, {0, 0, 2, 2, 0, 0}), reals(ColumnKind::final_return, {10, 20, kNan, kNan, 50, 60})});
  study.cell(R"({"updates": 5, "learning_rate": 0.2, "batch": 4})", {{"learning_rate", "0.2"}})
      .rows({integers(ColumnKind::status, {0, 0}), reals(ColumnKind::final_return, {11, 20})})
      .rows({integers(ColumnKind::status, {2, 0, 0}), reals(ColumnKind::final_return, {kNan, -5, 40})}, 2);
  const StudySummary summary = study.analyse();
  EXPECT_EQ(summary.compared_by, "mean return of the last 20 training episodes");
  ASSERT_EQ(summary.comparisons.size(), 1u);
  const Comparison& c = summary.comparisons[0];
  EXPECT_EQ(c.pairs, 5u);                  // seed 5 of the second is not there
  EXPECT_EQ(c.improvement.estimate, 0.6);  // better at 0 and 3, equal at 1 and 2, worse at 4
  EXPECT_EQ(c.p, sign_test({2, 2, 1}));
  EXPECT_EQ(c.p_holm, c.p);
  EXPECT_EQ(summary.ranking, (std::vector<std::size_t>{0, 1}));  // (10 + 20 - 5 - 5 + 50 + 60) / 6 and (11 + 20 - 5 - 5 + 40) / 5
  EXPECT_EQ(summary.axes, (std::vector<std::pair<std::string, std::vector<std::string>>>{{"learning_rate", {"0.1", "0.2"}}}));
  EXPECT_EQ(summary.fixed, (std::vector<std::pair<std::string, std::string>>{{"updates", "5"}, {"batch", "4"}}));
  EXPECT_EQ(summary.cells[1].label, "learning_rate 0.2");
  EXPECT_EQ(
      summary.sentence,
      "Of 2 cells, learning_rate 0.1 has the highest mean return of the last 20 training episodes (a failed seed counted as the "
      "lowest of all): 35 (95 % interval -3 to 73). The data do not separate it from the next, learning_rate 0.2: over 5 common "
      "seeds its chance to be "
      "the better one is 40.0 % (95 % interval 19.3 to 69.4 %, p = 1 after Holm's correction). 3 of 11 replicas "
      "failed. The study is not complete: 11 of 12 replicas are finished.");
}

// Of steps, since an update of one cell may be many of another's; and also where the last return of trainings that it ended is known.
TEST(Comparisons, OfTrainingsThatStopAreOfTimesAndNeverIsWorst) {
  Made study(4);
  study.cell(R"({"updates": 50, "batch": 1, "until": 475})", {{"batch", "1"}})
      .rows({integers(ColumnKind::status, {1, 1, 0, 2}), integers(ColumnKind::updates, {10, 20, 50, 3}),
             integers(ColumnKind::steps, {100, 200, 500, 30}), reals(ColumnKind::final_return, {480, 475, 400, kNan})});
  study.cell(R"({"updates": 50, "batch": 2, "until": 475})", {{"batch", "2"}})
      .rows({integers(ColumnKind::status, {1, 1, 1, 0}), integers(ColumnKind::updates, {9, 21, 30, 50}),
             integers(ColumnKind::steps, {99, 201, 300, 10}), reals(ColumnKind::final_return, {475, 476, 478, 470})});
  const StudySummary summary = study.analyse();
  EXPECT_TRUE(summary.compared_by_time);
  EXPECT_EQ(summary.compared_by, "steps to 475 (never counts as worst)");
  EXPECT_EQ(
      summary.sentence.substr(0, summary.sentence.find(". ")),
      "Of 2 cells, batch 2 reaches a mean return of 475 most often: 75.0 % of its seeds (95 % interval 30.1 to 95.4 %), half of "
      "all within 201 steps");
  ASSERT_EQ(summary.comparisons.size(), 1u);
  EXPECT_EQ(summary.comparisons[0].improvement.estimate, 0.625);  // better, worse, better, equal
  EXPECT_EQ(summary.ranking, (std::vector<std::size_t>{1, 0}));
}

// A training that plays badly makes few steps in its updates: it is not taken for one that might have reached the threshold yet.
TEST(Thresholds, HaveNoMedianOfStepsWhereFewReachThem) {
  Made study(4);
  study.cell(R"({"updates": 50, "batch": 1, "until": 475})", {{"batch", "1"}})
      .rows({integers(ColumnKind::status, {1, 0, 0, 0}), integers(ColumnKind::updates, {10, 50, 50, 50}),
             integers(ColumnKind::steps, {300, 30, 40, 50}), reals(ColumnKind::final_return, {480, 10, 11, 12})});
  const StudySummary summary = study.analyse();
  ASSERT_EQ(summary.cells[0].thresholds.size(), 1u);
  const ThresholdSummary& t = summary.cells[0].thresholds[0];
  EXPECT_EQ(t.reached, 1u);
  EXPECT_FALSE(t.time.median);
  EXPECT_FALSE(t.steps.median);
}

TEST(Comparisons, OfDifferentStoppingRulesAreNotMade) {
  Made study(1);
  for (const char* configuration : {R"({"updates": 50, "until": 475})", R"({"updates": 50, "until": 400})"}) {
    study.cell(configuration).rows({integers(ColumnKind::status, {1}), integers(ColumnKind::updates, {10})});
  }
  const StudySummary summary = study.analyse();
  EXPECT_TRUE(summary.comparisons.empty());
  EXPECT_EQ(summary.compared_by, "");
  EXPECT_EQ(summary.sentence, "The 2 cells are not compared: the cells have different stopping rules and record no result.");
}

Made many_cells(std::size_t cells) {
  constexpr std::size_t kSeeds = 40;
  Made study(kSeeds);
  std::mt19937_64 random(1);
  for (std::size_t i = 0; i < cells; ++i) {
    std::vector<double> values(kSeeds);
    for (double& x : values) x = static_cast<double>(random() % 100 + (i == 3 ? 40 : 0));
    study.cell(R"({"updates": 5})", {{"seed_of_cell", std::to_string(i)}})
        .rows({integers(ColumnKind::status, std::vector<std::uint64_t>(kSeeds)), reals(ColumnKind::evaluation_mean, values)});
  }
  return study;
}

TEST(Comparisons, AreAllPairsUpToTenCellsAndWithTheBestBeyond) {
  const StudySummary ten = many_cells(10).analyse();
  EXPECT_EQ(ten.comparisons.size(), 45u);
  const StudySummary eleven = many_cells(11).analyse();
  ASSERT_EQ(eleven.comparisons.size(), 10u);
  EXPECT_EQ(eleven.ranking.front(), 3u);
  std::vector<double> p;
  for (const Comparison& c : eleven.comparisons) {
    EXPECT_EQ(c.b, 3u);
    EXPECT_EQ(c.pairs, 40u);
    EXPECT_GT(c.improvement.estimate, 0.5);
    p.push_back(c.p);
  }
  const std::vector<double> adjusted = holm(p);
  for (std::size_t i = 0; i < p.size(); ++i) EXPECT_EQ(eleven.comparisons[i].p_holm, adjusted[i]);
  EXPECT_NE(ten.comparison_note, eleven.comparison_note);
  EXPECT_TRUE(many_cells(1).analyse().comparisons.empty());
}

TEST(Sentences, OfCellsThatTheDataSeparateAndOfAMeanThatMisleads) {
  const auto compared = [](const std::vector<double>& a, const std::vector<double>& b) {
    Made study(a.size());
    for (const auto& values : {a, b}) {
      study.cell(R"({"updates": 5})", {{"gamma", values == a ? "0.9" : "0.99"}})
          .rows({integers(ColumnKind::status, std::vector<std::uint64_t>(a.size())), reals(ColumnKind::evaluation_mean, values)});
    }
    study.plan.record.evaluation_episodes = 10;
    return study.analyse().sentence;
  };
  EXPECT_EQ(compared(std::vector<double>(20, 200), std::vector<double>(20, 150)),
            "Of 2 cells, gamma 0.9 has the highest mean return of 10 evaluation episodes: 200 (no spread). Seed by seed it is "
            "better than the "
            "next, gamma 0.99: over 20 common seeds its chance to be the better one is 100 % (95 % interval 83.9 to 100 %, p < "
            "0.0001 after "
            "Holm's correction).");
  std::vector<double> lucky(20, 100);
  lucky[7] = 5000;
  const std::string misled = compared(lucky, std::vector<double>(20, 101));
  EXPECT_NE(
      misled.find(
          " Yet seed by seed the next, gamma 0.99, does better: over 20 common seeds its chance to be the better one is 95.0 % "),
      std::string::npos)
      << misled;
}

// A shard's replicas do not begin at 0.
TEST(Comparisons, OfAShard) {
  Made study(10);
  study.shard = {2, 2};
  for (const double shift : {0.0, 1.0}) {
    study.cell(R"({"updates": 5})")
        .rows(
            {integers(ColumnKind::status, {0, 0, 0, 0, 0}), reals(ColumnKind::evaluation_mean, {1 + shift, 2 + shift, 3, 4, 5})},
            5);
  }
  const StudySummary summary = study.analyse();
  EXPECT_TRUE(summary.complete);
  EXPECT_EQ(summary.planned, 10u);
  ASSERT_EQ(summary.comparisons.size(), 1u);
  EXPECT_EQ(summary.comparisons[0].pairs, 5u);
  EXPECT_EQ(summary.comparisons[0].improvement.estimate, 0.7);
  study.shard = {1, 2};
  EXPECT_THROW(study.analyse(), DamagedFileError);
}

TEST(Chunks, DoNotChangeANumber) {
  std::mt19937_64 random(1);
  const auto column = [&random](std::size_t n) {
    std::vector<double> values(n);
    for (double& x : values) x = static_cast<double>(random()) * 1e-18;
    return values;
  };
  const std::vector<double> values = column(1000), weights = column(1000);
  const auto made = [&](std::size_t chunk) {
    Made study(1000);
    study.cell(R"({"updates": 5})");
    for (std::size_t first = 0; first < 1000; first += chunk) {
      const auto part = [&](const std::vector<double>& all) {
        return std::vector<double>(all.begin() + static_cast<std::ptrdiff_t>(first),
                                   all.begin() + static_cast<std::ptrdiff_t>(first + chunk));
      };
      study.rows({integers(ColumnKind::status, std::vector<std::uint64_t>(chunk)),
                  reals(ColumnKind::evaluation_mean, part(values)), singles(ColumnKind::parameter, part(weights), "bias")},
                 first);
    }
    return study.analyse();
  };
  const StudySummary whole = made(1000), parts = made(50);
  EXPECT_EQ(whole.cells[0].result->mean, parts.cells[0].result->mean);
  EXPECT_EQ(whole.cells[0].result->sd, parts.cells[0].result->sd);
  EXPECT_EQ(whole.cells[0].parameters[0].second.distribution, parts.cells[0].parameters[0].second.distribution);
  EXPECT_EQ(whole.sentence, parts.sentence);
}

TEST(Chunks, ThatDoNotBelongTogetherAreDamage) {
  Made study(4);
  study.cell(R"({"updates": 5})").rows({integers(ColumnKind::status, {0, 0}), reals(ColumnKind::evaluation_mean, {1, 2})});
  Made other = study;
  other.rows({integers(ColumnKind::status, {0, 0}), reals(ColumnKind::final_return, {1, 2})}, 2);
  EXPECT_THROW(other.analyse(), DamagedFileError);
  other = study;
  other.rows({integers(ColumnKind::status, {0, 0}), reals(ColumnKind::evaluation_mean, {1})}, 2);
  EXPECT_THROW(other.analyse(), DamagedFileError);
  other = study;
  other.chunks[0].cell = 1;
  EXPECT_THROW(other.analyse(), DamagedFileError);
  other = study;
  other.plan.cells[0].configuration = "[]";
  EXPECT_THROW(other.analyse(), DamagedFileError);
  EXPECT_NO_THROW(study.analyse());
}

// Integers beyond 32 bits, in a later chunk than smaller ones.
TEST(Chunks, MayHoldLargeCounts) {
  Made study(2);
  const std::uint64_t large = (std::uint64_t{1} << 40) + 1;
  study.cell(R"({"updates": 5, "until": 1})")
      .rows({integers(ColumnKind::status, {1}), integers(ColumnKind::updates, {1}), integers(ColumnKind::steps, {7})})
      .rows({integers(ColumnKind::status, {1}), integers(ColumnKind::updates, {2}), integers(ColumnKind::steps, {large})}, 1);
  const Survival steps = study.analyse().cells[0].thresholds[0].steps;
  EXPECT_EQ(steps.steps[0].time, 7);
  EXPECT_EQ(steps.steps[1].time, static_cast<double>(large));
}

}  // namespace
}  // namespace fryer::study
