// SPDX-License-Identifier: Apache-2.0
// Numbers as bytes, for what studies keep: little-endian, or packed into as many bits as the largest needs; and reading them back from
// bytes that may hold anything. Packed bits fill bytes from the lowest bit up; each packed part begins on a byte.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace fryer::study {

static_assert(std::endian::native == std::endian::little, "swap the bytes of numbers on a big-endian machine");

inline unsigned bits_of(std::uint64_t largest) { return static_cast<unsigned>(std::bit_width(largest)); }
inline std::uint64_t packed_bytes(std::uint64_t count, unsigned width) { return (count * width + 7) / 8; }

template <class Number>
void put(std::string& bytes, Number number) {
  char raw[sizeof number];
  std::memcpy(raw, &number, sizeof number);
  bytes.append(raw, sizeof raw);
}

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

// Takes bytes from the front and never reads beyond the end. `name` is what messages say is damaged.
class Reader {
 public:
  Reader(std::string_view bytes, std::string name) : rest_(bytes), name_(std::move(name)) {}

  // All of these throw DamagedFileError.
  [[noreturn]] void damaged(const std::string& what) const;
  std::string_view take(std::uint64_t count);
  template <class Number>
  Number number() {
    Number result;
    std::memcpy(&result, take(sizeof result).data(), sizeof result);
    return result;
  }
  std::size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
  std::string name_;
};

}  // namespace fryer::study
