"""Arrow batches of near-duplicate detection: each function is one pass over rows in Python workers, lazy."""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dclm_spark import schemas
from dclm_spark.kernels.bytes.binary import fixed_width
from dclm_spark.kernels.bytes.sized import sized
from dclm_spark.kernels.compiled.machine_code import keep
from dclm_spark.kernels.near.anchors import Anchors, exact_margin
from dclm_spark.kernels.near.buckets import IS_FIRST, Edges, distinct_edges, join_block
from dclm_spark.kernels.near.entry_packets import (
    PLACE_SHIFT,
    Entries,
    Repeated,
    distinct_texts,
    entries_of,
    keys_of_shards,
    pack,
    unpack,
)
from dclm_spark.kernels.near.firsts import Firsts
from dclm_spark.kernels.near.minhash import sign
from dclm_spark.kernels.near.similarity import estimate, jaccard
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.spark.types import spark_schema
from dclm_spark.spark.workers import code_for

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FLUSH_ENTRIES = 1 << 21
"""Entries that a task holds before it packs them: some 200 MB, sorting included; four times as many where there are so
many blocks that packets would become too small to be packets."""
_PACKET_ENTRIES = 256

_SAMPLE = pa.array(["To be or not to be, that is the question: whether 'tis nobler in the mind to suffer", "", None])

_PACKETS = pa.schema([("block", pa.int32()), ("packet", pa.binary())])
_EDGES = pa.schema(
    [
        ("text_hash", pa.int64()),
        ("other_hash", pa.int64()),
        ("place", pa.int64()),
        ("bucket_size", pa.int64()),
        ("is_ignored", pa.bool_()),
    ]
)
_MET = _EDGES.append(pa.field("similarity", pa.float64()))
_ANCHORED = pa.schema(
    [
        ("doc_id", pa.string()),
        ("dump", pa.string()),
        ("was_kept", pa.bool_()),
        ("cluster_id", pa.string()),
        ("similarity", pa.float64()),
        ("is_survivor", pa.bool_()),
    ]
)


