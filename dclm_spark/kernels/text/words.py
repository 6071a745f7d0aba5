"""Counts words of Arrow text by the three definitions of the recipe, and has the compiled loops for other kernels.

DCLM measures a page by three definitions of a word (`split_words` in its `baselines/mappers/core_utils.py`):

- *UAX #29*: the word segments of Unicode 16.0 (uniseg), those whose first character is a letter or number. Repetition.
- *split*: the words of `str.split`, separated by white space. Word length, symbols, letters, stop words.
- *fastText*: the tokens of fastText, between ASCII separators only (a no-break space joins), those whose first
  character is a letter or number. Page length.

The loops run over the flags of a decoded text (`unicode.decode`), so positions count characters. Each takes time linear
in the length of the text.
"""

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.text.unicode import (
    ALETTER,
    CR,
    DOUBLE_QUOTE,
    EXTEND,
    EXTEND_NUM_LET,
    HEBREW_LETTER,
    IS_ALNUM,
    IS_FASTTEXT_SEPARATOR,
    IS_PICTOGRAPHIC,
    IS_SPACE,
    KATAKANA,
    LF,
    MID_LETTER,
    MID_NUM,
    MID_NUM_LET,
    NUMERIC,
    OTHER,
    REGIONAL_INDICATOR,
    SINGLE_QUOTE,
    WORD_BREAK,
    WSEG_SPACE,
    ZWJ,
    char_room,
    char_tables,
    decode,
    utf8_buffers,
)

_UAX29, _SPLIT, _FASTTEXT = range(3)

_LETTERS = 1 << ALETTER | 1 << HEBREW_LETTER  # UAX #29 calls it AHLetter
_WORD = _LETTERS | 1 << NUMERIC | 1 << EXTEND_NUM_LET
# Two bit sets of classes, indexed by the class before. After it, these go on without a break (WB5, WB8 to WB10, WB13):
_GOES_ON_WITH = (
    0,  # OTHER
    _WORD,  # ALETTER
    _WORD,  # HEBREW_LETTER
    _WORD,  # NUMERIC
    1 << KATAKANA | 1 << EXTEND_NUM_LET,  # KATAKANA
    _WORD | 1 << KATAKANA,  # EXTEND_NUM_LET
    *[0] * (DOUBLE_QUOTE + 1 - REGIONAL_INDICATOR),
)
# and these do if the right class follows them (WB6, WB7, WB11, WB12):
_MAY_GO_ON_WITH = (
    0,  # OTHER
    1 << MID_LETTER | 1 << MID_NUM_LET | 1 << SINGLE_QUOTE,  # ALETTER
    1 << MID_LETTER | 1 << MID_NUM_LET | 1 << SINGLE_QUOTE | 1 << DOUBLE_QUOTE,  # HEBREW_LETTER
    1 << MID_NUM | 1 << MID_NUM_LET | 1 << SINGLE_QUOTE,  # NUMERIC
    *[0] * (DOUBLE_QUOTE + 1 - KATAKANA),
)


@helper
def next_word_end(flags, start, stop):
    """Returns the end of the UAX #29 word segment that starts at `start`.

    `start` has to be a boundary (0, or an end that this function gave) and below `stop`. No rule looks back over a
    boundary, so nothing else has to be remembered between two segments.
    """
    adjacent = flags[start] & WORD_BREAK  # class of the character just before `at`
    at = start + 1
    if adjacent >= CR:  # WB3 to WB3b
        return at + 1 if adjacent == CR and at < stop and flags[at] & WORD_BREAK == LF else at
    # Class of the last character that WB4 does not look through; one that starts a segment hides nothing before it.
    visible = adjacent if adjacent < EXTEND else OTHER
    is_first_of_pair = visible == REGIONAL_INDICATOR
    while at < stop:
        # Invariant: no boundary in (start, at).
        current = flags[at] & WORD_BREAK
        if _GOES_ON_WITH[visible] >> current & 1:
            visible = current
        elif current >= CR:
            break
        elif adjacent == ZWJ and flags[at] & IS_PICTOGRAPHIC:  # WB3c
            visible = current
            is_first_of_pair = False
        elif current >= EXTEND or (adjacent == WSEG_SPACE and current == WSEG_SPACE):  # WB4, WB3d
            pass
        elif is_first_of_pair and current == REGIONAL_INDICATOR:  # WB15, WB16
            is_first_of_pair = False
        elif _MAY_GO_ON_WITH[visible] >> current & 1:
            after = at + 1
            while after < stop and EXTEND <= flags[after] & WORD_BREAK <= ZWJ:
                after += 1
            following = flags[after] & WORD_BREAK if after < stop else OTHER
            if current == DOUBLE_QUOTE:  # WB7b, WB7c
                joins = following == HEBREW_LETTER
            elif visible == NUMERIC:  # WB11, WB12
                joins = following == NUMERIC
            else:  # WB6, WB7
                joins = following in (ALETTER, HEBREW_LETTER)
            if joins:
                at = after
                current = visible = following
            elif visible == HEBREW_LETTER and current == SINGLE_QUOTE:  # WB7a
                visible = current
            else:
                break
        else:
            break
        adjacent = current
        at += 1
    return at


