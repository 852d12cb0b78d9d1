// SPDX-License-Identifier: Apache-2.0
// Columns of a chunk, by what they are.
#pragma once

#include <stdexcept>
#include <string>

#include "host/study/store.h"

namespace fryer::study::test {

inline const Column& find(const Chunk& chunk, ColumnKind kind, const std::string& name = "", double at = 0) {
  for (const Column& column : chunk.columns) {
    if (column.kind == kind && column.name == name && column.at == at) return column;
  }
  throw std::runtime_error("no such column");
}
inline bool has(const Chunk& chunk, ColumnKind kind) {
  for (const Column& column : chunk.columns) {
    if (column.kind == kind) return true;
  }
  return false;
}

}  // namespace fryer::study::test
