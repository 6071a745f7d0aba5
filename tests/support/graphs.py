"""Connected components of a graph, as SciPy finds them."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def by_scipy(edges) -> dict[int, int]:
    """Each node, and the smallest id of its component."""
    edges = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
    nodes = np.unique(edges)
    starts, ends = np.searchsorted(nodes, edges.T)
    matrix = coo_matrix((np.ones(len(starts), dtype=np.int8), (starts, ends)), shape=(len(nodes), len(nodes)))
    n_components, component = connected_components(matrix, directed=False)
    smallest = np.full(n_components, np.iinfo(np.int64).max)
    np.minimum.at(smallest, component, nodes)
    return dict(zip(nodes.tolist(), smallest[component].tolist(), strict=True))
