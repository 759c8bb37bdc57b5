# SPDX-License-Identifier: MIT
#
# Reads a file in the text format of Prometheus 0.0.4, stricter than Prometheus itself: HELP and
# TYPE of a metric stand once, in this order, before its samples, which stand together; no sample
# stands twice; names tell base units; counters, and only they, end in _total.  With a second file,
# the JSON report of the same moment, figures must agree.
#
#	prometheus.py METRICS [JSON]

import json
import math
import re
import sys

NAME = r'tract(?:_[a-z0-9]+)+'
LABELS = r'[a-z]+="[^"\\\n]*"'
SAMPLE = re.compile(rf'({NAME})(?:\{{((?:{LABELS})(?:,{LABELS})*)\}})? (\S+)')
HEAD = re.compile(rf'# (HELP|TYPE) ({NAME}) (.+)')


def fail(number, line, why):
    sys.exit(f'line {number}: {why}: {line}')


def read(path):
    """{(name, labels): value}, the labels as a sorted tuple of pairs."""
    samples, kinds, helped, current = {}, {}, set(), None
    text = open(path, encoding='ascii').read()
    if not text.endswith('\n'):
        sys.exit('the last line has no end')
    for number, line in enumerate(text[:-1].split('\n'), 1):
        head = HEAD.fullmatch(line)
        sample = SAMPLE.fullmatch(line)
        if head:
            what, name, rest = head.groups()
            if what == 'HELP':
                if name in helped:
                    fail(number, line, 'a second HELP')
                helped.add(name)
                current = name
            elif name != current or name in kinds:
                fail(number, line, 'TYPE does not follow its HELP')
            elif rest not in ('counter', 'gauge'):
                fail(number, line, 'no type')
            elif (rest == 'counter') != name.endswith('_total'):
                fail(number, line, 'a counter ends in _total')
            else:
                kinds[name] = rest
            if re.search(r'_(ms|ns|us|kb|kib|mib|pages?)(_|$)', name):
                fail(number, line, 'not a base unit')
        elif sample:
            name, labels, value = sample.groups()
            if name != current or name not in kinds:
                fail(number, line, 'a sample away from its head')
            pairs = tuple(sorted(re.findall(r'([a-z]+)="([^"]*)"', labels or '')))
            if len(set(k for k, _ in pairs)) != len(pairs):
                fail(number, line, 'a label twice')
            if (name, pairs) in samples:
                fail(number, line, 'a second sample')
            if not re.fullmatch(r'\+Inf|\d+(\.\d+)?', value):
                fail(number, line, 'no number')
            samples[name, pairs] = float(value)
        else:
            fail(number, line, 'neither head nor sample')
    for name in helped:
        if not any(n == name for n, _ in samples):
            sys.exit(f'{name} has no sample')
    return samples


def compare(samples, report):
    root = report['jemalloc']
    stats, arenas, page = root['stats'], root['stats.arenas'], root['arenas']['page']
    expected = {}
    for key in 'allocated', 'active', 'mapped', 'retained', 'metadata':
        expected[f'tract_{key}_bytes', ()] = stats[key]
    for index, a in arenas.items():
        if index == 'merged':
            continue
        arena = ('arena', index)
        expected['tract_arena_active_bytes', (arena,)] = a['pactive'] * page
        expected['tract_arena_dirty_purged_bytes_total', (arena,)] = a['dirty_purged'] * page
        ms = a['dirty_decay_ms']
        expected['tract_arena_dirty_decay_seconds', (arena,)] = ms / 1000 if ms >= 0 else math.inf
        for constants, bin in zip(root['arenas']['bin'], a['bins']):
            if bin['nmalloc'] > 0:
                labels = (arena, ('class', str(constants['size'])))
                expected['tract_bin_malloc_total', labels] = bin['nmalloc']
                expected['tract_bin_curregs', labels] = bin['curregs']
    for key, value in expected.items():
        if samples.get(key) != value:
            sys.exit(f'{key}: {samples.get(key)}, but {value} in JSON')
    states = {dict(labels)['state']: v for (n, labels), v in samples.items() if n == 'tract_bytes'}
    if sum(states[s] for s in ('live', 'slack', 'slab_free', 'cache')) != stats['active']:
        sys.exit(f'states of active memory do not add up: {states}')
    return len(expected)


samples = read(sys.argv[1])
compared = compare(samples, json.load(open(sys.argv[2]))) if len(sys.argv) > 2 else 0
try:
    from prometheus_client.parser import text_string_to_metric_families
    theirs = sum(len(f.samples) for f in text_string_to_metric_families(open(sys.argv[1]).read()))
    if theirs != len(samples):
        sys.exit(f'{len(samples)} samples, {theirs} to prometheus_client')
except ImportError:
    theirs = None
print(f'# {len(samples)} samples, {compared} compared with JSON, prometheus_client: {theirs}')
