// SPDX-License-Identifier: Apache-2.0
// See retries.h. How many tries were made is handed on in the environment.
#include "host/cli/retries.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "host/cli/run_support.h"
#include "host/cli/signals.h"

namespace fryer::cli {
namespace {

constexpr const char* kTriesMade = "FRYER_TRIES_MADE";
// Before the first try; twice as long before each further one.
constexpr double kFirstWait = 0.5, kLongestWait = 10;

// Whatever is open but the standard streams: what a driver has open would hold the broken device.
void close_on_exec() {
  if (::close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0) return;
  std::error_code unread;  // Linux before 5.11
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", unread)) {
    const int descriptor = static_cast<int>(parse_integer(entry.path().filename().string()).value_or(0));
    if (descriptor > STDERR_FILENO) ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  }
}

// Returns only where that failed: errno.
int replace_process() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);  // each word with a zero behind it
  std::string words(std::istreambuf_iterator<char>(file), {});
  std::vector<char*> arguments;
  for (std::size_t at = 0; at < words.size(); at = words.find('\0', at) + 1) arguments.push_back(&words[at]);
  arguments.push_back(nullptr);
  close_on_exec();
  ::execv("/proc/self/exe", arguments.data());
  return errno;
}

}  // namespace

Retries::Retries() {
  const char* const made = std::getenv(kTriesMade);
  made_ = made != nullptr ? parse_integer(made).value_or(0) : 0;
}

void Retries::add_option(OptionTable& table) {
  table
      .integer("retry", "N", most_, "a whole number from 0", "tries",
               "where a device fails on the way, go on in a fresh process, up to N times, waiting half a second before the "
               "first, then longer; what is finished is kept either way (not for ranks of an MPI launcher)")
      .setting = false;
}

void Retries::try_again(const Console& console, const InterruptedStudy& failure) const {
  if (made_ >= most_) return;
  const double wait =
      std::min(kFirstWait * static_cast<double>(std::uint64_t{1} << std::min<std::uint64_t>(made_, 10)), kLongestWait);
  console.note(
      fmt::format("fryer: {}. A fresh process goes on in {:g} s (try {} of {})", failure.happened, wait, made_ + 1, most_));
  const auto leave_if_stopped = [&] {
    if (!is_set(&stop_requested)) return;
    console.note(fmt::format("fryer: stopped: {}", failure.what()));
    throw Stopped();
  };
  for (const Stopwatch waiting; waiting.seconds() < wait; std::this_thread::sleep_for(std::chrono::milliseconds(20)))
    leave_if_stopped();
  ::setenv(kTriesMade, std::to_string(made_ + 1).c_str(), 1);
  remove_stop_handlers();  // from here on a signal ends this process, or the one that takes its place
  leave_if_stopped();
  const int reason = replace_process();
  install_signal_handlers();
  console.note(fmt::format("fryer: warning: no fresh process could be started: {}", std::strerror(reason)));
}

}  // namespace fryer::cli
