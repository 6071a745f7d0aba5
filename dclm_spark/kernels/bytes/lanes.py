"""Treats eight bytes of a text as one number, for kernels that process eight bytes at a time.

All numbers are uint64, because Numba converts a mix with int64 to floats. The first byte is the lowest eight bits.
"""

import numpy as np

from dclm_spark.kernels.compiled.jit import helper, inlined

EACH = np.uint64(0x0101010101010101)  # times a byte: that byte eight times
HIGH_BITS = np.uint64(0x8080808080808080)
_ABOVE_SPACE = np.uint64(0x21)
_FIRST_OF_TWO, _FIRST_OF_THREE, _UPPER_BITS = np.uint64(0xC2), np.uint64(0xE0), np.uint64(0xFC)
_FROM_CAPITAL_A, _ABOVE_CAPITAL_Z = np.uint64(0x80 - 0x41), np.uint64(0x80 - 0x5B)
_TOP_BYTE = np.uint64(56)
_PLACES = np.uint64(0x0001020304050607)  # times 1 << 8 * i: i in the top byte

_0, _1, _2, _3, _4, _5, _6, _7 = np.arange(8, dtype=np.uint64)
_8, _16, _24, _32, _40, _48 = np.arange(8, 56, 8, dtype=np.uint64)


# LLVM merges the eight loads or stores into one; with an unsigned index it need not handle negative ones.
@inlined
def load(data, at):
    """Returns the eight bytes from byte `at` on, all of which must exist."""
    first = np.uint64(at)
    low = np.uint64(data[first]) | np.uint64(data[first + _1]) << _8
    low |= np.uint64(data[first + _2]) << _16 | np.uint64(data[first + _3]) << _24
    high = np.uint64(data[first + _4]) << _32 | np.uint64(data[first + _5]) << _40
    return low | high | np.uint64(data[first + _6]) << _48 | np.uint64(data[first + _7]) << _TOP_BYTE


@inlined
def store(lane, data, at):
    """Writes eight bytes from byte `at` on."""
    first = np.uint64(at)
    data[first] = np.uint8(lane)
    data[first + _1] = np.uint8(lane >> _8)
    data[first + _2] = np.uint8(lane >> _16)
    data[first + _3] = np.uint8(lane >> _24)
    data[first + _4] = np.uint8(lane >> _32)
    data[first + _5] = np.uint8(lane >> _40)
    data[first + _6] = np.uint8(lane >> _48)
    data[first + _7] = np.uint8(lane >> _TOP_BYTE)


@helper
def lower_lane(lane):
    """Converts eight ASCII characters to lower case."""
    is_capital = (lane + EACH * _FROM_CAPITAL_A) & ~(lane + EACH * _ABOVE_CAPITAL_Z) & HIGH_BITS
    return lane | is_capital >> _2  # 0x80 becomes 0x20


@helper
def may_be_space(lane):
    """Sets the high bit of each byte that may be white space, or the first byte of a white-space character.

    These are ASCII characters up to the space, 0xC2, and 0xE0 to 0xE3. (The byte after one of these may be marked too.)
    """
    is_above_space = (lane & ~HIGH_BITS) + (HIGH_BITS - EACH * _ABOVE_SPACE)
    marked = ~(is_above_space | lane) & HIGH_BITS
    if lane & HIGH_BITS:
        # If 1 is subtracted, a byte that was 0 gets a high bit that it did not have.
        difference = lane ^ EACH * _FIRST_OF_TWO
        marked |= (difference - EACH) & ~difference & HIGH_BITS
        difference = lane & EACH * _UPPER_BITS ^ EACH * _FIRST_OF_THREE
        marked |= (difference - EACH) & ~difference & HIGH_BITS
    return marked


@helper
def lowest_byte(bits):
    """Returns the index, from 0 to 7, of the byte with the lowest high bit set, and the mask of all bytes below it."""
    below = (bits & (~bits + _1)) >> _7
    return below * _PLACES >> _TOP_BYTE, below - _1
