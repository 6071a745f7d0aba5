"""Finds connected components of an edge DataFrame: union-find if the edges fit one task, else rounds for any number.

Each task first replaces its edges by a spanning forest, so that a task with n nodes sends at most n edges. The
remaining edges go to one task, which holds the nodes in memory. If they are too many for one task, they go through
rounds of small-star and large-star (Kiveris et al. 2014), each of two shuffles, until nothing changes. In a round, a
task holds one record for each of its own nodes in memory; their neighbours are streamed, and spooled to disk if they
are many.

The root of a component is its smallest id: results do not depend on partitions, order or retries.
"""

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from dclm_spark.errors import RoundLimitError
from dclm_spark.kernels.graph.edge_packets import N_BUCKETS, PACKETS, edges_of, gathered, packets
from dclm_spark.kernels.graph.forest import PIECE_EDGES, Forest, spanning_forests
from dclm_spark.kernels.graph.stars import Neighbours
from dclm_spark.spark.rows import only_row
from dclm_spark.spark.workers import Batches, Kernels, map_arrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

COMPONENTS = pa.schema([pa.field("text_hash", pa.int64()), pa.field("root", pa.int64())])
"""One row is a node and the root of its component: its smallest id, as a signed number."""

SINGLE_LIMIT = 20_000_000
"""Number of edges that one task can process: a million edges that share no node need 50 MiB and 0.3 s."""

TASK_EDGES = 4_000_000
"""Average number of edges for each task of a round, and limit of nodes in its forests: a task needs at most 350 MiB."""

MAX_ROUNDS = 50
"""Largest number of rounds. A chain of a million nodes needs 16 with 256 tasks, and at most one more for each doubling;
real edges need 3."""

_SPOOL_BYTES = 64 << 20  # of a task's edges in memory; more are on disk
_EDGE_BYTES = 16


