#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cost against work: time, rate and memory of the program from small to large numbers of episodes, replicas and threads, and its start-up.

    python3 bench/scaling.py [--program build/release/fryer] [--out build/scaling] [--most 1e8] [--rounds 3] [--only PATTERN]

Each point is a process of its own, run --rounds times: the fastest counts for time, the largest for memory. Rows of one piece of work must have
one digest for any number of threads, or this fails. Writes OUT/scaling.json, OUT/scaling.md and, where matplotlib is installed,
OUT/*.svg. --most bounds the episodes of a point (CartPole: a hundredth of it; replicas: a thousandth); 1e10 takes some ten minutes on two
cores.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

# name, unit, arguments before the number, option of the number, part of --most
WORK = [
    ("fry-shack gradient", "episodes", ["gradient", "FryShack-v0"], "--episodes", 1),
    ("fry-shack evaluation", "episodes", ["evaluate", "FryShack-v0"], "--episodes", 1),
    ("CartPole gradient", "episodes", ["gradient", "CartPole-v1"], "--episodes", 1e-2),
    ("CartPole evaluation", "episodes", ["evaluate", "CartPole-v1", "--random"], "--episodes", 1e-2),
    ("fry-shack trainings", "replicas", ["train", "FryShack-v0"], "--replicas", 1e-3),
    ("CartPole trainings", "replicas", ["train", "CartPole-v1", "--preset", "solve", "--until", "475"], "--replicas", 1e-5),
    ("online Q-learning", "replicas", ["train", "CartPole-v1", "--preset", "tensorflow"], "--replicas", 1e-6),
    ("DQN, 30 episodes", "replicas", ["train", "CartPole-v0", "--preset", "workshop", "--episodes", "30"], "--replicas", 1e-6),
]
START_UP = [
    ("--version", ["--version"], 0),
    ("a misspelt option", ["train", "CartPole-v1", "--replica", "1"], 2),
    ("a refused value", ["train", "CartPole-v1", "--gamma", "7"], 2),
    ("--dry-run of a million trainings (it measures how fast a piece of them is)", ["train", "FryShack-v0", "--replicas", "1e6", "--dry-run"], 0),
    ("a gradient of 1,000 episodes", ["gradient", "FryShack-v0", "--episodes", "1000", "--json"], 0),
    ("one fry-shack training", ["train", "FryShack-v0", "--json"], 0),
    ("one CartPole training", ["train", "CartPole-v1", "--preset", "solve", "--json"], 0),
    ("devices", ["devices"], 0),
]


GNU_TIME = "/usr/bin/time"


def run(command, accepted=0):
    """Runs the process; returns (seconds from start to exit, its standard output)."""
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != accepted:
        sys.exit(f"scaling.py: {' '.join(command)}: exit code {done.returncode}")
    return seconds, done.stdout


def run_and_weigh(command):
    """Runs the process; returns (its standard output, its peak memory in bytes). By GNU time: the kernel counts this script's own
    memory, which a child shares for a moment, as the child's."""
    with tempfile.NamedTemporaryFile() as peak:
        _, out = run([GNU_TIME, "--output", peak.name, "--format", "%M", *command])
        return out, 1024 * int(peak.read())


def point(program, work, number, threads, rounds):
    name, unit, arguments, option, _ = work
    command = [program, *arguments, option, str(number), "--threads", str(threads), "--json", "--quiet"]
    wall, memory, digests = [], [], set()
    for _ in range(rounds):
        out, peak = run_and_weigh(command)
        document = json.loads(out)
        wall.append(document["wall_seconds"])
        memory.append(peak)
        digests.add(document["digest"])
    if len(digests) != 1:
        sys.exit(f"scaling.py: {' '.join(command)}: one seed gave the digests {sorted(digests)}")
    return {"work": name, "unit": unit, "number": number, "threads": threads, "seconds": min(wall), "slowest": max(wall),
            "rate": number / min(wall), "bytes": max(memory), "digest": digests.pop()}


def powers(most):
    number, numbers = 1, []
    while number <= most:
        numbers.append(number)
        number *= 10
    return numbers


def human(bytes_):
    return f"{bytes_ / 1e6:.1f} MB" if bytes_ < 1e9 else f"{bytes_ / 1e9:.2f} GB"


def table(points, threads):
    lines = ["| work | number | " + " | ".join(f"{t} thread{'s' if t > 1 else ''}: seconds" for t in threads) +
             " | rate on the last | speed-up | peak memory |", "|---" * (5 + len(threads)) + "|"]
    for name in dict.fromkeys(p["work"] for p in points):
        for number in dict.fromkeys(p["number"] for p in points if p["work"] == name):
            rows = [p for p in points if p["work"] == name and p["number"] == number]
            last = rows[-1]
            lines.append(f"| {name} | 10^{len(str(number)) - 1} {last['unit']} | " + " | ".join(f"{r['seconds']:.4g}" for r in rows) +
                         f" | {last['rate']:.3g}/s | {rows[0]['seconds'] / last['seconds']:.2f} | {human(last['bytes'])} |")
    return lines


def bytes_a_replica(points):
    """Slope of memory between the two largest populations."""
    lines = []
    for name in dict.fromkeys(p["work"] for p in points if p["unit"] == "replicas"):
        rows = [p for p in points if p["work"] == name and p["threads"] == max(q["threads"] for q in points)][-2:]
        if len(rows) == 2:
            slope = (rows[1]["bytes"] - rows[0]["bytes"]) / (rows[1]["number"] - rows[0]["number"])
            lines.append(f"- {name}: {slope:,.0f} bytes a replica (from {rows[0]['number']:,} to {rows[1]['number']:,})")
    return lines


def plot(points, unit, key, label, path):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "fryer"  # the same file for the same figures
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    for i, name in enumerate(dict.fromkeys(p["work"] for p in points if p["unit"] == unit)):
        for threads in dict.fromkeys(p["threads"] for p in points):
            rows = [p for p in points if p["work"] == name and p["threads"] == threads]
            axes.plot([r["number"] for r in rows], [r[key] for r in rows], marker="o", markersize=3, color=f"C{i}",
                      linestyle="-" if threads == 1 else "--", label=f"{name}, {threads} thread{'s' if threads > 1 else ''}")
    axes.set(xscale="log", yscale="log", xlabel=unit, ylabel=label)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def cpu():
    try:
        with open("/proc/cpuinfo") as info:
            return re.search(r"model name\s*:\s*(.*)", info.read()).group(1)
    except (OSError, AttributeError):
        return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default="build/release/fryer")
    parser.add_argument("--out", default="build/scaling")
    parser.add_argument("--most", type=float, default=1e8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=".", metavar="PATTERN")
    options = parser.parse_args()
    if not os.access(options.program, os.X_OK):
        sys.exit(f"scaling.py: --program {options.program} is not a program; build it first (README)")
    if not 1e3 <= options.most <= 1e12 or options.rounds < 1:
        sys.exit("scaling.py: --most is accepted from 1e3 to 1e12, --rounds from 1")
    if not os.access(GNU_TIME, os.X_OK):
        sys.exit(f"scaling.py: needs GNU time as {GNU_TIME} (Debian: apt-get install time)")
    os.makedirs(options.out, exist_ok=True)

    processors = len(os.sched_getaffinity(0))
    threads = sorted({1, *(2**i for i in range(1, 11) if 2**i < processors), processors})
    points = []
    for work in WORK:
        if not re.search(options.only, work[0]):
            continue
        for number in powers(options.most * work[4]):
            if work[1] == "episodes" and number < 1000:
                continue
            rows = [point(options.program, work, number, t, options.rounds) for t in threads]
            if len({r["digest"] for r in rows}) != 1:
                sys.exit(f"scaling.py: {work[0]}, {number}: threads change the digest")
            points += rows
            print(f"{work[0]}, {number:.0e}: " + ", ".join(f"{r['seconds']:.4g} s" for r in rows), file=sys.stderr)
    starts = []
    for name, arguments, accepted in START_UP:
        seconds = [run([options.program, *arguments], accepted)[0] for _ in range(21)]
        starts.append({"what": name, "median": statistics.median(seconds), "fastest": min(seconds)})

    version = subprocess.run([options.program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    with open(os.path.join(options.out, "scaling.json"), "w") as file:
        json.dump({"cpu": cpu(), "processors": processors, "version": version, "points": points, "start_up": starts}, file, indent=1)
        file.write("\n")
    plots = []
    try:
        for unit, key, label, name in [("episodes", "seconds", "seconds", "episodes_time"), ("replicas", "seconds", "seconds", "replicas_time"),
                                       ("episodes", "bytes", "peak memory, bytes", "episodes_memory"),
                                       ("replicas", "bytes", "peak memory, bytes", "replicas_memory")]:
            if any(p["unit"] == unit for p in points):
                plot(points, unit, key, label, os.path.join(options.out, name + ".svg"))
                plots.append(f"![{label} against {unit}]({name}.svg)")
    except ImportError:
        print("scaling.py: no plots: matplotlib is not installed", file=sys.stderr)
    lines = [f"# Cost against work: {cpu()}, {processors} processors", "",
             f"`python3 bench/scaling.py --most {options.most:.0e} --rounds {options.rounds}`; every point is a process of its own, its fastest round, and has one digest "
             "for any number of threads. Seconds are the program's own, without its start.", "", *plots, "", *table(points, threads), "",
             "Memory a replica, all of a result included:", "", *bytes_a_replica(points), "", "## Start-up", "",
             "From the process's start to its exit, 21 runs:", "", "| what | median, ms | fastest, ms |", "|---|---|---|",
             *(f"| {s['what']} | {1e3 * s['median']:.1f} | {1e3 * s['fastest']:.1f} |" for s in starts), "", f"`{version.splitlines()[0]}`"]
    with open(os.path.join(options.out, "scaling.md"), "w") as file:
        file.write("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
