#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Races fryer against what users would run instead (episodes.py, value_learners.py): one core, one thread, in alternation, so that each row's ratio
# is that of neighbouring minutes. Prints one table in Markdown: medians over the rounds, their range, ratios, and what each row includes.
#
# Usage: [OUT=FILE] [PYTHON=PROGRAM] sh bench/peers/run.sh [ROUNDS] [CORE] [ROWS], by default 3 0 and all rows; ROWS is a regular expression.
# The first run makes a Python environment in build/peers from PyPI (or where pip's own settings say), of 7 GB, most of it the libraries of CUDA that
# PyTorch brings. PYTHON=... takes an environment that is there instead. OUT=... also writes the table there. A row whose packages are missing is
# skipped with the reason.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
rounds=${1:-3} core=${2:-0} wanted=${3:-.}
python=${PYTHON:-} report=${OUT:-}
command="${OUT:+OUT=$OUT }sh bench/peers/run.sh $rounds $core"
[ "$wanted" = . ] || command="$command '$wanted'"
case $python in /* | '') ;; */*) python=$PWD/$python ;; esac
case $report in /* | '') ;; *) report=$PWD/$report ;; esac
cd "$root"
out=build/bench/peers

skip() {
  echo "Skipped: $1"
  exit 0
}
refuse() {
  echo "bench/peers/run.sh: $1" >&2
  exit 2
}

# What is raced: fryer's benchmark, its counter and what it includes; then the peers beside it and what they include.
suite() {
  cat <<'END'
fryer cart_pole_evaluation/random steps/s the policy of zeros (random actions), sampling, simulation, statistics of returns and of how episodes end
peer gymnasium-single simulation only: one environment in a Python loop, actions drawn beforehand
peer gymnasium-vector@4096 simulation only: NumPy, actions drawn beforehand
peer gymnasium-vector@65536 simulation only: NumPy, actions drawn beforehand
peer envpool@4096 simulation only: C++, actions drawn beforehand
peer gymnax-random@16384 simulation only: one lax.scan, random actions
fryer cart_pole_update/random steps/s policy of zeros, sampling, simulation, traces, gradient, all summed exactly (the same bits in any order)
peer jax-reinforce@16384 policy of zeros, sampling, simulation, traces, gradient: one lax.scan written by hand
fryer cart_pole_update/balancing steps/s the same, of a policy whose episodes last 462 steps
peer jax-reinforce-balancing@16384 the same, of a policy whose episodes last 462 steps
fryer cart_pole_population/forty_updates trainings/s 6,000 whole trainings of 40 updates of 16 episodes, Adam, learning curve and statistics
peer jax-population@256 256 whole trainings of 40 updates of 16 episodes, Adam, at once: written by hand
fryer population updates/s a million notebooks at once: episode, gradient, Adam, learning curve and statistics
peer torch-notebook one notebook, an episode an update: autograd, Adam
fryer bias_gradient episodes/s fry shack: policy, sampling, reward, gradient, all summed exactly
peer torch-fry@1000000 policy, sampling, reward, gradient: vectorised, autograd
peer jax-fry@65536 policy, sampling, reward, gradient: jit(grad)
peer jax-fry@1000000 policy, sampling, reward, gradient: jit(grad)
fryer dqn_training/workshop updates/s whole loop: environment, exploration, replay, update (4-64-64-2, batch 128), Adam, target network
peer sb3-dqn whole loop, an update a step
peer torch-dqn the update only, on stored transitions
peer jax-dqn@1 the update only, on stored transitions
peer jax-dqn@16 the update only, 16 replicas by vmap on the same transitions
peer jax-dqn@256 the update only, 256 replicas by vmap on the same transitions
fryer online_training/residual updates/s whole loop of two replicas: environment, greedy action, update (4-32-32-2, one transition), Adam
peer torch-online the update only, on stored transitions
peer jax-online@1 the update only, on stored transitions
peer jax-online@16 the update only, 16 replicas by vmap on the same transitions
peer jax-online@256 the update only, 256 replicas by vmap on the same transitions
END
}

install() { # install REQUIREMENT CONSTRAINTS
  "$python" -m pip install --quiet --retries 1 --constraint "$root/bench/peers/$2" "$1" >>build/peers.log 2>&1 </dev/null
}
make_environment() {
  python=build/peers/bin/python
  cat bench/peers/requirements.txt bench/peers/constraints.txt | cmp -s - build/peers/installed.txt && return
  mkdir -p build
  python3 -m venv build/peers >build/peers.log 2>&1 || skip "python3 -m venv does not work here (Debian: apt-get install python3-venv); see build/peers.log"
  all=yes any=no other=''
  "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' && pinned=yes || pinned=no # constraints.txt is of Python 3.11
  while read -r requirement; do # one by one: what cannot be had here leaves the others
    echo "installing $requirement" >&2
    if install "$requirement" constraints.txt; then
      any=yes
    elif install "$requirement" requirements.txt; then # another Python has other versions of what these need
      any=yes other="$other ${requirement%%=*}"
      echo "not with the versions that constraints.txt pins of what it needs: $requirement; see build/peers.log" >&2
    else
      all=no
      echo "cannot be installed here: $requirement; see build/peers.log" >&2
    fi
  done <bench/peers/requirements.txt
  [ $any = yes ] || skip "no package could be installed (no network?); see build/peers.log"
  echo "$other" >build/peers/other.txt
  # Where a package index had failed, the next call tries again.
  if [ $all = yes ] && { [ -z "$other" ] || [ "$pinned" = no ]; }; then
    cat bench/peers/requirements.txt bench/peers/constraints.txt >build/peers/installed.txt
  fi
}

ours() { # ours BENCHMARK COUNTER: its rate by CPU time, which is what counters are of unless the name says otherwise
  taskset -c "$core" build/bench/fryer_bench --benchmark_filter="^$1/$isa(/threads:1)?(/real_time)?\$" --benchmark_min_time=3 \
    --benchmark_format=csv 2>"$out/errors" </dev/null | awk -F, -v counter="$2" '
      /^name,/ { for (i = 1; i <= NF; ++i) { gsub(/"/, "", $i); column[$i] = i } }
      /^"/ { if ($column["error_occurred"] == "") printf "%.6g", $column[counter] * (/\/real_time"/ ? $column["real_time"] / $column["cpu_time"] : 1) }'
}

# theirs ROW: the rates of fryer and the peer in this round go into $out/ROW, or the reason why there is none into $out/ROW.skipped.
theirs() {
  [ ! -f "$out/$1.skipped" ] || return 0
  if rate=$(timeout 600 taskset -c "$core" "$python" bench/peers/measure.py "$1" 2>"$out/errors" </dev/null); then
    echo "$mine $rate" >>"$out/$1"
  else
    status=$?
    { tail -n 1 "$out/errors" | grep . || echo "exit status $status"; } | tr '|' '/' >"$out/$1.skipped"
    [ $status != 124 ] || echo "more than 600 s" >"$out/$1.skipped"
  fi
}

core_is_there() {
  case $core in '' | *[!0-9]*) return 1 ;; esac
  taskset -c "$core" true 2>/dev/null
}

load() { cut -d ' ' -f 1 /proc/loadavg; }

table() {
  echo "| peer | what it includes | a second | fryer's benchmark | a second | fryer / peer |"
  echo "|---|---|---|---|---|---|"
  while read -r kind name rest; do
    if [ "$kind" = fryer ]; then
      benchmark=$name counter=${rest%% *}
    elif [ -f "$out/$name.skipped" ]; then
      echo "| $name | $rest | skipped: $(cat "$out/$name.skipped") | $benchmark | | |"
    else
      awk -v name="$name" -v includes="$rest" -v benchmark="$benchmark" -v unit="${counter%/s}" '
        { mine[NR] = $1; theirs[NR] = $2; ratio[NR] = $1 / $2 }
        function short(x) { return sprintf(x < 100 ? "%.3g" : "%.0f", x) }
        function scaled(x) { return x < 1e3 ? short(x) : x < 1e6 ? short(x / 1e3) " k" : short(x / 1e6) " M" }
        function sort(x, i, j, t) {
          for (i = 2; i <= NR; ++i) for (j = i; j > 1 && x[j] < x[j - 1]; --j) { t = x[j]; x[j] = x[j - 1]; x[j - 1] = t }
        }
        function median(x) { return (x[int((NR + 1) / 2)] + x[int(NR / 2) + 1]) / 2 }
        function range(x) { return " (" scaled(x[1]) " to " scaled(x[NR]) ")" }
        END {
          sort(mine); sort(theirs); sort(ratio)
          printf "| %s | %s | %s %s%s | %s | %s%s | **%s** (%s to %s) |\n", name, includes, scaled(median(theirs)), unit, range(theirs),
                 benchmark, scaled(median(mine)), range(mine), short(median(ratio)), short(ratio[1]), short(ratio[NR])
        }' "$out/$name"
    fi
  done <"$out/plan"
}

document() {
  model=$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)
  which=$(awk -F ': ' '/^cpu family/ { f = $2 } /^model\t/ { print "family " f ", model " $2; exit }' /proc/cpuinfo)
  compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' build/bench/CMakeCache.txt)
  echo "# fryer beside its peers on $model, $(date -u +%Y-%m-%d)"
  echo
  echo "Core $core alone, one thread, in alternation: median of $rounds rounds (smallest to largest), ratios round by round. Rates are by the process's CPU"
  echo "time, which leaves out what other programs take, but not what they cost in caches and memory: the load was $loads (1 is a machine"
  echo "that does nothing else). Where it is higher, trust the ratios more than the rates."
  echo
  table
  echo
  echo "What fryer's benchmarks include, each with a check of its digest:"
  echo
  while read -r kind name rest; do
    [ "$kind" = peer ] || echo "- $name: ${rest#* }"
  done <"$out/plan"
  echo
  echo "Where a peer's row is simulation or update only, fryer does more in its own than the peer."
  echo
  echo "- machine: $(nproc --all) CPUs, $model ($which), Linux $(uname -r)"
  echo "- fryer: $commit, $isa, $("$compiler" --version | head -n 1)"
  echo "- peers: $("$python" bench/peers/measure.py)"
  other=$(cat build/peers/other.txt 2>/dev/null || true)
  [ -z "$other" ] || [ -n "${PYTHON:-}" ] || echo "- not with the pinned versions of what they need:$other"
  echo "- command: \`$command\`"
}

case $rounds in '' | *[!0-9]* | 0*) refuse "ROUNDS is $rounds; a whole number from 1 is accepted" ;; esac
command -v taskset >/dev/null || skip "no taskset here (Debian: apt-get install util-linux)"
core_is_there || refuse "CORE is $core; the number of a core of this machine is accepted"
[ -z "$report" ] || [ -d "${report%/*}" ] || refuse "OUT is $report; a file in a folder that exists is accepted"
plan=$(suite | wanted=$wanted awk '$1 == "fryer" { held = $0 "\n"; next } $2 ~ ENVIRON["wanted"] { printf "%s%s\n", held, $0; held = "" }')
[ -n "$plan" ] || refuse "ROWS is $wanted; accepted is what matches one of: $(suite | awk '$1 == "peer" { printf " %s", $2 }')"

if [ -z "$python" ]; then
  make_environment
else
  "$python" -c '' 2>/dev/null || refuse "PYTHON is $python; a Python that runs is accepted"
fi
cmake --preset bench >/dev/null
cmake --build build/bench --target fryer_bench >&2
for isa in avx512 avx2 none; do
  build/bench/fryer_bench --benchmark_list_tests | grep -q "/$isa" && break
done
[ "$isa" != none ] || skip "fryer's benchmarks want AVX2 or AVX-512"

rm -rf "$out"
mkdir -p "$out"
echo "$plan" >"$out/plan"
commit=$(git describe --always --dirty 2>/dev/null || echo "not from git")
loads=$(load)
round=1
while [ "$round" -le "$rounds" ]; do
  while read -r kind name rest; do
    echo "round $round of $rounds: $name" >&2
    if [ "$kind" = fryer ]; then
      mine=$(ours "$name" "${rest%% *}")
      [ -n "$mine" ] || { echo "fryer_bench gives no rate of $name:" >&2; cat "$out/errors" >&2; exit 1; }
    else
      theirs "$name"
    fi
  done <"$out/plan"
  loads="$loads, $(load)"
  round=$((round + 1))
done
document >"$out/report.md"
cat "$out/report.md"
[ -z "$report" ] || cp "$out/report.md" "$report"
