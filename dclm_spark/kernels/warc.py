"""An open WARC, ARC or WET file -> its records: pages, faults and skips, each record one of the three.

The reader is fitted to what crawls hold. A record that is damaged costs itself; the reader goes on at the next one
that it can find, and one damaged stretch is one fault, whatever its length.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO, NamedTuple

from dclm_spark.kernels.frames import HEAD_BYTES, TRUNCATED, UNREADABLE
from dclm_spark.kernels.http import (
    MAX_HEAD_BYTES,
    BadCoding,
    TooLarge,
    decode_payload,
    looks_like_html,
    read_content_type,
    read_head,
)
from dclm_spark.kernels.members import NO_RECORD, Members
from dclm_spark.kernels.records import (
    LONGEST_LINE,
    NEXT_RECORD,
    RECORD,
    TYPES,
    Header,
    is_record,
    read_arc_header,
    read_date,
    read_warc_header,
)

NOT_AN_ARCHIVE = "not_an_archive"
"""Fault kind: the file holds no WARC or ARC record at all."""
BAD_HEADER = NO_RECORD
"""Fault kind: no record header where one is due, or one without a type or a length that leads to the next record."""
BAD_HTTP = "bad_http"
"""Fault kind: the body is said to be an HTTP response and does not begin like one."""
BAD_ENCODING = "bad_encoding"
"""Fault kind: the payload is not in the content or transfer coding that its header claims."""
TOO_LARGE = "too_large"
"""Fault kind: the page is larger than the limit."""

KINDS = (NOT_AN_ARCHIVE, TRUNCATED, UNREADABLE, BAD_HEADER, BAD_HTTP, BAD_ENCODING, TOO_LARGE)


class Page(NamedTuple):
    """A page as it was fetched.

    Attributes:
        offset: Where the record begins in the file: of a plain file its byte, of a compressed file the member that
            holds it. Records that share a member share the offset; offset and record id together name one.
        record_id: WARC-Record-ID as written; None where there is none, as in ARC.
        url: The address as written, without the angle brackets that some tools put around it; None where there is none.
        fetched_at: When it was fetched, UTC; None where the date cannot be read.
        http_status: Status code; None for a text record.
        content_type: Media type, lower-case, without parameters; None where the server gave none (the page was known
            by its first bytes, or every type is taken).
        charset: Charset as the HTTP header writes it; None where it says none.
        payload: The body's bytes with content and transfer codings taken off, or the text as UTF-8.
        is_text: Whether the payload is extracted text (a WET record), not html.
    """

    offset: int
    record_id: str | None
    url: str | None
    fetched_at: datetime | None
    http_status: int | None
    content_type: str | None
    charset: str | None
    payload: bytes
    is_text: bool


class Fault(NamedTuple):
    """A record, or a stretch of the file where records should be, that could not be read.

    Attributes:
        offset: Where it begins, as in `Page`.
        record_id: As in `Page`; None where the header itself is lost.
        url: As in `Page`; None where the header itself is lost.
        kind: One of `KINDS`.
        message: What was found, for a person.
    """

    offset: int
    record_id: str | None
    url: str | None
    kind: str
    message: str


class Skip(NamedTuple):
    """A sound record that is no page.

    Attributes:
        reason: `type:` and the record type, `not_http`, `http_status` or `content_type`: the first that held.
    """

    reason: str


_SKIPS = {kind: Skip(f"type:{kind}") for kind in TYPES}
_EMPTY_LINES = re.compile(rb"[\r\n]*")
_NOT_HTTP, _STATUS, _CONTENT_TYPE = Skip("not_http"), Skip("http_status"), Skip("content_type")


def read_archive(
    stream: BinaryIO, *, max_page_bytes: int, content_types: tuple[str, ...], http_statuses: tuple[int, ...]
) -> Iterator[Page | Fault | Skip]:
    """The records of a file in order. Pages, faults and skips together are the records read: none is lost or twice.

    A record is asked first for its type (responses and WET's conversions are pages), then for its HTTP status, then
    for its media type; the first answer that is not wanted skips it. Text records have no status and no type to ask.
    Memory holds one record of at most the limit and a few MiB, whatever the file.

    Args:
        stream: The open file, binary and seekable: WARC, ARC or WET, plain or compressed with gzip, zstd or lz4.
        max_page_bytes: A larger page is a fault; it is passed over without being held.
        content_types: Media types that are pages. Empty means every type. A response that names none is a page if it
            begins as html does.
        http_statuses: HTTP status codes that are pages. Empty means every status.

    Raises:
        OSError: The stream failed. Whatever it raises passes through; what is wrong with its bytes is a `Fault`.
    """
    reader = _Reader(stream, max_page_bytes, frozenset(content_types), frozenset(http_statuses))
    return reader.records()


class _Reader:
    """Goes from record to record: finds where each ends, judges it, and finds the way on where one is damaged."""

    def __init__(self, stream: BinaryIO, limit: int, types: frozenset[str], statuses: frozenset[int]) -> None:
        self._members = Members(stream, is_record)
        self._limit = limit
        self._types = types
        self._statuses = statuses
        self._is_archive = False  # whether one record header was seen

    def records(self) -> Iterator[Page | Fault | Skip]:
        if not self._members.raw.size:
            yield Fault(0, None, None, NOT_AN_ARCHIVE, "the file is empty")
            return
        while self._is_more():
            yield self._next()
        if not self._is_archive:
            yield Fault(0, None, None, NOT_AN_ARCHIVE, "the file holds no records")

    def _is_more(self) -> bool:
        """Whether something other than empty lines is left. Passes over the empty lines between records."""
        members = self._members
        while members.fill(1):
            members.at = _EMPTY_LINES.match(members.window, members.at).end()
            if members.ahead():
                return True
        return members.damage is not None

    def _next(self) -> Page | Fault | Skip:
        """The record at the cursor. Afterwards the cursor stands behind it or, after damage, at the next one found."""
        members = self._members
        offset = members.offset()
        if not members.ahead():
            return self._recover(Fault(members.damage.offset, None, None, members.damage.kind, str(members.damage)))
        header = self._header(offset)
        if isinstance(header, Fault):
            return self._recover(header)
        n_bytes = header.n_bytes + header.n_body_bytes
        is_held = header.n_body_bytes <= self._limit + MAX_HEAD_BYTES
        if is_held:
            members.fill(n_bytes + len(header.end))
            problem = self._problem(header, offset, n_bytes)
        else:
            members.fill(header.n_bytes + MAX_HEAD_BYTES)
            record = self._judge(header, offset)
            restart = offset + header.n_bytes if members.is_plain() else None
            members.at += header.n_bytes
            problem = self._skip_problem(header)
            if problem and restart is not None:
                members.jump(restart, is_plain=True)
        if problem:
            return self._recover(Fault(offset, header.record_id, header.url, *problem))
        if is_held:
            record = self._judge(header, offset)
            members.at += n_bytes
        return record

    def _header(self, offset: int) -> Header | Fault:
        """The record header at the cursor, which stays; after a fault it stands where the search begins."""
        members = self._members
        line = RECORD.match(members.window, members.at)
        if line is None:
            members.fill(LONGEST_LINE)
            line = RECORD.match(members.window, members.at)
        if line is None:
            members.at += 1
            return Fault(offset, None, None, BAD_HEADER, "no WARC or ARC record where one should begin")
        self._is_archive = True
        if line["length"] is not None:
            return read_arc_header(line)
        end = b"\r\n\r\n" if line[0].endswith(b"\r\n") else b"\n\n"
        searched = line.end() - line.start() - len(end) // 2
        while (stop := members.window.find(end, members.at + searched, members.at + MAX_HEAD_BYTES)) < 0:
            searched = max(searched, members.ahead() - len(end))
            if searched > MAX_HEAD_BYTES or not members.fill(members.ahead() + 1):
                break
        n_bytes = (members.ahead() if stop < 0 else stop - members.at) + len(end)
        edge = members.record_edge(1, n_bytes)
        if edge is None and (found := members.window.find(b"\nWARC/", members.at, members.at + n_bytes)) >= 0:
            edge = found + 1 - members.at
        if stop < 0 or edge is not None:
            kind, why = self._why_short() if stop < 0 and edge is None else (BAD_HEADER, "the next record begins")
            members.at += edge or 1
            return Fault(offset, None, None, kind, f"the record header does not end: {why}")
        header = read_warc_header(members.window[members.at : stop], n_bytes)
        if header.problem is not None:
            members.at += 1
            return Fault(offset, header.record_id, header.url, BAD_HEADER, header.problem)
        return header

    def _problem(self, header: Header, offset: int, n_bytes: int) -> tuple[str, str] | None:
        """Kind and message of what is wrong with the bounds of the record at the cursor, whose bytes lie ahead.

        Where something is, the cursor goes to the place from which the next record is to be searched.
        """
        members = self._members
        if (edge := members.record_edge(1, n_bytes)) is not None:
            members.at += edge
            n_found = max(edge - header.n_bytes, 0)
            return TRUNCATED, f"the body has {n_found} of {header.n_body_bytes} bytes, then the next record begins"
        if members.ahead() < n_bytes:
            n_found = members.ahead() - header.n_bytes
            kind, why = self._why_short()
            members.at += header.n_bytes
            return kind, f"the body has {n_found} of {header.n_body_bytes} bytes: {why}"
        if not self._ends_at(n_bytes, header.end):
            members.at += header.n_bytes
            return BAD_HEADER, f"the length of {header.n_body_bytes} bytes does not lead to the next record"
        damage = members.damage
        if damage and damage.offset == offset and not members.window[members.at + n_bytes :].strip(b"\r\n"):
            members.at += n_bytes
            return damage.kind, str(damage)
        return None

    def _skip_problem(self, header: Header) -> tuple[str, str] | None:
        """The same for a body too large to hold; passes over it. The cursor stands at its beginning."""
        members = self._members
        if not members.skip(header.n_body_bytes):
            kind, why = self._why_short()
            return kind, f"the body has fewer than {header.n_body_bytes} bytes: {why}"
        if not self._ends_at(0, header.end):
            return BAD_HEADER, f"the length of {header.n_body_bytes} bytes does not lead to the next record"
        return None

    def _ends_at(self, distance: int, end: bytes) -> bool:
        """Whether the record at the cursor may end here: before a record, a member or the end of the file."""
        members = self._members
        members.fill(distance + len(end))
        is_marked = members.window.startswith(end, members.at + distance)
        if is_marked and members.ahead() == distance + len(end):  # a member's end: the common case
            return True
        start = distance
        while members.fill(start + 1) and members.window[members.at + start] in b"\r\n" and start < distance + 64:
            start += 1
        members.fill(start + HEAD_BYTES)
        return (
            start == members.ahead()
            or (not members.is_plain() and bool(members.edges(distance, start + 1)))
            or members.window.startswith(b"WARC/", members.at + start)
            or (is_marked and RECORD.match(members.window, members.at + start) is not None)
            # What follows is damaged then, unless the length is wrong and has led over other records to just here.
            or (is_marked and NEXT_RECORD.search(members.window, members.at, members.at + distance) is None)
        )

    def _why_short(self) -> tuple[str, str]:
        """Kind and message of why fewer bytes lie ahead than should."""
        members = self._members
        if members.damage is not None:
            return members.damage.kind, str(members.damage)
        if members.ahead() > MAX_HEAD_BYTES:
            return BAD_HEADER, f"it is longer than {MAX_HEAD_BYTES} bytes"
        return TRUNCATED, "the file ends"

    def _recover(self, fault: Fault) -> Fault:
        """Goes on at the next record after the cursor, and says in the fault how much was passed over for it."""
        members = self._members
        is_found = self._scan() or (members.damage is not None and members.resume())
        end = members.offset() if is_found else members.raw.size
        is_none = fault.kind == BAD_HEADER and not (self._is_archive or is_found)
        kind = NOT_AN_ARCHIVE if is_none else fault.kind
        self._is_archive = True  # or it is none, and has had its fault
        return fault._replace(kind=kind, message=f"{fault.message} ({end - fault.offset} bytes passed over)")

    def _scan(self) -> bool:
        """Whether a record begins in the decompressed bytes at or after the cursor; moves to it, or to their end."""
        members = self._members
        while True:
            match = NEXT_RECORD.search(members.window, max(members.at - 1, 0))
            found = match.start() + 1 - members.at if match else members.ahead()
            edge = members.record_edge(0, found)
            if match or edge is not None:
                members.at += found if edge is None else edge
                return True
            # Invariant: no record begins before the cursor. A line that is still cut off stays ahead of it.
            members.at += max(members.ahead() - LONGEST_LINE, 0)
            if not members.fill(members.ahead() + 1):
                members.at = len(members.window)
                return False

    def _judge(self, header: Header, offset: int) -> Page | Fault | Skip:
        """What the record at the cursor is; of one that is too large to hold, only the beginning lies ahead."""
        if header.kind not in ("response", "conversion"):
            return _SKIPS[header.kind]
        members = self._members
        start = members.at + header.n_bytes
        end = min(start + header.n_body_bytes, len(members.window))

        def fault(kind: str, message: str) -> Fault:
            return Fault(offset, header.record_id, header.url, kind, message)

        if header.is_segment:
            return fault(TRUNCATED, "a segmented record, whose other parts lie elsewhere")
        if header.kind == "conversion":
            content_type, charset = read_content_type(header.content_type)
            if header.n_body_bytes > self._limit:
                return fault(TOO_LARGE, f"a text of {header.n_body_bytes} bytes; the limit is {self._limit}")
            return self._page(header, offset, None, content_type, charset, members.window[start:end])
        is_http = header.content_type.lower().startswith(b"application/http")
        head = read_head(members.window, start, min(end, start + MAX_HEAD_BYTES))
        if head is None:
            return fault(BAD_HTTP, "the body does not begin with an HTTP status line") if is_http else _NOT_HTTP
        if head.n_bytes == MAX_HEAD_BYTES < header.n_body_bytes:
            return fault(BAD_HTTP, f"the HTTP header is longer than {MAX_HEAD_BYTES} bytes")
        if self._statuses and head.status not in self._statuses:
            return _STATUS
        if self._types and head.content_type is not None and head.content_type not in self._types:
            return _CONTENT_TYPE
        if header.n_body_bytes - head.n_bytes > self._limit:
            return fault(TOO_LARGE, f"a page of {header.n_body_bytes} bytes; the limit is {self._limit}")
        try:
            payload = decode_payload(members.window[start + head.n_bytes : end], head, limit=self._limit)
        except BadCoding as error:
            return fault(BAD_ENCODING, str(error))
        except TooLarge as error:
            return fault(TOO_LARGE, str(error))
        if self._types and head.content_type is None and not ("text/html" in self._types and looks_like_html(payload)):
            return _CONTENT_TYPE
        return self._page(header, offset, head.status, head.content_type, head.charset, payload)

    @staticmethod
    def _page(
        header: Header, offset: int, status: int | None, content_type: str | None, charset: str | None, payload: bytes
    ) -> Page:
        fetched_at = read_date(header.date)
        is_text = header.kind == "conversion"
        return Page(offset, header.record_id, header.url, fetched_at, status, content_type, charset, payload, is_text)
