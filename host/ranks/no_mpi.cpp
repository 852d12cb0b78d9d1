// SPDX-License-Identifier: Apache-2.0
// See ranks.h: a program that is built without MPI.
#include <fmt/format.h>

#include "host/ranks/launcher.h"
#include "host/ranks/ranks.h"

namespace fryer::ranks {

std::unique_ptr<Ranks> join_ranks(int&, char**&) {
  const int ranks = ranks_of_launcher();
  if (ranks > 1) {
    throw ConfigurationError(
        fmt::format("an MPI launcher started {} ranks of this program, which is built without MPI, so each would do all of the "
                    "work; install MPI "
                    "(Debian: libopenmpi-dev) and build again, or start it without the launcher",
                    ranks));
  }
  return nullptr;
}

std::string mpi_library() { return "none"; }

}  // namespace fryer::ranks
