// SPDX-License-Identifier: Apache-2.0
// See npy.h.
#include "host/study/npy.h"

#include <fmt/format.h>

namespace fryer::study {

std::string npy_header(const std::string& descr, std::uint64_t rows) {
  std::string header = fmt::format("{{'descr': {}, 'fortran_order': False, 'shape': ({},), }}", descr, rows);
  // Version 1.0 has two bytes for the length; with very many fields that is too few, and 2.0 has four.
  const bool is_long = header.size() + 64 > 0xffff;
  const int length_bytes = is_long ? 4 : 2;
  const std::size_t preamble_size = 8 + static_cast<std::size_t>(length_bytes);  // magic, version, length
  header.append(63 - (preamble_size + header.size()) % 64, ' ');
  header += '\n';
  std::string preamble = "\x93NUMPY";
  preamble += is_long ? '\x02' : '\x01';
  preamble += '\0';
  append_little_endian(preamble, header.size(), length_bytes);
  return preamble + header;
}

}  // namespace fryer::study
