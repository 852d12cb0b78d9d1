#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Strong and weak scaling over MPI ranks, and a model of where adding up begins to cost.

    python3 bench/ranks.py [--program build/release/fryer] [--out FILE.md] [--most RANKS] [--rounds 3] [--mpiexec "mpiexec ..."]

A rank has one thread. Rounds alternate between numbers of ranks; ratios are of neighbouring runs, medians of the rounds. Every run of one
piece of work must have one digest, or this fails. Seconds are the program's own, without the launcher's and MPI's start, which is told apart.
"""

import argparse
import json
import math
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

# name, words, option of the number, its value for one rank
WORK = [
    ("fry-shack gradient, episodes", ["gradient", "FryShack-v0"], "--episodes", 2_000_000_000),
    ("CartPole evaluation, episodes", ["evaluate", "CartPole-v1", "--random"], "--episodes", 60_000_000),
    ("CartPole, one policy, batch", ["train", "CartPole-v1", "--updates", "20"], "--batch", 1_000_000),
    ("CartPole trainings to 475, replicas", ["train", "CartPole-v1", "--preset", "solve", "--until", "475"], "--replicas", 30_000),
    ("DQN, 30 episodes, replicas", ["train", "CartPole-v0", "--preset", "workshop", "--episodes", "30"], "--replicas", 300),
]
STUDY = """environment = "CartPole-v1"
preset = "solve"
until = 475
[grid]
learning_rate = [0.1, 0.2]
[seeds]
count = {count}
"""
STUDY_SEEDS = 15_000
# One policy: time of an update by its batch, alone and on ranks. Their difference is what an all-reduce costs.
SMALL_BATCHES = [4096, 16384, 65536, 262144]
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


digests = {}  # of each piece of work


def run(program, words, launcher, work=None):
    """Returns (the program's own seconds, seconds from start to exit). work: what names it, if not its words."""
    start = time.perf_counter()
    done = subprocess.run([*launcher, program, *words, "--threads", "1", "--json", "--quiet"], capture_output=True, env=ENVIRONMENT, check=False)
    whole = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"ranks.py: {' '.join(words)}: exit code {done.returncode}: {done.stderr.decode()}")
    document = json.loads(done.stdout)
    digest = digests.setdefault(work or " ".join(words), document["digest"])
    if document["digest"] != digest:
        sys.exit(f"ranks.py: {work or ' '.join(words)}: digest {document['digest']} and {digest}, by the number of ranks")
    return document["wall_seconds"], whole


def study(program, count, launcher):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "s.toml")
        with open(path, "w") as file:
            file.write(STUDY.format(count=count))
        return run(program, ["study", "run", path], launcher, f"study of {count} seeds")


def race(play, ranks, rounds):
    """play(ranks, number of ranks that the work is for). Returns medians: seconds alone, of strong and of weak scaling the ratios."""
    alone, strong, weak = [], {r: [] for r in ranks}, {r: [] for r in ranks}
    for _ in range(rounds):
        alone.append(play(1, 1)[0])
        for r in ranks:
            strong[r].append(alone[-1] / play(r, 1)[0])
            weak[r].append(r * alone[-1] / play(r, r)[0])
    return statistics.median(alone), {r: statistics.median(strong[r]) for r in ranks}, {r: statistics.median(weak[r]) for r in ranks}


# ---- the model

def batch_for_share(ranks, rate, fixed, hop, share=0.1):
    """The batch whose update spends `share` of its time adding up: t = batch / (ranks rate) + fixed + hop ceil(log2 ranks)."""
    adding = fixed + hop * math.ceil(math.log2(ranks))
    return ranks * rate * adding * (1 - share) / share


def human(x):
    exponent = int(math.floor(math.log10(x)))
    return f"{x / 10**exponent:.1f} * 10^{exponent}"


