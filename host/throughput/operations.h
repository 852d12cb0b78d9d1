// SPDX-License-Identifier: Apache-2.0
// How much arithmetic a piece of work is, and how fast a machine can do arithmetic: together they are the limit that `fryer bench` holds a rate
// against. Counts come from the lane programs themselves (counted.h), rates from microbenchmarks of the same run (peaks.h).
#pragma once

#include <array>
#include <cstddef>
#include <string>

namespace fryer::throughput {

// What lane programs are made of. One of each is one lane's.
enum class Operation {
  fused,     // fma and fnma
  multiply,  // of floats
  add,       // or subtract
  divide,    // a reciprocal too
  square_root,
  compare,
  select,
  merge,          // what a masked form costs more than the plain one
  mask,           // masks combined
  bits,           // of floats: and, or, exclusive or, shift, minimum, maximum, conversion
  word,           // the same of words, and their sums
  word_mix,       // exclusive or of three words
  wide_multiply,  // 32 x 32 -> 64 bits
  wide_shift,     // of 64-bit slots
  wide_mix,       // exclusive or of three of them
  widen,          // words into 64-bit slots, and back
  narrow_low,
  narrow_high,
  gather,
  count_lanes,  // of a mask
  exact_sum,    // a term of a FixedSum, of FixedSquares, of a LaneFixedSum; and its mean
  exact_square,
  lane_sum,
  lane_mean,
  kCount
};

struct Counts {
  std::array<double, static_cast<std::size_t>(Operation::kCount)> of{};

  double& operator[](Operation o) { return of[static_cast<std::size_t>(o)]; }
  double operator[](Operation o) const { return of[static_cast<std::size_t>(o)]; }
  Counts& operator+=(const Counts& other) {
    for (std::size_t i = 0; i < of.size(); ++i) of[i] += other.of[i];
    return *this;
  }
  friend Counts operator*(Counts counts, double factor) {
    for (double& n : counts.of) n *= factor;
    return counts;
  }
};

// What executors can do in a second, a lane counting as one; or what a unit of work needs of it.
struct Rates {
  double fused = 0;          // fma
  double wide_multiply = 0;  // 32 x 32 -> 64 bits
  double divide = 0;
  double square_root = 0;  // divisions and square roots take turns in one unit
  double issue = 0;        // instructions on registers, of any kind
};

// The least that the operations come to in an executor's instructions (scalar, avx2, avx512), times the lanes that each serves.
Rates needs(const Counts& counts, const std::string& isa);

// The largest rate of work that needs this much of machines that can do that much, and what binds it: fma, multiply, divide or issue.
struct Limit {
  const char* kind = "";
  double rate = 0;  // units of work a second
};
Limit limit_of(const Rates& needed, const Rates& peaks);

}  // namespace fryer::throughput
