// SPDX-License-Identifier: Apache-2.0
// The analysis of a study's file: hands what the store gives to analysis.cpp, which knows no files.
#include "host/study/analysis.h"

namespace fryer::study {

StudySummary analyse(const Store& store) {
  StudyRows rows = {store.plan(), store.shard(), store.runs(), store.chunks(), 0, {}};
  rows.digest = digest_of(rows.chunks);
  rows.columns = [&store](const Chunk& chunk, const std::function<bool(const Column&)>& wanted) {
    return store.columns(chunk, wanted);
  };
  return analyse(rows);
}

}  // namespace fryer::study