@helper
def fill_word_bounds(flags, n_chars, starts, ends):
    """Writes the starts and ends of the UAX #29 words of a text, and returns their number.

    Only segments whose first character is a letter or number are words. `starts` and `ends` need room for one
    number more than two thirds of the text's bytes: a word of one byte never stands directly before another.
    """
    n_words = 0
    at = 0
    while at < n_chars:
        end = next_word_end(flags, at, n_chars)
        if flags[at] & IS_ALNUM:
            starts[n_words] = at
            ends[n_words] = end
            n_words += 1
        at = end
    return n_words


@helper
def count_uax29(flags, n_chars):
    """Counts UAX #29 words."""
    n_words = 0
    at = 0
    while at < n_chars:
        n_words += flags[at] & IS_ALNUM != 0
        at = next_word_end(flags, at, n_chars)
    return n_words


@helper
def count_split(flags, n_chars):
    """Counts the words of str.split."""
    n_words = 0
    is_inside = False
    for at in range(n_chars):
        is_space = flags[at] & IS_SPACE != 0
        n_words += not is_space and not is_inside
        is_inside = not is_space
    return n_words


@helper
def count_fasttext(flags, n_chars):
    """Counts fastText tokens whose first character is a letter or number.

    fastText also gives a token `</s>` for each newline; it starts with punctuation and so never counts.
    """
    n_words = 0
    is_inside = False
    for at in range(n_chars):
        is_separator = flags[at] & IS_FASTTEXT_SEPARATOR != 0
        n_words += not is_separator and not is_inside and flags[at] & IS_ALNUM != 0
        is_inside = not is_separator
    return n_words


@kernel
def _count_rows(text, offsets, tables, definition):
    counts = np.zeros(len(offsets) - 1, dtype=np.int32)
    points, flags = char_room(offsets)
    for row in range(len(counts)):
        n_chars = decode(text, offsets[row], offsets[row + 1], tables, points, flags)
        if definition == _UAX29:
            counts[row] = count_uax29(flags, n_chars)
        elif definition == _SPLIT:
            counts[row] = count_split(flags, n_chars)
        else:
            counts[row] = count_fasttext(flags, n_chars)
    return counts


def _count(text: pa.Array, definition: int) -> pa.Int32Array:
    data, offsets = utf8_buffers(text)
    counts = _count_rows(data, offsets, char_tables(), definition)
    return pa.array(counts, mask=text.is_null().to_numpy(zero_copy_only=False))


def count_words_uax29(text: pa.Array) -> pa.Int32Array:
    """Counts the UAX #29 words of each text; null for null.

    Segments that start with a letter or number: DCLM's `split_words(model="uniseg", ignore_punctuation=True)`.

    >>> count_words_uax29(pa.array(["It can't be 3.5, can it?", "", None])).to_pylist()
    [6, 0, None]
    """
    return _count(text, _UAX29)


def count_words_split(text: pa.Array) -> pa.Int32Array:
    """Counts the words of each text that are separated by white space, as by `str.split`; null for null.

    >>> count_words_split(pa.array(["two - words", "", None])).to_pylist()
    [3, 0, None]
    """
    return _count(text, _SPLIT)


def count_words_fasttext(text: pa.Array) -> pa.Int32Array:
    r"""Counts the fastText tokens of each text that start with a letter or number; null for null.

    DCLM's `split_words(model="fasttext", ignore_punctuation=True)`, the words of its page length.

    >>> count_words_fasttext(pa.array(["two - words", "no-break\u00a0space", "", None])).to_pylist()
    [2, 1, 0, None]
    """
    return _count(text, _FASTTEXT)


def words_uax29(text: str) -> list[str]:
    """Returns the UAX #29 words of one text, in order.

    >>> words_uax29("It can't be 3.5, can it?")
    ['It', "can't", 'be', '3.5', 'can', 'it']
    >>> words_uax29("")
    []
    """
    data, offsets = utf8_buffers(pa.array([text]))
    starts, ends = _word_bounds(data, offsets, char_tables())
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


@kernel
def _word_bounds(text, offsets, tables):
    points, flags = char_room(offsets)
    n_chars = decode(text, offsets[0], offsets[1], tables, points, flags)
    starts, ends = np.empty(n_chars, dtype=np.int32), np.empty(n_chars, dtype=np.int32)
    n_words = fill_word_bounds(flags, n_chars, starts, ends)
    return starts[:n_words], ends[:n_words]
