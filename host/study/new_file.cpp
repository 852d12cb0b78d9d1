// SPDX-License-Identifier: Apache-2.0
// See new_file.h.
#include "host/study/new_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "fryer/core/error.h"
#include "host/text.h"

namespace fryer::study {
namespace {

[[noreturn]] void fail(const std::string& path, const char* why) {
  throw FileError(fmt::format("cannot write {}: {}", shown_path(path), why));
}

constexpr const char* kExists = "it exists already";

// 0 or errno.
int sync(const std::string& path, int flags) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  if (descriptor < 0) return errno;
  const int error = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  return error;
}

}  // namespace

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::string hidden_name_beside(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
  return folder_of(path) + "/." + name.substr(0, 200) + ".XXXXXX";
}

void sync_folder_of(const std::string& path) { sync(folder_of(path), O_DIRECTORY); }

NewFile::NewFile(const std::string& path) : path_(path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) fail(path, kExists);
  if (errno != ENOENT) fail(path, std::strerror(errno));
  if (path.empty() || path.ends_with('/')) fail(path, "it is not a file's name");
  constexpr std::size_t kMostName = 255 - 8;  // with SQLite's -journal behind it
  if (path.size() - (path.rfind('/') + 1) > kMostName) fail(path, "its name is too long: at most 247 bytes");
  const std::string log = path + "-wal";
  if (::stat(log.c_str(), &status) == 0 && status.st_size > 0) {
    fail(path, fmt::format("{} is left over from a file that is gone; move it away", shown_path(log)).c_str());
  }
  std::string folder = hidden_name_beside(path);
  if (::mkdtemp(folder.data()) == nullptr) fail(path, std::strerror(errno));
  folder_ = folder;
  inside_ = folder_ + "/study.db";
}

NewFile::~NewFile() {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

void NewFile::publish() {
  struct stat log {};
  if (::stat((inside_ + "-wal").c_str(), &log) == 0 && log.st_size > 0) fail(path_, "its log could not be folded into it");
  if (const int error = sync(inside_, 0); error != 0) fail(path_, std::strerror(error));
  int error = ::renameat2(AT_FDCWD, inside_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
  // Not every file system can refuse to replace; a hard link refuses too. The folder's end removes the other name.
  if (error == EINVAL || error == ENOSYS) error = ::link(inside_.c_str(), path_.c_str()) == 0 ? 0 : errno;
  if (error == EEXIST) fail(path_, kExists);
  if (error != 0) fail(path_, std::strerror(error));
  sync_folder_of(path_);
}

}  // namespace fryer::study
