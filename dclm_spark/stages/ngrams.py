"""Makes `ngrams`: one row is a packet of n-grams that is sent to a block of the filter."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.kernels.bytes.sized import sized
from dclm_spark.kernels.ngrams import filter_blocks, ngram_packets
from dclm_spark.kernels.ngrams.ngrams import Units, ngrams
from dclm_spark.recipe.deduplication import Bloom
from dclm_spark.spark.workers import Kernels, map_arrow
from dclm_spark.stages.columns import document_order, dump_index, hash_share

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


FLUSH_NGRAMS = 1 << 23
"""Number of n-grams that a task collects before it packs them: about 200 MB, packing included."""
PACKETS = pa.schema([field for field in schemas.NGRAMS if field.name not in ("dump", "step")])
COUNTS = pa.schema(
    [
        ("shard", pa.int32()),
        ("n_documents", pa.int64()),
        ("n_bytes", pa.int64()),
        # The columns below count the sample only; the last three are sums of products.
        ("n_sampled", pa.int64()),
        ("n_sampled_bytes", pa.int64()),
        ("n_ngrams", pa.int64()),
        ("bytes_by_bytes", pa.float64()),
        ("bytes_by_ngrams", pa.float64()),
        ("ngrams_by_ngrams", pa.float64()),
    ]
)
"""One row holds sums over some documents of a shard."""
SAMPLE_TEXTS = pa.array(
    ["To be or not to be, that is the question:\nWhether 'tis nobler – in the mind – to suffer", "", None]
)
_IDS = ["0" * 31 + digit for digit in "123"]


def pack_ngrams(documents: "DataFrame", *, bloom: Bloom, dumps: Sequence[str], n_blocks: int) -> "DataFrame":
    """Packs the n-grams of documents: rows of `schemas.NGRAMS` without dump and step.

    Args:
        documents: Rows of doc_id, dump, host and text.
        bloom: The settings.
        dumps: Names of the dumps in their order, earlier ones first.
        n_blocks: Number of blocks, a power of two.
    """
    order = document_order(dump_index(dumps), bloom.order, bloom.preferred_domains)
    return with_ngrams(documents.withColumn("bloom_order", order), bloom=bloom, n_blocks=n_blocks)


def count_sample(documents: "DataFrame", *, bloom: Bloom, n_shares: int) -> "DataFrame":
    """Counts the n-grams of each shard: sums over all its documents and over a sample of them, see `COUNTS`.

    Args:
        documents: Rows of doc_id, text and shard.
        bloom: The settings.
        n_shares: The sample is 1 / `n_shares` of the documents, chosen by a hash of the doc_id.
    """
    is_sampled = hash_share("doc_id", n_shares) == 0
    # Of documents that are not in the sample, only the length is sent to a worker.
    rows = documents.select(
        "shard", F.octet_length("text").cast("bigint").alias("n_bytes"), F.when(is_sampled, F.col("text")).alias("text")
    )
    counted = with_ngram_counts(rows, bloom=bloom)
    return counted.groupBy("shard").agg(*(F.sum(name).alias(name) for name in counted.columns if name != "shard"))


def shard_of(bloom: Bloom, dumps: Sequence[str]) -> "Column":
    """Returns a document's shard, an INT from 0; for the rule `warc_file`, rows need the column `warc_path`."""
    if bloom.shard_by == "dump":
        return dump_index(dumps)
    return hash_share("doc_id" if bloom.shard_by == "doc_id" else "warc_path", bloom.n_shards)


