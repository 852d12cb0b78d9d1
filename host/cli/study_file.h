// SPDX-License-Identifier: Apache-2.0
// A study file (TOML): which cells, which seeds, what is recorded. Settings are the options of `train`, `evaluate` or `gradient`, read by
// their own tables, so that a study file accepts what the command accepts, and says the same of what it does not.
#pragma once

#include <string>
#include <vector>

#include "host/study/plan.h"

namespace fryer::cli {

inline constexpr std::uint64_t kMostCells = 100'000;
inline constexpr std::uint64_t kMostTrainings = 4'000'000'000;  // cells x seeds
inline constexpr std::uint64_t kMostCurvePoints = 10'000;       // of a replica
inline constexpr std::uint64_t kMostThresholds = 100;
inline constexpr std::uint64_t kMostEvaluationEpisodes = std::uint64_t{1} << 32;

// Throws ConfigurationError "FILE: line L, column C: key: ..."; FileError. What is accepted but cannot have been meant is added to
// `warnings`, if there are any.
study::Plan read_study_file(const std::string& path, std::vector<std::string>* warnings = nullptr);
// The same of a text; `path` is for messages and the default title.
study::Plan parse_study(const std::string& path, const std::string& text, std::vector<std::string>* warnings = nullptr);

// Gives every cell of a plan that came from a store its typed configuration again; settings that the store lacks have their defaults. Throws
// DamagedFileError where a setting is not known or not accepted by this version.
void make_runnable(study::Plan& plan);

}  // namespace fryer::cli
