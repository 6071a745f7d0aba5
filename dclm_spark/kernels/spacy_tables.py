"""What spaCy's English tokenizer knows: the classes of its characters, its special cases, and its units of measure.

The tables are facts read out of spaCy 3.8 by `benchmarks/make_spacy_tables.py`; spaCy itself is not needed.
"""

import functools
import io
from importlib import resources
from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.jit import helper
from dclm_spark.kernels.terms import hash_of, term_set

# The class of a character. spaCy's letters are the ranges of `lang/char_classes.py`, not those of Unicode; characters
# of scripts without case are lower and upper at once.
IS_ALPHA = 0x1
IS_ALPHA_LOWER = 0x2
IS_ALPHA_UPPER = 0x4
IS_ASCII_DIGIT = 0x8
IS_QUOTE = 0x10
# A prefix or a suffix whatever stands beside it, and what an infix is in the same way (symbols, the ellipsis) or may be.
IS_PREFIX = 0x20
IS_SUFFIX = 0x40
IS_ICON = 0x80
IS_INFIX = 0x100
# What a full stop may end a token behind.
IS_BEFORE_STOP = 0x200
IS_FULL_STOP = 0x400
# What labels of a host begin and end with in a URL.
IS_HOST = 0x800
# What may begin the second token of a special case that is looked for across tokens.
IS_SECOND = 0x1000
# Unicode's category P, and the punctuation of the sentencizer.
IS_PUNCTUATION = 0x2000
IS_SENTENCE_END = 0x4000

# What a term is for: `kinds`.
IS_SPECIAL, IS_UNIT, IS_PATTERN, IS_PATTERN_START = 1, 2, 4, 8
LONGEST_TERM, LONGEST_UNIT = 12, 5

_TABLES_FILE = "spacy_en.npz"


class SpacyTables(NamedTuple):
    """The classes of all code points in two stages, as in `unicode.CharTables`, and a hash table of terms.

    Term i is a special case (its tokens start where bit k of `splits[i]` is set, k characters after its start), what may
    follow a digit as a token of its own (a unit, a currency), or a *pattern*: several tokens in a row, those which
    `pattern_splits[i]` marks, that spaCy makes into the special case of the same characters.
    """

    blocks: np.ndarray
    classes: np.ndarray
    slots: np.ndarray
    points: np.ndarray
    starts: np.ndarray
    kinds: np.ndarray
    splits: np.ndarray
    pattern_splits: np.ndarray


@functools.cache
def spacy_tables() -> SpacyTables:
    """The tables shipped with the package, read once a process, from a folder or a zip.

    >>> len(spacy_tables().kinds)
    1537
    """
    packed = resources.files("dclm_spark").joinpath("data", _TABLES_FILE).read_bytes()
    with np.load(io.BytesIO(packed)) as arrays:
        tables = dict(arrays)
    terms = term_set(str(tables.pop("terms"), "utf-8").split("\n"))
    tables = SpacyTables(slots=terms.slots, points=terms.points, starts=terms.starts, **tables)
    for table in tables:
        table.flags.writeable = False
    return tables


@helper
def class_of(point, blocks, classes):
    """The class of one code point."""
    return np.int64(classes[blocks[point >> 8], point & 0xFF])


@helper
def term_at(points, start, stop, tables):
    """The number of the term that the characters from `start` to `stop` are; -1 if they are none."""
    n_points = stop - start
    if n_points > LONGEST_TERM:
        return np.int64(-1)
    slots, term_points, term_starts = tables.slots, tables.points, tables.starts
    slot = hash_of(points[start:stop], n_points) & (len(slots) - 1)
    while slots[slot] >= 0:
        first = term_starts[slots[slot]]
        if term_starts[slots[slot] + 1] - first == n_points:
            at = 0
            while at < n_points and term_points[first + at] == points[start + at]:
                at += 1
            if at == n_points:
                return np.int64(slots[slot])
        slot = (slot + 1) & (len(slots) - 1)
    return np.int64(-1)
