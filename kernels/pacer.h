// SPDX-License-Identifier: Apache-2.0
// How much work a launch gets: little at first, then as much as takes the wanted time on this device, so that progress and a stop
// token are looked at often and no launch runs into a display's watchdog. No result depends on it.
#pragma once

#include <algorithm>
#include <cstdint>

namespace fryer {

class Pacer {
 public:
  // first: work of the first launch, at least 1. fixed: every launch's, if not 0 (for tests).
  Pacer(std::uint64_t first, std::uint64_t fixed, double seconds)
      : size_(fixed != 0 ? fixed : first), fixed_(fixed != 0), seconds_(seconds) {}

  std::uint64_t size() const { return size_; }

  // A launch of `work` took so long. The size grows at most eightfold at a time: short launches are measured badly.
  void took(std::uint64_t work, double seconds) {
    if (fixed_ || work == 0) return;
    const double ideal = static_cast<double>(work) * (seconds_ / std::max(seconds, 1e-6));
    const double most = std::min(8.0 * static_cast<double>(size_), 0x1p62);
    size_ = static_cast<std::uint64_t>(std::clamp(ideal, 1.0, most));
  }

 private:
  std::uint64_t size_;
  bool fixed_;
  double seconds_;
};

}  // namespace fryer
