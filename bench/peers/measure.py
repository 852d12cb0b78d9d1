# SPDX-License-Identifier: Apache-2.0
"""Measures one peer: `measure.py ROW` prints how much work the row does in a second of this process's CPU time, on one thread, and nothing else
on stdout. Without a row it prints the versions of Python and of the packages.

A row is NAME or NAME@SIZE, a function in episodes.py or value_learners.py that prepares its work and returns run(): it does some of that work
and returns how much. CPU time, all threads together, because that leaves out what other programs take on a busy machine; on a quiet one, bound
to one core, it is the time that passes."""
import importlib.metadata
import os
import pathlib
import platform
import sys
import time

os.environ.update(XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1", JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="",
                  OMP_NUM_THREADS="1", JAX_TRACEBACK_FILTERING="off")


def rate(run, seconds=3.0):
    run()  # compiles, and fills the caches
    work, begin = 0, time.process_time()
    while True:
        work += run()
        took = time.process_time() - begin
        if took >= seconds:
            return work / took


def versions():
    yield f"Python {platform.python_version()}"
    for line in pathlib.Path(__file__).with_name("requirements.txt").read_text().split():
        package = line.partition("==")[0]
        try:
            yield f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"no {package}"


def main(arguments):
    if not arguments:
        print(", ".join(versions()))
        return
    import episodes
    import value_learners

    rows = {**episodes.ROWS, **value_learners.ROWS}
    name, _, size = arguments[0].partition("@")
    if len(arguments) != 1 or name not in rows:
        sys.exit(f"usage: measure.py [ROW], ROW one of {', '.join(rows)}, most of them with @SIZE")
    print(f"{rate(rows[name](*([int(size)] if size else []))):.6g}")


main(sys.argv[1:])
