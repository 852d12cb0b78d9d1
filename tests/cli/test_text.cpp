// SPDX-License-Identifier: Apache-2.0
// Numbers as people write them, misspelt names, and quantities for people.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "host/cli/text.h"
#include "host/text.h"

namespace fryer::cli {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

TEST(Integer, IsReadExactlyInEveryNotation) {
  const std::vector<std::pair<const char*, std::uint64_t>> good = {
      {"0", 0},
      {"7", 7},
      {"+7", 7},
      {"007", 7},
      {"1000000", 1000000},
      {"1e6", 1000000},
      {"1E6", 1000000},
      {"1e+6", 1000000},
      {"1_000_000", 1000000},
      {"1.5e6", 1500000},
      {"2.50e1", 25},
      {"10e-1", 1},
      {"1.0", 1},
      {"1.", 1},
      {".5e1", 5},
      {"0e99", 0},
      {"0.0", 0},
      {"18446744073709551615", kMost},
      {"1.8446744073709551615e19", kMost},
      {"18_446_744_073_709_551_615", kMost},
      {"9007199254740993", 9007199254740993u},
      {"1_0e1_0", 100000000000u},
  };
  for (const auto& [text, value] : good) EXPECT_EQ(parse_integer(text), value) << text;
}

TEST(Integer, IsRefusedUnlessWholeAndInRange) {
  const std::string zeros(500, '0');
  const std::vector<std::string> bad = {"",
                                        "-1",
                                        "-0",
                                        "+-1",
                                        "1.5",
                                        "1e-1",
                                        "1e30",
                                        "18446744073709551616",
                                        "1e20",
                                        "nan",
                                        "inf",
                                        "0x10",
                                        "1e",
                                        "e6",
                                        "1e6.0",
                                        ".",
                                        "1__0",
                                        "_1",
                                        "1_",
                                        "1_.5e1",
                                        "1 ",
                                        " 1",
                                        "1,000",
                                        "1e99999999999",
                                        "1e-99999999999",
                                        "1e+-6",
                                        "one",
                                        zeros + "1",
                                        "1e6\n"};
  for (const std::string& text : bad) EXPECT_EQ(parse_integer(text), std::nullopt) << text;
}

TEST(Number, IsTheNearestDouble) {
  EXPECT_EQ(parse_number("0.1"), 0.1);
  EXPECT_EQ(parse_number("-10.336363792419434"), -10.336363792419434);
  EXPECT_EQ(parse_number("+1e-3"), 1e-3);
  EXPECT_EQ(parse_number("1_000.5"), 1000.5);
  EXPECT_EQ(parse_number(".5"), 0.5);
  EXPECT_EQ(parse_number("5e-324"), 5e-324);
  EXPECT_TRUE(std::signbit(*parse_number("-0")));
}

TEST(Number, IsRefusedUnlessFinite) {
  for (const char* text :
       {"", "inf", "-inf", "infinity", "nan", "NAN", "1e400", "1e-400", "0x1p3", "1,5", "1 ", "--1", "+-1", "1e", "one"}) {
    EXPECT_EQ(parse_number(text), std::nullopt) << text;
  }
}

TEST(Name, NearestIsFoundForOneOrTwoSlips) {
  const std::vector<std::string> names = {"--learning-rate", "--learn-weight", "--large-order-norm", "--seed"};
  EXPECT_EQ(nearest("--leraning-rate", names), "--learning-rate");
  EXPECT_EQ(nearest("--learnweight", names), "--learn-weight");
  EXPECT_EQ(nearest("--SEDE", names), "--seed");
  EXPECT_EQ(nearest("--gamma", names), std::nullopt);
  EXPECT_EQ(nearest("", names), std::nullopt);
  EXPECT_EQ(nearest("--", names), std::nullopt);
  EXPECT_EQ(nearest("--le", names), std::nullopt);
  EXPECT_EQ(nearest("--lar", names), "--large-order-norm");
  EXPECT_EQ(nearest("works", {"solve", "workshop"}), "workshop");
  EXPECT_EQ(edit_distance("ab", "ba"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
}

TEST(Value, IsShownWithoutControlCharacters) {
  EXPECT_EQ(shown(""), "''");
  EXPECT_EQ(shown("a\nb\x1b\xff"), "a\\x0ab\\x1b\\xff");
  EXPECT_LT(shown(std::string(100000, 'x')).size(), 150u);
  EXPECT_EQ(shown_path(std::string(1000, 'x')), std::string(1000, 'x'));
}

TEST(Quantity, ThatIsAShareNeverRoundsToAllOrNone) {
  EXPECT_EQ(percent(0.987), "98.7");
  EXPECT_EQ(percent(1), "100");
  EXPECT_EQ(percent(0), "0");
  EXPECT_EQ(percent(0.999999), "99.9999");
  EXPECT_EQ(percent(0.99994), "99.99");
  EXPECT_EQ(percent(1 - 1e-12), "99.99999999");
  EXPECT_EQ(percent(0.0004), "0.04");
  EXPECT_EQ(percent(1e-6), "0.0001");
  EXPECT_EQ(percent(1 - 0x1p-53).substr(0, 3), "99.");
  EXPECT_EQ(percent(1e-30), "1.0e-28");
  EXPECT_EQ(percent_cell(1), "100 %");
  EXPECT_EQ(percent_cell(0), "0 %");
  EXPECT_EQ(percent_cell(0.5), "50.0 %");
  EXPECT_EQ(percent_cell(0.9996), "99.96 %");
  EXPECT_EQ(percent_cell(0.999999), "99.9999 %");
  EXPECT_EQ(percent_cell(1 - 1e-9), "> 99.9999 %");
  EXPECT_EQ(percent_cell(0.0004), "0.04 %");
  EXPECT_EQ(percent_cell(1e-9), "< 0.0001 %");
}

TEST(Quantity, IsShortAndRounded) {
  EXPECT_EQ(with_separators(0), "0");
  EXPECT_EQ(with_separators(999), "999");
  EXPECT_EQ(with_separators(1000), "1,000");
  EXPECT_EQ(with_separators(1234567), "1,234,567");
  EXPECT_EQ(short_number(475), "475");
  EXPECT_EQ(short_number(-0.0), "0");
  EXPECT_EQ(short_number(0.516834), "0.5168");
  EXPECT_EQ(short_number(0.012345), "0.01235");
  EXPECT_EQ(short_number(999.96), "1,000");
  EXPECT_EQ(short_number(-12345.6), "-12,346");
  EXPECT_EQ(short_number(-123456.7), "-123,457");
  EXPECT_EQ(short_number(3.2e-7), "3.2e-7");
  EXPECT_EQ(short_number(1e20), "1e20");
  EXPECT_EQ(short_number(std::numeric_limits<double>::quiet_NaN()), "not a number");
  EXPECT_EQ(short_number(-std::numeric_limits<double>::infinity()), "unbounded");
  EXPECT_EQ(fixed_number(1234.56, 1), "1,234.6");
  EXPECT_EQ(fixed_number(-0.001, 2), "0.00");
  EXPECT_EQ(fixed_number(-0.001, 1), "0.0");
  EXPECT_EQ(fixed_number(-123456.789, 2), "-123,456.79");
  EXPECT_EQ(human_seconds(0.00085), "0.85 ms");
  EXPECT_EQ(human_seconds(0.9997), "1 s");
  EXPECT_EQ(human_seconds(59.99), "1 min 0 s");
  EXPECT_EQ(human_seconds(7500), "2 h 5 min");
  EXPECT_EQ(human_bytes(17073920), "17.1 MB");
  EXPECT_EQ(human_bytes(999.9e6), "1 GB");
  EXPECT_EQ(human_count(999.7e6), "1 billion");
  EXPECT_EQ(human_rate(123456, "episodes"), "123,456 episodes/s");
  EXPECT_EQ(human_rate(0.97, "trainings"), "1 trainings/s");
  EXPECT_EQ(human_rate(1.0 / 117, "trainings"), "1 min 57 s a training");
  EXPECT_EQ(human_rate(0, "steps"), "0 steps/s");
  EXPECT_EQ(counted(0, "replicas"), "0 replicas");
  EXPECT_EQ(counted(1, "replicas"), "1 replica");
  EXPECT_EQ(counted(12345, "replicas"), "12,345 replicas");
  EXPECT_EQ(last_of(1, "episodes"), "last episode");
  EXPECT_EQ(last_of(10, "episodes"), "last 10 episodes");
  EXPECT_EQ(hex16(0xabc), "0000000000000abc");
  EXPECT_EQ(wrapped("aa bb cc", 2, 7), "aa bb\n  cc");
}

}  // namespace
}  // namespace fryer::cli
