"""Measures Gopher's quality signals of a text as DCLM does: counts and ratios that the recipe bounds.

Source: Rae et al. 2021 (Gopher), appendix A.1.1, as DCLM reads it in `baselines/mappers/filters/content_filters.py`.
"""

import functools

import numpy as np
import pyarrow as pa

from dclm_spark import schemas
from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.text.lowering import lower_word
from dclm_spark.kernels.text.terms import TermSet, contains, term_set
from dclm_spark.kernels.text.unicode import (
    IS_LETTER,
    IS_SPACE,
    REPLACEMENT,
    char_room,
    char_tables,
    decode,
    strip,
    utf8_buffers,
)
from dclm_spark.kernels.text.words import count_fasttext

QUALITY_TYPE = schemas.QUALITY

# What one row of counts holds.
_WORDS, _WORDS_SPLIT, _CHARS, _REPLACEMENTS, _LINES, _WORD_CHARS, _SYMBOLS = range(7)
_BULLET_LINES, _ELLIPSIS_LINES, _WORDS_WITHOUT_LETTER, _STOP_WORDS, _N_COUNTS = range(7, 12)

_NEWLINE, _SPACE, _FULL_STOP, _ELLIPSIS, _HASH = map(ord, "\n .…#")
_BULLETS = tuple(map(ord, "●•*-"))


def measure_quality(text: pa.Array, *, stop_words: tuple[str, ...]) -> pa.StructArray:
    """Measures the quality signals of each text, of type QUALITY_TYPE; null for null.

    - `n_words`: fastText tokens that start with a letter or number, the words of DCLM's page length
    - `n_words_split`: words between white space (`str.split`), the words of all ratios below
    - `n_chars`: code points
    - `n_replacement_chars`: U+FFFD among them, each in the place of what was no text: bytes that no charset decodes, or
      half of a surrogate pair
    - `n_lines`: lines, split at "\\n", that are not blank
    - `mean_word_chars`: mean code points a word; 0.0 without words
    - `symbols_per_word`: occurrences of "#", "...", ". . ." and "…" a word, each of the four counted by itself, without
      overlap; infinite without words, since DCLM drops such a page
    - `frac_bullet_lines`: share of lines that start with ●, •, * or - after white space; 0.0 without lines
    - `frac_ellipsis_lines`: share of lines that end with "...", ". . ." or "…" before white space; 0.0 without lines
    - `frac_words_without_letter`: share of words without any letter (`str.isalpha`); 1.0 without words
    - `n_stop_words`: words whose `str.lower` is one of `stop_words`, every occurrence (Gopher asks for two different)

    Args:
        text: Strings, a slice or not.
        stop_words: In lower case; one that no word can become, such as "The", never counts.

    >>> row = measure_quality(pa.array(["- To be, or not to be ..."]), stop_words=("to", "be"))[0].as_py()
    >>> row["n_words"], row["n_words_split"], row["n_stop_words"], row["frac_bullet_lines"], row["symbols_per_word"]
    (6, 8, 3, 1.0, 0.125)
    >>> [row and row["symbols_per_word"] for row in measure_quality(pa.array(["", None]), stop_words=()).to_pylist()]
    [inf, None]
    """
    data, offsets = utf8_buffers(text)
    counts = _measure_rows(data, offsets, char_tables(), _stop_word_set(tuple(stop_words)))
    n_words, n_lines = counts[:, _WORDS_SPLIT], counts[:, _LINES]
    is_null = text.is_null().to_numpy(zero_copy_only=False)
    columns = [
        counts[:, _WORDS],
        n_words,
        counts[:, _CHARS],
        counts[:, _REPLACEMENTS],
        n_lines,
        _ratio(counts[:, _WORD_CHARS], n_words, of_none=0.0),
        _ratio(counts[:, _SYMBOLS], n_words, of_none=np.inf),
        _ratio(counts[:, _BULLET_LINES], n_lines, of_none=0.0),
        _ratio(counts[:, _ELLIPSIS_LINES], n_lines, of_none=0.0),
        _ratio(counts[:, _WORDS_WITHOUT_LETTER], n_words, of_none=1.0),
        counts[:, _STOP_WORDS],
    ]
    arrays = [
        pa.array(column, type=field.type, mask=is_null) for field, column in zip(QUALITY_TYPE, columns, strict=True)
    ]
    return pa.StructArray.from_arrays(arrays, fields=list(QUALITY_TYPE), mask=pa.array(is_null))


