// SPDX-License-Identifier: Apache-2.0
// Asks the processor what it has; baseline code only, since it runs before anything else is known to work.
#include "host/cpu_features.h"

#include "fryer/core/error.h"

namespace fryer {
namespace {

#if defined(__x86_64__)
// clang 14 has no __builtin_cpu_supports("x86-64-v4"): the features one by one, AES and carry-less multiply included, as in the
// executors' compiler flags.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && __builtin_cpu_supports("bmi") != 0 &&
         __builtin_cpu_supports("bmi2") != 0 && __builtin_cpu_supports("popcnt") != 0 && __builtin_cpu_supports("aes") != 0 &&
         __builtin_cpu_supports("pclmul") != 0;
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512cd") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0;
}
#endif

}  // namespace

std::vector<CpuExecutorReport> cpu_executors() {
  std::vector<CpuExecutorReport> reports;
  reports.push_back({&scalar::lane_executor(), "scalar", ""});
#if defined(FRYER_HAVE_AVX2)
  __builtin_cpu_init();
  reports.push_back({&avx2::lane_executor(), "avx2", has_avx2() ? "" : "this processor lacks AVX2, FMA, BMI2 or AES"});
  reports.push_back({&avx512::lane_executor(), "avx512", has_avx512() ? "" : "this processor lacks AVX-512 F, BW, CD, DQ or VL"});
#else
  reports.push_back({nullptr, "avx2", "this build is for another processor family"});
  reports.push_back({nullptr, "avx512", "this build is for another processor family"});
#endif
  return reports;
}

const LaneExecutor& find_cpu_executor(const std::string& isa) {
  const LaneExecutor* best = nullptr;
  std::string usable;
  for (const CpuExecutorReport& report : cpu_executors()) {
    if (isa == report.isa) {
      if (report.unavailable.empty()) return *report.executor;
      throw DeviceError("FRYER_ISA: " + isa + " is not available here: " + report.unavailable);
    }
    if (!report.unavailable.empty()) continue;
    best = report.executor;
    usable += (usable.empty() ? "" : ", ") + report.isa;
  }
  if (!isa.empty())
    throw DeviceError("FRYER_ISA: '" + isa + "' is not an instruction set of this program; here there are " + usable);
  return *best;
}

}  // namespace fryer
