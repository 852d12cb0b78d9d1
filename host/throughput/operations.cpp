// SPDX-License-Identifier: Apache-2.0
// See operations.h.
#include "host/throughput/operations.h"

#include <algorithm>

namespace fryer::throughput {
namespace {

// What one operation on a vector of floats comes to, as host/simd.h writes it: slots of the fma pipes, and instructions. (The scalar executor's
// fma is a call of libm's: its peak is of that call, and its multiplications are none.)
struct Cost {
  Operation operation;
  double fused[3];  // scalar, avx2, avx512
  double issue[3];
};
constexpr Cost kCosts[] = {
    {Operation::fused, {1, 1, 1}, {1, 1, 1}},
    {Operation::multiply, {0, 1, 1}, {1, 1, 1}},
    {Operation::add, {}, {1, 1, 1}},
    {Operation::divide, {}, {1, 1, 1}},
    {Operation::square_root, {}, {1, 1, 1}},
    {Operation::compare, {}, {1, 1, 1}},
    {Operation::select, {}, {1, 1, 1}},
    {Operation::merge, {}, {0, 1, 0}},
    {Operation::mask, {}, {1, 1, 1}},
    {Operation::bits, {}, {1, 1, 1}},
    {Operation::word, {}, {1, 1, 1}},
    {Operation::word_mix, {}, {2, 2, 1}},
    {Operation::wide_multiply, {}, {1, 2, 2}},  // two halves
    {Operation::wide_shift, {}, {1, 2, 2}},
    {Operation::wide_mix, {}, {2, 4, 2}},
    {Operation::widen, {}, {0, 1, 1}},
    {Operation::narrow_low, {}, {0, 2, 1}},
    {Operation::narrow_high, {}, {1, 2, 1}},
    {Operation::gather, {}, {1, 1, 1}},
    {Operation::count_lanes, {}, {1, 1, 1}},
    {Operation::exact_sum, {1, 2, 2}, {4, 7, 7}},       // in doubles: converted, fma, added; two halves
    {Operation::exact_square, {2, 4, 4}, {6, 12, 12}},  // the conversion shared with the sum
    {Operation::lane_sum, {1, 2, 2}, {4, 9, 9}},
    {Operation::lane_mean, {0, 2, 2}, {3, 17, 17}},
};
static_assert(std::size(kCosts) == static_cast<std::size_t>(Operation::kCount));

}  // namespace

Rates needs(const Counts& counts, const std::string& isa) {
  const int column = isa == "scalar" ? 0 : isa == "avx2" ? 1 : 2;
  Rates r;
  for (const Cost& cost : kCosts) {
    const double n = counts[cost.operation];
    r.fused += n * cost.fused[column];
    r.issue += n * cost.issue[column];
  }
  r.wide_multiply = counts[Operation::wide_multiply];
  r.divide = counts[Operation::divide];
  r.square_root = counts[Operation::square_root];
  return r;
}

Limit limit_of(const Rates& needed, const Rates& peaks) {
  const auto seconds = [](double n, double rate) { return n == 0 ? 0.0 : n / rate; };
  const std::pair<const char*, double> candidates[] = {
      {"fma", seconds(needed.fused, peaks.fused)},
      {"multiply", seconds(needed.wide_multiply, peaks.wide_multiply)},
      {"divide", seconds(needed.divide, peaks.divide) + seconds(needed.square_root, peaks.square_root)},
      {"issue", seconds(needed.issue, peaks.issue)}};
  const auto* const most = std::max_element(std::begin(candidates), std::end(candidates),
                                            [](const auto& a, const auto& b) { return a.second < b.second; });
  return {most->first, most->second > 0 ? 1 / most->second : 0.0};
}

}  // namespace fryer::throughput
