"""Measures FineWeb's quality signals of a text as datatrove does, with its mistakes reproduced or fixed.

Source: Penedo et al. 2024 (FineWeb), section 3.6, as datatrove 0.10.1 has it in `FineWebQualityFilter`.
"""

import numpy as np
import pyarrow as pa

from dclm_spark import schemas
from dclm_spark.kernels.compiled.jit import kernel
from dclm_spark.kernels.signals.marks import IS_TERMINAL, is_mark, mark_table
from dclm_spark.kernels.signals.segments import NEWLINE, extra_copies, fill_segments, number_segments
from dclm_spark.kernels.text.unicode import WORD_BREAKER, char_room, char_tables, decode, strip, utf8_buffers
from dclm_spark.kernels.tokens.tokens import count_tokens

FINEWEB_TYPE = schemas.FINEWEB

# What one row of counts holds.
_LINES, _PUNCTUATED_LINES, _SHORT_LINES, _DUPLICATE_CHARS, _CHARS, _NEWLINES, _N_COUNTS = range(7)


def measure_fineweb(
    text: pa.Array,
    *,
    tokens: str,
    reading: str,
    short_line_chars: int,
    n_tokens: pa.Array | None = None,
    word_breaker: str = WORD_BREAKER,
) -> pa.StructArray:
    r"""Measures FineWeb's signals of each text, of type FINEWEB_TYPE; null for null.

    - `n_lines`: lines, split at "\n", that are not blank; datatrove drops a page without, as `empty`
    - `frac_punctuated_lines`: share of them whose last character ends a sentence (`marks`); null without lines
    - `frac_short_lines`: share of them of `short_line_chars` characters or fewer; null without lines
    - `frac_duplicate_line_chars`: characters of the second and later copies of lines, of all characters but "\n"; null
      without lines
    - `newlines_per_token`: "\n" of the whole text a token; null without tokens

    `reading="faithful"` takes lines as they are, so that white space behind a full stop hides it. `fixed` looks at
    punctuation and length without white space at the end of a line, and compares lines, and counts the characters of
    copies, without white space around them.

    Args:
        text: Strings, a slice or not.
        tokens: `spacy_en` or `uax29`, see `recipe.Annotation`.
        reading: `faithful` or `fixed`.
        short_line_chars: The longest line that is short.
        n_tokens: How many tokens each text has, where that is known: then none are looked for.
        word_breaker: The version of UAX #29's tables, for its tokens.

    >>> texts = pa.array(["The harbour lies west. \nHome\n\nHome", "", None])
    >>> rows = measure_fineweb(texts, tokens="uax29", reading="fixed", short_line_chars=10).to_pylist()
    >>> rows[0]["frac_punctuated_lines"], rows[0]["frac_short_lines"], rows[0]["newlines_per_token"]
    (0.3333333333333333, 0.6666666666666666, 0.42857142857142855)
    >>> rows[1]["n_lines"], rows[1]["frac_short_lines"], rows[2]
    (0, None, None)
    """
    if reading not in ("faithful", "fixed"):
        raise ValueError(f"reading is {reading!r}; expected 'faithful' or 'fixed'")
    if n_tokens is None:
        n_tokens = count_tokens(text, tokens=tokens, word_breaker=word_breaker)
    data, offsets = utf8_buffers(text)
    counts = _count_rows(data, offsets, char_tables(), mark_table(), short_line_chars, reading == "faithful")
    is_null = text.is_null().to_numpy(zero_copy_only=False)
    n_lines = counts[:, _LINES]
    token_counts = n_tokens.fill_null(0).to_numpy(zero_copy_only=False)
    columns = [
        n_lines,
        _share(counts[:, _PUNCTUATED_LINES], n_lines),
        _share(counts[:, _SHORT_LINES], n_lines),
        _share(counts[:, _DUPLICATE_CHARS], np.where(n_lines, counts[:, _CHARS] - counts[:, _NEWLINES], 0)),
        _share(counts[:, _NEWLINES], token_counts),
    ]
    arrays = [
        pa.array(column, mask=is_null | np.isnan(column)).cast(field.type)
        for field, column in zip(FINEWEB_TYPE, columns, strict=True)
    ]
    return pa.StructArray.from_arrays(arrays, fields=list(FINEWEB_TYPE), mask=pa.array(is_null))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole != 0)


@kernel
def _count_rows(text, offsets, tables, marks, short_line_chars, is_faithful):
    counts = np.zeros((len(offsets) - 1, _N_COUNTS), dtype=np.int64)
    points, flags = char_room(offsets)
    room = len(points) + 1  # see `fill_segments`
    starts, ends = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    ids, occurrences = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    for row in range(len(counts)):
        count = counts[row]
        n_chars = decode(text, offsets[row], offsets[row + 1], tables, points, flags)
        count[_CHARS] = n_chars
        for at in range(n_chars):
            count[_NEWLINES] += points[at] == NEWLINE
        # A run of newlines holds empty lines only, which are blank.
        n_lines = fill_segments(points, flags, 0, n_chars, 1, False, False, starts, ends)
        count[_LINES] = n_lines
        for line in range(n_lines):
            start, end = starts[line], ends[line]
            if not is_faithful:
                starts[line], ends[line] = strip(flags, start, end)
                end = ends[line]
            count[_PUNCTUATED_LINES] += is_mark(marks, points[end - 1], IS_TERMINAL)
            count[_SHORT_LINES] += end - start <= short_line_chars
        number_segments(points, starts, ends, n_lines, ids, occurrences)
        _, count[_DUPLICATE_CHARS] = extra_copies(starts, ends, ids, n_lines)
    return counts
