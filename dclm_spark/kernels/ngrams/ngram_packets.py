"""Packs the n-grams of several thousand documents that fall into one block of the filter into one binary value.

A `Flock` is a group of documents that a worker packs together: it makes one packet for each block, and one for the
flock itself, with the documents and their units. An n-gram is sent as the 40 bits that a Bloom filter needs, or as all
64 for an exact filter; the unit that it belongs to adds about one byte.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import xxhash

from dclm_spark.kernels.bytes.packed import pack_arrays, unpack_arrays
from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.ngrams.bloom import HASH_BITS, block_of, block_shift, within_block
from dclm_spark.kernels.ngrams.ngrams import Units
from dclm_spark.kernels.ngrams.sent_units import Sent

FLOCK_BLOCK = -1
"""Used instead of a block: the packet of the flock itself."""
_FILTER_BYTES, _EXACT_BYTES = HASH_BITS // 8, 8  # bytes of an n-gram in a packet
_ID_BYTES = 16
_8 = np.uint64(8)


class Flock(NamedTuple):
    """Documents whose n-grams were packed together, in their order, and their units that have n-grams.

    Args:
        orders: uint64, one for each document. Sort key of the document.
        ids: uint64, shape (documents, 2). The two halves of the doc_id.
        n_units: int64, one for each document. Number of its units that have n-grams.
        has_short: uint8, one for each document. 1 if it has text besides white space and units with n-grams.
        paragraphs: int32, one for each unit. Index of the paragraph in its document.
        n_ngrams: int64, one for each unit. Number of its n-grams.
        is_repeat: uint8, one for each unit. 1 if it equals an earlier unit, so that it was not packed.
    """

    orders: np.ndarray
    ids: np.ndarray
    n_units: np.ndarray
    has_short: np.ndarray
    paragraphs: np.ndarray
    n_ngrams: np.ndarray
    is_repeat: np.ndarray


class Packet(NamedTuple):
    """The n-grams of a flock in one block, run by run; a run is the n-grams of one unit.

    Args:
        orders: uint64, ascending, one for each document with n-grams in the block.
        ids: uint64, shape (documents, 2); of no rows unless n-grams are exact.
        n_runs: int64, one for each document. Number of its runs.
        first_units: int64, one for each document. Index in the flock of its first unit, packed or not.
        units: int64, ascending, one for each run. Index of the unit in the flock, from 0.
        n_ngrams: int64, one for each run. Number of its n-grams.
        hashes: uint64, one for each n-gram. Its bits within the block, or the whole hash.
    """

    orders: np.ndarray
    ids: np.ndarray
    n_runs: np.ndarray
    first_units: np.ndarray
    units: np.ndarray
    n_ngrams: np.ndarray
    hashes: np.ndarray


class _UnitsInOrder(NamedTuple):
    """The hashes of all units, and for each unit, in the order of documents: where its n-grams start, their number,
    whether it is a repeat, and the number of its document."""

    hashes: np.ndarray
    starts: np.ndarray
    n_ngrams: np.ndarray
    is_repeat: np.ndarray
    docs: np.ndarray


class _Counts(NamedTuple):
    """For each block the number of documents, runs and n-grams."""

    n_docs: np.ndarray
    n_runs: np.ndarray
    n_ngrams: np.ndarray


class _Runs(NamedTuple):
    """The documents of all blocks, block after block, and their numbers of runs; the unit of each run, and its number
    of n-grams; and the bytes of the n-grams."""

    docs: np.ndarray
    n_runs: np.ndarray
    units: np.ndarray
    n_ngrams: np.ndarray
    data: np.ndarray


def halves(doc_ids: Sequence[str]) -> np.ndarray:
    """Converts doc_ids of 32 hex digits to numbers, uint64 of shape (ids, 2).

    >>> halves(["00000000000000010000000000000002"]).tolist()
    [[1, 2]]
    """
    packed = bytes.fromhex("".join(doc_ids))
    return np.frombuffer(packed, dtype=">u8").astype(np.uint64).reshape(-1, 2)


def doc_ids(ids: np.ndarray) -> list[str]:
    """Converts numbers of `halves` back to doc_ids."""
    letters = np.ascontiguousarray(ids).astype(">u8").tobytes().hex()
    return [letters[at : at + 2 * _ID_BYTES] for at in range(0, len(letters), 2 * _ID_BYTES)]


def pack(
    orders: np.ndarray, ids: np.ndarray, units: Units, *, n_blocks: int, sent: Sent | None, is_exact: bool
) -> tuple[int, np.ndarray, np.ndarray, list[bytes]]:
    """Packs a flock: returns its name, and for each packet its block, number of n-grams and bytes, the flock's own
    first.

    Args:
        orders: Orders of the documents, not sorted.
        ids: Ids of the documents, see `Flock`.
        units: Units of the documents, in the same order.
        n_blocks: Number of blocks, a power of two.
        sent: Units that were sent before; null: all are sent. Units with equal n-grams count as equal; the probability
            of an error is 2^-64.
        is_exact: Whether n-grams are sent as whole hashes, with the ids of documents.
    """
    by_order = np.argsort(orders, kind="stable")
    first_units = np.concatenate([[0], np.cumsum(units.n_units)])
    first_hashes = np.concatenate([[0], np.cumsum(units.n_ngrams)])
    # The units in the order of their documents.
    n_units = units.n_units[by_order]
    within = np.arange(n_units.sum()) - np.repeat(np.cumsum(n_units) - n_units, n_units)
    unit_rows = np.repeat(first_units[by_order], n_units) + within
    n_ngrams = units.n_ngrams[unit_rows]
    starts = first_hashes[unit_rows]
    sorted_orders = orders[by_order]
    doc_of_units = np.repeat(np.arange(len(n_units)), n_units)
    is_repeat = np.zeros(len(unit_rows), dtype=np.uint8)
    if sent is not None:
        is_repeat = sent.add(units.hashes, starts, n_ngrams, sorted_orders, n_units)
    flock = Flock(
        sorted_orders,
        ids[by_order],
        n_units,
        units.has_short[by_order],
        units.paragraphs[unit_rows],
        n_ngrams,
        is_repeat,
    )
    in_order = _UnitsInOrder(units.hashes, starts, n_ngrams, is_repeat, doc_of_units)
    shift = block_shift(n_blocks)
    counts = _Counts(*_count(in_order, shift, n_blocks))
    runs = _Runs(*_fill(in_order, shift, counts, _EXACT_BYTES if is_exact else _FILTER_BYTES))
    blocks = np.flatnonzero(counts.n_ngrams)
    packets = [_pack_flock(flock), *_pack_blocks(flock, blocks, counts, runs, is_exact)]
    name = xxhash.xxh3_64_intdigest(flock.orders.tobytes(), seed=1)
    name = xxhash.xxh3_64_intdigest(units.hashes.tobytes(), seed=name) >> 1
    n_of_packets = np.concatenate([[n_ngrams.sum()], counts.n_ngrams[blocks]])
    return name, np.concatenate([[FLOCK_BLOCK], blocks]).astype(np.int32), n_of_packets, packets


def _pack_blocks(flock: Flock, blocks: np.ndarray, counts: _Counts, runs: _Runs, is_exact: bool) -> Iterator[bytes]:
    """Yields the packet of each of these blocks: the length of its arrays, the arrays packed, the bytes of its
    n-grams."""
    n_bytes = _EXACT_BYTES if is_exact else _FILTER_BYTES
    first_units = (np.cumsum(flock.n_units) - flock.n_units).astype(np.uint32)
    ends = [np.concatenate([[0], np.cumsum(numbers)]) for numbers in counts]
    for block in blocks:
        (doc, last_doc), (run, last_run), (at, last) = ((end[block], end[block + 1]) for end in ends)
        own = runs.docs[doc:last_doc]
        columns = [
            np.diff(flock.orders[own], prepend=np.uint64(0)),
            runs.n_runs[doc:last_doc],
            np.diff(first_units[own], prepend=np.uint32(0)),
            np.diff(runs.units[run:last_run], prepend=np.uint32(0)),
            runs.n_ngrams[run:last_run],
            *(flock.ids[own].T if is_exact else ()),
        ]
        header = pack_arrays(columns)
        size = np.array([len(header)], dtype="<i8").tobytes()
        yield size + header + runs.data[n_bytes * at : n_bytes * last].tobytes()


def _pack_flock(flock: Flock) -> bytes:
    return pack_arrays(
        [
            flock.orders,
            *flock.ids.T,
            flock.n_units.astype(np.uint32),
            flock.has_short.astype(np.uint8),
            flock.paragraphs,
            flock.n_ngrams.astype(np.uint32),
            flock.is_repeat,
        ]
    )


def unpack_flock(packed: bytes) -> Flock:
    """Reads the packet of a flock itself."""
    orders, high, low, n_units, has_short, paragraphs, n_ngrams, is_repeat = unpack_arrays(packed)
    ids = np.stack([high, low], axis=1)
    return Flock(orders, ids, n_units.astype(np.int64), has_short, paragraphs, n_ngrams.astype(np.int64), is_repeat)


def unpack(packet: bytes) -> Packet:
    """Reads the packet of a block."""
    size = int.from_bytes(packet[:8], "little")
    orders, n_runs, first_units, units, n_ngrams, *ids = unpack_arrays(packet[8 : 8 + size])
    n_bytes = _EXACT_BYTES if ids else _FILTER_BYTES
    data = np.frombuffer(packet, dtype=np.uint8, offset=8 + size).reshape(-1, n_bytes)
    hashes = data.view("<u8").reshape(-1) if ids else _from_bytes(data)
    return Packet(
        np.cumsum(orders),
        np.stack(ids, axis=1) if ids else np.empty((0, 2), dtype=np.uint64),
        n_runs.astype(np.int64),
        np.cumsum(first_units, dtype=np.int64),
        np.cumsum(units, dtype=np.int64),
        n_ngrams.astype(np.int64),
        hashes,
    )


def _from_bytes(data: np.ndarray) -> np.ndarray:
    whole = np.zeros((len(data), 8), dtype=np.uint8)
    whole[:, : data.shape[1]] = data
    return whole.view("<u8").reshape(-1)


@kernel
def _count(in_order, shift, n_blocks):
    """Counts the documents, runs and n-grams of each block."""
    hashes, starts, n_ngrams, is_repeat, docs = in_order
    n_docs, n_runs = np.zeros(n_blocks, dtype=np.int64), np.zeros(n_blocks, dtype=np.int64)
    n_of_blocks = np.zeros(n_blocks, dtype=np.int64)
    last_unit, last_doc = np.full(n_blocks, -1), np.full(n_blocks, -1)
    for unit in range(len(starts)):
        if is_repeat[unit]:
            continue
        for index in range(starts[unit], starts[unit] + n_ngrams[unit]):
            block = block_of(hashes[index], shift)
            n_of_blocks[block] += 1
            if last_unit[block] != unit:
                last_unit[block] = unit
                n_runs[block] += 1
                if last_doc[block] != docs[unit]:
                    last_doc[block] = docs[unit]
                    n_docs[block] += 1
    return n_docs, n_runs, n_of_blocks


@kernel
def _fill(in_order, shift, counts, n_bytes):
    """Returns the documents and runs of all blocks, block after block, and the bytes of their n-grams."""
    hashes, starts, n_ngrams, is_repeat, docs = in_order
    n_docs, n_runs, n_of_blocks = counts
    n_blocks = len(n_docs)
    doc_at, run_at, at = _firsts(n_docs), _firsts(n_runs), _firsts(n_of_blocks)
    out_docs, doc_runs = np.empty(n_docs.sum(), dtype=np.int64), np.zeros(n_docs.sum(), dtype=np.uint32)
    run_units, run_ngrams = np.empty(n_runs.sum(), dtype=np.uint32), np.zeros(n_runs.sum(), dtype=np.uint32)
    data = np.empty(n_bytes * n_of_blocks.sum(), dtype=np.uint8)
    last_unit, last_doc = np.full(n_blocks, -1), np.full(n_blocks, -1)
    for unit in range(len(starts)):
        if is_repeat[unit]:
            continue
        for index in range(starts[unit], starts[unit] + n_ngrams[unit]):
            hash_ = hashes[index]
            block = block_of(hash_, shift)
            if last_unit[block] != unit:
                last_unit[block] = unit
                if last_doc[block] != docs[unit]:
                    last_doc[block] = docs[unit]
                    out_docs[doc_at[block]] = docs[unit]
                    doc_at[block] += 1
                doc_runs[doc_at[block] - 1] += 1
                run_units[run_at[block]] = unit
                run_at[block] += 1
            run_ngrams[run_at[block] - 1] += 1
            sent = hash_ if n_bytes == _EXACT_BYTES else within_block(hash_, shift)
            first = n_bytes * at[block]
            for byte in range(n_bytes):
                data[first + byte] = np.uint8(sent)
                sent >>= _8
            at[block] += 1
    return out_docs, doc_runs, run_units, run_ngrams, data


@helper
def _firsts(numbers):
    """Returns the start of each range, given the lengths of consecutive ranges."""
    firsts = np.empty_like(numbers)
    n = 0
    for index in range(len(numbers)):
        firsts[index] = n
        n += numbers[index]
    return firsts
