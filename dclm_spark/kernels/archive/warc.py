"""Reads the records of an open WARC, ARC or WET file; each is a page, a fault or a skip.

Two readers share the work. fastwarc reads what is sound: gzip members of one record each, as crawls are. Where anything
is out of order, and for the rest (ARC, Zstandard, LZ4, plain files), the careful reader takes over behind the last
record that proved sound, reads at least one itself, and hands back where the next gzip member begins.
"""

from collections.abc import Generator, Iterator
from typing import BinaryIO, cast

from fastwarc.stream_io import GzipReader
from fastwarc.warc import ArchiveIterator, WarcRecord

from dclm_spark.kernels.archive.careful import CarefulReader
from dclm_spark.kernels.archive.frames import GZIP
from dclm_spark.kernels.archive.http import MAX_HEAD_BYTES
from dclm_spark.kernels.archive.outcomes import NOT_AN_ARCHIVE, Fault, Page, Skip, Wanted
from dclm_spark.kernels.archive.records import header_of, is_record
from dclm_spark.recipe.extraction import FETCH_YEARS

Outcome = Page | Fault | Skip

_MAX_CAREFUL = 1 << 10


def read_archive(
    stream: BinaryIO,
    *,
    max_page_bytes: int,
    content_types: tuple[str, ...],
    http_statuses: tuple[int, ...],
    digests: str = "ignore",
    fetch_years: tuple[int, ...] = FETCH_YEARS,
) -> Iterator[Outcome]:
    """Reads the records of a file in order; every record is exactly one page, fault or skip, none is lost or repeated.

    A record's type is tested first (responses and WET's conversions are pages), then its HTTP status, then its media
    type; the first one that is not wanted skips it. Text records have neither status nor media type.
    Memory holds two records of at most the limit and a few MiB, whatever the file.

    Args:
        stream: The open file, binary and seekable: WARC, ARC or WET, plain or compressed with gzip, zstd or lz4.
        max_page_bytes: A larger page is a fault; it is passed over without being held.
        content_types: Media types that are pages. Empty means every type. A response that names none is a page if it
            begins as html does.
        http_statuses: HTTP status codes that are pages. Empty means every status.
        digests: `ignore`, `count` or `quarantine`; see `Wanted`.
        fetch_years: The first and the last year in which a page may have been fetched; another date is none.

    Raises:
        OSError: The stream failed. Whatever it raises passes through; what is wrong with its bytes is a `Fault`.
    """
    wanted = Wanted(
        max_page_bytes,
        frozenset(content_types),
        frozenset(http_statuses),
        digests=digests,
        fetch_years=fetch_years,
    )
    careful = CarefulReader(stream, wanted)
    if not careful.n_bytes:
        yield Fault(0, None, None, NOT_AN_ARCHIVE, "the file is empty")
        return
    offset: int | None = 0
    n_careful = 1
    while offset is not None:
        # Invariant: every record before `offset` has been given, none at or after it.
        begin = offset
        offset = yield from _read_sound(stream, begin, wanted)
        careful.is_archive |= offset > begin
        careful.jump(offset)
        # A change of readers costs as much as many records: where nothing is by the book they change seldom.
        n_careful = 1 if offset > begin else min(2 * n_careful, _MAX_CAREFUL)
        offset = yield from _read_careful(careful, n_careful)
    if not careful.is_archive:
        yield Fault(0, None, None, NOT_AN_ARCHIVE, "the file holds no records")


def _read_careful(careful: CarefulReader, n: int) -> Generator[Outcome, None, int | None]:
    """Yields at least `n` records, up to the next compressed member; returns its offset, None at the file's end."""
    while careful.is_more():
        yield careful.next()
        n -= 1
        is_due = n <= 0 and careful.is_more() and careful.has_earned_change()
        if is_due and (offset := careful.begun_member()) is not None:
            return offset
    return None


def _read_sound(stream: BinaryIO, offset: int, wanted: Wanted) -> Generator[Outcome, None, int]:
    """Yields the records from `offset` on until something is irregular; returns the offset of the first one not
    yielded.

    A record is given when the member that it begins has proved to hold it and nothing else: the member's own account of
    its size, its last four bytes (RFC 1952, section 2.3.1), is that of the record. They are known when the next member
    has begun, so the file's last record is never given.
    """
    # Of gzip alone does fastwarc tell where a member begins whatever the sizes of the reads.
    stream.seek(offset)
    if stream.read(len(GZIP)) != GZIP:
        return offset
    stream.seek(offset)
    recent = _Recent(stream, offset)
    members = GzipReader(cast(BinaryIO, recent))  # of a stream's methods it calls these two only
    last: Outcome | None = None
    n_bytes = 0  # of the last record
    try:
        for record in ArchiveIterator(members, parse_http=False, max_header_len=MAX_HEAD_BYTES):
            begin = members.frame_start_position()
            assert begin is not None  # a record has been read from a member
            if last is not None:
                if begin == offset or int.from_bytes(recent.before(begin), "little") != n_bytes & 0xFFFFFFFF:
                    return offset
                yield last
                offset = begin
            elif begin != offset:  # a header in two members
                return offset
            n_bytes = _size(record)
            last = _outcome(record, begin, wanted)
            if last is None or members.frame_start_position() != begin:
                return offset
    except OSError:  # of the bytes, or of the stream, which then fails the careful reader too
        pass
    return offset


class _Recent:
    """Wraps a stream for fastwarc, and keeps the last two pieces read, which hold the end of the last member."""

    def __init__(self, stream: BinaryIO, position: int) -> None:
        self._stream = stream
        self._end = position
        self._bytes = self._piece = b""

    def read(self, n: int = -1) -> bytes:
        before = self._piece
        self._piece = self._stream.read(n)
        self._bytes = before + self._piece
        self._end += len(self._piece)
        return self._piece

    def tell(self) -> int:
        return self._end

    def before(self, position: int) -> bytes:
        """Returns the four bytes before a position; fewer if they are no longer kept."""
        at = position - 4 - (self._end - len(self._bytes))
        return self._bytes[at : at + 4] if at >= 0 else b""


def _size(record: WarcRecord) -> int:
    """Returns the size of a record as the standard has it: lines that end with CRLF, a space after each colon."""
    lines = [_first_line(record), *(name + b": " + value for name, value in record.headers.items_bytes())]
    return sum(len(line) + 2 for line in lines) + 2 + record.content_length + 4


def _first_line(record: WarcRecord) -> bytes:
    return record.headers.status_line_bytes or b""


def _outcome(record: WarcRecord, begin: int, wanted: Wanted) -> Outcome | None:
    """Returns the outcome of a record that begins a member; None if it is not wholly valid, or too large for memory."""
    fields = {name.lower(): value for name, value in record.headers.items_bytes()}
    header = header_of(fields, 0)
    if header.problem is not None or header.n_body_bytes != record.content_length or not wanted.may_hold(header):
        return None
    if not is_record(_first_line(record) + b"\r\n"):
        return None
    body = record.reader.read()
    return wanted.judge(header, begin, body, 0, len(body)) if len(body) == header.n_body_bytes else None
