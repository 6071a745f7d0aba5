"""Reads characters of Arrow text inside compiled kernels: buffers, UTF-8, properties of code points (Unicode 16.0).

The tables are files of the package, not the interpreter's `unicodedata`, so a page has the same words on every Python.
`tools/make_unicode_tables.py` makes them.
"""

import functools
import io
from importlib import resources
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.bytes.binary import validity_buffer
from dclm_spark.kernels.compiled.jit import helper

# The Word_Break property of a character (UAX #29, table 3), in the low five bits of its flags.
OTHER, ALETTER, HEBREW_LETTER, NUMERIC, KATAKANA, EXTEND_NUM_LET, REGIONAL_INDICATOR, WSEG_SPACE = range(8)
MID_LETTER, MID_NUM, MID_NUM_LET, SINGLE_QUOTE, DOUBLE_QUOTE = range(8, 13)
EXTEND, FORMAT, ZWJ = range(13, 16)  # the classes that WB4 ignores
CR, LF, NEWLINE = range(16, 19)
WORD_BREAK = 0x1F

# Further flags. Letter, alphanumeric and space are as in str.isalpha, isalnum and isspace.
IS_PICTOGRAPHIC = 0x20
IS_LETTER = 0x40
IS_ALNUM = 0x80
IS_SPACE = 0x100
# The properties of a capital sigma's neighbours that str.lower uses.
IS_CASED = 0x200
IS_CASE_IGNORABLE = 0x400
# Characters that end a fastText token (`Dictionary::readWord`): space, tab to carriage return, NUL; no other white
# space.
IS_FASTTEXT_SEPARATOR = 0x800
# As in str.isupper, isdigit (decimals, superscripts and similar) and isdecimal (the \d of `re`).
IS_UPPER = 0x1000
IS_DIGIT = 0x2000
IS_DECIMAL = 0x4000

REPLACEMENT = 0xFFFD
WORD_BREAKERS = {"16.0": "unicode_16.npz", "15.1": "unicode_15_1.npz", "15.0": "unicode_15.npz"}
"""Version of the Word_Break property -> the file of its tables; all else in them is Unicode 16.0."""
WORD_BREAKER = "16.0"


class CharTables(NamedTuple):
    """The properties of all code points in two stages: `flags[blocks[code_point >> 8], code_point & 255]`.

    `lower` has the same shape and holds what to add to a code point for its simple lower-case mapping.
    Block 0 is the first block, so an ASCII character is found at `flags[0, byte]`.
    """

    blocks: np.ndarray
    flags: np.ndarray
    lower: np.ndarray


@functools.cache
def char_tables(word_breaker: str = WORD_BREAKER) -> CharTables:
    """Returns the tables of the package, read once for each process, from a folder or a zip.

    Raises:
        ValueError: The word breaker is unknown.
    """
    if word_breaker not in WORD_BREAKERS:
        raise ValueError(f"no word breaker {word_breaker!r}; known are: {', '.join(WORD_BREAKERS)}")
    packed = resources.files("dclm_spark").joinpath("data", WORD_BREAKERS[word_breaker]).read_bytes()
    with np.load(io.BytesIO(packed)) as arrays:
        tables = CharTables(*(arrays[name] for name in CharTables._fields))
    for table in tables:
        table.flags.writeable = False
    return tables


