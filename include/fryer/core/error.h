// SPDX-License-Identifier: Apache-2.0
// The exceptions of the library. It throws, it never prints and never exits; the command line maps each type to an exit code.
#pragma once

#include <stdexcept>
#include <string>

namespace fryer {

// Base of everything fryer throws on purpose.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A setting that cannot be used: the message names the field, the value and what is accepted. Exit code 2.
class ConfigurationError : public Error {
 public:
  using Error::Error;
};

// A backend, instruction set or device that was asked for and is not available here. Exit code 3.
class DeviceError : public Error {
 public:
  using Error::Error;
};

// A file or stream that cannot be read or written. Exit code 4.
class FileError : public Error {
 public:
  using Error::Error;
};

// A file that can be read but is not what it should be: damaged, of another format, from a newer version. Exit code 5.
class DamagedFileError : public Error {
 public:
  using Error::Error;
};

// A file that another process is writing. Exit code 75.
class FileInUseError : public Error {
 public:
  using Error::Error;
};

// The computation itself failed: non-finite numbers, a contribution beyond its proved bound. Exit code 1.
class RunError : public Error {
 public:
  using Error::Error;
};

// The caller's stop token was set; what was finished is kept where the interface says so. Exit code 130 or 143.
class Stopped : public Error {
 public:
  Stopped() : Error("stopped before the end") {}
};

}  // namespace fryer
