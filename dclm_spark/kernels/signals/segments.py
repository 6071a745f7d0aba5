"""Finds repeated lines, paragraphs and n-grams: gives equal segments of a text equal numbers.

Nothing is decided by a hash: segments that fall into one slot of a table are compared letter by letter, and an n-gram
is a pair of exact numbers.
"""

import numpy as np

from dclm_spark.kernels.compiled.jit import helper
from dclm_spark.kernels.text.unicode import strip

NEWLINE = ord("\n")
_HASH_START, _HASH_FACTOR = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93  # any odd number with many bits serves


@helper
def fill_segments(points, flags, start, stop, min_newlines, strips, keeps_blank, starts, ends):
    """Writes start and end of the segments between runs of at least this number of newlines; returns their number.

    `strips` leaves out the white space around each, as `str.strip` does; blank ones, empty ones too, are left out
    unless `keeps_blank`: then every text has at least one segment, as `re.split` gives it. `starts` and `ends` need
    room for one number more than the text has characters.
    """
    n_segments = 0
    first = at = start
    while at <= stop:
        # Invariant: what is before `first` is done, and no run in points[first:at] is long enough.
        after = at
        while after < stop and points[after] == NEWLINE:
            after += 1
        if at == stop or after - at >= min_newlines:
            inner_first, inner_stop = strip(flags, first, at)
            if keeps_blank or inner_first < inner_stop:
                starts[n_segments] = inner_first if strips else first
                ends[n_segments] = inner_stop if strips else at
                n_segments += 1
            first = after
        at = max(after, at + 1) if at < stop else stop + 1
    return n_segments


@helper
def slots_for(n_entries):
    """Allocates the slots of a hash table that stays at most half full."""
    return np.full(2 * n_entries + 1, -1, dtype=np.int32)


@helper
def first_slot(digest, n_slots):
    """Returns the first slot to search for a digest (uint64)."""
    # The high half of a product depends on every bit of its factors; a share of 2**32 becomes one of the slots, which
    # are as many as are needed: a power of two would be up to twice as many.
    high = (digest * np.uint64(_HASH_FACTOR)) >> np.uint64(32)
    return np.int64((high * np.uint64(n_slots)) >> np.uint64(32))


@helper
def next_slot(slot, n_slots):
    """Returns the slot to search after this one."""
    return slot + 1 if slot + 1 < n_slots else 0


@helper
def number_segments(points, starts, ends, n_segments, ids, counts):
    """Gives equal segments one number, in the order of their first occurrence, and counts each; returns how many."""
    slots = slots_for(n_segments)
    n_ids = 0
    firsts = np.empty(n_segments, dtype=np.int32)  # the first segment of each number
    for index in range(n_segments):
        start, length = starts[index], ends[index] - starts[index]
        digest = np.uint64(_HASH_START)
        for at in range(start, start + length):
            digest = (digest ^ np.uint64(points[at])) * np.uint64(_HASH_FACTOR)
            digest ^= digest >> np.uint64(29)
        slot = first_slot(digest, len(slots))
        while slots[slot] >= 0 and not _is_same(points, starts, ends, firsts[slots[slot]], start, length):
            slot = next_slot(slot, len(slots))
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
def extra_copies(starts, ends, ids, n_segments):
    """Counts the segments that are second and later copies of another one, and their characters."""
    n_ids = n_chars = 0
    for index in range(n_segments):
        if ids[index] == n_ids:  # numbers were given in the order of first occurrence
            n_ids += 1
        else:
            n_chars += ends[index] - starts[index]
    return n_segments - n_ids, n_chars


@helper
def number_ngrams(ids, counts, at, n_left):
    """Numbers and counts the repeated n-grams that are one word longer; returns the number of their positions.

    Two n-grams are equal where the shorter ones that they begin and end with are: a pair of numbers. An n-gram can only
    occur again where those two do, so each size needs only `at[:n_left]` of the size before: the positions, in
    order, where an (n-1)-gram starts that occurs more than once.
    """
    n_pairs = 0
    for index in range(n_left - 1):
        n_pairs += at[index + 1] == at[index] + 1
    slots = slots_for(n_pairs)  # hold the first position of each number, as an index to `at`
    numbers = np.empty(n_pairs, dtype=np.int32)
    n_ids = n_positions = 0
    for index in range(n_left - 1):
        position = at[index]
        if at[index + 1] != position + 1:
            continue
        first, second = ids[position], ids[position + 1]
        slot = first_slot(np.uint64(first) << np.uint64(32) | np.uint64(second), len(slots))
        while slots[slot] >= 0:
            other = at[slots[slot]]
            if ids[other] == first and ids[other + 1] == second:
                break
            slot = next_slot(slot, len(slots))
        if slots[slot] < 0:
            slots[slot] = n_positions
            numbers[n_positions] = n_ids
            counts[n_ids] = 0
            n_ids += 1
        else:
            numbers[n_positions] = numbers[slots[slot]]
        counts[numbers[n_positions]] += 1
        at[n_positions] = position
        n_positions += 1
    n_left = 0
    for index in range(n_positions):
        position = at[index]
        ids[position] = numbers[index]
        if counts[numbers[index]] > 1:
            at[n_left] = position
            n_left += 1
    return n_left
