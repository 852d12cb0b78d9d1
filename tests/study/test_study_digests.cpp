// SPDX-License-Identifier: Apache-2.0
// Committed digests of small studies: settings as a study file says them, what is drawn and trained, and how a study's digest is made of it
// are the same on every instruction set, however the study is cut into chunks, with every compiler; and they outlast versions: a change of
// these numbers is a new numerics_version, or a mistake. They are what `fryer study run FILE.toml --threads 1 --json` prints as "digest" under
// FRYER_ISA=scalar, g++ 12.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fryer/core/error.h"
#include "fryer/core/version.h"
#include "host/cli/study_file.h"
#include "host/study/run_chunk.h"

namespace fryer::study {
namespace {

static_assert(kNumericsVersion == 1, "the digests below are those of another numerics version");

struct ReferenceStudy {
  const char* name;
  const char* file;
  std::uint64_t digest;
};

const std::vector<ReferenceStudy>& reference_studies() {
  static const std::vector<ReferenceStudy> studies = {
      {"fry shack", R"toml(environment = "FryShack-v0"
updates = 50
[seeds]
first = 42
count = 40
)toml",
       0x8809ee091395bf31},
      {"two cells of CartPole, evaluated", R"toml(environment = "CartPole-v1"
updates = 30
until = 150
[grid]
learning_rate = [0.2, 0.3]
[seeds]
count = 20
[record]
evaluation_episodes = 4
)toml",
       0x29ef1f96d0f499f9},
      {"drawn policies", R"toml(command = "evaluate"
environment = "CartPole-v1"
episodes = 6
[seeds]
count = 30
[distribution]
parameters = "uniform(-1, 1)"
)toml",
       0x09431e4a27e9f3e6},
      {"DQN, evaluated", R"toml(environment = "CartPole-v0"
algorithm = "dqn"
hidden = "16,8"
batch = 32
buffer = 1000
warmup_steps = 200
episodes = 40
[grid]
double = [false, true]
[seeds]
count = 8
[record]
evaluation_episodes = 3
)toml",
       0xe5437bdca7770f54},
      {"online Q-learning with drawn rates", R"toml(environment = "CartPole-v1"
algorithm = "q-learning"
episodes = 60
[grid]
target = ["residual", "semi-gradient"]
[seeds]
count = 10
[distribution]
learning_rate = "log_uniform(0.0001, 0.01)"
)toml",
       0x1f438a920d0aef1d},
  };
  return studies;
}

// Every cell in chunks of at most `most` replicas.
std::uint64_t run(const Plan& plan, std::uint64_t most, Backend& backend) {
  std::vector<Chunk> chunks;
  for (std::uint64_t cell = 0; cell < plan.cells.size(); ++cell) {
    for (std::uint64_t first = 0; first < plan.seeds; first += most)
      chunks.push_back(run_chunk(plan, cell, {first, std::min(most, plan.seeds - first)}, backend, {}));
  }
  return digest_of(chunks);
}

std::string hex(std::uint64_t digest) { return fmt::format("{:#018x}", digest); }

class StudyDigests : public testing::TestWithParam<const char*> {};

TEST_P(StudyDigests, AreTheGoldenOnesHoweverTheStudyIsCut) {
  for (const unsigned threads : {1u, 2u}) {
    BackendChoice choice;
    choice.device = BackendChoice::Device::cpu;
    choice.isa = GetParam();
    choice.threads = threads;
    std::unique_ptr<Backend> backend;
    try {
      backend = make_backend(choice);
    } catch (const DeviceError& error) {
      GTEST_SKIP() << error.what();
    }
    ASSERT_EQ(backend->info().isa, GetParam());
    for (const ReferenceStudy& study : reference_studies()) {
      const Plan plan = cli::parse_study("study.toml", study.file);
      for (const std::uint64_t most : {7u, 1000u})
        EXPECT_EQ(hex(run(plan, most, *backend)), hex(study.digest))
            << study.name << ", " << threads << " threads, chunks of " << most;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Isa, StudyDigests, testing::Values("scalar", "avx2", "avx512"),
                         [](const auto& isa) { return std::string(isa.param); });

// Some of the trainings are stopped by their rule and some are not, or their digest covers less than it seems to.
TEST(ReferenceStudies, StopSomeTrainings) {
  const Plan plan = cli::parse_study("study.toml", reference_studies()[1].file);
  const auto backend = make_backend({});
  for (std::uint64_t cell = 0; cell < plan.cells.size(); ++cell) {
    const Chunk chunk = run_chunk(plan, cell, {0, plan.seeds}, *backend, {});
    EXPECT_GT(chunk.solved, 0u);
    EXPECT_LT(chunk.solved, plan.seeds);
  }
}

// A digest that did not depend on the settings would pass everything above; one that depended on how they are said would not last.
TEST(ReferenceStudies, HaveOtherDigestsWithOtherSettings) {
  const auto backend = make_backend({});
  const std::string file = reference_studies()[2].file;
  const std::uint64_t digest = run(cli::parse_study("study.toml", file), 1000, *backend);
  std::string other = file;
  other.replace(other.find("uniform(-1, 1)"), 14, "uniform(-1, 2)");
  EXPECT_NE(run(cli::parse_study("study.toml", other), 1000, *backend), digest);
  other = file;
  other.replace(other.find("episodes = 6"), 12, "episodes = 7");
  EXPECT_NE(run(cli::parse_study("study.toml", other), 1000, *backend), digest);
  other = "gravity = 9.8\n" + file;  // its default
  EXPECT_EQ(run(cli::parse_study("study.toml", other), 1000, *backend), digest);
}

}  // namespace
}  // namespace fryer::study
