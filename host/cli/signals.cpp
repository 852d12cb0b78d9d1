// SPDX-License-Identifier: Apache-2.0
// See signals.h.
#include "host/cli/signals.h"

#include <time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>

#include "host/cli/run_support.h"

namespace fryer::cli {
namespace {

constexpr int kStopSignals[] = {SIGINT, SIGTERM, SIGHUP};

volatile std::sig_atomic_t received = 0;
static_assert(StopToken::is_always_lock_free, "a signal handler may set it");

std::atomic<long> first_second{0};
static_assert(std::atomic<long>::is_always_lock_free, "a signal handler may set it");

// The first asks; one more that comes a second or two later ends the process. (timeout(1) and schedulers send two at once.)
extern "C" void request_stop(int signal) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  if (received == 0) {
    first_second = now.tv_sec;
  } else if (now.tv_sec - first_second >= 2) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  received = signal;
  stop_requested.store(true);
}

[[noreturn]] void end_at_once() {
  const auto say = [](const char* what) { std::fprintf(stderr, "fryer: error: %s\n", what); };
  try {
    if (const std::exception_ptr thrown = std::current_exception()) std::rethrow_exception(thrown);
    say("ended without a reason");
  } catch (const std::exception& error) {
    say(error.what());
  } catch (...) {
    say("ended by what is no error of its own");
  }
  ::_exit(1);
}

}  // namespace

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = request_stop;
  action.sa_flags = 0;  // no SA_RESTART: a read that waits must end
  sigemptyset(&action.sa_mask);
  for (const int signal : kStopSignals) {
    struct sigaction inherited {};
    sigaction(signal, nullptr, &inherited);
    if (inherited.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);  // nohup, a shell's background jobs
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is a write error
  std::set_terminate(end_at_once);
}

void remove_stop_handlers() {
  for (const int signal : kStopSignals) {
    struct sigaction action {};
    sigaction(signal, nullptr, &action);
    if (action.sa_handler == request_stop) std::signal(signal, SIG_DFL);
  }
}

int stop_signal() { return received; }

}  // namespace fryer::cli
