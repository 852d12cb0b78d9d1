#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Everything that only a GPU can confirm, in one command, for whoever has one:
#   sh bench/gpu/verify.sh [--built DIR] [--minutes N] [FOLDER]      (FOLDER: verify-<GPU>-<date> if none is given)
# Builds for the GPU that is here, runs every CUDA test, compares the program's digests on CPU and GPU, compiled for blocks of 32 to 1,024 threads
# too, and those of studies, one of them killed and resumed, one on a GPU that is made to fail; runs compute-sanitizer where it is installed, and
# the benchmarks. FOLDER gets one log a step and summary.txt, a line `PASS|FAIL|SKIP step: detail` each; the exit status is 1 if a line
# says FAIL. Needs nvcc, cmake and what the project builds with (`sh cmake/bootstrap.sh test` installs that); or, on a machine
# without a compiler, libraries or a network, --built DIR: what `sh bench/gpu/pack.sh` built elsewhere. Changes nothing on the GPU.
# In parts: with --minutes no step begins after so many, and the exit status is 75 if none has failed. The same FOLDER again, for the same
# sources, goes on after the steps that passed, also where the verification was killed.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
built='' minutes=1000000
refuse() { echo "verify.sh: $1" >&2; exit 2; }
while :; do
  case ${1:-} in
    --built)
      built=$(cd "${2:-}" 2>/dev/null && pwd) || refuse "--built: '${2:-}' is no folder"
      [ -n "${2:-}" ] || refuse "--built: needs a folder"
      ;;
    --minutes)
      minutes=${2:-}
      [ "$minutes" -ge 1 ] 2>/dev/null || refuse "--minutes: '$minutes' is not accepted; whole minutes, from 1"
      ;;
    -*) refuse "$1 is not an option; there are --built DIR and --minutes N" ;;
    *) break ;;
  esac
  shift 2
done
begun=$(date +%s)
gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .)
if [ -z "$capability" ]; then
  echo "verify.sh: no GPU found: nvidia-smi names none here" >&2
  exit 1
fi
out=${1:-verify-$(echo "$gpu" | tr -cs 'A-Za-z0-9\n' '-')-$(date +%Y%m%d-%H%M%S)}
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd) || exit 1
cd "$root" || exit 1
build=${built:-$root/build/verify}
[ -d "$build/lib" ] && [ -n "$built" ] && export LD_LIBRARY_PATH="$build/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
summary=$out/summary.txt
# Steps that passed in earlier parts of the same verification: of these sources and programs, on this GPU.
earlier=$out/earlier.txt
tested=$({
  find CMakeLists.txt cmake include host kernels tests bench -type f ! -name '*.pyc' ! -path 'bench/results/*' | LC_ALL=C sort | xargs cat
  echo "$gpu"
  [ -z "$built" ] || cat "$built"/fryer* "$built"/tests/test_*
} 2>/dev/null | cksum)
if [ "$(cat "$out/tested.txt" 2>/dev/null)" = "$tested" ] && ! grep -q ' skipped; everything is in ' "$summary" 2>/dev/null; then
  grep -h '^PASS' "$summary" "$earlier" 2>/dev/null | sort -u >"$earlier.new"
  mv "$earlier.new" "$earlier"
else
  : >"$earlier"
fi
echo "$tested" >"$out/tested.txt"
: >"$summary"

say() { echo "$*" | tee -a "$summary"; }
# step NAME COMMAND...: runs it with its output in NAME.log, unless it has passed before
step() {
  if grep "^PASS $1:" "$earlier" >>"$summary"; then return 0; fi
  always "$@"
}
# Builds: the folder is every verification's, and may have been another's, or deleted, since it passed.
always() {
  name=$1
  shift
  started=$(date +%s)
  if [ $((started - begun)) -ge $((60 * minutes)) ]; then
    say "LEFT at $name, after $minutes minutes: the same command with the folder $out goes on"
    grep -q '^FAIL' "$summary" && exit 1
    exit 75
  fi
  if "$@" >"$out/$name.log" 2>&1 </dev/null; then
    say "PASS $name: $(($(date +%s) - started)) s"
  else
    status=$?
    say "FAIL $name: exit $status after $(($(date +%s) - started)) s, see $name.log"
    tail -n 25 "$out/$name.log"
    return 1
  fi
}

