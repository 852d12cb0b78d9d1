#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts what the kernels' hot loops cost, without a GPU: compiles them, disassembles them, finds the loop in which each spends its
time, and prints JSON with its instructions by pipe and the rate at which a GPU could run it at most (the roof).

    python3 bench/gpu/count_sass.py --arch 90                    # compiles the kernels of episodes and replicas
    python3 bench/gpu/count_sass.py FILE.cubin [FILE.o ...]      # or counts what is there already
    python3 bench/gpu/count_sass.py --arch 90 --check            # exit 1 if the project's limits are exceeded
    python3 bench/gpu/count_sass.py --registers 80,90,100,120    # instead a table of every kernel's registers and spills

Needs nvcc (with --arch) and cuobjdump: from the CUDA toolkit, or $CUOBJDUMP, or a Python package that carries it (triton:
triton/backends/nvidia/bin). The hot loop is the innermost loop with the most instructions among those that draw random numbers (wide
multiplications) and take sigmoids. `exact` says that nothing in it is jumped over; else the count includes blocks that seldom run.
Counts are for one episode of the fry shack and for one step of CartPole, whose loop has four. Value learners have no single hot loop:
their entries are the loops of matrix products (32 sums, four terms each: 128 fma) and of the optimiser (four parameters).
"""

import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLAGS = "-std=c++20 --expt-relaxed-constexpr -O3 -DNDEBUG -fmad=false -ftz=false -prec-div=true -prec-sqrt=true".split()

# Issue slots a multiprocessor has in each clock, in lanes, by pipe. sm_90's (CUDA programming guide, arithmetic throughput); `wide`
# is the integer multiplier with 64-bit results, which may have half of it.
LANES = {"issue": 128, "fp32": 128, "alu": 64, "imad": 64, "wide": 64, "xu": 16, "fp64": 64}

SOURCES = ["episodes", "replicas", "cart_pole_episodes", "cart_pole_replicas", "q_training"]
OTHER_SOURCES = ["cart_pole_hidden", "statistics"]  # no loop of theirs is counted

# The project's limits (instructions an episode, or a step of CartPole; sm_90), by the beginning of the kernel's name.
LIMITS = {"bounded_gradient_kernel<false, (Moments)0>": 72, "gradient_kernel<false, (Moments)0>": 76,
          "cart_pole_gradient_kernel<false, (Track)1, false, Bounded": 78, "cart_pole_gradient_kernel<false, (Track)2, false, Bounded": 91,
          "cart_pole_gradient_kernel<false, (Track)1, false, Sigmoid": 81, "cart_pole_gradient_kernel<false, (Track)2, false, Sigmoid": 94,
          "cart_pole_evaluate_kernel<false, Bounded": 63, "cart_pole_train_kernel<false, (Track)1>": 81,
          "cart_pole_train_kernel<false, (Track)2>": 93.5}

# Registers that leave room for 20 warps a multiprocessor, which the launch bounds of these kernels do not enforce.
MOST_REGISTERS, WITH_20_WARPS = 96, r"(bounded_)?gradient_kernel|cart_pole_gradient_kernel<false, \(Track\)1, false|cart_pole_train_kernel<false"

# The same of value learners: instructions of a product's loop (128 of them fma), and of the optimiser's for four parameters.
PRODUCT_LIMIT, OPTIMISER_LIMIT = 172, 285

PIPES = [  # the first that matches
    ("wide", r"IMAD\.(WIDE|HI)"),
    ("imad", r"IMAD"),
    ("fp32", r"(FFMA|FADD|FMUL)2?\b"),
    ("fp64", r"(DFMA|DADD|DMUL)\b"),
    ("xu", r"(MUFU|F2F|F2I|I2F\b|FCHK|POPC|FLO|BREV)"),
    ("memory", r"(LD|ST|ATOM|RED|SHFL|LDC)"),
    ("vote", r"VOTE"),
    ("uniform", r"(U[A-Z0-9]+|R2UR|S2UR|VOTEU)\b"),
    ("control", r"(BRA|BSSY|BSYNC|CALL|RET|EXIT|WARPSYNC|BREAK|YIELD|BMOV|JMP)"),
]


def opcode(text):
    return re.sub(r"^@!?U?P\w+\s+", "", text).split()[0]


def pipe_of(text):
    name = opcode(text)
    for pipe, pattern in PIPES:
        if re.match(pattern, name):
            return pipe
    return "alu"


def find_tool(name, variable):
    if os.environ.get(variable):
        return os.environ[variable]
    found = shutil.which(name) or next((p for p in [f"/usr/local/cuda/bin/{name}"] if os.path.exists(p)), None)
    if not found:
        try:
            import triton  # a Python package that carries NVIDIA's binary tools

            found = os.path.join(os.path.dirname(triton.__file__), "backends", "nvidia", "bin", name)
        except ImportError:
            pass
    if not found or not os.path.exists(found):
        sys.exit(f"count_sass.py: {name} was not found; set {variable} to its path")
    return found


def run(*command):
    """What it wrote to standard output, and to standard error."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"count_sass.py: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout, done.stderr


