// SPDX-License-Identifier: Apache-2.0
// Threads that the system refuses: fewer are used, which is said, and a result has the same bits.
#include "host/startable_threads.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "fryer/engine/api.h"
#include "tests/engine/effort.h"

namespace fryer {
namespace {

// Room for no more than some tens of stacks.
void limit_memory() {
  std::ifstream statm("/proc/self/statm");
  rlim_t pages = 0;
  statm >> pages;
  const rlim_t limit = pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + (rlim_t{400} << 20);
  const rlimit small{limit, limit};
  ::setrlimit(RLIMIT_AS, &small);
}

// What the body returns, of a process of its own; -1 if that did not end by itself.
template <class Body>
int in_child(const Body& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::uint64_t digest(unsigned threads, BackendInfo& info) {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.threads = threads;
  const auto backend = make_backend(choice);
  info = backend->info();
  TrainConfiguration c;
  c.replicas = 20'000;
  return train(c, *backend).digest;
}

TEST(StartableThreads, AreAllWhereNothingIsRefused) {
  for (const unsigned wanted : {0u, 1u, 2u, 9u}) {
    const StartableThreads startable = startable_threads(wanted);
    EXPECT_EQ(startable.threads, std::max(wanted, 1u));
    EXPECT_EQ(startable.refusal, "");
  }
}

TEST(StartableThreads, AreFewerWhereMemoryIsLimited) {
  if (test::little_effort()) GTEST_SKIP() << "sanitizers need address space of their own";
  constexpr unsigned kThreads = 1000;
  EXPECT_EQ(in_child([] {
              limit_memory();
              const StartableThreads startable = startable_threads(kThreads);
              if (startable.threads < 1 || startable.threads >= kThreads / 2) return 1;
              return startable.refusal.empty() ? 2 : 0;
            }),
            0);
}

TEST(StartableThreads, RunsGoOnWithThemAndSaySo) {
  if (test::little_effort()) GTEST_SKIP() << "sanitizers need address space of their own";
  BackendInfo info;
  const std::uint64_t expected = digest(1, info);
  EXPECT_EQ(info.warning, "");
  EXPECT_EQ(in_child([&] {
              limit_memory();
              BackendInfo fewer;
              if (digest(1000, fewer) != expected) return 1;
              if (fewer.threads >= 500 || fewer.warning.find("of 1000 threads are used") == std::string::npos) return 2;
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace fryer
