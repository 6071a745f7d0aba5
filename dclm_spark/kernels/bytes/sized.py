"""Divides and merges batches of rows to a size that fits a worker's memory."""

from collections.abc import Iterator

import pyarrow as pa

MAX_ROWS = 1_000
MAX_BYTES = 8 << 20
"""Largest size of a batch in bytes, unless a single row is larger. A kernel needs a multiple of that."""


def sized(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Divides large batches, merges small ones and drops empty ones; the order of the rows is kept.

    Spark 3.5 limits batches by rows, not by bytes, so they have few rows there, since each row may be large; but a
    kernel should be called for many rows.

    >>> rows = pa.RecordBatch.from_pydict({"text": ["a", "b" * MAX_BYTES, "c", "d"]})
    >>> [batch.num_rows for batch in sized(iter([rows.slice(0, 1), rows.slice(1), rows.slice(4)]))]
    [1, 1, 2]
    """
    held: list[pa.RecordBatch] = []
    n_rows = n_bytes = 0
    for batch in batches:
        for part in _divided(batch):
            if held and (n_rows + part.num_rows > MAX_ROWS or n_bytes + part.nbytes > MAX_BYTES):
                yield _joined(held)
                held, n_rows, n_bytes = [], 0, 0
            held.append(part)
            n_rows += part.num_rows
            n_bytes += part.nbytes
    if held:
        yield _joined(held)


def _divided(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    if batch.num_rows > MAX_ROWS or (batch.num_rows > 1 and batch.nbytes > MAX_BYTES):
        middle = batch.num_rows // 2
        yield from _divided(batch.slice(0, middle))
        yield from _divided(batch.slice(middle))
    elif batch.num_rows:
        yield batch


def _joined(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(parts) > 1:
        return pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
    # Kernels read whole buffers, and a slice has the buffers of the array that it is a part of.
    (part,) = parts
    is_slice = any(column.offset for column in part.columns)
    return part.take(pa.array(range(part.num_rows))) if is_slice else part
