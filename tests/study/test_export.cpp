// SPDX-License-Identifier: Apache-2.0
// Exports, from fabricated rows: the bytes of .csv and .jsonl, and of .npz the archive's entries and the arrays in them.
#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <clocale>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "fryer/core/error.h"
#include "host/study/export.h"

namespace fryer::study {
namespace {

std::uint64_t real(double x) { return std::bit_cast<std::uint64_t>(x); }
std::uint64_t real32(float x) { return std::bit_cast<std::uint32_t>(x); }
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Fabricated {
  Plan plan;
  std::vector<ExportPiece> pieces;
  std::vector<std::vector<Column>> columns;

  ExportRows rows() const {
    return {plan, pieces, [this](std::size_t piece, const std::function<bool(const Column&)>& wanted) {
              std::vector<Column> some;
              for (const Column& column : columns[piece]) {
                if (wanted({column.kind, column.type, column.name, column.at, {}})) some.push_back(column);
              }
              return some;
            }};
  }
  std::string file(ExportFormat format) const {
    std::string bytes;
    export_rows(rows(), format, [&](std::string_view piece) { bytes += piece; });
    return bytes;
  }
};

// Two cells; replicas 0 and 1 of the first, replica 2 of the second (0 and 1 are missing), which lacks the curve.
Fabricated fabricate() {
  Fabricated f;
  f.plan.cells = {
      {"{}", "{}", {{"bias", "0.1"}, {"baseline", "none"}, {"updates", "2"}, {"learn_weight", "true"}}, {}},
      {"{}", "{}", {{"bias", "-1"}, {"baseline", "say \"x\"; a, b"}, {"updates", "3"}, {"learn_weight", "false"}}, {}}};
  f.plan.first_seed = 18446744073709551613u;
  f.plan.seeds = 3;
  f.pieces = {{0, {0, 2}}, {1, {2, 1}}};
  f.columns = {{{ColumnKind::status, ColumnType::integer, "", 0, {0, 2}},
                {ColumnKind::updates, ColumnType::integer, "", 0, {2, 1}},
                {ColumnKind::parameter, ColumnType::real32, "bias", 0, {real32(-0.1f), real32(kNaN)}},
                {ColumnKind::curve, ColumnType::real64, "", 1, {real(0.1), real(1e22)}},
                {ColumnKind::threshold_updates, ColumnType::integer, "", 475, {2, 0}}},
               {{ColumnKind::status, ColumnType::integer, "", 0, {1}},
                {ColumnKind::updates, ColumnType::integer, "", 0, {3}},
                {ColumnKind::parameter, ColumnType::real32, "bias", 0, {real32(20)}},
                {ColumnKind::threshold_updates, ColumnType::integer, "", 475, {1}}}};
  return f;
}

TEST(Export, csv) {
  EXPECT_EQ(fabricate().file(ExportFormat::csv),
            "cell,grid_bias,baseline,grid_updates,learn_weight,seed,status,updates,bias,return_at_update_1,updates_to_475\n"
            "0,0.1,none,2,true,18446744073709551613,finished,2,-0.10000000149011612,0.1,2\n"
            "0,0.1,none,2,true,18446744073709551614,failed,1,,1e+22,\n"
            "1,-1,\"say \"\"x\"\"; a, b\",3,false,18446744073709551615,solved,3,20,,1\n");
}

TEST(Export, jsonl) {
  const std::string text = fabricate().file(ExportFormat::jsonl);
  EXPECT_EQ(text.substr(0, text.find('\n')),
            R"({"cell":0,"grid_bias":0.1,"baseline":"none","grid_updates":2,"learn_weight":true,"seed":18446744073709551613,)"
            R"("status":"finished","updates":2,"bias":-0.10000000149011612,"return_at_update_1":0.1,"updates_to_475":2})");
  std::vector<Json> lines;
  for (std::size_t begin = 0; begin < text.size(); begin = text.find('\n', begin) + 1)
    lines.push_back(Json::parse(text.substr(begin, text.find('\n', begin) - begin)));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_TRUE(lines[1]["bias"].is_null());
  EXPECT_TRUE(lines[1]["updates_to_475"].is_null());
  EXPECT_TRUE(lines[2]["return_at_update_1"].is_null());
  EXPECT_EQ(lines[2]["baseline"], "say \"x\"; a, b");
  EXPECT_EQ(lines[2]["seed"].get<std::uint64_t>(), 18446744073709551615u);
}

struct Array {
  std::string header, data;
};
// The entries of a zip in their order, each with what an .npy begins with taken apart.
std::vector<std::pair<std::string, Array>> read_npz(const std::string& bytes) {
  std::vector<std::pair<std::string, Array>> arrays;
  archive* zip = archive_read_new();
  archive_read_support_format_zip(zip);
  EXPECT_EQ(archive_read_open_memory(zip, bytes.data(), bytes.size()), ARCHIVE_OK);
  archive_entry* entry = nullptr;
  while (archive_read_next_header(zip, &entry) == ARCHIVE_OK) {
    std::string text(1 << 22, '\0');
    const la_ssize_t n = archive_read_data(zip, text.data(), text.size());
    EXPECT_GE(n, 128) << archive_error_string(zip);
    text.resize(static_cast<std::size_t>(n));
    EXPECT_EQ(text.substr(0, 8), std::string("\x93NUMPY\x01\0", 8));
    const std::size_t length = static_cast<unsigned char>(text[8]) + 256u * static_cast<unsigned char>(text[9]);
    EXPECT_EQ((length + 10) % 64, 0u);
    arrays.push_back({archive_entry_pathname(entry), {text.substr(10, length), text.substr(10 + length)}});
  }
  archive_read_free(zip);
  return arrays;
}

template <class Number>
Number element(const Array& array, std::size_t i) {
  Number x;
  std::memcpy(&x, array.data.data() + i * sizeof x, sizeof x);
  return x;
}

TEST(Export, npz) {
  const auto arrays = read_npz(fabricate().file(ExportFormat::npz));
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"cell.npy", "'<i8'"},          {"grid_bias.npy", "'<f8'"},
      {"baseline.npy", "'<U13'"},     {"grid_updates.npy", "'<i8'"},
      {"learn_weight.npy", "'|b1'"},  {"seed.npy", "'<u8'"},
      {"status.npy", "'<U8'"},        {"updates.npy", "'<i8'"},
      {"bias.npy", "'<f4'"},          {"return_at_update_1.npy", "'<f8'"},
      {"updates_to_475.npy", "'<f8'"}};
  ASSERT_EQ(arrays.size(), expected.size());
  std::map<std::string, Array> by_name;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    EXPECT_EQ(arrays[i].first, expected[i].first);
    const std::string dictionary = "{'descr': " + expected[i].second + ", 'fortran_order': False, 'shape': (3,), }";
    EXPECT_EQ(arrays[i].second.header.substr(0, dictionary.size()), dictionary);
    EXPECT_EQ(arrays[i].second.header.back(), '\n');
    by_name[arrays[i].first] = arrays[i].second;
  }
  EXPECT_EQ(element<std::int64_t>(by_name["cell.npy"], 2), 1);
  EXPECT_EQ(element<double>(by_name["grid_bias.npy"], 1), 0.1);
  EXPECT_EQ(element<std::uint64_t>(by_name["seed.npy"], 2), 18446744073709551615u);
  EXPECT_EQ(by_name["status.npy"].data.size(), 3u * 8 * 4);
  EXPECT_EQ(by_name["status.npy"].data.substr(32, 8), std::string("f\0\0\0a\0\0\0", 8));  // failed
  EXPECT_EQ(by_name["baseline.npy"].data.substr(13 * 4, 20), std::string("n\0\0\0o\0\0\0n\0\0\0e\0\0\0\0\0\0\0", 20));
  EXPECT_EQ(by_name["learn_weight.npy"].data, std::string("\1\1\0", 3));
  EXPECT_EQ(element<float>(by_name["bias.npy"], 0), -0.1f);
  EXPECT_TRUE(std::isnan(element<float>(by_name["bias.npy"], 1)));
  EXPECT_TRUE(std::isnan(element<double>(by_name["return_at_update_1.npy"], 2)));
  EXPECT_TRUE(std::isnan(element<double>(by_name["updates_to_475.npy"], 1)));
  EXPECT_EQ(element<double>(by_name["updates_to_475.npy"], 2), 1);
}

