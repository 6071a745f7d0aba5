"""Computes seeded 64-bit hashes inside compiled kernels, equal on every machine, and their random constants."""

import numpy as np

from dclm_spark.kernels.bytes.lanes import load
from dclm_spark.kernels.compiled.jit import helper

# Purposes of random constants.
OF_UNITS, OF_SHINGLES, OF_FACTORS, OF_SUMMANDS, OF_KEYS, OF_NGRAMS, OF_FILTER = range(7)

_32, _33 = np.uint64(32), np.uint64(33)
_8, _1 = np.uint64(8), np.uint64(1)
_FOLD = np.uint64(0xD6E8FEB86659FD93)  # any odd number with many bits serves
_LENGTH = np.uint64(0xA3EC647659359ACD)
# The finalizer of MurmurHash3.
_FINISH_1, _FINISH_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 divided by the golden ratio, the step of splitmix64
_MASK = (1 << 64) - 1


@helper
def finish(number):
    """Mixes a number by a bijection, so that every bit depends on all bits of the number."""
    number = (number ^ number >> _33) * _FINISH_1
    number = (number ^ number >> _33) * _FINISH_2
    return number ^ number >> _33


@helper
def fold(state, number):
    """Returns the state of a hash after one more number; it is a bijection of either argument."""
    state = (state ^ number) * _FOLD
    return state ^ state >> _32


@helper
def close_word(state, n_bytes):
    """Returns the hash of a word after all its lanes of eight bytes, and the last of 0 to 7 bytes, were folded."""
    return (state ^ np.uint64(n_bytes)) * _LENGTH


@helper
def hash_bytes(data, start, stop, seed):
    """Returns the hash of data[start:stop], computed by `fold` and `close_word`."""
    state = seed
    at = start
    while at + 8 <= stop:
        state = fold(state, load(data, at))
        at += 8
    lane = np.uint64(0)
    if at + 8 <= len(data):
        lane = load(data, at) & ((_1 << _8 * np.uint64(stop - at)) - _1)
    else:
        for index in range(stop - at):
            lane |= np.uint64(data[at + index]) << _8 * np.uint64(index)
    return close_word(fold(state, lane), stop - start)


def random_constants(seed: int, purpose: int, n: int) -> np.ndarray:
    """Returns `n` pseudo-random uint64, different for each purpose: splitmix64 from a state of seed and purpose.

    >>> [hex(constant) for constant in random_constants(1, 2, 2).tolist()]
    ['0x65844c5d623db2da', '0x5079d54272e57a51']
    """
    state = _splitmix(_splitmix(np.uint64(seed)) ^ np.uint64(purpose))
    steps = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    return _splitmix(steps + state)


def _splitmix(number):
    with np.errstate(over="ignore"):
        number = (number ^ number >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        number = (number ^ number >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return number ^ number >> np.uint64(31)
