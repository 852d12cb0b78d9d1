// SPDX-License-Identifier: Apache-2.0
// Numbers packed into as many bits as the largest needs, for what studies keep (host/bytes.h has whole numbers). Packed bits fill bytes
// from the lowest bit up; each packed part begins on a byte.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "host/bytes.h"

namespace fryer::study {

inline unsigned bits_of(std::uint64_t largest) { return static_cast<unsigned>(std::bit_width(largest)); }
inline std::uint64_t packed_bytes(std::uint64_t count, unsigned width) { return (count * width + 7) / 8; }

// Appends value - minimum of each value, in `width` bits.
template <class Values>
void pack(std::string& bytes, const Values& values, std::uint64_t minimum, unsigned width) {
  if (width == 0) return;
  const std::size_t begin = bytes.size();
  bytes.resize(begin + packed_bytes(values.size(), width));
  char* to = bytes.data() + begin;
  std::uint64_t word = 0;
  unsigned filled = 0;
  for (const std::uint64_t value : values) {
    const std::uint64_t offset = value - minimum;
    word |= offset << filled;
    filled += width;
    if (filled < 64) continue;
    std::memcpy(to, &word, 8);
    to += 8;
    filled -= 64;
    word = filled == 0 ? 0 : offset >> (width - filled);
  }
  std::memcpy(to, &word, (filled + 7) / 8);
}

// The packed offsets, of packed_bytes() of them; returns the largest, 0 of none.
std::uint64_t unpack(std::string_view bytes, unsigned width, std::span<std::uint64_t> offsets);

}  // namespace fryer::study
