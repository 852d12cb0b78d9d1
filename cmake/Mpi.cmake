# SPDX-License-Identifier: Apache-2.0
# Is there an MPI to build with? Sets FRYER_MPI_ENABLED, and the target fryer_mpi with MPI's C interface. Open MPI (Debian: libopenmpi-dev)
# or MPICH (libmpich-dev). Nothing of it is started unless an MPI launcher starts the program.

include(OptionalPart)
fryer_optional_part(FRYER_MPI "MPI, for several processes and machines: AUTO (if it is found), ON or OFF")
if(FRYER_MPI STREQUAL "OFF")
  message(STATUS "MPI: off, as asked")
  return()
endif()

# The C interface, from C++: C++'s own was taken out of MPI.
set(MPI_CXX_SKIP_MPICXX ON)
find_package(MPI QUIET COMPONENTS CXX)
if(NOT MPI_CXX_FOUND)
  if(FRYER_MPI STREQUAL "ON")
    message(FATAL_ERROR "FRYER_MPI=ON, but no MPI was found; on Debian and Ubuntu it is in the package libopenmpi-dev")
  endif()
  message(STATUS "MPI: not found; several processes need it (Debian: libopenmpi-dev)")
  return()
endif()
set(FRYER_MPI_ENABLED ON)
message(STATUS "MPI: version ${MPI_CXX_VERSION}, ${MPI_CXX_COMPILER}")

add_library(fryer_mpi INTERFACE)
target_include_directories(fryer_mpi SYSTEM INTERFACE ${MPI_CXX_INCLUDE_DIRS})
target_link_libraries(fryer_mpi INTERFACE ${MPI_CXX_LIBRARIES})
target_compile_definitions(fryer_mpi INTERFACE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
