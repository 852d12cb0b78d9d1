// SPDX-License-Identifier: Apache-2.0
// Several devices as one backend: each request is cut into numbered parts (split_work.h), one host thread a device runs them, and what
// comes of them is put together, with the bits of one device.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fryer/engine/backend.h"

namespace fryer {

struct GroupDevice {
  std::string name;  // for its errors
  std::unique_ptr<Backend> backend;
};

// What is worth cutting. Episodes (CartPole's, or those of one step) go to fewer devices than there are where parts would be smaller than
// this. Rows go to all, and where a device's share is a few times this, in several parts: one that is done earlier takes a part more. Rows of
// value learners are larger.
struct LeastPart {
  std::uint64_t rows = 1, episodes = 1, one_step_episodes = 1, learners = 1;
};
// Of devices such as this (backend_choice.cpp).
LeastPart least_part(const BackendInfo& device);

// The first error of any device stops the others; a DeviceError then names it.
std::unique_ptr<Backend> make_group_backend(std::vector<GroupDevice> devices, const std::string& name, const std::string& reason,
                                            const LeastPart& least = {});

// A device alone, but for the name in its errors.
std::unique_ptr<Backend> make_named_backend(GroupDevice device);

// The CPU's or CUDA's devices that a choice names, each a backend of its own, to run side by side (backend_choice.cpp). Throws as
// make_backend() does.
std::vector<GroupDevice> make_devices(const BackendChoice& choice);
inline bool may_name_several(const BackendChoice& choice) {
  using Device = BackendChoice::Device;
  return choice.device == Device::cuda ? choice.cuda_devices.size() != 1 : choice.device == Device::cpu && choice.cpu_devices > 1;
}

}  // namespace fryer
