"""An open archive or pool -> batches of documents, faults and, last, the file's own tally."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
from xxhash import xxh3_128_hexdigest

from dclm_spark import schemas
from dclm_spark.kernels.archive.outcomes import BAD_DIGEST, CHARSET, TOO_LARGE, Fault, Page, Skip
from dclm_spark.kernels.archive.pools import Line, is_pool, read_pool
from dclm_spark.kernels.archive.records import identity, read_date, what_is_wrong_with
from dclm_spark.kernels.archive.sniffing import binary_type
from dclm_spark.kernels.archive.warc import read_archive
from dclm_spark.kernels.html.charsets import decode, without_nuls
from dclm_spark.kernels.html.extract import extract, limits_of
from dclm_spark.recipe.recipe import Extraction

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
    """The id of an archive's document: the 128-bit xxh3 hash, as 32 hex letters, of file name, offset, WARC-Record-ID.

    The file's folder is left out, so that the same file in another bucket gives the same ids. A record without an id
    (ARC) is known by its URL and date instead. Where a member, and so an offset, holds the same again, the second and
    later ones have their number besides.
    """
    base_name = path.rsplit("/", 1)[-1]
    date = page.fetched_at if page.bad_date is None else read_date(page.bad_date)
    name = f"{base_name}\0{page.offset}\0{identity(page.record_id, page.url, date)}"
    return xxh3_128_hexdigest((f"{name}\0{page.n_twins}" if page.n_twins else name).encode())


def read_pages(stream: BinaryIO, *, path: str, dump: str, extraction: Extraction) -> Iterator[pa.RecordBatch]:
    """The records of one file as batches of `SCHEMA`; each record is one row or one count of the last row.

    Args:
        stream: The open file, seekable.
        path: The file as the input named it; its name says whether it is a pool or an archive.
        dump: The dump it belongs to.
        extraction: The recipe's part.

    A stream that fails on the way (the opener has tried again already) says nothing of its records: no tally, and a
    last row that says so.
    """
    rows = _Rows()
    counts = Counter()
    skips = Counter()
    bad_dates = Counter()
    for record in _records(stream, path, extraction):
        if isinstance(record, OSError):
            yield unread_file(path, dump, record)
            return
        counts["n_bad_digests"] += _has_bad_digest(record)
        if isinstance(record, Page) and (kind := binary_type(record.payload, record.identified_type)) is not None:
            record = Skip(f"{BINARY}:{kind}")
        if isinstance(record, Skip):
            skips[record.reason] += 1
            continue
        row = _row(record, path, dump, extraction)
        counts["n_quarantined" if "kind" in row else "n_documents"] += 1
        if "kind" not in row and record.bad_date is not None:
            bad_dates[what_is_wrong_with(record.bad_date)] += 1
        rows.add(row)
        if rows.is_full():
            yield rows.take()
    rows.add(
        {
            "dump": dump,
            "warc_path": path,
            "n_records": counts["n_documents"] + counts["n_quarantined"] + skips.total(),
            "n_documents": counts["n_documents"],
            "n_quarantined": counts["n_quarantined"],
            "skips": sorted(skips.items()),
            "n_bad_digests": counts["n_bad_digests"],
            "bad_dates": sorted(bad_dates.items()),
        }
    )
    yield rows.take()


def _records(stream: BinaryIO, path: str, extraction: Extraction) -> Iterator[Page | Line | Fault | Skip | OSError]:
    """The records of a stream; last, where it fails, its error. Errors of what is done with a record pass by."""
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


def _has_bad_digest(record: Page | Line | Fault | Skip) -> bool:
    if isinstance(record, Fault):
        return record.kind == BAD_DIGEST
    return not isinstance(record, Line) and record.digest_problem is not None


def unread_file(path: str, dump: str, error: OSError) -> pa.RecordBatch:
    """The row of a file that could not be opened, or read to its end: `kind: what was said`."""
    kind = MISSING if isinstance(error, FileNotFoundError) else UNREADABLE
    rows = _Rows()
    rows.add({"dump": dump, "warc_path": path, "unread": f"{kind}: {type(error).__name__}: {error}"})
    return rows.take()


def _row(record: Page | Line | Fault, path: str, dump: str, extraction: Extraction) -> dict[str, Any]:
    if isinstance(record, Fault):
        return _fault_row(record, path, dump)

    def fault(kind: str, message: str) -> dict[str, Any]:
        return _fault_row(Fault(record.offset, record.record_id, record.url, kind, message), path, dump)

    if isinstance(record, Line):
        too_long = _too_long(record.text, extraction)
        return fault(TOO_LARGE, too_long) if too_long is not None else _line_row(record, path, dump)
    if record.is_text:
        (text, error), charset = without_nuls(record.payload.decode("utf-8", "replace")), "utf-8"
        if text is None:
            return fault(CHARSET, error)
        if (too_long := _too_long(text, extraction)) is not None:
            return fault(TOO_LARGE, too_long)
    else:
        html, charset, error = decode(
            record.payload, record.charset, charset=extraction.charset, content_type=record.content_type
        )
        if html is None:
            return fault(CHARSET, error)
        text, failure = extract(
            html, extractor=extraction.extractor, options=extraction.options, limits=limits_of(extraction)
        )
        if failure is not None:
            return fault(*failure)
    return {
        "doc_id": document_id(path, record),
        "dump": dump,
        "url": record.url,
        "fetched_at": record.fetched_at,
        "http_status": record.http_status,
        "content_type": record.content_type,
        "charset": charset,
        "html_bytes": len(record.payload),
        "warc_path": path,
        "warc_offset": record.offset,
        "warc_record_id": record.record_id,
        "text": text,
    }


def _too_long(text: str, extraction: Extraction) -> str | None:
    """What is wrong with the length of a text that came without an extractor; null if nothing is."""
    limit = extraction.max_text_bytes
    n_bytes = len(text.encode("utf-8", "replace")) if 4 * len(text) > limit else 0
    return f"a text of {n_bytes} bytes; the limit is {limit}" if n_bytes > limit else None


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
