r"""Hashes the n-grams of a text's tokens to 64 bits, unit by unit, by BFF's rules (DCLM, `dedup/bff/src/main.rs`).

Tokens are the segments of UAX #29 that are not white space, punctuation marks among them, in the letters' own case. A
unit is a paragraph, that is, the text between newlines, or the whole document. A unit of `max_ngram` tokens or more has
all its n-grams of that size; one of at least `min_ngram` is one n-gram; a shorter one has none.

BFF's hashes (ahash) change with its seeds and with the processor; these are seeded and the same everywhere.
"""

import functools
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.bytes.hashing import OF_NGRAMS, random_constants
from dclm_spark.kernels.bytes.lanes import EACH, HIGH_BITS, load, lowest_byte
from dclm_spark.kernels.compiled.jit import helper, inlined_code, kernel
from dclm_spark.kernels.text.unicode import CharTables, char_tables, utf8_buffers
from dclm_spark.kernels.tokens.unit_tokens import fill_tokens
from dclm_spark.recipe.deduplication import Bloom

HASHES = 1
"""Version of the hashes below: a stored filter made with another version cannot be queried."""
NEWLINE = ord("\n")
_NEWLINES = EACH * np.uint64(NEWLINE)
_32, _FINISH = np.uint64(32), np.uint64(0xC4CEB9FE1A85EC53)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Rules(NamedTuple):
    """The settings that the kernels need.

    Args:
        min_ngram: int. See `Bloom`.
        max_ngram: int. See `Bloom`.
        seed: uint64. Seed of a token's hash.
        factor: uint64, odd. An n-gram's hash is a polynomial in it, with the tokens' hashes as coefficients.
        top: uint64. `factor` to the power of `max_ngram`.
    """

    min_ngram: int
    max_ngram: int
    seed: np.uint64
    factor: np.uint64
    top: np.uint64


class Room(NamedTuple):
    """Memory for one unit's characters and n-grams: one number for each of its bytes, and one more."""

    hashes: np.ndarray


class Units(NamedTuple):
    """The units of texts that have n-grams.

    Args:
        n_units: int64, one for each text. Number of its units that have n-grams.
        has_short: uint8, one for each text. 1 if it has a unit with tokens but without n-grams.
        paragraphs: int32, one for each unit. Index of the paragraph in its text, from 0; 0 for a document.
        n_ngrams: int64, one for each unit. Number of its n-grams, at least 1.
        hashes: uint64, one for each n-gram, unit by unit.
    """

    n_units: np.ndarray
    has_short: np.ndarray
    paragraphs: np.ndarray
    n_ngrams: np.ndarray
    hashes: np.ndarray


@functools.lru_cache(maxsize=8)
def rules_of(bloom: Bloom) -> tuple[Rules, CharTables]:
    """Converts the settings to `Rules` and the tables of their word breaker."""
    seed, factor = random_constants(bloom.seed, OF_NGRAMS, 2)
    odd = int(factor) | 1
    top = pow(odd, bloom.max_ngram, 1 << 64)
    rules = Rules(bloom.min_ngram, bloom.max_ngram, seed, np.uint64(odd), np.uint64(top))
    return rules, char_tables(bloom.word_breaker)


@helper
def room_for(n_bytes):
    """Allocates memory for a unit of `n_bytes`; memory that is never written costs nothing."""
    return Room(
        np.empty(n_bytes + 1, dtype=np.uint64),
    )


@helper
def longest_row(offsets):
    """Returns the length of the longest row in bytes."""
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    return longest


@inlined_code
def paragraph_end(text, start, stop):
    """Returns the position of the next newline from byte `start` on; `stop` if there is none."""
    at = start
    while at + 8 <= stop:
        difference = load(text, at) ^ _NEWLINES
        found = (difference - EACH) & ~difference & HIGH_BITS
        if found:
            place, _ = lowest_byte(found)  # exact of the lowest
            return at + np.int64(place)
        at += 8
    while at < stop and text[at] != NEWLINE:
        at += 1
    return at


