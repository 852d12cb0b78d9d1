// SPDX-License-Identifier: Apache-2.0
// See suite.h.
#include "host/throughput/suite.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "fryer/core/error.h"
#include "fryer/engine/gpu_clock.h"
#include "host/cpu_backend.h"
#include "host/cpu_features.h"
#include "host/throughput/gpu_instructions.h"
#include "host/throughput/machine.h"
#include "host/throughput/peaks.h"

namespace fryer::throughput {
namespace {

// What a suite may take with all its cells on a machine that does nothing else (half of what it promises), and a repetition at most: longer ones
// tell no more, since the best of several is what counts.
struct Budget {
  double seconds, longest;
  int repetitions;
};
constexpr Budget budget_of(Suite suite) { return suite == Suite::quick ? Budget{35, 0.05, 5} : Budget{150, 0.2, 11}; }
constexpr double kShortest = 0.004;
// On a busy machine a cell ends after so many times its share, with so many repetitions at least.
constexpr double kPatience = 1.5;
constexpr int kFewest = 3;
// Repetitions' worth of time that the choice of the size and the check take, about; the latter on an executor half as fast, or at a size of its own.
constexpr double kOverhead = 4;
// Peaks are short loops, so that some fall between what else a machine does (of 4 ms on one with a load of 7, half were too low by half).
constexpr double kPeakSeconds = 0.001;
constexpr int kPeaksPerRepetition = 4;

// Of all threads of this process.
double processor_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  double processors() const { return (processor_seconds() - processors_) / seconds(); }  // busy with this, on average

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double processors_ = processor_seconds();
};

constexpr unsigned kPieceWorkers = 2;  // whoever runs it: a piece is the same work everywhere

// threads_of_all: of the backends that there are at one time, the most that any of them has.
std::unique_ptr<Backend> cpu(const std::string& isa, unsigned threads, unsigned threads_of_all = 0) {
  return make_cpu_backend(find_cpu_executor(isa), threads, 0, "it is measured", threads_of_all);
}
unsigned most_threads(const Request& request) {
  return request.threads.empty() ? usable_threads() : *std::max_element(request.threads.begin(), request.threads.end());
}

// Throws DeviceError where the machine gives fewer threads.
std::unique_ptr<Backend> cpu_that_has(const std::string& isa, unsigned threads, unsigned threads_of_all) {
  auto backend = cpu(isa, threads, threads_of_all);
  if (!backend->info().warning.empty()) throw DeviceError("--threads: " + backend->info().warning);
  return backend;
}

// What a row is judged by: the operations that its work needs, and the reference's digest, which is computed here.
class Judge {
 public:
  explicit Judge(const Row& row) : row_(row), counts_(row.counts()) {
    const auto backend = cpu("scalar", 1);
    expected_ = row.run({*backend, &programs_of("scalar"), 1}, {row.piece, kPieceWorkers}, {}).digest;
  }
  const Row& row() const { return row_; }
  const Counts& counts() const { return counts_; }
  std::uint64_t expected() const { return expected_; }

 private:
  const Row& row_;
  Counts counts_;
  std::uint64_t expected_;
};

// Processors that a site's threads have at most: more threads share the same.
double processors_of(const Site& site) { return std::min(site.threads, usable_threads()); }

// The size that takes about so long, by trying larger and larger ones, which warms up too. CPU executors are asked how long they worked: other
// processes' turns would make a size too small.
std::uint64_t choose_size(const Row& row, const Site& site, double seconds, const RunControl& control) {
  std::uint64_t size = row.least;
  while (true) {
    const Stopwatch watch;
    row.run(site, {size, site.threads}, control);
    const double wall = watch.seconds();
    const double taken =
        std::max(site.programs != nullptr ? wall * std::min(1.0, watch.processors() / processors_of(site)) : wall, 1e-6);
    if (taken >= 0.7 * seconds || size >= row.most) return size;
    const double factor = std::min(seconds / taken, 16.0);  // short ones tell too little for more
    const auto wanted = static_cast<std::uint64_t>(static_cast<double>(size) * factor);
    size = std::clamp<std::uint64_t>(wanted, size + 1, row.most);
    if (factor < 4) return size;
  }
}

// Executors that check each other: their backends, made when they are first wanted.
class Checkers {
 public:
  // threads: as many as any row is measured with, or all where a GPU's rows alone are.
  explicit Checkers(const Request& request)
      : names_(this_machine().instruction_sets),
        most_threads_(most_threads(request)),
        threads_(std::min(most_threads_, usable_threads())) {}
  // The fastest but this one, if there is another.
  std::optional<Checker> other_than(const std::string& executor) {
    const auto other = std::find_if(names_.rbegin(), names_.rend(), [&](const std::string& name) { return name != executor; });
    if (other == names_.rend()) return std::nullopt;
    const auto [at, is_new] = backends_.try_emplace(*other);
    if (is_new) at->second = cpu_that_has(*other, threads_, most_threads_);
    return Checker{*other, {*at->second, &programs_of(*other), threads_}, *other == "scalar" || executor == "cuda"};
  }

