// SPDX-License-Identifier: Apache-2.0
// See packing.h.
#include "host/study/packing.h"

#include <algorithm>

namespace fryer::study {
namespace {

// One value at a bit; reads nine bytes.
std::uint64_t unpack_one(const char* bytes, std::uint64_t bit, unsigned width, std::uint64_t mask) {
  std::uint64_t word;
  std::memcpy(&word, bytes + bit / 8, 8);
  const unsigned shift = bit % 8;
  std::uint64_t value = word >> shift;
  if (shift + width > 64) value |= std::uint64_t{static_cast<unsigned char>(bytes[bit / 8 + 8])} << (64 - shift);
  return value & mask;
}

}  // namespace

std::uint64_t unpack(std::string_view bytes, unsigned width, std::span<std::uint64_t> offsets) {
  if (width == 0) {
    std::fill(offsets.begin(), offsets.end(), 0);
    return 0;
  }
  const std::uint64_t mask = ~std::uint64_t{0} >> (64 - width);
  const std::uint64_t whole = bytes.size() < 9 ? 0 : (bytes.size() - 9) * 8 / width;  // these lie nine bytes before the end
  const std::uint64_t fast = std::min<std::uint64_t>(offsets.size(), whole);
  std::uint64_t largest = 0;
  for (std::uint64_t i = 0; i < fast; ++i) {
    offsets[i] = unpack_one(bytes.data(), i * width, width, mask);
    largest = std::max(largest, offsets[i]);
  }
  // The last ones from a copy with room behind it.
  const std::uint64_t begin = fast * width / 8;
  std::string rest(bytes.substr(begin));
  rest.append(9, '\0');
  for (std::uint64_t i = fast; i < offsets.size(); ++i) {
    offsets[i] = unpack_one(rest.data(), i * width - begin * 8, width, mask);
    largest = std::max(largest, offsets[i]);
  }
  return largest;
}

}  // namespace fryer::study
