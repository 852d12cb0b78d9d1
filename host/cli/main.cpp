// SPDX-License-Identifier: Apache-2.0
// The program: words in, exit code out. The only place that turns exceptions into exit codes and messages: 0 ok, 1 the run failed,
// 2 usage or configuration, 3 device not available, 4 file or disk, 5 damaged file, 75 file in use, 130 or 143 stopped by a signal.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "host/cli/command.h"
#include "host/cli/files.h"
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

int run(const std::vector<std::string>& words, const Console& console) {
  const std::unique_ptr<Command> command = parse_command_line(words);
  if (!command->common().quiet) {
    for (const std::string& warning : command->warnings) console.note("fryer: warning: " + warning);
  }
  const int code = command->run(console);
  // Some file systems tell of a full disk only here.
  if (::close(STDOUT_FILENO) != 0 && errno != EBADF)
    throw FileError(fmt::format("standard output: cannot write: {}", std::strerror(errno)));
  return code;
}

int fail(const Console& console, int code, const char* what) {
  std::string line = what;
  for (char& c : line) c = c == '\n' ? ' ' : c;
  console.note(paint(console.err, Style::bad, "fryer: error:") + ' ' + line);
  return code;
}

}  // namespace

int main(int count, char** words) {
  occupy_standard_streams();
  install_signal_handlers();
  const Console console = Console::of_process();
  try {
    return run(std::vector<std::string>(words + std::min(count, 1), words + count), console);
  } catch (const Stopped&) {
    return 128 + (stop_signal() != 0 ? stop_signal() : 2);
  } catch (const ConfigurationError& error) {
    return fail(console, 2, error.what());
  } catch (const DeviceError& error) {
    return fail(console, 3, error.what());
  } catch (const FileError& error) {
    return fail(console, 4, error.what());
  } catch (const DamagedFileError& error) {
    return fail(console, 5, error.what());
  } catch (const FileInUseError& error) {
    return fail(console, 75, error.what());
  } catch (const std::bad_alloc&) {
    return fail(console, 1, "out of memory");
  } catch (const std::exception& error) {
    return fail(console, 1, error.what());
  }
}
