"""Reference values for the statistics of studies, from R (stats, survival), SciPy, and formulas written out a second time in NumPy.

    python make_study_statistics.py --seed 1 --out study_statistics.json

Needs NumPy, SciPy, and Rscript with the package survival. R's binomial distribution (TOMS 708) is the reference of exact limits and
p-values, since SciPy's is the Boost code that is to be tested.
"""
import argparse
import json
import math
import platform
import subprocess

import numpy as np
import scipy
from scipy import optimize, stats

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--out", default="study_statistics.json")
args = parser.parse_args()
random = np.random.default_rng(args.seed)


def r(code):
    """The lines that R prints, each a list of numbers; None for NA."""
    text = subprocess.run(["Rscript", "-e", "say <- function(x) cat(sprintf('%.17g', x), '\\n'); " + code], check=True,
                          capture_output=True, text=True).stdout
    return [[None if word == "NA" else float(word) for word in line.split()] for line in text.splitlines()]


def vector(values):
    return "c(" + ",".join(repr(float(v)) for v in values) + ")"


def shares():
    big = 2**40
    cases = [(0, 1), (1, 1), (0, 10), (10, 10), (3, 10), (1, 30), (987, 1000), (1000, 1000), (0, 1000000), (1, 1000000),
             (654321, 1000000), (999999, 1000000), (big // 3, big), (1, big), (big - 1, big), (0, big), (big, big)]
    rows = []
    for confidence in (0.95, 0.99):
        alpha = (1 - confidence) / 2
        for k, n in cases:
            # Wilson's limits are the roots in p of |k / n - p| = z sqrt(p (1 - p) / n).
            z2 = stats.norm.isf(alpha) ** 2
            a, b, c = n + z2, -(2 * k + z2), k * (k / n)
            root = math.sqrt(max(0, z2 * (z2 + 4 * k * ((n - k) / n))))
            lower, upper = (2 * c) / (-b + root), (-b + root) / (2 * a)
            if n <= 1000000:
                scipy_wilson = stats.binomtest(k, n).proportion_ci(confidence, "wilson")
                assert math.isclose(lower, scipy_wilson.low, rel_tol=1e-11, abs_tol=1e-15), (k, n, lower, scipy_wilson)
                assert math.isclose(upper, scipy_wilson.high, rel_tol=1e-11), (k, n, upper, scipy_wilson)
            exact = r(f"say(c(if ({k} == 0) 0 else qbeta({alpha!r}, {k}, {n - k + 1}), "
                      f"if ({k} == {n}) 1 else qbeta({alpha!r}, {k + 1}, {n - k}, lower.tail = FALSE)))")[0]
            if k == n:  # and in closed form: p^n = alpha
                exact[0] = math.exp(math.log(alpha) / n)
            if k == 0:
                exact[1] = -math.expm1(math.log(alpha) / n)
            rows.append({"k": k, "n": n, "confidence": confidence, "wilson": [lower, min(upper, 1)], "clopper_pearson": exact})
    return rows


def interquartile_mean(x):
    """The middle half as an area: observation i (from 1) is the interval [i - 1, i], the middle half [n / 4, 3 n / 4]."""
    x = np.sort(x)
    n = len(x)
    i = np.arange(n)
    weight = np.clip(np.minimum(i + 1, 0.75 * n) - np.maximum(i, 0.25 * n), 0, None)
    estimate = np.average(x, weights=weight)
    if n % 4 == 0:
        assert math.isclose(estimate, stats.trim_mean(x, 0.25), rel_tol=1e-13)
    winsorised = np.clip(x, *np.quantile(x, [0.25, 0.75], method="hazen"))
    error = winsorised.std(ddof=1) / (0.5 * math.sqrt(n))
    half = stats.t.isf(0.025, n / 2 - 1) * error
    return [estimate, estimate - half, estimate + half]


def samples():
    made = {
        "one": [3.25],
        "two": [1.0, 4.0],
        "four": [4.0, -1.0, 2.5, 10.0],
        "five": [1.0, 2.0, 4.0, 8.0, 16.0],
        "equal": [475.0] * 9,
        "normal_21": random.normal(5, 2, 21),
        "normal_100": random.normal(-3, 0.5, 100),
        "ties_50": random.integers(0, 6, 50),
        "skewed_103": random.exponential(1, 103) ** 2,
        "far_from_zero_64": 1e9 + random.normal(0, 1, 64),
    }
    rows = []
    for name, x in made.items():
        x = np.asarray(x, dtype=float)
        row = {"name": name, "values": x.tolist()}
        n = len(x)
        if n > 1:
            row["sd"] = x.std(ddof=1)
            half = stats.t.isf(0.025, n - 1) * row["sd"] / math.sqrt(n)
            mean = math.fsum(x) / n
            row["mean"] = [mean, mean - half, mean + half]
        row["interquartile_mean"] = interquartile_mean(x) if n >= 4 else None
        rows.append(row)
    return rows


def quantile_ranks():
    """Ranks (from 1) of the estimate and the two ends; 0 and n + 1: no order statistic."""
    rows = []
    for n in (1, 5, 6, 20, 59, 100, 999, 1000000):
        for q in (0.05, 0.25, 0.5, 0.75, 0.95, 0.999):
            lower, upper = r(f"say(c(qbinom(0.025, {n}, {q!r}), qbinom(0.025, {n}, {q!r}, lower.tail = FALSE) + 1))")[0]
            coverage = r(f"say(pbinom({upper!r} - 1, {n}, {q!r}) - pbinom({lower!r} - 1, {n}, {q!r}))")[0][0]
            assert coverage >= 0.95
            rows.append({"n": n, "q": q, "rank": max(1, math.ceil(q * n)), "lower": int(lower), "upper": int(upper)})
    return rows


def survival():
    made = {
        "one event": ([7], [1]),
        "one censored": ([7], [0]),
        "all censored": ([1, 2, 2, 5], [0, 0, 0, 0]),
        "no censoring": ([6, 1, 3, 8, 2, 5, 9, 4, 7, 11, 10], [1] * 11),
        "all at once": ([3] * 6, [1] * 6),
        # Freireich et al. 1963, 6-mercaptopurine: ties, and a censoring at the time of an event.
        "leukaemia": ([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35],
                      [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]),
        "ties": (random.integers(1, 12, 200), random.integers(0, 2, 200)),
        "few events": (random.integers(1, 50, 120), random.random(120) < 0.1),
        "studied to 40": (np.minimum(random.geometric(0.03, 301), 40), None),
        "continuous": (random.exponential(10, 80), random.random(80) < 0.7),
    }
    rows = []
    for name, (times, event) in made.items():
        times = np.asarray(times, dtype=float)
        event = (times < 40).astype(int) if event is None else np.asarray(event).astype(int)
        lines = r("suppressMessages(library(survival)); "
                  f"f <- survfit(Surv({vector(times)}, {vector(event)}) ~ 1, conf.type = 'log-log'); k <- f$n.event > 0; "
                  "say(f$time[k]); say(f$n.risk[k]); say(f$n.event[k]); say(f$surv[k]); say(f$lower[k]); say(f$upper[k]); "
                  "q <- quantile(f, 0.5); say(c(q$quantile, q$lower, q$upper))")
        median = lines[6]
        # Where the curve is 1/2 from one time to the next, R gives the middle; fryer the first time at which it is <= 1/2.
        flat = [t for t, s in zip(lines[0], lines[3]) if abs(s - 0.5) < 1e-12]
        if flat:
            assert median[0] != flat[0]
            median[0] = flat[0]
        rows.append({"name": name, "times": times.tolist(), "event": event.tolist(),
                     **dict(zip(("time", "at_risk", "events", "survival", "lower", "upper"), lines)), "median": median})
    return rows


def sign_tests():
    rows = []
    for better, equal, worse in [(0, 0, 1), (0, 3, 0), (7, 0, 1), (8, 2, 8), (30, 5, 12), (499000, 0, 501000), (498500, 17, 501500)]:
        p = r(f"say(binom.test({better}, {better + worse})$p.value)")[0][0] if better != worse else 1.0
        assert math.isclose(p, stats.binomtest(better, better + worse).pvalue if better + worse > 0 else 1.0, rel_tol=1e-9)
        rows.append({"better": better, "equal": equal, "worse": worse, "p": p})
    return rows


def holm():
    cases = [[0.04], [0.01, 0.04, 0.03, 0.005], [0.5, 0.5, 0.5], [1e-300, 0.9, 0.0002, 0.0002, 0.07, 1], random.random(40) ** 3]
    return [{"p": list(map(float, p)), "adjusted": r(f"say(p.adjust({vector(p)}, 'holm'))")[0]} for p in cases]


def improvements():
    """The limits as roots of the score equation, found by bisection on either side of the mean."""
    rows = []
    z2 = stats.norm.isf(0.025) ** 2
    for better, equal, worse in [(1, 0, 0), (0, 0, 9), (0, 4, 9), (7, 2, 1), (60, 30, 10), (5, 990, 5), (612000, 1000, 387000)]:
        n = better + equal + worse
        mean, ties = (better + equal / 2) / n, equal / n

        def equation(p):
            return (mean - p) ** 2 - z2 * (p * (1 - p) - ties / 4) / n

        # Without ties, a mean of 0 or 1 is a root itself.
        lower = 0.0 if worse == n else optimize.brentq(equation, -1, mean - 1e-9, xtol=1e-15, rtol=1e-14)
        upper = 1.0 if better == n else optimize.brentq(equation, mean + 1e-9, 2, xtol=1e-15, rtol=1e-14)
        rows.append({"better": better, "equal": equal, "worse": worse, "interval": [mean, lower, upper]})
    return rows


versions = {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__,
            "r": subprocess.run(["Rscript", "-e", "cat(R.version$major, R.version$minor, sep = '.')"], capture_output=True, text=True).stdout,
            "survival": subprocess.run(["Rscript", "-e", "cat(as.character(packageVersion('survival')))"], capture_output=True,
                                       text=True).stdout}
document = {"made_by": f"make_study_statistics.py --seed {args.seed}", "versions": versions, "shares": shares(), "samples": samples(),
            "quantile_ranks": quantile_ranks(), "dkw": [{"n": n, "half_width": math.sqrt(math.log(2 / 0.05) / (2 * n))} for n in (2, 100, 10**6)],
            "survival": survival(), "sign_tests": sign_tests(), "holm": holm(), "improvements": improvements()}
with open(args.out, "w") as file:
    file.write("{\n" + ",\n".join(
        f' "{key}": ' + ("[\n  " + ",\n  ".join(json.dumps(row) for row in value) + "\n ]" if isinstance(value, list) else json.dumps(value))
        for key, value in document.items()) + "\n}\n")
