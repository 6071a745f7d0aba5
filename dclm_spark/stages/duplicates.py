"""Makes `duplicates`: one row is a document's membership in a cluster of near-duplicates."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.errors import refuse_recipe
from dclm_spark.kernels.bytes.binary import fixed_width
from dclm_spark.kernels.near.anchors import Anchors
from dclm_spark.recipe.deduplication import Exact
from dclm_spark.recipe.near_duplicates import ORDERS, MinHash, NearDuplicates
from dclm_spark.spark.workers import map_arrow
from dclm_spark.stages.candidates import KERNELS
from dclm_spark.stages.columns import domain_rank
from dclm_spark.stages.signatures import in_shards

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


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
    """Makes rows of `schemas.DUPLICATES`: every document of each cluster of two or more, in no order.

    Args:
        signatures: Rows of `signatures` of all dumps of the scope.
        labels: Rows of text_hash and root, as `components.connected_components` makes them.
        minhash: How the signatures were made.
        near: The settings.
        n_tasks: Number of tasks that process components.
        removed_before: Rows of doc_id and dump: documents of the dumps `earlier` that an earlier run did not keep.
        earlier: Dumps whose other documents an earlier run has kept; these are kept again.
        signals: Rows of doc_id, dump and one column for each signal in the survivor order, with the signal's name.

    Raises:
        RecipeError: The settings have problems.
    """
    refuse_recipe([*minhash.problems(), *near.problems()])
    signed = in_shards(signatures, near=near).where("text_hash IS NOT NULL")
    if near.verify != "exact":
        signed = signed.drop("shingles")
    members = signed.join(labels, "text_hash").withColumn("was_kept", F.col("dump").isin(*earlier))
    if removed_before is not None:
        removed = removed_before.select("doc_id", "dump", F.lit(True).alias("was_removed"))
        members = members.join(removed, ["doc_id", "dump"], "left")
        members = members.withColumn("was_kept", F.col("was_kept") & F.col("was_removed").isNull())
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


def survivor_order(near: NearDuplicates | Exact) -> "list[Column]":
    """Returns the columns by which the documents of a cluster are sorted; the first one survives."""
    known = {
        "earliest_dump": lambda: F.col("dump").asc(),
        "latest_dump": lambda: F.col("dump").desc(),
        "longest_text": lambda: F.col("n_chars").desc(),
        "preferred_domains": lambda: domain_rank("host", near.preferred_domains).asc(),
    }
    return [known[word]() if word in known else _by_signal(word) for word in near.survivor]


def signals_of(near: NearDuplicates | Exact) -> list[str]:
    """Lists the signals that the survivor order names."""
    return [word.removeprefix("-") for word in near.survivor if word not in ORDERS]


def _by_signal(word: str) -> "Column":
    """Returns the sort key of a signal: largest first, or smallest if `word` begins with a minus; null comes last."""
    column = F.col(f"`{word.removeprefix('-')}`")
    return column.asc_nulls_last() if word.startswith("-") else column.desc_nulls_last()


def with_anchors(members: "DataFrame", *, minhash: MinHash, near: NearDuplicates) -> "DataFrame":
    """Assigns each member to its survivor: rows of doc_id, dump, was_kept, cluster_id, similarity and is_survivor.

    Args:
        members: Rows with root, doc_id, dump, was_kept, signature and, for exact similarities, shingles. The members of
            a component are in one partition, one after the other, in the survivor order.
        minhash: How the signatures were made.
        near: Its `clusters`, `threshold` and `verify` are used.
    """
    is_exact = near.verify == "exact"

    def find(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
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
    return map_arrow(members.select(*columns), find, _ANCHORED, kernels=KERNELS)
