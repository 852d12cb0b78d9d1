// SPDX-License-Identifier: Apache-2.0
// What a study's file lacks, handed out launch by launch. A launch should last about two seconds by the rate that the worker had with
// its kind so far, and less towards the end, when workers would wait for one another; its last trainings leave lanes idle, so none is smaller without
// need. Small cells whose trainings may share lanes, or are of value learners with one network shape, make up a launch together.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include "host/study/run_chunk.h"
#include "host/study/unfinished.h"

namespace fryer::study {

// For several threads.
class LaunchQueue {
 public:
  // begun: trainings that an earlier run left in their middle, which fit their pieces.
  // backend: of a worker.
  LaunchQueue(const Plan& plan, const Store& store, std::size_t workers, const BackendInfo& backend,
              std::vector<Unfinished> begun);

  // For this worker, from 0. Nothing when all is handed out.
  std::optional<Launch> take(std::size_t worker);
  // Its launch has ended: so many replicas, less what of them had been done before it was taken, in so many seconds.
  void took(std::size_t worker, const std::vector<Piece>& pieces, double replicas, double seconds);
  // What the trainings begun by an earlier run that are not handed out yet have come to, in replicas.
  double begun_share();

 private:
  struct Rate {
    double replicas = 0, seconds = 0;
    bool is_known() const { return replicas > 0 && seconds > 0; }
    double a_second() const { return replicas / seconds; }
    void add(double more_replicas, double more_seconds) {
      replicas += more_replicas;
      seconds += more_seconds;
    }
  };
  // Workers may be unlike: a GPU beside a CPU. What one did of the kind that it had last.
  struct WorkerRate {
    std::uint64_t kind = 0;
    Rate rate;
  };
  struct Begun {
    Unfinished unfinished;
    double share;
  };
  bool may_join(const Launch& launch, std::uint64_t cell) const {
    return launch.pieces.empty() || kind_[launch.pieces[0].cell] == kind_[cell];
  }
  bool remove(const Piece& piece);
  std::uint64_t launch_size(std::size_t worker, std::uint64_t cell) const;

  const Plan& plan_;
  std::mutex mutex_;
  const std::vector<std::uint64_t> kind_;    // of each cell
  std::vector<std::uint64_t> order_;         // of cells: kind by kind
  std::vector<std::vector<Range>> missing_;  // by cell, ascending
  std::vector<WorkerRate> workers_;
  std::vector<Rate> rates_;             // by kind, of all workers: replicas in seconds of one
  std::vector<std::uint64_t> at_once_;  // by kind: replicas_at_once()
  std::vector<Begun> begun_;            // kind by kind
  Rate all_;
  std::uint64_t left_ = 0, in_flight_ = 0;
  double begun_share_ = 0;
  std::size_t at_ = 0;  // of order_: cells before it have nothing missing
};

// The pieces of a launch to measure this cell by: a set of lanes, with cells behind it of its kind. Returns its replicas.
std::uint64_t fill_for_measuring(const Plan& plan, const std::vector<std::uint64_t>& kinds, std::uint64_t cell,
                                 const BackendInfo& backend, Launch& launch);

}  // namespace fryer::study
