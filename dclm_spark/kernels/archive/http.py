"""Reads the header of an HTTP response in an archive.

fastwarc parses and decodes responses too. But it loses the status of lines such as `http/1.1 200 OK`, `HTTP 200` and
`ICY 200`, leaves what follows `100 Continue` in the payload, removes a coding that two headers declare only once, and
raises for a page that is stored without the coding that its header declares.
"""

import re
from typing import NamedTuple

MAX_HEAD_BYTES = 1 << 16
"""Largest header that is accepted. Browsers stop at 256 KiB, most servers at 8 KiB."""

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
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_UNKNOWN_TYPES = frozenset({None, "unknown/unknown", "application/unknown", "*/*"})
_LISTS = (b"content-type", b"content-encoding", b"transfer-encoding")
"""Fields that may be given several times: their values are one list (RFC 9110, section 5.3)."""


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
    """Parses header fields: lower-case name -> value, continued lines joined.

    If a field is repeated, its last value counts; the values of codings and types are joined to a list.

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
