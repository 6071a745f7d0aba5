"""Remembers the units that a worker has sent to the filter, so that equal units are not sent again."""

from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.bytes.hash_slots import slot_of
from dclm_spark.kernels.bytes.hashing import fold
from dclm_spark.kernels.compiled.jit import kernel


class _Table(NamedTuple):
    """Hash table of units: each slot's hash, and order and number of the document; and the number of used slots."""

    hashes: np.ndarray
    orders: np.ndarray
    documents: np.ndarray
    n_held: np.ndarray


class Sent:
    """Remembers sent units: if all n-grams are inserted, all n-grams of an equal later unit were seen.

    "Later" means in the same document, or in one with a higher order.

    Args:
        n_slots: Size of the table, a power of two. A unit that finds no room is sent again.
    """

    def __init__(self, n_slots: int = 1 << 21):
        self._table = _Table(
            np.zeros(n_slots, dtype=np.uint64),
            np.zeros(n_slots, dtype=np.uint64),
            np.zeros(n_slots, dtype=np.int64),
            np.zeros(1, dtype=np.int64),
        )
        self._n_documents = 0

    def add(
        self, hashes: np.ndarray, starts: np.ndarray, n_ngrams: np.ndarray, orders: np.ndarray, n_units: np.ndarray
    ) -> np.ndarray:
        """Returns which units of documents are repeats (uint8), and remembers the others.

        Args:
            hashes: Hashes of n-grams.
            starts: Index of each unit's first n-gram.
            n_ngrams: Number of n-grams of each unit.
            orders: Orders of the documents, ascending.
            n_units: Number of units of each document.
        """
        numbers = np.repeat(np.arange(len(n_units)) + self._n_documents, n_units)
        self._n_documents += len(n_units)
        return _find_repeats(hashes, starts, n_ngrams, np.repeat(orders, n_units), numbers, self._table)


@kernel
def _find_repeats(hashes, starts, n_ngrams, orders, documents, table):
    """Returns which units equal one of an earlier document or of the same document, and remembers the others.

    Documents with the same order are processed together, so it must not matter which of them was sent first.
    """
    sent_hashes, sent_orders, sent_documents, n_held = table
    is_repeat = np.zeros(len(starts), dtype=np.uint8)
    for unit in range(len(starts)):
        state = np.uint64(n_ngrams[unit])
        for index in range(starts[unit], starts[unit] + n_ngrams[unit]):
            state = fold(state, hashes[index])
        state = max(state, np.uint64(1))  # 0 is a free slot
        slot = slot_of(state, sent_hashes)
        if sent_hashes[slot] == 0:
            if 2 * n_held[0] < len(sent_hashes):
                sent_hashes[slot], sent_orders[slot], sent_documents[slot] = state, orders[unit], documents[unit]
                n_held[0] += 1
        elif sent_orders[slot] < orders[unit] or sent_documents[slot] == documents[unit]:
            is_repeat[unit] = 1
        elif sent_orders[slot] > orders[unit]:
            sent_orders[slot], sent_documents[slot] = orders[unit], documents[unit]
    return is_repeat
