// SPDX-License-Identifier: Apache-2.0
// See ranks.h: what does not depend on who connects the ranks.
#include "host/ranks/ranks.h"

#include <fmt/format.h>

#include <cstdlib>
#include <new>
#include <thread>
#include <vector>

namespace fryer::ranks {

static constexpr int kStoppedCode = 130;

Outcome outcome_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const RankError& e) {
    return {e.code(), e.what()};
  } catch (const Stopped& e) {
    return {kStoppedCode, e.what()};
  } catch (const ConfigurationError& e) {
    return {2, e.what()};
  } catch (const DeviceError& e) {
    return {3, e.what()};
  } catch (const FileError& e) {
    return {4, e.what()};
  } catch (const DamagedFileError& e) {
    return {5, e.what()};
  } catch (const FileInUseError& e) {
    return {75, e.what()};
  } catch (const std::bad_alloc&) {
    return {1, "out of memory: more than this process may have (of the machine, ulimit -v, or a control group)"};
  } catch (const std::exception& e) {
    return {1, e.what()};
  }
}

void Ranks::agree(const Outcome& own) {
  ++agreements_;
  std::vector<std::int64_t> codes(static_cast<std::size_t>(count()));
  codes[static_cast<std::size_t>(rank())] = own.code;
  sum(codes);
  for (int i = 0; i < count(); ++i) {
    const auto code = static_cast<int>(codes[static_cast<std::size_t>(i)]);
    if (code == 0) continue;
    std::string message = own.message;
    broadcast(message, i);
    part();
    if (code == kStoppedCode) throw Stopped();
    throw RankError({code, i == 0 ? message : fmt::format("rank {}: {}", i, message)});
  }
}

void Ranks::abort(int code) {
  end_all(code);
  std::_Exit(code);
}

Ranks::Message Ranks::wait() {
  for (;;) {
    if (auto message = receive()) return std::move(*message);
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

}  // namespace fryer::ranks
