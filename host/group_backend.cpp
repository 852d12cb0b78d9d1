// SPDX-License-Identifier: Apache-2.0
// See group_backend.h. The calling thread waits, and hands the caller's wish to stop on.
#include "host/group_backend.h"

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <type_traits>

#include "fryer/core/error.h"
#include "host/forwarding_backend.h"
#include "host/split_work.h"
#include "host/statistics.h"
#include "host/training_states.h"

namespace fryer {
namespace {

// How soon a stop is handed on.
constexpr std::chrono::milliseconds kBetweenLooks{10};

DeviceError error_of(const std::string& device, const DeviceError& error) {
  const std::string what = error.what();
  return DeviceError(what.find(device) != std::string::npos ? what : device + ": " + what);
}

// What the parts of a call tell, as progress of the whole.
class JoinedProgress {
 public:
  JoinedProgress(const Progress& progress, const std::vector<PlannedWork>& parts) : progress_(progress), parts_(parts.size()) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      parts_[i].finished = parts[i].behind;
      parts_[i].planned = parts[i].planned;
      planned_ += parts[i].planned;
    }
  }
  JoinedProgress(const JoinedProgress&) = delete;
  JoinedProgress& operator=(const JoinedProgress&) = delete;

  Progress of_part(std::size_t i) {
    if (!progress_) return {};
    return [this, &part = parts_[i]](std::uint64_t finished, std::uint64_t planned) {
      // A device may plan in units of its own.
      if (planned != part.planned) {
        const double share = static_cast<double>(finished) / static_cast<double>(planned);
        finished = static_cast<std::uint64_t>(share * static_cast<double>(part.planned));
      }
      part.finished.store(finished, std::memory_order_relaxed);
      const std::unique_lock lock(telling_, std::try_to_lock);
      if (!lock) return;
      std::uint64_t sum = 0;
      for (const Part& one : parts_) sum += one.finished.load(std::memory_order_relaxed);
      progress_(sum, planned_);
    };
  }
  void finish() const {
    if (progress_) progress_(planned_, planned_);
  }

 private:
  struct Part {
    std::atomic<std::uint64_t> finished{0};
    std::uint64_t planned = 0;
  };
  const Progress& progress_;
  std::vector<Part> parts_;
  std::uint64_t planned_ = 0;
  std::mutex telling_;
};

class GroupBackend final : public ForwardingBackend<GroupBackend> {
 public:
  GroupBackend(std::vector<GroupDevice> devices, const std::string& name, const std::string& reason, const LeastPart& least)
      : devices_(std::move(devices)), least_(least) {
    info_ = {name, "", 0, reason};
    for (const GroupDevice& device : devices_) {
      const BackendInfo& one = device.backend->info();
      info_.threads += one.threads;
      if (info_.isa.find(one.isa) == std::string::npos) info_.isa += (info_.isa.empty() ? "" : ", ") + one.isa;
      if (one.warning.empty()) continue;
      info_.warning += info_.warning.empty() ? "" : "; ";
      info_.warning += devices_.size() == 1 ? one.warning : device.name + ": " + one.warning;
    }
  }

  const BackendInfo& info() const override { return info_; }

 private:
  friend ForwardingBackend<GroupBackend>;
  template <class Work, class Play>
  auto gradient_of(const Work&, NumberRange episodes, const RunControl& control, const Play& play) {
    return over_episodes<Work>(episodes, control, play);
  }
  template <class Work, class Play>
  auto counts_of(const Work&, NumberRange episodes, const RunControl& control, const Play& play) {
    return over_episodes<Work>(episodes, control, play);
  }
  Population train_all(const TrainRequest& request, const RunControl& control) {
    return train_parts(request, nullptr, least_.rows, control);
  }
  template <class Policy>
  Population train_all(const CartPoleTrainRequestOf<Policy>& request, const RunControl& control) {
    return train_parts(request, request.states, least_.rows, control);
  }
  Population train_all(const QTrainRequest& request, const RunControl& control) {
    return train_parts(request, request.states, least_.learners, control);
  }

  // Sums of play(device, part, its control) over the parts.
  template <class Work, class Play>
  auto over_episodes(NumberRange episodes, const RunControl& control, const Play& play) {
    using Sums = std::invoke_result_t<Play, Backend&, NumberRange, const RunControl&>;
    const std::uint64_t least = std::is_same_v<Work, EpisodeWork> ? least_.one_step_episodes : least_.episodes;
    const std::vector<NumberRange> parts = cut(episodes, std::clamp<std::uint64_t>(episodes.count / least, 1, devices_.size()));
    if (parts.size() <= 1) return on_one<Sums>([&](Backend& device) { return play(device, episodes, control); });
    std::vector<Sums> sums(parts.size());
    std::vector<PlannedWork> work;
    for (const NumberRange& part : parts) work.push_back({part.count, 0});
    JoinedProgress progress(control.progress, work);
    run(parts.size(), control, progress,
        [&](std::size_t i, Backend& device, const RunControl& inner) { sums[i] = play(device, parts[i], inner); });
    progress.finish();
    for (std::size_t i = 1; i < parts.size(); ++i) add_part(sums[0], sums[i]);
    return std::move(sums[0]);
  }