@inlined_code
def fill_ngrams(text, start, stop, tables, rules, room):
    """Writes the hashes of the n-grams of the unit text[start:stop] to room.hashes; returns how many there are.

    Returns -1 if there are tokens, but too few for an n-gram.
    """
    # Taken once, because taking an array out of a tuple costs more than reading the array.
    hashes = room.hashes
    return _fill(text, start, stop, tables.blocks, tables.flags, rules, hashes, 0)


@helper
def _finish(state):
    """Mixes a hash by a bijection with one multiplication, since its lower bits depend on lower bits only.

    One is enough because the summands of `state`, the hashes of tokens, are well mixed.
    """
    state = (state ^ state >> _32) * _FINISH
    return state ^ state >> _32


@inlined_code
def _fill(text, start, stop, blocks, flags_of_blocks, rules, hashes, first):
    """Does the work of `fill_ngrams`, writing to hashes[first:]."""
    n_tokens = fill_tokens(text, start, stop, blocks, flags_of_blocks, rules.seed, hashes, first) - first
    size, factor, top = rules.max_ngram, rules.factor, rules.top
    if n_tokens < rules.min_ngram:
        return -1 if n_tokens else 0
    state = np.uint64(0)
    if n_tokens < size:
        for index in range(first, first + n_tokens):
            state = state * factor + hashes[index]
        hashes[first] = _finish(state ^ np.uint64(n_tokens) * _GOLDEN)
        return 1
    for index in range(first, first + size - 1):
        state = state * factor + hashes[index]
    leaving = np.uint64(0)
    for index in range(first, first + n_tokens - size + 1):
        state = state * factor + (hashes[index + size - 1] - leaving * top)
        leaving = hashes[index]
        hashes[index] = _finish(state)
    return n_tokens - size + 1


def ngrams(text: pa.Array, bloom: Bloom, *, by_paragraph: bool) -> Units:
    r"""Computes the n-grams of texts; a null has none.

    >>> text = pa.array(["to be or\nnot to be, that", None])
    >>> units = ngrams(text, Bloom(min_ngram=2, max_ngram=3), by_paragraph=True)
    >>> units.n_units.tolist(), units.paragraphs.tolist(), units.n_ngrams.tolist()
    ([2, 0], [0, 1], [1, 3])
    """
    rules, tables = rules_of(bloom)
    is_null = text.is_null().to_numpy(zero_copy_only=False)
    return Units(*_ngrams_of_rows(*utf8_buffers(text), is_null, tables, rules, by_paragraph))


@kernel
def _ngrams_of_rows(text, offsets, is_null, tables, rules, by_paragraph):
    n_rows = len(offsets) - 1
    n_units, has_short = np.zeros(n_rows, dtype=np.int64), np.zeros(n_rows, dtype=np.uint8)
    n_bytes = offsets[-1] - offsets[0]
    # A unit has at least a byte and a newline, an n-gram at least a token; memory that is never written costs nothing.
    paragraphs = np.empty(n_bytes // 2 + n_rows, dtype=np.int32)
    n_ngrams = np.empty(n_bytes // 2 + n_rows, dtype=np.int64)
    hashes = np.empty(n_bytes + n_rows, dtype=np.uint64)
    blocks, flags_of_blocks = tables.blocks, tables.flags
    n_all = n_hashes = 0
    for row in range(n_rows):
        if is_null[row]:
            continue
        start, stop = offsets[row], offsets[row + 1]
        paragraph = 0
        while start <= stop:
            end = paragraph_end(text, start, stop) if by_paragraph else stop
            n = _fill(text, start, end, blocks, flags_of_blocks, rules, hashes, n_hashes)
            has_short[row] |= n < 0
            if n > 0:
                n_hashes += n
                paragraphs[n_all], n_ngrams[n_all] = paragraph, n
                n_all += 1
                n_units[row] += 1
            paragraph += 1
            start = end + 1
    return n_units, has_short, paragraphs[:n_all], n_ngrams[:n_all], hashes[:n_hashes]
