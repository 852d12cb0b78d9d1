// SPDX-License-Identifier: Apache-2.0
// What studies draw for each replica: values against an independent computation, their distribution, that they depend on the seed and the
// name alone, that a replica is the command's own run with these values, and that studies which drew parameters before settings could be
// drawn still give the same digests.
#include "host/study/draws.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <xxhash.h>

#include <array>
#include <cmath>

#include "fryer/core/error.h"
#include "fryer/core/philox.h"
#include "host/cli/command.h"
#include "host/cli/study_file.h"
#include "host/driver.h"
#include "host/study/analysis.h"
#include "host/study/export.h"
#include "host/study/run_chunk.h"
#include "tests/study/chunk_columns.h"
#include "tests/study/store_support.h"

namespace fryer::study {
namespace {

using test::find, test::has;

using Scale = Draw::Scale;

Plan parse(const std::string& text) { return cli::parse_study("s.toml", text); }

Draw setting(const std::string& key, double low, double high, Scale scale = Scale::uniform) {
  Draw draw;
  draw.setting = key;
  draw.low = low;
  draw.high = high;
  draw.scale = scale;
  return draw;
}
Draw parameter(std::size_t index, double low, double high, Scale scale = Scale::uniform) {
  Draw draw{"w", index, low, high};
  draw.scale = scale;
  return draw;
}

std::unique_ptr<Backend> backend() {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  choice.threads = 1;
  return make_backend(choice);
}

// From a Philox and an XXH3 in Python, apart from this program: u of a key and a seed, and 5 + 10 u.
struct Known {
  const char* key;
  std::uint64_t seed;
  double u, uniform;
};
constexpr Known kKnown[] = {{"learning_rate", 1, 0x1.00670964d37bcp-2, 0x1.e04065df042d6p+2},
                            {"learning_rate", 42, 0x1.04c8ce2486b67p-1, 0x1.42fd80d6d4320p+3},
                            {"learning_rate", 0x123456789abcdef, 0x1.8a9552035ca00p-6, 0x1.4f69d534219e4p+2},
                            {"gravity", 1, 0x1.73d678d6dd37ap-2, 0x1.143305c325216p+3},
                            {"gravity", 42, 0x1.dd9eeefbd52acp-2, 0x1.3541aaaeb29d6p+3},
                            {"gravity", 0x123456789abcdef, 0x1.247a6648d9398p-3, 0x1.9b663ff6c3e20p+2}};

TEST(DrawnValue, of_a_setting_is_known_for_a_name_and_a_seed) {
  EXPECT_EQ(XXH3_64bits("learning_rate", 13), 0x6b0c28884e635c85u);
  for (const Known& known : kKnown) {
    EXPECT_EQ(drawn_value(setting(known.key, 0, 1), known.seed), known.u) << known.key << ' ' << known.seed;
    EXPECT_EQ(drawn_value(setting(known.key, 5, 15), known.seed), known.uniform);
    const double expected = std::exp(std::log(1e-3) + known.u * (std::log(2.0) - std::log(1e-3)));
    EXPECT_NEAR(drawn_value(setting(known.key, 1e-3, 2, Scale::log_uniform), known.seed), expected, 1e-14 * expected);
  }
  // To the bit: a libm or a fused operation would move some of these.
  EXPECT_EQ(drawn_value(setting("learning_rate", 1e-3, 2, Scale::log_uniform), 1), 0x1.b793b3087a21dp-8);
  EXPECT_EQ(drawn_value(setting("learning_rate", 1e-3, 2, Scale::log_uniform), 42), 0x1.89532f942807p-5);
}

// Word i % 4 of block i / 4 of purpose initialisation, number 0; rounded to float.
TEST(DrawnValue, of_a_parameter_has_the_address_of_an_initial_one) {
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{7}, ~std::uint64_t{0}}) {
    for (const std::size_t i : {std::size_t{0}, std::size_t{3}, std::size_t{4}, std::size_t{96}}) {
      const auto words = random_block(seed, Purpose::initialisation, 0, i / 4);
      const std::array<std::uint32_t, 4> word = {words.x, words.y, words.z, words.w};
      const double u = static_cast<double>(word[i % 4] >> 8) / 16777216.0;
      EXPECT_EQ(drawn_value(parameter(i, -2, 3), seed), static_cast<double>(static_cast<float>(-2 + u * 5)));
      const double logarithmic = std::exp(std::log(0.5) + u * (std::log(8.0) - std::log(0.5)));
      EXPECT_NEAR(drawn_value(parameter(i, 0.5, 8, Scale::log_uniform), seed), logarithmic, 1e-7 * logarithmic);
    }
  }
}

