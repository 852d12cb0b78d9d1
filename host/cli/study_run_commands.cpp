// SPDX-License-Identifier: Apache-2.0
// `fryer study check`, `run` and `resume`: what a study file asks for, and doing it. Everything is checked before work starts; what is finished is
// in the file, whatever ends the run.
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "fryer/core/version.h"
#include "host/cli/files.h"
#include "host/cli/output/json.h"
#include "host/cli/retries.h"
#include "host/cli/run_support.h"
#include "host/cli/study_command.h"
#include "host/cli/study_file.h"
#include "host/study/draws.h"
#include "host/study/scheduler.h"
#include "host/study/unfinished.h"

namespace fryer::cli {
namespace {

constexpr const char* kStudyFile =
    "A study file is TOML: command (train, evaluate or gradient; train unless given), environment, algorithm, and any option of "
    "that command by its name with _ for -, preset included. [grid]: keys that vary, each a list or {from, to, steps, scale = "
    "\"linear\" or \"log\"}; every combination is a cell. [[points]]: tables that set several keys together. [seeds]: first (1) "
    "and count. [record]: parameters (true; of dqn and q-learning false, since their networks have thousands), curve_every (in "
    "updates, or in episodes of dqn and q-learning, of which each point is the mean; 0 for none), evaluation_episodes (0), "
    "thresholds (mean returns). [distribution]: what each replica draws from its own seed: parameters, a parameter's name, or a "
    "setting with a real value (learning_rate, gravity, baseline_value of baseline = \"constant=0\") = \"uniform(LOW, HIGH)\" or "
    "\"log_uniform(LOW, HIGH)\"; what was drawn is a column of the results. title and question stand in the report.";

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string now_utc() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

study::Provenance provenance_of(const Command& command, const BackendInfo& info) {
  study::Provenance p;
  p.program_version = kVersion;
  p.numerics_version = kNumericsVersion;
  p.compiler = compiler();
  utsname system{};
  if (::uname(&system) == 0) {
    p.host = system.nodename;
    p.operating_system = fmt::format("{} {}", system.sysname, system.release);
  }
  p.processor = processor();
  p.device = info.device;
  p.isa = info.isa;
  p.threads = info.threads;
  p.command_line = command.command_line;
  p.started = now_utc();
  return p;
}

// --shard I/N.
void add_shard(OptionTable& table, study::Shard& shard) {
  Option option;
  option.name = "shard";
  option.placeholder = "I/N";
  option.accepted = "I/N with whole numbers 1 <= I <= N <= 1000000";
  option.unit = "";
  option.help = "run part I of N of every cell's seeds, into a file of its own; `fryer study merge` puts the parts together";
  option.setting = false;
  option.value = [&shard] { return Json(fmt::format("{}/{}", shard.index, shard.shards)); };
  option.read = [&shard, accepted = option.accepted](const std::string& text) {
    const std::size_t slash = text.find('/');
    const auto index = parse_integer(text.substr(0, slash));
    const auto shards = slash == std::string::npos ? std::nullopt : parse_integer(text.substr(slash + 1));
    if (!index || !shards || *index < 1 || *index > *shards || *shards > 1'000'000) not_accepted(text, accepted);
    shard = {*index, *shards};
  };
  table.add(option);
}

// The study file's name with .db, or .2-of-3.db, in its place.
std::string default_output(const std::string& file, const study::Shard& shard) {
  std::string base = file;
  if (base.ends_with(".toml")) base.resize(base.size() - 5);
  return shard.shards == 1 ? base + ".db" : fmt::format("{}.{}-of-{}.db", base, shard.index, shard.shards);
}

void print_plan(const Command& command, const Console& console, const study::Plan& plan, const study::Shard& shard,
                const std::string& output) {
  const std::uint64_t of_cell = study::shard_of(plan.seeds, shard.index, shard.shards).count;
  const std::uint64_t replicas = of_cell * plan.cells.size();
  const Stopwatch watch;
  const auto workers = study::make_workers(plan, replicas, command.common().backend);
  const BackendInfo& info = workers.info;
  if (command.common().verbose) console.note(fmt::format("fryer: measured on {}: {}", backend_text(info), info.reason));
  warn_of(info, command, console);
  study::StudyEstimate estimate = study::estimate_study(plan, workers, &stop_requested);
  const double part = static_cast<double>(replicas) / static_cast<double>(plan.replicas());
  estimate.seconds *= part;
  estimate.bytes *= part;
  if (command.common().json) {
    Json document = Json::object();
    document["command"] = command.description().name;
    document["environment"] = plan.environment;
    if (!plan.algorithm.empty()) document["algorithm"] = plan.algorithm;
    document["configuration"] = configuration_json(plan);
    document["seed"] = plan.first_seed;
    document["numerics_version"] = kNumericsVersion;
    document["dry_run"] = true;
    document["backend"] = backend_json(info);
    document["wall_seconds"] = watch.seconds();
    document["cells"] = plan.cells.size();
    document["trainings"] = {{"planned", replicas}};
    document["plan"] = {{"seconds", finite(estimate.seconds)},
                        {"file_bytes", finite(estimate.bytes)},
                        {"at_least", estimate.at_least},
                        {"output", output}};
    console.print(to_text(document));
    return;
  }
  const char* const bound = estimate.at_least ? "at least " : "about ";
  std::string text = paint(console.out, Style::bold, plan.title) + '\n';
  if (!plan.question.empty()) text += wrapped(plan.question, 0, console.out.width) + '\n';
  text += fmt::format("{} {}{}: {} of {} from {}, {}\n", plan.command, plan.environment,
                      plan.algorithm.empty() ? "" : ", " + plan.algorithm, counted(plan.cells.size(), "cells"),
                      counted(of_cell, "seeds"), plan.first_seed, counted(replicas, "replicas"));
  const std::size_t shown_cells = command.common().verbose ? plan.cells.size() : std::min<std::size_t>(plan.cells.size(), 12);
  for (std::size_t i = 0; i < shown_cells && plan.cells.size() > 1; ++i)
    text += "  " + study::to_text(plan.cells[i].point) + '\n';
  if (shown_cells != plan.cells.size())
    text += fmt::format("  ... {} more (-v shows all)\n", with_separators(plan.cells.size() - shown_cells));
  for (const study::Draw& draw : plan.distribution)
    text += fmt::format("each replica draws {} from {}\n", draw.name(), study::to_text(draw));
  if (study::counts_episodes(plan.algorithm) && !plan.record.parameters)
    text += "the networks' parameters are not kept ([record] parameters = true keeps them)\n";
  text += fmt::format("time:  {}{} on {} (measured here)\nfile:  {}{}, {}\n", bound, human_seconds(estimate.seconds),
                      backend_text(info), bound, human_bytes(estimate.bytes), shown_path(output));
  if (estimate.at_least) text += "       (a training takes too long to be tried to its end here)\n";
  console.print(text);
}

study::Plan read_plan(const std::string& path, const Command& command, const Console& console) {
  std::vector<std::string> warnings;
  study::Plan plan = read_study_file(path, &warnings);
  if (!command.common().quiet) {
    for (const std::string& warning : warnings) console.note("fryer: warning: " + warning);
  }
  return plan;
}

// ---- check

class StudyCheck : public StudyCommand {
 public:
  StudyCheck()
      : StudyCommand(
            {"study check",
             "FILE.toml",
             "check a study file, and say how many trainings it is and how long they take",
             std::string("Nothing is written. The time is measured by running a little of the study for about two seconds. ") +
                 kStudyFile,
             {{"what a study would do", "study check study.toml"},
              {"one shard of it, for programs", "study check study.toml --shard 1/8 --json"}}},
            {1, 1}) {
    add_shard(table_, shard_);
    add_device_options();
    add_output_options();
  }
  int run(const Console& console) override {
    print_plan(*this, console, read_plan(files[0], *this, console), shard_, default_output(files[0], shard_));
    return 0;
  }

