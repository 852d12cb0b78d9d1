// SPDX-License-Identifier: Apache-2.0
// What `--config FILE` says: TOML with the options' names (_ for -), or JSON: the document of an earlier run, of which it takes
// `configuration`, or such an object alone. Values come out as text, for the option table to read as it reads the command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/cli/arguments.h"

namespace fryer::cli {

struct ConfigFile {
  std::optional<std::string> command, environment;
  std::optional<std::uint64_t> numerics_version;  // of the earlier run
  std::vector<Assignment> assignments;            // named as on the command line, labelled "FILE: key"
};

// Throws FileError if it cannot be read, ConfigurationError for anything wrong in it. Whether its keys exist is not looked at.
ConfigFile read_config_file(const std::string& path);

// The same from text, for tests.
ConfigFile parse_config(const std::string& path, const std::string& text);

}  // namespace fryer::cli
