#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Races the fry-shack gradient against the throw-away prototype that set the mark: same core, same compiler, alternating, medians
# and their ratio. Usage: sh bench/race_prototypes.sh PROTOTYPES [ROUNDS] [CORE]; without the prototypes it is skipped and says so.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
prototypes=${1:-} rounds=${2:-5} core=${3:-0}
if [ -z "$prototypes" ] || [ ! -f "$prototypes/fry.cpp" ]; then
  echo "Skipped: no prototypes (give the folder that holds fry.cpp as the first argument)"
  exit 0
fi
prototypes=$(cd "$prototypes" && pwd)
cd "$root"
cmake --preset bench -DFRYER_PROTOTYPES="$prototypes" >/dev/null
cmake --build build/bench --target fryer_bench prototype_fry_avx2 prototype_fry_avx512 >/dev/null

median() { sort -g | awk '{ x[NR] = $1 } END { print (NR % 2) ? x[(NR + 1) / 2] : (x[NR / 2] + x[NR / 2 + 1]) / 2 }'; }
for isa in avx512 avx2; do
  grep -q "^flags.*${isa}" /proc/cpuinfo || { echo "Skipped: this machine has no $isa"; continue; }
  : >"build/bench/ours.$isa"; : >"build/bench/theirs.$isa"
  round=0
  while [ "$round" -lt "$rounds" ]; do
    taskset -c "$core" build/bench/fryer_bench --benchmark_filter="bias_gradient/$isa/threads:1" --benchmark_min_time=1 --benchmark_format=csv 2>/dev/null |
      awk -F, '/^"bias_gradient/ { print $NF / 1e6 }' >>"build/bench/ours.$isa"
    taskset -c "$core" "build/bench/prototype_fry_$isa" | awk '/episodes\/s/ { for (i = 1; i <= NF; ++i) if ($i == "M") print $(i - 1) }' | median >>"build/bench/theirs.$isa"
    round=$((round + 1))
  done
  ours=$(median <"build/bench/ours.$isa") theirs=$(median <"build/bench/theirs.$isa")
  paste "build/bench/ours.$isa" "build/bench/theirs.$isa" | awk '{ print $1 / $2 }' >"build/bench/ratio.$isa"
  echo "$isa: fryer $ours, prototype $theirs M episodes/s; ratio pair by pair: median $(median <"build/bench/ratio.$isa")" \
    "(from $(sort -g "build/bench/ratio.$isa" | head -n 1) to $(sort -g "build/bench/ratio.$isa" | tail -n 1))"
done