 private:
  study::Shard shard_;
};

// ---- run and resume

// What a study's file holds of the `planned` replicas of its shard.
std::string holdings(const study::Store& store, std::uint64_t planned) {
  const study::UnfinishedFile unfinished(store);
  const std::uint64_t begun = unfinished.count().trainings;  // what could really be written
  return fmt::format("{} holds {} of {}{}", store.path(), with_separators(planned - study::missing_replicas(store)),
                     counted(planned, "replicas"),
                     begun != 0 ? fmt::format(", {} {} under way", unfinished.path(), with_separators(begun)) : "");
}

// Runs what `store` lacks, and returns on what. Throws InterruptedStudy for a device that fails on the way; in a retry also for one that is
// not there again yet.
BackendInfo run_missing(const Command& command, const Console& console, const study::Plan& plan, study::Store& store,
                        std::uint64_t missing, bool is_retry) {
  const std::uint64_t planned = plan.cells.size() * study::shard_of(plan.seeds, store.shard().index, store.shard().shards).count;
  const std::string go_on = fmt::format("To go on: fryer study resume {}", shell_word(store.path()));
  bool begun = is_retry;
  try {
    const BackendChoice& choice = command.common().backend;
    const auto workers = shared_ranks != nullptr ? study::make_workers(plan, missing, choice, *shared_ranks)
                                                 : study::make_workers(plan, missing, choice);
    if (!command.common().quiet)
      console.note(fmt::format("fryer: running on {}: {}", backend_text(workers.info), workers.info.reason));
    warn_of(workers.info, command, console);
    store.begin_run(provenance_of(command, workers.info));
    begun = true;
    ProgressMeter meter(console, command.common().quiet, plan.command == "train" ? "trainings" : "runs");
    const auto tell = [&](const study::StudyProgress& p) {
      std::string note = fmt::format("  {} of {}", p.cells_done, counted(p.cells, "cells"));
      if (p.solved != 0) note += fmt::format(", {} solved", with_separators(p.solved));
      if (p.failed != 0) note += fmt::format(", {} failed", with_separators(p.failed));
      meter.show(static_cast<double>(p.finished) + p.under_way, static_cast<double>(p.planned), p.earlier, note);
    };
    const auto warn = [&](const std::string& what) {
      if (!command.common().quiet) console.note("fryer: warning: " + what);
    };
    study::run_study(plan, store, workers, {&stop_requested, tell, warn});
    return workers.info;
  } catch (const Stopped&) {
    console.note(fmt::format("fryer: stopped; {}. {}", holdings(store, planned), go_on));
    throw;
  } catch (const DeviceError& error) {
    if (!begun) throw;
    throw InterruptedStudy(fmt::format("{}; {}", error.what(), holdings(store, planned)), go_on);
  } catch (const FileError& error) {  // a full disk
    if (!begun) throw;
    throw FileError(fmt::format("{}; {}. {}", error.what(), holdings(store, planned), go_on));
  } catch (const ranks::RankError& error) {
    if (!begun) throw;
    throw ranks::RankError({error.code(), fmt::format("{}; {}. {}", error.what(), holdings(store, planned), go_on)});
  }
}

// Runs what `store` lacks, and prints the study's state.
int run_and_print(const Command& command, const Console& console, const study::Plan& plan, study::Store& store, bool is_retry) {
  const Stopwatch watch;
  const std::uint64_t missing = study::missing_replicas(store);
  BackendInfo info{"cpu", "", 0, "nothing was left to do"};
  if (missing != 0) {
    info = run_missing(command, console, plan, store, missing, is_retry);
    store.check_still_there();
  } else if (shared_ranks != nullptr) {
    study::dismiss_ranks(*shared_ranks);
  }
  const StudyState state = state_of(store);
  if (command.common().json) {
    Json document = study_json(command, store, state, watch.seconds());
    document["backend"] = backend_json(info);
    document["file"] = store.path();
    console.print(to_text(document));
    return 0;
  }
  std::string text = study_text(console, store, state, command.common().verbose);
  if (missing == 0) {
    text += "nothing was left to do\n";
  } else {
    const double seconds = watch.seconds();
    text += fmt::format("{} in {}, {} on {}\n", counted(missing, "replicas"), human_seconds(seconds),
                        human_rate(static_cast<double>(missing) / seconds, "replicas"), backend_text(info));
  }
  text += fmt::format("results in {0}; to see them: fryer study report {0} -o report.html\n", shell_word(store.path()));
  console.print(text);
  return 0;
}

void check_numerics(const study::Store& store) {
  for (const study::Provenance& run : store.runs()) {
    if (run.numerics_version == kNumericsVersion) continue;
    throw DamagedFileError(fmt::format(
        "{}: was made with numerics version {}, this is version {}: results would not fit together; start another file",
        shown_path(store.path()), run.numerics_version, kNumericsVersion));
  }
}

// A command that runs what a study's file lacks.
class RunningCommand : public StudyCommand {
 public:
  bool runs_on_ranks() const override { return !common_.dry_run; }
  int run(const Console& console) override {
    if (shared_ranks != nullptr && retries_.wanted() != 0)
      throw ConfigurationError(fmt::format(
          "--retry: {} is not accepted under an MPI launcher, since a rank cannot be started again on its own; give 0, or start "
          "fryer without the launcher",
          retries_.wanted()));
    if (!is_root()) study::serve_study(*shared_ranks, common_.backend, &stop_requested, make_runnable);
    try {
      return attempt(console);
    } catch (const InterruptedStudy& failure) {  // the file is closed
      retries_.try_again(console, failure);
      throw;
    }
  }

