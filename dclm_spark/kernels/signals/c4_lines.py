"""Applies C4's rules to one line inside compiled kernels: decides whether it is kept, and removes citations."""

import functools
from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.compiled.jit import helper
from dclm_spark.kernels.signals.citations import cut_citations
from dclm_spark.kernels.text.lowering import lower_one, lower_word
from dclm_spark.kernels.text.tries import Trie, make_trie, marks_within
from dclm_spark.kernels.text.unicode import IS_SPACE, strip
from dclm_spark.recipe.annotation import C4Lines

# What a phrase in a line is for.
SAYS_LOREM_IPSUM, _IS_CODE, HAS_CURLY_BRACKET, _IS_POLICY = 1, 2, 4, 8

_FULL_STOP = ord(".")
_END_MARKS = tuple(map(ord, ".?!\"'"))
_CLOSING_QUOTES = tuple(map(ord, "\u201d\u2019"))


class LineRules(NamedTuple):
    """The settings of `C4Lines` as numbers for kernels."""

    is_faithful: bool
    max_word_chars: int
    removes_citations: bool
    needs_end_mark: bool
    min_words: int


def encode_rules(rules: C4Lines, reading: str) -> LineRules:
    """Converts the settings to rules for `judge_line`."""
    max_word_chars = np.iinfo(np.int64).max if rules.max_word_chars is None else rules.max_word_chars
    return LineRules(
        reading == "faithful",
        max_word_chars,
        rules.removes_citations,
        rules.needs_end_mark,
        rules.min_words,
    )


@functools.lru_cache(maxsize=8)
def phrases_of(rules: C4Lines) -> Trie:
    """Makes the trie of all that `judge_line` searches a line for, in lower case."""
    return make_trie(
        [
            ("lorem ipsum", SAYS_LOREM_IPSUM),
            *((lower_one(phrase), _IS_CODE) for phrase in rules.code_phrases),
            ("{", HAS_CURLY_BRACKET),
            *((lower_one(phrase), _IS_POLICY) for phrase in rules.policy_phrases),
        ]
    )


@helper
def judge_line(points, flags, start, stop, lowered, tables, rules, phrases):
    """Returns the bounds of a line without its citations, -1 and -1 if it is removed, and which phrases it holds.

    There is no white space around it. What it says is SAYS_LOREM_IPSUM, HAS_CURLY_BRACKET or both, where no rule before
    those has taken the line.
    """
    removed = -1, -1, np.int64(0)
    n_words, longest = _measure_words(flags, start, stop)
    if longest > rules.max_word_chars:
        return removed
    if rules.removes_citations:
        new_stop = cut_citations(points, flags, start, stop)
        if not rules.is_faithful and new_stop != stop:
            start, new_stop = strip(flags, start, new_stop)
            n_words, longest = _measure_words(flags, start, new_stop)
        stop = new_stop
    if rules.needs_end_mark and not _has_end_mark(points, start, stop, rules.is_faithful):
        return removed
    if n_words < rules.min_words:
        return removed
    n_lowered = lower_word(points, flags, start, stop, tables.blocks, tables.lower, lowered)
    says = marks_within(lowered, n_lowered, phrases)
    if says & _IS_CODE:
        return -1, -1, says & SAYS_LOREM_IPSUM
    return (-1, -1, says) if says & _IS_POLICY else (start, stop, says)


@helper
def _measure_words(flags, start, stop):
    """Counts the words separated by white space, and returns the length of the longest."""
    n_words = longest = n_chars = 0
    for at in range(start, stop):
        n_chars = 0 if flags[at] & IS_SPACE else n_chars + 1
        n_words += n_chars == 1
        longest = max(longest, n_chars)
    return n_words, longest


@helper
def _has_end_mark(points, start, stop, is_faithful):
    if start == stop:
        return False
    last = points[stop - 1]
    if last == _FULL_STOP:
        return not (stop - 3 >= start and points[stop - 2] == points[stop - 3] == _FULL_STOP)
    return last in _END_MARKS or (not is_faithful and last in _CLOSING_QUOTES)
