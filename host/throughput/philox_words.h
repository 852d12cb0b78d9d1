// SPDX-License-Identifier: Apache-2.0
// Lane program: the random numbers of blocks number, number + 1, ... of one seed, added up: nothing but Philox.
#pragma once

#include "fryer/core/philox.h"

namespace fryer::throughput {

inline constexpr std::uint64_t kSeed = 42;  // of everything that is measured
inline constexpr int kWordsPerBlock = 4;

template <class Real>
FRYER_LANE WordOf<Real> add_philox_words(const UniformKey& key, WordOf<Real> number, WordOf<Real> sum) {
  const RandomBlock<WordOf<Real>> b = philox<Real>(number, purpose_word(Purpose::action), 0u, 0u, key);
  return sum + (b.x + b.y + (b.z + b.w));
}

}  // namespace fryer::throughput
