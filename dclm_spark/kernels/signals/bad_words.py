"""Counts words and phrases of a list in texts, as datatrove's `C4BadWordsFilter` does."""

import functools

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.text.lowering import lower_one, lower_word
from dclm_spark.kernels.text.tries import ROOT, Trie, child_of, make_trie
from dclm_spark.kernels.text.unicode import (
    ALETTER,
    HEBREW_LETTER,
    IS_ALNUM,
    IS_LETTER,
    WORD_BREAK,
    char_room,
    char_tables,
    decode,
    flags_of,
    utf8_buffers,
)

# What a phrase needs to count: characters around it that are of no word, or nothing.
_BORDERED, _ANYWHERE = 1, 2

_UNDERSCORE = ord("_")


@functools.lru_cache(maxsize=8)
def bad_words_trie(bad_words: tuple[str, ...], *, reading: str) -> Trie:
    """Makes the trie of a list for `measure_bad_words`; white space around an entry is ignored.

    Read as `fixed`, an entry is meant in any case; datatrove (`faithful`) looks for it as it stands in texts in lower
    case, so that one with a capital letter is never found.
    """
    entries = [entry.strip() for entry in bad_words]
    if reading == "fixed":
        entries = [lower_one(entry) for entry in entries]
    return make_trie((entry, _ANYWHERE if _is_unspaced(entry) else _BORDERED) for entry in entries)


def _is_unspaced(entry: str) -> bool:
    """Returns whether a phrase has a letter of a script without spaces, that is, one that UAX #29 joins to no word."""
    tables = char_tables()
    flags = [flags_of(ord(char), tables) for char in entry]
    return any(flag & IS_LETTER and flag & WORD_BREAK not in (ALETTER, HEBREW_LETTER) for flag in flags)


def measure_bad_words(text: pa.Array, bad_words: tuple[str, ...] | None, *, reading: str) -> pa.Int32Array:
    """Counts the list's entries in each text, in any case; null for null, and for all texts without a list.

    >>> measure_bad_words(pa.array(["Bad, badly bad", "", None]), ("bad",), reading="fixed").to_pylist()
    [2, 0, None]
    """
    if bad_words is None:
        return pa.nulls(len(text), pa.int32())
    data, offsets = utf8_buffers(text)
    counts = _count_rows(data, offsets, char_tables(), bad_words_trie(tuple(bad_words), reading=reading))
    return pa.array(counts, mask=text.is_null().to_numpy(zero_copy_only=False))


@kernel
def _count_rows(text, offsets, tables, trie):
    counts = np.zeros(len(offsets) - 1, dtype=np.int32)
    points, flags = char_room(offsets)
    # Of two bytes at least is the one character whose lower case is two characters.
    lowered = np.empty(len(points), dtype=np.int32)
    for row in range(len(counts)):
        n_chars = decode(text, offsets[row], offsets[row + 1], tables, points, flags)
        n_lowered = lower_word(points, flags, 0, n_chars, tables.blocks, tables.lower, lowered)
        counts[row] = _count(lowered, n_lowered, trie, tables)
    return counts


@helper
def _count(lowered, n_chars, trie, tables):
    """Counts entries in the first `n_chars` code points, in lower case; the longest match counts, without overlaps."""
    # Named once: taking an array out of a tuple costs more than reading the array.
    keys, children, marks, starts = trie
    blocks, flags_of_blocks = tables.blocks, tables.flags
    n_found = at = 0
    while at < n_chars:
        wanted = starts[lowered[at] & 0xFF]
        if wanted & _BORDERED and _is_word(lowered, at - 1, n_chars, blocks, flags_of_blocks):
            wanted ^= _BORDERED
        end = at
        if wanted:
            node, read = ROOT, at
            while read < n_chars:
                node = child_of(node, lowered[read], keys, children)
                if node < 0:
                    break
                read += 1
                mark = marks[node] & wanted
                if mark & _ANYWHERE or (mark and not _is_word(lowered, read, n_chars, blocks, flags_of_blocks)):
                    end = read
        n_found += end > at
        at = max(at + 1, end)
    return n_found


@helper
def _is_word(lowered, at, n_chars, blocks, flags_of_blocks):
    r"""Returns whether there is a character at this position that `re`'s \w matches."""
    if at < 0 or at >= n_chars:
        return False
    point = lowered[at]
    return point == _UNDERSCORE or flags_of_blocks[blocks[point >> 8], point & 0xFF] & IS_ALNUM != 0
