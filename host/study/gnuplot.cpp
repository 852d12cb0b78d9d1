// SPDX-License-Identifier: Apache-2.0
// See gnuplot.h. The script is the child's standard input as a file in memory; its two outputs are read together, so that neither can
// block, until both end or the time is over.
#include "host/study/gnuplot.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "fryer/core/error.h"
#include "host/study/html.h"

namespace fryer::study {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { close(); }
  int get() const { return number_; }
  void close() {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }

 private:
  int number_;
};

[[noreturn]] void fail(const char* what) { throw Error(fmt::format("gnuplot: {}: {}", what, std::strerror(errno))); }

struct Pipe {
  Descriptor read, write;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe");
    read = Descriptor(ends[0]);
    write = Descriptor(ends[1]);
  }
};

// The script as a file in memory, so that writing it can neither block nor raise SIGPIPE.
Descriptor script_file(const std::string& script) {
  Descriptor file(::memfd_create("plot", MFD_CLOEXEC));
  if (file.get() < 0) fail("memfd_create");
  for (std::size_t written = 0; written < script.size();) {
    const ssize_t n = ::write(file.get(), script.data() + written, script.size() - written);
    if (n < 0 && errno != EINTR) fail("write");
    if (n > 0) written += static_cast<std::size_t>(n);
  }
  if (::lseek(file.get(), 0, SEEK_SET) != 0) fail("lseek");
  return file;
}

// This process's environment in the C locale (with UTF-8).
std::vector<std::string> child_environment() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    if (!text.starts_with("LC_") && !text.starts_with("LANG") && !text.starts_with("GNUTERM=")) variables.emplace_back(text);
  }
  variables.emplace_back("LC_ALL=C.UTF-8");
  return variables;
}

// A child that is killed and waited for if nobody did.
class Child {
 public:
  Child(const std::string& program, int in, int out, int messages) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, in, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, messages, 2);
    // What this process blocks or ignores is its own affair.
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    std::array<std::string, 2> arguments = {"gnuplot", "--default-settings"};
    char* argv[] = {arguments[0].data(), arguments[1].data(), nullptr};
    std::vector<std::string> environment = child_environment();
    std::vector<char*> envp;
    for (std::string& variable : environment) envp.push_back(variable.data());
    envp.push_back(nullptr);
    const int error = ::posix_spawn(&pid_, program.c_str(), &actions, &attributes, argv, envp.data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) {
      pid_ = -1;
      errno = error;
      fail(program.c_str());
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ < 0) return;
    ::kill(-pid_, SIGKILL);  // its group: what it has started too
    wait();
  }
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
};

// One line of at most 300 bytes from what gnuplot said: the lines that say something, without the place it points to.
std::string one_line(const std::string& messages) {
  std::string line;
  for (const char c : messages) {
    const bool space = c == '\n' || c == ' ' || c == '\t' || c == '^';
    if (!space) line += c;
    if (space && !line.empty() && line.back() != ' ') line += ' ';
  }
  while (line.ends_with(' ')) line.pop_back();
  return line.size() > 300 ? line.substr(0, 300) + " ..." : line;
}

std::string quoted(std::string_view text, bool percent_is_format) {
  std::string result = "'";
  for (const char c : clean_text(text)) {
    if (c == '\'') {
      result += "\u2019";
    } else {
      if (c == '%' && percent_is_format) result += '%';
      result += c == '\n' || c == '\t' ? ' ' : c;
    }
  }
  return result + "'";
}

}  // namespace

std::string require_gnuplot() {
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
  std::error_code ignored;  // a folder that is not there has no gnuplot
  while (true) {
    const std::size_t end = rest.find(':');
    const std::string_view folder = rest.substr(0, end);
    const std::string program = fmt::format("{}/gnuplot", folder.empty() ? "." : folder);
    if (std::filesystem::is_regular_file(program, ignored) && ::access(program.c_str(), X_OK) == 0) return program;
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  throw Error("gnuplot was not found; to install: apt-get install gnuplot-nox");
}

GnuplotOutput run_gnuplot(const std::string& script, std::chrono::milliseconds limit, const std::atomic<bool>* stop) {
  using Clock = std::chrono::steady_clock;
  const std::string program = require_gnuplot();
  const Clock::time_point end = Clock::now() + limit;
  const Descriptor input = script_file(script);
  Pipe output, messages;
  Child child(program, input.get(), output.write.get(), messages.write.get());
  output.write.close();
  messages.write.close();

  GnuplotOutput result;
  const std::pair<Descriptor*, std::string*> streams[] = {{&output.read, &result.output}, {&messages.read, &result.messages}};
  std::vector<char> buffer(1 << 16);
  while (output.read.get() >= 0 || messages.read.get() >= 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) throw Error(fmt::format("gnuplot took longer than {} ms: {}", limit.count(), one_line(result.messages)));
    if (stop != nullptr && stop->load()) throw Stopped();
    pollfd waited[2];
    for (std::size_t i = 0; i < 2; ++i) waited[i] = {streams[i].first->get(), POLLIN, 0};
    if (::poll(waited, 2, static_cast<int>(std::min<long long>(left, 100))) < 0 && errno != EINTR) fail("poll");
    for (std::size_t i = 0; i < 2; ++i) {
      if (waited[i].fd < 0 || waited[i].revents == 0) continue;
      const ssize_t n = ::read(waited[i].fd, buffer.data(), buffer.size());
      if (n > 0) streams[i].second->append(buffer.data(), static_cast<std::size_t>(n));
      if (n == 0) streams[i].first->close();
      if (n < 0 && errno != EINTR) fail("read");
    }
  }
  const int status = child.wait();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw Error(fmt::format("gnuplot failed ({} {}): {}", WIFSIGNALED(status) ? "signal" : "exit code",
                            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), one_line(result.messages)));
  }
  return result;
}

std::string gnuplot_string(std::string_view text) { return quoted(text, false); }
std::string gnuplot_tic(std::string_view text) { return quoted(text, true); }

}  // namespace fryer::study
