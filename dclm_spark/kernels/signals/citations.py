r"""Removes citations of Wikipedia inside compiled kernels: "[1]", "[]", "[edit]" and "[citation needed]".

Source: C4 (Raffel et al. 2020), whose code DCLM and datatrove follow. As `re` has it, with the \d of Unicode:

    \[\d*\]|\[edit\]|\[citation needed\]
"""

import numpy as np

from dclm_spark.kernels.compiled.jit import helper
from dclm_spark.kernels.text.unicode import IS_DECIMAL

_OPEN, _CLOSE = map(ord, "[]")
_EDIT, _CITATION_NEEDED = (np.array([*map(ord, text)], dtype=np.int32) for text in ("edit]", "citation needed]"))


@helper
def cut_citations(points, flags, start, stop):
    """Removes the citations from a line, in place, and returns its new end; text joined by a removal does not count."""
    kept = read = start
    while read < stop:
        # Invariant: the line before `read` stands, without citations, in points[start:kept]; kept <= read.
        if points[read] == _OPEN:
            end = read + 1
            while end < stop and flags[end] & IS_DECIMAL:
                end += 1
            if end < stop and points[end] == _CLOSE:
                read = end + 1
                continue
            if _stands_at(points, read + 1, stop, _EDIT):
                read += 1 + len(_EDIT)
                continue
            if _stands_at(points, read + 1, stop, _CITATION_NEEDED):
                read += 1 + len(_CITATION_NEEDED)
                continue
        points[kept], flags[kept] = points[read], flags[read]
        kept += 1
        read += 1
    return kept


@helper
def _stands_at(points, at, stop, text):
    index = 0
    while index < len(text) and at + index < stop and points[at + index] == text[index]:
        index += 1
    return index == len(text)
