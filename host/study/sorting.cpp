// SPDX-License-Identifier: Apache-2.0
// Sorting and counting of statistics.h, by Thrust on TBB. The one file of studies that includes Thrust. Only sorts and integer counts: a
// parallel floating-point sum would depend on the number of threads.
#include <thrust/binary_search.h>
#include <thrust/sort.h>
#include <thrust/system/tbb/execution_policy.h>

#include "host/study/statistics.h"

namespace fryer::study {
namespace {

template <class Real>
void sort_reals(std::vector<Real>& values) {
  for (Real& x : values) x += Real{0};  // -0 becomes +0: which of the two a sort puts first is its own affair
  thrust::sort(thrust::tbb::par, values.begin(), values.end());
}

}  // namespace

void sort_values(std::vector<double>& values) { sort_reals(values); }
void sort_values(std::vector<float>& values) { sort_reals(values); }

std::vector<std::uint64_t> histogram(std::span<const double> sorted, double low, double high, std::size_t bins) {
  std::vector<double> edges(bins);
  for (std::size_t i = 0; i < bins; ++i) edges[i] = low + (high - low) * (static_cast<double>(i) / static_cast<double>(bins));
  // How many values lie before each edge, and before everything above `high`.
  std::vector<std::uint64_t> before(bins + 1);
  thrust::lower_bound(thrust::tbb::par, sorted.begin(), sorted.end(), edges.begin(), edges.end(), before.begin());
  before[bins] =
      static_cast<std::uint64_t>(thrust::upper_bound(thrust::tbb::par, sorted.begin(), sorted.end(), high) - sorted.begin());
  std::vector<std::uint64_t> counts(bins);
  for (std::size_t i = 0; i < bins; ++i) counts[i] = before[i + 1] - before[i];
  return counts;
}

}  // namespace fryer::study