{
  nvidia-smi
  nvcc --version || /usr/local/cuda/bin/nvcc --version
  c++ --version
  git log -1 --format='commit %H%n%s' && git status --short
} >"$out/machine.log" 2>&1
say "GPU: $gpu, sm_$capability, driver $(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -n 1), commit $(git rev-parse --short HEAD 2>/dev/null)"

# ---- build

benchmarks=OFF
if [ -n "$(find /usr/include /usr/local/include -name benchmark.h -path '*benchmark/benchmark.h' 2>/dev/null | head -n 1)" ]; then
  benchmarks=ON
fi
generator=''
command -v ninja >/dev/null && generator='-G Ninja'
# configure OPTION...
configure() { # shellcheck disable=SC2086
  cmake -S "$root" $generator -DCMAKE_BUILD_TYPE=Release -DFRYER_CUDA=ON -DFRYER_CUDA_ARCHITECTURES="$capability" "$@"
}
# The program with blocks of $1 threads, as fryer-block-$1.
build_shape() {
  configure -B "$build-shapes" -DFRYER_BUILD_TESTS=OFF -DFRYER_CUDA_BLOCK_THREADS="$1" &&
    cmake --build "$build-shapes" -j "$(nproc)" --target fryer_program && cp "$build-shapes/fryer" "$build/fryer-block-$1"
}
# shellcheck source=bench/gpu/targets.sh
. bench/gpu/targets.sh
[ "$benchmarks" = ON ] && targets="$targets fryer_bench"
if [ -z "$built" ]; then
  always configure configure -B "$build" -DFRYER_BUILD_TESTS=ON -DFRYER_BUILD_BENCHMARKS="$benchmarks" || exit 1
  # shellcheck disable=SC2086
  always build cmake --build "$build" -j "$(nproc)" --target $targets || exit 1
  for threads in $shapes; do always "build_block_$threads" build_shape "$threads"; done
else
  say "SKIP build: the programs in $build are run"
  [ -x "$build/fryer_bench" ] && benchmarks=ON || benchmarks=OFF
fi

# ---- tests

# gtest BINARY: passes if it ran tests, and none failed or was skipped
gtest() {
  "$build/tests/$1" >"$out/$1.output" 2>&1
  status=$?
  cat "$out/$1.output"
  [ "$status" -eq 0 ] || return "$status"
  skipped=$(grep -c '^\[  SKIPPED \]' "$out/$1.output")
  rm "$out/$1.output"
  [ "$skipped" -eq 0 ]
}
step cuda_kernels gtest test_cuda_kernels
step cuda_backend gtest test_cuda_backend
step warp_bodies gtest test_warp_bodies
step cart_pole_bodies gtest test_cart_pole_bodies
step q_training_bodies gtest test_q_training_bodies
step digests gtest test_digests

# ---- the program: same digest on both, for work large enough to fill the GPU

