// SPDX-License-Identifier: Apache-2.0
// Files of the command line. What is written appears whole or not at all: a temporary file beside the target, synced, then renamed.
// Opening the target's place is possible before any work starts, so a run does not end with nowhere to put its result.
#pragma once

#include <string>
#include <string_view>

#include "fryer/core/error.h"
#include "host/study/temporary_path.h"

namespace fryer::cli {

using study::write_all;

// The whole file. `option` names whose file it is, for the message. Throws FileError; also for one larger than 1 GiB.
std::string read_file(const std::string& option, const std::string& path);

// Whether two paths name one file, existing or not.
bool is_same_file(const std::string& a, const std::string& b);
// Whether the path is what standard output goes to.
bool is_standard_output(const std::string& path);

// A file on its way. What is not committed leaves no trace, or, where the process is killed, a hidden file that the next run with the
// same output removes. Devices and pipes (/dev/null) are written in place.
class OutputFile {
 public:
  // Throws FileError where the file could not be written.
  OutputFile(std::string option, std::string path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  void write(std::string_view bytes);
  // Writes what is buffered, syncs it and gives the file its name.
  void commit();
  const std::string& path() const { return path_; }

 private:
  [[noreturn]] void fail(int error) const;
  void flush();

  std::string option_, path_, target_, buffer_;
  study::TemporaryPath temporary_;
  int device_ = -1;  // instead of a temporary file
};

}  // namespace fryer::cli
