// SPDX-License-Identifier: Apache-2.0
// Trainings under way, kept beside a study: they come back to the last bit or not at all, whoever kills the writer, fills the disk or
// flips a byte, and what is wrong inside their file is a reason to begin again, after the file was set aside.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <limits>
#include <random>
#include <thread>

#include "fryer/core/error.h"
#include "fryer/core/version.h"
#include "host/study/unfinished.h"
#include "tests/study/store_support.h"

namespace fryer::study {
namespace {

using test::Folder;
using test::make_plan;
using test::message_of;

struct Shape {
  std::uint64_t replicas = 1, parameters = 2;
  bool steps = true, m = true, v = true;
  std::uint64_t recent = 7, outcomes = 20;  // rows
};

// Any bits, NaN and infinities among them; runs of equal values, small ones and all of a type's range.
template <class Word>
Word any_word(std::mt19937_64& random, std::uint64_t style) {
  const std::uint64_t word = random();
  return static_cast<Word>(style == 0 ? 0 : style == 1 ? word % 500 : style == 2 ? ~std::uint64_t{0} - word % 3 : word);
}
template <class Word>
std::vector<Word> any_words(std::mt19937_64& random, std::uint64_t count) {
  std::vector<Word> words(count);
  const std::uint64_t style = random() % 5;
  for (Word& word : words) word = any_word<Word>(random, style == 4 ? random() % 4 : style);
  return words;
}

TrainingStates any_trainings(std::mt19937_64& random, const Shape& shape, std::uint64_t first_seed) {
  TrainingStates t;
  const std::uint64_t n = shape.replicas;
  const auto floats = [&] {
    std::vector<float> values;
    for (const std::uint32_t bits : any_words<std::uint32_t>(random, n)) values.push_back(std::bit_cast<float>(bits));
    return values;
  };
  t.table.first_seed = first_seed;
  for (std::uint64_t i = 0; i < n; ++i) t.table.status.push_back(static_cast<std::uint8_t>(random() % 4));
  t.table.updates = any_words<std::uint32_t>(random, n);
  if (shape.steps) t.table.steps = any_words<std::uint64_t>(random, n);
  for (std::uint64_t j = 0; j < shape.parameters; ++j) {
    t.table.parameters.push_back(floats());
    if (shape.m) t.m.push_back(floats());
    if (shape.v) t.v.push_back(floats());
  }
  t.recent = any_words<std::uint64_t>(random, shape.recent * n);
  t.outcomes = any_words<std::uint32_t>(random, shape.outcomes * n);
  return t;
}

bool same_bits(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t j = 0; j < a.size(); ++j) {
    if (a[j].size() != b[j].size() || std::memcmp(a[j].data(), b[j].data(), a[j].size() * sizeof(float)) != 0) return false;
  }
  return true;
}
bool same(const TrainingStates& a, const TrainingStates& b) {
  return a.table.first_seed == b.table.first_seed && a.table.status == b.table.status && a.table.updates == b.table.updates &&
         a.table.steps == b.table.steps && same_bits(a.table.parameters, b.table.parameters) && same_bits(a.m, b.m) &&
         same_bits(a.v, b.v) && a.recent == b.recent && a.outcomes == b.outcomes;
}

Shape any_shape(std::mt19937_64& random, std::uint64_t replicas) {
  return {replicas,
          random() % 14,
          random() % 2 == 0,
          random() % 3 != 0,
          random() % 3 != 0,
          random() % 3 * (random() % 20),
          random() % 4 * (random() % 200)};
}

// ---- as bytes

TEST(TrainingStates, OfAnyShapeComeBack) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 400; ++i) {
    const std::uint64_t around = std::uint64_t{1} << random() % 12;
    const Shape shape = any_shape(random, std::max<std::uint64_t>(1, around + random() % 3 - 1));
    const TrainingStates trainings = any_trainings(random, shape, random());
    EXPECT_TRUE(same(decode_states(encode(trainings)), trainings)) << i;
  }
}

