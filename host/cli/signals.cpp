// SPDX-License-Identifier: Apache-2.0
// See signals.h.
#include "host/cli/signals.h"

#include <csignal>

#include "host/cli/run_support.h"

namespace fryer::cli {
namespace {

volatile std::sig_atomic_t received = 0;
static_assert(StopToken::is_always_lock_free, "a signal handler may set it");

extern "C" void request_stop(int signal) {
  received = signal;
  stop_requested.store(true);
}

}  // namespace

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = request_stop;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // no SA_RESTART: a read that waits must end
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is a write error
}

int stop_signal() { return received; }

}  // namespace fryer::cli
