"""Measures Gopher's quality and repetition signals of a text as datatrove does, with its mistakes reproduced or fixed.

Source: Rae et al. 2021 (Gopher), appendix A.1, as datatrove 0.10.1 reads it in `GopherQualityFilter` and
`GopherRepetitionFilter`. DCLM reads the same rules in another way: `quality` and `repetition`.
"""

import functools

import numpy as np
import pyarrow as pa

from dclm_spark import schemas
from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.signals.gopher_repetition import measure_ngrams, measure_segments
from dclm_spark.kernels.signals.marks import IS_PUNCTUATION, is_mark, mark_table
from dclm_spark.kernels.signals.quality import is_dots
from dclm_spark.kernels.text.lowering import lower_one, lower_word
from dclm_spark.kernels.text.terms import TermSet, index_of, term_set
from dclm_spark.kernels.text.unicode import (
    IS_LETTER,
    IS_SPACE,
    WORD_BREAKER,
    char_room,
    char_tables,
    decode,
    strip,
    utf8_buffers,
)
from dclm_spark.kernels.tokens.tokens import tokenize

GOPHER_TYPE = schemas.GOPHER

# What one row of results holds, in the order of the schema; a number that is not there is NaN.
_TOKENS, _WORDS, _WORD_CHARS, _HASHES, _ELLIPSES, _BULLET_LINES, _ELLIPSIS_LINES = range(7)
_TOKENS_WITH_LETTER, _STOP_WORDS, _DUPLICATE_LINES, _DUPLICATE_PARAGRAPHS = range(7, 11)
_LINE_CHARS, _PARAGRAPH_CHARS, _NGRAMS = range(11, 14)

_FULL_STOP, _ELLIPSIS, _HASH, _BULLET, _HYPHEN = map(ord, ".…#•-")
_CARRIAGE_RETURN, _LINE_FEED = map(ord, "\r\n")
_LINE_ENDS = tuple(map(ord, "\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"))  # of str.splitlines


