// SPDX-License-Identifier: Apache-2.0
// Files that the program writes and reads: rows and policies, whole or not at all; stopping by signal; colours on a terminal; and
// random words with --dry-run, as processes.
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <random>
#include <sstream>

#include "tests/cli/program.h"

namespace fryer::cli {
namespace {

std::vector<std::vector<std::string>> read_csv(const std::string& path) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(read_bytes(path));
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string>& row = rows.emplace_back();
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, ',');) row.push_back(cell);
    if (line.ends_with(',')) row.emplace_back();
  }
  return rows;
}

TEST(Replicas, EachRowIsTheTrainingOfItsSeed) {
  const Folder folder;
  const std::string file = folder / "rows.csv";
  const Words settings = {"--learn-weight", "--updates", "60", "--batch", "2", "--until", "0.7", "--quiet", "--json"};
  Words words = {"train", "FryShack-v0", "--replicas", "200", "--seed", "1000", "--save-replicas", file};
  words.insert(words.end(), settings.begin(), settings.end());
  ASSERT_EQ(run_program(words).code, 0);
  const auto rows = read_csv(file);
  ASSERT_EQ(rows.size(), 201u);
  EXPECT_EQ(rows[0], (std::vector<std::string>{"seed", "status", "updates", "episodes", "steps", "weight", "bias"}));
  for (const std::size_t k : {0u, 1u, 17u, 63u, 64u, 128u, 199u}) {
    const auto& row = rows[k + 1];
    words = {"train", "FryShack-v0", "--seed", std::to_string(1000 + k)};
    words.insert(words.end(), settings.begin(), settings.end());
    const auto alone = run_program(words).document();
    EXPECT_EQ(row[0], std::to_string(1000 + k));
    EXPECT_EQ(row[1], alone["solved"]["count"] == 1 ? "solved" : "finished");
    EXPECT_EQ(row[2], alone["optimizer_updates"].dump());
    EXPECT_EQ(row[3], alone["episodes"].dump());
    EXPECT_EQ(std::stod(row[5]), alone["final_parameters"]["weight"].get<double>());
    EXPECT_EQ(std::stod(row[6]), alone["final_parameters"]["bias"].get<double>());
  }
}

