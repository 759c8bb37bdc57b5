# SPDX-License-Identifier: MIT
"""For bench_compare.sh: the arithmetic of bench-compare on known figures, and what it writes.

    bench_compare.py SCRIPTS arithmetic
    bench_compare.py SCRIPTS columns RUNS SUMMARY
    bench_compare.py SCRIPTS plot FILE
"""

import csv
import math
import sys
import xml.etree.ElementTree

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from bench import ratios  # noqa: E402, below the folder given

RUNS = ("pass round library name threads scale seed wall_s cpu_s user_s sys_s peak_kib "
        "minor_faults end_kib idle_s idle_kib")
SUMMARY = ("measure name threads library median spread_percent best_peer ratio low high limit "
           "over")


def expect(what, value, wanted):
    same = math.isclose(value, wanted, rel_tol=1e-9) if isinstance(wanted, float) else value == wanted
    if not same:
        sys.exit(f"{what}: {value!r}, not {wanted!r}")


def row(library, number, wall_s, name="w"):
    return {"pass": "timed", "round": str(number), "library": library, "name": name,
            "threads": "1", "wall_s": str(wall_s)}


def arithmetic():
    # The tables of the sign test: 2nd and 9th of 10, 4th and 12th of 15, 6th and 15th of 20.
    expect("ranks of 5", ratios.interval_ranks(5), None)
    expect("ranks of 6", ratios.interval_ranks(6), (0, 5))
    expect("ranks of 10", ratios.interval_ranks(10), (1, 8))
    expect("ranks of 15", ratios.interval_ranks(15), (3, 11))
    expect("ranks of 20", ratios.interval_ranks(20), (5, 14))
    expect("ranks of 15, 99 %", ratios.interval_ranks(15, 0.99), (2, 12))
    expect("interval of 15", ratios.interval([15 - i for i in range(15)]), (4, 12))
    expect("interval of 3", ratios.interval([1, 2, 3]), (-math.inf, math.inf))
    expect("geometric mean", ratios.geometric_mean([0.5, 2, 4, 0.25]), 1.0)
    expect("spread", ratios.spread_percent([1, 2, 3, 4, 5]), 100 / 3)
    expect("mark, over", ratios.mark_of(1.2, 1.06, 1.05), "*")
    expect("mark, perhaps", ratios.mark_of(1.2, 1.04, 1.05), "?")
    expect("mark, under", ratios.mark_of(1.04, 1.0, 1.05), " ")
    # a is the best peer in the median, though not in each round; x takes twice its time in each.
    rows = []
    for i in range(7):
        rows += [row("a", i, 1 + i), row("b", i, 9 - i if i < 6 else 0.1), row("x", i, 2 + 2 * i)]
    line = ratios.lines_of(rows + [row("a", 0, 1, "left out")], ratios.MEASURES[0], ["a", "b"],
                           {"left out"})
    expect("jobs", [part.name for part in line], ["w"])
    expect("best peer", line[0].best, "a")
    cell = line[0].cells["x"]
    expect("median", cell.median, 8)
    expect("ratio within the rounds", (cell.ratio, cell.low, cell.high, cell.mark), (2, 2, 2, "*"))
    expect("mean", ratios.mean_of(line, "x"), 2.0)
    expect("over", ratios.over_of(line, "x"), 1)
    expect("best peer itself", line[0].cells["a"].ratio, 1)


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        return " ".join(reader.fieldnames), list(reader)


def columns(runs, summary):
    fields, rows = read(runs)
    expect("columns of the runs", fields, RUNS)
    timed = [r for r in rows if r["pass"] == "timed"]
    for r in timed:
        if not (float(r["wall_s"]) > 0 and float(r["cpu_s"]) >= 0 and int(r["peak_kib"]) > 0
                and int(r["minor_faults"]) >= 0 and int(r["threads"]) in (1, 2)):
            sys.exit(f"a run without figures: {r}")
    jobs = {(r["name"], r["threads"]) for r in timed}
    expect("jobs", jobs, {("bursts", "1"), ("bursts", "2"), ("peak-mixed", "1"),
                          ("start-true", "1")})
    libraries = {r["library"] for r in timed}
    expect("libraries", libraries, {"libc", "tract", "tract'"})
    expect("runs", len(timed), len(jobs) * 3 * 2)
    orders = {tuple(r["library"] for r in timed if (r["name"], r["threads"], r["round"]) ==
                    ("bursts", "1", n)) for n in "01"}
    expect("orders", len(orders), 2)
    idle = [r for r in rows if r["pass"] == "idle"]
    expect("idle", {(r["name"], r["library"]) for r in idle},
           {("peak-mixed", "libc"), ("peak-mixed", "tract")})
    if not all(int(r["idle_kib"]) > 0 for r in idle):
        sys.exit("idle runs without memory")
    fields, rows = read(summary)
    expect("columns of the summary", fields, SUMMARY)
    expect("measures", {r["measure"] for r in rows},
           {"wall_s", "cpu_s", "peak_kib", "idle_kib", "minor_faults"})
    for r in rows:
        if not float(r["low"]) <= float(r["ratio"]) <= float(r["high"]):
            sys.exit(f"a ratio outside of its interval: {r}")


def plot(path):
    root = xml.etree.ElementTree.parse(path).getroot()
    expect("kind", root.tag.endswith("svg"), True)
    # Four jobs on two libraries, two means, two in the legend.
    expect("dots", len(root.findall("{*}circle")), 4 * 2 + 2 + 2)


if __name__ == "__main__":
    {"arithmetic": arithmetic, "columns": columns, "plot": plot}[sys.argv[2]](*sys.argv[3:])
