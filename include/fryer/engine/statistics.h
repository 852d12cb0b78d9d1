// SPDX-License-Identifier: Apache-2.0
// Order-free statistics over replicas, as templates over a Thrust execution policy: sorts, counts and integer sums only, so that TBB
// and CUDA give the same bits (a floating-point reduction would not). Included by host/statistics.cpp and kernels/ alone.
#pragma once

#include <thrust/copy.h>
#include <thrust/iterator/zip_iterator.h>
#include <thrust/sort.h>
#include <thrust/transform_reduce.h>

#include <cmath>

#include "fryer/engine/results.h"

namespace fryer {

// Sums of deviations from a pivot and of their squares, as integers.
struct DeviationSums {
  WideSum first, second;
};

template <class Value>
struct ToDeviation {
  double pivot, scale, square_scale;
  FRYER_HOST_DEVICE DeviationSums operator()(Value x) const {
    const double d = static_cast<double>(x) - pivot;
    DeviationSums sums;
    sums.first.add(to_fixed(d, scale));
    sums.second.add(to_fixed(d * d, square_scale));
    return sums;
  }
};

struct AddDeviations {
  FRYER_HOST_DEVICE DeviationSums operator()(DeviationSums a, const DeviationSums& b) const {
    a.first.add(b.first);
    a.second.add(b.second);
    return a;
  }
};

// Sorts [first, first + n) in place and summarises it; values finite. The deviations from the median are rounded once to multiples
// of 2^-51 of the largest one's power of two: relative error of mean and sd below 1e-12.
template <class Policy, class Iterator>
Summary summarise_sorting(const Policy& policy, Iterator first, std::uint64_t n) {
  using Value = typename std::iterator_traits<Iterator>::value_type;
  Summary s;
  s.count = n;
  if (n == 0) return s;
  thrust::sort(policy, first, first + static_cast<std::ptrdiff_t>(n));
  // + 0.0 makes +0 of -0: which of the two a sort puts first is its own affair.
  const auto at = [&](std::uint64_t i) {
    return static_cast<double>(static_cast<Value>(first[static_cast<std::ptrdiff_t>(i)])) + 0.0;
  };
  s.min = at(0);
  s.max = at(n - 1);
  for (std::size_t i = 0; i < kQuantiles.size(); ++i) s.quantiles[i] = at(quantile_position(kQuantiles[i], n));
  const double pivot = at(quantile_position(0.5, n));
  const double bound = s.max - pivot > pivot - s.min ? s.max - pivot : pivot - s.min;
  if (bound == 0) {
    s.mean = pivot;
    return s;
  }
  const int magnitude = ceil_log2(bound);
  const ToDeviation<Value> to_deviation = {pivot, std::ldexp(1.0, 51 - magnitude), std::ldexp(1.0, 51 - 2 * magnitude)};
  const DeviationSums sums = thrust::transform_reduce(policy, first, first + static_cast<std::ptrdiff_t>(n), to_deviation,
                                                      DeviationSums{}, AddDeviations{});
  const double mean = std::ldexp(sums.first.value() / static_cast<double>(n), magnitude - 51);
  const double square = std::ldexp(sums.second.value() / static_cast<double>(n), 2 * magnitude - 51);
  s.mean = pivot + mean;
  s.sd = std::sqrt(std::fmax(0.0, square - mean * mean));
  return s;
}

struct DidNotFail {
  FRYER_HOST_DEVICE bool operator()(std::uint8_t status) const {
    return status != static_cast<std::uint8_t>(ReplicaStatus::failed);
  }
};
struct Solved {
  FRYER_HOST_DEVICE bool operator()(std::uint8_t status) const {
    return status == static_cast<std::uint8_t>(ReplicaStatus::solved);
  }
};

}  // namespace fryer
