"""Converts text to lower case as `str.lower` does, with special cases and the final sigma, unlike Arrow."""

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.bytes.lanes import HIGH_BITS, load, lower_lane, lowest_byte, store
from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.text.unicode import (
    IS_CASE_IGNORABLE,
    IS_CASED,
    REPLACEMENT,
    char_tables,
    code_point_at,
    flags_of,
    put_char,
    short_char,
    start_of_char_before,
    string_array,
    utf8_buffers,
)

_CAPITAL_SIGMA, _SMALL_SIGMA, _FINAL_SIGMA = 0x3A3, 0x3C3, 0x3C2
_DOTTED_CAPITAL_I, _SMALL_I, _DOT_ABOVE = 0x130, ord("i"), 0x307  # the only character that becomes two
_ASCII_LOWER = np.array([ord(chr(byte).lower()) for byte in range(128)], dtype=np.uint8)


def lower_text(text: pa.Array) -> pa.LargeStringArray:
    """Converts each text to lower case; null for null.

    It equals `str.lower` of a Python with Unicode 16.0, whichever Python runs this.

    >>> lower_text(pa.array(["ΟΔΟΣ", "İ", "", None])).to_pylist()
    ['οδος', 'i̇', '', None]
    """
    data, offsets = utf8_buffers(text)
    return string_array(text.cast(pa.large_string()), *_lower_rows(data, offsets, char_tables()))


def lower_one(text: str) -> str:
    """Converts one string to lower case: `str.lower` would depend on the Python that runs it.

    >>> lower_one("Straße ΟΔΟΣ")
    'straße οδος'
    """
    return text.lower() if text.isascii() else lower_text(pa.array([text]))[0].as_py()


@kernel
def _lower_rows(text, offsets, tables):
    n_bytes = offsets[-1] - offsets[0]
    # At most, two bytes become three. Memory that is never written costs nothing.
    lowered = np.empty(n_bytes + n_bytes // 2 + 8, dtype=np.uint8)  # eight bytes are written at a time
    lowered_offsets = np.zeros(len(offsets), dtype=np.int64)
    blocks, lower = tables.blocks, tables.lower
    end, last = np.int64(0), len(text) - 1
    for row in range(len(offsets) - 1):
        start, stop = offsets[row], offsets[row + 1]
        at = start
        while at < stop:
            if text[at] < 0x80:
                if at + 8 <= stop:
                    lane = load(text, at)
                    store(lower_lane(lane), lowered, end)  # bytes that are not ASCII are overwritten later
                    n_bytes = np.int64(8)
                    if lane & HIGH_BITS:
                        n_bytes = np.int64(lowest_byte(lane & HIGH_BITS)[0])
                    at += n_bytes
                    end += n_bytes
                else:
                    lowered[end] = _ASCII_LOWER[text[at]]
                    at += 1
                    end += 1
                continue
            point, n_bytes = short_char(text[at], text[min(at + 1, last)], text[min(at + 2, last)], stop - at)
            after = at + n_bytes
            if n_bytes == 0:
                point, after = code_point_at(text, at, stop)
            step = np.int64(lower[blocks[point >> 8], point & 0xFF])
            if point == _CAPITAL_SIGMA:
                point = _FINAL_SIGMA if _is_final_in_bytes(text, start, at, after, stop, tables) else _SMALL_SIGMA
                end = put_char(point, lowered, end)
            elif point == _DOTTED_CAPITAL_I:
                end = put_char(_DOT_ABOVE, lowered, put_char(_SMALL_I, lowered, end))
            elif step or point == REPLACEMENT:
                end = put_char(point + step, lowered, end)
            else:  # most characters
                for index in range(at, after):
                    lowered[end] = text[index]
                    end += 1
            at = after
        lowered_offsets[row + 1] = end
    return lowered[:end], lowered_offsets


@helper
def lower_word(points, flags, start, stop, blocks, lower, lowered):
    """Writes `str.lower` of one word to `lowered` and returns its length; 0 if there is no room for it."""
    n_lowered = 0
    for at in range(start, stop):
        point = np.int64(points[at])
        if point < 0x80:
            point += 0x20 if 0x41 <= point <= 0x5A else 0
        elif point == _CAPITAL_SIGMA:
            point = np.int64(_FINAL_SIGMA if _is_final_in_points(flags, start, at, stop) else _SMALL_SIGMA)
        elif point == _DOTTED_CAPITAL_I:
            if n_lowered == len(lowered):
                return 0
            lowered[n_lowered] = _SMALL_I
            n_lowered += 1
            point = np.int64(_DOT_ABOVE)
        else:
            point += lower[blocks[point >> 8], point & 0xFF]
        if n_lowered == len(lowered):
            return 0
        lowered[n_lowered] = point
        n_lowered += 1
    return n_lowered


# A capital sigma ends its word if there is a cased letter before it and none after it; case-ignorable characters
# between them do not count (SpecialCasing.txt).
@helper
def _is_final_in_points(flags, start, at, stop):
    """Returns whether the capital sigma at `at` of a decoded word ends the word."""
    before = at - 1
    while before >= start and flags[before] & IS_CASE_IGNORABLE:
        before -= 1
    after = at + 1
    while after < stop and flags[after] & IS_CASE_IGNORABLE:
        after += 1
    return (before >= start and flags[before] & IS_CASED != 0) and (after == stop or flags[after] & IS_CASED == 0)


@helper
def _is_final_in_bytes(text, start, at, after, stop, tables):
    """Returns whether the capital sigma from byte `at` to byte `after` ends its word."""
    flags = IS_CASE_IGNORABLE
    while at > start and flags & IS_CASE_IGNORABLE:
        at = start_of_char_before(text, at, start)
        flags = flags_of(code_point_at(text, at, stop)[0], tables)
    if flags & IS_CASE_IGNORABLE or not flags & IS_CASED:
        return False
    flags = IS_CASE_IGNORABLE
    while after < stop and flags & IS_CASE_IGNORABLE:
        point, after = code_point_at(text, after, stop)
        flags = flags_of(point, tables)
    return flags & IS_CASE_IGNORABLE != 0 or not flags & IS_CASED
