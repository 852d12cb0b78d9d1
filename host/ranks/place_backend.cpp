// SPDX-License-Identifier: Apache-2.0
// See place_backend.h.
#include "host/ranks/place_backend.h"

#include <sched.h>

#include <algorithm>

#include "host/cpu_backend.h"
#include "host/digest.h"
#include "host/ranks/rank_backend.h"

namespace fryer::ranks {

SharedProcessors shared_processors(Ranks& ranks) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  ::sched_getaffinity(0, sizeof mask, &mask);  // of more processors than a mask has: they count as shared
  const std::uint64_t own = hash_text({reinterpret_cast<const char*>(&mask), sizeof mask});
  const auto count = static_cast<std::size_t>(ranks.count()), rank = static_cast<std::size_t>(ranks.rank());
  std::vector<std::int64_t> numbers(2 * count);  // each rank's machine and processors
  numbers[2 * rank] = ranks.place().machine;
  numbers[2 * rank + 1] = static_cast<std::int64_t>(own);
  ranks.sum(numbers);
  SharedProcessors shared{0, 0};
  for (std::size_t i = 0; i < count; ++i) {
    if (numbers[2 * i] != numbers[2 * rank] || numbers[2 * i + 1] != numbers[2 * rank + 1]) continue;
    ++shared.ranks;
    if (i < rank) ++shared.rank;
  }
  return shared;
}

BackendChoice choice_of_rank(BackendChoice choice, const Ranks::Place& place, const std::vector<int>& gpus, unsigned usable,
                             SharedProcessors shared) {
  if (place.local_ranks > 1) {
    const std::vector<int>& all = choice.cuda_named ? choice.cuda_devices : gpus;
    const auto rank = static_cast<std::size_t>(place.local_rank), ranks = static_cast<std::size_t>(place.local_ranks);
    std::vector<int> own;
    const bool one_each = !choice.cuda_named && !choice.cuda_devices.empty();  // auto or cuda
    for (std::size_t i = rank; i < all.size() && (own.empty() || !one_each); i += ranks) own.push_back(all[i]);
    if (own.empty() && !all.empty()) own = {all[rank % all.size()]};
    if (!own.empty()) choice.cuda_devices = own;
  }
  if (choice.threads == 0 && shared.ranks > 1)
    choice.threads = std::max(1u, usable / shared.ranks + (shared.rank < usable % shared.ranks ? 1 : 0));
  choice.work /= place.ranks;
  choice.parallelism = std::max<std::uint64_t>(1, choice.parallelism / static_cast<std::uint64_t>(place.ranks));
  return choice;
}

BackendChoice choice_of_rank(const BackendChoice& choice, Ranks& ranks) {
  std::vector<int> gpus;
  if (choice.device != BackendChoice::Device::cpu && ranks.place().local_ranks > 1 && cuda_unavailable_reason().empty()) {
    const std::vector<DeviceReport> reports = list_cuda_devices();
    for (std::size_t i = 0; i < reports.size(); ++i) {
      if (reports[i].available) gpus.push_back(static_cast<int>(i));
    }
  }
  return choice_of_rank(choice, ranks.place(), gpus, usable_threads(), shared_processors(ranks));
}

std::unique_ptr<Backend> make_backend(const BackendChoice& choice, Ranks& ranks) {
  ranks.agree({});  // all have come this far
  const BackendChoice own = choice_of_rank(choice, ranks);
  std::unique_ptr<Backend> local;
  Outcome made;
  try {
    local = fryer::make_backend(own);
  } catch (...) {
    made = outcome_of(std::current_exception());
  }
  ranks.agree(made);
  const LeastPart least = least_part(local->info());
  return make_rank_backend(std::move(local), ranks, least);
}

}  // namespace fryer::ranks
