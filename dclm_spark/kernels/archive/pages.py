"""Reads an open archive or pool into batches of documents and faults; the last row is the tally of the file."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import pyarrow as pa
from xxhash import xxh3_128_hexdigest

from dclm_spark import schemas
from dclm_spark.kernels.archive.contents import Content, content_of
from dclm_spark.kernels.archive.outcomes import BAD_DIGEST, Fault, Page, Skip
from dclm_spark.kernels.archive.pools import Line, is_pool, read_pool
from dclm_spark.kernels.archive.records import identity, read_date, what_is_wrong_with
from dclm_spark.kernels.archive.sniffing import binary_type
from dclm_spark.kernels.archive.warc import read_archive
from dclm_spark.kernels.html.extract import limits_of
from dclm_spark.kernels.html.sandbox import extract_alone
from dclm_spark.recipe.extraction import Extraction

STAGE = "documents"

BINARY = "binary"
"""Skip reason, before a colon and the media type found: the page's bytes are no text, whatever their header says."""
MISSING = "missing"
"""Why a file is unread: it is not there."""
UNREADABLE = "unreadable"
"""Why a file is unread: the store failed on it, again and again."""

_FAULT_FIELDS = [field for field in schemas.QUARANTINE if field.name not in schemas.DOCUMENTS.names]
_TALLY_FIELDS = [
    field for field in schemas.FILES if field.name.startswith("n_") or field.name in ("skips", "bad_dates")
]

SCHEMA = pa.schema(
    [field.with_nullable(True) for field in [*schemas.DOCUMENTS, *_FAULT_FIELDS, *_TALLY_FIELDS]]
    + [pa.field("unread", pa.string())]
)
"""One row is a document (`text` is set), a fault (`kind` is set) or a file's tally (`n_records` is set). Or it says why
its file could not be read to the end (`unread` is set): the other rows of that file are then not all that it holds."""

# A batch leaves the worker when it holds this much text or this many rows, so that memory follows neither the longest
# page nor the number of records of a file.
BATCH_BYTES = 4 << 20
BATCH_ROWS = 2_000


def document_id(path: str, page: Page) -> str:
    """Returns the id of a document: the 128-bit xxh3 hash, 32 hex digits, of file name, offset and WARC-Record-ID.

    The file's folder is left out, so that the same file in another bucket gives the same ids. A record without an id
    (ARC) is known by its URL and date instead. Where a member, and so an offset, holds the same again, the second and
    later ones have their number besides.
    """
    base_name = path.rsplit("/", 1)[-1]
    date = page.fetched_at if page.bad_date is None else read_date(page.bad_date)
    name = f"{base_name}\0{page.offset}\0{identity(page.record_id, page.url, date)}"
    return xxh3_128_hexdigest((f"{name}\0{page.n_twins}" if page.n_twins else name).encode())


def read_pages(stream: BinaryIO, *, path: str, dump: str, extraction: Extraction) -> Iterator[pa.RecordBatch]:
    """Yields the records of one file as batches of `SCHEMA`; each record is a row, or is counted in the last row.

    Args:
        stream: The open file, seekable.
        path: The file as the input named it; its name says whether it is a pool or an archive.
        dump: The dump it belongs to.
        extraction: The recipe's part.

    A stream that fails on the way (the opener has tried again already) says nothing of its records: no tally, and a
    last row that says so.
    """
    rows, tally = _Rows(), _Tally()
    contents = _contents(_records(stream, path, extraction), tally, extraction)
    extracted = extract_alone(
        (((record, content), content.html) for record, content in contents),
        extractor=extraction.extractor,
        options=extraction.options,
        limits=limits_of(extraction),
    )
    for (record, content), text, failure in extracted:
        if isinstance(record, OSError):
            yield unread_file(path, dump, record)
            return
        content = content._replace(text=content.text if text is None else text, failure=content.failure or failure)
        row = _row(record, content, path, dump)
        tally.add(record, row)
        rows.add(row)
        if rows.is_full():
            yield rows.take()
    rows.add({"dump": dump, "warc_path": path} | tally.columns())
    yield rows.take()


