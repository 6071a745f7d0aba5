"""Parses the headers of WARC and ARC records, and recognizes them among other bytes."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from dclm_spark.kernels.archive.http import read_fields
from dclm_spark.recipe.extraction import FETCH_YEARS

TYPES = ("response", "conversion", "warcinfo", "request", "metadata", "revisit", "resource", "continuation", "unknown")
"""The record types of WARC 1.1 (section 5.5); a type of any other name is `unknown`."""

LONGEST_LINE = 9000
"""Largest length of a record's first line, in bytes."""

_WARC_END, _ARC_END = b"\r\n\r\n", b"\n"
_WARC_LINE = rb"WARC/[01]\.\d{1,2}[ \t]*\r?\n"
# "URL IP date type length" (version 1), five more fields before the length in version 2. A URL may hold spaces, and so
# may a type. Every part is bounded, so that a line costs no more than its length.
_ARC_URL = rb"(?P<url>[A-Za-z][A-Za-z0-9+.-]{1,20}:[^\n]{0,8192})"
_ARC_MORE = rb"(?:[^ \n]+ [^ \n]+ [^ \n]+ \d+ [^ \n]+ )?"
_ARC_IP = (
    rb"(?:\d{1,3}(?:\.\d{1,3}){3}"
    rb"|\[?(?:[0-9A-Fa-f:]{0,40}::[0-9A-Fa-f:.]{0,40}|(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4})\]?)"
)
_ARC_REST = rb"(?:[^\n]{0,256} )?(?P<length>%b)[ \t]*\r?\n"  # the type and whatever else stands there
_ARC_LINES = (
    # By the book.
    _ARC_URL + rb" [^ \n]+ (?P<date>\d{14}) [^ \n]* " + _ARC_MORE + rb"(?P<length>\d{1,15})\r?\n",
    # Where the book is left, an address of the net or a date stands between the URL and what follows.
    _ARC_URL + rb" %b (?P<date>(?=[^ \n\d]*\d)[^ \n]{1,64}) " % _ARC_IP + _ARC_REST % rb"\d{1,15}",
    _ARC_URL + rb" [^ \n]{1,64} (?P<date>\d{12,15}) " + _ARC_REST % rb"\d{1,15}",
    _ARC_URL + rb" %b (?P<date>\d{12,15}) " % _ARC_IP + _ARC_REST % rb"[^ \r\n]{1,64}",
)
_ARC_LINES_WHERE_DUE = (
    _ARC_URL + rb" %b (?P<date>[^ \n]{0,64}) " % _ARC_IP + _ARC_REST % rb"[^ \r\n]{1,64}",
    # As warcio divides a line.
    _ARC_URL + rb" [^ \n]{1,64} (?P<date>[^ \n]{1,64}) [^ \n]{0,256} (?P<length>\d{1,15})[ \t]*\r?\n",
)


def _any_of(lines: tuple[bytes, ...]) -> bytes:
    return b"|".join(re.sub(rb"\?P<\w+>", b"", line) for line in lines)


RECORD = re.compile(rb"%b|(?P<arc>%b)" % (_WARC_LINE, _any_of(_ARC_LINES + _ARC_LINES_WHERE_DUE)))
"""A record's first line, where one is due. The group `arc` is there in an ARC record alone."""
NEXT_RECORD = re.compile(
    # A WARC record must go on with a field's name: prose about the format holds the first line alone.
    rb"\n(?:%b(?=[A-Za-z-]{4,40}:)|%b)" % (_WARC_LINE, _any_of(_ARC_LINES))
)
"""A line end and a record's first line: what is searched for among other bytes, after damage."""
_ARC_FIELDS = [re.compile(line) for line in _ARC_LINES + _ARC_LINES_WHERE_DUE]
_ADDRESS = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s]{1,8192}) [^\n]*\n")

_LENGTH = re.compile(rb"\d{1,15}")


class Header(NamedTuple):
    """The header of a record.

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
        n_twins: Records before it in its member that are of the same page: `identity` says so.
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
    n_twins: int = 0


def is_record(begin: bytes) -> bool:
    """Returns whether bytes begin with a record's first line.

    >>> is_record(b"WARC/1.1\\r\\n"), is_record(b"http://a.b/ 1.2.3.4 20200131010203 text/html 9\\n"), is_record(b"")
    (True, True, False)
    """
    return RECORD.match(begin) is not None


def read_warc_header(head: bytes, n_bytes: int) -> Header:
    """Parses a WARC record's header: `head` without the empty line at its end; `n_bytes` includes that line."""
    return header_of(read_fields(head), n_bytes)


