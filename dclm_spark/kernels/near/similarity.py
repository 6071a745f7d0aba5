"""Measures the similarity of two texts, the Jaccard index, by their MinHash signatures or their shingles.

The columns are those of `minhash.sign`: binary or large_binary, one value for each document.
"""

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.bytes.binary import binary_buffers
from dclm_spark.kernels.bytes.lanes import load
from dclm_spark.kernels.compiled.jit import helper, kernel

_BYTES_OF_VALUE = 2  # bytes of one value of a signature
BYTES_OF_HASH = 8


def estimate(signatures: pa.Array, others: pa.Array) -> pa.DoubleArray:
    """Returns the share of permutations in which each two signatures agree, [0, 1]; null if either is null.

    It estimates the Jaccard index J of the documents' shingles, with the standard error sqrt(J (1 - J) / permutations).

    >>> pairs = pa.array([b"1122", None]), pa.array([b"1133", b"1122"])
    >>> estimate(*pairs).to_pylist()
    [0.5, None]

    Raises:
        ValueError: Two signatures have different lengths, or one is not a sequence of 16-bit values.
    """
    return _compare(_shares_of_rows, "signatures", signatures, others)


def jaccard(shingles: pa.Array, others: pa.Array) -> pa.DoubleArray:
    """Returns the Jaccard index of each two sets of shingles, [0, 1]; null if either is null, 1 for two empty sets.

    >>> one, two = (np.array(hashes, "<u8").tobytes() for hashes in ([1, 2, 3], [2, 3, 9]))
    >>> jaccard(pa.array([one, one, None]), pa.array([two, one, one])).to_pylist()
    [0.5, 1.0, None]

    Args:
        shingles: Distinct 64-bit hashes, ascending, little-endian.
        others: Shingles of the documents to compare with, in the same form.

    Raises:
        ValueError: A value is not a sequence of 64-bit hashes.
    """
    return _compare(_indices_of_rows, "shingles", shingles, others)


def _compare(kernel_of_rows, name: str, column: pa.Array, others: pa.Array) -> pa.DoubleArray:
    if len(column) != len(others):
        raise ValueError(f"{len(column):,} {name} cannot be compared with {len(others):,}; expected as many")
    is_null = column.is_null().to_numpy(zero_copy_only=False) | others.is_null().to_numpy(zero_copy_only=False)
    values = kernel_of_rows(*binary_buffers(column), *binary_buffers(others), is_null)
    wrong = np.flatnonzero(np.isnan(values) & ~is_null)
    if len(wrong):
        row = int(wrong[0])
        lengths = len(column[row].as_py()), len(others[row].as_py())
        raise ValueError(f"{name} of {lengths[0]} and {lengths[1]} bytes cannot be compared (row {row})")
    return pa.array(values, pa.float64(), mask=is_null)


@kernel
def _shares_of_rows(data, offsets, other_data, other_offsets, is_null):
    """Compares values row by row; NaN if the lengths are wrong."""
    shares = np.full(len(offsets) - 1, np.nan)
    for row in range(len(shares)):
        start, other_start = offsets[row], other_offsets[row]
        n_bytes = offsets[row + 1] - start
        if is_null[row] or n_bytes % _BYTES_OF_VALUE or n_bytes == 0 or n_bytes != other_offsets[row + 1] - other_start:
            continue
        one, two = data[start : start + n_bytes], other_data[other_start : other_start + n_bytes]
        n_same = 0
        for index in range(0, n_bytes, _BYTES_OF_VALUE):
            n_same += (one[index] == two[index]) & (one[index + 1] == two[index + 1])
        shares[row] = n_same / (n_bytes // _BYTES_OF_VALUE)
    return shares


@kernel
def _indices_of_rows(data, offsets, other_data, other_offsets, is_null):
    """Compares values row by row; NaN if the lengths are wrong."""
    indices = np.full(len(offsets) - 1, np.nan)
    for row in range(len(indices)):
        at, stop = offsets[row], offsets[row + 1]
        other_at, other_stop = other_offsets[row], other_offsets[row + 1]
        if is_null[row] or (stop - at) % BYTES_OF_HASH or (other_stop - other_at) % BYTES_OF_HASH:
            continue
        n_all = (stop - at + other_stop - other_at) // BYTES_OF_HASH
        n_same = count_common(data, at, stop, other_data, other_at, other_stop)
        indices[row] = n_same / (n_all - n_same) if n_all else 1.0
    return indices


@helper
def count_common(data, at, stop, other_data, other_at, other_stop):
    """Counts the hashes that two ascending sequences have in common."""
    n_same = 0
    while at < stop and other_at < other_stop:
        # Advances past the smaller hash, or both if equal; without a branch, which could not be predicted.
        one, two = load(data, at), load(other_data, other_at)
        n_same += one == two
        at += BYTES_OF_HASH * (one <= two)
        other_at += BYTES_OF_HASH * (two <= one)
    return n_same
