#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a study costs beside the bare trainings: 10,000 CartPole-v1 trainings (preset solve) bare, as a study of one cell, and as one of 2,500
# cells of four seeds whose learning rates differ in the fifth digit, in alternation; prints the seconds of each round and the ratios of the
# best ones. Whole processes, store included.
#   sh bench/studies/overhead.sh [PROGRAM [ROUNDS]]     default: build/release/fryer, 7
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
program=${1:-$root/build/release/fryer}
rounds=${2:-7}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/one.toml" <<'END'
environment = "CartPole-v1"
preset = "solve"
[seeds]
first = 1
count = 10_000
END
cat >"$folder/small.toml" <<'END'
environment = "CartPole-v1"
preset = "solve"
[grid]
learning_rate = {from = 0.19999, to = 0.20001, steps = 2_500}
[seeds]
first = 1
count = 4
END
seconds() { # seconds COMMAND...: how long it took
  begin=$(date +%s%N)
  "$@" >/dev/null
  end=$(date +%s%N)
  echo "$begin $end" | awk '{ printf "%.3f", ($2 - $1) / 1e9 }'
}
least() { echo "$1 $2" | awk '{ print $1 < $2 ? $1 : $2 }'; }
bare_best=1e9 one_best=1e9 small_best=1e9
for round in $(seq "$rounds"); do
  rm -f "$folder"/*.db
  bare=$(seconds "$program" train CartPole-v1 --preset solve --seed 1 --replicas 10000 --quiet)
  one=$(seconds "$program" study run "$folder/one.toml" --quiet)
  small=$(seconds "$program" study run "$folder/small.toml" --quiet)
  echo "round $round: bare $bare s, one cell $one s, 2,500 cells $small s"
  bare_best=$(least "$bare" "$bare_best")
  one_best=$(least "$one" "$one_best")
  small_best=$(least "$small" "$small_best")
done
echo "$bare_best $one_best $small_best" |
  awk '{ printf "best: bare %s s; one cell %s s, ratio %.3f; 2,500 cells %s s, ratio %.3f\n", $1, $2, $2 / $1, $3, $3 / $1 }'
