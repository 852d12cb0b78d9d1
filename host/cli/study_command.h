// SPDX-License-Identifier: Apache-2.0
// What the commands `fryer study ...` have in common: their files, and what is said of a study's state.
#pragma once

#include <string>

#include "host/cli/command.h"
#include "host/study/store.h"

namespace fryer::cli {

// Whether several paths are files of studies that are read, or one and where its results go.
class StudyCommand : public Command {
 public:
  FileCount file_count() const override { return count_; }

 protected:
  StudyCommand(Description description, FileCount count) : Command(std::move(description)), count_(count) {}
  // -o, --output FILE.
  Option& add_output(std::string& path, const std::string& accepted, const std::string& help);

 private:
  FileCount count_;
};

// How much of a study its file holds.
struct StudyState {
  struct OfCell {
    std::uint64_t finished = 0, failed = 0, solved = 0;
  };
  std::vector<OfCell> cells;
  std::uint64_t planned = 0, finished = 0, failed = 0, solved = 0;  // of the file's shard
  std::uint64_t unfinished = 0;                                     // begun, and standing in the file beside it
  std::uint64_t waiting = 0;                                        // ended, and standing there for others of their chunk
  std::string lost;                                                 // why some of these cannot be read; ""
  std::uint64_t cells_done = 0;
  std::uint64_t updates = 0, episodes = 0, steps = 0;
  std::uint64_t digest = 0;
  double worker_seconds = 0;
  bool complete() const { return finished == planned; }
};
StudyState state_of(const study::Store& store);

// A study as documents have it: the plan, each cell's settings an object that --config takes.
Json configuration_json(const study::Plan& plan);
// The document's head, state and per-cell results, as every command prints them of a study's file. Only those that ran something add a
// backend: the others read what `runs` made.
Json study_json(const Command& command, const study::Store& store, const StudyState& state, double wall_seconds);
// The same for people.
std::string study_text(const Console& console, const study::Store& store, const StudyState& state, bool every_cell);

}  // namespace fryer::cli
