"""Compares members of a bucket with its first text and its delegates, in one pass over members in their order.

Every member is compared with the bucket's first text. This is not enough: a member whose similarity to others of the
bucket is .80 may have only .69 to the first. So a bucket also has delegates: members that are similar to none before
them, and the first few other members. A member is also compared with the delegates, except those that it is already
connected with by pairs of this bucket.

The comparisons of a member depend only on the members before it; later members change nothing. In most buckets all
members are similar to the first, and there are no other comparisons; in any bucket their number is limited.
"""

from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.compiled.jit import helper, kernel

N_DELEGATES = 8
"""Largest number of delegates of a bucket. Half of them are reserved for members that are similar to none before
them."""

_NOBODY = np.int64(-1)


class Met(NamedTuple):
    """Pairs of members and delegates that may be similar, as arrays of equal length.

    Args:
        rows: int64. Row of the member in the batch.
        others: int64. Hash of the delegate's text.
        similarity: float64. Estimated similarity, [0, 1].
    """

    rows: np.ndarray
    others: np.ndarray
    similarity: np.ndarray


class _State(NamedTuple):
    """The first text and the delegates of the current buckets.

    Args:
        current: int64. Whether there is a first text; its hash; number of used slots.
        center: uint16, shape (bands, rows). Signature of the first text.
        counts: int64, shape (bands, 2). Number of delegates of the band, and how many of them are not connected with
            the first text.
        slots: int64, shape (bands, delegates). Slot of each delegate; a delegate of several bands has one slot.
        groups: int64, shape (bands, delegates). Number of its group of connected delegates; 0 is the group of the first
            text.
        texts: int64, one for each slot. Hash of the delegate's text.
        signatures: uint16, shape (slots, bands, rows). Signature of the delegate.
    """

    current: np.ndarray
    center: np.ndarray
    counts: np.ndarray
    slots: np.ndarray
    groups: np.ndarray
    texts: np.ndarray
    signatures: np.ndarray


class Firsts:
    """Holds the first texts and delegates of the current buckets; batches are processed in order.

    Args:
        n_bands: Number of bands of a signature.
        n_rows: Number of rows of a band.
        threshold: Smallest share of equal values of two similar texts.
        margin: Distance from the threshold within which an estimate may be wrong. Such a pair is returned, but does not
            connect its texts here.
        n_delegates: Largest number of delegates of a bucket.
    """

    def __init__(
        self, n_bands: int, n_rows: int, *, threshold: float, margin: float = 0.0, n_delegates: int = N_DELEGATES
    ):
        self._limits = np.array([threshold - margin, threshold + margin])
        n_slots = n_bands * n_delegates
        self._state = _State(
            np.zeros(3, dtype=np.int64),
            np.zeros((n_bands, n_rows), dtype=np.uint16),
            np.zeros((n_bands, 2), dtype=np.int64),
            np.zeros((n_bands, n_delegates), dtype=np.int64),
            np.zeros((n_bands, n_delegates), dtype=np.int64),
            np.zeros(n_slots, dtype=np.int64),
            np.zeros((n_slots, n_bands, n_rows), dtype=np.uint16),
        )

    def meet(
        self, texts: np.ndarray, firsts: np.ndarray, is_member: np.ndarray, signatures: np.ndarray
    ) -> tuple[np.ndarray, Met]:
        """Returns the similarity of each text to the first text of its buckets, and pairs with delegates.

        Similarity is the share of equal values. Two texts share a bucket if their signatures agree in all rows of a
        band.

        Args:
            texts: int64. Hashes of texts. All rows of one first text are together: itself, then the members in their
                order.
            firsts: int64. Hash of the first text of buckets that the text is in.
            is_member: bool. False for texts that are compared with the first text only.
            signatures: Matrix (texts, permutations), uint16.
        """
        shaped = np.ascontiguousarray(signatures).reshape(len(texts), *self._state.center.shape)
        similarity, n_met, *met = _meet(texts, firsts, is_member, shaped, self._limits, self._state)
        return similarity, Met(*(column[:n_met] for column in met))


@kernel
def _meet(texts, firsts, is_member, signatures, limits, state):
    """Does the work of `Firsts.meet`; returns the similarities, the number of pairs, and their arrays with room."""
    current, center, counts, slots, groups, delegates, of_delegates = state
    n_bands, n_rows = center.shape
    n_values, most_delegates = n_bands * n_rows, slots.shape[1]
    may_be, is_sure = limits
    similarity = np.empty(len(texts), dtype=np.float64)
    room = len(texts)
    rows, others, shares = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.float64)
    n_met = 0
    compared_with, shares_of = np.full(len(delegates), _NOBODY), np.empty(len(delegates), dtype=np.float64)
    for row in range(len(texts)):
        own = signatures[row]
        if current[0] == 0 or firsts[row] != current[1]:
            current[0], current[1], current[2] = 1, firsts[row], 0
            counts[:] = 0
            center[:] = own
        similarity[row] = _n_same(own, center) / n_values
        if texts[row] == firsts[row] or not is_member[row]:
            continue
        is_joined = similarity[row] >= is_sure
        own_slot = _NOBODY
        for band in range(n_bands):
            n_delegates = counts[band, 0]
            has_room = n_delegates < (most_delegates + 1) // 2
            if is_joined and counts[band, 1] == 0 and not has_room or not _agree(own, center, band):
                continue
            group = np.int64(0) if is_joined else _NOBODY
            for number in range(n_delegates):
                if groups[band, number] == group:
                    continue
                slot = slots[band, number]
                if compared_with[slot] != row:
                    compared_with[slot] = row
                    shares_of[slot] = _n_same(own, of_delegates[slot]) / n_values
                    if shares_of[slot] >= may_be:
                        if n_met == len(rows):
                            rows, others, shares = _twice(rows), _twice(others), _twice(shares)
                        rows[n_met], others[n_met], shares[n_met] = row, delegates[slot], shares_of[slot]
                        n_met += 1
                if shares_of[slot] >= is_sure:
                    group = _join(groups[band], n_delegates, groups[band, number], group)
            if has_room or group == _NOBODY and n_delegates < most_delegates:
                if own_slot == _NOBODY:
                    own_slot = current[2]
                    current[2] += 1
                    delegates[own_slot] = texts[row]
                    of_delegates[own_slot] = own
                slots[band, n_delegates] = own_slot
                groups[band, n_delegates] = n_delegates + 1 if group == _NOBODY else group
                counts[band, 0] += 1
            counts[band, 1] = 0
            for number in range(counts[band, 0]):
                counts[band, 1] += groups[band, number] != 0
    return similarity, n_met, rows, others, shares


@helper
def _agree(signature, other, band):
    """Returns whether all rows of a band agree."""
    value, n_rows = 0, signature.shape[1]
    while value < n_rows and signature[band, value] == other[band, value]:
        value += 1
    return value == n_rows


@helper
def _n_same(signature, other):
    n_same = 0
    for band in range(signature.shape[0]):
        for value in range(signature.shape[1]):
            n_same += signature[band, value] == other[band, value]
    return n_same


@helper
def _join(groups, n_groups, one, other):
    """Merges two groups and returns the number of the result, the smaller one; `other` may be `_NOBODY`."""
    if other == _NOBODY:
        return one
    first, second = min(one, other), max(one, other)
    for number in range(n_groups):
        if groups[number] == second:
            groups[number] = first
    return first


@helper
def _twice(values):
    grown = np.empty(2 * len(values), dtype=values.dtype)
    grown[: len(values)] = values
    return grown
