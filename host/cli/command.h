// SPDX-License-Identifier: Apache-2.0
// What a command of the program is: a description, a table of options bound to its settings, a check once they are set, and a run.
// A new command is one class and one line in commands.cpp.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fryer/engine/backend.h"
#include "host/cli/arguments.h"
#include "host/cli/console.h"
#include "host/cli/option_table.h"
#include "host/study/plan.h"

namespace fryer::cli {

struct Description {
  std::string name, arguments, summary;
  std::string text;                                           // for --help, after the summary
  std::vector<std::pair<std::string, std::string>> examples;  // what it does, the words after "fryer"
};

// What a command is made for. Empty: of an environment where there is none, of an algorithm the environment's first.
struct Subject {
  std::string environment, algorithm;
};

// Options that every command has.
struct Common {
  BackendChoice backend;
  bool json = false, quiet = false, verbose = false, dry_run = false;
  std::string config;
};

class Command {
 public:
  virtual ~Command() = default;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  const Description& description() const { return description_; }
  OptionTable& table() { return table_; }
  const OptionTable& table() const { return table_; }
  const Common& common() const { return common_; }
  const std::string& environment() const { return environment_; }  // "" where the command has none
  virtual std::string algorithm() const { return ""; }             // "" where options do not depend on one

  // Whether it takes the argument ENV, and whether it runs the environment it was made for.
  virtual bool takes_environment() const { return false; }
  virtual bool supports_environment() const { return true; }
  // How many FILE arguments it takes, and how many it was given.
  struct FileCount {
    std::size_t least = 0, most = 0;
  };
  virtual FileCount file_count() const { return {}; }
  std::vector<std::string> files;
  // Why an option of other environments or algorithms does not exist here, or "".
  virtual std::string why_not(const std::string& option) const;
  virtual void apply_preset(const std::string&) {}
  // Whether the preset that was applied says what this option is: named on the command line, it replaces what a file says of it.
  virtual bool preset_sets(const Option&) const { return false; }
  // Every option has been set: lets later sources overtake earlier ones that say the same thing in other words.
  virtual void settle() {}
  // Options do not contradict each other: resolves what depends on several, and throws ConfigurationError for what cannot be run.
  virtual void resolve() {}
  // What it runs, once resolved, as a cell of a study; nothing for a command that a study cannot run.
  virtual std::optional<study::CellConfiguration> cell() const { return std::nullopt; }
  // Its settings as they are in a cell that cell() of such a command gave; the options' sources stay as they are.
  virtual void take(const study::CellConfiguration&) {}
  // Whether an MPI launcher's ranks share its work; else the first one alone runs it.
  virtual bool runs_on_ranks() const { return false; }
  // Runs it and prints; returns the exit code, or throws.
  virtual int run(const Console& console) = 0;

  // The words that ran it, for messages; and warnings to be shown before it runs.
  std::string command_line;
  std::vector<std::string> warnings;

 protected:
  explicit Command(Description description, std::string environment = "")
      : description_(std::move(description)), environment_(std::move(environment)) {}
  void add_output_options();   // --json, --quiet, -v
  void add_device_options();   // --device, --threads
  void add_backend_options();  // these, --config, --dry-run and the output options

  Description description_;
  OptionTable table_;
  Common common_;
  std::string environment_;  // the one it was made for, "" without
};

// What can be typed after `fryer`. A command that takes an environment is made for one, and `train` for an algorithm too: its options and
// their defaults are theirs.
struct CommandEntry {
  const char* name;  // one word, or two: "study run"
  std::unique_ptr<Command> (*make)(const Subject& subject);
};
const std::vector<CommandEntry>& commands();

// The environments a command knows, by name; none for a command without.
std::vector<std::string> environments_of(const CommandEntry& entry);
// The algorithms whose options it has on one of them; one that is "" where options do not depend on an algorithm.
std::vector<std::string> algorithms_of(const CommandEntry& entry, const std::string& environment);
// Both together; one subject without environment for a command that takes none.
std::vector<Subject> subjects_of(const CommandEntry& entry);

// The registry's algorithms of an environment, the one that runs by default first.
std::vector<std::string> known_algorithms(const std::string& environment);
// Why an environment cannot be trained by this algorithm, with what is accepted; "" where it can.
std::string why_not_trained_by(const std::string& algorithm, const std::string& environment);

// For subjects of the registry.
std::unique_ptr<Command> make_train_command(const Subject& subject);
std::unique_ptr<Command> make_gradient_command(const Subject& subject);
std::unique_ptr<Command> make_evaluate_command(const Subject& subject);
std::unique_ptr<Command> make_fry_shack_train_command();
std::unique_ptr<Command> make_fry_shack_gradient_command();
std::unique_ptr<Command> make_fry_shack_evaluate_command();
std::unique_ptr<Command> make_cart_pole_train_command(const std::string& environment);
std::unique_ptr<Command> make_cart_pole_q_train_command(const Subject& subject);  // of dqn or q-learning
std::unique_ptr<Command> make_cart_pole_gradient_command(const std::string& environment);
std::unique_ptr<Command> make_cart_pole_evaluate_command(const std::string& environment);
std::unique_ptr<Command> make_trace_command(const Subject& subject);  // CartPole's alone
std::unique_ptr<Command> make_notebook_command(const Subject&);
std::unique_ptr<Command> make_study_check_command(const Subject&);
std::unique_ptr<Command> make_study_run_command(const Subject&);
std::unique_ptr<Command> make_study_resume_command(const Subject&);
std::unique_ptr<Command> make_study_status_command(const Subject&);
std::unique_ptr<Command> make_study_report_command(const Subject&);
std::unique_ptr<Command> make_study_export_command(const Subject&);
std::unique_ptr<Command> make_study_merge_command(const Subject&);
std::unique_ptr<Command> make_bench_command(const Subject&);
std::unique_ptr<Command> make_devices_command(const Subject&);
std::unique_ptr<Command> make_list_command(const Subject&);
std::unique_ptr<Command> make_version_command(const Subject&);
// Help on the program (command ""), on a command for every environment and algorithm ("" of both), or for one.
std::unique_ptr<Command> make_help_command(const std::string& command, const Subject& about);

// Why `name` (without dashes) is no option of the command, or, with _ for -, no key of a file for it; with the nearest that is.
std::string unknown_option(const Command& command, const std::string& name, bool key);

// The algorithm that settings choose before options are read: the one they name, else that of their preset, else the environment's first.
// Null where there is none; throws ConfigurationError for one that the environment does not have.
std::string choose_algorithm(const CommandEntry& entry, const std::string& environment, const Assignment* algorithm,
                             const Assignment* preset);

// Gives a new command its settings and resolves them: the preset of a file, what else the file says, the preset of the command line, its
// options, each overriding what came before. All must be options of it. Throws ConfigurationError, FileError, DamagedFileError.
void configure(Command& command, const std::vector<Assignment>& file, const std::vector<Assignment>& words);

// The words after `fryer` as a command ready to run, --config read, everything checked that can be without running. Throws
// ConfigurationError, FileError, DamagedFileError.
std::unique_ptr<Command> parse_command_line(const std::vector<std::string>& words);

}  // namespace fryer::cli
