"""Batches of a size: the same rows, whatever batches they come in."""

import pyarrow as pa
import pytest

from dclm_spark.kernels.bytes.sized import MAX_BYTES, MAX_ROWS, sized

pytestmark = pytest.mark.once


def batches_of(lengths: list[int], n: int) -> list[pa.RecordBatch]:
    texts = [chr(97 + place % 26) * length for place, length in enumerate(lengths)]
    rows = pa.RecordBatch.from_pydict({"number": range(len(texts)), "text": texts})
    return [rows.slice(at, n) for at in range(0, len(texts), n)]


@pytest.mark.parametrize("n", [1, 16, 1000, 5000])
@pytest.mark.parametrize(
    "lengths", [[], [0], [3000] * 2500, [MAX_BYTES] * 5, [10, 3 * MAX_BYTES, 10, 10], [MAX_BYTES // 3] * 20]
)
def test_rows_stay_and_batches_are_bounded(lengths, n):
    given = batches_of(lengths, n)
    found = list(sized(iter(given)))
    assert [row for batch in found for row in batch.to_pylist()] == [
        row for batch in given for row in batch.to_pylist()
    ]
    assert all(1 <= batch.num_rows <= MAX_ROWS for batch in found)
    assert all(batch.nbytes <= MAX_BYTES or batch.num_rows == 1 for batch in found)
    assert all(column.offset == 0 for batch in found for column in batch.columns)


def test_small_batches_are_joined():
    assert [batch.num_rows for batch in sized(iter(batches_of([3000] * 2048, 16)))] == [992, 992, 64]