// Over seeds, and together with another setting's: 64 cells each, chi-square with 63 degrees of freedom, beyond 117 once in 40,000.
TEST(DrawnValue, is_uniform_and_independent_of_other_settings) {
  constexpr int kSeeds = 200'000;
  std::array<int, 64> of_one{}, of_two{}, of_log{};
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const double a = drawn_value(setting("learning_rate", 0, 1), seed), b = drawn_value(setting("gamma", 0, 1), seed);
    ASSERT_TRUE(a >= 0 && a < 1);
    ++of_one[static_cast<std::size_t>(a * 64)];
    ++of_two[static_cast<std::size_t>(a * 8) * 8 + static_cast<std::size_t>(b * 8)];
    const double c = drawn_value(setting("dt", 1, 0x1p64, Scale::log_uniform), seed);
    ++of_log[std::min<std::size_t>(static_cast<std::size_t>(std::log2(c)), 63)];
  }
  for (const auto& counts : {of_one, of_two, of_log}) {
    double chi_square = 0;
    for (const int n : counts) chi_square += (n - kSeeds / 64.0) * (n - kSeeds / 64.0) / (kSeeds / 64.0);
    EXPECT_LT(chi_square, 117);
    EXPECT_GT(chi_square, 28);  // nor more even than chance, as often
  }
}

// Logarithm and exponential are rounded: without the clamp some draws of a narrow range lie outside it.
TEST(DrawnValue, stays_within_its_range) {
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    const double low = 1e-3, high = std::nextafter(std::nextafter(low, 1), 1);
    const double x = drawn_value(setting("dt", low, high, Scale::log_uniform), seed);
    ASSERT_TRUE(low <= x && x <= high) << seed;
  }
}

// ---- cells

const char* const kSearch = R"toml(environment = "CartPole-v0"
updates = 12
batch = 8
baseline = "constant=0"
[seeds]
first = 7
count = 12
[record]
evaluation_episodes = 4
curve_every = 5
[distribution]
learning_rate = "log_uniform(0.001, 1)"
gravity = "uniform(5, 15)"
baseline_value = "uniform(0, 20)"
w_angle = "uniform(-1, 1)"
)toml";

