// SPDX-License-Identifier: Apache-2.0
// See peaks.h.
#include "host/throughput/peaks.h"

#include <algorithm>

#include "fryer/core/error.h"
#include "host/throughput/parallel.h"

namespace fryer::throughput {
namespace {

double measure(const ThroughputPrograms::Peak& peak, unsigned threads, int repetitions, double seconds, const StopToken* stop) {
  std::vector<float> results(threads);  // used, so that the work is done
  const auto time = [&](std::uint64_t rounds) {
    if (is_set(stop)) throw Stopped();
    return time_together(threads, [&](unsigned i) { results[i] = peak.run(rounds); });
  };
  std::uint64_t rounds = 1 << 10;
  double taken = time(rounds);
  for (; taken < seconds / 4; taken = time(rounds)) rounds *= 4;
  rounds = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(static_cast<double>(rounds) * seconds / taken));
  for (int i = 0; i < repetitions; ++i) {
    const double once = time(rounds);
    taken = i == 0 ? once : std::min(taken, once);
  }
  return threads * peak.per_round * static_cast<double>(rounds) / taken;
}

}  // namespace

const ThroughputPrograms& programs_of(const std::string& isa) {
#if defined(FRYER_HAVE_AVX2)
  if (isa == "avx2") return avx2::throughput_programs();
  if (isa == "avx512") return avx512::throughput_programs();
#endif
  if (isa == "scalar") return scalar::throughput_programs();
  throw DeviceError("no instruction set of this program: " + isa);
}

Rates measure_peaks(const ThroughputPrograms& programs, unsigned threads, int repetitions, double seconds,
                    const StopToken* stop) {
  const auto rate = [&](const ThroughputPrograms::Peak& peak) { return measure(peak, threads, repetitions, seconds, stop); };
  Rates rates;
  rates.fused = rate(programs.fused);
  rates.wide_multiply = rate(programs.wide_multiply);
  rates.divide = rate(programs.divide);
  rates.square_root = rate(programs.square_root);
  rates.issue = rate(programs.issue);
  return rates;
}

Rates best_of(const Rates& a, const Rates& b) {
  return {std::max(a.fused, b.fused), std::max(a.wide_multiply, b.wide_multiply), std::max(a.divide, b.divide),
          std::max(a.square_root, b.square_root), std::max(a.issue, b.issue)};
}

}  // namespace fryer::throughput
