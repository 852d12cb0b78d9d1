// SPDX-License-Identifier: Apache-2.0
// What Linux's control groups leave a process of the machine's memory: containers and batch systems limit it so. Pure functions of
// what the files say.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace fryer {

// The text of a file, or nothing where it cannot be read.
using ReadText = std::function<std::optional<std::string>(const std::string& path)>;

// The least limit, in bytes, of the groups that a process is in and those around them; infinity where none has one. own: the text of its
// /proc/self/cgroup. Version 2's groups have memory.max under /sys/fs/cgroup, version 1's memory.limit_in_bytes under /sys/fs/cgroup/memory.
double memory_of_groups(std::string_view own, const ReadText& read);

}  // namespace fryer
