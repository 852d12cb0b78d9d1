// SPDX-License-Identifier: Apache-2.0
// What `fryer bench` measured, as a table and as JSON, and beside an earlier run's JSON. Pure functions of what was measured.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "host/cli/option_table.h"
#include "host/cli/output/terminal.h"
#include "host/throughput/machine.h"
#include "host/throughput/suite.h"

namespace fryer::cli {

// Which measurement: of which row, where.
struct BenchKey {
  std::string name, executor;
  unsigned threads;
  auto operator<=>(const BenchKey&) const = default;
};
BenchKey key_of(const throughput::Measurement& m);
std::string text_of(const BenchKey& key);  // philox, avx512, 2 threads

// Of a measurement that is not ok: which of its digests differ.
std::string why_wrong(const throughput::Measurement& m);

// What --compare needs of an earlier run's JSON.
struct EarlierBench {
  std::string cpu, suite;
  std::uint64_t numerics_version;
  std::map<BenchKey, double> rates;  // of rows with a rate
};
// Throws DamagedFileError for what is no such JSON, and for rates in other units than this program's rows have. path: for the message.
EarlierBench parse_earlier_bench(const std::string& path, const std::string& text);

struct BenchComparison {
  struct Row {
    BenchKey key;
    double ratio;    // of this run's rate to the earlier one's
    bool slower;     // by more than the tolerance
    bool disturbed;  // this run's had less than kUndisturbed of its processors
  };
  static constexpr double kUndisturbed = 0.9;
  std::vector<Row> rows;
  std::vector<BenchKey> only_here, only_there;
  std::size_t slower() const;
  std::size_t slower_and_disturbed() const;
};
// asked: whether this run was to measure such a row; others of the earlier run are left out of only_there.
BenchComparison compare_bench(const throughput::Report& report, const EarlierBench& earlier, double tolerance,
                              const std::vector<BenchKey>& asked);

// The parts of the document that tell of the machine and what was measured on it.
Json machine_json(const throughput::Machine& machine);
Json peaks_json(const throughput::Report& report);
Json keys_json(const std::vector<BenchKey>& keys);
Json rows_json(const throughput::Report& report);
Json comparison_json(const BenchComparison& comparison, double tolerance);

// The table; with a column of ratios where there is something to compare with.
std::string bench_table(const Terminal& terminal, const throughput::Report& report, const BenchComparison* comparison);
// The peaks in one line each, and what each row's unit needs of them.
std::string peaks_text(const throughput::Report& report);
std::string needs_text(const Terminal& terminal, const throughput::Report& report);

}  // namespace fryer::cli
