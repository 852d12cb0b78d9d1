// SPDX-License-Identifier: Apache-2.0
// `fryer bench`: how fast this machine is at what users ask of it, how near its limit, and whether it has become slower.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "fryer/core/version.h"
#include "host/cli/command.h"
#include "host/cli/output/bench_report.h"
#include "host/cli/output/json.h"
#include "host/cli/run_support.h"
#include "host/cpu_features.h"
#include "host/throughput/philox_words.h"

namespace fryer::cli {
namespace {

using throughput::Suite;
using Device = BackendChoice::Device;

const Description kDescription = {
    "bench",
    "",
    "what this machine does, in episodes, steps and trainings per second, and how near its limit",
    "Measures on every executor of this machine, with 1, 2, 4, ... threads and all of them, the best of several repetitions. A "
    "row's "
    "spread is by how much the median one was slower; cpu is what the best one had of the processors that its threads could "
    "have: "
    "much less than 100 % where other work had the rest, and then rates say little. Its limit is what the operations of the "
    "work, "
    "counted, would take at the peaks of the same run: fma, multiply (32 x 32 bits, as random numbers are made of), divide (and "
    "square root) or issue (instructions on registers), whichever binds; on a GPU by its clock and what its loops have of "
    "instructions on compute capability 9.0. A row has no rate, "
    "and the exit code is 1, if its result does not have the scalar reference's bits for a piece of the work, or for the work "
    "that "
    "was "
    "timed another executor's, with as many threads, also where FRYER_ISA chooses one (a GPU's rows and those that the scalar "
    "reference checks: for as much of it as the checker does in that time).",
    {{"everything, in less than a minute", "bench"},
     {"one row, for programs", "bench --filter cart-pole-train --json"},
     {"whether a new version is slower than what an earlier run wrote", "bench --compare before.json"}}};

class BenchCommand : public Command {
 public:
  BenchCommand();
  void resolve() override;
  int run(const Console& console) override;

 private:
  struct Wanted {
    throughput::Request request;
    std::string why_no_gpu;
  };
  Wanted wanted() const;
  std::vector<BenchKey> planned(const throughput::Request& request) const;
  int run_dry(const Console& console, const throughput::Request& request) const;
  Json head() const;
  std::string text(const Console& console, const throughput::Report& report, const BenchComparison* comparison,
                   double seconds) const;

