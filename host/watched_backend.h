// SPDX-License-Identifier: Apache-2.0
// A backend that does something before each call of another: it counts them, or fails as a device does. For tests, and for what
// FRYER_FAIL_CPU_CALL asks for.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "host/forwarding_backend.h"

namespace fryer {

class WatchedBackend : public ForwardingBackend<WatchedBackend> {
 public:
  using Before = std::function<void(unsigned call)>;  // from 1
  WatchedBackend(std::unique_ptr<Backend> inner, Before before) : inner_(std::move(inner)), before_(std::move(before)) {}

  const BackendInfo& info() const override { return inner_->info(); }

 private:
  friend ForwardingBackend<WatchedBackend>;
  template <class Work, class Play>
  auto gradient_of(const Work&, NumberRange episodes, const RunControl& control, const Play& play) {
    return play(watched(), episodes, control);
  }
  template <class Work, class Play>
  auto counts_of(const Work&, NumberRange episodes, const RunControl& control, const Play& play) {
    return play(watched(), episodes, control);
  }
  template <class Request>
  Population train_all(const Request& request, const RunControl& control) {
    return watched().train(request, control);
  }

  Backend& watched() {
    before_(++calls_);
    return *inner_;
  }
  std::unique_ptr<Backend> inner_;
  Before before_;
  unsigned calls_ = 0;
};

}  // namespace fryer
