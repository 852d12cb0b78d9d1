// SPDX-License-Identifier: Apache-2.0
// What a unit of work costs on a GPU, in instructions of a warp: counted in sm_90 machine code by `python3 bench/gpu/count_sass.py --arch 90`.
// Behind each figure stands the row of bench/results/sass_sm90.md that it is from, or in quotes words around it there (the test
// gpu_instructions compares them). A scheduler issues one a clock, a multiprocessor has four.
#pragma once

namespace fryer::throughput::gpu {

inline constexpr double kLanes = 32, kSchedulers = 4;

inline constexpr double kFryShackEvaluation = 68.3 / kLanes;    // bounded evaluation
inline constexpr double kFryShackGradient = 91.5 / kLanes;      // bounded gradient (yes, first and second)
inline constexpr double kFryShackBiasGradient = 71.5 / kLanes;  // bounded gradient (no, first)
inline constexpr double kFryShackTraining = 175 / kLanes;       // "175 instructions at most with Adam"
inline constexpr double kCartPoleEvaluation = 62.25 / kLanes;   // bounded evaluation by steps
inline constexpr double kCartPoleGradient = 77.75 / kLanes;     // bounded gradient and squares
inline constexpr double kCartPoleUpdate = 77.25 / kLanes;       // bounded gradient: no baseline
inline constexpr double kCartPoleTraining = 92.75 / kLanes;     // replicas with a baseline
inline constexpr double kDqnUpdate = 33'300 * 4;                // "acting and the environment 700: 33,300", four times
inline constexpr double kOnlineQUpdate = 5'500;                 // "bias corrections in double) 1,200: 5,500"

}  // namespace fryer::throughput::gpu
