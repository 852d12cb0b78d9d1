// SPDX-License-Identifier: Apache-2.0
// Digests of results: XXH3 (64 bits; seed 0 but for the rows of studies) over little-endian words. A run's digest is the sum of its rows' hashes modulo 2^64, so
// neither order nor split enters it, and duplicates do not cancel.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "fryer/engine/results.h"

namespace fryer {

// Of 64-bit words, hashed as little-endian bytes.
std::uint64_t hash_words(std::span<const std::uint64_t> words, std::uint64_t key = 0);
std::uint64_t hash_text(std::string_view text);

// Sum over the replicas of hash(seed, status, updates, episodes, steps, bits of each parameter). key: XXH3's seed, which a study makes of the
// cell's configuration.
std::uint64_t digest_of(const ReplicaTable& table, std::uint64_t batch, std::uint64_t key = 0);
std::uint64_t digest_of(const GradientSums& sums);
std::uint64_t digest_of(const CartPoleSums& sums);
std::uint64_t digest_of(const HiddenSums& sums, int parameters);
std::uint64_t digest_of(const std::array<std::uint64_t, FryShack::kOutcomes>& outcomes);
// Every number of every update.
std::uint64_t digest_of(const NotebookResult& result);
// The start state, then of every step action and flags, state and reward.
std::uint64_t digest_of(const TraceResult& result);

}  // namespace fryer
