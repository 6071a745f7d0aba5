"""Which of many nodes hang together: union-find over 64-bit ids, in memory that grows with the nodes, not the edges.

A node takes 20 to 28 bytes. Edges are int64 arrays of shape (n, 2), in C's order: an edge a row.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.graph.node_table import NodeTable, number_of

PIECE_EDGES = 1 << 16
"""Edges, or nodes, that are worked on at a time."""


def components(nodes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct nodes of a graph, by first appearance, and the label of each: the smallest id of its component.

    Args:
        nodes: One end of each edge, int64. An edge may occur more than once and in either direction, and may lead from
            a node to itself, which says no more than that the node exists.
        others: The other end.

    >>> nodes, labels = components(np.array([7, 9, -2, 5]), np.array([9, 4, -2, 5]))
    >>> nodes.tolist(), labels.tolist()
    ([7, 9, 4, -2, 5], [4, 4, 4, -2, 5])
    """
    forest = Forest()
    for start in range(0, len(nodes), PIECE_EDGES):
        stop = start + PIECE_EDGES
        forest.add(np.stack([nodes[start:stop], others[start:stop]], axis=1))
    labels = np.concatenate(list(forest.labels()))
    return labels[:, 0].copy(), labels[:, 1].copy()


def spanning_forests(pieces: Iterable[np.ndarray], *, max_nodes: int) -> Iterator[np.ndarray]:
    """Edges that connect what the given ones connect, as few as can be: a node and the smallest id of its component.

    A node that hangs together with no other keeps an edge to itself.

    Args:
        pieces: Edges, as for `components`.
        max_nodes: A forest that has as many is given out, twice as many at most, and another begins: a node may occur
            in both.
    """
    forest = Forest()
    step = max(1, max_nodes // 2)
    for edges in pieces:
        for start in range(0, len(edges), step):
            forest.add(edges[start : start + step])
            if len(forest) >= max_nodes:
                yield from forest.edges()
                forest = Forest()
    yield from forest.edges()


class Forest:
    """The components of a graph whose edges are added piece by piece; `len` is the number of its nodes.

    >>> forest = Forest()
    >>> forest.add(np.array([[3, 8]]))
    >>> forest.add(np.array([[8, 1], [6, 6]]))
    >>> [piece.tolist() for piece in forest.labels()]
    [[[3, 1], [8, 1], [1, 1], [6, 6]]]
    >>> [piece.tolist() for piece in forest.edges()]
    [[[3, 1], [8, 1], [6, 6]]]
    """

    def __init__(self) -> None:
        # A node's value is the number of one with a smaller id in its component; the root's is its own.
        self._table = NodeTable(np.int32)

    def __len__(self) -> int:
        return self._table.n_nodes

    def add(self, edges: np.ndarray) -> None:
        """Adds edges, as many as one likes; room is made for all their ends."""
        table = self._table
        table.make_room(2 * len(edges))
        table.n_nodes = _add_edges(edges, table.slots, table.ids, *table.values, table.n_nodes)

    def labels(self) -> Iterator[np.ndarray]:
        """Each distinct node, by first appearance, with the smallest id of its component; at least one piece."""
        n_nodes = len(self)
        ids, (parents,) = self._table.ids, self._table.values
        _point_to_roots(parents, n_nodes)
        for start in range(0, max(n_nodes, 1), PIECE_EDGES):
            stop = min(start + PIECE_EDGES, n_nodes)
            yield np.stack([ids[start:stop], ids[parents[start:stop]]], axis=1)

    def edges(self) -> Iterator[np.ndarray]:
        """The same, without the roots that other nodes name: the edges of a spanning forest, and the single nodes."""
        n_nodes = len(self)
        is_named = np.zeros(n_nodes, dtype=np.bool_)
        _point_to_roots(self._table.values[0], n_nodes)
        _mark_named(self._table.values[0], is_named)
        start = 0
        for labels in self.labels():
            stop = start + len(labels)
            yield labels[(labels[:, 0] != labels[:, 1]) | ~is_named[start:stop]]
            start = stop


@kernel
def _add_edges(edges, slots, ids, parents, n_nodes):
    """Adds edges to a forest that has room for all their ends; gives its new number of nodes."""
    for row in range(len(edges)):
        root = _root_of(edges[row, 0], slots, ids, parents, n_nodes)
        n_nodes += root == n_nodes
        other_root = _root_of(edges[row, 1], slots, ids, parents, n_nodes)
        n_nodes += other_root == n_nodes
        # The smaller id is the root of both: with halved paths, no more than a logarithm of the nodes an edge.
        if ids[root] < ids[other_root]:
            parents[other_root] = root
        elif root != other_root:
            parents[root] = other_root
    return n_nodes


@helper
def _root_of(id_, slots, ids, parents, n_nodes):
    """The number of a node's root: `n_nodes` for a new node. On the way, every other node is hung one higher."""
    number = number_of(id_, slots, ids, n_nodes)
    if number == n_nodes:
        parents[number] = number
    return _climb(number, parents)


@helper
def _climb(number, parents):
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = np.int64(parents[number])
    return number


@kernel
def _point_to_roots(parents, n_nodes):
    for number in range(n_nodes):
        parents[number] = _climb(number, parents)


@kernel
def _mark_named(parents, is_named):
    for number in range(len(is_named)):
        if parents[number] != number:
            is_named[parents[number]] = True