TEST(TrainingStates, ComeBackWithoutMomentsStepsOrOutcomes) {
  std::mt19937_64 random(2);
  for (const Shape& shape : {Shape{1, 0, false, false, false, 0, 0}, Shape{5, 2, false, false, false, 0, 0},
                             Shape{1024, 1, true, true, false, 0, 1}, Shape{1025, 1, true, false, true, 1, 0}}) {
    const TrainingStates trainings = any_trainings(random, shape, 1);
    EXPECT_TRUE(same(decode_states(encode(trainings)), trainings));
  }
}

TEST(TrainingStates, OfAnInconsistentShapeAreRefused) {
  const auto refused = [](const auto& change) {
    std::mt19937_64 random(3);
    TrainingStates trainings = any_trainings(random, {4, 2}, 1);
    EXPECT_NO_THROW(encode(trainings));
    change(trainings);
    return message_of<Error>([&] { encode(trainings); });
  };
  EXPECT_NE(refused([](TrainingStates& t) { t = {}; }).find("0 trainings"), std::string::npos);
  EXPECT_NE(refused([](TrainingStates& t) { t.table.updates.pop_back(); }).find("3 counts of updates"), std::string::npos);
  EXPECT_NE(refused([](TrainingStates& t) { t.table.steps.pop_back(); }).find("3 counts of steps"), std::string::npos);
  EXPECT_NE(refused([](TrainingStates& t) { t.table.parameters[1].pop_back(); }).find("3 values"), std::string::npos);
  EXPECT_NE(refused([](TrainingStates& t) { t.v[0].push_back(0); }).find("5 values"), std::string::npos);
  EXPECT_NE(refused([](TrainingStates& t) { t.m.pop_back(); }).find("moments of 1 parameters"), std::string::npos);
  EXPECT_NE(refused([](TrainingStates& t) { t.recent.pop_back(); }).find("27 recent"), std::string::npos);
  EXPECT_NE(refused([](TrainingStates& t) { t.outcomes.pop_back(); }).find("79 outcomes"), std::string::npos);
  EXPECT_NE(refused([](TrainingStates& t) { t.table.status[2] = 4; }).find("status"), std::string::npos);
}

