// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and SIGTERM ask the run to stop at its next pause; a second one ends the program at once. A closed pipe is a write error,
// not a signal. What no caller can catch (oneTBB's failure to start a thread) is told as any error is: exit code 1. Installed by main, once.
#pragma once

namespace fryer::cli {

void install_signal_handlers();
// What install_signal_handlers() made ask ends the process again: for the last moments before another program takes its place.
void remove_stop_handlers();
int stop_signal();  // the signal that asked to stop, or 0

}  // namespace fryer::cli
