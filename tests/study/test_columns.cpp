// SPDX-License-Identifier: Apache-2.0
// Columns as bytes: what goes in comes out, small, and no bytes whatever do harm.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "fryer/core/error.h"
#include "host/study/columns.h"
#include "tests/study/store_support.h"

namespace fryer::study {
namespace {

Column column_of(std::vector<std::uint64_t> bits, ColumnType type = ColumnType::integer) {
  return {ColumnKind::steps, type, "", 0, std::move(bits)};
}

void expect_round_trip(const std::vector<Column>& columns, std::uint64_t rows) {
  const std::string bytes = encode(columns, rows);
  EXPECT_TRUE(test::same_columns(decode(bytes, rows), columns));
}

// Every width, with every remainder of bits at the end, and values at both ends of it.
TEST(Columns, OfEveryWidthComeBack) {
  std::mt19937_64 random(1);
  for (unsigned width = 0; width <= 64; ++width) {
    const std::uint64_t mask = width == 0 ? 0 : ~std::uint64_t{0} >> (64 - width);
    for (const std::uint64_t rows : {0u, 1u, 2u, 3u, 7u, 8u, 9u, 63u, 64u, 65u, 300u}) {
      std::vector<std::uint64_t> bits(rows);
      for (std::uint64_t& b : bits) b = (random() & mask) + (width == 64 ? 0 : (~std::uint64_t{0} - mask) / 3);
      if (rows > 1) bits[rows - 1] = bits[0] | (width == 64 ? mask : 0);
      expect_round_trip({column_of(bits)}, rows);
    }
  }
}

TEST(Columns, KeepTheirNamesAndTheirOrder) {
  std::vector<Column> columns;
  for (int kind = 0; kind <= static_cast<int>(ColumnKind::expected_return); ++kind) {
    for (const ColumnType type : {ColumnType::integer, ColumnType::real32, ColumnType::real64}) {
      columns.push_back({static_cast<ColumnKind>(kind), type, "w_" + std::to_string(kind), kind * 0.1 - 1, {5, 6, 5}});
    }
  }
  expect_round_trip(columns, 3);
  const auto some =
      decode_some(encode(columns, 3), 3, [](const Column& c) { return c.kind == ColumnKind::curve && c.bits.empty(); });
  ASSERT_EQ(some.size(), 3u);
  EXPECT_EQ(some[2].bits, (std::vector<std::uint64_t>{5, 6, 5}));
}

TEST(Columns, OfNumbersKeepEveryBit) {
  const float f[] = {0.0f, -0.0f, std::nanf(""), std::numeric_limits<float>::infinity(), -1e-45f, 3.4e38f};
  const double d[] = {0.0, -0.0, std::nan(""), -std::numeric_limits<double>::infinity(), 5e-324, 1.7e308};
  Column floats = column_of({}, ColumnType::real32), doubles = column_of({}, ColumnType::real64);
  for (int i = 0; i < 6; ++i) {
    floats.bits.push_back(std::bit_cast<std::uint32_t>(f[i]));
    doubles.bits.push_back(std::bit_cast<std::uint64_t>(d[i]));
  }
  expect_round_trip({floats, doubles}, 6);
  EXPECT_EQ(floats.value(4), -1e-45f);
  EXPECT_EQ(doubles.value(5), 1.7e308);
  EXPECT_EQ(column_of({~std::uint64_t{0}}).value(0), 0x1p64);
}

// A chunk's heading and each column's cost some fifty bytes; the rest is what information theory asks for, or nearly.
TEST(Columns, AreAsSmallAsTheirValuesAllow) {
  constexpr std::uint64_t rows = 65'536;
  EXPECT_LE(encode({column_of(std::vector<std::uint64_t>(rows, ~std::uint64_t{0}))}, rows).size(), 50u);
  std::vector<std::uint64_t> two(rows), means(rows), random_floats(rows);
  std::mt19937_64 random(2);
  for (std::uint64_t i = 0; i < rows; ++i) {
    two[i] = random() % 2 * 0x4000000000000000u;                                         // 62 bits apart
    means[i] = std::bit_cast<std::uint64_t>(static_cast<double>(random() % 8000) / 16);  // of 16 episodes of at most 500 steps
    random_floats[i] = 0xc0800000u + random() % (1u << 24);
  }
  EXPECT_LE(encode({column_of(two)}, rows).size(), rows / 8 + 100);
  EXPECT_LE(encode({column_of(means, ColumnType::real64)}, rows).size(), rows * 13 / 8 + 8000 * 8 + 100);
  EXPECT_LE(encode({column_of(random_floats, ColumnType::real32)}, rows).size(), rows * 3 + 100);
}

// More distinct values than a dictionary may have: offsets, and still right.
TEST(Columns, OfManyDistinctValuesComeBack) {
  constexpr std::uint64_t rows = 200'000;
  std::vector<std::uint64_t> bits(rows);
  for (std::uint64_t i = 0; i < rows; ++i) bits[i] = test::noise(0, i % 70'000, 0);
  expect_round_trip({column_of(bits)}, rows);
}

TEST(Columns, RefuseWhatIsNotAChunk) {
  EXPECT_THROW(encode({column_of({1, 2})}, 3), Error);
  EXPECT_THROW(encode({}, kMostValues + 1), Error);
  EXPECT_THROW(decode("", 0), DamagedFileError);
  EXPECT_THROW(decode(encode({column_of({1, 2})}, 2), 3), DamagedFileError);
  EXPECT_THROW(decode(encode({column_of({1, 2})}, 2) + "x", 2), DamagedFileError);
}

// Either an exception of this one kind, or as many values as there are rows. The seeds of the random numbers are fixed.
TEST(Columns, SurviveAnyBytes) {
  const Chunk chunk = test::make_chunk(0, {0, 50});
  std::vector<Column> columns = chunk.columns;
  columns.push_back(column_of(std::vector<std::uint64_t>(50, 1)));
  for (std::uint64_t i = 0; i < 50; i += 3) columns.back().bits[i] = std::uint64_t{1} << 60;  // a dictionary
  const std::string good = encode(columns, 50);
  std::mt19937_64 random(3);
  int refused = 0, accepted = 0;
  const auto attempt = [&](const std::string& bytes) {
    try {
      for (const Column& column : decode(bytes, 50)) ASSERT_EQ(column.bits.size(), 50u);
      ++accepted;
    } catch (const DamagedFileError&) {
      ++refused;
    }
  };
  for (std::size_t length = 0; length < good.size(); ++length) attempt(good.substr(0, length));
  EXPECT_EQ(accepted, 0) << "a truncated chunk was taken for a whole one";
  for (int i = 0; i < 50'000; ++i) {
    std::string bytes = good;
    for (std::uint64_t n = random() % 4 + 1; n > 0; --n) bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    attempt(bytes);
  }
  for (int i = 0; i < 10'000; ++i) {  // a sound heading, and noise
    std::string bytes = good.substr(0, 13);
    bytes.resize(13 + random() % 200);
    for (std::size_t k = 13; k < bytes.size(); ++k) bytes[k] = static_cast<char>(random() % (k % 7 == 0 ? 256 : 3));
    attempt(bytes);
  }
  EXPECT_GT(refused, 10'000);
  EXPECT_GT(accepted, 1'000);
}

TEST(Columns, HaveTheNamesThatExportsShow) {
  const auto name = [](ColumnKind kind, const std::string& of, double at) {
    return column_name({kind, ColumnType::integer, of, at, {}});
  };
  EXPECT_EQ(name(ColumnKind::status, "", 0), "status");
  EXPECT_EQ(name(ColumnKind::updates, "", 0), "updates");
  EXPECT_EQ(name(ColumnKind::parameter, "w_angle", 0), "w_angle");
  EXPECT_EQ(name(ColumnKind::curve, "", 10), "return_at_update_10");
  EXPECT_EQ(name(ColumnKind::threshold_updates, "", 475), "updates_to_475");
  EXPECT_EQ(name(ColumnKind::threshold_steps, "", 0.5), "steps_to_0.5");
  EXPECT_EQ(name(ColumnKind::evaluation_mean, "", 0), "evaluation_mean");
  EXPECT_EQ(name(ColumnKind::estimate, "bias", 0), "gradient_bias");
  EXPECT_EQ(name(ColumnKind::standard_error, "bias", 0), "gradient_bias_standard_error");
  EXPECT_EQ(name(ColumnKind::second_moment, "bias", 0), "gradient_bias_second_moment");
  EXPECT_EQ(name(ColumnKind::estimate, "mean_return", 0), "mean_return");
  EXPECT_EQ(name(ColumnKind::standard_error, "mean_return", 0), "mean_return_standard_error");
}

}  // namespace
}  // namespace fryer::study
