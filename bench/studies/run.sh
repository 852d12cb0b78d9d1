#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the shipped studies and draws their figures:
#   sh bench/studies/run.sh [PROGRAM [DIRECTORY]]     default: build/release/fryer, and bench/studies/results (not in git)
# Each study's file, page and plots go to DIRECTORY; a study that is there already is not run again. The digests that they end with
# stand in bench/studies/README.md. Then one figure of each is put into bench/studies/figures.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
program=${1:-$root/build/release/fryer}
results=${2:-$root/bench/studies/results}
mkdir -p "$results"

study() { # study NAME PLOT
  "$program" study run "$root/bench/studies/$1.toml" --output "$results/$1.db"
  "$program" study report "$results/$1.db" -o "$results/$1.html" --plots "$results/$1"
  cp "$results/$1/$2.svg" "$root/bench/studies/figures/$1.svg"
}

study notebook_luck parameter_histograms
study reward_scaling parameter_quantiles
study baselines gradient_second_moments
study learning_rate_batch success_rate_map
study discount time_to_threshold
study random_policies_v0 result_histogram
study random_policies_v1 result_histogram
study online_q_learning learning_curves
study dqn_workshop time_to_threshold
