"""Hashes the tokens of a unit of text to 64 bits: segments of UAX #29 that are not white space, punctuation included.

Two loops take turns. One finds what ASCII alone decides, eight bytes at a time: runs of letters, digits and low lines,
what joins two of them, and single characters. As soon as a character that is not ASCII may have a say, the other goes
through the text character by character, by a table of states, until an ASCII character begins a segment.

Both are linear in the length of the unit, and neither looks beyond it.
"""

import numpy as np

from dclm_spark.kernels.bytes.lanes import EACH, HIGH_BITS, load, lowest_byte
from dclm_spark.kernels.compiled.jit import helper, inlined, inlined_code
from dclm_spark.kernels.text.unicode import IS_SPACE, code_point_at, short_char
from dclm_spark.kernels.text.word_states import BREAK, COLUMNS, PENDING, START, TRANSITIONS

_SPACE = ord(" ")
_0, _1, _8, _32, _64 = (np.uint64(number) for number in (0, 1, 8, 32, 64))
_FOLD = np.uint64(0xD6E8FEB86659FD93)
_CLOSE = np.uint64(0xA3EC647659359ACD)

# What an ASCII character is. Two of one side join if what stands between them joins that side (WB6, WB7, WB11, WB12).
_IS_LETTER, _IS_NUMBER, _JOINS_LETTERS, _JOINS_NUMBERS = 1, 2, 4, 8
_IS_SIDE = _IS_LETTER | _IS_NUMBER
_TO_SIDE = 2  # how far to shift a joiner's bits to get those of the side
_IS_BLANK = 16  # white space to Unicode: not the four separators of information, which are to Python
_IS_LINE = 32  # ends a segment whatever follows (WB3a)
_IS_WIDE = 128  # no ASCII
_ASCII = np.zeros(256, dtype=np.uint8)
for _members, _bit in (
    (b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", _IS_LETTER),
    (b"0123456789", _IS_NUMBER),
    (b"'.:", _JOINS_LETTERS),
    (b"'.,;", _JOINS_NUMBERS),
    (b"\t\n\v\f\r ", _IS_BLANK),
    (b"\n\v\f\r", _IS_LINE),
    (bytes(range(128, 256)), _IS_WIDE),
):
    _ASCII[list(_members)] |= _bit


def _from(byte):
    """Returns what to add to eight bytes below 0x80, to set the high bit of those that are not less than this one."""
    return EACH * np.uint64(0x80 - byte)


_SEVEN_BITS, _CASE = EACH * np.uint64(0x7F), EACH * np.uint64(0x20)
_FROM_A, _ABOVE_Z, _FROM_0, _ABOVE_9 = (_from(ord(byte)) for byte in "a{0:")
_LOW_LINES = EACH * np.uint64(ord("_"))


@inlined
def _ends_run(lane):
    """Sets the high bit of each byte that is not an ASCII letter or digit, nor a low line."""
    low = lane & _SEVEN_BITS
    folded = low | _CASE
    is_letter = (folded + _FROM_A) & ~(folded + _ABOVE_Z)
    is_digit = (low + _FROM_0) & ~(low + _ABOVE_9)
    is_other = (low ^ _LOW_LINES) + _SEVEN_BITS
    return (lane | (is_other & ~is_letter & ~is_digit)) & HIGH_BITS


@helper
def _last_lane(text, at, stop):
    """Returns the fewer than eight bytes from byte `at` to `stop`, filled with 0."""
    if at + 8 <= len(text):
        return load(text, at) & ((_1 << _8 * np.uint64(stop - at)) - _1)
    lane = _0
    for index in range(stop - at):
        lane |= np.uint64(text[at + index]) << _8 * np.uint64(index)
    return lane


@inlined
def _fold(state, number):
    state = (state ^ number) * _FOLD
    return state ^ state >> _32


@inlined
def _close(state, n_bytes):
    state = (state ^ np.uint64(n_bytes)) * _CLOSE
    return state ^ state >> _32


@inlined
def _hash_short(lane, n_bytes, seed):
    """Returns the hash of a token of 1 to 8 bytes, at the beginning of a lane."""
    return _close(_fold(seed, lane << _64 - _8 * np.uint64(n_bytes)), n_bytes)


@helper
def _hash_long(text, first, end, seed):
    """Returns the hash of a token of more than 8 bytes."""
    state = seed
    at = first
    while at + 8 < end:
        state = _fold(state, load(text, at))
        at += 8
    return _close(_fold(state, load(text, end - 8)), end - first)


@inlined_code
def fill_tokens(text, start, stop, blocks, flags_of_blocks, seed, hashes, n):
    """Writes the hashes of the tokens of text[start:stop] to hashes[n:], which has room for one a byte and one more.

    Returns how many hashes there are then.
    """
    at = floor = start  # no segment that begins at `floor` or later begins before it
    while at < stop:
        first = at
        lane = load(text, at) if at + 8 <= stop else _last_lane(text, at, stop)
        marked = _ends_run(lane)
        while marked == _0:
            at += 8
            marked = _ends_run(load(text, at) if at + 8 <= stop else _last_lane(text, at, stop))
        place, _ = lowest_byte(marked)
        end = max(at + np.int64(place), first + 1)  # a character that is in no run is a segment by itself
        is_wide = False
        while True:
            next_ = after = np.uint8(0)
            if end + 1 < stop:
                next_, after = _ASCII[text[np.uint64(end)]], _ASCII[text[np.uint64(end + 1)]]
            elif end < stop:
                next_ = _ASCII[text[np.uint64(end)]]
            last = _ASCII[text[np.uint64(end - 1)]]
            if (last | next_ | after) & _IS_WIDE:
                is_wide = ((last | next_) & _IS_WIDE) | (next_ >> _TO_SIDE & last & _IS_SIDE) and not last & _IS_LINE
                break
            if not next_ >> _TO_SIDE & last & after & _IS_SIDE:
                break
            at = end + 1
            marked = _0
            while marked == _0:
                marked = _ends_run(load(text, at) if at + 8 <= stop else _last_lane(text, at, stop))
                place, _ = lowest_byte(marked)
                at += 8
            end = at - 8 + np.int64(place)
        if is_wide:
            at = first
            while at > floor and text[at] == _SPACE and text[at - 1] == _SPACE:
                at -= 1
            at, n = _fill_wide(text, at, stop, blocks, flags_of_blocks, seed, hashes, n)
            floor = at
            continue
        n_bytes = end - first
        if n_bytes <= 8:
            hashes[n] = _hash_short(lane, n_bytes, seed)
        else:
            state = _fold(seed, lane)
            first += 8
            while first + 8 < end:
                state = _fold(state, load(text, first))
                first += 8
            hashes[n] = _close(_fold(state, load(text, end - 8)), n_bytes)
        n += not last & _IS_BLANK
        at = end
        # A loop, of one turn mostly: to guess how often it turns, a processor need not have found `end`.
        while next_ & _IS_BLANK and not after & _IS_WIDE and at + 1 < stop:
            at += 1
            next_ = after
            after = _ASCII[text[np.uint64(at + 1)]] if at + 1 < stop else np.uint8(0)
    return n


@helper
def _fill_wide(text, at, stop, blocks, flags_of_blocks, seed, hashes, n):
    """Does the same from byte `at` on, which begins a segment, until an ASCII character begins one.

    Returns that character's byte, or `stop`, and how many hashes there are then.
    """
    first = pending = at
    state = START
    is_blank = IS_SPACE
    last_byte = len(text) - 1
    while at < stop:
        byte = text[at]
        if byte < 0x80:
            flags = flags_of_blocks[0, byte]
            n_bytes = 1
            if 0x1C <= byte <= 0x1F:
                flags &= ~IS_SPACE
        else:
            second, third = text[min(at + 1, last_byte)], text[min(at + 2, last_byte)]
            point, n_bytes = short_char(byte, second, third, stop - at)
            if n_bytes == 0:
                point, after = code_point_at(text, at, stop)
                n_bytes = after - at
            flags = flags_of_blocks[blocks[point >> 8], point & 0xFF]
        column = flags & (COLUMNS - 1)
        next_state = TRANSITIONS[state * COLUMNS + column]
        if next_state == BREAK:
            end = pending if state >= PENDING else at
            if not is_blank:
                hashes[n] = _hash_any(text, first, end, seed)
                n += 1
            if byte < 0x80 or end < at:
                return end, n
            first = at
            is_blank = IS_SPACE
            next_state = TRANSITIONS[START * COLUMNS + column]
        if next_state >= PENDING and state < PENDING:
            pending = at
        is_blank &= flags
        state = next_state
        at += n_bytes
    end = pending if state >= PENDING else at
    if not is_blank:
        hashes[n] = _hash_any(text, first, end, seed)
        n += 1
    return end, n


@helper
def _hash_any(text, first, end, seed):
    n_bytes = end - first
    if n_bytes <= 8:
        return _hash_short(load(text, first) if n_bytes == 8 else _last_lane(text, first, end), n_bytes, seed)
    return _hash_long(text, first, end, seed)
