r"""Recognizes lines that are counters ("3 likes", "1.2K views"), as DCLM's `counter_line_modifier` does.

Source: `baselines/mappers/modifiers.py`. As `re` has it, with \s, \d and \W of Unicode, on the line in lower case:

    ^\W*\d[,.\d]*[kmb]?\s+(likes|shares|...)\W*$
"""

import functools

import numpy as np

from dclm_spark.kernels.compiled.jit import helper
from dclm_spark.kernels.text.terms import TermSet, contains, term_set
from dclm_spark.kernels.text.unicode import IS_ALNUM, IS_DECIMAL, IS_SPACE, lower_of

_UNDERSCORE, _COMMA, _FULL_STOP = map(ord, "_,.")
_MULTIPLIERS = tuple(map(ord, "kKmMbB\u212a"))  # the last is the Kelvin sign: its lower case is a k
# What counter_line_modifier counts.
_COUNTED = (
    *("likes", "shares", "comments", "retweets", "reposts", "quotes", "bookmarks", "upvotes", "downvotes"),
    *("downloads", "views", "followers"),
)


@functools.cache
def counted_set() -> TermSet:
    """Returns the set of words that such a line counts, for `is_counter`."""
    return term_set(_COUNTED)


@helper
def is_counter(points, flags, start, stop, tables, counted):
    """Returns whether the line points[start:stop] is a counter; `counted` is `counted_set()`."""
    at = _skip_non_word(points, flags, start, stop)
    if at == stop or not flags[at] & IS_DECIMAL:
        return False
    while at < stop and (flags[at] & IS_DECIMAL or points[at] in (_COMMA, _FULL_STOP)):
        at += 1
    if at < stop and points[at] in _MULTIPLIERS:
        at += 1
    gap = at
    while at < stop and flags[at] & IS_SPACE:
        at += 1
    word = at
    lowered = np.empty(counted.longest, dtype=np.int32)
    while at < stop and _is_word(points, flags, at):
        if at - word == len(lowered):
            return False
        lowered[at - word] = lower_of(points[at], tables.blocks, tables.lower)
        at += 1
    if word == gap or not contains(counted.slots, counted.points, counted.starts, lowered, at - word):
        return False
    return _skip_non_word(points, flags, at, stop) == stop


@helper
def _is_word(points, flags, at):
    r"""Returns whether `re`'s \w matches the character."""
    return flags[at] & IS_ALNUM != 0 or points[at] == _UNDERSCORE


@helper
def _skip_non_word(points, flags, at, stop):
    while at < stop and not _is_word(points, flags, at):
        at += 1
    return at
