# SPDX-License-Identifier: Apache-2.0
# The test `format`: every source file that git tracks, or would track, is laid out as .clang-format says. Versions of
# clang-format differ, so anything but version 14 (Debian 12's) is a skip, not a verdict.
#   cmake -P cmake/check_format.cmake
cmake_minimum_required(VERSION 3.25)
get_filename_component(root ${CMAKE_CURRENT_LIST_DIR} DIRECTORY)

find_program(clang_format NAMES clang-format-14 clang-format)
set(version)
if(clang_format)
  execute_process(COMMAND ${clang_format} --version OUTPUT_VARIABLE version)
endif()
if(NOT version MATCHES "version 14\\.")
  message("Skipped: clang-format 14 is not installed (package clang-format-14)")
  return()
endif()

execute_process(COMMAND git ls-files --cached --others --exclude-standard -- *.h *.cpp *.cuh *.cu
  WORKING_DIRECTORY ${root} OUTPUT_VARIABLE listed RESULT_VARIABLE result ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT result EQUAL 0)
  message("Skipped: not a git checkout")
  return()
endif()
string(REPLACE "\n" ";" listed "${listed}")
set(count 0)
set(untidy)
foreach(file IN LISTS listed)
  if(EXISTS ${root}/${file}) # one deleted but not yet committed is still listed
    execute_process(COMMAND ${clang_format} --dry-run --Werror ${file} WORKING_DIRECTORY ${root}
      RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
    math(EXPR count "${count} + 1")
    if(NOT result EQUAL 0)
      string(APPEND untidy " ${file}")
    endif()
  endif()
endforeach()
if(untidy)
  message(FATAL_ERROR "not laid out as .clang-format says; to mend it:\n${clang_format} -i${untidy}\n")
endif()
message("${count} files are laid out as .clang-format says")
