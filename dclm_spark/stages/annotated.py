"""`annotated`: one row is a document and every signal measured on it."""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.errors import RecipeError, refuse_recipe
from dclm_spark.kernels.fasttext.identify import check_model
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.spark.workers import with_banning_domains, with_listed_domains, with_signals

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def annotate(
    documents: "DataFrame", *, recipe: Recipe = DCLM_BASELINE, banned_domains: "DataFrame | None" = None
) -> "DataFrame":
    """The same documents with their text corrected and the recipe's signal groups measured.

    The first call on a machine compiles the kernels that the workers will run, ten to twenty seconds; nothing else is
    done before the rows are asked for.

    Args:
        documents: Rows with doc_id, dump, url and text; text is never null. With a list of domains they are read twice,
            the first time for their url alone.
        recipe: Its `annotation` and its `groups` are used.
        banned_domains: Rows with `domain`, a line of the list each, in any order and number; null measures no
            `urls.n_banned_domains`. The hosts of the documents that it bans are broadcast, so that no text is shuffled;
            where they are too many for that, `spark.sql.optimizer.disableHints` leaves the join to Spark.

    Raises:
        RecipeError: The recipe has problems, its language model cannot be used, or it names a list and none is given.
    """
    refuse_recipe([*recipe.problems(), *check_model(recipe.annotation.language_model)])
    if banned_domains is not None:
        return _annotate_listed(documents, banned_domains, recipe)
    if recipe.annotation.banned_domains is not None:
        path = recipe.annotation.banned_domains.path
        raise RecipeError([f"the recipe {recipe.name} names the list {path}; give its lines as banned_domains"])
    return with_signals(documents, annotation=recipe.annotation, groups=recipe.groups)


def _annotate_listed(documents: "DataFrame", lines: "DataFrame", recipe: Recipe) -> "DataFrame":
    match = recipe.annotation.domain_match
    listed = with_listed_domains(lines, match=match)
    # A semi-join, and one row a key: neither a list that repeats itself nor a host below two listed domains may give a
    # document a second row.
    banned = with_banning_domains(documents, match=match).join(listed, "domain", "left_semi")
    banned = banned.select(F.col("domain_key").alias("banned_key")).distinct()
    # Without the hint Spark takes the banned hosts to be as large as the documents, and sorts all text to join them.
    annotated = with_signals(documents, annotation=recipe.annotation, groups=recipe.groups, has_domain_key=True).join(
        banned.hint("broadcast"), F.col("domain_key") == F.col("banned_key"), "left"
    )
    n_banned_domains = F.when(F.col("url").isNotNull(), F.col("banned_key").isNotNull().cast("int"))
    urls = F.col("urls").withField("n_banned_domains", n_banned_domains)
    return annotated.withColumn("urls", urls).select(*schemas.ANNOTATED.names)
