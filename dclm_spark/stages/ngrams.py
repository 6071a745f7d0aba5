"""`ngrams`: one row is a packet of n-grams on their way to a block of the filter."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark.recipe.deduplication import Bloom
from dclm_spark.stages.columns import document_order, hash_share, place_of
from dclm_spark.stages.dedup_batches import with_ngram_counts, with_ngrams

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def pack_ngrams(documents: "DataFrame", *, bloom: Bloom, dumps: Sequence[str], n_blocks: int) -> "DataFrame":
    """Rows of `schemas.NGRAMS` without dump and step.

    Args:
        documents: Rows of doc_id, dump, host and text.
        bloom: The settings.
        dumps: The dumps in their places, those that came before first.
        n_blocks: A power of two.
    """
    order = document_order(place_of(dumps), bloom.order, bloom.preferred_domains)
    return with_ngrams(documents.withColumn("bloom_order", order), bloom=bloom, n_blocks=n_blocks)


def count_sample(documents: "DataFrame", *, bloom: Bloom, n_shares: int) -> "DataFrame":
    """One row a shard: sums over all its documents, and over a sample of them, see `dedup_batches.COUNTS`.

    Args:
        documents: Rows of doc_id, text and shard.
        bloom: The settings.
        n_shares: One share of so many is the sample, by a hash of the doc_id.
    """
    is_sampled = hash_share("doc_id", n_shares) == 0
    # Of all other documents the length alone goes to a worker.
    rows = documents.select(
        "shard", F.octet_length("text").cast("bigint").alias("n_bytes"), F.when(is_sampled, F.col("text")).alias("text")
    )
    counted = with_ngram_counts(rows, bloom=bloom)
    return counted.groupBy("shard").agg(*(F.sum(name).alias(name) for name in counted.columns if name != "shard"))


def shard_of(bloom: Bloom, dumps: Sequence[str]) -> "Column":
    """A document's shard, an INT from 0 on; of rule `warc_file` the rows need its path as `warc_path`."""
    if bloom.shard_by == "dump":
        return place_of(dumps)
    return hash_share("doc_id" if bloom.shard_by == "doc_id" else "warc_path", bloom.n_shards)
