// SPDX-License-Identifier: Apache-2.0
// A study's file: SQLite, WAL, STRICT tables, one transaction for the chunks that finish together. What it holds is checked when it is read: application id,
// schema, a checksum for each row, and a ledger of all chunks, so that damage is an error and never another result. One process
// writes at a time. Of a killed writer's log SQLite takes what is sound up to the first damage, as after a power cut: later
// chunks count as not run yet.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fryer/engine/backend.h"
#include "host/study/columns.h"
#include "host/study/plan.h"

namespace fryer::study {

inline constexpr std::uint32_t kApplicationId = 0x66727965;  // "frye"
inline constexpr int kSchemaVersion = 1;

// One process that wrote to the file: who and where.
struct Provenance {
  std::string program_version, compiler, host, processor, operating_system, device, isa, command_line;
  std::string started;  // UTC, 2026-11-22T20:15:00Z
  std::uint64_t numerics_version = 0, threads = 0;
  friend bool operator==(const Provenance&, const Provenance&) = default;
};

// Which part of the study the file is meant to hold.
struct Shard {
  std::uint64_t index = 1, shards = 1;
};

// Replicas of one cell that were finished together.
struct Chunk {
  std::uint64_t cell = 0;
  Range range;
  std::uint64_t digest = 0;  // sum of the rows' hashes modulo 2^64
  std::uint64_t failed = 0, solved = 0;
  double seconds = 0;           // of one worker
  std::uint64_t run = 0;        // number of the Provenance; append() fills it in
  std::vector<Column> columns;  // empty in what chunks() gives
};

enum class Access { read, write };

class Store {
 public:
  // The file appears whole or not at all. Throws FileError where it cannot be written, if it exists, or if a log of that name is
  // left over from a file that is gone; FileInUseError where another process was quicker; DamagedFileError for a plan that cannot
  // be read back.
  static Store create(const std::string& path, const Plan& plan, const Shard& shard);
  // write: reads everything once; throws FileInUseError if another process writes. read: checks columns when they are read;
  // beside a writer, and in a directory that cannot be written to. Throws FileError if there is none, DamagedFileError for what
  // is not a study, newer, or damaged. A process that writes to a file must not open and close that file in other ways: that
  // drops the locks which SQLite holds on it.
  static Store open(const std::string& path, Access access);
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();  // a writer folds the log into the file

  const std::string& path() const;
  const Plan& plan() const;  // without `run`
  const Shard& shard() const;
  std::vector<Provenance> runs() const;

  // Who writes from here on: a new row unless there is an equal one.
  void begin_run(const Provenance& provenance);
  // One transaction. Encodes unless `bytes` (of encode()) is given. Throws FileError on a full disk: the file keeps what it had.
  // Throws Error before begin_run() and for replicas that are not of the plan or already there.
  void append(const Chunk& chunk, const std::string& bytes = "");
  // Several in one transaction: all or none. bytes: of each, from encode().
  void append(const std::vector<Chunk>& chunks, const std::vector<std::string>& bytes);

  // Throws FileError where the path names another file by now, or none: results would go where nobody finds them. append() asks too.
  void check_still_there() const;
  // The file is whole without its log from here on. Throws FileError where there is no room for that.
  void finish();

  // All chunks by cell and first replica, without columns. Consistent with each other, whatever a writer does.
  std::vector<Chunk> chunks() const;
  // The columns of the chunk that begins there; safe from several threads at once. Throws DamagedFileError.
  std::vector<Column> columns(const Chunk& chunk, const std::function<bool(const Column&)>& wanted) const;
  // The same as encode() made them.
  std::string bytes(const Chunk& chunk) const;
  // What is not there yet of the shard's replicas of a cell, in order.
  std::vector<Range> missing(std::uint64_t cell) const;

 private:
  struct State;
  explicit Store(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The sum of all chunks' digests modulo 2^64.
std::uint64_t digest_of(const std::vector<Chunk>& chunks);

// Makes `output` of the inputs: the same study (equal fingerprints and numerics versions), replicas disjoint or identical. What
// two chunks share must agree value for value, and their digests too. A chunk is never cut, since the digest of a part is not
// known: where chunks overlap, some of them must make up all of their replicas without overlapping. Throws DamagedFileError
// (incompatible files) on different studies, a conflict, or an overlap that whole chunks cannot resolve, naming the first; Stopped; FileError if output exists. It
// appears whole or not at all.
void merge(const std::vector<std::string>& inputs, const std::string& output, const StopToken* stop = nullptr);

}  // namespace fryer::study
