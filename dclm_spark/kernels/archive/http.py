"""Parses an HTTP response in an archive: reads its header, and removes the codings of its payload."""

import io
import re
import zlib
from typing import NamedTuple

from fastwarc.stream_io import BrotliReader, ZstdReader

from dclm_spark.kernels.archive.sniffing import COMPRESSED, OCTETS, SNIFFED_BYTES, binary_type

MAX_HEAD_BYTES = 1 << 16
"""Largest header that is accepted. Browsers stop at 256 KiB, most servers at 8 KiB."""

_MAX_CODINGS = 4
# More than RFC 9112 allows, since servers write more and other readers take it: any case, a version that is missing or
# strange, the protocols of radio streams, and blanks, empty lines or a byte order mark before them.
_STATUS = re.compile(
    rb"[\x00-\x20\xef\xbb\xbf]{0,64}"
    rb"(?P<line>(?:HTTPS?(?:[ \t]{0,8}/[ \t]{0,8}|[ \t]{1,8}(?=\d[.,]))?[^ \t\r\n:]{0,16}"
    rb"|[A-Z]{2,16}/\d[\d.,]{0,7}|ICY|SHOUTCAST|SOURCETABLE)[ \t:]++\+?(?P<code>\d{3})(?!\d))",
    re.IGNORECASE,
)
_MEDIA_TYPE = re.compile(rb"[ \t\"']*([!#$%&'*+.^_`|~\w-]+/[!#$%&'*+.^_`|~\w-]+)")
# Possessive: each blank is looked at once, whatever follows.
_CHARSET = re.compile(rb"charset[ \t]*+=[ \t]*+[\"']?+[ \t]*+([^\s\"';,]+)", re.IGNORECASE)
_LIST = re.compile(rb"(?:[^,\"]++|\"[^\"]*+\"?+)++")  # an entry of a list with commas; those in quotes are no ends
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,16})[ \t]*(?:;[^\n]*)?\r?\n")
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_UNKNOWN_TYPES = frozenset({None, "unknown/unknown", "application/unknown", "*/*"})
_LISTS = (b"content-type", b"content-encoding", b"transfer-encoding")
"""Fields that may be given several times: their values are one list (RFC 9110, section 5.3)."""

_FIRST_BYTES = 1 << 12  # what is handed to inflate at first: members may be tiny, and what follows them is copied
_MOST_BYTES = 1 << 20

_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_XHTML = re.compile(rb"\s*+(?:\xef\xbb\xbf)?\s*+<\?xml\b[^>]*+>(?:(?!<html)[\x00-\xff])*+<html", re.IGNORECASE)

# WHATWG MIME Sniffing, section 7.1: the tags by which html without a type is known, then a space or ">".
_HTML = re.compile(
    rb"[\t\n\x0c\r ]*+(?:\xef\xbb\xbf)?[\t\n\x0c\r ]*+<(?:!--|"
    rb"(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)[ >])",
    re.IGNORECASE,
)


class BadCoding(ValueError):
    """Raised for a payload that is neither in the coding of its header nor text."""


class TooLarge(ValueError):
    """Raised for a payload larger than the limit."""


class Head(NamedTuple):
    """The header of a response.

    Attributes:
        status: The status code.
        content_type: Lower-case media type without parameters; None where none is given, or none that says anything.
        charset: The charset parameter as written; None where there is none.
        codings: Content codings in the order they were applied, lower-case.
        is_chunked: Whether a transfer coding `chunked` is claimed.
        n_bytes: Length of the header, its empty line included.
    """

    status: int
    content_type: str | None
    charset: str | None
    codings: tuple[str, ...]
    is_chunked: bool
    n_bytes: int


def read_fields(head: bytes) -> dict[bytes, bytes]:
    """Header fields by lower-case name, lines that continue one joined to it; of a field given twice the last, of
    codings and types all, in a list.

    >>> read_fields(b"HTTP/1.1 200 OK\\r\\nContent-Type:\\r\\n text/html\\r\\n")
    {b'http/1.1 200 ok': b'', b'content-type': b'text/html'}
    >>> read_fields(b"")
    {}
    """
    head = _FOLD.sub(b" ", head) if b"\n " in head or b"\n\t" in head else head
    pairs = [
        (name.strip().lower(), value.strip()) for name, _, value in [line.partition(b":") for line in head.splitlines()]
    ]
    fields = dict(pairs)
    if len(fields) < len(pairs):
        for field in _LISTS:
            if field in fields:
                fields[field] = b", ".join([value for name, value in pairs if name == field])
    return fields


