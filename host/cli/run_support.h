// SPDX-License-Identifier: Apache-2.0
// What running commands have in common: opening the backend and saying which, progress and stopping, the head of every JSON document,
// and --dry-run.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "fryer/engine/run.h"
#include "host/cli/command.h"
#include "host/cli/files.h"
#include "host/cli/progress.h"
#include "host/ranks/ranks.h"

namespace fryer::cli {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// The backend for this much work, of all ranks that run the command. With --device auto one line on stderr says which and why, unless --quiet;
// another where it has fewer threads than were asked for.
std::unique_ptr<Backend> open_backend(const Command& command, const WorkEstimate& work, const Console& console);
void warn_of(const BackendInfo& info, const Command& command, const Console& console);

// Runs `work`, of a RunControl and the ProgressMeter, with progress on stderr; a stop by signal is told with how far it got and how to go on, and rethrown.
// It is all that ranks do together.
template <class Work>
auto run_watched(const Command& command, const Console& console, const char* unit, double scale, Work work);

// command, environment, algorithm, configuration, seed, numerics_version.
Json document_head(const Command& command, std::uint64_t seed);
Json backend_json(const BackendInfo& info);
std::string backend_text(const BackendInfo& info);  // cpu (avx512, 2 threads)
// How much was done, how fast, where, and the digest: the last two lines for people.
// Steps are told where episodes have more than one, updates where there are any: they are then what the rate is of.
struct Done {
  std::uint64_t episodes = 0, steps = 0, updates = 0;
};
std::string closing_text(const Done& done, double seconds, const BackendInfo& info, std::uint64_t digest);

std::string compiler();  // that made this program, with its version

// What would run, for --dry-run.
struct Plan {
  std::string what;  // "1,000,000 trainings of 280 updates"
  WorkEstimate work;
  double episodes = 0;              // all of them
  double steps = 0;                 // about; not 0 where the pilot counts steps instead of episodes
  std::uint64_t replica_bytes = 0;  // memory of each training in work, where that is worth telling
  std::vector<std::string> outputs;
  // Runs a part of about this many episodes (or steps) and returns how many it was.
  std::function<double(Backend&, std::uint64_t wanted)> pilot;
};
// Measures the rate on a small part, prints the plan and returns 0.
int run_dry(const Command& command, const Console& console, std::uint64_t seed, const Plan& plan);

// Where a signal stops everything; set by main.
extern StopToken stop_requested;
// The ranks that run this command together (run_on_ranks.h); null of one that runs alone.
extern ranks::Ranks* shared_ranks;
// Whether this process prints and writes files.
bool is_root();

// ---- implementation

// Prints what a stopped run leaves behind.
void say_stopped(const Command& command, const Console& console, double share);

template <class Work>
auto run_watched(const Command& command, const Console& console, const char* unit, double scale, Work work) {
  ProgressMeter meter(console, command.common().quiet, unit, scale);
  try {
    auto result = work(RunControl{&stop_requested, meter.callback()}, meter);
    if (shared_ranks != nullptr) shared_ranks->part();
    return result;
  } catch (const Stopped&) {
    meter.clear();
    say_stopped(command, console, meter.share());
    throw;
  }
}

}  // namespace fryer::cli
