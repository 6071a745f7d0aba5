"""`filter_blocks`: one row is a block of the filter, or a shard of its own, and what it answered the documents."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark.kernels.ngrams.bloom import Geometry
from dclm_spark.kernels.ngrams.ngram_packets import FLOCK_BLOCK
from dclm_spark.recipe.deduplication import Bloom
from dclm_spark.stages.columns import document_order, place_of
from dclm_spark.stages.dedup_batches import with_answers, with_kept_units
from dclm_spark.stages.shard_batches import with_shard_answers

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def ask_blocks(
    ngrams: "DataFrame",
    *,
    bloom: Bloom,
    geometry: Geometry,
    n_tasks: int,
    kept: "DataFrame | None" = None,
    before: "DataFrame | None" = None,
    keeps_filter: bool = False,
) -> "DataFrame":
    """Rows of block, n_ngrams, fp_rate, filter and answers: each block of the filter that n-grams fall into.

    Args:
        ngrams: Rows of `schemas.NGRAMS`.
        bloom: The settings.
        geometry: The size of the filter.
        n_tasks: Tasks that go through blocks.
        kept: Rows of `schemas.KEPT_UNITS`: only the n-grams of these units are added. Null adds all.
        before: Rows of `schemas.FILTER_BLOCKS`: what the blocks hold already. All of them come back.
        keeps_filter: The blocks' bits are among the rows.
    """
    nothing = F.lit(None).cast("binary")
    parts = [ngrams.where(F.col("block") != FLOCK_BLOCK).select("block", "flock", "packet")]
    if kept is not None:
        # Every block may hold some of a flock's units.
        blocks = F.explode(F.sequence(F.lit(0), F.lit(geometry.n_blocks - 1))).alias("block")
        parts.append(kept.select(blocks, "flock", "is_kept"))
    if before is not None:
        parts.append(before.select("block", "filter"))
    together = parts[0]
    for part in parts[1:]:
        together = together.unionByName(part, allowMissingColumns=True)
    for name in {"is_kept", "filter"} - set(together.columns):
        together = together.withColumn(name, nothing)
    sorted_rows = together.repartition(n_tasks, "block").sortWithinPartitions("block")
    return with_answers(sorted_rows, bloom=bloom, geometry=geometry, keeps_filter=keeps_filter)


def of_flocks(
    ngrams: "DataFrame", blocks: "DataFrame", *, n_tasks: int, kept: "DataFrame | None" = None
) -> "DataFrame":
    """What `with_decisions` and `with_kept_units` take: rows of flock, packet, answer and is_kept, sorted by flock.

    Args:
        ngrams: Rows of `schemas.NGRAMS`.
        blocks: Rows of `schemas.FILTER_BLOCKS`, whose answers are to these.
        n_tasks: Tasks that go through flocks.
        kept: Rows of `schemas.KEPT_UNITS` of the round before, if there was one.
    """
    nothing = F.lit(None).cast("binary")
    flocks = ngrams.where(F.col("block") == FLOCK_BLOCK)
    answers = blocks.select(F.explode("answers").alias("given")).select("given.flock", "given.answer")
    rows = flocks.select("flock", "packet", nothing.alias("answer"), nothing.alias("is_kept"))
    rows = rows.unionAll(answers.select("flock", nothing.alias("packet"), "answer", nothing.alias("is_kept")))
    if kept is not None:
        rows = rows.unionAll(kept.select("flock", nothing.alias("packet"), nothing.alias("answer"), "is_kept"))
    return rows.repartition(n_tasks, "flock").sortWithinPartitions("flock")


def keep_units(rows: "DataFrame", *, bloom: Bloom) -> "DataFrame":
    """Rows of flock, is_kept and n_changed: which units are kept, by what was seen of each.

    Args:
        rows: As `of_flocks` gives them.
        bloom: The settings.
    """
    return with_kept_units(rows, bloom=bloom)


def ask_shards(
    documents: "DataFrame", *, bloom: Bloom, dumps: Sequence[str], capacity: int, n_tasks: int
) -> "DataFrame":
    """The same rows, of shards in the place of blocks: their answers are decisions.

    Args:
        documents: Rows of doc_id, dump, host, text, shard and task: those of a shard have one number of a task.
        bloom: The settings.
        dumps: The dumps in their places.
        capacity: n-grams that the filter of a shard is made for.
        n_tasks: Tasks that read shards.
    """
    order = document_order(place_of(dumps), bloom.order, bloom.preferred_domains)
    rows = documents.select("shard", "task", "doc_id", "dump", "text", order.alias("bloom_order"))
    sorted_rows = rows.repartition(n_tasks, "task").sortWithinPartitions("shard", "bloom_order", "doc_id")
    return with_shard_answers(sorted_rows, bloom=bloom, capacity=capacity)
