// SPDX-License-Identifier: Apache-2.0
// See files.h.
#include "host/cli/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "host/cli/signals.h"
#include "host/study/new_file.h"
#include "host/text.h"

namespace fryer::cli {
namespace {

constexpr std::size_t kLargestInput = std::size_t{1} << 30;
constexpr std::size_t kBuffer = std::size_t{1} << 20;

}  // namespace

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

std::string read_file(const std::string& option, const std::string& path) {
  const auto fail = [&](const char* why) { throw FileError(fmt::format("{}: cannot read {}: {}", option, shown(path), why)); };
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);  // of a pipe it waits for the other end
  if (descriptor < 0 && errno == EINTR && stop_signal() != 0) throw Stopped();
  if (descriptor < 0) fail(std::strerror(errno));
  std::string bytes;
  std::string piece(kBuffer, '\0');
  int error = 0;
  while (error == 0 && bytes.size() <= kLargestInput) {
    const ssize_t got = ::read(descriptor, piece.data(), piece.size());
    if (got == 0) break;
    if (got > 0) {
      bytes.append(piece, 0, static_cast<std::size_t>(got));
    } else if (errno != EINTR) {
      error = errno;
    } else if (stop_signal() != 0) {
      ::close(descriptor);
      throw Stopped();
    }
  }
  ::close(descriptor);
  if (error != 0) fail(std::strerror(error));
  if (bytes.size() > kLargestInput) fail("it is larger than 1 GiB");
  return bytes;
}

bool is_same_file(const std::string& a, const std::string& b) {
  const auto resolved = [](const std::string& path) {
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(path, error);
    const std::filesystem::path canonical = error ? absolute : std::filesystem::weakly_canonical(absolute, error);
    return error ? std::filesystem::path(path) : canonical;  // a name that cannot be resolved is compared as it is
  };
  return resolved(a) == resolved(b);
}

bool is_standard_output(const std::string& path) {
  struct stat file {
  }, output{};
  return ::stat(path.c_str(), &file) == 0 && ::fstat(STDOUT_FILENO, &output) == 0 && file.st_dev == output.st_dev &&
         file.st_ino == output.st_ino;
}

OutputFile::OutputFile(std::string option, std::string path)
    : option_(std::move(option)), path_(std::move(path)), target_(path_) {
  struct stat status {};
  if (::stat(path_.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) fail(EISDIR);
    if (!S_ISREG(status.st_mode)) {
      descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
      if (descriptor_ < 0) fail(errno);
      return;
    }
    // An existing file that may not be written stays as it is, even where its directory would let us replace it.
    if (::access(path_.c_str(), W_OK) != 0) fail(errno);
    // A link keeps pointing to where it points; what it points to is replaced.
    const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path_.c_str(), nullptr), &std::free);
    if (resolved != nullptr) target_ = resolved.get();
  } else if (errno != ENOENT) {
    fail(errno);
  }
  if (path_.ends_with('/')) fail(EISDIR);
  temporary_ = study::hidden_name_beside(target_);
  descriptor_ = ::mkostemp(temporary_.data(), O_CLOEXEC);
  if (descriptor_ < 0) {
    const int error = errno;
    temporary_.clear();
    fail(error);
  }
  // mkostemp made it private; the finished file has the rights that any new file gets, or those of the one it replaces.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(descriptor_,
           S_ISREG(status.st_mode) ? status.st_mode & 07777 : 0666 & ~mask);  // some file systems have no rights to set
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void OutputFile::fail(int error) const {
  throw FileError(fmt::format("{}: cannot write {}: {}", option_, shown(path_), std::strerror(error)));
}

void OutputFile::flush() {
  const int error = write_all(descriptor_, buffer_);
  if (error != 0) fail(error);
  buffer_.clear();
}

void OutputFile::write(std::string_view bytes) {
  buffer_.append(bytes);
  if (buffer_.size() >= kBuffer) flush();
}

void OutputFile::commit() {
  flush();
  // A device or pipe has nothing to sync.
  if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP) fail(errno);
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) fail(errno);
  if (temporary_.empty()) return;
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail(errno);
  temporary_.clear();
  study::sync_folder_of(target_);
}

}  // namespace fryer::cli