 protected:
  using StudyCommand::StudyCommand;
  virtual int attempt(const Console& console) = 0;
  Retries retries_;
};

class StudyRun : public RunningCommand {
 public:
  StudyRun()
      : RunningCommand(
            {"study run",
             "FILE.toml",
             "run a study: a grid of settings times seeds, into one file",
             std::string("Results are written as they finish. Run again, it goes on where it stopped, whatever ended it, and "
                         "ends with the same digest. ") +
                 kStudyFile,
             {{"every combination and seed of a study file, into study.db", "study run study.toml"},
              {"the second of four parts, for another machine", "study run study.toml --shard 2/4"}}},
            {1, 1}) {
    add_output(output_, "a file name", "the study's file; FILE.db beside FILE.toml unless given (FILE.I-of-N.db for a shard)");
    add_shard(table_, shard_);
    add_device_options();
    retries_.add_option(table_);
    table_.flag("dry-run", common_.dry_run, "check everything, say what would run and how long, and stop").setting = false;
    add_output_options();
  }

 protected:
  int attempt(const Console& console) override {
    const study::Plan plan = read_plan(files[0], *this, console);
    const std::string path = output_.empty() ? default_output(files[0], shard_) : output_;
    if (is_same_file(path, files[0])) throw ConfigurationError(fmt::format("--output: {} is the study file itself", shown(path)));
    if (common_.dry_run) {
      print_plan(*this, console, plan, shard_, path);
      return 0;
    }
    study::Store store = create_or_open(path, plan);
    check_numerics(store);
    if (study::fingerprint(store.plan()) != study::fingerprint(plan)) {
      throw DamagedFileError(
          fmt::format("{}: holds another study than {} now asks for; give --output another file, or go on with the old one by "
                      "fryer study resume",
                      shown_path(path), shown_path(files[0])));
    }
    if (store.shard().index != shard_.index || store.shard().shards != shard_.shards) {
      throw ConfigurationError(fmt::format("--shard: {} holds shard {}/{}, not {}/{}; give --output another file",
                                           shown_path(path), store.shard().index, store.shard().shards, shard_.index,
                                           shard_.shards));
    }
    return run_and_print(*this, console, plan, store, retries_.is_retry());
  }

