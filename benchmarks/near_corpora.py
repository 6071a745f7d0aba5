"""Corpora made of those of `near_pages`: one several times, and one with a crowd of pages that are alike."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from benchmarks.near_pages import ROWS_OF_A_GROUP

N_CROWD = 20_000


def write_copies(corpus: Path, n_copies: int, target: Path) -> Path:
    """The corpus so many times, each time in words of its own: as alike and as long as it is, no copy like another.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> pq.write_table(pa.table({"doc_id": ["a"], "text": ["to be  or"]}), folder / "one.parquet")
    >>> pq.read_table(write_copies(folder / "one.parquet", 2, folder / "two.parquet"))["text"].to_pylist()
    ['t0 b0  o0', 't1 b1  o1']
    """
    table = pq.read_table(corpus)
    with pq.ParquetWriter(target, table.schema) as writer:
        for number in range(n_copies):
            # The last character of each word makes way for the number of the copy.
            text = pc.replace_substring_regex(table["text"], r"\S(\s|$)", rf"{number}\1")
            names = (f"{name} {number}".encode() for name in table["doc_id"].to_pylist())
            columns = {"text": text, "doc_id": pa.array([xxhash.xxh3_128_hexdigest(name) for name in names])}
            copy = pa.table({name: columns.get(name, table[name]) for name in table.column_names}, table.schema)
            writer.write_table(copy, row_group_size=ROWS_OF_A_GROUP)
    return target


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
