// SPDX-License-Identifier: Apache-2.0
// A run that never was, for the tests of the store and of what is printed of it.
#pragma once

#include <string>

#include "host/study/store.h"

namespace fryer::study::test {

inline Provenance make_run(const std::string& host = "here") {
  Provenance run;
  run.program_version = "0.5.0";
  run.compiler = "g++ 12.2.0";
  run.host = host;
  run.processor = "AMD EPYC 9454, 2 of 96 threads";
  run.operating_system = "Debian GNU/Linux 12, Linux 6.1";
  run.device = "cpu";
  run.isa = "avx512";
  run.command_line = "fryer study run rates.toml --output rates.db";
  run.started = "2026-11-22T20:15:00Z";
  run.numerics_version = 1;
  run.threads = 2;
  return run;
}

}  // namespace fryer::study::test
