// SPDX-License-Identifier: Apache-2.0
// What differs between compilers and machines, in one place. FRYER_LANE marks code that runs inside lane programs: always
// inlined, callable from a CUDA thread, and therefore never emitted as an out-of-line copy that a linker could merge between
// object files compiled for different instruction sets (the test `isa_symbols` checks that).
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define FRYER_LANE __host__ __device__ __forceinline__
#define FRYER_HOST_DEVICE __host__ __device__
#else
#define FRYER_LANE inline __attribute__((always_inline))
#define FRYER_HOST_DEVICE
#endif

// The same for a lambda: between its parameters and its body.
#define FRYER_INLINE_LAMBDA __attribute__((always_inline))

// Put before a loop whose trip count is a small constant: unrolled completely, so that arrays become registers.
#if defined(__CUDA_ARCH__)
#define FRYER_UNROLL _Pragma("unroll")
#elif defined(__CUDACC__)  // nvcc reading host code: its front end knows none of these, and no lane runs there
#define FRYER_UNROLL
#elif defined(__clang__)
#define FRYER_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FRYER_UNROLL _Pragma("GCC unroll 16")
#endif

#if defined(__FAST_MATH__)
#error "fryer promises equal bits: compile without -ffast-math (cmake/FloatingPoint.cmake has the flags)"
#endif
