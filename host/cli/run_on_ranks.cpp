// SPDX-License-Identifier: Apache-2.0
// See run_on_ranks.h.
#include "host/cli/run_on_ranks.h"

#include <fmt/format.h>

#include "fryer/core/version.h"
#include "fryer/engine/memory.h"
#include "host/cli/run_support.h"
#include "host/cli/signals.h"
#include "host/digest.h"

namespace fryer::cli {
namespace {

// Ranks of different words would wait for each other for ever, and those of different programs or settings compute different things.
void check_same(const std::vector<std::string>& words, const Command& command, ranks::Ranks& ranks) {
  std::string all = fmt::format("{} {} {}", kVersion, kNumericsVersion, compiler()) + '\0';
  for (const std::string& word : words) all += word + '\0';
  if (command.runs_on_ranks()) all += command.table().configuration().dump();
  std::string of_root = all;
  ranks.broadcast(of_root, 0);
  ranks.agree(of_root == all
                  ? ranks::Outcome()
                  : ranks::Outcome{2,
                                   "has another command line, other settings or another version of the program than rank 0 (each "
                                   "rank reads the files that it is given, so they cannot be pipes)"});
}

}  // namespace

int run_on_ranks(const std::vector<std::string>& words, ranks::Ranks& ranks, const std::function<int(Command&)>& run) {
  const ranks::Ranks::Place& place = ranks.place();
  set_ranks_of_machine({static_cast<unsigned>(place.local_ranks), static_cast<unsigned>(place.local_processors)});
  std::unique_ptr<Command> command;
  ranks::Outcome read;
  try {
    command = parse_command_line(words);
  } catch (...) {
    read = ranks::outcome_of(std::current_exception());
  }
  ranks.agree(read);
  check_same(words, *command, ranks);
  if (!command->runs_on_ranks()) {
    ranks.part();
    if (!ranks.is_root()) return 0;
    if (command->common().dry_run && !command->common().quiet)
      Console::of_process().note(fmt::format("fryer: this is the plan of one process; {} ranks share the work", ranks.count()));
    return run(*command);
  }
  shared_ranks = &ranks;
  const int agreements = ranks.agreements();
  try {
    return run(*command);
  } catch (const ranks::Dismissed&) {
    return stop_signal() != 0 ? 128 + stop_signal() : 0;
  } catch (...) {
    if (!ranks.together()) throw;
    const ranks::Outcome outcome = ranks::outcome_of(std::current_exception());
    // The others are about to agree that they are ready.
    if (ranks.agreements() == agreements) ranks.agree(outcome);
    Console::of_process().note_error(fmt::format("rank {}: {}", ranks.rank(), outcome.message));
    ranks.abort(outcome.code);
  }
}

}  // namespace fryer::cli
