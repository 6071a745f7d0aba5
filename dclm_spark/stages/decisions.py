"""`decisions`: one row is a document of which a method of deduplication took something, all of it or paragraphs."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as F

from dclm_spark.kernels.ngrams.ngram_decisions import DECISIONS, decide
from dclm_spark.recipe.deduplication import Bloom, Exact
from dclm_spark.spark.types import spark_type
from dclm_spark.spark.workers import map_arrow
from dclm_spark.stages.columns import hash_share
from dclm_spark.stages.duplicates import survivor_order
from dclm_spark.stages.filter_blocks import flocks
from dclm_spark.stages.ngrams import KERNELS
from dclm_spark.stages.shards import with_shard_decisions

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def decide_exact(
    keys: "DataFrame",
    *,
    exact: Exact,
    earlier: Sequence[str] = (),
    removed_before: "DataFrame | None" = None,
    signals: "DataFrame | None" = None,
) -> "DataFrame":
    """Rows without step: documents whose key another one has that comes before them.

    Args:
        keys: Rows of `schemas.EXACT_KEYS`, of all dumps of the scope.
        exact: Its scope and survivor order are used.
        earlier: Dumps that were decided before; what was kept of them comes first, and stays.
        removed_before: Rows of doc_id and dump: documents of `earlier` that were not kept.
        signals: Rows of doc_id, dump and the signals that the survivor order names, as columns of those names.
    """
    rows = keys.withColumn("is_new", ~F.col("dump").isin(*earlier))
    if removed_before is not None:
        rows = rows.join(removed_before, ["doc_id", "dump"], "left_anti")
    if signals is not None:
        rows = rows.join(signals, ["doc_id", "dump"], "left")
    group: list[Column] = [F.col("key")]
    if exact.scope == "dump":
        group.append(F.col("dump"))
    elif exact.scope == "shards":
        group.append(hash_share("doc_id", exact.n_shards))
    order = [F.col("is_new"), *survivor_order(exact), F.col("doc_id"), F.col("dump")]
    first = Window.partitionBy(*group).orderBy(*order)
    ranked = rows.withColumns({"first_id": F.first("doc_id").over(first), "first_dump": F.first("dump").over(first)})
    # Two dumps may hold the same document.
    gone = ranked.where("is_new AND (doc_id <> first_id OR dump <> first_dump)")
    return decision_rows(
        gone,
        removed_by=F.lit(f"duplicate_{exact.by}"),
        detail=F.concat_ws("", F.lit("of "), "first_id", F.lit(" of "), "first_dump"),
        survivor_id=F.col("first_id"),
        survivor_dump=F.col("first_dump"),
    )


def decide_near(duplicates: "DataFrame", *, dumps: Sequence[str], gone: "DataFrame | None" = None) -> "DataFrame":
    """Rows without step: documents of these dumps that their cluster does not keep.

    Args:
        duplicates: Rows of `duplicates`: every document of the clusters that these dumps have a part in.
        dumps: The dumps.
        gone: Rows of doc_id and dump: documents that a method before took out. Where nothing is left of what a cluster
            keeps, its first document that is left stays: by dump, then by doc_id.
    """
    left = duplicates
    if gone is not None:
        left = duplicates.join(gone, ["doc_id", "dump"], "left_anti")
        cluster = Window.partitionBy("scope", "cluster_id")
        first = F.struct((~F.col("is_kept")).alias("is_other"), "dump", "doc_id")
        left = left.withColumn("best", F.min(first).over(cluster)).withColumn(
            "is_kept", F.col("is_kept") | (F.col("best") == first)
        )
    removed = left.where(F.col("dump").isin(*dumps) & ~F.col("is_kept"))
    survivor = F.col("best.doc_id") if gone is not None else F.col("cluster_id")
    return decision_rows(
        removed,
        removed_by=F.lit("near_duplicate"),
        value=F.col("similarity"),
        detail=F.concat(F.lit("of "), survivor),
        survivor_id=survivor,
    )


def decide_shards(blocks: "DataFrame") -> "DataFrame":
    """The same, of what `shards.ask_shards` made."""
    return with_shard_decisions(blocks.select(F.explode("answers.answer").alias("answer")))


def decision_rows(removed: "DataFrame", **columns: "Column") -> "DataFrame":
    """Rows of `decisions` without step for documents that are removed.

    Args:
        removed: Rows with dump and doc_id.
        **columns: The other columns that are not null: `removed_by`, and what there is of `value`, `detail`,
            `survivor_id`, `survivor_dump` and `cuts`.
    """
    found = {"dump": F.col("dump"), "doc_id": F.col("doc_id")} | columns
    return removed.select(
        *(found.get(field.name, F.lit(None)).cast(spark_type(field.type)).alias(field.name) for field in DECISIONS)
    )


def decide_ngrams(rows: "DataFrame", *, bloom: Bloom, dumps: Sequence[str]) -> "DataFrame":
    """Rows without step: documents most of whose n-grams were seen before, or those of some of their paragraphs.

    Args:
        rows: As `filter_blocks.of_flocks` gives them: flock, packet, answer and is_kept, sorted by flock; of packet and
            answer one is null.
        bloom: The settings.
        dumps: The dumps in their order.
    """

    def decide_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for flock, answers, _ in flocks(batches):
            yield decide(flock, answers, bloom=bloom, dumps=dumps)

    return map_arrow(rows.select("flock", "packet", "answer", "is_kept"), decide_all, DECISIONS, kernels=KERNELS)
