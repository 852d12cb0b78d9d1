// SPDX-License-Identifier: Apache-2.0
// See fryer/engine/memory.h and memory_groups.h.
#include "fryer/engine/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>

#include "host/memory_groups.h"

namespace fryer {
namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();

// Everything before the next `end`, or all; `text` keeps what follows.
std::string_view take_until(std::string_view& text, char end) {
  const std::size_t at = text.find(end);
  const std::string_view taken = text.substr(0, at);
  text = at == std::string_view::npos ? "" : text.substr(at + 1);
  return taken;
}

bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    if (take_until(list, ',') == word) return true;
  }
  return false;
}

// Of "max", or of what is no number: none.
double limit_in(const std::optional<std::string>& text) {
  std::uint64_t bytes = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), bytes).ec != std::errc()) return kNone;
  return static_cast<double>(bytes);
}

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

double memory_of_groups(std::string_view own, const ReadText& read) {
  double least = kNone;
  while (!own.empty()) {
    std::string_view line = take_until(own, '\n');  // 0::/a/b of version 2, 7:cpu,memory:/a/b of version 1
    const std::string_view number = take_until(line, ':'), controllers = take_until(line, ':');
    const bool second = number == "0" && controllers.empty();
    if (!second && !has_word(controllers, "memory")) continue;
    const std::string place = second ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const char* const file = second ? "/memory.max" : "/memory.limit_in_bytes";
    // Within a container the group may stand at the top, whatever its own name says: names that are not there have no limit.
    for (std::string group(line);; group.resize(group.rfind('/'))) {
      if (group == "/") group.clear();
      least = std::min(least, limit_in(read(place + group + file)));
      if (group.find('/') == std::string::npos) break;
    }
  }
  return least;
}

static std::atomic<unsigned> rank_count{1}, rank_processors{0};
void set_ranks_of_machine(const RanksOfMachine& ranks) {
  rank_count = ranks.count;
  rank_processors = ranks.processors;
}
RanksOfMachine ranks_of_machine() { return {rank_count, rank_processors}; }

double usable_memory(unsigned processes) {
  static const double of_groups = memory_of_groups(read_text("/proc/self/cgroup").value_or(""), read_text);
  const double physical = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  rlimit limit{};
  const bool limited = getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  double left = kNone;
  if (limited) {
    // Unlike the others it counts addresses, of which the program and its libraries have many before anything runs.
    std::istringstream pages(read_text("/proc/self/statm").value_or("0"));
    double used = 0;
    pages >> used;
    left = std::max(0.0, static_cast<double>(limit.rlim_cur) - used * static_cast<double>(sysconf(_SC_PAGE_SIZE)));
  }
  return std::min({physical, of_groups, left * processes});
}

}  // namespace fryer
