"""`ngrams`: one row is a packet of n-grams on their way to a block of the filter."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark.columns import document_order, hash_share, place_of
from dclm_spark.dedup_batches import with_ngram_counts, with_ngrams
from dclm_spark.deduplication import Bloom

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
    """One row a shard: n_documents and n_bytes of all its documents; and, of a sample of all shards, the sums that a
    ratio of n-grams to bytes is estimated by.

    Args:
        documents: Rows of doc_id, dump and text, and shard.
        bloom: The settings.
        n_shares: One share of so many is the sample, by a hash of the doc_id.
    """
    n_bytes = F.octet_length("text")
    by_shard = documents.groupBy("shard").agg(
        F.count("*").alias("n_documents"), F.sum(n_bytes).alias("n_bytes"), F.lit(None).cast("bigint").alias("n_ngrams")
    )
    sample = with_ngram_counts(documents.where(hash_share("doc_id", n_shares) == 0), bloom=bloom)
    pairs = sample.agg(
        *(F.sum(column).alias(column) for column in ("n_documents", "n_bytes", "n_ngrams")),
        F.sum(F.col("n_bytes").cast("double") * F.col("n_bytes")).alias("bytes_by_bytes"),
        F.sum(F.col("n_bytes").cast("double") * F.col("n_ngrams")).alias("bytes_by_ngrams"),
        F.sum(F.col("n_ngrams").cast("double") * F.col("n_ngrams")).alias("ngrams_by_ngrams"),
    )
    return by_shard.unionByName(pairs, allowMissingColumns=True)


def shard_of(bloom: Bloom, dumps: Sequence[str]) -> "Column":
    """A document's shard, an INT from 0 on; of rule `warc_file` the rows need its path as `warc_path`."""
    if bloom.shard_by == "dump":
        return place_of(dumps)
    return hash_share("doc_id" if bloom.shard_by == "doc_id" else "warc_path", bloom.n_shards)
