"""Applies C4's rules as datatrove does: keeps or removes lines, and measures what its rules about pages need.

Source: Raffel et al. 2020 (C4), section 2.2, and Xue et al. 2021 (mC4), section 3.1, as datatrove 0.10 has them in
`pipeline/filters/c4_filters.py`.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dclm_spark import schemas
from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.signals.bad_words import measure_bad_words
from dclm_spark.kernels.signals.c4_lines import (
    HAS_CURLY_BRACKET,
    SAYS_LOREM_IPSUM,
    encode_rules,
    judge_line,
    phrases_of,
)
from dclm_spark.kernels.text.unicode import (
    CR,
    LF,
    WORD_BREAK,
    WORD_BREAKER,
    char_room,
    char_tables,
    decode,
    encode,
    string_array,
    strip,
    utf8_buffers,
)
from dclm_spark.kernels.tokens.spacy_tables import spacy_tables
from dclm_spark.kernels.tokens.spacy_words import count_sentences
from dclm_spark.kernels.tokens.tokens import tokenize
from dclm_spark.recipe.annotation import C4Lines

C4_TYPE = schemas.C4

_KEPT, _REMOVED, _SENTENCES, _LOREM_IPSUM, _CURLY_BRACKETS, _N_COUNTS = range(6)

LONG_LINE_CHARS = 200  # mC4 keeps pages with three such lines

_NEWLINE = ord("\n")
# What str.splitlines takes for the end of a line besides the newlines of UAX #29.
_FILE_SEPARATOR, _RECORD_SEPARATOR = 0x1C, 0x1E


class Cleaned(NamedTuple):
    """Texts after C4's rules, their signals, and the number of tokens of each text; null if no text has changed."""

    text: pa.Array
    signals: pa.StructArray
    n_tokens: pa.Int32Array | None


def clean_c4(
    text: pa.Array,
    *,
    rules: C4Lines,
    tokens: str,
    reading: str,
    bad_words: tuple[str, ...] | None,
    word_breaker: str = WORD_BREAKER,
) -> Cleaned:
    r"""Applies C4's line rules to each text; returns the texts and the signals, of type C4_TYPE; null for null.

    Lines end where `str.splitlines` ends them; white space around them is removed, and the kept lines are joined by
    "\n". A line is removed for its longest word, its end, its number of words, or a phrase (in lower case), in this
    order.

    - `n_lines_removed`: lines removed, blank ones not counted
    - `n_sentences`: sentences of the kept lines, each line divided by itself
    - `n_lorem_ipsum`: lines that say "lorem ipsum"
    - `n_curly_brackets`: lines with a "{"
    - `n_bad_words`: occurrences of `bad_words` in the text in lower case, between characters that are neither letters,
      digits nor underscores, the longest at each position; entries in scripts without spaces count anywhere
    - `n_long_lines`: lines, split at "\n", of 200 code points or more; this and `n_bad_words` are of the text returned,
      which is the cleaned one if the rules clean

    datatrove drops a page at its first line with "lorem ipsum" or "{"; here such a line is counted and then treated as
    if that rule were switched off, so both counts are of the whole page, and its text can be inspected.

    With `fixed`, three things differ from datatrove's code (`faithful`):

    - White space that a citation leaves around a line is removed too: "It is so. [1]" ends in a full stop.
    - Words are counted after citations are removed, as C4's own code counts them: "[1] [2] So." is one.
    - The quotation marks \u201d and \u2019 end a line too: the paper requires a period, an exclamation mark, a question
      mark or an end quotation mark.

    With either, two things differ. Letters, digits and lower case are those of the package's tables, datatrove's those
    of the Python that runs it; this matters for characters newer than its Unicode. And the script of a bad word decides
    whether it needs borders, in datatrove the language of the page; for capitals in the list see `bad_words_trie`.

    Args:
        text: Strings, a slice or not.
        rules: Which lines are removed. Without `cleans_text` they are counted, and the text is returned unchanged.
        tokens: What sentences are made of: `spacy_en` or `uax29`.
        reading: `faithful` or `fixed`.
        bad_words: The list; null measures nothing.
        word_breaker: The version of UAX #29's tables, for its tokens.

    >>> texts, rows, _ = clean_c4(
    ...     pa.array(["Home\nIt lies here.[1] And so on.\nEnable Javascript, please.", "", None]),
    ...     rules=C4Lines(cleans_text=True), tokens="uax29", reading="fixed", bad_words=("lies",),
    ... )
    >>> texts.to_pylist()
    ['It lies here. And so on.', '', None]
    >>> [rows[0][name].as_py() for name in ("n_lines_removed", "n_sentences", "n_bad_words")]
    [2, 2, 1]
    """
    data, offsets = utf8_buffers(text)
    is_faithful = reading == "faithful"
    joined, cleaned, counts = _clean_rows(
        data, offsets, char_tables(), encode_rules(rules, reading), phrases_of(rules), rules.cleans_text
    )
    lines = string_array(text, *joined)
    lines_tokens = tokenize(lines, tokens=tokens, word_breaker=word_breaker)
    _count_sentences(*utf8_buffers(lines), char_tables(), spacy_tables(), lines_tokens, is_faithful, counts)
    if rules.cleans_text:
        text = string_array(text, *cleaned)
    is_null = text.is_null().to_numpy(zero_copy_only=False)
    columns = {
        "n_lines_removed": counts[:, _REMOVED],
        "n_sentences": counts[:, _SENTENCES],
        "n_lorem_ipsum": counts[:, _LOREM_IPSUM],
        "n_curly_brackets": counts[:, _CURLY_BRACKETS],
        "n_long_lines": _count_long_lines(*utf8_buffers(text)),
    }
    arrays = {name: pa.array(column, type=pa.int32(), mask=is_null) for name, column in columns.items()}
    arrays["n_bad_words"] = measure_bad_words(text, bad_words, reading=reading)
    signals = pa.StructArray.from_arrays(
        [arrays[field.name] for field in C4_TYPE], fields=list(C4_TYPE), mask=pa.array(is_null)
    )
    n_tokens = pa.array(np.diff(lines_tokens.offsets), pa.int32(), mask=is_null) if rules.cleans_text else None
    return Cleaned(text, signals, n_tokens)


