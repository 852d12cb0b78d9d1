// SPDX-License-Identifier: Apache-2.0
// See unfinished.h. Trainings as bytes, all numbers little-endian (packing.h):
//   u8 format, u64 first seed, u64 replicas, u8 whether there are steps, u32 parameters, u32 columns of m, u32 columns of v,
//   u64 rows of `recent`, u64 rows of `outcomes`; then status, updates, steps, parameters, m, v, recent, outcomes, each in
//   blocks of 1024 values: u8 width, the smallest value in as many bytes as its type has, each value - smallest in `width` bits;
//   of value learners (format 2 instead of 1) then episodes likewise and, of each replica, u8 whether it has a record: the fields of its
//   state in the order of visit_state(), u64 parameters, u64 parameters of a target network, u64 transitions, u64 outcomes, and, in
//   blocks, weight, target, m, v, of transitions the columns of put_replay(), outcomes
// The file:
//   8 letters, u32 format, u32 numerics version, u64 the plan's fingerprint, u32 the store's format, u32 pieces; of each piece
//   u64 cell, u64 first replica, u64 replicas, u64 bytes, u64 XXH3 of them; u64 XXH3 of all until here; then the pieces' bytes
#include "host/study/unfinished.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <type_traits>

#include "fryer/core/error.h"
#include "fryer/core/version.h"
#include "host/study/packing.h"
#include "host/study/store_files.h"
#include "host/study/temporary_path.h"
#include "host/text.h"

