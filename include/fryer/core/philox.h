// SPDX-License-Identifier: Apache-2.0
// Addressed random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC11) in
// cuRAND's layout. A number is a pure function of its address (seed, purpose, number, block, word); nothing is ever drawn from a
// moving state. Words of a block are named x, y, z, w.
#pragma once

#include <type_traits>

#include "fryer/core/real.h"

#if defined(__CUDA_ARCH__)
#include <curand_philox4x32_x.h>
#endif

namespace fryer {

// What a random number is for: one enum in one place, part of every address, so that no two uses share a number.
enum class Purpose : std::uint32_t {
  reset = 1,              // start state of an episode
  action = 2,             // everything random within an episode
  exploration = 4,        // value learners: whether, and which action
  replay_sampling = 5,    // value learners: which transitions
  initialisation = 6,     // network weights
  evaluation_reset = 7,   // the same two for evaluations, so that evaluating with a training's seed
  evaluation_action = 8,  //   does not replay the training
  study_setting = 9,      // settings that a study draws for each replica; the number is a hash of the setting's name
};

inline constexpr std::uint32_t kPhiloxMultiplier0 = 0xD2511F53u, kPhiloxMultiplier1 = 0xCD9E8D57u;
inline constexpr std::uint32_t kPhiloxWeyl0 = 0x9E3779B9u, kPhiloxWeyl1 = 0xBB67AE85u;
inline constexpr int kPhiloxRounds = 10;

template <class Word>
struct RandomBlock {
  Word x, y, z, w;
};

// One seed for all lanes: its key schedule is made once, and round keys are constants of the loop.
struct UniformKey {
  std::uint32_t low[kPhiloxRounds], high[kPhiloxRounds];
  FRYER_LANE std::uint32_t first(int round) const { return low[round]; }
  FRYER_LANE std::uint32_t second(int round) const { return high[round]; }
  FRYER_LANE std::uint32_t last_first() const { return low[kPhiloxRounds - 1]; }
  FRYER_LANE std::uint32_t last_second() const { return high[kPhiloxRounds - 1]; }
};

FRYER_LANE UniformKey make_uniform_key(std::uint64_t seed) {
  UniformKey key;
  FRYER_UNROLL for (int round = 0; round < kPhiloxRounds; ++round) {
    key.low[round] = static_cast<std::uint32_t>(seed) + kPhiloxWeyl0 * static_cast<std::uint32_t>(round);
    key.high[round] = static_cast<std::uint32_t>(seed >> 32) + kPhiloxWeyl1 * static_cast<std::uint32_t>(round);
  }
  return key;
}

// A seed a lane, all with the same high word (work is split where the high word changes). The schedule is made when a lane takes a
// new seed. Vectors keep its words in 64-bit slots, ready for the rounds; for one lane nvcc would make 64-bit products of those.
template <class Real>
struct LaneKey {
  using Slot = std::conditional_t<LaneTypes<Real>::kLanes == 1, WordOf<Real>, WideOf<Real>>;
  Slot low[kPhiloxRounds];
  WordOf<Real> last_low;
  std::uint32_t high[kPhiloxRounds];
  FRYER_LANE Slot first(int round) const { return low[round]; }
  FRYER_LANE std::uint32_t second(int round) const { return high[round]; }
  FRYER_LANE WordOf<Real> last_first() const { return last_low; }
  FRYER_LANE std::uint32_t last_second() const { return high[kPhiloxRounds - 1]; }
  FRYER_LANE void schedule(WordOf<Real> seed_low, std::uint32_t seed_high) {
    FRYER_UNROLL for (int round = 0; round < kPhiloxRounds; ++round) {
      const WordOf<Real> word = seed_low + WordOf<Real>(kPhiloxWeyl0 * static_cast<std::uint32_t>(round));
      if constexpr (LaneTypes<Real>::kLanes == 1) {
        low[round] = word;
      } else {
        low[round] = widen(word);
      }
      high[round] = seed_high + kPhiloxWeyl1 * static_cast<std::uint32_t>(round);
    }
    last_low = seed_low + WordOf<Real>(kPhiloxWeyl0 * static_cast<std::uint32_t>(kPhiloxRounds - 1));
  }
};

// The block at counter (x, y, z, w) under a key. Any of the counter's words may be one number for all lanes.
template <class Real, class Key, class X, class Y, class Z, class W>
FRYER_LANE RandomBlock<WordOf<Real>> philox(X x, Y y, Z z, W w, const Key& key) {
  using Wide = WideOf<Real>;
  using Word = WordOf<Real>;
  Wide c0 = widen(Word(x)), c1 = widen(Word(y)), c2 = widen(Word(z)), c3 = widen(Word(w));
  Wide p0 = multiply_wide(c0, kPhiloxMultiplier0), p1 = multiply_wide(c2, kPhiloxMultiplier1);
  FRYER_UNROLL for (int round = 0; round < kPhiloxRounds - 1; ++round) {
    c0 = exclusive_or(high_word(p1), c1, key.first(round));
    c2 = exclusive_or(high_word(p0), c3, key.second(round));
    c1 = p1;
    c3 = p0;
    p0 = multiply_wide(c0, kPhiloxMultiplier0);
    p1 = multiply_wide(c2, kPhiloxMultiplier1);
  }
  return {exclusive_or(narrow_high(p1), narrow_low(c1), key.last_first()), narrow_low(p1),
          exclusive_or(narrow_high(p0), narrow_low(c3), key.last_second()), narrow_low(p0)};
}

// The blocks of one episode, in one lane: half of the first two rounds' products do not depend on the block's number. Kept from block
// to block they save 2 of 20 wide multiplications and an exclusive or.
struct EpisodeRandom {
  std::uint32_t number_high, second_x, second_z, second_w;  // what the first, and the second round mix in

