"""Packs NumPy arrays into one binary value: planes of bytes, compressed, because neighbouring values are similar."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

_CODEC, _LEVEL = "zstd", 1
_KINDS = ("<u8", "<i8", "<u4", "<i4", "<u2", "|u1", "<f8")


def pack_arrays(arrays: Sequence[np.ndarray]) -> bytes:
    """Packs one-dimensional arrays of numbers or truth values into bytes for `unpack_arrays`.

    >>> [array.tolist() for array in unpack_arrays(pack_arrays([np.array([1, 2]), np.array([True])]))]
    [[1, 2], [1]]
    """
    header, planes = [len(arrays)], []
    for array in arrays:
        plain = array.view(np.uint8) if array.dtype == np.bool_ else array
        header += [_KINDS.index(plain.dtype.str), len(plain)]
        planes.append(np.ascontiguousarray(plain).view(np.uint8).reshape(-1, plain.itemsize).T.tobytes())
    body = b"".join(planes)
    return np.array(header, dtype="<i8").tobytes() + pa.Codec(_CODEC, compression_level=_LEVEL).compress(
        body, asbytes=True
    )


def unpack_arrays(packed: bytes) -> list[np.ndarray]:
    """Unpacks the arrays that `pack_arrays` has packed; truth values become uint8."""
    (n_arrays,) = np.frombuffer(packed, dtype="<i8", count=1)
    described = np.frombuffer(packed, dtype="<i8", count=2 * n_arrays, offset=8).reshape(-1, 2)
    kinds = [np.dtype(_KINDS[kind]) for kind in described[:, 0]]
    lengths = described[:, 1].tolist()
    n_bytes = sum(kind.itemsize * length for kind, length in zip(kinds, lengths, strict=True))
    body = memoryview(packed)[8 + 16 * n_arrays :]
    planes = pa.Codec(_CODEC).decompress(body, decompressed_size=n_bytes, asbytes=True) if n_bytes else b""
    arrays, at = [], 0
    for kind, length in zip(kinds, lengths, strict=True):
        n = kind.itemsize * length
        stretch = np.frombuffer(planes, dtype=np.uint8, count=n, offset=at).reshape(kind.itemsize, length)
        # A copy is writable. A view of a single number is not, so kernels would be compiled a second time.
        arrays.append(stretch.T.copy().view(kind).reshape(length))
        at += n
    return arrays
