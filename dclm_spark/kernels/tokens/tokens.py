"""Finds the tokens that datatrove's rules count: those of spaCy's English tokenizer, or segments of UAX #29."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.text.unicode import IS_SPACE, WORD_BREAKER, char_room, char_tables, decode, strip, utf8_buffers
from dclm_spark.kernels.text.words import next_word_end
from dclm_spark.kernels.tokens.spacy_tables import spacy_tables
from dclm_spark.kernels.tokens.spacy_words import fill_spacy_tokens

UAX29, SPACY_EN = range(2)
_KINDS = {"uax29": UAX29, "spacy_en": SPACY_EN}


def token_kind(tokens: str) -> int:
    """Returns the number that kernels use for a kind of tokens, given its name in recipes."""
    if tokens not in _KINDS:
        raise ValueError(f"tokens is {tokens!r}; expected one of: {', '.join(_KINDS)}")
    return _KINDS[tokens]


@helper
def fill_tokens(kind, points, flags, n_chars, tables, starts, ends):
    """Writes the starts and ends of the tokens of a decoded text, and returns their number.

    Tokens are slices of the text in order, none of them blank, none with white space around it. `kind` and `tables`
    are what `token_kind` and `spacy_tables` give; `starts` and `ends` need room for one number for each character.
    """
    if kind == SPACY_EN:
        return fill_spacy_tokens(points, flags, 0, n_chars, tables, starts, ends)
    return fill_uax29_tokens(flags, 0, n_chars, starts, ends)


@helper
def fill_uax29_tokens(flags, start, stop, starts, ends):
    """Writes the starts and ends of the UAX #29 segments that are not white space, and returns their number.

    White space around one goes, as `str.strip` takes it: a segment of spaces may end in what is none (U+200D). `start`
    has to be a boundary. `starts` and `ends` need room for as many numbers as there are characters.
    """
    n_tokens = 0
    at = start
    while at < stop:
        end = next_word_end(flags, at, stop)
        if end == at + 1:  # most are punctuation and spaces
            first, last = at, end - (flags[at] & IS_SPACE != 0)
        else:
            first, last = strip(flags, at, end)
        if first < last:
            starts[n_tokens] = first
            ends[n_tokens] = last
            n_tokens += 1
        at = end
    return n_tokens


class Tokens(NamedTuple):
    """Finds start and end of all tokens, in characters of their row; row i has `offsets[i]:offsets[i + 1]`."""

    starts: np.ndarray
    ends: np.ndarray
    offsets: np.ndarray


def tokenize(text: pa.Array, *, tokens: str, word_breaker: str = WORD_BREAKER) -> Tokens:
    """Returns the tokens of each text, including punctuation marks.

    Kernels that measure tokens take them from here instead of filling them in themselves: what finds spaCy's tokens
    takes longer to compile than all that measures them.

    >>> tokenize(pa.array(["to be", ""]), tokens="uax29").offsets.tolist()
    [0, 2, 2]
    """
    data, offsets = utf8_buffers(text)
    return Tokens(*_tokenize_rows(data, offsets, char_tables(word_breaker), token_kind(tokens), spacy_tables()))


def count_tokens(text: pa.Array, *, tokens: str, word_breaker: str = WORD_BREAKER) -> pa.Int32Array:
    """Counts the tokens of each text, including punctuation marks; null for null.

    >>> count_tokens(pa.array(["It can't be 3.5, can it?", "", None]), tokens="uax29").to_pylist()
    [8, 0, None]
    """
    counts = np.diff(tokenize(text, tokens=tokens, word_breaker=word_breaker).offsets)
    return pa.array(counts, pa.int32(), mask=text.is_null().to_numpy(zero_copy_only=False))


def tokens_of(text: str, *, tokens: str, word_breaker: str = WORD_BREAKER) -> list[str]:
    """Returns the tokens of one text, in order.

    >>> tokens_of("It can't be 3.5?", tokens="spacy_en")
    ['It', 'ca', "n't", 'be', '3.5', '?']
    >>> tokens_of("It can't be 3.5?", tokens="uax29")
    ['It', "can't", 'be', '3.5', '?']
    """
    found = tokenize(pa.array([text], pa.string()), tokens=tokens, word_breaker=word_breaker)
    return [text[start:end] for start, end in zip(found.starts, found.ends, strict=True)]


@kernel
def _tokenize_rows(text, offsets, tables, kind, token_tables):
    points, flags = char_room(offsets)
    # No more tokens than characters; memory that is not written to costs nothing.
    room = offsets[-1] - offsets[0]
    starts, ends = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    token_offsets = np.zeros(len(offsets), dtype=np.int64)
    for row in range(len(offsets) - 1):
        first = token_offsets[row]
        n_chars = decode(text, offsets[row], offsets[row + 1], tables, points, flags)
        n_tokens = fill_tokens(kind, points, flags, n_chars, token_tables, starts[first:], ends[first:])
        token_offsets[row + 1] = first + n_tokens
    return starts[: token_offsets[-1]], ends[: token_offsets[-1]], token_offsets
