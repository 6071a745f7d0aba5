"""Makes `decisions`: one row is a document that a deduplication method removes, or from which it removes paragraphs."""

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
    """Makes rows of `decisions` without step: documents whose key a document before them has.

    Args:
        keys: Rows of `schemas.EXACT_KEYS` of all dumps of the scope.
        exact: Its scope, shards and survivor order are used.
        earlier: Dumps that an earlier run has decided; their kept documents come first and are kept again.
        removed_before: Rows of doc_id and dump: documents of `earlier` that were not kept.
        signals: Rows of doc_id, dump and one column for each signal in the survivor order, with the signal's name.
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
    # Two dumps may hold a document with the same doc_id.
    removed = ranked.where("is_new AND (doc_id <> first_id OR dump <> first_dump)")
    return decision_rows(
        removed,
        removed_by=F.lit(f"duplicate_{exact.by}"),
        detail=F.concat_ws("", F.lit("of "), "first_id", F.lit(" of "), "first_dump"),
        survivor_id=F.col("first_id"),
        survivor_dump=F.col("first_dump"),
    )


def decide_near(
    duplicates: "DataFrame", *, dumps: Sequence[str], removed_before: "DataFrame | None" = None
) -> "DataFrame":
    """Makes rows of `decisions` without step: documents of these dumps that their cluster does not keep.

    Args:
        duplicates: Rows of `duplicates`: all members of every cluster that has a member in one of these dumps.
        dumps: Names of the dumps whose documents are decided.
        removed_before: Rows of doc_id and dump: documents that earlier methods removed. If these are all documents that
            a cluster keeps, the first of its remaining ones, by dump and doc_id, is kept instead.
    """
    remaining = duplicates
    if removed_before is not None:
        remaining = duplicates.join(removed_before, ["doc_id", "dump"], "left_anti")
        cluster = Window.partitionBy("scope", "cluster_id")
        first = F.struct((~F.col("is_kept")).alias("is_other"), "dump", "doc_id")
        remaining = remaining.withColumn("best", F.min(first).over(cluster)).withColumn(
            "is_kept", F.col("is_kept") | (F.col("best") == first)
        )
    removed = remaining.where(F.col("dump").isin(*dumps) & ~F.col("is_kept"))
    survivor = F.col("best.doc_id") if removed_before is not None else F.col("cluster_id")
    return decision_rows(
        removed,
        removed_by=F.lit("near_duplicate"),
        value=F.col("similarity"),
        detail=F.concat(F.lit("of "), survivor),
        survivor_id=survivor,
    )


def decide_shards(blocks: "DataFrame") -> "DataFrame":
    """Makes rows of `decisions` without step from the rows of `shards.query_shards`."""
    return with_shard_decisions(blocks.select(F.explode("answers.answer").alias("answer")))


def decision_rows(removed: "DataFrame", **columns: "Column") -> "DataFrame":
    """Makes rows of `decisions` without step for documents that are removed.

    Args:
        removed: Rows with dump and doc_id.
        **columns: Values of `removed_by` and of any of `value`, `detail`, `survivor_id`, `survivor_dump` and `cuts`;
            those not given are null.
    """
    found = {"dump": F.col("dump"), "doc_id": F.col("doc_id")} | columns
    return removed.select(
        *(found.get(field.name, F.lit(None)).cast(spark_type(field.type)).alias(field.name) for field in DECISIONS)
    )


def decide_ngrams(rows: "DataFrame", *, bloom: Bloom, dumps: Sequence[str]) -> "DataFrame":
    """Makes rows of `decisions` without step for documents and paragraphs most of whose n-grams were seen before.

    Args:
        rows: Rows of `filter_blocks.by_flock`.
        bloom: The settings.
        dumps: Names of the dumps in their order.
    """

    def decide_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for flock, answers, _ in flocks(batches):
            yield decide(flock, answers, bloom=bloom, dumps=dumps)

    return map_arrow(rows.select("flock", "packet", "answer", "is_kept"), decide_all, DECISIONS, kernels=KERNELS)
