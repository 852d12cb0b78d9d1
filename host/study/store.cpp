// SPDX-License-Identifier: Apache-2.0
// See store.h. All that a store knows but the columns is read and checked when it is opened, in one transaction, and kept; chunks
// are never changed or removed, so that columns can be read at any later time. SQLite's index is never asked what there is: the
// table's rows are counted against the ledger, so that a damaged tree cannot hide a chunk.
#include "host/study/store.h"

#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <optional>

#include "fryer/core/error.h"
#include "host/study/new_file.h"
#include "host/study/sqlite_database.h"
#include "host/study/store_files.h"
#include "host/text.h"

namespace fryer::study {
namespace {

constexpr int kPageSize = 4096;

// Unsigned 64-bit numbers are kept as signed ones. `columns` is last, so that listing chunks does not read it.
constexpr const char* kSchema = R"(
CREATE TABLE study(
  number INTEGER PRIMARY KEY CHECK (number = 0),
  plan TEXT NOT NULL,
  source TEXT NOT NULL,
  shard INTEGER NOT NULL,
  shards INTEGER NOT NULL,
  checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE run(
  number INTEGER PRIMARY KEY,
  program_version TEXT NOT NULL,
  compiler TEXT NOT NULL,
  host TEXT NOT NULL,
  processor TEXT NOT NULL,
  operating_system TEXT NOT NULL,
  device TEXT NOT NULL,
  isa TEXT NOT NULL,
  command_line TEXT NOT NULL,
  started TEXT NOT NULL,
  numerics_version INTEGER NOT NULL,
  threads INTEGER NOT NULL,
  checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE chunk(
  cell INTEGER NOT NULL,
  first INTEGER NOT NULL,
  count INTEGER NOT NULL,
  run INTEGER NOT NULL,
  digest INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  solved INTEGER NOT NULL,
  seconds REAL NOT NULL,
  columns_checksum INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  columns BLOB NOT NULL,
  PRIMARY KEY (cell, first)
) STRICT;
CREATE TABLE ledger(
  number INTEGER PRIMARY KEY CHECK (number = 0),
  runs INTEGER NOT NULL,
  run_checksums INTEGER NOT NULL,
  chunks INTEGER NOT NULL,
  replicas INTEGER NOT NULL,
  digests INTEGER NOT NULL,
  chunk_checksums INTEGER NOT NULL,
  checksum INTEGER NOT NULL
) STRICT;
)";

// A row's checksum: XXH3 of the table's name and every field.
class Fields {
 public:
  explicit Fields(std::string_view table) { add(table); }
  Fields& add(std::uint64_t word) {
    bytes_.append(reinterpret_cast<const char*>(&word), sizeof word);
    return *this;
  }
  Fields& add(std::string_view text) {
    add(std::uint64_t{text.size()});
    bytes_ += text;
    return *this;
  }
  std::uint64_t checksum() const { return XXH3_64bits(bytes_.data(), bytes_.size()); }

 private:
  std::string bytes_;
};

// ---- what a sound file looks like

std::uint32_t big_endian(const std::string& bytes, std::size_t at) {
  std::uint32_t word = 0;
  for (std::size_t i = at; i < at + 4; ++i) word = word << 8 | static_cast<unsigned char>(bytes[i]);
  return word;
}

// The first 100 bytes (sqlite.org/fileformat2.html, section 1.3). All that is checked here is constant from a file's first
// moment, so that it holds while another process writes. Beyond telling what the file is, this finds damage that SQLite would act
// on: a list of free pages where there is none, another way of keeping a journal, pages of other sizes.
void check_header(const Database& database) {
  const auto foreign = [&](const std::string& what) {
    throw DamagedFileError(fmt::format("{} is not a study: {}", shown_path(database.path()), what));
  };
  if (database.file_size() == 0) foreign("it is empty; delete it to start a study of this name");
  const std::string header = database.beginning(100);
  if (database.file_size() < header.size() || !header.starts_with(std::string_view("SQLite format 3\0", 16)))
    foreign("it is not an SQLite file");
  if (big_endian(header, 68) != kApplicationId) foreign("it is an SQLite file of another program");
  const std::uint32_t version = big_endian(header, 60);
  if (version > static_cast<std::uint32_t>(kSchemaVersion)) {
    throw DamagedFileError(fmt::format("{} is from a newer fryer: format {}, and this one reads up to {}",
                                       shown_path(database.path()), version, kSchemaVersion));
  }
  const bool sound = version == static_cast<std::uint32_t>(kSchemaVersion) &&
                     big_endian(header, 16) == (std::uint32_t{kPageSize} << 16 | 0x0202) &&  // page size, WAL, WAL
                     big_endian(header, 20) == 0x00402020 &&                                 // nothing reserved; fixed fractions
                     big_endian(header, 32) == 0 && big_endian(header, 36) == 0 &&           // no free pages
                     big_endian(header, 44) == 4 &&                                          // schema format
                     big_endian(header, 48) == 0 && big_endian(header, 52) == 0 &&           // cache size; vacuum
                     big_endian(header, 56) == 1 && big_endian(header, 64) == 0 &&           // UTF-8; vacuum
                     std::all_of(header.begin() + 72, header.begin() + 92, [](char byte) { return byte == 0; });
  if (!sound) damaged(database.path(), "its header is not what fryer writes");
}

std::string schema_of(const Database& database) {
  std::string schema;
  Statement rows = database.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid");
  while (rows.step()) {
    for (int i = 0; i < 4; ++i) schema += rows.text() + '\n';
  }
  return schema;
}

// What SQLite makes of the schema, so that its way of writing it down need not be known here.
std::string expected_schema() {
  const Database database("the schema", ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  database.execute(kSchema);
  return schema_of(database);
}

// ---- rows

std::uint64_t checksum_of(const std::string& plan, const std::string& source, const Shard& shard) {
  return Fields("study").add(plan).add(source).add(shard.index).add(shard.shards).checksum();
}

constexpr std::string Provenance::*kProvenanceTexts[] = {
    &Provenance::program_version,  &Provenance::compiler, &Provenance::host, &Provenance::processor,
    &Provenance::operating_system, &Provenance::device,   &Provenance::isa,  &Provenance::command_line,
    &Provenance::started};

std::uint64_t checksum_of(std::uint64_t number, const Provenance& run) {
  Fields fields("run");
  fields.add(number);
  for (const auto text : kProvenanceTexts) fields.add(run.*text);
  return fields.add(run.numerics_version).add(run.threads).checksum();
}

// A chunk as the store knows it: without columns, with their checksum.
struct Listed {
  Chunk chunk;
  std::uint64_t columns_checksum = 0, columns_size = 0;

  std::uint64_t checksum() const {
    return Fields("chunk")
        .add(chunk.cell)
        .add(chunk.range.first)
        .add(chunk.range.count)
        .add(chunk.run)
        .add(chunk.digest)
        .add(chunk.failed)
        .add(chunk.solved)
        .add(std::bit_cast<std::uint64_t>(chunk.seconds))
        .add(columns_size)
        .add(columns_checksum)
        .checksum();
  }
};

struct Ledger {
  std::uint64_t runs = 0, run_checksums = 0, chunks = 0, replicas = 0, digests = 0, chunk_checksums = 0;
  friend bool operator==(const Ledger&, const Ledger&) = default;

  void add_run(std::uint64_t checksum) {
    ++runs;
    run_checksums += checksum;
  }
  void add_chunk(const Listed& listed) {
    ++chunks;
    replicas += listed.chunk.range.count;
    digests += listed.chunk.digest;
    chunk_checksums += listed.checksum();
  }
  std::uint64_t checksum() const {
    return Fields("ledger").add(runs).add(run_checksums).add(chunks).add(replicas).add(digests).add(chunk_checksums).checksum();
  }
  void write(const Database& database) const {
    Statement row = database.prepare("REPLACE INTO ledger VALUES (0, ?, ?, ?, ?, ?, ?, ?)", Doing::writing);
    row.bind(runs).bind(run_checksums).bind(chunks).bind(replicas).bind(digests).bind(chunk_checksums).bind(checksum()).step();
  }
};

}  // namespace

struct Store::State {
  // In this order: the connection closes before the lock goes, or the copy.
  std::unique_ptr<WriterLock> lock;
  std::unique_ptr<Copy> copy;
  std::unique_ptr<Database> database;
  mutable std::mutex mutex;  // the connection's, between threads that read columns

  std::string path;
  Plan plan;
  Shard shard;
  std::vector<Provenance> runs;
  std::optional<std::uint64_t> run;                                  // who writes
  std::map<std::pair<std::uint64_t, std::uint64_t>, Listed> chunks;  // by cell and first replica
  Ledger ledger;

  void load();
  void check_length() const;
  void load_study();
  void load_runs();
  void load_chunks();
  void load_ledger();
  void check_place(const Chunk& chunk, const std::function<void(const std::string&)>& refuse) const;
  void begin_run(const Provenance& provenance);
  void check_still_there() const;
  void append(const std::vector<Chunk>& added, const std::vector<std::string>& bytes);
  std::string bytes(const Chunk& chunk) const;
};

void Store::State::load() {
  check_header(*database);
  database->settle();
  database->execute("BEGIN");
  if (schema_of(*database) != expected_schema()) damaged(path, "its tables are not those of a study");
  check_length();
  load_study();
  load_runs();
  load_chunks();
  load_ledger();
  database->execute("COMMIT");
}

// Of the snapshot that is being read. Pages that are missing, or that SQLite would take for free, must be found before they are
// needed. While there is a log the file may be of any length; and nobody empties it while this reads from it.
void Store::State::check_length() const {
  Statement pages = database->prepare("PRAGMA page_count");
  pages.step();
  const bool whole = pages.integer() * kPageSize == database->file_size();
  if (!whole && !has_log(sqlite3_db_filename(database->get(), "main"))) damaged(path, "it is longer or shorter than it says");
}

void Store::State::load_study() {
  Statement row = database->prepare("SELECT plan, source, shard, shards, checksum FROM study");
  if (!row.step()) damaged(path, "its plan is missing");
  const std::string document = row.text(), source = row.text();
  shard.index = row.integer();
  shard.shards = row.integer();
  if (row.integer() != checksum_of(document, source, shard)) damaged(path, "its plan has another checksum than its row says");
  if (shard.index < 1 || shard.index > shard.shards) damaged(path, fmt::format("its shard is {}/{}", shard.index, shard.shards));
  try {
    plan = plan_from_json(Json::parse(document));
  } catch (const Json::exception& error) {
    damaged(path, fmt::format("its plan is not JSON: {}", error.what()));
  }
  plan.source = source;
}

void Store::State::load_runs() {
  Statement row = database->prepare(
      "SELECT number, program_version, compiler, host, processor, operating_system, device, isa, command_line, started, "
      "numerics_version, "
      "threads, checksum FROM run ORDER BY number");
  while (row.step()) {
    Provenance read;
    const std::uint64_t number = row.integer();
    for (const auto text : kProvenanceTexts) read.*text = row.text();
    read.numerics_version = row.integer();
    read.threads = row.integer();
    const std::uint64_t checksum = checksum_of(number, read);
    if (number != runs.size() || row.integer() != checksum)
      damaged(path, fmt::format("run {} is not what was written", runs.size()));
    runs.push_back(std::move(read));
    ledger.add_run(checksum);
  }
}

// What any chunk must fulfil beside the others; `refuse` throws.
void Store::State::check_place(const Chunk& chunk, const std::function<void(const std::string&)>& refuse) const {
  const Range range = chunk.range;
  const std::string name =
      fmt::format("the chunk of cell {} at replica {} with {} replicas", chunk.cell, range.first, range.count);
  if (chunk.cell >= plan.cells.size() || range.first >= plan.seeds || range.count == 0 ||
      range.count > plan.seeds - range.first) {
    refuse(fmt::format("{} is not of the plan's {} cells and {} seeds", name, plan.cells.size(), plan.seeds));
  }
  if (chunk.failed > range.count || chunk.solved > range.count) {
    refuse(fmt::format("{} has {} failed and {} solved", name, chunk.failed, chunk.solved));
  }
  const auto next = chunks.lower_bound({chunk.cell, range.first});
  const bool meets_next =
      next != chunks.end() && next->first.first == chunk.cell && next->first.second < range.first + range.count;
  bool meets_previous = false;
  if (next != chunks.begin()) {
    const Chunk& previous = std::prev(next)->second.chunk;
    meets_previous = previous.cell == chunk.cell && previous.range.first + previous.range.count > range.first;
  }
  if (meets_next || meets_previous) refuse(fmt::format("{} overlaps another", name));
}

void Store::State::load_chunks() {
  Statement row = database->prepare(
      "SELECT cell, first, count, run, digest, failed, solved, seconds, columns_checksum, checksum, length(columns) FROM chunk "
      "NOT INDEXED");
  while (row.step()) {
    Listed listed;
    Chunk& chunk = listed.chunk;
    chunk.cell = row.integer();
    chunk.range.first = row.integer();
    chunk.range.count = row.integer();
    chunk.run = row.integer();
    chunk.digest = row.integer();
    chunk.failed = row.integer();
    chunk.solved = row.integer();
    chunk.seconds = row.real();
    listed.columns_checksum = row.integer();
    const std::uint64_t checksum = row.integer();
    listed.columns_size = row.integer();
    if (checksum != listed.checksum()) damaged(path, "a chunk has another checksum than its row says");
    check_place(chunk, [&](const std::string& what) { damaged(path, what); });
    if (chunk.run >= runs.size()) damaged(path, fmt::format("a chunk is of run {} of {}", chunk.run, runs.size()));
    ledger.add_chunk(listed);
    chunks.emplace(std::pair(chunk.cell, chunk.range.first), std::move(listed));
  }
}

void Store::State::load_ledger() {
  Statement row =
      database->prepare("SELECT runs, run_checksums, chunks, replicas, digests, chunk_checksums, checksum FROM ledger");
  if (!row.step()) damaged(path, "its ledger is missing");
  Ledger written;
  for (std::uint64_t Ledger::*field :
       {&Ledger::runs, &Ledger::run_checksums, &Ledger::chunks, &Ledger::replicas, &Ledger::digests, &Ledger::chunk_checksums}) {
    written.*field = row.integer();
  }
  if (row.integer() != written.checksum()) damaged(path, "its ledger has another checksum than it says");
  if (written != ledger) {
    damaged(path, fmt::format("it has {} chunks of {} replicas that do not make the ledger's {} of {}", ledger.chunks,
                              ledger.replicas, written.chunks, written.replicas));
  }
}

void Store::State::begin_run(const Provenance& provenance) {
  const auto known = std::find(runs.begin(), runs.end(), provenance);
  if (known != runs.end()) {
    run = static_cast<std::uint64_t>(known - runs.begin());
    return;
  }
  const std::uint64_t number = runs.size(), checksum = checksum_of(number, provenance);
  Ledger next = ledger;
  next.add_run(checksum);
  database->transaction([&] {
    Statement row = database->prepare("INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", Doing::writing);
    row.bind(number);
    for (const auto text : kProvenanceTexts) row.bind(provenance.*text);
    row.bind(provenance.numerics_version).bind(provenance.threads).bind(checksum).step();
    next.write(*database);
  });
  ledger = next;
  runs.push_back(provenance);
  run = number;
}

void Store::State::check_still_there() const {
  if (lock && !lock->is_still_there(path))
    throw FileError(fmt::format("{} was moved, replaced or deleted while it was being written", shown_path(path)));
}

void Store::State::append(const std::vector<Chunk>& added, const std::vector<std::string>& bytes) {
  if (!run) throw Error("a chunk cannot be stored before begin_run() says who made it");
  if (bytes.size() != added.size()) throw Error("a chunk cannot be stored without its columns");
  check_still_there();
  Ledger next = ledger;
  const std::lock_guard guard(mutex);
  std::vector<std::map<std::pair<std::uint64_t, std::uint64_t>, Listed>::iterator> listed;
  try {
    for (std::size_t i = 0; i < added.size(); ++i) {
      const Chunk& chunk = added[i];
      check_place(chunk,
                  [&](const std::string& what) { throw Error(fmt::format("{} cannot store this: {}", shown_path(path), what)); });
      Listed entry;
      entry.chunk = chunk;
      entry.chunk.columns.clear();
      entry.chunk.run = *run;
      entry.columns_checksum = XXH3_64bits(bytes[i].data(), bytes[i].size());
      entry.columns_size = bytes[i].size();
      next.add_chunk(entry);
      listed.push_back(chunks.emplace(std::pair(chunk.cell, chunk.range.first), std::move(entry)).first);
    }
    database->transaction([&] {
      for (std::size_t i = 0; i < added.size(); ++i) {
        const Chunk& chunk = added[i];
        const Listed& entry = listed[i]->second;
        Statement row = database->prepare("INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", Doing::writing);
        row.bind(chunk.cell).bind(chunk.range.first).bind(chunk.range.count).bind(*run).bind(chunk.digest).bind(chunk.failed);
        row.bind(chunk.solved)
            .bind(chunk.seconds)
            .bind(entry.columns_checksum)
            .bind(entry.checksum())
            .bind_bytes(bytes[i])
            .step();
      }
      next.write(*database);
    });
  } catch (...) {
    for (const auto& entry : listed) chunks.erase(entry);
    throw;
  }
  ledger = next;
}

std::string Store::State::bytes(const Chunk& chunk) const {
  const std::lock_guard guard(mutex);
  const auto listed = chunks.find({chunk.cell, chunk.range.first});
  if (listed == chunks.end()) {
    throw Error(fmt::format("{} has no chunk of cell {} at replica {}", shown_path(path), chunk.cell, chunk.range.first));
  }
  Statement row = database->prepare("SELECT columns FROM chunk WHERE cell = ? AND first = ?");
  std::string columns;
  if (row.bind(chunk.cell).bind(chunk.range.first).step()) columns = row.text();
  if (columns.size() != listed->second.columns_size ||
      XXH3_64bits(columns.data(), columns.size()) != listed->second.columns_checksum) {
    damaged(path, fmt::format("the columns of cell {} at replica {} are not what was written", chunk.cell, chunk.range.first));
  }
  return columns;
}

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;

void Store::check_still_there() const { state_->check_still_there(); }
void Store::finish() { state_->database->fold_log(); }

Store::~Store() {
  if (!state_ || !state_->lock) return;
  // A reader that is in the way now folds the log itself when it closes.
  sqlite3_busy_timeout(state_->database->get(), 0);
  sqlite3_wal_checkpoint_v2(state_->database->get(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
}

Store Store::create(const std::string& path, const Plan& plan, const Shard& shard) {
  if (shard.index < 1 || shard.index > shard.shards) {
    throw ConfigurationError(fmt::format("shard {}/{} is not one; accepted: 1/N to N/N", shard.index, shard.shards));
  }
  NewFile file(path);
  {
    const Database database(path, file.inside(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    // Nothing is synced before publish() does it once. A title taken from a file's name may hold any bytes.
    const std::string document = to_json(plan).dump(-1, ' ', false, Json::error_handler_t::replace);
    database.execute(fmt::format("PRAGMA synchronous = OFF; PRAGMA page_size = {}; PRAGMA application_id = {}; PRAGMA "
                                 "user_version = {}; PRAGMA journal_mode = WAL",
                                 kPageSize, kApplicationId, kSchemaVersion)
                         .c_str(),
                     Doing::writing);
    database.transaction([&] {
      database.execute(kSchema, Doing::writing);
      Statement row = database.prepare("INSERT INTO study VALUES (0, ?, ?, ?, ?, ?)", Doing::writing);
      row.bind(document)
          .bind(plan.source)
          .bind(shard.index)
          .bind(shard.shards)
          .bind(checksum_of(document, plan.source, shard))
          .step();
      Ledger().write(database);
    });
    database.fold_log();
  }
  {
    const Store made = open(file.inside(), Access::read);  // before it has a name: it can be read back
  }
  file.publish();
  return open(path, Access::write);
}

Store Store::open(const std::string& path, Access access) {
  const std::string real = real_path(path);
  const auto make = [&path](std::unique_ptr<WriterLock> lock, std::unique_ptr<Copy> copy, const std::string& name, int flags) {
    auto state = std::make_unique<State>();
    state->path = path;
    state->lock = std::move(lock);
    state->copy = std::move(copy);
    state->database = std::make_unique<Database>(path, name, flags);
    state->load();
    return Store(std::move(state));
  };
  if (access == Access::write) {
    auto lock = std::make_unique<WriterLock>(path, real);
    TemporaryPath::remove_stale(real, TemporaryPath::Kind::folder);  // its maker was killed once it had its name
    Store store = make(std::move(lock), nullptr, real, SQLITE_OPEN_READWRITE);
    // Nobody should compute for hours what ends in a damaged file: a million replicas take some milliseconds here.
    for (const auto& [place, listed] : store.state_->chunks) store.state_->bytes(listed.chunk);
    return store;
  }

  // Where this process may write, SQLite reads as it always does: beside a writer, and folding what a killed one left. Else it
  // must not even try, since the files it puts beside the database would be in the way of those who may.
  if (::access(real.c_str(), W_OK) == 0 && ::access(folder_of(real).c_str(), W_OK) == 0) {
    try {
      return make(nullptr, nullptr, real, SQLITE_OPEN_READWRITE);
    } catch (const FileError&) {
      // A full disk, for one: reading in the ways below needs nothing beside the file.
    }
  }
  if (!has_log(real)) return make(nullptr, nullptr, uri_of(real, "immutable"), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
  try {
    return make(nullptr, nullptr, uri_of(real, "readonly_shm"), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
  } catch (const FileError&) {
    // There is no index of the log, or it is not readable.
  }
  auto copy = std::make_unique<Copy>(real);
  const std::string name = copy->file();
  return make(nullptr, std::move(copy), name, SQLITE_OPEN_READWRITE);
}

const std::string& Store::path() const { return state_->path; }
const Plan& Store::plan() const { return state_->plan; }
const Shard& Store::shard() const { return state_->shard; }
std::vector<Provenance> Store::runs() const { return state_->runs; }
void Store::begin_run(const Provenance& provenance) { state_->begin_run(provenance); }
void Store::append(const Chunk& chunk, const std::string& bytes) {
  state_->append({chunk}, {bytes.empty() ? encode(chunk.columns, chunk.range.count) : bytes});
}
void Store::append(const std::vector<Chunk>& chunks, const std::vector<std::string>& bytes) { state_->append(chunks, bytes); }
std::string Store::bytes(const Chunk& chunk) const { return state_->bytes(chunk); }

std::vector<Chunk> Store::chunks() const {
  std::vector<Chunk> result;
  result.reserve(state_->chunks.size());
  for (const auto& [place, listed] : state_->chunks) result.push_back(listed.chunk);
  return result;
}

std::vector<Column> Store::columns(const Chunk& chunk, const std::function<bool(const Column&)>& wanted) const {
  return decode_some(state_->bytes(chunk), chunk.range.count, wanted);
}

std::vector<Range> Store::missing(std::uint64_t cell) const {
  const Range shard = shard_of(plan().seeds, state_->shard.index, state_->shard.shards);
  std::vector<Range> result;
  std::uint64_t next = shard.first;  // all before it is there
  const std::uint64_t end = shard.first + shard.count;
  const auto miss_until = [&](std::uint64_t first) {
    if (next < std::min(first, end)) result.push_back({next, std::min(first, end) - next});
  };
  const auto& chunks = state_->chunks;
  for (auto it = chunks.lower_bound({cell, 0}); it != chunks.end() && it->first.first == cell; ++it) {
    const Range range = it->second.chunk.range;
    miss_until(range.first);
    next = std::max(next, range.first + range.count);
  }
  miss_until(end);
  return result;
}

std::uint64_t digest_of(const std::vector<Chunk>& chunks) {
  std::uint64_t sum = 0;
  for (const Chunk& chunk : chunks) sum += chunk.digest;
  return sum;
}

}  // namespace fryer::study
