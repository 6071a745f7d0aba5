"""Transforms edges towards stars by small-star and large-star, for nodes whose neighbours are all known.

Source: Kiveris et al. 2014, "Connected Components in MapReduce and Beyond". Each operation keeps the components, and
makes no node's smallest neighbour larger. A graph that neither operation changes consists of stars, each around the
smallest id of its component.
"""

from collections.abc import Iterator

import numpy as np

from dclm_spark.kernels.compiled.jit import kernel
from dclm_spark.kernels.graph.forest import PIECE_EDGES
from dclm_spark.kernels.graph.node_table import NodeTable, number_of


class Neighbours:
    """Holds the smallest neighbour of each node; all edges of the nodes must be added first, by `add`.

    Edges are as in `kernels.graph.forest`, node and neighbour. A node needs 25 to 33 bytes, an edge none.

    >>> neighbours = Neighbours()
    >>> neighbours.add(np.array([[2, 1], [4, 2], [4, 3], [7, 7]]))
    >>> [piece.tolist() for piece in neighbours.labels()]
    [[[2, 1], [4, 2], [7, 7]]]
    """

    def __init__(self) -> None:
        # The smallest of a node and its neighbours; whether it has no neighbour except itself.
        self._table = NodeTable(np.int64, np.bool_)

    def add(self, edges: np.ndarray) -> None:
        """Adds edges. An edge from a node to itself only says that the node exists."""
        table = self._table
        table.make_room(len(edges))
        table.n_nodes = _add_neighbours(edges, table.slots, table.ids, *table.values, table.n_nodes)

    def labels(self) -> Iterator[np.ndarray]:
        """Yields each node, by first appearance, with the smallest of itself and its neighbours."""
        ids, (smallest, _) = self._table.ids, self._table.values
        for start in range(0, self._table.n_nodes, PIECE_EDGES):
            stop = min(start + PIECE_EDGES, self._table.n_nodes)
            yield np.stack([ids[start:stop], smallest[start:stop]], axis=1)

    def small_stars(self, pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Connects each node and its neighbours, none of which may be larger, to the smallest of them.

        Args:
            pieces: The same edges that were added.

        >>> edges = np.array([[2, 1], [4, 2], [4, 3], [7, 7]])
        >>> neighbours = Neighbours()
        >>> neighbours.add(edges)
        >>> np.concatenate(list(neighbours.small_stars([edges]))).tolist()
        [[2, 1], [4, 2], [7, 7], [3, 2]]
        """
        yield from self.labels()
        for edges in pieces:
            yield self._hang(edges, is_large=False)

    def large_stars(self, pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Connects each node's larger neighbours to the smallest of the node and its neighbours.

        Args:
            pieces: The same edges that were added; each must occur in both directions.

        >>> edges = np.array([[1, 2], [2, 1], [2, 3], [3, 2], [3, 4], [4, 3], [7, 7]])
        >>> neighbours = Neighbours()
        >>> neighbours.add(edges)
        >>> np.concatenate(list(neighbours.large_stars([edges]))).tolist()
        [[7, 7], [2, 1], [3, 1], [4, 2]]
        """
        is_alone = self._table.values[1]
        start = 0
        for labels in self.labels():
            yield labels[is_alone[start : start + len(labels)]]
            start += len(labels)
        for edges in pieces:
            yield self._hang(edges, is_large=True)

    def _hang(self, edges: np.ndarray, *, is_large: bool) -> np.ndarray:
        table = self._table
        hung = np.empty_like(edges)
        return hung[: _hang_neighbours(edges, is_large, table.slots, table.ids, table.values[0], table.n_nodes, hung)]


@kernel
def _add_neighbours(edges, slots, ids, smallest, is_alone, n_nodes):
    for row in range(len(edges)):
        node, other = edges[row]
        number = number_of(node, slots, ids, n_nodes)
        if number == n_nodes:
            smallest[number], is_alone[number] = node, True
            n_nodes += 1
        smallest[number] = min(smallest[number], other)
        is_alone[number] &= other == node
    return n_nodes


@kernel
def _hang_neighbours(edges, is_large, slots, ids, smallest, n_nodes, hung):
    """Writes the new edges of neighbours whose smallest node is another one, or of larger ones; returns their
    number."""
    n_hung = 0
    for row in range(len(edges)):
        node, other = edges[row]
        if other > node if is_large else other < node:
            root = smallest[number_of(node, slots, ids, n_nodes)]
            if root != other:
                hung[n_hung, 0], hung[n_hung, 1] = other, root
                n_hung += 1
    return n_hung
