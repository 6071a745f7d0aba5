"""Classifies the records of an archive: each is a page, a fault or a skip."""

from datetime import datetime
from typing import NamedTuple

from dclm_spark.kernels.archive.codings import BadCoding, TooLarge, decode_payload
from dclm_spark.kernels.archive.digests import digests_problem
from dclm_spark.kernels.archive.frames import TRUNCATED, UNREADABLE
from dclm_spark.kernels.archive.http import MAX_HEAD_BYTES, Head, read_content_type, read_head
from dclm_spark.kernels.archive.members import NO_RECORD
from dclm_spark.kernels.archive.records import TYPES, Header, fetch_date
from dclm_spark.kernels.archive.sniffing import looks_like_html
from dclm_spark.recipe.extraction import FETCH_YEARS

NOT_AN_ARCHIVE = "not_an_archive"
"""Fault kind: the file holds no WARC or ARC record at all."""
BAD_HEADER = NO_RECORD
"""Fault kind: no record header where one is expected, or one without a type or a length that leads to the next
record."""
BAD_HTTP = "bad_http"
"""Fault kind: the body should be an HTTP response, but does not begin like one."""
BAD_ENCODING = "bad_encoding"
"""Fault kind: the payload is not in the content or transfer coding that its header claims."""
TOO_LARGE = "too_large"
"""Fault kind: the page is larger than the limit."""
CHARSET = "charset"
"""Fault kind: the page's bytes are not valid in the charset that the recipe decodes, or a pool's line is not UTF-8."""

BAD_DIGEST = "bad_digest"
"""Fault kind: the record's bytes do not match a digest in its header. Used only if the recipe says so."""

KINDS = (NOT_AN_ARCHIVE, TRUNCATED, UNREADABLE, BAD_HEADER, BAD_HTTP, BAD_ENCODING, TOO_LARGE)


