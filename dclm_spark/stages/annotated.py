"""Makes `annotated`: one row is a document with every signal measured on it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.errors import RecipeError, refuse_recipe
from dclm_spark.kernels.bytes.sized import sized
from dclm_spark.kernels.fasttext.identify import check_model
from dclm_spark.kernels.signals.annotate import annotate_batch
from dclm_spark.kernels.signals.domains import BANNING, banning_domains, domain_keys, listed_domains
from dclm_spark.recipe.annotation import Annotation
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.spark.workers import Kernels, map_arrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


SAMPLE = pa.RecordBatch.from_pylist(
    [{"doc_id": "", "dump": "", "url": "http://example.org/", "text": "The harbour lies west.\nIt is old."}]
)
"""A page on which every kernel runs, to compile them all."""


def annotate(
    documents: "DataFrame", *, recipe: Recipe = DCLM_BASELINE, banned_domains: "DataFrame | None" = None
) -> "DataFrame":
    """Corrects the text of documents and measures the recipe's signal groups.

    The first call on a machine compiles the kernels for the workers, which takes 10 to 20 seconds. Everything else is
    lazy.

    Args:
        documents: Rows with doc_id, dump, url and text; text is never null. If there is a list of domains, they are
            read twice, the first time only their url.
        recipe: Its `annotation` and its `groups` are used.
        banned_domains: Rows with `domain`, one line of the list each, in any order, repeated or not; null:
            `urls.n_banned_domains` is not measured. The banned hosts of the documents are broadcast, so that no text is
            shuffled. If they are too many for a broadcast, set `spark.sql.optimizer.disableHints`, and Spark chooses
            the join.

    Raises:
        RecipeError: The recipe has problems, its language model cannot be used, or it names a list of domains but
            `banned_domains` is null.
    """
    refuse_recipe(
        [*recipe.problems(), *check_model(recipe.annotation.language_model, recipe.annotation.language_model_hash)]
    )
    if banned_domains is not None:
        return _annotate_listed(documents, banned_domains, recipe)
    if recipe.annotation.banned_domains is not None:
        path = recipe.annotation.banned_domains.path
        raise RecipeError([f"the recipe {recipe.name} names the list {path}; give its lines as banned_domains"])
    return with_signals(documents, annotation=recipe.annotation, groups=recipe.groups)


def _annotate_listed(documents: "DataFrame", lines: "DataFrame", recipe: Recipe) -> "DataFrame":
    """Annotates documents, and bans those whose host the lines of a list of domains name."""
    match = recipe.annotation.domain_match
    listed = with_listed_domains(lines, match=match)
    # A semi-join and one row for each key: a repeated line of the list, or a host below two listed domains, must not
    # give a document a second row.
    banned = with_banning_domains(documents, match=match).join(listed, "domain", "left_semi")
    banned = banned.select(F.col("domain_key").alias("banned_key")).distinct()
    # Without the hint Spark takes the banned hosts to be as large as the documents, and sorts all text to join them.
    annotated = with_signals(documents, annotation=recipe.annotation, groups=recipe.groups, has_domain_key=True).join(
        banned.hint("broadcast"), F.col("domain_key") == F.col("banned_key"), "left"
    )
    n_banned_domains = F.when(F.col("url").isNotNull(), F.col("banned_key").isNotNull().cast("int"))
    urls = F.col("urls").withField("n_banned_domains", n_banned_domains)
    return annotated.withColumn("urls", urls).select(*schemas.ANNOTATED.names)


def with_signals(
    documents: "DataFrame", *, annotation: Annotation, groups: Sequence[str], has_domain_key: bool = False
) -> "DataFrame":
    """Measures rows that have doc_id, dump, url and text: rows of `annotated`, with `domain_key` if requested."""
    schema = schemas.ANNOTATED.append(BANNING.field("domain_key")) if has_domain_key else schemas.ANNOTATED

    def measure(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in sized(batches):
            columns = annotate_batch(batch, annotation, groups).columns
            if has_domain_key:
                columns.append(domain_keys(batch.column("url"), match=annotation.domain_match))
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    # Only these columns are sent to the worker.
    needed = documents.select("doc_id", "dump", "url", "text")
    return map_arrow(
        needed,
        measure,
        schema,
        kernels=Kernels(repr((annotation, tuple(groups))), lambda: annotate_batch(SAMPLE, annotation, groups)),
    )


def with_banning_domains(documents: "DataFrame", *, match: str) -> "DataFrame":
    """Finds the domains that would ban each row's url: rows of `kernels.signals.domains.BANNING`; a key may be
    repeated."""

    def look_up(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in sized(batches):
            yield banning_domains(batch.column("url"), match=match)

    return map_arrow(documents.select("url"), look_up, BANNING)


def with_listed_domains(lines: "DataFrame", *, match: str) -> "DataFrame":
    """Parses the lines of a list of domains (column `domain`) into its entries (column `domain`)."""
    schema = pa.schema([BANNING.field("domain")])

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield pa.RecordBatch.from_arrays([listed_domains(batch.column("domain"), match=match)], schema=schema)

    return map_arrow(lines.select("domain"), read, schema)
