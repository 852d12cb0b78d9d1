// SPDX-License-Identifier: Apache-2.0
// `fryer bench` as a user runs it: its document, comparisons and their exit codes. One executor and one thread, so that it is short.
#include "tests/cli/program.h"

namespace fryer::cli {
namespace {

const RunOptions kScalar = {{"FRYER_ISA=scalar"}, "", 0};

Outcome bench(Words words) {
  Words all = {"bench", "--filter", "philox", "--threads", "1"};
  all.insert(all.end(), words.begin(), words.end());
  return run_program(all, kScalar);
}

TEST(Bench, WritesADocumentThatALaterRunIsComparedWith) {
  const Folder folder;
  const Outcome outcome = bench({"--json", "--quiet"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  nlohmann::json document = outcome.document();
  EXPECT_EQ(document["command"], "bench");
  EXPECT_EQ(document["suite"], "quick");
  EXPECT_EQ(document["seed"], 42);
  EXPECT_EQ(document["digest"], document["rows"][0]["digest"]);
  EXPECT_TRUE(document["machine"].contains("cpu"));
  EXPECT_EQ(document["configuration"]["filter"], "philox");
  ASSERT_EQ(document["peaks"].size(), 1u);
  EXPECT_EQ(document["peaks"][0]["executor"], "scalar");
  ASSERT_EQ(document["rows"].size(), 1u);
  const nlohmann::json row = document["rows"][0];
  EXPECT_EQ(row["name"], "philox");
  EXPECT_EQ(row["executor"], "scalar");
  EXPECT_EQ(row["threads"], 1);
  EXPECT_EQ(row["unit"], "words");
  EXPECT_EQ(row["digest_ok"], true);
  EXPECT_GT(row["rate"], 0);
  EXPECT_GT(row["limit"]["share"], 0);

  // Rates that no machine misses or reaches.
  const std::string file = folder / "before.json";
  document["rows"][0]["rate"] = 1;
  write_bytes(file, document.dump());
  const Outcome faster = bench({"--compare", file, "-v"});
  EXPECT_EQ(faster.code, 0) << faster.err;
  for (const char* part : {"ratio", "of limit", "peaks of scalar, 1 thread"})
    EXPECT_NE(faster.out.find(part), std::string::npos) << part << '\n' << faster.out;
  document["rows"][0]["rate"] = 1e30;
  document["machine"]["cpu"] = "a faster one";
  document["suite"] = "full";
  write_bytes(file, document.dump());
  const Outcome slower = bench({"--compare", file, "--tolerance", "0.5", "--json"});
  EXPECT_EQ(slower.code, 1) << slower.err;
  EXPECT_NE(slower.err.find("1 of 1 row is slower"), std::string::npos) << slower.err;
  EXPECT_NE(slower.err.find("of the full suite"), std::string::npos) << slower.err;
  EXPECT_NE(slower.err.find("a faster one"), std::string::npos) << slower.err;
  EXPECT_EQ(slower.document()["comparison"]["slower"], 1);
  EXPECT_EQ(slower.document()["comparison"]["tolerance"], 0.5);
}

TEST(Bench, RefusesFilesToCompareWithBeforeItMeasures) {
  const Folder folder;
  const std::string file = folder / "before.json";
  EXPECT_EQ(bench({"--compare", file}).code, 4);
  write_bytes(file, "{");
  EXPECT_EQ(bench({"--compare", file}).code, 5);
  write_bytes(file, R"({"command": "bench", "machine": {"cpu": "x"}, "suite": "quick", "numerics_version": 1, "rows": []})");
  const Outcome nothing = bench({"--compare", file});
  EXPECT_EQ(nothing.code, 2);
  EXPECT_NE(nothing.err.find("none of the rows"), std::string::npos) << nothing.err;
}

TEST(Bench, DryRunListsTheRows) {
  const Outcome outcome = run_program({"bench", "--dry-run", "--suite", "full", "--device", "cpu"}, kScalar);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  for (const char* name : {"philox", "cart-pole-solve", "dqn-train", "would measure"})
    EXPECT_NE(outcome.out.find(name), std::string::npos) << name << '\n' << outcome.out;
  const Outcome json = bench({"--dry-run", "--json", "--quiet"});
  const nlohmann::json rows = json.document()["plan"]["rows"];
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0]["name"], "philox");
  const Folder folder;
  write_bytes(folder / "dry.json", json.out);
  EXPECT_NE(bench({"--compare", folder / "dry.json"}).err.find("--dry-run"), std::string::npos);
}

// Checkers share the process's pool of threads, and must not hold what is measured to fewer.
TEST(Bench, MeasuresMoreThreadsThanThereAreProcessors) {
  const Outcome outcome =
      run_program({"bench", "--filter", "fry-shack-evaluate", "--threads", "16", "--device", "cpu", "--quiet"}, kScalar);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_NE(outcome.out.find("1 measurement in"), std::string::npos) << outcome.out;
}

TEST(Bench, StopsAtASignal) {
  RunOptions options = kScalar;
  options.signal = SIGINT;
  const Outcome outcome = run_program({"bench", "--threads", "1"}, options);
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find("stopped after"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace fryer::cli
