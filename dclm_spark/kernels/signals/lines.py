r"""Applies RefinedWeb's line rules: removes lines and phrases, and measures the share of words removed.

Source: Penedo et al. 2023 (RefinedWeb), section 3.2 and appendix G.2, as DCLM reads it in
`baselines/mappers/modifiers.py`. Each rule sees all lines that the rule before has left, as DCLM's modifiers do.
"""

import functools
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dclm_spark import schemas
from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.signals.citations import cut_citations
from dclm_spark.kernels.signals.counters import counted_set
from dclm_spark.kernels.signals.line_measures import END_ELLIPSIS, END_MARK, LONGEST_WORD, WORDS, measure_line
from dclm_spark.kernels.text.phrases import Phrases, encode_phrases, is_phrase_at
from dclm_spark.kernels.text.unicode import (
    IS_SPACE,
    char_room,
    char_tables,
    decode,
    encode,
    string_array,
    strip,
    utf8_buffers,
)
from dclm_spark.kernels.text.words import count_fasttext, count_split
from dclm_spark.recipe.bounds import LINE_MEASURES, LineBound, LinePattern, LineRule

LINES_TYPE = schemas.LINES

# What a rule is: one of the measures, or one of these.
_CITATIONS, _ANY, _START, _END = range(len(LINE_MEASURES), len(LINE_MEASURES) + 4)
_LOCATIONS = {"any": _ANY, "start": _START, "end": _END}
# DCLM's modifiers that leave white space around the text; the next rule sees it.
_LEAVES_SPACE = (WORDS, LONGEST_WORD, END_MARK, END_ELLIPSIS, _CITATIONS)

_REMOVED, _CUT, _WORDS_BEFORE, _WORDS_AFTER, _N_COUNTS = range(5)

_NEWLINE = ord("\n")


class _Rules(NamedTuple):
    """Holds the rules as arrays, one entry for each: kind (a measure, a pattern, a phrase's location) and limits."""

    kinds: np.ndarray
    at_least: np.ndarray
    at_most: np.ndarray
    max_words: np.ndarray
    removes_line: np.ndarray
    phrases: Phrases


def correct_lines(text: pa.Array, *, rules: tuple[LineRule, ...]) -> tuple[pa.Array, pa.StructArray]:
    r"""Applies the line rules to each text; returns the texts and what was removed, of type LINES_TYPE; null for null.

    - `n_lines_removed`: lines that broke a bound, held a phrase that removes them, or became blank without a phrase
    - `n_lines_cut`: lines kept without a phrase or citations, once for each rule that removed some
    - `frac_words_removed`: share of the words (`quality.n_words`) that were removed; 1.0 for a text without words;
      below 0 if there are more words, because white space that is none to fastText (U+2028) was removed before one

    Lines end at "\n" only. An empty line is kept and not counted. White space around the whole text is removed where
    DCLM's modifiers strip it (bounds on shares and counters, phrases), and so is a line of white space that a rule with
    a phrase tests. A text of which nothing remains is "" (DCLM removes it there; here the bound on the share does).
    Without rules the texts are unchanged and nothing is measured: every row is null. A byte that is not UTF-8 becomes
    U+FFFD.

    >>> rules = (LineBound("frac_upper_chars", at_most=0.5), LineBound("n_words", at_least=2))
    >>> texts, rows = correct_lines(pa.array(["MENU\nThe harbour lies\nhome\nwest.", "", None]), rules=rules)
    >>> texts.to_pylist()
    ['The harbour lies', '', None]
    >>> rows[0].as_py()
    {'n_lines_removed': 3, 'n_lines_cut': 0, 'frac_words_removed': 0.5}
    """
    if not rules:
        return text, pa.nulls(len(text), LINES_TYPE)
    data, offsets = utf8_buffers(text)
    corrected, new_offsets, counts = _correct_rows(data, offsets, char_tables(), _encode_rules(rules), counted_set())
    is_null = text.is_null().to_numpy(zero_copy_only=False)
    before, after = counts[:, _WORDS_BEFORE], counts[:, _WORDS_AFTER]
    share = np.divide(before - after, before, out=np.ones(len(text)), where=before != 0)
    columns = [counts[:, _REMOVED], counts[:, _CUT], share]
    arrays = [
        pa.array(column, type=field.type, mask=is_null) for field, column in zip(LINES_TYPE, columns, strict=True)
    ]
    signals = pa.StructArray.from_arrays(arrays, fields=list(LINES_TYPE), mask=pa.array(is_null))
    return string_array(text, corrected, new_offsets), signals


@functools.lru_cache(maxsize=8)
def _encode_rules(rules: tuple[LineRule, ...]) -> _Rules:
    phrases, rows = [], []
    for rule in rules:
        if isinstance(rule, LineBound):
            phrases.append(("", False))
            low, high = (-np.inf if rule.at_least is None else rule.at_least), rule.at_most
            rows.append((LINE_MEASURES.index(rule.measure), low, np.inf if high is None else high, 0, False))
        elif isinstance(rule, LinePattern):
            phrases.append(("", False))
            rows.append((_CITATIONS, 0, 0, 0, False))
        else:
            phrases.append((rule.phrase, rule.dots_match_any))
            max_words = np.iinfo(np.int64).max if rule.max_words is None else rule.max_words
            rows.append((_LOCATIONS[rule.location], 0, 0, max_words, rule.removes_line))
    types = (np.int64, np.float64, np.float64, np.int64, np.bool_)
    columns: list[np.ndarray] = [
        np.array(column, dtype=type_) for column, type_ in zip(zip(*rows, strict=True), types, strict=True)
    ]
    kinds, at_least, at_most, n_words, removes_line = columns
    return _Rules(kinds, at_least, at_most, n_words, removes_line, encode_phrases(phrases))


