// SPDX-License-Identifier: Apache-2.0
// See console.h.
#include "host/cli/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstring>

#include "host/cli/files.h"

namespace fryer::cli {

Console Console::of_process() { return {inspect_terminal(STDOUT_FILENO), inspect_terminal(STDERR_FILENO)}; }

void Console::print(std::string_view text) const {
  if (silent) return;
  const int error = write_all(STDOUT_FILENO, text);
  if (error != 0) throw FileError(fmt::format("standard output: cannot write: {}", std::strerror(error)));
}

void Console::note(std::string_view text) const {
  if (!silent) write_all(STDERR_FILENO, std::string(text) + '\n');
}

}  // namespace fryer::cli
