"""Packs many edges into one binary value, so that Spark moves thousands of them as one row.

A packet holds edges of nodes in one bucket, which the node's id decides. It also has their number, and their part of a
checksum of the graph that does not depend on the order.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from dclm_spark import schemas
from dclm_spark.kernels.bytes.binary import binary_array, binary_buffers
from dclm_spark.kernels.compiled.jit import kernel
from dclm_spark.kernels.graph.node_table import mixed

PACKETS = pa.schema([schemas.ROUNDS.field(name) for name in ("bucket", "n_edges", "edges_hash", "edges")])
"""One row is a packet: the bucket of the edges' nodes, from 0; the number of edges; the exclusive or of their hashes;
and the edges one after the other, node and other, 8 bytes each in the machine's byte order."""
N_BUCKETS = 1 << 11
"""More than tasks, so that each task gets several, but so few that a packet has several kilobytes."""

_BUCKET_SHIFT = np.uint64(64 - 11)  # the upper bits, because the lower ones choose a slot
_EDGE_BYTES = 16
_GATHERED_EDGES = 1 << 19


def packets(pieces: Iterable[np.ndarray]) -> Iterator[pa.RecordBatch]:
    """Packs edges, int64 arrays of shape (n, 2), into rows of PACKETS."""
    for edges in gathered(pieces, _GATHERED_EDGES):
        in_order = np.empty_like(edges)
        ends, hashes = np.zeros(N_BUCKETS, dtype=np.int64), np.zeros(N_BUCKETS, dtype=np.uint64)
        _sort_by_bucket(edges, in_order, ends, hashes)
        n_edges = np.diff(ends, prepend=0)
        buckets = np.flatnonzero(n_edges)
        offsets = np.concatenate([[0], ends[buckets] * _EDGE_BYTES])
        columns = [
            pa.array(buckets.astype(np.int32)),
            pa.array(n_edges[buckets]),
            pa.array(hashes[buckets].view(np.int64)),
            binary_array(in_order, offsets, np.ones(len(buckets), dtype=bool)),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=PACKETS)


def edges_of(packet_batch: pa.RecordBatch) -> np.ndarray:
    """Unpacks the edges of all packets of a batch.

    >>> edges_of(next(packets([np.array([[5, 3], [4, -1]])]))).tolist()
    [[5, 3], [4, -1]]
    """
    data, offsets = binary_buffers(packet_batch.column("edges"))
    # Each value begins where the previous one ends.
    return data[offsets[0] : offsets[-1]].view(np.int64).reshape(-1, 2)


def gathered(pieces: Iterable[np.ndarray], n_edges: int) -> Iterator[np.ndarray]:
    """Merges edges into pieces of at least `n_edges`, except the last, because each call of a kernel has a cost."""
    held: list[np.ndarray] = []
    n_held = 0
    for piece in pieces:
        held.append(piece)
        n_held += len(piece)
        if n_held >= n_edges:
            yield np.concatenate(held)
            held, n_held = [], 0
    if n_held:
        yield np.concatenate(held)


@kernel
def _sort_by_bucket(edges, in_order, ends, hashes):
    """Writes the edges sorted by bucket, the end of each bucket, and the hash of its edges."""
    for row in range(len(edges)):
        ends[mixed(edges[row, 0]) >> _BUCKET_SHIFT] += 1
    n_before = 0
    for bucket in range(len(ends)):
        n_edges = ends[bucket]
        ends[bucket] = n_before
        n_before += n_edges
    for row in range(len(edges)):
        node = mixed(edges[row, 0])
        bucket = node >> _BUCKET_SHIFT
        at = ends[bucket]
        in_order[at, 0], in_order[at, 1] = edges[row, 0], edges[row, 1]
        hashes[bucket] ^= mixed(node + np.uint64(edges[row, 1]))
        ends[bucket] = at + 1