def model():
    core, gpu = 6.0e8, 0.8 * 4.7e11
    networks = [("shared memory", 1e-6), ("InfiniBand", 2e-6), ("Ethernet, TCP", 25e-6)]
    lines = ["## Where adding up costs 10 %", "",
             "An update of one policy takes batch / (ranks * rate) + fixed + hop * ceil(log2 ranks): every rank plays its part, then one all-reduce of 120 bytes",
             "(a few int64; bandwidth does not count) takes as many hops as a tree is high. Assumed, not measured: latency of a hop 1 us in shared",
             f"memory, 2 us over InfiniBand, 25 us over Ethernet; rates of fry-shack gradients {core:.1g} a second and CPU core, {gpu:.2g} on an H200 (80 % of the roof",
             "counted from its machine code); fixed 1 us on a CPU, and 10 us on a GPU, for the launch and the way of the sums to the host. The batch at which the",
             "all-reduce takes a tenth of an update:", "",
             "| ranks | " + " | ".join(f"a core each, {name}" for name, _ in networks) + " | an H200 each, InfiniBand |", "|---" * (len(networks) + 2) + "|"]
    for ranks in [2, 8, 64, 1024]:
        lines.append(f"| {ranks} | " + " | ".join(human(batch_for_share(ranks, core, 1e-6, hop)) for _, hop in networks) +
                     f" | {human(batch_for_share(ranks, gpu, 10e-6, 2e-6))} |")
    lines += ["", "A CartPole episode of the policy of zeros takes thirteen times as long as a fry-shack episode, one that balances three hundred times, and the batch shrinks by",
              "that. Populations and studies send nothing while they train but a message a part: they scale until parts are too few (five a rank)."]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default="build/release/fryer")
    parser.add_argument("--out")
    parser.add_argument("--most", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=".", metavar="PATTERN")
    parser.add_argument("--mpiexec", default="mpiexec --bind-to core", help="the launcher and its options; -n RANKS follows")
    options = parser.parse_args()
    if not os.access(options.program, os.X_OK):
        sys.exit(f"ranks.py: --program {options.program} is not a program; build it first (README)")
    if options.rounds < 1 or not 2 <= options.most <= 4096:
        sys.exit("ranks.py: --rounds is accepted from 1, --most from 2 to 4096 ranks (as many as there are processors unless given)")
    version = subprocess.run([options.program, "--version"], capture_output=True, text=True, check=True).stdout
    if "\nMPI none" in version:
        sys.exit(f"ranks.py: {options.program} is built without MPI")
    ranks = [r for r in (2, 3, 4, 8, 16, 32, 64, 128, 256) if r < options.most] + [options.most]
    mpiexec = shlex.split(options.mpiexec)

    def launcher(r):
        return [*mpiexec, "-n", str(r)] if r > 1 else []

    lines = [f"# Ranks: {', '.join(line for line in version.splitlines() if line.startswith(('fryer', 'MPI')))}", "",
             f"`python3 bench/ranks.py --rounds {options.rounds} --mpiexec '{options.mpiexec}'`; one thread a rank, medians. Speed-up: how much sooner the same work is finished",
             "(strong), or how much more is finished in the same time (weak: work for each rank).", "",
             "| work | on one rank | seconds alone | " + " | ".join(f"{r} ranks: strong | weak" for r in ranks) + " |", "|---" * (3 + 2 * len(ranks)) + "|"]

    def add(name, number, play):
        if not re.search(options.only, name):
            return
        alone, strong, weak = race(play, ranks, options.rounds)
        lines.append(f"| {name} | {number:,} | {alone:.3g} | " + " | ".join(f"{strong[r]:.2f} | {weak[r]:.2f}" for r in ranks) + " |")
        print(lines[-1], file=sys.stderr)

    for name, words, option, number in WORK:
        add(name, number, lambda r, n, w=words, o=option, x=number: run(options.program, [*w, o, str(n * x)], launcher(r)))
    add("study of CartPole trainings to 475, seeds of two cells", STUDY_SEEDS, lambda r, n: study(options.program, n * STUDY_SEEDS, launcher(r)))

    lines += ["", "## An update of one policy", "", "Microseconds an update of the fry shack's policy takes, alone and on ranks:", "",
              "| batch | alone | " + " | ".join(f"{r} ranks" for r in ranks) + " |", "|---" * (2 + len(ranks)) + "|"]
    updates = 20_000
    for batch in SMALL_BATCHES:
        words = ["train", "FryShack-v0", "--batch", str(batch), "--updates", str(updates * 4096 // batch + 1000)]
        count = updates * 4096 // batch + 1000
        seconds = {r: [] for r in [1, *ranks]}
        for _ in range(options.rounds):
            for r in seconds:
                seconds[r].append(run(options.program, words, launcher(r))[0])
        cells = [statistics.median(each) / count * 1e6 for each in seconds.values()]
        lines.append(f"| {batch:,} | " + " | ".join(f"{c:.1f}" for c in cells) + " |")
        print(lines[-1], file=sys.stderr)
    started = {r: statistics.median(run(options.program, ["gradient", "FryShack-v0", "--episodes", "1000"], launcher(r))[1] for _ in range(5)) for r in [1, *ranks]}
    lines += ["", "Start to exit of a gradient of 1,000 episodes: " + ", ".join(f"{1e3 * s:.0f} ms {'alone' if r == 1 else f'on {r} ranks'}" for r, s in started.items()) + ".", "",
              *model()]
    text = "\n".join(lines) + "\n"
    if options.out:
        with open(options.out, "w") as file:
            file.write(text)
    print(text)


if __name__ == "__main__":
    main()
