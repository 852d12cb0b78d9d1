// SPDX-License-Identifier: Apache-2.0
// The program: words in, exit code out. The only place that turns exceptions into exit codes and messages: 0 ok, 1 the run failed,
// 2 usage or configuration, 3 device not available, 4 file or disk, 5 damaged file, 75 file in use, 130 or 143 stopped by a signal.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "host/cli/command.h"
#include "host/cli/files.h"
#include "host/cli/run_on_ranks.h"
#include "host/cli/run_support.h"
#include "host/cli/signals.h"

namespace {

using namespace fryer;
using namespace fryer::cli;

// Standard streams that the caller closed are opened on nothing, or the next file would take their place and get our output.
void occupy_standard_streams() {
  for (int descriptor = 0; descriptor < 3; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) == -1 && errno == EBADF) ::open("/dev/null", O_RDONLY);
  }
}

int run(Command& command, const Console& console) {
  if (!command.common().quiet) {
    for (const std::string& warning : command.warnings) console.note("fryer: warning: " + warning);
  }
  const int code = command.run(console);
  // Some file systems tell of a full disk only here.
  if (::close(STDOUT_FILENO) != 0 && errno != EBADF)
    throw FileError(fmt::format("standard output: cannot write: {}", std::strerror(errno)));
  return code;
}

int fail(const Console& console, const ranks::Outcome& outcome) {
  console.note_error(outcome.message);
  return outcome.code;
}

}  // namespace

int main(int count, char** words) {
  occupy_standard_streams();
  install_signal_handlers();
  Console console = Console::of_process();
  std::unique_ptr<ranks::Ranks> joined;
  try {
    joined = ranks::join_ranks(count, words);
    const std::vector<std::string> given(words + std::min(count, 1), words + count);
    if (joined) {
      console.silent = !joined->is_root();
      console.out = Terminal{};  // Open MPI has a pseudo-terminal there, whoever reads it in the end
      return run_on_ranks(given, *joined, [&](Command& command) { return run(command, console); });
    }
    return run(*parse_command_line(given), console);
  } catch (const Stopped&) {
    return 128 + (stop_signal() != 0 ? stop_signal() : 2);
  } catch (...) {
    return fail(console, ranks::outcome_of(std::current_exception()));
  }
}
