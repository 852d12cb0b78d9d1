// SPDX-License-Identifier: Apache-2.0
// A run that would last for minutes, stopped a fraction of a second after its beginning.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "fryer/core/error.h"
#include "fryer/engine/backend.h"

namespace fryer::test {

// run(control): throws Stopped once it is asked to; how soon is seen by the time that the test takes.
template <class Run>
void expect_stopped(const Run& run) {
  StopToken stop{false};
  const std::jthread later([&stop] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    stop = true;
  });
  EXPECT_THROW(run(RunControl{&stop, nullptr, nullptr}), Stopped);
}

}  // namespace fryer::test
