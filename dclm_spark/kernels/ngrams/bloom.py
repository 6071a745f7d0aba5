"""Sizes a blocked Bloom filter of n-grams, and queries it and adds to it inside compiled kernels.

Source: Bloom 1970; each n-gram uses one bucket of 256 bits, so that it needs one memory access: Putze, Sanders and
Singler 2007 (blocked Bloom filters). In each of a bucket's four 64-bit words an n-gram sets two bits.

The upper bits of a hash choose the block, the 40 below them the bucket in it and the bits. A filter's answers depend on
its n-grams, their order and its `Geometry`, which follows from its capacity; they do not depend on which worker holds
which block.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.bytes.hashing import finish
from dclm_spark.kernels.compiled.jit import helper, kernel

HASH_BITS = 40
"""Bits of an n-gram's hash within its block. n-grams that agree in them add n / 2^40 to the false-positive rate."""
WORDS = 4  # of 64 bits, in a bucket
BUCKET_BYTES = 8 * WORDS
_BITS_A_WORD = 2

_FEW_NGRAMS, _MANY_NGRAMS = 1 << 22, 1 << 24  # n-grams in a block, if there are few blocks, and if there are many
_MANY_BLOCKS = 1 << 12

_40, _32, _8, _6 = (np.uint64(bits) for bits in (HASH_BITS, 32, 8, 6))
_SIXTY_FOUR = np.uint64(64)
_POSITION = np.uint64(63)
_1 = np.uint64(1)


class Geometry(NamedTuple):
    """The size of a filter.

    Args:
        n_blocks: Number of blocks, a power of two.
        n_buckets: Number of buckets in a block.
    """

    n_blocks: int
    n_buckets: int

    @property
    def n_bytes(self) -> int:
        """Bytes of all blocks together."""
        return self.n_blocks * self.n_buckets * BUCKET_BYTES


def n_blocks_for(capacity: int) -> int:
    """Returns the number of blocks for a capacity in n-grams: it grows with the capacity, to limit a worker's memory.

    >>> n_blocks_for(1), n_blocks_for(44_000_000), n_blocks_for(10**11)
    (1, 16, 8192)
    """

    def at_most(n_ngrams: int) -> int:
        return 1 << max(0, -(-capacity // n_ngrams) - 1).bit_length()

    return min(at_most(_FEW_NGRAMS), max(_MANY_BLOCKS, at_most(_MANY_NGRAMS)))


def geometry_for(capacity: int, fp_rate: float, *, n_blocks: int | None = None) -> Geometry:
    """Returns the smallest filter in which no block exceeds the false-positive rate at this capacity in n-grams.

    Hashes distribute n-grams over blocks at random, so each block is sized for five standard deviations more.

    >>> geometry_for(1_000_000, 0.01)
    Geometry(n_blocks=1, n_buckets=40927)
    """
    blocks = n_blocks_for(capacity) if n_blocks is None else n_blocks
    mean = capacity / blocks
    n_ngrams = mean + 5 * math.sqrt(mean) if blocks > 1 else mean
    return Geometry(blocks, max(1, math.ceil(n_ngrams / _load_for(fp_rate))))


def rate(n_ngrams: float, n_buckets: int) -> float:
    """Returns the false-positive rate of a block that holds `n_ngrams` distinct n-grams.

    >>> round(rate(1_000_000, 40927), 4), rate(0, 10)
    (0.01, 0.0)
    """
    load = n_ngrams / n_buckets
    if load == 0:
        return 0.0
    # The number of n-grams in a bucket has a Poisson distribution; only values within some standard deviations matter.
    held = np.arange(int(load + 12 * math.sqrt(load) + 24) + 1)
    logs = held * math.log(load) - load - np.cumsum(np.log(np.maximum(held, 1)))
    return float(np.exp(logs) @ _rate_of_bucket(held))


def _rate_of_bucket(held: np.ndarray) -> np.ndarray:
    """Returns the false-positive rate of buckets that hold these numbers of n-grams."""
    n_set = _BITS_A_WORD * held
    one_unset, two_unset = (1 - 1 / 64) ** n_set, (1 - 2 / 64) ** n_set
    # The two bits of a query are the same bit with probability 1/64.
    of_word = (1 - 2 * one_unset + two_unset) * (63 / 64) + (1 - one_unset) / 64
    return of_word**WORDS


@functools.lru_cache(maxsize=32)
def _load_for(fp_rate: float) -> float:
    """Returns how many n-grams a bucket may hold on average."""
    least, most = 1e-6, 1e3
    while most / least > 1 + 1e-9:
        middle = math.sqrt(least * most)
        least, most = (middle, most) if rate(middle, 1) <= fp_rate else (least, middle)
    return least


def block_shift(n_blocks: int) -> np.uint64:
    """Returns by how many bits `block_of` shifts a hash to the right to get its block."""
    return np.uint64(65 - n_blocks.bit_length())


@helper
def block_of(hash_, shift):
    """Returns the block of a hash."""
    # Processors do not shift at all when told to shift by 64 bits.
    return np.int64(hash_ >> shift) if shift < _SIXTY_FOUR else np.int64(0)


@helper
def within_block(hash_, shift):
    """Returns the 40 bits below those that choose the block."""
    return (
        hash_ << (_SIXTY_FOUR - shift) >> (_SIXTY_FOUR - _40) if shift < _SIXTY_FOUR else hash_ >> (_SIXTY_FOUR - _40)
    )


@helper
def first_word(within, n_buckets):
    """Returns the index, among the words of a block, of the first word of an n-gram's bucket."""
    return np.int64((within >> _8) * np.uint64(n_buckets) >> _32) * WORDS


@helper
def bits_of(within):
    """Returns the number from which `mask_of` takes the bits for each word."""
    return finish(within)


@helper
def mask_of(bits, word):
    """Returns the two bits that an n-gram sets in one word of its bucket."""
    here = bits >> np.uint64(12 * word)
    return _1 << (here & _POSITION) | _1 << (here >> _6 & _POSITION)


@helper
def holds(filter_, within, start, n_buckets):
    """Returns whether the block that begins at word `start` seems to hold an n-gram."""
    at = start + first_word(within, n_buckets)
    bits = bits_of(within)
    missing = mask_of(bits, 0) & ~filter_[at]
    missing |= mask_of(bits, 1) & ~filter_[at + 1]
    missing |= mask_of(bits, 2) & ~filter_[at + 2]
    missing |= mask_of(bits, 3) & ~filter_[at + 3]
    return missing == 0


@helper
def add(filter_, within, start, n_buckets):
    """Adds an n-gram to a block."""
    at = start + first_word(within, n_buckets)
    bits = bits_of(within)
    for word in range(WORDS):
        filter_[at + word] |= mask_of(bits, word)


@kernel
def reached_rate(filter_):
    """Returns the false-positive rate that follows from the bits set in uint64 words of one or several blocks.

    >>> reached_rate(np.zeros(8, dtype=np.uint64)), reached_rate(np.full(8, 2**64 - 1, dtype=np.uint64))
    (0.0, 1.0)
    """
    total = 0.0
    for bucket in range(len(filter_) // WORDS):
        chance = 1.0
        for word in range(WORDS):
            bits = filter_[bucket * WORDS + word]
            n_set = 0
            while bits:
                bits &= bits - _1
                n_set += 1
            share = n_set / 64
            chance *= share * share
        total += chance
    return total / (len(filter_) // WORDS)
