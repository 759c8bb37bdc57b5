# SPDX-License-Identifier: MIT
"""plot -- time against memory as an SVG file: a small dot for each job, a large one for each
library's geometric mean; both axes are ratios to the best peer, logarithmic."""

import math
from xml.sax.saxutils import escape

from bench import ratios

WIDTH, HEIGHT, MARGIN = 860, 620, 70
COLOURS = ["#7f7f7f", "#1f77b4", "#ff7f0e", "#9467bd", "#8c564b", "#17becf", "#bcbd22"]
OWN_COLOUR = "#d62728"
TICKS = [0.25, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 4, 6, 8]
MOST, LEAST = 8, 0.25


def clip(ratio):
    return min(max(ratio, LEAST), MOST)


class Axis:
    """Ratios low..high on the pixels first..last."""

    def __init__(self, values, first, last):
        self.low = math.log(min([0.7] + values) * 0.97)
        self.high = math.log(max([1.6] + values) * 1.03)
        self.first, self.last = first, last

    def at(self, ratio):
        share = (math.log(ratio) - self.low) / (self.high - self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self):
        return [t for t in TICKS if self.low <= math.log(t) <= self.high]


def dots_of(time_lines, memory_lines, library):
    memory = {(line.name, line.threads): line.cells[library].ratio for line in memory_lines
              if library in line.cells}
    return [(line.name, line.threads, clip(line.cells[library].ratio),
             clip(memory[line.name, line.threads])) for line in time_lines
            if library in line.cells and (line.name, line.threads) in memory]


def frame(x, y):
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
           'font-family="sans-serif" font-size="12">')
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    for t in x.ticks():
        colour = "#444" if t == 1 else "#ddd"
        yield (f'<path d="M{x.at(t):.1f} {y.first}V{y.last}" stroke="{colour}"/>'
               f'<text x="{x.at(t):.1f}" y="{y.first + 18}" text-anchor="middle">{t:g}</text>')
    for t in y.ticks():
        colour = "#444" if t == 1 else "#ddd"
        yield (f'<path d="M{x.first} {y.at(t):.1f}H{x.last}" stroke="{colour}"/>'
               f'<text x="{x.first - 8}" y="{y.at(t) + 4:.1f}" text-anchor="end">{t:g}</text>')
    yield (f'<text x="{(x.first + x.last) / 2}" y="{HEIGHT - 18}" text-anchor="middle">'
           'time / fastest peer (left is better)</text>')
    yield (f'<text transform="translate(20 {(y.first + y.last) / 2}) rotate(-90)" '
           'text-anchor="middle">peak RSS / leanest peer (down is better)</text>')


def svg(time_lines, memory_lines, names, judged):
    dots = {n: dots_of(time_lines, memory_lines, n) for n in names}
    dots = {n: d for n, d in dots.items() if d}
    x = Axis([d[2] for ds in dots.values() for d in ds], MARGIN, WIDTH - 150)
    y = Axis([d[3] for ds in dots.values() for d in ds], HEIGHT - MARGIN, 30)
    lines = list(frame(x, y))
    colours = dict(zip((n for n in dots if n != judged), COLOURS * 4))
    for row, (n, ds) in enumerate(dots.items()):
        colour = colours.get(n, OWN_COLOUR)
        for name, threads, time, memory in ds:
            title = f"{n}: {name} x{threads}, time {time:.2f}, memory {memory:.2f}"
            lines.append(f'<circle cx="{x.at(time):.1f}" cy="{y.at(memory):.1f}" r="3" '
                         f'fill="{colour}" fill-opacity="0.45"><title>{escape(title)}</title>'
                         '</circle>')
        time = clip(ratios.geometric_mean([d[2] for d in ds]))
        memory = clip(ratios.geometric_mean([d[3] for d in ds]))
        lines.append(f'<circle cx="{x.at(time):.1f}" cy="{y.at(memory):.1f}" r="9" '
                     f'fill="{colour}" stroke="black"/>')
        lines.append(f'<circle cx="{WIDTH - 138}" cy="{44 + 34 * row}" r="7" fill="{colour}"/>'
                     f'<text x="{WIDTH - 124}" y="{42 + 34 * row}">{escape(n)}</text>'
                     f'<text x="{WIDTH - 124}" y="{56 + 34 * row}" fill="#555">'
                     f'{time:.2f} / {memory:.2f}</text>')
    return "\n".join(lines + ["</svg>", ""])
