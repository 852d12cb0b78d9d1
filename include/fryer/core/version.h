// SPDX-License-Identifier: Apache-2.0
// The program's version and the version of its arithmetic.
#pragma once

#include <cstdint>

namespace fryer {

inline constexpr const char* kVersion = "0.1.0";

// Every result carries it: two results with the same configuration, seed and numerics version have the same bits.
// Raise it when any committed golden digest changes, and only on purpose.
inline constexpr std::uint32_t kNumericsVersion = 1;

inline const char* version() { return kVersion; }

}  // namespace fryer
