// SPDX-License-Identifier: Apache-2.0
// See store_files.h.
#include "host/study/store_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include "fryer/core/error.h"
#include "host/text.h"

namespace fryer::study {
namespace {

std::string log_of(const std::string& file) { return file + "-wal"; }

}  // namespace

WriterLock::WriterLock(const std::string& path, const std::string& real) {
  struct stat status {};
  if (::stat(real.c_str(), &status) != 0) fail(path, std::strerror(errno));
  key_ = {status.st_dev, status.st_ino};
  {
    const std::lock_guard guard(mutex());
    if (!held().insert(key_).second) in_use(path);
  }
  descriptor_ = ::open(real.c_str(), O_RDWR | O_CLOEXEC);
  const bool opened = descriptor_ >= 0;
  if (opened && ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  const int error = errno;
  release();
  if (opened && error == EWOULDBLOCK) in_use(path);
  fail(path, std::strerror(error));
}

bool WriterLock::is_still_there(const std::string& real) const {
  struct stat status {};
  return ::stat(real.c_str(), &status) == 0 && key_ == std::pair(status.st_dev, status.st_ino);
}

std::mutex& WriterLock::mutex() {
  static std::mutex instance;
  return instance;
}

std::set<std::pair<dev_t, ino_t>>& WriterLock::held() {
  static std::set<std::pair<dev_t, ino_t>> instance;
  return instance;
}

void WriterLock::in_use(const std::string& path) {
  throw FileInUseError(
      fmt::format("{} is being written by another process; fryer study status may look at it meanwhile", shown_path(path)));
}

void WriterLock::fail(const std::string& path, const char* why) {
  throw FileError(fmt::format("cannot write {}: {}", shown_path(path), why));
}

void WriterLock::release() {
  if (descriptor_ >= 0) ::close(descriptor_);
  const std::lock_guard guard(mutex());
  held().erase(key_);
}

bool has_log(const std::string& file) {
  struct stat status {};
  return ::stat(log_of(file).c_str(), &status) == 0 && status.st_size > 0;
}

Copy::Copy(const std::string& real) {
  std::error_code error;
  const std::string place = (std::filesystem::temp_directory_path(error) / "study").string();
  if (!error) error.assign(folder_.make(place, TemporaryPath::Kind::folder), std::generic_category());
  if (error) {
    throw FileError(fmt::format("cannot read {} without a folder for temporary files: {}", shown_path(real), error.message()));
  }
  std::filesystem::copy_file(real, file(), error);
  if (!error) std::filesystem::copy_file(log_of(real), log_of(file()), error);
  if (error) throw FileError(fmt::format("cannot copy {} to read it: {}", shown_path(real), error.message()));
}

std::string uri_of(const std::string& real, const char* parameter) {
  std::string uri = "file:";
  for (const char c : real) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '.' ||
                       c == '-' || c == '_';
    uri += plain ? std::string(1, c) : fmt::format("%{:02x}", byte);
  }
  return fmt::format("{}?{}=1", uri, parameter);
}

std::string real_path(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    throw FileError(fmt::format("cannot open {}: {}", shown_path(path), std::strerror(errno)));
  if (!S_ISREG(status.st_mode)) {
    throw DamagedFileError(
        fmt::format("{} is not a study: it is {}", shown_path(path), S_ISDIR(status.st_mode) ? "a folder" : "not a file"));
  }
  const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
  if (resolved == nullptr) throw FileError(fmt::format("cannot open {}: {}", shown_path(path), std::strerror(errno)));
  return resolved.get();
}

}  // namespace fryer::study
