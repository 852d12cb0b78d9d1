// SPDX-License-Identifier: Apache-2.0
// What `fryer bench` prints of numbers that are made up: the document's shape, the table, and the comparison with an earlier document.
#include <gtest/gtest.h>

#include "fryer/core/error.h"
#include "host/cli/output/bench_report.h"
#include "host/cli/output/json.h"

namespace fryer::cli {
namespace {

using throughput::Limit;
using throughput::Measurement;
using throughput::Report;

Measurement measured(const char* name, const char* executor, unsigned threads, double rate) {
  Measurement m;
  m.name = name;
  m.unit = "steps";
  m.executor = executor;
  m.threads = threads;
  m.rate = rate;
  m.spread = 0.02;
  m.processors = 1;
  m.repetitions = 5;
  m.digest = m.expected = 7;
  m.checker = "avx512";
  m.checked_whole = true;
  m.limit = Limit{"fma", 2 * rate};
  m.counted = "step";
  m.needed.fused = 48;
  return m;
}

Report made_up() {
  Report report;
  report.rows = {measured("a", "avx2", 1, 100), measured("a", "avx2", 2, 200), measured("b", "avx2", 1, 50),
                 measured("c", "cuda", 1, 9)};
  report.peaks = {{"avx2", 1, {1e9, 2e9, 3e8, 4e8, 5e9}}};
  return report;
}

Json document_of(const Report& report) {
  return {{"command", "bench"},          {"suite", "full"},
          {"numerics_version", 1},       {"machine", machine_json({"made up", 2, {"scalar", "avx2"}})},
          {"peaks", peaks_json(report)}, {"rows", rows_json(report)}};
}

std::vector<BenchKey> keys_of(const Report& report) {
  std::vector<BenchKey> keys;
  for (const Measurement& m : report.rows) keys.push_back(key_of(m));
  return keys;
}

TEST(BenchJson, HasRatesLimitsPeaksAndDigests) {
  Report report = made_up();
  report.rows[1].expected = 8;
  report.rows[1].checker = "";
  report.rows[2].agrees = false;
  report.rows[3].repeats = false;
  const Json d = Json::parse(to_text(document_of(report)));
  EXPECT_EQ(d["machine"]["cpu"], "made up");
  EXPECT_EQ(d["machine"]["cores"], 2);
  EXPECT_EQ(d["machine"]["instruction_sets"].size(), 2u);
  EXPECT_EQ(d["peaks"][0]["fma_per_second"], 1e9);
  EXPECT_EQ(d["peaks"][0]["multiplies_per_second"], 2e9);
  EXPECT_EQ(d["peaks"][0]["instructions_per_second"], 5e9);
  const Json& good = d["rows"][0];
  EXPECT_EQ(good["name"], "a");
  EXPECT_EQ(good["executor"], "avx2");
  EXPECT_EQ(good["threads"], 1);
  EXPECT_EQ(good["unit"], "steps");
  EXPECT_EQ(good["rate"], 100);
  EXPECT_EQ(good["spread"], 0.02);
  EXPECT_EQ(good["repetitions"], 5);
  EXPECT_EQ(good["limit"]["kind"], "fma");
  EXPECT_EQ(good["limit"]["rate"], 200);
  EXPECT_EQ(good["limit"]["share"], 0.5);
  EXPECT_EQ(good["needs"]["of"], "step");
  EXPECT_EQ(good["needs"]["fma"], 48);
  EXPECT_EQ(good["digest"], "0000000000000007");
  EXPECT_EQ(good["digest_ok"], true);
  EXPECT_EQ(good["repeats"], true);
  EXPECT_EQ(good["checked_by"], "avx512");
  EXPECT_EQ(good["agrees"], true);
  const Json& bad = d["rows"][1];  // a fast wrong answer has no rate
  EXPECT_EQ(bad["digest_ok"], false);
  EXPECT_TRUE(bad["rate"].is_null());
  EXPECT_TRUE(bad["limit"].is_null());
  EXPECT_TRUE(bad["checked_by"].is_null());
  EXPECT_TRUE(bad["agrees"].is_null());
  EXPECT_EQ(d["rows"][2]["digest_ok"], false);
  EXPECT_EQ(d["rows"][2]["agrees"], false);
  EXPECT_EQ(d["rows"][3]["digest_ok"], false);
  EXPECT_EQ(d["rows"][3]["repeats"], false);
}

TEST(BenchReport, SaysWhichDigestsDiffer) {
  Measurement m = measured("a", "cuda", 1, 100);
  m.agrees = false;
  EXPECT_EQ(why_wrong(m), "other bits than avx512's, for the work that was timed");
  m.checked_whole = false;
  EXPECT_EQ(why_wrong(m), "other bits than avx512's, for less work than was timed");
  m.repeats = false;
  EXPECT_EQ(why_wrong(m), "the same work gave different bits");
  m.expected = 8;
  EXPECT_EQ(why_wrong(m), "digest 0000000000000007 instead of 0000000000000008");
}

TEST(BenchTable, ShowsShareAndWhatBindsAndNoRateOfWrongBits) {
  Report report = made_up();
  report.rows[2].expected = 8;
  report.rows[1].repeats = false;
  const std::string text = bench_table({}, report, nullptr);
  for (const char* part : {"100 steps/s", "2.0 %", "50 %", "fma", "wrong bits", "bits that change"})
    EXPECT_NE(text.find(part), std::string::npos) << part << '\n' << text;
  EXPECT_EQ(text.find("200 steps/s"), std::string::npos) << text;
  EXPECT_NE(peaks_text(report).find("fma 1"), std::string::npos);
  EXPECT_NE(needs_text({}, report).find("step   48"), std::string::npos) << needs_text({}, report);
}

TEST(BenchCompare, FindsWhatIsSlowerAndWhatIsMissing) {
  const EarlierBench earlier = parse_earlier_bench("f.json", to_text(document_of(made_up())));
  EXPECT_EQ(earlier.cpu, "made up");
  EXPECT_EQ(earlier.suite, "full");
  EXPECT_EQ(earlier.rates.size(), 4u);
  const std::vector<BenchKey> asked = keys_of(made_up());
  EXPECT_EQ(compare_bench(made_up(), earlier, 0.1, asked).slower(), 0u);

  Report now = made_up();
  now.rows[0].rate = 91;   // within 10 %
  now.rows[1].rate = 179;  // not
  now.rows[2].digest = 9;  // no rate any more
  now.rows[3] = measured("d", "avx2", 1, 1);
  const BenchComparison comparison = compare_bench(now, earlier, 0.1, asked);
  ASSERT_EQ(comparison.rows.size(), 2u);
  EXPECT_DOUBLE_EQ(comparison.rows[0].ratio, 0.91);
  EXPECT_FALSE(comparison.rows[0].slower);
  EXPECT_TRUE(comparison.rows[1].slower);
  EXPECT_EQ(comparison.slower(), 1u);
  EXPECT_EQ(comparison.slower_and_disturbed(), 0u);
  now.rows[1].processors = 0.5;
  EXPECT_EQ(compare_bench(now, earlier, 0.1, asked).slower_and_disturbed(), 1u);
  ASSERT_EQ(comparison.only_here.size(), 1u);
  EXPECT_EQ(comparison.only_here[0].name, "d");
  ASSERT_EQ(comparison.only_there.size(), 2u);
  EXPECT_EQ(compare_bench(now, earlier, 0.05, asked).slower(), 2u);
  EXPECT_TRUE(compare_bench(now, earlier, 0.1, {}).only_there.empty());  // of rows that nobody asked for

  const std::string text = bench_table({}, now, &comparison);
  EXPECT_NE(text.find("ratio"), std::string::npos);
  EXPECT_NE(text.find("0.90 slower"), std::string::npos) << text;
  const Json json = comparison_json(comparison, 0.1);
  EXPECT_EQ(json["slower"], 1);
  EXPECT_EQ(json["rows"][1]["slower"], true);
  EXPECT_EQ(json["only_here"][0]["name"], "d");
}

TEST(BenchCompare, RefusesForeignAndDamagedFiles) {
  const auto refusal = [](const std::string& text) {
    try {
      parse_earlier_bench("f.json", text);
      return std::string();
    } catch (const DamagedFileError& error) {
      return std::string(error.what());
    }
  };
  const Json good = document_of(made_up());
  EXPECT_EQ(refusal(to_text(good)), "");
  for (const char* text :
       {"", "{", "[]", "7", "null", "{}", "{\"command\": \"train\"}", "{\"command\": \"bench\"}", "\xff\xfe"}) {
    EXPECT_NE(refusal(text).find("f.json"), std::string::npos) << text;
    EXPECT_EQ(refusal(text).find("exception"), std::string::npos) << text;
  }
  const auto changed = [&](auto change) {
    Json json = good;
    change(json);
    return refusal(to_text(json));
  };
  EXPECT_NE(changed([](Json& d) { d["rows"][0]["rate"] = -1; }).find("-1"), std::string::npos);
  EXPECT_NE(changed([](Json& d) { d["rows"][0]["threads"] = 4294967297; }).find("threads"), std::string::npos);
  EXPECT_NE(changed([](Json& d) { d["rows"][0]["threads"] = 1.9; }).find("threads"), std::string::npos);
  EXPECT_NE(changed([](Json& d) { d["rows"][0]["rate"] = true; }).find("not a number"), std::string::npos);
  EXPECT_NE(changed([](Json& d) { d["numerics_version"] = -1; }).find("numerics_version"), std::string::npos);
  EXPECT_NE(changed([](Json& d) { d["rows"] = nullptr; }).find("rows"), std::string::npos);
  EXPECT_NE(changed([](Json& d) { d["rows"][0]["rate"] = "fast"; }), "");
  EXPECT_NE(changed([](Json& d) { d["rows"][0].erase("threads"); }), "");
  EXPECT_NE(changed([](Json& d) { d["rows"][1] = d["rows"][0]; }).find("twice"), std::string::npos);
  EXPECT_NE(changed([](Json& d) { d["rows"] = 3; }), "");
  EXPECT_NE(changed([](Json& d) { d.erase("machine"); }), "");
  EXPECT_NE(changed([](Json& d) { d.erase("suite"); }).find("suite"), std::string::npos);
  EXPECT_NE(changed([](Json& d) { d["rows"][0]["digest_ok"] = false; }).find("wrong bits"), std::string::npos);
  EXPECT_NE(changed([](Json& d) { d["rows"][0].erase("digest_ok"); }), "");
  // Of a row that this program knows.
  EXPECT_EQ(changed([](Json& d) { d["rows"][0]["name"] = "cart-pole-evaluate"; }), "");
  EXPECT_NE(changed([](Json& d) { d["rows"][0]["name"] = "philox"; }).find("is of steps, not of words"), std::string::npos);
}

}  // namespace
}  // namespace fryer::cli
