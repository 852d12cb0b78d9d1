#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The two commands of the README:
#   sh cmake/bootstrap.sh demo   installs what is missing, builds the program, runs the notebook, a million trainings and CartPole
#   sh cmake/bootstrap.sh test   installs what is missing, builds everything, runs all fast tests
# From any directory, as often as you like: where nothing is missing nothing is installed (so it works offline), and what is
# built already is not built again. It writes to build/ only.
#
# Package names are Debian 12's, where this is tested. Ubuntu 24.04 has them under the same names (Highway 1.0.7, oneTBB
# 2021.11, Thrust 2.0.1, CLI11 2.4.1, toml++ 3.4.0, most of them in "universe", by its package index); it was not run there.
set -eu

usage() {
  cat <<'END'
usage: sh cmake/bootstrap.sh demo|test [options] [-- CMAKE-OPTIONS]
  --no-install           list the packages that are missing and stop, instead of installing them
  --compiler gcc|clang   default: $CXX if set, else gcc
  --build-dir DIR        default: build/release, or build/release-clang
END
}
fail() { echo "bootstrap: $*" >&2; exit 1; }
misuse() { usage >&2; echo "bootstrap: $*" >&2; exit 2; }
say() { echo "== $*"; }

main_job() {
  show "$build/fryer" notebook
  show "$build/fryer" train FryShack-v0 --replicas 1000000
  show "$build/fryer" train CartPole-v1 --preset solve --replicas 1000
}
list_skipped() { # a test says "Skipped", then why: on the next line (GoogleTest) or on the same (ours)
  awk '/^[0-9]+\/[0-9]+ Test: / { test = $3 }
       /^Skipped: / { sub("^Skipped: ", ""); why[$0] = why[$0] " " test }
       /: Skipped$/ { getline; why[$0] = why[$0] " " test }
       END { for (reason in why) print "== skipped, " reason ":" why[reason] }' "$1"
}
show() { echo; echo "\$ $*"; "$@"; }

# ---- what is asked for

job='' install=yes compiler='' build=''
while [ $# -gt 0 ]; do
  case $1 in
    demo|test) job=$1 ;;
    --no-install) install=no ;;
    --compiler|--build-dir)
      [ $# -ge 2 ] || misuse "$1 needs a value"
      if [ "$1" = --compiler ]; then compiler=$2; else build=$2; fi
      shift ;;
    --) shift; break ;;
    -h|--help) usage; exit 0 ;;
    *) misuse "what is '$1'?" ;;
  esac
  shift
done
[ -n "$job" ] || misuse "demo or test?"
# From here on "$@" holds the options for CMake.

root=$(cd "$(dirname "$0")/.." && pwd)
preset=release
chosen=${compiler:-${CXX:-}} # empty: any compiler will do
case $compiler in
  gcc) CXX=g++ ;;
  clang) CXX=clang++ preset=release-clang ;;
  '') CXX=${CXX:-g++} ;;
  *) misuse "--compiler is gcc or clang, not '$compiler'" ;;
