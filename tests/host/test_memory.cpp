// SPDX-License-Identifier: Apache-2.0
// How much memory a process may have, by files of control groups as machines and containers have them.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <map>

#include "fryer/engine/memory.h"
#include "host/memory_groups.h"
#include "tests/engine/effort.h"

namespace fryer {
namespace {

double limit(const std::string& own, const std::map<std::string, std::string>& files) {
  return memory_of_groups(own, [&](const std::string& path) -> std::optional<std::string> {
    const auto found = files.find(path);
    return found == files.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(MemoryOfGroups, IsTheLeastOfAllAround) {
  const std::string own = "0::/user.slice/job\n";
  EXPECT_EQ(limit(own, {{"/sys/fs/cgroup/user.slice/job/memory.max", "4096000\n"}}), 4'096'000);
  EXPECT_EQ(
      limit(own, {{"/sys/fs/cgroup/user.slice/job/memory.max", "max\n"}, {"/sys/fs/cgroup/user.slice/memory.max", "1000\n"}}),
      1000);
  EXPECT_EQ(limit(own, {{"/sys/fs/cgroup/user.slice/job/memory.max", "10"}, {"/sys/fs/cgroup/user.slice/memory.max", "1000"}}),
            10);
}

TEST(MemoryOfGroups, WithinAContainerStandsAtTheTop) {
  EXPECT_EQ(limit("0::/\n", {{"/sys/fs/cgroup/memory.max", "77\n"}}), 77);
  EXPECT_EQ(limit("0::/../other\n", {{"/sys/fs/cgroup/memory.max", "77\n"}}), 77);
  EXPECT_EQ(limit("9:name=systemd:/docker/1f\n8:hugetlb,memory:/docker/1f\n0::/docker/1f\n",
                  {{"/sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648\n"}}),
            2147483648.0);
}

TEST(MemoryOfGroups, OfTheFirstVersionIsThatOfItsMemoryController) {
  const std::map<std::string, std::string> files = {{"/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "500\n"},
                                                    {"/sys/fs/cgroup/memory/b/memory.limit_in_bytes", "5\n"}};
  EXPECT_EQ(limit("3:memory:/a\n2:cpu,cpuacct:/b\n1:memoryless:/b\n", files), 500);
  EXPECT_GT(limit("3:memory:/a\n", {{"/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n"}}), 1e18);
}

TEST(MemoryOfGroups, IsInfiniteWhereNothingIsSaid) {
  for (const char* own : {"", "\n\n", ":", "0::", "0::/", "nonsense", "3:memory:\n", "0::/a/b\n"}) {
    EXPECT_TRUE(std::isinf(limit(own, {}))) << own;
    EXPECT_TRUE(std::isinf(limit(own, {{"/sys/fs/cgroup/memory.max", "max\n"}}))) << own;
    EXPECT_TRUE(std::isinf(limit(own, {{"/sys/fs/cgroup/memory.max", ""}}))) << own;
  }
}

TEST(UsableMemory, FollowsTheLimitOfTheProcess) {
  if (test::little_effort()) GTEST_SKIP() << "sanitizers need address space of their own";
  EXPECT_GT(usable_memory(), 1e6);
  EXPECT_LT(usable_memory(), 1e18);
  const pid_t child = ::fork();
  if (child == 0) {
    // What the process has already is taken off.
    constexpr rlim_t kLimit = 1'000'000'000;
    const rlimit small{kLimit, kLimit};
    ::setrlimit(RLIMIT_AS, &small);
    const double before = usable_memory();
    void* const more = ::mmap(nullptr, 100'000'000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const double taken = before - usable_memory();
    ::_exit(more != MAP_FAILED && before < kLimit && before > kLimit / 5 && taken > 99e6 && taken < 102e6 ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace fryer
