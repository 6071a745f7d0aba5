"""Makes `deduplicated`: one row is a document that survived deduplication, with repeated paragraphs removed."""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.stages.columns import without_paragraphs
from dclm_spark.stages.repeats import OF_PAGE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MAX_BROADCAST = 1_000_000
"""Largest number of decisions that are broadcast; a decision on a document has about a hundred bytes."""


def drop_duplicates(filtered: "DataFrame", duplicates: "DataFrame") -> "DataFrame":
    """Flags every document: `removed_by` is null if the document is kept, else `near_duplicate`.

    Columns are those of `schemas.DEDUPLICATED`, and `removed_by`, `value` (the similarity to the survivor) and `detail`
    (the survivor's doc_id) of `schemas.REMOVED`. All rows with the same doc_id get the same result.

    Args:
        filtered: Rows of `filtered`, of one dump.
        duplicates: Rows of `duplicates`, of the same dump.
    """
    of_documents = duplicates.select(
        "doc_id", "cluster_id", F.col("cluster_size").alias("n_members"), "similarity", "is_kept"
    )
    is_removed = ~F.coalesce(F.col("is_kept"), F.lit(True))
    flagged = filtered.join(of_documents, "doc_id", "left").withColumns(
        {
            "cluster_size": F.coalesce("n_members", F.lit(1)).cast("bigint"),
            "removed_by": F.when(is_removed, F.lit("near_duplicate")),
            "value": F.when(is_removed, F.col("similarity")),
            "detail": F.when(is_removed, F.concat(F.lit("of "), F.col("cluster_id"))),
        }
    )
    return flagged.select(*schemas.DEDUPLICATED.names, "removed_by", "value", "detail")


def by_document(decisions: "DataFrame", *, n_steps: int) -> "DataFrame":
    """Merges the `decisions` of all methods into one row for each document: why it was removed, and its removed
    paragraphs.

    Args:
        decisions: Rows of `decisions`.
        n_steps: Number of methods that made the decisions.
    """
    if n_steps == 1:
        return decisions
    # A removed document is not seen by later methods: at most one of its rows says why it was removed.
    columns = ("removed_by", "value", "detail", "survivor_id", "survivor_dump")
    return decisions.groupBy("dump", "doc_id").agg(
        *(F.max(column).alias(column) for column in columns), F.flatten(F.collect_list("cuts")).alias("cuts")
    )


def keep_remaining(
    filtered: "DataFrame", decided: "DataFrame", *, n_decisions: int, keeps_numbers: bool = False
) -> "DataFrame":
    """Applies decisions to documents: drops removed documents and removed paragraphs; columns are those of `filtered`.

    Args:
        filtered: Rows of `filtered`.
        decided: Rows of `by_document` of the same dumps.
        n_decisions: Approximate number of rows in `decided`.
        keeps_numbers: See `columns.without_paragraphs`.
    """
    remaining = _apply(_reduced(decided), filtered, n_rows=n_decisions, keeps_numbers=keeps_numbers)
    return remaining.select(*filtered.columns)


def deduplicate(
    filtered: "DataFrame", decided: "DataFrame", *, n_decisions: int, sizes: "DataFrame | None" = None
) -> "DataFrame":
    """Makes rows of `schemas.DEDUPLICATED`: the documents kept by all decisions, with the sizes of their clusters.

    Args:
        filtered: Rows of `filtered`.
        decided: Rows of `by_document` of the same dumps.
        n_decisions: Approximate number of rows in `decided`.
        sizes: Rows of `cluster_sizes`. Null if no method names survivors: then each document has cluster size 1.
    """
    reduced, n_members = _reduced(decided), F.lit(1)
    if sizes is not None:
        reduced = reduced.unionByName(sizes, allowMissingColumns=True)
        n_members = F.coalesce("n_members", F.lit(1))
    remaining = _apply(reduced, filtered, n_rows=n_decisions, keeps_numbers=False)
    return remaining.withColumn("cluster_size", n_members.cast("bigint"))


def cluster_sizes(decided: "DataFrame", duplicates: "DataFrame | None") -> "DataFrame":
    """Counts the documents that each survivor represents, including itself: rows of dump, doc_id and n_members.

    Args:
        decided: Rows of `by_document`. A row that names a survivor is counted for it.
        duplicates: Rows of dump, doc_id and cluster_size of the same dumps, if clusters were applied. The sizes count
            all near-duplicates, including documents that exact methods removed.
    """
    named = decided.where("survivor_id IS NOT NULL AND removed_by <> 'near_duplicate'")
    survivor = F.col("survivor_dump").alias("dump"), F.col("survivor_id").alias("doc_id")
    sizes = named.groupBy(*survivor).agg((F.count("*") + 1).alias("n_members"))
    if duplicates is not None:
        sizes = sizes.unionAll(duplicates)
    return sizes


def _reduced(decided: "DataFrame") -> "DataFrame":
    """Reduces decisions to dump, doc_id, is_removed, and paragraphs (numbers of those removed; null if none is)."""
    # Each method removes paragraphs in order, and no two methods remove the same one.
    paragraphs = F.when(F.size("cuts") > 0, F.array_sort("cuts.paragraph"))
    is_removed = F.col("removed_by").isNotNull().alias("is_removed")
    return decided.select("dump", "doc_id", is_removed, paragraphs.alias("paragraphs"))


def _apply(reduced: "DataFrame", filtered: "DataFrame", *, n_rows: int, keeps_numbers: bool) -> "DataFrame":
    """Drops removed documents and paragraphs; adds the other columns of `reduced` to the documents that are kept."""
    # One row for each document, so that `filtered`, which holds the texts, is joined once. Two dumps may hold the same
    # doc_id.
    key = ["dump", "doc_id"]
    said = (F.max(name).alias(name) for name in reduced.columns if name not in key)
    of_documents = reduced.groupBy(*key).agg(*said)
    small = F.broadcast(of_documents) if n_rows <= MAX_BROADCAST else of_documents
    flagged = filtered.join(small, key, "left").where("is_removed IS NULL OR NOT is_removed")
    return flagged.withColumn("text", without_paragraphs("text", "paragraphs", keeps_numbers=keeps_numbers))


def removed_rows(filtered: "DataFrame", decided: "DataFrame", *, n_decisions: int) -> "DataFrame":
    """Makes rows of `removed` for the documents that decisions remove; arguments are those of `deduplicate`."""
    removed = decided.where("removed_by IS NOT NULL").select("dump", "doc_id", "removed_by", "value", "detail")
    small = F.broadcast(removed) if n_decisions <= MAX_BROADCAST else removed
    pages = filtered.select("dump", "doc_id", *OF_PAGE).join(small, ["dump", "doc_id"])
    return pages.withColumn("stage", F.lit("deduplicated")).select(*schemas.REMOVED.names)


def cut_rows(decided: "DataFrame") -> "DataFrame":
    """Makes rows of `cuts` for the paragraphs that decisions remove from documents that are kept."""
    cuts = decided.where("removed_by IS NULL").select("dump", "doc_id", F.explode("cuts").alias("cut"))
    return cuts.select(
        "dump",
        F.lit("deduplicated").alias("stage"),
        "doc_id",
        "cut.paragraph",
        F.lit("duplicate_paragraph").alias("reason"),
        "cut.value",
        "cut.detail",
    )
