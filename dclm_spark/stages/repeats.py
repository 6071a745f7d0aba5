"""Rows of one document that are there more than once: a doc_id is one document of its dump, and one row.

A pool may hold a line twice, in one file or in two, and an archive may be listed twice. What the rows have in common is
the text; URLs may differ where the id is a line's own.
"""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_KEY = ("dump", "doc_id")


def find_repeats(rows: "DataFrame") -> "DataFrame":
    """Rows of dump, doc_id and n_more: the documents that are there more than once, and how many rows are too many."""
    counted = rows.groupBy(*_KEY).agg((F.count("*") - 1).alias("n_more"))
    return counted.where("n_more > 0")


def without_repeats(rows: "DataFrame", repeats: "DataFrame") -> "DataFrame":
    """The same rows, each document once: of several the row whose other columns come first, in their order.

    Args:
        rows: Rows of dump, doc_id and whatever else.
        repeats: Rows of `find_repeats`. Texts stay where they are if it is marked for a broadcast.
    """
    others = [name for name in rows.columns if name not in _KEY]
    once = rows.join(repeats, [*_KEY], "left_anti")
    several = rows.join(repeats, [*_KEY], "left_semi")
    # Not by a window: a text that is there a million times is then never gathered.
    firsts = several.groupBy(*_KEY).agg(F.min(F.struct(*others)).alias("first")).select(*_KEY, "first.*")
    return once.select(*rows.columns).unionByName(firsts)


def removed_repeats(repeats: "DataFrame", *, stage: str) -> "DataFrame":
    """Rows of `removed` for the rows that `without_repeats` leaves out."""
    # In two steps, so that no list is long where a document is there a million times.
    n_groups = F.ceil(F.col("n_more") / _GROUP).cast("bigint")
    groups = repeats.withColumn("group", F.explode(F.sequence(F.lit(1), n_groups)))
    size = F.least(F.lit(_GROUP), F.col("n_more") - (F.col("group") - 1) * _GROUP)
    rows = groups.withColumn("row", F.explode(F.sequence(F.lit(1), size.cast("bigint"))))
    return rows.select(
        "dump",
        F.lit(stage).alias("stage"),
        "doc_id",
        F.lit(DUPLICATE_ID).alias("removed_by"),
        F.lit(None).cast("double").alias("value"),
        F.concat(F.lit("of "), "doc_id").alias("detail"),
    )


DUPLICATE_ID = "duplicate_id"
"""What `removed` calls a row whose document has another one."""
_GROUP = 4096
