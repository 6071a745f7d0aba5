"""Converts columns of bytes from Arrow to NumPy and back, without a copy."""

import numpy as np
import pyarrow as pa

MAX_BYTES = np.iinfo(np.int32).max  # of all values of a `binary` array


def binary_buffers(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns the bytes of a binary or large_binary array, and the int64 offsets of its rows; both are read-only.

    >>> data, offsets = binary_buffers(pa.array([b"ab", None, b"c"])[1:])
    >>> offsets.tolist(), data[offsets[1]:offsets[2]].tobytes()
    ([2, 2, 3], b'c')
    """
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        raise TypeError(f"the column is an array of {column.type}, expected binary or large_binary")
    offset_type = np.int64 if pa.types.is_large_binary(column.type) else np.int32
    _, offset_buffer, data_buffer = column.buffers()
    offsets = np.zeros(len(column) + 1, dtype=np.int64)
    if len(column) and offset_buffer is not None:
        offsets[:] = np.frombuffer(offset_buffer, offset_type)[column.offset : column.offset + len(column) + 1]
    data = np.frombuffer(data_buffer if data_buffer is not None else b"", dtype=np.uint8)
    # With writable buffers, every kernel would be compiled a second time.
    data.flags.writeable = offsets.flags.writeable = False
    return data, offsets


def fixed_width(column: pa.Array, dtype: str, n: int) -> np.ndarray:
    """Converts binary values of `n` numbers each to a matrix (rows, n), without a copy.

    >>> fixed_width(pa.array([b"\\1\\0\\2\\0", b"\\3\\0\\4\\0"]), "<u2", 2).tolist()
    [[1, 2], [3, 4]]

    Raises:
        ValueError: A value is null or has another length.
    """
    width = n * np.dtype(dtype).itemsize
    data, offsets = binary_buffers(column)
    if column.null_count or not (np.diff(offsets) == width).all():
        raise ValueError(f"a stored value is null or not {width} bytes long: signatures of another recipe?")
    return data[offsets[0] : offsets[-1]].view(dtype).reshape(len(column), n)


def binary_rows(values: np.ndarray, is_valid: np.ndarray) -> pa.BinaryArray:
    """Converts each row of a matrix to a binary value; null where `is_valid` is False.

    >>> binary_rows(np.array([[1, 2], [3, 4]], np.uint8), np.array([True, False])).to_pylist()
    [b'\\x01\\x02', None]
    """
    offsets = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(is_valid * (values.shape[1] * values.itemsize), out=offsets[1:])
    return binary_array(values if is_valid.all() else values[is_valid], offsets, is_valid)


def binary_array(values: np.ndarray, offsets: np.ndarray, is_valid: np.ndarray) -> pa.BinaryArray:
    """Makes a binary array: row i is `values[offsets[i]:offsets[i + 1]]`; null where `is_valid` is False.

    Raises:
        ValueError: There are more bytes than an array of type `binary` can hold.
    """
    check_size(offsets[-1])
    buffers = [
        validity_buffer(is_valid),
        pa.py_buffer(offsets.astype(np.int32)),
        pa.py_buffer(np.ascontiguousarray(values)),
    ]
    return pa.Array.from_buffers(pa.binary(), len(is_valid), buffers)


def validity_buffer(is_valid: np.ndarray) -> pa.Buffer:
    """Packs truth values to the buffer of bits in which an Arrow array says which of its values are not null."""
    return pa.py_buffer(np.packbits(is_valid, bitorder="little"))


def check_size(n_bytes: int) -> None:
    """Raises ValueError if an array of type `binary` cannot hold `n_bytes`."""
    if n_bytes > MAX_BYTES:
        raise ValueError(
            f"a binary column of {n_bytes:,} bytes; expected {MAX_BYTES:,} at most: take fewer rows at once"
        )
