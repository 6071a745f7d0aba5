"""Joins the texts that share a band key, a bucket, into candidate pairs."""

from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.compiled.jit import kernel
from dclm_spark.kernels.near.entry_packets import IS_FIRST_BAND, SURVIVOR_ORDER_BITS, Entries, Repeated

N_EXAMPLES = 5  # pairs of a giant bucket that are reported
IS_FIRST = -1
"""Used instead of an order: the pair only says that the text is the first of a bucket."""
_SHIFT = np.uint64(SURVIVOR_ORDER_BITS)


class Edges(NamedTuple):
    """Candidate pairs of a text and the first text of a bucket that holds both, as arrays of equal length.

    Args:
        texts: int64. Hash of the text.
        others: int64. Hash of the bucket's first text; the text itself if several documents have it.
        dumps: int64. Index of the dump of the text's first document; of its last one if the text is its own pair. With
            `to_verify`, the whole order of that document, or `IS_FIRST`.
        bucket_sizes: int64. Number of texts of the giant bucket that the pair is an example of; else 0.
        is_ignored: bool. Whether the pair is only an example, not a candidate.
    """

    texts: np.ndarray
    others: np.ndarray
    dumps: np.ndarray
    bucket_sizes: np.ndarray
    is_ignored: np.ndarray


def join_block(
    entries: Entries,
    repeated: Repeated,
    *,
    first_new_dump: int,
    giant_bucket: int,
    ignores_giants: bool,
    to_verify: bool = False,
) -> Edges:
    """Returns the edges of all buckets of a block, each once, unordered; takes time linear in the number of entries.

    Args:
        entries: All entries of the block, in any order; a (key, text) may be repeated if it comes from several packets.
        repeated: Repeated texts of the block, in any order.
        first_new_dump: Index of the first new dump: only texts of this dump and later ones make edges.
        giant_bucket: A bucket with more texts than this makes examples.
        ignores_giants: Whether such a bucket makes no other edges.
        to_verify: Whether to add the pairs that `kernels.near.firsts` needs: the first text of each bucket as its own
            pair, and, if one member of a bucket is new, the earlier members too.
    """
    by_key = np.lexsort((entries.orders, entries.texts, entries.keys))
    keys, texts, orders = (column[by_key] for column in entries)
    found = Edges(*_join_sorted(keys, texts, orders, first_new_dump, giant_bucket, ignores_giants, to_verify))
    is_new = repeated.last_dumps >= first_new_dump
    own = repeated.texts[is_new]
    none = np.zeros(len(own), dtype=np.int64)
    dumps = repeated.last_dumps[is_new] << (SURVIVOR_ORDER_BITS if to_verify else 0)
    repeats = Edges(own, own, dumps, none, none.astype(bool))
    return distinct_edges(Edges(*(np.concatenate(pair) for pair in zip(found, repeats, strict=True))))


def distinct_edges(edges: Edges) -> Edges:
    """Merges repeated pairs: takes the last dump of a text's own pair, the largest bucket, ignored only if all are."""
    order = np.lexsort((edges.others, edges.texts))
    texts, others, dumps, sizes, is_ignored = (column[order] for column in edges)
    if len(texts) == 0:
        return edges
    is_first = np.ones(len(texts), dtype=bool)
    is_first[1:] = (texts[1:] != texts[:-1]) | (others[1:] != others[:-1])
    starts = np.flatnonzero(is_first)
    return Edges(
        texts[starts],
        others[starts],
        np.maximum.reduceat(dumps, starts),
        np.maximum.reduceat(sizes, starts),
        np.logical_and.reduceat(is_ignored, starts),
    )


@kernel
def _join_sorted(keys, texts, orders, first_new_dump, giant_bucket, ignores_giants, to_verify):
    """Makes the edges of entries that are sorted by key, text and order."""
    n = len(keys)
    # There are at most as many edges as entries; memory that is never written costs nothing.
    out_texts, out_others = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    out_dumps, out_sizes = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    out_ignored = np.empty(n, dtype=np.bool_)
    n_edges = 0
    start = 0
    while start < n:
        end = start + 1
        n_texts = 1
        center = start  # the bucket's first text: the smallest order, then the smallest hash
        has_new = np.int64(orders[start] >> _SHIFT) >= first_new_dump
        while end < n and keys[end] == keys[start]:
            if texts[end] != texts[end - 1]:
                n_texts += 1
                has_new |= np.int64(orders[end] >> _SHIFT) >= first_new_dump
            if orders[end] < orders[center]:
                center = end
            end += 1
        is_giant = n_texts > giant_bucket
        is_whole = to_verify and has_new and not (is_giant and ignores_giants)
        n_examples = 0
        n_before = n_edges
        at = start
        while at < end:
            # A text from several packets: its first document is in the first entry, its last one in the last entry.
            last = at
            while last + 1 < end and texts[last + 1] == texts[at]:
                last += 1
            dump, last_dump = np.int64(orders[at] >> _SHIFT), np.int64(orders[last] >> _SHIFT)
            if last > at and keys[at] & IS_FIRST_BAND and last_dump >= first_new_dump:
                out_texts[n_edges] = out_others[n_edges] = texts[at]
                out_dumps[n_edges] = np.int64(orders[last]) if to_verify else last_dump
                out_sizes[n_edges] = 0
                out_ignored[n_edges] = False
                n_edges += 1
            is_new = dump >= first_new_dump
            if texts[at] != texts[center] and (is_new or is_whole):
                is_example = is_giant and is_new and n_examples < N_EXAMPLES
                if is_example or not (is_giant and ignores_giants):
                    out_texts[n_edges] = texts[at]
                    out_others[n_edges] = texts[center]
                    out_dumps[n_edges] = np.int64(orders[at]) if to_verify else dump
                    out_sizes[n_edges] = n_texts if is_example else 0
                    out_ignored[n_edges] = is_giant and ignores_giants
                    n_edges += 1
                    n_examples += is_example
            at = last + 1
        if to_verify and n_edges > n_before:
            # The center's own entry makes no other edge, except if it is repeated: then it has two.
            out_texts[n_edges] = out_others[n_edges] = texts[center]
            out_dumps[n_edges] = IS_FIRST
            out_sizes[n_edges] = 0
            out_ignored[n_edges] = True
            n_edges += 1
        start = end
    return out_texts[:n_edges], out_others[:n_edges], out_dumps[:n_edges], out_sizes[:n_edges], out_ignored[:n_edges]
