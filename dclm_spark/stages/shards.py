"""Deduplicates by shard: one worker reads the documents of a shard in order, with a filter of its own, and decides."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.bytes.sized import sized
from dclm_spark.kernels.ngrams.bloom import Geometry, geometry_for
from dclm_spark.kernels.ngrams.ngram_decisions import DECISIONS, first_seen, rows_of_shard
from dclm_spark.kernels.ngrams.shards import Shard
from dclm_spark.recipe.deduplication import Bloom
from dclm_spark.spark.workers import Kernels, map_arrow
from dclm_spark.stages.columns import document_order, dump_index
from dclm_spark.stages.filter_blocks import BLOCKS
from dclm_spark.stages.ngrams import SAMPLE_TEXTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


FLUSH_DECISIONS = 1 << 16
"""Number of decisions that a task collects before it yields them."""


def ask_shards(
    documents: "DataFrame", *, bloom: Bloom, dumps: Sequence[str], capacity: int, n_tasks: int
) -> "DataFrame":
    """Decides the documents of each shard: rows like those of `filter_blocks.ask_blocks`, whose answers are decisions.

    Args:
        documents: Rows of doc_id, dump, host, text, shard and task; all rows of a shard have the same task number.
        bloom: The settings.
        dumps: Names of the dumps in their order.
        capacity: Number of n-grams that the filter of a shard is sized for.
        n_tasks: Number of tasks that read shards.
    """
    order = document_order(dump_index(dumps), bloom.order, bloom.preferred_domains)
    rows = documents.select("shard", "task", "doc_id", "dump", "text", order.alias("bloom_order"))
    sorted_rows = rows.repartition(n_tasks, "task").sortWithinPartitions("shard", "bloom_order", "doc_id")
    return with_shard_answers(sorted_rows, bloom=bloom, capacity=capacity)


def with_shard_answers(documents: "DataFrame", *, bloom: Bloom, capacity: int) -> "DataFrame":
    """Decides rows of shard, doc_id, dump and text: rows of `BLOCKS`, where a shard is a block and answers are
    decisions.

    The rows of a shard must be in one partition, one after the other, in their order.
    """
    is_exact = bloom.filter == "exact"
    geometry = None if is_exact else geometry_for(capacity, bloom.fp_rate)

    def row_of(number: int, shard: Shard, decided: list[pa.RecordBatch], is_last: bool) -> pa.RecordBatch:
        row = {
            "block": number,
            "n_ngrams": shard.n_ngrams,
            "fp_rate": shard.fp_rate if is_last else 0.0,
            "filter": None,
            "answers": [{"flock": number, "answer": _to_stream(decided)}],
        }
        return pa.RecordBatch.from_pylist([row], schema=BLOCKS)

    def judge(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        number: int | None = None
        shard: Shard | None = None
        seen: list[str] = []
        decided: list[pa.RecordBatch] = []
        for part in _of_one_shard(_without_repeats(sized(batches))):
            this: int = part.column("shard")[0].as_py()
            if number is None or shard is None or this != number:
                if number is not None and shard is not None:
                    yield row_of(number, shard, decided, is_last=True)
                number, shard, seen, decided = this, Shard(bloom, geometry), [], []
            ids, dumps = part.column("doc_id").to_pylist(), part.column("dump").to_pylist()
            if is_exact:
                seen += map(first_seen, dumps, ids)
            decided.append(rows_of_shard(ids, dumps, shard.judge(part.column("text")), seen))
            if sum(map(len, decided)) >= FLUSH_DECISIONS:
                yield row_of(number, shard, decided, is_last=False)
                decided = []
        if number is not None and shard is not None:
            yield row_of(number, shard, decided, is_last=True)

    return map_arrow(documents.select("shard", "doc_id", "dump", "text"), judge, BLOCKS, kernels=_KERNELS)


def with_shard_decisions(answers: "DataFrame") -> "DataFrame":
    """Unpacks the answers of shards into rows of `DECISIONS`."""

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for answer in batch.column("answer").to_pylist():
                yield from pa.ipc.open_stream(answer)

    return map_arrow(answers.select("answer"), read, DECISIONS)


def _without_repeats(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Drops rows that have the same document as the row before."""
    last = None
    for batch in batches:
        ids = list(zip(batch.column("dump").to_pylist(), batch.column("doc_id").to_pylist(), strict=True))
        is_new = [one != before for one, before in zip(ids, [last, *ids], strict=False)]
        yield batch if all(is_new) else batch.filter(pa.array(is_new))
        last = ids[-1] if ids else last


def _of_one_shard(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Splits batches so that none holds rows of two shards."""
    for batch in batches:
        shards = batch.column("shard").to_numpy()
        ends = np.append(np.flatnonzero(np.diff(shards)) + 1, len(shards)).tolist()
        start = 0
        for end in ends:
            if end > start:
                yield batch.slice(start, end - start)
            start = end


def _to_stream(rows: list[pa.RecordBatch]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, DECISIONS, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        for batch in rows:
            stream.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _exercise() -> None:
    """Runs the kernel of shards on tiny data, so that workers need not compile it."""
    for name, geometry in (("bloom", Geometry(1, 1)), ("exact", None)):
        Shard(Bloom(min_ngram=2, max_ngram=3, filter=name, scope="shards"), geometry).judge(SAMPLE_TEXTS)


_KERNELS = Kernels("shards", _exercise)