def utf8_buffers(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns the UTF-8 bytes of a string array, and the int64 offsets of its rows, without copying the text.

    Row i is `data[offsets[i]:offsets[i + 1]]`, also for a slice; the range of a null row is unspecified. Both arrays
    are read-only.

    >>> data, offsets = utf8_buffers(pa.array(["ab", None, "é"])[1:])
    >>> offsets.tolist(), data[offsets[1]:offsets[2]].tobytes().decode()
    ([2, 2, 4], 'é')
    """
    if not (pa.types.is_string(text.type) or pa.types.is_large_string(text.type)):
        raise TypeError(f"text is an array of {text.type}, expected string or large_string")
    offset_type = np.int64 if pa.types.is_large_string(text.type) else np.int32
    _, offset_buffer, data_buffer = text.buffers()
    if len(text) == 0 or offset_buffer is None:
        offsets = np.zeros(len(text) + 1, dtype=np.int64)
    else:
        rows = np.frombuffer(offset_buffer, dtype=offset_type)
        offsets = rows[text.offset : text.offset + len(text) + 1].astype(np.int64)
    offsets.flags.writeable = False
    data = np.frombuffer(data_buffer if data_buffer is not None else b"", dtype=np.uint8)
    # With a writable buffer, every kernel would be compiled a second time.
    data.flags.writeable = False
    return data, offsets


def string_array(like: pa.Array, data: np.ndarray, offsets: np.ndarray) -> pa.Array:
    """Makes a string array from other bytes, with the type and nulls of `like`."""
    offset_type = np.int64 if pa.types.is_large_string(like.type) else np.int32
    is_valid = validity_buffer(like.is_valid().to_numpy(zero_copy_only=False))
    buffers = [is_valid, pa.py_buffer(offsets.astype(offset_type)), pa.py_buffer(data)]
    return pa.Array.from_buffers(like.type, len(like), buffers)


@helper
def code_point_at(text, at, stop):
    """Decodes the code point at byte `at`; returns it and the next byte; an invalid byte is U+FFFD of length 1.

    Arrow guarantees UTF-8, but a cast from binary does not: this never reads beyond `stop` nor returns more than
    U+10FFFF.
    """
    first = np.int64(text[at])
    if first < 0x80:
        return first, at + 1
    if first < 0xC2:
        return REPLACEMENT, at + 1
    if first < 0xE0:
        if at + 1 < stop:
            return (first & 0x1F) << 6 | (text[at + 1] & 0x3F), at + 2
    elif first < 0xF0:
        if at + 2 < stop:
            return (first & 0xF) << 12 | np.int64(text[at + 1] & 0x3F) << 6 | (text[at + 2] & 0x3F), at + 3
    elif first < 0xF5 and at + 3 < stop:
        high = (first & 0x7) << 18 | np.int64(text[at + 1] & 0x3F) << 12
        code_point = high | np.int64(text[at + 2] & 0x3F) << 6 | (text[at + 3] & 0x3F)
        if code_point <= 0x10FFFF:
            return code_point, at + 4
    return REPLACEMENT, at + 1


@helper
def short_char(first, second, third, n_left):
    """Decodes a code point of at most three bytes; returns it and its length, 0 for a longer or invalid one.

    This is a faster `code_point_at` for most characters of a loop, because passing an array costs more than numbers. If
    the length is 0, call `code_point_at`.
    """
    if first < 0x80:
        return np.int64(first), 1
    if 0xC2 <= first < 0xE0 and n_left > 1:
        return np.int64(first & 0x1F) << 6 | np.int64(second & 0x3F), 2
    if 0xE0 <= first < 0xF0 and n_left > 2:
        return np.int64(first & 0xF) << 12 | np.int64(second & 0x3F) << 6 | np.int64(third & 0x3F), 3
    return np.int64(0), 0


@helper
def decode(text, start, stop, tables, points, flags):
    """Writes the code points of text[start:stop] and their flags; returns the number of characters.

    Kernels loop over these two arrays: each table is read once for each character, and positions count characters.
    `points` (int32) and `flags` (uint16) need room for `stop - start` numbers.
    """
    # Taken once, because taking an array out of a tuple costs more than reading the array.
    blocks, flags_of_blocks = tables.blocks, tables.flags
    n_chars = 0
    at = start
    while at < stop:
        if text[at] < 0x80:
            points[n_chars] = text[at]
            flags[n_chars] = flags_of_blocks[0, text[at]]
            at += 1
        else:
            code_point, at = code_point_at(text, at, stop)
            points[n_chars] = code_point
            flags[n_chars] = flags_of_blocks[blocks[code_point >> 8], code_point & 0xFF]
        n_chars += 1
    return n_chars


@helper
def put_char(point, data, end):
    """Writes the UTF-8 of one code point to data[end:], which must have room, and returns the next byte."""
    if point < 0x80:
        data[end] = point
        return end + 1
    n_following = 1 + (point >= 0x800) + (point >= 0x10000)
    data[end] = (0xFF << 7 - n_following) & 0xFF | point >> 6 * n_following
    for index in range(n_following):
        data[end + 1 + index] = 0x80 | (point >> 6 * (n_following - 1 - index) & 0x3F)
    return end + 1 + n_following


@helper
def encode(points, n_chars, data, start):
    """Writes the UTF-8 of the first code points to data[start:]; returns `data`, or a larger copy, and the end.

    A character needs at most the bytes that it was decoded from, except U+FFFD, which may come from a single byte.
    """
    n_bytes = 0
    for at in range(n_chars):
        n_bytes += 1 + (points[at] >= 0x80) + (points[at] >= 0x800) + (points[at] >= 0x10000)
    if start + n_bytes > len(data):
        data = np.append(data[:start], np.empty(start + 2 * n_bytes, dtype=np.uint8))
    end = start
    for at in range(n_chars):
        end = put_char(points[at], data, end)
    return data, end


@helper
def char_room(offsets):
    """Allocates `points` and `flags` for `decode`, with room for the longest row."""
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    return np.empty(longest, dtype=np.int32), np.empty(longest, dtype=np.uint16)


@helper
def strip(flags, start, stop):
    """Returns the range of characters from `start` to `stop` without surrounding white space, as str.strip."""
    while start < stop and flags[start] & IS_SPACE:
        start += 1
    while stop > start and flags[stop - 1] & IS_SPACE:
        stop -= 1
    return start, stop


@helper
def start_of_char_before(text, at, first):
    """Returns the first byte of the character that ends just before byte `at`; `first` is the text's first byte."""
    at -= 1
    lowest = max(first, at - 3)
    while at > lowest and text[at] & 0xC0 == 0x80:
        at -= 1
    return at


@helper
def flags_of(code_point, tables):
    """Returns the flags of one code point, for kernels that need few of them."""
    return np.int64(tables.flags[tables.blocks[code_point >> 8], code_point & 0xFF])


@helper
def lower_of(code_point, blocks, lower):
    """Returns the simple lower case of one code point."""
    if code_point < 0x80:
        return code_point + 0x20 if 0x41 <= code_point <= 0x5A else code_point
    return code_point + lower[blocks[code_point >> 8], code_point & 0xFF]