class _Tally:
    """Counts of a file's records."""

    def __init__(self) -> None:
        self._n_documents = self._n_quarantined = self._n_bad_digests = 0
        self._skips: Counter[str] = Counter()
        self._bad_dates: Counter[str] = Counter()

    def skip(self, record: Skip) -> None:
        self._skips[record.reason] += 1
        self._n_bad_digests += record.digest_problem is not None

    def add(self, record: Page | Line | Fault, row: Mapping[str, Any]) -> None:
        self._n_bad_digests += _has_bad_digest(record)
        if "kind" in row or isinstance(record, Fault):
            self._n_quarantined += 1
            return
        self._n_documents += 1
        if record.bad_date is not None:
            self._bad_dates[what_is_wrong_with(record.bad_date)] += 1

    def columns(self) -> dict[str, Any]:
        """Returns the columns of the tally's row."""
        return {
            "n_records": self._n_documents + self._n_quarantined + self._skips.total(),
            "n_documents": self._n_documents,
            "n_quarantined": self._n_quarantined,
            "skips": sorted(self._skips.items()),
            "n_bad_digests": self._n_bad_digests,
            "bad_dates": sorted(self._bad_dates.items()),
        }


def _records(stream: BinaryIO, path: str, extraction: Extraction) -> Iterator[Page | Line | Fault | Skip | OSError]:
    """Yields the records of a stream and, if it fails, its error; errors of the code that uses a record are raised."""
    try:
        if is_pool(path):
            yield from read_pool(
                stream,
                path=path,
                max_line_bytes=extraction.max_page_bytes,
                fetch_years=extraction.fetch_years,
            )
            return
        yield from read_archive(
            stream,
            max_page_bytes=extraction.max_page_bytes,
            content_types=tuple(extraction.content_types),
            http_statuses=tuple(extraction.http_statuses),
            digests=extraction.digests,
            fetch_years=extraction.fetch_years,
        )
    except OSError as error:
        yield error


def _contents(
    records: Iterable[Page | Line | Fault | Skip | OSError], tally: _Tally, extraction: Extraction
) -> Iterator[tuple[Page | Line | Fault | OSError, Content]]:
    """Yields all records except skips, which it counts."""
    for record in records:
        if isinstance(record, Page) and (kind := binary_type(record.payload, record.identified_type)) is not None:
            record = Skip(f"{BINARY}:{kind}", record.digest_problem)
        if isinstance(record, Skip):
            tally.skip(record)
        else:
            yield record, content_of(record, extraction)


def _has_bad_digest(record: Page | Line | Fault) -> bool:
    if isinstance(record, Fault):
        return record.kind == BAD_DIGEST
    return isinstance(record, Page) and record.digest_problem is not None


def unread_file(path: str, dump: str, error: OSError) -> pa.RecordBatch:
    """Makes the row of a file that could not be opened, or not read to its end: `kind: message`."""
    kind = MISSING if isinstance(error, FileNotFoundError) else UNREADABLE
    rows = _Rows()
    rows.add({"dump": dump, "warc_path": path, "unread": f"{kind}: {type(error).__name__}: {error}"})
    return rows.take()


def _row(record: Page | Line | Fault, content: Content, path: str, dump: str) -> dict[str, Any]:
    if isinstance(record, Fault):
        return _fault_row(record, path, dump)
    if content.failure is not None:
        return _fault_row(Fault(record.offset, record.record_id, record.url, *content.failure), path, dump)
    if isinstance(record, Line):
        return _line_row(record, path, dump)
    return {
        "doc_id": document_id(path, record),
        "dump": dump,
        "url": record.url,
        "fetched_at": record.fetched_at,
        "http_status": record.http_status,
        "content_type": record.content_type,
        "charset": content.charset,
        "html_bytes": len(record.payload),
        "warc_path": path,
        "warc_offset": record.offset,
        "warc_record_id": record.record_id,
        "text": content.text,
    }


def _line_row(line: Line, path: str, dump: str) -> dict[str, Any]:
    return {
        "doc_id": line.doc_id,
        "dump": dump,
        "url": line.url,
        "fetched_at": line.fetched_at,
        "warc_path": path,
        "warc_offset": line.offset,
        "warc_record_id": line.record_id,
        "text": line.text,
        "metadata": line.metadata,
    }


def _fault_row(fault: Fault, path: str, dump: str) -> dict[str, Any]:
    return {
        "dump": dump,
        "stage": STAGE,
        "warc_path": path,
        "warc_offset": fault.offset,
        "warc_record_id": fault.record_id,
        "url": fault.url,
        "kind": fault.kind,
        "message": fault.message,
    }


class _Rows:
    """Rows gathered until they fill a batch."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._chars = 0

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        self._chars += sum(len(row.get(name) or "") for name in ("text", "metadata", "url", "message"))

    def is_full(self) -> bool:
        return self._chars >= BATCH_BYTES or len(self._rows) >= BATCH_ROWS

    def take(self) -> pa.RecordBatch:
        batch = pa.RecordBatch.from_pylist(self._rows, schema=SCHEMA)
        self._rows, self._chars = [], 0
        return batch
