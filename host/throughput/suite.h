// SPDX-License-Identifier: Apache-2.0
// Measures rows on every executor and thread count that was asked for. Before a row is timed somewhere, a small piece of its work is done there and its
// digest compared with the scalar reference's; then every repetition must have the first one's digest, and another executor's: a wrong answer has no
// rate.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "host/throughput/operations.h"
#include "host/throughput/rows.h"

namespace fryer::throughput {

struct Request {
  Suite suite = Suite::quick;
  std::string filter;
  std::vector<std::string> instruction_sets;  // CPU executors
  std::vector<unsigned> threads;              // of each of them
  std::optional<int> gpu;
};

// How long things take. A suite's cells share its seconds.
struct Timing {
  int repetitions;
  double repetition;  // seconds, about
};
Timing timing_of(Suite suite, std::size_t cells);
// Rows times executors times thread counts.
std::size_t count_cells(const Request& request);
// About, without machines that are slow to start.
double guessed_seconds(const Request& request);

struct Measurement {
  std::string name, what, unit, executor;
  unsigned threads = 1;
  std::uint64_t digest = 0, expected = 0;  // of the piece: here, and the reference's
  bool repeats = true;                     // every repetition had the first one's digest
  std::string checker;         // another executor that did the same work; "" where there is none, or an earlier check has failed
  bool checked_whole = false;  // the work that was timed; a GPU and the scalar reference compare what the slower one can do
  bool agrees = true;          // it had the same digest
  double rate = 0;             // the best, units a second
  double spread = 0;           // by how much of it the median repetition was slower
  double processors = 0;       // the share that the best repetition had of its threads' processors; of CPU executors
  int repetitions = 0;
  std::optional<Limit> limit;
  std::string counted;  // what needs are of: a step, an update, ...
  double counted_a_unit = 0;
  Rates needed;  // of CPU executors

  bool ok() const { return digest == expected && repeats && agrees; }
  double share() const { return limit && limit->rate > 0 ? rate / limit->rate : 0; }
};

// An executor that does again what was timed on another one.
struct Checker {
  std::string executor;
  Site site;
  bool slow;  // does less than was timed, in the time of a repetition
};
// Times a row at a site, and checks its digests: of the row's piece against the reference's, of each repetition, and against the
// checker's if there is one. Without limit and needs. Throws Stopped.
Measurement time_row(const Row& row, std::uint64_t expected, const Site& site, const std::optional<Checker>& checker,
                     const Timing& timing, const StopToken* stop);

struct Peaks {
  std::string executor;
  unsigned threads;
  Rates rates;
};

struct Report {
  std::vector<Measurement> rows;  // by row, executor and threads
  std::vector<Peaks> peaks;
  std::string gpu_failure;  // why rows of the GPU are missing that were asked for besides the CPU's; ""
};
// Of the references' results, whichever executors were measured: the same on every machine.
std::uint64_t digest_of(const Report& report);

// told: before each cell, how many there were before it, how many there are, and its name. Throws DeviceError, Stopped, and what a GPU
// fails with where it alone was asked for.
using Told = std::function<void(std::size_t finished, std::size_t planned, const std::string& what)>;
Report measure(const Request& request, const StopToken* stop, const Told& told);

// The best of several, which of them it was, and how much slower the median was.
struct Best {
  double rate, spread;
  std::size_t index;
};
Best best_rate(double units, const std::vector<double>& seconds);

}  // namespace fryer::throughput