def measure_gopher(
    text: pa.Array, *, tokens: str, stop_words: tuple[str, ...], reading: str, word_breaker: str = WORD_BREAKER
) -> pa.StructArray:
    r"""Measures Gopher's signals of each text, of type GOPHER_TYPE; null for null.

    - `n_tokens`: tokens, punctuation marks among them
    - `n_words`: tokens with a character that is no punctuation to datatrove (`marks`)
    - `mean_word_chars`: mean code points of those; null without
    - `hashes_per_token`, `ellipses_per_token`: occurrences of "#", and of "..." and "…", a token; null without tokens
    - `frac_bullet_lines`: share of the lines, blank ones too, that start with • or - after white space
    - `frac_ellipsis_lines`: share of them that end with "..." or "…" before white space. Lines are those of
      `str.splitlines`; null without
    - `frac_tokens_with_letter`: share of the tokens with a letter (`str.isalpha`); null without
    - `n_stop_words`: how many of `stop_words` are tokens of the text, each once
    - `frac_duplicate_lines`, `frac_duplicate_paragraphs`: share of the lines, split at runs of "\n", and of the
      paragraphs, split at runs of two or more after white space around the text is removed, that have occurred before;
      what comes out empty at either end is one of them
    - `frac_duplicate_line_chars`, `frac_duplicate_paragraph_chars`: characters of those
    - `frac_top_2gram_chars` to `_4gram_chars`: characters of the n-gram of tokens that occurs most often, spaces
      between tokens included, times how often; the first of those that occur equally often, even if that is once
    - `frac_duplicate_5gram_chars` to `_10gram_chars`: characters of the n-grams that have occurred before, read from
      left to right, going on behind each one found; two are the same if their tokens are, written without a space

    **Only the second and later copies count**: of ten lines of which two are equal, 0.1 are duplicates (`repetition`
    counts both). Shares of characters are of all of the text's; null for "", as are those of lines, while datatrove
    drops that page before it measures. Where it divides by zero, the share is null. Letters and spaces are those of
    Unicode 16.0; datatrove takes its Python's.

    `reading="fixed"` differs from this in four ways:

    - stop words are compared in lower case: "The" is one
    - lines and paragraphs are compared without the white space around them, and blank ones are none, also among the
      lines with bullets and ellipses
    - a top n-gram has to occur twice, else 0; of equally frequent ones it is the longest
    - n-grams are compared token by token: "ab", "c" is not "a", "bc"

    Args:
        text: Strings, a slice or not.
        tokens: `spacy_en` or `uax29`, see `recipe.Annotation`.
        stop_words: Each counts once.
        reading: `faithful` or `fixed`.
        word_breaker: The version of UAX #29's tables, for its tokens.

    >>> texts = pa.array(["- The end.\nThe end ...", "", None])
    >>> rows = measure_gopher(texts, tokens="uax29", stop_words=("the", "end"), reading="fixed")
    >>> row = rows[0].as_py()
    >>> row["n_tokens"], row["n_words"], row["n_stop_words"], row["frac_bullet_lines"], row["frac_top_2gram_chars"]
    (9, 4, 2, 0.5, 0.6363636363636364)
    >>> [row and row["frac_duplicate_lines"] for row in rows.to_pylist()]
    [0.0, None, None]
    """
    if reading not in ("faithful", "fixed"):
        raise ValueError(f"reading is {reading!r}; expected 'faithful' or 'fixed'")
    is_faithful = reading == "faithful"
    data, offsets = utf8_buffers(text)
    results = np.zeros((len(text), len(GOPHER_TYPE)), dtype=np.float64)
    stop_word_set = _stop_word_set(tuple(stop_words), is_faithful)
    _measure_rows(
        data,
        offsets,
        char_tables(),
        tokenize(text, tokens=tokens, word_breaker=word_breaker),
        stop_word_set,
        mark_table(),
        is_faithful,
        results,
    )
    is_null = text.is_null().to_numpy(zero_copy_only=False)
    arrays = [
        pa.array(column, mask=is_null | np.isnan(column)).cast(field.type)
        for field, column in zip(GOPHER_TYPE, results.T, strict=True)
    ]
    return pa.StructArray.from_arrays(arrays, fields=list(GOPHER_TYPE), mask=pa.array(is_null))


@functools.lru_cache(maxsize=8)
def _stop_word_set(stop_words: tuple[str, ...], is_faithful: bool) -> TermSet:
    return term_set(stop_words if is_faithful else map(lower_one, stop_words))


@kernel
def _measure_rows(text, offsets, tables, tokens, stop_words, marks, is_faithful, results):
    points, flags = char_room(offsets)
    room = len(points) + 1  # for lines, see `fill_segments`; tokens are no more than characters
    starts, ends = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    numbers = np.empty(2 * room, dtype=np.int32)
    word = np.empty(stop_words.longest, dtype=np.int32)
    last_rows = np.full(len(stop_words.starts), -1, dtype=np.int64)  # in which each stop word was found
    for row in range(len(results)):
        result = results[row]
        n_chars = decode(text, offsets[row], offsets[row + 1], tables, points, flags)
        first, last = tokens.offsets[row], tokens.offsets[row + 1]
        token_starts, token_ends, n_tokens = tokens.starts[first:last], tokens.ends[first:last], last - first
        result[_TOKENS] = n_tokens
        _measure_symbols(points, n_chars, n_tokens, result)
        _measure_lines(points, flags, n_chars, is_faithful, result)
        _measure_tokens(points, flags, token_starts, token_ends, n_tokens, marks, result)
        result[_STOP_WORDS] = _count_stop_words(
            points, flags, token_starts, token_ends, n_tokens, tables, stop_words, word, last_rows, row, is_faithful
        )
        measure_ngrams(points, token_starts, token_ends, n_tokens, n_chars, numbers, is_faithful, result[_NGRAMS:])
        for min_newlines, share, share_chars in (
            (1, _DUPLICATE_LINES, _LINE_CHARS),
            (2, _DUPLICATE_PARAGRAPHS, _PARAGRAPH_CHARS),
        ):
            n_segments, n_extra, n_extra_chars = measure_segments(
                points, flags, n_chars, min_newlines, starts, ends, numbers, is_faithful
            )
            result[share] = _share(n_extra, n_segments if n_chars else 0)
            result[share_chars] = _share(n_extra_chars, n_chars)


