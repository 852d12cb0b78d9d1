// SPDX-License-Identifier: Apache-2.0
// A study killed a hundred times at random moments loses nothing that it had committed.
#include "tests/cli/study_runs.h"

namespace fryer::cli {
namespace {

TEST(StudyKilled, AHundredTimes) { kill_and_resume(100); }

}  // namespace
}  // namespace fryer::cli
