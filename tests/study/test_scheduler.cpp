// SPDX-License-Identifier: Apache-2.0
// run_study(): every cell whatever the workers, cells that share lanes, and trainings left in their middle by a stop, by the clock, or by
// kill -9 and gone on with later. What a study comes to is always the sum of its cells' rows, each run alone.
#include "host/study/scheduler.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>
#include <thread>

#include "fryer/core/error.h"
#include "host/cli/study_file.h"
#include "host/group_backend.h"
#include "host/study/run_chunk.h"
#include "host/study/unfinished.h"
#include "host/watched_backend.h"
#include "tests/engine/effort.h"
#include "tests/study/store_support.h"

namespace fryer::study {
namespace {

using test::Folder;

Workers workers_of(const Plan& plan, unsigned threads, unsigned devices = 1) {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.threads = threads;
  choice.cpu_devices = devices;
  return make_workers(plan, plan.replicas(), choice);
}

Plan parse(const std::string& text) { return cli::parse_study("s.toml", text); }

std::uint64_t alone(const Plan& plan) {
  std::uint64_t digest = 0;
  const Workers workers = workers_of(plan, 1);
  for (std::uint64_t cell = 0; cell < plan.cells.size(); ++cell) {
    for (std::uint64_t i = 0; i < plan.seeds; ++i) digest += run_chunk(plan, cell, {i, 1}, *workers.backends[0], {}).digest;
  }
  return digest;
}

Store open_to_write(const std::string& path) {
  Store store = Store::open(path, Access::write);
  store.begin_run(test::make_run());
  return store;
}

std::uint64_t run_whole(const Plan& plan, const std::string& path, unsigned threads, unsigned devices = 1) {
  Store store = Store::create(path, plan, {});
  store.begin_run(test::make_run());
  run_study(plan, store, workers_of(plan, threads, devices), {});
  EXPECT_EQ(missing_replicas(store), 0u);
  return digest_of(store.chunks());
}

// Two kinds of cells, mixed in the grid: batches differ. Within a kind everything else does.
const char* const kManyCells = R"toml(environment = "CartPole-v0"
max_steps = 40
[grid]
learning_rate = [0.05, 0.3]
batch = [2, 3]
updates = [3, 9]
baseline = ["mean", "standardize"]
[seeds]
first = 4294967294
count = 5
[record]
curve_every = 2
thresholds = [20]
)toml";

TEST(RunStudy, CellsThatShareLanesAreWhatTheyAreAlone) {
  std::string file = kManyCells;
  if (const auto at = file.find("thresholds"); at != std::string::npos) file.erase(at);  // windows are longer than the trainings
  const Plan plan = parse(file);
  const std::uint64_t expected = alone(plan);
  for (const unsigned threads : {1u, 2u, 3u}) {
    const Folder folder;
    EXPECT_EQ(run_whole(plan, folder / "s.db", threads), expected) << threads << " threads";
    EXPECT_EQ(folder.files(), 1u);  // nothing is left beside the store
  }
}

TEST(RunStudy, ColumnsOfCellsThatShareLanesAreTheirOwn) {
  const Plan plan = parse(std::string(kManyCells).substr(0, std::string(kManyCells).find("thresholds")));
  const Folder folder;
  run_whole(plan, folder / "s.db", 1);
  const Store store = Store::open(folder / "s.db", Access::read);
  const Workers workers = workers_of(plan, 1);
  for (const Chunk& chunk : store.chunks()) {
    const Chunk expected = run_chunk(plan, chunk.cell, chunk.range, *workers.backends[0], {});
    const std::vector<Column> columns = store.columns(chunk, [](const Column&) { return true; });
    ASSERT_EQ(columns.size(), expected.columns.size());
    for (std::size_t i = 0; i < columns.size(); ++i) {
      EXPECT_EQ(columns[i].bits, expected.columns[i].bits) << "cell " << chunk.cell << ", column " << columns[i].name << i;
    }
  }
}

TEST(RunStudy, KindsOfCells) {
  const Plan plan = parse(std::string(kManyCells).substr(0, std::string(kManyCells).find("thresholds")));
  const std::vector<std::uint64_t> kinds = kinds_of_cells(plan);
  ASSERT_EQ(kinds.size(), 16u);
  for (std::size_t i = 0; i < kinds.size(); ++i) EXPECT_EQ(kinds[i], i / 4 % 2) << i;  // batch is the second axis
  EXPECT_EQ(kinds_of_cells(parse("environment = \"FryShack-v0\"\n[grid]\nlearning_rate = [0.1, 0.2]\n[seeds]\ncount = 2\n")),
            (std::vector<std::uint64_t>{0, 1}));
}

std::string long_study(std::uint64_t updates, std::uint64_t seeds, const std::string& more = "") {
  return fmt::format(
      "environment = \"CartPole-v0\"\nmax_steps = 40\nbatch = 2\nupdates = {}\nlearning_rate = 0.001\n{}[seeds]\ncount = {}\n",
      updates, more, seeds);
}

// Stops again and again, each time after a little longer; then the study goes on. Returns how often trainings were left in their middle.
int run_with_stops(const Plan& plan, const std::string& path, unsigned threads) {
  int left = 0;
  double seconds = 0.02;
  for (int stops = 0;; ++stops, seconds *= 1.5) {
    Store store = stops == 0 ? Store::create(path, plan, {}) : open_to_write(path);
    if (stops == 0) store.begin_run(test::make_run());
    StopToken stop{false};
    StudyControl control;
    control.stop = &stop;
    control.seconds_between_saves = 0.02;
    control.warn = [](const std::string& what) { ADD_FAILURE() << what; };
    control.progress = [&](const StudyProgress& p) {
      const double now = static_cast<double>(p.finished) + p.under_way;
      EXPECT_LE(now, static_cast<double>(p.planned) * (1 + 1e-9));
    };
    const auto begin = std::chrono::steady_clock::now();
    std::jthread timer([&](const std::stop_token& ended) {
      while (!ended.stop_requested() && std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() < seconds)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      stop = true;
    });
    try {
      run_study(plan, store, workers_of(plan, threads), control);
      EXPECT_EQ(missing_replicas(store), 0u);
      return left;
    } catch (const Stopped&) {
      left += std::filesystem::exists(path + "-unfinished");
    }
  }
}

// Stops a study again and again, and expects the digest that it has alone. text(length): its file. Where every stop came too late to leave a
// training in its middle, on a machine that is fast or busy, a longer one is stopped.
void expect_to_go_on(const std::function<std::string(std::uint64_t length)>& text, unsigned threads) {
  std::uint64_t length = fryer::test::little_effort() ? 1 : 4;
  for (int left = 0; left == 0; length *= 4) {
    ASSERT_LE(length, 64u) << "no training was ever left in its middle: " << text(length);
    const Plan plan = parse(text(length));
    const Folder folder;
    left = run_with_stops(plan, folder / "s.db", threads);
    EXPECT_EQ(digest_of(Store::open(folder / "s.db", Access::read).chunks()), alone(plan)) << text(length);
    EXPECT_FALSE(std::filesystem::exists(folder / "s.db-unfinished"));
  }
}

TEST(RunStudy, StoppedTrainingsGoOnInTheirMiddle) {
  for (const char* more : {"", "optimizer = \"sgd\"\n"})
    expect_to_go_on([&](std::uint64_t length) { return long_study(50'000 * length, 3, more); }, 2);
  expect_to_go_on([](std::uint64_t length) { return long_study(12'500 * length, 3, "hidden = 2\n"); }, 2);
}

// Trainings of FryShack whose updates are spread over the threads, too, and random settings, one training after another.
TEST(RunStudy, OtherLongTrainingsGoOnToo) {
  expect_to_go_on(
      [](std::uint64_t length) {
        return fmt::format("environment = \"FryShack-v0\"\nbatch = 70000\nupdates = {}\n[seeds]\ncount = 2\n", 100 * length);
      },
      1);
  expect_to_go_on(
      [](std::uint64_t length) {
        return long_study(15'000 * length, 3, "").append("[distribution]\ngamma = \"uniform(0.9, 1)\"\n");
      },
      1);
  expect_to_go_on(
      [](std::uint64_t length) {
        return fmt::format("environment = \"CartPole-v0\"\nmax_steps = 40\nbatch = 4096\nupdates = {}\n[seeds]\ncount = 2\n",
                           75 * length);
      },
      1);
}

std::string long_value_learners(const std::string& algorithm, std::uint64_t episodes, std::uint64_t seeds,
                                const std::string& more = "") {
  return fmt::format(
      "environment = \"CartPole-v0\"\nmax_steps = 40\nalgorithm = \"{}\"\nhidden = \"8,8\"\nepisodes = {}\n{}[seeds]\ncount = "
      "{}\n",
      algorithm, episodes, more, seeds);
}

// Networks of value learners, their replay memories and exploration.
TEST(RunStudy, ValueLearnersGoOnInTheirMiddle) {
  const std::string replay = "batch = 32\nbuffer = 3000\nwarmup_steps = 500\n";
  for (const unsigned threads : {1u, 2u}) {
    expect_to_go_on([&](std::uint64_t length) { return long_value_learners("dqn", 1500 * length, 3, replay); }, threads);
    expect_to_go_on(
        [&](std::uint64_t length) {
          return long_value_learners("dqn", 1500 * length, 2, replay + "double = true\n")
              .append("[record]\ncurve_every = 10\n[distribution]\nlearning_rate = \"log_uniform(0.0001, 0.01)\"\n");
        },
        threads);
    expect_to_go_on([](std::uint64_t length) { return long_value_learners("q-learning", 25'000 * length, 3); }, threads);
  }
}

TEST(RunStudy, CellsOfValueLearnersAreWhatTheyAreAlone) {
  for (const char* algorithm : {"dqn", "q-learning"}) {
    std::string text = long_value_learners(algorithm, 20, 3, std::string(algorithm) == "dqn" ? "warmup_steps = 50\n" : "");
    text += "[grid]\nepisodes = [10, 20]\nlearning_rate = [0.01, 0.001]\nhidden = [\"8,8\", \"8,4\"]\n";
    text += "[record]\ncurve_every = 5\nevaluation_episodes = 2\nparameters = true\n";
    text.erase(text.find("hidden"), std::string("hidden = \"8,8\"\nepisodes = 20\n").size());
    const Plan plan = parse(text);
    const std::uint64_t expected = alone(plan);
    for (const unsigned threads : {1u, 2u, 5u}) {
      const Folder folder;
      EXPECT_EQ(run_whole(plan, folder / "s.db", threads), expected) << threads << " threads";
      const Store store = Store::open(folder / "s.db", Access::read);
      const Workers workers = workers_of(plan, 1);
      for (const Chunk& chunk : store.chunks()) {
        const Chunk one = run_chunk(plan, chunk.cell, chunk.range, *workers.backends[0], {});
        EXPECT_TRUE(test::same_columns(store.columns(chunk, [](const Column&) { return true; }), one.columns)) << chunk.cell;
      }
    }
  }
}

TEST(RunStudy, ShardsOfValueLearnersAreParts) {
  const Plan plan = parse(long_value_learners("q-learning", 30, 7));
  const Folder folder;
  std::uint64_t digest = 0;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    Store store = Store::create(folder / fmt::format("{}.db", i), plan, {i, 3});
    store.begin_run(test::make_run());
    run_study(plan, store, workers_of(plan, 2), {});
    digest += digest_of(store.chunks());
  }
  EXPECT_EQ(digest, alone(plan));
}

// Shards of all sizes, some without any seed, each on other devices, merged in any order.
TEST(RunStudy, ShardsOnAnyDevicesMergeToTheWhole) {
  const Plan plan = parse(
      "environment = \"CartPole-v0\"\nmax_steps = 40\nupdates = 4\n[grid]\nlearning_rate = [0.05, 0.3]\nbatch = [2, "
      "3]\n[seeds]\nfirst = 4294967290\ncount = 13\n");
  const std::uint64_t expected = alone(plan);
  std::mt19937_64 random(20261123);
  for (const std::uint64_t shards : {1u, 2u, 3u, 7u, 16u}) {
    const Folder folder;
    std::vector<std::string> parts;
    for (std::uint64_t i = 1; i <= shards; ++i) {
      parts.push_back(folder / fmt::format("{}.db", i));
      Store store = Store::create(parts.back(), plan, {i, shards});
      store.begin_run(test::make_run());
      BackendChoice choice;
      choice.device = BackendChoice::Device::cpu;
      choice.cpu_devices = 1 + static_cast<unsigned>((i + shards) % 5);
      if (const std::uint64_t missing = missing_replicas(store); missing != 0)
        run_study(plan, store, make_workers(plan, missing, choice), {});
    }
    for (int order = 0; order < 3; ++order) {
      std::shuffle(parts.begin(), parts.end(), random);
      const std::string whole = folder / fmt::format("whole{}.db", order);
      merge(parts, whole);
      const Store store = Store::open(whole, Access::read);
      EXPECT_EQ(digest_of(store.chunks()), expected) << shards << " shards";
      EXPECT_EQ(missing_replicas(store), 0u) << shards << " shards";
    }
  }
}

// Several devices: each a worker, or all of them one after another's replicas where there are few.
TEST(RunStudy, SeveralDevicesGiveTheDigestOfOne) {
  const std::string many = std::string(kManyCells).substr(0, std::string(kManyCells).find("thresholds"));
  struct Study {
    std::string text;
    std::size_t workers;
  };
  for (const Study& study : {Study{many + "evaluation_episodes = 7\n", 3}, Study{long_study(300, 5), 1},
                             Study{long_study(300, 40), 3}, Study{long_value_learners("dqn", 30, 5, "warmup_steps = 50\n"), 1},
                             Study{"environment = \"FryShack-v0\"\nbatch = 70000\nupdates = 20\n[seeds]\ncount = 2\n", 1}}) {
    const Plan plan = parse(study.text);
    const Workers workers = workers_of(plan, 3, 3);
    EXPECT_EQ(workers.backends.size(), study.workers) << study.text;
    EXPECT_EQ(workers.info.device, "cpu:3");
    EXPECT_EQ(workers.info.threads, 3u);
    const Folder folder;
    EXPECT_EQ(run_whole(plan, folder / "s.db", 3, 3), alone(plan)) << study.text;
  }
}

// A device that fails later: what was committed by then stays, and any machine goes on with the rest.
TEST(RunStudy, ADevicesFailureKeepsWhatIsCommitted) {
  const Plan plan =
      parse("environment = \"CartPole-v0\"\nmax_steps = 40\nupdates = 3\n[grid]\nbatch = [2, 3, 4, 5, 6]\n[seeds]\ncount = 9\n");
  const Folder folder;
  const std::string path = folder / "s.db";
  {
    Store store = Store::create(path, plan, {});
    store.begin_run(test::make_run());
    Workers workers;
    BackendChoice choice;
    choice.device = BackendChoice::Device::cpu;
    choice.cpu_devices = choice.threads = 3;
    std::vector<GroupDevice> devices = make_devices(choice);
    const auto fail = [](unsigned call) {
      if (call == 3) throw DeviceError("it fell off the bus");
    };
    devices[1].backend = std::make_unique<WatchedBackend>(std::move(devices[1].backend), fail);
    workers.backends.push_back(make_group_backend(std::move(devices), "cpu:3", "a test"));
    workers.info = workers.backends[0]->info();
    try {
      run_study(plan, store, workers, {});
      ADD_FAILURE() << "the failure was lost";
    } catch (const DeviceError& error) {
      EXPECT_STREQ(error.what(), "device 1 of cpu:3: it fell off the bus");
    }
  }
  Store store = open_to_write(path);
  EXPECT_EQ(store.chunks().size(), 2u);
  EXPECT_EQ(missing_replicas(store), 27u);
  run_study(plan, store, workers_of(plan, 2), {});
  EXPECT_EQ(digest_of(store.chunks()), alone(plan));
}

// A training of half a minute or so of a scalar executor: what a kill takes is what came after the last save.
class KilledTraining : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(RunStudy, KilledTraining, testing::Values("reinforce", "dqn"),
                         [](const auto& parameter) { return parameter.param; });

TEST_P(KilledTraining, GoesOnFromItsLastSave) {
  const std::uint64_t share = fryer::test::little_effort() ? 6 : 1;
  const Plan plan = parse(GetParam() == "dqn" ? long_value_learners("dqn", 12'000 / share, 1, "buffer = 5000\nbatch = 32\n")
                                              : long_study(400'000 / share, 1));
  const Folder folder;
  const std::string path = folder / "s.db";
  { Store::create(path, plan, {}); }
  int kills = 0;
  std::string before;
  std::uint32_t made = 0;
  for (; kills < 3; ++kills) {
    const pid_t child = ::fork();
    ASSERT_NE(child, -1);
    if (child == 0) {
      Store store = open_to_write(path);
      StudyControl control;
      control.seconds_between_saves = 0.02;
      run_study(plan, store, workers_of(plan, 1), control);
      ::_exit(0);
    }
    // Until something new was written down.
    int status = 0;
    pid_t ended = 0;
    while (ended == 0 && test::read_all(path + "-unfinished") == before) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      ended = ::waitpid(child, &status, WNOHANG);
    }
    if (ended != 0) break;  // it was quicker
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    before = test::read_all(path + "-unfinished");
    Store store = open_to_write(path);
    UnfinishedFile file(store);
    const UnfinishedFile::Loaded loaded = file.load();
    EXPECT_EQ(loaded.lost, "");
    ASSERT_EQ(loaded.pieces.size(), 1u);
    EXPECT_GT(loaded.pieces[0].trainings.table.updates[0], made);
    made = loaded.pieces[0].trainings.table.updates[0];
  }
  EXPECT_GT(kills, 0);
  Store store = open_to_write(path);
  run_study(plan, store, workers_of(plan, 3, 3), {});  // on other devices than those that began it
  EXPECT_EQ(digest_of(store.chunks()), alone(plan));
}

// Trainings that are not what the study says, but as long: they are passed over or begun again, and never read beyond their end.
TEST(RunStudy, UnfinishedTrainingsOfOtherSizesAreBegunAgain) {
  const Plan plan = parse(long_study(500, 2));
  const Folder folder;
  Store store = Store::create(folder / "s.db", plan, {});
  store.begin_run(test::make_run());
  TrainingStates states = fresh_states(std::get<CartPoleTrainConfiguration>(*plan.cells[0].run), false);
  states.table = {};
  states.table.first_seed = plan.first_seed;
  states.table.status.assign(2, static_cast<std::uint8_t>(ReplicaStatus::unfinished));
  states.table.updates.assign(2, 100);
  states.table.steps.assign(2, 5000);
  states.table.parameters.assign(4, std::vector<float>(2));  // one too few
  states.m = states.v = states.table.parameters;
  states.recent.clear();
  UnfinishedFile file(store);
  file.set(0, {0, 2}, encode(states));
  file.write();
  const std::string bytes = test::read_all(file.path());
  std::string warning;
  StudyControl control;
  control.warn = [&](const std::string& what) { warning += what; };
  run_study(plan, store, workers_of(plan, 1), control);
  EXPECT_EQ(digest_of(store.chunks()), alone(plan));
  EXPECT_FALSE(std::filesystem::exists(folder / "s.db-unfinished"));
  EXPECT_EQ(test::read_all(folder / "s.db-unfinished.1"), bytes);
  EXPECT_NE(warning.find("other shapes; it is kept as "), std::string::npos) << warning;
}

TEST(RunStudy, DoesNotTouchTrainingsThatItCannotRead) {
  const Plan plan = parse(long_study(500, 2));
  const Folder folder;
  Store store = Store::create(folder / "s.db", plan, {});
  store.begin_run(test::make_run());
  std::filesystem::create_symlink("elsewhere", folder / "s.db-unfinished");
  EXPECT_THROW(run_study(plan, store, workers_of(plan, 1), {}), FileError);
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "s.db-unfinished"));
  EXPECT_TRUE(store.chunks().empty()) << "it is told before the work";
}

// Ctrl-C while a study is only tried.
TEST(EstimateStudy, Stops) {
  const Plan plan = parse(long_study(400'000, 2));
  const StopToken stop{true};
  EXPECT_THROW(estimate_study(plan, workers_of(plan, 1), &stop), Stopped);
}

// A backend that cannot run it: the error comes out, workers end, and what was committed stays.
TEST(RunStudy, AWorkersErrorEndsTheStudy) {
  const Plan plan = parse(long_study(500, 40));
  const Folder folder;
  Store store = Store::create(folder / "s.db", plan, {});
  store.begin_run(test::make_run());
  Plan broken = plan;
  std::get<CartPoleTrainConfiguration>(*broken.cells[0].run).batch = 0;
  EXPECT_THROW(run_study(broken, store, workers_of(plan, 2), {}), ConfigurationError);
  run_study(plan, store, workers_of(plan, 2), {});
  EXPECT_EQ(digest_of(store.chunks()), alone(plan));
}

}  // namespace
}  // namespace fryer::study
