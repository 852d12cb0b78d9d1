// SPDX-License-Identifier: Apache-2.0
// See rank_backend.h. MPI is the calling thread's: what lasts runs on a thread of its own, and the calling one looks for messages. The letters
// that messages begin with are listed at kWork and below.
#include "host/ranks/rank_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "host/bytes.h"
#include "host/digest.h"
#include "host/forwarding_backend.h"
#include "host/ranks/beside.h"
#include "host/ranks/population_bytes.h"
#include "host/split_work.h"
#include "host/statistics.h"

namespace fryer::ranks {
namespace {

using Message = Ranks::Message;

// Messages. From the root: rows to train (first, count); nothing more to do; leave what you do.
constexpr char kWork = 'w', kDismissed = 'd', kStop = 's';
// To it: what a part's rows came to (first, count, bytes); how far they are; I was stopped; I failed (code, why).
constexpr char kRows = 'r', kProgress = 'p', kStopped = 'S', kFailed = 'f';
// From anyone to all while they play episodes: I was stopped or failed, so the rest of this is of no use.
constexpr char kInVain = 'v';

// How often policies are compared, in batches.
constexpr std::uint64_t kBetweenComparisons = 64;
constexpr std::chrono::milliseconds kBetweenReports{200};
// How an environment's or policy's episodes are cut: parts are no smaller than `least`, and one below `lasting` takes well under a second and
// is not worth a thread beside the one that looks for messages.
struct EpisodeParts {
  std::uint64_t least, lasting;
};
constexpr std::uint64_t kLastingOneStepEpisodes = std::uint64_t{1} << 24;
std::uint64_t lasting_episodes(std::uint32_t max_steps, int parameters) {
  constexpr std::uint64_t kLastingWork = std::uint64_t{1}
                                         << 27;  // steps times parameters; a core does some 10^9 to 10^10 a second
  return std::max<std::uint64_t>(1, kLastingWork / (std::uint64_t{max_steps} * static_cast<std::uint64_t>(parameters)));
}

std::vector<float> parameters_of(const EpisodeWork& work) { return {work.policy.weight[0], work.policy.bias}; }
std::vector<float> parameters_of(const CartPoleWork& work) {
  std::vector<float> all(std::begin(work.policy.weight), std::end(work.policy.weight));
  all.push_back(work.policy.bias);
  return all;
}
std::vector<float> parameters_of(const HiddenWork& work) {
  return {work.policy.parameter, work.policy.parameter + work.policy.shape().parameters()};
}

std::uint64_t hash_of(const std::vector<float>& parameters, std::uint64_t first) {
  std::vector<std::uint64_t> words{first};
  for (const float x : parameters) words.push_back(to_bits(x));
  return hash_words(words);
}

// Sums as the integers that they are.
template <class Sums>
void append(std::vector<std::int64_t>& numbers, const Sums& sums) {
  static_assert(std::is_trivially_copyable_v<Sums> && sizeof(Sums) % sizeof(std::int64_t) == 0);
  const std::size_t at = numbers.size();
  numbers.resize(at + sizeof(Sums) / sizeof(std::int64_t));
  std::memcpy(numbers.data() + at, &sums, sizeof(Sums));
}
inline void append(std::vector<std::int64_t>& numbers, const std::vector<std::uint64_t>& counts) {
  for (const std::uint64_t count : counts) numbers.push_back(static_cast<std::int64_t>(count));
}
// And back: added to `zero`, which normalises limbs as any other sum does.
template <class Sums>
Sums sums_from(const std::int64_t* numbers, Sums zero) {
  Sums sums;
  std::memcpy(static_cast<void*>(&sums), numbers, sizeof(Sums));
  add_part(zero, sums);
  return zero;
}
inline std::vector<std::uint64_t> sums_from(const std::int64_t* numbers, std::vector<std::uint64_t> zero) {
  for (std::uint64_t& count : zero) count = static_cast<std::uint64_t>(*numbers++);
  return zero;
}

class RankBackend final : public ForwardingBackend<RankBackend> {
 public:
  RankBackend(std::unique_ptr<Backend> local, Ranks& ranks, const LeastPart& least)
      : local_(std::move(local)), ranks_(ranks), info_(info_of_ranks(local_->info(), ranks)) {
    // All cut alike: as the root would.
    std::array<std::int64_t, 4> numbers{};
    if (ranks.is_root()) {
      numbers = {static_cast<std::int64_t>(least.rows), static_cast<std::int64_t>(least.episodes),
                 static_cast<std::int64_t>(least.one_step_episodes), static_cast<std::int64_t>(least.learners)};
    }
    ranks.sum(numbers);
    least_ = {static_cast<std::uint64_t>(numbers[0]), static_cast<std::uint64_t>(numbers[1]),
              static_cast<std::uint64_t>(numbers[2]), static_cast<std::uint64_t>(numbers[3])};
  }

