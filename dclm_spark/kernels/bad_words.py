"""Words and phrases of a list in a text, as datatrove's `C4BadWordsFilter` looks for them."""

import functools

from dclm_spark.kernels.jit import helper
from dclm_spark.kernels.tries import ROOT, Trie, child_of, make_trie
from dclm_spark.kernels.unicode import (
    ALETTER,
    HEBREW_LETTER,
    IS_ALNUM,
    IS_LETTER,
    WORD_BREAK,
    char_tables,
    flags_of,
)

# What a phrase needs to count: characters around it that are of no word, or nothing.
_BORDERED, _ANYWHERE = 1, 2

_UNDERSCORE = ord("_")


@functools.lru_cache(maxsize=8)
def bad_words_trie(bad_words: tuple[str, ...], *, reading: str) -> Trie:
    """The list for `count_bad_words`; white space around an entry is none of it.

    Read as `fixed`, an entry is meant in any case; datatrove (`faithful`) looks for it as it stands in texts in lower
    case, so that one with a capital letter is never found.
    """
    entries = [entry.strip() for entry in bad_words]
    if reading == "fixed":
        entries = [entry.lower() for entry in entries]
    return make_trie((entry, _ANYWHERE if _is_unspaced(entry) else _BORDERED) for entry in entries)


def _is_unspaced(entry: str) -> bool:
    """Whether it has a letter of a script that is written without spaces: one at which UAX #29 joins no word."""
    tables = char_tables()
    flags = [flags_of(ord(char), tables) for char in entry]
    return any(flag & IS_LETTER and flag & WORD_BREAK not in (ALETTER, HEBREW_LETTER) for flag in flags)


@helper
def count_bad_words(lowered, n_chars, trie, tables):
    """How many stand in the first `n_chars` code points, which are in lower case; the longest counts, none overlap."""
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
    r"""Whether there is a character at this place that `re`'s \w matches."""
    if at < 0 or at >= n_chars:
        return False
    point = lowered[at]
    return point == _UNDERSCORE or flags_of_blocks[blocks[point >> 8], point & 0xFF] & IS_ALNUM != 0