 private:
  study::Store create_or_open(const std::string& path, const study::Plan& plan) const;

  std::string output_;
  study::Shard shard_;
};

study::Store StudyRun::create_or_open(const std::string& path, const study::Plan& plan) const {
  std::error_code unknown;  // said when the file is opened or made
  if (!std::filesystem::exists(path, unknown)) {
    make_backend(common_.backend);  // that there is none is said before a file is made
    try {
      return study::Store::create(path, plan, shard_);
    } catch (const FileError&) {
      if (!std::filesystem::exists(path, unknown)) throw;  // else another process was quicker
    }
  }
  return study::Store::open(path, study::Access::write);
}

class StudyResume : public RunningCommand {
 public:
  StudyResume()
      : RunningCommand(
            {"study resume",
             "FILE.db",
             "go on with a study where it stopped",
             "The study file is not needed: FILE.db holds every setting. Trainings that were left in their middle go on "
             "from there; FILE.db-unfinished holds them.",
             {{"go on after Ctrl-C, a crash or a full disk", "study resume study.db"},
              {"the same with one thread", "study resume study.db --threads 1"}}},
            {1, 1}) {
    add_device_options();
    retries_.add_option(table_);
    add_output_options();
  }

 protected:
  int attempt(const Console& console) override {
    study::Store store = study::Store::open(files[0], study::Access::write);
    check_numerics(store);
    study::Plan plan = store.plan();
    make_runnable(plan);
    return run_and_print(*this, console, plan, store, retries_.is_retry());
  }
};

}  // namespace

std::unique_ptr<Command> make_study_check_command(const Subject&) { return std::make_unique<StudyCheck>(); }
std::unique_ptr<Command> make_study_run_command(const Subject&) { return std::make_unique<StudyRun>(); }
std::unique_ptr<Command> make_study_resume_command(const Subject&) { return std::make_unique<StudyResume>(); }

}  // namespace fryer::cli
