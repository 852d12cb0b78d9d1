// SPDX-License-Identifier: Apache-2.0
// A study's rows as files that pandas and NumPy read: .csv, .jsonl, .npz. One row a replica, by cell and seed.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "host/study/store.h"

namespace fryer::study {

enum class ExportFormat { csv, jsonl, npz };
// By the file name's end; throws ConfigurationError naming what is accepted.
ExportFormat export_format(const std::string& path);

// Hands the file's bytes to `write` piece by piece. Columns: cell, each key of the grid, seed, then the columns of the study (those that a
// cell lacks are empty, null or NaN there). .npz: one array a column, integers int64 or uint64, reals float32 or float64, texts fixed-width
// bytes-free unicode; zip64 where needed.
void export_study(const Store& store, ExportFormat format, const std::function<void(std::string_view)>& write);

}  // namespace fryer::study
