// SPDX-License-Identifier: Apache-2.0
// Trainings under way, kept beside a study so that a killed process loses seconds of them and not days: a file of the store's name
// with -unfinished behind it. What is wrong inside it is a reason to begin those trainings again, since all of it can be computed again; such
// a file is set aside and not overwritten. One that cannot be read is an error.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/driver.h"
#include "host/study/plan.h"
#include "host/study/store.h"

namespace fryer::study {

// The chunk that interrupted trainings will become: replicas `range` of a cell, one row each.
struct Unfinished {
  std::uint64_t cell = 0;
  Range range;
  TrainingStates trainings;
};

// Trainings as bytes: counts and bits of floats to the last one, packed. n = trainings.table.size() is at least 1; of (n) values each
// are status (0 .. 3), updates, steps or none, every parameter, and every column of m and of v, which have as many columns as
// there are parameters, or none; recent and outcomes have a multiple of n. Of value learners there are n, of which those with weights have
// as many moments, and n counts of episodes. Throws Error where that does not hold.
std::string encode(const TrainingStates& trainings);
// The same of the trainings of a plan's replicas `range`. Throws Error for others.
std::string encode(const Plan& plan, const Range& range, const TrainingStates& trainings);
// Throws DamagedFileError unless all of that holds. Never reads outside `bytes` and never allocates more than a few thousand times
// their size, whatever they hold.
TrainingStates decode_states(std::string_view bytes);

// Only the process that holds the store's write lock (Access::write) may write the file. Any may load it, also while it is written.
// Not for several threads at once, nor beside the store's append().
class UnfinishedFile {
 public:
  // `store` must outlive this. Nothing is read yet.
  explicit UnfinishedFile(const Store& store);

  // Beside the file that the store's path means, links resolved.
  const std::string& path() const { return path_; }

  struct Loaded {
    std::vector<Unfinished> pieces;  // by cell and first replica
    std::string lost;                // why there are fewer than were written, for a warning; "" if there are not
  };
  // What the file holds, which is then held here too, in place of what was. Of a missing file nothing and no reason; of a damaged
  // one what is sound of it; of another study, numerics version or format nothing. Replicas that the store has by now, or that are
  // not its, are passed over. Never throws for what is in the file; throws FileError where it cannot be read or is no file.
  Loaded load();
  // Gives the file a second name, its own with .1, .2, ... behind, so that write() does not destroy what it holds. Returns that name. Throws
  // FileError.
  std::string set_aside() const;

  struct Begun {
    std::uint64_t trainings = 0;  // that go on
    std::uint64_t ended = 0;      // that wait for others, which will make up a chunk with them
    std::string lost;             // as Loaded's, and why the file cannot be read
  };
  // Trainings in the file that were begun, and that the store lacks. Never throws for the file. Nothing of them is kept here: of value learners with their replay memories
  // one piece is in memory at a time.
  Begun count() const;

  // Puts or replaces the piece that begins with that replica, as encode() made it of its trainings; the file follows with write(). Throws
  // Error for replicas that the store has, or that are not its.
  void set(std::uint64_t cell, const Range& range, std::string bytes);
  // Forgets that piece. Returns whether there was one.
  bool erase(std::uint64_t cell, std::uint64_t first);
  // Replaces the file in one step with all pieces held here, on the disk for good, with the rights of the store's file; of none removes
  // it. Throws FileError, on a full disk too: then the file is as it was, the pieces stay, and a later write() may succeed.
  void write() const;

 private:
  struct Piece {
    std::uint64_t count = 0, checksum = 0;
    std::string bytes;
  };

  // Hands every sound piece that the store lacks to take(unfinished, piece). Returns what was lost. Throws as load().
  template <class Take>
  std::string read(const Take& take) const;
  const Store& store_;
  const std::uint64_t fingerprint_;
  std::string real_, path_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Piece> pieces_;  // by cell and first replica
};

}  // namespace fryer::study
