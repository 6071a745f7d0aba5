"""Judges the documents of a shard one after the other by the n-grams seen before, as BFF does (DCLM, `dedup/bff`).

The verdicts depend only on the documents and their order, not on the batches.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.bytes.hashing import finish, hash_bytes
from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.ngrams.bloom import Geometry, reached_rate
from dclm_spark.kernels.ngrams.ngrams import Rules, fill_ngrams, longest_row, paragraph_end, room_for, rules_of
from dclm_spark.kernels.ngrams.seen import NOBODY, first_to_have, make_room, nothing_seen, see, was_seen
from dclm_spark.kernels.text.unicode import utf8_buffers
from dclm_spark.recipe.deduplication import Bloom

_MODES = {"paragraph": 0, "document": 1, "old_both": 2, "naive_both": 3, "both": 4, "exact": 5}
_PARAGRAPH, _DOCUMENT, _OLD_BOTH, _NAIVE_BOTH, _BOTH, _EXACT = range(6)


class Verdicts(NamedTuple):
    """The verdicts on documents: the first five arrays have one value for each document, the others one for each
    removed paragraph.

    Args:
        is_gone: bool. Whether the whole document is removed.
        is_emptied: bool. Whether it is removed because only white space would remain.
        shares: float64. Share of its n-grams that was seen, [0, 1]; NaN without n-grams.
        firsts: int64. Number, in the shard, of the earliest document that had one of them; -1 if unknown.
        n_cuts: int64. Number of paragraphs removed from the document; 0 if the whole document is removed.
        paragraphs: int32. Index of the removed paragraph in its document, from 0.
        cut_shares: float64. Share of its n-grams that was seen, [0, 1].
        cut_firsts: int64. Like `firsts`, for the paragraph's n-grams.
    """

    is_gone: np.ndarray
    is_emptied: np.ndarray
    shares: np.ndarray
    firsts: np.ndarray
    n_cuts: np.ndarray
    paragraphs: np.ndarray
    cut_shares: np.ndarray
    cut_firsts: np.ndarray


class Shard:
    """Holds the n-grams seen in a shard so far, and judges its next documents.

    Args:
        bloom: The settings.
        geometry: Size of the filter; null: an exact one.
    """

    def __init__(self, bloom: Bloom, geometry: Geometry | None):
        self._bloom = bloom
        self._seen = nothing_seen(geometry)
        self.n_documents = 0

    @property
    def n_ngrams(self) -> int:
        """Number of n-grams added; of distinct ones if the filter is exact."""
        return int(self._seen.n_held[0])

    @property
    def fp_rate(self) -> float:
        """The false-positive rate; 0 if the filter is exact."""
        return float(reached_rate(self._seen.words)) if len(self._seen.words) else 0.0

    def judge(self, text: pa.Array) -> Verdicts:
        """Judges the next documents of the shard; a null, which has no n-grams, is kept."""
        bloom = self._bloom
        rules, tables = rules_of(bloom)
        is_null = text.is_null().to_numpy(zero_copy_only=False)
        *found, hashes, firsts = _judge_rows(
            *utf8_buffers(text),
            is_null,
            tables,
            rules,
            _MODES[bloom.mode],
            bloom.threshold,
            bloom.inserts == "always",
            self._seen,
            self.n_documents,
        )
        self._seen = self._seen._replace(hashes=hashes, firsts=firsts)
        self.n_documents += len(text)
        return Verdicts(*found)


@helper
def _count_seen(found, n, words, shift, n_buckets, hashes):
    n_seen = 0
    for index in range(n):
        n_seen += was_seen(found[index], words, shift, n_buckets, hashes)
    return n_seen


@helper
def _earliest(found, n, hashes, firsts):
    """Returns the earliest document that had one of these n-grams."""
    earliest = NOBODY
    if len(hashes):
        for index in range(n):
            first = first_to_have(found[index], hashes, firsts)
            if first != NOBODY and (earliest == NOBODY or first < earliest):
                earliest = first
    return earliest


@helper
def _earlier(one, other):
    """Returns the earlier of two documents; either may be unknown."""
    if one == NOBODY or other == NOBODY:
        return max(one, other)
    return min(one, other)


@helper
def _see_all(found, n, document, words, shift, n_buckets, hashes, firsts, n_held):
    hashes, firsts = make_room(hashes, firsts, n_held[0], n)
    for index in range(n):
        see(found[index], document, words, shift, n_buckets, hashes, firsts, n_held)
    return hashes, firsts


@kernel
def _judge_rows(text, offsets, is_null, tables, rules, mode, threshold, inserts_always, seen, first_number):
    words, shift, n_buckets, hashes, firsts, n_held = seen
    full_size = Rules(rules.max_ngram, rules.max_ngram, rules.seed, rules.factor, rules.top)
    n_rows = len(offsets) - 1
    room = room_for(longest_row(offsets))
    found = room.hashes
    is_gone, is_emptied = np.zeros(n_rows, dtype=np.bool_), np.zeros(n_rows, dtype=np.bool_)
    shares = np.full(n_rows, np.nan)
    earliest = np.full(n_rows, NOBODY)
    n_cuts = np.zeros(n_rows, dtype=np.int64)
    most_cuts = (offsets[-1] - offsets[0]) // 2 + n_rows
    paragraphs = np.empty(most_cuts, dtype=np.int32)
    cut_shares = np.empty(most_cuts, dtype=np.float64)
    cut_firsts = np.empty(most_cuts, dtype=np.int64)
    n_all_cuts = 0
    for row in range(n_rows):
        if is_null[row]:
            continue
        start, stop, number = offsets[row], offsets[row + 1], first_number + row
        if mode == _BOTH:
            end = paragraph_end(text, start, stop)
            n_first = max(fill_ngrams(text, start, end, tables, full_size, room), 0)
            n = max(fill_ngrams(text, start, stop, tables, rules, room), 0)
            if n == 0:
                continue
            # The only n-gram of a short document belongs to no paragraph; those of the first paragraph come first.
            n_seen = _count_seen(found, n, words, shift, n_buckets, hashes)
            n_seen_first = _count_seen(found, n_first, words, shift, n_buckets, hashes)
            shares[row] = n_seen / n
            is_gone[row] = shares[row] >= threshold
            if is_gone[row]:
                earliest[row] = _earliest(found, n, hashes, firsts)
            elif n_first > 0 and n_seen_first / n_first >= threshold:
                earliest[row] = _earliest(found, n_first, hashes, firsts)
                if fill_ngrams(text, min(end + 1, stop), stop, tables, rules, room) == 0:
                    is_emptied[row] = True
                else:
                    paragraphs[n_all_cuts] = 0
                    cut_shares[n_all_cuts] = n_seen_first / n_first
                    cut_firsts[n_all_cuts] = earliest[row]
                    n_all_cuts += 1
                    n_cuts[row] = 1
            else:
                hashes, firsts = _see_all(found, n, number, words, shift, n_buckets, hashes, firsts, n_held)
            continue
        if mode in (_EXACT, _DOCUMENT, _NAIVE_BOTH):
            if mode == _EXACT:
                found[0] = finish(hash_bytes(text, start, stop, rules.seed))
                n = 1
            else:
                n = fill_ngrams(text, start, stop, tables, rules, room)
            n_seen = _count_seen(found, n, words, shift, n_buckets, hashes)
            if n > 0:
                shares[row] = n_seen / n
                is_gone[row] = shares[row] > (0.0 if mode == _EXACT else threshold)
            if is_gone[row]:
                earliest[row] = _earliest(found, n, hashes, firsts)
            if inserts_always or not is_gone[row]:
                hashes, firsts = _see_all(found, n, number, words, shift, n_buckets, hashes, firsts, n_held)
            if mode != _NAIVE_BOTH or is_gone[row]:
                continue
        n_document = n_seen_document = 0
        n_before = n_all_cuts
        paragraph, at, n_kept, has_short = 0, start, 0, False
        while at <= stop:
            end = paragraph_end(text, at, stop)
            n = fill_ngrams(text, at, end, tables, rules, room)
            has_short |= n < 0
            if n > 0:
                n_seen = _count_seen(found, n, words, shift, n_buckets, hashes)
                n_document += n
                n_seen_document += n_seen
                is_cut = n_seen / n > threshold
                if n_seen:
                    first = _earliest(found, n, hashes, firsts)
                    earliest[row] = _earlier(earliest[row], first)
                    if is_cut:
                        paragraphs[n_all_cuts] = paragraph
                        cut_shares[n_all_cuts] = n_seen / n
                        cut_firsts[n_all_cuts] = first
                        n_all_cuts += 1
                n_kept += not is_cut
                if inserts_always or not is_cut:
                    hashes, firsts = _see_all(found, n, number, words, shift, n_buckets, hashes, firsts, n_held)
            paragraph += 1
            at = end + 1
        if n_document > 0:
            shares[row] = n_seen_document / n_document
            is_gone[row] = mode == _OLD_BOTH and shares[row] > threshold
            is_emptied[row] = not is_gone[row] and n_kept == 0 and not has_short
        if is_gone[row] or is_emptied[row]:
            n_all_cuts = n_before
        n_cuts[row] = n_all_cuts - n_before
    return (
        is_gone,
        is_emptied,
        shares,
        earliest,
        n_cuts,
        paragraphs[:n_all_cuts],
        cut_shares[:n_all_cuts],
        cut_firsts[:n_all_cuts],
        hashes,
        firsts,
    )
