// SPDX-License-Identifier: Apache-2.0
// Progress on stderr: a bar with rate and time left on a terminal, a line every ten seconds elsewhere, nothing with --quiet. Short
// work shows nothing: the first sign comes after half a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "fryer/engine/backend.h"
#include "host/cli/console.h"

namespace fryer::cli {

class ProgressMeter {
 public:
  // `scale` items called `unit` are one unit of the backend's work.
  ProgressMeter(const Console& console, bool quiet, std::string unit, double scale = 1);
  ~ProgressMeter() { clear(); }
  ProgressMeter(const ProgressMeter&) = delete;
  ProgressMeter& operator=(const ProgressMeter&) = delete;

  Progress callback();
  // The same, told directly. earlier: what an earlier run had finished, which says nothing of this one's rate. note: stands behind the rate.
  void show(double finished, double planned, double earlier = 0, const std::string& note = "");
  double share() const { return share_; }  // finished, 0 to 1
  void clear();                            // wipes the bar
  void tell(const std::string& line);      // a line of its own, above the bar

 private:
  using Clock = std::chrono::steady_clock;

  const Console& console_;
  bool quiet_, drawn_ = false;
  std::string unit_;
  double scale_, share_ = 0;
  Clock::time_point start_ = Clock::now(), next_;
};

}  // namespace fryer::cli
