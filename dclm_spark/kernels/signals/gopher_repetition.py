"""Measures Gopher's repetition as datatrove does, by loops over lines, paragraphs and n-grams of a decoded text.

`gopher.measure_gopher` says what the numbers are. All loops are linear in the length of the text, whatever the text;
nothing is decided by a hash.
"""

import numpy as np

from dclm_spark.kernels.compiled.jit import helper
from dclm_spark.kernels.signals.segments import (
    extra_copies,
    fill_segments,
    first_slot,
    next_slot,
    number_ngrams,
    number_segments,
    slots_for,
)
from dclm_spark.kernels.text.unicode import strip

_TOP_SIZES, _LAST_SIZE = (2, 3, 4), 10
_DIGEST_BASE = 0xD6E8FEB86659FD93  # any odd number with many bits serves
_N_POWERS = 32  # few tokens are longer
_FEW_TOKENS = 4096  # nearly all pages have fewer; 64 KiB of slots


@helper
def measure_segments(points, flags, n_chars, min_newlines, starts, ends, numbers, is_faithful):
    """How many lines (one newline or more) or paragraphs (two or more) there are; of which copies, and those' chars."""
    start, stop = 0, n_chars
    if min_newlines > 1:
        start, stop = strip(flags, start, stop)
    n_segments = fill_segments(points, flags, start, stop, min_newlines, not is_faithful, is_faithful, starts, ends)
    ids = numbers[:n_segments]
    number_segments(points, starts, ends, n_segments, ids, numbers[n_segments:])
    n_extra, n_extra_chars = extra_copies(starts, ends, ids, n_segments)
    return n_segments, n_extra, n_extra_chars


@helper
def measure_ngrams(points, starts, ends, n_tokens, n_chars, numbers, is_faithful, result):
    """Writes the shares of all sizes of n-grams; `numbers` is room for two numbers and more a token."""
    for index in range(len(result)):
        result[index] = 0.0 if n_chars else np.nan
    ids, counts = numbers[:n_tokens], numbers[n_tokens:]
    number_segments(points, starts, ends, n_tokens, ids, counts)
    at = np.empty(n_tokens, dtype=np.int32)
    n_left = 0
    for index in range(n_tokens):
        if counts[ids[index]] > 1:
            at[n_left] = index
            n_left += 1
    last_size = min(_TOP_SIZES[-1] if is_faithful else _LAST_SIZE, n_tokens)
    for size in range(2, last_size + 1):
        n_left = number_ngrams(ids, counts, at, n_left)
        if size in _TOP_SIZES:
            n_found = _top_chars(starts, ends, ids, counts, at, n_left, size, is_faithful)
        else:
            n_found = _extra_chars(starts, ends, ids, counts, at, n_left, size)
        result[size - 2] = n_found / n_chars
    if is_faithful:
        # At most a quarter full: most n-grams occur once, and are found missing at once. A long text has to do with the
        # room there is, half full.
        slots = slots_for(2 * n_tokens) if n_tokens <= _FEW_TOKENS else numbers[: 2 * n_tokens + 1]
        _measure_joined(points, starts, ends, n_tokens, n_chars, slots, result)


@helper
def _chars_of(starts, ends, place, size):
    """Counts the characters of tokens, without the characters between them."""
    n_chars = 0
    for index in range(place, place + size):
        n_chars += ends[index] - starts[index]
    return n_chars


@helper
def _top_chars(starts, ends, ids, counts, at, n_left, size, is_faithful):
    """Returns the characters of the most frequent n-gram, with a space between tokens, times its occurrences."""
    top_count = top_chars = 0
    if is_faithful:
        # Where none occurs twice, the first of all is the most frequent.
        top_count, top_chars = 1, _chars_of(starts, ends, 0, size) + size - 1
    for index in range(n_left):
        place = at[index]
        count = counts[ids[place]]
        if count > top_count or (count == top_count and not is_faithful):
            n_chars = _chars_of(starts, ends, place, size) + size - 1
            if count > top_count or n_chars > top_chars:
                top_count, top_chars = count, n_chars
    return top_count * top_chars


@helper
def _extra_chars(starts, ends, ids, counts, at, n_left, size):
    """Characters of the n-grams that have occurred before, going on behind each one found; overwrites `counts`."""
    n_found = next_place = 0
    for index in range(n_left):
        # Invariant: the count is 0 of each n-gram that starts before `place` and was not passed over.
        place = at[index]
        if place < next_place:
            continue
        if counts[ids[place]] == 0:
            n_found += _chars_of(starts, ends, place, size)
            next_place = place + size
        counts[ids[place]] = 0
    return n_found


@helper
def _measure_joined(points, starts, ends, n_tokens, n_chars, slots, result):
    """Writes the shares of n-grams that have occurred before, two being the same if their characters in a row are.

    The digest of characters in a row is a polynomial of them, so that of two rows together is `first * power of the
    second's length + second`.
    """
    base = np.uint64(_DIGEST_BASE)
    powers = np.ones(_N_POWERS, dtype=np.uint64)
    for index in range(1, _N_POWERS):
        powers[index] = powers[index - 1] * base
    token_digests = np.zeros(n_tokens, dtype=np.uint64)
    for index in range(n_tokens):
        for at in range(starts[index], ends[index]):
            token_digests[index] = token_digests[index] * base + np.uint64(points[at] + 1)
    digests = token_digests.copy()
    for size in range(2, min(_LAST_SIZE, n_tokens) + 1):
        n_ngrams = n_tokens - size + 1
        for index in range(n_ngrams):
            last = index + size - 1
            length = ends[last] - starts[last]
            power = powers[min(length, _N_POWERS - 1)]
            for _ in range(_N_POWERS - 1, length):
                power *= base
            digests[index] = digests[index] * power + token_digests[last]
        if size not in _TOP_SIZES:
            result[size - 2] = _joined_chars(points, starts, ends, digests, n_ngrams, size, slots) / n_chars


@helper
def _joined_chars(points, starts, ends, digests, n_ngrams, size, slots):
    """Characters of the n-grams that have occurred before, going on behind each one found.

    Linear: what is compared letter by letter either is the same, and passed over, or has the same digest by chance.
    """
    for slot in range(len(slots)):
        slots[slot] = -1
    n_found = index = 0
    while index < n_ngrams:
        # Invariant: the slots hold one place of each n-gram that starts before `index` and was not passed over.
        digest = digests[index]
        slot = first_slot(digest, len(slots))
        n_same = -1
        while slots[slot] >= 0 and n_same < 0:
            if digests[slots[slot]] == digest:
                n_same = _same_chars(points, starts, ends, slots[slot], index, size)
            slot = next_slot(slot, len(slots))
        if n_same >= 0:
            n_found += n_same
            index += size
        else:
            slots[slot] = index
            index += 1
    return n_found


@helper
def _same_chars(points, starts, ends, first, second, size):
    """Returns the number of characters of two n-grams if all their characters are the same; else -1."""
    token, other = first, second
    at, other_at = starts[first], starts[second]
    n_chars = 0
    while token < first + size and other < second + size:
        if points[at] != points[other_at]:
            return -1
        n_chars += 1
        at += 1
        other_at += 1
        if at == ends[token]:
            token += 1
            at = starts[min(token, first + size - 1)]
        if other_at == ends[other]:
            other += 1
            other_at = starts[min(other, second + size - 1)]
    return n_chars if token == first + size and other == second + size else -1
