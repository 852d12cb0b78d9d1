// SPDX-License-Identifier: Apache-2.0
// Whether an MPI launcher started this process, by what launchers leave in the environment: MPI itself is not asked, since asking starts it.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#include "fryer/core/error.h"

namespace fryer::ranks {

// How many ranks the launcher said that it starts; 0 without a launcher, and where FRYER_MPI=off says that each process is to run alone, as one
// that another MPI program starts. Throws ConfigurationError.
inline int ranks_of_launcher() {
  const char* const wish = std::getenv("FRYER_MPI");
  if (wish != nullptr && std::string_view(wish) == "off") return 0;
  if (wish != nullptr && std::string_view(wish) != "auto")
    throw ConfigurationError("FRYER_MPI: '" + std::string(wish) + "' is not accepted; auto, or off (every process runs alone)");
  // Open MPI's mpirun; the process manager of MPICH, Intel MPI and of srun --mpi=pmi2.
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    const char* const size = std::getenv(name);
    const int ranks = size != nullptr ? std::atoi(size) : 0;
    if (ranks > 0) return ranks;
  }
  // srun --mpi=pmix says a rank and, of Slurm's own, how many tasks there are.
  const char* const tasks = std::getenv("SLURM_NTASKS");
  return std::getenv("PMIX_RANK") != nullptr && tasks != nullptr ? std::atoi(tasks) : 0;
}

}  // namespace fryer::ranks
