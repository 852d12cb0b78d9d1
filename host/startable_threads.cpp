// SPDX-License-Identifier: Apache-2.0
// See startable_threads.h.
#include "host/startable_threads.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <latch>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace fryer {

StartableThreads startable_threads(unsigned wanted) {
  StartableThreads startable{std::max(wanted, 1u), ""};
  std::latch all_started(1);
  std::atomic<unsigned> ready = 0;
  std::vector<std::jthread> others;
  struct Release {  // whatever ends this, the others end first
    std::latch& latch;
    ~Release() { latch.count_down(); }
  } release{all_started};
  try {
    while (others.size() + 1 < wanted) {
      others.emplace_back([&] {
        void* volatile some = std::malloc(1);  // its first takes address space, which the next thread's stack may lack
        std::free(some);
        ++ready;
        ready.notify_one();
        all_started.wait();
      });
      for (unsigned so_far = ready; so_far != others.size(); so_far = ready) ready.wait(so_far);
    }
  } catch (const std::system_error& error) {
    startable = {std::max(static_cast<unsigned>(others.size() + 1) / 2, 1u), error.code().message()};
  } catch (const std::bad_alloc&) {
    startable = {std::max(static_cast<unsigned>(others.size() + 1) / 2, 1u), "out of memory"};
  }
  return startable;
}

}  // namespace fryer
