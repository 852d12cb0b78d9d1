// SPDX-License-Identifier: Apache-2.0
// A study's file: SQLite, WAL, STRICT tables, one transaction a chunk. What it holds is checked when it is read: application id, schema,
// a checksum for each row, and a ledger of all chunks, so that damage is an error and never another result. One process writes at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

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
  // Throws FileError where it cannot be written, FileInUseError where another process has it, and FileError if it exists.
  static Store create(const std::string& path, const Plan& plan, const Shard& shard);
  // write: throws FileInUseError if another process writes. read: beside a writer, and in a directory that cannot be written to. Throws
  // FileError if there is none, DamagedFileError for what is not a study, newer, or damaged.
  static Store open(const std::string& path, Access access);
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();  // a writer folds the log into the file

  const std::string& path() const;
  const Plan& plan() const;  // without `run`
  const Shard& shard() const;
  std::vector<Provenance> runs() const;

  // Who writes from here on: a new row unless the last one is equal.
  void begin_run(const Provenance& provenance);
  // One transaction. Encodes unless `bytes` (of encode()) is given. Throws FileError on a full disk: the file keeps what it had.
  void append(const Chunk& chunk, const std::string& bytes = "");

  // All chunks by cell and first replica, without columns. Consistent with each other, whatever a writer does.
  std::vector<Chunk> chunks() const;
  // The columns of the chunk that begins there.
  std::vector<Column> columns(const Chunk& chunk, const std::function<bool(const Column&)>& wanted) const;
  // What is not there yet of the shard's replicas of a cell, in order.
  std::vector<Range> missing(std::uint64_t cell) const;

 private:
  struct State;
  explicit Store(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The sum of all chunks' digests modulo 2^64.
std::uint64_t digest_of(const std::vector<Chunk>& chunks);

// Makes `output` of the inputs: the same study (equal fingerprints and numerics versions), replicas disjoint or identical. Overlapping chunks must
// agree value for value in what they share. Throws ConfigurationError on different studies or a conflict, naming the first; FileError if output exists.
void merge(const std::vector<std::string>& inputs, const std::string& output);

}  // namespace fryer::study
