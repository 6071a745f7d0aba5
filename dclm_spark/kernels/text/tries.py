"""Searches many phrases at once inside compiled kernels, by a trie over code points."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.compiled.jit import helper

_FNV_PRIME, _MASK_32 = 0x01000193, 0xFFFFFFFF
_POINT_BITS = 21
ROOT = 0


class Trie(NamedTuple):
    """Holds a trie: nodes are numbers from ROOT, and its edges are in a hash table.

    `keys` holds the node and the code point of an edge, -1 where there is none, `children` what it leads to. `marks`
    says of each node which phrases end there, as the bits they were given; `starts` of each low byte which phrases
    begin with a code point that has it.
    """

    keys: np.ndarray
    children: np.ndarray
    marks: np.ndarray
    starts: np.ndarray


def make_trie(phrases: Iterable[tuple[str, int]]) -> Trie:
    """Makes the trie of these phrases, each with its mark, one bit of a byte; an empty phrase is ignored.

    >>> trie = make_trie([("the", 1), ("then", 2), ("", 4)])
    >>> node = ROOT
    >>> for char in "then":
    ...     node = child_of(node, ord(char), trie.keys, trie.children)
    ...     print(trie.marks[node])
    0
    0
    1
    2
    >>> bool(child_of(node, ord("x"), trie.keys, trie.children) < 0)
    True
    """
    edges: dict[tuple[int, int], int] = {}
    marks = [0]
    starts = np.zeros(256, dtype=np.uint8)
    for phrase, mark in phrases:
        node = ROOT
        for point in map(ord, phrase):
            child = edges.setdefault((node, point), len(marks))
            if child == len(marks):
                marks.append(0)
            node = child
        if phrase:
            marks[node] |= mark
            starts[ord(phrase[0]) & 0xFF] |= mark
    n_slots = 4
    while n_slots < 2 * len(edges):
        n_slots *= 2
    keys, children = np.full(n_slots, -1, dtype=np.int64), np.zeros(n_slots, dtype=np.int32)
    for (node, point), child in edges.items():
        slot = _first_slot(node, point, n_slots)
        while keys[slot] >= 0:
            slot = (slot + 1) % n_slots
        keys[slot], children[slot] = node << _POINT_BITS | point, child
    return Trie(keys, children, np.array(marks, dtype=np.uint8), starts)


@helper
def _first_slot(node, point, n_slots):
    """Returns the slot at which the search for an edge begins."""
    digest = ((node * _FNV_PRIME & _MASK_32) ^ point) * _FNV_PRIME & _MASK_32
    return (digest ^ digest >> 16) & n_slots - 1


@helper
def child_of(node, point, keys, children):
    """Returns the child of a node for a code point; -1 if no phrase continues so. The arrays are those of a Trie."""
    key = np.int64(node) << _POINT_BITS | point
    slot = _first_slot(np.int64(node), np.int64(point), len(keys))
    while keys[slot] >= 0:
        if keys[slot] == key:
            return np.int64(children[slot])
        slot = (slot + 1) & len(keys) - 1
    return np.int64(-1)


@helper
def marks_within(points, n_points, trie):
    """Returns the marks of all phrases that occur anywhere in the first `n_points` code points."""
    keys, children, marks, starts = trie
    found = 0
    for start in range(n_points):
        if starts[points[start] & 0xFF]:
            node, at = ROOT, start
            while at < n_points:
                node = child_of(node, points[at], keys, children)
                if node < 0:
                    break
                found |= marks[node]
                at += 1
    return found
