// SPDX-License-Identifier: Apache-2.0
// The program's two streams. Results go to stdout in one piece, after the work, and a failure to write them is an error; everything
// else goes to stderr, where nothing can go wrong.
#pragma once

#include <string_view>

#include "host/cli/output/terminal.h"

namespace fryer::cli {

struct Console {
  Terminal out, err;
  bool silent = false;  // nothing is shown: of ranks but the root
  static Console of_process();
  // Throws FileError (disk full, closed pipe).
  void print(std::string_view text) const;
  void note(std::string_view text) const;        // a line; the newline is added
  void note_error(std::string_view text) const;  // likewise; what ended the program
};

}  // namespace fryer::cli
