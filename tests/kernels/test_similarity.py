"""Similarity of two documents by signatures and by sets of shingles, against plain Python."""

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark.kernels.near.similarity import estimate, jaccard

TYPES = (pa.binary(), pa.large_binary())


def packed(hashes) -> bytes:
    return np.array(sorted(set(hashes)), "<u8").tobytes()


@pytest.mark.parametrize("type_", TYPES)
def test_estimate_counts_equal_values(type_):
    rng = random.Random(1)
    pairs = [([rng.randrange(3) for _ in range(112)], [rng.randrange(3) for _ in range(112)]) for _ in range(50)]
    ones, others = (
        pa.array([np.array(values, "<u2").tobytes() for values in side], type_) for side in zip(*pairs, strict=True)
    )
    expected = [np.mean(np.array(one) == np.array(two)) for one, two in pairs]
    assert estimate(ones, others).to_pylist() == expected
    assert estimate(ones[7:20], others[7:20]).to_pylist() == expected[7:20]


def test_values_that_share_one_byte_differ():
    one, two = np.array([0x1234, 0x1234, 0x1234], "<u2"), np.array([0x1235, 0x1334, 0x1234], "<u2")
    assert estimate(pa.array([one.tobytes()]), pa.array([two.tobytes()])).to_pylist() == [1 / 3]


def test_null_where_one_is_null():
    some, none = pa.array([b"ab", None, None]), pa.array([None, b"ab", None], pa.binary())
    assert estimate(some, none).to_pylist() == [None, None, None]
    assert jaccard(some, none).to_pylist() == [None, None, None]
    assert estimate(pa.array([], pa.binary()), pa.array([], pa.binary())).to_pylist() == []


@pytest.mark.parametrize(("one", "two"), [(b"abcd", b"ab"), (b"abc", b"abc"), (b"", b"")])
def test_signatures_that_cannot_be_compared(one, two):
    with pytest.raises(ValueError, match=rf"of {len(one)} and {len(two)} bytes cannot be compared \(row 1\)"):
        estimate(pa.array([b"xy", one]), pa.array([b"xy", two]))


def test_columns_of_different_lengths_or_types():
    with pytest.raises(ValueError, match="1 signatures cannot be compared with 2"):
        estimate(pa.array([b"ab"]), pa.array([b"ab", b"ab"]))
    with pytest.raises(TypeError, match="array of string"):
        jaccard(pa.array(["ab"]), pa.array([b"ab"]))
    with pytest.raises(ValueError, match="shingles of 3 and 8 bytes"):
        jaccard(pa.array([b"abc"]), pa.array([b"12345678"]))


HASHES = st.sets(st.one_of(st.integers(0, 30), st.integers((1 << 64) - 9, (1 << 64) - 1)), max_size=25)


@settings(max_examples=100, deadline=None)
@given(pairs=st.lists(st.tuples(HASHES, HASHES), max_size=5), type_=st.sampled_from(TYPES))
def test_jaccard_is_that_of_sets(pairs, type_):
    ones = pa.array([packed(one) for one, _ in pairs], type_)
    others = pa.array([packed(two) for _, two in pairs], type_)
    expected = [len(one & two) / len(one | two) if one | two else 1.0 for one, two in pairs]
    assert jaccard(ones, others).to_pylist() == expected
    assert jaccard(ones[1:], others[1:]).to_pylist() == expected[1:]
