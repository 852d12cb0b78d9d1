// SPDX-License-Identifier: Apache-2.0
// fryer::notebook() against the StatQuest notebook as PyTorch runs it: its generator, its draws, its rounding near p = 1. Reference
// trainings of tests/data/make_notebook.py for several seeds, learning rates, rewards and numbers of updates.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "fryer/engine/api.h"

namespace fryer {
namespace {

using Json = nlohmann::json;

NotebookConfiguration configuration_of(const Json& study, const Json& run) {
  NotebookConfiguration c;
  c.updates = study["updates"];
  c.learning_rate = study["learning_rate"];
  c.reward_correct = study["reward_correct"];
  c.reward_wrong = study["reward_wrong"];
  c.seed = run["seed"];
  return c;
}

// Detects a wrong draw, a draw out of order, another sigmoid, another Adam: every recorded bias within 1e-4 (another rounding of
// the sigmoid moves one seed in five by more).
TEST(Notebook, EndsWherePyTorchEnds) {
  std::ifstream file(FRYER_TEST_DATA "/notebook_seeds.json");
  const Json reference = Json::parse(file);
  int runs = 0;
  for (const Json& study : reference["studies"]) {
    for (const Json& run : study["runs"]) {
      SCOPED_TRACE(study["updates"].dump() + " updates, learning rate " + study["learning_rate"].dump() + ", reward " +
                   study["reward_correct"].dump() + ", seed " + run["seed"].dump());
      ++runs;
      const NotebookResult r = notebook(configuration_of(study, run));
      ASSERT_EQ(r.updates.size(), study["updates"].get<std::size_t>());
      EXPECT_NEAR(static_cast<double>(r.final_bias), run["final_bias"].get<double>(), 1e-4);
      EXPECT_EQ(r.final_bias, r.updates.back().bias);
      const std::size_t every = study["every"];
      for (std::size_t i = 0; i < run["bias_every"].size(); ++i) {
        EXPECT_NEAR(static_cast<double>(r.updates[(i + 1) * every - 1].bias), run["bias_every"][i].get<double>(), 1e-4) << i;
      }
      EXPECT_EQ(r.norm_visits, run["norm_visits"].get<std::uint64_t>());
      EXPECT_EQ(r.updates[0].hunger, run["first_hunger_choice_portion"][0].get<double>());
      const double choice = run["first_hunger_choice_portion"][1], portion = run["first_hunger_choice_portion"][2];
      EXPECT_EQ(r.updates[0].norm, choice < static_cast<double>(r.updates[0].p));
      EXPECT_EQ(r.updates[0].large, portion < (r.updates[0].norm ? 0.8 : 0.2));
    }
  }
  EXPECT_EQ(runs, 23);  // the file is there, and whole
}

// What the notebook prints.
TEST(Notebook, Seed42PrintsMinus1034) {
  const NotebookResult r = notebook({});
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", static_cast<double>(r.final_bias));
  EXPECT_STREQ(text, "-10.34");
  EXPECT_EQ(r.norm_visits, 197u);
  std::uint64_t visits = 0;
  for (const NotebookResult::Update& u : r.updates) visits += u.norm ? 1 : 0;
  EXPECT_EQ(visits, r.norm_visits);
}

// What is recorded of an update hangs together: the reward, and the loss -log pi(action) * 0.99 * reward.
TEST(Notebook, RecordsConsistentUpdates) {
  for (const std::uint64_t seed : {42u, 3u}) {
    NotebookConfiguration c;
    c.seed = seed;
    c.reward_correct = 1.5;
    c.reward_wrong = -0.25;
    const NotebookResult r = notebook(c);
    float bias = 0;
    for (const NotebookResult::Update& u : r.updates) {
      EXPECT_EQ(u.reward, u.large == (u.hunger > 0.5) ? 1.5 : -0.25);
      const double z = 20 * u.hunger + static_cast<double>(bias);
      EXPECT_NEAR(static_cast<double>(u.p), 1 / (1 + std::exp(-z)), 1e-6);
      EXPECT_NEAR(static_cast<double>(u.loss), std::log1p(std::exp(u.norm ? -z : z)) * 0.99 * u.reward,
                  1e-5 * (1 + std::fabs(z)));
      bias = u.bias;
    }
  }
}

// torch.manual_seed's low 32 bits; a number of updates that is no multiple of an epoch is a prefix.
TEST(Notebook, SeedsAndPrefixes) {
  NotebookConfiguration c;
  const NotebookResult all = notebook(c);
  c.seed = 42 + (std::uint64_t{9} << 32);
  EXPECT_EQ(notebook(c).digest, all.digest);
  c.seed = 43;
  EXPECT_NE(notebook(c).digest, all.digest);
  c.seed = 42;
  for (const std::uint64_t updates : {1u, 2u, 3u, 4u, 5u, 279u}) {
    c.updates = updates;
    const NotebookResult part = notebook(c);
    ASSERT_EQ(part.updates.size(), updates);
    for (std::size_t i = 0; i < updates; ++i) EXPECT_EQ(to_bits(part.updates[i].bias), to_bits(all.updates[i].bias));
  }
}

// With Philox the notebook is `train` with that seed, to the bit.
TEST(Notebook, WithPhiloxIsATraining) {
  const auto backend = make_backend({});
  for (const std::uint64_t seed : {std::uint64_t{42}, std::uint64_t{7}, (std::uint64_t{5} << 32) + 1, ~std::uint64_t{0}}) {
    NotebookConfiguration c;
    c.generator = NotebookConfiguration::Generator::philox;
    c.seed = seed;
    c.updates = 333;
    c.learning_rate = 0.07;
    c.reward_correct = 2;
    c.reward_wrong = -0.5;
    TrainConfiguration t;
    t.seed = seed;
    t.updates = c.updates;
    t.optimizer.learning_rate = c.learning_rate;
    t.problem.environment.reward_correct = c.reward_correct;
    t.problem.environment.reward_wrong = c.reward_wrong;
    const NotebookResult r = notebook(c);
    const TrainResult training = train(t, *backend);
    EXPECT_EQ(to_bits(r.final_bias), to_bits(training.table.parameters[1][0]));
    ASSERT_EQ(training.curve.size(), r.updates.size());
    for (std::size_t i = 0; i < r.updates.size(); ++i) EXPECT_EQ(training.curve[i].mean_return, r.updates[i].reward);
  }
}

TEST(Notebook, RefusesWhatCannotBeRun) {
  NotebookConfiguration c;
  c.updates = 0;
  EXPECT_THROW(notebook(c), ConfigurationError);
  c = {};
  c.learning_rate = std::nan("");
  EXPECT_THROW(notebook(c), ConfigurationError);
}

}  // namespace
}  // namespace fryer
