#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the instructions of the CPU executors' hot loops in a built program, by what they keep busy.

    python3 bench/hot_loops.py build/bench/fryer_bench [--isa avx512|avx2]

Needs objdump. A round of a lane program's loop is all instructions from its first one to its last jump back, rare work (an episode's end, a
refill) included. `vector steps` are those of a round: its sigmoids, a division each, or the bundles of the fry shack; instructions
divided by them, beside what a step must cost (`fryer bench -v`), tell what is spent on moves, loads and stores.
"""

import argparse
import collections
import re
import subprocess
import sys

# name, pattern of the function's demangled name, divisions of a step in each lane (0: an update's loop)
LOOPS = [
    ("fry-shack gradient", r"gradient_episodes<false, \(fryer::Moments\)0>", 1),
    ("CartPole gradient", r"run_episodes<false, \(fryer::Track\)1, fryer::SigmoidPolicy<float, 4>", 2),
    ("CartPole gradient, standardised returns", r"run_episodes<false, \(fryer::Track\)2, fryer::SigmoidPolicy<float, 4>", 2),
    ("CartPole evaluation", r"run_episodes<false, \(fryer::Track\)0, fryer::SigmoidPolicy<float, 4>", 2),
    ("CartPole trainings", r"ReplicaTrainer<fryer::SigmoidPolicy<float, 4>, false, \(fryer::Track\)1>::advance", 2),
    ("DQN forward, 64-64", r"forward_rows<fryer::\w+::QLayout<64, 64>", 0),
    ("online Q-learning's step, 32-32", r"step_single<true, fryer::\w+::QLayout<32, 32>", 0),
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
    for name, pattern, steps in LOOPS:
        codes = [c for n, c in found.items() if f"fryer::{options.isa}::" in n and re.search(pattern, n)]
        if not codes:
            print(f"hot_loops.py: no function like {pattern} in {options.program}", file=sys.stderr)
            continue
        body = hot(max(codes, key=len), steps)
        counts = collections.Counter(classify(n) for _, n, _ in body)
        memory = [(n, rest) for _, n, rest in body if "(" in rest and n.startswith("v")]
        stores = [rest for n, rest in memory if re.search(r"\),?$|\)(\{%k\d\})?$", rest) and n.startswith("vmov")]
        stack = sum(bool(re.search(r"\(%r[sb]p", rest)) for _, rest in memory)
        done = divisions_in(body) // steps if steps else ""
        print(f"| {name} | {done} | {len(body)} | {vectors(body)} | {len(memory) - len(stores)} | {len(stores)} | {stack} | " +
              " | ".join(str(counts[c]) for c, _ in CLASSES) + f" | {counts['scalar']} |")


if __name__ == "__main__":
    main()
