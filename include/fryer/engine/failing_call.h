// SPDX-License-Identifier: Apache-2.0
// A testing aid: an environment variable makes the K-th call of a kind fail, as where a device breaks down in the middle of its work.
// Backends ask it at each of their calls, which are counted over the process. Without the variable a call costs a comparison.
#pragma once

#include <atomic>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "fryer/core/error.h"

namespace fryer {

class FailingCall {
 public:
  // Reads the variable. Throws ConfigurationError for what is no number of a call.
  explicit FailingCall(const char* variable) {
    const char* const text = std::getenv(variable);
    if (text == nullptr) return;
    const char* const end = text + std::string(text).size();
    const auto [read, error] = std::from_chars(text, end, number_);
    if (error != std::errc() || read != end || number_ == 0)
      throw ConfigurationError(std::string(variable) + ": '" + text + "' is not accepted; the number of a call, from 1");
  }

  bool is_set() const { return number_ != 0; }
  // Counts a call. Whether it is the one that is to fail.
  bool fails_now() { return number_ != 0 && ++calls_ == number_; }

 private:
  std::uint64_t number_ = 0;  // of the call that is to fail; 0: none
  std::atomic<std::uint64_t> calls_{0};
};

}  // namespace fryer
