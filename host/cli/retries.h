// SPDX-License-Identifier: Apache-2.0
// `--retry N`: a study whose device failed goes on in a fresh process, since what a driver holds of a broken device ends with its process.
// The process is replaced, so that for whoever started it nothing has changed.
#pragma once

#include <string>

#include "fryer/core/error.h"
#include "host/cli/console.h"
#include "host/cli/option_table.h"

namespace fryer::cli {

// A device failed after a study had begun; what was finished by then is in its file.
class InterruptedStudy : public DeviceError {
 public:
  InterruptedStudy(const std::string& what, const std::string& go_on) : DeviceError(what + ". " + go_on), happened(what) {}
  const std::string happened;  // what failed, and what the file holds; the whole message says how to go on, too
};

class Retries {
 public:
  Retries();
  void add_option(OptionTable& table);
  std::uint64_t wanted() const { return most_; }  // tries
  // Whether an earlier process failed, in whose place this one goes on.
  bool is_retry() const { return made_ != 0; }
  // Replaces this process by one with the same words, a little later; returns where no try is left. Nothing of the study may be open.
  // Throws Stopped where a signal ends the wait.
  void try_again(const Console& console, const InterruptedStudy& failure) const;

 private:
  std::uint64_t most_ = 0, made_ = 0;
};

}  // namespace fryer::cli
