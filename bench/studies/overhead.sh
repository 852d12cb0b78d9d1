#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a study costs beside the bare trainings: 10,000 CartPole-v1 trainings (preset solve) both ways, in alternation; prints the seconds of
# each round and the ratio of the best ones. Whole processes, store included.
#   sh bench/studies/overhead.sh [PROGRAM [ROUNDS]]     default: build/release/fryer, 7
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
program=${1:-$root/build/release/fryer}
rounds=${2:-7}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/s.toml" <<'END'
environment = "CartPole-v1"
preset = "solve"
[seeds]
first = 1
count = 10_000
END
seconds() { # seconds COMMAND...: how long it took
  begin=$(date +%s%N)
  "$@" >/dev/null
  end=$(date +%s%N)
  echo "$begin $end" | awk '{ printf "%.3f", ($2 - $1) / 1e9 }'
}
bare_best=1e9 study_best=1e9
for round in $(seq "$rounds"); do
  rm -f "$folder/s.db"
  bare=$(seconds "$program" train CartPole-v1 --preset solve --seed 1 --replicas 10000 --quiet)
  study=$(seconds "$program" study run "$folder/s.toml" --quiet)
  echo "round $round: bare $bare s, study $study s"
  bare_best=$(echo "$bare $bare_best" | awk '{ print $1 < $2 ? $1 : $2 }')
  study_best=$(echo "$study $study_best" | awk '{ print $1 < $2 ? $1 : $2 }')
done
echo "$study_best $bare_best" | awk '{ printf "best: bare %s s, study %s s, ratio %.3f\n", $2, $1, $1 / $2 }'
