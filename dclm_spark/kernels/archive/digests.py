"""The digests that a record's header claims for its block and its payload, and whether the bytes bear them out."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress

from dclm_spark.kernels.archive.http import BadCoding, Head, without_chunks
from dclm_spark.kernels.archive.records import Header

_ALGORITHMS = {"md5": 16, "sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64}
"""Name -> bytes of a digest."""

# The letters of base32 (RFC 4648) as digits to base 32, all others as none.
_BASE32 = bytearray(b"!" * 256)
for _digit, _letter in enumerate(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"):
    _BASE32[_letter] = _BASE32[bytes([_letter]).lower()[0]] = b"0123456789abcdefghijklmnopqrstuv"[_digit]


def digests_problem(header: Header, head: Head | None, body: bytes, start: int, end: int) -> str | None:
    """What is wrong with the digests of the record whose body is `body[start:end]`; None where nothing is.

    Of a response's payload tools disagree whether the digest is of the bytes stored or of those without their chunks:
    either will do.

    Args:
        header: The record's header.
        head: The header of the response; None where it is none.
        body: The bytes that hold its body.
        start: Where the body begins.
        end: Where it ends.
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
    """What is wrong with a digest that is claimed; None if it is that of one of the candidates, or cannot be checked.

    A digest is `algorithm:value` (WARC 1.1, section 5.8); the value is in base32, as archives mostly have it, base64 or
    hex letters. One by an algorithm unknown here cannot be checked.

    Args:
        claim: The header field's value; empty where there is none.
        what: What it is the digest of, for a person.
        candidates: What gives the bytes; the later ones are asked for only where the earlier ones do not fit.

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
    """A digest of this many bytes, as it is written; None where it is written in no way known here.

    The ways differ in length: hex letters are two a byte, base32 has eight for five bytes, base64 four for three.
    """
    bare = value.rstrip(b"=")
    try:
        if n_bytes == 20 and len(value) == 32:  # nearly all are such; base64's own reader takes five times as long
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
