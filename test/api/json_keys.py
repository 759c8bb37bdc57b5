# SPDX-License-Identifier: MIT
#
# Every key of a report in JSON (of jemalloc) is in another (ours), with a value of the same kind.
# Of arrays the first element counts.
#
#	json_keys.py THEIRS OURS

import json
import re
import sys

# Options that no longer exist where the others do; and what a build without profiling lacks.
GONE = r'opt/hpa_sec_(bytes_after_flush|batch_fill_extra)'
PROFILING = r'opt/(prof|lg_prof).*|prof(/.*)?'


def kind(value):
    for types, name in ((bool, 'bool'), ((int, float), 'number'), (str, 'string'), (dict, '{}')):
        if isinstance(value, types):
            return name
    return '[]'


def keys(value, path=''):
    if isinstance(value, dict):
        for key, member in value.items():
            yield path + key, kind(member)
            yield from keys(member, path + key + '/')
    elif isinstance(value, list) and value:
        yield from keys(value[0], path + '0/')


theirs, ours = (json.load(open(name))['jemalloc'] for name in sys.argv[1:3])
absent = GONE if ours['config']['prof'] else GONE + '|' + PROFILING
ours = dict(keys(ours))
wrong = [f'{path}: {k}, but {ours.get(path)}' for path, k in keys(theirs)
         if ours.get(path) != k and not re.fullmatch(absent, path)]
print(f'# {sum(1 for _ in keys(theirs))} keys')
sys.exit('\n'.join(wrong) or 0)
