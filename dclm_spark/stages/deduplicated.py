"""`deduplicated`: one row is a document that no other one stands for."""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark import schemas

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


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
