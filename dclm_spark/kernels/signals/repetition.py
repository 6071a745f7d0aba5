r"""Measures Gopher's repetition signals of a text: the shares of repeated lines, paragraphs and word sequences.

Source: Rae et al. 2021 (Gopher), table A1, as DCLM reads it in `baselines/mappers/filters/content_filters.py`
(`massive_web_repetition_filters`).
"""

import numpy as np
import pyarrow as pa

from dclm_spark import schemas
from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.signals.segments import fill_segments, number_ngrams, number_segments
from dclm_spark.kernels.text.unicode import WORD_BREAKER, char_room, char_tables, decode, utf8_buffers
from dclm_spark.kernels.text.words import fill_word_bounds

REPETITION_TYPE = schemas.REPETITION

# What one row of results holds, in the order of the schema.
_WORDS, _LINES, _PARAGRAPHS, _LINE_CHARS, _PARAGRAPH_CHARS, _TOP, _DUPLICATE, _N_RESULTS = 0, 1, 2, 3, 4, 5, 8, 14
_TOP_SIZES, _DUPLICATE_SIZES = (2, 3, 4), (5, 6, 7, 8, 9, 10)


def measure_repetition(text: pa.Array, *, word_breaker: str = WORD_BREAKER) -> pa.StructArray:
    """Measures the repetition signals of each text, of type REPETITION_TYPE; null for null.

    - `n_words`: UAX #29 segments that start with a letter or number, the words of all n-grams below
    - `frac_duplicate_lines`, `frac_duplicate_paragraphs`: share of the lines, split at "\\n", and of the paragraphs,
      split at "\\n\\n", that occur more than once; white space around them is ignored, and so are empty ones
    - `frac_duplicate_line_chars`, `frac_duplicate_paragraph_chars`: the same, weighted by their characters
    - `frac_top_2gram_chars` to `_4gram_chars`: characters of the n-gram that occurs most often, times how often; the
      longest of those that occur equally often. Its occurrences may overlap, so that the share may pass 1
    - `frac_duplicate_5gram_chars` to `_10gram_chars`: characters of words in any n-gram that occurs more than once;
      each word counts once

    **Every copy counts**: of ten lines of which two are equal, 0.2 are duplicates (datatrove counts the second one
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
    results = _measure_rows(data, offsets, char_tables(word_breaker))
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
            n_segments = fill_segments(points, flags, 0, n_chars, newlines, True, False, starts, ends)
            number_segments(points, starts, ends, n_segments, ids, counts)
            _measure_segments(starts, ends, ids, counts, n_segments, result, share, share_chars)
        n_words = fill_word_bounds(flags, n_chars, starts, ends)
        result[_WORDS] = n_words
        n_ids = number_segments(points, starts, ends, n_words, ids, counts)
        _measure_ngrams(starts, ends, ids, counts, n_words, n_ids, result)
    return results


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

    `at[:n_left]` are the places in order where an n-gram starts that occurs more than once.
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
        n_left = number_ngrams(ids, counts, at, n_left)
        if n_left == 0:
            break
        if size <= 4:
            n_chars = _top_chars(ids, counts, at, n_left, size, ends_at)
            result[_TOP + size - 2] = n_chars / ends_at[n_words]
        else:
            n_chars = _covered_chars(at, n_left, size, ends_at)
            result[_DUPLICATE + size - 5] = n_chars / ends_at[n_words]


@helper
def _top_chars(ids, counts, at, n_left, size, ends_at):
    """Returns the characters of the most frequent n-gram (of equally frequent ones the longest) times its
    occurrences."""
    top_count = top_chars = 0
    for index in range(n_left):
        place = at[index]
        count, n_chars = counts[ids[place]], ends_at[place + size] - ends_at[place]
        if count > top_count or (count == top_count and n_chars > top_chars):
            top_count, top_chars = count, n_chars
    return top_count * top_chars


@helper
def _covered_chars(at, n_left, size, ends_at):
    """Counts the characters of the words that are in any of the n-grams."""
    n_chars = covered_to = 0
    for index in range(n_left):
        start = max(at[index], covered_to)
        covered_to = at[index] + size
        n_chars += ends_at[covered_to] - ends_at[start]
    return n_chars
