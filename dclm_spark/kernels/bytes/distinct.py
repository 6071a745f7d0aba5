"""Sorts 64-bit numbers row by row and drops repeated ones, in linear time."""

import numpy as np

from dclm_spark.kernels.compiled.jit import helper, kernel

_DIGITS, _VALUES = 8, 256  # of a number: bytes, the lowest first
_BITS, _LAST = np.uint64(8), np.uint64(_VALUES - 1)


@kernel
def make_distinct(numbers, offsets):
    """Sorts each row, keeps one of equal numbers, and closes the gaps between rows.

    Row i is `numbers[offsets[i]:offsets[i + 1]]`, before and after.

    >>> numbers, offsets = np.array([3, 1, 3, 2, 2], dtype=np.uint64), np.array([0, 3, 5])
    >>> make_distinct(numbers, offsets)
    >>> offsets.tolist(), numbers[:3].tolist()
    ([0, 2, 3], [1, 3, 2])
    """
    counts = np.empty((_DIGITS, _VALUES), dtype=np.int64)
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    spare = np.empty(longest, dtype=np.uint64)
    end = first = 0
    for row in range(len(offsets) - 1):
        last = offsets[row + 1]
        _sort(numbers[first:last], spare, counts)
        begin = end
        for index in range(first, last):
            if end == begin or numbers[index] != numbers[end - 1]:
                numbers[end] = numbers[index]
                end += 1
        offsets[row + 1] = end
        first = last


@helper
def _sort(numbers, spare, counts):
    """Sorts by each byte, the lowest first; the numbers move between two arrays an even number of times."""
    counts.fill(0)
    for number in numbers:
        for digit in range(_DIGITS):
            counts[digit, number >> _BITS * np.uint64(digit) & _LAST] += 1
    source, target = numbers, spare
    for digit in range(_DIGITS):
        places = counts[digit]
        n_before = 0
        for value in range(_VALUES):
            n_before, places[value] = n_before + places[value], n_before
        shift = _BITS * np.uint64(digit)
        for index in range(len(numbers)):
            number = source[index]
            value = number >> shift & _LAST
            target[places[value]] = number
            places[value] += 1
        source, target = target, source
