# SPDX-License-Identifier: Apache-2.0
# The floating-point flags, and the only place that has any. A seed means the same bits on every compiler and machine only
# where a*b+c is never fused behind our back: every fma in the sources is written as one.
# Contraction comes last, so that nothing before it has the last word.

function(fryer_floating_point_flags target)
  target_compile_options(${target} INTERFACE
    $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:-fno-fast-math;-ffp-contract=off>
    # nvcc: no fusion on the device (divisions, square roots and subnormals exact, its default, said all the same in case
    # NVCC_PREPEND_FLAGS thinks otherwise), and the host compiler behind it gets what the others get.
    "$<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:-fmad=false;-ftz=false;-prec-div=true;-prec-sqrt=true>"
    "$<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:-Xcompiler=-fno-fast-math;-Xcompiler=-ffp-contract=off>")
endfunction()
