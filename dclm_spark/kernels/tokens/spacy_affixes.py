"""Finds what spaCy's English tokenizer splits off the start and the end of a string, and where it splits inside.

Source: spaCy 3.8, `lang/punctuation.py` and `lang/en/punctuation.py`, whose expressions these functions stand for.
"""

from dclm_spark.kernels.compiled.jit import helper
from dclm_spark.kernels.tokens.spacy_tables import (
    IS_ALPHA,
    IS_ALPHA_LOWER,
    IS_ALPHA_UPPER,
    IS_ASCII_DIGIT,
    IS_BEFORE_STOP,
    IS_ICON,
    IS_INFIX,
    IS_PREFIX,
    IS_QUOTE,
    IS_SUFFIX,
    IS_UNIT,
    LONGEST_UNIT,
    class_of,
    term_at,
)

_FULL_STOP, _ELLIPSIS, _COMMA, _DOLLAR, _PLUS, _DEGREE = map(ord, ".…,$+°")
_HYPHEN, _EN_DASH, _EM_DASH, _TILDE, _APOSTROPHE, _RIGHT_QUOTE = map(ord, "-–—~'’")
_BETWEEN_DIGITS = tuple(map(ord, "+-*^"))
_BETWEEN_WORDS = tuple(map(ord, ":<>=/"))
_CURRENCY_LETTERS = tuple(map(ord, "CA"))
_TEMPERATURES = tuple(map(ord, "CFKcfk"))
_POSSESSIVE = tuple(map(ord, "sS"))
_CAPITAL_U, _CAPITAL_S = map(ord, "US")
_HYPHENS = (_HYPHEN, _EN_DASH, _EM_DASH, _TILDE)


@helper
def prefix_length(points, start, stop, classes):
    """Returns the length of the prefix of a string that is not empty; 0 if it has none."""
    point = points[start]
    n_left = stop - start
    if class_of(point, classes) & IS_PREFIX:
        return 1
    if point == _FULL_STOP:
        end = start
        while end < stop and points[end] == _FULL_STOP:
            end += 1
        return end - start if end - start > 1 else 0
    if point == _PLUS:
        return 0 if n_left > 1 and class_of(points[start + 1], classes) & IS_ASCII_DIGIT else 1
    if point == _CAPITAL_U and n_left > 2 and points[start + 1] == _CAPITAL_S and points[start + 2] == _DOLLAR:
        return 3
    return 2 if point in _CURRENCY_LETTERS and n_left > 1 and points[start + 1] == _DOLLAR else 0


@helper
def suffix_length(points, start, stop, classes, terms, slots):
    """Returns the length of the longest suffix of a string; 0 if it has none.

    `start` is where the string begins without its prefix: nothing looks at what stands before that.
    """
    if start == stop:
        return 0
    last = points[stop - 1]
    before = points[stop - 2] if stop - start > 1 else -1
    class_before = class_of(before, classes) if before >= 0 else 0
    if last == _FULL_STOP:
        if before == _FULL_STOP:
            first = stop - 2
            while first > start and points[first - 1] == _FULL_STOP:
                first -= 1
            return stop - first
        if class_before & IS_BEFORE_STOP:
            return 1
        if stop - start < 3:
            return 0
        if points[stop - 3] == _DEGREE and before in _TEMPERATURES:
            return 1
        return 1 if class_before & class_of(points[stop - 3], classes) & IS_ALPHA_UPPER else 0
    if last in _POSSESSIVE and before in (_APOSTROPHE, _RIGHT_QUOTE):
        return 2
    if last == _ELLIPSIS and before == _ELLIPSIS:
        return 2
    # Units and currencies, alone among the suffixes, have to follow a digit, and none has a digit in it.
    first = stop
    while first > start and stop - first <= LONGEST_UNIT:
        if class_of(points[first - 1], classes) & IS_ASCII_DIGIT:
            if first < stop:
                if term_at(points, first, stop, IS_UNIT, terms, slots) >= 0:
                    return stop - first
                if last == _PLUS and stop - first == 1:
                    return 1
            break
        first -= 1
    return 1 if class_of(last, classes) & IS_SUFFIX else 0


@helper
def infix_length(points, at, start, stop, classes):
    """Returns the length of the infix at `at` in the string from `start` to `stop`; 0 if there is none."""
    current = class_of(points[at], classes)
    if current & (IS_INFIX | IS_ICON) != IS_INFIX:
        return 1 if current & IS_ICON else 0
    point = points[at]
    before = class_of(points[at - 1], classes) if at > start else 0
    after = class_of(points[at + 1], classes) if at + 1 < stop else 0
    if point == _FULL_STOP:
        end = at + 1
        while end < stop and points[end] == _FULL_STOP:
            end += 1
        if end - at > 1:
            return end - at
        return 1 if before & (IS_ALPHA_LOWER | IS_QUOTE) and after & (IS_ALPHA_UPPER | IS_QUOTE) else 0
    if point == _COMMA:
        return 1 if before & after & IS_ALPHA else 0
    is_before_number = after & IS_ASCII_DIGIT or (at + 1 < stop and points[at + 1] == _HYPHEN)
    if point in _BETWEEN_DIGITS and before & IS_ASCII_DIGIT and is_before_number:
        return 1
    if not before & (IS_ALPHA | IS_ASCII_DIGIT):
        return 0
    if point in _BETWEEN_WORDS:
        return 1 if after & IS_ALPHA else 0
    if point in _HYPHENS:
        longest = 3 if point == _HYPHEN else 2 if point == _EM_DASH else 1
        end = at + 1
        while end < stop and end - at < longest and points[end] == point:
            end += 1
        if end < stop and class_of(points[end], classes) & IS_ALPHA:
            return end - at
    return 0