def _ratio(part: np.ndarray, whole: np.ndarray, *, of_none: float) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), of_none), where=whole != 0)


@functools.lru_cache(maxsize=8)
def _stop_word_set(stop_words: tuple[str, ...]) -> TermSet:
    return term_set(stop_words)


@kernel
def _measure_rows(text, offsets, tables, stop_words):
    counts = np.zeros((len(offsets) - 1, _N_COUNTS), dtype=np.int64)
    points, flags = char_room(offsets)
    lowered = np.empty(stop_words.longest, dtype=np.int32)
    for row in range(len(counts)):
        n_chars = decode(text, offsets[row], offsets[row + 1], tables, points, flags)
        counts[row, _CHARS] = n_chars
        counts[row, _WORDS] = count_fasttext(flags, n_chars)
        counts[row, _SYMBOLS] = _count_symbols(points, n_chars)
        for at in range(n_chars):
            counts[row, _REPLACEMENTS] += points[at] == REPLACEMENT
        _count_words(points, flags, n_chars, tables, stop_words, lowered, counts[row])
        _count_lines(points, flags, n_chars, counts[row])
    return counts


@helper
def _count_symbols(points, n_chars):
    """Counts "#", "…", "..." and ". . .", each as by `str.count`."""
    n_symbols = 0
    # Where the next match of the two long ones may start: behind the last one.
    next_dots = next_spaced_dots = 0
    for at in range(n_chars):
        point = points[at]
        if point == _FULL_STOP:
            if at >= next_dots and is_dots(points, at, n_chars):
                n_symbols += 1
                next_dots = at + 3
            if at >= next_spaced_dots and _is_spaced_dots(points, at, n_chars):
                n_symbols += 1
                next_spaced_dots = at + 5
        elif point in (_HASH, _ELLIPSIS):
            n_symbols += 1
    return n_symbols


@helper
def is_dots(points, at, stop):
    """Returns whether "..." starts at `at`."""
    return at + 3 <= stop and points[at] == points[at + 1] == points[at + 2] == _FULL_STOP


@helper
def _is_spaced_dots(points, at, stop):
    return (
        at + 5 <= stop
        and points[at] == points[at + 2] == points[at + 4] == _FULL_STOP
        and points[at + 1] == points[at + 3] == _SPACE
    )


@helper
def _count_lines(points, flags, n_chars, counts):
    start = 0
    while start < n_chars:
        stop = start
        while stop < n_chars and points[stop] != _NEWLINE:
            stop += 1
        first, end = strip(flags, start, stop)
        if first < end:
            counts[_LINES] += 1
            counts[_BULLET_LINES] += points[first] in _BULLETS
            counts[_ELLIPSIS_LINES] += (
                points[end - 1] == _ELLIPSIS
                or (end - 3 >= first and is_dots(points, end - 3, end))
                or (end - 5 >= first and _is_spaced_dots(points, end - 5, end))
            )
        start = stop + 1


@helper
def _count_words(points, flags, n_chars, tables, stop_words, lowered, counts):
    slots, term_points, term_starts, _ = stop_words
    blocks, lower = tables.blocks, tables.lower
    at = 0
    while at < n_chars:
        if flags[at] & IS_SPACE:
            at += 1
            continue
        start = at
        has_letter = False
        while at < n_chars and not flags[at] & IS_SPACE:
            has_letter |= flags[at] & IS_LETTER != 0
            at += 1
        counts[_WORDS_SPLIT] += 1
        counts[_WORD_CHARS] += at - start
        counts[_WORDS_WITHOUT_LETTER] += not has_letter
        if at - start <= len(lowered):
            n_lowered = lower_word(points, flags, start, at, blocks, lower, lowered)
            counts[_STOP_WORDS] += n_lowered > 0 and contains(slots, term_points, term_starts, lowered, n_lowered)
