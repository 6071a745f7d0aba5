"""Decides which documents and paragraphs are removed, from the blocks' counts of n-grams that were seen before."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from dclm_spark import schemas
from dclm_spark.kernels.ngrams.filter_blocks import Answer
from dclm_spark.kernels.ngrams.ngram_packets import Flock, doc_ids
from dclm_spark.kernels.ngrams.seen import NOBODY
from dclm_spark.kernels.ngrams.shards import Verdicts
from dclm_spark.recipe.deduplication import Bloom

DECISIONS = pa.schema([field for field in schemas.DECISIONS if field.name != "step"])
OF_NGRAMS, OF_PARAGRAPHS = "duplicate_ngrams", "duplicate_paragraphs"
"""Reasons to remove a document: most of its n-grams were seen before; or all its paragraphs were removed for that."""
DOCUMENT_ORDER_BITS = 52
"""Bits of an order below the dump's index among the dumps deduplicated together: the order within the dump."""


def count_seen(flock: Flock, answers: Iterable[Answer]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums the answers for each unit of a flock: n-grams seen, and order and id of the earliest document that had one.

    Counts are int64. Orders are uint64, the largest number if no document is known. Ids are two halves.
    """
    n_seen = np.where(flock.is_repeat != 0, flock.n_ngrams, 0)
    orders = np.full(len(n_seen), np.iinfo(np.uint64).max, dtype=np.uint64)
    ids = np.zeros((len(n_seen), 2), dtype=np.uint64)
    for answer in answers:
        n_seen[answer.units] += answer.n_seen
        if len(answer.orders):
            is_earlier = answer.orders < orders[answer.units]
            units = answer.units[is_earlier]
            orders[units], ids[units] = answer.orders[is_earlier], answer.ids[is_earlier]
    return n_seen, orders, ids


def is_cut(flock: Flock, n_seen: np.ndarray, bloom: Bloom) -> np.ndarray:
    """Returns which units are removed, each judged alone."""
    return n_seen / flock.n_ngrams > bloom.threshold


def decide(flock: Flock, answers: Iterable[Answer], *, bloom: Bloom, dumps: Sequence[str]) -> pa.RecordBatch:
    """Decides the documents of a flock: rows of `DECISIONS` for those removed, or with paragraphs removed.

    Args:
        flock: The documents.
        answers: The answers of all blocks.
        bloom: Its `mode` and `threshold` are used.
        dumps: Names of all dumps in their order, including earlier ones.
    """
    n_seen, orders, ids = count_seen(flock, answers)
    cut = is_cut(flock, n_seen, bloom)
    n_documents = len(flock.n_units)
    owners = np.repeat(np.arange(n_documents), flock.n_units)
    n_all = np.bincount(owners, flock.n_ngrams, n_documents)
    n_all_seen = np.bincount(owners, n_seen, n_documents)
    n_cuts = np.bincount(owners, cut, n_documents).astype(np.int64)
    with np.errstate(invalid="ignore"):
        shares = n_all_seen / n_all
        is_removed = shares > bloom.threshold if bloom.mode != "paragraph" else np.zeros(n_documents, dtype=bool)
    # The only unit of a document is removed with it.
    is_emptied = ~is_removed & (n_cuts > 0) & (n_cuts == flock.n_units) & (flock.has_short == 0)
    is_cut_here = cut & ~(is_removed | is_emptied)[owners]
    cuts = np.flatnonzero(is_cut_here)
    has_first = orders != np.iinfo(np.uint64).max
    details = _details(orders, ids, has_first, dumps)
    firsts = _firsts(orders, owners, n_documents)
    return _rows(
        doc_ids(flock.ids),
        [dumps[index] for index in _dump_indices(flock.orders)],
        Verdicts(
            is_removed,
            is_emptied,
            shares,
            firsts,
            np.bincount(owners[cuts], minlength=n_documents),
            flock.paragraphs[cuts],
            (n_seen / flock.n_ngrams)[cuts],
            np.where(has_first, np.arange(len(orders)), NOBODY)[cuts],
        ),
        details,
    )


def _firsts(orders: np.ndarray, owners: np.ndarray, n_documents: int) -> np.ndarray:
    """Returns, for each document, its unit whose n-grams were seen in the earliest document; -1 if none is known."""
    firsts = np.full(n_documents, NOBODY)
    by_order = np.argsort(orders, kind="stable")[::-1]
    firsts[owners[by_order]] = by_order  # the last one to be written is the smallest
    known = firsts != NOBODY
    firsts[known] = np.where(orders[firsts[known]] == np.iinfo(np.uint64).max, NOBODY, firsts[known])
    return firsts


def _details(orders: np.ndarray, ids: np.ndarray, has_first: np.ndarray, dumps: Sequence[str]) -> list[str | None]:
    found: list[str | None] = [None] * len(orders)
    known = np.flatnonzero(has_first)
    for unit, index, doc_id in zip(known.tolist(), _dump_indices(orders[known]), doc_ids(ids[known]), strict=True):
        found[unit] = first_seen(dumps[index], doc_id)
    return found


def _dump_indices(orders: np.ndarray) -> list[int]:
    return (orders >> np.uint64(DOCUMENT_ORDER_BITS)).tolist()


def first_seen(dump: str, doc_id: str) -> str:
    """Formats the document in which an n-gram was seen first."""
    return f"first seen in {doc_id} of {dump}"


def rows_of_shard(ids: Sequence[str], dumps: Sequence[str], verdicts: Verdicts, seen: Sequence[str]) -> pa.RecordBatch:
    """Makes rows of `DECISIONS` for documents of a shard.

    Args:
        ids: doc_ids of the documents.
        dumps: Dumps of the documents.
        verdicts: The verdicts on the documents.
        seen: For each document of the shard so far, the words that name it.
    """
    return _rows(ids, dumps, verdicts, seen)


def _rows(ids: Sequence[str], dumps: Sequence[str], verdicts: Verdicts, words: Sequence[str | None]) -> pa.RecordBatch:
    """Makes rows for documents that are removed or lose paragraphs; `firsts` of the verdicts are indices into
    `words`."""

    def detail(number: int) -> str | None:
        return words[number] if number != NOBODY else None

    is_whole = verdicts.is_removed | verdicts.is_emptied
    taken = np.flatnonzero(is_whole | (verdicts.n_cuts > 0))
    numbers = taken.tolist()
    takes_whole = is_whole[taken]
    n_cuts = verdicts.n_cuts[taken]
    cuts = pa.StructArray.from_arrays(
        [
            pa.array(verdicts.paragraphs, pa.int32()),
            pa.array(verdicts.cut_shares),
            pa.array([detail(first) for first in verdicts.cut_firsts.tolist()], pa.string()),
        ],
        fields=list(schemas.CUT),
    )
    # Documents that are removed have none, so the paragraphs of the others are contiguous.
    list_offsets = np.concatenate([[0], np.cumsum(n_cuts)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(list_offsets), cuts, mask=pa.array(takes_whole)) if len(taken) else None
    columns = {
        "dump": pa.array([dumps[number] for number in numbers], pa.string()),
        "doc_id": pa.array([ids[number] for number in numbers], pa.string()),
        "removed_by": pa.array(
            [
                OF_NGRAMS if verdicts.is_removed[number] else OF_PARAGRAPHS if verdicts.is_emptied[number] else None
                for number in numbers
            ],
            pa.string(),
        ),
        "value": pa.array(verdicts.shares[taken], mask=~takes_whole),
        "detail": pa.array(
            [detail(int(verdicts.firsts[number])) if is_whole[number] else None for number in numbers], pa.string()
        ),
        "survivor_id": pa.nulls(len(numbers), pa.string()),
        "survivor_dump": pa.nulls(len(numbers), pa.string()),
        "cuts": lists if lists is not None else pa.array([], pa.list_(schemas.CUT)),
    }
    return pa.RecordBatch.from_arrays([columns[field.name].cast(field.type) for field in DECISIONS], schema=DECISIONS)
