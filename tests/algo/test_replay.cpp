// SPDX-License-Identifier: Apache-2.0
// The memory of a replay ring, and sampling: by its address to the last index, without replacement, uniform.
#include "fryer/algo/replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace fryer {
namespace {

TEST(ReplayBuffer, StandsOnCacheLinesAndRefusesImpossibleSizes) {
  const ReplayBuffer small(3), large(100'000);
  EXPECT_EQ(small.capacity(), 3u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(small.slots()) % 64, 0u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(large.slots()) % (1u << 21), 0u);
  EXPECT_THROW(ReplayBuffer(0), ConfigurationError);
  EXPECT_THROW(ReplayBuffer{kMostTransitions + 1}, ConfigurationError);
}

std::vector<std::uint32_t> draw(std::uint64_t seed, std::uint64_t update, std::uint64_t size, std::uint32_t batch) {
  std::vector<std::uint32_t> index(batch, 0xdeadbeefu);
  EXPECT_TRUE(sample_replay<float>(make_uniform_key(seed), update, size, batch, index.data()));
  return index;
}

TEST(ReplaySampling, TakesTheFirstDistinctCandidates) {
  for (const std::uint64_t seed : {std::uint64_t{42}, std::uint64_t{1} << 40}) {
    for (const std::uint64_t update : {std::uint64_t{0}, std::uint64_t{5'000'000'000}}) {
      for (const std::uint64_t size : {std::uint64_t{10}, std::uint64_t{130}, std::uint64_t{1'000'000}, kMostTransitions}) {
        const std::uint32_t batch = size == 10 ? 10 : 128;
        std::vector<std::uint32_t> expected;
        for (std::uint64_t i = 0; expected.size() < batch; ++i) {
          const auto block = random_block(seed, Purpose::replay_sampling, update, i / 4);
          const std::uint32_t word[4] = {block.x, block.y, block.z, block.w};
          const auto candidate = static_cast<std::uint32_t>(static_cast<unsigned __int128>(word[i % 4]) * size >> 32);
          if (std::find(expected.begin(), expected.end(), candidate) == expected.end()) expected.push_back(candidate);
        }
        EXPECT_EQ(draw(seed, update, size, batch), expected) << size;
      }
    }
  }
}

TEST(ReplaySampling, WaitsUntilABatchIsStored) {
  std::vector<std::uint32_t> index(128, 7);
  const UniformKey key = make_uniform_key(1);
  for (const std::uint64_t size : {0u, 1u, 127u}) {
    EXPECT_FALSE(sample_replay<float>(key, 0, size, 128, index.data()));
  }
  EXPECT_EQ(index, std::vector<std::uint32_t>(128, 7));
  // Exactly a batch: every one of them, once.
  auto all = draw(1, 0, 128, 128);
  std::sort(all.begin(), all.end());
  for (std::uint32_t i = 0; i < 128; ++i) EXPECT_EQ(all[i], i);
  EXPECT_EQ(draw(3, 9, 1, 1), std::vector<std::uint32_t>{0});
  auto largest = draw(1, 0, kMostBatch, kMostBatch);
  std::sort(largest.begin(), largest.end());
  for (std::uint32_t i = 0; i < kMostBatch; ++i) EXPECT_EQ(largest[i], i);
}

// Chi-square over 20 slots: each is drawn batch / size of the time, in 19 degrees of freedom; without replacement the statistic is smaller by
// (1 - batch / size) size / (size - 1). Seed fixed; the 99.9 % point is 43.8, the 0.1 % point 5.4.
TEST(ReplaySampling, IsUniform) {
  constexpr std::uint32_t kSize = 20, kBatch = 5;
  constexpr int kUpdates = 20'000;
  double counts[kSize] = {}, first[kSize] = {};
  for (int update = 0; update < kUpdates; ++update) {
    const auto index = draw(7, static_cast<std::uint64_t>(update), kSize, kBatch);
    EXPECT_EQ(std::set<std::uint32_t>(index.begin(), index.end()).size(), kBatch);
    for (const std::uint32_t i : index) counts[i] += 1;
    first[index[0]] += 1;
  }
  const double expected = static_cast<double>(kUpdates) * kBatch / kSize;
  double chi_square = 0, chi_square_first = 0;
  for (const double n : counts) chi_square += (n - expected) * (n - expected) / expected;
  for (const double n : first) chi_square_first += (n - kUpdates / 20.0) * (n - kUpdates / 20.0) / (kUpdates / 20.0);
  chi_square /= (1 - static_cast<double>(kBatch) / kSize) * kSize / (kSize - 1.0);
  EXPECT_LT(chi_square, 43.8);
  EXPECT_GT(chi_square, 5.4);
  EXPECT_LT(chi_square_first, 43.8);
  EXPECT_GT(chi_square_first, 5.4);
}

}  // namespace
}  // namespace fryer
