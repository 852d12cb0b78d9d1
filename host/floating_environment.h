// SPDX-License-Identifier: Apache-2.0
// The processor's floating-point mode while fryer computes: round to nearest, subnormals kept. Any library of the process that was
// linked with fast-math may have switched flush-to-zero on; that would change bits, so the mode is set here and put back after.
#pragma once

#include <cfenv>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace fryer {

class FloatingEnvironment {
 public:
  FloatingEnvironment() {
    std::fegetenv(&saved_);
    std::fesetround(FE_TONEAREST);
#if defined(__x86_64__)
    constexpr unsigned flush_to_zero = 0x8000, subnormals_are_zero = 0x0040;
    _mm_setcsr(_mm_getcsr() & ~(flush_to_zero | subnormals_are_zero));
#elif defined(__aarch64__)
    unsigned long long control;
    constexpr unsigned long long flush_to_zero = 1ull << 24;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control & ~flush_to_zero));
#endif
  }
  ~FloatingEnvironment() { std::fesetenv(&saved_); }
  FloatingEnvironment(const FloatingEnvironment&) = delete;
  FloatingEnvironment& operator=(const FloatingEnvironment&) = delete;

 private:
  std::fenv_t saved_;
};

}  // namespace fryer
