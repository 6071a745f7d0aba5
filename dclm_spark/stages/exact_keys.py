"""`exact_keys`: one row is a document's key, the hash of its text or of its URL."""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark.recipe.deduplication import Exact
from dclm_spark.stages.dedup_batches import with_exact_keys

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def find_exact_keys(documents: "DataFrame", *, exact: Exact) -> "DataFrame":
    """Columns of `schemas.EXACT_KEYS` but `step`; a document without a key (no URL of a page) has no row.

    Args:
        documents: Rows of doc_id, dump, host, url and text.
        exact: How keys are made.
    """
    # A text is read for its length only where it is needed, or read for its key anyway.
    needs_length = exact.by == "text" or "longest_text" in exact.survivor
    length = F.length("text") if needs_length else F.lit(None)
    return with_exact_keys(documents.withColumn("n_chars", length.cast("bigint")), exact=exact)
