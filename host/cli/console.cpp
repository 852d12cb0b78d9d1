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

void Console::note_error(std::string_view text) const {
  std::string line(text);
  for (char& c : line) c = c == '\n' ? ' ' : c;
  note(paint(err, Style::bad, "fryer: error:") + ' ' + line);
}

}  // namespace fryer::cli
