// SPDX-License-Identifier: Apache-2.0
// Studies made up for the tests of the store: a plan, rows that are a function of cell and replica, folders that clean up after
// themselves, and child processes.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "host/digest.h"
#include "host/study/store.h"
#include "tests/study/provenance.h"

namespace fryer::study::test {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "fryer-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder for a test");
    name_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(name_, ignored);
  }
  std::string operator/(const std::string& name) const { return name_ + "/" + name; }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(name_), std::filesystem::directory_iterator()));
  }

 private:
  std::string name_;
};

inline std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}
inline void write_all(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

inline Plan make_plan(std::uint64_t cells, std::uint64_t seeds) {
  Plan plan;
  plan.title = "A study";
  plan.question = "Does it?";
  plan.command = "train";
  plan.environment = "FryShack-v0";
  plan.algorithm = "reinforce";
  for (std::uint64_t i = 0; i < cells; ++i) {
    const std::string rate = "0." + std::to_string(i + 1), settings = "{\"learning_rate\":" + rate + "}";
    plan.cells.push_back({settings, settings, {{"learning_rate", rate}}, {}});
  }
  plan.first_seed = 1;
  plan.seeds = seeds;
  plan.record.thresholds = {0.1, 475};
  plan.source = "command = \"train\"\n";
  return plan;
}

// Every bit of it depends on every bit of (cell, replica, what).
inline std::uint64_t noise(std::uint64_t cell, std::uint64_t replica, std::uint64_t what) {
  const std::uint64_t words[] = {cell, replica, what};
  return hash_words(words);
}

// Like a training's: few values, one value, random floats, random doubles.
inline Chunk make_chunk(std::uint64_t cell, Range range) {
  Chunk chunk;
  chunk.cell = cell;
  chunk.range = range;
  chunk.seconds = 0.25;
  chunk.columns = {{ColumnKind::status, ColumnType::integer, "", 0, {}},
                   {ColumnKind::updates, ColumnType::integer, "", 0, {}},
                   {ColumnKind::parameter, ColumnType::real32, "bias", 0, {}},
                   {ColumnKind::curve, ColumnType::real64, "", 10, {}}};
  for (std::uint64_t replica = range.first; replica < range.first + range.count; ++replica) {
    const std::uint64_t status = noise(cell, replica, 0) % 3;
    chunk.failed += status == 1;
    chunk.solved += status == 2;
    chunk.columns[0].bits.push_back(status);
    chunk.columns[1].bits.push_back(280);
    chunk.columns[2].bits.push_back(std::bit_cast<std::uint32_t>(-4 - static_cast<float>(noise(cell, replica, 1) % 1000) / 300));
    chunk.columns[3].bits.push_back(std::bit_cast<std::uint64_t>(static_cast<double>(noise(cell, replica, 2) >> 11) * 0x1p-53));
    chunk.digest += noise(cell, replica, 3);
  }
  return chunk;
}

inline bool same_columns(const std::vector<Column>& a, const std::vector<Column>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!a[i].same_column(b[i]) || a[i].bits != b[i].bits) return false;
  }
  return true;
}

inline std::vector<Column> all_columns(const Store& store, const Chunk& chunk) {
  return store.columns(chunk, [](const Column&) { return true; });
}

// What a store says of one cell, one row after the other: what exports see, however it lies in chunks.
inline std::vector<std::uint64_t> rows_of(const Store& store) {
  std::vector<std::uint64_t> rows;
  for (const Chunk& chunk : store.chunks()) {
    const std::vector<Column> columns = all_columns(store, chunk);
    for (std::uint64_t i = 0; i < chunk.range.count; ++i) {
      rows.push_back(chunk.cell);
      rows.push_back(chunk.range.first + i);
      for (const Column& column : columns) rows.push_back(column.bits[i]);
    }
  }
  return rows;
}

// Everything that a store says, in one number.
inline std::uint64_t everything(const Store& store) {
  std::vector<std::uint64_t> words = rows_of(store);
  const auto add_text = [&](const std::string& text) { words.insert(words.end(), text.begin(), text.end()); };
  for (const Chunk& c : store.chunks()) {
    for (const std::uint64_t word : {c.cell, c.range.first, c.range.count, c.digest, c.failed, c.solved, c.run})
      words.push_back(word);
    words.push_back(std::bit_cast<std::uint64_t>(c.seconds));
  }
  add_text(to_json(store.plan()).dump() + store.plan().source);
  words.push_back(store.shard().index);
  words.push_back(store.shard().shards);
  for (const Provenance& run : store.runs()) add_text(run.host + run.compiler + run.started + run.command_line);
  return hash_words(words);
}

// A file with these chunks.
inline void make_study(const std::string& path, const Plan& plan, const std::vector<Chunk>& chunks, const Shard& shard = {},
                       const std::string& host = "here") {
  Store store = Store::create(path, plan, shard);
  store.begin_run(make_run(host));
  for (const Chunk& chunk : chunks) store.append(chunk);
}

// Runs `body` in another process and gives its exit status.
template <class Body>
int in_child(const Body& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 99;
    try {
      status = body();
    } catch (...) {
    }
    ::_exit(status);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

template <class Exception, class Body>
std::string message_of(const Body& body) {
  try {
    body();
  } catch (const Exception& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another exception: " << error.what();
    return "";
  }
  ADD_FAILURE() << "no exception";
  return "";
}

}  // namespace fryer::study::test