fryer=$build/fryer
digest_of() { sed -n 's/.*"digest": *"\([0-9a-f]*\)".*/\1/p' | head -n 1; }
same_digest() {
  on_gpu=$("$fryer" "$@" --device cuda --json --quiet | digest_of)
  on_cpu=$("$fryer" "$@" --device cpu --json --quiet | digest_of)
  echo "$*: $on_gpu on the GPU, $on_cpu on the CPU"
  [ -n "$on_gpu" ] && [ "$on_gpu" = "$on_cpu" ]
}
step devices "$fryer" devices
step program_population same_digest train FryShack-v0 --replicas 1e6
step program_threshold same_digest train FryShack-v0 --replicas 3e5 --until 0.4 --batch 2
step program_gradient same_digest gradient FryShack-v0 --episodes 1e9 --bias -7
step program_evaluate same_digest evaluate FryShack-v0 --episodes 1e9
step program_pole_population same_digest train CartPole-v1 --preset solve --replicas 2e4
step program_pole_standardised same_digest train CartPole-v0 --baseline standardize --updates 50 --replicas 2e4
step program_hidden_population same_digest train CartPole-v1 --hidden 8 --updates 20 --replicas 5e3
step program_hidden_batch same_digest train CartPole-v1 --hidden 16 --activation sigmoid --baseline standardize --batch 1e4 --updates 5
step program_pole_batch same_digest train CartPole-v1 --batch 1e5 --updates 20
step program_pole_gradient same_digest gradient CartPole-v1 --episodes 1e7
step program_pole_evaluate same_digest evaluate CartPole-v1 --episodes 1e7
step program_dqn_population same_digest train CartPole-v1 --algorithm dqn --episodes 60 --replicas 600
step program_dqn_workshop same_digest train CartPole-v0 --preset workshop --episodes 40 --replicas 40
step program_dqn_large same_digest train CartPole-v1 --preset zoo --episodes 60 --replicas 40
step program_online_population same_digest train CartPole-v1 --preset tensorflow --replicas 5e3

# ---- blocks of other sizes, whose grids differ too: the same digests (value learners' blocks are teams of one size)

same_shape() {
  usual=$fryer fryer=$build/fryer-block-$1 status=0
  same_digest train FryShack-v0 --replicas 1e5 --batch 2 || status=1
  same_digest train FryShack-v0 --replicas 1e5 --until 0.4 || status=1
  same_digest gradient FryShack-v0 --episodes 1e8 --bias -7 || status=1
  same_digest evaluate FryShack-v0 --episodes 1e8 || status=1
  same_digest train CartPole-v1 --preset solve --replicas 3e3 || status=1
  same_digest train CartPole-v0 --updates 20 --replicas 7 || status=1
  same_digest gradient CartPole-v1 --episodes 1e6 || status=1
  same_digest evaluate CartPole-v1 --episodes 1e6 || status=1
  same_digest train CartPole-v1 --hidden 8 --updates 10 --replicas 500 || status=1
  same_digest gradient CartPole-v1 --hidden 1 --parameters 0.1,0.5,3,1,0,2,0 --episodes 1e5 || status=1
  same_digest evaluate CartPole-v1 --hidden 1 --parameters 0.1,0.5,3,1,0,2,0 --episodes 1e5 || status=1
  fryer=$usual
  return $status
}
for threads in $shapes; do
  if [ -x "$build/fryer-block-$threads" ]; then
    step "block_$threads" same_shape "$threads"
  else
    say "SKIP block_$threads: there is no $build/fryer-block-$threads"
  fi
done

# ---- from the start of the process to its exit, the CUDA context included

# milliseconds COMMAND...: the best of five; fails where one of them does
milliseconds() {
  least=''
  for _ in 1 2 3 4 5; do
    from=$(date +%s%N)
    "$@" >/dev/null || return 1
    taken=$((($(date +%s%N) - from) / 1000000))
    [ -n "$least" ] && [ "$least" -le "$taken" ] || least=$taken
  done
  echo "$least"
}
start_up() {
  on_gpu=$(milliseconds "$fryer" train FryShack-v0 --device cuda:0 --quiet --json) || return 1
  on_cpu=$(milliseconds "$fryer" train FryShack-v0 --device cpu --quiet --json) || return 1
  # shellcheck disable=SC2016
  refused=$(milliseconds sh -c '"$0" train FryShack-v0 --device cuda:0 --batch 0 2>/dev/null; [ $? -eq 2 ]' "$fryer") || return 1
  echo "$on_gpu ms on the GPU, $on_cpu on the CPU, $refused to refuse bad input" >"$out/start_up.times"
  cat "$out/start_up.times"
}
step start_up start_up && say "a single training from start to exit: $(cat "$out/start_up.times")"

# ---- studies: the same digest on both, killed or not

