#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The program on processors without AVX-512 (Haswell) and without AVX (Nehalem), emulated: it starts, chooses what is there, gives the
# bits of this machine, and refuses an instruction set that is not there with exit code 3. Usage: old_processors.sh PROGRAM
set -eu
program=$1
if ! command -v qemu-x86_64 >/dev/null 2>&1; then echo "Skipped: qemu-x86_64 is not installed (package qemu-user)"; exit 0; fi
if [ "$(uname -m)" != x86_64 ]; then echo "Skipped: this is not an x86-64 machine"; exit 0; fi

run() { "$@" train FryShack-v0 --device cpu --replicas 50 --updates 60 --batch 2 --learn-weight --json --quiet; }
digest() { sed -n 's/.*"digest": *"\([0-9a-f]*\)".*/\1/p'; }
expected=$(run "$program" | digest)
[ -n "$expected" ] || { echo "no digest in the native run"; exit 1; }
for case in Nehalem:scalar Haswell:avx2; do
  cpu=${case%:*} isa=${case#*:}
  result=$(run qemu-x86_64 -cpu "$cpu" "$program" 2>/dev/null)
  [ "$(echo "$result" | digest)" = "$expected" ] || { echo "$cpu: other bits than here"; exit 1; }
  echo "$result" | grep -q "\"isa\": *\"$isa\"" || { echo "$cpu: did not choose $isa"; exit 1; }
  status=0
  FRYER_ISA=avx512 run qemu-x86_64 -cpu "$cpu" "$program" >/dev/null 2>&1 || status=$?
  [ "$status" -eq 3 ] || { echo "$cpu: FRYER_ISA=avx512 ended with $status instead of 3"; exit 1; }
done
echo "Nehalem and Haswell give the digest of this machine, $expected"