  const BackendInfo& info() const override { return info_; }

 private:
  friend ForwardingBackend<RankBackend>;
  template <class Work, class Play>
  auto gradient_of(const Work& work, NumberRange episodes, const RunControl& control, const Play& play) {
    using Sums = std::invoke_result_t<Play, Backend&, NumberRange, const RunControl&>;
    compare(work, episodes.first);
    return over_episodes(Sums(), episodes, parts_of(work), control, play);
  }
  template <class Work, class Play>
  auto counts_of(const Work& work, NumberRange episodes, const RunControl& control, const Play& play) {
    return over_episodes(no_outcomes(work), episodes, parts_of(work), control, play);
  }
  template <class Request>
  Population train_all(const Request& request, const RunControl& control) {
    return train_parts(request, std::is_same_v<Request, QTrainRequest> ? least_.learners : least_.rows, control);
  }

  static std::array<std::uint64_t, FryShack::kOutcomes> no_outcomes(const EpisodeWork&) { return {}; }
  template <class Policy>
  static std::vector<std::uint64_t> no_outcomes(const CartPoleWorkOf<Policy>& work) {
    return std::vector<std::uint64_t>(outcome_count(work.game.max_steps));
  }
  static std::vector<std::uint64_t> no_outcomes(const QEpisodeWork& work) {
    return std::vector<std::uint64_t>(outcome_count(work.episodes.max_steps));
  }

  // ---- episodes: every rank plays a part, and gets the sums of all

  EpisodeParts parts_of(const EpisodeWork&) const { return {least_.one_step_episodes, kLastingOneStepEpisodes}; }
  template <class Policy>
  EpisodeParts parts_of(const CartPoleWorkOf<Policy>& work) const {
    return {least_.episodes, lasting_episodes(work.game.max_steps, work.policy.shape().parameters())};
  }
  EpisodeParts parts_of(const QEpisodeWork& work) const {
    return {least_.episodes, lasting_episodes(work.episodes.max_steps, work.shape.parameters())};
  }

  // Ranks that step the same optimizer must have the same policy.
  template <class Work>
  void compare(const Work& work, std::uint64_t first) {
    if (!ranks_.together() || batches_++ % kBetweenComparisons != 0) return;
    const std::vector<float> parameters = parameters_of(work);
    std::vector<std::int64_t> hashes(static_cast<std::size_t>(ranks_.count()));
    hashes[static_cast<std::size_t>(ranks_.rank())] = static_cast<std::int64_t>(hash_of(parameters, first));
    ranks_.sum(hashes);
    for (std::size_t i = 1; i < hashes.size(); ++i) {
      if (hashes[i] == hashes[0]) continue;
      ranks_.part();
      throw RankError({1, fmt::format("rank {} has other parameters than rank 0 before batch {}: a defect of the program or of a "
                                      "machine; the result would depend on the number of ranks",
                                      i, batches_)});
    }
  }

