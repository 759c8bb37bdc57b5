# SPDX-License-Identifier: MIT
"""ratios -- the arithmetic of bench-compare: medians, intervals, geometric means, marks.

A row is a dict as in the CSV file.  Nothing here runs or prints anything; test/api/bench_compare.sh
checks it on known figures.
"""

import collections
import math
import statistics

# What is measured: field of a row, pass it is of, title, limit.
Measure = collections.namedtuple("Measure", "field kind title limit")
# One library on one job: median, half of the quartiles' distance in % of it, and against the best
# peer: the ratio, its 95 % interval, mark.
Cell = collections.namedtuple("Cell", "median spread ratio low high mark")
# One job: a name, a number of threads, the best peer, a Cell by library.
Line = collections.namedtuple("Line", "name threads best cells")

TIME_LIMIT, MEMORY_LIMIT, IDLE_LIMIT = 1.05, 1.15, 1.15
MEASURES = [Measure("wall_s", "timed", "TIME", TIME_LIMIT),
            Measure("cpu_s", "timed", "CPU TIME", TIME_LIMIT),
            Measure("peak_kib", "timed", "PEAK RSS", MEMORY_LIMIT),
            Measure("idle_kib", "idle", "RSS AFTER IDLE", IDLE_LIMIT),
            Measure("minor_faults", "timed", "PAGE FAULTS", math.inf)]


def interval_ranks(n, confidence=0.95):
    """The innermost pair of order statistics (from 0) that holds the median of a population with
    this confidence, whatever its distribution: P(low <= median <= high) is a sum of binomial terms.
    None where n values are too few for it (five for 95 %)."""
    best = None
    for low in range(n // 2):
        inside = sum(math.comb(n, k) for k in range(low + 1, n - low)) / 2 ** n
        if inside >= confidence:
            best = (low, n - 1 - low)
    return best


def interval(values, confidence=0.95):
    """Of the median; (-inf, inf) where there are too few values to say anything."""
    ranks = interval_ranks(len(values), confidence)
    if ranks is None:
        return -math.inf, math.inf
    ordered = sorted(values)
    return ordered[ranks[0]], ordered[ranks[1]]


def spread_percent(values):
    """Half of the distance between the quartiles, in % of the median."""
    middle = max(statistics.median(values), 1e-9)
    if len(values) < 3:
        return 50 * (max(values) - min(values)) / middle
    q = statistics.quantiles(values, n=4, method="inclusive")
    return 50 * (q[2] - q[0]) / middle


def mark_of(ratio, low, limit):
    """`*' where the whole interval is over the limit, `?' where only the median is."""
    return "*" if low > limit else "?" if ratio > limit else " "


def geometric_mean(values):
    return math.exp(statistics.fmean(math.log(v) for v in values)) if values else math.nan


def cell_of(values, best, limit):
    """values, best: by round.  A ratio is taken within a round: what slows both is not counted."""
    ratios = [values[r] / max(best[r], 1e-9) for r in values if r in best]
    if not ratios:
        return None
    ratio = statistics.median(ratios)
    low, high = interval(ratios)
    numbers = list(values.values())
    return Cell(statistics.median(numbers), spread_percent(numbers), ratio, low, high,
                mark_of(ratio, low, limit))


def lines_of(rows, measure, peers, skip=()):
    """Every job with this measure, against the peer with the lowest median of it."""
    table = {}
    for r in rows:
        if r["pass"] == measure.kind and r.get(measure.field) and r["name"] not in skip:
            by_library = table.setdefault((r["name"], r["threads"]), {})
            by_library.setdefault(r["library"], {})[r["round"]] = float(r[measure.field])
    lines = []
    for (name, threads), values in table.items():
        known = [p for p in peers if p in values]
        if not known:
            continue
        best = min(known, key=lambda p, v=values: statistics.median(v[p].values()))
        cells = {n: cell_of(values[n], values[best], measure.limit) for n in values}
        lines.append(Line(name, threads, best, {n: c for n, c in cells.items() if c}))
    return lines


def mean_of(lines, library):
    return geometric_mean([max(line.cells[library].ratio, 1e-6) for line in lines
                           if library in line.cells])


def over_of(lines, library):
    return sum(line.cells[library].mark == "*" for line in lines if library in line.cells)
