#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds what bench/gpu/verify.sh runs, on a machine with nvcc but without that GPU, for one with that GPU but without compilers and libraries:
#   sh bench/gpu/pack.sh ARCHITECTURE DIR       (90: compute capability 9.0; DIR gets the programs and, in DIR/lib, their libraries)
# There, with this repository and DIR: sh bench/gpu/verify.sh --built DIR. Its glibc and libstdc++ must not be older than this machine's.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
architecture=${1:-} pack=${2:-}
case $architecture in '' | *[!0-9]*) echo "pack.sh: '$architecture' is no architecture; a number like 90" >&2; exit 2 ;; esac
[ -n "$pack" ] || { echo "pack.sh: needs a folder" >&2; exit 2; }
mkdir -p "$pack"
pack=$(cd "$pack" && pwd)
# What an earlier call left must not pass for this one's, and nothing else may be deleted.
if [ -n "$(ls -A "$pack")" ] && [ ! -f "$pack/packed.txt" ]; then
  echo "pack.sh: $pack is not empty and not a pack; give an empty folder or a new one" >&2
  exit 2
fi
rm -rf "${pack:?}/tests" "${pack:?}/lib" "$pack/fryer" "$pack/fryer_bench" "$pack"/fryer-block-*
mkdir "$pack/tests" "$pack/lib"
echo "What bench/gpu/pack.sh built for sm_$architecture" >"$pack/packed.txt"
cd "$root"
# shellcheck source=bench/gpu/targets.sh
. bench/gpu/targets.sh
build=build/pack-$architecture
benchmarks=OFF
if [ -n "$(find /usr/include /usr/local/include -name benchmark.h -path '*benchmark/benchmark.h' 2>/dev/null | head -n 1)" ]; then
  benchmarks=ON targets="$targets fryer_bench"
fi
generator=''
command -v ninja >/dev/null && generator='-G Ninja'
# Without MPI, which that machine need not have. Blocks of other sizes first, so that what stays is the usual program.
for threads in $shapes 0; do
  # shellcheck disable=SC2086
  cmake -S . -B "$build" $generator -DCMAKE_BUILD_TYPE=Release -DFRYER_CUDA=ON -DFRYER_CUDA_ARCHITECTURES="$architecture" \
    -DFRYER_MPI=OFF -DFRYER_BUILD_TESTS=ON -DFRYER_BUILD_BENCHMARKS="$benchmarks" -DFRYER_CUDA_BLOCK_THREADS="$threads"
  [ "$threads" -eq 0 ] && break
  cmake --build "$build" -j "$(nproc)" --target fryer_program
  cp "$build/fryer" "$pack/fryer-block-$threads"
done
# shellcheck disable=SC2086
cmake --build "$build" -j "$(nproc)" --target $targets
cp "$build/fryer" "$pack"
[ "$benchmarks" = OFF ] || cp "$build/fryer_bench" "$pack"
for target in $targets; do
  case $target in test_*) cp "$build/tests/$target" "$pack/tests" ;; esac
done
# All shared libraries but the C and C++ ones, and the driver's.
needed=$(find "$pack"/fryer* "$pack/tests" -type f -perm -u+x -exec ldd {} +)
if echo "$needed" | grep -v 'libcuda\.so' | grep 'not found' >&2; then
  echo "pack.sh: these libraries of the programs are not on this machine" >&2
  exit 1
fi
echo "$needed" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
  { grep -Ev '/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+|cuda))\.so' || true; } |
  while read -r library; do cp -L "$library" "$pack/lib"; done
if ! ls "$pack"/lib/libsqlite3.so* >/dev/null 2>&1; then
  echo "pack.sh: the programs' libraries were not found: SQLite's is missing in $pack/lib" >&2
  exit 1
fi
echo "in $pack: $(find "$pack" -type f | wc -l) files, $(du -sh "$pack" | cut -f 1)"