studies=$out/studies
mkdir -p "$studies"
cat >"$studies/fry_shack.toml" <<'END'
environment = "FryShack-v0"
[grid]
learning_rate = [0.05, 0.1, 0.2]
batch = [1, 4]
[seeds]
count = 50_000
[record]
curve_every = 40
END
cat >"$studies/pole.toml" <<'END'
environment = "CartPole-v1"
until = 475
updates = 100
[grid]
learning_rate = [0.1, 0.3]
baseline = ["none", "mean"]
[seeds]
count = 2_000
[record]
evaluation_episodes = 10
thresholds = [195]
END
# Some seconds on a large GPU, so that it can be killed on its way.
cat >"$studies/many_cells.toml" <<'END'
environment = "CartPole-v1"
until = 475
[grid]
learning_rate = {from = 0.05, to = 0.4, steps = 100}
[seeds]
count = 20_000
END
cat >"$studies/value_learners.toml" <<'END'
environment = "CartPole-v1"
algorithm = "dqn"
episodes = 30
[grid]
learning_rate = [5e-4, 1e-3]
double = [false, true]
[seeds]
count = 100
[record]
curve_every = 10
END
value_of() { sed -n "s/^ *\"$1\": *\"\{0,1\}\([0-9a-z.]*\).*/\1/p" | head -n 1; } # of the first line that has the key
# run_study FILE DEVICE: from its beginning; its document
run_study() {
  rm -f "$studies"/run.db*
  "$fryer" study run "$1" -o "$studies/run.db" --device "$2" --json --quiet
}
same_study() {
  on_gpu=$(run_study "$1" cuda:0 | value_of digest)
  on_cpu=$(run_study "$1" cpu | value_of digest)
  echo "$1: $on_gpu on the GPU, $on_cpu on the CPU"
  [ -n "$on_gpu" ] && [ "$on_gpu" = "$on_cpu" ]
}
status_of() { "$fryer" study status "$studies/killed.db" --json 2>/dev/null; }
# killed_study FILE: with -9 after its first chunks; what is then resumed ends as the study that ran through
killed_study() {
  through=$(run_study "$1" cuda:0 | value_of digest)
  rm -f "$studies"/killed.db*
  "$fryer" study run "$1" -o "$studies/killed.db" --device cuda:0 --quiet &
  runner=$!
  while kill -0 "$runner" 2>/dev/null; do
    finished=$(status_of | value_of finished)
    [ "${finished:-0}" -gt 0 ] && break
    sleep 0.05
  done
  kill -9 "$runner"
  wait "$runner"
  echo "killed with $(status_of | value_of finished) of $(status_of | value_of planned) trainings finished"
  if [ "$(status_of | value_of complete)" != false ]; then
    echo "it had ended by itself: nothing was resumed"
    return 1
  fi
  resumed=$("$fryer" study resume "$studies/killed.db" --device cuda:0 --json --quiet | value_of digest)
  echo "$1: $resumed resumed, $through without a stop"
  [ -n "$resumed" ] && [ "$resumed" = "$through" ]
}
# failed_study FILE: on a GPU that fails at the K-th call of the process, with the first K of 100, 200, 400, ... by which a chunk was
# finished. It ends with 3 and keeps that, the CPU goes on; or, with --retry, fresh processes do, each of which fails later.
failed_study() {
  through=$(run_study "$1" cuda:0 | value_of digest)
  failing=50 finished=0
  while [ "${finished:-0}" -eq 0 ]; do
    failing=$((2 * failing))
    rm -f "$studies"/failed.db*
    FRYER_FAIL_CUDA_CALL=$failing "$fryer" study run "$1" -o "$studies/failed.db" --device cuda:0 --quiet
    status=$?
    finished=$("$fryer" study status "$studies/failed.db" --json | value_of finished)
    echo "failed at call $failing: exit $status with $finished trainings finished"
    [ "$status" -eq 3 ] || return 1
  done
  resumed=$("$fryer" study resume "$studies/failed.db" --device cpu --json --quiet | value_of digest)
  rm -f "$studies"/failed.db*
  retried=$(FRYER_FAIL_CUDA_CALL=$((2 * failing)) "$fryer" study run "$1" -o "$studies/failed.db" --device cuda:0 --retry 50 \
    --json --quiet | value_of digest)
  echo "$1: $resumed resumed on the CPU, $retried in fresh processes, $through without a failure"
  [ -n "$resumed" ] && [ "$resumed" = "$through" ] && [ "$retried" = "$through" ]
}
# failed_training: nothing is printed, the exit status is 3
failed_training() {
  printed=$(FRYER_FAIL_CUDA_CALL=12 "$fryer" train CartPole-v1 --preset solve --replicas 1e4 --device cuda:0 --json)
  [ $? -eq 3 ] && [ -z "$printed" ]
}
# timed_study FILE: the best of three runs on the GPU, in timed_study.seconds
timed_study() {
  for _ in 1 2 3; do run_study "$1" cuda:0 | value_of wall_seconds; done | sort -g | head -n 1 >"$out/timed_study.seconds"
  cat "$out/timed_study.seconds"
  [ -s "$out/timed_study.seconds" ]
}
step study_fry_shack same_study "$studies/fry_shack.toml"
step study_pole same_study "$studies/pole.toml"
step study_value_learners same_study "$studies/value_learners.toml"
step study_killed killed_study "$studies/many_cells.toml"
step study_failed failed_study "$studies/many_cells.toml"
step training_failed failed_training
step study_notebook_luck same_study bench/studies/notebook_luck.toml
step study_time timed_study bench/studies/notebook_luck.toml &&
  say "study run bench/studies/notebook_luck.toml, a million trainings into a file: $(cat "$out/timed_study.seconds") s"

