// SPDX-License-Identifier: Apache-2.0
// Runs the program as a user would, for tests: its words in, its exit code, stdout and stderr out. A run that takes longer than two
// minutes is killed and counts as hung.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

extern char** environ;

namespace fryer::cli {

using Words = std::vector<std::string>;

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// A folder of the running test alone, deleted afterwards.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "fryer-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator{}));
  }

 private:
  std::filesystem::path path_;
};

struct Outcome {
  int code = -1;  // exit code; 1000 + the signal that ended it
  bool hung = false;
  std::string out, err;
  nlohmann::json document() const { return nlohmann::json::parse(out); }
};

struct RunOptions {
  std::vector<std::string> environment;  // NAME=VALUE, besides ours
  std::string stdout_path;               // instead of a file that is read back
  int signal = 0;                        // sent once stderr has its first line
  Words launcher = {};                   // a program, by its path, and words that come before ours
  int ignored_signal = 0;                // started with it ignored, as by nohup; sent a second before the other
};

inline Outcome run_program(const Words& words, const RunOptions& options = {}) {
  const Folder folder;
  const std::string out = options.stdout_path.empty() ? folder / "out" : options.stdout_path, err = folder / "err";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  Words all = options.launcher;
  all.emplace_back(FRYER_PROGRAM);
  all.insert(all.end(), words.begin(), words.end());
  const std::string& program = all[0];
  std::vector<char*> arguments, environment;
  for (std::string& word : all) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  for (char** variable = environ; *variable != nullptr; ++variable) environment.push_back(*variable);
  for (const std::string& variable : options.environment)
    environment.insert(environment.begin(), const_cast<char*>(variable.c_str()));
  environment.push_back(nullptr);

  Outcome outcome;
  pid_t child = 0;
  posix_spawnattr_t attributes;  // not what these tests were started with, in the background of a shell for instance
  posix_spawnattr_init(&attributes);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    if (signal != options.ignored_signal) sigaddset(&signals, signal);
  }
  posix_spawnattr_setsigdefault(&attributes, &signals);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  if (options.ignored_signal != 0) std::signal(options.ignored_signal, SIG_IGN);
  const int failed = posix_spawn(&child, program.c_str(), &actions, &attributes, arguments.data(), environment.data());
  if (options.ignored_signal != 0) std::signal(options.ignored_signal, SIG_DFL);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    ADD_FAILURE() << "cannot start " << program;
    return outcome;
  }
  const auto start = std::chrono::steady_clock::now();
  bool signalled = options.signal == 0;
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (!signalled && !read_bytes(err).empty()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      if (options.ignored_signal != 0) {
        kill(child, options.ignored_signal);
        std::this_thread::sleep_for(std::chrono::seconds(1));
      }
      kill(child, options.signal);
      signalled = true;
    }
    if (std::chrono::steady_clock::now() - start > std::chrono::minutes(2)) {
      outcome.hung = true;
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  if (options.stdout_path.empty()) outcome.out = read_bytes(out);
  outcome.err = read_bytes(err);
  return outcome;
}

inline std::string line_of(const Words& words) {
  std::string line = "fryer";
  for (const std::string& word : words) line += " '" + word + "'";
  return line;
}

}  // namespace fryer::cli