def with_minhash(documents: "DataFrame", *, minhash: MinHash) -> "DataFrame":
    """Rows of `signatures` for rows that have doc_id, dump, host and text."""
    code = code_for(documents, repr(minhash), lambda: sign(_SAMPLE, minhash))

    def measure(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep(code)
        for batch in sized(batches):
            signed = sign(batch.column("text"), minhash)
            columns = {name: signed.column(name) for name in signed.schema.names}
            columns |= {name: batch.column(name) for name in ("doc_id", "dump", "host")}
            ordered = [columns[field.name].cast(field.type) for field in schemas.SIGNATURES]
            yield pa.RecordBatch.from_arrays(ordered, schema=schemas.SIGNATURES)

    needed = documents.select("doc_id", "dump", "host", "text")
    return needed.mapInArrow(measure, spark_schema(schemas.SIGNATURES))


def with_packets(rows: "DataFrame", *, n_bands: int, n_blocks: int) -> "DataFrame":
    """Rows of `block` and `packet` for rows of text_hash, keys, shard and bucket_order, none of them null.

    A task holds `FLUSH_ENTRIES`, packs them, and forgets them; of identical texts it sends one.
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

    return rows.select("text_hash", "keys", "shard", "bucket_order").mapInArrow(gather, spark_schema(_PACKETS))


def with_edges(packets: "DataFrame", *, first_new_place: int, near: NearDuplicates) -> "DataFrame":
    """Rows of text_hash, other_hash, place, bucket_size and is_ignored for packets, those of a block together.

    A pair comes once for each run of blocks that a task holds together. Columns are those of `kernels.buckets.Edges`,
    `to_verify` unless nothing is verified.
    """
    limit, ignores, to_verify = near.giant_bucket, near.giant_rule == "ignore", near.verify != "none"
    code = code_for(packets, "near-duplicates", _exercise)

    def join(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep(code)
        held: list[Edges] = []
        n_held = 0
        for entries, repeated in _blocks(batches):
            edges = join_block(
                entries,
                repeated,
                first_new_place=first_new_place,
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

    return packets.mapInArrow(join, spark_schema(_EDGES))


def _blocks(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[Entries, Repeated]]:
    """All that the packets of each block hold."""
    rows = (row for batch in batches for row in zip(*(column.to_pylist() for column in batch.columns), strict=True))
    for _, of_block in groupby(rows, key=itemgetter(0)):
        entries, repeated = zip(*(unpack(packet) for _, packet in of_block), strict=True)
        yield (
            Entries(*(np.concatenate(columns) for columns in zip(*entries, strict=True))),
            Repeated(*(np.concatenate(columns) for columns in zip(*repeated, strict=True))),
        )


def _edge_batches(held: list[Edges]) -> Iterator[pa.RecordBatch]:
    edges = distinct_edges(Edges(*(np.concatenate(columns) for columns in zip(*held, strict=True))))
    table = pa.RecordBatch.from_arrays([pa.array(column) for column in edges], schema=_EDGES)
    for start in range(0, len(table), _ROWS):
        yield table.slice(start, _ROWS)


_ROWS = 1 << 16


def with_meetings(pairs: "DataFrame", *, first_new_place: int, minhash: MinHash, near: NearDuplicates) -> "DataFrame":
    """Rows of text_hash, other_hash, place, bucket_size, is_ignored, similarity: the pairs of `with_edges`, and members
    beside delegates that they may be alike to, see `kernels.firsts`. One of the latter may be there more than once.

    Args:
        pairs: Rows as `with_edges` gives them, each pair once, with the signature of the text: those of one first
            together, itself before the others, these in their order.
        first_new_place: Only texts in places from here on make edges.
        minhash: How signatures were made.
        near: Its `threshold` and `verify` are used.
    """
    margin = exact_margin(near.threshold, minhash.n_permutations) if near.verify == "exact" else 0.0
    code = code_for(pairs, "near-duplicates", _exercise)

    def meet(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep(code)
        firsts = Firsts(minhash.n_bands, minhash.n_rows, threshold=near.threshold, margin=margin)
        for batch in batches:
            texts, others, orders = (batch.column(name).to_numpy() for name in _MET.names[:3])
            is_ignored = batch.column("is_ignored").to_numpy(zero_copy_only=False)
            signatures = fixed_width(batch.column("signature"), "<u2", minhash.n_permutations)
            similarity, met = firsts.meet(texts, others, ~is_ignored, signatures)
            places = orders >> PLACE_SHIFT
            is_own = texts == others
            is_edge = (orders != IS_FIRST) & (is_own | (places >= first_new_place))
            more = places[met.rows] >= first_new_place
            rows = met.rows[more]
            none = np.zeros(len(rows), dtype=np.int64)
            columns = [
                (texts[is_edge], texts[rows]),
                (others[is_edge], met.others[more]),
                (places[is_edge], places[rows]),
                (batch.column("bucket_size").to_numpy()[is_edge], none),
                (is_ignored[is_edge], none.astype(bool)),
                (similarity[is_edge], met.similarity[more]),
            ]
            yield pa.RecordBatch.from_arrays([pa.array(np.concatenate(column)) for column in columns], schema=_MET)

    return pairs.select(*_EDGES.names, "signature").mapInArrow(meet, spark_schema(_MET))


def with_similarity(pairs: "DataFrame", *, one: str, other: str, name: str, is_exact: bool = False) -> "DataFrame":
    """The same rows with `name`: the similarity of two of their columns, in the place of these.

    Args:
        pairs: Rows with signatures, or with shingles, in two columns; null where one of them is.
        one: The one column.
        other: The other.
        name: What the similarity is called.
        is_exact: The columns hold shingles.
    """
    measure = jaccard if is_exact else estimate
    kept = [column for column in pairs.columns if column not in (one, other)]
    schema = f"{pairs.select(*kept).schema.simpleString()[7:-1]},{name}:double"

    code = code_for(pairs, "near-duplicates", _exercise)

    def compare(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep(code)
        for batch in sized(batches):
            columns = [batch.column(column) for column in kept]
            columns.append(measure(batch.column(one), batch.column(other)))
            yield pa.RecordBatch.from_arrays(columns, names=[*kept, name])

    return pairs.mapInArrow(compare, schema)


def with_anchors(members: "DataFrame", *, minhash: MinHash, near: NearDuplicates) -> "DataFrame":
    """Rows of doc_id, dump, was_kept, cluster_id, similarity and is_survivor: each member beside its survivor.

    Args:
        members: Rows with root, doc_id, dump, was_kept, signature and, for exact similarities, shingles: the members of
            a component one after the other, in the survivor order, in one partition.
        minhash: How their signatures were made.
        near: Its `clusters`, `threshold` and `verify` are used.
    """
    is_exact = near.verify == "exact"
    code = code_for(members, "near-duplicates", _exercise)

    def find(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep(code)
        anchors = Anchors(minhash.n_permutations, near)
        for batch in batches:
            is_member, cluster_ids, similarity, is_survivor = anchors.assign(
                batch.column("root").to_numpy(),
                batch.column("doc_id"),
                batch.column("dump"),
                fixed_width(batch.column("signature"), "<u2", minhash.n_permutations),
                batch.column("shingles") if is_exact else None,
            )
            columns = [batch.column(name) for name in ("doc_id", "dump", "was_kept")]
            columns += [cluster_ids, similarity, is_survivor]
            yield pa.RecordBatch.from_arrays(columns, schema=_ANCHORED).filter(is_member)

    columns = ("root", "doc_id", "dump", "was_kept", "signature", *(("shingles",) if is_exact else ()))
    return members.select(*columns).mapInArrow(find, spark_schema(_ANCHORED))


def _exercise() -> None:
    """Runs every kernel of candidates, similarities and anchors on little, so that workers need not compile them."""
    texts, orders = np.array([1, 2]), np.zeros(2, dtype=np.uint64)
    nothing = np.empty(0, dtype=np.int64)
    entries = entries_of(np.zeros((2, 1), dtype=np.uint64), texts, orders)
    join_block(entries, Repeated(nothing, nothing), first_new_place=0, giant_bucket=10, ignores_giants=False)
    Firsts(1, 4, threshold=0.5).meet(texts, texts, np.ones(2, dtype=bool), np.zeros((2, 4), dtype="<u2"))
    hashes = pa.array([bytes(8), bytes(8)])
    for measure in (estimate, jaccard):
        measure(hashes, hashes)
    ids, signatures = pa.array(["1", "2"]), fixed_width(hashes, "<u2", 4)
    Anchors(4, NearDuplicates(verify="exact")).assign(texts, ids, ids, signatures, hashes)
