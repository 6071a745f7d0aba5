r"""Gopher's repetition signals of a text: how much of it is lines, paragraphs and word sequences that occur again.

Source: Rae et al. 2021 (Gopher), table A1, as DCLM reads it in `baselines/mappers/filters/content_filters.py`
(`massive_web_repetition_filters`). Nothing is decided by a hash: lines and words that fall into one slot of a table are
compared letter by letter, and an n-gram is a pair of exact numbers.
"""

import numpy as np
import pyarrow as pa

from dclm_spark import schemas
from dclm_spark.kernels.jit import helper, kernel
from dclm_spark.kernels.unicode import char_room, char_tables, decode, strip, utf8_buffers
from dclm_spark.kernels.words import fill_word_bounds

REPETITION_TYPE = schemas.REPETITION

# What one row of results holds, in the order of the schema.
_WORDS, _LINES, _PARAGRAPHS, _LINE_CHARS, _PARAGRAPH_CHARS, _TOP, _DUPLICATE, _N_RESULTS = 0, 1, 2, 3, 4, 5, 8, 14
_TOP_SIZES, _DUPLICATE_SIZES = (2, 3, 4), (5, 6, 7, 8, 9, 10)

_NEWLINE = ord("\n")
_HASH_START, _HASH_FACTOR = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93  # any odd number with many bits serves


def measure_repetition(text: pa.Array) -> pa.StructArray:
    """The repetition signals of each text, of type REPETITION_TYPE; null for null.

    - `n_words`: UAX #29 segments that start with a letter or number, the words of all n-grams below
    - `frac_duplicate_lines`, `frac_duplicate_paragraphs`: share of the lines, split at "\\n", and of the paragraphs,
      split at "\\n\\n", that occur more than once; white space around them is ignored, and so are empty ones
    - `frac_duplicate_line_chars`, `frac_duplicate_paragraph_chars`: the same, weighted by their characters
    - `frac_top_2gram_chars` to `_4gram_chars`: characters of the n-gram that occurs most often, times how often; the
      longest of those that occur equally often. Its occurrences may overlap, so that the share may pass 1
    - `frac_duplicate_5gram_chars` to `_10gram_chars`: characters of words in any n-gram that occurs more than once;
      each word counts once

    **Every copy counts**: of ten lines of which two are alike, 0.2 are duplicates (datatrove counts the second one
    only). Shares of characters in n-grams are of the words' characters, without what stands between them. 0.0 where
    nothing can repeat: one line, no word; but 1.0 for the lines and paragraphs of a text without any, since DCLM drops
    such a page.

    >>> row = measure_repetition(pa.array(["to be\\nor not\\nto be"]))[0].as_py()
    >>> row["frac_duplicate_lines"], row["frac_duplicate_line_chars"], row["frac_top_2gram_chars"]
    (0.6666666666666666, 0.625, 0.6153846153846154)
    >>> [row and row["frac_duplicate_lines"] for row in measure_repetition(pa.array(["", None])).to_pylist()]
    [1.0, None]
    """
    data, offsets = utf8_buffers(text)
    results = _measure_rows(data, offsets, char_tables())
    is_null = text.is_null().to_numpy(zero_copy_only=False)
    arrays = [
        pa.array(column, mask=is_null).cast(field.type)
        for field, column in zip(REPETITION_TYPE, results.T, strict=True)
    ]
    return pa.StructArray.from_arrays(arrays, fields=list(REPETITION_TYPE), mask=pa.array(is_null))


@kernel
def _measure_rows(text, offsets, tables):
    results = np.zeros((len(offsets) - 1, _N_RESULTS), dtype=np.float64)
    points, flags = char_room(offsets)
    # Enough for words, see `fill_word_bounds`, and for lines, which are no more than half the bytes and one.
    room = 2 * len(points) // 3 + 1
    starts, ends = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    ids, counts = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    for row in range(len(results)):
        result = results[row]
        n_chars = decode(text, offsets[row], offsets[row + 1], tables, points, flags)
        for newlines, share, share_chars in ((1, _LINES, _LINE_CHARS), (2, _PARAGRAPHS, _PARAGRAPH_CHARS)):
            n_segments = _fill_segments(points, flags, n_chars, newlines, starts, ends)
            _number(points, starts, ends, n_segments, ids, counts)
            _measure_segments(starts, ends, ids, counts, n_segments, result, share, share_chars)
        n_words = fill_word_bounds(flags, n_chars, starts, ends)
        result[_WORDS] = n_words
        n_ids = _number(points, starts, ends, n_words, ids, counts)
        _measure_ngrams(starts, ends, ids, counts, n_words, n_ids, result)
    return results


@helper
def _fill_segments(points, flags, n_chars, n_newlines, starts, ends):
    """Writes where the segments between so many newlines start and end, white space around them left out, as str.strip
    leaves it out, and empty ones too; returns how many there are."""
    n_segments = 0
    start = 0
    while start < n_chars:
        # The text is cut at the leftmost run of newlines that is long enough, and behind it again (`re.split`).
        run = 0
        stop = start
        while stop < n_chars and run < n_newlines:
            run = run + 1 if points[stop] == _NEWLINE else 0
            stop += 1
        first, end = strip(flags, start, stop)
        if first < end:
            starts[n_segments] = first
            ends[n_segments] = end
            n_segments += 1
        start = stop
    return n_segments


@helper
def _slots_for(n_entries):
    """Empty slots of a hash table that stays at most half full."""
    n_slots = 4
    while n_slots < 2 * n_entries:
        n_slots *= 2
    return np.full(n_slots, -1, dtype=np.int32)


