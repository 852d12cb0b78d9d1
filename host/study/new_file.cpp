// SPDX-License-Identifier: Apache-2.0
// See new_file.h.
#include "host/study/new_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "fryer/core/error.h"
#include "host/study/store_files.h"
#include "host/text.h"

namespace fryer::study {
namespace {

[[noreturn]] void fail(const std::string& path, const char* why) {
  throw FileError(fmt::format("cannot write {}: {}", shown_path(path), why));
}

constexpr const char* kExists = "it exists already";

// 0 or errno.
int sync(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return errno;
  const int error = sync_file(descriptor);
  ::close(descriptor);
  return error;
}

}  // namespace

NewFile::NewFile(const std::string& path) : path_(path) {
  TemporaryPath::remove_stale(path, TemporaryPath::Kind::folder);  // also beside a file that got its name just before a kill
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) fail(path, kExists);
  if (errno != ENOENT) fail(path, std::strerror(errno));
  if (path.empty() || path.ends_with('/')) fail(path, "it is not a file's name");
  constexpr std::size_t kMostName = 255 - kUnfinishedSuffix.size();  // the longest
  if (path.size() - (path.rfind('/') + 1) > kMostName)
    fail(path, fmt::format("its name is too long: at most {} bytes", kMostName).c_str());
  const std::string log = path + "-wal";
  if (::stat(log.c_str(), &status) == 0 && status.st_size > 0) {
    fail(path, fmt::format("{} is left over from a file that is gone; move it away", shown_path(log)).c_str());
  }
  if (const int error = folder_.make(path, TemporaryPath::Kind::folder); error != 0) fail(path, std::strerror(error));
  inside_ = folder_.name() + "/study.db";
}

void NewFile::publish() {
  struct stat log {};
  if (::stat((inside_ + "-wal").c_str(), &log) == 0 && log.st_size > 0) fail(path_, "its log could not be folded into it");
  if (const int error = sync(inside_); error != 0) fail(path_, std::strerror(error));
  int error = ::renameat2(AT_FDCWD, inside_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
  // Not every file system can refuse to replace; a hard link refuses too. The folder's end removes the other name.
  if (error == EINVAL || error == ENOSYS) error = ::link(inside_.c_str(), path_.c_str()) == 0 ? 0 : errno;
  if (error == EEXIST) fail(path_, kExists);
  if (error != 0) fail(path_, std::strerror(error));
  sync_folder_of(path_);
}

}  // namespace fryer::study
