"""Finds connected components by union-find over 64-bit ids, in memory that grows with the nodes, not the edges.

A node needs 20 to 28 bytes. Edges are int64 arrays of shape (n, 2), in C order: one edge in each row.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.graph.node_table import NodeTable, number_of

PIECE_EDGES = 1 << 16
"""Number of edges or nodes that are processed at a time."""


def components(nodes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distinct nodes of a graph, by first appearance, with their labels: the smallest id of the component.

    Args:
        nodes: One end of each edge, int64. An edge may be repeated, in either direction. An edge from a node to itself
            only says that the node exists.
        others: The other end of each edge, int64.

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
    """Reduces edges to a spanning forest with the same components: edges from a node to its component's smallest id.

    A node without neighbours keeps an edge to itself.

    Args:
        pieces: Edges, as for `components`.
        max_nodes: When a forest has this number of nodes (at most twice as many), it is yielded and another begins; a
            node may be in both.
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
    """Holds the components of a graph whose edges are added piece by piece; `len` is the number of nodes.

    >>> forest = Forest()
    >>> forest.add(np.array([[3, 8]]))
    >>> forest.add(np.array([[8, 1], [6, 6]]))
    >>> [piece.tolist() for piece in forest.labels()]
    [[[3, 1], [8, 1], [1, 1], [6, 6]]]
    >>> [piece.tolist() for piece in forest.edges()]
    [[[3, 1], [8, 1], [6, 6]]]
    """

    def __init__(self) -> None:
        # A node's value is the number of a node with a smaller id in its component; a root's value is its own number.
        self._table = NodeTable(np.int32)

    def __len__(self) -> int:
        return self._table.n_nodes

    def add(self, edges: np.ndarray) -> None:
        """Adds any number of edges; memory is allocated for all their nodes."""
        table = self._table
        table.make_room(2 * len(edges))
        table.n_nodes = _add_edges(edges, table.slots, table.ids, *table.values, table.n_nodes)

    def labels(self) -> Iterator[np.ndarray]:
        """Yields each distinct node, by first appearance, with the smallest id of its component; at least one piece."""
        n_nodes = len(self)
        ids, (parents,) = self._table.ids, self._table.values
        _point_to_roots(parents, n_nodes)
        for start in range(0, max(n_nodes, 1), PIECE_EDGES):
            stop = min(start + PIECE_EDGES, n_nodes)
            yield np.stack([ids[start:stop], ids[parents[start:stop]]], axis=1)

    def edges(self) -> Iterator[np.ndarray]:
        """Yields the edges of a spanning forest, and single nodes: `labels` without roots of components of two or
        more."""
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
    """Adds edges to a forest that has room for all their nodes; returns its new number of nodes."""
    for row in range(len(edges)):
        root = _root_of(edges[row, 0], slots, ids, parents, n_nodes)
        n_nodes += root == n_nodes
        other_root = _root_of(edges[row, 1], slots, ids, parents, n_nodes)
        n_nodes += other_root == n_nodes
        # The smaller id becomes the root of both: with path halving, an edge takes logarithmic time.
        if ids[root] < ids[other_root]:
            parents[other_root] = root
        elif root != other_root:
            parents[root] = other_root
    return n_nodes


@helper
def _root_of(id_, slots, ids, parents, n_nodes):
    """Returns the number of a node's root, `n_nodes` for a new node; halves the path to it."""
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
