"""Normalizes texts for comparison: to lower case, or as datatrove simplifies them.

Source of the latter: `simplify_text` of datatrove 0.9, `utils/text.py`, with its defaults. The loop below does all of
its steps except the first, lower case, in one pass over a text, in linear time.
"""

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.text.lowering import lower_text
from dclm_spark.kernels.text.simplify_tables import (
    DROPPED,
    FATE,
    FIRST_MOVED,
    IS_DECIMAL,
    IS_DECIMAL_SEPARATOR,
    IS_DECOMPOSED,
    IS_PUNCTUATION,
    IS_SPACE,
    KEPT,
    LAST_MOVED,
    simplify_tables,
)
from dclm_spark.kernels.text.unicode import REPLACEMENT, code_point_at, put_char, short_char, string_array, utf8_buffers

_SPACE, _ZERO = ord(" "), ord("0")
_FIRST_HANGUL, _LAST_HANGUL = 0xAC00, 0xD7A3
_FIRST_L, _FIRST_V, _FIRST_T = 0x1100, 0x1161, 0x11A7
_N_V, _N_T = 21, 28


def simplify(text: pa.Array, normalization: str) -> pa.Array:
    """Normalizes texts by one of `near_duplicates.NORMALIZATIONS`; null for null.

    `datatrove`: lower case; a number, in any script and with decimals, becomes 0; punctuation, as datatrove lists it,
    becomes a space; white space becomes one space, none at the ends; characters are decomposed (NFD), and nonspacing
    marks dropped.

    >>> text = pa.array(["Ça coûte  3,50 € – vraiment!", "", None])
    >>> simplify(text, "datatrove").to_pylist()
    ['ca coute 0 € vraiment', '', None]
    >>> simplify(text, "lower").to_pylist()
    ['ça coûte  3,50 € – vraiment!', '', None]

    Characters are those of Unicode 16.0; datatrove uses the version of the Python that it runs in.
    """
    if normalization == "none":
        return text
    lowered = lower_text(text)
    if normalization == "lower":
        return lowered
    return string_array(lowered, *_simplify_rows(*utf8_buffers(lowered), simplify_tables()))


@kernel
def _simplify_rows(text, offsets, tables):
    blocks, kinds, places, sequences = tables.blocks, tables.kinds, tables.places, tables.sequences
    # A Hangul syllable grows most. Memory that is never written costs nothing.
    data = np.empty(3 * (offsets[-1] - offsets[0]), dtype=np.uint8)
    new_offsets = np.zeros(len(offsets), dtype=np.int64)
    end, last = 0, len(text) - 1
    for row in range(len(offsets) - 1):
        at, stop = offsets[row], offsets[row + 1]
        first = run = end  # `run` is the start of the characters that canonical ordering may have to move
        fate_before = np.int64(KEPT)
        is_ordered = True
        is_begun = has_gap = False  # of the text before marks are dropped
        while at < stop:
            start = at
            point, n_bytes = short_char(text[at], text[min(at + 1, last)], text[min(at + 2, last)], stop - at)
            at += n_bytes
            if n_bytes == 0:
                point, at = code_point_at(text, at, stop)
            kind = np.int64(kinds[blocks[point >> 8], point & 0xFF])
            if kind & IS_DECIMAL:
                at = _number_end(text, at, stop, blocks, kinds)
                point, kind = _ZERO, np.int64(KEPT)
            elif kind & (IS_SPACE | IS_PUNCTUATION):
                has_gap = is_begun
                continue
            kind &= FATE | IS_DECOMPOSED
            is_begun = True
            if has_gap or kind == KEPT or kind & IS_DECOMPOSED:
                # A starter comes, which those before it are not moved across. (So is the first of all sequences.)
                if not is_ordered:
                    _reorder(data, run, end, blocks, kinds)
                if has_gap and end > first:
                    data[end] = _SPACE
                    end += 1
                run = end
                fate_before, is_ordered, has_gap = np.int64(KEPT), True, False
            if kind == KEPT:
                if point < 0x80:
                    data[end] = point
                    end += 1
                    while at < stop and text[at] < 0x80 and kinds[0, text[at]] == KEPT:  # most characters
                        data[end] = text[at]
                        at += 1
                        end += 1
                elif _FIRST_HANGUL <= point <= _LAST_HANGUL:
                    end = _put_syllable(point - _FIRST_HANGUL, data, end)
                elif point == REPLACEMENT:
                    end = put_char(point, data, end)
                else:
                    for index in range(start, at):
                        data[end] = text[index]
                        end += 1
                run = end
            elif kind & IS_DECOMPOSED:
                place = np.int64(places[blocks[point >> 8], point & 0xFF])
                for index in range(place + 1, place + 1 + sequences[place]):
                    # What is kept is in order, from starter to starter.
                    end = put_char(sequences[index], data, end)
                    fate_before = np.int64(kinds[blocks[sequences[index] >> 8], sequences[index] & 0xFF]) & FATE
                    run = end if fate_before == KEPT else run
            elif kind >= FIRST_MOVED:
                end = put_char(point, data, end)
                is_ordered = is_ordered and bool(fate_before <= kind)
                fate_before = kind
            elif kind != DROPPED:
                if not is_ordered:
                    _reorder(data, run, end, blocks, kinds)
                run = end
                fate_before, is_ordered = np.int64(KEPT), True
        if not is_ordered:
            _reorder(data, run, end, blocks, kinds)
        while end > first and data[end - 1] == _SPACE:  # behind it stood marks only
            end -= 1
        new_offsets[row + 1] = end
    return data[:end], new_offsets


@helper
def _number_end(text, at, stop, blocks, kinds):
    """Returns the end of a number whose first digit ends at `at`, after its decimals if it has any."""
    at = _digits_end(text, at, stop, blocks, kinds)
    if at < stop:
        point, after = code_point_at(text, at, stop)
        if kinds[blocks[point >> 8], point & 0xFF] & IS_DECIMAL_SEPARATOR:
            end = _digits_end(text, after, stop, blocks, kinds)
            return end if end > after else at
    return at


@helper
def _digits_end(text, at, stop, blocks, kinds):
    while at < stop:
        point, after = code_point_at(text, at, stop)
        if not kinds[blocks[point >> 8], point & 0xFF] & IS_DECIMAL:
            break
        at = after
    return at


@helper
def _put_syllable(number, data, end):
    """Writes a Hangul syllable's two or three letters (Unicode, 3.12)."""
    end = put_char(_FIRST_L + number // (_N_V * _N_T), data, end)
    end = put_char(_FIRST_V + number // _N_T % _N_V, data, end)
    if number % _N_T:
        end = put_char(_FIRST_T + number % _N_T, data, end)
    return end


@helper
def _reorder(data, start, stop, blocks, kinds):
    """Sorts the characters of data[start:stop] canonically, by their class; the sort is stable."""
    ordered = np.empty(stop - start, dtype=np.uint8)
    n_bytes = 0
    for fate in range(FIRST_MOVED, LAST_MOVED + 1):
        at = start
        while at < stop:
            point, after = code_point_at(data, at, stop)
            if kinds[blocks[point >> 8], point & 0xFF] & FATE == fate:
                for index in range(at, after):
                    ordered[n_bytes] = data[index]
                    n_bytes += 1
            at = after
    for index in range(stop - start):
        data[start + index] = ordered[index]