  // y, z, w: the counter's other words, the same for all blocks of the episode.
  template <class Key>
  FRYER_LANE void begin(std::uint32_t y, std::uint32_t z, std::uint32_t w, const Key& key) {
    const WideWord p1 = multiply_wide(widen(z), kPhiloxMultiplier1);
    const WideWord p0 = multiply_wide(widen(narrow_high(p1) ^ y ^ key.first(0)), kPhiloxMultiplier0);
    number_high = w ^ key.second(0);
    second_x = narrow_low(p1) ^ key.first(1);
    second_z = narrow_high(p0) ^ key.second(1);
    second_w = narrow_low(p0);
  }

  // philox(x, y, z, w, key)
  template <class Key>
  FRYER_LANE RandomBlock<std::uint32_t> block(std::uint32_t x, const Key& key) const {
    WideWord p0 = multiply_wide(widen(x), kPhiloxMultiplier0);
    WideWord p1 = multiply_wide(widen(narrow_high(p0) ^ number_high), kPhiloxMultiplier1);
    std::uint32_t c0 = narrow_high(p1) ^ second_x, c1 = narrow_low(p1), c2 = narrow_low(p0) ^ second_z, c3 = second_w;
    FRYER_UNROLL for (int round = 2; round < kPhiloxRounds; ++round) {
      p0 = multiply_wide(widen(c0), kPhiloxMultiplier0);
      p1 = multiply_wide(widen(c2), kPhiloxMultiplier1);
      c0 = narrow_high(p1) ^ c1 ^ key.first(round);
      c1 = narrow_low(p1);
      c2 = narrow_high(p0) ^ c3 ^ key.second(round);
      c3 = narrow_low(p0);
    }
    return {c0, c1, c2, c3};
  }
};

// The second counter word of an address.
FRYER_LANE constexpr std::uint32_t purpose_word(Purpose purpose, std::uint64_t block = 0) {
  return (static_cast<std::uint32_t>(purpose) << 24) | (static_cast<std::uint32_t>(block >> 32) & 0xffffffu);
}

// One block by its address, for code outside the episode loop (resets, initialisation, replay sampling, exploration, tests):
// cuRAND's own function on the device, the shared one on the host; the tests hold them against each other.
// number: the episode within the training, the update, or 0 (design: Philox address). block < 2^56.
FRYER_LANE RandomBlock<std::uint32_t> random_block(std::uint64_t seed, Purpose purpose, std::uint64_t number,
                                                   std::uint64_t block = 0) {
#if defined(__CUDA_ARCH__)
  const uint4 counter = make_uint4(static_cast<std::uint32_t>(block), purpose_word(purpose, block),
                                   static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(number >> 32));
  const uint4 words =
      curand_Philox4x32_10(counter, make_uint2(static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)));
  return {words.x, words.y, words.z, words.w};
#else
  return philox<float>(static_cast<std::uint32_t>(block), purpose_word(purpose, block), static_cast<std::uint32_t>(number),
                       static_cast<std::uint32_t>(number >> 32), make_uniform_key(seed));
#endif
}

// 2^24 u of a word, u = (word >> 8) 2^-24 uniform on the multiples of 2^-24 in [0, 1): 0 occurs, 1 does not.
template <class Real>
FRYER_LANE Real uniform24(WordOf<Real> word) {
  return to_real<Real>(shift_right<8>(word));
}

}  // namespace fryer
