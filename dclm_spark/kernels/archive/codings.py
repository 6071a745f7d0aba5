"""Removes the transfer and content codings of an HTTP payload."""

import io
import re
import zlib

from fastwarc.stream_io import BrotliReader, ZstdReader

from dclm_spark.kernels.archive.http import Head
from dclm_spark.kernels.archive.sniffing import COMPRESSED, OCTETS, begins_like_page, binary_type

_MAX_CODINGS = 4
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,16})[ \t]*(?:;[^\n]*)?\r?\n")

_FIRST_BYTES = 1 << 12  # passed to inflate at first: members may be tiny, and what follows them is copied
_MOST_BYTES = 1 << 20

_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"


class BadCoding(ValueError):
    """Raised for a payload that is neither in the coding of its header nor text."""


class TooLarge(ValueError):
    """Raised for a payload larger than the limit."""


def decode_payload(payload: bytes, head: Head, *, limit: int) -> bytes:
    """Removes the transfer and content codings of a payload.

    Archives often keep the header but store the payload decoded. So a payload that is not in the coding of the header,
    or in an unknown coding, is returned unchanged if it looks like text or like a file of a known type. A page that is
    compressed once more than the header says, by gzip or Zstandard, is decompressed too.

    Raises:
        BadCoding: The payload is not in the coding of the header, nor text, nor of a known type; or it ends too early.
        TooLarge: It is longer than `limit` bytes; never more than that is in memory.
    """
    if head.is_chunked:
        payload = without_chunks(payload)
    if len(head.codings) > _MAX_CODINGS:
        raise BadCoding(f"{len(head.codings)} content codings, one upon the other")
    for coding in reversed(head.codings):
        payload = _without_coding(payload, coding, limit)
    payload = _without_unsaid(payload, limit)
    if len(payload) > limit:
        raise TooLarge(f"the payload is larger than {limit} bytes")
    return payload


def without_chunks(payload: bytes) -> bytes:
    """Removes the transfer coding `chunked`; a payload stored without chunks is returned unchanged.

    Raises:
        BadCoding: The payload begins with chunks, but does not continue with chunks.
    """
    line = _CHUNK_SIZE.match(payload)
    if line is None or not _ends_chunk(payload, line):
        return payload  # stored decoded
    chunks: list[bytes] = []
    at = 0
    # Invariant: payload[at:] begins with a chunk's size line, or is what follows the last whole chunk.
    while line := _CHUNK_SIZE.match(payload, at):
        size = int(line[1], 16)
        if not size:
            return b"".join(chunks)
        if line.end() + size > len(payload):
            raise BadCoding("chunked: the payload ends inside a chunk")
        chunks.append(payload[line.end() : line.end() + size])
        at = line.end() + size
        if payload.startswith(b"\r\n", at):
            at += 2
        elif payload.startswith(b"\n", at):
            at += 1
    if payload[at:].strip():
        raise BadCoding("chunked: no chunk size where one is due")
    return b"".join(chunks)  # the closing empty chunk is missing, nothing else


def _ends_chunk(payload: bytes, line: re.Match[bytes]) -> bool:
    """Returns whether a size line begins a chunk: a text may begin with a number too, but not of the right size."""
    end = line.end() + int(line[1], 16)
    return end >= len(payload) or payload[end : end + 1] in (b"\r", b"\n") or int(line[1], 16) == 0


def _without_coding(payload: bytes, coding: str, limit: int) -> bytes:
    decoded = None
    problem = f"content coding {coding[:40]!r} is not known here"
    if not payload:
        return payload
    try:
        if coding in ("gzip", "x-gzip"):
            decoded = _inflate(payload, 31, limit)
        elif coding == "deflate":
            # By RFC 9110 with a zlib header (RFC 1950, section 2.2); servers that leave it out are as common.
            has_header = payload[0] & 15 == 8 and int.from_bytes(payload[:2], "big") % 31 == 0
            decoded = _inflate(payload, 15 if has_header else -15, limit)
        elif coding == "br":
            decoded = _read(BrotliReader(io.BytesIO(payload)), limit)
        elif coding == "zstd":
            decoded = _read(ZstdReader(io.BytesIO(payload)), limit)
    except (zlib.error, OSError, EOFError) as error:
        problem = f"{coding}: {error}"
    if decoded is None:
        if binary_type(payload) in (OCTETS, *COMPRESSED):
            raise BadCoding(problem)
        return payload
    if len(decoded) > limit:
        raise TooLarge(f"the payload is larger than {limit} bytes when decompressed")
    return decoded


def _read(reader: BrotliReader | ZstdReader, limit: int) -> bytes:
    pieces = []
    n = 0
    while n <= limit and (piece := reader.read(limit + 1 - n)):
        pieces.append(piece)
        n += len(piece)
    return b"".join(pieces)


def _without_unsaid(payload: bytes, limit: int) -> bytes:
    """Decompresses a payload that is compressed although its header does not say so; returns others unchanged."""
    page = payload
    for _ in range(_MAX_CODINGS):
        if not page.startswith((_GZIP, _ZSTD)):
            break
        try:
            page = _inflate(page, 31, limit) if page.startswith(_GZIP) else _read(ZstdReader(io.BytesIO(page)), limit)
        except (zlib.error, OSError, EOFError):
            return payload
    return page if page is not payload and begins_like_page(page) else payload


def _inflate(payload: bytes, wbits: int, limit: int) -> bytes:
    """Decompresses one or more gzip members, or one zlib stream; ignores what follows them, as browsers do."""
    pieces = []
    n = at = 0
    # Invariant: payload[at:] begins with a member. Inflate copies the bytes after a member, so it is passed at most
    # twice as many bytes as the member has used so far, or a few thousand.
    while n <= limit:
        member = zlib.decompressobj(wbits)
        handed = _FIRST_BYTES
        while not member.eof and n <= limit:
            given = payload[at : at + handed]
            if not given:
                raise EOFError("the payload ends too early")
            pieces.append(member.decompress(given, limit + 1 - n))
            n += len(pieces[-1])
            at += len(given) - len(member.unused_data)
            handed = min(2 * handed, _MOST_BYTES)
        if wbits != 31 or not payload.startswith(_GZIP, at):
            break
    return b"".join(pieces)
