"""Makes `filter_blocks`: one row is a block of the n-gram filter, or a shard, and its answers to the documents."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.kernels.ngrams import filter_blocks, ngram_packets
from dclm_spark.kernels.ngrams.bloom import Geometry
from dclm_spark.kernels.ngrams.ngram_decisions import count_seen, is_cut
from dclm_spark.kernels.ngrams.ngram_packets import FLOCK_BLOCK
from dclm_spark.recipe.deduplication import Bloom
from dclm_spark.spark.workers import map_arrow
from dclm_spark.stages.ngrams import KERNELS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


BLOCKS = pa.schema(
    [schemas.FILTER_BLOCKS.field(name) for name in ("block", "n_ngrams", "fp_rate", "filter", "answers")]
)
KEPT = pa.schema([schemas.KEPT_UNITS.field(name) for name in ("flock", "is_kept", "n_changed")])
FlockAnswers = tuple[ngram_packets.Flock, list[filter_blocks.Answer], np.ndarray | None]
"""A flock, the blocks' answers to it, and one bool for each unit: whether it was kept; null in the first round."""


def query_blocks(
    ngrams: "DataFrame",
    *,
    bloom: Bloom,
    geometry: Geometry,
    n_tasks: int,
    kept: "DataFrame | None" = None,
    before: "DataFrame | None" = None,
    keeps_filter: bool = False,
) -> "DataFrame":
    """Queries each block of the filter with the n-grams that fall into it: rows of block, n_ngrams, fp_rate, filter,
    answers.

    Args:
        ngrams: Rows of `schemas.NGRAMS`.
        bloom: The settings.
        geometry: The size and division of the filter.
        n_tasks: Number of tasks that process blocks.
        kept: Rows of `schemas.KEPT_UNITS`: only the n-grams of these units are added. Null: all are added.
        before: Rows of `schemas.FILTER_BLOCKS`: the content of the blocks from earlier dumps. All of them are in the
            result.
        keeps_filter: Whether the result includes the bits of the blocks.
    """
    nothing = F.lit(None).cast("binary")
    parts = [ngrams.where(F.col("block") != FLOCK_BLOCK).select("block", "flock", "packet")]
    if kept is not None:
        # Every block may hold n-grams of a flock's units.
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


def by_flock(ngrams: "DataFrame", blocks: "DataFrame", *, n_tasks: int, kept: "DataFrame | None" = None) -> "DataFrame":
    """Gathers the rows of each flock for `decide_ngrams` and `keep_units`: flock, packet, answer and is_kept.

    Args:
        ngrams: Rows of `schemas.NGRAMS`.
        blocks: Rows of `schemas.FILTER_BLOCKS` with the answers to these n-grams.
        n_tasks: Number of tasks that process flocks.
        kept: Rows of `schemas.KEPT_UNITS` of the previous round; null in the first.
    """
    nothing = F.lit(None).cast("binary")
    flocks = ngrams.where(F.col("block") == FLOCK_BLOCK)
    answers = blocks.select(F.explode("answers").alias("given")).select("given.flock", "given.answer")
    rows = flocks.select("flock", "packet", nothing.alias("answer"), nothing.alias("is_kept"))
    rows = rows.unionAll(answers.select("flock", nothing.alias("packet"), "answer", nothing.alias("is_kept")))
    if kept is not None:
        rows = rows.unionAll(kept.select("flock", nothing.alias("packet"), nothing.alias("answer"), "is_kept"))
    return rows.repartition(n_tasks, "flock").sortWithinPartitions("flock")


def with_answers(rows: "DataFrame", *, bloom: Bloom, geometry: Geometry, keeps_filter: bool) -> "DataFrame":
    """Answers the packets of each block, given its previous content and which units are kept: rows of `BLOCKS`.

    Args:
        rows: Rows of block, flock, packet, is_kept and filter, sorted by block. A block that is not new has one row
            with its filter. Each flock has one row with a packet, and one row with is_kept unless all its units are
            kept.
        bloom: The settings.
        geometry: The size and division of the filter.
        keeps_filter: Whether the result includes the bits of the blocks.
    """
    n_buckets = None if bloom.filter == "exact" else geometry.n_buckets

    def answer(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number, found in groupby(_dicts(batches), key=itemgetter("block")):
            block, packets, kept = filter_blocks.empty_block(n_buckets), {}, {}
            for row in found:
                if row["filter"] is not None:
                    block = filter_blocks.unpack_block(row["filter"])
                elif row["packet"] is not None:
                    packets[row["flock"]] = ngram_packets.unpack(row["packet"])
                else:
                    kept[row["flock"]] = _from_bits(row["is_kept"])
            flocks = sorted(packets)
            answers, block = filter_blocks.ask(
                block, [packets[flock] for flock in flocks], [kept.get(flock) for flock in flocks]
            )
            row = {
                "block": number,
                "n_ngrams": block.n_ngrams,
                "fp_rate": block.fp_rate,
                "filter": filter_blocks.pack_block(block) if keeps_filter else None,
                "answers": [
                    {"flock": flock, "answer": filter_blocks.pack_answer(given)}
                    for flock, given in zip(flocks, answers, strict=True)
                ],
            }
            yield pa.RecordBatch.from_pylist([row], schema=BLOCKS)

    return map_arrow(rows.select("block", "flock", "packet", "is_kept", "filter"), answer, BLOCKS, kernels=KERNELS)


def keep_units(rows: "DataFrame", *, bloom: Bloom) -> "DataFrame":
    """Decides which units of each flock are kept, by the share of their n-grams that was seen: rows of `KEPT`.

    Args:
        rows: Rows of `by_flock`, with the previous round's is_kept.
        bloom: The settings.
    """

    def decide_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for name, found in groupby(_dicts(batches), key=itemgetter("flock")):
            flock, answers, before = _read_flock(found)
            n_seen, _, _ = count_seen(flock, answers)
            kept = ~is_cut(flock, n_seen, bloom)
            was_kept = np.ones(len(kept), dtype=bool) if before is None else before
            row = {"flock": name, "is_kept": _to_bits(kept), "n_changed": int((kept != was_kept).sum())}
            yield pa.RecordBatch.from_pylist([row], schema=KEPT)

    return map_arrow(rows.select("flock", "packet", "answer", "is_kept"), decide_all, KEPT, kernels=KERNELS)


def _dicts(batches: Iterator[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        yield from batch.to_pylist()


def flocks(batches: Iterator[pa.RecordBatch]) -> Iterator[FlockAnswers]:
    """Yields the flocks in rows of `by_flock`."""
    for _, found in groupby(_dicts(batches), key=itemgetter("flock")):
        yield _read_flock(found)


def _read_flock(rows: Iterable[dict[str, Any]]) -> FlockAnswers:
    flock, answers, kept = None, [], None
    for row in rows:
        if row["packet"] is not None:
            flock = ngram_packets.unpack_flock(row["packet"])
        elif row["answer"] is not None:
            answers.append(filter_blocks.unpack_answer(row["answer"]))
        else:
            kept = _from_bits(row["is_kept"])
    assert flock is not None  # each flock has one row with its packet
    return flock, answers, None if kept is None else kept[: len(flock.n_ngrams)]


def _to_bits(flags: np.ndarray) -> bytes:
    return np.packbits(flags).tobytes()


def _from_bits(bits: bytes) -> np.ndarray:
    """Unpacks bits to truth values, followed by up to seven values of padding."""
    return np.unpackbits(np.frombuffer(bits, dtype=np.uint8)).view(bool)
