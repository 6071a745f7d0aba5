"""Defines punctuation as datatrove counts it: two sets of characters, as a table for compiled kernels.

Source: `TERMINAL_PUNCTUATION` and `PUNCTUATION_SET` of datatrove 0.10.1 (`datatrove/utils/text.py`), as code points.
Both are taken as they are, since words hang on them: the digit U+FF11 is punctuation, the bullet is none.
"""

import functools

import numpy as np

from dclm_spark.kernels.compiled.jit import helper

IS_TERMINAL = 1  # ends a sentence
IS_PUNCTUATION = 2

_TERMINAL = """
    0021 002E 003F 0589 061D-061F 06D4 0700-0702 07F9 0837 0839 083D-083E 0964-0965 104A-104B 1362 1367-1368 166E
    1735-1736 17D4-17D6 17D9-17DA 1803 1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F 1B7D-1B7E 1C3B-1C3C 1C7E-1C7F
    203C-203D 2047-2049 2E2E 2E3C 2E53-2E54 3002 A4FF A60E-A60F A6F3 A6F7 A876-A877 A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F
    AAF0-AAF1 ABEB FE52 FE56-FE57 FF01 FF0E FF1F FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1
    11141-11143 111C5-111C6 111CD 111DE-111DF 11238-11239 1123B-1123C 112A9 1144B-1144C 115C2-115C3 115C9-115D7
    11641-11642 1173C-1173E 11944 11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F 16AF5
    16B37-16B38 16B44 16E98 1BC9F 1DA88
"""
# Control characters, and marks that end no sentence: the ellipsis U+2026 is one.
_OTHER = """
    0000-0008 000B-001F 0022-002D 002F 003A-003E 0040 005B-0060 007B-009F 00AB 00B4 00BB 2013-2014 2019 201C-201E 2026
    2236 2501 25BA 3001 3008-300D 3010-3011 FF05 FF08-FF09 FF0C FF11 FF1A-FF1B FF5E
"""


def _code_points(ranges: str) -> list[int]:
    found: list[int] = []
    for item in ranges.split():
        first, _, last = item.partition("-")
        found.extend(range(int(first, 16), int(last or first, 16) + 1))
    return found


@functools.cache
def mark_table() -> np.ndarray:
    """Returns for each code point whether it is IS_TERMINAL, IS_PUNCTUATION or both, up to the last that is any.

    >>> table = mark_table()
    >>> [int(table[ord(char)]) for char in ".…a"]
    [3, 2, 0]
    """
    terminal, other = _code_points(_TERMINAL), _code_points(_OTHER)
    table = np.zeros(max(terminal + other) + 1, dtype=np.uint8)
    table[other] = IS_PUNCTUATION
    table[terminal] = IS_PUNCTUATION | IS_TERMINAL
    table.flags.writeable = False
    return table


@helper
def is_mark(table, code_point, kind):
    """Returns whether the code point is of this kind in the table."""
    return code_point < len(table) and table[code_point] & kind != 0