 private:
  std::vector<std::string> names_;
  unsigned most_threads_, threads_;
  std::map<std::string, std::unique_ptr<Backend>> backends_;
};

// Adds the GPU's rows, each to those of its kind, and its peak.
void measure_gpu(int gpu, const std::vector<Judge>& judges, Checkers& checkers, const Timing& timing, const StopToken* stop,
                 const std::function<void(const std::string&)>& told, std::vector<std::vector<Measurement>>& by_row,
                 Report& report) {
  const auto backend = make_cuda_backend(gpu, "the GPU was asked for");
  const GpuClock clock = gpu_clock(gpu);
  const double issue = clock.multiprocessors * gpu::kSchedulers * clock.hertz;  // instructions of a warp a second
  for (std::size_t i = 0; i < judges.size(); ++i) {
    const Row& row = judges[i].row();
    if (row.gpu_instructions == 0) continue;
    told(std::string(row.name) + " on " + backend->info().device);
    Measurement m = time_row(row, judges[i].expected(), {*backend, nullptr, 1}, checkers.other_than("cuda"), timing, stop);
    m.executor = "cuda";
    if (m.ok()) m.limit = Limit{"issue", issue / (row.gpu_instructions * m.counted_a_unit)};
    by_row[i].push_back(std::move(m));
  }
  Rates rates;
  rates.issue = issue * gpu::kLanes;
  report.peaks.push_back({"cuda", 1, rates});
}

}  // namespace

std::uint64_t digest_of(const Report& report) {
  std::uint64_t sum = 0;
  std::string last;  // rows of one name stand together, and have one reference
  for (const Measurement& m : report.rows) {
    if (m.name != last) sum += m.expected;
    last = m.name;
  }
  return sum;
}

Best best_rate(double units, const std::vector<double>& seconds) {
  const auto best = std::min_element(seconds.begin(), seconds.end());
  std::vector<double> sorted = seconds;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2), sorted.end());
  return {units / *best, 1 - *best / sorted[sorted.size() / 2], static_cast<std::size_t>(best - seconds.begin())};
}

std::size_t count_cells(const Request& request) {
  std::size_t cells = 0;
  for (const Row* row : find_rows(request.suite, request.filter)) {
    cells += request.instruction_sets.size() * request.threads.size();
    if (request.gpu && row->gpu_instructions != 0) ++cells;
  }
  return cells;
}

Timing timing_of(Suite suite, std::size_t cells) {
  const Budget budget = budget_of(suite);
  const double each = budget.seconds / (static_cast<double>(std::max<std::size_t>(cells, 1)) * (budget.repetitions + kOverhead));
  return {budget.repetitions, std::clamp(each, kShortest, budget.longest)};
}

double guessed_seconds(const Request& request) {
  const std::size_t cells = count_cells(request);
  const Timing timing = timing_of(request.suite, cells);
  return static_cast<double>(cells) * timing.repetition * (timing.repetitions + kOverhead) +
         static_cast<double>(request.instruction_sets.size() * request.threads.size()) * 10 * kPeakSeconds * kPeaksPerRepetition *
             timing.repetitions;
}