// Either the one exception, or trainings that could be written again: without a checksum in front, some changes are other values.
TEST(TrainingStates, SurviveAnyBytes) {
  std::mt19937_64 random(4);
  int refused = 0, accepted = 0;
  const auto attempt = [&](const std::string& bytes) {
    try {
      const TrainingStates trainings = decode_states(bytes);
      EXPECT_TRUE(same(decode_states(encode(trainings)), trainings));
      ++accepted;
    } catch (const DamagedFileError&) {
      ++refused;
    }
  };
  const std::string good = encode(any_trainings(random, {37, 3}, 5));
  for (std::size_t length = 0; length < good.size(); ++length) attempt(good.substr(0, length));
  EXPECT_EQ(accepted, 0) << "truncated trainings were taken for whole ones";
  attempt(good + "x");
  EXPECT_EQ(accepted, 0) << "what follows was not noticed";
  constexpr std::size_t kHeading = 1 + 8 + 8 + 1 + 12 + 16;
  for (int i = 0; i < 30'000; ++i) {
    std::string bytes = good;
    for (std::uint64_t n = random() % 4 + 1; n > 0; --n)
      bytes[random() % (i % 3 == 0 ? kHeading : bytes.size())] = static_cast<char>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    attempt(bytes);
  }
  EXPECT_GT(refused, 10'000);
  EXPECT_GT(accepted, 1'000);
  // Counts that no memory could hold, and a product of them that wraps to nothing.
  for (const std::size_t at : {9u, 18u, 22u, 26u, 30u, 38u}) {
    for (const char byte : {'\x20', '\x7f', '\xff'}) {
      std::string bytes = good;
      bytes[at + (at == 18 || at == 22 || at == 26 ? 3 : 7)] = byte;
      EXPECT_THROW(decode_states(bytes), DamagedFileError) << at;
    }
  }
}

// ---- the file

constexpr std::uint64_t kSeeds = 2000;

// A study of which some replicas are there, open for writing.
Store make_store(const std::string& path, const Plan& plan = make_plan(4, kSeeds)) {
  Store store = Store::create(path, plan, {});
  store.begin_run(test::make_run());
  store.append(test::make_chunk(1, {100, 100}));
  return store;
}

struct Piece {
  std::uint64_t cell;
  Range range;
};
const Piece kPieces[] = {{0, {0, 10}}, {0, {10, 90}}, {1, {0, 100}}, {1, {200, 7}}, {3, {kSeeds - 1, 1}}};

// The same of each piece every time; `version` makes others.
TrainingStates trainings_of(const Piece& piece, std::uint64_t version = 0) {
  std::mt19937_64 random(test::noise(piece.cell, piece.range.first, version));
  return any_trainings(random, any_shape(random, piece.range.count), 1 + piece.range.first);
}
const Piece* find_piece(const Unfinished& unfinished) {
  for (const Piece& piece : kPieces) {
    if (piece.cell == unfinished.cell && piece.range == unfinished.range) return &piece;
  }
  return nullptr;
}
void set_all(UnfinishedFile& file, std::uint64_t version = 0) {
  for (const Piece& piece : kPieces) file.set(piece.cell, piece.range, encode(trainings_of(piece, version)));
}
bool are_exact(const std::vector<Unfinished>& pieces, std::uint64_t version = 0) {
  for (const Unfinished& unfinished : pieces) {
    const Piece* const piece = find_piece(unfinished);
    if (piece == nullptr || !same(unfinished.trainings, trainings_of(*piece, version))) return false;
  }
  return true;
}

TEST(UnfinishedFile, GivesBackWhatItWasGiven) {
  const Folder folder;
  Store store = make_store(folder / "a.db");
  UnfinishedFile file(store);
  EXPECT_EQ(file.path(), std::filesystem::canonical(folder / "a.db").string() + "-unfinished");
  EXPECT_TRUE(file.load().pieces.empty());
  EXPECT_EQ(file.load().lost, "") << "there is none yet";
  file.write();
  EXPECT_FALSE(std::filesystem::exists(file.path())) << "nothing is unfinished";
  set_all(file);
  file.write();

  UnfinishedFile back(store);
  UnfinishedFile::Loaded loaded = back.load();
  EXPECT_EQ(loaded.lost, "");
  ASSERT_EQ(loaded.pieces.size(), std::size(kPieces));
  EXPECT_TRUE(are_exact(loaded.pieces));
  for (std::size_t i = 0; i < std::size(kPieces); ++i) EXPECT_EQ(find_piece(loaded.pieces[i]), &kPieces[i]) << "their order";

  // What was loaded is kept when other pieces change.
  back.erase(kPieces[1].cell, kPieces[1].range.first);
  back.erase(2, 5);
  back.set(kPieces[0].cell, kPieces[0].range, encode(trainings_of(kPieces[0], 1)));
  back.write();
  loaded = file.load();
  EXPECT_EQ(loaded.lost, "");
  ASSERT_EQ(loaded.pieces.size(), std::size(kPieces) - 1);
  EXPECT_TRUE(same(loaded.pieces[0].trainings, trainings_of(kPieces[0], 1)));
  loaded.pieces.erase(loaded.pieces.begin());
  EXPECT_TRUE(are_exact(loaded.pieces));

  // A chunk that was finished just before a kill is not begun again, even where only a part of it is there.
  store.append(test::make_chunk(1, {50, 50}));
  loaded = file.load();
  EXPECT_EQ(loaded.lost, "");
  EXPECT_EQ(loaded.pieces.size(), std::size(kPieces) - 2);

  for (const Unfinished& unfinished : loaded.pieces) file.erase(unfinished.cell, unfinished.range.first);
  file.write();
  EXPECT_FALSE(std::filesystem::exists(file.path()));
}

TEST(UnfinishedFile, CountsTrainingsThatWereBegun) {
  const Folder folder;
  Store store = make_store(folder / "a.db");
  UnfinishedFile file(store);
  EXPECT_EQ(file.count().trainings, 0u);
  std::mt19937_64 random(7);
  TrainingStates trainings = any_trainings(random, {4, 2}, 1);
  using enum ReplicaStatus;
  trainings.table.status.clear();
  for (const ReplicaStatus status : {unfinished, unfinished, solved, failed})
    trainings.table.status.push_back(static_cast<std::uint8_t>(status));
  trainings.table.updates = {0, 3, 5, 1};  // the first waits for its first update
  file.set(0, {0, 4}, encode(trainings));
  file.write();
  const std::string bytes = test::read_all(file.path());
  const UnfinishedFile::Begun begun = UnfinishedFile(store).count();
  EXPECT_EQ(begun.trainings, 1u);
  EXPECT_EQ(begun.ended, 2u);
  EXPECT_EQ(begun.lost, "");
  EXPECT_EQ(test::read_all(file.path()), bytes);
  store.append(test::make_chunk(0, {0, 4}));
  EXPECT_EQ(file.count().trainings, 0u) << "they are finished by now";
  test::write_all(file.path(), bytes.substr(0, 40));
  EXPECT_NE(file.count().lost.find("a.db-unfinished is damaged"), std::string::npos);
}

TEST(UnfinishedFile, RefusesWhatIsNotTheStudys) {
  const Folder folder;
  const Store store = make_store(folder / "a.db");
  UnfinishedFile file(store);
  std::mt19937_64 random(5);
  const auto refused = [&](std::uint64_t cell, const Range& range, std::uint64_t replicas, std::uint64_t seed) {
    EXPECT_THROW(file.set(cell, range, encode(store.plan(), range, any_trainings(random, {replicas}, seed))), Error)
        << cell << " " << range.first;
  };
  refused(4, {0, 1}, 1, 1);
  refused(0, {kSeeds, 1}, 1, 1 + kSeeds);
  refused(0, {kSeeds - 1, 2}, 2, kSeeds);
  refused(0, {1, ~std::uint64_t{0}}, 1, 2);
  refused(1, {100, 1}, 1, 101);
  refused(1, {99, 2}, 2, 100);
  refused(0, {0, 2}, 1, 1);
  refused(0, {0, 1}, 1, 2);
  EXPECT_THROW(file.set(0, {0, 0}, encode(store.plan(), {0, 0}, {})), Error);
  file.write();
  EXPECT_FALSE(std::filesystem::exists(file.path()));
}

// Bytes changed, or the end cut off: what comes is exact, what does not come is said, and the last good state can be written over it.
TEST(UnfinishedFile, FindsAnyByteThatChanged) {
  const Folder folder;
  const Store store = make_store(folder / "a.db");
  UnfinishedFile file(store);
  set_all(file);
  file.write();
  const std::string good = test::read_all(file.path());
  constexpr std::size_t kHeading = 32 + 40 * std::size(kPieces) + 8;
  std::mt19937_64 random(6);
  std::size_t some = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = good;
    const std::size_t at = random() % (i % 4 == 0 ? kHeading : bytes.size());
    if (i % 5 == 0) {
      bytes.resize(at);
    } else {
      bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(1 + random() % 255));
    }
    test::write_all(file.path(), bytes);
    const UnfinishedFile::Loaded loaded = file.load();
    ASSERT_TRUE(are_exact(loaded.pieces)) << at;
    ASSERT_LT(loaded.pieces.size(), std::size(kPieces)) << at;
    ASSERT_NE(loaded.lost.find("a.db-unfinished"), std::string::npos) << at;
    ASSERT_EQ(loaded.lost.find('\n'), std::string::npos) << loaded.lost;
    if (i % 5 != 0) {
      ASSERT_EQ(loaded.pieces.size(), at < kHeading ? 0 : std::size(kPieces) - 1) << "one damaged piece is lost alone";
    }
    some += !loaded.pieces.empty();
  }
  EXPECT_GT(some, 1000u);
  set_all(file);
  file.write();
  EXPECT_EQ(test::read_all(file.path()), good);
}