@kernel
def _correct_rows(text, offsets, tables, rules, counted):
    n_rows = len(offsets) - 1
    counts = np.zeros((n_rows, _N_COUNTS), dtype=np.int64)
    new_offsets = np.zeros(n_rows + 1, dtype=np.int64)
    corrected = np.empty(offsets[-1] - offsets[0], dtype=np.uint8)
    points, flags = char_room(offsets)
    starts, stops = np.empty(len(points) + 1, dtype=np.int32), np.empty(len(points) + 1, dtype=np.int32)
    for row in range(n_rows):
        n_chars = decode(text, offsets[row], offsets[row + 1], tables, points, flags)
        count = counts[row]
        count[_WORDS_BEFORE] = count_fasttext(flags, n_chars)
        n_lines = _fill_lines(points, n_chars, starts, stops)
        for index in range(len(rules.kinds)):
            n_lines = _apply(points, flags, starts, stops, n_lines, rules, index, tables, counted, count)
        n_chars = _join(points, flags, starts, stops, n_lines, tables.flags[0, _NEWLINE])
        count[_WORDS_AFTER] = count_fasttext(flags, n_chars)
        corrected, new_offsets[row + 1] = encode(points, n_chars, corrected, new_offsets[row])
    return corrected[: new_offsets[n_rows]], new_offsets, counts


@helper
def _fill_lines(points, n_chars, starts, stops):
    n_lines = start = 0
    for at in range(n_chars):
        if points[at] == _NEWLINE:
            starts[n_lines], stops[n_lines] = start, at
            n_lines += 1
            start = at + 1
    starts[n_lines], stops[n_lines] = start, n_chars
    return n_lines + 1


@helper
def _join(points, flags, starts, stops, n_lines, newline_flags):
    """Joins the lines by newlines, in place, and returns the number of characters.

    A line's stop is at or before the newline that once followed it, so no character is written over before it is read.
    """
    target = 0
    for line in range(n_lines):
        if line:
            points[target], flags[target] = _NEWLINE, newline_flags
            target += 1
        for at in range(starts[line], stops[line]):
            points[target], flags[target] = points[at], flags[at]
            target += 1
    return target


@helper
def _apply(points, flags, starts, stops, n_lines, rules, index, tables, counted, count):
    """Applies one rule to all lines; returns the number of lines kept, at the beginning of `starts` and `stops`."""
    kind = rules.kinds[index]
    n_left = 0
    for line in range(n_lines):
        start, stop = starts[line], stops[line]
        stays = True
        if kind >= _ANY:
            if count_split(flags[start:stop], stop - start) <= rules.max_words[index]:
                phrase = rules.phrases.points[rules.phrases.starts[index] : rules.phrases.starts[index + 1]]
                new_start, new_stop = _cut(points, flags, start, stop, kind, phrase, tables)
                was_cut = new_start != start or new_stop != stop
                if rules.removes_line[index]:
                    stays = not was_cut
                else:
                    stays = start == stop or not _is_blank(flags, new_start, new_stop)
                    count[_CUT] += was_cut and stays
                    start, stop = new_start, new_stop
        elif kind == _CITATIONS:
            new_stop = cut_citations(points, flags, start, stop)
            count[_CUT] += new_stop != stop
            stop = new_stop
        elif start < stop:
            value = measure_line(points, flags, start, stop, kind, tables, counted)
            stays = rules.at_least[index] <= value <= rules.at_most[index]
        if stays:
            starts[n_left], stops[n_left] = start, stop
            n_left += 1
        else:
            count[_REMOVED] += 1
    return n_left if kind in _LEAVES_SPACE else _strip(flags, starts, stops, n_left)


@helper
def _is_blank(flags, start, stop):
    while start < stop and flags[start] & IS_SPACE:
        start += 1
    return start == stop


@helper
def _strip(flags, starts, stops, n_lines):
    """Strips white space around the joined lines, as `str.strip` does; returns the number of lines kept."""
    first = 0
    while first < n_lines and _is_blank(flags, starts[first], stops[first]):
        first += 1
    while n_lines > first and _is_blank(flags, starts[n_lines - 1], stops[n_lines - 1]):
        n_lines -= 1
    if first == n_lines:
        return 0
    for line in range(first, n_lines):
        starts[line - first], stops[line - first] = starts[line], stops[line]
    n_lines -= first
    last = n_lines - 1
    starts[0], _ = strip(flags, starts[0], stops[0])
    _, stops[last] = strip(flags, starts[last], stops[last])
    return n_lines


@helper
def _cut(points, flags, start, stop, location, phrase, tables):
    """Removes the phrase from a line, in place, with one white space next to it; returns the line's start and end."""
    blocks, lower = tables.blocks, tables.lower
    if location == _START:
        if not is_phrase_at(points, start, stop, phrase, blocks, lower):
            return start, stop
        start += len(phrase)
        return (start + 1 if start < stop and flags[start] & IS_SPACE else start), stop
    if location == _END:
        at = stop - len(phrase)
        if at < start or not is_phrase_at(points, at, stop, phrase, blocks, lower):
            return start, stop
        return start, (at - 1 if at > start and flags[at - 1] & IS_SPACE else at)
    kept = read = start
    while read < stop:
        # Invariant: the line before `read` is done and stands, without the phrase, in points[start:kept]; kept <= read.
        if flags[read] & IS_SPACE and is_phrase_at(points, read + 1, stop, phrase, blocks, lower):
            read += 1 + len(phrase)
        elif is_phrase_at(points, read, stop, phrase, blocks, lower):
            read += len(phrase)
        else:
            points[kept], flags[kept] = points[read], flags[read]
            kept += 1
            read += 1
    return start, kept
