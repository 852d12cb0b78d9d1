# SPDX-License-Identifier: Apache-2.0
# How our own targets are compiled: warnings, sanitizers, ccache. Nothing here changes a result (the flags that could are in
# FloatingPoint.cmake) and nothing here is exported to users of the library.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON) # so that the static library can go into a user's shared one

find_program(FRYER_CCACHE ccache)
mark_as_advanced(FRYER_CCACHE)
if(FRYER_CCACHE)
  foreach(language CXX CUDA)
    if(NOT DEFINED CMAKE_${language}_COMPILER_LAUNCHER)
      set(CMAKE_${language}_COMPILER_LAUNCHER ${FRYER_CCACHE})
    endif()
  endforeach()
endif()

if(FRYER_SANITIZE)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${FRYER_SANITIZE}>
    $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize-recover=all> $<$<COMPILE_LANGUAGE:CXX>:-fno-omit-frame-pointer>)
  add_link_options(-fsanitize=${FRYER_SANITIZE})
endif()

# For tests: -O1 instead of a release's -O3 compiles two to three times as fast, and they run as fast (those with kernels' bodies too).
function(fryer_quick_to_compile target)
  target_compile_options(${target} PRIVATE $<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-O1>)
endfunction()

# For every target of ours. Third-party headers are SYSTEM includes and stay silent.
function(fryer_warnings target)
  set(warnings -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    list(APPEND warnings -Wno-restrict) # gcc 12 sees overlap in every std::string "literal" + text (its bug 105651)
  endif()
  if(FRYER_WERROR)
    list(APPEND warnings -Werror)
  endif()
  target_compile_options(${target} PRIVATE
    "$<$<COMPILE_LANGUAGE:CXX>:${warnings}>"
    # -Wconversion and the like trip over the code that nvcc generates around ours; the same headers meet them in C++.
    "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra>"
    $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${FRYER_WERROR}>>:-Werror=all-warnings>)
endfunction()
