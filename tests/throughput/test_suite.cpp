// SPDX-License-Identifier: Apache-2.0
// The rows of `fryer bench`: that the table is whole, that a row's piece has the same digest on every executor of this machine, and that
// what is timed adds up. No test asks how fast anything is.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "fryer/core/error.h"
#include "host/cpu_features.h"
#include "host/throughput/parallel.h"
#include "host/throughput/peaks.h"
#include "host/throughput/suite.h"

namespace fryer::throughput {
namespace {

TEST(Rows, AreNamedOnceAndCountSomething) {
  std::set<std::string> names;
  for (const Row& row : rows()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_LT(row.least, row.most) << row.name;
    const Rates needed = needs(row.counts(), "avx512");
    EXPECT_GT(needed.issue, 0) << row.name;
    EXPECT_GT(needed.fused + needed.wide_multiply, 0) << row.name;
  }
  const auto quick = find_rows(Suite::quick, ""), full = find_rows(Suite::full, "");
  EXPECT_EQ(full.size(), rows().size());
  EXPECT_GE(quick.size(), 9u);
  EXPECT_LT(quick.size(), full.size());
  EXPECT_TRUE(find_rows(Suite::full, "no such row").empty());
  EXPECT_EQ(find_rows(Suite::quick, "philox").size(), 1u);
}

// However late a thread is woken, what is timed holds all that any of them did.
TEST(TimeTogether, CoversTheWorkOfEveryThread) {
  using Clock = std::chrono::steady_clock;
  constexpr unsigned kThreads = 9;
  for (int round = 0; round < 50; ++round) {
    std::vector<Clock::time_point> begin(kThreads), end(kThreads);
    const double seconds = time_together(kThreads, [&](unsigned i) {
      begin[i] = Clock::now();
      volatile int sum = 0;
      for (int k = 0; k < 1000; ++k) sum = sum + k;
      end[i] = Clock::now();
    });
    const auto covered = *std::max_element(end.begin(), end.end()) - *std::min_element(begin.begin(), begin.end());
    EXPECT_GE(seconds, std::chrono::duration<double>(covered).count());
  }
}

TEST(Rows, HaveTheSameBitsOnEveryExecutor) {
  for (const Row& row : rows()) {
    std::optional<std::uint64_t> digest;
    for (const CpuExecutorReport& report : cpu_executors()) {
      if (!report.unavailable.empty()) continue;
      for (const unsigned threads : {1u, 3u}) {
        if (report.isa == "scalar" && threads != 1) continue;  // slow
        BackendChoice choice;
        choice.device = BackendChoice::Device::cpu;
        choice.isa = report.isa;
        choice.threads = threads;
        const auto backend = make_backend(choice);
        const Finished finished = row.run({*backend, &programs_of(report.isa), threads}, {row.piece, 2}, {});
        EXPECT_GT(finished.units, 0) << row.name;
        EXPECT_GT(finished.counted, 0) << row.name;
        EXPECT_EQ(finished.digest, digest.value_or(finished.digest)) << row.name << ' ' << report.isa << ' ' << threads;
        digest = finished.digest;
      }
    }
  }
}

TEST(Suite, TheBestAndItsSpread) {
  const Best best = best_rate(100, {4, 2, 5});
  EXPECT_DOUBLE_EQ(best.rate, 50);
  EXPECT_DOUBLE_EQ(best.spread, 0.5);
  EXPECT_EQ(best.index, 1u);
  EXPECT_EQ(best_rate(100, {2}).spread, 0);
}

TEST(Suite, StaysWithinItsTimeOnMachinesWithManyThreads) {
  Request request;
  request.instruction_sets = {"scalar", "avx2", "avx512"};
  for (unsigned n = 1; n <= 256; n *= 2) request.threads.push_back(n);
  EXPECT_LT(guessed_seconds(request), 60);
  request.suite = Suite::full;
  EXPECT_LT(guessed_seconds(request), 300);
  EXPECT_EQ(count_cells(request), rows().size() * 27);
  request.gpu = 0;
  EXPECT_EQ(count_cells(request), rows().size() * 28 - 1);  // Philox alone is none of a GPU's
}

TEST(Suite, MeasuresWhatWasAskedAndStops) {
  Request request;
  request.filter = "philox";
  request.instruction_sets = {"scalar"};
  request.threads = {1, 2};
  std::size_t told = 0;
  const Report report = measure(request, nullptr, [&](std::size_t finished, std::size_t planned, const std::string&) {
    EXPECT_LE(finished, planned);
    ++told;
  });
  EXPECT_GE(told, 3u);
  ASSERT_EQ(report.rows.size(), 2u);
  ASSERT_EQ(report.peaks.size(), 2u);
  for (const Measurement& m : report.rows) {
    EXPECT_TRUE(m.ok());
    EXPECT_GT(m.rate, 0);
    EXPECT_GE(m.spread, 0);
    EXPECT_GT(m.processors, 0);
    EXPECT_LE(m.processors, 1);
    ASSERT_TRUE(m.limit);
    EXPECT_GT(m.limit->rate, 0);
  }
  EXPECT_EQ(report.rows[0].digest, report.rows[1].digest);
  const StopToken stop{true};
  EXPECT_THROW(measure(request, &stop, [](std::size_t, std::size_t, const std::string&) {}), Stopped);
}

// A row that is made up: its digest is its work, but for what a test says of the site that has one thread, or of the checker, which has two.
constexpr std::uint64_t kPiece = 10;
constexpr unsigned kChecker = 2;

void work_for(std::chrono::nanoseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
  }
}

// 10 ns for a unit of work, a checker's 10 us.
Finished right_bits(const Site& site, const Size& size, const RunControl&) {
  work_for(std::chrono::nanoseconds((site.threads == kChecker ? 10'000 : 10) * size.work));
  const double n = static_cast<double>(size.work);
  return {n, 3 * n, size.work};
}

constexpr Row made_up(Finished (*run)(const Site&, const Size&, const RunControl&)) {
  return {"made-up", "made up", "pieces", true, 1, 1 << 20, kPiece, run, "piece", nullptr, 0};
}

class TimeRow : public ::testing::Test {
 protected:
  Measurement timed(Finished (*run)(const Site&, const Size&, const RunControl&), std::optional<bool> slow_checker) {
    std::optional<Checker> checker;
    if (slow_checker) checker.emplace(Checker{"another", {*backend_, &programs_of("scalar"), kChecker}, *slow_checker});
    return time_row(made_up(run), kPiece, {*backend_, &programs_of("scalar"), 1}, checker, {3, 1e-4}, nullptr);
  }
  std::unique_ptr<Backend> backend_ = [] {
    BackendChoice choice;
    choice.device = BackendChoice::Device::cpu;
    choice.isa = "scalar";
    return make_backend(choice);
  }();
};

TEST_F(TimeRow, ComparesWhatWasTimedWithAnotherExecutor) {
  const Measurement m = timed(right_bits, false);
  EXPECT_TRUE(m.ok());
  EXPECT_EQ(m.checker, "another");
  EXPECT_TRUE(m.checked_whole);
  EXPECT_GT(m.rate, 0);
  EXPECT_EQ(m.counted_a_unit, 3);
  EXPECT_EQ(m.repetitions, 3);
  const Measurement alone = timed(right_bits, std::nullopt);
  EXPECT_TRUE(alone.ok());
  EXPECT_EQ(alone.checker, "");
}

TEST_F(TimeRow, FindsBitsThatAreWrongForTheTimedWorkAlone) {
  const Measurement m = timed(
      [](const Site& site, const Size& size, const RunControl& control) {
        Finished made = right_bits(site, size, control);
        if (site.threads != kChecker && size.work > kPiece) ++made.digest;
        return made;
      },
      false);
  EXPECT_EQ(m.digest, m.expected);
  EXPECT_TRUE(m.repeats);
  EXPECT_FALSE(m.agrees);
  EXPECT_FALSE(m.ok());
  EXPECT_EQ(m.rate, 0);
}

TEST_F(TimeRow, AsksASlowCheckerForLess) {
  const Measurement m = timed(right_bits, true);
  EXPECT_TRUE(m.ok());
  EXPECT_EQ(m.checker, "another");
  EXPECT_FALSE(m.checked_whole);
  EXPECT_GT(m.rate, 0);
  const Measurement wrong = timed(
      [](const Site& site, const Size& size, const RunControl& control) {
        Finished made = right_bits(site, size, control);
        if (site.threads == kChecker) ++made.digest;
        return made;
      },
      true);
  EXPECT_FALSE(wrong.agrees);
  EXPECT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.rate, 0);
}

TEST_F(TimeRow, FindsAWrongPieceAndBitsThatChange) {
  const Measurement piece = timed(
      [](const Site& site, const Size& size, const RunControl& control) {
        Finished made = right_bits(site, size, control);
        ++made.digest;
        return made;
      },
      false);
  EXPECT_NE(piece.digest, piece.expected);
  EXPECT_FALSE(piece.ok());
  EXPECT_EQ(piece.repetitions, 0);  // it is not timed
  static std::uint64_t calls;
  calls = 0;
  const Measurement changing = timed(
      [](const Site& site, const Size& size, const RunControl& control) {
        Finished made = right_bits(site, size, control);
        if (size.work > kPiece) made.digest += ++calls;
        return made;
      },
      false);
  EXPECT_FALSE(changing.repeats);
  EXPECT_FALSE(changing.ok());
  EXPECT_EQ(changing.rate, 0);
}

// A GPU that fails, here by not being there, takes nothing from the CPU's rows.
TEST(Suite, KeepsTheCpusRowsWhereTheGpuFails) {
  Request request;
  request.filter = "fry-shack-evaluate";
  request.instruction_sets = {"scalar"};
  request.threads = {1};
  request.gpu = 1000;
  const auto nobody = [](std::size_t, std::size_t, const std::string&) {};
  const Report report = measure(request, nullptr, nobody);
  ASSERT_EQ(report.rows.size(), 1u);
  EXPECT_TRUE(report.rows[0].ok());
  EXPECT_NE(report.gpu_failure, "");
  EXPECT_EQ(digest_of(report), report.rows[0].expected);
  request.instruction_sets.clear();
  request.threads.clear();
  EXPECT_THROW(measure(request, nullptr, nobody), DeviceError);
}

TEST(Suite, MeasuresMoreThreadsThanProcessors) {
  Request request;
  request.filter = "philox";
  request.instruction_sets = {"scalar"};
  request.threads = {64};
  const Report report = measure(request, nullptr, [](std::size_t, std::size_t, const std::string&) {});
  ASSERT_EQ(report.rows.size(), 1u);
  EXPECT_TRUE(report.rows[0].ok());
  EXPECT_GT(report.rows[0].processors, 0);
  EXPECT_LE(report.rows[0].processors, 1);
}

TEST(Measurement, WithoutTheReferencesBitsOrItsOwnIsNone) {
  Measurement m;
  m.digest = 1;
  m.expected = 2;
  EXPECT_FALSE(m.ok());
  m.expected = 1;
  EXPECT_TRUE(m.ok());
  m.repeats = false;
  EXPECT_FALSE(m.ok());
  m.repeats = true;
  m.agrees = false;
  EXPECT_FALSE(m.ok());
}

}  // namespace
}  // namespace fryer::throughput