  Suite suite_ = Suite::quick;
  std::string filter_, compare_;
  double tolerance_ = 0.1;
};

BenchCommand::BenchCommand() : Command(kDescription) {
  table_.choice<Suite>("suite", suite_, {{"quick", Suite::quick}, {"full", Suite::full}},
                       "less than a minute, or less than five with more rows and repetitions");
  Option& filter = table_.text("filter", "NAME", filter_, "part of a row's name",
                               "rows whose name contains NAME alone; --dry-run lists the suite's");
  filter.default_text = "every row";
  filter.setting = true;
  table_.text("compare", "FILE", compare_, "a file that bench --json wrote",
              "tell each rate as a ratio to that of an earlier run, and exit with 1 if one is slower");
  Option& tolerance = table_.number("tolerance", "SHARE", tolerance_, "a number above 0 and below 1", "",
                                    "by how much a row may be slower than the earlier one before it counts as slower");
  tolerance.setting = false;
  add_backend_options();
  Option& device = *table_.find("device");
  device.placeholder = "auto|cpu|cuda[:I]";
  device.accepted = "auto, cpu, cuda, or cuda:I with I from 0";
  device.help = "cpu: its executors alone; cuda: the GPU alone; auto: both, where there is a GPU. FRYER_ISA chooses one executor";
  table_.find("verbose")->help = "print the measured peaks too, and what each row needs of them";
  table_.find("dry-run")->help = "check everything, list the rows, say how long it takes, and stop";
  table_.find("config")->help =
      "take settings from FILE: TOML with the options' names, _ for -, or the JSON of an earlier run, of which suite and filter "
      "are taken; options on the "
      "command line win";
  table_.find("threads")->default_text = "1, 2, 4, ... and all";
  table_.find("threads")->help = "with so many CPU workers alone, instead of 1, 2, 4, ... and all that this process may use";
}

void BenchCommand::resolve() {
  const Option& tolerance = *table_.find("tolerance");
  if (!(tolerance_ > 0 && tolerance_ < 1))
    throw ConfigurationError(fmt::format("{}: {} is not accepted; {}", tolerance.label, tolerance_, tolerance.accepted));
  if (tolerance.source != Source::standard && compare_.empty())
    throw ConfigurationError(fmt::format("{}: has no meaning without --compare", tolerance.label));
  if (throughput::find_rows(suite_, filter_).empty()) {
    std::vector<std::string> names;
    for (const throughput::Row* row : throughput::find_rows(suite_, "")) names.emplace_back(row->name);
    if (!throughput::find_rows(Suite::full, filter_).empty())
      throw ConfigurationError(fmt::format("{}: {} is in names of --suite full alone; the quick suite has {}",
                                           table_.find("filter")->label, shown(filter_), either(names)));
    throw ConfigurationError(fmt::format("{}: {} is in no row's name; the {} suite has {}{}", table_.find("filter")->label,
                                         shown(filter_), table_.find("suite")->value().get<std::string>(), either(names),
                                         suggestion(filter_, names)));
  }
}

// What to measure, and why no GPU if none. Throws DeviceError for what was asked for and this machine lacks.
BenchCommand::Wanted BenchCommand::wanted() const {
  Wanted wanted{{suite_, filter_, {}, {}, std::nullopt}, ""};
  throughput::Request& r = wanted.request;
  const BackendChoice& choice = common_.backend;
  if (choice.cuda_devices.size() != 1 || choice.cpu_devices != 1) {
    const Option& device = *table_.find("device");
    throw ConfigurationError(
        fmt::format("{}: {} are several devices; accepted here: auto, cpu, cuda or cuda:I, one device at a time", device.label,
                    device.value().get<std::string>()));
  }
  if (choice.device == Device::cuda) {
    const Option& threads = *table_.find("threads");
    if (threads.source != Source::standard)
      throw ConfigurationError(
          fmt::format("{}: has no meaning with --device cuda, whose rows have no CPU workers", threads.label));
    const std::vector<const throughput::Row*> rows = throughput::find_rows(suite_, filter_);
    if (std::none_of(rows.begin(), rows.end(), [](const throughput::Row* row) { return row->gpu_instructions != 0; }))
      throw ConfigurationError(fmt::format("{}: {} has no rows of a GPU", table_.find("filter")->label, shown(filter_)));
    make_cuda_backend(choice.cuda_devices[0], "");
    r.gpu = choice.cuda_devices[0];
    return wanted;
  }
  const throughput::Machine machine = throughput::this_machine();
  const char* const forced = std::getenv("FRYER_ISA");
  if (forced != nullptr && *forced != '\0') {
    r.instruction_sets = {find_cpu_executor(forced).name};
    wanted.why_no_gpu = "FRYER_ISA names a CPU instruction set";
  } else {
    r.instruction_sets = machine.instruction_sets;
    if (choice.device == Device::automatic) wanted.why_no_gpu = cuda_unavailable_reason();
    if (choice.device == Device::automatic && wanted.why_no_gpu.empty()) {
      try {
        make_cuda_backend(0, "");
        r.gpu = 0;
      } catch (const DeviceError& error) {  // one that this program has no code for
        wanted.why_no_gpu = error.what();
      }
    }
  }
  if (choice.threads != 0) {
    r.threads = {choice.threads};
  } else {
    for (unsigned n = 1; n < machine.cores; n *= 2) r.threads.push_back(n);
    r.threads.push_back(machine.cores);
  }
  return wanted;
}

std::vector<BenchKey> BenchCommand::planned(const throughput::Request& request) const {
  std::vector<BenchKey> keys;
  for (const throughput::Row* row : throughput::find_rows(suite_, filter_)) {
    for (const std::string& isa : request.instruction_sets) {
      for (const unsigned threads : request.threads) keys.push_back({row->name, isa, threads});
    }
    if (request.gpu && row->gpu_instructions != 0) keys.push_back({row->name, "cuda", 1});
  }
  return keys;
}

Json BenchCommand::head() const {
  return {{"command", description_.name}, {"configuration", table_.configuration()},
          {"seed", throughput::kSeed},    {"suite", table_.find("suite")->value()},
          {"version", kVersion},          {"numerics_version", kNumericsVersion},
          {"compiler", compiler()},       {"machine", machine_json(throughput::this_machine())}};
}

int BenchCommand::run_dry(const Console& console, const throughput::Request& request) const {
  const Stopwatch watch;
  const std::vector<BenchKey> keys = planned(request);
  const double seconds = throughput::guessed_seconds(request);
  if (common_.json) {
    Json document = head();
    document["dry_run"] = true;
    document["wall_seconds"] = watch.seconds();
    document["plan"] = {{"measurements", keys.size()}, {"seconds", finite(seconds)}, {"rows", keys_json(keys)}};
    console.print(to_text(document));
    return 0;
  }
  Table table;
  table.headings = {"<row", "<what", "<unit"};
  for (const throughput::Row* row : throughput::find_rows(suite_, filter_))
    table.rows.push_back({row->name, row->what, row->unit});
  console.print(render(console.out, table) + fmt::format("\nwould measure {} of them, by executors and threads, in about {}\n",
                                                         keys.size(), human_seconds(seconds)));
  return 0;
}

std::string BenchCommand::text(const Console& console, const throughput::Report& report, const BenchComparison* comparison,
                               double seconds) const {
  const throughput::Machine machine = throughput::this_machine();
  std::string text = bench_table(console.out, report, comparison);
  text += fmt::format("\n{}, {} processor{}; {}\n", machine.cpu, machine.cores, machine.cores == 1 ? "" : "s", compiler());
  if (common_.verbose) text += peaks_text(report) + '\n' + needs_text(console.out, report) + '\n';
  const bool checked = std::any_of(report.rows.begin(), report.rows.end(), [](const auto& m) { return !m.checker.empty(); });
  text += fmt::format("{} in {}, every result's digest compared with the scalar reference's{} (numerics version {})\n",
                      counted(report.rows.size(), "measurements"), human_seconds(seconds),
                      checked ? " and another executor's" : "", kNumericsVersion);
  return text;
}

int BenchCommand::run(const Console& console) {
  std::optional<EarlierBench> earlier;
  if (!compare_.empty()) earlier = parse_earlier_bench(compare_, read_file("--compare", compare_));
  const auto [request, why_no_gpu] = wanted();
  const std::vector<BenchKey> keys = planned(request);
  if (earlier && std::none_of(keys.begin(), keys.end(), [&](const BenchKey& key) { return earlier->rates.contains(key); })) {
    throw ConfigurationError(
        fmt::format("--compare: {} has a rate of none of the rows that would be measured here", shown(compare_)));
  }
  if (common_.dry_run) return run_dry(console, request);
  if (common_.backend.device == Device::automatic && !request.gpu && !common_.quiet)
    console.note(fmt::format("fryer: no rows of a GPU: {}", why_no_gpu));

  const Stopwatch watch;
  const throughput::Report report =
      run_watched(*this, console, "measurements", 1, [&, &request = request](const RunControl& control, ProgressMeter& meter) {
        return throughput::measure(request, control.stop,
                                   [&](std::size_t finished, std::size_t planned, const std::string& what) {
                                     meter.show(static_cast<double>(finished), static_cast<double>(planned), 0, "  " + what);
                                   });
      });
  const double seconds = watch.seconds();
  std::optional<BenchComparison> comparison;
  if (earlier) comparison = compare_bench(report, *earlier, tolerance_, keys);

  if (common_.json) {
    Json document = head();
    document["digest"] = hex16(throughput::digest_of(report));
    document["wall_seconds"] = seconds;
    document["peaks"] = peaks_json(report);
    document["rows"] = rows_json(report);
    if (comparison) {
      document["comparison"] = comparison_json(*comparison, tolerance_);
      document["comparison"]["file"] = compare_;
    }
    console.print(to_text(document));
  } else {
    console.print(text(console, report, comparison ? &*comparison : nullptr, seconds));
  }

  int code = 0;
  const auto tell = [&](const std::string& line) {
    if (!common_.quiet) console.note("fryer: " + line);
  };
  for (const throughput::Measurement& m : report.rows) {
    if (m.ok()) continue;
    code = 1;
    console.note(fmt::format("fryer: error: {}: {}", text_of(key_of(m)), why_wrong(m)));
  }
  if (!report.gpu_failure.empty()) {
    code = 1;
    console.note("fryer: error: the GPU's rows: " + report.gpu_failure);
  }
  if (comparison) {
    if (earlier->numerics_version != kNumericsVersion)
      tell(fmt::format("{} is of numerics version {}", shown(compare_), earlier->numerics_version));
    if (earlier->suite != table_.find("suite")->value().get<std::string>())
      tell(fmt::format("{} is of the {} suite, whose repetitions are of another length", shown(compare_), shown(earlier->suite)));
    if (earlier->cpu != throughput::this_machine().cpu)
      tell(fmt::format("{} is of another machine: {}", shown(compare_), shown(earlier->cpu)));
    for (const BenchKey& key : comparison->only_here) tell(fmt::format("{} has no rate in {}", text_of(key), shown(compare_)));
    for (const BenchKey& key : comparison->only_there)
      tell(fmt::format("{} is in {} and has no rate here", text_of(key), shown(compare_)));
    if (const std::size_t slower = comparison->slower(); slower != 0) {
      code = 1;
      const std::size_t disturbed = comparison->slower_and_disturbed();
      const std::string why = disturbed != 0
                                  ? fmt::format("; {} of these had less than {:g} % of their processors: other work ran",
                                                disturbed, BenchComparison::kUndisturbed * 100)
                                  : "";
      console.note(fmt::format("fryer: error: {} of {} {} slower than in {} by more than {:g} %{}", slower,
                               counted(comparison->rows.size(), "rows"), slower == 1 ? "is" : "are", shown(compare_),
                               tolerance_ * 100, why));
    }
  }
  return code;
}

}  // namespace

std::unique_ptr<Command> make_bench_command(const Subject&) { return std::make_unique<BenchCommand>(); }

}  // namespace fryer::cli