def connected_components(
    edges: "DataFrame",
    *,
    checkpoint: Callable[["DataFrame", str], "DataFrame"],
    n_edges: int | None = None,
    single_limit: int = SINGLE_LIMIT,
    task_edges: int = TASK_EDGES,
    max_rounds: int = MAX_ROUNDS,
    say: Callable[[str], object] | None = None,
) -> "DataFrame":
    """Finds the connected components of a graph: rows of COMPONENTS, one for each distinct node.

    Args:
        edges: BIGINT columns `text_hash` and `other_hash`, never null. An edge may be repeated, in either direction. An
            edge from a node to itself only says that the node exists.
        checkpoint: Writes rows under a name, and returns a DataFrame that reads them. The checkpoint must
            exist until the result has been written. The names are `forest`, `round_1`, `round_2`, ..., the rows those
            of `kernels.graph.edge_packets.PACKETS`.
        n_edges: Upper limit of the number of edges; null if unknown. Up to `single_limit`, the result is one lazy plan
            without a checkpoint.
        single_limit: Largest number of edges that one task processes.
        task_edges: Average number of edges for each task of a round, and limit of nodes in the forests that tasks make.
        max_rounds: Largest number of rounds before `RoundLimitError`.
        say: Function that is called with messages on the progress.

    Raises:
        RoundLimitError: The graph still changed in the last round.
    """
    rows = edges.select("text_hash", F.col("other_hash"))
    forest = _packed(rows, partial(_span_rows, max_nodes=task_edges))
    if n_edges is not None and n_edges <= single_limit:
        return _labelled(forest)
    say = say or (lambda words: None)
    forest = checkpoint(forest, "forest")
    n_left, checksum = _counted(forest)
    n_rounds = 0
    while n_left > single_limit:
        say(f"components: {n_left:,} edges after {n_rounds} rounds")
        if n_rounds == max_rounds:
            raise RoundLimitError(
                f"The components of {n_left:,} edges have not settled in {max_rounds} rounds; allow more rounds, or "
                f"one task more than {single_limit:,} edges."
            )
        n_rounds += 1
        n_tasks = min(math.ceil(2 * n_left / task_edges), N_BUCKETS // 2)
        small = _packed(forest.repartition(n_tasks, "bucket"), partial(_small_stars, max_nodes=task_edges))
        large = _packed(small.repartition(n_tasks, "bucket"), partial(_large_stars, max_nodes=task_edges))
        forest = checkpoint(large, f"round_{n_rounds}")
        before, (n_left, checksum) = (n_left, checksum), _counted(forest)
        if (n_left, checksum) == before:
            say(f"components: settled after {n_rounds} rounds")
            both_ways = _packed(forest, _both_ways).repartition(n_tasks, "bucket")
            return map_arrow(both_ways, _smallest, COMPONENTS, kernels=_KERNELS)
    say(f"components: {n_left:,} edges after {n_rounds} rounds go to one task")
    return _labelled(forest)


def _labelled(forest: "DataFrame") -> "DataFrame":
    """Finds the components of all edges in one task."""
    # Not coalesce(1): then that one task would also do all the work that comes before.
    return map_arrow(forest.repartition(1), _labels, COMPONENTS, kernels=_KERNELS)


def _counted(packed: "DataFrame") -> tuple[int, int]:
    """Returns the number of edges and a 64-bit checksum of them."""
    row = only_row(packed.select(F.sum("n_edges"), F.bit_xor("edges_hash")))
    return row[0] or 0, row[1] or 0


# -- what a worker does: batches in, batches out ----------------------------------------------------------------------

Edges = Iterator[np.ndarray]


def _packed(rows: "DataFrame", work: Callable[[Batches], Edges]) -> "DataFrame":
    """Applies a function to the batches of each task, and packs the edges that it yields into rows of `PACKETS`."""
    return map_arrow(rows, lambda batches: packets(work(batches)), PACKETS, kernels=_KERNELS)


def _unpacked(batches: Batches) -> Edges:
    """Yields the edges in rows of `PACKETS`, in arrays of about `PIECE_EDGES`."""
    return gathered(map(edges_of, batches), PIECE_EDGES)


def _labelled_rows(pieces: Edges) -> Batches:
    """Yields pairs of a node and its root as rows of `COMPONENTS`."""
    for piece in pieces:
        columns = [pa.array(np.ascontiguousarray(ids)) for ids in piece.T]
        yield pa.RecordBatch.from_arrays(columns, schema=COMPONENTS)


def _span_rows(batches: Batches, *, max_nodes: int) -> Edges:
    """Replaces a task's edges, rows of text_hash and other_hash, by spanning forests."""
    edges = (np.stack([column.to_numpy() for column in batch.columns], axis=1) for batch in batches)
    return spanning_forests(gathered(edges, PIECE_EDGES), max_nodes=max_nodes)


def _small_stars(batches: Batches, *, max_nodes: int) -> Edges:
    """Does the small-star step of a round; yields each edge in both directions."""
    with _passed_twice(batches) as (neighbours, edges):
        yield from _each_way(spanning_forests(neighbours.small_stars(edges), max_nodes=max_nodes))


def _large_stars(batches: Batches, *, max_nodes: int) -> Edges:
    """Does the large-star step of a round."""
    with _passed_twice(batches) as (neighbours, edges):
        yield from spanning_forests(neighbours.large_stars(edges), max_nodes=max_nodes)


def _both_ways(batches: Batches) -> Edges:
    """Unpacks edges and yields each in both directions."""
    return _each_way(_unpacked(batches))


def _each_way(pieces: Edges) -> Edges:
    """Yields each edge in both directions."""
    for edges in pieces:
        yield edges
        yield edges[:, ::-1]


def _smallest(batches: Batches) -> Batches:
    """Labels each node with its smallest neighbour: its root, once the rounds have settled."""
    neighbours = Neighbours()
    for edges in _unpacked(batches):
        neighbours.add(edges)
    return _labelled_rows(neighbours.labels())


def _labels(batches: Batches) -> Batches:
    """Labels each node with its root, by a forest that holds all nodes in memory."""
    forest = Forest()
    for edges in _unpacked(batches):
        forest.add(edges)
    return _labelled_rows(forest.labels())


@contextmanager
def _passed_twice(batches: Batches) -> Iterator[tuple[Neighbours, Edges]]:
    """Reads edges twice: collects the neighbours of each node, then yields the edges again, from disk if they are
    many."""
    neighbours = Neighbours()
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
        for edges in _unpacked(batches):
            neighbours.add(edges)
            spool.write(edges.data)
        spool.seek(0)
        again = iter(partial(spool.read, PIECE_EDGES * _EDGE_BYTES), b"")
        yield neighbours, (np.frombuffer(bytearray(data), dtype=np.int64).reshape(-1, 2) for data in again)


def _exercise() -> None:
    """Runs every kernel, so that workers need not compile them."""
    rows = pa.record_batch([pa.array([2, 3]), pa.array([1, 2])], names=["text_hash", "other_hash"])
    for stars in (_small_stars, _large_stars):
        packed = packets(_span_rows(iter([rows]), max_nodes=1))
        list(stars(packed, max_nodes=1))
    for ended in (_labels, _smallest):
        list(ended(packets(_span_rows(iter([rows]), max_nodes=1))))


_KERNELS = Kernels("components", _exercise)
