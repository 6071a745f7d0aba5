"""Arrow batches of deduplication: each function is one pass over rows in Python workers, lazy."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dclm_spark import schemas
from dclm_spark.kernels.bytes.sized import sized
from dclm_spark.kernels.compiled.machine_code import keep
from dclm_spark.kernels.ngrams import filter_blocks, ngram_packets
from dclm_spark.kernels.ngrams.bloom import Geometry
from dclm_spark.kernels.ngrams.exact_keys import text_keys, url_keys
from dclm_spark.kernels.ngrams.ngram_decisions import DECISIONS, count_seen, decide, is_cut
from dclm_spark.kernels.ngrams.ngrams import Units, ngrams
from dclm_spark.recipe.deduplication import Bloom, Exact
from dclm_spark.spark.types import spark_schema
from dclm_spark.spark.workers import code_for

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FLUSH_NGRAMS = 1 << 23
"""n-grams that a task holds before it packs them: some 200 MB, packing included."""

KEYS = pa.schema([field for field in schemas.EXACT_KEYS if field.name != "step"])
PACKETS = pa.schema([field for field in schemas.NGRAMS if field.name not in ("dump", "step")])
BLOCKS = pa.schema(
    [schemas.FILTER_BLOCKS.field(name) for name in ("block", "n_ngrams", "fp_rate", "filter", "answers")]
)
KEPT = pa.schema([schemas.KEPT_UNITS.field(name) for name in ("flock", "is_kept", "n_changed")])
COUNTS = pa.schema(
    [
        ("shard", pa.int32()),
        ("n_documents", pa.int64()),
        ("n_bytes", pa.int64()),
        # What follows is of the sample alone; the last three are sums of products.
        ("n_sampled", pa.int64()),
        ("n_sampled_bytes", pa.int64()),
        ("n_ngrams", pa.int64()),
        ("bytes_by_bytes", pa.float64()),
        ("bytes_by_ngrams", pa.float64()),
        ("ngrams_by_ngrams", pa.float64()),
    ]
)
"""One row is a sum over some documents of a shard."""

SAMPLE_TEXTS = pa.array(
    ["To be or not to be, that is the question:\nWhether 'tis nobler – in the mind – to suffer", "", None]
)
_IDS = ["0" * 31 + digit for digit in "123"]


def with_exact_keys(documents: "DataFrame", *, exact: Exact) -> "DataFrame":
    """Rows of `KEYS` for rows of doc_id, dump, host, n_chars and url or text; those without a key are left out."""
    is_url = exact.by == "url"
    code = code_for(documents, f"exact {exact.normalization}", lambda: text_keys(SAMPLE_TEXTS, exact.normalization))

    def find(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep(code)
        for batch in sized(batches):
            keys = url_keys(batch.column("url")) if is_url else text_keys(batch.column("text"), exact.normalization)
            columns = {name: batch.column(name) for name in ("dump", "doc_id", "host", "n_chars")} | {"key": keys}
            rows = pa.RecordBatch.from_arrays([columns[field.name].cast(field.type) for field in KEYS], schema=KEYS)
            yield rows.filter(keys.is_valid())

    needed = documents.select("doc_id", "dump", "host", exact.by, "n_chars")
    return needed.mapInArrow(find, spark_schema(KEYS))


def with_ngram_counts(rows: "DataFrame", *, bloom: Bloom) -> "DataFrame":
    """Rows of `COUNTS` for rows of shard, n_bytes, and text, which is null where a document is not in the sample."""
    code = code_for(rows, "deduplication", exercise_ngrams)

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep(code)
        for batch in sized(batches):
            units = ngrams(batch.column("text"), bloom, by_paragraph=bloom.mode != "document")
            first = np.concatenate([[0], np.cumsum(units.n_units)])
            n_ngrams = np.diff(np.concatenate([[0], np.cumsum(units.n_ngrams)])[first]).astype(np.float64)
            n_bytes = batch.column("n_bytes").to_numpy().astype(np.float64)
            sampled = n_bytes * batch.column("text").is_valid().to_numpy(zero_copy_only=False)
            numbers, places = np.unique(batch.column("shard").to_numpy(), return_inverse=True)
            sums = {
                "n_documents": np.ones(len(batch)),
                "n_bytes": n_bytes,
                "n_sampled": sampled > 0,
                "n_sampled_bytes": sampled,
                "n_ngrams": n_ngrams,
                "bytes_by_bytes": sampled * sampled,
                "bytes_by_ngrams": sampled * n_ngrams,
                "ngrams_by_ngrams": n_ngrams * n_ngrams,
            }
            columns = [numbers, *(np.bincount(places, sums[name], len(numbers)) for name in sums)]
            yield pa.RecordBatch.from_arrays(
                [pa.array(column).cast(field.type) for column, field in zip(columns, COUNTS, strict=True)],
                schema=COUNTS,
            )

    return rows.select("shard", "n_bytes", "text").mapInArrow(count, spark_schema(COUNTS))


def with_ngrams(documents: "DataFrame", *, bloom: Bloom, n_blocks: int) -> "DataFrame":
    """Rows of `PACKETS` for rows of doc_id, bloom_order and text.

    A task holds `FLUSH_NGRAMS`, packs them, and forgets them. Where every n-gram is kept, an equal unit is not sent
    again.
    """
    code = code_for(documents, "deduplication", exercise_ngrams)
    is_exact, by_paragraph = bloom.filter == "exact", bloom.mode != "document"

    def flush(held: list[tuple[Any, ...]], sent: ngram_packets.Sent | None) -> Iterator[pa.RecordBatch]:
        orders, ids, units = zip(*held, strict=True)
        together = Units(*(np.concatenate(columns) for columns in zip(*units, strict=True)))
        flock, blocks, counts, packets = ngram_packets.pack(
            np.concatenate(orders), np.concatenate(ids), together, n_blocks=n_blocks, sent=sent, is_exact=is_exact
        )
        columns = [pa.array([flock] * len(blocks)), pa.array(blocks), pa.array(counts), pa.array(packets, pa.binary())]
        yield pa.RecordBatch.from_arrays(
            [one.cast(field.type) for one, field in zip(columns, PACKETS, strict=True)], schema=PACKETS
        )

    def gather(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep(code)
        sent = ngram_packets.Sent() if bloom.inserts == "always" and not is_exact else None
        held: list[tuple[Any, ...]] = []
        n_held = 0
        for batch in sized(batches):
            if len(batch):
                units = ngrams(batch.column("text"), bloom, by_paragraph=by_paragraph)
                orders = batch.column("bloom_order").to_numpy().astype(np.uint64)
                held.append((orders, ngram_packets.halves(batch.column("doc_id").to_pylist()), units))
                n_held += len(units.hashes)
            if n_held >= FLUSH_NGRAMS:
                yield from flush(held, sent)
                held, n_held = [], 0
        if held:
            yield from flush(held, sent)

    return documents.select("doc_id", "bloom_order", "text").mapInArrow(gather, spark_schema(PACKETS))


def with_answers(rows: "DataFrame", *, bloom: Bloom, geometry: Geometry, keeps_filter: bool) -> "DataFrame":
    """Rows of `BLOCKS` for what comes together in each block: what it held before, packets, and which units are kept.

    Args:
        rows: Rows of block, flock, packet, is_kept and filter, sorted by block: one with a filter for a block that is
            not new; for each flock one with a packet, and one with is_kept unless all its units are.
        bloom: The settings.
        geometry: Of the filter.
        keeps_filter: The blocks themselves are among the rows made.
    """
    code = code_for(rows, "deduplication", exercise_ngrams)
    n_buckets = None if bloom.filter == "exact" else geometry.n_buckets

    def answer(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep(code)
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

    return rows.select("block", "flock", "packet", "is_kept", "filter").mapInArrow(answer, spark_schema(BLOCKS))


def with_decisions(rows: "DataFrame", *, bloom: Bloom, dumps: Sequence[str]) -> "DataFrame":
    """Rows of `DECISIONS` for what comes together of each flock: its own packet, and the answers of blocks.

    Args:
        rows: Rows of flock, packet and answer, sorted by flock, one of the two null.
        bloom: The settings.
        dumps: The dumps in their places.
    """
    code = code_for(rows, "deduplication", exercise_ngrams)

    def decide_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep(code)
        for flock, answers, _ in _flocks(batches):
            yield decide(flock, answers, bloom=bloom, dumps=dumps)

    return rows.select("flock", "packet", "answer", "is_kept").mapInArrow(decide_all, spark_schema(DECISIONS))


def with_kept_units(rows: "DataFrame", *, bloom: Bloom) -> "DataFrame":
    """Rows of `KEPT` for the same rows, and those of the round before with is_kept."""
    code = code_for(rows, "deduplication", exercise_ngrams)

    def decide_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep(code)
        for name, found in groupby(_dicts(batches), key=itemgetter("flock")):
            flock, answers, before = _read_flock(found)
            n_seen, _, _ = count_seen(flock, answers)
            kept = ~is_cut(flock, n_seen, bloom)
            was_kept = np.ones(len(kept), dtype=bool) if before is None else before
            row = {"flock": name, "is_kept": _to_bits(kept), "n_changed": int((kept != was_kept).sum())}
            yield pa.RecordBatch.from_pylist([row], schema=KEPT)

    return rows.select("flock", "packet", "answer", "is_kept").mapInArrow(decide_all, spark_schema(KEPT))


def _dicts(batches: Iterator[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        yield from batch.to_pylist()


def _flocks(batches: Iterator[pa.RecordBatch]):
    for _, found in groupby(_dicts(batches), key=itemgetter("flock")):
        yield _read_flock(found)


def _read_flock(rows) -> tuple[ngram_packets.Flock, list[filter_blocks.Answer], np.ndarray | None]:
    flock, answers, kept = None, [], None
    for row in rows:
        if row["packet"] is not None:
            flock = ngram_packets.unpack_flock(row["packet"])
        elif row["answer"] is not None:
            answers.append(filter_blocks.unpack_answer(row["answer"]))
        else:
            kept = _from_bits(row["is_kept"])
    return flock, answers, None if kept is None else kept[: len(flock.n_ngrams)]


def _to_bits(flags: np.ndarray) -> bytes:
    return np.packbits(flags).tobytes()


def _from_bits(bits: bytes) -> np.ndarray:
    """The truth values, and up to seven more."""
    return np.unpackbits(np.frombuffer(bits, dtype=np.uint8)).view(bool)


def exercise_ngrams() -> None:
    """Runs every kernel of n-grams on little, so that workers need not compile them."""
    ids = ngram_packets.halves(_IDS)
    for name in ("bloom", "exact"):
        bloom = Bloom(min_ngram=2, max_ngram=3, filter=name, scope="shards")
        is_exact = name == "exact"
        units = ngrams(SAMPLE_TEXTS, bloom, by_paragraph=True)
        sent = None if is_exact else ngram_packets.Sent(16)
        _, _, _, packets = ngram_packets.pack(ids[:, 1], ids, units, n_blocks=2, sent=sent, is_exact=is_exact)
        block = filter_blocks.empty_block(None if is_exact else 1)
        unpacked = [ngram_packets.unpack(packet) for packet in packets[1:]]
        _, block = filter_blocks.ask(block, unpacked, [None] * len(unpacked))
        filter_blocks.unpack_block(filter_blocks.pack_block(block))
        assert block.fp_rate >= 0
