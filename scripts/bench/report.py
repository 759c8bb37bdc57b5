# SPDX-License-Identifier: MIT
"""report -- what bench-compare prints: tables, what is over a limit, the summary as CSV and as
Markdown."""

import csv
import math

from bench import ratios

SUMMARY_FIELDS = ["measure", "name", "threads", "library", "median", "spread_percent", "best_peer",
                  "ratio", "low", "high", "limit", "over"]


def format_value(field, value):
    if field.endswith("_s"):
        return f"{value:7.3f}s"
    return f"{value / 1024:7.1f}M" if field.endswith("_kib") else f"{value:8.0f}"


def label_of(line):
    return line.name if line.threads == "1" else f"{line.name} x{line.threads}"


def names_in(lines, names):
    return [n for n in names if any(n in line.cells for line in lines)]


def print_table(measure, lines, names):
    names = names_in(lines, names)
    print(f"\n{measure.title}: median, +-% half of the quartiles' distance, ratio to the best peer")
    print(f"{'':22}" + "".join(f"{n:>21}" for n in names))
    for line in lines:
        cells = []
        for n in names:
            c = line.cells.get(n)
            cells.append("-" if c is None else
                         f" {format_value(measure.field, c.median)} +-{min(c.spread, 999):<3.0f}"
                         f"{c.ratio:6.2f}{c.mark}")
        print(f"{label_of(line):22}" + "".join(f"{c:>21}" for c in cells))
    print_means(measure, lines, names)


def print_means(measure, lines, names):
    means = "".join(f"{ratios.mean_of(lines, n):>20.3f} " for n in names)
    print(f"{'geometric mean':22}" + means)
    if measure.limit != math.inf:
        print(f"{f'over {measure.limit:.2f} (*)':22}" +
              "".join(f"{ratios.over_of(lines, n):>20} " for n in names))


def print_part(title, lines, names):
    """The mean of some of the jobs."""
    if lines:
        means = "".join(f"{ratios.mean_of(lines, n):>20.3f} " for n in names_in(lines, names))
        print(f"{f'  {title} ({len(lines)})':22}" + means)


def print_over(measure, lines, library):
    """Where the library judged is over the limit, worst first."""
    bad = [line for line in lines if library in line.cells and line.cells[library].mark != " "]
    bad.sort(key=lambda line: -line.cells[library].ratio)
    if not bad:
        return
    print(f"\n{library}, {measure.title}: over {measure.limit:.2f} "
          "(*: the whole 95 % interval; ?: the median)")
    for line in bad:
        c = line.cells[library]
        print(f"  {label_of(line):22} {c.ratio:6.2f}{c.mark} [{c.low:.2f}, {c.high:.2f}] "
              f"of {line.best}")


def print_control(measure, rows, library, control):
    """The same library twice: the ratio of one to the other is noise."""
    lines = [line for line in ratios.lines_of(rows, measure, [library]) if control in line.cells]
    if not lines:
        return
    wrong = sum(c.low > 1 or c.high < 1 for c in (line.cells[control] for line in lines))
    most = max(abs(math.log(max(line.cells[control].ratio, 1e-6))) for line in lines)
    print(f"  {measure.title:16} {control}/{library}: geometric mean "
          f"{ratios.mean_of(lines, control):.3f}, farthest x{math.exp(most):.2f}, "
          f"interval without 1 in {wrong} of {len(lines)}")


def write_summary(path, tables):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(SUMMARY_FIELDS)
        for measure, lines in tables:
            for line in lines:
                for n, c in line.cells.items():
                    writer.writerow([measure.field, line.name, line.threads, n, f"{c.median:.6g}",
                                     f"{c.spread:.1f}", line.best, f"{c.ratio:.4f}",
                                     f"{c.low:.4f}", f"{c.high:.4f}", measure.limit, c.mark.strip()])


def print_markdown(tables, names):
    """The table of README.md."""
    names = names_in([line for _, lines in tables for line in lines], names)
    print("\n| geometric mean of the ratio to the best peer | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for measure, lines in tables:
        if lines:
            means = (f"{ratios.mean_of(lines, n):.2f}" for n in names)
            print(f"| {measure.title.lower()} | " + " | ".join(means) + " |")
