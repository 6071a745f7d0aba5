"""Holds the data of spaCy's English tokenizer: classes of characters, special cases, and units of measure.

The tables are facts read out of spaCy 3.8 by `tools/make_spacy_tables.py`; spaCy itself is not needed.
"""

import functools
import io
from importlib import resources
from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.compiled.jit import helper

# The class of a character. spaCy's letters are the ranges of `lang/char_classes.py`, not those of Unicode; characters
# of scripts without case are lower and upper at once.
IS_ALPHA = 0x1
IS_ALPHA_LOWER = 0x2
IS_ALPHA_UPPER = 0x4
IS_ASCII_DIGIT = 0x8
IS_QUOTE = 0x10
# A prefix or a suffix whatever stands beside it; an infix likewise (symbols, the ellipsis), and what may be one.
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

# A term, one row of `SpacyTables.terms`: how many characters it has, what it is for, how it is split, and itself.
LENGTH, KINDS, SPLITS, PATTERN_SPLITS, CHARACTERS = range(5)
IS_SPECIAL, IS_UNIT, IS_PATTERN, IS_PATTERN_START = 1, 2, 4, 8
LONGEST_TERM, LONGEST_UNIT = 12, 5

_TABLES_FILE = "spacy_en.npz"
_N_SLOTS = 8192
_HASH_FACTOR = 0x9E3779B1  # any odd number with many bits serves


class SpacyTables(NamedTuple):
    """The data as arrays; they are few, because each array costs time in every call that it is passed to.

    - `classes`: those of all code points in two stages, see `class_of`
    - `terms`: special cases; what may follow a digit as a token of its own (a unit, a currency); *patterns*, several
      tokens in a row that spaCy makes into the special case of the same characters; and what patterns begin with.
      Bit k of SPLITS is set where a token of the special case starts k characters behind its start; PATTERN_SPLITS says
      the same of the tokens of a pattern.
    - `slots`: a hash table of the rows of `terms`, -1 where there is none
    """

    classes: np.ndarray
    terms: np.ndarray
    slots: np.ndarray


@functools.cache
def spacy_tables() -> SpacyTables:
    """Returns the tables of the package, read once for each process, from a folder or a zip.

    >>> spacy_tables().terms.shape
    (1537, 16)
    """
    packed = resources.files("dclm_spark").joinpath("data", _TABLES_FILE).read_bytes()
    with np.load(io.BytesIO(packed)) as arrays:
        classes, terms = arrays["classes"], arrays["terms"]
    slots = np.full(_N_SLOTS, -1, dtype=np.int16)
    for row, term in enumerate(terms.tolist()):
        slot = _first_slot(term, CHARACTERS, term[LENGTH])
        while slots[slot] >= 0:
            slot = (slot + 1) % _N_SLOTS
        slots[slot] = row
    tables = SpacyTables(classes, terms, slots)
    for table in tables:
        table.flags.writeable = False
    return tables


@helper
def class_of(point, classes):
    """Returns the class of one code point; `classes` begins with the index of the classes of each 256 code points."""
    return np.int64(classes[classes[point >> 8] + (point & 0xFF)])


@helper
def term_at(points, start, stop, kinds, terms, slots):
    """Returns the row of the term that equals points[start:stop] and is of one of the kinds; else -1."""
    n_points = stop - start
    if n_points > LONGEST_TERM:
        return -1
    slot = _first_slot(points, start, n_points)
    while slots[slot] >= 0:
        row = slots[slot]
        if terms[row, LENGTH] == n_points:
            at = 0
            while at < n_points and terms[row, CHARACTERS + at] == points[start + at]:
                at += 1
            if at == n_points:
                return row if terms[row, KINDS] & kinds else -1
        slot = (slot + 1) & (_N_SLOTS - 1)
    return -1


@helper
def _first_slot(points, start, n_points):
    """Returns the slot at which the search for a term begins."""
    # Three characters and the length distinguish terms well enough, and nearly all words from terms.
    digest = (points[start] * 31 + points[start + n_points // 2]) * 31 + points[start + n_points - 1]
    return (((digest * 31 + n_points) * _HASH_FACTOR) & 0xFFFFFFFF) >> 19
