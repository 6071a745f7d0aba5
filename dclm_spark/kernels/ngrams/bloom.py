"""A Bloom filter of n-grams in blocks: how large it has to be, and the loops that ask it and add to it.

Source: Bloom 1970; buckets of 256 bits, one for each n-gram, so that it costs one look at memory: Putze, Sanders and
Singler 2007 (blocked Bloom filters). In each of a bucket's four 64-bit words an n-gram sets two bits.

The upper bits of a hash choose the block, the 40 below them the bucket in it and the bits. A filter's answers depend on
its n-grams, their order and its `Geometry`, which follows from the n-grams that it is made for: not on who holds which
block.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.bytes.hashing import finish
from dclm_spark.kernels.compiled.jit import helper, kernel

HASH_BITS = 40
"""Of an n-gram's hash within its block; what else agrees in them adds n / 2^40 to the false positives of n n-grams."""
WORDS = 4  # of 64 bits, in a bucket
BUCKET_BYTES = 8 * WORDS
_BITS_A_WORD = 2

_FEW_NGRAMS, _MANY_NGRAMS = 1 << 22, 1 << 24  # of a block, where there are few blocks, and where there are many
_MANY_BLOCKS = 1 << 12

_40, _32, _8, _6 = (np.uint64(bits) for bits in (HASH_BITS, 32, 8, 6))
_SIXTY_FOUR = np.uint64(64)
_POSITION = np.uint64(63)
_1 = np.uint64(1)


class Geometry(NamedTuple):
    """The size of a filter.

    Args:
        n_blocks: A power of two.
        n_buckets: Of a block.
    """

    n_blocks: int
    n_buckets: int

    @property
    def n_bytes(self) -> int:
        """Of all blocks together."""
        return self.n_blocks * self.n_buckets * BUCKET_BYTES


def n_blocks_for(capacity: int) -> int:
    """Blocks of a filter for so many n-grams: more n-grams make more blocks, so that a worker's memory is bounded.

    >>> n_blocks_for(1), n_blocks_for(44_000_000), n_blocks_for(10**11)
    (1, 16, 8192)
    """

    def at_most(n_ngrams: int) -> int:
        return 1 << max(0, -(-capacity // n_ngrams) - 1).bit_length()

    return min(at_most(_FEW_NGRAMS), max(_MANY_BLOCKS, at_most(_MANY_NGRAMS)))


def geometry_for(capacity: int, fp_rate: float, *, n_blocks: int | None = None) -> Geometry:
    """The smallest filter of which no block passes the rate once it holds so many n-grams.

    Hashes spread n-grams over blocks by chance, so each block is made for five standard deviations more.

    >>> geometry_for(1_000_000, 0.01)
    Geometry(n_blocks=1, n_buckets=40927)
    """
    blocks = n_blocks_for(capacity) if n_blocks is None else n_blocks
    mean = capacity / blocks
    n_ngrams = mean + 5 * math.sqrt(mean) if blocks > 1 else mean
    return Geometry(blocks, max(1, math.ceil(n_ngrams / _load_for(fp_rate))))


def rate(n_ngrams: float, n_buckets: int) -> float:
    """The chance that a new n-gram seems seen by a block that holds so many distinct ones.

    >>> round(rate(1_000_000, 40927), 4), rate(0, 10)
    (0.01, 0.0)
    """
    load = n_ngrams / n_buckets
    if load == 0:
        return 0.0
    # Poisson: of a bucket's chance to hold j n-grams, all that matters lies within some standard deviations.
    held = np.arange(int(load + 12 * math.sqrt(load) + 24) + 1)
    logs = held * math.log(load) - load - np.cumsum(np.log(np.maximum(held, 1)))
    return float(np.exp(logs) @ _rate_of_bucket(held))


def _rate_of_bucket(held: np.ndarray) -> np.ndarray:
    """The same of a bucket that holds so many."""
    n_set = _BITS_A_WORD * held
    one_unset, two_unset = (1 - 1 / 64) ** n_set, (1 - 2 / 64) ** n_set
    # The two bits that are asked for are the same one time in 64.
    of_word = (1 - 2 * one_unset + two_unset) * (63 / 64) + (1 - one_unset) / 64
    return of_word**WORDS


@functools.lru_cache(maxsize=32)
def _load_for(fp_rate: float) -> float:
    """How many n-grams a bucket may hold on average."""
    least, most = 1e-6, 1e3
    while most / least > 1 + 1e-9:
        middle = math.sqrt(least * most)
        least, most = (middle, most) if rate(middle, 1) <= fp_rate else (least, middle)
    return least


def block_shift(n_blocks: int) -> np.uint64:
    """How far to shift a hash to the right to get its block; `block_of` takes it."""
    return np.uint64(65 - n_blocks.bit_length())


@helper
def block_of(hash_, shift):
    """The block of a hash."""
    # A shift by all 64 bits is no shift to a processor.
    return np.int64(hash_ >> shift) if shift < _SIXTY_FOUR else np.int64(0)


@helper
def within_block(hash_, shift):
    """The 40 bits below those that choose the block."""
    return (
        hash_ << (_SIXTY_FOUR - shift) >> (_SIXTY_FOUR - _40) if shift < _SIXTY_FOUR else hash_ >> (_SIXTY_FOUR - _40)
    )


@helper
def first_word(within, n_buckets):
    """Where the bucket of an n-gram begins among the words of its block."""
    return np.int64((within >> _8) * np.uint64(n_buckets) >> _32) * WORDS


@helper
def bits_of(within):
    """A number that `mask_of` takes each word's bits from."""
    return finish(within)


@helper
def mask_of(bits, word):
    """The two bits that an n-gram sets in one of the words of its bucket."""
    here = bits >> np.uint64(12 * word)
    return _1 << (here & _POSITION) | _1 << (here >> _6 & _POSITION)


@helper
def holds(filter_, within, start, n_buckets):
    """Whether a block, which begins at a word of the filter, seems to hold an n-gram."""
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
    """The chance that a new n-gram seems seen, by the bits that are set; uint64 words of one block or of several.

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
