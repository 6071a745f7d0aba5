"""Stores the n-grams seen so far: in a Bloom filter, or as exact hashes with the first document of each.

A kernel passes the arrays of a `Seen` to `was_seen` and `see`, and calls `make_room` before each unit.
"""

from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.bytes.hash_slots import slot_of
from dclm_spark.kernels.compiled.jit import helper
from dclm_spark.kernels.ngrams.bloom import WORDS, Geometry, add, block_of, block_shift, holds, within_block

_FIRST_ROOM = 1 << 12
_1 = np.uint64(1)
NOBODY = -1  # used instead of a document if it is unknown, as in a Bloom filter


class Seen(NamedTuple):
    """Holds the n-grams seen so far.

    Args:
        words: uint64. The blocks of a Bloom filter; empty if exact.
        shift: See `bloom.block_shift`.
        n_buckets: Number of buckets in a block of the filter.
        hashes: uint64. Hash table, its length a power of two, 0 means free; of length 0 for a Bloom filter.
        firsts: int64. For each hash, the first document that had it.
        n_held: int64, one number: of hashes in the table, or of n-grams added to the filter.
    """

    words: np.ndarray
    shift: np.uint64
    n_buckets: int
    hashes: np.ndarray
    firsts: np.ndarray
    n_held: np.ndarray


def nothing_seen(geometry: Geometry | None) -> Seen:
    """Makes an empty filter of this size, or an empty table."""
    is_exact = geometry is None
    n_blocks, n_buckets = (1, 1) if geometry is None else geometry
    room = _FIRST_ROOM if is_exact else 0
    return Seen(
        np.zeros(0 if is_exact else n_blocks * n_buckets * WORDS, dtype=np.uint64),
        block_shift(n_blocks),
        n_buckets,
        np.zeros(room, dtype=np.uint64),
        np.zeros(room, dtype=np.int64),
        np.zeros(1, dtype=np.int64),
    )


@helper
def make_room(hashes, firsts, n_held, n_more):
    """Returns the table and its documents with room for `n_more` hashes; those of a Bloom filter stay empty."""
    n_slots = len(hashes)
    if n_slots == 0 or 2 * (n_held + n_more) <= n_slots:
        return hashes, firsts
    while 2 * (n_held + n_more) > n_slots:
        n_slots *= 2
    grown, grown_firsts = np.zeros(n_slots, dtype=np.uint64), np.zeros(n_slots, dtype=np.int64)
    for index in range(len(hashes)):
        if hashes[index]:
            slot = slot_of(hashes[index], grown)
            grown[slot] = hashes[index]
            grown_firsts[slot] = firsts[index]
    return grown, grown_firsts


@helper
def first_to_have(hash_, hashes, firsts):
    """Returns the first document that had an n-gram; `NOBODY` if none had it. For exact tables only."""
    key = max(hash_, _1)
    slot = slot_of(key, hashes)
    return firsts[slot] if hashes[slot] else NOBODY


@helper
def was_seen(hash_, words, shift, n_buckets, hashes):
    """Returns whether an n-gram was seen; a Bloom filter may return true by mistake."""
    if len(hashes):
        key = max(hash_, _1)  # 0 is a free slot
        return hashes[slot_of(key, hashes)] != 0
    within = within_block(hash_, shift)
    return holds(words, within, block_of(hash_, shift) * n_buckets * WORDS, n_buckets)


@helper
def see(hash_, document, words, shift, n_buckets, hashes, firsts, n_held):
    """Adds an n-gram of a document; there must be room for it."""
    if len(hashes):
        key = max(hash_, _1)
        slot = slot_of(key, hashes)
        if hashes[slot] == 0:
            hashes[slot] = key
            firsts[slot] = document
            n_held[0] += 1
    else:
        add(words, within_block(hash_, shift), block_of(hash_, shift) * n_buckets * WORDS, n_buckets)
        n_held[0] += 1