namespace fryer::study {
namespace {

// ---- trainings

constexpr std::uint8_t kTrainingsFormat = 1, kValueLearnersFormat = 2;
constexpr std::uint64_t kBlock = 1024;

template <class Value>
using Word = std::conditional_t<std::is_same_v<Value, float>, std::uint32_t, Value>;

template <class Value>
void put_values(std::string& bytes, const std::vector<Value>& values) {
  std::array<std::uint64_t, kBlock> words;
  for (std::size_t begin = 0; begin < values.size(); begin += kBlock) {
    const std::span block(words.data(), std::min<std::size_t>(kBlock, values.size() - begin));
    for (std::size_t i = 0; i < block.size(); ++i) block[i] = std::bit_cast<Word<Value>>(values[begin + i]);
    const auto [smallest, largest] = std::minmax_element(block.begin(), block.end());
    const unsigned width = bits_of(*largest - *smallest);
    put(bytes, static_cast<std::uint8_t>(width));
    put(bytes, static_cast<Word<Value>>(*smallest));
    pack(bytes, block, *smallest, width);
  }
}

template <class Value>
std::vector<Value> take_values(Reader& reader, std::uint64_t count) {
  const std::uint64_t blocks = count / kBlock + (count % kBlock != 0);
  if (blocks > reader.left() / (1 + sizeof(Value))) {
    reader.damaged(fmt::format("{} values cannot be in the {} bytes that are left", count, reader.left()));
  }
  std::vector<Value> values(count);
  std::array<std::uint64_t, kBlock> words;
  for (std::size_t begin = 0; begin < count; begin += kBlock) {
    const std::span block(words.data(), std::min<std::size_t>(kBlock, count - begin));
    const unsigned width = reader.number<std::uint8_t>();
    if (width > 8 * sizeof(Value)) reader.damaged(fmt::format("a width of {} bits", width));
    const auto smallest = reader.number<Word<Value>>();
    const std::uint64_t largest = unpack(reader.take(packed_bytes(block.size(), width)), width, block);
    if (largest > std::numeric_limits<Word<Value>>::max() - std::uint64_t{smallest}) reader.damaged("a value is too large");
    for (std::size_t i = 0; i < block.size(); ++i) {
      values[begin + i] = std::bit_cast<Value>(static_cast<Word<Value>>(smallest + block[i]));
    }
  }
  return values;
}

// ---- value learners

constexpr auto last_of(bool) { return true; }
constexpr auto last_of(EpsilonSettings::Schedule) { return EpsilonSettings::Schedule::exponential; }
constexpr auto last_of(OptimizerSettings::Kind) { return OptimizerSettings::Kind::sgd; }
constexpr auto last_of(OptimizerSettings::Form) { return OptimizerSettings::Form::keras; }
constexpr auto last_of(ReplicaStatus) { return ReplicaStatus::unfinished; }

// Names, flags and numbers of a state, one after another. Adam's schedule keeps its own to itself: they are given.
template <class State, class Settings, class Powers, class Visit>
void visit_state(State& s, Settings& adam, Powers& powers, const Visit& visit) {
  visit(s.seed);
  auto& epsilon = s.epsilon.settings;
  visit(epsilon.schedule);
  for (auto* number : {&epsilon.start, &epsilon.end}) visit(*number);
  visit(epsilon.decay_steps);
  for (auto* number : {&s.epsilon.factor, &s.epsilon.product}) visit(*number);
  visit(s.epsilon.step);
  visit(adam.kind);
  visit(adam.form);
  for (auto* number : {&adam.learning_rate, &adam.beta1, &adam.beta2, &adam.epsilon, &powers.first, &powers.second})
    visit(*number);
  visit(s.status);
  for (auto* count : {&s.updates, &s.episodes, &s.warmup_episodes, &s.steps, &s.window_sum}) visit(*count);
  for (auto& number : s.observation) visit(number);
  for (auto* count : {&s.episode_steps, &s.updates_due}) visit(*count);
  for (auto* flag : {&s.terminated, &s.truncated}) visit(*flag);
}

template <class Value>
constexpr bool kIsName = std::is_enum_v<Value> || std::is_same_v<Value, bool>;

void put_state(std::string& bytes, const QTrainingState& state) {
  visit_state(state, state.adam.settings(), state.adam.powers(), [&]<class Value>(const Value& value) {
    if constexpr (kIsName<Value>) {
      put(bytes, static_cast<std::uint8_t>(value));
    } else {
      put(bytes, value);
    }
  });
}

QTrainingState take_state(Reader& reader) {
  OptimizerSettings adam;
  AdamSchedule::Powers powers;
  QTrainingState state = QTrainingRecord().state;
  visit_state(state, adam, powers, [&]<class Value>(Value& value) {
    if constexpr (kIsName<Value>) {
      const auto name = reader.number<std::uint8_t>();
      if (name > static_cast<std::uint8_t>(last_of(value))) reader.damaged(fmt::format("a state's {} is not known", name));
      value = static_cast<Value>(name);
    } else {
      value = reader.number<Value>();
    }
  });
  state.adam = AdamSchedule(adam, powers);
  return state;
}

// A number of each transition.
template <class Value, class Get>
void put_column(std::string& bytes, const std::vector<Transition>& replay, const Get& get) {
  std::vector<Value> column;
  column.reserve(replay.size());
  for (const Transition& t : replay) column.push_back(get(t));
  put_values(bytes, column);
}

// Whether a step began where the one in the slot before had ended, as most do: then that observation is kept once.
bool follows(const Transition& before, const Transition& t) {
  return std::memcmp(before.next_observation, t.observation, sizeof t.observation) == 0;
}

void put_replay(std::string& bytes, const std::vector<Transition>& replay) {
  std::vector<std::uint8_t> followed(replay.size());
  std::vector<float> next[4];  // of those that are not followed
  for (std::size_t i = 0; i < replay.size(); ++i) {
    followed[i] = i + 1 < replay.size() && follows(replay[i], replay[i + 1]) ? 1 : 0;
    for (int k = 0; k < 4 && followed[i] == 0; ++k) next[k].push_back(replay[i].next_observation[k]);
  }
  put_values(bytes, followed);
  for (int k = 0; k < 4; ++k) put_column<float>(bytes, replay, [k](const Transition& t) { return t.observation[k]; });
  for (const std::vector<float>& column : next) put_values(bytes, column);
  put_column<float>(bytes, replay, [](const Transition& t) { return t.reward; });
  put_column<float>(bytes, replay, [](const Transition& t) { return t.bootstraps; });
  put_column<std::uint32_t>(bytes, replay, [](const Transition& t) { return t.action; });
}

std::vector<Transition> take_replay(Reader& reader, std::uint64_t count) {
  const auto followed = take_values<std::uint8_t>(reader, count);
  if (std::any_of(followed.begin(), followed.end(), [](std::uint8_t flag) { return flag > 1; }) ||
      (count != 0 && followed.back() != 0))
    reader.damaged("a transition is followed by none");
  const auto alone = static_cast<std::uint64_t>(std::count(followed.begin(), followed.end(), 0));
  std::vector<float> observation[4], next[4];
  for (std::vector<float>& column : observation) column = take_values<float>(reader, count);
  for (std::vector<float>& column : next) column = take_values<float>(reader, alone);
  const auto reward = take_values<float>(reader, count), bootstraps = take_values<float>(reader, count);
  const auto action = take_values<std::uint32_t>(reader, count);
  std::vector<Transition> replay(count);
  for (std::size_t i = 0, j = 0; i < count; ++i) {
    Transition& t = replay[i];
    for (int k = 0; k < 4; ++k) {
      t.observation[k] = observation[k][i];
      t.next_observation[k] = followed[i] == 1 ? observation[k][i + 1] : next[k][j];
    }
    j += followed[i] == 0;
    t.reward = reward[i];
    t.bootstraps = bootstraps[i];
    t.action = action[i];
  }
  return replay;
}

void put_record(std::string& bytes, const QTrainingRecord& record) {
  put_state(bytes, record.state);
  for (const std::size_t count : {record.weight.size(), record.target.size(), record.replay.size(), record.outcomes.size()})
    put(bytes, std::uint64_t{count});
  for (const std::vector<float>* values : {&record.weight, &record.target, &record.m, &record.v}) put_values(bytes, *values);
  put_replay(bytes, record.replay);
  put_values(bytes, record.outcomes);
}

QTrainingRecord take_record(Reader& reader) {
  QTrainingRecord record;
  record.state = take_state(reader);
  const auto parameters = reader.number<std::uint64_t>(), target = reader.number<std::uint64_t>();
  const auto transitions = reader.number<std::uint64_t>(), outcomes = reader.number<std::uint64_t>();
  record.weight = take_values<float>(reader, parameters);
  record.target = take_values<float>(reader, target);
  record.m = take_values<float>(reader, parameters);
  record.v = take_values<float>(reader, parameters);
  record.replay = take_replay(reader, transitions);
  record.outcomes = take_values<std::uint32_t>(reader, outcomes);
  return record;
}

bool has_begun(const QTrainingRecord& record) { return !record.weight.empty(); }

// What is wrong with the shape of value learners, or "".
std::string wrong_with_learners(const TrainingStates& t) {
  if (t.value_learners.size() != t.table.size()) return fmt::format("{} value learners", t.value_learners.size());
  if (t.table.episodes.size() != t.table.size()) return fmt::format("{} counts of episodes", t.table.episodes.size());
  for (const QTrainingRecord& record : t.value_learners) {
    const std::size_t parameters = record.weight.size();
    for (const std::size_t moments : {record.m.size(), record.v.size()}) {
      if (moments != parameters) return fmt::format("moments of {} weights out of {}", moments, parameters);
    }
  }
  return "";
}

// ---- trainings of any kind

bool is_status(std::uint8_t status) { return status <= static_cast<std::uint8_t>(ReplicaStatus::unfinished); }

// What is wrong with the shape of these trainings, or "".
std::string wrong_with(const TrainingStates& t) {
  const std::uint64_t replicas = t.table.size();
  if (replicas == 0) return "there are none";
  if (t.table.updates.size() != replicas) return fmt::format("{} counts of updates", t.table.updates.size());
  if (!t.table.steps.empty() && t.table.steps.size() != replicas) return fmt::format("{} counts of steps", t.table.steps.size());
  for (const auto& columns : {std::cref(t.table.parameters), std::cref(t.m), std::cref(t.v)}) {
    for (const std::vector<float>& column : columns.get()) {
      if (column.size() != replicas) return fmt::format("{} values of a parameter or moment", column.size());
    }
  }
  for (const std::size_t columns : {t.m.size(), t.v.size()}) {
    if (columns != 0 && columns != t.table.parameters.size())
      return fmt::format("moments of {} parameters out of {}", columns, t.table.parameters.size());
  }
  if (t.recent.size() % replicas != 0) return fmt::format("{} recent outcomes", t.recent.size());
  if (t.outcomes.size() % replicas != 0) return fmt::format("{} outcomes", t.outcomes.size());
  if (!std::all_of(t.table.status.begin(), t.table.status.end(), is_status)) return "a status is not known";
  return t.value_learners.empty() && t.table.episodes.empty() ? "" : wrong_with_learners(t);
}

// ---- the file

constexpr std::string_view kLetters = "fryer-un";
constexpr std::uint32_t kFileFormat = 1;
constexpr std::size_t kHeading = 8 + 4 + 4 + 8 + 4 + 4, kEntry = 5 * 8, kChecksum = 8;

std::uint64_t checksum_of(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

bool is_missing(const Store& store, std::uint64_t cell, const Range& range) {
  if (cell >= store.plan().cells.size()) return false;
  const std::vector<Range> missing = store.missing(cell);
  return std::any_of(missing.begin(), missing.end(), [&](const Range& gap) {
    return range.first >= gap.first && range.count <= gap.count && range.first - gap.first <= gap.count - range.count;
  });
}

bool belongs_to(const TrainingStates& trainings, const Plan& plan, const Range& range) {
  return trainings.table.size() == range.count && trainings.table.first_seed == plan.first_seed + range.first;
}

bool has_ended(const TrainingStates& t, std::uint64_t row) {
  return t.table.status[row] != static_cast<std::uint8_t>(ReplicaStatus::unfinished);
}
// Whether a training that has not ended has come anywhere yet.
bool is_under_way(const TrainingStates& t, std::uint64_t row) {
  return !has_ended(t, row) && (t.table.updates[row] != 0 || (!t.value_learners.empty() && has_begun(t.value_learners[row])));
}

// The next bytes of a file; fewer where it ends.
std::string read_some(std::ifstream& file, std::uint64_t count) {
  std::string bytes(count, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(count));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

}  // namespace

std::string encode(const TrainingStates& trainings) {
  if (const std::string wrong = wrong_with(trainings); !wrong.empty()) {
    throw Error(fmt::format("{} trainings cannot be kept: {}", trainings.table.size(), wrong));
  }
  const ReplicaTable& table = trainings.table;
  std::string bytes;
  put(bytes, trainings.value_learners.empty() ? kTrainingsFormat : kValueLearnersFormat);
  put(bytes, table.first_seed);
  put(bytes, table.size());
  put(bytes, static_cast<std::uint8_t>(table.steps.empty() ? 0 : 1));
  for (const auto& columns : {std::cref(table.parameters), std::cref(trainings.m), std::cref(trainings.v)})
    put(bytes, static_cast<std::uint32_t>(columns.get().size()));
  put(bytes, std::uint64_t{trainings.recent.size() / table.size()});
  put(bytes, std::uint64_t{trainings.outcomes.size() / table.size()});
  put_values(bytes, table.status);
  put_values(bytes, table.updates);
  put_values(bytes, table.steps);
  for (const auto& columns : {std::cref(table.parameters), std::cref(trainings.m), std::cref(trainings.v)}) {
    for (const std::vector<float>& column : columns.get()) put_values(bytes, column);
  }
  put_values(bytes, trainings.recent);
  put_values(bytes, trainings.outcomes);
  put_values(bytes, table.episodes);
  for (const QTrainingRecord& record : trainings.value_learners) {
    put(bytes, static_cast<std::uint8_t>(has_begun(record)));
    if (has_begun(record)) put_record(bytes, record);
  }
  return bytes;
}

TrainingStates decode_states(std::string_view bytes) {
  Reader reader(bytes, "interrupted trainings");
  const auto format = reader.number<std::uint8_t>();
  if (format != kTrainingsFormat && format != kValueLearnersFormat) reader.damaged(fmt::format("format {} is not known", format));
  TrainingStates trainings;
  ReplicaTable& table = trainings.table;
  table.first_seed = reader.number<std::uint64_t>();
  const auto replicas = reader.number<std::uint64_t>();
  if (replicas == 0) reader.damaged("there are none");
  const auto with_steps = reader.number<std::uint8_t>();
  if (with_steps > 1) reader.damaged(fmt::format("steps: {}", with_steps));
  std::array<std::uint32_t, 3> columns;  // of the parameters, m, v
  for (std::uint32_t& count : columns) count = reader.number<std::uint32_t>();
  const auto recent = reader.number<std::uint64_t>(), outcomes = reader.number<std::uint64_t>();
  for (const std::uint64_t rows : {recent, outcomes}) {
    if (replicas != 0 && rows > std::numeric_limits<std::uint64_t>::max() / replicas)
      reader.damaged(fmt::format("{} rows of {} replicas", rows, replicas));
  }
  table.status = take_values<std::uint8_t>(reader, replicas);
  table.updates = take_values<std::uint32_t>(reader, replicas);
  table.steps = take_values<std::uint64_t>(reader, with_steps == 1 ? replicas : 0);
  for (std::uint32_t i = 0; i < columns[0]; ++i) table.parameters.push_back(take_values<float>(reader, replicas));
  for (std::uint32_t i = 0; i < columns[1]; ++i) trainings.m.push_back(take_values<float>(reader, replicas));
  for (std::uint32_t i = 0; i < columns[2]; ++i) trainings.v.push_back(take_values<float>(reader, replicas));
  trainings.recent = take_values<std::uint64_t>(reader, recent * replicas);
  trainings.outcomes = take_values<std::uint32_t>(reader, outcomes * replicas);
  if (format == kValueLearnersFormat) {
    table.episodes = take_values<std::uint64_t>(reader, replicas);
    if (reader.left() < replicas) reader.damaged(fmt::format("{} value learners cannot be in what is left", replicas));
    for (std::uint64_t i = 0; i < replicas; ++i) {
      const auto begun = reader.number<std::uint8_t>();
      if (begun > 1) reader.damaged(fmt::format("begun: {}", begun));
      trainings.value_learners.push_back(begun == 1 ? take_record(reader) : QTrainingRecord());
    }
  }
  if (reader.left() != 0) reader.damaged("bytes follow the last value");
  if (const std::string wrong = wrong_with(trainings); !wrong.empty()) reader.damaged(wrong);
  return trainings;
}

std::string encode(const Plan& plan, const Range& range, const TrainingStates& trainings) {
  if (!belongs_to(trainings, plan, range)) {
    throw Error(fmt::format("{} trainings from seed {} on are not those of replicas {} to {}", trainings.table.size(),
                            trainings.table.first_seed, range.first, range.first + range.count - 1));
  }
  return encode(trainings);
}

UnfinishedFile::UnfinishedFile(const Store& store)
    : store_(store),
      fingerprint_(fingerprint(store.plan())),
      real_(real_path(store.path())),
      path_(real_ + std::string(kUnfinishedSuffix)) {}

UnfinishedFile::Loaded UnfinishedFile::load() {
  pieces_.clear();
  Loaded loaded;
  loaded.lost = read([&](Unfinished unfinished, Piece piece) {
    pieces_.insert_or_assign({unfinished.cell, unfinished.range.first}, std::move(piece));
    loaded.pieces.push_back(std::move(unfinished));
  });
  return loaded;
}

UnfinishedFile::Begun UnfinishedFile::count() const {
  Begun begun;
  try {
    begun.lost = read([&](const Unfinished& unfinished, const Piece&) {
      for (std::uint64_t row = 0; row < unfinished.range.count; ++row) {
        begun.trainings += is_under_way(unfinished.trainings, row);
        begun.ended += has_ended(unfinished.trainings, row);
      }
    });
  } catch (const FileError& error) {
    begun.lost = error.what();
  }
  return begun;
}

template <class Take>
std::string UnfinishedFile::read(const Take& take) const {
  const auto none = [&](const std::string& why) { return why.empty() ? "" : fmt::format("{} {}", shown_path(path_), why); };
  const auto unreadable = [&](const char* why) {
    return FileError(
        fmt::format("cannot read {}, where trainings under way are kept: {}; make it readable, or move it away to begin "
                    "them again",
                    shown_path(path_), why));
  };
  struct stat status {};
  if (::stat(path_.c_str(), &status) != 0) {
    const int error = errno;
    if (error == ENOENT && ::lstat(path_.c_str(), &status) != 0) return "";
    throw unreadable(error == ENOENT ? "it is a link to nothing" : std::strerror(error));
  }
  if (!S_ISREG(status.st_mode)) throw unreadable("it is not a file");
  errno = 0;
  std::ifstream file(path_, std::ios::binary);
  if (!file) throw unreadable(std::strerror(errno));
  file.seekg(0, std::ios::end);  // of what was opened: another may have got the name meanwhile
  const std::streamoff end = file.tellg();
  if (end < 0) throw unreadable("its size is not known");
  const auto size = static_cast<std::uint64_t>(end);
  file.seekg(0);

  std::string heading = read_some(file, kHeading);
  if (heading.size() < kHeading || !heading.starts_with(kLetters))
    return none("does not hold trainings, or its beginning is damaged");
  Reader reader(std::string_view(heading).substr(kLetters.size()), "its first bytes");
  const auto format = reader.number<std::uint32_t>(), numerics = reader.number<std::uint32_t>();
  const auto study = reader.number<std::uint64_t>();
  const auto schema = reader.number<std::uint32_t>(), pieces = reader.number<std::uint32_t>();
  const char* const damaged = "is damaged at its beginning, so none of its trainings can be taken up";
  if (pieces > size / kEntry) return none(damaged);
  const std::string entries = read_some(file, pieces * kEntry), checksum = read_some(file, kChecksum);
  if (entries.size() < pieces * kEntry || checksum.size() < kChecksum) return none(damaged);
  heading += entries;
  if (Reader(checksum, "").number<std::uint64_t>() != checksum_of(heading)) return none(damaged);
  if (format != kFileFormat || schema != static_cast<std::uint32_t>(kSchemaVersion))
    return none("is of another version of fryer");
  if (numerics != kNumericsVersion)
    return none(fmt::format("is of numerics version {}, and this is {}", numerics, kNumericsVersion));
  if (study != fingerprint_) return none("is of another study");

  std::uint64_t lost = 0, at = heading.size() + kChecksum;
  Reader rows(entries, "");
  for (std::uint32_t i = 0; i < pieces; ++i) {
    Unfinished unfinished;
    unfinished.cell = rows.number<std::uint64_t>();
    unfinished.range.first = rows.number<std::uint64_t>();
    unfinished.range.count = rows.number<std::uint64_t>();
    const auto bytes = rows.number<std::uint64_t>(), expected = rows.number<std::uint64_t>();
    const bool is_there = at <= size && bytes <= size - at;
    if (is_missing(store_, unfinished.cell, unfinished.range)) {
      try {
        if (!is_there) throw DamagedFileError("the file ends before it");
        file.clear();
        file.seekg(static_cast<std::streamoff>(at));
        Piece piece{unfinished.range.count, expected, read_some(file, bytes)};
        if (checksum_of(piece.bytes) != expected) throw DamagedFileError("another checksum");
        unfinished.trainings = decode_states(piece.bytes);
        if (!belongs_to(unfinished.trainings, store_.plan(), unfinished.range)) throw DamagedFileError("other replicas");
        take(std::move(unfinished), std::move(piece));
      } catch (const DamagedFileError&) {
        ++lost;
      }
    }
    at = is_there ? at + bytes : size + 1;
  }
  return none(lost == 0 ? "" : fmt::format("is damaged: {} of its {} chunks of trainings begin again", lost, pieces));
}

std::string UnfinishedFile::set_aside() const {
  const auto fail = [&](int error) {
    throw FileError(fmt::format("cannot set {} aside: {}", shown_path(path_), std::strerror(error)));
  };
  struct stat ours {
  }, there{};
  if (::stat(path_.c_str(), &ours) != 0) fail(errno);
  for (int i = 1;; ++i) {
    std::string name = fmt::format("{}.{}", path_, i);
    if (::lstat(name.c_str(), &there) == 0) {
      if (there.st_dev == ours.st_dev && there.st_ino == ours.st_ino)
        return name;  // by a run that was killed before it wrote another
      continue;
    }
    if (errno != ENOENT) fail(errno);
    // The file keeps its name until write() replaces it: what is sound in it outlives a kill. Not every file system has a second name to give.
    if (::link(path_.c_str(), name.c_str()) != 0 && ::rename(path_.c_str(), name.c_str()) != 0) fail(errno);
    sync_folder_of(name);
    return name;
  }
}

void UnfinishedFile::set(std::uint64_t cell, const Range& range, std::string bytes) {
  if (!is_missing(store_, cell, range)) {
    throw Error(fmt::format("cell {}, {} replicas from {} on are not among those that {} still misses", cell, range.count,
                            range.first, shown_path(store_.path())));
  }
  const std::uint64_t checksum = checksum_of(bytes);
  pieces_.insert_or_assign({cell, range.first}, Piece{range.count, checksum, std::move(bytes)});
}

bool UnfinishedFile::erase(std::uint64_t cell, std::uint64_t first) { return pieces_.erase({cell, first}) != 0; }

void UnfinishedFile::write() const {
  const auto fail = [&](int error) {
    throw FileError(fmt::format("cannot write {}: {}", shown_path(path_), std::strerror(error)));
  };
  store_.check_still_there();
  if (pieces_.empty()) {
    TemporaryPath::remove_stale(path_, TemporaryPath::Kind::file);
    if (::unlink(path_.c_str()) != 0 && errno != ENOENT) fail(errno);
    return;
  }
  std::string heading(kLetters);
  put(heading, kFileFormat);
  put(heading, kNumericsVersion);
  put(heading, fingerprint_);
  put(heading, static_cast<std::uint32_t>(kSchemaVersion));
  put(heading, static_cast<std::uint32_t>(pieces_.size()));
  for (const auto& [place, piece] : pieces_) {
    for (const std::uint64_t word : {place.first, place.second, piece.count, std::uint64_t{piece.bytes.size()}, piece.checksum})
      put(heading, word);
  }
  put(heading, checksum_of(heading));

  TemporaryPath file;
  if (const int error = file.make(path_, TemporaryPath::Kind::file); error != 0) fail(error);
  struct stat status {};
  if (::stat(real_.c_str(), &status) != 0) fail(errno);
  ::fchmod(file.descriptor(), status.st_mode & 07777);  // some file systems have no rights to set
  if (const int error = write_all(file.descriptor(), heading); error != 0) fail(error);
  for (const auto& [place, piece] : pieces_) {
    if (const int error = write_all(file.descriptor(), piece.bytes); error != 0) fail(error);
  }
  if (const int error = file.move_to(path_); error != 0) fail(error);
}

}  // namespace fryer::study
