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
#include "host/text.h"

namespace fryer::cli {
namespace {

constexpr std::size_t kLargestInput = std::size_t{1} << 30;
constexpr std::size_t kBuffer = std::size_t{1} << 20;

}  // namespace

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
      device_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
      if (device_ < 0) fail(errno);
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
  if (const int error = temporary_.make(target_, study::TemporaryPath::Kind::file); error != 0) fail(error);
  // It is private; the finished file has the rights that any new file gets, or those of the one it replaces.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(temporary_.descriptor(),
           S_ISREG(status.st_mode) ? status.st_mode & 07777 : 0666 & ~mask);  // some file systems have no rights to set
}

OutputFile::~OutputFile() {
  if (device_ >= 0) ::close(device_);
}

void OutputFile::fail(int error) const {
  throw FileError(fmt::format("{}: cannot write {}: {}", option_, shown(path_), std::strerror(error)));
}

void OutputFile::flush() {
  const int error = write_all(device_ >= 0 ? device_ : temporary_.descriptor(), buffer_);
  if (error != 0) fail(error);
  buffer_.clear();
}

void OutputFile::write(std::string_view bytes) {
  buffer_.append(bytes);
  if (buffer_.size() >= kBuffer) flush();
}

void OutputFile::commit() {
  flush();
  if (device_ < 0) {
    if (const int error = temporary_.move_to(target_); error != 0) fail(error);
    return;
  }
  if (const int error = study::sync_file(device_); error != 0) fail(error);
  const int closed = ::close(device_);
  device_ = -1;
  if (closed != 0) fail(errno);
}

}  // namespace fryer::cli
