"""Makes sets of terms for compiled kernels: small open-addressing hash tables over code points."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.compiled.jit import inlined, kernel

_FNV_BASIS, _FNV_PRIME, _MASK_32 = 0x811C9DC5, 0x01000193, 0xFFFFFFFF


class TermSet(NamedTuple):
    """The terms one after another in `points`; term i is `points[starts[i]:starts[i + 1]]`; `slots` holds i or -1."""

    slots: np.ndarray
    points: np.ndarray
    starts: np.ndarray
    longest: int


def term_set(terms: Iterable[str]) -> TermSet:
    """Makes the set of these terms, compared code point by code point, with the length of the longest.

    >>> terms = term_set(["the", "of", "the"])
    >>> terms.longest, terms.starts.tolist()
    (3, [0, 2, 5])
    """
    unique = sorted(set(terms))
    n_slots = 4
    while n_slots < 4 * len(unique):
        n_slots *= 2
    slots = np.full(n_slots, -1, dtype=np.int32)
    starts = np.cumsum([0, *map(len, unique)]).astype(np.int32)
    points = np.array([ord(char) for term in unique for char in term], dtype=np.int32)
    _fill_slots(slots, points, starts)
    return TermSet(slots, points, starts, max(map(len, unique), default=0))


@inlined
def hash_of(points, n_points):
    """Returns the 32-bit FNV-1a hash of the first `n_points` code points."""
    digest = np.int64(_FNV_BASIS)
    for at in range(n_points):
        digest = ((digest ^ points[at]) * _FNV_PRIME) & _MASK_32
    return digest


@kernel
def _fill_slots(slots, points, starts):
    for index in range(len(starts) - 1):
        term = points[starts[index] : starts[index + 1]]
        slot = hash_of(term, len(term)) & (len(slots) - 1)
        while slots[slot] >= 0:
            slot = (slot + 1) & (len(slots) - 1)
        slots[slot] = index


@inlined
def contains(slots, term_points, term_starts, points, n_points):
    """Returns whether the first `n_points` code points are one of the terms; the arrays are those of a TermSet."""
    return index_of(slots, term_points, term_starts, points, n_points) >= 0


@inlined
def index_of(slots, term_points, term_starts, points, n_points):
    """Returns the index of the term that equals the first `n_points` code points, else -1; arrays are those of a
    TermSet."""
    slot = hash_of(points, n_points) & (len(slots) - 1)
    while slots[slot] >= 0:
        start = term_starts[slots[slot]]
        if term_starts[slots[slot] + 1] - start == n_points:
            at = 0
            while at < n_points and term_points[start + at] == points[at]:
                at += 1
            if at == n_points:
                return slots[slot]
        slot = (slot + 1) & (len(slots) - 1)
    return -1
