#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the instructions of the CPU executors' hot loops in a built program, by what they keep busy.

    python3 bench/hot_loops.py build/bench/fryer_bench [--isa avx512|avx2]

Needs objdump. A round of a lane program's loop is one in which no episode begins or ends: the shortest way from the loop's first instruction
back to it. Whether a round's parts are loops over the bundles in flight or are written out for all of them is the
compiler's choice: an inner loop counts as often as there are bundles. `vector steps` are those of a round, by its divisions; everything else
is given for one of them, beside what a step must cost (`fryer bench -v`): the rest is spent on moves, loads and stores. Loops of value
learners are counted as they stand. Exits with 1 where a loop was not found or cannot be told apart.
"""

import argparse
import collections
import re
import subprocess
import sys

# name, pattern of the function's demangled name, divisions and fused operations of a step in each lane (0: an update's loop), steps of
# a vector in a round, bundles in flight (EpisodeFlight, ReplicaFlight), of the AVX-512 and the AVX2 executor
LOOPS = [
    ("fry-shack gradient", r"gradient_episodes<false, \(fryer::Moments\)0>", 1, 11, {"avx512": (6, 1), "avx2": (6, 1)}),
    ("CartPole gradient", r"run_episodes<false, \(fryer::Track\)1, fryer::SigmoidPolicy<float, 4>", 2, 36, {"avx512": (24, 2), "avx2": (24, 6)}),
    ("CartPole gradient, standardised returns", r"run_episodes<false, \(fryer::Track\)2, fryer::SigmoidPolicy<float, 4>", 2, 39,
     {"avx512": (24, 6), "avx2": (24, 6)}),
    ("CartPole evaluation", r"run_episodes<false, \(fryer::Track\)0, fryer::SigmoidPolicy<float, 4>", 2, 26, {"avx512": (24, 2), "avx2": (24, 6)}),
    ("CartPole trainings", r"ReplicaTrainer<fryer::SigmoidPolicy<float, 4>, false, \(fryer::Track\)1>::advance", 2, 36,
     {"avx512": (24, 3), "avx2": (24, 6)}),
    ("DQN forward, 64-64", r"forward_rows<fryer::\w+::QLayout<64, 64>", 0, 0, {}),
    ("online Q-learning's step, 32-32", r"step_single<true, fryer::\w+::QLayout<32, 32>", 0, 0, {}),
]

CLASSES = [  # the first that matches
    ("fused", r"vf(n)?m(add|sub)\d+ps"),
    ("multiply", r"vmulp[sd]"),
    ("wide multiply", r"vpmuludq"),
    ("add", r"v(add|sub)p[sd]"),
    ("divide", r"vdivp[sd]"),
    ("square root", r"vsqrtp[sd]"),
    ("compare, min, max", r"v(cmp\w*p[sd]|max|min|pcmp\w*)"),
    ("logic, shift, integer", r"v(p?(and|or|xor)\w*|ptern\w*|psr[la]\w*|psll\w*|padd\w*|psub\w*|pro[lr]\w*|cvt\w*|prol\w*)"),
    ("select, merge", r"v(blend\w*|pblend\w*|pexpand\w*|pcompress\w*|compress\w*|expand\w*)"),
    ("shuffle, broadcast", r"v(perm\w*|shuf\w*|unpck\w*|punpck\w*|pshuf\w*|broadcast\w*|pbroadcast\w*|insert\w*|extract\w*|movs[lh]dup\w*|pmov\w*)"),
    ("vector move", r"vmov\w*"),
    ("mask", r"k\w+"),
    ("branch", r"j\w+"),
]


def classify(name):
    return next((c for c, pattern in CLASSES if re.fullmatch(pattern, name)), "scalar")


def functions(program):
    """{demangled name: [(address, mnemonic, operands)]} of the executors' functions."""
    text = subprocess.run(["objdump", "-d", "-C", "--no-show-raw-insn", program], capture_output=True, text=True, check=True).stdout
    found, code = {}, None
    for line in text.splitlines():
        if m := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            code = found.setdefault(m.group(1), []) if "fryer::avx" in m.group(1) else None
        elif code is not None and (m := re.match(r"\s*([0-9a-f]+):\s+(\S+)\s*(.*)", line)):
            code.append((int(m.group(1), 16), m.group(2), m.group(3)))
    return found


def target(operands):
    m = re.match(r"([0-9a-f]+) <", operands)
    return int(m.group(1), 16) if m else None


def rounds(code):
    """Loops (first address, last address), outermost first."""
    return sorted({(to, at) for at, name, rest in code if name.startswith("j") and (to := target(rest)) is not None and to <= at},
                  key=lambda l: l[0] - l[1])


