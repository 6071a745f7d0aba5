"""`duplicates`: one row is a document's membership in a cluster of near-duplicates."""

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.errors import refuse_recipe
from dclm_spark.recipe.near_duplicates import ORDERS, MinHash, NearDuplicates
from dclm_spark.stages.columns import domain_rank
from dclm_spark.stages.lsh_batches import with_anchors
from dclm_spark.stages.signatures import in_shards

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def find_duplicates(
    signatures: "DataFrame",
    labels: "DataFrame",
    *,
    minhash: MinHash,
    near: NearDuplicates,
    n_tasks: int,
    removed_before: "DataFrame | None" = None,
    earlier: "tuple[str, ...]" = (),
    signals: "DataFrame | None" = None,
) -> "DataFrame":
    """Rows of `schemas.DUPLICATES`: every document of each cluster of two or more, in no order.

    Args:
        signatures: Rows of `signatures` of all dumps of the scope.
        labels: Rows of text_hash and root, as `components.connected_components` gives them.
        minhash: How the signatures were made.
        near: The settings.
        n_tasks: Tasks that go through components.
        removed_before: Rows of doc_id and dump: documents of `earlier` that a run before did not keep.
        earlier: Dumps whose other documents were kept before, and stay.
        signals: Rows of doc_id, dump and the signals that the survivor order names, as columns of those names.

    Raises:
        RecipeError: The settings have problems.
    """
    refuse_recipe([*minhash.problems(), *near.problems()])
    signed = in_shards(signatures, near=near).where("text_hash IS NOT NULL")
    if near.verify != "exact":
        signed = signed.drop("shingles")
    members = signed.join(labels, "text_hash").withColumn("was_kept", F.col("dump").isin(*earlier))
    if removed_before is not None:
        gone = removed_before.select("doc_id", "dump", F.lit(True).alias("is_gone"))
        members = members.join(gone, ["doc_id", "dump"], "left")
        members = members.withColumn("was_kept", F.col("was_kept") & F.col("is_gone").isNull())
    if signals is not None:
        members = members.join(signals, ["doc_id", "dump"], "left")
    order = [F.col("was_kept").desc(), *survivor_order(near), F.col("doc_id"), F.col("dump")]
    in_order = members.repartition(n_tasks, "root").sortWithinPartitions("root", *order)
    anchored = with_anchors(in_order, minhash=minhash, near=near)
    counted = anchored.withColumn("cluster_size", F.count("*").over(Window.partitionBy("cluster_id")))
    rows = counted.where("cluster_size > 1").withColumns(
        {"scope": F.lit(near.scope), "is_kept": F.col("is_survivor") | F.col("was_kept")}
    )
    return rows.select(*schemas.DUPLICATES.names)


def survivor_order(near: NearDuplicates) -> "list[Column]":
    """What documents of a cluster are sorted by; the first stays."""
    known = {
        "earliest_dump": lambda: F.col("dump").asc(),
        "latest_dump": lambda: F.col("dump").desc(),
        "longest_text": lambda: F.col("n_chars").desc(),
        "preferred_domains": lambda: domain_rank("host", near.preferred_domains).asc(),
    }
    return [known[word]() if word in known else _by_signal(word) for word in near.survivor]


def signals_of(near: NearDuplicates) -> list[str]:
    """The signals that the survivor order names."""
    return [word.removeprefix("-") for word in near.survivor if word not in ORDERS]


def _by_signal(word: str) -> "Column":
    column = F.col(f"`{word.removeprefix('-')}`")
    return column.asc_nulls_last() if word.startswith("-") else column.desc_nulls_last()
