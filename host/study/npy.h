// SPDX-License-Identifier: Apache-2.0
// The head of a NumPy file, and numbers as it has them. Source: numpy.lib.format, versions 1.0 and 2.0. Nothing here writes a file.
#pragma once

#include <cstdint>
#include <string>

namespace fryer::study {

// Magic, version, and the dictionary of a one-dimensional array of `rows` elements; descr: its type as a Python literal, '<f8' with its
// quotes or a list of fields. A multiple of 64 bytes long.
std::string npy_header(const std::string& descr, std::uint64_t rows);

inline void append_little_endian(std::string& bytes, std::uint64_t value, int count) {
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
}

}  // namespace fryer::study