// More rows than a buffer holds: all arrive, in order.
TEST(Export, many_pieces) {
  Fabricated f;
  f.plan.cells = {{"{}", "{}", {}, {}}};
  f.plan.seeds = 300'000;
  for (std::uint64_t first = 0; first < 300'000; first += 100'000) {
    f.pieces.push_back({0, {first, 100'000}});
    f.columns.push_back({{ColumnKind::status, ColumnType::integer, "", 0, std::vector<std::uint64_t>(100'000)},
                         {ColumnKind::updates, ColumnType::integer, "", 0, std::vector<std::uint64_t>(100'000)}});
    for (std::uint64_t i = 0; i < 100'000; ++i) f.columns.back()[1].bits[i] = first + i;
  }
  const std::string text = f.file(ExportFormat::csv);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 300'001);
  EXPECT_TRUE(text.ends_with("\n0,300000,finished,299999\n"));
  const auto arrays = read_npz(f.file(ExportFormat::npz));
  ASSERT_EQ(arrays.size(), 4u);
  for (std::size_t i = 0; i < 300'000; i += 777) {
    ASSERT_EQ(element<std::uint64_t>(arrays[1].second, i), i + 1);
    ASSERT_EQ(element<std::int64_t>(arrays[3].second, i), static_cast<std::int64_t>(i));
  }
}

TEST(Export, a_study_without_results_is_a_file_without_rows) {
  Fabricated f = fabricate();
  f.pieces.clear();
  f.columns.clear();
  EXPECT_EQ(f.file(ExportFormat::csv), "cell,bias,baseline,updates,learn_weight,seed\n");
  EXPECT_EQ(f.file(ExportFormat::jsonl), "");
  for (const auto& [name, array] : read_npz(f.file(ExportFormat::npz))) {
    EXPECT_NE(array.header.find("'shape': (0,)"), std::string::npos) << name;
    EXPECT_EQ(array.data, "") << name;
  }
}

TEST(Export, a_locale_with_a_comma_changes_nothing) {
  const std::string csv = fabricate().file(ExportFormat::csv);
  if (std::setlocale(LC_ALL, "de_DE.UTF-8") == nullptr) GTEST_SKIP() << "this machine has no locale de_DE.UTF-8";
  const std::string there = fabricate().file(ExportFormat::csv);
  std::setlocale(LC_ALL, "C");
  EXPECT_EQ(there, csv);
}

TEST(Export, what_writing_throws_comes_out) {
  for (const ExportFormat format : {ExportFormat::csv, ExportFormat::jsonl, ExportFormat::npz}) {
    EXPECT_THROW(export_rows(fabricate().rows(), format, [](std::string_view) { throw FileError("disk full"); }), FileError);
  }
}

TEST(Export, columns_of_the_wrong_length_are_an_error) {
  Fabricated f = fabricate();
  f.columns[0][1].bits.pop_back();
  for (const ExportFormat format : {ExportFormat::csv, ExportFormat::jsonl, ExportFormat::npz})
    EXPECT_THROW(f.file(format), Error);
}

TEST(Export, formats_by_name) {
  EXPECT_EQ(export_format("a/b.csv"), ExportFormat::csv);
  EXPECT_EQ(export_format("b.jsonl"), ExportFormat::jsonl);
  EXPECT_EQ(export_format("b.npz"), ExportFormat::npz);
  EXPECT_THROW(export_format("b.json"), ConfigurationError);
}

}  // namespace
}  // namespace fryer::study
