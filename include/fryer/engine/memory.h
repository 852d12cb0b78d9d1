// SPDX-License-Identifier: Apache-2.0
// How much memory there is for what is run. Implemented in host/memory.cpp.
#pragma once

namespace fryer {

// Bytes that this process may have at most: the machine's, or less where `ulimit -v` or a control group (a container, a batch system's job)
// says so. What others have already is not taken off, and what this process has only from the limit of `ulimit -v`.
// processes: what so many together may have, this one among them; the limit of `ulimit -v` is each one's own.
double usable_memory(unsigned processes = 1);

// Processes of this machine that work together, this one among them.
struct RanksOfMachine {
  unsigned count = 1;
  unsigned processors = 0;  // on which any of them may run; 0: not known
};
// Of this process; none but itself unless set.
void set_ranks_of_machine(const RanksOfMachine& ranks);
RanksOfMachine ranks_of_machine();

}  // namespace fryer