  template <class Request>
  Population train_parts(const Request& request, TrainingStates* states, std::uint64_t least, const RunControl& control) {
    const std::uint64_t rows = rows_of(request), devices = devices_.size();
    if (devices == 1) return on_one<Population>([&](Backend& device) { return device.train(request, control); });
    // Trainings that a pause may leave are all begun at once.
    const std::vector<NumberRange> parts =
        states != nullptr ? cut({0, rows}, devices) : cut_for_takers({0, rows}, devices, least);
    if (parts.size() <= 1) return on_one<Population>([&](Backend& device) { return device.train(request, control); });
    std::vector<Request> requests;
    for (const NumberRange& part : parts) requests.push_back(part_of(request, part));
    if constexpr (requires { request.states; }) {
      if (states != nullptr) return go_on(requests, parts, *states, control);
    }
    std::vector<PlannedWork> work;
    for (const Request& part : requests) work.push_back(planned_work(part));
    JoinedProgress progress(control.progress, work);
    JoinedPopulation joined(first_seed_of(request), rows);
    std::mutex joining;
    run(parts.size(), control, progress, [&](std::size_t i, Backend& device, const RunControl& inner) {
      Population part = device.train(requests[i], inner);
      const std::lock_guard lock(joining);
      joined.add(parts[i], std::move(part));
    });
    progress.finish();
    Population population = joined.take();
    complete_population(request, population);
    return population;
  }

  template <class Request>
  Population go_on(std::vector<Request>& requests, const std::vector<NumberRange>& parts, TrainingStates& states,
                   const RunControl& control) {
    std::vector<TrainingStates> part_states = take_parts(states, parts);
    std::vector<PlannedWork> work;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      requests[i].states = &part_states[i];
      work.push_back(planned_work(requests[i]));
    }
    JoinedProgress progress(control.progress, work);
    std::atomic<std::uint64_t> warmup_episodes{0};
    run(parts.size(), control, progress, [&](std::size_t i, Backend& device, const RunControl& inner) {
      if (!all_ended(part_states[i])) warmup_episodes += device.train(requests[i], inner).warmup_episodes;
    });
    join_parts(std::move(part_states), states);
    Population population;
    population.warmup_episodes = warmup_episodes;
    return population;
  }

  // What is not worth cutting.
  template <class Result, class Call>
  Result on_one(const Call& call) {
    try {
      return call(*devices_[0].backend);
    } catch (const DeviceError& error) {
      throw error_of(devices_[0].name, error);
    }
  }

  // Calls body(part, device, its control) for each part: device i with part i first, then with the next that is left. Throws what the
  // first of them threw.
  template <class Body>
  void run(std::size_t parts, const RunControl& control, JoinedProgress& progress, const Body& body) {
    StopToken stop{is_set(control.stop)};
    const std::size_t devices = std::min(devices_.size(), parts);
    std::atomic<std::size_t> next{devices};
    std::mutex mutex;
    std::condition_variable ended;
    std::size_t working = devices;
    std::exception_ptr error;
    const auto serve = [&](const GroupDevice& device, std::size_t first) {
      std::exception_ptr failure;
      try {
        for (std::size_t i = first; i < parts; i = next++) {
          if (is_set(&stop)) throw Stopped();
          body(i, *device.backend, RunControl{&stop, progress.of_part(i), control.pause});
        }
      } catch (const DeviceError& one) {
        failure = std::make_exception_ptr(error_of(device.name, one));
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      if (failure && !error) error = failure;  // of the others, which it stops, there are only Stopped
      if (failure) stop = true;
      --working;
      ended.notify_one();
    };
    {
      std::vector<std::jthread> threads;
      try {
        for (std::size_t i = 0; i < devices; ++i) threads.emplace_back([&serve, this, i] { serve(devices_[i], i); });
      } catch (const std::system_error& refused) {
        stop = true;
        throw RunError(
            fmt::format("{} of {} devices' threads could be started ({})", threads.size(), devices, refused.code().message()));
      } catch (...) {
        stop = true;
        throw;
      }
      std::unique_lock lock(mutex);
      while (!ended.wait_for(lock, kBetweenLooks, [&] { return working == 0; })) {
        if (is_set(control.stop)) stop = true;
      }
    }
    if (error) std::rethrow_exception(error);
  }

  std::vector<GroupDevice> devices_;
  LeastPart least_;
  BackendInfo info_;
};

}  // namespace

std::unique_ptr<Backend> make_group_backend(std::vector<GroupDevice> devices, const std::string& name, const std::string& reason,
                                            const LeastPart& least) {
  return std::make_unique<GroupBackend>(std::move(devices), name, reason, least);
}

std::unique_ptr<Backend> make_named_backend(GroupDevice device) {
  const BackendInfo info = device.backend->info();
  std::vector<GroupDevice> one;
  one.push_back(std::move(device));
  return make_group_backend(std::move(one), info.device, info.reason);
}

}  // namespace fryer
