"""Finds and drops repeated rows of a document: within a dump, one doc_id is one document and must have one row.

A pool may hold a line twice, in one file or in two, and an archive may be listed twice. The repeated rows have the same
text; their URLs may differ if the id comes from the line itself.
"""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_KEY = ("dump", "doc_id")


def find_repeats(rows: "DataFrame") -> "DataFrame":
    """Finds documents that have more than one row: rows of dump, doc_id and n_more, the number of surplus rows."""
    counted = rows.groupBy(*_KEY).agg((F.count("*") - 1).alias("n_more"))
    return counted.where("n_more > 0")


def without_repeats(rows: "DataFrame", repeats: "DataFrame") -> "DataFrame":
    """Keeps one row of each document: of several, the one whose other columns, compared in their order, are smallest.

    Args:
        rows: Rows of dump, doc_id, url, host, language and any other columns, in this order but for the first two.
        repeats: Rows of `find_repeats`. If it is marked for a broadcast, no text is shuffled.
    """
    others = [name for name in rows.columns if name not in _KEY]
    once = rows.join(repeats, [*_KEY], "left_anti")
    several = rows.join(repeats, [*_KEY], "left_semi")
    # Not by a window, which would gather all rows of a document that is repeated a million times.
    firsts = several.groupBy(*_KEY).agg(F.min(F.struct(*others)).alias("first")).select(*_KEY, "first.*")
    return once.select(*rows.columns).unionByName(firsts)


def removed_repeats(rows: "DataFrame", repeats: "DataFrame", *, stage: str) -> "DataFrame":
    """Makes rows of `removed` for the rows that `without_repeats` drops; its arguments are the same."""
    page = F.struct(*OF_PAGE)
    several = rows.join(repeats, [*_KEY], "left_semi").groupBy(*_KEY, page.alias("page")).agg(F.count("*").alias("n"))
    # The row that is kept has the smallest of these, since they are the first columns that are compared.
    kept = several.groupBy(*_KEY).agg(F.min("page").alias("of_kept"))
    is_kept = F.col("page").eqNullSafe(F.col("of_kept"))
    surplus = several.join(kept, [*_KEY]).withColumn("n_more", F.col("n") - is_kept.cast("int"))
    # In two steps, so that no array is long if a document is repeated a million times.
    n_groups = F.ceil(F.col("n_more") / _GROUP).cast("bigint")
    groups = surplus.where("n_more > 0").withColumn("group", F.explode(F.sequence(F.lit(1), n_groups)))
    size = F.least(F.lit(_GROUP), F.col("n_more") - (F.col("group") - 1) * _GROUP)
    each = groups.withColumn("row", F.explode(F.sequence(F.lit(1), size.cast("bigint"))))
    return each.select(
        "dump",
        F.lit(stage).alias("stage"),
        "doc_id",
        F.lit(DUPLICATE_ID).alias("removed_by"),
        F.lit(None).cast("double").alias("value"),
        F.concat(F.lit("of "), "doc_id").alias("detail"),
        "page.*",
    )


OF_PAGE = ("url", "host", "language")
"""Columns of `removed` that tell which page a document was."""
DUPLICATE_ID = "duplicate_id"
"""The `removed_by` of a surplus row of a document."""
_GROUP = 4096
