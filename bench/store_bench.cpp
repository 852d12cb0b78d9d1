// SPDX-License-Identifier: Apache-2.0
// The store of studies: a million trainings of FryShack-v0 as a study keeps them, encoded, decoded, written to a file and read back.
// The mark is 300,000 finished replicas a second. Then trainings left in their middle, and what replicas draw. What is read is compared with what was written before any rate is printed.
#include <stdlib.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <numeric>
#include <random>

#include "bench/bench_support.h"
#include "host/driver.h"
#include "host/study/draws.h"
#include "host/study/store.h"
#include "host/study/unfinished.h"

namespace fryer::bench {
namespace {

constexpr std::uint64_t kRows = 1'000'000, kChunk = 65'536;

std::vector<study::Chunk> make_chunks() {
  using study::ColumnKind;
  using study::ColumnType;
  std::vector<study::Chunk> chunks;
  std::mt19937_64 random(1);
  for (std::uint64_t first = 0; first < kRows; first += kChunk) {
    study::Chunk chunk;
    chunk.range = {first, std::min(kChunk, kRows - first)};
    const auto add = [&](ColumnKind kind, ColumnType type, const char* name, std::uint64_t value) {
      chunk.columns.push_back({kind, type, name, 0, std::vector<std::uint64_t>(chunk.range.count, value)});
    };
    add(ColumnKind::status, ColumnType::integer, "", 0);
    add(ColumnKind::updates, ColumnType::integer, "", 280);
    add(ColumnKind::episodes, ColumnType::integer, "", 280);
    add(ColumnKind::steps, ColumnType::integer, "", 280);
    add(ColumnKind::parameter, ColumnType::real32, "weight", std::bit_cast<std::uint32_t>(20.0f));
    add(ColumnKind::parameter, ColumnType::real32, "bias", 0);
    std::normal_distribution<float> bias(-7.317f, 1.53f);  // as they are in fact distributed
    for (std::uint64_t& bits : chunk.columns.back().bits) bits = std::bit_cast<std::uint32_t>(bias(random));
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

// Sum of all values' bits.
std::uint64_t sum_of(const std::vector<study::Column>& columns) {
  std::uint64_t sum = 0;
  for (const study::Column& column : columns) {
    for (const std::uint64_t bits : column.bits) sum += bits;
  }
  return sum;
}

void columns_to_bytes_and_back(benchmark::State& state) {
  const std::vector<study::Chunk> chunks = make_chunks();
  for (auto _ : state) {
    for (const study::Chunk& chunk : chunks) {
      const auto back = study::decode(study::encode(chunk.columns, chunk.range.count), chunk.range.count);
      if (!check(state, sum_of(back), sum_of(chunk.columns))) return;
    }
  }
  count_work(state, "rows", static_cast<double>(kRows));
}

std::uint64_t sum_of(const std::vector<std::uint32_t>& outcomes) {
  return std::accumulate(outcomes.begin(), outcomes.end(), std::uint64_t{0});
}

// A long training as it is written down in its middle: ten million outcomes of CartPole's batches.
void trainings_to_bytes_and_back(benchmark::State& state) {
  CartPoleTrainConfiguration c;
  c.replicas = 1000;
  c.updates = 10'000;
  TrainingStates trainings = fresh_states(c, true);
  std::mt19937_64 random(1);
  for (std::uint32_t& outcome : trainings.outcomes) outcome = static_cast<std::uint32_t>(random() % 8000);
  for (auto _ : state) {
    const std::string bytes = study::encode(trainings);
    if (!check(state, sum_of(study::decode_states(bytes).outcomes), sum_of(trainings.outcomes))) return;
    state.counters["bytes"] = static_cast<double>(bytes.size());
  }
  count_work(state, "outcomes", static_cast<double>(trainings.outcomes.size()));
}

// Parameters that each replica draws.
void draws(benchmark::State& state) {
  study::Plan plan;
  study::Cell cell;
  cell.run = CartPoleTrainConfiguration();
  for (std::size_t i = 0; i < 5; ++i) plan.distribution.push_back({"parameter", i, -1, 1});
  for (auto _ : state) {
    for (std::uint64_t seed = 0; seed < 10'000; ++seed) benchmark::DoNotOptimize(study::draw_replica(plan, cell, seed).values[4]);
  }
  count_work(state, "replicas", 10'000);
}

void store(benchmark::State& state, bool reading) {
  const std::vector<study::Chunk> chunks = make_chunks();
  study::Plan plan;
  plan.command = "train";
  plan.cells.resize(1);
  plan.seeds = kRows;
  std::string folder = (std::filesystem::temp_directory_path() / "fryer-bench-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return state.SkipWithError("no folder for temporary files");
  const std::string path = folder + "/study.db";
  const auto write = [&] {
    study::Store store = study::Store::create(path, plan, {});
    store.begin_run({});
    for (const study::Chunk& chunk : chunks) store.append(chunk);
  };
  const auto read = [&] {
    const study::Store store = study::Store::open(path, study::Access::read);
    std::uint64_t sum = 0;
    for (const study::Chunk& chunk : store.chunks()) sum += sum_of(store.columns(chunk, [](const auto&) { return true; }));
    return sum;
  };
  std::uint64_t expected = 0;
  for (const study::Chunk& chunk : chunks) expected += sum_of(chunk.columns);
  write();
  if (check(state, read(), expected)) {
    for (auto _ : state) {
      if (reading) {
        benchmark::DoNotOptimize(read());
      } else {
        std::filesystem::remove(path);
        write();
      }
    }
    count_work(state, "rows", static_cast<double>(kRows));
    state.counters["bytes"] = static_cast<double>(std::filesystem::file_size(path));
  }
  std::filesystem::remove_all(folder);
}

BENCHMARK(columns_to_bytes_and_back)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(trainings_to_bytes_and_back)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(draws)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(store, write, false)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(store, read, true)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace fryer::bench