@helper
def _share(part, whole):
    return part / whole if whole else np.nan


@helper
def _measure_tokens(points, flags, starts, ends, n_tokens, marks, result):
    n_words = n_word_chars = n_with_letter = 0
    for index in range(n_tokens):
        at, end = starts[index], ends[index]
        is_word = has_letter = False
        while at < end and not (is_word and has_letter):
            is_word |= not is_mark(marks, points[at], IS_PUNCTUATION)
            has_letter |= flags[at] & IS_LETTER != 0
            at += 1
        n_words += is_word
        n_word_chars += (end - starts[index]) * is_word
        n_with_letter += has_letter
    result[_WORDS] = n_words
    result[_WORD_CHARS] = _share(n_word_chars, n_words)
    result[_TOKENS_WITH_LETTER] = _share(n_with_letter, n_tokens)


@helper
def _count_stop_words(points, flags, starts, ends, n_tokens, tables, stop_words, word, last_rows, row, is_faithful):
    """Counts the stop words among the tokens of a row; `word` has room for the longest, `last_rows` holds earlier
    rows."""
    slots, term_points, term_starts, _ = stop_words
    blocks, lower = tables.blocks, tables.lower
    n_found = 0
    for index in range(n_tokens):
        start, n_points = starts[index], ends[index] - starts[index]
        if n_points > len(word):
            continue
        is_ascii = True
        for at in range(n_points):
            point = points[start + at]
            is_ascii &= point < 0x80
            word[at] = point + 0x20 if 0x41 <= point <= 0x5A and not is_faithful else point
        if not is_faithful and not is_ascii:
            n_points = lower_word(points, flags, start, ends[index], blocks, lower, word)
        if n_points:
            stop_word = index_of(slots, term_points, term_starts, word, n_points)
            if stop_word >= 0 and last_rows[stop_word] < row:
                last_rows[stop_word] = row
                n_found += 1
    return n_found


@helper
def _measure_symbols(points, n_chars, n_tokens, result):
    """Returns "#" and ellipses per token, each counted as by `str.count`."""
    n_hashes = n_ellipses = next_dots = 0
    for at in range(n_chars):
        point = points[at]
        n_hashes += point == _HASH
        if point == _ELLIPSIS:
            n_ellipses += 1
        elif point == _FULL_STOP and at >= next_dots and is_dots(points, at, n_chars):
            n_ellipses += 1
            next_dots = at + 3  # matches do not overlap
    result[_HASHES] = _share(n_hashes, n_tokens)
    result[_ELLIPSES] = _share(n_ellipses, n_tokens)


@helper
def _measure_lines(points, flags, n_chars, is_faithful, result):
    n_lines = n_bullet_lines = n_ellipsis_lines = at = 0
    while at < n_chars:
        stop = at
        while stop < n_chars and not (flags[stop] & IS_SPACE and points[stop] in _LINE_ENDS):
            stop += 1
        start, end = strip(flags, at, stop)
        if start < end:
            n_bullet_lines += points[start] == _BULLET or points[start] == _HYPHEN
            n_ellipsis_lines += points[end - 1] == _ELLIPSIS or (end - 3 >= start and is_dots(points, end - 3, end))
        n_lines += is_faithful or start < end
        is_pair = stop + 1 < n_chars and points[stop] == _CARRIAGE_RETURN and points[stop + 1] == _LINE_FEED
        at = stop + 1 + is_pair
    result[_BULLET_LINES] = _share(n_bullet_lines, n_lines)
    result[_ELLIPSIS_LINES] = _share(n_ellipsis_lines, n_lines)
