"""Checks the digests that a record's header gives for its block and its payload."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress

from dclm_spark.kernels.archive.codings import BadCoding, without_chunks
from dclm_spark.kernels.archive.http import Head
from dclm_spark.kernels.archive.records import Header

_ALGORITHMS = {"md5": 16, "sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64}
"""Name of the algorithm -> length of a digest in bytes."""

# Translates the letters of base32 (RFC 4648) to digits of base 32, all other bytes to an invalid digit.
_BASE32 = bytearray(b"!" * 256)
for _digit, _letter in enumerate(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"):
    _BASE32[_letter] = _BASE32[bytes([_letter]).lower()[0]] = b"0123456789abcdefghijklmnopqrstuv"[_digit]


def digests_problem(header: Header, head: Head | None, body: bytes, start: int, end: int) -> str | None:
    """Describes a wrong digest of the record whose body is `body[start:end]`; None if there is none.

    Tools disagree whether the digest of a response's payload is that of the stored bytes or of those without chunks:
    either is accepted.

    Args:
        header: The record's header.
        head: The HTTP header of the response; None for other records.
        body: Bytes that contain the record's body.
        start: Start of the body.
        end: End of the body.
    """
    view = memoryview(body)
    problem = digest_problem(header.block_digest, "block", [lambda: view[start:end]])
    if problem is not None or not header.payload_digest:
        return problem
    payload = view[start + (head.n_bytes if head else 0) : end]
    candidates: list[Callable[[], bytes | memoryview]] = [lambda: payload]
    if head is not None and head.is_chunked:
        candidates.append(lambda: _without_chunks(bytes(payload)))
    return digest_problem(header.payload_digest, "payload", candidates)


def _without_chunks(payload: bytes) -> bytes:
    with suppress(BadCoding):
        return without_chunks(payload)
    return payload


def digest_problem(claim: bytes, what: str, candidates: Iterable[Callable[[], bytes | memoryview]]) -> str | None:
    """Describes a wrong digest; None if it is that of one of the candidates, or cannot be checked.

    A digest is `algorithm:value` (WARC 1.1, section 5.8); the value is in base32, as in most archives, in base64 or in
    hex digits. A digest of an unknown algorithm cannot be checked.

    Args:
        claim: Value of the header field; empty if there is none.
        what: Name of the digested bytes, for the message.
        candidates: Functions that return bytes; later ones are called only if earlier ones do not match.

    >>> digest_problem(b"sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ", "block", [lambda: b""])
    >>> digest_problem(b"md5:d41d8cd98f00b204e9800998ecf8427e", "block", [lambda: b"x"])
    'the md5 of the block is 9dd4e461268c8034f5c8564e155c67a6, its header says d41d8cd98f00b204e9800998ecf8427e'
    """
    label, separator, value = claim.partition(b":")
    name = label.strip().lower().decode("latin-1")
    name = name if name in _ALGORITHMS else name.replace("-", "")
    if not separator or name not in _ALGORITHMS:
        return None
    claimed = _decoded(value.strip(), _ALGORITHMS[name])
    found = None
    for candidate in candidates:
        digest = hashlib.new(name, candidate(), usedforsecurity=False).digest()
        if digest == claimed:
            return None
        found = found or digest
    said = value.strip()[:128].decode("latin-1") if claimed is None else claimed.hex()
    return f"the {name} of the {what} is {found.hex() if found else '?'}, its header says {said}"


def _decoded(value: bytes, n_bytes: int) -> bytes | None:
    """Decodes a digest of this number of bytes; None if its notation is unknown.

    The notations differ in length: hex has two digits for a byte, base32 eight letters for five bytes, base64 four
    letters for three.
    """
    bare = value.rstrip(b"=")
    try:
        if n_bytes == 20 and len(value) == 32:  # nearly all digests; the module base64 takes five times as long
            return int(value.translate(_BASE32), 32).to_bytes(20)
        if len(value) == 2 * n_bytes and bare == value:
            return binascii.unhexlify(value)
        if len(bare) == -(-n_bytes * 8 // 5):
            return base64.b32decode(bare + b"=" * (-len(bare) % 8), casefold=True)
        if len(bare) == -(-n_bytes * 8 // 6):
            return base64.b64decode(bare + b"=" * (-len(bare) % 4), altchars=b"-_" if set(b"-_") & set(bare) else None)
    except (binascii.Error, ValueError):
        pass
    return None
