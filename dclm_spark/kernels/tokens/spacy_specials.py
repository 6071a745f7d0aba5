"""Splits spaCy's special cases, and joins tokens in a row that together are a special case.

Source: spaCy 3.8, `tokenizer.pyx` (`_apply_special_cases`). What affixes have taken apart, say ":" and ")", is looked
for at the end, in the tokens of the whole text.
"""

import numpy as np

from dclm_spark.kernels.compiled.jit import helper
from dclm_spark.kernels.tokens.spacy_tables import (
    IS_ALPHA,
    IS_ASCII_DIGIT,
    IS_PATTERN,
    IS_PATTERN_START,
    IS_SECOND,
    IS_SPECIAL,
    KINDS,
    LONGEST_TERM,
    PATTERN_SPLITS,
    SPLITS,
    class_of,
    term_at,
)

_SPACE = ord(" ")
# Two tokens that both begin like this begin no pattern.
_WORDLIKE = IS_ALPHA | IS_ASCII_DIGIT
# Of a token, beside the sizes of the patterns that start there: if it is in any, and where the chosen size begins.
_IS_SEEN, _CHOSEN_SIZE = 1, 16


@helper
def put_special(start, stop, splits, starts, ends, n_tokens):
    """Writes the tokens of a term, which start where bits of `splits` are set; returns the new number of tokens."""
    starts[n_tokens] = start
    for at in range(start + 1, stop):
        if splits >> (at - start) & 1:
            ends[n_tokens] = at
            n_tokens += 1
            starts[n_tokens] = at
    ends[n_tokens] = stop
    return n_tokens + 1


@helper
def join_specials(points, n_tokens, room, classes, terms, slots, starts, ends):
    """Makes the special cases of the tokens in a row that they consist of; returns how many tokens there are then.

    Of patterns that overlap, the longer one comes first, then the one further left. One is skipped if its first or last
    token is in a pattern that came before, even in a skipped one; and one with a space in it is no special case, but
    comes before others all the same. `starts` and `ends` have room for `room` tokens, which are never too few.
    """
    characters = np.empty(LONGEST_TERM, dtype=np.int32)
    patterns = np.empty(n_tokens, dtype=np.int32)  # the sizes of those that start at each token, as bits
    all_sizes = class_before = 0
    for index in range(n_tokens):
        current = class_of(points[starts[index]], classes)
        patterns[index] = 0
        if index > 0 and current & IS_SECOND and not (current & _WORDLIKE and class_before & _WORDLIKE):
            found = _patterns_at(points, index - 1, n_tokens, terms, slots, starts, ends, characters)
            patterns[index - 1] = found
            all_sizes |= found
        class_before = current
    if all_sizes == 0:
        return n_tokens
    longest = 1
    while all_sizes >> longest + 1:
        longest += 1
    for size in range(longest, 1, -1):
        for index in range(n_tokens):
            if patterns[index] >> size & 1:
                is_free = not (patterns[index] | patterns[index + size - 1]) & _IS_SEEN
                for inside in range(index, index + size):
                    patterns[inside] |= _IS_SEEN
                if is_free:
                    patterns[index] |= size << _CHOSEN_SIZE
    return _put_patterns(points, n_tokens, room, terms, slots, starts, ends, patterns)


@helper
def _patterns_at(points, index, n_tokens, terms, slots, starts, ends, characters):
    """Returns the sizes in tokens, as bits, of the patterns that start at a token, with at most one space inside."""
    found = splits = n_chars = size = 0
    while index + size < n_tokens:
        start, end = starts[index + size], ends[index + size]
        gap = start - ends[index + size - 1] if size else 0
        if n_chars + end - start > LONGEST_TERM or gap > 1 or (gap == 1 and points[start - 1] != _SPACE):
            break
        splits |= 1 << n_chars
        for at in range(start, end):
            characters[n_chars] = points[at]
            n_chars += 1
        size += 1
        if size > 1:
            term = term_at(characters, 0, n_chars, IS_PATTERN | IS_PATTERN_START, terms, slots)
            if term < 0 or terms[term, PATTERN_SPLITS] != splits:
                break
            found |= (terms[term, KINDS] & IS_PATTERN != 0) << size
            if not terms[term, KINDS] & IS_PATTERN_START:
                break
    return found


@helper
def _put_patterns(points, n_tokens, room, terms, slots, starts, ends, patterns):
    # A special case may have more tokens than its pattern ("°C."), so all tokens make way to the end of the room first.
    moved = room - n_tokens
    for index in range(n_tokens - 1, -1, -1):
        starts[moved + index], ends[moved + index] = starts[index], ends[index]
    n_joined = index = 0
    while index < n_tokens:
        size = patterns[index] >> _CHOSEN_SIZE
        term = -1
        if size:
            first, last = np.int64(starts[moved + index]), np.int64(ends[moved + index + size - 1])
            term = term_at(points, first, last, IS_SPECIAL, terms, slots)
            if term >= 0:
                n_joined = put_special(first, last, terms[term, SPLITS], starts, ends, n_joined)
                index += size
        if term < 0:
            starts[n_joined], ends[n_joined] = starts[moved + index], ends[moved + index]
            n_joined += 1
            index += 1
    return n_joined
