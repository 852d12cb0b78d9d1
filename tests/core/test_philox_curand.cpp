// SPDX-License-Identifier: Apache-2.0
// cuRAND as the oracle of Philox, on the host: no GPU and no driver is needed. Two independent ways in: the library's host
// generator (its bulk output, word by word) and the block function of its device header, compiled here for the host. Built against
// the CUDA toolkit where there is one (FRYER_HAVE_CURAND); elsewhere every test is skipped and says so.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "fryer/core/philox.h"

#if defined(FRYER_HAVE_CURAND)
#include <curand.h>
#include <vector_types.h>
#define QUALIFIERS static inline  // cuRAND's: `__device__` unless set
#include <curand_philox4x32_x.h>
#endif

namespace fryer::test {
namespace {

#if defined(FRYER_HAVE_CURAND)

// Detects any difference between our function and cuRAND's own, the one that CUDA threads call: random counters and keys.
TEST(PhiloxCurand, BlockFunctionAgrees) {
  std::mt19937 generator(1);
  const auto word = [&] { return static_cast<std::uint32_t>(generator()); };
  for (int i = 0; i < 1 << 20; ++i) {
    const uint4 counter = {word(), word(), word(), word()};
    const uint2 key = {word(), word()};
    const uint4 expected = curand_Philox4x32_10(counter, key);
    const auto block =
        philox<float>(counter.x, counter.y, counter.z, counter.w, make_uniform_key(std::uint64_t{key.y} << 32 | key.x));
    ASSERT_EQ(block.x, expected.x);
    ASSERT_EQ(block.y, expected.y);
    ASSERT_EQ(block.z, expected.z);
    ASSERT_EQ(block.w, expected.w);
  }
}

// Detects a difference from the library's bulk numbers over 2^22 words. Its layout with the default ordering, found by experiment
// (not documented): output n is word n % 4 of block n / 4; block b has the counter x = b / 65536, y = 0, z = b % 65536, w = 0; the
// key is the seed, low word first.
TEST(PhiloxCurand, HostGeneratorAgrees) {
  constexpr std::size_t count = std::size_t{1} << 22;
  static_assert(count / 4 > 65536, "beyond the first 65,536 blocks, or the counter's word x stays 0");
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{42}, std::uint64_t{0xfedcba9876543210}}) {
    curandGenerator_t generator = nullptr;
    ASSERT_EQ(curandCreateGeneratorHost(&generator, CURAND_RNG_PSEUDO_PHILOX4_32_10), CURAND_STATUS_SUCCESS);
    ASSERT_EQ(curandSetPseudoRandomGeneratorSeed(generator, seed), CURAND_STATUS_SUCCESS);
    std::vector<std::uint32_t> words(count);
    ASSERT_EQ(curandGenerate(generator, words.data(), words.size()), CURAND_STATUS_SUCCESS);
    EXPECT_EQ(curandDestroyGenerator(generator), CURAND_STATUS_SUCCESS);

    const UniformKey key = make_uniform_key(seed);
    std::size_t different = 0, first_different = count;
    for (std::size_t n = 0; n < count; n += 4) {
      const auto b = static_cast<std::uint32_t>(n / 4);
      const auto block = philox<float>(b / 65536u, 0u, b % 65536u, 0u, key);
      const std::uint32_t ours[4] = {block.x, block.y, block.z, block.w};
      for (std::size_t k = 0; k < 4; ++k) {
        if (ours[k] == words[n + k]) continue;
        if (different++ == 0) first_different = n + k;
      }
    }
    EXPECT_EQ(different, 0u) << "of " << count << " words, the first at " << first_different << ", seed " << seed;
  }
}

#else

TEST(PhiloxCurand, BlockFunctionAgrees) { GTEST_SKIP() << "built without the CUDA toolkit's cuRAND (header and library)"; }
TEST(PhiloxCurand, HostGeneratorAgrees) { GTEST_SKIP() << "built without the CUDA toolkit's cuRAND (header and library)"; }

#endif

}  // namespace
}  // namespace fryer::test
