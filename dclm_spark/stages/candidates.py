"""Finds candidate pairs, texts that share a bucket, block by block of band keys, and measures their similarity."""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.bytes.binary import fixed_width
from dclm_spark.kernels.near.anchors import Anchors, exact_margin
from dclm_spark.kernels.near.buckets import IS_FIRST, Edges, distinct_edges, join_block
from dclm_spark.kernels.near.entry_packets import (
    SURVIVOR_ORDER_BITS,
    Entries,
    Repeated,
    distinct_texts,
    entries_of,
    keys_of_shards,
    pack,
    unpack,
)
from dclm_spark.kernels.near.firsts import Firsts
from dclm_spark.kernels.near.similarity import estimate, jaccard
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.spark.workers import Kernels, map_arrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


FLUSH_ENTRIES = 1 << 21
"""Number of entries that a task collects before it packs them: about 200 MB, sorting included. It is up to four times
as large if otherwise a packet would have fewer than `_PACKET_ENTRIES`."""
_PACKET_ENTRIES = 256  # average number of entries in a packet that a task aims at

_PACKETS = pa.schema([("block", pa.int32()), ("packet", pa.binary())])
_EDGES = pa.schema(
    [
        ("text_hash", pa.int64()),
        ("other_hash", pa.int64()),
        ("dump_index", pa.int64()),
        ("bucket_size", pa.int64()),
        ("is_ignored", pa.bool_()),
    ]
)
_MET = _EDGES.append(pa.field("similarity", pa.float64()))
_ROWS = 1 << 16  # largest number of edges in an Arrow batch