Measurement time_row(const Row& row, std::uint64_t expected, const Site& site, const std::optional<Checker>& checker,
                     const Timing& timing, const StopToken* stop) {
  const RunControl control{stop, nullptr};
  Measurement m;
  m.name = row.name;
  m.what = row.what;
  m.unit = row.unit;
  m.threads = site.threads;
  m.expected = expected;
  m.digest = row.run(site, {row.piece, kPieceWorkers}, control).digest;
  if (!m.ok()) return m;
  const Size size{choose_size(row, site, timing.repetition, control), site.threads};
  std::vector<double> seconds, processors;
  Finished first{};
  const Stopwatch whole;
  const double enough = kPatience * timing.repetition * timing.repetitions;
  for (int i = 0; i < timing.repetitions && (i < kFewest || whole.seconds() < enough); ++i) {
    if (is_set(stop)) throw Stopped();
    const Stopwatch watch;
    const Finished made = row.run(site, size, control);
    processors.push_back(watch.processors());
    seconds.push_back(watch.seconds());
    if (i == 0) first = made;
    m.repeats = m.repeats && made.digest == first.digest;
  }
  m.repetitions = static_cast<int>(seconds.size());
  if (m.ok() && checker) {
    // A slow one may need minutes for all of it. What it does in a repetition's time need not fill a GPU, as DQN's few replicas do not.
    Size checked = size;
    if (checker->slow) checked.work = std::min(choose_size(row, checker->site, timing.repetition, control), size.work);
    m.checker = checker->executor;
    m.checked_whole = checked.work == size.work;
    const std::uint64_t here = m.checked_whole ? first.digest : row.run(site, checked, control).digest;
    m.agrees = row.run(checker->site, checked, control).digest == here;
  }
  if (!m.ok()) return m;
  const Best best = best_rate(first.units, seconds);
  m.rate = best.rate;
  m.spread = best.spread;
  if (site.programs != nullptr) m.processors = std::min(processors[best.index] / processors_of(site), 1.0);
  m.counted_a_unit = first.counted / first.units;
  return m;
}

Report measure(const Request& request, const StopToken* stop, const Told& told) {
  const std::size_t cells = count_cells(request);
  const Timing timing = timing_of(request.suite, cells);
  std::size_t finished = 0;
  std::vector<Judge> judges;
  const std::vector<const Row*> chosen = find_rows(request.suite, request.filter);
  for (const Row* row : chosen) {
    told(0, cells, "the reference");
    if (is_set(stop)) throw Stopped();
    judges.emplace_back(*row);
  }

  Report report;
  Checkers checkers(request);
  std::vector<std::vector<Measurement>> by_row(judges.size());
  for (const std::string& isa : request.instruction_sets) {
    const ThroughputPrograms& programs = programs_of(isa);
    for (const unsigned threads : request.threads) {
      told(finished, cells, "peaks of " + isa);
      const unsigned at_once = std::min(threads, usable_threads());  // more share the same processors
      const auto peaks = [&] {
        return measure_peaks(programs, at_once, kPeaksPerRepetition * timing.repetitions, kPeakSeconds, stop);
      };
      Rates rates = peaks();
      const auto backend = cpu_that_has(isa, threads, most_threads(request));
      const Site site{*backend, &programs, threads};
      std::vector<std::size_t> timed;  // whose limit is still to be found
      for (std::size_t i = 0; i < judges.size(); ++i) {
        told(finished++, cells, std::string(judges[i].row().name) + " on " + isa);
        Measurement m = time_row(judges[i].row(), judges[i].expected(), site, checkers.other_than(isa), timing, stop);
        m.executor = isa;
        if (m.ok()) timed.push_back(i);
        by_row[i].push_back(std::move(m));
      }
      rates = best_of(rates, peaks());  // the machine may have been busy the first time
      for (const std::size_t i : timed) {
        Measurement& m = by_row[i].back();
        m.counted = judges[i].row().counted;
        m.needed = needs(judges[i].counts(), isa);
        m.limit = limit_of(needs(judges[i].counts() * m.counted_a_unit, isa), rates);
      }
      report.peaks.push_back({isa, threads, rates});
    }
  }
  if (request.gpu) {
    try {
      measure_gpu(
          *request.gpu, judges, checkers, timing, stop, [&](const std::string& what) { told(finished++, cells, what); }, by_row,
          report);
    } catch (const Stopped&) {
      throw;
    } catch (const std::exception& error) {  // what the CPU did is kept
      if (request.instruction_sets.empty()) throw;
      report.gpu_failure = error.what();
    }
  }
  told(cells, cells, "");
  for (auto& group : by_row) {
    for (Measurement& m : group) report.rows.push_back(std::move(m));
  }
  return report;
}

}  // namespace fryer::throughput