  template <class Sums, class Play>
  Sums over_episodes(const Sums& zero, NumberRange episodes, const EpisodeParts& how, const RunControl& control,
                     const Play& play) {
    if (!ranks_.together()) return play(*local_, episodes, control);
    const auto count = static_cast<std::uint64_t>(ranks_.count());
    const std::vector<NumberRange> parts = cut(episodes, std::clamp<std::uint64_t>(episodes.count / how.least, 1, count));
    const auto own = static_cast<std::size_t>(ranks_.rank());
    Sums sums = zero;
    std::exception_ptr error;
    bool stopped = own >= parts.size() && is_set(control.stop);  // a rank without a part of its own is asked too
    if (own < parts.size()) {
      const bool is_long = parts[own].count >= how.lasting;
      try {
        sums = is_long ? beside_messages<Sums>(parts[own], episodes.count, control, play)
                       : play(*local_, parts[own], RunControl{control.stop, nullptr, nullptr});
      } catch (const Stopped&) {
        stopped = true;
      } catch (...) {
        error = std::current_exception();
      }
      if (is_long && (stopped || error)) tell_others(std::string(1, kInVain));
    }
    numbers_.clear();
    append(numbers_, sums);
    numbers_.push_back(stopped);
    numbers_.push_back(error != nullptr);
    ranks_.sum(numbers_);
    const std::size_t end = numbers_.size();
    if (numbers_[end - 1] != 0) ranks_.agree(error ? outcome_of(error) : Outcome());
    if (numbers_[end - 2] != 0) {
      ranks_.part();
      throw Stopped();
    }
    if (control.progress) control.progress(episodes.count, episodes.count);
    return sums_from(numbers_.data(), zero);
  }

  // Plays a part, and leaves it when another rank says that it is in vain.
  template <class Sums, class Play>
  Sums beside_messages(NumberRange part, std::uint64_t all, const RunControl& control, const Play& play) {
    StopToken stop{false};
    std::atomic<std::uint64_t> finished{0};
    Sums sums;
    beside(
        [&] {
          sums = play(*local_, part, RunControl{&stop, [&](std::uint64_t n, std::uint64_t) { finished = n; }, nullptr});
        },
        [&] {
          if (is_set(control.stop)) stop = true;
          while (const auto message = ranks_.receive()) stop = stop || message->bytes[0] == kInVain;
          // The others are as far, about.
          if (control.progress && part.count != 0)
            control.progress(static_cast<std::uint64_t>(static_cast<double>(all) * static_cast<double>(finished.load()) /
                                                        static_cast<double>(part.count)),
                             all);
        },
        stop);
    return sums;
  }

  void tell_others(const std::string& message) {
    for (int to = 0; to < ranks_.count(); ++to) {
      if (to != ranks_.rank()) ranks_.send(to, message);
    }
  }

  // ---- replicas: the root hands out parts; rank i begins with part i

  template <class Request>
  Population train_parts(const Request& request, std::uint64_t least, const RunControl& control) {
    if (!ranks_.together()) return local_->train(request, control);
    const std::uint64_t rows = rows_of(request);
    const auto count = static_cast<std::uint64_t>(ranks_.count());
    if constexpr (requires { request.states; }) {
      if (request.states != nullptr) throw Error("trainings that may be left are for one rank's own devices");
    }
    const std::vector<NumberRange> parts = cut_for_takers({0, rows}, count, least);
    if (!ranks_.is_root()) serve(request, parts, control);  // until it is dismissed
    if (parts.size() == 1) {
      ranks_.part();
      return local_->train(request, control);
    }
    Population population = hand_out(request, parts, control);
    complete_population(request, population);
    return population;
  }

