#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a billion trainings take: the tables of bench/results/billion_trainings.md, computed from the inputs below.

    python3 bench/studies/billion.py [--gpu-hour DOLLARS] [--core-hour DOLLARS]
    python3 bench/studies/billion.py --measure PROGRAM     what a training is and takes of a study's file, on this machine

Needs nothing but Python. A GPU's rates are roofs from counted instructions, not measurements, and say so in the table.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

TRAININGS = 1_000_000_000

# ---- inputs

# By --measure. work: updates of a training, or its steps, the mean; bytes: what a training more adds to the study's file.
WORKLOADS = [
    dict(name="fry shack, the notebook's 280 updates", unit="updates", work=280, bytes=10.9,
         study='environment = "FryShack-v0"\npreset = "notebook"\n', seeds=1_000_000,
         # A billion into a file on two busy cores: 916 s of processor time. sass_sm90.md: 175 instructions an update at most.
         core_rate=TRAININGS / 916, instructions=175),
    dict(name="CartPole-v1 to a mean return of 475", unit="steps", work=206_919, bytes=28.1,
         study='environment = "CartPole-v1"\nuntil = 475\n', seeds=10_000,
         # epyc-zen4-2core/cart_pole.md; sass_sm90.md: about 96 instructions a step with what ends episodes and batches.
         core_rate=2590, instructions=96),
    dict(name="DQN, the workshop's 500 episodes", unit="updates", work=77_764, bytes=205,
         study='environment = "CartPole-v0"\npreset = "workshop"\n', seeds=40,
         # epyc-zen4-2core/value_learners.md, updates/s over the updates of a training; sass_sm90.md: 33,300 instructions of each of four warps.
         core_rate=29_700 / 77_764, instructions=4 * 32 * 33_300),
]
LANES_A_SECOND = 132 * 128 * 1.98e9  # an H200: multiprocessors, lanes that their schedulers issue for in a clock, clocks
SHARE_OF_ROOF = 0.8                  # what fryer aims at (never measured)
ROWS_A_SECOND = 4e6                  # one process writes to its file on a busy machine (epyc-zen4-2core/studies.md)
GPUS = (1, 8, 64)
CORES = (2, 64, 1024)
# ---- end of the inputs


def seconds_text(seconds):
    for size, unit in ((86400 * 365.25, "years"), (86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def bytes_text(count):
    for size, unit in ((1e12, "TB"), (1e9, "GB")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1e6:.3g} MB"


def rate_text(rate):
    return f"{float(f'{rate:.3g}'):,.0f}" if rate >= 100 else f"{rate:.3g}"


def dollars(amount):
    return f"${amount:,.0f}" if amount >= 100 else f"${amount:,.2f}"


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def roof(workload):
    return LANES_A_SECOND / (workload["instructions"] * workload["work"])


def entry(rate, units, price):
    """Time of a billion at this rate a unit, and what so many units cost for so long; * where writing the rows takes longer."""
    compute, write = TRAININGS / (rate * units), TRAININGS / (ROWS_A_SECOND * units)
    seconds = max(compute, write)
    return f"{seconds_text(seconds)}{'*' if write > compute else ''}, {dollars(price * units * seconds / 3600)}"


def print_tables(gpu_hour, core_hour):
    table(["a training", "of it, on average", "trainings/s a core, measured", "an H200's roof, counted", "a billion in a file"],
          [[w["name"], f"{w['work']:,.0f} {w['unit']}", rate_text(w["core_rate"]), rate_text(roof(w)),
            f"{bytes_text(TRAININGS * w['bytes'])} ({w['bytes']:.3g} bytes each)"] for w in WORKLOADS])
    table(["CPU, measured rate"] + [f"{n:,} cores" for n in CORES],
          [[w["name"]] + [entry(w["core_rate"], n, core_hour) for n in CORES] for w in WORKLOADS])
    for share in (SHARE_OF_ROOF, 1):
        table([f"GPU, {share:.0%} of the roof, NOT measured"] + [f"{n} GPU{'s' if n > 1 else ''}" for n in GPUS],
              [[w["name"]] + [entry(share * roof(w), n, gpu_hour) for n in GPUS] for w in WORKLOADS])


def measure(program):
    """Runs each study with so many seeds and with three times as many; a training's bytes are the difference."""
    for w in WORKLOADS:
        sizes = []
        for seeds in (w["seeds"], 3 * w["seeds"]):
            with tempfile.TemporaryDirectory() as folder:
                toml, db = pathlib.Path(folder, "s.toml"), pathlib.Path(folder, "s.db")
                toml.write_text(f"{w['study']}[seeds]\nfirst = 1\ncount = {seeds}\n")
                said = subprocess.run([program, "study", "run", toml, "-o", db, "--json", "--quiet"], check=True, capture_output=True)
                sizes.append(db.stat().st_size)
                document = json.loads(said.stdout)
        work = document["optimizer_updates" if w["unit"] == "updates" else "steps"] / seeds
        print(f"{w['name']}: {work:,.1f} {w['unit']} a training, {(sizes[1] - sizes[0]) / (2 * w['seeds']):.2f} bytes each more "
              f"({sizes[0]:,} bytes for {w['seeds']:,}), {seeds / document['wall_seconds']:,.4g} trainings/s "
              f"on {document['backend']['threads']} threads, digest {document['digest']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu-hour", type=float, default=3.5, help="dollars for an H200 and its share of a node, an hour (3.5)")
    parser.add_argument("--core-hour", type=float, default=0.04, help="dollars for a CPU core, an hour (0.04)")
    parser.add_argument("--measure", metavar="PROGRAM", help="run small studies by it, and print the inputs that come of them")
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
    else:
        print_tables(options.gpu_hour, options.core_hour)


if __name__ == "__main__":
    main()