def header_of(fields: Mapping[bytes, bytes], n_bytes: int) -> Header:
    """Makes a header from its fields, whose names are in lower case."""
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


def read_arc_header(line: bytes) -> Header:
    """Parses an ARC record's header, the group `arc` of `RECORD`. It has no type and no id; its address tells the
    type."""
    fields = next(found for pattern in _ARC_FIELDS if (found := pattern.fullmatch(line)))
    url, length = fields["url"], fields["length"]
    is_sound = _LENGTH.fullmatch(length) is not None
    return Header(
        n_bytes=len(line),
        kind="warcinfo" if url.startswith(b"filedesc:") else "response",
        record_id=None,
        url=_url(url),
        date=fields["date"],
        n_body_bytes=int(length) if is_sound else 0,
        content_type=b"application/http" if url.lower().startswith((b"http:", b"https:")) else b"",
        is_segment=False,
        end=_ARC_END,
        problem=None if is_sound else f"the record's length is {_text(length)!r}",
    )


def address_of(line: bytes) -> str | None:
    """Returns the address at the start of a line that is no valid ARC header but may be meant as one; else None."""
    found = _ADDRESS.match(line)
    return _text(found[1]) if found else None


def identity(record_id: str | None, url: str | None, date: datetime | None) -> str:
    """Returns what identifies a record: its id or, without one, address and date. It may be repeated in a member."""
    return record_id or f"{url} {date}"


def _text(field: bytes | None) -> str | None:
    """Decodes a header field: UTF-8, else Latin-1, without NUL; None if the field is missing or empty.

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
    """Removes the angle brackets that WARC 1.0 and its tools put around some addresses."""
    if field and field[:1] == b"<" and field[-1:] == b">":
        field = field[1:-1]
    return _text(field)


# By the number of digits: what an ARC date, or one of WARC without its marks, may be shortened to.
_SHORT_DATES = {4: "0101T000000", 6: "01T000000", 8: "T000000", 10: "0000", 12: "00", 14: ""}
_MONTH = re.compile(r"\d{4}-\d\d")
# Python would take a digit too for the mark between day and hour.
_MOMENT = re.compile(r"(?P<day>\d{4}-?\d\d-?\d\d|\d{4}-?W\d\d(?:-?\d)?)(?P<time>\D.*)?", re.DOTALL)


def read_date(date: bytes) -> datetime | None:
    """Parses a WARC date (ISO 8601) or an ARC date (14 digits) to UTC; None if it is neither. Without a zone it is UTC.

    A date of less than a second's precision, as WARC 1.1 allows it, is its first moment; of more than a microsecond's
    the rest is dropped.

    >>> read_date(b"2020-01-31T01:02:03Z") == read_date(b"20200131010203") == read_date(b"2020-01-31t01:02:03z")
    True
    >>> read_date(b"2020-01") == read_date(b"202001010000") == read_date(b"2020-01-01")
    True
    >>> read_date(b"2008-10-294T05:21:46-0700"), read_date(b"202001310102030"), read_date(b"")
    (None, None, None)
    """
    text = date.decode("latin-1").strip().upper()
    bare = text.removesuffix("Z")
    if bare.isascii() and bare.isdecimal():
        if len(bare) not in _SHORT_DATES:
            return None
        text = bare + _SHORT_DATES[len(bare)]
        text = text if "T" in text else f"{text[:8]}T{text[8:]}"
    elif _MONTH.fullmatch(bare):
        text = bare + "-01"
    elif (found := _MOMENT.fullmatch(text)) is None:
        return None
    elif found["time"] == "Z":
        text = found["day"]
    try:
        parsed = datetime.fromisoformat(text)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def fetch_date(date: bytes, years: tuple[int, ...] = FETCH_YEARS) -> datetime | None:
    """Parses a date by `read_date`; None if its year, in UTC, is not from the first to the last of `years`."""
    found = read_date(date)
    return found if found is not None and years[0] <= found.year <= years[-1] else None


def what_is_wrong_with(date: bytes) -> str:
    """Says why `fetch_date` returned None: `unreadable` or `out_of_range`.

    >>> what_is_wrong_with(b"1114-12-26T20:15:00Z"), what_is_wrong_with(b"yesterday")
    ('out_of_range', 'unreadable')
    """
    return UNREADABLE_DATE if read_date(date) is None else DATE_OUT_OF_RANGE


UNREADABLE_DATE, DATE_OUT_OF_RANGE = "unreadable", "out_of_range"