def demangle(names):
    filt = shutil.which("c++filt")
    plain = run(filt, "-p", *names)[0].splitlines() if filt and names else names
    return dict(zip(names, [p.replace("fryer::(anonymous namespace)::", "").replace("fryer::", "") for p in plain]))


def disassemble(path, cuobjdump):
    """{kernel: [(address, text), ...]}"""
    kernels, current = {}, None
    for line in run(cuobjdump, "-sass", path)[0].splitlines():
        if m := re.search(r"Function : (\S+)", line):
            current = kernels.setdefault(m.group(1), [])
        elif current is not None and (m := re.match(r"\s+/\*([0-9a-f]{4,5})\*/\s+(.*?)\s*;", line)):
            if opcode(m.group(2)) != "NOP":
                current.append((int(m.group(1), 16), m.group(2)))
    return kernels


def resources(path, cuobjdump):
    """{kernel: {registers, stack, shared}}"""
    found, name = {}, None
    for line in "\n".join(run(cuobjdump, "-res-usage", path)).splitlines():
        if m := re.search(r"Function (\S+):", line):
            name = m.group(1)
        elif name and (m := re.search(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)", line)):
            found[name] = {"registers": int(m.group(1)), "stack_bytes": int(m.group(2)), "local_bytes": int(m.group(4))}
            name = None
    return found


def target(text):
    m = re.search(r"(0x[0-9a-f]+)\s*$", text)
    return int(m.group(1), 16) if m and opcode(text).startswith("BRA") else None


def jumps(text):
    """BRA.DIV leaves a loop only where a warp's lanes have come apart, which before a vote they have not."""
    name = opcode(text)
    return name.startswith(("BRA", "CALL", "BSSY", "BSYNC", "EXIT", "RET")) and not name.startswith("BRA.DIV")


def hot_loop(code):
    """Instructions of the hot loop, and whether all of them run each time."""
    loops = [(to, at) for at, text in code if (to := target(text)) is not None and to <= at]
    random = [(begin, end) for begin, end in loops if sum(pipe_of(t) == "wide" for a, t in code if begin <= a <= end) >= 16]
    sigmoid = [(begin, end) for begin, end in random if any("MUFU.RCP" in t for a, t in code if begin <= a <= end)]
    random = sigmoid or random  # a greedy policy has none
    innermost = [l for l in random if not any(o != l and l[0] <= o[0] and o[1] <= l[1] for o in random)]
    if not innermost:
        return [], False
    bodies = [[t for a, t in code if begin <= a <= end] for begin, end in innermost]
    exact = [b for b in bodies if not any(jumps(t) for t in b[:-1])]  # others are rare work that begins an episode or a training
    return max(exact or bodies, key=len), bool(exact)


def innermost_loops(code):
    loops = [(to, at) for at, text in code if (to := target(text)) is not None and to <= at]
    innermost = [l for l in loops if not any(o != l and l[0] <= o[0] and o[1] <= l[1] for o in loops)]
    return [[t for a, t in code if begin <= a <= end] for begin, end in innermost]


def compile_for(architecture, source, folder):
    """The path of the source's cubin, and what ptxas says of its kernels."""
    cubin = os.path.join(folder, f"{source}-{architecture}.cubin")
    _, said = run(find_tool("nvcc", "NVCC"), f"-arch=sm_{architecture}", *FLAGS, "-Xptxas", "-v", "-I", os.path.join(ROOT, "include"), "-I", ROOT, "-cubin",
               "-o", cubin, os.path.join(ROOT, "kernels", source + ".cu"))
    return cubin, said


def registers_table(architectures, pattern):
    """Prints a Markdown table of the project's own kernels whose names match; returns what is wrong with them."""
    rows, spills, failures = {}, 0, []
    with tempfile.TemporaryDirectory() as folder:
        for architecture in architectures:
            for source in SOURCES + OTHER_SOURCES:
                used = {name: tuple(map(int, figures)) for name, *figures in re.findall(
                    r"Compiling entry function '(_ZN5fryer\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers",
                    compile_for(architecture, source, folder)[1], re.S)}
                if not used:
                    failures.append(f"{source}.cu: ptxas told nothing of a kernel on sm_{architecture}")
                for mangled, plain in demangle(list(used)).items():
                    stack, stored, loaded, registers = used[mangled]
                    plain = re.sub(r"\(([\w:]+)\)(?=\d)", lambda m: m[1].split("::")[-1] + " ", plain.removeprefix("void ").replace("(anonymous namespace)::", ""))
                    name = plain.split("(")[0]
                    if not re.search(pattern, name):
                        continue
                    spilled = max(stored, loaded)
                    if spilled:
                        spills += 1
                        failures.append(f"{name} on sm_{architecture}: {stored} bytes of registers spilled, {loaded} loaded")
                    rows.setdefault((source, name), {})[architecture] = (
                        f"{registers}" + (f" + {stack} bytes" if stack else "") + (f", **{spilled} spilled**" if spilled else ""))
    print("| kernel | " + " | ".join(f"sm_{a}" for a in architectures) + " |")
    print("|---" * (1 + len(architectures)) + "|")
    for (source, name), values in sorted(rows.items(), key=lambda r: ((SOURCES + OTHER_SOURCES).index(r[0][0]), r[0][1])):
        print(f"| `{name}` | " + " | ".join(values.get(a, "") for a in architectures) + " |")
    print(f"\n{len(rows)} kernels; {spills} of {sum(map(len, rows.values()))} programs spill.")
    return failures if rows else failures + [f"no kernel matches {pattern}"]


def value_learner(code):
    """Instructions of the products' and of the optimiser's loops."""
    loops = [(collections.Counter(opcode(t).split(".")[0] for t in body), len(body)) for body in innermost_loops(code)]
    return {"product_loops": sorted(n for c, n in loops if c["FFMA"] == 128 and c["STS"] + c["ST"] == 0),
            "optimiser_loops": sorted(n for c, n in loops if c["MUFU"] == 8)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="cubins or objects")
    parser.add_argument("--arch", help="compile for it first: 75, 80, 90, ...")
    parser.add_argument("--registers", metavar="ARCH,ARCH", help="print a table of registers and spills for these instead; exit 1 if any spills")
    parser.add_argument("--kernel", default=".", help="only kernels whose name matches this pattern")
    parser.add_argument("--multiprocessors", type=int, default=132, help="of the GPU whose roof is wanted (default: H200)")
    parser.add_argument("--clock", type=float, default=1.98e9, help="its clock in Hz")
    parser.add_argument("--check", action="store_true", help="exit 1 if a limit is exceeded (--arch 90) or a kernel uses stack memory")
    options = parser.parse_args()
    if options.registers:
        if options.files or options.arch or options.check:
            parser.error("--registers compiles for the architectures that it names and checks by itself: FILE, --arch and --check do not go with it")
        failures = registers_table(options.registers.split(","), options.kernel)
        for failure in failures:
            print(failure, file=sys.stderr)
        return 1 if failures else 0
    cuobjdump = find_tool("cuobjdump", "CUOBJDUMP")
    header = open(os.path.join(ROOT, "kernels", "warp_bodies.h")).read()
    in_flight = int(re.search(r"kEpisodesInFlight = (\d+)", header).group(1))

    report, failures = {}, []
    with tempfile.TemporaryDirectory() as folder:
        files = list(options.files)
        if options.arch:
            files += [compile_for(options.arch, source, folder)[0] for source in SOURCES]
        if not files:
            parser.error("nothing to count: give files, or --arch")
        for path in files:
            kernels, used = disassemble(path, cuobjdump), resources(path, cuobjdump)
            names = demangle(list(kernels))
            for mangled, code in sorted(kernels.items(), key=lambda k: names[k[0]]):
                name = names[mangled]
                if not re.search(options.kernel, name):
                    continue
                if re.match(r"(void )?(dqn_train|online_q_train|q_evaluate)_kernel", name):
                    entry = report[name] = {**used.get(mangled, {}), **value_learner(code)}
                    if options.arch == "90":
                        for what, limit in (("product_loops", PRODUCT_LIMIT), ("optimiser_loops", OPTIMISER_LIMIT)):
                            failures += [f"{name}: {what} of {n} instructions, at most {limit}" for n in entry[what] if n > limit]
                    if entry.get("stack_bytes") or entry.get("local_bytes"):
                        failures.append(f"{name}: uses stack memory")
                    continue
                body, exact = hot_loop(code)
                counts = collections.Counter(pipe_of(t) for t in body)
                cart_pole = name.startswith("cart_pole")
                unit, units = ("step", 4) if cart_pole else ("episode", in_flight if "episodes" in mangled else 1)
                entry = {**used.get(mangled, {}), "hot_loop": len(body), "exact": exact, "unit": unit, "units_in_it": units,
                         "instructions_a_unit": round(len(body) / units, 2),
                         "pipes": {p: round(n / units, 2) for p, n in sorted(counts.items())}}
                if exact:
                    lanes = {"issue": len(body), **{p: counts[p] for p in LANES if p != "issue"}}
                    lanes["imad"] += lanes["wide"]  # one multiplier
                    clocks = {p: n / LANES[p] / units for p, n in lanes.items()}
                    bound = max(clocks, key=clocks.get)
                    entry["bound_by"], entry["roof_units_per_second"] = bound, round(options.multiprocessors * options.clock / clocks[bound], -8)
                report[name] = entry
                limit = next((n for part, n in LIMITS.items() if name.startswith(part)), None)
                if options.arch == "90" and limit and entry["instructions_a_unit"] > limit:
                    failures.append(f"{name}: {entry['instructions_a_unit']} instructions a {unit}, at most {limit}")
                if entry.get("stack_bytes") or entry.get("local_bytes"):
                    failures.append(f"{name}: uses stack memory")
                if options.arch == "90" and re.match(WITH_20_WARPS, name) and entry.get("registers", 0) > MOST_REGISTERS:
                    failures.append(f"{name}: {entry['registers']} registers, at most {MOST_REGISTERS}")
    print(json.dumps({"arch": options.arch, "multiprocessors": options.multiprocessors, "clock": options.clock, "kernels": report}, indent=1))
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if options.check and failures else 0


if __name__ == "__main__":
    sys.exit(main())
