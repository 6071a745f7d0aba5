"""Hashes the units of a text, words or characters, and shingles of them, to 64 bits, inside compiled kernels.

A word's hash is that of its UTF-8 bytes, a character's that of its code point. Several thousand are computed at a time,
so that a text of any length needs the same small memory. All loops are linear in the length of the text.
"""

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.bytes.hashing import close_word, finish, fold, hash_bytes
from dclm_spark.kernels.bytes.lanes import load, lowest_byte, may_be_space
from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.text.unicode import char_room, char_tables, code_point_at, decode, short_char, utf8_buffers
from dclm_spark.kernels.text.words import fill_word_bounds
from dclm_spark.kernels.tokens.tokens import tokenize

SPLIT, BOUNDS, CHARS = range(3)
_SPACE = ord(" ")
_1 = np.uint64(1)
_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio

# Classes of bytes outside of words: ASCII white space, or the first byte of another white-space character.
_IS_SPACE, _MAY_BE_SPACE = 1, 2
_SPACES = np.zeros(256, dtype=np.uint8)
_SPACES[[byte for byte in range(128) if chr(byte).isspace()]] = _IS_SPACE
_SPACES[[0xC2, 0xE1, 0xE2, 0xE3]] = _MAY_BE_SPACE


def word_bounds(text: pa.Array, words: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the start and end of each word, in bytes from the start of its row; row i has `offsets[i]:offsets[i + 1]`.

    Args:
        words: What counts as a word: `uax29` or `spacy_en`, see `MinHash`.
    """
    data, offsets = utf8_buffers(text)
    if words == "uax29":
        return _uax29_bounds(data, offsets, char_tables())
    tokens = tokenize(text, tokens=words)
    _chars_to_bytes(data, offsets, tokens.starts, tokens.ends, tokens.offsets)
    return tokens


@kernel
def _uax29_bounds(text, offsets, tables):
    points, flags = char_room(offsets)
    n_bytes = offsets[-1] - offsets[0]
    # See `fill_word_bounds`; memory that is never written costs nothing.
    room = 2 * n_bytes // 3 + len(offsets)
    starts, ends = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    word_offsets = np.zeros(len(offsets), dtype=np.int64)
    for row in range(len(offsets) - 1):
        first = word_offsets[row]
        n_chars = decode(text, offsets[row], offsets[row + 1], tables, points, flags)
        last = first + fill_word_bounds(flags, n_chars, starts[first:], ends[first:])
        word_offsets[row + 1] = last
        _row_to_bytes(text, offsets[row], offsets[row + 1], starts[first:last], ends[first:last])
    return starts[: word_offsets[-1]], ends[: word_offsets[-1]], word_offsets


@kernel
def _chars_to_bytes(text, offsets, starts, ends, word_offsets):
    for row in range(len(offsets) - 1):
        first, last = word_offsets[row], word_offsets[row + 1]
        _row_to_bytes(text, offsets[row], offsets[row + 1], starts[first:last], ends[first:last])


@helper
def _row_to_bytes(text, start, stop, starts, ends):
    last = len(text) - 1
    at, n_chars = start, 0
    for index in range(len(starts)):
        for bounds in (starts, ends):
            while n_chars < bounds[index]:
                _, n_bytes = short_char(text[at], text[min(at + 1, last)], text[min(at + 2, last)], stop - at)
                if n_bytes == 0:
                    n_bytes = code_point_at(text, at, stop)[1] - at
                at += n_bytes
                n_chars += 1
            bounds[index] = at - start


@helper
def _wide_space(n_left, first, second, third):
    """Returns the length in bytes of the non-ASCII white-space character at the start of these bytes; 0 if there is
    none."""
    if first == 0xC2:
        return 2 if n_left > 1 and (second == 0x85 or second == 0xA0) else 0
    point = np.int64(first & 0xF) << 12 | np.int64(second & 0x3F) << 6 | np.int64(third & 0x3F)
    is_space = 0x2000 <= point <= 0x200A or 0x2028 <= point <= 0x2029 or point == 0x202F
    is_space |= point == 0x1680 or point == 0x205F or point == 0x3000
    return 3 if is_space and n_left > 2 else 0


# Functions called for each character get numbers as arguments: passing an array costs as much as hashing a word.
@helper
def hash_split_words(text, at, stop, seed, hashes, n_hashes):
    """Adds the hashes of words separated by white space, from byte `at`, until the room or the text ends.

    Returns the number of hashes, and the byte at which to continue, which is never inside a word.
    """
    last = len(text) - 1
    while at < stop and n_hashes < len(hashes):
        kind = _SPACES[text[at]]
        if kind == _IS_SPACE:  # a separate branch, which the processor predicts better
            at += 1
            continue
        if kind:
            n_space = _wide_space(stop - at, text[at], text[min(at + 1, last)], text[min(at + 2, last)])
            if n_space:
                at += n_space
                continue
        first, state = at, seed
        while at + 8 <= stop:
            lane = load(text, at)
            marked = may_be_space(lane)
            while marked:
                place, below = lowest_byte(marked)
                end = at + np.int64(place)
                kind = _SPACES[text[end]]
                if kind == _IS_SPACE or (
                    kind and _wide_space(stop - end, text[end], text[min(end + 1, last)], text[min(end + 2, last)])
                ):
                    break
                marked &= marked - _1
            if marked:
                hashes[n_hashes] = close_word(fold(state, lane & below), end - first)
                at = end
                break
            state = fold(state, lane)
            at += 8
        else:  # a text's last bytes
            while at < stop:
                kind = _SPACES[text[at]]
                if kind == _IS_SPACE or (
                    kind and _wide_space(stop - at, text[at], text[min(at + 1, last)], text[min(at + 2, last)])
                ):
                    break
                at += 1
            hashes[n_hashes] = hash_bytes(text, first, at, seed)
        n_hashes += 1
    return n_hashes, at


@helper
def hash_bounded_words(text, start, starts, ends, at, stop, seed, hashes, n_hashes):
    """Adds the hashes of words with known bounds, in bytes from `start`; `at` and `stop` are indices of words."""
    while at < stop and n_hashes < len(hashes):
        hashes[n_hashes] = hash_bytes(text, start + starts[at], start + ends[at], seed)
        n_hashes += 1
        at += 1
    return n_hashes, at


@helper
def hash_chars(text, start, at, stop, seed, hashes, n_hashes):
    """Adds the hashes of characters; a run of white space counts as one space, and not at the start or end of the
    text."""
    last = len(text) - 1
    while at < stop and n_hashes < len(hashes):
        first, n_space = at, np.int64(1)
        while n_space and at < stop:
            second, third = text[min(at + 1, last)], text[min(at + 2, last)]
            n_space = np.int64(_SPACES[text[at]])
            if n_space == _MAY_BE_SPACE:
                n_space = _wide_space(stop - at, text[at], second, third)
            at += n_space
        if at > first:
            if first == start or at == stop:
                continue
            point = np.int64(_SPACE)
        else:
            point, n_bytes = short_char(text[at], second, third, stop - at)
            at += n_bytes
            if n_bytes == 0:
                point, at = code_point_at(text, at, stop)
        hashes[n_hashes] = fold(seed, np.uint64(point))
        n_hashes += 1
    return n_hashes, at


@helper
def combine(units, n_shingles, constants, shingles):
    """Writes the hashes of the first shingles: the well-mixed sum of their units' hashes, each times a constant.

    `constants` has one more number than a shingle has units.
    """
    size = len(constants) - 1
    summand = constants[size]
    for index in range(n_shingles):
        shingles[index] = summand
    for place in range(size):
        factor = constants[place]
        moved = units[place : place + n_shingles]
        for index in range(n_shingles):
            shingles[index] += factor * moved[index]
    for index in range(n_shingles):
        shingles[index] = finish(shingles[index])


@helper
def sum_of_units(units, place):
    """Hashes a sequence of units: the sum of hashes of each unit and its position; `place` is that of the first."""
    total = np.uint64(0)
    first = np.uint64(place)
    for index in range(len(units)):
        total += finish(units[index] + (first + np.uint64(index)) * _STEP)
    return total
