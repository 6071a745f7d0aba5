"""The tokens that datatrove's rules count, in one place: spaCy's for English, or the segments of UAX #29."""

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.jit import helper, kernel
from dclm_spark.kernels.spacy_tables import spacy_tables
from dclm_spark.kernels.spacy_words import fill_spacy_tokens
from dclm_spark.kernels.unicode import char_room, char_tables, decode, utf8_buffers
from dclm_spark.kernels.words import fill_uax29_tokens

UAX29, SPACY_EN = range(2)
_KINDS = {"uax29": UAX29, "spacy_en": SPACY_EN}


def token_kind(tokens: str) -> int:
    """The number by which kernels know a kind of tokens that recipes name."""
    if tokens not in _KINDS:
        raise ValueError(f"tokens is {tokens!r}; expected one of: {', '.join(_KINDS)}")
    return _KINDS[tokens]


@helper
def fill_tokens(kind, points, flags, n_chars, tables, starts, ends):
    """Writes where the tokens of a decoded text start and end, and returns how many there are.

    `kind` and `tables` are what `token_kind` and `spacy_tables` give.

    Tokens are slices of the text in order, none of them blank, none with white space around it. `starts` and `ends`
    need room for as many numbers as there are characters.
    """
    if kind == SPACY_EN:
        return fill_spacy_tokens(points, flags, 0, n_chars, tables, starts, ends)
    return fill_uax29_tokens(flags, 0, n_chars, starts, ends)


def count_tokens(text: pa.Array, *, tokens: str) -> pa.Int32Array:
    """The number of tokens of each text, punctuation marks among them; null for null.

    >>> count_tokens(pa.array(["It can't be 3.5, can it?", "", None]), tokens="uax29").to_pylist()
    [8, 0, None]
    """
    data, offsets = utf8_buffers(text)
    counts, _, _ = _token_rows(data, offsets, char_tables(), token_kind(tokens), spacy_tables())
    return pa.array(counts, mask=text.is_null().to_numpy(zero_copy_only=False))


def tokens_of(text: str, *, tokens: str) -> list[str]:
    """The tokens of one text, in order.

    >>> tokens_of("It can't be 3.5?", tokens="spacy_en")
    ['It', 'ca', "n't", 'be', '3.5', '?']
    >>> tokens_of("It can't be 3.5?", tokens="uax29")
    ['It', "can't", 'be', '3.5', '?']
    """
    data, offsets = utf8_buffers(pa.array([text], pa.string()))
    _, starts, ends = _token_rows(data, offsets, char_tables(), token_kind(tokens), spacy_tables())
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


@kernel
def _token_rows(text, offsets, tables, kind, token_tables):
    """The number of tokens of each row, and where those of the last start and end."""
    counts = np.zeros(len(offsets) - 1, dtype=np.int32)
    points, flags = char_room(offsets)
    starts, ends = np.empty(len(points), dtype=np.int32), np.empty(len(points), dtype=np.int32)
    n_tokens = 0
    for row in range(len(counts)):
        n_chars = decode(text, offsets[row], offsets[row + 1], tables, points, flags)
        n_tokens = fill_tokens(kind, points, flags, n_chars, token_tables, starts, ends)
        counts[row] = n_tokens
    return counts, starts[:n_tokens], ends[:n_tokens]