TEST(UnfinishedFile, OfAnotherStudyIsAReasonAndNoError) {
  const Folder folder;
  const Store store = make_store(folder / "a.db");
  Plan other = make_plan(4, kSeeds);
  other.cells[3].key = R"({"updates":3})";
  const Store another = make_store(folder / "b.db", other);
  UnfinishedFile file(store), foreign(another);
  set_all(foreign);
  foreign.write();
  const std::string bytes = test::read_all(foreign.path());
  const auto lost_of = [&](const std::string& content) {
    test::write_all(file.path(), content);
    const UnfinishedFile::Loaded loaded = file.load();
    EXPECT_TRUE(loaded.pieces.empty());
    return loaded.lost;
  };
  EXPECT_NE(lost_of(bytes).find("another study"), std::string::npos);
  EXPECT_NE(lost_of("").find("does not hold trainings"), std::string::npos);
  EXPECT_NE(lost_of(test::read_all(folder / "a.db")).find("does not hold trainings"), std::string::npos);
  EXPECT_NE(lost_of(std::string(100'000, 'x')).find("does not hold trainings"), std::string::npos);
  EXPECT_NE(lost_of(bytes.substr(0, 8) + std::string(1000, '\xff')).find("damaged"), std::string::npos);
}

// Rights, which hold root back from nothing, are no good for a test; links are.
TEST(UnfinishedFile, ThatCannotBeReadIsAnErrorAndAReasonForThoseWhoCount) {
  const Folder folder;
  const Store store = make_store(folder / "a.db");
  UnfinishedFile file(store);
  const auto refused = [&](const char* why) {
    const std::string message = message_of<FileError>([&] { file.load(); });
    EXPECT_NE(message.find("a.db-unfinished"), std::string::npos) << message;
    EXPECT_NE(message.find(why), std::string::npos) << message;
    EXPECT_EQ(file.count().lost, message);
    std::filesystem::remove(file.path());
  };
  std::filesystem::create_symlink("a.db-unfinished", file.path());
  refused(std::strerror(ELOOP));
  std::filesystem::create_symlink("nothing", file.path());
  refused("a link to nothing");
  std::filesystem::create_directory(file.path());
  set_all(file);
  EXPECT_THROW(file.write(), FileError);
  refused("not a file");
}

TEST(UnfinishedFile, SetAsideSurvivesTheNextOne) {
  const Folder folder;
  const Store store = make_store(folder / "a.db");
  UnfinishedFile file(store);
  EXPECT_THROW(file.set_aside(), FileError) << "there is none";
  for (const char* const suffix : {".1", ".2"}) {
    const std::string name = file.path() + suffix;
    test::write_all(file.path(), suffix);
    const std::size_t files = folder.files();
    EXPECT_EQ(file.set_aside(), name);
    EXPECT_EQ(file.set_aside(), name) << "killed before it wrote another";
    EXPECT_EQ(folder.files(), files + 1);
    EXPECT_EQ(test::read_all(file.path()), suffix) << "until there is another";
    set_all(file);
    file.write();
    EXPECT_EQ(test::read_all(name), suffix);
  }
  EXPECT_EQ(test::read_all(file.path() + ".1"), ".1");
  EXPECT_TRUE(are_exact(file.load().pieces));
}

TEST(UnfinishedFile, HasTheRightsOfTheStudy) {
  const Folder folder;
  const Store store = make_store(folder / "a.db");
  UnfinishedFile file(store);
  set_all(file);
  for (const mode_t rights : {0640u, 0600u, 0664u}) {
    ASSERT_EQ(::chmod((folder / "a.db").c_str(), rights), 0);
    file.write();
    struct stat status {};
    ASSERT_EQ(::stat(file.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, rights);
  }
}

TEST(UnfinishedFile, IsAsItWasWhenTheDiskIsFull) {
  const Folder folder;
  const Store store = make_store(folder / "a.db");
  UnfinishedFile file(store);
  const Piece one = kPieces[0];
  file.set(one.cell, one.range, encode(trainings_of(one)));
  file.write();
  const std::string before = test::read_all(file.path());
  const std::size_t files = folder.files();
  const int status = test::in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{before.size() + 100, RLIM_INFINITY}, large{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &small);
    set_all(file);
    try {
      file.write();
      return 1;
    } catch (const FileError& error) {
      const std::string message = error.what();
      if (message.find(file.path()) == std::string::npos || message.find(std::strerror(EFBIG)) == std::string::npos) return 2;
    }
    if (test::read_all(file.path()) != before) return 3;
    if (folder.files() != files) return 4;
    ::setrlimit(RLIMIT_FSIZE, &large);
    file.write();
    return 0;
  });
  EXPECT_EQ(status, 0);
  const UnfinishedFile::Loaded loaded = file.load();
  EXPECT_EQ(loaded.pieces.size(), std::size(kPieces));
  EXPECT_TRUE(are_exact(loaded.pieces));
}

TEST(UnfinishedFile, IsNotWrittenForAStudyThatIsGone) {
  const Folder folder;
  const Store store = make_store(folder / "a.db");
  UnfinishedFile file(store);
  set_all(file);
  std::filesystem::remove(folder / "a.db");
  EXPECT_THROW(file.write(), FileError);
  EXPECT_FALSE(std::filesystem::exists(file.path()));
}

// kill -9 at random moments of a writer that writes all the time: the file holds all of one version, and the next writer leaves nothing
// else behind.
TEST(UnfinishedFile, IsWholeWhenItsWriterIsKilled) {
  const Folder folder;
  std::mt19937_64 random(7);
  { const Store made = make_store(folder / "a.db"); }
  std::size_t seen = 0, left_behind = 0;
  for (int round = 0; round < 60; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      const Store store = Store::open(folder / "a.db", Access::write);
      UnfinishedFile file(store);
      for (std::uint64_t version = 0;; version = 1 - version) {
        set_all(file, version);
        file.write();
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(folder / "a.db").parent_path()))
      left_behind += entry.path().filename().string().starts_with(".");
    const Store store = Store::open(folder / "a.db", Access::write);
    UnfinishedFile file(store);
    const UnfinishedFile::Loaded loaded = file.load();
    ASSERT_EQ(loaded.lost, "");
    if (loaded.pieces.empty()) continue;
    ++seen;
    ASSERT_EQ(loaded.pieces.size(), std::size(kPieces));
    ASSERT_TRUE(are_exact(loaded.pieces, 0) || are_exact(loaded.pieces, 1));
    if (round % 3 == 0) {
      for (const Piece& piece : kPieces) file.erase(piece.cell, piece.range.first);
    }
    file.write();
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(folder / "a.db").parent_path()))
      EXPECT_FALSE(entry.path().filename().string().starts_with(".")) << entry.path();
  }
  EXPECT_GT(seen, 20u);
  RecordProperty("left_behind", static_cast<int>(left_behind));
}

TEST(UnfinishedFile, KeepsMillionsOfOutcomesSmall) {
  const Folder folder;
  const Store store = make_store(folder / "a.db");
  UnfinishedFile file(store);
  std::mt19937_64 random(8);
  TrainingStates trainings = any_trainings(random, {1000, 5, true, true, true, 0, 10'000}, 1);
  for (std::uint32_t& outcome : trainings.outcomes) outcome = static_cast<std::uint32_t>(random() % 8000);
  file.set(0, {0, 1000}, encode(store.plan(), {0, 1000}, trainings));
  file.write();
  const UnfinishedFile::Loaded loaded = file.load();
  ASSERT_EQ(loaded.pieces.size(), 1u);
  EXPECT_TRUE(same(loaded.pieces[0].trainings, trainings));
  EXPECT_LT(std::filesystem::file_size(file.path()), 17'000'000u);  // 13 bits an outcome
}

}  // namespace
}  // namespace fryer::study
