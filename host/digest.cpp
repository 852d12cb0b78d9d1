// SPDX-License-Identifier: Apache-2.0
// Little-endian serialisation and XXH3. NaN never reaches a hash: failed replicas hold one fixed bit pattern.
#include "host/digest.h"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_reduce.h>
#include <xxhash.h>

#include <bit>
#include <cstring>
#include <functional>
#include <vector>

namespace fryer {
namespace {

static_assert(std::endian::native == std::endian::little, "serialise bytes before hashing on a big-endian machine");

}  // namespace

std::uint64_t hash_words(std::span<const std::uint64_t> words, std::uint64_t key) {
  return XXH3_64bits_withSeed(words.data(), words.size_bytes(), key);
}
std::uint64_t hash_text(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

std::uint64_t digest_of(const ReplicaTable& table, std::uint64_t batch, std::uint64_t key) {
  const std::size_t parameters = table.parameters.size();
  const auto row_hash = [&](std::uint64_t i, std::vector<unsigned char>& bytes) {
    const std::uint64_t words[] = {table.first_seed + i, table.status[i], table.updates[i], table.episodes_of(i, batch),
                                   table.steps_of(i, batch)};
    bytes.resize(sizeof words + parameters * sizeof(std::uint32_t));
    std::memcpy(bytes.data(), words, sizeof words);
    for (std::size_t j = 0; j < parameters; ++j) {
      const std::uint32_t bits = to_bits(table.parameters[j][i]);
      std::memcpy(bytes.data() + sizeof words + j * sizeof bits, &bits, sizeof bits);
    }
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), key);
  };
  const oneapi::tbb::blocked_range<std::uint64_t> all(0, table.size(), 4096);
  return oneapi::tbb::parallel_reduce(
      all, std::uint64_t{0},
      [&](const auto& range, std::uint64_t sum) {
        std::vector<unsigned char> bytes;
        for (std::uint64_t i = range.begin(); i != range.end(); ++i) sum += row_hash(i, bytes);
        return sum;
      },
      std::plus<>());
}

std::uint64_t digest_of(const GradientSums& sums) {
  std::vector<std::uint64_t> words;
  for (int i = 0; i < 2; ++i) {
    WideSum squared = sums.squared[i];
    squared.normalise();
    words.push_back(static_cast<std::uint64_t>(sums.gradient[i]));
    words.push_back(static_cast<std::uint64_t>(squared.high));
    words.push_back(static_cast<std::uint64_t>(squared.low));
  }
  words.push_back(sums.correct);
  words.push_back(sums.episodes);
  return hash_words(words);
}

namespace {

template <class Sums>
std::uint64_t digest_of_sums(const Sums& sums, int parameters) {
  std::vector<std::uint64_t> words;
  const auto add_limbs = [&](WideSum x) {
    x.normalise();
    words.push_back(static_cast<std::uint64_t>(x.high));
    words.push_back(static_cast<std::uint64_t>(x.low));
  };
  for (int i = 0; i < parameters; ++i) {
    words.push_back(static_cast<std::uint64_t>(sums.gradient[i]));
    add_limbs(sums.squared[i]);
  }
  add_limbs(sums.steps_squared);
  for (const std::uint64_t count : {sums.steps, sums.terminated, sums.episodes}) words.push_back(count);
  return hash_words(words);
}

}  // namespace

std::uint64_t digest_of(const CartPoleSums& sums) { return digest_of_sums(sums, kCartPoleParameters); }
std::uint64_t digest_of(const HiddenSums& sums, int parameters) { return digest_of_sums(sums, parameters); }

std::uint64_t digest_of(const std::array<std::uint64_t, FryShack::kOutcomes>& outcomes) { return hash_words(outcomes); }

std::uint64_t digest_of(const NotebookResult& result) {
  std::vector<std::uint64_t> words;
  for (const NotebookResult::Update& u : result.updates) {
    words.push_back(std::uint64_t{to_bits(u.p)} << 32 | (u.norm ? 2u : 0u) | (u.large ? 1u : 0u));
    words.push_back(to_bits(u.hunger));
    words.push_back(to_bits(u.reward));
    words.push_back(std::uint64_t{to_bits(u.loss)} << 32 | to_bits(u.bias));
  }
  words.push_back(result.norm_visits);
  return hash_words(words);
}

std::uint64_t digest_of(const TraceResult& result) {
  std::vector<std::uint64_t> words;
  words.reserve(4 + 6 * result.steps.size());
  for (const double x : result.initial_state) words.push_back(to_bits(x));
  for (const TraceResult::Step& step : result.steps) {
    words.push_back((step.action ? 4u : 0u) | (step.terminated ? 2u : 0u) | (step.truncated ? 1u : 0u));
    for (const double x : step.state) words.push_back(to_bits(x));
    words.push_back(to_bits(step.reward));
  }
  return hash_words(words);
}

}  // namespace fryer
