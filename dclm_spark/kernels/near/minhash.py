"""Computes MinHash signatures of texts, and the band keys by which candidate pairs are found.

Source: Broder 1997 (resemblance as the probability that two sets have the same minimum under a random permutation), and
Leskovec, Rajaraman and Ullman, *Mining of Massive Datasets*, 3.4 (bands of rows).

Signatures depend only on the text and the settings, not on the machine or the batches.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.bytes.binary import binary_array, binary_rows, check_size
from dclm_spark.kernels.bytes.distinct import make_distinct
from dclm_spark.kernels.bytes.hashing import OF_KEYS, OF_SHINGLES, OF_UNITS, finish, fold, random_constants
from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.near.permutations import GREATEST, permutations, take_affine, take_mersenne
from dclm_spark.kernels.near.shingles import (
    BOUNDS,
    CHARS,
    SPLIT,
    combine,
    hash_bounded_words,
    hash_chars,
    hash_split_words,
    sum_of_units,
    word_bounds,
)
from dclm_spark.kernels.text.simplify import simplify
from dclm_spark.kernels.text.unicode import utf8_buffers
from dclm_spark.recipe.near_duplicates import MAX_SHINGLE_SIZE, MinHash

_PART_BYTES = 4 << 20  # texts signed at a time; limits the temporary memory, which is allocated once
_TOP_16_BITS = np.uint64(48)
_N_SHINGLES = 2048  # processed at a time, so that their hashes fit in the fastest cache


def sign(text: pa.Array, minhash: MinHash) -> pa.RecordBatch:
    """Computes the MinHash signature and band keys of each text: the columns of `schemas.SIGNATURES` from `n_chars` on.

    - `n_chars`: code points of the text as given; 0 for null
    - `n_shingles`: shingles, repeated ones each time; 0 for null, and for a text of fewer units than one takes

    and of a text with shingles, null for others:

    - `text_hash`: hash of the words in order (of the characters, for shingles of those) of the normalized text; white
      space between words makes no difference
    - `signature`: of each permutation 16 bits of a hash of the least value, little-endian
    - `keys`: of each band 64 bits, a hash of its number and its rows' least values, little-endian: keys of different
      bands never mean a meeting
    - `shingles`: hashes of the distinct shingles, rising, 64 bits each, little-endian; null unless
      `minhash.stores_shingles`

    Two sets of shingles with the Jaccard index J agree in a permutation with the chance J + (1 - J) / 2^16.

    >>> rows = sign(pa.array(["To be or not to be", "to be  or not to be", "to be", None]), MinHash())
    >>> rows["n_shingles"].to_pylist(), rows["n_chars"].to_pylist()
    ([2, 2, 0, 0], [18, 19, 5, 0])
    >>> rows["keys"][0] == rows["keys"][1], len(rows["keys"][0].as_py()), rows["keys"][2].as_py()
    (True, 112, None)

    Raises:
        ValueError: The settings have problems, or a column would be larger than 2 GiB.
    """
    parts = [_sign_part(text[first:last], minhash) for first, last in _parts(text)]
    if len(parts) == 1:
        return parts[0]
    for name in parts[0].schema.names:
        check_size(sum(part[name].nbytes for part in parts))
    return pa.Table.from_batches(parts).combine_chunks().to_batches()[0]


def _parts(text: pa.Array) -> Iterator[tuple[int, int]]:
    """Yields (start, stop) rows of parts of about equal size; one empty part if there are no rows."""
    _, offsets = utf8_buffers(text)
    first = 0
    while first == 0 or first < len(text):
        full = np.searchsorted(offsets, offsets[first] + _PART_BYTES)
        last = min(max(int(full), first + 1), len(text))
        yield first, last
        first = max(last, 1)


def _sign_part(text: pa.Array, minhash: MinHash) -> pa.RecordBatch:
    is_null = text.is_null().to_numpy(zero_copy_only=False)
    rows = _sign_rows(*_arguments(text, is_null, minhash), minhash.n_bands, minhash.n_rows, minhash.stores_shingles)
    n_shingles, text_hashes, signatures, keys, hashes, hash_offsets = rows
    is_signed = n_shingles > 0
    shingles: pa.Array = pa.nulls(len(text), pa.binary())
    if minhash.stores_shingles:
        make_distinct(hashes, hash_offsets)
        shingles = binary_array(hashes[: hash_offsets[-1]].astype("<u8", copy=False), 8 * hash_offsets, is_signed)
    columns = {
        "n_chars": pa.array(_count_chars(*utf8_buffers(text), is_null)),
        "n_shingles": pa.array(n_shingles, pa.int32()),
        "text_hash": pa.array(text_hashes.view(np.int64), mask=~is_signed),
        "signature": binary_rows(signatures.astype("<u2", copy=False), is_signed),
        "keys": binary_rows(keys.astype("<u8", copy=False), is_signed),
        "shingles": shingles,
    }
    return pa.RecordBatch.from_pydict(columns)


def minima(text: pa.Array, minhash: MinHash) -> np.ndarray:
    """Computes each permutation's minimum over a text's shingles: a uint64 row for each text; 2^64 - 1 if no
    shingles."""
    is_null = text.is_null().to_numpy(zero_copy_only=False)
    return _minima_of_rows(*_arguments(text, is_null, minhash))


class _Constants(NamedTuple):
    """The random numbers that follow from the settings; all uint64."""

    seed: np.uint64  # seed of a unit's hash
    shingles: np.ndarray  # see `combine`
    factors: np.ndarray
    summands: np.ndarray
    keys: np.ndarray  # one number for each band


@functools.lru_cache(maxsize=8)
def _constants(minhash: MinHash) -> _Constants:
    constants = _Constants(
        random_constants(minhash.seed, OF_UNITS, 1)[0],
        # Odd, so that a shingle's hash depends on all bits of each unit's. The last one is added.
        random_constants(minhash.seed, OF_SHINGLES, MAX_SHINGLE_SIZE + 1)[: minhash.shingle_size + 1] | np.uint64(1),
        *permutations(minhash),
        random_constants(minhash.seed, OF_KEYS, minhash.n_bands),
    )
    for array in constants[1:]:
        array.flags.writeable = False
    return constants


class _Rows(NamedTuple):
    """The normalized texts, and the way to find their units."""

    text: np.ndarray
    offsets: np.ndarray
    is_null: np.ndarray
    kind: int  # SPLIT, BOUNDS or CHARS
    starts: np.ndarray  # these three for BOUNDS: see `word_bounds`
    ends: np.ndarray
    word_offsets: np.ndarray


def _arguments(text: pa.Array, is_null: np.ndarray, minhash: MinHash) -> tuple[_Rows, _Constants, bool]:
    if problems := minhash.problems():
        raise ValueError("\n".join(problems))
    text = simplify(text, minhash.normalization)
    kind = CHARS if minhash.shingles == "chars" else SPLIT if minhash.words == "split" else BOUNDS
    nowhere = np.zeros(0, dtype=np.int32)
    bounds = (nowhere, nowhere, np.zeros(0, dtype=np.int64))
    if kind == BOUNDS:
        bounds = word_bounds(text, minhash.words)
    rows = _Rows(*utf8_buffers(text), is_null, kind, *bounds)
    return rows, _constants(minhash), minhash.permutations == "mersenne61"


@kernel
def _count_chars(text, offsets, is_null):
    counts = np.zeros(len(offsets) - 1, dtype=np.int64)
    for row in range(len(counts)):
        if not is_null[row]:
            for byte in text[offsets[row] : offsets[row + 1]]:
                counts[row] += byte & 0xC0 != 0x80
    return counts


@kernel
def _sign_rows(rows, constants, is_mersenne, n_bands, n_rows, stores_shingles):
    n_texts = len(rows.offsets) - 1
    n_shingles = np.zeros(n_texts, dtype=np.int32)
    text_hashes = np.zeros(n_texts, dtype=np.uint64)
    signatures = np.zeros((n_texts, n_bands * n_rows), dtype=np.uint16)
    keys = np.zeros((n_texts, n_bands), dtype=np.uint64)
    # There are at most as many units as bytes; memory that is never written costs nothing.
    hashes = np.empty(rows.offsets[-1] - rows.offsets[0] if stores_shingles else 0, dtype=np.uint64)
    hash_offsets = np.zeros(n_texts + 1, dtype=np.int64)
    units, shingles, least = _room(constants)
    for row in range(n_texts):
        stored = hashes[hash_offsets[row] :]
        n_found, text_hash = _measure(rows, row, constants, is_mersenne, units, shingles, least, stored)
        hash_offsets[row + 1] = hash_offsets[row] + (n_found if stores_shingles else 0)
        n_shingles[row] = n_found
        if n_found == 0:
            continue
        text_hashes[row] = text_hash
        for band in range(n_bands):
            key = constants.keys[band]
            for place in range(band * n_rows, (band + 1) * n_rows):
                key = fold(key, least[place])
                signatures[row, place] = finish(least[place]) >> _TOP_16_BITS
            keys[row, band] = finish(key)
    return n_shingles, text_hashes, signatures, keys, hashes, hash_offsets


@kernel
def _minima_of_rows(rows, constants, is_mersenne):
    n_texts = len(rows.offsets) - 1
    found = np.empty((n_texts, len(constants.factors)), dtype=np.uint64)
    units, shingles, _ = _room(constants)
    for row in range(n_texts):
        _measure(rows, row, constants, is_mersenne, units, shingles, found[row], shingles[:0])
    return found


@helper
def _room(constants):
    """Allocates arrays for the hashes of units, the hashes of shingles, and the minima."""
    size = len(constants.shingles) - 1
    units = np.empty(_N_SHINGLES + size - 1, dtype=np.uint64)
    return units, np.empty(_N_SHINGLES, dtype=np.uint64), np.empty(len(constants.factors), dtype=np.uint64)


@helper
def _measure(rows, row, constants, is_mersenne, units, shingles, least, stored):
    """Writes the minima of a row; returns its number of shingles and the hash of its units.

    The hashes of all shingles are written to `stored`, unless that is empty.
    """
    text, seed = rows.text, constants.seed
    size = len(constants.shingles) - 1
    start, stop = rows.offsets[row], rows.offsets[row + 1]
    at = start
    if rows.kind == BOUNDS:
        at, n_words = rows.word_offsets[row], rows.word_offsets[row + 1]
    for place in range(len(least)):
        least[place] = GREATEST
    n_all = 0
    text_hash = seed
    n_kept = 0  # earlier units that the next shingles begin with
    while not rows.is_null[row]:
        if rows.kind == SPLIT:
            n_units, at = hash_split_words(text, at, stop, seed, units, n_kept)
        elif rows.kind == CHARS:
            n_units, at = hash_chars(text, start, at, stop, seed, units, n_kept)
        else:
            n_units, at = hash_bounded_words(text, start, rows.starts, rows.ends, at, n_words, seed, units, n_kept)
        if n_units == n_kept:
            break
        text_hash += sum_of_units(units[n_kept:n_units], n_all + n_kept)
        n_new = max(0, n_units - size + 1)
        combine(units, n_new, constants.shingles, shingles)
        if is_mersenne:
            take_mersenne(shingles, n_new, constants.factors, constants.summands, least)
        else:
            take_affine(shingles, n_new, constants.factors, constants.summands, least)
        # Loops, because assignments to slices take seconds to compile.
        if len(stored) > 0:
            for index in range(n_new):
                stored[n_all + index] = shingles[index]
        n_all += n_new
        n_kept = n_units - n_new
        for index in range(n_kept):
            units[index] = units[n_new + index]
    return n_all, finish(text_hash)
