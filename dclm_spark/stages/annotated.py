"""`annotated`: one row is a document and every signal measured on it."""

from typing import TYPE_CHECKING

from dclm_spark.batches import with_signals
from dclm_spark.recipes import DCLM_BASELINE, Recipe

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def annotate(documents: "DataFrame", *, recipe: Recipe = DCLM_BASELINE) -> "DataFrame":
    """The same documents with their text corrected and every signal group of `schemas.ANNOTATED` measured.

    Args:
        documents: Rows with doc_id, dump, url and text; text is never null.
        recipe: Its `annotation` is used.
    """
    return with_signals(documents, annotation=recipe.annotation)
