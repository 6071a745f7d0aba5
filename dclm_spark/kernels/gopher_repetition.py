"""Gopher's repetition as datatrove measures it: loops over the lines, paragraphs and n-grams of a decoded text.

`gopher.measure_gopher` says what the numbers are. All loops are linear in the length of the text, whatever the text;
nothing is decided by a hash.
"""

import numpy as np

from dclm_spark.kernels.jit import helper
from dclm_spark.kernels.segments import (
    extra_copies,
    fill_segments,
    number_ngrams,
    number_segments,
    slot_of,
    slots_for,
)
from dclm_spark.kernels.unicode import strip

_LAST_TOP_SIZE = 4
_TOKEN_END = -1  # no code point
_DIGEST_BASE = 0xD6E8FEB86659FD93  # any odd number with many bits serves


@helper
def measure_segments(points, flags, n_chars, min_newlines, starts, ends, ids, counts, is_faithful):
    """How many lines (one newline or more) or paragraphs (two or more) there are; of which copies, and those' chars."""
    start, stop = 0, n_chars
    if min_newlines > 1:
        start, stop = strip(flags, start, stop)
    n_segments = fill_segments(points, flags, start, stop, min_newlines, not is_faithful, is_faithful, starts, ends)
    number_segments(points, starts, ends, n_segments, ids, counts)
    n_extra, n_extra_chars = extra_copies(starts, ends, ids, n_segments)
    return n_segments, n_extra, n_extra_chars


@helper
def measure_ngrams(points, starts, ends, n_tokens, n_chars, ids, counts, joined, is_faithful, result):
    """Writes the shares of all sizes of n-grams; `ids`, `counts` and `joined` are room to work in.

    `joined` needs room for one number more for each token than the tokens have characters.
    """
    for index in range(len(result)):
        result[index] = 0.0 if n_chars else np.nan
    number_segments(points, starts, ends, n_tokens, ids, counts)
    at = np.empty(n_tokens, dtype=np.int32)
    n_left = 0
    for index in range(n_tokens):
        if counts[ids[index]] > 1:
            at[n_left] = index
            n_left += 1
    # The tokens one after another, and what makes an n-gram's digest of those of its tokens.
    bounds = np.zeros(n_tokens + 1, dtype=np.int64)
    token_digests, factors = np.empty(n_tokens, dtype=np.uint64), np.empty(n_tokens, dtype=np.uint64)
    _join(points, starts, ends, n_tokens, is_faithful, joined, bounds, token_digests, factors)
    digests = token_digests.copy()
    n_end_marks = 0 if is_faithful else 1  # a token
    slots = slots_for(2 * n_tokens)  # at most a quarter full: most n-grams occur once, and are found missing at once
    # The count of sizes is left to run time: unrolled, the loop takes longer to compile.
    for size in range(2, 2 + len(result)):
        n_ngrams = n_tokens - size + 1
        if n_ngrams <= 0:
            break
        for index in range(n_ngrams):
            last = index + size - 1
            digests[index] = digests[index] * factors[last] + token_digests[last]
        if size <= _LAST_TOP_SIZE:
            n_left = number_ngrams(ids, counts, at, n_left)
            n_found = _top_chars(ids, counts, at, n_left, size, bounds, n_end_marks, is_faithful)
        else:
            n_found = _extra_chars(joined, bounds, digests, n_ngrams, size, n_end_marks, slots)
        result[size - 2] = n_found / n_chars


@helper
def _join(points, starts, ends, n_tokens, is_faithful, joined, bounds, digests, factors):
    """Writes the characters of all tokens, where each begins, its digest, and by how much it moves a digest before it.

    If not faithful, a mark that no character equals ends each token. The digest of characters in a row is a polynomial
    of them, so that of two rows together is `first * factor of second + second`.
    """
    n_joined = 0
    for index in range(n_tokens):
        digest, factor = np.uint64(0), np.uint64(1)
        for at in range(starts[index], ends[index]):
            joined[n_joined] = points[at]
            n_joined += 1
            digest = digest * np.uint64(_DIGEST_BASE) + np.uint64(points[at] + 1)
            factor *= np.uint64(_DIGEST_BASE)
        if not is_faithful:
            joined[n_joined] = _TOKEN_END
            n_joined += 1
            digest *= np.uint64(_DIGEST_BASE)
            factor *= np.uint64(_DIGEST_BASE)
        bounds[index + 1] = n_joined
        digests[index], factors[index] = digest, factor


@helper
def _top_chars(ids, counts, at, n_left, size, bounds, n_end_marks, is_faithful):
    """Characters, with a space between two tokens, of the most frequent n-gram, times how often it occurs."""
    top_count = top_chars = 0
    if is_faithful:
        # Where none occurs twice, the first of all is the most frequent.
        top_count, top_chars = 1, bounds[size] + size - 1
    for index in range(n_left):
        place = at[index]
        count = counts[ids[place]]
        n_chars = bounds[place + size] - bounds[place] - size * n_end_marks + size - 1
        if count > top_count or (count == top_count and n_chars > top_chars and not is_faithful):
            top_count, top_chars = count, n_chars
    return top_count * top_chars


@helper
def _extra_chars(joined, bounds, digests, n_ngrams, size, n_end_marks, slots):
    """Characters of the n-grams that have occurred before, going on behind each one found.

    Linear: what is compared letter by letter either is the same, and passed over, or has the same digest by chance.
    """
    for slot in range(len(slots)):
        slots[slot] = -1
    n_found = index = 0
    while index < n_ngrams:
        # Invariant: the slots hold one place of each n-gram that starts before `index` and was not passed over.
        digest, start, length = digests[index], bounds[index], bounds[index + size] - bounds[index]
        slot = slot_of(digest, len(slots))
        is_found = False
        while slots[slot] >= 0 and not is_found:
            other = slots[slot]
            if digests[other] == digest and bounds[other + size] - bounds[other] == length:
                first = bounds[other]
                same = 0
                while same < length and joined[first + same] == joined[start + same]:
                    same += 1
                is_found = same == length
            if not is_found:
                slot = (slot + 1) & (len(slots) - 1)
        if is_found:
            n_found += length - size * n_end_marks
            index += size
        else:
            slots[slot] = index
            index += 1
    return n_found
