// SPDX-License-Identifier: Apache-2.0
// See parallel.h.
#include "host/throughput/parallel.h"

#include <algorithm>
#include <chrono>
#include <latch>
#include <thread>
#include <vector>

namespace fryer::throughput {

double time_together(unsigned threads, const std::function<void(unsigned)>& body) {
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> end(threads);
  std::latch ready(threads);
  Clock::time_point start;
  const auto work = [&](unsigned i) {
    body(i);
    end[i] = Clock::now();
  };
  {
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < threads; ++i) {
      others.emplace_back([&, i] {
        ready.arrive_and_wait();
        work(i);
      });
    }
    ready.arrive_and_wait();
    start = Clock::now();
    work(0);
  }
  return std::chrono::duration<double>(*std::max_element(end.begin(), end.end()) - start).count();
}

}  // namespace fryer::throughput
