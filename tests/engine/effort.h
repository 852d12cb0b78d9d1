// SPDX-License-Identifier: Apache-2.0
// How much simulation a test may ask for here: builds without optimisation, under sanitizers, and runs on the scalar executor get
// less, with the tolerances that go with it.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string_view>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define FRYER_TEST_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FRYER_TEST_SANITIZED 1
#endif

namespace fryer::test {

inline bool little_effort() {
#if defined(FRYER_TEST_SANITIZED) || !defined(__OPTIMIZE__)
  return true;
#else
  const char* isa = std::getenv("FRYER_ISA");
  return isa != nullptr && std::string_view(isa) == "scalar";
#endif
}

}  // namespace fryer::test
