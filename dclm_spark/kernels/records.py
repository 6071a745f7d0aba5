"""The grammar of crawl archives: the headers of WARC and ARC records, and how to know one among other bytes."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from dclm_spark.kernels.http import read_fields

TYPES = ("response", "conversion", "warcinfo", "request", "metadata", "revisit", "resource", "continuation", "unknown")
"""The record types of WARC 1.1 (section 5.5); a type of any other name is `unknown`."""

LONGEST_LINE = 9000
"""No record's first line is longer."""

_WARC_END, _ARC_END = b"\r\n\r\n", b"\n"
_WARC_LINE = rb"WARC/[01]\.\d{1,2}[ \t]*\r?\n"
# "URL IP date type length" (version 1), five more fields before the length in version 2. A URL may hold spaces.
_ARC_LINE = (
    rb"(?P<url>[A-Za-z][A-Za-z0-9+.-]{1,20}:[^\n]{0,8192}) (?P<ip>[^ \n]+) (?P<date>\d{14}) (?P<type>[^ \n]*) "
    rb"(?:[^ \n]+ [^ \n]+ [^ \n]+ \d+ [^ \n]+ )?(?P<length>\d{1,15})\r?\n"
)
RECORD = re.compile(b"%b|%b" % (_WARC_LINE, _ARC_LINE))
"""A record's first line. The group `length` is there in an ARC record alone."""
NEXT_RECORD = re.compile(
    # A WARC record must go on with a field's name: prose about the format holds the first line alone.
    rb"\n(?:%b(?=[A-Za-z-]{4,40}:)|%b)" % (_WARC_LINE, re.sub(rb"\?P<\w+>", b"", _ARC_LINE))
)
"""A line end and a record's first line: what is searched for among other bytes, after damage."""

_LENGTH = re.compile(rb"\d{1,15}")


class Header(NamedTuple):
    """What a record's header says.

    Attributes:
        n_bytes: Its own length, the empty line included.
        kind: One of `TYPES`.
        record_id: WARC-Record-ID as written; None where there is none, as in ARC.
        url: The address as written, without the angle brackets that some tools put around it; None without one.
        date: As written; see `read_date`.
        n_body_bytes: Length of the body that follows.
        content_type: Content-Type of the record, not of the page; empty where there is none.
        is_segment: Whether the record is one part of several (WARC 1.1, section 7).
        end: What follows the body.
        problem: What is wrong with the header; None of a sound one. With a problem the length is 0.
        identified_type: What the crawler took the payload for (WARC-Identified-Payload-Type); None where it says none.
        block_digest: WARC-Block-Digest as written; empty where there is none.
        payload_digest: WARC-Payload-Digest as written; empty where there is none, or where the payload was cut and the
            digest may be that of the whole.
    """

    n_bytes: int
    kind: str
    record_id: str | None
    url: str | None
    date: bytes
    n_body_bytes: int
    content_type: bytes
    is_segment: bool
    end: bytes
    problem: str | None = None
    identified_type: str | None = None
    block_digest: bytes = b""
    payload_digest: bytes = b""


def is_record(begin: bytes) -> bool:
    """Whether bytes begin with a record's first line.

    >>> is_record(b"WARC/1.1\\r\\n"), is_record(b"http://a.b/ 1.2.3.4 20200131010203 text/html 9\\n"), is_record(b"")
    (True, True, False)
    """
    return RECORD.match(begin) is not None


def read_warc_header(head: bytes, n_bytes: int) -> Header:
    """A WARC record's header: `head` without its last, empty line, `n_bytes` with it."""
    return header_of(read_fields(head), n_bytes)


def header_of(fields: Mapping[bytes, bytes], n_bytes: int) -> Header:
    """The header that these fields make, their names in lower case."""
    kind = fields.get(b"warc-type", b"").lower().decode("latin-1")
    length = fields.get(b"content-length", b"")
    problem = None
    if not kind:
        problem = "the record has no WARC-Type"
    elif not _LENGTH.fullmatch(length):
        problem = (
            f"the record's Content-Length is {_text(length[:40])!r}" if length else "the record has no Content-Length"
        )
    return Header(
        n_bytes=n_bytes,
        kind=kind if kind in TYPES else "unknown",
        record_id=_text(fields.get(b"warc-record-id")),
        url=_url(fields.get(b"warc-target-uri")),
        date=fields.get(b"warc-date", b""),
        n_body_bytes=0 if problem else int(length),
        content_type=fields.get(b"content-type", b""),
        is_segment=b"warc-segment-number" in fields,
        end=_WARC_END,
        problem=problem,
        identified_type=_text(fields.get(b"warc-identified-payload-type")),
        block_digest=fields.get(b"warc-block-digest", b""),
        payload_digest=b"" if b"warc-truncated" in fields else fields.get(b"warc-payload-digest", b""),
    )


def read_arc_header(line: re.Match[bytes]) -> Header:
    """An ARC record's header, a match of `RECORD`. It has no type and no id; its address says what it is."""
    url = line["url"]
    return Header(
        n_bytes=line.end() - line.start(),
        kind="warcinfo" if url.startswith(b"filedesc:") else "response",
        record_id=None,
        url=_url(url),
        date=line["date"],
        n_body_bytes=int(line["length"]),
        content_type=b"application/http" if url.lower().startswith((b"http:", b"https:")) else b"",
        is_segment=False,
        end=_ARC_END,
    )


def _text(field: bytes | None) -> str | None:
    """A header field as text: UTF-8, else Latin-1, without NUL. None where the field is missing or empty.

    >>> _text(b"caf\\xc3\\xa9"), _text(b"caf\\xe9"), _text(b""), _text(None)
    ('café', 'café', None, None)
    """
    if not field:
        return None
    try:
        text = field.decode("utf-8")
    except UnicodeDecodeError:
        text = field.decode("latin-1")
    return text.replace("\0", "")


def _url(field: bytes | None) -> str | None:
    """An address as written, out of the angle brackets in which WARC 1.0 and its tools put some."""
    if field and field[:1] == b"<" and field[-1:] == b">":
        field = field[1:-1]
    return _text(field)


def read_date(date: bytes) -> datetime | None:
    """A WARC date (ISO 8601) or an ARC date (14 digits) as UTC; None where it is neither. Without a zone it is UTC.

    >>> read_date(b"2020-01-31T01:02:03Z") == read_date(b"20200131010203")
    True
    >>> read_date(b"2008-10-294T05:21:46-0700"), read_date(b"")
    (None, None)
    """
    text = date.decode("latin-1")
    if len(text) == 14 and text.isdecimal():
        text = f"{text[:8]}T{text[8:]}"
    try:
        parsed = datetime.fromisoformat(text)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
