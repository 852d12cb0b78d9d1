// SPDX-License-Identifier: Apache-2.0
// Work on a thread of its own, while the calling thread, which is MPI's, looks for messages.
#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "fryer/engine/backend.h"
#include "host/ranks/ranks.h"

namespace fryer::ranks {

// Calls work() on a thread, and look() on this one every now and then until it has ended. stop: what ends work(), set where look() throws.
// What either threw is thrown here, or put into *error, where that is given and empty.
template <class Work, class Look>
void beside(const Work& work, const Look& look, StopToken& stop, std::exception_ptr* error = nullptr) {
  std::mutex mutex;
  std::condition_variable over;
  bool ended = false;
  std::exception_ptr failure;
  {
    std::jthread thread;
    const auto body = [&] {
      std::exception_ptr thrown;
      try {
        work();
      } catch (...) {
        thrown = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      if (thrown && !failure) failure = std::move(thrown);
      ended = true;
      over.notify_one();
    };
    try {
      thread = std::jthread(body);
    } catch (const std::system_error& refused) {
      failure = std::make_exception_ptr(RunError(std::string("no thread can be started: ") + refused.what()));
      ended = true;
    }
    for (;;) {
      std::unique_lock lock(mutex);
      if (over.wait_for(lock, Ranks::kBetweenLooksBesideWork, [&] { return ended; })) break;
      if (failure) continue;
      lock.unlock();
      try {
        look();
      } catch (...) {
        stop = true;
        lock.lock();
        failure = std::current_exception();
      }
    }
  }
  if (error == nullptr) {
    if (failure) std::rethrow_exception(failure);
  } else if (failure && !*error) {
    *error = failure;
  }
}

}  // namespace fryer::ranks