def divisions_in(body):
    return sum(name == "vdivps" for _, name, _ in body)


def vectors(body):
    return sum(name.startswith("v") for _, name, _ in body)


def shortest(body, code):
    """The instructions of a round's shortest way from its first one back to it: no jump back in between, no rare work."""
    at = {a: i for i, (a, _, _) in enumerate(code)}
    first = at[body[0][0]]
    before, queue = {first: None}, collections.deque([first])
    while queue:
        i = queue.popleft()
        _, name, rest = code[i]
        to = at.get(target(rest)) if name.startswith("j") else None
        if to == first:
            way = []
            while i is not None:
                way.append(code[i])
                i = before[i]
            return way[::-1]
        for n in [to] * (to is not None) + [i + 1] * (name not in ("jmp", "ret") and i + 1 < len(code)):
            if n not in before:
                before[n] = i
                queue.append(n)
    return []


def weighted(body, code, bundles):
    """[(instruction, how often a round runs it)] where nothing begins or ends: inner loops of vector work run once for each bundle."""
    first, last = body[0][0], body[-1][0]
    ends = {}
    for at, name, rest in body:
        to = target(rest) if name.startswith("j") and name != "jmp" else None
        if to is not None and first < to <= at:
            ends[to] = min(at, ends.get(to, at))
    inner = [l for l in ends.items() if sum(l[0] <= i[0] <= l[1] and i[1].startswith("v") for i in body) >= 16]
    return [(i, bundles if any(l[0] <= i[0] <= l[1] for l in inner) else 1) for i in shortest(body, code)]


def hot(code, steps):
    """The loop that does the work: of steps the smallest one with all their divisions; else the innermost one with the most fused operations."""
    bodies = [[i for i in code if first <= i[0] <= last] for first, last in rounds(code)]
    if not bodies:
        return []
    if not steps:
        innermost = [b for b in bodies if not any(o is not b and b[0][0] <= o[0][0] and o[-1][0] <= b[-1][0] for o in bodies)]
        return max(innermost, key=lambda b: sum("vfm" in n or "vfnm" in n for _, n, _ in b))
    divisions = [divisions_in(b) for b in bodies]
    return min((b for b, d in zip(bodies, divisions) if d == max(divisions)), key=len)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--isa", choices=["avx512", "avx2"], default="avx512")
    options = parser.parse_args()
    found = functions(options.program)
    print("| loop | vector steps | instructions | vector | loads | stores | on the stack | " + " | ".join(c for c, _ in CLASSES) + " | scalar |")
    print("|---" * (8 + len(CLASSES)) + "|")
    refused = 0
    for name, pattern, steps, fused, flight in LOOPS:
        codes = [c for n, c in found.items() if f"fryer::{options.isa}::" in n and re.search(pattern, n)]
        if not codes:
            print(f"hot_loops.py: no function like {pattern} in {options.program}", file=sys.stderr)
            refused += 1
            continue
        expected, bundles = flight.get(options.isa, (1, 1))
        code = max(codes, key=len)
        loop = hot(code, steps)
        body = weighted(loop, code, bundles) if steps else [(i, 1) for i in loop]
        done = sum(w for i, w in body if i[1] == "vdivps") / steps if steps else 1
        if done != expected:
            print(f"hot_loops.py: {name}: a round has {done:g} vector steps, not {expected}: its parts cannot be told apart", file=sys.stderr)
            refused += 1
            continue
        counts, sums = collections.Counter(), collections.Counter()
        for (_, n, rest), w in body:
            counts[classify(n)] += w
            sums["all"] += w
            sums["vector"] += w * n.startswith("v")
            if "(" in rest and n.startswith("v"):
                stores = n.startswith("vmov") and re.search(r"\),?$|\)(\{%k\d\})?$", rest)
                sums["stores" if stores else "loads"] += w
                sums["stack"] += w * bool(re.search(r"\(%r[sb]p", rest))
        if steps and counts["fused"] != fused * done:
            print(f"hot_loops.py: {name}: {counts['fused'] / done:g} fused operations a step, not {fused}: its parts cannot be told apart", file=sys.stderr)
            refused += 1
            continue
        figure = lambda n: f"{n / done:.1f}".removesuffix(".0")
        print(f"| {name} | {expected if steps else ''} | " + " | ".join(figure(sums[k]) for k in ("all", "vector", "loads", "stores", "stack")) + " | " +
              " | ".join(figure(counts[c]) for c, _ in CLASSES) + f" | {figure(counts['scalar'])} |")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
