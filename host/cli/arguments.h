// SPDX-License-Identifier: Apache-2.0
// Splits a command's words into option values and the rest, by the command's option table. CLI11 does the splitting (--name VALUE,
// --name=VALUE, -v, --); values stay text, which the table reads.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "host/cli/option_table.h"

namespace fryer::cli {

// An option's name and the text given for it; label is how the user named it.
struct Assignment {
  std::string name, text, label;
};

struct Arguments {
  std::vector<Assignment> assignments;
  std::vector<std::string> others;  // words that belong to no option
};

// Throws ConfigurationError for a missing value, a repeated option, and with what `explain` says for an unknown one.
Arguments split_arguments(const OptionTable& table, const std::vector<std::string>& words,
                          const std::function<std::string(const std::string&)>& explain);

}  // namespace fryer::cli
