# SPDX-License-Identifier: Apache-2.0
# The test `isa_symbols`: a function that several object files define is linked from any one of them. If an object compiled for
# AVX-512 offered a copy of a common one, the linker might put it into code that must run on every machine. So the objects
# compiled for an instruction set may offer only functions whose name carries that instruction set's namespace.
#   cmake -DNM=nm -DISA=avx2 -DOBJECTS=a.o,b.o -P cmake/check_isa_symbols.cmake
cmake_minimum_required(VERSION 3.25)
set(own_avx2 "fryer::avx2|hwy::N_AVX2")
set(own_avx512 "fryer::avx512|hwy::N_AVX3")

string(REPLACE "," ";" objects "${OBJECTS}")
execute_process(COMMAND ${NM} --demangle --defined-only ${objects} OUTPUT_VARIABLE symbols RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${NM} failed on ${objects}")
endif()
string(REGEX REPLACE "[][;\\]" " " symbols "${symbols}")
string(REPLACE "\n" ";" symbols "${symbols}")

set(foreign)
set(functions 0)
foreach(symbol IN LISTS symbols)
  # W, w: weak; V, v: weak object; u: unique; i: indirect function; T: the object's own interface.
  if(symbol MATCHES "^[0-9a-f]* ([WwVvuiT]) (.*)$")
    set(name "${CMAKE_MATCH_2}")
    math(EXPR functions "${functions} + 1")
    # DW.ref.* is the compiler's pointer to the exception personality: the same data in every object.
    if(NOT name MATCHES "${own_${ISA}}" AND NOT name MATCHES "^DW\\.ref\\.")
      list(APPEND foreign "  ${name}")
    endif()
  endif()
endforeach()
if(functions EQUAL 0)
  message(FATAL_ERROR "no symbols in ${objects}: nothing was checked")
elseif(foreign)
  list(JOIN foreign "\n" foreign)
  message(FATAL_ERROR "compiled for ${ISA} and visible to the whole program:\n${foreign}")
endif()
message("${functions} symbols, all of them ${ISA}'s own")
