// SPDX-License-Identifier: Apache-2.0
// See bytes.h.
#include "host/bytes.h"

#include <fmt/format.h>

#include "fryer/core/error.h"

namespace fryer {

void Reader::damaged(const std::string& what) const { throw DamagedFileError(fmt::format("{} are damaged: {}", name_, what)); }

std::string_view Reader::take(std::uint64_t count) {
  if (count > rest_.size()) damaged(fmt::format("they end {} bytes too early", count - rest_.size()));
  const std::string_view taken = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return taken;
}

}  // namespace fryer
