// SPDX-License-Identifier: Apache-2.0
// How much memory there is for what is run. Implemented in host/memory.cpp.
#pragma once

namespace fryer {

// Bytes that this process may have at most: the machine's, or less where `ulimit -v` or a control group (a container, a batch system's job)
// says so. What it and others have already is not taken off.
double usable_memory();

}  // namespace fryer
