# SPDX-License-Identifier: Apache-2.0
# Is there a CUDA compiler, and for which GPUs does it compile? Sets FRYER_CUDA_ENABLED. No GPU or driver is needed to build,
# nor to start the program: the runtime is linked statically and reports "no GPU" when asked.

include(OptionalPart)
fryer_optional_part(FRYER_CUDA "CUDA backend: AUTO (if nvcc is found), ON or OFF")
if(FRYER_CUDA STREQUAL "OFF")
  message(STATUS "CUDA backend: off, as asked")
  return()
endif()

if(NOT CMAKE_CUDA_COMPILER)
  find_program(FRYER_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_PATH ENV CUDA_HOME PATH_SUFFIXES bin
    PATHS /usr/local/cuda/bin /opt/cuda/bin)
  mark_as_advanced(FRYER_NVCC)
  set(nvcc ${FRYER_NVCC})
else()
  set(nvcc ${CMAKE_CUDA_COMPILER})
endif()

set(reason)
if(NOT nvcc)
  set(reason "nvcc was not found (looked in PATH, CUDACXX, CUDA_PATH, CUDA_HOME, /usr/local/cuda, /opt/cuda)")
else()
  execute_process(COMMAND ${nvcc} --version OUTPUT_VARIABLE nvcc_version ERROR_VARIABLE nvcc_version)
  string(REGEX MATCH "release ([0-9.]+)" nvcc_version "${nvcc_version}")
  set(nvcc_version "${CMAKE_MATCH_1}")
  if(nvcc_version VERSION_LESS 12.1) # the first nvcc with C++20 and kernel arguments beyond 4 KB; Debian 12's own package is 11.8
    set(reason "${nvcc} is version '${nvcc_version}'; 12.1 or newer is needed")
  endif()
endif()
if(reason)
  if(FRYER_CUDA STREQUAL "ON")
    message(FATAL_ERROR "FRYER_CUDA=ON, but ${reason}")
  endif()
  message(STATUS "CUDA backend: off, ${reason}")
  return()
endif()

# A release carries machine code for every GPU generation from Turing on, and PTX of the newest for those still to come.
# Generations that this nvcc does not know are left out.
execute_process(COMMAND ${nvcc} --list-gpu-arch OUTPUT_VARIABLE known_architectures)
set(release_architectures)
foreach(architecture 75 80 86 89 90 100 120)
  if(known_architectures MATCHES "compute_${architecture}\n")
    list(APPEND release_architectures ${architecture}-real)
    set(newest ${architecture}-virtual)
  endif()
endforeach()
list(APPEND release_architectures ${newest})
set(FRYER_CUDA_ARCHITECTURES "${release_architectures}" CACHE STRING "GPU architectures, as in CMAKE_CUDA_ARCHITECTURES")
set(CMAKE_CUDA_ARCHITECTURES ${FRYER_CUDA_ARCHITECTURES})

set(CMAKE_CUDA_COMPILER ${nvcc})
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
set(FRYER_CUDA_ENABLED ON)
message(STATUS "CUDA backend: nvcc ${nvcc_version}, architectures ${FRYER_CUDA_ARCHITECTURES}")

# CMake 3.25 does not know that nvcc 13 speaks C++20, so `CUDA_STANDARD 20` fails; the flag itself works everywhere.
function(fryer_cuda_settings target)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20>
    $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr>)
endfunction()