TEST(DrawnReplica, is_the_commands_own_training_with_what_was_drawn) {
  const Plan plan = parse(kSearch);
  ASSERT_EQ(plan.distribution.size(), 4u);
  const Chunk chunk = run_chunk(plan, 0, {3, 4}, *backend(), {});
  EXPECT_EQ(find(chunk, ColumnKind::setting, "learning_rate").type, ColumnType::real64);
  for (std::size_t i = 0; i < 4; ++i) {
    CartPoleTrainConfiguration c;
    c.problem.environment.max_steps = 200;
    c.updates = 12;
    c.batch = 8;
    c.seed = 10 + i;
    c.problem.baseline = Baseline::constant;
    c.optimizer.learning_rate = find(chunk, ColumnKind::setting, "learning_rate").value(i);
    c.problem.environment.gravity = find(chunk, ColumnKind::setting, "gravity").value(i);
    c.problem.baseline_value = find(chunk, ColumnKind::setting, "baseline_value").value(i);
    c.problem.parameters[2] = find(chunk, ColumnKind::initial_parameter, "w_angle").value(i);
    EXPECT_EQ(c.optimizer.learning_rate, drawn_value(setting("learning_rate", 1e-3, 1, Scale::log_uniform), c.seed));
    EXPECT_EQ(c.problem.environment.gravity, drawn_value(setting("gravity", 5, 15), c.seed));
    EXPECT_EQ(c.problem.baseline_value, drawn_value(setting("baseline_value", 0, 20), c.seed));
    EXPECT_EQ(c.problem.parameters[2], drawn_value(parameter(2, -1, 1), c.seed));
    const TrainResult r = train(c, *backend());
    for (std::size_t j = 0; j < 5; ++j)
      EXPECT_EQ(find(chunk, ColumnKind::parameter, parameter_names(HiddenLayer())[j]).bits[i], to_bits(r.table.parameters[j][0]));
    EXPECT_EQ(find(chunk, ColumnKind::curve, "", 5).value(i), r.curve[4].mean_return);
    CartPoleEvaluateConfiguration e;
    e.problem = c.problem;
    for (std::size_t j = 0; j < 5; ++j) e.problem.parameters[j] = static_cast<double>(r.table.parameters[j][0]);
    e.episodes = 4;
    e.seed = c.seed;
    EXPECT_EQ(find(chunk, ColumnKind::evaluation_mean).value(i), evaluate(e, *backend()).mean);
  }
}

// Returns of a replica are in its own rewards, wherever they are recorded.
TEST(DrawnReplica, has_its_own_environment_in_every_column) {
  const Plan plan = parse(R"toml(environment = "FryShack-v0"
updates = 10
batch = 30
[seeds]
count = 5
[record]
curve_every = 1
thresholds = [5]
[distribution]
reward_correct = "uniform(1, 20)"
)toml");
  const Chunk chunk = run_chunk(plan, 0, {0, 5}, *backend(), {});
  for (std::size_t i = 0; i < 5; ++i) {
    TrainConfiguration c;
    c.updates = 10;
    c.batch = 30;
    c.seed = 1 + i;
    c.problem.environment.reward_correct = find(chunk, ColumnKind::setting, "reward_correct").value(i);
    const TrainResult r = train(c, *backend());
    EXPECT_NEAR(find(chunk, ColumnKind::curve, "", 1).value(i), r.curve[0].mean_return, 1e-12);
    c.until = 5;  // says when the threshold was reached
    const TrainResult stopped = train(c, *backend());
    const bool solved = stopped.table.status[0] == static_cast<std::uint8_t>(ReplicaStatus::solved);
    EXPECT_EQ(find(chunk, ColumnKind::threshold_updates, "", 5).bits[i], solved ? stopped.table.updates[0] : 0);
    Problem learned = c.problem;
    learned.bias = find(chunk, ColumnKind::parameter, "bias").value(i);
    EXPECT_EQ(find(chunk, ColumnKind::expected_return).value(i), fry_shack_exact(learned).mean_return);
  }
}

TEST(DrawnReplica, is_the_same_alone_in_a_chunk_and_beside_other_draws) {
  const Plan plan = parse(kSearch);
  const Chunk whole = run_chunk(plan, 0, {0, 12}, *backend(), {});
  std::uint64_t digest = 0;
  for (std::uint64_t i = 0; i < 12; ++i) {
    const Chunk one = run_chunk(plan, 0, {i, 1}, *backend(), {});
    digest += one.digest;
    ASSERT_EQ(one.columns.size(), whole.columns.size());
    for (std::size_t j = 0; j < one.columns.size(); ++j) EXPECT_EQ(one.columns[j].bits[0], whole.columns[j].bits[i]) << j;
  }
  EXPECT_EQ(digest, whole.digest);
  Plan fewer = plan;
  std::erase_if(fewer.distribution, [](const Draw& draw) { return draw.name() != "learning_rate"; });
  const DrawnReplica a = draw_replica(plan, plan.cells[0], 9), b = draw_replica(fewer, plan.cells[0], 9);
  EXPECT_EQ(std::get<CartPoleTrainConfiguration>(a.configuration).optimizer.learning_rate,
            std::get<CartPoleTrainConfiguration>(b.configuration).optimizer.learning_rate);
  EXPECT_EQ(std::get<CartPoleTrainConfiguration>(a.configuration).seed, 9u);
}

