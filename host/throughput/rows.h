// SPDX-License-Identifier: Apache-2.0
// What `fryer bench` measures: a row is a kind of work that users ask for, run as they run it, through a Backend. A new row is an entry in the table.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "fryer/engine/backend.h"
#include "host/throughput/operations.h"
#include "host/throughput/programs.h"

namespace fryer::throughput {

enum class Suite { quick, full };

// Where work runs.
struct Site {
  Backend& backend;
  const ThroughputPrograms* programs;  // of a CPU executor
  unsigned threads;
};

// About how much work, in a row's own measure, and how many workers should have some of it.
struct Size {
  std::uint64_t work;
  unsigned workers;
};

// Work that was made: its units, what the row counts operations of, and a digest of the result.
struct Finished {
  double units, counted;
  std::uint64_t digest;
};

struct Row {
  const char* name;
  const char* what;           // for people
  const char* unit;           // plural
  bool quick;                 // part of the quick suite too
  std::uint64_t least, most;  // sizes
  std::uint64_t piece;        // the size whose digest is compared with the scalar reference's
  Finished (*run)(const Site& site, const Size& size, const RunControl& control);
  const char* counted;  // what operations are counted of: a word, a step, ...
  Counts (*counts)();
  double gpu_instructions;  // of a warp, for what is counted; 0: no work of a GPU's
};

std::span<const Row> rows();
// Those of a suite whose names contain the text.
std::vector<const Row*> find_rows(Suite suite, const std::string& filter);

}  // namespace fryer::throughput
