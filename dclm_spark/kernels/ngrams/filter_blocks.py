"""Processes one block of the filter: finds which n-grams an earlier unit had, over all documents in their order.

A unit is queried before it is added, document by document in ascending order, from whatever packet. Documents with the
same order are processed together: the first unit of each, then the second, and so on. So the result depends neither on
the order of packets nor on which repeated units were not sent again.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.bytes.packed import pack_arrays, unpack_arrays
from dclm_spark.kernels.compiled.jit import inlined_code, kernel
from dclm_spark.kernels.ngrams.bloom import WORDS, add, holds, reached_rate
from dclm_spark.kernels.ngrams.ngram_packets import Packet
from dclm_spark.kernels.ngrams.seen import NOBODY, Seen, first_to_have, make_room, see

_FIRST_ROOM = 1 << 12
_WHOLE_FILTER = np.uint64(64)  # bits that a filter of one block shifts a hash by


class Block(NamedTuple):
    """The content of a block.

    Args:
        words: uint64. Words of a Bloom filter; empty if the block is exact.
        hashes: uint64. Hash table of an exact block, its length a power of two; 0 means free.
        firsts: int64. For each hash the number of the first document that had it.
        orders: uint64. Orders of the documents that are first for some hash.
        ids: uint64, shape (documents, 2). Ids of these documents.
        n_ngrams: Number of n-grams added; of distinct ones if the block is exact.
    """

    words: np.ndarray
    hashes: np.ndarray
    firsts: np.ndarray
    orders: np.ndarray
    ids: np.ndarray
    n_ngrams: int

    @property
    def fp_rate(self) -> float:
        """The false-positive rate; 0 if the block is exact."""
        return float(reached_rate(self.words)) if len(self.words) else 0.0


class Answer(NamedTuple):
    """The answer of a block to a packet: the units with seen n-grams, as arrays of equal length.

    Args:
        units: int64. Index of the unit in the flock.
        n_seen: int64. Number of its n-grams that were seen, 1 or more.
        orders: uint64. Order of the earliest document that had one of them; empty unless the block is exact.
        ids: uint64, shape (units, 2). Id of that document.
    """

    units: np.ndarray
    n_seen: np.ndarray
    orders: np.ndarray
    ids: np.ndarray


def empty_block(n_buckets: int | None) -> Block:
    """Makes an empty block with this number of buckets; null: an exact block."""
    room = _FIRST_ROOM if n_buckets is None else 0
    return Block(
        np.zeros((n_buckets or 0) * WORDS, dtype=np.uint64),
        np.zeros(room, dtype=np.uint64),
        np.zeros(room, dtype=np.int64),
        np.empty(0, dtype=np.uint64),
        np.empty((0, 2), dtype=np.uint64),
        0,
    )


def pack_block(block: Block) -> bytes:
    """Converts a block to bytes; the hashes of an exact one are sorted."""
    is_held = block.hashes != 0
    hashes, firsts = block.hashes[is_held], block.firsts[is_held]
    in_order = np.argsort(hashes)
    needed, numbers = np.unique(firsts[in_order], return_inverse=True)
    columns = [block.words, np.diff(hashes[in_order], prepend=np.uint64(0)), numbers.astype(np.uint32)]
    columns += [block.orders[needed], *block.ids[needed].T]
    return pack_arrays([*columns, np.array([block.n_ngrams], dtype=np.int64)])


def unpack_block(packed: bytes) -> Block:
    """Reads the bytes of `pack_block`; tables get room for more hashes."""
    words, differences, numbers, orders, high, low, n_ngrams = unpack_arrays(packed)
    if len(words):
        return empty_block(0)._replace(words=words, n_ngrams=int(n_ngrams[0]))
    hashes, firsts = _table(np.cumsum(differences, dtype=np.uint64), numbers.astype(np.int64))
    return Block(words, hashes, firsts, orders, np.stack([high, low], axis=1), int(n_ngrams[0]))


def ask(block: Block, packets: Sequence[Packet], is_kept: Sequence[np.ndarray | None]) -> tuple[list[Answer], Block]:
    """Queries a block with packets and adds their n-grams; returns the answers and the new block. May change `block`.

    Args:
        block: The content of the block so far.
        packets: All packets of the block, in any order.
        is_kept: For each packet, which of the flock's units (bool) are added; null: all are added.
    """
    if not packets:
        return [], block
    joined = Packet(*(np.concatenate(columns) for columns in zip(*packets, strict=True)))
    runs_of_packets = [len(packet.units) for packet in packets]
    adds = np.ones(len(joined.units), dtype=np.bool_)
    at = 0
    for packet, kept, n in zip(packets, is_kept, runs_of_packets, strict=True):
        if kept is not None:
            adds[at : at + n] = kept[packet.units]
        at += n
    is_exact = len(block.hashes) > 0
    n_known = len(block.orders)
    known_orders = np.concatenate([block.orders, joined.orders]) if is_exact else block.orders
    n_held = np.array([block.n_ngrams], dtype=np.int64)
    seen = Seen(block.words, _WHOLE_FILTER, len(block.words) // WORDS, block.hashes, block.firsts, n_held)
    by_order = np.argsort(joined.orders, kind="stable")
    n_seen, earliest, seen = _ask_runs(joined, by_order, adds, seen, known_orders, n_known)
    if is_exact:
        block = block._replace(orders=known_orders, ids=np.concatenate([block.ids, joined.ids]))
    block = block._replace(hashes=seen.hashes, firsts=seen.firsts, n_ngrams=int(n_held[0]))
    answers, at = [], 0
    for packet, n in zip(packets, runs_of_packets, strict=True):
        counts, first = n_seen[at : at + n], earliest[at : at + n]
        some = np.flatnonzero(counts)
        known = first[some] if is_exact else np.empty(0, dtype=np.int64)
        answers.append(Answer(packet.units[some], counts[some], block.orders[known], block.ids[known]))
        at += n
    return answers, block


def pack_answer(answer: Answer) -> bytes:
    """Converts an answer to bytes."""
    columns = [np.diff(answer.units, prepend=0).astype(np.uint32), answer.n_seen.astype(np.uint32)]
    columns += [answer.orders, *answer.ids.T] if len(answer.orders) else []
    return pack_arrays(columns)


def unpack_answer(packed: bytes) -> Answer:
    """Reads the bytes of `pack_answer`."""
    units, n_seen, *known = unpack_arrays(packed)
    orders, ids = (
        (known[0], np.stack(known[1:], axis=1)) if known else (np.empty(0, np.uint64), np.empty((0, 2), np.uint64))
    )
    return Answer(np.cumsum(units, dtype=np.int64), n_seen.astype(np.int64), orders, ids)


@kernel
def _table(hashes, firsts):
    room = np.zeros(_FIRST_ROOM, dtype=np.uint64), np.zeros(_FIRST_ROOM, dtype=np.int64)
    table, documents = make_room(room[0], room[1], 0, len(hashes))
    n_held = np.zeros(1, dtype=np.int64)
    nothing = np.zeros(0, dtype=np.uint64)
    for index in range(len(hashes)):
        see(hashes[index], firsts[index], nothing, _WHOLE_FILTER, 1, table, documents, n_held)
    return table, documents


@kernel
def _ask_runs(packet, by_order, adds, seen, known_orders, n_known):
    """Queries the runs of a packet in their order, and adds those that `adds` names.

    Returns how many n-grams of each run were seen, the earliest document that had one, and what was seen afterwards.
    """
    orders, units, first_units = packet.orders, packet.units, packet.first_units
    n_seen, earliest = np.zeros(len(units), dtype=np.int64), np.full(len(units), NOBODY)
    end_runs = np.cumsum(packet.n_runs)
    next_runs = end_runs - packet.n_runs
    end_ngrams = np.cumsum(packet.n_ngrams)
    start = 0
    while start < len(by_order):
        end = start + 1
        while end < len(by_order) and orders[by_order[end]] == orders[by_order[start]]:
            end += 1
        while True:
            number = NOBODY  # index, within their documents, of the first units not processed yet
            for index in range(start, end):
                doc = by_order[index]
                if next_runs[doc] < end_runs[doc]:
                    here = units[next_runs[doc]] - first_units[doc]
                    number = here if number == NOBODY else min(number, here)
            if number == NOBODY:
                break
            for index in range(start, end):
                doc = by_order[index]
                run = next_runs[doc]
                if run < end_runs[doc] and units[run] - first_units[doc] == number:
                    ngrams = packet.hashes[end_ngrams[run] - packet.n_ngrams[run] : end_ngrams[run]]
                    n_seen[run], earliest[run] = _query(ngrams, seen, known_orders)
            for index in range(start, end):
                doc = by_order[index]
                run = next_runs[doc]
                if run == end_runs[doc] or units[run] - first_units[doc] != number:
                    continue
                next_runs[doc] += 1
                if adds[run]:
                    ngrams = packet.hashes[end_ngrams[run] - packet.n_ngrams[run] : end_ngrams[run]]
                    seen = _add_all(ngrams, n_known + doc, seen)
        start = end
    return n_seen, earliest, seen


@inlined_code
def _query(ngrams, seen, known_orders):
    """Returns how many n-grams of a run were seen, and the earliest document that had one, `NOBODY` for a filter."""
    words, _, n_buckets, hashes, firsts, _ = seen
    n_seen, earliest = 0, NOBODY
    for index in range(len(ngrams)):
        if len(words):
            n_seen += holds(words, ngrams[index], 0, n_buckets)
        else:
            first = first_to_have(ngrams[index], hashes, firsts)
            if first != NOBODY:
                n_seen += 1
                if earliest == NOBODY or known_orders[first] < known_orders[earliest]:
                    earliest = first
    return n_seen, earliest


@inlined_code
def _add_all(ngrams, document, seen):
    """Adds the n-grams of a run; returns what was seen then, because the table may have grown."""
    words, shift, n_buckets, hashes, firsts, n_held = seen
    hashes, firsts = make_room(hashes, firsts, n_held[0], len(ngrams))
    for index in range(len(ngrams)):
        if len(words):
            add(words, ngrams[index], 0, n_buckets)
            n_held[0] += 1
        else:
            see(ngrams[index], document, words, shift, n_buckets, hashes, firsts, n_held)
    return Seen(words, shift, n_buckets, hashes, firsts, n_held)
