"""Makes dclm_spark/data/simplify_16.npz, what datatrove's simplification of a text asks of a character.

    pip install unicodedata2==16.0.0 numpy
    python -m tools.make_simplify_tables

Decompositions, marks and decimals are unicodedata2's (Unicode 16.0), where datatrove asks the Python that runs it.
Punctuation and separators of decimals are the characters that datatrove 0.9 names (`utils/text.py`).
"""

import sys
from pathlib import Path

import numpy as np
import unicodedata2

from dclm_spark.kernels.text import simplify_tables as kernels
from dclm_spark.kernels.text import unicode

TARGET = Path(__file__).parent.parent / "dclm_spark" / "data" / kernels.TABLES_FILE
N_CODE_POINTS = sys.maxunicode + 1
HANGUL = range(0xAC00, 0xD7A4)
ASCII_MARKS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
LATIN_MARKS = "«»´–—’“”„…"
WIDE_MARKS = "、。〈〉《》「」【】！％（），．：；？～"
OTHER_MARKS = "━►∶"
CONTROLS = [*range(9), 11, 12, *range(13, 32), *range(127, 160)]  # tab and newline are white space
PUNCTUATION = {*map(ord, ASCII_MARKS + LATIN_MARKS + WIDE_MARKS + OTHER_MARKS), *CONTROLS}
DECIMAL_SEPARATORS = set(map(ord, ".,،٫⎖⎗⎘"))


def is_mark(char: str) -> bool:
    return unicodedata2.category(char) == "Mn"


def fates() -> np.ndarray:
    chars = [chr(point) for point in range(N_CODE_POINTS)]
    combining = np.array([unicodedata2.combining(char) for char in chars])
    marks = np.array([is_mark(char) for char in chars])
    # Numbers in the order of the combining classes that kept characters have.
    moved = sorted(set(combining[~marks].tolist()) - {0})
    assert len(moved) == kernels.LAST_MOVED - kernels.FIRST_MOVED + 1, moved
    found = np.full(N_CODE_POINTS, kernels.KEPT)
    found[marks] = np.where(combining[marks] == 0, kernels.DROPPED_STARTER, kernels.DROPPED)
    for number, value in enumerate(moved):
        found[(combining == value) & ~marks] = kernels.FIRST_MOVED + number
    return found


def main() -> None:
    kinds = fates()
    flags = unicode.char_tables().flags[unicode.char_tables().blocks].reshape(-1)
    kinds[flags & unicode.IS_SPACE != 0] |= kernels.IS_SPACE
    kinds[flags & unicode.IS_DECIMAL != 0] |= kernels.IS_DECIMAL
    kinds[list(PUNCTUATION)] |= kernels.IS_PUNCTUATION
    kinds[list(DECIMAL_SEPARATORS)] |= kernels.IS_DECIMAL_SEPARATOR
    places = np.zeros(N_CODE_POINTS, dtype=np.int64)
    sequences = [0]  # so that no place is 0
    for point in range(N_CODE_POINTS):
        decomposed = unicodedata2.normalize("NFD", chr(point))
        if decomposed == chr(point) or point in HANGUL:
            continue
        kept = [ord(char) for char in decomposed if not is_mark(char)]
        found = [int(kinds[ord(char)]) & kernels.FATE for char in decomposed]
        if kept:
            # It begins with a starter, and a starter that is dropped has nothing to part.
            assert found[0] in (kernels.KEPT, kernels.DROPPED_STARTER), hex(point)
            assert kernels.DROPPED_STARTER not in found or max(found) < kernels.FIRST_MOVED, hex(point)
        else:
            # A mark becomes marks, which need not be starters where it is one itself.
            assert is_mark(chr(point)), hex(point)
            kinds[point] = max(found)
        assert len("".join(map(chr, kept)).encode()) <= 3 * len(chr(point).encode())
        if kept:
            kinds[point] |= kernels.IS_DECOMPOSED
            places[point] = len(sequences)
            sequences += [len(kept), *kept]
    rows = np.stack([kinds, places], axis=1).reshape(-1, 256 * 2)
    unique, blocks = np.unique(rows, axis=0, return_inverse=True)
    # The first block comes first, so that ASCII is found without a look at `blocks`.
    order = np.argsort(np.arange(len(unique)) != blocks.reshape(-1)[0], kind="stable")
    unique = unique[order].reshape(len(unique), 256, 2)
    np.savez_compressed(
        TARGET,
        blocks=np.argsort(order)[blocks.reshape(-1)].astype(np.uint16),
        kinds=unique[:, :, 0].astype(np.uint8),
        places=unique[:, :, 1].astype(np.uint16),
        sequences=np.array(sequences, dtype=np.int32),
    )
    print(f"{TARGET}: {len(unique)} blocks, {len(sequences)} of sequences, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
