// SPDX-License-Identifier: Apache-2.0
// What a unit of work costs on a GPU, in instructions of a warp: counted in sm_90 machine code by `python3 bench/gpu/count_sass.py --arch 90`;
// bench/results/sass_sm90.md has the tables these figures stand in. A scheduler issues one a clock, a multiprocessor has four.
#pragma once

namespace fryer::throughput::gpu {

inline constexpr double kLanes = 32, kSchedulers = 4;

inline constexpr double kFryShackEvaluation = 68.5 / kLanes;
inline constexpr double kFryShackGradient = 91.5 / kLanes;
inline constexpr double kFryShackBiasGradient = 71.7 / kLanes;
inline constexpr double kFryShackTraining = 180 / kLanes;  // an update of batch 1 by Adam
inline constexpr double kCartPoleEvaluation = 66.25 / kLanes;
inline constexpr double kCartPoleGradient = 81.5 / kLanes;
inline constexpr double kCartPoleUpdate = 81.25 / kLanes;
inline constexpr double kCartPoleTraining = 81.75 / kLanes;
inline constexpr double kDqnUpdate = 33'300 * 4;  // 64-64 units, batch 128: four warps
inline constexpr double kOnlineQUpdate = 5'500;   // 32-32 units

}  // namespace fryer::throughput::gpu