@kernel
def _clean_rows(text, offsets, tables, rules, phrases, cleans_text):
    """Returns the kept lines, unchanged and stripped, each as bytes and offsets; and the counts."""
    n_rows = len(offsets) - 1
    counts = np.zeros((n_rows, _N_COUNTS), dtype=np.int64)
    points, flags = char_room(offsets)
    # Of two bytes at least is the one character whose lower case is two characters.
    lowered = np.empty(len(points), dtype=np.int32)
    n_bytes = offsets[-1] - offsets[0]
    joined, cleaned = np.empty(n_bytes, dtype=np.uint8), np.empty(n_bytes, dtype=np.uint8)
    joined_offsets, cleaned_offsets = np.zeros(n_rows + 1, dtype=np.int64), np.zeros(n_rows + 1, dtype=np.int64)
    for row in range(n_rows):
        n_chars = decode(text, offsets[row], offsets[row + 1], tables, points, flags)
        n_chars = _clean(points, flags, n_chars, lowered, tables, rules, phrases, counts[row])
        joined, joined_offsets[row + 1] = encode(points, n_chars, joined, joined_offsets[row])
        if cleans_text:
            start, stop = strip(flags, 0, n_chars)
            end = encode(points[start:stop], stop - start, cleaned, cleaned_offsets[row])
            cleaned, cleaned_offsets[row + 1] = end
    joined = joined[: joined_offsets[n_rows]]
    return (joined, joined_offsets), (cleaned[: cleaned_offsets[n_rows]], cleaned_offsets), counts


@helper
def _clean(points, flags, n_chars, lowered, tables, rules, phrases, count):
    """Joins the lines that are kept by newlines, in place, and returns the number of characters."""
    next_start = target = 0
    while next_start < n_chars:
        # Invariant: target <= next_start, and a line end stands between them where a line has stayed.
        start = stop = next_start
        while stop < n_chars and not _ends_line(points[stop], flags[stop]):
            stop += 1
        is_pair = stop + 1 < n_chars and flags[stop] & WORD_BREAK == CR and flags[stop + 1] & WORD_BREAK == LF
        next_start = stop + 1 + is_pair
        start, stop = strip(flags, start, stop)
        was_blank = start == stop
        start, stop, says = judge_line(points, flags, start, stop, lowered, tables, rules, phrases)
        count[_LOREM_IPSUM] += says & SAYS_LOREM_IPSUM != 0
        count[_CURLY_BRACKETS] += says & HAS_CURLY_BRACKET != 0
        if start < 0:
            count[_REMOVED] += not was_blank
            continue
        if count[_KEPT]:
            points[target], flags[target] = _NEWLINE, tables.flags[0, _NEWLINE]
            target += 1
        count[_KEPT] += 1
        for at in range(start, stop):
            points[target], flags[target] = points[at], flags[at]
            target += 1
    return target


@kernel
def _count_sentences(text, offsets, tables, sentence_tables, tokens, is_faithful, counts):
    """Counts the sentences of each line by itself; `tokens` are those of the whole texts: none stands in two lines."""
    points, flags = char_room(offsets)
    for row in range(len(counts)):
        if not counts[row, _KEPT]:
            continue
        n_chars = decode(text, offsets[row], offsets[row + 1], tables, points, flags)
        token, last_token = tokens.offsets[row], tokens.offsets[row + 1]
        start = 0
        for stop in range(n_chars + 1):
            if stop < n_chars and points[stop] != _NEWLINE:
                continue
            first = token
            while token < last_token and tokens.starts[token] < stop:
                token += 1
            if start < stop:
                starts, ends = tokens.starts[first:token], tokens.ends[first:token]
                counts[row, _SENTENCES] += count_sentences(points, stop, token - first, sentence_tables, starts, ends)
            else:  # in nothing there is one sentence to datatrove
                counts[row, _SENTENCES] += is_faithful
            start = stop + 1


@kernel
def _count_long_lines(text, offsets):
    counts = np.zeros(len(offsets) - 1, dtype=np.int32)
    for row in range(len(counts)):
        n_chars = 0
        for at in range(offsets[row], offsets[row + 1]):
            if text[at] == _NEWLINE:
                counts[row] += n_chars >= LONG_LINE_CHARS
                n_chars = 0
            else:
                n_chars += text[at] & 0xC0 != 0x80  # all but the bytes that go on with a character
        counts[row] += n_chars >= LONG_LINE_CHARS
    return counts


@helper
def _ends_line(point, flag):
    return flag & WORD_BREAK >= CR or _FILE_SEPARATOR <= point <= _RECORD_SEPARATOR
