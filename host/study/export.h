// SPDX-License-Identifier: Apache-2.0
// A study's rows as files that pandas and NumPy read: .csv, .jsonl, .npz. One row a replica, by cell and seed.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "host/study/store.h"

namespace fryer::study {

// finished, solved, failed.
std::string_view status_name(std::uint8_t status);

enum class ExportFormat { csv, jsonl, npz };
// By the file name's end; throws ConfigurationError naming what is accepted.
ExportFormat export_format(const std::string& path);

// Hands the file's bytes to `write` piece by piece. Columns: cell (index, from 0), each key of the grid (grid_KEY where the study has a column KEY), seed,
// then the columns of the study (those that a
// cell lacks are empty, null or NaN there; whole numbers that some cells lack are reals in an .npz). .npz: one array a column, integers int64
// or uint64, reals float32 or float64, texts fixed-width unicode; zip64 where needed. What `write` throws comes out as it is.
void export_study(const Store& store, ExportFormat format, const std::function<void(std::string_view)>& write);

// ---- the same of rows from anywhere, for tests

// Rows in the order of the file, in pieces.
struct ExportPiece {
  std::uint64_t cell = 0;  // index of the plan's
  Range range;
};
struct ExportRows {
  const Plan& plan;
  std::vector<ExportPiece> pieces;
  // The columns of a piece that `wanted` says yes to.
  std::function<std::vector<Column>(std::size_t piece, const std::function<bool(const Column&)>& wanted)> columns;
};
void export_rows(const ExportRows& rows, ExportFormat format, const std::function<void(std::string_view)>& write);

}  // namespace fryer::study
