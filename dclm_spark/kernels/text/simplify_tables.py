"""Loads the tables for datatrove's simplification of text (Unicode 16.0): each character's kind and decomposition.

`tools/make_simplify_tables.py` makes the tables.
"""

import functools
import io
from importlib import resources
from typing import NamedTuple

import numpy as np

# The treatment of the character after decomposition, in the low three bits of its kind.
KEPT, DROPPED = 0, 1  # DROPPED: a nonspacing mark, which canonical ordering moves among other marks
DROPPED_STARTER = 2  # a mark that no other mark is moved across
# Kept, and moved by canonical ordering: lower numbers before higher ones.
FIRST_MOVED, LAST_MOVED = 3, 7
FATE = 0x7

# Further bits of a kind.
IS_SPACE = 0x8
IS_PUNCTUATION = 0x10
IS_DECIMAL = 0x20
IS_DECIMAL_SEPARATOR = 0x40
IS_DECOMPOSED = 0x80

TABLES_FILE = "simplify_16.npz"


class SimplifyTables(NamedTuple):
    """The kinds of all code points in two stages, `kinds[blocks[code_point >> 8], code_point & 255]`, and sequences.

    `places` has the shape of `kinds`: where the sequence of a decomposed character starts in `sequences`, first its
    length and then the code points that are kept of it. Hangul syllables are not in it: they are computed.
    """

    blocks: np.ndarray
    kinds: np.ndarray
    places: np.ndarray
    sequences: np.ndarray


@functools.cache
def simplify_tables() -> SimplifyTables:
    """Returns the tables of the package, read once for each process, from a folder or a zip.

    >>> int(simplify_tables().kinds[0, ord("!")]) == IS_PUNCTUATION
    True
    """
    packed = resources.files("dclm_spark").joinpath("data", TABLES_FILE).read_bytes()
    with np.load(io.BytesIO(packed)) as arrays:
        tables = SimplifyTables(*(arrays[name] for name in SimplifyTables._fields))
    for table in tables:
        table.flags.writeable = False
    return tables