@helper
def _slot_of(digest, n_slots):
    # The high half of a product depends on every bit of its factors.
    return np.int64((digest * np.uint64(_HASH_FACTOR)) >> np.uint64(32)) & (n_slots - 1)


@helper
def _number(points, starts, ends, n_segments, ids, counts):
    """Gives equal segments one number, in the order of their first occurrence, and counts each; returns how many."""
    slots = _slots_for(n_segments)
    n_ids = 0
    firsts = np.empty(n_segments, dtype=np.int32)  # the first segment of each number
    for index in range(n_segments):
        start, length = starts[index], ends[index] - starts[index]
        digest = np.uint64(_HASH_START)
        for at in range(start, start + length):
            digest = (digest ^ np.uint64(points[at])) * np.uint64(_HASH_FACTOR)
            digest ^= digest >> np.uint64(29)
        slot = _slot_of(digest, len(slots))
        while slots[slot] >= 0 and not _is_same(points, starts, ends, firsts[slots[slot]], start, length):
            slot = (slot + 1) & (len(slots) - 1)
        if slots[slot] < 0:
            slots[slot] = n_ids
            firsts[n_ids] = index
            counts[n_ids] = 0
            n_ids += 1
        ids[index] = slots[slot]
        counts[slots[slot]] += 1
    return n_ids


@helper
def _is_same(points, starts, ends, index, start, length):
    if ends[index] - starts[index] != length:
        return False
    other = starts[index]
    at = 0
    while at < length and points[other + at] == points[start + at]:
        at += 1
    return at == length


@helper
def _measure_segments(starts, ends, ids, counts, n_segments, result, share, share_chars):
    if n_segments == 0:
        result[share] = result[share_chars] = 1.0
        return
    n_duplicates = n_chars = n_duplicate_chars = 0
    for index in range(n_segments):
        length = ends[index] - starts[index]
        is_duplicate = counts[ids[index]] > 1
        n_duplicates += is_duplicate
        n_chars += length
        n_duplicate_chars += length * is_duplicate
    result[share] = n_duplicates / n_segments
    result[share_chars] = n_duplicate_chars / n_chars


@helper
def _measure_ngrams(starts, ends, ids, counts, n_words, n_ids, result):
    """Writes the shares of all sizes of n-grams; `ids` and `counts` are those of the words and are overwritten.

    An n-gram can only occur again where the (n-1)-grams that it begins and ends with do, so each size looks at what the
    size before has left: `at[:n_left]`, the places in order where an (n-1)-gram starts that occurs more than once.
    """
    ends_at = np.zeros(n_words + 1, dtype=np.int64)  # characters of all words before the i-th
    at = np.empty(n_words, dtype=np.int32)
    n_left = 0
    for index in range(n_words):
        ends_at[index + 1] = ends_at[index] + ends[index] - starts[index]
        if counts[ids[index]] > 1:
            at[n_left] = index
            n_left += 1
    for size in range(2, 11):
        n_left = _number_ngrams(ids, counts, at, n_left)
        if n_left == 0:
            break
        if size <= 4:
            n_chars = _top_chars(ids, counts, at, n_left, size, ends_at)
            result[_TOP + size - 2] = n_chars / ends_at[n_words]
        else:
            n_chars = _covered_chars(at, n_left, size, ends_at)
            result[_DUPLICATE + size - 5] = n_chars / ends_at[n_words]


@helper
def _number_ngrams(ids, counts, at, n_left):
    """From the repeated n-grams to those one word longer: their numbers, counts, and places; returns how many places.

    Two n-grams are equal where the shorter ones that they begin and end with are: a pair of numbers.
    """
    n_pairs = 0
    for index in range(n_left - 1):
        n_pairs += at[index + 1] == at[index] + 1
    slots = _slots_for(n_pairs)
    firsts, seconds = np.empty(n_pairs, dtype=np.int32), np.empty(n_pairs, dtype=np.int32)
    n_ids = n_places = 0
    for index in range(n_left - 1):
        place = at[index]
        if at[index + 1] != place + 1:
            continue
        first, second = ids[place], ids[place + 1]
        slot = _slot_of(np.uint64(first) << np.uint64(32) | np.uint64(second), len(slots))
        while slots[slot] >= 0 and (firsts[slots[slot]] != first or seconds[slots[slot]] != second):
            slot = (slot + 1) & (len(slots) - 1)
        if slots[slot] < 0:
            slots[slot] = n_ids
            firsts[n_ids], seconds[n_ids] = first, second
            counts[n_ids] = 0
            n_ids += 1
        ids[place] = slots[slot]  # read for the last time as `first` of this place
        counts[slots[slot]] += 1
        at[n_places] = place
        n_places += 1
    n_left = 0
    for index in range(n_places):
        if counts[ids[at[index]]] > 1:
            at[n_left] = at[index]
            n_left += 1
    return n_left


@helper
def _top_chars(ids, counts, at, n_left, size, ends_at):
    """Characters of the most frequent n-gram, the longest of equally frequent ones, times how often it occurs."""
    top_count = top_chars = 0
    for index in range(n_left):
        place = at[index]
        count, n_chars = counts[ids[place]], ends_at[place + size] - ends_at[place]
        if count > top_count or (count == top_count and n_chars > top_chars):
            top_count, top_chars = count, n_chars
    return top_count * top_chars


@helper
def _covered_chars(at, n_left, size, ends_at):
    """Characters of the words that are in any of the n-grams."""
    n_chars = covered_to = 0
    for index in range(n_left):
        start = max(at[index], covered_to)
        covered_to = at[index] + size
        n_chars += ends_at[covered_to] - ends_at[start]
    return n_chars
