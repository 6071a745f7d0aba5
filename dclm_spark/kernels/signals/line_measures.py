"""Computes the measures of a line that line rules limit (`bounds.LINE_MEASURES`), inside compiled kernels."""

from dclm_spark.kernels.compiled.jit import helper
from dclm_spark.kernels.signals.counters import is_counter
from dclm_spark.kernels.text.unicode import IS_DIGIT, IS_SPACE, IS_UPPER
from dclm_spark.kernels.text.words import count_split
from dclm_spark.recipe.bounds import LINE_MEASURES

UPPER, DIGIT, COUNTER, WORDS, LONGEST_WORD, END_MARK, END_ELLIPSIS = range(len(LINE_MEASURES))

_FULL_STOP, _ELLIPSIS = map(ord, ".…")
# DCLM's punctuation_line_modifier; C4's own code has no ellipsis of one character among them.
_END_MARKS = tuple(map(ord, '.!?"…'))


@helper
def measure_line(points, flags, start, stop, kind, tables, counted):
    """Returns the measure of one line that is not empty, as a float; `counted` is `counters.counted_set()`."""
    if kind == WORDS:
        return float(count_split(flags[start:stop], stop - start))
    if kind == COUNTER:
        return 1.0 if is_counter(points, flags, start, stop, tables, counted) else 0.0
    if kind == LONGEST_WORD:
        longest = n_chars = 0
        for at in range(start, stop):
            n_chars = 0 if flags[at] & IS_SPACE else n_chars + 1
            longest = max(longest, n_chars)
        return float(longest)
    if kind in (END_MARK, END_ELLIPSIS):
        last = stop - 1
        while last >= start and flags[last] & IS_SPACE:
            last -= 1
        if last < start:
            return 0.0
        if kind == END_MARK:
            return 1.0 if points[last] in _END_MARKS else 0.0
        is_dots = last - 2 >= start and points[last] == points[last - 1] == points[last - 2] == _FULL_STOP
        return 1.0 if is_dots or points[last] == _ELLIPSIS else 0.0
    wanted = IS_UPPER if kind == UPPER else IS_DIGIT
    n_found = 0
    for at in range(start, stop):
        n_found += flags[at] & wanted != 0
    return n_found / (stop - start)
