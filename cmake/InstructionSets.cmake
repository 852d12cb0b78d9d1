# SPDX-License-Identifier: Apache-2.0
# The instruction sets the CPU executor is built for. Only the executors' files (host/CMakeLists.txt) and tests of the vectors are compiled with
# these flags; everything else stays at the processor family's baseline, so that the program starts on any machine and
# chooses there.

set(FRYER_EXECUTORS scalar)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  list(APPEND FRYER_EXECUTORS avx2 avx512)
endif()

# Highway's static AVX2 and AVX-512 targets also need AES and carry-less multiplication, or it silently falls back to four
# lanes. gcc prefers 256-bit vectors unless told otherwise.
set(FRYER_FLAGS_scalar)
set(FRYER_FLAGS_avx2 -march=x86-64-v3 -maes -mpclmul)
set(FRYER_FLAGS_avx512 -march=x86-64-v4 -maes -mpclmul -mprefer-vector-width=512)

# True in `result` where a program compiled for the instruction set runs on this machine. Asked once, for tests only: no part
# of the library depends on the machine that built it.
function(fryer_runs_here isa result)
  set(features_avx2 avx2 fma bmi2 aes pclmul)
  set(features_avx512 avx512f avx512vl avx512dq avx512bw avx512cd aes pclmul)
  set(probe 1)
  foreach(feature ${features_${isa}})
    string(APPEND probe " && __builtin_cpu_supports(\"${feature}\")")
  endforeach()
  include(CheckCXXSourceRuns)
  check_cxx_source_runs("int main() { return ${probe} ? 0 : 1; }" FRYER_RUNS_${isa})
  set(${result} ${FRYER_RUNS_${isa}} PARENT_SCOPE)
endfunction()
