// SPDX-License-Identifier: Apache-2.0
// Several files of one study as one. Chunks are copied as they are, bytes and all. Where chunks of different files overlap, whole
// ones that make up all of their replicas are taken, and every other one must agree with them: value by value, and in the sums
// (digest, failed, solved) over any stretch that two ways of adding up chunks give.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "fryer/core/error.h"
#include "host/study/new_file.h"
#include "host/study/store.h"
#include "host/text.h"

namespace fryer::study {
namespace {

struct Piece {
  const Store* store;
  Chunk chunk;

  std::uint64_t first() const { return chunk.range.first; }
  std::uint64_t end() const { return chunk.range.first + chunk.range.count; }
};

// "a.db" and "b.db", cell 3, replicas 0 to 99 (seeds 1 to 100)
std::string place(const Piece& a, const Piece& b, Range range) {
  const std::uint64_t seed = a.store->plan().first_seed + range.first;
  return fmt::format("{} and {}, cell {}, replicas {} to {} (seeds {} to {})", shown_path(a.store->path()),
                     shown_path(b.store->path()), a.chunk.cell, range.first, range.first + range.count - 1, seed,
                     seed + range.count - 1);
}

Range shared_range(const Piece& a, const Piece& b) {
  const std::uint64_t first = std::max(a.first(), b.first());
  return {first, std::min(a.end(), b.end()) - first};
}

[[noreturn]] void conflict(const Piece& a, const Piece& b, const std::string& what) {
  throw DamagedFileError(fmt::format("cannot merge {}: {}", place(a, b, shared_range(a, b)), what));
}

// Throws unless the replicas that both have hold the same values.
void compare(const Piece& a, const Piece& b) {
  const std::string a_bytes = a.store->bytes(a.chunk), b_bytes = b.store->bytes(b.chunk);
  if (a.chunk.range == b.chunk.range && a_bytes == b_bytes) return;
  const std::vector<Column> a_columns = decode(a_bytes, a.chunk.range.count), b_columns = decode(b_bytes, b.chunk.range.count);
  const Range shared = shared_range(a, b);
  if (a_columns.size() != b_columns.size()) conflict(a, b, "they keep different columns");
  for (std::size_t i = 0; i < a_columns.size(); ++i) {
    if (!a_columns[i].same_column(b_columns[i])) conflict(a, b, "they keep different columns");
    // A function of the parameters by the C library's exp and log, whose last bits are the machine's own.
    if (a_columns[i].kind == ColumnKind::expected_return) continue;
    const auto a_values = std::span(a_columns[i].bits).subspan(shared.first - a.first(), shared.count);
    const auto b_values = std::span(b_columns[i].bits).subspan(shared.first - b.first(), shared.count);
    const auto different = std::mismatch(a_values.begin(), a_values.end(), b_values.begin()).first;
    if (different == a_values.end()) continue;
    const std::uint64_t replica = shared.first + static_cast<std::uint64_t>(different - a_values.begin());
    conflict(a, b, fmt::format("{} of seed {} differs", column_name(a_columns[i]), a.store->plan().first_seed + replica));
  }
}

// Digest, failed and solved of the chunks between two boundaries add up to the same whichever chunks are added: each boundary has
// one height, and a chunk climbs from its first replica's to its end's.
void check_sums(std::span<const Piece> pieces) {
  using Sums = std::array<std::uint64_t, 3>;
  const auto sums_of = [](const Piece& piece) { return Sums{piece.chunk.digest, piece.chunk.failed, piece.chunk.solved}; };
  std::multimap<std::uint64_t, const Piece*> at;  // pieces by both of their ends
  for (const Piece& piece : pieces) {
    at.emplace(piece.first(), &piece);
    at.emplace(piece.end(), &piece);
  }
  std::map<std::uint64_t, Sums> heights;
  for (const Piece& start : pieces) {
    if (!heights.emplace(start.first(), Sums{}).second) continue;
    std::vector<std::uint64_t> reached{start.first()};
    while (!reached.empty()) {
      const std::uint64_t here = reached.back();
      reached.pop_back();
      for (auto [it, last] = at.equal_range(here); it != last; ++it) {
        const Piece& piece = *it->second;
        const bool up = piece.first() == here;
        const std::uint64_t there = up ? piece.end() : piece.first();
        const Sums climb = sums_of(piece);
        Sums height = heights.at(here);
        for (std::size_t i = 0; i < height.size(); ++i) height[i] += up ? climb[i] : 0 - climb[i];
        const auto [known, is_new] = heights.emplace(there, height);
        if (is_new) {
          reached.push_back(there);
        } else if (known->second != height) {
          const auto other = std::find_if(pieces.begin(), pieces.end(), [&](const Piece& p) {
            return p.store != piece.store && p.first() < piece.end() && piece.first() < p.end();
          });
          conflict(piece, other == pieces.end() ? piece : *other, "their digests do not add up to the same");
        }
      }
    }
  }
}

// The fewest of the pieces (sorted by first replica) that make up all replicas of them without overlapping; empty where none do.
std::vector<const Piece*> cover(std::span<const Piece> pieces) {
  struct Way {
    std::size_t length = 0;
    const Piece* last = nullptr;
  };
  std::map<std::uint64_t, Way> ways{{pieces.front().first(), {}}};  // to here from the first replica
  std::uint64_t end = 0;
  for (const Piece& piece : pieces) {
    end = std::max(end, piece.end());
    const auto here = ways.find(piece.first());
    if (here == ways.end()) continue;
    const Way way{here->second.length + 1, &piece};
    const auto [there, is_new] = ways.emplace(piece.end(), way);
    if (!is_new && way.length < there->second.length) there->second = way;
  }
  std::vector<const Piece*> taken;
  for (auto way = ways.find(end); way != ways.end() && way->second.last != nullptr; way = ways.find(taken.back()->first())) {
    taken.push_back(way->second.last);
  }
  std::reverse(taken.begin(), taken.end());
  return taken;
}

// Of pieces that overlap one another in a chain: those to take.
std::vector<const Piece*> resolve(std::span<const Piece> pieces) {
  const std::vector<const Piece*> taken = cover(pieces);
  if (taken.empty()) {
    const Piece& a = pieces[0];
    const Piece& b =
        *std::find_if(pieces.begin() + 1, pieces.end(), [&](const Piece& p) { return p.chunk.range != a.chunk.range; });
    conflict(
        a, b,
        "chunks overlap in part and no whole chunks make up all of their replicas; merge files whose shards are the same or have "
        "nothing in common");
  }
  check_sums(pieces);
  auto candidate = taken.begin();
  for (const Piece& piece : pieces) {  // both by first replica
    while ((*candidate)->end() <= piece.first()) ++candidate;
    for (auto other = candidate; other != taken.end() && (*other)->first() < piece.end(); ++other) {
      if (*other != &piece) compare(**other, piece);
    }
  }
  return taken;
}

// What all inputs must share, or DamagedFileError.
void check_same_study(std::span<const Store> stores) {
  const std::uint64_t study = fingerprint(stores[0].plan());
  std::optional<std::pair<std::uint64_t, const Store*>> numerics;
  for (const Store& store : stores) {
    if (fingerprint(store.plan()) != study) {
      throw DamagedFileError(
          fmt::format("cannot merge {} and {}: they are different studies (settings, grid, seeds or record differ)",
                      shown_path(stores[0].path()), shown_path(store.path())));
    }
    for (const Provenance& run : store.runs()) {
      if (!numerics) numerics = {run.numerics_version, &store};
      if (numerics->first == run.numerics_version) continue;
      throw DamagedFileError(fmt::format("cannot merge {} and {}: numerics_version {} and {}",
                                         shown_path(numerics->second->path()), shown_path(store.path()), numerics->first,
                                         run.numerics_version));
    }
  }
}

// The shard that all inputs are of; else all, so that what is missing of the result is what nobody has.
Shard shard_of_all(std::span<const Store> stores) {
  const Shard shard = stores[0].shard();
  const bool same = std::all_of(stores.begin(), stores.end(), [&](const Store& store) {
    return store.shard().index == shard.index && store.shard().shards == shard.shards;
  });
  return same ? shard : Shard{};
}

// Of all inputs, each once, in an order that does not depend on theirs.
std::vector<Provenance> all_runs(std::span<const Store> stores) {
  std::vector<Provenance> runs;
  for (const Store& store : stores) {
    for (const Provenance& run : store.runs()) runs.push_back(run);
  }
  const auto key = [](const Provenance& run) {
    return std::tie(run.started, run.host, run.command_line, run.program_version, run.compiler, run.processor,
                    run.operating_system, run.device, run.isa, run.numerics_version, run.threads);
  };
  std::sort(runs.begin(), runs.end(), [&](const Provenance& a, const Provenance& b) { return key(a) < key(b); });
  runs.erase(std::unique(runs.begin(), runs.end()), runs.end());
  return runs;
}

void merge_into(NewFile& file, const std::vector<std::string>& inputs, const StopToken* stop) {
  std::vector<Store> stores;
  stores.reserve(inputs.size());
  for (const std::string& input : inputs) stores.push_back(Store::open(input, Access::read));
  check_same_study(stores);

  std::vector<Piece> pieces;
  for (const Store& store : stores) {
    for (Chunk& chunk : store.chunks()) pieces.push_back({&store, std::move(chunk)});
  }
  std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
    return std::pair(a.chunk.cell, a.first()) < std::pair(b.chunk.cell, b.first());
  });

