r"""Finds phrases in a text, in any case, inside compiled kernels.

For phrases of ASCII letters, case is ignored as by `re.IGNORECASE`, including four letters outside ASCII; other letters
are equal if they have the same simple lower case.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.compiled.jit import helper
from dclm_spark.kernels.text.unicode import char_tables, lower_of

ANY_CHAR = -1
"""Stands for any character in a phrase."""

_DOTTED_CAPITAL_I, _DOTLESS_I, _LONG_S = map(ord, "İıſ")
_SMALL_I, _SMALL_S = map(ord, "is")


class Phrases(NamedTuple):
    """The folded code points of all phrases, concatenated; phrase i is `points[starts[i]:starts[i + 1]]`."""

    points: np.ndarray
    starts: np.ndarray


def encode_phrases(phrases: Iterable[tuple[str, bool]]) -> Phrases:
    """Encodes phrases for `is_phrase_at`, each with whether its full stops match any character.

    >>> encode_phrases([("Sign-in", False), ("...", True)]).starts.tolist()
    [0, 7, 10]
    """
    starts, points = [0], []
    tables = char_tables()
    for phrase, dots_match_any in phrases:
        for char in phrase:
            points.append(ANY_CHAR if dots_match_any and char == "." else fold(ord(char), tables.blocks, tables.lower))
        starts.append(len(points))
    return Phrases(np.array(points, dtype=np.int32), np.array(starts, dtype=np.int32))


@helper
def fold(point, blocks, lower):
    """Returns the code point that represents a letter in comparisons that ignore case."""
    if point == _LONG_S:
        return _SMALL_S
    if point in (_DOTTED_CAPITAL_I, _DOTLESS_I):
        return _SMALL_I
    return lower_of(point, blocks, lower)


@helper
def is_phrase_at(points, at, stop, phrase, blocks, lower):
    """Returns whether the phrase (folded code points) begins at `at` and ends at or before `stop`."""
    if at < 0 or at + len(phrase) > stop:
        return False
    for index in range(len(phrase)):
        expected = phrase[index]
        if expected != ANY_CHAR and fold(np.int64(points[at + index]), blocks, lower) != expected:
            return False
    return True
