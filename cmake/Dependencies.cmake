# SPDX-License-Identifier: Apache-2.0
# Every library that fryer is built with, each from its Debian 12 package. Libraries that only headers are taken from become
# INTERFACE targets with SYSTEM includes, so that neither their warnings nor their link flags reach anyone.

find_package(TBB REQUIRED)           # libtbb-dev: CPU threads, and Thrust's CPU backend
find_package(fmt REQUIRED)           # libfmt-dev
find_package(SQLite3 REQUIRED)       # libsqlite3-dev: the store of studies
find_package(LibArchive REQUIRED)    # libarchive-dev: .npz files

# fryer_header_dependency(<target> <header> <package to install> [DEFINITIONS ...])
function(fryer_header_dependency target header package)
  cmake_parse_arguments(PARSE_ARGV 3 arg "" "" "DEFINITIONS")
  string(MAKE_C_IDENTIFIER "FRYER_${header}_DIR" variable)
  find_path(${variable} ${header})
  mark_as_advanced(${variable})
  if(NOT ${variable})
    message(FATAL_ERROR "The header <${header}> was not found; on Debian and Ubuntu it is in the package ${package}")
  endif()
  add_library(${target} INTERFACE)
  target_include_directories(${target} SYSTEM INTERFACE ${${variable}})
  target_compile_definitions(${target} INTERFACE ${arg_DEFINITIONS})
endfunction()

fryer_header_dependency(fryer_highway hwy/highway.h libhwy-dev)
fryer_header_dependency(fryer_xxhash xxhash.h libxxhash-dev DEFINITIONS XXH_INLINE_ALL)
fryer_header_dependency(fryer_cli11 CLI/CLI.hpp libcli11-dev)
fryer_header_dependency(fryer_json nlohmann/json.hpp nlohmann-json3-dev)
fryer_header_dependency(fryer_boost boost/math/quadrature/gauss_kronrod.hpp libboost-math-dev)
fryer_header_dependency(fryer_toml toml++/toml.h libtomlplusplus-dev DEFINITIONS TOML_HEADER_ONLY=1)

# Thrust for host code: statistics over replicas, threads by TBB. The toolkit's copy where there is a toolkit, or the CPU and
# the GPU would sort with different versions (CUDA 13 keeps it in include/cccl, so a g++ file that only says
# <thrust/sort.h> silently takes Debian's 1.17); Debian's otherwise.
if(FRYER_CUDA_ENABLED)
  find_path(FRYER_TOOLKIT_THRUST_DIR thrust/version.h NO_DEFAULT_PATH
    PATHS ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES cccl .)
  mark_as_advanced(FRYER_TOOLKIT_THRUST_DIR)
  set(thrust_dir ${FRYER_TOOLKIT_THRUST_DIR})
else()
  find_path(FRYER_THRUST_DIR thrust/version.h PATHS /usr/local/cuda/include/cccl)
  mark_as_advanced(FRYER_THRUST_DIR)
  set(thrust_dir ${FRYER_THRUST_DIR})
endif()
if(NOT thrust_dir)
  message(FATAL_ERROR "Thrust was not found; on Debian and Ubuntu it is in the package libthrust-dev, or in the CUDA toolkit")
endif()
add_library(fryer_thrust INTERFACE)
target_include_directories(fryer_thrust SYSTEM INTERFACE ${thrust_dir})
target_compile_definitions(fryer_thrust INTERFACE
  THRUST_HOST_SYSTEM=THRUST_HOST_SYSTEM_CPP THRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_TBB)
target_link_libraries(fryer_thrust INTERFACE TBB::tbb)
