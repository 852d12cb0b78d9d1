#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Races DQN and online Q-learning against what users would run instead (value_learners.py says what each row does): one core, in alternation,
# medians, and ratios. Usage: sh bench/peers/value_learners.sh [ROUNDS] [CORE]. The first run makes a Python environment (about 1 GB) in
# build/peers from PyPI; PYTHON=... takes one that is there.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
rounds=${1:-3} core=${2:-0}
cd "$root"
python=${PYTHON:-build/peers/bin/python}
if [ ! -x "$python" ]; then
  python3 -m venv build/peers
  build/peers/bin/pip install --quiet --requirement bench/peers/requirements.txt
fi
cmake --preset bench >/dev/null
cmake --build build/bench --target fryer_bench >/dev/null
out=build/bench/peers
rm -rf "$out"
mkdir -p "$out"

median() { sort -g | awk '{ x[NR] = $1 } END { print (NR % 2) ? x[(NR + 1) / 2] : (x[NR / 2] + x[NR / 2 + 1]) / 2 }'; }
isa=avx512
grep -q "^flags.*avx512vl" /proc/cpuinfo || isa=avx2
ours() { # ours BENCHMARK: updates a second
  taskset -c "$core" build/bench/fryer_bench --benchmark_filter="^$1/$isa\$" --benchmark_min_time=2 --benchmark_format=csv 2>/dev/null |
    awk -F, '/^name,/ { for (i = 1; i <= NF; ++i) { gsub(/"/, "", $i); if ($i == "updates/s") c = i } } /^"/ { print $c }'
}
rows="torch-dqn torch-online jax-dqn@1 jax-dqn@16 jax-dqn@256 jax-online@1 jax-online@16 jax-online@256 sb3-dqn"
round=0
while [ "$round" -lt "$rounds" ]; do
  ours dqn_training/workshop >>"$out/fryer-dqn"
  ours online_training/residual >>"$out/fryer-online"
  for row in $rows; do
    taskset -c "$core" "$python" bench/peers/value_learners.py "$row" 2>"$out/errors" >>"$out/$row" || { cat "$out/errors" >&2; exit 1; }
  done
  round=$((round + 1))
done
dqn=$(median <"$out/fryer-dqn") online=$(median <"$out/fryer-online")
echo "fryer ($isa), whole workshop loop: $dqn updates/s; whole online loop, residual: $online updates/s"
for row in $rows; do
  case $row in *online*) mine=$online ;; *) mine=$dqn ;; esac
  theirs=$(median <"$out/$row")
  echo "$row: $theirs updates/s; fryer is $(awk -v a="$mine" -v b="$theirs" 'BEGIN { printf "%.1f", a / b }') times as fast"
done