  template <class Request>
  Population hand_out(const Request& request, const std::vector<NumberRange>& parts, const RunControl& control) {
    const std::size_t served = std::min(static_cast<std::size_t>(ranks_.count()), parts.size());
    JoinedPopulation joined(first_seed_of(request), rows_of(request));
    std::mutex mutex;  // of joined and next
    std::size_t next = served;
    const auto take = [&]() -> const NumberRange* {
      const std::lock_guard lock(mutex);
      return next < parts.size() ? &parts[next++] : nullptr;
    };
    std::uint64_t planned = 0;
    for (const NumberRange& part : parts) planned += planned_work(part_of(request, part)).planned;
    std::atomic<std::uint64_t> own_finished{0};
    std::vector<std::uint64_t> finished(served);  // of each rank
    std::vector<NumberRange> handed(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(served));
    StopToken stop{false};
    std::exception_ptr error;
    bool told_to_stop = false;
    std::size_t busy = served - 1;  // other ranks
    const auto fail = [&](const std::exception_ptr& why) {
      if (!error) error = why;
      stop = true;
    };
    const auto answer = [&](int to) {
      const NumberRange* const part = is_set(&stop) ? nullptr : take();
      std::string message(1, part != nullptr ? kWork : kDismissed);
      if (part != nullptr) {
        handed[static_cast<std::size_t>(to)] = *part;
        put(message, part->first);
        put(message, part->count);
      } else {
        --busy;
      }
      ranks_.send(to, std::move(message));
    };
    const auto heed = [&](const Message& message) {
      Reader reader(message.bytes, "a rank's message");
      const auto from = static_cast<std::size_t>(message.from);
      switch (reader.number<char>()) {
        case kRows: {
          const auto first = reader.number<std::uint64_t>(), count = reader.number<std::uint64_t>();
          finished[from] = reader.number<std::uint64_t>();
          try {
            const NumberRange own = handed[from];
            if (first != own.first || count != own.count)
              throw RunError(fmt::format("rank {} trained other rows than it was handed: a defect of the program", from));
            Population part = population_from(reader.take(reader.left()));
            const std::lock_guard lock(mutex);
            joined.add({first, count}, std::move(part));
          } catch (...) {  // no memory for it
            fail(std::current_exception());
          }
          return answer(message.from);
        }
        case kProgress:
          finished[from] = reader.number<std::uint64_t>();
          return;
        case kStopped:
          fail(std::make_exception_ptr(Stopped()));
          return answer(message.from);
        case kFailed: {
          const auto code = reader.number<std::int32_t>();
          fail(std::make_exception_ptr(RankError({code, fmt::format("rank {}: {}", from, reader.take(reader.left()))})));
          return answer(message.from);
        }
      }
    };
    const auto look = [&] {
      if (is_set(control.stop)) stop = true;
      if (is_set(&stop) && !told_to_stop) {
        told_to_stop = true;
        for (std::size_t to = 1; to < served; ++to) ranks_.send(static_cast<int>(to), std::string(1, kStop));
      }
      while (const auto message = ranks_.receive()) heed(*message);
      if (!control.progress) return;
      std::uint64_t sum = own_finished;
      for (std::size_t i = 1; i < served; ++i) sum += finished[i];
      control.progress(sum, planned);
    };
    beside(
        [&] {
          std::uint64_t behind = 0;
          for (const NumberRange* part = parts.data(); part != nullptr && !is_set(&stop); part = take()) {
            const Request own = part_of(request, *part);
            const std::uint64_t whole = planned_work(own).planned;
            Population rows = local_->train(own, RunControl{&stop, share_of(whole, behind, own_finished), nullptr});
            own_finished = behind += whole;
            const std::lock_guard lock(mutex);
            joined.add(*part, std::move(rows));
          }
        },
        look, stop, &error);
    while (busy != 0) {  // what fails from here on ends all: the others wait
      if (error) stop = true;
      look();
      std::this_thread::sleep_for(Ranks::kBetweenLooks);
    }
    ranks_.part();
    if (error) std::rethrow_exception(error);
    if (is_set(&stop)) throw Stopped();
    if (control.progress) control.progress(planned, planned);
    return joined.take();
  }

  // How much of `whole`, behind which others lie, is finished; a device may plan in units of its own.
  static Progress share_of(std::uint64_t whole, std::uint64_t behind, std::atomic<std::uint64_t>& finished) {
    return [whole, behind, &finished](std::uint64_t n, std::uint64_t planned) {
      const double share = static_cast<double>(n) / static_cast<double>(std::max<std::uint64_t>(planned, 1));
      finished = behind + static_cast<std::uint64_t>(share * static_cast<double>(whole));
    };
  }