esac
export CXX
case $build in
  '') build=$root/build/$preset ;;
  /*) ;;
  *) build=$PWD/$build ;;
esac

# ---- what is missing

nvcc=''
for candidate in "${CUDACXX:-}" nvcc /usr/local/cuda/bin/nvcc /opt/cuda/bin/nvcc; do
  if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1; then nvcc=$candidate; break; fi
done

missing=''
have_tool() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
have_package() {
  case $(dpkg-query -W -f='${Status}' "$1" 2>/dev/null) in
    "install ok installed") ;;
    *) missing="$missing $1" ;;
  esac
}

# Every dependency, once: tools by name, libraries by package.
have_tool cmake cmake
have_tool ninja ninja-build
if [ -n "$nvcc" ]; then have_tool g++ g++; fi # nvcc leaves host code to it
case $CXX in
  g++) have_tool g++ g++ ;;
  clang++) have_tool clang++ clang ;;
  *) command -v "${CXX%% *}" >/dev/null 2>&1 || fail "the compiler \$CXX=$CXX was not found" ;;
esac
libraries="libhwy-dev libtbb-dev libfmt-dev libxxhash-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev
  libsqlite3-dev libarchive-dev libboost-math-dev"
if [ -z "$nvcc" ]; then libraries="$libraries libthrust-dev"; fi # the CUDA toolkit brings its own
if [ "$job" = test ]; then
  have_tool gnuplot gnuplot-nox # draws the plots of reports; without it `fryer study report` says so
  libraries="$libraries libgtest-dev libmpfr-dev"
  if ! command -v mpiexec >/dev/null 2>&1; then libraries="$libraries libopenmpi-dev openmpi-bin"; fi # ranks are optional, and tested
fi
if command -v dpkg-query >/dev/null 2>&1; then
  for library in $libraries; do have_package "$library"; done
else
  say "not a Debian or Ubuntu, so the libraries cannot be checked here; needed are: $libraries"
fi

if [ -n "$missing" ]; then
  if [ $install = no ]; then
    echo "bootstrap: missing:$missing" >&2
    echo "bootstrap: to install: apt-get install --no-install-recommends$missing" >&2
    exit 1
  fi
  command -v apt-get >/dev/null 2>&1 || fail "missing, and there is no apt-get to install them with:$missing"
  sudo=''
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || fail "missing:$missing (run as root: apt-get install --no-install-recommends$missing)"
    sudo=sudo
  fi
  say "installing:$missing"
  install_missing() {
    # shellcheck disable=SC2086 # one word a package
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
  }
  # The package lists may be absent (a fresh container) or old: fetched only when they do not do.
  install_missing || { $sudo apt-get update -q && install_missing; } || fail "could not install:$missing"
fi

version=$(cmake --version | sed -n '1s/[^0-9]*//p')
[ "$(printf '%s\n3.25\n' "$version" | sort -V | head -n 1)" = 3.25 ] || fail "cmake is version $version, needed is 3.25 or newer"

# ---- configure, build, run

cached() { if [ -f "$build/CMakeCache.txt" ]; then sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; fi; }

configure=no
if [ ! -f "$build/build.ninja" ] || [ $# -gt 0 ]; then configure=yes; fi
if [ "$job" = test ] && [ "$(cached FRYER_BUILD_TESTS)" != ON ]; then configure=yes; fi
if [ -n "$chosen" ] && [ -f "$build/CMakeCache.txt" ]; then
  if [ "$(readlink -f "$(cached CMAKE_CXX_COMPILER)")" != "$(readlink -f "$(command -v "$CXX")")" ]; then
    say "$build was configured for another compiler: starting it afresh"
    rm -rf "$build/CMakeCache.txt" "$build/CMakeFiles"
    configure=yes
  fi
fi
if [ $configure = yes ]; then
  if [ ! -f "$build/CMakeCache.txt" ]; then
    # Machine code for the GPU that is here, or for one: a release's seven generations take seven times as long. A GPU that is
    # unknown to this nvcc gets the PTX of compute_90, which newer ones can run.
    if [ -n "$nvcc" ]; then
      architectures=''
      for capability in $(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | tr -d . | sort -u); do
        if "$nvcc" --list-gpu-arch 2>/dev/null | grep -qx "compute_$capability"; then
          architectures="$architectures${architectures:+;}$capability"
        fi
      done
      set -- "-DFRYER_CUDA_ARCHITECTURES=${architectures:-90}" "$@"
    fi
  fi
  if [ "$job" = test ]; then tests=ON; else tests=$(cached FRYER_BUILD_TESTS); fi
  say "configuring $build ($CXX)"
  cmake -S "$root" --preset "$preset" -B "$build" "-DFRYER_BUILD_TESTS=${tests:-OFF}" "$@"
fi

say "building"
if [ "$job" = demo ]; then
  cmake --build "$build" --target fryer_program
  main_job
else
  cmake --build "$build"
  say "testing"
  jobs=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
  status=0
  ctest --test-dir "$build" -LE '^slow$' -j "$jobs" --output-on-failure --no-tests=error || status=$?
  list_skipped "$build/Testing/Temporary/LastTest.log"
  exit $status
fi
