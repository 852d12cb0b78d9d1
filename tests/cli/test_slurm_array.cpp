// SPDX-License-Identifier: Apache-2.0
// bench/studies/slurm_array.sh, in loops and through an sbatch that runs what it is given at once: shards in files of their own, and merged
// the digest of the study in one piece.
#include "tests/cli/study_runs.h"

namespace fryer::cli {
namespace {

const char* const kStudy = R"(environment = "CartPole-v0"
max_steps = 40
updates = 5
[grid]
learning_rate = [0.05, 0.2]
[seeds]
count = 20
)";

// Runs jobs as they come; what it was asked for stands in $SBATCH_LOG.
const char* const kBatch = R"sh(#!/bin/sh
echo "$*" >>"$SBATCH_LOG"
tasks=''
while :; do
  case $1 in
    --array=1-*) tasks=$(seq "${1#--array=1-}") ;;
    --*) ;;
    *) break ;;
  esac
  shift
done
if [ -z "$tasks" ]; then sh "$@" >/dev/null 2>&1; fi
for task in $tasks; do SLURM_ARRAY_TASK_ID=$task sh "$@" >/dev/null 2>&1; done
echo '4711;some-cluster'
)sh";

const char* const kScript = FRYER_TEST_DATA "/../../bench/studies/slurm_array.sh";

int shell(const std::string& line) { return WEXITSTATUS(std::system(line.c_str())); }

TEST(SlurmArray, ShardsInLoopsAreTheWholeStudy) {
  const std::string digest = digest_of_run(kStudy);
  const Folder folder;
  write_bytes(folder / "s.toml", kStudy);
  const std::string line = std::string("FRYER='") + FRYER_PROGRAM + "' sh '" + kScript + "' --local '" + (folder / "s.toml") +
                           "' 3 >'" + (folder / "out") + "' 2>&1";
  ASSERT_EQ(shell(line), 0) << read_bytes(folder / "out");
  const auto status = status_of(folder / "s/study.db");
  EXPECT_EQ(status["digest"], digest);
  EXPECT_EQ(status["complete"], true);
  EXPECT_EQ(status_of(folder / "s/shard-2.db")["trainings"]["planned"], 14);
}

TEST(SlurmArray, IsAskedForWithAJobThatMerges) {
  const std::string digest = digest_of_run(kStudy);
  const Folder folder;
  write_bytes(folder / "s.toml", kStudy);
  write_bytes(folder / "sbatch", kBatch);
  std::filesystem::permissions(folder / "sbatch", std::filesystem::perms::owner_all);
  const std::string line = "PATH='" + (folder / "") + "':$PATH SBATCH_LOG='" + (folder / "log") + "' FRYER='" + FRYER_PROGRAM +
                           "' sh '" + kScript + "' '" + (folder / "s.toml") + "' 4 '" + (folder / "results") + "' >'" +
                           (folder / "out") + "' 2>&1";
  ASSERT_EQ(shell(line), 0) << read_bytes(folder / "out");
  EXPECT_EQ(status_of(folder / "results/study.db")["digest"], digest);
  const std::string asked = read_bytes(folder / "log");
  EXPECT_NE(asked.find("--array=1-4 "), std::string::npos) << asked;
  EXPECT_NE(asked.find("--dependency=afterok:4711 "), std::string::npos) << asked;
  EXPECT_NE(read_bytes(folder / "out").find("array 4711 of 4 shards, then job 4711"), std::string::npos)
      << read_bytes(folder / "out");
}

TEST(SlurmArray, RefusesWhatItCannotRun) {
  const Folder folder;
  write_bytes(folder / "s.toml", kStudy);
  for (const std::string& words : {std::string(), (folder / "none.toml") + " 3", (folder / "s.toml") + " 0", folder / "s.toml",
                                   (folder / "s.toml") + " many"})
    EXPECT_EQ(shell(std::string("sh '") + kScript + "' --local " + words + " 2>/dev/null"), 2) << words;
  EXPECT_EQ(folder.files(), 1u);
}

}  // namespace
}  // namespace fryer::cli
