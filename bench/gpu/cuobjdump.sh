#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the path of a cuobjdump, NVIDIA's disassembler: $CUOBJDUMP, the CUDA toolkit's, or that of the Python package triton, which is installed
# into build/cuobjdump from PyPI (some 200 MB) where there is none. Says why on stderr, with exit code 1, where that cannot be done.
set -u
cd "$(dirname "$0")/../.." || exit 1
fail() { echo "no cuobjdump: $1" >&2; exit 1; }

if [ -n "${CUOBJDUMP:-}" ]; then
  [ -f "$CUOBJDUMP" ] && [ -x "$CUOBJDUMP" ] || fail "CUOBJDUMP is $CUOBJDUMP, which is not a program"
  echo "$CUOBJDUMP"
  exit
fi
for tool in "$(command -v cuobjdump)" /usr/local/cuda/bin/cuobjdump; do
  [ -f "$tool" ] && [ -x "$tool" ] && { echo "$tool"; exit; }
done
venv=build/cuobjdump
find_tool() { find "$venv" -path '*/triton/backends/nvidia/bin/cuobjdump' 2>/dev/null | head -n 1; }
tool=$(find_tool)
if [ -z "$tool" ]; then
  command -v python3 >/dev/null || fail "the toolkit has none, and python3 is not installed"
  python3 -m venv "$venv" >&2 || fail "the toolkit has none, and python3 cannot make a virtual environment (python3-venv)"
  "$venv/bin/pip" install --quiet --timeout 20 --retries 1 triton==3.9.0 >&2 || fail "the toolkit has none, and PyPI cannot be reached"
  tool=$(find_tool)
fi
[ -n "$tool" ] || fail "the package triton has none"
echo "$PWD/$tool"