  {
    Store merged = Store::create(file.inside(), stores[0].plan(), shard_of_all(stores));
    for (const Provenance& run : all_runs(stores)) merged.begin_run(run);
    for (std::size_t begin = 0; begin < pieces.size();) {
      if (stop != nullptr && stop->load()) throw Stopped();
      std::size_t end = begin + 1;  // of the pieces that overlap in a chain
      for (std::uint64_t reach = pieces[begin].end();
           end < pieces.size() && pieces[end].chunk.cell == pieces[begin].chunk.cell && pieces[end].first() < reach; ++end) {
        reach = std::max(reach, pieces[end].end());
      }
      for (const Piece* piece : resolve(std::span(pieces).subspan(begin, end - begin))) {
        merged.begin_run(piece->store->runs()[piece->chunk.run]);
        merged.append(piece->chunk, piece->store->bytes(piece->chunk));
      }
      begin = end;
    }
    merged.finish();
  }
  file.publish();
}

}  // namespace

void merge(const std::vector<std::string>& inputs, const std::string& output, const StopToken* stop) {
  if (inputs.empty()) throw ConfigurationError("nothing to merge: no input file is given; accepted: one or more");
  NewFile file(output);
  try {
    merge_into(file, inputs, stop);
  } catch (const FileError& error) {  // it speaks of the file that has no name yet
    std::string text = error.what();
    const std::string inside = shown_path(file.inside());
    if (const std::size_t at = text.find(inside); at != std::string::npos) text.replace(at, inside.size(), shown_path(output));
    throw FileError(text);
  }
}

}  // namespace fryer::study
