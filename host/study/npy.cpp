// SPDX-License-Identifier: Apache-2.0
// See npy.h.
#include "host/study/npy.h"

#include <fmt/format.h>

namespace fryer::study {

std::string npy_header(const std::string& descr, std::uint64_t rows) {
  std::string header = fmt::format("{{'descr': {}, 'fortran_order': False, 'shape': ({},), }}", descr, rows);
  constexpr std::size_t kPreamble = 10;  // magic, version, length
  header.append(63 - (kPreamble + header.size()) % 64, ' ');
  header += '\n';
  std::string preamble = "\x93NUMPY";
  preamble += '\x01';
  preamble += '\0';
  append_little_endian(preamble, header.size(), 2);
  return preamble + header;
}

}  // namespace fryer::study
