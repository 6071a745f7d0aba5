"""Judges the documents of a shard one after the other by the n-grams seen before, as BFF does (DCLM, `dedup/bff`).

The verdicts depend only on the documents and their order, not on the batches.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.bytes.hashing import finish, hash_bytes
from dclm_spark.kernels.compiled.jit import helper, inlined_code, kernel
from dclm_spark.kernels.ngrams.bloom import Geometry, reached_rate
from dclm_spark.kernels.ngrams.ngrams import Rules, fill_ngrams, longest_row, paragraph_end, room_for, rules_of
from dclm_spark.kernels.ngrams.seen import NOBODY, Seen, first_to_have, make_room, nothing_seen, see, was_seen
from dclm_spark.kernels.text.unicode import CharTables, utf8_buffers
from dclm_spark.recipe.deduplication import Bloom

_MODES = {"paragraph": 0, "document": 1, "old_both": 2, "naive_both": 3, "both": 4, "exact": 5}
_PARAGRAPH, _DOCUMENT, _OLD_BOTH, _NAIVE_BOTH, _BOTH, _EXACT = range(6)


class Verdicts(NamedTuple):
    """The verdicts on documents: the first five arrays have one value for each document, the others one for each
    removed paragraph.

    Args:
        is_removed: bool. Whether the whole document is removed because of its n-grams.
        is_emptied: bool. Whether it is removed because only white space would remain.
        shares: float64. Share of its n-grams that was seen, [0, 1]; NaN without n-grams.
        firsts: int64. Number, in the shard, of the earliest document that had one of them; -1 if unknown.
        n_cuts: int64. Number of paragraphs removed from the document; 0 if the whole document is removed.
        paragraphs: int32. Index of the removed paragraph in its document, from 0.
        cut_shares: float64. Share of its n-grams that was seen, [0, 1].
        cut_firsts: int64. Like `firsts`, for the paragraph's n-grams.
    """

    is_removed: np.ndarray
    is_emptied: np.ndarray
    shares: np.ndarray
    firsts: np.ndarray
    n_cuts: np.ndarray
    paragraphs: np.ndarray
    cut_shares: np.ndarray
    cut_firsts: np.ndarray


class _Settings(NamedTuple):
    """The settings of a shard, for its kernel: `mode` is a number of `_MODES`, `rules` and `tables` are of
    `rules_of`."""

    mode: int
    threshold: float
    inserts_always: bool
    rules: Rules
    tables: CharTables


class _Document(NamedTuple):
    """A document of the batch: its row, its number in the shard, and the bytes of its text."""

    row: int
    number: int
    start: int
    stop: int


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
        settings = _Settings(_MODES[bloom.mode], bloom.threshold, bloom.inserts == "always", *rules_of(bloom))
        is_null = text.is_null().to_numpy(zero_copy_only=False)
        verdicts, self._seen = _judge_rows(*utf8_buffers(text), is_null, settings, self._seen, self.n_documents)
        self.n_documents += len(text)
        return verdicts


@inlined_code
def _count_seen(found, n, seen):
    """Returns how many of the first `n` n-grams were seen."""
    words, shift, n_buckets, hashes, _, _ = seen
    n_seen = 0
    for index in range(n):
        n_seen += was_seen(found[index], words, shift, n_buckets, hashes)
    return n_seen


@inlined_code
def _earliest(found, n, seen):
    """Returns the earliest document that had one of these n-grams."""
    hashes, firsts = seen.hashes, seen.firsts
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


@inlined_code
def _see_all(found, n, document, seen):
    """Adds the first `n` n-grams of a document; returns what was seen then, because the table may have grown."""
    words, shift, n_buckets, hashes, firsts, n_held = seen
    hashes, firsts = make_room(hashes, firsts, n_held[0], n)
    for index in range(n):
        see(found[index], document, words, shift, n_buckets, hashes, firsts, n_held)
    return Seen(words, shift, n_buckets, hashes, firsts, n_held)


@helper
def _kept_all(n_rows, n_bytes):
    """Makes verdicts that keep all documents, with room for every paragraph that can be removed."""
    room = n_bytes // 2 + n_rows
    return Verdicts(
        np.zeros(n_rows, dtype=np.bool_),
        np.zeros(n_rows, dtype=np.bool_),
        np.full(n_rows, np.nan),
        np.full(n_rows, NOBODY),
        np.zeros(n_rows, dtype=np.int64),
        np.empty(room, dtype=np.int32),
        np.empty(room, dtype=np.float64),
        np.empty(room, dtype=np.int64),
    )


@kernel
def _judge_rows(text, offsets, is_null, settings, seen, first_number):
    """Judges documents one after the other; returns the verdicts, and what was seen after the last document."""
    n_rows = len(offsets) - 1
    room = room_for(longest_row(offsets))
    verdicts = _kept_all(n_rows, offsets[-1] - offsets[0])
    mode = settings.mode
    n_cuts = 0  # of all documents
    for row in range(n_rows):
        if is_null[row]:
            continue
        document = _Document(row, first_number + row, offsets[row], offsets[row + 1])
        if mode == _BOTH:
            seen, n_cuts = _judge_first_paragraph(text, document, settings, seen, room, verdicts, n_cuts)
            continue
        if mode in (_EXACT, _DOCUMENT, _NAIVE_BOTH):
            seen = _judge_whole(text, document, settings, seen, room, verdicts)
        if mode in (_PARAGRAPH, _OLD_BOTH) or (mode == _NAIVE_BOTH and not verdicts.is_removed[row]):
            seen, n_cuts = _judge_paragraphs(text, document, settings, seen, room, verdicts, n_cuts)
    is_removed, is_emptied, shares, firsts, n_own_cuts, paragraphs, cut_shares, cut_firsts = verdicts
    cuts = paragraphs[:n_cuts], cut_shares[:n_cuts], cut_firsts[:n_cuts]
    return Verdicts(is_removed, is_emptied, shares, firsts, n_own_cuts, cuts[0], cuts[1], cuts[2]), seen


@inlined_code
def _judge_whole(text, document, settings, seen, room, verdicts):
    """Judges a document by all its n-grams, or by its whole text; returns what was seen then."""
    row, number, start, stop = document
    found, is_exact = room.hashes, settings.mode == _EXACT
    if is_exact:
        found[0] = finish(hash_bytes(text, start, stop, settings.rules.seed))
        n = 1
    else:
        n = fill_ngrams(text, start, stop, settings.tables, settings.rules, room)
    is_removed = False
    if n > 0:
        share = _count_seen(found, n, seen) / n
        is_removed = share > (0.0 if is_exact else settings.threshold)
        verdicts.shares[row], verdicts.is_removed[row] = share, is_removed
    if is_removed:
        verdicts.firsts[row] = _earliest(found, n, seen)
    if settings.inserts_always or not is_removed:
        seen = _see_all(found, n, number, seen)
    return seen


@inlined_code
def _judge_first_paragraph(text, document, settings, seen, room, verdicts, n_cuts):
    """Judges a document by all its n-grams, and if it is kept, its first paragraph; returns what was seen then, and the
    number of paragraphs removed so far."""
    row, number, start, stop = document
    found, tables, rules = room.hashes, settings.tables, settings.rules
    full_size = Rules(rules.max_ngram, rules.max_ngram, rules.seed, rules.factor, rules.top)
    end = paragraph_end(text, start, stop)
    n_first = max(fill_ngrams(text, start, end, tables, full_size, room), 0)
    n = max(fill_ngrams(text, start, stop, tables, rules, room), 0)
    if n == 0:
        return seen, n_cuts
    # The only n-gram of a short document belongs to no paragraph; those of the first paragraph come first.
    share = _count_seen(found, n, seen) / n
    n_seen_first = _count_seen(found, n_first, seen)
    verdicts.shares[row] = share
    if share >= settings.threshold:
        verdicts.is_removed[row], verdicts.firsts[row] = True, _earliest(found, n, seen)
    elif n_first > 0 and n_seen_first / n_first >= settings.threshold:
        first = _earliest(found, n_first, seen)
        verdicts.firsts[row] = first
        if fill_ngrams(text, min(end + 1, stop), stop, tables, rules, room) == 0:
            verdicts.is_emptied[row] = True
        else:
            _cut(verdicts, n_cuts, 0, n_seen_first / n_first, first)
            n_cuts += 1
            verdicts.n_cuts[row] = 1
    else:
        seen = _see_all(found, n, number, seen)
    return seen, n_cuts


@inlined_code
def _judge_paragraphs(text, document, settings, seen, room, verdicts, n_cuts):
    """Judges the paragraphs of a document one after the other, then the document; returns what was seen then, and the
    number of paragraphs removed so far."""
    row, number, start, stop = document
    found, tables, rules = room.hashes, settings.tables, settings.rules
    n_document = n_seen_document = 0
    n_before = n_cuts
    paragraph, at, n_kept, has_short, earliest = 0, start, 0, False, NOBODY
    while at <= stop:
        end = paragraph_end(text, at, stop)
        n = fill_ngrams(text, at, end, tables, rules, room)
        has_short |= n < 0
        if n > 0:
            n_seen = _count_seen(found, n, seen)
            n_document += n
            n_seen_document += n_seen
            is_cut = n_seen / n > settings.threshold
            if n_seen:
                first = _earliest(found, n, seen)
                earliest = _earlier(earliest, first)
                if is_cut:
                    _cut(verdicts, n_cuts, paragraph, n_seen / n, first)
                    n_cuts += 1
            n_kept += not is_cut
            if settings.inserts_always or not is_cut:
                seen = _see_all(found, n, number, seen)
        paragraph += 1
        at = end + 1
    verdicts.firsts[row] = earliest
    if n_document > 0:
        share = n_seen_document / n_document
        verdicts.shares[row] = share
        verdicts.is_removed[row] = settings.mode == _OLD_BOTH and share > settings.threshold
        verdicts.is_emptied[row] = not verdicts.is_removed[row] and n_kept == 0 and not has_short
    if verdicts.is_removed[row] or verdicts.is_emptied[row]:
        n_cuts = n_before
    verdicts.n_cuts[row] = n_cuts - n_before
    return seen, n_cuts


@helper
def _cut(verdicts, index, paragraph, share, first):
    """Writes a removed paragraph to index `index` of all removed paragraphs."""
    verdicts.paragraphs[index], verdicts.cut_shares[index], verdicts.cut_firsts[index] = paragraph, share, first
