// SPDX-License-Identifier: Apache-2.0
// The rows of a population as a file, in seed order: seed, status, updates, episodes, steps, then each parameter by name. CSV for
// people and spreadsheets; .npy as a structured array, which numpy.load() reads as it is.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "fryer/engine/results.h"
#include "host/cli/files.h"
#include "host/study/export.h"

namespace fryer::cli {

using study::status_name;

// What the rows need beside the table.
struct ReplicaRows {
  const ReplicaTable& table;
  std::uint64_t batch;                      // episodes per update, where the table does not count episodes
  std::span<const std::string> parameters;  // their names
};

// Floats as the doubles they equal; a failed training's parameters are empty.
void write_csv(OutputFile& file, const ReplicaRows& rows);
// Little-endian: seed <u8, status S8, updates <u8, episodes <u8, steps <u8, each parameter <f4; a failed training's
// parameters are NaN.
void write_npy(OutputFile& file, const ReplicaRows& rows);

}  // namespace fryer::cli
