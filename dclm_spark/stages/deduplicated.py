"""`deduplicated`: one row is a document that no other one stands for, its repeated paragraphs cut."""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.columns import without_paragraphs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MAX_BROADCAST = 1_000_000
"""Decisions that each task may hold: a document's takes some hundred bytes."""


def drop_duplicates(filtered: "DataFrame", duplicates: "DataFrame") -> "DataFrame":
    """Every document, flagged: `removed_by` is null for those that stay, else `near_duplicate`.

    Columns are those of `schemas.DEDUPLICATED` and `removed_by`, `value` (the similarity to the survivor) and `detail`
    (which it is) of `schemas.REMOVED`. Rows of one doc_id stay or go together.

    Args:
        filtered: Rows of `filtered`, of one dump.
        duplicates: Rows of `duplicates`, of the same dump.
    """
    of_documents = duplicates.select(
        "doc_id", "cluster_id", F.col("cluster_size").alias("n_alike"), "similarity", "is_kept"
    )
    is_gone = ~F.coalesce(F.col("is_kept"), F.lit(True))
    flagged = filtered.join(of_documents, "doc_id", "left").withColumns(
        {
            "cluster_size": F.coalesce("n_alike", F.lit(1)).cast("bigint"),
            "removed_by": F.when(is_gone, F.lit("near_duplicate")),
            "value": F.when(is_gone, F.col("similarity")),
            "detail": F.when(is_gone, F.concat(F.lit("of "), F.col("cluster_id"))),
        }
    )
    return flagged.select(*schemas.DEDUPLICATED.names, "removed_by", "value", "detail")


def what_is_left(
    filtered: "DataFrame", decisions: "DataFrame", *, n_decisions: int, keeps_places: bool = False
) -> "DataFrame":
    """The documents that these decisions leave, without the paragraphs that they cut; columns are those of `filtered`.

    Args:
        filtered: Rows of `filtered`.
        decisions: Rows of `decisions` of the same dumps, of any steps.
        n_decisions: About how many there are.
        keeps_places: See `columns.without_paragraphs`.
    """
    left = _left(filtered, _of_documents(decisions), n_rows=n_decisions, keeps_places=keeps_places)
    return left.select(*filtered.columns)


def deduplicate(
    filtered: "DataFrame", decisions: "DataFrame", *, n_decisions: int, duplicates: "DataFrame | None" = None
) -> "DataFrame":
    """Rows of `schemas.DEDUPLICATED`: what all decisions leave, and how many documents each stands for.

    Args:
        filtered: Rows of `filtered`.
        decisions: Rows of `decisions` of the same dumps: those that name a survivor count for it.
        n_decisions: About how many there are.
        duplicates: Rows of `duplicates` of the same dumps, if their clusters were honoured: they count all that is
            alike, what exact methods took among it.
    """
    named = decisions.where("survivor_id IS NOT NULL AND removed_by <> 'near_duplicate'")
    sizes = named.groupBy(F.col("survivor_id").alias("doc_id")).agg((F.count("*") + 1).alias("n_alike"))
    if duplicates is not None:
        sizes = sizes.unionAll(duplicates.select("doc_id", "cluster_size"))
    of_documents = _of_documents(decisions).unionByName(sizes, allowMissingColumns=True)
    # One row a document: `filtered`, which holds the texts, is joined once.
    together = of_documents.groupBy("doc_id").agg(
        F.max("is_gone").alias("is_gone"), F.max("paragraphs").alias("paragraphs"), F.max("n_alike").alias("n_alike")
    )
    left = _left(filtered, together, n_rows=n_decisions, keeps_places=False)
    return left.withColumn("cluster_size", F.coalesce("n_alike", F.lit(1)).cast("bigint"))


def _of_documents(decisions: "DataFrame") -> "DataFrame":
    """Rows of doc_id, is_gone and paragraphs, which are null where none is cut: one a document."""
    found = decisions.groupBy("doc_id").agg(
        F.max(F.col("removed_by").isNotNull()).alias("is_gone"),
        F.array_sort(F.array_distinct(F.flatten(F.collect_list("cuts.paragraph")))).alias("paragraphs"),
    )
    paragraphs = F.when(F.size("paragraphs") > 0, F.col("paragraphs")).alias("paragraphs")
    return found.select("doc_id", "is_gone", paragraphs)


def _left(filtered: "DataFrame", of_documents: "DataFrame", *, n_rows: int, keeps_places: bool) -> "DataFrame":
    small = F.broadcast(of_documents) if n_rows <= MAX_BROADCAST else of_documents
    flagged = filtered.join(small, "doc_id", "left").where("is_gone IS NULL OR NOT is_gone")
    return flagged.withColumn("text", without_paragraphs("text", "paragraphs", keeps_places=keeps_places))


def removed_rows(decisions: "DataFrame") -> "DataFrame":
    """Rows of `removed` for the documents that decisions take out."""
    gone = decisions.where("removed_by IS NOT NULL")
    return gone.select("dump", F.lit("deduplicated").alias("stage"), "doc_id", "removed_by", "value", "detail")


def cut_rows(decisions: "DataFrame") -> "DataFrame":
    """Rows of `cuts` for the paragraphs that decisions take out of documents that stay."""
    gone = decisions.where("removed_by IS NOT NULL").select("dump", "doc_id")
    staying = decisions.where("cuts IS NOT NULL").join(gone, ["dump", "doc_id"], "left_anti")
    cuts = staying.select("dump", "doc_id", F.explode("cuts").alias("cut"))
    return cuts.select(
        "dump",
        F.lit("deduplicated").alias("stage"),
        "doc_id",
        "cut.paragraph",
        F.lit("duplicate_paragraph").alias("reason"),
        "cut.value",
        "cut.detail",
    )
