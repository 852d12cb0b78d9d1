// SPDX-License-Identifier: Apache-2.0
// `fryer study ...` as a user runs it: the same digest however it is run, stopped, resumed, split and merged; and clear errors.
#include "tests/cli/study_runs.h"

namespace fryer::cli {
namespace {

const char* const kStudy = R"(title = "Two learning rates"
command = "train"
environment = "CartPole-v0"
updates = 40
until = 120
[grid]
learning_rate = [0.02, 0.2]
[seeds]
first = 1
count = 60
[record]
curve_every = 10
evaluation_episodes = 5
thresholds = [60]
)";

// What `study COMMAND` says of kStudy, written to the folder's s.toml.
nlohmann::json document_of(const std::string& command, const Folder& folder) {
  write_bytes(folder / "s.toml", kStudy);
  const Outcome outcome = run_study({command, folder / "s.toml", "--json"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const auto document = outcome.document();
  EXPECT_EQ(document["cells"], 2);
  EXPECT_EQ(document["trainings"]["planned"], 120);
  return document;
}

TEST(StudyRun, OverSeveralDevicesIsTheSame) {
  const Folder folder, other;
  const auto plain = document_of("run", folder);
  write_bytes(other / "s.toml", kStudy);
  const Outcome outcome = run_study({"run", other / "s.toml", "--device", "cpu:3", "--json"});
  EXPECT_EQ(outcome.document()["digest"], plain["digest"]);
  EXPECT_EQ(outcome.document()["backend"]["device"], "cpu:3");
  EXPECT_EQ(status_of(other / "s.db")["runs"][0]["device"], "cpu:3");
}

TEST(StudyRun, IsTheTrainingsOfItsCells) {
  const Folder folder;
  const auto document = document_of("run", folder);
  EXPECT_EQ(document["trainings"]["finished"], 120);
  EXPECT_EQ(document["complete"], true);
  EXPECT_TRUE(std::filesystem::exists(folder / "s.db"));
  std::uint64_t episodes = 0, steps = 0;
  for (std::size_t cell = 0; cell < 2; ++cell) {
    const Outcome trained = run_program({"train", "CartPole-v0", "--updates", "40", "--until", "120", "--learning-rate",
                                         cell == 0 ? "0.02" : "0.2", "--seed", "1", "--replicas", "60", "--json"});
    ASSERT_EQ(trained.code, 0);
    const auto expected = trained.document();
    EXPECT_EQ(document["results"][cell]["solved"]["count"], expected["solved"]["count"]);
    episodes += expected["episodes"].get<std::uint64_t>();
    steps += expected["steps"].get<std::uint64_t>();
  }
  EXPECT_EQ(document["episodes"], episodes);
  EXPECT_EQ(document["steps"], steps);
  EXPECT_EQ(document["optimizer_updates"], episodes / 16);
  // Nothing is left to do, and nothing changes.
  const std::string bytes = read_bytes(folder / "s.db");
  EXPECT_EQ(run_study({"run", folder / "s.toml", "--json"}).document()["digest"], document["digest"]);
  EXPECT_EQ(status_of(folder / "s.db")["digest"], document["digest"]);
  EXPECT_EQ(read_bytes(folder / "s.db"), bytes);
}

// Every document of a study has the same head; only commands that run something have a backend.
TEST(StudyDocuments, HaveTheFieldsOfEveryCommand) {
  const Folder folder;
  const auto run = document_of("run", folder);
  const std::string db = folder / "s.db";
  std::vector<Words> others = {{"status", db}, {"export", db, "-o", folder / "r.csv"}};
  for (const char* shard : {"1", "2"}) {
    const std::string part = folder / shard;
    ASSERT_EQ(run_study({"run", folder / "s.toml", "--shard", shard + std::string("/2"), "-o", part}).code, 0);
  }
  others.push_back({"merge", folder / "1", folder / "2", "-o", folder / "all.db"});
  EXPECT_TRUE(run.contains("backend"));
  for (Words words : others) {
    words.emplace_back("--json");
    const auto document = run_study(words).document();
    EXPECT_EQ(document["command"], "study " + words[0]);
    for (const char* same : {"environment", "algorithm", "configuration", "seed", "numerics_version", "digest", "episodes",
                             "steps", "optimizer_updates", "cells", "trainings", "complete"})
      EXPECT_EQ(document[same], run[same]) << words[0] << ' ' << same;
    EXPECT_GE(document["wall_seconds"].get<double>(), 0) << words[0];
    EXPECT_FALSE(document.contains("backend")) << words[0];
  }
}

// A cell's settings repeat its trainings; the whole document says that it is of a study.
TEST(StudyDocuments, HaveSettingsThatConfigTakes) {
  const Folder folder;
  const auto document = document_of("run", folder);
  write_bytes(folder / "cell.json", document["configuration"]["cells"][0]["configuration"].dump());
  const Outcome trained =
      run_program({"train", "CartPole-v0", "--config", folder / "cell.json", "--seed", "1", "--replicas", "60", "--json"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(trained.document()["configuration"]["learning_rate"], 0.02);
  EXPECT_EQ(trained.document()["solved"]["count"], document["results"][0]["solved"]["count"]);
  write_bytes(folder / "study.json", document.dump());
  const Outcome refused = run_program({"train", "CartPole-v0", "--config", folder / "study.json"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("of a study; take the `configuration` of one of its cells"), std::string::npos) << refused.err;
}

// The columns that say how far the replicas' single episodes lie apart are empty.
TEST(StudyExport, OfOneEpisodeHasNoSpread) {
  for (const auto& [text, column] : std::vector<std::pair<std::string, std::string>>{
           {"command = 'gradient'\nenvironment = 'FryShack-v0'\nepisodes = 1\n[seeds]\ncount = 2\n",
            "gradient_bias_standard_error"},
           {"command = 'evaluate'\nenvironment = 'CartPole-v1'\nepisodes = 1\n[seeds]\ncount = 2\n", "evaluation_sd"},
           {"environment = 'FryShack-v0'\n[seeds]\ncount = 2\n[record]\nevaluation_episodes = 1\n", "evaluation_sd"}}) {
    const Folder folder;
    write_bytes(folder / "s.toml", text);
    ASSERT_EQ(run_study({"run", folder / "s.toml", "--quiet"}).code, 0);
    ASSERT_EQ(run_study({"export", folder / "s.db", "-o", folder / "r.jsonl"}).code, 0);
    const std::string rows = read_bytes(folder / "r.jsonl");
    EXPECT_NE(rows.find('"' + column + "\":null"), std::string::npos) << rows;
  }
}

TEST(StudyDocuments, OfGradientsHaveNoAlgorithm) {
  const Folder folder;
  write_bytes(folder / "s.toml", "command = 'gradient'\nenvironment = 'FryShack-v0'\nepisodes = 1\n[seeds]\ncount = 2\n");
  const auto document = run_study({"run", folder / "s.toml", "--json"}).document();
  EXPECT_FALSE(document.contains("algorithm"));
  EXPECT_FALSE(document["configuration"].contains("algorithm"));
}

TEST(StudyRun, GivesOneDigestOnEveryExecutorAndNumberOfThreads) {
  const std::string digest = digest_of_run(kStudy, {"--threads", "1"});
  EXPECT_EQ(digest_of_run(kStudy, {"--threads", "2"}), digest);
  EXPECT_EQ(digest_of_run(kStudy, {"--threads", "5"}), digest);
  EXPECT_EQ(digest_of_run(kStudy, {}, {{"FRYER_ISA=scalar"}, "", 0}), digest);
}

TEST(StudyRun, WhatIsRecordedDoesNotEnterTheDigest) {
  const std::string text = kStudy;
  EXPECT_EQ(digest_of_run(text), digest_of_run(text.substr(0, text.find("[record]"))));
}

TEST(StudyRun, StoppedByCtrlCItKeepsWhatIsFinishedAndGoesOn) {
  const Folder folder;
  const std::string longer = std::string(kLongerStudy) + "\n";
  std::string text = longer;
  text.replace(text.find("2000"), 4, "20000");  // long enough to be stopped
  write_bytes(folder / "s.toml", text);
  const Outcome stopped = run_study({"run", folder / "s.toml"}, {{}, "", SIGINT});
  ASSERT_EQ(stopped.code, 130) << stopped.err;
  EXPECT_NE(stopped.err.find("fryer study resume " + (folder / "s.db")), std::string::npos) << stopped.err;
  const auto status = status_of(folder / "s.db");
  EXPECT_EQ(status["complete"], false);
  EXPECT_LT(status["trainings"]["finished"].get<std::uint64_t>(), 90'000u);
  EXPECT_EQ(folder.files(), 2u);  // no log is left beside the file
}

// Trainings left in their middle are told by status, which changes nothing.
TEST(StudyStatus, CountsTrainingsThatWereBegun) {
  const Folder folder;
  write_bytes(folder / "s.toml",
              "environment = 'CartPole-v1'\nalgorithm = 'dqn'\nepisodes = 1_000_000\nwarmup_steps = 200\n[seeds]\ncount = 3\n");
  ASSERT_EQ(run_study({"run", folder / "s.toml", "--threads", "1"}, {{}, "", SIGINT}).code, 130);
  const std::string bytes = read_bytes(folder / "s.db-unfinished");
  const auto trainings = status_of(folder / "s.db")["trainings"];
  EXPECT_EQ(trainings["planned"], 3);
  EXPECT_EQ(trainings["finished"], 0);
  EXPECT_EQ(trainings["unfinished"], 1);
  const Outcome text = run_study({"status", folder / "s.db"});
  EXPECT_NE(text.out.find("1 training begun and not finished: "), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("s.db-unfinished"), std::string::npos) << text.out;
  EXPECT_EQ(read_bytes(folder / "s.db-unfinished"), bytes);
  write_bytes(folder / "s.db-unfinished", bytes.substr(0, bytes.size() / 2));
  const Outcome damaged = run_study({"status", folder / "s.db", "--json"});
  EXPECT_EQ(damaged.document()["trainings"]["unfinished"], 0);
  EXPECT_NE(damaged.err.find("is damaged: "), std::string::npos) << damaged.err;
}

// Nothing of trainings under way is overwritten that could not be taken up.
TEST(StudyRun, KeepsTrainingsUnderWayThatItCannotRead) {
  const Folder folder;
  write_bytes(folder / "s.toml", kStudy);
  const std::string unfinished = folder / "s.db-unfinished";
  std::filesystem::create_directory(unfinished);
  const Outcome refused = run_study({"run", folder / "s.toml"});
  EXPECT_EQ(refused.code, 4) << refused.err;
  EXPECT_NE(refused.err.find("s.db-unfinished, where trainings under way are kept: it is not a file"), std::string::npos)
      << refused.err;
  const Outcome status = run_study({"status", folder / "s.db"});
  EXPECT_EQ(status.code, 0) << "looking is allowed";
  EXPECT_NE(status.err.find("fryer: warning: cannot read "), std::string::npos) << status.err;
  std::filesystem::remove(unfinished);
  write_bytes(unfinished, "of another program");
  const Outcome outcome = run_study({"resume", folder / "s.db"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("it is kept as "), std::string::npos) << outcome.err;
  EXPECT_EQ(read_bytes(unfinished + ".1"), "of another program");
  EXPECT_FALSE(std::filesystem::exists(unfinished));
}

TEST(StudyRun, SurvivesBeingKilled) { kill_and_resume(10); }

TEST(StudyRun, ASecondOneOnTheSameFileIsToldSo) {
  const Folder folder;
  std::string text = kLongerStudy;
  text.replace(text.find("2000"), 4, "200000");
  write_bytes(folder / "s.toml", text);
  const std::string toml = folder / "s.toml";
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl(FRYER_PROGRAM, "fryer", "study", "run", toml.c_str(), "--quiet", nullptr);
    ::_exit(127);
  }
  while (!std::filesystem::exists(folder / "s.db")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  for (const Words& words : {Words{"run", toml}, Words{"resume", folder / "s.db"}}) {
    const Outcome second = run_study(words);
    EXPECT_EQ(second.code, 75) << second.err;
    EXPECT_NE(second.err.find(folder / "s.db"), std::string::npos) << second.err;
    EXPECT_EQ(std::count(second.err.begin(), second.err.end(), '\n'), 1) << second.err;
  }
  EXPECT_EQ(run_study({"status", folder / "s.db"}).code, 0);  // looking is allowed
  EXPECT_TRUE(status_of(folder / "s.db")["trainings"].contains("unfinished"));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST(StudyRun, TwoFirstOnesAtOnceAreOneAndOneThatIsToldSo) {
  std::string text = kLongerStudy;
  text.replace(text.find("2000"), 4, "200000");
  for (int round = 0; round < 5; ++round) {
    const Folder folder;
    write_bytes(folder / "s.toml", text);
    const std::string toml = folder / "s.toml";
    pid_t children[2];
    for (pid_t& child : children) {
      child = ::fork();
      if (child == 0) {
        const int null = ::open("/dev/null", O_RDWR);
        ::dup2(null, 1);
        ::dup2(null, 2);
        ::execl(FRYER_PROGRAM, "fryer", "study", "run", toml.c_str(), "--quiet", nullptr);
        ::_exit(127);
      }
    }
    int status = 0;
    const pid_t loser = ::waitpid(-1, &status, 0);  // the other one goes on
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 75);
    const pid_t winner = loser == children[0] ? children[1] : children[0];
    ::kill(winner, SIGKILL);
    ::waitpid(winner, nullptr, 0);
  }
}

TEST(StudyRun, WhoseFileIsTakenAwayDoesNotSayItIsThere) {
  const Folder folder;
  std::string text = kLongerStudy;
  text.replace(text.find("2000"), 4, "20000");
  write_bytes(folder / "s.toml", text);
  const std::string toml = folder / "s.toml";
  const pid_t child = ::fork();
  if (child == 0) {
    const int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, 1);
    ::dup2(null, 2);
    ::execl(FRYER_PROGRAM, "fryer", "study", "run", toml.c_str(), "--quiet", nullptr);
    ::_exit(127);
  }
  while (!std::filesystem::exists(folder / "s.db")) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  std::filesystem::rename(folder / "s.db", folder / "moved.db");
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 4);
}

TEST(StudyRun, WithoutTheDeviceMakesNoFile) {
  const Folder folder;
  write_bytes(folder / "s.toml", kStudy);
  const Outcome outcome = run_study({"run", folder / "s.toml"}, {{"FRYER_ISA=pentium"}, "", 0});
  EXPECT_EQ(outcome.code, 3) << outcome.err;
  EXPECT_EQ(folder.files(), 1u);
}

TEST(StudyFiles, AndTheirLogsAreNoPlaceForOutput) {
  const Folder folder;
  write_bytes(folder / "s.toml", kStudy);
  ASSERT_EQ(run_study({"run", folder / "s.toml"}).code, 0);
  for (const char* name : {"s.db", "s.db-wal", "s.db-shm", "s.db-journal"}) {
    const Outcome outcome = run_study({"report", folder / "s.db", "-o", folder / name});
    EXPECT_EQ(outcome.code, 2) << name << ": " << outcome.err;
  }
  EXPECT_EQ(run_study({"run", folder / "s.toml", "-o", folder / std::string(300, 'z')}).code, 4);
  EXPECT_EQ(run_study({"run", folder / "s.toml", "-o", folder / std::string(250, 'z')}).code, 4);
  EXPECT_EQ(folder.files(), 2u);
}

TEST(StudyRun, OnAFullDiskItKeepsWhatItHasAndGoesOnLater) {
  const Folder folder;
  write_bytes(folder / "s.toml", kLongerStudy);
  const std::string toml = folder / "s.toml", error = folder / "error";
  int limited = 0;
  for (const int kilobytes : {64, 256}) {  // limits of every file's size
    const std::string line =
        "ulimit -f " + std::to_string(kilobytes) + "; '" + FRYER_PROGRAM + "' study run '" + toml + "' --quiet 2>'" + error + "'";
    const int status = std::system(("sh -c \"" + line + "\"").c_str());
    limited += WEXITSTATUS(status) == 4;
    EXPECT_EQ(WEXITSTATUS(status), 4) << read_bytes(error);
    EXPECT_NE(read_bytes(error).find("s.db"), std::string::npos) << read_bytes(error);
  }
  EXPECT_EQ(limited, 2);
  const Outcome outcome = run_study({"run", toml, "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.document()["digest"], digest_of_run(kLongerStudy));
}

TEST(StudyMerge, OfShardsInAnyOrderIsTheWholeStudy) {
  const std::string digest = digest_of_run(kStudy);
  const Folder folder;
  write_bytes(folder / "s.toml", kStudy);
  Words parts;
  for (const char* shard : {"2/3", "1/3", "3/3"}) {
    ASSERT_EQ(run_study({"run", folder / "s.toml", "--shard", shard}).code, 0);
    parts.push_back(folder / ("s." + std::string(1, shard[0]) + "-of-3.db"));
  }
  const Outcome two = run_study({"merge", parts[0], parts[1], "-o", folder / "two.db", "--json"});
  ASSERT_EQ(two.code, 0) << two.err;
  EXPECT_EQ(two.document()["complete"], false);
  EXPECT_EQ(two.document()["trainings"]["finished"], 80);
  const Outcome all = run_study({"merge", folder / "two.db", parts[2], parts[1], "-o", folder / "all.db", "--json"});
  ASSERT_EQ(all.code, 0) << all.err;
  EXPECT_EQ(all.document()["digest"], digest);
  EXPECT_EQ(all.document()["complete"], true);
  // What is missing of a merged file can be run.
  const Outcome resumed = run_study({"resume", folder / "two.db", "--json"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(resumed.document()["digest"], digest);
  // Another shard's file, and one that exists.
  EXPECT_EQ(run_study({"run", folder / "s.toml", "--shard", "2/3", "--output", parts[1]}).code, 2);
  EXPECT_EQ(run_study({"merge", parts[0], parts[1], "-o", folder / "all.db"}).code, 4);
  EXPECT_EQ(run_study({"merge", parts[0], parts[1], "-o", parts[0]}).code, 2);
}

TEST(StudyMerge, RefusesAnotherStudysParts) {
  const Folder folder;
  write_bytes(folder / "a.toml", kStudy);
  std::string other = kStudy;
  other.replace(other.find("updates = 40"), 12, "updates = 41");
  write_bytes(folder / "b.toml", other);
  ASSERT_EQ(run_study({"run", folder / "a.toml"}).code, 0);
  ASSERT_EQ(run_study({"run", folder / "b.toml"}).code, 0);
  const Outcome outcome = run_study({"merge", folder / "a.db", folder / "b.db", "-o", folder / "c.db"});
  EXPECT_EQ(outcome.code, 5) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "c.db"));
}

TEST(StudyFiles, ThatAreNotStudiesAreSaidToBe) {
  const Folder folder;
  write_bytes(folder / "s.toml", kStudy);
  write_bytes(folder / "text.db", "This is no database, though its name says so, and it is quite long enough to look at.\n");
  write_bytes(folder / "empty.db", "");
  for (const char* name : {"text.db", "empty.db"}) {
    for (const char* command : {"status", "resume", "report"}) {
      const Outcome outcome = run_study({command, folder / name});
      EXPECT_EQ(outcome.code, 5) << command << ' ' << name << ": " << outcome.err;
      EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    }
    EXPECT_EQ(run_study({"run", folder / "s.toml", "--output", folder / name}).code, 5);
  }
  EXPECT_EQ(run_study({"status", folder / "none.db"}).code, 4);
  EXPECT_EQ(read_bytes(folder / "text.db").substr(0, 10), "This is no");
}

TEST(StudyFiles, OfAnotherStudyAreNotGoneOnWith) {
  const Folder folder;
  write_bytes(folder / "s.toml", kStudy);
  ASSERT_EQ(run_study({"run", folder / "s.toml"}).code, 0);
  std::string other = kStudy;
  other.replace(other.find("count = 60"), 10, "count = 61");
  write_bytes(folder / "s.toml", other);
  const Outcome outcome = run_study({"run", folder / "s.toml"});
  EXPECT_EQ(outcome.code, 5) << outcome.err;
  EXPECT_NE(outcome.err.find("another study"), std::string::npos) << outcome.err;
  EXPECT_EQ(status_of(folder / "s.db")["trainings"]["finished"], 120);
}

TEST(StudyExport, IsReadByOtherPrograms) {
  const Folder folder;
  write_bytes(folder / "s.toml", kStudy);
  ASSERT_EQ(run_study({"run", folder / "s.toml"}).code, 0);
  for (const char* name : {"rows.csv", "rows.jsonl", "rows.npz"}) {
    const Outcome outcome = run_study({"export", folder / "s.db", "-o", folder / name}, {{"LC_ALL=de_DE.UTF-8"}, "", 0});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  const std::string csv = read_bytes(folder / "rows.csv"), lines = read_bytes(folder / "rows.jsonl");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 121);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 120);
  EXPECT_NE(csv.find("0.02"), std::string::npos);
  EXPECT_EQ(csv.find("0,02"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(lines.substr(0, lines.find('\n')))["seed"], 1);
  EXPECT_EQ(run_study({"export", folder / "s.db", "-o", folder / "rows.xlsx"}).code, 2);
  EXPECT_EQ(run_study({"export", folder / "s.db"}).code, 2);
}

TEST(StudyReport, IsAPage) {
  if (std::system("command -v gnuplot >/dev/null 2>&1") != 0) GTEST_SKIP() << "gnuplot is not installed";
  const Folder folder;
  write_bytes(folder / "s.toml", kStudy);
  ASSERT_EQ(run_study({"run", folder / "s.toml"}).code, 0);
  const Outcome outcome = run_study({"report", folder / "s.db", "-o", folder / "r.html", "--plots", folder / "plots"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string page = read_bytes(folder / "r.html");
  EXPECT_NE(page.find("Two learning rates"), std::string::npos);
  EXPECT_NE(page.find("<svg"), std::string::npos);
  std::size_t plots = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "plots")) plots += entry.file_size() > 100;
  EXPECT_GE(plots, 9u);
  EXPECT_EQ(plots % 3, 0u);  // .svg, .pdf, .png
}

TEST(StudyReport, WithoutGnuplotSaysWhatToInstall) {
  const Folder folder;
  write_bytes(folder / "s.toml", kStudy);
  ASSERT_EQ(run_study({"run", folder / "s.toml"}).code, 0);
  const Outcome outcome = run_study({"report", folder / "s.db", "-o", folder / "r.html"}, {{"PATH=/nowhere"}, "", 0});
  EXPECT_NE(outcome.code, 0);
  EXPECT_NE(outcome.err.find("gnuplot-nox"), std::string::npos) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "r.html"));
}

TEST(StudyCheck, SaysWhatItWouldDoAndWritesNothing) {
  const Folder folder;
  const auto document = document_of("check", folder);
  EXPECT_GT(document["plan"]["seconds"].get<double>(), 0);
  EXPECT_GT(document["plan"]["file_bytes"].get<double>(), 0);
  EXPECT_EQ(folder.files(), 1u);
  EXPECT_EQ(run_study({"run", folder / "s.toml", "--dry-run"}).code, 0);
  EXPECT_EQ(folder.files(), 1u);
}

TEST(ShippedStudies, AreAccepted) {
  std::size_t studies = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FRYER_TEST_DATA "/../../bench/studies")) {
    if (entry.path().extension() != ".toml") continue;
    ++studies;
    const Outcome outcome = run_study({"check", entry.path().string(), "--json"});
    EXPECT_EQ(outcome.code, 0) << entry.path() << ": " << outcome.err;
    EXPECT_LT(outcome.document()["plan"]["file_bytes"].get<double>(), 40e6);
  }
  EXPECT_GE(studies, 9u);
}

TEST(StudyWords, ThatAreWrongAreExplained) {
  const Folder folder;
  write_bytes(folder / "s.toml", kStudy);
  const struct {
    Words words;
    const char* says;
  } cases[] = {{{}, "check, run"},
               {{"rum"}, "run"},
               {{"run"}, "FILE: missing"},
               {{"run", folder / "s.toml", "again"}, "one FILE too many"},
               {{"run", folder / "s.toml", "--shard", "4/3"}, "I/N"},
               {{"run", folder / "s.toml", "--shard", "0/3"}, "I/N"},
               {{"merge", "a.db"}, "FILE: missing"},
               {{"run", folder / "s.toml", "--replicas", "3"}, "--replicas"}};
  for (const auto& c : cases) {
    const Outcome outcome = run_study(c.words);
    EXPECT_EQ(outcome.code, 2) << line_of(c.words);
    EXPECT_NE(outcome.err.find(c.says), std::string::npos) << line_of(c.words) << ": " << outcome.err;
  }
}

}  // namespace
}  // namespace fryer::cli