# ---- compute-sanitizer: on small work, it is a hundred times slower

sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
if [ -n "$sanitizer" ]; then
  # Every kernel: of the fry shack, CartPole, hidden layers, value learners; and trainings that fail.
  for tool in memcheck racecheck synccheck initcheck; do
    for runs in ReferenceDigests ReferenceDigestsOfCartPole ReferenceDigestsOfHiddenLayers ReferenceDigestsOfValueLearners \
      SumsEpisodesWithAHiddenLayerAsTheCpuDoes FailsCartPoleTrainingsAsTheCpuDoes; do
      step "sanitizer_${tool}_$runs" timeout 300 "$sanitizer" --tool "$tool" --error-exitcode 9 "$build/tests/test_cuda_backend" \
        --gtest_filter="*$runs"
    done
  done
else
  say "SKIP sanitizer: compute-sanitizer is not installed"
fi

# ---- speed

if [ "$benchmarks" = ON ]; then
  step benchmark "$build/fryer_bench" --benchmark_filter='^cuda/' --benchmark_repetitions=3 \
    --benchmark_out="$out/benchmark.json" --benchmark_out_format=json
  grep -q 'ERROR OCCURRED' "$out/benchmark.log" && say "FAIL benchmark_checks: see benchmark.log"
else
  say "SKIP benchmark: Google Benchmark is not installed (libbenchmark-dev)"
fi
step bench_command sh -c "'$fryer' bench --device cuda:0 --suite full --json >'$out/bench.json'"
if ! command -v python3 >/dev/null; then
  say "SKIP count_sass: python3 is not installed"
elif ! command -v nvcc >/dev/null && [ ! -x /usr/local/cuda/bin/nvcc ]; then
  say "SKIP count_sass: nvcc is not installed"
elif disassembler=$(sh bench/gpu/cuobjdump.sh 2>"$out/cuobjdump.log"); then
  step count_sass sh -c "CUOBJDUMP='$disassembler' python3 bench/gpu/count_sass.py --arch $capability --check >'$out/sass.json'"
else
  say "SKIP count_sass: $(tail -n 1 "$out/cuobjdump.log")"
fi

failed=$(grep -c '^FAIL' "$summary")
say "$(grep -c '^PASS' "$summary") passed, $failed failed, $(grep -c '^SKIP' "$summary") skipped; everything is in $out"
[ "$failed" -eq 0 ]