def read_head(block: bytes, start: int, end: int) -> Head | None:
    """Reads the header of the response in `block[start:end]`; None if it does not begin with an HTTP status line.

    Lines may end with LF alone. A header without an empty line extends to the end, and the payload is empty. Status
    lines that other readers accept are accepted. Interim responses (status 1xx, or a proxy's for an open tunnel) are
    skipped if another response follows; they count as part of the header.

    >>> read_head(b"HTTP/1.1 200 OK\\r\\nContent-Type: Text/HTML; charset=ISO-8859-1\\r\\n\\r\\n<p>", 0, 64)[:3]
    (200, 'text/html', 'ISO-8859-1')
    >>> [read_head(line, 0, 99).status for line in (b"http/1.1 200 OK", b"HTTP 404 Not here", b"ICY 200 OK")]
    [200, 404, 200]
    >>> read_head(b"", 0, 0) is None
    True
    """
    head = _read_head(block, start, end)
    passed = 0
    while head is not None and (head.status < 200 or head.content_type is None):
        # Invariant: an answer begins at `start + passed`, and nothing but interim answers stands before it.
        following = _read_head(block, start + passed + head.n_bytes, end)
        if following is None:
            break
        passed += head.n_bytes
        head = following
    return head._replace(n_bytes=passed + head.n_bytes) if head is not None and passed else head


def _read_head(block: bytes, start: int, end: int) -> Head | None:
    status = _STATUS.match(block, start, end)
    if status is None:
        return None
    line = status.start("line")
    empty_line = _EMPTY_LINE.search(block, line, end)
    stop, end = empty_line.span() if empty_line else (end, end)
    fields = read_fields(block[line:stop])
    declared = fields.get(b"content-type", b"")
    content_type, charset = read_content_type(declared)
    codings = fields.get(b"content-encoding")
    return Head(
        status=int(status["code"]),
        content_type=None if content_type in _UNKNOWN_TYPES else content_type,
        charset=charset,
        codings=_codings(codings) if codings else (),
        is_chunked=b"chunked" in fields.get(b"transfer-encoding", b"").lower(),
        n_bytes=end - start,
    )


def read_content_type(declared: bytes) -> tuple[str | None, str | None]:
    """Parses a Content-Type field: returns the media type, lower-case without parameters, and the charset as written.

    In a list the last valid type is used; it inherits the charset of the same type before it (WHATWG Fetch, "extract a
    MIME type"). An entry of a charset alone gives it to a type that has none.

    >>> read_content_type(b"text/html;charset='utf-8'")
    ('text/html', 'utf-8')
    >>> read_content_type(b"text/html; charset=koi8-r, text/html, */*")
    ('text/html', 'koi8-r')
    >>> read_content_type(b"html")
    (None, None)
    """
    if b"," not in declared:
        return _media_type(declared)
    content_type = charset = None
    for entry in _LIST.finditer(declared):
        entry_type, entry_charset = _media_type(entry[0])
        if entry_type not in _UNKNOWN_TYPES:
            charset = entry_charset or (charset if content_type in (None, entry_type) else None)
            content_type = entry_type
        else:
            charset = charset or entry_charset
    return content_type, charset


def _media_type(declared: bytes) -> tuple[str | None, str | None]:
    media_type = _MEDIA_TYPE.match(declared)
    charset = _CHARSET.search(declared)
    return (
        media_type[1].decode("latin-1").lower() if media_type else None,
        charset[1].replace(b"\0", b"").decode("latin-1") if charset else None,
    )


def _codings(field: bytes) -> tuple[str, ...]:
    names = (name.strip().lower().decode("latin-1") for name in field.split(b","))
    return tuple(name for name in names if name and name != "identity")


def looks_like_html(payload: bytes) -> bool:
    """Returns whether a payload without a media type begins like html (WHATWG MIME Sniffing, section 7.1).

    >>> looks_like_html(b"  <!DOCTYPE html><p>x"), looks_like_html(b"x <p>"), looks_like_html(b"")
    (True, False, False)
    """
    return _HTML.match(payload, 0, SNIFFED_BYTES) is not None


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
    """Whether the first size line is one: a text may begin with a number too, but not of just the right size."""
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
    is_page = page is not payload and (looks_like_html(page) or _XHTML.match(page, 0, SNIFFED_BYTES))
    return page if is_page else payload


def _inflate(payload: bytes, wbits: int, limit: int) -> bytes:
    """One or more gzip members, or one zlib stream; what follows them is ignored, as browsers do."""
    pieces = []
    n = at = 0
    # Invariant: payload[at:] begins with a member. Inflate copies what follows a member out of what it was handed, so
    # it is handed no more than twice what the member has taken, or a little.
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
