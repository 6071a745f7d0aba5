"""Distinct numbers of rows, against Python's sets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark.kernels.bytes.distinct import make_distinct

NUMBERS = st.one_of(st.integers(0, 5), st.integers(0, (1 << 64) - 1), st.integers((1 << 64) - 3, (1 << 64) - 1))


@pytest.mark.busy
@settings(deadline=None)
@given(rows=st.lists(st.lists(NUMBERS, max_size=40), max_size=5))
def test_rows_have_what_sets_have(rows):
    numbers = np.array([number for row in rows for number in row], dtype=np.uint64)
    offsets = np.cumsum([0, *map(len, rows)])
    make_distinct(numbers, offsets)
    found = [numbers[first:last].tolist() for first, last in zip(offsets[:-1], offsets[1:], strict=True)]
    assert found == [sorted(set(row)) for row in rows]


def test_many_numbers():
    numbers = np.random.default_rng(1).integers(0, 1 << 64, 100_000, dtype=np.uint64)
    expected = np.sort(numbers)
    make_distinct(numbers, np.array([0, len(numbers)]))
    assert (numbers == expected).all()
