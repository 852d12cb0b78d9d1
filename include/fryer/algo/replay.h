// SPDX-License-Identifier: Apache-2.0
// Experience replay (Lin 1992): a ring of the latest transitions, and which of them an update uses, by addressed random numbers without
// replacement. The ring's memory is touched only as it fills, so a large capacity costs nothing until it is used. No environment here:
// four numbers are an observation.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <string>

#include "fryer/core/error.h"
#include "fryer/core/philox.h"

namespace fryer {

// One step of an episode in one cache line: a random one costs one miss.
struct alignas(64) Transition {
  float observation[4];
  float next_observation[4];
  float reward;
  float bootstraps;  // 1 if the target may use the next observation, 0 if the episode ended there
  std::uint32_t action;
  std::uint32_t unused[5];
};
static_assert(sizeof(Transition) == 64);

// A candidate is a 32-bit number, and the largest of them marks an empty place in SampleTable.
inline constexpr std::uint64_t kMostTransitions = 0xffffffffull;

// Owns a ring's memory: transition number n of a training goes to slot n % capacity. To save a training take the slots that were written; to go on, write them back.
class ReplayBuffer {
 public:
  // Throws ConfigurationError for a capacity of 0 or above kMostTransitions, std::bad_alloc where there is no such memory.
  explicit ReplayBuffer(std::uint64_t capacity) : capacity_(capacity), memory_(nullptr, Free{std::align_val_t{}}) {
    if (capacity == 0 || capacity > kMostTransitions)
      throw ConfigurationError("replay buffer: capacity " + std::to_string(capacity) + "; accepted are 1 to " +
                               std::to_string(kMostTransitions));
    const std::uint64_t bytes = capacity * sizeof(Transition);
    // Whole huge pages where there are any: random reads of a large ring are bound by address translation.
    const auto alignment = static_cast<std::align_val_t>(bytes < kHugePage ? alignof(Transition) : kHugePage);
    memory_ = {static_cast<Transition*>(::operator new(bytes, alignment)), Free{alignment}};
  }
  Transition* slots() { return memory_.get(); }
  const Transition* slots() const { return memory_.get(); }
  std::uint64_t capacity() const { return capacity_; }

 private:
  static constexpr std::uint64_t kHugePage = std::uint64_t{1} << 21;
  struct Free {
    std::align_val_t alignment;
    void operator()(Transition* memory) const { ::operator delete(memory, alignment); }
  };
  std::uint64_t capacity_;
  std::unique_ptr<Transition, Free> memory_;
};

// ---- sampling

inline constexpr std::uint32_t kMostBatch = 256;

// The candidates that an update has taken: a hash table, at most a quarter full. Made anew for each draw.
struct SampleTable {
  static constexpr std::uint32_t kPlaces = 4 * kMostBatch, kEmpty = 0xffffffffu;
  std::uint32_t place[kPlaces];
  std::uint32_t mask;  // places used - 1

  FRYER_LANE void clear(std::uint32_t batch) {
    std::uint32_t places = 64;
    while (places < 4 * batch) places *= 2;
    for (std::uint32_t i = 0; i < places; ++i) place[i] = kEmpty;
    mask = places - 1;
  }
  // True if the candidate was not in it yet.
  FRYER_LANE bool insert(std::uint32_t candidate) {
    std::uint32_t at = ((candidate * 0x9E3779B1u) >> 16) & mask;
    while (place[at] != kEmpty) {
      if (place[at] == candidate) return false;
      at = (at + 1) & mask;
    }
    place[at] = candidate;
    return true;
  }
};

// The slot, of `size`, that a random word chooses. size <= kMostTransitions.
FRYER_LANE std::uint32_t replay_candidate(std::uint32_t word, std::uint64_t size) {
  return static_cast<std::uint32_t>(word * size >> 32);
}

// Slots of the transitions that update `update` uses, of `size` stored ones: the first `batch` distinct candidates; candidate i is
// floor(word size / 2^32), word i % 4 of block i / 4 of the update's replay sampling. index: (batch). False, and nothing is written,
// while fewer are stored than the batch. Real: float, or a bundle, which makes several blocks at once. batch <= kMostBatch, size <=
// kMostTransitions.
template <class Real>
FRYER_LANE bool sample_replay(const UniformKey& key, std::uint64_t update, std::uint64_t size, std::uint32_t batch,
                              std::uint32_t* index) {
  if (size < batch) return false;
  constexpr std::uint32_t kBlocks = static_cast<std::uint32_t>(LaneTypes<Real>::kLanes);
  SampleTable taken;
  taken.clear(batch);
  std::uint32_t found = 0;
  for (std::uint64_t first = 0; found < batch; first += kBlocks) {
    const auto words = philox<Real>(LaneNumbers<WordOf<Real>>::from(static_cast<std::uint32_t>(first)),
                                    purpose_word(Purpose::replay_sampling, first), static_cast<std::uint32_t>(update),
                                    static_cast<std::uint32_t>(update >> 32), key);
    std::uint32_t word[4][kBlocks];
    store(words.x, word[0]);
    store(words.y, word[1]);
    store(words.z, word[2]);
    store(words.w, word[3]);
    for (std::uint32_t i = 0; i < 4 * kBlocks && found < batch; ++i) {
      const std::uint32_t candidate = replay_candidate(word[i % 4][i / 4], size);
      index[found] = candidate;
      if (taken.insert(candidate)) ++found;
    }
  }
  return true;
}

}  // namespace fryer
