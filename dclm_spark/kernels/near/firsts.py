"""Whom a member of a bucket meets, and how alike they are, in one pass over members in their order.

Every member meets the bucket's first. That would do if all that is alike were alike to the first as well; but a member
that is .80 alike to others of its family may be .69 to the first. So a bucket has delegates: the first of those that
are alike to none before them, and so on, and the first few of the others. A member also meets the delegates, but for
those that it hangs together with already, by what has met in this bucket.

Whom a member meets depends on those before it alone: what comes later changes nothing among the others. A bucket in
which all are alike to the first, as most are, costs no more than its first; any other a bounded number of times that.
"""

from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.compiled.jit import helper, kernel

N_DELEGATES = 8
"""Of a bucket. Half of the places are kept for members that are alike to none before them."""

_NOBODY = np.int64(-1)


class Met(NamedTuple):
    """Members that met delegates and may be alike, arrays of one length.

    Args:
        rows: int64. The members, as rows of the batch.
        others: int64. The delegates' texts.
        similarity: float64.
    """

    rows: np.ndarray
    others: np.ndarray
    similarity: np.ndarray


class Firsts:
    """The firsts and the delegates of the buckets at hand; batches come one after the other.

    Args:
        n_bands: Of signatures.
        n_rows: Of a band.
        threshold: Two texts are alike from this share of agreeing values on.
        margin: How far from it chance may decide. A pair within it is told of, but joins nobody here.
        n_delegates: Of a bucket.
    """

    def __init__(
        self, n_bands: int, n_rows: int, *, threshold: float, margin: float = 0.0, n_delegates: int = N_DELEGATES
    ):
        self._limits = np.array([threshold - margin, threshold + margin])
        self._current = np.zeros(3, dtype=np.int64)  # whether there is a first; which text; slots that are taken
        self._center = np.zeros((n_bands, n_rows), dtype=np.uint16)
        # Of each band: how many delegates, how many of them do not hang together with the first; and of each of them
        # its slot, and a number that those have in common which hang together, 0 for the first's.
        self._counts = np.zeros((n_bands, 2), dtype=np.int64)
        self._slots = np.zeros((n_bands, n_delegates), dtype=np.int64)
        self._groups = np.zeros((n_bands, n_delegates), dtype=np.int64)
        # A delegate of several bands has one slot.
        self._texts = np.zeros(n_bands * n_delegates, dtype=np.int64)
        self._signatures = np.zeros((n_bands * n_delegates, n_bands, n_rows), dtype=np.uint16)

    def meet(
        self, texts: np.ndarray, firsts: np.ndarray, is_member: np.ndarray, signatures: np.ndarray
    ) -> tuple[np.ndarray, Met]:
        """How alike each text is to the first of its buckets, the share of values that agree; and whom else it met.

        Two texts share a bucket where their signatures agree in all rows of a band.

        Args:
            texts: int64. Those of a first one after the other: itself, then the members in their order.
            firsts: int64. The first of buckets that the text is in.
            is_member: bool. False for texts that are compared with the first only.
            signatures: A matrix (texts, permutations), uint16.
        """
        shaped = np.ascontiguousarray(signatures).reshape(len(texts), *self._center.shape)
        similarity, n_met, *met = _meet(
            texts,
            firsts,
            is_member,
            shaped,
            self._limits,
            self._current,
            self._center,
            self._counts,
            self._slots,
            self._groups,
            self._texts,
            self._signatures,
        )
        return similarity, Met(*(column[:n_met] for column in met))


@kernel
def _meet(
    texts, firsts, is_member, signatures, limits, current, center, counts, slots, groups, delegates, of_delegates
):
    n_bands, n_rows = center.shape
    n_values, n_places = n_bands * n_rows, slots.shape[1]
    may_be, is_sure = limits
    similarity = np.empty(len(texts), dtype=np.float64)
    room = len(texts)
    rows, others, shares = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.float64)
    n_met = 0
    asked_by, answers = np.full(len(delegates), _NOBODY), np.empty(len(delegates), dtype=np.float64)
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
            has_place = n_delegates < (n_places + 1) // 2
            if is_joined and counts[band, 1] == 0 and not has_place or not _agree(own, center, band):
                continue
            group = np.int64(0) if is_joined else _NOBODY
            for number in range(n_delegates):
                if groups[band, number] == group:
                    continue
                slot = slots[band, number]
                if asked_by[slot] != row:
                    asked_by[slot] = row
                    answers[slot] = _n_same(own, of_delegates[slot]) / n_values
                    if answers[slot] >= may_be:
                        if n_met == len(rows):
                            rows, others, shares = _twice(rows), _twice(others), _twice(shares)
                        rows[n_met], others[n_met], shares[n_met] = row, delegates[slot], answers[slot]
                        n_met += 1
                if answers[slot] >= is_sure:
                    group = _join(groups[band], n_delegates, groups[band, number], group)
            if has_place or group == _NOBODY and n_delegates < n_places:
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
    """Whether all rows of a band agree."""
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
    """Makes two groups one, of the smaller number, which it gives; the other may be nobody's."""
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
