"""Makes `filtered`: one row is a document that broke none of the recipe's bounds."""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark.errors import refuse_recipe
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.stages.columns import removed_by, removed_detail, removed_value, unless_measured

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def filter_documents(annotated: "DataFrame", *, recipe: Recipe = DCLM_BASELINE) -> "DataFrame":
    """Flags every document: `removed_by` is null if it is kept, else the first signal out of bounds.

    Columns are those of `schemas.FILTERED` and `removed_by`, `value`, `detail` of `schemas.REMOVED`.

    Args:
        annotated: Rows of `annotated`.
        recipe: Its `bounds` are used, in their order.

    Raises:
        RecipeError: The recipe has problems. (If a bound uses signals that were not measured on a row, the Spark job
            fails.)
    """
    refuse_recipe(recipe.problems())
    return annotated.select(
        "doc_id",
        "dump",
        "url",
        F.col("urls.host").alias("host"),
        F.col("language.code").alias("language"),
        F.coalesce("quality.n_words", "gopher.n_words", "repetition.n_words").alias("n_words"),
        "text",
        F.coalesce(unless_measured(recipe.bounds), removed_by(recipe.bounds)).alias("removed_by"),
        removed_value(recipe.bounds).alias("value"),
        removed_detail(recipe.bounds).alias("detail"),
    )