TEST(DrawnReplica, of_a_gradient_and_of_an_evaluation) {
  const Plan gradients = parse(R"toml(command = "gradient"
environment = "FryShack-v0"
episodes = 500
[seeds]
count = 3
[distribution]
bias = "uniform(-1, 1)"
hungry_above = "uniform(0.2, 0.8)"
)toml");
  const Chunk chunk = run_chunk(gradients, 0, {0, 3}, *backend(), {});
  for (std::size_t i = 0; i < 3; ++i) {
    GradientConfiguration c;
    c.episodes = 500;
    c.seed = 1 + i;
    c.problem.bias = find(chunk, ColumnKind::parameter, "bias").value(i);
    c.problem.environment.hungry_above = find(chunk, ColumnKind::setting, "hungry_above").value(i);
    EXPECT_EQ(c.problem.bias, drawn_value(parameter(1, -1, 1), c.seed));
    EXPECT_EQ(find(chunk, ColumnKind::estimate, "weight").value(i), gradient(c, *backend()).weight.estimate);
  }
  const Plan evaluations = parse(R"toml(command = "evaluate"
environment = "CartPole-v1"
episodes = 20
random = true
[seeds]
count = 3
[distribution]
force = "uniform(1, 20)"
)toml");
  const Chunk played = run_chunk(evaluations, 0, {0, 3}, *backend(), {});
  EXPECT_FALSE(has(played, ColumnKind::parameter));
  CartPoleEvaluateConfiguration e;
  e.episodes = 20;
  e.random = true;
  e.seed = 2;
  e.problem.environment.force = drawn_value(setting("force", 1, 20), 2);
  EXPECT_EQ(find(played, ColumnKind::evaluation_mean).value(1), evaluate(e, *backend()).mean);
}

TEST(DrawnReplica, initial_parameters_are_recorded_where_parameters_are) {
  const std::string with = kSearch,
                    without = std::string(kSearch).replace(with.find("[record]\n"), 9, "[record]\nparameters = false\n");
  EXPECT_TRUE(has(run_chunk(parse(with), 0, {0, 1}, *backend(), {}), ColumnKind::initial_parameter));
  const Chunk chunk = run_chunk(parse(without), 0, {0, 1}, *backend(), {});
  EXPECT_FALSE(has(chunk, ColumnKind::initial_parameter));
  EXPECT_FALSE(has(chunk, ColumnKind::parameter));
  EXPECT_TRUE(has(chunk, ColumnKind::setting));
}

// Every setting with a real value, of every command: drawing it is giving it.
TEST(DrawnReplica, sets_what_the_option_sets) {
  std::size_t settings = 0;
  for (const cli::CommandEntry& entry : cli::commands()) {
    const std::string name = entry.name;
    if (name != "train" && name != "evaluate" && name != "gradient") continue;
    for (const cli::Subject& subject : cli::subjects_of(entry)) {
      const auto command = entry.make(subject);
      const std::string algorithm = subject.algorithm.empty() ? "" : "algorithm = '" + subject.algorithm + "'\n";
      for (const cli::Option& option : command->table().options()) {
        if (option.real == nullptr || !option.applies() || option.name == "weight" || option.name == "bias") continue;
        const double value = *option.real == 0.5 ? 0.75 : 0.5;
        const std::string key = cli::key_of(option.name),
                          head = "command = '" + name + "'\nenvironment = '" + subject.environment + "'\n" + algorithm;
        const Plan given = parse(head + key + " = " + std::to_string(value) + "\n[seeds]\ncount = 1\n");
        const Plan drawn = parse(head + "[seeds]\ncount = 1\n[distribution]\n" + key + " = 'uniform(0.5, 0.76)'\n");
        CellConfiguration replica = *drawn.cells[0].run;
        drawn.distribution[0].apply(replica, value);
        // Through another table: what this cell says of every option.
        const auto read = [&](const CellConfiguration& cell) {
          command->take(cell);
          return command->table().configuration();
        };
        EXPECT_EQ(read(replica), read(*given.cells[0].run)) << head << key;
        EXPECT_EQ(drawn.cells[0].configuration.find('"' + key + '"'), std::string::npos);
        ++settings;
      }
    }
  }
  EXPECT_GT(settings, 60u);
}

