"""Corpora made of those of `near_pages`: a part of one, and one with a crowd of pages that are alike."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from benchmarks.corpora.near_pages import ROWS_OF_A_GROUP

N_CROWD = 20_000


def write_part(corpus: Path, part: int, target: Path) -> Path:
    """Every `part`-th page, in the order of their lengths, with all its variants: as alike, and as long, as the whole.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> pq.write_table(pa.table({"url": ["a", "b", "a", "c"], "n_words": [20, 30, 21, 10]}), folder / "all.parquet")
    >>> pq.read_table(write_part(folder / "all.parquet", 2, folder / "half.parquet"))["url"].to_pylist()
    ['a', 'a']
    """
    table = pq.read_table(corpus)
    code = pc.dictionary_encode(table["url"].combine_chunks()).indices.to_numpy()
    _, firsts = np.unique(code, return_index=True)
    rank = np.argsort(np.argsort(table["n_words"].to_numpy()[firsts], kind="stable"))
    return _write(table.filter(pa.array(rank[code] % part == part // 2)), target)


def write_crowd(corpus: Path, target: Path, *, n_pages: int = N_CROWD, is_same: bool) -> Path:
    """So many copies of the page of middle length, under names of their own; where `is_same` is false, each has one
    word replaced by one that no other has."""
    table = pq.read_table(corpus)
    n_words = table["n_words"].to_numpy()
    middle = int(np.argsort(n_words, kind="stable")[len(n_words) // 2])
    page = table.slice(middle, 1).to_pylist()[0]
    return _write(pa.Table.from_pylist([_copy(page, n, is_same) for n in range(n_pages)], table.schema), target)


def _copy(page: dict[str, Any], number: int, is_same: bool) -> dict[str, Any]:
    text = page["text"]
    if not is_same:
        words = text.split(" ")
        words[number % len(words)] = f"word{number}"
        text = " ".join(words)
    name = f"{page['doc_id']} crowd {number}"
    return page | {"doc_id": xxhash.xxh3_128_hexdigest(name.encode()), "text": text}


def _write(table: pa.Table, target: Path) -> Path:
    pq.write_table(table, target, row_group_size=ROWS_OF_A_GROUP)
    return target