  [[noreturn]] void be_dismissed() {
    ranks_.part();
    throw Dismissed();
  }

  // Trains what the root hands out.
  template <class Request>
  [[noreturn]] void serve(const Request& request, const std::vector<NumberRange>& parts, const RunControl& control) {
    const auto own = static_cast<std::size_t>(ranks_.rank());
    if (own >= parts.size()) be_dismissed();
    NumberRange part = parts[own];
    std::uint64_t behind = 0;
    for (;;) {
      const Request rows = part_of(request, part);
      const std::uint64_t whole = planned_work(rows).planned;
      StopToken stop{false};
      std::atomic<std::uint64_t> finished{behind};
      auto last_told = std::chrono::steady_clock::now();
      std::string message;
      try {
        Population population;
        beside(
            [&] {
              population = local_->train(rows, RunControl{&stop, share_of(whole, behind, finished), nullptr});
            },
            [&] {
              if (is_set(control.stop)) stop = true;
              while (const auto told = ranks_.receive()) stop = stop || told->bytes[0] == kStop;
              if (std::chrono::steady_clock::now() - last_told < kBetweenReports) return;
              last_told = std::chrono::steady_clock::now();
              std::string progress(1, kProgress);
              put(progress, finished.load());
              ranks_.send(0, std::move(progress));
            },
            stop);
        behind += whole;
        message.push_back(kRows);
        for (const std::uint64_t number : {part.first, part.count, behind}) put(message, number);
        put_population(message, population);
      } catch (const Stopped&) {
        message = kStopped;
      } catch (...) {
        const Outcome outcome = outcome_of(std::current_exception());
        message = kFailed;
        put(message, std::int32_t{outcome.code});
        message += outcome.message;
      }
      ranks_.send(0, std::move(message));
      for (;;) {
        const Message told = ranks_.wait();
        Reader reader(told.bytes, "the root's message");
        const char letter = reader.number<char>();
        if (letter == kDismissed) be_dismissed();
        if (letter != kWork) continue;
        part.first = reader.number<std::uint64_t>();
        part.count = reader.number<std::uint64_t>();
        break;
      }
    }
  }

  std::unique_ptr<Backend> local_;
  Ranks& ranks_;
  LeastPart least_;
  BackendInfo info_;
  std::uint64_t batches_ = 0;
  std::vector<std::int64_t> numbers_;  // of one batch's sum
};

}  // namespace

BackendInfo info_of_ranks(BackendInfo info, Ranks& ranks) {
  const auto count = static_cast<std::size_t>(ranks.count());
  std::vector<std::int64_t> numbers(1 + count);  // threads; whether each rank has a warning
  numbers[0] = info.threads;
  numbers[1 + static_cast<std::size_t>(ranks.rank())] = !info.warning.empty();
  ranks.sum(numbers);
  std::string warnings, devices, executors;
  const auto add = [](std::string& all, const std::string& one) {
    if ((", " + all + ", ").find(", " + one + ", ") == std::string::npos) all += (all.empty() ? "" : ", ") + one;
  };
  for (std::size_t i = 0; i < count; ++i) {
    std::string device = info.device, executor = info.isa;
    ranks.broadcast(device, static_cast<int>(i));
    ranks.broadcast(executor, static_cast<int>(i));
    add(devices, device);
    add(executors, executor);
    if (numbers[1 + i] == 0) continue;
    std::string warning = info.warning;
    ranks.broadcast(warning, static_cast<int>(i));
    warnings += fmt::format("{}rank {}: {}", warnings.empty() ? "" : "; ", i, warning);
  }
  info.device = devices;
  info.isa = executors;
  info.threads = static_cast<unsigned>(numbers[0]);
  info.ranks = static_cast<unsigned>(count);
  info.warning = warnings;
  return info;
}

std::unique_ptr<Backend> make_rank_backend(std::unique_ptr<Backend> local, Ranks& ranks, const LeastPart& least) {
  return std::make_unique<RankBackend>(std::move(local), ranks, least);
}

}  // namespace fryer::ranks