// ---- stores, exports, reports

TEST(DrawnColumns, have_names_of_their_own_in_exports_and_survive_the_codec) {
  const Plan plan = parse(kSearch);
  const Chunk chunk = run_chunk(plan, 0, {0, 2}, *backend(), {});
  const std::vector<Column> back = decode(encode(chunk.columns, 2), 2);
  ASSERT_EQ(back.size(), chunk.columns.size());
  for (std::size_t i = 0; i < back.size(); ++i) {
    EXPECT_TRUE(back[i].same_column(chunk.columns[i]));
    EXPECT_EQ(back[i].bits, chunk.columns[i].bits);
  }
  const ExportRows rows{plan, {{0, {0, 2}}}, [&](std::size_t, const std::function<bool(const Column&)>& wanted) {
                          std::vector<Column> some;
                          for (const Column& column : chunk.columns) {
                            if (wanted(column)) some.push_back(column);
                          }
                          return some;
                        }};
  std::string csv, npz;
  export_rows(rows, ExportFormat::csv, [&](std::string_view bytes) { csv += bytes; });
  export_rows(rows, ExportFormat::npz, [&](std::string_view bytes) { npz += bytes; });
  EXPECT_NE(csv.find(",baseline_value,gravity,learning_rate,initial_w_angle\n"), std::string::npos) << csv;
  EXPECT_NE(npz.find("learning_rate.npy"), std::string::npos);
  EXPECT_NE(npz.find("initial_w_angle.npy"), std::string::npos);
  const std::string line = csv.substr(csv.find('\n') + 1);
  EXPECT_NE(line.find(fmt::format(",{},", drawn_value(setting("gravity", 5, 15), 7))), std::string::npos) << line;
}

TEST(DrawnSettings, go_on_from_a_store) {
  const test::Folder folder;
  const Plan plan = parse(kSearch);
  const std::uint64_t digest = run_chunk(plan, 0, {0, 12}, *backend(), {}).digest;
  {
    Store store = Store::create(folder / "s.db", plan, {});
    store.begin_run(test::make_run());
    store.append(run_chunk(plan, 0, {0, 5}, *backend(), {}));
  }
  Store store = Store::open(folder / "s.db", Access::write);
  Plan stored = store.plan();
  EXPECT_EQ(fingerprint(stored), fingerprint(plan));
  EXPECT_FALSE(stored.distribution[1].apply);
  cli::make_runnable(stored);
  store.begin_run(test::make_run());
  store.append(run_chunk(stored, 0, {5, 7}, *backend(), {}));
  EXPECT_EQ(digest_of(store.chunks()), digest);

  const StudySummary summary = analyse(store);
  EXPECT_NE(summary.sentence.find(
                "Each seed draws initial w_angle from uniform(-1, 1), baseline_value from uniform(0, 20), gravity from "
                "uniform(5, 15) and learning_rate from log_uniform(0.001, 1): every number here is over what was drawn."),
            std::string::npos)
      << summary.sentence;
  for (const auto& [key, value] : summary.fixed) {
    EXPECT_TRUE(key != "learning_rate" && key != "gravity" && key != "parameters") << key << ' ' << value;
  }
  EXPECT_EQ(summary.drawn.size(), 4u);
}