def with_ngram_counts(rows: "DataFrame", *, bloom: Bloom) -> "DataFrame":
    """Counts rows of shard, n_bytes and text, which is null if a document is not in the sample: rows of `COUNTS`."""

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in sized(batches):
            units = ngrams(batch.column("text"), bloom, by_paragraph=bloom.mode != "document")
            first = np.concatenate([[0], np.cumsum(units.n_units)])
            n_ngrams = np.diff(np.concatenate([[0], np.cumsum(units.n_ngrams)])[first]).astype(np.float64)
            n_bytes = batch.column("n_bytes").to_numpy().astype(np.float64)
            sampled = n_bytes * batch.column("text").is_valid().to_numpy(zero_copy_only=False)
            numbers, places = np.unique(batch.column("shard").to_numpy(), return_inverse=True)
            sums = {
                "n_documents": np.ones(len(batch)),
                "n_bytes": n_bytes,
                "n_sampled": sampled > 0,
                "n_sampled_bytes": sampled,
                "n_ngrams": n_ngrams,
                "bytes_by_bytes": sampled * sampled,
                "bytes_by_ngrams": sampled * n_ngrams,
                "ngrams_by_ngrams": n_ngrams * n_ngrams,
            }
            columns = [numbers, *(np.bincount(places, sums[name], len(numbers)) for name in sums)]
            yield pa.RecordBatch.from_arrays(
                [pa.array(column).cast(field.type) for column, field in zip(columns, COUNTS, strict=True)],
                schema=COUNTS,
            )

    return map_arrow(rows.select("shard", "n_bytes", "text"), count, COUNTS, kernels=KERNELS)


def with_ngrams(documents: "DataFrame", *, bloom: Bloom, n_blocks: int) -> "DataFrame":
    """Packs the n-grams of rows of doc_id, bloom_order and text: rows of `PACKETS`.

    A task collects `FLUSH_NGRAMS`, packs them and frees them. If all n-grams are inserted, units equal to one already
    sent are not sent again.
    """
    is_exact, by_paragraph = bloom.filter == "exact", bloom.mode != "document"

    def flush(held: list[tuple[Any, ...]], sent: ngram_packets.Sent | None) -> Iterator[pa.RecordBatch]:
        orders, ids, units = zip(*held, strict=True)
        together = Units(*(np.concatenate(columns) for columns in zip(*units, strict=True)))
        flock, blocks, counts, packets = ngram_packets.pack(
            np.concatenate(orders), np.concatenate(ids), together, n_blocks=n_blocks, sent=sent, is_exact=is_exact
        )
        columns = [pa.array([flock] * len(blocks)), pa.array(blocks), pa.array(counts), pa.array(packets, pa.binary())]
        yield pa.RecordBatch.from_arrays(
            [one.cast(field.type) for one, field in zip(columns, PACKETS, strict=True)], schema=PACKETS
        )

    def gather(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sent = ngram_packets.Sent() if bloom.inserts == "always" and not is_exact else None
        held: list[tuple[Any, ...]] = []
        n_held = 0
        for batch in sized(batches):
            if len(batch):
                units = ngrams(batch.column("text"), bloom, by_paragraph=by_paragraph)
                orders = batch.column("bloom_order").to_numpy().astype(np.uint64)
                held.append((orders, ngram_packets.halves(batch.column("doc_id").to_pylist()), units))
                n_held += len(units.hashes)
            if n_held >= FLUSH_NGRAMS:
                yield from flush(held, sent)
                held, n_held = [], 0
        if held:
            yield from flush(held, sent)

    return map_arrow(documents.select("doc_id", "bloom_order", "text"), gather, PACKETS, kernels=KERNELS)


def exercise_ngrams() -> None:
    """Runs every kernel of n-grams on tiny data, so that workers need not compile them."""
    ids = ngram_packets.halves(_IDS)
    for name in ("bloom", "exact"):
        bloom = Bloom(min_ngram=2, max_ngram=3, filter=name, scope="shards")
        is_exact = name == "exact"
        units = ngrams(SAMPLE_TEXTS, bloom, by_paragraph=True)
        sent = None if is_exact else ngram_packets.Sent(16)
        _, _, _, packets = ngram_packets.pack(ids[:, 1], ids, units, n_blocks=2, sent=sent, is_exact=is_exact)
        block = filter_blocks.empty_block(None if is_exact else 1)
        unpacked = [ngram_packets.unpack(packet) for packet in packets[1:]]
        _, block = filter_blocks.ask(block, unpacked, [None] * len(unpacked))
        filter_blocks.unpack_block(filter_blocks.pack_block(block))
        assert block.fp_rate >= 0


KERNELS = Kernels("deduplication", exercise_ngrams)
"""Kernels that workers run to pack n-grams, query the filter and decide."""
