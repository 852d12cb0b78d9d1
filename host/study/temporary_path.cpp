// SPDX-License-Identifier: Apache-2.0
// See temporary_path.h.
#include "host/study/temporary_path.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

namespace fryer::study {
namespace {

constexpr std::string_view kRandom = "XXXXXX";  // what mkostemp(3) and mkdtemp(3) replace

// ".a.db.fryer-", which nobody else's file begins with.
std::string prefix_of(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
  return "." + name.substr(0, 200) + ".fryer-";
}

// Locks of files want them open for writing on NFS, where flock(2) is that of fcntl(2); folders never are. Or -1.
int open_existing(const std::string& name, TemporaryPath::Kind kind) {
  const int flags = kind == TemporaryPath::Kind::folder ? O_RDONLY | O_DIRECTORY : O_RDWR | O_NONBLOCK;  // a pipe does not block
  return ::open(name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC);
}

bool is_named(int descriptor, const std::string& name) {
  struct stat opened {
  }, named{};
  return ::fstat(descriptor, &opened) == 0 && ::lstat(name.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

void remove_all(const std::string& name) {
  std::error_code ignored;
  std::filesystem::remove_all(name, ignored);
}

void remove_if_stale(const std::string& name, TemporaryPath::Kind kind) {
  const int descriptor = open_existing(name, kind);
  if (descriptor < 0) return;
  struct stat status {};
  const bool ours =
      ::fstat(descriptor, &status) == 0 && status.st_uid == ::geteuid() && (S_ISDIR(status.st_mode) || S_ISREG(status.st_mode));
  if (ours && ::flock(descriptor, LOCK_EX | LOCK_NB) == 0) remove_all(name);
  ::close(descriptor);
}

}  // namespace

TemporaryPath::~TemporaryPath() {
  if (!name_.empty()) remove_all(name_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

int TemporaryPath::make(const std::string& path, Kind kind) {
  remove_stale(path, kind);
  for (;;) {
    std::string name = folder_of(path) + "/" + prefix_of(path);
    name += kRandom;
    int descriptor;
    if (kind == Kind::file) {
      descriptor = ::mkostemp(name.data(), O_CLOEXEC);
      if (descriptor < 0) return errno;
    } else {
      if (::mkdtemp(name.data()) == nullptr) return errno;
      descriptor = open_existing(name, kind);
      if (descriptor < 0) {
        const int error = errno;
        if (error == ENOENT) continue;  // as below
        ::rmdir(name.c_str());
        return error;
      }
    }
    while (::flock(descriptor, LOCK_EX) != 0 && errno == EINTR) {
    }
    // Until the lock was there another process may have taken it for one that was left behind.
    if (is_named(descriptor, name)) {
      name_ = std::move(name);
      descriptor_ = descriptor;
      return 0;
    }
    ::close(descriptor);
  }
}

int TemporaryPath::move_to(const std::string& target) {
  if (const int error = sync_file(descriptor_); error != 0) return error;
  if (::rename(name_.c_str(), target.c_str()) != 0) return errno;
  name_.clear();
  ::close(std::exchange(descriptor_, -1));
  sync_folder_of(target);
  return 0;
}

void TemporaryPath::remove_stale(const std::string& path, Kind kind) {
  const std::string prefix = prefix_of(path);
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder_of(path), error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(prefix) && name.size() == prefix.size() + kRandom.size()) remove_if_stale(entry->path().string(), kind);
  }
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

int write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

int sync_file(int descriptor) {
  if (::fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP) return 0;
  return errno;
}

void sync_folder_of(const std::string& path) {
  const int descriptor = ::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace fryer::study