def with_packets(rows: "DataFrame", *, n_bands: int, n_blocks: int) -> "DataFrame":
    """Packs rows of text_hash, keys, shard and bucket_order, none of them null, into rows of `block` and `packet`.

    A task collects `FLUSH_ENTRIES`, packs them and frees them; of identical texts it sends only one.
    """
    flush_entries = min(4 * FLUSH_ENTRIES, max(FLUSH_ENTRIES, _PACKET_ENTRIES * n_blocks))

    def flush(held: list[tuple[np.ndarray, ...]]) -> pa.RecordBatch:
        texts, orders, keys = (np.concatenate(columns) for columns in zip(*held, strict=True))
        firsts, first_orders, repeated = distinct_texts(texts, orders)
        entries = entries_of(keys[firsts], texts[firsts], first_orders)
        blocks, packets = pack(entries, repeated, n_blocks=n_blocks)
        return pa.RecordBatch.from_arrays([pa.array(blocks), pa.array(packets, pa.binary())], schema=_PACKETS)

    def gather(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held: list[tuple[np.ndarray, ...]] = []
        n_held = 0
        for batch in batches:
            if len(batch):
                texts = batch.column("text_hash").to_numpy()
                orders = batch.column("bucket_order").to_numpy().astype(np.uint64)
                keys = fixed_width(batch.column("keys"), "<u8", n_bands)
                held.append((texts, orders, keys_of_shards(keys, batch.column("shard").to_numpy().astype(np.uint64))))
                n_held += len(batch) * n_bands
            if n_held >= flush_entries:
                yield flush(held)
                held, n_held = [], 0
        if held:
            yield flush(held)

    return map_arrow(rows.select("text_hash", "keys", "shard", "bucket_order"), gather, _PACKETS)


def with_edges(packets: "DataFrame", *, first_new_dump: int, near: NearDuplicates) -> "DataFrame":
    """Joins the packets of each block into candidate pairs: rows of text_hash, other_hash, dump_index, bucket_size and
    is_ignored.

    All packets of a block must be in one partition, one after the other. A pair may be repeated. Columns are those of
    `kernels.near.buckets.Edges`, made with `to_verify` unless `near.verify` is `none`.
    """
    limit, ignores, to_verify = near.giant_bucket, near.giant_rule == "ignore", near.verify != "none"

    def join(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held: list[Edges] = []
        n_held = 0
        for entries, repeated in _blocks(batches):
            edges = join_block(
                entries,
                repeated,
                first_new_dump=first_new_dump,
                giant_bucket=limit,
                ignores_giants=ignores,
                to_verify=to_verify,
            )
            held.append(edges)
            n_held += len(edges.texts)
            if n_held >= FLUSH_ENTRIES:
                yield from _edge_batches(held)
                held, n_held = [], 0
        if held:
            yield from _edge_batches(held)

    return map_arrow(packets, join, _EDGES, kernels=KERNELS)


def _blocks(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[Entries, Repeated]]:
    """Yields the unpacked entries of each block."""
    rows = (row for batch in batches for row in zip(*(column.to_pylist() for column in batch.columns), strict=True))
    for _, of_block in groupby(rows, key=itemgetter(0)):
        entries, repeated = zip(*(unpack(packet) for _, packet in of_block), strict=True)
        yield (
            Entries(*(np.concatenate(columns) for columns in zip(*entries, strict=True))),
            Repeated(*(np.concatenate(columns) for columns in zip(*repeated, strict=True))),
        )


def _edge_batches(held: list[Edges]) -> Iterator[pa.RecordBatch]:
    """Yields the distinct ones of these edges as rows of `with_edges`."""
    edges = distinct_edges(Edges(*(np.concatenate(columns) for columns in zip(*held, strict=True))))
    table = pa.RecordBatch.from_arrays([pa.array(column) for column in edges], schema=_EDGES)
    for start in range(0, len(table), _ROWS):
        yield table.slice(start, _ROWS)


def with_meetings(pairs: "DataFrame", *, first_new_dump: int, minhash: MinHash, near: NearDuplicates) -> "DataFrame":
    """Adds the similarity to the pairs of `with_edges`, and adds pairs of members and delegates that may be similar.

    Columns are text_hash, other_hash, dump_index, bucket_size, is_ignored and similarity. Delegates are explained in
    `kernels.near.firsts`; a pair with one may be repeated.

    Args:
        pairs: Rows of `with_edges`, each pair once, with the signature of `text_hash`. The rows of one first text are
            together: the first text itself, then the other members in their order.
        first_new_dump: Index of the first new dump: only texts of this dump and later ones make edges.
        minhash: How signatures were made.
        near: Its `threshold` and `verify` are used.
    """
    margin = exact_margin(near.threshold, minhash.n_permutations) if near.verify == "exact" else 0.0

    def meet(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        firsts = Firsts(minhash.n_bands, minhash.n_rows, threshold=near.threshold, margin=margin)
        for batch in batches:
            texts, others, orders = (batch.column(name).to_numpy() for name in _MET.names[:3])
            is_ignored = batch.column("is_ignored").to_numpy(zero_copy_only=False)
            signatures = fixed_width(batch.column("signature"), "<u2", minhash.n_permutations)
            similarity, met = firsts.meet(texts, others, ~is_ignored, signatures)
            dumps = orders >> SURVIVOR_ORDER_BITS
            is_own = texts == others
            is_edge = (orders != IS_FIRST) & (is_own | (dumps >= first_new_dump))
            more = dumps[met.rows] >= first_new_dump
            rows = met.rows[more]
            none = np.zeros(len(rows), dtype=np.int64)
            columns = [
                (texts[is_edge], texts[rows]),
                (others[is_edge], met.others[more]),
                (dumps[is_edge], dumps[rows]),
                (batch.column("bucket_size").to_numpy()[is_edge], none),
                (is_ignored[is_edge], none.astype(bool)),
                (similarity[is_edge], met.similarity[more]),
            ]
            yield pa.RecordBatch.from_arrays([pa.array(np.concatenate(column)) for column in columns], schema=_MET)

    return map_arrow(pairs.select(*_EDGES.names, "signature"), meet, _MET, kernels=KERNELS)


def _exercise() -> None:
    """Runs every kernel of candidates, similarities and anchors on tiny data, so that workers need not compile them."""
    texts, orders = np.array([1, 2]), np.zeros(2, dtype=np.uint64)
    nothing = np.empty(0, dtype=np.int64)
    entries = entries_of(np.zeros((2, 1), dtype=np.uint64), texts, orders)
    join_block(entries, Repeated(nothing, nothing), first_new_dump=0, giant_bucket=10, ignores_giants=False)
    Firsts(1, 4, threshold=0.5).meet(texts, texts, np.ones(2, dtype=bool), np.zeros((2, 4), dtype="<u2"))
    hashes = pa.array([bytes(8), bytes(8)])
    for measure in (estimate, jaccard):
        measure(hashes, hashes)
    ids, signatures = pa.array(["1", "2"]), fixed_width(hashes, "<u2", 4)
    Anchors(4, NearDuplicates(verify="exact")).assign(texts, ids, ids, signatures, hashes)


KERNELS = Kernels("near-duplicates", _exercise)
"""Kernels that workers run to find, compare and anchor near-duplicates."""
