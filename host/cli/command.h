// SPDX-License-Identifier: Apache-2.0
// What a command of the program is: a description, a table of options bound to its settings, a check once they are set, and a run.
// A new command is one class and one line in commands.cpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fryer/engine/backend.h"
#include "host/cli/console.h"
#include "host/cli/option_table.h"

namespace fryer::cli {

struct Description {
  std::string name, arguments, summary;
  std::string text;                                           // for --help, after the summary
  std::vector<std::pair<std::string, std::string>> examples;  // what it does, the words after "fryer"
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
  virtual std::string algorithm() const { return ""; }

  virtual bool takes_environment() const { return false; }
  void set_environment(std::string name) { environment_ = std::move(name); }
  // Why an option of other environments or algorithms does not exist here, or "".
  virtual std::string why_not(const std::string& option) const;
  virtual void apply_preset(const std::string&) {}
  // Every option has been set: lets later sources overtake earlier ones that say the same thing in other words.
  virtual void settle() {}
  // Options do not contradict each other: resolves what depends on several, and throws ConfigurationError for what cannot be run.
  virtual void resolve() {}
  // Runs it and prints; returns the exit code, or throws.
  virtual int run(const Console& console) = 0;

  // The words that ran it, for messages; and warnings to be shown before it runs.
  std::string command_line;
  std::vector<std::string> warnings;

 protected:
  explicit Command(Description description) : description_(std::move(description)) {}
  void add_output_options();   // --json, --quiet, -v
  void add_backend_options();  // --device, --threads, --config, --dry-run

  Description description_;
  OptionTable table_;
  Common common_;
  std::string environment_;
};

// What can be typed after `fryer`.
struct CommandEntry {
  const char* name;
  std::unique_ptr<Command> (*make)();
};
const std::vector<CommandEntry>& commands();

std::unique_ptr<Command> make_train_command();
std::unique_ptr<Command> make_gradient_command();
std::unique_ptr<Command> make_evaluate_command();
std::unique_ptr<Command> make_notebook_command();
std::unique_ptr<Command> make_devices_command();
std::unique_ptr<Command> make_list_command();
std::unique_ptr<Command> make_version_command();
std::unique_ptr<Command> make_help_command(const std::string& command);  // "": the program's help

// The words after `fryer` as a command ready to run, --config read, everything checked that can be without running. Throws
// ConfigurationError, FileError, DamagedFileError.
std::unique_ptr<Command> parse_command_line(const std::vector<std::string>& words);

}  // namespace fryer::cli