TEST(DrawnSettings, of_a_store_that_this_version_cannot_draw_are_damage) {
  const Plan good = parse(kSearch);
  const auto with = [&](const std::string& name, auto change) {
    Plan plan = good;
    for (Draw& draw : plan.distribution) {
      if (draw.name() == name) change(draw);
    }
    return plan_from_json(Json::parse(to_json(plan).dump()));
  };
  Plan same = with("gravity", [](Draw&) {});
  cli::make_runnable(same);
  EXPECT_TRUE(same.distribution[2].apply);
  std::vector<Plan> plans = {with("gravity", [](Draw& draw) { draw.setting = "gravty"; }),
                             with("gravity", [](Draw& draw) { draw.setting = "batch"; }),
                             with("gravity", [](Draw& draw) { draw.high = 1e9; }),
                             with("learning_rate", [](Draw& draw) { draw.scale = Scale::uniform, draw.low = 0; }),
                             with("learning_rate", [](Draw& draw) { draw.setting = "dt"; })};
  for (std::size_t i = 0; i < plans.size(); ++i) EXPECT_THROW(cli::make_runnable(plans[i]), DamagedFileError) << i;
  Json document = to_json(good);
  for (const char* broken :
       {R"({"setting":"gravity","low":1.0})", R"({"setting":"","low":1.0,"high":2.0})",
        R"({"setting":"dt","low":0.0,"high":2.0,"scale":"log"})", R"({"setting":"dt","low":1.0,"high":2.0,"scale":"ln"})",
        R"({"setting":"dt","low":1.0,"high":2.0,"index":1})", R"({"setting":"dt","low":3.0,"high":2.0})", "3"}) {
    document["distribution"][0] = Json::parse(broken);
    EXPECT_THROW(plan_from_json(document), DamagedFileError) << broken;
  }
}

// ---- studies that draw parameters alone: rows and text of what is drawn are those of programs that could draw nothing else

struct Old {
  const char *file, *distribution;
  std::uint64_t digest;
};
constexpr Old kOld[] = {
    {R"toml(environment = "CartPole-v1"
updates = 40
batch = 4
[grid]
learning_rate = [0.1, 0.2]
[seeds]
first = 5
count = 9
[record]
curve_every = 3
thresholds = [30]
[distribution]
parameters = "uniform(-1, 1)"
)toml",
     R"([{"parameter":"w_position","index":0,"low":-1.0,"high":1.0},{"parameter":"w_velocity","index":1,"low":-1.0,"high":1.0},{"parameter":"w_angle","index":2,"low":-1.0,"high":1.0},{"parameter":"w_angular_velocity","index":3,"low":-1.0,"high":1.0},{"parameter":"bias","index":4,"low":-1.0,"high":1.0}])",
     0xd9f6e69978ca57f6},
    {R"toml(command = "evaluate"
environment = "CartPole-v0"
episodes = 20
[seeds]
count = 7
[distribution]
w_angle = "uniform(-2, 3)"
bias = "uniform(0, 1)"
)toml",
     R"([{"parameter":"w_angle","index":2,"low":-2.0,"high":3.0},{"parameter":"bias","index":4,"low":0.0,"high":1.0}])",
     0xfd20129b7b102c70},
    {R"toml(environment = "FryShack-v0"
updates = 20
[seeds]
count = 11
[distribution]
weight = "uniform(10, 30)"
bias = "uniform(-1, 1)"
)toml",
     R"([{"parameter":"weight","index":0,"low":10.0,"high":30.0},{"parameter":"bias","index":1,"low":-1.0,"high":1.0}])",
     0xc693c462f7f908ab}};

TEST(OldStudies, keep_their_documents_and_digests) {
  for (const Old& old : kOld) {
    const Plan plan = parse(old.file);
    EXPECT_EQ(to_json(plan)["distribution"].dump(), old.distribution);
    std::uint64_t digest = 0;
    for (std::uint64_t cell = 0; cell < plan.cells.size(); ++cell)
      digest += run_chunk(plan, cell, {0, plan.seeds}, *backend(), {}).digest;
    EXPECT_EQ(digest, old.digest) << old.file;
  }
}

}  // namespace
}  // namespace fryer::study
