// SPDX-License-Identifier: Apache-2.0
// See counted.h.
#include "host/throughput/counted.h"

#include <algorithm>

namespace fryer::throughput {

thread_local Recording* Recording::current_ = nullptr;

Recording::Recording(bool skips_zeros) : outer_(current_), skips_zeros_(skips_zeros) {
  current_ = this;
  constant(0);  // node 0
}

Recording::~Recording() { current_ = outer_; }

Node Recording::add(const Entry& entry) {
  const auto [found, is_new] = known_.try_emplace(entry, static_cast<Node>(entries_.size()));
  if (is_new) entries_.push_back(entry);
  return found->second;
}

Node Recording::operation(Operation operation, std::initializer_list<Node> operands, std::uint64_t detail) {
  Entry entry{operation, {}, detail, false};
  std::copy(operands.begin(), operands.end(), entry.operand);
  entry.varies = std::any_of(operands.begin(), operands.end(), [&](Node node) { return entries_[node].varies; });
  return add(entry);
}

Counts Recording::counts() const {
  std::vector<bool> needed(entries_.size());
  for (const Node node : results_) needed[node] = true;
  Counts counts;
  for (std::size_t i = entries_.size(); i-- > 0;) {  // operands come before what is made of them
    const Entry& entry = entries_[i];
    if (!needed[i] || entry.operation == Operation::kCount) continue;
    for (const Node node : entry.operand) needed[node] = true;
    if (entry.varies) counts[entry.operation] += 1;
  }
  return counts;
}

}  // namespace fryer::throughput
