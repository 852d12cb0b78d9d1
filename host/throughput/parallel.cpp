// SPDX-License-Identifier: Apache-2.0
// See parallel.h.
#include "host/throughput/parallel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "fryer/core/error.h"

namespace fryer::throughput {

double time_together(unsigned threads, const std::function<void(unsigned)>& body) {
  using Clock = std::chrono::steady_clock;
  enum : int { kWait, kGo, kLeave };
  std::atomic<int> gate = kWait;
  std::atomic<unsigned> waiting = 0;
  std::vector<Clock::time_point> begin(threads), end(threads);
  const auto work = [&](unsigned i) {
    begin[i] = Clock::now();
    body(i);
    end[i] = Clock::now();
  };
  {
    std::vector<std::jthread> others;
    try {
      for (unsigned i = 1; i < threads; ++i) {
        others.emplace_back([&, i] {
          waiting.fetch_add(1);
          waiting.notify_one();
          gate.wait(kWait);
          if (gate == kGo) work(i);
        });
      }
    } catch (const std::system_error& error) {
      gate = kLeave;
      gate.notify_all();
      throw DeviceError("--threads: " + std::to_string(threads) + " cannot be started here (" + error.code().message() +
                        "); accepted: fewer");
    }
    for (unsigned so_far = waiting; so_far != threads - 1; so_far = waiting) waiting.wait(so_far);
    gate = kGo;
    gate.notify_all();
    work(0);
  }
  return std::chrono::duration<double>(*std::max_element(end.begin(), end.end()) - *std::min_element(begin.begin(), begin.end()))
      .count();
}

}  // namespace fryer::throughput
