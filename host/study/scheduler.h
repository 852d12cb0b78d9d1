// SPDX-License-Identifier: Apache-2.0
// Runs what a study's file lacks: chunks of all cells, numbered by cell and replica, handed to workers as they come free, and written by
// one thread as they finish. Which worker runs what and how it is cut never enters a result.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fryer/engine/run.h"
#include "host/study/rank_workers.h"
#include "host/study/store.h"

namespace fryer::study {

struct StudyProgress {
  std::uint64_t cells = 0, cells_done = 0;
  std::uint64_t planned = 0, finished = 0;  // replicas of this file's shard, those of earlier runs included
  std::uint64_t failed = 0, solved = 0;
  double under_way = 0;  // what those not finished have come to, in replicas
  double earlier = 0;    // what earlier runs did of all that, in replicas
};

struct StudyControl {
  const StopToken* stop = nullptr;
  std::function<void(const StudyProgress&)> progress;  // on the calling thread, a few times a second and after the last chunk
  std::function<void(const std::string&)> warn;        // of trainings that were left in their middle and cannot be gone on with
  // Long trainings are written down this often, so that a kill loses no more of them; less often where that would take a fiftieth of the time.
  double seconds_between_saves = 10;
};

// CPU: a backend of one thread for each of the choice's threads, so that small cells share the machine, or a single one of all threads where
// there are fewer replicas than would fill them (not of value learners, whose trainings are one thread's). GPU: a few, so that small cells overlap.
// Several devices: these of each, or a single one of all devices where there are few replicas.
struct Workers {
  std::vector<std::unique_ptr<Backend>> backends;
  BackendInfo info;                     // what they are together, for messages
  std::unique_ptr<RankWorkers> others;  // of other ranks, where there are any
};
// missing: replicas to run.
Workers make_workers(const Plan& plan, std::uint64_t missing, BackendChoice choice);
// Of all ranks, for the root; each of the others is in serve_study(). `plan` and `ranks` must outlive them. Throws RankError.
Workers make_workers(const Plan& plan, std::uint64_t missing, const BackendChoice& choice, ranks::Ranks& ranks);
// The root has nothing for them.
void dismiss_ranks(ranks::Ranks& ranks);
// What either side does of it once the plan is known.
Workers make_workers_of_rank(const Plan& plan, std::uint64_t missing, const BackendChoice& choice, ranks::Ranks& ranks);

// Replicas of its shard that a file lacks.
std::uint64_t missing_replicas(const Store& store);

// Throws Stopped, or what a worker or the store threw, after writing what was finished by then, and where long trainings stand, from which
// the next run goes on. plan: the store's, with cells that have `run`.
void run_study(const Plan& plan, Store& store, const Workers& workers, const StudyControl& control);

// What a study would take, measured by running a little of up to eight of its cells for about two seconds. Nothing is written. Throws Stopped.
struct StudyEstimate {
  double seconds = 0;  // with these workers
  double bytes = 0;    // of the file
  bool at_least =
      false;  // trainings were too long to be finished in the time: the figures are for their beginning, and may be far too low
};
StudyEstimate estimate_study(const Plan& plan, const Workers& workers, const StopToken* stop = nullptr);

}  // namespace fryer::study