class Page(NamedTuple):
    """A page as it was fetched.

    Attributes:
        offset: Where the record begins in the file: of a plain file its byte, of a compressed file the member that
            holds it. Records that share a member share the offset; offset and record id together name one.
        record_id: WARC-Record-ID as written; None where there is none, as in ARC.
        url: The address as written, without the angle brackets that some tools put around it; None where there is none.
        fetched_at: When it was fetched, UTC; None where the date cannot be read, or lies in a year that cannot be.
        http_status: Status code; None for a text record.
        content_type: Media type, lower-case, without parameters; None where the server gave none (the page was known
            by its first bytes, or every type is taken).
        charset: Charset as the HTTP header writes it; None where it says none.
        payload: The body's bytes with content and transfer codings taken off, or the text as UTF-8.
        is_text: Whether the payload is extracted text (a WET record), not html.
        identified_type: What the crawler took the payload for; None where it does not say.
        digest_problem: What is wrong with its digests; None where nothing is, or they are not checked.
        bad_date: The date as written, where it is no `fetched_at`; None where it is, or none was given.
        n_twins: Records before it in its member with the same id or, without ids, the same address and date.
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
    identified_type: str | None = None
    digest_problem: str | None = None
    bad_date: bytes | None = None
    n_twins: int = 0


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
    """A sound record that is not a page.

    Attributes:
        reason: `type:` and the record type, `not_http`, `http_status` or `content_type`: the first that held. Of a
            page whose bytes are no text, `binary:` and their media type.
        digest_problem: As in `Page`.
    """

    reason: str
    digest_problem: str | None = None


PAGES = ("response", "conversion")
"""Types of records that may be pages."""

_SKIPS = {kind: Skip(f"type:{kind}") for kind in TYPES}
_NOT_HTTP, _STATUS, _CONTENT_TYPE = Skip("not_http"), Skip("http_status"), Skip("content_type")


class Wanted(NamedTuple):
    """Says which records are pages.

    Attributes:
        max_page_bytes: A larger page is a fault.
        content_types: Media types that are pages. Empty means every type. A response that names none is a page if it
            begins as html does.
        http_statuses: HTTP status codes that are pages. Empty means every status.
        digests: What a record is whose bytes have other digests than its header says: `count` leaves it what it is, and
            says so in it; `quarantine` makes it a fault; `ignore` does not look.
        fetch_years: The first and the last year, UTC, in which a page may have been fetched.
    """

    max_page_bytes: int
    content_types: frozenset[str]
    http_statuses: frozenset[int]
    digests: str = "ignore"
    fetch_years: tuple[int, ...] = FETCH_YEARS

    def may_hold(self, header: Header) -> bool:
        """Returns whether the record's body is small enough to be read whole."""
        return header.n_body_bytes <= self.max_page_bytes + MAX_HEAD_BYTES

    def judge(self, header: Header, offset: int, body: bytes, start: int, end: int) -> Page | Fault | Skip:
        """Classifies the record with this header; `body[start:end]` is its body, or the beginning of one that is too
        large."""
        if header.kind not in PAGES:
            return _SKIPS[header.kind]

        head = read_head(body, start, min(end, start + MAX_HEAD_BYTES)) if header.kind == "response" else None
        outcome = self._judge(header, offset, head, body, start, end)
        is_whole = end - start == header.n_body_bytes
        if self.digests == "ignore" or isinstance(outcome, Fault) or not is_whole:
            return outcome
        if (problem := digests_problem(header, head, body, start, end)) is None:
            return outcome
        if self.digests == "quarantine":
            return Fault(offset, header.record_id, header.url, BAD_DIGEST, problem)
        return outcome._replace(digest_problem=problem)

    def _judge(
        self, header: Header, offset: int, head: Head | None, body: bytes, start: int, end: int
    ) -> Page | Fault | Skip:
        """Classifies a response or a conversion without checking digests; `head` is its HTTP header, if it has one."""

        def fault(kind: str, message: str) -> Fault:
            return Fault(offset, header.record_id, header.url, kind, message)

        if header.is_segment:
            return fault(TRUNCATED, "a segmented record, whose other parts lie elsewhere")
        if header.kind == "conversion":
            content_type, charset = read_content_type(header.content_type)
            if content_type not in (None, "text/plain"):  # images, PDF and JSON are converted too
                return _CONTENT_TYPE
            if header.n_body_bytes > self.max_page_bytes:
                return fault(TOO_LARGE, f"a text of {header.n_body_bytes} bytes; the limit is {self.max_page_bytes}")
            return self._page(header, offset, None, content_type, charset, body[start:end])
        is_http = header.content_type.lower().startswith(b"application/http")
        if head is None:
            return fault(BAD_HTTP, "the body does not begin with an HTTP status line") if is_http else _NOT_HTTP
        if head.n_bytes == MAX_HEAD_BYTES < header.n_body_bytes:
            return fault(BAD_HTTP, f"the HTTP header is longer than {MAX_HEAD_BYTES} bytes")
        if self.http_statuses and head.status not in self.http_statuses:
            return _STATUS
        if self.content_types and head.content_type is not None and head.content_type not in self.content_types:
            return _CONTENT_TYPE
        if header.n_body_bytes - head.n_bytes > self.max_page_bytes:
            return fault(TOO_LARGE, f"a page of {header.n_body_bytes} bytes; the limit is {self.max_page_bytes}")
        try:
            payload = decode_payload(body[start + head.n_bytes : end], head, limit=self.max_page_bytes)
        except BadCoding as error:
            return fault(BAD_ENCODING, str(error))
        except TooLarge as error:
            return fault(TOO_LARGE, str(error))
        if (
            self.content_types
            and head.content_type is None
            and not ("text/html" in self.content_types and looks_like_html(payload))
        ):
            return _CONTENT_TYPE
        return self._page(header, offset, head.status, head.content_type, head.charset, payload)

    def _page(
        self,
        header: Header,
        offset: int,
        status: int | None,
        content_type: str | None,
        charset: str | None,
        payload: bytes,
    ) -> Page:
        fetched_at = fetch_date(header.date, self.fetch_years)
        return Page(
            offset=offset,
            record_id=header.record_id,
            url=header.url,
            fetched_at=fetched_at,
            http_status=status,
            content_type=content_type,
            charset=charset,
            payload=payload,
            is_text=header.kind == "conversion",
            identified_type=header.identified_type,
            bad_date=header.date or None if fetched_at is None else None,
            n_twins=header.n_twins,
        )