TEST(Replicas, NpyHoldsTheSameRowsAsCsv) {
  const Folder folder;
  const std::string csv = folder / "rows.csv", npy = folder / "rows.npy";
  for (const std::string& file : {csv, npy}) {
    const Outcome outcome =
        run_program({"train", "FryShack-v0", "--replicas", "50", "--updates", "20", "--save-replicas", file, "--quiet"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  const std::string bytes = read_bytes(npy);
  ASSERT_GT(bytes.size(), 10u);
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\0", 8));
  const std::size_t header = 10 + static_cast<unsigned char>(bytes[8]) + 256u * static_cast<unsigned char>(bytes[9]);
  EXPECT_EQ(header % 64, 0u);
  EXPECT_NE(bytes.find("'shape': (50,)"), std::string::npos);
  constexpr std::size_t kRow = 48;
  ASSERT_EQ(bytes.size(), header + 50 * kRow);
  const auto rows = read_csv(csv);
  for (std::size_t i = 0; i < 50; ++i) {
    const char* row = bytes.data() + header + i * kRow;
    std::uint64_t numbers[4];
    float parameters[2];
    std::memcpy(&numbers[0], row, 8);
    std::memcpy(&numbers[1], row + 16, 24);
    std::memcpy(parameters, row + 40, 8);
    EXPECT_EQ(std::to_string(numbers[0]), rows[i + 1][0]);
    EXPECT_STREQ(std::string(row + 8, 8).c_str(), rows[i + 1][1].c_str());
    EXPECT_EQ(std::to_string(numbers[1]), rows[i + 1][2]);
    EXPECT_EQ(static_cast<double>(parameters[1]), std::stod(rows[i + 1][6]));
  }
}

TEST(Replicas, NumpyReadsTheRows) {
  if (std::system("python3 -c 'import numpy' >/dev/null 2>&1") != 0) GTEST_SKIP() << "python3 with numpy is not installed";
  const Folder folder;
  const std::string npy = folder / "rows.npy";
  ASSERT_EQ(run_program({"train", "FryShack-v0", "--replicas", "10", "--save-replicas", npy, "--quiet"}).code, 0);
  const std::string check =
      "import numpy, sys; a = numpy.load(sys.argv[1]); assert a.dtype.names == ('seed', 'status', 'updates', 'episodes', "
      "'steps', 'weight', 'bias'); "
      "assert list(a['seed']) == list(range(42, 52)); assert set(a['status']) == {b'finished'}; assert (a['weight'] == "
      "20).all(); assert a['bias'].dtype == numpy.float32";
  EXPECT_EQ(std::system(("python3 -c \"" + check + "\" '" + npy + "'").c_str()), 0);
}

TEST(Replicas, OfFailedTrainingsHaveNoParameters) {
  const Folder folder;
  const std::string file = folder / "rows.csv";
  EXPECT_EQ(run_program({"train", "FryShack-v0", "--replicas", "3", "--learning-rate", "1e38", "--save-replicas", file}).code, 1);
  const auto rows = read_csv(file);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[1][1], "failed");
  EXPECT_EQ(rows[1][6], "");
}

TEST(Policy, IsReadBackByEvaluateAndGradient) {
  const Folder folder;
  const std::string file = folder / "policy.json";
  const auto trained =
      run_program({"train", "FryShack-v0", "--learn-weight", "--save-policy", file, "--json", "--quiet"}).document();
  const auto policy = nlohmann::json::parse(read_bytes(file));
  for (const char* key : {"format", "version", "environment", "parameters", "checksum"}) EXPECT_TRUE(policy.contains(key)) << key;
  EXPECT_EQ(policy["parameters"], trained["final_parameters"]);
  const std::string parameters = policy["parameters"]["weight"].dump() + "," + policy["parameters"]["bias"].dump();
  for (const char* command : {"evaluate", "gradient"}) {
    const auto from_file =
        run_program({command, "FryShack-v0", "--policy", file, "--episodes", "1e4", "--json", "--quiet"}).document();
    const auto by_hand =
        run_program({command, "FryShack-v0", "--parameters", parameters, "--episodes", "1e4", "--json", "--quiet"}).document();
    EXPECT_EQ(from_file["digest"], by_hand["digest"]);
    EXPECT_EQ(from_file["configuration"], by_hand["configuration"]);
  }
}

TEST(Policy, IsRefusedIfDamagedEditedOrNewer) {
  const Folder folder;
  const std::string file = folder / "policy.json", other = folder / "other.json";
  ASSERT_EQ(run_program({"train", "FryShack-v0", "--save-policy", file, "--quiet"}).code, 0);
  const std::string text = read_bytes(file);
  const auto code_of = [&](const std::string& changed) {
    write_bytes(other, changed);
    const Outcome outcome = run_program({"evaluate", "FryShack-v0", "--policy", other, "--episodes", "10", "--quiet"});
    EXPECT_TRUE(outcome.code == 0 || outcome.out.empty());
    return outcome.code;
  };
  EXPECT_EQ(code_of(text), 0);
  EXPECT_EQ(code_of(nlohmann::json::parse(text).dump()), 0) << "another layout is the same policy";
  EXPECT_EQ(code_of(text.substr(0, text.size() / 2)), 5);
  EXPECT_EQ(code_of(""), 5);
  EXPECT_EQ(code_of("{}"), 5);
  auto edited = nlohmann::json::parse(text);
  edited["parameters"]["bias"] = 1.0;
  EXPECT_EQ(code_of(edited.dump()), 5);
  edited = nlohmann::json::parse(text);
  edited["version"] = 2;
  EXPECT_EQ(code_of(edited.dump()), 5);
  std::string nested = "{\"format\":\"fryer policy\",\"x\":";
  for (int i = 0; i < 100000; ++i) nested += '[';
  EXPECT_EQ(code_of(nested), 5);
  std::mt19937_64 random(3);
  for (int i = 0; i < 10; ++i) {  // any damaged digit or letter is noticed
    std::string flipped = text;
    std::size_t at = random() % flipped.size();
    while (std::isalnum(static_cast<unsigned char>(flipped[at])) == 0) at = random() % flipped.size();
    flipped[at] = flipped[at] == '7' ? '8' : '7';
    EXPECT_EQ(code_of(flipped), 5) << at;
  }
}

TEST(Output, AppearsWholeOrNotAtAll) {
  const Folder folder;
  const std::string file = folder / "rows.csv";
  write_bytes(file, "precious");
  // --dry-run, a refusal and a stopped run leave what was there, and nothing beside it.
  EXPECT_EQ(run_program({"train", "FryShack-v0", "--save-replicas", file, "--dry-run", "--quiet"}).code, 0);
  EXPECT_EQ(run_program({"train", "FryShack-v0", "--save-replicas", file, "--save-policy", "/nowhere/policy"}).code, 4);
  EXPECT_EQ(read_bytes(file), "precious");
  EXPECT_EQ(folder.files(), 1u);
  EXPECT_EQ(run_program({"train", "FryShack-v0", "--save-replicas", file, "--quiet"}).code, 0);
  EXPECT_TRUE(read_bytes(file).starts_with("seed,"));
  EXPECT_EQ(folder.files(), 1u);
  // A link stays a link; what it points to is replaced. A device is written, not replaced.
  const std::string link = folder / "link.csv";
  std::filesystem::create_symlink(file, link);
  write_bytes(file, "precious");
  EXPECT_EQ(run_program({"train", "FryShack-v0", "--save-replicas", link, "--quiet"}).code, 0);
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_TRUE(read_bytes(file).starts_with("seed,"));
  EXPECT_EQ(run_program({"train", "FryShack-v0", "--save-policy", "/dev/null", "--quiet"}).code, 0);
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_EQ(run_program({"train", "FryShack-v0", "--save-policy", "/dev/full", "--quiet", "--json"}).code, 4);
}

TEST(Signal, StopsARunWhichSaysHowToGoOn) {
  for (const auto& [signal, code] : {std::pair{SIGINT, 130}, std::pair{SIGTERM, 143}}) {
    const Folder folder;
    const Outcome outcome = run_program(
        {"train", "FryShack-v0", "--replicas", "1e6", "--updates", "1e6", "--json", "--save-replicas", folder / "rows.csv"},
        {{}, "", signal});
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_FALSE(outcome.hung);
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err.find("To run it again: fryer train FryShack-v0 --replicas 1e6"), std::string::npos) << outcome.err;
    EXPECT_EQ(folder.files(), 0u);
  }
}

// nohup, and the background jobs of a shell.
TEST(Signal, ThatWasIgnoredAtTheStartIsIgnored) {
  for (const int signal : {SIGHUP, SIGINT}) {
    RunOptions options;
    options.ignored_signal = signal;
    options.signal = SIGTERM;  // a second later
    const Outcome outcome = run_program({"train", "FryShack-v0", "--replicas", "1e6", "--updates", "1e6"}, options);
    EXPECT_EQ(outcome.code, 143) << outcome.err;
  }
}

// kill -9 leaves the hidden file that was to become the output; the same output's next run removes it.
TEST(Output, OfAKilledRunIsTidiedByTheNext) {
  const Folder folder;
  const std::string file = folder / "rows.csv";
  write_bytes(file, "precious");
  const Outcome killed = run_program(
      {"train", "FryShack-v0", "--replicas", "1e6", "--updates", "1e6", "--json", "--save-replicas", file}, {{}, "", SIGKILL});
  EXPECT_EQ(killed.code, 1000 + SIGKILL);
  EXPECT_EQ(read_bytes(file), "precious");
  EXPECT_EQ(folder.files(), 2u);
  EXPECT_EQ(run_program({"train", "FryShack-v0", "--save-replicas", file, "--quiet"}).code, 0);
  EXPECT_TRUE(read_bytes(file).starts_with("seed,"));
  EXPECT_EQ(folder.files(), 1u);
}

// What `words` print on a terminal.
std::string on_terminal(const Words& words, const std::string& variable) {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) return "";
  const int held = open(ptsname(terminal), O_RDWR | O_NOCTTY);  // keeps what was written until it is read
  run_program(words, {{variable, "TERM=xterm"}, ptsname(terminal), 0});
  std::string text(1 << 16, '\0');
  const ssize_t got = read(terminal, text.data(), text.size());
  close(held);
  close(terminal);
  return text.substr(0, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
}

TEST(Color, IsForTerminalsUnlessNoColor) {
  const std::string colored = on_terminal({"list"}, "UNUSED=1"), plain = on_terminal({"list"}, "NO_COLOR=1");
  if (colored.empty()) GTEST_SKIP() << "no pseudo-terminal here";
  EXPECT_NE(colored.find("\x1b["), std::string::npos);
  EXPECT_NE(plain.find("FryShack-v0"), std::string::npos);
  EXPECT_EQ(plain.find("\x1b["), std::string::npos);
  EXPECT_EQ(run_program({"list"}).out.find("\x1b["), std::string::npos);
}

TEST(BrokenInput, TwoHundredRandomVectorsWithDryRunEndProperly) {
  const std::vector<Words> valid = {
      {"train", "FryShack-v0", "--replicas", "1e3", "--updates", "28", "--json"},
      {"train", "FryShack-v0", "--optimizer", "sgd", "--batch", "4", "--learn-weight", "--threads", "2"},
      {"gradient", "FryShack-v0", "--episodes", "1e9", "--weight", "-3", "--json"},
      {"evaluate", "FryShack-v0", "--parameters", "20,-10", "--greedy", "--hungry-above", "0.25"},
      {"notebook", "--updates", "40", "--population", "1e4"},
  };
  const std::vector<std::string> strange = {"",
                                            "-1",
                                            "1e30",
                                            "nan",
                                            "inf",
                                            "0",
                                            "1e-3",
                                            "--",
                                            "--json",
                                            "--learn-weight",
                                            "--seed",
                                            "18446744073709551615",
                                            "--reward-wrong",
                                            "5",
                                            "\xff",
                                            "--batch",
                                            "--adam-beta1",
                                            "--until"};
  std::mt19937_64 random(4);
  int accepted = 0;
  for (int i = 0; i < 200; ++i) {
    Words words = valid[random() % valid.size()];
    for (std::uint64_t changes = random() % 3; changes != 0; --changes) {
      const auto place = words.begin() + static_cast<std::ptrdiff_t>(random() % words.size());
      switch (random() % 3) {
        case 0:
          *place = strange[random() % strange.size()];
          break;
        case 1:
          words.insert(place, strange[random() % strange.size()]);
          break;
        default:
          if (words.size() > 1) words.erase(place);
      }
    }
    words.push_back("--dry-run");
    const Outcome outcome = run_program(words);
    EXPECT_FALSE(outcome.hung) << line_of(words);
    EXPECT_TRUE(outcome.code == 0 || outcome.code == 2 || outcome.code == 3 || outcome.code == 4)
        << outcome.code << ' ' << line_of(words) << '\n'
        << outcome.err;
    if (outcome.code != 0) {
      EXPECT_EQ(outcome.out, "") << line_of(words);
      EXPECT_NE(outcome.err.find("fryer: error: "), std::string::npos) << line_of(words);
    } else if (std::find(words.begin(), words.end(), "--json") != words.end()) {
      EXPECT_EQ(outcome.document()["dry_run"], true) << line_of(words);
    }
    accepted += outcome.code == 0;
  }
  EXPECT_GT(accepted, 20);
}

}  // namespace
}  // namespace fryer::cli
