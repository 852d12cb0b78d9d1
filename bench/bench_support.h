// SPDX-License-Identifier: Apache-2.0
// What the benchmark suites share: a backend by name, the digest check that comes before any rate, and a row for each instruction set and
// thread count.
#pragma once

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <memory>
#include <string>

#include "fryer/engine/api.h"
#include "host/cpu_features.h"

namespace fryer::bench {

inline std::unique_ptr<Backend> make(const std::string& isa, unsigned threads) {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.isa = isa;
  choice.threads = threads;
  return make_backend(choice);
}

// True if the digest is the expected one; else the benchmark is marked as failed.
inline bool check(benchmark::State& state, std::uint64_t digest, std::uint64_t expected) {
  if (digest == expected) return true;
  state.SkipWithError(fmt::format("digest {:016x} instead of {:016x}: wrong bits", digest, expected).c_str());
  return false;
}

inline void count_work(benchmark::State& state, const char* what, double per_iteration) {
  state.counters[what] = benchmark::Counter(per_iteration * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

using Program = void (*)(benchmark::State&, const std::string&, unsigned);

inline void add(const char* name, Program program) {
  for (const CpuExecutorReport& report : cpu_executors()) {
    if (!report.unavailable.empty() || report.isa == "scalar") continue;  // the scalar reference would take minutes
    for (const unsigned threads : {1u, 2u}) {
      benchmark::RegisterBenchmark(fmt::format("{}/{}/threads:{}", name, report.isa, threads).c_str(), program, report.isa,
                                   threads)
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
  }
}

}  // namespace fryer::bench
