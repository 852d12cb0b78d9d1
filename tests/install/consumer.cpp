// SPDX-License-Identifier: Apache-2.0
// What a user of the library writes first.
#include <fryer/core/version.h>

#include <cstdio>

int main() {
  std::printf("fryer %s, numerics version %u\n", fryer::version(), static_cast<unsigned>(fryer::kNumericsVersion));
  return fryer::kNumericsVersion > 0 ? 0 : 1;
}
