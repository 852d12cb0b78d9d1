// SPDX-License-Identifier: Apache-2.0
// A study on several ranks: the root hands launches to the workers of all of them and alone writes the store; the other ranks run what they
// are handed until they are dismissed. A launch travels as its pieces and where their trainings stand; chunks come back as the store has
// them.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "host/ranks/ranks.h"
#include "host/study/run_chunk.h"

namespace fryer::study {

// The other ranks' workers, as the root has them. All but run() is for the thread that is MPI's.
class RankWorkers {
 public:
  // of_rank: how many workers each rank has, the root's (not counted here) first.
  RankWorkers(const Plan& plan, ranks::Ranks& ranks, const std::vector<unsigned>& of_rank);
  // Dismisses the other ranks.
  ~RankWorkers();
  RankWorkers(const RankWorkers&) = delete;
  RankWorkers& operator=(const RankWorkers&) = delete;

  std::size_t count() const { return workers_.size(); }
  // Sends what is waiting and hands on what has arrived; to be called every Ranks::kBetweenLooksBesideWork while others run().
  void look();
  // Every run() looks at its control's tokens now, and not after a while.
  void hurry();
  // Ends every run() with Stopped, whatever its rank does.
  void abandon();

  // As run_launch(), on worker `index`; for one thread each.
  std::vector<Chunk> run(std::size_t index, Launch& launch, const RunControl& control);
  // What it took to pack and unpack the trainings that its last run() left, in seconds.
  double seconds_of_packing(std::size_t index) const { return workers_[index].seconds_of_packing; }

 private:
  struct Worker {
    int rank;
    std::uint32_t number;  // on its rank
    std::deque<std::string> to_send;
    std::deque<std::string> answers;
    std::condition_variable answered;
    std::atomic<double> finished{0};  // share of its launch
    double seconds_of_packing = 0;
  };
  const Plan& plan_;
  ranks::Ranks& ranks_;
  std::mutex mutex_;                   // of the queues
  std::deque<Worker> workers_;         // which have addresses; a rank's one after the other
  std::vector<std::size_t> first_of_;  // of each rank: its worker 0; and one more
  bool abandoned_ = false;
};

// What a rank other than the root does with a study, from the root's make_workers() on: it makes workers of its own devices, and serves until
// it is dismissed. make_runnable: gives a plan's cells what they run. Throws Dismissed, RankError.
[[noreturn]] void serve_study(ranks::Ranks& ranks, const BackendChoice& choice, const StopToken* stop,
                              const std::function<void(Plan&)>& make_runnable);

}  // namespace fryer::study
