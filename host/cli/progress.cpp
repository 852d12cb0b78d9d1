// SPDX-License-Identifier: Apache-2.0
// See progress.h.
#include "host/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "host/cli/files.h"
#include "host/text.h"

namespace fryer::cli {

ProgressMeter::ProgressMeter(const Console& console, bool quiet, std::string unit, double scale)
    : console_(console), quiet_(quiet || console.silent), unit_(std::move(unit)), scale_(scale) {
  next_ = start_ + (console.err.interactive ? std::chrono::milliseconds(500) : std::chrono::milliseconds(10'000));
}

Progress ProgressMeter::callback() {
  return [this](std::uint64_t finished, std::uint64_t planned) {
    show(static_cast<double>(finished), static_cast<double>(planned));
  };
}

void ProgressMeter::show(double finished, double planned, double earlier, const std::string& note) {
  if (!(planned > 0)) return;
  share_ = finished / planned;
  const Clock::time_point now = Clock::now();
  if (quiet_ || now < next_) return;
  next_ = now + (console_.err.interactive ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10'000));
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double gained = std::max(finished - earlier, 0.0);
  const std::string left = gained > 0 ? fmt::format("  {} left", human_seconds(seconds * (planned - finished) / gained)) : "";
  const std::string text =
      fmt::format("{:5.1f} %  {}{}{}", share_ * 100, human_rate(gained * scale_ / seconds, unit_), left, note);
  if (!console_.err.interactive) {
    console_.note(fmt::format("fryer: {}", text));
    return;
  }
  const std::size_t room = console_.err.width - std::min(console_.err.width - 6, text.size() + 5);
  const std::string filled = bar(share_ * static_cast<double>(room), room);
  const auto used = static_cast<std::size_t>(share_ * static_cast<double>(room) + 0.9375);
  write_all(STDERR_FILENO, fmt::format("\r\x1b[K{}{} {}", paint(console_.err, Style::bar, filled),
                                       std::string(room - std::min(room, used), ' '), text));
  drawn_ = true;
}

void ProgressMeter::tell(const std::string& line) {
  clear();
  console_.note(line);
}

void ProgressMeter::clear() {
  if (drawn_) write_all(STDERR_FILENO, "\r\x1b[K");
  drawn_ = false;
}

}  // namespace fryer::cli
