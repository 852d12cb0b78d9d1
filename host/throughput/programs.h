// SPDX-License-Identifier: Apache-2.0
// What one build of the CPU executor offers to be measured besides its lane programs: instructions of one kind, as many at once as the
// processor can take, and Philox. host/throughput/programs_executor.cpp is compiled once per instruction set, as the executors are.
#pragma once

#include <cstdint>

namespace fryer {

struct ThroughputPrograms {
  // Each does `rounds` times `per_round` operations, a lane counting as one, and returns a number that depends on all of them.
  struct Peak {
    double per_round;
    float (*run)(std::uint64_t rounds);
  };
  Peak fused, wide_multiply, divide, square_root, issue;
  // The sum of all words of blocks first .. first + count - 1, which must not cross a multiple of 2^32.
  std::uint32_t (*philox)(std::uint64_t first, std::uint64_t count);
};

namespace scalar {
const ThroughputPrograms& throughput_programs();
}
namespace avx2 {
const ThroughputPrograms& throughput_programs();
}
namespace avx512 {
const ThroughputPrograms& throughput_programs();
}

}  // namespace fryer
