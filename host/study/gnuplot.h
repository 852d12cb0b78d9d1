// SPDX-License-Identifier: Apache-2.0
// The program gnuplot: found, run without a shell, and handed text that it cannot mistake for commands. What it draws comes
// back as bytes; nothing is written to disk.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <string_view>

namespace fryer::study {

// Where gnuplot is, by PATH as it is now. Throws Error saying what to install.
std::string require_gnuplot();

struct GnuplotOutput {
  std::string output, messages;  // what it wrote to stdout and stderr
};
// Runs it on a script, in the C locale (with UTF-8) and without the user's settings. Throws Error with gnuplot's own words
// where it fails, and where it takes longer than `limit`; Stopped where `stop` is set meanwhile. May be called from several threads at once.
GnuplotOutput run_gnuplot(const std::string& script, std::chrono::milliseconds limit = std::chrono::seconds(20),
                          const std::atomic<bool>* stop = nullptr);

// A text as a gnuplot string, in single quotes, where only the quote itself means anything; and gnuplot 5.4 misreads a doubled
// one at a string's beginning, so each becomes a typographic one. Newlines and tabs become spaces.
std::string gnuplot_string(std::string_view text);
// The same for labels of tics, where % begins a format.
std::string gnuplot_tic(std::string_view text);

}  // namespace fryer::study
