// SPDX-License-Identifier: Apache-2.0
// A command on all ranks of an MPI launcher: read by each, refused by all if one cannot go on, and run together, or by the root alone
// where ranks have nothing to share.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "host/cli/command.h"
#include "host/ranks/ranks.h"

namespace fryer::cli {

// Returns the exit code. run: of one command, on this rank. Throws what ended all of them.
int run_on_ranks(const std::vector<std::string>& words, ranks::Ranks& ranks, const std::function<int(Command&)>& run);

}  // namespace fryer::cli
