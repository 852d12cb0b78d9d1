// SPDX-License-Identifier: Apache-2.0
// Processes that run one command together: ranks 0 .. ranks - 1 of an MPI launcher (mpi.cpp), or threads that act as such in tests. All of
// them are given the same words and read the same settings; rank 0, the root, alone prints and writes files. Called by the thread that
// joined, and by no other.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "fryer/core/error.h"

namespace fryer::ranks {

// How a rank's part of something ended.
struct Outcome {
  int code = 0;         // an exit code; 0: well
  std::string message;  // why it is not 0, in one line
};
// Of an exception that ended it, by type as core/error.h says. A stop is 130.
Outcome outcome_of(const std::exception_ptr& error);

// What ended all ranks: the lowest one's error among those that had one. Thrown on each of them.
class RankError : public Error {
 public:
  explicit RankError(const Outcome& outcome) : Error(outcome.message), code_(outcome.code) {}
  int code() const { return code_; }

 private:
  int code_;
};

// The root goes on alone: thrown on the others, which have nothing left to do.
class Dismissed : public Error {
 public:
  Dismissed() : Error("the rest is rank 0's alone") {}
};

class Ranks {
 public:
  struct Place {
    int rank = 0, ranks = 1;
    int local_rank = 0, local_ranks = 1;  // among those on this machine
    int machine = 0;                      // the lowest rank on it
    int local_processors = 0;             // on which any of these may run; 0: not known
  };
  explicit Ranks(const Place& place) : place_(place) {}
  virtual ~Ranks() = default;
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  const Place& place() const { return place_; }
  int rank() const { return place_.rank; }
  int count() const { return place_.ranks; }
  bool is_root() const { return place_.rank == 0; }

  // ---- of all ranks: each calls the same in the same order, and none goes on before all have called

  // Element by element, modulo 2^64; all ranks get the sums.
  virtual void sum(std::span<std::int64_t> numbers) = 0;
  // Rank `from` gives, the others get.
  virtual void broadcast(std::string& bytes, int from) = 0;
  // Throws RankError on all of them unless all ended well; or Stopped, where the first that did not was stopped.
  void agree(const Outcome& own);
  int agreements() const { return agreements_; }  // so far

  // ---- between two

  struct Message {
    int from;
    std::string bytes;
  };
  // Returns at once; the message is under way.
  virtual void send(int to, std::string bytes) = 0;
  // One that has arrived, those of a sender in their order; nothing if none has.
  virtual std::optional<Message> receive() = 0;
  // The next that arrives.
  Message wait();

  // ---- the end

  // Whether others may be waiting for this rank: until the root goes on alone, or all have ended.
  bool together() const { return together_; }
  void part() { together_ = false; }
  // Ends all ranks, wherever they are.
  [[noreturn]] void abort(int code);

  // How often messages are looked for: by one that has nothing else to do, and beside work. (Each look takes a core from the work: of 500 us
  // between them that was a twentieth of it.)
  static constexpr std::chrono::microseconds kBetweenLooks{500}, kBetweenLooksBesideWork{4000};

 private:
  // A test's throw something; this process ends in any case.
  virtual void end_all(int code) = 0;

  Place place_;
  bool together_ = true;
  int agreements_ = 0;
};

// The ranks of this process's launcher; null where it was started without one, or as the only rank: then nothing of MPI is started. Throws
// ConfigurationError where there are several and this program is built without MPI.
std::unique_ptr<Ranks> join_ranks(int& count, char**& words);

// "Open MPI v4.1.4", or "none" where it is built without.
std::string mpi_library();

}  // namespace fryer::ranks
