#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Races fryer against the throw-away prototypes that set the mark: same core, same compiler, alternating; medians, and their ratio pair by
# pair. Usage: sh bench/race_prototypes.sh PROTOTYPES [ROUNDS] [CORE] [PATTERN] (of the races by name); without the prototypes it is skipped and says so.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
prototypes=${1:-} rounds=${2:-5} core=${3:-0} wanted=${4:-.}
if [ -z "$prototypes" ] || [ ! -f "$prototypes/fry.cpp" ]; then
  echo "Skipped: no prototypes (give the folder that holds fry.cpp, cartpole.cpp, replica.cpp and dqn/ as the first argument)"
  exit 0
fi
prototypes=$(cd "$prototypes" && pwd)
cd "$root"
cmake --preset bench -DFRYER_PROTOTYPES="$prototypes" >/dev/null
cmake --build build/bench >/dev/null

median() { sort -g | awk '{ x[NR] = $1 } END { print (NR % 2) ? x[(NR + 1) / 2] : (x[NR / 2] + x[NR / 2 + 1]) / 2 }'; }
column() { # column NAME: that counter of the benchmark's CSV, in millions
  awk -F, -v name="$1" '/^name,/ { for (i = 1; i <= NF; ++i) { gsub(/"/, "", $i); if ($i == name) c = i } } /^"/ { print $c / 1e6 }'
}
ours() { # ours BENCHMARK COUNTER
  taskset -c "$core" build/bench/fryer_bench --benchmark_filter="^$1/$isa(/threads:1)?(/real_time)?\$" --benchmark_min_time=1 --benchmark_format=csv 2>/dev/null |
    column "$2"
}
theirs() { # theirs PROGRAM PATTERN: the number before " M", or " updates/s", on the lines with the pattern, in millions
  taskset -c "$core" "build/bench/prototype_$1_$isa" | grep -E "$2" |
    sed -E 's/.* ([0-9.]+) M .*/\1/; s/.* ([0-9]+) updates\/s.*/\1e-6/' | awk '{ print $1 + 0 }' | median
}
race() { # race WHAT BENCHMARK COUNTER PROGRAM PATTERN
  echo "$1" | grep -Eq "$wanted" || return 0
  name=build/bench/race.$isa.$4
  : >"$name.ours"; : >"$name.theirs"
  round=0
  while [ "$round" -lt "$rounds" ]; do
    ours "$2" "$3" >>"$name.ours"
    theirs "$4" "$5" >>"$name.theirs"
    round=$((round + 1))
  done
  paste "$name.ours" "$name.theirs" | awk '{ print $1 / $2 }' >"$name.ratio"
  echo "$isa, $1: fryer $(median <"$name.ours"), prototype $(median <"$name.theirs") M $3; ratio pair by pair: median $(median <"$name.ratio")" \
    "(from $(sort -g "$name.ratio" | head -n 1) to $(sort -g "$name.ratio" | tail -n 1))"
}

for isa in avx512 avx2; do
  grep -q "^flags.*${isa}" /proc/cpuinfo || { echo "Skipped: this machine has no $isa"; continue; }
  race "fry-shack gradient" bias_gradient episodes/s fry 'episodes/s'
  race "CartPole gradient, random play" cart_pole_update/random steps/s cartpole 'len 2[0-9]\.'
  race "CartPole gradient, balancing" cart_pole_update/balancing steps/s cartpole 'len 4[0-9][0-9]\.'
  race "CartPole trainings" cart_pole_population/plain steps/s replica 'trainings/s'
  race "DQN, the workshop's whole loop" dqn_training/workshop updates/s dqn_best 'whole training'
  race "online Q-learning, semi-gradient" online_training/semi_gradient updates/s onlineq_best '^RR'
  race "online Q-learning, residual" online_training/residual updates/s onlineq_residual '^RR'
done
